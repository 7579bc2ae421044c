//! A move that passes its gates after a while does so in time, whatever happens to the daemon meanwhile.

use super::engine::{exec, gate, gated, policy, used};
use super::*;
use crate::policy::OnShut;

const WAIT: OnShut = OnShut::ProceedAfter(Duration::from_mins(10));

fn files() -> Loaded {
    policy(|policy| policy.gates = [gate("registry", exec())].into(), |hub| hub.gates = vec![used("registry", WAIT)])
}

/// weu is down, the gate is shut, and the daemon is killed `after` so many seconds and started again 30 s later.
fn killed(after: u64) -> Bench {
    let mut bench = gated(WAIT);
    bench.evidence("registry", false);
    bench.verdict("weu", false).pass(after);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.now = bench.now.after(Duration::from_secs(30));
    bench.restart(files())
}

#[test]
fn a_restart_does_not_prolong_the_wait_for_a_gate() {
    let mut bench = killed(400);
    bench.verdict("weu", false).verdict("neu", true);
    let hold = bench.status().hubs[0].hold.clone().unwrap();
    assert!(hold.reason.starts_with("the move to neu waits, at most 2 min 50 s more: gate registry"), "{hold:?}");
    // The second start finds the same wait.
    bench.pass(100);
    let mut bench = bench.restart(files());
    bench.verdict("weu", false).verdict("neu", true).pass(69);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2", "ten minutes after gates began to hold it");
    assert!(bench.state.facts.keys().all(|key| key.kind() != FactKind::Gated), "it is over: {:?}", bench.state.facts);
}

#[test]
fn a_wait_that_ended_while_the_daemon_was_away_is_over_with_the_first_verdict() {
    let mut bench = killed(590);
    assert_eq!(bench.active(), "weu 1, weu 1", "a restart moves nobody");
    bench.verdict("weu", false).verdict("neu", true);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

/// What is wanted no more is waited for anew, restart or not.
#[test]
fn a_wait_is_forgotten_when_the_region_recovers() {
    let mut bench = killed(400);
    bench.verdict("weu", true).verdict("neu", true);
    assert!(bench.state.facts.keys().all(|key| key.kind() != FactKind::Gated), "{:?}", bench.state.facts);
    bench.verdict("weu", false).pass(599);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn a_clock_that_was_set_back_makes_the_wait_no_longer_than_it_is() {
    let mut bench = gated(WAIT);
    bench.evidence("registry", false);
    bench.pass(100_000).verdict("weu", false);
    bench.now = START;
    let mut bench = bench.restart(files());
    bench.verdict("weu", false).verdict("neu", true).pass(100);
    let mut bench = bench.restart(files());
    bench.verdict("weu", false).verdict("neu", true).pass(499);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2", "ten minutes after the start that found it ahead");
}

/// A commit that failed is made again: the wait is durable all the same.
#[test]
fn a_wait_whose_commit_failed_is_written_later() {
    let mut bench = gated(WAIT);
    bench.evidence("registry", false);
    bench.see("weu", false).see("weu", false);
    let third = bench.seen("weu", false);
    bench.fail(third);
    bench.pass(2);
    let written = bench.state.facts.keys().filter(|key| key.kind() == FactKind::Gated).count();
    assert_eq!(written, 2);
    bench.pass(300);
    let mut bench = bench.restart(files());
    bench.verdict("weu", false).verdict("neu", true).pass(300);
    assert_eq!(bench.active(), "neu 2, neu 2");
}
