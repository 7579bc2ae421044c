//! Which endpoints of a hub without an active region may be answered: the one function that decides it.
//!
//! [`usable`] takes what the policy says, what is known of the endpoints, whether this node sees, and the set that was
//! before, and returns the next set. It has no clock, no I/O and no randomness. Its rules:
//!
//! 1. *Marks first.* An endpoint that is marked `up` is usable and one that is marked `down` is not, whatever health says.
//! 2. *Then health.* `up` counts as good and `down` as bad. `unknown` is as it was before, so that a restart changes no
//!    answer; of an endpoint that was not there before, good.
//! 3. *Blindness freezes.* While what is seen may be this node's own failure, health counts as it did before. Marks still
//!    work.
//! 4. *A drain is the last resort.* A drained endpoint with good health is usable only while no other endpoint is.
//! 5. *All down.* With nothing usable, [`Resort`] says what is answered: the last set that was not empty, all endpoints, or
//!    one of them. The set is never empty.
//!
//! Neither dwell, nor gates, nor a flap limit is between: what is answered to one query binds no other, and nothing has to
//! be ready before an endpoint takes its share.

use super::{EndpointView, MarkKind, Resort, Selection, Sight};
use crate::health::Health;

/// Endpoints of a hub, by position: bit 0 is the first.
pub type Mask = u64;

/// What may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usable {
    /// The endpoints that are answered out of. Not empty.
    pub mask: Mask,
    /// The endpoints whose health counts as good, marks left out.
    pub good: Mask,
    /// Whether nothing is usable by itself, and `mask` is what `when_all_down` says.
    pub all_down: bool,
}

/// What was before, as far as the endpoints are still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// What was answered.
    pub usable: Usable,
    /// The endpoints that there were.
    pub known: Mask,
}

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsableView {
    /// What observations say; of a hub inside the hub, what it answers.
    pub health: Health,
    /// What they said before this node started.
    pub last_known: Health,
    /// The mark that holds.
    pub mark: Option<MarkKind>,
    /// Whether anything says how it is.
    pub watched: bool,
    /// Whether its failure may be no more than what this node saw while it was cut off.
    pub doubted: bool,
}

impl UsableView {
    /// Of an endpoint as a decision sees it.
    ///
    /// `unconfirmed`: whether it is down by nothing but what this node may have seen while it was cut off itself.
    pub fn of(view: &EndpointView, last_known: Health, unconfirmed: bool, sight: Sight) -> Self {
        let doubted = view.health == Health::Down && Sight { unconfirmed, ..sight }.doubts_failure(view.failing_since);
        Self { health: view.health, last_known, mark: view.mark, watched: view.probed, doubted }
    }

    fn is_good(&self, before: Option<bool>, blind: bool) -> bool {
        if !self.watched {
            return true;
        }
        let last = before.unwrap_or(self.last_known != Health::Down);
        match self.health {
            _ if blind => last,
            Health::Up => true,
            Health::Down if self.doubted => last,
            Health::Down => false,
            Health::Unknown => last,
        }
    }
}

/// Decides which endpoints may be answered. There is one view for each endpoint of the hub, in their order: at least one,
/// at most [`Selection::MOST_USABLE`].
pub fn usable(resort: Resort, views: &[UsableView], sight: Sight, before: Option<Before>) -> Usable {
    let views = &views[..views.len().min(Selection::MOST_USABLE)];
    let every = every(views.len());
    let mask_of = |is: &dyn Fn(usize, &UsableView) -> bool| {
        let set = views.iter().enumerate().filter(|(at, view)| is(*at, view));
        set.fold(0, |mask: Mask, (at, _)| mask | 1 << at)
    };
    let was_good = |at: usize| {
        let before = before.filter(|before| before.known >> at & 1 == 1)?;
        Some(before.usable.good >> at & 1 == 1)
    };
    let good = mask_of(&|at, view| view.is_good(was_good(at), sight.blind));
    let marked = |kind| mask_of(&|_, view| view.mark == Some(kind));
    let (up, down, drained) = (marked(MarkKind::Up), marked(MarkKind::Down), marked(MarkKind::Drain));
    let eligible = up | good & !down & !drained;
    let last_resort = good & drained;
    if let Some(mask) = [eligible, last_resort].into_iter().find(|mask| *mask != 0) {
        return Usable { mask, good, all_down: false };
    }
    let kept = before.map_or(0, |before| before.usable.mask & before.known & every);
    let mask = match resort {
        Resort::Endpoint(at) => 1u64.checked_shl(u32::try_from(at).unwrap_or(u32::MAX)).unwrap_or(0) & every,
        Resort::All => every,
        Resort::Keep => kept,
    };
    Usable { mask: if mask == 0 { every } else { mask }, good, all_down: true }
}

/// So many endpoints, from the first.
pub fn every(endpoints: usize) -> Mask {
    match endpoints {
        0 => 0,
        1..64 => (1 << endpoints) - 1,
        _ => Mask::MAX,
    }
}

#[cfg(test)]
mod tests;
