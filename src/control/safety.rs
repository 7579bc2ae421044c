//! Safety rules over several hubs or regions, held against every switch.

use super::layout::{DemandAt, HubAt};
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
                let before = self.count_active(rule, turn);
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

    /// A hub has moved: what was counted of its rules is counted anew when it is asked for.
    pub(super) fn count_again(&self, position: usize, turn: &mut Turn) {
        for rule in self.layout.rules_of(position) {
            turn.counts.remove(rule);
            turn.recounted = true;
        }
    }

    /// What a rule demands, and how it stands.
    pub(super) fn rule_sentence(&self, rule: u32, now: Timestamp, at: &HubAt) -> String {
        let rule = &self.layout.rules[rule as usize];
        let name = &rule.name;
        match &rule.demand {
            DemandAt::Count { least, most, members } => {
                let active =
                    |(hub, endpoint): &&(u32, u16)| self.stands.active(*hub as usize) == Some(usize::from(*endpoint));
                let count = members.iter().filter(active).count();
                let demand = match *most {
                    u32::MAX => format!("at least {least}"),
                    most => format!("at most {most}"),
                };
                format!(
                    "safety rule {name} wants {demand} of {} endpoints to be active, and {count} are",
                    members.len()
                )
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
