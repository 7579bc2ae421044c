//! The store in the hands of a successor, and back.
//!
//! It is closed here and opened there. Before, its content is kept as it is (a savepoint, which costs nothing but the room
//! that changed pages take), so that whatever a successor that fails has written, or made of the layout, is undone: what
//! stands in memory here and what stands in the store are the same again.

use std::path::Path;
use std::time::Duration;

use redb::Database;

use super::tables::Cause;
use super::{Store, StoreError};

/// Attempts to open a store that its owner has just closed: somebody who reads may hold it a little longer.
const ATTEMPTS: u32 = 100;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);

/// Where the store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lent {
    /// Here.
    #[default]
    Here,
    /// With another process: it is not opened here.
    Away,
    /// It comes back with the next use, as it was.
    Returning,
}

impl Store {
    /// Opens the store that the process before has just closed. What it kept for its own return stays, until
    /// [`Store::forget`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_lent(state: &Path) -> Result<Self, StoreError> {
        let mut attempt = 1;
        loop {
            match Self::open(state) {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                other => return other,
            }
            pause();
        }
    }

    /// Closes the store for another process to open, and keeps what it holds.
    ///
    /// # Errors
    /// When that cannot be kept; the store then stays open.
    pub fn lend(&self) -> Result<(), StoreError> {
        self.with(keep).map_err(|cause| self.fail("cannot hand over the store", cause))?;
        *self.lent() = Lent::Away;
        self.close();
        Ok(())
    }

    /// Opens the store again as it was when it was lent. What cannot be opened at once is with the next use.
    ///
    /// # Errors
    /// When it cannot be opened yet.
    pub fn take_back(&self) -> Result<(), StoreError> {
        *self.lent() = Lent::Returning;
        let mut attempt = 1;
        loop {
            match self.with(|_| Ok(())) {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                other => return other.map_err(|cause| self.fail("cannot take back the store", cause)),
            }
            pause();
        }
    }

    /// Lets go of what a process before kept for its return.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget(&self) -> Result<(), StoreError> {
        self.with(forget).map_err(|cause| self.fail("cannot tidy up the store", cause))
    }

    pub(super) fn lent(&self) -> std::sync::MutexGuard<'_, Lent> {
        self.lent.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "waits for another process to let go")]
fn pause() {
    std::thread::sleep(PAUSE);
}

fn keep(database: &Database) -> Result<(), Cause> {
    forget(database)?;
    let write = database.begin_write()?;
    write.persistent_savepoint()?;
    Ok(write.commit()?)
}

pub(super) fn restore(database: &Database) -> Result<(), Cause> {
    let mut write = database.begin_write()?;
    let kept = write.list_persistent_savepoints()?.max();
    if let Some(kept) = kept {
        let savepoint = write.get_persistent_savepoint(kept)?;
        write.restore_savepoint(&savepoint)?;
        write.commit()?;
    }
    forget(database)
}

fn forget(database: &Database) -> Result<(), Cause> {
    let write = database.begin_write()?;
    let kept: Vec<u64> = write.list_persistent_savepoints()?.collect();
    if kept.is_empty() {
        return Ok(write.abort()?);
    }
    for savepoint in kept {
        write.delete_persistent_savepoint(savepoint)?;
    }
    Ok(write.commit()?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::commit;
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_store_that_is_lent_is_with_the_other_process_alone() {
        let folder = folder();
        let store = Store::open(folder.path()).unwrap();
        store.commit(&commit()).unwrap();
        let head = store.head().unwrap();
        store.lend().unwrap();
        let refused = store.commit(&commit()).unwrap_err().to_string();
        assert!(refused.contains("another process takes over"), "{refused}");
        assert!(store.head().is_err(), "whoever reads the audit trail does not open it either");
        let successor = Store::open_lent(folder.path()).unwrap();
        assert_eq!(successor.head().unwrap(), head);
        successor.forget().unwrap();
        successor.commit(&commit()).unwrap();
    }

    #[test]
    fn what_a_successor_that_failed_has_written_is_undone() {
        let folder = folder();
        let store = Store::open(folder.path()).unwrap();
        store.commit(&commit()).unwrap();
        let before = (store.head().unwrap(), format!("{:?}", store.read().unwrap()));
        for _ in 0..2 {
            store.lend().unwrap();
            let successor = Store::open_lent(folder.path()).unwrap();
            successor.commit(&commit()).unwrap();
            assert_ne!(successor.head().unwrap(), before.0);
            drop(successor);
            store.take_back().unwrap();
            assert_eq!((store.head().unwrap(), format!("{:?}", store.read().unwrap())), before);
        }
        store.commit(&commit()).unwrap();
        assert!(store.head().unwrap().0 > before.0.0, "and it goes on from there");
    }

    #[test]
    fn what_was_kept_is_forgotten_by_whoever_starts_next() {
        let folder = folder();
        let store = Store::open(folder.path()).unwrap();
        store.lend().unwrap();
        drop(store);
        let next = Store::open(folder.path()).unwrap();
        next.forget().unwrap();
        let kept = next.with(|database| Ok(database.begin_write()?.list_persistent_savepoints()?.count())).unwrap();
        assert_eq!(kept, 0);
    }
}
