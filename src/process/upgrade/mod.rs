//! A new process takes over from this one, without a query lost: `concierge upgrade`.
//!
//! ```text
//!  predecessor                                      successor
//!    starts it, a socket pair for its stdin ───────►  reads configuration, zones, policy
//!    compares the folders          ◄─────── hello ──
//!    ── sockets (SCM_RIGHTS) ──────────────────────►
//!    stops deciding, closes the store
//!    ── store ─────────────────────────────────────►  opens it, decides, answers: both answer, from one socket
//!    answers what it has, and ends  ◄── answering ──
//!    ── drained ───────────────────────────────────►  takes commands, looks at probes' observations
//!    says who took over, and exits  ◄────── ready ──
//! ```
//!
//! Both read from the same sockets, so that what waits in one is read by either. While two processes answer nobody decides
//! and no command is acknowledged: no answer is older than a switch that somebody was told of. Up to `drained` the
//! predecessor can go on as before, and does, whatever becomes of the successor: its store comes back as it was
//! ([`Store::take_back`](crate::control::store::Store::take_back)), its workers read from the same sockets.
//!
//! The predecessor starts its successor, and nobody else does: so that it is in the same service, with the same limits,
//! and no socket is in the file system for others to find. What it is connected to is checked by the kernel's word on
//! who made the pair.
//!
//! | module | side |
//! | --- | --- |
//! | [`channel`] | messages and the sockets that go with them |
//! | [`successor`] | the new process |
//! | [`predecessor`] | the old one, as far as it speaks with the new one |

pub mod channel;
pub mod predecessor;
pub mod successor;

use std::path::PathBuf;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::passed::Kind;
use crate::control::event::Author;

/// Raised with every change of the messages.
pub const PROTOCOL: u32 = 1;

/// Set for a process that is to take over, to how far it is in a sandbox by that.
const TAKE_OVER: &str = "CONCIERGE_TAKE_OVER";

/// What the two processes tell each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "message")]
pub enum Message {
    /// The new one has read its files, and can begin.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// Its version.
        version: String,
        /// Its state folder, as the file system has it.
        state: PathBuf,
        /// Its admin socket.
        admin: PathBuf,
    },
    /// Sockets, one beside each description; the last of them when `more` is false.
    Sockets {
        /// What they are, in order.
        about: Vec<About>,
        /// Whether another such message follows.
        more: bool,
    },
    /// The store is closed.
    Store,
    /// The new one answers.
    Answering,
    /// The old one answers no more.
    Drained,
    /// The new one decides and takes commands.
    Ready,
    /// The new one ends, and why.
    Failed {
        /// A sentence.
        sentence: String,
    },
}

/// What a socket is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    kind: Kind,
    /// An address and port, or a path.
    place: String,
}

/// Somebody wants another process to take over.
#[derive(Debug)]
pub struct Order {
    /// The program; `None`: the file that this process was started from.
    pub program: Option<PathBuf>,
    /// Who.
    pub author: Author,
    /// Told when it is over.
    pub answer: oneshot::Sender<Result<Upgraded, String>>,
    /// No other order is given as long as this is kept.
    pub turn: OwnedSemaphorePermit,
}

/// Another process has taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgraded {
    /// The process that was.
    pub pid_before: u32,
    /// The process that is.
    pub pid: u32,
    /// The version that was.
    pub version_before: String,
    /// The version that is.
    pub version: String,
    /// Milliseconds from the order to the end.
    pub took_ms: u64,
    /// Milliseconds of these in which nobody decided.
    pub still_ms: u64,
    /// TCP connections that had not taken their answers at the end of the drain.
    pub connections_cut: u64,
}

/// The file that this process was started from, as it was named.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Remembers the file that this process was started from: later it may be another file of the same name.
pub fn remember_program() {
    let named = std::env::args_os().next().map(PathBuf::from).filter(|name| name.components().count() > 1);
    if let Some(program) = named.or_else(|| std::env::current_exe().ok()) {
        // Twice is once.
        let _ = PROGRAM.set(program);
    }
}
