//! When a target is observed next, and when a prober must be regarded as stopped.
//!
//! Pure: the random number is an argument. Periods are counted from the start of one observation to the start of the
//! next one; one that takes longer than the period delays the next until it is complete, so that a prober never has two
//! under way. All endpoints are treated alike: which one is active, and who asks for it, does not enter here.

use std::time::Duration;

use super::machine::Machine;
use crate::policy::Probe;

/// By how much of itself a period varies in either direction, so that probers that fell into step fall out of it.
const JITTER: f64 = 0.1;

/// What a prober is given beyond its longest regular silence, for a busy machine.
pub const SLACK: Duration = Duration::from_secs(1);

/// A place among probers that start together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 0.
    pub index: usize,
    /// How many there are, at least 1.
    pub of: usize,
}

/// The time from the start of the observation that `machine` took last to the start of the next one: `interval` while
/// health is settled and `confirm` while it is not, within 10 % of it. `random` is in `0.0..1.0`.
pub fn period(probe: &Probe, machine: &Machine, random: f64) -> Duration {
    let regular = if machine.contradicts() { probe.confirm } else { probe.interval };
    regular.mul_f64(1.0 - JITTER + 2.0 * JITTER * random)
}

/// The time from the start of the daemon, or from the reload that added it, to a prober's first observation.
///
/// Probers that start together are spread evenly over the interval: each has a slot, and begins within the first tenth
/// of it. Neighbours, which are of one probe or one region, have slots far from each other: each part of the interval
/// sees as much of every kind. `random` is in `0.0..1.0`.
pub fn first(probe: &Probe, position: Position, random: f64) -> Duration {
    probe.interval.mul_f64((position.slot() as f64 + JITTER * random) / position.of as f64)
}

impl Position {
    /// The slot, from 0: every one is somebody's.
    fn slot(self) -> usize {
        self.index * stride(self.of) % self.of
    }
}

/// A step that visits each of so many slots once before it comes back to the first one: near the golden section, which
/// leaves no part of them empty for long.
fn stride(of: usize) -> usize {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let mut stride = (of as f64 * GOLDEN) as usize;
    while stride > 1 && common_divisor(stride, of) > 1 {
        stride -= 1;
    }
    stride.max(1)
}

