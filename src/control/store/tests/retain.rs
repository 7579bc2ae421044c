//! What is old is removed, and what is left is whole and says the same of what stands.

use super::super::tables::{CHAIN, HUBS};
use super::*;
use crate::control::chain::{Fault, Place};

const DAY: u64 = 86_400_000;

fn days(days: u64) -> Duration {
    Duration::from_millis(days * DAY)
}

/// A store of three hubs: each day one of them moves, and somebody marks a region. The naming is record 1, the first
/// regions are 2 to 4; then each day has two records.
fn diary(folder: &Path, length: u64) -> (Store, Vec<Option<Arc<Standing>>>) {
    let store = Store::open(folder).unwrap();
    let mut roster = Roster::default();
    let names: Vec<_> = (0..3).map(|hub| Name::parse(&format!("h{hub}.x."), None).unwrap()).collect();
    let named: Vec<_> = names.iter().map(|name| (roster.admit(name), name.clone())).collect();
    let roster = Arc::new(roster);
    let mut standings = vec![None; 3];
    let mut switch = |day: u64, hubs: std::ops::Range<u32>| {
        let at = Timestamp(day * DAY);
        let changes = hubs.map(|hub| {
            let before = standings[hub as usize].clone();
            let after = crate::control::change::Step {
                kind: ChangeKind::Switch,
                to: RegionName::new(["weu", "neu"][(day % 2) as usize]),
                epoch: before.as_ref().map_or(1, |before: &Arc<Standing>| before.epoch + 1),
                cause: Cause::Mark,
                all: false,
                reason: "because".into(),
            };
            let after = Arc::new(after.follow(before.as_deref(), at));
            standings[hub as usize] = Some(after.clone());
            Change { hub: HubId(hub), kind: ChangeKind::Switch, reason: "because".into(), before, after }
        });
        let author = Author { name: "alice".into(), origin: "test".into() };
        Some(Arc::new(Switch { at, author, roster: roster.clone(), changes: changes.collect() }))
    };
    store.commit(&Commit { named, switch: switch(1, 0..3), ..Commit::default() }).unwrap();
    for day in 2..=length {
        let at = Timestamp(day * DAY);
        let audit = vec![AuditRecord { at, kind: AuditKind::Mark, ..audit("weu", "down") }];
        let hub = (day % 3) as u32;
        store.commit(&Commit { audit, switch: switch(day, hub..hub + 1), ..Commit::default() }).unwrap();
    }
    store.read().unwrap();
    (store, standings)
}

/// Removes what is older than this until there is no more, and says how many records went.
fn retain(store: &Store, keep: Duration, now: Timestamp, standings: &[Option<Arc<Standing>>]) -> u64 {
    let mut removed = 0;
    for _ in 0..100 {
        match store.retain(keep, now, standings).unwrap() {
            Retained::Young => return removed,
            Retained::Prepared => {}
            Retained::Removed { records, .. } => removed += records,
        }
    }
    panic!("there is always more");
}

#[test]
fn what_is_old_goes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (store, standings) = diary(folder.path(), 30);
    let before = store.read().unwrap();
    let told = store.history(None, 1000).unwrap();
    let (_, head) = store.head().unwrap();
    assert_eq!(retain(&store, days(30), Timestamp(30 * DAY), &standings), 0, "nothing is older than 30 days");
    // Days 1 to 19: the naming, three first regions, and two records for each of 18 days.
    assert_eq!(retain(&store, days(10), Timestamp(30 * DAY), &standings), 1 + 3 + 18 * 2);
    let mut left = store.history(None, 1000).unwrap();
    let naming = left.remove(0);
    assert_eq!((naming.kind, naming.subject.as_str(), naming.at), (AuditKind::Hubs, "3 hubs", Timestamp(30 * DAY)));
    assert_eq!(left, told[..22], "the days 20 to 30, as they were");
    assert_eq!(store.reach().unwrap().first, Some(Place { sequence: 41, at: Timestamp(20 * DAY) }));
    drop(store);
    for _ in 0..2 {
        let store = Store::open(folder.path()).unwrap();
        let after = store.read().unwrap();
        assert_eq!((&after.standings, &after.roster), (&before.standings, &before.roster));
        let verified = store.verify(Some(head.to_string().parse().unwrap())).unwrap();
        assert!(verified.is_good(), "{verified:?}");
        assert_eq!((verified.records, verified.first.unwrap().sequence), (23, 41));
        assert_ne!(verified.before, Hash::START);
        let sentences = verified.sentences("the audit trail").join("\n");
        let begins = format!("it begins with record 41; the last hash before that is {}", verified.before);
        assert!(sentences.contains(&begins), "{sentences}");
        // The hash of what went is still known, and no older one.
        let anchor = verified.before.to_string().parse().unwrap();
        let verified = store.verify(Some(anchor)).unwrap();
        assert_eq!(verified.sought.as_ref().unwrap().through.unwrap().sequence, 40);
        assert!(verified.sentences("it").join("\n").contains("is the hash that it begins after"));
    }
}

