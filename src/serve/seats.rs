//! The limit of TCP connections, all addresses and workers together, and who leaves when it is reached.
//!
//! A newcomer at the limit is served, and the connection that has completed no message for the longest time is closed
//! for it (RFC 7766 6.2.3 lets a server close idle connections when it is short of resources). Refusing the newcomer
//! instead would let anybody keep everybody out, with as many silent connections as the limit and one handshake each in
//! every idle time; against this rule the same takes as many handshakes in the time between a client's connect and its
//! query.
//!
//! Each worker keeps its connections in order and shows here the progress of its first one. A worker with a newcomer
//! closes its own first one, or asks the worker whose first one has waited longer, which closes it when it is awake.
//!
//! How exact that is: among the connections of one worker, exact. Between workers, as exact as what each showed after
//! its last turn; who asks another worker for several at once may take its second one before an older one of its own.
//! Until those asked have left, as many more than the limit are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::counters::Counters;

/// The difference in connections up to which a worker keeps a newcomer: handing it over wakes another thread, which
/// pays for a connection that stays, and not for one query.
const SLACK: usize = 4;

/// No connection.
const NOBODY: u64 = u64::MAX;

/// The seats of all connections.
#[derive(Debug)]
pub(super) struct Seats {
    limit: usize,
    counters: Arc<Counters>,
    /// Connections that are open, but for those that have been asked to leave: their seats are the newcomers'.
    taken: AtomicUsize,
    /// Connections that were closed at the end of the drain while they may have owed an answer.
    cut: AtomicU64,
    rows: Box<[Row]>,
}

/// What one worker shows to the others, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Row {
    /// Progress of the connection that leaves first.
    first: AtomicU64,
    open: AtomicUsize,
    /// How many others have asked this worker to send away.
    owed: AtomicUsize,
}

/// Where room for a newcomer is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is room, or nobody who could leave.
    Made,
    /// The worker's own first connection is to be sent away.
    Here,
    /// This worker has been asked, and is to be woken.
    There(usize),
}

impl Seats {
    pub(super) fn new(limit: usize, workers: usize, counters: Arc<Counters>) -> Arc<Self> {
        let row = |_| Row { first: AtomicU64::new(NOBODY), open: AtomicUsize::new(0), owed: AtomicUsize::new(0) };
        let rows = (0..workers).map(row).collect();
        Arc::new(Self { limit, counters, taken: AtomicUsize::new(0), cut: AtomicU64::new(0), rows })
    }

    /// Gives a seat to a connection just accepted, and tells whether there are more than the limit now.
    pub(super) fn take(&self) -> bool {
        self.counters.connection_opened();
        self.taken.fetch_add(1, Ordering::Relaxed) >= self.limit
    }

    /// Finds whose connection is to leave, and asks its worker. `first` is the progress of `worker`'s own first one.
    pub(super) fn make_room(&self, worker: usize, first: Option<u64>) -> Room {
        if self.taken.load(Ordering::Relaxed) <= self.limit {
            return Room::Made;
        }
        let shown = |(other, row): (usize, &Row)| {
            (if other == worker { first.unwrap_or(NOBODY) } else { row.first.load(Ordering::Relaxed) }, other)
        };
        match self.rows.iter().enumerate().map(shown).min() {
            None | Some((NOBODY, _)) => Room::Made,
            Some((_, other)) if other == worker => Room::Here,
            Some((_, other)) => {
                self.rows[other].owed.fetch_add(1, Ordering::Relaxed);
                self.taken.fetch_sub(1, Ordering::Relaxed);
                Room::There(other)
            }
        }
    }

