//! Record sets.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::note::Refusal;

/// The record sets of a hosted zone.
pub(super) struct Zone {
    /// The apex, with the final dot.
    pub(super) apex: String,
    pub(super) sets: Vec<Set>,
}

/// One record set.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) name: String,
    pub(super) rtype: String,
    pub(super) ttl: Option<u64>,
    pub(super) values: Vec<String>,
    pub(super) alias: Option<Alias>,
    pub(super) identifier: Option<String>,
    pub(super) routing: Routing,
    pub(super) health_check: Option<String>,
}

/// What an alias leads to.
#[derive(Clone, Debug)]
pub(super) struct Alias {
    /// With the final dot.
    pub(super) name: String,
    pub(super) evaluate: bool,
}

/// How a set is chosen among those of its name and type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Routing {
    Simple,
    Failover { primary: bool },
    Weighted(u64),
    Latency(String),
    Geolocation { key: &'static str, code: String, subdivision: Option<String> },
    GeolocationDefault,
    Geoproximity { place: Option<(f64, f64)>, region: Option<String>, bias: i64 },
    Multivalue,
    Cidr(String),
}

impl Routing {
    /// The policy of a hub that routes so, and the word that Route 53 has for it.
    pub(super) fn policy(&self) -> (&'static str, &'static str) {
        match self {
            Self::Simple => ("priority", "simple"),
            Self::Failover { .. } => ("priority", "failover"),
            Self::Weighted(_) => ("weighted", "weighted"),
            Self::Latency(_) => ("nearest", "latency"),
            Self::Geolocation { .. } | Self::GeolocationDefault => ("geo", "geolocation"),
            Self::Geoproximity { .. } => ("nearest", "geoproximity"),
            Self::Multivalue => ("all", "multivalue answer"),
            Self::Cidr(_) => ("geo", "IP-based"),
        }
    }
}

impl Set {
    pub(super) fn is_address(&self) -> bool {
        matches!(self.rtype.as_str(), "A" | "AAAA")
    }

    fn read(value: &Value) -> Result<Self, String> {
        let text = |key: &str| value[key].as_str();
        let name = text("Name").ok_or("a record set without `Name`")?;
        let rtype = text("Type").ok_or(format!("{name}: no `Type`"))?;
        let records = value["ResourceRecords"].as_array().map(Vec::as_slice).unwrap_or_default();
        let target = &value["AliasTarget"];
        let alias = target["DNSName"].as_str().map(|name| Alias {
            name: absolute(name),
            evaluate: target["EvaluateTargetHealth"].as_bool() == Some(true),
        });
        Ok(Self {
            name: absolute(name),
            rtype: rtype.into(),
            ttl: value["TTL"].as_u64(),
            values: records.iter().filter_map(|record| record["Value"].as_str()).map(String::from).collect(),
            alias,
            identifier: text("SetIdentifier").map(String::from),
            routing: read_routing(value),
            health_check: text("HealthCheckId").map(String::from),
        })
    }
}

impl Zone {
    pub(super) fn read(file: &str, sets: &[Value]) -> Result<Self, Refusal> {
        let sets: Result<Vec<Set>, String> = sets.iter().map(Set::read).collect();
        let sets = sets.map_err(|sentence| Refusal::of(file, sentence))?;
        let apex = sets.iter().find(|set| set.rtype == "SOA").map(|set| set.name.clone());
        let apex = apex.ok_or(Refusal::of(file, "no SOA record set, by which the zone is known"))?;
        Ok(Self { apex, sets })
    }

    /// The sets of each name, in canonical order but for the apex, which comes first.
    pub(super) fn by_name(&self) -> Vec<(&str, Vec<&Set>)> {
        let mut names: BTreeMap<&str, Vec<&Set>> = BTreeMap::new();
        for set in &self.sets {
            names.entry(&set.name).or_default().push(set);
        }
        let mut names: Vec<_> = names.into_iter().collect();
        names
            .sort_by_key(|(name, _)| (*name != self.apex, name.split('.').rev().map(String::from).collect::<Vec<_>>()));
        names
    }

    /// The sets at `name`.
    pub(super) fn at(&self, name: &str) -> Vec<&Set> {
        self.sets.iter().filter(|set| set.name == name).collect()
    }
}

fn read_routing(value: &Value) -> Routing {
    let text = |key: &str| value[key].as_str();
    if let Some(role) = text("Failover") {
        return Routing::Failover { primary: role == "PRIMARY" };
    }
    if let Some(weight) = value["Weight"].as_u64() {
        return Routing::Weighted(weight);
    }
    if let Some(region) = text("Region") {
        return Routing::Latency(region.into());
    }
    if let Some(place) = value["GeoLocation"].as_object() {
        let code = |key: &str| place.get(key).and_then(Value::as_str).map(String::from);
        return match (code("ContinentCode"), code("CountryCode")) {
            (Some(code), _) => Routing::Geolocation { key: "continent", code, subdivision: None },
            (None, Some(country)) if country != "*" => {
                Routing::Geolocation { key: "country", code: country, subdivision: code("SubdivisionCode") }
            }
            _ => Routing::GeolocationDefault,
        };
    }
    if let Some(place) = value["GeoProximityLocation"].as_object() {
        let degrees = |key: &str| place.get("Coordinates")?.get(key)?.as_str()?.parse().ok();
        return Routing::Geoproximity {
            place: degrees("Latitude").zip(degrees("Longitude")),
            region: place.get("AWSRegion").or(place.get("LocalZoneGroup")).and_then(Value::as_str).map(String::from),
            bias: place.get("Bias").and_then(Value::as_i64).unwrap_or(0),
        };
    }
    if let Some(location) = value["CidrRoutingConfig"]["LocationName"].as_str() {
        return Routing::Cidr(location.into());
    }
    if value["MultiValueAnswer"].as_bool() == Some(true) {
        return Routing::Multivalue;
    }
    Routing::Simple
}

/// A name in lower case with the final dot; `\052` is the `*` of a wildcard.
fn absolute(name: &str) -> String {
    let name = name.to_ascii_lowercase().replace("\\052", "*");
    if name.ends_with('.') { name } else { format!("{name}.") }
}
