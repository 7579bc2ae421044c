//! The addresses that are answered on, and how those of a wildcard follow the interfaces.
//!
//! ```text
//!  kernel: address or interface changed ─┐
//!  every second, while one waits ────────┼─► list the interfaces ─► bind and serve what has appeared
//!  every half minute ────────────────────┘                       └► let go what has vanished
//! ```
//!
//! Each address has sockets and workers of its own, so that no change disturbs the others. What cannot be bound yet,
//! such as an IPv6 address that is still tentative (RFC 4862 5.4), waits and is tried every second. When the interfaces
//! cannot be listed, nothing is let go. A socket outlives a short absence of its address: what is back before it was
//! missed is served on.
#![expect(clippy::disallowed_methods, reason = "I/O shell: a thread, clock")]

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;
use socket2::Socket;

use super::bind::{Binding, Bound, Udp, bind_address};
use super::burst::Burst;
use super::counters::{Block, Counters};
use super::interfaces::{Changes, expand};
use super::stop::Stop;
use super::tcp::{Listeners, Service};
use super::udp::{Ended, Worker};
use super::via::Via;
use crate::answer::publish::Readers;
use crate::process::passed::{Given, Kind, Passed, Place as Spot};
use crate::process::privileges;

/// How often an address that waits is tried, and how long the thread may outlive the stop.
const TICK: Duration = Duration::from_secs(1);

/// Ticks after which the interfaces are listed although no change was told of.
const TICKS_UNTOLD: u32 = 30;

/// What serving an address takes.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    pub(super) service: Arc<Service>,
    pub(super) listeners: Listeners,
    pub(super) readers: Readers,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: Arc<Stop>,
    pub(super) busy_poll: Duration,
    pub(super) passed: Arc<Passed>,
}

/// An address that is answered on.
#[derive(Debug)]
pub(super) struct Place {
    address: SocketAddr,
    wildcard: Option<SocketAddr>,
    let_go: Arc<AtomicBool>,
    /// The same sockets once more, for a successor: closed with the place.
    sockets: Vec<(Kind, Socket)>,
    blocks: Vec<Arc<Block>>,
    pub(super) workers: Vec<thread::JoinHandle<Ended>>,
}

/// All addresses that are answered on.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Taken when an address comes or goes and when the drain begins, never while answering.
    open: Mutex<Vec<Place>>,
}

impl Opener {
    /// Answers at an address from here on.
    fn open(&self, bound: Bound) -> io::Result<Place> {
        let Bound { address, wildcard, tcp, udp } = bound;
        let let_go = Arc::new(AtomicBool::new(false));
        let mut sockets = vec![(Kind::Tcp, tcp.try_clone()?.into())];
        let mut known = BTreeSet::new();
        for socket in &udp {
            // Workers may share one.
            if known.insert(fstat(socket)?.st_ino) {
                sockets.push((Kind::Udp, socket.try_clone()?));
            }
        }
        let blocks: Vec<_> = udp.iter().map(|_| self.counters.block(Via::Udp)).collect();
        let workers = udp.into_iter().zip(blocks.clone()).map(|(socket, block)| {
            let (readers, counters, stop) = (self.readers.clone(), self.counters.clone(), self.stop.clone());
            let (engine, busy_poll, let_go) = (self.service.engine.clone(), self.busy_poll, let_go.clone());
            let proxies = self.service.admission.proxies.clone();
            Worker { socket, address, engine, readers, counters, block, stop, let_go, busy_poll, proxies }.start()
        });
        let workers = match workers.collect() {
            Ok(workers) => workers,
            Err(error) => {
                // Those that have been started end by themselves.
                let_go.store(true, Ordering::Relaxed);
                return Err(error);
            }
        };
        self.listeners.listen(address, tcp);
        Ok(Place { address, wildcard, let_go, sockets, blocks, workers })
    }
}

impl Place {
    /// Ends what serves the address, and waits for it. Its connections, to whose clients there is no way, end by the idle
    /// time.
    fn close(self, listeners: &Listeners) {
        self.let_go.store(true, Ordering::Relaxed);
        listeners.let_go(self.address);
        for worker in self.workers {
            // A worker that failed has ended too.
            let _ = worker.join();
        }
    }
}

