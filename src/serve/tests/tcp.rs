//! TCP: framing, order, timers, limits (RFC 7766).

use std::collections::VecDeque;
use std::net::Shutdown;
use std::sync::Mutex;
use std::thread;

use rustix::fd::{AsFd, BorrowedFd};
use socket2::{Domain, SockRef, Socket, Type};

use super::super::accept::{Accept, Arrival};
use super::super::admission::Admission;
use super::super::tcp::{Service, Workers};
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
    // Counted before it is taken down.
    until(|| server.counters.totals().connections.open == 0);
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
    until(|| {
        let connections = server.counters.totals().connections;
        (connections.accepted, connections.evicted) == (3, 1)
    });
}

#[test]
fn a_client_has_as_many_connections_as_it_may() {
    let server = Setting { per_client: 2, unlimited: Vec::new(), ..Setting::default() }.start();
    let (mut first, mut second) = (server.tcp(), server.tcp());
    ask(&mut first, 1);
    ask(&mut second, 2);
    assert!(is_closed(&mut server.tcp()));
    until(|| server.counters.totals().events(Via::Tcp, Event::RefusedClient) == 1);
    // Those that are open are not disturbed, and one that leaves makes room.
    assert_eq!(ask(&mut first, 3).number, 3);
    drop(second);
    until(|| server.counters.totals().connections.open == 1);
    assert_eq!(ask(&mut server.tcp(), 4).number, 4);
    assert_eq!(server.counters.totals().connections.evicted, 0);
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

/// What an accept that is not the listener's own does.
#[derive(Debug)]
enum Misstep {
    Fails(i32),
    Panics,
}

/// Does what it is told to, and then accepts.
#[derive(Debug)]
struct Misbehaving {
    missteps: Arc<Mutex<VecDeque<Misstep>>>,
    listener: std::net::TcpListener,
}

impl AsFd for Misbehaving {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Accept for Misbehaving {
    fn accept(&self) -> io::Result<Arrival> {
        let misstep = self.missteps.lock().unwrap().pop_front();
        match misstep {
            Some(Misstep::Fails(error)) => Err(io::Error::from_raw_os_error(error)),
            Some(Misstep::Panics) => panic!("a test asked for this panic"),
            None => Accept::accept(&self.listener),
        }
    }
}

/// One TCP worker at a listener that misbehaves, without the rest of the server.
struct Bare {
    workers: Option<Workers>,
    address: SocketAddr,
    missteps: Arc<Mutex<VecDeque<Misstep>>>,
    service: Arc<Service>,
    _publisher: Publisher,
}

impl Bare {
    fn start(missteps: impl IntoIterator<Item = Misstep>) -> Self {
        let listener = std::net::TcpListener::bind((LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        let engine = Engine { respond: stamp, ..Engine::new(Rules::sized(1232), None, Trust::default()) };
        let seats = Seats::new(10, 1, counters.clone());
        let (stop, admission) = (Stop::new(), Arc::new(Admission::default()));
        let service = Arc::new(Service { engine, idle: PATIENCE, counters, stop, seats, admission, secure: None });
        let publisher = Publisher::new(snapshot(1)).unwrap();
        let workers = Workers::start(1, &service, &publisher.readers()).unwrap();
        let missteps = Arc::new(Mutex::new(missteps.into_iter().collect()));
        workers.listeners().listen(address, Misbehaving { missteps: missteps.clone(), listener });
        Self { workers: Some(workers), address, missteps, service, _publisher: publisher }
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.service.stop.begin(Instant::now());
        self.workers.take().unwrap().join();
    }
}

#[test]
fn no_failure_to_accept_ends_the_listener() {
    let errors = [libc::EMFILE, libc::ECONNABORTED, libc::ENFILE, libc::ENOBUFS, libc::EINVAL, libc::EPROTO];
    let bare = Bare::start(errors.map(Misstep::Fails));
    let mut stream = bare.tcp();
    assert_eq!(ask(&mut stream, 1).number, 1);
    assert_eq!(bare.service.counters.totals().connections.accept_failures, 4);
    bare.service.stop.begin(Instant::now() + PATIENCE);
    assert!(is_closed(&mut stream));
}

#[test]
fn while_accepting_fails_connections_are_served() {
    let bare = Bare::start([]);
    let mut stream = bare.tcp();
    ask(&mut stream, 1);
    bare.missteps.lock().unwrap().extend((0..5).map(|_| Misstep::Fails(libc::EMFILE)));
    let mut waits = bare.tcp();
    for number in 0.. {
        assert_eq!(ask(&mut stream, number).number, number);
        if bare.missteps.lock().unwrap().is_empty() {
            break;
        }
    }
    assert_eq!(ask(&mut waits, 3).number, 3);
    assert_eq!(bare.service.counters.totals().connections.accept_failures, 5);
}

#[test]
fn a_worker_that_panics_starts_again_and_leaves_no_seat_taken() {
    let bare = Bare::start([]);
    let mut streams: Vec<TcpStream> = (0..5).map(|_| bare.tcp()).collect();
    for (number, stream) in (0..).zip(&mut streams) {
        ask(stream, number);
    }
    bare.missteps.lock().unwrap().push_back(Misstep::Panics);
    let mut survives = bare.tcp();
    assert_eq!(ask(&mut survives, 9).number, 9);
    assert!(streams.iter_mut().all(is_closed));
    until(|| {
        let totals = bare.service.counters.totals();
        (totals.restarts, totals.connections.open, bare.service.seats.taken()) == (1, 1, 1)
    });
}

#[test]
fn connections_are_closed_in_the_order_of_their_last_message() {
    let server = Setting { tcp_connections: 8, tcp_workers: 1, ..Setting::default() }.start();
    let mut streams: Vec<TcpStream> = (0..8).map(|_| server.tcp()).collect();
    // Two rounds, so that the order is that of the last message and not of the first.
    for (number, order) in [(0, [0, 1, 2, 3, 4, 5, 6, 7]), (100, [3, 0, 7, 1, 6, 2, 5, 4])] {
        for place in order {
            ask(&mut streams[place], number);
        }
    }
    let mut newcomers = Vec::new();
    for (evicted, place) in (1..).zip([3, 0, 7, 1, 6, 2, 5, 4]) {
        let mut newcomer = server.tcp();
        ask(&mut newcomer, 200);
        newcomers.push(newcomer);
        assert!(is_closed(&mut streams[place]), "{place}");
        until(|| {
            let connections = server.counters.totals().connections;
            (connections.evicted, connections.open) == (evicted, 8)
        });
    }
}

#[test]
fn the_limit_holds_for_all_workers_together() {
    let server = Setting { tcp_connections: 6, tcp_workers: 3, ..Setting::default() }.start();
    let mut streams: Vec<TcpStream> = (0..60)
        .map(|number| {
            let mut stream = server.tcp();
            ask(&mut stream, number);
            stream
        })
        .collect();
    until(|| server.counters.totals().connections.open == 6);
    until(|| {
        let connections = server.counters.totals().connections;
        (connections.accepted, connections.evicted) == (60, 54)
    });
    // The last one is always among those that stay.
    assert_eq!(ask(streams.last_mut().unwrap(), 99).number, 99);
}

#[test]
fn connections_that_stay_are_spread_over_the_workers() {
    let server = Setting { tcp_workers: 2, ..Setting::default() }.start();
    let streams: Vec<TcpStream> = (0..40)
        .map(|number| {
            let mut stream = server.tcp();
            ask(&mut stream, number);
            stream
        })
        .collect();
    let seats = &server.serving.as_ref().unwrap().seats;
    until(|| (0..2).all(|worker| seats.open(worker) >= 15));
    drop(streams);
    until(|| seats.taken() == 0);
}

#[test]
fn a_client_that_never_lets_go_leaves_turns_to_others() {
    let server = Setting { tcp_workers: 1, ..Setting::default() }.start();
    let mut greedy = server.tcp();
    let mut reading = greedy.try_clone().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let batch = framed(&query(kind::PLAIN, 0)).repeat(5000);
            while !stop.load(Ordering::Relaxed) {
                greedy.write_all(&batch).unwrap();
            }
            greedy.shutdown(Shutdown::Write).unwrap();
        });
        scope.spawn(move || while reading.read(&mut [0; 65_536]).unwrap() > 0 {});
        let mut modest: Vec<TcpStream> = (0..10).map(|_| server.tcp()).collect();
        until(|| server.counters.totals().tcp.queries > 10_000);
        for number in 0..50 {
            let before = server.counters.totals().tcp.queries;
            for stream in &mut modest {
                assert_eq!(ask(stream, number).number, number);
            }
            // It had its turns meanwhile.
            until(|| server.counters.totals().tcp.queries > before + 1000);
        }
        stop.store(true, Ordering::Relaxed);
        writing.join().unwrap();
    });
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let server = Setting::default().start();
    for number in 0..10_000 {
        assert_eq!(ask(&mut server.tcp(), number).number, number);
    }
    until(|| server.counters.totals().connections.open == 0);
    let connections = server.counters.totals().connections;
    assert_eq!((connections.accepted, connections.evicted, connections.timed_out), (10_000, 0, 0));
    assert_eq!(server.serving.as_ref().unwrap().seats.taken(), 0);
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
