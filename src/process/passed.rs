//! I/O shell: sockets that the process is given: by systemd when it starts, or by the process that it takes over from.
//!
//! They are found by what they are and by their address, so that neither their order nor their names matter: whoever
//! binds an address asks here first. What nobody asks for is a mistake of the socket unit, and refused; of a predecessor
//! it is an address that the configuration no longer has, and closed.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads the names that systemd gives")]

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use listenfd::ListenFd;
use socket2::{Socket, Type};

/// Sockets that were passed, each to be taken once.
#[derive(Debug, Default)]
pub struct Passed {
    giver: Giver,
    /// Taken by whoever binds, at the start and when an interface changes.
    sockets: Mutex<Vec<Given>>,
}

/// Who passed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Giver {
    /// Nobody: everything is bound here.
    #[default]
    Nobody,
    /// The service manager (`LISTEN_FDS`).
    Systemd,
    /// The process that this one takes over from.
    Predecessor,
}

/// A socket and what it is for.
#[derive(Debug)]
pub struct Given {
    /// What it is.
    pub kind: Kind,
    /// Where.
    pub place: Place,
    /// What the socket unit calls it; empty without a name.
    pub name: String,
    /// The socket.
    pub socket: Socket,
}

/// What a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Datagrams.
    Udp,
    /// A listener.
    Tcp,
    /// A listener in the file system.
    Unix,
}

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At an address and port.
    Address(SocketAddr),
    /// At a path.
    Path(PathBuf),
}

impl Passed {
    /// What systemd passes to this process, if it does.
    ///
    /// # Errors
    /// Names the socket that is of no use to a name server.
    pub fn by_systemd() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default();
            let socket = take(&mut passed, index).ok_or_else(|| {
                io::Error::other(format!(
                    "systemd passes a socket `{name}` that is none for UDP, TCP or a Unix stream; hint: look at the \
                     `Listen...=` lines of the socket unit"
                ))
            })?;
            sockets.push(Given::of(socket, name)?);
        }
        let giver = if sockets.is_empty() { Giver::Nobody } else { Giver::Systemd };
        Ok(Self { giver, sockets: Mutex::new(sockets) })
    }

    /// What the process before gives.
    pub fn by_predecessor(sockets: Vec<Given>) -> Self {
        Self { giver: Giver::Predecessor, sockets: Mutex::new(sockets) }
    }

    /// Who passed them.
    pub fn giver(&self) -> Giver {
        self.giver
    }

    /// An address with port 0 is the first that the process before had for it and that is not taken.
    pub fn port_for(&self, kind: Kind, address: SocketAddr) -> SocketAddr {
        if address.port() != 0 || self.giver != Giver::Predecessor {
            return address;
        }
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let same = sockets.iter().find_map(|given| match given.place {
            Place::Address(passed) if given.kind == kind && passed.ip() == address.ip() => Some(passed),
            _ => None,
        });
        same.unwrap_or(address)
    }

    /// The UDP sockets of an address: none, one, or as many as share its port.
    pub fn take_udp(&self, address: SocketAddr) -> Vec<Socket> {
        self.take(Kind::Udp, &Place::Address(address))
    }

    /// The TCP listener of an address.
    pub fn take_tcp(&self, address: SocketAddr) -> Option<Socket> {
        self.take(Kind::Tcp, &Place::Address(address)).pop()
    }

    /// The listener of a path.
    pub fn take_unix(&self, path: &Path) -> Option<Socket> {
        self.take(Kind::Unix, &Place::Path(path.to_owned())).pop()
    }

    fn take(&self, kind: Kind, place: &Place) -> Vec<Socket> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.extract_if(.., |given| given.kind == kind && given.place == *place).map(|given| given.socket).collect()
    }

    /// To be called when everything is bound: what is left is of no address that is configured.
    ///
    /// # Errors
    /// Names every socket that systemd passed in vain.
    pub fn settle(&self) -> io::Result<()> {
        let left = std::mem::take(&mut *self.sockets.lock().unwrap_or_else(PoisonError::into_inner));
        let (Some(first), named) = (left.first(), left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        else {
            return Ok(());
        };
        if self.giver == Giver::Predecessor {
            tracing::info!(event = "listen", "no longer listening on {named}: the configuration does not name it");
            return Ok(());
        }
        let hint = match &first.place {
            Place::Address(address) if address.ip().is_unspecified() => {
                "name each address in the socket unit: from a socket for all of them, answers would leave with another \
                 address than the one that was asked"
            }
            _ => "take it out of the socket unit, or name its address in the configuration",
        };
        Err(io::Error::other(format!(
            "systemd passes what the configuration has no address for: {named}; hint: {hint}"
        )))
    }
}

