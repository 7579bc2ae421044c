//! What holds for every query, whatever its octets.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::Message;
use proptest::prelude::*;

use super::client::{Client, Lots};
use super::lookup::{End, StepResult};
use super::respond::{Amplification, HubAnswer, Outcome, Rules, Transport, respond};
use super::snapshot::{Content, Snapshot, What};
use super::sound::{From, MADE, Manner, WORLDS, hold, hold_alike, with_cookie};
use super::testing::{Ask, CLIENT, hub, name, snapshot, terms, zone};
use crate::dns::{Rcode, Rtype};

/// Who asks, where it does not matter.
const HERE: From = (IpAddr::V4(Ipv4Addr::LOCALHOST), 0, false);

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Udp), Just(Transport::Tcp), Just(Transport::Encrypted)]
}

fn question() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        20 => "[a-nA-N]".prop_map(|label| label),
        3 => Just("*".to_owned()),
        1 => Just("many".to_owned()),
        1 => "[a-c]{60}",
    ];
    let rtypes = ["A", "AAAA", "NS", "CNAME", "DNAME", "SOA", "MX", "TXT", "DS", "ANY", "TYPE999", "AXFR", "OPT"];
    (prop::collection::vec(label, 0..8), prop::bool::weighted(0.9), prop::sample::select(rtypes.to_vec()))
        .prop_filter_map("at most 255 octets", |(labels, inside, rtype)| {
            let owner: String = labels.iter().map(|label| format!("{label}.")).collect();
            let owner = format!("{owner}{}", if inside { "S." } else { "" });
            let owner = if owner.is_empty() { ".".into() } else { owner };
            crate::dns::Name::parse(&owner, None).ok().map(|_| format!("{owner} {rtype}"))
        })
}

fn query() -> impl Strategy<Value = Ask> {
    (question(), any::<[u8; 2]>(), prop::option::weighted(0.7, (any::<u16>(), 0..20u8, any::<bool>()))).prop_map(
        |(question, [first, second], opt)| {
            let mut ask = Ask::new(&question);
            // Mostly plain queries; QR clear.
            ask.flags = [if first < 200 { first & 0x01 } else { first & 0x7f }, second];
            match opt {
                Some((size, version, dnssec_ok)) => ask.opt(size, u8::from(version == 0), dnssec_ok, &[]),
                None => ask,
            }
        },
    )
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    (query(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), any::<prop::sample::Index>())
        .prop_map(|(ask, changes, cut)| {
            let mut octets = ask.octets();
            for (at, value) in changes {
                let at = at.index(octets.len());
                octets[at] = value;
            }
            octets.truncate(1 + cut.index(octets.len() * 3));
            octets
        })
}

