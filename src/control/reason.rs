//! The sentences that the log, the API and the CLI share. A sentence about an endpoint always tells both truths: what
//! operators marked and what probes say.

use std::sync::Arc;
use std::time::Duration;

use super::mark::{Mark, MarkTarget};
use crate::health::Health;
use crate::policy::{Budget, Hold, RegionName, Waiting};
use crate::time::{Timestamp, human};

/// What is known of one endpoint, for its sentence.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// The endpoint's region.
    pub region: &'a RegionName,
    /// The mark that holds.
    pub mark: Option<&'a Mark>,
    /// What the probes say; `None` when nothing is probed.
    pub measured: Option<Measured<'a>>,
}

/// What the probes say of one endpoint.
#[derive(Clone, Debug)]
pub struct Measured<'a> {
    /// The health.
    pub health: Health,
    /// The last observation: when, and what was wrong.
    pub last: Option<(Timestamp, Option<&'a Arc<str>>)>,
    /// Observations of the same outcome in a row.
    pub in_a_row: u32,
    /// Whether observations have stopped coming.
    pub stalled: bool,
    /// Whether this node is cut off: what it observes does not count.
    pub blind: bool,
    /// What this machine lacks to observe.
    pub unable: Option<Arc<str>>,
}

/// What a sentence tells, without the words: equal facts of one moment make equal sentences.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Facts {
    /// A sentence that is always the same.
    Text(&'static str),
    /// The active region has left the policy.
    Gone(RegionName),
    /// A region preferred to this one takes over.
    Preferred(RegionName),
    /// What is known of an endpoint.
    Endpoint {
        /// Position of its region, and so of the region's mark.
        region: u32,
        /// The endpoint's own position when it is marked itself: such a sentence is not shared.
        own: Option<u32>,
        /// What the probes say; `None` when nothing is probed.
        measured: Option<MeasuredFacts>,
    },
}

/// What a sentence tells of a [`Measured`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MeasuredFacts {
    health: Health,
    /// Age of the last observation as exactly as [`human`] says it, and what was wrong.
    last: Option<(Duration, Option<Arc<str>>)>,
    in_a_row: u32,
    stalled: bool,
    blind: bool,
    unable: Option<Arc<str>>,
}

impl Measured<'_> {
    pub(super) fn facts(&self, now: Timestamp) -> MeasuredFacts {
        let last = self.last.map(|(at, failure)| (shown(now.since(at)), failure.cloned()));
        MeasuredFacts {
            health: self.health,
            last,
            in_a_row: self.in_a_row,
            stalled: self.stalled,
            blind: self.blind,
            unable: self.unable.clone(),
        }
    }
}

/// A length of time without what [`human`] leaves out.
fn shown(length: Duration) -> Duration {
    let seconds = length.as_secs();
    match seconds {
        0 => Duration::from_millis(u64::from(length.subsec_millis())),
        1..3600 => Duration::from_secs(seconds),
        3600..86_400 => Duration::from_secs(seconds / 60 * 60),
        _ => Duration::from_secs(seconds / 3600 * 3600),
    }
}

/// One endpoint: `westeurope marked down by alice until 2026-11-23T14:00:00Z (disk swap); probes say up, last ok 3 s ago`.
pub fn endpoint(known: &Known<'_>, now: Timestamp) -> String {
    let region = known.region;
    match (known.mark, &known.measured) {
        (Some(marked), None) => format!("{region} {}; nothing is probed", mark(marked)),
        (Some(marked), Some(measured)) => format!("{region} {}; {}", mark(marked), probes_say(measured, now)),
        (None, None) => format!("{region} is not probed: its health stays unknown"),
        (None, Some(measured)) => format!("{region} is {}: {}", measured.health.word(), seen(measured, now)),
    }
}

/// A mark: `marked down by alice until 2026-11-23T14:00:00Z (disk swap)`.
pub fn mark(mark: &Mark) -> String {
    let until = mark.until.map(|until| format!(" until {until}")).unwrap_or_default();
    format!("marked {} by {}{until} ({})", mark.kind.word(), mark.author, mark.reason)
}

/// What the probes say, beside what counts: `probes say up, last ok 3 s ago, 5 in a row`.
pub(super) fn probes_say(measured: &Measured<'_>, now: Timestamp) -> String {
    format!("probes say {}, {}", measured.health.word(), seen(measured, now))
}

fn seen(measured: &Measured<'_>, now: Timestamp) -> String {
    let frozen = match (measured.stalled, measured.blind) {
        (true, _) => "; the prober gives no observations, health is frozen",
        (false, true) => "; this node is blind, health is frozen as it was",
        (false, false) => "",
    };
    let unable = measured.unable.as_ref().map(|lack| format!("; this machine cannot observe it: {lack}"));
    let frozen = format!("{frozen}{}", unable.unwrap_or_default());
    let Some((at, failure)) = measured.last else { return format!("not observed yet{frozen}") };
    let age = human(now.since(at));
    let row = measured.in_a_row;
    match failure {
        None => format!("last ok {age} ago, {row} in a row{frozen}"),
        Some(failure) => format!("{row} failed in a row, the last {age} ago: {failure}{frozen}"),
    }
}

/// A change of health: `westeurope is down (was up)`; several regions may share what is probed.
pub fn health(subject: &str, from: Health, to: Health, detail: &str) -> String {
    let (from, to) = (from.word(), to.word());
    format!("{subject} is {to}, was {from}: {detail}")
}

