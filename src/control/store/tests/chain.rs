//! Whatever somebody does to the rows behind the daemon's back, looking at the chain finds it and says where.

use proptest::prelude::*;
use redb::ReadableTable;

use super::super::tables::{CHAIN, HUBS, SHEETS};
use super::*;
use crate::control::chain::{Fault, Place};

/// Hubs of the store that is tampered with.
const HUBS_HERE: u32 = 5;

/// A store with a history: the naming of five hubs and their first regions (records 1 to 6), a mark (7), a switch of all
/// (8 to 12), the end of the mark (13) and a switch of one (14). Rows begin at 1, 2, 7, 8, 13 and 14.
struct Tampered {
    folder: tempfile::TempDir,
    head: Hash,
}

pub(super) fn history(folder: &Path) -> Store {
    let store = Store::open(folder).unwrap();
    let mut roster = Roster::default();
    let names: Vec<_> = (0..HUBS_HERE).map(|hub| Name::parse(&format!("h{hub}.x."), None).unwrap()).collect();
    let named: Vec<_> = names.iter().map(|name| (roster.admit(name), name.clone())).collect();
    let roster = Arc::new(roster);
    let switch = |at: u64, hubs: std::ops::Range<u32>, epoch: u64| {
        let stands = |epoch: u64| {
            let active = RegionName::new(if epoch.is_multiple_of(2) { "neu" } else { "weu" });
            Standing { since: Timestamp(at), active, ..standing(epoch) }
        };
        let changes = hubs.map(|hub| {
            let before = (epoch > 1).then(|| Arc::new(stands(epoch - 1)));
            let after = stands(epoch).into();
            Change { hub: HubId(hub), kind: ChangeKind::Switch, reason: "because".into(), before, after }
        });
        let author = Author { name: "alice".into(), origin: "test".into() };
        Some(Arc::new(Switch { at: Timestamp(at), author, roster: roster.clone(), changes: changes.collect() }))
    };
    let told = |at: u64, after: &str| AuditRecord { at: Timestamp(at), kind: AuditKind::Mark, ..audit("weu", after) };
    let commits = [
        Commit { named, switch: switch(10, 0..HUBS_HERE, 1), ..Commit::default() },
        Commit { audit: vec![told(20, "down")], ..Commit::default() },
        Commit { switch: switch(30, 0..HUBS_HERE, 2), ..Commit::default() },
        Commit { audit: vec![told(40, "up")], switch: switch(40, 2..3, 3), ..Commit::default() },
    ];
    commits.iter().for_each(|commit| store.commit(commit).unwrap());
    store
}

impl Tampered {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = history(folder.path());
        let (last, head) = store.head().unwrap();
        assert_eq!(last, 14);
        Self { folder, head }
    }

    /// Does something to the file while no daemon runs.
    fn with(self, work: impl FnOnce(&redb::WriteTransaction)) -> Self {
        let database = Database::open(self.folder.path().join("concierge.redb")).unwrap();
        let write = database.begin_write().unwrap();
        work(&write);
        write.commit().unwrap();
        self
    }

    fn verify(&self) -> Verification {
        let kept = self.head.to_string().parse().unwrap();
        Store::open(self.folder.path()).unwrap().verify(Some(kept)).unwrap()
    }

    fn check(self, sequence: u64, fault: Fault, sentence: &str) {
        let verified = self.verify();
        let broken = verified.broken.clone().unwrap_or_else(|| panic!("expected: {sentence}"));
        assert_eq!((broken.sequence, broken.fault, broken.sentence.as_str()), (sequence, fault, sentence));
        assert!(!verified.whole && !verified.is_good());
    }
}

fn row(write: &redb::WriteTransaction, first: u64) -> Vec<u8> {
    write.open_table(AUDIT).unwrap().get(first).unwrap().unwrap().value().to_owned()
}

fn put(write: &redb::WriteTransaction, first: u64, row: &[u8]) {
    write.open_table(AUDIT).unwrap().insert(first, row).unwrap();
}

