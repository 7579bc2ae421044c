//! Resources to hubs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::draft::{Draft, EndpointDraft, HubDraft, Names, list, quoted, seconds, slug};
use super::maps::{self, Map};
use super::resources::{Group, GroupKind, Member, Meta, Resource};
use super::services::Services;
use super::vscf::Value;

/// The largest weight that an endpoint has.
const MOST_WEIGHT: u64 = 65_535;

/// Far from every client.
const SOUTH_POLE: (f64, f64) = (-90.0, 0.0);

/// How long an answer may be kept, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Ttl {
    pub(super) most: u64,
    /// While something is in doubt.
    pub(super) least: u64,
}

/// Turns resources into hubs.
pub(super) struct Hubs<'v> {
    plugins: &'v Value,
    services: Services<'v>,
    regions: Names,
    /// The maps that have been said something of.
    maps: BTreeMap<String, Map>,
    pub(super) draft: Draft,
}

impl<'v> Hubs<'v> {
    pub(super) fn new(plugins: &'v Value, services: Services<'v>) -> Self {
        Self { plugins, services, regions: Names::default(), maps: BTreeMap::new(), draft: Draft::default() }
    }

    /// Makes the hub `owner` in the zone `apex`; `name` is what the resource is called.
    pub(super) fn add(&mut self, owner: &str, apex: &str, name: &str, ttl: Ttl, resource: &Resource) {
        if self.draft.hubs.contains_key(owner) {
            return;
        }
        let hub = match resource {
            Resource::Fixed(answers) => self.fixed(name, ttl, answers),
            Resource::Group(group) => self.group(name, ttl, group),
            Resource::Meta(meta) => self.meta(apex, name, ttl, meta),
        };
        self.draft.add_hub(owner, hub);
    }

    fn fixed(&mut self, name: &str, ttl: Ttl, answers: &[String]) -> HubDraft {
        let mut hub = HubDraft::new("priority", ttl.most);
        let region = self.regions.name(name, &[name]);
        hub.endpoints.push(EndpointDraft { region, answer: answer(answers), ..EndpointDraft::default() });
        hub
    }

    fn group(&mut self, name: &str, ttl: Ttl, group: &Group) -> HubDraft {
        let policy = match group.kind {
            GroupKind::Simple => "priority",
            GroupKind::Multi => "all",
            GroupKind::Weighted => "weighted",
        };
        let mut hub = HubDraft::new(policy, ttl.most);
        shorten(&mut hub, ttl);
        hub.remarks.extend(group.remarks.iter().cloned());
        let heaviest = group.members.iter().map(|member| member.weight).max().unwrap_or(1);
        let scale = heaviest.div_ceil(MOST_WEIGHT).max(1);
        if scale > 1 {
            hub.remarks.push(format!("weights are at most {MOST_WEIGHT}, and are divided by {scale}"));
        }
        for member in &group.members {
            let mut endpoint = self.endpoint(name, member);
            if group.kind == GroupKind::Weighted {
                endpoint.weight = u32::try_from((member.weight / scale).max(1)).ok();
            }
            hub.endpoints.push(endpoint);
        }
        match group.kind {
            GroupKind::Simple => hub.fail_back_at_once(),
            GroupKind::Multi | GroupKind::Weighted => hub.set("when_all_down", quoted("all")),
        }
        hub
    }

    fn endpoint(&mut self, name: &str, member: &Member) -> EndpointDraft {
        let region = self.regions.name(&format!("{name}\n{}", member.label), &[name, &member.label]);
        let item = member.answers.first().map(String::as_str).unwrap_or_default();
        let probe = self.services.probe(&member.services, item, &mut self.draft);
        EndpointDraft { region, answer: answer(&member.answers), probe, ..EndpointDraft::default() }
    }

    fn meta(&mut self, apex: &str, name: &str, ttl: Ttl, meta: &Meta) -> HubDraft {
        let map = meta.map.as_deref().map(|map| self.map(map));
        let policy = match &map {
            None => "priority",
            Some(Map { coordinates: Some(_), .. }) => "nearest",
            // Without entries all clients have the same list.
            Some(Map { entries, .. }) if entries.is_empty() => "priority",
            Some(_) => "geo",
        };
        let mut hub = HubDraft::new(policy, ttl.most);
        shorten(&mut hub, ttl);
        let skipped = usize::from(meta.skip_first && map.is_none() && meta.datacenters.len() > 1);
        for (datacenter, resource) in meta.datacenters.iter().skip(skipped) {
            let region = self.regions.name(&format!("datacenter {datacenter}"), &[datacenter]);
            let endpoint = self.datacenter(apex, name, ttl, datacenter, resource);
            hub.endpoints.push(EndpointDraft { region, ..endpoint });
        }
        match map {
            None => hub.fail_back_at_once(),
            Some(map) if policy == "priority" => {
                let rank =
                    |endpoint: &EndpointDraft| map.default.iter().position(|name| slug(&[name]) == endpoint.region);
                hub.endpoints.sort_by_key(|endpoint| rank(endpoint).unwrap_or(usize::MAX));
                hub.fail_back_at_once();
            }
            Some(map) => self.place(&mut hub, map, meta),
        }
        hub
    }

