//! Record sets that are chosen among: hubs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::draft::{Draft, EndpointDraft, HubDraft, Names, list, quoted};
use super::health::{Check, HealthChecks};
use super::master::rdata;
use super::places;
use super::sets::{Alias, Routing, Set, Zone};

/// The most answers of a multivalue answer.
const MULTIVALUE: usize = 8;
/// The TTL of an alias, seconds: what Route 53 answers for its load balancers.
const ALIAS_TTL: u64 = 60;

/// Turns record sets into hubs.
pub(super) struct Hubs<'v> {
    pub(super) checks: HealthChecks<'v>,
    blocks: &'v [Value],
    regions: Names,
    pub(super) draft: Draft,
}

impl<'v> Hubs<'v> {
    pub(super) fn new(checks: HealthChecks<'v>, blocks: &'v [Value]) -> Self {
        Self { checks, blocks, regions: Names::default(), draft: Draft::default() }
    }

    /// Makes the hub `name` of its sets, at least one of which has an identifier.
    pub(super) fn add(&mut self, zone: &Zone, name: &str, sets: &[&Set]) {
        let owner = match name.strip_prefix("*.") {
            Some(parent) => {
                self.draft
                    .note(name, format!("a hub is no wildcard: write its names as CNAMEs to the hub _any.{parent}"));
                format!("_any.{parent}")
            }
            None => name.to_owned(),
        };
        let routed: Vec<&Set> = sets.iter().filter(|set| set.identifier.is_some()).copied().collect();
        let Some(first) = routed.first() else { return };
        let (policy, word) = first.routing.policy();
        let ttl = routed.iter().filter_map(|set| set.ttl).min().unwrap_or(ALIAS_TTL);
        let mut hub = HubDraft::new(policy, ttl);
        if let Some(other) = routed.iter().find(|set| set.routing.policy() != first.routing.policy()) {
            hub.remarks.push(format!(
                "a hub has one policy for all of its types: {} is {word}, and the {} of {} is left out",
                first.rtype,
                other.routing.policy().1,
                other.rtype
            ));
        }
        if let Routing::Latency(_) = first.routing {
            hub.remarks.push(
                "Route 53 answers the region with the least latency; `nearest` the one that is nearest on the map"
                    .into(),
            );
        }
        // The sets of all types with one identifier are one endpoint.
        let mut endpoints: BTreeMap<(usize, String), Vec<&Set>> = BTreeMap::new();
        for set in routed.iter().filter(|set| set.routing.policy() == first.routing.policy()) {
            let identifier = set.identifier.clone().unwrap_or_default();
            let at = routed.iter().position(|other| other.identifier == set.identifier).unwrap_or(0);
            // A primary comes first, and a default last.
            let rank = match set.routing {
                Routing::Failover { primary: true } => 0,
                Routing::GeolocationDefault => 2000,
                _ => 1 + at,
            };
            endpoints.entry((rank, identifier)).or_default().push(set);
        }
        let unrouted: Vec<&Set> =
            sets.iter().filter(|set| set.identifier.is_none() && set.is_address()).copied().collect();
        let mut map = Vec::new();
        let mut default = Vec::new();
        for ((_, identifier), same) in endpoints {
            let Some(endpoint) = self.endpoint(zone, &owner, &identifier, &same, &unrouted, &mut hub) else { continue };
            let (entries, is_default) = self.origins(&same[0].routing, &identifier, &mut hub);
            map.extend(
                entries.iter().map(|(key, code)| {
                    format!("  {{ {key} = {}, to = {} }},\n", quoted(code), list([&endpoint.region]))
                }),
            );
            if is_default {
                default.push(endpoint.region.clone());
            }
            hub.endpoints.push(endpoint);
        }
        if policy == "all" && hub.endpoints.iter().any(|endpoint| endpoint.answer.0 != "addresses") {
            hub.policy = "weighted";
            hub.remarks.push("only addresses are answered together: here one endpoint is drawn for each query".into());
        }
        if policy == "geo" && map.is_empty() {
            hub.policy = "priority";
            hub.endpoints.sort_by_key(|endpoint| !default.contains(&endpoint.region));
            hub.remarks.push("no origin is left in its map, so that all clients have one list".into());
        }
        let weighs = |endpoint: &EndpointDraft| endpoint.weight != Some(0);
        if hub.policy == "weighted" && !hub.endpoints.iter().any(weighs) {
            hub.endpoints.iter_mut().for_each(|endpoint| endpoint.weight = Some(1));
            hub.remarks.push("all of its weights are 0, which Route 53 takes for equal ones: 1 each".into());
        }
        match hub.policy {
            "priority" => hub.fail_back_at_once(),
            "all" => {
                hub.set("most", MULTIVALUE.to_string());
                hub.set("when_all_down", quoted("all"));
            }
            _ => hub.set("when_all_down", quoted("all")),
        }
        if hub.policy == "geo" {
            hub.set("map", format!("[\n{}]", map.concat()));
            if ["country", "continent"].iter().all(|key| map.iter().any(|entry| entry.contains(key))) {
                hub.remarks.push("a country whose endpoint is down is answered with the default; Route 53 tries its continent first: write that after it in `to`".into());
            }
            match default.is_empty() {
                true => hub.remarks.push("whoever matches nothing is answered with the first endpoint; Route 53 has no default here and answers nothing".into()),
                false => hub.set("default", list(&default)),
            }
        }
        let placed = matches!(hub.policy, "geo" | "nearest") && !matches!(first.routing, Routing::Cidr(_));
        if placed && self.draft.database.is_none() {
            self.draft.database = Some("GeoLite2-City.mmdb".into());
            self.draft.note(
                "[geo]",
                "Route 53 has a database of its own: put a MaxMind one beside the policy, or write its path",
            );
        }
        if hub.endpoints.is_empty() {
            self.draft.note(name, "none of its record sets could be carried over, so that there is no hub");
            return;
        }
        self.draft.add_hub(&owner, hub);
    }