fn remove(write: &redb::WriteTransaction, first: u64) {
    assert!(write.open_table(AUDIT).unwrap().remove(first).unwrap().is_some());
}

fn rename(write: &redb::WriteTransaction, hub: u32, name: &str) {
    write.open_table(HUBS).unwrap().insert(hub, name).unwrap();
}

#[test]
fn what_nobody_touched_is_whole() {
    let tampered = Tampered::new();
    let verified = tampered.verify();
    let place = |sequence, at| Some(Place { sequence, at: Timestamp(at) });
    assert_eq!((verified.whole, verified.rows, verified.records), (true, 6, 14));
    assert_eq!((verified.first, verified.last), (place(1, 10), place(14, 40)));
    assert_eq!((verified.before, verified.head), (Hash::START, tampered.head));
    assert_eq!(verified.sought.as_ref().unwrap().through, place(14, 40));
    assert!(verified.is_good());
    let sentences = verified.sentences("the audit trail").join("\n");
    let (from, to, head) = (Timestamp(10), Timestamp(40), tampered.head);
    assert!(sentences.starts_with(&format!("the audit trail is whole: 14 records from {from} to {to}, head {head}")));
    let empty = tempfile::tempdir().unwrap();
    let verified = Store::open(empty.path()).unwrap().verify(None).unwrap();
    assert_eq!((verified.whole, verified.rows, verified.records, verified.head), (true, 0, 0, Hash::START));
}

#[test]
fn a_changed_row_is_found() {
    let change = |first, from: &'static str, to: &'static str| {
        Tampered::new().with(move |write| {
            let row = String::from_utf8_lossy(&row(write, first)).replace(from, to);
            put(write, first, row.as_bytes());
        })
    };
    let sentence = "record 7 is not what was written: its row and its hash do not fit";
    change(7, "alice", "mallo").check(7, Fault::Changed, sentence);
    // A row of a switch of many is found by its first record.
    let changed = Tampered::new().with(|write| {
        let mut row = row(write, 8);
        *row.last_mut().unwrap() ^= 1;
        put(write, 8, &row);
    });
    changed.check(8, Fault::Changed, "record 8 is not what was written: its row and its hash do not fit");
    let rehashed = Tampered::new().with(|write| {
        write.open_table(CHAIN).unwrap().insert(8, &[7; 32]).unwrap();
    });
    rehashed.check(8, Fault::Changed, "record 8 is not what was written: its row and its hash do not fit");
}

#[test]
fn a_missing_row_is_found() {
    let without =
        |rows: &'static [u64]| Tampered::new().with(move |write| rows.iter().for_each(|first| remove(write, *first)));
    without(&[7]).check(7, Fault::Missing, "record 7 is missing");
    without(&[8]).check(8, Fault::Missing, "records 8 to 12 are missing");
    without(&[1]).check(1, Fault::Missing, "record 1 is missing");
    without(&[14]).check(14, Fault::Missing, "record 14 is missing");
    without(&[13, 14]).check(13, Fault::Missing, "record 13 is missing");
    without(&[1, 2, 7, 8, 13, 14]).check(1, Fault::Missing, "record 1 is missing");
}

#[test]
fn rows_that_changed_places_are_found() {
    let swapped = Tampered::new().with(|write| {
        let (one, other) = (row(write, 7), row(write, 13));
        put(write, 7, &other);
        put(write, 13, &one);
    });
    swapped.check(7, Fault::Changed, "record 7 is not what was written: its row and its hash do not fit");
    let moved = Tampered::new().with(|write| {
        let moved = row(write, 13);
        remove(write, 13);
        put(write, 15, &moved);
    });
    moved.check(13, Fault::Missing, "record 13 is missing");
}

#[test]
fn a_row_that_was_added_is_found() {
    let added = Tampered::new().with(|write| {
        let forged = row(write, 7);
        put(write, 15, &forged);
    });
    added.check(15, Fault::NoHash, "record 15 has no hash");
    // In the midst of the records of another row.
    let added = Tampered::new().with(|write| {
        let forged = row(write, 7);
        put(write, 10, &forged);
    });
    added.check(10, Fault::Doubled, "the row of record 10 says a number that the row before it has");
}

