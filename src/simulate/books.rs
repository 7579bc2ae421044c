//! What an observer writes down who sees what goes in and what comes out, and what follows from it by the rules as
//! SPEC says them. Nothing of the decision's code is used here, or looks like it.

mod barriers;
mod noted;
mod wants;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::history::Target;
use super::sketch::{ACK, Aim, GATES, HubSketch, OUTSIDE, ProbeSketch, ResortSketch, RuleSketch, Sketch, UseSketch};
use crate::control::moves::{Move, Stage};
use crate::policy::MarkKind;

/// Milliseconds of the daemon's clock.
pub(super) type Wall = u64;

/// Everything that was written down.
#[derive(Clone, Debug)]
pub(super) struct Books {
    pub(super) sketch: Arc<Sketch>,
    pub(super) watches: BTreeMap<Aim, Watch>,
    /// What was last known of targets that nobody probes at present.
    pub(super) remembered: BTreeMap<Aim, bool>,
    pub(super) marks: BTreeMap<Target, Mark>,
    pub(super) hubs: BTreeMap<&'static str, Book>,
    /// By gate: when it was last looked at, and whether it was open.
    pub(super) evidence: BTreeMap<usize, (Wall, bool)>,
    /// By hub and gate: the epoch that was acknowledged, and until when.
    pub(super) acks: BTreeMap<(&'static str, usize), (u64, Option<Wall>)>,
    /// By hub: when an operator last acknowledged that it was flapping.
    pub(super) flaps: BTreeMap<&'static str, Wall>,
    /// By number.
    pub(super) windows: BTreeMap<String, Window>,
    /// By hub: the planned move that was last said to be.
    pub(super) moves: BTreeMap<&'static str, Move>,
    /// By hub: what was said to the region that is left.
    pub(super) fences: BTreeMap<&'static str, Fencing>,
    pub(super) blind: bool,
    /// Whether, when the last of what endpoints are chosen by began to fail, all of it had at once.
    pub(super) at_once: bool,
    /// Whether it was blind before, since the start.
    pub(super) regained: bool,
    /// Commits that fail, and whose changes may not have been tried again: what they would have changed is known to the core
    /// from the first of them on, and what it decided with them is not.
    pub(super) failing: Option<Failing>,
    /// What the clock has passed over, from and to, oldest first; and the same as it was written down.
    pub(super) skips: Vec<(Wall, Wall)>,
    pub(super) written_skips: Vec<(Wall, Wall)>,
    /// By hub: canaries that are being drilled.
    pub(super) drills: BTreeMap<&'static str, Drilled>,
    /// By hub: regions that were told that they are left.
    pub(super) owed: BTreeMap<&'static str, Owed>,
}

/// A canary whose region counts as dark.
#[derive(Clone, Debug)]
pub(super) struct Drilled {
    pub(super) region: &'static str,
    pub(super) aim: Aim,
    pub(super) started: Wall,
    pub(super) until: Wall,
    /// What the drill has seen.
    pub(super) watch: Watch,
}

/// A region that was told that it is left: if it stays, somebody has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) to: &'static str,
    pub(super) epoch: u64,
    pub(super) planned: Wall,
    /// Whether it has acknowledged it.
    pub(super) acknowledged: bool,
    /// Whether nobody waits for its answer any more.
    pub(super) lost: bool,
}

/// Commits that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failing {
    /// When they began to.
    pub(super) since: Wall,
    /// Until when what failed may not have been tried again.
    pub(super) until: Wall,
}

/// A mark for a time to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) target: Target,
    pub(super) kind: MarkKind,
    pub(super) from: Wall,
    pub(super) until: Wall,
    pub(super) begun: bool,
}

/// What was said to a region that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fencing {
    pub(super) to: &'static str,
    pub(super) epoch: u64,
    /// What tells it from what was said for another move of the same epoch.
    pub(super) planned: Wall,
    pub(super) called: Wall,
    /// When it answered, and whether it acknowledged.
    pub(super) answer: Option<(Wall, bool)>,
    /// Whether a commit has failed since, with which the move may have been given up: then the region is told again.
    pub(super) doubtful: bool,
}

