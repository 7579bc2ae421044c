//! Observations to health, and probers that fall silent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::composite::Follows;
use super::event::Level;
use super::reason;
use super::report::AuditKind;
use super::state::{Last, State};
use super::turn::Turn;
use crate::health::{Health, Observation, Outcome, schedule};
use crate::policy::{Failback, MarkKind, ProbeTarget, RegionName, Waiting};
use crate::time::Timestamp;

/// So many probers that cannot observe are said one by one; the others are counted.
const LACKS_SAID: usize = 8;

/// Time between two sentences that a prober cannot observe.
const SAY_LACKS: Duration = Duration::from_mins(10);

/// Time between two remarks on one prober.
const SAY_NOTES: Duration = Duration::from_hours(1);

/// Whether something may be said that was last said then: not within `pause`.
fn is_due(said: &mut Option<Timestamp>, pause: Duration, now: Timestamp) -> bool {
    let due = said.is_none_or(|said| now.since(said) >= pause);
    if due {
        *said = Some(now);
    }
    due
}

impl State {
    pub(super) fn observe(&mut self, observation: Observation, turn: &mut Turn) {
        // An observation of what a reload has just taken away is late, not wrong.
        let Some(position) = self.layout.target(&observation.target) else { return };
        self.renew_lease(position, observation.at);
        self.observe_at(position, observation, turn);
    }

    /// Takes in what was observed of the target at a position, and what follows from it.
    pub(super) fn observe_at(&mut self, position: usize, observation: Observation, turn: &mut Turn) {
        match &observation.outcome {
            Outcome::Good => self.totals.observations_good += 1,
            Outcome::Failed(_) => self.totals.observations_failed += 1,
            Outcome::Unable(lack) => {
                self.totals.observations_unable += 1;
                let (target, lack) = (&observation.target, lack.as_str());
                return self.lack(position, target, lack, turn);
            }
        }
        let at = observation.at;
        self.take(position, position, observation, None, turn);
        self.follow(position, at, turn);
    }

    /// Takes in one observation: one that was made of `observed`, which is the target itself, or a member of it.
    pub(super) fn take(
        &mut self,
        position: usize,
        observed: usize,
        observation: Observation,
        follows: Option<Follows>,
        turn: &mut Turn,
    ) {
        let Observation { target, at, latency, outcome, remarks } = observation;
        let layout = self.layout.clone();
        let watch = Arc::make_mut(&mut Arc::make_mut(&mut self.watches)[position]);
        // What was not said to be lacking is not said to be there again.
        if watch.unable.take().is_some() && std::mem::take(&mut watch.said.lacking) {
            turn.say(Level::Info, "prober", format!("this machine can observe {target} again"));
        }
        watch.expires = remarks.expires.or(watch.expires);
        let note: Option<Arc<str>> = remarks.note.map(Into::into);
        if note != watch.note
            && let Some(note) = &note
            && is_due(&mut watch.said.note, SAY_NOTES, turn.now)
        {
            turn.say(Level::Warn, "remark", format!("{target}: {note}"));
        }
        watch.note = note;
        let failed_before = watch.failing.is_some();
        let unsettled = watch.unsettled();
        let failure: Option<Arc<str>> = match &outcome {
            Outcome::Good | Outcome::Unable(_) => None,
            Outcome::Failed(failure) => Some(failure.as_str().into()),
        };
        watch.failing = failure.as_ref().map(|_| watch.failing.unwrap_or(at));
        if failure.is_none() {
            watch.last_good = Some(at);
        }
        let in_a_row = match &watch.last {
            Some(last) if last.failure.is_some() == failure.is_some() => last.in_a_row.saturating_add(1),
            _ => 1,
        };
        let was_stalled = std::mem::take(&mut watch.stalled);
        let failed = failure.is_some();
        watch.last = Some(Last { at, latency, failure, in_a_row });
        let hubs = &layout.by_target[position];
        if was_stalled {
            turn.touched.extend(hubs.iter().chain(layout.hubs_above(position)));
            turn.say(Level::Info, "prober", format!("the prober {target} gives observations again"));
        }
        if failed != failed_before {
            let returns = |hub: &&u32| matches!(layout.hubs[**hub as usize].rules.failback, Failback::After(_));
            turn.touched.extend(hubs.iter().filter(returns));
            if failed {
                self.interrupt(position, turn.now);
            }
        }
        if !failed && !self.holds.is_empty() {
            let looked_for = |hub: &&u32| self.holds.get(hub).is_some_and(|hold| hold.waiting == Waiting::Look);
            turn.touched.extend(hubs.iter().filter(looked_for));
        }
        self.look_around(position, failed_before, failed, at, turn);
        let watch = Arc::make_mut(&mut Arc::make_mut(&mut self.watches)[position]);
        let before = watch.machine.health();
        // While this node is blind, what it sees of endpoints does not count.
        if !self.look.sight.blind || layout.is_reference[position] {
            match &follows {
                None => drop(watch.machine.observe(&watch.probe, &outcome, at)),
                Some(follows) => watch.machine.follow(follows.health, &outcome, at),
            }
        }
        let after = watch.machine.health();
        if self.confirm(position) {
            turn.touched.extend(hubs);
        }
        if position == observed || self.sets_pace(observed, position) {
            self.observe_drills(position, at, latency, turn);
        }
        let watch = &self.watches[position];
        if watch.unsettled() != unsettled && layout.adaptive {
            let adaptive = |hub: &&u32| layout.hubs[**hub as usize].rules.adaptive_ttl;
            turn.touched.extend(hubs.iter().filter(adaptive));
        }
        if before == after {
            return;
        }
        if after == Health::Down {
            self.shadow_fell(position, turn.now);
        }
        let detail = match (follows, &self.watches[position].last) {
            (Some(follows), _) => follows.detail,
            (None, Some(Last { failure: Some(failure), in_a_row, .. })) => {
                format!("{in_a_row} failed in a row: {failure}")
            }
            (None, Some(Last { in_a_row, latency, .. })) => {
                format!("{in_a_row} ok in a row, {} ms", latency.as_millis())
            }
            (None, None) => String::new(),
        };
        let level = if after == Health::Down { Level::Warn } else { Level::Info };
        let regions = self.regions_of(position);
        let regions_said = regions.iter().map(RegionName::as_str).collect::<Vec<_>>().join(", ");
        let subject = match (regions.is_empty(), layout.is_reference[position]) {
            (false, _) => format!("{regions_said} ({target})"),
            (true, true) => format!("reference {target}"),
            (true, false) => format!("shadow {target}"),
        };
        let sentence = reason::health(&subject, before, after, &detail);
        let record = turn.audit_by_daemon(AuditKind::Health, subject, &sentence);
        (record.before, record.after) = (Some(before.word().into()), Some(after.word().into()));
        let line = turn.say(level, "health", sentence);
        line.region = regions.into_iter().next();
        turn.commit.health.push((target, after));
        turn.touched.extend(hubs);
    }

