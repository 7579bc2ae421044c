//! The invariants, next to each other, and the checker that looks at everything that goes in and comes out.
//!
//! The checker knows the sketch of the policy, what was delivered to the core (observations, commands, the time) and what
//! came out of it (commits, publications, replies). It never asks the core why.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::books::{Book, Books, Mark, Want, Why};
use super::history::Target;
use super::sketch::{Aim, HUBS, REGIONS, Sketch};
use crate::answer::snapshot::{Choice, What};
use crate::control::State;
use crate::control::change::{Change, ChangeKind};
use crate::control::event::{Command, CommandError, Commit};
use crate::control::mark::MarkTarget;
use crate::control::report::Moved;
use crate::control::state::Persisted;
use crate::dns::Name;
use crate::health::Health;
use crate::policy::{MarkKind, RegionName};
use crate::time::Timestamp;

/// A rule that no history may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Its name, as a failing history shows it.
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
}

/// Every invariant.
pub const INVARIANTS: [Invariant; 21] = [
    Invariant {
        name: "one-answer",
        says: "every hub has exactly one choice in every snapshot, and it can be answered",
    },
    Invariant {
        name: "single-region",
        says: "all endpoints at once only where when_all_down says so, nothing is eligible and nothing drained is left",
    },
    Invariant { name: "all-ends", says: "all endpoints at once ends when an endpoint is known to be good" },
    Invariant { name: "epoch", says: "an epoch is the number of changes of the active region, and never goes back" },
    Invariant {
        name: "eligible",
        says: "no move leads to an endpoint that may not be chosen, nor past one that is preferred and may be",
    },
    Invariant {
        name: "stay",
        says: "no active region that is eligible is left but for a better one, as failback says, or by an operator",
    },
    Invariant {
        name: "dwell",
        says: "no move inside the dwell since the last automatic switch, but away from a mark down",
    },
    Invariant {
        name: "verdict",
        says: "no move to an endpoint whose first verdict is still to come, unless it is marked up",
    },
    Invariant {
        name: "failback",
        says: "a better region takes over only once it has been good for failback.after without a break",
    },
    Invariant { name: "prompt", says: "a move that is wanted and that nothing holds is made by the same event" },
    Invariant {
        name: "alive",
        says: "a region that is healthy, and the only one, has the traffic within the bound that probes and dwell allow",
    },
    Invariant { name: "mark-health", says: "health is what observations say, whatever is marked" },
    Invariant { name: "mark", says: "a mark is what an operator said last, until it was said to end, and no longer" },
    Invariant { name: "move", says: "an operator's move is applied once or not at all, and only as planned" },
    Invariant { name: "refusal", says: "nothing is decided that the last look before the publication refuses" },
    Invariant {
        name: "durable",
        says: "what was acknowledged or published is found again after a kill at any point, and nothing else",
    },
    Invariant { name: "restart", says: "a restart changes no answer" },
    Invariant {
        name: "quiet",
        says: "a change that moves nothing publishes nothing, and a change that moves publishes once",
    },
    Invariant { name: "order", says: "commit, publication, reply, in this order and at most once each" },
    Invariant {
        name: "wake",
        says: "what waits says when it is over, and the loop is never asked to wake in the past",
    },
    Invariant { name: "books", says: "what the daemon holds is what it has committed" },
];

/// An invariant that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub rule: &'static str,
    /// What happened instead.
    pub sentence: String,
}

/// What a test may add to the invariants: looks at a hub and the region it answers, `None` for all of them, and says what
/// is wrong with it.
pub type Extra = fn(hub: &str, active: Option<&str>) -> Option<String>;

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
    commits: u32,
    failed: bool,
    published: u32,
    replied: bool,
    /// The command's hub, moved by the command itself.
    moved: bool,
    marked: bool,
    changes: usize,
}

impl Turn {
    fn new(now: u64, doing: Doing) -> Self {
        Self {
            now,
            doing,
            hub: None,
            commits: 0,
            failed: false,
            published: 0,
            replied: false,
            moved: false,
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
            Doing::Command(Command::Failover { hub, .. } | Command::Failback { hub, .. }) => {
                let hub = hub_of(hub);
                Some((hub, self.books.hubs.get(hub).cloned()))
            }
            _ => None,
        };
        self.turns += 1;
        self.turn = Turn { hub, ..Turn::new(now, doing) };
        if now > self.excused {
            self.books.failing = None;
        }
        if matches!(self.turn.doing, Doing::Tick) {
            self.books.look(now);
        }
        self.books.refresh(now);
    }

