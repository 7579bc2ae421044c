//! Messages that are no ordinary query: what is said to them is what Knot or NSD says, or is listed with the reason.

use concierge::dns::Rtype;

use super::client::Client;
use super::peers::{Kind, Peer};

/// Where neither peer says the same.
const OWN: &[(&str, &str)] = &[
    (
        "two questions",
        "Knot is silent, NSD says FORMERR without RD; FORMERR, and RD is copied (RFC 9619 4, RFC 1035 4.1.1)",
    ),
    ("class ANY", "peers answer from class IN; no answer to it can be authoritative (RFC 1035 6.2), so it is refused"),
    ("OPT with a broken option", "peers leave out the OPT record that this FORMERR must have (RFC 6891 7)"),
    ("two OPT", "as above: the FORMERR of RFC 6891 6.1.1 is about the OPT record"),
    ("AXFR", "peers say NOTIMP over UDP; transfers are refused on every transport (RFC 5936 5)"),
    ("notify", "peers have secondaries' code and say NOTAUTH or NXDOMAIN; NOTIFY is not implemented (RFC 8906 3.1.4)"),
];

/// What is compared of a response: rcode, flags, counts behind the question, whether there is an OPT record.
///
/// Whether the question is echoed in an error is left to each server.
#[derive(Debug, PartialEq, Eq)]
struct Reaction {
    flags: [u8; 2],
    counts: [u8; 6],
}

impl Reaction {
    fn of(response: Option<Vec<u8>>) -> Option<Self> {
        let response = response?;
        Some(Self { flags: *response[2..].first_chunk()?, counts: *response[6..].first_chunk()? })
    }
}

pub(super) fn compare(us: &mut Client, knot: &mut Peer, nsd: &mut Peer) {
    assert_eq!([knot.kind, nsd.kind], [Kind::Knot, Kind::Nsd]);
    let mut own = Vec::new();
    let mut differences = Vec::new();
    for (title, message) in messages() {
        let ours = Reaction::of(us.ask_once(&message));
        let theirs = [&mut *knot, &mut *nsd].map(|peer| Reaction::of(peer.client.ask_once(&message)));
        if theirs.contains(&ours) {
            continue;
        }
        match OWN.iter().find(|(known, _)| *known == title) {
            Some((known, _)) => own.push(*known),
            None => differences.push(format!("{title}\n  concierge: {ours:?}\n  knot, nsd: {theirs:?}")),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let listed: Vec<&str> = OWN.iter().map(|(title, _)| *title).collect();
    assert_eq!(own, listed, "the list is of what differs");
}

/// A message, field by field.
struct Odd {
    flags: u16,
    counts: [u16; 4],
    question: Vec<u8>,
    rest: Vec<u8>,
}

const NAME: &[u8] = b"\x03www\x07example\x04test\0";
const APEX: &[u8] = b"\x07example\x04test\0";

fn question(name: &[u8], rtype: u16, class: u16) -> Odd {
    let question = [name, &rtype.to_be_bytes(), &class.to_be_bytes()].concat();
    Odd { flags: 0x0100, counts: [1, 0, 0, 0], question, rest: Vec::new() }
}

impl Odd {
    fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    fn counts(mut self, counts: [u16; 4]) -> Self {
        self.counts = counts;
        self
    }

    fn with(mut self, section: usize, record: &[u8]) -> Self {
        self.counts[section] += 1;
        self.rest.extend(record);
        self
    }

    fn octets(&self) -> Vec<u8> {
        let counts: Vec<u8> = self.counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        [&[0x5a, 0xa5], &self.flags.to_be_bytes()[..], &counts, &self.question, &self.rest].concat()
    }
}

fn messages() -> Vec<(String, Vec<u8>)> {
    let www = || question(NAME, 1, 1);
    let opt = |version: u8, rdata: &[u8]| {
        let length = (rdata.len() as u16).to_be_bytes();
        [&[0, 0, 41, 4, 208, 0, version, 0, 0], &length[..], rdata].concat()
    };
    let address: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\x01\x02\x03\x04";
    let nothing = Odd { flags: 0x0100, counts: [0; 4], question: Vec::new(), rest: Vec::new() };
    let mut messages = vec![
        ("no question", nothing),
        ("two questions", www().counts([2, 0, 0, 0]).with(3, &www().question).counts([2, 0, 0, 0])),
        ("class CH", question(NAME, 1, 3)),
        ("class HS", question(NAME, 1, 4)),
        ("class NONE", question(NAME, 1, 254)),
        ("class ANY", question(NAME, 1, 255)),
        ("class 4096", question(NAME, 1, 4096)),
        ("no zone", question(b"\x03org\0", 1, 1)),
        ("root", question(b"\0", 2, 1)),
        ("octets behind the message", www().with(3, b"abc").counts([1, 0, 0, 0])),
        ("OPT", www().with(3, &opt(0, b""))),
        ("OPT with options", www().with(3, &opt(0, b"\xff\xf0\0\x02ab\0\x07\0\0"))),
        ("OPT of version 1", www().with(3, &opt(1, b""))),
        ("OPT of version 1, no zone", question(b"\x03org\0", 1, 1).with(3, &opt(1, b""))),
        ("OPT with a broken option", www().with(3, &opt(0, b"\0\x0a\0\x08ab"))),
        ("two OPT", www().with(3, &opt(0, b"")).with(3, &opt(0, b""))),
        ("OPT not at the root", www().with(3, &[b"\x01a", &opt(0, b"")[..]].concat())),
        ("OPT in the answer section", www().with(1, &opt(0, b""))),
        ("OPT in the authority section", www().with(2, &opt(0, b""))),
        ("a record in the answer section", www().with(1, address)),
        ("a record in the authority section", www().with(2, address)),
        ("a record in the additional section", www().with(3, address)),
        ("a record that is missing", www().counts([1, 0, 0, 1])),
        ("a pointer in the question", question(b"\xc0\x0c", 1, 1)),
        ("a label of 64", question(&[&[64][..], &[b'a'; 64], &[0]].concat(), 1, 1)),
        ("half a question", Odd { question: NAME[..6].to_vec(), ..www() }),
        ("a question without class", Odd { question: [NAME, &[0, 1]].concat(), ..www() }),
        ("AXFR", question(APEX, 252, 1)),
        ("IXFR", question(APEX, 251, 1)),
        ("QR", www().flags(0x8100)),
        ("AA, TC, RA, Z, AD, CD and an rcode", www().flags(0x07f3)),
    ]
    .into_iter()
    .map(|(title, odd)| (title.to_owned(), odd))
    .collect::<Vec<_>>();
    for rtype in [0, 10, 41, 128, 200, 249, 250, 253, 254, 65535] {
        messages.push((format!("type {}", Rtype(rtype)), question(NAME, rtype, 1)));
    }
    for opcode in (1..16).filter(|opcode| *opcode != 4) {
        messages.push((format!("opcode {opcode}"), question(APEX, 6, 1).flags(opcode << 11)));
    }
    messages.push(("notify".into(), question(APEX, 6, 1).flags(4 << 11)));
    let mut messages: Vec<(String, Vec<u8>)> = messages.into_iter().map(|(title, odd)| (title, odd.octets())).collect();
    messages.push(("half a header".into(), www().octets()[..8].to_vec()));
    messages
}
