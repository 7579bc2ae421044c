//! Whether this node sees, or is itself cut off (rule 5).
//!
//! With references, the node is blind while the last observation of every one of them failed, and what fails is doubted
//! until a reference was reached after the failure began. Without references, it is blind while the last observation of
//! everything that endpoints are chosen by failed, and in two regions or more that began within the time that the slowest of
//! these probes takes to be sure: what fails everywhere at once fails here. What had failed for longer than that when the
//! last of them began says nothing about it.
//!
//! While it is blind observations are shown and do not count. When sight comes back, everything in a row begins anew.

use std::sync::Arc;

use super::event::Level;
use super::layout::HubAt;
use super::report::AuditKind;
use super::state::State;
use super::turn::Turn;
use crate::health::Health;
use crate::policy::{Seen, Sight, Waiting};
use crate::time::{Timestamp, human};

/// What is known of this node's own sight.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) sight: Sight,
    /// When `blind` became what it is.
    pub(super) since: Option<Timestamp>,
    /// When sight last came back.
    regained: Option<Timestamp>,
    /// How many of the watched targets failed when they were last observed.
    failing: usize,
    /// Whether, when the last of them began to fail, those of two regions or more did so at once.
    at_once: bool,
}

impl State {
    /// After the observation of a target at a moment, which failed or not, as did the one before.
    pub(super) fn look_around(
        &mut self,
        target: usize,
        failed_before: bool,
        failed: bool,
        at: Timestamp,
        turn: &mut Turn,
    ) {
        if self.layout.is_reference[target] && !failed {
            let seen = match self.look.sight.seen {
                Seen::At(seen) => seen.max(at),
                Seen::NoReference | Seen::NotYet => at,
            };
            self.look.sight.seen = Seen::At(seen);
            // What was not answered with everything, because this node may have been cut off, may have to be.
            turn.touched.extend(self.all_down.iter());
        }
        if self.layout.by_target[target].is_empty() && !self.layout.is_reference[target] {
            return;
        }
        // What is doubted may be sure now.
        let doubted = self.holds.iter().filter(|(_, hold)| hold.waiting == Waiting::Sight);
        turn.touched.extend(doubted.map(|(position, _)| *position).chain(self.doubted.iter().copied()));
        if !self.layout.by_target[target].is_empty() && failed != failed_before {
            self.look.failing = match failed {
                true => self.look.failing + 1,
                false => self.look.failing.saturating_sub(1),
            };
            self.look.at_once = failed && self.fail_at_once();
        }
        self.see(turn);
    }

    /// Works out anew what a load or a restart has changed.
    pub(super) fn look_anew(&mut self, turn: &mut Turn) {
        let failing = |target: &&u32| self.watches[**target as usize].failing_since().is_some();
        self.look.failing = self.layout.watched.iter().filter(failing).count();
        // A load shows nothing that was not there before: it does not make this node blind.
        self.look.at_once &= self.look.failing == self.layout.watched.len();
        let references = self.layout.references.iter();
        let seen = references.filter_map(|target| self.watches[*target as usize].last_good).max();
        self.look.sight.seen = match (self.layout.references.is_empty(), seen) {
            (true, _) => Seen::NoReference,
            (false, None) => Seen::NotYet,
            (false, Some(at)) => Seen::At(at),
        };
        self.see(turn);
    }

    /// Whether the active region of a hub is down by nothing but what this node may have seen while it was cut off itself.
    pub(super) fn is_unconfirmed(&self, position: usize, at: &HubAt) -> bool {
        if !self.may_be_unconfirmed() {
            return false;
        }
        let active = self.stands.active(position).map(|active| at.endpoints().start + active);
        if let Some(drill) = active.and_then(|active| self.drilled(active)) {
            return drill.machine.health() == Health::Down && !drill.confirmed;
        }
        let watch = active.and_then(|active| self.watch(self.layout.endpoints[active]));
        watch.is_some_and(|watch| watch.machine.health() == Health::Down && !watch.confirmed)
    }

