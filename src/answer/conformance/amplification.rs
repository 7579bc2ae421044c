//! Responses over UDP that may be no more than so many times as long as their queries: what gives way, and what does not.

use super::*;
use crate::answer::Identity;
use crate::answer::respond::{Amplification, Rules, Terms};
use crate::answer::testing::{client, option, options_of, send_by};

const NSID: u16 = 3;
const EXTENDED: u16 = 15;

fn rules(times: u16) -> Rules {
    let identity = Identity { version: vec![b'v'; 100].into(), ..Identity::default() };
    let nsid = vec![b'n'; 80].into();
    Rules { amplification: Amplification::times(times), nsid, identity, ..Rules::sized(1232) }
}

fn told(times: u16, query: &Ask, transport: Transport) -> Vec<u8> {
    let (rules, octets) = (rules(times), query.octets());
    let response = send_by(&Terms::new(&rules, None), client("192.0.2.1"), &world(), &octets, transport);
    assert!(transport != Transport::Udp || times == 0 || response.len() <= usize::from(times) * octets.len());
    response
}

#[test]
fn addresses_that_can_be_found_otherwise_give_way_and_others_are_asked_for_over_tcp() {
    let query = Ask::new("host.sub.example. A");
    let whole = show(&told(0, &query, Transport::Udp));
    let mut seen = std::collections::BTreeSet::new();
    for times in 1..=10 {
        let shown = show(&told(times, &query, Transport::Udp));
        // RFC 9471 3.1: the addresses of the server that is below the cut are needed.
        let needed = shown.contains("ns.sub.example. 300 A 192.0.2.53")
            && shown.contains("ns.sub.example. 300 AAAA 2001:db8::53");
        assert_eq!(shown.contains(" tc"), !needed, "{times}: {shown}");
        seen.insert((needed, shown == whole));
        assert_eq!(show(&told(times, &query, Transport::Tcp)), whole);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(false, false), (true, false), (true, true)]);
}

#[test]
fn nsid_gives_way_to_the_answer_and_the_extended_error_to_nsid() {
    let asked = |question: &str| Ask::new(question).opt(1232, 0, false, &option(NSID, b""));
    let codes = |times, question: &str, transport| {
        let response = told(times, &asked(question), transport);
        assert!(!show(&response).contains(" tc"), "{question}");
        options_of(&response).unwrap().iter().map(|(code, _)| *code).collect::<Vec<_>>()
    };
    assert_eq!(codes(3, "www.example. TXT", Transport::Udp), [0; 0]);
    assert_eq!(codes(4, "www.example. TXT", Transport::Udp), [NSID]);
    assert_eq!(codes(3, "www.example. TXT", Transport::Tcp), [NSID]);
    assert_eq!(codes(2, "www.nowhere. TXT", Transport::Udp), [EXTENDED]);
    assert_eq!(codes(0, "www.nowhere. TXT", Transport::Udp), [NSID, EXTENDED]);
}

#[test]
fn what_the_server_says_of_itself_is_bounded_as_well() {
    let mut query = Ask::new("version.bind. TXT");
    *query.question.last_mut().unwrap() = 3;
    let answers = |times, transport| {
        let response = told(times, &query, transport);
        (response[2] & 0x02 != 0, response[7])
    };
    assert_eq!(answers(3, Transport::Udp), (true, 0));
    assert_eq!(answers(5, Transport::Udp), (false, 1));
    assert_eq!(answers(3, Transport::Encrypted), (false, 1));
}

/// Header, question and OPT record always fit, for 1 as well where no cookie is new.
#[test]
fn a_response_without_records_is_never_too_long() {
    for question in ["www.nowhere. A", "nothing.example. A", ". A"] {
        for query in [Ask::new(question), Ask::new(question).edns(), Ask::new(question).opt(512, 1, true, &[])] {
            assert!(!told(1, &query, Transport::Udp).is_empty());
        }
    }
}
