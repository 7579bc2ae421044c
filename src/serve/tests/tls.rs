//! DNS over TLS: everything that holds for TCP, with records in between; handshakes; the certificate.

use std::net::Shutdown;
use std::thread;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
use socket2::{Domain, Socket, Type};

use super::credentials::{NAME, pair};
use super::*;

/// A client of one connection.
type Client<S = TcpStream> = StreamOwned<ClientConnection, S>;

const DOT: &[&[u8]] = &[b"dot"];

/// A server at which TLS is spoken.
fn server() -> Server {
    Setting { encrypted: true, ..Setting::default() }.start()
}

impl Server {
    fn tls_socket(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at(Via::Tls)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn tls(&self) -> Client {
        let config = self.credentials.as_ref().unwrap().client(DOT);
        client(self.tls_socket(), config)
    }
}

fn client<S: Read + Write>(socket: S, config: Arc<ClientConfig>) -> Client<S> {
    let connection = ClientConnection::new(config, NAME.try_into().unwrap()).unwrap();
    StreamOwned::new(connection, socket)
}

/// Hands octets over one by one.
struct OneByOne(TcpStream);

impl Read for OneByOne {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        self.0.read(octets)
    }
}

impl Write for OneByOne {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(&octets[..octets.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client that takes few octets before it has to read.
fn narrow(server: &Server) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.at(Via::Tls).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    client(stream, server.credentials.as_ref().unwrap().client(DOT))
}

fn events(server: &Server, event: Event) -> u64 {
    server.counters.totals().events(Via::Tls, event)
}

#[test]
fn a_hundred_queries_in_one_record_are_answered_in_order() {
    let server = server();
    let mut stream = server.tls();
    let queries: Vec<u8> = (0..100).flat_map(|number| framed(&query(kind::PLAIN, number))).collect();
    stream.write_all(&queries).unwrap();
    for number in 0..100 {
        assert_eq!(receive(&mut stream).number, number);
    }
    assert_eq!(stream.conn.alpn_protocol(), Some(DOT[0]));
    until(|| server.counters.totals().tls.queries == 100);
    let totals = server.counters.totals();
    assert_eq!((totals.tls.responses(), totals.tcp.queries), (100, 0));
    assert_eq!(events(&server, Event::HandshakeFull), 1);
}

#[test]
fn records_octet_by_octet_and_octets_record_by_record_are_answered() {
    let server = server();
    let config = server.credentials.as_ref().unwrap().client(DOT);
    let mut drips = client(OneByOne(server.tls_socket()), config);
    for number in 0..3 {
        assert_eq!(ask(&mut drips, number).number, number);
    }
    let mut stream = server.tls();
    for number in 0..3 {
        for octet in framed(&query(kind::PLAIN, number)) {
            stream.write_all(&[octet]).unwrap();
            stream.flush().unwrap();
        }
        assert_eq!(receive(&mut stream).number, number);
    }
}

#[test]
fn the_largest_message_in_both_directions() {
    let server = server();
    let mut stream = server.tls();
    let mut largest = query(kind::HUGE, 7);
    largest.resize(65_500, 0);
    stream.write_all(&framed(&largest)).unwrap();
    stream.write_all(&framed(&query(kind::PLAIN, 8))).unwrap();
    assert_eq!(receive(&mut stream).number, 7);
    assert_eq!(receive(&mut stream).number, 8);
}

#[test]
fn a_client_that_closed_its_side_gets_its_answers() {
    let server = server();
    let mut stream = server.tls();
    let queries: Vec<u8> = (0..50).flat_map(|number| framed(&query(kind::LONG, number))).collect();
    stream.write_all(&queries).unwrap();
    stream.write_all(&[0, 100, 1, 2, 3]).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    stream.sock.shutdown(Shutdown::Write).unwrap();
    for number in 0..50 {
        assert_eq!(receive(&mut stream).number, number);
    }
    assert!(is_closed(&mut stream));
    until(|| server.counters.totals().connections.open == 0);
}

#[test]
fn what_is_no_query_closes_after_the_answers_before_it() {
    let server = server();
    let check = |garbage: &[u8]| {
        let mut stream = server.tls();
        let mut octets: Vec<u8> = (0..10).flat_map(|number| framed(&query(kind::PLAIN, number))).collect();
        octets.extend_from_slice(garbage);
        stream.write_all(&octets).unwrap();
        for number in 0..10 {
            assert_eq!(receive(&mut stream).number, number);
        }
        // An end that is announced, and not a reset.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "after {garbage:?}");
    };
    check(&[0, 0]);
    check(&[0, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    check(&framed(&query(kind::SILENCE, 0)));
    until(|| server.counters.totals().connections.open == 0);
    let tls = server.counters.totals().tls;
    assert_eq!((tls.queries, tls.responses(), tls.silent), (33, 30, 3));
}

#[test]
fn what_is_no_tls_is_told_so() {
    let server = server();
    let mut stream = server.tls_socket();
    stream.write_all(&framed(&query(kind::PLAIN, 1))).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    // A fatal alert (RFC 8446 6).
    assert_eq!((answer.first(), answer.get(5)), (Some(&21), Some(&2)), "{answer:?}");
    until(|| events(&server, Event::HandshakeFailed) == 1);
    until(|| server.counters.totals().connections.open == 0);
}

#[test]
fn protocols_and_versions() {
    let server = server();
    let credentials = server.credentials.as_ref().unwrap();
    let asks = |config| ask(&mut client(server.tls_socket(), config), 1).number == 1;
    assert!(asks(credentials.client(&[])));
    assert!(asks(credentials.client(&[b"http/1.1", b"dot"])));
    let mut other = client(server.tls_socket(), credentials.client(&[b"h2"]));
    let refused = other.write_all(&framed(&query(kind::PLAIN, 1))).and_then(|()| other.read_exact(&mut [0]));
    assert!(refused.is_err());
    until(|| events(&server, Event::HandshakeFailed) == 1);
    let mut older = ClientConfig::clone(&credentials.client(DOT));
    let provider = older.crypto_provider().clone();
    let roots = older.clone();
    older = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    older.alpn_protocols = roots.alpn_protocols;
    let mut stream = client(server.tls_socket(), Arc::new(older));
    for number in 0..3 {
        assert_eq!(ask(&mut stream, number).number, number);
    }
    assert_eq!(stream.conn.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
}

/// Trusts everybody.
#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls_pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.verify_tls12_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[test]
fn a_client_that_comes_back_does_without_a_signature() {
    let server = server();
    let config = server.credentials.as_ref().unwrap().client(DOT);
    let mut kinds = Vec::new();
    for number in 0..3 {
        let mut stream = client(server.tls_socket(), config.clone());
        assert_eq!(ask(&mut stream, number).number, number);
        kinds.push(stream.conn.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
    until(|| (events(&server, Event::HandshakeFull), events(&server, Event::HandshakeResumed)) == (1, 2));
}

#[test]
fn without_a_complete_query_or_handshake_a_connection_is_closed() {
    let server = Setting { encrypted: true, tcp_idle: Duration::from_secs(1), ..Setting::default() }.start();
    let mut silent = server.tls_socket();
    let mut begun = server.tls_socket();
    begun.write_all(&[22, 3, 1, 0, 200, 1]).unwrap();
    let mut established = server.tls();
    // On a machine that stands still for a while it is closed in its handshake already.
    let _ = established.write_all(&[0, 40, 1, 2]);
    assert!(is_closed(&mut silent) && is_closed(&mut begun) && is_closed(&mut established));
    until(|| server.counters.totals().connections.timed_out == 3);
    until(|| server.counters.totals().connections.open == 0);
    until(|| events(&server, Event::HandshakeFailed) >= 1);
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_then_closed() {
    let server = Setting { encrypted: true, tcp_idle: Duration::from_secs(1), ..Setting::default() }.start();
    let mut stream = narrow(&server);
    // The handshake; on a machine that stands still for a while it is too late already.
    let _ = stream.conn.complete_io(&mut stream.sock);
    stream.sock.set_write_timeout(Some(PATIENCE)).unwrap();
    let batch = framed(&query(kind::LONG, 0)).repeat(100);
    // Ends only because the server closes: a server that went on reading would take this for ever.
    let start = Instant::now();
    while stream.conn.writer().write_all(&batch).is_ok() && stream.conn.write_tls(&mut stream.sock).is_ok() {
        assert!(start.elapsed() < PATIENCE);
    }
    until(|| server.counters.totals().connections.timed_out == 1);
    let tls = server.counters.totals().tls;
    assert!(tls.responses() * 502 < 8 << 20, "{} responses for a client that reads none", tls.responses());
}

#[test]
fn a_panic_costs_its_connection_alone() {
    let server = server();
    let (mut other, mut stream) = (server.tls(), server.tls());
    ask(&mut other, 1);
    ask(&mut stream, 2);
    stream.write_all(&framed(&query(kind::PANIC, 0))).unwrap();
    assert!(is_closed(&mut stream));
    until(|| server.counters.totals().restarts == 1);
    assert_eq!(ask(&mut other, 2).number, 2);
    assert_eq!(ask(&mut server.tls(), 3).number, 3);
}

#[test]
fn handshakes_of_one_client_are_bounded() {
    let setting = Setting { encrypted: true, handshakes_per_client: 3, unlimited: Vec::new(), ..Setting::default() };
    let server = setting.start();
    let mut streams: Vec<Client> = (0..3).map(|_| server.tls()).collect();
    for stream in &mut streams {
        ask(stream, 1);
    }
    // Sooner or later one is refused: faster than three a second they cannot go on.
    let refused = || events(&server, Event::RefusedHandshake);
    until(|| {
        let mut stream = server.tls();
        let _ = stream.write_all(&framed(&query(kind::PLAIN, 1))).and_then(|()| stream.read_exact(&mut [0]));
        refused() > 0
    });
    // Those that are open go on.
    assert_eq!(ask(&mut streams[0], 2).number, 2);
}

#[test]
fn of_too_many_handshakes_the_longest_leaves() {
    let setting = Setting { encrypted: true, handshakes: 4, tcp_workers: 1, ..Setting::default() };
    let server = setting.start();
    let mut established = server.tls();
    ask(&mut established, 1);
    let mut begun: Vec<TcpStream> = Vec::new();
    for count in 1..=6 {
        let mut stream = server.tls_socket();
        stream.write_all(&[22, 3, 1, 0, 200, 1]).unwrap();
        begun.push(stream);
        until(|| server.counters.totals().connections.accepted == 1 + count);
    }
    assert!(is_closed(&mut begun[0]) && is_closed(&mut begun[1]));
    until(|| events(&server, Event::RefusedHandshake) == 2);
    assert_eq!(ask(&mut established, 2).number, 2);
    assert_eq!(ask(&mut server.tls(), 3).number, 3);
}

#[test]
fn a_certificate_is_renewed_without_a_connection_being_dropped() {
    let server = server();
    let credentials = server.credentials.as_ref().unwrap();
    let mut before = server.tls();
    ask(&mut before, 1);
    let shown = |stream: &Client| stream.conn.peer_certificates().unwrap()[0].clone();
    let (first, old) = (shown(&before), credentials.client(DOT));
    let (certificate, key) = pair(2051);
    credentials.write(&certificate, &key);
    // Found by itself.
    let year_2051 = 2_556_144_000_000;
    until(|| server.counters.certificate().unwrap().expires.0 == year_2051);
    let mut after = server.tls();
    ask(&mut after, 2);
    assert_ne!(shown(&after), first);
    assert!(client(server.tls_socket(), old).write_all(&[0]).is_err());
    // One that does not fit changes nothing, and is told.
    let (_, other_key) = pair(2052);
    credentials.write(&certificate, &other_key);
    until(|| server.counters.certificate().unwrap().problem.is_some());
    let told = server.counters.certificate().unwrap();
    assert!(told.problem.unwrap().contains("is not that of the certificate"));
    assert_eq!(told.expires.0, year_2051);
    for (number, stream) in (3..).zip([&mut before, &mut after, &mut server.tls()]) {
        assert_eq!(ask(stream, number).number, number);
    }
    credentials.write(&certificate, &key);
    until(|| server.counters.certificate().unwrap().problem.is_none());
}

#[test]
fn in_the_drain_what_has_begun_is_answered_and_the_idle_are_closed() {
    let mut server = server();
    let (mut idle, mut begun, mut asked) = (server.tls(), server.tls(), server.tls());
    ask(&mut idle, 1);
    ask(&mut begun, 2);
    ask(&mut asked, 3);
    // A handshake that is under way: its query is to come.
    let mut shaking = server.tls();
    shaking.conn.write_tls(&mut shaking.sock).unwrap();
    until(|| server.counters.totals().connections.accepted == 4);
    let message = framed(&query(kind::PLAIN, 4));
    let (head, tail) = message.split_at(7);
    begun.write_all(head).unwrap();
    begun.flush().unwrap();
    let accepted_and_read = || server.counters.totals().tls.queries == 3;
    until(accepted_and_read);
    asked.write_all(&framed(&query(kind::PLAIN, 5))).unwrap();
    let drain = server.drain(PATIENCE);
    assert!(is_closed(&mut idle));
    drop(idle);
    assert_eq!(receive(&mut asked).number, 5);
    assert!(is_closed(&mut asked));
    drop(asked);
    assert!(!drain.is_finished());
    begun.write_all(tail).unwrap();
    assert_eq!(receive(&mut begun).number, 4);
    assert!(is_closed(&mut begun));
    drop(begun);
    assert_eq!(ask(&mut shaking, 6).number, 6);
    assert!(is_closed(&mut shaking));
    drop(shaking);
    let drained = drain.join().unwrap();
    assert!(drained.is_complete(), "{drained}");
}

#[test]
fn answers_that_wait_for_a_slow_client_are_made_anew_after_a_switch() {
    let mut server = server();
    let mut stream = narrow(&server);
    ask(&mut stream, 0);
    // Nothing is read, until neither side takes more: the server holds queries that it cannot answer yet.
    stream.sock.set_nonblocking(true).unwrap();
    let mut number = 1;
    let mut still = Instant::now();
    while still.elapsed() < Duration::from_millis(200) {
        if !stream.conn.wants_write() {
            stream.conn.writer().write_all(&framed(&query(kind::LONG, number))).unwrap();
            number += 1;
        }
        match stream.conn.write_tls(&mut stream.sock) {
            Ok(_) => still = Instant::now(),
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    server.publisher.publish(snapshot(2));
    // Reading and writing by turns: the server reads nothing while its answers wait.
    let mut octets = Vec::new();
    let start = Instant::now();
    while octets.len() < (number as usize - 1) * 502 {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        if stream.conn.wants_write() {
            let _ = stream.conn.write_tls(&mut stream.sock);
        }
        match stream.conn.read_tls(&mut stream.sock) {
            Ok(0) => panic!("closed"),
            Ok(_) => {
                let ready = stream.conn.process_new_packets().unwrap().plaintext_bytes_to_read();
                let end = octets.len();
                octets.resize(end + ready, 0);
                stream.conn.reader().read_exact(&mut octets[end..]).unwrap();
            }
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    let mut octets = &octets[..];
    let answers: Vec<Stamped> = (1..number).map(|_| receive(&mut octets)).collect();
    assert!(answers.iter().map(|answer| answer.number).eq(1..number));
    assert!(answers.is_sorted_by_key(|answer| answer.generation));
    let older = answers.iter().filter(|answer| answer.generation == 1).count();
    assert!(older > 0 && older < answers.len() - 10, "{older} of {}", answers.len());
}

#[test]
fn a_query_sent_after_the_acknowledgement_gets_no_older_answer() {
    use std::sync::atomic::AtomicU64;
    let mut server = server();
    let (acknowledged, stop) = (AtomicU64::new(1), AtomicBool::new(false));
    let asked: [AtomicU64; 2] = Default::default();
    thread::scope(|scope| {
        let (acknowledged, stop) = (&acknowledged, &stop);
        for asked in &asked {
            let mut stream = server.tls();
            scope.spawn(move || {
                for number in (0..).step_by(5) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let queries: Vec<u8> = (0..5).flat_map(|i| framed(&query(kind::PLAIN, number + i))).collect();
                    let promised = acknowledged.load(Ordering::SeqCst);
                    stream.write_all(&queries).unwrap();
                    for _ in 0..5 {
                        let answer = receive(&mut stream);
                        assert!(answer.generation >= promised, "{answer:?}, acknowledged {promised}");
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut generation = 1;
        let start = Instant::now();
        while generation < 1000 || asked.iter().any(|asked| asked.load(Ordering::Relaxed) < 200) {
            if start.elapsed() > PATIENCE {
                stop.store(true, Ordering::Relaxed);
                panic!("{generation} generations, {asked:?} queries");
            }
            generation += 1;
            server.publisher.publish(snapshot(generation));
            acknowledged.store(generation, Ordering::SeqCst);
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
}
