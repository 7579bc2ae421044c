//! DNS messages: queries to send, and what is wrong with an answer.

use std::fmt;

/// Octets of a message header (RFC 1035 4.1.1).
pub(crate) const HEADER: usize = 12;

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_SOA: u16 = 6;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;
const NXDOMAIN: u8 = 3;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// An IPv4 address.
    A,
    /// The start of authority.
    Soa,
}

/// What stands in the additional section of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Additional {
    /// Nothing.
    Nothing,
    /// An OPT record that offers 1232 octets and carries a client COOKIE (RFC 6891, RFC 7873).
    Cookie([u8; 8]),
}

/// The answer that a query has to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// One A record.
    Address {
        /// Its address.
        address: [u8; 4],
        /// Its TTL in seconds.
        ttl: u32,
    },
    /// One A record with one of two addresses.
    Either {
        /// The addresses.
        addresses: [[u8; 4]; 2],
        /// Its TTL in seconds.
        ttl: u32,
    },
    /// One CNAME record, and nothing of its target.
    Cname {
        /// Its target.
        target: &'static [&'static str],
        /// Its TTL in seconds.
        ttl: u32,
    },
    /// NXDOMAIN with a SOA record in the authority section.
    Nxdomain,
    /// One SOA record with this serial.
    Soa(u32),
    /// The query's own octets, as the echo sends them back.
    Same,
}

/// Appends a name in wire form.
pub(crate) fn push_name(message: &mut Vec<u8>, labels: &[&str]) {
    for label in labels {
        message.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
}

/// A query with id 0 and no RD, as a resolver sends it, and the octets of its question.
pub(crate) fn query(labels: &[&str], ask: Ask, additional: Additional) -> (Vec<u8>, usize) {
    let arcount = u8::from(additional != Additional::Nothing);
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, arcount];
    push_name(&mut message, labels);
    let rtype = match ask {
        Ask::A => TYPE_A,
        Ask::Soa => TYPE_SOA,
    };
    message.extend_from_slice(&rtype.to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    let question = message.len() - HEADER;
    if let Additional::Cookie(cookie) = additional {
        message.push(0);
        message.extend_from_slice(&TYPE_OPT.to_be_bytes());
        message.extend_from_slice(&1232_u16.to_be_bytes());
        // Extended RCODE, version, flags; RDLENGTH; option COOKIE with 8 octets.
        message.extend_from_slice(&[0, 0, 0, 0, 0, 12, 0, 10, 0, 8]);
        message.extend_from_slice(&cookie);
    }
    (message, question)
}

/// The first thing that is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It ends too early, or a name in it cannot be read.
    Malformed,
    /// The id is not the query's.
    Id,
    /// QR or AA is missing, TC is set, or the opcode is another.
    Flags,
    /// Another response code than expected.
    Rcode(u8),
    /// The question is not the query's, octet by octet.
    Question,
    /// Another number of records than expected.
    Counts,
    /// The record has another owner, type, class or TTL.
    Record,
    /// The record has other RDATA.
    Data,
    /// Not the octets that were sent, from the echo.
    Echo,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("cannot be read"),
            Self::Id => f.write_str("another id"),
            Self::Flags => f.write_str("QR, AA, TC or opcode"),
            Self::Rcode(rcode) => write!(f, "response code {rcode}"),
            Self::Question => f.write_str("another question"),
            Self::Counts => f.write_str("another number of records"),
            Self::Record => f.write_str("another owner, type, class or TTL"),
            Self::Data => f.write_str("other RDATA"),
            Self::Echo => f.write_str("not what was sent"),
        }
    }
}

