//! Every policy over the real selector, with the draws that workers make.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::super::client::{Client, Lots};
use super::super::compile::compile;
use super::super::snapshot::Snapshot;
use super::super::testing::{
    Ask, ask, client, hub, map, name, policy, selecting, send_from, show, snapshot, with, zone,
};
use super::*;
use crate::geo::{Databases, Network};
use crate::policy::{GeoMap, Hub, Selection};

const FOUR: &str = "weu 192.0.2.1\nneu 192.0.2.2\neus 192.0.2.3\nwus 192.0.2.4";

fn weighted(owner: &str, lines: &str, weights: &[u16]) -> Hub {
    let mut hub = selecting(Selection::Weighted, owner, lines);
    for (endpoint, weight) in hub.endpoints.iter_mut().zip(weights) {
        endpoint.weight = *weight;
    }
    hub
}

/// The addresses of the answer for one client, in their order.
fn addresses(snapshot: &Snapshot, question: &str, from: Client) -> Vec<String> {
    let octets = Ask::new(question).octets();
    let shown = show(&send_from(from, snapshot, &octets, super::super::respond::Transport::Udp));
    let (head, answer) = shown.split_once(" | ").unwrap();
    assert_eq!(head, "NOERROR aa", "{question}: {shown}");
    answer.split(", ").map(|record| record.rsplit(' ').next().unwrap().to_owned()).collect()
}

/// How often each address came for so many queries.
fn counted(snapshot: &Snapshot, question: &str, queries: u32) -> BTreeMap<String, u32> {
    let (mut lots, mut counts) = (Lots::from(4_711), BTreeMap::new());
    for _ in 0..queries {
        let one = addresses(snapshot, question, client("198.51.100.7").with_lot(lots.draw())).remove(0);
        *counts.entry(one).or_insert(0) += 1;
    }
    counts
}

/// Pearson's statistic of counts against what is expected of each.
fn chi_square(counts: &[(u32, f64)]) -> f64 {
    counts.iter().map(|(count, expected)| (f64::from(*count) - expected).powi(2) / expected).sum()
}

/// Values that the statistic exceeds once in 10,000 times by chance, for 1 to 5 degrees of freedom.
const CRITICAL: [f64; 5] = [15.14, 18.42, 21.11, 23.51, 25.74];

#[track_caller]
fn check_shares(snapshot: &Snapshot, question: &str, shares: &[(&str, f64)]) {
    const QUERIES: u32 = 20_000;
    let counts = counted(snapshot, question, QUERIES);
    assert_eq!(counts.len(), shares.len(), "{counts:?}");
    let total: f64 = shares.iter().map(|(_, share)| share).sum();
    let both: Vec<(u32, f64)> =
        shares.iter().map(|(address, share)| (counts[*address], f64::from(QUERIES) * share / total)).collect();
    let statistic = chi_square(&both);
    assert!(statistic < CRITICAL[shares.len() - 2], "{statistic}: {counts:?}");
}

#[test]
fn weights_are_the_shares_of_the_queries() {
    let first = snapshot(&[zone("example.", "")], vec![weighted("w.example.", FOUR, &[50, 30, 15, 5])]);
    let four = [("192.0.2.1", 50.0), ("192.0.2.2", 30.0), ("192.0.2.3", 15.0), ("192.0.2.4", 5.0)];
    check_shares(&first, "w.example. A", &four);
    // What is not usable leaves its share to the others, in proportion.
    check_shares(&with(&first, "w.example.", What::Among(0b1101)), "w.example. A", &[four[0], four[2], four[3]]);
    let equal = snapshot(&[zone("example.", "")], vec![weighted("w.example.", FOUR, &[1; 4])]);
    check_shares(&equal, "w.example. A", &four.map(|(address, _)| (address, 1.0)));
    let huge = snapshot(&[zone("example.", "")], vec![weighted("w.example.", FOUR, &[65_535, 65_535, 32_768, 65_535])]);
    check_shares(
        &huge,
        "w.example. A",
        &[("192.0.2.1", 2.0), ("192.0.2.2", 2.0), ("192.0.2.3", 1.0), ("192.0.2.4", 2.0)],
    );
}

