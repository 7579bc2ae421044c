//! What is durable beside standings: acknowledgements, windows, planned moves.

use super::*;

impl Checker {
    /// What is durable beside marks and standings.
    pub(in crate::simulate) fn fact(&mut self, key: &FactKey, after: Option<&Fact>, live: bool) {
        let hub = key.hub().map_or("?", |hub| hub_of(&hub));
        let said = key.kind() == FactKind::Notice && self.told_notice(hub);
        match after {
            Some(fact) => drop(self.facts.insert(key.clone(), fact.clone())),
            None => drop(self.facts.remove(key)),
        }
        match key.kind() {
            FactKind::Gate => {
                let gate = GATES.iter().position(|gate| key.id() == Some(gate)).unwrap_or(ACK);
                match after.and_then(|fact| fact.get::<GateAck>().ok()) {
                    Some(ack) => {
                        self.books.acks.insert((hub, gate), (ack.epoch, ack.until.map(|until| until.0)));
                        let present = self.books.hubs.get(hub).map(|book| book.epoch);
                        self.unless(!live || Some(ack.epoch) == present, "gate", || {
                            format!("{hub} acknowledges {key} for epoch {}, and is at {present:?}", ack.epoch)
                        });
                    }
                    None => drop(self.books.acks.remove(&(hub, gate))),
                }
            }
            FactKind::Flap => match after.and_then(|fact| fact.get::<FlapAck>().ok()) {
                Some(ack) => drop(self.books.flaps.insert(hub, ack.at.0)),
                None => drop(self.books.flaps.remove(hub)),
            },
            FactKind::Window => self.window(key.id().unwrap_or_default(), after, live),
            FactKind::Move => self.moves(hub, after.and_then(|fact| fact.get::<Move>().ok()), live),
            FactKind::Gated => {
                let gated = after.and_then(|fact| fact.get::<Gated>().ok());
                let gated = gated.map(|gated| (gated.epoch, region_of(&gated.to), gated.since.0));
                if let Some(book) = self.books.hubs.get_mut(hub) {
                    book.written_gated = gated;
                }
            }
            FactKind::Clock => {
                let set_back = after.and_then(|fact| fact.get::<SetBack>().ok()).map(|found| (found.epoch, found.at.0));
                let now = self.turn.now;
                self.unless(!live || set_back.is_none_or(|(_, at)| at == now), "books", || {
                    format!("{hub} is said to be ahead of the clock since {set_back:?} at {now}")
                });
                if let Some(book) = self.books.hubs.get_mut(hub) {
                    book.written_set_back = set_back;
                }
            }
            FactKind::Notice => {
                let acknowledges = matches!(self.turn.doing, Doing::Command(Command::Acknowledge { .. }));
                if said && !self.told_notice(hub) && (acknowledges || !live) {
                    self.books.owed.remove(hub);
                }
            }
            FactKind::Told => {}
            FactKind::Lived => {
                let lived = after.and_then(|fact| fact.get::<Vec<(u64, u64)>>().ok()).unwrap_or_default();
                let skips = &self.books.skips;
                let differs = (lived != *skips).then(|| format!("{lived:?} was passed over, and it was {skips:?}"));
                if let Some(sentence) = differs.filter(|_| live) {
                    self.broken("books", || sentence);
                }
                self.books.written_skips = lived;
            }
            // The sketches have no hub without an active region.
            FactKind::Usable => self.unless(false, "usable", || format!("{key} is of a hub that has an active region")),
            FactKind::Override => {
                if after.is_some() {
                    self.turn.overridden.push(hub);
                }
            }
        }
    }

    pub(in crate::simulate) fn window(&mut self, id: &str, after: Option<&Fact>, live: bool) {
        let now = self.turn.now;
        let before = self.books.windows.get(id).copied();
        let after = after.and_then(|fact| fact.get::<WindowFact>().ok()).map(|WindowFact { target, mark, begun }| {
            let until = mark.until.map_or(u64::MAX, |until| until.0);
            Window { target: target_of(&target), kind: mark.kind, from: mark.since.0, until, begun }
        });
        let justified = match (before, after, &self.turn.doing) {
            (None, Some(window), Doing::Command(Command::Mark { target, kind, from, until, .. })) => {
                let said = Window {
                    target: target_of(target),
                    kind: *kind,
                    from: from.map_or(0, |from| from.0),
                    until: until.map_or(0, |until| until.0),
                    begun: false,
                };
                window == said && said.from > now
            }
            (Some(before), Some(window), _) => {
                !before.begun && before.from <= now && window == Window { begun: true, ..before }
            }
            (Some(_), None, Doing::Command(Command::CloseWindow { id: closed, .. })) if closed == id => true,
            (Some(before), None, _) => before.until <= now,
            (None, ..) => false,
        };
        self.unless(!live || justified, "mark", || format!("window {id} became {after:?} from {before:?}"));
        self.turn.marked = true;
        match after {
            Some(window) => drop(self.books.windows.insert(id.to_owned(), window)),
            None => drop(self.books.windows.remove(id)),
        }
    }

