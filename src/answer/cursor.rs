//! A name on the stack: the question's, or the one that a chain has come to.

/// A name in wire form, as it was written and in lower case, with the places of its labels.
///
/// Looking up every suffix of a name needs all three; on the stack they cost no allocation.
#[derive(Clone)]
pub(super) struct Cursor {
    wire: [u8; 255],
    lower: [u8; 255],
    length: u8,
    offsets: [u8; 128],
    labels: u8,
}

impl Cursor {
    /// Reads the uncompressed name at the start of `octets`.
    ///
    /// `None` when there is none: a compression pointer has nothing before it to point at (RFC 1035 4.1.4), a label of
    /// another kind is unknown (RFC 6891 5), more than 255 octets are no name (RFC 1035 2.3.4).
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let mut cursor = Self { wire: [0; 255], lower: [0; 255], length: 0, offsets: [0; 128], labels: 0 };
        let mut at = 0;
        loop {
            let label = *octets.get(at)?;
            cursor.offsets[usize::from(cursor.labels)] = at as u8;
            if label == 0 {
                break;
            }
            if label > 63 {
                return None;
            }
            at += 1 + usize::from(label);
            if at > 254 {
                return None;
            }
            cursor.labels += 1;
        }
        let length = at + 1;
        cursor.length = length as u8;
        cursor.wire[..length].copy_from_slice(&octets[..length]);
        cursor.lower[..length].copy_from_slice(&octets[..length]);
        cursor.lower[..length].make_ascii_lowercase();
        Some(cursor)
    }

    /// The labels in front of the last `suffix` octets, and then `target`: the substitution of DNAME (RFC 6672 2.2).
    ///
    /// `None` when that is longer than a name may be.
    pub(super) fn substitute(&self, suffix: usize, target: &[u8]) -> Option<Self> {
        let kept = self.len().checked_sub(suffix)?;
        let mut wire = [0; 255];
        let length = kept + target.len();
        wire.get_mut(..kept)?.copy_from_slice(&self.wire[..kept]);
        wire.get_mut(kept..length)?.copy_from_slice(target);
        Self::read(&wire[..length])
    }

    /// Octets of the wire form.
    pub(super) fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Number of labels, the root label not counted.
    pub(super) fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// The wire form as it was written.
    pub(super) fn wire(&self) -> &[u8] {
        &self.wire[..self.len()]
    }

    /// The lower-cased wire form of this name without its first `skipped` labels.
    pub(super) fn suffix(&self, skipped: usize) -> &[u8] {
        &self.lower[usize::from(self.offsets[skipped])..self.len()]
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
