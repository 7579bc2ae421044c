//! Observations to health: what the probers see of every endpoint, and what follows from it.
//!
//! [`machine`] makes health of observations and [`schedule`] says when to observe: both pure. [`probe`] makes one
//! observation over real sockets, [`run`] keeps one prober for each thing to be probed and sees to it that it runs.
//! Probers observe and nothing else: health is held and decided on by the control core, which feeds every
//! [`Observation`] to a [`Machine`] of its own.
//!
//! Deliberately absent: marks, which are laid over health by the decision; and any knowledge of what is active, for all
//! endpoints are probed alike, always.

pub mod machine;
pub mod probe;
pub mod run;
pub mod schedule;

pub use machine::{Last, Machine, Transition};
pub use probe::Remarks;
pub use run::Probers;

use std::time::Duration;

use crate::policy::ProbeTarget;
use crate::time::Timestamp;

/// What observations say of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Not observed enough to say.
    #[default]
    Unknown,
    /// `rise` good observations in a row, or the first one ever.
    Up,
    /// `fall` failed observations in a row.
    Down,
}

impl Health {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What one observation saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that was expected came.
    Good,
    /// It did not; the sentence says what was expected and what came.
    Failed(String),
    /// This machine could not make the observation; the sentence says what it lacks. It says nothing of the endpoint and
    /// moves no health.
    Unable(String),
}

/// One result of one prober.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was probed.
    pub target: ProbeTarget,
    /// When it was complete.
    pub at: Timestamp,
    /// How long it took.
    pub latency: Duration,
    /// What was seen.
    pub outcome: Outcome,
    /// What was seen beside it.
    pub remarks: Remarks,
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;
    use std::time::Duration;

    use crate::policy::{Probe, ProbeKind, ProbeName, TcpProbe};

    /// A TCP probe with the default settings.
    pub(super) fn tcp_probe(port: u16) -> Probe {
        Probe {
            name: ProbeName::new("broker"),
            kind: ProbeKind::Tcp(TcpProbe::new(port)),
            source: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            confirm: Duration::from_secs(1),
            fall: NonZeroU8::new(3).unwrap(),
            rise: NonZeroU8::new(5).unwrap(),
            shadow: false,
        }
    }
}
