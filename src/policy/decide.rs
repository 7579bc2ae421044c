//! Which region a hub answers with: the one function that decides it.
//!
//! `decide` takes what is configured, what is known at the moment (a [`Scene`]), the previous decision and the time, and
//! returns the next decision with its reason. It has no clock, no I/O and no randomness. The rules, by the names that
//! [`Rule`] gives them:
//!
//! 1. *Stay.* While the active region is eligible it stays active. A better region that comes back takes over only as
//!    [`Failback`] says, and never from a region that an operator chose with `failover`.
//! 2. *Move.* When the active region is not eligible, the first eligible endpoint in preference order takes over, once
//!    nothing holds the move.
//! 3. *All down.* With nothing eligible, a drained endpoint that is not observed down is used; then [`WhenAllDown`].
//!
//! What may hold a move is looked at in the order of [`Waiting`], and the first that holds it is shown:
//!
//! | hold | holds moves by | until |
//! | --- | --- | --- |
//! | `failback` | a better region | it has been good for as long as `failback.after` says |
//! | `verdict` | anything, unless the target is marked up | there is a first verdict on the target, or its probe's worst case has passed |
//! | `sight` | health | this node sees: it is not blind, and the active region has failed before and after a reference was reached |
//! | `pinned` | anything but a `down` mark | an operator acknowledges that the hub has been flapping |
//! | `budget` | anything | a switch has left the period that the budget counts |
//! | `dwell` | anything but a `down` mark | the dwell has passed since the last automatic switch |
//! | `gate` | anything | the gate opens, or `proceed_after` has passed since gates began to hold this move |
//! | `rule` | anything | the safety rule would not be broken any more |
//! | `look` | health, unless the target is marked up | the target was seen good after the active region began to fail, or its probe's worst case has passed; a look at it is hurried |
//! | `fence` | anything | the region that is left has acknowledged, or the fence's deadline has passed |
//!
//! A hub that has no standing, or whose region has left the policy, chooses afresh and passes all of them: something has to
//! be answered. Nor is there a way around a candidate that is held: the next one in order is not tried, for a move that is
//! held is a decision of the operators about the region that they prefer.
//!
//! Every wait is counted in what was [lived through](Lived): a clock that is set forward ends none.
//!
//! A restart is no rule of its own: health is unknown then, unknown is eligible, and the standing is read from the store.
//!
//! [`WhenAllDown`]: super::WhenAllDown

use std::time::Duration;

use super::{
    Cause, EndpointView, Failback, FenceView, GateView, MarkKind, OnFenceFailure, OnShut, Previous, Resort, Rules,
    Scene, Standing,
};
use crate::health::Health;
use crate::time::{Lived, Timestamp};

/// How long after a fence has failed that must not be passed it is called again.
pub const FENCE_AGAIN: Duration = Duration::from_secs(30);

/// How much longer than its timeout a fence is waited for, so that what it says comes before its deadline.
pub const FENCE_GRACE: Duration = Duration::from_secs(1);

/// The rule that a decision follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The active region stays.
    Stay,
    /// The active region changes.
    Move,
    /// No endpoint may be chosen.
    AllDown,
}

/// A change that policy wants and that does not happen yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Position of the endpoint whose region would become active.
    pub wanted: usize,
    /// What is waited for.
    pub waiting: Waiting,
    /// Since when this move has waited, whatever for.
    pub since: Timestamp,
    /// Since when gates have held it; `None` while none did.
    pub gated_since: Option<Timestamp>,
    /// When it ends by itself; `None`: when something else changes.
    pub until: Option<Timestamp>,
}

/// What a hold waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The time that a better region must have been good before it takes over.
    Failback,
    /// The first verdict on the wanted endpoint.
    Verdict,
    /// That this node sees again, or has reached a reference since the failure.
    Sight,
    /// An operator's acknowledgement that the hub has been flapping.
    Pinned,
    /// The end of the period in which as many switches were done as the budget allows.
    Budget,
    /// The least time between two automatic switches.
    Dwell,
    /// The gate at this position among the hub's.
    Gate(u16),
    /// The safety rule at this position.
    Rule(u32),
    /// A good look at the wanted endpoint since the active one began to fail.
    Look,
    /// The acknowledgement of the region that is left.
    Fence,
}