#[test]
fn a_hash_that_is_gone_is_found() {
    let gone = |first: u64| {
        Tampered::new().with(move |write| {
            write.open_table(CHAIN).unwrap().remove(first).unwrap();
        })
    };
    gone(1).check(1, Fault::NoHash, "record 1 has no hash");
    gone(8).check(8, Fault::NoHash, "record 8 has no hash");
    gone(14).check(14, Fault::NoHash, "record 14 has no hash");
}

/// A batch names hubs by number: whoever changes what a number means, changes what the trail tells.
#[test]
fn another_name_of_a_hub_is_found() {
    let renamed = Tampered::new().with(|write| rename(write, 3, "evil.x."));
    renamed.check(1, Fault::Hub, "hub 3 is evil.x. in the table, and h3.x. in record 1");
    let added = Tampered::new().with(|write| rename(write, HUBS_HERE, "more.x."));
    added.check(14, Fault::Hub, "hub 5, more.x. in the table, is named by no record");
    for hub in [0, HUBS_HERE - 1] {
        let gone = Tampered::new().with(|write| {
            write.open_table(HUBS).unwrap().remove(hub).unwrap();
        });
        gone.check(1, Fault::Hub, &format!("hub {hub}, h{hub}.x. in record 1, is not in the table of hubs"));
    }
}

/// Whoever can write the file can make every hash anew. The head that somebody kept elsewhere is then in no chain.
#[test]
fn a_trail_that_was_rewritten_whole_does_not_have_the_head_that_was_kept() {
    let rehash = |write: &redb::WriteTransaction| {
        let mut chain = write.open_table(CHAIN).unwrap();
        chain.retain(|_, _| false).unwrap();
        let mut head = Hash::START;
        for row in write.open_table(AUDIT).unwrap().iter().unwrap() {
            let (first, row) = row.unwrap();
            head = head.link(first.value(), row.value());
            chain.insert(first.value(), &head.0).unwrap();
        }
    };
    let rewritten = Tampered::new().with(|write| {
        let row = String::from_utf8_lossy(&row(write, 7)).replace("alice", "mallo");
        put(write, 7, row.as_bytes());
        rehash(write);
    });
    let verified = rewritten.verify();
    assert!(verified.whole && !verified.is_good());
    assert_eq!(verified.sought.as_ref().unwrap().through, None);
    let sentences = verified.sentences("the audit trail");
    let told = format!("{} is not in it: what that was the head of has been rewritten or removed", rewritten.head);
    assert_eq!(sentences.last().unwrap(), &told);
    // The end cut off is the same.
    let cut = Tampered::new().with(|write| {
        remove(write, 14);
        write.open_table(CHAIN).unwrap().remove(14).unwrap();
    });
    assert!(cut.verify().whole && !cut.verify().is_good());
    // Unless what stands is known to take in more.
    let cut = Tampered::new().with(|write| {
        remove(write, 14);
        write.open_table(CHAIN).unwrap().remove(14).unwrap();
        write.open_table(FORMAT).unwrap().insert("sheets", 14).unwrap();
    });
    cut.check(14, Fault::Missing, "record 14 is missing");
}

/// A head that was kept is found however much was written since, by its first digits as well.
#[test]
fn every_head_that_there_was_is_in_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let store = history(folder.path());
    let mut heads = vec![store.head().unwrap()];
    for _ in 0..20 {
        store.commit(&Commit { audit: vec![audit("weu", "down")], ..Commit::default() }).unwrap();
        heads.push(store.head().unwrap());
    }
    for (last, head) in heads {
        let digits = head.to_string();
        for kept in [&digits[..], &digits[..16], &digits.to_ascii_uppercase()] {
            let verified = store.verify(Some(kept.parse().unwrap())).unwrap();
            assert_eq!(verified.sought.unwrap().through.map(|through| through.sequence), Some(last));
        }
    }
}

