//! Which endpoint a hub answers with, where that depends on who asks or on a draw.
//!
//! ```text
//! Plan      one a hub, made with the content     ways: the hub and the hubs inside it; leaves: RRsets of its name
//! Selector  one a hub and snapshot               a pick for each way: bounds, endpoint by class, ...
//! select    for every query                      way 0 -> endpoint -> leaf, or the way of the hub inside -> ...
//! ```
//!
//! Whatever depends on the policy alone is in the plan, and what depends on the choices in the selector, which is made when
//! they change: a query draws, looks up its class or hashes its prefix, and copies the RRsets that are there. Selectors whose
//! choices stay are shared from one snapshot to the next.
//!
//! A hub inside another answers under the outer one's name: there is no CNAME between, and its own static types and TTL do
//! not come along. The TTL of a hub with others inside is the least of all of theirs, so that whatever decides inside is
//! obeyed as soon as it would be outside.

use std::sync::Arc;

use super::client::{Origin, mix};
use super::hubs::Rotation;
use super::snapshot::{Choice, Content, What};
use crate::geo::{Class, ClassMap};
use crate::policy::Prefixes;

/// What a hub can come to.
#[derive(Debug)]
pub(super) struct Plan {
    /// Its number among all plans.
    pub(super) number: u32,
    /// The hub itself, and then those inside it, each once.
    pub(super) ways: Box<[Way]>,
    /// The RRsets of the name for everything that a way can end in, with the full TTL.
    pub(super) full: Box<[Box<[u8]>]>,
    /// The same with the low TTL, where that is lower.
    pub(super) low: Option<Box<[Box<[u8]>]>>,
}

/// A hub on the way to an answer.
#[derive(Debug)]
pub(super) struct Way {
    /// Its position.
    pub(super) hub: u32,
    pub(super) kind: Kind,
    /// What follows for each of its endpoints.
    pub(super) next: Box<[Next]>,
    /// The leaf of all its addresses at once, where its policy may choose them.
    pub(super) all: Option<u32>,
}

/// What follows for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// These RRsets.
    Leaf(u32),
    /// The hub of this way.
    Way(u32),
}

/// How a hub selects, as far as the policy says.
#[derive(Debug)]
pub(super) enum Kind {
    /// As its choice says.
    Priority,
    /// By these weights.
    Weighted(Box<[u16]>),
    /// By the map with this number: for a client of no entry, and for each entry, all endpoints in order of preference.
    Classed(usize, Box<[Box<[u8]>]>),
    /// Several at once, in turn.
    All(Rotation),
    /// By the client's prefix; a number for each endpoint, which stays the same whatever else there is.
    Sticky(Prefixes, Box<[u64]>),
}

/// How a hub selects in one snapshot.
#[derive(Debug)]
pub(super) struct Selector {
    /// For each way.
    picks: Box<[Pick]>,
    /// Whether the low TTL is answered.
    low: bool,
}

/// What is left to do for a query.
#[derive(Debug)]
enum Pick {
    /// This endpoint.
    Always(u16),
    /// The leaf of all addresses.
    Everything,
    /// These endpoints by draw: the first whose bound is above it, or the last, which has none.
    Drawn { key: u32, bounds: Box<[u32]>, endpoints: Box<[u8]> },
    /// The endpoint of the client's class.
    Classed { map: Arc<ClassMap>, endpoints: Box<[u8]> },
    /// The endpoint whose number comes to most with that of the client's prefix.
    Hashed { prefixes: Prefixes, endpoints: Box<[(u64, u8)]> },
    /// One of these RRsets of the name, by draw.
    Rotating { key: u32, turns: Box<[Box<[u8]>]> },
}

/// Who is told of what is picked on the way to an answer.
pub(super) trait Watch {
    /// `pick` is what the hub of `way` has come to for `origin`: this endpoint, or several at once.
    fn picked(&mut self, way: &Way, pick: &Picked<'_>, origin: Origin, endpoint: Option<usize>);
}

/// A pick, to be asked about.
pub(super) struct Picked<'a>(&'a Pick);

/// Nobody.
impl Watch for () {
    #[inline(always)]
    fn picked(&mut self, _: &Way, _: &Picked<'_>, _: Origin, _: Option<usize>) {}
}

/// For how many leading bits of the address the answer is that of everybody: SCOPE PREFIX-LENGTH (RFC 7871 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope(pub(super) u8);

impl Watch for Scope {
    fn picked(&mut self, _: &Way, pick: &Picked<'_>, origin: Origin, _: Option<usize>) {
        self.0 = self.0.max(pick.scope(origin));
    }
}

/// What one hub on the way selects for an origin, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// The position of the hub.
    pub hub: usize,
    /// What it goes by.
    pub why: Why,
    /// Of a hub that goes by where the client is: the endpoints in order of preference, of which the first usable one
    /// counts.
    pub preference: Vec<usize>,
    /// The endpoint; `None` for all at once.
    pub endpoint: Option<usize>,
    /// For how many leading bits of the address that is so for everybody.
    pub scope: u8,
}

