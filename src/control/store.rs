//! I/O shell: the embedded store. One durable transaction for each commit; nothing is acknowledged before it.
//!
//! Rows are JSON, so that a newer daemon can add fields and an older one can still read what it knows. The store is
//! locked while the daemon runs: the CLI asks the daemon instead.
//!
//! A database that has failed once (a full disk, a file system that became read-only) refuses everything until it is
//! opened anew. So the next use opens it: the daemon writes again as soon as the disk takes it, without a restart. What
//! failed while it was being made durable may have reached the disk all the same; its caller was told that nothing was
//! changed, so it is taken back before anything else is written.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event::Commit;
use super::mark::{Mark, MarkTarget};
use super::report::AuditRecord;
use super::state::{Persisted, health_key};
use crate::dns::Name;
use crate::policy::Standing;

/// By a hub's owner name in lower case: the [`Standing`].
const STANDINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("standings");
/// By what is marked, in lower case: the [`Mark`].
const MARKS: TableDefinition<&str, &[u8]> = TableDefinition::new("marks");
/// By [`health_key`]: the [`Health`](crate::health::Health) when it last changed.
const HEALTH: TableDefinition<&str, &[u8]> = TableDefinition::new("health");
/// By sequence number: the [`AuditRecord`].
const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");
/// What the rows look like.
const FORMAT: TableDefinition<&str, u64> = TableDefinition::new("format");
/// The layout that this program writes.
const VERSION: u64 = 1;

/// The embedded database.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    opener: Opener,
    /// `None` after a failure, until it is opened anew. Whoever reads or writes holds the lock for reading.
    database: RwLock<Option<Database>>,
    /// The commit that failed at its end, and the last sequence number of the audit trail before it.
    doubtful: Mutex<Option<(Commit, u64)>>,
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
            fail("cannot open the store", Cause::from(error).0)
        })?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| fail("cannot protect the store", error.to_string()))?;
        prepare(&database).map_err(|cause| fail("cannot prepare the store", cause.0))?;
        let (database, doubtful) = (RwLock::new(Some(database)), Mutex::new(None));
        Ok(Self { path: path.clone(), opener, database, doubtful })
    }

    /// Everything that the daemon starts from.
    ///
    /// # Errors
    /// When the file cannot be read, or a row of it cannot be understood: then the daemon does not start.
    pub fn read(&self) -> Result<Persisted, StoreError> {
        self.with(read_all).map_err(|cause| self.fail("cannot read the store", cause))
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
            let (write, sequence) = begin(database, commit)?;
            write.commit().map_err(|error| {
                *self.doubtful.lock().unwrap_or_else(PoisonError::into_inner) = Some((commit.clone(), sequence));
                error.into()
            })
        })
    }

    /// The newest `limit` audit records, newest first; only those about `subject`, where one is given.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn history(&self, subject: Option<&str>, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        let read = |database: &Database| read_history(database, subject, limit);
        self.with(read).map_err(|cause| self.fail("cannot read the audit trail in", cause))
    }

    /// Reads or writes. After a failure the database is opened anew first, and after this one the next time.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Cause>) -> Result<T, Cause> {
        let opened = self.opened()?;
        let done = opened.as_ref().map_or_else(|| Err(Cause("it was closed".into())), work);
        drop(opened);
        if done.is_err() {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        done
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
            let database = (self.opener)(&self.path)?;
            let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((commit, sequence)) = doubtful.as_ref() {
                take_back(&database, commit, *sequence)?;
            }
            *doubtful = None;
            *closed = Some(database);
        }
        drop(closed);
        Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn fail(&self, intent: &'static str, cause: Cause) -> StoreError {
        StoreError { intent, path: self.path.clone(), cause: cause.0 }
    }
}

fn prepare(database: &Database) -> Result<(), Cause> {
    let write = database.begin_write()?;
    {
        let mut format = write.open_table(FORMAT)?;
        let found = format.get("version")?.map(|version| version.value());
        match found {
            Some(VERSION) => {}
            Some(other) => {
                let sentence =
                    format!("its format is {other}, this program knows {VERSION}; run the program that wrote it");
                return Err(Cause(sentence));
            }
            None => drop(format.insert("version", VERSION)?),
        }
        write.open_table(STANDINGS)?;
        write.open_table(MARKS)?;
        write.open_table(HEALTH)?;
        write.open_table(AUDIT)?;
    }
    write.commit()?;
    Ok(())
}

fn read_all(database: &Database) -> Result<Persisted, Cause> {
    let read = database.begin_read()?;
    let mut persisted = Persisted::default();
    for (key, value) in rows(&read.open_table(STANDINGS)?)? {
        let name = Name::parse(&key, None).map_err(|error| Cause(format!("row `{key}`: {error}")))?;
        persisted.standings.insert(name, parse(&key, &value)?);
    }
    for (key, value) in rows(&read.open_table(MARKS)?)? {
        let target = key.parse().map_err(|error| Cause(format!("row `{key}`: {error}")))?;
        persisted.marks.insert(target, parse(&key, &value)?);
    }
    for (key, value) in rows(&read.open_table(HEALTH)?)? {
        let health = parse(&key, &value)?;
        persisted.health.insert(key, health);
    }
    Ok(persisted)
}

