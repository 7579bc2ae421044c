//! The turn of a connection over TLS: as that of a plain one (see [`connection`](super::super::connection)), with records
//! between the socket and the stream.
//!
//! - **A record is the unit.** What is encrypted cannot be taken back. So nothing is encrypted before the socket has space:
//!   a response of which the kernel has no octet is still forgotten and made anew, and what leaves older than a switch is at
//!   most the record, of 16 KiB, whose start the kernel has.
//! - **Nothing is read while a record waits**, so that a client that does not read is not read from.
//! - **The handshake has its own time**, as long as that for a query, and is counted against the limits of its client at
//!   the first octet: a connection that is silent costs a record of the table.
//! - In the drain a connection that has begun its handshake and asked nothing is waited for: its query is on the way.
//!
//! I/O shell: reads and writes sockets, and never waits.
#![expect(clippy::disallowed_methods, reason = "I/O shell: clock")]

use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustls::ServerConfig;

use super::super::clients::Rate;
use super::super::connection::{Batch, Held, Next, Stopped, answer, hand_over, receive_into};
use super::super::counters::Event;
use super::super::pipeline::{Pipeline, Written, has_message};
use super::super::via::Via;
use super::super::{Counters, counters::Tally};
use super::session::{Established, Session};
use crate::answer::client::Client;
use crate::answer::publish::Reader;

/// Octets read at once; a whole record fits (RFC 8446 5.2).
const INPUT: usize = 18 << 10;

/// Octets that may wait for the rest of their record, or of their handshake message.
const LARGEST: usize = 34 << 10;

/// What the connections over TLS of a worker share.
#[derive(Debug)]
pub(in crate::serve) struct Secured {
    pub(in crate::serve) pipeline: Pipeline,
    pub(in crate::serve) tally: Tally,
    pub(in crate::serve) config: Arc<ServerConfig>,
    input: Box<[u8]>,
}

/// The connection's part of a turn.
pub(in crate::serve) struct Line<'a> {
    pub(in crate::serve) socket: BorrowedFd<'a>,
    pub(in crate::serve) client: Client,
    /// Octets that may still be read, while draining.
    pub(in crate::serve) arrived: Option<&'a mut u32>,
    /// Whether the client has closed its side.
    pub(in crate::serve) ended: bool,
    pub(in crate::serve) completed: &'a mut bool,
}

impl Secured {
    pub(in crate::serve) fn new(pipeline: Pipeline, config: Arc<ServerConfig>) -> Self {
        let input = vec![0; LARGEST + INPUT].into_boxed_slice();
        Self { pipeline, tally: Tally::default(), config, input }
    }

    /// What waits first, then what can be read. `rate` is that of handshakes, for a client that has one.
    pub(in crate::serve) fn proceed(
        &mut self,
        held: &mut Held,
        mut line: Line<'_>,
        reader: &mut Reader,
        counters: &Counters,
        rate: Option<(&Rate, Client)>,
    ) -> Result<Next, Next> {
        let Held { rest, input, session, .. } = held;
        if let Some(session) = session.as_deref_mut() {
            if !flush(session, line.socket)? {
                return Ok(Next::Space);
            }
            *line.completed |= std::mem::take(&mut session.owes);
            if !rest.is_empty() {
                let octets = send(session, line.socket, rest).map_err(|_| Next::Over)?;
                rest.drain(..octets);
                session.owes = rest.is_empty() && !session.unsent.is_empty();
                if !rest.is_empty() || !session.unsent.is_empty() {
                    return Ok(Next::Space);
                }
                *line.completed = true;
            }
            if has_message(input) {
                self.answer(session, rest, input, &mut line, reader)?;
            }
            if session.ended {
                return Err(Next::Over);
            }
        }
        let most = INPUT.min(line.arrived.as_ref().map_or(INPUT, |arrived| **arrived as usize));
        if most == 0 {
            return Err(Next::Close);
        }
        let before = session.as_ref().map_or(0, |session| session.received.len());
        if before > LARGEST {
            return Err(Next::Over);
        }
        let owes = session.as_ref().is_some_and(|session| before > 0 || !session.asked) || !input.is_empty();
        let octets = match receive_into(line.socket, &mut self.input[before..before + most]) {
            Ok(0) => return Err(Next::Over),
            Ok(octets) => octets,
            Err(Errno::INTR) => return Err(Next::Again),
            // In the drain, what has begun to arrive is waited for.
            Err(Errno::AGAIN) if line.arrived.is_some() && !owes => return Err(Next::Close),
            Err(Errno::AGAIN) => return Err(Next::Input),
            Err(_) => return Err(Next::Over),
        };
        if let Some(arrived) = &mut line.arrived {
            // At most as many were asked for.
            **arrived -= octets as u32;
        }
        let session = match session {
            Some(session) => session,
            None => {
                if rate.is_some_and(|(rate, client)| !rate.allows(client, Instant::now())) {
                    counters.note(Via::Tls, Event::RefusedHandshake);
                    return Err(Next::Over);
                }
                let begun = Session::new(self.config.clone()).map_err(|_| Next::Over)?;
                session.insert(Box::new(begun))
            }
        };
        self.input[..before].copy_from_slice(&session.received);
        session.received.clear();
        let was_established = session.is_established();
        let end = before + octets;
        let received = session.receive(&mut self.input[..end], input);
        match &received {
            Ok((taken, _)) => session.received.extend_from_slice(&self.input[*taken..end]),
            Err(_) if !was_established => counters.note(Via::Tls, Event::HandshakeFailed),
            Err(_) => {}
        }
        if let Ok((_, Some(established))) = received {
            session.settled = true;
            counters.note(
                Via::Tls,
                match established {
                    Established::Full => Event::HandshakeFull,
                    Established::Resumed => Event::HandshakeResumed,
                },
            );
        }
        let sent = flush(session, line.socket)?;
        if received.is_err() {
            // The alert is with the kernel, or the client does not read.
            return Err(Next::Close);
        }
        if sent {
            self.answer(session, rest, input, &mut line, reader)?;
        }
        Ok(match octets < most {
            _ if !session.unsent.is_empty() => Next::Space,
            _ if session.ended => Next::Over,
            // All that was here is read. More is told of, unless it came before.
            true if line.ended => Next::Over,
            true if line.arrived.is_none() => Next::Input,
            _ => Next::Again,
        })
    }

