//! `_concierge.HUB`: a name like any other, which says what the hub answers.

use super::*;
use crate::answer::snapshot::{Choice, What};
use crate::answer::testing::policy;
use crate::policy::Hub;
use crate::time::Timestamp;

const EXAMPLE: &str =
    "*.hub TXT wild\nto CNAME _concierge.hub\n*.w CNAME _concierge.hub\nx._concierge.deep.er A 192.0.2.7";

fn with_txt(mut hub: Hub) -> Hub {
    hub.txt = true;
    hub
}

fn told() -> Snapshot {
    let mut first = with_txt(hub("hub.example.", "weu cname www.example.org.\nneu 192.0.2.9"));
    first.endpoints[0].answer = crate::policy::Answer::Addresses(vec![[192, 0, 2, 8].into()]);
    first.when_all_down = crate::policy::WhenAllDown::All;
    let deep = with_txt(hub("deep.er.example.", "weu cname www.example.org."));
    snapshot(&[zone("example.", EXAMPLE)], vec![deep, first, hub("quiet.example.", "weu 192.0.2.1")])
}

fn choose(snapshot: &Snapshot, what: What, epoch: u64, since: u64) -> Snapshot {
    let mut choices = snapshot.choices.clone();
    let at = snapshot.content.hub(&name("hub.example.")).unwrap();
    choices[at] = Choice { what, low_ttl: false, stale: false, epoch, since: Timestamp(since) };
    snapshot.switch(choices).unwrap()
}

#[track_caller]
fn check(snapshot: &Snapshot, question: &str, expected: &str) {
    assert_eq!(ask(snapshot, &Ask::new(question)), expected.replace("SOA!", SOA), "{question}");
}

#[test]
fn the_text_is_of_the_choice_that_answers_the_hub() {
    let first = choose(&told(), What::Endpoint(0), 1, 1_795_694_400_000);
    let check_both = |snapshot: &Snapshot, address: &str, text: &str| {
        let octets = format!("NOERROR aa | _concierge.hub.example. 5 TXT {text}");
        check(snapshot, "_concierge.hub.example. TXT", &octets);
        assert!(ask(snapshot, &Ask::new("hub.example. A")).ends_with(address));
    };
    check_both(&first, "30 A 192.0.2.8", "region=weu epoch=1 since=2026-11-26T12:00:00Z");
    let second = choose(&first, What::Endpoint(1), 42, 1_795_694_401_999);
    check_both(&second, "30 A 192.0.2.9", "region=neu epoch=42 since=2026-11-26T12:00:01Z");
    let all = choose(&second, What::All, 42, 1_795_694_401_999);
    check_both(&all, "192.0.2.8, hub.example. 30 A 192.0.2.9", "region=all epoch=42 since=2026-11-26T12:00:01Z");
    let largest = choose(&all, What::Endpoint(1), u64::MAX, u64::MAX);
    let text = "region=neu epoch=18446744073709551615 since=@18446744073709551615ms";
    check_both(&largest, "30 A 192.0.2.9", text);
}

/// RFC 4592: it exists, so that no wildcard stands for it, nor anything below it; and it has one type.
#[test]
fn the_name_exists_and_has_one_type() {
    let snapshot = told();
    let of = |hub: &str| format!("_concierge.{hub} 5 TXT region=weu epoch=0 since=1970-01-01T00:00:00Z");
    let text = of("hub.example.");
    check(&snapshot, "_concierge.hub.example. ANY", &format!("NOERROR aa | {text}"));
    check(&snapshot, "_concierge.hub.example. A", "NOERROR aa | - | SOA!");
    check(&snapshot, "x._concierge.hub.example. TXT", "NXDOMAIN aa | - | SOA!");
    check(&snapshot, "x.hub.example. TXT", "NOERROR aa | x.hub.example. 300 TXT wild");
    check(
        &snapshot,
        "_CONCIERGE.Hub.example. TXT",
        &format!("NOERROR aa | {}", text.replace("_concierge.hub", "_CONCIERGE.Hub")),
    );
    check(&snapshot, "to.example. TXT", &format!("NOERROR aa | to.example. 300 CNAME _concierge.hub.example., {text}"));
    check(
        &snapshot,
        "v.w.example. TXT",
        &format!("NOERROR aa | v.w.example. 300 CNAME _concierge.hub.example., {text}"),
    );
    check(&snapshot, "_concierge.quiet.example. TXT", "NXDOMAIN aa | - | SOA!");
    // A hub with a CNAME, in whose zone something is below the text.
    check(&snapshot, "_concierge.deep.er.example. TXT", &format!("NOERROR aa | {}", of("deep.er.example.")));
    check(&snapshot, "x._concierge.deep.er.example. A", "NOERROR aa | x._concierge.deep.er.example. 300 A 192.0.2.7");
    check(&snapshot, "y._concierge.deep.er.example. A", "NXDOMAIN aa | - | SOA!");
    check(&snapshot, "er.example. A", "NOERROR aa | - | SOA!");
}

