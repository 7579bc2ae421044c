//! What the process owes its machine: sockets from systemd, what it is told, privileges, the sandbox, the unit files.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::process::{Daemon, QUICK, Site, ask, ask_tcp, concierge, eventually, program, request, text, try_ask};
use crate::upgrade::upgrade;

/// Every wait ends here, in failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Passes sockets as systemd does, and becomes the program: UDP without a way to share its port, and TCP.
const ACTIVATE: &str = "
import os, socket, sys
kinds, program = sys.argv[1].split(','), sys.argv[2:]
passed = []
for kind in kinds:
    what, address, port = kind.split('/')
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if what == 'udp' else socket.SOCK_STREAM)
    s.bind((address, int(port)))
    if what == 'tcp':
        s.listen(64)
    passed.append(s)
held = [os.dup(s.fileno()) for s in passed]
high = [os.dup2(fd, 100 + n) for n, fd in enumerate(held)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=':'.join(['dns'] * len(high)))
os.execv(program[0], program)
";

pub fn activated(sockets: &[String]) -> Command {
    let mut command = program("python3", "python3");
    command.args(["-c", ACTIVATE, &sockets.join(","), env!("CARGO_BIN_EXE_concierge")]).stdin(Stdio::null());
    command
}

fn answers(site: &Site) {
    let server = site.net.dns();
    assert_eq!(ask(server, "www.example.net.", RecordType::A).answers.len(), 2);
    assert_eq!(ask_tcp(server, "www.example.net.", RecordType::A).answers.len(), 2);
}

#[test]
fn sockets_that_systemd_passes_are_taken_by_their_address_and_the_others_bound() {
    let check = |kinds: &[&str]| {
        let site = Site::new(QUICK);
        let dns = site.net.dns();
        // More workers than sockets: they share.
        site.edit("config/concierge.toml", "workers = 1", "workers = 3");
        let sockets: Vec<_> = kinds.iter().map(|kind| format!("{kind}/{}/{}", dns.ip(), dns.port())).collect();
        let _daemon = Daemon::start_as(activated(&sockets), &site);
        answers(&site);
    };
    check(&["udp", "tcp"]);
    check(&["tcp", "udp"]);
    check(&["udp"]);
    check(&["tcp"]);
}

#[test]
fn systemd_itself_passes_a_socket_on_the_first_connection() {
    let site = Site::new(QUICK);
    let dns = site.net.dns();
    let mut command = program("systemd-socket-activate", "systemd");
    let config = site.path("config/concierge.toml");
    command
        .arg("-l")
        .arg(dns.to_string())
        .arg(env!("CARGO_BIN_EXE_concierge"))
        .arg("serve")
        .arg("--config")
        .arg(config);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Killed when the test is over.
    let _daemon = Daemon { child, log: Arc::default() };
    assert!(eventually(PATIENCE, || TcpStream::connect(dns).is_ok()), "nobody listens");
    // The daemon is started by that, and binds the rest.
    let soon = Duration::from_millis(200);
    assert!(eventually(PATIENCE, || try_ask(dns, "www.example.net.", RecordType::A, soon).is_some()), "no answer");
    answers(&site);
}

#[test]
fn a_socket_that_the_configuration_has_no_address_for_is_refused() {
    let site = Site::new(QUICK);
    let dns = site.net.dns();
    let sockets = [format!("udp/{}/{}", dns.ip(), dns.port()), format!("tcp/{}/{}", dns.ip(), dns.port() + 1)];
    let mut command = activated(&sockets);
    let output = command.arg("serve").arg("--config").arg(site.path("config/concierge.toml")).output().unwrap();
    let said = text(&output.stderr);
    assert!(!output.status.success());
    let expected =
        format!("systemd passes what the configuration has no address for: {}:{} over TCP", dns.ip(), dns.port() + 1);
    assert!(said.contains(&expected) && said.contains("hint: take it out of the socket unit"), "{said}");
}

