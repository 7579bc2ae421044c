//! A clock that is set forward ends no wait, restart or not.

use super::engine::{adaptive, exec, failover, fenced, gate, gated, policy, start, used};
use super::*;
use crate::control::moves::MoveOptions;
use crate::policy::{OnFenceFailure, OnShut};

const WAIT: OnShut = OnShut::ProceedAfter(Duration::from_mins(10));

impl Bench {
    /// The clock goes forward by so many seconds in no time.
    fn jump(&mut self, seconds: u64) -> &mut Self {
        let from = self.now;
        self.now = self.now.after(Duration::from_secs(seconds));
        self.event(Event::Jumped { from });
        self
    }
}

#[test]
fn a_better_region_has_to_be_good_for_as_long_as_it_is_watched() {
    let mut bench = start(|_| {}, |hub| hub.failback = Failback::After(Duration::from_secs(20)));
    bench.verdict("weu", false).pass(100).verdict("weu", true).pass(10).jump(3_600).pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.verdict("weu", true).pass(9).see("weu", true).pass(9);
    assert_eq!(bench.active(), "neu 2, neu 2", "its time has begun anew");
    bench.pass(1);
    assert_eq!(bench.active(), "weu 3, weu 3");
}

#[test]
fn the_dwell_is_lived_through_also_over_a_restart() {
    let dwell = |hub: &mut Hub| hub.dwell = Duration::from_secs(60);
    let mut bench = start(|_| {}, dwell);
    bench.verdict("weu", false).verdict("weu", true).pass(30).jump(90_000).verdict("neu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.pass(10);
    let mut bench = bench.restart(loaded_with(&["weu", "neu"], dwell));
    bench.verdict("weu", true).verdict("neu", false).pass(19);
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.pass(1);
    assert_eq!(bench.active(), "weu 3, weu 3", "60 s after the switch, 90,000 s left out");
}

#[test]
fn a_shut_gate_is_not_passed_by_a_clock_that_was_set() {
    let files = || {
        policy(
            |policy| policy.gates = [gate("registry", exec())].into(),
            |hub| hub.gates = vec![used("registry", WAIT)],
        )
    };
    let mut bench = gated(WAIT);
    bench.evidence("registry", false);
    bench.verdict("weu", false).pass(300).jump(3_600).pass(100);
    assert_eq!(bench.active(), "weu 1, weu 1");
    let mut bench = bench.restart(files());
    bench.verdict("weu", false).verdict("neu", true).pass(199);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

/// The budget and the flap limit count what was lived through.
#[test]
fn a_clock_that_was_set_makes_no_hub_steadier_than_it_is() {
    let limit = |hub: &mut Hub| {
        (hub.flap_limit, hub.flap_window) = (2.try_into().unwrap(), Duration::from_secs(600));
        hub.dwell = Duration::ZERO;
    };
    let mut bench = start(|_| {}, limit);
    bench.verdict("weu", false).verdict("weu", true).jump(3_600).verdict("neu", false).verdict("neu", true);
    assert_eq!(bench.active(), "weu 3, weu 3");
    bench.verdict("weu", false);
    assert_eq!(bench.active(), "weu 3, weu 3", "it has flapped");
}

#[test]
fn a_fence_has_its_time_and_so_has_the_old_ttl() {
    let mut bench = fenced(OnFenceFailure::Proceed);
    bench.verdict("weu", false).jump(3_600).pass(4);
    assert_eq!(bench.active(), "weu 1, weu 1", "it is still being told");
    bench.pass(2);
    assert_eq!(bench.active(), "neu 2, neu 2");

    let mut bench = start(|_| {}, adaptive);
    let ttl = bench.state.policy.hubs[&name("a.example.net.")].ttl.as_secs();
    bench.moved(failover("neu", MoveOptions::default()));
    bench.pass(1).jump(3_600).pass(ttl - 2);
    assert_eq!((bench.stage(), bench.active().as_str()), ("ramp", "weu 1, weu 1"));
    bench.pass(1);
    assert_eq!((bench.stage(), bench.active().as_str()), ("drain", "neu 2, weu 1"));
}

/// Nobody could observe anything in time that was not lived through: it is no silence, and it is said once.
#[test]
fn a_clock_that_was_set_silences_no_prober() {
    let mut bench = start(|_| {}, |_| {});
    bench.log.clear();
    bench.jump(3_600).pass(1);
    let said: Vec<_> = bench.log.iter().map(|line| line.split_once(':').map_or("", |(said, _)| said)).collect();
    assert_eq!(said, ["the clock went forward by 1 h that were not lived through"]);
    assert_eq!(bench.state.totals.clock_jumps, 1);
}

/// It is measured, and not decided: a commit that fails is made again, and until then it counts all the same.
#[test]
fn a_jump_whose_commit_failed_counts_and_is_written_later() {
    let mut bench = start(|_| {}, |hub| hub.dwell = Duration::from_secs(60));
    bench.verdict("weu", false).verdict("weu", true).pass(30);
    let from = bench.now;
    bench.now = bench.now.after(Duration::from_secs(3_600));
    bench.fail(Event::Jumped { from });
    assert!(bench.state.facts.keys().all(|key| key.kind() != FactKind::Lived));
    bench.verdict("neu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.pass(2);
    assert!(bench.state.facts.keys().any(|key| key.kind() == FactKind::Lived));
    bench.pass(27);
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.pass(1);
    assert_eq!(bench.active(), "weu 3, weu 3");
}
