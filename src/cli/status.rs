//! `concierge status`: what one reads first in an incident.

use std::time::Duration;

use clap::Args;

use super::client::Client;
use super::table::{Table, fold};
use super::{Common, Failed, Output, print, print_json};
use crate::control::commands::unknown;
use crate::control::known::NoticeKind;
use crate::control::moves::Stage;
use crate::control::reason::many;
use crate::control::report::{
    Condition, Effective, EndpointStatus, HoldStatus, HubStatus, LackStatus, MarkStatus, MoveStatus, RemarkStatus,
    SightStatus, Status, WindowStatus,
};
use crate::dns::Name;
use crate::policy::RegionName;
use crate::time::{Timestamp, human};

/// Show what is active, since when and why, and how every endpoint is.
#[derive(Debug, Args)]
#[command(after_help = "\
What somebody may have to act on comes first, after `!`: blindness, refused files, hubs that are held, pinned or without \
an eligible endpoint, moves that wait for an approval, a gate or a fence, moves that stopped by themselves, regions told \
that they are left that stay, what was overridden; the last three until `concierge acknowledge`. Then hubs, endpoints as measured and as they count, \
marks, windows and gates; then why the hubs with something to tell answer as they do. A hub that is named tells all: its \
planned move, gates with evidence and age, budget, and what shadow probes would have done.

Examples:  concierge status
           concierge status hub.example.net
           concierge status --output json | jq '.hubs[] | select(.condition != \"ok\").name'")]
pub(super) struct StatusArgs {
    /// Only this hub, and the hubs below this name
    #[arg(value_parser = super::moves::name)]
    hub: Option<Name>,
}

impl StatusArgs {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let mut status: Status = client.get("/v1/status").await?;
        only(&mut status, self.hub.as_ref())?;
        match common.output {
            Output::Json => print_json(&status),
            Output::Text => print::line(page(&status, self.hub.is_some(), print::width())),
        }
    }
}

/// Leaves the hubs at or below a name alone.
pub(super) fn only(status: &mut Status, wanted: Option<&Name>) -> Result<(), Failed> {
    let Some(wanted) = wanted else { return Ok(()) };
    let known: Vec<_> = status.hubs.iter().map(|hub| hub.name.to_string()).collect();
    status.hubs.retain(|hub| hub.name.is_at_or_below(wanted));
    if status.hubs.is_empty() {
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        return Err(Failed::Sentence(unknown("hub at or below", &wanted.to_string(), &known)));
    }
    Ok(())
}

/// The page of everything.
pub(super) fn render(status: &Status, width: Option<usize>) -> String {
    page(status, false, width)
}

