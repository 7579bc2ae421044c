//! The store: what is committed stands, also when the disk does not take everything.

use std::sync::Arc;

use super::sheets::HUBS_A_SHEET;
use super::tables::{AUDIT, FORMAT, MARKS};
use super::*;
use crate::control::change::{Change, ChangeKind, Switch};
use crate::control::event::Author;
use crate::control::fact::{Fact, FactKey};
use crate::control::mark::{Mark, MarkTarget};
use crate::control::report::AuditKind;
use crate::control::roster::{HubId, Roster};
use crate::dns::Name;
use crate::health::Health;
use crate::policy::{Cause, MarkKind, ProbeName, ProbeTarget, RegionName, Target};
use crate::time::Timestamp;

pub(super) fn standing(epoch: u64) -> Standing {
    Standing {
        active: RegionName::new("weu"),
        epoch,
        since: Timestamp(5),
        cause: Cause::Health,
        reason: "because".into(),
        last_automatic: Some(Timestamp(5)),
        all: false,
        recent: Arc::default(),
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

pub(super) fn commit() -> Commit {
    let mark = Mark {
        kind: MarkKind::Down,
        reason: "r".into(),
        author: "a".into(),
        since: Timestamp(1),
        until: Some(Timestamp(9)),
    };
    let probed = ProbeTarget { probe: ProbeName::new("p"), target: Target::Addresses(vec![[127, 0, 0, 1].into()]) };
    Commit {
        named: vec![(HubId(0), hub())],
        marks: vec![(MarkTarget::Region(RegionName::new("weu")), None, Some(mark))],
        health: vec![(probed, Health::Down)],
        facts: vec![(fact_key(), None, Some(Fact::of(&7).unwrap()))],
        audit: vec![audit("hub.x./neu", "down"), audit("other.x.", "neu")],
        switch: Some(switch(None, standing(7)).into()),
    }
}

fn fact_key() -> FactKey {
    "gate/Hub.x./merged-back".parse().unwrap()
}

fn hub() -> Name {
    Name::parse("Hub.x.", None).unwrap()
}

/// The one hub's change.
fn switch(before: Option<Standing>, after: Standing) -> Switch {
    let mut roster = Roster::default();
    let hub = roster.admit(&hub());
    let reason = after.reason.clone();
    let (before, after) = (before.map(Arc::new), Arc::new(after));
    let change = Change { hub, kind: ChangeKind::Switch, reason, before, after };
    let author = Author { name: "alice".into(), origin: "test".into() };
    Switch { at: Timestamp(5), author, roster: Arc::new(roster), changes: vec![change] }
}

#[test]
fn what_is_committed_is_read_by_the_next_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("deep/state");
    Store::open(&state).unwrap().commit(&commit()).unwrap();
    let store = Store::open(&state).unwrap();
    let persisted = store.read().unwrap();
    assert_eq!(persisted.standing(&Name::parse("hub.X.", None).unwrap()), Some(&standing(7)));
    let (target, mark) = persisted.marks.first_key_value().unwrap();
    assert_eq!((target.to_string().as_str(), mark.until), ("weu", Some(Timestamp(9))));
    assert_eq!(persisted.health["p on 127.0.0.1"], Health::Down);
    assert_eq!(persisted.facts, [(fact_key(), Fact::of(&7).unwrap())].into());
    let gone = Commit {
        marks: vec![(target.clone(), Some(mark.clone()), None)],
        facts: vec![("GATE/hub.X./merged-back".parse().unwrap(), Some(Fact::of(&7).unwrap()), None)],
        ..Commit::default()
    };
    store.commit(&gone).unwrap();
    let persisted = store.read().unwrap();
    assert_eq!((persisted.marks.len(), persisted.facts.len()), (0, 0));
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
    check(None, 10, &[5, 4, 3, 2, 1]);
    check(None, 2, &[5, 4]);
    check(Some("HUB.x"), 10, &[5, 4, 2, 1]);
    check(Some("neu"), 10, &[5, 3, 2]);
    check(Some("WEU"), 10, &[4]);
    check(Some("weu"), 0, &[]);
    check(Some("gone"), 10, &[]);
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
    let write = store.opened().unwrap().as_ref().unwrap().begin_write().unwrap();
    write.open_table(FORMAT).unwrap().insert("version", 99).unwrap();
    write.commit().unwrap();
    drop(store);
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("its format is 99, this program knows 4"), "{error}");
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

/// A file on a disk that is full while its thread says so.
#[derive(Debug)]
struct Full(redb::backends::FileBackend);

thread_local! {
    /// What fails: nothing, writes, or only the sync that would make them durable.
    static FAILS: std::cell::Cell<Fails> = const { std::cell::Cell::new(Fails::Nothing) };
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fails {
    Nothing,
    Writes,
    /// The syncs after this many.
    Syncs(u32),
}

type Io<T> = std::io::Result<T>;

impl redb::StorageBackend for Full {
    fn len(&self) -> Io<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Io<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Io<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> Io<()> {
        match FAILS.get() {
            Fails::Syncs(0) => Err(std::io::Error::other("input/output error")),
            Fails::Syncs(left) => {
                FAILS.set(Fails::Syncs(left - 1));
                self.0.sync_data()
            }
            Fails::Nothing | Fails::Writes => self.0.sync_data(),
        }
    }
    fn write(&self, offset: u64, data: &[u8]) -> Io<()> {
        match FAILS.get() {
            Fails::Writes => Err(std::io::Error::other("no space left on device")),
            Fails::Nothing | Fails::Syncs(_) => self.0.write(offset, data),
        }
    }
    fn close(&self) -> Io<()> {
        self.0.close()
    }
}

fn open_full(state: &Path) -> Result<Store, StoreError> {
    Store::open_with(state, |path| {
        let mut file = std::fs::OpenOptions::new();
        file.read(true).write(true).create(true).truncate(false);
        let file = file.open(path).map_err(redb::StorageError::from)?;
        redb::Builder::new().create_with_backend(Full(redb::backends::FileBackend::new(file)?))
    })
}

#[test]
fn a_full_disk_is_written_to_again_once_it_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_full(folder.path()).unwrap();
    store.commit(&commit()).unwrap();
    let more = Commit { audit: vec![audit("hub.x.", "neu")], ..Commit::default() };
    FAILS.set(Fails::Writes);
    for _ in 0..3 {
        let error = store.commit(&more).unwrap_err().to_string();
        assert!(error.contains("no space left on device"), "the cause stays the disk, not `{error}`");
    }
    FAILS.set(Fails::Nothing);
    store.commit(&more).unwrap();
    let sequences: Vec<_> = store.history(None, 9).unwrap().iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [5, 4, 3, 2, 1]);
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().read().unwrap().standings.len(), 1);
}

