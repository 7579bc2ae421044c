//! The OPT record of RFC 6891: what a query says with it, and what the response says back.
//!
//! Options are checked for their shape and ignored (RFC 6891 6.1.2), but for the client subnet (RFC 7871) of a client that is
//! trusted with one. Deliberately absent: COOKIE, NSID.

use super::client::{Client, Origin};
use super::select::Scope;
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
    /// Whom it asks for, where it is trusted to say so.
    pub(super) subnet: Option<Subnet>,
}

/// Code of the option for a client subnet (RFC 7871 6).
const CLIENT_SUBNET: u16 = 8;

/// Octets of the option in front of the address: code, length, family, two prefix lengths.
const SUBNET_OCTETS: usize = 8;

/// A client subnet as a query has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    /// 1 is IPv4 and 2 is IPv6; 0 with no bit of an address.
    family: u16,
    /// SOURCE PREFIX-LENGTH.
    source: u8,
    /// The octets of the address that it takes, and zeros.
    address: [u8; 16],
}

impl Subnet {
    /// Reads the option's data strictly (RFC 7871 6 and 7.2.1): `None` for an unknown family, a length that it cannot have,
    /// too few or too many octets, bits beyond the length, and a scope, which is the server's to say.
    fn read(data: &[u8]) -> Option<Self> {
        let ([family_high, family_low, source, scope], octets) = data.split_first_chunk()?;
        let family = u16::from_be_bytes([*family_high, *family_low]);
        let most = match family {
            0 => 0,
            1 => 32,
            2 => 128,
            _ => return None,
        };
        if *source > most || *scope != 0 || octets.len() != usize::from(*source).div_ceil(8) {
            return None;
        }
        let mut address = [0; 16];
        address[..octets.len()].copy_from_slice(octets);
        let beyond = u128::MAX.checked_shr(u32::from(*source)).unwrap_or(0);
        (u128::from_be_bytes(address) & beyond == 0).then_some(Self { family, source: *source, address })
    }

    /// Whom the answer is for: the subnet, or the client itself where that says nothing (RFC 7871 7.1.2).
    pub(super) fn origin(&self, client: Client) -> Origin {
        let [a, b, c, d, e, f, g, h, ..] = self.address;
        match self.family {
            1 if self.source > 0 => client.origin().at_ipv4(u32::from_be_bytes([a, b, c, d])),
            2 if self.source > 0 => client.origin().at_ipv6(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            _ => client.origin(),
        }
    }

    /// The octets that the option takes.
    fn octets(&self) -> usize {
        SUBNET_OCTETS + usize::from(self.source).div_ceil(8)
    }

    /// Appends the option as a response has it: all as in the query (RFC 7871 7.2.1), and the scope, which is none where the
    /// client was not asked for.
    fn append(&self, scope: Scope, message: &mut Vec<u8>) {
        let octets = self.octets();
        let scope = if self.source == 0 { 0 } else { scope.0 };
        message.extend_from_slice(&CLIENT_SUBNET.to_be_bytes());
        message.extend_from_slice(&(octets as u16 - 4).to_be_bytes());
        message.extend_from_slice(&self.family.to_be_bytes());
        message.extend_from_slice(&[self.source, scope]);
        message.extend_from_slice(&self.address[..octets - SUBNET_OCTETS]);
    }
}

impl Opt {
    /// Reads the fields of an OPT record, and tells whether its options fill its RDATA and, from a trusted client, its subnet
    /// is one; how those of another version look is not known.
    pub(super) fn read(class: u16, ttl: u32, rdata: &[u8], trusted: bool) -> (Self, bool) {
        let [_, version, flags, _] = ttl.to_be_bytes();
        let mut opt = Self { max_udp_bytes: class.max(512), version, dnssec_ok: flags & 0x80 != 0, subnet: None };
        if version > 0 {
            return (opt, true);
        }
        let well_formed = match options(rdata, trusted) {
            Options::Plain => true,
            Options::Malformed => false,
            Options::Subnet => {
                opt.subnet = subnet(rdata);
                opt.subnet.is_some()
            }
        };
        (opt, well_formed)
    }

