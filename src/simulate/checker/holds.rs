//! What the daemon holds after an event, and whether something was left undone.

use super::*;

impl Checker {
    /// What the daemon holds after all this.
    pub(in crate::simulate) fn end(&mut self, state: &State) {
        let now = self.turn.now;
        self.before = None;
        self.books.refresh(now);
        let waits = matches!(self.turn.doing, Doing::Command(_)) && !self.turn.replied;
        self.unless(!waits, "order", || "a command was not answered".into());
        let hubs: Vec<_> = self.books.sketch.hubs.keys().copied().collect();
        self.books.note_gates(now);
        self.books.forget_fences();
        for hub in hubs.iter().copied() {
            self.stands(hub, state);
            if now > self.excused {
                self.is_prompt(hub, now);
                self.move_is_prompt(hub, now);
            }
        }
        if now > self.excused {
            for (hub, choice) in hubs.iter().copied().zip(state.choices()) {
                let low = self.books.low_ttl(hub, now);
                self.unless(low == choice.low_ttl, "low-ttl", || {
                    format!("{hub} has the lower TTL: {}", choice.low_ttl)
                });
            }
        }
        if now > self.excused {
            for hub in self.books.told_in_vain().collect::<Vec<_>>() {
                let known = self.told_notice(hub);
                self.unless(known, "told", || {
                    format!("{hub} was told that it is left, it stays, and nobody is told so")
                });
            }
        }
        let published = self.published.as_ref().is_some_and(|(_, choices)| **choices == *state.choices());
        // What a commit that failed kept from being published is published by the next event.
        let failed = self.turn.failed;
        self.unless(published || failed, "quiet", || "what is published is not what stands".into());
        let marks = state.marks().clone();
        self.same_marks(&marks, "books");
        let late = |mark: &Mark| mark.until.is_some_and(|until| until <= now);
        if now > self.excused
            && let Some((target, mark)) = self.books.marks.iter().find(|(_, mark)| late(mark))
        {
            let sentence = format!("{target} is {mark:?} at {now}");
            self.broken("mark", || sentence);
        }
        let due = |window: &Window| window.until <= now || (!window.begun && window.from <= now);
        if now > self.excused
            && let Some((id, window)) = self.books.windows.iter().find(|(_, window)| due(window))
        {
            let sentence = format!("window {id} is {window:?} at {now}");
            self.broken("mark", || sentence);
        }
        if matches!(self.turn.doing, Doing::Command(_) | Doing::Start)
            || self.turn.marked
            || self.turns.is_multiple_of(64)
        {
            self.measured(state);
        }
    }

    /// Whether there is a notice that the active region was told in vain.
    pub(in crate::simulate) fn told_notice(&self, hub: &'static str) -> bool {
        let key = Name::parse(hub, None).ok().map(|name| FactKey::notice(&name));
        let notices = key.and_then(|key| self.facts.get(&key)?.get::<Notices>().ok()).unwrap_or_default();
        let epoch = self.books.hubs.get(hub).map(|book| book.epoch);
        notices.entries.iter().any(|notice| notice.kind == NoticeKind::Told && Some(notice.epoch) == epoch)
    }

    pub(in crate::simulate) fn stands(&mut self, hub: &'static str, state: &State) {
        let standing = Name::parse(hub, None).ok().and_then(|name| state.standing(&name).cloned());
        let book = self.books.hubs.get(hub);
        let same = match (&standing, book) {
            (Some(standing), Some(book)) => {
                standing.active.as_str() == book.active && standing.epoch == book.epoch && standing.all == book.all
            }
            (None, None) => true,
            _ => false,
        };
        let known = book.map(|book| (book.active, book.epoch));
        self.unless(same, "books", || format!("{hub} stands at {standing:?}, and what was committed is {known:?}"));
    }