/// A share that is far below one query in a test is that share of all draws there are.
#[test]
fn the_least_weight_has_its_share_of_all_draws() {
    let bounds = |weights: &[u16]| {
        let endpoints = (0..weights.len() as u8).collect();
        let Pick::Drawn { bounds, .. } = drawn(endpoints, |at| weights[usize::from(*at)].into(), 0) else { panic!() };
        bounds.to_vec()
    };
    assert_eq!(bounds(&[1, 65_535]), [1 << 16]);
    assert_eq!(bounds(&[65_535, 1]), [u32::MAX - (1 << 16) + 1]);
    assert_eq!(bounds(&[7]), [] as [u32; 0]);
    assert_eq!(bounds(&[1; 64]), (1..64).map(|n| n << 26).collect::<Vec<u32>>());
}

/// All lots give all draws, so that shares are exact over all of them, whatever the hub.
#[test]
fn a_draw_is_a_permutation_of_the_lots() {
    let mut lots = Lots::from(7);
    let drawn: BTreeSet<u32> =
        (0..100_000).map(|_| client("192.0.2.1").with_lot(lots.draw()).origin().draw(9)).collect();
    assert_eq!(drawn.len(), 100_000);
}

#[test]
fn an_endpoint_without_weight_is_for_when_none_with_one_is_left() {
    let first = snapshot(&[zone("example.", "")], vec![weighted("w.example.", FOUR, &[1, 0, 0, 3])]);
    check_shares(&first, "w.example. A", &[("192.0.2.1", 1.0), ("192.0.2.4", 3.0)]);
    let left = with(&first, "w.example.", What::Among(0b0111));
    assert_eq!(counted(&left, "w.example. A", 100), BTreeMap::from([("192.0.2.1".into(), 100)]));
    check_shares(
        &with(&first, "w.example.", What::Among(0b0110)),
        "w.example. A",
        &[("192.0.2.2", 1.0), ("192.0.2.3", 1.0)],
    );
}

/// Hubs that a query comes through one after the other draw by themselves.
#[test]
fn draws_of_hubs_inside_one_another_are_independent() {
    let hubs = vec![
        weighted("outer.example.", "weu hub one.example.\nneu hub two.example.", &[1, 1]),
        weighted("one.example.", "weu 192.0.2.1\nneu 192.0.2.2", &[3, 1]),
        weighted("two.example.", "weu 192.0.2.3\nneu 192.0.2.4", &[1, 4]),
    ];
    let shares = [("192.0.2.1", 0.375), ("192.0.2.2", 0.125), ("192.0.2.3", 0.1), ("192.0.2.4", 0.4)];
    check_shares(&snapshot(&[zone("example.", "")], hubs.clone()), "outer.example. A", &shares);
    // And along a chain of CNAMEs.
    let chain = zone("example.", "");
    let mut chained = hubs;
    chained[0] = weighted("outer.example.", "weu cname one.example.\nneu cname two.example.", &[1, 1]);
    let snapshot = snapshot(&[chain], chained);
    let (mut lots, mut counts) = (Lots::from(4_711), BTreeMap::new());
    for _ in 0..20_000 {
        let one = addresses(&snapshot, "outer.example. A", client("198.51.100.7").with_lot(lots.draw())).remove(1);
        *counts.entry(one).or_insert(0) += 1;
    }
    let both = shares.map(|(address, share)| (counts[address], 20_000.0 * share));
    assert!(chi_square(&both) < CRITICAL[2], "{counts:?}");
}