/// A switch of one hub writes one text, and content that was loaded anew writes all.
#[test]
fn texts_of_hubs_that_stay_are_taken_over() {
    let first = told();
    let second = choose(&first, What::Endpoint(1), 2, 3);
    let texts = |snapshot: &Snapshot| snapshot.texts().iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
    let same: Vec<bool> = texts(&first).iter().zip(texts(&second)).map(|(one, other)| *one == other).collect();
    assert_eq!(same, [true, false]);
    let again = told();
    let third = second.next(again.content.clone(), second.choices.clone()).unwrap();
    assert!(texts(&third).iter().all(|text| !texts(&second).contains(text)));
    assert_eq!(third.generation, 3);
    check(
        &third,
        "_concierge.hub.example. TXT",
        "NOERROR aa | _concierge.hub.example. 5 TXT region=neu epoch=2 since=1970-01-01T00:00:00Z",
    );
}

#[test]
fn a_text_stands_alone_and_in_the_zone_of_its_hub() {
    let rules = |zones: &[crate::zone::store::Tree], hubs: Vec<Hub>| -> Vec<String> {
        let compiled = crate::answer::compile::compile(zones.to_vec(), &policy(hubs));
        compiled.map_or_else(|refused| refused.iter().map(ToString::to_string).collect(), |_| Vec::new())
    };
    let check = |zones: &[crate::zone::store::Tree], others: &[&str], owner: &str, expected: &[&str]| {
        let mut hubs: Vec<Hub> = others.iter().map(|other| hub(other, "weu 192.0.2.1")).collect();
        hubs.push(with_txt(hub(owner, "weu 192.0.2.9")));
        assert_eq!(rules(zones, hubs.clone()), expected, "{owner}");
        hubs.last_mut().unwrap().txt = false;
        assert_eq!(rules(zones, hubs), [""; 0], "{owner}");
    };
    let only = |lines: &str| [zone("example.", lines)];
    let says = |sentence: &str| format!("hub hub.example. has `txt = true`, but {sentence} (rule text-alone)");
    check(&only(""), &[], "hub.example.", &[]);
    check(&only("a._concierge.hub A 192.0.2.1"), &[], "hub.example.", &[]);
    check(&only(""), &["a._concierge.hub.example."], "hub.example.", &[]);
    for (data, rtype) in [("A 192.0.2.1", "A"), ("NS ns.example.org.", "NS"), ("CNAME www", "CNAME"), ("TXT x", "TXT")]
    {
        let lines = format!("_Concierge.hub {data}");
        let sentence = says(&format!("the zone file has {rtype} at _concierge.hub.example."));
        check(&only(&lines), &[], "hub.example.", &[&sentence]);
    }
    check(&only(""), &["_concierge.hub.example."], "hub.example.", &[&says("_concierge.hub.example. is a hub")]);
    let below = [zone("example.", ""), zone("_concierge.hub.example.", "")];
    check(&below, &[], "hub.example.", &[&says("_concierge.hub.example. is a zone of its own")]);
    let dname = says("_concierge.hub.example. is below the DNAME at hub.example.");
    check(&only("hub DNAME other"), &[], "hub.example.", &[&dname]);
    let long = format!("{}example.", "a.".repeat(120));
    let sentence = "but its name with `_concierge.` before it is longer than 255 octets (rule text-alone)";
    check(&only(""), &[], &long, &[&format!("hub {long} has `txt = true`, {sentence}")]);
}

/// Nobody reads past the end of the hubs on the way to a text.
#[test]
fn a_hub_may_lead_to_a_text() {
    let hubs =
        vec![with_txt(hub("hub.example.", "weu 192.0.2.9")), hub("to.example.", "weu cname _concierge.hub.example.")];
    let snapshot = snapshot(&[zone("example.", "")], hubs);
    let shown = ask(&snapshot, &Ask::new("to.example. TXT"));
    assert!(shown.ends_with("_concierge.hub.example. 5 TXT region=weu epoch=0 since=1970-01-01T00:00:00Z"), "{shown}");
}
