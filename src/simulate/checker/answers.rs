//! What is published, and what commands are answered.

use super::*;

impl Checker {
    /// A snapshot is published.
    pub(in crate::simulate) fn publish(&mut self, hubs: Vec<&'static str>, choices: &[Choice]) {
        self.turn.published += 1;
        let in_order = self.turn.published == 1 && !self.turn.replied;
        self.unless(in_order, "order", || "a publication came second, or late".into());
        let expected: Vec<_> = self.books.sketch.hubs.keys().copied().collect();
        self.unless(hubs == expected && choices.len() == hubs.len(), "one-answer", || {
            format!("{hubs:?} are published with {} choices, and the policy has {expected:?}", choices.len())
        });
        let loads = matches!(self.turn.doing, Doing::Start | Doing::Load) || std::mem::take(&mut self.unpublished);
        let same = self.published.as_ref().is_some_and(|(_, before)| **before == *choices);
        self.unless(loads || !same, "quiet", || "what is published is what was published before".into());
        let starts = self.published.is_none();
        for (hub, choice) in hubs.iter().copied().zip(choices) {
            self.answer(hub, *choice, starts);
        }
        self.published = Some((hubs, choices.into()));
    }

    pub(in crate::simulate) fn answer(&mut self, hub: &'static str, choice: Choice, starts: bool) {
        let Some(book) = self.books.hubs.get(hub).cloned() else {
            self.broken("one-answer", || format!("{hub} is published, and nothing was committed of it"));
            return;
        };
        let active = match choice.what {
            What::All | What::Among(_) => None,
            What::Endpoint(at) => self.books.endpoints(hub).nth(usize::from(at)),
        };
        let resort = self.books.hub(hub).map(|sketch| sketch.resort);
        match active {
            None => {
                let may =
                    choice.what == What::All && resort == Some(crate::simulate::sketch::ResortSketch::All) && book.all;
                self.unless(may, "single-region", || format!("{hub} answers {choice:?}"));
            }
            Some(active) => {
                let committed = book.active == active && !book.all;
                self.unless(committed, "one-answer", || {
                    format!("{hub} answers {active}, and what was committed is {} (all: {})", book.active, book.all)
                });
            }
        }
        self.unless(choice.epoch == book.epoch && choice.since.0 == book.since, "epoch", || {
            format!("{hub} is published as {choice:?}, and is at epoch {} since {}", book.epoch, book.since)
        });
        if let Some(sentence) = self.extra.and_then(|extra| extra(hub, active)) {
            self.broken("extra", || sentence);
        }
        let known = self.answers.get(hub).cloned();
        let answer = match (known, active) {
            (None, _) => Answer { active: book.active, changes: 1, unseen: book.epoch != 1 },
            (Some(known), None) => Answer { unseen: true, ..known },
            (Some(known), Some(active)) => {
                let changes = known.changes + u64::from(known.active != active);
                Answer { active, changes, ..known }
            }
        };
        let counted = answer.unseen || answer.changes == book.epoch;
        self.unless(counted, "epoch", || {
            format!("{hub} is at epoch {}, and {} changes were published", book.epoch, answer.changes)
        });
        let _ = starts;
        let answer = if answer.unseen && active.is_some() {
            Answer { changes: book.epoch, unseen: false, ..answer }
        } else {
            answer
        };
        self.answers.insert(hub, answer);
    }

    /// The answer to a command.
    pub(in crate::simulate) fn reply(&mut self, reply: &Result<Moved, CommandError>) {
        let twice = std::mem::replace(&mut self.turn.replied, true);
        self.unless(!twice, "order", || "a command was answered twice".into());
        if self.turn.failed {
            self.unless(reply.is_err(), "durable", || "a command was acknowledged whose commit failed".into());
            return;
        }
        let (now, doing) = (self.turn.now, self.turn.doing.clone());
        let Doing::Command(command) = doing else { return };
        let changed = reply.as_ref().is_ok_and(|moved| moved.changed);
        match command {
            Command::Mark { target, kind, from, until, .. } => {
                let target = target_of(&target);
                let wanted = Mark { kind, until: until.map(|until| until.0) };
                let past = wanted.until.is_some_and(|until| until <= now);
                let there = self.is_there(target);
                if from.is_some_and(|from| from.0 > now) {
                    return;
                }
                // A beginning that has passed for more than a minute is a slip, or an old command sent again.
                let late = from.is_some_and(|from| now.saturating_sub(from.0) > 60_000);
                let may = there && !past && !late;
                self.unless(reply.is_ok() == may, "mark", || format!("marking {target}: {reply:?}"));
                let stands = self.books.marks.get(&target) == Some(&wanted);
                self.unless(reply.is_err() || stands, "mark", || format!("{target} was acknowledged as {wanted:?}"));
            }
            Command::Unmark { target, .. } => {
                let target = target_of(&target);
                let stands = self.books.marks.contains_key(&target);
                self.unless(!stands, "mark", || format!("{target} is marked after it was taken away: {reply:?}"));
            }
            Command::Failover { to, options, .. } => {
                self.replied_move(Some(region_of(&to)), &options, changed, reply);
            }
            Command::Failback { options, .. } => self.replied_move(None, &options, changed, reply),
            Command::Report { .. }
            | Command::Approve { .. }
            | Command::Cancel { .. }
            | Command::AckGate { .. }
            | Command::Acknowledge { .. }
            | Command::CloseWindow { .. }
            | Command::Drill { .. }
            | Command::EndDrill { .. }
            | Command::Upgrade { .. } => {
                let committed = self.turn.commits > 0;
                self.unless(!changed || committed, "durable", || "a command was acknowledged and left no trace".into());
                if let (true, Command::Drill { within, .. }) = (changed, &command) {
                    self.drilled(*within);
                }
            }
        }
    }

