//! The state of the one writer, and what an event does to it.
//!
//! [`State::apply`] takes one event and the time and returns the effects. It first takes the event in (health, marks,
//! policy; at a tick, probers that fell silent), then lets marks expire, then settles: every hub that any of this
//! touched, or whose wait is over, is decided anew by [`decide`](crate::policy::decide()). All hubs that one event moves
//! are in one commit and one publication. An event that moves nothing costs neither.
//!
//! Everything that there is one of for each hub, endpoint or prober stands in a list by position (`layout`). The lists
//! are shared: a clone of the state is a few pointers, and whoever holds one (a reload, for the way back; a status that is
//! being written on another thread) sees it unchanged, while the next event copies the lists that it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::among::Inside;
use super::asks::PAST;
use super::change::{ChangeKind, Switch, Together};
use super::drill::Drill;
use super::event::{Author, Command, CommandError, Commit, Effect, Event, Level, Loaded, Stamps};
use super::fact::{Fact, FactKey, FactKind, Facts};
use super::gates::Told;
use super::known::{Gated, Known};
use super::layout::{HubAt, Layout};
use super::mark::{MarkTarget, Marks};
use super::push::Leases;
use super::report::{AuditKind, DatabasesStatus, Moved, ReloadStatus, Switched, Totals};
use super::roster::{HubId, Roster};
use super::set_back;
use super::sight::Look;
use super::turn::{Pending, Turn};
use crate::answer::snapshot::{Choice, Content, What};
use crate::dns::Name;
use crate::gate::Evidence;
use crate::health::Health;
use crate::health::machine::Machine;
use crate::policy::{Cause, GateKind, GateName, Hold, MarkKind, Policy, Probe, ProbeKind, ProbeTarget, Standing};
use crate::time::{Lived, Timestamp};

/// How long after a failed commit or a refused publication the change is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What is read from the store at the start.
#[derive(Clone, Debug, Default)]
pub struct Persisted {
    /// Every hub that ever was, so that an epoch is never used twice.
    pub roster: Roster,
    /// What stands, by the number of the hub.
    pub standings: Vec<Option<Arc<Standing>>>,
    /// The marks.
    pub marks: Marks,
    /// The health when it last changed, by [`health_key`].
    pub health: BTreeMap<String, Health>,
    /// What else is durable.
    pub facts: Facts,
}

impl Persisted {
    /// What stands for a hub.
    pub fn standing(&self, hub: &Name) -> Option<&Standing> {
        self.standings.get(self.roster.id(hub)?.index())?.as_deref()
    }
}