    /// Notes that a connection was sent away for a newcomer of the same worker.
    pub(super) fn sent_away(&self) {
        self.counters.connection_evicted();
        self.counters.connection_closed();
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that a connection has ended otherwise. If others have asked for one, it was that.
    pub(super) fn left(&self, worker: usize) {
        self.counters.connection_closed();
        if !self.paid(worker) {
            self.taken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether others have asked `worker` to send a connection away.
    pub(super) fn owes(&self, worker: usize) -> bool {
        self.rows[worker].owed.load(Ordering::Relaxed) > 0
    }

    /// Notes that `worker` has sent away the connection that it was asked for.
    pub(super) fn sent_away_for_another(&self, worker: usize) {
        self.counters.connection_evicted();
        self.left(worker);
    }

    /// Notes that `worker` has none to send away.
    pub(super) fn has_none(&self, worker: usize) {
        if self.paid(worker) {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shows the others how many connections `worker` has, and the progress of its first one.
    pub(super) fn show(&self, worker: usize, open: usize, first: Option<u64>) {
        self.rows[worker].open.store(open, Ordering::Relaxed);
        self.rows[worker].first.store(first.unwrap_or(NOBODY), Ordering::Relaxed);
    }

    /// A worker that has so few connections that a newcomer at `worker`, which has `open`, should be its.
    pub(super) fn emptier(&self, worker: usize, open: usize) -> Option<usize> {
        if open <= SLACK || self.rows.len() == 1 {
            return None;
        }
        let others = self.rows.iter().enumerate().filter(|(other, _)| *other != worker);
        let (least, emptiest) = others.map(|(other, row)| (row.open.load(Ordering::Relaxed), other)).min()?;
        (least + SLACK < open).then(|| {
            // Counted at once, so that not all newcomers go there until it has looked.
            self.rows[emptiest].open.fetch_add(1, Ordering::Relaxed);
            emptiest
        })
    }

    /// Notes connections that were cut.
    pub(super) fn note_cut(&self, connections: u64) {
        self.cut.fetch_add(connections, Ordering::SeqCst);
    }

    /// Connections that were closed at the end of the drain while they may have owed an answer.
    pub(super) fn cut(&self) -> u64 {
        self.cut.load(Ordering::SeqCst)
    }

    /// Connections that have a seat.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Connections that a worker showed.
    #[cfg(test)]
    pub(super) fn open(&self, worker: usize) -> usize {
        self.rows[worker].open.load(Ordering::Relaxed)
    }

    fn paid(&self, worker: usize) -> bool {
        // Nobody else takes from it.
        let owes = self.owes(worker);
        if owes {
            self.rows[worker].owed.fetch_sub(1, Ordering::Relaxed);
        }
        owes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(limit: usize) -> Arc<Seats> {
        Seats::new(limit, 3, Arc::default())
    }

    #[test]
    fn the_one_that_waits_longest_leaves_wherever_it_is() {
        let seats = seats(3);
        assert!((0..3).all(|_| !seats.take()));
        seats.show(0, 1, Some(30));
        seats.show(1, 1, Some(20));
        seats.show(2, 1, Some(10));
        let check = |worker, first, expected| {
            assert!(seats.take());
            assert_eq!(seats.make_room(worker, first), expected, "worker {worker}");
        };
        check(0, Some(30), Room::There(2));
        assert_eq!(seats.taken(), 3);
        assert!(seats.owes(2) && !seats.owes(0) && !seats.owes(1));
        seats.sent_away_for_another(2);
        seats.show(2, 0, None);
        check(1, Some(20), Room::Here);
        seats.sent_away();
        check(2, None, Room::There(1));
        seats.sent_away_for_another(1);
        assert_eq!(seats.taken(), 3);
        let connections = seats.counters.totals().connections;
        assert_eq!((connections.open, connections.accepted, connections.evicted), (3, 6, 3));
    }

    #[test]
    fn an_end_of_its_own_pays_what_is_owed() {
        let seats = seats(1);
        seats.take();
        seats.show(1, 1, Some(1));
        seats.take();
        assert_eq!(seats.make_room(0, None), Room::There(1));
        seats.left(1);
        assert!(!seats.owes(1));
        assert_eq!(seats.taken(), 1);
        assert_eq!(seats.counters.totals().connections.evicted, 0);
    }

    #[test]
    fn who_is_asked_and_has_none_leaves_one_too_many_until_the_next() {
        let seats = seats(1);
        seats.take();
        // Shown, and gone before the question came.
        seats.show(1, 1, Some(1));
        seats.left(1);
        seats.take();
        seats.take();
        assert_eq!(seats.make_room(0, Some(5)), Room::There(1));
        seats.has_none(1);
        seats.show(1, 0, None);
        assert_eq!(seats.taken(), 2);
        assert_eq!(seats.make_room(0, Some(5)), Room::Here);
        seats.sent_away();
        assert_eq!(seats.make_room(0, Some(6)), Room::Made);
    }

    #[test]
    fn without_anybody_to_leave_the_newcomer_stays() {
        let seats = seats(1);
        assert!(!seats.take());
        assert!(seats.take());
        assert_eq!(seats.make_room(0, None), Room::Made);
    }

    #[test]
    fn a_newcomer_goes_to_a_worker_with_far_fewer() {
        let seats = seats(100);
        let check = |open, expected| assert_eq!(seats.emptier(0, open), expected, "{open}");
        seats.show(1, 3, None);
        seats.show(2, 1, None);
        check(0, None);
        check(1 + SLACK, None);
        check(2 + SLACK, Some(2));
        check(2 + SLACK, None);
        check(3 + SLACK, Some(2));
        check(4 + SLACK, Some(1));
        assert_eq!(Seats::new(9, 1, Arc::default()).emptier(0, 99), None);
    }
}
