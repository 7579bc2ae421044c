//! The one place of this module that calls the answer engine.

use crate::answer::snapshot::Snapshot;
use crate::dns::Rcode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseLimits {
    pub(super) max_udp_bytes: u16,
}

pub(super) enum Outcome {
    Reply { rcode: Rcode, truncated: bool },
    Silence,
}

pub(super) fn respond(
    _snapshot: &Snapshot,
    query: &[u8],
    _transport: Transport,
    _limits: &ResponseLimits,
    response: &mut Vec<u8>,
) -> Outcome {
    response.clear();
    if query.len() < 12 || query[2] & 0x80 != 0 {
        return Outcome::Silence;
    }
    response.extend_from_slice(query);
    response[2] |= 0x80;
    response[3] = 5;
    Outcome::Reply { rcode: Rcode::REFUSED, truncated: false }
}

/// A query in, a response out.
pub(super) type Respond = fn(&Snapshot, &[u8], Transport, &ResponseLimits, &mut Vec<u8>) -> Outcome;

/// The answer engine with the limits that it was configured with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Engine {
    /// [`respond`] but in tests of what must happen when it misbehaves.
    pub(super) respond: Respond,
    pub(super) limits: ResponseLimits,
}

impl Engine {
    /// Answers one query; `response` is overwritten.
    pub(super) fn answer_one(
        &self,
        snapshot: &Snapshot,
        query: &[u8],
        transport: Transport,
        response: &mut Vec<u8>,
    ) -> Outcome {
        (self.respond)(snapshot, query, transport, &self.limits, response)
    }
}
