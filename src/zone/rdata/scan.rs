//! Presentation format to octets, field by field.

use super::codec::Decoder;
use super::cursor::{Cursor, What, decimal, unescape};
use super::format::{Field, format};
use super::{RdataError, fields, location, params, printable, show};
use crate::dns::Rtype;
use crate::zone::ttl;

/// Appends the RDATA that the tokens write in the format of the type.
pub(super) fn record(cursor: &mut Cursor<'_>, rtype: Rtype, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let Some(format) = format(rtype) else {
        let what = What { rtype, field: "RDATA" };
        let word = cursor.token(what, "`\\#`, its length and its octets in hexadecimal")?;
        return Err(RdataError::new(word.span(), format!("{rtype} has no format of its own, expected `\\#`"))
            .hint("write its RDATA as `\\# length hexadecimal` (RFC 3597)"));
    };
    for (field, kind) in format {
        scan_field(cursor, What { rtype, field }, *kind, out)?;
    }
    Ok(())
}

fn scan_field(cursor: &mut Cursor<'_>, what: What, field: Field, out: &mut Vec<u8>) -> Result<(), RdataError> {
    match field {
        Field::U8 => out.push(cursor.number(what, 0xff, "a number from 0 to 255")? as u8),
        Field::U16 => put_u16(cursor.number(what, 0xffff, "a number from 0 to 65535")? as u16, out),
        Field::U32 => put_u32(cursor.number(what, u32::MAX, "a number from 0 to 4294967295")?, out),
        Field::Seconds => {
            let expected = "seconds up to 4294967295, or a time such as `1h30m`";
            let word = cursor.word(what, expected)?;
            put_u32(ttl::parse(word.text).ok_or_else(|| cursor.bad(what, &word, expected))?, out);
        }
        Field::Time => fields::scan_time(cursor, what, out)?,
        Field::Keyword8(words) => {
            let number = keyword(cursor, what, words, 0xff, "a number from 0 to 255 or its mnemonic")?;
            out.push(number as u8);
        }
        Field::Keyword16(words) => {
            put_u16(keyword(cursor, what, words, 0xffff, "a number from 0 to 65535 or its mnemonic")?, out);
        }
        Field::Type => {
            let word = cursor.word(what, "a record type")?;
            put_u16(record_type(cursor, what, &word)?.0, out);
        }
        Field::Address4 => fields::scan_address4(cursor, what, out)?,
        Field::Address6 => fields::scan_address6(cursor, what, out)?,
        Field::Name => cursor.name(what, out)?,
        Field::Names => {
            while !cursor.is_empty() {
                cursor.name(what, out)?;
            }
        }
        Field::Text => cursor.character_string(what, out)?,
        Field::OptionalText if cursor.is_empty() => {}
        Field::OptionalText => cursor.character_string(what, out)?,
        Field::Texts => loop {
            cursor.character_string(what, out)?;
            if cursor.is_empty() {
                break;
            }
        },
        Field::Substitution => {
            let (start, at) = (cursor.position(), out.len());
            cursor.character_string(what, out)?;
            if !fields::is_substitution(&out[at + 1..]) {
                let shown = printable(&out[at + 1..]);
                let message = format!("bad {what} `{shown}`, expected `!expression!replacement!` or empty text");
                return Err(RdataError::new(start..cursor.end(), message));
            }
        }
        Field::Digits => {
            let word = cursor.word(what, "at least four decimal digits")?;
            if !fields::is_psdn(word.text) {
                return Err(cursor.bad(what, &word, "at least four decimal digits"));
            }
            out.push(word.text.len() as u8);
            out.extend_from_slice(word.text);
        }
        Field::Rest(min) => rest(cursor, what, min, out)?,
        Field::Tag => {
            let expected = "1 to 255 ASCII letters and digits";
            let word = cursor.word(what, expected)?;
            if !fields::is_tag(word.text) {
                return Err(cursor.bad(what, &word, expected));
            }
            out.push(word.text.len() as u8);
            out.extend_from_slice(word.text);
        }
        Field::Hex => encoded(cursor, what, Decoder::base16(), "octets in hexadecimal", 1, out)?,
        Field::Digest { kind_at, lengths, min } => {
            let (start, at) = (cursor.position(), out.len());
            encoded(cursor, what, Decoder::base16(), "octets in hexadecimal", 1, out)?;
            let (length, kind) = (out.len() - at, out[kind_at]);
            let known = lengths.iter().find(|(known, _)| *known == kind).map(|(_, length)| *length);
            let expected = match known {
                Some(wanted) if wanted != length => format!("{wanted} octets for algorithm {kind}"),
                None if length < min => format!("at least {min} octets"),
                _ => return Ok(()),
            };
            let message = format!("{what} of {length} octets, expected {expected}");
            return Err(RdataError::new(start..cursor.end(), message));
        }
        Field::Salt => fields::scan_salt(cursor, what, out)?,
        Field::Hash => fields::scan_hash(cursor, what, out)?,
        Field::Base64 => encoded(cursor, what, Decoder::base64(), "base 64", 1, out)?,
        Field::OptionalBase64 => encoded(cursor, what, Decoder::base64(), "base 64", 0, out)?,
        Field::KeyUnlessNone if out[0] & 0xc0 == 0xc0 => {}
        Field::KeyUnlessNone => encoded(cursor, what, Decoder::base64(), "base 64", 1, out)?,
        Field::DashBase64 if cursor.next_is(b"-") => {
            cursor.word(what, "base 64")?;
        }
        Field::DashBase64 => encoded(cursor, what, Decoder::base64(), "base 64 or `-`", 1, out)?,
        Field::Bitmap(min) => fields::scan_bitmap(cursor, what, min, out)?,
        Field::Eui(octets) => fields::scan_eui(cursor, what, octets, out)?,
        Field::Groups => fields::scan_groups(cursor, what, out)?,
        Field::Nsap => fields::scan_nsap(cursor, what, out)?,
        Field::Prefixes => fields::scan_prefixes(cursor, what, out)?,
        Field::Location => location::scan(cursor, what, out)?,
        Field::Gateway => fields::scan_gateway(cursor, what, out)?,
        Field::Discovery => fields::scan_discovery(cursor, what, out)?,
        Field::HostIdentity => fields::scan_host_identity(cursor, what, out)?,
        Field::Params => params::scan(cursor, what, out)?,
    }
    Ok(())
}

