//! What operators ask of moves: that one begins, is approved, is cancelled; and that what it overrode is acknowledged.

use std::time::Duration;

use super::advance::By;
use super::event::{CommandError, Level};
use super::fact::FactKey;
use super::known::{FlapAck, Overridden};
use super::layout::HubAt;
use super::moves::{Approval, Move, MoveOptions, Stage, earliest, first_stage, overridden};
use super::reason;
use super::report::AuditKind;
use super::state::State;
use super::turn::{Pending, Turn};
use crate::dns::Name;
use crate::policy::{Cause, Gate, Hub, Moved, Objection, RegionName, judge_move, objections, preferred};
use crate::time::Timestamp;

/// How long another operator's approval is waited for.
pub(super) const APPROVAL: Duration = Duration::from_hours(1);
/// A time that has passed by more than this was not meant to be now.
pub(super) const PAST: Duration = Duration::from_mins(1);

impl State {
    /// Begins a move of a hub to `to`, or to its preferred region.
    pub(super) fn begin_move(
        &mut self,
        hub: &Name,
        to: Option<&RegionName>,
        options: MoveOptions,
        why: &str,
        cause: Cause,
        turn: &mut Turn,
    ) -> Result<Pending, CommandError> {
        let layout = self.layout.clone();
        let position = self.moving_position_of(hub)?;
        let at = &layout.hubs[position];
        let (hub, now) = (&at.hub, turn.now);
        let region = to.unwrap_or(&preferred(hub).region).clone();
        let standing = self.stands.of(at.id).cloned();
        let standing =
            standing.ok_or_else(|| CommandError::Refused(format!("{} has no active region yet", hub.name)))?;
        if let Some(open) = self.known.moves.get(&at.id).filter(|open| open.stage.is_open()) {
            let planned_then = options.epoch.is_none_or(|epoch| epoch == open.epoch);
            let same = open.to == region && planned_then && open.options.are_like(&options);
            let sentence = open.sentence(hub, now);
            return match same {
                true => Ok(Pending::Moved { summary: format!("already under way: {sentence}"), changed: false }),
                false => Err(CommandError::Refused(format!("{sentence}; to do it otherwise, cancel it first"))),
            };
        }
        let mut views = std::mem::take(&mut turn.views);
        self.views_of_move(at, &mut views, &options, now);
        let judged = judge_move(hub, &views, &standing, &region, options.epoch, now);
        turn.views = views;
        let moved = judged.map_err(|refused| match hub.position(&region) {
            Some(to) => CommandError::Refused(self.refusal(at, to, &refused, &options, now)),
            None => CommandError::NotFound(refused.to_string()),
        })?;
        let to = match moved {
            Moved::Already => {
                let summary = format!("{} answers {region} already, epoch {}", hub.name, standing.epoch);
                return Ok(Pending::Moved { summary, changed: false });
            }
            Moved::To(to) => to,
        };
        check_times(hub, &options, now)?;
        // What is planned for later is held against gates and rules when its time comes.
        if options.at.is_none_or(|at| at <= now) {
            let objects = self.objections(position, at, to, turn);
            let open: Vec<_> = objects.iter().filter(|objection| !overridden(objection, &options)).collect();
            let waits = options.until.is_some() && gates_alone(&open);
            if !open.is_empty() && !waits {
                return Err(CommandError::Refused(self.against(&open, at, &options, now)));
            }
        }
        let approval = Approval { author: turn.author.name.clone(), origin: turn.author.origin.clone(), at: now };
        let planned = Move {
            from: standing.active.clone(),
            to: region.clone(),
            cause,
            epoch: standing.epoch,
            author: turn.author.name.clone(),
            reason: why.into(),
            asked: now,
            stage: Stage::Approval { until: options.until.unwrap_or(Timestamp(u64::MAX)).min(now.after(APPROVAL)) },
            options,
            approvals: vec![approval],
            needed: hub.approvals,
        };
        let planned = match planned.needed {
            0 | 1 => Move { stage: first_stage(hub, &planned.options, now), ..planned },
            _ => planned,
        };
        let before = turn.changes.len();
        self.put_move(at, planned, turn);
        self.advance(at.id, turn);
        let Some(planned) = self.known.moves.get(&at.id) else {
            return Ok(Pending::Moved { summary: String::new(), changed: false });
        };
        if let Stage::Stopped { why, .. } = &planned.stage {
            return Err(CommandError::Refused(why.clone()));
        }
        let summary = match turn.changes.len() > before {
            true => format!("{}: {} -> {region}", hub.name, standing.active),
            false => planned.sentence(hub, now),
        };
        if cause == Cause::Failover {
            turn.notes.add(format!(
                "{} stays on {region} once it is there, until an operator says failback, or it is not eligible",
                hub.name
            ));
        }
        Ok(Pending::Moved { summary, changed: true })
    }