/// The whole page: what is wrong comes first, then the hubs, the endpoints, the gates, the marks and windows. Hubs that
/// were asked for by name are explained whether there is something to say or not.
fn page(status: &Status, by_name: bool, width: Option<usize>) -> String {
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
    let (alarms, hubs_in_alarm) = (alarms(status), hub_alarms(status));
    for alarm in alarms.iter().chain(hubs_in_alarm.iter().take(EXPLAINED)) {
        line(fold("! ", alarm, width));
    }
    if hubs_in_alarm.len() > EXPLAINED {
        line(format!("! and {} like these", many(hubs_in_alarm.len() - EXPLAINED, "more hub")));
    }
    line(String::new());
    line(hubs(&status.hubs, now).render(width));
    line(String::new());
    line(endpoints(&status.hubs, status.sight.blind, now).render(width));
    if !status.marks.is_empty() {
        line(String::new());
        line(marks(&status.marks, now).render(width));
    }
    if !status.windows.is_empty() {
        line(String::new());
        line(windows(&status.windows, now).render(width));
    }
    if !status.gates.is_empty() {
        line(String::new());
        line(super::gate::evidence(&status.gates, now).render(width));
    }
    let lacks: Vec<_> = status.lacks.iter().filter(|lack| !by_name && !is_shown(lack, &status.hubs)).collect();
    if !lacks.is_empty() {
        line(String::new());
        line(self::lacks(&lacks[..lacks.len().min(EXPLAINED)]).render(width));
        if lacks.len() > EXPLAINED {
            line(format!("and {} like these", lacks.len() - EXPLAINED));
        }
    }
    let remarks: Vec<_> = status.remarks.iter().filter(|remark| remark.note.is_some()).collect();
    if !remarks.is_empty() {
        line(String::new());
        line(self::remarks(&remarks[..remarks.len().min(EXPLAINED)]).render(width));
        if remarks.len() > EXPLAINED {
            line(format!("and {} like these", many(remarks.len() - EXPLAINED, "more remark")));
        }
    }
    let mut noted: Vec<_> = status.hubs.iter().filter(|hub| by_name || noteworthy(hub, now)).collect();
    noted.sort_by_key(|hub| match hub.condition {
        Condition::AllDown => 0,
        Condition::Held => 1,
        Condition::Degraded => 2,
        Condition::Ok => 3,
    });
    for hub in noted.iter().take(EXPLAINED) {
        line(String::new());
        line(about(hub, Some(now), width));
    }
    if noted.len() > EXPLAINED {
        line(String::new());
        let more = many(noted.len() - EXPLAINED, "more hub");
        line(fold("", &format!("and {more} to look at: `concierge status HUB` says why"), width));
    }
    page.join("\n")
}

/// Hubs that are explained at most, the worst first. A region that fails may touch thousands, and all for one reason.
const EXPLAINED: usize = 10;

/// Whether more can be said of a hub than that it answers its preferred region and all is well.
fn noteworthy(hub: &HubStatus, now: Timestamp) -> bool {
    let watched =
        hub.pinned || !hub.overrides.is_empty() || !hub.notices.is_empty() || move_to_show(hub, Some(now)).is_some();
    let shadowed = hub.endpoints.iter().any(|endpoint| endpoint.shadow.is_some());
    hub.condition != Condition::Ok || hub.hold.is_some() || away_from(hub).is_some() || watched || shadowed
}

/// How long a move that is over is still shown, where it is not asked for.
const RECENT: Duration = Duration::from_hours(1);

/// The planned move of a hub, if it is under way or was so a while ago.
fn move_to_show(hub: &HubStatus, now: Option<Timestamp>) -> Option<&MoveStatus> {
    let noticed = hub.notices.iter().any(|notice| notice.kind == NoticeKind::Stopped);
    hub.planned.as_ref().filter(|planned| match (&planned.planned.stage, now) {
        (Stage::Stopped { .. }, _) if noticed => true,
        (Stage::Done { at, .. } | Stage::Stopped { at, .. }, Some(now)) => now.since(*at) < RECENT,
        _ => true,
    })
}

/// The preferred region, when another one is active and nothing but an operator's word is missing to go back.
fn away_from(hub: &HubStatus) -> Option<&EndpointStatus> {
    let preferred = hub.endpoints.first().filter(|_| !is_stateless(hub))?;
    let free = !preferred.active && preferred.effective == Effective::Eligible && hub.hold.is_none() && !hub.all;
    free.then_some(preferred)
}

