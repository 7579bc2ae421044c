//! What gates say, and what comes of telling a region that it is left.

use std::sync::Arc;

use super::event::{CommandError, Level};
use super::fact::FactKey;
use super::known::{GateAck, NoticeKind};
use super::layout::HubAt;
use super::moves::Stage;
use super::report::AuditKind;
use super::state::State;
use super::turn::{Pending, Turn};
use crate::dns::Name;
use crate::gate::{Evidence, FenceCall, Fenced};
use crate::policy::{FenceView, Gate, GateKind, GateName, GateView};
use crate::time::{Timestamp, human};

/// How a gate is for one hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GateState {
    pub(super) open: bool,
    /// What was seen, or who acknowledged it; or why it counts as shut.
    pub(super) sentence: String,
    /// When that was.
    pub(super) at: Option<Timestamp>,
}

/// The telling of a region that it is left, for the move that a hub's next epoch would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) epoch: u64,
    pub(super) to: usize,
    /// When the move was asked for, or began to be wanted.
    pub(super) planned: Timestamp,
    pub(super) called: Timestamp,
    /// Whether the move that it was for was given up: another one tells anew.
    pub(super) over: bool,
    /// When it answered, whether it acknowledged, and what it said.
    pub(super) answer: Option<(Timestamp, bool, Arc<str>)>,
}

impl State {
    /// Takes in what one look at a gate saw.
    pub(super) fn take_evidence(&mut self, evidence: Evidence, turn: &mut Turn) {
        let Some(position) = self.layout.gate(&evidence.gate) else { return };
        let gate = self.layout.gates[position].clone();
        let before = self.evidence.get(&gate.name);
        let was_open = before.is_some_and(|before| before.open && turn.now.since(before.at) <= gate.max_age);
        if before.is_none_or(|before| before.open != evidence.open) {
            let word = if evidence.open { "open" } else { "shut" };
            let level = if evidence.open { Level::Info } else { Level::Warn };
            turn.say(level, "gate", format!("gate {} is {word}: {}", gate.name, evidence.sentence));
        }
        let is_open = evidence.open;
        Arc::make_mut(&mut self.evidence).insert(gate.name.clone(), evidence);
        if was_open != is_open {
            turn.touched.extend(&self.layout.by_gate[position]);
        }
    }

    /// How a gate is for one hub at this moment.
    pub(super) fn gate_state(&self, gate: &Gate, at: &HubAt, now: Timestamp) -> GateState {
        if gate.kind != GateKind::Ack {
            return match self.evidence.get(&gate.name) {
                None => GateState { open: false, sentence: "it was not looked at yet".into(), at: None },
                Some(Evidence { at, open, sentence, .. }) => {
                    let fresh = now.since(*at) <= gate.max_age;
                    // A moment and no age: the sentence of a move that waits is durable, and written when it changes.
                    let sentence = match fresh {
                        true => sentence.to_string(),
                        false => format!(
                            "{sentence}; that was at {at}, and evidence older than {} counts as shut",
                            human(gate.max_age)
                        ),
                    };
                    GateState { open: *open && fresh, sentence, at: Some(*at) }
                }
            };
        }
        let epoch = self.stands.of(at.id).map_or(0, |standing| standing.epoch);
        match self.known.gates.get(&(at.id, gate.name.clone())) {
            None => {
                GateState { open: false, sentence: format!("nobody has acknowledged it for epoch {epoch}"), at: None }
            }
            Some(GateAck { epoch: acknowledged, author, reason, at, until }) => {
                let given = format!("acknowledged by {author} ({reason})");
                let over = until.filter(|until| *until <= now);
                let sentence = match (*acknowledged == epoch, over) {
                    (true, None) => given,
                    (true, Some(until)) => format!("{given}, which ended at {until}"),
                    (false, _) => format!("{given} for epoch {acknowledged}, and the epoch is {epoch}"),
                };
                GateState { open: *acknowledged == epoch && over.is_none(), sentence, at: Some(*at) }
            }
        }
    }

    /// A gate that is shut, and what opens it where that is an operator.
    pub(super) fn shut_sentence(&self, gate: &Gate, at: &HubAt, now: Timestamp) -> String {
        let (name, sentence) = (&gate.name, self.gate_state(gate, at, now).sentence);
        match gate.kind {
            GateKind::Ack => {
                let hub = &at.hub.name;
                format!("gate {name} is shut: {sentence}; `concierge gate ack {hub} {name} --reason ...` opens it")
            }
            _ => format!("gate {name} is shut: {sentence}"),
        }
    }

