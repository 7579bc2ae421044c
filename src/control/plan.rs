//! What a move would be: said beforehand, from the state of one moment, and nothing is changed.
//!
//! A plan asks the very functions that the move itself asks (`judge_move`, `objections`), so that it cannot promise what
//! the move would refuse. Of a move that has its time (`at`), both look at the marks and maintenance windows that will be
//! in force then, as far as they are known; health, gates and rules are those of the moment.
//!
//! # When nearly all resolvers have moved
//!
//! A resolver keeps a copy of an answer for its TTL. Taken that copies are of every age alike, after a part `t` of the TTL
//! the same part of all resolvers has asked again: 99 % of them at `0.99 * TTL` after the switch. The TTL is the one of
//! the answers that were given last before the switch, which the ramp has lowered. Resolvers that keep copies for longer
//! than they may are added as a length of time (`overrun`) where it was measured. Devices with standing connections do
//! not resolve at all until they connect again, and are not in this number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::asks::{APPROVAL, check_times, gates_alone};
use super::event::{Author, CommandError};
use super::layout::HubAt;
use super::moves::{Move, MoveOptions, Stage, earliest, overridden, ramp};
use super::report::{BudgetStatus, EndpointStatus, GateStatus, HubStatus, MoveStatus};
use super::state::State;
use super::turn::Turn;
use super::view::View;
use crate::dns::Name;
use crate::policy::{
    Cause, Fence, FenceView, Hook, Hub, Moved, Objection, OnFenceFailure, RegionName, RuleName, judge_move, preferred,
};
use crate::time::{Timestamp, human};

/// What a move of a hub would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The hub.
    pub hub: Name,
    /// `failover` or `failback`.
    pub cause: Cause,
    /// The moment of the plan.
    pub now: Timestamp,
    /// The epoch that it is planned at: a move that carries it is refused once anything else has moved the hub.
    pub epoch: u64,
    /// The active region.
    pub from: RegionName,
    /// The region that would become active.
    pub to: RegionName,
    /// What the daemon would do with such a move at this moment.
    pub outcome: Outcome,
    /// That in a sentence; of one that would be refused, why.
    pub verdict: String,
    /// The move that is under way.
    pub under_way: Option<MoveStatus>,
    /// The endpoints in order of preference, with both truths of each.
    pub endpoints: Vec<EndpointStatus>,
    /// The gates of the hub.
    pub gates: Vec<PlannedGate>,
    /// The safety rules that are about the hub.
    pub rules: Vec<PlannedRule>,
    /// Marks and windows of its regions that begin or end before the switch, of a move that has its time: what will be marked
    /// then is what it is held against.
    #[serde(default)]
    pub changes: Vec<String>,
    /// What stands in the way at this moment and can be overridden.
    pub objections: Vec<PlannedObjection>,
    /// The budget of switches.
    pub budget: Option<BudgetStatus>,
    /// Who is told before the switch that the active region is left.
    pub fence: Option<PlannedFence>,
    /// How many operators it needs.
    pub approvals: u64,
    /// What is answered, before and after.
    pub answer: AnswerChange,
    /// When what happens, if the move begins now.
    pub timeline: Timeline,
    /// When nearly all resolvers have moved.
    pub estimate: Estimate,
    /// The hub's recovery time objective, milliseconds.
    pub rto_ms: Option<u64>,
}

/// What the daemon would do with a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing: the region is active already.
    Already,
    /// It would begin.
    Begins,
    /// It would begin, and wait for gates until it is given up.
    Waits,
    /// It would be refused.
    Refused,
}

/// A gate of the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedGate {
    /// The gate, and its evidence.
    #[serde(flatten)]
    pub status: GateStatus,
    /// Age of the evidence, milliseconds.
    pub age_ms: Option<u64>,
    /// Whether this move has to pass it.
    pub concerned: bool,
}

/// A safety rule that is about the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedRule {
    /// Its name.
    pub rule: RuleName,
    /// What it demands, and how it stands.
    pub sentence: String,
    /// Whether the move would break it.
    pub broken: bool,
}

