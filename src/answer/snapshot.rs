//! What every worker reads: two levels, so that a switch costs the hubs and not the zones.

use std::sync::Arc;

/// Everything that answers are made of, immutable. Replaced whole, by [`publish`](super::publish).
#[derive(Debug)]
pub struct Snapshot {
    /// Counts publications, from 1; the order of snapshots.
    pub generation: u64,
    /// Zones and hub answers: large, compiled at load, shared between snapshots.
    pub content: Arc<Content>,
    /// What each hub answers with, by the hub's position in the policy's order: small, replaced by a switch.
    pub choices: Box<[Choice]>,
}

/// What one hub answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The endpoint at this position of the hub.
    Endpoint(u16),
    /// The addresses of all endpoints: `when_all_down = "all"`.
    All,
}

/// Zones and the answers of every hub for every choice.
#[derive(Debug, Default)]
pub struct Content {}
