//! RDATA between presentation format and uncompressed wire form, for every type.
//!
//! One table ([`mod@format`]) names the fields of each type; [`scan`] reads them from text, [`show`] writes them from octets
//! and by that also checks octets that were given as RFC 3597 has it. A type outside the table is octets and nothing
//! more. Absent on purpose: typed structures for RDATA, which nothing here would use, and WKS, A6 and NXT in words,
//! which only old zones have and which `\# length hex` still carries.

mod codec;
mod cursor;
mod fields;
mod format;
mod location;
mod params;
mod scan;
mod show;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

pub(super) use cursor::{Context, Cursor, Word, bad_name, decimal, doubled_origin, unescape};

use super::lexer::Lexer;
use crate::dns::{Name, Rtype};

/// Largest RDATA: its length is in two octets (RFC 1035 3.2.1).
const MAX_RDATA: usize = 65_535;

/// What is wrong with a text, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RdataError {
    /// The octets of the text that are meant; empty where something is missing.
    pub span: Range<usize>,
    /// A lower-case phrase that names the thing and what was expected.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl RdataError {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Reads the RDATA of one record in presentation format, `\# length hex` (RFC 3597 5) included, to uncompressed wire
/// form. Relative names are completed with `origin`.
///
/// # Errors
/// The first thing that is wrong with the text.
pub fn parse_rdata(rtype: Rtype, text: &str, origin: &Name) -> Result<Box<[u8]>, RdataError> {
    let octets = text.as_bytes();
    let (mut lexer, mut tokens, mut rest) = (Lexer::new(octets), Vec::new(), Vec::new());
    if let Some(fault) = lexer.next_line(&mut tokens).and_then(|line| line.fault) {
        return Err(fault);
    }
    if let Some(line) = lexer.next_line(&mut rest) {
        let span = rest.first().map_or(text.len()..text.len(), super::lexer::Token::span);
        return Err(line.fault.unwrap_or_else(|| {
            RdataError::new(span, format!("a second line, expected the RDATA of one {rtype} record"))
        }));
    }
    let mut cursor = Cursor::new(octets, &tokens, 0, Context { origin, apex: None, hints: true });
    let mut rdata = Vec::new();
    scan_record(&mut cursor, rtype, &mut rdata)?;
    Ok(rdata.into_boxed_slice())
}

/// Writes RDATA in presentation format on one line, names absolute.
///
/// Types without a format of their own, and octets that are not well-formed for their type, are written as RFC 3597 has
/// it. [`parse_rdata`] gives the same octets back.
pub fn display_rdata(rtype: Rtype, rdata: &[u8]) -> String {
    show::record(rtype, rdata).unwrap_or_else(|| match rdata {
        [] => "\\# 0".to_owned(),
        octets => format!("\\# {} {}", octets.len(), codec::hex(octets)),
    })
}

/// Reads the tokens of one record's RDATA, all of them, to the end of `rdata`, which is empty before.
pub(super) fn scan_record(cursor: &mut Cursor<'_>, rtype: Rtype, rdata: &mut Vec<u8>) -> Result<(), RdataError> {
    let start = cursor.position();
    if cursor.next_is(b"\\#") {
        scan::generic(cursor, rtype, rdata)?;
    } else {
        scan::record(cursor, rtype, rdata)?;
    }
    cursor.finish(rtype)?;
    if rdata.len() > MAX_RDATA {
        let message = format!("{rtype} RDATA of {} octets, at most {MAX_RDATA} fit a record", rdata.len());
        return Err(RdataError::new(start..cursor.end(), message));
    }
    Ok(())
}

/// The RDATA in a form that is equal for records that are duplicates of each other (RFC 2181 5, RFC 4034 6.2).
pub(super) fn comparable(rtype: Rtype, rdata: &[u8]) -> Cow<'_, [u8]> {
    if format::folds_names(rtype) { show::fold_names(rtype, rdata).into() } else { rdata.into() }
}

/// Text for a message: at most 60 characters, on one line.
pub(super) fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(240)]);
    let mut shown: String = text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
