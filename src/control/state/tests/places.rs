//! Moves that were announced, and the places that safety rules have for them.

use super::engine::{failover, gate, used};
use super::*;
use crate::gate::{Evidence, Fenced};
use crate::policy::{
    Demand, EndpointId, Exec, Fence, GateKind, GateName, Hook, OnFenceFailure, OnShut, RuleName, SafetyRule,
};

const HUBS: [&str; 3] = ["a.example.net.", "b.example.net.", "c.example.net."];

/// Three hubs, each in weu, whose fences must acknowledge, with one rule over their endpoints in a region.
fn places(demand: impl Fn(std::collections::BTreeSet<EndpointId>) -> Demand, region: &str) -> Bench {
    let hook = Hook::Exec(Exec { command: vec!["fence".into()] });
    let fence = Arc::new(Fence { hook, timeout: Duration::from_secs(5), on_failure: OnFenceFailure::Stop });
    let mut loaded = loaded_of(&HUBS, &["weu", "neu"], |hub| {
        hub.fence = Some(fence.clone());
        if hub.name == name("a.example.net.") {
            hub.gates = vec![used("registry", OnShut::Hold)];
        }
    });
    let mut policy = Policy::clone(&loaded.policy);
    let place = Place { path: Path::new("t").into(), line: 1, column: 1, width: 1, text: String::new() };
    let of = HUBS.map(|hub| EndpointId { hub: name(hub), region: RegionName::new(region) }).into();
    let rule = RuleName::new("capacity");
    policy.rules = [(rule.clone(), Arc::new(SafetyRule { name: rule, demand: demand(of), place }))].into();
    let kind = GateKind::Exec(Exec { command: vec!["check".into()] });
    policy.gates = [gate("registry", kind)].into();
    loaded.policy = Arc::new(policy);
    let mut bench = Bench::started(loaded, Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true);
    bench.opens(true);
    bench
}

/// At most one of them is in neu.
fn one_comes() -> Bench {
    places(|of| Demand::AtMost(1, of), "neu")
}

/// At least one of them is in weu.
fn one_stays() -> Bench {
    places(|of| Demand::AtLeast(1, of), "weu")
}

impl Bench {
    fn opens(&mut self, open: bool) {
        let gate = GateName::new("registry");
        self.event(Event::Gate(Evidence { gate, at: self.now, open, sentence: "it says so".into() }));
    }

    /// The hubs whose regions were told since this was last asked.
    fn announced(&mut self) -> String {
        let hubs: Vec<_> = std::mem::take(&mut self.fenced).iter().map(|call| call.hub.to_string()).collect();
        hubs.iter().map(|hub| &hub[..1]).collect()
    }

    fn acknowledges(&mut self, hub: &str) {
        let position = self.state.layout.position(&name(hub)).unwrap() as u32;
        let planned = self.state.told[&position].planned;
        let fenced = Fenced {
            hub: name(hub),
            planned,
            to: RegionName::new("neu"),
            epoch: 2,
            acknowledged: true,
            sentence: "stopped".into(),
        };
        self.event(Event::Fenced(fenced));
    }

    fn unmark(&mut self, target: &str) {
        self.moved(Command::Unmark { target: target.parse().unwrap(), reason: "over".into() });
    }

    /// The hubs that have moved to neu.
    fn gone(&self) -> String {
        let gone = HUBS.iter().filter(|hub| self.state.standing(&name(hub)).unwrap().active.as_str() == "neu");
        gone.map(|hub| &hub[..1]).collect()
    }

    fn waits(&mut self, hub: usize) -> String {
        self.status().hubs[hub].hold.as_ref().map(|hold| hold.reason.to_string()).unwrap_or_default()
    }
}

#[test]
fn no_more_are_announced_than_may_go() {
    let mut bench = one_comes();
    bench.verdict("weu", false);
    assert_eq!((bench.announced().as_str(), bench.gone().as_str()), ("a", ""));
    let waits = "the move to neu waits: safety rule capacity wants at most 1 of 3 endpoints to be active, and 0 are, with 1 \
                 about to become so";
    assert_eq!(bench.waits(1), waits);
    bench.acknowledges("a.example.net.");
    assert_eq!((bench.announced().as_str(), bench.gone().as_str()), ("", "a"));
    let mut bench = one_stays();
    bench.verdict("weu", false);
    assert_eq!((bench.announced().as_str(), bench.gone().as_str()), ("ab", ""));
    let waits = "the move to neu waits: safety rule capacity wants at least 1 of 3 endpoints to be active, and 3 are, 2 of \
                 them about to be left";
    assert_eq!(bench.waits(2), waits);
}

/// Moves that are wanted again in one event are announced anew, in order, and count those that were announced before.
#[test]
fn a_move_that_is_not_wanted_any_more_gives_its_place_up() {
    let mut bench = one_stays();
    bench.mark("a.example.net./weu", MarkKind::Up, None);
    bench.verdict("weu", false);
    assert_eq!(bench.announced(), "bc");
    bench.mark("neu", MarkKind::Down, None);
    bench.unmark("a.example.net./weu");
    assert_eq!(bench.announced(), "", "nothing can be chosen");
    bench.unmark("neu");
    assert_eq!(bench.announced(), "ab", "two may go");
    for hub in HUBS {
        bench.acknowledges(hub);
    }
    assert_eq!(bench.gone(), "ab");
}

