//! What events do to the state: answers, commits, replies and sentences.

use std::path::Path;
use std::time::Duration;

use super::super::moves::MoveOptions;
use super::*;
use crate::answer::compile::compile;
use crate::control::event::{LoadFailure, ReplyTo};
use crate::control::mark::MarkTarget;
use crate::control::report::{AuditKind, Condition, Status};
use crate::control::told;
use crate::diagnostic::Place;
use crate::dns::Rtype;
use crate::gate::FenceCall;
use crate::health::{Observation, Outcome, Remarks};
use crate::policy::{
    Answer, Endpoint, Failback, Hub, MarkKind, ProbeKind, ProbeName, Region, RegionName, Target, TcpProbe, WhenAllDown,
};
use crate::zone::store::{Tree, tree_of};

const START: Timestamp = Timestamp(1_000_000);

fn name(text: &str) -> Name {
    Name::parse(text, None).unwrap()
}

fn target(region: &str) -> ProbeTarget {
    let last = match region {
        "weu" => 11,
        "neu" => 12,
        _ => 13,
    };
    ProbeTarget { probe: ProbeName::new("p"), target: Target::Addresses(vec![[127, 0, 0, last].into()]) }
}

fn probe() -> Probe {
    Probe {
        name: ProbeName::new("p"),
        kind: ProbeKind::Tcp(TcpProbe::new(1)),
        source: None,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        confirm: Duration::from_secs(1),
        fall: 3.try_into().unwrap(),
        rise: 5.try_into().unwrap(),
        shadow: false,
    }
}

fn zone() -> Tree {
    let apex = name("example.net.");
    let soa = [apex.wire(), apex.wire(), &[0; 20]].concat().into_boxed_slice();
    let ns = name("ns.example.org.").wire().into();
    tree_of(&apex, &[(apex.clone(), Rtype::SOA, 300, soa), (apex.clone(), Rtype::NS, 300, ns)])
}

/// Two hubs, each with weu before neu, on the same two probers.
fn loaded(regions: &[&str]) -> Loaded {
    loaded_with(regions, |_| {})
}

/// A move that does not lower the TTL first, planned at an epoch.
fn at_once(epoch: Option<u64>) -> MoveOptions {
    MoveOptions { epoch, now: true, ..MoveOptions::default() }
}

/// The same, each hub changed.
fn loaded_with(regions: &[&str], change: impl Fn(&mut Hub)) -> Loaded {
    loaded_of(&["a.example.net.", "b.example.net."], regions, change)
}

/// These hubs, each with these regions in order.
fn loaded_of(hubs: &[&str], regions: &[&str], change: impl Fn(&mut Hub)) -> Loaded {
    let place = Place { path: Path::new("t.toml").into(), line: 1, column: 1, width: 1, text: String::new() };
    let hub = |owner: &str| {
        let endpoints = regions.iter().map(|region| Endpoint {
            probe: Some(target(region)),
            ..Endpoint::new(RegionName::new(region), Answer::Cname(name(&format!("{region}.example.org."))))
        });
        let mut hub = Hub::new(name(owner), endpoints.collect(), place.clone());
        change(&mut hub);
        (name(owner), Arc::new(hub))
    };
    let policy = Policy {
        regions: regions.iter().map(|region| (RegionName::new(region), Region::default())).collect(),
        probes: [(ProbeName::new("p"), Arc::new(probe()))].into(),
        hubs: hubs.iter().copied().map(hub).collect(),
        ..Policy::default()
    };
    let content = compile(vec![zone()], &policy).unwrap();
    Loaded {
        policy: Arc::new(policy),
        content: Arc::new(content),
        warnings: Vec::new(),
        read: Duration::ZERO,
        compile: Duration::ZERO,
        stamps: Stamps::default(),
    }
}

/// What the choices select.
fn whats(choices: &[Choice]) -> Vec<What> {
    choices.iter().map(|choice| choice.what).collect()
}

/// A state with a clock, and everything that it wanted done.
struct Bench {
    state: State,
    now: Timestamp,
    commits: Vec<Commit>,
    published: Vec<Box<[Choice]>>,
    log: Vec<String>,
    fenced: Vec<FenceCall>,
    looks: Vec<ProbeTarget>,
    /// What was last seen of each target: a hurried look sees it again.
    truth: BTreeMap<ProbeTarget, bool>,
}

