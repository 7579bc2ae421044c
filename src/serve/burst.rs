//! One log line for a burst of like failures, with the number of those that the line before it stood for.

use std::time::{Duration, Instant};

/// A burst is over when nothing failed for this long; while it lasts, it is mentioned this often.
const QUIET: Duration = Duration::from_secs(10);

/// Decides which failures of a kind are worth a line.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// When the last line was written.
    told: Option<Instant>,
    /// Failures since that line.
    untold: u64,
}

impl Burst {
    /// Notes a failure. `Some(untold)` when it is worth a line: the first one, and then one every [`QUIET`] together
    /// with the number of failures that got none.
    pub(super) fn note(&mut self, now: Instant) -> Option<u64> {
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < QUIET) {
            self.untold += 1;
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_burst_is_told_and_then_one_every_while() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let start = Instant::now();
        let mut burst = Burst::default();
        let mut at = |seconds| burst.note(start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(1), at(9), at(10), at(11), at(100)], [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
