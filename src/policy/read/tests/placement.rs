//! Hubs against the zones.

use super::*;

fn endpoint(answer: &str) -> String {
    format!(
        "{COMMON}endpoints = [{{region=\"a\",probe=\"p\",{answer}}},{{region=\"b\",probe=\"p\",addresses=[\"192.0.2.2\"]}}]"
    )
}

const CNAME: &str = "cname=\"a.example.com.\"";
const ADDRESS: &str = "addresses=[\"192.0.2.1\"]";

#[test]
fn a_hub_is_in_a_loaded_zone() {
    check_in(
        &[],
        &endpoint(CNAME),
        &[
            "6:7: error: hub `h.example.net.` is in no loaded zone: none is loaded (hint: add the master file of its zone, `APEX.zone`)",
        ],
    );
    check_in(
        &[zone("exampel.net.", &[])],
        &endpoint(CNAME),
        &[
            "6:7: error: hub `h.example.net.` is in no loaded zone, expected a name in `exampel.net.` (hint: did you mean `h.exampel.net.`?)",
        ],
    );
    check_in(
        &[zone("org.", &[]), zone("example.com.", &[])],
        &endpoint(ADDRESS),
        &[
            "6:7: error: hub `h.example.net.` is in no loaded zone, expected a name in `example.com.`, `org.` (hint: write a name in one of these zones, or add the master file of its zone)",
        ],
    );
    check_in(&[zone(".", &[])], &endpoint(ADDRESS), &[]);
}

#[test]
fn a_zone_that_was_refused_hides_nothing_and_accuses_nobody() {
    let (_, problems) = read_beside_refused(&[Source::new(FILE, endpoint(CNAME))], &[], &[name("example.net.")]);
    assert_eq!(lines(&problems), [""; 0]);
}

#[test]
fn a_hub_is_one_name() {
    check(
        &endpoint(CNAME).replace("h.example", "*.example"),
        &[
            "6:7: error: hub `*.example.net.` is a wildcard, expected one name (hint: write a hub for each name, or a wildcard CNAME to the hub in the zone)",
        ],
    );
    check(
        &endpoint(CNAME).replace("net.\"", "net\""),
        &[
            "6:7: error: hub `h.example.net` is a relative name, expected an absolute one (hint: write \"h.example.net.\")",
        ],
    );
    check(
        &endpoint(CNAME).replace("h.example.net.", "h..net."),
        &[
            "6:7: error: hub `h..net.` is not a domain name: empty label in the name (hint: write an absolute name such as \"www.example.net.\")",
        ],
    );
}

#[test]
fn a_hub_is_not_below_a_cut_or_a_dname() {
    let deep = endpoint(ADDRESS).replace("h.example", "h.sub.example");
    check_in(
        &[zone("example.net.", &[("sub.example.net.", Rtype::NS)])],
        &deep,
        &[
            "6:7: error: hub `h.sub.example.net.` lies below the delegation `sub.example.net.`, which this zone does not answer for (the delegation: zones/example.net.zone:3:1) (hint: move the hub out of the delegated part, or serve that zone here too)",
        ],
    );
    check_in(
        &[zone("example.net.", &[("sub.example.net.", Rtype::DNAME)])],
        &deep,
        &[
            "6:7: error: hub `h.sub.example.net.` lies below the DNAME at `sub.example.net.`, which redirects it (the DNAME: zones/example.net.zone:3:1) (hint: move the hub out of the redirected part)",
        ],
    );
    check_in(
        &[zone("example.net.", &[("h.example.net.", Rtype::NS)])],
        &endpoint(ADDRESS),
        &[
            "6:7: error: hub `h.example.net.` is the delegation `h.example.net.`, which this zone does not answer for (the delegation: zones/example.net.zone:3:1) (hint: move the hub out of the delegated part, or serve that zone here too)",
        ],
    );
    // The child is served too: its apex is no cut.
    check_in(&[zone("example.net.", &[("sub.example.net.", Rtype::NS)]), zone("sub.example.net.", &[])], &deep, &[]);
    check_in(&[zone("example.net.", &[("h.example.net.", Rtype::DNAME)])], &endpoint(ADDRESS), &[]);
}

#[test]
fn a_hub_with_a_cname_stands_alone() {
    check_in(
        &[zone("example.net.", &[("h.example.net.", Rtype::TXT), ("h.example.net.", Rtype::MX)])],
        &endpoint(CNAME),
        &[
            "7:42: error: hub `h.example.net.` answers a CNAME, but the zone has MX, TXT at this name (in the zone: zones/example.net.zone:4:1) (hint: remove them from the zone, or answer with `addresses` or `records`)",
        ],
    );
    check(
        &endpoint(CNAME).replace("h.example", "example"),
        &[
            "7:42: error: hub `example.net.` is the apex of its zone, which cannot answer a CNAME beside its SOA and NS (hint: answer with `addresses`, or use a name below the apex)",
        ],
    );
    check_in(
        &[zone("example.net.", &[("h.example.net.", Rtype::CNAME)])],
        &endpoint(CNAME),
        &[
            "6:7: error: hub `h.example.net.` has a CNAME in the zone: a name with a CNAME has no other answer (the CNAME: zones/example.net.zone:3:1) (hint: remove the CNAME from the zone)",
        ],
    );
}

