//! The tables: what is in them, and how a commit gets into them and out again.

use std::collections::BTreeMap;
use std::fmt;

use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::batch::{self, Batch};
use super::super::change::Together;
use super::super::event::Commit;
use super::super::fact::{Fact, FactKey};
use super::super::mark::{Mark, MarkTarget};
use super::super::report::AuditRecord;
use super::super::roster::HubId;
use super::super::state::{Persisted, health_key};
use super::sheets::{Sheet, Sheets};
use super::trail::Trail;
use crate::dns::Name;

/// By number: the owner name of a hub, as it was written when it was first seen.
pub(super) const HUBS: TableDefinition<u32, &str> = TableDefinition::new("hubs");
/// By number: a [`Sheet`].
pub(super) const SHEETS: TableDefinition<u32, &[u8]> = TableDefinition::new("sheets");
/// By what is marked, in lower case: the [`Mark`].
pub(super) const MARKS: TableDefinition<&str, &[u8]> = TableDefinition::new("marks");
/// By [`health_key`]: the [`Health`](crate::health::Health) when it last changed.
pub(super) const HEALTH: TableDefinition<&str, &[u8]> = TableDefinition::new("health");
/// By [`FactKey`]: the [`Fact`].
pub(super) const FACTS: TableDefinition<&str, &[u8]> = TableDefinition::new("facts");
/// By the sequence number of the first: one [`AuditRecord`], or those of a switch as a [`Batch`].
pub(super) const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");
/// By the sequence number of the first record of a row: its [`Hash`](super::super::chain::Hash). The hash of the last row
/// that was removed for its age stays.
pub(super) const CHAIN: TableDefinition<u64, &[u8; 32]> = TableDefinition::new("chain");
/// `version`: what the rows look like. `sheets`: no sheet misses a record up to this one. `first`: the first record, once
/// older ones were removed.
pub(super) const FORMAT: TableDefinition<&str, u64> = TableDefinition::new("format");

/// Everything that the daemon starts from.
pub(super) fn read(database: &Database) -> Result<(Persisted, Sheets), Cause> {
    let read = database.begin_read()?;
    let mut persisted = Persisted::default();
    for row in read.open_table(HUBS)?.iter()? {
        let (id, name) = row?;
        let (id, name) = (HubId(id.value()), parse_name(name.value())?);
        if persisted.roster.admit(&name) != id {
            return Err(Cause::new(format!("hub {name}: its number {} is not the next one", id.0)));
        }
    }
    persisted.standings.resize(persisted.roster.len(), None);
    let mut sheets = Sheets::default();
    for row in read.open_table(SHEETS)?.iter()? {
        let (number, value) = row?;
        let number = number.value();
        let sheet: Sheet = parse(&format!("sheet {number}"), value.value())?;
        sheets.read(number, sheet, &mut persisted.standings);
    }
    let kept = read.open_table(FORMAT)?.get("sheets")?.map_or(0, |kept| kept.value());
    replay(&read.open_table(AUDIT)?, kept, &mut persisted, &mut sheets)?;
    for (key, value) in rows(&read.open_table(MARKS)?)? {
        let target = key.parse().map_err(|error| Cause::new(format!("row `{key}`: {error}")))?;
        persisted.marks.insert(target, parse(&key, &value)?);
    }
    for (key, value) in rows(&read.open_table(HEALTH)?)? {
        let health = parse(&key, &value)?;
        persisted.health.insert(key, health);
    }
    for (key, value) in rows(&read.open_table(FACTS)?)? {
        let fact = parse(&key, &value)?;
        let key = key.parse().map_err(|error| Cause::new(format!("row `{key}`: {error}")))?;
        persisted.facts.insert(key, fact);
    }
    Ok((persisted, sheets))
}

/// What the audit trail says since the sheets were written.
fn replay(
    table: &impl ReadableTable<u64, &'static [u8]>,
    kept: u64,
    persisted: &mut Persisted,
    sheets: &mut Sheets,
) -> Result<(), Cause> {
    for row in table.range(kept + 1..)? {
        let (first, row) = row?;
        let (first, row) = (first.value(), row.value());
        let wrong = |sentence| Cause::new(format!("audit record {first}: {sentence}"));
        let records = first..=first + batch::count(row).map_err(wrong)?.saturating_sub(1);
        if let Some(batch) = Batch::read(row).map_err(wrong)? {
            let mut together = Together::default();
            for entry in batch.entries() {
                let entry = entry.map_err(wrong)?;
                let standing = persisted.standings.get_mut(entry.hub.index());
                let standing = standing.ok_or_else(|| wrong(format!("there is no hub {}", entry.hub.0)))?;
                if sheets.misses(entry.hub, &records) {
                    *standing = Some(together.follow(&batch.step(&entry), standing.as_ref(), batch.at()));
                }
            }
        }
    }
    sheets.begin(kept, last_record(table)?);
    Ok(())
}

fn count(row: &[u8]) -> Result<u64, Cause> {
    batch::count(row).map_err(Cause::new)
}

