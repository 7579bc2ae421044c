//! How the daemon runs: `config/concierge.toml`, validated.
//!
//! Pure. Every problem of the file is reported at once, with its place.

mod abuse;
mod edns;
mod model;
mod read;
#[cfg(test)]
mod tests;
mod units;

pub use model::{
    Access, Admin, Audit, Config, Denial, Edns, HealthConfig, Identity, Limits, Listen, Log, LogFormat, Process,
    Public, RateLimit, Statistics,
};
pub use read::{read, zones};