/// What was seen of one target.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) started: Wall,
    pub(super) heard: Option<Wall>,
    /// How many of the last observations that counted were alike, and whether they were good.
    pub(super) row: u32,
    pub(super) good: bool,
    /// When the failed observations up to the last one began.
    pub(super) failing: Option<Wall>,
    /// Whether it was seen to fail while this node was known to see.
    pub(super) confirmed: bool,
    /// When one was last good.
    pub(super) last_good: Option<Wall>,
    /// The verdict since the start, and the last one from before.
    pub(super) verdict: Option<bool>,
    pub(super) before: Option<bool>,
    /// Whether somebody has looked, and nothing had been heard of it for too long.
    pub(super) silent: bool,
}

/// An operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) kind: MarkKind,
    pub(super) until: Option<Wall>,
}

/// One hub.
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) active: &'static str,
    /// Counted from the changes of the active region.
    pub(super) epoch: u64,
    pub(super) last_automatic: Option<Wall>,
    /// The same as it was written down: a clock that was set back is behind it.
    pub(super) written_automatic: Option<Wall>,
    /// When its switches were found to be ahead of the clock, as it was written down, and at which epoch.
    pub(super) written_set_back: Option<(u64, Wall)>,
    /// When the active region last changed, as the daemon's clock says since it started.
    pub(super) since: Wall,
    pub(super) written_since: Wall,
    /// Whether an operator's failover chose the active region.
    pub(super) chosen: bool,
    pub(super) all: bool,
    /// When the active region changed, oldest first, and whether nobody had ordered it.
    pub(super) switches: Vec<(Wall, bool)>,
    /// The same as it was written down.
    pub(super) written_switches: Vec<(Wall, bool)>,
    /// The region that a move is wanted to and held, and since when.
    pub(super) wanted: Option<(&'static str, Since)>,
    /// The region that a move is wanted to, and since when gates alone have held it.
    pub(super) gated: Option<(&'static str, Since)>,
    /// The same as it was written down: the epoch, the region, and since when.
    pub(super) written_gated: Option<(u64, &'static str, Wall)>,
    /// What was written down before the start, until there is more to know.
    gated_before: Option<(&'static str, Wall)>,
    /// By region: since when it is known to be good, without a break.
    pub(super) good: BTreeMap<&'static str, Since>,
}

/// A moment that is known within bounds: a commit that failed leaves it open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    pub(super) earliest: Wall,
    pub(super) latest: Wall,
}

/// A move that the rules want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) to: &'static str,
    pub(super) why: Why,
}

/// How much longer than its timeout a fence is waited for, milliseconds.
pub(super) const FENCE_GRACE: Wall = 1_000;

/// Why a move is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Probes say that the active region is down.
    Health,
    /// The active region is drained.
    Drained,
    /// The active region is marked down.
    MarkedDown,
    /// A preferred region is good again.
    Better,
}

impl Watch {
    pub(super) fn new(started: Wall, before: Option<bool>) -> Self {
        Self {
            started,
            heard: None,
            row: 0,
            good: false,
            failing: None,
            confirmed: false,
            last_good: None,
            verdict: None,
            before,
            silent: false,
        }
    }

    /// What has to be remembered.
    pub(super) fn known(&self) -> Option<bool> {
        self.verdict.or(self.before)
    }

    /// It is heard, whether what it says counts or not.
    fn hear(&mut self, good: bool, at: Wall) {
        self.heard = Some(at);
        self.silent = false;
        if good {
            (self.failing, self.last_good) = (None, Some(at));
        } else {
            self.failing.get_or_insert(at);
        }
    }

    /// Whether the last observation failed, or health does not say what the last ones say.
    fn unsettled(&self) -> bool {
        let contradicts = match self.verdict {
            None => true,
            Some(up) => self.row > 0 && self.good != up,
        };
        self.failing.is_some() || (self.heard.is_some() && contradicts)
    }

