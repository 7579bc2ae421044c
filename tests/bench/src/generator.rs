//! The load: queries over several UDP sockets in batches, and every answer checked.
//!
//! The closed loop keeps a fixed number of queries in flight and so finds what a server can do at most. The open loop
//! sends at a fixed rate, whatever the server does, and counts latency from the moment at which a query was due, so that
//! a stall is seen by all queries that it concerns.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::message::{Expected, Wrong, check};
use crate::udp::{BATCH, Socket};
use crate::workload::Pool;

/// Sockets of the generator, each with a port of its own.
const SOCKETS: usize = 4;
/// A query without an answer for this long is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// Turns without an answer until the closed loop sleeps: some 100 us, which a server that is running never needs.
const SPINS: u32 = 128;

/// What became of the queries.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Queries sent.
    pub(crate) sent: u64,
    /// Answers that were right.
    pub(crate) right: u64,
    /// Answers that were not.
    pub(crate) wrong: u64,
    /// Queries without an answer.
    pub(crate) lost: u64,
    /// Answers to nothing that was in flight: late or twice.
    pub(crate) stray: u64,
    /// The first wrong answer's reason.
    pub(crate) first_wrong: Option<Wrong>,
    /// From the first query to the last answer.
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// Answers, right or wrong.
    pub(crate) fn answered(&self) -> u64 {
        self.right + self.wrong
    }

    /// Takes the counts of another.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.right += other.right;
        self.wrong += other.wrong;
        self.lost += other.lost;
        self.stray += other.stray;
        self.first_wrong = self.first_wrong.or(other.first_wrong);
        self.elapsed += other.elapsed;
    }

    /// Counts an answer.
    pub(crate) fn judge(&mut self, verdict: Result<(), Wrong>) {
        match verdict {
            Ok(()) => self.right += 1,
            Err(wrong) => {
                self.wrong += 1;
                self.first_wrong.get_or_insert(wrong);
            }
        }
    }
}

/// A query in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    live: bool,
    id: u16,
    item: u32,
    /// When it was due and when it was sent, nanoseconds since the load began.
    due: u64,
    sent: u64,
}

/// The queries in flight of one socket; a slot is the low bits of the id.
struct Flight {
    slots: Vec<Slot>,
    next: u16,
    live: usize,
}

impl Flight {
    fn new(slots: usize) -> Self {
        Self { slots: vec![Slot::default(); slots], next: fastrand::u16(..), live: 0 }
    }

    /// The id for a query, or none when everything is in flight.
    fn launch(&mut self, item: usize, due: u64, sent: u64) -> Option<u16> {
        let mask = self.slots.len() - 1;
        for _ in 0..self.slots.len() {
            self.next = self.next.wrapping_add(1);
            let slot = &mut self.slots[usize::from(self.next) & mask];
            if !slot.live {
                *slot = Slot { live: true, id: self.next, item: item as u32, due, sent };
                self.live += 1;
                return Some(self.next);
            }
        }
        None
    }

    fn land(&mut self, answer: &[u8]) -> Option<Slot> {
        let id = u16::from_be_bytes(answer.get(..2)?.try_into().ok()?);
        let mask = self.slots.len() - 1;
        let slot = &mut self.slots[usize::from(id) & mask];
        if !slot.live || slot.id != id {
            return None;
        }
        slot.live = false;
        self.live -= 1;
        Some(*slot)
    }

    /// Gives up what was sent before `sent`, and returns how many those are.
    fn expire(&mut self, sent: u64) -> u64 {
        let mut expired = 0;
        for slot in self.slots.iter_mut().filter(|slot| slot.live && slot.sent <= sent) {
            slot.live = false;
            self.live -= 1;
            expired += 1;
        }
        expired
    }
}

fn check_item(pool: &Pool, slot: &Slot, answer: &[u8]) -> Result<(), Wrong> {
    check_as(pool, slot, &pool.item(slot.item as usize).1.expected, answer)
}

