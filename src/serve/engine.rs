//! The one place of this module that calls the answer engine.

pub(super) use crate::answer::respond::{Outcome, ResponseLimits, Transport};

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::answer::client::Client;
use crate::answer::respond::respond;
use crate::answer::snapshot::Snapshot;

/// The form of [`respond`]: tests of what must hold when an engine misbehaves put another in its place.
pub(super) type Respond = fn(&Snapshot, &[u8], Client, Transport, &ResponseLimits, &mut Vec<u8>) -> Outcome;

/// The answer engine with the limits that are configured.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) respond: Respond,
    pub(super) limits: ResponseLimits,
    /// Who may say whom it asks for.
    pub(super) trust: Trust,
}

/// The prefixes of those whose word on whom they ask for is taken (RFC 7871 11.2).
#[derive(Clone, Debug, Default)]
pub(super) struct Trust(Arc<[IpNet]>);

impl Trust {
    pub(super) fn of(prefixes: &[IpNet]) -> Self {
        Self(prefixes.into())
    }

    /// The client at an address.
    #[inline]
    pub(super) fn client(&self, address: IpAddr) -> Client {
        let client = Client::at(address);
        match self.0.is_empty() {
            true => client,
            false => client.trusted(self.includes(address)),
        }
    }

    fn includes(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|prefix| prefix.contains(&address))
    }
}

impl Engine {
    pub(super) fn new(limits: ResponseLimits, trust: Trust) -> Self {
        Self { respond, limits, trust }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_in_a_prefix_are_trusted() {
        let trust = Trust::of(&["192.0.2.0/31", "2001:db8::53/128"].map(|prefix| prefix.parse().unwrap()));
        let check = |trust: &Trust, address: &str, expected| {
            let address: IpAddr = address.parse().unwrap();
            assert!(trust.client(address) == Client::at(address).trusted(expected), "{address}");
        };
        check(&trust, "192.0.2.1", true);
        check(&trust, "::ffff:192.0.2.1", true);
        check(&trust, "192.0.2.2", false);
        check(&trust, "2001:db8::53", true);
        check(&trust, "2001:db8::54", false);
        check(&Trust::default(), "192.0.2.1", false);
    }
}