/// The state of the one writer.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) policy: Arc<Policy>,
    pub(super) content: Arc<Content>,
    pub(super) layout: Arc<Layout>,
    pub(super) roster: Arc<Roster>,
    /// By the position of the probe target.
    pub(super) watches: Arc<Vec<Arc<Watch>>>,
    pub(super) marks: Arc<Marks>,
    /// The same by position.
    pub(super) marked: Arc<Marked>,
    pub(super) stands: Arc<Stands>,
    /// By hub position.
    pub(super) holds: Arc<BTreeMap<u32, Hold>>,
    /// When the first of them is over.
    pub(super) hold_ends: Option<Timestamp>,
    pub(super) started: Timestamp,
    pub(super) reload: Arc<ReloadStatus>,
    pub(super) totals: Totals,
    pub(super) prober_restarts: u64,
    /// Health from before the start, or from before a reload took the target away, for probers that do not run.
    /// By [`health_key`].
    pub(super) remembered: Arc<BTreeMap<String, Health>>,
    /// Positions of the hubs with no eligible endpoint.
    pub(super) all_down: Arc<BTreeSet<u32>>,
    /// By endpoint position: since when it is eligible and known to be good.
    pub(super) good_since: Arc<Vec<Option<Timestamp>>>,
    /// Hubs to decide again at this time, because a commit failed or a rule refused. No mark ends before it.
    pub(super) retry: Option<(Timestamp, BTreeSet<HubId>)>,
    /// Whose health the store does not have yet, because a commit failed.
    pub(super) unsaved: BTreeSet<ProbeTarget>,
    /// Whether what was to be published was not, because a commit failed: which TTL is answered needs no commit, and is not
    /// taken back with one.
    pub(super) unpublished: bool,
    /// By hub position: the holds that the last event changed, as they were before it, and whether with a switch, for the
    /// case that its commit fails. What has been waited for is not waited for again, and what never was has not been waited
    /// for; a wait that something measured began has begun.
    pub(super) held_before: Vec<(u32, Option<Hold>, bool)>,
    /// When the last event was taken in: nothing is due before it.
    pub(super) turned: Timestamp,
    /// What is durable besides, as it is kept.
    pub(super) facts: Arc<Facts>,
    /// The same by what it is about.
    pub(super) known: Arc<Known>,
    /// What gates said last.
    pub(super) evidence: Arc<BTreeMap<GateName, Evidence>>,
    /// By hub position: what came of telling the region that the hub leaves.
    pub(super) told: Arc<BTreeMap<u32, Told>>,
    /// Whether this node sees.
    pub(super) look: Look,
    /// By hub position: when the low TTL after a switch ends.
    pub(super) ttl_ends: Arc<BTreeMap<u32, Timestamp>>,
    /// When the first of them does.
    pub(super) ttl_wake: Option<Timestamp>,
    /// By endpoint position: when its shadow probe went down while the endpoint was active, newest last.
    pub(super) shadow_falls: Arc<BTreeMap<u32, Vec<Timestamp>>>,
    /// By hub position: canaries that are being drilled.
    pub(super) drills: Arc<BTreeMap<u32, Drill>>,
    /// By hub position: what hubs inside others are to those.
    pub(super) inside: Arc<BTreeMap<u32, Inside>>,
    /// Positions of the hubs without an active region in which something fails that may be no more than this node's fault.
    pub(super) doubted: Arc<BTreeSet<u32>>,
    /// The database files as they were found last, whether they could be read or not.
    pub(super) stamps: Arc<Stamps>,
    /// What became of them.
    pub(super) databases: Arc<DatabasesStatus>,
    /// Until when what is told counts.
    pub(super) leases: Arc<Leases>,
    /// What the clock has passed over.
    pub(super) lived: Arc<Lived>,
    /// Since when gates hold moves: where the store says otherwise, a commit has failed.
    pub(super) gated: Arc<BTreeMap<HubId, Gated>>,
}

/// What stands, and what is published of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stands {
    /// By the number of the hub, hubs that the policy does not have any more included.
    by_id: Vec<Option<Arc<Standing>>>,
    /// By hub position: which of the hub's endpoints is active; `None` where nothing stands, or its region has left the
    /// policy.
    active: Vec<Option<u16>>,
    /// By hub position: what is published.
    choices: Vec<Choice>,
}

impl Stands {
    /// What stands for a hub.
    pub(super) fn of(&self, hub: HubId) -> Option<&Standing> {
        self.shared(hub).map(|standing| &**standing)
    }

    /// The same, shared with the hubs that stand alike.
    pub(super) fn shared(&self, hub: HubId) -> Option<&Arc<Standing>> {
        self.by_id.get(hub.index())?.as_ref()
    }

    /// Which endpoint of the hub at a position is active.
    pub(super) fn active(&self, position: usize) -> Option<usize> {
        self.active.get(position).copied().flatten().map(usize::from)
    }

    /// Sets what stands for a hub, whose active endpoint is looked up by its region.
    pub(super) fn set(&mut self, id: HubId, at: Option<(usize, &HubAt)>, standing: Option<Arc<Standing>>) {
        let active = at.and_then(|(_, at)| at.hub.position(&standing.as_ref()?.active));
        self.set_active(id, at, standing, active);
    }

