//! The state of the one writer, and what an event does to it.
//!
//! [`State::apply`] takes one event and the time and returns the effects. It first takes the event in (health, marks,
//! policy), then lets marks expire and looks for silent probers, then settles: every hub that any of this touched, or
//! whose wait is over, is decided anew by [`decide()`]. All hubs that one event moves are in one commit and one
//! publication. An event that moves nothing costs neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::event::{
    Author, Command, CommandError, Commit, Effect, Event, Level, LoadFailure, Loaded, LogLine, Reply, ReplyTo,
};
use super::mark::{self, Mark, Marks};
use super::reason::{self, Known, Measured};
use super::refusal;
use super::report::{AuditKind, AuditRecord, Moved, ReloadStatus, Switched, Totals};
use crate::answer::snapshot::{Choice, Content};
use crate::dns::Name;
use crate::health::machine::Machine;
use crate::health::{Health, Observation, Outcome, schedule};
use crate::policy::{
    Cause, Decision, Endpoint, EndpointId, EndpointView, Hold, Hub, MarkKind, Policy, Probe, ProbeTarget, RegionName,
    Rule, Standing, decide,
};
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
    /// The health when it last changed, by [`ProbeTarget`]'s text.
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
    /// Health from before the start, for probers that have not been started yet.
    remembered: BTreeMap<String, Health>,
    /// Hubs with no eligible endpoint.
    pub(super) all_down: BTreeSet<Name>,
    /// Since when each endpoint is eligible and known to be good.
    good_since: BTreeMap<EndpointId, Timestamp>,
    /// Which hubs an observation or a mark touches.
    index: Arc<Index>,
    /// What is published, by hub position.
    choices: Box<[Choice]>,
    /// Hubs to decide again at this time, because a commit failed or a rule refused.
    retry: Option<(Timestamp, BTreeSet<Name>)>,
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

#[derive(Debug, Default)]
struct Index {
    by_target: BTreeMap<ProbeTarget, Vec<Name>>,
    by_region: BTreeMap<RegionName, Vec<Name>>,
}

impl Index {
    fn of(policy: &Policy) -> Self {
        let mut index = Self::default();
        for (name, hub) in &policy.hubs {
            for endpoint in &hub.endpoints {
                index.by_region.entry(endpoint.region.clone()).or_default().push(name.clone());
                if let Some(target) = &endpoint.probe {
                    let hubs = index.by_target.entry(target.clone()).or_default();
                    if hubs.last() != Some(name) {
                        hubs.push(name.clone());
                    }
                }
            }
        }
        index
    }
}

/// What one event leads to, while it is being worked out.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) now: Timestamp,
    pub(super) author: Author,
    pub(super) touched: BTreeSet<Name>,
    pub(super) commit: Commit,
    pub(super) switched: Vec<Switched>,
    pub(super) notes: Vec<String>,
    log: Vec<LogLine>,
    probes: bool,
    remembered: BTreeMap<ProbeTarget, Health>,
    publish: bool,
    reply: Option<(ReplyTo, Pending)>,
}

/// A reply that waits for the end of the turn.
#[derive(Debug)]
pub(super) enum Pending {
    Now(Result<Reply, CommandError>),
    /// A command was taken in: what moved is known once everything has been decided.
    Moved {
        summary: String,
        changed: bool,
    },
}

impl Turn {
    fn new(now: Timestamp, author: Author) -> Self {
        Self {
            now,
            author,
            touched: BTreeSet::new(),
            commit: Commit::default(),
            switched: Vec::new(),
            notes: Vec::new(),
            log: Vec::new(),
            probes: false,
            remembered: BTreeMap::new(),
            publish: false,
            reply: None,
        }
    }

    pub(super) fn audit(&mut self, kind: AuditKind, subject: String, reason: &str) -> &mut AuditRecord {
        self.commit.audit.push(AuditRecord {
            sequence: 0,
            at: self.now,
            kind,
            subject,
            author: self.author.name.clone(),
            origin: self.author.origin.clone(),
            epoch: None,
            before: None,
            after: None,
            reason: reason.into(),
        });
        let at = self.commit.audit.len() - 1;
        &mut self.commit.audit[at]
    }

