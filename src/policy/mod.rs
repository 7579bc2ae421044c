//! What the operators wish: regions, probes and hubs, and the decision that follows from them.
//!
//! Pure. [`Policy`] is the validated content of all `zones/*.toml`; its reader makes it from text, with every
//! problem at once; the decision is one function that chooses the active region.

pub mod decide;
mod judge;
mod model;
mod read;
mod scene;
mod selection;
mod standing;
pub mod usable;

pub use decide::{Decision, FenceWait, Hold, Rule, Waiting, budget_ends, decide, fence_wait, is_pinned};
pub use judge::{MoveRefused, Moved, Objection, judge_move, objections, preferred};
pub use model::{
    Answer, Budget, Comparison, Demand, Endpoint, EndpointId, Exec, Expectation, Failback, Fence, Gate, GateKind,
    GateName, GateUse, Hook, HttpGate, HttpProbe, Hub, OnFenceFailure, OnShut, Policy, Probe, ProbeKind, ProbeName,
    ProbeTarget, Region, RegionName, Rrset, RuleName, SafetyRule, Target, TcpProbe, WhenAllDown, text_name,
};
pub use read::{hub_names, read, read_beside_refused};
pub use scene::{EndpointView, FenceView, GateView, MarkKind, Resort, Rules, Scene, Seen, Sight};
pub use selection::{GeoEntry, GeoFile, GeoMap, GeoSettings, Origin, Prefixes, Selection};
pub use standing::{Cause, Previous, Standing, SwitchTime};
