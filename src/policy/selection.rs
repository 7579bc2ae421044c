//! How a hub turns the origin of a query into an endpoint.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use super::RegionName;
use crate::diagnostic::Place;

/// How a hub turns the origin of a query into an endpoint: its `policy`.
///
/// Under [`Priority`](Selection::Priority) one region is active, until a switch. The others are stateless per query:
/// they answer out of the endpoints that are usable, at most [`MOST_USABLE`](Selection::MOST_USABLE).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Selection {
    /// The active region; the order of the endpoints is the order of preference. The default.
    #[default]
    Priority,
    /// A usable endpoint drawn for each query, in proportion to its [`weight`](super::Endpoint::weight).
    Weighted,
    /// The first usable endpoint of the list for the client's class.
    Geo(Arc<GeoMap>),
    /// The usable endpoint whose region is nearest to the client. An entry of the map that the client matches outranks
    /// the distance; its default is for clients whose location nobody knows.
    Nearest(Arc<GeoMap>),
    /// The addresses of the usable endpoints, of so many at most.
    All {
        /// 1 to 64. Default 64.
        most: u8,
    },
    /// The same usable endpoint for all clients of one prefix, for as long as it is usable.
    Sticky(Prefixes),
}

impl Selection {
    /// The most endpoints of a hub whose policy is not `priority`: the usable ones are a mask of 64 bits.
    pub const MOST_USABLE: usize = 64;

    /// The word that selects it in the policy.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Weighted => "weighted",
            Self::Geo(_) => "geo",
            Self::Nearest(_) => "nearest",
            Self::All { .. } => "all",
            Self::Sticky(_) => "sticky",
        }
    }

    /// Whether there is no active region: every query is answered by itself.
    pub fn is_stateless(&self) -> bool {
        *self != Self::Priority
    }

    /// The map of the origins of queries, of the policies that have one.
    pub fn map(&self) -> Option<&Arc<GeoMap>> {
        match self {
            Self::Geo(map) | Self::Nearest(map) => Some(map),
            Self::Priority | Self::Weighted | Self::All { .. } | Self::Sticky(_) => None,
        }
    }
}

/// Which regions the clients of which origin are answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GeoMap {
    /// In the order in which they are written, no origin twice; the most specific one that a client matches counts.
    pub entries: Vec<GeoEntry>,
    /// For a client that no entry matches. Empty: the hub's endpoints in order.
    pub default: Vec<RegionName>,
}

/// The regions for one origin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GeoEntry {
    /// Who.
    pub origin: Origin,
    /// Regions in which the hub has an endpoint, in order of preference; at least one.
    pub to: Vec<RegionName>,
}

/// Where a query comes from, the most specific kind first: of several entries that a client matches, the least counts,
/// and of several subnets the longest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Addresses; all bits beyond the prefix are zero.
    Subnet(IpNet),
    /// An autonomous system, by its number.
    Asn(u32),
    /// A country, by its code of two capital letters (ISO 3166-1 alpha-2).
    Country([u8; 2]),
    /// A continent, by its code of two capital letters: AF, AN, AS, EU, NA, OC or SA.
    Continent([u8; 2]),
}

/// `subnet 192.0.2.0/24`, `AS64500`, `country DE`, `continent EU`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = |code: &[u8; 2]| String::from_utf8_lossy(code).into_owned();
        match self {
            Self::Subnet(subnet) => write!(f, "subnet {subnet}"),
            Self::Asn(number) => write!(f, "AS{number}"),
            Self::Country(country) => write!(f, "country {}", code(country)),
            Self::Continent(continent) => write!(f, "continent {}", code(continent)),
        }
    }
}

/// The databases that say where an address is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoSettings {
    /// Country, continent and location: a MaxMind DB file.
    pub database: Option<GeoFile>,
    /// Autonomous systems: a MaxMind DB file.
    pub asn: Option<GeoFile>,
}

/// A database file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoFile {
    /// The file.
    pub path: PathBuf,
    /// Where it is named.
    pub place: Place,
}

/// Up to which length an address counts for `sticky`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Default 24, range 0 to 32.
    pub ipv4: u8,
    /// Default 56, range 0 to 64.
    pub ipv6: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { ipv4: 24, ipv6: 56 }
    }
}
