//! A store that fails, probers that fall silent, files that come and go: what must not follow from them.

use super::*;

/// Hubs that answer addresses, all of them when all is down.
fn all(hub: &mut Hub) {
    hub.when_all_down = WhenAllDown::All;
    for (at, endpoint) in (1u8..).zip(&mut hub.endpoints) {
        endpoint.answer = Answer::Addresses(vec![[192, 0, 2, at].into()]);
    }
}

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

/// An endpoint that is not probed is never observed up: it is good once no mark speaks against it.
#[test]
fn all_at_once_ends_when_an_endpoint_that_is_not_probed_is_eligible_again() {
    let unprobed = |hub: &mut Hub| {
        all(hub);
        hub.endpoints.iter_mut().for_each(|endpoint| endpoint.probe = None);
    };
    let mut bench = Bench::started(loaded_with(&["weu", "neu"], unprobed), Persisted::default(), START);
    bench.mark("neu", MarkKind::Down, None);
    bench.mark("weu", MarkKind::Down, None);
    assert_eq!(whats(bench.state.choices()), [What::All; 2]);
    bench.moved(Command::Unmark { target: "weu".parse().unwrap(), reason: "r".into() });
    assert_eq!(whats(bench.state.choices()), [What::Endpoint(0); 2]);
}

#[test]
fn a_hub_that_loses_its_region_while_all_is_down_answers_as_when_all_down_says() {
    let mut bench = Bench::started(loaded_with(&["weu", "neu", "eus"], all), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", false).verdict("eus", false).pass(30).verdict("weu", false);
    assert_eq!(whats(bench.state.choices()), [What::All; 2]);
    bench.reload(loaded_with(&["neu", "eus"], all));
    assert_eq!(bench.active(), "neu 2, neu 2");
    assert_eq!(whats(bench.state.choices()), [What::All; 2]);
}

/// What was down needs `rise` good observations. A restart does not shorten that to the time that `fall` of them take.
#[test]
fn a_region_that_was_down_before_the_restart_is_waited_for_until_it_has_risen() {
    let slow = || {
        let mut loaded = loaded(&["weu", "neu"]);
        let mut policy = Policy::clone(&loaded.policy);
        policy.probes = [(ProbeName::new("p"), Arc::new(Probe { rise: 50.try_into().unwrap(), ..probe() }))].into();
        loaded.policy = Arc::new(policy);
        loaded
    };
    let mut bench = Bench::started(slow(), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true).verdict("neu", false).verdict("weu", false);
    let mut again = Bench::started(slow(), bench.persisted(), bench.now);
    again.verdict("weu", false);
    for _ in 0..40 {
        again.see("neu", true).pass(1);
        assert_eq!(again.active(), "weu 1, weu 1");
    }
    for _ in 0..10 {
        again.see("neu", true).pass(1);
    }
    assert_eq!(again.active(), "neu 2, neu 2");
}

/// Also when the clock jumps: then nothing has been heard of any prober for as long.
#[test]
fn silence_is_not_taken_for_good_by_failback() {
    let after = |hub: &mut Hub| hub.failback = Failback::After(Duration::from_secs(900));
    let mut bench = Bench::started(loaded_with(&["weu", "neu"], after), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true).verdict("weu", false).verdict("weu", true);
    assert!(bench.status().hubs[0].hold.is_some());
    bench.pass(900);
    assert_eq!(bench.active(), "neu 2, neu 2");
    assert!(bench.status().hubs[0].hold.is_none());
    bench.see("weu", true);
    for _ in 0..899 {
        bench.pass(1).see("weu", true).see("neu", true);
        assert_eq!(bench.active(), "neu 2, neu 2");
    }
    bench.pass(1);
    assert_eq!(bench.active(), "weu 3, weu 3");
}

#[test]
fn a_target_that_a_reload_brings_back_has_not_forgotten_that_it_was_down() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).verdict("neu", false);
    bench.reload(loaded(&["weu"]));
    bench.reload(loaded(&["weu", "neu"]));
    bench.see("neu", true);
    assert_eq!(bench.status().hubs[0].endpoints[1].measured, Health::Unknown, "one good one of five");
    bench.see("neu", false);
    assert_eq!(bench.status().hubs[0].endpoints[1].measured, Health::Down);
}

/// A command whose commit fails does not make a move wait anew.
#[test]
fn a_commit_that_fails_does_not_set_back_what_has_waited_for_a_gate() {
    use super::engine::{exec, gate, start, used};
    use crate::policy::OnShut;
    let proceeds = OnShut::ProceedAfter(Duration::from_secs(600));
    let mut bench = start(
        |policy| policy.gates = [gate("registry", exec())].into(),
        move |hub| hub.gates = vec![used("registry", proceeds)],
    );
    bench.mark("weu", MarkKind::Down, None);
    bench.pass(300);
    let target: MarkTarget = "neu".parse().unwrap();
    let command = Command::Mark { target, kind: MarkKind::Down, reason: "r".into(), from: None, until: None };
    let author = Author { name: "alice".into(), origin: "test".into() };
    bench.fail(Event::Command { command, author, reply: ReplyTo(1) });
    bench.pass(299);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2", "ten minutes after it was first held");
}
