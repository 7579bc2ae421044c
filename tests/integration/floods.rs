//! Floods: what they cost is bounded (`docs/abuse.md`). Nothing here is timed.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::differential::options::query;
use crate::process::{Daemon, Site, addresses, ask, eventually, try_ask};

const WWW: &[u8] = b"\x03www\x07example\x03net\0";
const A: u16 = 1;
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything on: the tables have their memory from the start.
const LIMITS: &str = "[limits]\ntcp_connections = 100\nqueries_per_second_per_client = 50\nunlimited = []\n\
                      [rate_limit]\nresponses_per_second = 10\nipv4_prefix = 24\n";

/// Memory of the daemon, KiB.
fn resident(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends queries that no one has sent before, each from another address of 127/8, and waits until they are looked at: those
/// that the queue of the daemon's socket had no room for are lost, and sent again as others.
struct Strangers<'a> {
    site: &'a Site,
    next: u32,
}

impl Strangers<'_> {
    fn send(&mut self, count: u32, of: impl Fn(u32) -> Vec<u8>) {
        let received = || self.site.metric("queries_total{transport=\"udp\"}") as u32;
        let goal = received() + count;
        while received() < goal {
            for _ in 0..500 {
                self.next += 1;
                let number = self.next.wrapping_mul(0x9e37_79b9);
                // 127.0 to 127.99 are nobody's in these tests.
                let [a, b, c, _] = number.to_be_bytes();
                let socket = UdpSocket::bind((Ipv4Addr::new(127, a % 100, b, c.max(1)), 0)).unwrap();
                // A full queue is no matter.
                drop(socket.send_to(&of(number), self.site.net.dns()));
            }
        }
    }
}

fn random_name(number: u32) -> Vec<u8> {
    query(&[format!("\x08{number:08x}").as_bytes(), &b"\x07example\x03net\0"[..]].concat(), A, 0, b"")
}

#[test]
fn random_names_from_random_addresses_take_no_memory() {
    let site = Site::with(LIMITS);
    let daemon = Daemon::start(&site);
    let mut strangers = Strangers { site: &site, next: 0 };
    strangers.send(2_000, random_name);
    let before = resident(&daemon);
    strangers.send(20_000, random_name);
    let grown = resident(&daemon).saturating_sub(before);
    println!("20,000 random names from random addresses: {grown} KiB more");
    assert!(grown < 4 << 10, "{grown} KiB more");
    // The queue of the socket may still be full.
    let patience = Duration::from_secs(1);
    let asked = || try_ask(site.net.dns(), "www.example.net.", RecordType::A, patience);
    let mut answer = None;
    assert!(
        eventually(PATIENCE, || {
            answer = asked();
            answer.is_some()
        }),
        "others are answered"
    );
    assert_eq!(answer.map(|answer| addresses(&answer).len()), Some(2));
}

#[test]
fn connections_that_send_nothing_or_half_a_message_take_bounded_memory() {
    let site = Site::with(LIMITS);
    let daemon = Daemon::start(&site);
    let dns = site.net.dns();
    let before = resident(&daemon);
    // Half of the longest message there is.
    let half: Vec<u8> = [&[0xff, 0xff][..], &vec![0; 32 << 10]].concat();
    let mut open = std::collections::VecDeque::new();
    for number in 0..2_000_u32 {
        let stream = connect(&site, dns, number);
        if number % 2 == 0 {
            stream.set_nonblocking(true).unwrap();
            // What does not fit is not sent.
            drop((&stream).write(&half));
        }
        open.push_back(stream);
        if open.len() > 150 {
            open.pop_front();
        }
        if number % 400 == 0 {
            assert_eq!(addresses(&ask(dns, "www.example.net.", RecordType::A)).len(), 2, "answering goes on");
        }
    }
    assert!(eventually(PATIENCE, || site.metric("tcp_accepted_total") >= 2_000.0));
    assert!(eventually(PATIENCE, || site.metric("tcp_connections") <= 100.0));
    let grown = resident(&daemon).saturating_sub(before);
    println!("2,000 connections, of which 100 may be open, with half a message each: {grown} KiB more");
    // At most a message of 64 KiB for each that is open, and what an allocator leaves between them.
    assert!(grown < 16 << 10, "{grown} KiB more");
}

/// From one of many addresses.
fn connect(site: &Site, dns: SocketAddr, number: u32) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let from = site.net.address(u8::try_from(20 + number % 200).unwrap());
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&dns.into()).unwrap();
    TcpStream::from(socket)
}

#[test]
fn what_is_wrong_with_queries_is_not_logged_for_each() {
    let site = Site::with(LIMITS);
    let daemon = Daemon::start(&site);
    let dns = site.net.dns();
    let lines = || daemon.log.lock().unwrap().iter().filter(|line| line["target"] != "concierge::health").count();
    let before = lines();
    let mut strangers = Strangers { site: &site, next: 0 };
    // Not of a header's length, no question, an odd opcode, a name of no zone, and whatever the number says.
    strangers.send(10_000, |number| {
        let [a, b, c, d] = number.to_be_bytes();
        match number % 5 {
            0 => vec![a, b, c],
            1 => [&[a, b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0xc0, c, d]].concat(),
            2 => vec![a, b, c & 0x7f, d, 0, 0, 0, 0, 0, 0, 0, 0],
            3 => query(&[format!("\x08{number:08x}").as_bytes(), &b"\x03org\0"[..]].concat(), A, 0, b""),
            _ => number.to_be_bytes().repeat(10),
        }
    });
    // One network that is limited, and connections that end with what is no query.
    let flooding = UdpSocket::bind((site.net.address(9), 0)).unwrap();
    for _ in 0..2_000 {
        drop(flooding.send_to(&query(WWW, A, 0, b""), dns));
    }
    for number in 0..500 {
        drop(connect(&site, dns, number).write(&[0, 3, 1, 2, 3]));
    }
    assert!(eventually(PATIENCE, || site.metric("tcp_accepted_total") >= 500.0));
    let limited =
        || site.metric("client_limited_total{action=\"drop\"}") + site.metric("rate_limited_total{action=\"drop\"}");
    assert!(eventually(PATIENCE, || limited() > 100.0));
    let logged = lines() - before;
    println!("12,500 queries to refuse, to limit or not to read: {logged} log lines");
    assert!(logged <= 20, "{logged} lines: {:?}", daemon.log.lock().unwrap());
}
