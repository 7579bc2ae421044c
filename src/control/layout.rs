//! The policy by position: what a decision needs of it, with no name to look up and nothing to compare as text.
//!
//! Made anew by every load. A hub's position is its place in the policy's order, which is also that of the snapshot's
//! choices; endpoints, regions and probe targets have positions of their own.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::roster::{HubId, Roster};
use crate::answer::snapshot::Content;
use crate::dns::Name;
use crate::policy::{Hub, Policy, ProbeTarget, RegionName, Rules};

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
}

/// One hub.
#[derive(Debug)]
pub(super) struct HubAt {
    pub(super) hub: Arc<Hub>,
    pub(super) rules: Rules,
    pub(super) id: HubId,
    /// Where its choice stands among the snapshot's.
    pub(super) choice: Option<usize>,
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
                layout.endpoints.push(EndpointAt { region, target });
                layout.by_region[region as usize].push(at);
                if let Some(target) = target
                    && layout.by_target[target as usize].last() != Some(&at)
                {
                    layout.by_target[target as usize].push(at);
                }
            }
            let count = layout.endpoints.len() as u32 - first;
            layout.positions[id.index()] = Some(at);
            layout.hubs.push(HubAt { hub: hub.clone(), rules: Rules::of(hub), id, choice, first, count });
        }
        drop((by_name, by_target));
        Self { regions, targets, ..layout }
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
