//! The simulated world: a daemon's core, its store and its probers on a simulated clock, and what a history does to them.

mod effects;
mod inputs;

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
    /// By how much it was set forward that the daemon was not told of, in milliseconds.
    jumped: u64,
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
    /// How many canaries were being drilled when the loop last looked.
    drilled: usize,
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
            jumped: 0,
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
            drilled: 0,
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
        self.jump();
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
        let drilled = self.checker.books.drills.len();
        if std::mem::replace(&mut self.drilled, drilled) != drilled {
            self.calm_since = self.now;
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
        for (aim, Complete { good, at, takes }) in &arrived {
            self.checker.observe(*aim, *good, at.saturating_sub(*takes), *at);
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
                self.jump();
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
        self.jump();
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

    fn turn(&mut self, event: Event, doing: Doing) {
        self.jump();
        self.checker.begin(self.wall(), doing);
        self.turn_begun(event);
    }

    /// Tells the daemon that the clock was set forward, before anything else.
    fn jump(&mut self) {
        let by = std::mem::take(&mut self.jumped);
        if by > 0 && self.daemon.is_some() {
            let from = self.wall() - by;
            self.checker.begin(self.wall(), Doing::Nothing);
            self.checker.jump(from);
            self.turn_begun(Event::Jumped { from: Timestamp(from) });
        }
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
