//! How late resolvers come back, as a histogram and as an estimate. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The upper bounds of the buckets of lateness, seconds; beyond the last there is one more.
pub const BOUNDS: [u64; 6] = [1, 5, 15, 60, 300, 1800];

/// Buckets of lateness.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// Resolvers that came back after a switch, by how long after the end of the TTL that they had been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Within the TTL.
    pub on_time: u64,
    /// Later: 0 to 1 s, 1 to 5 s, 5 to 15 s, 15 to 60 s, 1 to 5 min, 5 to 30 min, more.
    pub late: [u64; BUCKETS],
}

/// How a resolver came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Return {
    OnTime,
    /// In this bucket of lateness.
    Late(usize),
}

/// How long resolvers go on with an answer beyond its TTL: quantiles over all that came back.
///
/// Values beyond the last bound are given as that bound, and are at least so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// Half of them.
    pub p50: Duration,
    /// 95 in a hundred.
    pub p95: Duration,
    /// 99 in a hundred.
    pub p99: Duration,
    /// All of them.
    pub max: Duration,
}

impl Return {
    /// Of a resolver that came back at `now` and whose TTL ended at `due`, in the same unit, of which a second has so many.
    pub(super) fn of(due: u32, now: u32, second: u32) -> Self {
        match now.checked_sub(due) {
            None | Some(0) => Self::OnTime,
            Some(late) => Self::Late(BOUNDS.partition_point(|bound| bound * u64::from(second) <= u64::from(late))),
        }
    }
}

impl Histogram {
    /// All that came back.
    pub fn total(&self) -> u64 {
        self.on_time + self.late()
    }

    /// Those that came back later than their TTL said.
    pub fn late(&self) -> u64 {
        self.late.iter().sum()
    }

    /// Adds one.
    pub(super) fn note(&mut self, returned: Return) {
        match returned {
            Return::OnTime => self.on_time += 1,
            Return::Late(bucket) => self.late[bucket] += 1,
        }
    }

    /// Adds all of another one.
    pub fn add(&mut self, other: &Self) {
        self.on_time += other.on_time;
        self.late.iter_mut().zip(other.late).for_each(|(sum, late)| *sum += late);
    }

    /// The lateness that so many in a hundred do not exceed, taken as evenly spread within a bucket.
    fn quantile(&self, percent: u64) -> Duration {
        let wanted = self.total() as f64 * percent as f64 / 100.0;
        let mut below = self.on_time as f64;
        let mut from = 0;
        for (bucket, count) in self.late.iter().enumerate() {
            if wanted <= below {
                break;
            }
            let Some(to) = BOUNDS.get(bucket).copied() else { break };
            if wanted <= below + *count as f64 {
                let part = (wanted - below) / *count as f64;
                return Duration::from_secs_f64(from as f64 + part * (to - from) as f64);
            }
            below += *count as f64;
            from = to;
        }
        Duration::from_secs(from)
    }
}

/// How long resolvers overran their TTLs; `None` when none has come back.
pub fn overrun(histogram: &Histogram) -> Option<Overrun> {
    if histogram.total() == 0 {
        return None;
    }
    let highest = histogram.late.iter().rposition(|count| *count > 0);
    let max = highest.map_or(0, |bucket| BOUNDS[bucket.min(BOUNDS.len() - 1)]);
    let [p50, p95, p99] = [50, 95, 99].map(|percent| histogram.quantile(percent));
    Some(Overrun { p50, p95, p99, max: Duration::from_secs(max) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_falls_into_its_bucket() {
        let check = |late: u32, expected| assert_eq!(Return::of(1000, 1000 + late, 10), expected, "{late} tenths");
        check(0, Return::OnTime);
        assert_eq!(Return::of(1000, 10, 10), Return::OnTime);
        for (late, bucket) in [(1, 0), (9, 0), (10, 1), (49, 1), (50, 2), (149, 2), (150, 3), (599, 3), (600, 4)] {
            check(late, Return::Late(bucket));
        }
        for (late, bucket) in [(2_999, 4), (3_000, 5), (17_999, 5), (18_000, 6), (u32::MAX - 1000, 6)] {
            check(late, Return::Late(bucket));
        }
    }

    #[test]
    fn quantiles_are_within_their_buckets() {
        let check = |on_time, late: [u64; BUCKETS], expected: Option<[f64; 4]>| {
            let found = overrun(&Histogram { on_time, late });
            let found = found.map(|o| [o.p50, o.p95, o.p99, o.max].map(|length| length.as_secs_f64()));
            assert_eq!(found, expected, "{on_time} {late:?}");
        };
        check(0, [0; 7], None);
        check(1, [0; 7], Some([0.0; 4]));
        check(0, [100, 0, 0, 0, 0, 0, 0], Some([0.5, 0.95, 0.99, 1.0]));
        check(50, [50, 0, 0, 0, 0, 0, 0], Some([0.0, 0.9, 0.98, 1.0]));
        check(90, [0, 0, 10, 0, 0, 0, 0], Some([0.0, 10.0, 14.0, 15.0]));
        check(0, [0, 0, 0, 0, 0, 0, 3], Some([1800.0; 4]));
        check(94, [0, 0, 0, 0, 0, 2, 4], Some([0.0, 1050.0, 1800.0, 1800.0]));
        check(0, [1, 0, 0, 0, 0, 0, 0], Some([0.5, 0.95, 0.99, 1.0]));
    }

    #[test]
    fn histograms_add_up() {
        let mut sum = Histogram { on_time: 1, late: [1, 2, 3, 4, 5, 6, 7] };
        sum.add(&Histogram { on_time: 2, late: [1; BUCKETS] });
        sum.note(Return::OnTime);
        sum.note(Return::Late(6));
        assert_eq!(sum, Histogram { on_time: 4, late: [2, 3, 4, 5, 6, 7, 9] });
        assert_eq!((sum.late(), sum.total()), (36, 40));
    }
}
