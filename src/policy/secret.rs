//! Where a secret stands; never the secret itself.

use std::path::PathBuf;

/// Something that only the prober and what it probes may know, such as a password.
///
/// A policy says where it stands and never what it is: neither the policy nor anything that is printed of it holds a
/// secret. The prober reads it when it is first needed, and again after a reload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Secret {
    /// The content of a file, without the line end at its end.
    File(PathBuf),
    /// An environment variable of the daemon.
    Env(String),
}
