//! A shorter history that breaks the same invariant.
//!
//! Delta debugging (Zeller and Hildebrandt, 2002): halves, quarters and so on of the inputs are left out, down to single
//! ones, then hubs, policies and endpoints; whatever is not needed stays out. Histories are short and the order of the
//! attempts is fixed, so that the same history always shrinks to the same one.

use super::history::{History, Input};
use super::invariants::Violation;
use super::world::{Options, Outcome, run};

/// A shrunk history.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The history.
    pub history: History,
    /// What it comes to, with its story.
    pub outcome: Outcome,
    /// How many histories were run to find it.
    pub runs: usize,
}

/// Runs of histories at most.
const RUNS: usize = 3_000;

/// Shrinks a history that breaks an invariant; `None` when it breaks none.
///
/// # Errors
/// When a policy cannot be read, which is a defect of the simulator.
pub fn shrink(history: &History, options: Options) -> Result<Option<Shrunk>, String> {
    let first = run(history, Options { tell: false, ..options })?;
    let Some(violation) = first.violation else { return Ok(None) };
    let mut shrinker = Shrinker { options: Options { tell: false, digest: false, ..options }, violation, runs: 1 };
    let mut history = history.clone();
    // What comes after the violation has no part in it.
    history.inputs.retain(|(at, _)| *at <= first.ended);
    history.rest = first.ended - history.inputs.last().map_or(0, |(at, _)| *at) + 1;
    loop {
        let before = (history.inputs.len(), size(&history));
        shrinker.drop_inputs(&mut history);
        shrinker.drop_policies(&mut history);
        shrinker.hurry(&mut history);
        if (history.inputs.len(), size(&history)) == before || shrinker.runs >= RUNS {
            break;
        }
    }
    let outcome = run(&history, Options { tell: true, ..options })?;
    Ok(Some(Shrunk { history, outcome, runs: shrinker.runs }))
}

/// How much policy there is.
fn size(history: &History) -> usize {
    history.sketches.iter().flat_map(|sketch| sketch.hubs.values()).map(|hub| hub.endpoints.len()).sum()
}

struct Shrinker {
    options: Options,
    violation: Violation,
    runs: usize,
}

impl Shrinker {
    /// Takes a candidate if it fails alike.
    fn attempt(&mut self, history: &mut History, candidate: History) -> bool {
        if self.runs >= RUNS {
            return false;
        }
        self.runs += 1;
        let Ok(outcome) = run(&candidate, self.options) else { return false };
        let alike = outcome.violation.as_ref().is_some_and(|violation| violation.rule == self.violation.rule);
        if alike {
            *history = candidate;
            let last = history.inputs.last().map_or(0, |(at, _)| *at);
            history.inputs.retain(|(at, _)| *at <= outcome.ended);
            let last = history.inputs.last().map_or(last.min(outcome.ended), |(at, _)| *at);
            history.rest = outcome.ended.saturating_sub(last) + 1;
        }
        alike
    }

    fn drop_inputs(&mut self, history: &mut History) {
        let mut length = history.inputs.len().div_ceil(2);
        while length > 0 {
            let mut from = 0;
            while from < history.inputs.len() {
                let end = (from + length).min(history.inputs.len());
                let mut candidate = history.clone();
                let ended = total(&candidate);
                candidate.inputs.drain(from..end);
                candidate.rest = ended - candidate.inputs.last().map_or(0, |(at, _)| *at);
                if !self.attempt(history, candidate) {
                    from = end;
                }
            }
            length = if length == 1 { 0 } else { length.div_ceil(2) };
        }
    }

    fn drop_policies(&mut self, history: &mut History) {
        // Policies that no input reads.
        let used = |history: &History, at: usize| {
            let count = history.sketches.len();
            at == 0 || history.inputs.iter().any(|(_, input)| matches!(input, Input::Reload(to) if to % count == at))
        };
        while let Some(last) = history.sketches.len().checked_sub(1).filter(|last| !used(history, *last)) {
            let count = history.sketches.len();
            let mut candidate = history.clone();
            for (_, input) in &mut candidate.inputs {
                if let Input::Reload(to) = input {
                    *to %= count;
                }
            }
            candidate.sketches.truncate(last);
            if !self.attempt(history, candidate) {
                break;
            }
        }
        for at in 0..history.sketches.len() {
            for hub in history.sketches[at].hubs.keys().copied().collect::<Vec<_>>() {
                if history.sketches[at].hubs.len() > 1 {
                    let mut candidate = history.clone();
                    candidate.sketches[at].hubs.remove(hub);
                    self.attempt(history, candidate);
                }
            }
            for hub in history.sketches[at].hubs.keys().copied().collect::<Vec<_>>() {
                self.simplify_hub(history, at, hub);
            }
        }
    }

    fn simplify_hub(&mut self, history: &mut History, at: usize, hub: &'static str) {
        let mut place = 0;
        while let Some(sketch) = history.sketches[at].hubs.get(hub) {
            if place >= sketch.endpoints.len() || sketch.endpoints.len() == 1 {
                break;
            }
            let mut candidate = history.clone();
            let sketch = candidate.sketches[at].hubs.entry(hub);
            let mut gone = None;
            sketch.and_modify(|sketch| gone = Some(sketch.endpoints.remove(place)));
            let names_it = candidate.sketches[at].hubs.get(hub).is_some_and(|sketch| {
                gone.is_some_and(|gone| sketch.resort == super::sketch::ResortSketch::Region(gone.region))
            });
            if names_it || !self.attempt(history, candidate) {
                place += 1;
            }
        }
        let simpler: [fn(&mut super::sketch::HubSketch); 3] =
            [|hub| hub.failback = None, |hub| hub.resort = super::sketch::ResortSketch::Keep, |hub| hub.dwell = 0];
        for simplify in simpler {
            let mut candidate = history.clone();
            if let Some(sketch) = candidate.sketches[at].hubs.get_mut(hub) {
                simplify(sketch);
            }
            if candidate != *history {
                self.attempt(history, candidate);
            }
        }
    }

    /// Takes time out in which nothing happens.
    fn hurry(&mut self, history: &mut History) {
        for at in 0..history.inputs.len() {
            if at >= history.inputs.len() {
                break;
            }
            let before = at.checked_sub(1).map_or(0, |before| history.inputs[before].0);
            let gap = history.inputs[at].0 - before;
            for cut in [gap, gap / 2].into_iter().filter(|cut| *cut >= 1_000) {
                let mut candidate = history.clone();
                for (time, _) in &mut candidate.inputs[at..] {
                    *time -= cut;
                }
                if self.attempt(history, candidate) {
                    break;
                }
            }
        }
    }
}

fn total(history: &History) -> u64 {
    history.inputs.last().map_or(0, |(at, _)| *at) + history.rest
}
