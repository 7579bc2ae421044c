//! `concierge plan`, and how a plan is shown.
#![expect(clippy::disallowed_methods, reason = "I/O shell: `--at` and `--until` count from the machine's clock")]

use std::time::Duration;

use clap::Args;

use super::client::{Client, ClientError, escape};
use super::gate::{open, whose};
use super::table::{Table, fold};
use super::{Common, Failed, Output, moves, operators, print, print_json, when};
use crate::control::moves::MoveOptions;
use crate::control::plan::{Outcome, Plan};
use crate::control::reason::many;
use crate::dns::Name;
use crate::policy::RegionName;
use crate::time::{Timestamp, human};

/// Show what a move of a hub would be. Nothing is done.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows the health of both regions, every gate with its evidence and age, what stands in the way and what overrides it, \
the budget, safety rules, who is told (fence), who has to approve, the old and the new answer, and when what happens, up \
to the moment when 99 % of resolvers have moved, with the arithmetic and what it takes for granted. Exit code 0 whether \
the move could begin or not: `--output json` says so in `outcome`.

Examples:  concierge plan hub.example.net --to northeurope
           concierge plan hub.example.net --to northeurope --at 02:00
           concierge plan hub.example.net --failback")]
pub(super) struct PlanArgs {
    /// The hub
    #[arg(value_parser = moves::name)]
    hub: Name,
    /// The region that would become active
    #[arg(long, value_name = "REGION", value_parser = moves::region, required_unless_present = "failback")]
    to: Option<RegionName>,
    /// The way back, to the preferred region: the first of the hub's endpoints
    #[arg(long, conflicts_with = "to")]
    failback: bool,
    #[command(flatten)]
    how: How,
}

/// How a move is to be done.
#[derive(Debug, Args)]
pub(super) struct How {
    /// Do not lower the TTL first: switch at once
    #[arg(long)]
    now: bool,
    /// When the switch is to be: a length (2h30m), this machine's clock (14:00) or RFC 3339 [default: as soon as it can be]
    #[arg(long, value_name = "TIME", conflicts_with = "now")]
    at: Option<String>,
    /// When it is given up if it has not switched; shut gates are waited for until then [default: they refuse it]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Go through shut gates, and on without a fence that has failed; recorded, and shown until acknowledged
    #[arg(long)]
    force: bool,
    /// Go over the budget and against safety rules, and say why; recorded, and shown until acknowledged
    #[arg(long, value_name = "WHY")]
    break_glass: Option<String>,
    /// The epoch that the move was planned at, as `plan` and `status` show it [default: that of this moment]
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<u64>,
}

impl How {
    /// The same with points in time.
    pub(super) fn options(&self) -> Result<MoveOptions, Failed> {
        let now = jiff::Zoned::now();
        let time = |text: &Option<String>| text.as_deref().map(|text| when::parse(text, &now)).transpose();
        Ok(MoveOptions {
            epoch: self.epoch,
            at: time(&self.at).map_err(Failed::Usage)?,
            until: time(&self.until).map_err(Failed::Usage)?,
            now: self.now,
            force: self.force,
            break_glass: self.break_glass.clone(),
        })
    }
}

impl PlanArgs {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let plan = ask(client, &self.hub, self.to.as_ref(), &self.how.options()?).await?;
        match common.output {
            Output::Json => print_json(&plan),
            Output::Text => print::line(render(&plan, print::width())),
        }
    }
}

/// Has the daemon plan a move, to the preferred region without `to`.
pub(super) async fn ask(
    client: &Client,
    hub: &Name,
    to: Option<&RegionName>,
    options: &MoveOptions,
) -> Result<Plan, ClientError> {
    let MoveOptions { epoch, at, until, now, force, break_glass } = options;
    let mut query = vec![format!("now={now}&force={force}")];
    query.extend(to.map(|to| format!("to={}", escape(to.as_str()))));
    query.extend(epoch.map(|epoch| format!("epoch={epoch}")));
    query.extend(at.map(|at| format!("at={}", at.0)));
    query.extend(until.map(|until| format!("until={}", until.0)));
    query.extend(break_glass.as_ref().map(|why| format!("break_glass={}", escape(why))));
    client.get(&format!("{}?{}", operators::path(hub, "plan"), query.join("&"))).await
}

/// The whole plan.
pub(super) fn render(plan: &Plan, width: Option<usize>) -> String {
    let Plan { hub, cause, from, to, epoch, .. } = plan;
    let mut page = vec![format!("{hub}: {} {from} -> {to}, planned at epoch {epoch}", cause.word())];
    let verdict = match plan.outcome {
        Outcome::Refused => format!("it would be refused: {}", plan.verdict),
        _ => plan.verdict.clone(),
    };
    page.push(fold("  ", &verdict, width));
    if plan.outcome == Outcome::Already {
        return page.join("\n");
    }
    page.push(String::new());
    page.push(evidence(plan).render(width));
    page.push(String::new());
    page.push(timeline(plan).render(width));
    page.push(String::new());
    page.extend(plan.estimate.assumptions.iter().map(|taken| fold("  taken for granted: ", taken, width)));
    page.join("\n")
}

