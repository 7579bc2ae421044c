//! The drain: what has arrived is answered, and nothing is left running.

use super::*;

#[test]
fn datagrams_in_the_queue_are_answered() {
    let mut server = Setting { workers: 1, ..Setting::default() }.start();
    let (busy, socket) = (server.udp(), server.udp());
    busy.send(&query(kind::WAIT_UDP, 1)).unwrap();
    UDP_GATE.wait_until_reached();
    for number in 0..100 {
        socket.send(&query(kind::PLAIN, number)).unwrap();
    }
    let drain = server.drain(PATIENCE);
    UDP_GATE.open();
    let mut answered: Vec<u32> = (0..100).map(|_| receive_udp(&socket).number).collect();
    answered.sort_unstable();
    assert_eq!(answered, (0..100).collect::<Vec<_>>());
    assert_eq!(receive_udp(&busy).number, 1);
    let drained = drain.join().unwrap();
    assert!(drained.is_complete(), "{drained}");
}

#[test]
fn idle_connections_are_closed_and_begun_queries_answered() {
    let mut server = Setting::default().start();
    let (mut idle, mut begun, mut fresh) = (server.tcp(), server.tcp(), server.tcp());
    ask(&mut idle, 1);
    ask(&mut begun, 2);
    let message = framed(&query(kind::PLAIN, 3));
    let (head, tail) = message.split_at(7);
    begun.write_all(head).unwrap();
    fresh.write_all(&framed(&query(kind::PLAIN, 4))).unwrap();
    let drain = server.drain(PATIENCE);
    assert!(is_closed(&mut idle));
    drop(idle);
    assert_eq!(receive(&mut fresh).number, 4);
    assert!(is_closed(&mut fresh));
    drop(fresh);
    assert!(!drain.is_finished());
    begun.write_all(tail).unwrap();
    assert_eq!(receive(&mut begun).number, 3);
    assert!(is_closed(&mut begun));
    drop(begun);
    let drained = drain.join().unwrap();
    assert!(drained.is_complete(), "{drained}");
}

#[test]
fn a_query_that_never_ends_is_cut_at_the_deadline() {
    let mut server = Setting::default().start();
    let mut stream = server.tcp();
    ask(&mut stream, 1);
    stream.write_all(&[0, 50, 1, 2, 3]).unwrap();
    let deadline = Duration::from_millis(300);
    let drained = server.drain(deadline).join().unwrap();
    assert_eq!((drained.connections_cut, drained.queues_cut), (1, 0));
    assert!(drained.took >= deadline);
    assert!(drained.to_string().starts_with("cut at the deadline: 1 connections, 0 UDP queues"), "{drained}");
    assert!(is_closed(&mut stream));
}

#[test]
fn without_time_only_what_owes_an_answer_counts_as_cut() {
    let mut server = Setting::default().start();
    let (mut idle, mut begun) = (server.tcp(), server.tcp());
    ask(&mut idle, 1);
    ask(&mut begun, 2);
    ask_udp(&server.udp(), 3);
    begun.write_all(&[0, 50, 1]).unwrap();
    let drained = server.drain(Duration::ZERO).join().unwrap();
    assert_eq!((drained.connections_cut, drained.queues_cut), (1, 0));
    assert!(is_closed(&mut idle) && is_closed(&mut begun));
}

#[test]
fn connections_still_to_be_accepted_are_answered() {
    let mut server = Setting { tcp_workers: 1, ..Setting::default() }.start();
    let mut busy = server.tcp();
    ask(&mut busy, 1);
    // The only worker is then inside this query.
    busy.write_all(&framed(&query(kind::WAIT_TCP, 2))).unwrap();
    TCP_GATE.wait_until_reached();
    let mut waiting: Vec<TcpStream> = (0..5).map(|_| server.tcp()).collect();
    for (number, stream) in (10..).zip(&mut waiting) {
        stream.write_all(&framed(&query(kind::PLAIN, number))).unwrap();
    }
    let drain = server.drain(PATIENCE);
    TCP_GATE.open();
    assert_eq!(receive(&mut busy).number, 2);
    for (number, mut stream) in (10..).zip(waiting) {
        assert_eq!(receive(&mut stream).number, number);
    }
    drop(busy);
    assert!(drain.join().unwrap().is_complete());
}

#[test]
fn nothing_is_left_running() {
    let mut server = Setting { workers: 3, ..Setting::default() }.start();
    let streams: Vec<TcpStream> = (0..20)
        .map(|number| {
            let mut stream = server.tcp();
            ask(&mut stream, number);
            stream
        })
        .collect();
    ask_udp(&server.udp(), 1);
    let stop = server.serving.as_ref().unwrap().stop.clone();
    // Three UDP and two TCP workers hold it, each of them its sockets as well.
    assert!(Arc::strong_count(&stop) > 5);
    let drain = server.drain(PATIENCE);
    for mut stream in streams {
        assert!(is_closed(&mut stream));
    }
    assert!(drain.join().unwrap().is_complete());
    assert_eq!(server.counters.totals().connections.open, 0);
    // Every worker held the word to stop beside its sockets; only this test still does.
    assert_eq!(Arc::strong_count(&stop), 1);
}

#[test]
fn dropped_without_a_drain_it_stops() {
    let mut server = Setting::default().start();
    let mut stream = server.tcp();
    ask(&mut stream, 1);
    let stop = server.serving.as_ref().unwrap().stop.clone();
    drop(server.serving.take());
    assert!(is_closed(&mut stream));
    until(|| Arc::strong_count(&stop) == 1);
}
