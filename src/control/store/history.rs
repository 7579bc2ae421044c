//! The audit trail as it is read: newest first, a switch of many hubs as one record for each.

use std::collections::BTreeSet;
use std::time::Duration;

use redb::ReadableTable;

use super::super::batch::{Batch, Entry};
use super::super::chain::Place;
use super::super::past::{Need, is_about, plain};
use super::super::report::{AuditKind, AuditRecord};
use super::super::roster::HubId;
use super::snapshot::Snapshot;
use super::tables::{AUDIT, Cause, HUBS, parse};
use crate::time::Timestamp;

/// How far the clock may have been set back between two rows that are read: a search for a time goes on for as long.
const SLACK: Duration = Duration::from_hours(24);

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Search<'a> {
    /// Hubs and regions, as operators write them; none for everything.
    pub(super) subjects: &'a [String],
    /// Whether what is about neither, and no switch, is looked for as well.
    pub(super) all_others: bool,
    /// The oldest time.
    pub(super) from: Option<Timestamp>,
    /// The newest time.
    pub(super) to: Option<Timestamp>,
}

/// Goes from the newest record to the oldest and shows each that is looked for, until it is told to stop.
pub(super) fn search(
    snapshot: &Snapshot<'_>,
    search: &Search<'_>,
    mut visit: impl FnMut(AuditRecord) -> Need,
) -> Result<(), Cause> {
    let (audit, hubs) = (snapshot.table(AUDIT)?, snapshot.table(HUBS)?);
    let name = |hub: HubId| Ok::<_, Cause>(hubs.get(hub.0)?.map(|name| name.value().to_owned()).unwrap_or_default());
    let subjects: Vec<String> = search.subjects.iter().map(|subject| plain(subject)).collect();
    let within = |at: Timestamp| search.from.is_none_or(|from| at >= from) && search.to.is_none_or(|to| at <= to);
    let enough = |at: Timestamp| search.from.is_some_and(|from| at.after(SLACK) < from);
    let of_subject = |record: &AuditRecord| {
        subjects.is_empty() || search.all_others || subjects.iter().any(|subject| is_about(record, subject))
    };
    let all_seen = |hubs: &Option<Hubs>| {
        let seen = hubs.as_ref().is_some_and(Hubs::are_all_seen_from_their_start);
        seen && !search.all_others
    };
    let mut about_hubs: Option<Hubs> = None;
    let mut switches = true;
    for row in audit.iter()?.rev() {
        snapshot.check()?;
        let (first, row) = row?;
        let (first, row) = (first.value(), row.value());
        let wrong = |sentence| Cause::new(format!("audit record {first}: {sentence}"));
        if !switches && row.first() != Some(&b'{') {
            continue;
        }
        let Some(batch) = Batch::read(row).map_err(wrong)? else {
            let record: AuditRecord = parse(&first.to_string(), row)?;
            if enough(record.at) {
                break;
            }
            let named = record.kind == AuditKind::Hubs;
            if within(record.at) && of_subject(&record) {
                match visit(record) {
                    Need::Older => {}
                    Need::OlderNoSwitch => switches = false,
                    Need::Nothing => return Ok(()),
                }
            }
            if named && all_seen(&about_hubs) {
                break;
            }
            continue;
        };
        if enough(batch.at()) || all_seen(&about_hubs) {
            break;
        }
        let about = match (&subjects[..], &mut about_hubs) {
            ([], _) => None,
            (_, Some(known)) => Some(known),
            (subjects, None) => Some(about_hubs.insert(Hubs::called(&hubs, subjects)?)),
        };
        let mut about = about.map(|hubs| About::of(&batch, hubs, &subjects));
        let mut found: Vec<(u64, Entry)> = Vec::new();
        for (sequence, entry) in (first..).zip(batch.entries()) {
            let entry = entry.map_err(wrong)?;
            if about.as_mut().is_none_or(|about| about.concerns(&entry)) {
                found.push((sequence, entry));
            }
        }
        if !within(batch.at()) {
            continue;
        }
        for (sequence, entry) in found.iter().rev() {
            match visit(batch.record(entry, name(entry.hub)?, *sequence)) {
                Need::Older => {}
                Need::OlderNoSwitch => {
                    switches = false;
                    break;
                }
                Need::Nothing => return Ok(()),
            }
        }
    }
    Ok(())
}

/// The newest `limit` records.
pub(super) fn newest(snapshot: &Snapshot<'_>, what: &Search<'_>, limit: usize) -> Result<Vec<AuditRecord>, Cause> {
    let mut records = Vec::new();
    if limit > 0 {
        search(snapshot, what, |record| {
            records.push(record);
            if records.len() < limit { Need::Older } else { Need::Nothing }
        })?;
    }
    Ok(records)
}

/// The first record that there is.
pub(super) fn oldest(snapshot: &Snapshot<'_>) -> Result<Option<Place>, Cause> {
    let table = snapshot.table(AUDIT)?;
    let Some((first, row)) = table.first()? else { return Ok(None) };
    let told = super::super::batch::told(row.value());
    let told = told.map_err(|sentence| Cause::new(format!("audit record {}: {sentence}", first.value())))?;
    Ok(Some(Place { sequence: first.value(), at: told.at }))
}

/// The hubs that are called so.
struct Hubs {
    hubs: BTreeSet<HubId>,
    /// Those whose first region has not been read yet; `None` when a subject may be a region.
    unseen: Option<BTreeSet<HubId>>,
}

impl Hubs {
    fn called(table: &impl ReadableTable<u32, &'static str>, subjects: &[String]) -> Result<Self, Cause> {
        let mut hubs = BTreeSet::new();
        for row in table.iter()? {
            let (id, name) = row?;
            if subjects.contains(&plain(name.value())) {
                hubs.insert(HubId(id.value()));
            }
        }
        // No region has a dot in its name.
        let unseen = (subjects.len() == hubs.len() && subjects.iter().all(|subject| subject.contains('.')))
            .then(|| hubs.clone());
        Ok(Self { hubs, unseen })
    }

    /// Whether nothing older is about any of them, but for the record that gives them their numbers.
    fn are_all_seen_from_their_start(&self) -> bool {
        self.unseen.as_ref().is_some_and(BTreeSet::is_empty)
    }
}

/// What is looked for in a batch.
struct About<'a> {
    hubs: &'a mut Hubs,
    /// By position of the region in the batch: whether it is called so.
    regions: Vec<bool>,
}

impl<'a> About<'a> {
    fn of(batch: &Batch<'_>, hubs: &'a mut Hubs, subjects: &[String]) -> Self {
        let regions = batch.regions().iter().map(|region| subjects.contains(&plain(region.as_str()))).collect();
        Self { hubs, regions }
    }

    fn concerns(&mut self, entry: &Entry) -> bool {
        let region = |at: usize| self.regions.get(at).copied().unwrap_or(false);
        let hub = self.hubs.hubs.contains(&entry.hub);
        if hub && entry.is_switch() && entry.from.is_none() {
            self.hubs.unseen.as_mut().map(|unseen| unseen.remove(&entry.hub));
        }
        hub || (entry.is_switch() && (region(entry.to) || entry.from.is_some_and(region)))
    }
}