    /// Octets that the OPT record of the response takes.
    pub(super) fn reserved(&self) -> usize {
        OCTETS + self.subnet.map_or(0, |subnet| subnet.octets())
    }
}

/// Reads the OPT record that `octets` are, and nothing but it: version 0, well-formed, without a subnet from a trusted
/// client. `None` for anything else.
#[inline(always)]
pub(super) fn read_last(octets: &[u8], trusted: bool) -> Option<Opt> {
    let (fixed, rdata) = octets.split_first_chunk::<OCTETS>()?;
    let [0, 0, 41, size_high, size_low, _, 0, flags, _, length_high, length_low] = *fixed else { return None };
    if rdata.len() != usize::from(u16::from_be_bytes([length_high, length_low]))
        || !matches!(options(rdata, trusted), Options::Plain)
    {
        return None;
    }
    let max_udp_bytes = u16::from_be_bytes([size_high, size_low]).max(512);
    Some(Opt { max_udp_bytes, version: 0, dnssec_ok: flags & 0x80 != 0, subnet: None })
}

/// What an OPT record's RDATA holds.
enum Options {
    /// Options that say nothing here, or none.
    Plain,
    /// A subnet from a trusted client; what is behind it is not looked at.
    Subnet,
    /// They do not fill it.
    Malformed,
}

#[inline(always)]
fn options(rdata: &[u8], trusted: bool) -> Options {
    let mut options = rdata;
    while let Some([code_high, code_low, high, low]) = options.first_chunk() {
        if trusted && u16::from_be_bytes([*code_high, *code_low]) == CLIENT_SUBNET {
            return Options::Subnet;
        }
        let Some(rest) = options.get(4 + usize::from(u16::from_be_bytes([*high, *low]))..) else {
            return Options::Malformed;
        };
        options = rest;
    }
    if options.is_empty() { Options::Plain } else { Options::Malformed }
}

/// The one subnet among the options; `None` where it is malformed or not the only one, or the options do not fill the RDATA.
fn subnet(rdata: &[u8]) -> Option<Subnet> {
    let (mut options, mut found) = (rdata, None);
    while let Some(([code_high, code_low, high, low], rest)) = options.split_first_chunk() {
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        options = rest;
        if u16::from_be_bytes([*code_high, *code_low]) == CLIENT_SUBNET && found.replace(Subnet::read(data)?).is_some()
        {
            return None;
        }
    }
    found.filter(|_| options.is_empty())
}

/// Appends the OPT record of a response: our size, version 0, DO as it came (RFC 3225 3), and no option but the subnet that
/// it answers.
pub(super) fn append(asked: Opt, rcode: Rcode, max_udp_bytes: u16, scope: Scope, message: &mut Vec<u8>) {
    let [fixed @ .., _, _] = record(asked, rcode, max_udp_bytes);
    message.extend_from_slice(&fixed);
    message.extend_from_slice(&((asked.reserved() - OCTETS) as u16).to_be_bytes());
    if let Some(subnet) = asked.subnet {
        subnet.append(scope, message);
    }
}

/// The OPT record of a response without an option.
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
        let check =
            |rdata: &[u8], well_formed| assert_eq!(Opt::read(1232, 0, rdata, false).1, well_formed, "{rdata:?}");
        check(&[], true);
        check(&[0, 10, 0, 0], true);
        check(&[0, 10, 0, 2, 1, 2, 0, 3, 0, 0], true);
        check(&[0, 10, 0], false);
        check(&[0, 10, 0, 2, 1], false);
    }

    #[test]
    fn rfc6891_section_6_1_3_fields_of_the_ttl() {
        let (opt, _) = Opt::read(100, 0x0002_8000, &[], true);
        assert_eq!(opt, Opt { max_udp_bytes: 512, version: 2, dnssec_ok: true, subnet: None });
        let mut message = Vec::new();
        append(opt, Rcode::BADVERS, 1232, Scope(7), &mut message);
        assert_eq!(message, [0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 0]);
        assert_eq!(message.len(), OCTETS);
    }
}
