//! The fields that more than a number, a name or a text make: both ways, side by side.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::tz::Offset;

use super::RdataError;
use super::codec::{self, Decoder};
use super::cursor::{Cursor, What, decimal};
use super::scan::{put_u16, record_type};
use super::show::{Line, Octets};
use crate::dns::Rtype;

pub(super) fn scan_address4(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = cursor.word(what, "an IPv4 address")?;
    match word.as_str().parse::<Ipv4Addr>() {
        Ok(address) => out.extend_from_slice(&address.octets()),
        Err(_) => {
            let error = cursor.bad(what, &word, "an IPv4 address such as `192.0.2.1`");
            let is_v6 = word.as_str().parse::<Ipv6Addr>().is_ok();
            return Err(if is_v6 { error.hint("an IPv6 address belongs in an `AAAA` record") } else { error });
        }
    }
    Ok(())
}

pub(super) fn scan_address6(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = cursor.word(what, "an IPv6 address")?;
    match word.as_str().parse::<Ipv6Addr>() {
        Ok(address) => out.extend_from_slice(&address.octets()),
        Err(_) => {
            let error = cursor.bad(what, &word, "an IPv6 address such as `2001:db8::1`");
            let is_v4 = word.as_str().parse::<Ipv4Addr>().is_ok();
            return Err(if is_v4 { error.hint("an IPv4 address belongs in an `A` record") } else { error });
        }
    }
    Ok(())
}

/// Seconds since 1970, or `YYYYMMDDHHmmSS` (RFC 4034 3.2). Dates from 2106 on have no such number.
pub(super) fn scan_time(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let expected = "a time as `YYYYMMDDHHmmSS`, 1970 to 2105, or in seconds since 1970";
    let word = cursor.word(what, expected)?;
    let seconds = if word.text.len() == 14 { civil_seconds(word.text) } else { decimal(word.text) };
    out.extend_from_slice(&seconds.ok_or_else(|| cursor.bad(what, &word, expected))?.to_be_bytes());
    Ok(())
}

fn civil_seconds(digits: &[u8]) -> Option<u32> {
    let number = |from: usize, to: usize| decimal(&digits[from..to]);
    let part = |from: usize| i8::try_from(number(from, from + 2)?).ok();
    let date = jiff::civil::Date::new(i16::try_from(number(0, 4)?).ok()?, part(4)?, part(6)?).ok()?;
    let time = jiff::civil::Time::new(part(8)?, part(10)?, part(12)?, 0).ok()?;
    let timestamp = Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?;
    u32::try_from(timestamp.as_second()).ok()
}

pub(super) fn show_time(seconds: u32) -> String {
    let timestamp = jiff::Timestamp::constant(i64::from(seconds), 0);
    let t = Offset::UTC.to_datetime(timestamp);
    format!("{:04}{:02}{:02}{:02}{:02}{:02}", t.year(), t.month(), t.day(), t.hour(), t.minute(), t.second())
}

/// RFC 8659 4.1: at least one ASCII letter or digit.
pub(super) fn is_tag(tag: &[u8]) -> bool {
    (1..=255).contains(&tag.len()) && tag.iter().all(u8::is_ascii_alphanumeric)
}

/// RFC 3402 3.2: a delimiter, an expression, a replacement, each ended by the delimiter, and the flag `i` or none.
pub(super) fn is_substitution(text: &[u8]) -> bool {
    let Some((delimiter, rest)) = text.split_first() else { return true };
    let (mut delimiters, mut octets) = (0, rest.iter());
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' => drop(octets.next()),
            octet if octet == delimiter => delimiters += 1,
            octet if delimiters == 2 && *octet != b'i' => return false,
            _ => {}
        }
    }
    delimiters == 2 && !delimiter.is_ascii_digit() && !matches!(delimiter, b'i' | b'\\')
}

/// RFC 1183 3.1: decimal digits, of which the country code makes at least four.
pub(super) fn is_psdn(digits: &[u8]) -> bool {
    (4..=255).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

pub(super) fn scan_salt(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let expected = "up to 255 octets in hexadecimal, or `-`";
    let word = cursor.word(what, expected)?;
    let at = out.len();
    out.push(0);
    if word.text != b"-" {
        let mut decoder = Decoder::base16();
        decoder
            .decode(word.text, out)
            .filter(|()| decoder.is_complete())
            .ok_or_else(|| cursor.bad(what, &word, expected))?;
    }
    out[at] = u8::try_from(out.len() - at - 1).map_err(|_| cursor.bad(what, &word, expected))?;
    Ok(())
}

pub(super) fn scan_hash(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let expected = "base 32 with the extended hex alphabet, without padding";
    let word = cursor.word(what, expected)?;
    let at = out.len();
    out.push(0);
    let mut decoder = Decoder::base32();
    decoder
        .decode(word.text, out)
        .filter(|()| decoder.is_complete())
        .ok_or_else(|| cursor.bad(what, &word, expected))?;
    out[at] = u8::try_from(out.len() - at - 1).map_err(|_| cursor.bad(what, &word, expected))?;
    Ok(())
}

/// RFC 4034 4.1.2: windows of 256 types, each with its bitmap up to the last octet that is not zero.
pub(super) fn scan_bitmap(
    cursor: &mut Cursor<'_>,
    what: What,
    min: usize,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    let mut types = Vec::new();
    while !cursor.is_empty() {
        let word = cursor.word(what, "record types")?;
        types.push(record_type(cursor, what, &word)?.0);
    }
    if types.len() < min {
        return Err(cursor.missing(what, "record types"));
    }
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let last = window[window.len() - 1];
        let at = out.len();
        out.extend_from_slice(&[(last >> 8) as u8, (last as u8 >> 3) + 1]);
        out.resize(at + 3 + usize::from(last as u8 >> 3), 0);
        for number in window {
            let low = *number as u8;
            out[at + 2 + usize::from(low >> 3)] |= 0x80 >> (low & 7);
        }
    }
    Ok(())
}

