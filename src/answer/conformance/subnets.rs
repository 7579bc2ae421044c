//! RFC 7871: what a trusted client says of whom it asks for, and what it is told.

use proptest::prelude::*;

use super::*;
use crate::answer::client::{Client, Lots};
use crate::answer::respond::{Outcome, respond};
use crate::answer::snapshot::What;
use crate::answer::testing::{client, map, options_of, selecting, terms, with};
use crate::policy::{GeoEntry, GeoMap, Origin, Prefixes, RegionName, Selection};

/// A resolver whose word is taken, in the network of the first entry.
fn resolver() -> Client {
    client("192.0.2.53").trusted(true)
}

fn example() -> Snapshot {
    let zone = zone(
        "example.",
        "www A 192.0.2.80\nalias CNAME geo\n*.wild CNAME geo\nsub NS geo\nold DNAME new\nto DNAME example.\nx.new A 192.0.2.1\ngeo TXT static",
    );
    let map = map("192.0.2.0/24 neu\n10.0.0.0/8 eus\n10.1.0.0/16 weu\n2001:db8::/32 eus\n2001:db8:1::/48 neu");
    let addresses = "weu 192.0.2.1 2001:db8::1\nneu 192.0.2.2\neus 192.0.2.3";
    let hubs = vec![
        selecting(Selection::Geo(map.clone()), "geo.example.", addresses),
        selecting(Selection::Weighted, "weighted.example.", addresses),
        selecting(Selection::All { most: 2 }, "all.example.", addresses),
        selecting(Selection::Sticky(Prefixes { ipv4: 20, ipv6: 40 }), "sticky.example.", addresses),
        hub("plain.example.", addresses),
        hub("inside.example.", "weu hub nested.example."),
        selecting(Selection::Geo(map), "nested.example.", "weu hub sticky.example.\nneu 192.0.2.9\neus 192.0.2.8"),
    ];
    snapshot(&[zone], hubs)
}

/// The data of an option: family, SOURCE PREFIX-LENGTH, SCOPE PREFIX-LENGTH, address.
fn data(family: u16, source: u8, scope: u8, address: &[u8]) -> Vec<u8> {
    [&family.to_be_bytes()[..], &[source, scope], address].concat()
}

/// An OPT record's options of one client subnet.
fn option(data: &[u8]) -> Vec<u8> {
    [&[0, 8][..], &(data.len() as u16).to_be_bytes(), data].concat()
}

/// The option for `address/source`.
fn subnet(text: &str) -> Vec<u8> {
    let prefix: ipnet::IpNet = text.parse().unwrap();
    let octets = match prefix.trunc().addr() {
        std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
        std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let taken = usize::from(prefix.prefix_len()).div_ceil(8);
    option(&data(if octets.len() == 4 { 1 } else { 2 }, prefix.prefix_len(), 0, &octets[..taken]))
}

/// What a client gets with these options: the answer as shown, and the data of the option of the response.
fn told(snapshot: &Snapshot, from: Client, question: &str, options: &[u8]) -> (String, Option<Vec<u8>>) {
    let query = Ask::new(question).opt(1232, 0, false, options).octets();
    let answer = |transport| {
        let mut response = Vec::new();
        let outcome = respond(snapshot, &query, from, transport, &terms(), &mut response);
        assert!(matches!(outcome, Outcome::Reply { .. }));
        response
    };
    let response = answer(Transport::Udp);
    assert_eq!(response, answer(Transport::Tcp), "{question}");
    let option = options_of(&response).unwrap().into_iter().find(|(code, _)| *code == 8).map(|(_, data)| data);
    (show(&response), option)
}

/// The address of the answer and the scope.
#[track_caller]
fn check_answer(question: &str, asked: &str, address: &str, scope: u8) {
    let (shown, option) = told(&example(), resolver(), question, &subnet(asked));
    assert!(shown.starts_with("NOERROR aa | ") && shown.ends_with(&format!(" {address}")), "{asked}: {shown}");
    assert_eq!(option.map(|data| data[3]), Some(scope), "{asked}");
}

#[test]
fn rfc7871_section_6_a_wrong_option_is_a_format_error() {
    let check = |data: &[u8], expected: bool| {
        let (shown, option) = told(&example(), resolver(), "geo.example. A", &self::option(data));
        assert_eq!(shown != "FORMERR", expected, "{data:?}: {shown}");
        assert_eq!(option.is_some(), expected, "{data:?}");
    };
    check(&data(1, 24, 0, &[10, 1, 2]), true);
    check(&data(1, 23, 0, &[10, 1, 2]), true);
    check(&data(1, 32, 0, &[10, 1, 2, 3]), true);
    check(&data(2, 128, 0, &[0x20; 16]), true);
    check(&data(1, 0, 0, &[]), true);
    check(&data(2, 0, 0, &[]), true);
    // SCOPE PREFIX-LENGTH is the server's to say.
    check(&data(1, 24, 24, &[10, 1, 2]), false);
    // Bits beyond SOURCE PREFIX-LENGTH.
    check(&data(1, 23, 0, &[10, 1, 3]), false);
    check(&data(1, 1, 0, &[0xc0]), false);
    // Too few octets, and too many.
    check(&data(1, 24, 0, &[10, 1]), false);
    check(&data(1, 24, 0, &[10, 1, 2, 0]), false);
    check(&data(1, 0, 0, &[0]), false);
    // Longer than addresses of the family are.
    check(&data(1, 33, 0, &[10, 1, 2, 3, 0]), false);
    check(&data(2, 129, 0, &[0; 17]), false);
    // Cut short.
    check(&[], false);
    check(&[0, 1, 0], false);
}

#[test]
fn rfc7871_section_7_2_1_an_unknown_family_is_a_format_error() {
    for family in [0, 3, 16_384, 0xffff] {
        let (shown, _) = told(&example(), resolver(), "geo.example. A", &option(&data(family, 8, 0, &[10])));
        assert_eq!(shown, "FORMERR", "{family}");
    }
    let twice = [subnet("10.0.0.0/8"), subnet("10.0.0.0/8")].concat();
    assert_eq!(told(&example(), resolver(), "geo.example. A", &twice).0, "FORMERR");
    let behind = [subnet("10.0.0.0/8"), vec![0, 10, 0, 9, 1]].concat();
    assert_eq!(told(&example(), resolver(), "geo.example. A", &behind).0, "FORMERR");
    let between = [&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8][..], &subnet("10.0.0.0/8"), &[0, 3, 0, 0]].concat();
    assert_eq!(told(&example(), resolver(), "geo.example. A", &between).1, Some(data(1, 8, 16, &[10])));
}

