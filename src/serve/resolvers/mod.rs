//! Who still asks late: how resolvers come back after a switch, from a sample of them.
//!
//! A switch reaches a device when its resolver asks again, which it should when the TTL that it was given is over. For a
//! sample of resolvers and each hub that they ask for, a table keeps when the last answer is to be forgotten by, and of
//! which epoch it was. The first question after a switch says whether the resolver came back within its TTL or how much
//! later; entries that stay behind say who has not come back.
//!
//! ```text
//!   address ─ keyed hash ─ 1 of N? ─► line of the table: 4 entries of 16 octets, one cache line
//!                                       hub | tag      due | epoch | how it came back, 3 times
//! ```
//!
//! - One table for all workers, for a resolver's questions spread over them. There is no lock: an entry is changed by one
//!   exchange, and if two workers change one at the same moment, one of the two changes is lost, and no more.
//! - The table is as large as it is, and its pages are taken from the system when they are first written. When a line is
//!   full, a tag decides who stays, whatever the order in which they asked: what is kept is an even sample still, and how
//!   often that happened is counted. An entry that is over for an hour is free.
//! - Addresses are kept as a hash with a key of this process alone.
//!
//! What the figures cannot tell: a resolver that nobody asks comes back late without any fault, so that lateness is an
//! upper bound; behind one address there may be many caches, of which the longest kept answer counts; and an anycast
//! resolver may ask from somewhere else next time. See `docs/resolvers.md`.

mod entry;
mod overrun;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use zerocopy::FromZeros;

use self::entry::{Entry, Given, Moment};
use self::overrun::Return;
pub use self::overrun::{BOUNDS, BUCKETS, Histogram, Overrun, overrun};
use crate::answer::client::Client;
use crate::answer::respond::HubAnswer;
use crate::answer::snapshot::Snapshot;
use crate::time::Timestamp;

/// Switches that a table can tell of: the last ones.
pub const SWITCHES: usize = entry::KEPT;

/// Lines of the table: 512 KiB.
const LINES: usize = 1 << 13;

/// Entries of a line.
const ENTRIES: usize = 4;

/// Words of a line: two for each entry. A cache line.
const WORDS: usize = 2 * ENTRIES;

/// Octets of a cache line.
const CACHE_LINE: usize = 64;

/// Seconds after which an entry that is over may be replaced.
const FORGOTTEN: u32 = 3600;

/// What time it is.
type Now = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// The table and what is counted.
pub struct Resolvers {
    /// One of so many resolvers is in the sample; 0 for none.
    scale: u32,
    /// The largest draw of one that is.
    most: u64,
    /// Makes the hashes those of this process.
    secret: u64,
    words: Box<[AtomicU64]>,
    /// Where the first cache line begins.
    first: usize,
    now: Now,
    origin: Timestamp,
    on_time: AtomicU64,
    late: [AtomicU64; BUCKETS],
    late_tenths: AtomicU64,
    displaced: AtomicU64,
}

/// A sampled resolver and what it was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    place: u64,
    hub: u32,
    ttl: u32,
    epoch: u64,
    since: Timestamp,
}

/// A switch of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchOf {
    /// The epoch that began with it.
    pub epoch: u64,
    /// When it was.
    pub since: Timestamp,
}

/// What became of the sampled resolvers that held an older answer at a switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// Those that came back.
    pub returned: Histogram,
    /// Those that did not.
    pub outstanding: u64,
    /// Those of them whose TTL is over.
    pub overdue: u64,
    /// When the last of their TTLs is over.
    pub last_due: Option<Timestamp>,
}

/// What is counted of all hubs together. Everything only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comebacks {
    /// Sampled resolvers that came back after a switch.
    pub returned: Histogram,
    /// The sum of their lateness, tenths of a second.
    pub late_tenths: u64,
    /// Sampled resolvers that the table had no place for, or no longer.
    pub displaced: u64,
}

impl Resolvers {
    /// A table that nobody is in.
    pub fn off() -> Self {
        Self::new(0, 0, Box::new(|| Timestamp(0)))
    }

    /// A table for one of `scale` resolvers; 0 for none. `secret` keys the hashes of their addresses.
    pub fn new(scale: u32, secret: u64, now: Now) -> Self {
        let words = if scale == 0 { 0 } else { LINES * WORDS + WORDS };
        // Where there is no memory for it, there is none for what comes after.
        let words = <[AtomicU64]>::new_box_zeroed_with_elems(words).unwrap_or_default();
        let first = words.as_ptr().addr().wrapping_neg() % CACHE_LINE / size_of::<AtomicU64>();
        let most = u64::MAX.checked_div(u64::from(scale)).unwrap_or(0);
        Self {
            scale,
            most,
            secret,
            words,
            first,
            origin: now(),
            now,
            on_time: AtomicU64::default(),
            late: Default::default(),
            late_tenths: AtomicU64::default(),
            displaced: AtomicU64::default(),
        }
    }

    /// One of so many resolvers is in the sample; 0 for none.
    pub fn scale(&self) -> u32 {
        self.scale
    }

    /// What a client of the sample was told of a hub; `None` for all others.
    #[inline]
    pub(super) fn sight(&self, snapshot: &Snapshot, answer: HubAnswer, client: Client) -> Option<Sighting> {
        if client.draw(self.secret) > self.most {
            return None;
        }
        self.sight_sampled(snapshot, answer, client)
    }

