//! One TCP connection: pipelined queries (RFC 7766 6.2.1.1), answered in their order.
//!
//! ```text
//!        ┌────────── all complete queries answered ◄───────────┐
//!        ▼                                                     │
//!   wait for input ──read──► answer: enter, respond ..., try_write, leave ──socket full──► wait for space
//!        │                     ▲                                                             │
//!        │ idle time over      └─────────────────────────────────────────────────────────────┘
//!        ▼
//!      closed
//! ```
//!
//! - **One step, no await.** [`Connection::answer`] takes a snapshot, answers the queries that are here, hands the
//!   responses to the kernel in one write and leaves the snapshot. A response of which no octet was taken is forgotten,
//!   and its query answered again when there is space, from the snapshot of that time. So nobody gets a whole answer
//!   that is older than an acknowledged switch; one that is partly in the kernel is finished as it is.
//! - **Nothing piles up.** No input is read while output waits, so a connection holds at most one largest message in
//!   each direction and a batch.
//! - **One timer.** It is set when the connection opens and whenever a response is completely with the kernel. A client
//!   that is silent, sends a query octet by octet, or does not read its answers runs into it alike.
//! - **What is no query ends the connection**, after the answers to the queries before it: a length below that of a
//!   header, after which the stream cannot be trusted, and a message that deserves no response, such as a response,
//!   for whoever sent it would wait in vain.
//!
//! Answers leave in the order of the queries: each is made at once, so that none could overtake another.
#![expect(clippy::disallowed_methods, reason = "I/O shell: sockets, clock")]

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::counters::{Block, Counters, Tally};
use super::engine::Engine;
use super::pipeline::{Follows, Pipeline};
use super::seats::Seat;
use super::stop::Stop;
use crate::answer::publish::Reader;

/// How long a client whose connection we close may go on sending before we stop listening. Closing with unread input
/// would reset the connection, and a reset can take from the client answers that it has not read.
const LINGER: Duration = Duration::from_millis(200);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) engine: Engine,
    /// Time after which a connection that completed no message is closed.
    pub(super) idle: Duration,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: Arc<Stop>,
}

/// Serves a connection until it ends.
pub(super) async fn serve(service: Arc<Service>, stream: TcpStream, reader: Reader, block: Arc<Block>, seat: Seat) {
    let connection = Connection { stream, reader, block, pipeline: Pipeline::new(service.engine) };
    tokio::select! {
        biased;
        () = seat.needed() => tracing::trace!("TCP connection closed to make room"),
        ended = connection.run(&service, &seat) => {
            tracing::trace!(?ended, "TCP connection closed");
            if ended == Ended::TimedOut {
                service.counters.connection_timed_out();
            }
            seat.idle();
        }
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    reader: Reader,
    block: Arc<Block>,
    pipeline: Pipeline,
}

/// What the connection waits for, or why it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// All complete queries are answered.
    Input,
    /// The socket takes nothing more.
    Space,
    /// The connection is to be closed.
    End(Ended),
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The client closed it.
    ByClient,
    /// The client sent what is no query.
    NoQuery,
    /// No message was completed in the idle time.
    TimedOut,
    /// All that had arrived when the drain began is answered.
    Drained,
    /// The network failed.
    Broken,
}

