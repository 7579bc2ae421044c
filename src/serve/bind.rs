//! The sockets: for each address one TCP listener and one UDP socket a worker, all on one port.
//!
//! - TCP is bound first and without `SO_REUSEPORT`: only one process can have it, so that a second daemon started by
//!   mistake is refused. Its UDP sockets would otherwise join ours and take half of the queries in silence.
//! - A wildcard address stands for the addresses that the interfaces have, each with sockets of its own. From one socket
//!   for all, an answer could leave with another source address than the query was sent to, and the client would not
//!   take it (RFC 2181 4.1). Addresses that come and go later are followed (see [`places`](super::places)).
//! - What was passed to this process, by systemd or by the process that it takes over from, is taken instead of being
//!   bound. As many UDP workers as are configured share the UDP sockets that were passed for an address; each has one of
//!   its own where as many were.
//! - An IPv6 socket takes no IPv4: each family has addresses of its own in the configuration.
//!
//! I/O shell: binds sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use nix::sys::socket::setsockopt;
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    set_socket_recv_buffer_size_force, set_socket_send_buffer_size_force,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::interfaces::expand;
use super::sockets::Granted;
use crate::config::Listen;
use crate::process::passed::{Kind, Passed};

/// Less than this in the receive buffer, and a pause of some milliseconds loses queries.
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
    /// Which wildcard of the configuration it comes from, if it does.
    pub(super) wildcard: Option<SocketAddr>,
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

/// All that the configuration says, bound.
#[derive(Debug, Default)]
pub(super) struct Binding {
    pub(super) bound: Vec<Bound>,
    /// The wildcards, with the port that was taken for port 0: they go on standing for what the interfaces have.
    pub(super) wildcards: Vec<SocketAddr>,
}

/// The UDP sockets of an address, as configured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp {
    pub(super) workers: usize,
    /// Octets.
    receive_buffer: usize,
    /// Octets.
    send_buffer: usize,
    /// Asked of the driver; zero is off.
    busy_poll: Duration,
}

impl Udp {
    pub(super) fn of(listen: &Listen) -> Self {
        Self {
            workers: workers(listen.workers),
            receive_buffer: listen.udp_receive_buffer as usize,
            send_buffer: listen.udp_send_buffer as usize,
            busy_poll: listen.busy_poll,
        }
    }
}

/// Binds every address, or nothing.
///
/// An address of a wildcard that cannot be bound yet is passed over: an IPv6 address is tentative for a second or two,
/// until the kernel knows that nobody else has it (RFC 4862 5.4).
pub(super) fn bind(listen: &Listen, udp: &Udp, passed: &Passed) -> io::Result<Binding> {
    let mut binding = Binding::default();
    let (wildcards, fixed): (Vec<_>, Vec<_>) = listen.dns.iter().partition(|address| address.ip().is_unspecified());
    for address in fixed {
        let address = passed.port_for(Kind::Tcp, address);
        if !binding.covers(address) {
            binding.bound.extend(bind_on_one_port(&[address], None, udp, passed)?);
        }
    }
    for mut wildcard in wildcards {
        // An address may stand beside the wildcard that covers it.
        let addresses = expand(wildcard)?.into_iter().map(|address| passed.port_for(Kind::Tcp, address));
        let addresses: Vec<_> = addresses.filter(|address| !binding.covers(*address)).collect();
        let bound = bind_on_one_port(&addresses, Some(wildcard), udp, passed)?;
        match bound.first() {
            Some(first) => wildcard.set_port(first.address.port()),
            None if wildcard.port() == 0 => {
                let message =
                    format!("cannot answer queries at {wildcard}: no interface has an address of this family");
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, message));
            }
            None => {}
        }
        binding.bound.extend(bound.into_iter().map(|bound| Bound { wildcard: Some(wildcard), ..bound }));
        binding.wildcards.push(wildcard);
    }
    binding.tell(udp);
    Ok(binding)
}

impl Binding {
    fn covers(&self, address: SocketAddr) -> bool {
        address.port() != 0 && self.bound.iter().any(|bound| bound.address == address)
    }

