//! What a hub can come to, where that depends on who asks, or on a hub inside it.

use std::collections::BTreeMap;

use super::super::refusal::rule;
use super::super::select::{Kind, Next, Plan, Way};
use super::{Check, Rotation, merged, other_than_addresses};
use crate::dns::hash::hash;
use crate::dns::{Name, Rtype};
use crate::geo::Spec;
use crate::policy::{self, Answer, GeoMap, Hub, Policy, RegionName, Selection, WhenAllDown};

/// Whether a hub is answered by a plan.
pub(super) fn is_needed(hub: &Hub) -> bool {
    hub.selection.is_stateless() || hub.endpoints.iter().any(|endpoint| matches!(endpoint.answer, Answer::Hub(_)))
}

/// Makes the plan of the hub that is checked, and refuses what must never be answered. `hubs` are the names of all hubs, by
/// position; `specs` the numbers of the maps that are known.
pub(super) fn compile<'c>(
    check: &mut Check<'c>,
    policy: &'c Policy,
    hubs: &[Name],
    specs: &mut BTreeMap<Spec, u32>,
    number: u32,
) -> Option<Plan> {
    let hub = check.hub;
    let mut draft = Draft { policy, hubs, specs, ways: Vec::new(), leaves: Vec::new(), known: BTreeMap::new() };
    let depth = match draft.enter(check, hub, &mut Vec::new()) {
        Ok((_, depth)) => depth,
        Err(DeadEnd) => return None,
    };
    if depth > Answer::DEEPEST {
        let sentence = format!("has hubs in hubs {depth} deep, expected at most {}", Answer::DEEPEST);
        check.refuse(rule::NO_LOOP, sentence, "give the endpoint an answer of its own");
        return None;
    }
    // What decides inside is obeyed as soon as outside.
    let inside = || draft.ways.iter().map(|way| way.0);
    let ttl = inside().map(|hub| hub.ttl).min()?;
    let low = inside().map(|hub| hub.ttl_min).min()?.min(ttl);
    check.budget(ttl);
    for (label, rrsets) in &draft.leaves {
        check.judge(label, rrsets);
    }
    let mut with_ttl =
        |ttl| -> Box<[Box<[u8]>]> { draft.leaves.iter().map(|(_, rrsets)| check.prepare(rrsets, ttl)).collect() };
    let (full, low_leaves) = (with_ttl(ttl), (low < ttl).then(|| with_ttl(low)));
    let ttls = [ttl, low].map(|ttl| u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX));
    let ways = draft.ways.into_iter().map(|(_, mut way)| {
        if let Kind::All(rotation) = &mut way.kind {
            rotation.ttls = ttls;
        }
        way
    });
    Some(Plan { number, ways: ways.collect(), full, low: low_leaves })
}

/// It has been refused.
struct DeadEnd;

struct Draft<'p> {
    policy: &'p Policy,
    hubs: &'p [Name],
    specs: &'p mut BTreeMap<Spec, u32>,
    ways: Vec<(&'p Hub, Way)>,
    /// What a way can end in, and for what that is.
    leaves: Vec<(String, Vec<policy::Rrset>)>,
    /// The way and the depth of the hubs that have one.
    known: BTreeMap<u32, (u32, usize)>,
}

impl<'p> Draft<'p> {
    /// The way of a hub, and how deep there are hubs from there on; `path` are those that lead to it.
    fn enter(
        &mut self,
        check: &mut Check<'_>,
        hub: &'p Hub,
        path: &mut Vec<&'p Name>,
    ) -> Result<(u32, usize), DeadEnd> {
        let name = &hub.name;
        let position = self.position(check, name)?;
        if let Some(known) = self.known.get(&position) {
            return Ok(*known);
        }
        if path.contains(&name) {
            let sentence = format!("has itself inside: {name} leads back to {name}");
            check.refuse(rule::NO_LOOP, sentence, "give the endpoint an answer of its own");
            return Err(DeadEnd);
        }
        // The place is kept: what is inside comes behind.
        let way = self.ways.len() as u32;
        let kind = self.kind(check, hub, position)?;
        self.ways.push((hub, Way { hub: position, kind, next: Box::new([]), all: None }));
        path.push(name);
        let mut deepest = 0;
        let mut next = Vec::new();
        for endpoint in &hub.endpoints {
            next.push(match &endpoint.answer {
                Answer::Hub(inside) => {
                    let Some(inside) = self.policy.hubs.get(inside) else {
                        return Err(missing(check, inside));
                    };
                    let (way, depth) = self.enter(check, inside, path)?;
                    deepest = deepest.max(depth);
                    Next::Way(way)
                }
                answer => Next::Leaf(self.leaf(hub, &format!("for region {}", endpoint.region), answer.rrsets())),
            });
        }
        path.pop();
        let all = match hub.when_all_down {
            WhenAllDown::All if !hub.selection.is_stateless() => {
                let rrsets = check.all_addresses(hub).ok_or(DeadEnd)?;
                Some(self.leaf(hub, "for all regions at once", rrsets))
            }
            _ => None,
        };
        let (_, made) = &mut self.ways[way as usize];
        (made.next, made.all) = (next.into(), all);
        let found = (way, deepest + 1);
        self.known.insert(position, found);
        Ok(found)
    }

