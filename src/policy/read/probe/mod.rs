//! `[probes.NAME]`: one kind, and how often it is asked. Each kind has a file of its own here, and a line in [`KINDS`].

mod amqp;
mod broker;
mod dns;
mod grpc;
mod http;
mod icmp;
mod keys;
mod mqtt;
mod tcp;
mod tls;

use std::num::NonZeroU8;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::{Probe, ProbeKind, ProbeName};
use crate::diagnostic::Diagnostic;
use crate::document::{Entry, Setting, Table, Value, quoted, show_duration};

pub(super) use http::read_status;

/// Reads what a kind is set to.
type ReadKind = fn(&Value<'_>, &mut Vec<Diagnostic>) -> Option<ProbeKind>;

/// The kinds by their keys.
#[rustfmt::skip] // a line a kind
const KINDS: &[(&str, ReadKind)] = &[
    ("tcp", tcp::read),
    ("tls", tls::read),
    ("http", http::read),
    ("https", http::read_https),
    ("mqtt", mqtt::read),
    ("amqp", amqp::read),
    ("grpc", grpc::read),
    ("dns", dns::read),
    ("icmp", icmp::read),
];

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
    let source = table.setting("source", problems, keys::read_source);
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
        source: source.optional()?,
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

/// The keys of all kinds.
fn words() -> Vec<&'static str> {
    KINDS.iter().map(|(word, _)| *word).collect()
}

/// Exactly one of the kinds.
fn read_kind(what: &str, table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let kinds: Vec<_> = KINDS.iter().map(|(word, read)| (*word, table.setting(word, problems, read))).collect();
    let written: Vec<_> = kinds.iter().filter(|(_, kind)| kind.is_written()).collect();
    match written.as_slice() {
        [] => {
            let unknown_kind = table.rest().any(|entry| entry.value.is_table());
            if !unknown_kind {
                table.missing_one(
                    &words(),
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
        problems.push(entry.unknown(&message, &words(), "write one of these, such as `tcp = { port = 8883 }`"));
        entry.settle();
    }
}
