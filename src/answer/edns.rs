//! The OPT record of RFC 6891: what a query says with it, and what the response says back.
//!
//! Options are checked for their shape and ignored (RFC 6891 6.1.2). Deliberately absent: COOKIE, NSID, client subnet.

use crate::dns::{Rcode, Rtype};

/// Octets of an OPT record without options: root owner, type, size, TTL, RDLENGTH.
pub(super) const OCTETS: usize = 11;

/// What the client says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opt {
    /// UDP payload that it can take, octets; at least 512, for lesser values mean that (RFC 6891 6.2.3).
    pub(super) max_udp_bytes: u16,
    pub(super) version: u8,
    /// DO: DNSSEC records are welcome (RFC 3225 3).
    pub(super) dnssec_ok: bool,
}

impl Opt {
    /// Reads the fields of an OPT record, and tells whether its options fill its RDATA; how those of another version
    /// look is not known.
    pub(super) fn read(class: u16, ttl: u32, rdata: &[u8]) -> (Self, bool) {
        let [_, version, flags, _] = ttl.to_be_bytes();
        let opt = Self { max_udp_bytes: class.max(512), version, dnssec_ok: flags & 0x80 != 0 };
        (opt, version > 0 || are_options(rdata))
    }
}

/// Reads the OPT record that `octets` are, and nothing but it: version 0, well-formed. `None` for anything else.
#[inline(always)]
pub(super) fn read_last(octets: &[u8]) -> Option<Opt> {
    let (fixed, options) = octets.split_first_chunk::<OCTETS>()?;
    let [0, 0, 41, size_high, size_low, _, 0, flags, _, length_high, length_low] = *fixed else { return None };
    if options.len() != usize::from(u16::from_be_bytes([length_high, length_low])) || !are_options(options) {
        return None;
    }
    let max_udp_bytes = u16::from_be_bytes([size_high, size_low]).max(512);
    Some(Opt { max_udp_bytes, version: 0, dnssec_ok: flags & 0x80 != 0 })
}

#[inline]
fn are_options(rdata: &[u8]) -> bool {
    let mut options = rdata;
    while let Some([_, _, high, low]) = options.first_chunk() {
        let Some(rest) = options.get(4 + usize::from(u16::from_be_bytes([*high, *low]))..) else { return false };
        options = rest;
    }
    options.is_empty()
}

/// Appends the OPT record of a response: our size, version 0, DO as it came (RFC 3225 3), no option.
pub(super) fn append(asked: Opt, rcode: Rcode, max_udp_bytes: u16, message: &mut Vec<u8>) {
    message.extend_from_slice(&record(asked, rcode, max_udp_bytes));
}

/// What [`append`] appends.
#[inline(always)]
pub(super) fn record(asked: Opt, rcode: Rcode, max_udp_bytes: u16) -> [u8; OCTETS] {
    let [[type_high, type_low], [size_high, size_low]] = [Rtype::OPT.0, max_udp_bytes].map(u16::to_be_bytes);
    let dnssec_ok = if asked.dnssec_ok { 0x80 } else { 0 };
    // RFC 6891 6.1.3: the upper eight of the response code's twelve bits, then the version.
    let extended = (rcode.0 >> 4) as u8;
    [0, type_high, type_low, size_high, size_low, extended, 0, dnssec_ok, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6891_section_6_1_options_fill_the_rdata() {
        let check = |rdata: &[u8], well_formed| assert_eq!(Opt::read(1232, 0, rdata).1, well_formed, "{rdata:?}");
        check(&[], true);
        check(&[0, 10, 0, 0], true);
        check(&[0, 10, 0, 2, 1, 2, 0, 3, 0, 0], true);
        check(&[0, 10, 0], false);
        check(&[0, 10, 0, 2, 1], false);
    }

    #[test]
    fn rfc6891_section_6_1_3_fields_of_the_ttl() {
        let (opt, _) = Opt::read(100, 0x0002_8000, &[]);
        assert_eq!(opt, Opt { max_udp_bytes: 512, version: 2, dnssec_ok: true });
        let mut message = Vec::new();
        append(opt, Rcode::BADVERS, 1232, &mut message);
        assert_eq!(message, [0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 0]);
        assert_eq!(message.len(), OCTETS);
    }
}
