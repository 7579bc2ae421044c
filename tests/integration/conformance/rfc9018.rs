//! Cookies that all servers of a name make alike. The vectors of appendix A, and the ages of section 4.3, are in
//! `src/answer/conformance/cookies.rs`, where the time is an argument. Section 5, how a secret is replaced, is in `edns.rs`.

use super::row::ask;
use super::servers::Servers;
use crate::differential::options::{CLIENT_COOKIE, COOKIE, Reaction};

/// The rcode, and the cookie of a server's response.
fn told_by(server: std::net::SocketAddr, cookie: &[u8]) -> (u16, Vec<u8>) {
    let response = ask("mail.example.test. A").with(COOKIE, cookie).told_by(server);
    let reaction = Reaction::of(&response);
    (reaction.rcode, reaction.option(COOKIE).unwrap_or_default().to_vec())
}

#[test]
fn section_4_a_cookie_has_a_version_a_time_and_a_hash() {
    let (_, cookie) = told_by(Servers::get().us, &CLIENT_COOKIE);
    assert_eq!((cookie.len(), &cookie[..8], &cookie[8..12]), (24, &CLIENT_COOKIE[..], &[1, 0, 0, 0][..]));
}

#[test]
fn section_4_4_a_cookie_of_another_length_is_not_taken() {
    let (_, cookie) = told_by(Servers::get().us, &CLIENT_COOKIE);
    for rest in [&[0][..], &[0; 8], &[0; 16]] {
        let longer = [&cookie[..], rest].concat();
        let (rcode, new) = told_by(Servers::get().us, &longer);
        assert_eq!((rcode, new.len()), (0, 24), "{} octets more", rest.len());
    }
    assert_eq!(told_by(Servers::get().us, &cookie[..16]).1.len(), 24);
}

#[test]
fn section_4_4_servers_with_one_secret_take_the_cookies_of_each_other() {
    let servers = Servers::get();
    let (_, ours) = told_by(servers.us, &CLIENT_COOKIE);
    for (kind, peer) in servers.peers {
        let (rcode, theirs) = told_by(peer, &CLIENT_COOKIE);
        // Knot tells whoever has no server cookie yet to come back with one (BADCOOKIE).
        assert!(matches!(rcode, 0 | 23) && theirs.len() == 24, "{}", kind.name());
        // One that is taken, and young, is answered with itself; another one with a new one, which is of another second or not.
        assert_eq!(told_by(servers.us, &theirs), (0, theirs.clone()), "that of {}", kind.name());
        let mut spoilt = theirs.clone();
        spoilt[23] ^= 1;
        assert_ne!(told_by(servers.us, &spoilt).1, spoilt, "a spoilt one of {}", kind.name());
        assert_eq!(told_by(peer, &ours).0, 0, "{} takes ours", kind.name());
    }
}

#[test]
fn section_4_3_a_time_in_the_future_is_not_taken() {
    let (_, cookie) = told_by(Servers::get().us, &CLIENT_COOKIE);
    let mut later = cookie.clone();
    later[12] ^= 0x40;
    assert_ne!(told_by(Servers::get().us, &later).1, later);
}
