//! An index of names: a hash of lower-cased wire form, and an open table of eight octets a name, half of them empty.
//!
//! The names themselves stand in the store that the index belongs to, and so do their hashes: the table holds numbers
//! and compares through the store. The upper bits of a number that are free hold bits of the hash, so that a probe for a
//! name that is not there, or past another one, seldom has to look at the store.
//!
//! The hash has no random key: names come from the operator's files, and a query only looks up.

/// A number for a lower-cased wire name.
#[inline(always)]
pub(crate) fn hash(key: &[u8]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ key.len() as u64;
    match key.last_chunk::<8>() {
        Some(last) => {
            // The last word overlaps the one before, which is as good as any filling.
            let (words, _) = key[..key.len() - 1].as_chunks::<8>();
            for word in words {
                state = mix(state, u64::from_le_bytes(*word));
            }
            state = mix(state, u64::from_le_bytes(*last));
        }
        None => state = mix(state, short(key)),
    }
    mix(state, 0x2545_f491_4f6c_dd1d)
}

/// Fewer than eight octets as one number, which is another one for others of the same length.
#[inline(always)]
fn short(octets: &[u8]) -> u64 {
    match (octets.first_chunk::<4>(), octets.last_chunk::<4>()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)),
        _ => octets.iter().fold(0, |word, octet| word << 8 | u64::from(*octet)),
    }
}

/// Folded multiplication.
#[inline(always)]
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * 0xa076_1d64_78bd_642f;
    (product >> 64) as u64 ^ product as u64
}

/// Slots of a large index.
const LARGE: usize = 1 << 18;

/// Slots that a large index asks for first, before it gives back what it does not need: above what the C library keeps in
/// a heap.
const MAPPED: usize = 10 << 20;

/// Numbers from 1 by the hashes of what they stand for: linear probing, half of the places taken when it is made and at
/// most three of four later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// 0, or a number with bits of the hash above it.
    slots: Box<[u32]>,
    used: usize,
    /// The bits of a slot that hold the number.
    mask: u32,
}

impl Index {
    /// An index with room for so many numbers, none above `largest`.
    pub(crate) fn with_capacity(count: usize, largest: u32) -> Self {
        let length = 2 * count + 2;
        // As the octets of a large zone: mapped by itself, and given back whole.
        let mut slots = vec![0; if length > LARGE { length.max(MAPPED) } else { length }];
        slots.truncate(length);
        let slots = slots.into_boxed_slice();
        Self { slots, used: 0, mask: u32::MAX.checked_shr(largest.leading_zeros()).unwrap_or(0) }
    }

    /// The number that was inserted with this hash and of which `is` says that it is meant.
    #[cfg(test)]
    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.candidates(hash).find(|number| is(*number))
    }

    /// The numbers that may have been inserted with this hash: all that were, and hardly another one.
    #[inline(always)]
    pub(crate) fn candidates(&self, hash: u64) -> Candidates<'_> {
        Candidates { slots: &self.slots, at: self.start(hash), tag: self.tag(hash), mask: self.mask }
    }

    /// Adds a number; `rehash` gives the hash of a number inserted before, for when the table grows.
    pub(crate) fn insert(&mut self, hash: u64, number: u32, rehash: impl Fn(u32) -> u64) {
        if (self.used + 1) * 4 > self.slots.len() * 3 || number > self.mask {
            self.grow((self.used + 1) * 9 / 8, number, rehash);
        }
        self.put(hash, number);
    }

    /// Puts `new` in the place of `old`, which has the same hash.
    pub(crate) fn replace(&mut self, hash: u64, old: u32, new: u32, rehash: impl Fn(u32) -> u64) {
        if new > self.mask {
            self.grow(self.used, new, rehash);
        }
        let wanted = old | self.tag(hash);
        let mut at = self.start(hash);
        // It is there, or else an empty place is met.
        while self.slots[at] != 0 && self.slots[at] != wanted {
            at = (at + 1) % self.slots.len();
        }
        if self.slots[at] == wanted {
            self.slots[at] = new | self.tag(hash);
        }
    }

    /// How many numbers it holds.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().filter(|slot| **slot != 0).map(|slot| slot & self.mask)
    }

    /// Makes room for so many numbers, and for one as large as `number`.
    fn grow(&mut self, count: usize, number: u32, rehash: impl Fn(u32) -> u64) {
        let largest = if number > self.mask { number.saturating_add(number / 8) } else { self.mask };
        let mut grown = Self::with_capacity(count, largest);
        for known in self.numbers() {
            grown.put(rehash(known), known);
        }
        *self = grown;
    }

    fn put(&mut self, hash: u64, number: u32) {
        debug_assert!(number > 0 && number <= self.mask);
        let mut at = self.start(hash);
        while self.slots[at] != 0 {
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
        self.slots[at] = number | self.tag(hash);
        self.used += 1;
    }

    #[inline(always)]
    fn start(&self, hash: u64) -> usize {
        (((hash >> 32) * self.slots.len() as u64) >> 32) as usize
    }

    #[inline(always)]
    fn tag(&self, hash: u64) -> u32 {
        (hash as u32) & !self.mask
    }
}

