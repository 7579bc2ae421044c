//! The audit trail as it is exported: in portions, each from a snapshot of its own.
//!
//! Whoever takes the lines may be slow, and what nobody may change need not be held in one snapshot for as long: a row is
//! the same whenever it is read. What is written after the export began is not in it.

use super::super::batch::told;
use super::super::chain::Hash;
use super::super::export::{End, write_end, write_row};
use super::super::roster::HubId;
use super::snapshot::Snapshot;
use super::tables::{AUDIT, CHAIN, Cause, HUBS, last_record};
use super::verify;
use crate::time::Timestamp;

/// Octets after which a portion ends; one row is never split.
const PORTION: usize = 64 * 1024;
/// Rows that a portion passes over at most, so that none takes long.
const PASSED: usize = 10_000;

/// How far an export has got.
#[derive(Debug)]
pub struct Export {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    stage: Stage,
    done: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    /// At the row of this record, in search of the first row that is not too old; up to a record.
    Seek {
        next: u64,
        through: u64,
    },
    /// At the row of this record; up to a record.
    Rows {
        next: u64,
        through: u64,
    },
    End,
    Over,
}

impl Export {
    /// Of the rows from the first one that is not older than `from` to the one before the first that is newer than `to`.
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>) -> Self {
        let done = End { rows: 0, records: 0, head: Hash::START };
        Self { from, to, stage: Stage::Begin, done }
    }
}

/// The next lines; none when the last one has been given.
pub(super) fn portion(snapshot: &Snapshot<'_>, export: &mut Export) -> Result<Vec<u8>, Cause> {
    let mut lines = Vec::new();
    let (audit, hashes, hubs) = (snapshot.table(AUDIT)?, snapshot.table(CHAIN)?, snapshot.table(HUBS)?);
    let name = |hub: HubId| match hubs.get(hub.0) {
        Ok(name) => Ok(name.map(|name| name.value().to_owned()).unwrap_or_default()),
        Err(error) => Err(error.to_string()),
    };
    if export.stage == Stage::Begin {
        export.stage = Stage::Seek { next: verify::first(snapshot)?, through: last_record(&audit)? };
    }
    let mut passed = 0;
    while lines.len() < PORTION && passed < PASSED {
        snapshot.check()?;
        let (next, through) = match export.stage {
            Stage::Begin | Stage::Over => break,
            Stage::End => {
                write_end(export.done, &mut lines).map_err(Cause::new)?;
                export.stage = Stage::Over;
                break;
            }
            Stage::Seek { next, through } | Stage::Rows { next, through } => (next, through),
        };
        let row = audit.range(next..=through)?.next().transpose()?;
        let Some((first, row)) = row else {
            export.stage = Stage::End;
            continue;
        };
        let (first, row) = (first.value(), row.value());
        if first > next && verify::first(snapshot)? > next {
            return Err(Cause::new(format!(
                "record {next} was removed for its age while it was to be exported; try again"
            )));
        }
        // A row that says no time is exported, so that whoever verifies it sees it.
        let at = told(row).ok().map(|told| told.at);
        let seeking = matches!(export.stage, Stage::Seek { .. });
        if seeking && at.zip(export.from).is_some_and(|(at, from)| at < from) {
            let next = first.saturating_add(super::super::batch::count(row).unwrap_or(1).max(1));
            export.stage = Stage::Seek { next, through };
            passed += 1;
            continue;
        }
        if at.zip(export.to).is_some_and(|(at, to)| at > to) {
            export.stage = Stage::End;
            continue;
        }
        let previous = verify::hash_before(&hashes, first)?;
        let hash = hashes.get(first)?.map(|hash| Hash(*hash.value()));
        let records = write_row(first, row, previous, hash, name, &mut lines).map_err(Cause::new)?;
        export.stage = Stage::Rows { next: first.saturating_add(records), through };
        export.done.rows += 1;
        export.done.records += records;
        export.done.head = hash.unwrap_or(Hash::START);
    }
    Ok(lines)
}

/// Whether the last line has been given.
pub(super) fn is_over(export: &Export) -> bool {
    export.stage == Stage::Over
}
