//! Who has had how much lately: a table of fixed size, which all workers share without locks.
//!
//! A bucket is one word: when all that was granted would be over at the rate (the generic cell rate algorithm). One whose time
//! is past is as one that never was, so nothing has to be cleared, and only who asks at this moment takes a place.
//!
//! ```text
//!   63      44 43                        4 3      0
//!  | tag      | over, in sixteenths of one | refused |
//! ```
//!
//! A key has sixteen places: two sets, a cache line each. A new one takes one in the set that is less busy. Where all are, it
//! takes that of the bucket that is over first, and what that one owes: no key is granted more for being new. So where more keys are busy than there are places, a new one may
//! be refused what it was never granted, but never by more than the least that sixteen others owe. Keys are told apart by 20
//! bits of their hash beside their places: one in 65,000 shares a bucket with another that is busy.
//!
//! Pure: time is an argument, and so is what the keys are hashed with.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Places of a set: a cache line.
const WAYS: usize = 8;

/// Units of time that one takes: what a second is divided in, beside the rate.
const EACH: u64 = 16;

/// Bits of a time; it wraps after a day or more, and what was granted so long ago is no matter.
const TIME: u32 = 40;

const TIMES: u64 = (1 << TIME) - 1;

/// Bits of the number of those refused.
const NUMBER: u32 = 4;

/// Looks at a place that another worker changes meanwhile.
const TRIES: usize = 8;

/// What each key is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// How many in a second, at most 100,000.
    pub(super) per_second: u32,
    /// How many at once after a pause, at most 1,000,000.
    pub(super) burst: u32,
}

/// What came of asking for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Granted,
    /// After this time there will be one.
    Refused {
        wait: Duration,
        /// Whether it is the n-th in a row of as many as [`Buckets::take`] was told to count, or of a key without a place.
        nth: bool,
    },
}

#[derive(Debug)]
pub(super) struct Buckets<S = RandomState> {
    sets: Box<[Set]>,
    hasher: S,
    rate: Rate,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// A bucket as it is in the table; 0 is none.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Bucket(u64);

/// A place as it was looked at.
struct Place<'a> {
    at: &'a AtomicU64,
    bucket: Bucket,
    owed: u64,
    /// Of how many places of its set something is owed.
    busy: u8,
}

impl Bucket {
    fn new(tag: u64, over: u64, refused: u8) -> Self {
        Self(tag << (TIME + NUMBER) | (over & TIMES) << NUMBER | u64::from(refused))
    }

    fn tag(self) -> u64 {
        self.0 >> (TIME + NUMBER)
    }

    fn over(self) -> u64 {
        self.0 >> NUMBER & TIMES
    }

    fn refused(self) -> u8 {
        self.0 as u8 & ((1 << NUMBER) - 1)
    }
}

impl<S: BuildHasher> Buckets<S> {
    /// A table of at most so many octets, at least a set.
    pub(super) fn new(octets: u32, rate: Rate, hasher: S) -> Self {
        let sets = (octets as usize / size_of::<Set>()).max(1);
        // The greatest power of two that fits.
        let sets = 1 << sets.ilog2();
        Self { sets: (0..sets).map(|_| Set::default()).collect(), hasher, rate }
    }

    /// Takes one of what a key is granted at this time, if there is one. Of those refused in a row every `nth` is told; 0 is none.
    ///
    /// Times of several workers may be out of order by less than a second.
    pub(super) fn take(&self, key: impl Hash, now: Duration, nth: u8) -> Taken {
        let hash = self.hasher.hash_one(key);
        let mask = self.sets.len() - 1;
        let sets = [hash, hash >> 22].map(|at| &self.sets[at as usize & mask]);
        // 0 is for a place that was never taken.
        let tag = (hash >> (TIME + NUMBER)).max(1);
        let now = self.units(now);
        let most = u64::from(self.rate.burst) * EACH;
        let mut wait = EACH;
        for _ in 0..TRIES {
            let Some(Place { at, bucket, owed, .. }) = self.place(sets, tag, now) else { break };
            let (taken, after) = if owed + EACH <= most {
                (Taken::Granted, Bucket::new(tag, now + owed + EACH, 0))
            } else {
                wait = owed + EACH - most;
                let known = bucket.tag() == tag;
                let refused = if known { bucket.refused() + 1 } else { nth };
                let is_nth = nth != 0 && refused >= nth;
                let refusal = Taken::Refused { wait: self.duration(wait), nth: is_nth };
                // Who has no place leaves the table as it is, and so does who counts no further.
                if !known || nth < 2 {
                    return refusal;
                }
                (refusal, Bucket::new(tag, bucket.over(), if is_nth { 0 } else { refused }))
            };
            if at.compare_exchange(bucket.0, after.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return taken;
            }
        }
        // All others ask for the same at this moment.
        Taken::Refused { wait: self.duration(wait), nth: false }
    }

    /// The place of a key, or the one that it may take: in the set with fewer that are busy the one that is over first.
    fn place<'a>(&self, sets: [&'a Set; 2], tag: u64, now: u64) -> Option<Place<'a>> {
        let mut best: Option<Place<'a>> = None;
        for Set(places) in sets {
            let mut busy = 0;
            let mut least: Option<Place<'a>> = None;
            for at in places {
                let bucket = Bucket(at.load(Ordering::Relaxed));
                let owed = self.owed(bucket, now);
                let place = Place { at, bucket, owed, busy: 0 };
                if bucket.tag() == tag {
                    return Some(place);
                }
                busy += u8::from(owed > 0);
                if least.as_ref().is_none_or(|least| owed < least.owed) {
                    least = Some(place);
                }
            }
            let least = least.map(|least| Place { busy, ..least });
            best = match (best, least) {
                (Some(best), Some(least)) if (least.busy, least.owed) < (best.busy, best.owed) => Some(least),
                (None, least) => least,
                (best, _) => best,
            };
        }
        best
    }

    /// What is owed at a time; at most the burst, and what another worker with a later time has granted. Anything beyond is a
    /// time that has wrapped.
    fn owed(&self, bucket: Bucket, now: u64) -> u64 {
        let ahead = bucket.over().wrapping_sub(now) & TIMES;
        let most = (u64::from(self.rate.burst) + u64::from(self.rate.per_second)) * EACH;
        if bucket.0 == 0 || ahead > most { 0 } else { ahead }
    }

    fn units(&self, time: Duration) -> u64 {
        let per_second = u128::from(self.rate.per_second) * u128::from(EACH);
        (time.as_nanos() * per_second / 1_000_000_000) as u64
    }

    fn duration(&self, units: u64) -> Duration {
        let per_second = u64::from(self.rate.per_second.max(1)) * EACH;
        Duration::from_nanos(units * 1_000_000_000 / per_second)
    }

    /// Octets of the table.
    #[cfg(test)]
    fn octets(&self) -> usize {
        size_of_val(&*self.sets)
    }
}

#[cfg(test)]
mod tests;
