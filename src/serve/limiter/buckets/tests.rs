use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use proptest::prelude::*;

use super::*;

/// Keyed with zeros, so that every run is the same.
type Fixed = BuildHasherDefault<DefaultHasher>;

fn buckets(octets: u32, per_second: u32, burst: u32) -> Buckets<Fixed> {
    Buckets::new(octets, Rate { per_second, burst }, Fixed::default())
}

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn granted(buckets: &Buckets<Fixed>, key: u32, now: Duration, of: u32) -> u32 {
    (0..of).map(|_| u32::from(buckets.take(key, now, 0) == Taken::Granted)).sum()
}

#[test]
fn a_key_has_its_burst_at_once_and_then_its_rate() {
    let buckets = buckets(1 << 16, 10, 5);
    let check = |key, millis, expected| assert_eq!(granted(&buckets, key, at(millis), 100), expected, "{millis} ms");
    check(1, 0, 5);
    check(1, 99, 0);
    check(1, 100, 1);
    check(1, 399, 2);
    check(1, 600, 3);
    check(2, 600, 5);
    check(1, 60_000, 5);
    check(1, 60_000 + 86_400_000 * 400, 5);
}

#[test]
fn who_is_refused_is_told_for_how_long() {
    let buckets = buckets(1 << 16, 10, 1);
    assert_eq!(buckets.take(1, at(0), 0), Taken::Granted);
    let Taken::Refused { wait, nth: false } = buckets.take(1, at(30), 0) else { panic!("it is granted") };
    assert!(wait > at(60) && wait <= at(75), "{wait:?}");
    assert_eq!(buckets.take(1, at(30) + wait, 0), Taken::Granted);
}

#[test]
fn every_nth_of_those_refused_is_told_of() {
    let check = |nth, expected: &str| {
        let buckets = buckets(1 << 16, 1, 1);
        assert_eq!(buckets.take(1, at(0), nth), Taken::Granted);
        let told = (0..8).map(|_| match buckets.take(1, at(1), nth) {
            Taken::Refused { nth: true, .. } => 'n',
            Taken::Refused { .. } => '.',
            Taken::Granted => 'g',
        });
        assert_eq!(told.collect::<String>(), expected, "{nth}");
    };
    check(0, "........");
    check(1, "nnnnnnnn");
    check(2, ".n.n.n.n");
    check(3, "..n..n..");
    check(10, "........");
}

#[test]
fn the_table_is_as_large_as_it_may_be_and_no_larger() {
    let check = |octets, expected| assert_eq!(buckets(octets, 1, 1).octets(), expected, "{octets}");
    check(64 << 10, 64 << 10);
    check((64 << 10) - 1, 32 << 10);
    check(3 << 20, 2 << 20);
    check(1, 64);
}

/// What a key would be granted if there were no others.
#[derive(Default)]
struct Alone(BTreeMap<u32, u64>);

impl Alone {
    fn take(&mut self, key: u32, now: u64, burst: u32) -> bool {
        let over = self.0.entry(key).or_default();
        let next = (*over).max(now) + EACH;
        let granted = next <= now + u64::from(burst) * EACH;
        if granted {
            *over = next;
        }
        granted
    }
}

proptest! {
    /// While there are places for all, each key is granted what it would be granted alone: so it has never more than rate x
    /// time + burst, nor less than that while it asks for it.
    #[test]
    fn keys_do_not_know_of_each_other(
        per_second in 1..2_000_u32,
        burst in 1..50_u32,
        asks in prop::collection::vec((0..200_u32, 0..400_u64), 1..2_000),
    ) {
        let buckets = buckets(1 << 16, per_second, burst);
        let mut alone = Alone::default();
        let mut now = at(1_000);
        let begun = now;
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for (key, pause) in asks {
            now += at(pause) / 10;
            let granted = buckets.take(key, now, 0) == Taken::Granted;
            prop_assert_eq!(granted, alone.take(key, buckets.units(now), burst));
            *counts.entry(key).or_default() += u32::from(granted);
        }
        let most = f64::from(burst) + (now - begun).as_secs_f64() * f64::from(per_second) + 1.0;
        prop_assert!(counts.values().all(|count| f64::from(*count) <= most), "{:?} > {}", counts, most);
    }
}

/// 100,000 networks that ask for twice as much as they may, and 1,000 that ask for half of it, in a table for 131,072.
#[test]
fn a_hundred_thousand_that_flood_have_their_rate_and_their_neighbours_are_not_refused() {
    let buckets = buckets(1 << 20, 2, 2);
    let (mut flooding, mut refused) = (vec![0_u32; 100_000], 0);
    let seconds = 4;
    for round in 0..4 * seconds {
        let now = at(1_000 + round * 250);
        for (key, count) in (0..).zip(&mut flooding) {
            *count += granted(&buckets, key, now, 1);
        }
        if round % 4 == 3 {
            refused += (200_000..201_000).map(|key| 1 - granted(&buckets, key, now, 1)).sum::<u32>();
        }
    }
    // Of 4,000 queries; one or two share a bucket.
    assert!(refused <= 4, "{refused} of the neighbours' queries are refused");
    // 15 rounds after the first one: 2 at once, and one in 500 ms.
    let expected = 2 + 7;
    let more = flooding.iter().filter(|count| **count > expected).count();
    let less = flooding.iter().filter(|count| **count < expected).count();
    assert!(more <= 100 && less <= 100, "{more} have more and {less} less than {expected}");
    let sum: u32 = flooding.iter().sum();
    assert!(sum.abs_diff(expected * 100_000) <= 1_000, "{sum} are granted in all");
}

/// Eight times as many networks as there are places. What all have together is bounded by the places, and a neighbour that
/// finds none is told that it is the n-th, which sends it to TCP.
#[test]
fn in_a_table_that_is_too_small_nobody_has_more() {
    let buckets = buckets(64 << 10, 2, 2);
    let places = 8192;
    let mut sum = 0;
    for round in 0..16 {
        let now = at(1_000 + round * 250);
        sum += (0..8 * places).map(|key| granted(&buckets, key, now, 1)).sum::<u32>();
    }
    // Each place as if it were one network: 2 at once and 2 a second.
    assert!(sum <= places * (2 + 8), "{sum}");
    for key in 1_000_000..1_001_000_u32 {
        let taken = buckets.take(key, at(4_750), 3);
        assert!(matches!(taken, Taken::Granted | Taken::Refused { nth: true, .. }), "{taken:?}");
    }
}

/// Several workers at once: no grant is lost, and none is given twice.
#[test]
fn workers_that_ask_at_once_are_granted_what_there_is() {
    let buckets = buckets(1 << 16, 1, 1_000);
    let sum: u32 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| granted(&buckets, 7, at(0), 2_000))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    // One that others were quicker than eight times is refused.
    assert!((990..=1_000).contains(&sum), "{sum}");
}
