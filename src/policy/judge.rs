//! Operators' moves: what refuses one, and what it would have to override.

use super::decide::{budget_ends, gate_in_the_way};
use super::{Endpoint, EndpointView, Hub, MarkKind, RegionName, Rules, Scene, Standing};
use crate::health::Health;
use crate::time::Timestamp;

/// Why an operator's `failover` or `failback` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveRefused {
    /// The hub has no endpoint there.
    #[error("{hub} has no endpoint in {region}; it has {known}")]
    NoEndpoint {
        /// The hub.
        hub: String,
        /// The region that was asked for.
        region: RegionName,
        /// The regions that it has.
        known: String,
    },
    /// The target is marked down or drain.
    #[error("{region} is marked {}; unmark it first", .mark.word())]
    Marked {
        /// The region that was asked for.
        region: RegionName,
        /// Its mark.
        mark: MarkKind,
    },
    /// The target is observed down.
    #[error("{region} is down; to move there all the same, mark it up first")]
    Down {
        /// The region that was asked for.
        region: RegionName,
    },
    /// The last looks at the target have failed, though not as many as it takes to be down.
    #[error("the last look at {region} has failed; ask again when it is up or down, or mark it up first")]
    Failing {
        /// The region that was asked for.
        region: RegionName,
    },
    /// The target is probed and was not observed yet.
    #[error("{region} was not observed yet; ask again in a few seconds, or mark it up first")]
    NoVerdict {
        /// The region that was asked for.
        region: RegionName,
    },
    /// The move was planned before another change.
    #[error(
        "planned at epoch {planned}, but the epoch is {current} and {active} is active; look again before you move"
    )]
    OldEpoch {
        /// The epoch that the command carries.
        planned: u64,
        /// The epoch of the hub.
        current: u64,
        /// Its active region.
        active: RegionName,
    },
}

/// What an operator's move comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The endpoint at this position becomes active.
    To(usize),
    /// It is active, whether by this very command sent before or otherwise: nothing changes.
    Already,
}

/// Judges an operator's move to `region`, planned at epoch `planned` (`None`: whatever the epoch is).
///
/// A repeat of a move that has been applied succeeds and changes nothing; one planned at an older epoch is refused, and
/// so is one to a region that devices should not be sent to.
///
/// # Errors
/// Says which rule refuses it and what to do.
pub fn judge_move(
    hub: &Hub,
    views: &[EndpointView],
    standing: &Standing,
    region: &RegionName,
    planned: Option<u64>,
    now: Timestamp,
) -> Result<Moved, MoveRefused> {
    let Some(at) = hub.position(region) else {
        let known = hub.endpoints.iter().map(|endpoint| endpoint.region.as_str()).collect::<Vec<_>>().join(", ");
        return Err(MoveRefused::NoEndpoint { hub: hub.name.to_string(), region: region.clone(), known });
    };
    if let Some(planned) = planned.filter(|planned| *planned != standing.epoch) {
        let applied = standing.active == *region && planned.checked_add(1) == Some(standing.epoch);
        return if applied {
            Ok(Moved::Already)
        } else {
            Err(MoveRefused::OldEpoch { planned, current: standing.epoch, active: standing.active.clone() })
        };
    }
    if standing.active == *region {
        return Ok(Moved::Already);
    }
    let view = &views[at];
    match view.mark {
        Some(mark @ (MarkKind::Down | MarkKind::Drain)) => {
            return Err(MoveRefused::Marked { region: region.clone(), mark });
        }
        Some(MarkKind::Up) => return Ok(Moved::To(at)),
        None => {}
    }
    match view.health {
        Health::Down => Err(MoveRefused::Down { region: region.clone() }),
        Health::Unknown if view.verdict_by.is_some_and(|until| until > now) => {
            Err(MoveRefused::NoVerdict { region: region.clone() })
        }
        _ if view.failing_since.is_some() => Err(MoveRefused::Failing { region: region.clone() }),
        Health::Unknown | Health::Up => Ok(Moved::To(at)),
    }
}

/// The region that `failback` without more words means: the first of the hub's endpoints.
pub fn preferred(hub: &Hub) -> &Endpoint {
    &hub.endpoints[0]
}

/// What stands in the way of an operator's move and can be overridden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The gate at this position among the hub's is shut; `force` overrides it.
    Gate(u16),
    /// The budget is used up until then; break-glass overrides it.
    Budget(Timestamp),
    /// It would break the safety rule at this position; break-glass overrides it.
    Rule(u32),
}

impl Objection {
    /// Whether it takes break-glass to override it, and not only `force`.
    pub fn is_safety(&self) -> bool {
        matches!(self, Self::Budget(_) | Self::Rule(_))
    }
}

/// Everything that objects to an operator's move between endpoints at this moment. Unlike a move by health, it passes no
/// gate by waiting.
pub fn objections(
    rules: &Rules,
    scene: &Scene<'_>,
    standing: &Standing,
    from: usize,
    to: usize,
    now: Timestamp,
) -> Vec<Objection> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(gate) = gate_in_the_way(&scene.gates[at..], from, to) {
        found.push(Objection::Gate((at + gate) as u16));
        at += gate + 1;
    }
    found.extend(budget_ends(rules, standing, scene.lived, now).map(Objection::Budget));
    found.extend((scene.breaks)(to).map(Objection::Rule));
    found
}
