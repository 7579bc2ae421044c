//! What other servers are configured with, as a policy and master files: texts in, texts out.
//!
//! ```text
//! gdnsd: vscf ─► services, resources ─┐
//!        zone files ─► DYNA, DYNC ────┤
//!                                     ├─► draft ─► policy text, with remarks
//! route53: record sets ─► sets ───────┤          └► notes: what could not be carried over, and why
//!          health checks ─► health ───┤
//! traffic manager: profiles ──────────┘
//! ```
//!
//! An importer carries over what is written, not what was meant: thresholds and intervals stay as they were, also where
//! this program's own defaults would be quicker. Whatever is lost or changes its meaning is a [`Note`], and the same
//! sentence stands as a comment where it applies. Whether the result is a good policy is for `concierge check` to say.

mod draft;
mod gdnsd;
mod note;
mod route53;
#[cfg(test)]
mod tests;
mod traffic_manager;

pub use gdnsd::gdnsd;
pub use note::{Note, Refusal};
pub use route53::route53;
pub use traffic_manager::traffic_manager;

/// A file that is read.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its path, as notes call it; of a zone of gdnsd, the last part is the zone's name.
    pub name: String,
    /// Its content.
    pub text: String,
}

impl Input {
    fn json(&self) -> Result<serde_json::Value, Refusal> {
        serde_json::from_str(&self.text).map_err(|error| Refusal::no_json(&self.name, &error))
    }
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Output {
    /// Its name, without a folder.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// What an importer makes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Import {
    /// The policy file.
    pub policy: Output,
    /// Master files, one for each zone.
    pub zones: Vec<Output>,
    /// What could not be carried over, or changes its meaning.
    pub notes: Vec<Note>,
}
