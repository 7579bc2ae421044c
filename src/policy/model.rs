//! The validated policy: every name resolves, every number is in range.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{GeoSettings, Probe, Selection};
use crate::diagnostic::Place;
use crate::dns::{Name, Rtype};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is; the policy's reader checks its form.
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

identifier! {
    /// The name of a region: 1 to 63 of `a-z`, `0-9`, `-` and `_`, starting with a letter or digit.
    RegionName
}
identifier! {
    /// The name of a probe: of the same form as a region's.
    ProbeName
}
identifier! {
    /// The name of a gate: of the same form as a region's.
    GateName
}
identifier! {
    /// The name of a safety rule: of the same form as a region's.
    RuleName
}

/// The whole policy: the content of every `zones/*.toml`, merged.
///
/// Ordered maps only, so that equal files give equal snapshots.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The regions by name.
    pub regions: BTreeMap<RegionName, Region>,
    /// The probes by name.
    pub probes: BTreeMap<ProbeName, Arc<Probe>>,
    /// What this node has to reach, or it is blind.
    pub references: BTreeSet<ProbeTarget>,
    /// The gates by name.
    pub gates: BTreeMap<GateName, Arc<Gate>>,
    /// The safety rules by name.
    pub rules: BTreeMap<RuleName, Arc<SafetyRule>>,
    /// The hubs by owner name, in canonical order.
    pub hubs: BTreeMap<Name, Arc<Hub>>,
    /// Where to look up where a client is.
    pub geo: GeoSettings,
}

impl Policy {
    /// Every distinct thing that has to be probed: endpoints that share probe and target share one prober.
    pub fn probe_targets(&self) -> BTreeSet<ProbeTarget> {
        let endpoints = self.hubs.values().flat_map(|hub| hub.endpoints.iter());
        let probed = endpoints.flat_map(|endpoint| endpoint.probe.iter().chain(&endpoint.shadow));
        let mut targets: BTreeSet<ProbeTarget> = probed.chain(&self.references).cloned().collect();
        // What a composite follows from is probed too.
        let mut open: Vec<ProbeTarget> = targets.iter().cloned().collect();
        while let Some(ProbeTarget { probe, target }) = open.pop() {
            for member in self.probes.get(&probe).map_or(&[][..], |probe| probe.kind.members()) {
                let member = ProbeTarget { probe: member.clone(), target: target.clone() };
                if targets.insert(member.clone()) {
                    open.push(member);
                }
            }
        }
        targets
    }
}

/// A failure domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    /// Latitude and longitude in degrees, north and east positive.
    pub location: Option<(f64, f64)>,
}

/// A name whose answer depends on policy and region state.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The owner name.
    pub name: Name,
    /// How the origin of a query selects an endpoint. Default [`Selection::Priority`].
    pub selection: Selection,
    /// TTL of the hub's own RRsets. Default 30 s, range 5 s to 1 d.
    pub ttl: Duration,
    /// TTL of the hub's own RRsets while it may soon switch, or has just done so. Default `ttl`, range 5 s to `ttl`.
    pub ttl_min: Duration,
    /// How long the TTL stays low after the last reason for it. Default 5 min, range 0 to 1 d.
    pub ttl_restore: Duration,
    /// By how much of it the TTL is lower for some resolvers than for others, percent. Default 0, range 0 to 50.
    pub ttl_spread: u8,
    /// Whether `_concierge.NAME` has a TXT record of active region, epoch and since. Default false.
    pub txt: bool,
    /// Least time between two automatic switches of this hub. Default 1 min, range 0 to 7 d.
    pub dwell: Duration,
    /// When a better region that comes back takes over. Default manual.
    pub failback: Failback,
    /// What is answered when no endpoint may be chosen. Default [`WhenAllDown::Keep`].
    pub when_all_down: WhenAllDown,
    /// Recovery time objective: a TTL above it is refused.
    pub rto: Option<Duration>,
    /// The gates that a move of this hub has to pass, in the order in which they are looked at.
    pub gates: Vec<GateUse>,
    /// So many automatic switches within [`flap_window`](Hub::flap_window) pin the hub. Default 3, range 1 to 32.
    pub flap_limit: NonZeroU8,
    /// Default 1 h, range 1 min to 7 d.
    pub flap_window: Duration,
    /// How many switches of any origin there may be. Default: as many as there are reasons for.
    pub budget: Option<Budget>,
    /// How many operators a planned move needs: 1, the default, or 2.
    pub approvals: u8,
    /// Who is told, before a switch, that the old region is no longer active.
    pub fence: Option<Arc<Fence>>,
    /// Whether it is a name for drills.
    pub canary: bool,
    /// The endpoints in order of preference: at least one, each of another region. At most
    /// [`Selection::MOST_USABLE`] unless the policy is `priority`.
    pub endpoints: Vec<Endpoint>,
    /// Where the hub is defined.
    pub place: Place,
}

