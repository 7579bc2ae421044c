//! The validated policy: every name resolves, every number is in range.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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

/// The whole policy: the content of every `zones/*.toml`, merged.
///
/// Ordered maps only, so that equal files give equal snapshots.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The regions by name.
    pub regions: BTreeMap<RegionName, Region>,
    /// The probes by name.
    pub probes: BTreeMap<ProbeName, Arc<Probe>>,
    /// The hubs by owner name, in canonical order.
    pub hubs: BTreeMap<Name, Arc<Hub>>,
}

impl Policy {
    /// Every distinct thing that has to be probed: endpoints that share probe and target share one prober.
    pub fn probe_targets(&self) -> BTreeSet<ProbeTarget> {
        self.hubs.values().flat_map(|hub| hub.endpoints.iter()).filter_map(|endpoint| endpoint.probe.clone()).collect()
    }
}

/// A failure domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    /// Latitude and longitude in degrees, north and east positive.
    pub location: Option<(f64, f64)>,
}

/// A name whose answer depends on policy and region state. Its policy is `priority`: the order of
/// [`endpoints`](Hub::endpoints) is the order of preference.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The owner name.
    pub name: Name,
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
    /// The endpoints in order of preference: at least one, each of another region.
    pub endpoints: Vec<Endpoint>,
    /// Where the hub is defined.
    pub place: Place,
}

impl Hub {
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
}

impl Answer {
    /// The RRsets in wire form, in order of their types.
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

/// The definition of a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its name.
    pub name: ProbeName,
    /// What is done.
    pub kind: ProbeKind,
    /// Time between two observations, jittered by 10 %. Default 5 s, range 1 s to 1 h.
    pub interval: Duration,
    /// Time after which an observation has failed. Default 2 s, range 100 ms to 60 s, at most `interval`.
    pub timeout: Duration,
    /// Time between two observations while they contradict the health. Default 1 s, range 100 ms to `interval`.
    pub confirm: Duration,
    /// Consecutive failed observations before an endpoint goes down. Default 3, range 1 to 100.
    pub fall: NonZeroU8,
    /// Consecutive good observations before an endpoint that is down comes up. Default 5, range 1 to 100.
    pub rise: NonZeroU8,
}

impl Probe {
    /// The longest time from a failure to the health being `down`: the failure comes just after a good observation.
    pub fn worst_detection(&self) -> Duration {
        self.worst(self.fall)
    }

    /// The longest time from the end of a failure to the health being `up`, if nothing fails again.
    pub fn worst_recovery(&self) -> Duration {
        self.worst(self.rise)
    }

    fn worst(&self, in_a_row: NonZeroU8) -> Duration {
        self.interval.mul_f64(1.1) + self.timeout + self.worst_confirm() * (u32::from(in_a_row.get()) - 1)
    }

    /// The longest time between two observations that contradict the health: `confirm` with its jitter, or the
    /// observation itself where that takes longer.
    pub fn worst_confirm(&self) -> Duration {
        self.confirm.mul_f64(1.1).max(self.timeout)
    }
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A TCP connection is made and closed.
    Tcp(TcpProbe),
    /// An HTTP/1.1 request is made and its response judged.
    Http(HttpProbe),
}

impl ProbeKind {
    /// The word that selects it in the policy.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Http(_) => "http",
        }
    }
}

/// A TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpProbe {
    /// The port, 1 to 65535.
    pub port: u16,
}

/// An HTTP/1.1 request over TCP or TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// The port, 1 to 65535. Default 80, with `tls` 443.
    pub port: u16,
    /// Whether TLS is spoken: the certificate's chain and name are always verified.
    pub tls: bool,
    /// File of PEM trust anchors used instead of the system's.
    pub ca: Option<PathBuf>,
    /// `Host` header and TLS server name. Default: the host name that is probed; for addresses, the address.
    pub host: Option<String>,
    /// The request target. Default `/`.
    pub path: String,
    /// What is expected of the response.
    pub expect: Expectation,
}

/// What is expected of an HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Status codes, as inclusive ranges. Default 200 to 299.
    pub status: Vec<(u16, u16)>,
    /// Text that the first 64 KiB of the body must contain.
    pub body: Option<String>,
}
