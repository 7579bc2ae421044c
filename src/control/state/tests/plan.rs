//! What is said beforehand, and that it is what then happens.

use super::engine::{adaptive, exec, failover, gate, start, used};
use super::*;
use crate::control::foresee::{Foreseen, Moves};
use crate::control::plan::{Outcome, Plan};
use crate::control::report::TurnStatus;
use crate::control::view::View;
use crate::policy::{Budget, Exec, Fence, Hook, OnFenceFailure, OnShut};

const A: &str = "a.example.net.";

impl Bench {
    fn look(&self) -> View {
        View { state: self.state.clone(), now: self.now, generation: 1, turn: TurnStatus::default() }
    }

    fn plan(&self, to: Option<&str>, options: &MoveOptions) -> Plan {
        let to = to.map(RegionName::new);
        self.look().plan(&name(A), to.as_ref(), options, None).unwrap()
    }

    fn foresee(&self, target: &str, kind: MarkKind) -> Foreseen {
        self.look().foresee(&target.parse().unwrap(), kind).unwrap()
    }
}

/// The plan and the move say the same of the same moment.
#[track_caller]
fn check(bench: &mut Bench, to: &str, options: MoveOptions, outcome: Outcome, part: &str) {
    let plan = bench.plan(Some(to), &options);
    assert_eq!(plan.outcome, outcome, "{plan:#?}");
    assert!(plan.verdict.contains(part), "{}", plan.verdict);
    let moved = bench.command(failover(to, options));
    match outcome {
        Outcome::Already => assert!(!moved.unwrap().changed),
        Outcome::Begins | Outcome::Waits => assert!(moved.unwrap().changed),
        Outcome::Refused => assert_eq!(moved.unwrap_err().to_string(), plan.verdict),
    }
    bench.command(Command::Cancel { hub: name(A), epoch: None, reason: "r".into() }).unwrap();
}

#[test]
fn a_plan_tells_what_the_move_will_meet() {
    let gated = || {
        start(
            |policy| policy.gates = [gate("registry", exec())].into(),
            |hub| {
                adaptive(hub);
                hub.gates = vec![used("registry", OnShut::Hold)];
            },
        )
    };
    let shut = "gate registry is shut: it was not looked at yet (--force overrides it); --until TIME waits for gates \
                to open";
    let mut bench = gated();
    let now = bench.now;
    let later = |seconds| Some(now.after(Duration::from_secs(seconds)));
    let (at, until) = (later(600), later(900));
    let options = MoveOptions::default;
    check(&mut bench, "weu", options(), Outcome::Already, "nothing to do: a.example.net. answers weu already, epoch 1");
    check(&mut bench, "neu", options(), Outcome::Refused, shut);
    check(&mut bench, "neu", MoveOptions { until, ..options() }, Outcome::Waits, "waits for gates until");
    check(&mut bench, "neu", MoveOptions { at, ..options() }, Outcome::Begins, "looked at again when its time comes");
    check(
        &mut bench,
        "neu",
        MoveOptions { at, until, ..options() },
        Outcome::Begins,
        "(a shut gate is waited for until",
    );
    check(&mut bench, "neu", MoveOptions { force: true, ..options() }, Outcome::Begins, "is overridden");
    check(&mut bench, "neu", MoveOptions { epoch: Some(7), ..options() }, Outcome::Refused, "planned at epoch 7");
    check(&mut bench, "neu", MoveOptions { until: later(5), ..options() }, Outcome::Refused, "cannot switch before");
    bench.evidence("registry", true);
    check(&mut bench, "neu", options(), Outcome::Begins, "nothing stands in the way");
    bench.mark("neu", MarkKind::Drain, None);
    check(&mut bench, "neu", options(), Outcome::Refused, "neu is marked drain; unmark it first: neu marked drain by");
    assert!(bench.look().plan(&name(A), Some(&RegionName::new("asia")), &options(), None).is_err());
    assert!(bench.look().plan(&name("c.example.net."), None, &options(), None).is_err());
}

