//! What somebody may have to act on: of the daemon itself, and of each hub.

use std::time::Duration;

use super::{is_stateless, usable};
use crate::control::moves::Stage;
use crate::control::reason::many;
use crate::control::report::{Condition, HoldStatus, HubStatus, MoveStatus, SightStatus, Status};
use crate::dns::Name;
use crate::time::{Timestamp, human};

/// The hubs that somebody may have to act on.
pub(super) fn hubs(status: &Status) -> Vec<String> {
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
pub(super) fn daemon(status: &Status) -> Vec<String> {
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
