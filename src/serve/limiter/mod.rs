//! What is done about those who ask too much, or are not to ask: who is answered at all ([`access`]), how many queries of a
//! client are, and how many responses of a class go to a network over UDP ([`buckets`]). Off, unless configured: there is
//! then no limiter, and a query passes one branch.
//!
//! ```text
//!  UDP:     access ─► answer ─► queries of the client ─► responses of the class to the network ─► send
//!             └► REFUSED, or nothing     └► nothing         └► nothing, or TC (slip)
//!  streams: queries of the client ─► access ─► answer ─► send
//!             └► wait, not read on      └► REFUSED, or closed
//! ```
//!
//! Over UDP anybody can ask in the name of another. A client with a valid cookie has a budget of its own that nobody else can
//! use up, and its responses are not limited. Over streams an address is not forged either.
//!
//! Nothing is locked, allocated or logged: memory is what the tables have from the start.
//!
//! I/O shell: reads a clock, which is an argument in tests.
#![expect(clippy::disallowed_methods, reason = "I/O shell: clock")]

mod access;
mod buckets;

use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::access::Access;
use self::buckets::{Buckets, Rate, Taken};
use super::clients::Prefixes;
use super::engine::{Engine, Outcome, Terms, Transport};
use crate::answer::class::Class;
use crate::answer::client::Client;
use crate::answer::cookie::Cookie;
use crate::answer::cut::cut;
use crate::answer::respond::refuse;
use crate::answer::snapshot::Snapshot;
use crate::config::{Config, Denial, Limits, RateLimit};
use crate::dns::Rcode;

/// Octets of the table of clients' queries: for 131,072 that are busy.
const QUERIES: u32 = 1 << 20;

/// Least time for which a client on a stream waits that has sent too many queries: it may send as many more then, and many
/// connections of one client do not keep a worker busy with being told so.
const PAUSE: Duration = Duration::from_millis(100);

/// What is counted by several threads at once is counted apart.
const BLOCKS: usize = 16;

/// Time since some moment.
type Time = Box<dyn Fn() -> Duration + Send + Sync>;

/// All limits that are configured.
pub(super) struct Limiter {
    access: Option<Access>,
    queries: Option<Queries>,
    responses: Option<Responses>,
    time: Time,
    acted: Arc<Acted>,
}

/// Queries that a client may send, over all transports together.
struct Queries {
    buckets: Buckets,
    /// Clients without such a limit.
    unlimited: Prefixes,
}

/// Responses of a class that a network may be sent over UDP.
struct Responses {
    buckets: Buckets,
    /// Of those that are too many, every so many-th is sent truncated.
    slip: u8,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
    exempt: Prefixes,
}

/// What limiters have done, counted.
#[derive(Debug, Default)]
pub(super) struct Acted([Block; BLOCKS]);

/// On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Block([AtomicU64; Action::ALL.len()]);

/// What was done about a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was answered with REFUSED, for its client is denied.
    Refused,
    /// Nothing was done, for its client is denied.
    Denied,
    /// It was dropped, for its client has sent too many.
    QueryDropped,
    /// Its connection is not read on for a while, for its client has sent too many.
    QueryPaused,
    /// Its response was not sent: there are too many of its class.
    ResponseDropped,
    /// Of its response only the beginning was sent, with TC.
    ResponseTruncated,
}

impl Action {
    /// All, in the order of their numbers.
    const ALL: [Self; 6] = [
        Self::Refused,
        Self::Denied,
        Self::QueryDropped,
        Self::QueryPaused,
        Self::ResponseDropped,
        Self::ResponseTruncated,
    ];
}

/// How often each thing was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions([u64; Action::ALL.len()]);

impl Actions {
    /// How often this was done.
    pub fn of(&self, action: Action) -> u64 {
        self.0[action as usize]
    }
}