impl Hub {
    /// One with all defaults.
    pub fn new(name: Name, endpoints: Vec<Endpoint>, place: Place) -> Self {
        Self {
            name,
            selection: Selection::Priority,
            ttl: Duration::from_secs(30),
            ttl_min: Duration::from_secs(30),
            ttl_restore: Duration::from_mins(5),
            ttl_spread: 0,
            txt: false,
            dwell: Duration::from_mins(1),
            failback: Failback::Manual,
            when_all_down: WhenAllDown::Keep,
            rto: None,
            gates: Vec::new(),
            flap_limit: const { NonZeroU8::new(3).unwrap() },
            flap_window: Duration::from_hours(1),
            budget: None,
            approvals: 1,
            fence: None,
            canary: false,
            endpoints,
            place,
        }
    }

    /// The position of the endpoint in `region`.
    pub fn position(&self, region: &RegionName) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| endpoint.region == *region)
    }
}

/// Where a hub with [`txt`](Hub::txt) says what it answers: `_concierge.HUB`. `None` where that is longer than a name may be.
pub fn text_name(hub: &Name) -> Option<Name> {
    hub.child(b"_concierge").ok()
}

/// When a better region that comes back takes over from the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// Only when an operator says `failback`.
    Manual,
    /// When it has been eligible and observed up for this long without a break.
    After(Duration),
}

/// What is answered when no endpoint may be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhenAllDown {
    /// The last active region goes on being answered.
    Keep,
    /// The addresses of every endpoint at once; needs endpoints with addresses.
    All,
    /// The endpoint of last resort.
    Region(RegionName),
}

/// What one hub answers for one region.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The region.
    pub region: RegionName,
    /// What is answered while this region is active.
    pub answer: Answer,
    /// What is probed; `None` leaves the health unknown for ever.
    pub probe: Option<ProbeTarget>,
    /// What is probed to be shown, and decides nothing.
    pub shadow: Option<ProbeTarget>,
    /// Its share of the queries under [`Selection::Weighted`]. Default 1. 0: used only while no endpoint with a weight is
    /// usable.
    pub weight: u16,
    /// How many endpoints of the hub inside it have to be good, of one that answers with a hub. Default 1, range 1 to 64.
    pub at_least: u8,
}

impl Endpoint {
    /// One that is not probed.
    pub fn new(region: RegionName, answer: Answer) -> Self {
        Self { region, answer, probe: None, shadow: None, weight: 1, at_least: 1 }
    }
}

/// A condition that has to hold before the active region may change.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Its name.
    pub name: GateName,
    /// How it is looked at.
    pub kind: GateKind,
    /// Time between two looks. Default 30 s, range 1 s to 1 h. An acknowledgement is not looked at.
    pub interval: Duration,
    /// Time after which a look has failed. Default 5 s, range 100 ms to 5 min.
    pub timeout: Duration,
    /// Age from which evidence counts as shut. Default 3 intervals and one timeout, at least interval and timeout.
    pub max_age: Duration,
}

/// How a gate is looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum GateKind {
    /// An HTTP request, open by its status and by a value in its JSON body.
    Http(HttpGate),
    /// A command: exit code 0 is open, the first line that it prints is the evidence.
    Exec(Exec),
    /// An operator's acknowledgement, valid for one hub's epoch alone.
    Ack,
}

impl GateKind {
    /// The word that selects it in the policy.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Exec(_) => "exec",
            Self::Ack => "ack",
        }
    }
}

/// A program and its arguments; no shell is between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments; at least one. The program is a path with a `/` in it: absolute, or seen from where
    /// the daemon was started.
    pub command: Vec<String>,
}

impl Exec {
    /// The path of the program.
    pub fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }
}

/// An HTTP request, and what its response has to be.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpGate {
    /// `http` or `https`; certificates are always verified.
    pub url: String,
    /// File of PEM trust anchors used instead of the system's.
    pub ca: Option<PathBuf>,
    /// Status codes, as inclusive ranges. Default 200.
    pub status: Vec<(u16, u16)>,
    /// What the body has to hold.
    pub value: Option<(String, Comparison)>,
}

/// What the value at a JSON pointer (RFC 6901) is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// It is this text, number or truth value.
    Equals(serde_json::Value),
    /// It is a number, and no larger.
    AtMost(f64),
    /// It is a number, and no smaller.
    AtLeast(f64),
}

/// Where a hub uses a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateUse {
    /// The gate.
    pub gate: GateName,
    /// Moves to a less preferred region than the active one have to pass it.
    pub on_failover: bool,
    /// Moves to a more preferred region have to pass it.
    pub on_failback: bool,
    /// Moves to this region alone have to pass it; `None`: to any.
    pub to: Option<RegionName>,
    /// What follows while it is shut.
    pub on_shut: OnShut,
}

