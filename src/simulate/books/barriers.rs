//! What stands in the way of a move.

use super::*;

impl Books {
    /// What stands in the way of a move, by the names of the rules: of what is `certain` alone, or of everything that
    /// there may be.
    pub(in crate::simulate) fn barriers(
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
        let dwell = book.last_automatic.map(|at| self.after(at, sketch.dwell * 1_000));
        if let Some(ends) = dwell.filter(|ends| *ends > now && want.why != Why::MarkedDown) {
            barriers.push(("dwell", format!("the dwell ends at {ends}")));
        }
        if want.why == Why::Better
            && let (Some(after), Some(since)) = (sketch.failback, book.good.get(want.to))
        {
            let since = if certain { since.earliest } else { since.latest };
            let ready = self.after(since, after * 1_000);
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
    pub(in crate::simulate) fn gates_and_rules(
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
                    None => !stop && self.after(said.called, timeout + FENCE_GRACE) <= now,
                });
            if !told {
                barriers.push(("fence", format!("{} was not told that it is left", book.active)));
            }
        }
        barriers
    }

    /// Whether the last look at an endpoint has failed, and no mark says that it is good all the same.
    pub(in crate::simulate) fn fails(&self, hub: &'static str, region: &'static str) -> bool {
        let failing = self.watch(hub, region).is_some_and(|(_, watch)| watch.failing.is_some());
        failing && self.mark(hub, region) != Some(MarkKind::Up)
    }

    /// Whether nothing good was seen of what is up since the active region began to fail, and may still be.
    pub(in crate::simulate) fn has_to_look(
        &self,
        hub: &'static str,
        book: &Book,
        to: &'static str,
        now: Wall,
        certain: bool,
    ) -> bool {
        let failing = self.watch(hub, book.active).and_then(|(_, watch)| watch.failing);
        let (Some(failing), Some((aim, watch))) = (failing, self.watch(hub, to)) else { return false };
        let since = |since: Since| if certain { since.earliest } else { since.latest };
        let wanted = book.wanted.filter(|(wanted, _)| *wanted == to).map_or(now, |(_, wanted)| since(wanted));
        let unseen = watch.last_good.is_none_or(|seen| seen < failing);
        let sure = watch.verdict == Some(true) && self.mark(hub, to) != Some(MarkKind::Up);
        sure && unseen && self.after(wanted, self.probe(aim).worst_detection()) > now
    }

    /// Whether a hub has flapped: its last automatic switches since an operator last said that it may, as many as the limit
    /// says, lie within the window.
    pub(in crate::simulate) fn pinned(&self, hub: &str) -> bool {
        let (Some(book), Some(sketch)) = (self.hubs.get(hub), self.hub(hub)) else { return false };
        let since = self.flaps.get(hub).copied();
        let counted: Vec<_> =
            book.switches.iter().filter(|(at, auto)| *auto && since.is_none_or(|ack| *at > ack)).collect();
        let last = counted.len().checked_sub(sketch.flap_limit).map(|from| &counted[from..]);
        last.is_some_and(|last| self.lived(last[0].0, last[last.len() - 1].0) <= sketch.flap_window * 1_000)
    }

    /// When there may be another switch of any origin, where there may be none now.
    pub(in crate::simulate) fn budget_ends(&self, hub: &str, now: Wall) -> Option<Wall> {
        let budget = self.hub(hub)?.budget?;
        let switches = &self.hubs.get(hub)?.switches;
        let oldest = switches.len().checked_sub(budget)?;
        Some(self.after(switches[oldest].0, 3_600_000)).filter(|ends| *ends > now)
    }

    /// Whether a gate is open for a hub.
    pub(in crate::simulate) fn open(&self, gate: usize, hub: &'static str, now: Wall) -> bool {
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
    pub(in crate::simulate) fn shut_gates(&self, hub: &'static str, to: &'static str, now: Wall) -> Vec<UseSketch> {
        let (Some(book), Some(sketch)) = (self.hubs.get(hub), self.hub(hub)) else { return Vec::new() };
        let (Some(from), Some(place)) = (sketch.position(book.active), sketch.position(to)) else { return Vec::new() };
        let concerned = sketch.gates.iter().filter(|used| used.concerns(from, place, to));
        concerned.filter(|used| !self.open(used.gate, hub, now)).copied().collect()
    }

    /// The first safety rule that a move would break, or break further. Moves of which the regions that they leave have
    /// been told have their places, and hold those that look for one.
    pub(in crate::simulate) fn broken_rule(
        &self,
        hub: &'static str,
        to: &'static str,
        now: Wall,
        certain: bool,
    ) -> Option<usize> {
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
    pub(in crate::simulate) fn announced(&self, hub: &'static str, even_doubtful: bool) -> Option<&Fencing> {
        let book = self.hubs.get(hub)?;
        let said = self.fences.get(hub).filter(|said| said.epoch == book.epoch + 1);
        said.filter(|said| (even_doubtful || !said.doubtful) && self.is_wanted(hub, said.to))
    }

    /// Whether a move of which a region was told is still to be; one that drains is the one that is being committed.
    pub(in crate::simulate) fn is_wanted(&self, hub: &'static str, to: &'static str) -> bool {
        let planned = self.moves.get(hub);
        let planned = planned.filter(|planned| matches!(planned.stage, Stage::Ready { .. } | Stage::Drain { .. }));
        planned.is_some_and(|planned| planned.to.as_str() == to) || self.want(hub).is_some_and(|want| want.to == to)
    }

    /// What was said of a move that is not wanted any more does not count when it is wanted again.
    pub(in crate::simulate) fn forget_fences(&mut self) {
        let mut fences = std::mem::take(&mut self.fences);
        fences.retain(|hub, said| self.is_wanted(hub, said.to));
        self.fences = fences;
    }

    /// Where a hub is, or is about to be because the region that it leaves has been told.
    pub(in crate::simulate) fn heading(&self, hub: &'static str, even_doubtful: bool) -> Option<&'static str> {
        let active = self.hubs.get(hub)?.active;
        Some(self.announced(hub, even_doubtful).map_or(active, |said| said.to))
    }

    /// The gates that hold a move: those that are shut, and whose time to be passed has not come, or may not have.
    pub(in crate::simulate) fn holding_gates(
        &self,
        hub: &'static str,
        to: &'static str,
        now: Wall,
        certain: bool,
    ) -> Vec<UseSketch> {
        let Some(book) = self.hubs.get(hub) else { return Vec::new() };
        let since = |since: Since| if certain { since.earliest } else { since.latest };
        let before = book.gated_before.map(|(to, at)| (to, Since { earliest: at, latest: at }));
        let gated = book.gated.or(before).filter(|(wanted, _)| *wanted == to);
        let waited = gated.map_or(0, |(_, gated)| self.lived(since(gated), now));
        let holds = |used: &UseSketch| used.proceed.is_none_or(|after| waited < after * 1_000);
        self.shut_gates(hub, to, now).into_iter().filter(holds).collect()
    }
}
