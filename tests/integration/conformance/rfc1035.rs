//! Domain names: implementation and specification. Section 5, master files, is compared with BIND and NSD by
//! `zone_oracle.rs`; 6, but for 6.2, and 7 are of how servers and resolvers are made.

use super::row::ask;
use crate::differential::peers::Kind::{Bind, Knot, Nsd};

/// Knot says nothing to what it cannot read.
const UNREADABLE: &str = "silence for a question that cannot be read";

const WWW: &str = "www.example.test. 300 A 192.0.2.80, www.example.test. 300 A 192.0.2.81";

#[test]
fn section_2_3_4_the_longest_label() {
    let label = "a".repeat(63);
    ask(&format!("{label}.{label}.example.test. A"))
        .is(&format!("NOERROR aa | {label}.{label}.example.test. 300 A 192.0.2.74"));
    ask("www.example.test. A")
        .question(&[&[64][..], &[b'a'; 64], b"\x07example\x04test\0\0\x01\0\x01"].concat())
        .but(Knot, UNREADABLE)
        .is("FORMERR no-question");
}

#[test]
fn section_2_3_4_a_name_of_more_than_255_octets() {
    let label = [&[63][..], &[b'a'; 63]].concat();
    let long = [&label[..], &label, &label, &label, b"\x04test\0\0\x01\0\x01"].concat();
    ask("www.example.test. A").question(&long).but(Knot, UNREADABLE).is("FORMERR no-question");
}

#[test]
fn section_3_2_5_a_class_that_is_not_served() {
    // HS.
    ask("www.example.test. A").class(4).is("REFUSED");
    // CSNET, NONE, and one that nobody has.
    for class in [2, 254, 4096] {
        ask("www.example.test. A").class(class).but(Bind, "NOTIMP for a class that it does not know").is("REFUSED");
    }
}

#[test]
fn section_3_3_types_as_they_stand() {
    ask("info.example.test. HINFO").is("NOERROR aa | info.example.test. 300 HINFO \"machine\" \"system\"");
    ask("example.test. TXT").is("NOERROR aa | example.test. 300 TXT \"the apex\" \"in two strings\"");
    ask("other.test. MX")
        .is("NOERROR aa | - | other.test. 900 SOA ns.other.test. host.example.test. 1 7200 900 1209600 3600");
}

#[test]
fn section_4_1_less_than_a_header() {
    ask("www.example.test. A").raw(b"\x5a\xa5\x01\0\0\x01\0\0").is("silence");
}

#[test]
fn section_4_1_1_a_response_is_not_answered() {
    ask("www.example.test. A").flags(0x8000).is("silence");
}

#[test]
fn section_4_1_1_flags_of_responses_in_a_query_are_ignored() {
    // AA, TC, RA and an rcode.
    ask("www.example.test. A")
        .flags(0x0683)
        .but(Nsd, "FORMERR for a query with TC or an rcode")
        .is(&format!("NOERROR aa | {WWW}"));
}

#[test]
fn section_4_1_1_octets_behind_the_message() {
    let passed = "octets behind the message are passed over";
    ask("www.example.test. A").behind(b"abc").but(Nsd, passed).but(Bind, passed).is("FORMERR");
}

#[test]
fn section_4_1_1_a_record_that_is_missing() {
    ask("www.example.test. A").counts([1, 0, 0, 1]).is("FORMERR");
    ask("www.example.test. A").counts([1, 1, 0, 0]).is("FORMERR");
}

#[test]
fn section_4_1_2_half_a_question() {
    ask("www.example.test. A").question(b"\x03www\x07exam").but(Knot, UNREADABLE).is("FORMERR no-question");
    ask("www.example.test. A")
        .question(b"\x03www\x07example\x04test\0\0\x01")
        .but(Knot, UNREADABLE)
        .is("FORMERR no-question");
}

#[test]
fn section_4_1_4_a_pointer_in_a_question() {
    ask("www.example.test. A").question(b"\xc0\x0c\0\x01\0\x01").but(Knot, UNREADABLE).is("FORMERR no-question");
}

#[test]
fn section_4_1_4_names_are_compressed() {
    // 12, the question, and 16 for each of two records: owner in two octets, 10, an address.
    assert_eq!(ask("www.example.test. A").told().len(), 12 + 18 + 4 + 2 * 16);
}

#[test]
fn section_4_2_1_a_datagram_has_512_octets() {
    ask("big.example.test. A").but(Bind, "the records that fit are sent with TC").is("NOERROR aa tc");
    assert!(ask("many.example.test. A").told().len() <= 512);
}

#[test]
fn section_4_2_2_a_stream_has_all() {
    let addresses: Vec<String> = (1..=40).map(|n| format!("big.example.test. 300 A 198.51.100.{n}")).collect();
    ask("big.example.test. A").tcp().is(&format!("NOERROR aa | {}", addresses.join(", ")));
}

#[test]
fn section_6_2_class_any() {
    let answers = "class ANY is answered from class IN";
    ask("www.example.test. A").class(255).but(Knot, answers).but(Nsd, answers).but(Bind, answers).is("REFUSED");
}