/// What a hub goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its choice: the active region, or the only endpoint that is left.
    Choice,
    /// A draw, by the weights.
    Weight,
    /// This entry of its map.
    Entry(usize),
    /// The distance.
    Distance,
    /// Nothing is known of the client that the map says anything about.
    Default,
    /// The hash of the client's prefix.
    Prefix,
    /// The turn of several at once.
    Turn,
}

impl Watch for Vec<Level> {
    fn picked(&mut self, way: &Way, pick: &Picked<'_>, origin: Origin, endpoint: Option<usize>) {
        let (why, preference) = pick.why(way, origin);
        let (hub, scope) = (way.hub as usize, pick.scope(origin));
        self.push(Level { hub, why, preference, endpoint, scope });
    }
}

impl Plan {
    #[inline]
    pub(super) fn number(&self) -> usize {
        self.number as usize
    }

    /// The positions of the hubs that it goes by.
    pub(super) fn hubs(&self) -> impl Iterator<Item = usize> {
        self.ways.iter().map(|way| way.hub as usize)
    }

    /// What it can come to but for several endpoints at once.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &Box<[u8]>> {
        self.full.iter()
    }
}

impl Selector {
    /// How the hub of a plan selects under these choices; `None` when one of them is none of its own.
    pub(super) fn make(plan: &Plan, content: &Content, choices: &[Choice]) -> Option<Self> {
        let chosen = |way: &Way| choices.get(way.hub as usize);
        let low = plan.low.is_some() && plan.ways.iter().any(|way| chosen(way).is_some_and(|choice| choice.low_ttl));
        let picks = plan.ways.iter().map(|way| Pick::of(way, chosen(way)?.what, content, low));
        Some(Self { picks: picks.collect::<Option<_>>()?, low })
    }

    /// The octets of the RRsets for an origin.
    #[inline]
    pub(super) fn select<'a>(&'a self, plan: &'a Plan, origin: Origin, watch: &mut impl Watch) -> Option<&'a [u8]> {
        let leaves = match &plan.low {
            Some(low) if self.low => low,
            _ => &plan.full,
        };
        let mut at = 0;
        // No way leads back, so that each is gone once at most.
        for _ in 0..plan.ways.len() {
            let (way, pick) = (plan.ways.get(at)?, self.picks.get(at)?);
            let endpoint = match pick {
                Pick::Always(endpoint) => Ok(usize::from(*endpoint)),
                Pick::Everything => Err(&**leaves.get(way.all? as usize)?),
                Pick::Drawn { key, bounds, endpoints } => {
                    let draw = origin.draw(*key);
                    let drawn = bounds.partition_point(|bound| *bound <= draw);
                    Ok(usize::from(*endpoints.get(drawn)?))
                }
                Pick::Classed { map, endpoints } => {
                    Ok(usize::from(*endpoints.get(map.find(origin.network()).number as usize)?))
                }
                Pick::Hashed { prefixes, endpoints } => {
                    let prefix = prefix(origin, *prefixes);
                    Ok(usize::from(endpoints.iter().max_by_key(|(number, _)| mix(number ^ prefix))?.1))
                }
                Pick::Rotating { key, turns } => {
                    let turn = (u64::from(origin.draw(*key)) * turns.len() as u64) >> 32;
                    Err(&**turns.get(turn as usize)?)
                }
            };
            watch.picked(way, &Picked(pick), origin, endpoint.ok());
            match endpoint.map(|endpoint| way.next.get(endpoint)) {
                Err(octets) => return Some(octets),
                Ok(Some(Next::Leaf(leaf))) => return leaves.get(*leaf as usize).map(|octets| &**octets),
                Ok(Some(Next::Way(next))) => at = *next as usize,
                Ok(None) => return None,
            }
        }
        None
    }
}