/// The hubs that somebody may have to act on.
fn hub_alarms(status: &Status) -> Vec<String> {
    let mut alarms = Vec::new();
    for hub in &status.hubs {
        match hub.condition {
            Condition::AllDown if is_stateless(hub) => {
                alarms.push(format!("{}: no endpoint is usable; answered is {}", hub.name, usable(hub)));
            }
            Condition::AllDown => {
                let answered =
                    if hub.all { "all endpoints are answered".into() } else { format!("{} is answered", hub.active) };
                alarms.push(format!("{}: no endpoint is eligible; {answered}", hub.name));
            }
            Condition::Held => {
                let why = hub.hold.as_ref().map(|hold| format!(": {}{}", hold.reason, way_through(hub, hold)));
                let why = why.unwrap_or_default();
                alarms.push(format!("{}: {} is not eligible and is still answered{why}", hub.name, hub.active))
            }
            Condition::Ok | Condition::Degraded => {}
        }
        if hub.pinned {
            alarms.push(format!(
                "{} has been flapping and is pinned to {}: it moves by itself again when somebody says `concierge \
                 acknowledge {} --reason ...`",
                hub.name, hub.active, hub.name
            ));
        }
        alarms.extend(hub.planned.as_ref().and_then(|planned| waiting(planned, &hub.name)));
        alarms.extend(hub.notices.iter().map(|notice| {
            let ago = human(status.now.since(notice.at));
            format!(
                "{} ({ago} ago); `concierge acknowledge {} --reason ...` when that was seen",
                notice.sentence, hub.name
            )
        }));
        if let Some(last) = hub.overrides.last() {
            let more = match hub.overrides.len() {
                1 => String::new(),
                count => format!(", and {} before", count - 1),
            };
            alarms.push(format!(
                "{}: {} has overridden what protects it ({}), epoch {}{more}; `concierge acknowledge {} --reason \
                 ...` when that was seen",
                hub.name, last.author, last.why, last.epoch, hub.name
            ));
        }
    }
    alarms
}

/// Time ahead of the expiry of the certificate in which somebody should have renewed it.
const EXPIRES_SOON: Duration = Duration::from_hours(2 * 24);

/// What an operator may say when what holds a move is wrong, where the reason does not say it itself.
fn way_through(hub: &HubStatus, hold: &HoldStatus) -> String {
    let option = match hold.waiting.as_str() {
        "budget" | "rule" => "--break-glass WHY",
        "gate" => "--force",
        _ => return String::new(),
    };
    format!(
        "; if that is wrong, `concierge failover {} --to {} --now {option}` goes all the same",
        hub.name, hold.wanted
    )
}

/// That a planned move goes on only when somebody has done something, or something outside has.
fn waiting(planned: &MoveStatus, hub: &Name) -> Option<String> {
    let MoveStatus { planned, sentence } = planned;
    match planned.stage {
        Stage::Approval { .. } => {
            Some(format!("{sentence}; another operator says `concierge approve {hub} --epoch {}`", planned.epoch))
        }
        Stage::Ready { held: Some(_), .. } => Some(sentence.clone()),
        _ => None,
    }
}

/// What is wrong with the daemon itself.
fn alarms(status: &Status) -> Vec<String> {
    let mut alarms = Vec::new();
    if status.sight.blind {
        alarms.push(blind(&status.sight, status.now));
    }
    if !status.reload.ok {
        let first = status.reload.problems.first().map_or("", String::as_str);
        alarms.push(format!(
            "the last reload ({} ago) was refused, older answers stay: {}, the first: {first}",
            human(status.now.since(status.reload.at)),
            many(status.reload.problems.len(), "problem")
        ));
    }
    if let Some(databases) = status.databases.as_ref().filter(|databases| !databases.ok) {
        alarms.push(format!(
            "databases have changed and cannot be read, clients are classed by those read {} ago: {}",
            human(status.now.since(databases.at)),
            databases.problems.join("; ")
        ));
    }
    if let Some(certificate) = &status.certificate {
        let path = &certificate.path;
        let left = certificate.expires.since(status.now);
        if let Some(problem) = &certificate.problem {
            alarms.push(format!("the certificate cannot be renewed, the one before stays in use: {problem}"));
        }
        if left.is_zero() {
            alarms.push(format!("the certificate {path} has expired at {}", certificate.expires));
        } else if left < EXPIRES_SOON {
            alarms.push(format!("the certificate {path} expires in {}, at {}", human(left), certificate.expires));
        }
    }
    if status.probers.stalled > 0 {
        alarms.push(format!("no observations from {}: health is frozen there", many(status.probers.stalled, "prober")));
    }
    if status.probers.unable > 0 {
        let first = status.lacks.first();
        let why =
            first.map(|first| format!("; {} on {}: {}", first.probe, first.target, first.lack)).unwrap_or_default();
        let probers = many(status.probers.unable, "prober");
        alarms.push(format!("this machine lacks what {probers} need to observe, and no health changes there{why}"));
    }
    if status.totals.commits_failed > 0 {
        alarms.push(format!(
            "the store could not keep {} since the start; while that number grows, nothing can move or be marked: see \
             the log, and whether the state folder's disk is full or read-only",
            many(status.totals.commits_failed, "change")
        ));
    }
    alarms
}