impl Given {
    /// Looks at what a socket is.
    ///
    /// # Errors
    /// When it is of no use here; the sentence says why.
    pub fn of(socket: Socket, name: &str) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::other(format!("the socket `{name}` that was passed {what}"));
        let address = socket.local_addr()?;
        let (kind, place) = match (address.as_socket(), address.as_pathname()) {
            (Some(address), _) if socket.r#type()? == Type::DGRAM => (Kind::Udp, Place::Address(address)),
            (Some(address), _) => (Kind::Tcp, Place::Address(address)),
            (None, Some(path)) => (Kind::Unix, Place::Path(path.to_owned())),
            (None, None) => return Err(wrong("has neither an address nor a path")),
        };
        if kind != Kind::Udp && !socket.is_listener()? {
            return Err(wrong("does not listen; hint: `Accept=no` in the socket unit"));
        }
        Ok(Self { kind, place, name: name.to_owned(), socket })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.kind, &self.place) {
            (Kind::Udp, Place::Address(address)) => write!(f, "{address} over UDP")?,
            (_, Place::Address(address)) => write!(f, "{address} over TCP")?,
            (_, Place::Path(path)) => write!(f, "{}", path.display())?,
        }
        if self.name.is_empty() { Ok(()) } else { write!(f, " (`{}`)", self.name) }
    }
}

/// A socket of those that systemd passes, whichever of the useful kinds it is.
fn take(passed: &mut ListenFd, index: usize) -> Option<Socket> {
    if let Ok(Some(socket)) = passed.take_tcp_listener(index) {
        return Some(socket.into());
    }
    if let Ok(Some(socket)) = passed.take_udp_socket(index) {
        return Some(socket.into());
    }
    passed.take_unix_listener(index).ok().flatten().map(|socket| Socket::from(std::os::fd::OwnedFd::from(socket)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "takes ports")]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn given(socket: impl Into<Socket>) -> Given {
        Given::of(socket.into(), "dns").unwrap()
    }

    #[test]
    fn sockets_are_found_by_what_they_are_and_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (at_udp, at_tcp) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let unix = std::os::fd::OwnedFd::from(UnixListener::bind(&path).unwrap());
        let passed = Passed::by_predecessor(vec![given(udp), given(tcp), given(unix)]);
        assert!(passed.take_tcp(at_udp).is_none() && passed.take_udp(at_tcp).is_empty());
        assert_eq!((passed.take_udp(at_udp).len(), passed.take_udp(at_udp).len()), (1, 0), "each is taken once");
        assert!(passed.take_tcp(at_tcp).is_some() && passed.take_unix(&path).is_some());
        passed.settle().unwrap();
    }

    #[test]
    fn what_systemd_passes_in_vain_is_refused_and_what_a_predecessor_does_is_closed() {
        let check = |giver, address: &str, expected: &[&str]| {
            let socket = UdpSocket::bind(address).unwrap();
            let passed = Passed { giver, sockets: Mutex::new(vec![given(socket)]) };
            let said = passed.settle().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                expected.iter().all(|part| said.contains(part)) && said.is_empty() == expected.is_empty(),
                "{said}"
            );
        };
        check(Giver::Systemd, "127.0.0.1:0", &["127.0.0.1:", "over UDP (`dns`)", "take it out of the socket unit"]);
        check(Giver::Systemd, "0.0.0.0:0", &["0.0.0.0:", "name each address in the socket unit"]);
        check(Giver::Predecessor, "127.0.0.1:0", &[]);
    }

    #[test]
    fn a_stream_that_does_not_listen_is_refused() {
        let socket = Socket::new(socket2::Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let said = Given::of(socket, "dns").unwrap_err().to_string();
        assert!(said.contains("does not listen"), "{said}");
    }
}
