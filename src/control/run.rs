//! I/O shell: the loop that carries out what [`State::apply`] wants, on one thread of its own.
//!
//! Everything that may change an answer comes through one of two queues: operators' messages, which go first, and
//! observations. Both are bounded: a sender waits. The order of effects is commit, publish, reply, log; an effect that
//! follows a commit which failed is not carried out. Whoever asks how things are is handed a [`View`] and works it out on
//! a thread of its own.
#![expect(clippy::disallowed_methods, reason = "I/O shell: the control thread and its clock")]

#[cfg(any(test, fuzzing))]
pub(crate) mod bare;
mod files;
mod handle;
mod park;
mod senses;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use self::files::Loading;
pub use self::files::{Recheck, Then};
pub use self::handle::Control;
use self::handle::{Answer, Message};
pub use self::park::Parked;
pub use self::senses::{FirstProbes, Senses};
use super::chain;
use super::clock::Clock;
use super::event::{CommandError, Commit, Effect, Event, Level, LogLine, ReplyTo};
use super::report::TurnStatus;
use super::state::State;
use super::store::{Retained, Store};
use super::told;
use super::view::View;
use crate::answer::Refused;
use crate::answer::publish::Publisher;
use crate::answer::snapshot::Snapshot;
use crate::health::Observation;
use crate::process::privileges;
use crate::time::{Timestamp, human};

/// Messages that may wait for the loop.
const QUEUED_MESSAGES: usize = 256;
/// Observations that may wait for the loop.
const QUEUED_OBSERVATIONS: usize = 4096;
/// How far the loop goes ahead of the workers where they want the same core, in steps of nice(2).
const AHEAD: i32 = 10;
/// Time between two looks for audit records that are too old.
const RETAIN: Duration = Duration::from_hours(1);
/// By so much the clock goes forward before it is said to have jumped; what is less adds up to it.
const JUMP: Duration = Duration::from_secs(1);
/// Time between two looks for silent probers.
const TICK: Duration = Duration::from_secs(1);

/// What the loop works with.
#[derive(Debug)]
pub struct Parts {
    /// The state; its first effects have been carried out.
    pub state: State,
    /// The store.
    pub store: Arc<Store>,
    /// The one publisher.
    pub publisher: Publisher,
    /// The clock.
    pub clock: Clock,
    /// The folder that a reload reads.
    pub zones: PathBuf,
    /// Looks at what else a reload reads, and should refuse: the configuration file and what it names.
    pub recheck: Recheck,
    /// The file that `recheck` looks at; `None` when the daemon runs on embedded defaults.
    pub config: Option<PathBuf>,
    /// How long audit records are kept; for ever, when `None`.
    pub keep: Option<Duration>,
}

/// The loop, before it runs.
#[derive(Debug)]
pub struct Loop {
    parts: Parts,
    senses: Senses,
    messages: mpsc::Receiver<Message>,
    own: mpsc::WeakSender<Message>,
    /// Taken from the queue for the next event.
    observed: Vec<Observation>,
    replies: HashMap<ReplyTo, Answer>,
    next_reply: u64,
    /// The loader at work.
    loading: Option<Loading>,
    restarts: u64,
    /// When old audit records are looked for next.
    retain_at: Timestamp,
    /// When the database files are looked at next.
    databases_at: Timestamp,
    /// Whether they are being looked at.
    looking: bool,
    /// By how much the clock went forward that the state was told of.
    ahead: Duration,
    pace: TurnStatus,
}

/// The running loop.
#[derive(Debug)]
pub struct Running {
    thread: std::thread::JoinHandle<()>,
    messages: mpsc::Sender<Message>,
}

impl Running {
    /// Ends the loop and waits for it: commands that were taken in are finished, later ones are told that the daemon stops.
    pub async fn stop(self) {
        drop(self.messages.send(Message::Stop).await);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!(event = "stop", "the control loop ended with a panic");
        }
    }

    /// Whether the loop has ended by itself, which it never should.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Carries out the first effects: commits and makes the publisher. Nothing is answered before.
///
/// # Errors
/// When the store cannot make them durable, or no thread can be started.
pub fn first(
    effects: Vec<Effect>,
    store: &Store,
) -> Result<(Publisher, FirstProbes), Box<dyn std::error::Error + Send + Sync>> {
    let mut publisher = None;
    let mut probes = FirstProbes::default();
    for effect in effects {
        match effect {
            Effect::Commit(commit) => store.commit(&commit)?,
            Effect::Publish(content, choices) => {
                let snapshot = Snapshot::new(1, content, choices).map_err(|refused| sentence(&refused))?;
                publisher = Some(Publisher::new(snapshot)?);
            }
            Effect::Probe { wanted, remembered } => (probes.wanted, probes.remembered) = (wanted, remembered),
            Effect::Gates(wanted) => probes.gates = wanted,
            // Everything is looked at soon after a start.
            Effect::Look(_) => {}
            Effect::Fence(call) => probes.fences.push(call),
            Effect::Log(line) => write(&line),
            Effect::Tell(switch) => told::switched(&switch).iter().for_each(write),
            Effect::Reply(..) => {}
        }
    }
    let publisher = publisher.ok_or("the first decision published nothing")?;
    Ok((publisher, probes))
}

