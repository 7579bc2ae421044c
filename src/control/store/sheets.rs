//! What stands, on sheets of [`HUBS_A_SHEET`] hubs, so that a start need not read the whole audit trail.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use redb::{Database, Durability};

use super::super::event::Commit;
use super::super::roster::HubId;
use super::tables::{AUDIT, Cause, FORMAT, SHEETS, json, last_record};
use crate::policy::Standing;

/// Hubs whose standings are one row: small enough that writing it delays a commit by no more than another commit would.
pub(super) const HUBS_A_SHEET: usize = 1024;
/// Records that a start reads at most before sheets are written: a few tens of milliseconds.
pub(super) const MOST_RECORDS: u64 = 1 << 16;

/// The standings of some hubs.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Sheet {
    /// The last audit record that they take in.
    pub(super) through: u64,
    /// From the first hub of the sheet on.
    pub(super) standings: Vec<Option<Standing>>,
}

/// What each sheet takes in, and what none may miss.
#[derive(Debug, Default)]
pub(super) struct Sheets {
    /// By number: the last record that the sheet takes in; a sheet that was never written takes in none.
    through: BTreeMap<u32, u64>,
    /// Numbers of the sheets that miss a record, each with the first one that it may miss.
    behind: BTreeMap<u32, u64>,
    /// Every sheet takes in the records up to this one.
    kept: u64,
    /// The newest record.
    last: u64,
}

/// A sheet to be written.
#[derive(Debug)]
pub(super) struct Due {
    /// `None` when no sheet misses anything, and that alone has to be written down.
    number: Option<u32>,
    last: u64,
    kept: u64,
}

fn number(hub: HubId) -> u32 {
    hub.0 / HUBS_A_SHEET as u32
}

/// The sheet that a hub's standing is on, and where on it.
pub(super) fn place(hub: HubId) -> (u32, usize) {
    (number(hub), hub.index() % HUBS_A_SHEET)
}

fn range(number: u32, hubs: usize) -> std::ops::Range<usize> {
    let first = number as usize * HUBS_A_SHEET;
    first.min(hubs)..(first + HUBS_A_SHEET).min(hubs)
}

impl Sheets {
    /// Takes in what a sheet says.
    pub(super) fn read(&mut self, number: u32, sheet: Sheet, standings: &mut [Option<Standing>]) {
        self.through.insert(number, sheet.through);
        let here = range(number, standings.len());
        standings[here].iter_mut().zip(sheet.standings).for_each(|(known, standing)| *known = standing);
    }

    /// Whether the sheet of a hub does not take in the row of these records; it is behind from the first of them then.
    pub(super) fn misses(&mut self, hub: HubId, row: &RangeInclusive<u64>) -> bool {
        let number = number(hub);
        let misses = self.through.get(&number).is_none_or(|through| through < row.end());
        if misses {
            self.behind.entry(number).or_insert(*row.start());
        }
        misses
    }

    /// Everything has been read, from the record after `kept` on.
    pub(super) fn begin(&mut self, kept: u64, newest: u64) {
        self.kept = kept;
        self.last = newest;
    }

    /// Every sheet takes in the records up to this one.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// A commit has been made durable, whose last record this is.
    pub(super) fn committed(&mut self, commit: &Commit, last: u64) {
        let first = self.last + 1;
        let mut before = None;
        for number in commit.switch.iter().flat_map(|switch| &switch.changes).map(|change| number(change.hub)) {
            if before.replace(number) != Some(number) {
                self.behind.entry(number).or_insert(first);
            }
        }
        self.last = last;
    }

    /// The sheet that misses the oldest record, once a start would have to read so many.
    pub(super) fn due(&self, most: u64) -> Option<Due> {
        if self.last - self.kept < most {
            return None;
        }
        let number = self.behind.iter().min_by_key(|(_, first)| **first).map(|(number, _)| *number);
        let others = self.behind.iter().filter(|(other, _)| Some(**other) != number);
        let kept = others.map(|(_, first)| first - 1).min().unwrap_or(self.last);
        Some(Due { number, last: self.last, kept })
    }

    /// It has been written.
    pub(super) fn written(&mut self, due: &Due) {
        if let Some(number) = due.number {
            self.behind.remove(&number);
            self.through.insert(number, due.last);
        }
        self.kept = due.kept;
    }
}

/// Writes a sheet, of what stands after the newest record.
pub(super) fn write(database: &Database, due: &Due, standings: &[Option<Standing>]) -> Result<(), Cause> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate).map_err(Cause::new)?;
    let last = last_record(&write.open_table(AUDIT)?)?;
    if last != due.last {
        return Err(Cause::new(format!("its newest record is {last}, and {} was written last", due.last)));
    }
    if let Some(number) = due.number {
        let standings = standings[range(number, standings.len())].to_vec();
        let sheet = json(&Sheet { through: last, standings })?;
        write.open_table(SHEETS)?.insert(number, sheet.as_slice())?;
    }
    write.open_table(FORMAT)?.insert("sheets", due.kept)?;
    write.commit()?;
    Ok(())
}

/// Sheets of all hubs, of what stands after a record.
pub(super) fn of(standings: &[Option<Standing>], through: u64) -> impl Iterator<Item = (u32, Sheet)> {
    (0u32..)
        .zip(standings.chunks(HUBS_A_SHEET))
        .map(move |(number, hubs)| (number, Sheet { through, standings: hubs.to_vec() }))
}
