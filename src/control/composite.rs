//! Composites: what follows from observations of their members.
//!
//! A composite has no prober. Whenever one of its members is observed it is observed too, in the same event: its
//! observation is what its demand makes of the members' *last observations*, and its health is what the same demand makes
//! of their *healths*. So it goes down at the moment at which enough members are down, each by thresholds of its own, and
//! it is seen to fail (sight, a lower TTL) at the moment at which enough of them fail. What its demand leaves open, because
//! a member is not known yet, changes nothing.
//!
//! Members are watched once, however many composites and endpoints they serve.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::layout::Layout;
use super::state::{State, Watch};
use super::turn::Turn;
use crate::health::{Health, Observation, Outcome, Remarks};
use crate::policy::{CompositeProbe, Needs, Policy, ProbeKind, ProbeName, ProbeTarget};
use crate::time::Timestamp;

/// Members that a sentence names at most.
const MOST_NAMED: usize = 8;

/// The health of a composite, by those of its members.
#[derive(Debug)]
pub(super) struct Follows {
    /// What follows; `unknown` while that depends on a member whose health is not known.
    pub(super) health: Health,
    /// By which members.
    pub(super) detail: String,
}

impl State {
    /// What a composite comes to, after an observation of one of its members; `None` while that depends on members that
    /// were not observed yet.
    pub(super) fn combine(&self, position: usize, at: Timestamp) -> Option<(Observation, Follows)> {
        let watch = &self.watches[position];
        let (composite, members) = self.composite(position)?;
        let judge = |of: fn(&Watch) -> Option<bool>| {
            composite.judge(members.iter().map(|member| of(&self.watches[*member as usize])))
        };
        let seen = judge(|member| member.last.as_ref().map(|last| last.failure.is_none()))?;
        let health = judge(|member| match member.machine.health() {
            Health::Unknown => None,
            known => Some(known == Health::Up),
        });
        let health = match health {
            None => Health::Unknown,
            Some(true) => Health::Up,
            Some(false) => Health::Down,
        };
        let outcome = match seen {
            true => Outcome::Good,
            false => Outcome::Failed(self.who_fails(composite, members)),
        };
        let detail = match health != watch.machine.health() {
            true => self.who_is_down(composite, members),
            false => String::new(),
        };
        let latencies = members.iter().filter_map(|member| self.watches[*member as usize].last.as_ref());
        let latency = latencies.map(|last| last.latency).max().unwrap_or_default();
        let target = self.layout.targets[position].clone();
        let observation = Observation { target, at, latency, outcome, remarks: Remarks::default() };
        Some((observation, Follows { health, detail }))
    }

    /// Whether a composite fails while this node is known to see: its demand is not met without the members that do.
    pub(super) fn fails_confirmed(&self, position: usize) -> Option<bool> {
        let (composite, members) = self.composite(position)?;
        let met = composite.judge(members.iter().map(|member| Some(!self.watches[*member as usize].confirmed)));
        Some(met == Some(false))
    }

    /// Whether an observation of this target sets the pace of a composite above it: that of its slowest member does.
    pub(super) fn sets_pace(&self, member: usize, composite: usize) -> bool {
        let pace = |target: &u32| (self.watches[*target as usize].probe.worst_detection(), *target);
        self.layout.observed_for(composite).iter().max_by_key(|target| pace(target)).map(|target| *target as usize)
            == Some(member)
    }

    /// Whether the health of a target is frozen because no observations come: its prober is silent, or it is a composite that
    /// depends on a member whose is.
    pub(super) fn is_silent(&self, target: u32) -> bool {
        let stalled = |target: u32| self.watches[target as usize].stalled;
        stalled(target) || (self.composite(target as usize).is_some() && self.depends_on(target, &stalled))
    }

    /// What this machine lacks to observe a target; of a composite, what it lacks for a member that it depends on.
    pub(super) fn lacks(&self, target: u32) -> Option<Arc<str>> {
        if self.composite(target as usize).is_none() {
            return self.watches[target as usize].unable.clone();
        }
        let observed = self.layout.observed_for(target as usize);
        let unable = |target: u32| self.watches[target as usize].unable.is_some();
        let member =
            observed.into_iter().find(|member| unable(*member)).filter(|_| self.depends_on(target, &unable))?;
        let lack = self.watches[member as usize].unable.as_ref()?;
        Some(format!("{}: {lack}", self.name_of(member)).into())
    }

    /// Whether the health of a target may be another one than it is, as nothing is known of those that are `out`.
    fn depends_on(&self, target: u32, out: &impl Fn(u32) -> bool) -> bool {
        let Some((composite, members)) = self.composite(target as usize) else { return out(target) };
        let known = |member: &u32| {
            let up = self.watches[*member as usize].machine.health() == Health::Up;
            (!self.depends_on(*member, out)).then_some(up)
        };
        composite.judge(members.iter().map(known)).is_none()
    }

    fn composite(&self, position: usize) -> Option<(&CompositeProbe, &[u32])> {
        let ProbeKind::Composite(composite) = &self.watches[position].probe.kind else { return None };
        Some((composite, self.layout.members_of(position)))
    }