    /// A drill has begun.
    pub(in crate::simulate) fn drilled(&mut self, within: Option<std::time::Duration>) {
        let (now, Some((hub, Some(book)))) = (self.turn.now, self.turn.hub.clone()) else { return };
        let region = book.active;
        let canary = self.books.hub(hub).is_some_and(|sketch| sketch.canary);
        let moving = self.books.moves.get(hub).is_some_and(|planned| planned.stage.is_open());
        let aim = self.books.hub(hub).and_then(|sketch| sketch.endpoints[sketch.position(region)?].aim());
        let well = self.books.measured(hub, region) == Some(true) && self.books.mark(hub, region).is_none();
        let heard = aim.is_some_and(|aim| !self.books.silent(aim));
        let again = self.books.drills.contains_key(hub);
        let may = canary && !moving && well && heard && !again && !self.books.blind;
        self.unless(may, "drill", || format!("{hub} is drilled in {region}, and must not be"));
        let Some((aim, watch)) = aim.and_then(|aim| Some((aim, self.books.watches.get(&aim)?.clone()))) else { return };
        let watch = super::super::books::Watch { row: 0, failing: None, confirmed: false, ..watch };
        let within = within.map_or(u64::MAX, crate::simulate::probers::millis).min(900_000);
        self.books.drills.insert(hub, Drilled { region, aim, started: now, until: now + within, watch });
    }

    pub(in crate::simulate) fn is_there(&self, target: Target) -> bool {
        let hubs = &self.books.sketch.hubs;
        match target {
            Target::Region(region) => hubs.values().any(|hub| hub.position(region).is_some()),
            Target::Endpoint(hub, region) => hubs.get(hub).is_some_and(|hub| hub.position(region).is_some()),
        }
    }

    pub(in crate::simulate) fn replied_move(
        &mut self,
        to: Option<&'static str>,
        options: &MoveOptions,
        changed: bool,
        reply: &Result<Moved, CommandError>,
    ) {
        let epoch = options.epoch;
        let Some((hub, before)) = self.turn.hub.clone() else { return };
        let to = to.or_else(|| self.books.endpoints(hub).next());
        let present = before.as_ref().map(|book| book.epoch);
        let here = before.as_ref().map(|book| book.active) == to;
        let known = to.is_some_and(|to| self.books.hub(hub).is_some_and(|sketch| sketch.position(to).is_some()));
        let busy = self.turn.busy.is_some();
        let under_way = self
            .turn
            .busy
            .as_ref()
            .is_some_and(|open| to == Some(region_of(&open.to)) && epoch.is_none_or(|epoch| epoch == open.epoch));
        let repeats = here && epoch.is_some_and(|epoch| Some(epoch + 1) == present);
        let planned = epoch.is_none() || epoch == present;
        let open = to.is_some_and(|to| {
            let now = self.turn.now;
            let mark = match options.at.filter(|at| at.0 > now) {
                None => self.books.mark(hub, to),
                // One that has its time is held against what will be marked then.
                Some(at) => {
                    let ttl = self.books.hub(hub).filter(|hub| !options.now && hub.ttl_min < hub.ttl);
                    self.books.mark_of_move(hub, to, at.0, now + ttl.map_or(0, |hub| hub.ttl * 1_000))
                }
            };
            self.books.takes(hub, to, mark, now)
        });
        // Whether it may be accepted, and whether it may begin a move.
        let (accepts, begins) = match (known, planned, here) {
            (false, ..) => (false, false),
            (true, false, _) => (repeats || under_way, false),
            (true, true, true) => (true, false),
            (true, true, false) => (open || under_way, open && !under_way),
        };
        self.unless(reply.is_err() || accepts, "move", || {
            format!("{hub} to {to:?}, planned at {epoch:?} with epoch {present:?}: {reply:?}")
        });
        self.unless(begins || !changed, "move", || format!("{hub} to {to:?} is said to have changed something"));
        let moved = self.turn.moved;
        self.unless(begins || !moved, "move", || format!("{hub} to {to:?} has moved: {reply:?}"));
        let plain = accepts && (here || repeats) && !busy;
        self.unless(!plain || reply.is_ok(), "move", || format!("{hub} is in {to:?}, and is refused: {reply:?}"));
    }
}
