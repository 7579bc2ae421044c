//! The OPT record of RFC 6891: what a query says with it, and what the response says back.
//!
//! Options are checked for their shape and ignored (RFC 6891 6.1.2), but for those that are heeded: COOKIE (RFC 7873), NSID
//! (RFC 5001), the client subnet (RFC 7871) of a client that is trusted with one, and, as the transport has it, TCP
//! keepalive (RFC 7828) and padding (RFC 7830). A response holds an option only where the query has it, but for the extended
//! error (RFC 8914), which is the first thing to go where the response is full.

use super::client::Client;
use super::cookie::{self, Offer};
use super::extended::Extended;
use super::respond::{Rules, Transport};
use super::select::Scope;
use super::subnet::{self, Subnet};
use crate::dns::{MAX_MESSAGE, Rcode, Rtype};

/// Octets of an OPT record without options: root owner, type, size, TTL, RDLENGTH.
pub(super) const OCTETS: usize = 11;

/// Octets of the largest query that is received over UDP, which responses tell of (RFC 6891 6.2.3): what fits every path without
/// fragments. A query has a header, a name of at most 255 octets and an OPT record, whose options (COOKIE, client subnet,
/// padding to blocks of 128) fill some hundred at most.
pub const LARGEST_QUERY: u16 = 1232;

/// Codes of options.
const NSID: u16 = 3;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;

/// Octets of an option's code and length.
const OPTION: usize = 4;

/// Octets that the length of a padded response is a multiple of (RFC 8467 4.1).
const BLOCK: usize = 468;

/// The options that are heeded, a bit for each code.
#[derive(Clone, Copy)]
pub(super) struct Heed(u32);

impl Heed {
    pub(super) fn of(rules: &Rules, cookies: bool, client: Client, transport: Transport) -> Self {
        let stream = transport != Transport::Udp;
        let heeded = [
            (subnet::CODE, client.is_trusted()),
            (cookie::CODE, cookies),
            (NSID, !rules.nsid.is_empty()),
            // RFC 7828 3.3.1 and RFC 7830 6: not over UDP, and not where everybody can read it.
            (KEEPALIVE, stream && rules.idle > 0),
            (PADDING, transport == Transport::Encrypted),
        ];
        Self(heeded.into_iter().fold(0, |bits, (code, heeded)| bits | u32::from(heeded) << code))
    }

    fn has(self, code: u16) -> bool {
        1_u32.checked_shl(u32::from(code)).is_some_and(|bit| self.0 & bit != 0)
    }
}

/// What the client says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Opt {
    /// UDP payload that it can take, octets; at least 512, for lesser values mean that (RFC 6891 6.2.3).
    pub(super) max_udp_bytes: u16,
    pub(super) version: u8,
    /// DO: DNSSEC records are welcome (RFC 3225 3).
    pub(super) dnssec_ok: bool,
    /// Its options, where all are well-formed and the version is known.
    pub(super) options: Options,
}

/// The options that are heeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Whom it asks for.
    pub(super) subnet: Option<Subnet>,
    pub(super) cookie: Option<Offer>,
    pub(super) nsid: bool,
    pub(super) keepalive: bool,
    pub(super) padding: bool,
}

/// What is wrong with the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// A COOKIE of a length that it cannot have.
    Cookie,
    Other,
}

impl Opt {
    /// Reads the fields of an OPT record and the options that are heeded. How those of another version look is not known.
    pub(super) fn read(class: u16, ttl: u32, rdata: &[u8], heed: Heed) -> (Self, Result<(), Malformed>) {
        let [_, version, flags, _] = ttl.to_be_bytes();
        let options = if version == 0 { Options::read(rdata, heed) } else { Ok(Options::default()) };
        let opt = Self {
            max_udp_bytes: class.max(512),
            version,
            dnssec_ok: flags & 0x80 != 0,
            options: options.unwrap_or_default(),
        };
        (opt, options.map(drop))
    }
}

impl Options {
    fn read(rdata: &[u8], heed: Heed) -> Result<Self, Malformed> {
        let (mut options, mut rest) = (Self::default(), rdata);
        while let Some(([code_high, code_low, high, low], after)) = rest.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (data, next) = after.split_at_checked(length).ok_or(Malformed::Other)?;
            rest = next;
            let code = u16::from_be_bytes([*code_high, *code_low]);
            if !heed.has(code) {
                continue;
            }
            match code {
                // RFC 7871 7.2.1: one that is not understood is a format error, and so are two that may differ.
                subnet::CODE => {
                    let read = Subnet::read(data).filter(|_| options.subnet.is_none());
                    options.subnet = Some(read.ok_or(Malformed::Other)?);
                }
                // RFC 7873 5.2: of several the first counts.
                cookie::CODE if options.cookie.is_some() => {}
                cookie::CODE => options.cookie = Some(Offer::read(data).ok_or(Malformed::Cookie)?),
                // RFC 5001 2.2: what a query has in it is ignored.
                NSID => options.nsid = true,
                // RFC 7828 3.2.1: the timeout is the server's to say.
                KEEPALIVE if data.is_empty() => options.keepalive = true,
                KEEPALIVE => return Err(Malformed::Other),
                PADDING => options.padding = true,
                _ => {}
            }
        }
        if rest.is_empty() { Ok(options) } else { Err(Malformed::Other) }
    }
}

/// What the quick way has to know of an OPT record.
#[derive(Clone, Copy)]
pub(super) struct Brief {
    pub(super) max_udp_bytes: u16,
    pub(super) dnssec_ok: bool,
    pub(super) cookie: Option<Offer>,
}

