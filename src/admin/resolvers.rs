//! `GET /v1/hubs/HUB/resolvers`: who still asks late after the last switches of a hub.

use axum::Json;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::{Answer, Problem, Shared, look, owner};
use crate::answer::snapshot::hub_key;
use crate::dns::Name;
use crate::policy::RegionName;
use crate::serve::resolvers::{BOUNDS, Overrun, Returns, SWITCHES, SwitchOf, overrun};
use crate::time::Timestamp;

/// How the resolvers of a hub came back after its last switches. Counts are of the sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HubResolvers {
    /// The hub.
    pub hub: Name,
    /// The active region.
    pub active: RegionName,
    /// The hub's epoch.
    pub epoch: u64,
    /// TTL of the hub, seconds.
    pub ttl: u64,
    /// When this was worked out.
    pub now: Timestamp,
    /// One of so many resolvers is sampled: what counts are multiplied by for all. 0 for none.
    pub scale: u32,
    /// Sampled resolvers that are known to ask for the hub.
    pub sampled: u64,
    /// The last switches, newest first.
    pub switches: Vec<SwitchResolvers>,
}

/// What became of the sampled resolvers that held an older answer at a switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwitchResolvers {
    /// The epoch that began with it.
    pub epoch: u64,
    /// When it was.
    pub since: Timestamp,
    /// How many there are.
    pub held: u64,
    /// Came back within the TTL that they had been given.
    pub on_time: u64,
    /// Came back later.
    pub late: u64,
    /// How much later.
    pub late_by: Vec<LateBy>,
    /// Have not come back.
    pub outstanding: u64,
    /// Have not come back, although their TTL is over.
    pub overdue: u64,
    /// When the last TTL of those that have not come back is over.
    pub last_due: Option<Timestamp>,
    /// For how long those that came back had overrun their TTL.
    pub overrun: Option<OverrunSeconds>,
}

/// One bucket of lateness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateBy {
    /// From so many seconds on.
    pub from: u64,
    /// To so many; without an end where it is left out.
    pub to: Option<u64>,
    /// So many resolvers.
    pub resolvers: u64,
}

/// Quantiles of the overrun, seconds; 1800 means so much or more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverrunSeconds {
    /// Half of the resolvers.
    pub p50: f64,
    /// 95 in a hundred.
    pub p95: f64,
    /// 99 in a hundred.
    pub p99: f64,
    /// All of them.
    pub max: f64,
}

impl From<Overrun> for OverrunSeconds {
    fn from(overrun: Overrun) -> Self {
        let [p50, p95, p99, max] =
            [overrun.p50, overrun.p95, overrun.p99, overrun.max].map(|length| length.as_millis() as f64 / 1e3);
        Self { p50, p95, p99, max }
    }
}

impl SwitchResolvers {
    fn new(switch: SwitchOf, returns: &Returns) -> Self {
        let Returns { returned, outstanding, overdue, last_due } = *returns;
        let froms = [0].into_iter().chain(BOUNDS);
        let tos = BOUNDS.into_iter().map(Some).chain([None]);
        let late_by = froms.zip(tos).zip(returned.late).map(|((from, to), resolvers)| LateBy { from, to, resolvers });
        Self {
            epoch: switch.epoch,
            since: switch.since,
            held: returned.total() + outstanding,
            on_time: returned.on_time,
            late: returned.late(),
            late_by: late_by.collect(),
            outstanding,
            overdue,
            last_due,
            overrun: overrun(&returned).map(OverrunSeconds::from),
        }
    }
}

pub(super) async fn resolvers(State(shared): State<Shared>, UrlPath(hub): UrlPath<String>) -> Answer {
    let hub = owner(&hub)?;
    let counters = shared.counters.clone();
    look(&shared, move |view| {
        let unknown = || Problem::new(StatusCode::NOT_FOUND, "not-found", view.no_hub(&hub));
        let status = view.hub(&hub).ok_or_else(unknown)?;
        let (resolvers, key) = (counters.resolvers(), hub_key(&hub));
        let switches = view.switches(&hub, SWITCHES);
        let switches: Vec<_> = switches.into_iter().map(|(epoch, since)| SwitchOf { epoch, since }).collect();
        let returns = resolvers.returns(key, &switches);
        let found = HubResolvers {
            hub: status.name,
            active: status.active,
            epoch: status.epoch,
            ttl: status.ttl,
            now: view.now(),
            scale: resolvers.scale(),
            sampled: resolvers.sampled(key),
            switches: switches.iter().zip(&returns).map(|(at, returns)| SwitchResolvers::new(*at, returns)).collect(),
        };
        Ok(Json(found).into_response())
    })
    .await
}
