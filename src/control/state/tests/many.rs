//! Hubs that move together move as each would by itself, and are told of together.

use proptest::prelude::*;

use super::*;

fn names(hubs: usize) -> Vec<String> {
    (0..hubs).map(|hub| format!("h{hub:03}.example.net.")).collect()
}

/// So many hubs in three regions, answered with addresses.
fn fleet(hubs: usize) -> Loaded {
    let names = names(hubs);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    loaded_of(&names, &["weu", "neu", "eus"], |_| {})
}

fn up(hubs: usize) -> Bench {
    let mut bench = Bench::started(fleet(hubs), Persisted::default(), START);
    bench.verdict("weu", true).verdict("neu", true).verdict("eus", true);
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// One mark on a region, and one mark on each of its endpoints, lead to the same standings and choices.
    #[test]
    fn a_mark_on_a_region_does_to_each_hub_what_a_mark_on_its_endpoint_does(
        hubs in 1usize..30,
        steps in proptest::collection::vec((0usize..3, prop_oneof![
            Just(None), Just(Some(MarkKind::Up)), Just(Some(MarkKind::Down)), Just(Some(MarkKind::Drain))
        ], 0u64..90), 1..12),
    ) {
        let (mut together, mut singly) = (up(hubs), up(hubs));
        for (region, kind, pass) in steps {
            let region = ["weu", "neu", "eus"][region];
            let command = |target: &str| {
                let (target, reason) = (target.parse().unwrap(), "because".into());
                match kind {
                    Some(kind) => Command::Mark { target, kind, reason, from: None, until: None },
                    None => Command::Unmark { target, reason },
                }
            };
            let commits = together.commits.len();
            let published = together.published.len();
            let moved = together.moved(command(region));
            prop_assert!(together.commits.len() <= commits + 1 && together.published.len() <= published + 1);
            let each: u64 = names(hubs).iter().map(|hub| singly.moved(command(&format!("{hub}/{region}"))).moved).sum();
            prop_assert_eq!(moved.moved, each);
            together.pass(pass);
            singly.pass(pass);
            prop_assert_eq!(together.state.standings(), singly.state.standings());
            prop_assert_eq!(together.state.choices(), singly.state.choices());
        }
    }
}

/// What one event says of many hubs: in the log a line for all that are alike, in the reply the first few.
#[test]
fn many_hubs_are_told_of_together() {
    let mut bench = up(150);
    let (lines, commits) = (bench.log.len(), bench.commits.len());
    let moved = bench.mark("weu", MarkKind::Down, None);
    assert_eq!((moved.moved, moved.switched.len()), (150, Moved::LISTED));
    assert_eq!(moved.switched[0].hub, name("h000.example.net."));
    let said = &bench.log[lines..];
    assert_eq!(said.len(), 2, "the mark, and what follows: {said:?}");
    assert_eq!(
        said[1],
        "150 hubs: weu -> neu: weu marked down by alice (because); probes say up, last ok 0 ms ago, 5 in a row; \
         `concierge history` has each of them"
    );
    let records: Vec<_> = bench.commits[commits].records().collect();
    assert_eq!(records.len(), 151, "and one record for each");
    let reasons: std::collections::BTreeSet<_> = bench.commits[commits]
        .switch
        .iter()
        .flat_map(|switch| &switch.changes)
        .map(|change| change.reason.as_ptr())
        .collect();
    assert_eq!(reasons.len(), 1, "hubs that move for the same facts share the sentence");

    bench.mark("neu", MarkKind::Down, None);
    let lines = bench.log.len();
    let moved = bench.mark("eus", MarkKind::Down, None);
    let said = &bench.log[lines..];
    assert_eq!(
        said[1],
        "150 hubs have no eligible endpoint; the first of them: h000.example.net.: no endpoint is eligible; eus is answered"
    );
    assert_eq!((moved.moved, moved.notes.len()), (0, 21), "{:?}", moved.notes);
    assert_eq!(moved.notes[20], "and 130 notes like these");
}

/// Whoever looks at the state holds pointers: the next event copies what it changes, and nothing else.
#[test]
fn a_look_costs_pointers_and_keeps_its_moment() {
    let mut bench = up(30);
    let seen = bench.state.clone();
    let shared = |state: &State| {
        [
            Arc::ptr_eq(&seen.layout, &state.layout),
            Arc::ptr_eq(&seen.roster, &state.roster),
            Arc::ptr_eq(&seen.watches, &state.watches),
            Arc::ptr_eq(&seen.good_since, &state.good_since),
            Arc::ptr_eq(&seen.stands, &state.stands),
            Arc::ptr_eq(&seen.marks, &state.marks),
        ]
    };
    assert_eq!(shared(&bench.state), [true; 6]);
    let before = seen.status(bench.now);
    bench.see("weu", true);
    assert_eq!(shared(&bench.state), [true, true, false, true, true, true], "an observation is of one prober");
    let others = seen.watches.iter().zip(bench.state.watches.iter()).filter(|(one, other)| Arc::ptr_eq(one, other));
    assert_eq!(others.count(), 2, "of three");
    bench.mark("weu", MarkKind::Down, None);
    assert_eq!(shared(&bench.state), [true, true, false, false, false, false]);
    assert_eq!(seen.status(START), State::status(&seen, START));
    assert_eq!((seen.status(bench.now).hubs, before.hubs.len()), (before.hubs, 30), "as it was");
    assert!(bench.status().hubs.iter().all(|hub| hub.active.as_str() == "neu"));
}

/// Numbers are given in the policy's order, kept over loads that take hubs away and bring others, and never given again.
#[test]
fn a_hub_keeps_its_number_and_its_epoch_over_loads() {
    let mut bench = up(3);
    bench.mark("weu", MarkKind::Down, None);
    bench.moved(Command::Unmark { target: "weu".parse().unwrap(), reason: "over".into() });
    let of = |hubs: &[&str]| loaded_of(hubs, &["weu", "neu", "eus"], |_| {});
    bench.reload(of(&["a.example.net.", "h001.example.net."]));
    bench.reload(of(&["a.example.net.", "H002.example.net.", "h000.example.net."]));
    let numbers = |bench: &Bench| bench.state.roster().names().iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = ["h000.example.net.", "h001.example.net.", "H002.example.net.", "a.example.net."];
    assert_eq!(numbers(&bench), expected);
    let epochs = |bench: &Bench| bench.state.standings().iter().flatten().map(|s| s.epoch).collect::<Vec<_>>();
    assert_eq!(epochs(&bench), [2, 2, 2, 1]);
    assert_eq!(whats(bench.state.choices()), [What::Endpoint(0), What::Endpoint(1), What::Endpoint(1)]);
    let named: usize = bench.commits.iter().map(|commit| commit.named.len()).sum();
    assert_eq!(named, 4, "each once");
    let again = Bench::started(of(&["h001.example.net."]), bench.persisted(), bench.now);
    assert_eq!((numbers(&again).len(), epochs(&again)), (4, vec![2, 2, 2, 1]));
}
