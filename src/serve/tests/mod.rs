//! Tests over real sockets of the loopback interface.
//!
//! The engine of most of them is [`stamp`], whose response tells the generation of its snapshot and which misbehaves on
//! request; those of `answers` use the real one.

mod answers;
mod budget;
pub(super) mod credentials;
mod drain;
mod origins;
mod switch;
mod tcp;
mod tls;
mod udp;
mod web;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use self::credentials::Credentials;
use super::engine::{Engine, Outcome, Rules, Terms, Transport, Trust};
use super::*;
use crate::answer::client::Client;
use crate::answer::cookie::Cookie;
use crate::answer::publish::Publisher;
use crate::answer::snapshot::{Content, Snapshot};
use crate::dns::Rcode;

/// Every wait of a test ends here, in failure.
const PATIENCE: Duration = Duration::from_secs(20);

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running server.
struct Server {
    publisher: Publisher,
    serving: Option<Serving>,
    address: SocketAddr,
    encrypted: Vec<(Via, SocketAddr)>,
    credentials: Option<Credentials>,
    counters: Arc<Counters>,
    /// Kept for as long as the server runs: a drain waits on it.
    _runtime: Runtime,
}

/// What may differ from server to server.
struct Setting {
    ip: IpAddr,
    workers: u16,
    tcp_connections: u32,
    tcp_idle: Duration,
    tcp_workers: u16,
    busy_poll: Duration,
    trust_ecs_from: Vec<ipnet::IpNet>,
    per_client: u32,
    handshakes: u32,
    handshakes_per_client: u32,
    unlimited: Vec<ipnet::IpNet>,
    proxies: Vec<ipnet::IpNet>,
    /// Whether the encrypted listeners are there.
    encrypted: bool,
    limiter: Option<Limiter>,
    amplification: u16,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            ip: LOCALHOST,
            workers: 2,
            tcp_connections: 100,
            tcp_idle: PATIENCE * 3,
            tcp_workers: 2,
            busy_poll: Duration::ZERO,
            trust_ecs_from: Vec::new(),
            per_client: 100,
            handshakes: 100,
            handshakes_per_client: 100,
            unlimited: vec!["127.0.0.0/8".parse().unwrap()],
            proxies: Vec::new(),
            encrypted: false,
            limiter: None,
            amplification: 0,
        }
    }
}

impl Setting {
    /// With [`stamp`] for an engine.
    fn start(mut self) -> Server {
        let limiter = self.limiter.take();
        let mut engine = Engine { respond: stamp, ..Engine::new(Rules::sized(1232), None, Trust::default()) };
        self.start_from(snapshot(1), |settings, readers, counters, runtime| {
            engine.limiter = limiter.map(|limiter| Arc::new(limiter.counting(counters.actions())));
            start_with(engine, settings, readers, counters, runtime)
        })
    }

    /// As the daemon starts it.
    fn start_real(mut self, first: Snapshot) -> Server {
        let amplification = Amplification::times(self.amplification);
        let rules = Rules { nsid: Box::from(*b"ns1"), idle: 100, amplification, ..Rules::sized(1232) };
        let answering = Answering { limiter: self.limiter.take(), ..Answering::by(rules) };
        self.start_from(first, |settings, readers, counters, runtime| {
            super::start(settings, answering, readers, counters, runtime)
        })
    }

    fn start_from(
        self,
        first: Snapshot,
        start: impl FnOnce(Settings<'_>, Readers, Arc<Counters>, Handle) -> io::Result<Serving>,
    ) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let publisher = Publisher::new(first).unwrap();
        let counters = Arc::new(Counters::default());
        let encrypted = || if self.encrypted { vec![SocketAddr::new(self.ip, 0)] } else { Vec::new() };
        let listen = Listen {
            dns: vec![SocketAddr::new(self.ip, 0)],
            workers: self.workers,
            tcp_workers: self.tcp_workers,
            udp_receive_buffer: 1 << 20,
            udp_send_buffer: 1 << 20,
            busy_poll: self.busy_poll,
            tls: encrypted(),
            https: encrypted(),
            quic: encrypted(),
            https3: encrypted(),
        };
        let limits = Limits {
            max_udp_bytes: 1232,
            tcp_connections: self.tcp_connections,
            tcp_connections_per_client: self.per_client,
            tcp_idle: self.tcp_idle,
            tls_handshakes: self.handshakes,
            tls_handshakes_per_client: self.handshakes_per_client,
            https_connections: self.tcp_connections,
            quic_connections: self.tcp_connections,
            unlimited: self.unlimited,
            drain: PATIENCE,
            trust_ecs_from: self.trust_ecs_from,
            queries_per_second_per_client: 0,
            amplification: 3,
        };
        let proxy = Proxy { from: self.proxies };
        let credentials = self.encrypted.then(Credentials::make);
        let identity = credentials.as_ref().map(|credentials| Identity::load(&credentials.files()).unwrap());
        let settings = Settings {
            passed: Arc::default(),
            listen: &listen,
            limits: &limits,
            proxy: &proxy,
            identity: identity.as_ref(),
        };
        let handle = runtime.handle().clone();
        let serving = start(settings, publisher.readers(), counters.clone(), handle).unwrap();
        let address = serving.addresses()[0];
        let encrypted = serving.encrypted().to_vec();
        Server { publisher, serving: Some(serving), address, encrypted, credentials, counters, _runtime: runtime }
    }
}

