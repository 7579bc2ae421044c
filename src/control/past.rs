//! Why a hub answered what it did at a past time, as the audit trail tells it.
//!
//! Pure: [`Past`] is shown the records from the newest to the oldest and says when it has seen enough. What is told is
//! what was written then; what nobody wrote down (a probe's single observations, files as they were) is not guessed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::chain::Place;
use super::report::{AuditKind, AuditRecord};
use crate::dns::Name;
use crate::policy::RegionName;
use crate::time::{Timestamp, human};

/// Records of what else happened that are told at most, before the time and after it.
const AROUND: usize = 8;

/// What a hub answered at a past time, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastExplanation {
    /// The hub.
    pub name: Name,
    /// The time that was asked about.
    pub at: Timestamp,
    /// What stood.
    pub stood: Before,
    /// How that came about, step by step.
    pub steps: Vec<String>,
    /// The records that the steps are told from, oldest first.
    pub records: Vec<AuditRecord>,
}

/// What stood for a hub at a past time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// A switch that the audit trail tells of made this.
    Stood(PastStanding),
    /// A hub without an active region: a change of its set that the audit trail tells of made this.
    OutOf(PastUsable),
    /// The audit trail does not reach back to the switch; the one after the time tells what it left.
    Left(RegionName),
    /// The hub got its first region later.
    NotYet(Timestamp),
    /// The audit trail tells no switch of it.
    Unknown,
}

/// What a hub without an active region answered out of at a past time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastUsable {
    /// The regions, as they were written down.
    pub usable: String,
    /// Since when.
    pub since: Timestamp,
    /// Why, as it was said then.
    pub reason: String,
    /// The number of the record that says so.
    pub record: u64,
}

/// What stood for a hub at a past time, and the records that made it so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastStanding {
    /// The active region.
    pub active: RegionName,
    /// Changes of the active region until then.
    pub epoch: Option<u64>,
    /// When it became active.
    pub since: Timestamp,
    /// Why, as it was said then.
    pub reason: String,
    /// The number of the record that says so.
    pub record: u64,
    /// The number of the record since which all endpoints were answered at once; `None` when one was.
    pub all: Option<u64>,
}

/// What is needed after a record that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Any older one may matter.
    Older,
    /// Switches and answers that are older do not matter.
    OlderNoSwitch,
    /// Nothing older matters.
    Nothing,
}

/// Goes through the audit trail from its newest record to its oldest.
#[derive(Debug)]
pub struct Past {
    hub: Name,
    subject: String,
    regions: BTreeSet<String>,
    at: Timestamp,
    stood: Option<AuditRecord>,
    answer: Option<AuditRecord>,
    /// The newest change of its set until the time, if nothing else has stood since.
    set: Option<AuditRecord>,
    /// The first change of its set after the time.
    next_set: Option<AuditRecord>,
    next: Option<AuditRecord>,
    reload: Option<AuditRecord>,
    /// By what is marked: the newest record until the time.
    marks: BTreeMap<String, AuditRecord>,
    before: Vec<AuditRecord>,
    after: VecDeque<AuditRecord>,
}

impl Past {
    /// Of a hub at a time; `regions` are those that it is known to have endpoints in.
    pub fn new(hub: Name, regions: impl IntoIterator<Item = RegionName>, at: Timestamp) -> Self {
        Self {
            subject: plain(&hub.to_string()),
            hub,
            regions: regions.into_iter().map(|region| plain(region.as_str())).collect(),
            at,
            stood: None,
            answer: None,
            set: None,
            next_set: None,
            next: None,
            reload: None,
            marks: BTreeMap::new(),
            before: Vec::new(),
            after: VecDeque::new(),
        }
    }

