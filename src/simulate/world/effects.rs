//! What the daemon wants done, and its deaths and starts.

use super::*;

impl World<'_> {
    /// Carries effects out in order, as the control loop does.
    pub(in crate::simulate) fn carry_out(&mut self, daemon: &mut Daemon, effects: Vec<Effect>) -> Turned {
        let mut failed = None;
        let mut killed = None;
        for effect in effects {
            if self.options.digest {
                self.digest(&effect);
            }
            match effect {
                Effect::Commit(commit) => {
                    let armed = self.armed.take();
                    if let Some((Point::BeforeCommit, away, back)) = armed {
                        self.say_killed("before a commit is durable", away);
                        self.checker.killed(true);
                        return Turned::Killed { away, back };
                    }
                    match self.disk.commit(&commit) {
                        Ok(()) => {
                            self.outcome.changes +=
                                commit.switch.as_ref().map_or(0, |switch| switch.changes.len() as u64);
                            self.tell_commit(&commit);
                            self.checker.commit(&commit);
                            if !commit.marks.is_empty() || !commit.facts.is_empty() {
                                self.calm_since = self.now;
                            }
                            match armed {
                                Some((Point::AfterCommit, away, back)) => {
                                    self.say_killed("after a commit, before anything is published", away);
                                    self.checker.unpublished(&commit);
                                    self.checker.killed(false);
                                    return Turned::Killed { away, back };
                                }
                                armed => killed = armed,
                            }
                        }
                        Err(error) => {
                            self.armed = armed;
                            self.calm_since = self.now;
                            self.outcome.story.tell(self.now, || format!("a commit fails: {error}"));
                            self.checker.failed();
                            failed = Some((Box::new(commit), error));
                        }
                    }
                }
                Effect::Reply(_, reply) => {
                    if let Some((_, away, back)) = killed {
                        self.say_killed("before anybody is answered", away);
                        self.checker.killed(false);
                        return Turned::Killed { away, back };
                    }
                    let reply = match &failed {
                        Some((_, error)) => Err(crate::control::event::CommandError::Store(error.clone())),
                        None => reply,
                    };
                    self.outcome.story.tell(self.now, || match &reply {
                        Ok(moved) => format!("answered: {}", moved.summary),
                        Err(error) => format!("answered: refused, {error}"),
                    });
                    self.checker.reply(&reply);
                }
                _ if failed.is_some() => {}
                Effect::Publish(content, choices) => {
                    let generation = daemon.generation + 1;
                    let hubs: Vec<_> = content.hubs().map(hub_of).collect();
                    match Snapshot::new(generation, content, choices) {
                        Ok(snapshot) => {
                            daemon.generation = generation;
                            self.outcome.publications += 1;
                            self.checker.publish(hubs, &snapshot.choices);
                            daemon.snapshot = Some(snapshot);
                        }
                        Err(refused) => {
                            let sentence = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                            self.checker.broken("one-answer", || sentence);
                        }
                    }
                }
                Effect::Probe { wanted, remembered } => {
                    let wanted =
                        wanted.into_iter().filter_map(|(target, probe)| Some((aim_of(&target)?, target, probe)));
                    let begins = daemon.probers.update(self.history.seed, wanted.collect(), &remembered, self.now);
                    for (aim, at) in begins {
                        let plan = daemon.probers.by_aim.get(&aim).map_or(0, |prober| prober.plan);
                        self.plan(at, Happening::Begin(aim, plan));
                    }
                }
                Effect::Look(targets) => {
                    for aim in targets.iter().filter_map(aim_of) {
                        let prober = daemon.probers.by_aim.get_mut(&aim).filter(|prober| !prober.hangs);
                        if let Some(plan) = prober.and_then(|prober| prober.hurry().then_some(prober.plan)) {
                            self.plan(self.now, Happening::Begin(aim, plan));
                        }
                    }
                }
                Effect::Gates(wanted) => {
                    self.looks += 1;
                    let gate = |name: &GateName| GATES.iter().position(|gate| *gate == name.as_str());
                    let wanted = wanted.iter().filter_map(|(name, asked)| Some((gate(name)?, millis(asked.interval))));
                    self.wanted_gates = wanted.collect();
                    for (gate, _) in self.wanted_gates.clone() {
                        self.plan(self.now + 1 + gate as u64, Happening::Look(gate, self.looks));
                    }
                }
                Effect::Fence(call) => {
                    let (hub, to) = (hub_of(&call.hub), region_of(&call.to));
                    self.outcome.story.tell(self.now, || format!("the fence of {hub} is called for {to}"));
                    self.checker.calls_fence(hub, to, call.epoch, call.planned.0);
                    let timeout = millis(call.fence.timeout);
                    let takes = if self.fences == Latch::Mute { timeout } else { 1 + self.now % timeout.min(700) };
                    let acknowledged = self.fences == Latch::Open && !self.cut;
                    let hub = HUBS.iter().position(|known| *known == hub).unwrap_or(0);
                    self.plan(self.now + takes, Happening::Fenced(hub, to, call.epoch, call.planned, acknowledged));
                }
                Effect::Log(_) | Effect::Tell(_) => {}
            }
        }
        if let Some((_, away, back)) = killed {
            self.say_killed("once it has published", away);
            self.checker.killed(false);
            return Turned::Killed { away, back };
        }
        match failed {
            Some((commit, _)) => Turned::Failed(commit),
            None => Turned::Done,
        }
    }

    pub(in crate::simulate) fn tell_commit(&mut self, commit: &Commit) {
        if !self.tells() {
            return;
        }
        for (target, _, after) in &commit.marks {
            let line = match after {
                Some(mark) => format!("{target} is marked {}", mark.kind.word()),
                None => format!("{target} is not marked any more"),
            };
            self.outcome.story.tell(self.now, || line);
        }
        for line in commit.switch.iter().flat_map(|switch| told::switched(switch)) {
            self.outcome.story.tell(self.now, || line.sentence);
        }
    }

    pub(in crate::simulate) fn digest(&mut self, effect: &Effect) {
        let text = match effect {
            Effect::Commit(commit) => {
                let records: Vec<_> = commit.records().collect();
                format!("{:?} {:?} {:?} {records:?}", commit.named, commit.marks, commit.health)
            }
            Effect::Publish(_, choices) => format!("{choices:?}"),
            Effect::Probe { wanted, remembered } => format!("{wanted:?} {remembered:?}"),
            Effect::Reply(to, reply) => format!("{to:?} {reply:?}"),
            Effect::Look(targets) => format!("{targets:?}"),
            Effect::Gates(wanted) => format!("{wanted:?}"),
            Effect::Fence(call) => format!("{call:?}"),
            Effect::Log(line) => format!("{line:?}"),
            Effect::Tell(switch) => format!("{:?}", told::switched(switch)),
        };
        self.outcome.digest = super::super::dice::hash(&[self.outcome.digest, super::super::dice::hash_text(&text)]);
    }

    pub(in crate::simulate) fn say_killed(&mut self, when: &str, away: u64) {
        self.outcome.story.tell(self.now, || format!("the daemon is killed {when}; it is started again in {away} ms"));
    }

    pub(in crate::simulate) fn kill(&mut self, away: u64, back: u64, _: Option<()>) {
        if self.daemon.take().is_some() {
            self.say_killed("at once", away);
            self.checker.killed(false);
            self.killed(away, back);
        }
    }

    pub(in crate::simulate) fn killed(&mut self, away: u64, back: u64) {
        self.daemon = None;
        self.life += 1;
        self.arrived.clear();
        self.waiting.clear();
        self.busy_until = 0;
        self.calm_since = self.now + away;
        if back > 0 {
            self.outcome.story.tell(self.now, || format!("the wall clock is set back by {back} s meanwhile"));
            // Never before the history began.
            self.wall = self.wall.saturating_sub(back * 1_000).max(BEGIN - 86_400_000);
        }
        self.plan(self.now + away, Happening::Start);
    }

    pub(in crate::simulate) fn start(&mut self) {
        let now = self.wall();
        // A process knows the clock as it found it.
        self.jumped = 0;
        let (persisted, surfaced) = self.disk.open();
        let (files, sketch) = (self.files, self.sketches[self.files].clone());
        if let Some(surfaced) = &surfaced {
            self.outcome.story.tell(self.now, || "a commit that had failed is found on the disk".into());
            self.tell_commit(surfaced);
        }
        self.outcome.story.tell(self.now, || format!("the daemon starts with policy {files}"));
        self.outcome.starts += 1;
        self.calm_since = self.now;
        self.checker.restart(now, sketch, &persisted, surfaced.as_ref());
        let (state, effects) = State::new(self.loaded[files].clone(), persisted, Timestamp(now));
        let mut daemon = Daemon { state, probers: Probers::default(), looked: self.now, generation: 0, snapshot: None };
        match self.carry_out(&mut daemon, effects) {
            Turned::Done => {
                self.checker.end(&daemon.state);
                self.daemon = Some(daemon);
            }
            // It ends with an error, and whoever keeps it running starts it again.
            Turned::Failed(_) => self.killed(START_AGAIN, 0),
            Turned::Killed { away, back } => self.killed(away, back),
        }
    }
}
