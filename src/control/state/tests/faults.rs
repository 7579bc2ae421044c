//! A store that fails, probers that fall silent, files that come and go: what must not follow from them.

use super::*;

#[test]
fn a_mark_that_cannot_end_is_tried_again_a_second_later_and_not_before() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    bench.mark("neu", MarkKind::Drain, Some(bench.now.after(Duration::from_secs(10))));
    bench.now = bench.now.after(Duration::from_secs(10));
    bench.fail(Event::Tick);
    assert_eq!(bench.state.marks().len(), 1, "what the store has stands");
    assert_eq!(bench.state.wake(), Some(bench.now.after(Duration::from_secs(1))));
    let commits = bench.commits.len();
    bench.see("weu", true);
    assert_eq!(bench.commits.len(), commits);
    bench.pass(1);
    assert!(bench.state.marks().is_empty());
}

#[test]
fn a_question_changes_nothing_and_so_cannot_fail() {
    let mut bench = Bench::new();
    bench.mark("neu", MarkKind::Drain, Some(bench.now.after(Duration::from_secs(10))));
    bench.now = bench.now.after(Duration::from_secs(10));
    let commits = bench.commits.len();
    bench.status();
    assert_eq!(bench.commits.len(), commits);
}

#[test]
fn health_that_could_not_be_kept_is_kept_by_the_next_try() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).see("neu", false).see("neu", false);
    bench.fail(bench.seen("neu", false));
    bench.pass(1);
    assert_eq!(bench.commits.last().unwrap().health, [(target("neu"), Health::Down)]);
    let commits = bench.commits.len();
    bench.pass(1).pass(1);
    assert_eq!(bench.commits.len(), commits);
}

/// Several targets of one outage are one commit and one publication.
#[test]
fn observations_that_arrive_together_are_decided_together() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    let (commits, published) = (bench.commits.len(), bench.published.len());
    let seen = ["weu", "neu"].into_iter().cycle().take(6).flat_map(|region| match bench.seen(region, false) {
        Event::Observations(observations) => observations,
        _ => Vec::new(),
    });
    let together = Event::Observations(seen.collect());
    bench.event(together);
    assert_eq!(bench.active(), "weu 1, weu 1", "no visit to neu, which failed with it");
    assert_eq!((bench.commits.len(), bench.published.len()), (commits + 1, published));
}
