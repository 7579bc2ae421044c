//! `concierge upgrade`: a new process takes over, and what happens when it cannot.

use std::io::Read;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use crate::load;
use crate::process::{QUICK, Site, Up, active, ask, ask_tcp, eventually, framed, query, read_message, request};

/// Every wait ends here, in failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// Queries a second, over two sockets.
const RATE: f64 = 20_000.0;
const HUB: &str = "hub.example.net.";

/// A process that this one has started by way of another; it ends with this.
pub struct Heir(u64);

impl Heir {
    pub fn is_there(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/cmdline", self.0)).is_ok_and(|line| line.contains("concierge"))
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if self.is_there() {
            drop(Command::new("kill").args(["-KILL", &self.0.to_string()]).status());
        }
    }
}

pub fn upgrade(site: &Site) -> (Value, Heir) {
    let upgraded: Value = serde_json::from_str(&site.ok(&["upgrade", "--output", "json"])).unwrap();
    let heir = Heir(upgraded["pid"].as_u64().unwrap());
    (upgraded, heir)
}

fn epoch(site: &Site) -> u64 {
    site.hub(HUB)["epoch"].as_u64().unwrap()
}

/// Goes on with something, over and over, until it is stopped; returns what came of each time.
pub struct Busy<T> {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<T>>,
}

impl<T: Send + 'static> Busy<T> {
    pub fn start(mut work: impl FnMut(usize) -> T + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut done = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                done.push(work(done.len()));
            }
            done
        });
        Self { stop, thread }
    }

    pub fn stop(self) -> Vec<T> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Came {
    Acknowledged,
    /// It was not done, and may be repeated.
    Refused,
    /// Whether it was done is not known.
    Unknown,
}

/// Marks a region, with a number for a reason.
fn mark(site_socket: &std::path::Path, number: usize) -> Came {
    let body = json!({ "kind": "up", "reason": format!("number {number}"), "author": "test" }).to_string();
    match request(site_socket, "PUT", "/v1/marks/northeurope", &body) {
        Some((200, _)) => Came::Acknowledged,
        Some((status, error)) => {
            assert_eq!(status, 503, "{error}");
            let code = error["error"]["code"].as_str().unwrap();
            assert!(code == "handed-over" || code == "stopping", "{error}");
            Came::Refused
        }
        None => Came::Unknown,
    }
}

/// Octets of the smallest UDP receive buffer.
fn receive_buffer(site: &Site) -> String {
    let page = request(&site.socket(), "GET", "/metrics", "").unwrap().1;
    let mut lines = page.as_str().unwrap().lines();
    lines.find_map(|line| line.strip_prefix("concierge_udp_receive_buffer_bytes ")).unwrap().to_owned()
}

