//! `http = { … }` and `https = { … }`.

use super::super::super::{Expectation, HttpProbe, ProbeKind};
use super::MOST_TEXT;
use super::keys::{TlsKeys, read_host};
use crate::diagnostic::Diagnostic;
use crate::document::{Value, quoted};

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
    let keys = TlsKeys::read(&mut table, problems);
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
        expect: Expectation { status: status.or(vec![(200, 299)])?, body: body.optional()? },
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
    const EXAMPLE: &str = "such as \"ok\", or leave `body` out";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    if text.is_empty() || text.len() > MOST_TEXT {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
        return None;
    }
    Some(text.into())
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
