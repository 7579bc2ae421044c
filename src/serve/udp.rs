//! UDP: blocking threads, each with a socket of its own, that take and answer datagrams in batches.
//!
//! ```text
//! recvmmsg (waits) -> enter: one snapshot for the batch -> respond, respond, ... -> sendmmsg (never waits) -> leave
//! ```
//!
//! Between receiving and sending nothing is locked, allocated, formatted or logged; buffers are made when a worker
//! starts. The snapshot is held until the responses are in the kernel, so that after the acknowledgement of a switch no
//! older response is still to be sent. Therefore sending does not wait either: what does not fit into the send buffer
//! is dropped and counted, and the client asks again.
//!
//! No error of the socket ends a worker, and a panic starts it anew with the same socket.
//!
//! `recvmmsg` is that of `nix`, `sendmmsg` that of `rustix`: the one of `nix` tells how many datagrams were sent only
//! by an iterator that reads addresses which were never written. The kernel overwrites the length of each header's
//! address and `nix` does not set it back, which is sound because a socket has one address family, whose addresses
//! have one length.
#![expect(clippy::disallowed_methods, reason = "I/O shell: threads, sockets, clock")]

use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use socket2::Socket;

use super::burst::Burst;
use super::counters::{Block, Counters, Tally};
use super::engine::{Engine, Outcome, Transport};
use super::stop::Stop;
use crate::answer::publish::{Reader, Readers};

/// Datagrams received and sent with one system call each.
const BATCH: usize = 32;

/// Octets of the largest query that is read. EDNS clients announce what they receive, not what they send; real queries
/// are below 512.
const LARGEST_QUERY: usize = 4096;

/// The kernel charges a datagram in a receive buffer for more than this many octets, however short it is.
const LEAST_CHARGE: usize = 512;

/// Pause after an error that is not about a single datagram, so that a lasting one does not burn a core.
const PAUSE: Duration = Duration::from_millis(10);

/// One socket and the thread on it.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) socket: Socket,
    pub(super) address: SocketAddr,
    pub(super) engine: Engine,
    pub(super) readers: Readers,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: Arc<Stop>,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Everything that had arrived when the drain began is answered.
    Answered,
    /// The deadline came first.
    Cut,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start(self) -> io::Result<JoinHandle<Ended>> {
        let address = self.address;
        thread::Builder::new()
            .name("dns-udp".into())
            .spawn(move || self.run())
            .map_err(|error| io::Error::new(error.kind(), format!("cannot start a UDP worker for {address}: {error}")))
    }

    /// Serves until the drain has ended, whatever happens.
    fn run(self) -> Ended {
        let block = self.counters.block(Transport::Udp);
        let mut burst = Burst::default();
        loop {
            // The socket and the counters are whole after a panic; buffers and reader are made anew.
            let served = catch_unwind(AssertUnwindSafe(|| match self.address {
                SocketAddr::V4(_) => self.serve::<SockaddrIn>(&block),
                SocketAddr::V6(_) => self.serve::<SockaddrIn6>(&block),
            }));
            match served {
                Ok(ended) => return ended,
                Err(panic) => {
                    self.counters.restarted();
                    if let Some(untold) = burst.note(Instant::now()) {
                        let reason = super::panic_text(panic.as_ref());
                        tracing::error!(address = %self.address, reason, untold, "UDP worker failed and starts again");
                    }
                }
            }
        }
    }

    fn serve<F: Family>(&self, block: &Block) -> Ended {
        let mut batch = Batch::<F>::new(usize::from(self.engine.limits.max_udp_bytes));
        let mut reader = self.readers.reader();
        let mut burst = Burst::default();
        let mut drain: Option<Drain> = None;
        loop {
            if drain.is_none() {
                drain = self.stop.deadline().map(|deadline| Drain::of(&self.socket, deadline));
            }
            let wait = if drain.is_some() { MsgFlags::MSG_DONTWAIT } else { MsgFlags::MSG_WAITFORONE };
            let mut tally = Tally::default();
            match batch.receive(&self.socket, wait, &mut tally) {
                Ok(received) => {
                    if let Some(drain) = &mut drain {
                        drain.queued = drain.queued.saturating_sub(received);
                    }
                    batch.answer(&self.socket, &self.engine, &mut reader, &mut tally);
                    block.add(&tally);
                }
                // The receive timeout of the socket, or a queue that is empty.
                Err(Errno::EAGAIN) if drain.is_some() => return Ended::Answered,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // What the network says of an earlier response is no matter of this query.
                Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => {}
                Err(error) => {
                    self.counters.receive_failed();
                    if let Some(untold) = burst.note(Instant::now()) {
                        tracing::warn!(address = %self.address, %error, untold, "cannot receive over UDP, trying on");
                    }
                    thread::sleep(PAUSE);
                }
            }
            // Asked last: a queue that is empty is found so even after the deadline.
            if let Some(drain) = &drain
                && let Some(ended) = drain.ended(Instant::now())
            {
                return ended;
            }
        }
    }
}

