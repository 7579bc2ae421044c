//! UDP: blocking threads, each with a socket of its own, that take and answer datagrams in batches (see [`batch`](super::batch)).
//!
//! No error of the socket ends a worker, and a panic starts it anew with the same socket.
#![expect(clippy::disallowed_methods, reason = "I/O shell: threads, sockets, clock")]

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrIn, SockaddrIn6};
use socket2::Socket;

use super::batch::{Batch, Family};
use super::burst::Burst;
use super::clients::Prefixes;
use super::counters::{Block, Counters, Tally};
use super::engine::Engine;
use super::lots;
use super::stop::Stop;
use crate::answer::publish::Readers;
use crate::process::privileges;

/// The kernel charges a datagram in a receive buffer for more than this many octets, however short it is.
const LEAST_CHARGE: usize = 512;

/// Time to answer what is queued at an address that is let go; nobody can be reached from there any more.
const LETTING_GO: Duration = Duration::from_millis(100);

/// Pause after an error that is not about a single datagram, so that a lasting one does not burn a core.
const PAUSE: Duration = Duration::from_millis(10);

/// One socket and the thread on it.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) socket: Socket,
    pub(super) address: SocketAddr,
    pub(super) engine: Engine,
    pub(super) readers: Readers,
    pub(super) counters: Arc<Counters>,
    pub(super) block: Arc<Block>,
    pub(super) stop: Arc<Stop>,
    /// Set when this address is let go while others are served on.
    pub(super) let_go: Arc<AtomicBool>,
    /// How long to go on looking for queries before waiting for them; zero is not at all.
    pub(super) busy_poll: Duration,
    /// Who has to say whom a datagram is from.
    pub(super) proxies: Prefixes,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Everything that had arrived when the drain began is answered.
    Answered,
    /// The deadline came first.
    Cut,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start(self) -> io::Result<JoinHandle<Ended>> {
        let address = self.address;
        thread::Builder::new()
            .name("dns-udp".into())
            .spawn(move || self.run())
            .map_err(|error| io::Error::new(error.kind(), format!("cannot start a UDP worker for {address}: {error}")))
    }

    /// Serves until the drain has ended, whatever happens.
    fn run(self) -> Ended {
        privileges::give_up();
        let noted = self.counters.sockets().opened(&self.socket);
        let ended = self.restart(&self.block);
        if let Ok(inode) = noted {
            self.counters.sockets().closing(inode);
        }
        ended
    }

    /// Serves, and starts anew after a panic.
    fn restart(&self, block: &Block) -> Ended {
        let mut burst = Burst::default();
        loop {
            // The socket and the counters are whole after a panic; buffers and reader are made anew.
            let served = catch_unwind(AssertUnwindSafe(|| match self.address {
                SocketAddr::V4(_) => self.serve::<SockaddrIn>(block),
                SocketAddr::V6(_) => self.serve::<SockaddrIn6>(block),
            }));
            match served {
                Ok(ended) => return ended,
                Err(panic) => {
                    self.counters.restarted();
                    if let Some(untold) = burst.note(Instant::now()) {
                        let reason = super::panic_text(panic.as_ref());
                        tracing::error!(address = %self.address, reason, untold, "UDP worker failed and starts again");
                    }
                }
            }
        }
    }

    fn serve<F: Family>(&self, block: &Block) -> Ended {
        let mut batch = Batch::<F>::new(self.engine.rules.max_udp_bytes, lots(), self.proxies.clone());
        let mut reader = self.readers.reader();
        let mut burst = Burst::default();
        let mut drain: Option<Drain> = None;
        let mut patience = Patience::new(self.busy_poll);
        loop {
            if drain.is_none() {
                drain = self.deadline().map(|deadline| Drain::of(&self.socket, deadline));
            }
            let wait = match drain.is_some() || patience.lasts() {
                true => MsgFlags::MSG_DONTWAIT,
                false => MsgFlags::MSG_WAITFORONE,
            };
            let mut tally = Tally::default();
            match batch.serve(&self.socket, wait, &self.engine, &mut reader, &self.counters, &mut tally) {
                Ok(received) => {
                    if let Some(drain) = &mut drain {
                        drain.queued = drain.queued.saturating_sub(received);
                    }
                    block.add(&tally);
                    patience.renew();
                }
                // The receive timeout of the socket, or a queue that is empty.
                Err(Errno::EAGAIN) if drain.is_some() => return Ended::Answered,
                Err(Errno::EAGAIN | Errno::EINTR) => block.turned(),
                // What the network says of an earlier response is no matter of this query.
                Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => {}
                Err(error) => {
                    self.counters.receive_failed();
                    if let Some(untold) = burst.note(Instant::now()) {
                        tracing::warn!(address = %self.address, %error, untold, "cannot receive over UDP, trying on");
                    }
                    thread::sleep(PAUSE);
                }
            }
            // Asked last: a queue that is empty is found so even after the deadline.
            if let Some(drain) = &drain
                && let Some(ended) = drain.ended(Instant::now())
            {
                return ended;
            }
        }
    }

    /// When this worker is to be gone, once it is known.
    fn deadline(&self) -> Option<Instant> {
        let let_go = || self.let_go.load(Ordering::Relaxed).then(|| Instant::now() + LETTING_GO);
        self.stop.deadline().or_else(let_go)
    }
}

/// Busy polling: looking for queries for a while after the last one, instead of waiting for the kernel to wake us.
struct Patience {
    length: Duration,
    ends: Option<Instant>,
}

impl Patience {
    fn new(length: Duration) -> Self {
        Self { length, ends: None }
    }

    /// Begins anew, where there is any.
    fn renew(&mut self) {
        if !self.length.is_zero() {
            self.ends = Some(Instant::now() + self.length);
        }
    }

    fn lasts(&mut self) -> bool {
        let lasts = self.ends.is_some_and(|ends| Instant::now() < ends);
        if !lasts {
            self.ends = None;
        }
        lasts
    }
}

/// What is left to do once the drain has begun.
struct Drain {
    deadline: Instant,
    /// Upper limit of the datagrams that were in the queue at that moment: those that come later have no claim, and a
    /// flood of them must not keep the worker.
    queued: usize,
}

impl Drain {
    fn of(socket: &Socket, deadline: Instant) -> Self {
        Self { deadline, queued: socket.recv_buffer_size().unwrap_or(1 << 20) / LEAST_CHARGE }
    }

    fn ended(&self, now: Instant) -> Option<Ended> {
        match self.queued {
            0 => Some(Ended::Answered),
            _ if now >= self.deadline => Some(Ended::Cut),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_ends_with_the_queue_or_with_the_deadline() {
        let now = Instant::now();
        let check = |queued, deadline, expected| assert_eq!(Drain { deadline, queued }.ended(now), expected);
        check(1, now + Duration::from_secs(1), None);
        check(0, now + Duration::from_secs(1), Some(Ended::Answered));
        check(1, now, Some(Ended::Cut));
    }
}