    pub(super) fn load(&mut self, sketch: Arc<Sketch>) {
        self.before = Some(Box::new(self.books.clone()));
        self.books.load(sketch, self.turn.now);
        self.books.refresh(self.turn.now);
    }

    pub(super) fn observe(&mut self, aim: Aim, good: bool, at: u64) {
        let Some(probe) = self.books.sketch.probes.get(aim.probe).cloned() else { return };
        let Some(watch) = self.books.watches.get_mut(&aim) else { return };
        let before = watch.verdict;
        watch.observe(&probe, good, at);
        if watch.verdict != before {
            self.books.refresh(self.turn.now);
        }
    }

    // What comes out.

    pub(super) fn failed(&mut self) {
        self.turn.failed = true;
        if let Some(before) = self.before.take() {
            self.books = *before;
        }
        let until = self.turn.now + 1_000;
        self.excused = self.excused.max(until);
        self.books.failing.get_or_insert(self.turn.now);
        for since in self.books.hubs.values_mut().flat_map(|book| book.good.values_mut()) {
            since.latest = since.latest.max(until);
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

    /// A commit that nobody was told of is found by a later daemon.
    fn surface(&mut self, commit: &Commit) {
        for (target, _, after) in &commit.marks {
            match after {
                Some(mark) => {
                    let mark = Mark { kind: mark.kind, until: mark.until.map(|until| until.0) };
                    self.books.marks.insert(target_of(target), mark);
                }
                None => drop(self.books.marks.remove(&target_of(target))),
            }
        }
        let Some(switch) = &commit.switch else { return };
        for change in &switch.changes {
            let Some(hub) = switch.roster.name(change.hub).map(hub_of) else { continue };
            self.write_at(
                switch.at.0,
                hub,
                change,
                change.after.last_automatic == Some(switch.at) && change.kind == ChangeKind::Switch,
            );
            self.answers.entry(hub).and_modify(|answer| answer.unseen = true);
        }
    }

    fn marked(&mut self, target: Target, after: Option<Mark>) {
        self.turn.marked = true;
        let now = self.turn.now;
        let before = self.books.marks.get(&target).copied();
        let due = before.and_then(|mark| mark.until).is_some_and(|until| until <= now);
        let justified = match (&self.turn.doing, after) {
            (Doing::Command(Command::Mark { target: asked, kind, until, .. }), Some(mark)) => {
                target_of(asked) == target && mark == Mark { kind: *kind, until: until.map(|until| until.0) }
            }
            (Doing::Command(Command::Unmark { target: asked, .. }), None) => target_of(asked) == target || due,
            (_, None) => due,
            (_, Some(_)) => false,
        };
        self.unless(justified, "mark", || format!("{target} became {after:?} from {before:?}, which nobody asked for"));
        match after {
            Some(mark) => drop(self.books.marks.insert(target, mark)),
            None => drop(self.books.marks.remove(&target)),
        }
    }

    /// One hub's change, against everything that is known.
    fn change(&mut self, hub: &'static str, change: &Change) {
        let now = self.turn.now;
        let (to, book) = (region_of(&change.after.active), self.books.hubs.get(hub).cloned());
        let told = change.before.as_ref().map(|before| (region_of(&before.active), before.epoch, before.all));
        let known = book.as_ref().map(|book| (book.active, book.epoch, book.all));
        self.unless(told == known, "books", || format!("{hub} stands at {known:?}, and the commit says {told:?}"));
        let moves = book.as_ref().is_none_or(|book| book.active != to);
        let epoch = book.as_ref().map_or(0, |book| book.epoch) + u64::from(moves);
        let says = change.after.epoch;
        self.unless(says == epoch, "epoch", || {
            format!("{hub} moves to {to} as epoch {says}, and it is change {epoch}")
        });
        let position = self.books.hub(hub).and_then(|sketch| sketch.position(to));
        self.unless(position.is_some(), "eligible", || format!("{hub} has no endpoint in {to}"));
        if change.kind == ChangeKind::Answer {
            let all = change.after.all;
            let wanted = self.books.all_wanted(hub);
            self.unless(!moves && (!all || wanted), "single-region", || format!("{hub} answers all endpoints: {all}"));
            self.write(hub, change, false);
            return;
        }
        self.unless(!change.after.all, "single-region", || format!("{hub} moves, and answers all endpoints"));
        let automatic = match &book {
            None => {
                self.fresh(hub, to);
                false
            }
            Some(book) if self.books.hub(hub).is_some_and(|sketch| sketch.position(book.active).is_none()) => {
                self.fresh(hub, to);
                false
            }
            Some(book) if !self.turn.moved && self.turn.hub.as_ref().is_some_and(|(asked, _)| *asked == hub) => {
                self.turn.moved = true;
                self.ordered(hub, to, book.active);
                false
            }
            Some(book) => {
                self.unless(moves, "stay", || format!("{hub} moves to {to}, where it is"));
                let want = self.books.want(hub);
                let why = self.wanted(hub, book.active, to, want, now);
                matches!(why, Some(Why::Health | Why::Better))
            }
        };
        self.write(hub, change, automatic);
        let chosen = matches!(&self.turn.doing, Doing::Command(Command::Failover { .. })) && self.turn.moved;
        let chosen = chosen && self.turn.hub.as_ref().is_some_and(|(asked, _)| *asked == hub) && moves;
        if let Some(book) = self.books.hubs.get_mut(hub) {
            book.chosen = chosen;
        }
    }

    /// A choice where nothing stands.
    fn fresh(&mut self, hub: &'static str, to: &'static str) {
        let first = self.books.endpoints(hub).next();
        let expected = self.books.candidate(hub).or(first);
        self.unless(expected == Some(to), "eligible", || format!("{hub} begins with {to}, not with {expected:?}"));
    }

    /// A move that an operator ordered.
    fn ordered(&mut self, hub: &'static str, to: &'static str, from: &'static str) {
        let now = self.turn.now;
        let (asked, epoch) = match &self.turn.doing {
            Doing::Command(Command::Failover { to, epoch, .. }) => (Some(region_of(to)), *epoch),
            Doing::Command(Command::Failback { epoch, .. }) => (self.books.endpoints(hub).next(), *epoch),
            _ => (None, None),
        };
        let present = self.books.hubs.get(hub).map(|book| book.epoch);
        self.unless(asked == Some(to) && from != to, "move", || format!("{hub} moves to {to}, not to {asked:?}"));
        self.unless(epoch.is_none() || epoch == present, "move", || {
            format!("{hub} moves to {to} as planned at epoch {epoch:?}, and the epoch is {present:?}")
        });
        self.unless(self.books.eligible(hub, to), "eligible", || format!("an operator moved {hub} to {to}"));
        let verdict = self.books.first_verdict(hub, to).is_none_or(|by| by <= now);
        self.unless(verdict, "verdict", || format!("an operator moved {hub} to {to}, of which nothing is known yet"));
    }

    /// A move that nobody ordered.
    fn wanted(
        &mut self,
        hub: &'static str,
        from: &'static str,
        to: &'static str,
        want: Option<Want>,
        now: u64,
    ) -> Option<Why> {
        let Some(want) = want else {
            self.broken("stay", || format!("{hub} switches from {from} to {to}, and nothing speaks for it"));
            return None;
        };
        let meant = want.to;
        self.unless(meant == to, "eligible", || format!("{hub} switches from {from} to {to}, not to {meant}"));
        for (rule, sentence) in self.books.barriers(hub, want, now, true) {
            self.broken(rule, || format!("{hub} switches from {from} to {to}, and {sentence}; it is {now}"));
        }
        Some(want.why)
    }

    fn write(&mut self, hub: &'static str, change: &Change, automatic: bool) {
        self.write_at(self.turn.now, hub, change, automatic);
        self.books.refresh(self.turn.now);
    }

    fn write_at(&mut self, now: u64, hub: &'static str, change: &Change, automatic: bool) {
        let to = region_of(&change.after.active);
        let book = self.books.hubs.entry(hub).or_insert_with(|| Book::new(to));
        if book.epoch == 0 || book.active != to {
            book.epoch += 1;
            (book.since, book.written_since) = (now, now);
        }
        book.active = to;
        book.all = change.after.all;
        if automatic {
            book.last_automatic = Some(now);
            book.written_automatic = Some(now);
        }
        if change.kind == ChangeKind::Switch {
            book.chosen = change.after.cause == crate::policy::Cause::Failover;
        }
    }

    /// A snapshot is published.
    pub(super) fn publish(&mut self, hubs: Vec<&'static str>, choices: &[Choice]) {
        self.turn.published += 1;
        let in_order = self.turn.published == 1 && !self.turn.replied;
        self.unless(in_order, "order", || "a publication came second, or late".into());
        let expected: Vec<_> = self.books.sketch.hubs.keys().copied().collect();
        self.unless(hubs == expected && choices.len() == hubs.len(), "one-answer", || {
            format!("{hubs:?} are published with {} choices, and the policy has {expected:?}", choices.len())
        });
        let loads = matches!(self.turn.doing, Doing::Start | Doing::Load);
        let same = self.published.as_ref().is_some_and(|(_, before)| **before == *choices);
        self.unless(loads || !same, "quiet", || "what is published is what was published before".into());
        let starts = self.published.is_none();
        for (hub, choice) in hubs.iter().copied().zip(choices) {
            self.answer(hub, *choice, starts);
        }
        self.published = Some((hubs, choices.into()));
    }

    fn answer(&mut self, hub: &'static str, choice: Choice, starts: bool) {
        let Some(book) = self.books.hubs.get(hub).cloned() else {
            self.broken("one-answer", || format!("{hub} is published, and nothing was committed of it"));
            return;
        };
        let active = match choice.what {
            What::All => None,
            What::Endpoint(at) => self.books.endpoints(hub).nth(usize::from(at)),
        };
        let resort = self.books.hub(hub).map(|sketch| sketch.resort);
        match active {
            None => {
                let may = choice.what == What::All && resort == Some(super::sketch::ResortSketch::All) && book.all;
                self.unless(may, "single-region", || format!("{hub} answers {choice:?}"));
            }
            Some(active) => {
                let committed = book.active == active && !book.all;
                self.unless(committed, "one-answer", || {
                    format!("{hub} answers {active}, and what was committed is {} (all: {})", book.active, book.all)
                });
            }
        }
        self.unless(choice.epoch == book.epoch && choice.since.0 == book.since, "epoch", || {
            format!("{hub} is published as {choice:?}, and is at epoch {} since {}", book.epoch, book.since)
        });
        if let Some(sentence) = self.extra.and_then(|extra| extra(hub, active)) {
            self.broken("extra", || sentence);
        }
        let known = self.answers.get(hub).cloned();
        let answer = match (known, active) {
            (None, _) => Answer { active: book.active, changes: 1, unseen: book.epoch != 1 },
            (Some(known), None) => Answer { unseen: true, ..known },
            (Some(known), Some(active)) => {
                let changes = known.changes + u64::from(known.active != active);
                Answer { active, changes, ..known }
            }
        };
        let counted = answer.unseen || answer.changes == book.epoch;
        self.unless(counted, "epoch", || {
            format!("{hub} is at epoch {}, and {} changes were published", book.epoch, answer.changes)
        });
        let _ = starts;
        let answer = if answer.unseen && active.is_some() {
            Answer { changes: book.epoch, unseen: false, ..answer }
        } else {
            answer
        };
        self.answers.insert(hub, answer);
    }

    /// The answer to a command.
    pub(super) fn reply(&mut self, reply: &Result<Moved, CommandError>) {
        let twice = std::mem::replace(&mut self.turn.replied, true);
        self.unless(!twice, "order", || "a command was answered twice".into());
        if self.turn.failed {
            self.unless(reply.is_err(), "durable", || "a command was acknowledged whose commit failed".into());
            return;
        }
        let (now, doing) = (self.turn.now, self.turn.doing.clone());
        let Doing::Command(command) = doing else { return };
        let changed = reply.as_ref().is_ok_and(|moved| moved.changed);
        match command {
            Command::Mark { target, kind, until, .. } => {
                let target = target_of(&target);
                let wanted = Mark { kind, until: until.map(|until| until.0) };
                let past = wanted.until.is_some_and(|until| until <= now);
                let there = self.is_there(target);
                self.unless(reply.is_ok() == (there && !past), "mark", || format!("marking {target}: {reply:?}"));
                let stands = self.books.marks.get(&target) == Some(&wanted);
                self.unless(reply.is_err() || stands, "mark", || format!("{target} was acknowledged as {wanted:?}"));
            }
            Command::Unmark { target, .. } => {
                let target = target_of(&target);
                let stands = self.books.marks.contains_key(&target);
                self.unless(!stands, "mark", || format!("{target} is marked after it was taken away: {reply:?}"));
            }
            Command::Failover { to, epoch, .. } => self.replied_move(Some(region_of(&to)), epoch, changed, reply),
            Command::Failback { epoch, .. } => self.replied_move(None, epoch, changed, reply),
        }
    }

    fn is_there(&self, target: Target) -> bool {
        let hubs = &self.books.sketch.hubs;
        match target {
            Target::Region(region) => hubs.values().any(|hub| hub.position(region).is_some()),
            Target::Endpoint(hub, region) => hubs.get(hub).is_some_and(|hub| hub.position(region).is_some()),
        }
    }

    fn replied_move(
        &mut self,
        to: Option<&'static str>,
        epoch: Option<u64>,
        changed: bool,
        reply: &Result<Moved, CommandError>,
    ) {
        let Some((hub, before)) = self.turn.hub.clone() else { return };
        let to = to.or_else(|| self.books.endpoints(hub).next());
        let present = before.as_ref().map(|book| book.epoch);
        let here = before.as_ref().map(|book| book.active) == to;
        let known = to.is_some_and(|to| self.books.hub(hub).is_some_and(|sketch| sketch.position(to).is_some()));
        let repeats = here && epoch.is_some_and(|epoch| Some(epoch + 1) == present);
        let planned = epoch.is_none() || epoch == present;
        let open = to.is_some_and(|to| {
            let verdict = self.books.first_verdict(hub, to).is_none_or(|by| by <= self.turn.now);
            self.books.eligible(hub, to) && verdict
        });
        let (accepts, moves) = match (known, planned, here) {
            (false, ..) => (false, false),
            (true, false, _) => (repeats, false),
            (true, true, true) => (true, false),
            (true, true, false) => (open, open),
        };
        self.unless(reply.is_ok() == accepts, "move", || {
            format!("{hub} to {to:?}, planned at {epoch:?} with epoch {present:?}: {reply:?}")
        });
        let moved = self.turn.moved;
        self.unless(changed == moves && moved == moves, "move", || {
            format!("{hub} to {to:?}: the reply says changed: {changed}, and it moved: {moved}")
        });
    }

    /// What the daemon holds after all this.
    pub(super) fn end(&mut self, state: &State) {
        let now = self.turn.now;
        self.before = None;
        self.books.refresh(now);
        let waits = matches!(self.turn.doing, Doing::Command(_)) && !self.turn.replied;
        self.unless(!waits, "order", || "a command was not answered".into());
        let hubs: Vec<_> = self.books.sketch.hubs.keys().copied().collect();
        for hub in hubs.iter().copied() {
            self.stands(hub, state);
            if now > self.excused {
                self.is_prompt(hub, now);
            }
        }
        let published = self.published.as_ref().is_some_and(|(_, choices)| **choices == *state.choices());
        self.unless(published, "quiet", || "what is published is not what stands".into());
        let marks = state.marks().clone();
        self.same_marks(&marks, "books");
        let late = |mark: &Mark| mark.until.is_some_and(|until| until <= now);
        if now > self.excused
            && let Some((target, mark)) = self.books.marks.iter().find(|(_, mark)| late(mark))
        {
            let sentence = format!("{target} is {mark:?} at {now}");
            self.broken("mark", || sentence);
        }
        if matches!(self.turn.doing, Doing::Command(_) | Doing::Start) || self.turn.marked || self.turns % 64 == 0 {
            self.measured(state);
        }
    }

    fn stands(&mut self, hub: &'static str, state: &State) {
        let standing = Name::parse(hub, None).ok().and_then(|name| state.standing(&name).cloned());
        let book = self.books.hubs.get(hub);
        let same = match (&standing, book) {
            (Some(standing), Some(book)) => {
                standing.active.as_str() == book.active && standing.epoch == book.epoch && standing.all == book.all
            }
            (None, None) => true,
            _ => false,
        };
        let known = book.map(|book| (book.active, book.epoch));
        self.unless(same, "books", || format!("{hub} stands at {standing:?}, and what was committed is {known:?}"));
    }

    /// Nothing that could be done is left undone.
    fn is_prompt(&mut self, hub: &'static str, now: u64) {
        let Some(book) = self.books.hubs.get(hub) else {
            self.broken("prompt", || format!("{hub} is in the policy, and nothing stands"));
            return;
        };
        let (active, all) = (book.active, book.all);
        if self.books.hub(hub).is_some_and(|sketch| sketch.position(active).is_none()) {
            self.broken("prompt", || format!("{hub} stays on {active}, which the policy does not have"));
            return;
        }
        if let Some(want) = self.books.want(hub) {
            let barriers = self.books.barriers(hub, want, now, false);
            self.unless(!barriers.is_empty(), "prompt", || {
                format!("{hub} stays on {active} at {now}, and nothing holds the move to {} ({:?})", want.to, want.why)
            });
        }
        self.unless(all || !self.books.all_wanted(hub), "prompt", || {
            format!("{hub} answers {active} alone, and nothing is eligible")
        });
        let over = all && self.books.eligible(hub, active) && self.books.something_good(hub);
        self.unless(!over, "all-ends", || format!("{hub} answers all endpoints, and one is good"));
    }

    fn same_marks(&mut self, marks: &crate::control::mark::Marks, rule: &'static str) {
        let held: BTreeMap<_, _> = marks
            .iter()
            .map(|(target, mark)| (target_of(target), Mark { kind: mark.kind, until: mark.until.map(|until| until.0) }))
            .collect();
        let same = held == self.books.marks;
        let books = &self.books.marks;
        let sentence = (!same).then(|| format!("the marks are {held:?}, and what operators said is {books:?}"));
        if let Some(sentence) = sentence {
            self.broken(rule, || sentence);
        }
    }

    /// What the daemon shows of health is what observations say.
    fn measured(&mut self, state: &State) {
        let status = state.status(Timestamp(self.turn.now));
        for hub in &status.hubs {
            let name = hub_of(&hub.name);
            for endpoint in &hub.endpoints {
                let region = region_of(&endpoint.region);
                let (shown, known) = (good(endpoint.measured), self.books.health(name, region));
                self.unless(shown == known, "mark-health", || {
                    format!("{name} in {region} is shown as {shown:?}, and observations say {known:?}")
                });
                let mark = endpoint.mark.as_ref().map(|mark| mark.mark.kind);
                let said = self.books.mark(name, region);
                self.unless(mark == said, "mark", || {
                    format!("{name} in {region} is shown as marked {mark:?}, and operators said {said:?}")
                });
            }
        }
        self.unless(status.totals.refused == 0, "refusal", || "a decision was refused".into());
    }

    /// How long it may take until the only healthy region has the traffic, in milliseconds: verdicts on all endpoints,
    /// each as long as its probe needs at worst and begun up to two intervals late, then the dwell, a commit tried again
    /// and the latest delivery.
    pub(super) fn bound(&self, hub: &'static str, latest: u64) -> u64 {
        let Some(sketch) = self.books.hub(hub) else { return 0 };
        let verdicts = sketch.endpoints.iter().filter_map(|endpoint| endpoint.aim()).map(|aim| {
            let probe = self.books.probe(aim);
            2 * probe.interval + probe.worst_detection().max(probe.worst_recovery())
        });
        verdicts.max().unwrap_or(0) + sketch.dwell * 1_000 + latest + 3_000
    }

    /// Looks whether the only healthy region has the traffic, when nothing has happened for `calm` milliseconds.
    pub(super) fn calm(&mut self, calm: u64, latest: u64, healthy: impl Fn(Aim) -> Option<bool>) {
        let hubs: Vec<_> = self.books.sketch.hubs.keys().copied().collect();
        for hub in hubs {
            let bound = self.bound(hub, latest);
            if calm <= bound {
                continue;
            }
            let Some(sketch) = self.books.hub(hub) else { continue };
            let well = sketch.endpoints.iter().map(|endpoint| match self.books.mark(hub, endpoint.region) {
                Some(MarkKind::Up) => Some(true),
                Some(_) => Some(false),
                None => endpoint.aim().and_then(&healthy),
            });
            let well: Vec<_> = well.collect();
            let alone =
                well.iter().all(Option::is_some) && well.iter().filter(|well| **well == Some(true)).count() == 1;
            let only = well.iter().position(|well| *well == Some(true)).map(|at| sketch.endpoints[at].region);
            let active = self.books.hubs.get(hub).map(|book| book.active);
            self.unless(!alone || only == active, "alive", || {
                format!("{only:?} is the only healthy region of {hub} for {calm} ms, and it answers {active:?}; the bound is {bound} ms")
            });
        }
    }
}

fn good(health: Health) -> Option<bool> {
    match health {
        Health::Unknown => None,
        Health::Up => Some(true),
        Health::Down => Some(false),
    }
}