#[test]
fn geo_answers_the_first_usable_endpoint_of_the_list_of_the_class() {
    let map = map("192.0.2.0/24 neu eus\n192.0.2.128/25 wus\n2001:db8::/32 eus\ndefault neu");
    let first = snapshot(&[zone("example.", "")], vec![selecting(Selection::Geo(map), "g.example.", FOUR)]);
    let check = |mask: u64, from: &str, expected: &str| {
        let snapshot = with(&first, "g.example.", What::Among(mask));
        let expected = format!("192.0.2.{expected}");
        assert_eq!(addresses(&snapshot, "g.example. A", client(from)), [expected], "{from} of {mask:b}");
    };
    let orders = [("192.0.2.7", "2314"), ("192.0.2.200", "4213"), ("2001:db8::1", "3214"), ("198.51.100.1", "2134")];
    for (from, order) in orders {
        let mut mask = 0b1111;
        for expected in order.split("").filter(|digit| !digit.is_empty()) {
            check(mask, from, expected);
            mask &= !(1 << (expected.parse::<u32>().unwrap() - 1));
        }
    }
    // And says so.
    let told = |from: &str| {
        let origin = super::super::client::Origin::of(from.parse().unwrap(), 0);
        let two = with(&first, "g.example.", What::Among(0b0101));
        let [level] = &*two.explain(0, origin) else { panic!() };
        (level.why, level.preference.clone(), level.endpoint, level.scope)
    };
    assert_eq!(told("192.0.2.7"), (Why::Entry(0), vec![1, 2, 0, 3], Some(2), 25));
    assert_eq!(told("192.0.2.200"), (Why::Entry(1), vec![3, 1, 0, 2], Some(0), 25));
    assert_eq!(told("192.0.3.7"), (Why::Default, vec![1, 0, 2, 3], Some(0), 24));
    assert_eq!(told("2001:db8::"), (Why::Entry(2), vec![2, 1, 0, 3], Some(2), 32));
}

#[test]
fn nearest_answers_by_distance_and_else_by_the_default() {
    let located = |region: &str| match region {
        "weu" => Some((52.37, 4.89)),
        "neu" => Some((53.35, -6.26)),
        "eus" => Some((37.37, -79.82)),
        _ => None,
    };
    let hubs = vec![selecting(Selection::Nearest(map("10.0.0.0/8 wus\ndefault neu")), "n.example.", FOUR)];
    let mut policy = policy(hubs);
    for endpoint in &policy.hubs[&name("n.example.")].endpoints {
        let region = crate::policy::Region { location: located(endpoint.region.as_str()) };
        policy.regions.insert(endpoint.region.clone(), region);
    }
    let content = compile(vec![zone("example.", "")], &policy).unwrap();
    let databases = Databases { database: Some(crate::geo::testing::located()), asn: None };
    assert!(content.has_maps());
    let classed = content.classed_by(&databases);
    assert!(classed.is_of(&content));
    let choices = [Choice::of(What::Among(0b1111))];
    let before = Snapshot::new(1, Arc::new(content), choices.into()).unwrap();
    let after = before.next(Arc::new(classed), choices.into()).unwrap();
    let check = |snapshot: &Snapshot, mask, from: &str, expected: &str| {
        let snapshot = with(snapshot, "n.example.", What::Among(mask));
        assert_eq!(addresses(&snapshot, "n.example. A", client(from)), [format!("192.0.2.{expected}")], "{from}");
    };
    // Lisbon is nearest to Dublin, then Amsterdam.
    check(&before, 0b1111, "11.0.0.1", "2");
    check(&after, 0b1111, "11.0.0.1", "2");
    check(&after, 0b1101, "11.0.0.1", "1");
    check(&after, 0b1100, "11.0.0.1", "3");
    check(&after, 0b1000, "11.0.0.1", "4");
    // Frankfurt to Amsterdam.
    check(&before, 0b1111, "12.0.0.1", "2");
    check(&after, 0b1111, "12.0.0.1", "1");
    // The map outranks the distance, and who is nowhere has the default.
    check(&after, 0b1111, "10.0.0.1", "4");
    check(&after, 0b1111, "13.0.0.1", "2");
    let [level] = &*after.explain(0, client("11.0.0.1").origin()) else { panic!() };
    assert_eq!((level.why, &*level.preference, level.endpoint), (Why::Distance, &[1, 0, 2, 3][..], Some(1)));
}