    /// Says what the kernel granted.
    fn tell(&self, udp: &Udp) {
        let granted = self.bound.iter().flat_map(|bound| &bound.udp).filter_map(|socket| Granted::of(socket).ok());
        let Some(least) = granted
            .reduce(|one, other| Granted { receive: one.receive.min(other.receive), send: one.send.min(other.send) })
        else {
            return;
        };
        let Granted { receive, send } = least;
        tracing::info!(
            workers = udp.workers,
            receive_buffer = receive,
            send_buffer = send,
            "UDP sockets of an address: {}, receive buffer {} KiB, send buffer {} KiB",
            udp.workers,
            receive >> 10,
            send >> 10,
        );
        if receive < udp.receive_buffer.min(ENOUGH_BUFFER) {
            tracing::warn!(
                granted = receive,
                configured = udp.receive_buffer,
                "small UDP receive buffer: a pause of some milliseconds loses queries; raise net.core.rmem_max, or give \
                 the process CAP_NET_ADMIN"
            );
        }
    }
}

/// Binds the addresses that one line of the configuration stands for. Port 0 becomes one free port for all of them. Of
/// a wildcard's, those that cannot be bound yet are passed over.
fn bind_on_one_port(
    addresses: &[SocketAddr],
    wildcard: Option<SocketAddr>,
    udp: &Udp,
    passed: &Passed,
) -> io::Result<Vec<Bound>> {
    let mut attempt = 1;
    loop {
        let mut port = None;
        let bound: io::Result<Vec<Bound>> = addresses
            .iter()
            .filter_map(|&address| {
                let address =
                    if let (0, Some(port)) = (address.port(), port) { with_port(address, port) } else { address };
                match bind_address(address, udp, passed) {
                    Ok(bound) => {
                        port = Some(bound.address.port());
                        Some(Ok(bound))
                    }
                    Err(error) if wildcard.is_some() && error.kind() == io::ErrorKind::AddrNotAvailable => {
                        tracing::info!("{error}; it is tried again");
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
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

/// Binds the sockets of one address, or takes those that were passed.
pub(super) fn bind_address(address: SocketAddr, udp: &Udp, passed: &Passed) -> io::Result<Bound> {
    let tcp = listen_tcp(address, passed.take_tcp(address)).map_err(|error| explain(&error, address, "TCP"))?;
    let address = with_port(address, tcp.local_addr()?.port());
    let given = passed.take_udp(address);
    let udp = match given.is_empty() {
        true => bind_udp(address, udp),
        false => share_udp(given, udp),
    };
    let udp = udp.map_err(|error| explain(&error, address, "UDP"))?;
    Ok(Bound { address, wildcard: None, tcp, udp })
}

/// Listeners with their addresses.
pub(super) type Streams = Vec<(SocketAddr, TcpListener)>;

/// Binds a listener for each address, or takes the one that was passed. A wildcard is one listener: an answer of a connection
/// leaves from the address that was asked.
pub(super) fn bind_streams(addresses: &[SocketAddr], passed: &Passed, transport: &str) -> io::Result<Streams> {
    let bind = |&address: &SocketAddr| {
        let address = passed.port_for(Kind::Tcp, address);
        let listener =
            listen_tcp(address, passed.take_tcp(address)).map_err(|error| explain(&error, address, transport))?;
        Ok((listener.local_addr()?, listener))
    };
    addresses.iter().map(bind).collect()
}

/// Binds a UDP socket for each address of QUIC, or takes those that were passed. A wildcard is one socket: answers leave from
/// the address that was asked, for which `quinn` asks the kernel.
pub(super) fn bind_quic(
    addresses: &[SocketAddr],
    udp: &Udp,
    passed: &Passed,
    transport: &str,
) -> io::Result<Vec<(SocketAddr, Socket)>> {
    let bind = |address: SocketAddr| {
        let given = passed.take_udp(address);
        if !given.is_empty() {
            for socket in &given {
                enlarge_buffers(socket, udp)?;
                socket.set_nonblocking(true)?;
            }
            return Ok(given.into_iter().map(|socket| (address, socket)).collect());
        }
        let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
        set_buffers(&socket, udp)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let bound = socket.local_addr()?.as_socket().unwrap_or(address);
        Ok(vec![(bound, socket)])
    };
    let mut bound = Vec::new();
    for &address in addresses {
        let address = passed.port_for(Kind::Udp, address);
        bound.extend(bind(address).map_err(|error| explain(&error, address, transport))?);
    }
    Ok(bound)
}

fn listen_tcp(address: SocketAddr, given: Option<Socket>) -> io::Result<TcpListener> {
    let listens = given.is_some();
    let socket = match given {
        Some(socket) => socket,
        None => socket(address, Type::STREAM, Protocol::TCP)?,
    };
    // Accepted connections inherit both.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(TCP_UNSENT)?;
    setsockopt(&socket, option::DeferAccept, &TCP_DEFER)?;
    socket.set_nonblocking(true)?;
    if listens {
        return Ok(socket.into());
    }
    // A restart may find connections of its predecessor in TIME_WAIT; a listening socket still excludes another.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::from(BACKLOG))?;
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

fn bind_udp(address: SocketAddr, udp: &Udp) -> io::Result<Vec<Socket>> {
    // Without `SO_REUSEPORT` this fails if another process has the port, even one that would share it.
    socket(address, Type::DGRAM, Protocol::UDP)?.bind(&address.into())?;
    (0..udp.workers)
        .map(|_| {
            let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
            socket.set_reuse_port(true)?;
            set_buffers(&socket, udp)?;
            prepare_udp(&socket, udp)?;
            socket.bind(&address.into())?;
            Ok(socket)
        })
        .collect()
}

/// One socket for each worker, of those that were passed: each of them is read by one worker at least.
fn share_udp(given: Vec<Socket>, udp: &Udp) -> io::Result<Vec<Socket>> {
    for socket in &given {
        enlarge_buffers(socket, udp)?;
        prepare_udp(socket, udp)?;
        socket.set_nonblocking(false)?;
    }
    let more = (given.len()..udp.workers).map(|worker| given[worker % given.len()].try_clone());
    let more = more.collect::<io::Result<Vec<_>>>()?;
    Ok(given.into_iter().chain(more).collect())
}

fn prepare_udp(socket: &Socket, udp: &Udp) -> io::Result<()> {
    forbid_fragments(socket)?;
    if !udp.busy_poll.is_zero() {
        let micros = u32::try_from(udp.busy_poll.as_micros()).unwrap_or(u32::MAX);
        if let Err(error) = socket.set_busy_poll(micros) {
            tracing::debug!(%error, "the driver is not polled: that takes CAP_NET_ADMIN");
        }
    }
    socket.set_read_timeout(Some(STOP_CHECK))
}

/// Asks for the buffers: as anybody may, up to `net.core.rmem_max` and `wmem_max`, and beyond as `CAP_NET_ADMIN` may.
fn set_buffers(socket: &Socket, udp: &Udp) -> io::Result<()> {
    socket.set_recv_buffer_size(udp.receive_buffer)?;
    socket.set_send_buffer_size(udp.send_buffer)?;
    let granted = Granted::of(socket)?;
    // Not allowed: then what was granted it is, and is said.
    if granted.receive < udp.receive_buffer {
        let _ = set_socket_recv_buffer_size_force(socket, udp.receive_buffer);
    }
    if granted.send < udp.send_buffer {
        let _ = set_socket_send_buffer_size_force(socket, udp.send_buffer);
    }
    Ok(())
}

/// No response is fragmented here, and none is made smaller by what an ICMP message, which anybody can forge, says of the way
/// (RFC 9715 3.1): one that the interface does not take is an error, after which it is sent cut. That a router on the way
/// fragments one of 1,232 octets is not ruled out by this: a packet that must not be fragmented would be lost there, in
/// silence.
fn forbid_fragments(socket: &Socket) -> io::Result<()> {
    let set = match socket.domain()? {
        Domain::IPV4 => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::INTERFACE),
        _ => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::INTERFACE),
    };
    if let Err(error) = set {
        tracing::debug!(%error, "the kernel fragments responses that are larger than the interface takes");
    }
    Ok(())
}

/// Asks for larger buffers of a socket that was passed, and never for smaller ones: whoever bound it may have been allowed
/// more than this process is.
fn enlarge_buffers(socket: &Socket, udp: &Udp) -> io::Result<()> {
    let granted = Granted::of(socket)?;
    if granted.receive < udp.receive_buffer
        && set_socket_recv_buffer_size_force(socket, udp.receive_buffer).is_err()
        && granted.receive < limit("rmem_max").min(udp.receive_buffer)
    {
        socket.set_recv_buffer_size(udp.receive_buffer)?;
    }
    if granted.send < udp.send_buffer
        && set_socket_send_buffer_size_force(socket, udp.send_buffer).is_err()
        && granted.send < limit("wmem_max").min(udp.send_buffer)
    {
        socket.set_send_buffer_size(udp.send_buffer)?;
    }
    Ok(())
}

/// What anybody may ask for, octets; 0 where that cannot be read.
#[expect(clippy::disallowed_methods, reason = "I/O shell: reads /proc")]
fn limit(name: &str) -> usize {
    let text = std::fs::read_to_string(format!("/proc/sys/net/core/{name}"));
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
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

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "takes ports away")]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpStream, UdpSocket};
    use std::path::Path;

    use socket2::SockRef;

    use super::*;
    use crate::config::Config;
    use crate::process::passed::Given;

    fn try_bind(dns: &[&str], workers: u16) -> io::Result<Vec<Bound>> {
        let dns = dns.iter().map(|address| address.parse().unwrap()).collect();
        let listen = Listen { dns, workers, ..Config::default_at(Path::new("config")).listen };
        bind(&listen, &Udp::of(&listen), &Passed::default()).map(|binding| binding.bound)
    }

    #[test]
    fn port_0_is_one_free_port_for_all_sockets_of_an_address() {
        let bound = try_bind(&["127.0.0.1:0", "[::1]:0"], 3).unwrap();
        assert_eq!(bound.len(), 2);
        for Bound { address, tcp, udp, .. } in &bound {
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
        let bound = try_bind(&["127.0.0.1:0"], 0).unwrap();
        assert_eq!(bound[0].udp.len(), std::thread::available_parallelism().unwrap().get());
    }

    #[test]
    fn the_addresses_of_a_wildcard_share_one_port_and_none_is_bound_twice() {
        let loopback = ["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
        let listen = Config::default_at(Path::new("config")).listen;
        let udp = Udp { workers: 1, ..Udp::of(&listen) };
        let bound = bind_on_one_port(&loopback, None, &udp, &Passed::default()).unwrap();
        assert_eq!(bound[0].address.port(), bound[1].address.port());
        let address = bound[0].address.to_string();
        drop(bound);
        assert_eq!(try_bind(&[&address, &address], 1).unwrap().len(), 1);
    }

    #[test]
    fn what_is_in_use_is_named_whichever_transport_it_is() {
        // Somebody else may have the port over the other transport, which is then named first: another port is taken.
        fn check<S>(take: impl Fn() -> (S, SocketAddr), transport: &str) {
            let named = (0..100).any(|_| {
                let (_taken, address) = take();
                let error = try_bind(&[&address.to_string()], 1).unwrap_err();
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

    /// What systemd passes, with buffers as small as the system's.
    #[test]
    fn passed_sockets_are_taken_and_workers_beyond_them_share() {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        udp.set_nonblocking(true).unwrap();
        let address = udp.local_addr().unwrap();
        let given = [Socket::from(udp.try_clone().unwrap()), Socket::from(tcp.try_clone().unwrap())];
        let passed = Passed::by_predecessor(given.map(|socket| Given::of(socket, "").unwrap()).into());
        let listen = Config::default_at(Path::new("config")).listen;
        let bound = bind_address(address, &Udp { workers: 3, ..Udp::of(&listen) }, &passed).unwrap();
        assert_eq!((bound.address, bound.udp.len()), (address, 3));
        let of = |socket: &Socket| nix::sys::stat::fstat(socket).unwrap().st_ino;
        assert!(bound.udp.iter().all(|socket| of(socket) == nix::sys::stat::fstat(&udp).unwrap().st_ino));
        assert!(!bound.udp[0].nonblocking().unwrap(), "a worker waits for queries");
        assert_eq!(SockRef::from(&bound.tcp).tcp_notsent_lowat().unwrap(), TCP_UNSENT);
        assert!(SockRef::from(&bound.tcp).is_listener().unwrap() && SockRef::from(&bound.tcp).nonblocking().unwrap());
    }

    #[test]
    fn an_address_of_nobody_is_refused_with_a_hint() {
        let text = try_bind(&["192.0.2.1:0"], 1).unwrap_err().to_string();
        assert!(text.contains("192.0.2.1:0 over TCP") && text.contains("no interface"), "{text}");
    }

    #[test]
    fn ipv6_sockets_take_no_ipv4() {
        let bound = try_bind(&["[::1]:0"], 1).unwrap();
        assert!(SockRef::from(&bound[0].tcp).only_v6().unwrap());
        assert!(bound[0].udp[0].only_v6().unwrap());
    }

    #[test]
    fn accepted_connections_inherit_the_options_of_the_listener() {
        let bound = try_bind(&["127.0.0.1:0"], 1).unwrap();
        let mut client = TcpStream::connect(bound[0].address).unwrap();
        // Accepted with its first octet.
        client.write_all(&[0]).unwrap();
        bound[0].tcp.set_nonblocking(false).unwrap();
        let (accepted, _) = bound[0].tcp.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
        assert_eq!(SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), TCP_UNSENT);
    }
}