pub(super) fn show_bitmap(octets: &mut Octets<'_>, min: usize, line: &mut Line) -> Option<()> {
    if octets.is_empty() && min > 0 {
        return None;
    }
    let mut previous = None;
    while !octets.is_empty() {
        let window = octets.u8()?;
        let bitmap = octets.counted().filter(|bitmap| (1..=32).contains(&bitmap.len()) && !bitmap.ends_with(&[0]))?;
        if previous.is_some_and(|previous| previous >= window) || (window == 0 && bitmap[0] & 0x80 != 0) {
            return None;
        }
        previous = Some(window);
        for (at, octet) in bitmap.iter().enumerate() {
            for bit in (0..8).filter(|bit| octet & 0x80 >> bit != 0) {
                line.word(Rtype(u16::from(window) << 8 | (at as u16) << 3 | bit));
            }
        }
    }
    Some(())
}

pub(super) fn scan_eui(
    cursor: &mut Cursor<'_>,
    what: What,
    octets: usize,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    let expected = if octets == 6 {
        "six octets such as `00-00-5e-00-53-2a`"
    } else {
        "eight octets such as `00-00-5e-ef-10-00-00-2a`"
    };
    let word = cursor.word(what, expected)?;
    let at = out.len();
    for group in word.text.split(|octet| *octet == b'-') {
        let octet = hex_number(group).filter(|_| group.len() == 2);
        out.push(octet.ok_or_else(|| cursor.bad(what, &word, expected))? as u8);
    }
    if out.len() - at == octets { Ok(()) } else { Err(cursor.bad(what, &word, expected)) }
}

pub(super) fn show_eui(octets: &[u8], line: &mut Line) {
    let groups: Vec<_> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    line.word(groups.join("-"));
}

pub(super) fn scan_groups(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let expected = "64 bits such as `0014:4fff:ff20:ee64`";
    let word = cursor.word(what, expected)?;
    let at = out.len();
    for group in word.text.split(|octet| *octet == b':') {
        let group = hex_number(group).filter(|_| group.len() <= 4);
        put_u16(group.ok_or_else(|| cursor.bad(what, &word, expected))?, out);
    }
    if out.len() - at == 8 { Ok(()) } else { Err(cursor.bad(what, &word, expected)) }
}

pub(super) fn show_groups(octets: [u8; 8], line: &mut Line) {
    let groups: Vec<_> = octets.chunks(2).map(codec::hex).collect();
    line.word(groups.join(":").to_ascii_lowercase());
}

fn hex_number(digits: &[u8]) -> Option<u16> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    plain.then(|| u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()).flatten()
}

pub(super) fn scan_nsap(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let expected = "`0x` and octets in hexadecimal";
    let word = cursor.word(what, expected)?;
    let (at, mut decoder) = (out.len(), Decoder::base16());
    let digits = word.text.strip_prefix(b"0x").or_else(|| word.text.strip_prefix(b"0X"));
    digits
        .and_then(|digits| digits.split(|octet| *octet == b'.').try_for_each(|part| decoder.decode(part, out)))
        .filter(|()| decoder.is_complete() && out.len() > at)
        .ok_or_else(|| cursor.bad(what, &word, expected))
}

/// Address families of RFC 3123: IPv4 and IPv6, with the octets of an address.
const FAMILIES: [(u16, usize); 2] = [(1, 4), (2, 16)];

/// RFC 3123 5: `[!]family:address/prefix`, as often as it pleases.
pub(super) fn scan_prefixes(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let expected = "address prefixes such as `1:192.0.2.0/24` or `!2:2001:db8::/32`";
    while !cursor.is_empty() {
        let word = cursor.word(what, expected)?;
        prefix(word.as_str(), out).ok_or_else(|| cursor.bad(what, &word, expected))?;
    }
    Ok(())
}

