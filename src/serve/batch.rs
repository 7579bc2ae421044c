//! The buffers of a UDP worker, and what it does with them: receive, answer, send, with one system call each way.
//!
//! ```text
//! recvmmsg (may wait) -> enter: one snapshot for the batch -> respond, respond, ... -> sendmmsg (never waits) -> leave
//! ```
//!
//! Between receiving and sending nothing is locked, allocated, formatted or logged; the buffers are made once. The
//! snapshot is held until the responses are in the kernel, so that after the acknowledgement of a switch no older
//! response is still to be sent. Therefore sending does not wait either: what does not fit into the send buffer is
//! dropped and counted, and the client asks again.
//!
//! `recvmmsg` is that of `nix`, `sendmmsg` that of `rustix`: the one of `nix` tells how many datagrams were sent only
//! by an iterator that reads addresses which were never written. The kernel overwrites the length of each header's
//! address and `nix` does not set it back, which is sound because a socket has one address family, whose addresses
//! have one length.
//!
//! I/O shell: receives and sends.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg, sendto};
use socket2::Socket;

use super::clients::Prefixes;
use super::counters::{Counters, Tally};
use super::engine::{Engine, Outcome, Transport, Trust};
use super::proxy::Header;
use super::via::Via;
use crate::answer::client::{Client, Lots};
use crate::answer::cut::cut;
use crate::answer::edns;
use crate::answer::publish::Reader;
use crate::dns::HEADER;
use crate::tap::{Seen, Tap};

/// Datagrams received and sent with one system call each.
///
/// A batch pays for two system calls, two fences and the counters; beyond 16 there is nothing left to share, and a
/// switch waits for the batches in flight.
pub(super) const BATCH: usize = 32;

/// Octets of the largest query that is read; of a longer one that is its header.
const LARGEST_QUERY: usize = edns::LARGEST_QUERY as usize;

/// An address family, whose addresses all have the same length.
pub(super) trait Family: SockaddrLike + Copy {
    /// The port; nobody can be reached at port 0.
    fn port(self) -> u16;

    /// As the send side takes it.
    fn recipient(self) -> SocketAddrAny;

    /// As the answer depends on it.
    fn address(self) -> IpAddr;
}

impl Family for SockaddrIn {
    fn port(self) -> u16 {
        SockaddrIn::port(&self)
    }

    fn recipient(self) -> SocketAddrAny {
        SocketAddrV4::from(self).as_any()
    }

    #[inline]
    fn address(self) -> IpAddr {
        self.ip().into()
    }
}

impl Family for SockaddrIn6 {
    fn port(self) -> u16 {
        SockaddrIn6::port(&self)
    }

    fn recipient(self) -> SocketAddrAny {
        SocketAddrV6::from(self).as_any()
    }

    #[inline]
    fn address(self) -> IpAddr {
        self.ip().into()
    }
}

/// The buffers of one worker, whose socket is of the family `F`.
pub(super) struct Batch<F: Family> {
    headers: MultiHeaders<F>,
    queries: Box<[[u8; LARGEST_QUERY]; BATCH]>,
    replies: Replies,
    lots: Lots,
    proxies: Prefixes,
}

/// Responses that are to be sent, in order of their queries.
struct Replies {
    responses: [Vec<u8>; BATCH],
    recipients: [SocketAddrAny; BATCH],
    count: usize,
}

