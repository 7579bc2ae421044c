//! After `publish` has returned, nobody gets an answer that is older.

use std::sync::atomic::AtomicU64;
use std::thread;

use super::*;

#[test]
fn a_query_sent_after_the_acknowledgement_gets_no_older_answer() {
    let mut server = Setting::default().start();
    let acknowledged = AtomicU64::new(1);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (acknowledged, stop) = (&acknowledged, &stop);
        let mut clients = Vec::new();
        for _ in 0..2 {
            let (socket, mut stream) = (server.udp(), server.tcp());
            clients.push(scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let promised = acknowledged.load(Ordering::SeqCst);
                    let answer = ask_udp(&socket, number);
                    assert!(answer.generation >= promised, "UDP: {answer:?}, acknowledged {promised}");
                    number += 1;
                }
                number
            }));
            clients.push(scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let promised = acknowledged.load(Ordering::SeqCst);
                    let queries: Vec<u8> = (0..5).flat_map(|i| framed(&query(kind::PLAIN, number + i))).collect();
                    stream.write_all(&queries).unwrap();
                    for _ in 0..5 {
                        let answer = receive(&mut stream);
                        assert!(answer.generation >= promised, "TCP: {answer:?}, acknowledged {promised}");
                    }
                    number += 5;
                }
                number
            }));
        }
        let start = Instant::now();
        let mut generation = 1;
        while start.elapsed() < Duration::from_millis(700) {
            generation += 1;
            server.publisher.publish(snapshot(generation));
            acknowledged.store(generation, Ordering::SeqCst);
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 10, "a client that hardly asked proves nothing");
        }
        assert!(generation > 100, "{generation} switches prove little");
    });
}

#[test]
fn answers_that_wait_for_a_slow_client_are_made_anew_after_a_switch() {
    let mut server = Setting::default().start();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    // Nothing is read, until neither side takes more: the server holds queries that it cannot answer yet.
    stream.set_nonblocking(true).unwrap();
    let mut octets = Vec::new();
    let mut sent = 0;
    let mut number = 0;
    let mut still = Instant::now();
    while still.elapsed() < Duration::from_millis(200) {
        if sent == octets.len() {
            octets.extend_from_slice(&framed(&query(kind::LONG, number)));
            number += 1;
        }
        match stream.write(&octets[sent..]) {
            Ok(count) => {
                sent += count;
                still = Instant::now();
            }
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    server.publisher.publish(snapshot(2));
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let finish = thread::spawn(move || writing.write_all(&octets[sent..]).unwrap());
    let answers: Vec<Stamped> = (0..number).map(|_| receive(&mut stream)).collect();
    finish.join().unwrap();
    assert!(answers.iter().map(|answer| answer.number).eq(0..number));
    assert!(answers.is_sorted_by_key(|answer| answer.generation));
    let older = answers.iter().filter(|answer| answer.generation == 1).count();
    let handed_over = server.counters.totals().tcp.responses();
    assert!(older > 0 && older < answers.len() - 10, "{older} of {} ({handed_over})", answers.len());
}
