//! The sockets: for each address one TCP listener and one UDP socket a worker, all on one port.
//!
//! - TCP is bound first and without `SO_REUSEPORT`: only one process can have it, so that a second daemon started by
//!   mistake is refused. Its UDP sockets would otherwise join ours and take half of the queries in silence.
//! - A wildcard address stands for the addresses that the interfaces have at start, each with sockets of its own. From
//!   one socket for all, an answer could leave with another source address than the query was sent to, and the client
//!   would not take it (RFC 2181 4.1). Addresses that appear later are not served until the next start.
//! - An IPv6 socket takes no IPv4: each family has addresses of its own in the configuration.
//!
//! I/O shell: binds sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::setsockopt;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Listen;

/// Asked of the kernel for a UDP socket in each direction; it grants at most `net.core.rmem_max` and `wmem_max`. A
/// receive buffer of 1 MiB holds about 2,500 queries, 25 ms of 100,000 a second.
const UDP_BUFFER: usize = 4 << 20;

/// Less than this in the receive buffer, and a pause of some milliseconds loses queries: said at start.
const ENOUGH_BUFFER: usize = 1 << 20;

/// How long a UDP worker may wait for datagrams before it looks whether it is to stop.
const STOP_CHECK: Duration = Duration::from_millis(200);

/// Connections that wait to be accepted; the kernel caps it at `net.core.somaxconn`.
pub(super) const BACKLOG: u16 = 1024;

/// Unsent octets at which the kernel takes no more of a connection. Small, so that answers to a client that reads
/// slowly wait here, where a switch can still replace them, and not there.
const TCP_UNSENT: u32 = 16 << 10;

/// Seconds that the kernel keeps a completed handshake to itself while no query has come (`TCP_DEFER_ACCEPT`), so that
/// accepting finds the query there: one wake-up and one read less for each connection that asks at once. Then the
/// connection is accepted without. Until then the silent ones are the kernel's, as many as the backlog; more of them are
/// accepted at once, without memory in between (SYN cookies).
const TCP_DEFER: u32 = 1;

/// Free TCP ports tried until one is free over UDP as well, when the configuration says port 0.
const PORT_ATTEMPTS: usize = 16;

/// The sockets of one address.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    pub(super) tcp: TcpListener,
    /// One for each worker.
    pub(super) udp: Vec<Socket>,
}

