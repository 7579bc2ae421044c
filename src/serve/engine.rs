//! The one place of this module that calls the answer engine.

pub(super) use crate::answer::respond::{Outcome, ResponseLimits, Transport};

use crate::answer::client::Client;
use crate::answer::respond::respond;
use crate::answer::snapshot::Snapshot;

/// The form of [`respond`]: tests of what must hold when an engine misbehaves put another in its place.
pub(super) type Respond = fn(&Snapshot, &[u8], Client, Transport, &ResponseLimits, &mut Vec<u8>) -> Outcome;

/// The answer engine with the limits that are configured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Engine {
    pub(super) respond: Respond,
    pub(super) limits: ResponseLimits,
}

impl Engine {
    pub(super) fn new(limits: ResponseLimits) -> Self {
        Self { respond, limits }
    }

    /// Answers one query of `client`; what `response` held before is overwritten.
    pub(super) fn answer_one(
        &self,
        snapshot: &Snapshot,
        query: &[u8],
        client: Client,
        transport: Transport,
        response: &mut Vec<u8>,
    ) -> Outcome {
        (self.respond)(snapshot, query, client, transport, &self.limits, response)
    }
}