/// What speaks for and against it.
fn evidence(plan: &Plan) -> Table {
    let mut table = Table::default();
    let mut row = |what: &str, text: String| table.row(vec![format!("  {what}"), text]);
    for endpoint in &plan.endpoints {
        let role = if endpoint.region == plan.to {
            "to"
        } else if endpoint.active {
            "from"
        } else {
            "beside"
        };
        row(role, format!("{} ({})", endpoint.reason, endpoint.effective.word()));
    }
    row("answer", format!("{} -> {}", plan.answer.before.join(", "), plan.answer.after.join(", ")));
    for gate in &plan.gates {
        let age = gate.age_ms.map(|age| format!(" {} ago", human(Duration::from_millis(age)))).unwrap_or_default();
        let concerned = if gate.concerned { "this move has to pass it" } else { "not for this move" };
        let status = &gate.status;
        row(
            &format!("gate {}", status.gate),
            format!("{}{age}: {} ({concerned}; {})", open(status.open), status.evidence, whose(status)),
        );
    }
    for rule in &plan.rules {
        let broken = if rule.broken { "this move would break it" } else { "this move keeps it" };
        row(&format!("rule {}", rule.rule), format!("{}; {broken}", rule.sentence));
    }
    if let Some(budget) = &plan.budget {
        let until = budget.until.map(|until| format!(", the next one at {until}")).unwrap_or_default();
        let period = human(Duration::from_millis(budget.period_ms));
        row("budget", format!("{} of {} switches in {period} are used{until}", budget.used, budget.allowed));
    }
    if let Some(fence) = &plan.fence {
        let after = match fence.proceeds {
            true => "and goes on without an acknowledgement",
            false => "and does not switch without an acknowledgement",
        };
        let timeout = human(Duration::from_millis(fence.timeout_ms));
        row("fence", format!("{}, waits {timeout} at most, {after}", fence.called));
        fence.failed.iter().for_each(|failed| row("fence failed", failed.clone()));
    }
    if plan.approvals > 1 {
        row(
            "approvals",
            format!("{}: another one says `concierge approve {}`", many(plan.approvals, "operator"), plan.hub),
        );
    }
    for change in &plan.changes {
        row("before that", change.clone());
    }
    for objection in &plan.objections {
        let what = if objection.overridden { "overrides" } else { "against it" };
        row(what, objection.sentence.clone());
    }
    table
}

/// When what happens.
fn timeline(plan: &Plan) -> Table {
    let (line, now) = (&plan.timeline, plan.now);
    let mut table = Table::default();
    let mut moments = Vec::new();
    let mut row = |at: Timestamp, text: String| moments.push((at, text));
    if let Some(by) = line.approve_by {
        row(by, "by then it has to be approved, and what follows counts from the approval".into());
    }
    if let Some(ramp) = line.ramp {
        let ttl = plan.answer.ttl_at_switch;
        row(ramp, format!("the TTL is lowered to {ttl} s, and answers with the old one are waited out"));
    }
    let fence = match line.fence_ms {
        0 => String::new(),
        fence => format!(", up to {} later for the fence", human(Duration::from_millis(fence))),
    };
    row(line.switch, format!("switch to {}, epoch {}{fence}", plan.to, plan.epoch + 1));
    row(plan.estimate.at, format!("{} % of resolvers have moved: {}", plan.estimate.percent, plan.estimate.arithmetic));
    row(line.old_over, "the last answer of before is over, for resolvers that keep to the TTL".into());
    if let Some(until) = line.low_ttl_until {
        row(until, "the TTL goes back".into());
    }
    if let Some(until) = line.given_up {
        row(until, "it is given up if it has not switched before".into());
    }
    moments.sort_by_key(|(at, _)| *at);
    for (at, text) in moments {
        let left = match now.since(at).as_secs() {
            _ if at > now => format!("in {}", human(at.since(now))),
            0 => "now".into(),
            _ => format!("{} ago", human(now.since(at))),
        };
        table.row(vec![format!("  {at}"), left, text]);
    }
    if let (Some(rto), Some(within)) = (plan.rto_ms, plan.estimate.within_rto) {
        let rto = human(Duration::from_millis(rto));
        let kept = if within { "within" } else { "longer than" };
        table.line(format!("  from the switch to {} %: {kept} the hub's rto of {rto}", plan.estimate.percent));
    }
    table
}
