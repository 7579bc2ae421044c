//! Planned moves, the regions that they leave, and windows: through events, as they come.

use super::engine::{A, adaptive, answer, exec, failover, fenced, gate, gated, low, policy, start, used};
use super::*;
use crate::policy::{OnFenceFailure, OnShut};

#[test]
fn a_move_that_waits_writes_nothing_while_nothing_changes() {
    let mut bench = gated(OnShut::Hold);
    bench.evidence("registry", false);
    let until = Some(bench.now.after(Duration::from_secs(3000)));
    bench.moved(failover("neu", MoveOptions { until, ..at_once(None) }));
    bench.pass(200);
    let commits = bench.commits.len();
    for _ in 0..60 {
        bench.pass(1);
    }
    assert_eq!((bench.stage(), bench.commits.len()), ("ready", commits));
}

#[test]
fn a_planned_move_lowers_the_ttl_waits_switches_and_drains() {
    let mut bench = start(|_| {}, adaptive);
    let moved = bench.moved(failover("neu", MoveOptions { epoch: Some(1), ..MoveOptions::default() }));
    assert!(moved.changed && moved.moved == 0, "{moved:?}");
    assert_eq!((bench.stage(), bench.active().as_str(), low(&bench)), ("ramp", "weu 1, weu 1", vec![true, false]));
    assert!(!bench.moved(failover("neu", MoveOptions { epoch: Some(1), ..MoveOptions::default() })).changed);
    bench.pass(29);
    assert_eq!(bench.stage(), "ramp");
    let mut killed = bench.restart(policy(|_| {}, adaptive));
    killed.pass(1).verdict("neu", true);
    assert_eq!(killed.active(), "neu 2, weu 1", "a daemon that was killed goes on");
    bench.pass(1);
    assert_eq!((bench.stage(), bench.active().as_str()), ("drain", "neu 2, weu 1"));
    bench.pass(5);
    assert_eq!(bench.stage(), "done");
    assert!(!bench.moved(failover("neu", MoveOptions { epoch: Some(1), ..MoveOptions::default() })).changed);
    let stages = bench.commits.iter().flat_map(Commit::records).filter(|r| r.kind == AuditKind::Move);
    let stages: Vec<_> = stages.filter_map(|record| record.after).collect();
    assert_eq!(stages, ["ramp", "ready", "drain", "done"]);
}

#[test]
fn a_move_is_stopped_by_a_cancel_by_another_switch_and_by_what_it_finds() {
    let mut bench = start(|_| {}, adaptive);
    bench.moved(failover("neu", MoveOptions::default()));
    let other = bench.command(failover("neu", MoveOptions { epoch: Some(9), ..MoveOptions::default() }));
    assert!(matches!(other, Err(CommandError::Refused(_))), "another one while one is under way");
    assert!(bench.moved(Command::Cancel { hub: name(A), epoch: None, reason: "no".into() }).changed);
    assert_eq!((bench.stage(), bench.active().as_str(), low(&bench)), ("stopped", "weu 1, weu 1", vec![false, false]));
    bench.pass(100);
    assert_eq!(bench.active(), "weu 1, weu 1");

    bench.moved(failover("neu", MoveOptions::default()));
    bench.mark("neu", MarkKind::Down, None);
    bench.pass(30);
    assert_eq!((bench.stage(), bench.active().as_str()), ("stopped", "weu 1, weu 1"));
    assert!(bench.log.iter().any(|line| line.contains(": stopped, and nothing was switched: neu is marked down")));
    bench.moved(Command::Unmark { target: "neu".parse().unwrap(), reason: "r".into() });

    bench.moved(failover("neu", MoveOptions::default()));
    bench.verdict("weu", false);
    assert_eq!((bench.stage(), bench.active().as_str()), ("stopped", "neu 2, neu 2"), "health was faster");
    bench.pass(100);
    assert_eq!(bench.active(), "neu 2, neu 2");
    let cancel = bench.moved(Command::Cancel { hub: name(A), epoch: None, reason: "no".into() });
    assert!(!cancel.changed);
}