    /// The endpoint of the sets with one identifier.
    fn endpoint(
        &mut self,
        zone: &Zone,
        owner: &str,
        identifier: &str,
        sets: &[&Set],
        unrouted: &[&Set],
        hub: &mut HubDraft,
    ) -> Option<EndpointDraft> {
        let first = sets.first()?;
        let region = self.region(owner, identifier, &first.routing, hub);
        let checks: Vec<&String> = sets.iter().filter_map(|set| set.health_check.as_ref()).collect();
        if checks.windows(2).any(|pair| pair[0] != pair[1]) {
            hub.remarks
                .push(format!("{identifier}: its types have different health checks, of which the first counts"));
        }
        let mut check = checks.first().map(|id| self.checks.check(id, &mut self.draft)).unwrap_or_default();
        let answer = match &first.alias {
            Some(alias) => self.alias(zone, owner, identifier, alias, &mut check, hub)?,
            None => Self::values(sets, unrouted, hub, identifier)?,
        };
        if answer.0 == "hub" {
            check = Check::default();
        }
        // What is answered is dialled anyway.
        let target = check.target.filter(|target| answer.1 != *target && answer.1 != format!("[{target}]"));
        let weight = match first.routing {
            Routing::Weighted(weight) => u32::try_from(weight).ok(),
            _ => None,
        };
        Some(EndpointDraft { region, answer, at_least: None, weight, probe: check.probe, target })
    }

    /// What an alias is as an answer.
    fn alias(
        &mut self,
        zone: &Zone,
        owner: &str,
        identifier: &str,
        alias: &Alias,
        check: &mut Check,
        hub: &mut HubDraft,
    ) -> Option<(&'static str, String)> {
        let at = zone.at(&alias.name);
        if at.iter().any(|set| set.identifier.is_some()) {
            if !alias.evaluate {
                hub.remarks
                    .push(format!("{identifier}: the health of {} counts, which it does not in Route 53", alias.name));
            }
            if check.probe.is_some() {
                hub.remarks
                    .push(format!("{identifier}: its own health check is left out, for {} says how it is", alias.name));
            }
            return Some(("hub", quoted(&alias.name)));
        }
        let addresses: Vec<&Set> = at.into_iter().filter(|set| set.is_address() && set.alias.is_none()).collect();
        if !addresses.is_empty() {
            return Some(("addresses", list(addresses.iter().flat_map(|set| &set.values))));
        }
        if owner == zone.apex {
            hub.remarks
                .push(format!("{identifier}: {} is outside the zone, and the apex has no CNAME: left out", alias.name));
            return None;
        }
        if alias.evaluate && check.probe.is_none() {
            hub.remarks.push(format!(
                "{identifier}: the health of {} is known to AWS alone: give the endpoint a probe",
                alias.name
            ));
        }
        Some(("cname", quoted(&alias.name)))
    }

