//! Zones and hubs in a few words, queries by hand, and responses as another codec reads them.
#![cfg_attr(fuzzing, allow(dead_code, reason = "the fuzzers need some of it"))]
#![allow(clippy::unwrap_used, reason = "for tests and fuzzers")]

use std::sync::{Arc, LazyLock};

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record};

use super::client::Client;
use super::compile::compile;
use super::respond::{Outcome, Rules, Terms, Transport, respond};
use super::snapshot::{Choice, Snapshot, What};
use crate::diagnostic::Source;
use crate::dns::{Name, Rtype};
use crate::policy::{Answer, Endpoint, GeoEntry, GeoMap, Hub, Origin, Policy, RegionName, Selection, usable};
use crate::zone::store::{Tree, tree_of};

/// Rules that say nothing but the usual size.
pub(super) static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::sized(1232));

/// A batch by those rules, without cookies.
pub(super) fn terms() -> Terms<'static> {
    Terms::new(&RULES, None)
}

/// Who asks, where it does not matter.
pub(super) static CLIENT: LazyLock<Client> = LazyLock::new(|| client("192.0.2.99"));

pub(super) fn client(address: &str) -> Client {
    Client::at(address.parse().unwrap())
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text, Some(&Name::root())).unwrap()
}

/// A zone of lines `owner [ttl] type rdata`, TTL 300; SOA (TTL 3600, MINIMUM 60) and NS come by themselves.
pub(super) fn zone(apex: &str, lines: &str) -> Tree {
    let apex = name(apex);
    let fixed = "@ 3600 SOA ns.example.org. host.example.org. 7 3600 600 86400 60\n@ 3600 NS ns.example.org.\n";
    let mut records = Vec::new();
    for line in fixed.lines().chain(lines.lines()).filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace().peekable();
        let owner = Name::parse(words.next().unwrap(), Some(&apex)).unwrap();
        let ttl = words.next_if(|word| word.parse::<u32>().is_ok()).map_or(300, |word| word.parse().unwrap());
        let rtype = Rtype::parse(words.next().unwrap()).unwrap();
        let rdata = rdata(rtype, &words.collect::<Vec<_>>(), &apex);
        records.push((owner, rtype, ttl, rdata));
    }
    tree_of(&apex, &records)
}

pub(super) fn rdata(rtype: Rtype, words: &[&str], apex: &Name) -> Box<[u8]> {
    let domain = |text: &str| Name::parse(text, Some(apex)).unwrap().wire().to_vec();
    let number16 = |text: &str| text.parse::<u16>().unwrap().to_be_bytes().to_vec();
    let number32 = |text: &str| text.parse::<u32>().unwrap().to_be_bytes().to_vec();
    let hex =
        |text: &str| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    let octets: Vec<u8> = match rtype {
        Rtype::A => words[0].parse::<std::net::Ipv4Addr>().unwrap().octets().to_vec(),
        Rtype::AAAA => words[0].parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec(),
        Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::PTR => domain(words[0]),
        Rtype::MX => [number16(words[0]), domain(words[1])].concat(),
        Rtype::SRV => [number16(words[0]), number16(words[1]), number16(words[2]), domain(words[3])].concat(),
        Rtype::TXT => {
            words.iter().flat_map(|text| [&[text.len() as u8][..], text.as_bytes()].concat()).collect::<Vec<u8>>()
        }
        Rtype::SOA => {
            let numbers: Vec<u8> = words[2..].iter().flat_map(|word| number32(word)).collect();
            [domain(words[0]), domain(words[1]), numbers].concat()
        }
        _ => hex(words[0]),
    };
    octets.into_boxed_slice()
}

/// A hub with a TTL of 30 s and one region a line: `region address...`, `region cname target` or `region hub name`.
pub(super) fn hub(owner: &str, lines: &str) -> Hub {
    let endpoints = lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let mut words = line.split_whitespace();
            let region = RegionName::new(words.next().unwrap());
            let words: Vec<&str> = words.collect();
            let answer = match &*words {
                ["cname", target] => Answer::Cname(name(target)),
                ["hub", inside] => Answer::Hub(name(inside)),
                addresses => Answer::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect()),
            };
            Endpoint::new(region, answer)
        })
        .collect();
    Hub::new(name(owner), endpoints, Source::new("zones/hubs.toml", "[hubs]").place(1..5))
}

