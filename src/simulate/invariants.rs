//! The invariants, next to each other, and the checker that looks at everything that goes in and comes out.
//!
//! The checker knows the sketch of the policy, what was delivered to the core (observations, commands, the time) and what
//! came out of it (commits, publications, replies). It never asks the core why.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::books::{Book, Books, Fencing, Mark, Want, Why, Window};
use super::history::Target;
use super::sketch::{ACK, Aim, GATES, HUBS, REGIONS, Sketch};
use crate::answer::snapshot::{Choice, What};
use crate::control::State;
use crate::control::change::{Change, ChangeKind};
use crate::control::event::{Command, CommandError, Commit};
use crate::control::fact::{Fact, FactKey, FactKind, Facts};
use crate::control::known::{FlapAck, GateAck, Window as WindowFact};
use crate::control::mark::MarkTarget;
use crate::control::moves::{Move, Stage};
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
pub const INVARIANTS: [Invariant; 29] = [
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
    Invariant {
        name: "sight",
        says: "no automatic move while this node is blind, or has reached no reference since the failure began",
    },
    Invariant {
        name: "flap-limit",
        says: "no automatic move of a hub that has flapped, until an operator acknowledges it",
    },
    Invariant { name: "budget", says: "no move of any origin over the budget, but by break-glass" },
    Invariant {
        name: "gate",
        says: "no move through a shut gate, but by force, or when proceed_after has passed since gates began to hold it",
    },
    Invariant {
        name: "safety-rule",
        says: "no move that breaks a safety rule, or breaks it further, but by break-glass",
    },
    Invariant {
        name: "look",
        says: "no move by health to an endpoint that was last seen good before the active one began to fail, unless its probe has had its time",
    },
    Invariant {
        name: "fence",
        says: "no move before the region that is left has acknowledged, or could not and need not",
    },
    Invariant {
        name: "low-ttl",
        says: "a hub answers its lower TTL exactly while its active endpoint is unsettled, a move is under way, or it has just switched",
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
    /// Whether a commit that failed may have kept something from being published.
    unpublished: bool,
    /// Since when a move that is under way has lowered the TTL of a hub.
    lowered: BTreeMap<&'static str, u64>,
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
            Doing::Command(Command::Failover { hub, .. } | Command::Failback { hub, .. }) => {
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
        self.books.refresh(now);
    }

    pub(super) fn load(&mut self, sketch: Arc<Sketch>) {
        self.before = Some(Box::new(self.books.clone()));
        self.books.load(sketch, self.turn.now);
        self.books.refresh(self.turn.now);
    }

    pub(super) fn observe(&mut self, aim: Aim, good: bool, at: u64) {
        let known = |books: &Books| books.watches.get(&aim).map(|watch| watch.verdict);
        let before = known(&self.books);
        self.books.observe(aim, good, at);
        if known(&self.books) != before {
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
    pub(super) fn fenced(&mut self, hub: &'static str, to: &'static str, epoch: u64, acknowledged: bool) {
        let now = self.turn.now;
        let said = self.books.fences.get_mut(hub).filter(|said| said.to == to && said.epoch == epoch);
        if let Some(said) = said {
            said.answer = Some((now, acknowledged));
        }
    }

    /// A region is being told that it is left.
    pub(super) fn calls_fence(&mut self, hub: &'static str, to: &'static str, epoch: u64) {
        let now = self.turn.now;
        let present = self.books.hubs.get(hub).map_or(0, |book| book.epoch);
        self.unless(epoch == present + 1, "fence", || format!("{hub} announces epoch {epoch} at epoch {present}"));
        let moving = self
            .books
            .moves
            .get(hub)
            .is_some_and(|planned| region_of(&planned.to) == to && matches!(planned.stage, Stage::Ready { .. }));
        let wanted = self.books.want(hub).is_some_and(|want| {
            let held = self.books.barriers(hub, want, now, true).into_iter();
            let held = held.chain(self.books.gates_and_rules(hub, to, Some(want.why), now));
            want.to == to && held.into_iter().all(|(rule, _)| rule == "fence")
        });
        self.unless(moving || wanted, "fence", || format!("{hub} announces a move to {to} that is held or not wanted"));
        self.books.fences.insert(hub, Fencing { to, epoch, called: now, answer: None });
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
        for (key, before, after) in &commit.facts {
            let known = self.facts.get(key).cloned();
            self.unless(known == *before, "books", || format!("{key} was {known:?}, and the commit says {before:?}"));
            self.fact(key, after.as_ref(), true);
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

    /// What is durable beside marks and standings.
    fn fact(&mut self, key: &FactKey, after: Option<&Fact>, live: bool) {
        match after {
            Some(fact) => drop(self.facts.insert(key.clone(), fact.clone())),
            None => drop(self.facts.remove(key)),
        }
        let hub = key.hub().map_or("?", |hub| hub_of(&hub));
        match key.kind() {
            FactKind::Gate => {
                let gate = GATES.iter().position(|gate| key.id() == Some(gate)).unwrap_or(ACK);
                match after.and_then(|fact| fact.get::<GateAck>().ok()) {
                    Some(ack) => {
                        self.books.acks.insert((hub, gate), (ack.epoch, ack.until.map(|until| until.0)));
                        let present = self.books.hubs.get(hub).map(|book| book.epoch);
                        self.unless(!live || Some(ack.epoch) == present, "gate", || {
                            format!("{hub} acknowledges {key} for epoch {}, and is at {present:?}", ack.epoch)
                        });
                    }
                    None => drop(self.books.acks.remove(&(hub, gate))),
                }
            }
            FactKind::Flap => match after.and_then(|fact| fact.get::<FlapAck>().ok()) {
                Some(ack) => drop(self.books.flaps.insert(hub, ack.at.0)),
                None => drop(self.books.flaps.remove(hub)),
            },
            FactKind::Window => self.window(key.id().unwrap_or_default(), after, live),
            FactKind::Move => self.moves(hub, after.and_then(|fact| fact.get::<Move>().ok()), live),
            FactKind::Override => {
                if after.is_some() {
                    self.turn.overridden.push(hub);
                }
            }
        }
    }

    fn window(&mut self, id: &str, after: Option<&Fact>, live: bool) {
        let now = self.turn.now;
        let before = self.books.windows.get(id).copied();
        let after = after.and_then(|fact| fact.get::<WindowFact>().ok()).map(|WindowFact { target, mark, begun }| {
            let until = mark.until.map_or(u64::MAX, |until| until.0);
            Window { target: target_of(&target), kind: mark.kind, from: mark.since.0, until, begun }
        });
        let justified = match (before, after, &self.turn.doing) {
            (None, Some(window), Doing::Command(Command::Mark { target, kind, from, until, .. })) => {
                let said = Window {
                    target: target_of(target),
                    kind: *kind,
                    from: from.map_or(0, |from| from.0),
                    until: until.map_or(0, |until| until.0),
                    begun: false,
                };
                window == said && said.from > now
            }
            (Some(before), Some(window), _) => {
                !before.begun && before.from <= now && window == Window { begun: true, ..before }
            }
            (Some(_), None, Doing::Command(Command::CloseWindow { id: closed, .. })) if closed == id => true,
            (Some(before), None, _) => before.until <= now,
            (None, ..) => false,
        };
        self.unless(!live || justified, "mark", || format!("window {id} became {after:?} from {before:?}"));
        self.turn.marked = true;
        match after {
            Some(window) => drop(self.books.windows.insert(id.to_owned(), window)),
            None => drop(self.books.windows.remove(id)),
        }
    }

    /// The stages of a planned move: forwards, each once, none skipped that waits.
    fn moves(&mut self, hub: &'static str, after: Option<Move>, live: bool) {
        let before = self.books.moves.get(hub).cloned();
        let Some(after) = after else {
            let gone = self.books.hub(hub).is_none();
            self.unless(!live || gone, "move", || format!("the move of {hub} is gone"));
            self.books.moves.remove(hub);
            return;
        };
        let same = before.as_ref().filter(|before| before.asked == after.asked && before.to == after.to);
        let forwards = match same {
            Some(before) => {
                let (was, is) = (rank(&before.stage), rank(&after.stage));
                let stops = matches!(after.stage, Stage::Stopped { .. }) && before.stage.is_open();
                let approved = was == 0 && after.approvals.len() >= before.approvals.len();
                stops || (before.stage.is_open() || was == 4) && (is >= was || approved) && is < 6
            }
            None => {
                let over = before.as_ref().is_none_or(|before| !before.stage.is_open());
                let asked = match &self.turn.doing {
                    Doing::Command(Command::Failover { to, .. }) => Some(to.clone()) == Some(after.to.clone()),
                    Doing::Command(Command::Failback { .. }) => true,
                    _ => false,
                };
                over && asked && self.turn.hub.as_ref().is_some_and(|(asked, _)| *asked == hub)
            }
        };
        let was = before.as_ref().map(|before| before.stage.clone());
        self.unless(!live || forwards, "move", || format!("the move of {hub} goes from {was:?} to {:?}", after.stage));
        let first = same.is_none_or(|before| before.stage.is_open());
        if matches!(after.stage, Stage::Drain { .. }) && first && live {
            self.turn.ordered.insert(hub, after.clone());
        }
        match after.stage.is_under_way() {
            true => drop(self.lowered.entry(hub).or_insert(self.turn.now)),
            false => drop(self.lowered.remove(hub)),
        }
        self.books.moves.insert(hub, after);
    }

    /// A commit that nobody was told of is found by a later daemon.
    fn surface(&mut self, commit: &Commit) {
        for (key, _, after) in &commit.facts {
            self.fact(key, after.as_ref(), false);
        }
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
            let wanted = self.books.all_wanted(hub) && !self.books.all_doubted(hub);
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
            Some(book) if self.turn.ordered.contains_key(hub) => {
                if let Some(planned) = self.turn.ordered.remove(hub) {
                    self.turn.moved |= self.turn.hub.as_ref().is_some_and(|(asked, _)| *asked == hub);
                    self.ordered(hub, to, book.active, &planned);
                }
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
    }

    /// A choice where nothing stands.
    fn fresh(&mut self, hub: &'static str, to: &'static str) {
        let first = self.books.endpoints(hub).next();
        let expected = self.books.candidate(hub).or(first);
        self.unless(expected == Some(to), "eligible", || format!("{hub} begins with {to}, not with {expected:?}"));
    }

    /// A move that an operator ordered, now or before.
    fn ordered(&mut self, hub: &'static str, to: &'static str, from: &'static str, planned: &Move) {
        let now = self.turn.now;
        let present = self.books.hubs.get(hub).map(|book| book.epoch);
        let options = &planned.options;
        self.unless(region_of(&planned.to) == to && from != to, "move", || format!("{hub} moves to {to}: {planned:?}"));
        self.unless(
            Some(planned.epoch) == present && options.epoch.is_none_or(|epoch| Some(epoch) == present),
            "move",
            || format!("{hub} moves to {to} as planned at epoch {}, and the epoch is {present:?}", planned.epoch),
        );
        let in_time = options.at.is_none_or(|at| at.0 <= now) && options.until.is_none_or(|until| until.0 > now);
        self.unless(in_time, "move", || format!("{hub} moves to {to} at {now}, not when it was to: {options:?}"));
        let mut approved: Vec<_> = planned.approvals.iter().map(|approval| &approval.author).collect();
        approved.sort_unstable();
        approved.dedup();
        let enough = approved.len() >= usize::from(planned.needed);
        self.unless(enough, "move", || format!("{hub} moves to {to} with the approval of {approved:?} alone"));
        if let Some(since) = self.lowered.get(hub).copied().filter(|_| !options.now)
            && let Some(sketch) = self.books.hub(hub).filter(|sketch| sketch.ttl_min < sketch.ttl)
        {
            let wait = sketch.ttl * 1_000;
            let waited = now.saturating_sub(since);
            self.unless(waited >= wait, "move", || format!("{hub} moves {waited} ms after its TTL was lowered"));
        }
        self.unless(self.books.eligible(hub, to), "eligible", || format!("an operator moved {hub} to {to}"));
        let verdict = self.books.first_verdict(hub, to).is_none_or(|by| by <= now);
        self.unless(verdict, "verdict", || format!("an operator moved {hub} to {to}, of which nothing is known yet"));
        let shut = !self.books.shut_gates(hub, to, now).is_empty();
        self.unless(!shut || options.force, "gate", || format!("an operator moved {hub} to {to} through a shut gate"));
        let spent = self.books.budget_ends(hub, now).is_some();
        let broken_glass = options.break_glass.is_some();
        self.unless(!spent || broken_glass, "budget", || format!("an operator moved {hub} to {to} over the budget"));
        let breaks = self.books.broken_rule(hub, to, now).is_some();
        self.unless(!breaks || broken_glass, "safety-rule", || {
            format!("an operator moved {hub} to {to} against a rule")
        });
        let held = self.books.gates_and_rules(hub, to, None, now).iter().any(|(rule, _)| *rule == "fence");
        let timeout = self.books.hub(hub).and_then(|sketch| sketch.fence).map_or(0, |(timeout, _)| timeout);
        let failed = self.books.fences.get(hub).is_some_and(|said| match said.answer {
            Some((_, acknowledged)) => !acknowledged,
            None => said.called + timeout <= now,
        });
        self.unless(!held || (options.force && failed), "fence", || format!("an operator moved {hub} to {to} untold"));
        let noted = self.turn.overridden.contains(&hub);
        self.unless(noted == (shut || spent || breaks), "move", || {
            format!("{hub} has moved to {to} past something: {}, and that is noted: {noted}", shut || spent || breaks)
        });
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
        let held = self.books.barriers(hub, want, now, true).into_iter();
        for (rule, sentence) in held.chain(self.books.gates_and_rules(hub, to, Some(want.why), now)).collect::<Vec<_>>()
        {
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
            if book.epoch > 1 {
                let automatic = automatic && change.kind == ChangeKind::Switch;
                for list in [&mut book.switches, &mut book.written_switches] {
                    list.push((now, automatic));
                }
            }
        }
        if change.kind == ChangeKind::Switch {
            self.books.fences.remove(hub);
            (book.gated, book.wanted) = (None, None);
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
        let loads = matches!(self.turn.doing, Doing::Start | Doing::Load) || std::mem::take(&mut self.unpublished);
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
            Command::Mark { target, kind, from, until, .. } => {
                let target = target_of(&target);
                let wanted = Mark { kind, until: until.map(|until| until.0) };
                let past = wanted.until.is_some_and(|until| until <= now);
                let there = self.is_there(target);
                if from.is_some_and(|from| from.0 > now) {
                    return;
                }
                self.unless(reply.is_ok() == (there && !past), "mark", || format!("marking {target}: {reply:?}"));
                let stands = self.books.marks.get(&target) == Some(&wanted);
                self.unless(reply.is_err() || stands, "mark", || format!("{target} was acknowledged as {wanted:?}"));
            }
            Command::Unmark { target, .. } => {
                let target = target_of(&target);
                let stands = self.books.marks.contains_key(&target);
                self.unless(!stands, "mark", || format!("{target} is marked after it was taken away: {reply:?}"));
            }
            Command::Failover { to, options, .. } => {
                self.replied_move(Some(region_of(&to)), options.epoch, changed, reply);
            }
            Command::Failback { options, .. } => self.replied_move(None, options.epoch, changed, reply),
            Command::Approve { .. }
            | Command::Cancel { .. }
            | Command::AckGate { .. }
            | Command::Acknowledge { .. }
            | Command::CloseWindow { .. }
            | Command::Drill { .. }
            | Command::EndDrill { .. } => {
                let committed = self.turn.commits > 0;
                self.unless(!changed || committed, "durable", || "a command was acknowledged and left no trace".into());
            }
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
        let busy = self.turn.busy.is_some();
        let under_way = self
            .turn
            .busy
            .as_ref()
            .is_some_and(|open| to == Some(region_of(&open.to)) && epoch.is_none_or(|epoch| epoch == open.epoch));
        let repeats = here && epoch.is_some_and(|epoch| Some(epoch + 1) == present);
        let planned = epoch.is_none() || epoch == present;
        let open = to.is_some_and(|to| {
            let verdict = self.books.first_verdict(hub, to).is_none_or(|by| by <= self.turn.now);
            self.books.eligible(hub, to) && verdict
        });
        // Whether it may be accepted, and whether it may begin a move.
        let (accepts, begins) = match (known, planned, here) {
            (false, ..) => (false, false),
            (true, false, _) => (repeats || under_way, false),
            (true, true, true) => (true, false),
            (true, true, false) => (open || under_way, open && !under_way),
        };
        self.unless(reply.is_err() || accepts, "move", || {
            format!("{hub} to {to:?}, planned at {epoch:?} with epoch {present:?}: {reply:?}")
        });
        self.unless(begins || !changed, "move", || format!("{hub} to {to:?} is said to have changed something"));
        let moved = self.turn.moved;
        self.unless(begins || !moved, "move", || format!("{hub} to {to:?} has moved: {reply:?}"));
        let plain = accepts && (here || repeats) && !busy;
        self.unless(!plain || reply.is_ok(), "move", || format!("{hub} is in {to:?}, and is refused: {reply:?}"));
    }

    /// What the daemon holds after all this.
    pub(super) fn end(&mut self, state: &State) {
        let now = self.turn.now;
        self.before = None;
        self.books.refresh(now);
        let waits = matches!(self.turn.doing, Doing::Command(_)) && !self.turn.replied;
        self.unless(!waits, "order", || "a command was not answered".into());
        let hubs: Vec<_> = self.books.sketch.hubs.keys().copied().collect();
        self.books.note_gates(now);
        for hub in hubs.iter().copied() {
            self.stands(hub, state);
            if now > self.excused {
                self.is_prompt(hub, now);
                self.move_is_prompt(hub, now);
            }
        }
        if now > self.excused {
            for (hub, choice) in hubs.iter().copied().zip(state.choices()) {
                let low = self.books.low_ttl(hub, now);
                self.unless(low == choice.low_ttl, "low-ttl", || {
                    format!("{hub} has the lower TTL: {}", choice.low_ttl)
                });
            }
        }
        let published = self.published.as_ref().is_some_and(|(_, choices)| **choices == *state.choices());
        // What a commit that failed kept from being published is published by the next event.
        let failed = self.turn.failed;
        self.unless(published || failed, "quiet", || "what is published is not what stands".into());
        let marks = state.marks().clone();
        self.same_marks(&marks, "books");
        let late = |mark: &Mark| mark.until.is_some_and(|until| until <= now);
        if now > self.excused
            && let Some((target, mark)) = self.books.marks.iter().find(|(_, mark)| late(mark))
        {
            let sentence = format!("{target} is {mark:?} at {now}");
            self.broken("mark", || sentence);
        }
        let due = |window: &Window| window.until <= now || (!window.begun && window.from <= now);
        if now > self.excused
            && let Some((id, window)) = self.books.windows.iter().find(|(_, window)| due(window))
        {
            let sentence = format!("window {id} is {window:?} at {now}");
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
            let barriers = self.books.barriers(hub, want, now, false).into_iter();
            let barriers: Vec<_> =
                barriers.chain(self.books.gates_and_rules(hub, want.to, Some(want.why), now)).collect();
            self.unless(!barriers.is_empty(), "prompt", || {
                format!("{hub} stays on {active} at {now}, and nothing holds the move to {} ({:?})", want.to, want.why)
            });
        }
        self.unless(all || !self.books.all_wanted(hub) || self.books.all_doubted(hub), "prompt", || {
            format!("{hub} answers {active} alone, and nothing is eligible")
        });
        let over = all && self.books.eligible(hub, active) && self.books.something_good(hub);
        self.unless(!over, "all-ends", || format!("{hub} answers all endpoints, and one is good"));
    }

    /// No move waits for what has come.
    fn move_is_prompt(&mut self, hub: &'static str, now: u64) {
        let Some(planned) = self.books.moves.get(hub).cloned() else { return };
        let gives_up = planned.options.until.filter(|_| planned.stage.is_open());
        let over = planned.stage.until().into_iter().chain(gives_up).any(|until| until.0 <= now);
        self.unless(!over, "move", || format!("the move of {hub} is late at {now}: {planned:?}"));
        let present = self.books.hubs.get(hub).map(|book| book.epoch);
        let overtaken = planned.stage.is_open() && Some(planned.epoch) != present;
        self.unless(!overtaken, "move", || {
            format!("the move of {hub} is open, and the epoch is {present:?}: {planned:?}")
        });
        if !matches!(planned.stage, Stage::Ready { .. }) || overtaken {
            return;
        }
        let to = region_of(&planned.to);
        let verdict = self.books.first_verdict(hub, to).is_none_or(|by| by <= now);
        let shut = !self.books.shut_gates(hub, to, now).is_empty() && !planned.options.force;
        let safety = self.books.budget_ends(hub, now).is_some() || self.books.broken_rule(hub, to, now).is_some();
        let safety = safety && planned.options.break_glass.is_none();
        let told = self.books.gates_and_rules(hub, to, None, now).iter().all(|(rule, _)| *rule != "fence");
        let waits = !verdict || shut && planned.options.until.is_some() || !told;
        self.unless(waits && !safety, "move", || format!("the move of {hub} waits for nothing: {planned:?}"));
        self.unless(self.books.eligible(hub, to), "move", || format!("the move of {hub} waits for {to}: {planned:?}"));
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
            3 * probe.interval + probe.worst_detection() + probe.worst_recovery()
        });
        let waits = sketch.gates.iter().filter_map(|used| used.proceed).max().unwrap_or(0) + sketch.dwell;
        let fence = sketch.fence.map_or(0, |(timeout, _)| timeout);
        verdicts.max().unwrap_or(0) + waits * 1_000 + fence + latest + 3_000
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
            let now = self.turn.now;
            let shut = sketch.gates.iter().any(|used| used.proceed.is_none() && !self.books.open(used.gate, hub, now));
            let stops = sketch.fence.is_some_and(|(_, stop)| stop) || !self.books.sketch.rules.is_empty();
            let held = self.books.pinned(hub) || self.books.budget_ends(hub, now).is_some();
            let references = self.books.sketch.references().all(|aim| healthy(aim) == Some(true));
            let timed = !self.books.windows.is_empty() || self.books.marks.values().any(|mark| mark.until.is_some());
            if shut || stops || held || !references || timed {
                continue;
            }
            let well = sketch.endpoints.iter().map(|endpoint| match self.books.mark(hub, endpoint.region) {
                // What is good by a mark alone does not show this node that it sees.
                Some(MarkKind::Up) => endpoint.aim().and_then(&healthy).filter(|well| *well),
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
