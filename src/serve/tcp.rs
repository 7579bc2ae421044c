//! TCP: blocking threads, each with an epoll set of its own, that serve the connections of all addresses.
//!
//! ```text
//!   epoll_wait ──┬─► listener: accept, first turn at once ─┐
//!       ▲        ├─► connection: turn ─────────────────────┼─► wait for input or space, again, or close
//!       │        └─► woken: letters of others, the drain   │
//!       └──── times that are over, seats owed ◄── queue ◄──┘
//! ```
//!
//! A connection's turn (see [`connection`](super::connection)) never waits, and a worker between two turns holds no
//! snapshot. All memory but the records is the worker's: one buffer for input and one for output, used in each turn.
//!
//! - **Who accepts.** Every listener is in the set of every worker, and the kernel wakes one that waits
//!   (`EPOLLEXCLUSIVE`), so that connections go to who is free. A worker with several more than another hands
//!   newcomers over, so that those which stay do not stay all with the same.
//! - **No failure to accept ends anything.** One that is about a single connection (it was reset before it was accepted)
//!   is passed over; one that will last a while (out of descriptors or memory) is told once for a burst of them, and
//!   the listener is left out of the set for a pause, while connections queue in the kernel.
//! - **Nothing is told twice.** Connections are registered for edges: what a turn leaves behind has its turn from the
//!   queue, after the others.
//! - **A panic costs its connection.** One outside of a turn costs all of the worker, which starts again.
//! - **In the drain**, connections that the kernel has completed are accepted still, for their queries may be here.
#![expect(clippy::disallowed_methods, reason = "I/O shell: sockets, clock, threads")]

use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use super::accept::{Accept, Arrival, Door, FIRST_PAUSE, LAST_PAUSE, Listener, of_one_connection};
use super::admission::Admission;
use super::bind::BACKLOG;
use super::burst::Burst;
use super::connection::{Connection, Desk, Due, Interest, Next};
use super::counters::{Block, Counters, Event};
use super::engine::{Engine, Transport};
use super::lots;
use super::pipeline::Pipeline;
use super::post::{Letter, Post};
use super::seats::{Room, Seats};
use super::stop::Stop;
use super::table::{Order, Table, Token};
use super::tls::Secured;
use super::via::Via;
use crate::answer::publish::Readers;
use crate::process::privileges;

/// How long a client whose connection we close may go on sending before we stop listening.
const LINGER: Duration = Duration::from_millis(200);

/// Events taken with one call.
const EVENTS: usize = 64;

/// Events with which a round is long enough for a client to take its answer meanwhile.
const LONG_ROUND: usize = 4;

/// In the epoll set, the waker; other numbers below those of tokens are listeners.
const WAKER: u64 = u32::MAX as u64;

/// What all workers share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) engine: Engine,
    /// Time after which a connection that completed no message is closed.
    pub(super) idle: Duration,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: Arc<Stop>,
    pub(super) seats: Arc<Seats>,
    pub(super) admission: Arc<Admission>,
    /// What is needed to speak TLS, if it is spoken anywhere.
    pub(super) secure: Option<Secure>,
}

/// What is needed to speak TLS.
#[derive(Debug)]
pub(super) struct Secure {
    pub(super) config: Arc<rustls::ServerConfig>,
    /// Handshakes under way at once, all workers together.
    pub(super) handshakes: u32,
}

/// The threads. They end by the drain.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    listeners: Listeners,
    blocks: Vec<Arc<Block>>,
}

/// The way to tell all workers where to accept; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Listeners {
    posts: Arc<[Post]>,
}