/// What is left to do once the drain has begun.
struct Drain {
    deadline: Instant,
    /// Upper limit of the datagrams that were in the queue at that moment: those that come later have no claim, and a
    /// flood of them must not keep the worker.
    queued: usize,
}

impl Drain {
    fn of(socket: &Socket, deadline: Instant) -> Self {
        Self { deadline, queued: socket.recv_buffer_size().unwrap_or(1 << 20) / LEAST_CHARGE }
    }

    fn ended(&self, now: Instant) -> Option<Ended> {
        match self.queued {
            0 => Some(Ended::Answered),
            _ if now >= self.deadline => Some(Ended::Cut),
            _ => None,
        }
    }
}

/// An address family, whose addresses all have the same length.
trait Family: SockaddrLike + Copy {
    fn address(self) -> SocketAddr;
}

impl Family for SockaddrIn {
    fn address(self) -> SocketAddr {
        SocketAddr::V4(SocketAddrV4::from(self))
    }
}

impl Family for SockaddrIn6 {
    fn address(self) -> SocketAddr {
        SocketAddr::V6(SocketAddrV6::from(self))
    }
}

/// The buffers of a worker.
struct Batch<F: Family> {
    headers: MultiHeaders<F>,
    queries: Box<[[u8; LARGEST_QUERY]; BATCH]>,
    /// Position in `queries`, length and sender of what can be answered.
    readable: [(usize, usize, SocketAddr); BATCH],
    readable_count: usize,
    responses: [Vec<u8>; BATCH],
    recipients: [SocketAddrAny; BATCH],
}

impl<F: Family> Batch<F> {
    fn new(max_udp_bytes: usize) -> Self {
        let nobody = SocketAddr::V4(SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0));
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            queries: Box::new([[0; LARGEST_QUERY]; BATCH]),
            readable: [(0, 0, nobody); BATCH],
            readable_count: 0,
            responses: array::from_fn(|_| Vec::with_capacity(max_udp_bytes)),
            recipients: array::from_fn(|_| nobody.as_any()),
        }
    }

    /// Receives up to [`BATCH`] datagrams and returns their number.
    fn receive(&mut self, socket: &Socket, wait: MsgFlags, tally: &mut Tally) -> nix::Result<usize> {
        self.readable_count = 0;
        let mut buffers = self.queries.each_mut().map(|query| [IoSliceMut::new(query)]);
        let arrived = recvmmsg(socket.as_raw_fd(), &mut self.headers, buffers.iter_mut(), wait, None)?;
        let mut received = 0;
        for (position, datagram) in arrived.enumerate() {
            received += 1;
            tally.queries += 1;
            match datagram.address.map(F::address) {
                Some(sender) if is_readable(sender, datagram.flags) => {
                    self.readable[self.readable_count] = (position, datagram.bytes, sender);
                    self.readable_count += 1;
                }
                _ => tally.unreadable += 1,
            }
        }
        Ok(received)
    }

    /// Answers what was received, from one snapshot that is left when the responses are with the kernel.
    fn answer(&mut self, socket: &Socket, engine: &Engine, reader: &mut Reader, tally: &mut Tally) {
        let mut replies = 0;
        let snapshot = reader.enter();
        for &(position, length, sender) in &self.readable[..self.readable_count] {
            let query = &self.queries[position][..length];
            match engine.answer_one(&snapshot, query, Transport::Udp, &mut self.responses[replies]) {
                Outcome::Reply { rcode, truncated } => {
                    tally.response(rcode, truncated);
                    self.recipients[replies] = sender.as_any();
                    replies += 1;
                }
                Outcome::Silence => tally.silent += 1,
            }
        }
        tally.unsent += send(socket, &self.responses, &self.recipients, replies);
        drop(snapshot);
    }
}

