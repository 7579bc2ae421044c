//! `ttl_spread`: a resolver has its own TTL, and everything else is as without.

use std::time::Duration;

use hickory_proto::op::Message;

use super::*;
use crate::answer::client::Client;
use crate::answer::snapshot::Choice;
use crate::answer::testing::{client, send_from};

const EXAMPLE: &str = "hub TXT static\nalias CNAME hub\n*.wild CNAME hub\nsub NS hub\nwww A 192.0.2.1";

/// A hub of 300 s that spreads over 50 % of it, and one that does not.
fn spread() -> Snapshot {
    let addresses: String = (0..20).map(|at| format!(" 192.0.2.{at}")).collect();
    let mut spread = hub("hub.example.", &format!("weu{addresses} 2001:db8::1\nneu 192.0.2.77"));
    let mut inside = hub("inside.example.", "weu cname www.example.");
    for hub in [&mut spread, &mut inside] {
        (hub.ttl, hub.ttl_min, hub.ttl_spread) = (Duration::from_secs(300), Duration::from_secs(10), 50);
    }
    snapshot(&[zone("example.", EXAMPLE)], vec![spread, inside, hub("same.example.", "weu 192.0.2.9")])
}

/// Owner, type and TTL of every record of the response.
fn ttls(snapshot: &Snapshot, question: &str, from: Client) -> Vec<(String, String, u32)> {
    let query = Ask::new(question).edns().octets();
    let response = send_from(from, snapshot, &query, Transport::Tcp);
    assert_eq!(response, send_from(from, snapshot, &query, Transport::Udp), "{question}");
    let message = Message::from_vec(&response).unwrap();
    let records = [&message.answers, &message.authorities, &message.additionals].into_iter().flatten();
    records.map(|record| (record.name.to_string(), record.record_type().to_string(), record.ttl)).collect()
}

/// The one TTL of the records of an owner and type.
#[track_caller]
fn ttl(snapshot: &Snapshot, question: &str, from: Client, owner: &str, rtype: &str) -> u32 {
    let records = ttls(snapshot, question, from);
    let mut ttls: Vec<u32> = records
        .iter()
        .filter(|record| record.0.eq_ignore_ascii_case(owner) && record.1 == rtype)
        .map(|record| record.2)
        .collect();
    // RFC 2181 5.2.
    ttls.dedup();
    let [ttl] = *ttls else { panic!("{question}: {records:?}") };
    ttl
}

#[test]
fn a_resolver_has_one_ttl_for_a_hub_wherever_its_rrsets_stand() {
    let snapshot = spread();
    let clients = || (0..64).map(|at| client(&format!("198.51.100.{at}")));
    for from in clients() {
        let own = ttl(&snapshot, "hub.example. A", from, "hub.example.", "A");
        assert!((151..=300).contains(&own));
        let check = |question: &str, rtype: &str, expected: u32| {
            assert_eq!(ttl(&snapshot, question, from, "hub.example.", rtype), expected, "{question}");
        };
        check("hub.example. AAAA", "AAAA", own);
        check("HUB.example. A", "A", own);
        check("hub.example. ANY", "A", own);
        check("hub.example. TXT", "TXT", 300);
        check("alias.example. A", "A", own);
        check("any.wild.example. AAAA", "AAAA", own);
        check("x.sub.example. A", "A", own);
        assert_eq!(ttl(&snapshot, "alias.example. A", from, "alias.example.", "CNAME"), 300);
        let inside = ttl(&snapshot, "inside.example. A", from, "inside.example.", "CNAME");
        assert!((151..=300).contains(&inside));
        assert_eq!(ttl(&snapshot, "inside.example. CNAME", from, "inside.example.", "CNAME"), inside);
        assert_eq!(ttl(&snapshot, "inside.example. A", from, "www.example.", "A"), 300);
        assert_eq!(ttl(&snapshot, "same.example. A", from, "same.example.", "A"), 30);
    }
    let different: std::collections::BTreeSet<u32> =
        clients().map(|from| ttl(&snapshot, "hub.example. A", from, "hub.example.", "A")).collect();
    assert!(different.len() > 40, "{different:?}");
}

#[test]
fn a_low_ttl_spreads_too_and_never_below_five_seconds() {
    let full = spread();
    let low = full.choices.iter().map(|choice| Choice { low_ttl: true, ..*choice }).collect();
    let low = full.switch(low).unwrap();
    let ttls: std::collections::BTreeSet<u32> = (0..255)
        .map(|at| ttl(&low, "hub.example. A", client(&format!("198.51.100.{at}")), "hub.example.", "A"))
        .collect();
    assert_eq!(ttls, (6..=10).collect());
}

/// Beside the TTL the answer is the one that everybody gets.
#[test]
fn nothing_else_depends_on_who_asks() {
    let snapshot = spread();
    for question in ["hub.example. A", "alias.example. A", "x.sub.example. A", "inside.example. AAAA", "no.example. A"]
    {
        let query = Ask::new(question).edns().octets();
        let shown = |from| {
            let mut message = Message::from_vec(&send_from(client(from), &snapshot, &query, Transport::Udp)).unwrap();
            for section in [&mut message.answers, &mut message.authorities, &mut message.additionals] {
                section.iter_mut().for_each(|record| record.ttl = 0);
            }
            message
        };
        assert_eq!(shown("198.51.100.1"), shown("2001:db8::7"), "{question}");
    }
}
