//! What a hub answers, since when, and why: the previous decision.

use std::sync::Arc;

use super::{Hub, RegionName};
use crate::time::Timestamp;

/// What a hub answers, since when, and why: the previous decision, as it is kept in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Standing {
    /// The active region.
    pub active: RegionName,
    /// Changes of the active region so far, from 1.
    pub epoch: u64,
    /// When the active region last changed.
    pub since: Timestamp,
    /// What changed it.
    pub cause: Cause,
    /// The sentence that explained the change; hubs that move for the same facts share it.
    pub reason: Arc<str>,
    /// When the last automatic switch was: the dwell counts from here.
    pub last_automatic: Option<Timestamp>,
    /// Whether all endpoints are answered at once (`when_all_down = "all"`).
    #[serde(default)]
    pub all: bool,
    /// When the active region last changed, newest last: at most [`Standing::RECENT`] switches, of any cause. The first
    /// choice is none. Shared, for what stood and what stands are kept side by side.
    #[serde(default)]
    pub recent: Arc<[SwitchTime]>,
}

impl Standing {
    /// As many switches as are remembered, and as many automatic ones.
    pub const RECENT: usize = 32;

    /// The remembered switches and one more, without those that are too many: a budget counts the last ones of any origin,
    /// and a flap limit the last automatic ones, however many there were of operators between them.
    pub fn with_switch(&self, at: Timestamp, automatic: bool) -> Arc<[SwitchTime]> {
        let mut kept: Vec<_> = self.recent.iter().copied().chain([SwitchTime { at, automatic }]).collect();
        let (mut left, mut automatic_left) = (Self::RECENT, Self::RECENT);
        kept.reverse();
        kept.retain(|switch| {
            let counts = left > 0 || (switch.automatic && automatic_left > 0);
            left = left.saturating_sub(1);
            automatic_left = automatic_left.saturating_sub(usize::from(switch.automatic));
            counts
        });
        kept.reverse();
        kept.into()
    }
}

/// When one switch was, and whether the policy wanted it or an operator. In JSON a pair, for there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "(Timestamp, bool)", from = "(Timestamp, bool)")]
pub struct SwitchTime {
    /// When.
    pub at: Timestamp,
    /// Whether its cause [is automatic](Cause::is_automatic).
    pub automatic: bool,
}

impl From<SwitchTime> for (Timestamp, bool) {
    fn from(SwitchTime { at, automatic }: SwitchTime) -> Self {
        (at, automatic)
    }
}

impl From<(Timestamp, bool)> for SwitchTime {
    fn from((at, automatic): (Timestamp, bool)) -> Self {
        Self { at, automatic }
    }
}

/// The previous decision as the next one sees it.
#[derive(Clone, Copy, Debug)]
pub struct Previous<'a> {
    /// What stands.
    pub standing: &'a Standing,
    /// Position of the active region among the hub's endpoints; `None` when the policy does not have it any more.
    pub active: Option<usize>,
}

impl<'a> Previous<'a> {
    /// Looks the active region up by its name.
    pub fn of(hub: &Hub, standing: &'a Standing) -> Self {
        Self { standing, active: hub.position(&standing.active) }
    }
}

/// What changed an active region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The hub was seen for the first time.
    Start,
    /// The active region was observed down.
    Health,
    /// The active region was marked `down` or `drain`.
    Mark,
    /// An operator's `failover`.
    Failover,
    /// An operator's `failback`.
    Failback,
    /// A better region came back, and the policy says that it takes over.
    FailbackAfter,
    /// The active region is no longer in the policy.
    Policy,
}

impl Cause {
    /// The word for it in logs, metrics and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Health => "health",
            Self::Mark => "mark",
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::FailbackAfter => "failback-after",
            Self::Policy => "policy",
        }
    }

    /// Whether the dwell counts from a switch of this cause.
    pub fn is_automatic(self) -> bool {
        matches!(self, Self::Health | Self::FailbackAfter)
    }
}
