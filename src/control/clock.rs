//! I/O shell: the one clock of the daemon.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads the machine's clocks")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::time::Timestamp;

/// Wall time that never goes back while the daemon runs.
///
/// It follows the monotonic clock from the wall time at the start, and jumps forward when the machine's wall clock is set
/// forward, or the machine has slept: by how much, [`Clock::ahead`] says. When that is set back, it goes on at its own pace: a dwell or an expiry is then late by the difference, and
/// no age is ever negative. A restart takes the wall clock as it is.
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    /// Wall time at `started`, milliseconds since the Unix epoch; only ever raised.
    base: AtomicU64,
    /// The same as it was at first.
    first: u64,
}

impl Clock {
    /// Starts at the machine's wall time.
    pub fn start() -> Self {
        let first = wall();
        Self { shared: Arc::new(Shared { started: Instant::now(), base: AtomicU64::new(first), first }) }
    }

    /// This moment as far as it was known when it was last asked for with [`Clock::now`]: for who asks often, for it writes
    /// nothing that others read.
    pub fn glance(&self) -> Timestamp {
        Timestamp(self.shared.base.load(Ordering::Relaxed) + millis(self.shared.started.elapsed()))
    }

    /// This moment.
    pub fn now(&self) -> Timestamp {
        self.ahead().0
    }

    /// This moment, and by how much the clock went forward since it was started that was not lived through.
    pub fn ahead(&self) -> (Timestamp, Duration) {
        // In this order: a thread that is stopped between the two must not raise the base by as long as it was stopped.
        let wall = wall();
        let elapsed = millis(self.shared.started.elapsed());
        let base = wall.saturating_sub(elapsed);
        let base = self.shared.base.fetch_max(base, Ordering::Relaxed).max(base);
        (Timestamp(base + elapsed), Duration::from_millis(base.saturating_sub(self.shared.first)))
    }
}

fn wall() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis)
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_wall_time_and_never_goes_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(first.since(Timestamp(wall())) < Duration::from_secs(5));
        clock.shared.base.fetch_add(60_000, Ordering::Relaxed);
        let (ahead, by) = clock.ahead();
        assert!(ahead.since(first) >= Duration::from_secs(60));
        assert!(by >= Duration::from_secs(60), "it was not lived through");
        assert!(clock.now() >= ahead && clock.glance() >= ahead);
    }
}
