//! Since when gates have held a move that passes them after a while (`proceed_after`): durable, so that neither a restart
//! nor a kill makes the wait begin anew.
//!
//! The wait is that of one wanted move. It is over when the hub moves, when another region is wanted, and when nothing is
//! wanted any more. After a start nothing is wanted until there is a verdict on the active region: until then it stands.

use super::fact::FactKey;
use super::known::Gated;
use super::layout::HubAt;
use super::state::State;
use super::turn::Turn;
use crate::policy::{Decision, OnShut};
use crate::time::Timestamp;

impl State {
    /// The move of a hub that gates have held, by the endpoint that is wanted, and since when.
    pub(super) fn gated_before(&self, at: &HubAt) -> Option<(usize, Timestamp)> {
        let Gated { epoch, to, since } = self.known.gated.get(&at.id)?;
        let stands = self.stands.of(at.id).is_some_and(|standing| standing.epoch == *epoch);
        // A start lets none be in the future (`set_back`), unless its commit has failed.
        Some((at.hub.position(to).filter(|_| stands)?, (*since).min(self.turned)))
    }

    /// Keeps since when gates hold the move that a hub wants.
    pub(super) fn keep_gated(&mut self, position: usize, at: &HubAt, decision: &Decision, turn: &mut Turn) {
        let known = self.known.gated.get(&at.id);
        // Most hubs have none, and what the policy says of them is far away in memory.
        let passes =
            !at.gates.is_empty() && at.hub.gates.iter().any(|used| matches!(used.on_shut, OnShut::ProceedAfter(_)));
        if known.is_none() && !passes {
            return;
        }
        let epoch = self.stands.of(at.id).map_or(0, |standing| standing.epoch);
        let of_this_move = known.filter(|known| known.epoch == epoch && passes);
        let gated = match decision.hold {
            Some(hold) => {
                let to = &at.hub.endpoints[hold.wanted].region;
                match hold.gated_since {
                    Some(since) => Some(Gated { epoch, to: to.clone(), since }),
                    None => of_this_move.filter(|known| known.to == *to).cloned(),
                }
            }
            None => {
                let active = self.stands.active(position).map(|active| at.endpoints().start + active);
                let unknown = active.is_some_and(|active| self.view(active, turn.now).verdict_by.is_some());
                of_this_move.filter(|_| unknown && decision.cause.is_none()).cloned()
            }
        };
        if gated.as_ref() != known {
            self.set_fact(FactKey::gated(&at.hub.name), gated.as_ref(), turn);
        }
    }
}
