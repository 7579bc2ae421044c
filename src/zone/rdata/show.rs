//! Octets to presentation format, field by field; `None` at the first field that is not well-formed.

use std::fmt::{Display, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::format::{Field, format};
use super::{codec, fields, location, params};
use crate::dns::{Name, Rtype};

/// The RDATA as text; `None` when the type has no format or the octets do not follow it.
pub(super) fn record(rtype: Rtype, rdata: &[u8]) -> Option<String> {
    let format = format(rtype)?;
    let (mut octets, mut line) = (Octets { all: rdata, at: 0 }, Line::default());
    for (_, field) in format {
        show_field(&mut octets, *field, &mut line)?;
    }
    octets.is_empty().then_some(line.text)
}

fn show_field(octets: &mut Octets<'_>, field: Field, line: &mut Line) -> Option<()> {
    match field {
        Field::U8 | Field::Keyword8(_) => line.word(octets.u8()?),
        Field::U16 | Field::Keyword16(_) => line.word(octets.u16()?),
        Field::U32 | Field::Seconds => line.word(octets.u32()?),
        Field::Time => line.word(fields::show_time(octets.u32()?)),
        Field::Type => line.word(Some(Rtype(octets.u16()?)).filter(|rtype| rtype.0 != 0)?),
        Field::Address4 => line.word(Ipv4Addr::from(octets.array::<4>()?)),
        Field::Address6 => line.word(Ipv6Addr::from(octets.array::<16>()?)),
        Field::Name => line.word(octets.name()?),
        Field::Names => {
            while !octets.is_empty() {
                line.word(octets.name()?);
            }
        }
        Field::Text => line.quoted(octets.counted()?),
        Field::OptionalText if octets.is_empty() => {}
        Field::OptionalText => line.quoted(octets.counted()?),
        Field::Texts => loop {
            line.quoted(octets.counted()?);
            if octets.is_empty() {
                break;
            }
        },
        Field::Substitution => line.quoted(octets.counted().filter(|text| fields::is_substitution(text))?),
        Field::Digits => {
            let digits = octets.counted().filter(|digits| fields::is_psdn(digits))?;
            line.word(std::str::from_utf8(digits).ok()?);
        }
        Field::Rest(min) => line.quoted(octets.rest(min)?),
        Field::Tag => {
            let tag = octets.counted().filter(|tag| fields::is_tag(tag))?;
            line.word(std::str::from_utf8(tag).ok()?);
        }
        Field::Hex => line.word(codec::hex(octets.rest(1)?)),
        Field::Digest { kind_at, lengths, min } => {
            let (kind, digest) = (*octets.all.get(kind_at)?, octets.rest(1)?);
            match lengths.iter().find(|(known, _)| *known == kind) {
                Some((_, length)) if *length != digest.len() => return None,
                None if digest.len() < min => return None,
                _ => line.word(codec::hex(digest)),
            }
        }
        Field::Salt => match octets.counted()? {
            [] => line.word("-"),
            salt => line.word(codec::hex(salt)),
        },
        Field::Hash => line.word(codec::base32(octets.counted().filter(|hash| !hash.is_empty())?)),
        Field::Base64 => line.word(codec::base64(octets.rest(1)?)),
        Field::OptionalBase64 if octets.is_empty() => {}
        Field::OptionalBase64 => line.word(codec::base64(octets.rest(1)?)),
        Field::KeyUnlessNone if octets.all[0] & 0xc0 == 0xc0 => {}
        Field::KeyUnlessNone => line.word(codec::base64(octets.rest(1)?)),
        Field::DashBase64 => match octets.rest(0)? {
            [] => line.word("-"),
            content => line.word(codec::base64(content)),
        },
        Field::Bitmap(min) => fields::show_bitmap(octets, min, line)?,
        Field::Eui(count) => fields::show_eui(octets.take(count)?, line),
        Field::Groups => fields::show_groups(octets.array::<8>()?, line),
        Field::Nsap => line.word(format_args!("0x{}", codec::hex(octets.rest(1)?))),
        Field::Prefixes => fields::show_prefixes(octets, line)?,
        Field::Location => location::show(octets.array::<16>()?, line)?,
        Field::Gateway => fields::show_gateway(octets, line)?,
        Field::Discovery => {
            let octet = octets.u8()?;
            line.word(octet >> 7);
            line.word(octet & 0x7f);
        }
        Field::HostIdentity => fields::show_host_identity(octets, line)?,
        Field::Params => params::show(octets, line)?,
    }
    Some(())
}

/// The RDATA with its names in lower case; octets that are not well-formed stay as they are.
pub(super) fn fold_names(rtype: Rtype, rdata: &[u8]) -> Vec<u8> {
    let (mut octets, mut folded) = (Octets { all: rdata, at: 0 }, rdata.to_vec());
    let mut scratch = Line::default();
    for (_, field) in format(rtype).unwrap_or_default() {
        let start = octets.at;
        if show_field(&mut octets, *field, &mut scratch).is_none() {
            break;
        }
        if *field == Field::Name {
            folded[start..octets.at].make_ascii_lowercase();
        }
    }
    folded
}

/// What is left of the octets.
#[derive(Debug)]
pub(super) struct Octets<'a> {
    /// The RDATA from its start.
    pub(super) all: &'a [u8],
    at: usize,
}

impl<'a> Octets<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.all.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.all.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// As many octets as the first one says.
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.u8()?;
        self.take(usize::from(count))
    }

    /// Everything up to the end, at least `min` octets.
    pub(super) fn rest(&mut self, min: usize) -> Option<&'a [u8]> {
        let rest = &self.all[self.at..];
        self.at = self.all.len();
        (rest.len() >= min).then_some(rest)
    }

    pub(super) fn name(&mut self) -> Option<Name> {
        let (name, used) = Name::from_wire_prefix(&self.all[self.at..]).ok()?;
        self.at += used;
        Some(name)
    }
}

/// Words joined by spaces.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
}

impl Line {
    pub(super) fn word(&mut self, word: impl Display) {
        self.space();
        let _ = write!(self.text, "{word}");
    }

    pub(super) fn quoted(&mut self, octets: &[u8]) {
        self.space();
        codec::quote(octets, &mut self.text);
    }

    fn space(&mut self) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
    }
}
