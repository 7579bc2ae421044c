//! The tokens of one record's RDATA, taken one by one.

use std::fmt;
use std::ops::Range;

use super::codec;
use super::{RdataError, printable};
use crate::diagnostic::closest;
use crate::dns::{Name, NameError, Rtype};
use crate::zone::lexer::{Kind, Token};

/// The field that a message speaks of: shows as `MX preference`.
#[derive(Clone, Copy, Debug)]
pub(in crate::zone) struct What {
    pub(in crate::zone) rtype: Rtype,
    pub(in crate::zone) field: &'static str,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rtype, self.field)
    }
}

/// One unquoted word.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Word<'a> {
    pub(in crate::zone) text: &'a [u8],
    pub(in crate::zone) span: Range<usize>,
}

impl Word<'_> {
    /// The word as it stands, for comparison with mnemonics and numbers; what is not UTF-8 equals none of them.
    pub(in crate::zone) fn as_str(&self) -> &str {
        std::str::from_utf8(self.text).unwrap_or("\u{fffd}")
    }
}

/// What the text stands in.
#[derive(Clone, Copy, Debug)]
pub(in crate::zone) struct Context<'a> {
    /// Completes relative names; one that repeats it, or the apex, gets a warning.
    pub(in crate::zone) origin: &'a Name,
    /// The zone's apex, where it is known.
    pub(in crate::zone) apex: Option<&'a Name>,
    /// Whether hints are looked for that take time to find.
    pub(in crate::zone) hints: bool,
}

/// What is left of a record's tokens.
#[derive(Debug)]
pub(in crate::zone) struct Cursor<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    /// End of what was taken last: where something missing is reported.
    end: usize,
    context: Context<'a>,
    /// What is worth a look and no error.
    pub(in crate::zone) warnings: Vec<RdataError>,
}

impl<'a> Cursor<'a> {
    /// `end` is where the text before the tokens ends.
    pub(in crate::zone) fn new(text: &'a [u8], tokens: &'a [Token], end: usize, context: Context<'a>) -> Self {
        Self { text, tokens, end, context, warnings: Vec::new() }
    }

    /// The one of `candidates` that is meant, while hints are looked for.
    pub(in crate::zone) fn suggest<'c>(
        &self,
        written: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        if self.context.hints { closest(written, candidates) } else { None }
    }

    pub(in crate::zone) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Where the next token starts, or where the last one taken ended.
    pub(in crate::zone) fn position(&self) -> usize {
        self.tokens.first().map_or(self.end, |token| token.start)
    }

    /// Where the last token taken ended.
    pub(in crate::zone) fn end(&self) -> usize {
        self.end
    }

    /// Whether the next token is the unquoted word `text`.
    pub(in crate::zone) fn next_is(&self, text: &[u8]) -> bool {
        self.tokens.first().is_some_and(|token| token.kind == Kind::Plain && token.text(self.text) == text)
    }

    pub(in crate::zone) fn missing(&self, what: What, expected: &str) -> RdataError {
        RdataError::new(self.end..self.end, format!("missing {what}, expected {expected}"))
    }

    pub(in crate::zone) fn bad(&self, what: What, word: &Word<'_>, expected: &str) -> RdataError {
        RdataError::new(word.span.clone(), format!("bad {what} `{}`, expected {expected}", printable(word.text)))
    }

    pub(in crate::zone) fn token(&mut self, what: What, expected: &str) -> Result<Token, RdataError> {
        let (token, rest) = self.tokens.split_first().ok_or_else(|| self.missing(what, expected))?;
        self.tokens = rest;
        self.end = token.end;
        Ok(*token)
    }

    pub(in crate::zone) fn text_of(&self, token: &Token) -> &'a [u8] {
        token.text(self.text)
    }

    /// The next token, which must not be quoted.
    pub(in crate::zone) fn word(&mut self, what: What, expected: &str) -> Result<Word<'a>, RdataError> {
        let token = self.token(what, expected)?;
        let word = Word { text: token.text(self.text), span: token.span() };
        if token.kind == Kind::Plain {
            return Ok(word);
        }
        let message = format!("bad {what} {}, expected {expected}", printable(&self.text[token.span()]));
        Err(RdataError::new(token.span(), message).hint("write it without quotes"))
    }

    /// A decimal number from 0 to `max`.
    pub(in crate::zone) fn number(&mut self, what: What, max: u32, expected: &str) -> Result<u32, RdataError> {
        let word = self.word(what, expected)?;
        decimal(word.text).filter(|number| *number <= max).ok_or_else(|| self.bad(what, &word, expected))
    }

    /// A domain name, completed with the origin, in wire form to the end of `out`.
    pub(in crate::zone) fn name(&mut self, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
        let word = self.word(what, "a domain name")?;
        let at = out.len();
        Name::append_parsed(word.text, Some(self.context.origin), out).map_err(|error| {
            RdataError::new(word.span.clone(), format!("bad {what} `{}`: {error}", printable(word.text)))
        })?;
        if let Some(warning) = doubled_origin(&word, &out[at..], self.context) {
            self.warnings.push(warning);
        }
        Ok(())
    }

    /// One `<character-string>` (RFC 1035 5.1) with its length octet; a token such as `a="b"` is two, as for other
    /// name servers.
    pub(in crate::zone) fn character_string(&mut self, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
        let token = self.token(what, "text")?;
        let raw = token.text(self.text);
        if token.kind == Kind::Pair {
            let quote = raw.iter().position(|octet| *octet == b'"').unwrap_or(raw.len() - 1);
            self.put_string(what, &raw[..quote], token.start, out)?;
            return self.put_string(what, &raw[quote + 1..raw.len() - 1], token.start + quote + 1, out);
        }
        let start = token.start + usize::from(token.kind == Kind::Quoted);
        self.put_string(what, raw, start, out)
    }

    fn put_string(&self, what: What, raw: &[u8], start: usize, out: &mut Vec<u8>) -> Result<(), RdataError> {
        let at = out.len();
        out.push(0);
        unescape(raw, start, out)?;
        let length = out.len() - at - 1;
        out[at] = u8::try_from(length).map_err(|_| {
            RdataError::new(start..start + raw.len(), format!("{what} of {length} octets, at most 255 fit one text"))
                .hint("split it into several quoted texts, which clients join")
        })?;
        Ok(())
    }

    /// Refuses tokens that are left over.
    pub(in crate::zone) fn finish(&self, rtype: Rtype) -> Result<(), RdataError> {
        match self.tokens {
            [] => Ok(()),
            [first, .., last] | [first @ last] => Err(RdataError::new(
                first.start..last.end,
                format!("text after the end of the {rtype} record: `{}`", printable(&self.text[first.span()])),
            )),
        }
    }
}

