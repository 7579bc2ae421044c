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

/// What the failures at all addresses make of the observation; `unresolved`: that some address could not be found out.
pub(super) fn verdict(failures: &[Failure], unresolved: bool) -> fn(String) -> Failure {
    if failures.iter().any(|failure| matches!(failure, Failure::Exhausted(_))) {
        return Failure::Exhausted;
    }
    let unable = |failure: &Failure| matches!(failure, Failure::Unable(_));
    if !failures.is_empty() && failures.iter().all(unable) && !unresolved { Failure::Unable } else { Failure::Failed }
}

/// Whether this machine is out of file descriptors or memory.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// A connection or datagram that was refused by this machine, a router or the peer.
pub(super) fn of_connect(error: &io::Error, peer: SocketAddr, source: Option<&DialFrom>) -> Failure {
    let from = source.map(|source| format!(" from {source}")).unwrap_or_default();
    let sentence = format!("connect {peer}{from}: {}", words(error));
    match error.raw_os_error() {
        _ if is_exhausted(error) => Failure::Exhausted(sentence),
        // Every port is in use, or there is no address of the family.
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => Failure::Unable(sentence),
        // What is demanded of the source is not there; without a source it is what a device would see.
        Some(libc::ENETUNREACH | libc::ENETDOWN | libc::ENODEV) if source.is_some() => Failure::Unable(sentence),
        _ => Failure::Failed(sentence),
    }
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
