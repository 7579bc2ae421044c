//! The addresses of this machine's interfaces, and word of their changes.
#![expect(clippy::disallowed_methods, reason = "I/O shell: asks the kernel")]

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind as bind_netlink, recv, socket,
};
use socket2::Socket;

/// A change seldom comes alone: what follows within this time is one with it.
const SETTLE: Duration = Duration::from_millis(20);

/// The addresses that a wildcard stands for: those of its family that interfaces which are up have, with its port, in
/// order.
pub(super) fn expand(wildcard: SocketAddr) -> io::Result<Vec<SocketAddr>> {
    let interfaces = getifaddrs().map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("cannot list the interfaces that {wildcard} stands for: {error}"))
    })?;
    let mut addresses: Vec<SocketAddr> = interfaces
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| interface.address)
        .filter_map(|address| match wildcard.ip() {
            IpAddr::V4(_) => address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4))),
            IpAddr::V6(_) => address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))),
        })
        .map(|mut address| {
            address.set_port(wildcard.port());
            address
        })
        .collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

/// Word of changes, from the kernel's routing socket. What it says is not read: it is a reason to list again.
#[derive(Debug)]
pub(super) struct Changes {
    netlink: Socket,
}

impl Changes {
    /// Listens from here on; `tick` is how long [`Changes::wait`] waits at most.
    pub(super) fn watch(tick: Duration) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        // Interfaces that go up and down, and addresses that come and go.
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        bind_netlink(netlink.as_raw_fd(), &NetlinkAddr::new(0, groups.cast_unsigned()))?;
        let netlink = Socket::from(netlink);
        netlink.set_read_timeout(Some(tick))?;
        Ok(Self { netlink })
    }

    /// Waits for a change or a tick, and tells whether there was a change.
    pub(super) fn wait(&self) -> bool {
        let mut octets = [0; 4096];
        let mut next = |flags| recv(self.netlink.as_raw_fd(), &mut octets, flags);
        match next(MsgFlags::empty()) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EINTR) => return false,
            // More came than the socket holds (ENOBUFS): that is a change. Another error must not make this spin.
            Err(_) => {}
        }
        std::thread::sleep(SETTLE);
        // As many as there may be, but not for ever.
        for _ in 0..10_000 {
            if matches!(next(MsgFlags::MSG_DONTWAIT), Err(Errno::EAGAIN)) {
                break;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_the_addresses_of_the_interfaces() {
        let check = |wildcard: &str, contained: &str| {
            let addresses = expand(wildcard.parse().unwrap()).unwrap();
            assert!(addresses.contains(&contained.parse().unwrap()), "{addresses:?}");
            assert!(addresses.iter().all(|address| !address.ip().is_unspecified() && address.port() == 5300));
            assert!(addresses.is_sorted_by(|one, next| one < next), "{addresses:?}");
        };
        check("0.0.0.0:5300", "127.0.0.1:5300");
        check("[::]:5300", "[::1]:5300");
    }

    #[test]
    fn without_a_change_a_wait_ends_with_the_tick() {
        let changes = Changes::watch(Duration::from_millis(10)).unwrap();
        // Other tests may change the interfaces, but not for ever.
        assert!((0..1000).any(|_| !changes.wait()));
    }
}
