//! What is committed of hubs, against the rules.

use super::*;

impl Checker {
    /// One hub's change, against everything that is known.
    pub(in crate::simulate) fn change(&mut self, hub: &'static str, change: &Change) {
        let now = self.turn.now;
        let (to, book) = (region_of(&change.after.active), self.books.hubs.get(hub).cloned());
        let told = change.before.as_ref().map(|before| (region_of(&before.active), before.epoch, before.all));
        let known = book.as_ref().map(|book| (book.active, book.epoch, book.all));
        self.unless(told == known, "books", || format!("{hub} stands at {known:?}, and the commit says {told:?}"));
        let moves = book.as_ref().is_none_or(|book| book.active != to);
        let epoch = book.as_ref().map_or(0, |book| book.epoch) + u64::from(moves);
        let says = change.after.epoch;
        self.unless(says == epoch, "epoch", || {
            format!("{hub} moves to {to} as epoch {says}, and it is change {epoch}")
        });
        let position = self.books.hub(hub).and_then(|sketch| sketch.position(to));
        self.unless(position.is_some(), "eligible", || format!("{hub} has no endpoint in {to}"));
        if change.kind == ChangeKind::Answer {
            let all = change.after.all;
            let wanted = self.books.all_wanted(hub) && !self.books.all_doubted(hub);
            self.unless(!moves && (!all || wanted), "single-region", || format!("{hub} answers all endpoints: {all}"));
            self.write(hub, change, false);
            return;
        }
        self.unless(!change.after.all, "single-region", || format!("{hub} moves, and answers all endpoints"));
        let automatic = match &book {
            None => {
                self.fresh(hub, to);
                false
            }
            Some(book) if self.books.hub(hub).is_some_and(|sketch| sketch.position(book.active).is_none()) => {
                self.fresh(hub, to);
                false
            }
            Some(book) if self.turn.ordered.contains_key(hub) => {
                if let Some(planned) = self.turn.ordered.remove(hub) {
                    self.turn.moved |= self.turn.hub.as_ref().is_some_and(|(asked, _)| *asked == hub);
                    self.ordered(hub, to, book.active, &planned);
                }
                false
            }
            Some(book) => {
                self.unless(moves, "stay", || format!("{hub} moves to {to}, where it is"));
                let want = self.books.want(hub);
                let why = self.wanted(hub, book.active, to, want, now);
                matches!(why, Some(Why::Health | Why::Better))
            }
        };
        self.write(hub, change, automatic);
    }

    /// A choice where nothing stands.
    pub(in crate::simulate) fn fresh(&mut self, hub: &'static str, to: &'static str) {
        let first = self.books.endpoints(hub).next();
        let expected = self.books.candidate(hub).or(first);
        self.unless(expected == Some(to), "eligible", || format!("{hub} begins with {to}, not with {expected:?}"));
    }

