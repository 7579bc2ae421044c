//! The header of the PROXY protocol, version 2: whom a proxy speaks for.
//!
//! Read by `proxy-header` and held to what is needed here: version 2 alone, and under the command PROXY an address of IPv4
//! or IPv6. TLVs are passed over. That the header says STREAM where it came by UDP, or the reverse, is no error: a proxy
//! tells how its client came, which may be by another transport.
//!
//! Pure.

use std::net::IpAddr;

use proxy_header::{Error, ParseConfig, ProxyHeader};

/// Octets in front of the addresses: signature, version and command, family, length.
const FIXED: usize = 16;

/// What a header begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The octet with version 2 and the command LOCAL.
const LOCAL: u8 = 0x20;

/// What stands at the start of a connection or a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// A header of so many octets.
    Whole {
        /// For whom; `None` where the proxy speaks for itself, such as for a check of its own (LOCAL).
        client: Option<IpAddr>,
        octets: usize,
    },
    /// The start of one.
    Partial,
    /// None.
    Malformed,
}

impl Header {
    /// Reads the header at the start of `input`.
    pub(super) fn read(input: &[u8]) -> Self {
        if !SIGNATURE.starts_with(&input[..input.len().min(SIGNATURE.len())]) {
            return Self::Malformed;
        }
        let Some(fixed) = input.first_chunk::<FIXED>() else { return Self::Partial };
        let [.., high, low] = *fixed;
        let whole = input.get(..FIXED + usize::from(u16::from_be_bytes([high, low])));
        let config = ParseConfig { include_tlvs: false, allow_v1: false, allow_v2: true };
        match ProxyHeader::parse(whole.unwrap_or(fixed), config) {
            Ok((header, octets)) => match header.proxied_address() {
                Some(address) => Self::Whole { client: Some(address.source.ip().to_canonical()), octets },
                None if input[SIGNATURE.len()] == LOCAL => Self::Whole { client: None, octets },
                // Of a family that no client of this server has.
                None => Self::Malformed,
            },
            Err(Error::BufferTooShort) if whole.is_none() => Self::Partial,
            Err(_) => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend_from_slice(&[0x20 | command, family]);
        header.extend_from_slice(&u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend_from_slice(rest);
        header
    }

    /// Addresses and ports of IPv4: 192.0.2.1 to 198.51.100.53.
    const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 53, 0x12, 0x34, 0, 53];

    fn v6(source: &str) -> Vec<u8> {
        let source: std::net::Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[0x20; 16], &[0x12, 0x34, 0, 53]].concat()
    }

    #[test]
    fn a_header_names_the_client() {
        let check = |header: Vec<u8>, expected: &str| {
            let client = Some(expected.parse().unwrap());
            let whole = Header::Whole { client, octets: header.len() };
            assert_eq!(Header::read(&header), whole);
            assert_eq!(Header::read(&[&header[..], b"query"].concat()), whole);
            for end in 0..header.len() {
                assert_eq!(Header::read(&header[..end]), Header::Partial, "{end} octets");
            }
        };
        check(header(1, 0x11, &V4), "192.0.2.1");
        check(header(1, 0x12, &V4), "192.0.2.1");
        check(header(1, 0x21, &v6("2001:db8::1")), "2001:db8::1");
        check(header(1, 0x22, &v6("2001:db8::1")), "2001:db8::1");
        check(header(1, 0x22, &v6("::ffff:192.0.2.1")), "192.0.2.1");
        // TLVs are passed over, whatever they hold.
        check(header(1, 0x12, &[&V4[..], &[4, 0, 2, 1, 1]].concat()), "192.0.2.1");
        check(header(1, 0x12, &[&V4[..], &[4, 0xff, 0xff, 1]].concat()), "192.0.2.1");
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        let check = |header: Vec<u8>| {
            assert_eq!(Header::read(&header), Header::Whole { client: None, octets: header.len() });
        };
        check(header(0, 0, &[]));
        check(header(0, 0x12, &V4));
        check(header(0, 0, &[4, 0, 0]));
    }

    #[test]
    fn everything_else_is_none() {
        let check = |octets: &[u8]| assert_eq!(Header::read(octets), Header::Malformed, "{octets:?}");
        check(b"PROXY TCP4 192.0.2.1 198.51.100.53 4660 53\r\n");
        check(&[0, 29, 0x12, 0x34]);
        check(&header(2, 0x12, &V4));
        check(&header(1, 0x12, &V4[..11]));
        check(&header(1, 0x21, &V4));
        // No address, or none of IP.
        check(&header(1, 0, &[]));
        check(&header(1, 0x31, &[0; 216]));
        check(&header(1, 0x13, &V4));
        let mut version_1 = header(1, 0x12, &V4);
        version_1[12] = 0x11;
        check(&version_1);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            Header::read(&octets);
            let mut behind = SIGNATURE.to_vec();
            behind.extend_from_slice(&octets);
            if let Header::Whole { octets, .. } = Header::read(&behind) {
                prop_assert!((FIXED..=behind.len()).contains(&octets));
            }
        }

        #[test]
        fn what_a_proxy_writes_is_read(client in any::<std::net::Ipv6Addr>(), tlvs in prop::collection::vec(any::<u8>(), 0..60)) {
            let rest = [&client.octets()[..], &[0; 16], &[1, 2, 3, 4], &tlvs].concat();
            let header = header(1, 0x22, &rest);
            let client = Some(IpAddr::V6(client).to_canonical());
            prop_assert_eq!(Header::read(&header), Header::Whole { client, octets: header.len() });
        }
    }
}
