//! Since when gates have held a move that passes them after a while (`proceed_after`): durable, so that neither a restart
//! nor a kill makes the wait begin anew.
//!
//! The wait is that of one wanted move. It is over when the hub moves, when another region is wanted, and when nothing is
//! wanted any more. After a start nothing is wanted until there is a verdict on the active region, or it is marked: until
//! then it stands, however long its prober is silent. Silence is no recovery.

use std::sync::Arc;

use super::fact::FactKey;
use super::known::Gated;
use super::layout::HubAt;
use super::roster::HubId;
use super::state::State;
use super::turn::Turn;
use crate::health::Health;
use crate::policy::{Decision, OnShut};
use crate::time::Timestamp;

impl State {
    /// The move of a hub that gates have held, by the endpoint that is wanted, and since when.
    pub(super) fn gated_before(&self, at: &HubAt) -> Option<(usize, Timestamp)> {
        let Gated { epoch, to, since } = self.gated.get(&at.id)?;
        let stands = self.stands.of(at.id).is_some_and(|standing| standing.epoch == *epoch);
        // A start lets none be in the future (`set_back`), unless its commit has failed.
        Some((at.hub.position(to).filter(|_| stands)?, (*since).min(self.turned)))
    }

    /// What operators said was not made durable: what they wanted of these hubs ends no wait.
    pub(super) fn revert_gated(&mut self, hubs: &[HubId]) {
        let waits = Arc::make_mut(&mut self.gated);
        for hub in hubs {
            match self.known.gated.get(hub) {
                Some(gated) => _ = waits.insert(*hub, gated.clone()),
                None => _ = waits.remove(hub),
            }
        }
    }

    /// Whether nothing can be said of the active region yet: no observation that counts, and no mark.
    pub(super) fn active_is_unknown(&self, position: usize, at: &HubAt, now: Timestamp) -> bool {
        let active = self.stands.active(position).map(|active| self.view(at.endpoints().start + active, now));
        active.is_some_and(|view| view.probed && view.mark.is_none() && view.health == Health::Unknown)
    }

    /// Keeps since when gates hold the move that a hub wants.
    pub(super) fn keep_gated(&mut self, position: usize, at: &HubAt, decision: &Decision, turn: &mut Turn) {
        let (known, waited) = (self.known.gated.get(&at.id), self.gated.get(&at.id));
        // Most hubs have none, and what the policy says of them is far away in memory.
        let passes =
            !at.gates.is_empty() && at.hub.gates.iter().any(|used| matches!(used.on_shut, OnShut::ProceedAfter(_)));
        if known.is_none() && waited.is_none() && !passes {
            return;
        }
        let epoch = self.stands.of(at.id).map_or(0, |standing| standing.epoch);
        let of_this_move = waited.filter(|known| known.epoch == epoch && passes);
        let gated = match decision.hold {
            Some(hold) => {
                let to = &at.hub.endpoints[hold.wanted].region;
                match hold.gated_since {
                    Some(since) => Some(Gated { epoch, to: to.clone(), since }),
                    None => of_this_move.filter(|known| known.to == *to).cloned(),
                }
            }
            None => of_this_move
                .filter(|_| decision.cause.is_none() && self.active_is_unknown(position, at, turn.now))
                .cloned(),
        };
        let (differs, is_new) = (gated.as_ref() != known, gated.as_ref() != waited);
        // What is wanted is measured: it is so where the store cannot have it yet. A move, which may fail, is not.
        if is_new && decision.cause.is_none() {
            let waits = Arc::make_mut(&mut self.gated);
            match &gated {
                Some(gated) => _ = waits.insert(at.id, gated.clone()),
                None => _ = waits.remove(&at.id),
            }
        }
        if differs {
            self.set_fact(FactKey::gated(&at.hub.name), gated.as_ref(), turn);
        }
    }
}
