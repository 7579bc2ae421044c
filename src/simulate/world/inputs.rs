//! What a history does to the world, and what operators ask of the daemon.

use super::*;

impl World<'_> {
    pub(in crate::simulate) fn meet(&mut self, input: &Input) {
        let now = self.now;
        let tell = |story: &mut Story, line: String| story.tell(now, || line);
        match input {
            Input::Region(region, condition) => {
                self.regions.insert(region, *condition);
                tell(&mut self.outcome.story, format!("{region} {}", how(*condition)));
                self.unhang();
            }
            Input::Host(host, condition) => {
                self.hosts.insert(*host, *condition);
                tell(&mut self.outcome.story, format!("{host} {}", how(*condition)));
                self.unhang();
            }
            Input::Cut(cut) => {
                self.cut = *cut;
                let line = if *cut { "this node is cut off from everything" } else { "this node is not cut off" };
                tell(&mut self.outcome.story, line.into());
                self.unhang();
            }
            Input::Late(late) => self.late = *late,
            Input::Stall(length) => {
                self.busy_until = self.busy_until.max(now + length);
                tell(&mut self.outcome.story, format!("the control loop does nothing for {length} ms"));
            }
            Input::Jump(seconds) => {
                self.wall += seconds * 1_000;
                self.jumped += seconds * 1_000;
                tell(&mut self.outcome.story, format!("the wall clock jumps {seconds} s ahead"));
            }
            Input::Kill { at: Point::Now, away, back } => self.kill(*away, *back, None),
            Input::Kill { at, away, back } => self.armed = Some((*at, *away, *back)),
            Input::Disk { how, commits } => self.disk.fail(*how, *commits),
            Input::Gate(gate, latch) => {
                self.gates.insert(*gate, *latch);
                tell(&mut self.outcome.story, format!("gate {} becomes {latch:?}", GATES[*gate]));
            }
            Input::Fences(latch) => {
                self.fences = *latch;
                tell(&mut self.outcome.story, format!("fences answer {latch:?} from here on"));
            }
            Input::Approve(_)
            | Input::Cancel(_)
            | Input::Ack(..)
            | Input::Acknowledge(_)
            | Input::Window { .. }
            | Input::CloseWindow(_)
            | Input::Drill(..)
            | Input::EndDrill(_)
            | Input::Reload(_)
            | Input::Refused
            | Input::Mark { .. }
            | Input::Unmark(_)
            | Input::Failover { .. }
            | Input::Failback { .. }
            | Input::Repeat => {
                if let Input::Reload(files) = input {
                    self.files = files % self.sketches.len();
                }
                if self.daemon.is_some() {
                    self.waiting.push(input.clone());
                }
            }
        }
    }

    /// What operators ask of the loop.
    pub(in crate::simulate) fn operate(&mut self, input: &Input) {
        let command = match input {
            Input::Reload(_) | Input::Refused => return self.reload(input),
            Input::Repeat => self.last_command.clone(),
            _ => self.command(input),
        };
        let Some(command) = command else { return };
        self.last_command = Some(command.clone());
        let line = words(&command);
        self.outcome.story.tell(self.now, || line);
        self.replies += 1;
        let name = if matches!(input, Input::Approve(_)) { "bob" } else { "alice" };
        let (author, reply) = (Author { name: name.into(), origin: "simulator".into() }, ReplyTo(self.replies));
        self.turn(Event::Command { command: command.clone(), author, reply }, Doing::Command(command));
    }

    pub(in crate::simulate) fn command(&self, input: &Input) -> Option<Command> {
        let reason = "because".to_owned();
        let name = |hub: &str| Name::parse(hub, None).ok();
        let later = |seconds: &u64| Timestamp(self.wall() + seconds * 1_000);
        let options = |hub: &str, how: &How| {
            let present = self.checker.books.hubs.get(hub).map_or(1, |book| book.epoch);
            let epoch = match how.epoch {
                Planned::Any => None,
                Planned::Present => Some(present),
                Planned::Old => Some(present.saturating_sub(1)),
                Planned::Next => Some(present + 1),
            };
            let break_glass = how.break_glass.then(|| "it burns".to_owned());
            let (at, until) = (how.at.as_ref().map(later), how.until.as_ref().map(later));
            MoveOptions { epoch, at, until, now: how.now, force: how.force, break_glass }
        };
        Some(match input {
            Input::Mark { target, kind, seconds } => {
                let until = seconds.as_ref().map(later);
                Command::Mark { target: mark_target(*target)?, kind: *kind, reason, from: None, until }
            }
            Input::Window { target, kind, after, seconds } => {
                let (from, until) = (Some(later(after)), Some(later(&(after + seconds))));
                Command::Mark { target: mark_target(*target)?, kind: *kind, reason, from, until }
            }
            Input::CloseWindow(id) => Command::CloseWindow { id: id.to_string(), reason },
            Input::Unmark(target) => Command::Unmark { target: mark_target(*target)?, reason },
            Input::Failover { hub, to, how } => {
                Command::Failover { hub: name(hub)?, to: RegionName::new(to), options: options(hub, how), reason }
            }
            Input::Failback { hub, how } => Command::Failback { hub: name(hub)?, options: options(hub, how), reason },
            Input::Approve(hub) => Command::Approve { hub: name(hub)?, epoch: None },
            Input::Cancel(hub) => Command::Cancel { hub: name(hub)?, epoch: None, reason },
            Input::Ack(hub, gate, seconds) => Command::AckGate {
                hub: name(hub)?,
                gate: GateName::new(GATES[*gate]),
                reason,
                until: seconds.as_ref().map(later),
            },
            Input::Acknowledge(hub) => Command::Acknowledge { hub: name(hub)?, reason },
            Input::Drill(hub, seconds) => {
                let within = Some(Duration::from_secs(*seconds));
                Command::Drill { hub: name(hub)?, region: None, within, reason }
            }
            Input::EndDrill(hub) => Command::EndDrill { hub: name(hub)?, reason },
            _ => return None,
        })
    }

    pub(in crate::simulate) fn reload(&mut self, input: &Input) {
        let Input::Reload(files) = input else {
            self.outcome.story.tell(self.now, || "the files are broken, and read again".into());
            let event = Event::Loaded {
                loaded: Err(LoadFailure { problems: vec!["a problem".into()] }),
                author: Author::daemon(),
                reply: None,
            };
            return self.turn(event, Doing::Refused);
        };
        let files = files % self.sketches.len();
        self.outcome.story.tell(self.now, || format!("policy {files} is read"));
        let event = Event::Loaded { loaded: Ok(self.loaded[files].clone()), author: Author::daemon(), reply: None };
        self.jump();
        self.checker.begin(self.wall(), Doing::Load);
        self.checker.load(self.sketches[files].clone());
        self.turn_begun(event);
    }
}

