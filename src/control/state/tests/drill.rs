//! A canary's region counts as dark: what that moves, whom it does not touch, and how it ends.

use super::engine::{adaptive, exec, gate, start, used};
use super::*;
use crate::control::drill::LONGEST;
use crate::control::report::Effective;
use crate::policy::{Budget, OnShut};

const A: &str = "a.example.net.";

/// Hub `a` is a canary, hub `b` on the same two targets is not.
fn canary(change: impl Fn(&mut Policy), hub: impl Fn(&mut Hub)) -> Bench {
    start(change, move |other| {
        other.canary = other.name == name(A);
        hub(other);
    })
}

fn drill(hub: &str, region: Option<&str>) -> Command {
    Command::Drill { hub: name(hub), region: region.map(RegionName::new), within: None, reason: "quarterly".into() }
}

fn end() -> Command {
    Command::EndDrill { hub: name(A), reason: "enough".into() }
}

impl Bench {
    /// Time passes second by second, as the loop's ticks do.
    fn tick(&mut self, seconds: u64) -> &mut Self {
        for _ in 0..seconds {
            self.pass(1);
        }
        self
    }

    /// The drill goes on until its region counts as down.
    fn goes_dark(&mut self) -> &mut Self {
        self.pass(5).see("weu", true).tick(2)
    }

    fn effective(&mut self, hub: usize) -> Effective {
        self.status().hubs[hub].endpoints[0].effective
    }