fn prefix(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (negated, text) = text.strip_prefix('!').map_or((0, text), |text| (0x80, text));
    let (family, rest) = text.split_once(':')?;
    let (address, length) = rest.split_once('/')?;
    let octets = match family {
        "1" => address.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
        "2" => address.parse::<Ipv6Addr>().ok()?.octets().to_vec(),
        _ => return None,
    };
    let length = decimal(length.as_bytes()).filter(|length| *length as usize <= octets.len() * 8)?;
    let used = octets.iter().rposition(|octet| *octet != 0).map_or(0, |at| at + 1);
    put_u16(if octets.len() == 4 { 1 } else { 2 }, out);
    out.extend_from_slice(&[length as u8, negated | used as u8]);
    out.extend_from_slice(&octets[..used]);
    Some(())
}

pub(super) fn show_prefixes(octets: &mut Octets<'_>, line: &mut Line) -> Option<()> {
    while !octets.is_empty() {
        let (family, length, used) = (octets.u16()?, octets.u8()?, octets.u8()?);
        let (_, full) = FAMILIES.into_iter().find(|(known, _)| *known == family)?;
        let part = octets.take(usize::from(used & 0x7f))?;
        // RFC 3123 4: trailing zero octets are left out.
        if part.len() > full || part.ends_with(&[0]) || usize::from(length) > full * 8 {
            return None;
        }
        let mut address = [0; 16];
        address[..part.len()].copy_from_slice(part);
        let negation = if used & 0x80 != 0 { "!" } else { "" };
        if full == 4 {
            let address = Ipv4Addr::new(address[0], address[1], address[2], address[3]);
            line.word(format_args!("{negation}1:{address}/{length}"));
        } else {
            line.word(format_args!("{negation}2:{}/{length}", Ipv6Addr::from(address)));
        }
    }
    Some(())
}

/// The gateway of RFC 4025 3.1 and the relay of RFC 8777 4.3: `.` when there is none.
pub(super) fn scan_gateway(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    match out[1] & 0x7f {
        0 => {
            let word = cursor.word(what, "`.` for none")?;
            if word.text != b"." {
                return Err(cursor.bad(what, &word, "`.`, for its type is 0"));
            }
            Ok(())
        }
        1 => scan_address4(cursor, what, out),
        2 => scan_address6(cursor, what, out),
        3 => cursor.name(what, out),
        other => {
            let token = cursor.token(what, "a gateway of a type from 0 to 3")?;
            let message = format!("{what} of type {other}, expected a type from 0 to 3");
            Err(RdataError::new(token.span(), message).hint("write the RDATA as `\\# length hexadecimal` (RFC 3597)"))
        }
    }
}

pub(super) fn show_gateway(octets: &mut Octets<'_>, line: &mut Line) -> Option<()> {
    match octets.all.get(1)? & 0x7f {
        0 => line.word("."),
        1 => line.word(Ipv4Addr::from(octets.array::<4>()?)),
        2 => line.word(Ipv6Addr::from(octets.array::<16>()?)),
        3 => line.word(octets.name()?),
        _ => return None,
    }
    Some(())
}

pub(super) fn scan_discovery(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let discovery = cursor.number(What { field: "discovery bit", ..what }, 1, "0 or 1")?;
    let kind = cursor.number(what, 3, "0 for none, 1 for IPv4, 2 for IPv6 or 3 for a name")?;
    out.push((discovery << 7 | kind) as u8);
    Ok(())
}

/// RFC 8005 5: the tag's length, the algorithm and the key's length come first, then tag and key.
pub(super) fn scan_host_identity(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let what = |field| What { field, ..what };
    let algorithm = cursor.number(what("algorithm"), 0xff, "a number from 0 to 255")? as u8;
    let (mut tag, mut key) = (Vec::new(), Vec::new());
    for (field, mut decoder, expected, octets) in [
        ("tag", Decoder::base16(), "octets in hexadecimal", &mut tag),
        ("key", Decoder::base64(), "base 64 in one word", &mut key),
    ] {
        let word = cursor.word(what(field), expected)?;
        let decoded = decoder.decode(word.text, octets).filter(|()| decoder.is_complete() && !octets.is_empty());
        decoded.ok_or_else(|| cursor.bad(what(field), &word, expected))?;
    }
    let too_long =
        || RdataError::new(cursor.end()..cursor.end(), "HIP tag or key too long, at most 255 and 65535 octets");
    out.extend_from_slice(&[u8::try_from(tag.len()).map_err(|_| too_long())?, algorithm]);
    put_u16(u16::try_from(key.len()).map_err(|_| too_long())?, out);
    out.append(&mut tag);
    out.append(&mut key);
    Ok(())
}

pub(super) fn show_host_identity(octets: &mut Octets<'_>, line: &mut Line) -> Option<()> {
    let (tag, algorithm, key) = (octets.u8()?, octets.u8()?, octets.u16()?);
    let (tag, key) = (octets.take(usize::from(tag))?, octets.take(usize::from(key))?);
    if tag.is_empty() || key.is_empty() {
        return None;
    }
    line.word(algorithm);
    line.word(codec::hex(tag));
    line.word(codec::base64(key));
    Some(())
}
