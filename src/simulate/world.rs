//! The simulated world: a daemon's core, its store and its probers on a simulated clock, and what a history does to them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use super::checker::{Checker, Doing, hub_of, region_of};
use super::disk::{Disk, Use};
use super::history::{Condition, History, How, Input, Latch, Planned, Point, Target};
use super::invariants::{Extra, Violation};
use super::probers::{Probers, Seen, millis, outcome};
use super::sketch::{Aim, GATES, HUBS, Host, OUTSIDE, PROBES, REGIONS, Sketch};
use super::story::Story;
use crate::answer::snapshot::Snapshot;
use crate::control::event::{Author, Command, Commit, Effect, Event, LoadFailure, Loaded, ReplyTo};
use crate::control::mark::MarkTarget;
use crate::control::moves::MoveOptions;
use crate::control::{State, told};
use crate::dns::Name;
use crate::gate::{Evidence, Fenced};
use crate::health::{Observation, Remarks};
use crate::policy::{GateName, ProbeTarget, RegionName, Target as Dialled};
use crate::time::Timestamp;

/// The wall clock when a history begins: 2026-11-23T14:00:00Z.
const BEGIN: u64 = 1_795_442_400_000;
/// Time between two looks of the control loop, in milliseconds.
const TICK: u64 = 1_000;
/// Time until a daemon that could not start is started again, in milliseconds.
const START_AGAIN: u64 = 1_000;
/// How long an observation that did not end hangs on after its host is well again, in milliseconds.
const UNHANG: u64 = 10;

/// How a history is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether the story is told.
    pub tell: bool,
    /// Whether everything that comes out is put into the digest.
    pub digest: bool,
    /// Whether every use of the store is written down.
    pub tape: bool,
    /// An invariant beside the others.
    pub extra: Option<Extra>,
}

/// What became of a history.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What broke an invariant; it ends the history.
    pub violation: Option<Violation>,
    /// Events that the core took in.
    pub events: u64,
    /// Observations among them.
    pub observations: u64,
    /// Changes of hubs that were committed.
    pub changes: u64,
    /// Snapshots that were published.
    pub publications: u64,
    /// Starts of the daemon, the first one included.
    pub starts: u64,
    /// A number that differs if anything that came out differs.
    pub digest: u64,
    /// What a person would have noticed.
    pub story: Story,
    /// Every use of the store, in order, where that was asked for.
    pub tape: Vec<Use>,
    /// When the violation was, or the end, in milliseconds since the start.
    pub ended: u64,
}

/// Runs a history to its end, or to the first invariant that is broken.
///
/// # Errors
/// When a policy of the history cannot be read, which is a defect of the simulator.
pub fn run(history: &History, options: Options) -> Result<Outcome, String> {
    let loaded = history.sketches.iter().map(Sketch::load).collect::<Result<Vec<_>, _>>()?;
    let mut world = World::new(history, loaded, options);
    world.run();
    let violation = world.checker.violation().cloned();
    if let Some(violation) = &violation {
        world.outcome.story.tell(world.now, || format!("{}: RULE {}", violation.sentence, violation.rule));
    }
    let tape = world.disk.tape.take().unwrap_or_default();
    Ok(Outcome { violation, tape, ended: world.now, ..world.outcome })
}

/// What is going to happen in the world without any input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A prober begins an observation.
    Begin(Aim, u64),
    /// It is complete.
    End(Aim, u64, Complete),
    /// It reaches the loop.
    Arrive(Aim, Complete),
    /// A gate is looked at.
    Look(usize, u64),
    /// A region answers that it is left.
    Fenced(usize, &'static str, u64, Timestamp, bool),
    /// The daemon is started.
    Start,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Complete {
    good: bool,
    takes: u64,
    at: u64,
}

struct World<'a> {
    history: &'a History,
    loaded: Vec<Loaded>,
    sketches: Vec<Arc<Sketch>>,
    options: Options,
    /// Milliseconds since the start.
    now: u64,
    /// What the wall clock is ahead of it.
    wall: u64,
    /// By time, life of the daemon and order.
    queue: BinaryHeap<Reverse<(u64, u64, u64, Happening)>>,
    sequence: u64,
    /// Which life of the daemon this is.
    life: u64,
    regions: BTreeMap<&'static str, Condition>,
    hosts: BTreeMap<Host, Condition>,
    cut: bool,
    late: u64,
    busy_until: u64,
    /// What has to wait while the loop is busy.
    waiting: Vec<Input>,
    /// Observations that are there.
    arrived: Vec<(Aim, Complete)>,
    armed: Option<(Point, u64, u64)>,
    disk: Disk,
    daemon: Option<Daemon>,
    /// The policy that the files hold.
    files: usize,
    last_command: Option<Command>,
    checker: Checker,
    outcome: Outcome,
    /// Since when nothing has happened from outside.
    calm_since: u64,
    replies: u64,
    prober_restarts: u64,
    /// By gate.
    gates: BTreeMap<usize, Latch>,
    fences: Latch,
    /// Counts the orders of which gates to look at.
    looks: u64,
    wanted_gates: BTreeMap<usize, u64>,
}