/// A change that waits.
pub fn hold(wanted: &RegionName, hold: &Hold, detail: Option<&str>, now: Timestamp) -> String {
    let left = human(hold.until.map_or(Duration::ZERO, |until| until.since(now)));
    let detail = detail.unwrap_or_default();
    match hold.waiting {
        Waiting::Dwell => {
            format!("the move to {wanted} waits {left} more for the dwell since the last automatic switch")
        }
        Waiting::Verdict => format!("the move to {wanted} waits at most {left} more for its first verdict"),
        Waiting::Failback => format!("{wanted} is preferred and good again; it takes over in {left} if it stays so"),
        Waiting::Look => format!(
            "the move to {wanted} waits at most {left} more for a good look at it since the active region began to fail"
        ),
        Waiting::Sight if !detail.is_empty() => {
            format!("the move to {wanted} waits until this node sees again: {detail}")
        }
        Waiting::Sight => {
            format!(
                "the move to {wanted} waits until a reference is reached and the active region still fails, to be sure that it \
                 is not this node that does"
            )
        }
        Waiting::Pinned => format!(
            "the move to {wanted} waits for an operator: the hub has been flapping and is pinned until somebody says \
             `concierge acknowledge`"
        ),
        Waiting::Budget => format!("the move to {wanted} waits {left} more: {detail}"),
        Waiting::Gate(_) if hold.until.is_some() => {
            format!("the move to {wanted} waits, at most {left} more: {detail}")
        }
        Waiting::Gate(_) | Waiting::Rule(_) => format!("the move to {wanted} waits: {detail}"),
        Waiting::Fence if !detail.is_empty() => {
            format!("the move to {wanted} waits: {detail}; it is told again in {left}")
        }
        Waiting::Fence => {
            format!("the move to {wanted} waits at most {left} more for the region that is left to acknowledge it")
        }
    }
}

/// A mark that was made or taken away, as the subject of a reply and an audit record.
pub fn marked(target: &MarkTarget, kind: &str, author: &str, reason: &str) -> String {
    format!("{target} marked {kind} by {author} ({reason})")
}

/// A budget that allows no more: `the budget of 2 switches a day is used up`.
pub fn budget(budget: &Budget) -> String {
    let period = match budget.period.as_secs() {
        3600 => "an hour".to_owned(),
        86_400 => "a day".to_owned(),
        604_800 => "a week".to_owned(),
        _ => format!("within {}", human(budget.period)),
    };
    format!("the budget of {} {period} is used up", many(budget.switches.get(), "switch"))
}

/// A count with its noun: `1 zone`, `3 zones`, `2 switches`.
pub fn many(count: impl TryInto<u64>, noun: &str) -> String {
    // A count that does not fit is not one.
    let count = count.try_into().unwrap_or(u64::MAX);
    let plural = if noun.ends_with("ch") { "es" } else { "s" };
    format!("{count} {noun}{}", if count == 1 { "" } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::MarkKind;

    fn check(mark: Option<Mark>, measured: Option<Measured<'_>>, expected: &str) {
        let region = RegionName::new("westeurope");
        let known = Known { region: &region, mark: mark.as_ref(), measured };
        assert_eq!(endpoint(&known, Timestamp(1_000_000)), expected);
    }

    /// Two ages that facts hold for equal are said in the same words.
    #[test]
    fn equal_facts_make_equal_sentences() {
        for millis in (0..2_000).chain((0..4_000).map(|n| n * 997)).chain((0..4_000).map(|n| n * 99_991)) {
            let length = Duration::from_millis(millis);
            assert_eq!(human(length), human(shown(length)), "{length:?}");
            assert!(shown(length) <= length);
        }
    }

    #[test]
    fn both_truths_in_one_sentence() {
        let marked = |until| {
            Some(Mark {
                kind: MarkKind::Down,
                reason: "disk swap".into(),
                author: "alice".into(),
                since: Timestamp(0),
                until,
            })
        };
        let measured = |health, failure| {
            Some(Measured {
                health,
                last: Some((Timestamp(997_000), failure)),
                in_a_row: 4,
                stalled: false,
                blind: false,
                unable: None,
            })
        };
        let refused: Arc<str> = "connect 127.0.0.1:1: connection refused".into();
        check(
            marked(Some(Timestamp(1_800_000))),
            measured(Health::Up, None),
            "westeurope marked down by alice until 1970-01-01T00:30:00Z (disk swap); probes say up, last ok 3 s ago, \
             4 in a row",
        );
        check(marked(None), None, "westeurope marked down by alice (disk swap); nothing is probed");
        check(
            None,
            measured(Health::Down, Some(&refused)),
            "westeurope is down: 4 failed in a row, the last 3 s ago: connect 127.0.0.1:1: connection refused",
        );
        let silent =
            Measured { health: Health::Unknown, last: None, in_a_row: 0, stalled: true, blind: false, unable: None };
        check(
            None,
            Some(silent),
            "westeurope is unknown: not observed yet; the prober gives no observations, health is frozen",
        );
        let blind = Measured { blind: true, ..measured(Health::Up, Some(&refused)).unwrap() };
        check(
            None,
            Some(blind),
            "westeurope is up: 4 failed in a row, the last 3 s ago: connect 127.0.0.1:1: connection refused; this node is \
             blind, health is frozen as it was",
        );
        check(None, None, "westeurope is not probed: its health stays unknown");
    }
}