impl Workers {
    /// Starts the threads, `count` of them.
    ///
    /// # Errors
    /// When the process has no descriptors or threads left. What has been started then ends by `service.stop`.
    pub(super) fn start(count: usize, service: &Arc<Service>, readers: &Readers) -> io::Result<Self> {
        let posts = (0..count).map(|_| Post::new()).collect::<io::Result<Arc<[Post]>>>()?;
        let blocks: Vec<_> = (0..count).map(|_| service.counters.block(Via::Tcp)).collect();
        let threads = (0..count).map(|index| {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            let waker = &posts[index].waker;
            epoll::add(&epoll, &**waker, EventData::new_u64(WAKER), EventFlags::IN | EventFlags::ET)?;
            service.stop.wakes(waker.clone());
            let (engine, counters, admission) =
                (service.engine.clone(), service.counters.clone(), service.admission.clone());
            let mut desk = Desk::new(engine, lots(), readers.reader(), counters, admission);
            desk.secured = service.secure.as_ref().map(|secure| {
                let (engine, counters) = (service.engine.clone(), service.counters.clone());
                let pipeline = Pipeline::new(engine, Transport::Encrypted, lots(), counters);
                Secured::new(pipeline, secure.config.clone())
            });
            let shares = u32::try_from(count).unwrap_or(u32::MAX);
            let worker = Worker {
                index,
                service: service.clone(),
                block: blocks[index].clone(),
                secured_block: service.secure.as_ref().map(|_| service.counters.block(Via::Tls)),
                handshakes: service.secure.as_ref().map_or(0, |secure| secure.handshakes.div_ceil(shares.max(1))),
                posts: posts.clone(),
                epoll,
                started: Instant::now(),
                now: 0,
                doors: BTreeMap::new(),
                next_door: 0,
                table: Table::default(),
                queue: VecDeque::new(),
                paused: BinaryHeap::new(),
                newcomers: Vec::new(),
                desk,
                burst: Burst::default(),
                drain: None,
            };
            thread::Builder::new().name("dns-tcp".into()).spawn(move || {
                privileges::give_up();
                worker.run();
            })
        });
        let threads = threads.collect::<io::Result<_>>();
        let explain = |error: io::Error| io::Error::new(error.kind(), format!("cannot start a TCP worker: {error}"));
        Ok(Self { threads: threads.map_err(explain)?, listeners: Listeners { posts }, blocks })
    }

    pub(super) fn listeners(&self) -> Listeners {
        self.listeners.clone()
    }

    /// What every worker shows of its turns.
    pub(super) fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// Waits for the end of the drain.
    pub(super) fn join(self) {
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                tracing::error!(reason = super::panic_text(panic.as_ref()), "TCP worker failed");
            }
        }
    }
}

impl Listeners {
    /// Has all workers accept at an address.
    pub(super) fn listen(&self, address: SocketAddr, source: impl Accept + 'static) {
        self.open(Listener { address, source: Box::new(source), secured: false });
    }

    /// Has all workers accept at an address where TLS is spoken.
    pub(super) fn listen_secured(&self, address: SocketAddr, source: impl Accept + 'static) {
        self.open(Listener { address, source: Box::new(source), secured: true });
    }

    fn open(&self, listener: Listener) {
        let listener = Arc::new(listener);
        for post in self.posts.iter() {
            // Refused only once the drain has begun.
            let _ = post.send(Letter::Listener(listener.clone()));
        }
    }

    /// Has every worker show a turn, though it may have nothing to do.
    pub(super) fn turn(&self) {
        for post in self.posts.iter() {
            // Refused only once the drain has begun.
            let _ = post.send(Letter::Turn);
        }
    }

    /// Has no worker accept at an address any more. The last one that hears of it closes the socket.
    pub(super) fn let_go(&self, address: SocketAddr) {
        for post in self.posts.iter() {
            // Refused only once the drain has begun, which lets go of all.
            let _ = post.send(Letter::LetGo(address));
        }
    }
}

/// One thread. Times are microseconds since it started.
#[derive(Debug)]
struct Worker {
    index: usize,
    service: Arc<Service>,
    block: Arc<Block>,
    /// For what comes over TLS.
    secured_block: Option<Arc<Block>>,
    /// Handshakes under way at once, of this worker.
    handshakes: u32,
    posts: Arc<[Post]>,
    epoll: OwnedFd,
    started: Instant,
    /// Read once a round.
    now: u64,
    /// By the number that stands for them in the epoll set.
    doors: BTreeMap<u64, Door>,
    next_door: u64,
    table: Table<Connection>,
    /// Connections that have their turn without being told of.
    queue: VecDeque<Token>,
    /// Connections that are not read, by the time when they will be, with the numbers of their tokens.
    paused: BinaryHeap<Reverse<(u64, u64)>>,
    /// Connections that were accepted in this round and are not in the epoll set.
    newcomers: Vec<Token>,
    desk: Desk,
    burst: Burst,
    /// The deadline, once the drain has begun.
    drain: Option<u64>,
}