#[test]
fn a_hub_with_addresses_has_other_types_beside_it() {
    check_in(&[zone("example.net.", &[("h.example.net.", Rtype::TXT)])], &endpoint(ADDRESS), &[]);
    check(&endpoint(ADDRESS).replace("h.example", "example"), &[]);
    check_in(
        &[zone("example.net.", &[("h.example.net.", Rtype::A), ("h.example.net.", Rtype::AAAA)])],
        &endpoint(ADDRESS),
        &[
            "7:46: error: hub `h.example.net.` answers A, but the zone has A at this name too (in the zone: zones/example.net.zone:3:1) (hint: remove the A records from the zone)",
        ],
    );
    check_in(
        &[zone("example.net.", &[("h.example.net.", Rtype::CNAME)])],
        &endpoint(ADDRESS),
        &[
            "6:7: error: hub `h.example.net.` has a CNAME in the zone: a name with a CNAME has no other answer (the CNAME: zones/example.net.zone:3:1) (hint: remove the CNAME from the zone)",
        ],
    );
}

#[test]
fn a_signed_zone_is_a_warning() {
    check_in(
        &[zone("example.net.", &[("example.net.", Rtype::DNSKEY)])],
        &endpoint(ADDRESS),
        &[
            "6:7: warning: hub `h.example.net.` is in the signed zone `example.net.`, but its answers carry no signatures: resolvers that validate refuse them (hint: delegate the hub to an unsigned zone of its own)",
        ],
    );
}

#[test]
fn no_cname_leads_back_to_the_hub() {
    check(
        &endpoint("cname=\"H.example.net.\""),
        &[
            "7:42: error: hub `h.example.net.` has a CNAME that points at the hub itself (hint: write the name of the region's own endpoint)",
        ],
    );
    // The zone's CNAMEs of these tests all lead to the hub.
    check_in(
        &[zone("example.net.", &[("x.example.net.", Rtype::CNAME)])],
        &endpoint("cname=\"x.example.net.\""),
        &[
            "7:42: error: hub `h.example.net.` has a CNAME that leads back to it: h.example.net. -> x.example.net. -> h.example.net. (hint: write the name of the region's own endpoint)",
        ],
    );
    let other = "\n[hubs.\"i.example.net.\"]\nendpoints = [{region=\"a\",probe=\"p\",cname=\"h.example.net.\"}]";
    check(
        &format!("{}{other}", endpoint("cname=\"i.example.net.\"")),
        &[
            "7:42: error: hub `h.example.net.` has a CNAME that leads back to it: h.example.net. -> i.example.net. -> h.example.net. (hint: write the name of the region's own endpoint)",
            "9:42: error: hub `i.example.net.` has a CNAME that leads back to it: i.example.net. -> h.example.net. -> i.example.net. (hint: write the name of the region's own endpoint)",
        ],
    );
}

#[test]
fn a_target_that_does_not_exist_is_a_warning() {
    let target = |records: &[(&str, Rtype)], target: &str, expected: &[&str]| {
        check_in(&[zone("example.net.", records)], &endpoint(&format!("cname=\"{target}\"")), expected);
    };
    target(&[("we.example.net.", Rtype::A)], "we.example.net.", &[]);
    target(
        &[("we.example.net.", Rtype::A)],
        "wee.example.net.",
        &[
            "7:42: warning: the CNAME target `wee.example.net.` does not exist in the loaded zone `example.net.` (hint: did you mean `we.example.net.`?)",
        ],
    );
    target(
        &[],
        "somewhere.example.net.",
        &[
            "7:42: warning: the CNAME target `somewhere.example.net.` does not exist in the loaded zone `example.net.` (hint: add it to the zone, or write the name of an endpoint that exists)",
        ],
    );
    target(&[("a.b.example.net.", Rtype::A)], "b.example.net.", &[]);
    target(&[("*.b.example.net.", Rtype::A)], "x.y.b.example.net.", &[]);
    // RFC 4592 3.3.1: the closest encloser is `c.b`, so that the wildcard above it does not reach.
    target(
        &[("*.b.example.net.", Rtype::A), ("c.b.example.net.", Rtype::A)],
        "x.c.b.example.net.",
        &[
            "7:42: warning: the CNAME target `x.c.b.example.net.` does not exist in the loaded zone `example.net.` (hint: did you mean `c.b.example.net.`?)",
        ],
    );
    target(&[("b.example.net.", Rtype::NS)], "x.b.example.net.", &[]);
    target(&[("b.example.net.", Rtype::DNAME)], "x.b.example.net.", &[]);
}

#[test]
fn large_answers_are_a_warning() {
    let list = |count: u32| (0..count).map(|at| format!("\"2001:db8::{at:x}\"")).collect::<Vec<_>>().join(",");
    let text = |count| endpoint(&format!("addresses=[{}]", list(count)));
    // 12 + 15 + 4 octets of header and question, 28 for each record.
    check(&text(17).replace("::0", "::ff"), &[]);
    check(
        &text(18).replace("::0", "::ff"),
        &[
            "7:46: warning: the AAAA answer of hub `h.example.net.` takes 535 octets: devices without EDNS and TCP take 512 (hint: write fewer or shorter records)",
        ],
    );
}

#[test]
fn all_addresses_together_are_one_answer() {
    let list = |from: u32| (from..from + 10).map(|at| format!("\"2001:db8::{at:x}\"")).collect::<Vec<_>>().join(",");
    let text = format!(
        "{COMMON}when_all_down = \"all\"\nendpoints = [{{region=\"a\",probe=\"p\",addresses=[{}]}},{{region=\"b\",probe=\"p\",addresses=[{}]}}]",
        list(16),
        list(32)
    );
    check(
        &text,
        &[
            "6:7: warning: the AAAA answer of hub `h.example.net.` with the addresses of every endpoint takes 591 octets: devices without EDNS and TCP take 512 (hint: write fewer or shorter records)",
        ],
    );
    check(&text.replace("\"all\"", "\"keep\""), &[]);
}