#[test]
fn a_scheduled_move_lowers_the_ttl_before_its_time_and_waits_for_gates_until_it_is_given_up() {
    let mut bench = start(
        |policy| policy.gates = [gate("registry", exec())].into(),
        |hub| {
            adaptive(hub);
            hub.gates = vec![used("registry", OnShut::Hold)];
        },
    );
    let at = bench.now.after(Duration::from_secs(100));
    let until = Some(bench.now.after(Duration::from_secs(200)));
    bench.moved(failover("neu", MoveOptions { at: Some(at), until, ..MoveOptions::default() }));
    assert_eq!(bench.stage(), "scheduled");
    bench.pass(69);
    assert_eq!((bench.stage(), low(&bench)[0]), ("scheduled", false));
    bench.pass(1);
    assert_eq!((bench.stage(), low(&bench)[0]), ("ramp", true));
    bench.pass(30);
    assert_eq!((bench.stage(), bench.active().as_str()), ("ready", "weu 1, weu 1"));
    bench.evidence("registry", true);
    assert_eq!((bench.stage(), bench.active().as_str()), ("drain", "neu 2, weu 1"));

    let refused = bench.command(failover(
        "weu",
        MoveOptions { until: Some(bench.now.after(Duration::from_secs(10))), ..MoveOptions::default() },
    ));
    assert!(refused.unwrap_err().to_string().starts_with("it cannot switch before "));
}

#[test]
fn a_gate_that_stays_shut_stops_a_move_when_it_is_to_be_given_up() {
    let mut bench = gated(OnShut::Hold);
    let until = Some(bench.now.after(Duration::from_secs(60)));
    bench.moved(failover("neu", MoveOptions { until, ..at_once(None) }));
    assert_eq!(bench.stage(), "ready");
    bench.pass(60);
    assert_eq!((bench.stage(), bench.active().as_str()), ("stopped", "weu 1, weu 1"));
    bench.evidence("registry", true);
    bench.pass(1);
    assert_eq!(bench.active(), "weu 1, weu 1");
}

#[test]
fn a_move_that_waits_for_old_evidence_says_so_once() {
    let mut bench = gated(OnShut::Hold);
    bench.evidence("registry", false);
    let until = Some(bench.now.after(Duration::from_secs(600)));
    bench.moved(failover("neu", MoveOptions { until, ..at_once(None) }));
    bench.pass(121);
    let commits = bench.commits.len();
    bench.pass(400);
    assert_eq!((bench.stage(), bench.commits.len()), ("ready", commits), "time alone is no news");
}

#[test]
fn two_operators_move_a_hub_that_needs_two() {
    let mut bench = start(|_| {}, |hub| hub.approvals = 2);
    bench.by("alice", failover("neu", at_once(Some(1)))).unwrap();
    assert_eq!((bench.stage(), bench.active().as_str()), ("approval", "weu 1, weu 1"));
    let approve = |epoch| Command::Approve { hub: name(A), epoch };
    assert!(bench.by("alice", approve(None)).unwrap_err().to_string().starts_with("alice has approved it already"));
    assert!(bench.by("bob", approve(Some(2))).is_err());
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.by("bob", approve(Some(1))).unwrap();
    assert_eq!((bench.stage(), bench.active().as_str()), ("drain", "neu 2, weu 1"));
    assert!(matches!(bench.by("carol", approve(None)), Err(CommandError::NotFound(_))));
    bench.by("alice", failover("weu", at_once(None))).unwrap();
    bench.pass(3600);
    assert_eq!((bench.stage(), bench.active().as_str()), ("stopped", "neu 2, weu 1"), "not approved in time");
}