pub(super) fn policy(hubs: Vec<Hub>) -> Policy {
    Policy { hubs: hubs.into_iter().map(|hub| (hub.name.clone(), Arc::new(hub))).collect(), ..Policy::default() }
}

/// The same hub with another policy.
pub(super) fn selecting(selection: Selection, owner: &str, lines: &str) -> Hub {
    Hub { selection, ..hub(owner, lines) }
}

/// A map of `subnet region...` or `code region...` a line; a code of two letters is that of a country, in lower case that of
/// a continent.
pub(super) fn map(lines: &str) -> Arc<GeoMap> {
    let mut map = GeoMap::default();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let from = words.next().unwrap();
        let to = words.map(RegionName::new).collect();
        let code = |from: &str| from.to_ascii_uppercase().as_bytes().try_into().unwrap();
        let origin = match from {
            "default" => {
                map.default = to;
                continue;
            }
            from if from.len() == 2 && from == from.to_ascii_uppercase() => Origin::Country(code(from)),
            from if from.len() == 2 => Origin::Continent(code(from)),
            from => Origin::Subnet(from.parse().unwrap()),
        };
        map.entries.push(GeoEntry { origin, to });
    }
    Arc::new(map)
}

/// Compiled, with the first endpoint of every hub chosen; of a hub without an active region all of them.
pub(super) fn snapshot(zones: &[Tree], hubs: Vec<Hub>) -> Snapshot {
    let policy = policy(hubs);
    let content = compile(zones.to_vec(), &policy).unwrap_or_else(|refused| panic!("{refused:#?}"));
    let choice = |hub: &Arc<Hub>| match hub.selection.is_stateless() {
        true => Choice::of(What::Among(usable::every(hub.endpoints.len()))),
        false => Choice::endpoint(0),
    };
    Snapshot::new(1, Arc::new(content), policy.hubs.values().map(choice).collect()).unwrap()
}

/// The same snapshot with another choice for one hub.
pub(super) fn with(snapshot: &Snapshot, hub: &str, what: What) -> Snapshot {
    let mut choices = snapshot.choices.clone();
    choices[snapshot.content.hub(&name(hub)).unwrap()].what = what;
    snapshot.switch(choices).unwrap()
}

/// A query that is built field by field.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) flags: [u8; 2],
    pub(super) counts: [u16; 4],
    pub(super) question: Vec<u8>,
    pub(super) rest: Vec<u8>,
}

impl Ask {
    /// `name type`, class IN, RD set, without OPT.
    pub(super) fn new(question: &str) -> Self {
        let (owner, rtype) = question.split_once(' ').unwrap();
        let rtype = Rtype::parse(rtype).unwrap().0.to_be_bytes();
        let question = [name(owner).wire(), &rtype, &[0, 1]].concat();
        Self { flags: [1, 0], counts: [1, 0, 0, 0], question, rest: Vec::new() }
    }

    /// Adds an OPT record.
    pub(super) fn opt(mut self, max_udp_bytes: u16, version: u8, dnssec_ok: bool, options: &[u8]) -> Self {
        self.counts[3] += 1;
        self.rest.extend([&[0, 0, 41][..], &max_udp_bytes.to_be_bytes(), &[0, version]].concat());
        self.rest.extend([if dnssec_ok { 0x80 } else { 0 }, 0]);
        self.rest.extend((options.len() as u16).to_be_bytes());
        self.rest.extend(options);
        self
    }

    /// With an OPT record of the usual size.
    pub(super) fn edns(self) -> Self {
        self.opt(1232, 0, false, &[])
    }

    /// With DO.
    pub(super) fn dnssec(self) -> Self {
        self.opt(1232, 0, true, &[])
    }

