//! Why an attempt did not succeed: the peer's doing, or this machine's.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::super::Outcome;
use super::words;
use crate::policy::DialFrom;

/// Why an attempt did not succeed: a sentence of what was expected and what came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// What is probed did not do what is expected of it.
    Failed(String),
    /// This machine could not make the attempt, which says nothing of what is probed.
    Unable(String),
    /// This machine is out of something that every attempt needs, such as file descriptors.
    Exhausted(String),
}

impl From<String> for Failure {
    /// A sentence about what is probed.
    fn from(sentence: String) -> Self {
        Self::Failed(sentence)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Failed(sentence) => Self::Failed(sentence),
            Failure::Unable(sentence) | Failure::Exhausted(sentence) => Self::Unable(sentence),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(sentence) | Self::Unable(sentence) | Self::Exhausted(sentence) => f.write_str(sentence),
        }
    }
}

/// What the failures at all addresses, and of finding addresses, make of the observation.
///
/// A machine without IPv6 sees that an endpoint is down by its IPv4 addresses. What it is out of, it is out of for all.
pub(super) fn verdict<'a>(failures: impl Iterator<Item = &'a Failure>) -> fn(String) -> Failure {
    let mut verdict: Option<fn(String) -> Failure> = None;
    for failure in failures {
        match failure {
            Failure::Exhausted(_) => return Failure::Exhausted,
            Failure::Failed(_) => verdict = Some(Failure::Failed),
            Failure::Unable(_) => verdict = verdict.or(Some(Failure::Unable)),
        }
    }
    verdict.unwrap_or(Failure::Failed)
}

/// Whether this machine is out of file descriptors or memory.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// A connection that was refused by this machine, a router or the peer.
pub(super) fn of_connect(error: &io::Error, peer: SocketAddr, source: Option<&DialFrom>) -> Failure {
    of(error, format!("connect {peer}"), source)
}

fn of(error: &io::Error, doing: String, source: Option<&DialFrom>) -> Failure {
    let from = source.map(|source| format!(" from {source}")).unwrap_or_default();
    let sentence = format!("{doing}{from}: {}", words(error));
    match error.raw_os_error() {
        _ if is_exhausted(error) => Failure::Exhausted(sentence),
        // Every port is in use, or there is no address of the family.
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => Failure::Unable(sentence),
        // What is demanded of the source is not there; without a source it is what a device would see.
        Some(libc::ENETUNREACH | libc::ENETDOWN | libc::ENODEV) if source.is_some() => Failure::Unable(sentence),
        _ => Failure::Failed(sentence),
    }
}

/// A datagram that could not be sent, or that a router or the peer refused; `what` is sent.
pub(super) fn of_datagram(what: &str, error: &io::Error, peer: SocketAddr, source: Option<&DialFrom>) -> Failure {
    let at = if peer.port() == 0 { peer.ip().to_string() } else { peer.to_string() };
    of(error, format!("{what} {at}"), source)
}

/// A socket for echo requests that this machine did not give.
pub(super) fn of_ping(error: &io::Error) -> Failure {
    let sentence = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "an echo request may not be sent: `net.ipv4.ping_group_range` does not have \
                                            the daemon's group, and the daemon has no CAP_NET_RAW"
                .to_owned()
        }
        _ => format!("open a socket for echo requests: {}", words(error)),
    };
    if is_exhausted(error) { Failure::Exhausted(sentence) } else { Failure::Unable(sentence) }
}

/// A `source` that this machine does not have, or may not use.
pub(super) fn of_source(error: &io::Error, source: &DialFrom) -> Failure {
    let needs = match (source, error.kind()) {
        (DialFrom::Interface(_), io::ErrorKind::PermissionDenied) => " (needs CAP_NET_RAW)",
        _ => "",
    };
    let sentence = format!("dial from {source}: {}{needs}", words(error));
    if is_exhausted(error) { Failure::Exhausted(sentence) } else { Failure::Unable(sentence) }
}

/// An address that cannot be dialled from `source`, which is of the other family.
pub(super) fn of_other_family(address: IpAddr, source: IpAddr) -> Failure {
    Failure::Unable(format!("{address} cannot be dialled from {source}, an address of the other family"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_no_failure_of_the_peer() {
        let address = DialFrom::Address("192.0.2.7".parse().unwrap());
        let interface = DialFrom::Interface("eth1".into());
        let peer = "192.0.2.1:8883".parse().unwrap();
        let check = |code: i32, source: Option<&DialFrom>, expected: Failure| {
            assert_eq!(of_connect(&io::Error::from_raw_os_error(code), peer, source), expected);
        };
        let at = |words: &str| format!("connect 192.0.2.1:8883: {words}");
        check(libc::ECONNREFUSED, None, Failure::Failed(at("connection refused")));
        check(libc::EHOSTUNREACH, None, Failure::Failed(at("no route to host")));
        check(libc::ENETUNREACH, None, Failure::Failed(at("network is unreachable")));
        check(libc::EMFILE, None, Failure::Exhausted(at("too many open files")));
        check(libc::ENOBUFS, None, Failure::Exhausted(at("no buffer space available")));
        check(libc::EADDRNOTAVAIL, None, Failure::Unable(at("cannot assign requested address")));
        let from = |source: &str, words: &str| format!("connect 192.0.2.1:8883 from {source}: {words}");
        check(libc::ECONNREFUSED, Some(&address), Failure::Failed(from("192.0.2.7", "connection refused")));
        let no_route = Failure::Unable(from("interface eth1", "network is unreachable"));
        check(libc::ENETUNREACH, Some(&interface), no_route);
        let denied = of_source(&io::Error::from_raw_os_error(libc::EPERM), &interface);
        let expected = "dial from interface eth1: operation not permitted (needs CAP_NET_RAW)";
        assert_eq!(denied, Failure::Unable(expected.into()));
    }

    #[test]
    fn one_failed_address_is_enough_unless_the_machine_is_exhausted() {
        let failure = |letter: char| match letter {
            'f' => Failure::Failed(String::new()),
            'u' => Failure::Unable(String::new()),
            _ => Failure::Exhausted(String::new()),
        };
        let check = |failures: &str, unresolved: &str, expected: char| {
            let failures: Vec<Failure> = failures.chars().map(failure).collect();
            let unresolved: Vec<Failure> = unresolved.chars().map(failure).collect();
            let found = verdict(failures.iter().chain(&unresolved))(String::new());
            assert_eq!(found, failure(expected), "{failures:?} {unresolved:?}");
        };
        check("f", "", 'f');
        check("u", "", 'u');
        check("uu", "", 'u');
        check("uf", "", 'f');
        check("ue", "", 'e');
        check("fe", "", 'e');
        check("", "", 'f');
        check("", "f", 'f');
        check("", "e", 'e');
        check("u", "f", 'f');
        check("f", "e", 'e');
    }
}
