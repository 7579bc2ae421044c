//! NSID. The servers are configured to say `ns1`.

use super::row::ask;
use crate::differential::peers::Kind::Bind;

const NSID: u16 = 3;

#[test]
fn section_2_2_a_resolver_that_asks_is_told() {
    ask("mail.example.test. A")
        .with(NSID, b"")
        .is("NOERROR aa opt | mail.example.test. 300 A 192.0.2.25 | - | - | 3=6e7331");
}

#[test]
fn section_2_2_what_it_writes_into_the_option_is_ignored() {
    ask("mail.example.test. A")
        .with(NSID, b"xx")
        .is("NOERROR aa opt | mail.example.test. 300 A 192.0.2.25 | - | - | 3=6e7331");
}

#[test]
fn section_2_2_nothing_is_said_to_whoever_does_not_ask() {
    ask("mail.example.test. A").edns().is("NOERROR aa opt | mail.example.test. 300 A 192.0.2.25");
}

#[test]
fn section_2_2_it_is_said_over_every_transport_and_of_every_answer() {
    ask("mail.example.test. A")
        .with(NSID, b"")
        .tcp()
        .is("NOERROR aa opt | mail.example.test. 300 A 192.0.2.25 | - | - | 3=6e7331");
    ask("no.mail.example.test. A").with(NSID, b"").is("NXDOMAIN aa opt | - | SOA! | - | 3=6e7331");
}

#[test]
fn section_2_2_it_is_said_of_what_is_refused() {
    ask("example.net. A")
        .with(NSID, b"")
        .but(Bind, "no reason (RFC 8914) is given")
        .is("REFUSED opt | - | - | - | 15=0014, 3=6e7331");
}