impl Bench {
    fn new() -> Self {
        Self::restarted(Persisted::default(), START)
    }

    fn restarted(persisted: Persisted, now: Timestamp) -> Self {
        Self::started(loaded(&["weu", "neu"]), persisted, now)
    }

    fn started(loaded: Loaded, persisted: Persisted, now: Timestamp) -> Self {
        let (state, effects) = State::new(loaded, persisted, now);
        let mut bench = Self {
            state,
            now,
            commits: Vec::new(),
            published: Vec::new(),
            log: Vec::new(),
            fenced: Vec::new(),
            looks: Vec::new(),
            truth: BTreeMap::new(),
        };
        bench.take(effects);
        bench
    }

    fn take(&mut self, effects: Vec<Effect>) -> Option<Result<Moved, CommandError>> {
        let mut reply = None;
        let mut order = Vec::new();
        for effect in effects {
            order.push(match &effect {
                Effect::Commit(_) => 0,
                Effect::Publish(..) => 1,
                Effect::Probe { .. } | Effect::Look(_) | Effect::Gates(_) | Effect::Fence(_) => 2,
                Effect::Reply(..) => 3,
                Effect::Log(_) | Effect::Tell(_) => 4,
            });
            match effect {
                Effect::Commit(commit) => self.commits.push(commit),
                Effect::Publish(_, choices) => self.published.push(choices),
                Effect::Log(line) => self.log.push(line.sentence),
                Effect::Tell(switch) => self.log.extend(told::switched(&switch).into_iter().map(|line| line.sentence)),
                Effect::Reply(_, answer) => reply = Some(answer),
                Effect::Fence(call) => self.fenced.push(call),
                Effect::Look(targets) => self.looks.extend(targets),
                Effect::Probe { .. } | Effect::Gates(_) => {}
            }
        }
        assert!(order.is_sorted(), "commit, publish, reply, log: {order:?}");
        reply
    }

    fn event(&mut self, event: Event) -> Option<Result<Moved, CommandError>> {
        let effects = self.state.apply(event, self.now);
        let reply = self.take(effects);
        while let Some(target) = self.looks.pop() {
            if let Some(good) = self.truth.get(&target).copied() {
                let effects = self.state.apply(self.observed(target, good), self.now);
                self.take(effects);
            }
        }
        reply
    }

    /// An event whose commit, if it wants one, the store cannot make durable.
    fn fail(&mut self, event: Event) {
        for effect in self.state.apply(event, self.now) {
            if let Effect::Commit(commit) = effect {
                self.state.revert(&commit, self.now);
            }
        }
    }

    fn reload(&mut self, loaded: Loaded) {
        let author = Author { name: "alice".into(), origin: "test".into() };
        self.event(Event::Loaded { loaded: Ok(loaded), author, reply: Some(ReplyTo(1)) });
    }

    fn pass(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.event(Event::Tick);
        self
    }

    fn see(&mut self, region: &str, good: bool) -> &mut Self {
        self.truth.insert(target(region), good);
        let event = self.seen(region, good);
        self.event(event);
        self
    }

    fn seen(&self, region: &str, good: bool) -> Event {
        self.observed(target(region), good)
    }

    fn observed(&self, target: ProbeTarget, good: bool) -> Event {
        let outcome = if good { Outcome::Good } else { Outcome::Failed("connection refused".into()) };
        let latency = Duration::from_millis(3);
        Event::Observations(vec![Observation { target, at: self.now, latency, outcome, remarks: Remarks::default() }])
    }

    /// Enough observations for a verdict.
    fn verdict(&mut self, region: &str, good: bool) -> &mut Self {
        for _ in 0..5 {
            self.see(region, good);
        }
        self
    }

    fn command(&mut self, command: Command) -> Result<Moved, CommandError> {
        let author = Author { name: "alice".into(), origin: "test".into() };
        self.event(Event::Command { command, author, reply: ReplyTo(1) }).expect("a command is answered")
    }

    fn moved(&mut self, command: Command) -> Moved {
        self.command(command).unwrap()
    }

    fn mark(&mut self, target: &str, kind: MarkKind, until: Option<Timestamp>) -> Moved {
        let target: MarkTarget = target.parse().unwrap();
        self.moved(Command::Mark { target, kind, reason: "because".into(), from: None, until })
    }

