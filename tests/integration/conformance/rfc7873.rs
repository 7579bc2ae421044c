//! Cookies. Sections 5.1 and 5.3 are of clients, 6 of NAT and anycast; whoever requires a cookie is in `edns.rs`.

use super::row::ask;
use super::shown::shown;
use crate::differential::options::{CLIENT_COOKIE, COOKIE, Reaction};
use crate::differential::peers::Kind::Nsd;

const MAIL: &str = "NOERROR aa opt | mail.example.test. 300 A 192.0.2.25";

const NO_OPT: &str = "the FORMERR has no OPT record";

/// The rcode, and the cookie of the response.
fn told(cookie: &[u8]) -> (u16, Vec<u8>) {
    let reaction = Reaction::of(&ask("mail.example.test. A").with(COOKIE, cookie).told());
    (reaction.rcode, reaction.option(COOKIE).unwrap_or_default().to_vec())
}

#[test]
fn section_5_2_3_a_server_cookie_is_learnt() {
    let (rcode, cookie) = told(&CLIENT_COOKIE);
    assert_eq!((rcode, cookie.len(), &cookie[..8]), (0, 24, &CLIENT_COOKIE[..]));
}

#[test]
fn section_5_2_1_no_cookie_is_answered_without_one() {
    ask("mail.example.test. A").edns().is(MAIL);
}

#[test]
fn section_5_2_2_a_length_that_it_cannot_have() {
    let cookie = [&CLIENT_COOKIE[..], &[0xff; 40]].concat();
    for length in [0, 1, 7, 9, 15, 41] {
        ask("mail.example.test. A").with(COOKIE, &cookie[..length]).but(Nsd, NO_OPT).is("FORMERR opt");
    }
}

#[test]
fn section_5_2_2_without_a_question_as_well() {
    let asking = ask("mail.example.test. A").question(b"").counts([0; 4]).with(COOKIE, &[1, 2, 3]);
    asking.but(Nsd, NO_OPT).is("FORMERR opt no-question");
}

#[test]
fn section_5_2_4_a_bad_cookie_is_answered_and_replaced() {
    let bad = [&CLIENT_COOKIE[..], &[0xff; 16]].concat();
    let (rcode, cookie) = told(&bad);
    assert_eq!((rcode, cookie.len()), (0, 24));
    assert_ne!(cookie, bad);
}

#[test]
fn section_5_2_3_over_tcp_it_is_told_too() {
    let reaction = Reaction::of(&ask("mail.example.test. A").with(COOKIE, &CLIENT_COOKIE).tcp().told());
    assert_eq!(reaction.option(COOKIE).map(<[u8]>::len), Some(24));
}

#[test]
fn section_5_2_5_a_valid_cookie_comes_back() {
    let (_, cookie) = told(&CLIENT_COOKIE);
    assert_eq!(told(&cookie), (0, cookie.clone()));
}

#[test]
fn section_5_4_without_a_question_the_cookie_is_the_answer() {
    let asking = ask("mail.example.test. A").question(b"").counts([0; 4]);
    let cookie = asking.clone().with(COOKIE, &CLIENT_COOKIE).told();
    let reaction = Reaction::of(&cookie);
    assert_eq!((reaction.rcode, reaction.answers), (0, 0));
    assert!(shown(Some(&cookie)).starts_with("NOERROR opt no-question | - | - | - | 10="));
    let bad = [&CLIENT_COOKIE[..], &[0xff; 16]].concat();
    assert_eq!(Reaction::of(&asking.with(COOKIE, &bad).told()).rcode, 23, "BADCOOKIE");
}