    /// Approves a move that another operator asked for.
    pub(super) fn approve(&mut self, hub: &Name, epoch: Option<u64>, turn: &mut Turn) -> Result<Pending, CommandError> {
        let layout = self.layout.clone();
        let at = &layout.hubs[self.moving_position_of(hub)?];
        let hub = &at.hub;
        let waiting = self.known.moves.get(&at.id).filter(|planned| matches!(planned.stage, Stage::Approval { .. }));
        let Some(planned) = waiting.cloned() else {
            return Err(CommandError::NotFound(format!("no move of {} waits for an approval", hub.name)));
        };
        if let Some(epoch) = epoch.filter(|epoch| *epoch != planned.epoch) {
            let sentence = format!("the move that waits was planned at epoch {}, not {epoch}", planned.epoch);
            return Err(CommandError::Refused(sentence));
        }
        let author = &turn.author;
        if planned.approvals.iter().any(|approval| approval.author == author.name) {
            let sentence = format!("{} has approved it already: it takes {} operators", author.name, planned.needed);
            return Err(CommandError::Refused(sentence));
        }
        let approval = Approval { author: author.name.clone(), origin: author.origin.clone(), at: turn.now };
        let mut approvals = planned.approvals.clone();
        approvals.push(approval);
        let enough = approvals.len() >= usize::from(planned.needed);
        let approved = Move { approvals, ..planned };
        let stage = if enough { first_stage(hub, &approved.options, turn.now) } else { approved.stage.clone() };
        self.put_move(at, Move { stage, ..approved }, turn);
        self.advance(at.id, turn);
        let sentence = self.known.moves.get(&at.id).map(|planned| planned.sentence(hub, turn.now));
        Ok(Pending::Moved { summary: format!("approved: {}", sentence.unwrap_or_default()), changed: true })
    }

    /// Stops a move that has not switched yet.
    pub(super) fn cancel(
        &mut self,
        hub: &Name,
        epoch: Option<u64>,
        why: &str,
        turn: &mut Turn,
    ) -> Result<Pending, CommandError> {
        let layout = self.layout.clone();
        let at = &layout.hubs[self.moving_position_of(hub)?];
        let name = &at.hub.name;
        match self.known.moves.get(&at.id) {
            Some(open) if open.stage.is_open() => {
                let (Move { from, .. }, what) = (open.clone(), open.planned(name));
                if epoch.is_some_and(|epoch| epoch != open.epoch) {
                    return Err(CommandError::Refused(format!("the move that is under way is another one: {what}")));
                }
                let sentence = format!("cancelled by {} ({why})", turn.author.name);
                self.end_move(at, sentence, By::Operator, turn);
                let told = self.layout.at(at.id).and_then(|(position, _)| self.told_next(position, at));
                if told.is_some_and(|told| told.over) {
                    turn.notes.add(format!("{from} was told that it is not active any more, and it is: tell it so"));
                }
                let summary = format!("cancelled, and nothing was switched: {what}");
                Ok(Pending::Moved { summary, changed: true })
            }
            Some(over @ Move { stage: Stage::Drain { .. } | Stage::Done { .. }, .. }) => {
                let Move { to, cause, author, epoch, .. } = over;
                Err(CommandError::Refused(format!(
                    "{name} has switched to {to} already, by the {} that {author} planned at epoch {epoch}; to go back, ask \
                     for a failover or failback",
                    cause.word()
                )))
            }
            _ => Ok(Pending::Moved { summary: format!("{name} has no move under way"), changed: false }),
        }
    }