#[test]
fn rfc7871_section_7_2_1_the_answer_is_for_the_subnet_and_the_scope_says_how_far() {
    check_answer("geo.example. A", "10.2.0.0/24", "192.0.2.3", 15);
    check_answer("geo.example. A", "10.200.0.0/24", "192.0.2.3", 9);
    check_answer("geo.example. A", "10.1.0.0/24", "192.0.2.1", 16);
    check_answer("geo.example. A", "192.0.2.0/24", "192.0.2.2", 24);
    check_answer("geo.example. A", "198.51.100.0/24", "192.0.2.1", 6);
    check_answer("geo.example. A", "2001:db8:1:100::/56", "192.0.2.2", 48);
    check_answer("geo.example. A", "2001:db8:8000::/40", "192.0.2.3", 33);
    // More would have been told with a longer one: the scope is longer than what was asked.
    check_answer("geo.example. A", "10.0.0.0/8", "192.0.2.3", 16);
    check_answer("sticky.example. A", "10.1.0.0/24", &sticky("10.1.0.1"), 20);
    check_answer("sticky.example. A", "2001:db8::/56", &sticky("2001:db8::"), 40);
    // An IPv4-mapped prefix is one of IPv6, in which nobody is.
    check_answer("geo.example. A", "::ffff:10.2.0.0/120", "192.0.2.1", 3);
    // Of hubs inside one another the longest counts.
    check_answer("inside.example. A", "198.51.100.0/24", &sticky("198.51.100.0"), 20);
    check_answer("inside.example. A", "10.2.0.0/24", "192.0.2.8", 15);
}

fn sticky(address: &str) -> String {
    let shown = show(&send_from_address(&example(), "sticky.example. A", address));
    shown.rsplit(' ').next().unwrap().to_owned()
}

fn send_from_address(snapshot: &Snapshot, question: &str, address: &str) -> Vec<u8> {
    crate::answer::testing::send_from(client(address), snapshot, &Ask::new(question).octets(), Transport::Udp)
}

#[test]
fn rfc7871_section_7_2_1_what_does_not_depend_on_the_client_has_scope_0() {
    for question in [
        "www.example. A",
        "weighted.example. A",
        "all.example. A",
        "plain.example. A",
        "geo.example. TXT",
        "x.old.example. A",
        "missing.example. A",
        "www.example. MX",
        "example.org. A",
        "x.sub.example. A",
        "geo.example. AXFR",
    ] {
        let (_, option) = told(&example(), resolver(), question, &subnet("10.1.0.0/24"));
        assert_eq!(option, Some(data(1, 24, 0, &[10, 1, 0])), "{question}");
    }
}