impl Waiting {
    /// Every word that [`Waiting::word`] says.
    pub const WORDS: [&'static str; 10] =
        ["failback", "verdict", "sight", "pinned", "budget", "dwell", "gate", "rule", "look", "fence"];

    /// The word for it in logs, metrics and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failback => "failback",
            Self::Verdict => "verdict",
            Self::Look => "look",
            Self::Sight => "sight",
            Self::Pinned => "pinned",
            Self::Budget => "budget",
            Self::Dwell => "dwell",
            Self::Gate(_) => "gate",
            Self::Rule(_) => "rule",
            Self::Fence => "fence",
        }
    }
}

/// The next decision for one hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule that it follows.
    pub rule: Rule,
    /// Position of the endpoint that is to be active.
    pub active: usize,
    /// Why the active region changes; `None` when it stays.
    pub cause: Option<Cause>,
    /// Whether all endpoints are to be answered at once.
    pub all: bool,
    /// The change that is wanted and not done yet.
    pub hold: Option<Hold>,
    /// Whether the region that is left is to be told now, for the move that is held.
    pub call_fence: bool,
    /// Whether the lower TTL is to be answered.
    pub low_ttl: bool,
    /// When the lower TTL has been answered long enough after a switch.
    pub ttl_ends: Option<Timestamp>,
}

impl Decision {
    /// When to decide again, even if nothing happens.
    pub fn wake(&self) -> Option<Timestamp> {
        let hold = self.hold.as_ref().and_then(|hold| hold.until);
        hold.into_iter().chain(self.ttl_ends).min()
    }
}

/// Decides for one hub. The scene has one view for each endpoint of the hub, in their order.
///
/// Without a previous decision, or with one whose region the policy does not have, it chooses afresh.
pub fn decide(rules: &Rules, scene: &Scene<'_>, previous: Option<Previous<'_>>, now: Timestamp) -> Decision {
    let views = scene.views;
    let candidate = views.iter().position(EndpointView::eligible);
    let last_resort = || views.iter().position(EndpointView::last_resort);
    let Some((standing, active)) = previous.and_then(|previous| Some((previous.standing, previous.active?))) else {
        let cause = if previous.is_some() { Cause::Policy } else { Cause::Start };
        let (rule, chosen) = match candidate.or_else(last_resort) {
            Some(chosen) => (Rule::Move, chosen),
            None => (Rule::AllDown, resort_of_policy(rules).unwrap_or(0)),
        };
        return Step::afresh(rule, chosen, cause).with_ttl(rules, scene, None, now);
    };
    let all_before = standing.all && rules.resort == Resort::All;
    let step = Step { rules, scene, standing, active, all_before, now };
    step.next(candidate, last_resort()).with_ttl(rules, scene, Some(standing), now)
}

/// One decision for a hub that has an active region, while it is being made.
#[derive(Clone, Copy)]
struct Step<'a> {
    rules: &'a Rules,
    scene: &'a Scene<'a>,
    standing: &'a Standing,
    active: usize,
    all_before: bool,
    now: Timestamp,
}

