//! What the server says of itself: the TXT records of class CHAOS that monitoring asks for (RFC 4892), where configured.

use crate::dns::Rtype;
use crate::zone::rrset::QUESTION;

/// Class CHAOS (RFC 1035 3.2.4).
pub(super) const CHAOS: u16 = 3;

/// What the server says of itself; what is empty is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// At `version.bind.` and `version.server.`: at most 255 octets.
    pub version: Box<[u8]>,
    /// At `hostname.bind.`: at most 255 octets.
    pub hostname: Box<[u8]>,
    /// At `id.server.` (RFC 4892): at most 255 octets.
    pub id: Box<[u8]>,
}

impl Identity {
    /// What is said at a name in lower case to a question of this type.
    pub(super) fn at(&self, name: &[u8], rtype: Rtype) -> Option<&[u8]> {
        let said = match name {
            b"\x07version\x04bind\0" | b"\x07version\x06server\0" => &self.version,
            b"\x08hostname\x04bind\0" => &self.hostname,
            b"\x02id\x06server\0" => &self.id,
            _ => return None,
        };
        Some(&**said).filter(|said| !said.is_empty() && matches!(rtype, Rtype::TXT | Rtype::ANY))
    }
}

/// Octets of the record: owner, type, class, TTL, RDLENGTH, and the length of the text, before it.
pub(super) fn octets(text: &[u8]) -> usize {
    2 + 2 + 2 + 4 + 2 + 1 + text.len()
}

/// Appends the record behind the question: TTL 0, for nobody is to keep it, and one character-string.
pub(super) fn append(text: &[u8], message: &mut Vec<u8>) {
    let length = text.len() as u8;
    message.extend_from_slice(&QUESTION.to_be_bytes());
    message.extend_from_slice(&Rtype::TXT.0.to_be_bytes());
    message.extend_from_slice(&CHAOS.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&(u16::from(length) + 1).to_be_bytes());
    message.push(length);
    message.extend_from_slice(text);
}
