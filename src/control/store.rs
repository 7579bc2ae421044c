//! I/O shell: the embedded store. One durable transaction for each commit; nothing is acknowledged before it.
//!
//! The audit trail is the store: a [`Switch`](super::change::Switch) of however many hubs is one row of it (`batch`), and
//! what stands is what the rows say, one after the other. So that a start need not read all of them, what stands is kept
//! besides, on sheets of 1,024 hubs, each with the number of the last record that it takes in. Sheets are written when
//! nobody waits, one at a time ([`Store::keep_up`]).
//!
//! Marks and health are rows of their own. All other rows are JSON, so that a newer daemon can add fields and an older
//! one can still read what it knows. The store is locked while the daemon runs: the CLI asks the daemon instead.
//!
//! A database that has failed once (a full disk, a file system that became read-only) refuses everything until it is
//! opened anew. So the next use opens it: the daemon writes again as soon as the disk takes it, without a restart. What
//! failed while it was being made durable may have reached the disk all the same; its caller was told that nothing was
//! changed, so it is taken back before anything else is written.

mod export;
mod history;
mod lend;
mod migrate;
mod retain;
mod sheets;
mod snapshot;
mod tables;
mod trail;
mod verify;

pub use self::export::Export;
pub use self::retain::Retained;

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use redb::{Database, DatabaseError, ReadableDatabase, WriteTransaction};

use self::history::Search;
use self::lend::Lent;
use self::retain::Plan;
use self::sheets::{MOST_RECORDS, Sheets};
use self::snapshot::Snapshot;
use self::tables::Cause;
use super::chain::{Hash, Kept, Reach, Verification};
use super::event::{Author, Commit, naming};
use super::past::{Before, Need, Past, PastExplanation};
use super::report::AuditRecord;
use super::state::Persisted;
use crate::dns::Name;
use crate::policy::{RegionName, Standing};
use crate::time::Timestamp;

/// The embedded database.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    opener: Opener,
    /// `None` after a failure, until it is opened anew. Whoever writes, or begins to read, holds the lock for reading.
    database: RwLock<Option<Database>>,
    /// How often it was closed: whoever reads what it was before has to stop then.
    closings: AtomicU64,
    /// Whether another process has it.
    lent: Mutex<Lent>,
    /// The commit that failed at its end, and the last sequence number of the audit trail before it.
    doubtful: Mutex<Option<(Commit, u64)>>,
    /// What the sheets take in. Taken by the control loop alone, for as long as it looks.
    sheets: Mutex<Sheets>,
    /// Records that a start reads at most, but for those that come while sheets are being written.
    most_records: u64,
}

/// Opens the database in a file, or makes it.
type Opener = fn(&Path) -> Result<Database, DatabaseError>;

/// The store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[error("{intent} {}: {cause}", .path.display())]
pub struct StoreError {
    intent: &'static str,
    path: PathBuf,
    cause: String,
}

