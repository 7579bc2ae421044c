//! Why one hub answers as it does.

use std::time::Duration;

use super::super::gate;
use super::super::table::fold;
use super::{answered, away_from, is_stateless, move_to_show, usable, weight};
use crate::control::moves::Stage;
use crate::control::report::HubStatus;
use crate::time::{Timestamp, human};

/// Why one hub answers as it does, said without a moment to count ages to.
pub(in crate::cli) fn why(hub: &HubStatus, width: Option<usize>) -> String {
    about(hub, None, width)
}

/// Why one hub answers as it does: the last change, what waits and may not pass, and both truths of each endpoint.
pub(super) fn about(hub: &HubStatus, now: Option<Timestamp>, width: Option<usize>) -> String {
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
        let state = gate::open(gate.open);
        let sentence = format!("{} is {state}{age}: {} ({})", gate.gate, gate.evidence, gate::whose(gate));
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