    /// The endpoint of a datacenter: what it answers, or a hub inside this one.
    fn datacenter(&mut self, apex: &str, name: &str, ttl: Ttl, datacenter: &str, resource: &Resource) -> EndpointDraft {
        match resource {
            Resource::Fixed(answers) => EndpointDraft { answer: answer(answers), ..EndpointDraft::default() },
            Resource::Group(Group { kind: GroupKind::Multi, members, .. })
                if members.len() == 1 || members.iter().all(|member| member.services.is_empty()) =>
            {
                let answers: Vec<String> = members.iter().flat_map(|member| member.answers.clone()).collect();
                let services = members.first().map(|member| member.services.clone()).unwrap_or_default();
                let item = answers.first().cloned().unwrap_or_default();
                let probe = self.services.probe(&services, &item, &mut self.draft);
                EndpointDraft { answer: answer(&answers), probe, ..EndpointDraft::default() }
            }
            inner => {
                let owner = format!("_{}._{}.{apex}", slug(&[datacenter]), slug(&[name]));
                let inner_name = format!("{name}/{datacenter}");
                self.add(&owner, apex, &inner_name, ttl, inner);
                EndpointDraft { answer: ("hub", quoted(&owner)), ..EndpointDraft::default() }
            }
        }
    }

    /// The map by its name; what is to be said of it is said once.
    fn map(&mut self, name: &str) -> Map {
        if let Some(map) = self.maps.get(name) {
            return map.clone();
        }
        let read = self.plugins.get("geoip").and_then(|geoip| maps::read(geoip, name));
        let map = read.unwrap_or_default();
        let about = format!("plugins.geoip.maps.{name}");
        if let Some(database) = &map.database {
            match &self.draft.database {
                None => {
                    self.draft.note(
                        &about,
                        format!("put the database {database} beside the policy, or write its path in [geo]"),
                    );
                    self.draft.database = Some(database.clone());
                }
                Some(first) if first == database => {}
                Some(first) => {
                    let sentence =
                        format!("its database {database} is not used: there is one for the whole policy, {first}");
                    self.draft.note(&about, sentence);
                }
            }
        }
        for remark in &map.remarks {
            self.draft.note(&about, remark.clone());
        }
        self.maps.insert(name.into(), map.clone());
        map
    }

    /// Gives the hub its map.
    fn place(&mut self, hub: &mut HubDraft, map: Map, meta: &Meta) {
        let there = |datacenter: &String| meta.datacenters.iter().any(|(name, _)| name == datacenter);
        let nearest = map.coordinates.is_some();
        if meta.skip_first {
            let sentence = match nearest {
                true => "`skip_first` is not carried over: the nearest datacenter is answered, not the second",
                false => {
                    "`skip_first`: the first datacenter of every list is left out of it; as a last resort it is answered all the same"
                }
            };
            hub.remarks.push(sentence.into());
        }
        let mut regions = |to: &[String]| -> Vec<String> {
            let to: Vec<&String> = to.iter().filter(|datacenter| there(datacenter)).collect();
            let skipped = usize::from(meta.skip_first && !nearest && to.len() > 1);
            let name = |datacenter: &&String| self.regions.name(&format!("datacenter {datacenter}"), &[datacenter]);
            to.iter().skip(skipped).map(name).collect()
        };
        let mut entries = Vec::new();
        for (key, origin, to) in &map.entries {
            let to = regions(to);
            if !to.is_empty() {
                entries.push(format!("  {{ {key} = {}, to = {} }},\n", quoted(&subnet(origin)), list(to)));
            }
        }
        let default = regions(&map.default);
        if !entries.is_empty() {
            hub.set("map", format!("[\n{}]", entries.concat()));
        }
        if !default.is_empty() {
            hub.set("default", list(default));
        }
        for (datacenter, _) in meta.datacenters.iter().filter(|_| nearest) {
            let region = self.regions.name(&format!("datacenter {datacenter}"), &[datacenter]);
            let place = map.coordinates.iter().flatten().find(|(name, ..)| name == datacenter);
            let region = self.draft.regions.entry(region).or_default();
            region.location = Some(place.map_or(SOUTH_POLE, |(_, latitude, longitude)| (*latitude, *longitude)));
            if place.is_none() && region.remarks.is_empty() {
                region.remarks.push(format!(
                    "no coordinates in {datacenter}: at the South Pole, it comes last nearly everywhere"
                ));
            }
        }
        hub.set("when_all_down", quoted("all"));
        self.draft.note(
            "plugins.geoip",
            "a datacenter that is down is followed by the rest of its list, then the default, then all others; gdnsd stays within the list",
        );
    }
}

/// An origin as a map writes it: a subnet without bits beyond its prefix, the rest as it is.
fn subnet(origin: &str) -> String {
    let parsed = origin
        .split_once('/')
        .and_then(|(address, length)| Some((address.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?)));
    match parsed {
        Some((IpAddr::V4(address), length)) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            format!("{}/{length}", std::net::Ipv4Addr::from(u32::from(address) & mask))
        }
        Some((IpAddr::V6(address), length)) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            format!("{}/{length}", std::net::Ipv6Addr::from(u128::from(address) & mask))
        }
        _ => origin.into(),
    }
}

/// The lower TTL, of a hub that has one.
fn shorten(hub: &mut HubDraft, ttl: Ttl) {
    let most = ttl.most.clamp(5, 86_400);
    let least = ttl.least.clamp(5, most);
    if least < most {
        hub.set("ttl_min", quoted(&seconds(least)));
    }
}

/// Addresses, or a name.
fn answer(answers: &[String]) -> (&'static str, String) {
    match answers {
        [name] if name.parse::<IpAddr>().is_err() => {
            let dot = if name.ends_with('.') { "" } else { "." };
            ("cname", quoted(&format!("{name}{dot}")))
        }
        addresses => ("addresses", list(addresses)),
    }
}
