//! What holds for every message, whatever its octets, and worlds of zones and hubs to hold it in: for the properties and
//! the fuzzers. Panics where something does not hold.
#![allow(clippy::unwrap_used, reason = "for tests and fuzzers")]
#![cfg_attr(fuzzing, allow(dead_code, reason = "the fuzzers need some of it"))]

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use arc_swap::Guard;
use hickory_proto::op::Message;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::client::Client;
use super::cookie::{Cookie, Jar, Secret, Secrets};
use super::respond::{Outcome, Rules, Terms, Transport, respond, respond_in_full};
use super::snapshot::Snapshot;
use super::testing::{Ask, hub, map, selecting, snapshot, zone};
use crate::dns::Rcode;
use crate::policy::{Prefixes, Selection};

/// Small label and type alphabets, so that generated names meet each other: wildcards, cuts, DNAME, chains and loops.
pub(crate) static WORLDS: LazyLock<Vec<Snapshot>> = LazyLock::new(|| {
    let lines = "
        a A 192.0.2.1\na TXT one\nb CNAME a\nc CNAME *.c\n*.c CNAME x.d\nd DNAME a.e\n*.a.e A 192.0.2.2\ne NS ns.e
        ns.e A 192.0.2.3\nf NS ns.e\nf DS 0001\nb.a.f A 192.0.2.4\ng CNAME b.s\nb.a.g MX 10 a\nh DNAME h.h\ni CNAME i
        *.j NS a\nk CNAME c.k\nc.k CNAME k\n*.l TXT any\na.l A 192.0.2.5\na.b.l.l AAAA 2001:db8::1\n* A 192.0.2.6";
    let many: String = (0..200).map(|n| format!("many A 192.0.2.{n}\nn NS n{n}.n\nn{n}.n A 192.0.2.{n}\n")).collect();
    let child = "a A 192.0.2.1\nb CNAME a.s\nc CNAME b.s.\nd CNAME s.";
    let hubs = || vec![hub("m.s.", "weu cname a.s.\nneu cname out.of."), hub("m.n.o.s.", "weu 192.0.2.9")];
    let spread = || {
        let mut hubs = hubs();
        hubs.push(hub("a.m.s.", "weu cname out.of."));
        hubs.push(hub("b.e.k.s.", "weu 192.0.2.8 192.0.2.7 2001:db8::8"));
        hubs.push(hub("x.s.", "weu cname m.n.o.s."));
        for (at, hub) in (1..).zip(&mut hubs) {
            (hub.ttl, hub.ttl_spread) = (std::time::Duration::from_secs(60 * at), 50);
            hub.txt = true;
        }
        hubs
    };
    // At the names of the hubs of other worlds, so that the same questions meet them.
    let stateless = || {
        let where_from = map("0.0.0.0/2 neu\n32.0.0.0/3 weu\n64.0.0.0/2 eus\n2001:db8::/32 neu\ndefault eus weu");
        let endpoints = "weu 192.0.2.9 2001:db8::9\nneu cname a.s.\neus cname out.of.";
        let addresses = "weu 192.0.2.8 192.0.2.7 2001:db8::8\nneu 192.0.2.6\neus 192.0.2.5 2001:db8::5";
        let mut hubs = vec![
            selecting(Selection::Weighted, "m.s.", endpoints),
            selecting(Selection::Geo(where_from.clone()), "m.n.o.s.", endpoints),
            selecting(Selection::All { most: 2 }, "b.e.k.s.", addresses),
            selecting(Selection::Sticky(Prefixes { ipv4: 8, ipv6: 32 }), "a.m.s.", endpoints),
            selecting(
                Selection::Nearest(where_from.clone()),
                "x.s.",
                "weu hub m.s.\nneu hub b.e.k.s.\neus hub m.n.o.s.",
            ),
            hub("a.y.s.", "weu hub x.s.\nneu 192.0.2.9"),
        ];
        for (at, hub) in (1..).zip(&mut hubs) {
            (hub.ttl, hub.ttl_spread) = (std::time::Duration::from_secs(60 * at), if at % 2 == 0 { 50 } else { 0 });
        }
        hubs
    };
    let beside = format!("{lines}\nb.e.k TXT beside\n*.y CNAME a.m\nu NS b.e.k\nv NS m.n.o\nt CNAME _concierge.m");
    vec![
        snapshot(&[], vec![]),
        snapshot(&[zone("s.", &format!("{lines}\n{many}"))], hubs()),
        snapshot(&[zone("s.", lines), zone("g.s.", child), zone("a.f.s.", child)], hubs()),
        snapshot(&[zone(".", &lines.replace(".s\n", "\n")), zone("s.", child)], vec![]),
        snapshot(&[zone("s.", &beside), zone("g.s.", child)], spread()),
        snapshot(&[zone("s.", &beside), zone("g.s.", child)], stateless()),
        stale(snapshot(&[zone("s.", &beside), zone("g.s.", child)], spread())),
    ]
});

