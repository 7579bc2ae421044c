//! The maps of `geoip`: who is answered with which datacenters.

use super::vscf::Value;

/// A map as a hub has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    /// The name of the database file, if there is one.
    pub(super) database: Option<String>,
    /// Key and value of an origin, and its datacenters.
    pub(super) entries: Vec<(&'static str, String, Vec<String>)>,
    /// The datacenters of whoever matches nothing.
    pub(super) default: Vec<String>,
    /// Where the datacenters are, if the nearest one is looked for.
    pub(super) coordinates: Option<Vec<(String, f64, f64)>>,
    pub(super) remarks: Vec<String>,
}

/// Reads the map `name`.
pub(super) fn read(geoip: &Value, name: &str) -> Option<Map> {
    let value = geoip.get("maps")?.get(name)?;
    let text = |key: &str| value.get(key).and_then(Value::text);
    let datacenters: Vec<String> = value.get("datacenters")?.texts().into_iter().map(String::from).collect();
    let mut map = Map { database: text("geoip2_db").map(String::from), default: datacenters, ..Map::default() };
    if let Some(coordinates) = value.get("auto_dc_coords") {
        let read = |(name, place): &(String, Value)| match place.texts().as_slice() {
            [latitude, longitude] => Some((name.clone(), latitude.parse().ok()?, longitude.parse().ok()?)),
            _ => None,
        };
        map.coordinates = Some(coordinates.hash().iter().filter_map(read).collect());
        map.remarks
            .push("`auto_dc_limit` is not carried over: every datacenter is tried in the order of distance".into());
    }
    if let Some(places) = value.get("map") {
        map.read_places(places);
    }
    match value.get("nets") {
        Some(Value::Hash(nets)) => nets.iter().for_each(|(subnet, to)| map.add("subnet", subnet, to)),
        Some(_) => {
            map.remarks.push("`nets` is in a file of its own, which is not read: add its subnets to `map`".into())
        }
        None => {}
    }
    if value.get("ignore_ecs").is_some_and(Value::flag) {
        map.remarks.push(
            "`ignore_ecs` is not carried over: whose client subnet counts is `trust_ecs_from` of the configuration"
                .into(),
        );
    }
    Some(map)
}

impl Map {
    fn read_places(&mut self, places: &Value) {
        for (continent, value) in places.hash() {
            if continent == "default" {
                if value.text() != Some("auto") {
                    self.default = value.texts().into_iter().map(String::from).collect();
                    if self.coordinates.is_some() {
                        self.remarks.push("a list as `default` beside `auto_dc_coords`: the nearest datacenter is answered to all that no entry is for".into());
                    }
                }
                continue;
            }
            let Value::Hash(countries) = value else {
                self.add("continent", continent, value);
                continue;
            };
            for (country, value) in countries {
                match (country.as_str(), value) {
                    ("default", value) => self.add("continent", continent, value),
                    (country, Value::Hash(parts)) => {
                        if let Some((_, value)) = parts.iter().find(|(key, _)| key == "default") {
                            self.add("country", country, value);
                        }
                        let lost: Vec<&str> =
                            parts.iter().map(|(key, _)| key.as_str()).filter(|key| *key != "default").collect();
                        self.remarks.push(format!(
                            "{continent}/{country}: {} not carried over, for a map knows no subdivisions and cities",
                            lost.join(", ")
                        ));
                    }
                    (country, value) => self.add("country", country, value),
                }
            }
        }
    }

    fn add(&mut self, key: &'static str, origin: &str, to: &Value) {
        if to.text() == Some("auto") {
            return;
        }
        let mut origin = origin.to_owned();
        if let Some(network) = super::super::draft::one_client(&origin) {
            self.remarks.push(format!("{origin} becomes {network}: all hosts of a /64 are one client here"));
            origin = network;
        }
        let to: Vec<String> = to.texts().into_iter().map(String::from).collect();
        if to.is_empty() {
            self.remarks
                .push(format!("{origin} is answered with nothing in gdnsd; here it is answered as all others are"));
            return;
        }
        if self.entries.iter().any(|(known, same, _)| *known == key && *same == origin) {
            self.remarks.push(format!("{origin} is there twice, of which the first counts"));
            return;
        }
        self.entries.push((key, origin, to));
    }
}
