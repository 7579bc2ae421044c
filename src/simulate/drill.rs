//! What if a region goes dark: the real core with today's policy on a simulated clock, many times.
//!
//! In every round all probers start at phases of their own, everything is well, and every hub that has an endpoint in the
//! region answers it. Then nothing in that region answers any more. What counts is when the hub's answer changes, and when
//! the last resolver that keeps to the TTL has let the old answer go. Beside what was seen stands what the policy allows at
//! worst.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::dice::{Dice, hash};
use super::history::Condition;
use super::probers::{Probers, Seen, millis, outcome};
use crate::answer::snapshot::{Choice, What};
use crate::control::State;
use crate::control::event::{Effect, Event, Loaded};
use crate::control::state::Persisted;
use crate::dns::Name;
use crate::gate::{Evidence, Fenced};
use crate::health::{Health, Observation, Remarks};
use crate::policy::decide::FENCE_GRACE;
use crate::policy::{
    Cause, GateKind, GateName, Hub, OnFenceFailure, OnShut, Policy, Probe, ProbeTarget, RegionName, Standing,
};
use crate::time::Timestamp;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The hub.
    pub hub: Name,
    /// The region that goes dark.
    pub dark: RegionName,
    /// When, as the daemon's clock says.
    pub at: Timestamp,
    /// How often it is tried; at least 1.
    pub rounds: u32,
    /// Whether every gate is shut, instead of open.
    pub gates_shut: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// The policy has no such hub.
    #[error("no hub `{0}`")]
    NoHub(Name),
    /// The hub has no endpoint there.
    #[error("{0} has no endpoint in `{1}`")]
    NoEndpoint(Name, RegionName),
    /// Nothing would be noticed.
    #[error("{0} is not probed in {1}: that it goes dark is never noticed")]
    NotProbed(Name, RegionName),
}

/// A length of time over all rounds, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half of the rounds took no longer.
    pub median: u64,
    /// The longest of the rounds.
    pub worst_seen: u64,
    /// The longest that the policy allows.
    pub worst_computed: u64,
}

/// A gate that a move away from the region has to pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateLine {
    /// Its name.
    pub gate: GateName,
    /// Milliseconds until a move passes all the same; `None`: never.
    pub proceed_after: Option<u64>,
}

/// What was found. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The hub.
    pub hub: Name,
    /// The region that goes dark.
    pub dark: RegionName,
    /// When.
    pub at: Timestamp,
    /// How often it was tried.
    pub rounds: u32,
    /// The region that takes over; `None` when none does.
    pub to: Option<RegionName>,
    /// From the failure to the verdict of the probes.
    pub detection: Spread,
    /// From the failure to the new answer; `None` when there is none.
    pub switch: Option<Spread>,
    /// From the new answer until the old one is out of the resolvers that keep to its TTL.
    pub drain: Option<Spread>,
    /// From the failure until then.
    pub total: Option<Spread>,
    /// The gates that the move has to pass.
    pub gates: Vec<GateLine>,
    /// Whether they were shut.
    pub gates_shut: bool,
    /// Milliseconds that the region which is left may take to acknowledge it.
    pub fence: Option<u64>,
    /// What held the move in any round, in the daemon's words of the first one.
    pub held: Vec<String>,
    /// The hub's recovery time objective.
    pub rto: Option<u64>,
    /// Whether it is met by the worst that the policy allows; `None` when the hub has none.
    pub met: Option<bool>,
}

impl Report {
    /// By how much the recovery time objective is missed at worst; `None` when it is met, or there is none, or the hub
    /// never recovers.
    pub fn missed_by(&self) -> Option<Duration> {
        let (total, rto) = (self.total?.worst_computed, self.rto?);
        total.checked_sub(rto).filter(|missed| *missed > 0).map(Duration::from_millis)
    }
}

