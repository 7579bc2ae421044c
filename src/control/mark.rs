//! Operators' words on regions and endpoints.

use std::collections::BTreeMap;
use std::fmt;

use crate::dns::Name;
use crate::policy::{EndpointId, MarkKind, RegionName};
use crate::time::Timestamp;

/// What is marked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkTarget {
    /// Every endpoint in a region.
    Region(RegionName),
    /// One endpoint of one hub.
    Endpoint(EndpointId),
}

/// `westeurope`, or `hub.example.net./westeurope`.
impl fmt::Display for MarkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(region) => write!(f, "{region}"),
            Self::Endpoint(endpoint) => write!(f, "{}/{}", endpoint.hub, endpoint.region),
        }
    }
}

/// Reads what [`fmt::Display`] writes; the hub's final dot may be left out.
impl std::str::FromStr for MarkTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((hub, region)) = text.rsplit_once('/') else {
            return match text {
                "" => Err("expected a region, or HUB/REGION for one endpoint".into()),
                region => Ok(Self::Region(RegionName::new(region))),
            };
        };
        let hub = Name::parse(hub, Some(&Name::root())).map_err(|error| format!("`{hub}` is no hub name: {error}"))?;
        Ok(Self::Endpoint(EndpointId { hub, region: RegionName::new(region) }))
    }
}

impl serde::Serialize for MarkTarget {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for MarkTarget {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One mark.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    /// What it says.
    pub kind: MarkKind,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who.
    pub author: String,
    /// When it was made.
    pub since: Timestamp,
    /// When it ends by itself; the endpoint is then as eligible as its health says.
    pub until: Option<Timestamp>,
}

/// All marks.
pub type Marks = BTreeMap<MarkTarget, Mark>;

/// The mark that holds for an endpoint: the more restrictive of its own and its region's, its own where they are equal.
pub fn holding<'a>(marks: &'a Marks, hub: &Name, region: &RegionName) -> Option<&'a Mark> {
    let own = marks.get(&MarkTarget::Endpoint(EndpointId { hub: hub.clone(), region: region.clone() }));
    let wide = marks.get(&MarkTarget::Region(region.clone()));
    [wide, own].into_iter().flatten().max_by_key(|mark| mark.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(kind: MarkKind) -> Mark {
        Mark { kind, reason: "r".into(), author: "a".into(), since: Timestamp(1), until: None }
    }

    #[test]
    fn targets_read_as_they_are_shown() {
        for text in ["westeurope", "hub.example.net./westeurope"] {
            assert_eq!(text.parse::<MarkTarget>().unwrap().to_string(), text);
        }
        assert_eq!("h.x/weu".parse::<MarkTarget>().unwrap().to_string(), "h.x./weu");
        assert!("".parse::<MarkTarget>().is_err());
        assert!("a..b/weu".parse::<MarkTarget>().is_err());
    }

    #[test]
    fn the_more_restrictive_mark_holds() {
        let (hub, region) = (Name::parse("h.x.", None).unwrap(), RegionName::new("weu"));
        let check = |wide: Option<MarkKind>, own: Option<MarkKind>, expected: Option<MarkKind>| {
            let mut marks = Marks::new();
            if let Some(kind) = wide {
                marks.insert(MarkTarget::Region(region.clone()), mark(kind));
            }
            if let Some(kind) = own {
                let endpoint = EndpointId { hub: hub.clone(), region: region.clone() };
                marks.insert(MarkTarget::Endpoint(endpoint), mark(kind));
            }
            assert_eq!(holding(&marks, &hub, &region).map(|mark| mark.kind), expected, "{wide:?} {own:?}");
        };
        use MarkKind::{Down, Drain, Up};
        check(None, None, None);
        check(Some(Down), Some(Up), Some(Down));
        check(Some(Up), Some(Drain), Some(Drain));
        check(None, Some(Up), Some(Up));
        check(Some(Drain), None, Some(Drain));
    }
}
