//! The floor: a server that sends every datagram back, in batches and without looking at it.
//!
//! Nothing that answers over UDP through sockets can cost less than what the kernel takes for this.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

/// Datagrams received and sent with one system call each.
const BATCH: usize = 32;
/// Octets of the largest datagram.
const LARGEST: usize = 4096;

/// Echoes until the process is ended.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("cannot bind {address}"))?;
    let nobody = SocketAddr::V4(SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0));
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut datagrams = Box::new([[0; LARGEST]; BATCH]);
    let mut lengths = [0; BATCH];
    let mut senders: [SocketAddrAny; BATCH] = array::from_fn(|_| nobody.as_any());
    loop {
        let mut received = 0;
        let mut buffers = datagrams.each_mut().map(|datagram| [IoSliceMut::new(datagram)]);
        match recvmmsg(socket.as_raw_fd(), &mut headers, buffers.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(arrived) => {
                for datagram in arrived {
                    lengths[received] = datagram.bytes;
                    senders[received] =
                        datagram.address.map_or(nobody, |from| SocketAddr::V4(SocketAddrV4::from(from))).as_any();
                    received += 1;
                }
            }
            Err(Errno::EINTR | Errno::ECONNREFUSED) => continue,
            Err(error) => return Err(error).context("cannot receive"),
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] = array::from_fn(|at| [IoSlice::new(&datagrams[at][..lengths[at]])]);
        let mut controls: [SendAncillaryBuffer<'_, '_, '_>; BATCH] = array::from_fn(|_| SendAncillaryBuffer::default());
        let mut position = 0;
        let mut headers = controls.each_mut().map(|control| {
            let header = MMsgHdr::new_with_addr(&senders[position], &slices[position], control);
            position += 1;
            header
        });
        let mut sent = 0;
        while sent < received {
            // What a client that is gone caused is told once; a datagram that cannot be sent is left out.
            sent += sendmmsg(&socket, &mut headers[sent..received], SendFlags::DONTWAIT).unwrap_or(0).max(1);
        }
    }
}
