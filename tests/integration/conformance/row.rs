//! A query with what is expected of it, asked everywhere.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use concierge::dns::{Name, Rtype};

use super::servers::Servers;
use super::shown::{expected, shown};
use crate::differential::options::option;
use crate::differential::peers::Kind;
use crate::process::{framed, read_message};

/// Longest time until a server answers.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long an answer may be behind that to a later query.
const LATE: Duration = Duration::from_millis(300);

pub const SOA: &str = "example.test. 120 SOA ns1.example.test. host.example.test. 2026112301 7200 900 1209600 120";

/// The question of the SOA record of a zone that all serve, with an identifier of its own.
const PROBE: &[u8] = b"\xff\xff\0\0\0\x01\0\0\0\0\0\0\x07example\x04test\0\0\x06\0\x01";

/// A query, field by field.
#[derive(Clone, Debug)]
pub struct Row {
    title: String,
    flags: u16,
    counts: [u16; 4],
    question: Vec<u8>,
    rest: Vec<u8>,
    /// In place of all that.
    raw: Option<Vec<u8>>,
    tcp: bool,
    from: Option<IpAddr>,
    others: Vec<(Kind, &'static str)>,
    peers: bool,
}

/// `name type`, class IN, no flag, no OPT, over UDP.
pub fn ask(question: &str) -> Row {
    let (owner, rtype) = question.split_once(' ').unwrap();
    let rtype = Rtype::parse(rtype).unwrap().0.to_be_bytes();
    let name = Name::parse(owner, None).unwrap();
    Row {
        title: question.into(),
        flags: 0,
        counts: [1, 0, 0, 0],
        question: [name.wire(), &rtype, &[0, 1]].concat(),
        rest: Vec::new(),
        raw: None,
        tcp: false,
        from: None,
        others: Vec::new(),
        peers: true,
    }
}

impl Row {
    /// Bits of the second 16 of the header.
    pub fn flags(self, flags: u16) -> Self {
        Self { flags, ..self }
    }

    pub fn opcode(self, opcode: u16) -> Self {
        Self { flags: self.flags | opcode << 11, ..self }
    }

    /// The class of the question.
    pub fn class(mut self, class: u16) -> Self {
        let at = self.question.len() - 2;
        self.question[at..].copy_from_slice(&class.to_be_bytes());
        self
    }

    /// Other counts than there is of.
    pub fn counts(self, counts: [u16; 4]) -> Self {
        Self { counts, ..self }
    }

    /// Another question section, octet by octet.
    pub fn question(self, question: &[u8]) -> Self {
        Self { question: question.into(), ..self }
    }

    /// Octets behind the question, and the section that they are a record of.
    pub fn record(mut self, section: usize, octets: &[u8]) -> Self {
        self.counts[section] += 1;
        self.rest.extend_from_slice(octets);
        self
    }

    /// Octets that no count tells of.
    pub fn behind(mut self, octets: &[u8]) -> Self {
        self.rest.extend_from_slice(octets);
        self
    }

    /// An OPT record with this size, version and DO.
    pub fn opt(self, size: u16, version: u8, dnssec_ok: bool, options: &[u8]) -> Self {
        let length = u16::try_from(options.len()).unwrap().to_be_bytes();
        let flags = if dnssec_ok { 0x80 } else { 0 };
        self.record(3, &[&[0, 0, 41][..], &size.to_be_bytes(), &[0, version, flags, 0], &length, options].concat())
    }

    /// An OPT record of the usual size.
    pub fn edns(self) -> Self {
        self.opt(1232, 0, false, b"")
    }

    /// The same with one option.
    pub fn with(self, code: u16, data: &[u8]) -> Self {
        self.opt(1232, 0, false, &option(code, data))
    }

    /// These octets in place of a message.
    pub fn raw(self, octets: &[u8]) -> Self {
        Self { raw: Some(octets.into()), ..self }
    }

    pub fn tcp(self) -> Self {
        Self { tcp: true, ..self }
    }

    /// From the client whose word on client subnets is taken.
    pub fn trusted(self) -> Self {
        Self { from: Some(Servers::get().trusted.into()), ..self }
    }

    /// A peer that answers otherwise, and why.
    pub fn but(mut self, peer: Kind, why: &'static str) -> Self {
        self.others.push((peer, why));
        self
    }

    /// Peers are not asked: what is expected is ours to choose, or they cannot have it. `_why` is for whoever reads it.
    pub fn ours(self, _why: &'static str) -> Self {
        Self { peers: false, ..self }
    }

    pub fn octets(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let counts: Vec<u8> = self.counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        [&[0x5a, 0xa5], &self.flags.to_be_bytes()[..], &counts, &self.question, &self.rest].concat()
    }

    /// The response of this server, for what is expected of it beside its records.
    pub fn told(&self) -> Vec<u8> {
        self.told_by(Servers::get().us)
    }

    /// The response of one server.
    pub fn told_by(&self, server: SocketAddr) -> Vec<u8> {
        self.answer_of(server).unwrap_or_else(|| panic!("{} is not answered by {server}", self.title))
    }

    /// Asks everywhere, and holds every answer against what is expected. Whether a peer repeats the question where it does
    /// not answer it is left to it.
    #[track_caller]
    pub fn is(&self, text: &str) {
        let expected = expected(&text.replace("SOA!", SOA));
        let servers = Servers::get();
        let said = |server| shown(self.answer_of(server).as_deref());
        let mut wrong = Vec::new();
        let ours = said(servers.us);
        if ours != expected {
            wrong.push(format!("concierge: {ours}"));
        }
        let alike = |said: &str| said.replace(" no-question", "") == expected.replace(" no-question", "");
        for (kind, server) in servers.peers.into_iter().filter(|_| self.peers) {
            let (said, name) = (said(server), kind.name());
            match self.others.iter().find(|(known, _)| *known == kind) {
                None if !alike(&said) => wrong.push(format!("{name}: {said}")),
                Some((_, why)) if alike(&said) => wrong.push(format!("{name} answers so, of which is said: {why}")),
                _ => {}
            }
        }
        assert!(wrong.is_empty(), "{}: {expected}\n  {}", self.title, wrong.join("\n  "));
    }

    fn answer_of(&self, server: SocketAddr) -> Option<Vec<u8>> {
        let query = self.octets();
        if self.tcp {
            let mut stream = TcpStream::connect(server).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.write_all(&framed(&query)).unwrap();
            return read_message(&mut stream).ok();
        }
        let from = self.from.unwrap_or_else(|| [127, 0, 0, 1].into());
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.send(&query).unwrap();
        // What is answered later is answered: then nothing was said to what came before.
        socket.send(PROBE).unwrap();
        let mut response = [0; 65_535];
        let mut answer = None;
        let mut receive = |patience| {
            socket.set_read_timeout(Some(patience)).unwrap();
            let length = socket.recv(&mut response).ok()?;
            Some(response[..length].to_vec())
        };
        let mut patience = DEADLINE;
        while answer.is_none() || patience == DEADLINE {
            match receive(patience) {
                Some(received) if received[..2] == PROBE[..2] => patience = LATE,
                Some(received) => answer = Some(received),
                None => break,
            }
        }
        answer
    }
}
