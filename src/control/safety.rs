//! Safety rules over several hubs or regions, held against every switch.

use super::layout::{DemandAt, HubAt, RuleAt};
use super::state::State;
use super::turn::Turn;
use crate::time::Timestamp;

impl State {
    /// By endpoint of a hub: the safety rule that a move there would break. Nothing where the hub has no rules.
    pub(super) fn broken_rules(&self, position: usize, at: &HubAt, turn: &mut Turn) {
        turn.broken.clear();
        let rules = self.layout.rules_of(position);
        let Some(from) = self.stands.active(position).filter(|_| !rules.is_empty()) else { return };
        for to in 0..at.hub.endpoints.len() {
            let broken = rules.iter().find(|rule| to != from && self.breaks(**rule, position, from, to, turn));
            turn.broken.push(broken.copied());
        }
    }

    /// Whether a move of a hub between two of its endpoints breaks a rule. A rule that is broken already is not a reason
    /// against a move that does not make it worse.
    pub(super) fn breaks(&self, rule: u32, position: usize, from: usize, to: usize, turn: &mut Turn) -> bool {
        match &self.layout.rules[rule as usize].demand {
            DemandAt::Count { least, most, members } => {
                let member = |endpoint: usize| members.contains(&(position as u32, endpoint as u16));
                let (leaves, comes) = (member(from), member(to));
                if leaves == comes {
                    return false;
                }
                // Who was told has a place, and is held by what is active alone; who was not looks for one that is free.
                let before = match self.told.is_empty() || self.announced(position) == Some(to) {
                    true => self.count_active(rule, turn),
                    false => self.count_reserved(rule, position, comes),
                };
                (leaves && before <= *least) || (comes && before >= *most)
            }
            DemandAt::Gate { gate, hubs, regions } => {
                let at = &self.layout.hubs[position];
                let region = |endpoint: usize| self.layout.endpoints_of(at)[endpoint].region;
                let concerned = hubs.contains(&(position as u32))
                    || regions.contains(&region(from))
                    || regions.contains(&region(to));
                concerned && !self.gate_is_open(*gate as usize, at, turn.now)
            }
        }
    }

    /// How many of a rule's endpoints are active.
    fn count_active(&self, rule: u32, turn: &mut Turn) -> u32 {
        let DemandAt::Count { members, .. } = &self.layout.rules[rule as usize].demand else { return 0 };
        let count = || {
            let active =
                |(hub, endpoint): &&(u32, u16)| self.stands.active(*hub as usize) == Some(usize::from(*endpoint));
            members.iter().filter(active).count() as u32
        };
        *turn.counts.entry(rule).or_insert_with(count)
    }

    /// The same where hubs are about to move, because the regions that they leave are being told: they count at both places
    /// for what is to have `most` of them and at neither for what is to have the least, or several would be announced where
    /// one may go. The hub that is asked about counts as it is.
    fn count_reserved(&self, rule: u32, asking: usize, most: bool) -> u32 {
        let DemandAt::Count { members, .. } = &self.layout.rules[rule as usize].demand else { return 0 };
        let counts = |(hub, endpoint): &&(u32, u16)| {
            let hub = *hub as usize;
            let (active, here) = (self.stands.active(hub), Some(usize::from(*endpoint)));
            let heading = (hub != asking).then(|| self.announced(hub)).flatten().or(active);
            if most { active == here || heading == here } else { active == here && heading == here }
        };
        members.iter().filter(counts).count() as u32
    }

    /// A hub has moved, or has given a move up: what was counted of its rules is counted anew when it is asked for.
    pub(super) fn count_again(&self, position: usize, turn: &mut Turn) {
        for rule in self.layout.rules_of(position) {
            turn.counts.remove(rule);
            turn.recounted = true;
        }
    }

    /// What a rule demands, and how it stands.
    pub(super) fn rule_sentence(&self, rule: u32, now: Timestamp, at: &HubAt) -> String {
        let RuleAt { name, demand, .. } = &self.layout.rules[rule as usize];
        match demand {
            DemandAt::Count { least, most, members } => {
                let active =
                    |(hub, endpoint): &&(u32, u16)| self.stands.active(*hub as usize) == Some(usize::from(*endpoint));
                let count = members.iter().filter(active).count();
                let demand = match *most {
                    u32::MAX => format!("at least {least}"),
                    most => format!("at most {most}"),
                };
                let sentence = format!(
                    "safety rule {name} wants {demand} of {} endpoints to be active, and {count} {}",
                    members.len(),
                    if count == 1 { "is" } else { "are" }
                );
                let asking = self.layout.at(at.id).map_or(usize::MAX, |(position, _)| position);
                let counted = self.count_reserved(rule, asking, *most != u32::MAX) as usize;
                match (counted.saturating_sub(count), count.saturating_sub(counted)) {
                    (0, 0) => sentence,
                    (0, leaving) => format!("{sentence}, {leaving} of them about to be left"),
                    (coming, _) => format!("{sentence}, with {coming} about to become so"),
                }
            }
            DemandAt::Gate { gate, .. } => match self.layout.gates.get(*gate as usize) {
                Some(gate) => {
                    let state = self.gate_state(gate, at, now);
                    format!("safety rule {name} wants the gate {} to be open: {}", gate.name, state.sentence)
                }
                None => format!("safety rule {name} names a gate that is not there"),
            },
        }
    }
}