/// The numbers that a probe meets.
pub(crate) struct Candidates<'a> {
    slots: &'a [u32],
    at: usize,
    tag: u32,
    mask: u32,
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        loop {
            let slot = *self.slots.get(self.at)?;
            if slot == 0 {
                return None;
            }
            self.at += 1;
            if self.at == self.slots.len() {
                self.at = 0;
            }
            if (slot ^ self.tag) & !self.mask == 0 {
                return Some(slot & self.mask);
            }
        }
    }
}

/// Whether two runs of octets are the same: without a call where they are short, as names are.
#[inline(always)]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let Some((a_first, b_first)) = a.first_chunk::<8>().zip(b.first_chunk::<8>()) else { return short(a) == short(b) };
    let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else { return false };
    u64::from_le_bytes(*a_first) == u64::from_le_bytes(*b_first)
        && u64::from_le_bytes(*a_last) == u64::from_le_bytes(*b_last)
        && (a.len() <= 16 || a == b)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn name(n: u32) -> Vec<u8> {
        format!("\x08d{n:07}\x07example\x03net\0").into_bytes()
    }

    #[test]
    fn names_that_differ_little_spread_over_the_low_and_the_high_bits() {
        let hashes: Vec<u64> = (0..1 << 14).map(|n| hash(&name(n))).collect();
        let distinct = |part: fn(&u64) -> u64| hashes.iter().map(part).collect::<BTreeSet<_>>().len();
        // 16,384 balls into 65,536 urns leave about 14,500 of them with a ball.
        assert!(distinct(|hash| *hash & 0xffff) > 14_000);
        assert!(distinct(|hash| *hash >> 48) > 14_000);
        assert_eq!(distinct(|hash| *hash), 1 << 14);
    }

    #[test]
    fn same_is_equal() {
        let a: Vec<u8> = (0..40).collect();
        for length in 0..=40 {
            assert!(same(&a[..length], &a.clone()[..length]));
            assert!(!same(&a[..length], &[&a[..length], &[0][..]].concat()));
            for at in 0..length {
                let mut b = a[..length].to_vec();
                b[at] ^= 1;
                assert!(!same(&a[..length], &b), "{length} {at}");
            }
        }
    }

    #[test]
    fn every_length_and_every_octet_counts() {
        let long: Vec<u8> = (0..40).collect();
        let prefixes: BTreeSet<u64> = (0..=40).map(|length| hash(&long[..length])).collect();
        assert_eq!(prefixes.len(), 41);
        let changed = (0..40).map(|at| {
            let mut other = long.clone();
            other[at] ^= 0x20;
            hash(&other)
        });
        assert_eq!(changed.chain([hash(&long)]).collect::<BTreeSet<_>>().len(), 41);
        assert_eq!((0..8).map(|zeros| hash(&vec![0; zeros])).collect::<BTreeSet<_>>().len(), 8);
    }

    #[test]
    fn what_was_inserted_is_found_and_nothing_else_however_the_index_grew() {
        let rehash = |number: u32| hash(&name(number));
        let mut index = Index::default();
        for number in 1..=5_000 {
            assert_eq!(index.find(rehash(number), |found| found == number), None);
            index.insert(rehash(number), number, rehash);
        }
        assert_eq!(index.len(), 5_000);
        for number in 1..=5_000 {
            assert_eq!(index.find(rehash(number), |found| found == number), Some(number));
        }
        let looked_at = std::cell::Cell::new(0);
        for number in 5_001..10_000 {
            let look = |_| {
                looked_at.set(looked_at.get() + 1);
                false
            };
            assert_eq!(index.find(rehash(number), look), None);
        }
        assert!(looked_at.get() < 50, "{} looks into the store for 5,000 names that are not there", looked_at.get());
    }

    #[test]
    fn a_replaced_number_is_found_in_the_place_of_the_old_one() {
        // The hash stays that of 7, whatever number stands for it.
        let rehash = |number: u32| hash(&name(if number == 1 << 20 { 7 } else { number }));
        let mut index = Index::with_capacity(10, 10);
        for number in 1..=10 {
            index.insert(rehash(number), number, rehash);
        }
        index.replace(rehash(7), 7, 1 << 20, rehash);
        assert_eq!(index.len(), 10);
        assert_eq!(index.find(rehash(7), |_| true), Some(1 << 20));
        assert_eq!(index.find(rehash(8), |number| number == 8), Some(8));
    }
}
