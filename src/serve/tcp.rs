//! TCP listeners: one task an address accepts, one task a connection serves it (see [`connection`]).
//!
//! No error ends a listener. One that is about a single connection (it was reset before it was accepted) is passed over;
//! one that will last a while (out of descriptors or memory) is told once for a burst of them and waited out, while
//! connections queue in the kernel.
//!
//! In the drain, connections that the kernel has completed are accepted still, for their queries may be here already.
#![expect(clippy::disallowed_methods, reason = "I/O shell: sockets, clock, tasks")]

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout_at};

use super::bind::BACKLOG;
use super::burst::Burst;
use super::connection::{self, Service};
use super::counters::Block;
use super::engine::Transport;
use super::seats::Seats;
use crate::answer::publish::Readers;

/// Pause after a failure to accept that lasts; doubled from the first to the last while it goes on.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Where connections come from: a listener, or in tests one that fails.
pub(super) trait Accept: Send + 'static {
    /// Waits for the next connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<TcpStream>> + Send;

    /// Stops listening and returns the connections that wait to be accepted.
    fn close(self) -> Vec<TcpStream>;
}

impl Accept for TcpListener {
    async fn accept(&mut self) -> io::Result<TcpStream> {
        TcpListener::accept(self).await.map(|(stream, _)| stream)
    }

    fn close(self) -> Vec<TcpStream> {
        // Asks the kernel itself, for tokio only tells of what it has heard.
        let Ok(listener) = self.into_std() else { return Vec::new() };
        (0..BACKLOG)
            .map_while(|_| listener.accept().ok())
            .filter_map(|(stream, _)| {
                stream.set_nonblocking(true).ok()?;
                TcpStream::from_std(stream).ok()
            })
            .collect()
    }
}

/// Accepts at one address.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) service: Arc<Service>,
    pub(super) seats: Arc<Seats>,
    pub(super) readers: Readers,
}

impl Listener {
    /// Accepts and serves until the drain has ended.
    pub(super) async fn run(self, mut source: impl Accept) {
        let mut tasks = Tasks::new(&self);
        let mut stop = pin!(self.service.stop.begun());
        let mut burst = Burst::default();
        let mut pause = FIRST_PAUSE;
        let deadline = loop {
            tokio::select! {
                biased;
                deadline = &mut stop => break deadline,
                ended = tasks.next_ended() => self.ended(ended, &mut burst),
                accepted = source.accept() => match accepted {
                    Ok(stream) => {
                        pause = FIRST_PAUSE;
                        tasks.start(stream);
                    }
                    Err(error) if of_one_connection(&error) => {}
                    Err(error) => {
                        self.service.counters.accept_failed();
                        if let Some(untold) = burst.note(Instant::now()) {
                            tracing::warn!(address = %self.address, %error, untold, "cannot accept over TCP, trying on");
                        }
                        tokio::select! {
                            deadline = &mut stop => break deadline,
                            () = sleep(pause) => pause = LAST_PAUSE.min(pause * 2),
                        }
                    }
                },
            }
        };
        for stream in source.close() {
            tasks.start(stream);
        }
        let all_ended = async {
            while let Some(ended) = tasks.running.join_next().await {
                self.ended(ended, &mut burst);
            }
        };
        if timeout_at(deadline.into(), all_ended).await.is_err() {
            tasks.running.shutdown().await;
        }
    }

    /// A panic costs its connection, not the listener.
    fn ended(&self, ended: Result<(), JoinError>, burst: &mut Burst) {
        let Err(error) = ended else { return };
        let Ok(panic) = error.try_into_panic() else { return };
        self.service.counters.restarted();
        if let Some(untold) = burst.note(Instant::now()) {
            let reason = super::panic_text(panic.as_ref());
            tracing::error!(address = %self.address, reason, untold, "TCP connection failed and is closed");
        }
    }
}

/// The connections of one listener.
struct Tasks<'a> {
    listener: &'a Listener,
    running: JoinSet<()>,
    /// One a core: connections take turns.
    blocks: Vec<Arc<Block>>,
    started: usize,
}

impl<'a> Tasks<'a> {
    fn new(listener: &'a Listener) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let blocks = (0..cores).map(|_| listener.service.counters.block(Transport::Tcp)).collect();
        Self { listener, running: JoinSet::new(), blocks, started: 0 }
    }

    fn start(&mut self, stream: TcpStream) {
        let Listener { service, seats, readers, .. } = self.listener;
        let block = self.blocks[self.started % self.blocks.len()].clone();
        self.started += 1;
        self.running.spawn(connection::serve(service.clone(), stream, readers.reader(), block, seats.take()));
    }

    /// Waits for a connection to end; for ever if there is none.
    async fn next_ended(&mut self) -> Result<(), JoinError> {
        match self.running.join_next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }
}

/// Whether a failure to accept is about one connection and the next may be tried at once: accept(2) passes errors of
/// the network on the way to the new socket through.
fn of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
        || matches!(
            error.raw_os_error(),
            Some(
                libc::EPROTO
                    | libc::ENOPROTOOPT
                    | libc::ENETDOWN
                    | libc::ENETUNREACH
                    | libc::EHOSTDOWN
                    | libc::EHOSTUNREACH
                    | libc::ENONET
                    | libc::EOPNOTSUPP
                    | libc::EPERM
                    | libc::ETIMEDOUT
            )
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_one_connection_are_told_from_those_that_last() {
        for error in [libc::ECONNABORTED, libc::ECONNRESET, libc::EINTR, libc::EPROTO, libc::EHOSTUNREACH, libc::EPERM]
        {
            assert!(of_one_connection(&io::Error::from_raw_os_error(error)), "{error}");
        }
        for error in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EINVAL] {
            assert!(!of_one_connection(&io::Error::from_raw_os_error(error)), "{error}");
        }
    }
}
