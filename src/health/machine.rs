//! The state machine of one prober's target: observations in, health out.
//!
//! Pure. A mark never comes near it: marks are laid over health by the decision and do not edit what was measured.
//! Thresholds are an argument of every step, so that a reload that changes them keeps health and counters.

use super::{Health, Outcome};
use crate::policy::Probe;
use crate::time::Timestamp;

/// The health of one prober's target, moved by consecutive observations.
///
/// ```text
///                   first good observation;
///                   after a restart, if it was down before: `rise` good ones in a row
///        ┌─────────┐                                              ┌────┐
///  new ─►│ unknown │─────────────────────────────────────────────►│ up │◄──┐
///        └────┬────┘                                              └──┬─┘   │
///             │ `fall` failed ones in a row;                         │     │ `rise` good ones
///             │ after a restart, if it was down before: the first    │     │ in a row
///             │                                                      │     │
///             │                        `fall` failed ones in a row   ▼     │
///             │                                                   ┌──────┐ │
///             └──────────────────────────────────────────────────►│ down │─┘
///                                                                 └──────┘
/// ```
///
/// Nothing leads back to `unknown` but a restart: silence is not health, and it is not an illness either (see
/// [`overdue`](super::schedule::overdue)).
///
/// After a restart health shows `unknown`, and what it was before is remembered. The first observation that agrees with
/// the memory restores it; one that contradicts has to be repeated as often as if the restart had not been: one good
/// observation does not bring up what was down, one failed one does not bring down what was up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    health: Health,
    before: Health,
    good: u32,
    failed: u32,
    last: Option<Last>,
    since: Option<Timestamp>,
}

/// The last observation, as far as it concerns health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// What was seen.
    pub outcome: Outcome,
    /// When the observation was complete.
    pub at: Timestamp,
}

/// A change of health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What it was.
    pub from: Health,
    /// What it is.
    pub to: Health,
    /// Why, as a sentence for logs, API and status.
    pub reason: String,
}

impl Machine {
    /// Of a target that was never observed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of a target whose health before a restart was `before`.
    pub fn restored(before: Health) -> Self {
        Self { before, ..Self::default() }
    }

    /// Takes one observation and says whether health changed.
    pub fn observe(&mut self, probe: &Probe, outcome: &Outcome, at: Timestamp) -> Option<Transition> {
        match outcome {
            Outcome::Good => {
                self.good = self.good.saturating_add(1);
                self.failed = 0;
            }
            Outcome::Failed(_) => {
                self.failed = self.failed.saturating_add(1);
                self.good = 0;
            }
            // Neither good nor bad, and it does not come between two that are.
            Outcome::Unable(_) => return None,
        }
        self.last = Some(Last { outcome: outcome.clone(), at });

        let (rise, fall) = (u32::from(probe.rise.get()), u32::from(probe.fall.get()));
        let enough_good = if self.last_known() == Health::Down { rise } else { 1 };
        let enough_failed = if self.last_known() == Health::Down { 1 } else { fall };
        let to = match outcome {
            Outcome::Good if self.good >= enough_good => Health::Up,
            Outcome::Failed(_) if self.failed >= enough_failed => Health::Down,
            _ => return None,
        };
        if to == self.health {
            return None;
        }
        let reason = match outcome {
            Outcome::Good => self.good_sentence(),
            Outcome::Failed(detail) | Outcome::Unable(detail) => self.failed_sentence(detail),
        };
        let from = std::mem::replace(&mut self.health, to);
        self.before = to;
        self.since = Some(at);
        Some(Transition { from, to, reason })
    }

    /// Forgets the observations in a row: those before and after a time of blindness are not added up.
    pub fn begin_anew(&mut self) {
        self.good = 0;
        self.failed = 0;
    }

    fn good_sentence(&self) -> String {
        match (self.good, self.before) {
            (1, Health::Unknown) => "the first good observation".to_owned(),
            (1, Health::Up) => "a good observation, and up before the restart".to_owned(),
            (1, Health::Down) => "1 good observation".to_owned(),
            (count, _) => format!("{count} good observations in a row"),
        }
    }

    fn failed_sentence(&self, detail: &str) -> String {
        match (self.failed, self.health, self.before) {
            (1, Health::Unknown, Health::Down) => {
                format!("a failed observation, and down before the restart: {detail}")
            }
            (1, ..) => format!("1 failed observation: {detail}"),
            (count, ..) => format!("{count} failed observations in a row, the last one: {detail}"),
        }
    }

    /// What observations say.
    pub fn health(&self) -> Health {
        self.health
    }

    /// The health, or what it was before a restart while it is `unknown`: what has to be kept over the next restart.
    ///
    /// An endpoint that is `unknown` and was last known `down` has not shown anything yet that speaks for choosing it.
    pub fn last_known(&self) -> Health {
        match self.health {
            Health::Unknown => self.before,
            known => known,
        }
    }