#[test]
fn nothing_is_lost_while_another_process_takes_over() {
    let mut up = Up::start();
    let (site, dns) = (&up.site, up.site.net.dns());
    site.ok(&["mark", "westeurope", "down", "--reason", "before the upgrade"]);
    let (before, buffer) = (epoch(site), receive_buffer(site));
    assert_eq!(active(dns, HUB), site.net.neu());
    // A connection that has asked and may ask again.
    let mut kept = TcpStream::connect(dns).unwrap();
    kept.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Write::write_all(&mut kept, &framed(&query(7, HUB, RecordType::A))).unwrap();
    read_message(&mut kept).unwrap();

    let questions = || vec![query(0, HUB, RecordType::A), query(0, "www.example.net.", RecordType::A)];
    let loads = [load::start(dns, questions(), RATE / 2.0), load::start(dns, questions(), RATE / 2.0)];
    let over_tcp = Busy::start(move |_| ask_tcp(dns, HUB, RecordType::A).answers.len());
    let socket = site.socket();
    let commands = Busy::start(move |number| mark(&socket, number));
    let (upgraded, heir) = upgrade(site);
    let marked = commands.stop();
    let connections = over_tcp.stop();
    let loads = loads.map(load::Running::stop);

    for load in &loads {
        assert_eq!(load.exchanges.len(), load.sent, "queries were lost");
        for question in 0..2 {
            let mut answers: Vec<_> =
                load.exchanges.iter().filter(|one| one.question == question).map(|one| one.answer).collect();
            answers.sort_unstable();
            answers.dedup();
            assert_eq!(answers.len(), 1, "answers to question {question} differ");
        }
    }
    assert!(connections.iter().all(|answers| *answers == 2), "{connections:?}");
    // What was acknowledged stands, or what came after it; nothing that was refused does.
    let marks = site.status()["marks"].clone();
    let northeurope = marks.as_array().unwrap().iter().find(|mark| mark["target"] == "northeurope").unwrap().clone();
    let stands: usize = northeurope["reason"].as_str().unwrap().strip_prefix("number ").unwrap().parse().unwrap();
    let acknowledged =
        marked.iter().rposition(|came| *came == Came::Acknowledged).expect("no command was acknowledged");
    assert!(stands >= acknowledged && marked[stands] != Came::Refused, "{stands} {marked:?}");
    assert_eq!(receive_buffer(site), buffer, "what was granted to the socket stays");

    assert_eq!(upgraded["pid_before"], up.daemon.child.id());
    assert_ne!(upgraded["pid"], upgraded["pid_before"]);
    assert!(eventually(PATIENCE, || up.daemon.child.try_wait().unwrap().is_some()), "the old process does not end");
    assert!(up.daemon.child.try_wait().unwrap().unwrap().success());
    assert!(heir.is_there());
    // The connection was closed in order, and the new process takes others.
    assert_eq!(kept.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(ask_tcp(dns, HUB, RecordType::A).answers.len(), 2);
    // What stands is what stood, and health is known without having been seen anew.
    let hub = up.site.hub(HUB);
    assert_eq!((hub["epoch"].as_u64(), hub["active"].as_str()), (Some(before), Some("northeurope")), "{hub}");
    let endpoints = hub["endpoints"].as_array().unwrap();
    assert!(endpoints.iter().all(|endpoint| endpoint["measured"] == "up"), "{hub}");
    let page = request(&up.site.socket(), "GET", "/metrics", "").unwrap().1;
    assert!(page.as_str().unwrap().contains("concierge_upgrades_total{result=\"ok\"} 1"), "{page}");

    // The new one decides, by command and by what it sees, and can be followed by another.
    let (second, third) = upgrade(&up.site);
    assert_eq!(second["pid_before"], heir.0);
    up.site.ok(&["unmark", "westeurope", "--reason", "after the upgrade"]);
    up.site.ok(&["unmark", "northeurope", "--reason", "after the upgrade"]);
    up.neu = None;
    assert!(eventually(PATIENCE, || active(dns, HUB) == up.site.net.weu()), "the new process does not decide");
    assert_eq!(epoch(&up.site), before + 1);
    let verified = up.site.ok(&["history", "--verify"]);
    assert!(verified.contains("is what was written") || verified.contains("whole"), "{verified}");
    drop(third);
}

/// The old process goes on: the same answers, commands that are acknowledged, an audit trail without a gap.
fn goes_on(up: &Up, expected: &[&str], arguments: &[&str]) {
    // The configuration may be one that nobody can read.
    let socket = up.site.socket();
    let run = |arguments: &[&str]| up.site.run(&[arguments, &["--socket", socket.to_str().unwrap()]].concat());
    let ok = |arguments: &[&str]| {
        let ran = run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    };
    let epoch = || {
        let (_, status) = request(&socket, "GET", "/v1/status", "").unwrap();
        let hubs = status["hubs"].as_array().unwrap();
        hubs.iter().find(|hub| hub["name"] == HUB).unwrap()["epoch"].as_u64().unwrap()
    };
    let (dns, before) = (up.site.net.dns(), epoch());
    let kept = run(&[&["upgrade"], arguments].concat());
    assert_eq!(kept.code, Some(1), "{kept:?}");
    for part in ["this one goes on", "no other process has taken over"].iter().chain(expected) {
        assert!(kept.err.contains(part), "{part}: {kept:?}");
    }
    assert_eq!(epoch(), before);
    assert_eq!(ask(dns, HUB, RecordType::A).answers.len(), 2);
    assert_eq!(ask_tcp(dns, HUB, RecordType::A).answers.len(), 2);
    ok(&["mark", "westeurope", "down", "--reason", "goes on"]);
    assert_eq!((active(dns, HUB), epoch()), (up.site.net.neu().into(), before + 1));
    ok(&["unmark", "westeurope", "--reason", "goes on"]);
    ok(&["failback", HUB, "--now", "--yes", "--reason", "goes on"]);
    assert_eq!((active(dns, HUB), epoch()), (up.site.net.weu().into(), before + 2));
    ok(&["history", "--verify"]);
}

#[test]
fn the_old_process_goes_on_whatever_becomes_of_the_new_one() {
    let site = Site::new(QUICK);
    // A script that is run needs its shell, which is out of reach of a sandbox.
    site.edit("config/concierge.toml", "[log]", "[process]\nlandlock = false\n[log]");
    let script = site.path("new");
    std::fs::write(&script, "#!/bin/sh\nexit 3\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = std::fs::read_to_string(site.path("config/concierge.toml")).unwrap();
    let zone = std::fs::read_to_string(site.path("zones/example.net.zone")).unwrap();
    let up = Up::of(site);
    let pid = up.daemon.child.id();
    let check = |expected: &[&str], arguments: &[&str]| goes_on(&up, expected, arguments);

    check(&["ended with exit status: 3"], &["--program", script.to_str().unwrap()]);
    check(&["cannot run", "No such file", "hint: name a program"], &["--program", "/nowhere/concierge"]);
    check(
        &["cannot run", "Permission denied", "hint: make it executable"],
        &["--program", up.site.path("zones/example.net.zone").to_str().unwrap()],
    );
    // It is not a concierge, and never says a word.
    check(&["ended with"], &["--program", "/bin/true"]);
    // A configuration that is refused.
    up.site.write("config/concierge.toml", &config.replace("workers = 1", "workers = 1000"));
    check(&["rejected", "workers"], &[]);
    up.site.write("config/concierge.toml", &config);
    // Zones that are.
    up.site.write("zones/example.net.zone", "nonsense");
    check(&["rejected", "example.net.zone"], &[]);
    up.site.write("zones/example.net.zone", &zone);
    // Another state folder, where epochs would begin anew.
    up.site.write("config/concierge.toml", &config.replace("\"../state\"", "\"../other\""));
    check(&["another state folder"], &[]);
    // An address of somebody else: found when the new one has the store, and has decided.
    let taken = SocketAddr::from((up.site.net.address(99), up.site.net.dns().port()));
    let _somebody = UdpSocket::bind(taken).unwrap();
    let listen = format!("dns = [\"{taken}\", ");
    up.site.write("config/concierge.toml", &config.replace("dns = [", &listen));
    up.site.write("zones/example.net.zone", &zone.replace("192.0.2.1\n", "192.0.2.200\n"));
    check(&["cannot answer queries at"], &[]);
    let answer = ask(up.site.net.dns(), "www.example.net.", RecordType::A);
    assert!(!format!("{answer:?}").contains("192.0.2.200"), "answers of a process that failed: {answer:?}");
    let page = request(&up.site.socket(), "GET", "/metrics", "").unwrap().1;
    assert!(page.as_str().unwrap().contains("concierge_upgrades_total{result=\"failed\"} 8"), "{page}");
    let told = up.site.ok(&["history", "--limit", "1000"]);
    let failed = told.lines().filter(|line| line.contains("no other process has taken over: ")).count();
    assert_eq!(failed, 8, "{told}");
    assert!(eventually(PATIENCE, || up.daemon.said("upgrade").unwrap()["level"] == "WARN"), "the log does not say so");

    // Whoever comes second is told so at once.
    let (begun, go) = (up.site.path("begun"), up.site.path("go"));
    let waits =
        format!("#!/bin/sh\n: > {}\nuntil [ -e {} ]; do sleep 0.1; done\nexit 3\n", begun.display(), go.display());
    up.site.write("new", &waits);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| up.site.run(&["upgrade", "--program", script.to_str().unwrap()]));
        assert!(eventually(PATIENCE, || begun.exists()), "the first has not begun");
        let second = up.site.run(&["upgrade"]);
        up.site.write("go", "");
        assert_eq!(second.code, Some(1), "{second:?}");
        assert!(second.err.contains("another upgrade is under way"), "{second:?}");
        let first = first.join().unwrap();
        assert!(first.err.contains("ended with exit status: 3"), "{first:?}");
    });

    // And with what is good again, another one takes over.
    up.site.write("config/concierge.toml", &config);
    let (upgraded, _heir) = upgrade(&up.site);
    assert_eq!(upgraded["pid_before"], pid);
    let told = up.site.ok(&["history"]);
    assert!(told.contains(&format!("has taken over from process {pid}")), "{told}");
    assert!(format!("{:?}", ask(up.site.net.dns(), "www.example.net.", RecordType::A)).contains("192.0.2.200"));
}