    /// Records as an answer.
    fn values(
        sets: &[&Set],
        unrouted: &[&Set],
        hub: &mut HubDraft,
        identifier: &str,
    ) -> Option<(&'static str, String)> {
        if let Some(cname) = sets.iter().find(|set| set.rtype == "CNAME") {
            return cname.values.first().map(|name| ("cname", quoted(&rdata("CNAME", name))));
        }
        // A type that is the same for all endpoints stands in each.
        let lacks = |set: &&&Set| !sets.iter().any(|other| other.rtype == set.rtype);
        let all: Vec<&Set> = sets.iter().chain(unrouted.iter().filter(lacks)).copied().collect();
        if all.iter().any(|set| set.alias.is_some()) {
            hub.remarks
                .push(format!("{identifier}: one of its types is an alias and another is not: the alias is left out"));
        }
        if all.iter().all(|set| set.is_address()) {
            let addresses: Vec<&String> = all.iter().flat_map(|set| &set.values).collect();
            return (!addresses.is_empty()).then(|| ("addresses", list(addresses)));
        }
        let records = all
            .iter()
            .flat_map(|set| set.values.iter().map(|value| format!("{} {}", set.rtype, rdata(&set.rtype, value))));
        let records: Vec<String> = records.collect();
        (!records.is_empty()).then(|| ("records", list(records)))
    }

    /// The region of an endpoint: the AWS region where there is one, else one of the hub's own.
    fn region(&mut self, owner: &str, identifier: &str, routing: &Routing, hub: &mut HubDraft) -> String {
        let (aws, place) = match routing {
            Routing::Latency(region) => (Some(region), places::place(region)),
            Routing::Geoproximity { place, region, .. } => {
                (region.as_ref(), place.or(region.as_deref().and_then(places::place)))
            }
            _ => (None, None),
        };
        let label = owner.split('.').next().unwrap_or(owner);
        let name = match aws {
            Some(aws) => self.regions.name(aws, &[aws]),
            None => self.regions.name(&format!("{owner} {identifier}"), &[label, identifier]),
        };
        if let Routing::Geoproximity { bias, .. } = routing
            && *bias != 0
        {
            hub.remarks.push(format!(
                "{identifier}: a bias of {bias} is not carried over; move the region's location instead"
            ));
        }
        let unplaced = matches!(routing, Routing::Latency(_) | Routing::Geoproximity { .. }) && place.is_none();
        if unplaced {
            let remark = "where it is is not known: write its latitude and longitude in the place of these";
            let region = self.draft.regions.entry(name.clone()).or_default();
            if region.location.is_none() {
                region.location = Some((0.0, 0.0));
                region.remarks.push(remark.into());
                self.draft.note_elsewhere(format!("region {name}"), remark);
            }
        }
        if let Some(place) = place {
            self.draft.regions.entry(name.clone()).or_default().location = Some(place);
        }
        name
    }

    /// The origins that an endpoint is for, and whether it is for all others.
    fn origins(&self, routing: &Routing, identifier: &str, hub: &mut HubDraft) -> (Vec<(&'static str, String)>, bool) {
        match routing {
            Routing::Geolocation { key, code, subdivision: None } => (vec![(key, code.clone())], false),
            Routing::Geolocation { code, subdivision: Some(subdivision), .. } => {
                hub.remarks.push(format!("{identifier}: a map knows no subdivision, so that {code}-{subdivision} is answered as the rest of {code}"));
                (Vec::new(), false)
            }
            Routing::Cidr(location) => {
                let blocks = self.blocks.iter().filter(|block| block["LocationName"] == location.as_str());
                let blocks: Vec<(&'static str, String)> =
                    blocks.filter_map(|block| Some(("subnet", block["CidrBlock"].as_str()?.to_owned()))).collect();
                let is_default = location == "*";
                if blocks.is_empty() && !is_default {
                    hub.remarks.push(format!(
                        "{identifier}: no blocks of {location} were given: add `aws route53 list-cidr-blocks`"
                    ));
                }
                (blocks, is_default)
            }
            Routing::GeolocationDefault => (Vec::new(), true),
            _ => (Vec::new(), false),
        }
    }
}