/// Tries it.
///
/// # Errors
/// When there is nothing to try.
pub fn drill(loaded: &Loaded, question: &Question) -> Result<Report, Impossible> {
    let policy = &loaded.policy;
    let hub = policy.hubs.get(&question.hub).ok_or_else(|| Impossible::NoHub(question.hub.clone()))?.clone();
    let dark = hub.position(&question.dark);
    let dark = dark.ok_or_else(|| Impossible::NoEndpoint(hub.name.clone(), question.dark.clone()))?;
    let target = hub.endpoints[dark].probe.clone();
    let target = target.ok_or_else(|| Impossible::NotProbed(hub.name.clone(), question.dark.clone()))?;
    let bounds = Bounds::of(policy, &hub, dark, &target, question.gates_shut);
    let standings = standings(policy, question);
    let rounds: Vec<Round> = (0..u64::from(question.rounds.max(1)))
        .map(|round| Bench::new(loaded, question, &hub, &target, standings.clone(), round).run(&bounds))
        .collect();
    let spread = |worst_computed: u64, of: &dyn Fn(&Round) -> Option<u64>| {
        let mut seen: Vec<u64> = rounds.iter().filter_map(of).collect();
        seen.sort_unstable();
        let (median, worst_seen) = (*seen.get(seen.len() / 2)?, *seen.last()?);
        (seen.len() == rounds.len()).then_some(Spread { median, worst_seen, worst_computed })
    };
    let none = Spread { median: 0, worst_seen: 0, worst_computed: bounds.detection };
    let detection = spread(bounds.detection, &|round| round.detected).unwrap_or(none);
    let switch = bounds.switch.and_then(|bound| spread(bound, &|round| round.switched));
    let drain = spread(bounds.drain, &|round| Some(round.drained? - round.switched?)).filter(|_| switch.is_some());
    let total = bounds.total.and_then(|worst| spread(worst, &|round| round.drained)).filter(|_| switch.is_some());
    let mut held: Vec<String> = Vec::new();
    for (word, sentence) in rounds.iter().flat_map(|round| &round.held) {
        if !held.iter().any(|known| known.starts_with(word.as_str())) {
            held.push(format!("{word}: {sentence}"));
        }
    }
    let rto = hub.rto.map(millis);
    Ok(Report {
        hub: hub.name.clone(),
        dark: question.dark.clone(),
        at: question.at,
        rounds: question.rounds.max(1),
        to: rounds.iter().find_map(|round| round.to).map(|to| hub.endpoints[to].region.clone()),
        detection,
        switch,
        drain,
        total,
        gates: bounds.gates,
        gates_shut: question.gates_shut,
        fence: hub.fence.as_ref().map(|fence| millis(fence.timeout)),
        held,
        met: rto.map(|rto| total.is_some_and(|total| total.worst_computed <= rto)),
        rto,
    })
}

/// Every hub that has an endpoint in the region answers it.
fn standings(policy: &Policy, question: &Question) -> Persisted {
    let mut persisted = Persisted::default();
    for (name, hub) in &policy.hubs {
        persisted.roster.admit(name);
        let active = hub.position(&question.dark).map(|_| Standing {
            active: question.dark.clone(),
            epoch: 1,
            since: Timestamp(0),
            cause: Cause::Start,
            reason: "so that it can be left".into(),
            last_automatic: None,
            all: false,
            recent: [].into(),
        });
        persisted.standings.push(active.map(Into::into));
    }
    persisted
}

/// What the policy allows at worst, in milliseconds.
struct Bounds {
    detection: u64,
    /// `None` when a gate that is shut holds the move for ever.
    switch: Option<u64>,
    drain: u64,
    total: Option<u64>,
    gates: Vec<GateLine>,
}

impl Bounds {
    fn of(policy: &Policy, hub: &Hub, dark: usize, target: &ProbeTarget, gates_shut: bool) -> Self {
        let probe = &policy.probes[&target.probe];
        let detection = millis(probe.worst_detection());
        // A move by health waits for a reference that is reached after the failure was first seen, and for one more failure,
        // which a prober that is sure looks for at its usual pace.
        let look = |probe: &Arc<Probe>| millis(probe.interval.mul_f64(1.1) + probe.timeout);
        let references = policy.references.iter().filter_map(|reference| policy.probes.get(&reference.probe));
        let seen = references.map(look).max().map_or(0, |reference| 2 * look(probe) + reference);
        let to = (0..hub.endpoints.len()).find(|to| *to != dark);
        let concerns = |used: &&crate::policy::GateUse| {
            let to = to.unwrap_or(dark);
            let direction = if to < dark { used.on_failback } else { used.on_failover };
            direction && used.to.as_ref().is_none_or(|only| *only == hub.endpoints[to].region)
        };
        let line = |used: &crate::policy::GateUse| GateLine {
            gate: used.gate.clone(),
            proceed_after: match used.on_shut {
                OnShut::Hold => None,
                OnShut::ProceedAfter(length) => Some(millis(length)),
            },
        };
        let gates: Vec<GateLine> = hub.gates.iter().filter(concerns).map(line).collect();
        // Nobody acknowledges anything in a drill: such a gate is shut whatever the others are.
        let shut = |gate: &&GateLine| gates_shut || policy.gates[&gate.gate].kind == GateKind::Ack;
        let waits = gates.iter().filter(shut).map(|gate| gate.proceed_after);
        let waited = waits.into_iter().try_fold(0, |worst: u64, after| Some(worst.max(after?)));
        let fence = hub.fence.as_ref().map_or(0, |fence| millis(fence.timeout + FENCE_GRACE));
        let switch = waited.map(|waited| detection.max(seen) + waited + fence);
        let (drain, low) = (millis(hub.ttl), millis(hub.ttl_min));
        // Where the TTL is lowered by the first failure, what was answered before that is over that much earlier.
        let total = switch.map(|switch| match low < drain {
            true => (look(probe) + drain).max(switch + low),
            false => switch + drain,
        });
        Self { detection, switch, drain, total, gates }
    }

