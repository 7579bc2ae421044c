//! The bodies and queries of the admin API's requests; the CLI makes them of the same types.

use serde::{Deserialize, Serialize};

use crate::policy::{MarkKind, RegionName};
use crate::time::Timestamp;

/// `PUT /v1/marks/TARGET`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkRequest {
    /// `up`, `down` or `drain`.
    pub kind: MarkKind,
    /// Why.
    pub reason: String,
    /// When the mark begins, milliseconds since the Unix epoch; at once, when left out. One that begins later is a window.
    pub from: Option<Timestamp>,
    /// When the mark ends, milliseconds since the Unix epoch; never, when left out.
    pub until: Option<Timestamp>,
    /// Who.
    pub author: Option<String>,
}

/// `POST /v1/hubs/HUB/failover` and `/failback`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// The region, for `failover`; `failback` goes to the preferred one.
    pub to: Option<RegionName>,
    /// The epoch that the move was planned at. A repeat of a move that has been applied then succeeds and changes
    /// nothing, and one planned before another change is refused.
    pub epoch: Option<u64>,
    /// When the switch is to be, milliseconds since the Unix epoch; as soon as it can be, when left out.
    pub at: Option<Timestamp>,
    /// When the move is given up if it has not switched, milliseconds since the Unix epoch. Until then a gate that is shut
    /// is waited for.
    pub until: Option<Timestamp>,
    /// Whether the TTL is not lowered first.
    #[serde(default)]
    pub now: bool,
    /// Whether gates, and a fence that has failed, are overridden.
    #[serde(default)]
    pub force: bool,
    /// Why the budget and safety rules are overridden; they are not, when left out.
    pub break_glass: Option<String>,
    /// Why.
    pub reason: String,
    /// Who.
    pub author: Option<String>,
}

/// The query of `GET /v1/hubs/HUB/plan`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanQuery {
    /// The region; the preferred one, as `failback` goes to, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<RegionName>,
    /// The epoch that the move was planned at before; it is planned at that of this moment, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// When the switch is to be, milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// When the move is given up, milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether the TTL is not lowered first.
    #[serde(default)]
    pub now: bool,
    /// Whether gates are overridden.
    #[serde(default)]
    pub force: bool,
    /// Why the budget and safety rules are overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
}

/// The query of `GET /v1/foresee/TARGET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeseeQuery {
    /// `up`, `down` or `drain`.
    pub kind: MarkKind,
}

/// `POST /v1/hubs/HUB/approve`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The epoch that the move was planned at.
    pub epoch: Option<u64>,
    /// Who.
    pub author: Option<String>,
}

/// `POST /v1/hubs/HUB/gates/GATE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AckRequest {
    /// Why.
    pub reason: String,
    /// When the acknowledgement ends, milliseconds since the Unix epoch; with the hub's epoch, when left out.
    pub until: Option<Timestamp>,
    /// Who.
    pub author: Option<String>,
}

/// `POST /v1/hubs/HUB/acknowledge`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// Why.
    pub reason: String,
    /// Who.
    pub author: Option<String>,
}

/// `POST /v1/hubs/HUB/drill`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillRequest {
    /// The region that goes dark; the active one, when left out, and no other can be drilled.
    pub region: Option<RegionName>,
    /// After how long it is given up by itself, milliseconds; 15 minutes, which are the most, when left out.
    pub within_ms: Option<u64>,
    /// Why.
    pub reason: String,
    /// Who.
    pub author: Option<String>,
}

/// The query of `DELETE /v1/marks/TARGET`, `/v1/hubs/HUB/move`, `/v1/hubs/HUB/drill` and `/v1/windows/ID`, and of `POST /v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorAndReason {
    /// Who.
    pub author: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// The query of `GET /v1/explain/NAME`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// The record type by its mnemonic; a hub's own, or A, when left out.
    pub rtype: Option<String>,
    /// The address of a client: what a hub without an active region answers may depend on it.
    pub from: Option<String>,
    /// A past time, milliseconds since the Unix epoch: what a hub answered then, and why.
    pub at: Option<Timestamp>,
}

/// The query of `GET /v1/history`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Only records about this hub or region.
    pub subject: Option<String>,
    /// At most this many. Default 50.
    pub limit: Option<usize>,
    /// Only records that are not older, milliseconds since the Unix epoch.
    pub from: Option<Timestamp>,
    /// Only records that are not newer.
    pub to: Option<Timestamp>,
}

/// The query of `GET /v1/history/verify`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyQuery {
    /// A hash that was kept: 64 hexadecimal digits, or at least the first 16.
    pub head: Option<String>,
}

/// The query of `GET /v1/history/export`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// From the first record on that is not older, milliseconds since the Unix epoch.
    pub from: Option<Timestamp>,
    /// Up to the first record that is newer.
    pub to: Option<Timestamp>,
}
