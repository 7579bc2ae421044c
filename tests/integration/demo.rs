//! `concierge demo` as a newcomer runs it, and as CI does.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::process::{QUICK, Ran, Site, active, concierge, eventually, ran};

const HUB: &str = "hub.example.net.";

/// The demo on zones with addresses of their own, and with a folder of its own for what it leaves behind.
struct Stage {
    site: Site,
    scratch: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self { site: Site::new(QUICK), scratch: tempfile::tempdir().unwrap() }
    }

    fn demo(&self, listen: SocketAddr) -> Command {
        let mut command = concierge();
        command.arg("demo").arg("--zones").arg(self.site.path("zones")).args(["--listen", &listen.to_string()]);
        command.env("TMPDIR", self.scratch.path()).current_dir(self.scratch.path());
        command
    }

    /// A demo that waits for keys.
    fn open(&self, stdin: Stdio) -> Demo {
        let listen = self.site.net.dns();
        let mut child = self.demo(listen).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (read, kept) = (BufReader::new(child.stdout.take().unwrap()).lines(), lines.clone());
        std::thread::spawn(move || read.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line)));
        let demo = Demo { child, lines };
        let keys = "Keys: a number fails or restores that region, s shows the status, q ends.";
        assert!(eventually(Duration::from_secs(20), || demo.said(keys)), "{:#?}", demo.lines.lock().unwrap());
        demo
    }

    /// Nothing is left of the demo.
    #[track_caller]
    fn is_swept(&self) {
        let left: Vec<_> = std::fs::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<std::path::PathBuf>::new());
    }

    /// Replaces text of the policy.
    fn change(&self, from: &str, to: &str) {
        let policy = std::fs::read_to_string(self.site.path("zones/example.net.toml")).unwrap();
        assert!(policy.contains(from), "{from:?} is not in {policy}");
        self.site.write("zones/example.net.toml", &policy.replace(from, to));
    }

    /// Plays the story to its end.
    fn auto(&self) -> Ran {
        ran(&self.demo((self.site.net.address(1), 0).into()).arg("--auto").output().unwrap())
    }
}

/// A running demo; killed when dropped.
struct Demo {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Demo {
    fn said(&self, part: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|line| line.contains(part))
    }

    fn socket(&self) -> String {
        let lines = self.lines.lock().unwrap();
        let export = lines.iter().find_map(|line| line.trim().strip_prefix("export CONCIERGE_SOCKET="));
        export.expect("the demo names its socket").to_owned()
    }

