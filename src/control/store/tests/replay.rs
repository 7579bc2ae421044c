//! What stands after any sequence of commits is what a later daemon reads, wherever this one was killed.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::control::fact::Facts;

/// More than two sheets.
const HUBS: u32 = 2 * HUBS_A_SHEET as u32 + 100;
const REGIONS: [&str; 3] = ["weu", "neu", "eus"];

#[derive(Clone, Debug)]
enum Act {
    /// Moves every hub of a range, in steps, to a region.
    Move { first: u32, step: u32, to: usize, cause: Cause },
    /// Has the hubs of a range answer all endpoints at once, or no longer.
    Answer { first: u32, step: u32 },
    /// Something that is about no hub.
    Mark,
    /// A fact comes, becomes another one or goes.
    Fact { id: u8, after: Option<u8> },
    /// Time in which nobody waits.
    Idle,
    /// Looks at what a daemon would find that starts after this one was killed now.
    Kill,
    /// A commit that the disk does not take, at the sync after so many.
    Fail { first: u32, syncs: u32 },
    /// Time in which nobody waits, and what is older than a part of the time that has passed may go; the disk may fail.
    Retain { part: u8, syncs: Option<u32> },
    /// Ends and starts.
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let cause = prop_oneof![Just(Cause::Health), Just(Cause::Mark), Just(Cause::Failover), Just(Cause::FailbackAfter)];
    prop_oneof![
        4 => (0..HUBS, 1..HUBS, 0usize..3, cause).prop_map(|(first, step, to, cause)| Act::Move { first, step, to, cause }),
        2 => (0..HUBS, 50..HUBS).prop_map(|(first, step)| Act::Answer { first, step }),
        1 => Just(Act::Mark),
        2 => (0u8..3, proptest::option::of(0u8..3)).prop_map(|(id, after)| Act::Fact { id, after }),
        4 => Just(Act::Idle),
        2 => Just(Act::Kill),
        1 => (0..HUBS, 0u32..4).prop_map(|(first, syncs)| Act::Fail { first, syncs }),
        2 => (0u8..4, proptest::option::of(0u32..6)).prop_map(|(part, syncs)| Act::Retain { part, syncs }),
        1 => Just(Act::Restart),
    ]
}

