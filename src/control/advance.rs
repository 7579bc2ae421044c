//! What drives planned moves: the clock, and what else the one writer is told.

use std::sync::Arc;
use std::time::Duration;

use super::event::{Author, Level, LogLine};
use super::fact::FactKey;
use super::known::{NoticeKind, Overridden, Override};
use super::layout::HubAt;
use super::moves::{Move, Stage, first_stage, overridden};
use super::report::AuditKind;
use super::roster::HubId;
use super::state::State;
use super::turn::Turn;
use crate::policy::{FenceView, MoveRefused, Moved, Objection, fence_wait, judge_move};
use crate::time::{Timestamp, human};

/// A move that is due for longer, because the daemon did not run, is not done without being asked for again.
const LATE: Duration = Duration::from_mins(5);

/// Who gives a move up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Something that is in its way.
    Itself,
    /// An operator.
    Operator,
}

impl State {
    /// Lets every open move that is due go on.
    pub(super) fn advance_moves(&mut self, turn: &mut Turn) {
        if self.retry.as_ref().is_some_and(|(at, _)| *at > turn.now) {
            return;
        }
        let due = |planned: &Move| match &planned.stage {
            Stage::Ready { .. } => true,
            stage => {
                let gives_up = planned.options.until.filter(|_| stage.is_open());
                self.stage_ends(stage).into_iter().chain(gives_up).min().is_some_and(|until| until <= turn.now)
            }
        };
        let due: Vec<HubId> =
            self.known.moves.iter().filter(|(_, planned)| due(planned)).map(|(hub, _)| *hub).collect();
        due.into_iter().for_each(|hub| self.advance(hub, turn));
    }

    /// Stops the moves of hubs that have been moved by something else.
    pub(super) fn stop_overtaken(&mut self, turn: &mut Turn) {
        let layout = self.layout.clone();
        let overtaken = |(hub, planned): (&HubId, &Move)| {
            let standing = self.stands.of(*hub).filter(|standing| standing.epoch != planned.epoch)?;
            let (_, at) = layout.at(*hub)?;
            let why = format!(
                "{} is active since {} ({}), epoch {}, and the move was planned at epoch {}",
                standing.active,
                standing.since,
                standing.cause.word(),
                standing.epoch,
                planned.epoch
            );
            Some((at, why))
        };
        let open = self.known.moves.iter().filter(|(_, planned)| planned.stage.is_open());
        let overtaken: Vec<_> = open.filter_map(overtaken).collect();
        overtaken.into_iter().for_each(|(at, why)| self.stop_move(at, why, turn));
    }

    /// When the next move is due.
    pub(super) fn moves_wake(&self) -> Option<Timestamp> {
        let wake = |(hub, planned): (&HubId, &Move)| {
            let gives_up = planned.options.until.filter(|_| planned.stage.is_open());
            let ready = matches!(planned.stage, Stage::Ready { .. }).then(|| self.ready_wake(*hub, planned)).flatten();
            self.stage_ends(&planned.stage).into_iter().chain(gives_up).chain(ready).min()
        };
        self.known.moves.iter().filter_map(wake).min()
    }

    /// When a stage ends by itself. The TTL is waited out in what was lived through.
    fn stage_ends(&self, stage: &Stage) -> Option<Timestamp> {
        match stage {
            Stage::Ramp { since, until } | Stage::Drain { switched: since, until } => {
                Some(self.lived.after(*since, until.since(*since)))
            }
            stage => stage.until(),
        }
    }

    /// When a move that is ready may have nothing to wait for any more.
    fn ready_wake(&self, hub: HubId, planned: &Move) -> Option<Timestamp> {
        let (position, at) = self.layout.at(hub)?;
        let to = at.hub.position(&planned.to)?;
        let told = self.told_next(position, at).filter(|told| told.to == to);
        let fence = told
            .and_then(|told| fence_wait(&at.rules, self.fence_view(position, at), to, &self.lived, told.called)?.until);
        let verdict = self.view(at.endpoints().start + to, self.turned).verdict_by;
        // A fence that may be called again is not while something else holds the move, and that is no time to wake at.
        let fence = fence.filter(|at| *at > self.turned);
        fence.into_iter().chain(verdict).min()
    }