/// Checks the answer to `query`, whose question has `question` octets.
pub(crate) fn check(query: &[u8], question: usize, expected: &Expected, answer: &[u8]) -> Result<(), Wrong> {
    if *expected == Expected::Same {
        return if answer == query { Ok(()) } else { Err(Wrong::Echo) };
    }
    let question_end = HEADER + question;
    let head = answer.get(..question_end).ok_or(Wrong::Malformed)?;
    if head[..2] != query[..2] {
        return Err(Wrong::Id);
    }
    // QR and AA set, TC clear, opcode QUERY; RD as in the query.
    if head[2] & 0xfe != 0x84 || (head[2] ^ query[2]) & 0x01 != 0 {
        return Err(Wrong::Flags);
    }
    let rcode = head[3] & 0x0f;
    let expected_rcode = if *expected == Expected::Nxdomain { NXDOMAIN } else { 0 };
    if rcode != expected_rcode {
        return Err(Wrong::Rcode(rcode));
    }
    if head[HEADER..] != query[HEADER..question_end] {
        return Err(Wrong::Question);
    }
    let count = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let answers = u16::from(*expected != Expected::Nxdomain);
    let opt = u16::from_be_bytes([query[10], query[11]]);
    if count(4) != 1 || count(6) != answers || count(10) < opt || (answers == 0 && count(8) != 1) {
        return Err(Wrong::Counts);
    }
    let record = Record::read(answer, question_end).ok_or(Wrong::Malformed)?;
    let data = &answer[record.data..record.end];
    match *expected {
        Expected::Address { address, ttl } => {
            expect_record(answer, &record, TYPE_A, Some(ttl))?;
            if data == address { Ok(()) } else { Err(Wrong::Data) }
        }
        Expected::Either { addresses, ttl } => {
            expect_record(answer, &record, TYPE_A, Some(ttl))?;
            if addresses.iter().any(|address| data == address) { Ok(()) } else { Err(Wrong::Data) }
        }
        Expected::Cname { target, ttl } => {
            expect_record(answer, &record, TYPE_CNAME, Some(ttl))?;
            let (name, end) = Name::read(answer, record.data).ok_or(Wrong::Malformed)?;
            if end == record.end && name.is(target) { Ok(()) } else { Err(Wrong::Data) }
        }
        Expected::Soa(serial) => {
            expect_record(answer, &record, TYPE_SOA, None)?;
            if soa_serial(answer, &record) == Some(serial) { Ok(()) } else { Err(Wrong::Data) }
        }
        // The record is that of the authority section.
        Expected::Nxdomain => {
            if record.rtype == TYPE_SOA {
                Ok(())
            } else {
                Err(Wrong::Record)
            }
        }
        Expected::Same => Ok(()),
    }
}

/// The serial of the SOA record that an answer begins with.
pub(crate) fn serial(answer: &[u8], question: usize) -> Option<u32> {
    let record = Record::read(answer, HEADER + question)?;
    if record.rtype != TYPE_SOA || answer[2] & 0x84 != 0x84 {
        return None;
    }
    soa_serial(answer, &record)
}

fn soa_serial(answer: &[u8], record: &Record) -> Option<u32> {
    let serial = record.end.checked_sub(20)?;
    (serial > record.data).then(|| u32_at(answer, serial))?
}

fn expect_record(answer: &[u8], record: &Record, rtype: u16, ttl: Option<u32>) -> Result<(), Wrong> {
    let is_owner = answer[record.start..].starts_with(&[0xc0, HEADER as u8]) || {
        let owner = Name::read(answer, record.start).ok_or(Wrong::Malformed)?.0;
        let asked = Name::read(answer, HEADER).ok_or(Wrong::Malformed)?.0;
        owner.wire().eq_ignore_ascii_case(asked.wire())
    };
    let is_ttl = ttl.is_none_or(|ttl| record.ttl == ttl);
    if is_owner && record.rtype == rtype && record.class == CLASS_IN && is_ttl { Ok(()) } else { Err(Wrong::Record) }
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(message: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(message.get(at..at + 4)?.try_into().ok()?))
}

/// Where a record stands.
struct Record {
    start: usize,
    rtype: u16,
    class: u16,
    ttl: u32,
    data: usize,
    end: usize,
}

impl Record {
    fn read(message: &[u8], start: usize) -> Option<Self> {
        // A pointer to the question's name needs no reading.
        let fixed = if message.get(start)? & 0xc0 == 0xc0 { start + 2 } else { Name::read(message, start)?.1 };
        let data = fixed + 10;
        let end = data + usize::from(u16_at(message, fixed + 8)?);
        let (rtype, class, ttl) = (u16_at(message, fixed)?, u16_at(message, fixed + 2)?, u32_at(message, fixed + 4)?);
        (end <= message.len()).then_some(Self { start, rtype, class, ttl, data, end })
    }
}

/// A name without compression.
struct Name {
    octets: [u8; 255],
    length: usize,
}