    /// What was published last.
    fn answered(&self) -> Vec<What> {
        whats(self.published.last().unwrap())
    }

    fn status(&mut self) -> Status {
        self.state.status(self.now)
    }

    /// `weu 1, neu 2`: active region and epoch of each hub.
    fn active(&self) -> String {
        let each = ["a.example.net.", "b.example.net."].map(|hub| {
            let standing = self.state.standing(&name(hub)).unwrap();
            format!("{} {}", standing.active, standing.epoch)
        });
        each.join(", ")
    }

    /// `weu 1`: active region and epoch of a hub.
    fn active_of(&self, hub: &str) -> String {
        let standing = self.state.standing(&name(hub)).unwrap();
        format!("{} {}", standing.active, standing.epoch)
    }

    fn persisted(&self) -> Persisted {
        let health = self.commits.iter().flat_map(|commit| &commit.health);
        Persisted {
            roster: self.state.roster().clone(),
            standings: self.state.standings().to_vec(),
            marks: self.state.marks().clone(),
            health: health.map(|(target, health)| (target.to_string(), *health)).collect(),
            facts: Facts::clone(&self.state.facts),
        }
    }
}

#[test]
fn the_start_commits_and_publishes_the_first_choice() {
    let bench = Bench::new();
    assert_eq!(bench.active(), "weu 1, weu 1");
    assert_eq!(bench.commits.len(), 1);
    assert_eq!(bench.answered(), [What::Endpoint(0); 2]);
    assert_eq!(bench.published.len(), 1);
}

#[test]
fn a_region_that_fails_moves_every_hub_in_one_commit_and_one_publication() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    let (commits, published) = (bench.commits.len(), bench.published.len());
    bench.see("weu", false).see("weu", false);
    assert_eq!(bench.active(), "weu 1, weu 1", "two of three");
    bench.see("weu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
    assert_eq!((bench.commits.len(), bench.published.len()), (commits + 1, published + 1));
    assert_eq!(bench.answered(), [What::Endpoint(1); 2]);
    let audit: Vec<_> = bench.commits.last().unwrap().records().collect();
    let kinds: Vec<_> = audit.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [AuditKind::Health, AuditKind::Switch, AuditKind::Switch], "one record for each hub");
    let audit = &audit[1..];
    assert!(audit[0].reason.contains("weu is down: 3 failed in a row"), "{}", audit[0].reason);
    assert!(
        bench.log.iter().any(|line| line.starts_with("a.example.net.: weu -> neu, epoch 2: weu is down")),
        "{:?}",
        bench.log
    );
}

#[test]
fn an_observation_that_changes_nothing_costs_no_commit_and_no_publication() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    let before = (bench.commits.len(), bench.published.len());
    bench.see("weu", true).see("weu", false).see("weu", true).pass(1);
    assert_eq!((bench.commits.len(), bench.published.len()), before);
}

#[test]
fn a_region_that_comes_back_does_not_take_over() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).verdict("weu", false).pass(100).verdict("weu", true).pass(9000);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn the_dwell_holds_the_next_automatic_switch_and_then_lets_it_go() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).verdict("weu", false).verdict("weu", true).pass(10);
    bench.verdict("neu", false);
    assert_eq!(bench.active(), "neu 2, neu 2");
    let status = bench.status();
    assert_eq!(status.hubs[0].condition, Condition::Held);
    assert_eq!(
        status.hubs[0].hold.as_ref().unwrap().reason,
        "the move to weu waits 50 s more for the dwell since the last automatic switch"
    );
    assert_eq!(bench.state.wake(), Some(START.after(Duration::from_secs(60))));
    bench.pass(49);
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.pass(1);
    assert_eq!(bench.active(), "weu 3, weu 3");
}

#[test]
fn a_mark_moves_at_once_and_never_edits_health() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).verdict("weu", false).verdict("weu", true);
    let moved = bench.mark("neu", MarkKind::Down, None);
    assert!(moved.changed);
    assert_eq!(moved.switched.len(), 2, "inside the dwell as well");
    assert_eq!(bench.active(), "weu 3, weu 3");
    let status = bench.status();
    assert_eq!(status.hubs[0].endpoints[1].measured, Health::Up);
    assert_eq!(
        status.hubs[0].endpoints[1].reason,
        "neu marked down by alice (because); probes say up, last ok 0 ms ago, 5 in a row"
    );
    assert_eq!(status.hubs[0].endpoints[1].mark.as_ref().unwrap().target.to_string(), "neu");
    assert!(!bench.mark("neu", MarkKind::Down, None).changed, "a repeat changes nothing");
}

