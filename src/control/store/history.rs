//! The audit trail as it is read: newest first, a switch of many hubs as one record for each.

use std::collections::BTreeSet;

use redb::{Database, ReadableDatabase, ReadableTable};

use super::super::batch::{Batch, Entry};
use super::super::report::AuditRecord;
use super::super::roster::HubId;
use super::tables::{AUDIT, Cause, HUBS, parse};

/// The newest `limit` records; only those about `subject`, where one is given.
pub(super) fn read(database: &Database, subject: Option<&str>, limit: usize) -> Result<Vec<AuditRecord>, Cause> {
    let read = database.begin_read()?;
    let (audit, hubs) = (read.open_table(AUDIT)?, read.open_table(HUBS)?);
    let name = |hub: HubId| Ok::<_, Cause>(hubs.get(hub.0)?.map(|name| name.value().to_owned()).unwrap_or_default());
    let mut about_hubs = None;
    let mut records = Vec::new();
    for row in audit.iter()?.rev() {
        if records.len() >= limit {
            break;
        }
        let (first, row) = row?;
        let (first, row) = (first.value(), row.value());
        let wrong = |sentence| Cause::new(format!("audit record {first}: {sentence}"));
        let Some(batch) = Batch::read(row).map_err(wrong)? else {
            let record: AuditRecord = parse(&first.to_string(), row)?;
            if subject.is_none_or(|subject| about(&record, subject)) {
                records.push(record);
            }
            continue;
        };
        let about = match (subject, &about_hubs) {
            (None, _) => None,
            (Some(_), Some(known)) => Some(known),
            (Some(subject), None) => Some(&*about_hubs.insert(hubs_called(&hubs, subject)?)),
        };
        let about = about.zip(subject).map(|(hubs, subject)| About::of(&batch, hubs, subject));
        let mut found: Vec<(u64, Entry)> = Vec::new();
        for (sequence, entry) in (first..).zip(batch.entries()) {
            let entry = entry.map_err(wrong)?;
            if about.as_ref().is_none_or(|about| about.concerns(&entry)) {
                found.push((sequence, entry));
            }
        }
        for (sequence, entry) in found.iter().rev().take(limit - records.len()) {
            records.push(batch.record(entry, name(entry.hub)?, *sequence));
        }
    }
    Ok(records)
}

/// The hubs that are called so.
fn hubs_called(table: &impl ReadableTable<u32, &'static str>, subject: &str) -> Result<BTreeSet<HubId>, Cause> {
    let subject = plain(subject);
    let mut called = BTreeSet::new();
    for row in table.iter()? {
        let (id, name) = row?;
        if plain(name.value()) == subject {
            called.insert(HubId(id.value()));
        }
    }
    Ok(called)
}

/// What is looked for in a batch.
struct About<'a> {
    hubs: &'a BTreeSet<HubId>,
    /// By position of the region in the batch: whether it is called so.
    regions: Vec<bool>,
}

impl<'a> About<'a> {
    fn of(batch: &Batch<'_>, hubs: &'a BTreeSet<HubId>, subject: &str) -> Self {
        let subject = plain(subject);
        Self { hubs, regions: batch.regions().iter().map(|region| plain(region.as_str()) == subject).collect() }
    }

    fn concerns(&self, entry: &Entry) -> bool {
        let region = |at: usize| self.regions.get(at).copied().unwrap_or(false);
        self.hubs.contains(&entry.hub) || (entry.is_switch() && (region(entry.to) || entry.from.is_some_and(region)))
    }
}

/// Whether a record is about a hub or a region: its subject, one endpoint of it, or one of the regions that it tells of.
fn about(record: &AuditRecord, subject: &str) -> bool {
    let subject = plain(subject);
    let same = |text: &str| plain(text) == subject;
    same(&record.subject)
        || record.subject.rsplit_once('/').is_some_and(|(hub, region)| same(hub) || same(region))
        || record.before.as_deref().is_some_and(same)
        || record.after.as_deref().is_some_and(same)
}

/// Operators write `hub.example.net/westeurope` without the final dot of the hub.
fn plain(text: &str) -> String {
    text.trim_end_matches('.').replace("./", "/").to_ascii_lowercase()
}
