//! What follows from what an event changed: every hub that it touched is decided anew, and what is decided stands.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::among::in_order;
use super::change::{Change, ChangeKind, Step};
use super::event::{Level, LogLine};
use super::layout::{EndpointAt, HubAt, Layout};
use super::mark::Mark;
use super::reason::{self, Facts, Known, Measured};
use super::refusal;
use super::state::{State, Watch};
use super::turn::Turn;
use crate::health::Health;
use crate::policy::{
    Cause, Decision, EndpointView, FenceView, GateView, Hold, Hub, MarkKind, OnShut, Previous, Rule, Scene, Sight,
    Waiting, decide, is_pinned,
};
use crate::time::{Timestamp, human};

impl State {
    pub(super) fn settle(&mut self, turn: &mut Turn) {
        let (now, layout) = (turn.now, self.layout.clone());
        if self.hold_ends.is_some_and(|ends| ends <= now) {
            let ended = |hold: &Hold| hold.until.is_some_and(|until| until <= now);
            turn.touched.extend(self.holds.iter().filter(|(_, hold)| ended(hold)).map(|(position, _)| position));
        }
        if self.ttl_wake.is_some_and(|ends| ends <= now) {
            turn.touched.extend(self.ttl_ends.iter().filter(|(_, ends)| **ends <= now).map(|(position, _)| position));
        }
        if self.retry.as_ref().is_some_and(|(at, _)| *at <= now) {
            let hubs = self.retry.take().into_iter().flat_map(|(_, hubs)| hubs);
            turn.touched.extend(hubs.filter_map(|hub| Some(layout.at(hub)?.0 as u32)));
            self.keep_lived(turn);
            for target in std::mem::take(&mut self.unsaved) {
                if let Some(at) = layout.target(&target) {
                    turn.commit.health.push((target, self.watches[at].machine.last_known()));
                }
            }
        }
        let mut decided = false;
        // A hub that moves may free others of what a safety rule held them for: those are looked at once more.
        for _ in 0..CHAIN {
            let mut touched = std::mem::take(&mut turn.touched);
            in_order(&mut touched, &layout.depths);
            let mut views = std::mem::take(&mut turn.views);
            for position in touched.iter().map(|position| *position as usize) {
                let at = &layout.hubs[position];
                self.views(at, &mut views, now);
                if at.stateless {
                    self.settle_usable(position, at, &views, turn);
                    continue;
                }
                let decision = self.decide(position, at, &views, turn);
                let afresh = matches!(decision.cause, Some(Cause::Start | Cause::Policy));
                self.carry_out(position, at, decision, turn);
                if afresh {
                    // With nothing eligible, `when_all_down` may say more of the region that was chosen than that it is it.
                    let decision = self.decide(position, at, &views, turn);
                    self.carry_out(position, at, decision, turn);
                }
                self.note_active_inside(position, at, &views, turn);
            }
            turn.views = views;
            decided |= !touched.is_empty();
            // A hub that changes may change those that it is inside of.
            let outer = !layout.depths.is_empty() && !turn.touched.is_empty();
            if !std::mem::take(&mut turn.recounted) && !outer {
                break;
            }
            let ruled = self.holds.iter().filter(|(_, hold)| matches!(hold.waiting, Waiting::Rule(_)));
            turn.touched.extend(ruled.map(|(position, _)| position));
        }
        if decided {
            self.hold_ends = self.holds.values().filter_map(|hold| hold.until).min();
            self.ttl_wake = self.ttl_ends.values().min().copied();
        }
    }

    pub(super) fn decide(&self, position: usize, at: &HubAt, views: &[EndpointView], turn: &mut Turn) -> Decision {
        self.broken_rules(position, at, turn);
        let mut gates = std::mem::take(&mut turn.gates);
        self.gate_views(at, &mut gates, turn.now);
        let standing = self.stands.of(at.id);
        let previous = standing.map(|standing| Previous { standing, active: self.stands.active(position) });
        let decision = self.with_scene(position, at, views, &gates, &turn.broken, |scene| {
            decide(&at.rules, scene, previous, turn.now)
        });
        turn.gates = gates;
        decision
    }