impl Step<'_> {
    fn afresh(rule: Rule, active: usize, cause: Cause) -> Decision {
        let cause = Some(cause);
        Decision { rule, active, cause, all: false, hold: None, call_fence: false, low_ttl: false, ttl_ends: None }
    }

    fn stay(&self, rule: Rule, all: bool, held: Option<Held>) -> Decision {
        let hold = held.map(|held| held.hold);
        let call_fence = held.is_some_and(|held| held.call_fence);
        Decision { rule, active: self.active, cause: None, all, hold, call_fence, low_ttl: false, ttl_ends: None }
    }

    fn next(&self, candidate: Option<usize>, last_resort: Option<usize>) -> Decision {
        let Self { rules, scene, active, all_before, .. } = *self;
        let views = scene.views;
        if views[active].eligible() {
            // Answering with all endpoints ends when one of them is known to be good, not when nothing is known (a
            // restart). One that is not probed is never known to be better than eligible.
            let good = |view: &EndpointView| view.known_good() || (view.eligible() && !view.probed);
            let all = all_before && !views.iter().any(good);
            return match self.better() {
                Some((better, ready)) if ready > self.now => {
                    let hold = self.hold(better, Waiting::Failback, Some(ready));
                    self.stay(Rule::Stay, all, Some(hold))
                }
                Some((better, _)) => match self.barrier(better, Cause::FailbackAfter) {
                    Some(held) => self.stay(Rule::Stay, all, Some(held)),
                    None => Self::afresh(Rule::Move, better, Cause::FailbackAfter),
                },
                None => self.stay(Rule::Stay, all, None),
            };
        }
        let cause = if views[active].mark.is_some() { Cause::Mark } else { Cause::Health };
        let to = |rule, chosen: usize| match self.barrier(chosen, cause) {
            Some(held) => self.stay(rule, all_before, Some(held)),
            None => Self::afresh(rule, chosen, cause),
        };
        if let Some(chosen) = candidate {
            return to(Rule::Move, chosen);
        }
        if views[active].last_resort() {
            return self.stay(Rule::AllDown, false, None);
        }
        if let Some(chosen) = last_resort {
            return to(Rule::Move, chosen);
        }
        match resort_of_policy(rules) {
            Some(chosen) if chosen != active => to(Rule::AllDown, chosen),
            // What may be this node's own blindness is not answered with everything.
            _ if cause == Cause::Health && scene.sight.doubts_failure(views[active].failing_since) => {
                self.stay(Rule::AllDown, all_before, None)
            }
            _ => self.stay(Rule::AllDown, rules.resort == Resort::All, None),
        }
    }

    /// The first endpoint that is preferred to the active one and may take over by itself, and when.
    fn better(&self) -> Option<(usize, Timestamp)> {
        let Failback::After(after) = self.rules.failback else { return None };
        if self.standing.cause == Cause::Failover {
            return None;
        }
        self.scene.views[..self.active].iter().enumerate().find_map(|(at, view)| {
            let good_since = view.good_since.filter(|_| view.known_good())?;
            Some((at, self.scene.lived.after(good_since, after)))
        })
    }

    /// The first thing that holds a move to the endpoint at `to`.
    fn barrier(&self, to: usize, cause: Cause) -> Option<Held> {
        let Self { rules, scene, standing, active, now, .. } = *self;
        let lived = scene.lived;
        let (view, left) = (&scene.views[to], &scene.views[active]);
        let hold = |waiting, until| Some(self.hold(to, waiting, until));
        if let Some(until) = view.verdict_by.filter(|until| *until > now && view.mark != Some(MarkKind::Up)) {
            return hold(Waiting::Verdict, Some(until));
        }
        if cause.is_automatic() {
            let doubted = match cause {
                Cause::Health => scene.sight.doubts_failure(left.failing_since),
                _ => scene.sight.doubts(None),
            };
            if doubted {
                return hold(Waiting::Sight, None);
            }
        }
        // Draining is no emergency: only `down` moves a hub that has been flapping.
        let down = left.mark == Some(MarkKind::Down) && cause == Cause::Mark;
        if !down && is_pinned(rules, standing, scene.acknowledged, lived) {
            return hold(Waiting::Pinned, None);
        }
        if let Some(until) = budget_ends(rules, standing, lived, now) {
            return hold(Waiting::Budget, Some(until));
        }
        let dwell_ends = standing.last_automatic.map(|at| lived.after(at, rules.dwell)).filter(|ends| *ends > now);
        if let Some(ends) = dwell_ends.filter(|_| left.mark != Some(MarkKind::Down)) {
            return hold(Waiting::Dwell, Some(ends));
        }
        if let Some(held) = self.gates(to) {
            return Some(held);
        }
        if let Some(rule) = (scene.breaks)(to) {
            return hold(Waiting::Rule(rule), None);
        }
        if let Some(since) = left.failing_since.filter(|_| cause == Cause::Health)
            && view.health == Health::Up
            && view.mark != Some(MarkKind::Up)
            && view.seen_good.is_none_or(|seen| seen < since)
        {
            let ends = lived.after(self.same(to).map_or(now, |held| held.since), view.sure_within);
            if ends > now {
                return hold(Waiting::Look, Some(ends));
            }
        }
        let wait = fence_wait(rules, scene.fence, to, lived, now)?;
        Some(Held { call_fence: wait.call, ..self.hold(to, Waiting::Fence, wait.until) })
    }

    /// The first gate that holds the move: one that is shut, and whose time to pass all the same has not come.
    fn gates(&self, to: usize) -> Option<Held> {
        let gates = self.scene.gates;
        let before = || self.scene.gated.filter(|(wanted, _)| *wanted == to).map(|(_, since)| since);
        let since = self.same(to).and_then(|held| held.gated_since).or_else(before).unwrap_or(self.now);
        let mut at = 0;
        while let Some(next) = gate_in_the_way(&gates[at..], self.active, to) {
            let position = at + next;
            let until = match gates[position].on_shut {
                OnShut::Hold => None,
                OnShut::ProceedAfter(length) => Some(self.scene.lived.after(since, length)),
            };
            if until.is_none_or(|until| until > self.now) {
                let mut held = self.hold(to, Waiting::Gate(position as u16), until);
                held.hold.gated_since = Some(since);
                return Some(held);
            }
            at = position + 1;
        }
        None
    }

    /// What held the same move before.
    fn same(&self, wanted: usize) -> Option<Hold> {
        self.scene.held.filter(|held| held.wanted == wanted)
    }

    fn hold(&self, wanted: usize, waiting: Waiting, until: Option<Timestamp>) -> Held {
        let before = self.same(wanted);
        let since = before.map_or(self.now, |before| before.since);
        let gated_since = before.and_then(|before| before.gated_since);
        Held { hold: Hold { wanted, waiting, since, gated_since, until }, call_fence: false }
    }
}

