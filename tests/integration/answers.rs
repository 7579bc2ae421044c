//! What depends on who asks: how resolvers come back after a switch.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::process::{Net, QUICK, Site, Up, eventually, framed, query, read_message, request};

const HUB: &str = "hub.example.net.";
const API: &str = "api.example.net.";
const SOON: Duration = Duration::from_secs(30);

/// Resolvers that ask over UDP, and the one that asks over TCP: the last octets of their addresses.
const UDP: std::ops::Range<u8> = 31..37;
const TCP: u8 = 37;
const ALL: u64 = 7;

/// A site that watches one of `scale` resolvers, whose first hub has a TTL that no test lives through.
fn site(scale: u32) -> Site {
    let site = Site::new(QUICK);
    site.edit("config/concierge.toml", "[health]", &format!("[statistics]\nresolvers = {scale}\n[health]"));
    // A resolver's queries go to whichever worker the kernel chooses.
    site.edit("config/concierge.toml", "workers = 1", "workers = 2");
    let policy = std::fs::read_to_string(site.path("zones/example.net.toml")).unwrap();
    site.write("zones/example.net.toml", &policy.replacen("ttl = \"5s\"", "ttl = \"2h\"", 1));
    site
}

/// The TTL that the resolver with this address is given.
fn ask(net: Net, last: u8, hub: &str) -> u32 {
    let message = query(rand::random(), hub, RecordType::A);
    let response = match last {
        TCP => over_tcp(net.address(last), net.dns(), &message),
        _ => {
            let socket = UdpSocket::bind((net.address(last), 0)).unwrap();
            socket.set_read_timeout(Some(SOON)).unwrap();
            socket.send_to(&message, net.dns()).unwrap();
            let mut response = [0; 1232];
            let octets = socket.recv(&mut response).unwrap();
            response[..octets].to_vec()
        }
    };
    Message::from_vec(&response).unwrap().answers[0].ttl
}

fn over_tcp(from: Ipv4Addr, server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(SOON)).unwrap();
    std::io::Write::write_all(&mut stream, &framed(message)).unwrap();
    read_message(&mut stream).unwrap()
}

fn resolvers(site: &Site, hub: &str) -> Value {
    let (status, body) = request(&site.socket(), "GET", &format!("/v1/hubs/{hub}/resolvers"), "").unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

/// What became of the resolvers at the last switch: `held`, `on_time`, `late`, `outstanding`, `overdue`.
fn last(site: &Site, hub: &str) -> [u64; 5] {
    let resolvers = resolvers(site, hub);
    ["held", "on_time", "late", "outstanding", "overdue"].map(|key| resolvers["switches"][0][key].as_u64().unwrap())
}

/// What a worker notes of an answer over TCP it notes when that is written: the client may be told first.
#[track_caller]
fn until(site: &Site, hub: &str, expected: [u64; 5]) {
    assert!(eventually(SOON, || last(site, hub) == expected), "{}", resolvers(site, hub));
}

#[test]
fn resolvers_that_come_back_after_a_switch_are_told_from_those_that_do_not() {
    let up = Up::of(site(1));
    let (site, net) = (&up.site, up.site.net);
    for last in UDP.chain([TCP]) {
        assert_eq!((ask(net, last, HUB), ask(net, last, API)), (7200, 5));
    }
    assert!(eventually(SOON, || resolvers(site, HUB)["sampled"] == ALL && resolvers(site, API)["sampled"] == ALL));
    let before = resolvers(site, HUB);
    assert_eq!(
        (&before["epoch"], &before["scale"], &before["switches"]),
        (&1.into(), &1.into(), &Value::Array(vec![]))
    );
    assert!(site.ok(&["resolvers", HUB]).contains("has not switched"));

    site.ok(&["mark", "westeurope", "down", "--reason", "test"]);
    until(site, HUB, [ALL, 0, 0, ALL, 0]);
    // Two come back in time, over UDP and over TCP, and ask once more.
    for last in [31, TCP, 31] {
        ask(net, last, HUB);
    }
    until(site, HUB, [ALL, 2, 0, ALL - 2, 0]);
    let text = site.ok(&["resolvers", HUB]);
    assert!(text.starts_with("hub.example.net.: 5 of 7 resolvers have not come back"), "{text}");
    assert!(text.contains("the last TTL is over in 1 h"), "{text}");
    let json: Value = serde_json::from_str(&site.ok(&["resolvers", HUB, "--output", "json"])).unwrap();
    assert_eq!(json["switches"], resolvers(site, HUB)["switches"]);
    assert_eq!(json["switches"][0]["epoch"], 2);

    // The other hub's TTL ends, and three come back late.
    until(site, API, [ALL, 0, 0, ALL, ALL]);
    for last in [31, 32, TCP] {
        ask(net, last, API);
    }
    until(site, API, [ALL, 0, 3, ALL - 3, ALL - 3]);
    let late = resolvers(site, API)["switches"][0]["late_by"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| bucket["resolvers"].as_u64().unwrap())
        .sum::<u64>();
    assert_eq!(late, 3);
    assert!(resolvers(site, API)["switches"][0]["overrun"]["max"].as_f64().unwrap() > 0.0);
    let text = site.ok(&["resolvers", API]);
    assert!(
        text.contains("4 of 7 resolvers have not come back") && text.contains("the last on-time return was due"),
        "{text}"
    );

    // The metrics hold all hubs together.
    let (_, metrics) = request(&site.socket(), "GET", "/metrics", "").unwrap();
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("concierge_resolver_overrun_seconds_count 5\n"), "{metrics}");
    assert!(metrics.contains("concierge_resolver_overrun_seconds_bucket{le=\"0.0\"} 2\n"), "{metrics}");
    assert!(metrics.contains("concierge_resolver_overrun_seconds_bucket{le=\"+Inf\"} 5\n"), "{metrics}");

    // A second switch: who has not come back from the first is outstanding at both.
    site.ok(&["unmark", "westeurope"]);
    site.ok(&["failback", HUB]);
    until(site, HUB, [ALL, 0, 0, ALL, 0]);
    ask(net, 31, HUB);
    until(site, HUB, [ALL, 1, 0, ALL - 1, 0]);
    let switches = resolvers(site, HUB)["switches"].clone();
    assert_eq!((&switches[0]["epoch"], &switches[1]["epoch"]), (&3.into(), &2.into()));
    assert_eq!((&switches[1]["on_time"], &switches[1]["outstanding"]), (&2.into(), &(ALL - 2).into()));

    let (status, body) = request(&site.socket(), "GET", "/v1/hubs/none.example.net./resolvers", "").unwrap();
    assert_eq!((status, &body["error"]["message"]), (404, &"there is no hub none.example.net.".into()));
}

#[test]
fn nobody_is_watched_where_that_is_off() {
    let up = Up::of(site(0));
    let (site, net) = (&up.site, up.site.net);
    for last in UDP {
        ask(net, last, HUB);
    }
    site.ok(&["mark", "westeurope", "down", "--reason", "test"]);
    ask(net, 31, HUB);
    let found = resolvers(site, HUB);
    assert_eq!((&found["scale"], &found["sampled"], &found["switches"][0]["held"]), (&0.into(), &0.into(), &0.into()));
    assert!(site.ok(&["resolvers", HUB]).contains("resolvers are not watched"));
}
