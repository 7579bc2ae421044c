//! The validator of a hub's document: what is said, and when it was signed. Pure.

use std::fmt;

use ring::digest::{SHA256, digest};

/// What tells two documents of a hub apart: `42-1b2c3d4e-59848086`.
///
/// The first two parts are what is said: the epoch alone does not tell, because the answer can change within one. The
/// third is the slot of time in which it was signed, half as long as a document holds: who has one of this slot has one
/// that holds for at least as long again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// The epoch, and the first 32 bits of SHA-256 over what is said.
    pub(super) said: String,
    slot: u64,
}

/// What a client has, beside the document of this moment; later ones are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// Nothing, another document, or one that may have expired.
    Other,
    /// A document that says the same, of the slot before: it may expire as soon as this one is over.
    Passing,
    /// A document that says the same, of this slot.
    Same,
}

impl Tag {
    /// The tag of what is said in `slot`.
    pub(super) fn new(said: String, slot: u64) -> Self {
        Self { said, slot }
    }

    /// The tag that this text is, without quotes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (said, slot) = text.rsplit_once('-')?;
        let tag = Self { said: said.to_owned(), slot: slot.parse().ok()? };
        (tag.to_string() == text).then_some(tag)
    }

    /// What a client has that names this tag, without quotes.
    pub(super) fn seen(&self, text: &str) -> Seen {
        match Self::parse(text) {
            Some(tag) if tag == *self => Seen::Same,
            Some(tag) if tag.said == self.said && tag.slot.checked_add(1) == Some(self.slot) => Seen::Passing,
            Some(_) | None => Seen::Other,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.said, self.slot)
    }
}

/// The first two parts of a tag, from the epoch and the octets of what is said.
pub(super) fn said(epoch: u64, octets: &[u8]) -> String {
    let digest = digest(&SHA256, octets);
    let digits: String = digest.as_ref().iter().take(4).map(|octet| format!("{octet:02x}")).collect();
    format!("{epoch}-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is that of `printf abc | sha256sum`.
    #[test]
    fn a_tag_is_epoch_digest_and_slot() {
        let tag = Tag::new(said(42, b"abc"), 7);
        assert_eq!(tag.to_string(), "42-ba7816bf-7");
        assert_eq!(Tag::parse("42-ba7816bf-7"), Some(tag));
    }

    #[test]
    fn what_a_client_has_that_names_a_tag() {
        let tag = Tag::new(said(42, b"abc"), 7);
        let check = |text, expected| assert_eq!(tag.seen(text), expected, "{text}");
        check("42-ba7816bf-7", Seen::Same);
        check("42-ba7816bf-6", Seen::Passing);
        // Two slots ago: it may have expired. And the clock may have been set back.
        check("42-ba7816bf-5", Seen::Other);
        check("42-ba7816bf-8", Seen::Other);
        check("42-ba7816bf-07", Seen::Other);
        check("42-ba7816bf", Seen::Other);
        check("42-ba7816be-7", Seen::Other);
        check("41-ba7816bf-7", Seen::Other);
        check("42", Seen::Other);
        check("", Seen::Other);
        check("42-ba7816bf-18446744073709551615", Seen::Other);
    }
}
