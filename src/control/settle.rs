//! What follows from what an event changed: every hub that it touched is decided anew, and what is decided stands.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::Level;
use super::mark;
use super::reason::{self, Known, Measured};
use super::refusal;
use super::report::{AuditKind, Switched};
use super::state::{State, Watch};
use super::turn::Turn;
use crate::answer::snapshot::Choice;
use crate::dns::Name;
use crate::health::Health;
use crate::policy::{Cause, Decision, Endpoint, EndpointId, EndpointView, Hub, MarkKind, Rule, Standing, decide};
use crate::time::Timestamp;

impl State {
    pub(super) fn settle(&mut self, turn: &mut Turn) {
        let now = turn.now;
        let due = self.holds.iter().filter(|(_, hold)| hold.until <= now).map(|(hub, _)| hub.clone());
        turn.touched.extend(due);
        if self.retry.as_ref().is_some_and(|(at, _)| *at <= now) {
            turn.touched.extend(self.retry.take().into_iter().flat_map(|(_, hubs)| hubs));
            for target in std::mem::take(&mut self.unsaved) {
                if let Some(watch) = self.watches.get(&target) {
                    turn.commit.health.push((target, watch.machine.last_known()));
                }
            }
        }
        let policy = self.policy.clone();
        for name in std::mem::take(&mut turn.touched) {
            let Some(hub) = policy.hubs.get(&name) else { continue };
            let views = self.views(hub, now);
            let decision = decide(hub, &views, self.standings.get(&name), now);
            let afresh = matches!(decision.cause, Some(Cause::Start | Cause::Policy));
            self.carry_out(hub, decision, turn);
            if afresh {
                // With nothing eligible, `when_all_down` may say more of the region that was chosen than that it is it.
                let decision = decide(hub, &views, self.standings.get(&name), now);
                self.carry_out(hub, decision, turn);
            }
        }
    }

    fn carry_out(&mut self, hub: &Hub, decision: Decision, turn: &mut Turn) {
        let now = turn.now;
        let hold = decision.hold.clone();
        if let Some(cause) = decision.cause {
            let reason = self.why(hub, cause, now);
            self.switch(hub, decision.active, cause, reason, turn);
        } else if let Some(standing) = self.standings.get(&hub.name).filter(|s| s.all != decision.all).cloned() {
            let reason = match decision.all {
                true => "no endpoint is eligible: all of them are answered, as when_all_down says",
                false => "an endpoint is known to be good again",
            };
            let after = Standing { all: decision.all, ..standing.clone() };
            if self.stand(hub, after, turn) {
                let (before, after) = if decision.all { ("active", "all") } else { ("all", "active") };
                let record = turn.audit(AuditKind::Answer, hub.name.to_string(), reason);
                (record.before, record.after) = (Some(before.into()), Some(after.into()));
                record.epoch = Some(standing.epoch);
                let line = turn.say(Level::Warn, "switch", format!("{}: {reason}", hub.name));
                line.hub = Some(hub.name.clone());
            }
        }
        let wanted = hold.as_ref().map(|hold| (&hold.wanted, hold.waiting));
        let known = self.holds.get(&hub.name).map(|hold| (&hold.wanted, hold.waiting));
        if wanted != known
            && let Some(hold) = &hold
        {
            let line = turn.say(Level::Info, "hold", format!("{}: {}", hub.name, reason::hold(hold, now)));
            (line.hub, line.region) = (Some(hub.name.clone()), Some(hold.wanted.clone()));
            turn.notes.push(format!("{}: {}", hub.name, reason::hold(hold, now)));
        }
        match hold {
            Some(hold) => self.holds.insert(hub.name.clone(), hold),
            None => self.holds.remove(&hub.name),
        };
        let all_down = decision.rule == Rule::AllDown;
        if all_down && self.all_down.insert(hub.name.clone()) {
            let sentence = format!("{}: no endpoint is eligible; {}", hub.name, answered(hub, &decision));
            turn.say(Level::Error, "all-down", sentence).hub = Some(hub.name.clone());
        } else if !all_down && self.all_down.remove(&hub.name) {
            let sentence = format!("{}: an endpoint is eligible again", hub.name);
            turn.say(Level::Info, "all-down", sentence).hub = Some(hub.name.clone());
        }
        self.set_choice_in(&hub.name, turn);
    }

    /// Changes the active region of one hub.
    pub(super) fn switch(&mut self, hub: &Hub, to: usize, cause: Cause, reason: String, turn: &mut Turn) {
        let before = self.standings.get(&hub.name).cloned();
        let active = hub.endpoints[to].region.clone();
        // A hub may be left without its region by a reload and get the same one again.
        let changes = before.as_ref().is_none_or(|before| before.active != active);
        let epoch = before.as_ref().map_or(1, |before| before.epoch.saturating_add(u64::from(changes)));
        let last_automatic = if cause.is_automatic() {
            Some(turn.now)
        } else {
            before.as_ref().and_then(|before| before.last_automatic)
        };
        let since = if changes { turn.now } else { before.as_ref().map_or(turn.now, |before| before.since) };
        let after = Standing {
            active: active.clone(),
            epoch,
            since,
            cause,
            reason: reason.clone(),
            last_automatic,
            all: false,
        };
        if !self.stand(hub, after, turn) {
            return;
        }
        let from = before.map(|before| before.active);
        *self.totals.switches.entry(cause.word().into()).or_default() += u64::from(changes);
        let record = turn.audit(AuditKind::Switch, hub.name.to_string(), &reason);
        record.epoch = Some(epoch);
        record.before = from.as_ref().map(ToString::to_string);
        record.after = Some(active.to_string());
        let sentence = match &from {
            Some(from) => format!("{}: {from} -> {active}, epoch {epoch}: {reason}", hub.name),
            None => format!("{}: {active} is active, epoch {epoch}: {reason}", hub.name),
        };
        let level = if from.is_some() { Level::Warn } else { Level::Info };
        let line = turn.say(level, "switch", sentence);
        (line.hub, line.region, line.epoch) = (Some(hub.name.clone()), Some(active.clone()), Some(epoch));
        turn.switched.push(Switched { hub: hub.name.clone(), from, to: active, epoch });
    }

