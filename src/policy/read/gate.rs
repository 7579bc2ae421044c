//! `[gates.NAME]`: one kind, and how often it is looked at.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::{Gate, GateKind, GateName, HttpGate};
use super::call::{self, exactly_one};
use super::comparison;
use super::probe::read_status;
use crate::diagnostic::Diagnostic;
use crate::document::{Entry, Value, quoted, show_duration};

const KINDS: [&str; 3] = ["http", "exec", "ack"];
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(5);
const MAX_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

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
    let value = comparison::read(&mut table, "gate", problems);
    table.close(problems);
    let request = request?;
    Some(HttpGate { url: request.url, ca: request.ca, status: status.or(vec![(200, 200)])?, value: value? })
}
