//! DNS over HTTPS and over QUIC: tasks, not turns, for `hyper`, `quinn` and `h3` are made of them.
//!
//! ```text
//!  TCP ─► https: proxy header, TLS, HTTP/1.1 or 2 ─┐
//!                                                  ├─► request ─► answerer ─► the engine of all transports
//!  UDP ─► quic: address, TLS in QUIC ─┬─ DoQ ──────┤      └► freshness: Cache-Control
//!                                     └─ HTTP/3 ───┘
//! ```
//!
//! They have threads of their own, which are not there where no such listener is configured. An answer is made when its
//! query is complete, from the snapshot of that moment, which is left at once; what then waits in the buffers of HTTP or
//! QUIC is on its way, as what waits in those of the kernel is.
//!
//! - **Bounded** are connections, all together and of one client; handshakes under way and those that a client begins in
//!   a second; streams of a connection; heads and bodies of requests, and what a connection has us hold of them and of
//!   responses (see [`allowance`]); and the time for each of them, which is `tcp_idle`.
//! - **A client that has sent too many queries waits**, each stream for itself, half as long as for anything else; then it is told so
//!   (429, `DOQ_EXCESSIVE_LOAD`). Streams of a connection are few, and what they hold is bounded.
//! - **In the drain** nothing new is accepted but what the kernel has completed, what has arrived is answered, and
//!   connections are closed in their own words (GOAWAY, `DOQ_NO_ERROR`).
//!
//! hickory-server has listeners for the same, which cannot send the octets that the engine makes.
#![expect(clippy::disallowed_methods, reason = "I/O shell: threads, sockets and waiting")]

mod allowance;
mod answerer;
mod bounded;
mod freshness;
mod handshakes;
mod https;
mod quic;
mod records;
mod request;
#[cfg(any(test, fuzzing))]
pub(super) mod sound;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::answerer::Answerer;
use self::handshakes::Handshakes;
use super::admission::Admission;
use super::counters::Counters;
use super::descriptors::beside;
use super::engine::Engine;
use super::tls::{self, Tls};
use super::via::Via;
use crate::answer::client::Client;
use crate::answer::publish::Readers;
use crate::config::Limits;
use crate::process::passed::Kind;
use crate::process::privileges;

/// What the listeners are, bound.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) https: Vec<(SocketAddr, TcpListener)>,
    pub(super) quic: Vec<(SocketAddr, Socket)>,
    pub(super) https3: Vec<(SocketAddr, Socket)>,
}

impl Sockets {
    pub(super) fn is_empty(&self) -> bool {
        self.https.is_empty() && self.quic.is_empty() && self.https3.is_empty()
    }

    /// The same sockets once more.
    pub(super) fn again(&self) -> impl Iterator<Item = io::Result<(Kind, SocketAddr, Socket)>> {
        let https = self.https.iter().map(|(address, socket)| Ok((Kind::Tcp, *address, socket.try_clone()?.into())));
        let quic = self.quic.iter().chain(&self.https3);
        https.chain(quic.map(|(address, socket)| Ok((Kind::Udp, *address, socket.try_clone()?))))
    }

    /// The addresses, with the transport of each.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (Via, SocketAddr)> {
        let https = self.https.iter().map(|(address, _)| (Via::Https, *address));
        let quic = self.quic.iter().map(|(address, _)| (Via::Quic, *address));
        https.chain(quic).chain(self.https3.iter().map(|(address, _)| (Via::Https3, *address)))
    }
}

/// What the listeners work with.
pub(super) struct Parts<'a> {
    pub(super) sockets: Sockets,
    pub(super) tls: &'a Tls,
    pub(super) limits: &'a Limits,
    pub(super) engine: &'a Engine,
    pub(super) readers: &'a Readers,
    pub(super) counters: &'a Arc<Counters>,
    /// Of HTTPS and of QUIC: their connections are counted apart.
    pub(super) admissions: [Arc<Admission>; 2],
    pub(super) threads: usize,
}

/// The running listeners; they end at once when this is dropped.
#[derive(Debug)]
pub(super) struct Web {
    stop: watch::Sender<bool>,
    places: [Places; 2],
    /// What accepts over HTTPS.
    acceptors: Vec<JoinHandle<()>>,
    /// `None` when it has been taken apart.
    runtime: Option<Runtime>,
}

/// The connections that may be open.
#[derive(Clone, Debug)]
struct Places {
    free: Arc<Semaphore>,
    most: u32,
}