impl<F: Family> Batch<F> {
    /// Buffers for responses of up to `max_udp_bytes`, and the draws of the worker.
    pub(super) fn new(max_udp_bytes: u16, lots: Lots, proxies: Prefixes) -> Self {
        let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            queries: Box::new([[0; LARGEST_QUERY]; BATCH]),
            replies: Replies {
                responses: array::from_fn(|_| Vec::with_capacity(usize::from(max_udp_bytes))),
                recipients: array::from_fn(|_| nobody.as_any()),
                count: 0,
            },
            lots,
            proxies,
        }
    }

    /// Receives up to [`BATCH`] datagrams, answers them from one snapshot, which is left when the responses are with
    /// the kernel, and returns how many were received.
    pub(super) fn serve(
        &mut self,
        socket: &Socket,
        wait: MsgFlags,
        engine: &Engine,
        reader: &mut Reader,
        counters: &Counters,
        tally: &mut Tally,
    ) -> nix::Result<usize> {
        let (resolvers, tap) = (counters.resolvers(), counters.tap());
        let Self { headers, queries, replies, lots, proxies } = self;
        let mut buffers = queries.each_mut().map(|query| [IoSliceMut::new(query)]);
        let arrived = recvmmsg(socket.as_raw_fd(), headers, buffers.iter_mut(), wait, None)?;
        replies.count = 0;
        let mut received = 0;
        // Read at most once a batch, and only for a resolver that is sampled.
        let mut now = None;
        let terms = engine.terms();
        let plain = proxies.is_empty() && engine.trust.is_empty();
        let snapshot = reader.enter();
        for datagram in arrived {
            received += 1;
            let Some(sender) = datagram.address.filter(|sender| can_be_answered(*sender)) else {
                tally.unreadable += 1;
                continue;
            };
            let mut query = datagram.iovs().next().unwrap_or_default();
            let client = if plain {
                Client::at(sender.address())
            } else {
                let Some((behind, client)) = client_of(proxies, &engine.trust, query, sender.address()) else {
                    tally.unreadable += 1;
                    continue;
                };
                query = behind;
                client
            };
            if datagram.flags.contains(MsgFlags::MSG_TRUNC) {
                // A header alone is a format error, and to one that is no query there is no response.
                query = query.get(..HEADER).unwrap_or_default();
            }
            let client = client.with_lot(lots.draw());
            let response = &mut replies.responses[replies.count];
            let answered = match &engine.limiter {
                None => Some(engine.answer(&snapshot, query, client, Transport::Udp, &terms, response)),
                Some(limiter) => limiter.answer(engine, &snapshot, query, client, &terms, response),
            };
            if let Some(tap) = tap {
                let outcome = answered.unwrap_or(Outcome::Silence);
                let port = plain.then(|| sender.port());
                show(tap, &Seen { snapshot: &snapshot, client, port, via: Via::Udp, query, outcome, response });
            }
            let Some(outcome) = answered else { continue };
            match outcome {
                Outcome::Reply { rcode, truncated, hub, cookie } => {
                    tally.response(rcode, truncated, cookie);
                    if let Some(sighting) = hub.and_then(|hub| resolvers.sight(&snapshot, hub, client)) {
                        resolvers.note(&sighting, *now.get_or_insert_with(|| resolvers.now()));
                    }
                    replies.recipients[replies.count] = sender.recipient();
                    replies.count += 1;
                }
                Outcome::Silence => tally.silent += 1,
            }
        }
        tally.queries += received as u64;
        replies.send(socket, tally);
        drop(snapshot);
        Ok(received)
    }
}

#[cold]
#[inline(never)]
fn show(tap: &Tap, seen: &Seen<'_>) {
    if let Some(sample) = tap.sample(seen) {
        tap.show(sample);
    }
}

/// Nobody is at port 0.
fn can_be_answered<F: Family>(sender: F) -> bool {
    sender.port() != 0
}

/// The query of a datagram and whom it is from, where some speak for others; `None` for one from a proxy that does not say for
/// whom it is. The response goes to the sender in any case.
#[inline(never)]
fn client_of<'q>(proxies: &Prefixes, trust: &Trust, datagram: &'q [u8], sender: IpAddr) -> Option<(&'q [u8], Client)> {
    if !proxies.include(sender) {
        return Some((datagram, trust.client(sender)));
    }
    match Header::read(datagram) {
        Header::Whole { client, octets } => Some((&datagram[octets..], trust.client(client.unwrap_or(sender)))),
        Header::Partial | Header::Malformed => None,
    }
}

impl Replies {
    /// Sends without waiting, and counts those that the kernel did not take.
    fn send(&mut self, socket: &Socket, tally: &mut Tally) {
        let mut too_large = 0;
        let unsent = match self.count {
            0 => 0,
            // Headers are cheap, but 32 of them for one response are not.
            1..=4 => self.send_batch::<4>(socket, &mut too_large),
            _ => self.send_batch::<BATCH>(socket, &mut too_large),
        };
        tally.unsent += unsent as u64;
        if too_large != 0 {
            let sent = self.send_cut(socket, too_large) as u64;
            tally.unsent -= sent;
            tally.cut(sent);
        }
    }

    /// Sends those that are too large for the interface, a bit for each, cut: their clients then ask over TCP (RFC 9715 3.1).
    /// Returns how many were sent.
    #[cold]
    #[inline(never)]
    fn send_cut(&mut self, socket: &Socket, too_large: u32) -> usize {
        let mut sent = 0;
        for (at, (response, recipient)) in self.responses.iter_mut().zip(&self.recipients).enumerate() {
            if too_large >> at & 1 != 0 {
                cut(response);
                sent += usize::from(sendto(socket, response, SendFlags::DONTWAIT, recipient).is_ok());
            }
        }
        sent
    }

