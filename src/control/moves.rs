//! Planned moves: what an operator asks for, carried out by the daemon stage by stage.
//!
//! ```text
//!            a second operator          the moment                  the old TTL has passed
//!  Approval ───────────────────► Scheduled ─────────► Ramp ────────────────────────► Ready
//!     │                              │                  │                              │ gates, budget and rules agree,
//!     │                              │                  │                              │ the old region has been told
//!     └──────────────┬───────────────┴──────────────────┴──────────────────┐           ▼
//!                    ▼                                                     ▼         Drain ───► Done
//!                 Stopped: not approved in time, cancelled, overtaken, refused   (switched: there is no way back but a move)
//! ```
//!
//! A move is a durable fact of its hub. The clock and the events of the one writer drive it, so that whoever asked for it
//! may go away, and a daemon that was killed goes on where it was. What switches and what says that it has switched are
//! one transaction: a move is applied once or not at all. Until then nothing has changed but the TTL, and stopping it
//! leaves everything as it was.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reason::many;
use crate::dns::Name;
use crate::policy::{Cause, Hub, Objection, RegionName};
use crate::time::{Timestamp, human};

/// How an operator wants a move to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveOptions {
    /// The epoch that it was planned at; `None`: whatever it is.
    pub epoch: Option<u64>,
    /// When the switch is to be; `None`: as soon as it can be.
    pub at: Option<Timestamp>,
    /// When it is given up, if it has not switched before.
    pub until: Option<Timestamp>,
    /// Whether the TTL is not lowered first.
    pub now: bool,
    /// Whether gates, and a fence that has failed, are overridden.
    pub force: bool,
    /// Why the budget and safety rules are overridden; `None`: they are not.
    pub break_glass: Option<String>,
}

impl MoveOptions {
    /// Whether a move with the other options is done alike. Times do not tell: those that count from the moment of the
    /// command are others each time.
    pub fn are_like(&self, other: &Self) -> bool {
        let how = |options: &Self| (options.now, options.force, options.break_glass.is_some());
        how(self) == how(other)
    }
}

/// A planned move of one hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The region that is left.
    pub from: RegionName,
    /// The region that becomes active.
    pub to: RegionName,
    /// `failover` or `failback`.
    pub cause: Cause,
    /// The epoch that it was planned at.
    pub epoch: u64,
    /// Who asked for it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it was asked for.
    pub asked: Timestamp,
    /// How it is to be done.
    pub options: MoveOptions,
    /// Who has approved it, whoever asked for it first.
    pub approvals: Vec<Approval>,
    /// How many operators it needs.
    pub needed: u8,
    /// How far it is.
    pub stage: Stage,
}

/// One operator's word for a move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub author: String,
    /// By which way.
    pub origin: String,
    /// When.
    pub at: Timestamp,
}

/// How far a move is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
pub enum Stage {
    /// It waits for another operator.
    Approval {
        /// When it is given up.
        until: Timestamp,
    },
    /// It waits for its time.
    Scheduled {
        /// When the TTL is lowered.
        until: Timestamp,
    },
    /// The TTL is low, and answers with the old one are waited out.
    Ramp {
        /// When it was lowered.
        since: Timestamp,
        /// When the last answer with the old one is over.
        until: Timestamp,
    },
    /// It switches as soon as nothing holds it.
    Ready {
        /// Since when.
        since: Timestamp,
        /// Whether the TTL has been low for as long as the old one.
        ramped: bool,
        /// What holds it.
        held: Option<String>,
    },
    /// It has switched, and resolvers follow.
    Drain {
        /// When it switched.
        switched: Timestamp,
        /// When the last answer of before is over, for resolvers that keep to the TTL.
        until: Timestamp,
    },
    /// It is over.
    Done {
        /// When it switched.
        switched: Timestamp,
        /// When it was over.
        at: Timestamp,
    },
    /// It was given up, and nothing was switched.
    Stopped {
        /// When.
        at: Timestamp,
        /// Why.
        why: String,
    },
}