    fn observe(&mut self, probe: &ProbeSketch, good: bool) {
        self.row = if self.row > 0 && self.good == good { self.row.saturating_add(1) } else { 1 };
        self.good = good;
        // To come up again takes `rise`, to go down `fall`. What has no verdict comes up with the first good one, and what
        // was down before the restart is down again with the first failed one.
        let needed = match (self.known(), good) {
            (Some(false), true) => probe.rise,
            (Some(false), false) | (Some(true) | None, true) => 1,
            (Some(true) | None, false) => probe.fall,
        };
        if self.row >= needed {
            self.verdict = Some(good);
            self.before = Some(good);
        }
    }

    /// How long after the start a first verdict is waited for.
    pub(super) fn verdict_within(&self, probe: &ProbeSketch) -> Option<Wall> {
        let worst = if self.before == Some(false) { probe.worst_recovery() } else { probe.worst_detection() };
        self.verdict.is_none().then_some(worst)
    }
}

impl Book {
    /// Of a hub that is seen for the first time.
    pub(super) fn new(active: &'static str) -> Self {
        Self {
            active,
            epoch: 0,
            last_automatic: None,
            written_automatic: None,
            written_set_back: None,
            since: 0,
            written_since: 0,
            chosen: false,
            all: false,
            switches: Vec::new(),
            written_switches: Vec::new(),
            wanted: None,
            gated: None,
            written_gated: None,
            gated_before: None,
            good: BTreeMap::new(),
        }
    }
}

impl Books {
    pub(super) fn new(sketch: Arc<Sketch>) -> Self {
        Self {
            sketch,
            watches: BTreeMap::new(),
            remembered: BTreeMap::new(),
            marks: BTreeMap::new(),
            hubs: BTreeMap::new(),
            evidence: BTreeMap::new(),
            acks: BTreeMap::new(),
            flaps: BTreeMap::new(),
            windows: BTreeMap::new(),
            moves: BTreeMap::new(),
            fences: BTreeMap::new(),
            blind: false,
            at_once: false,
            regained: false,
            failing: None,
            skips: Vec::new(),
            written_skips: Vec::new(),
            drills: BTreeMap::new(),
            owed: BTreeMap::new(),
        }
    }

    /// Another policy is loaded.
    pub(super) fn load(&mut self, sketch: Arc<Sketch>, now: Wall) {
        let aims = |sketch: &Sketch| -> Vec<Aim> {
            let hubs = sketch.hubs.values().flat_map(|hub| &hub.endpoints).filter_map(|endpoint| endpoint.aim());
            hubs.chain(sketch.references()).collect()
        };
        let wanted = aims(&sketch);
        let gone: Vec<_> = self.watches.keys().filter(|aim| !wanted.contains(aim)).copied().collect();
        // What is added is looked up before what goes is remembered, and none of the one is the other.
        for aim in wanted {
            if !self.watches.contains_key(&aim) {
                let before = self.remembered.remove(&aim);
                self.watches.insert(aim, Watch::new(now, before));
            }
        }
        for aim in gone {
            if let Some(known) = self.watches.remove(&aim).and_then(|watch| watch.known()) {
                self.remembered.insert(aim, known);
            }
        }
        self.sketch = sketch;
        // What was said to a region is said again, and nobody looks at a gate that is not there.
        self.fences.clear();
        self.owed.values_mut().for_each(|owed| owed.lost = true);
        // A drill would show what is of neither policy.
        self.drills.clear();
        let used = self.sketch.gates_used();
        self.evidence.retain(|gate, _| used.contains(gate));
        // A load shows nothing that was not there before.
        let everything = self.everything_fails();
        let references: Vec<_> = self.sketch.references().collect();
        let failed = |aim: &Aim| self.watches.get(aim).is_some_and(|watch| watch.failing.is_some());
        self.at_once &= everything;
        let blind = match references.is_empty() {
            true => self.at_once,
            false => references.iter().all(failed),
        };
        self.look_up(blind);
    }

