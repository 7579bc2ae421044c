//! The loop without threads, probers and a clock: for whoever gives commands to it alone, such as the fuzzer of the admin
//! API. Panics where the core wants what cannot be carried out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::handle::{Answer, Message};
use super::{Control, QUEUED_MESSAGES};
use crate::answer::snapshot::Snapshot;
use crate::control::event::{Effect, Event, Loaded, ReplyTo};
use crate::control::report::TurnStatus;
use crate::control::state::{Persisted, State};
use crate::control::store::Store;
use crate::control::told;
use crate::control::view::View;
use crate::time::Timestamp;

/// A loop that runs where it is polled, by a clock that others set.
#[derive(Debug)]
pub(crate) struct Bare {
    messages: mpsc::Receiver<Message>,
    store: Arc<Store>,
    /// What every reload finds.
    loaded: Loaded,
    state: State,
    snapshot: Option<Snapshot>,
    /// Milliseconds since the Unix epoch; never less than before.
    clock: Arc<AtomicU64>,
    replies: HashMap<ReplyTo, Answer>,
    next_reply: u64,
}

impl Bare {
    /// With an empty store.
    pub(crate) fn new(loaded: Loaded, store: Store, clock: Arc<AtomicU64>) -> (Control, Self) {
        let (sender, messages) = mpsc::channel(QUEUED_MESSAGES);
        let store = Arc::new(store);
        let control = Control { messages: sender, store: store.clone() };
        let now = Timestamp(clock.load(Ordering::Relaxed));
        let (state, effects) = State::new(loaded.clone(), Persisted::default(), now);
        let (replies, next_reply) = (HashMap::new(), 0);
        let mut bare = Self { messages, store, loaded, state, snapshot: None, clock, replies, next_reply };
        bare.carry_out(effects);
        (control, bare)
    }

    /// Runs until nobody can ask any more.
    pub(crate) async fn run(mut self) {
        let mut now = 0;
        while let Some(message) = self.messages.recv().await {
            if now != self.now().0 {
                now = self.now().0;
                self.turn(Event::Tick);
            }
            self.take(message);
        }
        assert!(self.replies.is_empty(), "nobody is left without an answer");
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::Relaxed))
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Command { command, author, answer } => {
                let reply = self.expect(answer);
                self.turn(Event::Command { command, author, reply });
            }
            Message::View { answer } => {
                let generation = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.generation);
                let view = View { state: self.state.clone(), now: self.now(), generation, turn: TurnStatus::default() };
                drop(answer.send(view));
            }
            Message::Reload { author, answer } => {
                let reply = answer.map(|answer| self.expect(answer));
                self.turn(Event::Loaded { loaded: Ok(self.loaded.clone()), author, reply });
            }
            Message::Turn { answer } => drop(answer.send(())),
            Message::Park { .. } | Message::Loaded(_) | Message::Classed(_) | Message::Stop => {}
        }
    }

    fn expect(&mut self, answer: Answer) -> ReplyTo {
        self.next_reply += 1;
        let reply = ReplyTo(self.next_reply);
        self.replies.insert(reply, answer);
        reply
    }

    fn turn(&mut self, event: Event) {
        let effects = self.state.apply(event, self.now());
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Commit(commit) => self.store.commit(&commit).expect("a store in memory takes everything"),
                Effect::Publish(content, choices) => {
                    let next = match &self.snapshot {
                        None => Snapshot::new(1, content, choices),
                        Some(snapshot) => snapshot.next(content, choices),
                    };
                    self.snapshot = Some(next.unwrap_or_else(|refused| panic!("{refused:?}")));
                }
                Effect::Reply(to, reply) => {
                    let answer = self.replies.remove(&to).expect("one reply to each command");
                    drop(answer.send(reply));
                }
                Effect::Tell(switch) => assert!(!told::switched(&switch).is_empty()),
                Effect::Log(line) => assert!(!line.sentence.is_empty()),
                Effect::Probe { .. } | Effect::Look(_) | Effect::Gates(_) | Effect::Fence(_) => {}
            }
        }
    }
}