    /// [`Replies::send`] with `N` headers, which are at least as many as there are responses. Sets the bits of those that are
    /// too large.
    fn send_batch<const N: usize>(&self, socket: &Socket, too_large: &mut u32) -> usize {
        let slices: [[IoSlice<'_>; 1]; N] = array::from_fn(|i| [IoSlice::new(&self.responses[i])]);
        let mut controls: [SendAncillaryBuffer<'_, '_, '_>; N] = array::from_fn(|_| SendAncillaryBuffer::default());
        let mut position = 0;
        let mut headers = controls.each_mut().map(|control| {
            let header = MMsgHdr::new_with_addr(&self.recipients[position], &slices[position], control);
            position += 1;
            header
        });
        let send = |next| sendmmsg(socket, &mut headers[next..self.count], SendFlags::DONTWAIT);
        send_each(self.count, send, |at| *too_large |= 1 << at)
    }
}

/// Sends `count` responses by calls of `send`, which is told the first that is not sent yet and returns how many it
/// sent from there. Returns how many the kernel did not take, and tells `too_large` which of them are too large for it.
fn send_each(
    count: usize,
    mut send: impl FnMut(usize) -> rustix::io::Result<usize>,
    mut too_large: impl FnMut(usize),
) -> usize {
    let mut unsent = 0;
    let mut next = 0;
    let mut again = true;
    while next < count {
        match send(next) {
            // Stopped before the end: the error that stopped it is that of the next call.
            Ok(sent) => {
                next += sent.max(1);
                again = true;
            }
            Err(error) => match after_failure(Errno::from_raw(error.raw_os_error()), again) {
                AfterFailure::Again => again = false,
                skipped @ (AfterFailure::SkipOne | AfterFailure::TooLarge) => {
                    if skipped == AfterFailure::TooLarge {
                        too_large(next);
                    }
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
    unsent
}

/// What follows when the kernel did not take a response.
#[derive(Debug, PartialEq, Eq)]
enum AfterFailure {
    Again,
    SkipOne,
    TooLarge,
    DropRest,
}

/// `again` tells whether this response may be tried once more.
fn after_failure(error: Errno, again: bool) -> AfterFailure {
    match error {
        // A signal, or what the network said of an earlier response: reported once, and this one was not sent.
        Errno::EINTR | Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH if again => AfterFailure::Again,
        // The send buffer is full. Waiting for room would delay the acknowledgement of a switch.
        Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM => AfterFailure::DropRest,
        Errno::EMSGSIZE => AfterFailure::TooLarge,
        // No way to this client (EPERM of a packet filter, ENETUNREACH).
        _ => AfterFailure::SkipOne,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_cannot_be_sent_costs_itself_and_a_full_buffer_the_rest() {
        let check = |error, again, expected| assert_eq!(after_failure(error, again), expected, "{error}");
        check(Errno::EMSGSIZE, true, AfterFailure::TooLarge);
        for error in [Errno::EPERM, Errno::EINVAL, Errno::EACCES, Errno::EBADF] {
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
    fn every_response_is_tried_and_those_that_the_kernel_did_not_take_are_counted() {
        use rustix::io::Errno as Failed;
        // What each call does in turn: sends so many, or fails.
        let check = |count, calls: &[Result<usize, Failed>], tried: &[usize], expected| {
            let (mut asked, mut large) = (Vec::new(), Vec::new());
            let send = |next| {
                asked.push(next);
                calls[asked.len() - 1]
            };
            let unsent = send_each(count, send, |at| large.push(at));
            let too_large = |call: &&Result<usize, Failed>| **call == Err(Failed::MSGSIZE);
            assert_eq!(large.len(), calls.iter().filter(too_large).count(), "{calls:?}");
            assert_eq!((asked.as_slice(), unsent), (tried, expected), "{calls:?}");
        };
        check(3, &[Ok(3)], &[0], 0);
        check(3, &[Ok(1), Ok(2)], &[0, 1], 0);
        check(3, &[Ok(1), Err(Failed::MSGSIZE), Ok(1)], &[0, 1, 2], 1);
        check(3, &[Ok(1), Err(Failed::CONNREFUSED), Ok(2)], &[0, 1, 1], 0);
        check(3, &[Err(Failed::INTR), Err(Failed::INTR), Ok(2)], &[0, 0, 1], 1);
        check(3, &[Ok(1), Err(Failed::AGAIN)], &[0, 1], 2);
        check(1, &[Err(Failed::ACCESS)], &[0], 1);
    }

    #[test]
    fn datagrams_from_port_0_are_not_answered() {
        assert!(can_be_answered(SockaddrIn::new(192, 0, 2, 1, 53)));
        assert!(!can_be_answered(SockaddrIn::new(192, 0, 2, 1, 0)));
        let v6 = |address: &str| SockaddrIn6::from(address.parse::<SocketAddrV6>().unwrap());
        assert!(can_be_answered(v6("[2001:db8::1]:53")));
        assert!(!can_be_answered(v6("[2001:db8::1]:0")));
    }
}