/// A service manager that listens.
struct Manager {
    _folder: tempfile::TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    fn listen() -> (Self, Command) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                hears.lock().unwrap().push(text(&buffer[..length]));
            }
        });
        let mut command = concierge();
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "60000000").env_remove("WATCHDOG_PID");
        (Self { _folder: folder, heard }, command)
    }

    /// Waits for a message with this line; the messages up to it are forgotten.
    fn hears(&self, line: &str) -> String {
        let mut found = None;
        eventually(PATIENCE, || {
            let mut heard = self.heard.lock().unwrap();
            if let Some(at) = heard.iter().position(|message| message.lines().any(|said| said.starts_with(line))) {
                found = heard.drain(..=at).next_back();
            }
            found.is_some()
        });
        found.unwrap_or_else(|| panic!("`{line}` was not said: {:?}", self.heard.lock().unwrap()))
    }
}

#[test]
fn the_service_manager_is_told_when_the_daemon_is_ready_alive_reloads_and_stops() {
    let (site, (manager, command)) = (Site::new(QUICK), Manager::listen());
    let daemon = Daemon::start_as(command, &site);
    assert!(manager.hears("READY=1").contains("STATUS=answering"));
    manager.hears("WATCHDOG=1");
    daemon.signal("HUP");
    assert!(manager.hears("RELOADING=1").contains("MONOTONIC_USEC="));
    assert!(manager.hears("READY=1").contains("last reload\n"));
    site.write("zones/example.net.zone", "nonsense");
    daemon.signal("HUP");
    manager.hears("RELOADING=1");
    assert!(manager.hears("READY=1").contains("the last reload was refused"));
    // Everything still turns, after all of that.
    manager.hears("WATCHDOG=1");
    daemon.signal("TERM");
    manager.hears("STOPPING=1");
}

#[test]
fn the_service_manager_is_told_which_process_takes_over_and_that_lives_on() {
    let (site, (manager, command)) = (Site::new(QUICK), Manager::listen());
    let _daemon = Daemon::start_as(command, &site);
    manager.hears("READY=1");
    let (upgraded, heir) = upgrade(&site);
    let named = manager.hears("MAINPID=");
    assert!(named.contains(&format!("MAINPID={}\n", upgraded["pid"])), "{named}");
    // Whoever says it first: the new process is ready and alive.
    manager.hears("WATCHDOG=1");
    assert!(heir.is_there());
}

/// The fields of every thread of a process.
fn threads(pid: u32, field: &str) -> Vec<String> {
    let folder = format!("/proc/{pid}/task");
    let status =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.ok()?.path().join("status")).ok();
    let value = |status: String| status.lines().find_map(|line| Some(line.strip_prefix(field)?.trim().to_owned()));
    std::fs::read_dir(folder).unwrap().filter_map(status).filter_map(value).collect()
}

fn metric(site: &Site, name: &str) -> String {
    let (status, page) = request(&site.socket(), "GET", "/metrics", "").unwrap();
    assert_eq!(status, 200);
    let page = page.as_str().unwrap().to_owned();
    let found = page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {page}"));
    found.trim().to_owned()
}

#[test]
fn no_thread_keeps_a_capability_and_none_can_get_one() {
    let site = Site::new(QUICK);
    site.edit("config/concierge.toml", "[log]", "[public]\nlisten = [\"127.0.0.1:0\"]\n[log]");
    let daemon = Daemon::start(&site);
    let pid = daemon.child.id();
    for field in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        // A thread that has just been started has its first moment before it.
        let none = || {
            let sets = threads(pid, field);
            sets.len() > 5 && sets.iter().all(|set| set == "0000000000000000")
        };
        assert!(eventually(PATIENCE, none), "{field} {:?}", threads(pid, field));
    }
    assert!(threads(pid, "NoNewPrivs:").iter().all(|flag| flag == "1"));
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    for part in ["capabilities", "no_new_privs", "core_dumps"] {
        assert_eq!(metric(&site, &format!("concierge_sandbox{{part=\"{part}\"}}")), "1.0", "{part}");
    }
    assert!(daemon.said("privileges").unwrap()["message"].as_str().unwrap().contains("no capabilities are left"));
}

