//! Hubs whose answer depends on who asks or on a draw, over real sockets.

use std::collections::BTreeMap;

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};

use super::answers::{name, over_tcp, over_udp, question, zone};
use super::*;
use crate::answer::compile::compile;
use crate::answer::snapshot::{Choice, What};
use crate::diagnostic::Source;
use crate::policy::{Answer, Endpoint, GeoEntry, GeoMap, Hub, Origin, Policy, RegionName, Selection};

/// `geo.example.` answers 192.0.2.2 to 10/8 and 192.0.2.1 to all others; `weighted.example.` draws among four.
fn first() -> Snapshot {
    let endpoint =
        |at: u8| Endpoint::new(RegionName::new(&format!("r{at}")), Answer::Addresses(vec![[192, 0, 2, at].into()]));
    let entry = GeoEntry { origin: Origin::Subnet("10.0.0.0/8".parse().unwrap()), to: vec![RegionName::new("r2")] };
    let map = GeoMap { entries: vec![entry], default: Vec::new() };
    let place = Source::new("example.toml", "[hubs]").place(1..5);
    let hub = |owner: &str, selection| {
        let endpoints = (1..=4).map(endpoint).collect();
        Arc::new(Hub { selection, ..Hub::new(name(owner), endpoints, place.clone()) })
    };
    let hubs = [hub("geo.example.", Selection::Geo(map.into())), hub("weighted.example.", Selection::Weighted)];
    let policy = Policy { hubs: hubs.map(|hub| (hub.name.clone(), hub)).into(), ..Policy::default() };
    let content = Arc::new(compile(vec![zone()], &policy).unwrap());
    Snapshot::new(1, content, Box::new([Choice::of(What::Among(0b1111)); 2])).unwrap()
}

/// A query with an OPT record of a client subnet of IPv4, 24 bits.
fn with_subnet(owner: &str, [a, b, c]: [u8; 3]) -> Vec<u8> {
    let mut query = question(owner, RecordType::A, 7);
    query[11] = 1;
    query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c]);
    query
}

/// The last octet of the address of the answer.
fn answered(response: &[u8]) -> u8 {
    let message = Message::from_vec(response).unwrap();
    let RData::A(address) = &message.answers[0].data else { panic!("no A in {message}") };
    address.0.octets()[3]
}

#[test]
fn a_client_subnet_is_taken_from_those_who_are_trusted() {
    let trusting = Setting { trust_ecs_from: vec!["127.0.0.0/8".parse().unwrap()], ..Setting::default() };
    let others = Setting { trust_ecs_from: vec!["192.0.2.0/24".parse().unwrap()], ..Setting::default() };
    let check = |server: Server, subnet, expected, option: Option<[u8; 7]>| {
        let query = with_subnet("geo.example.", subnet);
        let response = over_udp(&server.udp(), &query);
        assert_eq!(response, over_tcp(&mut server.tcp(), &query));
        assert_eq!(answered(&response), expected);
        let rdata = option.map_or(Vec::new(), |data| [&[0, 8, 0, 7][..], &data].concat());
        let opt = [&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, rdata.len() as u8][..], &rdata].concat();
        assert!(response.ends_with(&opt), "{response:?}");
    };
    check(trusting.start_real(first()), [10, 1, 2], 2, Some([0, 1, 24, 8, 10, 1, 2]));
    check(others.start_real(first()), [10, 1, 2], 1, None);
    check(Setting::default().start_real(first()), [10, 1, 2], 1, None);
}

/// Every query is drawn for, on every transport, be it that one connection brings all of them.
#[test]
fn every_query_has_a_draw_of_its_own() {
    let server = Setting::default().start_real(first());
    let (socket, mut stream) = (server.udp(), server.tcp());
    let query = question("weighted.example.", RecordType::A, 7);
    let (mut udp, mut tcp): (BTreeMap<u8, u32>, BTreeMap<u8, u32>) = Default::default();
    for _ in 0..400 {
        *udp.entry(answered(&over_udp(&socket, &query))).or_default() += 1;
        *tcp.entry(answered(&over_tcp(&mut stream, &query))).or_default() += 1;
    }
    // Each of four has 100; less than 40 would come once in 10^12 times.
    for counts in [udp, tcp] {
        assert!(counts.len() == 4 && counts.values().all(|count| *count > 40), "{counts:?}");
    }
}