    /// `needs 2 of 3, and 2 failed: api (connect 192.0.2.1:443: connection refused), broker (timed out …)`.
    fn who_fails(&self, composite: &CompositeProbe, members: &[u32]) -> String {
        let failed = members.iter().filter_map(|member| {
            let failure = self.watches[*member as usize].last.as_ref()?.failure.as_ref()?;
            Some(format!("{} ({failure})", self.name_of(*member)))
        });
        named(composite, "failed", failed.collect())
    }

    /// `needs one of 2, and 2 are down: api, broker`, or what is up.
    fn who_is_down(&self, composite: &CompositeProbe, members: &[u32]) -> String {
        let health = |health: Health| {
            let so = members.iter().filter(move |member| self.watches[**member as usize].machine.health() == health);
            so.map(|member| self.name_of(*member)).collect::<Vec<_>>()
        };
        let (up, down) = (health(Health::Up), health(Health::Down));
        match composite.of.len() - down.len() < composite.least() {
            true => named(composite, if down.len() == 1 { "is down" } else { "are down" }, down),
            false => named(composite, if up.len() == 1 { "is up" } else { "are up" }, up),
        }
    }

    fn name_of(&self, target: u32) -> String {
        self.layout.targets[target as usize].probe.to_string()
    }

    /// The targets that probers look at in the place of this one.
    pub(super) fn looked_at(&self, target: u32) -> BTreeSet<ProbeTarget> {
        let targets = self.layout.observed_for(target as usize);
        targets.into_iter().map(|target| self.layout.targets[target as usize].clone()).collect()
    }

    /// After an observation of a target: the composites that follow from it, those below others first.
    pub(super) fn follow(&mut self, member: usize, at: Timestamp, turn: &mut Turn) {
        let layout = self.layout.clone();
        for above in layout.above(member) {
            if let Some((observation, follows)) = self.combine(*above as usize, at) {
                self.take(*above as usize, member, observation, Some(follows), turn);
            }
        }
    }
}

fn named(composite: &CompositeProbe, what: &str, mut names: Vec<String>) -> String {
    let needs = match (composite.needs, composite.of.len()) {
        (_, 1) => "it".to_owned(),
        (Needs::All, all) => format!("all of {all}"),
        (Needs::Any, all) => format!("one of {all}"),
        (Needs::AtLeast(least), all) => format!("{least} of {all}"),
    };
    let count = names.len();
    let more = count.saturating_sub(MOST_NAMED);
    names.truncate(MOST_NAMED);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    format!("needs {needs}, and {count} {what}: {}", names.join(", "))
}

/// Composites by position.
#[derive(Debug, Default)]
pub(super) struct Composites {
    /// By composite: its members, in its order.
    members: BTreeMap<u32, Vec<u32>>,
    /// By what is observed: the composites that follow from it, those below others first.
    above: BTreeMap<u32, Vec<u32>>,
}

impl Layout {
    /// Finds the composites among the targets, which are in place.
    pub(super) fn find_composites(&mut self, policy: &Policy) {
        let mut found = Composites::default();
        for (position, target) in (0u32..).zip(&self.targets) {
            let members = policy.probes.get(&target.probe).map_or(&[][..], |probe| probe.kind.members());
            if !members.is_empty() {
                let at = |member: &ProbeName| {
                    let member = ProbeTarget { probe: member.clone(), target: target.target.clone() };
                    u32::try_from(self.target(&member)?).ok()
                };
                found.members.insert(position, members.iter().filter_map(at).collect());
            }
        }
        self.composites = found;
        // One that is above another has more levels below it.
        let mut ordered: Vec<(usize, u32)> =
            self.composites.members.keys().map(|composite| (self.levels(*composite), *composite)).collect();
        ordered.sort_unstable();
        for (_, composite) in ordered {
            for target in self.observed_for(composite as usize) {
                self.composites.above.entry(target).or_default().push(composite);
            }
        }
    }

    fn levels(&self, target: u32) -> usize {
        // The policy's reader lets no loop through.
        self.members_of(target as usize).iter().map(|member| 1 + self.levels(*member)).max().unwrap_or(0)
    }

    /// The members of a composite, in its order; of anything else, none.
    pub(super) fn members_of(&self, target: usize) -> &[u32] {
        u32::try_from(target).ok().and_then(|target| self.composites.members.get(&target)).map_or(&[], Vec::as_slice)
    }

    /// The composites that follow from a target, those below others first.
    pub(super) fn above(&self, target: usize) -> &[u32] {
        u32::try_from(target).ok().and_then(|target| self.composites.above.get(&target)).map_or(&[], Vec::as_slice)
    }

    /// The hubs that are decided by composites above a target.
    pub(super) fn hubs_above(&self, target: usize) -> impl Iterator<Item = &u32> {
        self.above(target).iter().flat_map(|composite| &self.by_target[*composite as usize])
    }

    /// What is observed for a target: itself, or what a composite follows from in the end.
    pub(super) fn observed_for(&self, target: usize) -> BTreeSet<u32> {
        let (mut observed, mut open) = (BTreeSet::new(), vec![target as u32]);
        while let Some(target) = open.pop() {
            match self.members_of(target as usize) {
                [] => drop(observed.insert(target)),
                members => open.extend(members),
            }
        }
        observed
    }
}
