//! What the sockets count: queries, responses, connections.
//!
//! Every worker has a block of its own on cache lines of its own. It counts a batch in a plain [`Tally`] and adds it to
//! its block at the end, relaxed, so that counting costs the query path no contention. [`Counters::totals`] sums the blocks when somebody asks; sums only grow.
//!
//! How they are shown (names, labels) is the business of the metrics endpoint, not of this module.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::engine::Transport;
use super::limiter::{Acted, Actions};
use super::resolvers::{Comebacks, Resolvers};
use super::sockets::{Sockets, UdpSockets};
use crate::answer::cookie::Cookie;
use crate::dns::Rcode;

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
    blocks: Mutex<Vec<(Transport, Arc<Block>)>>,
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
}

/// The sums at one moment. Everything only grows but what is open, granted, answered on or waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages over UDP.
    pub udp: Messages,
    /// Messages over TCP.
    pub tcp: Messages,
    /// Messages over encrypted streams.
    pub encrypted: Messages,
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
    /// Datagrams larger than any query, or from port 0, which nobody can be answered at.
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
    pub fn with(resolvers: Resolvers) -> Self {
        Self { resolvers, ..Self::default() }
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
            ..Totals::default()
        };
        for (transport, block) in self.blocks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            match transport {
                Transport::Udp => block.sum_into(&mut totals.udp),
                Transport::Tcp => block.sum_into(&mut totals.tcp),
                Transport::Encrypted => block.sum_into(&mut totals.encrypted),
            }
        }
        totals
    }

    /// Where a limiter counts what it does.
    pub(super) fn actions(&self) -> Arc<Acted> {
        self.acted.clone()
    }

    /// A block for one worker.
    pub(super) fn block(&self, transport: Transport) -> Arc<Block> {
        let block = Arc::new(Block::default());
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).push((transport, block.clone()));
        block
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
        counters.block(Transport::Udp).add(&tally);
        counters.block(Transport::Udp).add(&tally);
        counters.block(Transport::Tcp).add(&tally);
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
