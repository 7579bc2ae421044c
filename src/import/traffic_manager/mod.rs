//! Azure Traffic Manager: what `az network traffic-manager profile show` or `list` prints.
//!
//! A profile becomes a hub, its endpoints those of the hub, and its monitoring a probe. `origins` reads for whom endpoints
//! are, `places` knows where Azure's regions are.

mod origins;
mod places;

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::{Draft, EndpointDraft, HubDraft, Names, ProbeDraft, list, quoted, seconds};
use super::note::Refusal;
use super::{Import, Input, Output};
use origins::Origins;

/// What holds for everything that comes from Traffic Manager.
const DIFFERENCES: &[&str] = &[
    "Traffic Manager looks from many places; here each node looks for itself, and `confirm` is the interval.",
    "Traffic Manager does not verify certificates; here the chain and the name are always verified: a probe may need `ca`.",
    "A hub that switches back and forth is held: `dwell` and `flap_limit` have no equivalent there and keep their defaults.",
];

/// The TTL of a profile that names none, seconds.
const TTL: u64 = 60;

/// Makes a policy of profiles in JSON: one, or a list. The hub of the profile `NAME.trafficmanager.net` is `NAME` in `zone`,
/// which ends with a dot.
///
/// # Errors
/// What is no profile.
pub fn traffic_manager(inputs: &[Input], zone: &str) -> Result<Import, Refusal> {
    let mut profiles = Vec::new();
    for input in inputs {
        let document = input.json()?;
        // The command prints a list or one profile, the API a list as `value`.
        let found = match document {
            Value::Array(profiles) => profiles,
            mut one => match one.get_mut("value").map(Value::take) {
                Some(Value::Array(profiles)) => profiles,
                _ => vec![one],
            },
        };
        for profile in &found {
            if read(profile, "trafficRoutingMethod").as_str().is_none() || name(profile).is_none() {
                let expected = "expected what `az network traffic-manager profile show` prints";
                return Err(Refusal::of(&input.name, format!("no `trafficRoutingMethod` and name in it, {expected}")));
            }
        }
        profiles.extend(found);
    }
    let mut importer = Importer {
        draft: Draft::default(),
        hubs: profiles.iter().filter_map(|profile| Some((id(profile)?, owner(profile, zone)?))).collect(),
        regions: Names::default(),
        probes: Names::default(),
    };
    importer.draft.head.extend(DIFFERENCES.iter().map(ToString::to_string));
    for profile in &profiles {
        importer.add(profile, zone);
    }
    let policy = Output {
        name: "traffic-manager.toml".into(),
        text: importer.draft.write("Made from profiles of Traffic Manager by `concierge import traffic-manager`."),
    };
    Ok(Import { policy, zones: Vec::new(), notes: importer.draft.notes })
}

/// A property: the command prints it beside the others, the API below `properties`.
fn read<'v>(value: &'v Value, key: &str) -> &'v Value {
    match &value["properties"][key] {
        Value::Null => &value[key],
        property => property,
    }
}

/// The first part of the profile's domain name.
fn name(profile: &Value) -> Option<&str> {
    let relative = read(profile, "dnsConfig")["relativeName"].as_str();
    relative.or_else(|| profile["name"].as_str()).filter(|name| !name.is_empty())
}

/// The owner name of the hub.
fn owner(profile: &Value, zone: &str) -> Option<String> {
    let name = name(profile)?.to_ascii_lowercase();
    Some(if zone == "." { format!("{name}.") } else { format!("{name}.{zone}") })
}

/// What other profiles call this one.
fn id(profile: &Value) -> Option<String> {
    Some(profile["id"].as_str()?.to_ascii_lowercase())
}

struct Importer {
    draft: Draft,
    /// The hubs by the identifiers of their profiles.
    hubs: BTreeMap<String, String>,
    regions: Names,
    probes: Names,
}

