//! `concierge gate`: what gates say, and the acknowledgement that one may ask for.
#![expect(clippy::disallowed_methods, reason = "I/O shell: `--until` counts from the machine's clock")]

use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;

use super::client::{Client, author, escape};
use super::table::Table;
use super::{Common, Failed, Output, moves, operators, print, print_json, status, when};
use crate::admin::request::AckRequest;
use crate::control::report::{EvidenceStatus, GateStatus, HubStatus, Moved, Status};
use crate::dns::Name;
use crate::time::{Timestamp, human};

/// Show gates, or give the acknowledgement that one asks for.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
#[command(after_help = "\
Examples:  concierge gate list
           concierge gate list hub.example.net
           concierge gate ack hub.example.net merged-back --reason \"412 identities merged, see the report\"")]
pub(super) struct GateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show every gate: open or shut, its evidence and age, and which moves have to pass it
    List(List),
    /// Give the acknowledgement that a gate asks for, good for the hub's present epoch alone
    Ack(Ack),
}

#[derive(Debug, Args)]
struct List {
    /// Only the gates of this hub, and of the hubs below this name
    #[arg(value_parser = moves::name)]
    hub: Option<Name>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The acknowledgement ends with the hub's epoch: after the next switch it has to be given again. Gates that are looked at \
by http or exec cannot be acknowledged; a move with --force passes them, which is recorded.")]
struct Ack {
    /// The hub
    #[arg(value_parser = moves::name)]
    hub: Name,
    /// The gate
    gate: String,
    /// Why: what was checked, and where it can be read
    #[arg(long, short)]
    reason: String,
    /// When it ends, if the epoch has not changed before: a length (2h30m), this machine's clock (14:00) or RFC 3339
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Who acknowledges it [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

impl GateArgs {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        match &self.what {
            What::List(list) => list.run(client, common).await,
            What::Ack(ack) => ack.run(client, common).await,
        }
    }
}

impl Ack {
    async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let until = self.until.as_deref().map(|text| when::parse(text, &jiff::Zoned::now())).transpose();
        let request = AckRequest {
            reason: self.reason.clone(),
            until: until.map_err(Failed::Usage)?,
            author: Some(author(self.author.as_ref())),
        };
        let path = format!("{}/{}", operators::path(&self.hub, "gates"), escape(&self.gate));
        let moved: Moved = client.send(Method::POST, &path, &request).await?;
        moves::show(&moved, common)
    }
}

/// What `gate list --output json` prints.
#[derive(serde::Serialize)]
struct Gates<'a> {
    gates: &'a [EvidenceStatus],
    hubs: Vec<HubGates<'a>>,
}

#[derive(serde::Serialize)]
struct HubGates<'a> {
    hub: &'a Name,
    epoch: u64,
    gates: &'a [GateStatus],
}

impl List {
    async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let mut status: Status = client.get("/v1/status").await?;
        status::only(&mut status, self.hub.as_ref())?;
        if self.hub.is_some() {
            let used = |gate: &EvidenceStatus| {
                status.hubs.iter().any(|hub| hub.gates.iter().any(|used| used.gate == gate.gate))
            };
            status.gates = status.gates.iter().filter(|gate| used(gate)).cloned().collect();
        }
        let gated = || status.hubs.iter().filter(|hub| !hub.gates.is_empty());
        if common.output == Output::Json {
            let hubs = gated().map(|hub| HubGates { hub: &hub.name, epoch: hub.epoch, gates: &hub.gates });
            return print_json(&Gates { gates: &status.gates, hubs: hubs.collect() });
        }
        if status.gates.is_empty() {
            return print::line(match &self.hub {
                Some(hub) => format!("no gate holds a move of {hub}"),
                None => "the policy has no gates".into(),
            });
        }
        let mut page = vec![evidence(&status.gates, status.now).render(print::width())];
        let hubs: Vec<_> = gated().collect();
        if !hubs.is_empty() {
            page.push(uses(&hubs, status.now).render(print::width()));
        }
        print::line(page.join("\n\n"))
    }
}

/// The gates as they were looked at last.
pub(super) fn evidence(gates: &[EvidenceStatus], now: Timestamp) -> Table {
    let mut table = Table::new(&["GATE", "KIND", "STATE", "AGE", "AT MOST", "EVIDENCE"]);
    for gate in gates {
        let (state, age, most, evidence) = match gate.kind.as_str() {
            "ack" => ("by hub", String::new(), String::new(), "acknowledged for each hub and epoch".into()),
            _ => (
                open(gate.open),
                gate.at.map(|at| human(now.since(at))).unwrap_or_default(),
                human(Duration::from_millis(gate.max_age_ms)),
                gate.evidence.clone().unwrap_or_else(|| "it was not looked at yet".into()),
            ),
        };
        table.row(vec![gate.gate.to_string(), gate.kind.clone(), state.into(), age, most, evidence]);
    }
    table
}

/// Who has to pass which gate.
fn uses(hubs: &[&HubStatus], now: Timestamp) -> Table {
    let mut table = Table::new(&["HUBS", "STATE", "AGE", "MOVES", "EVIDENCE"]);
    for hub in hubs {
        table.line(format!("{} (epoch {})", hub.name, hub.epoch));
        for gate in &hub.gates {
            table.row(vec![
                format!("  {}", gate.gate),
                open(gate.open).into(),
                gate.at.map(|at| human(now.since(at))).unwrap_or_default(),
                whose(gate),
                gate.evidence.clone(),
            ]);
        }
    }
    table
}

/// The moves that have to pass a gate: `failover to northeurope, passes after 10 min`.
pub(super) fn whose(gate: &GateStatus) -> String {
    let direction = match (gate.on_failover, gate.on_failback) {
        (true, true) => "both",
        (true, false) => "failover",
        _ => "failback",
    };
    let to = gate.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
    let after = gate.proceed_after_ms.map(|after| format!(", passes after {}", human(Duration::from_millis(after))));
    format!("{direction}{to}{}", after.unwrap_or_default())
}

pub(super) fn open(open: bool) -> &'static str {
    if open { "open" } else { "shut" }
}
