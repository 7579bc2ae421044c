//! I/O shell: what passes is shown to others, every message or one in so many: to a dnstap receiver, and as lines of JSON.
//!
//! ```text
//! worker -> Tap::sample: a comparison, and a copy of what is shown -> Tap::show: queue -> a thread a sink -> socket or file
//! ```
//!
//! No answer waits for it. A queue holds [`QUEUE`] messages; what comes beyond is dropped and counted, and so is what comes
//! while a receiver is away or a disk is full. Nothing of this exists where nothing is configured.
#![expect(clippy::disallowed_methods, reason = "I/O shell: threads, clock")]

mod dnstap;
mod frames;
mod line;
mod sinks;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use std::{io, iter, thread};

use self::sinks::{Dnstap, Lines, Sink};
use crate::answer::client::Client;
use crate::answer::respond::{HubAnswer, Outcome};
use crate::answer::snapshot::{Snapshot, What};
use crate::config::Config;
use crate::dns::Rcode;
use crate::process::privileges;
use crate::serve::Via;

/// What messages are drawn by, so that none of the choices that go by the same lot decides what is shown.
const KEY: u32 = 0x7461_7073;

/// Messages that wait for a sink.
const QUEUE: usize = 4096;

/// How often a sink that is idle is looked after, and one that failed is tried again.
const TEND: Duration = Duration::from_millis(200);

/// A message as a worker sees it.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// What it was answered from.
    pub snapshot: &'a Snapshot,
    /// Who asked, with what was drawn for the query.
    pub client: Client,
    /// Its port, where that is known.
    pub port: Option<u16>,
    /// What it came by.
    pub via: Via,
    /// The query's octets.
    pub query: &'a [u8],
    /// What came of it.
    pub outcome: Outcome,
    /// The response's octets, where there is one.
    pub response: &'a [u8],
}

/// A message that is to be shown.
#[derive(Debug)]
pub struct Sample(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    at: SystemTime,
    client: IpAddr,
    port: Option<u16>,
    via: Via,
    query: Box<[u8]>,
    response: Option<(Rcode, Box<[u8]>)>,
    hub: Option<Told>,
    draw: u32,
}

/// What a client was told of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    hub: String,
    /// The active region; `None` where the hub has none, or answers with all.
    region: Option<String>,
    epoch: u64,
}

impl Told {
    fn of(snapshot: &Snapshot, answer: HubAnswer) -> Option<Self> {
        let position = answer.position();
        let hub = snapshot.content.policy_of(position)?;
        let choice = snapshot.choices.get(position)?;
        let endpoint = match choice.what {
            What::Endpoint(at) => hub.endpoints.get(usize::from(at)),
            What::All | What::Among(_) => None,
        };
        let region = endpoint.map(|endpoint| endpoint.region.to_string());
        Some(Self { hub: hub.name.to_string(), region, epoch: choice.epoch })
    }
}

/// What became of the messages that were sampled.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
}

/// What became of the messages that were sampled for one sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// `dnstap`, `dnstap_file` or `query_log`.
    pub sink: &'static str,
    /// With the socket or the file.
    pub written: u64,
    /// For want of room, or because nobody took them.
    pub dropped: u64,
}

/// The way to the sinks.
#[derive(Debug)]
pub struct Tap {
    taps: Vec<One>,
    /// The largest of theirs.
    most: u32,
    ending: Arc<AtomicBool>,
}

