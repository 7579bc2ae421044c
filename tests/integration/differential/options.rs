//! Options of OPT records, and what servers say of themselves: told as Knot or NSD tell it, or listed with the reason. Servers
//! with one secret take each other's cookies.

use super::client::Client;
use super::message::Transport;
use super::peers::{Kind, Peer};

/// Of cookies, shared by all.
pub(crate) const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

/// Where neither peer says the same.
const OWN: &[(&str, &str)] = &[
    ("keepalive over TCP", "peers of these versions do not answer it; the idle time (RFC 7828 3.3.2)"),
    ("keepalive with a timeout over TCP", "as above; a client must not send one, FORMERR (RFC 7828 3.2.1)"),
    ("an opcode that is not implemented", "peers give no reason; extended error 21 (RFC 8914 4.22)"),
    ("no question, a bad cookie", "NSD says NOERROR and Knot FORMERR; BADCOOKIE (RFC 7873 5.4)"),
    ("two cookies, the second malformed", "peers say FORMERR; all but the first are ignored (RFC 7873 5.2)"),
];

/// What our configuration has beside that of every test.
pub(super) fn configuration() -> String {
    "[edns]\ncookie_secrets = \"../cookie.keys\"\nnsid = \"ns1\"\n\
     [identity]\nversion = \"concierge\"\nhostname = \"host1\"\nid = \"host1\"\n"
        .into()
}

/// What is compared: rcode with its upper bits, flags, answer count, options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reaction {
    pub(crate) rcode: u16,
    pub(crate) flags: u8,
    pub(crate) answers: u8,
    /// `None` without an OPT record.
    pub(crate) options: Option<Vec<(u16, Vec<u8>)>>,
}

impl Reaction {
    pub(crate) fn of(response: &[u8]) -> Self {
        let number = |at: usize| usize::from(u16::from_be_bytes([response[at], response[at + 1]]));
        let past_name = |mut at: usize| loop {
            match response[at] {
                0 => return at + 1,
                192.. => return at + 2,
                label => at += 1 + usize::from(label),
            }
        };
        let mut at = 12;
        (0..number(4)).for_each(|_| at = past_name(at) + 4);
        let (mut options, mut upper) = (None, 0);
        for _ in 0..number(6) + number(8) + number(10) {
            let fixed = past_name(at);
            let end = fixed + 10 + number(fixed + 8);
            if number(fixed) == 41 {
                upper = u16::from(response[fixed + 4]);
                let (mut read, mut option) = (Vec::new(), fixed + 10);
                while option < end {
                    let next = option + 4 + number(option + 2);
                    read.push((u16::try_from(number(option)).unwrap(), response[option + 4..next].to_vec()));
                    option = next;
                }
                read.sort();
                options = Some(read);
            }
            at = end;
        }
        Self { rcode: upper << 4 | u16::from(response[3] & 0x0f), flags: response[2], answers: response[7], options }
    }

    /// The data of an option.
    pub(crate) fn option(&self, wanted: u16) -> Option<&[u8]> {
        let options = self.options.as_deref().unwrap_or_default();
        options.iter().find(|(code, _)| *code == wanted).map(|(_, data)| &**data)
    }

    /// Servers that are asked in two seconds make different cookies.
    fn without_cookie(mut self) -> Self {
        self.options.iter_mut().flatten().filter(|(code, _)| *code == COOKIE).for_each(|(_, data)| data.truncate(8));
        self
    }
}

pub(crate) const NSID: u16 = 3;
const SUBNET: u16 = 8;
pub(crate) const COOKIE: u16 = 10;
pub(crate) const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;

const WWW: &[u8] = b"\x03www\x07example\x04test\0";
const APEX: &[u8] = b"\x07example\x04test\0";
const NOBODYS: &[u8] = b"\x03org\0";
pub(crate) const CLIENT_COOKIE: [u8; 8] = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];

/// A query of class IN, with its OPT record; without a name it has no question.
pub(crate) fn query(name: &[u8], rtype: u16, version: u8, options: &[u8]) -> Vec<u8> {
    let length = u16::try_from(options.len()).unwrap().to_be_bytes();
    let questions = u8::from(!name.is_empty());
    let header = [0x5a, 0xa5, 1, 0, 0, questions, 0, 0, 0, 0, 0, 1];
    let question = if name.is_empty() { Vec::new() } else { [name, &rtype.to_be_bytes(), &[0, 1]].concat() };
    [&header[..], &question, &[0, 0, 41, 4, 208, 0, version, 0, 0], &length, options].concat()
}

