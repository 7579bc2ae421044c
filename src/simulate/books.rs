//! What an observer writes down who sees what goes in and what comes out, and what follows from it by the rules as
//! SPEC says them. Nothing of the decision's code is used here, or looks like it.

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

    /// Until when a first verdict is waited for.
    pub(super) fn verdict_by(&self, probe: &ProbeSketch) -> Option<Wall> {
        let worst = if self.before == Some(false) { probe.worst_recovery() } else { probe.worst_detection() };
        self.verdict.is_none().then_some(self.started + worst)
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
    pub(super) fn observe(&mut self, aim: Aim, good: bool, at: Wall) {
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
    }

    fn look_up(&mut self, blind: bool) {
        if self.blind && !blind {
            // What was in a row before and after is not added up.
            for watch in self.watches.values_mut() {
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

    /// Whether all of that began, in two regions or more, within the time that the slowest probe needs to be sure.
    fn began_together(&self) -> bool {
        let began: Vec<_> = self.of_endpoints().filter_map(|(aim, watch)| Some((aim, watch.failing?))).collect();
        let regions: std::collections::BTreeSet<_> = began.iter().map(|(aim, _)| aim.host.region).collect();
        let slowest = began.iter().map(|(aim, _)| self.probe(**aim).worst_detection()).max().unwrap_or(0);
        let (first, last) = (began.iter().map(|(_, at)| *at).min(), began.iter().map(|(_, at)| *at).max());
        regions.len() > 1 && first.zip(last).is_some_and(|(first, last)| last - first <= slowest)
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

    /// The mark that holds: the most restrictive one.
    pub(super) fn mark(&self, hub: &'static str, region: &'static str) -> Option<MarkKind> {
        let targets = [Target::Region(region), Target::Endpoint(hub, region)];
        let marks = targets.iter().filter_map(|target| self.marks.get(target)).map(|mark| mark.kind);
        let windows = self.windows.values().filter(|window| window.begun && targets.contains(&window.target));
        let said: Vec<_> = marks.chain(windows.map(|window| window.kind)).collect();
        [MarkKind::Down, MarkKind::Drain, MarkKind::Up].into_iter().find(|kind| said.contains(kind))
    }

    /// The mark that will hold when a move that has its time would switch, as far as operators have said it.
    pub(super) fn mark_of_move(
        &self,
        hub: &'static str,
        region: &'static str,
        at: Wall,
        ramp: Wall,
    ) -> Option<MarkKind> {
        let then = at.max(ramp);
        let targets = [Target::Region(region), Target::Endpoint(hub, region)];
        let lasts = |until: Option<Wall>| until.is_none_or(|until| until > then);
        let marks = targets.iter().filter_map(|target| self.marks.get(target)).filter(|mark| lasts(mark.until));
        let windows = self.windows.values().filter(|window| targets.contains(&window.target));
        let windows = windows.filter(|window| window.from <= then && lasts(Some(window.until)));
        let said: Vec<_> = marks.map(|mark| mark.kind).chain(windows.map(|window| window.kind)).collect();
        [MarkKind::Down, MarkKind::Drain, MarkKind::Up].into_iter().find(|kind| said.contains(kind))
    }

    /// Whether an operator's move may lead to an endpoint that is marked like that.
    pub(super) fn takes(&self, hub: &'static str, region: &'static str, mark: Option<MarkKind>, now: Wall) -> bool {
        let seen = self.watch(hub, region).is_none_or(|(aim, watch)| {
            let waits = watch.verdict_by(self.probe(aim)).is_some_and(|by| by > now);
            watch.verdict != Some(false) && !waits && watch.failing.is_none()
        });
        mark.map_or(seen, |mark| mark == MarkKind::Up)
    }

    fn watch(&self, hub: &str, region: &str) -> Option<(Aim, &Watch)> {
        let hub = self.hub(hub)?;
        let aim = hub.endpoints[hub.position(region)?].aim()?;
        Some((aim, self.watches.get(&aim)?))
    }

    /// What probes say of an endpoint.
    pub(super) fn health(&self, hub: &str, region: &str) -> Option<bool> {
        self.watch(hub, region)?.1.verdict
    }

    /// Marked up, or not marked and not down.
    pub(super) fn eligible(&self, hub: &'static str, region: &'static str) -> bool {
        match self.mark(hub, region) {
            Some(mark) => mark == MarkKind::Up,
            None => self.health(hub, region) != Some(false),
        }
    }

    /// Drained, and not down: usable when nothing else is.
    fn drained(&self, hub: &'static str, region: &'static str) -> bool {
        self.mark(hub, region) == Some(MarkKind::Drain) && self.health(hub, region) != Some(false)
    }

    /// Eligible, and seen to be so: marked up, or observed up by a prober that is heard.
    fn good(&self, hub: &'static str, region: &'static str) -> bool {
        match self.mark(hub, region) {
            Some(mark) => mark == MarkKind::Up,
            None => self
                .watch(hub, region)
                .is_some_and(|(_, watch)| watch.verdict == Some(true) && !watch.silent && watch.failing.is_none()),
        }
    }

    /// Somebody looks for probers of which nothing has been heard for longer than their probe allows.
    pub(super) fn look(&mut self, now: Wall) {
        let probes = &self.sketch.probes;
        for (aim, watch) in &mut self.watches {
            watch.silent |= now.saturating_sub(watch.heard.unwrap_or(watch.started)) > probes[aim.probe].patience();
        }
    }

    fn probed(&self, hub: &str, region: &str) -> bool {
        self.watch(hub, region).is_some()
    }

    /// Whether answering with all endpoints has to end: something good is known, or something is eligible of which
    /// nothing better can ever be known. Silence does not take away what was observed.
    pub(super) fn something_good(&self, hub: &'static str) -> bool {
        self.endpoints(hub).any(|region| {
            let marked_up = self.mark(hub, region) == Some(MarkKind::Up);
            let up = self.health(hub, region) == Some(true) || !self.probed(hub, region);
            self.eligible(hub, region) && (marked_up || up)
        })
    }

    pub(super) fn endpoints(&self, hub: &str) -> impl Iterator<Item = &'static str> {
        self.hub(hub).into_iter().flat_map(|hub| &hub.endpoints).map(|endpoint| endpoint.region)
    }

    /// The endpoint that has to be chosen where nothing stands in the way: the first that is eligible, else one that is
    /// drained, else the one of last resort.
    pub(super) fn candidate(&self, hub: &'static str) -> Option<&'static str> {
        let first = |may: &dyn Fn(&'static str) -> bool| self.endpoints(hub).find(|region| may(region));
        first(&|region| self.eligible(hub, region)).or_else(|| first(&|region| self.drained(hub, region))).or_else(
            || match self.hub(hub)?.resort {
                ResortSketch::Region(region) => Some(region),
                ResortSketch::Keep | ResortSketch::All => None,
            },
        )
    }

    /// Whether every endpoint has to be answered at once.
    pub(super) fn all_wanted(&self, hub: &'static str) -> bool {
        self.hub(hub).is_some_and(|hub| hub.resort == ResortSketch::All) && self.candidate(hub).is_none()
    }

    /// Whether what speaks for answering everything at once may be this node's own blindness.
    pub(super) fn all_doubted(&self, hub: &'static str) -> bool {
        let Some(book) = self.hubs.get(hub) else { return false };
        self.mark(hub, book.active).is_none() && self.doubts_failure(hub, book.active)
    }

    /// The move that the rules want of a hub whose active region the policy has.
    pub(super) fn want(&self, hub: &'static str) -> Option<Want> {
        let book = self.hubs.get(hub)?;
        let sketch = self.hub(hub)?;
        let active = book.active;
        let place = sketch.position(active)?;
        if self.eligible(hub, active) {
            if sketch.failback.is_none() || book.chosen {
                return None;
            }
            let to = self.endpoints(hub).take(place).find(|region| book.good.contains_key(region))?;
            return Some(Want { to, why: Why::Better });
        }
        let why = match self.mark(hub, active) {
            Some(MarkKind::Down) => Why::MarkedDown,
            Some(_) => Why::Drained,
            None => Why::Health,
        };
        let to = self.candidate(hub)?;
        // A region that is itself the last resort stays.
        let better = self.eligible(hub, to) || !self.drained(hub, active);
        (to != active && better).then_some(Want { to, why })
    }

    /// What stands in the way of a move, by the names of the rules: of what is `certain` alone, or of everything that
    /// there may be.
    pub(super) fn barriers(
        &self,
        hub: &'static str,
        want: Want,
        now: Wall,
        certain: bool,
    ) -> Vec<(&'static str, String)> {
        let (Some(book), Some(sketch)) = (self.hubs.get(hub), self.hub(hub)) else { return Vec::new() };
        let mut barriers = Vec::new();
        if let Some(by) = self.first_verdict(hub, want.to).filter(|by| *by > now) {
            barriers.push(("verdict", format!("{} has no verdict yet, which may take until {by}", want.to)));
        }
        let dwell = book.last_automatic.map(|at| at + sketch.dwell * 1_000);
        if let Some(ends) = dwell.filter(|ends| *ends > now && want.why != Why::MarkedDown) {
            barriers.push(("dwell", format!("the dwell ends at {ends}")));
        }
        if want.why == Why::Better
            && let (Some(after), Some(since)) = (sketch.failback, book.good.get(want.to))
        {
            let since = if certain { since.earliest } else { since.latest };
            let ready = since.saturating_add(after * 1_000);
            if ready > now {
                barriers.push(("failback", format!("{} must be good until {ready} first", want.to)));
            }
        }
        if matches!(want.why, Why::Health | Why::Better) {
            let doubted = match want.why {
                Why::Health => self.doubts_failure(hub, book.active),
                _ => self.doubts(None),
            };
            if doubted {
                barriers.push(("sight", "this node may be cut off itself".into()));
            }
        }
        if want.why != Why::MarkedDown && self.pinned(hub) {
            barriers.push(("flap-limit", "the hub is pinned".into()));
        }
        if let Some(ends) = self.budget_ends(hub, now) {
            barriers.push(("budget", format!("the budget is used up until {ends}")));
        }
        barriers
    }

    /// What stands in the way of a move beside that: gates, safety rules and the fence; of what is `certain` alone, or of
    /// everything that there may be.
    pub(super) fn gates_and_rules(
        &self,
        hub: &'static str,
        to: &'static str,
        why: Option<Why>,
        now: Wall,
        certain: bool,
    ) -> Vec<(&'static str, String)> {
        let (Some(book), Some(sketch)) = (self.hubs.get(hub), self.hub(hub)) else { return Vec::new() };
        let mut barriers = Vec::new();
        for used in self.holding_gates(hub, to, now, certain) {
            barriers.push(("gate", format!("gate {} is shut", GATES[used.gate])));
        }
        if let Some(rule) = self.broken_rule(hub, to, now, certain) {
            barriers.push(("safety-rule", format!("safety rule s{rule} would be broken")));
        }
        if why == Some(Why::Health) && self.has_to_look(hub, book, to, now, certain) {
            barriers.push(("look", format!("{to} was not seen good since {} began to fail", book.active)));
        }
        if let Some((timeout, stop)) = sketch.fence {
            let told =
                self.announced(hub, certain).filter(|said| said.to == to).is_some_and(|said| match said.answer {
                    Some((_, true)) => true,
                    Some((_, false)) => !stop,
                    None => !stop && said.called + timeout + FENCE_GRACE <= now,
                });
            if !told {
                barriers.push(("fence", format!("{} was not told that it is left", book.active)));
            }
        }
        barriers
    }

    /// Whether the last look at an endpoint has failed, and no mark says that it is good all the same.
    pub(super) fn fails(&self, hub: &'static str, region: &'static str) -> bool {
        let failing = self.watch(hub, region).is_some_and(|(_, watch)| watch.failing.is_some());
        failing && self.mark(hub, region) != Some(MarkKind::Up)
    }

    /// Whether nothing good was seen of what is up since the active region began to fail, and may still be.
    fn has_to_look(&self, hub: &'static str, book: &Book, to: &'static str, now: Wall, certain: bool) -> bool {
        let failing = self.watch(hub, book.active).and_then(|(_, watch)| watch.failing);
        let (Some(failing), Some((aim, watch))) = (failing, self.watch(hub, to)) else { return false };
        let since = |since: Since| if certain { since.earliest } else { since.latest };
        let wanted = book.wanted.filter(|(wanted, _)| *wanted == to).map_or(now, |(_, wanted)| since(wanted));
        let unseen = watch.last_good.is_none_or(|seen| seen < failing);
        let sure = watch.verdict == Some(true) && self.mark(hub, to) != Some(MarkKind::Up);
        sure && unseen && wanted + self.probe(aim).worst_detection() > now
    }

    /// Whether a hub has flapped: its last automatic switches since an operator last said that it may, as many as the limit
    /// says, lie within the window.
    pub(super) fn pinned(&self, hub: &str) -> bool {
        let (Some(book), Some(sketch)) = (self.hubs.get(hub), self.hub(hub)) else { return false };
        let since = self.flaps.get(hub).copied();
        let counted: Vec<_> =
            book.switches.iter().filter(|(at, auto)| *auto && since.is_none_or(|ack| *at > ack)).collect();
        let last = counted.len().checked_sub(sketch.flap_limit).map(|from| &counted[from..]);
        last.is_some_and(|last| last[last.len() - 1].0.saturating_sub(last[0].0) <= sketch.flap_window * 1_000)
    }

    /// When there may be another switch of any origin, where there may be none now.
    pub(super) fn budget_ends(&self, hub: &str, now: Wall) -> Option<Wall> {
        let budget = self.hub(hub)?.budget?;
        let switches = &self.hubs.get(hub)?.switches;
        let oldest = switches.len().checked_sub(budget)?;
        Some(switches[oldest].0 + 3_600_000).filter(|ends| *ends > now)
    }

    /// Whether a gate is open for a hub.
    pub(super) fn open(&self, gate: usize, hub: &'static str, now: Wall) -> bool {
        if gate == ACK {
            let epoch = self.hubs.get(hub).map_or(0, |book| book.epoch);
            return self
                .acks
                .get(&(hub, gate))
                .is_some_and(|(acked, until)| *acked == epoch && until.is_none_or(|until| until > now));
        }
        let max_age = self.sketch.gates[gate].max_age;
        self.evidence.get(&gate).is_some_and(|(at, open)| *open && now.saturating_sub(*at) <= max_age)
    }

    /// The gates that a move would have to pass and that are shut.
    pub(super) fn shut_gates(&self, hub: &'static str, to: &'static str, now: Wall) -> Vec<UseSketch> {
        let (Some(book), Some(sketch)) = (self.hubs.get(hub), self.hub(hub)) else { return Vec::new() };
        let (Some(from), Some(place)) = (sketch.position(book.active), sketch.position(to)) else { return Vec::new() };
        let concerned = sketch.gates.iter().filter(|used| used.concerns(from, place, to));
        concerned.filter(|used| !self.open(used.gate, hub, now)).copied().collect()
    }

    /// The first safety rule that a move would break, or break further. Moves of which the regions that they leave have
    /// been told have their places, and hold those that look for one.
    pub(super) fn broken_rule(&self, hub: &'static str, to: &'static str, now: Wall, certain: bool) -> Option<usize> {
        let from = self.hubs.get(hub)?.active;
        let has_place = self.announced(hub, certain).is_some_and(|said| said.to == to);
        self.sketch.rules.iter().position(|rule| match rule {
            RuleSketch::Count(least, count, of) => {
                let active = |after: bool| {
                    let is = |(member, region): &&(&'static str, &'static str)| match *member == hub {
                        true if after => *region == to,
                        true => from == *region,
                        false => {
                            let here = self.hubs.get(member).is_some_and(|book| book.active == *region);
                            let heads = match has_place {
                                true => here,
                                false => self.heading(member, !certain) == Some(*region),
                            };
                            if *least { here && heads } else { here || heads }
                        }
                    };
                    of.iter().filter(is).count() as u32
                };
                let (before, after) = (active(false), active(true));
                match least {
                    true => after < *count && after < before,
                    false => after > *count && after > before,
                }
            }
            RuleSketch::Gate(gate, of, region) => {
                let concerned = *of == Some(hub) || region.is_some_and(|region| region == from || region == to);
                concerned && !self.open(*gate, hub, now)
            }
        })
    }

    /// The region that a hub leaves has been told of this; in doubt it was only where that is `certain` to hold.
    fn announced(&self, hub: &'static str, even_doubtful: bool) -> Option<&Fencing> {
        let book = self.hubs.get(hub)?;
        let said = self.fences.get(hub).filter(|said| said.epoch == book.epoch + 1);
        said.filter(|said| (even_doubtful || !said.doubtful) && self.is_wanted(hub, said.to))
    }

    /// Whether a move of which a region was told is still to be; one that drains is the one that is being committed.
    fn is_wanted(&self, hub: &'static str, to: &'static str) -> bool {
        let planned = self.moves.get(hub);
        let planned = planned.filter(|planned| matches!(planned.stage, Stage::Ready { .. } | Stage::Drain { .. }));
        planned.is_some_and(|planned| planned.to.as_str() == to) || self.want(hub).is_some_and(|want| want.to == to)
    }

    /// What was said of a move that is not wanted any more does not count when it is wanted again.
    pub(super) fn forget_fences(&mut self) {
        let mut fences = std::mem::take(&mut self.fences);
        fences.retain(|hub, said| self.is_wanted(hub, said.to));
        self.fences = fences;
    }

    /// Where a hub is, or is about to be because the region that it leaves has been told.
    fn heading(&self, hub: &'static str, even_doubtful: bool) -> Option<&'static str> {
        let active = self.hubs.get(hub)?.active;
        Some(self.announced(hub, even_doubtful).map_or(active, |said| said.to))
    }

    /// The gates that hold a move: those that are shut, and whose time to be passed has not come, or may not have.
    fn holding_gates(&self, hub: &'static str, to: &'static str, now: Wall, certain: bool) -> Vec<UseSketch> {
        let Some(book) = self.hubs.get(hub) else { return Vec::new() };
        let since = |since: Since| if certain { since.earliest } else { since.latest };
        let before = book.gated_before.map(|(to, at)| (to, Since { earliest: at, latest: at }));
        let gated = book.gated.or(before).filter(|(wanted, _)| *wanted == to);
        let waited = gated.map_or(0, |(_, gated)| now.saturating_sub(since(gated)));
        let holds = |used: &UseSketch| used.proceed.is_none_or(|after| waited < after * 1_000);
        self.shut_gates(hub, to, now).into_iter().filter(holds).collect()
    }

    /// Writes down since when gates have held the move that is wanted.
    pub(super) fn note_gates(&mut self, now: Wall) {
        let names: Vec<_> = self.sketch.hubs.keys().copied().collect();
        // A move that a commit could not do has waited for nothing yet.
        let latest = self.failing.map_or(now, |failing| failing.until.max(now));
        let begins = Since { earliest: now, latest };
        for hub in names {
            let want = self.want(hub);
            let held = |certain| {
                let clear = |want: &Want| self.barriers(hub, *want, now, certain).is_empty();
                want.filter(clear).is_some_and(|want| !self.shut_gates(hub, want.to, now).is_empty())
            };
            let (may_be, is) = (held(true), held(false));
            let active = self.hubs.get(hub).map(|book| book.active);
            // Nothing is known of the active region yet: whatever was wanted before may be wanted again.
            let open = active
                .and_then(|active| self.watch(hub, active))
                .is_some_and(|(aim, watch)| watch.verdict_by(self.probe(aim)).is_some_and(|by| by > now));
            let Some(book) = self.hubs.get_mut(hub) else { continue };
            book.gated_before = book.gated_before.filter(|(to, _)| want.map_or(open, |want| want.to == *to));
            book.wanted = want.map(|want| match book.wanted {
                Some(wanted) if wanted.0 == want.to => wanted,
                _ => (want.to, begins),
            });
            book.gated = match (want, book.gated) {
                (None, _) => None,
                (Some(want), Some((to, since))) if to == want.to => {
                    let latest = if is { since.latest.min(now) } else { since.latest };
                    Some((to, Since { latest, ..since }))
                }
                (Some(want), _) if may_be => {
                    let latest = if is { now } else { Wall::MAX };
                    let since = Since { earliest: now, latest };
                    let before = book.gated_before.map(|(_, at)| Since { earliest: at, latest: at });
                    Some((want.to, before.unwrap_or(since)))
                }
                _ => None,
            };
        }
    }

    /// Whether a hub has to answer its lower TTL.
    pub(super) fn low_ttl(&self, hub: &'static str, now: Wall) -> bool {
        let (Some(book), Some(sketch)) = (self.hubs.get(hub), self.hub(hub)) else { return false };
        let switched = book.epoch > 1 && book.since + sketch.ttl_restore * 1_000 > now;
        let moving = self.moves.get(hub).is_some_and(|planned| planned.stage.is_under_way());
        let unsettled = self.watch(hub, book.active).is_some_and(|(_, watch)| watch.unsettled());
        sketch.ttl_min < sketch.ttl && (switched || moving || unsettled)
    }

    /// Until when a first verdict on an endpoint is waited for, unless an operator has marked it up.
    pub(super) fn first_verdict(&self, hub: &'static str, region: &'static str) -> Option<Wall> {
        let (aim, watch) = self.watch(hub, region)?;
        watch.verdict_by(self.probe(aim)).filter(|_| self.mark(hub, region) != Some(MarkKind::Up))
    }

    /// Writes down since when endpoints are good.
    pub(super) fn refresh(&mut self, now: Wall) {
        let failing = self.failing;
        let names: Vec<_> = self.hubs.keys().copied().collect();
        for hub in names {
            let good: Vec<_> = self.endpoints(hub).filter(|region| self.good(hub, region)).collect();
            let Some(book) = self.hubs.get_mut(hub) else { continue };
            book.good.retain(|region, _| good.contains(region));
            for region in good {
                let earliest = failing.map_or(now, |failing| failing.since.min(now));
                book.good.entry(region).or_insert(Since { earliest, latest: now });
            }
        }
    }

    /// The daemon starts again: what it did not write down is gone.
    pub(super) fn restart(&mut self, now: Wall) {
        self.watches.clear();
        self.evidence.clear();
        self.fences.clear();
        (self.blind, self.at_once, self.regained) = (false, false, false);
        for book in self.hubs.values_mut() {
            book.good.clear();
            // A clock that was set back must not make a dwell of years, nor one that begins with each start.
            let found = book.written_set_back.filter(|(epoch, at)| *epoch == book.epoch && *at <= now);
            let then = found.map_or(now, |(_, at)| at);
            let bound = |at: Wall| if at > now { then } else { at };
            book.last_automatic = book.written_automatic.map(bound);
            book.since = bound(book.written_since);
            book.switches = book.written_switches.iter().map(|(at, automatic)| (bound(*at), *automatic)).collect();
            (book.gated, book.wanted) = (None, None);
            let of_this_epoch = book.written_gated.filter(|(epoch, ..)| *epoch == book.epoch);
            book.gated_before = of_this_epoch.map(|(_, to, since)| (to, since.min(now)));
        }
    }
}
