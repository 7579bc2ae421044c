//! Knot, NSD and BIND as child processes on loopback ports. They end with the thread that starts them.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use concierge::dns::{Name, Rtype};

use super::client::Client;
use super::message::{Form, MAX_UDP_BYTES, Question};
use crate::process::{Net, PORT, eventually, program};

/// Longest time until a peer answers for its zones.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Knot,
    Nsd,
    Bind,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Knot => "knot",
            Self::Nsd => "nsd",
            Self::Bind => "bind",
        }
    }
}

pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(super) client: Client,
    process: Child,
    folder: tempfile::TempDir,
}

impl Peer {
    /// Starts the server with these zones and waits until it answers for each of them.
    pub(super) fn start(kind: Kind, zones: &[(Name, String)]) -> Self {
        Self::start_saying(kind, zones, &Extra::default())
    }

    /// The same with cookies, and with what a server says of itself.
    pub(crate) fn start_telling(kind: Kind, zones: &[(Name, String)], secret: &str) -> Self {
        Self::start_saying(kind, zones, &Extra::of(kind, secret))
    }

    /// The same with so many responses a second for each network, of which every second one beyond is truncated.
    pub(super) fn start_limiting(kind: Kind, zones: &[(Name, String)], per_second: u32) -> Self {
        Self::start_saying(kind, zones, &Extra::limiting(kind, per_second))
    }

    fn start_saying(kind: Kind, zones: &[(Name, String)], extra: &Extra) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (position, (_, text)) in zones.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{position}.zone")), text).unwrap();
        }
        let address = match kind {
            Kind::Knot | Kind::Nsd => SocketAddr::from((Net::new().address(1), PORT)),
            // It listens on addresses that an interface has, and of the loopback network that is one.
            Kind::Bind => free_address(),
        };
        let apexes: Vec<&Name> = zones.iter().map(|(apex, _)| apex).collect();
        let (server, configuration) = match kind {
            Kind::Knot => (program("knotd", "knot"), knot_configuration(folder.path(), address, &apexes, extra)),
            Kind::Nsd => (program("nsd", "nsd"), nsd_configuration(folder.path(), address, &apexes, extra)),
            Kind::Bind => (program("named", "bind9"), bind_configuration(folder.path(), address, &apexes, extra)),
        };
        // Whatever becomes of the tests, no server outlives them.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(server.get_program());
        let file = folder.path().join("server.conf");
        std::fs::write(&file, configuration).unwrap();
        // In the foreground.
        match kind {
            Kind::Knot => {}
            Kind::Nsd => drop(command.arg("-d")),
            Kind::Bind => drop(command.args(["-g", "-4", "-n", "1"])),
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.arg("-c").arg(&file).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        let mut peer = Self { kind, address, client: Client::new(address), process, folder };
        for apex in apexes {
            let ready = eventually(DEADLINE, || peer.answers_for(apex));
            assert!(ready, "{} does not answer for {apex}:\n{}", kind.name(), peer.log());
        }
        peer.client.forget();
        peer
    }

    /// Removes the files of a server that has read them, for one that nobody will drop.
    pub(crate) fn forget_files(&self) {
        std::fs::remove_dir_all(self.folder.path()).unwrap();
    }

    fn answers_for(&mut self, apex: &Name) -> bool {
        if let Some(status) = self.process.try_wait().unwrap() {
            panic!("{} ended with {status}:\n{}", self.kind.name(), self.log());
        }
        let soa = Question { name: apex.wire().to_vec(), rtype: Rtype::SOA }.query(Form::Plain);
        let answer = self.client.ask_within(&soa, Duration::from_millis(50));
        // AA, NOERROR.
        answer.is_some_and(|answer| answer[2] & 0x04 != 0 && answer[3] & 0x0f == 0)
    }

    fn log(&self) -> String {
        let read = |file| std::fs::read_to_string(self.folder.path().join(file)).ok();
        ["log", "nsd.log"].into_iter().filter_map(read).collect()
    }
}

/// An address of `lo` with a port that nobody has.
fn free_address() -> SocketAddr {
    let free = || {
        let address = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
        UdpSocket::bind(address).ok().map(|_| address)
    };
    (0..100).find_map(|_| free()).expect("a free port")
}