    /// What is known at this moment of one hub, given to `work`.
    pub(super) fn with_scene<T>(
        &self,
        position: usize,
        at: &HubAt,
        views: &[EndpointView],
        gates: &[GateView],
        broken: &[Option<u32>],
        work: impl FnOnce(&Scene<'_>) -> T,
    ) -> T {
        let breaks = |to: usize| broken.get(to).copied().flatten();
        work(&Scene {
            views,
            sight: Sight { unconfirmed: self.is_unconfirmed(position, at), ..self.look.sight },
            gates,
            breaks: &breaks,
            fence: self.fence_view(position, at),
            moving: self.known.moves.get(&at.id).is_some_and(|planned| planned.stage.is_under_way()),
            held: self.holds.get(&(position as u32)).copied(),
            gated: self.gated_before(at),
            acknowledged: self.known.flaps.get(&at.id).map(|ack| ack.at),
            lived: &self.lived,
        })
    }

    /// Whether a hub has switched by itself so often that it stays where it is.
    pub(super) fn is_pinned(&self, at: &HubAt) -> bool {
        let acknowledged = self.known.flaps.get(&at.id).map(|ack| ack.at);
        self.stands.of(at.id).is_some_and(|standing| is_pinned(&at.rules, standing, acknowledged, &self.lived))
    }

    fn carry_out(&mut self, position: usize, at: &HubAt, decision: Decision, turn: &mut Turn) {
        let (now, hub) = (turn.now, &at.hub);
        if let Some(cause) = decision.cause {
            let reason = self.why(position, at, cause, turn);
            let reason = self.with_what_was_passed(position, at, decision.active, reason, now);
            self.switch(position, at, decision.active, cause, reason, turn);
        } else if let Some(standing) = self.stands.of(at.id).filter(|standing| standing.all != decision.all) {
            let reason = match decision.all {
                true => "no endpoint is eligible: all of them are answered, as when_all_down says",
                false => "an endpoint is known to be good again",
            };
            let step = Step {
                kind: ChangeKind::Answer,
                to: standing.active.clone(),
                epoch: standing.epoch,
                cause: standing.cause,
                all: decision.all,
                reason: turn.sentences.of(Facts::Text(reason), || reason.into()),
            };
            self.stand(position, at, decision.active, step, turn);
        }
        let known = self.holds.get(&(position as u32));
        if known.is_some() || decision.hold.is_some() {
            let what = |hold: &Hold| (hold.wanted, hold.waiting);
            if let Some(hold) = &decision.hold
                && known.map(what) != Some(what(hold))
            {
                let wanted = &hub.endpoints[hold.wanted].region;
                let sentence = || format!("{}: {}", hub.name, self.hold_sentence(at, hold, now));
                turn.notes.of_hub(sentence);
                turn.told.of("wait for a move", Some(wanted), || LogLine {
                    hub: Some(hub.name.clone()),
                    region: Some(wanted.clone()),
                    ..LogLine::new(Level::Info, "hold", sentence())
                });
            }
            if let Some(hold) = decision.hold.filter(|hold| hold.waiting == Waiting::Look)
                && known.map(what) != Some(what(&hold))
            {
                turn.looks.extend(watched_by(&self.layout, at, hold.wanted));
            }
            let holds = Arc::make_mut(&mut self.holds);
            let before = match decision.hold {
                Some(hold) => holds.insert(position as u32, hold),
                None => holds.remove(&(position as u32)),
            };
            if before != decision.hold {
                self.held_before.push((position as u32, before, decision.cause.is_some()));
            }
        }
        if !self.told.is_empty() {
            self.give_up_announced(position, at, decision.hold.map(|hold| hold.wanted), turn);
        }
        self.look_after_told(position, at, &decision, turn);
        self.keep_gated(position, at, &decision, turn);
        if let Some(hold) = decision.hold.filter(|_| decision.call_fence) {
            let cause = match self.stands.active(position).map(|active| self.view(at.endpoints().start + active, now)) {
                Some(view) if view.eligible() => Cause::FailbackAfter,
                _ => Cause::Health,
            };
            let reason = self.why(position, at, cause, turn);
            self.call_fence(position, at, (hold.wanted, hold.since), reason, turn);
        }
        if self.stands.has_low_ttl(at) != Some(decision.low_ttl) {
            turn.publish |= Arc::make_mut(&mut self.stands).set_low_ttl(at, decision.low_ttl);
        }
        self.set_ttl_ends(position, decision.ttl_ends);
        let all_down = decision.rule == Rule::AllDown;
        if self.stands.is_stale(at).is_some_and(|stale| stale != all_down) {
            turn.publish |= Arc::make_mut(&mut self.stands).set_stale(at, all_down);
        }
        if all_down == self.all_down.contains(&(position as u32)) {
            return;
        }
        let line =
            |level, sentence| LogLine { hub: Some(hub.name.clone()), ..LogLine::new(level, "all-down", sentence) };
        if all_down {
            Arc::make_mut(&mut self.all_down).insert(position as u32);
            turn.told.of("have no eligible endpoint", None, || {
                let answered = answered(hub, &decision);
                line(Level::Error, format!("{}: no endpoint is eligible; {answered}", hub.name))
            });
        } else {
            Arc::make_mut(&mut self.all_down).remove(&(position as u32));
            turn.told.of("have an eligible endpoint again", None, || {
                line(Level::Info, format!("{}: an endpoint is eligible again", hub.name))
            });
        }
    }

    /// Changes the active region of one hub.
    pub(super) fn switch(
        &mut self,
        position: usize,
        at: &HubAt,
        to: usize,
        cause: Cause,
        reason: Arc<str>,
        turn: &mut Turn,
    ) {
        let before = self.stands.of(at.id);
        let active = self.layout.region_of(at, to);
        // A hub may be left without its region by a reload and get the same one again.
        let changes = before.is_none_or(|before| before.active != *active);
        let epoch = before.map_or(1, |before| before.epoch.saturating_add(u64::from(changes)));
        let step = Step { kind: ChangeKind::Switch, to: active.clone(), epoch, cause, all: false, reason };
        self.stand(position, at, to, step, turn);
    }

    /// A reason, and what did not hold the move although it was shut or silent.
    pub(super) fn with_what_was_passed(
        &self,
        position: usize,
        at: &HubAt,
        to: usize,
        reason: Arc<str>,
        now: Timestamp,
    ) -> Arc<str> {
        let Some(from) = self.stands.active(position).filter(|_| !at.gates.is_empty() || at.rules.fence.is_some())
        else {
            return reason;
        };
        let mut passed = Vec::new();
        let mut gates = Vec::new();
        self.gate_views(at, &mut gates, now);
        for (view, gate) in gates.iter().zip(&at.gates).filter(|(view, _)| !view.open && view.concerns(from, to)) {
            if let OnShut::ProceedAfter(after) = view.on_shut {
                let gate = &self.layout.gates[*gate as usize];
                let sentence = self.gate_state(gate, at, now).sentence;
                passed.push(format!("past gate {}, shut for {}: {sentence}", gate.name, human(after)));
            }
        }
        if at.rules.fence.is_some() && !matches!(self.fence_view(position, at), FenceView::Acknowledged { .. }) {
            passed.push("the region that is left has not acknowledged it".into());
        }
        match passed.is_empty() {
            true => reason,
            false => format!("{reason}; {}", passed.join("; ")).into(),
        }
    }

    /// Takes a step, unless a rule refuses it.
    fn stand(&mut self, position: usize, at: &HubAt, active: usize, step: Step, turn: &mut Turn) {
        let before = self.stands.shared(at.id);
        let after = turn.together.follow(&step, before, turn.now);
        let regions = self.layout.endpoints_of(at).iter().map(|e| &self.layout.regions[e.region as usize]);
        if let Err(refused) = refusal::examine(&at.hub, regions, before.map(|before| &**before), &after) {
            self.totals.refused += 1;
            turn.notes.of_hub(|| refused.to_string());
            turn.told.of("were refused a change", None, || {
                let sentence = format!("{}: {refused}", at.hub.name);
                LogLine { hub: Some(at.hub.name.clone()), ..LogLine::new(Level::Error, "refused", sentence) }
            });
            self.retry_later(BTreeSet::from([at.id]), turn.now);
            return;
        }
        let stands = Arc::make_mut(&mut self.stands);
        let (before, changed) = stands.set_active(at.id, Some((position, at)), Some(after.clone()), Some(active));
        turn.publish |= changed;
        if step.kind == ChangeKind::Switch {
            self.count_again(position, turn);
            self.forget_told(at, turn);
        }
        turn.changes.push(Change { hub: at.id, kind: step.kind, reason: step.reason, before, after });
    }

    /// Why the active region of a hub changes, said of the region that is left (or of the one that is preferred again).
    fn why(&self, position: usize, at: &HubAt, cause: Cause, turn: &mut Turn) -> Arc<str> {
        let standing = self.stands.of(at.id);
        let endpoint = self.stands.active(position);
        let facts = match (cause, standing, endpoint) {
            (Cause::Policy, Some(standing), _) => Facts::Gone(standing.active.clone()),
            (Cause::FailbackAfter, Some(standing), _) => Facts::Preferred(standing.active.clone()),
            (_, Some(_), Some(endpoint)) => {
                let endpoint = at.endpoints().start + endpoint;
                return turn
                    .sentences
                    .of(self.facts(endpoint, turn.now), || self.endpoint_reason(at, endpoint, turn.now));
            }
            _ => Facts::Text("first in order of preference"),
        };
        turn.sentences.of(facts.clone(), || match facts {
            Facts::Gone(active) => format!("{active} is not in the policy any more"),
            Facts::Preferred(active) => {
                format!("a region preferred to {active} has been good for as long as failback.after says")
            }
            Facts::Text(text) => text.into(),
            Facts::Endpoint { .. } => String::new(),
        })
    }

    /// What is known of the endpoints of a hub at this moment.
    pub(super) fn views(&mut self, at: &HubAt, views: &mut Vec<EndpointView>, now: Timestamp) {
        views.clear();
        for endpoint in at.endpoints() {
            let mut view = self.view(endpoint, now);
            let heard = self.layout.endpoints[endpoint].target.is_none_or(|target| !self.is_silent(target));
            // What fails at this moment is not good, even where it takes more to be down.
            let up = view.health == Health::Up && heard && view.failing_since.is_none();
            let good = view.eligible() && (view.mark == Some(MarkKind::Up) || up);
            view.good_since = match (good, self.good_since[endpoint]) {
                (true, since @ Some(_)) => since,
                (false, None) => None,
                (good, _) => {
                    let since = good.then_some(now);
                    Arc::make_mut(&mut self.good_since)[endpoint] = since;
                    since
                }
            };
            views.push(view);
        }
    }

    /// What is known of the endpoint at a position, but since when it is good.
    #[inline]
    pub(super) fn view(&self, endpoint: usize, now: Timestamp) -> EndpointView {
        let at = self.layout.endpoints[endpoint];
        let watch = self.watch(at);
        let health = watch.map_or(Health::Unknown, |watch| watch.machine.health());
        let verdict_by = watch
            .filter(|_| health == Health::Unknown)
            .map(|watch| self.lived.after(watch.started, worst_verdict(watch)))
            .filter(|by| *by > now);
        // The more restrictive mark holds, and none restricts least.
        let mark = self.marked.regions[at.region as usize].max(self.marked.endpoints[endpoint]);
        let view = EndpointView {
            health,
            mark,
            good_since: None,
            verdict_by,
            probed: at.target.is_some(),
            seen_good: watch.zip(at.target).and_then(|(watch, target)| self.seen_good(target, watch, now)),
            sure_within: watch.map_or(Duration::ZERO, |watch| watch.probe.worst_detection()),
            failing_since: watch.and_then(Watch::failing_since),
            unsettled: watch.is_some_and(Watch::unsettled),
        };
        let view = match at.inner {
            Some(inner) => self.with_inside(view, inner, at),
            None => view,
        };
        match self.drilled(endpoint) {
            Some(drill) => EndpointView {
                health: drill.machine.health(),
                seen_good: drill.seen_good,
                failing_since: drill.failing,
                unsettled: drill.unsettled(),
                ..view
            },
            None => view,
        }
    }

    pub(super) fn watch(&self, at: EndpointAt) -> Option<&Watch> {
        at.target.and_then(|target| self.watches.get(target as usize)).map(|watch| &**watch)
    }

    /// What the sentence about the endpoint at a position would tell.
    fn facts(&self, endpoint: usize, now: Timestamp) -> Facts {
        let at = self.layout.endpoints[endpoint];
        Facts::Endpoint {
            region: at.region,
            own: (self.marked.endpoints[endpoint].is_some() || self.drilled(endpoint).is_some())
                .then_some(endpoint as u32),
            measured: self.measured(at).map(|measured| measured.facts(now)),
        }
    }

    fn measured(&self, at: EndpointAt) -> Option<Measured<'_>> {
        self.watch(at).zip(at.target).map(|(watch, target)| Measured {
            health: watch.machine.health(),
            last: watch.last.as_ref().map(|last| (last.at, last.failure.as_ref())),
            in_a_row: watch.last.as_ref().map_or(0, |last| last.in_a_row),
            stalled: self.is_silent(target),
            blind: self.look.sight.blind,
            unable: self.lacks(target),
        })
    }

