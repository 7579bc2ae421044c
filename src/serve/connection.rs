//! One TCP connection: pipelined queries (RFC 7766 6.2.1.1), answered in their order.
//!
//! ```text
//!                 ┌───── all complete queries answered ◄──────┐
//!                 ▼                                           │
//!   input ──► turn: read ──► enter, respond ..., send, leave ─┴─ socket full ──► space ──► turn: what waits, ...
//!    │            ▲                  │
//!    │ idle       └───── again ◄─────┘ more is here than a turn may take
//!    ▼
//!  closed
//! ```
//!
//! - **One turn, no wait.** [`Connection::turn`] reads once, takes a snapshot, answers the queries that are here, hands
//!   the responses to the kernel in one call and leaves the snapshot. A response of which no octet was taken is
//!   forgotten, and its query answered again when there is space, from the snapshot of that time. So nobody gets a whole
//!   answer that is older than an acknowledged switch; one that is partly in the kernel is finished as it is.
//! - **Nothing piles up.** No input is read while output waits, so a connection holds at most one largest message in
//!   each direction and what is read at once; and between messages it holds no buffer at all.
//! - **One time.** It begins when the connection opens and whenever a response is completely with the kernel. A client
//!   that is silent, sends a query octet by octet, or does not read its answers runs into it alike.
//! - **Everybody's turn is short**: one read and a few batches, however fast the client is.
//! - **Who is behind a proxy.** A connection from one begins with a header that says for whom it is
//!   ([`proxy`](super::proxy)); what counts for its client is looked at when that is known.
//! - **Over TLS** the same holds, with records in between: [`turn`](super::tls).
//! - **What is no query ends the connection**, after the answers to the queries before it: a length below that of a
//!   header, after which the stream cannot be trusted, and a message that deserves no response, such as a response,
//!   for whoever sent it would wait in vain.
//!
//! Answers leave in the order of the queries: each is made at once, so that none could overtake another.
//!
//! I/O shell: reads and writes sockets, and never waits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::accept::Arrival;
use super::admission::Admission;
use super::clients::Entry;
use super::counters::{Counters, Event, Tally};
use super::engine::{Engine, Transport};
use super::pipeline::{Follows, Pipeline, Written, has_message};
use super::proxy::Header;
use super::tls::{Line, Secured, Session, say_farewell};
use super::via::Via;
use crate::answer::client::{Client, Lots, Source as ClientSource};
use crate::answer::publish::Reader;

/// Octets read at once.
const INPUT: usize = 16 << 10;

/// Octets of an unfinished message up to which it is copied in front of what comes next. A longer one grows where it is,
/// so that who sends the longest octet by octet does not have it copied each time.
const SHORT: usize = 512;

/// Batches of responses in a turn.
const BATCHES: usize = 4;

/// No bound on what is read.
const UNBOUNDED: u32 = u32::MAX;

/// Reads in a turn of a connection that is closed by us.
const DISCARDS: usize = 4;

/// What a connection needs for its turn, shared by all of a worker.
#[derive(Debug)]
pub(super) struct Desk {
    pipeline: Pipeline,
    reader: Reader,
    input: Box<[u8]>,
    pub(super) tally: Tally,
    /// Of connections over TLS; `None` where there are none.
    pub(super) secured: Option<Secured>,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
}

/// One connection; between messages this is all that there is of it.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    source: ClientSource,
    /// Whether the client's word on whom it asks for is taken.
    trusted: bool,
    /// Whether it counts against the limit of its client.
    counted: bool,
    /// Whether the header of a proxy is to come.
    behind_proxy: bool,
    /// What its worker's epoll set tells of it.
    pub(super) interest: Interest,
    /// What its next turn waits for.
    pub(super) turn: Due,
    /// Whether it has had no turn that ended with waiting.
    new: bool,
    /// Whether the client has closed its side, or the network failed: what can be read is all that comes.
    pub(super) ended: bool,
    /// Whether it is being closed by us, and what comes is not listened to.
    closing: bool,
    /// Octets that may still be read: [`UNBOUNDED`] until the drain begins, and then what may have arrived before.
    arrived: u32,
    held: Option<Box<Held>>,
}

