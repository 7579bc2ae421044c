//! A clock that was set back: switches that would be in the future count as made when that was first found.
//!
//! A dwell, a flap window or a budget is counted from the times of a hub's last switches, which the store has. When a start
//! finds them in the future, they count as made at that moment, or a dwell would last for as long as the clock was set back.
//! Which moment it was is kept, or each start would begin the dwell anew. So it is with the wait for a gate.

use std::sync::Arc;

use super::fact::FactKey;
use super::known::{Gated, Known, SetBack};
use super::roster::HubId;
use super::state::State;
use super::turn::Turn;
use crate::policy::{Standing, SwitchTime};
use crate::time::Timestamp;

/// A hub, and when it was first found that its last switches were in the future; `None` when they are not any more.
pub(super) type Found = (HubId, Option<SetBack>);

/// What stands at a start, with nothing in the future; and the hubs of which it was first found to be there, or is not
/// any more.
pub(super) fn not_in_the_future(
    standings: Vec<Option<Arc<Standing>>>,
    known: &Known,
    now: Timestamp,
) -> (Vec<Option<Arc<Standing>>>, Vec<Found>) {
    let mut changes = Vec::new();
    let each = standings.into_iter().zip(0..).map(|(standing, number)| {
        let (hub, standing) = (HubId(number), standing?);
        let kept = known.set_back.get(&hub).copied();
        let ahead = standing.last_automatic.into_iter().chain(standing.recent.iter().map(|switch| switch.at));
        if !ahead.into_iter().any(|at| at > now) {
            changes.extend(kept.map(|_| (hub, None)));
            return Some(match standing.since > now {
                true => Standing { since: now, ..(*standing).clone() }.into(),
                false => standing,
            });
        }
        let found = kept.filter(|kept| kept.epoch == standing.epoch && kept.at <= now);
        let set_back = found.unwrap_or(SetBack { epoch: standing.epoch, at: now });
        if found.is_none() {
            changes.push((hub, Some(set_back)));
        }
        let bound = |at: Timestamp| if at > now { set_back.at } else { at };
        let recent = standing.recent.iter().map(|switch| SwitchTime { at: bound(switch.at), ..*switch }).collect();
        let last_automatic = standing.last_automatic.map(bound);
        Some(Standing { since: bound(standing.since), last_automatic, recent, ..(*standing).clone() }.into())
    });
    (each.collect(), changes)
}

impl State {
    /// Keeps when it was found that the clock was set back, and lets the waits for gates that are ahead of it begin then.
    pub(super) fn keep_set_back(&mut self, changes: Vec<Found>, turn: &mut Turn) {
        for (hub, set_back) in changes {
            if let Some(name) = self.roster.name(hub).cloned() {
                self.set_fact(FactKey::clock(&name), set_back.as_ref(), turn);
            }
        }
        let ahead = self.known.gated.iter().filter(|(_, gated)| gated.since > turn.now);
        let ahead: Vec<_> = ahead.map(|(hub, gated)| (*hub, Gated { since: turn.now, ..gated.clone() })).collect();
        for (hub, gated) in ahead {
            if let Some(name) = self.roster.name(hub).cloned() {
                self.set_fact(FactKey::gated(&name), Some(&gated), turn);
            }
        }
    }
}