#[test]
fn all_answers_so_many_at_once_and_each_has_its_turn() {
    let lines = "weu 192.0.2.1 2001:db8::1\nneu 192.0.2.2\neus 192.0.2.3 192.0.2.33\nwus 192.0.2.4 2001:db8::4";
    let of = |most| {
        snapshot(&[zone("example.", "a MX 5 mail")], vec![selecting(Selection::All { most }, "a.example.", lines)])
    };
    let seen = |snapshot: &Snapshot, question: &str| -> BTreeSet<Vec<String>> {
        let mut lots = Lots::from(1);
        (0..200).map(|_| addresses(snapshot, question, client("192.0.2.9").with_lot(lots.draw()))).collect()
    };
    let lines = |shown: &[&str]| -> BTreeSet<Vec<String>> {
        let address = |word: &str| if word.contains(':') { word.to_owned() } else { format!("192.0.2.{word}") };
        shown.iter().map(|line| line.split(' ').map(address).collect()).collect()
    };
    let whole = of(64);
    assert_eq!(seen(&whole, "a.example. A"), lines(&["1 2 3 33 4", "2 3 33 4 1", "3 33 4 1 2", "4 1 2 3 33"]));
    let both = lines(&["2001:db8::1 2001:db8::4", "2001:db8::4 2001:db8::1"]);
    assert_eq!(seen(&whole, "a.example. AAAA"), both);
    let two = of(2);
    assert_eq!(seen(&two, "a.example. A"), lines(&["1 2", "2 3 33", "3 33 4", "4 1"]));
    // Of a type that few have, there is one in every turn.
    assert_eq!(seen(&two, "a.example. AAAA"), both);
    assert_eq!(seen(&of(1), "a.example. AAAA"), lines(&["2001:db8::1", "2001:db8::4"]));
    let three = with(&two, "a.example.", What::Among(0b1101));
    assert_eq!(seen(&three, "a.example. A"), lines(&["1 3 33", "3 33 4", "4 1"]));
    assert_eq!(seen(&with(&two, "a.example.", What::Among(0b0010)), "a.example. A"), lines(&["2"]));
    // What the zone file says stands beside.
    assert_eq!(ask(&three, &Ask::new("a.example. MX")), "NOERROR aa | a.example. 300 MX 5 mail.example.");
    // Each is first as often as any other.
    let firsts = counted(&three, "a.example. A", 9_000);
    let expected = ["192.0.2.1", "192.0.2.3", "192.0.2.4"].map(|address| (firsts[address], 3_000.0));
    assert!(chi_square(&expected) < CRITICAL[1], "{firsts:?}");
}

#[test]
fn a_hub_inside_another_answers_under_its_name() {
    let hubs = || {
        vec![
            hub("a.example.", "weu hub b.example.\nneu 192.0.2.9"),
            selecting(Selection::Geo(map("192.0.2.0/24 neu")), "b.example.", "weu hub c.example.\nneu hub d.example."),
            hub("c.example.", "weu 192.0.2.1\nneu 192.0.2.7"),
            selecting(Selection::All { most: 2 }, "d.example.", "weu 192.0.2.2\nneu 192.0.2.3"),
        ]
    };
    let first = snapshot(&[zone("example.", "a MX 5 mail\nb TXT own")], hubs());
    let check = |snapshot: &Snapshot, from: &str, expected: &[&str]| {
        let mut found = addresses(snapshot, "a.example. A", client(from));
        found.sort();
        assert_eq!(found, expected, "{from}");
    };
    check(&first, "198.51.100.1", &["192.0.2.1"]);
    check(&first, "192.0.2.1", &["192.0.2.2", "192.0.2.3"]);
    assert_eq!(ask(&first, &Ask::new("a.example. MX")), "NOERROR aa | a.example. 300 MX 5 mail.example.");
    assert!(ask(&first, &Ask::new("a.example. TXT")).starts_with("NOERROR aa | - | "));
    // A switch inside, and one outside.
    let inside = with(&first, "c.example.", What::Endpoint(1));
    check(&inside, "198.51.100.1", &["192.0.2.7"]);
    check(&with(&inside, "b.example.", What::Among(0b10)), "198.51.100.1", &["192.0.2.2", "192.0.2.3"]);
    check(&with(&inside, "a.example.", What::Endpoint(1)), "198.51.100.1", &["192.0.2.9"]);
    let levels: Vec<(usize, Why, Option<usize>)> = first
        .explain(0, client("192.0.2.1").origin())
        .into_iter()
        .map(|level| (level.hub, level.why, level.endpoint))
        .collect();
    assert_eq!(levels, [(0, Why::Choice, Some(0)), (1, Why::Entry(0), Some(1)), (3, Why::Turn, None)]);
}

