//! `[gates.NAME]`: one kind, and how often it is looked at.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::{Comparison, Gate, GateKind, GateName, HttpGate};
use super::call::{self, exactly_one};
use super::probe::read_status;
use crate::diagnostic::Diagnostic;
use crate::document::{Entry, Setting, Table, Value, escaped, one_of, quoted, show_duration};

const KINDS: [&str; 3] = ["http", "exec", "ack"];
const COMPARISONS: [&str; 3] = ["equals", "at_most", "at_least"];
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(5);
const MAX_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of a JSON pointer, and of a text that it is compared with.
const MOST_TEXT: usize = 2048;

pub(super) fn read(entry: &Entry<'_>, problems: &mut Vec<Diagnostic>) -> Option<Gate> {
    let what = format!("gate {}", quoted(entry.key));
    let mut table = entry.value.table(&what, &format!("a table: `[gates.{}]`", entry.key), problems)?;
    let http = table.setting("http", problems, |value, problems| read_http(value, problems).map(GateKind::Http));
    let exec = table.setting("exec", problems, |value, problems| call::read_exec(value, problems).map(GateKind::Exec));
    let ack = table.setting("ack", problems, read_ack);
    let only_ack = ack.placed().is_some() && !http.is_written() && !exec.is_written();
    let kinds = [(KINDS[0], &http), (KINDS[1], &exec), (KINDS[2], &ack)];
    let missing =
        "add `http = { url = \"https://HOST/PATH\" }`, `exec = { command = [\"/PATH/TO/PROGRAM\"] }` or `ack = true`";
    let kind = exactly_one(&what, "kind", &kinds, missing, &mut table, problems);
    let interval = table.setting("interval", problems, |value, problems| value.duration(INTERVAL, problems));
    let timeout = table.setting("timeout", problems, |value, problems| value.duration(TIMEOUT, problems));
    let max_age = table.setting("max_age", problems, |value, problems| value.duration(MAX_AGE, problems));
    for entry in table.rest().filter(|entry| entry.value.is_table()) {
        let message = format!("unknown kind of gate {}", quoted(entry.key));
        problems.push(entry.unknown(&message, &KINDS, "write one of these, such as `ack = true`"));
        entry.settle();
    }
    table.close(problems);
    if only_ack {
        let times = [("interval", &interval), ("timeout", &timeout), ("max_age", &max_age)];
        for (key, place) in times.into_iter().filter_map(|(key, time)| Some((key, time.place()?))) {
            let problem = Diagnostic::error(place, format!("`{key}` has no effect on an acknowledgement"));
            problems.push(problem.hint(format!("remove `{key}`: it holds for one epoch, however long that is")));
        }
    }
    let (length, place) = (interval.clone().or(DEFAULT_INTERVAL), max_age.place());
    let (interval, timeout) = (length?, timeout.or(DEFAULT_TIMEOUT)?);
    let max_age = max_age.or(interval * 3 + timeout)?;
    if let Some(place) = place.filter(|_| !only_ack)
        && max_age < interval + timeout
    {
        let least = show_duration(interval + timeout);
        let message = format!(
            "`max_age` is {}, shorter than `interval` {} and `timeout` {} together: the gate would shut between two looks",
            show_duration(max_age),
            show_duration(interval),
            show_duration(timeout),
        );
        problems.push(
            Diagnostic::error(place, message).hint(format!("write at least \"{least}\", or a shorter `interval`")),
        );
    }
    Some(Gate { name: GateName::new(entry.key), kind: kind?, interval, timeout, max_age })
}

