//! Lower-cased wire names to nodes: one hash look-up a suffix.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

/// The position of a node in the content.
pub(super) type NodeId = u32;

/// The index of every name that a query may meet.
///
/// Never iterated, so that its order does not matter. The hash has no random key: the names come from the operator's
/// files, and a query only looks up.
#[derive(Debug, Default)]
pub(super) struct Names {
    map: HashMap<Box<[u8]>, NodeId, BuildHasherDefault<Fold>>,
}

impl Names {
    /// The node of a name, given as its lower-cased wire form.
    pub(super) fn find(&self, key: &[u8]) -> Option<NodeId> {
        self.map.get(key).copied()
    }

    /// Adds a name.
    pub(super) fn insert(&mut self, key: Box<[u8]>, node: NodeId) {
        self.map.insert(key, node);
    }

    /// Number of names.
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }
}

/// A number for a lower-cased wire name, by which a chain notices that it comes back.
pub(super) fn fingerprint(key: &[u8]) -> u64 {
    BuildHasherDefault::<Fold>::default().hash_one(key)
}

/// Folded multiplication, eight octets at a time.
#[derive(Default)]
struct Fold(u64);

impl Fold {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64 ^ word.rotate_left(32);
    }
}

impl Hasher for Fold {
    fn write(&mut self, octets: &[u8]) {
        let (words, rest) = octets.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
    }

    fn write_usize(&mut self, length: usize) {
        self.mix(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_that_differ_little_spread_over_the_low_and_the_high_bits() {
        let prints: Vec<u64> =
            (0..1u32 << 14).map(|n| fingerprint(format!("\x08d{n:07}\x07example\x03net\0").as_bytes())).collect();
        let distinct = |part: fn(&u64) -> u64| prints.iter().map(part).collect::<BTreeSet<_>>().len();
        // 16,384 balls into 65,536 urns leave about 14,500 of them with a ball.
        assert!(distinct(|print| print & 0xffff) > 14_000);
        assert!(distinct(|print| print >> 48) > 14_000);
        assert_eq!(distinct(|print| *print), 1 << 14);
    }
}