impl Places {
    fn new(most: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(most as usize)), most }
    }
}

/// Its client has sent more queries than it may.
#[derive(Clone, Copy, Debug)]
struct TooMany;

/// What a listener and its connections share.
#[derive(Clone, Debug)]
struct Shared {
    via: Via,
    answerer: Arc<Answerer>,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    connections: Arc<Semaphore>,
    handshakes: Arc<Handshakes>,
    /// Time for each step: a header, a handshake, a request, a body, the next query.
    idle: Duration,
    stopped: watch::Receiver<bool>,
}

impl Shared {
    /// Waits for the drain.
    async fn drain(&self) {
        // An error is that nobody can say so any more.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }

    /// Answers a query when it is its client's turn, which has sent too many where that is not now.
    ///
    /// # Errors
    /// When its time is over before.
    async fn answer(&self, query: &[u8], client: Client) -> Result<Option<Vec<u8>>, TooMany> {
        let turn = async {
            while let Some(wait) = self.answerer.wait(client) {
                tokio::time::sleep(wait).await;
            }
        };
        // Half of it: over QUIC a connection on which nothing passes for all of it is over.
        timeout(self.idle / 2, turn).await.map_err(|_| TooMany)?;
        Ok(self.answerer.answer(query, client))
    }
}

impl Web {
    /// Serves.
    ///
    /// # Errors
    /// When a thread cannot be started or a socket not be used.
    pub(super) fn start(parts: Parts<'_>) -> io::Result<Self> {
        let Parts { sockets, tls, limits, engine, readers, counters, admissions, threads } = parts;
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("dns-web")
            .on_thread_start(privileges::give_up)
            .enable_all()
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let https = match sockets.https.is_empty() {
            true => limits.https_connections,
            false => beside(limits.tcp_connections, "HTTPS", limits.https_connections),
        };
        let places = [https, limits.quic_connections].map(Places::new);
        let [https, quic] = &places;
        let [https_admission, quic_admission] = admissions;
        let handshakes = Handshakes::new(limits.tls_handshakes);
        let shared = |via: Via, places: &Places, admission: &Arc<Admission>| Shared {
            via,
            answerer: Arc::new(Answerer::new(engine, readers, counters.clone(), via, threads)),
            admission: admission.clone(),
            counters: counters.clone(),
            connections: places.free.clone(),
            handshakes: handshakes.clone(),
            idle: limits.tcp_idle,
            stopped: stopped.clone(),
        };
        let inside = runtime.enter();
        let mut acceptors = Vec::new();
        if !sockets.https.is_empty() {
            let shared = shared(Via::Https, https, &https_admission);
            let config = Arc::new(tls.config(tls::HTTPS));
            for (address, listener) in sockets.https {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                acceptors.push(runtime.spawn(https::accept(listener, address, config.clone(), shared.clone())));
            }
        }
        for (via, protocols, sockets) in
            [(Via::Quic, tls::DOQ, sockets.quic), (Via::Https3, tls::HTTP3, sockets.https3)]
        {
            if sockets.is_empty() {
                continue;
            }
            let shared = shared(via, quic, &quic_admission);
            let config = quic::config(tls.config(protocols), via, &shared)?;
            for (_, socket) in sockets {
                let endpoint = quic::endpoint(config.clone(), socket)?;
                runtime.spawn(quic::accept(endpoint, shared.clone()));
            }
        }
        drop(inside);
        Ok(Self { stop, places, acceptors, runtime: Some(runtime) })
    }

    /// Accepts nothing more but what the kernel has completed, answers what has arrived, and returns how many connections were cut at the deadline.
    pub(super) async fn drain(mut self, deadline: Duration) -> u64 {
        self.stop.send_replace(true);
        let closed = async {
            // Whoever waits for all places takes them from those who are still let in.
            for acceptor in &mut self.acceptors {
                let _ = acceptor.await;
            }
            for places in &self.places {
                // All connections are closed when nobody else holds a place.
                let _ = places.free.acquire_many(places.most).await;
            }
        };
        let cut = match tokio::time::timeout(deadline, closed).await {
            Ok(()) => 0,
            Err(_) => self.places.iter().map(open).sum(),
        };
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        cut
    }
}

fn open(places: &Places) -> u64 {
    u64::from(places.most).saturating_sub(places.free.available_permits() as u64)
}

impl Drop for Web {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
