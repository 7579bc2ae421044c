//! A disk under the state folder that takes nothing more: what cannot be kept is not done, which is said, and it is done
//! when the disk takes it again.

use std::process::Command;
use std::time::Duration;

use crate::process::{Daemon, QUICK, Region, Site, active, concierge, eventually, health, program};

const HUB: &str = "hub.example.net.";
const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_move_that_the_disk_does_not_take_is_made_when_it_does() {
    let site = Site::new(QUICK);
    let (net, dns) = (site.net, site.net.dns());
    let (weu, _neu) = (Region::start(net.weu()), Region::start(net.neu()));
    let daemon = Daemon::start_as(limited(), &site);
    assert!(eventually(SOON, || health(&site, "up")), "{}", site.status());

    limit(&daemon, "1024");
    let marked = site.run(&["mark", "northeurope", "drain", "--reason", "cannot be kept"]);
    assert_eq!(marked.code, Some(1), "{marked:?}");
    assert!(marked.err.contains("nothing was changed: cannot write to the store"), "{marked:?}");
    drop(weu);
    let said_down =
        || daemon.said("health").is_some_and(|line| line["message"].to_string().contains("is down, was up"));
    assert!(eventually(SOON, said_down), "what is measured is said, whether it can be kept or not");
    let failures = || site.status()["totals"]["commits_failed"].as_u64().unwrap();
    let before = failures();
    assert!(eventually(SOON, || failures() > before + 1), "the move is tried again and again");
    assert_eq!(active(dns, HUB), net.weu(), "a move that cannot be kept is not made");
    let page = site.ok(&["status"]);
    assert!(page.contains("! the store could not keep "), "{page}");

    limit(&daemon, "unlimited");
    assert!(eventually(SOON, || active(dns, HUB) == net.neu()), "{}", site.status());
    let status = site.status();
    assert!(status["marks"].as_array().unwrap().is_empty(), "{status}");
    daemon.kill();
    let _daemon = Daemon::start(&site);
    assert_eq!(active(dns, HUB), net.neu());
    let status = site.status();
    assert!(status["marks"].as_array().unwrap().is_empty(), "nor does a mark that was refused come up later: {status}");
}

/// The program, for which a file that would become too large is an error and not the end (`ulimit -f` stands for the
/// full disk, which only root could bring about).
fn limited() -> Command {
    let mut command = Command::new("sh");
    let program = concierge();
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program.get_program());
    command
}

fn limit(daemon: &Daemon, octets: &str) {
    let mut command = program("prlimit", "util-linux");
    command.arg("--pid").arg(daemon.child.id().to_string()).arg(format!("--fsize={octets}:unlimited"));
    assert!(command.status().unwrap().success());
}