    /// Good observations in a row up to the last one; 0 when that one failed.
    pub fn good_in_a_row(&self) -> u32 {
        self.good
    }

    /// Failed observations in a row up to the last one; 0 when that one was good.
    pub fn failed_in_a_row(&self) -> u32 {
        self.failed
    }

    /// The last observation since the start.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// When health became what it is; `None` while it is `unknown`.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Whether health is not settled: it is `unknown`, or the last observation contradicts it.
    ///
    /// While it is so the next observation comes after `confirm` instead of `interval`.
    pub fn contradicts(&self) -> bool {
        match self.health {
            Health::Unknown => true,
            Health::Up => self.failed > 0,
            Health::Down => self.good > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use proptest::prelude::*;

    use super::*;
    use crate::health::tests::tcp_probe;

    fn probe(fall: u8, rise: u8) -> Probe {
        Probe { fall: NonZeroU8::new(fall).unwrap(), rise: NonZeroU8::new(rise).unwrap(), ..tcp_probe(1) }
    }

    fn outcome(good: bool) -> Outcome {
        if good { Outcome::Good } else { Outcome::Failed("no answer".into()) }
    }

    /// Runs the observations through the machine and compares the health after each.
    fn check_from(mut machine: Machine, probe: &Probe, observations: &str, expected: &str) {
        let seen: Vec<&str> = observations
            .split_whitespace()
            .enumerate()
            .map(|(at, word)| {
                let before = machine.health();
                let transition = machine.observe(probe, &outcome(word == "ok"), Timestamp(at as u64));
                assert_eq!(
                    transition.is_some(),
                    before != machine.health(),
                    "a transition is reported when there is one"
                );
                if let Some(transition) = transition {
                    assert_eq!((transition.from, transition.to), (before, machine.health()));
                    assert_eq!(machine.since(), Some(Timestamp(at as u64)));
                }
                machine.health().word()
            })
            .collect();
        assert_eq!(seen.join(" "), expected, "{observations}");
    }

    fn check(observations: &str, expected: &str) {
        check_from(Machine::new(), &probe(3, 2), observations, expected);
    }

    #[test]
    fn the_first_good_observation_brings_up() {
        check("ok", "up");
        check("fail ok", "unknown up");
        check("fail fail ok", "unknown unknown up");
    }

    #[test]
    fn only_fall_failures_in_a_row_bring_down() {
        check("ok ok fail fail fail", "up up up up down");
        check("ok fail fail ok fail fail ok", "up up up up up up up");
        check("fail fail fail", "unknown unknown down");
    }

    #[test]
    fn only_rise_good_ones_in_a_row_bring_up_again() {
        check("fail fail fail ok ok", "unknown unknown down down up");
        check("fail fail fail ok fail ok ok", "unknown unknown down down down down up");
    }

    #[test]
    fn a_restart_asks_as_much_of_what_was_down_as_before() {
        let check = |observations, expected| {
            check_from(Machine::restored(Health::Down), &probe(3, 3), observations, expected);
        };
        check("ok ok ok", "unknown unknown up");
        check("ok ok fail", "unknown unknown down");
        check("fail ok ok ok", "down down down up");
    }

    #[test]
    fn a_restart_asks_as_much_of_what_was_up_as_before() {
        let check = |observations, expected| {
            check_from(Machine::restored(Health::Up), &probe(3, 3), observations, expected);
        };
        check("ok", "up");
        check("fail fail ok", "unknown unknown up");
        check("fail fail fail", "unknown unknown down");
    }

    #[test]
    fn a_restart_of_what_was_never_known_is_like_a_start() {
        check_from(Machine::restored(Health::Unknown), &probe(2, 9), "fail ok fail fail", "unknown up up down");
    }

    #[test]
    fn with_thresholds_of_one_every_observation_decides() {
        check_from(Machine::new(), &probe(1, 1), "fail ok fail ok", "down up down up");
    }

    #[test]
    fn what_was_known_survives_a_second_restart() {
        let mut machine = Machine::restored(Health::Down);
        assert_eq!((machine.health(), machine.last_known()), (Health::Unknown, Health::Down));
        machine.observe(&probe(3, 3), &outcome(true), Timestamp(1));
        assert_eq!((machine.health(), machine.last_known()), (Health::Unknown, Health::Down));
        machine.observe(&probe(3, 1), &outcome(true), Timestamp(2));
        assert_eq!((machine.health(), machine.last_known()), (Health::Up, Health::Up));
    }

    #[test]
    fn other_thresholds_keep_health_and_counters() {
        let mut machine = Machine::new();
        let word = |machine: &mut Machine, probe: &Probe, good| {
            machine.observe(probe, &outcome(good), Timestamp(0));
            machine.health().word()
        };
        assert_eq!(word(&mut machine, &probe(5, 5), true), "up");
        assert_eq!(word(&mut machine, &probe(5, 5), false), "up");
        assert_eq!(word(&mut machine, &probe(5, 5), false), "up");
        assert_eq!(word(&mut machine, &probe(2, 5), false), "down", "the three failures count");
        assert_eq!(word(&mut machine, &probe(2, 9), true), "down");
        assert_eq!(word(&mut machine, &probe(2, 2), true), "up", "the two good ones count");
    }

    #[test]
    fn health_is_contradicted_until_it_is_settled() {
        let check = |observations: &str, expected: &str| {
            let mut machine = Machine::new();
            assert!(machine.contradicts(), "unknown is not settled");
            let seen: Vec<&str> = observations
                .split_whitespace()
                .map(|word| {
                    machine.observe(&probe(2, 2), &outcome(word == "ok"), Timestamp(0));
                    if machine.contradicts() { "confirm" } else { "settled" }
                })
                .collect();
            assert_eq!(seen.join(" "), expected, "{observations}");
        };
        check("ok ok", "settled settled");
        check("fail fail fail", "confirm settled settled");
        check("ok fail ok", "settled confirm settled");
        check("ok fail fail ok ok", "settled confirm settled confirm settled");
    }

    #[test]
    fn reasons_say_how_often_and_what() {
        let check = |mut machine: Machine, probe: &Probe, observations: &str, expected: &str| {
            let last = observations.split_whitespace().filter_map(|word| {
                machine.observe(probe, &outcome(word == "ok"), Timestamp(0)).map(|transition| transition.reason)
            });
            assert_eq!(last.last().as_deref(), Some(expected), "{observations}");
        };
        let fresh = Machine::new;
        check(fresh(), &probe(3, 2), "ok", "the first good observation");
        check(fresh(), &probe(2, 2), "ok fail fail", "2 failed observations in a row, the last one: no answer");
        check(fresh(), &probe(1, 2), "ok fail", "1 failed observation: no answer");
        check(fresh(), &probe(1, 2), "fail ok ok", "2 good observations in a row");
        check(fresh(), &probe(1, 1), "fail ok", "1 good observation");
        check(Machine::restored(Health::Up), &probe(2, 2), "ok", "a good observation, and up before the restart");
        let down = "a failed observation, and down before the restart: no answer";
        check(Machine::restored(Health::Down), &probe(2, 2), "fail", down);
    }

    fn restored() -> impl Strategy<Value = Health> {
        prop_oneof![Just(Health::Unknown), Just(Health::Up), Just(Health::Down)]
    }

    proptest! {
        /// Health moves only when the observations of the last `fall` or `rise` steps all say so, the restart's memory
        /// and the very first good one excepted; and it always moves when they do.
        #[test]
        fn health_moves_after_rise_and_fall_and_only_then(
            before in restored(),
            fall in 1u8..6,
            rise in 1u8..6,
            observations in prop::collection::vec(any::<bool>(), 1..60),
        ) {
            let probe = probe(fall, rise);
            let mut machine = Machine::restored(before);
            for (at, good) in observations.iter().copied().enumerate() {
                let (was, known) = (machine.health(), machine.last_known());
                let transition = machine.observe(&probe, &outcome(good), Timestamp(at as u64));
                let row = observations[..=at].iter().rev().take_while(|other| **other == good).count();
                prop_assert_eq!(machine.good_in_a_row() as usize, if good { row } else { 0 });
                prop_assert_eq!(machine.failed_in_a_row() as usize, if good { 0 } else { row });
                prop_assert_eq!(machine.last(), Some(&Last { outcome: outcome(good), at: Timestamp(at as u64) }));

                let expected = match (was, known, good) {
                    (Health::Up, _, false) | (Health::Unknown, Health::Unknown | Health::Up, false)
                        if row >= usize::from(fall) => Health::Down,
                    (Health::Down, _, true) | (Health::Unknown, Health::Down, true)
                        if row >= usize::from(rise) => Health::Up,
                    (Health::Unknown, Health::Unknown | Health::Up, true) => Health::Up,
                    (Health::Unknown, Health::Down, false) => Health::Down,
                    _ => was,
                };
                prop_assert_eq!(machine.health(), expected);
                prop_assert_eq!(transition.map(|t| (t.from, t.to)), (was != expected).then_some((was, expected)));
                prop_assert!(was == Health::Unknown || expected != Health::Unknown, "nothing leads back to unknown");
                prop_assert_eq!(
                    machine.contradicts(),
                    expected == Health::Unknown || (expected == Health::Up) != good
                );
            }
        }

        /// Two machines fed alike are alike: the prober's own and the control core's never differ.
        #[test]
        fn same_observations_same_machine(before in restored(), observations in prop::collection::vec(any::<bool>(), 0..40)) {
            let run = || {
                let mut machine = Machine::restored(before);
                for (at, good) in observations.iter().enumerate() {
                    machine.observe(&probe(3, 5), &outcome(*good), Timestamp(at as u64));
                }
                machine
            };
            prop_assert_eq!(run(), run());
        }
    }
}
