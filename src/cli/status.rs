//! `concierge status`: what one reads first in an incident.

use clap::Args;
use comfy_table::{Cell, ContentArrangement, Table, presets};

use super::client::Client;
use super::{Common, Failed, Output, print_json};
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
            status.hubs.retain(|hub| hub.name.is_at_or_below(wanted));
            if status.hubs.is_empty() {
                return Err(Failed::Sentence(format!(
                    "no hub at or below {wanted}; `concierge status` shows them all"
                )));
            }
        }
        match common.output {
            Output::Json => print_json(&status),
            Output::Text => {
                print!("{}", render(&status));
                Ok(())
            }
        }
    }
}

/// The whole page: what is wrong comes first, then the hubs, then the endpoints, then the marks.
pub(super) fn render(status: &Status) -> String {
    let mut page = String::new();
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    let now = status.now;
    line(format!(
        "concierge {}  up {}  {} zones  {} hubs  snapshot {}  {now}",
        status.version,
        human(now.since(status.started)),
        status.zones.len(),
        status.hubs.len(),
        status.generation,
    ));
    for alarm in alarms(status) {
        line(format!("! {alarm}"));
    }
    line(String::new());
    line(hubs(&status.hubs, now));
    line(String::new());
    line(endpoints(&status.hubs, now));
    if !status.marks.is_empty() {
        line(String::new());
        line(marks(&status.marks, now));
    }
    for hub in status.hubs.iter().filter(|hub| hub.condition != Condition::Ok || hub.hold.is_some()) {
        line(String::new());
        line(why(hub));
    }
    page
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
            "the last reload ({} ago) was refused, older answers stay: {} problems, the first: {first}",
            human(status.now.since(status.reload.at)),
            status.reload.problems.len()
        ));
    }
    if status.probers.stalled > 0 {
        alarms.push(format!("{} probers give no observations: their health is frozen", status.probers.stalled));
    }
    if status.totals.commits_failed > 0 {
        alarms.push(format!("the store refused {} changes since the start: see the log", status.totals.commits_failed));
    }
    alarms
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

fn hubs(hubs: &[HubStatus], now: Timestamp) -> String {
    let mut table = table(&["HUB", "ACTIVE", "EPOCH", "SINCE", "CONDITION", "TTL", "ANSWER"]);
    for hub in hubs {
        table.add_row([
            hub.name.to_string(),
            if hub.all { "all".into() } else { hub.active.to_string() },
            hub.epoch.to_string(),
            format!("{} ago", human(now.since(hub.since))),
            hub.condition.word().into(),
            format!("{} s", hub.ttl),
            hub.answer.join(", "),
        ]);
    }
    table.to_string()
}

fn endpoints(hubs: &[HubStatus], now: Timestamp) -> String {
    let mut table = table(&["", "ENDPOINT", "REGION", "MEASURED", "EFFECTIVE", "LAST OBSERVATION", "AGE", "MARK"]);
    for hub in hubs {
        for (at, endpoint) in hub.endpoints.iter().enumerate() {
            let owner = if at == 0 { hub.name.to_string() } else { String::new() };
            table.add_row([
                Cell::new(if endpoint.active { "*" } else { "" }),
                Cell::new(owner),
                Cell::new(&endpoint.region),
                Cell::new(measured(endpoint)),
                Cell::new(endpoint.effective.word()),
                Cell::new(last(endpoint)),
                Cell::new(endpoint.observed.as_ref().map(|last| human(now.since(last.at))).unwrap_or_default()),
                Cell::new(endpoint.mark.as_ref().map(mark).unwrap_or_default()),
            ]);
        }
    }
    table.to_string()
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

fn mark(mark: &MarkStatus) -> String {
    let until = mark.mark.until.map(|until| format!(" until {until}")).unwrap_or_default();
    format!("{} by {}{until}: {}", mark.mark.kind.word(), mark.mark.author, mark.mark.reason)
}

fn marks(marks: &[MarkStatus], now: Timestamp) -> String {
    let mut table = table(&["MARKED", "AS", "BY", "SINCE", "UNTIL", "WHY"]);
    for MarkStatus { target, mark } in marks {
        let until = match mark.until {
            Some(until) => format!("{until} (in {})", human(until.since(now))),
            None => "unmarked".into(),
        };
        table.add_row([
            target.to_string(),
            mark.kind.word().into(),
            mark.author.clone(),
            format!("{} ago", human(now.since(mark.since))),
            until,
            mark.reason.clone(),
        ]);
    }
    table.to_string()
}

/// Why one hub answers as it does: the last change, what waits, and both truths of each endpoint.
pub(super) fn why(hub: &HubStatus) -> String {
    let mut lines = vec![format!("{}: {}, epoch {}, {}", hub.name, hub.active, hub.epoch, hub.condition.word())];
    lines.push(format!("  active since {} ({}): {}", hub.since, hub.cause.word(), hub.reason));
    if let Some(hold) = &hub.hold {
        lines.push(format!("  waiting: {}", hold.reason));
    }
    lines.extend(hub.endpoints.iter().map(|endpoint| {
        let active = if endpoint.active { "*" } else { " " };
        format!("  {active} {} ({})", endpoint.reason, endpoint.effective.word())
    }));
    lines.join("\n")
}