impl Limiter {
    /// As configured; `None` where nothing is limited.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let begun = Instant::now();
        let time = move || begun.elapsed();
        let access = Access::of(&config.access);
        let (queries, responses) = (Queries::of(&config.limits), Responses::of(&config.rate_limit));
        let some = access.is_some() || queries.is_some() || responses.is_some();
        some.then(|| Self { access, queries, responses, time: Box::new(time), acted: Arc::default() })
    }

    /// The same, at a time that a test says.
    #[cfg(test)]
    pub(super) fn at(self, time: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { time: Box::new(time), ..self }
    }

    /// The same, which counts there.
    pub(super) fn counting(self, acted: Arc<Acted>) -> Self {
        Self { acted, ..self }
    }

    /// Answers a query over UDP; `None` where no response is to be sent.
    #[inline(never)]
    pub(super) fn answer(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        query: &[u8],
        client: Client,
        terms: &Terms<'_>,
        response: &mut Vec<u8>,
    ) -> Option<Outcome> {
        let outcome = match self.denial(client) {
            None => engine.answer(snapshot, query, client, Transport::Udp, terms, response),
            Some(Denial::Refuse) => refuse(snapshot, query, client, Transport::Udp, terms, response),
            Some(Denial::Drop) => return None,
        };
        let Outcome::Reply { rcode, cookie, .. } = outcome else { return Some(outcome) };
        let (known, time) = (cookie == Cookie::Valid, (self.time)());
        if let Some(queries) = &self.queries
            && let Taken::Refused { .. } = queries.take(client, known, time)
        {
            return self.done(client, Action::QueryDropped);
        }
        let Some(responses) = self.responses.as_ref().filter(|_| !known) else { return Some(outcome) };
        match responses.take(client, Class { snapshot, rcode, response }, time) {
            Taken::Granted => Some(outcome),
            Taken::Refused { nth: false, .. } => self.done(client, Action::ResponseDropped),
            Taken::Refused { nth: true, .. } => {
                self.count(client, Action::ResponseTruncated);
                Some(truncated(outcome, response))
            }
        }
    }

    /// What a client on a stream has come to: answers, or something else.
    pub(super) fn denial(&self, client: Client) -> Option<Denial> {
        let access = self.access.as_ref().filter(|access| !access.allows(client))?;
        self.count(client, if access.denial == Denial::Refuse { Action::Refused } else { Action::Denied });
        Some(access.denial)
    }

    /// Whether a client on a stream is not even told that it may not ask.
    pub(super) fn drops(&self, client: Client) -> bool {
        let access = self.access.as_ref().filter(|access| access.denial == Denial::Drop && !access.allows(client));
        access.inspect(|_| self.count(client, Action::Denied)).is_some()
    }

    /// How long the next query of a client on a stream has to wait; one that need not is counted as its.
    pub(super) fn wait(&self, client: Client) -> Option<Duration> {
        match self.queries.as_ref()?.take(client, true, (self.time)()) {
            Taken::Granted => None,
            Taken::Refused { wait, .. } => {
                self.count(client, Action::QueryPaused);
                Some(wait.max(PAUSE))
            }
        }
    }

    fn done(&self, client: Client, action: Action) -> Option<Outcome> {
        self.count(client, action);
        None
    }

    fn count(&self, client: Client, action: Action) {
        let block = (client.draw(0) >> 32) as usize % BLOCKS;
        self.acted.0[block].0[action as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Acted {
    /// How often each thing was done.
    pub(super) fn sum(&self) -> Actions {
        let sum = |at: usize| self.0.iter().map(|block| block.0[at].load(Ordering::Relaxed)).sum();
        Actions(std::array::from_fn(sum))
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limiter")
    }
}

impl Queries {
    fn of(limits: &Limits) -> Option<Self> {
        let per_second = limits.queries_per_second_per_client;
        let rate = Rate { per_second, burst: per_second };
        let buckets = || Buckets::new(QUERIES, rate, RandomState::new());
        (per_second > 0).then(|| Self { buckets: buckets(), unlimited: Prefixes::of(&limits.unlimited) })
    }

    /// `known`: that the query is not in the name of somebody else.
    fn take(&self, client: Client, known: bool, time: Duration) -> Taken {
        match self.unlimited.include(client.ip()) {
            true => Taken::Granted,
            false => self.buckets.take((client.within(32, 64), known), time, 0),
        }
    }
}

impl Responses {
    fn of(limit: &RateLimit) -> Option<Self> {
        let RateLimit { responses_per_second: per_second, burst, slip, ipv4_prefix, ipv6_prefix, table, .. } = *limit;
        let buckets = || Buckets::new(table, Rate { per_second, burst }, RandomState::new());
        let exempt = Prefixes::of(&limit.exempt);
        (per_second > 0).then(|| Self { buckets: buckets(), slip, ipv4_prefix, ipv6_prefix, exempt })
    }

    fn take(&self, client: Client, class: Class<'_>, time: Duration) -> Taken {
        match self.exempt.include(client.ip()) {
            true => Taken::Granted,
            false => self.buckets.take((client.within(self.ipv4_prefix, self.ipv6_prefix), class), time, self.slip),
        }
    }
}

/// Sends the client to TCP: TC and no records. An error has none, and over TCP it is the same; it is sent as it is.
fn truncated(outcome: Outcome, response: &mut Vec<u8>) -> Outcome {
    match outcome {
        Outcome::Reply { rcode: rcode @ (Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN), cookie, .. } => {
            cut(response);
            // No hub: what the client was told of is nothing.
            Outcome::Reply { rcode, truncated: true, hub: None, cookie }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