    /// When nobody waits any longer for a switch.
    fn patience(&self) -> u64 {
        self.switch.unwrap_or(self.detection + 60_000) + 1_000
    }
}

/// What one round came to: milliseconds since the failure.
#[derive(Debug, Default)]
struct Round {
    detected: Option<u64>,
    lowered: Option<u64>,
    switched: Option<u64>,
    drained: Option<u64>,
    to: Option<usize>,
    held: Vec<(String, String)>,
}

/// One round.
struct Bench<'a> {
    question: &'a Question,
    hub: &'a Hub,
    target: &'a ProbeTarget,
    state: State,
    /// By position among the targets.
    probers: Probers<usize>,
    targets: Vec<ProbeTarget>,
    queue: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    sequence: u64,
    now: u64,
    /// When the region goes dark.
    fails: u64,
    seed: u64,
    position: usize,
    dark_targets: Vec<bool>,
    gates: BTreeMap<GateName, u64>,
    round: Round,
    failed: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Begin(usize, u64),
    End(usize, bool, u64),
    Look(GateName),
    Fenced(Name, RegionName, u64, Timestamp, bool),
}

impl<'a> Bench<'a> {
    fn new(
        loaded: &Loaded,
        question: &'a Question,
        hub: &'a Hub,
        target: &'a ProbeTarget,
        persisted: Persisted,
        round: u64,
    ) -> Self {
        let policy = &loaded.policy;
        let slowest = policy.probes.values().map(|probe| millis(probe.interval + probe.timeout)).max().unwrap_or(0);
        let gate = policy.gates.values().map(|gate| millis(gate.interval)).max().unwrap_or(0);
        // Everything has been seen twice, and then the moment is any.
        let settled = 3 * slowest.max(gate) + 1_000;
        let seed = hash(&[round, 0x6472_696c]);
        let fails = settled + Dice::new(seed).below(slowest.max(1));
        let begin = Timestamp(question.at.0.saturating_sub(fails));
        let (state, effects) = State::new(loaded.clone(), persisted, begin);
        let position = policy.hubs.keys().position(|name| *name == hub.name).unwrap_or(0);
        let mut bench = Self {
            question,
            hub,
            target,
            state,
            probers: Probers::default(),
            targets: Vec::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            now: 0,
            fails,
            seed,
            position,
            dark_targets: Vec::new(),
            gates: BTreeMap::new(),
            round: Round::default(),
            failed: None,
        };
        let dark = policy.hubs.values().flat_map(|hub| &hub.endpoints);
        let dark = dark.filter(|endpoint| endpoint.region == question.dark);
        let dark: Vec<_> = dark.flat_map(|endpoint| endpoint.probe.iter().chain(&endpoint.shadow)).collect();
        bench.take(effects);
        bench.dark_targets = bench.targets.iter().map(|target| dark.contains(&target)).collect();
        bench
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.question.at.0.saturating_sub(self.fails) + self.now)
    }

    fn plan(&mut self, at: u64, what: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, what)));
    }

    fn run(mut self, bounds: &Bounds) -> Round {
        let end = self.fails + bounds.patience();
        while self.round.switched.is_none() {
            let planned = self.queue.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let begin = self.question.at.0.saturating_sub(self.fails);
            let wake = self.state.wake().map_or(u64::MAX, |wake| wake.0.saturating_sub(begin).max(self.now));
            let next = planned.min(wake);
            if next > end {
                break;
            }
            self.now = next;
            if wake < planned {
                self.apply(Event::Tick);
            } else if let Some(Reverse((_, _, what))) = self.queue.pop() {
                self.happen(what);
            }
        }
        let round = &mut self.round;
        if let Some(switched) = round.switched {
            let (ttl, low) = (millis(self.hub.ttl), millis(self.hub.ttl_min));
            // The last answer with the whole TTL was given before it was lowered, the last with the lower one before the
            // switch.
            round.drained = Some(match round.lowered.filter(|lowered| *lowered < switched) {
                Some(lowered) => (lowered + ttl).max(switched + low),
                None => switched + ttl,
            });
        }
        self.round
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Begin(at, plan) => {
                let dark = self.now >= self.fails && self.dark_targets.get(at).copied().unwrap_or(false);
                let condition = if dark { Condition::Dark } else { Condition::Up };
                let now = self.now;
                let prober = self.probers.by_aim.get_mut(&at).filter(|prober| prober.plan == plan);
                let seen = prober.and_then(|prober| prober.begin(condition, now));
                if let Some(Seen { good, takes }) = seen {
                    self.plan(now + takes, Happening::End(at, good, takes));
                }
            }
            Happening::End(at, good, takes) => {
                let (now, wall) = (self.now, self.wall());
                let Some(prober) = self.probers.by_aim.get_mut(&at) else { return };
                let (next, plan) = (prober.end(good, wall, now), prober.plan);
                let (target, latency) = (prober.target.clone(), Duration::from_millis(takes));
                self.plan(next, Happening::Begin(at, plan));
                self.apply(Event::Observations(vec![Observation {
                    target,
                    at: wall,
                    latency,
                    outcome: outcome(good),
                    remarks: Remarks::default(),
                }]));
            }
            Happening::Look(gate) => {
                let Some(interval) = self.gates.get(&gate).copied() else { return };
                self.plan(self.now + interval, Happening::Look(gate.clone()));
                let open = !self.question.gates_shut;
                let sentence = if open { "open for the drill" } else { "shut for the drill" };
                self.apply(Event::Gate(Evidence { gate, at: self.wall(), open, sentence: sentence.into() }));
            }
            Happening::Fenced(hub, to, epoch, planned, acknowledged) => {
                let sentence = "in a drill".into();
                self.apply(Event::Fenced(Fenced { hub, to, epoch, planned, acknowledged, sentence }));
            }
        }
    }

    fn apply(&mut self, event: Event) {
        let effects = self.state.apply(event, self.wall());
        self.take(effects);
        if self.now < self.fails {
            return;
        }
        let since = self.now - self.fails;
        if self.round.lowered.is_none() && self.choice().is_some_and(|choice| choice.low_ttl) {
            self.round.lowered = Some(since);
        }
        if self.failed.is_some() && self.round.switched.is_none() {
            self.note_hold();
        }
    }

    fn choice(&self) -> Option<Choice> {
        self.state.choices().get(self.position).copied()
    }

    fn note_hold(&mut self) {
        let Some((word, sentence)) = self.state.held(&self.hub.name, self.wall()) else { return };
        if self.round.held.iter().all(|(known, _)| known != word) {
            self.round.held.push((word.to_owned(), sentence));
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        let since = self.now.checked_sub(self.fails);
        for effect in effects {
            match effect {
                Effect::Commit(commit) => {
                    let fell =
                        commit.health.iter().any(|(target, health)| target == self.target && *health == Health::Down);
                    if fell && self.round.detected.is_none() {
                        self.round.detected = since;
                        self.failed = since;
                    }
                }
                Effect::Publish(_, choices) => {
                    let what = choices.get(self.position).map(|choice| choice.what);
                    let Some(What::Endpoint(active)) = what.filter(|_| since.is_some()) else { continue };
                    let region = self.hub.endpoints.get(usize::from(active)).map(|endpoint| &endpoint.region);
                    if self.round.switched.is_none() && region.is_some_and(|region| *region != self.question.dark) {
                        (self.round.switched, self.round.to) = (since, Some(usize::from(active)));
                    }
                }
                Effect::Probe { wanted, remembered } => {
                    self.targets = wanted.keys().cloned().collect();
                    let wanted = wanted.into_iter().enumerate().map(|(at, (target, probe))| (at, target, probe));
                    let begins = self.probers.update(self.seed, wanted.collect(), &remembered, self.now);
                    for (at, begin) in begins {
                        // Daemons that have run for long have probers at any phase.
                        let interval = self.probers.by_aim.get(&at).map_or(0, |prober| millis(prober.probe.interval));
                        let phase = hash(&[self.seed, at as u64]) % interval.max(1);
                        self.plan(begin + phase, Happening::Begin(at, 0));
                    }
                }
                Effect::Look(targets) => {
                    for at in 0..self.targets.len() {
                        let wanted = targets.contains(&self.targets[at]);
                        let prober = self.probers.by_aim.get_mut(&at).filter(|_| wanted);
                        if let Some(plan) = prober.and_then(|prober| prober.hurry().then_some(prober.plan)) {
                            self.plan(self.now, Happening::Begin(at, plan));
                        }
                    }
                }
                Effect::Gates(wanted) => {
                    let looked_at = wanted.iter().filter(|(_, gate)| gate.kind != GateKind::Ack);
                    self.gates = looked_at.map(|(name, gate)| (name.clone(), millis(gate.interval))).collect();
                    for gate in self.gates.keys().cloned().collect::<Vec<_>>() {
                        self.plan(self.now, Happening::Look(gate));
                    }
                }
                Effect::Fence(call) => {
                    // It is dark: a fence that lives elsewhere acknowledges, at any time until the deadline.
                    let takes = hash(&[self.seed, self.now]) % millis(call.fence.timeout).max(1);
                    let acknowledged = call.fence.on_failure == OnFenceFailure::Stop || takes.is_multiple_of(2);
                    self.plan(
                        self.now + takes,
                        Happening::Fenced(call.hub, call.to, call.epoch, call.planned, acknowledged),
                    );
                }
                Effect::Reply(..) | Effect::Log(_) | Effect::Tell(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::dice::Dice;
    use crate::simulate::sketch::Sketch;

    fn question(hub: &Name, dark: &RegionName) -> Question {
        let (hub, dark) = (hub.clone(), dark.clone());
        Question { hub, dark, at: Timestamp(1_795_442_400_000), rounds: 25, gates_shut: false }
    }

    /// Whatever the policy is: what is seen stays within what is computed, a hub with another endpoint is moved unless a
    /// rule forbids it, and the same question has the same answer.
    #[test]
    fn what_is_seen_is_within_what_is_computed() {
        let mut dice = Dice::new(5);
        let mut drills = 0;
        for _ in 0..40 {
            let mut sketch = Sketch::random(&mut dice);
            sketch.rules.clear();
            let loaded = sketch.load().unwrap();
            for hub in loaded.policy.hubs.values() {
                let endpoint = &hub.endpoints[0];
                let question = question(&hub.name, &endpoint.region);
                let report = match drill(&loaded, &question) {
                    Err(Impossible::NotProbed(..)) => continue,
                    report => report.unwrap(),
                };
                for spread in [Some(report.detection), report.switch, report.drain, report.total].into_iter().flatten()
                {
                    assert!(spread.median <= spread.worst_seen, "{report:?}");
                    assert!(spread.worst_seen <= spread.worst_computed, "{report:?}\n{}", sketch.toml());
                }
                let acknowledged = report.gates.iter().any(|gate| gate.gate.as_str() == "merged-back");
                let others = hub.endpoints.len() > 1 && !acknowledged;
                assert!(report.to.is_some() || !others, "{report:?}\n{}", sketch.toml());
                assert_eq!(report, drill(&loaded, &question).unwrap());
                drills += 1;
            }
        }
        assert!(drills > 40, "{drills}");
    }

    #[test]
    fn what_cannot_be_tried_is_said() {
        let sketch = Sketch::random(&mut Dice::new(1));
        let loaded = sketch.load().unwrap();
        let hub = loaded.policy.hubs.values().next().unwrap();
        let nowhere = Name::parse("nowhere.example.net.", None).unwrap();
        let refused = |hub: &Name, region: &str| {
            drill(&loaded, &question(hub, &RegionName::new(region))).unwrap_err().to_string()
        };
        assert_eq!(refused(&nowhere, "westeurope"), "no hub `nowhere.example.net.`");
        assert_eq!(refused(&hub.name, "mars"), "a.example.net. has no endpoint in `mars`");
    }
}
