//! Whole files in, problems out.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::super::{
    Answer, ClientCertificate, Comparison, Demand, DialFrom, DnsProbe, EndpointId, Exec, Failback, FieldValue, Gate,
    GateKind, GateName, GateUse, Hook, HttpProbe, HttpVersion, Hub, Method, OnFenceFailure, OnShut, Origin, Prefixes,
    ProbeKind, ProbeName, ProbeTarget, RegionName, Secret, Selection, Target, TcpProbe, TlsSettings, WhenAllDown,
};
use super::*;
use crate::cli::render::render;
use crate::dns::{Rcode, Rtype};

mod barriers;
mod brokers;
mod composites;
mod docs;
mod endpoints;
mod gates;
mod good;
mod hubs;
mod names;
mod objective;
mod placement;
mod probes;
mod references;
mod rules;
mod selection;
mod shadows;
mod texts;
mod together;

/// The kinds of probes, as sentences name them.
const KINDS: &str = "`tcp`, `tls`, `http`, `https`, `mqtt`, `amqp`, `grpc`, `dns`, `icmp`, `exec`, `push`, `composite`";

const FILE: &str = "zones/example.net.toml";

/// One hub, two regions, one probe.
const EXAMPLE: &str = r#"
[probes.broker]
tcp = { port = 8883 }
interval = "5s"          # jittered by 10 %, spread over the interval at start
timeout = "2s"
fall = 3                 # failures in a row before an endpoint that is up goes down
confirm = "1s"           # interval used while an observation contradicts the health
rise = 5                 # successes in a row before an endpoint that is down comes up

[regions.westeurope]
location = [52.37, 4.89]
[regions.northeurope]
location = [53.35, -6.26]

[hubs."hub.example.net."]
policy = "priority"
ttl = "30s"
endpoints = [
  { region = "westeurope",  cname = "hub-weu.azure-devices.net.", probe = "broker" },
  { region = "northeurope", cname = "hub-neu.azure-devices.net.", probe = "broker" },
]
failback = "manual"      # manual | { after = "15m" }
"#;

/// Every key that holds a move up, or says what is looked at around one.
const GUARDED: &str = r#"
[probes.broker]
tcp = { port = 8883 }
[probes.dns]
tcp = { port = 53 }
interval = "1s"
timeout = "500ms"
[probes.new]
http = { path = "/health" }
shadow = true

[references.resolver]
probe = "dns"
target = ["192.0.2.53", "2001:db8::53"]

[gates.registry]
http = { url = "https://registry.example.net/neu", status = [200], pointer = "/lag", at_most = 60, ca = "ca.pem" }
interval = "30s"
timeout = "5s"
max_age = "2m"
[gates.merged]
exec = { command = ["/usr/local/bin/merged", "weu"] }
[gates.window]
ack = true

[rules.capacity]
at_least = 1
of = ["a.example.net./weu", "b.example.net./weu"]
[rules.freeze]
gate = "window"
hubs = ["a.example.net."]
regions = ["neu"]

[regions]
weu = {}
neu = {}

[hubs."a.example.net."]
ttl = "30s"
ttl_min = "10s"
ttl_restore = "5m"
ttl_spread = 20
txt = true
gates = [ { gate = "registry", on = "failover", to = "neu", on_shut = "hold" },
          { gate = "merged", on = "failback", on_shut = { proceed_after = "10m" } } ]
flap_limit = 3
flap_window = "1h"
budget = "2 per day"
approvals = 2
fence = { http = { url = "https://weu.example.net/fence" }, timeout = "5s", on_failure = "proceed" }
canary = true
endpoints = [
  { region = "weu", cname = "a-weu.example.org.", probe = "broker", shadow = "new" },
  { region = "neu", cname = "a-neu.example.org.", probe = "broker" },
]
[hubs."b.example.net."]
budget = { switches = 1, per = "week" }
endpoints = [
  { region = "weu", cname = "b-weu.example.org.", probe = "broker" },
  { region = "neu", cname = "b-neu.example.org.", probe = "broker" },
]
"#;

/// One hub of each policy, and one inside another.
const STATELESS: &str = r#"
[geo]
database = "GeoLite2-City.mmdb"
asn = "GeoLite2-ASN.mmdb"
[probes.p]
tcp = { port = 8883 }
[regions.weu]
location = [52.37, 4.89]
[regions.neu]
location = [53.35, -6.26]

