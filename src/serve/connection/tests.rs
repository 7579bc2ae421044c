use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::super::engine::{Outcome, Rules, Terms, Trust};
use super::*;
use crate::answer::cookie::Cookie;
use crate::answer::publish::Publisher;
use crate::answer::snapshot::{Content, Snapshot};
use crate::dns::Rcode;

/// Answers with the first two octets.
fn echo(_: &Snapshot, query: &[u8], _: Client, _: Transport, _: &Terms<'_>, response: &mut Vec<u8>) -> Outcome {
    response.clear();
    response.extend_from_slice(&query[..2]);
    Outcome::Reply { rcode: Rcode::NOERROR, truncated: false, hub: None, cookie: Cookie::Absent }
}

/// A connection, its client, and the desk with what publishes to it.
fn connected() -> (Connection, UnixStream, Desk, Publisher) {
    let (client, server) = UnixStream::pair().unwrap();
    client.set_nonblocking(true).unwrap();
    server.set_nonblocking(true).unwrap();
    let first = Snapshot::new(1, Arc::new(Content::default()), Box::new([])).unwrap();
    let publisher = Publisher::new(first).unwrap();
    let engine = Engine { respond: echo, ..Engine::new(Rules::sized(512), None, Trust::default()) };
    let admission = Arc::new(Admission::default());
    let desk = Desk::new(engine, Lots::from(0), publisher.readers().reader(), Arc::default(), admission.clone());
    let arrival = Arrival { socket: server.into(), peer: std::net::Ipv4Addr::LOCALHOST.into() };
    (Connection::new(arrival, false, &admission).unwrap(), client, desk, publisher)
}

fn message(number: u8, length: u16) -> Vec<u8> {
    let mut message = length.to_be_bytes().to_vec();
    message.resize(2 + usize::from(length), number);
    message
}

fn received(client: &mut UnixStream) -> Vec<u8> {
    let mut octets = Vec::new();
    // Ends where nothing more is there.
    let _ = client.read_to_end(&mut octets);
    octets
}

#[test]
fn queries_are_answered_wherever_the_stream_is_split() {
    let stream = [message(1, 12), message(2, 40), message(3, 700), message(4, 13)].concat();
    let expected = [[0, 2, 1, 1], [0, 2, 2, 2], [0, 2, 3, 3], [0, 2, 4, 4]].concat();
    for split in 0..=stream.len() {
        let (mut connection, mut client, mut desk, _publisher) = connected();
        for part in [&stream[..split], &stream[split..]] {
            client.write_all(part).unwrap();
            assert_eq!(connection.turn(&mut desk).next, Next::Input, "split at {split}");
        }
        assert_eq!(received(&mut client), expected, "split at {split}");
        assert_eq!(connection.octets(), 0, "split at {split}");
        assert_eq!(desk.tally.queries, 4);
    }
}

#[test]
fn octet_by_octet_no_more_is_held_than_twice_what_came() {
    let (mut connection, mut client, mut desk, _publisher) = connected();
    let stream = message(7, 5000);
    let (last, before) = stream.split_last().unwrap();
    for (octets, octet) in (1..).zip(before) {
        client.write_all(&[*octet]).unwrap();
        assert_eq!(connection.turn(&mut desk), Turn { completed: false, next: Next::Input });
        assert!(connection.is_busy());
        assert!(connection.octets() <= 2 * octets + size_of::<Held>() + 16, "{} for {octets}", connection.octets());
    }
    client.write_all(&[*last]).unwrap();
    assert_eq!(connection.turn(&mut desk), Turn { completed: true, next: Next::Input });
    assert_eq!(received(&mut client), [0, 2, 7, 7]);
    assert_eq!(connection.octets(), 0);
    assert!(!connection.is_busy());
}

#[test]
fn between_messages_a_connection_is_its_record() {
    // With the whole address of an IPv6 client: a cookie is made for it (RFC 9018 4.4).
    assert!(size_of::<Connection>() <= 40, "{}", size_of::<Connection>());
    let (mut connection, mut client, mut desk, _publisher) = connected();
    for length in [12, 600, 65_535, 13] {
        client.set_nonblocking(false).unwrap();
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&message(9, length)).unwrap());
            let mut octets = [0; 4];
            client.set_nonblocking(true).unwrap();
            while client.read_exact(&mut octets).is_err() {
                connection.turn(&mut desk);
            }
            assert_eq!(octets, [0, 2, 9, 9]);
        });
        assert_eq!(connection.octets(), 0, "after {length}");
    }
}

#[test]
fn a_turn_is_bounded() {
    let (mut connection, mut client, mut desk, _publisher) = connected();
    client.write_all(&message(1, 12).repeat(5000)).unwrap();
    let mut before = 0;
    loop {
        let turn = connection.turn(&mut desk);
        assert!(desk.tally.queries - before <= (INPUT / 14 + 1) as u64);
        before = desk.tally.queries;
        received(&mut client);
        if turn.next == Next::Input {
            break;
        }
        assert!(matches!(turn.next, Next::Again | Next::Space), "{turn:?}");
    }
    assert_eq!(before, 5000);
}

#[test]
fn nothing_is_read_while_output_waits() {
    let (mut connection, mut client, mut desk, _publisher) = connected();
    let batch = message(1, 12).repeat(100);
    // Until neither side takes more.
    let mut turn = Turn { completed: false, next: Next::Again };
    let mut sent = 0;
    loop {
        match client.write(&batch) {
            Ok(octets) => sent += octets,
            Err(_) if turn.next == Next::Space => break,
            Err(_) => {}
        }
        turn = connection.turn(&mut desk);
    }
    assert!(connection.octets() <= 2 * (INPUT + SHORT) + 4096, "{}", connection.octets());
    assert_eq!(connection.turn(&mut desk), Turn { completed: false, next: Next::Space });
    let mut answers = 0;
    while answers < sent / 14 {
        answers += received(&mut client).len() / 4;
        connection.turn(&mut desk);
    }
}

#[test]
fn the_end_of_the_client_is_found_with_its_last_query_or_after() {
    let (mut connection, mut client, mut desk, _publisher) = connected();
    client.write_all(&message(1, 12)).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    connection.ended = true;
    assert_eq!(connection.turn(&mut desk), Turn { completed: true, next: Next::Over });
    assert_eq!(received(&mut client), [0, 2, 1, 1]);
    let (mut connection, client, mut desk, _publisher) = connected();
    drop(client);
    assert_eq!(connection.turn(&mut desk), Turn { completed: false, next: Next::Over });
}