    /// The stages of a planned move: forwards, each once, none skipped that waits.
    pub(in crate::simulate) fn moves(&mut self, hub: &'static str, after: Option<Move>, live: bool) {
        let before = self.books.moves.get(hub).cloned();
        let Some(after) = after else {
            let gone = self.books.hub(hub).is_none();
            self.unless(!live || gone, "move", || format!("the move of {hub} is gone"));
            self.books.moves.remove(hub);
            return;
        };
        let same = before.as_ref().filter(|before| before.asked == after.asked && before.to == after.to);
        let forwards = match same {
            Some(before) => {
                let (was, is) = (rank(&before.stage), rank(&after.stage));
                let stops = matches!(after.stage, Stage::Stopped { .. }) && before.stage.is_open();
                let approved = was == 0 && after.approvals.len() >= before.approvals.len();
                stops || (before.stage.is_open() || was == 4) && (is >= was || approved) && is < 6
            }
            None => {
                let over = before.as_ref().is_none_or(|before| !before.stage.is_open());
                let asked = match &self.turn.doing {
                    Doing::Command(Command::Failover { to, .. }) => Some(to.clone()) == Some(after.to.clone()),
                    Doing::Command(Command::Failback { .. }) => true,
                    _ => false,
                };
                over && asked && self.turn.hub.as_ref().is_some_and(|(asked, _)| *asked == hub)
            }
        };
        let was = before.as_ref().map(|before| before.stage.clone());
        self.unless(!live || forwards, "move", || format!("the move of {hub} goes from {was:?} to {:?}", after.stage));
        let first = same.is_none_or(|before| before.stage.is_open());
        if matches!(after.stage, Stage::Drain { .. }) && first && live {
            self.turn.ordered.insert(hub, after.clone());
        }
        if same.is_none() {
            // What an earlier move of the hub has lowered is none of this one's.
            self.lowered.remove(hub);
        }
        match after.stage.is_under_way() {
            true => {
                let sketch = self.books.hub(hub).filter(|sketch| sketch.ttl_min < sketch.ttl);
                let wait = sketch.map_or(0, |sketch| sketch.ttl * 1_000);
                self.lowered.entry(hub).or_insert((self.turn.now, wait));
            }
            false => drop(self.lowered.remove(hub)),
        }
        self.books.moves.insert(hub, after);
    }

    /// A commit that nobody was told of is found by a later daemon.
    pub(in crate::simulate) fn surface(&mut self, commit: &Commit) {
        for (key, _, after) in &commit.facts {
            self.fact(key, after.as_ref(), false);
        }
        for (target, _, after) in &commit.marks {
            match after {
                Some(mark) => {
                    let mark = Mark { kind: mark.kind, until: mark.until.map(|until| until.0) };
                    self.books.marks.insert(target_of(target), mark);
                }
                None => drop(self.books.marks.remove(&target_of(target))),
            }
        }
        let Some(switch) = &commit.switch else { return };
        for change in &switch.changes {
            let Some(hub) = switch.roster.name(change.hub).map(hub_of) else { continue };
            self.write_at(
                switch.at.0,
                hub,
                change,
                change.after.last_automatic == Some(switch.at) && change.kind == ChangeKind::Switch,
            );
            self.answers.entry(hub).and_modify(|answer| answer.unseen = true);
        }
    }

    pub(in crate::simulate) fn marked(&mut self, target: Target, after: Option<Mark>) {
        self.turn.marked = true;
        let now = self.turn.now;
        let before = self.books.marks.get(&target).copied();
        let due = before.and_then(|mark| mark.until).is_some_and(|until| until <= now);
        let justified = match (&self.turn.doing, after) {
            (Doing::Command(Command::Mark { target: asked, kind, until, .. }), Some(mark)) => {
                target_of(asked) == target && mark == Mark { kind: *kind, until: until.map(|until| until.0) }
            }
            (Doing::Command(Command::Unmark { target: asked, .. }), None) => target_of(asked) == target || due,
            (_, None) => due,
            (_, Some(_)) => false,
        };
        self.unless(justified, "mark", || format!("{target} became {after:?} from {before:?}, which nobody asked for"));
        match after {
            Some(mark) => drop(self.books.marks.insert(target, mark)),
            None => drop(self.books.marks.remove(&target)),
        }
    }
}
