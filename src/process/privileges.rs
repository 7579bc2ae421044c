//! I/O shell: capabilities, priorities and core dumps.
//!
//! Capabilities are a thread's own, so each thread that is started gives up its own ([`give_up`]) once it has what it
//! needs of them: its priority, or a socket. What has to stay is planned before the first thread, from the configuration:
//!
//! | capability | stays with | while |
//! | --- | --- | --- |
//! | `CAP_NET_BIND_SERVICE` | the thread that follows the interfaces | a wildcard with a port below 1024 is configured |
//! | `CAP_NET_RAW` | the probers | a probe of kind `icmp` is configured and ping sockets are not allowed |
//!
//! The main thread keeps the same, for nothing but to hand them to a successor. All others have none. The limit that
//! priorities need (`RLIMIT_NICE`) is raised first, so that `CAP_SYS_NICE` need not stay.

use std::sync::OnceLock;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
use socket2::{Domain, Protocol, Socket, Type};

use super::stand;
use crate::config::Config;
use crate::policy::{Policy, ProbeKind};

/// The highest priority that a thread of this program takes is nice -10.
const NICE_LIMIT: u64 = 30;

/// Ports below need a capability, unless the system says otherwise (`net.ipv4.ip_unprivileged_port_start`).
const PRIVILEGED: u16 = 1024;

/// What is to stay. Not set: nothing is given up, as in a program that runs a daemon beside other things.
static STAYS: OnceLock<CapabilitySet> = OnceLock::new();

/// Shuts what can be shut before the first thread: core dumps, and the way to new privileges. Plans what stays.
pub fn shut(config: &Config, policy: &Policy) {
    raise_nice_limit();
    if !config.process.core_dumps {
        shut_core_dumps();
    }
    if !config.process.drop_privileges {
        tracing::info!(event = "privileges", "capabilities are kept, as configured");
        return;
    }
    match set_no_new_privs(true) {
        Ok(()) => stand(|standing| standing.no_new_privs = true),
        Err(error) => tracing::warn!(event = "privileges", %error, "programs may get new privileges"),
    }
    let mut stays = CapabilitySet::empty();
    if config
        .listen
        .dns
        .iter()
        .any(|address| address.ip().is_unspecified() && (1..PRIVILEGED).contains(&address.port()))
    {
        stays |= CapabilitySet::NET_BIND_SERVICE;
    }
    if policy.probes.values().any(|probe| matches!(probe.kind, ProbeKind::Icmp)) && !may_ping() {
        stays |= CapabilitySet::NET_RAW;
    }
    // A second daemon in one process, which there is not, would go by the first.
    let _ = STAYS.set(stays);
}

/// Gives up every capability of this thread.
pub fn give_up() {
    keep(CapabilitySet::empty());
}

/// Gives up what this thread does not need to follow the interfaces.
pub fn keep_binding() {
    keep(CapabilitySet::NET_BIND_SERVICE);
}

/// Gives up what this thread does not need to probe.
pub fn keep_probing() {
    keep(CapabilitySet::NET_RAW);
}

/// Gives up what the main thread does not need once everything is bound, and says what is left.
pub fn settle() {
    let Some(stays) = STAYS.get() else { return };
    keep(CapabilitySet::all());
    let left = capabilities(None).map_or(*stays, |sets| sets.permitted);
    stand(|standing| standing.capabilities = left.is_empty());
    if left.is_empty() {
        tracing::info!(event = "privileges", "no capabilities are left");
    } else {
        tracing::info!(event = "privileges", "capabilities that stay, and why: {}", reasons(left).join("; "));
    }
}

fn keep(wanted: CapabilitySet) {
    let Some(stays) = STAYS.get() else { return };
    let Ok(CapabilitySets { permitted, .. }) = capabilities(None) else { return };
    let kept = permitted & *stays & wanted;
    // Fewer than before is always allowed.
    let _ = set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept });
}

fn reasons(left: CapabilitySet) -> Vec<&'static str> {
    let known = [
        (CapabilitySet::NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE, to bind addresses of a wildcard as they come"),
        (
            CapabilitySet::NET_RAW,
            "CAP_NET_RAW, for ICMP probes: this account may open no ping sockets (net.ipv4.ping_group_range)",
        ),
    ];
    known.iter().filter(|(capability, _)| left.contains(*capability)).map(|(_, reason)| *reason).collect()
}

/// Whether ICMP probes can do without raw sockets.
fn may_ping() -> bool {
    Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).is_ok()
}

/// Lets threads go ahead of the workers without a capability, where that may be allowed.
fn raise_nice_limit() {
    let limit = getrlimit(Resource::Nice);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= NICE_LIMIT);
    if !enough(limit.current) {
        let maximum = if enough(limit.maximum) { limit.maximum } else { Some(NICE_LIMIT) };
        // Not allowed: then threads stay what others are, unless CAP_SYS_NICE is there when they start.
        let _ = setrlimit(Resource::Nice, Rlimit { current: Some(NICE_LIMIT), maximum });
    }
}

/// Keys are in memory: it is written to no core dump, and no debugger of the same account reads it.
fn shut_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    let shut = setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    match shut {
        Ok(()) => stand(|standing| standing.core_dumps = true),
        Err(error) => tracing::warn!(event = "privileges", %error, "core dumps cannot be shut out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_that_may_stay_says_why() {
        let all = reasons(CapabilitySet::all());
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|reason| reason.starts_with("CAP_")));
        assert!(reasons(CapabilitySet::empty()).is_empty());
    }
}
