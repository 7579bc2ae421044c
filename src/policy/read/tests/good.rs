//! Files without mistakes, and what is read from them.

use super::*;

#[test]
fn the_example_is_read_whole() {
    let policy = check(EXAMPLE, &[]).unwrap();
    assert_eq!(policy.regions[&RegionName::new("northeurope")].location, Some((53.35, -6.26)));
    let probe = &policy.probes[&ProbeName::new("broker")];
    assert_eq!(probe.kind, ProbeKind::Tcp(TcpProbe { port: 8883 }));
    assert_eq!((probe.interval.as_secs(), probe.timeout.as_secs(), probe.confirm.as_secs()), (5, 2, 1));
    assert_eq!((probe.fall.get(), probe.rise.get()), (3, 5));
    let hub = &policy.hubs[&name("hub.example.net.")];
    assert_eq!((hub.ttl.as_secs(), hub.dwell.as_secs(), hub.rto), (30, 60, None));
    assert_eq!((hub.failback, &hub.when_all_down), (Failback::Manual, &WhenAllDown::Keep));
    assert_eq!((hub.place.line, hub.place.column), (15, 7));
    let regions: Vec<_> = hub.endpoints.iter().map(|endpoint| endpoint.region.as_str()).collect();
    assert_eq!(regions, ["westeurope", "northeurope"]);
    let first = &hub.endpoints[0];
    assert_eq!(first.answer, Answer::Cname(name("hub-weu.azure-devices.net.")));
    assert_eq!(first.probe.as_ref().unwrap().target, Target::Host(name("hub-weu.azure-devices.net.")));
}

#[test]
fn every_key_of_a_hub_has_its_meaning() {
    let policy = check(
        &format!(
            "{COMMON}ttl = \"5s\"\ndwell = \"0s\"\nrto = \"2m\"\nfailback = {{ after = \"15m\" }}\n\
             when_all_down = {{ region = \"b\" }}\nendpoints = [\n\
             {{ region = \"a\", addresses = [\"192.0.2.1\", \"2001:db8::1\"], probe = \"p\" }},\n\
             {{ region = \"b\", records = [\"TXT \\\"x\\\"\", \"MX 10 m.example.com.\"], probe = \"p\", target = \"m.example.com.\" }},\n]"
        ),
        &[],
    );
    let hub = &policy.unwrap().hubs[&name("H.example.NET.")];
    assert_eq!((hub.ttl.as_secs(), hub.dwell, hub.rto), (5, Duration::ZERO, Some(Duration::from_mins(2))));
    assert_eq!(hub.failback, Failback::After(Duration::from_mins(15)));
    assert_eq!(hub.when_all_down, WhenAllDown::Region(RegionName::new("b")));
    assert_eq!(hub.endpoints[0].answer.rrsets().len(), 2);
    assert!(matches!(&hub.endpoints[0].probe.as_ref().unwrap().target, Target::Addresses(list) if list.len() == 2));
    let rrsets = hub.endpoints[1].answer.rrsets();
    assert_eq!(rrsets.iter().map(|rrset| rrset.rtype).collect::<Vec<_>>(), [Rtype::MX, Rtype::TXT]);
    assert_eq!(*rrsets[0].rdatas[0], *b"\0\x0a\x01m\x07example\x03com\0");
    assert_eq!(*rrsets[1].rdatas[0], *b"\x01x");
}

#[test]
fn an_http_probe_has_defaults() {
    let http = |keys: &str| {
        let policy = check_probe(keys, &[]).unwrap();
        match &policy.probes[&ProbeName::new("p")].kind {
            ProbeKind::Http(http) => http.clone(),
            other => panic!("{other:?}"),
        }
    };
    let plain = http("http = {}");
    assert_eq!((plain.port, plain.tls, plain.path.as_str(), plain.host.clone()), (80, false, "/", None));
    assert_eq!((plain.expect.status.as_slice(), plain.expect.body.clone()), ([(200, 299)].as_slice(), None));
    let tls: HttpProbe = http("http.tls = true");
    assert_eq!((tls.port, tls.tls), (443, true));
    assert_eq!(http("https = {}"), tls);
    let full = http(
        "https = { port = 8443, path = \"/health?deep=1\", host = \"hub.example.net\", status = [200, \"301-302\", \"404\"], body = \"ok\", ca = \"ca.pem\" }",
    );
    assert_eq!(full.expect.status, [(200, 200), (301, 302), (404, 404)]);
    assert_eq!(full.ca.as_deref(), Some(Path::new("zones/ca.pem")));
    assert_eq!(full.port, 8443);
}

#[test]
fn a_short_interval_shortens_what_is_not_written() {
    let policy = check_probe("tcp.port = 1\ninterval = \"1s\"", &[]).unwrap();
    let probe = &policy.probes[&ProbeName::new("p")];
    assert_eq!((probe.timeout, probe.confirm), (Duration::from_secs(1), Duration::from_secs(1)));
}

#[test]
fn files_merge_in_any_order() {
    let (hub, rest) = EXAMPLE.split_at(EXAMPLE.find("[regions").unwrap());
    for order in [[hub, rest], [rest, hub]] {
        let sources = order.map(|text| Source::new(FILE, text));
        let (policy, problems) = read(&sources, &[plain_zone()]);
        assert_eq!(lines(&problems), [""; 0]);
        assert_eq!(policy.unwrap().hubs.len(), 1);
    }
}

#[test]
fn nothing_is_a_policy() {
    assert!(read(&[], &[]).0.is_some());
    check("", &[]);
}
