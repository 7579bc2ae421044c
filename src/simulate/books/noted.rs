//! Since when something is so, and what is left of it after a restart.

use super::*;

impl Books {
    /// Somebody looks for probers of which nothing has been heard for longer than their probe allows.
    pub(in crate::simulate) fn look(&mut self, now: Wall) {
        let probes = &self.sketch.probes;
        for (aim, watch) in &mut self.watches {
            watch.silent |= now.saturating_sub(watch.heard.unwrap_or(watch.started)) > probes[aim.probe].patience();
        }
    }

    /// Writes down since when gates have held the move that is wanted.
    pub(in crate::simulate) fn note_gates(&mut self, now: Wall) {
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
    pub(in crate::simulate) fn low_ttl(&self, hub: &'static str, now: Wall) -> bool {
        let (Some(book), Some(sketch)) = (self.hubs.get(hub), self.hub(hub)) else { return false };
        let switched = book.epoch > 1 && book.since + sketch.ttl_restore * 1_000 > now;
        let moving = self.moves.get(hub).is_some_and(|planned| planned.stage.is_under_way());
        let unsettled = self.watch(hub, book.active).is_some_and(|(_, watch)| watch.unsettled());
        sketch.ttl_min < sketch.ttl && (switched || moving || unsettled)
    }

    /// Until when a first verdict on an endpoint is waited for, unless an operator has marked it up.
    pub(in crate::simulate) fn first_verdict(&self, hub: &'static str, region: &'static str) -> Option<Wall> {
        let (aim, watch) = self.watch(hub, region)?;
        watch.verdict_by(self.probe(aim)).filter(|_| self.mark(hub, region) != Some(MarkKind::Up))
    }

    /// Writes down since when endpoints are good.
    pub(in crate::simulate) fn refresh(&mut self, now: Wall) {
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
    pub(in crate::simulate) fn restart(&mut self, now: Wall) {
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