#[test]
fn a_place_that_is_given_up_is_another_hubs_at_once() {
    let mut bench = one_comes();
    bench.verdict("weu", false);
    assert_eq!(bench.announced(), "a");
    bench.mark("a.example.net./neu", MarkKind::Down, None);
    assert_eq!(bench.announced(), "b");
    let mut bench = one_comes();
    bench.moved(failover("neu", at_once(None)));
    bench.verdict("weu", false);
    assert_eq!(bench.announced(), "a", "a planned move has its place");
    bench.moved(Command::Cancel { hub: name("a.example.net."), epoch: None, reason: "no".into() });
    assert_eq!(bench.announced(), "a", "health wants the same move, and tells anew");
    bench.mark("a.example.net./weu", MarkKind::Up, None);
    assert_eq!(bench.announced(), "b");
}

#[test]
fn a_region_that_has_acknowledged_for_nothing_is_named_and_told_again() {
    let mut bench = one_comes();
    bench.verdict("weu", false);
    bench.opens(false);
    bench.acknowledges("a.example.net.");
    assert_eq!((bench.announced().as_str(), bench.gone().as_str()), ("a", ""), "its gate is shut");
    let said = |bench: &Bench| bench.log.iter().any(|line| line.ends_with("weu stays active, tell it so"));
    assert!(!said(&bench));
    bench.mark("a.example.net./neu", MarkKind::Down, None);
    assert!(said(&bench), "{:?}", bench.log);
    bench.unmark("a.example.net./neu");
    bench.opens(true);
    bench.mark("b.example.net./neu", MarkKind::Down, None);
    assert_eq!((bench.announced().as_str(), bench.gone().as_str()), ("ba", ""), "what it has acknowledged is over");
}

#[test]
fn a_move_keeps_its_place_while_it_is_wanted() {
    let mut bench = one_comes();
    bench.verdict("weu", false);
    assert_eq!(bench.announced(), "a");
    bench.opens(false);
    assert!(bench.waits(0).contains("gate registry is shut"), "{}", bench.waits(0));
    bench.pass(1).acknowledges("a.example.net.");
    assert_eq!((bench.announced().as_str(), bench.gone().as_str()), ("", ""));
    bench.opens(true);
    assert_eq!((bench.announced().as_str(), bench.gone().as_str()), ("", "a"), "it has acknowledged already");
}

/// What breaks the glass may leave fewer places than moves were announced: then as many go as there are places.
#[test]
fn announced_moves_do_not_hold_each_other() {
    let mut bench = one_stays();
    bench.verdict("weu", false);
    assert_eq!(bench.announced(), "ab");
    let options = MoveOptions { break_glass: Some("it burns".into()), ..at_once(None) };
    let command =
        Command::Failover { hub: name("c.example.net."), to: RegionName::new("neu"), options, reason: "r".into() };
    bench.moved(command);
    bench.acknowledges("c.example.net.");
    assert_eq!(bench.gone(), "c");
    bench.acknowledges("b.example.net.");
    bench.acknowledges("a.example.net.");
    assert_eq!(bench.gone(), "bc");
    assert!(bench.waits(0).contains("wants at least 1 of 3 endpoints to be active, and 1 is"), "{}", bench.waits(0));
}

#[test]
fn a_planned_move_is_stopped_by_the_event_that_takes_its_place() {
    let mut bench = one_comes();
    bench.opens(false);
    let options = MoveOptions { until: Some(bench.now.after(Duration::from_secs(600))), ..at_once(None) };
    bench.moved(failover("neu", options));
    assert_eq!(bench.stage(), "ready", "its gate is shut");
    bench.mark("b.example.net./weu", MarkKind::Down, None);
    bench.acknowledges("b.example.net.");
    assert_eq!((bench.gone().as_str(), bench.stage()), ("b", "stopped"));
}

/// A fence that has failed is called again after a while, but not while the target fails.
#[test]
fn what_waits_for_something_else_asks_for_no_moment_that_has_passed() {
    let mut bench = one_comes();
    bench.moved(failover("neu", at_once(None)));
    let position = bench.state.layout.position(&name("a.example.net.")).unwrap() as u32;
    let fenced = Fenced {
        hub: name("a.example.net."),
        planned: bench.state.told[&position].planned,
        to: RegionName::new("neu"),
        epoch: 2,
        acknowledged: false,
        sentence: "exit 1".into(),
    };
    bench.event(Event::Fenced(fenced));
    bench.see("neu", false);
    for _ in 0..40 {
        bench.pass(1);
        let (now, wake) = (bench.now, bench.state.wake());
        assert!(wake.is_none_or(|wake| wake > now), "it is {now}, and {wake:?} is asked for");
    }
    assert_eq!(bench.stage(), "ready");
}
