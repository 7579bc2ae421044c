//! The tables of the page: hubs, endpoints, marks, windows, and what cannot be observed.

use super::super::table::Table;
use super::{answered, is_stateless, usable, weight};
use crate::control::report::{EndpointStatus, HubStatus, LackStatus, MarkStatus, RemarkStatus, WindowStatus};
use crate::time::{Timestamp, human};

pub(super) fn hubs(hubs: &[HubStatus], now: Timestamp) -> Table {
    let mut table = Table::new(&["HUB", "ACTIVE", "EPOCH", "SINCE", "CONDITION", "TTL", "ANSWER"]);
    for hub in hubs {
        table.row(vec![
            hub.name.to_string(),
            match (is_stateless(hub), hub.all) {
                (true, _) => format!("{}: {}", hub.policy, usable(hub)),
                (false, true) => "all".into(),
                (false, false) => hub.active.to_string(),
            },
            if is_stateless(hub) { String::new() } else { hub.epoch.to_string() },
            format!("{} ago", human(now.since(hub.since))),
            hub.condition.word().into(),
            format!("{} s{}", hub.ttl, if hub.low_ttl { " (low)" } else { "" }),
            hub.answer.join(", "),
        ]);
    }
    table
}

/// Measured and effective state side by side; `*` is the active region, or one that is usable
/// where there is none, and why a mark was made stands with the marks.
pub(super) fn endpoints(hubs: &[HubStatus], blind: bool, now: Timestamp) -> Table {
    let mut table = Table::new(&["ENDPOINTS", "MEASURED", "EFFECTIVE", "MARK", "AGE", "LAST OBSERVATION"]);
    for hub in hubs {
        table.line(hub.name.to_string());
        for endpoint in &hub.endpoints {
            table.row(vec![
                format!("{} {}{}", answered(endpoint), endpoint.region, weight(endpoint)),
                measured(endpoint, blind),
                endpoint.effective.word().into(),
                endpoint.mark.as_ref().map(|mark| mark.mark.kind.word().into()).unwrap_or_default(),
                endpoint.observed.as_ref().map(|last| human(now.since(last.at))).unwrap_or_default(),
                last(endpoint),
            ]);
        }
    }
    table
}

fn measured(endpoint: &EndpointStatus, blind: bool) -> String {
    let word = endpoint.measured.word();
    match (endpoint.stalled || (blind && endpoint.probe.is_some()), &endpoint.unable) {
        (true, _) => format!("{word} (frozen)"),
        (false, Some(_)) => format!("{word} (unable)"),
        (false, None) => word.into(),
    }
}

fn last(endpoint: &EndpointStatus) -> String {
    if let Some(lack) = &endpoint.unable {
        return format!("unable: {lack}");
    }
    match (&endpoint.observed, &endpoint.probe) {
        (Some(last), _) => match &last.failure {
            None => format!("ok, {:.1} ms, {} in a row", last.latency_ms, last.in_a_row),
            Some(failure) => format!("failed {} in a row: {failure}", last.in_a_row),
        },
        (None, Some(_)) => "none yet".into(),
        // An endpoint that is another hub goes by the health of that.
        (None, None) => match endpoint.answer.first().and_then(|answer| answer.strip_prefix("hub ")) {
            Some(inner) => format!("as hub {inner} is"),
            None => "not probed".into(),
        },
    }
}

pub(super) fn marks(marks: &[MarkStatus], now: Timestamp) -> Table {
    let mut table = Table::new(&["MARKED", "AS", "BY", "SINCE", "UNTIL", "WHY"]);
    for MarkStatus { target, mark } in marks {
        let until = match mark.until {
            Some(until) => format!("{until} (in {})", human(until.since(now))),
            None => "unmarked".into(),
        };
        table.row(vec![
            target.to_string(),
            mark.kind.word().into(),
            mark.author.clone(),
            format!("{} ago", human(now.since(mark.since))),
            until,
            mark.reason.clone(),
        ]);
    }
    table
}

pub(super) fn remarks(remarks: &[&RemarkStatus]) -> Table {
    let mut table = Table::new(&["PROBE", "OF", "REMARK"]);
    for RemarkStatus { probe, target, note, .. } in remarks {
        table.row(vec![probe.to_string(), target.clone(), note.clone().unwrap_or_default()]);
    }
    table
}

pub(super) fn lacks(lacks: &[&LackStatus]) -> Table {
    let mut table = Table::new(&["CANNOT OBSERVE", "ON", "FOR"]);
    for LackStatus { probe, target, lack } in lacks {
        table.row(vec![probe.to_string(), target.clone(), lack.clone()]);
    }
    table
}

pub(super) fn windows(windows: &[WindowStatus], now: Timestamp) -> Table {
    let mut table = Table::new(&["WINDOW", "OF", "AS", "BY", "BEGINS", "ENDS", "WHY"]);
    let moment = |at: Timestamp| format!("{at} (in {})", human(at.since(now)));
    for WindowStatus { id, window } in windows {
        let mark = &window.mark;
        let begins = if window.begun { "has begun".into() } else { moment(mark.since) };
        table.row(vec![
            id.clone(),
            window.target.to_string(),
            mark.kind.word().into(),
            mark.author.clone(),
            begins,
            mark.until.map(moment).unwrap_or_default(),
            mark.reason.clone(),
        ]);
    }
    table
}
