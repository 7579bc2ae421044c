//! Removes what is older than is kept, from the beginning of the audit trail and in portions.
//!
//! Only rows that every sheet takes in are removed, so that a start never misses one, and never the newest row, which
//! the numbers go on from. The hash of the last removed row stays: the chain goes on from it. Hubs that a removed row
//! named are named once more beforehand, in a row of its own, so that what their numbers mean stays covered. Whether the
//! daemon is killed before, between or after the two, what is there is whole.

use std::time::Duration;

use redb::{Database, Durability, ReadableTable};

use super::super::batch::{self, told};
use super::super::chain::{Chain, Hash, Place};
use super::super::roster::HubId;
use super::snapshot::Snapshot;
use super::tables::{AUDIT, CHAIN, Cause, FORMAT, parse_name};
use super::verify;
use crate::dns::Name;
use crate::time::Timestamp;

/// Rows that are removed in one transaction at most.
const PORTION: usize = 512;

/// What has become of the oldest rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retained {
    /// Nothing is old enough to go.
    Young,
    /// What stands was written down first; there is more to do.
    Prepared,
    /// The records up to this one were removed, whose hash stays; there may be more.
    Removed {
        /// The last one that was removed.
        through: Place,
        /// How many.
        records: u64,
        /// The hash up to it.
        hash: Hash,
    },
}

/// The rows that are to go.
#[derive(Debug)]
pub(super) struct Portion {
    /// The first record of the last of them.
    last_row: u64,
    pub(super) through: Place,
    pub(super) records: u64,
    pub(super) hash: Hash,
    /// The hubs that they name.
    pub(super) hubs: Vec<(HubId, Name)>,
}

/// What can be removed.
#[derive(Debug)]
pub(super) enum Plan {
    Young,
    /// Not before the sheets take it in.
    Behind,
    Remove(Portion),
}

/// Looks for rows that were written before `now` less `keep`, of which every sheet takes in those up to `kept`.
///
/// The newest row is the youngest that anything is compared with: a clock that was set far forward does not remove what
/// nothing has followed.
pub(super) fn plan(snapshot: &Snapshot<'_>, keep: Duration, now: Timestamp, kept: u64) -> Result<Plan, Cause> {
    let audit = snapshot.table(AUDIT)?;
    let Some((newest, row)) = audit.last()? else { return Ok(Plan::Young) };
    let wrong = |first: u64, sentence| Cause::new(format!("audit record {first}: {sentence}"));
    let newest_at = told(row.value()).map_err(|sentence| wrong(newest.value(), sentence))?.at;
    let limit = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let oldest = Timestamp(newest_at.min(now).0.saturating_sub(limit));
    let (hashes, begins) = (snapshot.table(CHAIN)?, verify::first(snapshot)?);
    let mut chain = Chain::new(begins, verify::hash_before(&hashes, begins)?, None);
    let mut portion: Option<Portion> = None;
    for row in audit.range(..newest.value())?.take(PORTION) {
        snapshot.check()?;
        let (first, row) = row?;
        let (first, row) = (first.value(), row.value());
        let batch::Told { count, at, hubs } = told(row).map_err(|sentence| wrong(first, sentence))?;
        if at >= oldest {
            break;
        }
        let through = Place { sequence: first + count.saturating_sub(1), at };
        if through.sequence > kept {
            return Ok(portion.map_or(Plan::Behind, Plan::Remove));
        }
        let hash = hashes.get(first)?.map(|hash| Hash(*hash.value()));
        chain.row(first, row, hash).map_err(|broken| {
            // Removing it would remove the proof.
            Cause::new(format!("nothing is removed from an audit trail that is broken: {}", broken.sentence))
        })?;
        let fresh = || Portion { last_row: first, through, records: 0, hash: chain.head(), hubs: Vec::new() };
        let portion = portion.get_or_insert_with(fresh);
        for (number, name) in hubs {
            portion.hubs.push((HubId(number), parse_name(&name)?));
        }
        (portion.last_row, portion.through, portion.hash) = (first, through, chain.head());
        portion.records += count;
    }
    Ok(portion.map_or(Plan::Young, Plan::Remove))
}

/// Removes them.
pub(super) fn remove(database: &Database, portion: &Portion) -> Result<(), Cause> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate).map_err(Cause::new)?;
    let next = portion.through.sequence + 1;
    write.open_table(AUDIT)?.retain_in(..next, |_, _| false)?;
    write.open_table(CHAIN)?.retain_in(..portion.last_row, |_, _| false)?;
    write.open_table(FORMAT)?.insert("first", next)?;
    write.commit()?;
    Ok(())
}
