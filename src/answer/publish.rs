//! The one swap of the program, and the grace period after it.
//!
//! Readers never lock. Each one announces in a slot of its own that it is about to read, loads the snapshot, answers and
//! announces that it is done. [`Publisher::publish`] exchanges the pointer and waits until every reader that may have
//! loaded an older snapshot is done with it: read-copy-update with one slot a reader. When it returns, no answer that is
//! still to be sent was made from an older snapshot, which is what the acknowledgement of a switch promises.
//!
//! A reader must not block, await or wait for input between [`Reader::enter`] and the drop of the guard, for every
//! publication would wait with it.
#![expect(clippy::disallowed_methods, reason = "the grace period waits")]

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::snapshot::Snapshot;
use crate::process::privileges;

/// Not reading.
const IDLE: u64 = u64::MAX;
/// About to load: which snapshot is not known yet.
const ENTERING: u64 = 0;

/// A slot on a cache line of its own, so that workers do not disturb each other.
#[derive(Debug)]
#[repr(align(128))]
struct Slot(AtomicU64);

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Snapshot>,
    /// The slots of all living readers. Taken by `reader` and `publish` only, never while answering.
    slots: Mutex<Vec<Weak<Slot>>>,
    /// The generation that was published last, for those who wait for the next one.
    generations: watch::Sender<u64>,
}

/// The writing end: there is one, in the control loop.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    /// To the thread that frees old snapshots; it ends when the publisher is dropped.
    reaper: mpsc::Sender<Arc<Snapshot>>,
}

/// Makes readers; given to whatever starts workers and connections.
#[derive(Clone, Debug)]
pub struct Readers {
    shared: Arc<Shared>,
}

/// The reading end of one worker or one connection.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
}

/// The snapshot, for as long as answers are being made from it.
pub struct Reading<'a> {
    snapshot: Guard<Arc<Snapshot>>,
    slot: &'a Slot,
}

