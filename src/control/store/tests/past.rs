//! What stood at a past time is what the next daemon would have read then.

use proptest::prelude::*;

use super::*;
use crate::control::change::Step;
use crate::control::past::{Before, PastStanding};

const REGIONS: [&str; 3] = ["weu", "neu", "eus"];

#[derive(Clone, Debug)]
enum Act {
    Move { hub: u32, to: usize },
    Answer { hub: u32 },
    Mark { region: usize, down: bool },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0u32..3, 0usize..3).prop_map(|(hub, to)| Act::Move { hub, to }),
        1 => (0u32..3).prop_map(|hub| Act::Answer { hub }),
        1 => (0usize..3, any::<bool>()).prop_map(|(region, down)| Act::Mark { region, down }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn what_stood_is_found_again(acts in proptest::collection::vec(act(), 0..30)) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut roster = Roster::default();
        let names: Vec<_> = (0..3).map(|hub| Name::parse(&format!("h{hub}.x."), None).unwrap()).collect();
        let named: Vec<_> = names.iter().map(|name| (roster.admit(name), name.clone())).collect();
        let roster = Arc::new(roster);
        let mut standings: Vec<Option<Arc<Standing>>> = vec![None; 3];
        let author = Author { name: "alice".into(), origin: "test".into() };
        // By time, from 10 on in tens: what stands, and which marks.
        let mut then = Vec::new();
        let mut marks = std::collections::BTreeMap::new();
        let first = (0..3).map(|hub| Act::Move { hub, to: 0 });
        for (act, at) in first.chain(acts).zip((10u64..).step_by(10)) {
            let at = Timestamp(at);
            let (hub, step) = match act {
                Act::Mark { region, down } => {
                    let kind = if down { AuditKind::Mark } else { AuditKind::Unmark };
                    let mark = AuditRecord { at, kind, ..audit(REGIONS[region], "down") };
                    store.commit(&Commit { audit: vec![mark], ..Commit::default() }).unwrap();
                    if down { marks.insert(REGIONS[region], at) } else { marks.remove(REGIONS[region]) };
                    then.push((at, standings.clone(), marks.clone()));
                    continue;
                }
                Act::Move { hub, to } => {
                    let before = standings[hub as usize].as_ref();
                    let to = RegionName::new(REGIONS[to]);
                    let epoch = before.map_or(1, |before| before.epoch + 1);
                    let (kind, cause, reason) = (ChangeKind::Switch, Cause::Failover, format!("at {}", at.0).into());
                    (hub, Step { kind, to, epoch, cause, all: false, reason })
                }
                Act::Answer { hub } => {
                    let before = standings[hub as usize].as_ref().unwrap();
                    let (to, epoch, cause) = (before.active.clone(), before.epoch, before.cause);
                    let kind = ChangeKind::Answer;
                    (hub, Step { kind, to, epoch, cause, all: !before.all, reason: "none is eligible".into() })
                }
            };
            let before = standings[hub as usize].clone();
            let after = Arc::new(step.follow(before.as_deref(), at));
            standings[hub as usize] = Some(after.clone());
            let change = Change { hub: HubId(hub), kind: step.kind, reason: step.reason, before, after };
            let switch = Switch { at, author: author.clone(), roster: roster.clone(), changes: vec![change] };
            let named = if then.is_empty() { named.clone() } else { Vec::new() };
            store.commit(&Commit { named, switch: Some(switch.into()), ..Commit::default() }).unwrap();
            then.push((at, standings.clone(), marks.clone()));
        }
        for (at, standings, marks) in &then {
            for (hub, standing) in names.iter().zip(standings) {
                let told = store.past(hub, REGIONS.map(RegionName::new).to_vec(), Timestamp(at.0 + 5)).unwrap();
                prop_assert_eq!(&store.before(hub, Timestamp(at.0 + 5)).unwrap(), &told.stood);
                let Some(standing) = standing else {
                    prop_assert!(matches!(told.stood, Before::NotYet(_)), "{:?}", told);
                    continue;
                };
                let Before::Stood(PastStanding { active, epoch, reason, record, all, .. }) = &told.stood else {
                    panic!("{hub} at {at:?}: {told:?}")
                };
                prop_assert_eq!((active, *epoch, all.is_some()), (&standing.active, Some(standing.epoch), standing.all));
                prop_assert_eq!(&**reason, &*standing.reason);
                prop_assert!(told.records.iter().any(|told| told.sequence == *record && told.subject == hub.to_string()));
                let steps = told.steps.join("\n");
                for region in REGIONS {
                    let marked = format!("{region} was marked down by alice since");
                    prop_assert_eq!(steps.contains(&marked), marks.contains_key(region), "{}", steps);
                }
            }
        }
    }
}

/// What is older than a hub's first region is not read for it.
#[test]
fn the_history_of_a_hub_ends_at_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for _ in 0..3 {
        store.commit(&Commit { audit: vec![audit("weu", "down")], ..Commit::default() }).unwrap();
    }
    let first =
        Commit { named: vec![(HubId(0), hub())], switch: Some(switch(None, standing(1)).into()), ..Commit::default() };
    store.commit(&first).unwrap();
    store.commit(&Commit { switch: Some(switch(Some(standing(1)), standing(2)).into()), ..Commit::default() }).unwrap();
    let write = store.opened().unwrap().as_ref().unwrap().begin_write().unwrap();
    write.open_table(AUDIT).unwrap().insert(3, b"\xff".as_slice()).unwrap();
    write.commit().unwrap();
    let sequences = |subject| -> Result<Vec<u64>, StoreError> {
        Ok(store.history(subject, 100)?.iter().map(|record| record.sequence).collect())
    };
    assert_eq!(sequences(Some("HUB.x")).unwrap(), [6, 5, 4]);
    // A region may be told of anywhere.
    for subject in [None, Some("weu")] {
        let error = sequences(subject).unwrap_err().to_string();
        assert!(error.contains("audit record 3: it has the form 255"), "{error}");
    }
}

#[test]
fn records_are_found_by_subject_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = chain::history(folder.path());
    let at = |millis| Some(Timestamp(millis));
    let check = |subjects: &[&str], from, to, limit, expected: &[u64]| {
        let subjects: Vec<_> = subjects.iter().map(|subject| (*subject).to_owned()).collect();
        let found = store.records(&subjects, from, to, limit).unwrap();
        let found: Vec<_> = found.iter().map(|record| record.sequence).collect();
        assert_eq!(found, expected, "{subjects:?} {from:?} {to:?} {limit}");
    };
    check(&[], None, at(20), 9, &[7, 6, 5, 4, 3, 2, 1]);
    check(&[], at(20), at(39), 9, &[12, 11, 10, 9, 8, 7]);
    check(&["h2.x", "H3.X."], None, None, 9, &[14, 11, 10, 5, 4]);
    check(&["h2.x", "h3.x"], at(30), None, 2, &[14, 11]);
    check(&["h2.x", "weu"], at(40), None, 9, &[14, 13]);
    check(&["gone.x"], None, None, 9, &[]);
}
