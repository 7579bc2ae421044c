//! The policy by position: what a decision needs of it, with no name to look up and nothing to compare as text.
//!
//! Made anew by every load. A hub's position is its place in the policy's order, which is also that of the snapshot's
//! choices; endpoints, regions and probe targets have positions of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::composite::Composites;
use super::roster::{HubId, Roster};
use crate::answer::snapshot::Content;
use crate::dns::Name;
use crate::policy::{
    Answer, Demand, EndpointId, Gate, GateName, Hub, Policy, ProbeTarget, RegionName, RuleName, Rules,
};

/// The policy by position.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// In the policy's order.
    pub(super) hubs: Vec<HubAt>,
    /// Of all hubs, one hub after the other, in order of preference.
    pub(super) endpoints: Vec<EndpointAt>,
    /// In order.
    pub(super) regions: Vec<RegionName>,
    /// In order.
    pub(super) targets: Vec<ProbeTarget>,
    /// By region: the hubs that have an endpoint there.
    pub(super) by_region: Vec<Vec<u32>>,
    /// By the number of the hub: where it is in the policy.
    positions: Vec<Option<u32>>,
    /// By probe target: the hubs that have an endpoint watched by it.
    pub(super) by_target: Vec<Vec<u32>>,
    /// What follows from other probe targets.
    pub(super) composites: Composites,
    /// By probe target: whether it is one of the references.
    pub(super) is_reference: Vec<bool>,
    /// Positions of the references among the probe targets.
    pub(super) references: Vec<u32>,
    /// The probe targets that endpoints are chosen by.
    pub(super) watched: Vec<u32>,
    /// The same, each with a region that has an endpoint of it.
    pub(super) watched_in: Vec<(u32, u32)>,
    /// The longest time that any of them takes to be found down.
    pub(super) slowest: Duration,
    /// Whether any hub has a lower TTL for troubled times.
    pub(super) adaptive: bool,
    /// The gates, in order.
    pub(super) gates: Vec<Arc<Gate>>,
    /// By gate: the hubs that have to pass it, by themselves or because of a safety rule.
    pub(super) by_gate: Vec<Vec<u32>>,
    /// The safety rules, in order.
    pub(super) rules: Vec<RuleAt>,
    /// By hub: the safety rules that its moves are held against. Empty when there are no rules at all.
    pub(super) rules_of: Vec<Vec<u32>>,
    /// The hubs without an active region.
    pub(super) stateless: Vec<u32>,
    /// By hub: how many hubs are inside one another in it. Empty when none is inside another at all.
    pub(super) depths: Vec<u8>,
    /// By hub: the hubs that have it as an endpoint.
    pub(super) around: Vec<Vec<u32>>,
}

/// One safety rule.
#[derive(Debug)]
pub(super) struct RuleAt {
    pub(super) name: RuleName,
    pub(super) demand: DemandAt,
}

/// What it demands, by position.
#[derive(Debug)]
pub(super) enum DemandAt {
    /// So many of these endpoints are active: at least and at most.
    Count { least: u32, most: u32, members: BTreeSet<(u32, u16)> },
    /// This gate is open for every switch of these hubs, and for every switch from or to these regions.
    Gate { gate: u32, hubs: BTreeSet<u32>, regions: BTreeSet<u32> },
}

/// One hub.
#[derive(Debug)]
pub(super) struct HubAt {
    pub(super) hub: Arc<Hub>,
    pub(super) rules: Rules,
    pub(super) id: HubId,
    /// Where its choice stands among the snapshot's.
    pub(super) choice: Option<usize>,
    /// Positions of its gates, in its order.
    pub(super) gates: Vec<u32>,
    /// Whether it has no active region.
    pub(super) stateless: bool,
    /// Whether it is an endpoint of another hub.
    pub(super) is_inside: bool,
    first: u32,
    count: u32,
}

