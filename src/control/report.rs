//! What `status`, `explain` and `history` show: the JSON of the admin API, read again by the CLI.
//!
//! Times are milliseconds since the Unix epoch, UTC; lengths of time are milliseconds.

use serde::{Deserialize, Serialize};

use super::drill::DrillStatus;
use super::known::{Notice, Override, Window};
use super::mark::{Mark, MarkTarget};
use super::moves::Move;
use crate::dns::Name;
use crate::health::Health;
use crate::policy::{Cause, GateName, ProbeName, RegionName};
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
    /// All maintenance windows that have not ended.
    #[serde(default)]
    pub windows: Vec<WindowStatus>,
    /// The gates, in order of their names, as they were looked at last.
    #[serde(default)]
    pub gates: Vec<EvidenceStatus>,
    /// Whether this node sees.
    #[serde(default)]
    pub sight: SightStatus,
    /// The last load of zones and policy.
    pub reload: ReloadStatus,
    /// The databases that say where a client is, where the policy has any.
    #[serde(default)]
    pub databases: Option<DatabasesStatus>,
    /// The certificate of the encrypted listeners, where there are any.
    #[serde(default)]
    pub certificate: Option<CertificateStatus>,
    /// The probers.
    pub probers: ProberStatus,
    /// What probers saw beside their verdicts: of those alone that saw something.
    #[serde(default)]
    pub remarks: Vec<RemarkStatus>,
    /// What this machine lacks to observe, of the first [`LACKS_LISTED`] that it cannot.
    #[serde(default)]
    pub lacks: Vec<LackStatus>,
    /// The one writer's own pace.
    #[serde(default)]
    pub turn: TurnStatus,
    /// What has happened since the start.
    pub totals: Totals,
}

/// The certificate of the encrypted listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// Its file.
    pub path: String,
    /// When the one in use expires.
    pub expires: Timestamp,
    /// What is wrong with the files as they are, for which the one before is in use.
    #[serde(default)]
    pub problem: Option<String>,
}

/// How long the one writer takes to work out what follows from an event, without the effects: loads of files left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnStatus {
    /// Events since the start.
    pub events: u64,
    /// The last one, milliseconds.
    pub last_ms: f64,
    /// The longest since the start, milliseconds.
    pub longest_ms: f64,
}

/// One hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HubStatus {
    /// The owner name.
    pub name: Name,
    /// Its policy: `priority`, `weighted`, `geo`, `nearest`, `all` or `sticky`.
    #[serde(default)]
    pub policy: String,
    /// The active region; empty, and left out in JSON, of a hub whose policy has none.
    #[serde(default = "no_region", skip_serializing_if = "is_no_region")]
    pub active: RegionName,
    /// The regions that a hub without an active region answers out of; empty for one that has one.
    #[serde(default)]
    pub usable: Vec<RegionName>,
    /// Changes of the active region so far, from 1; 0 without one.
    pub epoch: u64,
    /// When the active region, or what is usable, last changed.
    pub since: Timestamp,
    /// What changed the active region; `start` without one.
    pub cause: Cause,
    /// Why, as it was said then.
    pub reason: String,
    /// What the hub's condition is at this moment.
    pub condition: Condition,
    /// Whether all endpoints are answered at once.
    pub all: bool,
    /// TTL of the answer at this moment, seconds.
    pub ttl: u64,
    /// Whether that is the lower one of troubled times.
    #[serde(default)]
    pub low_ttl: bool,
    /// The answer in presentation format, one record an entry: type and RDATA.
    pub answer: Vec<String>,
    /// A change that policy wants and that waits.
    pub hold: Option<HoldStatus>,
    /// The gates that a move has to pass.
    #[serde(default)]
    pub gates: Vec<GateStatus>,
    /// The planned move that is under way, or was last.
    #[serde(default)]
    pub planned: Option<MoveStatus>,
    /// Whether it has switched by itself so often that it stays until somebody acknowledges it.
    #[serde(default)]
    pub pinned: bool,
    /// The budget of switches.
    #[serde(default)]
    pub budget: Option<BudgetStatus>,
    /// What was overridden and not acknowledged yet.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// What else somebody has to know and has not acknowledged yet: a planned move that has stopped by itself, a region that
    /// was told that it is left and stays active.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// The drill that is under way.
    #[serde(default)]
    pub drill: Option<DrillStatus>,
    /// The endpoints in order of preference.
    pub endpoints: Vec<EndpointStatus>,
}

