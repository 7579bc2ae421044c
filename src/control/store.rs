//! I/O shell: the embedded store. One durable transaction for each commit; nothing is acknowledged before it.
//!
//! Rows are JSON, so that a newer daemon can add fields and an older one can still read what it knows. The store is
//! locked while the daemon runs: the CLI asks the daemon instead.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event::Commit;
use super::report::AuditRecord;
use super::state::{Persisted, health_key};
use crate::dns::Name;

/// By a hub's owner name in lower case: the [`Standing`](crate::policy::Standing).
const STANDINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("standings");
/// By what is marked, in lower case: the [`Mark`](super::mark::Mark).
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
///
/// Once reading or writing its file has failed (a full disk, say), the database refuses everything until it is opened
/// anew: so that is done after every failure, and whoever tries again later finds what the disk then allows.
#[derive(Debug)]
pub struct Store {
    /// Why there is none after a failure, until it can be opened again. Written to for that alone: commits and readers
    /// share it.
    database: RwLock<Result<Database, String>>,
    path: PathBuf,
    open: Opener,
}

type Opener = fn(&Path) -> Result<Database, redb::DatabaseError>;

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
        Self::open_by(|path| Database::create(path), state)
    }

    fn open_by(open: Opener, state: &Path) -> Result<Self, StoreError> {
        let path = state.join("concierge.redb");
        let fail = |intent, cause: String| StoreError { intent, path: path.clone(), cause };
        if !state.is_dir() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(state)
                .map_err(|error| fail("cannot make the state folder of", error.to_string()))?;
        }
        let database = open(&path).map_err(|error| fail("cannot open the store", why_not_open(&error)))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| fail("cannot protect the store", error.to_string()))?;
        let store = Self { database: RwLock::new(Ok(database)), path: path.clone(), open };
        store.prepare().map_err(|cause| fail("cannot prepare the store", cause.0))?;
        Ok(store)
    }

    fn prepare(&self) -> Result<(), Cause> {
        let write = self.with(Database::begin_write)?;
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

    /// Everything that the daemon starts from.
    ///
    /// # Errors
    /// When the file cannot be read, or a row of it cannot be understood: then the daemon does not start.
    pub fn read(&self) -> Result<Persisted, StoreError> {
        self.read_all().map_err(|cause| self.fail("cannot read the store", cause))
    }

    fn read_all(&self) -> Result<Persisted, Cause> {
        let read = self.with(|database| database.begin_read())?;
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

    /// Makes a commit durable: when this returns, it survives the loss of power.
    ///
    /// # Errors
    /// When it is not known to be durable. A failure at the very end may leave it in the store all the same, as a crash
    /// before the acknowledgement may.
    pub fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        self.write(commit).map_err(|cause| {
            self.open_again();
            self.fail("cannot write to the store", cause)
        })
    }

    fn open_again(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: the file is locked by who has it open.
        *database = Err("closed".into());
        *database = (self.open)(&self.path).map_err(|error| why_not_open(&error));
    }

    fn with<T>(&self, begin: impl FnOnce(&Database) -> Result<T, redb::TransactionError>) -> Result<T, Cause> {
        match &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(database) => Ok(begin(database)?),
            Err(why) => Err(Cause(format!("it could not be opened again after a failure: {why}"))),
        }
    }

    fn write(&self, commit: &Commit) -> Result<(), Cause> {
        let mut write = self.with(Database::begin_write)?;
        write.set_durability(Durability::Immediate).map_err(|error| Cause(error.to_string()))?;
        {
            let mut standings = write.open_table(STANDINGS)?;
            for (name, _, after) in &commit.standings {
                standings.insert(name.to_lowercase().to_string().as_str(), json(after)?.as_slice())?;
            }
            let mut marks = write.open_table(MARKS)?;
            for (target, _, after) in &commit.marks {
                // Names keep the case that an operator or a file wrote and compare without it; text does not.
                let key = target.to_string().to_ascii_lowercase();
                match after {
                    Some(mark) => drop(marks.insert(key.as_str(), json(mark)?.as_slice())?),
                    None => drop(marks.remove(key.as_str())?),
                }
            }
            let mut health = write.open_table(HEALTH)?;
            for (target, after) in &commit.health {
                health.insert(health_key(target).as_str(), json(after)?.as_slice())?;
            }
            let mut audit = write.open_table(AUDIT)?;
            let mut sequence = audit.last()?.map_or(0, |(last, _)| last.value());
            for record in &commit.audit {
                sequence += 1;
                let record = AuditRecord { sequence, ..record.clone() };
                audit.insert(sequence, json(&record)?.as_slice())?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// The newest `limit` audit records, newest first; only those about `subject`, where one is given.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn history(&self, subject: Option<&str>, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        self.read_history(subject, limit).map_err(|cause| self.fail("cannot read the audit trail in", cause))
    }

    fn read_history(&self, subject: Option<&str>, limit: usize) -> Result<Vec<AuditRecord>, Cause> {
        let table = self.with(|database| database.begin_read())?.open_table(AUDIT)?;
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

    fn fail(&self, intent: &'static str, cause: Cause) -> StoreError {
        StoreError { intent, path: self.path.clone(), cause: cause.0 }
    }
}

fn why_not_open(error: &redb::DatabaseError) -> String {
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen => {
            "another concierge is running on it; one state folder serves one daemon".into()
        }
        other => other.to_string(),
    }
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
mod tests {
    use super::*;
    use crate::control::mark::{Mark, MarkTarget};
    use crate::control::report::AuditKind;
    use crate::health::Health;
    use crate::policy::{Cause, MarkKind, ProbeName, ProbeTarget, RegionName, Standing, Target};
    use crate::time::Timestamp;

    fn standing(epoch: u64) -> Standing {
        Standing {
            active: RegionName::new("weu"),
            epoch,
            since: Timestamp(5),
            cause: Cause::Health,
            reason: "because".into(),
            last_automatic: Some(Timestamp(5)),
            all: false,
        }
    }

    fn audit(subject: &str, after: &str) -> AuditRecord {
        AuditRecord {
            sequence: 0,
            at: Timestamp(5),
            kind: AuditKind::Switch,
            subject: subject.into(),
            author: "alice".into(),
            origin: "test".into(),
            epoch: Some(2),
            before: None,
            after: Some(after.into()),
            reason: "because".into(),
        }
    }

    fn commit() -> Commit {
        let mark = Mark {
            kind: MarkKind::Down,
            reason: "r".into(),
            author: "a".into(),
            since: Timestamp(1),
            until: Some(Timestamp(9)),
        };
        let probed = ProbeTarget { probe: ProbeName::new("p"), target: Target::Addresses(vec![[127, 0, 0, 1].into()]) };
        Commit {
            standings: vec![(Name::parse("Hub.x.", None).unwrap(), None, standing(7))],
            marks: vec![(MarkTarget::Region(RegionName::new("weu")), None, Some(mark))],
            health: vec![(probed, Health::Down)],
            audit: vec![audit("hub.x.", "weu"), audit("hub.x./neu", "down"), audit("other.x.", "neu")],
        }
    }

    #[test]
    fn what_is_committed_is_read_by_the_next_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep/state");
        Store::open(&state).unwrap().commit(&commit()).unwrap();
        let store = Store::open(&state).unwrap();
        let persisted = store.read().unwrap();
        assert_eq!(persisted.standings[&Name::parse("hub.X.", None).unwrap()], standing(7));
        let (target, mark) = persisted.marks.first_key_value().unwrap();
        assert_eq!((target.to_string().as_str(), mark.until), ("weu", Some(Timestamp(9))));
        assert_eq!(persisted.health["p on 127.0.0.1"], Health::Down);
        let gone = Commit { marks: vec![(target.clone(), Some(mark.clone()), None)], ..Commit::default() };
        store.commit(&gone).unwrap();
        assert!(store.read().unwrap().marks.is_empty());
    }

    /// `Hub.X` and `hub.x` are one name: what is taken away in one spelling was made in another.
    #[test]
    fn a_row_is_found_in_whatever_case_its_name_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mark = commit().marks[0].2.clone().unwrap();
        let marked = |target: &str, after: Option<&Mark>| Commit {
            marks: vec![(target.parse().unwrap(), None, after.cloned())],
            ..Commit::default()
        };
        store.commit(&marked("Hub.X./weu", Some(&mark))).unwrap();
        store.commit(&marked("hub.x/weu", None)).unwrap();
        assert_eq!(store.read().unwrap().marks, Default::default());
        let probed = |name: &str, health| {
            let target = Target::Host(Name::parse(name, None).unwrap());
            Commit { health: vec![(ProbeTarget { probe: ProbeName::new("p"), target }, health)], ..Commit::default() }
        };
        store.commit(&probed("Weu.Example.", Health::Up)).unwrap();
        store.commit(&probed("weu.example.", Health::Down)).unwrap();
        assert_eq!(store.read().unwrap().health, [("p on weu.example.".into(), Health::Down)].into());
    }

    #[test]
    fn history_is_newest_first_and_filtered_by_hub_or_region() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.commit(&commit()).unwrap();
        store.commit(&Commit { audit: vec![audit("hub.x.", "neu")], ..Commit::default() }).unwrap();
        let check = |subject, limit, expected: &[u64]| {
            let found: Vec<_> = store.history(subject, limit).unwrap().iter().map(|record| record.sequence).collect();
            assert_eq!(found, expected, "{subject:?}");
        };
        check(None, 10, &[4, 3, 2, 1]);
        check(None, 2, &[4, 3]);
        check(Some("HUB.x"), 10, &[4, 2, 1]);
        check(Some("neu"), 10, &[4, 3, 2]);
        check(Some("gone"), 10, &[]);
    }

    /// A file on a disk that is full while another file lies beside it.
    #[derive(Debug)]
    struct FullDisk(redb::backends::FileBackend, PathBuf);

    impl FullDisk {
        fn open(path: &Path) -> Result<Database, redb::DatabaseError> {
            let file =
                std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
            let disk = Self(redb::backends::FileBackend::new(file)?, path.with_extension("full"));
            Database::builder().create_with_backend(disk)
        }

        fn room(&self) -> std::io::Result<()> {
            if self.1.exists() { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl redb::StorageBackend for FullDisk {
        fn len(&self) -> std::io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
            self.0.read(offset, out)
        }

        fn set_len(&self, len: u64) -> std::io::Result<()> {
            self.room().and_then(|()| self.0.set_len(len))
        }

        fn sync_data(&self) -> std::io::Result<()> {
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
            self.room().and_then(|()| self.0.write(offset, data))
        }
    }

    #[test]
    fn a_disk_that_was_full_is_written_to_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_by(FullDisk::open, folder.path()).unwrap();
        store.commit(&Commit { audit: vec![audit("hub.x.", "neu")], ..Commit::default() }).unwrap();
        let full = folder.path().join("concierge.full");
        std::fs::write(&full, "").unwrap();
        for _ in 0..2 {
            store.commit(&commit()).unwrap_err();
        }
        std::fs::remove_file(&full).unwrap();
        // What failed here was to open it again.
        drop(store.commit(&commit()));
        store.commit(&commit()).unwrap();
        assert_eq!(store.read().unwrap().standings.len(), 1);
        assert_eq!(store.history(Some("neu"), 10).unwrap().last().unwrap().sequence, 1);
    }

    #[test]
    fn one_state_folder_serves_one_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path()).unwrap();
        let error = Store::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("another concierge is running on it"), "{error}");
        assert!(error.contains("concierge.redb"), "{error}");
    }

    #[test]
    fn only_the_owner_can_read_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        Store::open(&state).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join("concierge.redb"))), (0o700, 0o600));
    }

    #[test]
    fn a_store_of_another_format_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let write = store.with(Database::begin_write).unwrap();
        write.open_table(FORMAT).unwrap().insert("version", 99).unwrap();
        write.commit().unwrap();
        drop(store);
        let error = Store::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("its format is 99, this program knows 1"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_store_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(folder.path().join("concierge.redb")).unwrap();
        std::io::Write::write_all(&mut file, b"not a database at all").unwrap();
        let error = Store::open(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("cannot open the store "), "{error}");
    }
}
