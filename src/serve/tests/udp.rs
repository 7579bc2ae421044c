//! UDP: every datagram is answered to its sender, whatever stands beside it in the batch.

use std::net::Ipv6Addr;
use std::thread;

use super::*;

#[test]
fn many_clients_at_once_each_get_their_own_answers() {
    for ip in [LOCALHOST, IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let server = Setting { ip, ..Setting::default() }.start();
        thread::scope(|scope| {
            for client in 0..8 {
                let socket = server.udp();
                scope.spawn(move || {
                    for round in 0..50 {
                        // A few at a time, so that batches form and nothing overflows.
                        let numbers: Vec<u32> = (0..10).map(|i| (client << 16) + round * 10 + i).collect();
                        for &number in &numbers {
                            socket.send(&query(kind::PLAIN, number)).unwrap();
                        }
                        let mut answered: Vec<u32> = numbers.iter().map(|_| receive_udp(&socket).number).collect();
                        answered.sort_unstable();
                        assert_eq!(answered, numbers);
                    }
                });
            }
        });
        // Each is counted by itself, after the answer has gone.
        until(|| {
            let udp = server.counters.totals().udp;
            (udp.queries, udp.responses(), udp.by_rcode().next()) == (4000, 4000, Some(("NOERROR", 4000)))
        });
        let udp = server.counters.totals().udp;
        assert_eq!((udp.unsent, udp.silent, udp.unreadable), (0, 0, 0));
    }
}

#[test]
fn what_cannot_be_answered_costs_no_other_its_answer() {
    let server = Setting { workers: 1, ..Setting::default() }.start();
    let (good, bad) = (server.udp(), server.udp());
    for round in 0..20 {
        for number in 0..5 {
            good.send(&query(kind::PLAIN, round * 5 + number)).unwrap();
        }
        bad.send(&query(kind::HUGE, 0)).unwrap();
        bad.send(&query(kind::SILENCE, 0)).unwrap();
        bad.send(&[]).unwrap();
        bad.send(&[0; 5000]).unwrap();
        good.send(&query(kind::LONG, 1000 + round)).unwrap();
        let mut answered: Vec<u32> = (0..6).map(|_| receive_udp(&good).number).collect();
        answered.sort_unstable();
        assert_eq!(
            answered,
            [0, 1, 2, 3, 4].map(|i| round * 5 + i).into_iter().chain([1000 + round]).collect::<Vec<_>>()
        );
    }
    // Of the one that is too long the header is read.
    let expected = (20 * 10, 20 * 7, 20, 60, 0);
    let seen = || {
        let udp = server.counters.totals().udp;
        (udp.queries, udp.responses(), udp.unsent, udp.silent, udp.unreadable)
    };
    until(|| seen() == expected);
}

#[test]
fn a_worker_that_polls_answers_and_stops() {
    let mut server = Setting { busy_poll: Duration::from_millis(1), ..Setting::default() }.start();
    let socket = server.udp();
    for number in 0..100 {
        assert_eq!(ask_udp(&socket, number).number, number);
    }
    // Beyond the polling, when the worker sleeps.
    thread::sleep(Duration::from_millis(20));
    assert_eq!(ask_udp(&socket, 100).number, 100);
    assert!(server.drain(PATIENCE).join().unwrap().is_complete());
}

#[test]
fn what_the_kernel_drops_is_counted_and_the_buffers_granted_are_told() {
    let server = Setting { workers: 1, ..Setting::default() }.start();
    until(|| server.counters.totals().udp_sockets.open == 1);
    let udp = server.counters.totals().udp_sockets;
    assert!(udp.receive_buffer > 0 && udp.send_buffer > 0, "{udp:?}");
    // The worker is in the engine, and the queue overflows.
    let socket = server.udp();
    socket.send(&query(kind::WAIT_FLOOD, 0)).unwrap();
    FLOOD_GATE.wait_until_reached();
    for _ in 0..20_000 {
        // A full buffer of our own is no matter.
        let _ = socket.send(&query(kind::SILENCE, 0));
    }
    until(|| server.counters.totals().udp_sockets.dropped > 0);
    FLOOD_GATE.open();
    assert_eq!(receive_udp(&socket).number, 0);
}

#[test]
fn a_worker_that_panics_starts_again_with_its_socket() {
    let server = Setting { workers: 1, ..Setting::default() }.start();
    let socket = server.udp();
    for round in 1..=3 {
        socket.send(&query(kind::PANIC, 0)).unwrap();
        until(|| server.counters.totals().restarts == u64::from(round));
        assert_eq!(ask_udp(&socket, round).number, round);
    }
}

#[test]
fn a_panic_does_not_hold_up_the_next_switch() {
    let mut server = Setting { workers: 1, ..Setting::default() }.start();
    let socket = server.udp();
    socket.send(&query(kind::PANIC, 0)).unwrap();
    until(|| server.counters.totals().restarts == 1);
    server.publisher.publish(snapshot(2));
    assert_eq!(ask_udp(&socket, 1).generation, 2);
}