/// Everything of a commit but its end, and the last sequence number of the audit trail before it and after it.
pub(super) fn begin(database: &Database, commit: &Commit) -> Result<(WriteTransaction, u64, u64), Cause> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate).map_err(Cause::new)?;
    if !commit.named.is_empty() {
        let mut hubs = write.open_table(HUBS)?;
        for (id, name) in &commit.named {
            hubs.insert(id.0, name.to_string().as_str())?;
        }
    }
    for (target, _, after) in &commit.marks {
        put_mark(&write, target, after.as_ref())?;
    }
    for (key, _, after) in &commit.facts {
        put_fact(&write, key, after.as_ref())?;
    }
    if !commit.health.is_empty() {
        let mut health = write.open_table(HEALTH)?;
        for (target, after) in &commit.health {
            health.insert(health_key(target).as_str(), json(after)?.as_slice())?;
        }
    }
    let (before, last) = {
        let mut trail = Trail::open(&write)?;
        let before = trail.last();
        if let Some(record) = commit.naming() {
            trail.naming(record, commit.named.iter().map(|(id, name)| (*id, name)))?;
        }
        commit.audit.iter().try_for_each(|record| trail.record(record.clone()))?;
        if let Some(switch) = &commit.switch {
            trail.rows(&batch::write(switch)?, switch.changes.len() as u64)?;
        }
        (before, trail.last())
    };
    Ok((write, before, last))
}

/// The same for a record that names once more hubs that have their numbers already.
pub(super) fn begin_naming(
    database: &Database,
    record: AuditRecord,
    hubs: &[(HubId, Name)],
) -> Result<(WriteTransaction, u64, u64), Cause> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate).map_err(Cause::new)?;
    let (before, last) = {
        let mut trail = Trail::open(&write)?;
        let before = trail.last();
        trail.naming(record, hubs.iter().map(|(id, name)| (*id, name)))?;
        (before, trail.last())
    };
    Ok((write, before, last))
}

/// The sequence number of the newest audit record; 0 for none.
pub(super) fn last_record(table: &impl ReadableTable<u64, &'static [u8]>) -> Result<u64, Cause> {
    match table.last()? {
        Some((first, row)) => Ok(first.value() + count(row.value())?.saturating_sub(1)),
        None => Ok(0),
    }
}

/// Makes the store what it was before a commit, whether that is in it or not. Health stays: it is measured anew.
pub(super) fn take_back(database: &Database, commit: &Commit, sequence: u64) -> Result<(), Cause> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate).map_err(Cause::new)?;
    for (target, before, _) in commit.marks.iter().rev() {
        put_mark(&write, target, before.as_ref())?;
    }
    for (key, before, _) in commit.facts.iter().rev() {
        put_fact(&write, key, before.as_ref())?;
    }
    {
        let mut hubs = write.open_table(HUBS)?;
        for (id, _) in &commit.named {
            hubs.remove(id.0)?;
        }
    }
    // What stands is what the records say.
    write.open_table(AUDIT)?.retain_in(sequence + 1.., |_, _| false)?;
    write.open_table(CHAIN)?.retain_in(sequence + 1.., |_, _| false)?;
    write.commit()?;
    Ok(())
}

fn put_mark(write: &WriteTransaction, target: &MarkTarget, mark: Option<&Mark>) -> Result<(), Cause> {
    // Names keep the case that an operator or a file wrote and compare without it; text does not.
    let key = target.to_string().to_ascii_lowercase();
    let mut table = write.open_table(MARKS)?;
    match mark {
        Some(mark) => drop(table.insert(key.as_str(), json(mark)?.as_slice())?),
        None => drop(table.remove(key.as_str())?),
    }
    Ok(())
}

fn put_fact(write: &WriteTransaction, key: &FactKey, fact: Option<&Fact>) -> Result<(), Cause> {
    let key = key.to_string();
    let mut table = write.open_table(FACTS)?;
    match fact {
        Some(fact) => drop(table.insert(key.as_str(), json(fact)?.as_slice())?),
        None => drop(table.remove(key.as_str())?),
    }
    Ok(())
}

/// What went wrong inside the database.
#[derive(Debug)]
pub(super) struct Cause(String);

impl Cause {
    pub(super) fn new(sentence: impl ToString) -> Self {
        Self(sentence.to_string())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! causes {
    ($($error:ty),*) => {
        $(impl From<$error> for Cause {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        })*
    };
}

causes!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SavepointError,
    serde_json::Error
);

impl From<DatabaseError> for Cause {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => {
                Self("another concierge is running on it; one state folder serves one daemon".into())
            }
            other => Self(other.to_string()),
        }
    }
}

pub(super) fn rows(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<BTreeMap<String, Vec<u8>>, Cause> {
    table
        .iter()?
        .map(|row| {
            let (key, value) = row?;
            Ok((key.value().to_owned(), value.value().to_owned()))
        })
        .collect()
}

pub(super) fn parse_name(text: &str) -> Result<Name, Cause> {
    Name::parse(text, None).map_err(|error| Cause::new(format!("row `{text}`: {error}")))
}

pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, Cause> {
    Ok(serde_json::to_vec(value)?)
}

pub(super) fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Cause> {
    serde_json::from_slice(value).map_err(|error| Cause::new(format!("row `{key}`: {error}")))
}