#[test]
fn the_region_that_is_left_is_told_before_the_switch() {
    let mut bench = fenced(OnFenceFailure::Proceed);
    bench.verdict("weu", false).pass(4);
    assert_eq!((bench.active().as_str(), bench.fenced.len()), ("weu 1, weu 1", 2), "each is told once");
    assert_eq!((bench.fenced[0].epoch, bench.fenced[0].from.as_str()), (2, "weu"));
    answer(&mut bench, true);
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.verdict("weu", true).moved(failover("weu", at_once(None)));
    assert_eq!((bench.stage(), bench.active().as_str()), ("ready", "neu 2, neu 2"));
    answer(&mut bench, false);
    assert_eq!(
        (bench.stage(), bench.active().as_str()),
        ("drain", "weu 3, neu 2"),
        "refused, and on_failure says go on"
    );
}

#[test]
fn a_fence_that_does_not_answer_holds_until_its_deadline_or_for_good() {
    let mut bench = fenced(OnFenceFailure::Proceed);
    bench.verdict("weu", false).pass(6);
    assert_eq!(bench.active(), "neu 2, neu 2");
    let mut bench = fenced(OnFenceFailure::Stop);
    bench.verdict("weu", false).pass(6);
    assert_eq!((bench.active().as_str(), bench.fenced.len()), ("weu 1, weu 1", 2));
    bench.pass(29);
    assert_eq!(bench.fenced.len(), 2);
    bench.pass(1);
    assert_eq!(bench.fenced.len(), 4, "it is told again after a while");
    answer(&mut bench, true);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn force_goes_on_without_a_fence_that_has_failed() {
    let mut bench = fenced(OnFenceFailure::Stop);
    bench.moved(failover("neu", MoveOptions { force: true, ..at_once(None) }));
    assert_eq!(bench.stage(), "ready");
    answer(&mut bench, false);
    assert_eq!((bench.stage(), bench.active().as_str()), ("drain", "neu 2, weu 1"));
    let said = ["weu has not acknowledged that it is left (--force overrides it)"];
    assert_eq!(bench.status().hubs[0].overrides[0].what, said, "and that is recorded");
}

/// What the sentence says is what works: the same move with other options is refused until the first one is cancelled.
#[test]
fn a_move_that_waits_for_its_fence_says_how_to_go_on_without() {
    let mut bench = fenced(OnFenceFailure::Stop);
    bench.moved(failover("neu", at_once(None)));
    answer(&mut bench, false);
    let sentence = bench.status().hubs[0].planned.clone().unwrap().sentence;
    let way =
        "; it is told again. To go on without: `concierge cancel a.example.net.`, then the same move with --force";
    assert!(sentence.ends_with(&format!("weu has not acknowledged that it is left: exit 1{way}")), "{sentence}");
    let forced = || failover("neu", MoveOptions { force: true, ..at_once(None) });
    assert!(bench.command(forced()).is_err());
    bench.moved(Command::Cancel { hub: name(A), epoch: None, reason: "no".into() });
    bench.moved(forced());
    answer(&mut bench, false);
    assert_eq!(bench.active(), "neu 2, weu 1");
}

#[test]
fn windows_begin_and_end_by_themselves_and_the_most_restrictive_holds() {
    let mut bench = start(|_| {}, |_| {});
    let (from, until) = (bench.now.after(Duration::from_secs(100)), bench.now.after(Duration::from_secs(200)));
    let window = |kind, until| Command::Mark {
        target: "weu".parse().unwrap(),
        kind,
        reason: "upgrade".into(),
        from: Some(from),
        until,
    };
    assert!(matches!(bench.command(window(MarkKind::Down, None)), Err(CommandError::Refused(_))));
    assert!(bench.moved(window(MarkKind::Down, Some(until))).changed);
    assert!(!bench.moved(window(MarkKind::Down, Some(until))).changed);
    bench.mark("weu", MarkKind::Up, None);
    bench.pass(99);
    assert_eq!(bench.active(), "weu 1, weu 1");
    let mut killed = bench.restart(loaded(&["weu", "neu"]));
    killed.verdict("neu", true).pass(1);
    assert_eq!(killed.active(), "neu 2, neu 2", "a window survives a restart");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2");
    let endpoint = &bench.status().hubs[0].endpoints[0];
    assert!(endpoint.reason.starts_with("weu marked down by alice until "), "{}", endpoint.reason);
    bench.pass(100);
    assert_eq!(bench.status().windows.len(), 0);
    assert!(bench.status().hubs[0].endpoints[0].reason.starts_with("weu marked up by alice"));
    assert_eq!(bench.active(), "neu 2, neu 2", "the end of a window moves nobody back");
}

#[test]
fn a_move_that_was_due_while_the_daemon_did_not_run_is_not_done() {
    let mut bench = start(|_| {}, adaptive);
    let at = bench.now.after(Duration::from_secs(100));
    bench.moved(failover("neu", MoveOptions { at: Some(at), ..MoveOptions::default() }));
    bench.now = bench.now.after(Duration::from_hours(7));
    let mut later = bench.restart(policy(|_| {}, adaptive));
    later.verdict("neu", true).verdict("weu", true).pass(1);
    assert_eq!((later.stage(), later.active().as_str()), ("stopped", "weu 1, weu 1"));
}

#[test]
fn a_region_that_was_told_for_a_move_that_is_stopped_is_named() {
    let mut bench = fenced(OnFenceFailure::Proceed);
    bench.moved(failover("neu", at_once(None)));
    bench.moved(Command::Cancel { hub: name(A), epoch: None, reason: "no".into() });
    let said = |bench: &Bench, part: &str| bench.log.iter().any(|line| line.contains(part));
    assert!(said(&bench, "weu was told that it is not active any more, and it is: tell it so"), "{:?}", bench.log);
    answer(&mut bench, true);
    assert!(said(&bench, "the move to neu is not wanted any more: weu stays active, tell it so"), "{:?}", bench.log);
    assert_eq!(bench.active(), "weu 1, weu 1");
}

#[test]
fn a_repeat_with_other_options_is_no_repeat() {
    let mut bench = start(|_| {}, adaptive);
    bench.moved(failover("neu", MoveOptions::default()));
    let refused = bench.command(failover("neu", at_once(None))).unwrap_err().to_string();
    assert!(refused.ends_with("to do it otherwise, cancel it first"), "{refused}");
}

/// Seen by somebody who cancelled a move and asked again: the old region had been told the first time only.
#[test]
fn a_region_is_told_anew_for_a_move_that_is_asked_for_again() {
    let mut bench = fenced(OnFenceFailure::Proceed);
    bench.moved(failover("neu", at_once(None)));
    let moved = bench.moved(Command::Cancel { hub: name(A), epoch: None, reason: "no".into() });
    assert_eq!(moved.notes, ["weu was told that it is not active any more, and it is: tell it so"]);
    answer(&mut bench, true);
    bench.moved(failover("neu", at_once(None)));
    assert_eq!((bench.fenced.len(), bench.active().as_str()), (1, "weu 1, weu 1"));
    answer(&mut bench, true);
    assert_eq!(bench.active(), "neu 2, weu 1");
}

#[test]
fn a_time_that_has_passed_is_no_way_to_say_now() {
    let mut bench = start(|_| {}, |_| {});
    let at = Some(bench.now);
    bench.pass(3600).see("weu", true).see("neu", true);
    let refused = bench.command(failover("neu", MoveOptions { at, ..at_once(None) })).unwrap_err().to_string();
    assert!(refused.contains("which has passed"), "{refused}");
    let until = Some(bench.now.after(Duration::from_secs(60)));
    let (target, kind) = ("weu".parse().unwrap(), MarkKind::Drain);
    let refused = bench.command(Command::Mark { target, kind, reason: "r".into(), from: at, until });
    assert!(refused.unwrap_err().to_string().contains("which has passed"));
    assert_eq!(bench.active(), "weu 1, weu 1");
}