[hubs."weighted.example.net."]
policy = "weighted"
when_all_down = "all"
endpoints = [
  { region = "weu", cname = "weu.example.org.", probe = "p", weight = 3 },
  { region = "neu", hub = "all.example.net.", weight = 0 },
]
[hubs."geo.example.net."]
policy = "geo"
map = [
  { subnet = "192.0.2.0/24", to = ["weu"] },
  { subnet = "2001:db8::/32", to = ["neu"] },
  { asn = 64500, to = ["neu"] },
  { country = "DE", to = ["weu", "neu"] },
  { continent = "EU", to = ["weu"] },
]
default = ["neu", "weu"]
when_all_down = { region = "neu" }
endpoints = [
  { region = "weu", cname = "weu.example.org.", probe = "p" },
  { region = "neu", cname = "neu.example.org.", probe = "p" },
]
[hubs."nearest.example.net."]
policy = "nearest"
ttl_min = "10s"
endpoints = [
  { region = "weu", cname = "weu.example.org.", probe = "p" },
  { region = "neu", cname = "neu.example.org.", probe = "p" },
]
[hubs."all.example.net."]
policy = "all"
most = 2
endpoints = [
  { region = "weu", addresses = ["192.0.2.1"], probe = "p" },
  { region = "neu", addresses = ["192.0.2.2"], probe = "p" },
]
[hubs."sticky.example.net."]
policy = "sticky"
prefixes = { ipv4 = 20, ipv6 = 48 }
endpoints = [
  { region = "weu", cname = "weu.example.org.", probe = "p" },
  { region = "neu", hub = "weighted.example.net." },
]
"#;

/// What the tests of one hub share.
const COMMON: &str = "[probes.p]\ntcp.port = 1\n[regions]\na = {}\nb = {}\n[hubs.\"h.example.net.\"]\n";

fn name(text: &str) -> Name {
    Name::parse(text, None).unwrap()
}

/// A zone with SOA and NS at its apex and these records: owner, type and, for a CNAME, target.
fn zone(apex: &str, records: &[(&str, Rtype)]) -> Zone {
    let apex = name(apex);
    let own = [(apex.clone(), Rtype::SOA), (apex.clone(), Rtype::NS)];
    let records = records.iter().map(|(owner, rtype)| (name(owner), *rtype));
    let target = name("h.example.net.");
    let record = |(owner, rtype)| {
        let rdata: &[u8] = if rtype == Rtype::CNAME { target.wire() } else { b"" };
        (owner, rtype, 60, rdata.into())
    };
    let records: Vec<_> = own.into_iter().chain(records).map(record).collect();
    Zone::of_records(&apex, "zones/example.net.zone", &records)
}

fn plain_zone() -> Zone {
    zone("example.net.", &[])
}

fn lines(problems: &[Diagnostic]) -> Vec<String> {
    let line = |problem: &Diagnostic| problem.to_string().strip_prefix(&format!("{FILE}:")).unwrap().to_owned();
    problems.iter().map(line).collect()
}

/// Reads one file and compares its problems, each as `line:column: severity: message (hint: ...)`.
#[track_caller]
fn check_in(zones: &[Zone], text: &str, expected: &[&str]) -> Option<Policy> {
    let (policy, problems) = read(&[Source::new(FILE, text)], zones);
    assert_eq!(lines(&problems), expected, "{text}");
    assert_eq!(policy.is_some(), !expected.iter().any(|line| line.contains(": error: ")), "{text}");
    policy
}

/// [`check_in`] the zone `example.net.` with nothing in it.
#[track_caller]
fn check(text: &str, expected: &[&str]) -> Option<Policy> {
    check_in(&[plain_zone()], text, expected)
}

/// The keys of one hub, which start in line 7, beside everything that they may refer to.
#[track_caller]
fn check_hub(keys: &str, expected: &[&str]) {
    check(&format!("{COMMON}{keys}"), expected);
}

/// Two endpoints, the second of them as given, in lines 8 and 9 of the file.
#[track_caller]
fn check_endpoint(keys: &str, expected: &[&str]) {
    let first = "{region=\"a\",cname=\"a.example.com.\",probe=\"p\"},";
    check_hub(&format!("endpoints = [\n{first}\n{keys}]"), expected);
}

/// The keys of one probe, from line 2, which some endpoint uses.
#[track_caller]
fn check_probe(keys: &str, expected: &[&str]) -> Option<Policy> {
    let hub =
        "[regions.a]\n[hubs.\"h.example.net.\"]\nendpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"p\"}]";
    check(&format!("[probes.p]\n{keys}\n{hub}"), expected)
}

/// The keys of gate `g`, from line 2, which a hub uses.
#[track_caller]
fn check_gate(keys: &str, expected: &[&str]) -> Option<Policy> {
    check(&format!("[gates.g]\n{keys}\n{COMMON}gates = [{{gate=\"g\",on=\"both\"}}]\n{GOOD}"), expected)
}