#[test]
fn a_plan_has_every_gate_and_who_is_told_and_changes_nothing() {
    let fence = Fence {
        hook: Hook::Exec(Exec { command: vec!["fence".into(), "weu".into()] }),
        timeout: Duration::from_secs(5),
        on_failure: OnFenceFailure::Stop,
    };
    let mut bench = start(
        |policy| policy.gates = [gate("registry", exec()), gate("merged", exec())].into(),
        move |hub| {
            hub.gates = vec![
                used("registry", OnShut::Hold),
                crate::policy::GateUse { on_failover: false, on_failback: true, ..used("merged", OnShut::Hold) },
            ];
            hub.fence = Some(Arc::new(fence.clone()));
            hub.approvals = 2;
            hub.budget = Some(Budget { switches: 2.try_into().unwrap(), period: Duration::from_hours(24) });
        },
    );
    bench.evidence("registry", true);
    bench.pass(7);
    let before = format!("{:?}", bench.state);
    let plan = bench.plan(Some("neu"), &MoveOptions::default());
    let gates: Vec<_> = plan.gates.iter().map(|gate| (gate.concerned, gate.status.open, gate.age_ms)).collect();
    assert_eq!(gates, [(true, true, Some(7000)), (false, false, None)]);
    assert_eq!(plan.approvals, 2);
    assert_eq!(plan.timeline.approve_by, Some(bench.now.after(Duration::from_hours(1))));
    let fence = plan.fence.unwrap();
    assert_eq!((fence.called.as_str(), fence.timeout_ms, fence.proceeds), ("fence weu", 5000, false));
    assert_eq!(plan.timeline.fence_ms, 5000);
    assert_eq!(plan.budget.unwrap().used, 0);
    assert_eq!(plan.answer.before, ["CNAME weu.example.org."]);
    assert_eq!(plan.answer.after, ["CNAME neu.example.org."]);
    assert_eq!(before, format!("{:?}", bench.state));
}

#[test]
fn the_timeline_and_the_estimate_count_from_the_ttl_that_is_answered_last() {
    let mut bench = start(
        |_| {},
        |hub| {
            adaptive(hub);
            hub.rto = Some(Duration::from_secs(45));
        },
    );
    let began = bench.now;
    let seconds = |at: Timestamp| at.since(began).as_secs();
    let plan = bench.plan(Some("neu"), &MoveOptions::default());
    let line = &plan.timeline;
    let times = [line.ramp.unwrap(), line.switch, line.old_over, line.low_ttl_until.unwrap()].map(seconds);
    assert_eq!(times, [0, 30, 35, 330]);
    assert_eq!((plan.estimate.after_ms, plan.estimate.within_rto), (4950, Some(true)));
    assert_eq!(plan.estimate.arithmetic, "0.99 * 5 s of TTL = 4.95 s");
    assert_eq!(plan.estimate.at, plan.timeline.switch.after(Duration::from_millis(4950)));

    let now = bench.plan(Some("neu"), &MoveOptions { now: true, ..MoveOptions::default() });
    assert_eq!((now.timeline.ramp, seconds(now.timeline.switch), seconds(now.timeline.old_over)), (None, 0, 30));
    assert_eq!((now.estimate.after_ms, now.estimate.within_rto), (29_700, Some(true)));

    let at = bench.now.after(Duration::from_secs(100));
    let later = bench.plan(Some("neu"), &MoveOptions { at: Some(at), ..MoveOptions::default() });
    assert_eq!((seconds(later.timeline.ramp.unwrap()), later.timeline.switch), (70, at));

    let overrun = Some(Duration::from_secs(41));
    let late = bench.look().plan(&name(A), Some(&RegionName::new("neu")), &MoveOptions::default(), overrun).unwrap();
    assert_eq!((late.estimate.after_ms, late.estimate.overrun_ms), (45_950, Some(41_000)));
    assert_eq!(late.estimate.within_rto, Some(false));
    assert!(late.estimate.assumptions.len() < plan.estimate.assumptions.len());

    // What was said is what happens.
    bench.moved(failover("neu", MoveOptions::default()));
    bench.pass(29);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!((bench.active().as_str(), bench.now), ("neu 2, weu 1", plan.timeline.switch));
    bench.pass(5);
    assert_eq!((bench.stage(), bench.now), ("done", plan.timeline.old_over));
}

#[test]
fn a_mark_says_beforehand_what_its_beginning_and_its_end_move() {
    let bench = start(|_| {}, |_| {});
    let before = format!("{:?}", bench.state);
    let foreseen = bench.foresee("weu", MarkKind::Down);
    let moved = |moves: &Moves| {
        moves.switched.iter().map(|switched| format!("{} {}", switched.hub, switched.to)).collect::<Vec<_>>()
    };
    assert_eq!(moved(&foreseen.begins), ["a.example.net. neu", "b.example.net. neu"]);
    assert_eq!((foreseen.begins.moved, foreseen.ends.moved), (2, 0), "failback is manual");
    assert_eq!(moved(&bench.foresee("a.example.net./weu", MarkKind::Drain).begins), ["a.example.net. neu"]);
    assert_eq!(bench.foresee("neu", MarkKind::Down).begins.moved, 0);
    assert_eq!(before, format!("{:?}", bench.state));

    // A mark that stands and is more restrictive goes on.
    let mut bench = start(|_| {}, |_| {});
    bench.mark("weu", MarkKind::Down, None);
    let foreseen = bench.foresee("weu", MarkKind::Up);
    assert_eq!((foreseen.begins.moved, foreseen.ends.moved), (0, 0));

    let held = start(
        |policy| policy.gates = [gate("registry", exec())].into(),
        |hub| hub.gates = vec![used("registry", OnShut::Hold)],
    );
    let foreseen = held.foresee("a.example.net./weu", MarkKind::Down);
    assert_eq!(foreseen.begins.moved, 0);
    assert!(foreseen.begins.notes[0].contains("gate registry is shut"), "{:?}", foreseen.begins.notes);
    assert!(held.look().foresee(&"asia".parse().unwrap(), MarkKind::Down).is_err());
}