impl Importer {
    /// Takes a profile.
    fn add(&mut self, profile: &Value, zone: &str) {
        let (Some(name), Some(owner)) = (name(profile), owner(profile, zone)) else { return };
        let dns = read(profile, "dnsConfig");
        let fqdn = dns["fqdn"].as_str().map_or_else(|| format!("{name}.trafficmanager.net"), str::to_owned);
        if read(profile, "profileStatus").as_str() == Some("Disabled") {
            self.draft.note(&fqdn, "the profile is disabled, and left out");
            return;
        }
        let method = read(profile, "trafficRoutingMethod").as_str().unwrap_or_default();
        let policy = match method {
            "Priority" => "priority",
            "Weighted" => "weighted",
            "Performance" => "nearest",
            "Geographic" | "Subnet" => "geo",
            "MultiValue" => "all",
            other => {
                self.draft.note(&fqdn, format!("the method {other} is not known, and the profile is left out"));
                return;
            }
        };
        let mut hub = HubDraft::new(policy, dns["ttl"].as_u64().unwrap_or(TTL));
        hub.remarks.push(format!(
            "this is {fqdn}: call the hub as devices do, and take the CNAME of that name to {fqdn} out of its zone"
        ));
        let probe = self.probe(&fqdn, name, read(profile, "monitorConfig"), &Value::Null);
        let mut endpoints: Vec<&Value> = read(profile, "endpoints").as_array().into_iter().flatten().collect();
        if method == "Priority" {
            endpoints.sort_by_key(|endpoint| read(endpoint, "priority").as_u64().unwrap_or(u64::MAX));
        }
        let mut map = Vec::new();
        let mut default = Vec::new();
        for endpoint in endpoints {
            let Some(made) = self.endpoint(profile, &fqdn, name, endpoint, probe.as_deref(), &mut hub) else {
                continue;
            };
            let origins = match method {
                "Geographic" => Origins::geographic(read(endpoint, "geoMapping")),
                "Subnet" => Origins::subnets(read(endpoint, "subnets")),
                _ => Origins::default(),
            };
            hub.remarks.extend(origins.remarks.iter().map(|remark| format!("{}: {remark}", made.region)));
            map.extend(
                origins
                    .of
                    .iter()
                    .map(|(key, value)| format!("  {{ {key} = {}, to = {} }},\n", quoted(value), list([&made.region]))),
            );
            if origins.everybody {
                default.push(made.region.clone());
            }
            hub.endpoints.push(made);
        }
        if hub.endpoints.is_empty() {
            self.draft.note(&fqdn, "none of its endpoints could be carried over, so that there is no hub");
            return;
        }
        self.finish(method, read(profile, "maxReturn"), map, &default, &mut hub);
        self.draft.add_hub(&owner, hub);
    }

    /// The keys that follow from the method.
    fn finish(&mut self, method: &str, most: &Value, map: Vec<String>, default: &[String], hub: &mut HubDraft) {
        match method {
            "Priority" => hub.fail_back_at_once(),
            "MultiValue" if hub.endpoints.iter().any(|endpoint| endpoint.answer.0 != "addresses") => {
                hub.policy = "weighted";
                hub.remarks
                    .push("only addresses are answered together: here one endpoint is drawn for each query".into());
                hub.set("when_all_down", quoted("all"));
            }
            "MultiValue" => {
                if let Some(most) = most.as_u64().filter(|most| (1..=64).contains(most)) {
                    hub.set("most", most.to_string());
                }
                hub.set("when_all_down", quoted("all"));
            }
            "Geographic" | "Subnet" => {
                hub.remarks.push(
                    "Traffic Manager goes on answering the endpoint of a client's place when it is down; here the default \
                     follows, and then the others"
                        .into(),
                );
                hub.set("when_all_down", quoted("all"));
                if default.is_empty() {
                    let first = hub.endpoints.first().map(|endpoint| endpoint.region.clone()).unwrap_or_default();
                    hub.remarks.push(format!(
                        "Traffic Manager answers nothing to whoever matches nothing; here that is {first}: write `default` to change it"
                    ));
                } else {
                    hub.set("default", list(default));
                }
                match map.is_empty() {
                    true => {
                        hub.policy = "priority";
                        hub.keys.retain(|(key, _)| !matches!(*key, "default" | "when_all_down"));
                        hub.endpoints.sort_by_key(|endpoint| !default.contains(&endpoint.region));
                        hub.fail_back_at_once();
                        hub.remarks.push("no origin is left in its map, so that all clients have one list".into());
                    }
                    false => hub.set("map", format!("[\n{}]", map.concat())),
                }
            }
            "Performance" => {
                hub.remarks.push(
                    "Traffic Manager answers the endpoint with the least latency by a table of its own; `nearest` the one that \
                     is nearest on the map"
                        .into(),
                );
                hub.set("when_all_down", quoted("all"));
            }
            _ => hub.set("when_all_down", quoted("all")),
        }
        let placed = hub.policy == "nearest" || (hub.policy == "geo" && method == "Geographic");
        if placed && self.draft.database.is_none() {
            self.draft.database = Some("GeoLite2-City.mmdb".into());
            self.draft.note(
                "[geo]",
                "Traffic Manager has a database of its own: put a MaxMind one beside the policy, or write its path",
            );
        }
    }

