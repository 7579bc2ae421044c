//! Wildcards. Sections 4.1, 4.2 and 4.4 to 4.8 are of types at wildcards that the zone parser refuses (SOA, NS) or that are
//! answered as data.

use super::row::ask;
use crate::differential::peers::Kind::Bind;

#[test]
fn section_2_1_2_an_asterisk_beside_other_characters_is_none() {
    ask("**.wild.example.test. A").is("NOERROR aa | **.wild.example.test. 300 A 192.0.2.20");
}

#[test]
fn section_2_2_1_what_is_made_by_it() {
    ask("host1.wild.example.test. A").is("NOERROR aa | host1.wild.example.test. 300 A 192.0.2.20");
    ask("host1.host2.wild.example.test. TXT").is("NOERROR aa | host1.host2.wild.example.test. 300 TXT \"wild\"");
    ask("host1.wild.example.test. MX").is("NOERROR aa | - | SOA!");
}

#[test]
fn section_2_2_1_what_is_not_made_by_it() {
    // It exists with other types.
    ask("exists.wild.example.test. A").is("NOERROR aa | - | SOA!");
    // The closest encloser has no wildcard.
    ask("x.exists.wild.example.test. A").is("NXDOMAIN aa | - | SOA!");
    // A delegation is in between.
    ask("host.unsigned.example.test. TXT").is("NOERROR | - | unsigned.example.test. 300 NS ns.example.net.");
}

#[test]
fn section_2_2_2_empty_non_terminals() {
    for name in ["ent", "c.ent", "b.c.ent"] {
        ask(&format!("{name}.example.test. A")).is("NOERROR aa | - | SOA!");
    }
    ask("b.exists.wild.example.test. A").is("NOERROR aa | - | SOA!");
    ask("x.b.exists.wild.example.test. A").is("NXDOMAIN aa | - | SOA!");
}

#[test]
fn section_2_1_3_a_wildcard_below_a_wildcard() {
    ask("x.sub.*.wild.example.test. A").is("NOERROR aa | x.sub.*.wild.example.test. 300 A 192.0.2.22");
    ask("x.*.wild.example.test. A").is("NXDOMAIN aa | - | SOA!");
    ask("sub.*.wild.example.test. A").is("NOERROR aa | - | SOA!");
}

#[test]
fn section_2_3_an_asterisk_in_a_question_is_a_label_of_its_own() {
    ask("*.wild.example.test. A").is("NOERROR aa | *.wild.example.test. 300 A 192.0.2.20");
}

#[test]
fn section_3_3_1_the_closest_encloser() {
    ask("x.deep.wild.example.test. AAAA").is("NOERROR aa | x.deep.wild.example.test. 300 AAAA 2001:db8::20");
    ask("x.deep.wild.example.test. A").is("NOERROR aa | - | SOA!");
    ask("no.such.name.example.test. TXT").is("NOERROR aa | no.such.name.example.test. 300 TXT \"top wildcard\"");
}

#[test]
fn section_3_3_3_an_alias_at_a_wildcard() {
    ask("x.wildout.example.test. A").is("NOERROR aa | x.wildout.example.test. 300 CNAME www.example.net.");
    ask("x.wildcname.example.test. CNAME").is("NOERROR aa | x.wildcname.example.test. 300 CNAME www.example.test.");
    ask("a.wildloop.example.test. A")
        .but(Bind, "SERVFAIL for a loop")
        .is("NOERROR aa | a.wildloop.example.test. 300 CNAME x.wildloop.example.test., \
         x.wildloop.example.test. 300 CNAME x.wildloop.example.test.");
}
