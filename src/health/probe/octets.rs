//! Octets of a message that a peer wrote, taken from the front: whatever they are, reading them never panics.

/// What of a message has not been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Octets<'a>(pub(super) &'a [u8]);

impl<'a> Octets<'a> {
    /// How many there are.
    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    /// Whether all have been read.
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next `count`; `None` where the message ends before.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next one.
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    /// The next two, the most significant one first.
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).and_then(|octets| octets.try_into().ok()).map(u16::from_be_bytes)
    }

    /// The next four, the most significant one first.
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4).and_then(|octets| octets.try_into().ok()).map(u32::from_be_bytes)
    }

    /// A number in groups of seven bits, the least significant one first, each but the last with its top bit set: at
    /// most `longest` octets, as MQTT (5.0 1.5.5) and Protocol Buffers write it.
    pub(super) fn varint(&mut self, longest: usize) -> Option<u64> {
        let mut number = 0;
        for group in 0..longest {
            let octet = self.u8()?;
            number |= u64::from(octet & 0x7f).checked_shl(7 * u32::try_from(group).ok()?)?;
            if octet & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_there_is_not_taken() {
        let mut octets = Octets(&[1, 2, 3]);
        assert_eq!(octets.u32(), None);
        assert_eq!(octets.u16(), Some(0x0102));
        assert_eq!(octets.u16(), None);
        assert_eq!(octets.u8(), Some(3));
        assert_eq!(octets.take(0), Some(&[][..]));
        assert_eq!(octets.u8(), None);
    }

    /// The values of MQTT 5.0 table 1-1, and a protocol buffer's largest.
    #[test]
    fn numbers_of_seven_bits_an_octet() {
        let check = |octets: &[u8], longest, expected| assert_eq!(Octets(octets).varint(longest), expected);
        check(&[0x00], 4, Some(0));
        check(&[0x7f], 4, Some(127));
        check(&[0x80, 0x01], 4, Some(128));
        check(&[0xff, 0x7f], 4, Some(16_383));
        check(&[0x80, 0x80, 0x80, 0x01], 4, Some(2_097_152));
        check(&[0xff, 0xff, 0xff, 0x7f], 4, Some(268_435_455));
        check(&[0xff, 0xff, 0xff, 0xff, 0x01], 4, None);
        check(&[0x80], 4, None);
        check(&[], 4, None);
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], 10, Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn hostile_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..64), count in any::<usize>()) {
            let mut left = Octets(&octets);
            let taken = left.take(count);
            prop_assert_eq!(taken.is_some(), count <= octets.len());
            let before = left.len();
            let _ = left.varint(10);
            prop_assert!(before - left.len() <= 10);
        }
    }
}
