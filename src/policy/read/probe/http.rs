//! `http = { … }` and `https = { … }`.

use super::super::super::{Expectation, FieldValue, HttpProbe, HttpVersion, Method, ProbeKind};
use super::super::comparison;
use super::MOST_TEXT;
use super::keys::{TlsKeys, read_host, read_secret, read_text};
use crate::diagnostic::Diagnostic;
use crate::document::{Value, quoted};

/// Fields that a request may have beside those of the connection.
const MOST_FIELDS: usize = 32;

/// `http = { … }`.
pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    read_one(value, false, problems)
}

/// `https = { … }`.
pub(super) fn read_https(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    read_one(value, true, problems)
}

fn read_one(value: &Value<'_>, https: bool, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let word = if https { "https" } else { "http" };
    let mut table = value.table(quoted(word), &format!("`{word} = {{ path = \"/health\" }}`"), problems)?;
    let port = table.setting("port", problems, Value::port);
    let tls = if https { Some(true) } else { table.setting("tls", problems, Value::flag).or(false) };
    let path = table.setting("path", problems, read_path);
    let host = table.setting("host", problems, read_host);
    let status = table.setting("status", problems, read_status);
    let body = table.setting("body", problems, read_body);
    let method = table.setting("method", problems, read_method);
    let version = table.setting("version", problems, read_version);
    let headers = table.setting("headers", problems, read_headers);
    let value = comparison::read(&mut table, "probe", problems);
    let keep_alive = table.setting("keep_alive", problems, Value::flag);
    let keys = TlsKeys::read(&mut table, problems);
    if let Some((Method::Head, place)) = method.placed()
        && (body.is_written() || matches!(value, Some(Some(_))))
    {
        let problem = Diagnostic::error(place.clone(), "the response to HEAD has no body to be compared");
        problems.push(problem.hint("write `method = \"GET\"`"));
    }
    table.close(problems);
    let settings = keys.settings(tls, problems);
    if let (Some((443, place)), Some(false)) = (port.placed(), tls) {
        let problem = Diagnostic::warning(place.clone(), "port 443 is probed without TLS");
        problems.push(problem.hint("write `https` instead of `http`"));
    }
    let tls = tls?;
    Some(ProbeKind::Http(HttpProbe {
        port: port.or(if tls { 443 } else { 80 })?,
        tls: settings?,
        host: host.optional()?,
        path: path.or("/".into())?,
        method: method.or(Method::Get)?,
        version: version.or(HttpVersion::One)?,
        headers: headers.or(Vec::new())?,
        keep_alive: keep_alive.or(false)?,
        expect: Expectation { status: status.or(vec![(200, 299)])?, body: body.optional()?, value: value? },
    }))
}

/// A request target in origin form (RFC 9112 3.2.1).
pub(super) fn read_path(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "a path that starts with `/`, without spaces";
    const EXAMPLE: &str = "such as \"/health\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let good = text.starts_with('/') && text.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'#');
    if !good || text.len() > MOST_TEXT {
        let problem = value.mismatch(EXPECTED, EXAMPLE);
        let absolute = format!("/{text}");
        let slash_only =
            !text.starts_with('/') && !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic());
        problems.push(if slash_only && !text.contains("://") {
            problem.hint(format!("write \"{absolute}\""))
        } else {
            problem
        });
        return None;
    }
    Some(text.into())
}

fn read_body(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "a text of 1 to 2048 octets that the body must contain";
    read_text(value, EXPECTED, "such as \"ok\", or leave `body` out", problems)
}

fn read_method(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Method> {
    value.word(&Method::WORDS, problems)
}

fn read_version(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<HttpVersion> {
    value.word(&[("1.1", HttpVersion::One), ("2", HttpVersion::Two)], problems)
}

/// Fields of the request, but for those that are the connection's own.
fn read_headers(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Vec<(String, FieldValue)>> {
    let table = value.table("`headers`", "`headers = { accept = \"application/json\" }`", problems)?;
    let mut fields: Vec<(String, FieldValue)> = Vec::new();
    let mut good = true;
    for entry in table.named() {
        let name = entry.key.to_ascii_lowercase();
        if let Some((message, hint)) = objection(&name, &fields) {
            let message = format!("header {} {message}", quoted(entry.key));
            problems.push(Diagnostic::error(entry.place(), message).hint(hint));
            good = false;
            continue;
        }
        match read_field(&entry.value, problems) {
            Some(content) => fields.push((name, content)),
            None => good = false,
        }
    }
    if fields.len() > MOST_FIELDS {
        let message = format!("`headers` has {} entries, expected at most {MOST_FIELDS}", fields.len());
        problems.push(value.error(message).hint(format!("leave out {}", fields.len() - MOST_FIELDS)));
        return None;
    }
    good.then_some(fields)
}

/// Why there may be no field of this name, and what to do instead.
fn objection(name: &str, before: &[(String, FieldValue)]) -> Option<(&'static str, &'static str)> {
    // A token (RFC 9110 5.6.2).
    let token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    match name {
        "host" => Some(("is not set here", "write `host` beside `headers`")),
        // Of the connection and the content (RFC 9110 7.6.1, 8.6; RFC 9112 6.1).
        "connection" | "content-length" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding"
        | "upgrade" => Some(("is the connection's own, and not set here", "remove it")),
        _ if name.is_empty() || !name.bytes().all(token) => {
            Some(("has a name that no header can have", "write a name of letters, digits and `-`"))
        }
        _ if before.iter().any(|(other, _)| other == name) => Some(("is there twice", "remove one")),
        _ => None,
    }
}

fn read_field(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<FieldValue> {
    const EXPECTED: &str = "a text of at most 2048 visible characters and spaces, or the place of a secret";
    const EXAMPLE: &str = "such as \"application/json\", or `{ file = \"token.txt\" }`";
    if value.is_table() {
        return read_secret(value, problems).map(FieldValue::Secret);
    }
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let visible = text.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ');
    if !visible || text.trim() != text || text.len() > MOST_TEXT {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
        return None;
    }
    Some(FieldValue::Plain(text.into()))
}

/// A status code, a range of them as text, or a list of either.
pub(in super::super) fn read_status(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Vec<(u16, u16)>> {
    if !value.is_list() {
        return read_status_range(value, problems).map(|range| vec![range]);
    }
    let entries = value.list("status codes", "such as `[200, \"300-399\"]`", 100, problems)?;
    if entries.is_empty() {
        problems.push(value.error("`status` is empty, expected at least one status code").hint("write `status = 200`"));
        return None;
    }
    let ranges: Vec<_> = entries.iter().map(|entry| read_status_range(entry, problems)).collect();
    ranges.into_iter().collect()
}

fn read_status_range(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<(u16, u16)> {
    let code = |text: &str| text.parse::<u16>().ok().filter(|_| text.len() == 3);
    let range = match (value.as_text(), value.as_integer()) {
        (Some(text), _) => match text.split_once('-') {
            Some((low, high)) => code(low.trim()).zip(code(high.trim())),
            None => code(text.trim()).map(|code| (code, code)),
        },
        (None, Some(number)) => u16::try_from(number).ok().map(|code| (code, code)),
        (None, None) => None,
    };
    let range = range.filter(|(low, high)| 100 <= *low && low <= high && *high <= 599);
    if range.is_none() {
        let problem =
            value.mismatch("a status code from 100 to 599, or a range of them", "such as `200` or \"200-299\"");
        problems.push(problem);
    }
    range
}