impl Server {
    fn udp(&self) -> UdpSocket {
        let socket = UdpSocket::bind(SocketAddr::new(self.address.ip(), 0)).unwrap();
        socket.connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The address of an encrypted listener.
    fn at(&self, via: Via) -> SocketAddr {
        self.encrypted.iter().find(|(is, _)| *is == via).unwrap().1
    }

    /// Begins a drain on a thread of its own.
    fn drain(&mut self, deadline: Duration) -> std::thread::JoinHandle<Drained> {
        let serving = self.serving.take().unwrap();
        let stop = serving.stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serving.drain(deadline))
        });
        until(|| stop.deadline().is_some());
        thread
    }
}

fn snapshot(generation: u64) -> Snapshot {
    Snapshot::new(generation, Arc::new(Content::default()), Box::new([])).unwrap()
}

/// What [`stamp`] does with a query, by the octet after its header.
mod kind {
    pub(super) const PLAIN: u8 = b'.';
    /// A response of 500 octets.
    pub(super) const LONG: u8 = b'l';
    /// A response that fits into no datagram.
    pub(super) const HUGE: u8 = b'h';
    pub(super) const SILENCE: u8 = b's';
    pub(super) const PANIC: u8 = b'p';
    /// Answered when [`super::UDP_GATE`] opens; only one test may use it.
    pub(super) const WAIT_UDP: u8 = b'u';
    /// Answered when [`super::TCP_GATE`] opens; only one test may use it.
    pub(super) const WAIT_TCP: u8 = b't';
    /// Answered when [`super::WEB_GATE`] opens; only one test may use it.
    pub(super) const WAIT_WEB: u8 = b'w';
    /// Answered when [`super::FLOOD_GATE`] opens; only one test may use it.
    pub(super) const WAIT_FLOOD: u8 = b'f';
}

/// Holds one query up inside the engine.
struct Gate {
    reached: AtomicBool,
    open: AtomicBool,
}

static UDP_GATE: Gate = Gate { reached: AtomicBool::new(false), open: AtomicBool::new(false) };
static WEB_GATE: Gate = Gate { reached: AtomicBool::new(false), open: AtomicBool::new(false) };
static FLOOD_GATE: Gate = Gate { reached: AtomicBool::new(false), open: AtomicBool::new(false) };
static TCP_GATE: Gate = Gate { reached: AtomicBool::new(false), open: AtomicBool::new(false) };

impl Gate {
    fn pass(&self) {
        self.reached.store(true, Ordering::SeqCst);
        until(|| self.open.load(Ordering::SeqCst));
    }

    fn wait_until_reached(&self) {
        until(|| self.reached.load(Ordering::SeqCst));
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

/// Answers with the query's header, the generation, and the rest of the query.
fn stamp(snapshot: &Snapshot, query: &[u8], _: Client, _: Transport, _: &Terms<'_>, response: &mut Vec<u8>) -> Outcome {
    response.clear();
    let kind = query.get(12).copied().unwrap_or(kind::SILENCE);
    match kind {
        kind::WAIT_UDP => UDP_GATE.pass(),
        kind::WAIT_TCP => TCP_GATE.pass(),
        kind::WAIT_WEB => WEB_GATE.pass(),
        kind::WAIT_FLOOD => FLOOD_GATE.pass(),
        kind::PANIC => panic!("a test asked for this panic"),
        kind::SILENCE => return Outcome::Silence,
        _ => {}
    }
    response.extend_from_slice(&query[..12]);
    response[2] |= 0x80;
    response.extend_from_slice(&snapshot.generation.to_be_bytes());
    response.extend_from_slice(&query[12..]);
    match kind {
        kind::LONG => response.resize(500, 0),
        kind::HUGE => response.resize(65_530, 0),
        _ => {}
    }
    Outcome::Reply { rcode: Rcode::NOERROR, truncated: false, hub: None, cookie: Cookie::Absent }
}

/// A query that [`stamp`] knows, told from others by its number, of which the id is the end.
fn query(kind: u8, number: u32) -> Vec<u8> {
    let [_, _, high, low] = number.to_be_bytes();
    let mut query = vec![high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, kind];
    query.extend_from_slice(&number.to_be_bytes());
    query
}

/// What a response of [`stamp`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamped {
    generation: u64,
    number: u32,
}

fn read(response: &[u8]) -> Stamped {
    assert!(response.len() >= 25, "short response {response:?}");
    assert_eq!(response[2] & 0x80, 0x80, "no response");
    let generation = u64::from_be_bytes(response[12..20].try_into().unwrap());
    let number = u32::from_be_bytes(response[21..25].try_into().unwrap());
    assert_eq!(response[..2], number.to_be_bytes()[2..], "id of another query");
    Stamped { generation, number }
}

/// With its length, as TCP wants it.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    framed
}

fn ask(stream: &mut (impl Read + Write), number: u32) -> Stamped {
    stream.write_all(&framed(&query(kind::PLAIN, number))).unwrap();
    receive(stream)
}

fn receive(stream: &mut impl Read) -> Stamped {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut response).unwrap();
    read(&response)
}

/// Whether the server has closed the connection, in whatever way, without another octet.
fn is_closed(stream: &mut impl Read) -> bool {
    match stream.read(&mut [0]) {
        Ok(octets) => octets == 0,
        // Over TLS, an end that nobody announced.
        Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof),
    }
}

fn ask_udp(socket: &UdpSocket, number: u32) -> Stamped {
    socket.send(&query(kind::PLAIN, number)).unwrap();
    receive_udp(socket)
}

fn receive_udp(socket: &UdpSocket) -> Stamped {
    let mut response = [0; 1232];
    let octets = socket.recv(&mut response).unwrap();
    read(&response[..octets])
}

/// Waits for a condition.
#[track_caller]
fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}