/// That this node is cut off, since when, and what that means.
fn blind(sight: &SightStatus, now: Timestamp) -> String {
    let since = match sight.since {
        Some(since) => format!("for {}, since {since}", human(now.since(since))),
        None => "since the start".into(),
    };
    let why = match (sight.references, sight.seen) {
        (0, _) => "everything that it probes, in every region, began to fail at once".to_owned(),
        (references, None) => format!("it has reached none of its {}", many(references, "reference")),
        (references, Some(seen)) => {
            let ago = human(now.since(seen));
            format!("it reaches none of its {}, the last time {ago} ago", many(references, "reference"))
        }
    };
    format!(
        "this node is blind {since}: {why}. Health is frozen as it was, and no hub moves because of it; operators' marks \
         and moves work"
    )
}

fn hubs(hubs: &[HubStatus], now: Timestamp) -> Table {
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

/// Whether the hub has no active region.
fn is_stateless(hub: &HubStatus) -> bool {
    hub.active.as_str().is_empty()
}

/// The regions that a hub without an active region answers out of.
fn usable(hub: &HubStatus) -> String {
    hub.usable.iter().map(RegionName::as_str).collect::<Vec<_>>().join(", ")
}

/// Measured and effective state side by side; `*` is the active region, or one that is usable
/// where there is none, and why a mark was made stands with the marks.
fn endpoints(hubs: &[HubStatus], blind: bool, now: Timestamp) -> Table {
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

/// Whether it may be answered.
fn answered(endpoint: &EndpointStatus) -> &'static str {
    if endpoint.active || endpoint.usable { "*" } else { " " }
}

/// ` (weight 3)`.
fn weight(endpoint: &EndpointStatus) -> String {
    endpoint.weight.map(|weight| format!(" (weight {weight})")).unwrap_or_default()
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

fn remarks(remarks: &[&RemarkStatus]) -> Table {
    let mut table = Table::new(&["PROBE", "OF", "REMARK"]);
    for RemarkStatus { probe, target, note, .. } in remarks {
        table.row(vec![probe.to_string(), target.clone(), note.clone().unwrap_or_default()]);
    }
    table
}

fn lacks(lacks: &[&LackStatus]) -> Table {
    let mut table = Table::new(&["CANNOT OBSERVE", "ON", "FOR"]);
    for LackStatus { probe, target, lack } in lacks {
        table.row(vec![probe.to_string(), target.clone(), lack.clone()]);
    }
    table
}

/// Whether an endpoint says it itself. References, shadows and members of composites have no line of their own.
fn is_shown(lack: &LackStatus, hubs: &[HubStatus]) -> bool {
    let LackStatus { probe, target, .. } = lack;
    let of = format!("{probe} on {target}");
    hubs.iter().flat_map(|hub| &hub.endpoints).any(|endpoint| endpoint.probe.as_ref() == Some(&of))
}

fn windows(windows: &[WindowStatus], now: Timestamp) -> Table {
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

/// Why one hub answers as it does, said without a moment to count ages to.
pub(super) fn why(hub: &HubStatus, width: Option<usize>) -> String {
    about(hub, None, width)
}

/// Why one hub answers as it does: the last change, what waits and may not pass, and both truths of each endpoint.
fn about(hub: &HubStatus, now: Option<Timestamp>, width: Option<usize>) -> String {
    let mut lines = Vec::new();
    if is_stateless(hub) {
        lines.push(format!("{}: {} of {}, {}", hub.name, hub.policy, usable(hub), hub.condition.word()));
        lines.push(fold("  ", &format!("usable since {}; the reason then: {}", hub.since, hub.reason), width));
    } else {
        lines.push(format!("{}: {}, epoch {}, {}", hub.name, hub.active, hub.epoch, hub.condition.word()));
        let cause = hub.cause.word();
        lines.push(fold(
            "  ",
            &format!("active since {} ({cause}); the reason then: {}", hub.since, hub.reason),
            width,
        ));
    }
    if let Some(hold) = &hub.hold {
        lines.push(fold("  waiting: ", &hold.reason, width));
    }
    if let Some(drill) = &hub.drill {
        let sentence = format!("{}; it is given up at {}", drill.sentence, drill.until);
        lines.push(fold("  drill: ", &sentence, width));
    }
    if let Some(planned) = move_to_show(hub, now) {
        lines.push(fold("  move: ", &planned.sentence, width));
        if matches!(planned.planned.stage, Stage::Approval { .. }) {
            let sentence = format!("`concierge approve {} --epoch {}`", hub.name, planned.planned.epoch);
            lines.push(fold("  to approve: ", &sentence, width));
        }
    }
    if hub.pinned {
        lines.push(fold(
            "  pinned: ",
            "it does not move by itself until somebody acknowledges that it was flapping",
            width,
        ));
    }
    for done in &hub.overrides {
        let sentence =
            format!("{} by {} ({}), epoch {}: {}", done.at, done.author, done.why, done.epoch, done.what.join("; "));
        lines.push(fold("  overridden: ", &sentence, width));
    }
    for gate in &hub.gates {
        let age = gate.at.zip(now).map(|(at, now)| format!(" {} ago", human(now.since(at)))).unwrap_or_default();
        let state = super::gate::open(gate.open);
        let sentence = format!("{} is {state}{age}: {} ({})", gate.gate, gate.evidence, super::gate::whose(gate));
        lines.push(fold("  gate: ", &sentence, width));
    }
    if let Some(budget) = &hub.budget {
        let period = human(Duration::from_millis(budget.period_ms));
        let until = budget.until.map(|until| format!(", the next one at {until}")).unwrap_or_default();
        let sentence = format!("{} of {} switches in {period} are used{until}", budget.used, budget.allowed);
        lines.push(fold("  budget: ", &sentence, width));
    }
    if hub.low_ttl {
        lines.push(fold(
            "  ttl: ",
            &format!("{} s, the low one, as it may soon move or has just done so", hub.ttl),
            width,
        ));
    }
    if let Some(preferred) = away_from(hub) {
        let sentence = format!("{} is preferred: `concierge failback {}` moves there", preferred.region, hub.name);
        lines.push(fold("  ", &sentence, width));
    }
    lines.extend(hub.endpoints.iter().map(|endpoint| {
        let marker = format!("  {} ", answered(endpoint));
        fold(&marker, &format!("{}{} ({})", endpoint.reason, weight(endpoint), endpoint.effective.word()), width)
    }));
    let shadowed = hub.endpoints.iter().filter_map(|endpoint| Some((endpoint, endpoint.shadow.as_ref()?)));
    lines.extend(shadowed.map(|(endpoint, shadow)| {
        let failure = match (&shadow.unable, &shadow.failure) {
            (Some(lack), _) => format!(" (unable: {lack})"),
            (None, _) if shadow.stalled => " (frozen: no observations come)".into(),
            (None, Some(failure)) => format!(": {failure}"),
            (None, None) => String::new(),
        };
        let left = match shadow.would_have_left {
            0 => "would not have left".into(),
            1 => "would have left once".into(),
            times => format!("would have left {times} times"),
        };
        let measured = shadow.measured.word();
        let sentence = format!("{}: {} says {measured}{failure}; {left} this week", endpoint.region, shadow.probe);
        fold("  shadow: ", &sentence, width)
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A hub with weu before neu; what is active, and what each endpoint counts as.
    fn hub(name: &str, active: &str, condition: &str, effective: [&str; 2]) -> Value {
        let endpoint = |region: &str, effective: &str| {
            json!({
                "region": region, "active": region == active, "answer": ["A 192.0.2.1"], "probe": null,
                "measured": "unknown", "measured_since": null, "effective": effective, "observed": null,
                "stalled": false, "mark": null, "reason": format!("{region} is not probed"),
            })
        };
        json!({
            "name": name, "active": active, "epoch": 2, "since": 1000, "cause": "health", "reason": "because",
            "condition": condition, "all": false, "ttl": 30, "answer": ["A 192.0.2.1"], "hold": null,
            "endpoints": [endpoint("weu", effective[0]), endpoint("neu", effective[1])],
        })
    }

    fn page(hubs: &[Value]) -> String {
        render(&serde_json::from_value(status(hubs)).unwrap(), None)
    }

    fn status(hubs: &[Value]) -> Value {
        json!({
            "version": "1", "now": 5000, "started": 0, "generation": 1, "hubs": hubs, "zones": [], "names": 0,
            "records": 0, "marks": [], "reload": {"at": 0, "ok": true, "problems": [], "read_ms": 0.0, "compile_ms": 0.0},
            "probers": {"running": 0, "stalled": 0, "restarts": 0},
            "totals": {
                "switches": {}, "observations_good": 0, "observations_failed": 0, "reloads_ok": 0,
                "reloads_refused": 0, "commits_failed": 0, "refused": 0,
            },
        })
    }

    #[test]
    fn a_hub_away_from_its_preferred_region_says_how_to_go_back() {
        let sentence = "\n  weu is preferred: `concierge failback a.x.` moves there\n";
        let check = |active, condition, effective, expected: bool| {
            let page = page(&[hub("a.x.", active, condition, effective)]);
            assert_eq!(page.contains(sentence), expected, "{page}");
        };
        check("neu", "ok", ["eligible", "eligible"], true);
        check("neu", "degraded", ["not-eligible", "eligible"], false);
        check("neu", "degraded", ["drained", "eligible"], false);
        check("weu", "ok", ["eligible", "eligible"], false);
        check("weu", "degraded", ["eligible", "not-eligible"], false);
    }

    /// Nobody may be following a move: what it waits for is where people look first.
    #[test]
    fn a_move_that_waits_is_told_of_before_all_else() {
        let check = |stage: Value, expected: Option<&str>| {
            let mut hub = hub("a.x.", "weu", "ok", ["eligible", "eligible"]);
            hub["planned"] = json!({
                "from": "weu", "to": "neu", "cause": "failover", "epoch": 2, "author": "alice", "reason": "r", "asked": 1,
                "options": {"epoch": null, "at": null, "until": null, "now": true, "force": false, "break_glass": null},
                "approvals": [], "needed": 2, "stage": stage, "sentence": "a.x.: it waits",
            });
            let page = page(&[hub]);
            let found = page.lines().find(|line| line.starts_with("! "));
            assert_eq!(found, expected, "{page}");
        };
        let approve = "! a.x.: it waits; another operator says `concierge approve a.x. --epoch 2`";
        check(json!({"stage": "approval", "until": 9000}), Some(approve));
        check(
            json!({"stage": "ready", "since": 1, "ramped": false, "held": "gate go is shut"}),
            Some("! a.x.: it waits"),
        );
        check(json!({"stage": "ready", "since": 1, "ramped": false, "held": null}), None);
        check(json!({"stage": "scheduled", "until": 9000}), None);
        check(json!({"stage": "ramp", "since": 1, "until": 9000}), None);
        check(json!({"stage": "done", "switched": 1, "at": 2}), None);
    }

    #[test]
    fn what_holds_a_hub_says_what_overrides_it() {
        let check = |waiting: &str, expected: &str| {
            let mut hub = hub("a.x.", "weu", "held", ["not-eligible", "eligible"]);
            hub["hold"] = json!({"wanted": "neu", "waiting": waiting, "since": 1, "until": null, "reason": "because"});
            let page = page(&[hub]);
            let found = page.lines().find(|line| line.starts_with("! ")).unwrap();
            assert_eq!(found, format!("! a.x.: weu is not eligible and is still answered: because{expected}"));
        };
        check("gate", "; if that is wrong, `concierge failover a.x. --to neu --now --force` goes all the same");
        check(
            "budget",
            "; if that is wrong, `concierge failover a.x. --to neu --now --break-glass WHY` goes all the same",
        );
        check(
            "rule",
            "; if that is wrong, `concierge failover a.x. --to neu --now --break-glass WHY` goes all the same",
        );
        check("look", "");
        // Its reason says so itself.
        check("fence", "");
    }

    #[test]
    fn an_endpoint_that_is_a_hub_refers_to_it() {
        let mut outer = hub("a.x.", "weu", "ok", ["eligible", "eligible"]);
        outer["endpoints"][0]["answer"] = json!(["hub b.x."]);
        let page = page(&[outer]);
        assert!(page.contains("  as hub b.x. is\n") && page.ends_with("  not probed"), "{page}");
    }

    /// What no endpoint has a line for is told in a table; what one has is told there.
    #[test]
    fn what_this_machine_lacks_is_told_of_what_has_no_line_of_its_own() {
        let mut hub = hub("a.x.", "weu", "ok", ["eligible", "eligible"]);
        hub["endpoints"][0]["probe"] = json!("broker on 192.0.2.1");
        hub["endpoints"][1]["shadow"] = json!({
            "probe": "deep on 192.0.2.2", "measured": "up", "failure": null, "would_have_left": 0,
            "unable": "no such file",
        });
        let lack = |probe: &str, target: &str| json!({ "probe": probe, "target": target, "lack": "no such file" });
        let mut status: Status = serde_json::from_value(status(&[hub])).unwrap();
        let lacks = json!([lack("broker", "192.0.2.1"), lack("resolver", "192.0.2.53")]);
        (status.lacks, status.probers.unable) = (serde_json::from_value(lacks).unwrap(), 2);
        let page = render(&status, None);
        let said = |text: &str| assert!(page.contains(text), "{page}");
        said("\nCANNOT OBSERVE  ON          FOR\nresolver        192.0.2.53  no such file\n");
        said("\n  shadow: neu: deep on 192.0.2.2 says up (unable: no such file); would not have left this week");
        said("no health changes there; broker on 192.0.2.1: no such file\n");
    }

    /// A region fails under two hundred hubs: what is worst can be read on one screen, and what is left out is counted.
    #[test]
    fn the_worst_hubs_are_explained_and_the_others_counted() {
        let mut hubs: Vec<_> = (0..200)
            .map(|number| hub(&format!("h{number}.x."), "neu", "degraded", ["not-eligible", "eligible"]))
            .collect();
        hubs.push(hub("worst.x.", "weu", "all-down", ["not-eligible", "not-eligible"]));
        let some = page(&hubs);
        assert!(some.ends_with("\n\nand 191 more hubs to look at: `concierge status HUB` says why"), "{some}");
        assert_eq!(some.matches("the reason then").count(), EXPLAINED);
        assert!(some.contains("\n\nworst.x.: weu, epoch 2, all down\n"), "{some}");
        hubs.truncate(EXPLAINED);
        let all = page(&hubs);
        assert!(all.matches("the reason then").count() == EXPLAINED && !all.contains("more hub"), "{all}");
        let down: Vec<_> = (0..12)
            .map(|number| hub(&format!("h{number}.x."), "weu", "all-down", ["not-eligible", "not-eligible"]))
            .collect();
        let down = page(&down);
        assert_eq!(down.matches("\n! h").count(), EXPLAINED);
        assert!(down.contains("\n! and 2 more hubs like these\n"), "{down}");
    }
}