impl Store {
    /// Opens the store in the state folder, and makes both when they do not exist.
    ///
    /// # Errors
    /// Names the file, and what was tried.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        Self::open_with(state, |path| Database::create(path))
    }

    fn open_with(state: &Path, opener: Opener) -> Result<Self, StoreError> {
        let path = state.join("concierge.redb");
        let fail = |intent, cause: String| StoreError { intent, path: path.clone(), cause };
        if !state.is_dir() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(state)
                .map_err(|error| fail("cannot make the state folder of", error.to_string()))?;
        }
        let existed = path.exists();
        let database = opener(&path).map_err(|error| {
            if !existed && !matches!(error, DatabaseError::DatabaseAlreadyOpen) {
                // Half a file, of a disk that is full, would be refused for ever after.
                drop(std::fs::remove_file(&path));
            }
            fail("cannot open the store", Cause::from(error).to_string())
        })?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| fail("cannot protect the store", error.to_string()))?;
        Self::of(database, &path, opener).map_err(|cause| fail("cannot prepare the store", cause.to_string()))
    }

    fn of(database: Database, path: &Path, opener: Opener) -> Result<Self, Cause> {
        migrate::prepare(&database)?;
        let (database, doubtful) = (RwLock::new(Some(database)), Mutex::new(None));
        Ok(Self {
            path: path.to_owned(),
            opener,
            database,
            closings: AtomicU64::new(0),
            lent: Mutex::default(),
            doubtful,
            sheets: Mutex::default(),
            most_records: MOST_RECORDS,
        })
    }

    /// An empty store in memory.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        let opener: Opener = |_| Database::builder().create_with_backend(redb::backends::InMemoryBackend::new());
        let path = Path::new("memory");
        let fail = |cause: String| StoreError { intent: "cannot make", path: path.into(), cause };
        let database = opener(path).map_err(|error| fail(error.to_string()))?;
        Self::of(database, path, opener).map_err(|cause| fail(cause.to_string()))
    }

    /// Everything that the daemon starts from.
    ///
    /// # Errors
    /// When the file cannot be read, or a row of it cannot be understood: then the daemon does not start.
    pub fn read(&self) -> Result<Persisted, StoreError> {
        let read = self.with(tables::read).map_err(|cause| self.fail("cannot read the store", cause));
        let (persisted, sheets) = read?;
        *self.sheets() = sheets;
        Ok(persisted)
    }

    /// Makes a commit durable: when this returns, it survives the loss of power.
    ///
    /// # Errors
    /// When it is not durable. Then nothing of it is in the store.
    pub fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        self.write(commit).map_err(|cause| {
            // What may have reached the disk is taken back at once where that can be, else before the next use.
            drop(self.opened());
            self.fail("cannot write to the store", cause)
        })
    }

    fn write(&self, commit: &Commit) -> Result<(), Cause> {
        self.with(|database| {
            let begun = tables::begin(database, commit)?;
            self.end(begun, commit)
        })
    }

    /// Makes durable what has been begun. What fails here may have reached the disk all the same.
    fn end(&self, begun: (WriteTransaction, u64, u64), commit: &Commit) -> Result<(), Cause> {
        let (write, sequence, last) = begun;
        write.commit().map_err(|error| {
            *self.doubtful.lock().unwrap_or_else(PoisonError::into_inner) = Some((commit.clone(), sequence));
            Cause::from(error)
        })?;
        self.sheets().committed(commit, last);
        Ok(())
    }

    /// Writes one sheet, if so much has been committed since the sheets were written that a start would take long. To be
    /// called with what stands when nobody waits and every commit has been carried out or taken back.
    ///
    /// # Errors
    /// When it could not be written, which loses nothing.
    pub fn keep_up(&self, standings: &[Option<Arc<Standing>>]) -> Result<(), StoreError> {
        self.write_sheet(self.most_records, standings)
    }

    fn write_sheet(&self, most_records: u64, standings: &[Option<Arc<Standing>>]) -> Result<(), StoreError> {
        let Some(due) = self.sheets().due(most_records) else { return Ok(()) };
        let written = self.with(|database| sheets::write(database, &due, standings));
        written.map_err(|cause| self.fail("cannot write what stands to", cause))?;
        self.sheets().written(&due);
        Ok(())
    }

    /// Removes a portion of the records that are older than `keep`, or writes one sheet that has to be written before. To
    /// be called as [`Store::keep_up`] is, until nothing is old enough.
    ///
    /// # Errors
    /// When it could not be done, or the chain of what would go is broken. Nothing is lost that is not told of then.
    pub fn retain(
        &self,
        keep: Duration,
        now: Timestamp,
        standings: &[Option<Arc<Standing>>],
    ) -> Result<Retained, StoreError> {
        let fail = |cause| self.fail("cannot remove old audit records from", cause);
        let kept = self.sheets().kept();
        let portion = match self.look(|snapshot| retain::plan(snapshot, keep, now, kept)).map_err(fail)? {
            Plan::Young => return Ok(Retained::Young),
            Plan::Behind => {
                self.write_sheet(1, standings)?;
                return Ok(Retained::Prepared);
            }
            Plan::Remove(portion) => portion,
        };
        if let Some((_, first)) = portion.hubs.first() {
            let record = naming(now, Author::daemon(), first, portion.hubs.len() - 1);
            let begin = |database: &Database| tables::begin_naming(database, record, &portion.hubs);
            let named = self.with(|database| self.end(begin(database)?, &Commit::default()));
            named.map_err(fail)?;
        }
        self.with(|database| retain::remove(database, &portion)).map_err(fail)?;
        Ok(Retained::Removed { through: portion.through, records: portion.records, hash: portion.hash })
    }

    fn sheets(&self) -> std::sync::MutexGuard<'_, Sheets> {
        self.sheets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest `limit` audit records, newest first; only those about `subject`, where one is given.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn history(&self, subject: Option<&str>, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        self.records(subject.map(ToOwned::to_owned).as_slice(), None, None, limit)
    }

    /// The newest `limit` audit records about any of the subjects, or about anything where none is given, that are not
    /// older than `from` and not newer than `to`; newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn records(
        &self,
        subjects: &[String],
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let search = Search { subjects, all_others: false, from, to };
        let read = |snapshot: &Snapshot<'_>| history::newest(snapshot, &search, limit);
        self.look(read).map_err(|cause| self.fail("cannot read the audit trail in", cause))
    }

    /// What stood for a hub at a past time, with the number of the record that made it so.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn before(&self, hub: &Name, at: Timestamp) -> Result<Before, StoreError> {
        let stood = self.look(|snapshot| {
            let mut past = Past::new(hub.clone(), [], at);
            let subjects = [hub.to_string()];
            let search = Search { subjects: &subjects, ..Search::default() };
            history::search(snapshot, &search, |record| match past.take(record) {
                Need::OlderNoSwitch => Need::Nothing,
                other => other,
            })?;
            Ok(past.standing(history::oldest(snapshot)?))
        });
        stood.map_err(|cause| self.fail("cannot read the audit trail in", cause))
    }

    /// Why a hub, with endpoints in these regions, answered what it did at a past time.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn past(&self, hub: &Name, regions: Vec<RegionName>, at: Timestamp) -> Result<PastExplanation, StoreError> {
        let explained = self.look(|snapshot| {
            let mut past = Past::new(hub.clone(), regions, at);
            let subjects = [hub.to_string()];
            let search = Search { subjects: &subjects, all_others: true, ..Search::default() };
            history::search(snapshot, &search, |record| past.take(record))?;
            Ok(past.finish(history::oldest(snapshot)?))
        });
        explained.map_err(|cause| self.fail("cannot read the audit trail in", cause))
    }

    /// From where to where the audit trail reaches: its first record that is there, if any is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn reach(&self) -> Result<Reach, StoreError> {
        let reach = self.look(|snapshot| {
            let (records, head) = verify::head(snapshot)?;
            Ok(Reach { first: history::oldest(snapshot)?, records, head })
        });
        reach.map_err(|cause| self.fail("cannot read the audit trail in", cause))
    }

    /// The number of the last audit record, and the hash of the trail up to it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn head(&self) -> Result<(u64, Hash), StoreError> {
        self.look(verify::head).map_err(|cause| self.fail("cannot read the audit trail in", cause))
    }

    /// Goes through the whole audit trail and says where it is not what was written, if anywhere; and where in it the
    /// head is that was `sought`. Takes a processor for as long as hashing all of it takes, and holds up nobody.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn verify(&self, sought: Option<Kept>) -> Result<Verification, StoreError> {
        let verified = self.look(|snapshot| verify::verify(snapshot, sought));
        verified.map_err(|cause| self.fail("cannot read the audit trail in", cause))
    }

    /// The next lines of an export, a few at a time so that neither side ever has all of it; `None` when the last one has
    /// been given.
    ///
    /// # Errors
    /// When the file cannot be read, or what is to be exported was removed for its age meanwhile.
    pub fn export(&self, export: &mut Export) -> Result<Option<Vec<u8>>, StoreError> {
        if export::is_over(export) {
            return Ok(None);
        }
        let portion = self.look(|snapshot| export::portion(snapshot, export));
        portion.map(Some).map_err(|cause| self.fail("cannot export the audit trail in", cause))
    }

    /// Reads or writes. After a failure the database is opened anew first, and after this one the next time.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Cause>) -> Result<T, Cause> {
        let opened = self.opened()?;
        let done = opened.as_ref().map_or_else(|| Err(Cause::new("it was closed")), work);
        drop(opened);
        if done.is_err() {
            self.close();
        }
        done
    }

    /// Reads what the store holds at this moment, for as long as it takes: the lock is not held meanwhile.
    fn look<T>(&self, work: impl FnOnce(&Snapshot<'_>) -> Result<T, Cause>) -> Result<T, Cause> {
        let closings = self.closings.load(Ordering::Acquire);
        let snapshot = self.with(|database| Ok(Snapshot::new(database.begin_read()?, &self.closings, closings)))?;
        match (work(&snapshot), snapshot.check()) {
            (Err(cause), Ok(())) => {
                self.close();
                Err(cause)
            }
            (Err(_), Err(meanwhile)) => Err(meanwhile),
            (Ok(done), _) => Ok(done),
        }
    }

    fn close(&self) {
        self.closings.fetch_add(1, Ordering::AcqRel);
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The database, with nothing in it of a commit that failed.
    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, Cause> {
        // A lock is poisoned by a panic in between; the transaction is gone with it, and the database as it was.
        let opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if opened.is_some() {
            return Ok(opened);
        }
        drop(opened);
        let mut closed = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if closed.is_none() {
            let mut lent = self.lent();
            if *lent == Lent::Away {
                return Err(Cause::new("another process takes over and has it"));
            }
            let database = (self.opener)(&self.path)?;
            if *lent == Lent::Returning {
                lend::restore(&database)?;
                *lent = Lent::Here;
            }
            drop(lent);
            let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((commit, sequence)) = doubtful.as_ref() {
                tables::take_back(&database, commit, *sequence)?;
            }
            *doubtful = None;
            *closed = Some(database);
        }
        drop(closed);
        Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn fail(&self, intent: &'static str, cause: Cause) -> StoreError {
        StoreError { intent, path: self.path.clone(), cause: cause.to_string() }
    }
}

#[cfg(test)]
mod tests;