#[test]
fn a_commit_that_failed_is_not_found_later() {
    for syncs in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let store = open_full(folder.path()).unwrap();
        store.commit(&commit()).unwrap();
        let before = store.read().unwrap();
        let (target, mark) = before.marks.first_key_value().unwrap();
        let failing = Commit {
            marks: vec![(target.clone(), Some(mark.clone()), None)],
            facts: vec![
                (fact_key(), Some(Fact::of(&7).unwrap()), Some(Fact::of(&8).unwrap())),
                (fact_key(), Some(Fact::of(&8).unwrap()), None),
                ("window/1".parse().unwrap(), None, Some(Fact::of(&"new").unwrap())),
            ],
            switch: Some(switch(Some(standing(7)), standing(8)).into()),
            named: vec![(HubId(1), Name::parse("new.x.", None).unwrap())],
            ..Commit::default()
        };
        FAILS.set(Fails::Syncs(syncs));
        let failed = store.commit(&failing).is_err();
        FAILS.set(Fails::Nothing);
        let after = store.read().unwrap();
        let records = store.history(None, 9).unwrap().len();
        match failed {
            true => {
                assert_eq!((&after.standings, &after.marks, records), (&before.standings, &before.marks, 4));
                assert_eq!(after.roster, before.roster, "its number is free again");
                assert_eq!(after.facts, before.facts);
            }
            false => {
                assert_eq!((after.standing(&hub()).unwrap().epoch, after.marks.len(), records), (8, 0, 6));
                assert_eq!(after.facts.keys().map(ToString::to_string).collect::<Vec<_>>(), ["window/1"]);
            }
        }
    }
}

