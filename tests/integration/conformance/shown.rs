//! A response as rows write it: `RCODE flags | answer | authority | additional | options`.
//!
//! Flags are `aa`, `tc`, `rd`, `ra`, `ad`, `cd`, `opt` for an OPT record, `do`, and `no-question` where the question is left
//! out. Names are in lower case, sections are sets, options are `CODE=hex`.

use concierge::dns::Name;
use concierge::zone::display_rdata;

use crate::differential::message::{Message, Record};
use crate::differential::options::Reaction;

/// Shows a response; what is equal here is equal for a client.
pub fn shown(response: Option<&[u8]>) -> String {
    let Some(response) = response else { return "silence".into() };
    let message = Message::read(response);
    let options = Reaction::of(response).options.unwrap_or_default();
    let flag = |set: bool, word: &'static str| if set { word } else { "" };
    let (_, _, dnssec_ok) = message.opt.unwrap_or_default();
    let flags = [
        flag(message.authoritative, " aa"),
        flag(message.truncated, " tc"),
        flag(message.other_flags & 0x80 != 0 && response[2] & 1 != 0, " rd"),
        flag(response[3] & 0x80 != 0, " ra"),
        flag(response[3] & 0x20 != 0, " ad"),
        flag(response[3] & 0x10 != 0, " cd"),
        flag(message.opt.is_some(), " opt"),
        flag(dnssec_ok, " do"),
        flag(message.question.is_empty(), " no-question"),
    ];
    let sections = [&message.answer, &message.authority, &message.additional].map(|section| {
        let records: Vec<String> = section.iter().map(show_record).collect();
        in_order(records)
    });
    let options: Vec<String> = options.iter().map(|(code, data)| format!("{code}={}", hex(data))).collect();
    let options = in_order(options);
    let shown = format!("{}{} | {} | {options}", message.rcode.mnemonic(), flags.concat(), sections.join(" | "));
    trimmed(&shown)
}

/// What a row expects, in the form of [`shown`].
pub fn expected(text: &str) -> String {
    let sections: Vec<String> = text
        .split(" | ")
        .map(|section| in_order(section.split(", ").map(|record| record.trim().to_owned()).collect()))
        .collect();
    trimmed(&sections.join(" | "))
}

fn in_order(mut records: Vec<String>) -> String {
    records.sort();
    if records.is_empty() { "-".into() } else { records.join(", ") }
}

fn trimmed(shown: &str) -> String {
    shown.trim_end_matches(" | -").to_owned()
}

fn show_record(record: &Record) -> String {
    let owner = Name::from_wire(&record.owner).unwrap();
    format!("{owner} {} {} {}", record.ttl, record.rtype, display_rdata(record.rtype, &record.rdata))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