/// What a connection holds in the middle of a message or while the client does not read, and over TLS always.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The end of a response whose start is written; sent before anything else.
    pub(super) rest: Vec<u8>,
    /// What is read and not answered.
    pub(super) input: Vec<u8>,
    /// Whether TLS is spoken.
    secured: bool,
    /// The session, once an octet of it has come.
    pub(super) session: Option<Box<Session>>,
}

impl Held {
    /// Whether a message or a handshake has begun, or a response is not completely with the kernel.
    fn is_owing(&self) -> bool {
        let owes = |session: &Session| session.is_busy();
        !self.rest.is_empty() || !self.input.is_empty() || self.session.as_deref().is_some_and(owes)
    }
}

/// What answers a batch of queries, and for whom.
pub(super) struct Batch<'a> {
    pub(super) pipeline: &'a mut Pipeline,
    pub(super) reader: &'a mut Reader,
    pub(super) tally: &'a mut Tally,
    pub(super) client: Client,
}

/// What an epoll set tells of a connection, each change once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// It is not in the set.
    None,
    /// That there is input.
    Input,
    /// That there is space.
    Space,
}

/// When a connection has its next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// When it is told of.
    Told,
    /// When the queue comes to it, or before, when it is told of.
    Queued,
    /// When its client may send more queries.
    Paused,
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Whether a response was completed.
    pub(super) completed: bool,
    pub(super) next: Next,
}

/// What the connection waits for, or why it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// All that is here is answered.
    Input,
    /// The socket takes nothing more.
    Space,
    /// There may be more: it is the turn of others.
    Again,
    /// Its client has sent too many queries: nothing is read for so long.
    Pause(Duration),
    /// What is no query was sent, or all that had arrived when the drain began is answered: we close.
    Close,
    /// It is over: the client has closed, or the network failed.
    Over,
}

/// Why answering stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// All complete queries are answered.
    Partial,
    /// The turn has had its batches.
    Full,
    /// The next query has to wait.
    Paused(Duration),
    NoQuery,
    Blocked,
    Broken,
}

impl Desk {
    pub(super) fn new(
        engine: Engine,
        lots: Lots,
        reader: Reader,
        counters: Arc<Counters>,
        admission: Arc<Admission>,
    ) -> Self {
        let input = vec![0; SHORT + INPUT].into_boxed_slice();
        let pipeline = Pipeline::new(engine, Transport::Tcp, lots, counters.clone());
        Self { pipeline, reader, input, tally: Tally::default(), secured: None, admission, counters }
    }
}

impl Connection {
    /// `None` when it is not let in: its client has as many as it may.
    pub(super) fn new(arrival: Arrival, secured: bool, admission: &Admission) -> Option<Self> {
        let behind_proxy = !admission.proxies.is_empty() && admission.proxies.include(arrival.peer);
        // Of a proxy it is the client that counts.
        let entry = if behind_proxy { Entry::Unlimited } else { admission.clients.enter(arrival.peer) };
        let client = admission.trust.client(arrival.peer);
        (entry != Entry::Refused).then(|| Self {
            socket: arrival.socket,
            source: client.source(),
            trusted: client.is_trusted(),
            counted: entry == Entry::Counted,
            behind_proxy,
            interest: Interest::None,
            turn: Due::Told,
            new: true,
            ended: false,
            closing: false,
            arrived: UNBOUNDED,
            held: secured.then(|| Box::new(Held { secured, ..Held::default() })),
        })
    }

    /// Notes that it is over, to be called once.
    pub(super) fn forget(&self, admission: &Admission) {
        if self.counted {
            admission.clients.leave(self.client());
        }
    }