impl Places {
    /// Answers at all that is bound, and follows the interfaces where there is a wildcard.
    pub(super) fn open(self: &Arc<Self>, binding: Binding, udp: Udp, opener: &Opener) -> io::Result<()> {
        let Binding { bound, wildcards } = binding;
        for bound in bound {
            let place = opener.open(bound)?;
            self.lock().push(place);
        }
        opener.counters.answering(self.lock().len(), 0);
        if !wildcards.is_empty() {
            let changes = Changes::watch(TICK)
                .map_err(|error| io::Error::new(error.kind(), format!("cannot follow the interfaces: {error}")))?;
            let follower =
                Follower { places: self.clone(), wildcards, udp, opener: opener.clone(), waiting: BTreeSet::new() };
            thread::Builder::new().name("dns-interfaces".into()).spawn(move || {
                privileges::keep_binding();
                follower.run(&changes);
            })?;
        }
        Ok(())
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.lock().iter().map(|place| place.address).collect()
    }

    /// What every worker shows of its turns.
    pub(super) fn turns(&self) -> Vec<(usize, u64)> {
        self.lock().iter().flat_map(|place| &place.blocks).map(Block::shows).collect()
    }

    /// The sockets of all addresses, for a successor to read from too.
    pub(super) fn sockets(&self) -> io::Result<Vec<Given>> {
        let open = self.lock();
        let sockets = open.iter().flat_map(|place| place.sockets.iter().map(|socket| (place.address, socket)));
        sockets
            .map(|(address, (kind, socket))| {
                let place = Spot::Address(address);
                Ok(Given { kind: *kind, place, name: String::new(), socket: socket.try_clone()? })
            })
            .collect()
    }

    /// Takes all places away, for the drain.
    pub(super) fn take(&self) -> Vec<Place> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Place>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that follows the interfaces.
struct Follower {
    places: Arc<Places>,
    wildcards: Vec<SocketAddr>,
    udp: Udp,
    opener: Opener,
    /// Addresses that could not be bound when they were last tried.
    waiting: BTreeSet<SocketAddr>,
}

impl Follower {
    fn run(mut self, changes: &Changes) {
        let mut burst = Burst::default();
        let mut untold = 0;
        // What happened between the start and here was not told of.
        let mut due = true;
        while self.opener.stop.deadline().is_none() {
            if due {
                untold = 0;
                if let Err(error) = self.follow()
                    && let Some(untold) = burst.note(Instant::now())
                {
                    tracing::warn!(%error, untold, "the interfaces are not followed, trying on");
                }
            }
            untold += 1;
            due = changes.wait() || !self.waiting.is_empty() || untold >= TICKS_UNTOLD;
        }
    }

    /// Makes what is answered on what the interfaces have.
    fn follow(&mut self) -> io::Result<()> {
        let mut wanted = Vec::new();
        for &wildcard in &self.wildcards {
            wanted.extend(expand(wildcard)?.into_iter().map(|address| (address, wildcard)));
        }
        self.waiting.retain(|waiting| wanted.iter().any(|(address, _)| address == waiting));
        let served = self.places.addresses();
        for &(address, wildcard) in &wanted {
            if !served.contains(&address) {
                self.appear(address, wildcard);
            }
        }
        let vanished = {
            let mut open = self.places.lock();
            open.extract_if(.., |place| {
                place.wildcard.is_some() && wanted.iter().all(|(address, _)| *address != place.address)
            })
            .collect::<Vec<_>>()
        };
        for place in vanished {
            let address = place.address;
            place.close(&self.opener.listeners);
            tracing::info!(event = "listen", %address, "no longer answering on {address}: no interface has it");
        }
        self.opener.counters.answering(self.places.lock().len(), self.waiting.len());
        Ok(())
    }

    fn appear(&mut self, address: SocketAddr, wildcard: SocketAddr) {
        let opened = bind_address(address, &self.udp, &self.opener.passed).and_then(|bound| {
            let mut open = self.places.lock();
            // Once the drain has begun nobody waits for another place.
            if self.opener.stop.deadline().is_none() {
                open.push(self.opener.open(Bound { wildcard: Some(wildcard), ..bound })?);
            }
            Ok(())
        });
        match opened {
            Ok(()) => {
                self.waiting.remove(&address);
                tracing::info!(event = "listen", %address, "answering on {address} over UDP and TCP");
            }
            // Said once, for it is tried every second.
            Err(error) if self.waiting.insert(address) => match error.kind() {
                io::ErrorKind::AddrNotAvailable => tracing::info!("{error}; it is tried again"),
                _ => tracing::warn!("{error}; it is tried again"),
            },
            Err(_) => {}
        }
    }
}