/// A zone that includes a file from elsewhere: the process may read it, for nothing but the sandbox is in the way.
#[test]
fn files_that_are_not_needed_are_out_of_reach() {
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("shadow");
    std::fs::write(&secret, "more IN A 192.0.2.77\n").unwrap();
    let include = |site: &Site| {
        let zone = std::fs::read_to_string(site.path("zones/example.net.zone")).unwrap();
        site.write("zones/example.net.zone", &format!("{zone}$INCLUDE {}\n", secret.display()));
    };
    let site = Site::new(QUICK);
    let daemon = Daemon::start(&site);
    include(&site);
    let refused = site.run(&["reload"]);
    if metric(&site, "concierge_sandbox{part=\"landlock\"}") == "0.0" {
        assert!(daemon.said("sandbox").unwrap()["message"].as_str().unwrap().contains("no sandbox: this kernel"));
        return;
    }
    assert_eq!(refused.code, Some(78), "{refused:?}");
    assert!(refused.err.to_lowercase().contains("permission denied"), "{refused:?}");
    drop(daemon);
    let check = |from: &str, to: &str| {
        let site = Site::new(QUICK);
        site.edit("config/concierge.toml", from, to);
        let _daemon = Daemon::start(&site);
        include(&site);
        site.ok(&["reload"]);
        assert_eq!(ask(site.net.dns(), "more.example.net.", RecordType::A).answers.len(), 1);
    };
    check("[log]", "[process]\nlandlock = false\n[log]");
    check("[log]", &format!("[process]\nreadable = [\"{}\"]\n[log]", elsewhere.path().display()));
}

#[test]
fn there_is_no_sandbox_around_programs_and_none_comes_into_one() {
    let gate = "[gates.ready]\nexec = { command = [\"/bin/true\"] }\n[regions.westeurope]";
    let site = Site::new(QUICK);
    let daemon = Daemon::start(&site);
    let shut = metric(&site, "concierge_sandbox{part=\"landlock\"}") != "0.0";
    site.edit("zones/example.net.toml", "[regions.westeurope]", gate);
    let reloaded = site.run(&["reload"]);
    if shut {
        assert_eq!(reloaded.code, Some(78), "{reloaded:?}");
        assert!(reloaded.err.contains("the policy runs programs (gate ready: /bin/true)"), "{reloaded:?}");
    }
    drop(daemon);
    let daemon = Daemon::start(&site);
    let said = daemon.said("sandbox").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(said.contains("no sandbox: the policy runs programs") && said.contains("gate ready: /bin/true"), "{said}");
    assert_eq!(metric(&site, "concierge_sandbox{part=\"landlock\"}"), "0.0");
}

#[test]
fn the_unit_files_are_hardened_and_say_what_systemd_knows() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/concierge.service");
    let mut analyze = program("systemd-analyze", "systemd");
    let output = analyze.args(["security", "--offline=true", "--no-pager"]).arg(&unit).output().unwrap();
    let said = text(&output.stdout);
    let level = said.lines().find_map(|line| line.split_once("Overall exposure level for concierge.service: "));
    let level: f64 = level.unwrap_or_else(|| panic!("{said}")).1.split(' ').next().unwrap().parse().unwrap();
    assert!(level < 2.0, "{said}");
    for name in ["concierge.service", "concierge.socket"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
        let output = program("systemd-analyze", "systemd").arg("verify").arg(file).output().unwrap();
        let said = text(&output.stderr);
        // The program is not installed here; of anything else there is nothing to say.
        let others: Vec<_> =
            said.lines().filter(|line| line.contains(name) && !line.contains("is not executable")).collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

/// What a second daemon finds: the sockets of the first are not shared with it.
#[test]
fn a_second_daemon_is_refused_as_before() {
    let site = Site::new(QUICK);
    let dns = site.net.dns();
    let (_udp, _tcp) = (UdpSocket::bind(dns).unwrap(), TcpListener::bind(dns).unwrap());
    let refused = site.run(&["serve"]);
    assert!(refused.err.contains("another process answers there"), "{refused:?}");
}