/// Everything of a commit but its end, and the last sequence number of the audit trail before it.
fn begin(database: &Database, commit: &Commit) -> Result<(WriteTransaction, u64), Cause> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate).map_err(|error| Cause(error.to_string()))?;
    for (name, _, after) in &commit.standings {
        put_standing(&write, name, Some(after))?;
    }
    for (target, _, after) in &commit.marks {
        put_mark(&write, target, after.as_ref())?;
    }
    let last = {
        let mut health = write.open_table(HEALTH)?;
        for (target, after) in &commit.health {
            health.insert(health_key(target).as_str(), json(after)?.as_slice())?;
        }
        let mut audit = write.open_table(AUDIT)?;
        let last = audit.last()?.map_or(0, |(last, _)| last.value());
        for (sequence, record) in (last + 1..).zip(&commit.audit) {
            let record = AuditRecord { sequence, ..record.clone() };
            audit.insert(sequence, json(&record)?.as_slice())?;
        }
        last
    };
    Ok((write, last))
}

/// Makes the store what it was before a commit, whether that is in it or not. Health stays: it is measured anew.
fn take_back(database: &Database, commit: &Commit, sequence: u64) -> Result<(), Cause> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate).map_err(|error| Cause(error.to_string()))?;
    for (name, before, _) in commit.standings.iter().rev() {
        put_standing(&write, name, before.as_ref())?;
    }
    for (target, before, _) in commit.marks.iter().rev() {
        put_mark(&write, target, before.as_ref())?;
    }
    write.open_table(AUDIT)?.retain(|known, _| known <= sequence)?;
    write.commit()?;
    Ok(())
}

fn put_standing(write: &WriteTransaction, name: &Name, standing: Option<&Standing>) -> Result<(), Cause> {
    put(write, STANDINGS, &name.to_lowercase().to_string(), standing)
}

fn put_mark(write: &WriteTransaction, target: &MarkTarget, mark: Option<&Mark>) -> Result<(), Cause> {
    // Names keep the case that an operator or a file wrote and compare without it; text does not.
    put(write, MARKS, &target.to_string().to_ascii_lowercase(), mark)
}

fn put<T: Serialize>(
    write: &WriteTransaction,
    table: TableDefinition<&'static str, &'static [u8]>,
    key: &str,
    value: Option<&T>,
) -> Result<(), Cause> {
    let mut table = write.open_table(table)?;
    match value {
        Some(value) => drop(table.insert(key, json(value)?.as_slice())?),
        None => drop(table.remove(key)?),
    }
    Ok(())
}

fn read_history(database: &Database, subject: Option<&str>, limit: usize) -> Result<Vec<AuditRecord>, Cause> {
    let table = database.begin_read()?.open_table(AUDIT)?;
    let mut records = Vec::new();
    for row in table.iter()?.rev() {
        if records.len() >= limit {
            break;
        }
        let (sequence, value) = row?;
        let record: AuditRecord = parse(&sequence.value().to_string(), value.value())?;
        if subject.is_none_or(|subject| about(&record, subject)) {
            records.push(record);
        }
    }
    Ok(records)
}

/// Whether a record is about a hub or a region: its subject, one endpoint of it, or one of the regions that it tells of.
fn about(record: &AuditRecord, subject: &str) -> bool {
    // Operators write `hub.example.net/westeurope` without the final dot of the hub.
    let plain = |text: &str| text.trim_end_matches('.').replace("./", "/").to_ascii_lowercase();
    let subject = plain(subject);
    let same = |text: &str| plain(text) == subject;
    same(&record.subject)
        || record.subject.rsplit_once('/').is_some_and(|(hub, region)| same(hub) || same(region))
        || record.before.as_deref().is_some_and(same)
        || record.after.as_deref().is_some_and(same)
}

/// What went wrong inside the database.
#[derive(Debug)]
struct Cause(String);

macro_rules! causes {
    ($($error:ty),*) => {
        $(impl From<$error> for Cause {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        })*
    };
}

causes!(redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError, serde_json::Error);

impl From<DatabaseError> for Cause {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => {
                Self("another concierge is running on it; one state folder serves one daemon".into())
            }
            other => Self(other.to_string()),
        }
    }
}

fn rows(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<BTreeMap<String, Vec<u8>>, Cause> {
    table
        .iter()?
        .map(|row| {
            let (key, value) = row?;
            Ok((key.value().to_owned(), value.value().to_owned()))
        })
        .collect()
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Cause> {
    Ok(serde_json::to_vec(value)?)
}

fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Cause> {
    serde_json::from_slice(value).map_err(|error| Cause(format!("row `{key}`: {error}")))
}

#[cfg(test)]
mod tests;
