//! Verdicts that are told: probes of kind `push`.
//!
//! An agent in a region tells how its endpoints are, for as long as a lease. Each verdict is an observation like a
//! prober's. Silence is not health: when the lease ends without another verdict, that is a failed observation, and the end
//! of each further lease is one too. After a start, or a reload that adds it, a lease begins: health is what it was until
//! that ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::event::CommandError;
use super::mark::MarkTarget;
use super::reason;
use super::state::{State, Watch};
use super::turn::{Pending, Turn};
use crate::health::{Observation, Outcome, Remarks};
use crate::policy::{ProbeKind, ProbeName, ProbeTarget, RegionName};
use crate::time::{Timestamp, human};

/// The shortest lease of a verdict.
const SHORTEST: Duration = Duration::from_secs(1);

/// What somebody tells of endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `None` when they are good; else why not.
    pub failure: Option<String>,
    /// How long it counts; as long as the probe says, when `None`.
    pub lease: Option<Duration>,
}

impl State {
    /// Takes the verdict of an agent about the endpoints of a region, or about one endpoint.
    pub(super) fn report(
        &mut self,
        probe: &ProbeName,
        of: &MarkTarget,
        verdict: &Verdict,
        turn: &mut Turn,
    ) -> Result<Pending, CommandError> {
        let Some(definition) = self.policy.probes.get(probe) else {
            let pushes = self.policy.probes.values().filter(|probe| matches!(probe.kind, ProbeKind::Push(_)));
            let known: Vec<_> = pushes.map(|probe| probe.name.as_str()).collect();
            return Err(CommandError::NotFound(super::commands::unknown("probe", probe.as_str(), &known)));
        };
        let ProbeKind::Push(push) = &definition.kind else {
            let kind = definition.kind.word();
            let sentence = format!("probe {probe} is of kind {kind}: this daemon looks itself, and is not told");
            return Err(CommandError::Refused(sentence));
        };
        let lease = verdict.lease.unwrap_or(push.lease);
        if lease > push.lease || lease < SHORTEST {
            let (lease, most) = (human(lease), human(push.lease));
            let sentence = format!("a lease of {lease} is not within those of probe {probe}, 1 s to {most}");
            return Err(CommandError::Refused(sentence));
        }
        self.known_target(of)?;
        let targets = self.told_of(probe, of);
        if targets.is_empty() {
            return Err(CommandError::NotFound(format!("no endpoint of {of} is watched by probe {probe}")));
        }
        let until = turn.now.after(lease);
        for target in &targets {
            let outcome = match &verdict.failure {
                None => Outcome::Good,
                Some(why) => Outcome::Failed(format!("told down by {}: {why}", turn.author.name)),
            };
            self.tell_target(*target as usize, outcome, turn);
            let key = &self.layout.targets[*target as usize];
            Arc::make_mut(&mut self.leases).set(key, Lease { until, told: Some(turn.now) });
        }
        let word = if verdict.failure.is_none() { "up" } else { "down" };
        let count = reason::many(targets.len(), "target");
        let summary = format!("{probe} told {word} for {of}, until {until} ({count})");
        Ok(Pending::Moved { summary, changed: true })
    }

    /// Positions of the targets of this probe that endpoints of a region, or one endpoint, depend on.
    fn told_of(&self, probe: &ProbeName, of: &MarkTarget) -> BTreeSet<u32> {
        let layout = &self.layout;
        let region: &RegionName = match of {
            MarkTarget::Region(region) => region,
            MarkTarget::Endpoint(endpoint) => &endpoint.region,
        };
        let endpoints = self.hubs_of_mark(of).into_iter().flat_map(|position| {
            let at = &layout.hubs[position as usize];
            let here = layout.endpoints_of(at).iter().zip(&at.hub.endpoints);
            here.filter(|(_, endpoint)| endpoint.region == *region).map(|(at, _)| *at).collect::<Vec<_>>()
        });
        let watched = endpoints.flat_map(|endpoint| endpoint.target.into_iter().chain(endpoint.shadow));
        let observed = watched.flat_map(|target| layout.observed_for(target as usize));
        observed.filter(|target| layout.targets[*target as usize].probe == *probe).collect()
    }

