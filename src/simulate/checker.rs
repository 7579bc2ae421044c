//! The checker: what goes in and what comes out, against the books.
//!
//! It knows the sketch of the policy, what was delivered to the core (observations, commands, the time) and what came out of
//! it (commits, publications, replies). It never asks the core why.

mod answers;
mod changes;
mod facts;
mod holds;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::books::{Book, Books, Drilled, Failing, Fencing, Mark, Owed, Want, Why, Window};
use super::history::Target;
use super::invariants::{Extra, Violation};
use super::sketch::{ACK, Aim, GATES, HUBS, REGIONS, Sketch};
use crate::answer::snapshot::{Choice, What};
use crate::control::State;
use crate::control::change::{Change, ChangeKind};
use crate::control::event::{Command, CommandError, Commit};
use crate::control::fact::{Fact, FactKey, FactKind, Facts};
use crate::control::known::{FlapAck, GateAck, Gated, NoticeKind, Notices, SetBack, Window as WindowFact};
use crate::control::mark::MarkTarget;
use crate::control::moves::{Move, MoveOptions, Stage};
use crate::control::report::Moved;
use crate::control::state::Persisted;
use crate::dns::Name;
use crate::health::Health;
use crate::policy::{MarkKind, RegionName};
use crate::time::Timestamp;

/// Looks at everything.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) books: Books,
    /// The books from before a reload that may still fail.
    before: Option<Box<Books>>,
    /// Hubs and what they were last seen to answer; kept over a restart.
    answers: BTreeMap<&'static str, Answer>,
    /// What this daemon has published, with the hubs in order.
    published: Option<(Vec<&'static str>, Box<[Choice]>)>,
    turn: Turn,
    /// Until when what failed may not have been tried again.
    excused: u64,
    extra: Option<Extra>,
    turns: u64,
    /// Whether a commit that failed may have kept something from being published.
    unpublished: bool,
    /// Since when a move that is under way has lowered the TTL of a hub, and for how many milliseconds it has to.
    lowered: BTreeMap<&'static str, (u64, u64)>,
    /// Everything else that is durable.
    facts: Facts,
    violation: Option<Violation>,
}

/// What a hub was last seen to answer, and how often that changed.
#[derive(Clone, Debug)]
struct Answer {
    active: &'static str,
    changes: u64,
    /// Whether something may have changed that no publication showed: all endpoints were answered, a kill came between
    /// commit and publication, or the hub was away.
    unseen: bool,
}

/// What the daemon is given.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    /// It starts.
    Start,
    /// Observations, or nothing that concerns any hub.
    Nothing,
    /// Time has passed.
    Tick,
    /// A command.
    Command(Command),
    /// Files that were accepted.
    Load,
    /// Files that were refused.
    Refused,
}

#[derive(Debug)]
struct Turn {
    now: u64,
    doing: Doing,
    /// The books of the commanded hub before the turn.
    hub: Option<(&'static str, Option<Book>)>,
    /// The open move of that hub before the turn.
    busy: Option<Move>,
    commits: u32,
    failed: bool,
    published: u32,
    replied: bool,
    /// Moves that have switched by this commit.
    ordered: BTreeMap<&'static str, Move>,
    /// The commanded hub was moved by its move.
    moved: bool,
    /// Hubs of which something was overridden.
    overridden: Vec<&'static str>,
    marked: bool,
    changes: usize,
}

impl Turn {
    fn new(now: u64, doing: Doing) -> Self {
        Self {
            now,
            doing,
            hub: None,
            busy: None,
            commits: 0,
            failed: false,
            published: 0,
            replied: false,
            ordered: BTreeMap::new(),
            moved: false,
            overridden: Vec::new(),
            marked: false,
            changes: 0,
        }
    }
}

/// The hub of the sketch with this name.
pub(super) fn hub_of(name: &Name) -> &'static str {
    let text = name.to_string();
    HUBS.into_iter().find(|hub| *hub == text).unwrap_or("?")
}

/// The region of the sketch with this name.
pub(super) fn region_of(name: &RegionName) -> &'static str {
    REGIONS.into_iter().find(|region| *region == name.as_str()).unwrap_or("?")
}

