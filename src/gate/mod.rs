//! Gates and fences: what is asked of the world around a switch.
//!
//! A gate is looked at in the background, whether a move is wanted or not; what was seen is [`Evidence`]. A fence is called
//! before a switch ([`FenceCall`]) and answers with an acknowledgement or not ([`Fenced`]). Whether a move passes is
//! decided by the control core, from these values alone.
//!
//! [`run`] looks at the gates and [`fence`] calls the fences: both are shells, each look and each call is a task of its own,
//! and none waits for another but for the budgets of 32 looks and 64 calls at once. Sentences are one line of at most 256
//! characters without control characters, whatever a program or a server says, and name of a URL its host and port alone.
//!
//! Deliberately absent: what a gate decides, and any memory of what was seen. A gate that cannot be looked at is shut.

mod exec;
pub mod fence;
pub(crate) mod http;
pub(crate) mod line;
pub mod run;

use std::sync::Arc;

use crate::dns::Name;
use crate::policy::{Fence, GateName, RegionName};
use crate::time::Timestamp;

/// What one look at a gate saw.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// The gate.
    pub gate: GateName,
    /// When the look was complete.
    pub at: Timestamp,
    /// Whether the condition holds.
    pub open: bool,
    /// What was seen, in the gate's own words.
    pub sentence: Arc<str>,
}

/// A region is to be told that it is no longer active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceCall {
    /// The hub that moves.
    pub hub: Name,
    /// The region that is left.
    pub from: RegionName,
    /// The region that becomes active.
    pub to: RegionName,
    /// The epoch that the switch will have.
    pub epoch: u64,
    /// Why the hub moves.
    pub reason: Arc<str>,
    /// What is called, and for how long at most.
    pub fence: Arc<Fence>,
}

/// What came of a [`FenceCall`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fenced {
    /// The hub.
    pub hub: Name,
    /// The region that was to become active.
    pub to: RegionName,
    /// The epoch that the switch was to have.
    pub epoch: u64,
    /// Whether the region has acknowledged.
    pub acknowledged: bool,
    /// What it said, or what went wrong.
    pub sentence: Arc<str>,
}
