//! Random sequences of everything that can happen.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    See(bool, bool),
    Mark(bool, Option<MarkKind>, u64),
    Failover(bool, bool),
    Pass(u64),
    Restart,
    FailCommit,
}

fn step() -> impl Strategy<Value = Step> {
    let kind =
        prop_oneof![Just(None), Just(Some(MarkKind::Up)), Just(Some(MarkKind::Down)), Just(Some(MarkKind::Drain))];
    prop_oneof![
        8 => (any::<bool>(), any::<bool>()).prop_map(|(weu, good)| Step::See(weu, good)),
        2 => (any::<bool>(), kind, 0u64..300).prop_map(|(weu, kind, until)| Step::Mark(weu, kind, until)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(weu, stale)| Step::Failover(weu, stale)),
        3 => (1u64..90).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => Just(Step::FailCommit),
    ]
}

/// By hub: what stands.
fn standings(bench: &Bench) -> BTreeMap<Name, Standing> {
    let hubs = bench.state.roster().names().iter();
    hubs.filter_map(|hub| Some((hub.clone(), bench.state.standing(hub)?.clone()))).collect()
}

/// Switches that the audit trail tells of.
fn switches(bench: &Bench) -> usize {
    bench.commits.iter().flat_map(Commit::records).filter(|record| record.kind == AuditKind::Switch).count()
}

/// What is answered, without what is remarked on it: whether an endpoint may be chosen is known anew after a restart.
fn answers(bench: &Bench) -> Vec<Choice> {
    bench.state.choices().iter().map(|choice| Choice { stale: false, ..*choice }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever happens: epochs count the changes of the active region, what is published is what stands, every
    /// switch is in the audit trail, and equal histories give equal states.
    #[test]
    fn whatever_happens_the_books_agree(steps in proptest::collection::vec(step(), 1..80)) {
        let run = || {
            let mut bench = Bench::new();
            let mut health = Vec::new();
            for step in &steps {
                let before = standings(&bench);
                let audited = switches(&bench);
                match step {
                    Step::See(weu, good) => { bench.see(if *weu { "weu" } else { "neu" }, *good); }
                    Step::Mark(weu, Some(kind), until) => {
                        let until = (*until > 0).then(|| bench.now.after(Duration::from_secs(*until)));
                        bench.mark(if *weu { "weu" } else { "neu" }, *kind, until);
                    }
                    Step::Mark(weu, None, _) => {
                        let target = if *weu { "weu" } else { "neu" }.parse().unwrap();
                        bench.moved(Command::Unmark { target, reason: "r".into() });
                    }
                    Step::Failover(weu, stale) => {
                        let epoch = before[&name("a.example.net.")].epoch - u64::from(*stale);
                        let to = RegionName::new(if *weu { "weu" } else { "neu" });
                        let command = Command::Failover { hub: name("a.example.net."), to, options: at_once(Some(epoch)), reason: "r".into() };
                        drop(bench.command(command));
                    }
                    Step::Pass(seconds) => { bench.pass(*seconds); }
                    Step::Restart => {
                        let persisted = bench.persisted();
                        health.extend(bench.commits.iter().flat_map(|commit| commit.health.clone()));
                        let choices = answers(&bench);
                        let now = bench.now;
                        bench = Bench { commits: bench.commits, ..Bench::restarted(persisted, now) };
                        assert_eq!(choices, answers(&bench), "a restart changes no answer");
                        assert_eq!(before, standings(&bench));
                    }
                    Step::FailCommit => {
                        bench.fail(bench.seen("weu", false));
                        assert_eq!(before, standings(&bench), "nothing of a failed commit stays");
                    }
                }
                let after = standings(&bench);
                let mut changes = 0;
                for (hub, standing) in &after {
                    let changed = u64::from(before[hub].active != standing.active);
                    assert_eq!(standing.epoch, before[hub].epoch + changed, "one change, one epoch");
                    changes += changed;
                }
                let now_audited = switches(&bench);
                assert_eq!(now_audited - audited, usize::try_from(changes).unwrap(), "every switch is audited");
                let stands = after.values().map(|standing| Choice {
                    what: What::Endpoint(u16::from(standing.active.as_str() == "neu")),
                    low_ttl: false,
                    stale: false,
                    epoch: standing.epoch,
                    since: standing.since,
                });
                let stands: Vec<_> = stands.collect();
                assert_eq!(answers(&bench), stands.as_slice(), "what is published is what stands");
            }
            let marks = bench.state.marks().clone();
            (standings(&bench), marks, bench.log)
        };
        prop_assert_eq!(run(), run(), "equal histories, equal states");
    }
}