    /// Sets what stands for a hub, and the choice that follows. Gives what stood, and whether the choice has changed.
    pub(super) fn set_active(
        &mut self,
        id: HubId,
        at: Option<(usize, &HubAt)>,
        standing: Option<Arc<Standing>>,
        active: Option<usize>,
    ) -> (Option<Arc<Standing>>, bool) {
        let said = standing.as_ref().map(|standing| (standing.all, standing.epoch, standing.since));
        if self.by_id.len() <= id.index() {
            self.by_id.resize(id.index() + 1, None);
        }
        let before = std::mem::replace(&mut self.by_id[id.index()], standing);
        let changed = at.is_some_and(|(position, at)| {
            // A hub has at most 256 endpoints.
            let active = active.and_then(|active| u16::try_from(active).ok());
            self.active[position] = active;
            let (Some((all, epoch, since)), Some(active)) = (said, active) else { return false };
            let what = if all { What::All } else { What::Endpoint(active) };
            let Some(published) = at.choice.and_then(|choice| self.choices.get_mut(choice)) else { return false };
            let choice = Choice { what, epoch, since, ..*published };
            std::mem::replace(published, choice) != choice
        });
        (before, changed)
    }

    /// Whether a hub answers with its `ttl_min`; `None` of a hub that answers nothing.
    pub(super) fn has_low_ttl(&self, at: &HubAt) -> Option<bool> {
        self.choices.get(at.choice?).map(|choice| choice.low_ttl)
    }

    /// Sets whether a hub answers with its `ttl_min`, and says whether that has changed.
    pub(super) fn set_low_ttl(&mut self, at: &HubAt, low_ttl: bool) -> bool {
        let Some(published) = at.choice.and_then(|choice| self.choices.get_mut(choice)) else { return false };
        std::mem::replace(&mut published.low_ttl, low_ttl) != low_ttl
    }

    /// Sets whether nothing of a hub may be chosen, and says whether that has changed.
    pub(super) fn set_stale(&mut self, at: &HubAt, stale: bool) -> bool {
        let Some(published) = at.choice.and_then(|choice| self.choices.get_mut(choice)) else { return false };
        std::mem::replace(&mut published.stale, stale) != stale
    }

    /// Whether a hub answers with what was chosen last; `None` of a hub that answers nothing.
    pub(super) fn is_stale(&self, at: &HubAt) -> Option<bool> {
        self.choices.get(at.choice?).map(|choice| choice.stale)
    }

    /// Sets what a hub without an active region answers out of, and says whether that has changed.
    pub(super) fn set_what(&mut self, at: &HubAt, what: What, since: Timestamp) -> bool {
        let Some(published) = at.choice.and_then(|choice| self.choices.get_mut(choice)) else { return false };
        let choice = Choice { what, epoch: 0, since, ..*published };
        std::mem::replace(published, choice) != choice
    }

    /// The same standings under another policy.
    pub(super) fn laid_out(&mut self, layout: &Layout) {
        self.active = vec![None; layout.hubs.len()];
        self.choices = vec![Choice::endpoint(0); layout.hubs.len()];
        for (position, at) in layout.hubs.iter().enumerate().filter(|(_, at)| !at.stateless) {
            if let Some(standing) = self.shared(at.id).cloned() {
                self.set(at.id, Some((position, at)), Some(standing));
            }
        }
    }
}

/// The marks by position.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Marked {
    /// By region position.
    pub(super) regions: Vec<Option<MarkKind>>,
    /// By endpoint position: those on the endpoint itself.
    pub(super) endpoints: Vec<Option<MarkKind>>,
}

impl Marked {
    /// With nothing marked.
    pub(super) fn of(layout: &Layout) -> Self {
        Self { regions: vec![None; layout.regions.len()], endpoints: vec![None; layout.endpoints.len()] }
    }

    pub(super) fn set(&mut self, target: &MarkTarget, kind: Option<MarkKind>, layout: &Layout) {
        match target {
            MarkTarget::Region(region) => {
                if let Some(at) = layout.region(region) {
                    self.regions[at] = kind;
                }
            }
            MarkTarget::Endpoint(endpoint) => {
                let at = layout.position(&endpoint.hub).map(|position| &layout.hubs[position]);
                if let Some((at, position)) = at.and_then(|at| Some((at, at.hub.position(&endpoint.region)?))) {
                    self.endpoints[at.endpoints().start + position] = kind;
                }
            }
        }
    }
}