/// All but the scope is as in the query; without the option there is none.
#[test]
fn rfc7871_section_7_2_1_the_option_comes_back_as_it_was() {
    let snapshot = example();
    for (asked, scope) in
        [("10.1.0.0/16", 16), ("10.1.2.128/25", 16), ("2001:db8:1::/47", 48), ("2001:db8:1:2:3::/80", 48)]
    {
        let mut expected = subnet(asked)[4..].to_vec();
        expected[3] = scope;
        assert_eq!(told(&snapshot, resolver(), "geo.example. A", &subnet(asked)).1, Some(expected), "{asked}");
    }
    assert_eq!(told(&snapshot, resolver(), "geo.example. A", &[]).1, None);
}

/// RFC 7871 7.2.1: with a CNAME chain only the first CNAME, which then has the scope of nothing else.
#[test]
fn rfc7871_section_7_2_1_an_alias_is_answered_alone() {
    let snapshot = example();
    for (question, scope) in [("alias.example. A", 0), ("x.wild.example. A", 0)] {
        let (shown, option) = told(&snapshot, resolver(), question, &subnet("10.1.0.0/24"));
        let owner = question.split_once(' ').unwrap().0;
        assert_eq!(shown, format!("NOERROR aa | {owner} 300 CNAME geo.example."));
        assert_eq!(option.unwrap()[3], scope);
    }
    // Who does not ask for a subnet gets the whole chain.
    assert!(told(&snapshot, resolver(), "alias.example. A", &[]).0.ends_with("geo.example. 30 A 192.0.2.2"));
    // So is the alias that a DNAME makes.
    let (shown, option) = told(&snapshot, resolver(), "geo.to.example. A", &subnet("10.1.0.0/24"));
    assert!(shown.ends_with("geo.to.example. 300 CNAME geo.example."), "{shown}");
    assert_eq!(option.unwrap()[3], 0);
    assert!(told(&snapshot, resolver(), "geo.to.example. A", &[]).0.ends_with("geo.example. 30 A 192.0.2.2"));
}

#[test]
fn rfc7871_section_7_1_2_no_bits_at_all_ask_for_the_resolver() {
    let snapshot = example();
    let without = |family| {
        let query = Ask::new("geo.example. A").opt(1232, 0, false, &option(&data(family, 0, 0, &[]))).octets();
        let mut response = Vec::new();
        respond(&snapshot, &query, resolver(), Transport::Udp, &terms(), &mut response);
        response
    };
    // Family 0 is of no address, and other codecs do not read it.
    for family in [0, 1, 2] {
        let response = without(family);
        let (answer, data) = response.split_at(response.len() - 4);
        assert_eq!(data, self::data(family, 0, 0, &[]), "{family}");
        assert!(answer.windows(8).any(|octets| octets == [0, 0, 0, 30, 0, 4, 192, 0]), "{family}: {response:?}");
        assert_eq!((response[3], response[7]), (0, 1), "{family}");
        assert!(answer.windows(4).any(|octets| octets == [192, 0, 2, 2]), "{family}: {response:?}");
    }
}

/// RFC 7871 7.4: what is negative, and what is beside a referral, is for everybody.
#[test]
fn rfc7871_section_7_4_negative_answers_and_glue_are_for_everybody() {
    let snapshot = example();
    // eus has no AAAA and another region has: that is remembered as long as the hub's TTL, and by everybody.
    let (shown, option) = told(&snapshot, resolver(), "geo.example. AAAA", &subnet("10.2.0.0/24"));
    assert!(shown.starts_with("NOERROR aa | - | example. 30 SOA"), "{shown}");
    assert_eq!(option.unwrap()[3], 0);
    // Glue is that of the resolver.
    let (shown, option) = told(&snapshot, resolver(), "x.sub.example. A", &subnet("10.2.0.0/24"));
    assert!(shown.ends_with("| geo.example. 30 A 192.0.2.2"), "{shown}");
    assert_eq!(option.unwrap()[3], 0);
}

/// RFC 7871 11.3: from those who are not trusted it is an option like any that is not known.
#[test]
fn rfc7871_section_11_3_nobody_else_is_listened_to() {
    let snapshot = example();
    let stranger = client("192.0.2.53");
    for options in
        [subnet("10.1.0.0/24"), option(&data(9, 200, 3, &[])), [subnet("10.0.0.0/8"), subnet("10.0.0.0/8")].concat()]
    {
        let (shown, option) = told(&snapshot, stranger, "geo.example. A", &options);
        assert_eq!((shown.as_str(), option), ("NOERROR aa | geo.example. 30 A 192.0.2.2", None));
    }
    // The shape of options is checked all the same (RFC 6891 6.1.2).
    assert_eq!(told(&snapshot, stranger, "geo.example. A", &[0, 8, 0, 9, 1]).0, "FORMERR");
}