#[test]
fn a_hub_that_only_waits_is_said_to_move_after_that() {
    // neu has no verdict yet.
    let mut bench = Bench::new();
    bench.verdict("weu", true);
    let foreseen = bench.foresee("weu", MarkKind::Down);
    assert_eq!((foreseen.begins.moved, foreseen.begins.later), (0, 2), "{foreseen:?}");
    assert_eq!(foreseen.begins.notes, Vec::<String>::new());
    let later = &foreseen.begins.waiting[0];
    assert_eq!((later.hub.to_string().as_str(), later.to.as_str()), (A, "neu"));
    assert_eq!(later.waiting, "verdict");
    assert!(later.sentence.contains("waits at most") && later.sentence.contains("first verdict"), "{later:?}");
    // What was said is what happens.
    bench.mark("weu", MarkKind::Down, None);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.now = later.until;
    bench.pass(0);
    assert_eq!(bench.active(), "neu 2, neu 2");

    // What was waiting before waits no longer because of the mark, and is not said to.
    let foreseen = bench.foresee("neu", MarkKind::Up);
    assert_eq!((foreseen.begins.moved, foreseen.begins.later), (0, 0), "{foreseen:?}");
    // The end of a mark, where a better region takes over by itself.
    let mut back = start(|_| {}, |hub| hub.failback = Failback::After(Duration::from_mins(15)));
    back.pass(1);
    let foreseen = back.foresee("a.example.net./weu", MarkKind::Down);
    assert_eq!((foreseen.begins.moved, foreseen.ends.later), (1, 1), "{foreseen:?}");
    assert_eq!(foreseen.ends.waiting[0].waiting, "failback");
}

/// A window of a target, from and until so many seconds from the start on.
fn window(bench: &mut Bench, target: &str, kind: MarkKind, from: u64, until: u64) -> String {
    let at = |seconds| Some(START.after(Duration::from_secs(seconds)));
    let (from, until, reason) = (at(from), at(until), "disk swap".into());
    let mark = Command::Mark { target: target.parse().unwrap(), kind, reason, from, until };
    let summary = bench.moved(mark).summary;
    summary.split([' ', ':']).nth(1).unwrap().to_owned()
}

#[test]
fn a_move_that_has_its_time_is_held_against_the_windows_of_that_time() {
    let mut bench = start(|_| {}, |_| {});
    let at = |seconds| MoveOptions { at: Some(START.after(Duration::from_secs(seconds))), ..at_once(None) };
    let id = window(&mut bench, "neu", MarkKind::Drain, 600, 900);
    check(&mut bench, "neu", at(500), Outcome::Begins, "nothing stands in the way");
    let refused = "neu is to be marked drain by alice until 1970-01-01T00:31:40Z (disk swap) from 1970-01-01T00:26:40Z, \
                   before the move would switch; choose another time, or take the window away with `concierge unmark \
                   --window ";
    check(&mut bench, "neu", at(700), Outcome::Refused, &format!("{refused}{id}`"));
    check(&mut bench, "neu", at(900), Outcome::Begins, "nothing stands in the way");
    let plan = |bench: &Bench, seconds| bench.plan(Some("neu"), &at(seconds)).changes;
    let begins = format!("at 1970-01-01T00:26:40Z window {id} begins: neu marked drain by alice until");
    let ends = format!("at 1970-01-01T00:31:40Z window {id} ends: neu marked drain by alice until");
    assert_eq!(plan(&bench, 500), Vec::<String>::new());
    let [first] = &plan(&bench, 700)[..] else { panic!("one") };
    assert!(first.starts_with(&begins), "{first}");
    let [first, second] = &plan(&bench, 901)[..] else { panic!("two") };
    assert!(first.starts_with(&begins) && second.starts_with(&ends), "{first}, {second}");
    assert_eq!(bench.plan(Some("neu"), &MoveOptions::default()).changes, Vec::<String>::new());

    // A mark that has ended by then does not count, and the move is done.
    bench.mark("neu", MarkKind::Down, Some(START.after(Duration::from_secs(300))));
    check(&mut bench, "neu", at(299), Outcome::Refused, "neu is marked down; unmark it first");
    check(&mut bench, "neu", at(400), Outcome::Begins, "nothing stands in the way");
    bench.moved(failover("neu", at(400)));
    bench.pass(400);
    assert_eq!(bench.active(), "neu 2, weu 1");
}

