//! What depends on who asks, and what hubs say of themselves.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::process::{Daemon, Net, QUICK, Site, Up, eventually, framed, query, read_message, request};

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
        _ => over_udp(net.address(last), net.dns(), &message),
    };
    Message::from_vec(&response).unwrap().answers[0].ttl
}

fn over_udp(from: Ipv4Addr, server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.send_to(message, server).unwrap();
    let mut response = [0; 1232];
    let octets = socket.recv(&mut response).unwrap();
    response[..octets].to_vec()
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
        assert_eq!(ask(net, last, HUB), 7200);
    }
    assert!(eventually(SOON, || resolvers(site, HUB)["sampled"] == ALL), "{}", resolvers(site, HUB));
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

    // A second switch: who has not come back from the first is outstanding at both.
    site.ok(&["unmark", "westeurope"]);
    site.ok(&["mark", "northeurope", "down", "--reason", "test"]);
    until(site, HUB, [ALL, 0, 0, ALL, 0]);
    ask(net, 31, HUB);
    until(site, HUB, [ALL, 1, 0, ALL - 1, 0]);
    let switches = resolvers(site, HUB)["switches"].clone();
    assert_eq!((&switches[0]["epoch"], &switches[1]["epoch"]), (&3.into(), &2.into()));
    assert_eq!((&switches[1]["on_time"], &switches[1]["outstanding"]), (&2.into(), &(ALL - 2).into()));

    let (status, body) = request(&site.socket(), "GET", "/v1/hubs/none.example.net./resolvers", "").unwrap();
    assert_eq!(status, 404);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("no hub `none.example.net.`; "), "{message}");
}

#[test]
fn resolvers_that_come_back_after_their_ttl_are_late() {
    let up = Up::of(site(1));
    let (site, net) = (&up.site, up.site.net);
    // Until all hold an answer at the switch: on a slow machine its TTL may be over before.
    let mut regions = ["westeurope", "northeurope"].into_iter().cycle();
    let switched = eventually(2 * SOON, || {
        let active = regions.next().unwrap();
        for last in UDP.chain([TCP]) {
            assert_eq!(ask(net, last, API), 5);
        }
        site.ok(&["mark", active, "down", "--reason", "test"]);
        site.ok(&["unmark", active]);
        last(site, API)[0] == ALL
    });
    assert!(switched, "{}", resolvers(site, API));
    until(site, API, [ALL, 0, 0, ALL, ALL]);
    let metric = |name: &str| {
        let (_, metrics) = request(&site.socket(), "GET", "/metrics", "").unwrap();
        let line =
            metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        line.unwrap_or_else(|| panic!("no {name}: {metrics}"))
    };
    let before = metric("concierge_resolver_overrun_seconds_count");
    for last in [31, 32, TCP] {
        ask(net, last, API);
    }
    until(site, API, [ALL, 0, 3, ALL - 3, ALL - 3]);
    let switch = resolvers(site, API)["switches"][0].clone();
    let buckets = switch["late_by"].as_array().unwrap().iter();
    assert_eq!(buckets.map(|bucket| bucket["resolvers"].as_u64().unwrap()).sum::<u64>(), 3);
    assert!(switch["overrun"]["max"].as_f64().unwrap() > 0.0);
    let text = site.ok(&["resolvers", API]);
    assert!(text.contains("4 of 7 resolvers have not come back"), "{text}");
    assert!(text.contains("the last on-time return was due"), "{text}");
    // An entry changes just before it is counted.
    assert!(eventually(SOON, || metric("concierge_resolver_overrun_seconds_count") - before == 3.0));
    assert_eq!(metric("concierge_resolver_overrun_seconds_bucket{le=\"+Inf\"}") - before, 3.0);
    assert!(metric("concierge_resolver_overrun_seconds_bucket{le=\"0.0\"}") <= before);
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

/// One network, one TTL: whichever transport, port or worker, and after a restart.
#[test]
fn a_resolver_has_a_ttl_of_its_own() {
    let site = site(8);
    site.edit("zones/example.net.toml", "ttl = \"2h\"", "ttl = \"2h\"\nttl_spread = 50");
    let up = Up::of(site);
    let net = up.site.net;
    let ttls = || -> Vec<u32> {
        let of = |last: u8| {
            let (from, message) = (net.address(last), query(7, HUB, RecordType::A));
            let response = over_udp(from, net.dns(), &message);
            assert_eq!(response, over_tcp(from, net.dns(), &message));
            assert_eq!(response, over_udp(from, net.dns(), &message));
            assert_eq!(ask(net, last, API), 5);
            Message::from_vec(&response).unwrap().answers[0].ttl
        };
        UDP.map(of).collect()
    };
    let first = ttls();
    assert!(first.iter().all(|ttl| (3601..=7200).contains(ttl)), "{first:?}");
    let different: std::collections::BTreeSet<&u32> = first.iter().collect();
    assert!(different.len() > 1, "{first:?}");
    let explained = up.site.ok(&["explain", HUB]);
    assert!(explained.contains("lower by up to 50 % (ttl_spread)"), "{explained}");
    let Up { site, daemon, weu: _weu, neu: _neu } = up;
    daemon.kill();
    let _daemon = Daemon::start(&site);
    assert_eq!(ttls(), first);
}

#[test]
fn a_hub_says_which_region_is_active_since_when_and_at_which_epoch() {
    let site = site(8);
    site.edit("zones/example.net.toml", "ttl = \"2h\"", "ttl = \"2h\"\ntxt = true");
    let up = Up::of(site);
    let (site, net) = (&up.site, up.site.net);
    let text = || {
        let message = query(7, "_concierge.hub.example.net.", RecordType::TXT);
        let response = over_udp(net.address(31), net.dns(), &message);
        assert_eq!(response, over_tcp(net.address(31), net.dns(), &message));
        let message = Message::from_vec(&response).unwrap();
        assert!(message.metadata.authoritative);
        let [record] = &*message.answers else { panic!("{message}") };
        assert_eq!(record.ttl, 5);
        record.data.to_string()
    };
    let expected = |region: &str, epoch: u64| {
        let since = site.hub(HUB)["since"].as_u64().unwrap();
        let since = jiff::Timestamp::from_second(i64::try_from(since / 1000).unwrap()).unwrap();
        format!("region={region} epoch={epoch} since={since}")
    };
    assert_eq!(text(), expected("westeurope", 1));
    // When the command returns, nothing older is answered, neither of the hub nor of what tells of it.
    site.ok(&["mark", "westeurope", "down", "--reason", "test"]);
    assert_eq!(text(), expected("northeurope", 2));
    let explained = site.ok(&["explain", "_concierge.hub.example.net."]);
    assert!(explained.contains("it tells of the hub hub.example.net. (txt = true)"), "{explained}");
    assert!(explained.contains(&expected("northeurope", 2)), "{explained}");

    // A record in the zone file at that name is in its way, and the running answers stay.
    site.edit("zones/example.net.zone", "www IN A 192.0.2.1\n", "www IN A 192.0.2.1\n_concierge.hub IN TXT \"mine\"\n");
    let refused = site.run(&["reload"]);
    assert_eq!(refused.code, Some(78), "{refused:?}");
    for part in [
        "hub `hub.example.net.` has `txt`, but the zone has TXT at `_concierge.hub.example.net.`",
        "example.net.zone:6",
    ] {
        assert!(refused.err.contains(part), "{refused:?}");
    }
    assert_eq!(text(), expected("northeurope", 2));
}