/// RFC 3597 5: `\#`, the length, the octets. Those of a type with a format are checked against it.
pub(super) fn generic(cursor: &mut Cursor<'_>, rtype: Rtype, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let what = |field| What { rtype, field };
    let start = cursor.position();
    cursor.word(what("RDATA"), "`\\#`")?;
    let length = cursor.number(what("RDATA length"), 0xffff, "the number of octets, 0 to 65535")?;
    let at = cursor.position();
    encoded(cursor, what("RDATA"), Decoder::base16(), "octets in hexadecimal", 0, out)?;
    if out.len() != length as usize {
        let message = format!("{} octets of RDATA, expected {length} as its length says", out.len());
        return Err(RdataError::new(at..cursor.end().max(at), message));
    }
    if format(rtype).is_some() && show::record(rtype, out).is_none() {
        let message = format!("the octets are not well-formed RDATA of {rtype}");
        return Err(RdataError::new(start..cursor.end(), message).hint(format!("write it in the format of {rtype}")));
    }
    Ok(())
}

/// Everything that is left, to a power-of-two base.
pub(super) fn encoded(
    cursor: &mut Cursor<'_>,
    what: What,
    mut decoder: Decoder,
    expected: &str,
    min: usize,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    let (start, at) = (cursor.position(), out.len());
    while !cursor.is_empty() {
        let word = cursor.word(what, expected)?;
        decoder.decode(word.text, out).ok_or_else(|| cursor.bad(what, &word, expected))?;
    }
    if out.len() - at < min && start >= cursor.end() {
        return Err(cursor.missing(what, expected));
    }
    if out.len() - at < min || !decoder.is_complete() {
        let message = format!("{what} does not end on a whole octet, expected {expected}");
        return Err(RdataError::new(start..cursor.end(), message));
    }
    Ok(())
}

fn rest(cursor: &mut Cursor<'_>, what: What, min: usize, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let (token, at) = (cursor.token(what, "text")?, out.len());
    unescape(cursor.text_of(&token), token.start, out)?;
    if out.len() - at < min {
        return Err(RdataError::new(token.span(), format!("empty {what}, expected text")));
    }
    Ok(())
}

fn keyword(
    cursor: &mut Cursor<'_>,
    what: What,
    words: &[(&'static str, u16)],
    max: u32,
    expected: &str,
) -> Result<u16, RdataError> {
    let word = cursor.word(what, expected)?;
    if let Some((_, number)) = words.iter().find(|(mnemonic, _)| mnemonic.as_bytes().eq_ignore_ascii_case(word.text)) {
        return Ok(*number);
    }
    match decimal(word.text).filter(|number| *number <= max) {
        Some(number) => Ok(number as u16),
        None => {
            let error = cursor.bad(what, &word, expected);
            Err(match cursor.suggest(word.as_str(), words.iter().map(|(mnemonic, _)| *mnemonic)) {
                Some(mnemonic) => error.hint(format!("did you mean `{mnemonic}`?")),
                None => error,
            })
        }
    }
}

/// A record type as a word of the RDATA.
pub(super) fn record_type(
    cursor: &Cursor<'_>,
    what: What,
    word: &super::cursor::Word<'_>,
) -> Result<Rtype, RdataError> {
    Rtype::parse(word.as_str()).filter(|rtype| rtype.0 != 0).ok_or_else(|| {
        let error = cursor.bad(what, word, "a record type");
        match cursor.suggest(word.as_str(), Rtype::mnemonics()) {
            Some(mnemonic) => error.hint(format!("did you mean `{mnemonic}`?")),
            None => error,
        }
    })
}

pub(super) fn put_u16(number: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_u32(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}
