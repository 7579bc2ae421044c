//! `concierge status`: what one reads first in an incident.

mod about;
mod alarms;
mod tables;

use std::time::Duration;

use clap::Args;

use self::about::about;
pub(super) use self::about::why;
use super::client::Client;
use super::table::fold;
use super::{Common, Failed, Output, print, print_json};
use crate::control::commands::unknown;
use crate::control::known::NoticeKind;
use crate::control::moves::Stage;
use crate::control::reason::many;
use crate::control::report::{Condition, Effective, EndpointStatus, HubStatus, LackStatus, MoveStatus, Status};
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
    let (alarms, hubs_in_alarm) = (alarms::daemon(status), alarms::hubs(status));
    for alarm in alarms.iter().chain(hubs_in_alarm.iter().take(EXPLAINED)) {
        line(fold("! ", alarm, width));
    }
    if hubs_in_alarm.len() > EXPLAINED {
        line(format!("! and {} like these", many(hubs_in_alarm.len() - EXPLAINED, "more hub")));
    }
    line(String::new());
    line(tables::hubs(&status.hubs, now).render(width));
    line(String::new());
    line(tables::endpoints(&status.hubs, status.sight.blind, now).render(width));
    if !status.marks.is_empty() {
        line(String::new());
        line(tables::marks(&status.marks, now).render(width));
    }
    if !status.windows.is_empty() {
        line(String::new());
        line(tables::windows(&status.windows, now).render(width));
    }
    if !status.gates.is_empty() {
        line(String::new());
        line(super::gate::evidence(&status.gates, now).render(width));
    }
    let lacks: Vec<_> = status.lacks.iter().filter(|lack| !by_name && !is_shown(lack, &status.hubs)).collect();
    if !lacks.is_empty() {
        line(String::new());
        line(tables::lacks(&lacks[..lacks.len().min(EXPLAINED)]).render(width));
        if lacks.len() > EXPLAINED {
            line(format!("and {} like these", lacks.len() - EXPLAINED));
        }
    }
    let remarks: Vec<_> = status.remarks.iter().filter(|remark| remark.note.is_some()).collect();
    if !remarks.is_empty() {
        line(String::new());
        line(tables::remarks(&remarks[..remarks.len().min(EXPLAINED)]).render(width));
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

/// Whether the hub has no active region.
fn is_stateless(hub: &HubStatus) -> bool {
    hub.active.as_str().is_empty()
}

/// The regions that a hub without an active region answers out of.
fn usable(hub: &HubStatus) -> String {
    hub.usable.iter().map(RegionName::as_str).collect::<Vec<_>>().join(", ")
}

/// Whether it may be answered.
fn answered(endpoint: &EndpointStatus) -> &'static str {
    if endpoint.active || endpoint.usable { "*" } else { " " }
}

/// ` (weight 3)`.
fn weight(endpoint: &EndpointStatus) -> String {
    endpoint.weight.map(|weight| format!(" (weight {weight})")).unwrap_or_default()
}

/// Whether an endpoint says it itself. References, shadows and members of composites have no line of their own.
fn is_shown(lack: &LackStatus, hubs: &[HubStatus]) -> bool {
    let LackStatus { probe, target, .. } = lack;
    let of = format!("{probe} on {target}");
    hubs.iter().flat_map(|hub| &hub.endpoints).any(|endpoint| endpoint.probe.as_ref() == Some(&of))
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