/// The active region of a hub that has none.
pub(super) fn no_region() -> RegionName {
    RegionName::new("")
}

fn is_no_region(region: &RegionName) -> bool {
    region.as_str().is_empty()
}

/// How a hub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// The active region is eligible and every other one too; without an active region, all endpoints are usable.
    Ok,
    /// The active region is eligible, another one is not; without an active region, some endpoints are usable.
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
    /// What is waited for, in a word: one of [`Waiting::WORDS`](crate::policy::Waiting::WORDS).
    pub waiting: String,
    /// Since when this move has waited.
    pub since: Timestamp,
    /// When the wait ends by itself; `None`: when something else changes.
    pub until: Option<Timestamp>,
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
    /// Whether it may be answered, of a hub without an active region.
    #[serde(default)]
    pub usable: bool,
    /// Its share of the queries, of a hub with policy `weighted`.
    #[serde(default)]
    pub weight: Option<u16>,
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
    /// What this machine lacks to observe it; `None` when it can.
    #[serde(default)]
    pub unable: Option<String>,
    /// What an operator should know although the last observation was good.
    #[serde(default)]
    pub note: Option<String>,
    /// The mark that holds.
    pub mark: Option<MarkStatus>,
    /// What is probed beside, to be looked at, and decides nothing.
    #[serde(default)]
    pub shadow: Option<ShadowStatus>,
    /// Both truths in one sentence.
    pub reason: String,
}

/// A probe that decides nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowStatus {
    /// The probe and what it dials.
    pub probe: String,
    /// What observations say.
    pub measured: Health,
    /// What was wrong with the last one.
    pub failure: Option<String>,
    /// Whether no observation comes although it should.
    #[serde(default)]
    pub stalled: bool,
    /// What this machine lacks to observe it; `None` when it can.
    #[serde(default)]
    pub unable: Option<String>,
    /// How often it went down in the last week, of the last 32 times, while its endpoint was active: so often the hub would
    /// have left.
    pub would_have_left: u64,
}

/// One use of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateStatus {
    /// The gate.
    pub gate: GateName,
    /// `http`, `exec` or `ack`.
    pub kind: String,
    /// Whether moves to a less preferred region have to pass it.
    pub on_failover: bool,
    /// Whether moves to a more preferred region have to pass it.
    pub on_failback: bool,
    /// The only region that it is about.
    pub to: Option<RegionName>,
    /// After how long a move passes while it is shut, milliseconds; `None`: never.
    pub proceed_after_ms: Option<u64>,
    /// Whether it is open.
    pub open: bool,
    /// What was seen, or why it counts as shut.
    pub evidence: String,
    /// When that was.
    pub at: Option<Timestamp>,
}

/// A gate as it was looked at last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvidenceStatus {
    /// The gate.
    pub gate: GateName,
    /// `http`, `exec` or `ack`.
    pub kind: String,
    /// Whether it is open; of one that is acknowledged the hubs say it.
    pub open: bool,
    /// What was seen.
    pub evidence: Option<String>,
    /// When that was.
    pub at: Option<Timestamp>,
    /// Age from which evidence counts as shut, milliseconds.
    pub max_age_ms: u64,
}

/// A planned move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MoveStatus {
    /// The move.
    #[serde(flatten)]
    pub planned: Move,
    /// It in a sentence.
    pub sentence: String,
}

/// The budget of a hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetStatus {
    /// Switches allowed in a period.
    pub allowed: u64,
    /// Switches in the period that ends now.
    pub used: u64,
    /// The period, milliseconds.
    pub period_ms: u64,
    /// When the next one is allowed; `None`: now.
    pub until: Option<Timestamp>,
}

/// A maintenance window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowStatus {
    /// Its number.
    pub id: String,
    /// The window.
    #[serde(flatten)]
    pub window: Window,
}

/// Whether this node sees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SightStatus {
    /// Whether it is cut off: health is frozen then.
    pub blind: bool,
    /// Since when it is so; `None`: since the start.
    pub since: Option<Timestamp>,
    /// How many references the policy has.
    pub references: u64,
    /// When one of them was last reached.
    pub seen: Option<Timestamp>,
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

/// What a prober saw beside its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemarkStatus {
    /// The probe.
    pub probe: ProbeName,
    /// What it dials.
    pub target: String,
    /// What an operator should know although the last observation was good.
    pub note: Option<String>,
    /// When the certificate expires that was last seen.
    pub expires: Option<Timestamp>,
}

