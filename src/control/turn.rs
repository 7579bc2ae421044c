//! What one event leads to, while it is being worked out.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Author, CommandError, Commit, Level, LogLine, Reply, ReplyTo};
use super::report::{AuditKind, AuditRecord, Switched};
use crate::dns::Name;
use crate::health::Health;
use crate::policy::ProbeTarget;
use crate::time::Timestamp;

/// What one event leads to, while it is being worked out.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) now: Timestamp,
    pub(super) author: Author,
    pub(super) touched: BTreeSet<Name>,
    pub(super) commit: Commit,
    pub(super) switched: Vec<Switched>,
    pub(super) notes: Vec<String>,
    pub(super) log: Vec<LogLine>,
    pub(super) probes: bool,
    pub(super) remembered: BTreeMap<ProbeTarget, Health>,
    pub(super) publish: bool,
    pub(super) reply: Option<(ReplyTo, Pending)>,
}

/// A reply that waits for the end of the turn.
#[derive(Debug)]
pub(super) enum Pending {
    Now(Result<Reply, CommandError>),
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
            touched: BTreeSet::new(),
            commit: Commit::default(),
            switched: Vec::new(),
            notes: Vec::new(),
            log: Vec::new(),
            probes: false,
            remembered: BTreeMap::new(),
            publish: false,
            reply: None,
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

    pub(super) fn say(&mut self, level: Level, event: &'static str, sentence: String) -> &mut LogLine {
        self.log.push(LogLine::new(level, event, sentence));
        let at = self.log.len() - 1;
        &mut self.log[at]
    }
}