#[test]
fn a_window_that_moves_the_hub_before_is_told_of() {
    let mut bench = start(|_| {}, |_| {});
    let id = window(&mut bench, "weu", MarkKind::Down, 600, 900);
    let at = MoveOptions { at: Some(START.after(Duration::from_secs(700))), ..at_once(None) };
    let changes = bench.plan(Some("neu"), &at).changes;
    assert!(changes[0].contains(&format!("window {id} begins: weu marked down")), "{changes:?}");
    assert!(changes[0].ends_with("; a.example.net. leaves weu then if it can, which stops this move"), "{changes:?}");
}

/// Who asks for the region that is active gets no "nothing to do" while it is about to be left.
#[test]
fn a_region_that_is_about_to_be_left_is_not_answered_already() {
    let mut bench = start(|_| {}, adaptive);
    bench.moved(failover("neu", MoveOptions::default()));
    let plan = bench.plan(Some("weu"), &MoveOptions::default());
    assert_eq!(plan.outcome, Outcome::Refused, "{plan:#?}");
    assert!(plan.verdict.contains("failover weu -> neu by alice"), "{}", plan.verdict);
    assert!(plan.verdict.ends_with("; to stay on weu, cancel it"), "{}", plan.verdict);
    assert!(bench.command(failover("weu", MoveOptions::default())).is_err());
    bench.pass(30);
    assert_eq!(bench.plan(Some("neu"), &MoveOptions::default()).outcome, Outcome::Already, "it has switched");
}

#[test]
fn the_timeline_of_a_move_that_is_under_way_is_its_own() {
    let mut bench = start(
        |policy| policy.gates = [gate("registry", exec())].into(),
        |hub| {
            adaptive(hub);
            hub.gates = vec![used("registry", OnShut::Hold)];
        },
    );
    let (began, until) = (bench.now, bench.now.after(Duration::from_secs(600)));
    let options = || MoveOptions { until: Some(until), ..MoveOptions::default() };
    let line = |bench: &Bench| bench.plan(Some("neu"), &options()).timeline;
    bench.moved(failover("neu", options()));
    bench.pass(10);
    let ramp = line(&bench);
    assert_eq!(
        (ramp.ramp, ramp.switch),
        (Some(began), began.after(Duration::from_secs(30))),
        "half of the ramp is over"
    );
    assert_eq!(ramp.old_over, ramp.switch.after(Duration::from_secs(5)));
    bench.pass(20).pass(70);
    assert_eq!(bench.stage(), "ready");
    let ready = line(&bench);
    assert_eq!(
        (ready.ramp, ready.switch, ready.given_up),
        (Some(began), bench.now, Some(until)),
        "it waits for the gate"
    );
}

/// A rule that is overridden is in nobody's way: the gate alone is waited for.
#[test]
fn a_shut_gate_is_waited_for_beside_what_is_overridden() {
    let mut bench = start(
        |policy| policy.gates = [gate("registry", exec())].into(),
        |hub| {
            hub.gates = vec![used("registry", OnShut::Hold)];
            hub.budget = Some(Budget { switches: 1.try_into().unwrap(), period: Duration::from_hours(24) });
        },
    );
    bench.evidence("registry", true);
    bench.moved(failover("neu", at_once(None)));
    bench.pass(60).evidence("registry", false);
    bench.moved(failover("weu", MoveOptions { break_glass: Some("why".into()), ..at_once(None) }));
    bench.pass(60);
    assert_eq!(bench.active(), "weu 3, weu 1");
    let until = Some(bench.now.after(Duration::from_secs(600)));
    let both = MoveOptions { until, ..MoveOptions::default() };
    assert_eq!(bench.plan(Some("neu"), &both).outcome, Outcome::Refused);
    let refused = bench.command(failover("neu", both.clone())).unwrap_err().to_string();
    assert!(refused.ends_with("(--break-glass overrides it)"), "{refused}");
    let over = MoveOptions { break_glass: Some("why".into()), ..both };
    check(&mut bench, "neu", over.clone(), Outcome::Waits, "waits for gates until");
    bench.moved(failover("neu", over));
    bench.evidence("registry", true);
    assert_eq!(bench.active(), "neu 4, weu 1");
}
