//! The state of the one writer, and what an event does to it.
//!
//! [`State::apply`] takes one event and the time and returns the effects. It first takes the event in (health, marks,
//! policy; at a tick, probers that fell silent), then lets marks expire, then settles: every hub that any of this
//! touched, or whose wait is over, is decided anew by [`decide`](crate::policy::decide()). All hubs that one event moves are in one commit and
//! one publication. An event that moves nothing costs neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::event::{Author, Command, CommandError, Commit, Effect, Event, Loaded, Reply};
use super::mark::Marks;
use super::reload::Index;
use super::report::{Moved, ReloadStatus, Totals};
use super::turn::{Pending, Turn};
use crate::answer::snapshot::{Choice, Content};
use crate::dns::Name;
use crate::health::Health;
use crate::health::machine::Machine;
use crate::policy::{Cause, EndpointId, Hold, Policy, Probe, ProbeTarget, Standing};
use crate::time::Timestamp;

/// How long after a failed commit or a refused publication the change is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What is read from the store at the start.
#[derive(Clone, Debug, Default)]
pub struct Persisted {
    /// Every hub that ever was, so that an epoch is never used twice.
    pub standings: BTreeMap<Name, Standing>,
    /// The marks.
    pub marks: Marks,
    /// The health when it last changed, by [`health_key`].
    pub health: BTreeMap<String, Health>,
}

/// The state of the one writer.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) policy: Arc<Policy>,
    pub(super) content: Arc<Content>,
    pub(super) watches: BTreeMap<ProbeTarget, Watch>,
    pub(super) marks: Marks,
    pub(super) standings: BTreeMap<Name, Standing>,
    pub(super) holds: BTreeMap<Name, Hold>,
    pub(super) started: Timestamp,
    pub(super) reload: ReloadStatus,
    pub(super) totals: Totals,
    pub(super) prober_restarts: u64,
    /// Health from before the start, or from before a reload took the target away, for probers that do not run.
    /// By [`health_key`].
    pub(super) remembered: BTreeMap<String, Health>,
    /// Hubs with no eligible endpoint.
    pub(super) all_down: BTreeSet<Name>,
    /// Since when each endpoint is eligible and known to be good.
    pub(super) good_since: BTreeMap<EndpointId, Timestamp>,
    /// Which hubs an observation or a mark touches.
    pub(super) index: Arc<Index>,
    /// What is published, by hub position.
    pub(super) choices: Box<[Choice]>,
    /// Hubs to decide again at this time, because a commit failed or a rule refused. No mark ends before it.
    pub(super) retry: Option<(Timestamp, BTreeSet<Name>)>,
    /// Whose health the store does not have yet, because a commit failed.
    pub(super) unsaved: BTreeSet<ProbeTarget>,
}

/// One prober as the core sees it.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) probe: Arc<Probe>,
    pub(super) machine: Machine,
    pub(super) started: Timestamp,
    pub(super) last: Option<Last>,
    pub(super) stalled: bool,
}

/// The last observation.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) at: Timestamp,
    pub(super) latency: Duration,
    pub(super) failure: Option<String>,
    pub(super) in_a_row: u32,
}

impl State {
    /// The state at the start: what the store holds, and the files. The effects make what is decided here durable and
    /// publish it; nothing is answered before.
    pub fn new(loaded: Loaded, persisted: Persisted, now: Timestamp) -> (Self, Vec<Effect>) {
        let mut state = Self {
            policy: Arc::new(Policy::default()),
            content: Arc::new(Content::default()),
            watches: BTreeMap::new(),
            marks: persisted.marks,
            // A clock that was set back must not make a dwell of years.
            standings: persisted
                .standings
                .into_iter()
                .map(|(name, standing)| (name, not_after(standing, now)))
                .collect(),
            holds: BTreeMap::new(),
            started: now,
            reload: ReloadStatus { at: now, ok: true, problems: Vec::new(), read_ms: 0.0, compile_ms: 0.0 },
            totals: Totals::default(),
            prober_restarts: 0,
            remembered: persisted.health,
            all_down: BTreeSet::new(),
            good_since: BTreeMap::new(),
            index: Arc::default(),
            choices: Box::default(),
            retry: None,
            unsaved: BTreeSet::new(),
        };
        let mut turn = Turn::new(now, Author::daemon());
        state.load(loaded, &mut turn);
        let effects = state.finish(turn);
        (state, effects)
    }

    /// Takes one event in and returns what is to be done, in order.
    pub fn apply(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut turn = Turn::new(now, Author::daemon());
        match event {
            Event::Observations(observations) => {
                observations.into_iter().for_each(|observation| self.observe(observation, &mut turn));
            }
            Event::ProbersRestarted(count) => self.prober_restarts = count,
            Event::Command { command, author, reply } => {
                turn.author = author;
                let answer = self.command(command, &mut turn).unwrap_or_else(|error| Pending::Now(Err(error)));
                turn.reply = Some((reply, answer));
            }
            Event::Loaded { loaded, author, reply } => {
                turn.author = author;
                let answer = self.reload(loaded, &mut turn);
                turn.reply = reply.map(|reply| (reply, answer));
            }
            Event::Tick => self.find_silent_probers(&mut turn),
        }
        self.finish(turn)
    }

