//! The simulator: the real core through millions of events, each seed a life of its own.
//!
//! `cargo test --test simulator` runs a fixed number of seeds; `CONCIERGE_SEEDS=N` runs N of them, `SEED=N` the one, and both
//! so many from that one on. A seed that breaks an invariant is shrunk, and its story told. With `CONCIERGE_BRIEF=1`, which
//! `mutants` sets, it is only named; with `CONCIERGE_BRIEF=all` the seeds after it are run too, and all that fail are named.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use concierge::simulate::{History, INVARIANTS, Options, Outcome, run, shrink};

/// Seeds without any say.
const SEEDS: u64 = 400;
/// Seeds that run beside each other.
const THREADS: u64 = 2;

/// What a seed that fails is told as.
fn story(seed: u64, history: &History, options: Options) -> String {
    let shrunk = shrink::shrink(history, options).unwrap().unwrap();
    let outcome = shrunk.outcome;
    let policies: Vec<_> = shrunk.history.sketches.iter().map(|sketch| sketch.toml()).collect();
    format!(
        "seed {seed} breaks an invariant; {} of its {} inputs do ({} histories tried):\n\n{}\n{}\n{:#?}\nagain: SEED={seed} cargo test \
         --test simulator every_seed\n",
        shrunk.history.inputs.len(),
        history.inputs.len(),
        shrunk.runs,
        policies.join("\n# and then\n"),
        outcome.story,
        shrunk.history.inputs,
    )
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn every_seed_keeps_every_invariant() {
    let (from, seeds) = match (number("SEED"), number("CONCIERGE_SEEDS")) {
        (Some(seed), seeds) => (seed, seeds.unwrap_or(1)),
        (None, seeds) => (0, seeds.unwrap_or(SEEDS)),
    };
    let brief = std::env::var("CONCIERGE_BRIEF").ok();
    let goes_on = brief.as_deref() == Some("all");
    let begun = std::time::Instant::now();
    let next = AtomicU64::new(from);
    let total = Mutex::new((0, Outcome::default()));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..number("CONCIERGE_THREADS").unwrap_or(THREADS) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || (!goes_on && !failed.lock().unwrap().is_empty()) {
                        break;
                    }
                    let outcome = run(&History::of(seed), Options::default()).unwrap();
                    let mut total = total.lock().unwrap();
                    total.0 += 1;
                    total.1.events += outcome.events;
                    total.1.observations += outcome.observations;
                    total.1.changes += outcome.changes;
                    total.1.publications += outcome.publications;
                    total.1.starts += outcome.starts;
                    total.1.ended += outcome.ended;
                    failed.lock().unwrap().extend(outcome.violation.map(|violation| (seed, violation)));
                }
            });
        }
    });
    let (ran, total) = total.into_inner().unwrap();
    // Not by `println`, which the harness keeps to itself: how much was tried belongs to a success too.
    let mut err = std::io::stderr();
    writeln!(
        err,
        "{ran} seeds from {from} in {} s: {} events with {} observations, {} changes of hubs, {} publications, {} starts, {} \
         simulated hours",
        begun.elapsed().as_secs(),
        total.events,
        total.observations,
        total.changes,
        total.publications,
        total.starts,
        total.ended / 3_600_000,
    )
    .unwrap();
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable_by_key(|(seed, _)| *seed);
    if brief.is_some() {
        let lines = failed.iter().map(|(seed, found)| format!("seed {seed}: {}: RULE {}", found.sentence, found.rule));
        let lines: Vec<_> = lines.collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }
    if let Some((seed, _)) = failed.first() {
        panic!("{}", story(*seed, &History::of(*seed), Options::default()));
    }
}

/// Equal histories give equal effects, to the last word.
#[test]
fn equal_histories_are_equal() {
    for seed in 1_000..1_012 {
        let history = History::of(seed);
        let options = Options { digest: true, ..Options::default() };
        let twice = [run(&history, options).unwrap(), run(&history, options).unwrap()];
        let told = twice.map(|outcome| (outcome.digest, outcome.events, outcome.changes, outcome.violation));
        assert_eq!(told[0], told[1], "seed {seed}");
        assert_ne!(told[0].0, 0);
    }
}

/// No hub ever leaves westeurope: false, so that there is something to shrink.
fn nobody_leaves(hub: &str, active: Option<&str>) -> Option<String> {
    let left = hub == "a.example.net." && active.is_some_and(|active| active != "westeurope");
    left.then(|| format!("{hub} answers {}", active.unwrap_or_default()))
}

/// A failing history comes down to what it takes, and its story is a handful of sentences.
#[test]
fn a_failing_history_shrinks_to_a_short_story() {
    let options = Options { extra: Some(nobody_leaves), ..Options::default() };
    let begins_there = |history: &History| {
        history.sketches[0].hubs["a.example.net."].endpoints[0].region == "westeurope"
            && history.sketches[0].hubs["a.example.net."].endpoints.len() > 1
    };
    let leaves = |history: &History| {
        let outcome = run(history, options).unwrap();
        outcome.violation.is_some_and(|violation| violation.rule == "extra") && outcome.events > 100
    };
    let history = (2_000..2_200).map(History::of).find(|history| begins_there(history) && leaves(history)).unwrap();
    let shrunk = shrink::shrink(&history, options).unwrap().unwrap();
    let story: Vec<String> = shrunk.outcome.story.lines().collect();
    assert!(shrunk.history.inputs.len() <= 3, "{:#?}\n{story:#?}", shrunk.history.inputs);
    assert!(shrunk.history.inputs.len() <= history.inputs.len() && shrunk.history.sketches.len() == 1);
    let (last, first) = (story.last().unwrap(), &story[0]);
    assert!(first.ends_with("the daemon starts with policy 0"), "{first}");
    assert!(last.contains("a.example.net. answers ") && last.ends_with(": RULE extra"), "{last}");
    assert!(story.len() <= 25, "{story:#?}");
    // It fails again alike, and without any of its inputs it does not.
    let again = run(&shrunk.history, Options { tell: true, ..options }).unwrap();
    assert_eq!(again.story.lines().collect::<Vec<_>>(), story);
    for at in 0..shrunk.history.inputs.len() {
        let mut less = shrunk.history.clone();
        less.inputs.remove(at);
        let outcome = run(&less, options).unwrap();
        assert!(outcome.violation.is_none_or(|violation| violation.rule != "extra"), "input {at} is not needed");
    }
}

/// The documentation has every invariant, in the same words.
#[test]
fn every_invariant_is_documented() {
    let page = include_str!("../../docs/simulator.md");
    for invariant in INVARIANTS {
        let row = format!("| `{}` | {} |", invariant.name, invariant.says);
        assert!(page.contains(&row), "docs/simulator.md lacks the row: {row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, INVARIANTS.len());
}
