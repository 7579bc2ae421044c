//! What the sockets count: queries, responses, connections.
//!
//! Every worker has a block of its own on cache lines of its own. It counts a batch in a plain [`Tally`] and adds it to
//! its block at the end, relaxed, so that counting costs the query path no contention. [`Counters::totals`] sums the blocks when somebody asks; sums only grow.
//!
//! How they are shown (names, labels) is the business of the metrics endpoint, not of this module.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::limiter::{Acted, Actions};
use super::resolvers::{Comebacks, Resolvers};
use super::sockets::{Sockets, UdpSockets};
use super::tls::Identity;
use super::via::Via;
use crate::answer::cookie::Cookie;
use crate::dns::Rcode;
use crate::tap::{Shown, Tap};
use crate::time::Timestamp;

/// The response codes counted one by one; everything else is counted as `OTHER`.
const RCODES: [Rcode; 9] = [
    Rcode::NOERROR,
    Rcode::FORMERR,
    Rcode::SERVFAIL,
    Rcode::NXDOMAIN,
    Rcode::NOTIMP,
    Rcode::REFUSED,
    Rcode::YXDOMAIN,
    Rcode::BADVERS,
    Rcode::BADCOOKIE,
];

/// What a cookie may be worth, in the order of [`Cookie`], with its word.
const COOKIES: [&str; 4] = ["client", "valid", "bad", "malformed"];

/// Response codes, and one for the rest.
const KINDS: usize = RCODES.len() + 1;

/// All counters of the sockets, shared between the workers and whoever shows them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Taken when a worker starts and when somebody asks for the sums, never while answering.
    blocks: Mutex<Vec<(Via, Arc<Block>)>>,
    open: AtomicU64,
    accepted: AtomicU64,
    evicted: AtomicU64,
    timed_out: AtomicU64,
    accept_failures: AtomicU64,
    receive_failures: AtomicU64,
    restarts: AtomicU64,
    sockets: Sockets,
    addresses: AtomicU64,
    waiting: AtomicU64,
    resolvers: Resolvers,
    acted: Arc<Acted>,
    tap: Option<Arc<Tap>>,
    /// By transport and by [`Event`].
    events: [[AtomicU64; Event::COUNT]; Via::ALL.len()],
    /// Open at this moment, by transport; those of TCP and TLS are in `open`.
    connections: [AtomicU64; Via::ALL.len()],
    /// The certificate, once an encrypted listener has one.
    identity: OnceLock<Arc<Identity>>,
}

/// What happens to a connection, counted by transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was accepted.
    Accepted,
    /// Whoever began a handshake was told to prove their address first (Retry, RFC 9000 8.1.2).
    HandshakeRetried,
    /// A handshake was completed with a signature.
    HandshakeFull,
    /// A handshake was completed by a ticket.
    HandshakeResumed,
    /// A handshake was not completed: no protocol in common, or its time was over.
    HandshakeFailed,
    /// Closed: its client has as many as it may.
    RefusedClient,
    /// Closed: its client begins too many handshakes a second, or too many are under way.
    RefusedHandshake,
    /// Closed: as many as may be are open.
    RefusedLimit,
    /// Closed: it came from a proxy without the header that is required, or a malformed one.
    RefusedProxy,
}

impl Event {
    const COUNT: usize = 9;