impl Stage {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Approval { .. } => "approval",
            Self::Scheduled { .. } => "scheduled",
            Self::Ramp { .. } => "ramp",
            Self::Ready { .. } => "ready",
            Self::Drain { .. } => "drain",
            Self::Done { .. } => "done",
            Self::Stopped { .. } => "stopped",
        }
    }

    /// Whether it can still be stopped, with nothing switched.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Drain { .. } | Self::Done { .. } | Self::Stopped { .. })
    }

    /// Whether the TTL is to be low.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Ramp { .. } | Self::Ready { .. } | Self::Drain { .. })
    }

    /// When it ends by itself.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Approval { until }
            | Self::Scheduled { until }
            | Self::Ramp { until, .. }
            | Self::Drain { until, .. } => Some(*until),
            Self::Ready { .. } | Self::Done { .. } | Self::Stopped { .. } => None,
        }
    }
}

impl Move {
    /// Which one it is: `hub.example.net.: failover weu -> neu by alice (storage upgrade), planned at epoch 7`.
    pub fn planned(&self, hub: &Name) -> String {
        let Self { from, to, cause, author, reason, epoch, .. } = self;
        format!("{hub}: {} {from} -> {to} by {author} ({reason}), planned at epoch {epoch}", cause.word())
    }

    /// It in words: what, by whom, and how far it is.
    pub fn sentence(&self, hub: &Hub, now: Timestamp) -> String {
        let Self { from, to, cause, author, reason, needed, approvals, .. } = self;
        let what = format!("{}: {} {from} -> {to} by {author} ({reason})", hub.name, cause.word());
        let left = |until: &Timestamp| human(until.since(now));
        let stage = match &self.stage {
            Stage::Approval { until } => {
                format!("waits until {until} for {} more", many(usize::from(*needed) - approvals.len(), "approval"))
            }
            Stage::Scheduled { until } => format!("begins at {until}"),
            Stage::Ramp { until, .. } => format!(
                "the TTL is {}, and answers with the old one of {} are waited out: {} more",
                human(hub.ttl_min),
                human(hub.ttl),
                left(until)
            ),
            Stage::Ready { held: None, .. } => "about to switch".into(),
            Stage::Ready { held: Some(held), .. } => match self.options.until {
                Some(until) => format!("waits, until {until} at most: {held}"),
                None => format!("waits: {held}"),
            },
            Stage::Drain { until, .. } => {
                format!("switched; resolvers that keep to the TTL follow within {}", left(until))
            }
            Stage::Done { switched, .. } => format!("done, switched at {switched}"),
            Stage::Stopped { why, .. } => format!("stopped, and nothing was switched: {why}"),
        };
        format!("{what}: {stage}")
    }
}

/// Whether the operator has said to go on all the same.
pub(super) fn overridden(objection: &Objection, options: &MoveOptions) -> bool {
    match objection.is_safety() {
        true => options.break_glass.is_some(),
        false => options.force,
    }
}

/// How long the TTL is lowered before the switch.
pub(super) fn ramp(hub: &Hub, options: &MoveOptions) -> Duration {
    match options.now || hub.ttl_min >= hub.ttl {
        true => Duration::ZERO,
        false => hub.ttl,
    }
}

/// When a move that begins now can switch.
pub(super) fn earliest(hub: &Hub, options: &MoveOptions, now: Timestamp) -> Timestamp {
    now.after(ramp(hub, options)).max(options.at.unwrap_or(now))
}

/// The stage that a move begins with once it is approved.
pub(super) fn first_stage(hub: &Hub, options: &MoveOptions, now: Timestamp) -> Stage {
    let ramp = ramp(hub, options);
    let switches = earliest(hub, options, now);
    let begins = Timestamp(switches.0.saturating_sub(u64::try_from(ramp.as_millis()).unwrap_or(u64::MAX)));
    match (begins > now, ramp.is_zero()) {
        (true, _) => Stage::Scheduled { until: begins },
        (false, true) => Stage::Ready { since: now, ramped: false, held: None },
        (false, false) => Stage::Ramp { since: now, until: switches },
    }
}
