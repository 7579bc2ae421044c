//! Queries of tasks, answered one at a time by the engine of all transports.
//!
//! A task may run on any thread, and a reader of snapshots is one thread's at a time: there are as many as threads, and a
//! task takes the first that is free for as long as it answers, without an await in between. So a publication looks at as
//! many readers as there are threads, however many connections are open.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use super::super::counters::{Block, Counters, Tally};
use super::super::engine::{Engine, Outcome, Rules};
use super::super::lots;
use super::super::via::Via;
use crate::answer::client::{Client, Lots};
use crate::answer::publish::{Reader, Readers};
use crate::tap::Seen;

/// What answers the queries of one transport.
#[derive(Debug)]
pub(super) struct Answerer {
    engine: Engine,
    via: Via,
    counters: Arc<Counters>,
    block: Arc<Block>,
    desks: Box<[Mutex<Desk>]>,
}

#[derive(Debug)]
struct Desk {
    reader: Reader,
    lots: Lots,
}

impl Answerer {
    pub(super) fn new(engine: &Engine, readers: &Readers, counters: Arc<Counters>, via: Via, threads: usize) -> Self {
        let desk = |_| Mutex::new(Desk { reader: readers.reader(), lots: lots() });
        let block = counters.block(via);
        // Keepalive is for TCP: over QUIC it is an error (RFC 9250 5.5.2), and HTTP has its own word for it.
        let rules = Rules { idle: 0, ..Rules::clone(&engine.rules) };
        let engine = Engine { rules: Arc::new(rules), ..engine.clone() };
        Self { engine, via, counters, block, desks: (0..threads.max(1)).map(desk).collect() }
    }

    /// Whether a client is not let in.
    pub(super) fn drops(&self, client: Client) -> bool {
        self.engine.drops(client)
    }

    /// How long a query of a client has to wait, which is here; one that need not is counted as its.
    pub(super) fn wait(&self, client: Client) -> Option<Duration> {
        self.engine.wait(client)
    }

    /// Answers a query, or not one that deserves no response.
    pub(super) fn answer(&self, query: &[u8], client: Client) -> Option<Vec<u8>> {
        let mut response = Vec::new();
        let mut tally = Tally::of_one();
        let answered = catch_unwind(AssertUnwindSafe(|| {
            self.with_desk(|desk| {
                let Desk { reader, lots } = desk;
                let client = client.with_lot(lots.draw());
                let snapshot = reader.enter();
                let outcome = self.engine.answer_one(&snapshot, query, client, self.via.transport(), &mut response);
                if let Some(tap) = self.counters.tap() {
                    let (snapshot, via) = (&snapshot, self.via);
                    let sample =
                        tap.sample(&Seen { snapshot, client, port: None, via, query, outcome, response: &response });
                    sample.into_iter().for_each(|sample| tap.show(sample));
                }
                let Outcome::Reply { rcode, truncated, hub, cookie } = outcome else { return false };
                tally.response(rcode, truncated, cookie);
                let resolvers = self.counters.resolvers();
                if let Some(sighting) = hub.and_then(|hub| resolvers.sight(&snapshot, hub, client)) {
                    resolvers.note(&sighting, resolvers.now());
                }
                true
            })
        }));
        // A panic is a defect, and costs its query.
        let answered = answered.unwrap_or_else(|_| {
            self.counters.restarted();
            false
        });
        tally.silent = u64::from(!answered);
        self.block.add(&tally);
        answered.then_some(response)
    }

    fn with_desk<T>(&self, work: impl FnOnce(&mut Desk) -> T) -> T {
        for desk in &self.desks {
            match desk.try_lock() {
                Ok(mut desk) => return work(&mut desk),
                Err(TryLockError::Poisoned(desk)) => return work(&mut desk.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        // As many as threads: one is free in a moment.
        work(&mut self.desks[0].lock().unwrap_or_else(PoisonError::into_inner))
    }
}
