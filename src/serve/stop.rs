//! The word that ends the workers: one moment at which everything is cut, told to threads and tasks alike.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::watch;

/// Not set: serve. Set: answer what is already here, and be gone by the deadline.
#[derive(Debug)]
pub(super) struct Stop {
    /// Read by UDP workers between two batches: one load.
    deadline: OnceLock<Instant>,
    /// Wakes TCP tasks.
    signal: watch::Sender<bool>,
}

impl Stop {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { deadline: OnceLock::new(), signal: watch::Sender::new(false) })
    }

    /// Begins the drain; a second call changes nothing.
    pub(super) fn begin(&self, deadline: Instant) {
        // Already set: the first deadline stands.
        let _ = self.deadline.set(deadline);
        self.signal.send_replace(true);
    }

    /// When everything is cut, once the drain has begun.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    /// Returns the deadline when the drain begins.
    pub(super) async fn begun(&self) -> Instant {
        let mut signal = self.signal.subscribe();
        loop {
            if let Some(deadline) = self.deadline() {
                return deadline;
            }
            // Fails only when the sender is gone, and the sender is a field of `self`.
            let _ = signal.changed().await;
        }
    }
}
