//! TCP keepalive. Sections 3.2.2 and 3.4 to 3.6 are of clients and of when connections are closed, which the tests of
//! `src/serve` see. The servers are configured to close after a minute.

use super::row::ask;
use crate::differential::peers::Kind::{Bind, Knot, Nsd};

const KEEPALIVE: u16 = 11;

const MAIL: &str = "NOERROR aa opt | mail.example.test. 300 A 192.0.2.25";

const NOT_KNOWN: &str = "the option is not answered";

#[test]
fn section_3_2_1_a_client_sends_no_timeout() {
    let passed = "a timeout is passed over";
    ask("mail.example.test. A")
        .with(KEEPALIVE, &[0, 100])
        .tcp()
        .but(Knot, passed)
        .but(Nsd, passed)
        .but(Bind, passed)
        .is("FORMERR opt");
}

#[test]
fn section_3_3_1_over_udp_it_is_ignored() {
    ask("mail.example.test. A").with(KEEPALIVE, b"").is(MAIL);
    ask("mail.example.test. A").with(KEEPALIVE, &[0, 100]).is(MAIL);
}

#[test]
fn section_3_3_2_over_tcp_the_idle_time_is_told_in_tenths_of_a_second() {
    ask("mail.example.test. A")
        .with(KEEPALIVE, b"")
        .tcp()
        .but(Knot, NOT_KNOWN)
        .but(Nsd, NOT_KNOWN)
        .is(&format!("{MAIL} | - | - | 11=0258"));
}

#[test]
fn section_3_3_2_nothing_is_told_to_whoever_does_not_ask() {
    ask("mail.example.test. A").edns().tcp().is(MAIL);
}