    /// Takes the next older record.
    pub fn take(&mut self, record: AuditRecord) -> Need {
        let past = record.at <= self.at;
        match record.kind {
            AuditKind::Switch | AuditKind::Answer | AuditKind::Usable if plain(&record.subject) != self.subject => {}
            AuditKind::Usable => {
                let listed = record.before.iter().chain(&record.after).flat_map(|regions| regions.split(", "));
                self.regions.extend(listed.map(plain));
                match past {
                    true if self.stood.is_none() && self.set.is_none() => self.set = Some(record),
                    true => {}
                    false => self.next_set = Some(record),
                }
            }
            AuditKind::Switch => {
                self.regions.extend(record.before.iter().chain(&record.after).map(|region| plain(region)));
                match past {
                    true if self.stood.is_none() && self.set.is_none() => self.stood = Some(record),
                    true => {}
                    false => self.next = Some(record),
                }
            }
            // It is of the region that stood when none has become active since.
            AuditKind::Answer if past && self.stood.is_none() && self.answer.is_none() => self.answer = Some(record),
            AuditKind::Answer => {}
            AuditKind::Mark | AuditKind::Unmark | AuditKind::MarkExpired => {
                if past {
                    self.marks.entry(plain(&record.subject)).or_insert(record);
                }
            }
            AuditKind::Reload => {
                if past && self.reload.is_none() {
                    self.reload = Some(record);
                }
            }
            _ => self.take_other(record, past),
        }
        // Any mark may have held until the time, however old it is.
        match self.stood.is_some() || self.set.is_some() {
            true => Need::OlderNoSwitch,
            false => Need::Older,
        }
    }

    /// A record of something else: those nearest to the time are told.
    fn take_other(&mut self, record: AuditRecord, past: bool) {
        let target = plain(&record.subject);
        let ours = is_about(&record, &self.subject) || self.regions.iter().any(|region| is_about(&record, region));
        // What is about no hub, region or endpoint is about all of them.
        if record.kind == AuditKind::Hubs || !ours && target.contains(['.', '/']) {
            return;
        }
        if !past {
            if self.after.len() == AROUND {
                self.after.pop_front();
            }
            self.after.push_back(record);
        } else if self.before.len() < AROUND {
            self.before.push(record);
        }
    }