/// The same with every other hub answering what was chosen last.
fn stale(snapshot: Snapshot) -> Snapshot {
    let mut choices = snapshot.choices.clone();
    choices.iter_mut().step_by(2).for_each(|choice| choice.stale = true);
    snapshot.switch(choices).unwrap()
}

/// What holds for every message and its response.
pub(crate) fn hold(snapshot: &Snapshot, query: &[u8], transport: Transport, from: From, manner: &Manner) {
    let mut response = vec![0xaa; 7];
    let outcome = manner.respond(snapshot, query, transport, from, &mut response);
    let Outcome::Reply { rcode, truncated, .. } = outcome else {
        assert!(response.is_empty());
        assert!(query.len() < 12 || query[2] & 0x80 != 0);
        return;
    };
    let limit = match transport {
        Transport::Udp => usize::from(manner.rules.max_udp_bytes.max(512)),
        Transport::Tcp | Transport::Encrypted => 65_535,
    };
    assert!(response.len() <= limit);
    assert_eq!(&response[..2], &query[..2]);
    assert_eq!(response[2] & 0xf9, 0x80 | query[2] & 0x79);
    assert_eq!(response[3], (rcode.0 & 0x0f) as u8);
    assert_eq!(response[2] & 0x02 != 0, truncated);
    assert!(!truncated || transport == Transport::Udp);
    // Before other codecs judge: what an unknown opcode means is theirs.
    let message = read(&response)
        .or_else(|error| with_another_option(&response).find_map(|other| read(&other).ok()).ok_or(error))
        .unwrap_or_else(|error| panic!("{error}: {response:02x?}"));
    if let [question] = &*message.queries {
        let octets = question.name().iter().map(|label| label.len() + 1).sum::<usize>() + 1 + 4;
        assert_eq!(&response[12..12 + octets], &query[12..12 + octets]);
    } else {
        assert!(message.queries.is_empty());
        // Asked of no name: for a cookie (RFC 7873 5.4), or in a version that is not known.
        let unasked = query[4..6] == [0, 0] && matches!(rcode, Rcode::NOERROR | Rcode::BADCOOKIE | Rcode::BADVERS);
        assert!(unasked || matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP));
    }
    if !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN) {
        assert!(message.answers.is_empty() && message.authorities.is_empty() && message.additionals.is_empty());
    }
}

/// What another codec reads in a response, all of it.
fn read(response: &[u8]) -> Result<Message, String> {
    let mut decoder = BinDecoder::new(response);
    let message = Message::read(&mut decoder).map_err(|error| error.to_string())?;
    if decoder.is_empty() { Ok(message) } else { Err("octets behind the records that are counted".into()) }
}

/// The response with another code for a client subnet of no family, behind which the other codec does not read on (RFC 7871
/// 7.1.2 lets a resolver send one): wherever there may be one.
fn with_another_option(response: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const OF_NO_FAMILY: [u8; 8] = [0, 8, 0, 4, 0, 0, 0, 0];
    let places = response.windows(OF_NO_FAMILY.len()).enumerate().filter(|(_, octets)| *octets == OF_NO_FAMILY);
    places.map(|(at, _)| {
        let mut response = response.to_vec();
        response[at..at + 2].copy_from_slice(&65_001_u16.to_be_bytes());
        response
    })
}

