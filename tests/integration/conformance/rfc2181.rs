//! Clarifications. Section 4, from where an answer is sent, is in `interfaces.rs`; 7 is of SOA records, which rfc2308
//! has in the authority section (7.1); 6.1 is of zone cuts, as in RFC 1034.

use super::row::ask;
use crate::differential::peers::Kind::{Bind, Nsd};

#[test]
fn section_5_1_an_rrset_is_answered_whole_or_not_at_all() {
    ask("huge.example.test. A").edns().is("NOERROR aa tc opt");
}

#[test]
fn section_5_2_all_records_of_an_rrset_have_one_ttl() {
    // BIND changes them as it reads the file, and answers with one TTL as well.
    ask("ttls.rfc.test. A")
        .but(Nsd, "each record has the TTL of the file")
        .but(Bind, "the first TTL of the file")
        .is("NOERROR aa | ttls.rfc.test. 30 A 192.0.2.1, ttls.rfc.test. 30 A 192.0.2.2");
}

#[test]
fn section_6_1_the_ns_records_of_a_cut_are_not_authoritative() {
    ask("unsigned.example.test. NS").is("NOERROR | - | unsigned.example.test. 300 NS ns.example.net.");
}

#[test]
fn section_8_a_ttl_is_31_bits() {
    ask("long.rfc.test. A").is("NOERROR aa | long.rfc.test. 2147483647 A 192.0.2.1");
}

#[test]
fn section_9_tc_is_for_what_was_asked() {
    // Everything fits but what would only be additional.
    ask("www.example.test. A")
        .opt(512, 0, false, b"")
        .is("NOERROR aa opt | www.example.test. 300 A 192.0.2.80, www.example.test. 300 A 192.0.2.81");
}

#[test]
fn section_10_1_nothing_but_the_alias_stands_at_its_name() {
    ask("c1.example.test. TXT")
        .is("NOERROR aa | c1.example.test. 300 CNAME c2.example.test., c2.example.test. 300 CNAME c3.example.test., \
         c3.example.test. 300 CNAME www.example.test., www.example.test. 300 TXT \"MiXeD case owner\"");
}

#[test]
fn section_10_3_a_name_server_has_addresses_and_no_alias() {
    // What is pointed at is not looked up where an alias stands: the record is answered as it is.
    ask("mx.rfc.test. MX").ours("peers add addresses").is("NOERROR aa | mx.rfc.test. 300 MX 10 alias.rfc.test.");
}

#[test]
fn section_11_any_octets_make_a_label() {
    ask("\\000\\255\\032.example.test. A").is("NOERROR aa | \\000\\255\\032.example.test. 300 A 192.0.2.71");
    ask("dot\\.in\\.label.example.test. A").is("NOERROR aa | dot\\.in\\.label.example.test. 300 A 192.0.2.70");
}