/// The keys of rule `r`, from line 2, beside two hubs with endpoints in `a` and `b` and the gate `g`.
#[track_caller]
fn check_rule(keys: &str, expected: &[&str]) -> Option<Policy> {
    let other = GOOD.replace(".example.com", "2.example.com");
    let other = format!("[hubs.\"i.example.net.\"]\ngates = [{{gate=\"g\",on=\"both\"}}]\n{other}");
    check(&format!("[rules.r]\n{keys}\n{COMMON}{GOOD}{other}[gates.g]\nack = true\n"), expected)
}

/// [`check_hub`] with two good endpoints, and the gate `g`, which another hub uses too.
#[track_caller]
fn check_moves(keys: &str, expected: &[&str]) -> Option<Policy> {
    let other = GOOD.replace(".example.com", "2.example.com");
    let other = format!("[hubs.\"i.example.net.\"]\ngates = [{{gate=\"g\",on=\"both\"}}]\n{other}");
    check(&format!("{COMMON}{keys}\n{GOOD}{other}[gates.g]\nack = true\n"), expected)
}

/// The keys of reference `r`, from line 2, beside a probe `q` that is quick enough for one.
#[track_caller]
fn check_reference(keys: &str, expected: &[&str]) -> Option<Policy> {
    let quick = "[probes.q]\ntcp.port = 53\ninterval = \"1s\"\ntimeout = \"500ms\"\n";
    check(&format!("[references.r]\n{keys}\n{quick}{COMMON}{GOOD}"), expected)
}

/// Both endpoints good.
const GOOD: &str = "endpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"p\"},{region=\"b\",cname=\"b.example.com.\",probe=\"p\"}]\n";

proptest! {
    #[test]
    fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let (policy, problems) = read(&[Source::new(FILE, octets)], &[plain_zone()]);
        prop_assert_eq!(policy.is_none(), has_errors(&problems));
    }

    #[test]
    fn any_toml_like_text_is_read_without_panic(
        text in "([a-c.\"=\\[\\]{},#'\n ]|hubs|regions|probes|endpoints|gates|rules|references|geo|map|to|hub|of|fence|http|exec|ack|=1|=\"a.\"|\\[\\[){0,60}",
    ) {
        let (policy, problems) = read(&[Source::new(FILE, text)], &[plain_zone()]);
        prop_assert_eq!(policy.is_none(), has_errors(&problems));
    }

    /// Every problem of a changed file has a place in it and can be rendered.
    #[test]
    fn any_change_of_a_good_file_is_read_without_panic(
        file in prop::sample::select(vec![EXAMPLE, GUARDED, STATELESS]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..30, "[\\[\\]{}=\"',.#~/\n a-z0-9é]{0,8}"), 1..4),
    ) {
        let mut text = file.as_bytes().to_vec();
        for (at, length, put) in changes {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, put.bytes());
        }
        check_rendered(text)?;
    }

    /// A value in the place of any other: of the wrong type, empty, far too large.
    #[test]
    fn any_other_value_is_read_without_panic(
        file in prop::sample::select(vec![GUARDED, STATELESS]),
        at in any::<prop::sample::Index>(),
        put in prop::sample::select(vec![
            "-1", "0", "9223372036854775807", "1e308", "nan", "true", "\"\"", "\"/\"", "\"~\"", "\"1 per\"", "\"://\"",
            "\"https://[\"", "\"./\"", "\"0s\"", "\"9999d\"", "[]", "[[]]", "[\"\"]", "{}", "[{}]", "1979-05-27",
        ]),
    ) {
        let values: Vec<usize> = file.match_indices("= ").map(|(at, _)| at + 2).collect();
        let at = values[at.index(values.len())];
        let rest = &file[at..];
        let length = match rest.as_bytes()[0] {
            b'"' => rest[1..].find('"').unwrap() + 2,
            _ => rest.find([',', '\n', ' ']).unwrap(),
        };
        check_rendered(format!("{}{put}{}", &file[..at], &rest[length..]))?;
    }
}

fn check_rendered(text: impl Into<Vec<u8>>) -> Result<(), TestCaseError> {
    let (policy, problems) = read(&[Source::new(FILE, text)], &[plain_zone()]);
    prop_assert_eq!(policy.is_none(), has_errors(&problems));
    prop_assert!(problems.iter().all(|problem| problem.place.is_some()));
    prop_assert_eq!(render(&problems, false).is_empty(), problems.is_empty());
    Ok(())
}

#[test]
fn the_guarded_example_is_read_without_a_problem() {
    check(GUARDED, &[]);
    check(STATELESS, &[]);
}