impl Worker {
    /// Serves until the drain has ended, whatever happens.
    fn run(mut self) {
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.serve())) {
            self.panicked(panic.as_ref(), "TCP worker failed and starts again without its connections");
            self.queue.clear();
            self.paused.clear();
            self.newcomers.clear();
            for (_, connection) in std::mem::take(&mut self.table).iter_mut() {
                connection.forget(&self.service.admission);
                self.service.seats.left(self.index);
            }
        }
    }

    fn serve(&mut self) {
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS];
        self.read_letters();
        loop {
            let timeout = self.timeout();
            let told = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
                Ok((told, _)) => told,
                Err(Errno::INTR) => &mut [],
                // The descriptor is ours and an epoll set; nothing else is known to fail.
                Err(error) => panic!("cannot wait for events: {error}"),
            };
            self.now = self.micros(Instant::now());
            for epoll::Event { data, flags, .. } in told.iter().copied() {
                match data.u64() {
                    WAKER => self.read_letters(),
                    door @ 0..WAKER => self.accept(door),
                    token => self.told(Token::of(token), flags),
                }
            }
            if self.drain.is_none()
                && let Some(deadline) = self.service.stop.deadline()
            {
                self.begin_drain(deadline);
            }
            self.resume_reading();
            for _ in 0..self.queue.len() {
                let Some(token) = self.queue.pop_front() else { break };
                if let Some(connection) = self.table.get_mut(token)
                    && connection.turn == Due::Queued
                {
                    connection.turn = Due::Told;
                    self.turn(token);
                }
            }
            let long = told.len() >= LONG_ROUND;
            self.watch_newcomers(long);
            self.pay();
            self.close_overdue();
            self.resume_accepting();
            self.service.seats.show(self.index, self.table.len(), self.leaves_first().map(|(_, since)| since));
            self.block.add(&std::mem::take(&mut self.desk.tally));
            if let (Some(secured), Some(block)) = (&mut self.desk.secured, &self.secured_block) {
                block.add(&std::mem::take(&mut secured.tally));
            }
            if self.is_drained() {
                return;
            }
        }
    }

    fn micros(&self, at: Instant) -> u64 {
        micros(at.saturating_duration_since(self.started))
    }

    /// How long there is nothing to do unless something happens; `None` is for ever. Rounded up to milliseconds, as
    /// `epoll_wait` takes them.
    fn timeout(&self) -> Option<Timespec> {
        if !self.queue.is_empty() {
            return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        let idle = self.waits_longest().map(|(_, since)| since.saturating_add(micros(self.service.idle)));
        let linger = self.table.first(Order::Leaving).map(|(_, since)| since.saturating_add(micros(LINGER)));
        let resumes = self.doors.values().filter_map(|door| door.resumes).min();
        let paused = self.paused.peek().map(|Reverse((until, _))| *until);
        let next = [idle, linger, resumes, paused, self.drain].into_iter().flatten().min()?;
        let millis = next.saturating_sub(self.now).div_ceil(1000);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        Some(Timespec { tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX), tv_nsec: millis as i64 * 1_000_000 })
    }

    fn told(&mut self, token: Token, flags: EventFlags) {
        // A token of a connection that has ended in this round is unknown.
        if let Some(connection) = self.table.get_mut(token) {
            connection.ended |= flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            if connection.turn != Due::Paused {
                self.turn(token);
            }
        }
    }

    /// Lets a connection do what it can, and sees to it that it has its next turn.
    fn turn(&mut self, token: Token) {
        let Some(connection) = self.table.get_mut(token) else { return };
        let turn = match catch_unwind(AssertUnwindSafe(|| connection.turn(&mut self.desk))) {
            Ok(turn) => turn,
            Err(panic) => {
                self.panicked(panic.as_ref(), "TCP connection failed and is closed");
                return self.close(token);
            }
        };
        let new = turn.next == Next::Input && connection.is_new();
        if turn.completed || connection.has_settled() {
            self.table.put(token, Order::Waiting, self.now);
        }
        match turn.next {
            Next::Input if new => self.newcomers.push(token),
            Next::Input => self.watch(token, Interest::Input),
            Next::Space => self.watch(token, Interest::Space),
            Next::Again => self.enqueue(token),
            Next::Pause(wait) => self.pause(token, wait),
            Next::Over => self.close(token),
            Next::Close => self.leave(token),
        }
    }

    /// Sees to it that those accepted in this round are told of. After a long round a client that asks once has often
    /// taken its answer and closed: a look is cheaper than to be told.
    fn watch_newcomers(&mut self, long: bool) {
        let mut newcomers = std::mem::take(&mut self.newcomers);
        for token in newcomers.drain(..) {
            match long {
                true => self.turn(token),
                false => self.watch(token, Interest::Input),
            }
        }
        // None of them is new any more, so that nothing was added meanwhile.
        self.newcomers = newcomers;
    }

    fn enqueue(&mut self, token: Token) {
        if let Some(connection) = self.table.get_mut(token)
            && connection.turn == Due::Told
        {
            connection.turn = Due::Queued;
            self.queue.push_back(token);
        }
    }

    /// Leaves a connection alone for a while.
    fn pause(&mut self, token: Token, wait: Duration) {
        if let Some(connection) = self.table.get_mut(token)
            && connection.turn != Due::Paused
        {
            connection.turn = Due::Paused;
            self.paused.push(Reverse((self.now + micros(wait), token.number())));
        }
    }

    /// Gives those their turn that have been left alone for long enough.
    fn resume_reading(&mut self) {
        while let Some(Reverse((until, token))) = self.paused.peek().copied()
            && until <= self.now
        {
            self.paused.pop();
            let token = Token::of(token);
            if let Some(connection) = self.table.get_mut(token) {
                connection.turn = Due::Told;
                self.enqueue(token);
            }
        }
    }

    /// Has the epoll set tell of what the connection waits for.
    fn watch(&mut self, token: Token, interest: Interest) {
        let Some(connection) = self.table.get_mut(token) else { return };
        if connection.interest == interest {
            return;
        }
        let flags = match interest {
            Interest::None => return,
            Interest::Input => EventFlags::IN | EventFlags::RDHUP | EventFlags::ET,
            Interest::Space => EventFlags::OUT | EventFlags::ET,
        };
        let data = EventData::new_u64(token.number());
        let watched = match connection.interest {
            Interest::None => epoll::add(&self.epoll, &*connection, data, flags),
            Interest::Input | Interest::Space => epoll::modify(&self.epoll, &*connection, data, flags),
        };
        connection.interest = interest;
        if let Err(error) = watched {
            self.service.counters.accept_failed();
            if let Some(untold) = self.burst.note(Instant::now()) {
                tracing::warn!(%error, untold, "cannot watch a TCP connection, closing it");
            }
            self.close(token);
        }
    }

    /// Closes a connection in order: the client has its answers, and a moment to take them.
    fn leave(&mut self, token: Token) {
        let Some(connection) = self.table.get_mut(token) else { return };
        if connection.close() {
            self.table.put(token, Order::Leaving, self.now);
            self.enqueue(token);
        } else {
            self.close(token);
        }
    }

    fn close(&mut self, token: Token) {
        if self.remove(token) {
            self.service.seats.left(self.index);
        }
    }

    /// Takes a connection out of the table, and tells whether it was there. Its seat is the caller's.
    fn remove(&mut self, token: Token) -> bool {
        let removed = self.table.remove(token);
        if let Some(connection) = &removed {
            connection.forget(&self.service.admission);
            if connection.is_shaking() {
                self.service.counters.note(Via::Tls, Event::HandshakeFailed);
            }
        }
        removed.is_some()
    }

    /// Closes those whose time is over.
    fn close_overdue(&mut self) {
        let over = |since: u64, time: Duration, now: u64| since.saturating_add(micros(time)) <= now;
        while let Some((token, since)) = self.waits_longest()
            && over(since, self.service.idle, self.now)
        {
            self.service.counters.connection_timed_out();
            self.close(token);
        }
        while let Some((token, since)) = self.table.first(Order::Leaving)
            && over(since, LINGER, self.now)
        {
            self.close(token);
        }
    }

    /// The connection that is closed first when room is needed: one that is being closed, or else the one that has
    /// completed no message for the longest time.
    fn leaves_first(&self) -> Option<(Token, u64)> {
        let leaving = self.table.first(Order::Leaving).map(|(token, _)| (token, 0));
        leaving.or_else(|| self.waits_longest())
    }

    /// The connection that has completed no message, or if it has not come so far no handshake, for the longest time.
    fn waits_longest(&self) -> Option<(Token, u64)> {
        let orders = [Order::Waiting, Order::Shaking].into_iter();
        orders.filter_map(|order| self.table.first(order)).min_by_key(|(_, since)| *since)
    }

    /// Sends away connections for the newcomers of other workers.
    fn pay(&mut self) {
        while self.service.seats.owes(self.index) {
            match self.leaves_first().is_some_and(|(token, _)| self.remove(token)) {
                true => self.service.seats.sent_away_for_another(self.index),
                false => {
                    // What was shown is over: another worker has to, or one more than the limit would stay.
                    let seats = self.service.seats.clone();
                    seats.show(self.index, 0, None);
                    seats.has_none(self.index);
                    self.make_room();
                }
            }
        }
    }

    /// Sees to it that a connection leaves, here or at another worker, while there are more than the limit. Says whether
    /// one was to.
    fn make_room(&mut self) -> bool {
        let seats = self.service.seats.clone();
        match seats.make_room(self.index, self.leaves_first().map(|(_, since)| since)) {
            Room::Made => return false,
            Room::There(other) => self.posts[other].waker.wake(),
            Room::Here => {
                if self.leaves_first().is_some_and(|(token, _)| self.remove(token)) {
                    seats.sent_away();
                }
            }
        }
        true
    }

    /// Accepts what waits at a listener, up to its quota.
    fn accept(&mut self, door: u64) {
        let mut accepted = 0;
        while let Some(at) = self.doors.get_mut(&door) {
            if accepted >= at.quota {
                return at.reached_quota();
            }
            match at.listener.source.accept() {
                Ok(arrival) => {
                    accepted += 1;
                    at.pause = FIRST_PAUSE;
                    let secured = at.listener.secured;
                    self.admit(arrival, secured);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return at.missed_quota(accepted),
                Err(error) if of_one_connection(&error) => accepted += 1,
                Err(error) => return self.pause_accepting(door, &error),
            }
        }
    }

    /// Seats a newcomer that may come in, here or with a worker that has far fewer.
    fn admit(&mut self, arrival: Arrival, secured: bool) {
        let Service { engine, admission, .. } = &*self.service;
        // Behind a proxy it is found out with the first query.
        if !admission.proxies.include(arrival.peer) && engine.drops(admission.trust.client(arrival.peer)) {
            return;
        }
        let Some(connection) = Connection::new(arrival, secured, admission) else {
            let via = if secured { Via::Tls } else { Via::Tcp };
            return self.service.counters.note(via, Event::RefusedClient);
        };
        let seats = self.service.seats.clone();
        if seats.take() {
            // Twice where somebody who was asked had none.
            let _ = self.make_room() && self.make_room();
        }
        let letter = Letter::Connection(connection);
        let back = match seats.emptier(self.index, self.table.len()) {
            Some(other) => self.posts[other].send(letter),
            None => Err(letter),
        };
        if let Err(Letter::Connection(connection)) = back {
            self.serve_new(connection);
        }
    }

    /// The query is often here already.
    fn serve_new(&mut self, connection: Connection) {
        let secured = connection.is_secured();
        let token = self.table.insert(connection, self.now);
        if secured {
            self.table.put(token, Order::Shaking, self.now);
            if self.table.count(Order::Shaking) > self.handshakes
                && let Some((longest, _)) = self.table.first(Order::Shaking)
            {
                self.service.counters.note(Via::Tls, Event::RefusedHandshake);
                self.close(longest);
            }
        }
        self.turn(token);
    }

    fn pause_accepting(&mut self, door: u64, error: &io::Error) {
        self.service.counters.accept_failed();
        let Some(door) = self.doors.get_mut(&door) else { return };
        if let Some(untold) = self.burst.note(Instant::now()) {
            let address = door.listener.address;
            tracing::warn!(%address, %error, untold, "cannot accept over TCP, trying on");
        }
        // Not in the set if that is what failed.
        let _ = epoll::delete(&self.epoll, &door.listener.source);
        door.resumes = Some(self.now + micros(door.pause));
        door.pause = LAST_PAUSE.min(door.pause * 2);
    }

    fn resume_accepting(&mut self) {
        let is_due = |door: &Door| door.resumes.is_some_and(|resumes| resumes <= self.now);
        let due: Vec<u64> = self.doors.iter().filter(|(_, door)| is_due(door)).map(|(number, _)| *number).collect();
        for number in due {
            self.watch_door(number);
        }
    }

    fn watch_door(&mut self, number: u64) {
        let Some(door) = self.doors.get_mut(&number) else { return };
        let data = EventData::new_u64(number);
        match epoll::add(&self.epoll, &door.listener.source, data, EventFlags::IN | EventFlags::EXCLUSIVE) {
            Ok(()) => door.resumes = None,
            Err(error) => self.pause_accepting(number, &error.into()),
        }
    }

    fn read_letters(&mut self) {
        for letter in self.posts[self.index].take() {
            self.read(letter);
        }
    }

    fn read(&mut self, letter: Letter) {
        match letter {
            Letter::Listener(listener) => {
                let number = self.next_door;
                // Below the waker's number, however often addresses come and go.
                self.next_door = (number + 1) % WAKER;
                self.doors.insert(number, Door::new(listener));
                self.watch_door(number);
            }
            Letter::LetGo(address) => {
                for (_, door) in self.doors.extract_if(.., |_, door| door.listener.address == address) {
                    // Until the last worker lets go, it would go on telling this one.
                    let _ = epoll::delete(&self.epoll, &door.listener.source);
                }
            }
            Letter::Connection(connection) => self.serve_new(connection),
            Letter::Turn => self.block.turned(),
        }
    }

    /// Accepts what is to be accepted, and nothing more; gives each connection the turn in which it is told what had
    /// arrived.
    fn begin_drain(&mut self, deadline: Instant) {
        self.drain = Some(self.micros(deadline));
        for letter in self.posts[self.index].close() {
            self.read(letter);
        }
        for Door { listener, .. } in std::mem::take(&mut self.doors).into_values() {
            for _ in 0..BACKLOG {
                match listener.source.accept() {
                    Ok(arrival) => self.admit(arrival, listener.secured),
                    Err(error) if of_one_connection(&error) => {}
                    Err(_) => break,
                }
            }
            // The last worker to let go closes it; until then it would go on telling this one.
            let _ = epoll::delete(&self.epoll, &listener.source);
        }
        let connections: Vec<Token> = self.table.iter_mut().map(|(token, _)| token).collect();
        for token in connections {
            if let Some(connection) = self.table.get_mut(token) {
                connection.begin_drain();
            }
            self.enqueue(token);
        }
    }

    /// Whether the drain has ended. What is open at its deadline is closed.
    fn is_drained(&mut self) -> bool {
        let Some(deadline) = self.drain else { return false };
        if !self.table.is_empty() && self.micros(Instant::now()) >= deadline {
            let busy = self.table.iter_mut().filter(|(_, connection)| connection.is_busy()).count();
            self.service.seats.note_cut(busy as u64);
            while let Some((token, _)) = self.leaves_first() {
                self.close(token);
            }
        }
        self.table.is_empty()
    }

    fn panicked(&mut self, panic: &(dyn Any + Send), what: &str) {
        self.service.counters.restarted();
        if let Some(untold) = self.burst.note(Instant::now()) {
            tracing::error!(reason = super::panic_text(panic), untold, "{what}");
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
