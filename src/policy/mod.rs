//! What the operators wish: regions, probes and hubs, and the decision that follows from them.
//!
//! Pure. [`Policy`] is the validated content of all `zones/*.toml`; its reader makes it from text, with every
//! problem at once; the decision is one function that chooses the active region.

mod broker;
pub mod decide;
mod judge;
mod model;
mod probe;
mod read;
mod scene;
mod secret;
mod standing;

pub use broker::{AmqpProbe, GrpcProbe, MqttProbe, MqttVersion, Password, Sasl, SharedAccess};
pub use decide::{Decision, FenceWait, Hold, Rule, Waiting, budget_ends, decide, fence_wait, is_pinned};
pub use judge::{MoveRefused, Moved, Objection, judge_move, objections, preferred};
pub use model::{
    Answer, Budget, Comparison, Demand, Endpoint, EndpointId, Exec, Failback, Fence, Gate, GateKind, GateName, GateUse,
    Hook, HttpGate, Hub, OnFenceFailure, OnShut, Policy, ProbeName, ProbeTarget, Region, RegionName, Rrset, RuleName,
    SafetyRule, Target, WhenAllDown, text_name,
};
pub use probe::{
    ClientCertificate, DialFrom, DnsProbe, Expectation, FieldValue, HttpProbe, HttpVersion, Method, Probe, ProbeKind,
    TcpProbe, TlsProbe, TlsSettings,
};
pub use read::{hub_names, read, read_beside_refused};
pub use scene::{EndpointView, FenceView, GateView, MarkKind, Resort, Rules, Scene, Seen, Sight};
pub use secret::Secret;
pub use standing::{Cause, Previous, Standing, SwitchTime};
