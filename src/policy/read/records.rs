//! `records = ["MX 10 mail.example.net."]`: general RRsets of an endpoint, in presentation format.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::super::Rrset;
use crate::diagnostic::{Diagnostic, Place, closest};
use crate::dns::{Class, Name, Rtype};
use crate::document::{Value, quoted, unusable};
use crate::zone::parse_rdata;

const MOST_RECORDS: usize = 256;

/// Types that shape the zone itself or prove its content: they stand in the master file and do not follow a region.
const OF_THE_ZONE: [Rtype; 11] = [
    Rtype::SOA,
    Rtype::NS,
    Rtype::DS,
    Rtype::DNAME,
    Rtype::DNSKEY,
    Rtype::RRSIG,
    Rtype::NSEC,
    Rtype::NSEC3,
    Rtype::NSEC3PARAM,
    Rtype::ZONEMD,
    Rtype::CSYNC,
];

/// At least one record, none twice; the RRsets in order of their types.
pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Vec<Rrset>> {
    const EXAMPLE: &str = "such as `[\"A 192.0.2.1\", \"MX 10 mail.example.net.\"]`";
    let entries = value.list("a list of records", EXAMPLE, MOST_RECORDS, problems)?;
    if entries.is_empty() {
        problems.push(value.error("`records` is empty, expected at least one record").hint(format!("write {EXAMPLE}")));
        return None;
    }
    let mut rrsets: BTreeMap<Rtype, Vec<Box<[u8]>>> = BTreeMap::new();
    let mut seen: BTreeMap<(Rtype, Box<[u8]>), Place> = BTreeMap::new();
    let mut complete = true;
    for entry in &entries {
        let Some((rtype, rdata)) = read_record(entry, problems) else {
            complete = false;
            continue;
        };
        // RFC 2181 5: an RRset has no two equal records.
        if let Some(first) = seen.insert((rtype, rdata.clone()), entry.place()) {
            let problem = entry.error(format!("the {rtype} record is written twice")).related(first, "first here");
            problems.push(problem.hint("remove one of the two"));
            complete = false;
        }
        rrsets.entry(rtype).or_default().push(rdata);
    }
    complete.then(|| rrsets.into_iter().map(|(rtype, rdatas)| Rrset { rtype, rdatas }).collect())
}

fn read_record(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<(Rtype, Box<[u8]>)> {
    let text = value.text("a record", "the type and the RDATA, such as \"MX 10 mail.example.net.\"", problems)?;
    let start = text.len() - text.trim_start().len();
    let word = text.trim_start().split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
    let type_span = start..start + word.len();
    let Some(rtype) = Rtype::parse(word) else {
        problems.push(wrong_type(value, word, type_span));
        return None;
    };
    let refused = match rtype {
        Rtype::CNAME => Some(("a CNAME is an answer of its own", "write `cname = \"TARGET.\"`")),
        _ if OF_THE_ZONE.contains(&rtype) => Some(("it belongs to the zone", "write it in the zone's master file")),
        _ if rtype.is_meta() => Some(("it stands in no zone", "leave it out")),
        _ => None,
    };
    if let Some((why, hint)) = refused {
        let message = format!("a hub's `records` have no {rtype}: {why}");
        problems.push(Diagnostic::error(place(value, text, type_span), message).hint(hint));
        return None;
    }
    let rest = type_span.end;
    let (at_root, below) = (Name::root(), elsewhere());
    match (parse_rdata(rtype, &text[rest..], &at_root), parse_rdata(rtype, &text[rest..], &below)) {
        (Ok(rdata), Ok(same)) if rdata == same => {
            check_address(value, rtype, &rdata, problems).then_some((rtype, rdata))
        }
        // What depends on the origin has a relative name in it.
        (Ok(_), _) => {
            let message = format!("the {rtype} record has a relative name, expected absolute ones");
            problems.push(value.error(message).hint("end each name with a dot"));
            None
        }
        (Err(error), _) => {
            let span = rest + error.span.start..rest + error.span.end;
            let problem = Diagnostic::error(place(value, text, span), error.message);
            problems.push(match error.hint {
                Some(hint) => problem.hint(hint),
                None => problem.hint(format!("write the RDATA of {rtype} as in a master file")),
            });
            None
        }
    }
}

fn wrong_type(value: &Value<'_>, word: &str, span: Range<usize>) -> Diagnostic {
    let message = format!("unknown record type {}, expected the type and the RDATA", quoted(word));
    let problem = Diagnostic::error(place(value, value.as_text().unwrap_or_default(), span), message);
    let of_the_hub = Class::parse(word).is_some() || word.starts_with(|c: char| c.is_ascii_digit());
    problem.hint(match closest(word, Rtype::mnemonics()) {
        _ if of_the_hub => "leave out class and TTL, which are IN and the hub's `ttl`".into(),
        Some(close) => format!("did you mean `{close}`?"),
        None => String::from("write such as \"MX 10 mail.example.net.\", or `TYPEnnn \\# ...` (RFC 3597)"),
    })
}

fn check_address(value: &Value<'_>, rtype: Rtype, rdata: &[u8], problems: &mut Vec<Diagnostic>) -> bool {
    let address = match rtype {
        Rtype::A => <[u8; 4]>::try_from(rdata).ok().map(|octets| Ipv4Addr::from(octets).into()),
        Rtype::AAAA => <[u8; 16]>::try_from(rdata).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    };
    let Some((address, (what, hint))) = address.and_then(|address| Some((address, unusable(address)?))) else {
        return true;
    };
    problems.push(value.error(format!("{} is {what} {address}", value.what())).hint(hint));
    false
}

/// The place of the octets `span` of the string's text: exact where the file writes the text as it is.
fn place(value: &Value<'_>, text: &str, span: Range<usize>) -> Place {
    let whole = value.span();
    let written = value.document().slice(whole.clone());
    let plain = written.len() == text.len() + 2 && written.get(1..=text.len()) == Some(text.as_bytes());
    if plain { value.document().place(whole.start + 1 + span.start..whole.start + 1 + span.end) } else { value.place() }
}

/// A second origin beside the root: `x.`.
fn elsewhere() -> Name {
    Name::root().child(b"x").unwrap_or_else(|_| Name::root())
}