    /// An endpoint of a profile; `probe` is that of the profile.
    fn endpoint(
        &mut self,
        profile: &Value,
        fqdn: &str,
        profile_name: &str,
        endpoint: &Value,
        probe: Option<&str>,
        hub: &mut HubDraft,
    ) -> Option<EndpointDraft> {
        let called = endpoint["name"].as_str().unwrap_or("unnamed");
        if read(endpoint, "endpointStatus").as_str() == Some("Disabled") {
            hub.remarks.push(format!(
                "{called} is disabled, and left out: `concierge mark` keeps an endpoint of a hub from being answered"
            ));
            return None;
        }
        let target = read(endpoint, "target").as_str().filter(|target| !target.is_empty());
        let inner = read(endpoint, "targetResourceId").as_str().map(str::to_ascii_lowercase);
        let inner = inner.and_then(|id| self.hubs.get(&id)).cloned();
        let is_nested = endpoint["type"].as_str().is_some_and(|kind| kind.ends_with("/nestedEndpoints"));
        let answer = match (inner, target.map(|target| (target, target.parse::<std::net::IpAddr>()))) {
            (Some(owner), _) => ("hub", quoted(&owner)),
            (None, _) if is_nested => {
                hub.remarks
                    .push(format!("{called} is a profile that was not given, and left out: give both in one run"));
                return None;
            }
            (None, Some((_, Ok(address)))) => ("addresses", list([address.to_string()])),
            (None, Some((name, Err(_)))) => ("cname", quoted(&format!("{}.", name.trim_end_matches('.')))),
            (None, None) => {
                hub.remarks
                    .push(format!("{called} has no `target`, only an Azure resource, and is left out: write its name"));
                return None;
            }
        };
        let least = read(endpoint, "minChildEndpoints").as_u64().filter(|least| *least > 1);
        let at_least = least.filter(|_| answer.0 == "hub");
        let mut probe = match answer.0 {
            "hub" => None,
            _ => probe.map(str::to_owned),
        };
        let headers = read(endpoint, "customHeaders");
        if probe.is_some() && headers.as_array().is_some_and(|headers| !headers.is_empty()) {
            probe = self.probe(fqdn, &format!("{profile_name}-{called}"), read(profile, "monitorConfig"), headers);
        }
        if read(endpoint, "alwaysServe").as_str() == Some("Enabled") {
            probe = None;
            hub.remarks.push(format!(
                "{called} is always served, and has no probe: its health stays unknown, which may be chosen"
            ));
        }
        let (location, place) = match read(endpoint, "endpointLocation").as_str() {
            Some(location) => {
                let (name, place) = places::region(location);
                (Some(name), place)
            }
            None => (None, None),
        };
        let taken = |region: &str| hub.endpoints.iter().any(|endpoint| endpoint.region == region);
        let region = match location.as_deref().filter(|name| !name.is_empty()) {
            Some(azure) if !taken(&self.regions.name(azure, &[azure])) => self.regions.name(azure, &[azure]),
            _ => self.regions.name(&format!("{fqdn} {called}"), &[profile_name, called]),
        };
        if hub.policy == "nearest" && place.is_none() {
            hub.remarks.push(format!("where {called} is, is not known: write `location` of the region {region}"));
        }
        self.draft.regions.entry(region.clone()).or_default().location = place;
        let weight = (hub.policy == "weighted").then(|| read(endpoint, "weight").as_u64().unwrap_or(1));
        let weight = weight.and_then(|weight| u32::try_from(weight).ok());
        Some(EndpointDraft { region, answer, at_least, weight, probe, target: None })
    }