#[test]
fn the_ttl_is_the_least_of_all_that_are_inside() {
    let ttls = |hub: Hub, ttl, ttl_min| {
        let (ttl, ttl_min) = (Duration::from_secs(ttl), Duration::from_secs(ttl_min));
        Hub { ttl, ttl_min, ..hub }
    };
    let hubs = vec![
        ttls(weighted("a.example.", "weu hub b.example.\nneu 192.0.2.9", &[1, 0]), 300, 300),
        ttls(hub("b.example.", "weu 192.0.2.1\nneu 192.0.2.2"), 60, 10),
        ttls(selecting(Selection::All { most: 2 }, "d.example.", "weu 192.0.2.1\nneu 192.0.2.2"), 60, 10),
    ];
    let first = snapshot(&[zone("example.", "")], hubs);
    let shown = |snapshot: &Snapshot, question: &str| ask(snapshot, &Ask::new(question));
    assert_eq!(shown(&first, "a.example. A"), "NOERROR aa | a.example. 60 A 192.0.2.1");
    assert!(shown(&first, "d.example. A").starts_with("NOERROR aa | d.example. 60 A"));
    let mut choices = first.choices.clone();
    choices[1].low_ttl = true;
    choices[2].low_ttl = true;
    let low = first.switch(choices).unwrap();
    assert_eq!(shown(&low, "a.example. A"), "NOERROR aa | a.example. 10 A 192.0.2.1");
    assert!(shown(&low, "d.example. A").starts_with("NOERROR aa | d.example. 10 A"));
    assert_eq!(low.ttl(0, client("192.0.2.1")), Some(10));
}

#[test]
fn hubs_inside_one_another_are_four_deep_at_most_and_never_lead_back() {
    let rules = |hubs: Vec<Hub>| -> Vec<&str> {
        let zones = vec![zone("example.", "www CNAME a")];
        compile(zones, &policy(hubs))
            .map_or_else(|refused| refused.iter().map(|refused| refused.rule).collect(), |_| vec![])
    };
    let chain = |last: &str| {
        vec![
            hub("a.example.", "weu hub b.example.\nneu hub c.example."),
            hub("b.example.", "weu hub c.example."),
            hub("c.example.", "weu hub d.example."),
            hub("d.example.", last),
        ]
    };
    assert_eq!(rules(chain("weu 192.0.2.1")), [] as [&str; 0]);
    let five = [chain("weu hub e.example."), vec![hub("e.example.", "weu 192.0.2.1")]].concat();
    assert_eq!(rules(five), ["no-loop"]);
    assert_eq!(rules(chain("weu hub b.example.")), ["no-loop"; 4]);
    assert_eq!(rules(vec![hub("a.example.", "weu hub a.example.")]), ["no-loop"]);
    assert_eq!(rules(vec![hub("a.example.", "weu hub missing.example.")]), ["not-empty"]);
    // A CNAME of a hub inside must not lead to the one outside.
    assert_eq!(rules(chain("weu cname www.example.")), ["no-loop"; 4]);
    assert_eq!(rules(chain("weu cname www.example.org.")), [] as [&str; 0]);
    // What may not stand at the apex may not come there from inside.
    let apex = vec![hub("example.", "weu hub d.example."), hub("d.example.", "weu cname www.example.org.")];
    assert_eq!(rules(apex), ["cname-alone"]);
    let everything = selecting(Selection::All { most: 64 }, "d.example.", "weu hub a.example.");
    assert_eq!(rules(vec![hub("a.example.", "weu 192.0.2.1"), everything]), ["all-addresses"]);
    let everything = selecting(Selection::All { most: 64 }, "d.example.", "weu cname www.example.org.");
    assert_eq!(rules(vec![everything]), ["all-addresses"]);
    let addresses: String = (0..40).map(|at| format!("r{at} 192.0.2.{at}\n")).collect();
    assert_eq!(rules(vec![selecting(Selection::All { most: 29 }, "d.example.", &addresses)]), [] as [&str; 0]);
    assert_eq!(rules(vec![selecting(Selection::All { most: 40 }, "d.example.", &addresses)]), ["fits-512"]);
}