    /// Whether what is down may be so by nothing but what this node saw while it was cut off.
    pub(super) fn may_be_unconfirmed(&self) -> bool {
        !self.layout.references.is_empty() || self.look.regained.is_some()
    }

    /// After a failed observation that counts: whether its target fails while this node is known to see. It is, when a
    /// reference was reached between two failures; without references, when it has failed often enough since sight came
    /// back. One good observation ends it.
    ///
    /// Says whether that has changed.
    pub(super) fn confirm(&mut self, target: usize) -> bool {
        let (references, seen) = (!self.layout.references.is_empty(), self.look.sight.seen);
        let watch = &self.watches[target];
        let confirmed = match watch.failing_since() {
            None => false,
            Some(_) if watch.confirmed => true,
            Some(since) if references => matches!(seen, Seen::At(seen) if seen >= since),
            Some(_) => {
                let often_enough = || watch.machine.failed_in_a_row() >= u32::from(watch.probe.fall.get());
                self.fails_confirmed(target).unwrap_or_else(often_enough)
            }
        };
        if confirmed != watch.confirmed {
            Arc::make_mut(&mut Arc::make_mut(&mut self.watches)[target]).confirmed = confirmed;
            return true;
        }
        false
    }

    /// Whether everything fails that endpoints are chosen by, and in two regions or more began to at about the same time.
    fn fail_at_once(&self) -> bool {
        if self.look.failing < self.layout.watched.len() {
            return false;
        }
        let watched = &self.layout.watched_in;
        let since = |target: u32| self.watches[target as usize].failing_since();
        let Some(last) = watched.iter().filter_map(|(target, _)| since(*target)).max() else { return false };
        let lately =
            |target: u32| since(target).is_some_and(|since| self.lived.between(since, last) <= self.layout.slowest);
        let mut regions = watched.iter().filter(|(target, _)| lately(*target)).map(|(_, region)| region);
        let one = regions.next();
        regions.any(|region| Some(region) != one)
    }

    fn see(&mut self, turn: &mut Turn) {
        let references = &self.layout.references;
        let blind = match references.is_empty() {
            true => self.look.at_once && self.look.failing == self.layout.watched.len(),
            false => references.iter().all(|target| self.watches[*target as usize].failing_since().is_some()),
        };
        if blind == self.look.sight.blind {
            return;
        }
        let lasted = self.look.since.map(|since| human(turn.now.since(since)));
        self.look.sight.blind = blind;
        self.look.since = Some(turn.now);
        if !blind {
            self.look.regained = Some(turn.now);
        }
        let sentence = match (blind, references.is_empty()) {
            (true, true) => "this node is blind: everything that it probes, in every region, began to fail at once; \
                             health is frozen, and nothing moves because of it"
                .to_owned(),
            (true, false) => "this node is blind: it reaches none of its references; health is frozen, and nothing \
                              moves because of it"
                .to_owned(),
            (false, _) => {
                format!("this node sees again, after {}: health goes on", lasted.unwrap_or_default())
            }
        };
        let record = turn.audit_by_daemon(AuditKind::Blind, "this node".into(), &sentence);
        record.before = Some(if blind { "sees" } else { "blind" }.into());
        record.after = Some(if blind { "blind" } else { "sees" }.into());
        turn.say(if blind { Level::Error } else { Level::Warn }, "blind", sentence);
        if !blind {
            for watch in Arc::make_mut(&mut self.watches) {
                let watch = Arc::make_mut(watch);
                watch.machine.begin_anew();
                (watch.failing, watch.confirmed) = (None, false);
            }
            self.begin_drills_anew();
            self.look.failing = 0;
            // What was unsettled is not any more.
            let hubs = self.layout.hubs.iter().zip(0..);
            turn.touched.extend(hubs.filter(|(at, _)| at.rules.adaptive_ttl).map(|(_, position)| position));
        }
        turn.touched.extend(self.holds.keys().chain(self.all_down.iter()).chain(&self.layout.stateless));
    }
}