    /// One observation of a target.
    pub(super) fn observe(&mut self, aim: Aim, good: bool, began: Wall, at: Wall) {
        let Some(watch) = self.watches.get_mut(&aim) else { return };
        let failed_before = watch.failing.is_some();
        watch.hear(good, at);
        let is_reference = aim.host.region == OUTSIDE;
        let references: Vec<_> = self.sketch.references().collect();
        let failed = |aim: &Aim| self.watches.get(aim).is_some_and(|watch| watch.failing.is_some());
        if !is_reference && good == failed_before {
            self.at_once = !good && self.everything_fails() && self.began_together();
        }
        let blind = match references.is_empty() {
            false => references.iter().all(failed),
            true => self.at_once && self.everything_fails(),
        };
        self.look_up(blind);
        let probe = self.sketch.probes[aim.probe].clone();
        let seen = references.iter().filter_map(|aim| self.watches.get(aim)?.last_good).max();
        let Some(watch) = self.watches.get_mut(&aim) else { return };
        if !blind || is_reference {
            watch.observe(&probe, good);
        }
        // It fails while this node sees: a reference was reached between two failures, or where there is none, it has
        // failed often enough.
        watch.confirmed = watch.failing.is_some_and(|since| {
            let sure = match references.is_empty() {
                true => !watch.good && watch.row >= probe.fall,
                false => seen.is_some_and(|seen| seen >= since),
            };
            watch.confirmed || sure
        });
        // To a drill that had begun before it, whatever was seen has failed.
        for drill in self.drills.values_mut().filter(|drill| drill.aim == aim && began >= drill.started) {
            let since = *drill.watch.failing.get_or_insert(at);
            if !blind {
                drill.watch.observe(&probe, false);
            }
            drill.watch.confirmed |= match references.is_empty() {
                true => !drill.watch.good && drill.watch.row >= probe.fall,
                false => seen.is_some_and(|seen| seen >= since),
            };
        }
    }

    fn look_up(&mut self, blind: bool) {
        if self.blind && !blind {
            // What was in a row before and after is not added up.
            let drilled = self.drills.values_mut().map(|drill| &mut drill.watch);
            for watch in self.watches.values_mut().chain(drilled) {
                (watch.row, watch.failing, watch.confirmed) = (0, None, false);
            }
            self.regained = true;
        }
        self.blind = blind;
    }

    fn of_endpoints(&self) -> impl Iterator<Item = (&Aim, &Watch)> {
        self.watches.iter().filter(|(aim, _)| aim.host.region != OUTSIDE)
    }

    /// Whether the last observation of everything that endpoints are chosen by failed.
    fn everything_fails(&self) -> bool {
        self.of_endpoints().next().is_some() && self.of_endpoints().all(|(_, watch)| watch.failing.is_some())
    }

    /// Whether that began, in two regions or more, within the time that the slowest probe needs to be sure, the last of it
    /// among them.
    fn began_together(&self) -> bool {
        let began: Vec<_> = self.of_endpoints().filter_map(|(aim, watch)| Some((aim, watch.failing?))).collect();
        let slowest = began.iter().map(|(aim, _)| self.probe(**aim).worst_detection()).max().unwrap_or(0);
        let last = began.iter().map(|(_, at)| *at).max().unwrap_or(0);
        let lately = began.iter().filter(|(_, at)| self.lived(*at, last) <= slowest);
        lately.map(|(aim, _)| aim.host.region).collect::<std::collections::BTreeSet<_>>().len() > 1
    }

    /// Whether nothing but what this node may have seen while it was cut off speaks against the active region of a hub.
    fn doubts_failure(&self, hub: &str, active: &str) -> bool {
        let Some((_, watch)) = self.watch(hub, active) else { return self.doubts(None) };
        let sure = self.sketch.references == 0 && !self.regained;
        self.doubts(watch.failing) || (!sure && watch.verdict == Some(false) && !watch.confirmed)
    }

    /// Whether what fails since then may be this node itself.
    fn doubts(&self, since: Option<Wall>) -> bool {
        let references: Vec<_> = self.sketch.references().collect();
        let seen = references.iter().filter_map(|aim| self.watches.get(aim)?.last_good).max();
        let unsure = match (references.is_empty(), seen) {
            (true, _) => false,
            (false, None) => true,
            (false, Some(seen)) => since.is_some_and(|since| seen < since),
        };
        self.blind || unsure
    }

    pub(super) fn probe(&self, aim: Aim) -> &ProbeSketch {
        &self.sketch.probes[aim.probe]
    }

    pub(super) fn hub(&self, hub: &str) -> Option<&HubSketch> {
        self.sketch.hubs.get(hub)
    }
}