fn check_as(pool: &Pool, slot: &Slot, expected: &Expected, answer: &[u8]) -> Result<(), Wrong> {
    let (query, item) = pool.item(slot.item as usize);
    // The id is that of the slot, which was found by it.
    let mut asked = [0; 512];
    let asked = &mut asked[..query.len()];
    asked.copy_from_slice(query);
    asked[..2].copy_from_slice(&slot.id.to_be_bytes());
    check(asked, usize::from(item.question), expected, answer)
}

/// A load with a fixed number of queries in flight.
pub(crate) struct Closed {
    sockets: Vec<(Socket, Flight)>,
    window: usize,
    position: usize,
}

impl Closed {
    /// `window` queries in flight, over all sockets.
    pub(crate) fn connect(server: SocketAddr, window: usize) -> io::Result<Self> {
        let window = (window / SOCKETS).clamp(1, BATCH);
        let sockets =
            (0..SOCKETS).map(|_| Ok((Socket::connect(server)?, Flight::new(256)))).collect::<io::Result<_>>()?;
        Ok(Self { sockets, window, position: 0 })
    }

    /// Asks `count` queries and waits for their answers.
    pub(crate) fn run(&mut self, pool: &Pool, count: u64) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let start = Instant::now();
        let mut heard = start;
        let mut idle = 0_u32;
        loop {
            let mut live = 0;
            let mut received = 0;
            for (socket, flight) in &mut self.sockets {
                received += socket.receive(|answer| match flight.land(answer) {
                    Some(slot) => outcome.judge(check_item(pool, &slot, answer)),
                    None => outcome.stray += 1,
                })?;
                let room = (self.window - flight.live).min(socket.room()) as u64;
                for _ in 0..room.min(count - outcome.sent) {
                    let Some(id) = flight.launch(self.position, 0, 0) else { break };
                    socket.queue(pool.item(self.position).0, id);
                    self.position = (self.position + 1) % pool.len();
                    outcome.sent += 1;
                }
                socket.flush()?;
                live += flight.live;
            }
            if live == 0 && outcome.sent == count {
                outcome.elapsed = start.elapsed();
                return Ok(outcome);
            }
            if received > 0 {
                idle = 0;
                continue;
            }
            idle += 1;
            // The clock is read rarely: most turns find something.
            if idle == 1 {
                heard = Instant::now();
            } else if idle > SPINS {
                // The server is not on its core; waiting without using this one lets both come back sooner.
                sleep(&self.sockets, PATIENCE.as_nanos() as u64 / 100)?;
                if heard.elapsed() > PATIENCE {
                    for (_, flight) in &mut self.sockets {
                        outcome.lost += flight.expire(u64::MAX);
                    }
                    heard = Instant::now();
                }
            }
        }
    }
}

/// An answer of the open loop.
pub(crate) struct Answered<'a> {
    pool: &'a Pool,
    slot: Slot,
    answer: &'a [u8],
    /// When the query was due, nanoseconds since the load's epoch.
    pub(crate) due: u64,
    /// When the query was sent.
    pub(crate) sent: u64,
    /// When the answer was there.
    pub(crate) received: u64,
}

impl Answered<'_> {
    /// Whether this is the answer, instead of what the pool says.
    pub(crate) fn is(&self, expected: &Expected) -> bool {
        check_as(self.pool, &self.slot, expected, self.answer).is_ok()
    }
}

/// What the generator does between two queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// Looks for answers without a pause: the finest times, and a core of its own.
    Spin,
    /// Sleeps until a query is due or an answer is there, and leaves the core to others.
    Sleep,
}

/// A load at a fixed rate.
pub(crate) struct Open<'a> {
    /// Where to.
    pub(crate) server: SocketAddr,
    /// What is asked.
    pub(crate) pool: &'a Pool,
    /// Queries a second.
    pub(crate) rate: u32,
    /// What is done between queries.
    pub(crate) between: Between,
    /// What all times are counted from.
    pub(crate) epoch: Instant,
}

