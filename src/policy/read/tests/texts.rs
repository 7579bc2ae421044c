//! `_concierge.HUB` against the zones and the other hubs.

use super::super::super::{Hub, text_name};
use super::*;

const HUB: &str = "endpoints = [{region=\"a\",probe=\"p\",addresses=[\"192.0.2.1\"]}]\n";

/// The problems of these hubs, all with `txt`, in these zones.
fn problems(zones: &[Zone], hubs: &[&str]) -> Vec<String> {
    let tables: String = hubs.iter().map(|hub| format!("[hubs.\"{hub}\"]\n{HUB}")).collect();
    let source = Source::new(FILE, format!("[probes.p]\ntcp.port = 1\n[regions.a]\n{tables}"));
    let documents = [Document::parse(&source)];
    let mut problems = Vec::new();
    let file = File::open(&documents[0], &mut problems);
    let mut definitions = Definitions::new(&documents);
    file.regions.iter().for_each(|entry| definitions.add_region(entry, &mut problems));
    file.probes.iter().for_each(|entry| definitions.add_probe(entry, &mut problems));
    let drafts = file.hubs.iter().map(|entry| hub::read(entry, &mut definitions, &mut problems));
    let drafts: Vec<Draft> = drafts
        .map(|draft| Draft { hub: draft.hub.map(|hub| Arc::new(Hub { txt: true, ..(*hub).clone() })), ..draft })
        .collect();
    assert!(problems.is_empty() && drafts.iter().all(|draft| draft.hub.is_some()), "{problems:?}");
    super::super::placement::check(&drafts, &Zones::new(zones, &[]), &mut problems);
    problems.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(zones: &[Zone], hubs: &[&str], expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|problem| format!("{FILE}:{problem}")).collect();
    assert_eq!(problems(zones, hubs), expected, "{hubs:?}");
}

#[test]
fn a_text_stands_alone_and_in_the_zone_of_its_hub() {
    check(&[plain_zone()], &["h.example.net."], &[]);
    check(&[zone("example.net.", &[("a._concierge.h.example.net.", Rtype::A)])], &["h.example.net."], &[]);
    for rtype in [Rtype::A, Rtype::TXT, Rtype::NS] {
        let data = [("www.example.net.", Rtype::A), ("_Concierge.h.example.net.", rtype)];
        check(
            &[zone("example.net.", &data)],
            &["h.example.net."],
            &[&format!(
                "4:7: error: hub `h.example.net.` has `txt`, but the zone has {rtype} at `_concierge.h.example.net.` \
                 (in the zone: zones/example.net.zone:4:1) (hint: remove the {rtype} records from the zone, or write `txt = false`)"
            )],
        );
    }
    check(
        &[plain_zone(), zone("_concierge.h.example.net.", &[])],
        &["h.example.net."],
        &[
            "4:7: error: hub `h.example.net.` has `txt`, but `_concierge.h.example.net.` is a zone of its own (hint: remove the file of that zone, or write `txt = false`)",
        ],
    );
    check(
        &[plain_zone()],
        &["h.example.net.", "_concierge.h.example.net."],
        &[
            "4:7: error: hub `h.example.net.` has `txt`, but `_concierge.h.example.net.` is a hub (this hub: zones/example.net.toml:6:7) (hint: give it another name, or write `txt = false`)",
        ],
    );
    check(
        &[zone("example.net.", &[("h.example.net.", Rtype::DNAME)])],
        &["h.example.net."],
        &[
            "4:7: error: hub `h.example.net.` has `txt`, but the DNAME at its name redirects `_concierge.h.example.net.` (the DNAME: zones/example.net.zone:3:1) (hint: remove the DNAME, or write `txt = false`)",
        ],
    );
    let long = format!("{}example.net.", "a.".repeat(119));
    check(
        &[plain_zone()],
        &[&long],
        &[&format!(
            "4:7: error: hub `{long}` has `txt`, but its name with `_concierge.` before it is too long for a name (hint: give the hub a shorter name, or write `txt = false`)"
        )],
    );
}

/// So that the zone's reader notes where the records stand that may be in its way.
#[test]
fn texts_are_among_the_names_of_hubs() {
    let source =
        "[hubs.\"a.example.net.\"]\ntxt = true\n[hubs.\"b.example.net.\"]\ntxt = 1\n[hubs.\"c.example.net.\"]\n";
    let names = hub_names(&[Source::new(FILE, source)]);
    let text = text_name(&name("a.example.net.")).unwrap();
    assert_eq!(names, [name("a.example.net."), text, name("b.example.net."), name("c.example.net.")].into());
}
