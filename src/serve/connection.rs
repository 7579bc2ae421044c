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
use super::counters::{Counters, Tally};
use super::engine::{Engine, Trust};
use super::pipeline::{Follows, Pipeline, Written, has_message};
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
}

/// One connection; between messages this is all that there is of it.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    source: ClientSource,
    /// Whether the client's word on whom it asks for is taken.
    trusted: bool,
    /// What its worker's epoll set tells of it.
    pub(super) interest: Interest,
    /// Whether it has another turn without having to be told of.
    pub(super) queued: bool,
    /// Whether its next turn is only when its client may send more queries.
    pub(super) paused: bool,
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

/// What a connection holds in the middle of a message or while the client does not read.
#[derive(Debug, Default)]
struct Held {
    /// The end of a response whose start is written; sent before anything else.
    rest: Vec<u8>,
    /// What is read and not answered.
    input: Vec<u8>,
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
enum Stopped {
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
    pub(super) fn new(engine: Engine, lots: Lots, reader: Reader, counters: Arc<Counters>) -> Self {
        let input = vec![0; SHORT + INPUT].into_boxed_slice();
        Self { pipeline: Pipeline::new(engine, lots, counters), reader, input, tally: Tally::default() }
    }
}

impl Connection {
    pub(super) fn new(arrival: Arrival, trust: &Trust) -> Self {
        let client = trust.client(arrival.peer);
        Self {
            socket: arrival.socket,
            source: client.source(),
            trusted: client.is_trusted(),
            interest: Interest::None,
            queued: false,
            paused: false,
            new: true,
            ended: false,
            closing: false,
            arrived: UNBOUNDED,
            held: None,
        }
    }

    fn client(&self) -> Client {
        self.source.client().trusted(self.trusted)
    }

    /// Whether an answer may be owed: of a query begun, or not completely with the kernel, or that may be here.
    pub(super) fn is_busy(&self) -> bool {
        !self.closing && (self.queued || self.held.is_some())
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
        self.held = None;
        shutdown(&self.socket, Shutdown::Write).is_ok()
    }