    /// Answers the complete queries of `input`, and keeps what is not.
    fn answer(
        &mut self,
        session: &mut Session,
        rest: &mut Vec<u8>,
        input: &mut Vec<u8>,
        line: &mut Line<'_>,
        reader: &mut Reader,
    ) -> Result<(), Next> {
        let socket = line.socket;
        let mut completed = false;
        let batch = Batch { pipeline: &mut self.pipeline, reader, tally: &mut self.tally, client: line.client };
        let (stopped, written) = answer(batch, input, &mut completed, |output| send(session, socket, output));
        let Written { answered, rest: unwritten, .. } = written;
        session.asked |= answered > 0;
        input.drain(..answered);
        if input.is_empty() {
            // Between messages there is no buffer.
            *input = Vec::new();
        }
        rest.extend_from_slice(&self.pipeline.output()[unwritten]);
        match session.unsent.is_empty() {
            true => *line.completed |= completed,
            false => session.owes |= completed,
        }
        match stopped {
            Stopped::Partial if session.unsent.is_empty() => Ok(()),
            Stopped::Paused(wait) if session.unsent.is_empty() => Err(Next::Pause(wait)),
            Stopped::Partial | Stopped::Paused(_) | Stopped::Blocked => Err(Next::Space),
            // One that says that nothing more comes has been answered.
            Stopped::Full => Err(Next::Again),
            Stopped::NoQuery => Err(Next::Close),
            Stopped::Broken => Err(Next::Over),
        }
    }
}

/// Sends what is unsent; tells whether the kernel has taken all.
fn flush(session: &mut Session, socket: BorrowedFd<'_>) -> Result<bool, Next> {
    if session.unsent.is_empty() {
        return Ok(true);
    }
    let octets = hand_over(socket, &session.unsent).map_err(|_| Next::Over)?;
    session.unsent.drain(..octets);
    if session.unsent.is_empty() {
        session.unsent = Vec::new();
    }
    Ok(session.unsent.is_empty())
}

/// Encrypts and sends of `stream` what the socket takes, and returns how many octets those are.
fn send(session: &mut Session, socket: BorrowedFd<'_>, stream: &[u8]) -> Result<usize, Errno> {
    let mut taken = 0;
    while taken < stream.len() && session.unsent.is_empty() && has_space(socket) {
        taken += session.encrypt(&stream[taken..]).map_err(|_| Errno::PROTO)?;
        flush(session, socket).map_err(|_| Errno::PIPE)?;
    }
    Ok(taken)
}

/// Whether the kernel would take an octet.
fn has_space(socket: BorrowedFd<'_>) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // An error of the socket is told by the write.
    poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::OUT)], Some(&now)) != Ok(0)
}

/// Says that nothing more comes, as far as the socket takes it.
pub(in crate::serve) fn say_farewell(session: &mut Session, socket: BorrowedFd<'_>) {
    if session.unsent.is_empty() {
        session.close();
    }
    let _ = flush(session, socket);
}