impl Name {
    /// Reads the name at `at`, and says where what follows it begins.
    fn read(message: &[u8], mut at: usize) -> Option<(Self, usize)> {
        let mut name = Self { octets: [0; 255], length: 0 };
        let mut end = None;
        loop {
            let length = usize::from(*message.get(at)?);
            if length & 0xc0 == 0xc0 {
                end.get_or_insert(at + 2);
                let target = usize::from(u16_at(message, at)? & 0x3fff);
                // Pointers go back only, so that reading ends.
                if target >= at {
                    return None;
                }
                at = target;
                continue;
            }
            let label = message.get(at..at + 1 + length)?;
            name.octets.get_mut(name.length..name.length + label.len())?.copy_from_slice(label);
            name.length += label.len();
            at += label.len();
            if length == 0 {
                return Some((name, end.unwrap_or(at)));
            }
        }
    }

    fn wire(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    fn is(&self, labels: &[&str]) -> bool {
        let mut rest = self.wire();
        for label in labels {
            let Some((length, tail)) = rest.split_first() else { return false };
            let length = usize::from(*length);
            if tail.len() < length || !tail[..length].eq_ignore_ascii_case(label.as_bytes()) {
                return false;
            }
            rest = &tail[length..];
        }
        rest == [0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &[&str] = &["d0000001", "bench", "example"];
    const TARGET: &[&str] = &["hub-weu", "devices", "example"];
    const EXPECTED: Expected = Expected::Address { address: [10, 0, 0, 1], ttl: 300 };

    /// The answer with one record of this owner, type, TTL and RDATA.
    fn answer(query: &[u8], question: usize, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
        let mut answer = query[..HEADER + question].to_vec();
        answer[2] = 0x84;
        answer[7] = 1;
        answer.extend_from_slice(owner);
        answer.extend_from_slice(&rtype.to_be_bytes());
        answer.extend_from_slice(&CLASS_IN.to_be_bytes());
        answer.extend_from_slice(&ttl.to_be_bytes());
        answer.extend_from_slice(&(data.len() as u16).to_be_bytes());
        answer.extend_from_slice(data);
        if query[11] == 1 {
            answer.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        }
        answer
    }

    fn good(additional: Additional) -> (Vec<u8>, usize, Vec<u8>) {
        let (mut query, question) = query(OWNER, Ask::A, additional);
        query[..2].copy_from_slice(&[0x12, 0x34]);
        let answer = answer(&query, question, &[0xc0, 12], TYPE_A, 300, &[10, 0, 0, 1]);
        (query, question, answer)
    }

    #[test]
    fn a_right_answer_is_right() {
        for additional in [Additional::Nothing, Additional::Cookie([7; 8])] {
            let (query, question, answer) = good(additional);
            assert_eq!(check(&query, question, &EXPECTED, &answer), Ok(()));
        }
    }

    #[test]
    fn the_owner_may_be_written_out_in_another_case() {
        let (query, question, _) = good(Additional::Nothing);
        let mut owner = Vec::new();
        push_name(&mut owner, &["D0000001", "BENCH", "example"]);
        let answer = answer(&query, question, &owner, TYPE_A, 300, &[10, 0, 0, 1]);
        assert_eq!(check(&query, question, &EXPECTED, &answer), Ok(()));
    }

    #[test]
    fn every_octet_that_matters_is_seen() {
        let (query, question, right) = good(Additional::Cookie([7; 8]));
        let wrong = |at: usize, octet: u8| {
            let mut answer = right.clone();
            answer[at] = octet;
            check(&query, question, &EXPECTED, &answer)
        };
        let record = HEADER + question;
        assert_eq!(wrong(1, 0), Err(Wrong::Id));
        assert_eq!(wrong(2, 0x80), Err(Wrong::Flags), "AA");
        assert_eq!(wrong(2, 0x04), Err(Wrong::Flags), "QR");
        assert_eq!(wrong(2, 0x86), Err(Wrong::Flags), "TC");
        assert_eq!(wrong(2, 0x85), Err(Wrong::Flags), "RD");
        assert_eq!(wrong(3, 2), Err(Wrong::Rcode(2)));
        assert_eq!(wrong(7, 2), Err(Wrong::Counts), "ANCOUNT");
        assert_eq!(wrong(11, 0), Err(Wrong::Counts), "no OPT");
        assert_eq!(wrong(13, b'D'), Err(Wrong::Question), "case");
        assert_eq!(wrong(record + 1, 21), Err(Wrong::Record), "owner: bench.example.");
        assert_eq!(wrong(record + 3, 28), Err(Wrong::Record), "type");
        assert_eq!(wrong(record + 5, 3), Err(Wrong::Record), "class");
        assert_eq!(wrong(record + 9, 1), Err(Wrong::Record), "TTL");
        assert_eq!(wrong(record + 15, 2), Err(Wrong::Data), "address");
        assert_eq!(check(&query, question, &EXPECTED, &right[..record + 10]), Err(Wrong::Malformed));
    }

    #[test]
    fn one_of_two_addresses_is_right_and_no_third() {
        let (query, question, right) = good(Additional::Nothing);
        let verdict =
            |one, other| check(&query, question, &Expected::Either { addresses: [one, other], ttl: 300 }, &right);
        assert_eq!(verdict([10, 0, 0, 1], [10, 0, 0, 2]), Ok(()));
        assert_eq!(verdict([10, 0, 0, 2], [10, 0, 0, 1]), Ok(()));
        assert_eq!(verdict([10, 0, 0, 2], [10, 0, 0, 3]), Err(Wrong::Data));
    }

    #[test]
    fn a_cname_is_compared_without_compression() {
        let (query, question) = query(OWNER, Ask::A, Additional::Nothing);
        let expected = Expected::Cname { target: TARGET, ttl: 30 };
        let verdict = |data: &[u8]| {
            let answer = answer(&query, question, &[0xc0, 12], TYPE_CNAME, 30, data);
            check(&query, question, &expected, &answer)
        };
        let mut whole = Vec::new();
        push_name(&mut whole, TARGET);
        assert_eq!(verdict(&whole), Ok(()));
        // The question's last label stands 8 octets before its end.
        let example = (HEADER + question - 4 - 9) as u8;
        let mut compressed = whole[..whole.len() - 9].to_vec();
        compressed.extend_from_slice(&[0xc0, example]);
        assert_eq!(verdict(&compressed), Ok(()));
        whole[1] = b'x';
        assert_eq!(verdict(&whole), Err(Wrong::Data));
    }

    #[test]
    fn nxdomain_needs_its_code_and_its_soa() {
        let (query, question) = query(OWNER, Ask::A, Additional::Nothing);
        let mut soa = vec![0, 0];
        soa.extend_from_slice(&[0; 20]);
        let mut answer = answer(&query, question, &[0xc0, 21], TYPE_SOA, 60, &soa);
        answer[7] = 0;
        answer[9] = 1;
        assert_eq!(check(&query, question, &Expected::Nxdomain, &answer), Err(Wrong::Rcode(0)));
        answer[3] = 3;
        assert_eq!(check(&query, question, &Expected::Nxdomain, &answer), Ok(()));
        assert_eq!(check(&query, question, &EXPECTED, &answer), Err(Wrong::Rcode(3)));
        answer[9] = 0;
        assert_eq!(check(&query, question, &Expected::Nxdomain, &answer), Err(Wrong::Counts));
    }

    #[test]
    fn a_serial_is_read() {
        let (query, question) = query(&["bench", "example"], Ask::Soa, Additional::Nothing);
        let mut soa = vec![0, 0];
        soa.extend_from_slice(&[0, 0, 0, 9]);
        soa.extend_from_slice(&[0; 16]);
        let answer = answer(&query, question, &[0xc0, 12], TYPE_SOA, 60, &soa);
        assert_eq!(serial(&answer, question), Some(9));
        assert_eq!(check(&query, question, &Expected::Soa(9), &answer), Ok(()));
        assert_eq!(check(&query, question, &Expected::Soa(8), &answer), Err(Wrong::Data));
    }

    #[test]
    fn a_pointer_that_goes_forward_ends_the_reading() {
        let (query, question) = query(OWNER, Ask::A, Additional::Nothing);
        let expected = Expected::Cname { target: TARGET, ttl: 30 };
        let answer = answer(&query, question, &[0xc0, 12], TYPE_CNAME, 30, &[0xc0, 0xff]);
        assert_eq!(check(&query, question, &expected, &answer), Err(Wrong::Malformed));
    }
}
