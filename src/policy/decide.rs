//! Which region a hub answers with: the one function that decides it.
//!
//! `decide` takes what is configured, observed and marked, the previous decision and the time, and returns the next
//! decision with its reason. It has no clock, no I/O and no randomness. The rules, by the names that [`Rule`] gives them:
//!
//! 1. *Stay.* While the active region is eligible it stays active. A better region that comes back takes over only as
//!    [`Failback`] says, and never from a region that an operator chose with `failover`.
//! 2. *Move.* When the active region is not eligible, the first eligible endpoint in preference order takes over, once
//!    the dwell has passed since the last automatic switch. An operator's `down` mark on the active region skips the
//!    dwell. An endpoint that is probed and has no verdict yet (the daemon has just started) is waited for, for as long
//!    as its probe needs at worst, whoever wants the move and unless it is marked up: a restart does not send a fleet to
//!    a region that is down as well.
//! 3. *All down.* With nothing eligible, a drained endpoint that is not observed down is used; then [`WhenAllDown`].
//!
//! A restart is no rule of its own: health is unknown then, unknown is eligible, and the standing is read from the store.

use std::sync::Arc;
use std::time::Duration;

use crate::health::Health;
use crate::policy::{Endpoint, Failback, Hub, RegionName, WhenAllDown};
use crate::time::Timestamp;

/// An operator's word on an endpoint.
///
/// Where a region and one of its endpoints are both marked, the more restrictive mark holds: `down` before `drain` before
/// `up`. An `up` mark says "ignore health", it does not contradict another operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkKind {
    /// May be chosen, whatever health says.
    Up,
    /// Never newly chosen, still usable as last resort.
    Drain,
    /// May not be chosen.
    Down,
}

impl MarkKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Drain => "drain",
            Self::Down => "down",
        }
    }
}

/// What is known of one endpoint at the moment of the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointView {
    /// What observations say.
    pub health: Health,
    /// The mark that holds.
    pub mark: Option<MarkKind>,
    /// Since when it has been eligible without a break, and observed up or marked up; `None` while it is not, or nothing
    /// is heard of it.
    pub good_since: Option<Timestamp>,
    /// Until when a first verdict is waited for; `None` when there is one, or nothing is probed.
    pub verdict_by: Option<Timestamp>,
    /// Whether it is probed at all.
    pub probed: bool,
}

impl EndpointView {
    /// Whether the endpoint may be chosen: marked up, or not marked and not down.
    pub fn eligible(&self) -> bool {
        match self.mark {
            Some(MarkKind::Up) => true,
            Some(MarkKind::Down | MarkKind::Drain) => false,
            None => self.health != Health::Down,
        }
    }

    /// Whether a drained endpoint can still serve as last resort.
    fn last_resort(&self) -> bool {
        self.mark == Some(MarkKind::Drain) && self.health != Health::Down
    }

    /// Whether it is known to be good, not merely not known to be bad.
    fn known_good(&self) -> bool {
        self.eligible() && (self.mark == Some(MarkKind::Up) || self.health == Health::Up)
    }
}

/// What a decision needs of a hub: a few words beside each other, for there may be ten thousand to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Least time between two automatic switches.
    pub dwell: Duration,
    /// When a better region that comes back takes over.
    pub failback: Failback,
    /// What is answered when no endpoint may be chosen.
    pub resort: Resort,
}

/// [`WhenAllDown`] with the position of the endpoint in the place of its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resort {
    /// The last active region goes on being answered.
    Keep,
    /// The addresses of every endpoint at once.
    All,
    /// The endpoint of last resort.
    Endpoint(usize),
}

impl Rules {
    /// Those of a hub.
    pub fn of(hub: &Hub) -> Self {
        let resort = match &hub.when_all_down {
            WhenAllDown::Keep => Resort::Keep,
            WhenAllDown::All => Resort::All,
            // The policy's reader lets no region through that is none of the hub's.
            WhenAllDown::Region(region) => hub.position(region).map_or(Resort::Keep, Resort::Endpoint),
        };
        Self { dwell: hub.dwell, failback: hub.failback, resort }
    }
}

/// What a hub answers, since when, and why: the previous decision, as it is kept in the store.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// As many switches as are remembered.
    pub const RECENT: usize = 32;

    /// The remembered switches and one more, without the oldest when there are too many.
    pub fn with_switch(&self, at: Timestamp, automatic: bool) -> Arc<[SwitchTime]> {
        let kept = &self.recent[(self.recent.len() + 1).saturating_sub(Self::RECENT)..];
        kept.iter().copied().chain([SwitchTime { at, automatic }]).collect()
    }
}

/// When one switch was, and whether the policy wanted it or an operator. In JSON a pair, for there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

/// The rule that a decision follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The active region stays.
    Stay,
    /// The active region changes.
    Move,
    /// No endpoint may be chosen.
    AllDown,
}

/// A change that policy wants and that does not happen yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Position of the endpoint whose region would become active.
    pub wanted: usize,
    /// What is waited for.
    pub waiting: Waiting,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// What a hold waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The least time between two automatic switches.
    Dwell,
    /// The first verdict on the wanted endpoint.
    Verdict,
    /// The time that a better region must have been good before it takes over.
    Failback,
}