/// How many workers a setting means: 0 is one a core.
pub(super) fn workers(configured: u16) -> usize {
    match usize::from(configured) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

/// Binds every address, or nothing.
pub(super) fn bind(listen: &Listen) -> io::Result<Vec<Bound>> {
    let workers = workers(listen.workers);
    let mut bound: Vec<Bound> = Vec::new();
    for &configured in &listen.dns {
        let addresses = expand(configured)?;
        // An address may stand beside the wildcard that covers it.
        let covered = |address: &SocketAddr| address.port() != 0 && bound.iter().any(|other| other.address == *address);
        let addresses: Vec<SocketAddr> = addresses.into_iter().filter(|address| !covered(address)).collect();
        bound.extend(bind_on_one_port(&addresses, workers)?);
    }
    Ok(bound)
}

/// Binds the addresses that one line of the configuration stands for. Port 0 becomes one free port for all of them.
fn bind_on_one_port(addresses: &[SocketAddr], workers: usize) -> io::Result<Vec<Bound>> {
    let mut attempt = 1;
    loop {
        let mut port = None;
        let bound: io::Result<Vec<Bound>> = addresses
            .iter()
            .map(|&address| {
                let address =
                    if let (0, Some(port)) = (address.port(), port) { with_port(address, port) } else { address };
                let bound = bind_address(address, workers)?;
                port = Some(bound.address.port());
                Ok(bound)
            })
            .collect();
        match bound {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && addresses.iter().all(|address| address.port() == 0)
                    && attempt < PORT_ATTEMPTS =>
            {
                attempt += 1;
            }
            bound => return bound,
        }
    }
}

fn bind_address(address: SocketAddr, workers: usize) -> io::Result<Bound> {
    let tcp = listen_tcp(address).map_err(|error| explain(&error, address, "TCP"))?;
    let address = with_port(address, tcp.local_addr()?.port());
    let udp = bind_udp(address, workers).map_err(|error| explain(&error, address, "UDP"))?;
    if let Some(socket) = udp.first() {
        // Linux reports twice what was asked for: the other half is its own bookkeeping.
        let buffer = socket.recv_buffer_size().unwrap_or_default() / 2;
        if buffer < ENOUGH_BUFFER {
            tracing::info!(
                %address,
                bytes = buffer,
                "small UDP receive buffer: net.core.rmem_max limits it, {UDP_BUFFER} are wanted"
            );
        }
    }
    Ok(Bound { address, tcp, udp })
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    // A restart may find connections of its predecessor in TIME_WAIT; a listening socket still excludes another.
    socket.set_reuse_address(true)?;
    // Accepted connections inherit both.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(TCP_UNSENT)?;
    setsockopt(&socket, option::DeferAccept, &TCP_DEFER)?;
    socket.bind(&address.into())?;
    socket.listen(i32::from(BACKLOG))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A socket option that no library has by name.
mod option {
    use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

    sockopt_impl!(
        /// Seconds until a connection without data is accepted.
        DeferAccept,
        Both,
        libc::IPPROTO_TCP,
        libc::TCP_DEFER_ACCEPT,
        u32
    );
}

fn bind_udp(address: SocketAddr, workers: usize) -> io::Result<Vec<Socket>> {
    // Without `SO_REUSEPORT` this fails if another process has the port, even one that would share it.
    socket(address, Type::DGRAM, Protocol::UDP)?.bind(&address.into())?;
    (0..workers)
        .map(|_| {
            let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
            socket.set_reuse_port(true)?;
            socket.set_recv_buffer_size(UDP_BUFFER)?;
            socket.set_send_buffer_size(UDP_BUFFER)?;
            socket.set_read_timeout(Some(STOP_CHECK))?;
            socket.bind(&address.into())?;
            Ok(socket)
        })
        .collect()
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Names the address and the intent, and what to do where that is known.
fn explain(error: &io::Error, address: SocketAddr, transport: &str) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            "; hint: a port below 1024 needs CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrInUse => "; hint: another process answers there, `ss -lntup` tells which",
        io::ErrorKind::AddrNotAvailable => "; hint: no interface of this machine has the address",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot answer queries at {address} over {transport}: {error}{hint}"))
}

/// The addresses that a configured one stands for: itself, or those of all interfaces that are up.
fn expand(configured: SocketAddr) -> io::Result<Vec<SocketAddr>> {
    if !configured.ip().is_unspecified() {
        return Ok(vec![configured]);
    }
    let interfaces = getifaddrs().map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("cannot list the interfaces that {configured} stands for: {error}"))
    })?;
    let mut addresses: Vec<SocketAddr> = interfaces
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| interface.address)
        .filter_map(|address| match configured.ip() {
            IpAddr::V4(_) => address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4))),
            IpAddr::V6(_) => address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))),
        })
        .map(|address| with_port(address, configured.port()))
        .collect();
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!("cannot answer queries at {configured}: no interface that is up has an address of this family"),
        ));
    }
    Ok(addresses)
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "takes ports away")]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpStream, UdpSocket};

    use socket2::SockRef;

    use super::*;

    fn listen(dns: &[&str], workers: u16) -> Listen {
        Listen { dns: dns.iter().map(|address| address.parse().unwrap()).collect(), workers, tcp_workers: 1 }
    }

    #[test]
    fn port_0_is_one_free_port_for_all_sockets_of_an_address() {
        let bound = bind(&listen(&["127.0.0.1:0", "[::1]:0"], 3)).unwrap();
        assert_eq!(bound.len(), 2);
        for Bound { address, tcp, udp } in &bound {
            assert_ne!(address.port(), 0);
            assert_eq!(tcp.local_addr().unwrap(), *address);
            assert_eq!(udp.len(), 3);
            for socket in udp {
                assert_eq!(socket.local_addr().unwrap().as_socket(), Some(*address));
            }
        }
    }

    #[test]
    fn workers_0_is_one_a_core() {
        let bound = bind(&listen(&["127.0.0.1:0"], 0)).unwrap();
        assert_eq!(bound[0].udp.len(), std::thread::available_parallelism().unwrap().get());
    }

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
        assert_eq!(expand("127.0.0.1:0".parse().unwrap()).unwrap(), ["127.0.0.1:0".parse().unwrap()]);
    }

    #[test]
    fn the_addresses_of_a_wildcard_share_one_port_and_none_is_bound_twice() {
        let loopback = ["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
        let bound = bind_on_one_port(&loopback, 1).unwrap();
        assert_eq!(bound[0].address.port(), bound[1].address.port());
        let address = bound[0].address.to_string();
        drop(bound);
        assert_eq!(bind(&listen(&[&address, &address], 1)).unwrap().len(), 1);
    }

    #[test]
    fn what_is_in_use_is_named_whichever_transport_it_is() {
        // Somebody else may have the port over the other transport, which is then named first: another port is taken.
        fn check<S>(take: impl Fn() -> (S, SocketAddr), transport: &str) {
            let named = (0..100).any(|_| {
                let (_taken, address) = take();
                let error = bind(&listen(&[&address.to_string()], 1)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
                let text = error.to_string();
                assert!(text.contains("hint: another process"), "{text}");
                text.starts_with(&format!("cannot answer queries at {address} over {transport}: "))
            });
            assert!(named, "{transport}");
        }
        check(
            || {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                (listener, address)
            },
            "TCP",
        );
        check(
            || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                let address = socket.local_addr().unwrap();
                (socket, address)
            },
            "UDP",
        );
        // A socket that would share its port.
        check(
            || {
                let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
                socket.set_reuse_port(true).unwrap();
                socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
                let address = socket.local_addr().unwrap().as_socket().unwrap();
                (socket, address)
            },
            "UDP",
        );
    }

    #[test]
    fn an_address_of_nobody_is_refused_with_a_hint() {
        let text = bind(&listen(&["192.0.2.1:0"], 1)).unwrap_err().to_string();
        assert!(text.contains("192.0.2.1:0 over TCP") && text.contains("no interface"), "{text}");
    }

    #[test]
    fn ipv6_sockets_take_no_ipv4() {
        let bound = bind(&listen(&["[::1]:0"], 1)).unwrap();
        assert!(SockRef::from(&bound[0].tcp).only_v6().unwrap());
        assert!(bound[0].udp[0].only_v6().unwrap());
    }

    #[test]
    fn accepted_connections_inherit_the_options_of_the_listener() {
        let bound = bind(&listen(&["127.0.0.1:0"], 1)).unwrap();
        let mut client = TcpStream::connect(bound[0].address).unwrap();
        // Accepted with its first octet.
        client.write_all(&[0]).unwrap();
        bound[0].tcp.set_nonblocking(false).unwrap();
        let (accepted, _) = bound[0].tcp.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
        assert_eq!(SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), TCP_UNSENT);
    }
}
