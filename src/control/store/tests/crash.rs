//! Simulated histories over the real store: whatever point of a commit the power is lost at, what is found is what the
//! simulated disk would have found.
//!
//! A history is run once with the simulated disk, which writes down every use of it. The real store then does the same on a
//! backend that remembers every write since the last one that was synced, and loses what it is told to lose.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::Io;
use crate::control::state::Persisted;
use crate::control::store::*;
use crate::simulate::dice::hash;
use crate::simulate::{Became, History, Options, Use, run};

/// What was done to a disk.
#[derive(Clone, Debug)]
enum Done {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

/// A disk: what is on it if no power is lost, and what was done to it.
#[derive(Debug, Default)]
struct Image {
    octets: Vec<u8>,
    done: Vec<Done>,
    fails: Fails,
    /// So many times the file cannot be opened.
    refused: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Fails {
    #[default]
    Nothing,
    /// Everything.
    Writes,
    /// What was written is there, and nobody is told so.
    Syncs,
}

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Image>>);

thread_local! {
    /// By the path of the store's file.
    static DISKS: RefCell<BTreeMap<PathBuf, Disk>> = RefCell::default();
}

fn broken<T>(cause: &str) -> Io<T> {
    Err(std::io::Error::other(cause))
}

fn apply(octets: &mut Vec<u8>, done: &Done) {
    match done {
        Done::Write(offset, data) => {
            let from = usize::try_from(*offset).unwrap();
            octets.resize(octets.len().max(from + data.len()), 0);
            octets[from..from + data.len()].copy_from_slice(data);
        }
        Done::Length(length) => octets.resize(usize::try_from(*length).unwrap(), 0),
        Done::Sync => {}
    }
}

impl Disk {
    fn of(octets: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Image { octets, ..Image::default() })))
    }

    fn act(&self, done: Done) -> Io<()> {
        let mut image = self.0.lock().unwrap();
        if image.fails == Fails::Writes {
            return broken("no space left on device");
        }
        apply(&mut image.octets, &done);
        image.done.push(done);
        Ok(())
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> Io<u64> {
        Ok(self.0.lock().unwrap().octets.len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Io<()> {
        let image = self.0.lock().unwrap();
        let from = usize::try_from(offset).unwrap();
        match image.octets.get(from..from + out.len()) {
            Some(found) => out.copy_from_slice(found),
            None => return broken("beyond the end"),
        }
        Ok(())
    }
    fn set_len(&self, length: u64) -> Io<()> {
        self.act(Done::Length(length))
    }
    fn sync_data(&self) -> Io<()> {
        let fails = self.0.lock().unwrap().fails;
        if fails == Fails::Syncs {
            // What comes after it cannot be written any more.
            self.0.lock().unwrap().fails = Fails::Writes;
            return broken("input/output error");
        }
        self.act(Done::Sync)
    }
    fn write(&self, offset: u64, data: &[u8]) -> Io<()> {
        self.act(Done::Write(offset, data.to_vec()))
    }
}

/// Opens a store whose file is a disk of this thread.
fn open(state: &Path, disk: &Disk) -> Result<Store, StoreError> {
    DISKS.with_borrow_mut(|disks| disks.insert(state.join("concierge.redb"), disk.clone()));
    Store::open_with(state, |path| {
        let disk = DISKS.with_borrow(|disks| disks[path].clone());
        {
            let mut image = disk.0.lock().unwrap();
            if image.refused > 0 {
                image.refused -= 1;
                return Err(redb::StorageError::from(std::io::Error::other("input/output error")).into());
            }
            image.fails = Fails::Nothing;
        }
        // Only so that there is something to protect.
        std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(redb::StorageError::from)?;
        redb::Builder::new().create_with_backend(disk)
    })
}

#[track_caller]
fn same(found: &Persisted, expected: &Persisted, when: &str) {
    assert_eq!(found.roster, expected.roster, "{when}");
    assert_eq!(found.standings, expected.standings, "{when}");
    assert_eq!(found.marks, expected.marks, "{when}");
    assert_eq!(found.health, expected.health, "{when}");
    assert_eq!(found.facts, expected.facts, "{when}");
}

fn are_same(one: &Persisted, other: &Persisted) -> bool {
    let of = |it: &Persisted| (it.roster.clone(), it.standings.clone(), it.marks.clone(), it.health.clone());
    of(one) == of(other) && one.facts == other.facts
}

/// How much was tried.
#[derive(Debug, Default)]
struct Tried {
    commits: usize,
    failed: usize,
    starts: usize,
    crashes: usize,
}

/// One life of the state folder.
struct Replay {
    folder: tempfile::TempDir,
    disk: Disk,
    store: Option<Store>,
    rows: Persisted,
    seed: u64,
    tried: Tried,
}

impl Replay {
    fn new(seed: u64) -> Self {
        let (folder, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        Self { folder, disk, store: None, rows: Persisted::default(), seed, tried: Tried::default() }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// The process is killed: nothing is closed as it should be, and what the disk has is what the next one finds.
    fn restart(&mut self, found: &Persisted) {
        let octets = self.disk.0.lock().unwrap().octets.clone();
        self.disk.0.lock().unwrap().fails = Fails::Writes;
        self.store = None;
        self.disk = Disk::of(octets);
        let store = open(&self.folder.path().join("live"), &self.disk).unwrap();
        same(&store.read().unwrap(), found, "after a kill");
        let verified = store.verify(None).unwrap();
        assert!(verified.whole, "{verified:?}");
        self.store = Some(store);
        self.tried.starts += 1;
    }

    fn commit(&mut self, commit: &Commit, after: &Persisted) {
        let before = std::mem::replace(&mut self.rows, after.clone());
        let base = self.begin();
        self.store().commit(commit).unwrap();
        self.tried.commits += 1;
        self.crash(&base, &before, true);
        if self.tried.commits.is_multiple_of(7) {
            // What a start would have to read again is written down beside it, and changes nothing.
            let base = self.begin();
            self.store().write_sheet(5, &after.standings).unwrap();
            self.crash(&base, after, false);
        }
    }

    fn begin(&self) -> Vec<u8> {
        let mut image = self.disk.0.lock().unwrap();
        image.done.clear();
        image.octets.clone()
    }

    /// A commit that fails; whether the disk is `well` when the store looks at it again.
    fn fail(&mut self, commit: &Commit, became: Became, well: bool, after: &Persisted) {
        let closed = self.store().database.read().unwrap().is_none();
        {
            let mut image = self.disk.0.lock().unwrap();
            image.refused = u32::from(closed) + u32::from(!well);
            image.fails = if became == Became::Reached { Fails::Syncs } else { Fails::Writes };
        }
        self.store().commit(commit).unwrap_err();
        self.tried.failed += 1;
        if well {
            same(&self.store().read().unwrap(), after, "after a commit that failed");
        }
        self.rows = after.clone();
    }

    /// Loses the power at every point of what was done since `base`, and looks what there is: what was before, or what is
    /// after; at the end, what is after alone.
    fn crash(&mut self, base: &[u8], before: &Persisted, is_commit: bool) {
        let done = self.disk.0.lock().unwrap().done.clone();
        let mut synced = base.to_vec();
        let mut waiting: Vec<&Done> = Vec::new();
        let last_sync = done.iter().rposition(|one| matches!(one, Done::Sync));
        assert!(!is_commit || last_sync.is_some(), "a commit that is acknowledged has synced");
        for (at, one) in done.iter().enumerate() {
            // What is written after the last sync may be lost, and nothing of the commit is.
            let acknowledged = is_commit && last_sync.is_some_and(|last| at >= last);
            if matches!(one, Done::Sync) {
                waiting.drain(..).for_each(|done| apply(&mut synced, done));
                self.found(synced.clone(), before, acknowledged);
                continue;
            }
            waiting.push(one);
            let luck = hash(&[self.seed, self.tried.commits as u64, at as u64]);
            // Most of them have the same outcome: a part is tried, with everything, some of it, and half of the last one.
            if luck.is_multiple_of(8) {
                for how in 0..3 {
                    self.found(lost(&synced, &waiting, how, luck), before, acknowledged);
                }
            }
        }
    }

    fn found(&mut self, octets: Vec<u8>, before: &Persisted, acknowledged: bool) {
        self.tried.crashes += 1;
        let store = open(&self.folder.path().join("crashed"), &Disk::of(octets)).unwrap();
        let found = store.read().unwrap();
        if acknowledged || !are_same(&found, before) {
            same(&found, &self.rows, "after a loss of power");
        }
        let verified = store.verify(None).unwrap();
        assert!(verified.whole, "{verified:?}");
    }
}

/// A disk that has of what was not synced: everything (0), some of it (1), everything but half of the last (2).
fn lost(synced: &[u8], waiting: &[&Done], how: u64, luck: u64) -> Vec<u8> {
    let mut octets = synced.to_vec();
    let last = waiting.len() - 1;
    for (at, done) in waiting.iter().enumerate() {
        match (how, done) {
            (1, Done::Write(..)) if hash(&[luck, at as u64]).is_multiple_of(2) => {}
            (2, Done::Write(offset, data)) if at == last => {
                apply(&mut octets, &Done::Write(*offset, data[..data.len() / 2].to_vec()));
            }
            _ => apply(&mut octets, done),
        }
    }
    octets
}

#[test]
fn what_the_real_store_finds_after_a_loss_of_power_is_what_the_simulated_one_finds() {
    let mut tried = Tried::default();
    for seed in [3, 7, 12, 684] {
        let outcome = run(&History::of(seed), Options { tape: true, ..Options::default() }).unwrap();
        assert_eq!(outcome.violation, None);
        let mut replay = Replay::new(seed);
        for used in &outcome.tape {
            match used {
                Use::Open(found) => replay.restart(found),
                Use::Commit { commit, became: Became::Durable, after, .. } => replay.commit(commit, after),
                Use::Commit { commit, became, well, after } => replay.fail(commit, *became, *well, after),
            }
        }
        tried.commits += replay.tried.commits;
        tried.failed += replay.tried.failed;
        tried.starts += replay.tried.starts;
        tried.crashes += replay.tried.crashes;
    }
    std::io::Write::write_all(&mut std::io::stderr(), format!("{tried:?}\n").as_bytes()).unwrap();
    assert!(tried.failed > 0 && tried.starts > 8 && tried.crashes > tried.commits, "{tried:?}");
}
