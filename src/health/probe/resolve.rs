//! I/O shell: the addresses of a host name, from recursive resolvers as devices ask them.
//!
//! The cache keeps addresses for their TTL and never longer: a target that moved is probed where it is. That a name
//! does not exist is kept for [`MAX_NEGATIVE`] at most, so that what was repaired is soon seen. `/etc/hosts` is not
//! read, for no device would.

mod shortage;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::Resolver as Asking;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name as WireName, RecordType};
use hickory_resolver::proto::serialize::binary::BinDecodable;

use self::shortage::Shortage;
use super::failure::is_exhausted;
use super::renew::Renewable;
use super::{Deadline, Doing, Failure, words};
use crate::dns::{Name, Rcode};

/// Time after which another resolver is asked, or the same one again; a lost datagram is repeated before.
const ROUND: Duration = Duration::from_secs(1);

/// Rounds after the first one.
const MORE_ROUNDS: usize = 2;

/// Longest time for which the cache keeps that there is no such name or address.
const MAX_NEGATIVE: Duration = Duration::from_secs(5);

/// The kind of address that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn rtype(self) -> RecordType {
        match self {
            Self::V4 => RecordType::A,
            Self::V6 => RecordType::AAAA,
        }
    }
}

/// Why there is no address of one family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unresolved {
    /// There is no such name (RFC 2308 2.1).
    NxDomain,
    /// There is the name, without an address of this family (RFC 2308 2.2).
    NoData,
    /// It could not be found out.
    Failed(Failure),
}

impl Unresolved {
    /// Why it could not be found out if there is an address.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NxDomain | Self::NoData => None,
            Self::Failed(failure) => Some(failure),
        }
    }
}

/// Asks configured resolvers, or those of the system.
#[derive(Debug)]
pub(super) struct Resolver {
    configured: Vec<SocketAddr>,
    /// Held to look and to replace only, never while asking.
    resolver: Mutex<Arc<Renewable<Asking<Shortage>>>>,
    /// What it last was out of when it asked.
    shortage: Shortage,
}

impl Resolver {
    pub(super) fn new(configured: &[SocketAddr]) -> Self {
        Self { configured: configured.to_vec(), resolver: Mutex::default(), shortage: Shortage::default() }
    }

    /// Has `/etc/resolv.conf` read again. Configured resolvers stay, with their cache.
    pub(super) fn renew(&self) {
        if self.configured.is_empty() {
            let mut resolver = self.resolver.lock().unwrap_or_else(PoisonError::into_inner);
            *resolver = resolver.renewed();
        }
    }

    /// The addresses of one family; never an empty list.
    pub(super) async fn lookup(
        &self,
        name: &Name,
        family: Family,
        deadline: Deadline,
    ) -> Result<Vec<IpAddr>, Unresolved> {
        let wire = WireName::from_bytes(name.wire())
            .map_err(|error| Unresolved::Failed(format!("the name cannot be asked for: {error}").into()))?;
        let resolver = self.resolver.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let asking = async {
            let build = || async { build(&self.configured, self.shortage.anew()) };
            // What cannot be read here says nothing of the name.
            let resolver = resolver.get(build).await.map_err(|why| Unresolved::Failed(Failure::Unable(why)))?;
            let before = self.shortage.count();
            let found = resolver.lookup(wire, family.rtype()).await;
            let found = found.map_err(|error| match self.shortage.since(before) {
                Some(words) => Unresolved::Failed(Failure::Exhausted(words)),
                None => unresolved(&error),
            })?;
            let addresses: Vec<IpAddr> = found.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
            if addresses.is_empty() { Err(Unresolved::NoData) } else { Ok(addresses) }
        };
        deadline.within(Doing::Resolving, asking).await.unwrap_or_else(|late| Err(failed(late)))
    }
}

fn build(configured: &[SocketAddr], provider: Shortage) -> Result<Asking<Shortage>, String> {
    let mut builder = if configured.is_empty() {
        Asking::builder(provider).map_err(|error| format!("read /etc/resolv.conf: {}", reason(&error)))?
    } else {
        let servers = configured.iter().map(|server| {
            let [mut udp, mut tcp] = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            (udp.port, tcp.port) = (server.port(), server.port());
            NameServerConfig::new(server.ip(), true, vec![udp, tcp])
        });
        Asking::builder_with_config(ResolverConfig::from_name_servers(servers.collect()), provider)
    };
    adjust(builder.options_mut());
    builder.build().map_err(|error| format!("set up the resolver: {}", reason(&error)))
}

fn adjust(options: &mut ResolverOpts) {
    options.timeout = ROUND;
    options.attempts = MORE_ROUNDS;
    options.negative_max_ttl = Some(MAX_NEGATIVE);
    options.use_hosts_file = ResolveHosts::Never;
}

fn unresolved(error: &NetError) -> Unresolved {
    if error.is_nx_domain() {
        Unresolved::NxDomain
    } else if error.is_no_records_found() {
        Unresolved::NoData
    } else {
        match error {
            NetError::Io(io) if is_exhausted(io) => Unresolved::Failed(Failure::Exhausted(reason(error))),
            _ => failed(reason(error)),
        }
    }
}

fn failed(why: String) -> Unresolved {
    Unresolved::Failed(Failure::Failed(why))
}

fn reason(error: &NetError) -> String {
    match error {
        NetError::Timeout => "no answer from a resolver".to_owned(),
        NetError::NoConnections => "no resolver can be reached".to_owned(),
        NetError::Io(error) => words(error),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the resolver says {}", Rcode(u16::from(*code))),
        other => other.to_string(),
    }
}

/// Says why there is no address of `name`, of the families given.
pub(super) fn sentence(name: &Name, unresolved: &[(Family, Unresolved)]) -> String {
    if unresolved.iter().any(|(_, why)| *why == Unresolved::NxDomain) {
        return format!("`{name}` does not exist (NXDOMAIN)");
    }
    let mut parts: Vec<(String, String)> = Vec::new();
    for (family, why) in unresolved {
        let Some(why) = why.failure().map(ToString::to_string) else { continue };
        match parts.iter_mut().find(|(_, other)| *other == why) {
            Some((types, _)) => *types = format!("{types} and {}", family.rtype()),
            None => parts.push((family.rtype().to_string(), why)),
        }
    }
    if parts.is_empty() {
        return format!("`{name}` has no addresses");
    }
    let parts: Vec<String> = parts.into_iter().map(|(types, why)| format!("{types}: {why}")).collect();
    format!("resolve `{name}` {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_say_why_there_is_no_address() {
        let failed = |why: &str| failed(why.to_owned());
        let check = |v4: Unresolved, v6: Unresolved, expected: &str| {
            let name = Name::parse("hub.example.net.", None).unwrap();
            assert_eq!(sentence(&name, &[(Family::V4, v4), (Family::V6, v6)]), expected);
        };
        use Unresolved::{NoData, NxDomain};
        check(NxDomain, NxDomain, "`hub.example.net.` does not exist (NXDOMAIN)");
        check(failed("no answer"), NxDomain, "`hub.example.net.` does not exist (NXDOMAIN)");
        check(NoData, NoData, "`hub.example.net.` has no addresses");
        check(failed("no answer"), NoData, "resolve `hub.example.net.` A: no answer");
        check(failed("no answer"), failed("no answer"), "resolve `hub.example.net.` A and AAAA: no answer");
        check(failed("refused"), failed("late"), "resolve `hub.example.net.` A: refused, AAAA: late");
    }
}
