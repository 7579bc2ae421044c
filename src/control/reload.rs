//! New zones and policy: what is kept, what is new, what goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::event::{CommandError, Level, LoadFailure, Loaded};
use super::reason;
use super::report::{AuditKind, ReloadStatus};
use super::state::{State, Watch, health_key};
use super::turn::{Pending, Turn};
use crate::answer::snapshot::Choice;
use crate::dns::Name;
use crate::health::machine::Machine;
use crate::policy::{Policy, ProbeTarget, RegionName};

/// Which hubs an observation or a mark touches.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) by_target: BTreeMap<ProbeTarget, Vec<Name>>,
    pub(super) by_region: BTreeMap<RegionName, Vec<Name>>,
}

impl Index {
    fn of(policy: &Policy) -> Self {
        let mut index = Self::default();
        for (name, hub) in &policy.hubs {
            for endpoint in &hub.endpoints {
                index.by_region.entry(endpoint.region.clone()).or_default().push(name.clone());
                if let Some(target) = &endpoint.probe {
                    let hubs = index.by_target.entry(target.clone()).or_default();
                    if hubs.last() != Some(name) {
                        hubs.push(name.clone());
                    }
                }
            }
        }
        index
    }
}

impl State {
    pub(super) fn reload(&mut self, loaded: Result<Loaded, LoadFailure>, turn: &mut Turn) -> Pending {
        match loaded {
            Ok(loaded) => {
                let (zones, hubs) = (loaded.content.zones().len(), loaded.policy.hubs.len());
                let warnings = loaded.warnings.clone();
                let summary = format!(
                    "reloaded: {}, {}, {}",
                    reason::many(zones, "zone"),
                    reason::many(hubs, "hub"),
                    reason::many(warnings.len(), "warning")
                );
                let gone: Vec<_> =
                    self.policy.hubs.keys().filter(|hub| !loaded.policy.hubs.contains_key(*hub)).cloned().collect();
                let names: Vec<_> = gone.iter().map(ToString::to_string).collect();
                let reason = match names.is_empty() {
                    true => summary.clone(),
                    false => format!("{summary}; no hubs any more: {}", names.join(", ")),
                };
                turn.audit(AuditKind::Reload, "zones and policy".into(), &reason);
                turn.say(Level::Info, "reload", summary.clone());
                for hub in gone {
                    let sentence = format!("{hub} is no hub any more: what its zone has at this name is answered");
                    turn.notes.push(sentence.clone());
                    turn.say(Level::Warn, "reload", sentence).hub = Some(hub);
                }
                turn.notes.extend(warnings);
                self.load(loaded, turn);
                Pending::Moved { summary, changed: true }
            }
            Err(LoadFailure { problems }) => {
                self.totals.reloads_refused += 1;
                let first = problems.first().map_or("", String::as_str);
                let sentence = format!(
                    "reload refused, the running answers stay as they are: {}, the first: {first}",
                    reason::many(problems.len(), "problem")
                );
                turn.say(Level::Error, "reload", sentence);
                self.reload.at = turn.now;
                self.reload.ok = false;
                self.reload.problems.clone_from(&problems);
                Pending::Now(Err(CommandError::Rejected(problems)))
            }
        }
    }

    pub(super) fn load(&mut self, loaded: Loaded, turn: &mut Turn) {
        let Loaded { policy, content, warnings, read, compile } = loaded;
        self.totals.reloads_ok += 1;
        let milliseconds = |length: Duration| length.as_secs_f64() * 1e3;
        self.reload = ReloadStatus {
            at: turn.now,
            ok: true,
            problems: warnings,
            read_ms: milliseconds(read),
            compile_ms: milliseconds(compile),
        };
        let mut before = std::mem::take(&mut self.watches);
        for target in policy.probe_targets() {
            let Some(probe) = policy.probes.get(&target.probe).cloned() else { continue };
            let watch = match before.remove(&target) {
                Some(watch) => Watch { probe, ..watch },
                None => {
                    let machine = match self.remembered.remove(&health_key(&target)) {
                        Some(health) => {
                            turn.remembered.insert(target.clone(), health);
                            Machine::restored(health)
                        }
                        None => Machine::new(),
                    };
                    Watch { probe, machine, started: turn.now, last: None, stalled: false }
                }
            };
            self.watches.insert(target, watch);
        }
        // As the store does: a reload that brings a target back goes on from what was known of it.
        self.remembered.extend(before.iter().map(|(target, watch)| (health_key(target), watch.machine.last_known())));
        self.holds.retain(|hub, _| policy.hubs.contains_key(hub));
        self.all_down.retain(|hub| policy.hubs.contains_key(hub));
        self.good_since.retain(|id, _| policy.hubs.get(&id.hub).is_some_and(|hub| hub.position(&id.region).is_some()));
        self.index = Arc::new(Index::of(&policy));
        self.choices = vec![Choice::Endpoint(0); policy.hubs.len()].into();
        turn.touched.extend(policy.hubs.keys().cloned());
        turn.probes = true;
        turn.publish = true;
        self.policy = policy;
        self.content = content;
    }
}
