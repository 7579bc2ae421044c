//! How the daemon runs: `config/concierge.toml`, validated.
//!
//! Pure. Every problem of the file is reported at once, with its place.

mod abuse;
mod edns;
mod model;
mod read;
mod taps;
#[cfg(test)]
mod tests;
mod units;

pub use model::{
    Access, Admin, Audit, Config, Denial, Dnstap, Edns, HealthConfig, Identity, Limits, Listen, Log, LogFormat,
    Process, Proxy, Public, QueryLog, RateLimit, Statistics, Tls,
};
pub use read::{read, zones};

/// The tables of a configuration, for tests that ask each of them for something.
#[cfg(test)]
pub(crate) const TABLES: [&str; 17] = [
    "listen",
    "limits",
    "rate_limit",
    "access",
    "tls",
    "proxy",
    "edns",
    "identity",
    "admin",
    "public",
    "health",
    "audit",
    "statistics",
    "dnstap",
    "query_log",
    "process",
    "log",
];