    pub(super) fn octets(&self) -> Vec<u8> {
        let counts: Vec<u8> = self.counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        [&[0x12, 0x34], &self.flags[..], &counts, &self.question, &self.rest].concat()
    }
}

/// The response's octets; empty for silence.
pub(super) fn send(snapshot: &Snapshot, query: &[u8], transport: Transport) -> Vec<u8> {
    send_from(*CLIENT, snapshot, query, transport)
}

/// The same for one client.
pub(super) fn send_from(client: Client, snapshot: &Snapshot, query: &[u8], transport: Transport) -> Vec<u8> {
    send_by(&terms(), client, snapshot, query, transport)
}

/// The same by other rules.
pub(super) fn send_by(
    terms: &Terms<'_>,
    client: Client,
    snapshot: &Snapshot,
    query: &[u8],
    transport: Transport,
) -> Vec<u8> {
    let mut response = Vec::new();
    match respond(snapshot, query, client, transport, terms, &mut response) {
        Outcome::Reply { .. } => response,
        Outcome::Silence => {
            assert!(response.is_empty());
            response
        }
    }
}

/// The response over UDP: `RCODE [flags] | answer | authority | additional`, OPT not shown.
pub(super) fn ask(snapshot: &Snapshot, ask: &Ask) -> String {
    show(&send(snapshot, &ask.octets(), Transport::Udp))
}

pub(super) fn show(response: &[u8]) -> String {
    if response.is_empty() {
        return "silence".into();
    }
    let message = Message::from_vec(response).unwrap_or_else(|error| panic!("{error}: {response:02x?}"));
    let flag = |set: bool, word: &'static str| if set { word } else { "" };
    let flags = [
        flag(message.metadata.authoritative, " aa"),
        flag(message.metadata.truncation, " tc"),
        flag(message.metadata.recursion_available, " ra"),
        flag(message.metadata.authentic_data, " ad"),
        flag(message.metadata.checking_disabled, " cd"),
    ]
    .concat();
    let records = |records: &[Record]| {
        let mut shown: Vec<String> = records.iter().map(show_record).collect();
        if shown.is_empty() {
            shown.push("-".into());
        }
        shown.join(", ")
    };
    let rcode = crate::dns::Rcode(message.metadata.response_code.into()).mnemonic();
    let sections = [&message.answers, &message.authorities, &message.additionals].map(|section| records(section));
    let shown = format!("{rcode}{flags} | {}", sections.join(" | "));
    shown.trim_end_matches(" | -").to_owned()
}

fn show_record(record: &Record) -> String {
    // The codec knows neither DNAME nor, without its DNSSEC part, DS and RRSIG.
    let RData::Unknown { code, rdata } = &record.data else { return record.to_string().replace(" IN ", " ") };
    let rtype = Rtype(u16::from(*code));
    let octets = &rdata.anything;
    let shown = match rtype {
        Rtype::DNAME => Name::from_wire(octets).unwrap().to_string(),
        _ => octets.iter().map(|octet| format!("{octet:02x}")).collect(),
    };
    format!("{} {} {rtype} {shown}", record.name, record.ttl)
}

/// The options of a response's OPT record, which is its last record; `None` without one.
pub(super) fn options_of(response: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
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
    let mut found = None;
    for _ in 0..number(6) + number(8) + number(10) {
        let fixed = past_name(at);
        let end = fixed + 10 + number(fixed + 8);
        found = (number(fixed) == usize::from(Rtype::OPT.0)).then_some((fixed + 10, end));
        at = end;
    }
    assert_eq!(at, response.len(), "nothing behind the records");
    let (mut at, end) = found?;
    let mut options = Vec::new();
    while at < end {
        let next = at + 4 + number(at + 2);
        options.push((number(at) as u16, response[at + 4..next].to_vec()));
        at = next;
    }
    Some(options)
}

/// An option as a query has it.
pub(super) fn option(code: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

/// Octets written as hexadecimal digits.
pub(super) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
