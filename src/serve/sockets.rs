//! What the kernel says of the UDP sockets: the buffers that it granted, and the datagrams that it dropped at them.
//!
//! Drops are read from `/proc/net/udp` and `/proc/net/udp6` when somebody asks, and so cost the workers nothing. The
//! other way, `SO_RXQ_OVFL`, adds a control message to every datagram that is received.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads /proc")]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use nix::sys::stat::fstat;
use socket2::Socket;

/// All UDP sockets that are served, by the number that the kernel knows them by.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// Taken when a worker starts or ends and when somebody asks, never while answering.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    open: BTreeMap<Inode, OpenSocket>,
    /// Datagrams dropped at sockets that are closed, and at the open ones when they were last looked at.
    dropped: u64,
}

/// The number of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode(u64);

#[derive(Debug)]
struct OpenSocket {
    granted: Granted,
    /// As the kernel counts, in 32 bits.
    dropped: u32,
}

/// Octets of buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) receive: usize,
    pub(super) send: usize,
}

/// The UDP sockets at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpSockets {
    /// Open, one a worker.
    pub open: u64,
    /// Octets of the smallest receive buffer granted; 0 without a socket.
    pub receive_buffer: u64,
    /// Octets of the smallest send buffer granted; 0 without a socket.
    pub send_buffer: u64,
    /// Datagrams that the kernel dropped since start, most of them for want of room in a receive buffer.
    pub dropped: u64,
}

impl Granted {
    /// Asks the kernel. It says twice what it grants, for it counts its own bookkeeping in.
    pub(super) fn of(socket: &Socket) -> io::Result<Self> {
        Ok(Self { receive: socket.recv_buffer_size()? / 2, send: socket.send_buffer_size()? / 2 })
    }
}

impl Sockets {
    /// Notes a socket.
    pub(super) fn opened(&self, socket: &Socket) -> io::Result<Inode> {
        let inode = Inode(fstat(socket.as_fd())?.st_ino);
        let granted = Granted::of(socket)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.open.insert(inode, OpenSocket { granted, dropped: 0 });
        Ok(inode)
    }

    /// Forgets a socket, which must still be open: what was dropped at it stays counted.
    pub(super) fn closing(&self, inode: Inode) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.look();
        kept.open.remove(&inode);
    }

    /// The sums.
    pub(super) fn look(&self) -> UdpSockets {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.look();
        let least = |octets: fn(&Granted) -> usize| {
            kept.open.values().map(|socket| octets(&socket.granted) as u64).min().unwrap_or_default()
        };
        UdpSockets {
            open: kept.open.len() as u64,
            receive_buffer: least(|granted| granted.receive),
            send_buffer: least(|granted| granted.send),
            dropped: kept.dropped,
        }
    }
}

impl Kept {
    /// Adds what was dropped since the last look. Without `/proc` nothing is known, and nothing added.
    fn look(&mut self) {
        for table in ["/proc/self/net/udp", "/proc/self/net/udp6"] {
            if let Ok(text) = std::fs::read_to_string(table) {
                self.add(&text);
            }
        }
    }

    fn add(&mut self, table: &str) {
        for (inode, dropped) in table.lines().filter_map(read_line) {
            if let Some(socket) = self.open.get_mut(&inode) {
                self.dropped += u64::from(dropped.wrapping_sub(socket.dropped));
                socket.dropped = dropped;
            }
        }
    }
}

/// The socket and its drops, of a line of `/proc/net/udp`. The first line, which is a heading, is none.
fn read_line(line: &str) -> Option<(Inode, u32)> {
    let mut fields = line.split_ascii_whitespace();
    let inode = fields.nth(9)?.parse().ok()?;
    Some((Inode(inode), fields.nth(2)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

    use super::*;

    const TABLE: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             
  271: 0100007F:14B4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 35901 2 00000000d0a5c3b1 DROPS             
  272: 0200007F:14B4 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 35902 2 00000000f4e1b7a2 9             
";

    #[test]
    fn drops_are_those_of_our_sockets_and_only_grow() {
        let socket = |dropped| OpenSocket { granted: Granted::default(), dropped };
        let mut kept = Kept { open: [(Inode(35_901), socket(0))].into(), dropped: 0 };
        let mut check = |drops: u32, expected| {
            kept.add(&TABLE.replace("DROPS", &drops.to_string()));
            assert_eq!(kept.dropped, expected, "{drops}");
        };
        check(0, 0);
        check(3, 3);
        check(3, 3);
        check(u32::MAX, u64::from(u32::MAX));
        // The kernel's counter begins anew.
        check(4, u64::from(u32::MAX) + 5);
    }

    #[test]
    fn what_a_socket_drops_is_counted_when_it_is_open_and_when_it_is_closed() {
        let sockets = Sockets::default();
        let small = Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        small.set_recv_buffer_size(4096).unwrap();
        small.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = small.local_addr().unwrap().as_socket().unwrap();
        let inode = sockets.opened(&small).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let flood = || (0..100).for_each(|_| assert_eq!(client.send_to(&[0; 500], address).unwrap(), 500));
        flood();
        let looked = sockets.look();
        assert!((80..100).contains(&looked.dropped), "{looked:?}");
        assert_eq!((looked.open, looked.receive_buffer), (1, Granted::of(&small).unwrap().receive as u64));
        flood();
        sockets.closing(inode);
        drop(small);
        assert_eq!(sockets.look(), UdpSockets { dropped: looked.dropped + 100, ..UdpSockets::default() });
    }
}