/// Targets that a status lists with what this machine lacks to observe them. One that is out of something is so for all.
pub const LACKS_LISTED: usize = 100;

/// What this machine lacks to observe a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LackStatus {
    /// The probe.
    pub probe: ProbeName,
    /// What it dials.
    pub target: String,
    /// What is lacking.
    pub lack: String,
}

/// The databases that say where a client is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatabasesStatus {
    /// When they were last read.
    pub at: Timestamp,
    /// Whether clients are classed by them. If not, they are by those of before.
    pub ok: bool,
    /// What was wrong with them: one sentence each.
    pub problems: Vec<String>,
}

/// The probers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProberStatus {
    /// How many run; endpoints with the same probe and target share one.
    pub running: u64,
    /// How many give no observation although they should.
    pub stalled: u64,
    /// How many cannot observe for something that this machine lacks.
    #[serde(default)]
    pub unable: u64,
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
    /// Observations that this machine could not make.
    #[serde(default)]
    pub observations_unable: u64,
    /// Loads that went well, the first one included.
    pub reloads_ok: u64,
    /// Loads that were refused.
    pub reloads_refused: u64,
    /// Commits that the store refused.
    pub commits_failed: u64,
    /// Publications that a rule refused.
    pub refused: u64,
    /// Changes of what hubs without an active region answer out of.
    #[serde(default)]
    pub usable_changes: u64,
    /// Times that the clock went forward by more than was lived through.
    #[serde(default)]
    pub clock_jumps: u64,
}

/// What a command that may move hubs has done. It is durable, and no older answer is given any more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// What was done, in a sentence.
    pub summary: String,
    /// Whether anything changed; a repeat of an applied command changes nothing and succeeds.
    pub changed: bool,
    /// How many hubs' active region changed.
    pub moved: u64,
    /// The first of them, in the policy's order: at most [`Moved::LISTED`]. The audit trail has them all.
    pub switched: Vec<Switched>,
    /// How many hubs without an active region answer out of other endpoints.
    #[serde(default)]
    pub usable_changed: u64,
    /// The first of them: at most [`Moved::LISTED`].
    #[serde(default)]
    pub usable: Vec<UsableChange>,
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

/// A change of the endpoints that a hub without an active region answers out of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsableChange {
    /// The hub.
    pub hub: Name,
    /// The regions before.
    pub before: Vec<RegionName>,
    /// The regions since.
    pub after: Vec<RegionName>,
    /// Whether nothing is usable by itself since.
    pub all_down: bool,
}

impl std::fmt::Display for UsableChange {
    /// `api.example.net.: westeurope, eastus -> eastus`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listed = |regions: &[RegionName]| regions.iter().map(RegionName::as_str).collect::<Vec<_>>().join(", ");
        let all_down = if self.all_down { " (all down)" } else { "" };
        write!(f, "{}: {} -> {}{all_down}", self.hub, listed(&self.before), listed(&self.after))
    }
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
    /// The endpoints that a hub without an active region answers out of changed.
    Usable,
    /// A mark was made.
    Mark,
    /// A mark was taken away.
    Unmark,
    /// A mark ended.
    MarkExpired,
    /// Zones and policy were loaded anew.
    Reload,
    /// A planned move was asked for, went on, or was stopped.
    Move,
    /// A gate was acknowledged.
    Gate,
    /// Flapping, or what was overridden, was acknowledged.
    Acknowledge,
    /// A window was made, began, ended, or was taken away.
    Window,
    /// A gate, the budget or a safety rule was overridden.
    Override,
    /// This node became blind, or sees again.
    Blind,
    /// The health of what is probed changed.
    Health,
    /// A region was told that it is no longer active, or could not be.
    Fence,
    /// A drill of a canary began or ended, or its region began to count as down.
    Drill,
    /// Another process was to take over, or has.
    Upgrade,
    /// Hubs got numbers, by which rows of the store mean them.
    Hubs,
}

impl AuditKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Answer => "answer",
            Self::Usable => "usable",
            Self::Mark => "mark",
            Self::Unmark => "unmark",
            Self::MarkExpired => "mark-expired",
            Self::Reload => "reload",
            Self::Move => "move",
            Self::Gate => "gate",
            Self::Acknowledge => "acknowledge",
            Self::Window => "window",
            Self::Override => "override",
            Self::Blind => "blind",
            Self::Health => "health",
            Self::Fence => "fence",
            Self::Drill => "drill",
            Self::Upgrade => "upgrade",
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
