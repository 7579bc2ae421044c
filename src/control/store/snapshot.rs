//! What the store holds at one moment, to read from for as long as it takes.

use std::sync::atomic::{AtomicU64, Ordering};

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition};

use super::tables::Cause;

/// What the store holds at one moment.
///
/// Writing goes on meanwhile, and waits for no reader. A database that has failed is closed and opened anew at once, which
/// ends what is being read from the old one: whoever reads asks at every row whether it is so, and gives up then.
pub(super) struct Snapshot<'s> {
    read: ReadTransaction,
    closings: &'s AtomicU64,
    before: u64,
}

impl<'s> Snapshot<'s> {
    /// Of a store that had been closed `before` times when it was looked up.
    pub(super) fn new(read: ReadTransaction, closings: &'s AtomicU64, before: u64) -> Self {
        Self { read, closings, before }
    }

    /// One of its tables.
    pub(super) fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, Cause> {
        Ok(self.read.open_table(definition)?)
    }

    /// Whether it may be read on.
    pub(super) fn check(&self) -> Result<(), Cause> {
        match self.closings.load(Ordering::Acquire) == self.before {
            true => Ok(()),
            false => Err(Cause::new("it failed meanwhile and is opened anew; ask again")),
        }
    }
}