/// One life of the daemon.
struct Daemon {
    state: State,
    probers: Probers<Aim>,
    looked: u64,
    generation: u64,
    /// The publication, while the turn may still be cut short.
    snapshot: Option<Snapshot>,
}

/// How a turn ended.
#[derive(PartialEq)]
enum Turned {
    Done,
    Failed(Box<Commit>),
    Killed { away: u64, back: u64 },
}

impl<'a> World<'a> {
    fn new(history: &'a History, loaded: Vec<Loaded>, options: Options) -> Self {
        let sketches: Vec<_> = history.sketches.iter().cloned().map(Arc::new).collect();
        let checker = Checker::new(sketches[0].clone(), options.extra);
        let story = if options.tell { Story::told() } else { Story::default() };
        let outcome = Outcome { story, ..Outcome::default() };
        Self {
            history,
            loaded,
            sketches,
            options,
            now: 0,
            wall: BEGIN,
            queue: BinaryHeap::new(),
            sequence: 0,
            life: 0,
            regions: BTreeMap::new(),
            hosts: BTreeMap::new(),
            cut: false,
            late: 0,
            busy_until: 0,
            waiting: Vec::new(),
            arrived: Vec::new(),
            armed: None,
            disk: Disk::new(options.tape),
            daemon: None,
            files: 0,
            last_command: None,
            checker,
            outcome,
            calm_since: 0,
            replies: 0,
            prober_restarts: 0,
            gates: BTreeMap::new(),
            fences: Latch::Open,
            looks: 0,
            wanted_gates: BTreeMap::new(),
        }
    }

    fn wall(&self) -> u64 {
        self.now + self.wall
    }

