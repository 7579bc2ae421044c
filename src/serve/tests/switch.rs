//! After `publish` has returned, nobody gets an answer that is older.

use std::sync::atomic::AtomicU64;
use std::thread;

use super::*;

#[test]
fn a_query_sent_after_the_acknowledgement_gets_no_older_answer() {
    let mut server = Setting::default().start();
    let acknowledged = AtomicU64::new(1);
    let asked: [AtomicU64; 4] = Default::default();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (acknowledged, stop) = (&acknowledged, &stop);
        for (client, asked) in asked.iter().enumerate() {
            let (socket, mut stream) = (server.udp(), server.tcp());
            let over_udp = move |number| {
                let promised = acknowledged.load(Ordering::SeqCst);
                let answer = ask_udp(&socket, number);
                assert!(answer.generation >= promised, "UDP: {answer:?}, acknowledged {promised}");
            };
            let mut over_tcp = move |number| {
                let queries: Vec<u8> = (0..5).flat_map(|i| framed(&query(kind::PLAIN, number + i))).collect();
                let promised = acknowledged.load(Ordering::SeqCst);
                stream.write_all(&queries).unwrap();
                for _ in 0..5 {
                    let answer = receive(&mut stream);
                    assert!(answer.generation >= promised, "TCP: {answer:?}, acknowledged {promised}");
                }
            };
            scope.spawn(move || {
                for number in (0..).step_by(5) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if client % 2 == 0 {
                        over_udp(number)
                    } else {
                        over_tcp(number)
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut generation = 1;
        let start = Instant::now();
        while generation < 1000 || asked.iter().any(|asked| asked.load(Ordering::Relaxed) < 300) {
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
