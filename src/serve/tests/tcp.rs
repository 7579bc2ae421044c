//! TCP: framing, order, timers, limits (RFC 7766).

use std::collections::VecDeque;
use std::net::Shutdown;
use std::sync::Mutex;
use std::thread;

use socket2::{Domain, SockRef, Socket, Type};

use super::super::seats::Seats;
use super::super::stop::Stop;
use super::super::tcp::{Accept, Listener};
use super::*;

/// A client that takes few octets before it has to read.
fn narrow(server: &Server) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn a_hundred_queries_in_one_segment_are_answered_in_order() {
    let server = Setting::default().start();
    let mut stream = server.tcp();
    let queries: Vec<u8> = (0..100).flat_map(|number| framed(&query(kind::PLAIN, number))).collect();
    stream.write_all(&queries).unwrap();
    for number in 0..100 {
        assert_eq!(receive(&mut stream).number, number);
    }
    until(|| server.counters.totals().tcp.queries == 100);
    assert_eq!(server.counters.totals().tcp.responses(), 100);
}

#[test]
fn queries_octet_by_octet_are_answered() {
    let server = Setting::default().start();
    let mut stream = server.tcp();
    for number in 0..3 {
        for octet in framed(&query(kind::PLAIN, number)) {
            stream.write_all(&[octet]).unwrap();
        }
        assert_eq!(receive(&mut stream).number, number);
    }
}

#[test]
fn the_largest_message_in_both_directions() {
    let server = Setting::default().start();
    let mut stream = server.tcp();
    let mut largest = query(kind::HUGE, 7);
    largest.resize(65_500, 0);
    stream.write_all(&framed(&largest)).unwrap();
    stream.write_all(&framed(&query(kind::PLAIN, 8))).unwrap();
    assert_eq!(receive(&mut stream).number, 7);
    assert_eq!(receive(&mut stream).number, 8);
}