impl HubAt {
    /// Where its endpoints stand.
    pub(super) fn endpoints(&self) -> Range<usize> {
        self.first as usize..(self.first + self.count) as usize
    }
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointAt {
    pub(super) region: u32,
    /// What watches it; `None` when nothing is probed.
    pub(super) target: Option<u32>,
    /// What is shown beside, and decides nothing.
    pub(super) shadow: Option<u32>,
    /// The hub that it answers with; `None` of one with an answer of its own.
    pub(super) inner: Option<u32>,
    /// How many endpoints of that have to be good.
    pub(super) at_least: u8,
}

impl Layout {
    /// Of a policy whose hubs the roster knows.
    pub(super) fn of(policy: &Policy, content: &Content, roster: &Roster) -> Self {
        // A hub that names a region or a probe the policy has not is none that its reader lets through.
        let mut regions: Vec<RegionName> = policy.regions.keys().cloned().collect();
        regions.extend(policy.hubs.values().flat_map(|hub| hub.endpoints.iter().map(|e| e.region.clone())));
        regions.sort();
        regions.dedup();
        let targets: Vec<ProbeTarget> =
            policy.probe_targets().into_iter().filter(|target| policy.probes.contains_key(&target.probe)).collect();
        let by_name: BTreeMap<&RegionName, u32> = regions.iter().zip(0..).collect();
        let by_target: BTreeMap<&ProbeTarget, u32> = targets.iter().zip(0..).collect();
        let mut layout = Self {
            by_region: vec![Vec::new(); regions.len()],
            by_target: vec![Vec::new(); targets.len()],
            positions: vec![None; roster.len()],
            ..Self::default()
        };
        let mut choices = content.hubs().zip(0..).peekable();
        for (name, hub) in &policy.hubs {
            let Some(id) = roster.id(name) else { continue };
            let at = layout.hubs.len() as u32;
            while choices.next_if(|(other, _)| *other < name).is_some() {}
            let choice = choices.next_if(|(other, _)| *other == name).map(|(_, choice)| choice);
            let first = layout.endpoints.len() as u32;
            for endpoint in &hub.endpoints {
                let region = by_name[&endpoint.region];
                let target = endpoint.probe.as_ref().and_then(|target| by_target.get(target).copied());
                let shadow = endpoint.shadow.as_ref().and_then(|target| by_target.get(target).copied());
                layout.endpoints.push(EndpointAt { region, target, shadow, inner: None, at_least: endpoint.at_least });
                layout.by_region[region as usize].push(at);
                if let Some(target) = target
                    && layout.by_target[target as usize].last() != Some(&at)
                {
                    layout.by_target[target as usize].push(at);
                }
            }
            let count = layout.endpoints.len() as u32 - first;
            layout.positions[id.index()] = Some(at);
            let rules = Rules::of(hub);
            layout.adaptive |= rules.adaptive_ttl;
            // The policy's reader lets no gate through that is not defined.
            let gates = hub.gates.iter().filter_map(|used| position_of(&policy.gates, &used.gate)).collect();
            let stateless = hub.selection.is_stateless();
            layout.stateless.extend(stateless.then_some(at));
            let is_inside = false;
            layout.hubs.push(HubAt { hub: hub.clone(), rules, id, choice, gates, stateless, is_inside, first, count });
        }
        let references = policy.references.iter().filter_map(|target| by_target.get(target).copied());
        layout.references = references.collect();
        layout.is_reference = vec![false; targets.len()];
        layout.references.iter().for_each(|target| layout.is_reference[*target as usize] = true);
        drop((by_name, by_target));
        let mut layout = Self { regions, targets, ..layout };
        layout.find_composites(policy);
        layout.find_watched(policy);
        layout.gates = policy.gates.values().cloned().collect();
        layout.place_rules(policy);
        layout.find_gated();
        layout.find_inside();
        layout
    }

    fn find_watched(&mut self, policy: &Policy) {
        let placed = self.endpoints.iter().filter_map(|endpoint| Some((endpoint.target?, endpoint.region)));
        let watched_in: BTreeSet<(u32, u32)> = placed.collect();
        let watched: BTreeSet<u32> = watched_in.iter().map(|(target, _)| *target).collect();
        self.watched_in = watched_in.into_iter().collect();
        let probe = |target: &u32| policy.probes.get(&self.targets[*target as usize].probe);
        let slowest = watched.iter().filter_map(probe).map(|probe| probe.worst_detection()).max();
        self.slowest = slowest.unwrap_or_default();
        self.watched = watched.into_iter().collect();
    }

    fn place_rules(&mut self, policy: &Policy) {
        if policy.rules.is_empty() {
            return;
        }
        self.rules_of = vec![Vec::new(); self.hubs.len()];
        for (number, rule) in (0u32..).zip(policy.rules.values()) {
            let members = |endpoints: &BTreeSet<EndpointId>| {
                let place = |id: &EndpointId| {
                    let hub = self.position(&id.hub)?;
                    Some((hub as u32, self.hubs[hub].hub.position(&id.region)? as u16))
                };
                endpoints.iter().filter_map(place).collect::<BTreeSet<_>>()
            };
            let demand = match &rule.demand {
                Demand::AtLeast(least, of) => DemandAt::Count { least: *least, most: u32::MAX, members: members(of) },
                Demand::AtMost(most, of) => DemandAt::Count { least: 0, most: *most, members: members(of) },
                Demand::Gate { gate, hubs, regions } => DemandAt::Gate {
                    gate: position_of(&policy.gates, gate).unwrap_or(u32::MAX),
                    hubs: hubs.iter().filter_map(|hub| Some(self.position(hub)? as u32)).collect(),
                    regions: regions.iter().filter_map(|region| Some(self.region(region)? as u32)).collect(),
                },
            };
            let concerned: BTreeSet<u32> = match &demand {
                DemandAt::Count { members, .. } => members.iter().map(|(hub, _)| *hub).collect(),
                DemandAt::Gate { hubs, regions, .. } => {
                    let there = regions.iter().flat_map(|region| &self.by_region[*region as usize]);
                    hubs.iter().chain(there).copied().collect()
                }
            };
            concerned.iter().for_each(|hub| self.rules_of[*hub as usize].push(number));
            self.rules.push(RuleAt { name: rule.name.clone(), demand });
        }
    }

