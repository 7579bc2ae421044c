//! What is refused of hubs, and what is made of them.

use std::time::Duration;

use super::super::compile::compile;
use super::super::testing::{hub, name, policy, zone};
use super::super::walk::MAX_STEPS;
use super::*;
use crate::policy::Answer;

const ZONE: &str = "
    www A 192.0.2.1
    taken A 192.0.2.2
    signed RRSIG 00050d020000012c000000000000000000010001aa
    alias CNAME www
    sub NS ns.example.org.
    old DNAME new
    back CNAME back2
    back2 CNAME hub
    any.new A 192.0.2.3
    *.wild CNAME hub
    spin CNAME spin2
    spin2 CNAME spin";

fn rules(hubs: Vec<Hub>) -> Vec<&'static str> {
    compile(vec![zone("example.", ZONE)], &policy(hubs))
        .map_or_else(|refused| refused.into_iter().map(|refused| refused.rule).collect(), |_| Vec::new())
}

#[track_caller]
fn check(owner: &str, endpoints: &str, expected: &[&str]) {
    assert_eq!(rules(vec![hub(owner, endpoints)]), expected, "{owner} {endpoints}");
}

#[test]
fn where_a_hub_may_be() {
    check("hub.example.", "weu 192.0.2.9", &[]);
    check("a.b.c.example.", "weu 192.0.2.9", &[]);
    check("hub.example.org.", "weu 192.0.2.9", &["hub-in-zone"]);
    check("hub.sub.example.", "weu 192.0.2.9", &["hub-reachable"]);
    check("sub.example.", "weu 192.0.2.9", &["hub-reachable"]);
    check("hub.old.example.", "weu 192.0.2.9", &["hub-reachable"]);
    check("old.example.", "weu 192.0.2.9", &[]);
}

#[test]
fn what_may_stand_beside_it() {
    check("example.", "weu 192.0.2.9", &[]);
    check("example.", "weu cname www.example.", &["cname-alone"]);
    check("taken.example.", "weu cname www.example.", &["cname-alone"]);
    check("taken.example.", "weu 192.0.2.9", &["one-source"]);
    check("taken.example.", "weu 2001:db8::1", &[]);
    check("alias.example.", "weu 192.0.2.9", &["cname-alone"]);
    check("alias.example.", "weu cname www.example.", &["one-source"]);
    check("signed.example.", "weu cname www.example.", &[]);
}

#[test]
fn types_that_only_a_zone_file_holds() {
    for rtype in [Rtype::NS, Rtype::SOA, Rtype::DNAME, Rtype::DS, Rtype::ANY, Rtype::OPT] {
        let mut odd = hub("hub.example.", "weu 192.0.2.9");
        odd.endpoints[0].answer = Answer::Rrsets(vec![policy::Rrset { rtype, rdatas: vec![name("a.").wire().into()] }]);
        assert_eq!(rules(vec![odd]), ["hub-type"], "{rtype}");
    }
}

#[test]
fn no_choice_leaves_the_name_empty() {
    check("hub.example.", "weu 192.0.2.9\nneu", &["not-empty"]);
    let mut bare = hub("hub.example.", "weu 192.0.2.9");
    bare.endpoints[0].answer = Answer::Rrsets(vec![policy::Rrset { rtype: Rtype::TXT, rdatas: vec![] }]);
    assert_eq!(rules(vec![bare]), ["not-empty"]);
    check("hub.example.", "weu cname missing.example.", &["not-empty"]);
    check("hub.example.", "weu cname x.old.example.", &["not-empty"]);
    check("hub.example.", "weu cname any.old.example.", &[]);
    check("hub.example.", "weu cname x.sub.example.", &[]);
}

#[test]
fn no_alias_leads_back() {
    check("hub.example.", "weu cname hub.example.", &["no-loop"]);
    check("hub.example.", "weu 192.0.2.9\nneu cname back.example.", &["no-loop"]);
    check("hub.example.", "weu cname any.wild.example.", &["no-loop"]);
    check("hub.example.", "weu cname spin.example.", &["no-loop"]);
    check("hub.example.", "weu cname alias.example.", &[]);
    let through = |second: &str| {
        rules(vec![hub("a.example.", "weu cname b.example."), hub("b.example.", &format!("weu 192.0.2.9\n{second}"))])
    };
    assert_eq!(through("neu 192.0.2.10"), [] as [&str; 0]);
    assert_eq!(through("neu cname a.example."), ["no-loop", "no-loop"]);
}

#[test]
fn a_chain_longer_than_an_answer() {
    let chain: String = (1..=MAX_STEPS).map(|n| format!("c{n} CNAME c{}\n", n + 1)).collect();
    let rules = |last: usize| {
        let lines = format!("{chain}\nc{} A 192.0.2.1", MAX_STEPS + 1);
        let start = format!("weu cname c{last}.example.");
        compile(vec![zone("example.", &lines)], &policy(vec![hub("hub.example.", &start)]))
            .map_or_else(|refused| refused.into_iter().map(|refused| refused.rule).collect(), |_| Vec::new())
    };
    // The hub, c3 to c16 and c17 are 16 names.
    assert_eq!(rules(3), [] as [&str; 0]);
    assert_eq!(rules(2), ["no-loop"]);
}

