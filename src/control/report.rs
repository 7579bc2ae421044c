//! What `status`, `explain` and `history` show: the JSON of the admin API, read again by the CLI.
//!
//! Times are milliseconds since the Unix epoch, UTC; lengths of time are milliseconds.

use serde::{Deserialize, Serialize};

use super::mark::{Mark, MarkTarget};
use crate::dns::Name;
use crate::health::Health;
use crate::policy::{Cause, RegionName};
use crate::time::Timestamp;

/// The state of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The daemon's clock when this was made.
    pub now: Timestamp,
    /// When the daemon started.
    pub started: Timestamp,
    /// Publications so far.
    pub generation: u64,
    /// The hubs in canonical order.
    pub hubs: Vec<HubStatus>,
    /// The zones in canonical order.
    pub zones: Vec<ZoneStatus>,
    /// Owner names of all zones, empty non-terminals included.
    pub names: u64,
    /// Records of all zones.
    pub records: u64,
    /// All marks.
    pub marks: Vec<MarkStatus>,
    /// The last load of zones and policy.
    pub reload: ReloadStatus,
    /// The probers.
    pub probers: ProberStatus,
    /// What has happened since the start.
    pub totals: Totals,
}

/// One hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HubStatus {
    /// The owner name.
    pub name: Name,
    /// The active region.
    pub active: RegionName,
    /// Changes of the active region so far, from 1.
    pub epoch: u64,
    /// When the active region last changed.
    pub since: Timestamp,
    /// What changed it.
    pub cause: Cause,
    /// Why, as it was said then.
    pub reason: String,
    /// What the hub's condition is at this moment.
    pub condition: Condition,
    /// Whether all endpoints are answered at once.
    pub all: bool,
    /// TTL of the answer, seconds.
    pub ttl: u64,
    /// The answer in presentation format, one record an entry: type and RDATA.
    pub answer: Vec<String>,
    /// A change that policy wants and that waits.
    pub hold: Option<HoldStatus>,
    /// The endpoints in order of preference.
    pub endpoints: Vec<EndpointStatus>,
}

/// How a hub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// The active region is eligible and every other one too.
    Ok,
    /// The active region is eligible, another one is not.
    Degraded,
    /// The active region is not eligible, and a move waits.
    Held,
    /// No endpoint may be chosen.
    AllDown,
}

impl Condition {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Held => "held",
            Self::AllDown => "all down",
        }
    }
}

/// A change that policy wants and that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldStatus {
    /// The region that would become active.
    pub wanted: RegionName,
    /// When the wait ends by itself.
    pub until: Timestamp,
    /// What is waited for.
    pub reason: String,
}

/// One endpoint: what is measured and what follows from it, side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// The region.
    pub region: RegionName,
    /// Whether it is the active one.
    pub active: bool,
    /// What it answers, in presentation format.
    pub answer: Vec<String>,
    /// The probe and what it dials; `None` when nothing is probed.
    pub probe: Option<String>,
    /// What observations say.
    pub measured: Health,
    /// Since when they say it.
    pub measured_since: Option<Timestamp>,
    /// What follows for the decision, marks included.
    pub effective: Effective,
    /// The last observation.
    pub observed: Option<ObservationStatus>,
    /// Whether no observation comes although it should: health is then frozen at its last value.
    pub stalled: bool,
    /// The mark that holds.
    pub mark: Option<MarkStatus>,
    /// Both truths in one sentence.
    pub reason: String,
}

/// What follows from health and marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effective {
    /// May be chosen.
    Eligible,
    /// Never newly chosen, still usable as last resort.
    Drained,
    /// May not be chosen.
    NotEligible,
}

impl Effective {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Eligible => "eligible",
            Self::Drained => "drained",
            Self::NotEligible => "not eligible",
        }
    }
}

/// The last observation of an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservationStatus {
    /// When it was complete.
    pub at: Timestamp,
    /// How long it took, milliseconds.
    pub latency_ms: f64,
    /// What was wrong; `None` for a good one.
    pub failure: Option<String>,
    /// Observations of the same outcome in a row.
    pub in_a_row: u32,
}