/// A query of class CH, without OPT.
pub(crate) fn chaos(name: &[u8], rtype: u16) -> Vec<u8> {
    [&[0x5a, 0xa5, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name, &rtype.to_be_bytes(), &[0, 3]].concat()
}

pub(crate) fn option(code: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &u16::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
}

fn with(code: u16, data: &[u8]) -> Vec<u8> {
    query(WWW, 1, 0, &option(code, data))
}

fn cases() -> Vec<(String, Transport, Vec<u8>)> {
    let (udp, tcp) = (Transport::Udp, Transport::Tcp);
    let mut opcode = query(APEX, 6, 0, b"");
    opcode[2] |= 2 << 3;
    let bad = [&CLIENT_COOKIE[..], &[0xff; 16]].concat();
    let mut cases = vec![
        ("NSID", udp, with(NSID, b"")),
        ("NSID over TCP", tcp, with(NSID, b"")),
        ("NSID with something in it", udp, with(NSID, b"xx")),
        ("NSID of a name that is refused", udp, query(NOBODYS, 1, 0, &option(NSID, b""))),
        ("keepalive over UDP", udp, with(KEEPALIVE, b"")),
        ("keepalive with a timeout over UDP", udp, with(KEEPALIVE, &[0, 100])),
        ("keepalive over TCP", tcp, with(KEEPALIVE, b"")),
        ("keepalive with a timeout over TCP", tcp, with(KEEPALIVE, &[0, 100])),
        ("padding over UDP", udp, with(PADDING, &[0; 20])),
        ("padding over TCP", tcp, with(PADDING, &[0; 20])),
        ("unknown options", udp, query(WWW, 1, 0, &[option(65_001, b"ab"), option(20, b"")].concat())),
        ("a client subnet of nobody who is trusted", udp, with(SUBNET, &[0, 1, 24, 0, 10, 1, 2])),
        ("a name of no zone", udp, query(NOBODYS, 1, 0, b"")),
        ("a transfer", tcp, query(APEX, 252, 0, b"")),
        ("an opcode that is not implemented", udp, opcode),
        ("version 1 with NSID", udp, query(WWW, 1, 1, &option(NSID, b""))),
        ("version 1 with a cookie", udp, query(WWW, 1, 1, &option(COOKIE, &CLIENT_COOKIE))),
        ("a client cookie over TCP", tcp, with(COOKIE, &CLIENT_COOKIE)),
        ("a client cookie to a name of no zone", udp, query(NOBODYS, 1, 0, &option(COOKIE, &CLIENT_COOKIE))),
        ("no question, a client cookie", udp, query(b"", 0, 0, &option(COOKIE, &CLIENT_COOKIE))),
        ("no question, a bad cookie", udp, query(b"", 0, 0, &option(COOKIE, &bad))),
        ("version.bind", udp, chaos(b"\x07version\x04bind\0", 16)),
        ("version.server", udp, chaos(b"\x07version\x06server\0", 16)),
        ("hostname.bind", udp, chaos(b"\x08hostname\x04bind\0", 16)),
        ("hostname.bind ANY", udp, chaos(b"\x08hostname\x04bind\0", 255)),
        ("id.server", udp, chaos(b"\x02id\x06server\0", 16)),
        ("id.server in upper case", udp, chaos(b"\x02ID\x06SERVER\0", 16)),
        ("id.server A", udp, chaos(b"\x02id\x06server\0", 1)),
        ("authors.bind", udp, chaos(b"\x07authors\x04bind\0", 16)),
    ]
    .into_iter()
    .map(|(title, transport, query)| (title.to_owned(), transport, query))
    .collect::<Vec<_>>();
    let two = [option(COOKIE, &CLIENT_COOKIE), option(COOKIE, &[1])].concat();
    cases.push(("two cookies, the second malformed".into(), udp, query(WWW, 1, 0, &two)));
    for length in [0, 1, 7, 8, 9, 15, 16, 17, 24, 32, 40, 41] {
        let cookie = [&CLIENT_COOKIE[..], &[0xff; 40]].concat();
        cases.push((format!("a cookie of {length} octets"), udp, with(COOKIE, &cookie[..length])));
    }
    cases
}

pub(super) fn compare(us: &mut Client, knot: &mut Peer, nsd: &mut Peer) {
    assert_eq!([knot.kind, nsd.kind], [Kind::Knot, Kind::Nsd]);
    let mut own = Vec::new();
    let mut differences = Vec::new();
    for (title, transport, query) in cases() {
        let told = |client: &mut Client| Reaction::of(&client.ask(&query, transport)).without_cookie();
        let ours = told(us);
        let theirs = [told(&mut knot.client), told(&mut nsd.client)];
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

    // Whoever made it, it is valid everywhere, and young: a server that takes it answers with the same.
    let cookie_of = |client: &mut Client, sent: &[u8]| {
        let told = Reaction::of(&client.ask(&with(COOKIE, sent), Transport::Udp));
        (told.rcode, told.option(COOKIE).unwrap().to_vec())
    };
    let (_, made_by_us) = cookie_of(us, &CLIENT_COOKIE);
    for peer in [knot, nsd] {
        let (_, theirs) = cookie_of(&mut peer.client, &CLIENT_COOKIE);
        assert_eq!(cookie_of(us, &theirs), (0, theirs.clone()), "that of {}", peer.kind.name());
        // Some renew a cookie at every query: then what is made has our form and is taken here.
        let (rcode, given) = cookie_of(&mut peer.client, &made_by_us);
        assert_eq!(rcode, 0, "{} takes ours", peer.kind.name());
        assert_eq!(cookie_of(us, &given), (0, given.clone()));
    }
}
