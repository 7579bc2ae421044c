//! Whole files in, problems out.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::super::{Answer, Failback, HttpProbe, ProbeKind, ProbeName, RegionName, Target, TcpProbe, WhenAllDown};
use super::*;
use crate::cli::render::render;
use crate::dns::Rtype;

mod endpoints;
mod good;
mod hubs;
mod names;
mod placement;
mod probes;
mod texts;
mod together;

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

/// Both endpoints good.
const GOOD: &str = "endpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"p\"},{region=\"b\",cname=\"b.example.com.\",probe=\"p\"}]\n";

proptest! {
    #[test]
    fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let (policy, problems) = read(&[Source::new(FILE, octets)], &[plain_zone()]);
        prop_assert_eq!(policy.is_none(), has_errors(&problems));
    }

    #[test]
    fn any_toml_like_text_is_read_without_panic(text in "([a-c.\"=\\[\\]{},#'\n ]|hubs|regions|probes|endpoints|=1|=\"a.\"|\\[\\[){0,60}") {
        let (policy, problems) = read(&[Source::new(FILE, text)], &[plain_zone()]);
        prop_assert_eq!(policy.is_none(), has_errors(&problems));
    }

    /// Every problem of a changed file has a place in it and can be rendered.
    #[test]
    fn any_change_of_a_good_file_is_read_without_panic(
        changes in prop::collection::vec((0..EXAMPLE.len(), 0usize..30, "[\\[\\]{}=\"',.#\n a-z0-9é]{0,8}"), 1..4),
    ) {
        let mut text = EXAMPLE.as_bytes().to_vec();
        for (at, length, put) in changes {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.bytes());
        }
        let (policy, problems) = read(&[Source::new(FILE, text)], &[plain_zone()]);
        prop_assert_eq!(policy.is_none(), has_errors(&problems));
        prop_assert!(problems.iter().all(|problem| problem.place.is_some()));
        prop_assert_eq!(render(&problems, false).is_empty(), problems.is_empty());
    }
}