fn how(condition: Condition) -> String {
    match condition {
        Condition::Up => "is well".into(),
        Condition::Slow => "is slow".into(),
        Condition::Refusing => "refuses".into(),
        Condition::Dark => "stops answering".into(),
        Condition::Flapping(percent) => format!("answers {percent} times of a hundred"),
        Condition::Silent => "lets its probers hang".into(),
    }
}

fn words(command: &Command) -> String {
    let how = |options: &MoveOptions| {
        let MoveOptions { epoch, at, until, now, force, break_glass } = options;
        let mut words = String::new();
        epoch.iter().for_each(|epoch| words += &format!(", planned at epoch {epoch}"));
        at.iter().for_each(|at| words += &format!(", at {at}"));
        until.iter().for_each(|until| words += &format!(", until {until}"));
        let flags = [(*now, ", now"), (*force, ", past gates"), (break_glass.is_some(), ", past everything")];
        flags.iter().filter(|(set, _)| *set).for_each(|(_, word)| words += word);
        words
    };
    match command {
        Command::Mark { target, kind, from, until, .. } => {
            let from = from.map_or(String::new(), |from| format!(" from {from}"));
            let until = until.map_or(String::new(), |until| format!(" until {until}"));
            format!("an operator marks {target} {}{from}{until}", kind.word())
        }
        Command::Unmark { target, .. } => format!("an operator unmarks {target}"),
        Command::CloseWindow { id, .. } => format!("an operator takes window {id} away"),
        Command::Failover { hub, to, options, .. } => {
            format!("an operator says failover of {hub} to {to}{}", how(options))
        }
        Command::Failback { hub, options, .. } => format!("an operator says failback of {hub}{}", how(options)),
        Command::Approve { hub, .. } => format!("another operator approves the move of {hub}"),
        Command::Cancel { hub, .. } => format!("an operator cancels the move of {hub}"),
        Command::AckGate { hub, gate, .. } => format!("an operator acknowledges gate {gate} of {hub}"),
        Command::Acknowledge { hub, .. } => format!("an operator acknowledges what {hub} has done"),
        Command::Drill { hub, .. } => format!("an operator drills {hub}"),
        Command::Report { probe, of, .. } => format!("an agent tells how {of} is, for {probe}"),
        Command::EndDrill { hub, .. } => format!("an operator ends the drill of {hub}"),
        Command::Upgrade { sentence } => format!("an operator upgrades: {sentence}"),
    }
}

fn mark_target(target: Target) -> Option<MarkTarget> {
    target.to_string().parse().ok()
}