    /// Whether TLS is spoken.
    pub(super) fn is_secured(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.secured)
    }

    /// Whether its handshake has been completed since this was asked last.
    pub(super) fn has_settled(&mut self) -> bool {
        let session = self.held.as_mut().and_then(|held| held.session.as_mut());
        session.is_some_and(|session| std::mem::take(&mut session.settled))
    }

    /// Whether a handshake has begun and is not completed.
    pub(super) fn is_shaking(&self) -> bool {
        let session = self.held.as_ref().and_then(|held| held.session.as_ref());
        session.is_some_and(|session| !session.is_established())
    }

    fn client(&self) -> Client {
        self.source.client().trusted(self.trusted)
    }

    /// Whether an answer may be owed: of a query begun, or not completely with the kernel, or that may be here.
    pub(super) fn is_busy(&self) -> bool {
        !self.closing && (self.turn == Due::Queued || self.held.as_ref().is_some_and(|held| held.is_owing()))
    }

    /// Whether it waits for the first time; not the next time.
    pub(super) fn is_new(&mut self) -> bool {
        std::mem::replace(&mut self.new, false)
    }

    /// From here on only what had arrived is answered: at most what the kernel's buffer holds.
    pub(super) fn begin_drain(&mut self) {
        let buffer = rustix::net::sockopt::socket_recv_buffer_size(&self.socket).unwrap_or(1 << 20);
        self.arrived = u32::try_from(buffer).unwrap_or(UNBOUNDED).min(UNBOUNDED - 1);
    }

    fn is_draining(&self) -> bool {
        self.arrived != UNBOUNDED
    }

    /// Says that nothing more comes, and goes on reading for a while: closing with unread input would reset the
    /// connection, and a reset can take from the client answers that it has not read. Tells whether the client is there.
    pub(super) fn close(&mut self) -> bool {
        self.closing = true;
        if let Some(mut session) = self.held.take().and_then(|held| held.session) {
            say_farewell(&mut session, self.socket.as_fd());
        }
        shutdown(&self.socket, Shutdown::Write).is_ok()
    }

    /// Answers what is here, as far as a turn goes and the socket takes the responses.
    pub(super) fn turn(&mut self, desk: &mut Desk) -> Turn {
        if self.closing {
            return Turn { completed: false, next: self.discard(desk) };
        }
        let mut completed = false;
        let header = match self.behind_proxy {
            true => self.read_header(desk),
            false => Ok(()),
        };
        let next = header.and_then(|()| match self.is_secured() {
            true => self.proceed_secured(desk, &mut completed),
            false => self.proceed(desk, &mut completed),
        });
        Turn { completed, next: next.unwrap_or_else(|next| next) }
    }

    /// Takes the header of a proxy, and nothing behind it, when it is complete.
    fn read_header(&mut self, desk: &mut Desk) -> Result<(), Next> {
        let Desk { input, admission, counters, .. } = desk;
        let octets = match recv(&self.socket, &mut input[..INPUT], RecvFlags::PEEK) {
            Ok((0, _)) => return Err(Next::Over),
            Ok((octets, _)) => octets,
            Err(Errno::INTR) => return Err(Next::Again),
            Err(Errno::AGAIN) if self.is_draining() => return Err(Next::Close),
            Err(Errno::AGAIN) => return Err(Next::Input),
            Err(_) => return Err(Next::Over),
        };
        let via = if self.is_secured() { Via::Tls } else { Via::Tcp };
        let (client, octets) = match Header::read(&input[..octets]) {
            Header::Whole { client, octets } => (client, octets),
            Header::Partial if octets < INPUT && !self.ended => return Err(Next::Input),
            Header::Partial | Header::Malformed => {
                counters.note(via, Event::RefusedProxy);
                return Err(Next::Over);
            }
        };
        if let Some(address) = client {
            let entry = admission.clients.enter(address);
            if entry == Entry::Refused {
                counters.note(via, Event::RefusedClient);
                return Err(Next::Over);
            }
            let client = admission.trust.client(address);
            (self.source, self.trusted, self.counted) = (client.source(), client.is_trusted(), entry == Entry::Counted);
        }
        self.behind_proxy = false;
        // It has been seen there.
        match recv(&self.socket, &mut input[..octets], RecvFlags::empty()) {
            Ok((taken, _)) if taken == octets => Ok(()),
            _ => Err(Next::Over),
        }
    }

    fn proceed_secured(&mut self, desk: &mut Desk, completed: &mut bool) -> Result<Next, Next> {
        let Desk { secured: Some(secured), reader, admission, counters, .. } = desk else { return Err(Next::Over) };
        let Some(mut held) = self.held.take() else { return Err(Next::Over) };
        let (client, counted) = (self.client(), self.counted);
        let line = Line {
            socket: self.socket.as_fd(),
            client,
            arrived: (self.arrived != UNBOUNDED).then_some(&mut self.arrived),
            ended: self.ended,
            completed,
        };
        let rate = admission.handshakes.as_ref().filter(|_| counted);
        let next = secured.proceed(&mut held, line, reader, counters, rate.map(|rate| (&**rate, client)));
        self.held = Some(held);
        next
    }

    /// What waits first, then what can be read. An error is only an earlier end of the turn.
    fn proceed(&mut self, desk: &mut Desk, completed: &mut bool) -> Result<Next, Next> {
        let mut input = match self.held.take() {
            None => Vec::new(),
            Some(mut held) => {
                if !held.rest.is_empty() {
                    let octets = self.send_rest(&held.rest)?;
                    held.rest.drain(..octets);
                    if !held.rest.is_empty() {
                        self.held = Some(held);
                        return Ok(Next::Space);
                    }
                    *completed = true;
                }
                let mut input = held.input;
                if has_message(&input) {
                    let (stopped, written) = self.answer(desk, Source::Held(&input), completed);
                    self.keep(&mut input, &written, &desk.pipeline);
                    self.after(stopped)?;
                    input = self.held.take().map(|held| held.input).unwrap_or_default();
                }
                input
            }
        };
        let most = INPUT.min(self.arrived as usize);
        if most == 0 {
            return Err(Next::Close);
        }
        // A short start of a message is put in front of what is read.
        let before = if input.len() <= SHORT { input.len() } else { 0 };
        desk.input[..before].copy_from_slice(&input[..before]);
        let octets = match receive_into(self.socket.as_fd(), &mut desk.input[before..before + most]) {
            Ok(0) => return Err(Next::Over),
            Ok(octets) => octets,
            Err(error) => {
                let held = !input.is_empty();
                self.hold(input);
                return Err(match error {
                    Errno::INTR => Next::Again,
                    // In the drain, a query that has begun to arrive is waited for.
                    Errno::AGAIN if self.is_draining() && !held => Next::Close,
                    Errno::AGAIN => Next::Input,
                    _ => Next::Over,
                });
            }
        };
        if self.is_draining() {
            // At most as many were asked for.
            self.arrived -= octets as u32;
        }
        let stopped = if input.len() > SHORT {
            input.extend_from_slice(&desk.input[..octets]);
            let (stopped, written) = self.answer(desk, Source::Held(&input), completed);
            self.keep(&mut input, &written, &desk.pipeline);
            stopped
        } else {
            let end = before + octets;
            let (stopped, written) = self.answer(desk, Source::Desk(end), completed);
            if written.answered < end || !written.rest.is_empty() {
                input.clear();
                input.extend_from_slice(&desk.input[written.answered..end]);
                let written = Written { answered: 0, ..written };
                self.keep(&mut input, &written, &desk.pipeline);
            }
            stopped
        };
        self.after(stopped)?;
        Ok(match octets < most {
            // All that was here is read. More is told of, unless it came before.
            true if self.ended => Next::Over,
            true if !self.is_draining() => Next::Input,
            _ => Next::Again,
        })
    }

    /// Answers the complete queries of the input.
    fn answer(&self, desk: &mut Desk, source: Source<'_>, completed: &mut bool) -> (Stopped, Written) {
        let Desk { pipeline, reader, input, tally, .. } = desk;
        let input = match source {
            Source::Desk(end) => &input[..end],
            Source::Held(input) => input,
        };
        let socket = self.socket.as_fd();
        let batch = Batch { pipeline, reader, tally, client: self.client() };
        answer(batch, input, completed, |output| hand_over(socket, output))
    }

    /// Sends of the end of a response what the socket takes.
    fn send_rest(&self, rest: &[u8]) -> Result<usize, Next> {
        match hand_over(self.socket.as_fd(), rest) {
            Ok(octets) => Ok(octets),
            Err(_) => Err(Next::Over),
        }
    }

    /// Keeps the octets of `input` that are not answered, and the end of the response that is partly written.
    fn keep(&mut self, input: &mut Vec<u8>, written: &Written, pipeline: &Pipeline) {
        input.drain(..written.answered);
        if input.is_empty() && written.rest.is_empty() {
            return;
        }
        let mut input = std::mem::take(input);
        // Of a long message answered before no buffer stays.
        if input.capacity() / 4 > input.len().max(SHORT) {
            input.shrink_to_fit();
        }
        let rest = pipeline.output()[written.rest.clone()].to_vec();
        self.held = Some(Box::new(Held { rest, input, ..Held::default() }));
    }

    /// Keeps the start of a message.
    fn hold(&mut self, input: Vec<u8>) {
        if !input.is_empty() {
            self.held = Some(Box::new(Held { input, ..Held::default() }));
        }
    }

    /// How the turn goes on.
    fn after(&self, stopped: Stopped) -> Result<(), Next> {
        match stopped {
            Stopped::Partial => Ok(()),
            Stopped::Full => Err(Next::Again),
            Stopped::Paused(wait) => Err(Next::Pause(wait)),
            Stopped::NoQuery => Err(Next::Close),
            Stopped::Blocked => Err(Next::Space),
            Stopped::Broken => Err(Next::Over),
        }
    }

    fn discard(&mut self, desk: &mut Desk) -> Next {
        for _ in 0..DISCARDS {
            match recv(&self.socket, &mut desk.input[..], RecvFlags::empty()) {
                Ok((0, _)) => return Next::Over,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Next::Input,
                Err(_) => return Next::Over,
            }
        }
        Next::Again
    }

    /// Octets on the heap that this connection holds.
    #[cfg(test)]
    pub(super) fn octets(&self) -> usize {
        let session = |held: &Held| held.session.as_ref().map_or(0, |session| session.octets());
        let all = |held: &Held| size_of::<Held>() + held.input.capacity() + held.rest.capacity() + session(held);
        self.held.as_deref().map_or(0, all)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Where the input stands.
enum Source<'a> {
    /// In the desk's buffer, up to here.
    Desk(usize),
    Held(&'a [u8]),
}

/// Answers the complete queries of the input, each batch from one snapshot that is left when it is with the kernel, or with
/// who encrypts it. `hand_over` says how many octets were taken.
pub(super) fn answer(
    batch: Batch<'_>,
    input: &[u8],
    completed: &mut bool,
    mut hand_over: impl FnMut(&[u8]) -> Result<usize, Errno>,
) -> (Stopped, Written) {
    let Batch { pipeline, reader, tally, client } = batch;
    let mut answered = 0;
    for _ in 0..BATCHES {
        let snapshot = reader.enter();
        let follows = pipeline.render(&snapshot, client, &input[answered..]);
        let output = pipeline.output();
        if !output.is_empty() {
            let Ok(octets) = hand_over(output) else { return (Stopped::Broken, Written::default()) };
            drop(snapshot);
            let written = pipeline.written(octets, tally);
            answered += written.answered;
            *completed |= written.completed;
            let blocked = octets < output.len();
            pipeline.show(octets);
            if blocked {
                return (Stopped::Blocked, Written { answered, ..written });
            }
        }
        let stopped = match follows {
            Follows::Query => continue,
            Follows::Partial => Stopped::Partial,
            Follows::Wait(wait) => Stopped::Paused(wait),
            Follows::NoQuery => {
                tally.queries += 1;
                tally.silent += 1;
                Stopped::NoQuery
            }
        };
        return (stopped, Written { answered, ..Written::default() });
    }
    (Stopped::Full, Written { answered, ..Written::default() })
}

/// Reads what is there, and returns how many octets that are.
pub(super) fn receive_into(socket: BorrowedFd<'_>, input: &mut [u8]) -> Result<usize, Errno> {
    recv(socket, input, RecvFlags::empty()).map(|(octets, _)| octets)
}

/// Hands octets to the kernel and returns how many it took.
pub(super) fn hand_over(socket: BorrowedFd<'_>, octets: &[u8]) -> Result<usize, Errno> {
    match send(socket, octets, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        result => result,
    }
}

#[cfg(test)]
mod tests;
