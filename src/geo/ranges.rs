//! Sorted ranges of keys, each with a value.

/// No value.
pub(super) const NONE: u32 = u32::MAX;

/// The most bits of a key that the index goes by.
const MOST_INDEXED: u32 = 16;

/// All keys, in ranges with a value each; neighbours have different values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranges {
    /// The first key of each range, the first of them 0.
    starts: Box<[u64]>,
    /// The value of each.
    values: Box<[u32]>,
    /// By the upper bits of a key: the range of the least key with them, and one more at the end.
    index: Box<[u32]>,
    /// By how much a key is shifted to give its upper bits.
    shift: u32,
}

/// A key's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: u32,
    position: usize,
}

impl Ranges {
    /// Of ranges that are given by their first keys, in ascending order and the first of them 0.
    pub(super) fn of(cuts: impl IntoIterator<Item = (u64, u32)>) -> Self {
        let (mut starts, mut values) = (Vec::new(), Vec::new());
        for (start, value) in cuts {
            if values.last() != Some(&value) {
                starts.push(start);
                values.push(value);
            }
        }
        if starts.is_empty() {
            (starts, values) = (vec![0], vec![NONE]);
        }
        // Twice as many places as ranges: what the index leaves is then seldom more than a few steps.
        let bits = (usize::BITS - starts.len().leading_zeros()).clamp(1, MOST_INDEXED);
        let shift = u64::BITS - bits;
        let mut index = Vec::with_capacity((1 << bits) + 1);
        let mut at = 0;
        for upper in 0..1_u64 << bits {
            while starts.get(at + 1).is_some_and(|next| *next <= upper << shift) {
                at += 1;
            }
            index.push(at as u32);
        }
        index.push(starts.len() as u32 - 1);
        Self { starts: starts.into(), values: values.into(), index: index.into(), shift }
    }

    /// The range of a key.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Found {
        let upper = (key >> self.shift) as usize;
        // Both are there: the index has a place for every value of the upper bits, and one behind.
        let (first, last) = (self.index[upper] as usize, self.index[upper + 1] as usize);
        let position = first + self.starts[first + 1..=last].partition_point(|start| *start <= key);
        Found { value: self.values[position], position }
    }

    /// The least number of leading bits that all keys of the range of `key` that share them are in.
    ///
    /// The blocks that it makes of a range neither overlap nor nest.
    pub(super) fn scope(&self, key: u64, found: Found) -> u8 {
        let outside = |other: u64| (key ^ other).leading_zeros() + 1;
        let before = self.starts[found.position].checked_sub(1).map_or(0, outside);
        let after = self.starts.get(found.position + 1).map_or(0, |next| outside(*next));
        before.max(after) as u8
    }

    /// How many ranges there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }
}

/// Ranges in the making, out of networks that come in ascending order and do not overlap.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    cuts: Vec<(u64, u32)>,
    /// The first key that is in no network yet; `None` behind the last key of all.
    next: Option<u64>,
}

impl Default for Layer {
    fn default() -> Self {
        Self { cuts: Vec::new(), next: Some(0) }
    }
}

impl Layer {
    /// Adds a network. One that begins inside the network before is passed over: the first of a /64 stands for it.
    pub(super) fn push(&mut self, start: u64, bits: u8, value: u32) {
        let Some(next) = self.next.filter(|next| start >= *next) else { return };
        if start > next {
            self.cut(next, NONE);
        }
        self.cut(start, value);
        self.next = last_key(start, bits).checked_add(1);
    }

    fn cut(&mut self, start: u64, value: u32) {
        if self.cuts.last().is_none_or(|(_, last)| *last != value) {
            self.cuts.push((start, value));
        }
    }

    /// The first keys of the ranges, with their values.
    pub(super) fn cuts(mut self) -> Vec<(u64, u32)> {
        if let Some(next) = self.next {
            self.cut(next, NONE);
        }
        self.cuts
    }
}

/// The last key that shares the first `bits` bits with `start`.
pub(super) fn last_key(start: u64, bits: u8) -> u64 {
    start | u64::MAX.checked_shr(bits.into()).unwrap_or(0)
}

/// The cuts of networks that may be inside one another, of which the longest counts: start, bits and value of each.
pub(super) fn nested(mut networks: Vec<(u64, u8, u32)>) -> Vec<(u64, u32)> {
    networks.sort_unstable();
    let mut cuts = vec![(0, NONE)];
    // The networks that the next one may be in, the outermost first: last key and value.
    let mut open: Vec<(u64, u32)> = Vec::new();
    for (start, bits, value) in networks {
        close(&mut open, &mut cuts, |last| last < start);
        set(&mut cuts, start, value);
        open.push((last_key(start, bits), value));
    }
    close(&mut open, &mut cuts, |_| true);
    cuts
}

/// Ends the innermost networks for as long as `is_over` says so of their last key.
fn close(open: &mut Vec<(u64, u32)>, cuts: &mut Vec<(u64, u32)>, is_over: impl Fn(u64) -> bool) {
    while let Some((last, _)) = open.pop_if(|(last, _)| is_over(*last)) {
        if let Some(next) = last.checked_add(1) {
            set(cuts, next, open.last().map_or(NONE, |(_, outer)| *outer));
        }
    }
}

/// Lets a value begin at a key, be it that another has just begun there.
fn set(cuts: &mut Vec<(u64, u32)>, start: u64, value: u32) {
    match cuts.last_mut() {
        Some(last) if last.0 == start => last.1 = value,
        _ => cuts.push((start, value)),
    }
}

/// Puts layers of cuts on top of each other: `decide` makes one value of those of a range, one of each layer.
pub(super) fn merge<const N: usize>(
    layers: [&[(u64, u32)]; N],
    mut decide: impl FnMut([u32; N]) -> u32,
) -> Vec<(u64, u32)> {
    let mut at = [0; N];
    let mut values = [NONE; N];
    let mut cuts = Vec::new();
    let mut key = Some(0);
    while let Some(start) = key {
        key = None;
        for (layer, cuts) in layers.iter().enumerate() {
            while let Some((_, value)) = cuts.get(at[layer]).filter(|(cut, _)| *cut <= start) {
                values[layer] = *value;
                at[layer] += 1;
            }
            let next = cuts.get(at[layer]).map(|(cut, _)| *cut);
            key = match (key, next) {
                (Some(key), Some(next)) => Some(u64::min(key, next)),
                (key, next) => key.or(next),
            };
        }
        let value = decide(values);
        if cuts.last().is_none_or(|(_, last)| *last != value) {
            cuts.push((start, value));
        }
    }
    cuts
}