#[test]
fn an_answer_fits_the_smallest_response() {
    // 12 octets of header, 17 of question, 11 of OPT, 16 for each address.
    let addresses = |count: usize| (0..count).map(|n| format!(" 192.0.2.{n}")).collect::<String>();
    check("hub.example.", &format!("weu{}", addresses(29)), &[]);
    check("hub.example.", &format!("weu{}", addresses(30)), &["fits-512"]);
}

#[test]
fn the_ttl_is_within_the_rto() {
    let mut slow = hub("hub.example.", "weu 192.0.2.9");
    slow.rto = Some(Duration::from_secs(30));
    assert_eq!(rules(vec![slow.clone()]), [] as [&str; 0]);
    slow.rto = Some(Duration::from_secs(29));
    assert_eq!(rules(vec![slow.clone()]), ["rto"]);
    slow.ttl_min = Duration::from_secs(5);
    assert_eq!(rules(vec![slow.clone()]), ["rto"], "the full TTL is answered as well");
    (slow.ttl, slow.ttl_min) = (slow.ttl_min, slow.ttl);
    assert_eq!(rules(vec![slow]), ["rto"]);
}

#[test]
fn what_is_wrong_with_an_answer_is_said_once_whatever_ttls_there_are() {
    let mut odd = hub("taken.example.", "weu 192.0.2.9\nneu");
    odd.ttl_min = Duration::from_secs(5);
    assert_eq!(rules(vec![odd]), ["one-source", "not-empty"]);
}

#[test]
fn everything_at_once_needs_addresses() {
    let all = |endpoints: &str| {
        let mut all = hub("hub.example.", endpoints);
        all.when_all_down = WhenAllDown::All;
        all
    };
    assert_eq!(rules(vec![all("weu 192.0.2.9\nneu 2001:db8::1")]), [] as [&str; 0]);
    assert_eq!(rules(vec![all("weu 192.0.2.9\nneu cname www.example.")]), ["all-addresses"]);
    let addresses = |from: usize| (from..from + 20).map(|n| format!(" 192.0.2.{n}")).collect::<String>();
    assert_eq!(rules(vec![all(&format!("weu{}\nneu{}", addresses(0), addresses(20)))]), ["fits-512"]);
}

#[test]
fn every_hub_is_judged_and_the_sentence_has_its_place() {
    let hubs = vec![hub("a.example.org.", "weu 192.0.2.9"), hub("taken.example.", "weu 192.0.2.9\nneu 192.0.2.8")];
    let refused = compile(vec![zone("example.", ZONE)], &policy(hubs)).unwrap_err();
    let sentences: Vec<String> = refused.iter().map(|refused| refused.diagnostic().to_string()).collect();
    assert_eq!(
        sentences,
        [
            "zones/hubs.toml:1:2: error: hub taken.example. has A for region weu, and the zone file has A at the \
             same name (hint: remove the record from the zone file)",
            "zones/hubs.toml:1:2: error: hub taken.example. has A for region neu, and the zone file has A at the \
             same name (hint: remove the record from the zone file)",
            "zones/hubs.toml:1:2: error: hub a.example.org. is in no zone that is loaded (hint: add a zone file, \
             or correct the hub's name)",
        ]
    );
}

#[test]
fn rrsets_stand_in_order_of_their_types_whatever_is_merged() {
    let mut general = hub("hub.example.", "weu 192.0.2.9");
    general.endpoints[0].answer = Answer::Rrsets(vec![
        policy::Rrset { rtype: Rtype::AAAA, rdatas: vec![Box::new([0; 16])] },
        policy::Rrset { rtype: Rtype::A, rdatas: vec![Box::new([192, 0, 2, 7])] },
    ]);
    let zone = zone("example.", "hub URI aa\nhub MX 5 hub");
    let content = compile(vec![zone], &policy(vec![general])).unwrap();
    let rrsets = content.hubs[0].rrsets(&super::super::snapshot::Choice::endpoint(0)).unwrap();
    let types: Vec<Rtype> = rrsets.iter().map(|rrset| rrset.rtype()).collect();
    assert_eq!(types, [Rtype::A, Rtype::MX, Rtype::AAAA, Rtype::URI]);
}

/// What a client's share of the spread depends on beside its address: servers and versions have to agree on it.
#[test]
fn a_hub_has_the_same_number_in_every_process() {
    let hubs = vec![hub("Hub.example.", "weu 192.0.2.9"), hub("hub2.example.", "weu 192.0.2.9")];
    let content = compile(vec![zone("example.", ZONE)], &policy(hubs)).unwrap();
    assert_eq!(content.hubs.iter().map(|hub| hub.key).collect::<Vec<_>>(), [4_080_740_513, 4_127_946_939]);
}