    /// Takes a move as far as it goes at this moment.
    pub(super) fn advance(&mut self, hub: HubId, turn: &mut Turn) {
        let layout = self.layout.clone();
        // A hub that has left the policy has nothing to move; its move is over.
        let Some((position, at)) = layout.at(hub) else {
            self.drop_move(hub, turn);
            return;
        };
        // Each turn takes one stage; there are fewer than these.
        for _ in 0..8 {
            let Some(planned) = self.known.moves.get(&hub).cloned() else { return };
            if !self.advance_once(position, at, planned, turn) {
                return;
            }
        }
    }

    /// One stage; says whether the move is at another one since.
    fn advance_once(&mut self, position: usize, at: &HubAt, planned: Move, turn: &mut Turn) -> bool {
        let now = turn.now;
        if planned.stage.is_open() && planned.options.until.is_some_and(|until| until <= now) {
            let held = match &planned.stage {
                Stage::Ready { held: Some(held), .. } => format!(": {held}"),
                _ => String::new(),
            };
            self.stop_move(at, format!("it was to be given up by now{held}"), turn);
            return true;
        }
        let ends = self.stage_ends(&planned.stage);
        let is_over = ends.is_some_and(|ends| ends <= now);
        let due = ends.filter(|_| planned.stage.is_open()).unwrap_or(now);
        let approval = matches!(planned.stage, Stage::Approval { .. });
        if now.since(due) > LATE && planned.options.until.is_none() && !approval {
            self.stop_move(at, format!("its time was {due}, and the daemon did not run then"), turn);
            return true;
        }
        let next = match &planned.stage {
            Stage::Approval { until } if is_over => {
                self.stop_move(
                    at,
                    format!("nobody else has approved it within {}", human(until.since(planned.asked))),
                    turn,
                );
                return true;
            }
            Stage::Scheduled { .. } if is_over => first_stage(&at.hub, &planned.options, now),
            Stage::Ramp { .. } if is_over => Stage::Ready { since: now, ramped: true, held: None },
            Stage::Drain { switched, .. } if is_over => Stage::Done { switched: *switched, at: now },
            Stage::Ready { ramped, held, .. } => {
                let (ramped, held) = (*ramped, held.clone());
                return self.try_switch(position, at, planned, ramped, held, turn);
            }
            _ => return false,
        };
        self.put_move(at, Move { stage: next, ..planned }, turn);
        true
    }

