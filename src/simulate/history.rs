//! What happens to a simulated daemon from outside: a list of inputs, made from a seed before anything runs.
//!
//! Inputs name what they are about (a region, a hub), and say "the present epoch" instead of a number. So a history from
//! which parts are cut is still a history, which the shrinker makes use of.

use std::fmt;

use super::dice::{Dice, hash};
use super::sketch::{ACK, Host, OUTSIDE, REGIONS, Sketch};
use crate::policy::MarkKind;

/// A simulated life of a daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// What probers meet depends on it.
    pub seed: u64,
    /// The policies: the first one is read at the start.
    pub sketches: Vec<Sketch>,
    /// What happens, in order of time: milliseconds since the start.
    pub inputs: Vec<(u64, Input)>,
    /// How long it goes on after the last of them, in milliseconds.
    pub rest: u64,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A whole region becomes so.
    Region(&'static str, Condition),
    /// One host becomes so.
    Host(Host, Condition),
    /// This node is cut off from everything, or is not any more.
    Cut(bool),
    /// An operator marks.
    Mark {
        /// What.
        target: Target,
        /// How.
        kind: MarkKind,
        /// For how many seconds; `None` for ever.
        seconds: Option<u64>,
    },
    /// An operator takes a mark away.
    Unmark(Target),
    /// An operator makes a region active.
    Failover {
        /// The hub.
        hub: &'static str,
        /// The region.
        to: &'static str,
        /// How.
        how: How,
    },
    /// An operator makes the preferred region active.
    Failback {
        /// The hub.
        hub: &'static str,
        /// How.
        how: How,
    },
    /// Another operator approves the move of a hub.
    Approve(&'static str),
    /// An operator cancels the move of a hub.
    Cancel(&'static str),
    /// An operator acknowledges a gate, for so many seconds.
    Ack(&'static str, usize, Option<u64>),
    /// An operator acknowledges what a hub has to have acknowledged.
    Acknowledge(&'static str),
    /// An operator makes a window.
    Window {
        /// What is marked.
        target: Target,
        /// How.
        kind: MarkKind,
        /// Seconds until it begins.
        after: u64,
        /// Seconds for which it lasts.
        seconds: u64,
    },
    /// An operator takes the window with this number away.
    CloseWindow(u8),
    /// An operator drills a hub, for so many seconds at most.
    Drill(&'static str, u64),
    /// An operator ends the drill of a hub.
    EndDrill(&'static str),
    /// A gate becomes so.
    Gate(usize, Latch),
    /// Regions that are left answer so from here on.
    Fences(Latch),
    /// An operator whose command was not answered, or who is not sure, sends the last one again, word for word.
    Repeat,
    /// The files are changed to one of the policies, and read.
    Reload(usize),
    /// The files are broken, and read.
    Refused,
    /// The wall clock is set forward by so many seconds.
    Jump(u64),
    /// The control loop does nothing for so many milliseconds.
    Stall(u64),
    /// From here on observations reach the loop up to so many milliseconds after they were made.
    Late(u64),
    /// The process is killed, and started again.
    Kill {
        /// When.
        at: Point,
        /// Milliseconds until it is started.
        away: u64,
        /// Seconds by which the wall clock is set back meanwhile.
        back: u64,
    },
    /// The disk fails.
    Disk {
        /// How.
        how: Failure,
        /// So many commits.
        commits: u8,
    },
}

/// How a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It answers at once.
    Up,
    /// It answers just in time.
    Slow,
    /// It refuses at once.
    Refusing,
    /// It does not answer.
    Dark,
    /// It answers so many times of a hundred.
    Flapping(u8),
    /// Whoever probes it hangs, and observes nothing.
    Silent,
}

/// What a mark is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A region.
    Region(&'static str),
    /// One endpoint.
    Endpoint(&'static str, &'static str),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(region) => write!(f, "{region}"),
            Self::Endpoint(hub, region) => write!(f, "{hub}/{region}"),
        }
    }
}

/// How a gate or a fence answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latch {
    /// Open, or acknowledged.
    #[default]
    Open,
    /// Shut, or refused.
    Shut,
    /// Not at all.
    Mute,
}

/// How a move is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    /// Planned at.
    pub epoch: Planned,
    /// Seconds until the switch is to be.
    pub at: Option<u64>,
    /// Seconds until it is given up.
    pub until: Option<u64>,
    /// Without lowering the TTL first.
    pub now: bool,
    /// Past gates.
    pub force: bool,
    /// Past the budget and safety rules.
    pub break_glass: bool,
}

impl How {
    fn random(dice: &mut Dice) -> Self {
        Self {
            epoch: *dice.pick(&[Planned::Any, Planned::Present, Planned::Present, Planned::Old, Planned::Next]),
            at: if dice.percent(15) { Some(dice.between(1, 120)) } else { None },
            until: if dice.percent(30) { Some(dice.between(1, 240)) } else { None },
            now: dice.percent(40),
            force: dice.percent(25),
            break_glass: dice.percent(15),
        }
    }
}

/// The epoch that a move was planned at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {
    /// None is said.
    Any,
    /// The present one.
    Present,
    /// The one before.
    Old,
    /// The next one, which does not exist yet.
    Next,
}