#[test]
fn a_client_that_closed_its_side_gets_its_answers() {
    let server = Setting::default().start();
    let mut stream = server.tcp();
    let queries: Vec<u8> = (0..50).flat_map(|number| framed(&query(kind::LONG, number))).collect();
    stream.write_all(&queries).unwrap();
    stream.write_all(&[0, 100, 1, 2, 3]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    for number in 0..50 {
        assert_eq!(receive(&mut stream).number, number);
    }
    assert!(is_closed(&mut stream));
    until(|| server.counters.totals().connections.open == 0);
}

#[test]
fn what_is_no_query_closes_after_the_answers_before_it() {
    let server = Setting::default().start();
    let check = |garbage: &[u8]| {
        let mut stream = server.tcp();
        let mut octets: Vec<u8> = (0..10).flat_map(|number| framed(&query(kind::PLAIN, number))).collect();
        octets.extend_from_slice(garbage);
        // More than is read at once.
        octets.extend_from_slice(&framed(&query(kind::PLAIN, 99)).repeat(1000));
        stream.write_all(&octets).unwrap();
        for number in 0..10 {
            assert_eq!(receive(&mut stream).number, number);
        }
        // An end in order and not a reset, although there is input that was not answered.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "after {garbage:?}");
        assert_eq!(stream.take_error().unwrap().map(|error| error.kind()), None, "after {garbage:?}");
    };
    check(&[0, 0]);
    check(&[0, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    check(&framed(&query(kind::SILENCE, 0)));
    until(|| server.counters.totals().connections.open == 0);
    let tcp = server.counters.totals().tcp;
    assert_eq!((tcp.queries, tcp.responses(), tcp.silent), (33, 30, 3));
}

#[test]
fn a_connection_without_a_complete_query_is_closed_however_busy() {
    let idle = Duration::from_millis(150);
    let server = Setting { tcp_idle: idle, ..Setting::default() }.start();
    let mut silent = server.tcp();
    let mut drips = server.tcp();
    let start = Instant::now();
    // An octet far more often than the idle time, until the server has had enough.
    let message = framed(&[0; 4000]);
    let sent = message.iter().take_while(|octet| {
        thread::sleep(Duration::from_millis(10));
        drips.write_all(&[**octet]).is_ok()
    });
    assert!(sent.count() < message.len());
    assert!(start.elapsed() >= idle);
    assert!(is_closed(&mut silent));
    until(|| server.counters.totals().connections.timed_out == 2);
    assert_eq!(server.counters.totals().connections.open, 0);
}

#[test]
fn complete_queries_keep_a_connection() {
    let idle = Duration::from_secs(1);
    let server = Setting { tcp_idle: idle, ..Setting::default() }.start();
    let mut stream = server.tcp();
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < idle * 3 / 2 {
        assert_eq!(ask(&mut stream, number).number, number);
        number += 1;
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_then_closed() {
    let server = Setting { tcp_idle: Duration::from_millis(300), ..Setting::default() }.start();
    let mut stream = narrow(&server);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let batch = framed(&query(kind::LONG, 0)).repeat(100);
    // Ends only because the server closes: a server that went on reading would take this for ever.
    let start = Instant::now();
    while stream.write_all(&batch).is_ok() {
        assert!(start.elapsed() < PATIENCE);
    }
    until(|| server.counters.totals().connections.timed_out == 1);
    let tcp = server.counters.totals().tcp;
    assert!(tcp.responses() * 502 < 8 << 20, "{} responses for a client that reads none", tcp.responses());
}

#[test]
fn a_client_that_reads_late_gets_every_answer_once_and_in_order() {
    let server = Setting::default().start();
    let mut stream = narrow(&server);
    let mut sender = stream.try_clone().unwrap();
    let count = 20_000;
    let writing = thread::spawn(move || {
        for first in (0..count).step_by(100) {
            let queries: Vec<u8> = (first..first + 100).flat_map(|number| framed(&query(kind::LONG, number))).collect();
            sender.write_all(&queries).unwrap();
        }
    });
    // No octet is read until the server has had to stop.
    let handed_over = || server.counters.totals().tcp.responses();
    let mut before = handed_over();
    loop {
        thread::sleep(Duration::from_millis(20));
        let after = handed_over();
        if after > 0 && after == before {
            break;
        }
        before = after;
    }
    for number in 0..count {
        assert_eq!(receive(&mut stream).number, number);
    }
    writing.join().unwrap();
    until(|| handed_over() == u64::from(count));
}

#[test]
fn at_the_limit_the_connection_that_waits_longest_makes_room() {
    let server = Setting { tcp_connections: 2, ..Setting::default() }.start();
    let (mut first, mut second) = (server.tcp(), server.tcp());
    ask(&mut first, 1);
    ask(&mut second, 2);
    ask(&mut first, 3);
    let mut third = server.tcp();
    assert_eq!(ask(&mut third, 4).number, 4);
    assert!(is_closed(&mut second));
    assert_eq!(ask(&mut first, 5).number, 5);
    until(|| server.counters.totals().connections.open == 2);
    let connections = server.counters.totals().connections;
    assert_eq!((connections.accepted, connections.evicted), (3, 1));
}

#[test]
fn a_panic_costs_its_connection_alone() {
    let server = Setting::default().start();
    let (mut other, mut stream) = (server.tcp(), server.tcp());
    ask(&mut other, 1);
    stream.write_all(&framed(&query(kind::PANIC, 0))).unwrap();
    assert!(is_closed(&mut stream));
    until(|| server.counters.totals().restarts == 1);
    assert_eq!(ask(&mut other, 2).number, 2);
    assert_eq!(ask(&mut server.tcp(), 3).number, 3);
}

/// Fails as often as it is told to before each connection.
struct Failing {
    errors: Arc<Mutex<VecDeque<i32>>>,
    listener: tokio::net::TcpListener,
}

impl Accept for Failing {
    async fn accept(&mut self) -> io::Result<tokio::net::TcpStream> {
        let error = self.errors.lock().unwrap().pop_front();
        match error {
            Some(error) => Err(io::Error::from_raw_os_error(error)),
            None => Accept::accept(&mut self.listener).await,
        }
    }

    fn close(self) -> Vec<tokio::net::TcpStream> {
        self.listener.close()
    }
}

#[test]
fn no_failure_to_accept_ends_the_listener() {
    let server = Setting::default().start();
    let listener = std::net::TcpListener::bind((LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let stop = Stop::new();
    let errors = [libc::EMFILE, libc::ECONNABORTED, libc::ENFILE, libc::ENOBUFS, libc::EINVAL, libc::EPROTO];
    let counters = Arc::new(Counters::default());
    let task = {
        let _runtime = server.runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let engine = Engine { respond: stamp, limits: ResponseLimits { max_udp_bytes: 1232 } };
        let service = Service { engine, idle: PATIENCE, counters: counters.clone(), stop: stop.clone() };
        let seats = Seats::new(10, counters.clone());
        let source = Failing { errors: Arc::new(Mutex::new(errors.into())), listener };
        let readers = server.publisher.readers();
        server.runtime.spawn(Listener { address, service: Arc::new(service), seats, readers }.run(source))
    };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(ask(&mut stream, 1).number, 1);
    assert_eq!(counters.totals().connections.accept_failures, 4);
    stop.begin(Instant::now() + PATIENCE);
    assert!(is_closed(&mut stream));
    drop(stream);
    server.runtime.block_on(task).unwrap();
}

#[test]
fn a_reset_while_waiting_ends_the_connection() {
    let server = Setting::default().start();
    let mut stream = server.tcp();
    ask(&mut stream, 1);
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    until(|| server.counters.totals().connections.open == 0);
    assert_eq!(server.counters.totals().connections.timed_out, 0);
}