    /// How handshakes go, with the label.
    pub const HANDSHAKES: [(Self, &'static str); 4] = [
        (Self::HandshakeRetried, "retried"),
        (Self::HandshakeFull, "full"),
        (Self::HandshakeResumed, "resumed"),
        (Self::HandshakeFailed, "failed"),
    ];

    /// Why a connection is refused, with the label.
    pub const REFUSALS: [(Self, &'static str); 4] = [
        (Self::RefusedClient, "client"),
        (Self::RefusedHandshake, "handshakes"),
        (Self::RefusedLimit, "limit"),
        (Self::RefusedProxy, "proxy"),
    ];
}

/// The sums at one moment. Everything only grows but what is open, granted, answered on or waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages over UDP.
    pub udp: Messages,
    /// Messages over TCP.
    pub tcp: Messages,
    /// Messages over TLS.
    pub tls: Messages,
    /// Messages over HTTPS, HTTP/1.1 and 2.
    pub https: Messages,
    /// Messages over QUIC.
    pub quic: Messages,
    /// Messages over HTTPS with HTTP/3.
    pub https3: Messages,
    /// What happened to connections, by transport and event.
    events: [[u64; Event::COUNT]; Via::ALL.len()],
    /// Connections open at this moment, by transport, but for TCP and TLS.
    open: [u64; Via::ALL.len()],
    /// The certificate of the encrypted listeners.
    pub certificate: Option<Certificate>,
    /// UDP sockets.
    pub udp_sockets: UdpSockets,
    /// Addresses that are answered on at this moment.
    pub addresses: u64,
    /// Addresses of a wildcard that cannot be answered on yet, and are tried again.
    pub addresses_waiting: u64,
    /// TCP connections.
    pub connections: Connections,
    /// Receiving from a UDP socket failed, other than for want of datagrams.
    pub receive_failures: u64,
    /// Workers started again and TCP connections ended because of a panic: each one is a defect of this program.
    pub restarts: u64,
    /// How resolvers came back after a switch.
    pub comebacks: Comebacks,
    /// What was done about those who ask too much, or are not to ask.
    pub actions: Actions,
    /// What became of the messages that were to be shown.
    pub shown: Vec<Shown>,
}

/// The certificate of the encrypted listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its file.
    pub path: String,
    /// When the one in use expires.
    pub expires: Timestamp,
    /// What is wrong with the files as they were read last, in which case the one before is in use.
    pub problem: Option<String>,
}

impl Totals {
    /// What came by a transport.
    pub fn messages(&self, via: Via) -> &Messages {
        match via {
            Via::Udp => &self.udp,
            Via::Tcp => &self.tcp,
            Via::Tls => &self.tls,
            Via::Https => &self.https,
            Via::Quic => &self.quic,
            Via::Https3 => &self.https3,
        }
    }

    /// How often something happened to a connection of a transport.
    pub fn events(&self, via: Via, event: Event) -> u64 {
        self.events[via as usize][event as usize]
    }

    /// Connections of a transport that are open at this moment; those of TCP and TLS are in [`Totals::connections`].
    pub fn open(&self, via: Via) -> u64 {
        self.open[via as usize]
    }
}

/// Messages over one transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Messages received, readable or not.
    pub queries: u64,
    /// Responses made, by response code as in [`Messages::by_rcode`].
    responses: [u64; KINDS],
    /// Responses with the TC bit (RFC 1035 4.1.1).
    pub truncated: u64,
    /// Responses to queries with a cookie, by what it was worth as in [`Messages::by_cookie`].
    cookies: [u64; COOKIES.len()],
    /// Messages that deserve no response, such as a response or less than a header.
    pub silent: u64,
    /// Responses made that the kernel did not take: its buffer was full, or it knows no way to the client.
    pub unsent: u64,
    /// Datagrams from port 0, which nobody can be answered at, or from a proxy without its header.
    pub unreadable: u64,
}

/// TCP connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Open at this moment.
    pub open: u64,
    /// Accepted since start.
    pub accepted: u64,
    /// Closed to make room for a newer one, at the limit of connections.
    pub evicted: u64,
    /// Closed because no message was completed in the idle time.
    pub timed_out: u64,
    /// Accepting failed, such as for want of file descriptors.
    pub accept_failures: u64,
}

impl Messages {
    /// Responses by the mnemonic of their code, every code in a fixed order, `OTHER` last.
    pub fn by_rcode(&self) -> impl Iterator<Item = (&'static str, u64)> {
        RCODES.iter().map(|rcode| rcode.mnemonic()).chain(["OTHER"]).zip(self.responses)
    }

    /// Responses by what the cookie of the query was worth, every word in a fixed order, those without a cookie first.
    pub fn by_cookie(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let without = self.responses() - self.cookies.iter().sum::<u64>().min(self.responses());
        [("none", without)].into_iter().chain(COOKIES.into_iter().zip(self.cookies))
    }

    /// Responses of all codes together.
    pub fn responses(&self) -> u64 {
        self.responses.iter().sum()
    }
}

