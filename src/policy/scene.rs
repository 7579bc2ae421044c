//! What is known at the moment of a decision.

use std::time::Duration;

use super::{Failback, Hold, Hub, OnFenceFailure, OnShut, WhenAllDown};
use crate::health::Health;
use crate::time::{Lived, Timestamp, lived};

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
    /// When an observation was last good.
    pub seen_good: Option<Timestamp>,
    /// How long its probe needs at worst to be sure that it is down.
    pub sure_within: Duration,
    /// When the first of the failed observations up to the last one was complete; `None` when the last one was good.
    pub failing_since: Option<Timestamp>,
    /// Whether the last observation failed, or health has yet to follow the last ones.
    pub unsettled: bool,
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
    pub(super) fn last_resort(&self) -> bool {
        self.mark == Some(MarkKind::Drain) && self.health != Health::Down
    }

    /// Whether it is known to be good, not merely not known to be bad.
    pub(super) fn known_good(&self) -> bool {
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
    /// So many automatic switches within the window pin the hub.
    pub flap_limit: u8,
    /// The window of the flap limit.
    pub flap_window: Duration,
    /// How many switches there may be, in a period that ends now.
    pub budget: Option<(u8, Duration)>,
    /// Whether there is a lower TTL for troubled times.
    pub adaptive_ttl: bool,
    /// How long the TTL stays low after a switch.
    pub ttl_restore: Duration,
    /// How long a fence may take, and what follows when it fails.
    pub fence: Option<(Duration, OnFenceFailure)>,
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
        Self {
            dwell: hub.dwell,
            failback: hub.failback,
            resort,
            flap_limit: hub.flap_limit.get(),
            flap_window: hub.flap_window,
            budget: hub.budget.map(|budget| (budget.switches.get(), budget.period)),
            adaptive_ttl: hub.ttl_min < hub.ttl,
            ttl_restore: hub.ttl_restore,
            fence: hub.fence.as_ref().map(|fence| (fence.timeout, fence.on_failure)),
        }
    }
}

/// What is known at the moment of a decision, beside what the policy says and what stands.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The endpoints of the hub, in their order.
    pub views: &'a [EndpointView],
    /// Whether this node sees.
    pub sight: Sight,
    /// The gates of the hub, in their order.
    pub gates: &'a [GateView],
    /// The safety rule that a move to the endpoint at a position would break, by its position.
    pub breaks: &'a dyn Fn(usize) -> Option<u32>,
    /// What came of the hub's fence.
    pub fence: FenceView,
    /// Whether a planned move is under way.
    pub moving: bool,
    /// What was held by the decision before.
    pub held: Option<Hold>,
    /// The move that gates held before the start, by the endpoint that is wanted, and since when: it is not waited for
    /// again.
    pub gated: Option<(usize, Timestamp)>,
    /// When an operator last acknowledged that the hub was pinned.
    pub acknowledged: Option<Timestamp>,
    /// What the clock has passed over: it counts towards no wait.
    pub lived: &'a Lived,
}

impl<'a> Scene<'a> {
    /// One with nothing but endpoints: this node sees, nothing is gated, nothing is under way.
    pub fn of(views: &'a [EndpointView]) -> Self {
        Self {
            views,
            sight: Sight::default(),
            gates: &[],
            breaks: &|_| None,
            fence: FenceView::Idle,
            moving: false,
            held: None,
            gated: None,
            acknowledged: None,
            lived: &lived::ALL,
        }
    }
}

impl std::fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { views, sight, gates, fence, moving, held, gated, acknowledged, lived, .. } = self;
        f.debug_struct("Scene")
            .field("views", views)
            .field("sight", sight)
            .field("gates", gates)
            .field("fence", fence)
            .field("moving", moving)
            .field("held", held)
            .field("gated", gated)
            .field("acknowledged", acknowledged)
            .field("lived", lived)
            .finish_non_exhaustive()
    }
}

/// Whether this node sees, or is itself cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Whether it is cut off: health is frozen then.
    pub blind: bool,
    /// When a reference was last reached.
    pub seen: Seen,
    /// Whether the failure of the active region may be no more than what this node saw while it was cut off: nothing was
    /// seen of it to fail since a reference was reached, or since sight came back.
    pub unconfirmed: bool,
}

/// When a reference was last reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// The policy has none.
    #[default]
    NoReference,
    /// Not since the start.
    NotYet,
    /// At this moment.
    At(Timestamp),
}

impl Sight {
    /// Whether what fails since this moment may be this node itself: no reference was reached after it.
    pub fn doubts(&self, failing_since: Option<Timestamp>) -> bool {
        self.blind
            || match self.seen {
                Seen::NoReference => false,
                Seen::NotYet => true,
                Seen::At(seen) => failing_since.is_some_and(|since| seen < since),
            }
    }

    /// [`Sight::doubts`] for the active region, which fails since this moment: one good answer of a reference in between
    /// shows that it was not this node, at that time.
    pub fn doubts_failure(&self, failing_since: Option<Timestamp>) -> bool {
        self.unconfirmed || self.doubts(failing_since)
    }
}

/// One use of a gate, as it is at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateView {
    /// Moves to a less preferred region have to pass it.
    pub on_failover: bool,
    /// Moves to a more preferred region have to pass it.
    pub on_failback: bool,
    /// Moves to the endpoint at this position alone have to pass it.
    pub to: Option<usize>,
    /// What follows while it is shut.
    pub on_shut: OnShut,
    /// Whether its condition holds, by evidence that is not too old.
    pub open: bool,
}

impl GateView {
    /// Whether a move between endpoints has to pass it.
    pub fn concerns(&self, from: usize, to: usize) -> bool {
        let direction = if to < from { self.on_failback } else { self.on_failover };
        direction && self.to.is_none_or(|only| only == to)
    }
}

/// What came of telling the region that is left, for the move that the hub's next epoch would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FenceView {
    /// It was not called.
    #[default]
    Idle,
    /// It was called and has not answered.
    Called {
        /// Position of the endpoint that becomes active.
        to: usize,
        /// When it was called.
        at: Timestamp,
    },
    /// It has acknowledged.
    Acknowledged {
        /// Position of the endpoint that becomes active.
        to: usize,
    },
    /// It has refused, or could not be reached.
    Failed {
        /// Position of the endpoint that becomes active.
        to: usize,
        /// When that was known.
        at: Timestamp,
    },
}