fn common_divisor(mut one: usize, mut other: usize) -> usize {
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// The longest silence of a prober that is not yet [`overdue`]: `2 * 1.1 * interval + timeout + SLACK`.
///
/// Two observations of a prober that runs are complete within `1.1 * interval + timeout` of each other, and its first
/// one within `interval + timeout` of its start. One period more is allowed for a prober that was started again.
pub fn patience(probe: &Probe) -> Duration {
    probe.interval.mul_f64(2.0 * (1.0 + JITTER)) + probe.timeout + SLACK
}

/// Whether a prober must be regarded as stopped: nothing has come of it for longer than [`patience`].
///
/// `silent` is how much was lived through since its last observation was complete, or since it was started if there is none
/// yet. A stopped prober says nothing of health: health stays what it was, and the silence is shown and alarmed.
pub fn overdue(probe: &Probe, silent: Duration) -> bool {
    silent > patience(probe)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::tests::tcp_probe;
    use crate::health::{Health, Outcome};
    use crate::time::Timestamp;

    fn probe(interval: u64, confirm: u64, timeout: u64) -> Probe {
        Probe {
            interval: Duration::from_millis(interval),
            confirm: Duration::from_millis(confirm),
            timeout: Duration::from_millis(timeout),
            ..tcp_probe(1)
        }
    }

    fn settled(probe: &Probe) -> Machine {
        let mut machine = Machine::new();
        machine.observe(probe, &Outcome::Good, Timestamp(0));
        assert_eq!(machine.health(), Health::Up);
        machine
    }

    #[test]
    fn a_settled_health_is_observed_every_interval() {
        let probe = probe(5_000, 1_000, 2_000);
        let check = |random, millis| {
            assert_eq!(period(&probe, &settled(&probe), random).as_millis(), millis, "{random}");
        };
        check(0.0, 4_500);
        check(0.5, 5_000);
        check(0.75, 5_250);
    }

    #[test]
    fn a_contradicted_health_is_observed_every_confirm() {
        let probe = probe(5_000, 1_000, 2_000);
        let mut machine = settled(&probe);
        machine.observe(&probe, &Outcome::Failed("no answer".into()), Timestamp(1));
        assert_eq!(period(&probe, &machine, 0.5).as_millis(), 1_000);
        assert_eq!(period(&probe, &Machine::new(), 0.0).as_millis(), 900, "unknown is to be settled too");
    }

    #[test]
    fn first_observations_are_spread_over_the_interval() {
        let probe = probe(6_000, 1_000, 2_000);
        let check = |index, of, random, millis| {
            assert_eq!(first(&probe, Position { index, of }, random).as_millis(), millis);
        };
        check(0, 1, 0.0, 0);
        check(0, 1, 0.5, 300);
        check(0, 3, 0.0, 0);
        check(1, 3, 0.0, 2_000);
        check(2, 3, 0.5, 4_100);
    }

    #[test]
    fn neighbours_start_far_from_each_other() {
        let probe = probe(10_000, 1_000, 2_000);
        let starts = |range: std::ops::Range<usize>| {
            let of = 10_000;
            range.map(|index| first(&probe, Position { index, of }, 0.0).as_millis()).collect::<Vec<_>>()
        };
        // The thousand that are first in order leave no eighth of a second without one of them.
        let mut first_thousand = starts(0..1_000);
        first_thousand.sort_unstable();
        assert!(first_thousand.windows(2).all(|pair| pair[1] - pair[0] < 125), "{first_thousand:?}");
        let all: std::collections::BTreeSet<_> = starts(0..10_000).into_iter().collect();
        assert_eq!(all.len(), 10_000, "each has a slot of its own");
    }

    #[test]
    fn a_prober_is_overdue_after_two_intervals_and_a_timeout() {
        let probe = probe(5_000, 1_000, 2_000);
        let check = |heard, now, expected| {
            assert_eq!(overdue(&probe, Timestamp(now).since(Timestamp(heard))), expected, "{heard} {now}");
        };
        check(100_000, 100_000, false);
        check(100_000, 114_000, false);
        check(100_000, 114_001, true);
        check(100_000, 90_000, false);
    }

    fn any_probe() -> impl Strategy<Value = Probe> {
        (1_000u64..3_600_000).prop_flat_map(|interval| {
            (Just(interval), 100..=interval, 100..=interval.min(60_000))
                .prop_map(|(interval, confirm, timeout)| probe(interval, confirm, timeout))
        })
    }

    proptest! {
        #[test]
        fn jitter_stays_within_ten_percent(probe in any_probe(), random in 0.0..1.0f64) {
            let millis = |length: Duration| length.as_secs_f64() * 1_000.0;
            let within = |length, regular| {
                let ratio = millis(length) / millis(regular);
                (0.9 - 1e-6..1.1 + 1e-6).contains(&ratio)
            };
            prop_assert!(within(period(&probe, &settled(&probe), random), probe.interval));
            prop_assert!(within(period(&probe, &Machine::new(), random), probe.confirm));
        }

        /// Every n-th part of the interval sees exactly one first observation.
        #[test]
        fn the_spread_is_even(probe in any_probe(), randoms in prop::collection::vec(0.0..1.0f64, 1..200)) {
            let of = randoms.len();
            let mut starts = Vec::new();
            for (index, random) in randoms.into_iter().enumerate() {
                let start = first(&probe, Position { index, of }, random);
                starts.push(start.as_secs_f64() / probe.interval.as_secs_f64() * of as f64);
                prop_assert!(start < probe.interval);
            }
            starts.sort_by(f64::total_cmp);
            for (slot, start) in starts.into_iter().enumerate() {
                prop_assert!(start > slot as f64 - 1e-3 && start < slot as f64 + 0.1 + 1e-3, "{start} in {slot}");
            }
        }

        /// However slow every observation and however the jitter falls, a prober that runs is never overdue, and one
        /// that stops is overdue at some time.
        #[test]
        fn a_running_prober_is_never_overdue(
            probe in any_probe(),
            steps in prop::collection::vec((any::<bool>(), 0.0..1.0f64, 0.0..1.0f64), 1..40),
            index in 0usize..10,
        ) {
            let mut machine = Machine::new();
            let mut heard = Timestamp(1_000_000);
            let mut start = heard.after(first(&probe, Position { index, of: 10 }, 0.999));
            for (good, slowness, random) in steps {
                let complete = start.after(probe.timeout.mul_f64(slowness));
                prop_assert!(!overdue(&probe, complete.since(heard)));
                let outcome = if good { Outcome::Good } else { Outcome::Failed("no answer".into()) };
                machine.observe(&probe, &outcome, complete);
                start = start.after(period(&probe, &machine, random)).max(complete);
                heard = complete;
            }
            prop_assert!(overdue(&probe, patience(&probe) + Duration::from_millis(2)));
        }
    }
}
