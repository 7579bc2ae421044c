//! The word that ends the workers: one moment at which everything is cut, and what wakes those who wait.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use std::{fmt, io};

use rustix::event::{EventfdFlags, eventfd};

/// Not set: serve. Set: answer what is already here, and be gone by the deadline.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// Read by workers between two batches: one load.
    deadline: OnceLock<Instant>,
    /// Those to wake. Taken when a worker starts and when the drain begins.
    wakers: Mutex<Vec<Arc<Waker>>>,
}

/// Wakes a worker that waits for its epoll set, in which this is registered for edges and never read.
pub(super) struct Waker(OwnedFd);

impl Stop {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Begins the drain; a second call changes nothing.
    pub(super) fn begin(&self, deadline: Instant) {
        // Already set: the first deadline stands.
        let _ = self.deadline.set(deadline);
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(|waker| waker.wake());
    }

    /// When everything is cut, once the drain has begun.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    /// Has `waker` called when the drain begins.
    pub(super) fn wakes(&self, waker: Arc<Waker>) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        match self.deadline() {
            Some(_) => waker.wake(),
            None => wakers.push(waker),
        }
    }
}

impl Waker {
    /// # Errors
    /// When the process has no descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(super) fn wake(&self) {
        // Fails only when it has been called 2^64 times.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}