/// One mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarkStatus {
    /// What is marked.
    pub target: MarkTarget,
    /// What the mark says.
    #[serde(flatten)]
    pub mark: Mark,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// The apex.
    pub apex: Name,
    /// The SOA serial.
    pub serial: u32,
}

/// The last load of zones and policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReloadStatus {
    /// When it was.
    pub at: Timestamp,
    /// Whether what is answered comes from it. If not, the answers are those of an earlier load.
    pub ok: bool,
    /// Its problems, or its warnings when it went well: one sentence each.
    pub problems: Vec<String>,
    /// Reading and checking the files, milliseconds.
    pub read_ms: f64,
    /// Compiling the snapshot's content, milliseconds.
    pub compile_ms: f64,
}

/// The probers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProberStatus {
    /// How many run; endpoints with the same probe and target share one.
    pub running: u64,
    /// How many give no observation although they should.
    pub stalled: u64,
    /// How often one had ended by itself and was started again.
    pub restarts: u64,
}

/// What has happened since the start of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Changes of active regions, by cause.
    pub switches: std::collections::BTreeMap<String, u64>,
    /// Observations that were good.
    pub observations_good: u64,
    /// Observations that failed.
    pub observations_failed: u64,
    /// Loads that went well, the first one included.
    pub reloads_ok: u64,
    /// Loads that were refused.
    pub reloads_refused: u64,
    /// Commits that the store refused.
    pub commits_failed: u64,
    /// Publications that a rule refused.
    pub refused: u64,
}

/// What a command that may move hubs has done. It is durable, and no older answer is given any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// What was done, in a sentence.
    pub summary: String,
    /// Whether anything changed; a repeat of an applied command changes nothing and succeeds.
    pub changed: bool,
    /// How many hubs' active region changed.
    pub moved: u64,
    /// The first of them, in the policy's order: at most [`Moved::LISTED`]. The audit trail has them all.
    pub switched: Vec<Switched>,
    /// What the operator should know of it: hubs that could not move, marks that outrank this one.
    pub notes: Vec<String>,
}

impl Moved {
    /// As many hubs as are listed at most: a caller is not to wait for the names of ten thousand.
    pub const LISTED: usize = 100;
}

/// One hub's change of active region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Switched {
    /// The hub.
    pub hub: Name,
    /// The active region before.
    pub from: Option<RegionName>,
    /// The active region since.
    pub to: RegionName,
    /// The epoch since.
    pub epoch: u64,
}

/// Why a name is answered as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The name that was asked about.
    pub name: Name,
    /// The response code of a query for it.
    pub rcode: String,
    /// How the answer comes about, step by step.
    pub steps: Vec<String>,
    /// The records of the answer in presentation format, with owner and TTL.
    pub answer: Vec<String>,
    /// The hubs on the way.
    pub hubs: Vec<HubStatus>,
}

/// What kind of change an audit record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// A hub's active region changed.
    Switch,
    /// What a hub answers changed without its active region: all endpoints at once, or no longer.
    Answer,
    /// A mark was made.
    Mark,
    /// A mark was taken away.
    Unmark,
    /// A mark ended.
    MarkExpired,
    /// Zones and policy were loaded anew.
    Reload,
    /// Hubs got numbers, by which rows of the store mean them.
    Hubs,
}

impl AuditKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Answer => "answer",
            Self::Mark => "mark",
            Self::Unmark => "unmark",
            Self::MarkExpired => "mark-expired",
            Self::Reload => "reload",
            Self::Hubs => "hubs",
        }
    }
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its number, from 1; given by the store.
    #[serde(default)]
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// What kind of change.
    pub kind: AuditKind,
    /// What it is about: a hub, or what was marked.
    pub subject: String,
    /// Who: an operator, or `concierge`.
    pub author: String,
    /// By which way the command came.
    pub origin: String,
    /// The hub's epoch since.
    pub epoch: Option<u64>,
    /// What was before.
    pub before: Option<String>,
    /// What is since.
    pub after: Option<String>,
    /// Why, as it was said then.
    pub reason: String,
}