    #[track_caller]
    fn refused(&mut self, command: Command, part: &str) {
        let refused = self.command(command).unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn a_drill_moves_the_canary_by_the_whole_path_and_nobody_else() {
    let mut bench = canary(|_| {}, |_| {});
    let commits = bench.commits.len();
    let moved = bench.moved(drill(A, None));
    assert!(moved.changed && moved.moved == 0, "{moved:?}");
    // What had begun before says nothing.
    bench.see("weu", true);
    assert_eq!(bench.status().hubs[0].drill.as_ref().unwrap().failed, 0);
    bench.pass(5).see("weu", true);
    let status = bench.status();
    let under_way = status.hubs[0].drill.as_ref().unwrap();
    assert_eq!((under_way.failed, under_way.health, under_way.down_since), (1, Health::Up, None));
    assert_eq!(bench.state.wake(), Some(Timestamp(bench.now.0 - 3).after(Duration::from_secs(1))), "confirm");
    bench.pass(1);
    assert_eq!(bench.active(), "weu 1, weu 1", "two of three");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, weu 1");
    assert_eq!(bench.answered(), [What::Endpoint(1), What::Endpoint(0)]);
    let status = bench.status();
    let [canary, real] = [0, 1].map(|hub| &status.hubs[hub].endpoints[0]);
    assert_eq!((canary.measured, canary.effective), (Health::Up, Effective::NotEligible));
    assert_eq!((real.measured, real.effective), (Health::Up, Effective::Eligible));
    assert!(
        canary.reason.starts_with(
            "weu counts as dark for a drill by alice (quarterly), and so as down; probes say up, last ok 0 ms ago"
        ),
        "{}",
        canary.reason
    );
    assert!(real.reason.starts_with("weu is up: last ok"), "{}", real.reason);
    assert_eq!(status.hubs[0].cause, Cause::Health);
    assert!(status.hubs[0].reason.contains("for a drill by alice"), "{}", status.hubs[0].reason);
    let since = &bench.commits[commits..];
    assert!(since.iter().all(|commit| commit.health.is_empty()), "no health is kept");
    let kinds: Vec<_> = since.iter().flat_map(Commit::records).map(|record| record.kind).collect();
    assert_eq!(kinds, [AuditKind::Drill, AuditKind::Drill, AuditKind::Switch]);

    // Real health counts again at once, and nothing goes back by itself.
    assert!(bench.moved(end()).changed);
    assert_eq!((bench.effective(0), bench.active().as_str()), (Effective::Eligible, "neu 2, weu 1"));
    assert!(bench.status().hubs[0].drill.is_none());
    assert!(!bench.moved(end()).changed);
    let back = Command::Failback { hub: name(A), options: at_once(Some(2)), reason: "r".into() };
    bench.moved(back);
    assert_eq!(bench.active(), "weu 3, weu 1");
    bench.tick(30).see("weu", true);
    assert_eq!(bench.active(), "weu 3, weu 1");
}

#[test]
fn what_is_no_canary_or_has_nothing_to_show_is_not_drilled() {
    let mut bench = canary(
        |_| {},
        |hub| {
            hub.ttl = Duration::from_secs(30);
            hub.ttl_min = Duration::from_secs(5);
        },
    );
    bench.refused(drill("b.example.net.", None), "b.example.net. is no canary, and a drill moves no other hub");
    bench.refused(drill("c.example.net.", None), "no hub `c.example.net.`");
    bench.refused(drill(A, Some("wee")), "no endpoint of a.example.net. in `wee`; did you mean `weu`?");
    bench.refused(drill(A, Some("neu")), "a.example.net. answers weu: that neu goes dark would move nothing");
    bench.mark("a.example.net./weu", MarkKind::Up, None);
    bench.refused(drill(A, None), "up and not marked: weu marked up by alice");
    bench.moved(Command::Unmark { target: "a.example.net./weu".parse().unwrap(), reason: "r".into() });
    let ramp = MoveOptions::default();
    let over = Command::Failover { hub: name(A), to: RegionName::new("neu"), options: ramp, reason: "r".into() };
    bench.moved(over);
    bench.refused(drill(A, None), "a drill waits for its end");
    bench.moved(Command::Cancel { hub: name(A), epoch: None, reason: "r".into() });
    bench.moved(drill(A, Some("weu")));
    bench.refused(drill(A, None), "is being drilled by alice already");
    bench.moved(end());
    bench.pass(120);
    bench.refused(drill(A, None), "the prober gives no observations");
    bench.verdict("weu", true).verdict("neu", false).pass(30).verdict("weu", false);
    assert!(!bench.status().sight.blind);
    bench.refused(drill(A, None), "up and not marked: weu is down: 5 failed in a row");
}

#[test]
fn a_drill_is_given_up_by_itself_and_a_restart_or_a_load_ends_it() {
    let mut bench = canary(|_| {}, |_| {});
    bench.moved(drill(A, None));
    bench.goes_dark();
    assert_eq!(bench.effective(0), Effective::NotEligible);
    let mut again = Bench::restarted(bench.persisted(), bench.now);
    assert_eq!((again.active().as_str(), again.effective(0)), ("neu 2, weu 1", Effective::Eligible));
    assert!(again.commits.is_empty());

    bench.pass(LONGEST.as_secs() - 8);
    assert!(bench.status().hubs[0].drill.is_some());
    bench.pass(1);
    assert_eq!(bench.effective(0), Effective::Eligible);
    assert!(bench.log.iter().any(|line| line.contains("is over after 15 min: it was given up at its time")));
    let last = bench.commits.last().unwrap().audit.last().unwrap().clone();
    assert_eq!(
        (last.kind, last.author.as_str(), last.after.as_deref()),
        (AuditKind::Drill, "concierge", Some("ended"))
    );

    let mut bench = canary(|_| {}, |_| {});
    let within = Some(Duration::from_secs(7));
    bench.moved(Command::Drill { hub: name(A), region: None, within, reason: "r".into() });
    bench.pass(5).see("weu", true).pass(1);
    assert!(bench.status().hubs[0].drill.is_some());
    bench.tick(3);
    assert!(bench.status().hubs[0].drill.is_none());
    bench.verdict("weu", true);
    bench.moved(Command::Drill { hub: name(A), region: None, within, reason: "r".into() });
    bench.reload(loaded(&["neu", "weu"]));
    assert!(bench.status().hubs[0].drill.is_none());
    assert!(bench.log.iter().any(|line| line.contains("zones and policy were loaded anew")));
}

#[test]
fn a_drill_whose_beginning_is_not_durable_is_none() {
    let mut bench = canary(|_| {}, |_| {});
    let author = Author { name: "alice".into(), origin: "test".into() };
    bench.fail(Event::Command { command: drill(A, None), author, reply: ReplyTo(1) });
    assert!(bench.status().hubs[0].drill.is_none());
    bench.goes_dark();
    assert_eq!(bench.active(), "weu 1, weu 1");
}

/// The canary has everything that is probed in one region, and the other region is really down: were the drill seen as a
/// failure, everything would fail at once.
#[test]
fn a_drill_does_not_make_this_node_blind_and_begins_anew_after_blindness() {
    let mut bench = canary(|_| {}, |_| {});
    bench.moved(drill(A, None));
    bench.pass(5).see("weu", true).see("neu", false).tick(2);
    let status = bench.status();
    assert!(!status.sight.blind);
    assert_eq!(status.hubs[0].drill.as_ref().unwrap().health, Health::Down);

    let mut bench = canary(|_| {}, |_| {});
    bench.moved(drill(A, None));
    bench.pass(5).see("weu", true);
    bench.see("neu", false).see("weu", false);
    assert!(bench.status().sight.blind);
    bench.verdict("weu", false);
    assert_eq!(bench.status().hubs[0].drill.as_ref().unwrap().health, Health::Up, "what a blind node sees is nothing");
    bench.see("neu", true);
    let status = bench.status();
    assert!(!status.sight.blind && status.hubs[0].drill.as_ref().unwrap().failing_since.is_none());
    bench.see("weu", true).see("weu", true);
    assert_eq!(bench.active(), "weu 1, weu 1", "two of three");
    bench.see("weu", true);
    assert_eq!(bench.active(), "neu 2, weu 1");
}

#[test]
fn a_drill_is_doubted_until_a_reference_is_reached() {
    let reference = ProbeTarget { probe: ProbeName::new("p"), target: Target::Addresses(vec![[127, 0, 0, 99].into()]) };
    let referred = reference.clone();
    let mut bench = canary(move |policy| policy.references = [referred.clone()].into(), |_| {});
    let see = |bench: &mut Bench| {
        let event = bench.observed(reference.clone(), true);
        bench.event(event);
    };
    see(&mut bench);
    bench.moved(drill(A, None));
    bench.goes_dark();
    assert_eq!(bench.status().hubs[0].hold.as_ref().unwrap().waiting, "sight");
    see(&mut bench);
    bench.see("weu", true);
    assert_eq!(bench.active(), "neu 2, weu 1");
}

#[test]
fn gates_budget_and_ttl_are_those_of_a_real_failure() {
    let mut bench = canary(
        |policy| policy.gates = [gate("registry", exec())].into(),
        |hub| {
            adaptive(hub);
            hub.gates = vec![used("registry", OnShut::Hold)];
            hub.budget = Some(Budget { switches: 1.try_into().unwrap(), period: Duration::from_hours(24) });
            hub.rto = Some(Duration::from_secs(90));
        },
    );
    bench.evidence("registry", false);
    bench.moved(drill(A, None));
    assert!(!bench.status().hubs[0].low_ttl);
    bench.pass(5).see("weu", true);
    assert!(bench.status().hubs[0].low_ttl && !bench.status().hubs[1].low_ttl, "the first failure lowers the TTL");
    bench.tick(2);
    assert_eq!(bench.active(), "weu 1, weu 1");
    let status = bench.status();
    let hold = status.hubs[0].hold.as_ref().unwrap();
    assert_eq!((hold.waiting.as_str(), status.hubs[1].hold.is_none()), ("gate", true));
    assert!(hold.reason.contains("412 identities are missing"), "{}", hold.reason);
    bench.evidence("registry", true);
    assert_eq!(bench.active(), "neu 2, weu 1");

    // interval 5 s + 10 % + timeout 2 s + 2 * 2 s, a look of 2 s, ttl_min 5 s; and 7.5 s + ttl 30 s is longer.
    let under_way = status.hubs[0].drill.clone().unwrap();
    let worst = &under_way.worst;
    assert_eq!((worst.detection_ms, worst.look_ms, worst.ttl_ms, worst.total_ms), (11_500, 2_000, 30_000, 37_500));
    assert_eq!((worst.held_by.len(), worst.gates_ms, worst.fence_ms, worst.sight_ms), (1, 0, 0, 0));
    assert_eq!(under_way.rto_ms, Some(90_000));

    bench.moved(end());
    let back = Command::Failback { hub: name(A), options: at_once(Some(2)), reason: "r".into() };
    bench.refused(back, "budget");
}

/// While a drill is on, what is observed says nothing of the canary: the TTL that a failure has lowered is the usual one again.
#[test]
fn a_drill_that_could_not_be_written_down_leaves_the_ttl_as_it_was() {
    let mut bench = canary(|_| {}, adaptive);
    bench.see("weu", false);
    assert!(bench.status().hubs[0].low_ttl);
    let author = Author { name: "alice".into(), origin: "test".into() };
    bench.fail(Event::Command { command: drill(A, None), author, reply: ReplyTo(1) });
    assert!(bench.status().hubs[0].drill.is_none());
    bench.pass(2);
    assert!(bench.status().hubs[0].low_ttl);
}
