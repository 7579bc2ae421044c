//! `[probes.NAME]`: one kind, and how often it is asked.

use std::num::NonZeroU8;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::{Expectation, HttpProbe, Probe, ProbeKind, ProbeName, TcpProbe};
use crate::diagnostic::Diagnostic;
use crate::dns::Name;
use crate::document::{Entry, Setting, Table, Value, quoted, show_duration};

const KINDS: [&str; 3] = ["tcp", "http", "https"];
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const CONFIRM: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);
const COUNT: RangeInclusive<i64> = 1..=100;
/// Octets of a request target and of a body text.
const MOST_TEXT: usize = 2048;

pub(super) fn read(entry: &Entry<'_>, problems: &mut Vec<Diagnostic>) -> Option<Probe> {
    let what = format!("probe {}", quoted(entry.key));
    let example = format!("a table: `[probes.{}]`", entry.key);
    let mut table = entry.value.table(&what, &example, problems)?;
    let kind = read_kind(&what, &mut table, problems);
    let interval = table.setting("interval", problems, |value, problems| value.duration(INTERVAL, problems));
    let timeout = table.setting("timeout", problems, |value, problems| value.duration(TIMEOUT, problems));
    let confirm = table.setting("confirm", problems, |value, problems| value.duration(CONFIRM, problems));
    let fall = table.setting("fall", problems, read_count);
    let rise = table.setting("rise", problems, read_count);
    let shadow = table.setting("shadow", problems, Value::flag);
    report_unknown_kinds(&mut table, problems);
    table.close(problems);
    // A timeout or confirm that is not written gives way to a short interval.
    let interval = interval.or(Duration::from_secs(5))?;
    let at_most_interval = |setting: Setting<Duration>, key: &str, problems: &mut Vec<Diagnostic>| {
        if let Some((length, place)) = setting.placed()
            && *length > interval
        {
            let (length, interval) = (show_duration(*length), show_duration(interval));
            let message = format!("`{key}` is {length}, longer than the `interval` of {interval}");
            let hint = format!("write at most \"{interval}\", or a longer `interval`");
            problems.push(Diagnostic::error(place.clone(), message).hint(hint));
        }
        setting
    };
    let timeout = at_most_interval(timeout, "timeout", problems).or(Duration::from_secs(2).min(interval));
    let confirm = at_most_interval(confirm, "confirm", problems).or(Duration::from_secs(1).min(interval));
    Some(Probe {
        name: ProbeName::new(entry.key),
        kind: kind?,
        interval,
        timeout: timeout?,
        confirm: confirm?,
        fall: NonZeroU8::new(fall.or(3)?)?,
        rise: NonZeroU8::new(rise.or(5)?)?,
        shadow: shadow.or(false)?,
    })
}

fn read_count(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<u8> {
    value.integer(COUNT, problems).and_then(|count| u8::try_from(count).ok())
}

/// Exactly one of the kinds.
fn read_kind(what: &str, table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let tcp = table.setting("tcp", problems, read_tcp);
    let http = table.setting("http", problems, |value, problems| read_http(value, false, problems));
    let https = table.setting("https", problems, |value, problems| read_http(value, true, problems));
    let written: Vec<_> = KINDS.into_iter().zip([&tcp, &http, &https]).filter(|(_, kind)| kind.is_written()).collect();
    match written.as_slice() {
        [] => {
            let unknown_kind = table.rest().any(|entry| entry.value.is_table());
            if !unknown_kind {
                table.missing_one(
                    &KINDS,
                    "kind",
                    "add `tcp = { port = 8883 }`, or `http = { path = \"/health\" }`",
                    problems,
                );
            }
            None
        }
        [(_, kind)] => kind.placed().map(|(kind, _)| kind.clone()),
        [(first, _), (second, kind), ..] => {
            let message = format!("{what} has two kinds, `{first}` and `{second}`, expected exactly one");
            let place = kind.place().unwrap_or_else(|| table.place());
            problems.push(Diagnostic::error(place, message).hint("remove one, or make it a probe of its own"));
            None
        }
    }
}

/// A table that no key of a probe is called: a kind that there is not.
fn report_unknown_kinds(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) {
    for entry in table.rest().filter(|entry| entry.value.is_table()) {
        let message = format!("unknown kind of probe {}", quoted(entry.key));
        problems.push(entry.unknown(&message, &KINDS, "write one of these, such as `tcp = { port = 8883 }`"));
        entry.settle();
    }
}

fn read_tcp(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`tcp`", "`tcp = { port = 8883 }`", problems)?;
    let port = table.setting("port", problems, Value::port);
    if !port.is_written() {
        table.missing("port", "add `port = 8883`", problems);
    }
    table.close(problems);
    Some(ProbeKind::Tcp(TcpProbe { port: port.good()? }))
}

fn read_http(value: &Value<'_>, https: bool, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let word = if https { "https" } else { "http" };
    let mut table = value.table(quoted(word), &format!("`{word} = {{ path = \"/health\" }}`"), problems)?;
    let port = table.setting("port", problems, Value::port);
    let tls = if https { Some(true) } else { table.setting("tls", problems, Value::flag).or(false) };
    let path = table.setting("path", problems, read_path);
    let host = table.setting("host", problems, read_host);
    let status = table.setting("status", problems, read_status);
    let body = table.setting("body", problems, read_body);
    let ca = table.setting("ca", problems, Value::path);
    table.close(problems);
    if let (Some((_, place)), Some(false)) = (ca.placed(), tls) {
        let problem =
            Diagnostic::error(place.clone(), "`ca` has no effect without TLS, expected `tls = true` beside it");
        problems.push(problem.hint("add `tls = true`, or remove `ca`"));
    }
    if let (Some((443, place)), Some(false)) = (port.placed(), tls) {
        let problem = Diagnostic::warning(place.clone(), "port 443 is probed without TLS");
        problems.push(problem.hint("write `https` instead of `http`"));
    }
    let tls = tls?;
    Some(ProbeKind::Http(HttpProbe {
        port: port.or(if tls { 443 } else { 80 })?,
        tls,
        ca: ca.optional()?,
        host: host.optional()?,
        path: path.or("/".into())?,
        expect: Expectation { status: status.or(vec![(200, 299)])?, body: body.optional()? },
    }))
}

/// A request target in origin form (RFC 9112 3.2.1).
fn read_path(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
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

/// A host name without the final dot (RFC 6066 3), or an address.
fn read_host(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "a host name without port and final dot, or an address";
    const EXAMPLE: &str = "such as \"hub.example.net\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let host_name = Name::parse(text, Some(&Name::root())).is_ok()
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_'))
        && !text.ends_with('.');
    if !host_name && text.parse::<std::net::IpAddr>().is_err() {
        let problem = value.mismatch(EXPECTED, EXAMPLE);
        problems.push(match text.strip_suffix('.') {
            Some(name) if !name.is_empty() => problem.hint(format!("write \"{}\"", crate::document::escaped(name))),
            _ => problem,
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
pub(super) fn read_status(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Vec<(u16, u16)>> {
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
