//! `dns = { … }`.

use super::super::super::{DnsProbe, ProbeKind};
use crate::diagnostic::Diagnostic;
use crate::dns::{Name, Rcode, Rtype};
use crate::document::{Value, absolute_name, quoted};
use crate::zone::parse_rdata;

const EXAMPLE: &str = "`dns = { name = \"example.net.\", type = \"SOA\" }`";

/// The response codes that a server may be expected to give.
const RCODES: [(&str, Rcode); 6] = [
    ("NOERROR", Rcode::NOERROR),
    ("NXDOMAIN", Rcode::NXDOMAIN),
    ("REFUSED", Rcode::REFUSED),
    ("SERVFAIL", Rcode::SERVFAIL),
    ("FORMERR", Rcode::FORMERR),
    ("NOTIMP", Rcode::NOTIMP),
];

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`dns`", EXAMPLE, problems)?;
    let port = table.setting("port", problems, Value::port);
    let name = table.setting("name", problems, read_name);
    let rtype = table.setting("type", problems, read_type);
    let rcode = table.setting("rcode", problems, |value, problems| value.word(&RCODES, problems));
    let answer = table.value("answer");
    if !name.is_written() {
        table.missing("name", "add `name = \"example.net.\"`", problems);
    }
    if let (Some(answer), Some((other, _))) = (&answer, rcode.placed().filter(|(rcode, _)| **rcode != Rcode::NOERROR)) {
        let problem = answer.error(format!("`answer` is expected of a response with {other}, which has none"));
        problems.push(problem.hint("remove it, or write `rcode = \"NOERROR\"`"));
    }
    table.close(problems);
    let rtype = rtype.or(Rtype::A)?;
    let answer = match answer {
        Some(answer) => Some(read_answer(&answer, rtype, problems)?),
        None => None,
    };
    let (port, name, rcode) = (port.or(53)?, name.good()?, rcode.or(Rcode::NOERROR)?);
    Some(ProbeKind::Dns(DnsProbe { port, name, rtype, rcode, answer }))
}

fn read_name(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Name> {
    let text = value.text("a domain name", "such as \"example.net.\", with the final dot", problems)?;
    match absolute_name("`name`", text) {
        Ok(name) => Some(name),
        Err((message, hint)) => {
            problems.push(value.error(message).hint(hint));
            None
        }
    }
}

fn read_type(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Rtype> {
    const EXPECTED: &str = "a record type that can be asked for";
    let text = value.text(EXPECTED, "such as \"SOA\"", problems)?;
    let rtype = Rtype::parse(text).filter(|rtype| !rtype.is_meta());
    if rtype.is_none() {
        let can = |word: &&str| Rtype::parse(word).is_some_and(|rtype| !rtype.is_meta());
        let words: Vec<&str> = Rtype::mnemonics().filter(can).collect();
        problems.push(value.mismatch_words(EXPECTED, "such as \"SOA\"", &words));
    }
    rtype
}

/// RDATA in presentation format, with absolute names.
fn read_answer(value: &Value<'_>, rtype: Rtype, problems: &mut Vec<Diagnostic>) -> Option<Box<[u8]>> {
    let text = value.text("the RDATA of a record", "it as in a master file, such as \"192.0.2.1\"", problems)?;
    // What depends on the origin has a relative name in it.
    let elsewhere = Name::root().child(b"x").ok()?;
    match (parse_rdata(rtype, text, &Name::root()), parse_rdata(rtype, text, &elsewhere)) {
        (Ok(rdata), Ok(same)) if rdata == same => Some(rdata),
        (Ok(_), _) => {
            let message = format!("{} has a relative name, expected absolute ones", value.what());
            problems.push(value.error(message).hint("end each name with a dot"));
            None
        }
        (Err(error), _) => {
            let problem = value.error(format!("{} is no RDATA of {rtype}: {}", value.what(), error.message));
            let hint =
                error.hint.unwrap_or_else(|| format!("write the RDATA of {} as in a master file", quoted_type(rtype)));
            problems.push(problem.hint(hint));
            None
        }
    }
}

fn quoted_type(rtype: Rtype) -> String {
    quoted(&rtype.to_string())
}
