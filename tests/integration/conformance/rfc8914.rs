//! Extended errors. Codes 3 (stale) and 18 (prohibited) of hubs and limits are in `src/answer/conformance`; those of section
//! 4 that resolvers and validators have are not this server's.

use super::row::ask;
use crate::differential::peers::Kind::{Bind, Knot, Nsd};

const NOT_SAID: &str = "no reason is given";

#[test]
fn section_2_the_reason_is_an_option_of_a_query_with_opt_alone() {
    ask("example.net. A").is("REFUSED");
    ask("example.net. A").edns().but(Bind, NOT_SAID).is("REFUSED opt | - | - | - | 15=0014");
}

#[test]
fn section_2_an_answer_has_none() {
    ask("mail.example.test. A").edns().is("NOERROR aa opt | mail.example.test. 300 A 192.0.2.25");
    ask("no.mail.example.test. A").edns().is("NXDOMAIN aa opt | - | SOA!");
}

#[test]
fn section_4_21_not_authoritative() {
    ask("example.net. A").edns().tcp().but(Bind, NOT_SAID).is("REFUSED opt | - | - | - | 15=0014");
}

#[test]
fn section_4_19_prohibited() {
    ask("example.test. AXFR")
        .edns()
        .tcp()
        .ours("peers refuse it with other codes, and some send an answer that is no message of its own")
        .is("REFUSED opt | - | - | - | 15=0012");
}

#[test]
fn section_4_22_not_supported() {
    ask("example.test. SOA")
        .opcode(2)
        .edns()
        .but(Knot, NOT_SAID)
        .but(Nsd, NOT_SAID)
        .but(Bind, NOT_SAID)
        .is("NOTIMP opt | - | - | - | 15=0015");
}
