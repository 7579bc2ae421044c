//! What holds a move, planned moves, windows: through events, as they come.

use super::*;
use crate::control::known::GateAck;
use crate::control::moves::Stage;
use crate::gate::{Evidence, Fenced};
use crate::policy::{
    Budget, Demand, Exec, Fence, Gate, GateKind, GateName, GateUse, Hook, OnFenceFailure, OnShut, RuleName, SafetyRule,
};

pub(super) const A: &str = "a.example.net.";

/// The policy of [`loaded`], changed.
pub(super) fn policy(change: impl Fn(&mut Policy), hub: impl Fn(&mut Hub)) -> Loaded {
    let mut loaded = loaded_with(&["weu", "neu"], hub);
    let mut policy = Policy::clone(&loaded.policy);
    change(&mut policy);
    loaded.policy = Arc::new(policy);
    loaded
}

pub(super) fn start(change: impl Fn(&mut Policy), hub: impl Fn(&mut Hub)) -> Bench {
    let mut bench = Bench::started(policy(change, hub), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true);
    bench
}

pub(super) fn gate(name: &str, kind: GateKind) -> (GateName, Arc<Gate>) {
    let (interval, timeout, max_age) = (Duration::from_secs(30), Duration::from_secs(5), Duration::from_secs(120));
    let name = GateName::new(name);
    (name.clone(), Arc::new(Gate { name, kind, interval, timeout, max_age }))
}

pub(super) fn used(gate: &str, on_shut: OnShut) -> GateUse {
    GateUse { gate: GateName::new(gate), on_failover: true, on_failback: false, to: None, on_shut }
}

pub(super) fn exec() -> GateKind {
    GateKind::Exec(Exec { command: vec!["check".into()] })
}

pub(super) fn failover(to: &str, options: MoveOptions) -> Command {
    Command::Failover { hub: name(A), to: RegionName::new(to), options, reason: "drill".into() }
}

impl Bench {
    pub(super) fn evidence(&mut self, gate: &str, open: bool) {
        let sentence = if open { "in step" } else { "412 identities are missing" };
        let evidence = Evidence { gate: GateName::new(gate), at: self.now, open, sentence: sentence.into() };
        self.event(Event::Gate(evidence));
    }

    pub(super) fn by(&mut self, author: &str, command: Command) -> Result<Moved, CommandError> {
        let author = Author { name: author.into(), origin: "test".into() };
        self.event(Event::Command { command, author, reply: ReplyTo(1) }).expect("a command is answered")
    }

    /// What hub `a` waits for.
    pub(super) fn hold(&mut self) -> String {
        let status = self.status();
        let hold = status.hubs[0].hold.as_ref();
        hold.map(|hold| format!("{}: {}", hold.waiting, hold.reason)).unwrap_or_default()
    }

    pub(super) fn stage(&self) -> &'static str {
        let id = self.state.roster.id(&name(A)).unwrap();
        self.state.known.moves.get(&id).map_or("none", |planned| planned.stage.word())
    }

    /// Persists everything that was committed, as a store would, and starts again from it.
    pub(super) fn restart(&mut self, loaded: Loaded) -> Bench {
        let mut persisted = Persisted { roster: self.state.roster().clone(), ..Persisted::default() };
        persisted.standings = self.state.standings().to_vec();
        persisted.marks = self.state.marks().clone();
        persisted.facts = Facts::clone(&self.state.facts);
        Bench::started(loaded, persisted, self.now)
    }
}

pub(super) fn gated(on_shut: OnShut) -> Bench {
    start(
        |policy| policy.gates = [gate("registry", exec())].into(),
        move |hub| hub.gates = vec![used("registry", on_shut)],
    )
}

#[test]
fn a_shut_gate_holds_with_its_own_words_until_it_opens() {
    let mut bench = gated(OnShut::Hold);
    bench.verdict("weu", false).pass(600);
    assert_eq!(bench.active(), "weu 1, weu 1");
    assert_eq!(bench.hold(), "gate: the move to neu waits: gate registry is shut: it was not looked at yet");
    bench.evidence("registry", false);
    assert_eq!(bench.hold(), "gate: the move to neu waits: gate registry is shut: 412 identities are missing");
    bench.evidence("registry", true);
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.verdict("weu", true).verdict("neu", false).pass(61);
    assert_eq!(bench.active(), "weu 3, weu 3", "the way back has no gate");
}