/// Whether a datagram is whole, and its sender can be answered: nobody can be reached at port 0.
fn is_readable(sender: SocketAddr, flags: MsgFlags) -> bool {
    sender.port() != 0 && !flags.contains(MsgFlags::MSG_TRUNC)
}

/// Sends the first `count` responses without waiting and returns how many the kernel did not take.
fn send(socket: &Socket, responses: &[Vec<u8>; BATCH], recipients: &[SocketAddrAny; BATCH], count: usize) -> u64 {
    let slices = responses.each_ref().map(|response| [IoSlice::new(response)]);
    let mut controls: [SendAncillaryBuffer<'_, '_, '_>; BATCH] = array::from_fn(|_| SendAncillaryBuffer::default());
    let mut position = 0;
    let mut headers = controls.each_mut().map(|control| {
        let header = MMsgHdr::new_with_addr(&recipients[position], &slices[position], control);
        position += 1;
        header
    });
    let mut unsent = 0;
    let mut next = 0;
    let mut again = true;
    while next < count {
        match sendmmsg(socket, &mut headers[next..count], SendFlags::DONTWAIT) {
            // Stopped before the end: the error that stopped it is that of the next call.
            Ok(sent) => {
                next += sent.max(1);
                again = true;
            }
            Err(error) => match after_failure(Errno::from_raw(error.raw_os_error()), again) {
                AfterFailure::Again => again = false,
                AfterFailure::SkipOne => {
                    unsent += 1;
                    next += 1;
                    again = true;
                }
                AfterFailure::DropRest => {
                    unsent += count - next;
                    next = count;
                }
            },
        }
    }
    unsent as u64
}

/// What follows when the kernel did not take a response.
#[derive(Debug, PartialEq, Eq)]
enum AfterFailure {
    Again,
    SkipOne,
    DropRest,
}

/// `again` tells whether this response may be tried once more.
fn after_failure(error: Errno, again: bool) -> AfterFailure {
    match error {
        // A signal, or what the network said of an earlier response: reported once, and this one was not sent.
        Errno::EINTR | Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH if again => AfterFailure::Again,
        // The send buffer is full. Waiting for room would delay the acknowledgement of a switch.
        Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM => AfterFailure::DropRest,
        // No way to this client (EPERM of a packet filter, ENETUNREACH), or too large for the way (EMSGSIZE).
        _ => AfterFailure::SkipOne,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_cannot_be_sent_costs_itself_and_a_full_buffer_the_rest() {
        let check = |error, again, expected| assert_eq!(after_failure(error, again), expected, "{error}");
        for error in [Errno::EPERM, Errno::EMSGSIZE, Errno::EINVAL, Errno::EACCES, Errno::EBADF] {
            check(error, true, AfterFailure::SkipOne);
        }
        for error in [Errno::EINTR, Errno::ECONNREFUSED, Errno::ENETUNREACH, Errno::EHOSTUNREACH] {
            check(error, true, AfterFailure::Again);
            check(error, false, AfterFailure::SkipOne);
        }
        for error in [Errno::EAGAIN, Errno::ENOBUFS, Errno::ENOMEM] {
            check(error, true, AfterFailure::DropRest);
        }
    }

    #[test]
    fn datagrams_from_port_0_and_cut_ones_are_not_read() {
        let check = |sender: &str, flags, expected| assert_eq!(is_readable(sender.parse().unwrap(), flags), expected);
        check("192.0.2.1:53", MsgFlags::empty(), true);
        check("192.0.2.1:0", MsgFlags::empty(), false);
        check("[2001:db8::1]:0", MsgFlags::empty(), false);
        check("192.0.2.1:53", MsgFlags::MSG_TRUNC, false);
    }

    #[test]
    fn a_drain_ends_with_the_queue_or_with_the_deadline() {
        let now = Instant::now();
        let check = |queued, deadline, expected| assert_eq!(Drain { deadline, queued }.ended(now), expected);
        check(1, now + Duration::from_secs(1), None);
        check(0, now + Duration::from_secs(1), Some(Ended::Answered));
        check(1, now, Some(Ended::Cut));
    }
}
