//! What becomes of one hub, and of many at once.
//!
//! A [`Step`] is what is decided, [`Step::follow`] is what stands after it: the one function that the control core and
//! whoever reads the store back both use, so that what was committed and what is read again cannot differ.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::event::Author;
use super::report::{AuditKind, AuditRecord};
use super::roster::{HubId, Roster};
use crate::policy::{Cause, RegionName, Standing};
use crate::time::Timestamp;

/// What changes of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Its active region, or what is behind it.
    Switch,
    /// What it answers while the active region stays: all endpoints at once, or no longer.
    Answer,
}

impl ChangeKind {
    /// What the audit trail calls it.
    pub fn audit(self) -> AuditKind {
        match self {
            Self::Switch => AuditKind::Switch,
            Self::Answer => AuditKind::Answer,
        }
    }
}

/// What is decided for a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What changes.
    pub kind: ChangeKind,
    /// The active region since.
    pub to: RegionName,
    /// The epoch since.
    pub epoch: u64,
    /// What changed the active region; of [`ChangeKind::Answer`], what had changed it before.
    pub cause: Cause,
    /// Whether all endpoints are answered at once since.
    pub all: bool,
    /// Why, in one sentence.
    pub reason: Arc<str>,
}

impl Step {
    /// What stands after this step, taken at `at`.
    pub fn follow(&self, before: Option<&Standing>, at: Timestamp) -> Standing {
        let Self { kind, to, epoch, cause, all, reason } = self;
        match (kind, before) {
            (ChangeKind::Answer, Some(before)) => Standing { all: *all, ..before.clone() },
            _ => Standing {
                active: to.clone(),
                epoch: *epoch,
                // A hub may be left without its region by a reload and get the same one again.
                since: before.filter(|before| before.active == *to).map_or(at, |before| before.since),
                cause: *cause,
                reason: reason.clone(),
                last_automatic: match cause.is_automatic() {
                    true => Some(at),
                    false => before.and_then(|before| before.last_automatic),
                },
                all: *all,
                recent: match before {
                    Some(before) if before.epoch != *epoch => before.with_switch(at, cause.is_automatic()),
                    Some(before) => before.recent.clone(),
                    None => Arc::default(),
                },
            },
        }
    }
}

/// What becomes of many hubs at once. Those for which the same standing stood and that take the same step share what stands
/// then: of a fleet that moves together there is one standing, and not one for each hub.
///
/// Everything is told apart by where it is, so that nothing is read for it, and is kept for as long as its place counts.
#[derive(Debug, Default)]
pub struct Together {
    known: HashMap<Key, Followed>,
    last: Option<(Key, Followed)>,
}

/// What stood, and the step: places of what is shared, and the rest.
type Key = (Option<usize>, ChangeKind, usize, u64, Cause, bool, usize, Timestamp);

#[derive(Clone, Debug)]
struct Followed {
    _before: Option<Arc<Standing>>,
    _step: Step,
    after: Arc<Standing>,
}

impl Together {
    /// [`Step::follow`].
    pub fn follow(&mut self, step: &Step, before: Option<&Arc<Standing>>, at: Timestamp) -> Arc<Standing> {
        let Step { kind, to, epoch, cause, all, reason } = step;
        let place = before.map(|before| Arc::as_ptr(before).addr());
        let key = (place, *kind, to.as_str().as_ptr().addr(), *epoch, *cause, *all, reason.as_ptr().addr(), at);
        if let Some((_, known)) = self.last.as_ref().filter(|(last, _)| *last == key) {
            return known.after.clone();
        }
        let follow = || Followed {
            _before: before.cloned(),
            _step: step.clone(),
            after: step.follow(before.map(|before| &**before), at).into(),
        };
        let known = self.known.entry(key).or_insert_with(follow).clone();
        let after = known.after.clone();
        self.last = Some((key, known));
        after
    }

    /// Shares the standings that are alike.
    pub fn share<'a>(standings: impl Iterator<Item = &'a mut Arc<Standing>>) {
        let mut known: HashSet<Arc<Standing>> = HashSet::new();
        for standing in standings {
            match known.get(standing) {
                Some(same) => *standing = same.clone(),
                None => _ = known.insert(standing.clone()),
            }
        }
    }
}

/// The change of one hub: what stood, and what stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The hub.
    pub hub: HubId,
    /// What changes.
    pub kind: ChangeKind,
    /// Why, in one sentence; of [`ChangeKind::Switch`], that of `after`.
    pub reason: Arc<str>,
    /// What stood; `None` for a hub that is seen for the first time.
    pub before: Option<Arc<Standing>>,
    /// What stands.
    pub after: Arc<Standing>,
}

impl Change {
    /// What was decided.
    pub fn step(&self) -> Step {
        Step {
            kind: self.kind,
            to: self.after.active.clone(),
            epoch: self.after.epoch,
            cause: self.after.cause,
            all: self.after.all,
            reason: self.reason.clone(),
        }
    }

    /// Whether the active region is another one.
    pub fn counts(&self) -> bool {
        self.before.as_ref().is_none_or(|before| before.epoch != self.after.epoch)
    }
}