    /// Which hubs are inside others, and how deep.
    fn find_inside(&mut self) {
        let inner = |hub: &Hub, which: usize| match hub.endpoints.get(which).map(|endpoint| &endpoint.answer) {
            Some(Answer::Hub(inner)) => self.position(inner),
            _ => None,
        };
        let mut found = Vec::new();
        for (position, at) in self.hubs.iter().enumerate() {
            for (which, endpoint) in at.endpoints().enumerate() {
                found.extend(inner(&at.hub, which).map(|inner| (position, endpoint, inner)));
            }
        }
        self.around = vec![Vec::new(); self.hubs.len()];
        if found.is_empty() {
            return;
        }
        self.depths = vec![0; self.hubs.len()];
        for (position, endpoint, inner) in &found {
            self.endpoints[*endpoint].inner = Some(*inner as u32);
            self.hubs[*inner].is_inside = true;
            self.around[*inner].push(*position as u32);
        }
        // The reader lets no more than these be inside one another, and none in a circle.
        for _ in 0..Answer::DEEPEST {
            for (position, _, inner) in &found {
                self.depths[*position] = self.depths[*position].max(self.depths[*inner].saturating_add(1));
            }
        }
    }

    fn find_gated(&mut self) {
        let mut by_gate = vec![BTreeSet::new(); self.gates.len()];
        for (position, hub) in (0u32..).zip(&self.hubs) {
            for gate in &hub.gates {
                by_gate[*gate as usize].insert(position);
            }
        }
        for (position, rules) in (0u32..).zip(&self.rules_of) {
            for rule in rules {
                if let DemandAt::Gate { gate, .. } = self.rules[*rule as usize].demand
                    && let Some(gated) = by_gate.get_mut(gate as usize)
                {
                    gated.insert(position);
                }
            }
        }
        self.by_gate = by_gate.into_iter().map(|hubs| hubs.into_iter().collect()).collect();
    }

    /// The position of a gate.
    pub(super) fn gate(&self, name: &GateName) -> Option<usize> {
        self.gates.binary_search_by(|gate| gate.name.cmp(name)).ok()
    }

    /// The safety rules that the moves of a hub are held against.
    pub(super) fn rules_of(&self, hub: usize) -> &[u32] {
        self.rules_of.get(hub).map_or(&[], Vec::as_slice)
    }

    /// The position of a hub.
    pub(super) fn position(&self, name: &Name) -> Option<usize> {
        self.hubs.binary_search_by(|at| at.hub.name.cmp(name)).ok()
    }

    /// Where a hub is in the policy.
    pub(super) fn at(&self, hub: HubId) -> Option<(usize, &HubAt)> {
        let position = self.positions.get(hub.index()).copied().flatten()? as usize;
        Some((position, self.hubs.get(position)?))
    }

    /// The position of a region.
    pub(super) fn region(&self, name: &RegionName) -> Option<usize> {
        self.regions.binary_search(name).ok()
    }

    /// The position of a probe target.
    pub(super) fn target(&self, target: &ProbeTarget) -> Option<usize> {
        self.targets.binary_search(target).ok()
    }

    /// The region of one of a hub's endpoints.
    pub(super) fn region_of(&self, at: &HubAt, endpoint: usize) -> &RegionName {
        &self.regions[self.endpoints_of(at)[endpoint].region as usize]
    }

    /// The endpoints of one hub.
    pub(super) fn endpoints_of(&self, at: &HubAt) -> &[EndpointAt] {
        &self.endpoints[at.endpoints()]
    }
}

/// Where a name stands in an ordered map.
fn position_of<K: Ord, V>(map: &BTreeMap<K, V>, key: &K) -> Option<u32> {
    map.contains_key(key).then(|| map.range(..key).count() as u32)
}
