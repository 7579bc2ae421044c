//! What stands between the owner and the RDATA of a record: TTL, class and type.

use super::lexer::Token;
use super::rdata::{RdataError as Fault, Word, printable};
use super::reader::Frame;
use super::ttl;
use crate::diagnostic::closest;
use crate::dns::{Class, Rtype};

/// What stands between the owner and the RDATA.
pub(super) struct Header {
    pub(super) ttl: Option<u32>,
    pub(super) rtype: Rtype,
    /// The token that names the type.
    pub(super) at: usize,
}

/// Reads `[TTL] [class] type` or `[class] [TTL] type` from the start of `tokens`; `end` is where what is before them
/// ends, and `owner` the token there.
pub(super) fn header(frame: &Frame<'_>, tokens: &[Token], owner: Option<&Token>, end: usize) -> Result<Header, Fault> {
    let (mut ttl, mut class) = (None, None);
    for (at, token) in tokens.iter().enumerate() {
        let word = frame.plain_word(token, "record type")?;
        if word.text[0].is_ascii_digit() && ttl.is_none() {
            ttl = Some(read_ttl(&word).map_err(|fault| match owner {
                Some(owner) if is_type_in_capitals(&frame.word(owner)) => fault.hint(MISPLACED),
                _ => fault,
            })?);
        } else if let Some(found) = Class::parse(word.as_str()).filter(|_| class.is_none()) {
            if found != Class::IN {
                let message = format!("class `{}`, expected `IN`, the only class served", printable(word.text));
                return Err(Fault::new(token.span(), message));
            }
            class = Some(found);
        } else if let Some(rtype) = Rtype::parse(word.as_str()) {
            if rtype.is_meta() {
                let message =
                    format!("type `{}` stands in messages only, expected a type of data", printable(word.text));
                return Err(Fault::new(token.span(), message));
            }
            if matches!(rtype, Rtype::MD | Rtype::MF) {
                // RFC 1035 3.3.4, 3.3.5: rejected in master files.
                let message = format!("type `{}` is obsolete, expected a type of today", printable(word.text));
                return Err(Fault::new(token.span(), message).hint("`MX` took its place"));
            }
            return Ok(Header { ttl, rtype, at });
        } else {
            return Err(unknown_type(frame, &word, owner.map(|owner| frame.word(owner))));
        }
    }
    let end = tokens.last().map_or(end, |last| last.end);
    let fault = Fault::new(end..end, "missing record type, expected a type such as `A` and its RDATA");
    Err(match owner.and_then(|owner| directive_without_sign(&frame.word(owner))) {
        Some(directive) => fault.hint(format!("did you mean the directive `${directive}`?")),
        None => fault,
    })
}

fn directive_without_sign(owner: &Word<'_>) -> Option<&'static str> {
    let directives = ["TTL", "ORIGIN", "INCLUDE", "GENERATE"];
    directives.into_iter().find(|name| name.as_bytes().eq_ignore_ascii_case(owner.text))
}

fn unknown_type(frame: &Frame<'_>, word: &Word<'_>, owner: Option<Word<'_>>) -> Fault {
    let fault =
        Fault::new(word.span.clone(), format!("unknown type `{}`, expected a record type", printable(word.text)));
    if let Some(directive) = owner.as_ref().and_then(directive_without_sign) {
        return fault.hint(format!("did you mean the directive `${directive}`?"));
    }
    if Class::parse(word.as_str()).is_some() {
        return fault.hint("the class was written before");
    }
    if word.text[0].is_ascii_digit() && ttl::parse(word.text).is_some() {
        return fault.hint("the TTL was written before");
    }
    if owner.as_ref().is_some_and(is_type_in_capitals) {
        return fault.hint(MISPLACED);
    }
    if !frame.hints {
        return fault;
    }
    let known = Rtype::mnemonics().filter(|mnemonic| Rtype::parse(mnemonic).is_some_and(|rtype| !rtype.is_meta()));
    match closest(word.as_str(), known.chain(["IN"])) {
        Some(mnemonic) => fault.hint(format!("did you mean `{mnemonic}`?")),
        None => fault.hint("a type without a name here is written `TYPE` and its number (RFC 3597)"),
    }
}

const MISPLACED: &str = "a line that takes the owner of the record before starts with a space";

/// Whether an owner is more likely the type of a line that lost its first space: names are seldom in capitals.
fn is_type_in_capitals(owner: &Word<'_>) -> bool {
    let is_known = Rtype::parse(owner.as_str()).is_some() || Class::parse(owner.as_str()).is_some();
    is_known && owner.text.iter().all(u8::is_ascii_uppercase)
}

pub(super) fn read_ttl(word: &Word<'_>) -> Result<u32, Fault> {
    let ttl = ttl::parse(word.text).ok_or_else(|| {
        let message = format!("bad TTL `{}`, expected seconds, or a time such as `1h30m`", printable(word.text));
        Fault::new(word.span.clone(), message).hint("units are w, d, h, m and s, each behind its number")
    })?;
    if ttl > ttl::MAX {
        // RFC 2181 8.
        let message = format!("TTL `{}` above {}, the largest", printable(word.text), ttl::MAX);
        return Err(Fault::new(word.span.clone(), message));
    }
    Ok(ttl)
}