impl Drop for Peer {
    /// SIGTERM first: NSD then ends the processes that it started.
    fn drop(&mut self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lines of a configuration beside what every peer has.
#[derive(Default)]
struct Extra {
    server: String,
    /// Sections in front of the template of zones.
    sections: String,
    template: &'static str,
}

impl Extra {
    fn of(kind: Kind, secret: &str) -> Self {
        match kind {
            Kind::Knot => Self {
                server: "    nsid: ns1\n    identity: host1\n    version: concierge\n".into(),
                sections: format!("mod-cookies:\n  - id: default\n    secret: [0x{secret}]\n"),
                template: "    global-module: mod-cookies/default\n",
            },
            Kind::Nsd => Self {
                server: format!(
                    "  answer-cookie: yes\n  cookie-secret: {secret}\n  nsid: \"ascii_ns1\"\n  identity: host1\n  \
                     version: concierge\n"
                ),
                ..Self::default()
            },
            Kind::Bind => Self {
                server: format!(
                    "  answer-cookie yes;\n  cookie-algorithm siphash24;\n  cookie-secret \"{secret}\";\n  server-id \
                     \"ns1\";\n  hostname \"host1\";\n  version \"concierge\";\n"
                ),
                ..Self::default()
            },
        }
    }
}

impl Extra {
    fn limiting(kind: Kind, per_second: u32) -> Self {
        match kind {
            Kind::Knot => Self {
                sections: format!("mod-rrl:\n  - id: default\n    rate-limit: {per_second}\n    slip: 2\n"),
                template: "    global-module: mod-rrl/default\n",
                ..Self::default()
            },
            Kind::Nsd => Self {
                server: format!(
                    "  rrl-ratelimit: {per_second}\n  rrl-slip: 2\n  rrl-ipv4-prefix-length: 24\n  rrl-size: 1000\n"
                ),
                ..Self::default()
            },
            Kind::Bind => Self {
                server: format!(
                    "  rate-limit {{ responses-per-second {per_second}; slip 2; ipv4-prefix-length 24; window 1; }};\n"
                ),
                ..Self::default()
            },
        }
    }
}

fn knot_configuration(folder: &Path, address: SocketAddr, apexes: &[&Name], extra: &Extra) -> String {
    let Extra { server, sections, template } = extra;
    let folder = folder.display();
    let zones: String =
        apexes.iter().zip(0..).map(|(apex, n)| format!("  - domain: {apex}\n    file: {n}.zone\n")).collect();
    format!(
        "server:
    rundir: {folder}
    listen: {}@{}
    udp-max-payload: {MAX_UDP_BYTES}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-idle-timeout: 60
{server}database:
    storage: {folder}
log:
  - target: stderr
    any: warning
{sections}template:
  - id: default
{template}    storage: {folder}
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
zone:
{zones}",
        address.ip(),
        address.port(),
    )
}

fn nsd_configuration(folder: &Path, address: SocketAddr, apexes: &[&Name], extra: &Extra) -> String {
    let server = &extra.server;
    let folder = folder.display();
    let zones: String = apexes
        .iter()
        .zip(0..)
        .map(|(apex, n)| format!("zone:\n  name: \"{apex}\"\n  zonefile: \"{n}.zone\"\n"))
        .collect();
    format!(
        "server:
  ip-address: {}@{}
  server-count: 1
  ipv4-edns-size: {MAX_UDP_BYTES}
  tcp-timeout: 60
  minimal-responses: yes
  rrl-ratelimit: 0
  round-robin: no
  database: \"\"
  username: \"\"
  chroot: \"\"
  pidfile: \"\"
  zonesdir: \"{folder}\"
  zonelistfile: \"{folder}/zone.list\"
  xfrdfile: \"{folder}/xfrd.state\"
  xfrdir: \"{folder}\"
  logfile: \"{folder}/nsd.log\"
{server}remote-control:
  control-enable: no
{zones}",
        address.ip(),
        address.port(),
    )
}

fn bind_configuration(folder: &Path, address: SocketAddr, apexes: &[&Name], extra: &Extra) -> String {
    let server = &extra.server;
    let folder = folder.display();
    let zones: String = apexes
        .iter()
        .zip(0..)
        .map(|(apex, n)| format!("zone \"{apex}\" {{\n  type primary;\n  file \"{n}.zone\";\n}};\n"))
        .collect();
    format!(
        "options {{
  directory \"{folder}\";
  listen-on port {} {{ {}; }};
  listen-on-v6 {{ none; }};
  recursion no;
  minimal-responses yes;
  minimal-any yes;
  max-udp-size {MAX_UDP_BYTES};
  edns-udp-size {MAX_UDP_BYTES};
  nocookie-udp-size {MAX_UDP_BYTES};
  tcp-idle-timeout 600;
  tcp-advertised-timeout 600;
  pid-file none;
  lock-file none;
  session-keyfile none;
  empty-zones-enable no;
  allow-transfer {{ none; }};
  allow-update {{ none; }};
  notify no;
  check-integrity no;
  check-names primary ignore;
  check-mx ignore;
  dnssec-validation no;
{server}}};
controls {{ }};
{zones}",
        address.port(),
        address.ip(),
    )
}
