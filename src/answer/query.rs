//! A query's octets, read strictly: header, question, and the OPT record among whatever else follows.

use super::cursor::Cursor;
use super::edns::{Heed, Malformed, Opt};
use crate::dns::{Class, HEADER, Opcode, Rtype};

/// What was read of a message that deserves a response.
pub(super) struct Query<'a> {
    /// The whole message.
    octets: &'a [u8],
    pub(super) id: [u8; 2],
    pub(super) opcode: Opcode,
    /// Copied into the response (RFC 1035 4.1.1).
    pub(super) recursion_desired: bool,
    /// The question, where there is exactly one and it can be read.
    pub(super) question: Option<Question>,
    /// The OPT record, where there is one in its place; the first, should there be more.
    pub(super) opt: Option<Opt>,
    /// Whether the whole message was read and is what a message should be.
    pub(super) well_formed: bool,
    /// Whether it is not for the length of its COOKIE.
    pub(super) malformed_cookie: bool,
}

/// The one question of a query.
pub(super) struct Question {
    /// Octets of name, type and class.
    length: usize,
    pub(super) rtype: Rtype,
    pub(super) class: Class,
}

impl<'a> Query<'a> {
    /// Reads a message, and puts the name of its question into `name`; `None` for one that must not be answered.
    #[inline]
    ///
    /// `heed`: the options that are more than well-formed or not.
    pub(super) fn read(octets: &'a [u8], name: &mut Cursor, heed: Heed) -> Option<Self> {
        let header: &[u8; HEADER] = octets.first_chunk()?;
        // QR: a response. Answering it would let two servers talk for ever.
        if header[2] & 0x80 != 0 {
            return None;
        }
        let counts = [4, 6, 8, 10].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
        let mut query = Self {
            octets,
            id: [header[0], header[1]],
            opcode: Opcode(header[2] >> 3 & 0x0f),
            recursion_desired: header[2] & 0x01 != 0,
            question: None,
            opt: None,
            well_formed: false,
            malformed_cookie: false,
        };
        // RFC 9619 4: more than one question is malformed. None is a question only with a COOKIE (RFC 7873 5.4), but an OPT
        // record there is answered with one all the same (RFC 6891 6.1.1).
        let rest = match counts[0] {
            0 => octets.get(HEADER..),
            1 => {
                query.question = Question::read(&octets[HEADER..], name);
                query.question.as_ref().and_then(|question| octets.get(HEADER + question.length..))
            }
            _ => None,
        };
        if let Some(rest) = rest {
            let read = query.read_records(rest, [counts[1], counts[2], counts[3]], heed);
            query.well_formed = read == Ok(());
            query.malformed_cookie = read == Err(Malformed::Cookie);
        }
        Some(query)
    }

    /// Whether it asks for nothing but a server cookie (RFC 7873 5.4).
    pub(super) fn is_for_a_cookie(&self) -> bool {
        let cookie = self.opt.and_then(|opt| opt.options.cookie);
        self.octets[4..6] == [0, 0] && cookie.is_some() && self.well_formed
    }

    /// Passes over the sections behind the question: whether they are what the header says and nothing else, and the OPT
    /// record. Records of other types are of no consequence, TSIG (RFC 8945) included, whose sender will miss the signature.
    fn read_records(&mut self, octets: &[u8], counts: [u16; 3], heed: Heed) -> Result<(), Malformed> {
        let [answers, authorities, additionals] = counts;
        let mut rest = octets;
        let before = usize::from(answers) + usize::from(authorities);
        for position in 0..before + usize::from(additionals) {
            let (record, next) = Record::read(rest).ok_or(Malformed::Other)?;
            rest = next;
            if record.rtype != Rtype::OPT {
                continue;
            }
            // RFC 6891 6.1.1: at most one, in the additional section, owned by the root.
            if self.opt.is_some() || position < before || !record.owned_by_root {
                return Err(Malformed::Other);
            }
            let (read, options) = Opt::read(record.class.0, record.ttl, record.rdata, heed);
            // RFC 6891 7: the FORMERR for the record has one, which tells the client that EDNS is spoken here.
            self.opt = Some(read);
            options?;
        }
        if rest.is_empty() { Ok(()) } else { Err(Malformed::Other) }
    }

