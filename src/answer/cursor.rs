//! A name on the stack: the question's, or the one that a chain has come to.

use crate::dns::hash::hash;

/// A name in wire form, as it was written and in lower case, with the places of its labels and its hash.
///
/// Looking up every suffix of a name needs all of them; on the stack they cost no allocation.
#[derive(Clone)]
pub(super) struct Cursor {
    wire: [u8; 256],
    lower: [u8; 256],
    length: usize,
    offsets: [u8; 128],
    labels: usize,
    hash: u64,
}

/// Octets that are put in lower case at a time.
const BLOCK: usize = 32;

impl Cursor {
    /// No name yet.
    pub(super) const EMPTY: Self =
        Self { wire: [0; 256], lower: [0; 256], length: 0, offsets: [0; 128], labels: 0, hash: 0 };

    /// The name at the start of `octets`, as [`Cursor::set`] reads it.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let mut cursor = Self::EMPTY;
        cursor.set(octets).then_some(cursor)
    }

    /// Becomes the uncompressed name at the start of `octets`, and tells whether there is one.
    ///
    /// There is none where a compression pointer stands, which has nothing before it to point at (RFC 1035 4.1.4), a
    /// label of another kind (RFC 6891 5), or more than 255 octets (RFC 1035 2.3.4).
    #[inline]
    pub(super) fn set(&mut self, octets: &[u8]) -> bool {
        let mut at = 0;
        let mut labels = 0;
        loop {
            let Some(&label) = octets.get(at) else { return false };
            self.offsets[labels & 127] = at as u8;
            if label == 0 {
                break;
            }
            at += 1 + usize::from(label);
            if label > 63 || at > 254 {
                return false;
            }
            labels += 1;
        }
        let length = at + 1;
        self.length = length;
        self.labels = labels;
        let (wire, lower) = (&mut self.wire, &mut self.lower);
        wire[..length].copy_from_slice(&octets[..length]);
        // Whole blocks are quicker than the exact length. Length octets are below the letters.
        let blocks = length.div_ceil(BLOCK);
        for (from, to) in wire.as_chunks::<BLOCK>().0.iter().zip(lower.as_chunks_mut::<BLOCK>().0).take(blocks) {
            *to = *from;
            to.make_ascii_lowercase();
        }
        self.hash = hash(&self.lower[..length]);
        true
    }

    /// Becomes the name that these parts make one after the other, and tells whether that is a name.
    pub(super) fn join(&mut self, parts: &[&[u8]]) -> bool {
        let mut wire = [0; 255];
        let mut length = 0;
        for part in parts {
            let Some(place) = wire.get_mut(length..length + part.len()) else { return false };
            place.copy_from_slice(part);
            length += part.len();
        }
        self.set(&wire[..length])
    }

    /// The labels in front of the last `suffix` octets, and then `target`: the substitution of DNAME (RFC 6672 2.2).
    ///
    /// `None` when that is longer than a name may be.
    pub(super) fn substitute(&self, suffix: usize, target: &[u8]) -> Option<Self> {
        let kept = self.length.checked_sub(suffix)?;
        let mut next = Self::EMPTY;
        next.join(&[&self.wire[..kept], target]).then_some(next)
    }

    /// Octets of the wire form.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Number of labels, the root label not counted.
    #[inline]
    pub(super) fn labels(&self) -> usize {
        self.labels
    }

    /// The wire form as it was written.
    #[inline]
    pub(super) fn wire(&self) -> &[u8] {
        &self.wire[..self.length]
    }

    /// The lower-cased wire form of this name without its first `skipped` labels.
    #[inline]
    pub(super) fn suffix(&self, skipped: usize) -> &[u8] {
        &self.lower[usize::from(self.offsets[skipped & 127])..self.length]
    }

    /// The hash of [`Cursor::suffix`].
    #[inline]
    pub(super) fn hash(&self, skipped: usize) -> u64 {
        if skipped == 0 { self.hash } else { hash(self.suffix(skipped)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_in_lower_case() {
        let cursor = Cursor::read(b"\x01A\x02bC\0rest").unwrap();
        assert_eq!((cursor.len(), cursor.labels()), (6, 2));
        assert_eq!(cursor.wire(), b"\x01A\x02bC\0");
        assert_eq!(cursor.suffix(0), b"\x01a\x02bc\0");
        assert_eq!(cursor.suffix(1), b"\x02bc\0");
        assert_eq!(cursor.suffix(2), b"\0");
        for skipped in 0..3 {
            assert_eq!(cursor.hash(skipped), hash(cursor.suffix(skipped)));
        }
    }

    #[test]
    fn a_name_leaves_nothing_of_the_one_before_it() {
        let mut cursor = Cursor::read(&[b"\x3f".as_slice(), &[b'A'; 63], b"\x01B\0"].concat()).unwrap();
        assert!(cursor.set(b"\x01C\0"));
        assert_eq!((cursor.wire(), cursor.suffix(0), cursor.labels()), (&b"\x01C\0"[..], &b"\x01c\0"[..], 1));
        assert!(cursor.join(&[b"\x01D", b"\x01C\0"]));
        assert_eq!(cursor.suffix(0), b"\x01d\x01c\0");
        assert!(!cursor.join(&[&[b'x'; 200], &[b'x'; 56]]));
    }

    #[test]
    fn rfc1035_section_2_3_4_limits() {
        let of = |labels: usize, last: usize| {
            let mut wire = b"\x01a".repeat(labels);
            wire.push(last as u8);
            wire.extend(std::iter::repeat_n(b'b', last));
            wire.push(0);
            wire
        };
        assert_eq!(Cursor::read(&of(127, 0)).map(|cursor| (cursor.len(), cursor.labels())), Some((255, 127)));
        assert!(Cursor::read(&of(127, 1)).is_none());
        assert!(Cursor::read(&of(1, 63)).is_some());
        assert!(Cursor::read(&of(1, 64)).is_none());
        assert!(Cursor::read(b"\xc0\x0c").is_none());
        assert!(Cursor::read(b"\x02a").is_none());
        assert!(Cursor::read(b"").is_none());
    }

    #[test]
    fn rfc6672_section_2_2_substitution() {
        let cursor = Cursor::read(b"\x01X\x03old\0").unwrap();
        assert_eq!(cursor.substitute(5, b"\x03new\x01n\0").unwrap().wire(), b"\x01X\x03new\x01n\0");
        let long = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(3);
        let target = |fill: u8| [&long, &[fill][..], &vec![b'c'; usize::from(fill)], b"\0"].concat();
        assert_eq!(cursor.substitute(5, &target(59)).unwrap().len(), 255);
        assert!(cursor.substitute(5, &target(60)).is_none());
    }
}
