//! A clock that was set back while the daemon was away.

use super::*;

/// A hub that has switched by itself at `at`, and a daemon that starts again at `now`.
fn again(bench: &mut Bench, now: u64) -> Bench {
    let mut again = Bench::restarted(bench.persisted(), Timestamp(START.0 + now * 1_000));
    again.verdict("weu", true);
    again
}

/// When neu fails, hub `a` leaves it as soon as the dwell is over.
#[track_caller]
fn dwells(bench: &mut Bench, seconds: u64) {
    bench.verdict("neu", false);
    let hold = bench.status().hubs[0].hold.clone();
    let left = hold.as_ref().and_then(|hold| hold.until).map(|until| until.since(bench.now).as_secs());
    assert_eq!(left.unwrap_or(0), seconds, "{hold:?}");
}

#[test]
fn a_dwell_that_a_clock_set_back_begins_is_not_begun_anew_by_each_start() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).pass(7_200).verdict("weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
    // Two hours back: the switch is ahead, and counts as made at the first start.
    let mut first = again(&mut bench, 0);
    let mut second = again(&mut first, 20);
    let mut third = again(&mut second, 40);
    dwells(&mut third, 20);
    third.pass(20);
    assert_eq!(third.active(), "weu 3, weu 3");
    // That switch is of another epoch, and is not taken for the one that was ahead.
    let mut fourth = again(&mut third, 50);
    fourth.verdict("weu", false).verdict("neu", true);
    assert_eq!(fourth.status().hubs[0].hold.as_ref().map(|hold| hold.waiting.clone()), Some("dwell".into()));
}

#[test]
fn what_is_not_ahead_any_more_is_forgotten() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).pass(7_200).verdict("weu", false);
    let mut first = again(&mut bench, 0);
    let kept = |bench: &Bench| bench.state.facts.keys().filter(|key| key.kind() == FactKind::Clock).count();
    assert_eq!(kept(&first), 2);
    let second = again(&mut first, 7_300);
    assert_eq!(kept(&second), 0);
}

/// A mark that is in force is so whatever the clock says that it was made at.
#[test]
fn a_move_that_has_its_time_is_held_against_a_mark_that_is_ahead_of_the_clock() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).pass(7_200).mark("neu", MarkKind::Down, None);
    let mut bench = Bench::restarted(bench.persisted(), START);
    bench.verdict("weu", true).verdict("neu", true);
    let options = MoveOptions { at: Some(bench.now.after(Duration::from_secs(60))), ..MoveOptions::default() };
    let failover =
        Command::Failover { hub: name("a.example.net."), to: RegionName::new("neu"), options, reason: "test".into() };
    let refused = bench.command(failover).unwrap_err().to_string();
    assert!(refused.contains("neu is marked down"), "{refused}");
}
