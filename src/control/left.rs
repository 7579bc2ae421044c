//! Regions that were told that they are left, or may have been, and whether they were left: durable, so that nobody forgets
//! one that was told and stays.
//!
//! Before a fence is called it is written that it is. That is over when the hub moves, when the region has refused it, and
//! when somebody was told that the region stays. A start, or a load, knows no more of a call than that: where the move is
//! wanted it is announced anew, and where it is not, the region may have been told in vain, and that is a notice.

use super::event::Level;
use super::fact::FactKey;
use super::known::{NoticeKind, ToldLeft};
use super::layout::HubAt;
use super::state::State;
use super::turn::Turn;
use crate::policy::{Decision, RegionName};

impl State {
    /// That the region which a hub would leave with its next epoch was told so, or may have been.
    pub(super) fn was_told(&self, at: &HubAt) -> Option<&ToldLeft> {
        let next = self.stands.of(at.id)?.epoch + 1;
        self.known.told.get(&at.id).filter(|told| told.epoch == next)
    }

    /// Writes that a region is about to be told.
    pub(super) fn keep_told(&mut self, at: &HubAt, to: RegionName, epoch: u64, turn: &mut Turn) {
        let told = ToldLeft { epoch, to };
        if self.known.told.get(&at.id) != Some(&told) {
            self.set_fact(FactKey::told(&at.hub.name), Some(&told), turn);
        }
    }

    /// Takes it away.
    pub(super) fn forget_told(&mut self, at: &HubAt, turn: &mut Turn) {
        if self.known.told.contains_key(&at.id) {
            self.set_fact(FactKey::told(&at.hub.name), None::<&ToldLeft>, turn);
        }
    }

    /// After a decision: of a call that a start or a load knows nothing more of, whether the region was told in vain.
    pub(super) fn look_after_told(&mut self, position: usize, at: &HubAt, decision: &Decision, turn: &mut Turn) {
        if self.known.told.is_empty() || self.told.contains_key(&(position as u32)) {
            return;
        }
        let Some(told) = self.known.told.get(&at.id).cloned() else { return };
        if self.was_told(at).is_none() {
            return self.forget_told(at, turn);
        }
        let planned = self.known.moves.get(&at.id).filter(|planned| planned.stage.is_open());
        let wanted = decision.hold.is_some_and(|hold| at.hub.endpoints[hold.wanted].region == told.to)
            || planned.is_some_and(|planned| planned.to == told.to);
        if wanted || decision.cause.is_some() || self.active_is_unknown(position, at, turn.now) {
            return;
        }
        let (hub, to) = (&at.hub.name, &told.to);
        let from = self.stands.of(at.id).map_or("", |standing| standing.active.as_str());
        let sentence = format!(
            "{hub}: {from} was being told that it is left for {to} when the daemon was started or loaded anew, and the move \
             is not wanted any more: {from} stays active, tell it so"
        );
        self.notice(at, NoticeKind::Told, sentence.clone(), turn);
        turn.say(Level::Error, "fence", sentence).hub = Some(hub.clone());
        self.forget_told(at, turn);
    }
}