    fn plan(&mut self, at: u64, what: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, self.life, what)));
    }

    fn run(&mut self) {
        self.plan(0, Happening::Start);
        let end = self.history.inputs.last().map_or(0, |(at, _)| *at) + self.history.rest;
        let mut inputs = self.history.inputs.iter().peekable();
        while self.checker.violation().is_none() {
            let planned = self.queue.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let next = planned.min(inputs.peek().map_or(u64::MAX, |(at, _)| *at)).min(self.due());
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
                if let Some(Reverse((_, _, life, what))) = self.queue.pop()
                    && life == self.life
                {
                    self.happen(what);
                }
            }
            while let Some((_, input)) = inputs.next_if(|(at, _)| *at <= self.now) {
                self.calm_since = self.now;
                self.meet(input);
            }
            self.work();
        }
    }

    /// When the control loop has something to do.
    fn due(&self) -> u64 {
        let Some(daemon) = &self.daemon else { return u64::MAX };
        if !self.arrived.is_empty() || !self.waiting.is_empty() {
            return self.busy_until.max(self.now);
        }
        let wake = daemon.state.wake().map_or(u64::MAX, |wake| wake.0.saturating_sub(self.wall));
        wake.min(daemon.looked + TICK).max(self.busy_until).max(self.now)
    }

    /// What the loop does when it has the time: commands first, then what was observed, then a look around.
    fn work(&mut self) {
        if self.busy_until > self.now {
            return;
        }
        for input in std::mem::take(&mut self.waiting) {
            self.operate(&input);
            self.observe();
        }
        self.observe();
        let Some(daemon) = &mut self.daemon else { return };
        let wake = daemon.state.wake().is_some_and(|wake| wake.0 <= self.now + self.wall);
        if !wake && daemon.looked + TICK > self.now {
            return;
        }
        daemon.looked = self.now;
        self.turn(Event::Tick, Doing::Tick);
        let now = self.wall();
        if let Some(wake) = self.daemon.as_ref().and_then(|daemon| daemon.state.wake())
            && wake.0 <= now
        {
            self.checker.broken("wake", || format!("it is {now}, and the core asks to be woken at {}", wake.0));
        }
        if self.daemon.is_some() {
            let (regions, hosts, cut) = (&self.regions, &self.hosts, self.cut);
            let disturbed = self.disk.is_failing() || self.armed.is_some();
            if !disturbed {
                let healthy = |aim: Aim| match meets(regions, hosts, cut, aim.host) {
                    Condition::Up | Condition::Slow => Some(true),
                    Condition::Dark | Condition::Refusing => Some(false),
                    Condition::Flapping(_) | Condition::Silent => None,
                };
                self.checker.calm(self.now - self.calm_since, self.late, healthy);
            }
        }
    }

    fn observe(&mut self) {
        if self.arrived.is_empty() || self.daemon.is_none() {
            return;
        }
        let arrived = std::mem::take(&mut self.arrived);
        let Some(daemon) = &self.daemon else { return };
        let mut observations = Vec::with_capacity(arrived.len());
        for (aim, Complete { good, takes, at }) in &arrived {
            // A prober that a reload has taken away had it on its way.
            let target = daemon.probers.by_aim.get(aim).map_or_else(|| target_of(*aim), |known| known.target.clone());
            let latency = Duration::from_millis(*takes);
            observations.push(Observation {
                target,
                at: Timestamp(*at),
                latency,
                outcome: outcome(*good),
                remarks: Remarks::default(),
            });
        }
        self.outcome.observations += observations.len() as u64;
        let before = self.tells().then(|| self.verdicts(&arrived));
        self.checker.begin(self.now + self.wall, Doing::Nothing);
        for (aim, Complete { good, at, .. }) in &arrived {
            self.checker.observe(*aim, *good, *at);
        }
        if let Some(before) = before {
            let after = self.verdicts(&arrived);
            for ((aim, was), (_, is)) in before.into_iter().zip(after).filter(|(before, after)| before != after) {
                let word = |verdict: Option<bool>| verdict.map_or("unknown", |good| if good { "up" } else { "down" });
                let row = self.checker.books.watches.get(&aim).map_or(0, |watch| watch.row);
                let what = if is == Some(true) { "good" } else { "failed" };
                let line =
                    format!("{aim}: {row} {what} in a row, {} is {}, was {}", aim.host.region, word(is), word(was));
                self.outcome.story.tell(self.now, || line);
            }
        }
        self.turn_begun(Event::Observations(observations));
    }

    fn tells(&self) -> bool {
        self.options.tell
    }

    fn verdicts(&self, arrived: &[(Aim, Complete)]) -> BTreeMap<Aim, Option<bool>> {
        let verdict = |aim: &Aim| self.checker.books.watches.get(aim).and_then(|watch| watch.verdict);
        arrived.iter().map(|(aim, _)| (*aim, verdict(aim))).collect()
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Start => self.start(),
            Happening::Begin(aim, plan) => self.begin(aim, plan),
            Happening::End(aim, plan, complete) => self.end(aim, plan, complete),
            Happening::Look(gate, order) => self.look(gate, order),
            Happening::Fenced(hub, to, epoch, planned, acknowledged) => {
                let Ok(name) = Name::parse(HUBS[hub], None) else { return };
                let word = if acknowledged { "acknowledges" } else { "does not acknowledge" };
                self.outcome.story.tell(self.now, || format!("the fence of {name} {word} the move to {to}"));
                self.checker.begin(self.wall(), Doing::Nothing);
                self.checker.fenced(HUBS[hub], to, epoch, planned.0, acknowledged);
                let to = RegionName::new(to);
                self.turn_begun(Event::Fenced(Fenced {
                    hub: name,
                    to,
                    epoch,
                    planned,
                    acknowledged,
                    sentence: "".into(),
                }));
            }
            Happening::Arrive(aim, complete) => self.arrived.push((aim, complete)),
        }
    }

    fn look(&mut self, gate: usize, order: u64) {
        let Some(interval) = self.wanted_gates.get(&gate).copied().filter(|_| order == self.looks) else { return };
        self.plan(self.now + interval, Happening::Look(gate, order));
        let latch = if self.cut { Latch::Shut } else { self.gates.get(&gate).copied().unwrap_or_default() };
        if latch == Latch::Mute || self.daemon.is_none() {
            return;
        }
        let (now, open) = (self.wall(), latch == Latch::Open);
        self.checker.begin(now, Doing::Nothing);
        self.checker.evidence(gate, now, open);
        let sentence = if open { "0 missing" } else { "7 missing" };
        let gate = GateName::new(GATES[gate]);
        self.turn_begun(Event::Gate(Evidence { gate, at: Timestamp(now), open, sentence: sentence.into() }));
    }

    fn begin(&mut self, aim: Aim, plan: u64) {
        let condition = meets(&self.regions, &self.hosts, self.cut, aim.host);
        let now = self.now;
        let Some(prober) = self.prober(aim).filter(|prober| prober.plan == plan) else { return };
        if let Some(Seen { good, takes }) = prober.begin(condition, now) {
            self.plan(now + takes, Happening::End(aim, plan, Complete { good, takes, at: 0 }));
        }
    }

    fn end(&mut self, aim: Aim, plan: u64, complete: Complete) {
        let (now, wall, late) = (self.now, self.wall(), self.late);
        let seed = self.history.seed;
        // One that was redefined meanwhile ends this observation all the same, and has another one planned.
        let Some(prober) = self.prober(aim) else { return };
        let next = prober.end(complete.good, Timestamp(wall), now);
        let delay = if late == 0 { 0 } else { super::dice::hash(&[seed, now, aim.probe as u64, late]) % late };
        prober.arrived = prober.arrived.max(now + delay);
        let (arrives, current) = (prober.arrived, prober.plan);
        if current == plan {
            self.plan(next, Happening::Begin(aim, current));
        }
        self.plan(arrives, Happening::Arrive(aim, Complete { at: wall, ..complete }));
    }

    fn prober(&mut self, aim: Aim) -> Option<&mut super::probers::Prober> {
        self.daemon.as_mut()?.probers.by_aim.get_mut(&aim)
    }

    /// Observations that never ended begin again once their hosts are well.
    fn unhang(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        let mut well = Vec::new();
        for (aim, prober) in daemon.probers.by_aim.iter_mut().filter(|(_, prober)| prober.hangs) {
            if meets(&self.regions, &self.hosts, self.cut, aim.host) != Condition::Silent {
                prober.hangs = false;
                prober.plan += 1;
                well.push((*aim, prober.plan));
            }
        }
        if !well.is_empty() {
            self.prober_restarts += well.len() as u64;
            self.turn(Event::ProbersRestarted(self.prober_restarts), Doing::Nothing);
        }
        for (aim, plan) in well {
            self.plan(self.now + UNHANG, Happening::Begin(aim, plan));
        }
    }

    fn meet(&mut self, input: &Input) {
        let now = self.now;
        let tell = |story: &mut Story, line: String| story.tell(now, || line);
        match input {
            Input::Region(region, condition) => {
                self.regions.insert(region, *condition);
                tell(&mut self.outcome.story, format!("{region} {}", how(*condition)));
                self.unhang();
            }
            Input::Host(host, condition) => {
                self.hosts.insert(*host, *condition);
                tell(&mut self.outcome.story, format!("{host} {}", how(*condition)));
                self.unhang();
            }
            Input::Cut(cut) => {
                self.cut = *cut;
                let line = if *cut { "this node is cut off from everything" } else { "this node is not cut off" };
                tell(&mut self.outcome.story, line.into());
                self.unhang();
            }
            Input::Late(late) => self.late = *late,
            Input::Stall(length) => {
                self.busy_until = self.busy_until.max(now + length);
                tell(&mut self.outcome.story, format!("the control loop does nothing for {length} ms"));
            }
            Input::Jump(seconds) => {
                self.wall += seconds * 1_000;
                tell(&mut self.outcome.story, format!("the wall clock jumps {seconds} s ahead"));
            }
            Input::Kill { at: Point::Now, away, back } => self.kill(*away, *back, None),
            Input::Kill { at, away, back } => self.armed = Some((*at, *away, *back)),
            Input::Disk { how, commits } => self.disk.fail(*how, *commits),
            Input::Gate(gate, latch) => {
                self.gates.insert(*gate, *latch);
                tell(&mut self.outcome.story, format!("gate {} becomes {latch:?}", GATES[*gate]));
            }
            Input::Fences(latch) => {
                self.fences = *latch;
                tell(&mut self.outcome.story, format!("fences answer {latch:?} from here on"));
            }
            Input::Approve(_)
            | Input::Cancel(_)
            | Input::Ack(..)
            | Input::Acknowledge(_)
            | Input::Window { .. }
            | Input::CloseWindow(_)
            | Input::Reload(_)
            | Input::Refused
            | Input::Mark { .. }
            | Input::Unmark(_)
            | Input::Failover { .. }
            | Input::Failback { .. }
            | Input::Repeat => {
                if let Input::Reload(files) = input {
                    self.files = files % self.sketches.len();
                }
                if self.daemon.is_some() {
                    self.waiting.push(input.clone());
                }
            }
        }
    }

    /// What operators ask of the loop.
    fn operate(&mut self, input: &Input) {
        let command = match input {
            Input::Reload(_) | Input::Refused => return self.reload(input),
            Input::Repeat => self.last_command.clone(),
            _ => self.command(input),
        };
        let Some(command) = command else { return };
        self.last_command = Some(command.clone());
        let line = words(&command);
        self.outcome.story.tell(self.now, || line);
        self.replies += 1;
        let name = if matches!(input, Input::Approve(_)) { "bob" } else { "alice" };
        let (author, reply) = (Author { name: name.into(), origin: "simulator".into() }, ReplyTo(self.replies));
        self.turn(Event::Command { command: command.clone(), author, reply }, Doing::Command(command));
    }

    fn command(&self, input: &Input) -> Option<Command> {
        let reason = "because".to_owned();
        let name = |hub: &str| Name::parse(hub, None).ok();
        let later = |seconds: &u64| Timestamp(self.wall() + seconds * 1_000);
        let options = |hub: &str, how: &How| {
            let present = self.checker.books.hubs.get(hub).map_or(1, |book| book.epoch);
            let epoch = match how.epoch {
                Planned::Any => None,
                Planned::Present => Some(present),
                Planned::Old => Some(present.saturating_sub(1)),
                Planned::Next => Some(present + 1),
            };
            let break_glass = how.break_glass.then(|| "it burns".to_owned());
            let (at, until) = (how.at.as_ref().map(later), how.until.as_ref().map(later));
            MoveOptions { epoch, at, until, now: how.now, force: how.force, break_glass }
        };
        Some(match input {
            Input::Mark { target, kind, seconds } => {
                let until = seconds.as_ref().map(later);
                Command::Mark { target: mark_target(*target)?, kind: *kind, reason, from: None, until }
            }
            Input::Window { target, kind, after, seconds } => {
                let (from, until) = (Some(later(after)), Some(later(&(after + seconds))));
                Command::Mark { target: mark_target(*target)?, kind: *kind, reason, from, until }
            }
            Input::CloseWindow(id) => Command::CloseWindow { id: id.to_string(), reason },
            Input::Unmark(target) => Command::Unmark { target: mark_target(*target)?, reason },
            Input::Failover { hub, to, how } => {
                Command::Failover { hub: name(hub)?, to: RegionName::new(to), options: options(hub, how), reason }
            }
            Input::Failback { hub, how } => Command::Failback { hub: name(hub)?, options: options(hub, how), reason },
            Input::Approve(hub) => Command::Approve { hub: name(hub)?, epoch: None },
            Input::Cancel(hub) => Command::Cancel { hub: name(hub)?, epoch: None, reason },
            Input::Ack(hub, gate, seconds) => Command::AckGate {
                hub: name(hub)?,
                gate: GateName::new(GATES[*gate]),
                reason,
                until: seconds.as_ref().map(later),
            },
            Input::Acknowledge(hub) => Command::Acknowledge { hub: name(hub)?, reason },
            _ => return None,
        })
    }

    fn reload(&mut self, input: &Input) {
        let Input::Reload(files) = input else {
            self.outcome.story.tell(self.now, || "the files are broken, and read again".into());
            let event = Event::Loaded {
                loaded: Err(LoadFailure { problems: vec!["a problem".into()] }),
                author: Author::daemon(),
                reply: None,
            };
            return self.turn(event, Doing::Refused);
        };
        let files = files % self.sketches.len();
        self.outcome.story.tell(self.now, || format!("policy {files} is read"));
        let event = Event::Loaded { loaded: Ok(self.loaded[files].clone()), author: Author::daemon(), reply: None };
        self.checker.begin(self.wall(), Doing::Load);
        self.checker.load(self.sketches[files].clone());
        self.turn_begun(event);
    }

    fn turn(&mut self, event: Event, doing: Doing) {
        self.checker.begin(self.wall(), doing);
        self.turn_begun(event);
    }

    fn turn_begun(&mut self, event: Event) {
        let now = Timestamp(self.wall());
        let Some(mut daemon) = self.daemon.take() else { return };
        self.outcome.events += 1;
        // Only a load needs the state of before: a commit of anything else says what it changed.
        let before = matches!(event, Event::Loaded { loaded: Ok(_), .. }).then(|| daemon.state.clone());
        let effects = daemon.state.apply(event, now);
        match self.carry_out(&mut daemon, effects) {
            Turned::Done => {}
            Turned::Failed(commit) => match before {
                Some(before) => {
                    daemon.state = before;
                    daemon.state.revert(&Commit::default(), now);
                }
                None => daemon.state.revert(&commit, now),
            },
            Turned::Killed { away, back } => return self.killed(away, back),
        }
        self.checker.end(&daemon.state);
        self.daemon = Some(daemon);
    }

    /// Carries effects out in order, as the control loop does.
    fn carry_out(&mut self, daemon: &mut Daemon, effects: Vec<Effect>) -> Turned {
        let mut failed = None;
        let mut killed = None;
        for effect in effects {
            if self.options.digest {
                self.digest(&effect);
            }
            match effect {
                Effect::Commit(commit) => {
                    let armed = self.armed.take();
                    if let Some((Point::BeforeCommit, away, back)) = armed {
                        self.say_killed("before a commit is durable", away);
                        self.checker.killed(true);
                        return Turned::Killed { away, back };
                    }
                    match self.disk.commit(&commit) {
                        Ok(()) => {
                            self.outcome.changes +=
                                commit.switch.as_ref().map_or(0, |switch| switch.changes.len() as u64);
                            self.tell_commit(&commit);
                            self.checker.commit(&commit);
                            if !commit.marks.is_empty() || !commit.facts.is_empty() {
                                self.calm_since = self.now;
                            }
                            match armed {
                                Some((Point::AfterCommit, away, back)) => {
                                    self.say_killed("after a commit, before anything is published", away);
                                    self.checker.unpublished(&commit);
                                    self.checker.killed(false);
                                    return Turned::Killed { away, back };
                                }
                                armed => killed = armed,
                            }
                        }
                        Err(error) => {
                            self.armed = armed;
                            self.calm_since = self.now;
                            self.outcome.story.tell(self.now, || format!("a commit fails: {error}"));
                            self.checker.failed();
                            failed = Some((Box::new(commit), error));
                        }
                    }
                }
                Effect::Reply(_, reply) => {
                    if let Some((_, away, back)) = killed {
                        self.say_killed("before anybody is answered", away);
                        self.checker.killed(false);
                        return Turned::Killed { away, back };
                    }
                    let reply = match &failed {
                        Some((_, error)) => Err(crate::control::event::CommandError::Store(error.clone())),
                        None => reply,
                    };
                    self.outcome.story.tell(self.now, || match &reply {
                        Ok(moved) => format!("answered: {}", moved.summary),
                        Err(error) => format!("answered: refused, {error}"),
                    });
                    self.checker.reply(&reply);
                }
                _ if failed.is_some() => {}
                Effect::Publish(content, choices) => {
                    let generation = daemon.generation + 1;
                    let hubs: Vec<_> = content.hubs().map(hub_of).collect();
                    match Snapshot::new(generation, content, choices) {
                        Ok(snapshot) => {
                            daemon.generation = generation;
                            self.outcome.publications += 1;
                            self.checker.publish(hubs, &snapshot.choices);
                            daemon.snapshot = Some(snapshot);
                        }
                        Err(refused) => {
                            let sentence = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                            self.checker.broken("one-answer", || sentence);
                        }
                    }
                }
                Effect::Probe { wanted, remembered } => {
                    let wanted =
                        wanted.into_iter().filter_map(|(target, probe)| Some((aim_of(&target)?, target, probe)));
                    let begins = daemon.probers.update(self.history.seed, wanted.collect(), &remembered, self.now);
                    for (aim, at) in begins {
                        let plan = daemon.probers.by_aim.get(&aim).map_or(0, |prober| prober.plan);
                        self.plan(at, Happening::Begin(aim, plan));
                    }
                }
                Effect::Look(targets) => {
                    for aim in targets.iter().filter_map(aim_of) {
                        let prober = daemon.probers.by_aim.get_mut(&aim).filter(|prober| !prober.hangs);
                        if let Some(plan) = prober.and_then(|prober| prober.hurry().then_some(prober.plan)) {
                            self.plan(self.now, Happening::Begin(aim, plan));
                        }
                    }
                }
                Effect::Gates(wanted) => {
                    self.looks += 1;
                    let gate = |name: &GateName| GATES.iter().position(|gate| *gate == name.as_str());
                    let wanted = wanted.iter().filter_map(|(name, asked)| Some((gate(name)?, millis(asked.interval))));
                    self.wanted_gates = wanted.collect();
                    for (gate, _) in self.wanted_gates.clone() {
                        self.plan(self.now + 1 + gate as u64, Happening::Look(gate, self.looks));
                    }
                }
                Effect::Fence(call) => {
                    let (hub, to) = (hub_of(&call.hub), region_of(&call.to));
                    self.outcome.story.tell(self.now, || format!("the fence of {hub} is called for {to}"));
                    self.checker.calls_fence(hub, to, call.epoch, call.planned.0);
                    let timeout = millis(call.fence.timeout);
                    let takes = if self.fences == Latch::Mute { timeout } else { 1 + self.now % timeout.min(700) };
                    let acknowledged = self.fences == Latch::Open && !self.cut;
                    let hub = HUBS.iter().position(|known| *known == hub).unwrap_or(0);
                    self.plan(self.now + takes, Happening::Fenced(hub, to, call.epoch, call.planned, acknowledged));
                }
                Effect::Log(_) | Effect::Tell(_) => {}
            }
        }
        if let Some((_, away, back)) = killed {
            self.say_killed("once it has published", away);
            self.checker.killed(false);
            return Turned::Killed { away, back };
        }
        match failed {
            Some((commit, _)) => Turned::Failed(commit),
            None => Turned::Done,
        }
    }

    fn tell_commit(&mut self, commit: &Commit) {
        if !self.tells() {
            return;
        }
        for (target, _, after) in &commit.marks {
            let line = match after {
                Some(mark) => format!("{target} is marked {}", mark.kind.word()),
                None => format!("{target} is not marked any more"),
            };
            self.outcome.story.tell(self.now, || line);
        }
        for line in commit.switch.iter().flat_map(|switch| told::switched(switch)) {
            self.outcome.story.tell(self.now, || line.sentence);
        }
    }

    fn digest(&mut self, effect: &Effect) {
        let text = match effect {
            Effect::Commit(commit) => {
                let records: Vec<_> = commit.records().collect();
                format!("{:?} {:?} {:?} {records:?}", commit.named, commit.marks, commit.health)
            }
            Effect::Publish(_, choices) => format!("{choices:?}"),
            Effect::Probe { wanted, remembered } => format!("{wanted:?} {remembered:?}"),
            Effect::Reply(to, reply) => format!("{to:?} {reply:?}"),
            Effect::Look(targets) => format!("{targets:?}"),
            Effect::Gates(wanted) => format!("{wanted:?}"),
            Effect::Fence(call) => format!("{call:?}"),
            Effect::Log(line) => format!("{line:?}"),
            Effect::Tell(switch) => format!("{:?}", told::switched(switch)),
        };
        self.outcome.digest = super::dice::hash(&[self.outcome.digest, super::dice::hash_text(&text)]);
    }

    fn say_killed(&mut self, when: &str, away: u64) {
        self.outcome.story.tell(self.now, || format!("the daemon is killed {when}; it is started again in {away} ms"));
    }

    fn kill(&mut self, away: u64, back: u64, _: Option<()>) {
        if self.daemon.take().is_some() {
            self.say_killed("at once", away);
            self.checker.killed(false);
            self.killed(away, back);
        }
    }

    fn killed(&mut self, away: u64, back: u64) {
        self.daemon = None;
        self.life += 1;
        self.arrived.clear();
        self.waiting.clear();
        self.busy_until = 0;
        self.calm_since = self.now + away;
        if back > 0 {
            self.outcome.story.tell(self.now, || format!("the wall clock is set back by {back} s meanwhile"));
            // Never before the history began.
            self.wall = self.wall.saturating_sub(back * 1_000).max(BEGIN - 86_400_000);
        }
        self.plan(self.now + away, Happening::Start);
    }

    fn start(&mut self) {
        let now = self.wall();
        let (persisted, surfaced) = self.disk.open();
        let (files, sketch) = (self.files, self.sketches[self.files].clone());
        if let Some(surfaced) = &surfaced {
            self.outcome.story.tell(self.now, || "a commit that had failed is found on the disk".into());
            self.tell_commit(surfaced);
        }
        self.outcome.story.tell(self.now, || format!("the daemon starts with policy {files}"));
        self.outcome.starts += 1;
        self.calm_since = self.now;
        self.checker.restart(now, sketch, &persisted, surfaced.as_ref());
        let (state, effects) = State::new(self.loaded[files].clone(), persisted, Timestamp(now));
        let mut daemon = Daemon { state, probers: Probers::default(), looked: self.now, generation: 0, snapshot: None };
        match self.carry_out(&mut daemon, effects) {
            Turned::Done => {
                self.checker.end(&daemon.state);
                self.daemon = Some(daemon);
            }
            // It ends with an error, and whoever keeps it running starts it again.
            Turned::Failed(_) => self.killed(START_AGAIN, 0),
            Turned::Killed { away, back } => self.killed(away, back),
        }
    }
}

