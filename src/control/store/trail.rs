//! The end of the audit trail, where rows are added, each with its hash.

use redb::{ReadableTable, Table, WriteTransaction};

use super::super::batch;
use super::super::chain::Hash;
use super::super::report::AuditRecord;
use super::super::roster::HubId;
use super::tables::{AUDIT, CHAIN, Cause, json, last_record};
use crate::dns::Name;

/// The end of the audit trail within one transaction.
pub(super) struct Trail<'t> {
    audit: Table<'t, u64, &'static [u8]>,
    chain: Table<'t, u64, &'static [u8; 32]>,
    last: u64,
    head: Hash,
}

impl<'t> Trail<'t> {
    /// Finds the end.
    pub(super) fn open(write: &'t WriteTransaction) -> Result<Self, Cause> {
        let (audit, chain) = (write.open_table(AUDIT)?, write.open_table(CHAIN)?);
        let last = last_record(&audit)?;
        // Whoever has damaged the chain must not keep hubs from moving: it is for `verify` to say where it breaks.
        let head = chain.last()?.map_or(Hash::START, |(_, hash)| Hash(*hash.value()));
        Ok(Self { audit, chain, last, head })
    }

    /// The number of the last record.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Adds a record, which gets its number.
    pub(super) fn record(&mut self, record: AuditRecord) -> Result<(), Cause> {
        let row = json(&AuditRecord { sequence: self.last + 1, ..record })?;
        self.rows(&row, 1)
    }

    /// Adds a record that names hubs.
    pub(super) fn naming<'a>(
        &mut self,
        record: AuditRecord,
        hubs: impl Iterator<Item = (HubId, &'a Name)>,
    ) -> Result<(), Cause> {
        let row = batch::naming(&AuditRecord { sequence: self.last + 1, ..record }, hubs)?;
        self.rows(&row, 1)
    }

    /// Adds a row of so many records.
    pub(super) fn rows(&mut self, row: &[u8], records: u64) -> Result<(), Cause> {
        let first = self.last + 1;
        self.head = self.head.link(first, row);
        self.audit.insert(first, row)?;
        self.chain.insert(first, &self.head.0)?;
        self.last += records;
        Ok(())
    }
}