/// What stands in the way and can be overridden.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedObjection {
    /// `gate`, `budget` or `rule`.
    pub kind: String,
    /// What it is, and what overrides it.
    pub sentence: String,
    /// `force` or `break-glass`.
    pub overridden_by: String,
    /// Whether the options of this move override it.
    pub overridden: bool,
}

/// Who is told before the switch that the active region is left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedFence {
    /// The URL, or the command.
    pub called: String,
    /// How long its acknowledgement is waited for, milliseconds.
    pub timeout_ms: u64,
    /// Whether the switch is done without one.
    pub proceeds: bool,
    /// Of one that was called for this move and has failed: how, and what follows.
    #[serde(default)]
    pub failed: Option<String>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerChange {
    /// Until the switch, in presentation format.
    pub before: Vec<String>,
    /// From the switch on.
    pub after: Vec<String>,
    /// The TTL of the answers at this moment, seconds.
    pub ttl: u64,
    /// The TTL of the last answers before the switch, seconds.
    pub ttl_at_switch: u64,
}

/// When what happens, if the move begins now and nothing holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// By when enough operators have to have approved it; `None` when one is enough. All that follows is then counted as
    /// if they did so now.
    pub approve_by: Option<Timestamp>,
    /// When the TTL is lowered; `None` when it is not.
    pub ramp: Option<Timestamp>,
    /// When it switches.
    pub switch: Timestamp,
    /// For how much longer the fence may hold the switch, milliseconds.
    pub fence_ms: u64,
    /// When the last answer of before is over, for resolvers that keep to the TTL.
    pub old_over: Timestamp,
    /// Until when the TTL stays low; `None` when the hub has one TTL.
    pub low_ttl_until: Option<Timestamp>,
    /// When it is given up, if it has not switched before.
    pub given_up: Option<Timestamp>,
}

/// When nearly all resolvers have moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// How many of them, percent.
    pub percent: u64,
    /// How long after the switch, milliseconds.
    pub after_ms: u64,
    /// When that is.
    pub at: Timestamp,
    /// How much later than they should late resolvers come, as measured, milliseconds.
    pub overrun_ms: Option<u64>,
    /// Whether that is within the hub's recovery time objective; `None` when it has none.
    pub within_rto: Option<bool>,
    /// How the number comes about.
    pub arithmetic: String,
    /// What is taken for granted.
    pub assumptions: Vec<String>,
}

/// Of all resolvers so many count as nearly all, percent.
const NEARLY_ALL: u64 = 99;

/// A hub and the move that is under way or was last: what one looks at again and again to follow it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The daemon's clock when this was made.
    pub now: Timestamp,
    /// The hub.
    pub hub: HubStatus,
}

impl View {
    /// What a move of a hub to a region, or to its preferred one, would be.
    ///
    /// `overrun` is how much later than they should late resolvers come back, where that was measured.
    ///
    /// # Errors
    /// When there is no such hub, or it has no endpoint in the region.
    pub fn plan(
        &self,
        hub: &Name,
        to: Option<&RegionName>,
        options: &MoveOptions,
        overrun: Option<Duration>,
    ) -> Result<Plan, CommandError> {
        self.state.clone().plan(hub, to, options, overrun, self.now)
    }

    /// One hub.
    ///
    /// # Errors
    /// When there is no such hub.
    pub fn progress(&self, hub: &Name) -> Result<Progress, CommandError> {
        let position = self.state.moving_position_of(hub)?;
        let at = &self.state.layout.hubs[position];
        Ok(Progress { now: self.now, hub: self.state.hub_status(position, at, self.now) })
    }
}

