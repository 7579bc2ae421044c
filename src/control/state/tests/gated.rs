//! A move that passes its gates after a while does so in time, whatever happens to the daemon meanwhile.

use super::engine::{exec, gate, gated, policy, used};
use super::*;
use crate::policy::{GateUse, OnShut};

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

/// Silence is no recovery: a prober that gives nothing after a restart, for longer than its probe takes at worst, ends no wait.
#[test]
fn a_wait_stands_while_nothing_is_seen_of_the_region() {
    let mut bench = killed(400);
    bench.verdict("neu", true).pass(100);
    assert_eq!(bench.status().hubs[0].hold, None, "nothing is known of weu, which is eligible");
    bench.verdict("weu", false).pass(69);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2", "ten minutes after gates began to hold it");
}

/// Of a region that is marked nothing is open: what is not wanted is waited for anew.
#[test]
fn a_wait_is_over_when_nothing_is_wanted_of_a_region_that_is_marked() {
    let mut bench = gated(WAIT);
    bench.evidence("registry", false);
    bench.mark("weu", MarkKind::Down, None);
    let mut bench = bench.restart(files());
    bench.verdict("neu", true).pass(300).verdict("neu", false);
    assert!(bench.state.facts.keys().all(|key| key.kind() != FactKind::Gated), "{:?}", bench.state.facts);
    bench.verdict("neu", true).pass(599);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

/// That the region recovered is measured: it ends the wait also where the store cannot have it yet.
#[test]
fn a_wait_that_is_over_does_not_go_on_because_a_commit_failed() {
    let mut bench = gated(WAIT);
    bench.evidence("registry", false);
    bench.verdict("weu", false).pass(400);
    for _ in 0..4 {
        bench.see("weu", true);
    }
    let fifth = bench.seen("weu", true);
    bench.fail(fifth);
    assert!(bench.state.facts.keys().any(|key| key.kind() == FactKind::Gated), "it was taken back");
    bench.verdict("weu", false).pass(599);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

/// Nor where another region was wanted in between.
#[test]
fn a_wait_for_another_region_ends_the_first_one_also_where_its_commit_failed() {
    let files = || {
        let mut loaded = loaded_of(&["a.example.net.", "b.example.net."], &["sea", "weu", "neu"], |hub| {
            hub.gates = vec![GateUse { on_failback: true, ..used("registry", WAIT) }];
        });
        let mut policy = Policy::clone(&loaded.policy);
        policy.gates = [gate("registry", exec())].into();
        loaded.policy = Arc::new(policy);
        loaded
    };
    let mut bench = Bench::started(files(), Persisted::default(), START);
    bench.evidence("registry", true);
    bench.verdict("sea", true).verdict("weu", true).verdict("neu", true).verdict("sea", false);
    assert_eq!(bench.active(), "weu 2, weu 2");
    bench.pass(300).evidence("registry", false);
    // neu is wanted, then sea, then neu again.
    bench.verdict("weu", false).pass(400);
    for _ in 0..4 {
        bench.see("sea", true);
    }
    let fifth = bench.seen("sea", true);
    bench.fail(fifth);
    bench.verdict("sea", false).pass(599);
    assert_eq!(bench.active(), "weu 2, weu 2");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 3, neu 3");
}

/// A mark that was not made durable was never made: what it ended goes on.
#[test]
fn a_mark_whose_commit_failed_ends_no_wait() {
    let mut bench = killed(400);
    // Nothing is held before there is a verdict on neu, and the wait stands.
    bench.verdict("weu", false);
    let author = Author { name: "alice".into(), origin: "test".into() };
    let (target, kind) = ("neu".parse().unwrap(), MarkKind::Down);
    let command = Command::Mark { target, kind, reason: "because".into(), from: None, until: None };
    bench.fail(Event::Command { command, author, reply: ReplyTo(1) });
    bench.verdict("neu", true).pass(169);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2", "ten minutes after gates began to hold it");
}