/// Names and types that make most queries plain ones, answered in one pass.
fn plain() -> impl Strategy<Value = Ask> {
    let owner = prop::sample::select(vec![
        "a.s.",
        "A.S.",
        "b.s.",
        "x.c.s.",
        "c.s.",
        "nx.a.s.",
        "nx.s.",
        "m.s.",
        "M.S.",
        "m.n.o.s.",
        "n.o.s.",
        "x.l.s.",
        "s.",
        "f.s.",
        "b.a.f.s.",
        "e.s.",
        "ns.e.s.",
        "x.d.s.",
        "many.s.",
        "a.f.s.",
        "x.a.f.s.",
        "g.s.",
        "b.a.g.s.",
        "x.y.s.",
        "a.m.s.",
        "b.e.k.s.",
        "x.s.",
        "a.y.s.",
        "w.u.s.",
        "v.s.",
        "_concierge.m.s.",
        "_Concierge.b.e.k.s.",
        "x._concierge.m.s.",
        "t.s.",
    ]);
    let rtype = prop::sample::select(vec!["A", "AAAA", "TXT", "MX", "CNAME", "NS", "SOA", "DS", "ANY", "TYPE65400"]);
    let option = prop::sample::select(vec![
        vec![],
        vec![0, 8, 0, 7, 0, 1, 24, 0, 40, 1, 2],
        vec![0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 8, 0, 8, 0, 2, 32, 0, 0x20, 1, 0x0d, 0xb8],
        vec![0, 8, 0, 7, 0, 1, 24, 7, 40, 1, 2],
        vec![0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        vec![0, 3, 0, 0, 0, 10, 0, 1, 9],
        vec![0, 10, 0, 8, 1],
    ]);
    let opt = prop::option::of((prop::sample::select(vec![0_u16, 512, 600, 1232, 65_535]), any::<bool>(), option));
    (owner, rtype, 0..8_u8, any::<u8>(), opt).prop_map(|(owner, rtype, first, second, opt)| {
        let mut ask = Ask::new(&format!("{owner} {rtype}"));
        ask.flags = [first, second];
        match opt {
            Some((size, dnssec_ok, option)) => ask.opt(size, 0, dnssec_ok, &option),
            None => ask,
        }
    })
}

fn from() -> impl Strategy<Value = From> {
    (any::<IpAddr>(), any::<u32>(), any::<bool>())
}

fn manner() -> impl Strategy<Value = Manner> {
    let now = prop_oneof![Just(MADE), Just(MADE + 1799), Just(MADE + 1800), Just(MADE + 3601), Just(MADE - 301)];
    let times = prop::sample::select(vec![0, 1, 2, 3, 5]);
    (prop::option::weighted(0.8, now), prop::bool::weighted(0.2), any::<bool>(), 0..3_u16, times).prop_map(
        |(cookies, required, nsid, idle, times)| {
            let amplification = Amplification::times(times);
            let nsid = if nsid { b"ns1".as_slice().into() } else { Box::default() };
            let cookies_required = required && cookies.is_some();
            Manner { rules: Rules { cookies_required, amplification, nsid, idle, ..Rules::sized(1232) }, cookies }
        },
    )
}

/// Whether one pass answers it, so that the property above is about something.
fn is_quick(snapshot: &Snapshot, question: &str) -> bool {
    super::quick::respond(snapshot, &Ask::new(question).octets(), *CLIENT, Transport::Udp, &terms(), &mut Vec::new())
        .is_some()
}

#[test]
fn what_nearly_every_query_asks_is_answered_in_one_pass() {
    for world in [&WORLDS[1], &WORLDS[2]] {
        for question in
            ["a.s. A", "A.s. AAAA", "x.c.s. A", "nx.a.s. A", "m.n.o.s. A", "s. NS", "x.l.s. TXT", "nx.f.s. A"]
        {
            let expected = !matches!(question, "x.c.s. A" | "nx.f.s. A");
            assert_eq!(is_quick(world, question), expected, "{question}");
        }
    }
    let leaving = snapshot(&[zone("s.", "")], vec![hub("m.s.", "weu cname out.of.")]);
    assert!(is_quick(&leaving, "m.s. A") && is_quick(&leaving, "m.s. CNAME"));
    // Neither a TTL that spreads nor what a hub says of itself is a reason for the long way.
    assert!(is_quick(&WORLDS[4], "a.m.s. A") && is_quick(&WORLDS[4], "_concierge.a.m.s. TXT"));
    // Nor is an answer that depends on who asks, or on a draw.
    let answers = |question: &str| {
        let mut lots = Lots::from(1);
        let mut quick = 0;
        for from in 0..100_u32 {
            let client = Client::at(std::net::IpAddr::V4((from << 25).into())).with_lot(lots.draw());
            let query = Ask::new(question).octets();
            quick += u32::from(
                super::quick::respond(&WORLDS[5], &query, client, Transport::Udp, &terms(), &mut Vec::new()).is_some(),
            );
        }
        quick
    };
    assert_eq!(answers("b.e.k.s. A"), 100);
    for question in ["m.s. A", "m.n.o.s. A", "a.m.s. A", "x.s. A", "a.y.s. A"] {
        // Where it leads to a name that is served, the chain is followed the long way.
        assert!((20..100).contains(&answers(question)), "{question}: {}", answers(question));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn one_pass_and_the_general_way_answer_alike(
        ask in prop_oneof![4 => plain(), 1 => query()],
        transport in transport(),
        world in 0..WORLDS.len(),
        from in from(),
        manner in manner(),
    ) {
        hold_alike(&WORLDS[world], &ask.octets(), transport, from, &manner);
    }

    #[test]
    fn one_pass_and_the_general_way_judge_a_cookie_alike(
        ask in plain().prop_filter("without OPT", |ask| ask.rest.is_empty()),
        transport in transport(),
        world in 0..WORLDS.len(),
        from in from(),
        of in prop_oneof![4 => Just(None), 1 => from().prop_map(Some)],
        manner in manner(),
        secret in 1..4_u8,
        length in prop_oneof![8 => Just(24_usize), 1 => 0..50_usize],
        spoilt in prop::option::weighted(0.3, 0..24_usize),
    ) {
        let ask = with_cookie(ask, of.unwrap_or(from), secret, length, spoilt);
        hold_alike(&WORLDS[world], &ask.octets(), transport, from, &manner);
    }

    #[test]
    fn one_pass_and_the_general_way_answer_alike_whatever_is_wrong(
        query in mutated(),
        transport in transport(),
        world in 0..WORLDS.len(),
        from in from(),
        manner in manner(),
    ) {
        hold_alike(&WORLDS[world], &query, transport, from, &manner);
    }

    #[test]
    fn arbitrary_octets(
        query in prop::collection::vec(any::<u8>(), 0..300),
        transport in transport(),
        world in 0..WORLDS.len(),
    ) {
        hold(&WORLDS[world], &query, transport, HERE, &Manner::sized(1232));
    }

    #[test]
    fn mutated_queries(query in mutated(), transport in transport(), ours in 512..4096u16, world in 0..WORLDS.len()) {
        hold(&WORLDS[world], &query, transport, HERE, &Manner::sized(ours));
    }

    #[test]
    fn proper_queries(query in query(), transport in transport(), ours in 0..4096u16, world in 0..WORLDS.len()) {
        hold(&WORLDS[world], &query.octets(), transport, HERE, &Manner::sized(ours));
    }

    /// The client's size bounds the response over UDP, and a response that is not cut is that of TCP.
    #[test]
    fn transports_agree(query in query(), world in 0..WORLDS.len()) {
        let octets = query.octets();
        let answer = |transport| {
            let mut response = Vec::new();
            let outcome = respond(&WORLDS[world], &octets, *CLIENT, transport, &terms(), &mut response);
            (outcome, response)
        };
        let (udp, tcp) = (answer(Transport::Udp), answer(Transport::Tcp));
        prop_assert_eq!(&udp, &answer(Transport::Udp));
        let opt_size = query.rest.get(3..5).map_or(512, |size| usize::from(size[0]) << 8 | usize::from(size[1]));
        prop_assert!(udp.1.len() <= opt_size.clamp(512, 1232));
        if matches!(udp.0, Outcome::Reply { truncated: false, .. }) && udp.1.len() == tcp.1.len() {
            prop_assert_eq!(udp, tcp);
        } else {
            // Only referrals may leave something out without TC: addresses of name servers outside the delegated zone.
            prop_assert!(udp.1.len() < tcp.1.len());
            prop_assert!(tcp.1.len() > opt_size.clamp(512, 1232));
        }
    }

    /// The explanation is of the answer that is given.
    #[test]
    fn lookup_says_what_respond_does(question in question(), world in 0..WORLDS.len()) {
        let (owner, rtype) = question.split_once(' ').unwrap();
        let rtype = Rtype::parse(rtype).unwrap();
        if rtype == Rtype::AXFR {
            return Ok(());
        }
        let told = Content::lookup(&WORLDS[world], &name(owner), rtype, CLIENT.origin());
        let mut response = Vec::new();
        let outcome = respond(&WORLDS[world], &Ask::new(&question).octets(), *CLIENT, Transport::Tcp, &terms(), &mut response);
        let Outcome::Reply { rcode, truncated, hub, .. } = outcome else { panic!("silence") };
        prop_assert_eq!((rcode, truncated), (told.rcode, false));
        let own = told.steps.iter().find(|step| {
            step.hub.is_some() && matches!(step.result, StepResult::Answer(_) | StepResult::Cname { .. })
        });
        // A hub without an active region tells nobody of one.
        let told_of = own.and_then(|step| step.hub).filter(|(_, choice)| !matches!(choice.what, What::Among(_)));
        prop_assert_eq!(hub.map(HubAnswer::position), told_of.map(|(hub, _)| hub));
        prop_assert_eq!(response[2] & 0x04 != 0, told.authoritative);
        let message = Message::from_vec(&response).unwrap();
        let mut dnames = std::collections::BTreeSet::new();
        let answers: usize = told.steps.iter().map(|step| match &step.result {
            StepResult::Answer(answered) if answered.rtype == Rtype::DNAME => usize::from(dnames.insert(step.name.clone())),
            StepResult::Answer(answered) => answered.rdatas.len(),
            StepResult::Cname { .. } => 1,
            StepResult::Dname { next, .. } => {
                let super::lookup::Matched::Dname(owner) = &step.matched else { panic!("{step:?}") };
                usize::from(dnames.insert(owner.clone())) + usize::from(next.is_some())
            }
            _ => 0,
        }).sum();
        prop_assert_eq!(message.answers.len(), answers);
        prop_assert_eq!(told.end == End::Unserved && told.steps.is_empty(), told.rcode == Rcode::REFUSED);
    }
}
