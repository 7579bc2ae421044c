//! How the daemon runs: `config/concierge.toml`, validated.
//!
//! Pure. Every problem of the file is reported at once, with its place.

mod edns;
mod model;
mod read;
#[cfg(test)]
mod tests;
mod units;

pub use model::{
    Admin, Audit, Config, Edns, HealthConfig, Identity, Limits, Listen, Log, LogFormat, Process, Proxy, Public,
    Statistics, Tls,
};
pub use read::{read, zones};
