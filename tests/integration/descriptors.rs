//! The limit of open files: what cannot be observed for want of them moves nobody, and answers go on.

use std::net::TcpListener;
use std::time::Duration;

use crate::process::{BROKER, Daemon, QUICK, Site, Up, active, concierge, eventually, program};

const HUB: &str = "hub.example.net.";
/// Longer than the slowest start and detection on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Changes the soft limit of open files of a running daemon, and leaves the hard one.
fn limit(daemon: &Daemon, files: u64) {
    let pid = daemon.child.id().to_string();
    let limit = format!("--nofile={files}:");
    assert!(program("prlimit", "util-linux").args(["--pid", &pid, &limit]).status().unwrap().success());
}

/// What the log says so far under an event; with `None`, of lines that have no event.
fn lines(daemon: &Daemon, event: Option<&str>) -> Vec<String> {
    let log = daemon.log.lock().unwrap();
    log.iter().filter(|line| line["event"].as_str() == event).map(|line| line["message"].to_string()).collect()
}

#[test]
fn a_daemon_that_can_open_no_file_moves_nobody_and_goes_on_answering() {
    let site = Site::new(QUICK);
    site.edit("config/concierge.toml", "[log]\n", "[log]\nfilter = \"debug\"\n");
    let Up { site, daemon, weu, neu: _neu } = Up::of(site);
    let (dns, moved) = (site.net.dns(), daemon.said("switch"));
    // Every descriptor below it is taken already.
    limit(&daemon, 8);
    let said = || lines(&daemon, Some("unable"));
    assert!(eventually(SOON, || said().len() >= 2), "{:?}", said());
    assert!(said().iter().all(|line| line.contains("too many open files")), "{:?}", said());

    // What fails from here on is seen by nobody: three times as often as it takes to be down, each probe finds that it cannot
    // look, as the log says at level DEBUG.
    drop(weu);
    let missed = || {
        let lines = lines(&daemon, None);
        let of =
            |target: String| lines.iter().filter(|line| line.contains(&target) && line.contains("too many")).count();
        of(format!("broker on {}", site.net.weu())).min(of("broker on hub-weu.example.net.".into()))
    };
    let before = missed();
    assert!(eventually(SOON, || missed() >= before + 9), "{} of {before}", missed());
    for _ in 0..20 {
        assert_eq!(active(dns, HUB), site.net.weu());
    }
    assert_eq!(daemon.said("switch"), moved);
    let down = lines(&daemon, Some("health")).into_iter().filter(|line| line.contains("is down")).count();
    assert_eq!(down, 0);

    limit(&daemon, 1024);
    assert!(eventually(SOON, || active(dns, HUB) == site.net.neu()), "{}", site.status());
    let again = || lines(&daemon, Some("prober")).iter().any(|line| line.contains("can observe"));
    assert!(eventually(SOON, again), "{:?}", lines(&daemon, Some("prober")));
}

#[test]
fn a_low_limit_is_shared_and_who_gets_no_share_is_unable() {
    let site = Site::new(QUICK);
    // They take connections into their queues and say nothing.
    let silent: Vec<TcpListener> =
        (20..60).map(|last| TcpListener::bind((site.net.address(last), BROKER)).unwrap()).collect();
    let mut policy = format!(
        "[regions.westeurope]\n[regions.northeurope]\n[probes.broker]\nhttp = {{ port = {BROKER} }}\ninterval = \"1s\"\ntimeout = \
         \"1s\"\n"
    );
    for (number, pair) in silent.chunks(2).enumerate() {
        let [weu, neu] = [&pair[0], &pair[1]].map(|listener| listener.local_addr().unwrap().ip());
        policy += &format!(
            "[hubs.\"h{number}.example.net.\"]\nttl = \"5s\"\nendpoints = [\n  {{ region = \"westeurope\", addresses = [\"{weu}\"], \
             probe = \"broker\" }},\n  {{ region = \"northeurope\", addresses = [\"{neu}\"], probe = \"broker\" }},\n]\n"
        );
    }
    site.write("zones/example.net.toml", &policy);
    let mut command = program("prlimit", "util-linux");
    command.arg("--nofile=128").arg(concierge().get_program());
    let daemon = Daemon::start_as(command, &site);
    let warned = "probes may have 16 files open, and 40 if all hang at once";
    assert!(
        lines(&daemon, Some("prober")).iter().any(|line| line.contains(warned)),
        "{:?}",
        daemon.log.lock().unwrap()
    );

    // The operators' API has descriptors of its own.
    let lacks = || site.status()["lacks"].as_array().unwrap().clone();
    let share = "other probes have all 16 files open";
    let told = || lacks().iter().any(|lack| lack["lack"].as_str().unwrap().starts_with(share));
    assert!(eventually(SOON, told), "{}", site.status());
    assert!(site.ok(&["status"]).contains("this machine lacks what"));
}