impl Publisher {
    /// Starts with the first snapshot.
    ///
    /// # Errors
    /// When the thread that frees old snapshots cannot be started.
    pub fn new(first: Snapshot) -> std::io::Result<Self> {
        let (reaper, retired) = mpsc::channel::<Arc<Snapshot>>();
        std::thread::Builder::new().name("snapshot-reaper".into()).spawn(move || {
            // Giving back the memory of a million names takes the kernel milliseconds, and nobody waits for it.
            let _ = rustix::process::nice(10);
            privileges::give_up();
            for mut snapshot in retired {
                // Guards are short: wait until this thread holds the last reference, so that a worker never frees it.
                while let Err(shared) = Arc::try_unwrap(snapshot) {
                    snapshot = shared;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })?;
        let generations = watch::Sender::new(first.generation);
        let shared = Arc::new(Shared { current: ArcSwap::from_pointee(first), slots: Mutex::default(), generations });
        Ok(Self { shared, reaper })
    }

    /// Makes readers of what this publishes.
    pub fn readers(&self) -> Readers {
        Readers { shared: self.shared.clone() }
    }

    /// The snapshot that is answered from.
    pub fn current(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// Replaces the snapshot and returns when no reader can still answer from an older one.
    ///
    /// Takes as long as the longest batch in flight: microseconds.
    pub fn publish(&mut self, next: Snapshot) {
        let generation = next.generation;
        let old = self.shared.current.swap(Arc::new(next));
        debug_assert!(old.generation < generation, "snapshots are published in order");
        fence(Ordering::SeqCst);
        let slots: Vec<Arc<Slot>> = {
            let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.retain(|slot| slot.strong_count() > 0);
            slots.iter().filter_map(Weak::upgrade).collect()
        };
        for slot in slots {
            let mut spins = 0u32;
            while slot.0.load(Ordering::SeqCst) < generation {
                spins += 1;
                if spins < 100 {
                    std::thread::yield_now();
                } else {
                    std::thread::sleep(Duration::from_micros(50));
                }
            }
        }
        self.shared.generations.send_replace(generation);
        // Only a machine out of threads has no reaper; then the old snapshot is freed here.
        drop(self.reaper.send(old));
    }
}

impl Readers {
    /// A reader with a slot of its own.
    pub fn reader(&self) -> Reader {
        let slot = Arc::new(Slot(AtomicU64::new(IDLE)));
        let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() == slots.capacity() {
            // Connections come and go between two publications: before the list grows, the dropped readers leave it.
            // Then there is room for as many again as live, so that this is paid for by the readers made since.
            slots.retain(|slot| slot.strong_count() > 0);
            let living = slots.len();
            slots.reserve(living + 1);
        }
        slots.push(Arc::downgrade(&slot));
        drop(slots);
        Reader { shared: self.shared.clone(), slot }
    }

    /// The snapshot of this moment, for those who do not answer queries: nobody waits until they are done with it. To be
    /// held for as long as it is looked at and never across an await, or old snapshots pile up.
    pub fn latest(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// The generation that was published last. Every receiver is woken by the control loop: subscribe once, and tell
    /// others from there.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.shared.generations.subscribe()
    }
}

impl Reader {
    /// Loads the snapshot: once for a batch of datagrams or a message.
    pub fn enter(&mut self) -> Reading<'_> {
        self.slot.0.store(ENTERING, Ordering::SeqCst);
        // Between the announcement and the load, against the swap and the look at the slots in `publish`: one of the
        // two sides must see the other.
        fence(Ordering::SeqCst);
        let snapshot = self.shared.current.load();
        self.slot.0.store(snapshot.generation, Ordering::SeqCst);
        Reading { snapshot, slot: &self.slot }
    }
}

impl Deref for Reading<'_> {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.slot.0.store(IDLE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::super::snapshot::Content;
    use super::*;

    fn snapshot(generation: u64) -> Snapshot {
        Snapshot::new(generation, Arc::new(Content::default()), Box::new([])).unwrap()
    }

    /// Readers stamp the generation they read; after `publish(n)` no stamp may be older than `n`.
    #[test]
    fn no_reader_is_behind_once_publish_returns() {
        let mut publisher = Publisher::new(snapshot(1)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(1));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mut reader = publisher.readers().reader();
                let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let reading = reader.enter();
                        std::thread::yield_now();
                        let promised = acknowledged.load(Ordering::SeqCst);
                        assert!(reading.generation >= promised, "{} < {promised}", reading.generation);
                    }
                })
            })
            .collect();
        for generation in 2..2_000 {
            publisher.publish(snapshot(generation));
            acknowledged.store(generation, Ordering::SeqCst);
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn readers_that_come_and_go_leave_no_slots_behind() {
        let publisher = Publisher::new(snapshot(1)).unwrap();
        let readers = publisher.readers();
        let stays: Vec<_> = (0..10).map(|_| readers.reader()).collect();
        for _ in 0..10_000 {
            drop(readers.reader());
        }
        let slots = publisher.shared.slots.lock().unwrap().len();
        assert!(slots < 100, "{slots} slots for {} readers", stays.len());
    }

    #[test]
    fn who_waits_for_a_publication_is_told_once_it_is_complete() {
        let mut publisher = Publisher::new(snapshot(1)).unwrap();
        let readers = publisher.readers();
        let mut generations = readers.generations();
        assert_eq!((*generations.borrow_and_update(), readers.latest().generation), (1, 1));
        publisher.publish(snapshot(2));
        assert!(generations.has_changed().unwrap());
        assert_eq!((*generations.borrow_and_update(), readers.latest().generation), (2, 2));
    }

    #[test]
    fn a_dropped_reader_is_not_waited_for() {
        let mut publisher = Publisher::new(snapshot(1)).unwrap();
        let readers = publisher.readers();
        drop(readers.reader());
        assert_eq!(readers.reader().enter().generation, 1);
        publisher.publish(snapshot(2));
        assert_eq!(publisher.current().generation, 2);
    }
}
