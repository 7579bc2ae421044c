//! Observations to health: what the probers see of every endpoint, and what follows from it.

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
}
