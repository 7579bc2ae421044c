//! EDNS(0). Section 6.2.2, fallback, is of requestors; 6.2.4 to 6.2.6 are of sizes to offer and of middleboxes.

use super::row::ask;
use crate::differential::options::option;
use crate::differential::peers::Kind::{Bind, Knot, Nsd};

const MAIL: &str = "mail.example.test. 300 A 192.0.2.25";

#[test]
fn section_6_1_1_opt_is_answered_with_opt() {
    ask("mail.example.test. A").edns().is(&format!("NOERROR aa opt | {MAIL}"));
    ask("no.mail.example.test. A").edns().is("NXDOMAIN aa opt | - | SOA!");
}

#[test]
fn section_6_1_1_opt_is_anywhere_in_the_additional_section() {
    // An address of the name that is asked for, by a pointer.
    let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x01\x02\x03\x04";
    let expected = format!("NOERROR aa opt | {MAIL}");
    let alone = "a query has no additional record but OPT and TSIG";
    ask("mail.example.test. A").record(3, record).edns().but(Nsd, alone).is(&expected);
    ask("mail.example.test. A").edns().record(3, record).but(Nsd, alone).is(&expected);
}

#[test]
fn section_6_2_3_a_query_beyond_what_is_received_is_a_format_error() {
    let (fits, beyond) =
        (ask("mail.example.test. A").with(12, &[0; 1100]), ask("mail.example.test. A").with(12, &[0; 1300]));
    fits.is(&format!("NOERROR aa opt | {MAIL}"));
    beyond.ours("others receive more than they tell").is("FORMERR no-question");
}

#[test]
fn section_6_1_1_two_opt_records_are_a_format_error() {
    let without = "without the OPT record that a FORMERR of EDNS must have";
    ask("mail.example.test. A").edns().edns().but(Knot, without).but(Nsd, without).but(Bind, without).is("FORMERR opt");
}

#[test]
fn section_6_1_2_unknown_options_are_ignored() {
    let options = [option(65_001, b"ab"), option(65_002, b"")].concat();
    ask("mail.example.test. A").opt(1232, 0, false, &options).is(&format!("NOERROR aa opt | {MAIL}"));
}

#[test]
fn section_6_1_2_the_owner_is_the_root() {
    ask("mail.example.test. A")
        .record(3, b"\x01a\0\0\x29\x04\xd0\0\0\0\0\0\0")
        .but(Knot, "it is ignored")
        .is("FORMERR");
}

#[test]
fn section_6_1_3_a_version_that_is_not_known() {
    ask("mail.example.test. A").opt(1232, 1, false, b"").is("BADVERS opt");
    ask("mail.example.test. A").opt(1232, 255, false, b"").is("BADVERS opt");
}

#[test]
fn section_6_1_4_do_comes_back() {
    // As the section defines it: by RFC 3225, whose section 3 has it copied.
    ask("mail.example.test. A").opt(1232, 0, true, b"").is(&format!("NOERROR aa opt do | {MAIL}"));
}

#[test]
fn section_6_1_4_other_flags_are_ignored() {
    ask("mail.example.test. A").record(3, b"\0\0\x29\x04\xd0\0\0\x7f\xff\0\0").is(&format!("NOERROR aa opt | {MAIL}"));
}

#[test]
fn section_6_2_3_a_size_below_512_is_512() {
    for size in [0, 100, 512] {
        assert!(ask("_sip._tcp.example.test. SRV").opt(size, 0, false, b"").told().len() > 100);
        ask("mail.example.test. A").opt(size, 0, false, b"").is(&format!("NOERROR aa opt | {MAIL}"));
    }
}

#[test]
fn section_6_2_3_the_lesser_size_bounds_a_response() {
    let told = |size| ask("big.example.test. A").opt(size, 0, false, b"").told();
    let tc = |response: &[u8]| response[2] & 0x02 != 0;
    assert!(tc(&told(512)) && told(512).len() <= 512);
    // 12, question, 40 addresses, OPT.
    assert_eq!((tc(&told(1232)), told(1232).len()), (false, 12 + 22 + 640 + 11));
    assert!(!tc(&told(685)) && tc(&told(684)));
    // What we are willing to send is 1232.
    let huge = ask("huge.example.test. A").opt(4096, 0, false, b"").told();
    assert!(tc(&huge) && huge.len() <= 1232);
}

#[test]
fn section_7_an_option_that_is_cut() {
    let without = "without the OPT record that a FORMERR of EDNS must have";
    ask("mail.example.test. A")
        .opt(1232, 0, false, b"\xff\xf0\0\x08ab")
        .but(Knot, without)
        .but(Nsd, without)
        .but(Bind, without)
        .is("FORMERR opt");
}

#[test]
fn section_7_without_opt_there_is_none() {
    ask("mail.example.test. A").is(&format!("NOERROR aa | {MAIL}"));
}