impl State {
    pub(super) fn plan(
        mut self,
        hub: &Name,
        to: Option<&RegionName>,
        options: &MoveOptions,
        overrun: Option<Duration>,
        now: Timestamp,
    ) -> Result<Plan, CommandError> {
        let layout = self.layout.clone();
        let position = self.moving_position_of(hub)?;
        let at = &layout.hubs[position];
        let hub = &at.hub;
        let cause = if to.is_some() { Cause::Failover } else { Cause::Failback };
        let region = to.unwrap_or(&preferred(hub).region).clone();
        let standing = self.stands.of(at.id).cloned();
        let standing =
            standing.ok_or_else(|| CommandError::Refused(format!("{} has no active region yet", hub.name)))?;
        let mut turn = Turn::new(now, Author::daemon());
        let mut views = Vec::new();
        self.views_of_move(at, &mut views, options, now);
        let judged = judge_move(hub, &views, &standing, &region, options.epoch, now);
        let Some(target) = hub.position(&region) else {
            let refused = judged.err().map(|refused| refused.to_string()).unwrap_or_default();
            return Err(CommandError::NotFound(refused));
        };
        let status = self.hub_status(position, at, now);
        let found = match standing.active == region {
            true => Vec::new(),
            false => self.objections(position, at, target, &mut turn),
        };
        let objections: Vec<_> = found.iter().map(|objection| self.planned(objection, at, options, now)).collect();
        let open = status.planned.as_ref().filter(|planned| planned.planned.stage.is_open());
        let said = match judged {
            // What is active now is about to be left.
            Ok(Moved::Already) if open.is_some_and(|open| open.planned.to != region) => {
                let sentence = open.map_or("", |open| open.sentence.as_str());
                Err(format!("{sentence}; to stay on {region}, cancel it"))
            }
            Ok(Moved::Already) => Ok(Outcome::Already),
            Err(refused) => Err(self.refusal(at, target, &refused, options, now)),
            Ok(Moved::To(_)) => match open {
                Some(open) if open.planned.to != region || !open.planned.options.are_like(options) => {
                    Err(format!("{}; to do it otherwise, cancel it first", open.sentence))
                }
                Some(_) => Ok(Outcome::Begins),
                None => check_times(hub, options, now).map_err(|error| error.to_string()).and_then(|()| {
                    let later = options.at.is_some_and(|at| at > now);
                    let left: Vec<_> = found.iter().filter(|objection| !overridden(objection, options)).collect();
                    match left.is_empty() || later {
                        true => Ok(Outcome::Begins),
                        false if options.until.is_some() && gates_alone(&left) => Ok(Outcome::Waits),
                        false => Err(self.against(&left, at, options, now)),
                    }
                }),
            },
        };
        let timeline = match (&said, open) {
            (Ok(Outcome::Begins), Some(open)) => timeline_of(hub, &open.planned, now),
            _ => timeline(hub, options, now),
        };
        let ttl_at_switch = if timeline.ramp.is_some() { hub.ttl_min } else { hub.ttl };
        let verdict = verdict(hub, &region, &said, &status, options, &objections, now);
        let concerned = |gate: &GateStatus| {
            let direction = match self.stands.active(position) {
                Some(from) if target < from => gate.on_failback,
                _ => gate.on_failover,
            };
            standing.active != region && direction && gate.to.as_ref().is_none_or(|to| *to == region)
        };
        Ok(Plan {
            hub: hub.name.clone(),
            cause,
            now,
            epoch: standing.epoch,
            from: standing.active.clone(),
            to: region.clone(),
            outcome: said.unwrap_or(Outcome::Refused),
            verdict,
            under_way: status.planned.clone().filter(|planned| planned.planned.stage.is_open()),
            gates: status
                .gates
                .iter()
                .map(|gate| PlannedGate {
                    age_ms: gate.at.map(|at| millis(now.since(at))),
                    concerned: concerned(gate),
                    status: gate.clone(),
                })
                .collect(),
            rules: self.planned_rules(position, at, target, &mut turn),
            changes: self.marks_until(position, at, options, now),
            objections,
            budget: status.budget.clone(),
            fence: hub
                .fence
                .as_deref()
                .map(|fence| planned_fence(fence, self.fence_failed(position, at, target, options))),
            approvals: u64::from(hub.approvals.max(1)),
            answer: AnswerChange {
                before: status.answer.clone(),
                after: status.endpoints[target].answer.clone(),
                ttl: status.ttl,
                ttl_at_switch: ttl_at_switch.as_secs(),
            },
            estimate: estimate(hub, ttl_at_switch, timeline.switch, overrun),
            timeline,
            rto_ms: hub.rto.map(millis),
            endpoints: status.endpoints,
        })
    }