    fn position(&self, check: &mut Check<'_>, name: &Name) -> Result<u32, DeadEnd> {
        self.hubs.binary_search(name).map(|position| position as u32).map_err(|_| missing(check, name))
    }

    fn leaf(&mut self, hub: &Hub, what: &str, rrsets: Vec<policy::Rrset>) -> u32 {
        // The first way is the hub that is checked.
        let own = self.ways.first().is_some_and(|(first, _)| first.name == hub.name);
        let label = if own { what.to_owned() } else { format!("{what} of hub {}", hub.name) };
        self.leaves.push((label, rrsets));
        self.leaves.len() as u32 - 1
    }

    fn kind(&mut self, check: &mut Check<'_>, hub: &'p Hub, position: u32) -> Result<Kind, DeadEnd> {
        Ok(match &hub.selection {
            Selection::Priority => Kind::Priority,
            Selection::Weighted => Kind::Weighted(hub.endpoints.iter().map(|endpoint| endpoint.weight).collect()),
            Selection::Geo(map) => Kind::Classed(self.number(Spec::geo(map)), lists(hub, map)),
            Selection::Nearest(map) => {
                let location = |region| self.policy.regions.get(region).and_then(|region| region.location);
                let sites = hub.endpoints.iter().map(|endpoint| location(&endpoint.region));
                let spec = Spec::nearest(map, sites);
                Kind::Classed(self.number(spec), lists(hub, map))
            }
            Selection::All { most } => {
                if let Some(other) = other_than_addresses(hub) {
                    let sentence = format!("answers its usable endpoints at once, but has an endpoint with {other}");
                    check.refuse(rule::ALL_ADDRESSES, sentence, "give every endpoint addresses");
                    return Err(DeadEnd);
                }
                let most = (*most).max(1);
                check.judge("for all usable regions at once", &largest(hub, most.into()));
                // The TTLs are known once all hubs inside are.
                Kind::All(Rotation { name: check.hub.name.clone(), hub: position, most, ttls: [0; 2] })
            }
            Selection::Sticky(prefixes) => {
                let number = |region: &RegionName| hash(region.as_str().as_bytes());
                Kind::Sticky(*prefixes, hub.endpoints.iter().map(|endpoint| number(&endpoint.region)).collect())
            }
        })
    }

    /// The number of a map.
    fn number(&mut self, spec: Spec) -> usize {
        let next = self.specs.len() as u32;
        *self.specs.entry(spec).or_insert(next) as usize
    }
}

fn missing(check: &mut Check<'_>, inside: &Name) -> DeadEnd {
    let sentence = format!("has {inside} inside, which is no hub");
    check.refuse(rule::NOT_EMPTY, sentence, "define that hub, or give the endpoint an answer of its own");
    DeadEnd
}

/// For a client of no entry, and for each entry of the map: all endpoints in order of preference.
fn lists(hub: &Hub, map: &GeoMap) -> Box<[Box<[u8]>]> {
    let of = |to: &[RegionName]| {
        let named = to.iter().chain(&map.default).filter_map(|region| hub.position(region));
        let mut list: Vec<u8> = Vec::new();
        for at in named.chain(0..hub.endpoints.len()).filter_map(|at| u8::try_from(at).ok()) {
            if !list.contains(&at) {
                list.push(at);
            }
        }
        list.into_boxed_slice()
    };
    [of(&[])].into_iter().chain(map.entries.iter().map(|entry| of(&entry.to))).collect()
}

/// The most records that so many endpoints of a hub can be answered with at once.
fn largest(hub: &Hub, most: usize) -> Vec<policy::Rrset> {
    let of_type = |rtype| {
        let endpoints = hub.endpoints.iter().flat_map(|endpoint| endpoint.answer.rrsets());
        let mut rrsets: Vec<policy::Rrset> = endpoints.filter(|rrset| rrset.rtype == rtype).collect();
        rrsets.sort_by_key(|rrset| std::cmp::Reverse(rrset.rdatas.len()));
        rrsets.truncate(most);
        rrsets
    };
    merged([of_type(Rtype::A), of_type(Rtype::AAAA)])
}