/// The option takes its place: what does not fit beside it is truncated.
#[test]
fn rfc7871_section_7_2_1_the_option_is_reserved_for() {
    let many: String = (0..28).map(|at| format!("many A 192.0.2.{at}\n")).collect();
    let snapshot = snapshot(&[zone("example.", &many)], vec![]);
    let length = |options: &[u8]| {
        let query = Ask::new("many.example. A").opt(512, 0, false, options).octets();
        let mut response = Vec::new();
        respond(&snapshot, &query, resolver(), Transport::Udp, &terms(), &mut response);
        (response.len(), response[2] & 0x02 != 0)
    };
    // 12 of header, 18 of question, 16 for each address, 11 of OPT.
    assert_eq!(length(&[]), (12 + 18 + 28 * 16 + 11, false));
    assert_eq!(length(&subnet("10.1.0.0/24")), (12 + 18 + 28 * 16 + 11 + 11, false));
    assert_eq!(length(&subnet("2001:db8::/128")), (12 + 18 + 11 + 24, true));
}

fn network() -> impl Strategy<Value = ipnet::IpNet> {
    let v4 = (any::<u32>(), 0..=32_u8).prop_map(|(far, bits)| {
        ipnet::IpNet::new(std::net::Ipv4Addr::from(0x0a00_0000 | far & 0x0000_0f0f).into(), bits).unwrap().trunc()
    });
    let v6 = (any::<u64>(), 0..=64_u8).prop_map(|(far, bits)| {
        let upper = u128::from(0x2001_0db8_0000_0000 | far & 0x0f0f) << 64;
        ipnet::IpNet::new(std::net::Ipv6Addr::from(upper).into(), bits).unwrap().trunc()
    });
    prop_oneof![v4, v6]
}

proptest! {
    /// Whoever is within the scope of an answer gets the same one, and is told of the same scope: so caches may keep it for
    /// all of them, in whatever order they ask, and no two scopes overlap.
    #[test]
    fn rfc7871_section_7_3_1_all_within_the_scope_get_the_same(
        networks in prop::collection::btree_set(network(), 0..20),
        asked in network(),
        others in prop::collection::vec(any::<u128>(), 1..20),
        which in 0..3_usize,
        usable in 1..8_u64,
        lots in any::<u32>(),
    ) {
        let regions = ["weu", "neu", "eus"];
        let entry = |(at, network): (usize, ipnet::IpNet)| {
            GeoEntry { origin: Origin::Subnet(network), to: vec![RegionName::new(regions[at % 3])] }
        };
        let map = GeoMap { entries: networks.into_iter().enumerate().map(entry).collect(), default: vec![] };
        let lines = "weu 192.0.2.1\nneu 192.0.2.2\neus 192.0.2.3";
        let inner = selecting(Selection::Geo(map.into()), "geo.example.", lines);
        let sticky = selecting(Selection::Sticky(Prefixes { ipv4: 28, ipv6: 56 }), "sticky.example.", lines);
        let nested = selecting(inner.selection.clone(), "nested.example.", "weu hub sticky.example.\nneu hub geo.example.\neus 192.0.2.9");
        let snapshot = snapshot(&[zone("example.", "")], vec![inner, sticky, nested]);
        let question = ["geo.example. A", "sticky.example. A", "nested.example. A"][which];
        let snapshot = with(&snapshot, question.split(' ').next().unwrap(), What::Among(usable));
        let (answer, option) = told(&snapshot, resolver(), question, &subnet(&asked.to_string()));
        let scope = option.unwrap()[3];
        if asked.prefix_len() == 0 {
            prop_assert_eq!(scope, 0);
            return Ok(());
        }
        let mut lots = Lots::from(lots);
        for other in others {
            // An address in the block of that scope around the one that was asked for.
            let inside: std::net::IpAddr = match asked.addr() {
                std::net::IpAddr::V4(v4) => {
                    let host = u32::MAX.checked_shr(scope.into()).unwrap_or(0);
                    std::net::Ipv4Addr::from(v4.to_bits() & !host | other as u32 & host).into()
                }
                std::net::IpAddr::V6(v6) => {
                    let host = u128::MAX.checked_shr(scope.into()).unwrap_or(0);
                    std::net::Ipv6Addr::from(v6.to_bits() & !host | other & host).into()
                }
            };
            let whole = ipnet::IpNet::from(inside);
            let from = resolver().with_lot(lots.draw());
            let (same, option) = told(&snapshot, from, question, &subnet(&whole.to_string()));
            prop_assert_eq!(&same, &answer, "{} within {} /{}", inside, asked, scope);
            prop_assert_eq!(option.unwrap()[3], scope);
            // And who asks for nobody else, but is there.
            let own = show(&send_from_address(&snapshot, question, &inside.to_string()));
            prop_assert_eq!(&own, &answer);
        }
    }
}