    /// Header and question as they came: what a response begins with.
    #[inline(always)]
    pub(super) fn head(&self) -> &'a [u8] {
        &self.octets[..HEADER + self.question.as_ref().map_or(0, |question| question.length)]
    }
}

impl Question {
    #[inline]
    fn read(octets: &[u8], name: &mut Cursor) -> Option<Self> {
        if !name.set(octets) {
            return None;
        }
        let length = name.len() + 4;
        let [type_high, type_low, class_high, class_low] = *octets.get(name.len()..length)?.first_chunk()?;
        Some(Self {
            length,
            rtype: Rtype(u16::from_be_bytes([type_high, type_low])),
            class: Class(u16::from_be_bytes([class_high, class_low])),
        })
    }
}

struct Record<'a> {
    owned_by_root: bool,
    rtype: Rtype,
    class: Class,
    ttl: u32,
    rdata: &'a [u8],
}

impl<'a> Record<'a> {
    #[inline]
    fn read(octets: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let owner = name_length(octets)?;
        let fixed: [u8; 10] = *octets.get(owner..)?.first_chunk()?;
        let rdata_at = owner + 10;
        let end = rdata_at + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let record = Self {
            owned_by_root: octets[0] == 0,
            rtype: Rtype(u16::from_be_bytes([fixed[0], fixed[1]])),
            class: Class(u16::from_be_bytes([fixed[2], fixed[3]])),
            ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            rdata: octets.get(rdata_at..end)?,
        };
        Some((record, &octets[end..]))
    }
}

/// Octets of the name at the start of `octets`, which may end in a compression pointer.
fn name_length(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *octets.get(at)? {
            0 => return Some(at + 1),
            label @ 1..=63 => at += 1 + usize::from(label),
            0xc0..=0xff => return Some(at + 2),
            64..=0xbf => return None,
        }
        if at > 254 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::respond::Transport;
    use super::super::testing::{Ask, options_of, send, show, snapshot, zone};

    /// What a query gets, and the record count of the additional section, where nothing but OPT can be.
    #[track_caller]
    fn check(query: &Ask, expected: &str, opts: u8) {
        let served = snapshot(&[zone("example.", "www A 192.0.2.1")], vec![]);
        let response = send(&served, &query.octets(), Transport::Udp);
        assert_eq!((show(&response).as_str(), response[11]), (expected, opts), "{query:?}");
        assert_eq!(options_of(&response).is_some(), opts == 1, "{query:?}");
        let opt = [0, 0, 41, 4, 208];
        assert_eq!(response.windows(5).any(|octets| octets == opt), opts == 1, "{query:?}");
    }

    fn www() -> Ask {
        Ask::new("www.example. A")
    }

    #[test]
    fn rfc6891_section_7_a_format_error_of_opt_comes_with_opt() {
        check(&www().opt(1232, 0, false, &[0, 3, 0]), "FORMERR", 1);
        check(&www().opt(1232, 0, false, &[0, 3, 0, 9, 1]), "FORMERR", 1);
        check(&www().edns().edns(), "FORMERR", 1);
        let mut trailing = www().edns();
        trailing.rest.push(0);
        check(&trailing, "FORMERR", 1);
        let mut elsewhere = www().edns();
        elsewhere.counts = [1, 0, 1, 0];
        check(&elsewhere, "FORMERR", 0);
    }

    #[test]
    fn rfc6891_section_6_1_1_opt_without_a_question_is_answered_with_opt() {
        let mut query = www().edns();
        query.question.clear();
        query.counts[0] = 0;
        check(&query, "FORMERR", 1);
        query.counts[3] = 0;
        query.rest.clear();
        check(&query, "FORMERR", 0);
    }

    /// Whatever the opcode is, and whatever options may look like in a version that is not known.
    #[test]
    fn rfc6891_section_6_1_3_an_unknown_version_comes_first() {
        check(&www().opt(1232, 1, false, &[0, 3, 0]), "BADVERS", 1);
        check(&www().opt(1232, 255, false, &[]).edns(), "FORMERR", 1);
        let mut query = www().opt(1232, 1, false, &[]);
        for opcode in [2, 4, 5] {
            query.flags[0] = opcode << 3;
            check(&query, "BADVERS", 1);
        }
        query.rest[6] = 0;
        check(&query, "NOTIMP", 1);
    }
}
