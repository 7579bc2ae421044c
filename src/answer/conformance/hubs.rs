//! Hubs: names like any other, under the choice that stands.

use super::*;
use crate::answer::snapshot::{Choice, What};

#[test]
fn a_hub_answers_its_choice_and_its_names_above_exist() {
    let first = world();
    let shown = |snapshot: &Snapshot, question: &str| ask(snapshot, &Ask::new(question));
    assert_eq!(shown(&first, "hub.example. A"), "NOERROR aa | hub.example. 30 CNAME hub-weu.azure-devices.net.");
    assert_eq!(
        shown(&first, "inner.deep.example. TXT"),
        "NOERROR aa | inner.deep.example. 30 CNAME www.example., www.example. 300 TXT hello"
    );
    assert_eq!(shown(&first, "deep.example. A"), format!("NOERROR aa | - | {SOA}"));
    assert_eq!(shown(&first, "x.hub.example. A"), format!("NXDOMAIN aa | - | {SOA}"));
    let mut choices = first.choices.clone();
    choices[first.content.hub(&name("HUB.example.")).unwrap()] = Choice::endpoint(1);
    let second = first.switch(choices.clone()).unwrap();
    assert_eq!(second.generation, 2);
    assert_eq!(shown(&second, "hub.example. A"), "NOERROR aa | hub.example. 30 CNAME hub-neu.azure-devices.net.");
    assert!(shown(&second, "inner.deep.example. TXT").contains("CNAME www.example."));
    choices[first.content.hub(&name("inner.deep.example.")).unwrap()] = Choice::endpoint(1);
    let third = second.switch(choices).unwrap();
    assert_eq!(shown(&third, "inner.deep.example. A"), "NOERROR aa | inner.deep.example. 30 A 192.0.2.99");
    let soon = SOA.replace("example. 60 ", "example. 30 ");
    assert_eq!(shown(&third, "inner.deep.example. TXT"), format!("NOERROR aa | - | {soon}"));
}

#[test]
fn a_snapshot_that_would_empty_a_hub_is_not_made() {
    let first = world();
    let rules = |choices: Vec<Choice>| -> Vec<&str> {
        first.switch(choices.into()).unwrap_err().into_iter().map(|refused| refused.rule).collect()
    };
    assert_eq!(rules(vec![Choice::endpoint(0)]), ["not-empty"]);
    assert_eq!(rules(vec![Choice::endpoint(2), Choice::of(What::All)]), ["not-empty", "not-empty"]);
}

#[test]
fn other_types_stand_beside_addresses() {
    let example = zone("example.", "hub TXT static\nhub MX 5 mail\nmail A 192.0.2.1");
    let apex = zone("apex.", "");
    let hubs = vec![
        hub("hub.example.", "weu 192.0.2.10 2001:db8::10\nneu 192.0.2.20"),
        hub("apex.", "weu 192.0.2.10\nneu 192.0.2.20"),
    ];
    let first = snapshot(&[example, apex], hubs);
    let check = |snapshot: &Snapshot, question: &str, expected: &str| {
        let shown = ask(snapshot, &Ask::new(question));
        assert_eq!(shown.split(" SOA ").next().unwrap(), expected, "{question}");
    };
    check(&first, "hub.example. TXT", "NOERROR aa | hub.example. 300 TXT static");
    check(&first, "hub.example. A", "NOERROR aa | hub.example. 30 A 192.0.2.10");
    check(&first, "hub.example. AAAA", "NOERROR aa | hub.example. 30 AAAA 2001:db8::10");
    check(&first, "hub.example. ANY", "NOERROR aa | hub.example. 30 A 192.0.2.10");
    check(&first, "apex. A", "NOERROR aa | apex. 30 A 192.0.2.10");
    check(&first, "apex. NS", "NOERROR aa | apex. 3600 NS ns.example.org.");
    let second = first.switch([Choice::endpoint(1), Choice::endpoint(1)].into()).unwrap();
    check(&second, "hub.example. TXT", "NOERROR aa | hub.example. 300 TXT static");
    check(&second, "hub.example. A", "NOERROR aa | hub.example. 30 A 192.0.2.20");
    check(&second, "hub.example. AAAA", "NOERROR aa | - | example. 30");
    check(&second, "hub.example. SRV", "NOERROR aa | - | example. 60");
    check(&second, "apex. A", "NOERROR aa | apex. 30 A 192.0.2.20");
}