/// What a prober meets at a host.
fn meets(
    regions: &BTreeMap<&'static str, Condition>,
    hosts: &BTreeMap<Host, Condition>,
    cut: bool,
    host: Host,
) -> Condition {
    if cut {
        return Condition::Dark;
    }
    match regions.get(host.region) {
        None | Some(Condition::Up) => hosts.get(&host).copied().unwrap_or(Condition::Up),
        Some(condition) => *condition,
    }
}

fn how(condition: Condition) -> String {
    match condition {
        Condition::Up => "is well".into(),
        Condition::Slow => "is slow".into(),
        Condition::Refusing => "refuses".into(),
        Condition::Dark => "stops answering".into(),
        Condition::Flapping(percent) => format!("answers {percent} times of a hundred"),
        Condition::Silent => "lets its probers hang".into(),
    }
}

fn words(command: &Command) -> String {
    let how = |options: &MoveOptions| {
        let MoveOptions { epoch, at, until, now, force, break_glass } = options;
        let mut words = String::new();
        epoch.iter().for_each(|epoch| words += &format!(", planned at epoch {epoch}"));
        at.iter().for_each(|at| words += &format!(", at {at}"));
        until.iter().for_each(|until| words += &format!(", until {until}"));
        let flags = [(*now, ", now"), (*force, ", past gates"), (break_glass.is_some(), ", past everything")];
        flags.iter().filter(|(set, _)| *set).for_each(|(_, word)| words += word);
        words
    };
    match command {
        Command::Mark { target, kind, from, until, .. } => {
            let from = from.map_or(String::new(), |from| format!(" from {from}"));
            let until = until.map_or(String::new(), |until| format!(" until {until}"));
            format!("an operator marks {target} {}{from}{until}", kind.word())
        }
        Command::Unmark { target, .. } => format!("an operator unmarks {target}"),
        Command::CloseWindow { id, .. } => format!("an operator takes window {id} away"),
        Command::Failover { hub, to, options, .. } => {
            format!("an operator says failover of {hub} to {to}{}", how(options))
        }
        Command::Failback { hub, options, .. } => format!("an operator says failback of {hub}{}", how(options)),
        Command::Approve { hub, .. } => format!("another operator approves the move of {hub}"),
        Command::Cancel { hub, .. } => format!("an operator cancels the move of {hub}"),
        Command::AckGate { hub, gate, .. } => format!("an operator acknowledges gate {gate} of {hub}"),
        Command::Acknowledge { hub, .. } => format!("an operator acknowledges what {hub} has done"),
        Command::Drill { hub, .. } => format!("an operator drills {hub}"),
        Command::Report { probe, of, .. } => format!("an agent tells how {of} is, for {probe}"),
        Command::EndDrill { hub, .. } => format!("an operator ends the drill of {hub}"),
    }
}

fn mark_target(target: Target) -> Option<MarkTarget> {
    target.to_string().parse().ok()
}

/// What the sketch calls a probe target.
fn aim_of(target: &ProbeTarget) -> Option<Aim> {
    let probe = PROBES.into_iter().position(|probe| probe == target.probe.as_str())?;
    let Dialled::Host(name) = &target.target else { return None };
    let text = name.to_string();
    let (host, rest) = text.strip_prefix('h')?.split_once('.')?;
    let region =
        REGIONS.into_iter().chain([OUTSIDE]).find(|region| rest.strip_suffix(".example.org.") == Some(*region))?;
    Some(Aim { probe, host: Host { region, number: host.parse().ok()? } })
}

fn target_of(aim: Aim) -> ProbeTarget {
    let name = Name::parse(&aim.host.to_string(), None).unwrap_or_else(|_| Name::root());
    ProbeTarget { probe: crate::policy::ProbeName::new(PROBES[aim.probe]), target: Dialled::Host(name) }
}