    fn planned(&self, objection: &Objection, at: &HubAt, options: &MoveOptions, now: Timestamp) -> PlannedObjection {
        let kind = match objection {
            Objection::Gate(_) => "gate",
            Objection::Budget(_) => "budget",
            Objection::Rule(_) => "rule",
        };
        PlannedObjection {
            kind: kind.into(),
            sentence: self.objection(objection, at, now),
            overridden_by: if objection.is_safety() { "break-glass" } else { "force" }.into(),
            overridden: overridden(objection, options),
        }
    }

    /// That the region which a hub leaves was told of the move that is planned and has not acknowledged it, and what follows.
    fn fence_failed(&self, position: usize, at: &HubAt, to: usize, options: &MoveOptions) -> Option<String> {
        let (_, on_failure) = at.rules.fence?;
        let FenceView::Failed { to: told, .. } = self.fence_view(position, at) else { return None };
        let words = self.unfenced(at).filter(|_| told == to)?;
        Some(match (on_failure, options.force) {
            (OnFenceFailure::Proceed, _) => format!("{words}; the switch is done without"),
            (OnFenceFailure::Stop, true) => format!("{words}; --force goes on without, which is recorded and shown"),
            (OnFenceFailure::Stop, false) => format!("{words}; it is told again, and --force goes on without"),
        })
    }

    fn planned_rules(&self, position: usize, at: &HubAt, to: usize, turn: &mut Turn) -> Vec<PlannedRule> {
        let from = self.stands.active(position).filter(|from| *from != to);
        let rules = self.layout.rules_of(position).iter().map(|rule| PlannedRule {
            rule: self.layout.rules[*rule as usize].name.clone(),
            sentence: self.rule_sentence(*rule, turn.now, at),
            broken: from.is_some_and(|from| self.breaks(*rule, position, from, to, turn)),
        });
        rules.collect()
    }
}

fn verdict(
    hub: &Hub,
    to: &RegionName,
    said: &Result<Outcome, String>,
    status: &HubStatus,
    options: &MoveOptions,
    objections: &[PlannedObjection],
    now: Timestamp,
) -> String {
    let open = status.planned.as_ref().filter(|planned| planned.planned.stage.is_open());
    match said {
        Ok(Outcome::Already) => format!("nothing to do: {} answers {to} already, epoch {}", hub.name, status.epoch),
        Ok(Outcome::Begins) if open.is_some() => {
            format!("already under way: {}", open.map_or("", |open| open.sentence.as_str()))
        }
        Ok(Outcome::Begins) if options.at.is_some_and(|at| at > now) && !objections.is_empty() => {
            let gates = match options.until {
                Some(until) => format!(" (a shut gate is waited for until {until})"),
                None => String::new(),
            };
            format!(
                "it can be planned; what stands in the way now is looked at again when its time comes, and stops it \
                 then unless it is overridden{gates}"
            )
        }
        Ok(Outcome::Begins) if objections.iter().any(|objection| objection.overridden) => {
            "it can begin: what stands in the way is overridden, which is recorded and shown until it is acknowledged"
                .into()
        }
        Ok(Outcome::Begins) => "it can begin: nothing stands in the way".into(),
        Ok(Outcome::Waits) => {
            let until = options.until.map(|until| until.to_string()).unwrap_or_default();
            format!("it can begin, and waits for gates until {until}")
        }
        Ok(Outcome::Refused) => String::new(),
        Err(sentence) => sentence.clone(),
    }
}