fn target_of(target: &MarkTarget) -> Target {
    match target {
        MarkTarget::Region(region) => Target::Region(region_of(region)),
        MarkTarget::Endpoint(endpoint) => Target::Endpoint(hub_of(&endpoint.hub), region_of(&endpoint.region)),
    }
}

impl Checker {
    pub(super) fn new(sketch: Arc<Sketch>, extra: Option<Extra>) -> Self {
        Self {
            books: Books::new(sketch),
            before: None,
            answers: BTreeMap::new(),
            published: None,
            turn: Turn::new(0, Doing::Nothing),
            excused: 0,
            extra,
            turns: 0,
            unpublished: false,
            lowered: BTreeMap::new(),
            facts: Facts::new(),
            violation: None,
        }
    }

    /// The first invariant that was broken.
    pub(super) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    pub(super) fn broken(&mut self, rule: &'static str, sentence: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { rule, sentence: sentence() });
        }
    }

    fn unless(&mut self, holds: bool, rule: &'static str, sentence: impl FnOnce() -> String) {
        if !holds {
            self.broken(rule, sentence);
        }
    }

    // What goes in.

    /// A daemon starts from what the store has; `surfaced` is a commit that its predecessor was told had failed.
    pub(super) fn restart(&mut self, now: u64, sketch: Arc<Sketch>, found: &Persisted, surfaced: Option<&Commit>) {
        if let Some(commit) = surfaced {
            self.surface(commit);
        }
        for (hub, book) in self.books.hubs.clone() {
            let standing = Name::parse(hub, None).ok().and_then(|name| found.standing(&name).cloned());
            let same = standing.as_ref().is_some_and(|standing| {
                standing.active.as_str() == book.active && standing.epoch == book.epoch && standing.all == book.all
            });
            self.unless(same, "durable", || {
                format!("{hub} stood at {}, epoch {}, and the store says {standing:?}", book.active, book.epoch)
            });
        }
        let known = found.roster.names().iter().filter(|name| found.standing(name).is_some()).count();
        let books = self.books.hubs.len();
        self.unless(known == books, "durable", || format!("the store knows {known} hubs, and there were {books}"));
        self.same_marks(&found.marks, "durable");
        let differs =
            found.facts.iter().find(|(key, fact)| self.facts.get(key) != Some(fact)).map(|(key, _)| key.clone());
        let lost = self.facts.keys().find(|key| !found.facts.contains_key(key)).cloned();
        self.unless(differs.is_none() && lost.is_none(), "durable", || {
            format!("the store has another {differs:?}, and does not have {lost:?}")
        });
        // What was measured and could not be written yet is measured anew.
        let mut remembered = BTreeMap::new();
        let excused = self.excused;
        for aim in self.books.watches.keys().chain(self.books.remembered.keys()).copied().collect::<Vec<_>>() {
            let known = match self.books.watches.get(&aim) {
                Some(watch) => watch.known(),
                None => self.books.remembered.get(&aim).copied(),
            };
            let stored = found.health.get(&aim.to_string()).and_then(|health| good(*health));
            self.unless(stored == known || self.turn.now <= excused, "durable", || {
                format!("{aim} was known as {known:?}, and the store says {stored:?}")
            });
            remembered.extend(stored.map(|stored| (aim, stored)));
        }
        self.books.remembered = remembered;
        self.books.restart(now);
        self.before = None;
        self.published = None;
        self.excused = 0;
        self.books.failing = None;
        self.turn = Turn::new(now, Doing::Start);
        self.books.load(sketch, now);
        self.books.refresh(now);
    }

    pub(super) fn begin(&mut self, now: u64, doing: Doing) {
        let hub = match &doing {
            Doing::Command(
                Command::Failover { hub, .. } | Command::Failback { hub, .. } | Command::Drill { hub, .. },
            ) => {
                let hub = hub_of(hub);
                Some((hub, self.books.hubs.get(hub).cloned()))
            }
            _ => None,
        };
        let busy =
            hub.as_ref().and_then(|(hub, _)| self.books.moves.get(hub)).filter(|open| open.stage.is_open()).cloned();
        self.turns += 1;
        self.turn = Turn { hub, busy, ..Turn::new(now, doing) };
        if now > self.excused {
            self.books.failing = None;
        }
        if matches!(self.turn.doing, Doing::Tick) {
            self.books.look(now);
        }
        self.books.end_drills(now);
        if let Doing::Command(Command::EndDrill { hub, .. }) = &self.turn.doing {
            self.books.drills.remove(hub_of(hub));
        }
        self.books.refresh(now);
    }

    pub(super) fn load(&mut self, sketch: Arc<Sketch>) {
        self.before = Some(Box::new(self.books.clone()));
        self.books.load(sketch, self.turn.now);
        self.books.refresh(self.turn.now);
    }

    /// The clock went forward by more than was lived through.
    pub(super) fn jump(&mut self, from: u64) {
        self.books.skip(from, self.turn.now);
        self.books.refresh(self.turn.now);
    }

    pub(super) fn observe(&mut self, aim: Aim, good: bool, began: u64, at: u64) {
        let known = |books: &Books| books.watches.get(&aim).map(|watch| (watch.verdict, watch.failing.is_some()));
        let before = known(&self.books);
        self.books.observe(aim, good, began, at);
        if known(&self.books) != before || !self.books.drills.is_empty() {
            self.books.refresh(self.turn.now);
        }
    }

    /// A gate was looked at.
    pub(super) fn evidence(&mut self, gate: usize, at: u64, open: bool) {
        if self.books.sketch.gates_used().contains(&gate) {
            self.books.evidence.insert(gate, (at, open));
        }
    }

    /// A region has answered that it is left.
    pub(super) fn fenced(&mut self, hub: &'static str, to: &'static str, epoch: u64, planned: u64, acknowledged: bool) {
        let now = self.turn.now;
        let same = |owed: &&mut Owed| (owed.to, owed.epoch, owed.planned, owed.lost) == (to, epoch, planned, false);
        if let Some(owed) = self.books.owed.get_mut(hub).filter(same) {
            owed.acknowledged = acknowledged;
            if !acknowledged {
                self.books.owed.remove(hub);
            }
        }
        let open = self.books.moves.get(hub).filter(|open| open.stage.is_open());
        let wanted = self.books.want(hub).is_some_and(|want| want.to == to)
            || open.is_some_and(|open| region_of(&open.to) == to)
            || self.books.hubs.get(hub).is_some_and(|book| book.epoch >= epoch);
        let asked = |said: &&mut Fencing| (said.to, said.epoch, said.planned) == (to, epoch, planned);
        let Some(said) = self.books.fences.get_mut(hub).filter(asked) else { return };
        said.answer = Some((now, acknowledged));
        // It is told that it stays, by whoever reads that it was told in vain: for another move it is told anew.
        if acknowledged && !wanted {
            self.books.fences.remove(hub);
        }
    }

    /// A region is being told that it is left.
    pub(super) fn calls_fence(&mut self, hub: &'static str, to: &'static str, epoch: u64, planned: u64) {
        let now = self.turn.now;
        let present = self.books.hubs.get(hub).map_or(0, |book| book.epoch);
        self.unless(epoch == present + 1, "fence", || format!("{hub} announces epoch {epoch} at epoch {present}"));
        let moving = self
            .books
            .moves
            .get(hub)
            .filter(|planned| region_of(&planned.to) == to && matches!(planned.stage, Stage::Ready { .. }))
            .is_some_and(|planned| {
                planned.options.break_glass.is_some() || self.books.broken_rule(hub, to, now, true).is_none()
            });
        let wanted = self.books.want(hub).is_some_and(|want| {
            let held = self.books.barriers(hub, want, now, true).into_iter();
            let held = held.chain(self.books.gates_and_rules(hub, to, Some(want.why), now, true));
            want.to == to && held.into_iter().all(|(rule, _)| rule == "fence")
        });
        self.unless(moving || wanted, "fence", || format!("{hub} announces a move to {to} that is held or not wanted"));
        let owed = Owed { to, epoch, planned, acknowledged: false, lost: false };
        self.books.owed.insert(hub, owed);
        let answer = None;
        self.books.fences.insert(hub, Fencing { to, epoch, planned, called: now, answer, doubtful: false });
    }

    // What comes out.

    pub(super) fn failed(&mut self) {
        self.turn.failed = true;
        self.unpublished = true;
        if let Some(before) = self.before.take() {
            self.books = *before;
        }
        let until = self.turn.now + 1_000;
        self.excused = self.excused.max(until);
        let failing = self.books.failing.get_or_insert(Failing { since: self.turn.now, until });
        failing.until = failing.until.max(until);
        self.books.fences.values_mut().for_each(|said| said.doubtful = true);
        for book in self.books.hubs.values_mut() {
            let wanted = book.wanted.iter_mut().map(|(_, since)| since);
            book.good.values_mut().chain(wanted).for_each(|since| since.latest = since.latest.max(until));
        }
    }

    /// The process is killed, perhaps just before a commit was durable.
    pub(super) fn killed(&mut self, before_commit: bool) {
        if before_commit {
            if let Some(before) = self.before.take() {
                self.books = *before;
            }
            // What was measured by this very event is measured anew.
            self.excused = u64::MAX;
        }
    }

    /// A kill came between a commit and its publication: where the start after it moves a hub on, nobody sees the change.
    pub(super) fn unpublished(&mut self, commit: &Commit) {
        let Some(switch) = &commit.switch else { return };
        for hub in switch.changes.iter().filter_map(|change| switch.roster.name(change.hub)) {
            self.answers.entry(hub_of(hub)).and_modify(|answer| answer.unseen = true);
        }
    }

    /// A commit is durable.
    pub(super) fn commit(&mut self, commit: &Commit) {
        self.turn.commits += 1;
        let in_order = self.turn.commits == 1 && self.turn.published == 0 && !self.turn.replied;
        self.unless(in_order, "order", || "a commit came second, or late".into());
        self.unless(!commit.is_empty(), "quiet", || "an empty commit was made".into());
        for (target, _, after) in &commit.marks {
            let mark = after.as_ref().map(|mark| Mark { kind: mark.kind, until: mark.until.map(|until| until.0) });
            self.marked(target_of(target), mark);
        }
        for (key, before, after) in &commit.facts {
            let known = self.facts.get(key).cloned();
            self.unless(known == *before, "books", || format!("{key} was {known:?}, and the commit says {before:?}"));
            self.fact(key, after.as_ref(), true);
        }
        self.forget_fences(commit);
        self.books.refresh(self.turn.now);
        // One that changed twice within an event is written twice, and the last word counts.
        let last: BTreeMap<_, _> = commit.health.iter().map(|(target, health)| (target, health)).collect();
        for (target, health) in last {
            let aim = self.books.watches.keys().copied().find(|aim| aim.to_string() == target.to_string());
            let known = aim.and_then(|aim| self.books.watches[&aim].known());
            self.unless(known == good(*health), "mark-health", || {
                format!("{target} was committed as {}, and observations say {known:?}", health.word())
            });
        }
        let Some(switch) = &commit.switch else { return };
        self.turn.changes = switch.changes.len();
        for change in &switch.changes {
            let name = switch.roster.name(change.hub).cloned();
            let Some(hub) = name.as_ref().map(hub_of) else {
                self.broken("books", || format!("hub {} has no name", change.hub.0));
                continue;
            };
            self.change(hub, change);
        }
    }
}