    /// Runs the program as from another terminal.
    fn tell(&self, arguments: &[&str]) -> Ran {
        ran(&concierge().env("CONCIERGE_SOCKET", self.socket()).args(arguments).output().unwrap())
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    #[track_caller]
    fn ends(&mut self, code: i32) {
        let ended = eventually(Duration::from_secs(10), || self.child.try_wait().unwrap().is_some());
        assert!(ended, "the demo does not end");
        assert_eq!(self.child.wait().unwrap().code(), Some(code));
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_story_comes_out_right() {
    let stage = Stage::new();
    let told = stage.auto();
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
    let parts = [
        "over UDP and TCP; the story begins",
        "hub.example.net. answers westeurope, epoch 1; both regions are up",
        "westeurope fails: its listeners are closed",
        "every device is answered northeurope, epoch 2; the first new answer came",
        "because westeurope is down: 3 failed in a row",
        "failback is manual",
        "failback: acknowledged, and from here on every answer is westeurope",
        "westeurope is marked down: ",
        "every answer was right, none was lost",
    ];
    let mut from = 0;
    for part in parts {
        let at =
            told.out[from..].find(part).unwrap_or_else(|| panic!("{part:?} is missing, or too early:\n{}", told.out));
        from += at + part.len();
    }
    stage.is_swept();
}

/// The zones that the program carries, from a folder where there are none.
#[test]
fn the_program_alone_can_play() {
    let empty = tempfile::tempdir().unwrap();
    let play = || {
        let mut command = concierge();
        command.args(["demo", "--auto"]).current_dir(empty.path()).env("TMPDIR", empty.path());
        ran(&command.output().unwrap())
    };
    // Its regions have fixed addresses: another demo on this machine, in its turn, is no failure of this one.
    let mut told = play();
    eventually(Duration::from_secs(30), || {
        let taken = told.err.contains("another demo plays its regions at the same addresses");
        if taken {
            told = play();
        }
        !taken
    });
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
    assert!(told.out.contains("every answer was right, none was lost"), "{}", told.out);
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_person_fails_and_restores_regions() {
    let stage = Stage::new();
    let net = stage.site.net;
    let mut demo = stage.open(Stdio::piped());
    for part in [
        &format!("concierge answers on {} over UDP and TCP, and plays these regions:", net.dns()),
        &format!("listens on {}:8883", net.weu()),
        &format!("dig @{} -p 5300 hub.example.net. A +tcp", net.address(1)),
        "concierge demo fail westeurope",
    ] {
        assert!(demo.said(part), "{part:?} is missing: {:#?}", demo.lines.lock().unwrap());
    }
    assert!(!demo.said("sites.example.net"), "a name of other zones than these");
    assert!(Path::new(&demo.socket()).exists());
    assert_eq!(active(net.dns(), HUB), net.weu());

    let moves_to = |address| eventually(Duration::from_secs(10), || active(net.dns(), HUB) == address);
    let failed = demo.tell(&["demo", "fail", "westeurope"]);
    assert_eq!((failed.code, failed.out.as_str()), (Some(0), "westeurope has failed: nothing listens there\n"));
    assert!(moves_to(net.neu()), "the answers do not move");
    assert!(eventually(Duration::from_secs(5), || demo.said("hub.example.net. answers northeurope, epoch 2")));
    assert!(eventually(Duration::from_secs(5), || demo.said("because westeurope is down: 3 failed in a row")));
    let restored = demo.tell(&["demo", "restore", "westeurope"]);
    assert_eq!((restored.code, restored.out.as_str()), (Some(0), "westeurope listens again\n"));
    let well = || {
        let status: Value = serde_json::from_str(&demo.tell(&["status", "hub.example.net", "-o", "json"]).out).unwrap();
        let endpoints = status["hubs"][0]["endpoints"].as_array().unwrap();
        endpoints.iter().all(|endpoint| endpoint["measured"] == "up")
    };
    assert!(eventually(Duration::from_secs(10), well), "the region does not come up");
    assert_eq!(active(net.dns(), HUB), net.neu(), "failback is manual");
    assert_eq!(demo.tell(&["failback", HUB, "--now", "--yes", "--detach"]).code, Some(0));
    assert_eq!(active(net.dns(), HUB), net.weu());

    let unknown = demo.tell(&["demo", "fail", "asia"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(1), ""), "{unknown:?}");
    assert!(unknown.err.contains("error: no region `asia`"), "{unknown:?}");

    // The keys of a person, as letters of lines.
    let mut stdin = demo.child.stdin.take().unwrap();
    stdin.write_all(b"s\n").unwrap();
    assert!(eventually(Duration::from_secs(5), || demo.said("LAST OBSERVATION")), "s shows the status");
    // Numbers are in the order of the regions that the demo lists: the second is westeurope.
    stdin.write_all(b"2\n").unwrap();
    assert!(moves_to(net.neu()), "a number fails a region");
    stdin.write_all(b"q\n").unwrap();
    demo.ends(0);
    stage.is_swept();
}

#[test]
fn signals_end_the_demo_in_order() {
    use nix::sys::signal::Signal;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let stage = Stage::new();
        let mut demo = stage.open(Stdio::null());
        demo.signal(signal);
        demo.ends(0);
        stage.is_swept();
    }
    // The story was not over: that is no success.
    let stage = Stage::new();
    let mut command = stage.demo((stage.site.net.address(1), 0).into());
    let mut child = command.arg("--auto").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("the story begins"), "{first}");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    let ended = ran(&child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (Some(1), "error: stopped before the story was over\n"));
    stage.is_swept();
}

/// Two demos of the same zones would fail each other's regions: the second one says so and leaves the first alone.
#[test]
fn one_demo_at_a_time() {
    let stage = Stage::new();
    let net = stage.site.net;
    let mut first = stage.open(Stdio::null());
    let refused = |listen: SocketAddr, parts: &[&str]| {
        for auto in [&["--auto"][..], &[]] {
            let second = ran(&stage.demo(listen).args(auto).output().unwrap());
            assert_eq!((second.code, second.out.contains("right")), (Some(1), false), "{second:?}");
            for part in parts {
                assert!(second.err.contains(part), "{part:?}: {second:?}");
            }
        }
    };
    let hint = "hint: another demo plays its regions at the same addresses, one at a time";
    refused((net.address(2), 0).into(), &["error: ", "cannot listen on", ":8883", "in use", hint]);
    refused(
        net.dns(),
        &["error: ", "in use", "hint: is another demo running? `--listen 127.0.0.1:0` takes a free port"],
    );
    assert_eq!(active(net.dns(), HUB), net.weu());
    first.signal(nix::sys::signal::Signal::SIGTERM);
    first.ends(0);
    stage.is_swept();
}

/// A demo that cannot show what it promises does not begin.
#[test]
fn what_cannot_be_played_is_refused() {
    let check = |change: &dyn Fn(&Stage), parts: &[&str]| {
        let stage = Stage::new();
        change(&stage);
        let told = stage.auto();
        assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{told:?}");
        for part in parts {
            assert!(told.err.contains(part), "{part:?}: {told:?}");
        }
        stage.is_swept();
    };
    let neu = |stage: &Stage| stage.site.net.neu().to_string();
    check(
        &|stage| stage.change(&neu(stage), "192.0.2.7"),
        &["error: 192.0.2.7 of northeurope: the demo plays regions on loopback addresses only"],
    );
    check(
        &|stage| {
            let zone = std::fs::read_to_string(stage.site.path("zones/example.net.zone")).unwrap();
            stage.site.write("zones/example.net.zone", &zone.replace(&neu(stage), "192.0.2.7"));
        },
        &["error: 192.0.2.7 of northeurope: the demo plays regions on loopback addresses only"],
    );
    check(
        &|stage| {
            stage.change("cname = \"hub-neu.example.net.\", probe = \"broker\"", "cname = \"hub-neu.example.net.\"")
        },
        &["error: northeurope of hub.example.net. has no probe: nothing would see it fail"],
    );
    check(
        &|stage| stage.change("tcp = {", "https = {"),
        &["the demo's regions speak TCP and HTTP without TLS, and probe broker is of another kind"],
    );
    let stage = Stage::new();
    let policy = std::fs::read_to_string(stage.site.path("zones/example.net.toml")).unwrap();
    let single = policy.lines().filter(|line| !line.contains("{ region = \"northeurope\""));
    stage.site.write("zones/example.net.toml", &single.collect::<Vec<_>>().join("\n"));
    let told = stage.auto();
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("error: the demo needs a hub with two endpoints"), "{told:?}");
    stage.is_swept();
    stage.site.write("zones/example.net.toml", "[regions.westeurope\n");
    let told = stage.auto();
    assert_eq!(told.code, Some(78), "{told:?}");
    assert!(told.err.contains("example.net.toml:1:"), "{told:?}");
    stage.is_swept();
}

/// The story that CI plays is a test: it fails when a region takes over by itself, where a person should decide.
#[test]
fn a_failback_that_nobody_ordered_fails_the_story() {
    let stage = Stage::new();
    stage.change("dwell = \"0s\"", "dwell = \"0s\"\nfailback = { after = \"1s\" }");
    let told = stage.auto();
    assert_eq!(told.code, Some(1), "{told:?}");
    let wrong = "error: the story did not come out right: a region that comes back must not take over by itself\n";
    assert_eq!(told.err, wrong, "{told:?}");
    stage.is_swept();
}

/// And when devices are answered with two addresses at once.
#[test]
fn wrong_answers_fail_the_story() {
    let stage = Stage::new();
    let net = stage.site.net;
    let zone = std::fs::read_to_string(stage.site.path("zones/example.net.zone")).unwrap();
    stage.site.write("zones/example.net.zone", &format!("{zone}hub-neu 5 IN A {}\n", net.address(13)));
    let told = stage.auto();
    assert_eq!(told.code, Some(1), "{told:?}");
    let wrong = ["error: the story did not come out right: ", "no device saw the new answer"];
    assert!(wrong.iter().all(|part| told.err.contains(part)), "{told:?}");
    assert!(!told.out.contains("every answer was right"), "{told:?}");
    stage.is_swept();
}