/// What follows while a gate is shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnShut {
    /// The move waits until it opens, or an operator forces it. The default.
    Hold,
    /// The move waits for so long, and then passes.
    ProceedAfter(Duration),
}

/// How many switches there may be in a period that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// 1 to 32.
    pub switches: NonZeroU8,
    /// An hour, a day or a week.
    pub period: Duration,
}

/// Tells a region that it is no longer active, before the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// What is called.
    pub hook: Hook,
    /// How long an acknowledgement is waited for. Default 5 s, range 100 ms to 5 min.
    pub timeout: Duration,
    /// Whether the switch is done without one.
    pub on_failure: OnFenceFailure,
}

/// What is called when something happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A POST of JSON; a status of 200 to 299 acknowledges it.
    Http {
        /// `http` or `https`; certificates are always verified.
        url: String,
        /// File of PEM trust anchors used instead of the system's.
        ca: Option<PathBuf>,
    },
    /// A command with the same JSON on its standard input; exit code 0 acknowledges it.
    Exec(Exec),
}

/// What a fence that is not acknowledged leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFenceFailure {
    /// The switch is done all the same, and says so. The default.
    Proceed,
    /// The switch is not done until the region acknowledges, or an operator forces it.
    Stop,
}

/// What is looked at over several hubs or regions before a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyRule {
    /// Its name.
    pub name: RuleName,
    /// What it demands.
    pub demand: Demand,
    /// Where it is defined.
    pub place: Place,
}

/// What a safety rule demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// So many of these endpoints are active after the switch, at least.
    AtLeast(u32, BTreeSet<EndpointId>),
    /// So many of these endpoints are active after the switch, at most.
    AtMost(u32, BTreeSet<EndpointId>),
    /// A gate is open for every switch of these hubs, and for every switch from or to these regions.
    Gate {
        /// The gate.
        gate: GateName,
        /// The hubs.
        hubs: BTreeSet<Name>,
        /// The regions.
        regions: BTreeSet<RegionName>,
    },
}

/// What a hub answers for one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A CNAME to this target.
    Cname(Name),
    /// A and AAAA RRsets: at least one address, in configured order.
    Addresses(Vec<IpAddr>),
    /// Any RRsets, in order of their types; at least one. Never CNAME.
    Rrsets(Vec<Rrset>),
    /// What this other hub answers the same client with. Hubs in hubs are at most [`Answer::DEEPEST`] deep and never lead
    /// back.
    Hub(Name),
}

impl Answer {
    /// How many hubs may be inside one another, the outermost one included.
    pub const DEEPEST: usize = 4;

    /// The RRsets in wire form, in order of their types; none of its own for [`Answer::Hub`].
    pub fn rrsets(&self) -> Vec<Rrset> {
        match self {
            Self::Cname(target) => vec![Rrset { rtype: Rtype::CNAME, rdatas: vec![target.wire().into()] }],
            Self::Addresses(addresses) => {
                let of = |rtype, wire: fn(&IpAddr) -> Option<Box<[u8]>>| Rrset {
                    rtype,
                    rdatas: addresses.iter().filter_map(wire).collect(),
                };
                let v4 = of(Rtype::A, |address| match address {
                    IpAddr::V4(v4) => Some(v4.octets().into()),
                    IpAddr::V6(_) => None,
                });
                let v6 = of(Rtype::AAAA, |address| match address {
                    IpAddr::V4(_) => None,
                    IpAddr::V6(v6) => Some(v6.octets().into()),
                });
                [v4, v6].into_iter().filter(|rrset| !rrset.rdatas.is_empty()).collect()
            }
            Self::Rrsets(rrsets) => rrsets.clone(),
            Self::Hub(_) => Vec::new(),
        }
    }
}

/// An RRset without owner and TTL, which are the hub's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// The type.
    pub rtype: Rtype,
    /// The RDATA of each record in uncompressed wire form; at least one.
    pub rdatas: Vec<Box<[u8]>>,
}

/// One endpoint of one hub, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct EndpointId {
    /// The hub's owner name.
    pub hub: Name,
    /// The endpoint's region.
    pub region: RegionName,
}

/// What one prober watches: a probe and what it is pointed at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeTarget {
    /// The definition of the check.
    pub probe: ProbeName,
    /// What is dialled.
    pub target: Target,
}

impl fmt::Display for ProbeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.probe, self.target)
    }
}

/// What a prober dials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A host name, resolved for every observation; one address that answers is enough.
    Host(Name),
    /// These addresses; one that answers is enough.
    Addresses(Vec<IpAddr>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => write!(f, "{name}"),
            Self::Addresses(addresses) => {
                for (at, address) in addresses.iter().enumerate() {
                    write!(f, "{}{address}", if at > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}
