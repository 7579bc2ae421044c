//! UDP sockets that send and receive in batches.

use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

/// Datagrams sent or received with one system call.
pub(crate) const BATCH: usize = 64;
/// Octets of the largest query, and of the largest answer that is read.
const LARGEST: usize = 1232;
/// Octets of the receive buffer: the generator must not lose what it was sent while it is not on a core.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A socket connected to the server, and its buffers.
pub(crate) struct Socket {
    socket: UdpSocket,
    headers: MultiHeaders<()>,
    incoming: Vec<[u8; LARGEST]>,
    outgoing: Vec<Vec<u8>>,
    queued: usize,
}

impl Socket {
    /// Connects a socket that never waits.
    pub(crate) fn connect(server: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
        Ok(Self {
            socket,
            headers: MultiHeaders::preallocate(BATCH, None),
            incoming: vec![[0; LARGEST]; BATCH],
            outgoing: (0..BATCH).map(|_| Vec::with_capacity(LARGEST)).collect(),
            queued: 0,
        })
    }

    /// Room for more queries before [`flush`](Self::flush).
    pub(crate) fn room(&self) -> usize {
        BATCH - self.queued
    }

    /// Queues a query under this id.
    pub(crate) fn queue(&mut self, query: &[u8], id: u16) {
        let message = &mut self.outgoing[self.queued];
        message.clear();
        message.extend_from_slice(query);
        message[..2].copy_from_slice(&id.to_be_bytes());
        self.queued += 1;
    }

    /// Sends what is queued. What the kernel does not take is lost, and is found to be by who waits for the answer.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let slices: [[IoSlice<'_>; 1]; BATCH] = array::from_fn(|at| [IoSlice::new(&self.outgoing[at])]);
        let mut controls: [SendAncillaryBuffer<'_, '_, '_>; BATCH] = array::from_fn(|_| SendAncillaryBuffer::default());
        let mut slice = slices.iter();
        let mut headers = controls.each_mut().map(|control| match slice.next() {
            Some(slice) => MMsgHdr::new(slice, control),
            None => unreachable!("as many slices as controls"),
        });
        let mut sent = 0;
        let mut failures = 0;
        while sent < self.queued {
            match sendmmsg(&self.socket, &mut headers[sent..self.queued], SendFlags::DONTWAIT) {
                Ok(count) => sent += count.max(1),
                // What an earlier query met, while the server starts or has ended: told once, then this one goes out.
                Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::INTR) if failures < BATCH => failures += 1,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS | rustix::io::Errno::CONNREFUSED) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.queued = 0;
        Ok(())
    }

    /// Gives each of the answers that have arrived, at most [`BATCH`], and returns their number.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut lengths = [0; BATCH];
        let mut received = 0;
        let mut slices = self.incoming.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            array::from_fn(|_| slices.next().unwrap_or_else(|| unreachable!("as many buffers as slices")));
        let arrived =
            recvmmsg(self.socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        match arrived {
            Ok(arrived) => {
                for datagram in arrived {
                    lengths[received] = datagram.bytes;
                    received += 1;
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => {}
            Err(error) => return Err(error.into()),
        }
        for (buffer, &length) in self.incoming.iter().zip(&lengths[..received]) {
            each(&buffer[..length]);
        }
        Ok(received)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