/// A hold, and whether the region that is left is to be told now.
#[derive(Clone, Copy)]
struct Held {
    hold: Hold,
    call_fence: bool,
}

impl Decision {
    /// The same with the TTL that goes with it.
    fn with_ttl(self, rules: &Rules, scene: &Scene<'_>, standing: Option<&Standing>, now: Timestamp) -> Self {
        if !rules.adaptive_ttl {
            return self;
        }
        let switched = match self.cause {
            Some(Cause::Start) => None,
            Some(_) => Some(now),
            // The first choice is no switch.
            None => standing.filter(|standing| !standing.recent.is_empty()).map(|standing| standing.since),
        };
        let ttl_ends = switched.map(|at| scene.lived.after(at, rules.ttl_restore)).filter(|ends| *ends > now);
        let low_ttl = ttl_ends.is_some() || scene.moving || scene.views[self.active].unsettled;
        Self { low_ttl, ttl_ends, ..self }
    }
}

/// The configured endpoint of last resort.
fn resort_of_policy(rules: &Rules) -> Option<usize> {
    match rules.resort {
        Resort::Endpoint(at) => Some(at),
        Resort::Keep | Resort::All => None,
    }
}

/// The first of these gates that is shut and that a move between endpoints has to pass.
pub(super) fn gate_in_the_way(gates: &[GateView], from: usize, to: usize) -> Option<usize> {
    gates.iter().position(|gate| !gate.open && gate.concerns(from, to))
}

/// Whether the hub has switched by itself so often that it stays where it is: the last automatic switches, as many as the
/// limit says and all after the last acknowledgement, lie within the window.
///
/// A pinned hub switches no more by itself, so that it stays pinned until it is acknowledged.
pub fn is_pinned(rules: &Rules, standing: &Standing, acknowledged: Option<Timestamp>, lived: &Lived) -> bool {
    let counts = |at: Timestamp| acknowledged.is_none_or(|acknowledged| at > acknowledged);
    let automatic = || standing.recent.iter().rev().filter(|switch| switch.automatic && counts(switch.at));
    let last = automatic().next();
    let first = automatic().nth(usize::from(rules.flap_limit).saturating_sub(1));
    last.zip(first).is_some_and(|(last, first)| lived.between(first.at, last.at) <= rules.flap_window)
}

/// When the budget allows another switch; `None` when it does now.
pub fn budget_ends(rules: &Rules, standing: &Standing, lived: &Lived, now: Timestamp) -> Option<Timestamp> {
    let (switches, period) = rules.budget?;
    let oldest = standing.recent.iter().rev().nth(usize::from(switches).saturating_sub(1))?;
    Some(lived.after(oldest.at, period)).filter(|ends| *ends > now)
}

/// A wait for a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FenceWait {
    /// Whether it is to be called now.
    pub call: bool,
    /// When the wait ends by itself.
    pub until: Option<Timestamp>,
}

/// What a move to the endpoint at `to` has to wait for before the region that is left counts as told.
pub fn fence_wait(rules: &Rules, fence: FenceView, to: usize, lived: &Lived, now: Timestamp) -> Option<FenceWait> {
    let (timeout, on_failure) = rules.fence?;
    let wait = |call, until| Some(FenceWait { call, until: Some(until) });
    let deadline = now.after(timeout + FENCE_GRACE);
    let failed = |at: Timestamp| match on_failure {
        OnFenceFailure::Proceed => None,
        OnFenceFailure::Stop => match lived.after(at, FENCE_AGAIN) {
            again if again <= now => wait(true, deadline),
            again => wait(false, again),
        },
    };
    match fence {
        FenceView::Acknowledged { to: told } if told == to => None,
        FenceView::Called { to: told, at } if told == to => match lived.after(at, timeout + FENCE_GRACE) {
            ends if ends > now => wait(false, ends),
            // No answer is none.
            ends => failed(ends),
        },
        FenceView::Failed { to: told, at } if told == to => failed(at),
        _ => wait(true, deadline),
    }
}

#[cfg(test)]
mod tests;
