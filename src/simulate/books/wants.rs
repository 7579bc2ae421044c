//! What the rules want of a hub, by what is known and marked.

use super::*;

impl Books {
    /// The mark that holds: the most restrictive one.
    pub(in crate::simulate) fn mark(&self, hub: &'static str, region: &'static str) -> Option<MarkKind> {
        let targets = [Target::Region(region), Target::Endpoint(hub, region)];
        let marks = targets.iter().filter_map(|target| self.marks.get(target)).map(|mark| mark.kind);
        let windows = self.windows.values().filter(|window| window.begun && targets.contains(&window.target));
        let said: Vec<_> = marks.chain(windows.map(|window| window.kind)).collect();
        [MarkKind::Down, MarkKind::Drain, MarkKind::Up].into_iter().find(|kind| said.contains(kind))
    }

    /// The mark that will hold when a move that has its time would switch, as far as operators have said it.
    pub(in crate::simulate) fn mark_of_move(
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
        let windows = windows.filter(|window| (window.begun || window.from <= then) && lasts(Some(window.until)));
        let said: Vec<_> = marks.map(|mark| mark.kind).chain(windows.map(|window| window.kind)).collect();
        [MarkKind::Down, MarkKind::Drain, MarkKind::Up].into_iter().find(|kind| said.contains(kind))
    }

    /// Whether an operator's move may lead to an endpoint that is marked like that.
    pub(in crate::simulate) fn takes(
        &self,
        hub: &'static str,
        region: &'static str,
        mark: Option<MarkKind>,
        now: Wall,
    ) -> bool {
        let seen = self.watch(hub, region).is_none_or(|(aim, watch)| {
            let waits = self.verdict_by(aim, watch).is_some_and(|by| by > now);
            watch.verdict != Some(false) && !waits && watch.failing.is_none()
        });
        mark.map_or(seen, |mark| mark == MarkKind::Up)
    }

    pub(in crate::simulate) fn watch(&self, hub: &str, region: &str) -> Option<(Aim, &Watch)> {
        let sketch = self.hub(hub)?;
        let aim = sketch.endpoints[sketch.position(region)?].aim()?;
        let drill = self.drills.get(hub).filter(|drill| drill.region == region);
        Some((aim, drill.map(|drill| &drill.watch).or_else(|| self.watches.get(&aim))?))
    }

    /// What probes say of an endpoint, drilled or not.
    pub(in crate::simulate) fn measured(&self, hub: &str, region: &str) -> Option<bool> {
        let sketch = self.hub(hub)?;
        self.watches.get(&sketch.endpoints[sketch.position(region)?].aim()?)?.verdict
    }

    /// Whether nothing has been heard of an endpoint for too long.
    pub(in crate::simulate) fn silent(&self, aim: Aim) -> bool {
        self.watches.get(&aim).is_some_and(|watch| watch.silent)
    }

    /// What an endpoint counts as.
    pub(in crate::simulate) fn health(&self, hub: &str, region: &str) -> Option<bool> {
        self.watch(hub, region)?.1.verdict
    }

    /// Marked up, or not marked and not down.
    pub(in crate::simulate) fn eligible(&self, hub: &'static str, region: &'static str) -> bool {
        match self.mark(hub, region) {
            Some(mark) => mark == MarkKind::Up,
            None => self.health(hub, region) != Some(false),
        }
    }

    /// Drained, and not down: usable when nothing else is.
    pub(in crate::simulate) fn drained(&self, hub: &'static str, region: &'static str) -> bool {
        self.mark(hub, region) == Some(MarkKind::Drain) && self.health(hub, region) != Some(false)
    }

    /// Eligible, and seen to be so: marked up, or observed up by a prober that is heard.
    pub(in crate::simulate) fn good(&self, hub: &'static str, region: &'static str) -> bool {
        match self.mark(hub, region) {
            Some(mark) => mark == MarkKind::Up,
            None => self.watch(hub, region).is_some_and(|(aim, watch)| {
                watch.verdict == Some(true) && !self.silent(aim) && watch.failing.is_none()
            }),
        }
    }

    pub(in crate::simulate) fn probed(&self, hub: &str, region: &str) -> bool {
        self.watch(hub, region).is_some()
    }

    /// Whether answering with all endpoints has to end: something good is known, or something is eligible of which
    /// nothing better can ever be known. Silence does not take away what was observed.
    pub(in crate::simulate) fn something_good(&self, hub: &'static str) -> bool {
        self.endpoints(hub).any(|region| {
            let marked_up = self.mark(hub, region) == Some(MarkKind::Up);
            let up = self.health(hub, region) == Some(true) || !self.probed(hub, region);
            self.eligible(hub, region) && (marked_up || up)
        })
    }

    pub(in crate::simulate) fn endpoints(&self, hub: &str) -> impl Iterator<Item = &'static str> {
        self.hub(hub).into_iter().flat_map(|hub| &hub.endpoints).map(|endpoint| endpoint.region)
    }

    /// The endpoint that has to be chosen where nothing stands in the way: the first that is eligible, else one that is
    /// drained, else the one of last resort.
    pub(in crate::simulate) fn candidate(&self, hub: &'static str) -> Option<&'static str> {
        let first = |may: &dyn Fn(&'static str) -> bool| self.endpoints(hub).find(|region| may(region));
        first(&|region| self.eligible(hub, region)).or_else(|| first(&|region| self.drained(hub, region))).or_else(
            || match self.hub(hub)?.resort {
                ResortSketch::Region(region) => Some(region),
                ResortSketch::Keep | ResortSketch::All => None,
            },
        )
    }

    /// Whether every endpoint has to be answered at once.
    pub(in crate::simulate) fn all_wanted(&self, hub: &'static str) -> bool {
        self.hub(hub).is_some_and(|hub| hub.resort == ResortSketch::All) && self.candidate(hub).is_none()
    }

    /// Whether what speaks for answering everything at once may be this node's own blindness.
    pub(in crate::simulate) fn all_doubted(&self, hub: &'static str) -> bool {
        let Some(book) = self.hubs.get(hub) else { return false };
        self.mark(hub, book.active).is_none() && self.doubts_failure(hub, book.active)
    }

    /// The move that the rules want of a hub whose active region the policy has.
    pub(in crate::simulate) fn want(&self, hub: &'static str) -> Option<Want> {
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
}
