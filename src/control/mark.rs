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

/// The marks that an endpoint has: its region's, and its own.
pub fn of<'a>(marks: &'a Marks, hub: &Name, region: &RegionName) -> impl Iterator<Item = (&'a MarkTarget, &'a Mark)> {
    let wide = marks.get_key_value(&MarkTarget::Region(region.clone()));
    let own = EndpointId { hub: hub.clone(), region: region.clone() };
    wide.into_iter().chain(marks.get_key_value(&MarkTarget::Endpoint(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_as_they_are_shown() {
        for text in ["westeurope", "hub.example.net./westeurope"] {
            assert_eq!(text.parse::<MarkTarget>().unwrap().to_string(), text);
        }
        assert_eq!("h.x/weu".parse::<MarkTarget>().unwrap().to_string(), "h.x./weu");
        assert!("".parse::<MarkTarget>().is_err());
        assert!("a..b/weu".parse::<MarkTarget>().is_err());
    }
}