impl Open<'_> {
    /// Asks for this long, then waits for what is in flight; `each` gets every answer.
    pub(crate) fn run_for(&self, duration: Duration, each: impl FnMut(&Answered<'_>)) -> Result<Outcome> {
        let end = self.epoch.elapsed() + duration;
        self.run(|time| u128::from(time) >= end.as_nanos(), each)
    }

    /// Asks until `is_over` says so of the time, then waits for what is in flight; `each` gets every answer.
    pub(crate) fn run(&self, is_over: impl Fn(u64) -> bool, mut each: impl FnMut(&Answered<'_>)) -> Result<Outcome> {
        let mut sockets: Vec<(Socket, Flight)> = (0..SOCKETS)
            .map(|_| Ok((Socket::connect(self.server)?, Flight::new(1 << 16))))
            .collect::<io::Result<_>>()?;
        if self.between == Between::Sleep {
            // Without it the kernel may wake up 50 us late.
            let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        }
        let mut outcome = Outcome::default();
        let now = || self.epoch.elapsed().as_nanos() as u64;
        let start = now();
        let gap = 1e9 / f64::from(self.rate);
        let patience = PATIENCE.as_nanos() as u64;
        let (mut position, mut stopped, mut swept) = (0, None, start);
        loop {
            let mut time = now();
            if stopped.is_none() && is_over(time) {
                stopped = Some(time);
            }
            let mut next = start + (outcome.sent as f64 * gap) as u64;
            if stopped.is_none() {
                // A batch of queries that are due goes out through one socket, the next through the next.
                let turn = (outcome.sent as usize / 8) % SOCKETS;
                let (socket, flight) = &mut sockets[turn];
                while next <= time && socket.room() > 0 {
                    let Some(id) = flight.launch(position, next, time) else { break };
                    socket.queue(self.pool.item(position).0, id);
                    position = (position + 1) % self.pool.len();
                    outcome.sent += 1;
                    next = start + (outcome.sent as f64 * gap) as u64;
                }
                if socket.room() < BATCH {
                    socket.flush()?;
                }
            }
            let mut received = 0;
            let mut live = 0;
            for (socket, flight) in &mut sockets {
                if flight.live > 0 {
                    let mut arrived = None;
                    received += socket.receive(|answer| match flight.land(answer) {
                        Some(slot) => {
                            outcome.judge(check_item(self.pool, &slot, answer));
                            let (due, sent) = (slot.due, slot.sent);
                            let received = *arrived.get_or_insert_with(now);
                            each(&Answered { pool: self.pool, slot, answer, due, sent, received });
                        }
                        None => outcome.stray += 1,
                    })?;
                }
                live += flight.live;
            }
            time = now();
            if time > swept + patience / 4 {
                swept = time;
                for (_, flight) in &mut sockets {
                    outcome.lost += flight.expire(time.saturating_sub(patience));
                }
            }
            if stopped.is_some() && live == 0 {
                outcome.elapsed = Duration::from_nanos(time - start);
                return Ok(outcome);
            }
            if self.between == Between::Sleep && received == 0 {
                let until = if stopped.is_some() { time + 1_000_000 } else { next };
                sleep(&sockets, until.saturating_sub(time).min(10_000_000))?;
            }
        }
    }
}

/// Waits for an answer on any socket, at most `nanoseconds`.
fn sleep(sockets: &[(Socket, Flight)], nanoseconds: u64) -> io::Result<()> {
    if nanoseconds == 0 {
        return Ok(());
    }
    let mut watched: [PollFd<'_>; SOCKETS] =
        std::array::from_fn(|socket| PollFd::new(&sockets[socket].0, PollFlags::IN));
    let timeout = Timespec { tv_sec: 0, tv_nsec: nanoseconds as _ };
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_lands_once_and_a_late_one_never() {
        let mut flight = Flight::new(4);
        let ids: Vec<u16> = (0..4).map_while(|item| flight.launch(item, 0, 10)).collect();
        assert_eq!((ids.len(), flight.live), (4, 4));
        assert_eq!(flight.launch(9, 0, 10), None, "everything is in flight");
        let answer = ids[2].to_be_bytes();
        assert_eq!(flight.land(&answer).map(|slot| slot.item), Some(2));
        assert!(flight.land(&answer).is_none(), "twice");
        assert_eq!(flight.expire(9), 0);
        assert_eq!(flight.expire(10), 3);
        assert!(flight.land(&ids[0].to_be_bytes()).is_none(), "late");
        assert_eq!(flight.live, 0);
    }
}