/// When a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// At once.
    Now,
    /// Just before the next commit is durable.
    BeforeCommit,
    /// Once the next commit is durable, before anything of it is published.
    AfterCommit,
    /// Once the next commit is published, before anybody is told.
    AfterPublish,
}

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of it reaches the disk.
    Full,
    /// It reaches the disk, but the daemon is told that it failed.
    Reached,
}

impl History {
    /// The history of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let first = Sketch::random(&mut dice);
        let mut sketches = vec![first];
        for _ in 0..dice.below(4) {
            let from = dice.pick(&sketches).clone();
            sketches.push(from.changed(&mut dice));
        }
        let count = dice.between(20, 160);
        let calm = *dice.pick(&[1, 1, 2]);
        let mut at = 0;
        let mut inputs = Vec::new();
        // The first minutes are mostly quiet, so that something is known before it is lost.
        at += if dice.percent(70) { dice.between(20_000, 120_000) } else { dice.between(0, 3_000) };
        let mut kinds = Kinds::draw(&mut dice);
        while inputs.len() < count as usize {
            if dice.percent(4) {
                kinds = Kinds::draw(&mut dice);
            }
            inputs.push((at, kinds.input(&mut dice, &sketches)));
            at += calm
                * match dice.below(10) {
                    0..4 => dice.between(0, 1_500),
                    4..8 => dice.between(500, 20_000),
                    8 => dice.between(10_000, 60_000),
                    _ if dice.percent(75) => dice.between(0, 5_000),
                    _ => dice.between(60_000, 400_000),
                };
        }
        let rest = dice.between(60_000, 600_000);
        drill(&mut Dice::new(hash(&[seed, DRILLS])), &mut sketches, &mut inputs);
        Self { seed, sketches, inputs, rest }
    }
}

/// What tells the luck of drills from that of everything else: a history without them stays what it is.
const DRILLS: u64 = 1;

/// In every other history one hub is a canary, and is drilled now and then; what is no canary is drilled in vain.
fn drill(dice: &mut Dice, sketches: &mut [Sketch], inputs: &mut Vec<(u64, Input)>) {
    if dice.percent(50) {
        return;
    }
    let hubs: Vec<_> = sketches.iter().flat_map(|sketch| sketch.hubs.keys().copied()).collect();
    let canary = *dice.pick(&hubs);
    let hubs_of = sketches.iter_mut().filter_map(|sketch| sketch.hubs.get_mut(canary));
    hubs_of.for_each(|hub| hub.canary = true);
    let end = inputs.last().map_or(0, |(at, _)| *at);
    for _ in 0..dice.between(1, 10) {
        let at = dice.between(0, end);
        let hub = if dice.percent(90) { canary } else { *dice.pick(&hubs) };
        inputs.push((at, Input::Drill(hub, dice.between(5, 300))));
        if dice.percent(50) {
            inputs.push((at + dice.between(0, 200_000), Input::EndDrill(hub)));
        }
    }
    inputs.sort_by_key(|(at, _)| *at);
}

/// What is likely for a while.
#[derive(Debug)]
struct Kinds {
    /// How many times of a hundred an input is about regions and hosts, operators, files and clocks, or kills and disks.
    outside: u64,
    operators: u64,
    files: u64,
}