    /// One failed look ends that an endpoint has been good without a break, also if the next look, which is taken in together
    /// with it, is good again.
    fn interrupt(&mut self, target: usize, now: Timestamp) {
        let layout = self.layout.clone();
        for position in &layout.by_target[target] {
            let at = &layout.hubs[*position as usize];
            for endpoint in at.endpoints() {
                let watched = layout.endpoints[endpoint].target == u32::try_from(target).ok();
                // A mark says that it is good whatever a look says.
                if watched && self.good_since[endpoint].is_some() && self.view(endpoint, now).mark != Some(MarkKind::Up)
                {
                    Arc::make_mut(&mut self.good_since)[endpoint] = None;
                }
            }
        }
    }

    /// This machine could not observe: that is shown and counted, and says nothing of what is probed. Health freezes when it
    /// lasts, as it does when a prober is silent.
    fn lack(&mut self, position: usize, target: &ProbeTarget, lack: &str, turn: &mut Turn) {
        let watch = Arc::make_mut(&mut Arc::make_mut(&mut self.watches)[position]);
        let before = watch.unable.replace(lack.into());
        // A machine that is out of something lacks it for all of its probers.
        let others = self.watches.iter().filter(|watch| watch.unable.is_some()).take(LACKS_SAID + 1).count();
        let watch = Arc::make_mut(&mut Arc::make_mut(&mut self.watches)[position]);
        if before.is_none() && others <= LACKS_SAID && is_due(&mut watch.said.unable, SAY_LACKS, turn.now) {
            watch.said.lacking = true;
            let health = watch.machine.health().word();
            let sentence = format!("this machine cannot observe {target}, whose health stays {health}: {lack}");
            turn.say(Level::Warn, "unable", sentence);
        }
    }

    /// A shadow probe that goes down would have moved the hubs whose active endpoint it watches: that is remembered.
    fn shadow_fell(&mut self, target: usize, now: Timestamp) {
        /// As many as are remembered of one endpoint.
        const MOST: usize = 32;
        let layout = self.layout.clone();
        if !layout.by_target[target].is_empty() {
            return;
        }
        for (position, at) in layout.hubs.iter().enumerate() {
            let Some(active) = self.stands.active(position).map(|active| at.endpoints().start + active) else {
                continue;
            };
            if layout.endpoints[active].shadow == u32::try_from(target).ok() {
                let falls = Arc::make_mut(&mut self.shadow_falls).entry(active as u32).or_default();
                falls.push(now);
                let over = falls.len().saturating_sub(MOST);
                falls.drain(..over);
            }
        }
    }

    /// The regions of the endpoints that a probe target watches.
    fn regions_of(&self, target: usize) -> BTreeSet<RegionName> {
        let layout = &self.layout;
        // Those of a member are those of the composites that follow from it.
        let targets = layout.above(target).iter().copied().chain(u32::try_from(target).ok());
        let watched = targets.flat_map(|target| {
            let hubs = layout.by_target[target as usize].iter().map(|position| &layout.hubs[*position as usize]);
            let endpoints = hubs.flat_map(|at| layout.endpoints_of(at));
            endpoints.filter(move |endpoint| endpoint.target == Some(target))
        });
        let regions: BTreeSet<u32> = watched.map(|endpoint| endpoint.region).collect();
        regions.into_iter().map(|region| layout.regions[region as usize].clone()).collect()
    }

    /// A prober that gives no observations freezes health at its last value and is shown: silence is neither up nor down.
    /// Nor is it good for as long as `failback.after` wants: its hubs are decided anew.
    pub(super) fn find_silent_probers(&mut self, turn: &mut Turn) {
        let layout = self.layout.clone();
        for (at, target) in layout.targets.iter().enumerate() {
            let watch = &self.watches[at];
            let last = watch.last.as_ref().map_or(watch.started, |last| last.at);
            let silent = self.lived.between(last, turn.now);
            if !watch.stalled && schedule::overdue(&watch.probe, silent) {
                let watch = Arc::make_mut(&mut Arc::make_mut(&mut self.watches)[at]);
                watch.stalled = true;
                let age = crate::time::human(silent);
                let health = watch.machine.health().word();
                let why = watch.unable.as_ref().map(|lack| format!(", for {lack}")).unwrap_or_default();
                let sentence = format!("no observation of {target} for {age}{why}: its health is frozen at {health}");
                turn.say(Level::Warn, "prober", sentence);
                turn.touched.extend(layout.by_target[at].iter().chain(layout.hubs_above(at)));
            }
        }
    }
}
