//! Whom an endpoint of a profile is for: codes of places, and ranges of addresses.

use std::net::IpAddr;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use serde_json::Value;

use super::super::draft::one_client;

/// What Traffic Manager calls the Middle East: the databases have these countries in Asia.
const MIDDLE_EAST: [&str; 14] = ["AE", "BH", "IL", "IQ", "IR", "JO", "KW", "LB", "OM", "PS", "QA", "SA", "SY", "YE"];

/// Key and value of origins, and what is to be said of them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Origins {
    pub(super) of: Vec<(&'static str, String)>,
    /// Whether it is for everybody else too.
    pub(super) everybody: bool,
    pub(super) remarks: Vec<String>,
}

impl Origins {
    /// Of `geoMapping`.
    pub(super) fn geographic(codes: &Value) -> Self {
        let mut origins = Self::default();
        for code in codes.as_array().into_iter().flatten().filter_map(Value::as_str) {
            match code {
                "WORLD" => origins.everybody = true,
                "GEO-AP" => origins.of.push(("continent", "OC".into())),
                "GEO-ME" => {
                    origins.of.extend(MIDDLE_EAST.map(|country| ("country", country.to_owned())));
                    origins.remarks.push(
                        "GEO-ME, the Middle East, is no continent of the databases, and becomes 14 countries of it".into(),
                    );
                }
                _ => match (code.strip_prefix("GEO-"), code.split_once('-')) {
                    (Some(continent), _) => origins.of.push(("continent", continent.into())),
                    (None, None) => origins.of.push(("country", code.into())),
                    (None, Some((country, _))) => origins.remarks.push(format!(
                        "{code} is a part of {country}, which no map has here: its clients are answered as those of {country}"
                    )),
                },
            }
        }
        origins
    }

    /// Of `subnets`, each of which has a `first` address and a `scope` or a `last` one.
    pub(super) fn subnets(subnets: &Value) -> Self {
        let mut origins = Self { everybody: true, ..Self::default() };
        for subnet in subnets.as_array().into_iter().flatten() {
            origins.everybody = false;
            match range(subnet) {
                Some(networks) => {
                    for network in networks {
                        let text = network.to_string();
                        if let Some(client) = one_client(&text) {
                            let sentence = format!("{text} becomes {client}: all hosts of a /64 are one client here");
                            origins.remarks.push(sentence);
                            origins.of.push(("subnet", client));
                        } else {
                            origins.of.push(("subnet", text));
                        }
                    }
                }
                None => origins.remarks.push(format!("the subnet {subnet} is not understood, and left out")),
            }
        }
        origins.of.dedup();
        origins
    }
}

fn range(subnet: &Value) -> Option<Vec<IpNet>> {
    let address = |key: &str| subnet[key].as_str()?.parse::<IpAddr>().ok();
    let first = address("first")?;
    if let Some(scope) = subnet["scope"].as_u64() {
        return Some(vec![IpNet::new(first, u8::try_from(scope).ok()?).ok()?.trunc()]);
    }
    let networks = match (first, address("last").unwrap_or(first)) {
        (IpAddr::V4(first), IpAddr::V4(last)) => IpSubnets::V4(Ipv4Subnets::new(first, last, 0)),
        (IpAddr::V6(first), IpAddr::V6(last)) => IpSubnets::V6(Ipv6Subnets::new(first, last, 0)),
        _ => return None,
    };
    Some(networks.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_of_places_are_continents_and_countries() {
        let origins = Origins::geographic(&json!(["GEO-EU", "US", "US-CA", "GEO-AP", "WORLD"]));
        let of: Vec<_> = origins.of.iter().map(|(key, value)| format!("{key} {value}")).collect();
        assert_eq!(of, ["continent EU", "country US", "continent OC"]);
        assert!(origins.everybody);
        assert_eq!(origins.remarks.len(), 1, "{:?}", origins.remarks);
        assert_eq!(Origins::geographic(&json!(["GEO-ME"])).of.len(), 14);
        assert_eq!(Origins::geographic(&Value::Null), Origins::default());
    }

    #[test]
    fn ranges_of_addresses_are_subnets() {
        let check = |subnets: Value, expected: &[&str]| {
            let origins = Origins::subnets(&json!([subnets]));
            assert_eq!(origins.of.iter().map(|(_, subnet)| subnet.as_str()).collect::<Vec<_>>(), expected);
            assert!(!origins.everybody);
        };
        check(json!({ "first": "192.0.2.0", "last": null, "scope": 24 }), &["192.0.2.0/24"]);
        check(
            json!({ "first": "192.0.2.0", "last": "192.0.2.129", "scope": null }),
            &["192.0.2.0/25", "192.0.2.128/31"],
        );
        check(json!({ "first": "192.0.2.7" }), &["192.0.2.7/32"]);
        check(json!({ "first": "2001:db8::1", "scope": 128 }), &["2001:db8::/64"]);
        check(json!({ "first": "192.0.2.7", "last": "2001:db8::" }), &[]);
        assert!(Origins::subnets(&Value::Null).everybody);
    }
}
