//! Knot and NSD as child processes on loopback ports.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use concierge::answer::respond::Transport;
use concierge::dns::Name;

use super::message::{Form, MAX_UDP_BYTES, Question};

/// Longest time until a peer answers, at its start and for each query.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long no answer is taken for none at all.
const SILENCE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Knot,
    Nsd,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Knot => "knot",
            Self::Nsd => "nsd",
        }
    }
}

pub(super) struct Peer {
    pub(super) kind: Kind,
    process: Child,
    address: SocketAddr,
    udp: UdpSocket,
    tcp: Option<TcpStream>,
    folder: tempfile::TempDir,
}

impl Peer {
    /// Starts the server with these zones and waits until it answers for each of them.
    pub(super) fn start(kind: Kind, zones: &[(Name, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (position, (_, text)) in zones.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{position}.zone")), text).unwrap();
        }
        let address = free_address();
        let apexes: Vec<&Name> = zones.iter().map(|(apex, _)| apex).collect();
        let configuration = match kind {
            Kind::Knot => knot_configuration(folder.path(), address, &apexes),
            Kind::Nsd => nsd_configuration(folder.path(), address, &apexes),
        };
        let file = folder.path().join("server.conf");
        std::fs::write(&file, configuration).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let (program, flags): (&str, &[&str]) = match kind {
            Kind::Knot => ("knotd", &[]),
            Kind::Nsd => ("nsd", &["-d"]),
        };
        // Debian puts servers where the path of an ordinary user does not look.
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let process = Command::new(program)
            .args(flags)
            .arg("-c")
            .arg(&file)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; install the Debian package `{}`", kind.name()));
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        udp.connect(address).unwrap();
        let mut peer = Self { kind, process, address, udp, tcp: None, folder };
        for apex in apexes {
            peer.wait_for(apex);
        }
        peer
    }

    fn wait_for(&mut self, apex: &Name) {
        let started = Instant::now();
        let soa = Question { name: apex.wire().to_vec(), rtype: concierge::dns::Rtype::SOA }.query(Form::Plain);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("{} ended with {status}:\n{}", self.kind.name(), self.log());
            }
            self.udp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let mut response = [0; 4096];
            let answered = self.udp.send(&soa).and_then(|_| self.udp.recv(&mut response));
            // AA, NOERROR.
            if answered.is_ok() && response[2] & 0x04 != 0 && response[3] & 0x0f == 0 {
                break;
            }
            if answered.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                std::thread::sleep(Duration::from_millis(20));
            }
            let log = || self.log();
            assert!(started.elapsed() < DEADLINE, "{} does not answer for {apex}:\n{}", self.kind.name(), log());
        }
        // Answers to repeated questions must not be taken for those to the next.
        while self.udp.recv(&mut [0; 4096]).is_ok() {}
        self.udp.set_read_timeout(Some(DEADLINE)).unwrap();
    }

    fn log(&self) -> String {
        ["log", "nsd.log"]
            .iter()
            .filter_map(|file| std::fs::read_to_string(self.folder.path().join(file)).ok())
            .collect()
    }

    pub(super) fn ask(&mut self, query: &[u8], transport: Transport) -> Vec<u8> {
        match transport {
            Transport::Udp => {
                self.udp.send(query).unwrap();
                let mut response = [0; 65_535];
                let length = self.udp.recv(&mut response).unwrap_or_else(|error| {
                    panic!("no answer of {} to {query:02x?}: {error}", self.kind.name());
                });
                response[..length].to_vec()
            }
            Transport::Tcp => {
                if let Some(response) = self.ask_over_tcp(query) {
                    return response;
                }
                // The server may close a connection after some queries or time.
                self.tcp = None;
                self.ask_over_tcp(query).unwrap_or_else(|| panic!("no answer of {} over TCP", self.kind.name()))
            }
        }
    }

    /// Asks over UDP what need not be answered.
    pub(super) fn ask_once(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        self.udp.set_read_timeout(Some(SILENCE)).unwrap();
        self.udp.send(query).unwrap();
        let mut response = [0; 65_535];
        let answered = self.udp.recv(&mut response).ok();
        self.udp.set_read_timeout(Some(DEADLINE)).unwrap();
        answered.map(|length| response[..length].to_vec())
    }

    fn ask_over_tcp(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let address = self.address;
        let stream = self.tcp.get_or_insert_with(|| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream
        });
        let length = u16::try_from(query.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length, query].concat()).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut response).ok()?;
        Some(response)
    }
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

/// An address on which neither UDP nor TCP is bound.
fn free_address() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = udp.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn knot_configuration(folder: &Path, address: SocketAddr, apexes: &[&Name]) -> String {
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
database:
    storage: {folder}
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: {folder}
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
zone:
{zones}",
        address.ip(),
        address.port(),
    )
}

fn nsd_configuration(folder: &Path, address: SocketAddr, apexes: &[&Name]) -> String {
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
remote-control:
  control-enable: no
{zones}",
        address.ip(),
        address.port(),
    )
}