/// One prober as the core sees it.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) probe: Arc<Probe>,
    pub(super) machine: Machine,
    pub(super) started: Timestamp,
    pub(super) last: Option<Last>,
    /// When the first of the failed observations up to the last one was complete.
    pub(super) failing: Option<Timestamp>,
    /// Whether it was seen to fail while this node was known to see.
    pub(super) confirmed: bool,
    /// When an observation was last good.
    pub(super) last_good: Option<Timestamp>,
    pub(super) stalled: bool,
    /// What this machine lacked when it last was to observe; `None` when it could.
    pub(super) unable: Option<Arc<str>>,
    /// What was seen beside the verdict of the last observation that could be made.
    pub(super) note: Option<Arc<str>>,
    /// When the certificate expires that was last seen.
    pub(super) expires: Option<Timestamp>,
    /// When `unable` and `note` were last logged.
    pub(super) said: Said,
}

/// When something was last logged of a prober, so that what comes and goes is said now and then only.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub(super) unable: Option<Timestamp>,
    /// Whether it was said of the lack that lasts.
    pub(super) lacking: bool,
    pub(super) note: Option<Timestamp>,
}

impl Watch {
    /// Of a target that was not observed yet.
    pub(super) fn new(probe: Arc<Probe>, machine: Machine, started: Timestamp) -> Self {
        Self {
            probe,
            machine,
            started,
            last: None,
            failing: None,
            confirmed: false,
            last_good: None,
            stalled: false,
            unable: None,
            note: None,
            expires: None,
            said: Said::default(),
        }
    }

    /// When the failed observations up to the last one began; `None` when that was good, or there is none.
    pub(super) fn failing_since(&self) -> Option<Timestamp> {
        self.failing
    }

    /// Whether the last observation failed, or health has yet to follow the last ones.
    pub(super) fn unsettled(&self) -> bool {
        self.failing.is_some() || (self.last.is_some() && self.machine.contradicts())
    }
}

/// The last observation.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) at: Timestamp,
    pub(super) latency: Duration,
    pub(super) failure: Option<Arc<str>>,
    pub(super) in_a_row: u32,
}

