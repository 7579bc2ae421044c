//! What stands, on sheets of [`HUBS_A_SHEET`] hubs, so that a start need not read the whole audit trail.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

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
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub(super) struct Sheet {
    /// The last audit record that they take in.
    pub(super) through: u64,
    /// From the first hub of the sheet on.
    pub(super) standings: Vec<Option<Arc<Standing>>>,
}

/// A sheet as it is written: what hubs have in common once.
#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    through: u64,
    /// Of sheets of the third layout: from the first hub of the sheet on.
    #[serde(default, skip_serializing)]
    standings: Vec<Option<Arc<Standing>>>,
    /// Each of those that differ.
    #[serde(default)]
    distinct: Vec<Arc<Standing>>,
    /// From the first hub of the sheet on: which of them is its standing.
    #[serde(default)]
    hubs: Vec<Option<u32>>,
}

impl From<Sheet> for Written {
    fn from(Sheet { through, standings }: Sheet) -> Self {
        let mut distinct = Vec::new();
        let mut known = HashMap::new();
        let mut number = |standing: Arc<Standing>| {
            *known.entry(Arc::as_ptr(&standing).addr()).or_insert_with(|| {
                distinct.push(standing);
                distinct.len() as u32 - 1
            })
        };
        let hubs = standings.into_iter().map(|standing| standing.map(&mut number)).collect();
        Self { through, standings: Vec::new(), distinct, hubs }
    }
}

impl TryFrom<Written> for Sheet {
    type Error = String;

    fn try_from(Written { through, mut standings, distinct, hubs }: Written) -> Result<Self, String> {
        for number in hubs {
            let of = |number: u32| {
                distinct.get(number as usize).cloned().ok_or_else(|| format!("it has no standing {number}"))
            };
            standings.push(number.map(of).transpose()?);
        }
        Ok(Self { through, standings })
    }
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
    pub(super) fn read(&mut self, number: u32, sheet: Sheet, standings: &mut [Option<Arc<Standing>>]) {
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
pub(super) fn write(database: &Database, due: &Due, standings: &[Option<Arc<Standing>>]) -> Result<(), Cause> {
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
pub(super) fn of(standings: &[Option<Arc<Standing>>], through: u64) -> impl Iterator<Item = (u32, Sheet)> {
    (0u32..)
        .zip(standings.chunks(HUBS_A_SHEET))
        .map(move |(number, hubs)| (number, Sheet { through, standings: hubs.to_vec() }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::standing;
    use super::*;

    fn read(json: &str) -> Result<Sheet, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// As programs of the third layout wrote them.
    #[test]
    fn sheets_of_the_third_layout_are_read() {
        let stands = serde_json::to_string(&standing(3)).unwrap();
        let sheet = read(&format!(r#"{{"through":9,"standings":[{stands},null,{stands}]}}"#)).unwrap();
        assert_eq!(sheet.through, 9);
        let expected = Some(Arc::new(standing(3)));
        assert_eq!(sheet.standings, [expected.clone(), None, expected]);
    }

    #[test]
    fn what_hubs_share_is_written_once_and_read_as_such() {
        let (one, other) = (Arc::new(standing(1)), Arc::new(standing(2)));
        let standings = vec![Some(one.clone()), Some(other.clone()), None, Some(one), Some(other)];
        let json = serde_json::to_string(&Sheet { through: 4, standings: standings.clone() }).unwrap();
        assert_eq!(json.matches(r#""epoch""#).count(), 2, "{json}");
        let sheet = read(&json).unwrap();
        assert_eq!((sheet.through, &sheet.standings), (4, &standings));
        let place = |at: usize| sheet.standings[at].as_ref().map(Arc::as_ptr);
        assert_eq!((place(0), place(1)), (place(3), place(4)));
    }

    /// An epoch must not begin anew because a row cannot be understood.
    #[test]
    fn a_sheet_that_names_what_is_not_there_is_refused() {
        let refused = read(r#"{"through":1,"distinct":[],"hubs":[0]}"#).unwrap_err();
        assert!(refused.contains("it has no standing 0"), "{refused}");
    }
}
