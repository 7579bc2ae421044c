//! A common failure is no answer: the queries of section 8 of the RFC, with the answers that it expects. The header alone of
//! 8.1.4 is in `src/answer/conformance`.

use super::row::ask;
use crate::differential::options::option;
use crate::differential::peers::Kind::{Bind, Knot, Nsd};

const APEX: &str = "example.test. 3600 SOA ns1.example.test. host.example.test. 2026112301 7200 900 1209600 120";

#[test]
fn section_3_1_4_an_opcode_that_is_not_known() {
    for opcode in [15, 6, 3] {
        ask("example.test. SOA").opcode(opcode).is("NOTIMP");
    }
}

#[test]
fn section_8_1_1_is_the_server_configured_for_the_zone() {
    ask("example.test. SOA").is(&format!("NOERROR aa | {APEX}"));
}

#[test]
fn section_8_1_2_an_unknown_type() {
    ask("example.test. TYPE1000").is("NOERROR aa | - | SOA!");
}

#[test]
fn section_8_1_3_header_bits() {
    // CD, AD, the bit that is reserved, RD.
    ask("example.test. SOA").flags(0x0010).but(Bind, "CD comes back").is(&format!("NOERROR aa | {APEX}"));
    ask("example.test. SOA").flags(0x0020).is(&format!("NOERROR aa | {APEX}"));
    ask("example.test. SOA").flags(0x0040).is(&format!("NOERROR aa | {APEX}"));
    ask("example.test. SOA").flags(0x0100).is(&format!("NOERROR aa rd | {APEX}"));
}

#[test]
fn section_8_1_5_over_tcp() {
    ask("example.test. SOA").tcp().is(&format!("NOERROR aa | {APEX}"));
}

#[test]
fn section_8_2_1_edns() {
    ask("example.test. SOA").edns().is(&format!("NOERROR aa opt | {APEX}"));
}

#[test]
fn section_8_2_2_edns_version_1() {
    ask("example.test. SOA").opt(1232, 1, false, b"").is("BADVERS opt");
}

#[test]
fn section_8_2_3_an_unknown_option() {
    ask("example.test. SOA").with(100, b"").is(&format!("NOERROR aa opt | {APEX}"));
}

#[test]
fn section_8_2_4_unknown_flags() {
    ask("example.test. SOA").record(3, b"\0\0\x29\x04\xd0\0\0\0\x40\0\0").is(&format!("NOERROR aa opt | {APEX}"));
}

#[test]
fn section_8_2_5_version_1_with_unknown_flags() {
    ask("example.test. SOA").record(3, b"\0\0\x29\x04\xd0\0\x01\0\x40\0\0").is("BADVERS opt");
}

#[test]
fn section_8_2_6_version_1_with_an_unknown_option() {
    ask("example.test. SOA").opt(1232, 1, false, &option(100, b"")).is("BADVERS opt");
}

#[test]
fn section_8_2_7_a_truncated_response_has_opt() {
    let row = ask("huge.example.test. A").opt(512, 0, false, b"");
    let told = row.told();
    // TC, and one additional record.
    assert_eq!((told[2] & 0x02, &told[10..12]), (0x02, &[0, 1][..]));
}

#[test]
fn section_8_2_8_do_comes_back() {
    ask("example.test. SOA").opt(1232, 0, true, b"").is(&format!("NOERROR aa opt do | {APEX}"));
}

#[test]
fn section_8_2_9_version_1_with_do() {
    ask("example.test. SOA").opt(1232, 1, true, b"").but(Nsd, "DO does not come back").is("BADVERS opt do");
}

#[test]
fn section_8_2_10_several_options() {
    let options = [option(3, b""), option(8, &[0, 1, 0, 0]), option(9, b"")].concat();
    ask("example.test. SOA")
        .opt(1232, 0, false, &options)
        .but(Knot, "EXPIRE (RFC 7314) is answered")
        .but(Bind, "EXPIRE (RFC 7314) is answered, and a client subnet with scope 0")
        .is(&format!("NOERROR aa opt | {APEX} | - | - | 3=6e7331"));
}