/// What is said to a query that nobody on the way can read.
pub(crate) fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let from = (IpAddr::from([192, 0, 2, 99]), 0, false);
    let mut response = Vec::new();
    match Manner::sized(1232).respond(&WORLDS[4], query, Transport::Encrypted, from, &mut response) {
        Outcome::Reply { .. } => Some(response),
        Outcome::Silence => None,
    }
}

/// One pass answers octet for octet what the general way answers, and what it leaves to that leaves no trace.
pub(crate) fn hold_alike(snapshot: &Snapshot, query: &[u8], transport: Transport, from: From, manner: &Manner) {
    let mut in_full = Vec::new();
    let expected = manner.by(|terms| respond_in_full(snapshot, query, client(from), transport, terms, &mut in_full));
    if let Outcome::Reply { cookie, .. } = expected
        && transport == Transport::Udp
        && cookie != Cookie::Valid
    {
        let most = manner.rules.amplification.most(query.len());
        // At 1 a new cookie, of 16 octets, comes on top.
        assert!(in_full.len() <= most.max(query.len() + 16), "{} to {}", in_full.len(), query.len());
    }
    manner.by(|terms| {
        // Over what was less, and over what was more.
        for held in [7, 70_000] {
            let mut response = vec![0xaa; held];
            let outcome = respond(snapshot, query, client(from), transport, terms, &mut response);
            assert_eq!(outcome, expected);
            assert_eq!(&response, &in_full);
        }
    });
}

/// Address, lot, and whether a client subnet is taken.
pub(crate) type From = (IpAddr, u32, bool);

fn client((address, lot, trusted): From) -> Client {
    Client::at(address).with_lot(lot).trusted(trusted)
}

/// Rules, and the time of day where cookies are on.
#[derive(Debug)]
pub(crate) struct Manner {
    pub(crate) rules: Rules,
    pub(crate) cookies: Option<u32>,
}

impl Manner {
    /// Nothing but the size.
    pub(crate) fn sized(max_udp_bytes: u16) -> Self {
        Self { rules: Rules::sized(max_udp_bytes), cookies: None }
    }

    /// Does something by terms that nobody has asked yet.
    fn by<T>(&self, work: impl FnOnce(&Terms<'_>) -> T) -> T {
        let jars = self.cookies.map(|now| move || jar(now));
        work(&Terms::new(&self.rules, jars.as_ref().map(|jars| jars as _)))
    }

    fn respond(
        &self,
        snapshot: &Snapshot,
        query: &[u8],
        transport: Transport,
        from: From,
        response: &mut Vec<u8>,
    ) -> Outcome {
        self.by(|terms| respond(snapshot, query, client(from), transport, terms, response))
    }
}

/// Seconds at which cookies of the tests were made.
pub(crate) const MADE: u32 = 1_559_731_985;

fn jar(now: u32) -> Jar {
    let secret = |digit: u8| Secret::new([digit; 16]);
    Jar { secrets: Guard::from_inner(Arc::new(Secrets::new(secret(1), vec![secret(2)]))), now }
}

/// A query with a cookie of one of the secrets, whole or not, for its own client or for another.
pub(super) fn with_cookie(ask: Ask, from: From, secret: u8, length: usize, spoilt: Option<usize>) -> Ask {
    let offer = [&[7; 8][..]].concat();
    let made = Jar { secrets: Guard::from_inner(Arc::new(Secrets::new(Secret::new([secret; 16]), vec![]))), now: MADE };
    let rules = Rules::sized(1232);
    let jars = move || Jar { secrets: Guard::from_inner(made.secrets.clone()), now: MADE };
    let terms = Terms::new(&rules, Some(&jars));
    let option = |data: &[u8]| [&[0, 10][..], &(data.len() as u16).to_be_bytes(), data].concat();
    let query = Ask::new("www.nowhere. A").opt(1232, 0, false, &option(&offer)).octets();
    let response = super::testing::send_by(&terms, client(from), &WORLDS[0], &query, Transport::Tcp);
    let at = response.windows(4).position(|window| window == [0, 10, 0, 24]).unwrap() + 4;
    let mut data = response[at..at + 24].to_vec();
    if let Some(at) = spoilt {
        data[at] ^= 1;
    }
    data.resize(length, 0);
    ask.opt(1232, 0, false, &option(&data))
}
