//! The limit of TCP connections, all addresses together, and who leaves when it is reached.
//!
//! A newcomer at the limit is served, and the connection that has completed no message for the longest time is closed
//! for it (RFC 7766 6.2.3 lets a server close idle connections when it is short of resources). Refusing the newcomer
//! instead would let anybody keep everybody out, with as many silent connections as the limit and one handshake each in
//! every idle time; against this rule the same takes as many handshakes in the time between a client's connect and its
//! query.
//!
//! Progress is one atomic store in the connection's own entry. The order is brought up to date when it is asked for:
//! the table is sorted by the progress that it knows of, which is never later than the true one, so the first entry
//! whose known and true progress agree is the one that waits longest.
#![expect(clippy::disallowed_methods, reason = "I/O shell: clock")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::counters::Counters;

/// When a connection last made progress, microseconds since start; the second number tells connections apart.
type Key = (u64, u64);

/// The seats of all connections.
#[derive(Debug)]
pub(super) struct Seats {
    limit: usize,
    started: Instant,
    counters: Arc<Counters>,
    /// Connections that ended while they owed an answer, other than to make room or by a panic.
    cut: AtomicU64,
    /// Taken when a connection is accepted and when it ends, never while answering.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_progress: BTreeMap<Key, Arc<Entry>>,
    admitted: u64,
}

#[derive(Debug)]
struct Entry {
    progress: AtomicU64,
    /// The progress that the table is sorted by; only touched with the table locked.
    known: AtomicU64,
    /// Whether the connection may owe an answer.
    busy: AtomicBool,
    /// Tells the connection to leave; keeps the word if it is not listening at the moment.
    leave: Notify,
}

/// One connection's seat, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    entry: Arc<Entry>,
}

impl Seats {
    pub(super) fn new(limit: usize, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self { limit, started: Instant::now(), counters, cut: AtomicU64::new(0), table: Mutex::default() })
    }

    /// Gives a seat to a connection just accepted, and sends the one that waits longest away if all are taken.
    ///
    /// The connection sent away is gone as soon as its task runs.
    pub(super) fn take(self: &Arc<Self>) -> Seat {
        self.counters.connection_opened();
        let now = self.now();
        let entry = Arc::new(Entry {
            progress: AtomicU64::new(now),
            known: AtomicU64::new(now),
            busy: AtomicBool::new(true),
            leave: Notify::new(),
        });
        let mut table = self.table();
        while table.by_progress.len() >= self.limit {
            let Some(longest) = table.remove_longest_waiting() else { break };
            longest.leave.notify_one();
            self.counters.connection_evicted();
        }
        table.admitted += 1;
        let number = table.admitted;
        table.by_progress.insert((now, number), entry.clone());
        Seat { seats: self.clone(), number, entry }
    }

    /// Connections that ended while they owed an answer, other than to make room or by a panic.
    pub(super) fn cut(&self) -> u64 {
        self.cut.load(Ordering::SeqCst)
    }

    /// Connections that may owe an answer.
    #[cfg(test)]
    pub(super) fn busy(&self) -> usize {
        self.table().by_progress.values().filter(|entry| entry.busy.load(Ordering::Relaxed)).count()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove_longest_waiting(&mut self) -> Option<Arc<Entry>> {
        loop {
            let (known, entry) = self.by_progress.pop_first()?;
            let progress = entry.progress.load(Ordering::Relaxed);
            if progress <= known.0 {
                return Some(entry);
            }
            entry.known.store(progress, Ordering::Relaxed);
            self.by_progress.insert((progress, known.1), entry);
        }
    }

    /// Whether the connection still had its seat.
    fn remove(&mut self, number: u64, entry: &Entry) -> bool {
        self.by_progress.remove(&(entry.known.load(Ordering::Relaxed), number)).is_some()
    }
}

impl Seat {
    /// Notes that a message was completed.
    pub(super) fn progress(&self) {
        self.entry.progress.store(self.seats.now(), Ordering::Relaxed);
    }

    /// Notes that the connection owes an answer: of a query begun, or not completely with the kernel. It starts so, for
    /// what a connection that was just accepted has sent is not known yet.
    pub(super) fn busy(&self) {
        self.entry.busy.store(true, Ordering::Relaxed);
    }

    /// Notes that nothing is lost if the connection ends here.
    pub(super) fn idle(&self) {
        self.entry.busy.store(false, Ordering::Relaxed);
    }

    /// Returns when the seat is needed for another connection.
    pub(super) async fn needed(&self) {
        self.entry.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let seated = self.seats.table().remove(self.number, &self.entry);
        if seated && self.entry.busy.load(Ordering::Relaxed) && !std::thread::panicking() {
            self.seats.cut.fetch_add(1, Ordering::SeqCst);
        }
        self.seats.counters.connection_closed();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seats(limit: usize) -> Arc<Seats> {
        Seats::new(limit, Arc::default())
    }

    fn must_leave(seat: &Seat) -> bool {
        !seat.seats.table().by_progress.contains_key(&(seat.entry.known.load(Ordering::Relaxed), seat.number))
    }

    /// Progress is told apart by the clock's microseconds.
    fn tick(seats: &Seats) {
        let before = seats.now();
        while seats.now() == before {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn the_connection_that_waits_longest_leaves_for_a_newcomer() {
        let seats = seats(3);
        let taken: Vec<Seat> = (0..3).map(|_| seats.take()).collect();
        tick(&seats);
        taken[0].progress();
        let newcomer = seats.take();
        assert_eq!(taken.iter().map(must_leave).collect::<Vec<_>>(), [false, true, false]);
        tick(&seats);
        taken[2].progress();
        let another = seats.take();
        assert_eq!(taken.iter().map(must_leave).collect::<Vec<_>>(), [true, true, false]);
        assert!(!must_leave(&newcomer) && !must_leave(&another));
        assert_eq!(seats.counters.totals().connections.evicted, 2);
    }

    #[test]
    fn the_word_to_leave_is_kept_for_a_connection_that_is_busy() {
        let seats = seats(1);
        let first = seats.take();
        let second = seats.take();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            first.needed().await;
            assert!(tokio::time::timeout(Duration::from_millis(1), second.needed()).await.is_err());
        });
    }

    #[test]
    fn a_seat_given_back_is_free_also_after_progress() {
        let seats = seats(2);
        let stays = seats.take();
        for _ in 0..100 {
            let comes = seats.take();
            tick(&seats);
            comes.progress();
            assert_eq!(seats.table().by_progress.len(), 2);
        }
        assert!(!must_leave(&stays));
        let connections = seats.counters.totals().connections;
        assert_eq!((connections.open, connections.accepted, connections.evicted), (1, 101, 0));
    }

    #[test]
    fn cut_are_those_that_owed_an_answer_and_were_not_sent_away() {
        let seats = seats(1);
        let evicted = seats.take();
        let idle = seats.take();
        idle.idle();
        drop((evicted, idle));
        assert_eq!(seats.cut(), 0);
        drop(seats.take());
        assert_eq!(seats.cut(), 1);
        let busy = seats.take();
        busy.idle();
        busy.busy();
        drop(busy);
        assert_eq!(seats.cut(), 2);
    }
}
