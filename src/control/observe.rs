//! Observations to health, and probers that fall silent.

use std::collections::BTreeSet;

use super::event::Level;
use super::reason;
use super::state::{Last, State};
use super::turn::Turn;
use crate::dns::Name;
use crate::health::{Health, Observation, Outcome, schedule};
use crate::policy::{ProbeTarget, RegionName};

impl State {
    pub(super) fn observe(&mut self, observation: Observation, turn: &mut Turn) {
        let Observation { target, at, latency, outcome } = observation;
        // An observation of what a reload has just taken away is late, not wrong.
        let Some(watch) = self.watches.get_mut(&target) else { return };
        match &outcome {
            Outcome::Good => self.totals.observations_good += 1,
            Outcome::Failed(_) => self.totals.observations_failed += 1,
        }
        let before = watch.machine.health();
        watch.machine.observe(&watch.probe, &outcome, at);
        let after = watch.machine.health();
        let failure = match outcome {
            Outcome::Good => None,
            Outcome::Failed(failure) => Some(failure),
        };
        let in_a_row = match &watch.last {
            Some(last) if last.failure.is_some() == failure.is_some() => last.in_a_row.saturating_add(1),
            _ => 1,
        };
        let was_stalled = std::mem::take(&mut watch.stalled);
        watch.last = Some(Last { at, latency, failure, in_a_row });
        let hubs = self.index.by_target.get(&target).cloned().unwrap_or_default();
        if was_stalled {
            turn.touched.extend(hubs.iter().cloned());
            turn.say(Level::Info, "prober", format!("the prober {target} gives observations again"));
        }
        if before == after {
            return;
        }
        let detail = match &self.watches[&target].last {
            Some(Last { failure: Some(failure), in_a_row, .. }) => format!("{in_a_row} failed in a row: {failure}"),
            Some(Last { in_a_row, latency, .. }) => format!("{in_a_row} ok in a row, {} ms", latency.as_millis()),
            None => String::new(),
        };
        let level = if after == Health::Down { Level::Warn } else { Level::Info };
        let regions = self.regions_of(&target, &hubs);
        let subject = format!("{} ({target})", regions.iter().map(RegionName::as_str).collect::<Vec<_>>().join(", "));
        let line = turn.say(level, "health", reason::health(&subject, before, after, &detail));
        line.region = regions.into_iter().next();
        turn.commit.health.push((target, after));
        turn.touched.extend(hubs);
    }

    fn regions_of(&self, target: &ProbeTarget, hubs: &[Name]) -> BTreeSet<RegionName> {
        hubs.iter()
            .filter_map(|hub| self.policy.hubs.get(hub))
            .flat_map(|hub| hub.endpoints.iter())
            .filter(|endpoint| endpoint.probe.as_ref() == Some(target))
            .map(|endpoint| endpoint.region.clone())
            .collect()
    }

    /// A prober that gives no observations freezes health at its last value and is shown: silence is neither up nor down.
    /// Nor is it good for as long as `failback.after` wants: its hubs are decided anew.
    pub(super) fn find_silent_probers(&mut self, turn: &mut Turn) {
        for (target, watch) in &mut self.watches {
            let last = watch.last.as_ref().map_or(watch.started, |last| last.at);
            if !watch.stalled && schedule::overdue(&watch.probe, last, turn.now) {
                watch.stalled = true;
                let age = crate::time::human(turn.now.since(last));
                let sentence = format!(
                    "no observation of {target} for {age}: its health is frozen at {}",
                    watch.machine.health().word()
                );
                turn.say(Level::Warn, "prober", sentence);
                turn.touched.extend(self.index.by_target.get(target).into_iter().flatten().cloned());
            }
        }
    }
}