    /// Acknowledges that a hub has been flapping, and what was overridden for it.
    pub(super) fn acknowledge(&mut self, hub: &Name, why: &str, turn: &mut Turn) -> Result<Pending, CommandError> {
        let layout = self.layout.clone();
        let position = self.moving_position_of(hub)?;
        let at = &layout.hubs[position];
        let name = &at.hub.name;
        let mut done = Vec::new();
        if self.is_pinned(at) {
            let (author, reason) = (turn.author.name.clone(), why.to_owned());
            let ack = FlapAck { at: turn.now, author, reason };
            self.set_fact(FactKey::flap(name), Some(&ack), turn);
            done.push("it may switch by itself again".to_owned());
        }
        if let Some(overridden) = self.known.overrides.get(&at.id) {
            done.push(format!("{} acknowledged", reason::many(overridden.entries.len(), "override")));
            self.set_fact(FactKey::overridden(name), None::<&Overridden>, turn);
        }
        let notices = self.acknowledge_notices(at, turn);
        if notices > 0 {
            done.push(format!("{} acknowledged", reason::many(notices, "notice")));
        }
        if done.is_empty() {
            let summary = format!(
                "{name} has nothing to acknowledge: it is not pinned, nothing was overridden, and no move has stopped by \
                 itself"
            );
            return Ok(Pending::Moved { summary, changed: false });
        }
        let summary = format!("{name}: {}", done.join("; "));
        let record = turn.audit(AuditKind::Acknowledge, name.to_string(), why);
        record.after = Some(done.join("; "));
        turn.say(Level::Info, "acknowledge", format!("{summary} ({} by {})", why, turn.author.name)).hub =
            Some(name.clone());
        turn.touched.push(position as u32);
        Ok(Pending::Moved { summary, changed: true })
    }

    /// What objects to an operator's move at this moment.
    pub(super) fn objections(&mut self, position: usize, at: &HubAt, to: usize, turn: &mut Turn) -> Vec<Objection> {
        let now = turn.now;
        let Some((from, standing)) = self.stands.active(position).zip(self.stands.of(at.id).cloned()) else {
            return Vec::new();
        };
        self.broken_rules(position, at, turn);
        let (mut views, mut gates) = (std::mem::take(&mut turn.views), std::mem::take(&mut turn.gates));
        self.views(at, &mut views, now);
        self.gate_views(at, &mut gates, now);
        let found = self.with_scene(position, at, &views, &gates, &turn.broken, |scene| {
            objections(&at.rules, scene, &standing, from, to, now)
        });
        (turn.views, turn.gates) = (views, gates);
        found
    }

    /// The gate that an objection is about.
    pub(super) fn shut_gate(&self, objection: &Objection, at: &HubAt) -> Option<&Gate> {
        match objection {
            Objection::Gate(gate) => Some(&self.layout.gates[*at.gates.get(usize::from(*gate))? as usize]),
            Objection::Budget(_) | Objection::Rule(_) => None,
        }
    }

    /// All that stands in the way of a move and is not overridden, and whether it can be waited for.
    pub(super) fn against(&self, open: &[&Objection], at: &HubAt, options: &MoveOptions, now: Timestamp) -> String {
        let sentences: Vec<_> = open.iter().map(|objection| self.objection(objection, at, now)).collect();
        let waits = match options.until.is_none() && gates_alone(open) {
            true => "; --until TIME waits for gates to open",
            false => "",
        };
        format!("{}{waits}", sentences.join("; "))
    }

    /// An objection in words, and what overrides it.
    pub(super) fn objection(&self, objection: &Objection, at: &HubAt, now: Timestamp) -> String {
        match objection {
            Objection::Gate(_) => {
                let Some(gate) = self.shut_gate(objection, at) else { return String::new() };
                format!("{} (--force overrides it)", self.shut_sentence(gate, at, now))
            }
            Objection::Budget(until) => {
                format!(
                    "{}, the next one is at {until} (--break-glass overrides it)",
                    at.hub.budget.as_ref().map(reason::budget).unwrap_or_default()
                )
            }
            Objection::Rule(rule) => {
                format!("{} (--break-glass overrides it)", self.rule_sentence(*rule, now, at))
            }
        }
    }
}

/// Whether gates are all that stands in the way: they may open by themselves, and a move with `--until` waits for them.
pub(super) fn gates_alone(open: &[&Objection]) -> bool {
    open.iter().all(|objection| !objection.is_safety())
}

pub(super) fn check_times(hub: &Hub, options: &MoveOptions, now: Timestamp) -> Result<(), CommandError> {
    if let Some(at) = options.at.filter(|at| now.since(*at) > PAST) {
        return Err(CommandError::Refused(format!(
            "its time was {at}, which has passed; without a time it is done now"
        )));
    }
    let (earliest, until) = (earliest(hub, options, now), options.until);
    if let Some(until) = until.filter(|until| *until < earliest) {
        let sentence = format!("it cannot switch before {earliest}, and is to be given up at {until}");
        return Err(CommandError::Refused(sentence));
    }
    Ok(())
}