#[test]
fn the_newest_record_stays_however_old_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (store, standings) = diary(folder.path(), 10);
    let (last, _) = store.head().unwrap();
    // A clock that is years ahead of everything that was written.
    assert_eq!(retain(&store, days(400), Timestamp(9_000 * DAY), &standings), 0);
    assert!(retain(&store, Duration::ZERO, Timestamp(9_000 * DAY), &standings) > 0);
    let newest = store.history(None, 1).unwrap().remove(0);
    assert!(newest.sequence > last, "numbers go on");
    store.commit(&Commit { audit: vec![audit("weu", "up")], ..Commit::default() }).unwrap();
    assert_eq!(store.history(None, 1).unwrap()[0].sequence, newest.sequence + 1);
    assert!(store.verify(None).unwrap().is_good());
}

/// What a number means stays covered when the row that said it has gone.
#[test]
fn names_are_covered_after_their_row_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (store, standings) = diary(folder.path(), 30);
    retain(&store, days(10), Timestamp(30 * DAY), &standings);
    drop(store);
    let database = Database::open(folder.path().join("concierge.redb")).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(HUBS).unwrap().insert(1, "evil.x.").unwrap();
    write.commit().unwrap();
    drop(database);
    let broken = Store::open(folder.path()).unwrap().verify(None).unwrap().broken.unwrap();
    assert_eq!(broken.fault, Fault::Hub);
    assert!(broken.sentence.starts_with("hub 1 is evil.x. in the table, and h1.x. in record "), "{}", broken.sentence);
}

/// Removing what is broken would remove the proof.
#[test]
fn a_broken_trail_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (store, standings) = diary(folder.path(), 30);
    drop(store);
    let database = Database::open(folder.path().join("concierge.redb")).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(CHAIN).unwrap().insert(5, &[7; 32]).unwrap();
    write.commit().unwrap();
    drop(database);
    let store = Store::open(folder.path()).unwrap();
    store.read().unwrap();
    let mut tried = store.retain(days(10), Timestamp(30 * DAY), &standings);
    while tried.as_ref().is_ok_and(|retained| *retained == Retained::Prepared) {
        tried = store.retain(days(10), Timestamp(30 * DAY), &standings);
    }
    let error = tried.unwrap_err().to_string();
    assert!(error.contains("nothing is removed from an audit trail that is broken: record 5 is not what"), "{error}");
    assert_eq!(store.reach().unwrap().first.unwrap().sequence, 1);
}

/// The past is told as far as it is known.
#[test]
fn a_past_before_the_first_record_is_said_to_be_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let (store, standings) = diary(folder.path(), 30);
    retain(&store, days(10), Timestamp(30 * DAY), &standings);
    let hub = Name::parse("h0.x.", None).unwrap();
    let explained = store.past(&hub, Vec::new(), Timestamp(20 * DAY)).unwrap();
    let left = crate::control::past::Before::Left(RegionName::new("weu"));
    assert_eq!(explained.stood, left, "what its next switch, of day 21, says that it left");
    let last = explained.steps.last().unwrap();
    assert!(last.starts_with("the audit trail begins with record 41 of "), "{last}");
}
