//! Floods of handshakes, over TLS and QUIC: what is held for them is bounded, and everybody else is answered meanwhile.
//!
//! Nothing here is timed: so many connections or packets are sent, and counted.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::process::{Daemon, ask, ask_tcp, eventually, framed, query, read_message};
use super::transports::{Encrypted, connected};

const NAME: &str = "ns.example.net";
const WWW: &str = "www.example.net.";
const PATIENCE: Duration = Duration::from_secs(20);

/// `tls_handshakes` of the site.
const HANDSHAKES: usize = 32;
/// Octets that one handshake may hold: what has come of a message (34 KiB), what is on its way out, and the state.
const OF_HANDSHAKE: usize = 64 << 10;
/// Octets of a connection that has not begun one.
const OF_CONNECTION: usize = 8 << 10;
/// Octets that a process may grow by however little it is asked, such as by pages that are touched for the first time.
const ANYWAY: usize = 12 << 20;

/// A site whose limits are for everybody, with a certificate larger than what may be sent to an address that is not proven.
struct Flooded {
    encrypted: Encrypted,
    client: ClientConfig,
}

impl Flooded {
    /// `idle` is `tcp_idle`.
    fn new(idle: &str) -> Self {
        let encrypted = Encrypted::new();
        let limits = format!(
            "[limits]\nunlimited = []\ntls_handshakes = {HANDSHAKES}\ntls_handshakes_per_client = 1000\ntcp_idle = \"{idle}\"\n[health]"
        );
        encrypted.site.edit("config/concierge.toml", "[health]", &limits);
        let key = rcgen::KeyPair::generate().unwrap();
        let others = (0..300).map(|number| format!("name-{number}.example.net"));
        let params = rcgen::CertificateParams::new([NAME.to_owned()].into_iter().chain(others).collect::<Vec<_>>());
        let certificate = params.unwrap().self_signed(&key).unwrap().pem();
        encrypted.site.write("tls/tls.pem", &certificate);
        encrypted.site.write("tls/tls.key", &key.serialize_pem());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Self { encrypted, client: client.with_root_certificates(roots).with_no_client_auth() }
    }

    fn at(&self, port: u16) -> SocketAddr {
        (self.encrypted.site.net.address(1), port).into()
    }

    fn client(&self, protocol: &[u8]) -> Arc<ClientConfig> {
        let mut client = self.client.clone();
        client.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(client)
    }

    /// A connection over TLS.
    fn stream(&self, from: u8, port: u16, protocol: &[u8]) -> StreamOwned<ClientConnection, TcpStream> {
        let stream = connected(self.encrypted.site.net.address(from), self.at(port));
        StreamOwned::new(ClientConnection::new(self.client(protocol), NAME.try_into().unwrap()).unwrap(), stream)
    }

    /// One over which a query was answered.
    fn tls(&self, from: u8) -> StreamOwned<ClientConnection, TcpStream> {
        let mut stream = self.stream(from, 8853, b"dot");
        is_answered(&mut stream);
        stream
    }

    /// Queries over UDP and over TCP are answered.
    fn answers(&self) {
        let dns = self.encrypted.site.net.dns();
        assert_eq!(ask(dns, WWW, RecordType::A).answers.len(), 2);
        assert_eq!(ask_tcp(dns, WWW, RecordType::A).answers.len(), 2);
    }

    /// A metric, by its name and labels.
    fn metric(&self, name: &str) -> u64 {
        self.encrypted.site.metric(name) as u64
    }
}

fn is_answered(stream: &mut (impl Read + Write)) {
    stream.write_all(&framed(&query(7, WWW, RecordType::A))).unwrap();
    let answer = Message::from_vec(&read_message(stream).unwrap()).unwrap();
    assert_eq!(answer.answers.len(), 2, "{answer:?}");
}

