//! New zones and policy: what is kept, what is new, what goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::event::{CommandError, Level, LoadFailure, Loaded, LogLine, Stamps};
use super::layout::Layout;
use super::reason;
use super::report::{AuditKind, DatabasesStatus, ReloadStatus};
use super::state::{Marked, State, Watch, health_key};
use super::turn::{Pending, Turn};
use crate::answer::snapshot::Content;
use crate::health::machine::Machine;
use crate::policy::{Hold, Policy, ProbeTarget};

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
                    let sentence = || format!("{hub} is no hub any more: what its zone has at this name is answered");
                    turn.notes.of_hub(sentence);
                    turn.told.of("are no hubs any more", None, || LogLine {
                        hub: Some(hub.clone()),
                        ..LogLine::new(Level::Warn, "reload", sentence())
                    });
                }
                warnings.into_iter().for_each(|warning| turn.notes.add(warning));
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
                let reload = ReloadStatus { at: turn.now, ok: false, problems: problems.clone(), ..*self.reload };
                self.reload = Arc::new(reload);
                Pending::Now(Err(CommandError::Rejected(problems)))
            }
        }
    }

    /// Takes in database files that had changed: the answers that follow from them, in one publication, or nothing.
    pub(super) fn take_classed(&mut self, content: Result<Arc<Content>, Vec<String>>, stamps: Stamps, turn: &mut Turn) {
        let stamps = Arc::new(stamps);
        match content {
            // Zones and policy were loaded anew in between, and the databases with them.
            Ok(content) if !content.is_of(&self.content) => return,
            Ok(content) => {
                self.content = content;
                self.databases = Arc::new(DatabasesStatus { at: turn.now, ok: true, problems: Vec::new() });
                let paths: Vec<_> = stamps.0.iter().map(|(path, _)| path.display().to_string()).collect();
                let sentence = format!("databases read anew, for their files had changed: {}", paths.join(", "));
                turn.audit_by_daemon(AuditKind::Reload, "databases".into(), &sentence);
                turn.say(Level::Info, "reload", sentence);
                turn.publish = true;
            }
            Err(problems) => {
                let sentence = format!(
                    "databases have changed and cannot be read, clients are classed by those of before: {}",
                    problems.join("; ")
                );
                turn.say(Level::Error, "reload", sentence);
                self.databases = Arc::new(DatabasesStatus { at: self.databases.at, ok: false, problems });
            }
        }
        self.stamps = stamps;
    }

    pub(super) fn load(&mut self, loaded: Loaded, turn: &mut Turn) {
        let Loaded { policy, content, warnings, read, compile, stamps } = loaded;
        self.stamps = Arc::new(stamps);
        self.databases = Arc::new(DatabasesStatus { at: turn.now, ok: true, problems: Vec::new() });
        self.end_drills(turn);
        self.totals.reloads_ok += 1;
        let milliseconds = |length: Duration| length.as_secs_f64() * 1e3;
        self.reload = Arc::new(ReloadStatus {
            at: turn.now,
            ok: true,
            problems: warnings,
            read_ms: milliseconds(read),
            compile_ms: milliseconds(compile),
        });
        let roster = Arc::make_mut(&mut self.roster);
        for hub in policy.hubs.keys() {
            let known = roster.len();
            let id = roster.admit(hub);
            if id.index() == known {
                turn.commit.named.push((id, hub.clone()));
            }
        }
        let layout = Arc::new(Layout::of(&policy, &content, &self.roster));
        self.take_over_watches(&policy, &layout, turn);
        self.take_over_hubs(&layout);
        Arc::make_mut(&mut self.stands).laid_out(&layout);
        self.marked = Arc::new(Marked::of(&layout));
        turn.touched.extend(0..layout.hubs.len() as u32);
        turn.probes = true;
        turn.publish = true;
        let before = std::mem::replace(&mut self.policy, policy);
        self.content = content;
        self.layout = layout;
        // Every hub is decided anew, and a region that was told is told again.
        self.told = Arc::default();
        self.ttl_ends = Arc::default();
        self.doubted = Arc::default();
        self.lay_usables();
        // What was seen of a gate by another definition is not evidence of this one.
        let (before, gates) = (&before.gates, &self.policy.gates);
        Arc::make_mut(&mut self.evidence)
            .retain(|name, _| gates.contains_key(name) && gates.get(name) == before.get(name));
        self.lay_marks();
        self.look_anew(turn);
    }

    /// Probers that go on keep what they know, those that are new begin with what is remembered of them.
    fn take_over_watches(&mut self, policy: &Policy, layout: &Layout, turn: &mut Turn) {
        let before = std::mem::take(&mut self.watches);
        let mut before: BTreeMap<&ProbeTarget, &Arc<Watch>> = self.layout.targets.iter().zip(before.iter()).collect();
        let remembered = Arc::make_mut(&mut self.remembered);
        let mut watches = Vec::with_capacity(layout.targets.len());
        for target in &layout.targets {
            // The layout has those alone whose probe is defined.
            let Some(probe) = policy.probes.get(&target.probe).cloned() else { continue };
            watches.push(Arc::new(match before.remove(target) {
                Some(watch) => Watch { probe, ..Watch::clone(watch) },
                None => {
                    let machine = match remembered.remove(&health_key(target)) {
                        Some(health) => {
                            turn.remembered.insert(target.clone(), health);
                            Machine::restored(health)
                        }
                        None => Machine::new(),
                    };
                    Watch {
                        probe,
                        machine,
                        started: turn.now,
                        last: None,
                        failing: None,
                        confirmed: false,
                        last_good: None,
                        stalled: false,
                    }
                }
            }));
        }
        // As the store does: a reload that brings a target back goes on from what was known of it.
        remembered.extend(before.iter().map(|(target, watch)| (health_key(target), watch.machine.last_known())));
        self.watches = Arc::new(watches);
    }

    /// What is known of hubs and endpoints goes to their new positions.
    fn take_over_hubs(&mut self, layout: &Layout) {
        let before = self.layout.clone();
        let hub = |position: &u32| {
            Some((before.hubs.get(*position as usize)?, layout.at(before.hubs[*position as usize].id)?))
        };
        let position = |known: &u32| Some(hub(known)?.1.0 as u32);
        let holds = self.holds.iter().filter_map(|(known, hold)| {
            let (was, (position, at)) = hub(known)?;
            // A wait for a region that is gone is over.
            let wanted = at.hub.position(before.region_of(was, hold.wanted))?;
            Some((position as u32, Hold { wanted, ..*hold }))
        });
        self.holds = Arc::new(holds.collect());
        self.all_down = Arc::new(self.all_down.iter().filter_map(position).collect::<BTreeSet<u32>>());
        self.inside = Arc::new(self.inside.iter().filter_map(|(at, inside)| Some((position(at)?, *inside))).collect());
        let mut good_since = vec![None; layout.endpoints.len()];
        let mut shadow_falls = BTreeMap::new();
        for (was, (_, at)) in (0..before.hubs.len() as u32).filter_map(|known| hub(&known)) {
            for (endpoint, known) in before.endpoints_of(was).iter().zip(was.endpoints()) {
                let region = &before.regions[endpoint.region as usize];
                if let Some(now) = at.hub.position(region) {
                    good_since[at.endpoints().start + now] = self.good_since[known];
                    if let Some(falls) = self.shadow_falls.get(&(known as u32)) {
                        shadow_falls.insert((at.endpoints().start + now) as u32, falls.clone());
                    }
                }
            }
        }
        self.good_since = Arc::new(good_since);
        self.shadow_falls = Arc::new(shadow_falls);
    }
}
