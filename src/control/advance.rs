//! What drives planned moves: operators' words, and the clock.

use std::time::Duration;

use super::event::{Author, CommandError, Level, LogLine};
use super::fact::FactKey;
use super::known::{Overridden, Override};
use super::layout::HubAt;
use super::moves::{Approval, Move, MoveOptions, Stage};
use super::report::AuditKind;
use super::roster::HubId;
use super::state::State;
use super::turn::{Pending, Turn};
use crate::dns::Name;
use crate::policy::{
    Cause, EndpointView, Hub, MoveRefused, Moved, Objection, RegionName, fence_wait, judge_move, objections, preferred,
};
use crate::time::{Timestamp, human};

/// How long another operator's approval is waited for.
pub(super) const APPROVAL: Duration = Duration::from_hours(1);

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
        let position = self.position_of(hub)?;
        let at = &layout.hubs[position];
        let (hub, now) = (&at.hub, turn.now);
        let region = to.unwrap_or(&preferred(hub).region).clone();
        let standing = self.stands.of(at.id).cloned();
        let standing =
            standing.ok_or_else(|| CommandError::Refused(format!("{} has no active region yet", hub.name)))?;
        if let Some(open) = self.known.moves.get(&at.id).filter(|open| open.stage.is_open()) {
            let same = open.to == region && options.epoch.is_none_or(|epoch| epoch == open.epoch);
            let sentence = self.move_sentence(hub, open, now);
            return match same {
                true => Ok(Pending::Moved { summary: format!("already under way: {sentence}"), changed: false }),
                false => Err(CommandError::Refused(format!("{sentence}; cancel it first"))),
            };
        }
        let mut views = std::mem::take(&mut turn.views);
        self.views(at, &mut views, now);
        let judged = judge_move(hub, &views, &standing, &region, options.epoch, now);
        turn.views = views;
        let moved = judged.map_err(|refused| match hub.position(&region) {
            Some(to) => {
                let truth = self.endpoint_reason(at, at.endpoints().start + to, now);
                CommandError::Refused(format!("{refused}: {truth}"))
            }
            None => CommandError::NotFound(refused.to_string()),
        })?;
        let to = match moved {
            Moved::Already => {
                let summary = format!("{} answers {region} already, epoch {}", hub.name, standing.epoch);
                return Ok(Pending::Moved { summary, changed: false });
            }
            Moved::To(to) => to,
        };
        self.check_times(hub, &options, now)?;
        // What is planned for later is held against gates and rules when its time comes.
        if options.at.is_none_or(|at| at <= now) {
            let objects = self.objections(position, at, to, turn);
            let open = objects.iter().filter(|objection| !overridden(objection, &options));
            let sentences: Vec<_> = open.map(|objection| self.objection(objection, at, now)).collect();
            let waits = options.until.is_some() && objects.iter().all(|objection| !objection.is_safety());
            if !sentences.is_empty() && !waits {
                return Err(CommandError::Refused(sentences.join("; ")));
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
            0 | 1 => Move { stage: first_stage(hub, &planned, now), ..planned },
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
            false => self.move_sentence(hub, planned, now),
        };
        if cause == Cause::Failover {
            turn.notes.add(format!(
                "{} stays on {region} once it is there, until an operator says failback, or it is not eligible",
                hub.name
            ));
        }
        Ok(Pending::Moved { summary, changed: true })
    }

    fn check_times(&self, hub: &Hub, options: &MoveOptions, now: Timestamp) -> Result<(), CommandError> {
        let (earliest, until) = (earliest(hub, options, now), options.until);
        if let Some(until) = until.filter(|until| *until < earliest) {
            let sentence = format!("it cannot switch before {earliest}, and is to be given up at {until}");
            return Err(CommandError::Refused(sentence));
        }
        Ok(())
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

    /// An objection in words, and what overrides it.
    pub(super) fn objection(&self, objection: &Objection, at: &HubAt, now: Timestamp) -> String {
        match objection {
            Objection::Gate(gate) => {
                let gate = &self.layout.gates[at.gates[usize::from(*gate)] as usize];
                let state = self.gate_state(gate, at, now);
                format!("gate {} is shut: {} (--force overrides it)", gate.name, state.sentence)
            }
            Objection::Budget(until) => {
                format!("{}, the next one is at {until} (--break-glass overrides it)", budget_sentence(&at.hub))
            }
            Objection::Rule(rule) => {
                format!("{} (--break-glass overrides it)", self.rule_sentence(*rule, now, at))
            }
        }
    }

    /// Approves a move that another operator asked for.
    pub(super) fn approve(&mut self, hub: &Name, epoch: Option<u64>, turn: &mut Turn) -> Result<Pending, CommandError> {
        let layout = self.layout.clone();
        let at = &layout.hubs[self.position_of(hub)?];
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
        let stage = if enough { first_stage(hub, &approved, turn.now) } else { approved.stage.clone() };
        self.put_move(at, Move { stage, ..approved }, turn);
        self.advance(at.id, turn);
        let sentence = self.known.moves.get(&at.id).map(|planned| self.move_sentence(hub, planned, turn.now));
        Ok(Pending::Moved { summary: format!("approved: {}", sentence.unwrap_or_default()), changed: true })
    }

    /// Stops a move that has not switched yet.
    pub(super) fn cancel(&mut self, hub: &Name, why: &str, turn: &mut Turn) -> Result<Pending, CommandError> {
        let layout = self.layout.clone();
        let at = &layout.hubs[self.position_of(hub)?];
        let name = &at.hub.name;
        match self.known.moves.get(&at.id) {
            Some(open) if open.stage.is_open() => {
                let sentence = format!("cancelled by {} ({why})", turn.author.name);
                let to = open.to.clone();
                self.stop_move(at, sentence, turn);
                let summary = format!("{name}: the move to {to} is cancelled; nothing was switched");
                Ok(Pending::Moved { summary, changed: true })
            }
            Some(Move { to, stage: Stage::Drain { .. }, .. }) => Err(CommandError::Refused(format!(
                "{name} has switched to {to} already; to go back, ask for a failover or failback"
            ))),
            _ => Ok(Pending::Moved { summary: format!("{name} has no move under way"), changed: false }),
        }
    }

    /// Lets every open move that is due go on.
    pub(super) fn advance_moves(&mut self, turn: &mut Turn) {
        if self.retry.as_ref().is_some_and(|(at, _)| *at > turn.now) {
            return;
        }
        let due = |planned: &Move| match &planned.stage {
            Stage::Ready { .. } => true,
            stage => {
                let gives_up = planned.options.until.filter(|_| stage.is_open());
                stage.until().into_iter().chain(gives_up).min().is_some_and(|until| until <= turn.now)
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
            let standing = self.stands.of(*hub)?;
            let (_, at) = layout.at(*hub)?;
            let why = format!(
                "{} is active since {} ({}), epoch {}, and the move was planned at epoch {}",
                standing.active,
                standing.since,
                standing.cause.word(),
                standing.epoch,
                planned.epoch
            );
            (planned.stage.is_open() && standing.epoch != planned.epoch).then_some((at, why))
        };
        let overtaken: Vec<_> = self.known.moves.iter().filter_map(overtaken).collect();
        overtaken.into_iter().for_each(|(at, why)| self.stop_move(at, why, turn));
    }

    /// When the next move is due.
    pub(super) fn moves_wake(&self) -> Option<Timestamp> {
        let wake = |(hub, planned): (&HubId, &Move)| {
            let gives_up = planned.options.until.filter(|_| planned.stage.is_open());
            let ready = matches!(planned.stage, Stage::Ready { .. }).then(|| self.ready_wake(*hub, planned)).flatten();
            planned.stage.until().into_iter().chain(gives_up).chain(ready).min()
        };
        self.known.moves.iter().filter_map(wake).min()
    }

    /// When a move that is ready may have nothing to wait for any more.
    fn ready_wake(&self, hub: HubId, planned: &Move) -> Option<Timestamp> {
        let (position, at) = self.layout.at(hub)?;
        let to = at.hub.position(&planned.to)?;
        let told = self.told.get(&(position as u32)).filter(|told| told.to == to);
        let fence = told.and_then(|told| fence_wait(&at.rules, self.fence_view(position, at), to, told.called)?.until);
        let verdict = self.view(at.endpoints().start + to, Timestamp(0)).verdict_by;
        fence.into_iter().chain(verdict).min()
    }

    /// Takes a move as far as it goes at this moment.
    fn advance(&mut self, hub: HubId, turn: &mut Turn) {
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
        let next = match &planned.stage {
            Stage::Approval { until } if *until <= now => {
                self.stop_move(
                    at,
                    format!("nobody else has approved it within {}", human(until.since(planned.asked))),
                    turn,
                );
                return true;
            }
            Stage::Scheduled { until } if *until <= now => first_stage(&at.hub, &planned, now),
            Stage::Ramp { until, .. } if *until <= now => Stage::Ready { since: now, ramped: true, held: None },
            Stage::Drain { switched, until } if *until <= now => Stage::Done { switched: *switched, at: now },
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
        let mut views: Vec<EndpointView> = std::mem::take(&mut turn.views);
        self.views(at, &mut views, now);
        let judged = judge_move(&at.hub, &views, &standing, &planned.to, Some(planned.epoch), now);
        turn.views = views;
        let to = match judged {
            Ok(Moved::To(to)) => to,
            Ok(Moved::Already) => {
                self.stop_move(at, format!("{} is active already", planned.to), turn);
                return true;
            }
            // The daemon has just started; that is no reason to give up.
            Err(refused @ MoveRefused::NoVerdict { .. }) => {
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
            let words: Vec<_> = open.iter().map(|objection| self.objection(objection, at, now)).collect();
            let words = words.join("; ");
            // Gates may open before the operator gives up; the budget and safety rules are not waited for.
            let waits = planned.options.until.is_some() && !open.iter().any(Objection::is_safety);
            if !waits {
                self.stop_move(at, words, turn);
                return true;
            }
            self.hold_move(at, planned, ramped, held, words, turn);
            return false;
        }
        let what: Vec<_> = passed.iter().map(|objection| self.objection(objection, at, now)).collect();
        let truth = self.endpoint_reason(at, at.endpoints().start + to, now);
        let reason = format!("{} by {} ({}); {truth}", planned.cause.word(), planned.author, planned.reason);
        if let Some(wait) = fence_wait(&at.rules, self.fence_view(position, at), to, now) {
            let failed = !wait.call && matches!(self.fence_view(position, at), crate::policy::FenceView::Failed { .. });
            if !(failed && planned.options.force) {
                if wait.call {
                    self.call_fence(position, at, to, reason.as_str().into(), turn);
                }
                let words = format!("{} is being told that it is no longer active", planned.from);
                self.hold_move(at, planned, ramped, held, words, turn);
                return false;
            }
        }
        let changes = turn.changes.len();
        self.switch(position, at, to, planned.cause, reason.into(), turn);
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

    /// Acknowledges that a hub has been flapping, and what was overridden for it.
    pub(super) fn acknowledge(&mut self, hub: &Name, why: &str, turn: &mut Turn) -> Result<Pending, CommandError> {
        let layout = self.layout.clone();
        let position = self.position_of(hub)?;
        let at = &layout.hubs[position];
        let name = &at.hub.name;
        let mut done = Vec::new();
        if self.is_pinned(at) {
            let (author, reason) = (turn.author.name.clone(), why.to_owned());
            let ack = super::known::FlapAck { at: turn.now, author, reason };
            self.set_fact(FactKey::flap(name), Some(&ack), turn);
            done.push("it may switch by itself again".to_owned());
        }
        if let Some(overridden) = self.known.overrides.get(&at.id) {
            done.push(format!("{} acknowledged", super::reason::many(overridden.entries.len(), "override")));
            self.set_fact(FactKey::overridden(name), None::<&Overridden>, turn);
        }
        if done.is_empty() {
            let summary = format!("{name} has nothing to acknowledge: it is not pinned, and nothing was overridden");
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

    /// Gives a move up.
    fn stop_move(&mut self, at: &HubAt, why: String, turn: &mut Turn) {
        if let Some(planned) = self.known.moves.get(&at.id).cloned() {
            self.put_move(at, Move { stage: Stage::Stopped { at: turn.now, why }, ..planned }, turn);
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
    fn put_move(&mut self, at: &HubAt, planned: Move, turn: &mut Turn) {
        let (name, now) = (&at.hub.name, turn.now);
        let before = self.known.moves.get(&at.id).filter(|before| before.asked == planned.asked);
        let before = before.map(|before| before.stage.word());
        let sentence = self.move_sentence(&at.hub, &planned, now);
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
        if let Some((position, _)) = self.layout.at(at.id) {
            turn.touched.push(position as u32);
        }
    }

    /// A move in words: what, by whom, and how far it is.
    pub(super) fn move_sentence(&self, hub: &Hub, planned: &Move, now: Timestamp) -> String {
        let Move { from, to, cause, author, reason, needed, approvals, .. } = planned;
        let what = format!("{}: {} {from} -> {to} by {author} ({reason})", hub.name, cause.word());
        let left = |until: &Timestamp| human(until.since(now));
        let stage = match &planned.stage {
            Stage::Approval { until } => {
                format!(
                    "waits until {until} for {} more",
                    super::reason::many(usize::from(*needed) - approvals.len(), "approval")
                )
            }
            Stage::Scheduled { until } => format!("begins at {until}"),
            Stage::Ramp { until, .. } => format!(
                "the TTL is {} since now, and the old one of {} is waited out: {} more",
                human(hub.ttl_min),
                human(hub.ttl),
                left(until)
            ),
            Stage::Ready { held: None, .. } => "about to switch".into(),
            Stage::Ready { held: Some(held), .. } => format!("waits: {held}"),
            Stage::Drain { until, .. } => {
                format!("has switched; resolvers that keep to the TTL follow within {}", left(until))
            }
            Stage::Done { switched, .. } => format!("is done, switched at {switched}"),
            Stage::Stopped { why, .. } => format!("is stopped, and nothing was switched: {why}"),
        };
        format!("{what} {stage}")
    }
}

/// Whether the operator has said to go on all the same.
fn overridden(objection: &Objection, options: &MoveOptions) -> bool {
    match objection.is_safety() {
        true => options.break_glass.is_some(),
        false => options.force,
    }
}

/// `2 of 2 switches per day are used`.
pub(super) fn budget_sentence(hub: &Hub) -> String {
    match hub.budget {
        Some(budget) => {
            let period = match budget.period.as_secs() {
                3600 => "an hour".to_owned(),
                86_400 => "a day".to_owned(),
                604_800 => "a week".to_owned(),
                _ => human(budget.period),
            };
            format!(
                "the budget of {} {period} is used up",
                super::reason::many(budget.switches.get(), "switch").replace("switchs", "switches")
            )
        }
        None => "there is no budget".into(),
    }
}

/// How long the TTL is lowered before the switch.
pub(super) fn ramp(hub: &Hub, options: &MoveOptions) -> Duration {
    match options.now || hub.ttl_min >= hub.ttl {
        true => Duration::ZERO,
        false => hub.ttl,
    }
}

/// When a move that begins now can switch.
pub(super) fn earliest(hub: &Hub, options: &MoveOptions, now: Timestamp) -> Timestamp {
    now.after(ramp(hub, options)).max(options.at.unwrap_or(now))
}

/// The stage that a move begins with once it is approved.
fn first_stage(hub: &Hub, planned: &Move, now: Timestamp) -> Stage {
    let ramp = ramp(hub, &planned.options);
    let switches = earliest(hub, &planned.options, now);
    let begins = Timestamp(switches.0.saturating_sub(u64::try_from(ramp.as_millis()).unwrap_or(u64::MAX)));
    match (begins > now, ramp.is_zero()) {
        (true, _) => Stage::Scheduled { until: begins },
        (false, true) => Stage::Ready { since: now, ramped: false, held: None },
        (false, false) => Stage::Ramp { since: now, until: switches },
    }
}
