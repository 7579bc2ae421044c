//! I/O shell: the public, read-only HTTP listener for devices, back ends and traffic managers.
//!
//! | request | what it says |
//! | --- | --- |
//! | `GET /v1/hubs/HUB` | the active region, epoch and answer of a hub, signed; waits for the next switch when asked to |
//! | `GET /v1/keys` | the public key, a JWK set (RFC 7517) |
//! | `GET /probe/active/REGION?hub=` | 200 while the region is active for the hub, or for every hub that has it; else 503 |
//! | `GET /healthz` | 200 while answers are being served |
//!
//! Everything is read from the snapshot that answers queries, so that what a device learns here and there is the same.
//! Nothing here can change anything: the module knows neither the control loop nor the store.
//!
//! It has threads of its own, which step back behind the workers that answer queries. A publication wakes one task
//! (`hubs`), which wakes those who wait for the hubs that switched: however many devices wait, the control loop waits for
//! none of them. Bounded are connections, waiting ones among them, heads of requests and the time that they take.
//!
//! Deliberately absent: TLS (put a proxy before it, or verify the signature), bodies of requests, and limits a client:
//! whoever can open connections can fill the listener, and queries are answered all the same.
#![expect(clippy::disallowed_methods, reason = "I/O shell: threads, sockets and waiting")]

mod accept;
pub mod counters;
mod document;
mod hubs;
mod jose;
mod key;
mod request;
mod routes;
mod tag;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};

pub use self::counters::{Counters, Totals};
use self::hubs::Hubs;
use self::jose::Signer;
use self::routes::Shared;
use crate::answer::publish::Readers;
use crate::config::Public;
use crate::process::passed::{Given, Kind, Passed, Place};
use crate::process::privileges;
use crate::time::Timestamp;

/// Threads that serve all connections.
const THREADS: usize = 2;

/// How far they step back behind the workers that answer queries, in steps of nice(2).
const NICE: i32 = 5;

/// The name of the key's file in the state folder.
const KEY: &str = "evidence.key";

/// The running listener; it ends at once when this is dropped.
#[derive(Debug)]
pub struct Listener {
    addresses: Vec<SocketAddr>,
    /// The same sockets once more, for a successor.
    sockets: Vec<Socket>,
    stop: watch::Sender<bool>,
    connections: Arc<Semaphore>,
    most: u32,
    /// `None` when it has been taken apart.
    runtime: Option<Runtime>,
}

impl Listener {
    /// Reads or makes the key in the folder `state`, binds every address, and serves.
    ///
    /// # Errors
    /// Names the key's file or the address, and what was tried.
    pub fn start(
        public: &Public,
        state: &Path,
        passed: &Passed,
        readers: Readers,
        counters: Arc<Counters>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let path = state.join(KEY);
        let signer = signer(&path, &key::read_or_make(&path)?)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("public")
            .on_thread_start(step_back)
            .enable_all()
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let connections = Arc::new(Semaphore::new(public.connections as usize));
        let hubs = Arc::new(Hubs::new(readers, signer, clock));
        let waiting = Arc::new(Semaphore::new(public.connections as usize / 10 * 9));
        let shared = Shared { hubs: hubs.clone(), counters: counters.clone(), waiting, stopped: stopped.clone() };
        let router = routes::router(shared);
        let (mut addresses, mut sockets) = (Vec::new(), Vec::new());
        let inside = runtime.enter();
        for address in &public.listen {
            let (listener, bound) = accept::bind(*address, passed)?;
            sockets.push(SockRef::from(&listener).try_clone()?);
            addresses.push(bound);
            let door = accept::Door { connections: connections.clone(), counters: counters.clone() };
            runtime.spawn(accept::accept(listener, router.clone(), door, stopped.clone()));
        }
        runtime.spawn(async move { hubs.follow().await });
        drop(inside);
        Ok(Self { addresses, sockets, stop, connections, most: public.connections, runtime: Some(runtime) })
    }

    /// The addresses that are listened on, port 0 resolved.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The sockets that are listened on, for a successor to accept from too.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn sockets(&self) -> io::Result<Vec<Given>> {
        let sockets = self.addresses.iter().zip(&self.sockets);
        sockets
            .map(|(address, socket)| {
                let place = Place::Address(*address);
                Ok(Given { kind: Kind::Tcp, place, name: String::new(), socket: socket.try_clone()? })
            })
            .collect()
    }

    /// Takes no more connections, tells those who wait that nothing has changed, and ends when all are closed or at the
    /// deadline.
    pub async fn stop(mut self, deadline: Duration) {
        self.stop.send_replace(true);
        // All connections are closed when nobody else holds a place.
        let closed = self.connections.acquire_many(self.most);
        if tokio::time::timeout(deadline, closed).await.is_err() {
            tracing::warn!(event = "stop", "public connections were cut: they were not closed at the deadline");
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Checks the key in the folder `state`, if there is one: whoever starts can know before anything else is started.
///
/// # Errors
/// Names the key's file, what is wrong and what to do.
pub fn check_key(state: &Path) -> io::Result<()> {
    let path = state.join(KEY);
    match key::read(&path)? {
        Some(key) => signer(&path, &key).map(drop),
        None => Ok(()),
    }
}

/// What signs with the key that this file holds.
fn signer(path: &Path, key: &[u8]) -> io::Result<Signer> {
    Signer::new(key).map_err(|error| {
        io::Error::other(format!(
            "the key {} is {error}; put a copy of the key back, or move the file away: then a new key is made, which \
             devices have to learn",
            path.display()
        ))
    })
}

/// Lets the calling thread step back behind the workers.
fn step_back() {
    privileges::give_up();
    if rustix::process::getpriority_process(None).is_ok_and(|nice| nice < NICE) {
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

#[cfg(test)]
mod tests;