impl Connection {
    async fn run(mut self, service: &Service, seat: &Seat) -> Ended {
        let mut timer = pin!(sleep(service.idle));
        let mut stop = pin!(service.stop.begun());
        // Once the drain has begun: how many octets may have arrived before.
        let mut arrived: Option<usize> = None;
        loop {
            let (completed, mut need) = self.answer();
            if completed {
                seat.progress();
                timer.as_mut().reset(Instant::now() + service.idle);
            }
            if need == Need::Input {
                self.pipeline.make_room();
                if let Some(arrived) = &mut arrived {
                    match self.read_arrived(arrived) {
                        Arrived::Some => continue,
                        Arrived::Nothing => {}
                        Arrived::End(ended) => need = Need::End(ended),
                    }
                }
            }
            if need == Need::Input && self.pipeline.is_empty() {
                seat.idle();
            } else {
                seat.busy();
            }
            match need {
                Need::Input => tokio::select! {
                    biased;
                    _ = &mut stop, if arrived.is_none() => {
                        arrived = Some(SockRef::from(&self.stream).recv_buffer_size().unwrap_or(1 << 20));
                    }
                    read = self.stream.read_buf(&mut self.pipeline.input) => match read {
                        Ok(0) => return Ended::ByClient,
                        Ok(_) => {}
                        Err(_) => return Ended::Broken,
                    },
                    () = &mut timer => return Ended::TimedOut,
                },
                Need::Space => tokio::select! {
                    ready = self.stream.writable() => if ready.is_err() { return Ended::Broken },
                    () = &mut timer => return Ended::TimedOut,
                },
                Need::End(ended) => {
                    // The client has all its answers; what it still sends is not listened to.
                    seat.idle();
                    self.close().await;
                    return ended;
                }
            }
            // A client that never lets us wait shares the thread with the others all the same.
            tokio::task::consume_budget().await;
        }
    }

    /// Answers the queries that are here, as far as the socket takes the responses. Tells whether a response was
    /// completed, and what to wait for.
    fn answer(&mut self) -> (bool, Need) {
        let Self { stream, reader, block, pipeline } = self;
        let mut tally = Tally::default();
        let mut completed = false;
        let need = loop {
            if !pipeline.rest().is_empty() {
                match stream.try_write(pipeline.rest()) {
                    Ok(octets) if pipeline.rest_written(octets) => completed = true,
                    Ok(_) => break Need::Space,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break Need::Space,
                    Err(_) => break Need::End(Ended::Broken),
                }
            }
            let snapshot = reader.enter();
            let follows = pipeline.render(&snapshot);
            if !pipeline.output().is_empty() {
                let octets = match stream.try_write(pipeline.output()) {
                    Ok(octets) => octets,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(_) => break Need::End(Ended::Broken),
                };
                drop(snapshot);
                completed |= pipeline.written(octets, &mut tally);
                if octets < pipeline.output().len() {
                    break Need::Space;
                }
            }
            match follows {
                Follows::Query => {}
                Follows::Partial => break Need::Input,
                Follows::NoQuery => {
                    tally.queries += 1;
                    tally.silent += 1;
                    break Need::End(Ended::NoQuery);
                }
            }
        };
        block.add(&tally);
        (completed, need)
    }

    /// During the drain, reads what had arrived when it began; `arrived` is its upper limit. Asks the kernel itself,
    /// for tokio only tells of what it has heard.
    fn read_arrived(&mut self, arrived: &mut usize) -> Arrived {
        let mut octets = [0; 4096];
        let most = octets.len().min(*arrived);
        if most == 0 {
            return Arrived::End(Ended::Drained);
        }
        match (&*SockRef::from(&self.stream)).read(&mut octets[..most]) {
            Ok(0) => Arrived::End(Ended::ByClient),
            Ok(count) => {
                self.pipeline.input.extend_from_slice(&octets[..count]);
                *arrived -= count;
                Arrived::Some
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Arrived::Some,
            // A query that has begun to arrive is waited for.
            Err(error) if error.kind() == ErrorKind::WouldBlock && !self.pipeline.is_empty() => Arrived::Nothing,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Arrived::End(Ended::Drained),
            Err(_) => Arrived::End(Ended::Broken),
        }
    }

    /// Says that nothing more comes, and gives the client a moment to take the last answers.
    async fn close(mut self) {
        if SockRef::from(&self.stream).shutdown(Shutdown::Write).is_err() {
            return;
        }
        let end_of_input = async {
            loop {
                self.pipeline.discard_input();
                match self.stream.read_buf(&mut self.pipeline.input).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        };
        // Either way the socket is closed: at the client's end, or without it.
        let _ = timeout(LINGER, end_of_input).await;
    }
}

/// What was found in the kernel's buffer during the drain.
enum Arrived {
    Some,
    Nothing,
    End(Ended),
}