    /// Nothing that could be done is left undone.
    pub(in crate::simulate) fn is_prompt(&mut self, hub: &'static str, now: u64) {
        let Some(book) = self.books.hubs.get(hub) else {
            self.broken("prompt", || format!("{hub} is in the policy, and nothing stands"));
            return;
        };
        let (active, all) = (book.active, book.all);
        if self.books.hub(hub).is_some_and(|sketch| sketch.position(active).is_none()) {
            self.broken("prompt", || format!("{hub} stays on {active}, which the policy does not have"));
            return;
        }
        if let Some(want) = self.books.want(hub) {
            let barriers = self.books.barriers(hub, want, now, false).into_iter();
            let barriers: Vec<_> =
                barriers.chain(self.books.gates_and_rules(hub, want.to, Some(want.why), now, false)).collect();
            self.unless(!barriers.is_empty(), "prompt", || {
                format!("{hub} stays on {active} at {now}, and nothing holds the move to {} ({:?})", want.to, want.why)
            });
        }
        self.unless(all || !self.books.all_wanted(hub) || self.books.all_doubted(hub), "prompt", || {
            format!("{hub} answers {active} alone, and nothing is eligible")
        });
        let over = all && self.books.eligible(hub, active) && self.books.something_good(hub);
        self.unless(!over, "all-ends", || format!("{hub} answers all endpoints, and one is good"));
    }

    /// No move waits for what has come.
    pub(in crate::simulate) fn move_is_prompt(&mut self, hub: &'static str, now: u64) {
        let Some(planned) = self.books.moves.get(hub).cloned() else { return };
        let gives_up = planned.options.until.filter(|_| planned.stage.is_open());
        let ends = match &planned.stage {
            Stage::Ramp { since, until } | Stage::Drain { switched: since, until } => {
                Some(self.books.after(since.0, until.0.saturating_sub(since.0)))
            }
            stage => stage.until().map(|until| until.0),
        };
        let over = ends.into_iter().chain(gives_up.map(|until| until.0)).any(|until| until <= now);
        self.unless(!over, "move", || format!("the move of {hub} is late at {now}: {planned:?}"));
        let present = self.books.hubs.get(hub).map(|book| book.epoch);
        let overtaken = planned.stage.is_open() && Some(planned.epoch) != present;
        self.unless(!overtaken, "move", || {
            format!("the move of {hub} is open, and the epoch is {present:?}: {planned:?}")
        });
        if !matches!(planned.stage, Stage::Ready { .. }) || overtaken {
            return;
        }
        let to = region_of(&planned.to);
        let verdict = self.books.first_verdict(hub, to).is_none_or(|by| by <= now);
        let shut = !self.books.shut_gates(hub, to, now).is_empty() && !planned.options.force;
        let safety = self.books.budget_ends(hub, now).is_some() || self.books.broken_rule(hub, to, now, true).is_some();
        // Of what is not known well enough to be judged nothing else is looked at.
        let known = verdict && !self.books.fails(hub, to);
        let safety = safety && planned.options.break_glass.is_none() && known;
        let told = self.books.gates_and_rules(hub, to, None, now, false).iter().all(|(rule, _)| *rule != "fence");
        let waits = !verdict || self.books.fails(hub, to) || shut && planned.options.until.is_some() || !told;
        self.unless(waits && !safety, "move", || format!("the move of {hub} waits for nothing: {planned:?}"));
        self.unless(self.books.eligible(hub, to), "move", || format!("the move of {hub} waits for {to}: {planned:?}"));
    }

    pub(in crate::simulate) fn same_marks(&mut self, marks: &crate::control::mark::Marks, rule: &'static str) {
        let held: BTreeMap<_, _> = marks
            .iter()
            .map(|(target, mark)| (target_of(target), Mark { kind: mark.kind, until: mark.until.map(|until| until.0) }))
            .collect();
        let same = held == self.books.marks;
        let books = &self.books.marks;
        let sentence = (!same).then(|| format!("the marks are {held:?}, and what operators said is {books:?}"));
        if let Some(sentence) = sentence {
            self.broken(rule, || sentence);
        }
    }

