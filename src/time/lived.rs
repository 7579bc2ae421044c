//! Time that was lived through, and time that a clock has only passed over.
//!
//! A wall clock that is set forward, and a machine that has slept, pass over a length of time in which nobody has waited, and
//! nothing was seen. A wait that counted it would be over before its time: a region would take over that has been good for a
//! minute, a shut gate would be passed, a second switch would follow the first one at once. So every wait is counted in
//! what was lived through.
//!
//! What an operator gives a moment for (the end of a mark, a window, `--at`, `--until`) keeps to the wall clock, and evidence
//! grows old by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// What the clock has passed over, oldest first, none of which touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lived {
    skips: Vec<Skip>,
}

/// A length of time that the clock has passed over. In JSON a pair, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(Timestamp, Timestamp)", from = "(Timestamp, Timestamp)")]
struct Skip {
    from: Timestamp,
    to: Timestamp,
}

impl From<Skip> for (Timestamp, Timestamp) {
    fn from(Skip { from, to }: Skip) -> Self {
        (from, to)
    }
}

impl From<(Timestamp, Timestamp)> for Skip {
    fn from((from, to): (Timestamp, Timestamp)) -> Self {
        Self { from, to }
    }
}

/// Everything was lived through.
pub static ALL: Lived = Lived { skips: Vec::new() };

impl Lived {
    /// As many as are remembered. Of more the two oldest count as one, with what was lived through between them: a wait is
    /// then longer, and never shorter.
    pub const MOST: usize = 16;

    /// The clock went from one moment to another one, and nothing between them was lived through.
    pub fn skip(&mut self, from: Timestamp, to: Timestamp) {
        if from >= to {
            return;
        }
        // What touches it is one with it.
        let (mut from, mut to) = (from, to);
        self.skips.retain(|skip| {
            let apart = skip.to < from || skip.from > to;
            if !apart {
                (from, to) = (from.min(skip.from), to.max(skip.to));
            }
            apart
        });
        let at = self.skips.partition_point(|skip| skip.from < from);
        self.skips.insert(at, Skip { from, to });
        while self.skips.len() > Self::MOST {
            let oldest = self.skips.remove(0);
            self.skips[0].from = oldest.from;
        }
    }

    /// The same with nothing in the future: what a clock that was set back will come to again is lived through then.
    pub fn until(mut self, now: Timestamp) -> Self {
        self.skips.retain(|skip| skip.from < now);
        self.skips.iter_mut().for_each(|skip| skip.to = skip.to.min(now));
        self
    }

    /// When so much has been lived through since a moment.
    pub fn after(&self, since: Timestamp, length: Duration) -> Timestamp {
        let end = since.after(length);
        self.skips.iter().fold(end, |end, skip| {
            let from = skip.from.max(since);
            if from < end { end.after(skip.to.since(from)) } else { end }
        })
    }

    /// How much was lived through from `earlier` to `later`; nothing when `earlier` is later.
    pub fn between(&self, earlier: Timestamp, later: Timestamp) -> Duration {
        let skipped = self.skips.iter().map(|skip| skip.to.min(later).since(skip.from.max(earlier)));
        later.since(earlier).saturating_sub(skipped.sum())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lived(skips: &[(u64, u64)]) -> Lived {
        let mut lived = Lived::default();
        skips.iter().for_each(|(from, to)| lived.skip(Timestamp(*from), Timestamp(*to)));
        lived
    }

    fn ends(skips: &[(u64, u64)], since: u64, millis: u64) -> u64 {
        lived(skips).after(Timestamp(since), Duration::from_millis(millis)).0
    }

    #[test]
    fn what_was_passed_over_is_not_waited() {
        assert_eq!(ends(&[], 100, 50), 150);
        assert_eq!(ends(&[(120, 1_000)], 100, 50), 1_030, "20 before it and 30 after it");
        assert_eq!(ends(&[(150, 1_000)], 100, 50), 150, "it was over before");
        assert_eq!(ends(&[(20, 100)], 100, 50), 150, "it was over before the wait began");
        assert_eq!(ends(&[(20, 110)], 100, 50), 160, "what began within it begins after it");
        assert_eq!(ends(&[(110, 210), (220, 320)], 100, 50), 350);
        assert_eq!(ends(&[(110, 210), (270, 320)], 100, 50), 250);
        assert_eq!(lived(&[(110, 210), (220, 320)]).between(Timestamp(100), Timestamp(330)), Duration::from_millis(30));
        assert_eq!(lived(&[(110, 210)]).between(Timestamp(150), Timestamp(180)), Duration::ZERO);
        assert_eq!(lived(&[(110, 210)]).between(Timestamp(9), Timestamp(5)), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_was_set_back_will_live_through_it() {
        assert_eq!(lived(&[(10, 20), (50, 90)]).until(Timestamp(60)), lived(&[(10, 20), (50, 60)]));
        assert_eq!(lived(&[(10, 20), (50, 90)]).until(Timestamp(50)), lived(&[(10, 20)]));
    }

    #[test]
    fn what_touches_is_one_and_too_many_never_make_a_wait_shorter() {
        assert_eq!(lived(&[(10, 20), (20, 30)]), lived(&[(10, 30)]));
        assert_eq!(lived(&[(50, 60), (10, 20), (15, 55)]), lived(&[(10, 60)]));
        let many: Vec<_> = (0..40).map(|at| (at * 100, at * 100 + 10)).collect();
        let kept = lived(&many);
        assert_eq!(kept.skips.len(), Lived::MOST);
        assert_eq!((kept.skips[0].from.0, kept.skips[0].to.0), (0, 2_410));
        let json = serde_json::to_string(&lived(&[(10, 20)])).unwrap();
        assert_eq!((json.as_str(), serde_json::from_str::<Lived>(&json).unwrap()), ("[[10,20]]", lived(&[(10, 20)])));
    }

    proptest! {
        /// The end of a wait is the first moment at which so much has been lived through.
        #[test]
        fn an_end_is_the_first_moment(skips in proptest::collection::vec((0u64..500, 1u64..60), 0..20),
                                      since in 0u64..500, millis in 1u64..200) {
            let lived = lived(&skips.iter().map(|(from, length)| (*from, from + length)).collect::<Vec<_>>());
            let length = Duration::from_millis(millis);
            let end = lived.after(Timestamp(since), length);
            prop_assert_eq!(lived.between(Timestamp(since), end), length);
            let before = Timestamp(end.0 - 1);
            prop_assert!(lived.between(Timestamp(since), before) < length);
        }
    }
}