/// Starts the loop on a thread of its own.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub fn start(parts: Parts, senses: Senses) -> std::io::Result<(Control, Running)> {
    let (sender, messages) = mpsc::channel(QUEUED_MESSAGES);
    let control = Control { messages: sender.clone(), store: parts.store.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let looping = Loop {
        parts,
        senses,
        messages,
        own: sender.downgrade(),
        observed: Vec::new(),
        replies: HashMap::new(),
        next_reply: 0,
        loading: None,
        restarts: 0,
        retain_at: Timestamp::default(),
        databases_at: Timestamp::default(),
        looking: false,
        ahead: Duration::ZERO,
        pace: TurnStatus::default(),
    };
    let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
        // A switch is short, and whoever answers the queries it is about can wait for it. Without the right to it
        // (CAP_SYS_NICE) the thread stays what the others are.
        let _ = rustix::process::nice(-AHEAD);
        privileges::give_up();
        runtime.block_on(looping.run())
    })?;
    Ok((control, Running { thread, messages: sender }))
}

impl Loop {
    async fn run(mut self) {
        let mut looked = Instant::now();
        loop {
            // Neither queue can keep the loop from looking, or messages keep it from observations.
            if self.wait(looked).is_zero() {
                looked = Instant::now();
                self.look();
            }
            let wait = self.wait(looked);
            tokio::select! {
                biased;
                message = self.messages.recv() => match message {
                    None | Some(Message::Stop) => break,
                    Some(Message::Park { answer, over }) => {
                        if !self.park(answer, over).await {
                            break;
                        }
                    }
                    Some(message) => {
                        self.take(message);
                        self.observe();
                    }
                },
                Some(fenced) = self.senses.fenced.recv() => self.turn(Event::Fenced(fenced)),
                Some(evidence) = self.senses.evidence.recv() => self.turn(Event::Gate(evidence)),
                Some(observation) = self.senses.observations.recv() => {
                    self.observed.push(observation);
                    self.observe();
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Until something is due.
    fn wait(&self, looked: Instant) -> Duration {
        let regular = TICK.saturating_sub(looked.elapsed());
        let now = self.parts.clock.now();
        self.parts.state.wake().map_or(regular, |wake| wake.since(now).min(regular))
    }

    fn look(&mut self) {
        let restarts = self.senses.probers.restarts() + self.senses.gates.restarts();
        if restarts != self.restarts {
            self.restarts = restarts;
            self.turn(Event::ProbersRestarted(restarts));
        }
        self.turn(Event::Tick);
        // A moment at which nobody waits; what fails is tried again at the next one.
        if let Err(error) = self.parts.store.keep_up(self.parts.state.standings()) {
            write(&LogLine::new(Level::Warn, "store", error.to_string()));
        }
        self.retain();
        self.look_at_databases();
    }

    /// Removes what is older than the configuration keeps, a portion at each look, and looks again in an hour when there
    /// is no more.
    fn retain(&mut self) {
        let now = self.parts.clock.now();
        let Some(keep) = self.parts.keep.filter(|_| self.retain_at <= now) else { return };
        match self.parts.store.retain(keep, now, self.parts.state.standings()) {
            Ok(Retained::Prepared) => {}
            Ok(Retained::Removed { through, records, hash }) => {
                let (records, age) = (chain::counted(records), human(keep));
                let sentence = format!(
                    "{records} up to record {} of {} were removed from the audit trail, for they are older than {age}; the \
                     hash up to there is {hash}",
                    through.sequence, through.at
                );
                write(&LogLine::new(Level::Info, "audit", sentence));
            }
            Ok(Retained::Young) => self.retain_at = now.after(RETAIN),
            Err(error) => {
                write(&LogLine::new(Level::Warn, "store", error.to_string()));
                self.retain_at = now.after(RETAIN);
            }
        }
    }

    /// Takes in all observations that are here, as one event: an outage that many probers see is one commit, not many.
    fn observe(&mut self) {
        while self.observed.len() < QUEUED_OBSERVATIONS
            && let Ok(observation) = self.senses.observations.try_recv()
        {
            self.observed.push(observation);
        }
        if !self.observed.is_empty() {
            let observed = std::mem::take(&mut self.observed);
            self.turn(Event::Observations(observed));
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Command { command, author, answer } => {
                let reply = self.expect(answer);
                self.turn(Event::Command { command, author, reply });
            }
            Message::View { answer } => {
                let generation = self.parts.publisher.current().generation;
                let view =
                    View { state: self.parts.state.clone(), now: self.parts.clock.now(), generation, turn: self.pace };
                // A caller that has gone away has nothing to look at.
                drop(answer.send(view));
            }
            Message::Turn { answer } => {
                // A caller that has gone away does not want to know.
                let _ = answer.send(());
            }
            Message::Reload { author, answer } => self.reload(author, answer),
            Message::Loaded(loaded) => self.loaded(*loaded),
            Message::Classed(found) => {
                self.looking = false;
                if let Some((stamps, content)) = found {
                    self.turn(Event::Classed { content, stamps });
                }
            }
            Message::Park { .. } | Message::Stop => {}
        }
    }

    fn expect(&mut self, answer: Answer) -> ReplyTo {
        self.next_reply += 1;
        let reply = ReplyTo(self.next_reply);
        self.replies.insert(reply, answer);
        reply
    }

    /// This moment. Where the clock went forward by more than was lived through, the state is told so before anything else.
    fn jump(&mut self) -> Timestamp {
        let (now, ahead) = self.parts.clock.ahead();
        let by = ahead.saturating_sub(self.ahead);
        if by >= JUMP {
            self.ahead = ahead;
            let from = Timestamp(now.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)));
            self.apply(Event::Jumped { from }, now);
        }
        now
    }

    fn turn(&mut self, event: Event) {
        let now = self.jump();
        self.apply(event, now);
    }

    fn apply(&mut self, event: Event, now: Timestamp) {
        let begun = Instant::now();
        let effects = self.parts.state.apply(event, now);
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let TurnStatus { events, longest_ms, .. } = self.pace;
        self.pace = TurnStatus { events: events + 1, last_ms: took, longest_ms: longest_ms.max(took) };
        if let Err((commit, _)) = self.carry_out(effects) {
            self.parts.state.revert(&commit, now);
        }
    }

    /// Carries effects out in order. The error is the commit that could not be made durable, and why: nothing after it
    /// was done, and whoever waits for a reply has been told.
    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), (Box<Commit>, CommandError)> {
        let mut failed = None;
        for effect in effects {
            match effect {
                Effect::Commit(commit) => {
                    if let Err(error) = self.parts.store.commit(&commit) {
                        write(&LogLine::new(Level::Error, "store", format!("nothing was changed: {error}")));
                        failed = Some((Box::new(commit), CommandError::Store(error.to_string())));
                    }
                }
                Effect::Reply(to, reply) => {
                    let reply = match &failed {
                        Some((_, error)) => Err(error.clone()),
                        None => reply,
                    };
                    if let Some(answer) = self.replies.remove(&to) {
                        // A caller that has gone away has nothing to hear; what was done stays done.
                        drop(answer.send(reply));
                    }
                }
                Effect::Log(line) => {
                    if failed.is_none() || line.is_measured() {
                        write(&line);
                    }
                }
                _ if failed.is_some() => {}
                Effect::Tell(switch) => told::switched(&switch).iter().for_each(write),
                Effect::Publish(content, choices) => {
                    match self.parts.publisher.current().next(content, choices) {
                        Ok(snapshot) => self.parts.publisher.publish(snapshot),
                        // The content has an answer for every choice that the policy allows, and `refusal` looks at
                        // each one before: this is a defect. What is answered stays.
                        Err(refused) => write(&LogLine::new(Level::Error, "refused", sentence(&refused))),
                    }
                }
                Effect::Probe { wanted, remembered } => self.senses.probers.update(wanted, remembered),
                Effect::Look(targets) => self.senses.probers.look_now(targets),
                Effect::Gates(wanted) => self.senses.gates.update(wanted),
                Effect::Fence(call) => self.senses.fences.call(call),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn sentence(refused: &[Refused]) -> String {
    let sentences: Vec<_> = refused.iter().map(ToString::to_string).collect();
    format!("not published: {}", sentences.join("; "))
}

/// Writes one line of the log, with its fields.
fn write(line: &LogLine) {
    let LogLine { level, sentence, event, hub, region, epoch } = line;
    let (hub, region) = (hub.as_ref().map(ToString::to_string), region.as_ref().map(ToString::to_string));
    match level {
        Level::Info => tracing::info!(event, hub, region, epoch, "{sentence}"),
        Level::Warn => tracing::warn!(event, hub, region, epoch, "{sentence}"),
        Level::Error => tracing::error!(event, hub, region, epoch, "{sentence}"),
    }
}
