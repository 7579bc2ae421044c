//! Domain names: concepts and facilities. Sections 3.1 to 3.5 are of names, which RFC 1035 has in octets; 5 is of resolvers.

use super::row::ask;
use crate::differential::peers::Kind::{Bind, Knot, Nsd};

const WWW: &str = "www.example.test. 300 A 192.0.2.80, www.example.test. 300 A 192.0.2.81";

#[test]
fn section_3_6_2_an_alias_is_followed() {
    ask("c3.example.test. A").is(&format!("NOERROR aa | c3.example.test. 300 CNAME www.example.test., {WWW}"));
    ask("c1.example.test. A").is(&format!(
        "NOERROR aa | c1.example.test. 300 CNAME c2.example.test., c2.example.test. 300 CNAME c3.example.test., \
         c3.example.test. 300 CNAME www.example.test., {WWW}"
    ));
}

#[test]
fn section_3_6_2_an_alias_that_is_asked_for_is_the_answer() {
    ask("c1.example.test. CNAME").is("NOERROR aa | c1.example.test. 300 CNAME c2.example.test.");
}

#[test]
fn section_3_6_2_a_loop_of_aliases_is_answered_with_what_there_is() {
    // The section would have a loop signalled as an error; here its records are the signal.
    let fails = "SERVFAIL for a loop";
    ask("self.example.test. A").but(Bind, fails).is("NOERROR aa | self.example.test. 300 CNAME self.example.test.");
    ask("loop1.example.test. A").but(Bind, fails).is(
        "NOERROR aa | loop1.example.test. 300 CNAME loop2.example.test., loop2.example.test. 300 CNAME loop3.example.test., \
         loop3.example.test. 300 CNAME loop1.example.test.",
    );
}

#[test]
fn section_3_7_2_an_inverse_query_is_not_implemented() {
    let record = b"\0\0\x01\0\x01\0\0\0\0\0\x04\xc0\0\x02\x01";
    let query = ask("example.test. A").opcode(1).question(b"").counts([0; 4]).record(1, record);
    query.is("NOTIMP no-question");
}

#[test]
fn section_4_2_1_a_referral_has_no_authority_and_brings_glue() {
    ask("host.indomain.example.test. A").is(
        "NOERROR | - | indomain.example.test. 300 NS ns1.deep.indomain.example.test., \
         indomain.example.test. 300 NS ns2.indomain.example.test. | ns1.deep.indomain.example.test. 300 A 192.0.2.31, \
         ns2.indomain.example.test. 300 AAAA 2001:db8::31",
    );
    ask("host.unsigned.example.test. A").is("NOERROR | - | unsigned.example.test. 300 NS ns.example.net.");
}

#[test]
fn section_4_2_1_what_is_below_a_cut_is_not_ours() {
    ask("ns1.deep.indomain.example.test. A").is(
        "NOERROR | - | indomain.example.test. 300 NS ns1.deep.indomain.example.test., \
         indomain.example.test. 300 NS ns2.indomain.example.test. | ns1.deep.indomain.example.test. 300 A 192.0.2.31, \
         ns2.indomain.example.test. 300 AAAA 2001:db8::31",
    );
}

#[test]
fn section_4_3_1_a_query_keeps_recursion_desired_and_none_is_available() {
    ask("www.example.test. A").flags(0x0100).is(&format!("NOERROR aa rd | {WWW}"));
}

#[test]
fn section_4_3_2_step_2_the_nearest_zone() {
    ask("www.child.example.test. A").is("NOERROR aa | www.child.example.test. 600 A 192.0.2.51");
    let glue = "the addresses of the name servers are added to an answer, which needs no glue";
    ask("child.example.test. NS")
        .but(Knot, glue)
        .but(Nsd, glue)
        .but(Bind, glue)
        .is("NOERROR aa | child.example.test. 600 NS ns.child.example.test.");
}

#[test]
fn section_4_3_2_step_2_a_name_of_no_zone_is_refused() {
    ask("example.net. A").is("REFUSED");
    ask(". NS").is("REFUSED");
}

#[test]
fn section_4_3_2_step_3_a_all_records_of_the_type() {
    ask("www.example.test. A").is(&format!("NOERROR aa | {WWW}"));
    ask("www.example.test. AAAA").is("NOERROR aa | www.example.test. 300 AAAA 2001:db8::80");
    ask("example.test. SOA")
        .is("NOERROR aa | example.test. 3600 SOA ns1.example.test. host.example.test. 2026112301 7200 900 1209600 120");
    ask("ptr.example.test. PTR").is("NOERROR aa | ptr.example.test. 300 PTR www.example.test.");
}

#[test]
fn section_4_3_2_step_3_a_a_name_without_the_type() {
    ask("mail.example.test. MX").is("NOERROR aa | - | SOA!");
}

#[test]
fn section_4_3_2_step_3_a_an_alias_into_another_zone() {
    let ends = "a chain ends at the border of the zone; this server follows it through all zones that it serves, and step 1 \
                chooses a zone again";
    ask("toother.example.test. A")
        .but(Knot, ends)
        .but(Bind, ends)
        .is("NOERROR aa | toother.example.test. 300 CNAME www.other.test., www.other.test. 900 A 192.0.2.93");
    ask("toout.example.test. A").is("NOERROR aa | toout.example.test. 300 CNAME www.example.net.");
}

#[test]
fn section_4_3_2_step_3_b_a_delegation() {
    ask("a.b.unsigned.example.test. TXT").is("NOERROR | - | unsigned.example.test. 300 NS ns.example.net.");
    ask("unsigned.example.test. NS").is("NOERROR | - | unsigned.example.test. 300 NS ns.example.net.");
}

#[test]
fn section_4_3_2_step_3_c_a_name_error() {
    ask("no.mail.example.test. A").is("NXDOMAIN aa | - | SOA!");
}

#[test]
fn section_4_3_2_step_3_c_an_alias_to_nothing() {
    // The step leaves the rcode as it is; RFC 2308 2.1 has the name error of the last name.
    ask("tomissing.example.test. A")
        .is("NXDOMAIN aa | tomissing.example.test. 300 CNAME missing.ent.example.test. | SOA!");
}

#[test]
fn section_4_3_3_a_wildcard_makes_the_answer() {
    ask("a.wild.example.test. A").is("NOERROR aa | a.wild.example.test. 300 A 192.0.2.20");
    ask("any.wildcname.example.test. A")
        .is(&format!("NOERROR aa | any.wildcname.example.test. 300 CNAME www.example.test., {WWW}"));
}

#[test]
fn section_4_3_4_a_negative_answer_has_the_soa() {
    ask("no.ent.example.test. A").is("NXDOMAIN aa | - | SOA!");
    ask("www.example.test. MX").is("NOERROR aa | - | SOA!");
}