    /// The probe of a profile, with headers of an endpoint's own; `None` when nothing can be probed.
    fn probe(&mut self, fqdn: &str, called: &str, monitor: &Value, own: &Value) -> Option<String> {
        let number = |key: &str| monitor[key].as_u64();
        let port = number("port").filter(|port| (1..=65_535).contains(port));
        let kind = monitor["protocol"].as_str().unwrap_or_default().to_ascii_uppercase();
        let written = match (kind.as_str(), port) {
            ("TCP", Some(port)) => format!("tcp = {{ port = {port} }}"),
            ("HTTP" | "HTTPS", port) => {
                let mut keys: Vec<String> = port.into_iter().map(|port| format!("port = {port}")).collect();
                keys.extend(monitor["path"].as_str().map(|path| format!("path = {}", quoted(path))));
                keys.push(format!("status = {}", status(&monitor["expectedStatusCodeRanges"])));
                keys.extend(headers(&monitor["customHeaders"], own));
                format!("{} = {{ {} }}", kind.to_ascii_lowercase(), keys.join(", "))
            }
            (other, _) => {
                self.draft
                    .note(fqdn, format!("monitoring by {other:?} is not carried over: its endpoints have no probe"));
                return None;
            }
        };
        let mut probe = ProbeDraft { kind: written, ..ProbeDraft::default() };
        let interval = number("intervalInSeconds").unwrap_or(30).max(1);
        let timeout = number("timeoutInSeconds").unwrap_or(10).clamp(1, interval);
        let fall = (number("toleratedNumberOfFailures").unwrap_or(3) + 1).min(100);
        probe.keys.push(("interval", quoted(&seconds(interval))));
        probe.keys.push(("timeout", quoted(&seconds(timeout))));
        probe.keys.push(("confirm", quoted(&seconds(interval))));
        probe.keys.push(("fall", fall.to_string()));
        // One good answer is enough there.
        probe.keys.push(("rise", "1".into()));
        let name = self.probes.name(&format!("{fqdn} {called}"), &[called]);
        self.draft.add_probe(&name, fqdn, probe);
        Some(name)
    }
}

/// The expected status: 200 alone where nothing is said.
fn status(ranges: &Value) -> String {
    let range = |range: &Value| {
        let (min, max) = (range["min"].as_u64()?, range["max"].as_u64()?);
        Some(if min == max { min.to_string() } else { quoted(&format!("{min}-{max}")) })
    };
    let ranges: Vec<String> = ranges.as_array().into_iter().flatten().filter_map(range).collect();
    if ranges.is_empty() { "200".into() } else { format!("[{}]", ranges.join(", ")) }
}

/// `host` and `headers`, of the profile and of an endpoint, whose own count.
fn headers(profile: &Value, own: &Value) -> Vec<String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for header in [profile, own].into_iter().filter_map(Value::as_array).flatten() {
        if let (Some(name), Some(value)) = (header["name"].as_str(), header["value"].as_str()) {
            fields.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }
    let host = fields.remove("host").map(|host| format!("host = {}", quoted(host.trim_end_matches('.'))));
    let fields: Vec<String> =
        fields.into_iter().map(|(name, value)| format!("{} = {}", quoted(&name), quoted(&value))).collect();
    let fields = (!fields.is_empty()).then(|| format!("headers = {{ {} }}", fields.join(", ")));
    host.into_iter().chain(fields).collect()
}
