//! The real engine over real sockets: the same answers on every transport, and switches that nobody is behind.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::AtomicU64;
use std::thread;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name as HickoryName, RData, RecordType};

use super::*;
use crate::answer::compile::compile;
use crate::answer::snapshot::Choice;
use crate::diagnostic::Place;
use crate::dns::{Name, Rtype};
use crate::policy::{Answer, Endpoint, Hub, Policy, RegionName};
use crate::zone::store::{Tree, tree_of};

/// Endpoints of the hub: the one that is answered tells the generation.
const ENDPOINTS: u16 = 1000;

pub(super) fn name(text: &str) -> Name {
    Name::parse(text, None).unwrap()
}

/// `example.`, with `big.example.` that fits into no datagram.
pub(super) fn zone() -> Tree {
    let mut soa = [name("ns.example.").wire(), name("hostmaster.example.").wire()].concat();
    soa.extend_from_slice(&[0, 0, 0, 1].repeat(5));
    let text: Vec<Box<[u8]>> = (0..20).map(|i| [&[101, i][..], &[b'x'; 100]].concat().into_boxed_slice()).collect();
    let mut records = Vec::new();
    let mut add = |owner: &str, rtype, rdatas: Vec<Box<[u8]>>| {
        records.extend(rdatas.into_iter().map(|rdata| (name(owner), rtype, 300, rdata)));
    };
    add("example.", Rtype::SOA, vec![soa.into()]);
    add("example.", Rtype::NS, vec![name("ns.example.").wire().into()]);
    add("ns.example.", Rtype::A, vec![Box::new([192, 0, 2, 53])]);
    add("big.example.", Rtype::TXT, text);
    tree_of(&name("example."), &records)
}

fn policy() -> Policy {
    let endpoints = (0..ENDPOINTS)
        .map(|i| Endpoint::new(RegionName::new(&format!("r{i}")), Answer::Cname(name(&format!("r{i}.elsewhere.")))))
        .collect();
    let place = Place { path: PathBuf::from("example.toml").into(), line: 1, column: 1, width: 1, text: String::new() };
    let hub = Hub::new(name("hub.example."), endpoints, place);
    Policy { hubs: [(hub.name.clone(), Arc::new(hub))].into(), ..Policy::default() }
}

fn server() -> (Server, Arc<Content>) {
    let content = Arc::new(compile(vec![zone()], &policy()).unwrap());
    let first = choosing(&content, 1);
    (Setting::default().start_real(first), content)
}

/// The snapshot of a generation answers the endpoint of its number.
fn choosing(content: &Arc<Content>, generation: u64) -> Snapshot {
    let endpoint = Choice::endpoint(u16::try_from(generation).unwrap());
    Snapshot::new(generation, content.clone(), Box::new([endpoint])).unwrap()
}

pub(super) fn question(owner: &str, rtype: RecordType, id: u16) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = id;
    message.add_query(Query::query(HickoryName::from_str(owner).unwrap(), rtype));
    message.to_vec().unwrap()
}

pub(super) fn over_udp(socket: &UdpSocket, query: &[u8]) -> Vec<u8> {
    socket.send(query).unwrap();
    let mut response = vec![0; 65_535];
    let octets = socket.recv(&mut response).unwrap();
    response.truncate(octets);
    response
}

pub(super) fn over_tcp(stream: &mut (impl Read + Write), query: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(query)).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut response).unwrap();
    response
}

/// The generation that the hub's answer tells.
fn generation(response: &[u8]) -> u64 {
    let message = Message::from_vec(response).unwrap();
    let RData::CNAME(target) = &message.answers[0].data else { panic!("no CNAME in {message}") };
    let label = target.0.to_string();
    label.trim_start_matches('r').split('.').next().unwrap().parse().unwrap()
}

#[test]
fn every_transport_gives_the_same_answer_and_it_is_counted_by_rcode() {
    let (server, _content) = server();
    let (socket, mut stream) = (server.udp(), server.tcp());
    let mut check = |owner, rtype, expected| {
        let query = question(owner, rtype, 4711);
        let response = over_udp(&socket, &query);
        assert_eq!(response, over_tcp(&mut stream, &query));
        let message = Message::from_vec(&response).unwrap();
        assert_eq!((message.metadata.id, message.metadata.response_code), (4711, expected), "{owner}");
    };
    check("hub.example.", RecordType::A, ResponseCode::NoError);
    check("ns.example.", RecordType::A, ResponseCode::NoError);
    check("none.example.", RecordType::A, ResponseCode::NXDomain);
    check("elsewhere.", RecordType::A, ResponseCode::Refused);
    let expected = [("NOERROR", 2), ("NXDOMAIN", 1), ("REFUSED", 1)];
    until(|| {
        let totals = server.counters.totals();
        [totals.udp, totals.tcp].iter().all(|messages| messages.by_rcode().filter(|(_, count)| *count > 0).eq(expected))
    });
}

#[test]
fn what_fits_into_no_datagram_is_truncated_and_comes_whole_over_tcp() {
    let (server, _content) = server();
    let query = question("big.example.", RecordType::TXT, 1);
    let message = Message::from_vec(&over_udp(&server.udp(), &query)).unwrap();
    assert!(message.metadata.truncation);
    let message = Message::from_vec(&over_tcp(&mut server.tcp(), &query)).unwrap();
    assert!(!message.metadata.truncation);
    assert_eq!(message.answers.len(), 20);
    until(|| {
        let totals = server.counters.totals();
        (totals.tcp.responses(), totals.udp.truncated) == (1, 1)
    });
    assert_eq!(server.counters.totals().tcp.truncated, 0);
}

#[test]
fn no_client_is_behind_an_acknowledged_switch() {
    let (mut server, content) = server();
    let acknowledged = AtomicU64::new(1);
    let asked: [AtomicU64; 2] = Default::default();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (acknowledged, stop) = (&acknowledged, &stop);
        for asked in &asked {
            let (socket, mut stream) = (server.udp(), server.tcp());
            scope.spawn(move || {
                for id in (0..=u16::MAX).cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                    let query = question("hub.example.", RecordType::A, id);
                    let promised = acknowledged.load(Ordering::SeqCst);
                    let got = generation(&over_udp(&socket, &query));
                    assert!(got >= promised, "UDP: {got}, acknowledged {promised}");
                    let promised = acknowledged.load(Ordering::SeqCst);
                    let got = generation(&over_tcp(&mut stream, &query));
                    assert!(got >= promised, "TCP: {got}, acknowledged {promised}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        for generation in 2..u64::from(ENDPOINTS) {
            server.publisher.publish(choosing(&content, generation));
            acknowledged.store(generation, Ordering::SeqCst);
            // Now and then everybody asks before it goes on.
            let least = generation / 10;
            while asked.iter().any(|asked| asked.load(Ordering::Relaxed) < least) {
                if start.elapsed() > PATIENCE {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{generation} generations, {asked:?} queries");
                }
                thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
