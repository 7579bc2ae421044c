//! Opens the tables, and makes a store of the former layout one of this.
//!
//! The first layout had a row for each hub's standing, by its name, and one for each audit record. The records stay as
//! they are: they are rows of the audit trail like any other. The standings become sheets that take in all of them.

use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};

use super::super::state::Persisted;
use super::sheets;
use super::tables::{
    AUDIT, Cause, FACTS, FORMAT, HEALTH, HUBS, MARKS, SHEETS, json, last_record, parse, parse_name, rows,
};
use crate::policy::Standing;

/// The layout that this program writes.
const VERSION: u64 = 3;
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
        match found {
            // The second layout had no facts.
            Some(VERSION | 2) | None => {}
            Some(1) => from_first(&write)?,
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
        persisted.standings.push(Some(standing));
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