/// Appends `raw`, found at `start`, with its escapes resolved.
pub(in crate::zone) fn unescape(raw: &[u8], start: usize, out: &mut Vec<u8>) -> Result<(), RdataError> {
    codec::unescape(raw, out).map_err(|at| {
        let end = (at + 4).min(raw.len());
        let message = format!(
            "bad escape `{}`, expected `\\` and a character or three digits up to 255",
            printable(&raw[at..end])
        );
        RdataError::new(start + at..start + end, message).hint("a backslash itself is written `\\\\`")
    })
}

/// A number of decimal digits only.
pub(in crate::zone) fn decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0_u32, |number, octet| {
        octet.is_ascii_digit().then(|| number.checked_mul(10)?.checked_add(u32::from(octet - b'0'))).flatten()
    })
}

/// Warns of a name such as `mail.example.net` under the origin `example.net.`, which lacks its final dot. `name` is what it
/// stands for in wire form.
pub(in crate::zone) fn doubled_origin(word: &Word<'_>, name: &[u8], context: Context<'_>) -> Option<RdataError> {
    let repeats = |suffix: &Name| {
        let labels = &suffix.wire()[..suffix.wire().len() - 1];
        // Where both stand if they do.
        let origin = name.len().checked_sub(context.origin.wire().len())?;
        let at = origin.checked_sub(labels.len()).filter(|_| !labels.is_empty())?;
        (name[at..origin].eq_ignore_ascii_case(labels)
            && is_label_start(name, at)
            // An absolute name, which may end in an escaped backslash and a dot, need not be below the origin.
            && name[origin..].eq_ignore_ascii_case(context.origin.wire()))
        .then_some(())
    };
    if repeats(context.origin).is_none() && context.apex.and_then(repeats).is_none() {
        return None;
    }
    if word.text.ends_with(b".") && !word.text.ends_with(b"\\.") || word.text == b"@" {
        return None;
    }
    let name = Name::from_wire(name).ok()?;
    let written = printable(word.text);
    let message = format!("`{written}` has no final dot: it stands for `{name}`");
    Some(RdataError::new(word.span.clone(), message).hint(format!("write `{written}.`")))
}

fn is_label_start(labels: &[u8], at: usize) -> bool {
    let mut start = 0;
    while start < at {
        start += 1 + usize::from(labels[start]);
    }
    start == at
}

/// What is wrong with a name, for the place where it is written.
pub(in crate::zone) fn bad_name(what: &str, word: &Word<'_>, error: NameError) -> RdataError {
    RdataError::new(word.span.clone(), format!("bad {what} `{}`: {error}", printable(word.text)))
}