impl Kinds {
    fn draw(dice: &mut Dice) -> Self {
        let (outside, operators, files) =
            *dice.pick(&[(60, 25, 8), (85, 10, 3), (30, 55, 8), (45, 20, 10), (100, 0, 0)]);
        Self { outside, operators, files }
    }

    fn input(&self, dice: &mut Dice, sketches: &[Sketch]) -> Input {
        let sketch = dice.pick(sketches);
        let hubs: Vec<_> = sketch.hubs.keys().copied().collect();
        let hub = *dice.pick(&hubs);
        let endpoint = dice.pick(&sketch.hubs[hub].endpoints);
        let region = if dice.percent(97) { endpoint.region } else { *dice.pick(&REGIONS) };
        let host = Host { region, number: endpoint.host };
        let target = if dice.percent(60) { Target::Region(region) } else { Target::Endpoint(hub, region) };
        let roll = dice.below(100);
        if roll < self.outside {
            let reference = Host { region: OUTSIDE, number: dice.below(2) as u8 };
            let latch = *dice.pick(&[Latch::Open, Latch::Open, Latch::Shut, Latch::Mute]);
            return match dice.below(25) {
                20..22 => Input::Gate(dice.below(ACK as u64) as usize, latch),
                22 => Input::Fences(latch),
                23 | 24 => Input::Host(reference, condition(dice)),
                0..9 => Input::Region(region, condition(dice)),
                9..18 => Input::Host(host, condition(dice)),
                18 => Input::Cut(dice.percent(40)),
                _ => Input::Late(*dice.pick(&[0, 0, 300, 2_000, 8_000])),
            };
        }
        if roll < self.outside + self.operators {
            let hurried = |dice: &mut Dice| How { epoch: Planned::Any, now: true, ..How::random(dice) };
            return match dice.below(21) {
                0..4 => {
                    let kind = *dice.pick(&[MarkKind::Down, MarkKind::Down, MarkKind::Drain, MarkKind::Up]);
                    let seconds = if dice.percent(60) { Some(dice.between(1, 240)) } else { None };
                    Input::Mark { target, kind, seconds }
                }
                4..7 => Input::Unmark(target),
                7..9 => Input::Failover { hub, to: region, how: How::random(dice) },
                9 => Input::Failover { hub, to: region, how: hurried(dice) },
                10 | 11 => Input::Failback { hub, how: How::random(dice) },
                12 => Input::Failback { hub, how: hurried(dice) },
                13 => Input::Approve(hub),
                14 => Input::Cancel(hub),
                15 => Input::Ack(hub, ACK, if dice.percent(50) { None } else { Some(dice.between(1, 120)) }),
                16 | 17 => Input::Acknowledge(hub),
                18 => {
                    let kind = *dice.pick(&[MarkKind::Down, MarkKind::Drain, MarkKind::Up]);
                    Input::Window { target, kind, after: dice.between(1, 60), seconds: dice.between(1, 120) }
                }
                19 => Input::CloseWindow(dice.between(1, 3) as u8),
                _ => Input::Repeat,
            };
        }
        if roll < self.outside + self.operators + self.files {
            return match dice.below(8) {
                0..4 => Input::Reload(dice.below(sketches.len() as u64) as usize),
                4 => Input::Refused,
                5 => Input::Stall(dice.between(200, 30_000)),
                _ => Input::Jump(*dice.pick(&[1, 30, 300, 90_000])),
            };
        }
        match dice.below(3) {
            0 => Input::Disk {
                how: if dice.percent(50) { Failure::Full } else { Failure::Reached },
                commits: dice.between(1, 4) as u8,
            },
            _ => Input::Kill {
                at: *dice.pick(&[Point::Now, Point::BeforeCommit, Point::AfterCommit, Point::AfterPublish]),
                away: dice.between(100, 20_000),
                back: if dice.percent(25) { *dice.pick(&[1, 60, 7_200]) } else { 0 },
            },
        }
    }
}

fn condition(dice: &mut Dice) -> Condition {
    match dice.below(20) {
        0..8 => Condition::Up,
        8..13 => Condition::Dark,
        13..16 => Condition::Refusing,
        16 => Condition::Slow,
        17 | 18 => Condition::Flapping(dice.between(20, 90) as u8),
        _ => Condition::Silent,
    }
}
