//! The one place of this module that calls the answer engine.

pub(super) use crate::answer::respond::{Outcome, Rules, Terms, Transport};

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::cookies::Cookies;
use super::limiter::Limiter;
use crate::answer::client::Client;
use crate::answer::cookie::Jar;
use crate::answer::respond::{refuse, respond};
use crate::answer::snapshot::Snapshot;
use crate::config::Denial;

/// The form of [`respond`]: tests of what must hold when an engine misbehaves put another in its place.
pub(super) type Respond = fn(&Snapshot, &[u8], Client, Transport, &Terms<'_>, &mut Vec<u8>) -> Outcome;

/// The answer engine with the rules that are configured.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) respond: Respond,
    pub(super) rules: Arc<Rules>,
    /// Without them cookies are not looked at.
    pub(super) jars: Option<Jars>,
    /// Who may say whom it asks for.
    pub(super) trust: Trust,
    /// Where there is none, everybody is answered.
    pub(super) limiter: Option<Arc<Limiter>>,
}

/// Gives what cookies are judged by.
#[derive(Clone)]
pub(super) struct Jars(Arc<dyn Fn() -> Jar + Send + Sync>);

impl Jars {
    fn of(cookies: Arc<Cookies>) -> Self {
        Self(Arc::new(move || cookies.jar()))
    }
}

impl fmt::Debug for Jars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jars")
    }
}

/// The prefixes of those whose word on whom they ask for is taken (RFC 7871 11.3).
#[derive(Clone, Debug, Default)]
pub(super) struct Trust(Arc<[IpNet]>);

impl Trust {
    pub(super) fn of(prefixes: &[IpNet]) -> Self {
        Self(prefixes.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
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
    pub(super) fn new(rules: Rules, cookies: Option<Arc<Cookies>>, trust: Trust) -> Self {
        Self { respond, rules: Arc::new(rules), jars: cookies.map(Jars::of), trust, limiter: None }
    }

    /// What holds for the queries of a batch. Costs nothing unless a query needs it; to be let go with the batch, for the secrets
    /// of cookies and the time are those of its first query with a cookie.
    #[inline]
    pub(super) fn terms(&self) -> Terms<'_> {
        Terms::new(&self.rules, self.jars.as_ref().map(|jars| &*jars.0))
    }

    /// Whether a client is not let in.
    pub(super) fn drops(&self, client: Client) -> bool {
        self.limiter.as_ref().is_some_and(|limiter| limiter.drops(client))
    }

    /// How long the next query of a client on a stream has to wait, if it has to.
    #[inline]
    pub(super) fn wait(&self, client: Client) -> Option<Duration> {
        self.limiter.as_ref()?.wait(client)
    }

    /// Answers one query of `client`, on a stream, by itself; what `response` held before is overwritten. Over UDP a
    /// [`Limiter`] answers, where there is one.
    pub(super) fn answer_one(
        &self,
        snapshot: &Snapshot,
        query: &[u8],
        client: Client,
        transport: Transport,
        response: &mut Vec<u8>,
    ) -> Outcome {
        match self.limiter.as_ref().and_then(|limiter| limiter.denial(client)) {
            None => self.answer(snapshot, query, client, transport, &self.terms(), response),
            Some(Denial::Refuse) => refuse(snapshot, query, client, transport, &self.terms(), response),
            Some(Denial::Drop) => Outcome::Silence,
        }
    }

    /// [`Engine::answer_one`] as one of a batch.
    #[inline]
    pub(super) fn answer(
        &self,
        snapshot: &Snapshot,
        query: &[u8],
        client: Client,
        transport: Transport,
        terms: &Terms<'_>,
        response: &mut Vec<u8>,
    ) -> Outcome {
        (self.respond)(snapshot, query, client, transport, terms, response)
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