    /// Observes a target that is told.
    fn tell_target(&mut self, target: usize, outcome: Outcome, turn: &mut Turn) {
        let told = self.layout.targets[target].clone();
        let observation =
            Observation { target: told, at: turn.now, latency: Duration::ZERO, outcome, remarks: Remarks::default() };
        self.observe_at(target, observation, turn);
    }

    /// A verdict that came by the way of observations counts for as long as the probe says.
    pub(super) fn renew_lease(&mut self, target: usize, at: Timestamp) {
        if let ProbeKind::Push(push) = &self.watches[target].probe.kind {
            let lease = Lease { until: at.after(push.lease), told: Some(at) };
            Arc::make_mut(&mut self.leases).set(&self.layout.targets[target], lease);
        }
    }

    /// When a target was last seen to be good. What is told counts as seen at every moment of its lease: there is nothing to
    /// look at sooner.
    pub(super) fn seen_good(&self, target: u32, watch: &Watch, now: Timestamp) -> Option<Timestamp> {
        let told = |target: &u32| matches!(self.watches[*target as usize].probe.kind, ProbeKind::Push(_));
        let told = match &watch.probe.kind {
            ProbeKind::Push(_) => true,
            ProbeKind::Composite(_) => self.layout.observed_for(target as usize).iter().all(told),
            _ => false,
        };
        watch.last_good.map(|seen| if told && watch.failing_since().is_none() { now } else { seen })
    }

    /// What was not told again in time is a failed observation.
    pub(super) fn end_leases(&mut self, turn: &mut Turn) {
        for (key, Lease { told, .. }) in self.leases.ended(turn.now) {
            let Some(target) = self.layout.target(&key) else { continue };
            let watch = &self.watches[target];
            let ProbeKind::Push(push) = &watch.probe.kind else { continue };
            let until = turn.now.after(push.lease);
            let words = match told {
                Some(told) => {
                    format!("told nothing for {}: the lease of the last verdict has ended", human(turn.now.since(told)))
                }
                None => format!("told nothing for {} since it is probed", human(turn.now.since(watch.started))),
            };
            Arc::make_mut(&mut self.leases).set(&key, Lease { until, told });
            self.tell_target(target, Outcome::Failed(words), turn);
        }
    }

    /// After a load: a lease for everything that is told, no longer than it can be.
    pub(super) fn lease_anew(&mut self, now: Timestamp) {
        let before = std::mem::take(&mut self.leases);
        let leases = Arc::make_mut(&mut self.leases);
        for (target, watch) in self.layout.targets.iter().zip(self.watches.iter()) {
            if let ProbeKind::Push(push) = &watch.probe.kind {
                let longest = now.after(push.lease);
                let lease = before.of.get(target).map_or(Lease { until: longest, told: None }, |lease| *lease);
                leases.set(target, Lease { until: lease.until.min(longest), ..lease });
            }
        }
    }
}

/// Until when a verdict counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease {
    until: Timestamp,
    /// When the verdict came; `None`: there is none since the start.
    told: Option<Timestamp>,
}

/// The leases of all that is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    of: BTreeMap<ProbeTarget, Lease>,
    /// The same by their ends.
    ends: BTreeSet<(Timestamp, ProbeTarget)>,
}

impl Leases {
    fn set(&mut self, target: &ProbeTarget, lease: Lease) {
        if let Some(before) = self.of.insert(target.clone(), lease) {
            self.ends.remove(&(before.until, target.clone()));
        }
        self.ends.insert((lease.until, target.clone()));
    }

    fn ended(&self, now: Timestamp) -> Vec<(ProbeTarget, Lease)> {
        let ended = self.ends.iter().take_while(|(until, _)| *until <= now);
        ended.filter_map(|(_, target)| Some((target.clone(), *self.of.get(target)?))).collect()
    }

    /// They last as much longer as the clock has passed over: nobody could tell anything meanwhile.
    pub(super) fn prolong(&mut self, length: Duration) {
        self.of.values_mut().for_each(|lease| lease.until = lease.until.after(length));
        self.ends = self.of.iter().map(|(target, lease)| (lease.until, target.clone())).collect();
    }

    /// When the first of them ends.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        self.ends.first().map(|(until, _)| *until)
    }
}