fn timeline(hub: &Hub, options: &MoveOptions, now: Timestamp) -> Timeline {
    let ramp = ramp(hub, options);
    let switch = earliest(hub, options, now);
    let begins = Timestamp(switch.0.saturating_sub(millis(ramp)));
    let ttl = if ramp.is_zero() { hub.ttl } else { hub.ttl_min };
    let old_over = switch.after(ttl);
    Timeline {
        approve_by: (hub.approvals > 1).then(|| options.until.unwrap_or(Timestamp(u64::MAX)).min(now.after(APPROVAL))),
        ramp: (!ramp.is_zero()).then_some(begins),
        switch,
        fence_ms: hub.fence.as_ref().map_or(0, |fence| millis(fence.timeout)),
        old_over,
        low_ttl_until: (hub.ttl_min < hub.ttl).then(|| switch.after(hub.ttl_restore).max(old_over)),
        given_up: options.until,
    }
}

/// When what happens of a move that is under way: by its own options and the stage that it is in.
fn timeline_of(hub: &Hub, planned: &Move, now: Timestamp) -> Timeline {
    let line = timeline(hub, &planned.options, now);
    let (ramp, switch) = match planned.stage {
        Stage::Ramp { since, until } => (Some(since), until),
        Stage::Ready { since, ramped, .. } => {
            let lowered = Timestamp(since.0.saturating_sub(millis(hub.ttl)));
            (ramped.then_some(lowered), now)
        }
        Stage::Approval { until } => return Timeline { approve_by: Some(until), ..line },
        _ => return Timeline { approve_by: None, ..line },
    };
    let old_over = switch.after(if ramp.is_some() { hub.ttl_min } else { hub.ttl });
    let low_ttl_until = line.low_ttl_until.map(|_| switch.after(hub.ttl_restore).max(old_over));
    Timeline { approve_by: None, ramp, switch, old_over, low_ttl_until, ..line }
}

fn estimate(hub: &Hub, ttl: Duration, switch: Timestamp, overrun: Option<Duration>) -> Estimate {
    let part = Duration::from_millis(millis(ttl).saturating_mul(NEARLY_ALL) / 100);
    let after = part.saturating_add(overrun.unwrap_or_default());
    let added = overrun.map(|overrun| format!(" + {} of measured overrun", exact(overrun))).unwrap_or_default();
    let mut assumptions = vec![
        "resolvers keep to the TTL, and their copies are of every age alike: after a part of the TTL the same part of \
         them has asked again"
            .to_owned(),
        "devices with standing connections do not resolve until they connect again; they are not counted".to_owned(),
    ];
    if overrun.is_none() {
        assumptions.push("how much longer some resolvers keep copies was not measured here, and is not added".into());
    }
    if hub.ttl_spread > 0 {
        assumptions
            .push(format!("ttl_spread gives some resolvers up to {} % less; the full TTL is counted", hub.ttl_spread));
    }
    Estimate {
        percent: NEARLY_ALL,
        after_ms: millis(after),
        at: switch.after(after),
        overrun_ms: overrun.map(millis),
        within_rto: hub.rto.map(|rto| after <= rto),
        arithmetic: format!("0.{NEARLY_ALL} * {} of TTL{added} = {}", exact(ttl), exact(after)),
        assumptions,
    }
}

/// A length of time with the part of a second that [`human`] leaves out.
fn exact(length: Duration) -> String {
    match (length.as_secs(), length.subsec_millis()) {
        (1..60, 10..) => {
            let seconds = format!("{:.2}", length.as_secs_f64());
            format!("{} s", seconds.trim_end_matches('0'))
        }
        _ => human(length),
    }
}

fn planned_fence(fence: &Fence, failed: Option<String>) -> PlannedFence {
    let called = match &fence.hook {
        Hook::Http { url, .. } => format!("POST {url}"),
        Hook::Exec(exec) => exec.command.join(" "),
    };
    let proceeds = fence.on_failure == OnFenceFailure::Proceed;
    PlannedFence { called, timeout_ms: millis(fence.timeout), proceeds, failed }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