#[derive(Debug)]
struct One {
    name: &'static str,
    /// Draws up to this are sampled.
    most: u32,
    queue: SyncSender<Arc<Entry>>,
    counts: Arc<Counts>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Tap {
    /// Opens what is configured; `None` where that is nothing. A receiver that is not there yet is waited for, a file that
    /// cannot be written is an error.
    ///
    /// # Errors
    /// Names the file.
    pub fn open(config: &Config) -> io::Result<Option<Arc<Self>>> {
        let (mut taps, ending) = (Vec::new(), Arc::default());
        let Config { dnstap, query_log, .. } = config;
        if let Some(path) = &dnstap.socket {
            let sink = Dnstap::at_socket(path.clone(), &dnstap.identity);
            taps.push(One::start("dnstap", dnstap.sample, &ending, sink)?);
        }
        if let Some(path) = &dnstap.file {
            let sink = Dnstap::in_file(path.clone(), &dnstap.identity);
            taps.push(One::start("dnstap_file", dnstap.sample, &ending, sink)?);
        }
        if let Some(path) = &query_log.file {
            taps.push(One::start("query_log", query_log.sample, &ending, Lines::new(path.clone()))?);
        }
        let most = taps.iter().map(|one| one.most).max();
        Ok(most.map(|most| Arc::new(Self { taps, most, ending })))
    }

    /// A copy of the message, if it is among those that are shown.
    #[inline]
    pub fn sample(&self, seen: &Seen<'_>) -> Option<Sample> {
        let draw = seen.client.origin().draw(KEY);
        if draw <= self.most { Some(copy(seen, draw)) } else { None }
    }

    /// Shows a message. Does not wait.
    #[cold]
    #[inline(never)]
    pub fn show(&self, Sample(entry): Sample) {
        for one in self.taps.iter().filter(|one| entry.draw <= one.most) {
            if one.queue.try_send(entry.clone()).is_err() {
                one.counts.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Ends the sinks, after what is in their queues.
    pub fn close(&self) {
        self.ending.store(true, Ordering::Release);
        for one in &self.taps {
            if let Some(thread) = one.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
                let _ = thread.join();
            }
        }
    }

    /// What became of the messages, by sink.
    pub fn shown(&self) -> impl Iterator<Item = Shown> {
        self.taps.iter().map(|one| Shown {
            sink: one.name,
            written: one.counts.written.load(Ordering::Relaxed),
            dropped: one.counts.dropped.load(Ordering::Relaxed),
        })
    }
}

#[cold]
#[inline(never)]
fn copy(seen: &Seen<'_>, draw: u32) -> Sample {
    let (response, hub) = match seen.outcome {
        Outcome::Reply { rcode, hub, .. } => {
            (Some((rcode, seen.response.into())), hub.and_then(|hub| Told::of(seen.snapshot, hub)))
        }
        Outcome::Silence => (None, None),
    };
    let (client, port) = (seen.client.ip(), seen.port);
    Sample(Arc::new(Entry { at: now(), client, port, via: seen.via, query: seen.query.into(), response, hub, draw }))
}

impl One {
    fn start(
        name: &'static str,
        sample: u32,
        ending: &Arc<AtomicBool>,
        mut sink: impl Sink + Send + 'static,
    ) -> io::Result<Self> {
        sink.check()?;
        let (queue, entries) = sync_channel(QUEUE);
        let counts = Arc::new(Counts::default());
        let (counted, ending) = (counts.clone(), ending.clone());
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            privileges::give_up();
            run(name, &entries, &mut sink, &counted, &ending);
        })?;
        Ok(Self { name, most: u32::MAX / sample.max(1), queue, counts, thread: Mutex::new(Some(thread)) })
    }
}

/// Writes what comes, until the end is near and nothing comes.
fn run(name: &str, entries: &Receiver<Arc<Entry>>, sink: &mut impl Sink, counts: &Counts, ending: &AtomicBool) {
    let mut wellness = Wellness { name, failed: false };
    let mut open = wellness.told(sink.open());
    loop {
        match entries.recv_timeout(TEND) {
            Ok(entry) if open => {
                // One write for what waits.
                let waiting = entries.try_iter().take(QUEUE);
                let mut count = 0;
                let outcome = iter::once(entry).chain(waiting).try_for_each(|entry| {
                    count += 1;
                    sink.write(&entry)
                });
                let outcome = outcome.and_then(|()| sink.flush());
                let counter = if outcome.is_ok() { &counts.written } else { &counts.dropped };
                counter.fetch_add(count, Ordering::Relaxed);
                open = wellness.told(outcome);
            }
            Ok(_) => {
                let lost = 1 + entries.try_iter().take(QUEUE).count() as u64;
                counts.dropped.fetch_add(lost, Ordering::Relaxed);
                thread::sleep(TEND);
                open = wellness.reopened(sink.open());
            }
            Err(_) if ending.load(Ordering::Acquire) => break,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if open => open = wellness.reopened(sink.tend()),
            Err(RecvTimeoutError::Timeout) => open = wellness.reopened(sink.open()),
        }
    }
    if open && let Err(error) = sink.close() {
        tracing::warn!(event = "tap", sink = name, "{name}: the end could not be written: {error}");
    }
}

/// Tells once that a sink does not take anything, and once that it does again.
struct Wellness<'a> {
    name: &'a str,
    failed: bool,
}

impl Wellness<'_> {
    /// Opened once more, which says nothing of whether it takes what is written.
    fn reopened(&mut self, outcome: io::Result<()>) -> bool {
        if outcome.is_err() { self.told(outcome) } else { true }
    }

    fn told(&mut self, outcome: io::Result<()>) -> bool {
        let name = self.name;
        match (&outcome, self.failed) {
            (Err(error), false) => {
                tracing::warn!(
                    event = "tap",
                    sink = name,
                    "{name}: {error}; messages are dropped until it works again"
                );
            }
            (Ok(()), true) => tracing::info!(event = "tap", sink = name, "{name}: works again"),
            _ => {}
        }
        self.failed = outcome.is_err();
        outcome.is_ok()
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}