    /// What the trail has told, whose oldest record is `oldest`.
    pub fn finish(self, oldest: Option<Place>) -> PastExplanation {
        let stood = self.standing(oldest);
        let mut told = Told::default();
        let Self {
            hub,
            subject,
            regions,
            at,
            stood: switch,
            answer,
            set,
            next_set,
            next,
            reload,
            marks,
            before,
            after,
        } = self;
        told.step(match &stood {
            Before::Stood(PastStanding { active, epoch, since, reason, all, .. }) => {
                let epoch = epoch.map(|epoch| format!(", epoch {epoch}")).unwrap_or_default();
                let age = human(at.since(*since));
                let what = match all {
                    Some(_) => format!("all endpoints, and {active} was active"),
                    None => active.to_string(),
                };
                format!("at {at} {hub} answered {what}{epoch}, since {since} ({age} before): {reason}")
            }
            Before::OutOf(PastUsable { usable, since, reason, .. }) => {
                let age = human(at.since(*since));
                format!("at {at} {hub} answered out of {usable}, since {since} ({age} before): {reason}")
            }
            Before::Left(region) => format!(
                "at {at} {hub} answered {region}, as its next switch tells: the audit trail does not reach back to when \
                 and why that became active"
            ),
            Before::NotYet(first) => format!("at {at} {hub} was no hub yet: it got its first region at {first}"),
            Before::Unknown => format!("the audit trail tells no switch and no set of {hub}"),
        });
        told.from(switch);
        told.from(set);
        if let (Some(answer), Before::Stood(PastStanding { all: Some(_), .. })) = (answer, &stood) {
            told.step(format!("all endpoints were answered at once since {}: {}", answer.at, answer.reason));
            told.from(Some(answer));
        }
        let concerns = |record: &AuditRecord| {
            let target = plain(&record.subject);
            match target.rsplit_once('/') {
                Some((marked, _)) => marked == subject,
                None => regions.contains(&target),
            }
        };
        let mut unmarked = true;
        for mark in marks.into_values().filter(|record| record.kind == AuditKind::Mark && concerns(record)) {
            unmarked = false;
            let (target, author, since, reason) = (&mark.subject, &mark.author, mark.at, &mark.reason);
            let kind = mark.after.as_deref().unwrap_or("marked");
            told.step(format!("{target} was marked {kind} by {author} since {since}: {reason}"));
            told.from(Some(mark));
        }
        if unmarked && !matches!(stood, Before::NotYet(_) | Before::Unknown) {
            told.step(format!("no mark was on {hub} or its regions"));
        }
        match reload {
            Some(reload) => {
                told.step(format!(
                    "zones and policy were those of {}, by {}: {}",
                    reload.at, reload.author, reload.reason
                ));
                told.from(Some(reload));
            }
            None => told.step("no reload is told of before that: zones and policy were those of a start".into()),
        }
        for record in before.into_iter().rev() {
            told.step(format!("before that, at {}: {}", record.at, sentence(&record)));
            told.from(Some(record));
        }
        for record in after.into_iter().rev() {
            told.step(format!("after that, at {}: {}", record.at, sentence(&record)));
            told.from(Some(record));
        }
        if let Some(next) = next {
            let (region, later) = (next.after.clone().unwrap_or_default(), human(next.at.since(at)));
            told.step(format!("its next switch was to {region}, at {} ({later} later): {}", next.at, next.reason));
            told.from(Some(next));
        }
        if let Some(next) = next_set {
            let (set, later) = (next.after.clone().unwrap_or_default(), human(next.at.since(at)));
            told.step(format!(
                "what it answers out of next was {set}, at {} ({later} later): {}",
                next.at, next.reason
            ));
            told.from(Some(next));
        }
        if let Some(oldest) = oldest.filter(|oldest| oldest.sequence > 1) {
            let Place { sequence, at } = oldest;
            told.step(format!("the audit trail begins with record {sequence} of {at}: older ones were removed"));
        }
        told.records.sort_by_key(|record| record.sequence);
        PastExplanation { name: hub, at, stood, steps: told.steps, records: told.records }
    }

    /// What stood for the hub.
    pub fn standing(&self, oldest: Option<Place>) -> Before {
        if let Some(set) = &self.set {
            return Before::OutOf(PastUsable {
                usable: set.after.clone().unwrap_or_default(),
                since: set.at,
                reason: set.reason.clone(),
                record: set.sequence,
            });
        }
        match (&self.stood, &self.next) {
            (None, None) if self.next_set.is_some() => match self.next_set.as_ref().filter(|_| oldest.is_some()) {
                Some(next) if next.before.is_none() => Before::NotYet(next.at),
                _ => Before::Unknown,
            },
            (Some(switch), _) => Before::Stood(PastStanding {
                active: RegionName::new(switch.after.as_deref().unwrap_or_default()),
                epoch: switch.epoch,
                since: switch.at,
                reason: switch.reason.clone(),
                record: switch.sequence,
                all: self
                    .answer
                    .as_ref()
                    .filter(|answer| answer.after.as_deref() == Some("all"))
                    .map(|answer| answer.sequence),
            }),
            (None, Some(next)) => match &next.before {
                Some(left) => Before::Left(RegionName::new(left)),
                None if oldest.is_some() => Before::NotYet(next.at),
                None => Before::Unknown,
            },
            (None, None) => Before::Unknown,
        }
    }
}

/// Steps, and the records that they are told from.
#[derive(Debug, Default)]
struct Told {
    steps: Vec<String>,
    records: Vec<AuditRecord>,
}

impl Told {
    fn step(&mut self, sentence: String) {
        self.steps.push(sentence);
    }

    /// Names the record that the last step is told from.
    fn from(&mut self, record: Option<AuditRecord>) {
        let Some(record) = record else { return };
        if let Some(step) = self.steps.last_mut() {
            step.push_str(&format!(" (record {})", record.sequence));
        }
        self.records.push(record);
    }
}