/// Memory of a process, octets.
fn resident(daemon: &Daemon) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// What a client of TLS says first.
fn client_hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut hello = Vec::new();
    ClientConnection::new(config.clone(), NAME.try_into().unwrap()).unwrap().write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn a_flood_of_tls_handshakes_holds_little_and_keeps_nobody_out() {
    const FLOOD: usize = 1200;
    const OPEN: usize = 300;
    let flooded = Flooded::new("1m");
    let net = flooded.encrypted.site.net;
    let daemon = Daemon::start(&flooded.encrypted.site);
    let mut established = flooded.tls(50);
    flooded.answers();
    let before = resident(&daemon);
    let hellos = [&b"dot"[..], b"http/1.1"].map(|protocol| client_hello(&flooded.client(protocol)));
    // The start of a message of 16 MiB, in as many records as are taken of it.
    let endless: Vec<u8> = (0..2)
        .flat_map(|at| {
            [&[22, 3, 1, 0x40, 0][..], if at == 0 { &[1, 0xff, 0xff, 0xff] } else { &[0; 4] }, &[0; 16_380]].concat()
        })
        .collect();
    let garbage = [&[22, 3, 1, 1, 0][..], &[0x5a; 256]].concat();
    let mut open = VecDeque::new();
    let mut most = 0;
    for number in 0..FLOOD {
        // A hundred clients, at TLS and at HTTPS in turn.
        let (port, hello) = ([8853, 8443][number % 2], &hellos[number % 2]);
        let openings: [&[u8]; 5] = [&[], &hello[..hello.len() / 2], hello, &endless, &garbage];
        let mut stream = connected(net.address(100 + (number % 100) as u8), flooded.at(port));
        // What it does not read, it has closed.
        let _ = stream.set_nonblocking(true).and_then(|()| stream.write_all(openings[number / 2 % openings.len()]));
        open.push_back(stream);
        if open.len() > OPEN {
            open.pop_front();
        }
        if number % 40 == 0 {
            flooded.answers();
            is_answered(&mut established);
            most = most.max(resident(&daemon));
        }
        if number % 200 == 199 {
            // Newcomers who mean it are let in.
            flooded.tls(50);
        }
    }
    let grown = most.max(resident(&daemon)).saturating_sub(before);
    let bound = HANDSHAKES * 2 * OF_HANDSHAKE + OPEN * OF_CONNECTION + ANYWAY;
    let refused = ["tls", "https"]
        .map(|of| flooded.metric(&format!("refused_connections_total{{transport=\"{of}\",reason=\"handshakes\"}}")));
    let failed =
        ["tls", "https"].map(|of| flooded.metric(&format!("handshakes_total{{transport=\"{of}\",result=\"failed\"}}")));
    println!(
        "{FLOOD} connections, {OPEN} at once: {} KiB before, {} KiB more at most, of {} KiB; handshakes given up for \
         newcomers {refused:?} (TLS, HTTPS), failed {failed:?}",
        before >> 10,
        grown >> 10,
        bound >> 10
    );
    assert!(grown < bound, "{grown} octets more");
    assert!(refused.iter().all(|refused| *refused > 0), "the limit was reached: {refused:?}");
    drop(open);
    flooded.answers();
    is_answered(&mut established);
}

/// First packets of connections of QUIC that go on with nothing, from a client that means it.
fn initials(count: usize, client: Arc<ClientConfig>) -> Vec<Vec<u8>> {
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    sink.set_read_timeout(Some(PATIENCE)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).unwrap())));
    let mut known = std::collections::HashSet::new();
    let mut packets = Vec::new();
    let mut connecting = Vec::new();
    while packets.len() < count {
        connecting.push(endpoint.connect(sink.local_addr().unwrap(), NAME).unwrap());
        let mut packet = vec![0; 2048];
        let length = sink.recv(&mut packet).unwrap();
        packet.truncate(length);
        // One that is sent again has the same connection id (RFC 9000 17.2.2).
        if known.insert(packet[6..6 + usize::from(packet[5])].to_vec()) {
            packets.push(packet);
        }
    }
    packets
}

/// A client that may be anybody, and what went both ways.
struct Spoofed {
    socket: UdpSocket,
    sent: usize,
    received: usize,
    retries: usize,
}

impl Spoofed {
    fn at(flooded: &Flooded, address: u8) -> Self {
        let socket = UdpSocket::bind((flooded.encrypted.site.net.address(address), 0)).unwrap();
        socket.connect(flooded.at(8853)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, sent: 0, received: 0, retries: 0 }
    }

    fn send(&mut self, packet: &[u8]) {
        self.sent += self.socket.send(packet).unwrap();
    }

    fn receive(&mut self) {
        let mut packet = [0; 2048];
        while let Ok(length) = self.socket.recv(&mut packet) {
            self.received += length;
            // A long header of a version and of type Retry (RFC 9000 17.2.1, 17.2.5).
            self.retries += usize::from(packet[0] & 0xf0 == 0xf0 && packet[1..5] != [0; 4]);
        }
    }
}