/// RFC 2308 3 and 5: what a hub does not have now and may have with the next choice is remembered no longer than what it
/// has. Where every choice lacks a type it is the zone that says how long.
#[test]
fn what_may_come_with_the_next_choice_is_not_missed_for_longer_than_the_ttl() {
    let check = |hubs: &[(&str, &str)], question: &str, ttls: &[u32]| {
        let hubs: Vec<_> = hubs.iter().map(|(name, endpoints)| hub(name, endpoints)).collect();
        let first = snapshot(&[zone("example.", "a TXT static\nalias CNAME a")], hubs);
        for (position, expected) in (0..).zip(ttls) {
            let choices = first.choices.iter().map(|_| Choice::endpoint(position)).collect();
            let shown = ask(&first.switch(choices).unwrap(), &Ask::new(question));
            assert!(shown.contains(&format!(" example. {expected} SOA ")), "{question} of {position}: {shown}");
            // EDNS changes nothing of it.
            let shown =
                ask(&first.switch(first.choices.clone()).unwrap(), &Ask::new(question).opt(1232, 0, false, &[]));
            assert!(shown.contains(&format!(" example. {} SOA ", ttls[0])), "{question}: {shown}");
        }
    };
    let addresses = [("a.example.", "weu 192.0.2.1\nneu 192.0.2.2")];
    check(&addresses, "a.example. AAAA", &[60, 60]);
    let one_has_both = [("a.example.", "weu 192.0.2.1\nneu 192.0.2.2 2001:db8::2")];
    check(&one_has_both, "a.example. AAAA", &[30]);
    check(&one_has_both, "a.example. SRV", &[60, 60]);
    // Also at the end of an alias.
    check(&one_has_both, "alias.example. AAAA", &[30]);
    // An alias may lead to any type.
    let one_is_an_alias = [("b.example.", "weu 192.0.2.1\nneu cname ingest.example.net.")];
    check(&one_is_an_alias, "b.example. SRV", &[30]);
    // What is below a hub does not exist under any choice.
    check(&one_has_both, "x.a.example. AAAA", &[60, 60]);
}

#[test]
fn all_answers_every_address_once() {
    let mut everything = hub("hub.example.", "weu 192.0.2.10 2001:db8::10\nneu 192.0.2.20 192.0.2.10");
    everything.when_all_down = crate::policy::WhenAllDown::All;
    let first = snapshot(&[zone("example.", "")], vec![everything]);
    let all = first.switch([Choice::of(What::All)].into()).unwrap();
    assert_eq!(
        ask(&all, &Ask::new("hub.example. A")),
        "NOERROR aa | hub.example. 30 A 192.0.2.10, hub.example. 30 A 192.0.2.20"
    );
}

/// A hub may be a name server of a cut: its addresses follow its choice there as well.
#[test]
fn a_hub_as_glue() {
    let example = zone("example.", "sub NS hub");
    let first = snapshot(&[example], vec![hub("hub.example.", "weu 192.0.2.10\nneu 192.0.2.20")]);
    let second = first.switch([Choice::endpoint(1)].into()).unwrap();
    assert!(ask(&first, &Ask::new("x.sub.example. A")).ends_with("| hub.example. 30 A 192.0.2.10"));
    assert!(ask(&second, &Ask::new("x.sub.example. A")).ends_with("| hub.example. 30 A 192.0.2.20"));
}

/// Both TTLs are answered from what was compiled, and beside them nothing differs; what the zone file says keeps its own.
#[test]
fn a_low_ttl_is_that_of_the_hubs_own_rrsets() {
    let mut adaptive = hub("hub.example.", "weu 192.0.2.10\nneu 192.0.2.20");
    adaptive.ttl_min = std::time::Duration::from_secs(10);
    adaptive.when_all_down = crate::policy::WhenAllDown::All;
    let plain = hub("plain.example.", "weu cname www.example.org.");
    let first = snapshot(&[zone("example.", "hub TXT static")], vec![adaptive, plain]);
    let check = |what: What, question: &str, full: &str, low: &str| {
        let asked = |low_ttl| {
            let choice = Choice { low_ttl, ..Choice::of(what) };
            let plain = Choice { low_ttl, ..Choice::endpoint(0) };
            ask(&first.switch([choice, plain].into()).unwrap(), &Ask::new(question))
        };
        assert_eq!(asked(false), format!("NOERROR aa | {full}"), "{question}");
        assert_eq!(asked(true), format!("NOERROR aa | {low}"), "{question}");
    };
    let a = "hub.example. A";
    check(What::Endpoint(0), a, "hub.example. 30 A 192.0.2.10", "hub.example. 10 A 192.0.2.10");
    check(What::Endpoint(1), a, "hub.example. 30 A 192.0.2.20", "hub.example. 10 A 192.0.2.20");
    let all = |ttl| format!("hub.example. {ttl} A 192.0.2.10, hub.example. {ttl} A 192.0.2.20");
    check(What::All, a, &all(30), &all(10));
    let fixed = "hub.example. 300 TXT static";
    check(What::Endpoint(0), "hub.example. TXT", fixed, fixed);
    let without = "plain.example. 30 CNAME www.example.org.";
    check(What::Endpoint(0), "plain.example. A", without, without);
}