    /// Answers what is here, as far as a turn goes and the socket takes the responses.
    pub(super) fn turn(&mut self, desk: &mut Desk) -> Turn {
        if self.closing {
            return Turn { completed: false, next: self.discard(desk) };
        }
        let mut completed = false;
        let next = self.proceed(desk, &mut completed).unwrap_or_else(|next| next);
        Turn { completed, next }
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
                    let (stopped, written) =
                        answer(self.socket.as_fd(), self.client(), desk, Source::Held(&input), completed);
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
        let octets = match recv(&self.socket, &mut desk.input[before..before + most], RecvFlags::empty()) {
            Ok((0, _)) => return Err(Next::Over),
            Ok((octets, _)) => octets,
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
            let (stopped, written) = answer(self.socket.as_fd(), self.client(), desk, Source::Held(&input), completed);
            self.keep(&mut input, &written, &desk.pipeline);
            stopped
        } else {
            let end = before + octets;
            let (stopped, written) = answer(self.socket.as_fd(), self.client(), desk, Source::Desk(end), completed);
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
        self.held = Some(Box::new(Held { rest, input }));
    }

    /// Keeps the start of a message.
    fn hold(&mut self, input: Vec<u8>) {
        if !input.is_empty() {
            self.held = Some(Box::new(Held { rest: Vec::new(), input }));
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
        self.held.as_ref().map_or(0, |held| size_of::<Held>() + held.input.capacity() + held.rest.capacity())
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

/// Answers the complete queries of the input, each batch from one snapshot that is left when it is with the kernel.
fn answer(
    socket: BorrowedFd<'_>,
    client: Client,
    desk: &mut Desk,
    source: Source<'_>,
    completed: &mut bool,
) -> (Stopped, Written) {
    let Desk { pipeline, reader, input, tally } = desk;
    let input = match source {
        Source::Desk(end) => &input[..end],
        Source::Held(input) => input,
    };
    let mut answered = 0;
    for _ in 0..BATCHES {
        let snapshot = reader.enter();
        let follows = pipeline.render(&snapshot, client, &input[answered..]);
        let output = pipeline.output();
        if !output.is_empty() {
            let Ok(octets) = hand_over(socket, output) else { return (Stopped::Broken, Written::default()) };
            drop(snapshot);
            let written = pipeline.written(octets, tally);
            answered += written.answered;
            *completed |= written.completed;
            if octets < output.len() {
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

/// Hands octets to the kernel and returns how many it took.
fn hand_over(socket: BorrowedFd<'_>, octets: &[u8]) -> Result<usize, Errno> {
    match send(socket, octets, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::super::engine::{Outcome, Rules, Terms, Transport};
    use super::*;
    use crate::answer::cookie::Cookie;
    use crate::answer::publish::Publisher;
    use crate::answer::snapshot::{Content, Snapshot};
    use crate::dns::Rcode;

    /// Answers with the first two octets.
    fn echo(_: &Snapshot, query: &[u8], _: Client, _: Transport, _: &Terms<'_>, response: &mut Vec<u8>) -> Outcome {
        response.clear();
        response.extend_from_slice(&query[..2]);
        Outcome::Reply { rcode: Rcode::NOERROR, truncated: false, hub: None, cookie: Cookie::Absent }
    }

    /// A connection, its client, and the desk with what publishes to it.
    fn connected() -> (Connection, UnixStream, Desk, Publisher) {
        let (client, server) = UnixStream::pair().unwrap();
        client.set_nonblocking(true).unwrap();
        server.set_nonblocking(true).unwrap();
        let first = Snapshot::new(1, Arc::new(Content::default()), Box::new([])).unwrap();
        let publisher = Publisher::new(first).unwrap();
        let engine = Engine { respond: echo, ..Engine::new(Rules::sized(512), None, Trust::default()) };
        let desk = Desk::new(engine, Lots::from(0), publisher.readers().reader(), Arc::default());
        let arrival = Arrival { socket: server.into(), peer: std::net::Ipv4Addr::LOCALHOST.into() };
        (Connection::new(arrival, &Trust::default()), client, desk, publisher)
    }

    fn message(number: u8, length: u16) -> Vec<u8> {
        let mut message = length.to_be_bytes().to_vec();
        message.resize(2 + usize::from(length), number);
        message
    }

    fn received(client: &mut UnixStream) -> Vec<u8> {
        let mut octets = Vec::new();
        // Ends where nothing more is there.
        let _ = client.read_to_end(&mut octets);
        octets
    }

    #[test]
    fn queries_are_answered_wherever_the_stream_is_split() {
        let stream = [message(1, 12), message(2, 40), message(3, 700), message(4, 13)].concat();
        let expected = [[0, 2, 1, 1], [0, 2, 2, 2], [0, 2, 3, 3], [0, 2, 4, 4]].concat();
        for split in 0..=stream.len() {
            let (mut connection, mut client, mut desk, _publisher) = connected();
            for part in [&stream[..split], &stream[split..]] {
                client.write_all(part).unwrap();
                assert_eq!(connection.turn(&mut desk).next, Next::Input, "split at {split}");
            }
            assert_eq!(received(&mut client), expected, "split at {split}");
            assert_eq!(connection.octets(), 0, "split at {split}");
            assert_eq!(desk.tally.queries, 4);
        }
    }

    #[test]
    fn octet_by_octet_no_more_is_held_than_twice_what_came() {
        let (mut connection, mut client, mut desk, _publisher) = connected();
        let stream = message(7, 5000);
        let (last, before) = stream.split_last().unwrap();
        for (octets, octet) in (1..).zip(before) {
            client.write_all(&[*octet]).unwrap();
            assert_eq!(connection.turn(&mut desk), Turn { completed: false, next: Next::Input });
            assert!(connection.is_busy());
            assert!(connection.octets() <= 2 * octets + 64, "{} for {octets}", connection.octets());
        }
        client.write_all(&[*last]).unwrap();
        assert_eq!(connection.turn(&mut desk), Turn { completed: true, next: Next::Input });
        assert_eq!(received(&mut client), [0, 2, 7, 7]);
        assert_eq!(connection.octets(), 0);
        assert!(!connection.is_busy());
    }

    #[test]
    fn between_messages_a_connection_is_its_record() {
        // With the whole address of an IPv6 client: a cookie is made for it (RFC 9018 4.4).
        assert!(size_of::<Connection>() <= 40, "{}", size_of::<Connection>());
        let (mut connection, mut client, mut desk, _publisher) = connected();
        for length in [12, 600, 65_535, 13] {
            client.set_nonblocking(false).unwrap();
            let mut writer = client.try_clone().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| writer.write_all(&message(9, length)).unwrap());
                let mut octets = [0; 4];
                client.set_nonblocking(true).unwrap();
                while client.read_exact(&mut octets).is_err() {
                    connection.turn(&mut desk);
                }
                assert_eq!(octets, [0, 2, 9, 9]);
            });
            assert_eq!(connection.octets(), 0, "after {length}");
        }
    }

    #[test]
    fn a_turn_is_bounded() {
        let (mut connection, mut client, mut desk, _publisher) = connected();
        client.write_all(&message(1, 12).repeat(5000)).unwrap();
        let mut before = 0;
        loop {
            let turn = connection.turn(&mut desk);
            assert!(desk.tally.queries - before <= (INPUT / 14 + 1) as u64);
            before = desk.tally.queries;
            received(&mut client);
            if turn.next == Next::Input {
                break;
            }
            assert!(matches!(turn.next, Next::Again | Next::Space), "{turn:?}");
        }
        assert_eq!(before, 5000);
    }

    #[test]
    fn nothing_is_read_while_output_waits() {
        let (mut connection, mut client, mut desk, _publisher) = connected();
        let batch = message(1, 12).repeat(100);
        // Until neither side takes more.
        let mut turn = Turn { completed: false, next: Next::Again };
        let mut sent = 0;
        loop {
            match client.write(&batch) {
                Ok(octets) => sent += octets,
                Err(_) if turn.next == Next::Space => break,
                Err(_) => {}
            }
            turn = connection.turn(&mut desk);
        }
        assert!(connection.octets() <= 2 * (INPUT + SHORT) + 4096, "{}", connection.octets());
        assert_eq!(connection.turn(&mut desk), Turn { completed: false, next: Next::Space });
        let mut answers = 0;
        while answers < sent / 14 {
            answers += received(&mut client).len() / 4;
            connection.turn(&mut desk);
        }
    }

    #[test]
    fn the_end_of_the_client_is_found_with_its_last_query_or_after() {
        let (mut connection, mut client, mut desk, _publisher) = connected();
        client.write_all(&message(1, 12)).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        connection.ended = true;
        assert_eq!(connection.turn(&mut desk), Turn { completed: true, next: Next::Over });
        assert_eq!(received(&mut client), [0, 2, 1, 1]);
        let (mut connection, client, mut desk, _publisher) = connected();
        drop(client);
        assert_eq!(connection.turn(&mut desk), Turn { completed: false, next: Next::Over });
    }
}