    /// When [`Event::Tick`] is next due; a tick every second besides finds silent probers.
    pub fn wake(&self) -> Option<Timestamp> {
        let holds = self.holds.values().map(|hold| hold.until);
        let retry = self.retry.as_ref().map(|(at, _)| *at);
        let marks = self.marks.values().filter_map(|mark| mark.until.max(mark.until.and(retry)));
        holds.chain(marks).chain(retry).min()
    }

    /// Takes back what a commit that failed had changed. Observations stay: they are measured, not decided.
    pub fn revert(&mut self, commit: &Commit, now: Timestamp) {
        let mut hubs = BTreeSet::new();
        for (name, before, after) in commit.standings.iter().rev() {
            hubs.insert(name.clone());
            if let Some(count) = self.totals.switches.get_mut(after.cause.word()) {
                *count = count.saturating_sub(u64::from(before.as_ref().is_none_or(|b| b.epoch != after.epoch)));
            }
            restore(&mut self.standings, name, before.clone());
            self.set_choice(name);
        }
        for (target, before, _) in commit.marks.iter().rev() {
            restore(&mut self.marks, target, before.clone());
            hubs.extend(self.hubs_of_mark(target));
        }
        self.unsaved.extend(commit.health.iter().map(|(target, _)| target.clone()));
        self.totals.commits_failed += 1;
        self.retry_later(hubs, now);
    }

    /// The choices as published, by hub position.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// What stands for each hub, hubs that the policy does not have any more included.
    pub fn standings(&self) -> &BTreeMap<Name, Standing> {
        &self.standings
    }

    /// All marks.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(super) fn retry_later(&mut self, hubs: BTreeSet<Name>, now: Timestamp) {
        let (_, waiting) = self.retry.get_or_insert_with(|| (now.after(RETRY), BTreeSet::new()));
        waiting.extend(hubs);
    }

    /// Everything that follows from what the event changed.
    fn finish(&mut self, mut turn: Turn) -> Vec<Effect> {
        // A question is answered even when nothing can be made durable: nothing else is done beside it.
        if !matches!(turn.reply, Some((_, Pending::Now(Ok(_))))) {
            self.expire_marks(&mut turn);
            self.settle(&mut turn);
        }
        let mut effects = Vec::new();
        if !turn.commit.is_empty() {
            effects.push(Effect::Commit(turn.commit));
        }
        if turn.publish {
            effects.push(Effect::Publish(self.content.clone(), self.choices.clone()));
        }
        if turn.probes {
            let wanted = self.watches.iter().map(|(target, watch)| (target.clone(), watch.probe.clone())).collect();
            effects.push(Effect::Probe { wanted, remembered: turn.remembered });
        }
        effects.extend(turn.log.into_iter().map(Effect::Log));
        if let Some((to, pending)) = turn.reply {
            let reply = match pending {
                Pending::Now(reply) => reply,
                Pending::Moved { summary, changed } => {
                    Ok(Reply::Moved(Moved { summary, changed, switched: turn.switched, notes: turn.notes }))
                }
            };
            effects.push(Effect::Reply(to, reply));
        }
        effects
    }

    fn command(&mut self, command: Command, turn: &mut Turn) -> Result<Pending, CommandError> {
        match command {
            Command::Status => Ok(Pending::Now(Ok(Reply::Status(Box::new(self.status(turn.now)))))),
            Command::Explain { name, rtype } => {
                let explanation = self.explain(&name, rtype, turn.now).map_err(CommandError::Refused)?;
                Ok(Pending::Now(Ok(Reply::Explanation(Box::new(explanation)))))
            }
            Command::Mark { target, kind, reason, until } => self.mark(target, kind, &reason, until, turn),
            Command::Unmark { target, reason } => self.unmark(target, &reason, turn),
            Command::Failover { hub, to, epoch, reason } => {
                self.operator_move(&hub, Some(&to), epoch, &reason, Cause::Failover, turn)
            }
            Command::Failback { hub, epoch, reason } => {
                self.operator_move(&hub, None, epoch, &reason, Cause::Failback, turn)
            }
        }
    }
}

/// What is probed, as the store keeps it: host names compare without case, and text does not.
pub fn health_key(target: &ProbeTarget) -> String {
    target.to_string().to_ascii_lowercase()
}

fn restore<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, before: Option<V>) {
    match before {
        Some(before) => map.insert(key.clone(), before),
        None => map.remove(key),
    };
}

fn not_after(standing: Standing, now: Timestamp) -> Standing {
    let last_automatic = standing.last_automatic.map(|at| at.min(now));
    Standing { since: standing.since.min(now), last_automatic, ..standing }
}

#[cfg(test)]
mod tests;