impl Pick {
    fn of(way: &Way, what: What, content: &Content, low: bool) -> Option<Self> {
        let endpoints = way.next.len();
        let usable = match what {
            What::Endpoint(endpoint) => return (usize::from(endpoint) < endpoints).then_some(Self::Always(endpoint)),
            What::All => return way.all.map(|_| Self::Everything),
            What::Among(_) if matches!(way.kind, Kind::Priority) => return None,
            What::Among(mask) => {
                let usable: Vec<u8> = (0..64).filter(|at| mask >> at & 1 == 1).collect();
                Some(usable).filter(|usable| usable.last().is_some_and(|last| usize::from(*last) < endpoints))?
            }
        };
        let is_usable = |at: &&u8| usable.contains(at);
        let key = content.hub_key(way.hub as usize)?;
        Some(match &way.kind {
            Kind::Priority => return None,
            Kind::Weighted(weights) => {
                let weighted = |at: &&u8| weights[usize::from(**at)] > 0;
                // Those without a weight are for when nothing else is left, and then alike.
                let some: Vec<u8> = usable.iter().filter(weighted).copied().collect();
                let weight = |at: &u8| u64::from(weights[usize::from(*at)]).max(1);
                drawn(if some.is_empty() { usable } else { some }, weight, key)
            }
            Kind::Classed(number, lists) => {
                let map = content.map(*number)?;
                let first = |class: usize| {
                    let order = match map.class(class as u32) {
                        Class::Default => &[],
                        Class::Entry(entry) => &*lists[entry + 1],
                        Class::Location(location) => map.order(location),
                    };
                    // Every list holds all endpoints.
                    order.iter().chain(&lists[0]).find(is_usable).copied()
                };
                let endpoints = (0..map.classes()).map(first).collect::<Option<_>>()?;
                Self::Classed { map: map.clone(), endpoints }
            }
            Kind::All(rotation) => Self::Rotating { key, turns: rotation.turns(&usable, content, low)? },
            Kind::Sticky(prefixes, numbers) => {
                let endpoints = usable.iter().map(|at| (numbers[usize::from(*at)], *at)).collect();
                Self::Hashed { prefixes: *prefixes, endpoints }
            }
        })
    }
}

/// A draw among endpoints by their weights.
fn drawn(endpoints: Vec<u8>, weight: impl Fn(&u8) -> u64, key: u32) -> Pick {
    let total: u64 = endpoints.iter().map(&weight).sum();
    let mut sum = 0;
    let bounds = endpoints.iter().take(endpoints.len().saturating_sub(1)).map(|at| {
        sum += weight(at);
        // Of 2^32 draws, its share; what is lost to rounding is the last one's.
        ((sum << 32) / total) as u32
    });
    let bounds = bounds.collect();
    Pick::Drawn { key, bounds, endpoints: endpoints.into() }
}

impl Picked<'_> {
    /// For how many leading bits of the address of `origin` it comes to the same, whatever endpoints are usable: a scope that
    /// came and went with them would have resolvers forget what they ask for.
    fn scope(&self, origin: Origin) -> u8 {
        let network = origin.network();
        match self.0 {
            Pick::Classed { map, .. } => map.scope(network, map.find(network)),
            Pick::Hashed { prefixes, .. } => bits(*prefixes, network.is_ipv6),
            Pick::Always(_) | Pick::Everything | Pick::Drawn { .. } | Pick::Rotating { .. } => 0,
        }
    }

    fn why(&self, way: &Way, origin: Origin) -> (Why, Vec<usize>) {
        let Pick::Classed { map, .. } = self.0 else {
            let why = match self.0 {
                Pick::Drawn { .. } => Why::Weight,
                Pick::Hashed { .. } => Why::Prefix,
                Pick::Rotating { .. } => Why::Turn,
                Pick::Always(_) | Pick::Everything | Pick::Classed { .. } => Why::Choice,
            };
            return (why, Vec::new());
        };
        let Kind::Classed(_, lists) = &way.kind else { return (Why::Choice, Vec::new()) };
        let (why, first) = match map.class(map.find(origin.network()).number) {
            Class::Default => (Why::Default, &[][..]),
            Class::Entry(entry) => (Why::Entry(entry), &*lists[entry + 1]),
            Class::Location(location) => (Why::Distance, map.order(location)),
        };
        let mut preference = Vec::new();
        for at in first.iter().chain(&lists[0]).map(|at| usize::from(*at)) {
            if !preference.contains(&at) {
                preference.push(at);
            }
        }
        (why, preference)
    }
}

/// A number for the prefix that a client is in.
#[inline]
fn prefix(origin: Origin, prefixes: Prefixes) -> u64 {
    let network = origin.network();
    let bits = bits(prefixes, network.is_ipv6);
    let host = u64::MAX.checked_shr(bits.into()).unwrap_or(0);
    // One bit that no IPv4 prefix has, so that no prefix of one family is one of the other's.
    mix((network.key & !host) ^ u64::from(network.is_ipv6))
}

/// So many bits tell clients apart.
#[inline]
fn bits(prefixes: Prefixes, is_ipv6: bool) -> u8 {
    if is_ipv6 { prefixes.ipv6.min(64) } else { prefixes.ipv4.min(32) }
}

#[cfg(test)]
mod tests;