#[test]
fn no_snapshot_is_made_of_a_choice_that_leaves_a_name_empty() {
    let first = snapshot(
        &[zone("example.", "")],
        vec![
            selecting(Selection::Weighted, "w.example.", FOUR),
            hub("x.example.", "weu hub w.example."),
            hub("z.example.", FOUR),
        ],
    );
    let refused = |hub: usize, what| {
        let mut choices = first.choices.clone();
        choices[hub].what = what;
        let refused = first.switch(choices).map_or_else(|refused| refused, |_| Vec::new());
        refused.iter().map(|refused| refused.name.to_string()).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(refused(0, What::Among(0b1000)), none);
    // The hub outside would be as empty as the one inside.
    assert_eq!(refused(0, What::Among(0)), ["w.example.", "x.example."]);
    assert_eq!(refused(0, What::Among(0b1_0000)), ["w.example.", "x.example."]);
    assert_eq!(refused(0, What::All), ["w.example.", "x.example."]);
    assert_eq!(refused(1, What::Endpoint(1)), ["x.example."]);
    assert_eq!(refused(1, What::Among(1)), ["x.example."]);
    assert_eq!(refused(2, What::Among(1)), ["z.example."]);
}

#[test]
fn a_selector_is_made_anew_only_when_a_choice_of_it_changes() {
    let hubs = vec![
        selecting(Selection::Weighted, "a.example.", FOUR),
        selecting(Selection::Geo(map("192.0.2.0/24 neu")), "b.example.", "weu hub a.example.\nneu 192.0.2.9"),
        selecting(Selection::Sticky(Prefixes::default()), "c.example.", FOUR),
    ];
    let first = snapshot(&[zone("example.", "")], hubs);
    let shared = |other: &Snapshot| {
        let both = first.selectors().iter().zip(other.selectors());
        both.map(|(one, other)| Arc::ptr_eq(one, other)).collect::<Vec<_>>()
    };
    assert_eq!(shared(&with(&first, "a.example.", What::Among(0b1111))), [true, true, true]);
    assert_eq!(shared(&with(&first, "a.example.", What::Among(0b0111))), [false, false, true]);
    assert_eq!(shared(&with(&first, "b.example.", What::Among(0b01))), [true, false, true]);
    // Other databases may class anybody otherwise, and equal ones do not.
    let classed = |databases: &Databases| {
        first.next(Arc::new(first.content.classed_by(databases)), first.choices.clone()).unwrap()
    };
    assert_eq!(shared(&classed(&Databases::default())), [true, true, true]);
}

#[test]
fn hubs_with_equal_maps_share_what_is_compiled_of_them() {
    let hub = |owner: &str, map: &Arc<GeoMap>| selecting(Selection::Geo(map.clone()), owner, FOUR);
    let (one, equal, other) = (map("192.0.2.0/24 neu"), map("192.0.2.0/24 eus"), map("192.0.3.0/24 neu"));
    let hubs =
        vec![hub("a.example.", &one), hub("b.example.", &one), hub("c.example.", &equal), hub("d.example.", &other)];
    let first = snapshot(&[zone("example.", "")], hubs);
    assert_eq!(first.content.specs.len(), 2);
    let of = |question: &str| addresses(&first, question, client("192.0.2.1")).remove(0);
    assert_eq!(
        ["a", "b", "c", "d"].map(|owner| of(&format!("{owner}.example. A"))),
        ["192.0.2.2", "192.0.2.2", "192.0.2.3", "192.0.2.1"]
    );
}

#[test]
fn sticky_clients_of_one_prefix_stay_together_and_all_spread_evenly() {
    let sticky = |prefixes| selecting(Selection::Sticky(prefixes), "s.example.", FOUR);
    let first = snapshot(&[zone("example.", "")], vec![sticky(Prefixes { ipv4: 24, ipv6: 56 })]);
    let of = |snapshot: &Snapshot, from: &str| addresses(snapshot, "s.example. A", client(from)).remove(0);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for at in 0..4_000_u32 {
        let (high, low) = (at / 256, at % 256);
        let one = of(&first, &format!("10.{high}.{low}.1"));
        assert_eq!(one, of(&first, &format!("10.{high}.{low}.200")));
        *counts.entry(one).or_default() += 1;
    }
    let both: Vec<(u32, f64)> = counts.values().map(|count| (*count, 1_000.0)).collect();
    assert!(both.len() == 4 && chi_square(&both) < CRITICAL[2], "{counts:?}");
    assert_eq!(of(&first, "2001:db8:0:100::1"), of(&first, "2001:db8:0:1ff:ffff::"));
    let ipv6: BTreeSet<String> = (0..64).map(|at| of(&first, &format!("2001:db8:0:{at:x}00::1"))).collect();
    assert_eq!(ipv6.len(), 4);
    let everybody = snapshot(&[zone("example.", "")], vec![sticky(Prefixes { ipv4: 0, ipv6: 0 })]);
    let ipv4: BTreeSet<String> = (0..64).map(|at| of(&everybody, &format!("{at}.2.3.4"))).collect();
    assert_eq!(ipv4.len(), 1);
    // Two hubs send a client to the same region, and so does a server that knows the regions in another order.
    let turned = FOUR.lines().rev().collect::<Vec<_>>().join("\n");
    let other = selecting(Selection::Sticky(Prefixes::default()), "t.example.", &turned);
    let both = snapshot(&[zone("example.", "")], vec![sticky(Prefixes::default()), other]);
    for at in 0..64 {
        let from = client(&format!("10.0.{at}.1"));
        assert_eq!(addresses(&both, "s.example. A", from), addresses(&both, "t.example. A", from));
    }
}

proptest! {
    /// When a region is lost, its clients move and nobody else does, and when it is back they come back.
    #[test]
    fn only_the_clients_of_a_lost_region_move(
        usable in 1..1_u64 << 8,
        lost in 0..8_u32,
        clients in prop::collection::vec(any::<u32>(), 1..50),
    ) {
        let lines: String = (0..8).map(|at| format!("r{at} 192.0.2.{at}\n")).collect();
        let first = snapshot(
            &[zone("example.", "")],
            vec![selecting(Selection::Sticky(Prefixes { ipv4: 32, ipv6: 64 }), "s.example.", &lines)],
        );
        let (before, after) = (usable | 1 << lost, usable & !(1 << lost));
        prop_assume!(after != 0);
        let [before, after] = [before, after].map(|mask| with(&first, "s.example.", What::Among(mask)));
        let gone = format!("192.0.2.{lost}");
        for at in clients {
            let from = Client::at(std::net::IpAddr::V4(at.into()));
            let [then, now] = [&before, &after].map(|snapshot| addresses(snapshot, "s.example. A", from).remove(0));
            prop_assert_ne!(&now, &gone);
            if then != gone {
                prop_assert_eq!(then, now);
            }
        }
    }

    /// What is picked is usable, whatever the policy is and whoever asks.
    #[test]
    fn only_what_is_usable_is_picked(mask in 1..1_u64 << 4, from in any::<u32>(), lot in any::<u32>(), which in 0..5_usize) {
        let selection = [
            Selection::Weighted,
            Selection::Geo(map("0.0.0.0/1 eus\n10.0.0.0/8 wus weu")),
            Selection::Nearest(map("128.0.0.0/1 neu\ndefault wus")),
            Selection::All { most: 2 },
            Selection::Sticky(Prefixes::default()),
        ];
        let first = snapshot(&[zone("example.", "")], vec![selecting(selection[which].clone(), "h.example.", FOUR)]);
        let snapshot = with(&first, "h.example.", What::Among(mask));
        let from = Client::at(std::net::IpAddr::V4(from.into())).with_lot(lot);
        for address in addresses(&snapshot, "h.example. A", from) {
            let at: u32 = address.rsplit('.').next().unwrap().parse().unwrap();
            prop_assert!(mask >> (at - 1) & 1 == 1, "{address} of {mask:b}");
        }
    }

    /// A network is classed as the address that it was made of.
    #[test]
    fn a_client_is_the_network_of_its_address(v4 in any::<u32>(), v6 in any::<u128>(), is_ipv6 in any::<bool>()) {
        let address: std::net::IpAddr =
            if is_ipv6 { std::net::Ipv6Addr::from(v6).into() } else { std::net::Ipv4Addr::from(v4).into() };
        prop_assume!(!is_ipv6 || v6 >> 96 != 0xffff);
        prop_assert_eq!(Client::at(address).origin().network(), Network::of(address));
    }
}