/// One record in a sentence.
fn sentence(record: &AuditRecord) -> String {
    let AuditRecord { kind, subject, author, reason, .. } = record;
    let change = match (&record.before, &record.after) {
        (Some(before), Some(after)) => format!(" {before} -> {after}"),
        (None, Some(after)) => format!(" {after}"),
        (Some(before), None) => format!(" {before} -> none"),
        (None, None) => String::new(),
    };
    format!("{} {subject}{change}, by {author}: {reason}", kind.word())
}

/// Explains a hub at a past time from records, newest first.
///
/// # Errors
/// The first record that could not be read.
pub fn explain<E>(
    hub: &Name,
    regions: impl IntoIterator<Item = RegionName>,
    at: Timestamp,
    records: impl IntoIterator<Item = Result<AuditRecord, E>>,
    oldest: Option<Place>,
) -> Result<PastExplanation, E> {
    let mut past = Past::new(hub.clone(), regions, at);
    for record in records {
        if past.take(record?) == Need::Nothing {
            break;
        }
    }
    Ok(past.finish(oldest))
}

/// Whether a record is about a hub or a region, written [plainly](plain): its subject, one endpoint of it, or one of the
/// regions that it tells of.
pub(super) fn is_about(record: &AuditRecord, subject: &str) -> bool {
    let same = |text: &str| plain(text) == subject;
    same(&record.subject)
        || record.subject.rsplit_once('/').is_some_and(|(hub, region)| same(hub) || same(region))
        || record.before.as_deref().is_some_and(same)
        || record.after.as_deref().is_some_and(same)
        // What is probed is in several regions, perhaps: `westeurope, northeurope (broker on 192.0.2.1)`.
        || (record.kind == AuditKind::Health && record.subject.split([' ', ',']).any(same))
}