/// Damage must not keep hubs from moving.
#[test]
fn a_store_that_was_tampered_with_goes_on() {
    let damaged = Tampered::new().with(|write| {
        write.open_table(CHAIN).unwrap().retain(|_, _| false).unwrap();
        write.open_table(SHEETS).unwrap();
    });
    let store = Store::open(damaged.folder.path()).unwrap();
    store.read().unwrap();
    store.commit(&Commit { audit: vec![audit("weu", "down")], ..Commit::default() }).unwrap();
    assert_eq!(store.history(None, 1).unwrap()[0].sequence, 15);
    let broken = store.verify(None).unwrap().broken.unwrap();
    assert_eq!((broken.sequence, broken.fault), (1, Fault::NoHash));
}

/// What was written before there was a chain is hashed as it is found, names included.
#[test]
fn a_store_of_the_second_layout_is_taken_over() {
    let second = || {
        Tampered::new().with(|write| {
            write.delete_table(CHAIN).unwrap();
            write.delete_table(super::super::tables::FACTS).unwrap();
            write.open_table(FORMAT).unwrap().insert("version", 2).unwrap();
            // There was no row that named hubs.
            let unnamed =
                serde_json::to_vec(&AuditRecord { sequence: 1, ..audit("zones and policy", "read") }).unwrap();
            put(write, 1, &unnamed);
        })
    };
    let taken = second();
    let store = Store::open(taken.folder.path()).unwrap();
    let verified = store.verify(None).unwrap();
    assert_eq!((verified.whole, verified.records), (true, 15));
    let naming = store.history(None, 1).unwrap().remove(0);
    assert_eq!((naming.kind, naming.at, naming.subject.as_str()), (AuditKind::Hubs, Timestamp(40), "5 hubs"));
    let persisted = store.read().unwrap();
    assert_eq!(
        persisted.standings.iter().flatten().map(|standing| standing.epoch).collect::<Vec<_>>(),
        [2, 2, 3, 2, 2]
    );
    drop(store);
    assert_eq!(Store::open(taken.folder.path()).unwrap().head().unwrap().1, verified.head, "once");
    let renamed = taken.with(|write| rename(write, 0, "evil.x."));
    renamed.check(15, Fault::Hub, "hub 0 is evil.x. in the table, and h0.x. in record 15");
}

/// When hubs moved last is in the rows, whether a sheet takes them in or not.
#[test]
fn switches_before_the_third_layout_are_remembered() {
    for sheet in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = history(folder.path());
        let persisted = store.read().unwrap();
        let recent = |persisted: &Persisted| -> Vec<Vec<u64>> {
            let standings = persisted.standings.iter().flatten();
            standings.map(|standing| standing.recent.iter().map(|switch| switch.at.0).collect()).collect()
        };
        if sheet {
            store.write_sheet(1, &persisted.standings).unwrap();
        }
        drop(store);
        let tampered = Tampered { folder, head: Hash::START }.with(|write| {
            write.delete_table(CHAIN).unwrap();
            write.open_table(FORMAT).unwrap().insert("version", 2).unwrap();
            let mut table = write.open_table(SHEETS).unwrap();
            let owned = |(at, sheet): (redb::AccessGuard<'_, u32>, redb::AccessGuard<'_, &[u8]>)| {
                (at.value(), sheet.value().to_owned())
            };
            let sheets: Vec<_> = table.iter().unwrap().map(|row| owned(row.unwrap())).collect();
            assert_eq!(sheets.len(), usize::from(sheet));
            for (number, sheet) in sheets {
                let sheet: serde_json::Value = serde_json::from_slice(&sheet).unwrap();
                let standings = sheet["hubs"].as_array().unwrap().iter().map(|hub| {
                    let mut standing = sheet["distinct"][hub.as_u64().unwrap() as usize].clone();
                    standing.as_object_mut().unwrap().remove("recent").unwrap();
                    standing
                });
                let standings: Vec<_> = standings.collect();
                let sheet = serde_json::json!({ "through": sheet["through"], "standings": standings });
                table.insert(number, sheet.to_string().as_bytes()).unwrap();
            }
        });
        let migrated = Store::open(tampered.folder.path()).unwrap().read().unwrap();
        assert_eq!(recent(&migrated), recent(&persisted), "with a sheet: {sheet}");
    }
}

