//! What is told of single hubs, in the log and in a reply: each by itself where they are few, else one line for all that
//! are alike. The audit trail has them all.

use std::sync::Arc;

use super::change::{Change, ChangeKind, Switch};
use super::event::{Level, LogLine};
use super::reason::many;
use crate::dns::Name;
use crate::policy::RegionName;

/// Up to so many hubs are told of one by one, for each event.
pub(super) const EACH: usize = 20;

/// Lines about single hubs.
#[derive(Debug, Default)]
pub(super) struct Told {
    each: Vec<LogLine>,
    alike: Vec<Alike>,
    count: usize,
}

/// Hubs of which the same is to be said.
#[derive(Debug)]
struct Alike {
    what: &'static str,
    region: Option<RegionName>,
    count: usize,
    first: LogLine,
}

impl Told {
    /// Tells of one hub; `what` says it without the hub's name, for many of them.
    pub(super) fn of(&mut self, what: &'static str, region: Option<&RegionName>, line: impl FnOnce() -> LogLine) {
        self.count += 1;
        let known = self.alike.iter_mut().find(|alike| alike.what == what && alike.region.as_ref() == region);
        match known {
            Some(alike) => {
                alike.count += 1;
                if self.count <= EACH {
                    self.each.push(line());
                }
            }
            None => {
                let first = line();
                self.each.push(first.clone());
                self.alike.push(Alike { what, region: region.cloned(), count: 1, first });
            }
        }
    }

    /// The lines to be written.
    pub(super) fn finish(self) -> Vec<LogLine> {
        if self.count <= EACH {
            return self.each;
        }
        let together = self.alike.into_iter().map(|Alike { what, region, count, first }| {
            let sentence = match count {
                1 => first.sentence,
                _ => format!("{} {what}; the first of them: {}", many(count, "hub"), first.sentence),
            };
            LogLine { sentence, hub: None, region, epoch: None, ..first }
        });
        together.collect()
    }
}

/// Sentences about single hubs for a reply, of which the first few are kept.
#[derive(Debug, Default)]
pub(super) struct Notes {
    kept: Vec<String>,
    more: usize,
}

impl Notes {
    /// One about no hub, or about the only one that a command is about.
    pub(super) fn add(&mut self, sentence: String) {
        self.kept.push(sentence);
    }

    /// One about one of many hubs.
    pub(super) fn of_hub(&mut self, sentence: impl FnOnce() -> String) {
        match self.kept.len() < EACH {
            true => self.kept.push(sentence()),
            false => self.more += 1,
        }
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} like these", many(self.more, "note")));
        }
        self.kept
    }
}

/// What the log says of hubs whose answer has changed.
pub(crate) fn switched(switch: &Switch) -> Vec<LogLine> {
    if switch.changes.len() <= EACH {
        return switch.changes.iter().map(|change| one(switch, change)).collect();
    }
    let mut alike: Vec<(&Change, usize, bool)> = Vec::new();
    for change in &switch.changes {
        let known = alike.iter_mut().find(|(first, ..)| same(first, change));
        match known {
            Some((first, count, shared)) => {
                *count += 1;
                *shared &= first.reason == change.reason;
            }
            None => alike.push((change, 1, true)),
        }
    }
    let line = |(first, count, shared): (&Change, usize, bool)| {
        let whose = match shared {
            true => String::new(),
            false => format!("one of their reasons, {}'s: ", name(switch, first)),
        };
        let what = what(first);
        let sentence =
            format!("{}{what}: {whose}{}; `concierge history` has each of them", many(count, "hub"), first.reason);
        let region = Some(first.after.active.clone());
        LogLine { region, ..LogLine::new(level(first), "switch", sentence) }
    };
    alike.into_iter().map(line).collect()
}

fn same(one: &Change, other: &Change) -> bool {
    fn from(change: &Change) -> Option<&RegionName> {
        change.before.as_ref().map(|before| &before.active)
    }
    // Hubs that move together share what stood and what stands.
    let before = || match (&one.before, &other.before) {
        (Some(one), Some(other)) if Arc::ptr_eq(one, other) => true,
        _ => from(one) == from(other),
    };
    let after = || {
        Arc::ptr_eq(&one.after, &other.after)
            || (one.after.active == other.after.active && one.after.all == other.after.all)
    };
    one.kind == other.kind && after() && before()
}

fn name(switch: &Switch, change: &Change) -> Name {
    // Every change is of a hub that the roster knows.
    switch.roster.name(change.hub).cloned().unwrap_or_else(Name::root)
}

fn level(change: &Change) -> Level {
    if change.before.is_some() { Level::Warn } else { Level::Info }
}

/// What changes, to be said after one hub or many.
fn what(change: &Change) -> String {
    let active = &change.after.active;
    match (change.kind, &change.before) {
        (ChangeKind::Answer, _) => String::new(),
        (ChangeKind::Switch, Some(before)) => format!(": {} -> {active}", before.active),
        (ChangeKind::Switch, None) => format!(": {active} is active"),
    }
}

fn one(switch: &Switch, change: &Change) -> LogLine {
    let hub = name(switch, change);
    let line = |sentence| LogLine { hub: Some(hub.clone()), ..LogLine::new(level(change), "switch", sentence) };
    let Change { kind, reason, after, .. } = change;
    match kind {
        ChangeKind::Answer => line(format!("{hub}: {reason}")),
        ChangeKind::Switch => LogLine {
            region: Some(after.active.clone()),
            epoch: Some(after.epoch),
            ..line(format!("{hub}{}, epoch {}: {reason}", what(change), after.epoch))
        },
    }
}
