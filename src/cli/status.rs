//! `concierge status`: what one reads first in an incident.

use clap::Args;

use super::client::Client;
use super::table::{Table, fold};
use super::{Common, Failed, Output, print, print_json};
use crate::control::commands::unknown;
use crate::control::reason::many;
use crate::control::report::{Condition, EndpointStatus, HubStatus, MarkStatus, Status};
use crate::time::{Timestamp, human};

/// Show what is active, since when and why, and how every endpoint is.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only this hub, and the hubs below this name
    #[arg(value_parser = super::moves::name)]
    hub: Option<crate::dns::Name>,
}

impl StatusArgs {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let mut status: Status = client.get("/v1/status").await?;
        if let Some(wanted) = &self.hub {
            let known: Vec<_> = status.hubs.iter().map(|hub| hub.name.to_string()).collect();
            status.hubs.retain(|hub| hub.name.is_at_or_below(wanted));
            if status.hubs.is_empty() {
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                return Err(Failed::Sentence(unknown("hub at or below", &wanted.to_string(), &known)));
            }
        }
        match common.output {
            Output::Json => print_json(&status),
            Output::Text => print::line(render(&status, print::width())),
        }
    }
}

/// The whole page: what is wrong comes first, then the hubs, then the endpoints, then the marks.
pub(super) fn render(status: &Status, width: Option<usize>) -> String {
    let mut page = Vec::new();
    let mut line = |text: String| page.push(text);
    let now = status.now;
    line(format!(
        "concierge {}  up {}  {}  {}  snapshot {}  {now}",
        status.version,
        human(now.since(status.started)),
        many(status.zones.len(), "zone"),
        many(status.hubs.len(), "hub"),
        status.generation,
    ));
    for alarm in alarms(status) {
        line(fold("! ", &alarm, width));
    }
    line(String::new());
    line(hubs(&status.hubs, now).render(width));
    line(String::new());
    line(endpoints(&status.hubs, now).render(width));
    if !status.marks.is_empty() {
        line(String::new());
        line(marks(&status.marks, now).render(width));
    }
    for hub in status.hubs.iter().filter(|hub| hub.condition != Condition::Ok || hub.hold.is_some()) {
        line(String::new());
        line(why(hub, width));
    }
    page.join("\n")
}

/// What somebody may have to act on.
fn alarms(status: &Status) -> Vec<String> {
    let mut alarms = Vec::new();
    for hub in &status.hubs {
        match hub.condition {
            Condition::AllDown => {
                let answered =
                    if hub.all { "all endpoints are answered".into() } else { format!("{} is answered", hub.active) };
                alarms.push(format!("{}: no endpoint is eligible; {answered}", hub.name));
            }
            Condition::Held => {
                alarms.push(format!("{}: {} is not eligible and is still answered", hub.name, hub.active))
            }
            Condition::Ok | Condition::Degraded => {}
        }
    }
    if !status.reload.ok {
        let first = status.reload.problems.first().map_or("", String::as_str);
        alarms.push(format!(
            "the last reload ({} ago) was refused, older answers stay: {}, the first: {first}",
            human(status.now.since(status.reload.at)),
            many(status.reload.problems.len(), "problem")
        ));
    }
    if status.probers.stalled > 0 {
        alarms.push(format!("no observations from {}: health is frozen there", many(status.probers.stalled, "prober")));
    }
    if status.totals.commits_failed > 0 {
        alarms.push(format!(
            "the store could not keep {} since the start: see the log",
            many(status.totals.commits_failed, "change")
        ));
    }
    alarms
}

fn hubs(hubs: &[HubStatus], now: Timestamp) -> Table {
    let mut table = Table::new(&["HUB", "ACTIVE", "EPOCH", "SINCE", "CONDITION", "TTL", "ANSWER"]);
    for hub in hubs {
        table.row(vec![
            hub.name.to_string(),
            if hub.all { "all".into() } else { hub.active.to_string() },
            hub.epoch.to_string(),
            format!("{} ago", human(now.since(hub.since))),
            hub.condition.word().into(),
            format!("{} s", hub.ttl),
            hub.answer.join(", "),
        ]);
    }
    table
}

/// Measured and effective state side by side; `*` is the active region, and why a mark was made stands with the marks.
fn endpoints(hubs: &[HubStatus], now: Timestamp) -> Table {
    let mut table = Table::new(&["ENDPOINTS", "MEASURED", "EFFECTIVE", "MARK", "AGE", "LAST OBSERVATION"]);
    for hub in hubs {
        table.line(hub.name.to_string());
        for endpoint in &hub.endpoints {
            table.row(vec![
                format!("{} {}", if endpoint.active { "*" } else { " " }, endpoint.region),
                measured(endpoint),
                endpoint.effective.word().into(),
                endpoint.mark.as_ref().map(|mark| mark.mark.kind.word().into()).unwrap_or_default(),
                endpoint.observed.as_ref().map(|last| human(now.since(last.at))).unwrap_or_default(),
                last(endpoint),
            ]);
        }
    }
    table
}

fn measured(endpoint: &EndpointStatus) -> String {
    let word = endpoint.measured.word();
    if endpoint.stalled { format!("{word} (frozen)") } else { word.into() }
}

fn last(endpoint: &EndpointStatus) -> String {
    match (&endpoint.observed, &endpoint.probe) {
        (Some(last), _) => match &last.failure {
            None => format!("ok, {:.1} ms, {} in a row", last.latency_ms, last.in_a_row),
            Some(failure) => format!("failed {} in a row: {failure}", last.in_a_row),
        },
        (None, Some(_)) => "none yet".into(),
        (None, None) => "not probed".into(),
    }
}

fn marks(marks: &[MarkStatus], now: Timestamp) -> Table {
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

/// Why one hub answers as it does: the last change, what waits, and both truths of each endpoint.
pub(super) fn why(hub: &HubStatus, width: Option<usize>) -> String {
    let mut lines = vec![format!("{}: {}, epoch {}, {}", hub.name, hub.active, hub.epoch, hub.condition.word())];
    let cause = hub.cause.word();
    lines.push(fold("  ", &format!("active since {} ({cause}); the reason then: {}", hub.since, hub.reason), width));
    if let Some(hold) = &hub.hold {
        lines.push(fold("  waiting: ", &hold.reason, width));
    }
    lines.extend(hub.endpoints.iter().map(|endpoint| {
        let active = if endpoint.active { "  * " } else { "    " };
        fold(active, &format!("{} ({})", endpoint.reason, endpoint.effective.word()), width)
    }));
    lines.join("\n")
}
