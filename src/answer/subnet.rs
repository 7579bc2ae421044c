//! The client subnet of RFC 7871, as a query has it and as a response gives it back.

use super::client::{Client, Origin};
use super::select::Scope;

/// Code of the option for a client subnet (RFC 7871 6).
pub(super) const CODE: u16 = 8;

/// Octets of the option in front of the address: code, length, family, two prefix lengths.
const OCTETS: usize = 8;

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
    pub(super) fn read(data: &[u8]) -> Option<Self> {
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
    pub(super) fn octets(&self) -> usize {
        OCTETS + usize::from(self.source).div_ceil(8)
    }

    /// Appends the option as a response has it: all as in the query (RFC 7871 7.2.1), and the scope, which is none where the
    /// client was not asked for.
    pub(super) fn append(&self, scope: Scope, message: &mut Vec<u8>) {
        let octets = self.octets();
        let scope = if self.source == 0 { 0 } else { scope.0 };
        message.extend_from_slice(&CODE.to_be_bytes());
        message.extend_from_slice(&(octets as u16 - 4).to_be_bytes());
        message.extend_from_slice(&self.family.to_be_bytes());
        message.extend_from_slice(&[self.source, scope]);
        message.extend_from_slice(&self.address[..octets - OCTETS]);
    }
}