/// The next decision for one hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule that it follows.
    pub rule: Rule,
    /// Position of the endpoint that is to be active.
    pub active: usize,
    /// Why the active region changes; `None` when it stays.
    pub cause: Option<Cause>,
    /// Whether all endpoints are to be answered at once.
    pub all: bool,
    /// The change that is wanted and not done yet.
    pub hold: Option<Hold>,
}

impl Decision {
    /// When to decide again, even if nothing happens.
    pub fn wake(&self) -> Option<Timestamp> {
        self.hold.as_ref().map(|hold| hold.until)
    }
}

/// Decides for one hub. `views` has one entry for each endpoint of the hub, in their order.
///
/// Without a previous decision, or with one whose region the policy does not have, it chooses afresh.
pub fn decide(rules: &Rules, views: &[EndpointView], previous: Option<Previous<'_>>, now: Timestamp) -> Decision {
    let candidate = views.iter().position(EndpointView::eligible);
    let last_resort = || views.iter().position(EndpointView::last_resort);
    let Some((standing, active)) = previous.and_then(|previous| Some((previous.standing, previous.active?))) else {
        let cause = if previous.is_some() { Cause::Policy } else { Cause::Start };
        let (rule, chosen) = match candidate.or_else(last_resort) {
            Some(chosen) => (Rule::Move, chosen),
            None => (Rule::AllDown, resort_of_policy(rules).unwrap_or(0)),
        };
        return Decision { rule, active: chosen, cause: Some(cause), all: false, hold: None };
    };
    let stay = |rule, all, hold| Decision { rule, active, cause: None, all, hold };
    let all_before = standing.all && rules.resort == Resort::All;

    if views[active].eligible() {
        // Answering with all endpoints ends when one of them is known to be good, not when nothing is known (a restart).
        // One that is not probed is never known to be better than eligible.
        let good = |view: &EndpointView| view.known_good() || (view.eligible() && !view.probed);
        let all = all_before && !views.iter().any(good);
        return match better(rules, views, standing, active, now) {
            Some((better, hold)) if hold.until <= now => {
                Decision { rule: Rule::Move, active: better, cause: Some(Cause::FailbackAfter), all: false, hold: None }
            }
            Some((_, hold)) => stay(Rule::Stay, all, Some(hold)),
            None => stay(Rule::Stay, all, None),
        };
    }

    let marked_down = views[active].mark == Some(MarkKind::Down);
    let cause = if views[active].mark.is_some() { Cause::Mark } else { Cause::Health };
    let to = |rule, chosen: usize| match wait(rules, &views[chosen], chosen, standing, marked_down, now) {
        Some(hold) => stay(rule, all_before, Some(hold)),
        None => Decision { rule, active: chosen, cause: Some(cause), all: false, hold: None },
    };
    if let Some(chosen) = candidate {
        return to(Rule::Move, chosen);
    }
    if views[active].last_resort() {
        return stay(Rule::AllDown, false, None);
    }
    if let Some(chosen) = last_resort() {
        return to(Rule::Move, chosen);
    }
    match resort_of_policy(rules) {
        Some(chosen) if chosen != active => to(Rule::AllDown, chosen),
        _ => stay(Rule::AllDown, rules.resort == Resort::All, None),
    }
}

/// The configured endpoint of last resort.
fn resort_of_policy(rules: &Rules) -> Option<usize> {
    match rules.resort {
        Resort::Endpoint(at) => Some(at),
        Resort::Keep | Resort::All => None,
    }
}

/// What a move to the endpoint at `chosen` has to wait for.
fn wait(
    rules: &Rules,
    view: &EndpointView,
    chosen: usize,
    standing: &Standing,
    marked_down: bool,
    now: Timestamp,
) -> Option<Hold> {
    if let Some(until) = view.verdict_by.filter(|until| *until > now && view.mark != Some(MarkKind::Up)) {
        return Some(Hold { wanted: chosen, waiting: Waiting::Verdict, until });
    }
    let until = dwell_ends(rules, standing)?;
    (until > now && !marked_down).then_some(Hold { wanted: chosen, waiting: Waiting::Dwell, until })
}

fn dwell_ends(rules: &Rules, standing: &Standing) -> Option<Timestamp> {
    standing.last_automatic.map(|at| at.after(rules.dwell))
}

/// The first endpoint that is preferred to the active one and may take over by itself, and when.
fn better(
    rules: &Rules,
    views: &[EndpointView],
    standing: &Standing,
    active: usize,
    now: Timestamp,
) -> Option<(usize, Hold)> {
    let Failback::After(after) = rules.failback else { return None };
    if standing.cause == Cause::Failover {
        return None;
    }
    let (at, good_since) = views[..active].iter().enumerate().find_map(|(at, view)| {
        let good_since = view.good_since.filter(|_| view.known_good())?;
        Some((at, good_since))
    })?;
    let ready = good_since.after(after);
    let (waiting, until) = match dwell_ends(rules, standing) {
        Some(dwell) if dwell > ready && dwell > now => (Waiting::Dwell, dwell),
        _ => (Waiting::Failback, ready),
    };
    Some((at, Hold { wanted: at, waiting, until }))
}

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
        Health::Unknown | Health::Up => Ok(Moved::To(at)),
    }
}

/// The region that `failback` without more words means: the first of the hub's endpoints.
pub fn preferred(hub: &Hub) -> &Endpoint {
    &hub.endpoints[0]
}

#[cfg(test)]
mod tests;