fn read_ack(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<GateKind> {
    if value.flag(problems)? {
        return Some(GateKind::Ack);
    }
    let problem = value.error("`ack` is false, expected true, or another kind of gate");
    problems.push(problem.hint("write `ack = true`, or remove it"));
    None
}

fn read_http(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<HttpGate> {
    let mut table = value.table("`http`", "`http = { url = \"https://HOST/PATH\" }`", problems)?;
    let request = call::read_request(&mut table, problems);
    let status = table.setting("status", problems, read_status);
    let pointer = table.setting("pointer", problems, read_pointer);
    let equals =
        table.setting("equals", problems, |value, problems| read_equals(value, problems).map(Comparison::Equals));
    let at_most =
        table.setting("at_most", problems, |value, problems| read_number(value, problems).map(Comparison::AtMost));
    let at_least =
        table.setting("at_least", problems, |value, problems| read_number(value, problems).map(Comparison::AtLeast));
    let value = read_value(&table, pointer, [equals, at_most, at_least], problems);
    table.close(problems);
    let request = request?;
    Some(HttpGate { url: request.url, ca: request.ca, status: status.or(vec![(200, 200)])?, value: value? })
}

/// A pointer with exactly one comparison, or neither.
fn read_value(
    table: &Table<'_>,
    pointer: Setting<String>,
    comparisons: [Setting<Comparison>; 3],
    problems: &mut Vec<Diagnostic>,
) -> Option<Option<(String, Comparison)>> {
    let written: Vec<_> =
        COMPARISONS.into_iter().zip(&comparisons).filter(|(_, comparison)| comparison.is_written()).collect();
    match written.as_slice() {
        [] if !pointer.is_written() => Some(None),
        [] => {
            let message = "`pointer` has nothing that the value is compared with";
            if let (Some(place), true) = (pointer.place(), table.lacks(&COMPARISONS)) {
                let hint = format!("add {}", one_of(COMPARISONS));
                problems.push(Diagnostic::error(place, message).hint(hint));
            }
            None
        }
        [(word, comparison)] if !pointer.is_written() => {
            if let (Some(place), true) = (comparison.place(), table.lacks(&["pointer"])) {
                let problem = Diagnostic::error(place, format!("`{word}` has no effect without `pointer`"));
                problems.push(problem.hint("add `pointer = \"/KEY\"`, where in the JSON body the value stands"));
            }
            None
        }
        [(_, comparison)] => Some(Some((pointer.good()?, comparison.placed()?.0.clone()))),
        [(first, _), (second, comparison), ..] => {
            let message = format!("the value is compared twice, by `{first}` and `{second}`, expected exactly one");
            let place = comparison.place().unwrap_or_else(|| table.place());
            problems.push(Diagnostic::error(place, message).hint("remove one, or make it a gate of its own"));
            None
        }
    }
}

/// A JSON pointer (RFC 6901 3): empty, or each token after a `/`, in which `~` is followed by 0 or 1.
fn read_pointer(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "a JSON pointer, which is empty or starts with `/`";
    const EXAMPLE: &str = "such as \"/lag_seconds\" or \"/regions/0/lag\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let problem = if text.len() > MOST_TEXT {
        value.mismatch("a JSON pointer of at most 2048 octets", EXAMPLE)
    } else if text.is_empty() || text.starts_with('/') {
        let stray = text.split('~').skip(1).any(|after| !after.starts_with(['0', '1']));
        if !stray {
            return Some(text.into());
        }
        let sentence =
            format!("{} is \"{}\", in which a `~` is followed by neither 0 nor 1", value.what(), escaped(text));
        value.error(sentence).hint("write `~0` for `~`, and `~1` for a `/` that is part of a key")
    } else {
        let problem = value.mismatch(EXPECTED, EXAMPLE);
        match text.trim_start_matches(['#', '$', '.']).trim_start_matches('/') {
            "" => problem,
            path => problem.hint(format!("write \"/{}\"", escaped(&path.replace('.', "/")))),
        }
    };
    problems.push(problem);
    None
}

fn read_equals(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<serde_json::Value> {
    if let Some(text) = value.as_text() {
        if text.len() > MOST_TEXT {
            problems.push(value.mismatch("a text of at most 2048 octets", "a shorter one"));
            return None;
        }
        return Some(text.into());
    }
    let read = value.as_flag().map(serde_json::Value::from).or(value.as_integer().map(serde_json::Value::from));
    let read = read.or_else(|| value.as_number().map(serde_json::Value::from));
    if read.is_none() {
        problems.push(value.mismatch("a text, a number or a truth value", "such as \"ready\", `0` or `true`"));
    }
    read
}

fn read_number(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<f64> {
    let number = value.as_number();
    if number.is_none() {
        let problem = value.mismatch("a number", "such as `60` or `0.5`, without quotes");
        problems.push(
            match value.as_text().and_then(|text| text.trim().parse::<f64>().ok()).filter(|n| n.is_finite()) {
                Some(number) => problem.hint(format!("write `{number}` without quotes")),
                None => problem,
            },
        );
    }
    number
}