    /// A move that an operator ordered, now or before.
    pub(in crate::simulate) fn ordered(
        &mut self,
        hub: &'static str,
        to: &'static str,
        from: &'static str,
        planned: &Move,
    ) {
        let now = self.turn.now;
        let present = self.books.hubs.get(hub).map(|book| book.epoch);
        let options = &planned.options;
        self.unless(region_of(&planned.to) == to && from != to, "move", || format!("{hub} moves to {to}: {planned:?}"));
        self.unless(
            Some(planned.epoch) == present && options.epoch.is_none_or(|epoch| Some(epoch) == present),
            "move",
            || format!("{hub} moves to {to} as planned at epoch {}, and the epoch is {present:?}", planned.epoch),
        );
        let in_time = options.at.is_none_or(|at| at.0 <= now) && options.until.is_none_or(|until| until.0 > now);
        self.unless(in_time, "move", || format!("{hub} moves to {to} at {now}, not when it was to: {options:?}"));
        let mut approved: Vec<_> = planned.approvals.iter().map(|approval| &approval.author).collect();
        approved.sort_unstable();
        approved.dedup();
        let enough = approved.len() >= usize::from(planned.needed);
        self.unless(enough, "move", || format!("{hub} moves to {to} with the approval of {approved:?} alone"));
        if let Some((since, wait)) = self.lowered.get(hub).copied().filter(|_| !options.now) {
            let waited = self.books.lived(since, now);
            self.unless(waited >= wait, "move", || format!("{hub} moves {waited} ms after its TTL was lowered"));
        }
        self.unless(self.books.eligible(hub, to), "eligible", || format!("an operator moved {hub} to {to}"));
        let fails = self.books.fails(hub, to);
        self.unless(!fails, "look", || format!("an operator moved {hub} to {to}, where the last look has failed"));
        let verdict = self.books.first_verdict(hub, to).is_none_or(|by| by <= now);
        self.unless(verdict, "verdict", || format!("an operator moved {hub} to {to}, of which nothing is known yet"));
        let shut = !self.books.shut_gates(hub, to, now).is_empty();
        self.unless(!shut || options.force, "gate", || format!("an operator moved {hub} to {to} through a shut gate"));
        let spent = self.books.budget_ends(hub, now).is_some();
        let broken_glass = options.break_glass.is_some();
        self.unless(!spent || broken_glass, "budget", || format!("an operator moved {hub} to {to} over the budget"));
        let breaks = self.books.broken_rule(hub, to, now, true).is_some();
        self.unless(!breaks || broken_glass, "safety-rule", || {
            format!("an operator moved {hub} to {to} against a rule")
        });
        let held = self.books.gates_and_rules(hub, to, None, now, true).iter().any(|(rule, _)| *rule == "fence");
        let timeout = self.books.hub(hub).and_then(|sketch| sketch.fence).map_or(0, |(timeout, _)| timeout);
        let failed = self.books.fences.get(hub).is_some_and(|said| match said.answer {
            Some((_, acknowledged)) => !acknowledged,
            None => self.books.after(said.called, timeout) <= now,
        });
        self.unless(!held || (options.force && failed), "fence", || format!("an operator moved {hub} to {to} untold"));
        let noted = self.turn.overridden.contains(&hub);
        self.unless(noted == (shut || spent || breaks || held), "move", || {
            format!(
                "{hub} has moved to {to} past something: {}, and that is noted: {noted}",
                shut || spent || breaks || held
            )
        });
    }

    /// A move that nobody ordered.
    pub(in crate::simulate) fn wanted(
        &mut self,
        hub: &'static str,
        from: &'static str,
        to: &'static str,
        want: Option<Want>,
        now: u64,
    ) -> Option<Why> {
        let Some(want) = want else {
            self.broken("stay", || format!("{hub} switches from {from} to {to}, and nothing speaks for it"));
            return None;
        };
        let meant = want.to;
        self.unless(meant == to, "eligible", || format!("{hub} switches from {from} to {to}, not to {meant}"));
        let held = self.books.barriers(hub, want, now, true).into_iter();
        let rules = self.books.gates_and_rules(hub, to, Some(want.why), now, true);
        for (rule, sentence) in held.chain(rules).collect::<Vec<_>>() {
            self.broken(rule, || format!("{hub} switches from {from} to {to}, and {sentence}; it is {now}"));
        }
        Some(want.why)
    }

    pub(in crate::simulate) fn write(&mut self, hub: &'static str, change: &Change, automatic: bool) {
        self.write_at(self.turn.now, hub, change, automatic);
        self.books.refresh(self.turn.now);
    }

    pub(in crate::simulate) fn write_at(&mut self, now: u64, hub: &'static str, change: &Change, automatic: bool) {
        let to = region_of(&change.after.active);
        let book = self.books.hubs.entry(hub).or_insert_with(|| Book::new(to));
        if book.epoch == 0 || book.active != to {
            book.epoch += 1;
            (book.since, book.written_since) = (now, now);
            if book.epoch > 1 {
                let automatic = automatic && change.kind == ChangeKind::Switch;
                for list in [&mut book.switches, &mut book.written_switches] {
                    list.push((now, automatic));
                }
            }
        }
        if change.kind == ChangeKind::Switch {
            self.books.fences.remove(hub);
            self.books.owed.remove(hub);
            (book.gated, book.wanted) = (None, None);
        }
        book.active = to;
        book.all = change.after.all;
        if automatic {
            book.last_automatic = Some(now);
            book.written_automatic = Some(now);
        }
        if change.kind == ChangeKind::Switch {
            book.chosen = change.after.cause == crate::policy::Cause::Failover;
        }
    }
}