/// The changes that one event leads to: one row of the store, one record of the audit trail for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Switch {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: Author,
    /// The hubs' names.
    pub roster: Arc<Roster>,
    /// The changes, in the order in which they were decided; a hub may have several.
    pub changes: Vec<Change>,
}

impl Switch {
    /// What the audit trail tells of it; the store gives the numbers.
    pub fn records(&self) -> impl Iterator<Item = AuditRecord> {
        self.changes.iter().map(|change| {
            let subject = self.roster.name(change.hub).map(ToString::to_string).unwrap_or_default();
            let from = change.before.as_ref().map(|before| before.active.as_str());
            record(self.at, &self.author, subject, from, &change.step())
        })
    }
}

/// One change as the audit trail tells of it.
pub fn record(at: Timestamp, author: &Author, subject: String, from: Option<&str>, step: &Step) -> AuditRecord {
    let (before, after) = match (step.kind, step.all) {
        (ChangeKind::Switch, _) => (from, step.to.as_str()),
        (ChangeKind::Answer, true) => (Some("active"), "all"),
        (ChangeKind::Answer, false) => (Some("all"), "active"),
    };
    AuditRecord {
        sequence: 0,
        at,
        kind: step.kind.audit(),
        subject,
        author: author.name.clone(),
        origin: author.origin.clone(),
        epoch: Some(step.epoch),
        before: before.map(Into::into),
        after: Some(after.into()),
        reason: step.reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: ChangeKind, epoch: u64, cause: Cause) -> Step {
        Step { kind, to: RegionName::new("weu"), epoch, cause, all: false, reason: "because".into() }
    }

    #[test]
    fn the_last_switches_are_remembered_and_nothing_else() {
        let first = step(ChangeKind::Switch, 1, Cause::Start).follow(None, Timestamp(0));
        assert_eq!(first.recent.len(), 0, "a first choice is no switch");
        let same = step(ChangeKind::Switch, 1, Cause::Policy).follow(Some(&first), Timestamp(1));
        let answer = step(ChangeKind::Answer, 1, Cause::Policy).follow(Some(&same), Timestamp(2));
        assert_eq!(answer.recent.len(), 0, "the active region stayed");
        let mut stands = answer;
        for epoch in 2..=50 {
            let cause = if epoch % 2 == 0 { Cause::Health } else { Cause::Failover };
            stands = step(ChangeKind::Switch, epoch, cause).follow(Some(&stands), Timestamp(epoch * 10));
        }
        let recent: Vec<_> = stands.recent.iter().map(|switch| (switch.at.0, switch.automatic)).collect();
        // Of those before the last 32 the automatic ones, as long as there are no more than 32 of these.
        let kept = (2..=50).filter(|epoch| *epoch >= 19 || epoch % 2 == 0);
        let expected: Vec<_> = kept.map(|epoch| (epoch * 10, epoch % 2 == 0)).collect();
        assert_eq!(recent, expected);
        let json = serde_json::to_string(&stands.recent[..2]).unwrap();
        assert_eq!(json, "[[20,true],[40,true]]");
        assert_eq!(serde_json::from_str::<Arc<[crate::policy::SwitchTime]>>(&json).unwrap()[..], stands.recent[..2]);
    }

    #[test]
    fn hubs_that_stand_alike_and_move_together_share_what_stands() {
        let mut together = Together::default();
        let first = step(ChangeKind::Switch, 1, Cause::Start);
        let next = step(ChangeKind::Switch, 2, Cause::Mark);
        let stood = together.follow(&first, None, Timestamp(1));
        let other = Arc::new(first.follow(None, Timestamp(0)));
        let stands = together.follow(&next, Some(&stood), Timestamp(2));
        assert_eq!(*stands, next.follow(Some(&stood), Timestamp(2)));
        assert!(Arc::ptr_eq(&stands, &together.follow(&next, Some(&stood), Timestamp(2))));
        // What differs in anything is its own.
        let apart = [
            together.follow(&next, Some(&other), Timestamp(2)),
            together.follow(&next, Some(&stood), Timestamp(3)),
            together.follow(&Step { epoch: 3, ..next.clone() }, Some(&stood), Timestamp(2)),
            together.follow(&Step { cause: Cause::Health, ..next.clone() }, Some(&stood), Timestamp(2)),
            together.follow(&Step { to: RegionName::new("neu"), ..next.clone() }, Some(&stood), Timestamp(2)),
            together.follow(&Step { all: true, ..next.clone() }, Some(&stood), Timestamp(2)),
            together.follow(&Step { kind: ChangeKind::Answer, ..next.clone() }, Some(&stood), Timestamp(2)),
            together.follow(&Step { reason: "why not".into(), ..next }, Some(&stood), Timestamp(2)),
        ];
        for (at, after) in apart.iter().enumerate() {
            assert!(!Arc::ptr_eq(after, &stands), "{at}");
            assert!(apart[..at].iter().all(|before| !Arc::ptr_eq(after, before)), "{at}");
        }
        let mut read = [Arc::new((*stands).clone()), other.clone(), Arc::new((*stands).clone())];
        Together::share(read.iter_mut());
        assert!(Arc::ptr_eq(&read[0], &read[2]) && read[0] == stands && read[1] == other);
    }
}