#[test]
fn old_evidence_counts_as_shut() {
    let mut bench = gated(OnShut::Hold);
    bench.evidence("registry", true);
    bench.pass(121).verdict("weu", false);
    assert_eq!(bench.active(), "weu 1, weu 1");
    assert!(
        bench.hold().contains("in step; that was at 1970-01-01T00:16:40Z, and evidence older than 2 min"),
        "{}",
        bench.status().hubs[0].hold.as_ref().unwrap().reason
    );
}

#[test]
fn a_gate_may_be_passed_after_a_time() {
    let mut bench = gated(OnShut::ProceedAfter(Duration::from_mins(10)));
    bench.verdict("weu", false).pass(599);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn marks_respect_gates_and_force_overrides_them() {
    let mut bench = gated(OnShut::Hold);
    bench.mark("weu", MarkKind::Down, None);
    assert_eq!(bench.active(), "weu 1, weu 1");
    let options = MoveOptions { now: true, ..MoveOptions::default() };
    let refused = bench.command(failover("neu", options.clone())).unwrap_err().to_string();
    let ways = "(--force overrides it); --until TIME waits for gates to open";
    assert_eq!(refused, format!("gate registry is shut: it was not looked at yet {ways}"));
    assert!(bench.moved(failover("neu", MoveOptions { force: true, ..options })).changed);
    assert_eq!(bench.active(), "neu 2, weu 1");
    let status = bench.status();
    assert_eq!(
        status.hubs[0].overrides[0].what,
        ["gate registry is shut: it was not looked at yet (--force overrides it)"]
    );
    let acknowledge = || Command::Acknowledge { hub: name(A), reason: "seen".into() };
    assert!(bench.moved(acknowledge()).changed);
    assert!(bench.status().hubs[0].overrides.is_empty());
    assert!(!bench.moved(acknowledge()).changed);
}

#[test]
fn an_acknowledgement_opens_its_gate_for_one_epoch() {
    let mut bench = start(
        |policy| policy.gates = [gate("merged", GateKind::Ack)].into(),
        |hub| hub.gates = vec![used("merged", OnShut::Hold)],
    );
    let ack = |gate: &str, until| Command::AckGate {
        hub: name(A),
        gate: GateName::new(gate),
        reason: "checked".into(),
        until,
    };
    assert!(matches!(bench.command(ack("merge", None)), Err(CommandError::NotFound(_))));
    assert!(bench.moved(ack("merged", None)).changed);
    bench.verdict("weu", false);
    assert_eq!(bench.active(), "neu 2, weu 1", "the other hub was not acknowledged");
    bench.verdict("weu", true).moved(Command::Failback { hub: name(A), options: at_once(None), reason: "r".into() });
    bench.pass(100).verdict("weu", false);
    assert_eq!(bench.active(), "weu 3, weu 1");
    assert!(
        bench.hold().contains("for epoch 1, and the epoch is 3"),
        "{}",
        bench.status().hubs[0].hold.as_ref().unwrap().reason
    );
    bench.moved(ack("merged", Some(bench.now.after(Duration::from_secs(1)))));
    assert_eq!(bench.active(), "neu 4, weu 1");
    let ack: GateAck = bench.state.facts.values().next().unwrap().get().unwrap();
    assert_eq!((ack.epoch, ack.author.as_str()), (3, "alice"));
}

#[test]
fn a_hub_that_flaps_is_pinned_until_an_operator_acknowledges() {
    let mut bench = start(|_| {}, |hub| hub.flap_limit = 2.try_into().unwrap());
    bench.verdict("weu", false).verdict("weu", true).pass(61).verdict("neu", false).verdict("neu", true).pass(61);
    assert_eq!(bench.active(), "weu 3, weu 3");
    bench.verdict("weu", false).pass(9000);
    assert_eq!(bench.active(), "weu 3, weu 3");
    assert!(bench.hold().starts_with("pinned: "), "{}", bench.status().hubs[0].hold.as_ref().unwrap().reason);
    assert!(bench.status().hubs[0].pinned);
    let mut again = bench.restart(policy(|_| {}, |hub| hub.flap_limit = 2.try_into().unwrap()));
    again.verdict("neu", true).verdict("weu", false).pass(100);
    assert_eq!(again.active(), "weu 3, weu 3", "a restart does not unpin");
    bench.moved(Command::Acknowledge { hub: name(A), reason: "the link is mended".into() });
    assert_eq!(bench.active(), "neu 4, weu 3");
}

#[test]
fn the_budget_limits_switches_of_any_origin() {
    let budget = Budget { switches: 2.try_into().unwrap(), period: Duration::from_hours(24) };
    let mut bench = start(|_| {}, |hub| hub.budget = Some(budget));
    bench.moved(failover("neu", at_once(None)));
    bench.moved(failover("weu", at_once(None)));
    let refused = bench.command(failover("neu", at_once(None))).unwrap_err().to_string();
    assert!(refused.starts_with("the budget of 2 switches a day is used up, the next one is at "), "{refused}");
    bench.verdict("weu", false);
    assert_eq!(bench.active(), "weu 3, neu 2");
    assert!(
        bench.hold().starts_with("budget: the move to neu waits "),
        "{}",
        bench.status().hubs[0].hold.as_ref().unwrap().reason
    );
    let glass = MoveOptions { break_glass: Some("fire".into()), ..at_once(None) };
    bench.moved(failover("neu", glass));
    assert_eq!(bench.active(), "neu 4, neu 2");
    assert_eq!(bench.status().hubs[0].overrides[0].why, "fire");
}

#[test]
fn a_budget_that_is_used_up_comes_back_with_time() {
    let budget = Budget { switches: 1.try_into().unwrap(), period: Duration::from_hours(1) };
    let mut bench = start(|_| {}, |hub| hub.budget = Some(budget));
    bench.moved(failover("neu", at_once(None)));
    bench.verdict("neu", false).pass(3599);
    assert_eq!(bench.active(), "neu 2, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "weu 3, weu 1");
}

#[test]
fn safety_rules_hold_over_several_hubs_even_within_one_switch() {
    let id = |hub: &str, region: &str| crate::policy::EndpointId { hub: name(hub), region: RegionName::new(region) };
    let rule = |demand| {
        let place = Place { path: Path::new("t").into(), line: 1, column: 1, width: 1, text: String::new() };
        let name = RuleName::new("capacity");
        (name.clone(), Arc::new(SafetyRule { name, demand, place }))
    };
    let both = |region: &str| [id(A, region), id("b.example.net.", region)].into();
    let mut bench = start(|policy| policy.rules = [rule(Demand::AtMost(1, both("neu")))].into(), |_| {});
    bench.verdict("weu", false);
    assert_eq!(bench.active(), "neu 2, weu 1", "one of them, and no more");
    assert_eq!(
        bench.status().hubs[1].hold.as_ref().unwrap().reason,
        "the move to neu waits: safety rule capacity wants at most 1 of 2 endpoints to be active, and 1 is"
    );
    bench.verdict("weu", true);
    bench.moved(Command::Mark {
        target: "b.example.net./weu".parse().unwrap(),
        kind: MarkKind::Down,
        reason: "r".into(),
        from: None,
        until: None,
    });
    assert_eq!(bench.active(), "neu 2, weu 1");
    bench.moved(Command::Failback { hub: name(A), options: at_once(None), reason: "r".into() });
    assert_eq!(bench.active(), "weu 3, neu 2", "the one that leaves frees the other in the same switch");
    let refused = bench.command(failover("neu", at_once(None))).unwrap_err().to_string();
    assert!(refused.contains("safety rule capacity") && refused.contains("--break-glass"), "{refused}");
}

#[test]
fn a_node_that_sees_nothing_moves_nothing() {
    let mut bench = start(|_| {}, |_| {});
    bench.see("weu", false).see("neu", false);
    assert!(bench.status().sight.blind);
    bench.verdict("weu", false).verdict("neu", false).pass(600);
    assert_eq!(bench.active(), "weu 1, weu 1");
    assert_eq!(bench.status().hubs[0].endpoints[0].measured, Health::Up, "health is frozen");
    bench.see("neu", true).see("weu", false).see("weu", false);
    assert!(!bench.status().sight.blind);
    assert_eq!(bench.active(), "weu 1, weu 1", "what was seen while blind does not count");
    bench.see("weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn regions_that_fail_one_after_the_other_are_no_blindness() {
    let mut bench = start(|_| {}, |_| {});
    bench.verdict("weu", false).pass(30).verdict("neu", false);
    assert!(!bench.status().sight.blind);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn what_has_failed_for_long_does_not_make_a_node_that_is_cut_off_believe_itself() {
    let mut bench = Bench::started(loaded(&["weu", "neu", "eus"]), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true).verdict("eus", false).pass(600);
    bench.see("weu", false).see("neu", false);
    assert!(bench.status().sight.blind);
    bench.verdict("weu", false).verdict("neu", false).pass(600);
    assert_eq!(bench.active(), "weu 1, weu 1");
}

#[test]
fn one_region_that_fails_beside_one_that_has_for_long_is_no_blindness() {
    let mut bench = Bench::started(loaded(&["weu", "neu", "eus"]), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", false).verdict("eus", true).pass(600);
    bench.verdict("weu", false).pass(30).verdict("eus", false);
    assert!(!bench.status().sight.blind);
    assert_eq!(bench.active(), "eus 2, eus 2");
}

fn with_reference() -> Bench {
    start(|policy| policy.references = [target("ref")].into(), |_| {})
}

#[test]
fn a_failure_is_believed_once_a_reference_was_reached_after_it() {
    let mut bench = with_reference();
    bench.see("ref", true).pass(1).verdict("weu", false);
    assert_eq!(bench.active(), "weu 1, weu 1");
    assert!(
        bench.hold().starts_with("sight: the move to neu waits until a reference is reached"),
        "{}",
        bench.status().hubs[0].hold.as_ref().unwrap().reason
    );
    bench.pass(1).see("ref", true);
    assert_eq!(bench.active(), "weu 1, weu 1", "weu may be well again, as the network is");
    bench.pass(1).see("weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

/// A cut that ends before it was noticed as one.
#[test]
fn a_short_cut_of_this_node_moves_nothing() {
    let mut bench = with_reference();
    bench.see("ref", true).pass(1);
    bench.see("weu", false).pass(1).see("weu", false).pass(1).see("weu", false).pass(1);
    bench.see("weu", true).see("ref", true);
    assert_eq!(bench.active(), "weu 1, weu 1", "it was good when it was last asked");
    bench.see("weu", false).see("ref", true).see("weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2", "and now it is not");
}

/// Regions were found down in the cut before it was known for one; what rises first afterwards does not take over.
#[test]
fn a_cut_of_this_node_moves_nothing_when_it_is_over() {
    let mut bench = with_reference();
    bench.see("ref", true).pass(1).verdict("weu", false).pass(1).see("ref", false).pass(1).see("neu", false).pass(60);
    assert!(bench.status().sight.blind);
    bench.see("ref", true);
    assert_eq!(bench.active(), "weu 1, weu 1", "nothing was seen of weu since the cut");
    bench.see("neu", true).verdict("weu", true);
    assert_eq!(bench.active(), "weu 1, weu 1");

    let mut bench = with_reference();
    bench.see("ref", true).pass(1).verdict("weu", false).verdict("neu", false).pass(1).see("ref", false).pass(60);
    bench.see("ref", true).verdict("neu", true);
    assert_eq!(bench.active(), "weu 1, weu 1", "weu is only asked later");
    bench.see("weu", false).pass(1).see("ref", true).see("weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2", "it was not only the cut");
}

#[test]
fn evidence_of_a_gate_that_a_reload_has_changed_does_not_count() {
    let looked_at_by = |program: &str| {
        let program = program.to_owned();
        policy(
            move |policy| {
                let kind = GateKind::Exec(Exec { command: vec![program.clone()] });
                policy.gates = [gate("registry", kind)].into();
            },
            |hub| hub.gates = vec![used("registry", OnShut::Hold)],
        )
    };
    let mut bench = Bench::started(looked_at_by("/bin/one"), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true).evidence("registry", true);
    bench.reload(looked_at_by("/bin/other"));
    bench.verdict("weu", false);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.evidence("registry", true);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn marks_work_while_no_reference_is_reached() {
    let mut bench = with_reference();
    bench.see("ref", false).verdict("weu", false);
    let status = bench.status();
    assert!(status.sight.blind && status.sight.references == 1);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.mark("weu", MarkKind::Down, None);
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.see("ref", true);
    assert!(bench.log.iter().any(|line| line.starts_with("this node sees again")), "{:?}", bench.log);
}

pub(super) fn adaptive(hub: &mut Hub) {
    hub.ttl_min = Duration::from_secs(5);
    hub.ttl_restore = Duration::from_secs(300);
}

pub(super) fn low(bench: &Bench) -> Vec<bool> {
    bench.state.choices().iter().map(|choice| choice.low_ttl).collect()
}

#[test]
fn the_ttl_is_low_from_the_first_failure_until_all_is_settled_and_after_a_switch() {
    let mut bench = start(|_| {}, adaptive);
    assert_eq!(low(&bench), [false, false]);
    let commits = bench.commits.len();
    bench.see("neu", false);
    assert_eq!(low(&bench), [false, false], "the standby does not count");
    bench.see("neu", true).see("weu", false);
    assert_eq!(low(&bench), [true, true]);
    assert_eq!(bench.commits.len(), commits, "a TTL is nothing durable");
    bench.see("weu", true);
    assert_eq!(low(&bench), [false, false]);
    bench.verdict("weu", false);
    assert_eq!((bench.active().as_str(), low(&bench)), ("neu 2, neu 2", vec![true, true]));
    bench.pass(299);
    assert_eq!(low(&bench), [true, true]);
    bench.pass(1);
    assert_eq!(low(&bench), [false, false]);
}

pub(super) fn fenced(on_failure: OnFenceFailure) -> Bench {
    let mut bench = Bench::started(fenced_files(on_failure), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true);
    bench
}

pub(super) fn fenced_files(on_failure: OnFenceFailure) -> Loaded {
    let fence =
        Fence { hook: Hook::Exec(Exec { command: vec!["fence".into()] }), timeout: Duration::from_secs(5), on_failure };
    policy(|_| {}, move |hub| hub.fence = Some(Arc::new(fence.clone())))
}

pub(super) fn answer(bench: &mut Bench, acknowledged: bool) {
    for call in std::mem::take(&mut bench.fenced) {
        let sentence = if acknowledged { "fenced" } else { "exit 1" };
        let FenceCall { hub, to, epoch, planned, .. } = call;
        let fenced = Fenced { hub, to, epoch, planned, acknowledged, sentence: sentence.into() };
        bench.event(Event::Fenced(fenced));
    }
}

#[test]
fn a_commit_that_fails_takes_facts_back_and_is_tried_again() {
    let mut bench = start(|_| {}, adaptive);
    let author = Author { name: "alice".into(), origin: "test".into() };
    let command = failover("neu", MoveOptions::default());
    bench.fail(Event::Command { command, author, reply: ReplyTo(1) });
    assert_eq!(bench.stage(), "none");
    bench.pass(1);
    bench.moved(failover("neu", MoveOptions::default()));
    bench.now = bench.now.after(Duration::from_secs(30));
    bench.fail(Event::Tick);
    assert_eq!((bench.stage(), bench.active().as_str()), ("ramp", "weu 1, weu 1"));
    bench.pass(1);
    assert_eq!((bench.stage(), bench.active().as_str()), ("drain", "neu 2, weu 1"));
    assert!(matches!(bench.state.known.moves.values().next().unwrap().stage, Stage::Drain { .. }));
}

#[test]
fn a_shadow_probe_is_shown_and_decides_nothing() {
    let mut bench = start(|_| {}, |hub| hub.endpoints[0].shadow = Some(target("shadow")));
    bench.verdict("shadow", true).verdict("shadow", false);
    assert_eq!(bench.active(), "weu 1, weu 1");
    let status = bench.status();
    let shadow = status.hubs[0].endpoints[0].shadow.as_ref().unwrap();
    assert_eq!((shadow.measured, shadow.would_have_left), (Health::Down, 1));
}

/// What fails here may fail everywhere: nobody is sent to a region that was last seen before the failure began.
#[test]
fn the_target_of_a_move_by_health_is_looked_at_once_more() {
    let mut bench = start(|_| {}, |_| {});
    bench.truth.clear();
    bench.pass(3);
    let failing = bench.seen("weu", false);
    for _ in 0..3 {
        let effects = bench.state.apply(failing_again(&failing), bench.now);
        bench.take(effects);
    }
    assert_eq!((bench.active().as_str(), bench.looks.clone()), ("weu 1, weu 1", vec![target("neu")]));
    assert!(bench.hold().starts_with("look: the move to neu waits at most 11 s more"), "{}", bench.hold());
    bench.looks.clear();
    bench.see("neu", false);
    assert!(bench.status().sight.blind, "both fail since the same moment: this node is cut off");
    assert_eq!(bench.active(), "weu 1, weu 1");
}

fn failing_again(event: &Event) -> Event {
    match event {
        Event::Observations(observations) => Event::Observations(observations.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_target_that_gives_no_look_is_waited_for_as_long_as_its_probe_needs_to_be_sure() {
    let mut bench = start(|_| {}, |_| {});
    bench.pass(3).truth.clear();
    let failing = bench.seen("weu", false);
    (0..3).for_each(|_| drop(bench.event(failing_again(&failing))));
    bench.pass(11);
    assert_eq!(bench.active(), "weu 1, weu 1");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn what_a_switch_has_passed_is_in_its_reason() {
    let mut bench = gated(OnShut::ProceedAfter(Duration::from_mins(10)));
    bench.evidence("registry", false);
    bench.verdict("weu", false).pass(600);
    let last = &bench.status().hubs[0].reason;
    assert!(last.contains("; past gate registry, shut for 10 min: 412 identities are missing"), "{last}");
    let mut bench = fenced(OnFenceFailure::Proceed);
    bench.verdict("weu", false).pass(6);
    assert!(bench.status().hubs[0].reason.ends_with("; the region that is left has not acknowledged it"));
}

/// A better region that fails is not good, even where it takes more to be down.
#[test]
fn a_region_that_fails_does_not_take_over_by_failback() {
    let mut bench = start(|_| {}, |hub| hub.failback = Failback::After(Duration::from_secs(90)));
    bench.verdict("weu", false).pass(1).verdict("weu", true);
    assert_eq!(bench.active(), "neu 2, neu 2");
    let well = |bench: &mut Bench, times: usize| {
        for _ in 0..times {
            bench.pass(5).see("weu", true);
        }
    };
    well(&mut bench, 17);
    bench.see("weu", false).pass(10);
    assert_eq!(bench.active(), "neu 2, neu 2");
    well(&mut bench, 18);
    assert_eq!(bench.active(), "neu 2, neu 2", "its time has begun anew");
    well(&mut bench, 1);
    assert_eq!(bench.active(), "weu 3, weu 3");
}

/// Looks that are taken in together count one by one.
#[test]
fn a_failed_look_interrupts_what_is_good_also_when_the_next_one_comes_with_it() {
    let mut bench = start(|_| {}, |hub| hub.failback = Failback::After(Duration::from_secs(90)));
    bench.verdict("weu", false).pass(1).verdict("weu", true);
    let well = |bench: &mut Bench, times: usize| {
        for _ in 0..times {
            bench.pass(5).see("weu", true);
        }
    };
    well(&mut bench, 12);
    let both = [false, true].map(|good| bench.seen("weu", good));
    let both = both.into_iter().flat_map(|seen| match seen {
        Event::Observations(seen) => seen,
        _ => Vec::new(),
    });
    bench.event(Event::Observations(both.collect()));
    well(&mut bench, 17);
    assert_eq!(bench.active(), "neu 2, neu 2", "its time has begun anew");
    well(&mut bench, 1);
    assert_eq!(bench.active(), "weu 3, weu 3");
}

#[test]
fn nobody_is_moved_where_the_last_look_has_failed() {
    let mut bench = start(|_| {}, |_| {});
    bench.see("neu", false);
    let refused = bench.command(failover("neu", at_once(None))).unwrap_err().to_string();
    assert!(refused.starts_with("the last look at neu has failed"), "{refused}");
    bench.see("neu", true).moved(failover("neu", at_once(None)));
    assert_eq!(bench.active(), "neu 2, weu 1");
}
