//! Whether everything that has to turn still does.
//!
//! A worker and the control loop show a number that changes with each of their turns. One that stays the same is silent;
//! for how long is what [`Liveness`] keeps. The service manager is told that the process lives while none is silent for
//! half of its patience: a thread that hangs ends in a restart, which a timer alone would hide.
//!
//! Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The turns of everything that turns, as they were last seen.
#[derive(Debug, Default)]
pub struct Liveness {
    seen: BTreeMap<Who, (u64, Instant)>,
}

/// What turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The control loop.
    Control,
    /// A worker, by a number that no other has.
    Worker(usize),
}

impl Liveness {
    /// Takes in what everybody shows at this moment, and says who has shown the same for the longest time.
    ///
    /// Who is not among them any more has ended, and is forgotten.
    pub fn look(&mut self, shown: impl IntoIterator<Item = (Who, u64)>, now: Instant) -> Option<(Who, Duration)> {
        let mut seen = BTreeMap::new();
        for (who, turns) in shown {
            let since = self.seen.get(&who).filter(|(before, _)| *before == turns).map_or(now, |(_, since)| *since);
            seen.insert(who, (turns, since));
        }
        self.seen = seen;
        let silent = self.seen.iter().map(|(who, (_, since))| (*who, now.saturating_duration_since(*since)));
        silent.max_by_key(|(_, length)| *length)
    }

    /// Begins anew: this process was not running for a while, or is told so.
    pub fn forget(&mut self) {
        self.seen.clear();
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Control => "the control loop",
            Self::Worker(_) => "a worker",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shows_the_same_is_silent_since_it_last_turned() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let start = Instant::now();
        let mut liveness = Liveness::default();
        let mut check = |seconds, shown: &[(Who, u64)], expected: Option<(Who, u64)>| {
            let silent = liveness.look(shown.iter().copied(), start + Duration::from_secs(seconds));
            assert_eq!(silent.map(|(who, length)| (who, length.as_secs())), expected, "at {seconds} s");
        };
        let (one, other) = (Who::Worker(1), Who::Worker(2));
        check(0, &[], None);
        check(1, &[(one, 7), (other, 7)], Some((other, 0)));
        check(3, &[(one, 8), (other, 7)], Some((other, 2)));
        check(4, &[(one, 8), (other, 7), (Who::Control, 1)], Some((other, 3)));
        check(5, &[(one, 9), (other, 8), (Who::Control, 1)], Some((Who::Control, 1)));
        // One that has ended is silent no more; one that comes back begins anew.
        check(9, &[(one, 10)], Some((one, 0)));
        check(20, &[(one, 11), (other, 8)], Some((other, 0)));
    }
}
