//! Files without mistakes, and what is read from them.

use super::*;

#[test]
fn the_example_is_read_whole() {
    let policy = check(EXAMPLE, &[]).unwrap();
    assert_eq!(policy.regions[&RegionName::new("northeurope")].location, Some((53.35, -6.26)));
    let probe = &policy.probes[&ProbeName::new("broker")];
    assert_eq!(probe.kind, ProbeKind::Tcp(TcpProbe::new(8883)));
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
    assert_eq!((plain.port, plain.tls.clone(), plain.path.as_str(), plain.host.clone()), (80, None, "/", None));
    assert_eq!((plain.expect.status.as_slice(), plain.expect.body.clone()), ([(200, 299)].as_slice(), None));
    let tls: HttpProbe = http("http.tls = true");
    assert_eq!((tls.port, tls.tls.is_some()), (443, true));
    assert_eq!(http("https = {}"), tls);
    let full = http(
        "https = { port = 8443, path = \"/health?deep=1\", host = \"hub.example.net\", status = [200, \"301-302\", \"404\"], body = \"ok\", ca = \"ca.pem\" }",
    );
    assert_eq!(full.expect.status, [(200, 200), (301, 302), (404, 404)]);
    assert_eq!(full.tls.unwrap().ca.as_deref(), Some(Path::new("zones/ca.pem")));
    assert_eq!(full.port, 8443);
}

#[test]
fn a_short_interval_shortens_what_is_not_written() {
    let policy = check_probe("tcp.port = 1\ninterval = \"1s\"", &[]).unwrap();
    let probe = &policy.probes[&ProbeName::new("p")];
    assert_eq!((probe.timeout, probe.confirm), (Duration::from_secs(1), Duration::from_secs(1)));
}