impl State {
    /// The state at the start: what the store holds, and the files. The effects make what is decided here durable and
    /// publish it; nothing is answered before.
    pub fn new(loaded: Loaded, persisted: Persisted, now: Timestamp) -> (Self, Vec<Effect>) {
        let Persisted { roster, standings, marks, health, facts } = persisted;
        let (known, unknown) = Known::of(&facts, &roster);
        let (mut by_id, set_back) = set_back::not_in_the_future(standings, &known, now);
        Together::share(by_id.iter_mut().flatten());
        let reload = ReloadStatus { at: now, ok: true, problems: Vec::new(), read_ms: 0.0, compile_ms: 0.0 };
        let mut state = Self {
            policy: Arc::default(),
            content: Arc::default(),
            layout: Arc::default(),
            roster: Arc::new(roster),
            watches: Arc::default(),
            marks: Arc::new(marks),
            marked: Arc::default(),
            stands: Arc::new(Stands { by_id, ..Stands::default() }),
            holds: Arc::default(),
            hold_ends: None,
            started: now,
            reload: Arc::new(reload),
            totals: Totals::default(),
            prober_restarts: 0,
            remembered: Arc::new(health),
            all_down: Arc::default(),
            good_since: Arc::default(),
            retry: None,
            unsaved: BTreeSet::new(),
            unpublished: false,
            held_before: Vec::new(),
            turned: now,
            facts: Arc::new(facts),
            known: Arc::new(known),
            evidence: Arc::default(),
            told: Arc::default(),
            look: Look::default(),
            ttl_ends: Arc::default(),
            ttl_wake: None,
            shadow_falls: Arc::default(),
            drills: Arc::default(),
            inside: Arc::default(),
            doubted: Arc::default(),
            stamps: Arc::default(),
            databases: Arc::default(),
            leases: Arc::default(),
            lived: Arc::default(),
            gated: Arc::default(),
        };
        let mut turn = Turn::new(now, Author::daemon());
        for key in unknown {
            let sentence = format!("the store's fact {key} cannot be understood, and does not count");
            turn.say(Level::Error, "store", sentence);
        }
        state.keep_set_back(set_back, &mut turn);
        state.gated = Arc::new(state.known.gated.clone());
        state.lived = Arc::new(state.known.lived.clone().until(now));
        state.keep_lived(&mut turn);
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
            Event::Classed { content, stamps } => self.take_classed(content, stamps, &mut turn),
            Event::Gate(evidence) => self.take_evidence(evidence, &mut turn),
            Event::Fenced(fenced) => self.take_fenced(fenced, &mut turn),
            Event::Jumped { from } => self.jump(from, &mut turn),
            Event::Tick => {
                self.end_leases(&mut turn);
                self.find_silent_probers(&mut turn);
            }
        }
        self.finish(turn)
    }

    /// When [`Event::Tick`] is next due; a tick every second besides finds silent probers.
    pub fn wake(&self) -> Option<Timestamp> {
        let retry = self.retry.as_ref().map(|(at, _)| *at);
        let marks = self.marks.values().filter_map(|mark| mark.until);
        // What the store cannot do at this moment is not tried before its time.
        let durable = marks.chain(self.moves_wake()).chain(self.windows_wake());
        let durable = durable.map(|at| retry.map_or(at, |retry| at.max(retry)));
        let looks = self.hold_ends.into_iter().chain(self.drills_wake());
        durable.chain(looks).chain(self.ttl_wake).chain(self.leases.wake()).chain(retry).min()
    }

    /// Takes back what a commit that failed had changed. Observations stay: they are measured, not decided.
    pub fn revert(&mut self, commit: &Commit, now: Timestamp) {
        let (mut hubs, layout) = (BTreeSet::new(), self.layout.clone());
        for change in commit.switch.iter().flat_map(|switch| switch.changes.iter().rev()) {
            hubs.insert(change.hub);
            if let Some(count) = self.totals.switches.get_mut(change.after.cause.word()) {
                *count = count.saturating_sub(u64::from(change.counts()));
            }
            Arc::make_mut(&mut self.stands).set(change.hub, layout.at(change.hub), change.before.clone());
        }
        for (target, before, _) in commit.marks.iter().rev() {
            self.set_mark(target, before.clone());
            hubs.extend(self.hubs_of_mark(target).iter().map(|position| layout.hubs[*position as usize].id));
        }
        for (key, before, _) in commit.facts.iter().rev() {
            self.put_fact(key, before.clone());
            self.revert_usable(key);
            let hub = key.hub().and_then(|hub| self.roster.id(&hub));
            hubs.extend(hub);
        }
        if commit.facts.iter().any(|(key, ..)| key.kind() == FactKind::Window) {
            self.lay_marks();
            hubs.extend(layout.hubs.iter().map(|at| at.id));
        }
        // A region that was to be told is not told.
        Arc::make_mut(&mut self.told).retain(|_, told| told.answer.is_some() || told.called != now);
        // Nor is a drill begun, and what was decided because of it is decided anew.
        if commit.audit.iter().any(|record| record.kind == AuditKind::Drill) {
            let begun = self.drills.iter().filter(|(_, drill)| drill.started() == now);
            hubs.extend(begun.map(|(position, _)| layout.hubs[*position as usize].id));
            Arc::make_mut(&mut self.drills).retain(|_, drill| drill.started() != now);
        }
        self.unsaved.extend(commit.health.iter().map(|(target, _)| target.clone()));
        self.totals.commits_failed += 1;
        self.unpublished = true;
        let held = std::mem::take(&mut self.held_before);
        let says = |kind| matches!(kind, FactKind::Window | FactKind::Move | FactKind::Gate | FactKind::Flap);
        let said = !commit.marks.is_empty() || commit.facts.iter().any(|(key, ..)| says(key.kind()));
        if said {
            let waits = commit.facts.iter().filter(|(key, ..)| key.kind() == FactKind::Gated);
            let waits: Vec<_> = waits.filter_map(|(key, ..)| self.roster.id(&key.hub()?)).collect();
            self.revert_gated(&waits);
        }
        // After a load everything is as it was before it.
        if !commit.is_empty() {
            let holds = Arc::make_mut(&mut self.holds);
            let again = |position: u32| hubs.contains(&layout.hubs[position as usize].id);
            let held = held.into_iter().rev().filter(|(position, _, switched)| (*switched || said) && again(*position));
            for (position, hold, _) in held {
                match hold {
                    Some(hold) => holds.insert(position, hold),
                    None => holds.remove(&position),
                };
            }
        }
        self.retry_later(hubs, now);
    }

    /// The choices as published, by hub position.
    pub fn choices(&self) -> &[Choice] {
        &self.stands.choices
    }

    /// What stands, by the number of the hub; hubs that the policy does not have any more included.
    pub fn standings(&self) -> &[Option<Arc<Standing>>] {
        &self.stands.by_id
    }

    /// What stands for a hub.
    pub fn standing(&self, hub: &Name) -> Option<&Standing> {
        self.stands.of(self.roster.id(hub)?)
    }

    /// Every hub that ever was.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// All marks.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(super) fn retry_later(&mut self, hubs: BTreeSet<HubId>, now: Timestamp) {
        let (_, waiting) = self.retry.get_or_insert_with(|| (now.after(RETRY), BTreeSet::new()));
        waiting.extend(hubs);
    }

    /// Everything that follows from what the event changed.
    fn finish(&mut self, mut turn: Turn) -> Vec<Effect> {
        self.turned = turn.now;
        self.held_before.clear();
        self.expire_marks(&mut turn);
        self.advance_windows(&mut turn);
        self.advance_moves(&mut turn);
        self.advance_drills(&mut turn);
        self.settle(&mut turn);
        if !turn.changes.is_empty() {
            // What has switched may leave no place for a move that waits for its gate.
            self.advance_moves(&mut turn);
        }
        self.stop_overtaken(&mut turn);
        // A stage that has just changed may change what a hub answers with.
        self.settle(&mut turn);
        let Turn { now, author, changes, mut commit, log, .. } = turn;
        let moved = changes.iter().filter(|change| change.kind == ChangeKind::Switch);
        let (count, switched) = match turn.reply {
            Some(_) => {
                (moved.clone().count() as u64, moved.take(Moved::LISTED).filter_map(|c| self.switched(c)).collect())
            }
            None => (0, Vec::new()),
        };
        if !changes.is_empty() {
            let switch = Arc::new(Switch { at: now, author, roster: self.roster.clone(), changes });
            self.count(&switch);
            commit.switch = Some(switch);
        }
        let mut effects = Vec::new();
        let tell = commit.switch.clone();
        if !commit.is_empty() {
            effects.push(Effect::Commit(commit));
        }
        if turn.publish | std::mem::take(&mut self.unpublished) {
            effects.push(Effect::Publish(self.content.clone(), self.choices().into()));
        }
        if turn.probes {
            let wanted = self.layout.targets.iter().zip(self.watches.iter());
            let wanted = wanted.filter(|(_, watch)| !matches!(watch.probe.kind, ProbeKind::Composite(_)));
            let wanted = wanted.map(|(target, watch)| (target.clone(), watch.probe.clone())).collect();
            effects.push(Effect::Probe { wanted, remembered: turn.remembered });
            let looked_at = self.layout.gates.iter().filter(|gate| gate.kind != GateKind::Ack);
            effects.push(Effect::Gates(looked_at.map(|gate| (gate.name.clone(), gate.clone())).collect()));
        }
        let looks: BTreeSet<ProbeTarget> = turn.looks.iter().flat_map(|target| self.looked_at(*target)).collect();
        if !looks.is_empty() {
            effects.push(Effect::Look(looks));
        }
        effects.extend(turn.fences.into_iter().map(Effect::Fence));
        if let Some((to, pending)) = turn.reply {
            let reply = match pending {
                Pending::Now(reply) => reply,
                Pending::Moved { summary, changed } => {
                    let usable_changed = turn.usable.len() as u64;
                    turn.usable.truncate(Moved::LISTED);
                    let (usable, notes) = (turn.usable, turn.notes.finish());
                    Ok(Moved { summary, changed, moved: count, switched, usable_changed, usable, notes })
                }
            };
            effects.push(Effect::Reply(to, reply));
        }
        effects.extend(log.into_iter().map(Effect::Log));
        effects.extend(tell.map(Effect::Tell));
        effects.extend(turn.told.finish().into_iter().map(Effect::Log));
        effects
    }

    pub(super) fn switched(&self, change: &super::change::Change) -> Option<Switched> {
        Some(Switched {
            hub: self.roster.name(change.hub)?.clone(),
            from: change.before.as_ref().map(|before| before.active.clone()),
            to: change.after.active.clone(),
            epoch: change.after.epoch,
        })
    }

    /// Counts the changes of active regions by their cause.
    fn count(&mut self, switch: &Switch) {
        let mut counted: Vec<(Cause, u64)> = Vec::new();
        for change in switch.changes.iter().filter(|change| change.kind == ChangeKind::Switch) {
            let (cause, more) = (change.after.cause, u64::from(change.counts()));
            match counted.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, count)) => *count += more,
                None => counted.push((cause, more)),
            }
        }
        for (cause, count) in counted {
            *self.totals.switches.entry(cause.word().into()).or_default() += count;
        }
    }

    fn command(&mut self, command: Command, turn: &mut Turn) -> Result<Pending, CommandError> {
        match command {
            Command::Mark { target, kind, reason, from, until } => {
                self.known_target(&target)?;
                if let Some(from) = from.filter(|from| turn.now.since(*from) > PAST) {
                    let sentence = format!("its beginning was {from}, which has passed; without a time it is made now");
                    return Err(CommandError::Refused(sentence));
                }
                match from.filter(|from| *from > turn.now) {
                    Some(from) => self.open_window(target, kind, &reason, from, until, turn),
                    None => self.mark(target, kind, &reason, until, turn),
                }
            }
            Command::CloseWindow { id, reason } => self.close_window(&id, &reason, turn),
            Command::Unmark { target, reason } => self.unmark(target, &reason, turn),
            Command::Failover { hub, to, options, reason } => {
                self.begin_move(&hub, Some(&to), options, &reason, Cause::Failover, turn)
            }
            Command::Failback { hub, options, reason } => {
                self.begin_move(&hub, None, options, &reason, Cause::Failback, turn)
            }
            Command::Approve { hub, epoch } => self.approve(&hub, epoch, turn),
            Command::Cancel { hub, epoch, reason } => self.cancel(&hub, epoch, &reason, turn),
            Command::AckGate { hub, gate, reason, until } => self.ack_gate(&hub, &gate, &reason, until, turn),
            Command::Acknowledge { hub, reason } => self.acknowledge(&hub, &reason, turn),
            Command::Drill { hub, region, within, reason } => {
                self.begin_drill(&hub, region.as_ref(), within, &reason, turn)
            }
            Command::EndDrill { hub, reason } => self.command_end_drill(&hub, &reason, turn),
            Command::Report { probe, of, verdict } => self.report(&probe, &of, &verdict, turn),
            Command::Upgrade { sentence } => {
                turn.audit(AuditKind::Upgrade, "this node".into(), &sentence);
                Ok(Pending::Moved { summary: sentence, changed: true })
            }
        }
    }

    /// Sets or takes away a durable fact.
    pub(super) fn set_fact(&mut self, key: FactKey, value: Option<&impl serde::Serialize>, turn: &mut Turn) {
        // Facts are structs of texts, numbers and lists: they have a form in JSON.
        let after = value.and_then(|value| Fact::of(value).ok());
        let before = self.put_fact(&key, after.clone());
        turn.commit.facts.push((key, before, after));
    }

    fn put_fact(&mut self, key: &FactKey, fact: Option<Fact>) -> Option<Fact> {
        Arc::make_mut(&mut self.known).set(key, fact.as_ref(), &self.roster);
        let facts = Arc::make_mut(&mut self.facts);
        match fact {
            Some(fact) => facts.insert(key.clone(), fact),
            None => facts.remove(key),
        }
    }
}

/// What is probed, as the store keeps it: host names compare without case, and text does not.
pub fn health_key(target: &ProbeTarget) -> String {
    target.to_string().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
