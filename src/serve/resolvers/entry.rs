//! What is known of one resolver and one hub: sixty-four bits, and what an answer does to them. Pure.

use super::overrun::{Histogram, Return};
use crate::time::Timestamp;

/// Units of time in a second.
pub(super) const SECOND: u32 = 10;

/// Milliseconds in a unit.
const UNIT: u64 = 1000 / SECOND as u64;

/// Switches of which it is known how the resolver came back after them: the last ones.
pub(super) const KEPT: usize = 3;

/// Bits of a return.
const BITS: u32 = 4;

/// Tenths of a second since the table was made, from 1: enough for 13 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) u32);

impl Moment {
    /// What was before `origin` was then.
    pub(super) fn of(at: Timestamp, origin: Timestamp) -> Self {
        Self(u32::try_from(at.0.saturating_sub(origin.0) / UNIT + 1).unwrap_or(u32::MAX))
    }

    pub(super) fn after(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(SECOND)))
    }

    pub(super) fn timestamp(self, origin: Timestamp) -> Timestamp {
        Timestamp(origin.0.saturating_add(u64::from(self.0.saturating_sub(1)) * UNIT))
    }
}

/// A resolver that asked for a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When the last of its answers is to be forgotten by.
    pub(super) due: Moment,
    /// The low bits of the hub's epoch in the last answer.
    pub(super) epoch: u16,
    /// How it came back after the switch to that epoch, and the ones before: four bits each, 0 where it held no answer.
    returns: u16,
}

/// An answer that was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) epoch: u16,
    /// When the hub switched to it.
    pub(super) since: Moment,
    pub(super) now: Moment,
    /// The TTL, seconds.
    pub(super) ttl: u32,
}

impl Entry {
    /// Of a resolver that was not known.
    pub(super) fn new(given: &Given) -> Self {
        Self { due: given.now.after(given.ttl), epoch: given.epoch, returns: 0 }
    }

    /// What is known after an answer, and how the resolver came back if this is its first one since the switch, and it held
    /// an older answer at the switch.
    pub(super) fn follow(self, given: &Given) -> (Self, Option<Return>) {
        let due = given.now.after(given.ttl);
        let switches = given.epoch.wrapping_sub(self.epoch);
        match switches {
            // Several caches may be behind one address: the answer that is kept longest counts.
            0 => (Self { due: due.max(self.due), ..self }, None),
            1..=0x7fff => {
                let held = self.due >= given.since;
                let returned = held.then(|| Return::of(self.due.0, given.now.0, SECOND));
                let before = u32::from(self.returns).checked_shl(BITS * u32::from(switches)).unwrap_or(0);
                let returns = (before as u16 & 0x0fff) | code(returned);
                (Self { due, epoch: given.epoch, returns }, returned)
            }
            // Of an older snapshot, by a worker that was slower.
            _ => (self, None),
        }
    }

    /// How many switches after this one it was given its last answer, if it was; else how many before, negative.
    pub(super) fn switches_since(self, epoch: u16) -> i16 {
        self.epoch.wrapping_sub(epoch) as i16
    }

    /// How it came back after the switch so many before that to its epoch.
    pub(super) fn returned(self, ago: usize) -> Option<Return> {
        let code = u32::from(self.returns).checked_shr(BITS * ago as u32).unwrap_or(0) & 0xf;
        match code {
            0 => None,
            1 => Some(Return::OnTime),
            late => Some(Return::Late(late as usize - 2)),
        }
    }

    /// Adds all that is known of its returns.
    pub(super) fn add_to(self, histogram: &mut Histogram) {
        (0..KEPT).filter_map(|ago| self.returned(ago)).for_each(|returned| histogram.note(returned));
    }

    /// In one word, never 0, with four bits that tell whose it is.
    pub(super) fn pack(self, whose: u32) -> u64 {
        u64::from(self.due.0) << 32
            | u64::from(self.epoch) << 16
            | u64::from(self.returns) << 4
            | u64::from(whose & 0xf)
    }

    /// From one word; `None` where there is none, or it is somebody else's.
    pub(super) fn unpack(word: u64, whose: u32) -> Option<Self> {
        let is_whole = word != 0 && (word as u32 ^ whose) & 0xf == 0;
        is_whole.then_some(Self {
            due: Moment((word >> 32) as u32),
            epoch: (word >> 16) as u16,
            returns: (word >> 4) as u16 & 0x0fff,
        })
    }
}