#[test]
fn every_kind_of_gate_has_its_meaning() {
    let gate = |keys: &str| Gate::clone(&check_gate(keys, &[]).unwrap().gates[&GateName::new("g")]);
    let ack = gate("ack = true");
    assert_eq!(
        (ack.kind, ack.interval.as_secs(), ack.timeout.as_secs(), ack.max_age.as_secs()),
        (GateKind::Ack, 30, 5, 95)
    );
    let exec = gate(
        "exec.command = [\"/usr/bin/check\", \"\", \"-x\"]\ninterval = \"1s\"\ntimeout = \"100ms\"\nmax_age = \"1s100ms\"",
    );
    let command = |program: &str, arguments: &[&str]| {
        let words = std::iter::once(program).chain(arguments.iter().copied());
        GateKind::Exec(Exec { command: words.map(String::from).collect() })
    };
    assert_eq!(exec.kind, command("/usr/bin/check", &["", "-x"]));
    assert_eq!(
        (exec.interval, exec.timeout, exec.max_age),
        (Duration::from_secs(1), Duration::from_millis(100), Duration::from_millis(1100))
    );
    // As every path of a policy file, a program is seen from the file's folder, and nothing is looked for in `PATH`.
    assert_eq!(gate("exec.command = [\"../bin/check\"]").kind, command("bin/check", &[]));
    let here =
        COMMON.to_owned() + "gates = [{gate=\"g\",on=\"both\"}]\n" + GOOD + "[gates.g]\nexec.command = [\"true\"]\n";
    let (policy, _) = read(&[Source::new("p.toml", here)], &[plain_zone()]);
    assert_eq!(policy.unwrap().gates[&GateName::new("g")].kind, command("./true", &[]));

    let http = |keys: &str| match gate(&format!("http = {{ url = \"https://a.example.net:8443/s?x=1\"{keys} }}")).kind {
        GateKind::Http(http) => http,
        other => panic!("{other:?}"),
    };
    let plain = http("");
    assert_eq!(
        (plain.url.as_str(), plain.ca, plain.status, plain.value),
        ("https://a.example.net:8443/s?x=1", None, vec![(200, 200)], None)
    );
    let full = http(", ca = \"ca.pem\", status = [204, \"300-399\"]");
    assert_eq!(
        (full.ca.as_deref(), full.status.as_slice()),
        (Some(Path::new("zones/ca.pem")), [(204, 204), (300, 399)].as_slice())
    );
    let value = |comparison: &str| http(&format!(", pointer = \"/a~1b/0\", {comparison}")).value.unwrap();
    assert_eq!(value("at_most = 60"), ("/a~1b/0".into(), Comparison::AtMost(60.0)));
    assert_eq!(value("at_least = -0.5").1, Comparison::AtLeast(-0.5));
    assert_eq!(value("at_least = 1_000.5e1").1, Comparison::AtLeast(10_005.0));
    let equals = |written: &str| match value(&format!("equals = {written}")).1 {
        Comparison::Equals(value) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(equals("\"ready\""), serde_json::json!("ready"));
    assert_eq!(equals("false"), serde_json::json!(false));
    assert_eq!(equals("0x10"), serde_json::json!(16));
    assert_eq!(equals("1.5"), serde_json::json!(1.5));
}

#[test]
fn everything_that_holds_a_move_up_has_its_meaning() {
    let hub = |keys: &str| Hub::clone(&check_moves(keys, &[]).unwrap().hubs[&name("h.example.net.")]);
    let plain = hub("");
    assert_eq!(
        (plain.gates.as_slice(), plain.flap_limit.get(), plain.flap_window),
        ([].as_slice(), 3, Duration::from_hours(1))
    );
    assert_eq!((plain.budget, plain.approvals, plain.fence.clone(), plain.canary), (None, 1, None, false));
    assert_eq!(
        (plain.ttl_min.as_secs(), plain.ttl_restore.as_secs(), plain.ttl_spread, plain.txt),
        (30, 300, 0, false)
    );
    assert_eq!(hub("ttl = \"1m\"").ttl_min.as_secs(), 60);
    let full = hub(
        "ttl_min = \"10s\"\nttl_restore = \"1m\"\nttl_spread = 20\ntxt = true\nflap_limit = 5\nflap_window = \"2h\"\n\
         budget = \"2 per day\"\napprovals = 2\ncanary = true\ngates = [{gate=\"g\",on=\"failover\",to=\"b\",\
         on_shut={proceed_after=\"10m\"}},{gate=\"g\",on=\"failback\",on_shut=\"hold\"}]\n\
         fence = { exec = { command = [\"/bin/true\"] }, timeout = \"9s\", on_failure = \"stop\" }",
    );
    assert_eq!((full.ttl_min.as_secs(), full.ttl_restore.as_secs(), full.ttl_spread, full.txt), (10, 60, 20, true));
    assert_eq!(
        (full.flap_limit.get(), full.flap_window, full.approvals, full.canary),
        (5, Duration::from_hours(2), 2, true)
    );
    assert_eq!(full.budget.map(|budget| (budget.switches.get(), budget.period)), Some((2, Duration::from_hours(24))));
    let gate_use = |on_failover, to: Option<&str>, on_shut| GateUse {
        gate: GateName::new("g"),
        on_failover,
        on_failback: !on_failover,
        to: to.map(RegionName::new),
        on_shut,
    };
    let after = OnShut::ProceedAfter(Duration::from_mins(10));
    assert_eq!(full.gates, [gate_use(true, Some("b"), after), gate_use(false, None, OnShut::Hold)]);
    let fence = full.fence.unwrap();
    assert_eq!(fence.hook, Hook::Exec(Exec { command: vec!["/bin/true".into()] }));
    assert_eq!((fence.timeout.as_secs(), fence.on_failure), (9, OnFenceFailure::Stop));
    let fence = hub("fence.http = { url = \"https://a.example.net/\", ca = \"ca.pem\" }").fence.unwrap();
    assert_eq!(fence.hook, Hook::Http { url: "https://a.example.net/".into(), ca: Some("zones/ca.pem".into()) });
    assert_eq!((fence.timeout.as_secs(), fence.on_failure), (5, OnFenceFailure::Proceed));
}

#[test]
fn rules_and_references_have_their_meaning() {
    let rule = |keys: &str| check_rule(keys, &[]).unwrap().rules[&RuleName::new("r")].clone();
    let id = |hub: &str, region: &str| EndpointId { hub: name(hub), region: RegionName::new(region) };
    let of = "of = [\"i.example.net./a\", \"H.example.net./a\"]";
    let both = BTreeSet::from([id("h.example.net.", "a"), id("i.example.net.", "a")]);
    let least = rule(&format!("at_least = 1\n{of}"));
    assert_eq!((&least.demand, least.name.as_str()), (&Demand::AtLeast(1, both.clone()), "r"));
    assert_eq!((least.place.line, least.place.column), (1, 8));
    assert_eq!(rule(&format!("at_most = 0\n{of}")).demand, Demand::AtMost(0, both));
    let gate = rule("gate = \"g\"\nhubs = [\"h.example.net.\"]\nregions = [\"b\"]").demand.clone();
    let (hubs, regions) = (BTreeSet::from([name("h.example.net.")]), BTreeSet::from([RegionName::new("b")]));
    assert_eq!(gate, Demand::Gate { gate: GateName::new("g"), hubs, regions });

    let references =
        check_reference("probe = \"q\"\ntarget = [\"192.0.2.53\", \"2001:db8::53\"]", &[]).unwrap().references;
    let shown: Vec<String> = references.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["q on 192.0.2.53, 2001:db8::53"]);
}

#[test]
fn a_shadow_is_probed_and_decides_nothing() {
    let endpoints = |second: &str| {
        let probes = "[probes.s]\ntcp.port = 2\nshadow = true\n";
        let text =
            format!("{probes}{COMMON}endpoints = [{{region=\"a\",cname=\"a.example.com.\",probe=\"p\"}},{second}]");
        let (policy, _) = read(&[Source::new(FILE, text)], &[plain_zone()]);
        let policy = policy.unwrap();
        assert!(policy.probes[&ProbeName::new("s")].shadow && !policy.probes[&ProbeName::new("p")].shadow);
        let endpoint = policy.hubs[&name("h.example.net.")].endpoints[1].clone();
        let shown = |target: Option<ProbeTarget>| target.map(|target| target.to_string()).unwrap_or_default();
        (shown(endpoint.probe), shown(endpoint.shadow))
    };
    let check = |keys: &str, probe: &str, shadow: &str| {
        assert_eq!(
            endpoints(&format!("{{region=\"b\",cname=\"b.example.com.\",{keys}}}")),
            (probe.into(), shadow.into()),
            "{keys}"
        );
    };
    check("probe=\"p\",shadow=\"s\"", "p on b.example.com.", "s on b.example.com.");
    check("probe=\"p\",shadow=\"s\",target=\"192.0.2.1\"", "p on 192.0.2.1", "s on 192.0.2.1");
    check("probe=\"s\"", "", "s on b.example.com.");
    check("shadow=\"s\",target=\"192.0.2.1\"", "", "s on 192.0.2.1");
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