/// Whoever reads while the disk fails is not waited for: it gives up, and the store is opened anew.
#[test]
fn a_reader_gives_up_when_the_store_has_to_be_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_full(folder.path()).unwrap();
    store.commit(&commit()).unwrap();
    let more = Commit { audit: vec![audit("hub.x.", "neu")], ..Commit::default() };
    let read = store.look(|snapshot| {
        snapshot.check().unwrap();
        FAILS.set(Fails::Writes);
        assert!(store.commit(&more).is_err());
        FAILS.set(Fails::Nothing);
        store.commit(&more).unwrap();
        super::super::verify::verify(snapshot, None)
    });
    let error = read.unwrap_err().to_string();
    assert_eq!(error, "it failed meanwhile and is opened anew; ask again");
    let verified = store.verify(None).unwrap();
    assert_eq!((verified.is_good(), verified.records), (true, 5));
}

#[derive(Clone, Debug)]
enum Damage {
    Flip { row: prop::sample::Index, octet: prop::sample::Index, bit: u8 },
    Remove { row: prop::sample::Index },
    Swap { one: prop::sample::Index, other: prop::sample::Index },
    Rename { hub: u32 },
    Rehash { row: prop::sample::Index },
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => (index(), index(), 0u8..8).prop_map(|(row, octet, bit)| Damage::Flip { row, octet, bit }),
        1 => index().prop_map(|row| Damage::Remove { row }),
        1 => (index(), index()).prop_map(|(one, other)| Damage::Swap { one, other }),
        1 => (0..HUBS_HERE).prop_map(|hub| Damage::Rename { hub }),
        1 => index().prop_map(|row| Damage::Rehash { row }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Any history, any damage: it is found at the row that was damaged, and nothing is found where there is none.
    #[test]
    fn damage_is_found_where_it_is(more in proptest::collection::vec("[a-z]{1,9}", 0..12), damage in damage()) {
        let folder = tempfile::tempdir().unwrap();
        let store = history(folder.path());
        for text in more {
            store.commit(&Commit { audit: vec![audit("weu", &text)], ..Commit::default() }).unwrap();
        }
        let (_, head) = store.head().unwrap();
        prop_assert!(store.verify(None).unwrap().is_good());
        drop(store);
        let tampered = Tampered { folder, head };
        let mut expected = None;
        let tampered = tampered.with(|write| {
            let firsts: Vec<u64> =
                write.open_table(AUDIT).unwrap().iter().unwrap().map(|row| row.unwrap().0.value()).collect();
            expected = match damage {
                Damage::Flip { row: at, octet, bit } => {
                    let first = firsts[at.index(firsts.len())];
                    let mut row = row(write, first);
                    let octet = octet.index(row.len());
                    row[octet] ^= 1 << bit;
                    put(write, first, &row);
                    Some((first, Fault::Changed))
                }
                Damage::Remove { row: at } => {
                    let first = firsts[at.index(firsts.len())];
                    remove(write, first);
                    Some((first, Fault::Missing))
                }
                Damage::Swap { one, other } => {
                    let (one, other) = (firsts[one.index(firsts.len())], firsts[other.index(firsts.len())]);
                    let (first, second) = (row(write, one), row(write, other));
                    put(write, one, &second);
                    put(write, other, &first);
                    // Two rows that say the same each have their own number in them, but for rows of switches.
                    (first != second).then_some((one.min(other), Fault::Changed))
                }
                Damage::Rename { hub } => {
                    rename(write, hub, "evil.x.");
                    Some((1, Fault::Hub))
                }
                Damage::Rehash { row } => {
                    let first = firsts[row.index(firsts.len())];
                    write.open_table(CHAIN).unwrap().insert(first, &[0; 32]).unwrap();
                    Some((first, Fault::Changed))
                }
            };
        });
        let found = tampered.verify().broken.map(|broken| (broken.sequence, broken.fault));
        prop_assert_eq!(found, expected);
    }
}
