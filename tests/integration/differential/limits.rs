//! Response rate limiting: what a flood from one network gets, and its neighbours, from this server and from Knot (`mod-rrl`)
//! and NSD. Each does it in its own way; what is observed of all is that it is done, and that random names are no way around.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::options::{CLIENT_COOKIE, COOKIE, Reaction, option, query};
use super::peers::{Kind, Peer};
use super::{Us, corpus};
use crate::process::{Net, eventually};

/// Responses a second.
const RATE: u32 = 10;

/// Queries of a flood: as many as fit into the queue of every server.
const FLOOD: usize = 150;

const A: u16 = 1;

/// What came back.
#[derive(Debug)]
struct Got {
    whole: usize,
    truncated: usize,
    nothing: usize,
    took: Duration,
}

fn bound(from: Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Sends queries, one after the other; a witness of another network, which asks after them, is answered after them, for the
/// server has one worker with one queue.
fn flood(server: SocketAddr, from: Ipv4Addr, count: usize, query_of: impl Fn(usize) -> Vec<u8>) -> Got {
    let (socket, witness) = (bound(from), bound(Net::new().address(9)));
    let begun = Instant::now();
    for number in 0..count {
        socket.send_to(&query_of(number), server).unwrap();
    }
    let mut response = [0; 1500];
    let answered = eventually(Duration::from_secs(30), || {
        witness.send_to(&query(b"\x07example\x04test\0", 6, 0, b""), server).unwrap();
        eventually(Duration::from_millis(500), || witness.recv(&mut response).is_ok())
    });
    assert!(answered, "the witness is not answered");
    let mut got = Got { whole: 0, truncated: 0, nothing: 0, took: begun.elapsed() };
    while let Ok(length) = socket.recv(&mut response) {
        let told = Reaction::of(&response[..length]);
        match told.flags & 0x02 {
            0 => got.whole += 1,
            _ => {
                assert_eq!(told.answers, 0, "TC and no records");
                got.truncated += 1;
            }
        }
    }
    got.nothing = count - got.whole - got.truncated;
    got
}

/// One name, and a name that nobody has asked for before.
fn name() -> impl Fn(usize) -> Vec<u8> {
    |_| query(b"\x03www\x07example\x04test\0", A, 0, b"")
}

fn random() -> impl Fn(usize) -> Vec<u8> {
    |number| query(&[format!("\x08rnd{number:05}").as_bytes(), b"\x03www\x07example\x04test\0"].concat(), A, 0, b"")
}

#[test]
fn a_flood_gets_its_rate_and_every_second_one_beyond_is_truncated() {
    let us = Us::start_with(&corpus(), &format!("[rate_limit]\nresponses_per_second = {RATE}\n"));
    let server = us.site.net.dns();
    let check = |got: &Got| {
        println!("here: {got:?}");
        let burst = RATE as usize;
        let most = burst + (got.took.as_secs_f64() * f64::from(RATE)) as usize + 1;
        assert!((burst..=most).contains(&got.whole), "{got:?}");
        // Counting begins anew after each that is sent whole.
        let beyond = FLOOD - got.whole;
        assert!(got.truncated <= beyond / 2 + 1 && got.truncated + got.whole >= beyond / 2 - 1, "{got:?}");
    };
    let attacked = Net::new();
    check(&flood(server, attacked.address(1), FLOOD, name()));
    // All names that do not exist are one class, and another than one that does.
    check(&flood(server, attacked.address(2), FLOOD, random()));
    // A neighbour, in the next /24.
    let got = flood(server, Net::new().address(1), 5, name());
    assert_eq!((got.whole, got.truncated), (5, 0), "{got:?}");

    // With a cookie that was learnt at this address there is no limit.
    let known = Net::new().address(1);
    let socket = UdpSocket::bind((known, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let with = |cookie: &[u8]| query(b"\x03www\x07example\x04test\0", A, 0, &option(COOKIE, cookie));
    socket.send_to(&with(&CLIENT_COOKIE), server).unwrap();
    let mut response = [0; 1500];
    let length = socket.recv(&mut response).unwrap();
    let cookie = Reaction::of(&response[..length]).option(COOKIE).unwrap().to_vec();
    let got = flood(server, known, FLOOD, |_| with(&cookie));
    assert_eq!(got.whole, FLOOD, "{got:?}");
    let got = flood(server, known, FLOOD, |_| with(&[&CLIENT_COOKIE[..], &[7; 16]].concat()));
    let most = RATE as usize + (got.took.as_secs_f64() * f64::from(RATE)) as usize + 1;
    assert!(got.whole <= most, "a made up cookie is none: {got:?}");
}

#[test]
fn knot_and_nsd_limit_the_same_floods() {
    for kind in [Kind::Knot, Kind::Nsd] {
        let peer = Peer::start_limiting(kind, &corpus(), RATE);
        let attacked = Net::new();
        for got in [
            flood(peer.address, attacked.address(1), FLOOD, name()),
            flood(peer.address, attacked.address(2), FLOOD, random()),
        ] {
            println!("{}: {got:?}", kind.name());
            assert!(got.whole > 0 && got.truncated > 0 && got.nothing > 0, "{}: {got:?}", kind.name());
        }
        let got = flood(peer.address, Net::new().address(1), 5, name());
        assert_eq!((got.whole, got.truncated), (5, 0), "{}: {got:?}", kind.name());
    }
}
