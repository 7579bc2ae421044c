//! What the operators wish: regions, probes and hubs, and the decision that follows from them.
//!
//! Pure. [`Policy`] is the validated content of all `zones/*.toml`; its reader makes it from text, with every
//! problem at once; the decision is one function that chooses the active region.

pub mod decide;
mod model;
mod read;

pub use decide::{
    Cause, Decision, EndpointView, Hold, MarkKind, MoveRefused, Moved, Previous, Resort, Rule, Rules, Standing,
    SwitchTime, Waiting, decide, judge_move, preferred,
};
pub use model::{
    Answer, Budget, Comparison, Demand, Endpoint, EndpointId, Exec, Expectation, Failback, Fence, Gate, GateKind,
    GateName, GateUse, Hook, HttpGate, HttpProbe, Hub, OnFenceFailure, OnShut, Policy, Probe, ProbeKind, ProbeName,
    ProbeTarget, Region, RegionName, Rrset, RuleName, SafetyRule, Target, TcpProbe, WhenAllDown,
};
pub use read::{hub_names, read, read_beside_refused};