    /// The mark that holds for the endpoint at a position.
    pub(super) fn mark_of(&self, hub: &Hub, endpoint: usize) -> Option<&Mark> {
        let at = self.layout.endpoints[endpoint];
        let (region, own) = (self.marked.regions[at.region as usize], self.marked.endpoints[endpoint]);
        region.or(own)?;
        self.holding(&hub.name, &self.layout.regions[at.region as usize]).map(|(_, mark)| mark)
    }

    /// What came of telling the region that a hub leaves, where it has not acknowledged it.
    pub(super) fn unfenced(&self, at: &HubAt) -> Option<String> {
        let (position, at) = self.layout.at(at.id)?;
        let from = &self.stands.of(at.id)?.active;
        match self.told_next(position, at).filter(|told| !told.over)?.answer.as_ref()? {
            (_, false, sentence) => Some(format!("{from} has not acknowledged that it is left: {sentence}")),
            (_, true, _) => None,
        }
    }

    /// A change that waits, and what for.
    pub(super) fn hold_sentence(&self, at: &HubAt, hold: &Hold, now: Timestamp) -> String {
        let wanted = &at.hub.endpoints[hold.wanted].region;
        let detail = match hold.waiting {
            Waiting::Gate(gate) => at
                .gates
                .get(usize::from(gate))
                .map(|gate| self.shut_sentence(&self.layout.gates[*gate as usize], at, now)),
            Waiting::Rule(rule) => Some(self.rule_sentence(rule, now, at)),
            Waiting::Budget => at.hub.budget.as_ref().map(reason::budget),
            Waiting::Sight if self.look.sight.blind => Some("this node is blind".into()),
            Waiting::Fence => self.unfenced(at).map(|words| {
                let hub = &at.hub.name;
                format!("{words}; `concierge failover {hub} --to {wanted} --now --force` goes on without")
            }),
            _ => None,
        };
        reason::hold(wanted, hold, detail.as_deref(), now)
    }

    /// Both truths about the endpoint at a position, in one sentence.
    pub(super) fn endpoint_reason(&self, at: &HubAt, endpoint: usize, now: Timestamp) -> String {
        let placed = self.layout.endpoints[endpoint];
        let region = &self.layout.regions[placed.region as usize];
        if let Some(inner) = placed.inner.filter(|_| placed.target.is_none()) {
            return self.inside_reason(region, inner, placed.at_least, self.mark_of(&at.hub, endpoint));
        }
        let known = Known { region, mark: self.mark_of(&at.hub, endpoint), measured: self.measured(placed) };
        match (self.drilled(endpoint), &known) {
            (Some(drill), Known { mark: None, measured: Some(measured), .. }) => {
                format!("{}; {}", drill.sentence(region), reason::probes_say(measured, now))
            }
            _ => reason::endpoint(&known, now),
        }
    }
}

/// So many times in one turn a hub that moves may free others.
const CHAIN: usize = 16;

/// What watches one endpoint of a hub.
fn watched_by(layout: &Layout, at: &HubAt, endpoint: usize) -> Option<u32> {
    layout.endpoints_of(at).get(endpoint)?.target
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
