//! How many descriptors the process may open, and how many of them TCP connections may take.
//!
//! Probes, the store and the operators' API open descriptors too. If connections could take the last one, whoever opens
//! enough of them would fail the probes, and so move the hubs, and keep newcomers and operators out: a failure to
//! accept makes no room, as the limit of connections does.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that connections leave to everything else, such as a probe for each of some hundred endpoints.
const OTHERS: u64 = 512;

/// Connections that another listener may have in any case.
const FEW: u64 = 16;

/// Descriptors that probes leave to what is neither a probe nor a connection of somebody who asks: sockets that listen, the
/// store, files that are read, the operators' API, gates and fences.
const NEITHER: u64 = 192;

/// Descriptors that probes may have in any case.
const SOME: u64 = 32;

/// Raises the soft limit of descriptors to the hard one, and returns how many TCP connections may be open of those that
/// are configured.
///
/// The usual soft limit of 1024 is for programs that call `select`, which cannot have more.
pub(super) fn connections(configured: u32) -> u32 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // What cannot be raised stays as it is; the share follows from what holds.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let descriptors = getrlimit(Resource::Nofile).current;
    let connections = share(configured, descriptors);
    tracing::debug!(was = current, descriptors, connections, "descriptors that may be open");
    if connections < configured {
        tracing::warn!(
            connections,
            configured,
            "fewer TCP connections than configured: the limit of open files (LimitNOFILE, ulimit -n) leaves no more"
        );
    }
    connections
}

/// How many connections of another listener, called `what`, may be open beside the TCP connections, of those that are
/// configured: what these and everything else leave, and at least a few.
pub(crate) fn beside(tcp_connections: u32, what: &str, configured: u32) -> u32 {
    let descriptors = getrlimit(Resource::Nofile).current;
    let connections = rest(tcp_connections, configured, descriptors);
    if connections < configured {
        tracing::warn!(
            connections,
            configured,
            "fewer {what} connections than configured: the limit of open files (LimitNOFILE, ulimit -n) leaves no more"
        );
    }
    connections
}

/// How many descriptors probes may have open: what is left when as many connections are open as may be, and at least some.
pub(crate) fn for_probes(tcp_connections: u32, public_connections: u32) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    usize::try_from(probes(tcp_connections, public_connections, descriptors)).unwrap_or(usize::MAX)
}

fn probes(tcp_connections: u32, public_connections: u32, descriptors: Option<u64>) -> u64 {
    let Some(all) = descriptors else { return u64::MAX };
    let public = u64::from(rest(tcp_connections, public_connections, descriptors));
    all.saturating_sub(u64::from(share(tcp_connections, descriptors)) + public + NEITHER).max(SOME)
}

fn rest(tcp_connections: u32, configured: u32, descriptors: Option<u64>) -> u32 {
    let Some(all) = descriptors else { return configured };
    let left = all.saturating_sub(OTHERS + u64::from(share(tcp_connections, descriptors))).max(FEW);
    configured.min(u32::try_from(left).unwrap_or(u32::MAX))
}

/// The connections among so many descriptors; `None` is no limit.
fn share(configured: u32, descriptors: Option<u64>) -> u32 {
    let Some(descriptors) = descriptors else { return configured };
    let left = descriptors.saturating_sub(OTHERS).max(descriptors / 2);
    configured.min(u32::try_from(left).unwrap_or(u32::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_others() {
        let check = |configured, descriptors, expected| assert_eq!(share(configured, descriptors), expected);
        check(1024, None, 1024);
        check(1024, Some(1 << 40), 1024);
        check(1024, Some(1536), 1024);
        check(1024, Some(1535), 1023);
        check(1024, Some(1024), 512);
        check(1024, Some(256), 128);
        check(100, Some(256), 100);
        check(1, Some(0), 1);
    }

    #[test]
    fn probes_have_what_is_left_by_both() {
        let check = |tcp, public, descriptors, expected| {
            assert_eq!(probes(tcp, public, descriptors), expected, "{descriptors:?}");
        };
        check(1024, 0, None, u64::MAX);
        check(1024, 0, Some(524_288), 523_072);
        check(1024, 256, Some(524_288), 522_816);
        check(1024, 0, Some(1024), 320);
        check(1024, 100, Some(1024), 304);
        check(1024, 0, Some(256), 32);
    }

    #[test]
    fn another_listener_has_what_is_left() {
        let check = |tcp, configured, descriptors, expected| assert_eq!(rest(tcp, configured, descriptors), expected);
        check(1024, 10_000, None, 10_000);
        check(1024, 10_000, Some(1 << 20), 10_000);
        check(1024, 10_000, Some(11_536), 10_000);
        check(1024, 10_000, Some(11_535), 9_999);
        check(1024, 10_000, Some(1024), 16);
        check(1, 20, Some(1024), 20);
    }
}
