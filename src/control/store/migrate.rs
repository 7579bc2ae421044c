//! Opens the tables, and makes a store of a former layout one of this.
//!
//! The first layout had a row for each hub's standing, by its name, and one for each audit record. The records stay as
//! they are: they are rows of the audit trail like any other. The standings become sheets that take in all of them.
//!
//! The second layout had no facts and no chain of hashes. What the audit trail says is hashed as it is found, and one more
//! row names the hubs, so that from here on nothing of either can be changed unseen. Standings did not say when hubs had
//! moved last: the rows do.
//!
//! The third layout wrote the standing of each hub. Now what hubs have in common is written once, which a program of the
//! third layout cannot read.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};

use super::super::batch::{Batch, told};
use super::super::chain::Hash;
use super::super::event::{Author, naming};
use super::super::roster::HubId;
use super::super::state::Persisted;
use super::sheets::{self, Sheet};
use super::tables::{
    AUDIT, CHAIN, Cause, FACTS, FORMAT, HEALTH, HUBS, MARKS, SHEETS, json, last_record, parse, parse_name, rows,
};
use super::trail::Trail;
use crate::policy::Standing;

/// The layout that this program writes.
const VERSION: u64 = 4;
/// By a hub's owner name in lower case: the [`Standing`]; of the first layout.
const STANDINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("standings");

pub(super) fn prepare(database: &Database) -> Result<(), Cause> {
    let write = database.begin_write()?;
    {
        let found = write.open_table(FORMAT)?.get("version")?.map(|version| version.value());
        write.open_table(HUBS)?;
        write.open_table(SHEETS)?;
        write.open_table(MARKS)?;
        write.open_table(HEALTH)?;
        write.open_table(FACTS)?;
        write.open_table(AUDIT)?;
        write.open_table(CHAIN)?;
        match found {
            // A sheet of the third layout is read like one of the fourth, and written as such when its time comes.
            Some(VERSION | 3) | None => {}
            Some(1) => {
                from_first(&write)?;
                from_second(&write)?;
            }
            Some(2) => from_second(&write)?,
            Some(other) => {
                let sentence =
                    format!("its format is {other}, this program knows {VERSION}; run the program that wrote it");
                return Err(Cause::new(sentence));
            }
        }
        write.open_table(FORMAT)?.insert("version", VERSION)?;
    }
    write.commit()?;
    Ok(())
}

fn from_first(write: &WriteTransaction) -> Result<(), Cause> {
    let mut persisted = Persisted::default();
    let mut named: Vec<(_, Standing)> = Vec::new();
    for (key, value) in rows(&write.open_table(STANDINGS)?)? {
        named.push((parse_name(&key)?, parse(&key, &value)?));
    }
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut hubs = write.open_table(HUBS)?;
    for (name, standing) in named {
        let id = persisted.roster.admit(&name);
        hubs.insert(id.0, name.to_string().as_str())?;
        persisted.standings.push(Some(standing.into()));
    }
    let last = last_record(&write.open_table(AUDIT)?)?;
    let mut table = write.open_table(SHEETS)?;
    for (number, sheet) in sheets::of(&persisted.standings, last) {
        table.insert(number, json(&sheet)?.as_slice())?;
    }
    write.open_table(FORMAT)?.insert("sheets", last)?;
    write.delete_table(STANDINGS)?;
    Ok(())
}

fn from_second(write: &WriteTransaction) -> Result<(), Cause> {
    let mut newest = None;
    {
        let (audit, mut chain) = (write.open_table(AUDIT)?, write.open_table(CHAIN)?);
        let mut head = Hash::START;
        for row in audit.iter()? {
            let (first, row) = row?;
            head = head.link(first.value(), row.value());
            chain.insert(first.value(), &head.0)?;
        }
        if let Some((first, row)) = audit.last()? {
            let wrong = |error| Cause::new(format!("audit record {}: {error}", first.value()));
            newest = Some(told(row.value()).map_err(wrong)?);
        }
    }
    let mut named = Vec::new();
    for row in write.open_table(HUBS)?.iter()? {
        let (id, name) = row?;
        named.push((HubId(id.value()), parse_name(name.value())?));
    }
    remember_switches(write)?;
    if let Some((_, first)) = named.first() {
        // There is no clock here, and nothing has happened since.
        let at = newest.map(|newest| newest.at).unwrap_or_default();
        let record = naming(at, Author::daemon(), first, named.len() - 1);
        Trail::open(write)?.naming(record, named.iter().map(|(id, name)| (*id, name)))?;
    }
    Ok(())
}

/// Writes the last switches, as far as rows of this form tell of them, onto the sheets. What the sheets do not take in is
/// read at the start.
fn remember_switches(write: &WriteTransaction) -> Result<(), Cause> {
    let mut sheets = BTreeMap::new();
    for row in write.open_table(SHEETS)?.iter()? {
        let (number, sheet) = row?;
        let number = number.value();
        sheets.insert(number, parse::<Sheet>(&format!("sheet {number}"), sheet.value())?);
    }
    for row in write.open_table(AUDIT)?.iter()? {
        let (first, row) = row?;
        let (first, row) = (first.value(), row.value());
        let wrong = |sentence| Cause::new(format!("audit record {first}: {sentence}"));
        let Some(batch) = Batch::read(row).map_err(wrong)? else { continue };
        let last = first + told(row).map_err(wrong)?.count.saturating_sub(1);
        for entry in batch.entries() {
            let entry = entry.map_err(wrong)?;
            let (number, place) = sheets::place(entry.hub);
            let sheet = sheets.get_mut(&number).filter(|sheet| sheet.through >= last);
            let standing = sheet.and_then(|sheet| sheet.standings.get_mut(place)?.as_mut());
            if let Some(standing) = standing
                && entry.is_switch()
                && entry.from.is_some_and(|from| from != entry.to)
            {
                let standing = Arc::make_mut(standing);
                standing.recent = standing.with_switch(batch.at(), batch.step(&entry).cause.is_automatic());
            }
        }
    }
    let mut table = write.open_table(SHEETS)?;
    for (number, sheet) in sheets {
        table.insert(number, json(&sheet)?.as_slice())?;
    }
    Ok(())
}