/// A store, and what has to be in it.
struct Bench {
    folder: tempfile::TempDir,
    store: Option<Store>,
    roster: Arc<Roster>,
    standings: Vec<Option<Arc<Standing>>>,
    told: VecDeque<AuditRecord>,
    /// The number of the last record.
    last: u64,
    facts: Facts,
    /// The hash after each commit.
    heads: Vec<(u64, Hash)>,
    /// The last record that was removed.
    heads_gone: u64,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut roster = Roster::default();
        for hub in 0..HUBS {
            roster.admit(&Name::parse(&format!("h{hub}.x."), None).unwrap());
        }
        let standings = vec![None; HUBS as usize];
        let (roster, told, facts) = (Arc::new(roster), VecDeque::new(), Facts::new());
        let heads = Vec::new();
        let mut bench =
            Self { folder, store: None, roster, standings, told, last: 0, facts, heads, heads_gone: 0, now: 0 };
        bench.restart();
        let names = bench.roster.names().iter().cloned();
        let named = (0..).map(HubId).zip(names).collect();
        bench.commit(Commit { named, ..Commit::default() });
        bench
    }

    fn restart(&mut self) {
        self.store = None;
        let mut store = open_full(self.folder.path()).unwrap();
        store.most_records = 300;
        store.read().unwrap();
        self.store = Some(store);
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn changes(
        &mut self,
        first: u32,
        step: u32,
        next: impl Fn(Option<&Standing>) -> crate::control::change::Step,
    ) -> Commit {
        self.now += 1;
        let at = Timestamp(self.now);
        let changes = (first..HUBS).step_by(step as usize).map(|hub| {
            let before = self.standings[hub as usize].clone();
            let step = next(before.as_deref());
            let after = Arc::new(step.follow(before.as_deref(), at));
            Change { hub: HubId(hub), kind: step.kind, reason: step.reason, before, after }
        });
        let changes = changes.collect();
        let author = Author { name: "alice".into(), origin: "test".into() };
        let switch = Switch { at, author, roster: self.roster.clone(), changes };
        Commit { switch: Some(switch.into()), ..Commit::default() }
    }

    fn moving(&mut self, first: u32, step: u32, to: usize, cause: Cause) -> Commit {
        let reason: Arc<str> = format!("because of {first}").into();
        self.changes(first, step, |before| crate::control::change::Step {
            kind: ChangeKind::Switch,
            to: RegionName::new(REGIONS[to]),
            epoch: before.map_or(1, |before| before.epoch + 1),
            cause,
            all: false,
            reason: reason.clone(),
        })
    }

    fn fact(&self, id: u8, after: Option<u8>) -> (FactKey, Option<Fact>, Option<Fact>) {
        let key: FactKey = format!("move/{id}").parse().unwrap();
        (key.clone(), self.facts.get(&key).cloned(), after.map(|after| Fact::of(&after).unwrap()))
    }

    fn commit(&mut self, commit: Commit) {
        self.store().commit(&commit).unwrap();
        for mut record in commit.records() {
            self.last += 1;
            record.sequence = self.last;
            self.told.push_front(record);
        }
        for (key, before, after) in commit.facts {
            assert_eq!(self.facts.remove(&key), before);
            self.facts.extend(after.map(|after| (key, after)));
        }
        for change in commit.switch.iter().flat_map(|switch| &switch.changes) {
            self.standings[change.hub.index()] = Some(change.after.clone());
        }
        self.heads.push(self.store().head().unwrap());
    }

    /// Removes what is old until there is no more, or the disk fails.
    fn retain(&mut self, part: u8, syncs: Option<u32>) {
        let keep = Duration::from_millis(self.now * u64::from(part) / 4);
        FAILS.set(syncs.map_or(Fails::Nothing, Fails::Syncs));
        for _ in 0..50 {
            let retained = self.store().retain(keep, Timestamp(self.now), &self.standings);
            let failed = retained.is_err();
            if failed {
                FAILS.set(Fails::Nothing);
            }
            // What was to go was named anew before, whether it went or not.
            let newest = self.store().history(None, 1).unwrap().remove(0);
            if newest.sequence > self.last {
                assert_eq!((newest.kind, newest.sequence), (AuditKind::Hubs, self.last + 1));
                self.last += 1;
                self.told.push_front(newest);
                self.heads.push(self.store().head().unwrap());
            }
            let begins = self.store().reach().unwrap().first.unwrap().sequence;
            while let Some(gone) = self.told.pop_back_if(|record| record.sequence < begins) {
                assert!(gone.at.0 < self.now - keep.as_millis() as u64, "too young: {gone:?}");
                self.heads_gone = self.heads_gone.max(gone.sequence);
            }
            assert!(self.told.back().is_some_and(|record| record.sequence == begins), "a row goes whole");
            match retained {
                Ok(Retained::Removed { through, hash, .. }) => {
                    assert_eq!((through.sequence + 1, hash), (begins, self.store().verify(None).unwrap().before));
                }
                Ok(Retained::Prepared) => {}
                Ok(Retained::Young) | Err(_) => break,
            }
        }
        FAILS.set(Fails::Nothing);
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Move { first, step, to, cause } => {
                let commit = self.moving(first, step, to, cause);
                self.commit(commit);
            }
            Act::Answer { first, step } => {
                if self.standings.iter().any(Option::is_none) {
                    return;
                }
                let commit = self.changes(first, step, |before| {
                    let before = before.unwrap();
                    crate::control::change::Step {
                        kind: ChangeKind::Answer,
                        to: before.active.clone(),
                        epoch: before.epoch,
                        cause: before.cause,
                        all: !before.all,
                        reason: "no endpoint is eligible".into(),
                    }
                });
                self.commit(commit);
            }
            Act::Mark => self.commit(Commit { audit: vec![audit("weu", "down")], ..Commit::default() }),
            Act::Fact { id, after } => {
                let fact = self.fact(id, after);
                self.commit(Commit { facts: vec![fact], ..Commit::default() });
            }
            Act::Idle => self.store().keep_up(&self.standings).unwrap(),
            Act::Kill => {
                // What is in the file at this moment, as the page cache keeps it when a process dies.
                let other = tempfile::tempdir().unwrap();
                let file = |folder: &tempfile::TempDir| folder.path().join("concierge.redb");
                std::fs::copy(file(&self.folder), file(&other)).unwrap();
                self.check(&Store::open(other.path()).unwrap());
            }
            Act::Fail { first, syncs } => {
                let facts = vec![self.fact(0, Some(9))];
                let commit = Commit { facts, ..self.moving(first, 3, 0, Cause::Mark) };
                FAILS.set(Fails::Syncs(syncs));
                let failed = self.store().commit(&commit).is_err();
                FAILS.set(Fails::Nothing);
                // The disk is well again. Whatever uses the store next takes back what may have reached it.
                self.store().history(None, 1).unwrap();
                if !failed {
                    // It is in the store, and so it is told of: once more in the books alone.
                    let store = self.store.take();
                    let scratch = tempfile::tempdir().unwrap();
                    self.store = Some(Store::open(scratch.path()).unwrap());
                    self.commit(commit);
                    self.store = store;
                    // A head of that other store.
                    self.heads.pop();
                }
            }
            Act::Retain { part, syncs } => self.retain(part, syncs),
            Act::Restart => self.restart(),
        }
    }

    fn check(&self, store: &Store) {
        let persisted = store.read().unwrap();
        assert_eq!(persisted.roster.names(), self.roster.names());
        assert_eq!(persisted.facts, self.facts);
        for (hub, (found, expected)) in persisted.standings.iter().zip(&self.standings).enumerate() {
            assert_eq!(found, expected, "hub {hub}");
        }
        let kept = self.heads.get(self.heads.len() / 2);
        let verified = store.verify(kept.map(|(_, head)| head.to_string().parse().unwrap())).unwrap();
        assert!(verified.whole, "{verified:?}");
        if let Some((last, _)) = kept.filter(|(last, _)| *last >= self.heads_gone) {
            let through = verified.sought.as_ref().unwrap().through;
            assert_eq!(through.map(|through| through.sequence), Some(*last), "{verified:?}");
        }
        assert_eq!(verified.records, self.told.len() as u64);
        let told: Vec<_> = self.told.iter().cloned().collect();
        assert!(store.history(None, usize::MAX).unwrap() == told, "every record, newest first");
        assert!(store.history(None, 5).unwrap()[..] == told[..told.len().min(5)]);
        let of: Vec<_> = told.iter().filter(|record| record.subject == "h77.x.").cloned().collect();
        assert_eq!(store.history(Some("H77.x"), usize::MAX).unwrap(), of);
        assert_eq!(store.history(Some("H77.x"), 2).unwrap()[..], of[..of.len().min(2)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_committed_is_read_again(acts in proptest::collection::vec(act(), 1..40)) {
        let mut bench = Bench::new();
        acts.iter().for_each(|act| bench.act(act));
        bench.act(&Act::Kill);
        bench.restart();
        bench.check(bench.store());
    }
}

/// A start that writes one sheet of a row, and is killed, has read the row whole: the next start has to as well.
#[test]
fn a_row_that_one_sheet_takes_in_is_read_for_the_others() {
    let mut bench = Bench::new();
    let commit = bench.moving(0, 1, 0, Cause::Start);
    bench.commit(commit);
    for _ in 0..4 {
        bench.act(&Act::Restart);
        bench.act(&Act::Idle);
        bench.act(&Act::Kill);
    }
}

/// However long the daemon has run, a start reads a part of the audit trail.
#[test]
fn a_start_reads_what_came_after_the_sheets() {
    let mut bench = Bench::new();
    let commit = bench.moving(0, 1, 0, Cause::Start);
    bench.commit(commit);
    for round in 0..400 {
        let commit = bench.moving(round % 7, HUBS, (round % 3) as usize, Cause::Mark);
        bench.commit(commit);
        bench.act(&Act::Idle);
    }
    let kept = {
        let opened = bench.store().opened().unwrap();
        let read = redb::ReadableDatabase::begin_read(opened.as_ref().unwrap()).unwrap();
        read.open_table(FORMAT).unwrap().get("sheets").unwrap().unwrap().value()
    };
    assert!(kept + 320 > bench.told.len() as u64, "sheets up to {kept} of {}", bench.told.len());
    bench.act(&Act::Kill);
    // And what the sheets take in is not read: a row that nobody could read is not noticed there.
    let write = bench.store().opened().unwrap().as_ref().unwrap().begin_write().unwrap();
    write.open_table(AUDIT).unwrap().insert(1, b"\xff".as_slice()).unwrap();
    write.commit().unwrap();
    bench.restart();
    assert_eq!(bench.store().read().unwrap().standings, bench.standings);
}