    #[cold]
    fn sight_sampled(&self, snapshot: &Snapshot, answer: HubAnswer, client: Client) -> Option<Sighting> {
        let position = answer.position();
        let choice = snapshot.choices.get(position)?;
        let hub = snapshot.content.hub_key(position)?;
        let ttl = snapshot.ttl(position, client)?;
        let place = client.hash(self.secret.rotate_left(32) ^ u64::from(hub).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Some(Sighting { place, hub, ttl, epoch: choice.epoch, since: choice.since })
    }

    /// What time it is for [`Resolvers::note`].
    pub(super) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Notes an answer that is given at this moment.
    pub(super) fn note(&self, sighting: &Sighting, now: Timestamp) {
        let Sighting { place, hub, ttl, epoch, since } = *sighting;
        let now = Moment::of(now, self.origin);
        let given = Given { epoch: epoch as u16, since: Moment::of(since, self.origin), now, ttl };
        let Some(line) = self.line((place >> 32) as usize % LINES) else { return };
        let tag = place as u32;
        let key = u64::from(hub) << 32 | u64::from(tag);
        // Of those that cannot be replaced at once, the one with the largest tag.
        let mut last: Option<(usize, u32)> = None;
        let mut free = None;
        for (at, [known, word]) in line.as_chunks::<2>().0.iter().enumerate() {
            let known = known.load(Ordering::Relaxed);
            let entry = Entry::unpack(word.load(Ordering::Relaxed), known as u32);
            if known == key
                && let Some(entry) = entry
            {
                return self.follow(word, entry, &given, tag);
            }
            match entry {
                Some(entry) if entry.due.after(FORGOTTEN) >= now => {
                    if last.is_none_or(|(_, other)| known as u32 > other) {
                        last = Some((at, known as u32));
                    }
                }
                _ => free = free.or(Some(at)),
            }
        }
        let at = match (free, last) {
            (Some(at), _) => at,
            (None, last) => {
                self.displaced.fetch_add(1, Ordering::Relaxed);
                match last {
                    Some((at, other)) if other > tag => at,
                    _ => return,
                }
            }
        };
        let Some([known, word]) = line.as_chunks::<2>().0.get(at) else { return };
        // Whoever looks at it meanwhile finds none.
        word.store(0, Ordering::Relaxed);
        known.store(key, Ordering::Release);
        word.store(Entry::new(&given).pack(tag), Ordering::Release);
    }

    fn follow(&self, word: &AtomicU64, entry: Entry, given: &Given, tag: u32) {
        let (next, returned) = entry.follow(given);
        let changed =
            word.compare_exchange(entry.pack(tag), next.pack(tag), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        match returned.filter(|_| changed) {
            None => {}
            Some(Return::OnTime) => _ = self.on_time.fetch_add(1, Ordering::Relaxed),
            Some(Return::Late(bucket)) => {
                self.late[bucket].fetch_add(1, Ordering::Relaxed);
                let late = given.now.0.saturating_sub(entry.due.0);
                self.late_tenths.fetch_add(u64::from(late), Ordering::Relaxed);
            }
        }
    }

    /// The words of a line, keys and values in turn.
    fn line(&self, line: usize) -> Option<&[AtomicU64]> {
        let start = self.first + line * WORDS;
        self.words.get(start..start + WORDS)
    }

    /// The entries of a hub.
    fn entries(&self, hub: Option<u32>) -> impl Iterator<Item = Entry> {
        let words = self.words.get(self.first..).unwrap_or_default();
        words.as_chunks::<2>().0.iter().filter_map(move |[known, word]| {
            let value = word.load(Ordering::Acquire);
            let known = known.load(Ordering::Acquire);
            Entry::unpack(value, known as u32).filter(|_| hub.is_none_or(|hub| (known >> 32) as u32 == hub))
        })
    }

    /// What became of the sampled resolvers of a hub after each of these switches, at most [`SWITCHES`] of the last ones.
    ///
    /// `hub` is its [`hub_key`](crate::answer::snapshot::hub_key). Looks at the whole table.
    pub fn returns(&self, hub: u32, switches: &[SwitchOf]) -> Vec<Returns> {
        let now = Moment::of(self.now(), self.origin);
        let mut returns = vec![Returns::default(); switches.len()];
        for entry in self.entries(Some(hub)) {
            for (switch, returns) in switches.iter().zip(&mut returns) {
                match usize::try_from(entry.switches_since(switch.epoch as u16)) {
                    Ok(ago) => entry.returned(ago).into_iter().for_each(|returned| returns.returned.note(returned)),
                    Err(_) if entry.due < Moment::of(switch.since, self.origin) => {}
                    Err(_) => {
                        returns.outstanding += 1;
                        returns.overdue += u64::from(entry.due < now);
                        returns.last_due = returns.last_due.max(Some(entry.due.timestamp(self.origin)));
                    }
                }
            }
        }
        returns
    }

    /// How the sampled resolvers of a hub, or with `None` of all hubs, came back after the last switches.
    pub fn histogram(&self, hub: Option<u32>) -> Histogram {
        let mut histogram = Histogram::default();
        self.entries(hub).for_each(|entry| entry.add_to(&mut histogram));
        histogram
    }

    /// Sampled resolvers of a hub in the table.
    pub fn sampled(&self, hub: u32) -> u64 {
        self.entries(Some(hub)).count() as u64
    }

    /// What is counted since the start.
    pub fn comebacks(&self) -> Comebacks {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Comebacks {
            returned: Histogram { on_time: load(&self.on_time), late: self.late.each_ref().map(load) },
            late_tenths: load(&self.late_tenths),
            displaced: load(&self.displaced),
        }
    }
}

impl Default for Resolvers {
    fn default() -> Self {
        Self::off()
    }
}

impl fmt::Debug for Resolvers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolvers").field("scale", &self.scale).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
