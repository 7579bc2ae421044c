//! `[edns]` and `[identity]`: what is said beside answers.

use crate::diagnostic::Diagnostic;
use crate::document::{Table, Value};

use super::{Edns, Identity};

/// Octets of what NSID says: little beside the smallest response, which it must leave room in.
const MOST_NSID: usize = 128;

/// Octets of one character-string (RFC 1035 3.3).
const MOST_TEXT: usize = 255;

pub(super) fn read_edns(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Edns> {
    let cookies = table.setting("cookies", problems, Value::flag);
    let secrets = table.setting("cookie_secrets", problems, Value::path);
    let required = table.setting("cookies_required", problems, |value, problems| {
        value.flag(problems).map(|flag| (flag, value.place()))
    });
    let nsid = table.setting("nsid", problems, |value, problems| text(value, MOST_NSID, problems));
    let cookies = cookies.or(true)?;
    let required = required.optional()?;
    if let Some((true, place)) = required.as_ref().filter(|_| !cookies) {
        let problem = Diagnostic::error(place.clone(), "`cookies_required` is true, and cookies are off");
        problems.push(problem.hint("write `cookies = true`, or leave `cookies_required` out"));
        return None;
    }
    Some(Edns {
        cookies,
        cookie_secrets: secrets.optional()?,
        cookies_required: required.is_some_and(|(required, _)| required),
        nsid: nsid.or(String::new())?,
    })
}

pub(super) fn read_identity(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Identity> {
    let mut said = |key| table.setting(key, problems, |value, problems| text(value, MOST_TEXT, problems));
    let (version, hostname, id) = (said("version"), said("hostname"), said("id"));
    Some(Identity {
        version: version.or(String::new())?,
        hostname: hostname.or(String::new())?,
        id: id.or(String::new())?,
    })
}

/// A text of at most so many octets; an empty one is nothing.
pub(super) fn text(value: &Value<'_>, most: usize, problems: &mut Vec<Diagnostic>) -> Option<String> {
    let text = value.text("a text", "such as \"ns1.example.net\"", problems)?;
    if text.len() > most {
        let message = format!("{} has {} octets, expected at most {most}", value.what(), text.len());
        problems.push(value.error(message).hint("write a shorter one"));
        return None;
    }
    Some(text.into())
}