fn code(returned: Option<Return>) -> u16 {
    match returned {
        None => 0,
        Some(Return::OnTime) => 1,
        Some(Return::Late(bucket)) => 2 + bucket as u16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers in words: `second epoch since ttl`, all of one resolver; what is known after the last one.
    fn follow(answers: &str) -> (Entry, Vec<Option<Return>>) {
        let mut entry: Option<Entry> = None;
        let mut returns = Vec::new();
        for answer in answers.split(", ") {
            let words: Vec<u32> = answer.split(' ').map(|word| word.parse().unwrap()).collect();
            let [now, epoch, since, ttl] = *words else { panic!("{answer}") };
            let given = Given { epoch: epoch as u16, since: Moment(since * SECOND), now: Moment(now * SECOND), ttl };
            let (next, returned) = match entry {
                None => (Entry::new(&given), None),
                Some(entry) => entry.follow(&given),
            };
            assert_eq!(Entry::unpack(next.pack(7), 7), Some(next));
            assert_eq!(Entry::unpack(next.pack(7), 8), None);
            entry = Some(next);
            returns.push(returned);
        }
        (entry.unwrap(), returns)
    }

    #[track_caller]
    fn check(answers: &str, last: Option<Return>, due: u32) {
        let (entry, returns) = follow(answers);
        assert_eq!((*returns.last().unwrap(), entry.due), (last, Moment(due * SECOND)), "{answers}");
    }

    #[test]
    fn how_a_resolver_comes_back_after_a_switch() {
        let late = |bucket| Some(Return::Late(bucket));
        // The switch to epoch 2 is at second 110; the answer of second 100 is kept until 130.
        check("100 1 0 30", None, 130);
        check("100 1 0 30, 129 2 110 30", Some(Return::OnTime), 159);
        check("100 1 0 30, 130 2 110 30", Some(Return::OnTime), 160);
        check("100 1 0 30, 131 2 110 30", late(1), 161);
        check("100 1 0 30, 140 2 110 30", late(2), 170);
        check("100 1 0 30, 189 2 110 30", late(3), 219);
        check("100 1 0 30, 400 2 110 30", late(4), 430);
        check("100 1 0 30, 2000 2 110 30", late(6), 2030);
        // It held no answer at the switch: there was nothing to come back from.
        check("50 1 0 30, 140 2 110 30", None, 170);
        check("79 1 0 30, 140 2 110 30", None, 170);
        check("80 1 0 30, 140 2 110 30", late(3), 170);
        // It is back: later answers say nothing more.
        check("100 1 0 30, 131 2 110 30, 161 2 110 30", None, 191);
        // A lower TTL, and another cache behind the same address that holds the longer one.
        check("100 1 0 300, 105 1 0 10, 390 2 110 10", Some(Return::OnTime), 400);
        check("100 1 0 10, 105 1 0 10, 117 2 110 30", late(1), 147);
        // Two switches while it was away: it held an answer at the second, or only at the first.
        check("100 1 0 30, 128 3 120 30", Some(Return::OnTime), 158);
        check("100 1 0 30, 140 3 135 30", None, 170);
        // An older snapshot on another worker.
        check("100 2 90 30, 101 1 0 300", None, 130);
    }

    #[test]
    fn the_last_switches_are_kept_and_older_ones_forgotten() {
        let (entry, _) = follow("0 1 0 30, 29 2 10 30, 60 3 50 30, 110 4 80 30, 120 5 115 30");
        let kept: Vec<_> = (0..5).map(|ago| entry.returned(ago)).collect();
        assert_eq!(kept, [Some(Return::OnTime), Some(Return::Late(3)), Some(Return::Late(1)), None, None]);
        let (entry, _) = follow("0 1 0 30, 29 2 10 30, 50 4 40 30");
        assert_eq!(
            (0..3).map(|ago| entry.returned(ago)).collect::<Vec<_>>(),
            [Some(Return::OnTime), None, Some(Return::OnTime)]
        );
        let mut all = Histogram::default();
        entry.add_to(&mut all);
        assert_eq!(all, Histogram { on_time: 2, ..Histogram::default() });
        let (entry, _) = follow("0 1 0 30, 29 2 10 30, 50 32000 40 30");
        assert_eq!((0..3).map(|ago| entry.returned(ago)).collect::<Vec<_>>(), [Some(Return::OnTime), None, None]);
    }

    #[test]
    fn epochs_are_compared_across_the_end_of_sixteen_bits() {
        let (entry, returns) = follow("0 65535 0 30, 29 65536 10 30");
        assert_eq!(returns, [None, Some(Return::OnTime)]);
        assert_eq!([65_534, 65_535, 0, 1].map(|epoch| entry.switches_since(epoch)), [2, 1, 0, -1]);
    }

    #[test]
    fn moments_are_kept_to_a_tenth_of_a_second() {
        let origin = Timestamp(1_000_000);
        assert_eq!(Moment::of(Timestamp(5), origin), Moment(1));
        assert_eq!(Moment::of(Timestamp(1_000_199), origin), Moment(2));
        assert_eq!(Moment(2).timestamp(origin), Timestamp(1_000_100));
        assert_eq!(Moment::of(Timestamp(u64::MAX), origin).after(u32::MAX), Moment(u32::MAX));
    }
}