/// Operators write `hub.example.net/westeurope` without the final dot of the hub, and in any case.
pub(super) fn plain(text: &str) -> String {
    text.trim_end_matches('.').replace("./", "/").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(
        sequence: u64,
        at: u64,
        kind: AuditKind,
        subject: &str,
        change: (&str, &str),
        reason: &str,
    ) -> AuditRecord {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        AuditRecord {
            sequence,
            at: Timestamp(at * 1000),
            kind,
            subject: subject.into(),
            author: "alice".into(),
            origin: "test".into(),
            epoch: (kind == AuditKind::Switch).then_some(sequence),
            before: text(change.0),
            after: text(change.1),
            reason: reason.into(),
        }
    }

    /// A night: what happened, oldest first.
    fn night() -> Vec<AuditRecord> {
        use AuditKind::{Answer, Blind, Health, Hubs, Mark, MarkExpired, Move, Reload, Switch, Unmark};
        vec![
            record(1, 10, Hubs, "2 hubs", ("", ""), "numbers"),
            record(2, 10, Switch, "hub.x.", ("", "weu"), "first in order of preference"),
            record(3, 10, Switch, "other.x.", ("", "weu"), "first in order of preference"),
            record(4, 20, Reload, "zones and policy", ("", ""), "reloaded: 1 zone"),
            record(5, 30, Mark, "neu", ("", "drain"), "disk swap"),
            record(6, 40, Mark, "hub.x./weu", ("", "up"), "looks good"),
            record(7, 50, Unmark, "hub.x./weu", ("up", ""), "no longer"),
            record(8, 60, Health, "weu (broker on 192.0.2.1)", ("up", "down"), "weu is down"),
            record(9, 61, Switch, "hub.x.", ("weu", "neu"), "weu is down: 3 failed in a row"),
            record(10, 62, Switch, "other.x.", ("weu", "neu"), "weu is down: 3 failed in a row"),
            record(11, 70, Blind, "this node", ("sees", "blind"), "no reference answers"),
            record(12, 80, Answer, "hub.x.", ("active", "all"), "none is eligible"),
            record(13, 85, Answer, "other.x.", ("active", "all"), "none is eligible"),
            record(14, 90, MarkExpired, "neu", ("drain", ""), "it has ended"),
            record(15, 95, Move, "other.x.", ("", "scheduled"), "planned"),
            record(16, 99, Switch, "hub.x.", ("neu", "weu"), "failback by alice"),
        ]
    }

    /// Explains the hub of the night at a time, and compares the steps; each expectation is a part of one.
    fn check(at: u64, oldest: u64, expected: &[&str]) {
        let (hub, regions) = (Name::parse("Hub.x.", None).unwrap(), ["weu", "neu"].map(RegionName::new));
        let mut records = night();
        records.retain(|record| record.sequence >= oldest);
        let oldest = records.first().map(|record| Place { sequence: record.sequence, at: record.at });
        let newest_first = records.into_iter().rev().map(Ok::<_, ()>);
        let told = explain(&hub, regions, Timestamp(at * 1000), newest_first, oldest).unwrap();
        let steps = told.steps.join("\n");
        assert_eq!(told.steps.len(), expected.len(), "at {at}: {steps}");
        for (step, part) in told.steps.iter().zip(expected) {
            assert!(step.contains(part), "at {at}, `{part}`: {steps}");
        }
        assert!(told.records.is_sorted_by_key(|record| record.sequence));
    }

    #[test]
    fn a_past_time_is_told_from_the_records_around_it() {
        let next = "its next switch was to neu, at 1970-01-01T00:01:01Z";
        let health = "after that, at 1970-01-01T00:01:00Z: health weu (broker on 192.0.2.1) up -> down";
        let blind = "after that, at 1970-01-01T00:01:10Z: blind this node";
        check(
            5,
            1,
            &[
                "was no hub yet: it got its first region at 1970-01-01T00:00:10Z",
                "no reload is told of before that",
                health,
                blind,
                "its next switch was to weu, at 1970-01-01T00:00:10Z (5 s later)",
            ],
        );
        check(
            45,
            1,
            &[
                "Hub.x. answered weu, epoch 2, since 1970-01-01T00:00:10Z (35 s before): first in order of preference \
                 (record 2)",
                "hub.x./weu was marked up by alice since 1970-01-01T00:00:40Z: looks good (record 6)",
                "neu was marked drain by alice since 1970-01-01T00:00:30Z: disk swap (record 5)",
                "zones and policy were those of 1970-01-01T00:00:20Z, by alice: reloaded: 1 zone (record 4)",
                health,
                blind,
                next,
            ],
        );
        check(
            85,
            1,
            &[
                "answered all endpoints, and neu was active, epoch 9, since 1970-01-01T00:01:01Z",
                "all endpoints were answered at once since 1970-01-01T00:01:20Z: none is eligible (record 12)",
                "neu was marked drain",
                "(record 4)",
                "before that, at 1970-01-01T00:01:00Z: health weu",
                "before that, at 1970-01-01T00:01:10Z: blind this node sees -> blind, by alice: no reference answers",
                "its next switch was to weu, at 1970-01-01T00:01:39Z (14 s later): failback by alice (record 16)",
            ],
        );
        check(
            1000,
            1,
            &[
                "answered weu, epoch 16",
                "no mark was on Hub.x. or its regions",
                "(record 4)",
                "health weu",
                "blind this node",
            ],
        );
    }

    #[test]
    fn what_the_trail_does_not_reach_is_said_to_be_unknown() {
        check(
            65,
            10,
            &[
                "at 1970-01-01T00:01:05Z Hub.x. answered neu, as its next switch tells: the audit trail does not reach",
                "no mark was on",
                "no reload is told of",
                "after that, at 1970-01-01T00:01:10Z: blind",
                "its next switch was to weu",
                "the audit trail begins with record 10 of 1970-01-01T00:01:02Z: older ones were removed",
            ],
        );
        check(65, 17, &["the audit trail tells no switch and no set of Hub.x.", "no reload is told of"]);
    }
}
