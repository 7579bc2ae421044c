//! JSON schemas of the TOML files, for editors: what may be written where, with its range, its default and one sentence.
//!
//! The readers of the files are written by hand and stay the judges: a schema cannot say that a region is defined or that
//! a timeout is below its interval. What it does say is held against the readers by tests, which ask them for the keys,
//! words, ranges and defaults of every table. The schemas as files are `config/schema/*.json`; a file names its own in
//! its first line, as editors with a TOML language server understand it:
//!
//! ```toml
//! #:schema ../config/schema/policy.json
//! ```
//!
//! | file | its tables |
//! | --- | --- |
//! | `config` | `config/concierge.toml` |
//! | `policy` | `zones/*.toml`; `probe` and `hub` have files of their own |
//! | `node` | the builders that all of them use |

mod config;
mod hub;
mod node;
mod policy;
mod probe;
#[cfg(test)]
mod tests;

use serde_json::Value;

/// The schema of the policy files, `zones/*.toml`.
pub fn policy() -> Value {
    policy::schema()
}

/// The schema of the configuration, `config/concierge.toml`.
pub fn config() -> Value {
    config::schema()
}
