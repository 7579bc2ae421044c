//! What an observer writes down who sees what goes in and what comes out, and what follows from it by the rules as
//! SPEC says them. Nothing of the decision's code is used here, or looks like it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::history::Target;
use super::sketch::{Aim, HubSketch, ProbeSketch, ResortSketch, Sketch};
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
    /// When commits began to fail whose changes may not have been tried again: what they would have changed is known to
    /// the core from then on.
    pub(super) failing: Option<Wall>,
}

/// What was seen of one target.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) started: Wall,
    pub(super) heard: Option<Wall>,
    /// How many of the last observations were alike, and whether they were good.
    pub(super) row: u32,
    pub(super) good: bool,
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
    /// When the active region last changed, as the daemon's clock says since it started.
    pub(super) since: Wall,
    pub(super) written_since: Wall,
    /// Whether an operator's failover chose the active region.
    pub(super) chosen: bool,
    pub(super) all: bool,
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
        Self { started, heard: None, row: 0, good: false, verdict: None, before, silent: false }
    }

    /// What has to be remembered.
    pub(super) fn known(&self) -> Option<bool> {
        self.verdict.or(self.before)
    }

    pub(super) fn observe(&mut self, probe: &ProbeSketch, good: bool, at: Wall) {
        self.row = if self.heard.is_some() && self.good == good { self.row.saturating_add(1) } else { 1 };
        self.good = good;
        self.heard = Some(at);
        self.silent = false;
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
            since: 0,
            written_since: 0,
            chosen: false,
            all: false,
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
            failing: None,
        }
    }

    /// Another policy is loaded.
    pub(super) fn load(&mut self, sketch: Arc<Sketch>, now: Wall) {
        let aims = |sketch: &Sketch| -> Vec<Aim> {
            sketch.hubs.values().flat_map(|hub| &hub.endpoints).filter_map(|endpoint| endpoint.aim()).collect()
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
    }

    pub(super) fn probe(&self, aim: Aim) -> &ProbeSketch {
        &self.sketch.probes[aim.probe]
    }

    pub(super) fn hub(&self, hub: &str) -> Option<&HubSketch> {
        self.sketch.hubs.get(hub)
    }

    /// The mark that holds: the most restrictive one.
    pub(super) fn mark(&self, hub: &'static str, region: &'static str) -> Option<MarkKind> {
        let of = |target| self.marks.get(&target).map(|mark| mark.kind);
        let both = [of(Target::Region(region)), of(Target::Endpoint(hub, region))];
        [MarkKind::Down, MarkKind::Drain, MarkKind::Up].into_iter().find(|kind| both.contains(&Some(*kind)))
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
            None => self.watch(hub, region).is_some_and(|(_, watch)| watch.verdict == Some(true) && !watch.silent),
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
        barriers
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
                let earliest = failing.unwrap_or(now).min(now);
                book.good.entry(region).or_insert(Since { earliest, latest: now });
            }
        }
    }

    /// The daemon starts again: what it did not write down is gone.
    pub(super) fn restart(&mut self, now: Wall) {
        self.watches.clear();
        for book in self.hubs.values_mut() {
            book.good.clear();
            // A clock that was set back must not make a dwell of years.
            book.last_automatic = book.written_automatic.map(|at| at.min(now));
            book.since = book.written_since.min(now);
        }
    }
}