    /// What the daemon shows of health is what observations say.
    pub(in crate::simulate) fn measured(&mut self, state: &State) {
        let status = state.status(Timestamp(self.turn.now));
        for hub in &status.hubs {
            let name = hub_of(&hub.name);
            let shown = hub.drill.as_ref().map(|drill| region_of(&drill.region));
            let drilled = self.books.drills.get(name).map(|drill| drill.region);
            self.unless(shown == drilled, "drill", || {
                format!("{name} is shown as drilled in {shown:?}, and is in {drilled:?}")
            });
            for endpoint in &hub.endpoints {
                let region = region_of(&endpoint.region);
                let (shown, known) = (good(endpoint.measured), self.books.measured(name, region));
                self.unless(shown == known, "mark-health", || {
                    format!("{name} in {region} is shown as {shown:?}, and observations say {known:?}")
                });
                let mark = endpoint.mark.as_ref().map(|mark| mark.mark.kind);
                let said = self.books.mark(name, region);
                self.unless(mark == said, "mark", || {
                    format!("{name} in {region} is shown as marked {mark:?}, and operators said {said:?}")
                });
            }
        }
        self.unless(status.totals.refused == 0, "refusal", || "a decision was refused".into());
    }

    /// How long it may take until the only healthy region has the traffic, in milliseconds: verdicts on all endpoints,
    /// each as long as its probe needs at worst and begun up to two intervals late, then the dwell, a commit tried again
    /// and the latest delivery.
    pub(in crate::simulate) fn bound(&self, hub: &'static str, latest: u64) -> u64 {
        let Some(sketch) = self.books.hub(hub) else { return 0 };
        let verdicts = sketch.endpoints.iter().filter_map(|endpoint| endpoint.aim()).map(|aim| {
            let probe = self.books.probe(aim);
            3 * probe.interval + probe.worst_detection() + probe.worst_recovery()
        });
        let waits = sketch.gates.iter().filter_map(|used| used.proceed).max().unwrap_or(0) + sketch.dwell;
        let fence = sketch.fence.map_or(0, |(timeout, _)| timeout + crate::simulate::books::FENCE_GRACE);
        verdicts.max().unwrap_or(0) + waits * 1_000 + fence + latest + 3_000
    }

    /// Looks whether the only healthy region has the traffic, when nothing has happened for `calm` milliseconds.
    pub(in crate::simulate) fn calm(&mut self, calm: u64, latest: u64, healthy: impl Fn(Aim) -> Option<bool>) {
        let hubs: Vec<_> = self.books.sketch.hubs.keys().copied().collect();
        for hub in hubs {
            let bound = self.bound(hub, latest);
            if calm <= bound {
                continue;
            }
            let Some(sketch) = self.books.hub(hub).filter(|_| !self.books.drills.contains_key(hub)) else { continue };
            let now = self.turn.now;
            let shut = sketch.gates.iter().any(|used| used.proceed.is_none() && !self.books.open(used.gate, hub, now));
            let stops = sketch.fence.is_some_and(|(_, stop)| stop) || !self.books.sketch.rules.is_empty();
            let held = self.books.pinned(hub) || self.books.budget_ends(hub, now).is_some();
            let references = self.books.sketch.references().all(|aim| healthy(aim) == Some(true));
            let timed = !self.books.windows.is_empty() || self.books.marks.values().any(|mark| mark.until.is_some());
            if shut || stops || held || !references || timed {
                continue;
            }
            let well = sketch.endpoints.iter().map(|endpoint| match self.books.mark(hub, endpoint.region) {
                // What is good by a mark alone does not show this node that it sees.
                Some(MarkKind::Up) => endpoint.aim().and_then(&healthy).filter(|well| *well),
                Some(_) => Some(false),
                None => endpoint.aim().and_then(&healthy),
            });
            let well: Vec<_> = well.collect();
            let alone =
                well.iter().all(Option::is_some) && well.iter().filter(|well| **well == Some(true)).count() == 1;
            let only = well.iter().position(|well| *well == Some(true)).map(|at| sketch.endpoints[at].region);
            let active = self.books.hubs.get(hub).map(|book| book.active);
            self.unless(!alone || only == active, "alive", || {
                format!("{only:?} is the only healthy region of {hub} for {calm} ms, and it answers {active:?}; the bound is {bound} ms")
            });
        }
    }
}