    /// Records a standing, unless a rule refuses it.
    fn stand(&mut self, hub: &Hub, after: Standing, turn: &mut Turn) -> bool {
        let before = self.standings.get(&hub.name).cloned();
        if let Err(refused) = refusal::examine(hub, before.as_ref(), &after) {
            self.totals.refused += 1;
            turn.notes.push(refused.to_string());
            turn.say(Level::Error, "refused", format!("{}: {refused}", hub.name)).hub = Some(hub.name.clone());
            self.retry_later(BTreeSet::from([hub.name.clone()]), turn.now);
            return false;
        }
        self.standings.insert(hub.name.clone(), after.clone());
        turn.commit.standings.push((hub.name.clone(), before, after));
        self.set_choice_in(&hub.name, turn);
        true
    }

    fn set_choice_in(&mut self, hub: &Name, turn: &mut Turn) {
        turn.publish |= self.set_choice(hub);
    }

    /// Brings the published choice of one hub in line with its standing; says whether it changed.
    pub(super) fn set_choice(&mut self, name: &Name) -> bool {
        let (Some(hub), Some(standing)) = (self.policy.hubs.get(name), self.standings.get(name)) else { return false };
        let (Some(position), Some(active)) = (self.content.hub(name), hub.position(&standing.active)) else {
            return false;
        };
        let choice = match standing.all {
            true => Choice::All,
            // A hub has at most 1,000 endpoints.
            false => Choice::Endpoint(u16::try_from(active).unwrap_or(u16::MAX)),
        };
        std::mem::replace(&mut self.choices[position], choice) != choice
    }

    /// Why the active region of a hub changes, said of the region that is left (or of the one that is preferred again).
    fn why(&self, hub: &Hub, cause: Cause, now: Timestamp) -> String {
        let active = self.standings.get(&hub.name).map(|standing| &standing.active);
        let endpoint = active.and_then(|active| hub.position(active)).map(|at| &hub.endpoints[at]);
        match (cause, active, endpoint) {
            (Cause::Policy, Some(active), _) => format!("{active} is not in the policy any more"),
            (Cause::FailbackAfter, Some(active), _) => {
                format!("a region preferred to {active} has been good for as long as failback.after says")
            }
            (_, Some(_), Some(endpoint)) => self.endpoint_reason(hub, endpoint, now),
            _ => "first in order of preference".into(),
        }
    }

    /// What is known of the endpoints of a hub at this moment.
    pub(super) fn views(&mut self, hub: &Hub, now: Timestamp) -> Vec<EndpointView> {
        hub.endpoints
            .iter()
            .map(|endpoint| {
                let view = self.view(hub, endpoint, now);
                let heard = self.watch(endpoint).is_none_or(|watch| !watch.stalled);
                let up = view.health == Health::Up && heard;
                let good = view.eligible() && (view.mark == Some(MarkKind::Up) || up);
                let id = EndpointId { hub: hub.name.clone(), region: endpoint.region.clone() };
                let good_since = match good {
                    true => Some(*self.good_since.entry(id).or_insert(now)),
                    false => {
                        self.good_since.remove(&id);
                        None
                    }
                };
                EndpointView { good_since, ..view }
            })
            .collect()
    }

    pub(super) fn view(&self, hub: &Hub, endpoint: &Endpoint, now: Timestamp) -> EndpointView {
        let watch = self.watch(endpoint);
        let health = watch.map_or(Health::Unknown, |watch| watch.machine.health());
        let verdict_by = watch
            .filter(|_| health == Health::Unknown)
            .map(|watch| watch.started.after(worst_verdict(watch)))
            .filter(|by| *by > now);
        let mark = mark::holding(&self.marks, &hub.name, &endpoint.region).map(|mark| mark.kind);
        EndpointView { health, mark, good_since: None, verdict_by }
    }

    pub(super) fn watch(&self, endpoint: &Endpoint) -> Option<&Watch> {
        endpoint.probe.as_ref().and_then(|target| self.watches.get(target))
    }

    /// Both truths about one endpoint, in one sentence.
    pub(super) fn endpoint_reason(&self, hub: &Hub, endpoint: &Endpoint, now: Timestamp) -> String {
        let measured = self.watch(endpoint).map(|watch| Measured {
            health: watch.machine.health(),
            last: watch.last.as_ref().map(|last| (last.at, last.failure.as_deref())),
            in_a_row: watch.last.as_ref().map_or(0, |last| last.in_a_row),
            stalled: watch.stalled,
        });
        let mark = mark::holding(&self.marks, &hub.name, &endpoint.region);
        reason::endpoint(&Known { region: &endpoint.region, mark, measured }, now)
    }
}

/// How long a first verdict takes at worst: what was down before the restart has to rise again, or fails once.
fn worst_verdict(watch: &Watch) -> Duration {
    match watch.machine.last_known() {
        Health::Down => watch.probe.worst_recovery(),
        Health::Unknown | Health::Up => watch.probe.worst_detection(),
    }
}

/// What is answered after a decision with nothing eligible.
pub(super) fn answered(hub: &Hub, decision: &Decision) -> String {
    match decision.all {
        true => "all endpoints are answered".into(),
        false => format!("{} is answered", hub.endpoints[decision.active].region),
    }
}
