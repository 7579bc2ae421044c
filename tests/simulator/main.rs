//! The simulator: the real core through millions of events, each seed a life of its own.
//!
//! `cargo test --test simulator` runs a fixed number of seeds; `CONCIERGE_SEEDS=N` runs N of them, and `SEED=N` the one.
//! A seed that breaks an invariant is shrunk, and its story told (but with `CONCIERGE_BRIEF=1`, which `mutants` sets).
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use concierge::simulate::{History, Options, Outcome, run, shrink};

/// Seeds without any say.
const SEEDS: u64 = 300;
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
    let (from, seeds) = match number("SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("CONCIERGE_SEEDS").unwrap_or(SEEDS)),
    };
    let begun = std::time::Instant::now();
    let next = AtomicU64::new(from);
    let total = Mutex::new(Outcome::default());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || !failed.lock().unwrap().is_empty() {
                        break;
                    }
                    let history = History::of(seed);
                    let outcome = run(&history, Options::default()).unwrap();
                    if outcome.violation.is_some() {
                        failed.lock().unwrap().push(seed);
                        break;
                    }
                    let mut total = total.lock().unwrap();
                    total.events += outcome.events;
                    total.observations += outcome.observations;
                    total.changes += outcome.changes;
                    total.publications += outcome.publications;
                    total.starts += outcome.starts;
                    total.ended += outcome.ended;
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!(
        "{} s: {seeds} seeds: {} events with {} observations, {} changes of hubs, {} publications, {} starts, {} simulated hours",
        begun.elapsed().as_secs(),
        total.events,
        total.observations,
        total.changes,
        total.publications,
        total.starts,
        total.ended / 3_600_000,
    );
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    if let Some(seed) = failed.first() {
        if std::env::var("CONCIERGE_BRIEF").is_ok() {
            let outcome = run(&History::of(*seed), Options::default()).unwrap();
            panic!("seed {seed}: RULE {}", outcome.violation.unwrap().rule);
        }
        panic!("{}", story(*seed, &History::of(*seed), Options::default()));
    }
}
