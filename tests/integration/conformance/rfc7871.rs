//! Client subnet. A hub's answer depends on it: `src/answer/conformance/subnets.rs` has those of section 7.2 for hubs. Here
//! are zones, whose answers are the same for all, and clients of whom the option is taken or not. Sections 7.1 and 7.3 are of
//! resolvers.

use super::row::{Row, ask};
use crate::differential::peers::Kind::{Bind, Knot, Nsd};

const SUBNET: u16 = 8;

const MAIL: &str = "NOERROR aa opt | mail.example.test. 300 A 192.0.2.25";

fn subnet(data: &[u8]) -> Row {
    ask("mail.example.test. A").with(SUBNET, data).trusted()
}

#[test]
fn section_7_2_1_an_answer_for_all_has_scope_0() {
    let not_known = "client subnets are not known";
    subnet(&[0, 1, 24, 0, 10, 1, 2])
        .but(Knot, not_known)
        .but(Nsd, not_known)
        .is(&format!("{MAIL} | - | - | 8=000118000a0102"));
    subnet(&[0, 2, 32, 0, 0x20, 1, 0x0d, 0xb8])
        .but(Knot, not_known)
        .but(Nsd, not_known)
        .is(&format!("{MAIL} | - | - | 8=0002200020010db8"));
}

#[test]
fn section_7_2_1_a_source_prefix_of_0_comes_back() {
    let not_known = "client subnets are not known";
    subnet(&[0, 1, 0, 0]).but(Knot, not_known).but(Nsd, not_known).is(&format!("{MAIL} | - | - | 8=00010000"));
}

#[test]
fn section_6_a_scope_in_a_query_is_a_format_error() {
    let not_known = "client subnets are not known";
    subnet(&[0, 1, 24, 24, 10, 1, 2])
        .but(Knot, not_known)
        .but(Nsd, not_known)
        .but(Bind, "the FORMERR has no OPT record")
        .is("FORMERR opt");
}

#[test]
fn section_6_an_address_that_does_not_fit_its_prefix_is_a_format_error() {
    let not_known = "client subnets are not known";
    // Too few octets, too many, a bit behind the prefix, a prefix longer than an address.
    for data in [
        &[0, 1, 24, 0, 10, 1][..],
        &[0, 1, 24, 0, 10, 1, 2, 3],
        &[0, 1, 23, 0, 10, 1, 1],
        &[0, 1, 33, 0, 1, 2, 3, 4, 5],
    ] {
        subnet(data).but(Knot, not_known).but(Nsd, not_known).is("FORMERR opt");
    }
}

#[test]
fn section_7_2_1_of_nobody_who_is_trusted_it_is_not_looked_at() {
    ask("mail.example.test. A")
        .with(SUBNET, &[0, 1, 24, 0, 10, 1, 2])
        .but(Bind, "it is answered, with scope 0, whoever asks")
        .is(MAIL);
}
