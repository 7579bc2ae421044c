//! Minimal answers to ANY. Section 4.2, a made HINFO record, is not the way chosen here.

use super::row::{Row, ask};

/// The types of the answer section, by fixed offsets: owners are pointers.
fn types(row: &Row) -> Vec<u16> {
    let told = row.told();
    let count = usize::from(told[7]);
    // Behind the question.
    let mut at = 12 + told[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
    let mut types = Vec::new();
    for _ in 0..count {
        types.push(u16::from_be_bytes([told[at + 2], told[at + 3]]));
        at += 12 + usize::from(u16::from_be_bytes([told[at + 10], told[at + 11]]));
    }
    types
}

#[test]
fn section_4_1_one_rrset_of_those_there_are() {
    for name in ["example.test.", "www.example.test.", "info.example.test."] {
        let mut of = types(&ask(&format!("{name} ANY")));
        of.dedup();
        assert_eq!(of.len(), 1, "{name}");
    }
    ask("mail.example.test. ANY").is("NOERROR aa | mail.example.test. 300 A 192.0.2.25");
}

#[test]
fn section_4_1_an_alias_is_not_followed() {
    ask("c3.example.test. ANY").is("NOERROR aa | c3.example.test. 300 CNAME www.example.test.");
}

#[test]
fn section_4_4_over_tcp_it_is_no_different() {
    assert_eq!(types(&ask("www.example.test. ANY").edns()), types(&ask("www.example.test. ANY")));
    ask("mail.example.test. ANY").tcp().is("NOERROR aa | mail.example.test. 300 A 192.0.2.25");
}

#[test]
fn section_4_what_is_not_there_is_answered_as_ever() {
    ask("no.mail.example.test. ANY").is("NXDOMAIN aa | - | SOA!");
    ask("ent.example.test. ANY").is("NOERROR aa | - | SOA!");
    ask("host.unsigned.example.test. ANY").is("NOERROR | - | unsigned.example.test. 300 NS ns.example.net.");
}