    pub(super) fn gate_is_open(&self, gate: usize, at: &HubAt, now: Timestamp) -> bool {
        self.layout.gates.get(gate).is_some_and(|gate| self.gate_state(gate, at, now).open)
    }

    /// The gates of a hub as a decision sees them.
    pub(super) fn gate_views(&self, at: &HubAt, gates: &mut Vec<GateView>, now: Timestamp) {
        gates.clear();
        // Most hubs have none, and what the policy says of them is far away in memory.
        if at.gates.is_empty() {
            return;
        }
        for (used, gate) in at.hub.gates.iter().zip(&at.gates) {
            // Of one hub's gates each `to` is one of its regions.
            let to = used.to.as_ref().and_then(|region| at.hub.position(region));
            let open = self.gate_is_open(*gate as usize, at, now);
            let (on_failover, on_failback) = (used.on_failover, used.on_failback);
            gates.push(GateView { on_failover, on_failback, to, on_shut: used.on_shut, open });
        }
    }

    /// The telling of the region that a hub leaves, for the move that its next epoch would be.
    pub(super) fn told_next(&self, position: usize, at: &HubAt) -> Option<&Told> {
        let next = self.stands.of(at.id)?.epoch + 1;
        self.told.get(&(position as u32)).filter(|told| told.epoch == next)
    }

    /// Where a hub is about to move: the region that it leaves has been told, and the move was not given up since. Until it
    /// switches or that is given up, no other hub gets the place that a safety rule has for it.
    pub(super) fn announced(&self, position: usize) -> Option<usize> {
        let at = self.layout.hubs.get(position)?;
        self.told_next(position, at).filter(|told| !told.over).map(|told| told.to)
    }

    /// A move that was announced and is not wanted any more is given up: it keeps no place, and when it is wanted again the
    /// region is told again.
    pub(super) fn give_up_announced(&mut self, position: usize, at: &HubAt, wanted: Option<usize>, turn: &mut Turn) {
        let Some(to) = self.announced(position).filter(|to| Some(*to) != wanted) else { return };
        let planned = self.known.moves.get(&at.id).filter(|planned| matches!(planned.stage, Stage::Ready { .. }));
        if planned.is_some_and(|planned| at.hub.position(&planned.to) == Some(to)) {
            return;
        }
        if let Some(told) = Arc::make_mut(&mut self.told).get_mut(&(position as u32)) {
            told.over = true;
            if matches!(told.answer, Some((_, true, _))) {
                self.tell_so(at, to, turn);
                self.forget_told(at, turn);
            }
        }
        self.count_again(position, turn);
    }

    /// Says that a region was told that it is left, has acknowledged it, and stays active.
    fn tell_so(&mut self, at: &HubAt, to: usize, turn: &mut Turn) {
        let hub = &at.hub.name;
        let from = self.stands.of(at.id).map_or("", |standing| standing.active.as_str());
        let to = &at.hub.endpoints[to].region;
        let sentence = format!(
            "{hub}: {from} has acknowledged that it is left, and the move to {to} is not wanted any more: {from} stays \
             active, tell it so"
        );
        self.notice(at, NoticeKind::Told, sentence.clone(), turn);
        turn.say(Level::Error, "fence", sentence).hub = Some(hub.clone());
    }

    /// What came of telling the region that a hub leaves.
    pub(super) fn fence_view(&self, position: usize, at: &HubAt) -> FenceView {
        match self.told_next(position, at).filter(|told| !told.over) {
            None => FenceView::Idle,
            Some(Told { to, called, answer: None, .. }) => FenceView::Called { to: *to, at: *called },
            Some(Told { to, answer: Some((_, true, _)), .. }) => FenceView::Acknowledged { to: *to },
            Some(Told { to, answer: Some((at, false, _)), .. }) => FenceView::Failed { to: *to, at: *at },
        }
    }

    /// Has the region told that a hub leaves, for a move to the endpoint at `to` that was asked for, or wanted, since
    /// `planned`.
    pub(super) fn call_fence(
        &mut self,
        position: usize,
        at: &HubAt,
        (to, planned): (usize, Timestamp),
        reason: Arc<str>,
        turn: &mut Turn,
    ) {
        let (Some(fence), Some(standing)) = (&at.hub.fence, self.stands.of(at.id)) else { return };
        let epoch = standing.epoch + 1;
        turn.fences.push(FenceCall {
            hub: at.hub.name.clone(),
            from: standing.active.clone(),
            to: at.hub.endpoints[to].region.clone(),
            epoch,
            planned,
            reason,
            fence: fence.clone(),
        });
        let told = Told { epoch, to, planned, called: turn.now, over: false, answer: None };
        Arc::make_mut(&mut self.told).insert(position as u32, told);
        self.keep_told(at, at.hub.endpoints[to].region.clone(), epoch, turn);
    }

