//! Goes along the chain of hashes.

use redb::{AccessGuard, ReadableTable};

use super::super::chain::{Broken, Chain, Hash, Kept, Verification};
use super::snapshot::Snapshot;
use super::tables::{AUDIT, CHAIN, Cause, FORMAT, HUBS, last_record};

/// The number of the last record, and the hash up to it.
pub(super) fn head(snapshot: &Snapshot<'_>) -> Result<(u64, Hash), Cause> {
    let last = last_record(&snapshot.table(AUDIT)?)?;
    let head = snapshot.table(CHAIN)?.last()?.map_or(Hash::START, |(_, hash)| Hash(*hash.value()));
    Ok((last, head))
}

/// The number of the first record that has not been removed for its age.
pub(super) fn first(snapshot: &Snapshot<'_>) -> Result<u64, Cause> {
    Ok(snapshot.table(FORMAT)?.get("first")?.map_or(1, |first| first.value()))
}

/// The hash of the newest row before a record.
pub(super) fn hash_before(chain: &impl ReadableTable<u64, &'static [u8; 32]>, record: u64) -> Result<Hash, Cause> {
    let before = chain.range(..record)?.next_back().transpose()?;
    Ok(before.map_or(Hash::START, |(_, hash)| Hash(*hash.value())))
}

/// Looks at every row, and at the table that its numbers of hubs stand for.
pub(super) fn verify(snapshot: &Snapshot<'_>, sought: Option<Kept>) -> Result<Verification, Cause> {
    let hashes = snapshot.table(CHAIN)?;
    let begins = first(snapshot)?;
    let mut chain = Chain::new(begins, hash_before(&hashes, begins)?, sought);
    let broken = walk(snapshot, &hashes, begins, &mut chain)?;
    Ok(chain.finish(broken))
}

fn walk(
    snapshot: &Snapshot<'_>,
    hashes: &impl ReadableTable<u64, &'static [u8; 32]>,
    begins: u64,
    chain: &mut Chain,
) -> Result<Option<Broken>, Cause> {
    let mut kept = hashes.range(begins..)?.peekable();
    for row in snapshot.table(AUDIT)?.iter()? {
        snapshot.check()?;
        let (first, row) = row?;
        let mut hash = None;
        // A hash before the row's own is that of a row which is not there, as `row` finds by the numbers.
        let passed = |entry: &Result<(AccessGuard<'_, u64>, _), _>| {
            entry.as_ref().map_or(true, |(at, _)| at.value() <= first.value())
        };
        while let Some(entry) = kept.next_if(passed) {
            let (at, kept) = entry?;
            hash = (at.value() == first.value()).then(|| Hash(*kept.value()));
        }
        if let Err(broken) = chain.row(first.value(), row.value(), hash) {
            return Ok(Some(broken));
        }
    }
    if let Some(entry) = kept.next() {
        entry?;
        return Ok(Some(chain.missing(chain.next())));
    }
    let sheets = snapshot.table(FORMAT)?.get("sheets")?.map_or(0, |sheets| sheets.value());
    if sheets >= chain.next() {
        return Ok(Some(chain.missing(sheets)));
    }
    let mut table = Vec::new();
    for row in snapshot.table(HUBS)?.iter()? {
        let (number, name) = row?;
        table.push((number.value(), name.value().to_owned()));
    }
    let named = table.iter().map(|(number, name)| (*number, name.as_str()));
    Ok(chain.check_hubs(named).err())
}
