//! Extended errors (RFC 8914): why a response is what it is, for people who look into it. No client acts on them.

use super::edns;

/// Code of the option (RFC 8914 2).
const CODE: u16 = 15;

/// An extended error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extended<'a> {
    reason: Reason,
    text: &'a [u8],
}

/// INFO-CODE (RFC 8914 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Reason {
    /// No endpoint may be chosen: the answer is what was chosen last (RFC 8914 4.4).
    Stale = 3,
    /// Not for this client, or for nobody (RFC 8914 4.19).
    Prohibited = 18,
    /// The name is in no zone served here (RFC 8914 4.21).
    NotAuthoritative = 20,
    /// An opcode that is not implemented (RFC 8914 4.22).
    NotSupported = 21,
}

impl<'a> Extended<'a> {
    /// Says no more than the reason.
    pub(super) fn new(reason: Reason) -> Self {
        Self { reason, text: &[] }
    }

    /// With a text in UTF-8.
    pub(super) fn saying(reason: Reason, text: &'a [u8]) -> Self {
        Self { reason, text }
    }

    /// Appends the option, without its text where only that fits, or nothing.
    pub(super) fn append(&self, limit: usize, message: &mut Vec<u8>) {
        let room = limit.saturating_sub(message.len());
        let text = if room >= edns::EXTENDED + self.text.len() { self.text } else { &[] };
        if room >= edns::EXTENDED {
            edns::put(CODE, &[&(self.reason as u16).to_be_bytes(), text], message);
        }
    }
}
