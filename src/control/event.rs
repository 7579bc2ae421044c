//! What the one writer is told, and what it wants done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::change::Switch;
use super::fact::{Fact, FactKey};
use super::mark::{Mark, MarkTarget};
use super::moves::MoveOptions;
use super::push::Verdict;
use super::report::{AuditKind, AuditRecord, Moved};
use super::roster::HubId;
use crate::answer::snapshot::{Choice, Content};
use crate::dns::Name;
use crate::gate::{Evidence, FenceCall, Fenced};
use crate::health::{Health, Observation};
use crate::policy::{Gate, GateName, Policy, Probe, ProbeName, ProbeTarget, RegionName};
use crate::time::Timestamp;

/// Everything that can change an answer.
#[derive(Debug)]
pub enum Event {
    /// What probers saw since the last event, in the order in which it came.
    Observations(Vec<Observation>),
    /// Probers that had ended by themselves were started again; the count since the start.
    ProbersRestarted(u64),
    /// An operator wants something.
    Command {
        /// What.
        command: Command,
        /// Who.
        author: Author,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// New zones and policy have been read and compiled, or have been refused.
    Loaded {
        /// The result.
        loaded: Result<Loaded, LoadFailure>,
        /// Who asked for it.
        author: Author,
        /// Who waits for it; a signal has nobody.
        reply: Option<ReplyTo>,
    },
    /// Database files had changed: what is answered with clients classed by them, or why they could not be read.
    Classed {
        /// The result: one sentence for each problem.
        content: Result<Arc<Content>, Vec<String>>,
        /// The files as they were found.
        stamps: Stamps,
    },
    /// A gate was looked at.
    Gate(Evidence),
    /// A region that is left was told, or could not be.
    Fenced(Fenced),
    /// The clock was set forward, or the machine has slept: what lies between `from` and this moment was not lived through.
    Jumped {
        /// The moment from which it went.
        from: Timestamp,
    },
    /// Time has passed.
    Tick,
}

/// Which of the loop's waiting callers a reply is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplyTo(pub u64);

/// Who gave a command, and by which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name that the operator gave, or the account's.
    pub name: String,
    /// Where the command came from: `unix socket, uid 0`, `signal`.
    pub origin: String,
}

impl Author {
    /// The daemon itself.
    pub fn daemon() -> Self {
        Self { name: "concierge".into(), origin: "daemon".into() }
    }
}

/// What an operator can ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Mark a region or an endpoint.
    Mark {
        /// What is marked.
        target: MarkTarget,
        /// `up`, `down` or `drain`.
        kind: crate::policy::MarkKind,
        /// Why.
        reason: String,
        /// When the mark begins; `None`: at once. One that begins later is a window, and needs an end.
        from: Option<Timestamp>,
        /// When the mark ends.
        until: Option<Timestamp>,
    },
    /// Take a window away, whether it has begun or not.
    CloseWindow {
        /// Its number.
        id: String,
        /// Why.
        reason: String,
    },
    /// Take a mark away.
    Unmark {
        /// What was marked.
        target: MarkTarget,
        /// Why.
        reason: String,
    },
    /// Make a region active.
    Failover {
        /// The hub.
        hub: Name,
        /// The region.
        to: RegionName,
        /// How.
        options: MoveOptions,
        /// Why.
        reason: String,
    },
    /// Make the preferred region active.
    Failback {
        /// The hub.
        hub: Name,
        /// How.
        options: MoveOptions,
        /// Why.
        reason: String,
    },
    /// Approve a move that another operator asked for.
    Approve {
        /// The hub.
        hub: Name,
        /// The epoch that it was planned at; `None`: whatever it is.
        epoch: Option<u64>,
    },
    /// Stop a move that has not switched yet.
    Cancel {
        /// The hub.
        hub: Name,
        /// The epoch that it was planned at; `None`: whatever it is.
        epoch: Option<u64>,
        /// Why.
        reason: String,
    },
    /// Give the acknowledgement that a gate asks for.
    AckGate {
        /// The hub.
        hub: Name,
        /// The gate.
        gate: GateName,
        /// Why.
        reason: String,
        /// When it ends, if the epoch has not changed before.
        until: Option<Timestamp>,
    },
    /// Have a canary's endpoint in the active region count as dark, to see what comes of it.
    Drill {
        /// The hub.
        hub: Name,
        /// The region; `None`: the active one.
        region: Option<RegionName>,
        /// When it is given up by itself; `None`: as late as may be.
        within: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// End a drill.
    EndDrill {
        /// The hub.
        hub: Name,
        /// Why.
        reason: String,
    },
    /// Tell how endpoints are that a probe of kind `push` watches.
    Report {
        /// The probe.
        probe: ProbeName,
        /// A region, or one endpoint.
        of: MarkTarget,
        /// How they are.
        verdict: Verdict,
    },
    /// Acknowledge that a hub has been flapping, or that something was overridden.
    Acknowledge {
        /// The hub.
        hub: Name,
        /// Why.
        reason: String,
    },
    /// Keep in the audit trail that another process is to take over, or what came of it.
    Upgrade {
        /// The sentence.
        sentence: String,
    },
}

/// Database files as they were found, by path; `None` where there was no such file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(pub Vec<(PathBuf, Option<Stamp>)>);

/// A file as it was found: when it last changed, its length and its inode.
pub type Stamp = (std::time::SystemTime, u64, u64);

/// Zones and policy, read and compiled.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policy.
    pub policy: Arc<Policy>,
    /// What is answered.
    pub content: Arc<Content>,
    /// Warnings, as one-line sentences.
    pub warnings: Vec<String>,
    /// How long reading and checking the files took.
    pub read: Duration,
    /// How long the compilation took.
    pub compile: Duration,
    /// The database files as they were found.
    pub stamps: Stamps,
}

