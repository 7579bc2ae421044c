//! What is written is read, and nothing else is.

use proptest::prelude::*;

use super::*;
use crate::control::roster::Roster;
use crate::dns::Name;
use crate::policy::Standing;

fn standing(region: &str, epoch: u64, cause: Cause, reason: &str) -> Standing {
    Standing {
        active: RegionName::new(region),
        epoch,
        since: Timestamp(3),
        cause,
        reason: reason.into(),
        last_automatic: None,
        all: false,
        recent: Arc::default(),
    }
}

fn switch(changes: Vec<Change>) -> Switch {
    let mut roster = Roster::default();
    for hub in 0..5_000 {
        roster.admit(&Name::parse(&format!("h{hub}.x."), None).unwrap());
    }
    let author = Author { name: "alice".into(), origin: "test".into() };
    Switch { at: Timestamp(7), author, roster: Arc::new(roster), changes }
}

fn change(hub: u32, before: Option<Standing>, after: Standing) -> Change {
    let kind = ChangeKind::Switch;
    let reason = after.reason.clone();
    Change { hub: HubId(hub), kind, reason, before: before.map(Arc::new), after: after.into() }
}

#[test]
fn every_cause_has_a_number() {
    use Cause::{Failback, FailbackAfter, Failover, Health, Mark, Policy, Start};
    for cause in [Start, Health, Mark, Failover, Failback, FailbackAfter, Policy] {
        // Whoever adds a cause is stopped here, and adds it at the end of the list.
        match cause {
            Start | Health | Mark | Failover | Failback | FailbackAfter | Policy => assert!(CAUSES.contains(&cause)),
        }
    }
    assert!(CAUSES.len() <= 16, "four bits");
}

/// Ten thousand hubs that move for one reason cost ten thousand times a few octets, and the reason once.
#[test]
fn what_hubs_share_is_written_once() {
    let before = standing("westeurope", 1, Cause::Start, "first in order of preference");
    let after = standing("northeurope", 2, Cause::Mark, "westeurope marked down by alice (disk swap)");
    let changes = (0..10_000).map(|hub| change(hub, Some(before.clone()), after.clone())).collect();
    let row = write(&switch(changes)).unwrap();
    assert!(row.len() < 10_000 * 7, "{} octets", row.len());
    assert_eq!(count(&row), Ok(10_000));
}

#[test]
fn what_is_no_row_is_said_to_be_none() {
    let row = write(&switch(vec![change(4, None, standing("weu", 1, Cause::Start, "first"))])).unwrap();
    for length in 0..row.len() {
        let read = Batch::read(&row[..length]);
        let entries = read.as_ref().ok().and_then(Option::as_ref).map(|batch| batch.entries().collect::<Vec<_>>());
        assert!(entries.is_none_or(|entries| entries[0].is_err()), "{length} octets of {}", row.len());
    }
    assert_eq!(Batch::read(b"\x02").unwrap_err(), "it has the form 2, and this program knows 1");
    assert!(Batch::read(b"{\"sequence\":1}").unwrap().is_none());
    let mut unknown = row.clone();
    let bits = row.len() - 4;
    unknown[bits] |= 0xf;
    let batch = Batch::read(&unknown).unwrap().unwrap();
    assert_eq!(batch.entries().next().unwrap().unwrap_err(), "no cause 15");
}

/// A newer daemon may say more in the head.
#[test]
fn an_unknown_key_of_the_head_is_passed_over() {
    let row = write(&switch(vec![change(4, None, standing("weu", 1, Cause::Start, "first"))])).unwrap();
    let head = br#"{"at":7,"author":"alice","origin":"test","regions":["weu"],"reasons":["first"]}"#;
    let at = row.windows(head.len()).position(|part| part == head).unwrap();
    let longer = [&head[..head.len() - 1], br#","colour":"red"}"#].concat();
    let newer = [&[FORM, 1, longer.len() as u8], &longer[..], &row[at + head.len()..]].concat();
    let batch = Batch::read(&newer).unwrap().unwrap();
    let entry = batch.entries().next().unwrap().unwrap();
    assert_eq!((entry.hub, batch.step(&entry).to), (HubId(4), RegionName::new("weu")));
}

fn any_change() -> impl Strategy<Value = Change> {
    let cause = (0..CAUSES.len()).prop_map(|cause| CAUSES[cause]);
    let region = || prop_oneof![Just("weu"), Just("neu"), Just("eus")];
    let epoch = prop_oneof![1u64..5, Just(u64::MAX - 1)];
    (
        0u32..5_000,
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(region()),
        region(),
        epoch,
        cause,
        "[a-z é\"]{0,9}",
    )
        .prop_map(|(hub, answer, all, from, to, epoch, cause, reason)| {
            let before = from.map(|from| standing(from, epoch, Cause::Start, "before"));
            let kind = if answer && before.is_some() { ChangeKind::Answer } else { ChangeKind::Switch };
            let mut change = change(hub, before, standing(to, epoch, cause, &reason));
            change.kind = kind;
            Arc::make_mut(&mut change.after).all = all;
            // What is committed is what follows from the step.
            change.after = change.step().follow(change.before.as_deref(), Timestamp(7)).into();
            change
        })
}

proptest! {
    /// A later daemon follows the same steps from the same standings, and so stands where this one does.
    #[test]
    fn what_is_written_is_read(changes in proptest::collection::vec(any_change(), 0..40)) {
        let switch = switch(changes);
        let row = write(&switch).unwrap();
        let batch = Batch::read(&row).unwrap().unwrap();
        let entries: Vec<Entry> = batch.entries().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(entries.len(), switch.changes.len());
        prop_assert_eq!(count(&row), Ok(entries.len() as u64));
        for (entry, change) in entries.iter().zip(&switch.changes) {
            prop_assert_eq!(entry.hub, change.hub);
            let stands = batch.step(entry).follow(change.before.as_deref(), batch.at());
            prop_assert_eq!(&stands, &*change.after);
        }
        let told = entries.iter().map(|entry| {
            let subject = switch.roster.name(entry.hub).unwrap().to_string();
            batch.record(entry, subject, 0)
        });
        prop_assert_eq!(told.collect::<Vec<_>>(), switch.records().collect::<Vec<_>>(), "the audit trail says the same");
    }

    #[test]
    fn numbers_are_read_as_they_were_written(number: u64, signed: i64) {
        let mut row = Vec::new();
        put(&mut row, number);
        put(&mut row, zigzag(signed));
        let mut rest = &row[..];
        prop_assert_eq!(take(&mut rest), Ok(number));
        prop_assert_eq!(take(&mut rest).map(unzigzag), Ok(signed));
        prop_assert!(rest.is_empty());
    }
}