impl Counters {
    /// Counters with a table of resolvers.
    pub fn with(resolvers: Resolvers, tap: Option<Arc<Tap>>) -> Self {
        Self { resolvers, tap, ..Self::default() }
    }

    /// Who is shown what passes, where somebody is.
    pub fn tap(&self) -> Option<&Tap> {
        self.tap.as_deref()
    }

    /// How resolvers come back after a switch.
    pub fn resolvers(&self) -> &Resolvers {
        &self.resolvers
    }

    /// Sums all blocks, and asks the kernel for what it dropped.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            udp_sockets: self.sockets.look(),
            addresses: self.addresses.load(Ordering::Relaxed),
            addresses_waiting: self.waiting.load(Ordering::Relaxed),
            connections: Connections {
                open: self.open.load(Ordering::Relaxed),
                accepted: self.accepted.load(Ordering::Relaxed),
                evicted: self.evicted.load(Ordering::Relaxed),
                timed_out: self.timed_out.load(Ordering::Relaxed),
                accept_failures: self.accept_failures.load(Ordering::Relaxed),
            },
            receive_failures: self.receive_failures.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            comebacks: self.resolvers.comebacks(),
            actions: self.acted.sum(),
            shown: self.tap().map(|tap| tap.shown().collect()).unwrap_or_default(),
            events: self.events.each_ref().map(|of| of.each_ref().map(|event| event.load(Ordering::Relaxed))),
            open: self.connections.each_ref().map(|open| open.load(Ordering::Relaxed)),
            certificate: self.certificate(),
            ..Totals::default()
        };
        for (via, block) in self.blocks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            block.sum_into(match via {
                Via::Udp => &mut totals.udp,
                Via::Tcp => &mut totals.tcp,
                Via::Tls => &mut totals.tls,
                Via::Https => &mut totals.https,
                Via::Quic => &mut totals.quic,
                Via::Https3 => &mut totals.https3,
            });
        }
        totals
    }

    /// Where a limiter counts what it does.
    pub(super) fn actions(&self) -> Arc<Acted> {
        self.acted.clone()
    }

    /// A block for one worker.
    pub(super) fn block(&self, via: Via) -> Arc<Block> {
        let block = Arc::new(Block::default());
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).push((via, block.clone()));
        block
    }

    pub(super) fn note(&self, via: Via, event: Event) {
        self.events[via as usize][event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection of a transport as open, until the guard is dropped.
    pub(super) fn open(self: &Arc<Self>, via: Via) -> Open {
        self.note(via, Event::Accepted);
        self.connections[via as usize].fetch_add(1, Ordering::Relaxed);
        Open { counters: self.clone(), via }
    }

    /// Has the certificate shown; the first one stands.
    pub(super) fn shows(&self, identity: &Arc<Identity>) {
        // Set once, at start.
        let _ = self.identity.set(identity.clone());
    }

    /// The certificate of the encrypted listeners.
    pub fn certificate(&self) -> Option<Certificate> {
        let identity = self.identity.get()?;
        let (expires, problem) = (identity.expires(), identity.problem());
        Some(Certificate { path: identity.path().display().to_string(), expires, problem })
    }

    pub(super) fn connection_opened(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connection_closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn connection_evicted(&self) {
        self.evicted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connection_timed_out(&self) {
        self.timed_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn accept_failed(&self) {
        self.accept_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// What is known of the UDP sockets.
    pub(super) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// How many addresses are answered on, and how many wait for that.
    pub(super) fn answering(&self, addresses: usize, waiting: usize) {
        self.addresses.store(addresses as u64, Ordering::Relaxed);
        self.waiting.store(waiting as u64, Ordering::Relaxed);
    }

    pub(super) fn receive_failed(&self) {
        self.receive_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open connection, counted for as long as this is.
#[derive(Debug)]
pub(super) struct Open {
    counters: Arc<Counters>,
    via: Via,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counters.connections[self.via as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one worker counts of one batch, before it goes to the worker's block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) queries: u64,
    responses: [u64; KINDS],
    truncated: u64,
    cookies: [u64; COOKIES.len()],
    pub(super) silent: u64,
    pub(super) unsent: u64,
    pub(super) unreadable: u64,
}

impl Tally {
    /// Of one query.
    pub(super) fn of_one() -> Self {
        Self { queries: 1, ..Self::default() }
    }

    /// Responses that had to be cut after all: they say TC.
    pub(super) fn cut(&mut self, count: u64) {
        self.truncated += count;
    }

    #[inline]
    pub(super) fn response(&mut self, rcode: Rcode, truncated: bool, cookie: Cookie) {
        let kind = RCODES.iter().position(|known| *known == rcode).unwrap_or(RCODES.len());
        self.responses[kind] += 1;
        self.truncated += u64::from(truncated);
        if cookie != Cookie::Absent {
            self.cookies[cookie as usize - 1] += 1;
        }
    }
}

/// The counters of one worker, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Block {
    queries: AtomicU64,
    responses: [AtomicU64; KINDS],
    truncated: AtomicU64,
    cookies: [AtomicU64; COOKIES.len()],
    silent: AtomicU64,
    unsent: AtomicU64,
    unreadable: AtomicU64,
    /// Turns that had nothing to count.
    idle: AtomicU64,
}

impl Block {
    /// Notes a turn in which there was nothing to do.
    pub(super) fn turned(&self) {
        self.idle.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that no other block has while this one is there, and one that changes with every turn.
    pub(super) fn shows(self: &Arc<Self>) -> (usize, u64) {
        let turns = self.idle.load(Ordering::Relaxed).wrapping_add(self.queries.load(Ordering::Relaxed));
        (Arc::as_ptr(self).addr(), turns)
    }

    /// Adds a tally; fields at zero, which are most, cost no write.
    pub(super) fn add(&self, tally: &Tally) {
        let counters = [&self.queries, &self.truncated, &self.silent, &self.unsent, &self.unreadable];
        let counts = [tally.queries, tally.truncated, tally.silent, tally.unsent, tally.unreadable];
        let responses = self.responses.iter().zip(tally.responses);
        let cookies = self.cookies.iter().zip(tally.cookies);
        for (counter, count) in counters.into_iter().zip(counts).chain(responses).chain(cookies) {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    fn sum_into(&self, messages: &mut Messages) {
        messages.queries += self.queries.load(Ordering::Relaxed);
        messages.truncated += self.truncated.load(Ordering::Relaxed);
        messages.silent += self.silent.load(Ordering::Relaxed);
        messages.unsent += self.unsent.load(Ordering::Relaxed);
        messages.unreadable += self.unreadable.load(Ordering::Relaxed);
        let cookies = messages.cookies.iter_mut().zip(&self.cookies);
        for (sum, counter) in messages.responses.iter_mut().zip(&self.responses).chain(cookies) {
            *sum += counter.load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_the_sums_of_the_blocks_of_a_transport() {
        let counters = Counters::default();
        let mut tally = Tally { queries: 3, silent: 1, ..Tally::default() };
        tally.response(Rcode::NXDOMAIN, false, Cookie::Absent);
        tally.response(Rcode(17), true, Cookie::Malformed);
        counters.block(Via::Udp).add(&tally);
        counters.block(Via::Udp).add(&tally);
        counters.block(Via::Tcp).add(&tally);
        let totals = counters.totals();
        assert_eq!((totals.udp.queries, totals.tcp.queries), (6, 3));
        assert_eq!((totals.udp.silent, totals.udp.truncated, totals.udp.responses()), (2, 2, 4));
        let shown: Vec<_> = totals.udp.by_rcode().filter(|(_, count)| *count > 0).collect();
        assert_eq!(shown, [("NXDOMAIN", 2), ("OTHER", 2)]);
        assert_eq!(totals.tcp.by_rcode().count(), KINDS);
        let shown: Vec<_> = totals.udp.by_cookie().collect();
        assert_eq!(shown, [("none", 2), ("client", 0), ("valid", 0), ("bad", 0), ("malformed", 2)]);
    }

    #[test]
    fn open_connections_go_up_and_down_the_rest_only_up() {
        let counters = Counters::default();
        counters.connection_opened();
        counters.connection_opened();
        counters.connection_closed();
        counters.connection_timed_out();
        let connections = counters.totals().connections;
        assert_eq!(connections, Connections { open: 1, accepted: 2, timed_out: 1, ..Connections::default() });
    }
}