/// Why new zones and policy were refused: one sentence for each problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFailure {
    /// The problems, as one-line sentences with file, line and column.
    pub problems: Vec<String>,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Make this durable before anything that follows.
    Commit(Commit),
    /// Answer from this from here on, and wait until nothing is answered from an older one.
    Publish(Arc<Content>, Box<[Choice]>),
    /// Probe these, and no others.
    Probe {
        /// What is probed, and how.
        wanted: BTreeMap<ProbeTarget, Arc<Probe>>,
        /// The health, from before the daemon started or the target was taken away, of those that are added.
        remembered: BTreeMap<ProbeTarget, Health>,
    },
    /// Observe these at once, without waiting for their time.
    Look(BTreeSet<ProbeTarget>),
    /// Look at these gates, and at no others.
    Gates(BTreeMap<GateName, Arc<Gate>>),
    /// Tell a region that it is no longer active.
    Fence(FenceCall),
    /// Answer the caller.
    Reply(ReplyTo, Result<Moved, CommandError>),
    /// Say it to the operators.
    Log(LogLine),
    /// Say to the operators what a switch has done: the lines are made when nobody waits for them.
    Tell(Arc<Switch>),
}

/// One durable transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// Hubs that are seen for the first time.
    pub named: Vec<(HubId, Name)>,
    /// Marks that change: before and after.
    pub marks: Vec<(MarkTarget, Option<Mark>, Option<Mark>)>,
    /// Health that changed.
    pub health: Vec<(ProbeTarget, Health)>,
    /// Facts that change: before and after. One fact may change several times.
    pub facts: Vec<(FactKey, Option<Fact>, Option<Fact>)>,
    /// What the audit trail says of it, beside what it says of hubs; it comes before that.
    pub audit: Vec<AuditRecord>,
    /// The hubs whose standing changes, and the audit trail's record of each.
    pub switch: Option<Arc<Switch>>,
}

impl Commit {
    /// Whether there is nothing to make durable.
    pub fn is_empty(&self) -> bool {
        let Self { named, marks, health, facts, audit, switch } = self;
        let nothing_changes = named.is_empty() && marks.is_empty() && health.is_empty() && facts.is_empty();
        nothing_changes && audit.is_empty() && switch.is_none()
    }

    /// Everything that the audit trail says of it; the store gives the numbers.
    pub fn records(&self) -> impl Iterator<Item = AuditRecord> {
        let switched = self.switch.iter().flat_map(|switch| switch.records());
        self.naming().into_iter().chain(self.audit.iter().cloned()).chain(switched)
    }

    /// What the audit trail says of the hubs that are seen for the first time, before it says anything else of them. It
    /// was when they got their first region, and whoever brought that about.
    pub fn naming(&self) -> Option<AuditRecord> {
        let (first, more) = self.named.split_first()?;
        let at = self.switch.as_ref().map(|switch| switch.at).or(self.audit.first().map(|record| record.at));
        let author = self.switch.as_ref().map_or_else(Author::daemon, |switch| switch.author.clone());
        Some(naming(at.unwrap_or_default(), author, &first.1, more.len()))
    }
}

/// An audit record of hubs that get a number: `first` and so many `others`.
pub(super) fn naming(at: Timestamp, author: Author, first: &Name, others: usize) -> AuditRecord {
    let subject = match others {
        0 => first.to_string(),
        _ => super::reason::many(others + 1, "hub"),
    };
    let reason = match others {
        0 => "the store means it by its number".into(),
        _ => format!("the store means {first} and {} by their numbers", super::reason::many(others, "other")),
    };
    AuditRecord {
        sequence: 0,
        at,
        kind: AuditKind::Hubs,
        subject,
        author: author.name,
        origin: author.origin,
        epoch: None,
        before: None,
        after: None,
        reason,
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It names something that is not there.
    #[error("{0}")]
    NotFound(String),
    /// It would do what is never done.
    #[error("{0}")]
    Refused(String),
    /// The files were refused; one sentence for each problem.
    #[error("reload refused, the running answers stay as they are:\n{}", .0.join("\n"))]
    Rejected(Vec<String>),
    /// The store could not make it durable.
    #[error("nothing was changed: {0}")]
    Store(String),
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
    /// Another process has taken over.
    #[error("nothing was changed: another process has taken over in this moment; repeat the command")]
    HandedOver,
}

/// How loud a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A change that an operator would want to see, once.
    Info,
    /// Somebody may have to act.
    Warn,
    /// The job is not being done.
    Error,
}

/// One line of the log, before it is formatted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How loud.
    pub level: Level,
    /// The sentence.
    pub sentence: String,
    /// What kind of event: `switch`, `health`, `mark`, `hold`, `reload`, `prober`, `gate`, `fence`, `move`,
    /// `blind`, `override`, `drill`.
    pub event: &'static str,
    /// The hub that it is about.
    pub hub: Option<Name>,
    /// The region that it is about.
    pub region: Option<RegionName>,
    /// The hub's epoch.
    pub epoch: Option<u64>,
}

impl LogLine {
    /// A line about nothing in particular.
    pub fn new(level: Level, event: &'static str, sentence: String) -> Self {
        Self { level, sentence, event, hub: None, region: None, epoch: None }
    }

    /// Whether it tells of what is so, and not of what was done: then it is true even when nothing could be made durable.
    pub fn is_measured(&self) -> bool {
        matches!(self.event, "health" | "prober" | "hold" | "all-down" | "refused" | "blind" | "gate")
    }
}
