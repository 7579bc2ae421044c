//! Where connections come from, and which failures to accept are about one of them.
//!
//! I/O shell: accepts connections.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SocketFlags, acceptfrom_with};

/// Pause after a failure to accept that lasts; doubled from the first to the last while it goes on.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(10);
pub(super) const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Connections accepted in a row at most.
const ACCEPTS: usize = 64;

/// How often a quota of connections accepted in a row is reached at most before more is tried.
const MOST_PATIENCE: u32 = 64;

/// Where connections come from: a listener, or in tests one that fails.
pub(super) trait Accept: AsFd + fmt::Debug + Send + Sync {
    /// Accepts a connection without waiting for one. Its socket never blocks.
    fn accept(&self) -> io::Result<Arrival>;
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) socket: OwnedFd,
    /// Who is at the other end.
    pub(super) peer: IpAddr,
}

impl Accept for TcpListener {
    fn accept(&self) -> io::Result<Arrival> {
        let (socket, peer) = acceptfrom_with(self, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        // One that has gone already has no address, and no answer reaches it.
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        Ok(Arrival { socket, peer: peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip()) })
    }
}

/// One address. Closed when the last worker lets go of it.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) source: Box<dyn Accept>,
    /// Whether TLS is spoken there.
    pub(super) secured: bool,
}

/// A listener as one worker sees it.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: Arc<Listener>,
    /// Connections accepted in a row; follows how many there are, for asking once more than there are costs a call.
    pub(super) quota: usize,
    /// How often the quota has to be reached before more is tried; doubled when it was in vain.
    patience: u32,
    /// How often it has been.
    reached: u32,
    /// The next pause.
    pub(super) pause: Duration,
    /// While it is out of the set: until when.
    pub(super) resumes: Option<u64>,
}

impl Door {
    pub(super) fn new(listener: Arc<Listener>) -> Self {
        Self { listener, quota: 1, patience: 1, reached: 0, pause: FIRST_PAUSE, resumes: None }
    }

    /// Notes that as many were accepted as the quota allows, and there may be more.
    pub(super) fn reached_quota(&mut self) {
        self.reached += 1;
        if self.quota > 1 {
            self.patience = 1;
        }
        if self.reached >= self.patience {
            self.reached = 0;
            self.quota = ACCEPTS.min(self.quota * 2);
        }
    }

    /// Notes that fewer were there than the quota allows: `accepted`.
    pub(super) fn missed_quota(&mut self, accepted: usize) {
        self.quota = accepted.max(1);
        self.patience = MOST_PATIENCE.min(self.patience * 2);
        self.reached = 0;
    }
}

/// Whether a failure to accept is about one connection and the next may be tried at once: accept(2) passes errors of
/// the network on the way to the new socket through.
pub(super) fn of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
        || matches!(
            error.raw_os_error(),
            Some(
                libc::EPROTO
                    | libc::ENOPROTOOPT
                    | libc::ENETDOWN
                    | libc::ENETUNREACH
                    | libc::EHOSTDOWN
                    | libc::EHOSTUNREACH
                    | libc::ENONET
                    | libc::EOPNOTSUPP
                    | libc::EPERM
                    | libc::ETIMEDOUT
            )
        )
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "takes a port")]
mod tests {
    use super::*;

    #[test]
    fn errors_of_one_connection_are_told_from_those_that_last() {
        for error in [libc::ECONNABORTED, libc::ECONNRESET, libc::EINTR, libc::EPROTO, libc::EHOSTUNREACH, libc::EPERM]
        {
            assert!(of_one_connection(&io::Error::from_raw_os_error(error)), "{error}");
        }
        for error in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EINVAL] {
            assert!(!of_one_connection(&io::Error::from_raw_os_error(error)), "{error}");
        }
    }

    #[test]
    fn the_quota_follows_how_many_there_are() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut door = Door::new(Arc::new(Listener { address, source: Box::new(listener), secured: false }));
        for expected in [2, 4, 8, 16, 32, 64, 64] {
            door.reached_quota();
            assert_eq!(door.quota, expected);
        }
        door.missed_quota(3);
        assert_eq!(door.quota, 3);
        // One at a time: fewer and fewer attempts at a second one.
        let mut attempts = 0;
        door.missed_quota(0);
        for _ in 0..1000 {
            door.reached_quota();
            if door.quota > 1 {
                attempts += 1;
                door.missed_quota(1);
            }
        }
        assert!(attempts < 25, "{attempts}");
    }
}