/// Reads the OPT record that `octets` are, and nothing but it: version 0, and of options that are heeded none but a COOKIE
/// that stands alone, as those who send one have it. `None` for anything else.
#[inline(always)]
pub(super) fn read_last(octets: &[u8], heed: impl FnOnce() -> Heed) -> Option<Brief> {
    let (fixed, rdata) = octets.split_first_chunk::<OCTETS>()?;
    let [0, 0, 41, size_high, size_low, _, 0, flags, _, length_high, length_low] = *fixed else { return None };
    if rdata.len() != usize::from(u16::from_be_bytes([length_high, length_low])) {
        return None;
    }
    let max_udp_bytes = u16::from_be_bytes([size_high, size_low]).max(512);
    let brief = Brief { max_udp_bytes, dnssec_ok: flags & 0x80 != 0, cookie: None };
    match rdata {
        [] => Some(brief),
        [0, 10, 0, length @ (8 | 24), data @ ..] if data.len() == usize::from(*length) => {
            Some(Brief { cookie: Offer::read(data), ..brief })
        }
        _ => says_nothing(rdata, heed()).then_some(brief),
    }
}

/// Whether options are well-formed and none of them is heeded.
#[inline(never)]
fn says_nothing(rdata: &[u8], heed: Heed) -> bool {
    Options::read(rdata, heed) == Ok(Options::default())
}

/// What the OPT record of a response is to hold.
pub(super) struct Reply<'a> {
    pub(super) opt: Opt,
    /// Our size.
    pub(super) max_udp_bytes: u16,
    /// How far the answer to a client subnet holds.
    pub(super) scope: Scope,
    /// Words of the cookie.
    pub(super) cookie: Option<[u64; 3]>,
    /// Whether NSID is said only where there is room for it when all else is.
    pub(super) gives_way: bool,
    pub(super) rules: &'a Rules,
}

impl Reply<'_> {
    /// Octets of the record with all that it must hold.
    pub(super) fn octets(&self) -> usize {
        let Options { subnet, nsid, keepalive, .. } = &self.opt.options;
        let option = |asked: bool, octets: usize| if asked { OPTION + octets } else { 0 };
        OCTETS
            + subnet.map_or(0, |subnet| subnet.octets())
            + self.cookie.map_or(0, |_| cookie::OCTETS)
            + option(*nsid && !self.gives_way, self.rules.nsid.len())
            + option(*keepalive, 2)
    }

    /// Appends the record to a message that may grow to `limit`: our size, version 0, DO as it came (RFC 3225 3), the options
    /// that were asked for, and the extended error if there is room for it.
    pub(super) fn append(&self, rcode: Rcode, extended: Option<Extended<'_>>, limit: usize, message: &mut Vec<u8>) {
        let Options { subnet, nsid, keepalive, padding, .. } = &self.opt.options;
        message.extend_from_slice(&record(self.opt.dnssec_ok, rcode, self.max_udp_bytes));
        let rdata_at = message.len();
        if let Some(subnet) = subnet {
            subnet.append(self.scope, message);
        }
        if let Some(words) = self.cookie {
            message.extend_from_slice(&cookie::option(words));
        }
        if *nsid && message.len() + OPTION + self.rules.nsid.len() <= limit {
            put(NSID, &[&self.rules.nsid], message);
        }
        if *keepalive {
            put(KEEPALIVE, &[&self.rules.idle.to_be_bytes()], message);
        }
        if let Some(extended) = extended {
            extended.append(limit, message);
        }
        if *padding {
            pad(limit, message);
        }
        let length = (message.len() - rdata_at) as u16;
        message[rdata_at - 2..rdata_at].copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends an option.
pub(super) fn put(code: u16, parts: &[&[u8]], message: &mut Vec<u8>) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() as u16;
    message.extend_from_slice(&code.to_be_bytes());
    message.extend_from_slice(&length.to_be_bytes());
    parts.iter().for_each(|part| message.extend_from_slice(part));
}

/// Octets of an extended error before its text.
pub(super) const EXTENDED: usize = OPTION + 2;

/// Appends padding to the next multiple of [`BLOCK`], or as far as `limit` allows (RFC 8467 4.1); none where not even an empty
/// option fits.
fn pad(limit: usize, message: &mut Vec<u8>) {
    let least = message.len() + OPTION;
    let padded = least.next_multiple_of(BLOCK).min(limit.min(MAX_MESSAGE));
    if padded >= least {
        let length = (padded - least) as u16;
        message.extend_from_slice(&PADDING.to_be_bytes());
        message.extend_from_slice(&length.to_be_bytes());
        message.resize(padded, 0);
    }
}

/// The OPT record of a response without an option.
#[inline(always)]
pub(super) fn record(dnssec_ok: bool, rcode: Rcode, max_udp_bytes: u16) -> [u8; OCTETS] {
    // RFC 6891 6.2.3: what can be received here.
    let size = max_udp_bytes.min(LARGEST_QUERY);
    let [[type_high, type_low], [size_high, size_low]] = [Rtype::OPT.0, size].map(u16::to_be_bytes);
    let dnssec_ok = if dnssec_ok { 0x80 } else { 0 };
    // RFC 6891 6.1.3: the upper eight of the response code's twelve bits, then the version.
    let extended = (rcode.0 >> 4) as u8;
    [0, type_high, type_low, size_high, size_low, extended, 0, dnssec_ok, 0, 0, 0]
}
