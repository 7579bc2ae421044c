//! What somebody has to know of a hub while nobody may be there to see it: kept until an operator acknowledges it.
//!
//! A planned move that stops by itself, at night and with nobody who follows it, is a notice until it is acknowledged or
//! another move takes its place. So is a region that was told that it is left, and stays active all the same, until it
//! is acknowledged or left. What stops while its author waits for the reply, or because an operator cancels it, is none.

use super::fact::FactKey;
use super::known::{Notice, NoticeKind, Notices};
use super::layout::HubAt;
use super::state::State;
use super::turn::Turn;

impl State {
    /// The notices of a hub that hold at this moment, oldest first.
    pub(super) fn notices(&self, at: &HubAt) -> impl Iterator<Item = &Notice> {
        let epoch = self.stands.of(at.id).map(|standing| standing.epoch);
        let entries = self.known.notices.get(&at.id).into_iter().flat_map(|notices| &notices.entries);
        entries.filter(move |notice| notice.kind != NoticeKind::Told || Some(notice.epoch) == epoch)
    }

    /// Keeps a notice, in the place of an older one of its kind.
    pub(super) fn notice(&mut self, at: &HubAt, kind: NoticeKind, sentence: String, turn: &mut Turn) {
        let epoch = self.stands.of(at.id).map_or(0, |standing| standing.epoch);
        let kept = self.notices(at).filter(|notice| notice.kind != kind).cloned();
        let entries = kept.chain([Notice { kind, at: turn.now, epoch, sentence }]).collect();
        self.set_fact(FactKey::notice(&at.hub.name), Some(&Notices { entries }), turn);
    }

    /// Takes the notice of a move away, for another one takes its place.
    pub(super) fn forget_stopped(&mut self, at: &HubAt, turn: &mut Turn) {
        let Some(notices) = self.known.notices.get(&at.id) else { return };
        let kept = || notices.entries.iter().filter(|notice| notice.kind != NoticeKind::Stopped);
        if kept().count() == notices.entries.len() {
            return;
        }
        let left = Some(Notices { entries: kept().cloned().collect() }).filter(|left| !left.entries.is_empty());
        self.set_fact(FactKey::notice(&at.hub.name), left.as_ref(), turn);
    }

    /// Takes all notices of a hub away, and says how many of them held.
    pub(super) fn acknowledge_notices(&mut self, at: &HubAt, turn: &mut Turn) -> usize {
        let held = self.notices(at).count();
        if self.known.notices.contains_key(&at.id) {
            self.set_fact(FactKey::notice(&at.hub.name), None::<&Notices>, turn);
        }
        held
    }
}
