//! What one event leads to, while it is being worked out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::change::{Change, Together};
use super::event::{Author, CommandError, Commit, Level, LogLine, ReplyTo};
use super::reason::Facts;
use super::report::{AuditKind, AuditRecord, Moved, UsableChange};
use super::told::{Notes, Told};
use crate::gate::FenceCall;
use crate::health::Health;
use crate::policy::{EndpointView, GateView, ProbeTarget};
use crate::time::Timestamp;

/// What one event leads to, while it is being worked out.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) now: Timestamp,
    pub(super) author: Author,
    /// Positions of the hubs that have to be decided anew; any may be there twice.
    pub(super) touched: Vec<u32>,
    pub(super) commit: Commit,
    pub(super) changes: Vec<Change>,
    /// Hubs without an active region that answer out of another set.
    pub(super) usable: Vec<UsableChange>,
    pub(super) notes: Notes,
    pub(super) log: Vec<LogLine>,
    pub(super) told: Told,
    pub(super) probes: bool,
    pub(super) remembered: BTreeMap<ProbeTarget, Health>,
    pub(super) publish: bool,
    pub(super) reply: Option<(ReplyTo, Pending)>,
    pub(super) sentences: Sentences,
    pub(super) together: Together,
    /// What is known of the endpoints of the hub at hand.
    pub(super) views: Vec<EndpointView>,
    /// The gates of the hub at hand.
    pub(super) gates: Vec<GateView>,
    /// By endpoint of the hub at hand: the safety rule that a move there would break.
    pub(super) broken: Vec<Option<u32>>,
    /// By safety rule: how many of its endpoints are active, where that was counted.
    pub(super) counts: HashMap<u32, u32>,
    /// Whether a hub has moved that safety rules are about: what they hold may be free.
    pub(super) recounted: bool,
    /// Positions of the probe targets to be looked at at once.
    pub(super) looks: BTreeSet<u32>,
    /// Regions to be told that they are no longer active.
    pub(super) fences: Vec<FenceCall>,
}

/// Sentences by the facts that they tell, so that hubs that change for the same facts share one.
#[derive(Debug, Default)]
pub(super) struct Sentences {
    known: HashMap<Facts, Arc<str>>,
    last: Option<(Facts, Arc<str>)>,
}

impl Sentences {
    pub(super) fn of(&mut self, facts: Facts, say: impl FnOnce() -> String) -> Arc<str> {
        if let Some((_, sentence)) = self.last.as_ref().filter(|(last, _)| *last == facts) {
            return sentence.clone();
        }
        let sentence = self.known.entry(facts.clone()).or_insert_with(|| say().into()).clone();
        self.last = Some((facts, sentence.clone()));
        sentence
    }
}

/// A reply that waits for the end of the turn.
#[derive(Debug)]
pub(super) enum Pending {
    Now(Result<Moved, CommandError>),
    /// A command was taken in: what moved is known once everything has been decided.
    Moved {
        summary: String,
        changed: bool,
    },
}

impl Turn {
    pub(super) fn new(now: Timestamp, author: Author) -> Self {
        Self {
            now,
            author,
            touched: Vec::new(),
            commit: Commit::default(),
            changes: Vec::new(),
            usable: Vec::new(),
            notes: Notes::default(),
            log: Vec::new(),
            told: Told::default(),
            probes: false,
            remembered: BTreeMap::new(),
            publish: false,
            reply: None,
            sentences: Sentences::default(),
            together: Together::default(),
            views: Vec::new(),
            gates: Vec::new(),
            broken: Vec::new(),
            counts: HashMap::new(),
            recounted: false,
            looks: BTreeSet::new(),
            fences: Vec::new(),
        }
    }

    pub(super) fn audit(&mut self, kind: AuditKind, subject: String, reason: &str) -> &mut AuditRecord {
        self.commit.audit.push(AuditRecord {
            sequence: 0,
            at: self.now,
            kind,
            subject,
            author: self.author.name.clone(),
            origin: self.author.origin.clone(),
            epoch: None,
            before: None,
            after: None,
            reason: reason.into(),
        });
        let at = self.commit.audit.len() - 1;
        &mut self.commit.audit[at]
    }

    /// An audit record of what nobody asked for at this moment.
    pub(super) fn audit_by_daemon(&mut self, kind: AuditKind, subject: String, reason: &str) -> &mut AuditRecord {
        let record = self.audit(kind, subject, reason);
        let Author { name, origin } = Author::daemon();
        (record.author, record.origin) = (name, origin);
        record
    }

    pub(super) fn say(&mut self, level: Level, event: &'static str, sentence: String) -> &mut LogLine {
        self.log.push(LogLine::new(level, event, sentence));
        let at = self.log.len() - 1;
        &mut self.log[at]
    }
}
