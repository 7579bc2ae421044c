//! Simulated probers: what they would observe, and when, as the real ones do it.
//!
//! They follow [`schedule`] with a [`Machine`] of their own, as the tasks of [`health::run`](crate::health::run) do, and
//! meet the true state of their hosts in the place of sockets. What the n-th observation of a target meets (jitter,
//! slowness, the luck of a flapping host) depends on the seed, the target and n alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dice::{fraction, hash, hash_text};
use super::history::Condition;
use crate::health::machine::Machine;
use crate::health::schedule::{self, Position};
use crate::health::{Health, Outcome};
use crate::policy::{Probe, ProbeTarget};
use crate::time::Timestamp;

/// One prober.
#[derive(Debug)]
pub(super) struct Prober {
    pub(super) target: ProbeTarget,
    pub(super) probe: Arc<Probe>,
    machine: Machine,
    /// Raised when what was planned does not count any more.
    pub(super) plan: u64,
    begun: Option<u64>,
    observations: u64,
    luck: u64,
    /// Whether an observation is under way.
    under_way: bool,
    /// Whether it hangs in an observation that never ends.
    pub(super) hangs: bool,
    /// When the last observation reached the loop: one does not overtake another.
    pub(super) arrived: u64,
}

/// What one observation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) good: bool,
    /// Milliseconds.
    pub(super) takes: u64,
}

impl Prober {
    fn new(seed: u64, target: ProbeTarget, probe: Arc<Probe>, before: Option<Health>, arrived: u64) -> Self {
        let machine = before.map_or_else(Machine::new, Machine::restored);
        let luck = hash(&[seed, hash_text(&target.to_string())]);
        Self {
            target,
            probe,
            machine,
            plan: 0,
            begun: None,
            observations: 0,
            luck,
            under_way: false,
            hangs: false,
            arrived,
        }
    }

    fn roll(&self, what: u64) -> u64 {
        hash(&[self.luck, self.observations, what])
    }

    /// Begins an observation of a host that is so. `None` when it never ends.
    pub(super) fn begin(&mut self, condition: Condition, now: u64) -> Option<Seen> {
        (self.begun, self.under_way) = (Some(now), true);
        self.observations += 1;
        let timeout = millis(self.probe.timeout);
        let quick = 1 + self.roll(1) % 20.min(timeout);
        let good = |takes| Some(Seen { good: true, takes });
        match condition {
            Condition::Up => good(quick),
            Condition::Slow => good(timeout - timeout / 10),
            Condition::Refusing => Some(Seen { good: false, takes: quick }),
            Condition::Dark => Some(Seen { good: false, takes: timeout }),
            Condition::Flapping(percent) => Some(Seen { good: self.roll(2) % 100 < u64::from(percent), takes: quick }),
            Condition::Silent => {
                self.hangs = true;
                None
            }
        }
    }

    /// Ends it, and says when the next one begins.
    pub(super) fn end(&mut self, good: bool, at: Timestamp, now: u64) -> u64 {
        self.under_way = false;
        self.machine.observe(&self.probe, &outcome(good), at);
        let begun = self.begun.unwrap_or(now);
        let period = schedule::period(&self.probe, &self.machine, fraction(self.roll(3)));
        (begun + millis(period)).max(now)
    }

    /// Does not wait any longer for its next observation; says whether there is one to begin.
    pub(super) fn hurry(&mut self) -> bool {
        if !self.under_way {
            self.plan += 1;
        }
        !self.under_way
    }

    /// Goes on with another definition; says when the next observation begins.
    fn redefine(&mut self, probe: Arc<Probe>, position: Position, now: u64) -> u64 {
        self.probe = probe;
        self.plan += 1;
        let period = schedule::period(&self.probe, &self.machine, fraction(self.roll(3)));
        let due = self.begun.map(|begun| begun + millis(period));
        due.filter(|due| *due > now).unwrap_or_else(|| now + self.first(position))
    }

    fn first(&self, position: Position) -> u64 {
        millis(schedule::first(&self.probe, position, fraction(self.roll(4))))
    }
}

/// The probers that run, by what whoever runs them calls their targets.
#[derive(Debug)]
pub(super) struct Probers<K> {
    pub(super) by_aim: BTreeMap<K, Prober>,
}

impl<K> Default for Probers<K> {
    fn default() -> Self {
        Self { by_aim: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Probers<K> {
    /// Probes exactly these from now on. Returns when their first observations begin.
    pub(super) fn update(
        &mut self,
        seed: u64,
        wanted: Vec<(K, ProbeTarget, Arc<Probe>)>,
        remembered: &BTreeMap<ProbeTarget, Health>,
        now: u64,
    ) -> Vec<(K, u64)> {
        self.by_aim.retain(|aim, _| wanted.iter().any(|(other, ..)| other == aim));
        let changed: Vec<_> = wanted
            .into_iter()
            .filter(|(aim, _, probe)| self.by_aim.get(aim).is_none_or(|prober| prober.probe != *probe))
            .collect();
        let of = changed.len();
        let mut begins = Vec::new();
        for (index, (aim, target, probe)) in changed.into_iter().enumerate() {
            let position = Position { index, of };
            let begin = match self.by_aim.get_mut(&aim) {
                Some(prober) => prober.redefine(probe, position, now),
                None => {
                    let before = remembered.get(&target).copied();
                    let prober = Prober::new(seed, target, probe, before, now);
                    let begin = now + prober.first(position);
                    self.by_aim.insert(aim, prober);
                    begin
                }
            };
            begins.push((aim, begin));
        }
        begins
    }
}

/// An outcome as a prober tells it.
pub(super) fn outcome(good: bool) -> Outcome {
    if good { Outcome::Good } else { Outcome::Failed("no answer".into()) }
}

pub(super) fn millis(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