#[test]
fn a_flood_of_quic_initials_is_not_amplified_and_keeps_nobody_out() {
    const FLOOD: usize = 400;
    let flooded = Flooded::new("10s");
    let site = &flooded.encrypted.site;
    let daemon = Daemon::start(site);
    let mut established = flooded.tls(50);
    flooded.answers();
    let initials = initials(FLOOD, flooded.client(b"doq"));
    let before = resident(&daemon);
    // One for each packet, and one for what is no connection.
    let mut clients: Vec<Spoofed> =
        (0..=FLOOD).map(|number| Spoofed::at(&flooded, 100 + (number % 100) as u8)).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut most = 0;
    for (number, initial) in initials.iter().enumerate() {
        clients[number].send(initial);
        // One that nobody could have encrypted, and one of a version that does not exist (RFC 9000 6.1).
        clients[FLOOD].send(&[&initial[..30], &[0x5a; 1170]].concat());
        clients[FLOOD].send(&[&initial[..1], &[0x1a; 4], &initial[5..]].concat());
        clients[FLOOD].receive();
        if number % 40 == 39 {
            flooded.answers();
            is_answered(&mut established);
            most = most.max(resident(&daemon));
        }
        if number % 200 == 199 {
            // A newcomer who means it is let in, by way of a Retry.
            assert_eq!(runtime.block_on(over_quic(&flooded)).answers.len(), 2);
        }
    }
    let grown = most.max(resident(&daemon)).saturating_sub(before);
    let bound = HANDSHAKES * OF_HANDSHAKE + ANYWAY;
    // What is sent for each has come when there is nothing that could be sent again.
    assert!(eventually(PATIENCE, || {
        clients.iter_mut().for_each(Spoofed::receive);
        let told = clients[..FLOOD].iter().all(|client| client.received > 0);
        told && flooded.metric("encrypted_connections{transport=\"quic\"}") == 0
    }));
    let sum = |of: fn(&Spoofed) -> usize| clients.iter().map(of).sum::<usize>();
    let (sent, received, retries) =
        (sum(|client| client.sent), sum(|client| client.received), sum(|client| client.retries));
    let handshakes = |result| flooded.metric(&format!("handshakes_total{{transport=\"quic\",result=\"{result}\"}}"));
    let (retried, failed) = (handshakes("retried"), handshakes("failed"));
    let largest = clients.iter().map(|client| client.received * 100 / client.sent).max().unwrap();
    println!(
        "{FLOOD} initials and as many of garbage and of no version: {} KiB before, {} KiB more at most, of {} KiB; \
         {received} octets for {sent}, {largest} % for one client at most; {retries} Retry packets, {failed} handshakes begun",
        before >> 10,
        grown >> 10,
        bound >> 10
    );
    assert!(grown < bound, "{grown} octets more");
    assert!(clients.iter().all(|client| client.received <= 3 * client.sent), "amplified");
    // Whoever may be anybody is told to come back, and that is all.
    assert!(largest < 100, "{largest} %");
    assert!(retries >= FLOOD && failed == 0, "{retries} {failed}");
    assert!(retried >= retries as u64, "{retried} are counted, and {retries} came");
    flooded.answers();
    is_answered(&mut established);
}

/// The answer over a connection of QUIC of its own.
async fn over_quic(flooded: &Flooded) -> Message {
    let (endpoint, connection) = connect_quic(flooded).await;
    let answer = ask_quic(&connection).await;
    connection.close(0_u32.into(), b"");
    endpoint.wait_idle().await;
    answer
}

async fn connect_quic(flooded: &Flooded) -> (quinn::Endpoint, quinn::Connection) {
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let client = QuicClientConfig::try_from(flooded.client(b"doq")).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(client)));
    let connection = endpoint.connect(flooded.at(8853), NAME).unwrap().await.unwrap();
    (endpoint, connection)
}

async fn ask_quic(connection: &quinn::Connection) -> Message {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&framed(&query(0, WWW, RecordType::A))).await.unwrap();
    send.finish().unwrap();
    Message::from_vec(&receive.read_to_end(65_537).await.unwrap()[2..]).unwrap()
}

/// What an idle connection takes of the daemon's memory, octets at most: generous, for pages are not counted by connections.
const OF_IDLE: [(&str, usize); 3] = [("TLS", 48 << 10), ("HTTPS", 96 << 10), ("QUIC", 192 << 10)];

#[test]
fn an_idle_connection_takes_little_memory() {
    const CONNECTIONS: usize = 400;
    let flooded = Flooded::new("5m");
    let daemon = Daemon::start(&flooded.encrypted.site);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let request = format!("GET /dns-query HTTP/1.1\r\nhost: {NAME}\r\n\r\n");
    let https = |from| {
        let mut stream = flooded.stream(from, 8443, b"http/1.1");
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
        stream
    };
    // The first of each touches what all have in common.
    let first = (flooded.tls(60), https(60), runtime.block_on(connect_quic(&flooded)));
    runtime.block_on(ask_quic(&first.2.1));
    let (mut tls, mut streams, mut quic) = (Vec::new(), Vec::new(), Vec::new());
    let mut taken = Vec::new();
    for (transport, most) in OF_IDLE {
        let before = resident(&daemon);
        for number in 0..CONNECTIONS {
            let from = 70 + (number % 10) as u8;
            match transport {
                "TLS" => tls.push(flooded.tls(from)),
                "HTTPS" => streams.push(https(from)),
                _ if number >= 100 => {}
                _ => {
                    let connected = runtime.block_on(connect_quic(&flooded));
                    runtime.block_on(ask_quic(&connected.1));
                    quic.push(connected);
                }
            }
        }
        let count = if transport == "QUIC" { quic.len() } else { CONNECTIONS };
        taken.push((transport, count, resident(&daemon).saturating_sub(before) / count, most));
    }
    println!("octets of an idle connection: {taken:?}");
    assert!(taken.iter().all(|(_, _, octets, most)| octets < most), "{taken:?}");
    // They are all there still.
    assert_eq!(flooded.metric("tcp_connections"), CONNECTIONS as u64 + 1);
}
