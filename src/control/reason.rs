//! The sentences that the log, the API and the CLI share. A sentence about an endpoint always tells both truths: what
//! operators marked and what probes say.

use super::mark::{Mark, MarkTarget};
use crate::health::Health;
use crate::policy::{Hold, RegionName, Waiting};
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
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// The health.
    pub health: Health,
    /// The last observation: when, and what was wrong.
    pub last: Option<(Timestamp, Option<&'a str>)>,
    /// Observations of the same outcome in a row.
    pub in_a_row: u32,
    /// Whether observations have stopped coming.
    pub stalled: bool,
}

/// One endpoint: `westeurope marked down by alice until 2026-11-23T14:00:00Z (disk swap); probes say up, last ok 3 s ago`.
pub fn endpoint(known: &Known<'_>, now: Timestamp) -> String {
    let region = known.region;
    match (known.mark, known.measured) {
        (Some(marked), None) => format!("{region} {}; nothing is probed", mark(marked)),
        (Some(marked), Some(measured)) => {
            format!("{region} {}; probes say {}, {}", mark(marked), measured.health.word(), seen(&measured, now))
        }
        (None, None) => format!("{region} is not probed: its health stays unknown"),
        (None, Some(measured)) => format!("{region} is {}: {}", measured.health.word(), seen(&measured, now)),
    }
}

/// A mark: `marked down by alice until 2026-11-23T14:00:00Z (disk swap)`.
pub fn mark(mark: &Mark) -> String {
    let until = mark.until.map(|until| format!(" until {until}")).unwrap_or_default();
    format!("marked {} by {}{until} ({})", mark.kind.word(), mark.author, mark.reason)
}

fn seen(measured: &Measured<'_>, now: Timestamp) -> String {
    let stalled = if measured.stalled { "; the prober gives no observations, health is frozen" } else { "" };
    let Some((at, failure)) = measured.last else { return format!("not observed yet{stalled}") };
    let age = human(now.since(at));
    let row = measured.in_a_row;
    match failure {
        None => format!("last ok {age} ago, {row} in a row{stalled}"),
        Some(failure) => format!("{row} failed in a row, the last {age} ago: {failure}{stalled}"),
    }
}

/// A change of health: `westeurope is down (was up)`; several regions may share what is probed.
pub fn health(subject: &str, from: Health, to: Health, detail: &str) -> String {
    let (from, to) = (from.word(), to.word());
    format!("{subject} is {to}, was {from}: {detail}")
}

/// A change that waits.
pub fn hold(hold: &Hold, now: Timestamp) -> String {
    let left = human(hold.until.since(now));
    let wanted = &hold.wanted;
    match hold.waiting {
        Waiting::Dwell => {
            format!("the move to {wanted} waits {left} more for the dwell since the last automatic switch")
        }
        Waiting::Verdict => format!("the move to {wanted} waits at most {left} more for its first verdict"),
        Waiting::Failback => format!("{wanted} is preferred and good again; it takes over in {left} if it stays so"),
    }
}

/// A mark that was made or taken away, as the subject of a reply and an audit record.
pub fn marked(target: &MarkTarget, kind: &str, author: &str, reason: &str) -> String {
    format!("{target} marked {kind} by {author} ({reason})")
}

/// A count with its noun: `1 zone`, `3 zones`.
pub fn many(count: impl TryInto<u64>, noun: &str) -> String {
    // A count that does not fit is not one.
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
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
            Some(Measured { health, last: Some((Timestamp(997_000), failure)), in_a_row: 4, stalled: false })
        };
        check(
            marked(Some(Timestamp(1_800_000))),
            measured(Health::Up, None),
            "westeurope marked down by alice until 1970-01-01T00:30:00Z (disk swap); probes say up, last ok 3 s ago, \
             4 in a row",
        );
        check(marked(None), None, "westeurope marked down by alice (disk swap); nothing is probed");
        check(
            None,
            measured(Health::Down, Some("connect 127.0.0.1:1: connection refused")),
            "westeurope is down: 4 failed in a row, the last 3 s ago: connect 127.0.0.1:1: connection refused",
        );
        let silent = Measured { health: Health::Unknown, last: None, in_a_row: 0, stalled: true };
        check(
            None,
            Some(silent),
            "westeurope is unknown: not observed yet; the prober gives no observations, health is frozen",
        );
        check(None, None, "westeurope is not probed: its health stays unknown");
    }
}