#[test]
fn a_mark_on_one_endpoint_moves_one_hub() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    bench.mark("b.example.net./weu", MarkKind::Drain, None);
    assert_eq!(bench.active(), "weu 1, neu 2");
    let moved = bench.mark("weu", MarkKind::Up, None);
    assert!(moved.notes[0].contains("more restrictive"), "{:?}", moved.notes);
    assert_eq!(bench.active(), "weu 1, neu 2");
}

#[test]
fn a_mark_that_leaves_nothing_says_so_and_keeps_the_answer() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", false);
    let moved = bench.mark("weu", MarkKind::Down, None);
    assert!(moved.switched.is_empty());
    assert!(
        moved.notes[0].contains("no endpoint is eligible") && moved.notes[0].contains("neu is down"),
        "{:?}",
        moved.notes
    );
    assert_eq!(bench.active(), "weu 1, weu 1");
    assert_eq!(bench.status().hubs[0].condition, Condition::AllDown);
}

#[test]
fn a_mark_ends_when_it_said_and_moves_nobody_back() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    bench.mark("weu", MarkKind::Down, Some(bench.now.after(Duration::from_secs(600))));
    assert_eq!(bench.active(), "neu 2, neu 2");
    bench.pass(599);
    assert_eq!(bench.state.marks().len(), 1);
    bench.pass(1);
    assert!(bench.state.marks().is_empty());
    assert_eq!(bench.commits.last().unwrap().audit[0].kind, AuditKind::MarkExpired);
    assert_eq!(bench.active(), "neu 2, neu 2");
}

#[test]
fn what_is_not_there_is_named_with_what_was_meant() {
    let mut bench = Bench::new();
    let mut refused = |target: &str| {
        let target = target.parse().unwrap();
        bench
            .command(Command::Mark { target, kind: MarkKind::Up, reason: "r".into(), from: None, until: None })
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refused("weuu"), "no region `weuu`; did you mean `weu`?");
    assert_eq!(refused("asia-east"), "no region `asia-east`; there are neu, weu");
    assert_eq!(refused("a.example.nett./weu"), "no hub `a.example.nett.`; did you mean `a.example.net.`?");
    assert_eq!(refused("a.example.net./wee"), "a.example.net. has no endpoint in `wee`; did you mean `weu`?");
    let past = Command::Mark {
        target: "weu".parse().unwrap(),
        kind: MarkKind::Up,
        reason: "r".into(),
        from: None,
        until: Some(START),
    };
    assert!(matches!(bench.command(past), Err(CommandError::Refused(_))));
}

#[test]
fn failover_and_failback_are_idempotent_by_epoch() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    let to = |to: &str, epoch| Command::Failover {
        hub: name("a.example.net."),
        to: RegionName::new(to),
        options: at_once(Some(epoch)),
        reason: "drill".into(),
    };
    assert!(bench.moved(to("neu", 1)).changed);
    assert_eq!(bench.active(), "neu 2, weu 1");
    assert!(!bench.moved(to("neu", 1)).changed, "a repeat of an applied move succeeds");
    assert!(matches!(bench.command(to("weu", 1)), Err(CommandError::Refused(_))), "planned at an old epoch");
    let back =
        |epoch| Command::Failback { hub: name("a.example.net."), options: at_once(epoch), reason: "done".into() };
    assert!(bench.moved(back(Some(2))).changed);
    assert!(!bench.moved(back(None)).changed);
    assert_eq!(bench.active(), "weu 3, weu 1");
    bench.verdict("neu", false);
    let refused = bench.command(to("neu", 3)).unwrap_err().to_string();
    assert!(
        refused.starts_with("neu is down; to move there all the same, mark it up first: neu is down: 5 failed"),
        "{refused}"
    );
}