impl Checker {
    /// A region that was told for a move that is given up is told anew for the next.
    fn forget_fences(&mut self, commit: &Commit) {
        let moved = |hub| {
            let mut changes =
                commit.switch.iter().flat_map(|switch| switch.changes.iter().map(move |change| (switch, change)));
            changes.any(|(switch, change)| switch.roster.name(change.hub).map(hub_of) == Some(hub))
        };
        for (key, _, after) in &commit.facts {
            let planned = after.as_ref().and_then(|after| after.get::<Move>().ok());
            let stopped = planned.is_some_and(|planned| matches!(planned.stage, Stage::Stopped { .. }));
            if let Some(hub) = key.hub().as_ref().map(hub_of).filter(|hub| stopped && !moved(*hub)) {
                self.books.fences.remove(hub);
            }
        }
    }
}

/// How far a stage is.
fn rank(stage: &Stage) -> u8 {
    match stage {
        Stage::Approval { .. } => 0,
        Stage::Scheduled { .. } => 1,
        Stage::Ramp { .. } => 2,
        Stage::Ready { .. } => 3,
        Stage::Drain { .. } => 4,
        Stage::Done { .. } => 5,
        Stage::Stopped { .. } => 6,
    }
}

fn good(health: Health) -> Option<bool> {
    match health {
        Health::Unknown => None,
        Health::Up => Some(true),
        Health::Down => Some(false),
    }
}