#[test]
fn a_disk_full_at_the_first_start_leaves_no_half_store() {
    let folder = tempfile::tempdir().unwrap();
    FAILS.set(Fails::Writes);
    let error = open_full(folder.path()).unwrap_err().to_string();
    FAILS.set(Fails::Nothing);
    assert!(error.contains("no space left on device"), "{error}");
    Store::open(folder.path()).unwrap();
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

/// What was written by the program of the first layout: standings and audit records a row each, by name.
#[test]
fn a_store_of_the_first_layout_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let write = |store: &Store, work: fn(&redb::WriteTransaction)| {
        let opened = store.opened().unwrap();
        let write = opened.as_ref().unwrap().begin_write().unwrap();
        work(&write);
        write.commit().unwrap();
    };
    let first = Store::open(folder.path()).unwrap();
    write(&first, |write| {
        let mut names = vec!["z.x.".to_owned(), "hub.x.".to_owned()];
        names.extend((0..HUBS_A_SHEET).map(|hub| format!("h{hub}.a.x.")));
        let mut standings = write.open_table(redb::TableDefinition::<&str, &[u8]>::new("standings")).unwrap();
        for (name, epoch) in names.iter().zip(7u64..) {
            let row = serde_json::json!({
                "active": "weu", "epoch": epoch, "since": 5, "cause": "health", "reason": "because", "last_automatic": 5,
            });
            standings.insert(name.as_str(), row.to_string().as_bytes()).unwrap();
        }
        let mut records = write.open_table(AUDIT).unwrap();
        for sequence in 1..=2 {
            let row = serde_json::json!({
                "sequence": sequence, "at": 5, "kind": "switch", "subject": "hub.x.", "author": "concierge",
                "origin": "daemon", "epoch": 6 + sequence, "before": "neu", "after": "weu", "reason": "because",
            });
            records.insert(sequence, row.to_string().as_bytes()).unwrap();
        }
        let mark = serde_json::json!({ "kind": "down", "reason": "r", "author": "a", "since": 1, "until": null });
        write.open_table(MARKS).unwrap().insert("weu", mark.to_string().as_bytes()).unwrap();
        write.open_table(FORMAT).unwrap().insert("version", 1).unwrap();
    });
    drop(first);
    for _ in 0..2 {
        let store = Store::open(folder.path()).unwrap();
        let persisted = store.read().unwrap();
        assert_eq!(persisted.roster.len(), HUBS_A_SHEET + 2);
        assert!(persisted.roster.names().is_sorted(), "numbers in canonical order");
        assert_eq!(persisted.standing(&Name::parse("z.x.", None).unwrap()), Some(&standing(7)));
        assert_eq!(persisted.standing(&Name::parse("hub.x.", None).unwrap()), Some(&standing(8)));
        assert_eq!(persisted.standing(&Name::parse("h1023.a.x.", None).unwrap()).unwrap().epoch, 1032);
        assert_eq!(persisted.marks.len(), 1);
        let epochs: Vec<_> = store.history(Some("hub.x"), 9).unwrap().iter().map(|record| record.epoch).collect();
        assert_eq!(epochs, [Some(8), Some(7)]);
    }
    // And goes on from there.
    let store = Store::open(folder.path()).unwrap();
    let persisted = store.read().unwrap();
    let name = Name::parse("hub.x.", None).unwrap();
    let id = persisted.roster.id(&name).unwrap();
    let mut more = switch(Some(standing(8)), standing(9));
    more.changes[0].hub = id;
    store.commit(&Commit { switch: Some(more.into()), ..Commit::default() }).unwrap();
    assert_eq!(store.read().unwrap().standing(&name).unwrap().epoch, 9);
    let newest = store.history(Some("hub.x"), 1).unwrap().remove(0);
    assert_eq!((newest.sequence, newest.epoch, newest.subject.as_str()), (4, Some(9), "hub.x."));
}

mod chain;
mod crash;
mod export;
mod past;
mod replay;
mod retain;