    pub(super) fn say(&mut self, level: Level, event: &'static str, sentence: String) -> &mut LogLine {
        self.log.push(LogLine::new(level, event, sentence));
        let at = self.log.len() - 1;
        &mut self.log[at]
    }
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
            Event::Observation(observation) => self.observe(observation, &mut turn),
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
            Event::Tick => {}
        }
        self.finish(turn)
    }

    /// When [`Event::Tick`] is next due; a tick every second besides finds silent probers.
    pub fn wake(&self) -> Option<Timestamp> {
        let holds = self.holds.values().map(|hold| hold.until);
        let marks = self.marks.values().filter_map(|mark| mark.until);
        holds.chain(marks).chain(self.retry.as_ref().map(|(at, _)| *at)).min()
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

    fn retry_later(&mut self, hubs: BTreeSet<Name>, now: Timestamp) {
        let (_, waiting) = self.retry.get_or_insert_with(|| (now.after(RETRY), BTreeSet::new()));
        waiting.extend(hubs);
    }

    /// Everything that follows from what the event changed.
    fn finish(&mut self, mut turn: Turn) -> Vec<Effect> {
        self.expire_marks(&mut turn);
        self.find_silent_probers(&mut turn);
        self.settle(&mut turn);
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

    // ---- health

    fn observe(&mut self, observation: Observation, turn: &mut Turn) {
        let Observation { target, at, latency, outcome } = observation;
        // An observation of what a reload has just taken away is late, not wrong.
        let Some(watch) = self.watches.get_mut(&target) else { return };
        match &outcome {
            Outcome::Good => self.totals.observations_good += 1,
            Outcome::Failed(_) => self.totals.observations_failed += 1,
        }
        let before = watch.machine.health();
        watch.machine.observe(&watch.probe, &outcome, at);
        let after = watch.machine.health();
        let failure = match outcome {
            Outcome::Good => None,
            Outcome::Failed(failure) => Some(failure),
        };
        let in_a_row = match &watch.last {
            Some(last) if last.failure.is_some() == failure.is_some() => last.in_a_row.saturating_add(1),
            _ => 1,
        };
        let was_stalled = std::mem::take(&mut watch.stalled);
        watch.last = Some(Last { at, latency, failure, in_a_row });
        let hubs = self.index.by_target.get(&target).cloned().unwrap_or_default();
        if was_stalled {
            turn.say(Level::Info, "prober", format!("the prober {target} gives observations again"));
        }
        if before == after {
            return;
        }
        let detail = match &self.watches[&target].last {
            Some(Last { failure: Some(failure), in_a_row, .. }) => format!("{in_a_row} failed in a row: {failure}"),
            Some(Last { in_a_row, latency, .. }) => format!("{in_a_row} ok in a row, {} ms", latency.as_millis()),
            None => String::new(),
        };
        let level = if after == Health::Down { Level::Warn } else { Level::Info };
        let regions = self.regions_of(&target, &hubs);
        let subject = format!("{} ({target})", regions.iter().map(RegionName::as_str).collect::<Vec<_>>().join(", "));
        let line = turn.say(level, "health", reason::health(&subject, before, after, &detail));
        line.region = regions.into_iter().next();
        turn.commit.health.push((target, after));
        turn.touched.extend(hubs);
    }

    fn regions_of(&self, target: &ProbeTarget, hubs: &[Name]) -> BTreeSet<RegionName> {
        hubs.iter()
            .filter_map(|hub| self.policy.hubs.get(hub))
            .flat_map(|hub| hub.endpoints.iter())
            .filter(|endpoint| endpoint.probe.as_ref() == Some(target))
            .map(|endpoint| endpoint.region.clone())
            .collect()
    }

    /// A prober that gives no observations freezes health at its last value and is shown: silence is neither up nor down.
    fn find_silent_probers(&mut self, turn: &mut Turn) {
        for (target, watch) in &mut self.watches {
            let last = watch.last.as_ref().map_or(watch.started, |last| last.at);
            if !watch.stalled && schedule::overdue(&watch.probe, last, turn.now) {
                watch.stalled = true;
                let age = crate::time::human(turn.now.since(last));
                let sentence = format!(
                    "no observation of {target} for {age}: its health is frozen at {}",
                    watch.machine.health().word()
                );
                turn.say(Level::Warn, "prober", sentence);
            }
        }
    }

    // ---- marks

    pub(super) fn hubs_of_mark(&self, target: &mark::MarkTarget) -> Vec<Name> {
        match target {
            mark::MarkTarget::Region(region) => self.index.by_region.get(region).cloned().unwrap_or_default(),
            mark::MarkTarget::Endpoint(endpoint) => vec![endpoint.hub.clone()],
        }
    }

    /// Sets or takes away a mark, and touches the hubs that it is about.
    pub(super) fn change_mark(&mut self, target: mark::MarkTarget, after: Option<Mark>, turn: &mut Turn) {
        let before = match &after {
            Some(mark) => self.marks.insert(target.clone(), mark.clone()),
            None => self.marks.remove(&target),
        };
        turn.touched.extend(self.hubs_of_mark(&target));
        turn.commit.marks.push((target, before, after));
    }

    fn expire_marks(&mut self, turn: &mut Turn) {
        let due = |mark: &Mark| mark.until.is_some_and(|until| until <= turn.now);
        let expired: Vec<_> = self
            .marks
            .iter()
            .filter(|(_, mark)| due(mark))
            .map(|(target, mark)| (target.clone(), mark.clone()))
            .collect();
        for (target, mark) in expired {
            let sentence = format!("{target} is no longer {}: it has ended", reason::mark(&mark));
            let author = std::mem::replace(&mut turn.author, Author::daemon());
            let record = turn.audit(AuditKind::MarkExpired, target.to_string(), &sentence);
            record.before = Some(mark.kind.word().into());
            turn.author = author;
            turn.say(Level::Info, "mark", sentence);
            self.change_mark(target, None, turn);
        }
    }

    // ---- zones and policy

    fn reload(&mut self, loaded: Result<Loaded, LoadFailure>, turn: &mut Turn) -> Pending {
        match loaded {
            Ok(loaded) => {
                let (zones, hubs) = (loaded.content.zones().len(), loaded.policy.hubs.len());
                let warnings = loaded.warnings.clone();
                let summary = format!(
                    "reloaded: {}, {}, {}",
                    reason::many(zones, "zone"),
                    reason::many(hubs, "hub"),
                    reason::many(warnings.len(), "warning")
                );
                turn.audit(AuditKind::Reload, "zones and policy".into(), &summary);
                turn.say(Level::Info, "reload", summary.clone());
                turn.notes.extend(warnings);
                self.load(loaded, turn);
                Pending::Moved { summary, changed: true }
            }
            Err(LoadFailure { problems }) => {
                self.totals.reloads_refused += 1;
                let first = problems.first().map_or("", String::as_str);
                let sentence = format!(
                    "reload refused, the running answers stay as they are: {}, the first: {first}",
                    reason::many(problems.len(), "problem")
                );
                turn.say(Level::Error, "reload", sentence);
                self.reload.at = turn.now;
                self.reload.ok = false;
                self.reload.problems.clone_from(&problems);
                Pending::Now(Err(CommandError::Rejected(problems)))
            }
        }
    }

    fn load(&mut self, loaded: Loaded, turn: &mut Turn) {
        let Loaded { policy, content, warnings, read, compile } = loaded;
        self.totals.reloads_ok += 1;
        let milliseconds = |length: Duration| length.as_secs_f64() * 1e3;
        self.reload = ReloadStatus {
            at: turn.now,
            ok: true,
            problems: warnings,
            read_ms: milliseconds(read),
            compile_ms: milliseconds(compile),
        };
        let mut before = std::mem::take(&mut self.watches);
        for target in policy.probe_targets() {
            let Some(probe) = policy.probes.get(&target.probe).cloned() else { continue };
            let watch = match before.remove(&target) {
                Some(watch) => Watch { probe, ..watch },
                None => {
                    let machine = match self.remembered.remove(&target.to_string()) {
                        Some(health) => {
                            turn.remembered.insert(target.clone(), health);
                            Machine::restored(health)
                        }
                        None => Machine::new(),
                    };
                    Watch { probe, machine, started: turn.now, last: None, stalled: false }
                }
            };
            self.watches.insert(target, watch);
        }
        self.holds.retain(|hub, _| policy.hubs.contains_key(hub));
        self.all_down.retain(|hub| policy.hubs.contains_key(hub));
        self.good_since.retain(|id, _| policy.hubs.get(&id.hub).is_some_and(|hub| hub.position(&id.region).is_some()));
        self.index = Arc::new(Index::of(&policy));
        self.choices = vec![Choice::Endpoint(0); policy.hubs.len()].into();
        turn.touched.extend(policy.hubs.keys().cloned());
        turn.probes = true;
        turn.publish = true;
        self.policy = policy;
        self.content = content;
    }

    // ---- decision

    fn settle(&mut self, turn: &mut Turn) {
        let now = turn.now;
        let due = self.holds.iter().filter(|(_, hold)| hold.until <= now).map(|(hub, _)| hub.clone());
        turn.touched.extend(due);
        if self.retry.as_ref().is_some_and(|(at, _)| *at <= now) {
            turn.touched.extend(self.retry.take().into_iter().flat_map(|(_, hubs)| hubs));
        }
        let policy = self.policy.clone();
        for name in std::mem::take(&mut turn.touched) {
            let Some(hub) = policy.hubs.get(&name) else { continue };
            let views = self.views(hub, now);
            let decision = decide(hub, &views, self.standings.get(&name), now);
            self.carry_out(hub, decision, turn);
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
            let active = &hub.endpoints[decision.active].region;
            let sentence = format!("{}: no endpoint is eligible; {active} is answered", hub.name);
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
    fn set_choice(&mut self, name: &Name) -> bool {
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
                let good = view.eligible() && (view.mark == Some(MarkKind::Up) || view.health == Health::Up);
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
            .map(|watch| watch.started.after(watch.probe.worst_detection()))
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