#[test]
fn a_restart_changes_no_answer_and_no_epoch() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).verdict("weu", false);
    bench.mark("b.example.net./weu", MarkKind::Down, None);
    let mut again = Bench::restarted(bench.persisted(), bench.now.after(Duration::from_secs(5)));
    assert_eq!(again.active(), "neu 2, neu 2");
    assert!(again.commits.is_empty(), "nothing to decide, nothing to commit");
    assert_eq!(again.state.marks().len(), 1);
    // What was down needs `rise` good observations, not the first one.
    again.see("weu", true);
    assert_eq!(again.status().hubs[0].endpoints[0].measured, Health::Unknown);
    again.verdict("weu", true);
    assert_eq!(again.status().hubs[0].endpoints[0].measured, Health::Up);
}

/// Both regions were down before the restart. Whichever prober is heard first, the fleet does not move.
#[test]
fn a_restart_into_an_outage_moves_nobody_before_the_other_region_has_a_verdict() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).verdict("neu", false).verdict("weu", false);
    let mut again = Bench::restarted(bench.persisted(), bench.now);
    again.verdict("weu", false);
    assert_eq!(again.active(), "weu 1, weu 1");
    assert!(again.status().hubs[0].hold.as_ref().unwrap().reason.contains("first verdict"));
    again.verdict("neu", false).pass(60);
    assert_eq!(again.active(), "weu 1, weu 1");
}

#[test]
fn a_commit_that_fails_changes_nothing_and_is_tried_again() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    let author = Author { name: "alice".into(), origin: "test".into() };
    let target: MarkTarget = "weu".parse().unwrap();
    let command = Command::Mark { target, kind: MarkKind::Down, reason: "r".into(), from: None, until: None };
    bench.fail(Event::Command { command, author, reply: ReplyTo(1) });
    assert_eq!(bench.active(), "weu 1, weu 1");
    assert!(bench.state.marks().is_empty());
    assert_eq!(whats(bench.state.choices()), [What::Endpoint(0); 2]);
    bench.see("weu", false).see("weu", false);
    bench.fail(bench.seen("weu", false));
    assert_eq!(bench.active(), "weu 1, weu 1", "the store could not make the move durable");
    assert_eq!(bench.status().hubs[0].endpoints[0].measured, Health::Down, "what was measured stays measured");
    bench.pass(1);
    assert_eq!(bench.active(), "neu 2, neu 2");
    assert_eq!(bench.status().totals.switches["health"], 2);
    assert_eq!(bench.status().totals.commits_failed, 2);
}

#[test]
fn a_silent_prober_freezes_health_and_is_shown() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true);
    bench.pass(120);
    let status = bench.status();
    assert_eq!(status.probers.stalled, 2);
    assert!(status.hubs[0].endpoints[0].stalled && status.hubs[0].endpoints[0].measured == Health::Up);
    assert_eq!(bench.active(), "weu 1, weu 1");
    assert!(bench.log.iter().any(|line| line.contains("its health is frozen at up")), "{:?}", bench.log);
    bench.see("weu", true);
    assert_eq!(bench.status().probers.stalled, 1);
}

#[test]
fn a_reload_keeps_health_epochs_and_answers() {
    let mut bench = Bench::new();
    bench.verdict("weu", true).verdict("neu", true).verdict("weu", false);
    bench.reload(loaded(&["weu", "neu"]));
    assert_eq!(bench.active(), "neu 2, neu 2");
    assert_eq!(bench.status().hubs[0].endpoints[0].measured, Health::Down);
    assert_eq!(bench.answered(), [What::Endpoint(1); 2]);
    bench.reload(loaded(&["weu"]));
    assert_eq!(bench.active(), "weu 3, weu 3", "the active region left the policy");
    bench.reload(loaded(&["neu", "weu"]));
    assert_eq!(bench.active(), "weu 3, weu 3");
    assert_eq!(bench.answered(), [What::Endpoint(1); 2]);
    let refused = Event::Loaded {
        loaded: Err(LoadFailure { problems: vec!["a.toml:1:1: error: bad".into()] }),
        author: Author::daemon(),
        reply: Some(ReplyTo(1)),
    };
    let published = bench.published.len();
    assert!(matches!(bench.event(refused), Some(Err(CommandError::Rejected(_)))));
    assert_eq!(bench.published.len(), published);
    let status = bench.status();
    assert!(!status.reload.ok && status.reload.problems.len() == 1);
}

mod among;
mod composites;
mod drill;
mod engine;
mod explained;
mod faults;
mod gated;
mod lived;
mod many;
mod notices;
mod places;
mod plan;
mod planned;
mod random;
mod set_back;
mod unable;
mod words;