    /// Switches, waits, or gives up. Says whether the move is at another stage since.
    fn try_switch(
        &mut self,
        position: usize,
        at: &HubAt,
        planned: Move,
        ramped: bool,
        held: Option<String>,
        turn: &mut Turn,
    ) -> bool {
        let now = turn.now;
        let Some(standing) = self.stands.of(at.id).cloned() else { return false };
        let mut views = std::mem::take(&mut turn.views);
        self.views(at, &mut views, now);
        let judged = judge_move(&at.hub, &views, &standing, &planned.to, Some(planned.epoch), now);
        turn.views = views;
        let to = match judged {
            Ok(Moved::To(to)) => to,
            Ok(Moved::Already) => {
                self.stop_move(at, format!("{} is active already", planned.to), turn);
                return true;
            }
            // The daemon has just started, or one look has failed; that is no reason to give up.
            Err(refused @ (MoveRefused::NoVerdict { .. } | MoveRefused::Failing { .. })) => {
                self.hold_move(at, planned, ramped, held, refused.to_string(), turn);
                return false;
            }
            Err(refused) => {
                self.stop_move(at, refused.to_string(), turn);
                return true;
            }
        };
        let found = self.objections(position, at, to, turn);
        let (passed, open): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|objection| overridden(objection, &planned.options));
        if !open.is_empty() {
            // Gates may open before the operator gives up; the budget and safety rules are not waited for.
            let waits = planned.options.until.is_some() && !open.iter().any(Objection::is_safety);
            if !waits {
                let words: Vec<_> = open.iter().map(|objection| self.objection(objection, at, now)).collect();
                self.stop_move(at, words.join("; "), turn);
                return true;
            }
            // Without the evidence, whose age changes all the time: a stage is durable.
            let shut = open.iter().filter_map(|objection| self.shut_gate(objection, at));
            let shut: Vec<_> = shut.map(|gate| gate.name.as_str()).collect();
            self.hold_move(at, planned, ramped, held, format!("gate {} is shut", shut.join(", ")), turn);
            return false;
        }
        let mut what: Vec<_> = passed.iter().map(|objection| self.objection(objection, at, now)).collect();
        let truth = self.endpoint_reason(at, at.endpoints().start + to, now);
        let reason = format!("{} by {} ({}); {truth}", planned.cause.word(), planned.author, planned.reason);
        if let Some(wait) = fence_wait(&at.rules, self.fence_view(position, at), to, &self.lived, now) {
            let failed = match self.fence_view(position, at) {
                FenceView::Failed { .. } => true,
                // No answer is none.
                FenceView::Called { at: called, .. } => {
                    at.rules.fence.is_some_and(|(timeout, _)| self.lived.after(called, timeout) <= now)
                }
                FenceView::Idle | FenceView::Acknowledged { .. } => false,
            };
            if !(failed && planned.options.force) {
                if wait.call {
                    self.call_fence(position, at, (to, planned.asked), reason.as_str().into(), turn);
                }
                let words = match self.unfenced(at) {
                    Some(words) => format!(
                        "{words}; it is told again. To go on without: `concierge cancel {}`, then the same move with --force",
                        at.hub.name
                    ),
                    None => format!("{} is being told that it is no longer active", planned.from),
                };
                self.hold_move(at, planned, ramped, held, words, turn);
                return false;
            }
            what.push(format!("{} has not acknowledged that it is left (--force overrides it)", planned.from));
        }
        let changes = turn.changes.len();
        let reason = self.with_what_was_passed(position, at, to, reason.into(), now);
        self.switch(position, at, to, planned.cause, reason, turn);
        turn.touched.push(position as u32);
        if turn.changes.len() == changes {
            // A rule of publication has refused it, and says so itself.
            self.stop_move(at, "it was refused when it was to be published".into(), turn);
            return true;
        }
        if !what.is_empty() {
            self.note_override(at, &planned, what, turn);
        }
        let old = if ramped { at.hub.ttl_min } else { at.hub.ttl };
        self.put_move(at, Move { stage: Stage::Drain { switched: now, until: now.after(old) }, ..planned }, turn);
        true
    }

    fn hold_move(
        &mut self,
        at: &HubAt,
        planned: Move,
        ramped: bool,
        held: Option<String>,
        words: String,
        turn: &mut Turn,
    ) {
        if held.as_ref() == Some(&words) {
            return;
        }
        let since = match planned.stage {
            Stage::Ready { since, .. } => since,
            _ => turn.now,
        };
        let stage = Stage::Ready { since, ramped, held: Some(words) };
        self.put_move(at, Move { stage, ..planned }, turn);
    }

    /// What was overridden is in the audit trail, and is shown until somebody acknowledges it.
    fn note_override(&mut self, at: &HubAt, planned: &Move, what: Vec<String>, turn: &mut Turn) {
        let name = &at.hub.name;
        let why = planned.options.break_glass.clone().unwrap_or_else(|| planned.reason.clone());
        let sentence = format!("{name}: {} has overridden: {} ({why})", planned.author, what.join("; "));
        let epoch = planned.epoch + 1;
        let record = turn.audit(AuditKind::Override, name.to_string(), &sentence);
        (record.author, record.epoch) = (planned.author.clone(), Some(epoch));
        turn.say(Level::Warn, "override", sentence).hub = Some(name.clone());
        let mut overridden: Overridden = self.known.overrides.get(&at.id).cloned().unwrap_or_default();
        overridden.entries.push(Override { at: turn.now, author: planned.author.clone(), why, what, epoch });
        self.set_fact(FactKey::overridden(name), Some(&overridden), turn);
    }

    /// Gives a move up that cannot go on.
    pub(super) fn stop_move(&mut self, at: &HubAt, why: String, turn: &mut Turn) {
        self.end_move(at, why, By::Itself, turn);
    }

    /// Gives a move up.
    pub(super) fn end_move(&mut self, at: &HubAt, why: String, by: By, turn: &mut Turn) {
        let Some(planned) = self.known.moves.get(&at.id).cloned() else { return };
        let position = self.layout.at(at.id).map(|(position, _)| position);
        let may_be_told = |position: &usize| self.announced(*position).is_some() || self.was_told(at).is_some();
        let told = position.filter(may_be_told);
        if let Some(position) = told {
            if let Some(told) = Arc::make_mut(&mut self.told).get_mut(&(position as u32)) {
                told.over = true;
            }
            self.count_again(position, turn);
            self.forget_told(at, turn);
        }
        let told = told.is_some();
        let stays = self.stands.of(at.id).is_some_and(|standing| standing.epoch == planned.epoch);
        let why = match told && stays {
            true => {
                format!("{why}. {} was told that it is not active any more, and it is: tell it so", planned.from)
            }
            false => why,
        };
        let stopped = Move { stage: Stage::Stopped { at: turn.now, why }, ..planned };
        // Whoever has asked a moment ago is told by the refusal; and where the hub is there, nothing is missing.
        let there = self.stands.of(at.id).is_some_and(|standing| standing.active == stopped.to);
        let unseen =
            (by == By::Itself && stopped.asked < turn.now && !there).then(|| stopped.sentence(&at.hub, turn.now));
        let from = stopped.from.clone();
        self.put_move(at, stopped, turn);
        if let Some(sentence) = unseen {
            self.notice(at, NoticeKind::Stopped, sentence, turn);
        }
        if told && stays {
            let name = &at.hub.name;
            let sentence = format!("{name}: {from} was told that it is not active any more, and it is: tell it so");
            self.notice(at, NoticeKind::Told, sentence, turn);
        }
    }

    /// The move of a hub that is none any more.
    fn drop_move(&mut self, hub: HubId, turn: &mut Turn) {
        if let Some(name) = self.roster.name(hub).cloned() {
            let sentence = format!("{name}: its move is over, for the policy does not have the hub any more");
            turn.audit_by_daemon(AuditKind::Move, name.to_string(), &sentence).after = Some("stopped".into());
            turn.say(Level::Warn, "move", sentence).hub = Some(name.clone());
            self.set_fact(FactKey::planned_move(&name), None::<&Move>, turn);
        }
    }

    /// Sets a move to its next stage, and says so.
    pub(super) fn put_move(&mut self, at: &HubAt, planned: Move, turn: &mut Turn) {
        let (name, now) = (&at.hub.name, turn.now);
        let before = self.known.moves.get(&at.id).filter(|before| before.asked == planned.asked);
        let before = before.map(|before| before.stage.word());
        let sentence = planned.sentence(&at.hub, now);
        let by_operator = turn.author != Author::daemon();
        let record = match by_operator {
            true => turn.audit(AuditKind::Move, name.to_string(), &sentence),
            false => turn.audit_by_daemon(AuditKind::Move, name.to_string(), &sentence),
        };
        record.before = before.map(Into::into);
        record.after = Some(planned.stage.word().into());
        record.epoch = Some(planned.epoch);
        let stopped = matches!(planned.stage, Stage::Stopped { .. });
        let level = if stopped { Level::Warn } else { Level::Info };
        let line = LogLine::new(level, "move", sentence);
        turn.log.push(LogLine {
            hub: Some(name.clone()),
            region: Some(planned.to.clone()),
            epoch: Some(planned.epoch),
            ..line
        });
        self.set_fact(FactKey::planned_move(name), Some(&planned), turn);
        if before.is_none() {
            self.forget_stopped(at, turn);
        }
        if let Some((position, _)) = self.layout.at(at.id) {
            turn.touched.push(position as u32);
        }
    }
}