    /// A region was told, or could not be.
    pub(super) fn take_fenced(&mut self, fenced: Fenced, turn: &mut Turn) {
        let Fenced { hub, to, epoch, planned, acknowledged, sentence } = fenced;
        let Some(position) = self.layout.position(&hub) else { return };
        let layout = self.layout.clone();
        let at = &layout.hubs[position];
        let Some(to_at) = at.hub.position(&to) else { return };
        let told = Arc::make_mut(&mut self.told);
        let is_asked = |told: &&mut Told| (told.epoch, told.to, told.planned) == (epoch, to_at, planned);
        let Some(told) = told.get_mut(&(position as u32)).filter(is_asked) else { return };
        told.answer = Some((turn.now, acknowledged, sentence.clone()));
        let over = told.over;
        let from = self.stands.of(at.id).map(|standing| standing.active.clone());
        let from = from.as_ref().map_or("", |from| from.as_str());
        let (level, what) = match acknowledged {
            true => (Level::Info, "has acknowledged that it is left"),
            false => (Level::Warn, "has not acknowledged that it is left"),
        };
        let line = format!("{hub}: {from} {what} for {to}, epoch {epoch}: {sentence}");
        let record = turn.audit_by_daemon(AuditKind::Fence, hub.to_string(), &line);
        record.epoch = Some(epoch);
        record.after = Some(if acknowledged { "acknowledged" } else { "failed" }.into());
        turn.say(level, "fence", line).hub = Some(hub);
        let switched = self.stands.of(at.id).is_some_and(|standing| standing.epoch >= epoch);
        if acknowledged && over && !switched {
            self.tell_so(at, to_at, turn);
        }
        // Who has refused it was not told.
        if over || !acknowledged {
            self.forget_told(at, turn);
        }
        turn.touched.push(position as u32);
    }

    /// Gives the acknowledgement that a gate asks for.
    pub(super) fn ack_gate(
        &mut self,
        hub: &Name,
        name: &GateName,
        why: &str,
        until: Option<Timestamp>,
        turn: &mut Turn,
    ) -> Result<Pending, CommandError> {
        let layout = self.layout.clone();
        let position = self.moving_position_of(hub)?;
        let at = &layout.hubs[position];
        let asked = layout.gate(name).filter(|gate| layout.by_gate[*gate].contains(&(position as u32)));
        let Some(gate) = asked.map(|gate| &layout.gates[gate]) else {
            let known = layout.gates.iter().zip(&layout.by_gate).filter(|(_, hubs)| hubs.contains(&(position as u32)));
            let known: Vec<_> = known.map(|(gate, _)| gate.name.as_str()).collect();
            return Err(CommandError::NotFound(super::commands::unknown(
                &format!("gate of {}", at.hub.name),
                name.as_str(),
                &known,
            )));
        };
        if gate.kind != GateKind::Ack {
            let kind = gate.kind.word();
            let sentence =
                format!("gate {name} is looked at by {kind}, and not acknowledged; a move with `--force` passes it");
            return Err(CommandError::Refused(sentence));
        }
        if let Some(until) = until.filter(|until| *until <= turn.now) {
            return Err(CommandError::Refused(format!("the acknowledgement would have ended at {until}")));
        }
        let epoch = self.stands.of(at.id).map_or(0, |standing| standing.epoch);
        let ack = GateAck { epoch, author: turn.author.name.clone(), reason: why.into(), at: turn.now, until };
        let key =
            FactKey::gate(&at.hub.name, name.as_str()).map_err(|error| CommandError::Refused(error.to_string()))?;
        let summary = format!("{}: gate {name} is acknowledged for epoch {epoch}", at.hub.name);
        let record = turn.audit(AuditKind::Gate, at.hub.name.to_string(), why);
        record.epoch = Some(epoch);
        record.after = Some(name.to_string());
        turn.say(Level::Info, "gate", format!("{summary} by {} ({why})", ack.author)).hub = Some(at.hub.name.clone());
        self.set_fact(key, Some(&ack), turn);
        turn.touched.push(position as u32);
        Ok(Pending::Moved { summary, changed: true })
    }
}
