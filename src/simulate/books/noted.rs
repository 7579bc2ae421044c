//! Since when something is so, and what is left of it after a restart.

use super::*;

impl Books {
    /// Somebody looks for probers of which nothing has been heard for longer than their probe allows.
    pub(in crate::simulate) fn look(&mut self, now: Wall) {
        let probes = &self.sketch.probes;
        for (aim, watch) in &mut self.watches {
            let quiet = lived(&self.skips, watch.heard.unwrap_or(watch.started), now);
            watch.silent |= quiet > probes[aim.probe].patience();
        }
    }

    /// Whether nothing is known of a region, by probes or marks: whatever was wanted before may be wanted again.
    pub(in crate::simulate) fn nothing_known(&self, hub: &'static str, region: &'static str) -> bool {
        let unseen = self.watch(hub, region).is_some_and(|(_, watch)| watch.verdict.is_none());
        unseen && self.mark(hub, region).is_none()
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
            let open = active.is_some_and(|active| self.nothing_known(hub, active));
            let Some(book) = self.hubs.get_mut(hub) else { continue };
            book.gated_before = book.gated_before.filter(|(to, _)| want.map_or(open, |want| want.to == *to));
            book.wanted = want.map(|want| match book.wanted {
                Some(wanted) if wanted.0 == want.to => wanted,
                _ => (want.to, begins),
            });
            book.gated = match (want, book.gated) {
                (None, gated) => gated.filter(|_| open),
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
        let switched = book.epoch > 1 && self.after(book.since, sketch.ttl_restore * 1_000) > now;
        let moving = self.moves.get(hub).is_some_and(|planned| planned.stage.is_under_way());
        let unsettled = self.watch(hub, book.active).is_some_and(|(_, watch)| watch.unsettled());
        sketch.ttl_min < sketch.ttl && (switched || moving || unsettled)
    }

    /// Until when a first verdict on a target is waited for.
    pub(in crate::simulate) fn verdict_by(&self, aim: Aim, watch: &Watch) -> Option<Wall> {
        watch.verdict_within(self.probe(aim)).map(|within| self.after(watch.started, within))
    }

    /// How much of the time between two moments was lived through.
    pub(in crate::simulate) fn lived(&self, earlier: Wall, later: Wall) -> Wall {
        lived(&self.skips, earlier, later)
    }

    /// When so much has been lived through since a moment.
    pub(in crate::simulate) fn after(&self, since: Wall, length: Wall) -> Wall {
        let (mut at, mut left) = (since, length);
        for (from, to) in self.skips.iter().copied().filter(|(_, to)| *to > since) {
            let before = from.saturating_sub(at);
            if left <= before {
                break;
            }
            (at, left) = (to, left - before);
        }
        at.saturating_add(left)
    }

    /// The clock has gone from one moment to another one, and nobody has waited or looked meanwhile.
    pub(in crate::simulate) fn skip(&mut self, from: Wall, to: Wall) {
        self.skips.push((from, to));
        self.skips.sort_unstable();
        // Those that touch are one, and of more than are remembered the oldest are.
        let mut joined: Vec<(Wall, Wall)> = Vec::new();
        for (from, to) in std::mem::take(&mut self.skips) {
            match joined.last_mut().filter(|last| last.1 >= from) {
                Some(last) => last.1 = last.1.max(to),
                None => joined.push((from, to)),
            }
        }
        let over = joined.len().saturating_sub(SKIPS);
        joined[over].0 = joined[0].0;
        self.skips = joined.split_off(over);
        self.hubs.values_mut().for_each(|book| book.good.clear());
    }

    /// Drills that have gone on for too long are over.
    pub(in crate::simulate) fn end_drills(&mut self, now: Wall) {
        self.drills.retain(|_, drill| drill.until > now);
    }

    /// Hubs whose region has to be said to have been told in vain: it was told, and the move is not wanted any more.
    pub(in crate::simulate) fn told_in_vain(&self) -> impl Iterator<Item = &'static str> {
        let in_vain = |(hub, owed): (&&'static str, &Owed)| {
            let book = self.hubs.get(hub).filter(|book| book.epoch + 1 == owed.epoch)?;
            self.hub(hub)?.position(book.active)?;
            let planned = self.moves.get(hub).filter(|planned| planned.stage.is_open());
            let wanted = planned.is_some_and(|planned| planned.to.as_str() == owed.to)
                || self.want(hub).is_some_and(|want| want.to == owed.to);
            let sure = (owed.acknowledged || owed.lost) && !self.nothing_known(hub, book.active);
            (sure && !wanted).then_some(*hub)
        };
        self.owed.iter().filter_map(in_vain)
    }

    /// Until when a first verdict on an endpoint is waited for, unless an operator has marked it up.
    pub(in crate::simulate) fn first_verdict(&self, hub: &'static str, region: &'static str) -> Option<Wall> {
        let (aim, watch) = self.watch(hub, region)?;
        self.verdict_by(aim, watch).filter(|_| self.mark(hub, region) != Some(MarkKind::Up))
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
        self.drills.clear();
        self.owed.values_mut().for_each(|owed| owed.lost = true);
        // A clock that was set back comes to it again, and nobody passes over it then.
        let past = self.written_skips.iter().filter(|(from, _)| *from < now);
        self.skips = past.map(|(from, to)| (*from, (*to).min(now))).collect();
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

/// So much of the time that was passed over is remembered piece by piece.
const SKIPS: usize = 16;

fn lived(skips: &[(Wall, Wall)], earlier: Wall, later: Wall) -> Wall {
    let within = |(from, to): &(Wall, Wall)| (*to).min(later).saturating_sub((*from).max(earlier));
    later.saturating_sub(earlier).saturating_sub(skips.iter().map(within).sum())
}
