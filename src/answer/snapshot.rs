//! What every worker reads: two levels, so that a switch costs the hubs and not the zones.
//!
//! [`Content`] is large and compiled once from zones and policy. It holds the zones as they were read, with a node for
//! every existing name, empty non-terminals included, and for every hub the RRsets of its name for each [`Choice`]. A
//! [`Snapshot`] adds the choices that stand. Looking a hub up costs one more index than looking up any other name, and no
//! other code. A hub whose answer depends on who asks has a `Plan` instead, and in every snapshot a `Selector`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::client::{Client, Origin};
use super::compile::query_octets;
use super::cursor::Cursor;
use super::refusal::Refused;
use super::respond::{Amplification, HubAnswer};
use super::select::{Level, Plan, Selector, Watch};
use super::text::{About, Texts};
use crate::dns::hash::{Index, hash, same};
use crate::dns::{Name, Rtype};
use crate::geo::{ClassMap, Databases, Spec};
use crate::policy::Hub;
use crate::time::Timestamp;
use crate::zone::rrset::{Rrset, Rrsets};
use crate::zone::store::{Node, Tree};

/// Everything that answers are made of, immutable. Replaced whole, by [`publish`](super::publish).
#[derive(Debug)]
pub struct Snapshot {
    /// Counts publications, from 1; the order of snapshots.
    pub generation: u64,
    /// Zones and hub answers: large, compiled at load, shared between snapshots.
    pub content: Arc<Content>,
    /// What each hub answers with, by the hub's position in the policy's order: small, replaced by a switch.
    pub choices: Box<[Choice]>,
    /// What is told of the choices.
    texts: Texts,
    /// How the hubs with a plan select, by the numbers of the plans.
    selectors: Box<[Arc<Selector>]>,
    /// What the content holds, without a step between.
    pub(super) served: Arc<Served>,
}

impl Snapshot {
    /// Puts content and choices together, and refuses what must never be published: a hub without a choice or with one
    /// that it has no answer for.
    ///
    /// # Errors
    /// Every hub whose name would be empty.
    pub fn new(generation: u64, content: Arc<Content>, choices: Box<[Choice]>) -> Result<Self, Vec<Refused>> {
        Self::make(generation, content, choices, None)
    }

    /// The snapshot after this one: other content, other choices, or both.
    ///
    /// # Errors
    /// As [`Snapshot::new`].
    pub fn next(&self, content: Arc<Content>, choices: Box<[Choice]>) -> Result<Self, Vec<Refused>> {
        let known = content.is_of(&self.content).then_some(self);
        Self::make(self.generation + 1, content, choices, known)
    }

    /// `known` is a snapshot of the same zones and policy.
    fn make(
        generation: u64,
        content: Arc<Content>,
        choices: Box<[Choice]>,
        known: Option<&Self>,
    ) -> Result<Self, Vec<Refused>> {
        let mut refused = Vec::new();
        let mut selectors = Vec::new();
        // Classes of before are of no use under other maps.
        let selected = known.filter(|known| known.content.maps == content.maps);
        for (position, hub) in content.hubs.iter().enumerate() {
            let choice = choices.get(position);
            let prepared = match &hub.plan {
                None => choice.is_some_and(|choice| hub.rrsets(choice).is_some()),
                Some(plan) => {
                    let known = selected.and_then(|known| {
                        let kept = plan.hubs().all(|hub| known.choices.get(hub) == choices.get(hub));
                        known.selectors.get(plan.number()).filter(|_| kept).cloned()
                    });
                    let selector = known.or_else(|| Selector::make(plan, &content, &choices).map(Arc::new));
                    let made = selector.is_some();
                    selectors.extend(selector);
                    made
                }
            };
            if !prepared {
                refused.push(Refused::unprepared(&hub.name, choice.copied()));
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        let texts = Texts::of(&content, &choices, known.map(|known| (&known.texts, &*known.choices)));
        let served = content.served.clone();
        Ok(Self { generation, content, choices, texts, selectors: selectors.into(), served })
    }

    /// The same content with other choices: a switch.
    ///
    /// # Errors
    /// As [`Snapshot::new`].
    pub fn switch(&self, choices: Box<[Choice]>) -> Result<Self, Vec<Refused>> {
        self.next(self.content.clone(), choices)
    }

    /// The selectors, by the numbers of their plans.
    #[cfg(test)]
    pub(super) fn selectors(&self) -> &[Arc<Selector>] {
        &self.selectors
    }

    /// The texts, by their numbers.
    #[cfg(test)]
    pub(super) fn texts(&self) -> &[Arc<[u8]>] {
        self.texts.octets()
    }

    /// The RRsets of a node for an origin, told to `watch` where they depend on it; `None` for a hub that has no answer for
    /// its choice, which [`Snapshot::new`] keeps from being published.
    #[inline(always)]
    pub(super) fn rrsets<'a>(&'a self, node: Node<'a>, origin: Origin, watch: &mut impl Watch) -> Option<Rrsets<'a>> {
        self.rrsets_and_hub(node, origin, watch).map(|(rrsets, _)| rrsets)
    }

    /// [`Snapshot::rrsets`] with the hub that they are of, and as what it is told of.
    #[inline(always)]
    pub(super) fn rrsets_and_hub<'a>(
        &'a self,
        node: Node<'a>,
        origin: Origin,
        watch: &mut impl Watch,
    ) -> Option<(Rrsets<'a>, Option<Told<'a>>)> {
        let Some(position) = node.hub() else { return Some((node.rrsets(), None)) };
        match self.served.hubs.get(position as usize) {
            Some(hub) => match hub.rrsets(self.choices.get(position as usize)?) {
                Some(rrsets) => Some((rrsets, Some((HubAnswer::of(position), hub)))),
                None => Some((self.select(hub, origin, watch)?, Some((self.told(position), hub)))),
            },
            None => Some((self.texts.rrsets(position)?, None)),
        }
    }

    /// What a hub with a plan answers.
    #[inline(never)]
    fn select<'a>(&'a self, hub: &'a HubAnswers, origin: Origin, watch: &mut impl Watch) -> Option<Rrsets<'a>> {
        let plan = hub.plan.as_deref()?;
        self.selectors.get(plan.number())?.select(plan, origin, watch).map(Rrsets::read)
    }

    /// How the hub at a position selects for an origin: a level for it, and one for each hub inside that it comes to. Empty
    /// for a hub that answers everybody alike.
    pub fn explain(&self, position: usize, origin: Origin) -> Vec<Level> {
        let mut levels = Vec::new();
        if let Some(hub) = self.served.hubs.get(position) {
            let _ = self.select(hub, origin, &mut levels);
        }
        levels
    }

    /// The hub at a position as one that a client has been told of; `None` where there is no active region to tell.
    #[inline]
    pub(super) fn told(&self, position: u32) -> Option<HubAnswer> {
        match self.choices.get(position as usize)?.what {
            What::Endpoint(_) | What::All => HubAnswer::of(position),
            What::Among(_) => None,
        }
    }

    /// Whether what the hub at a position answers is what was chosen last, because nothing may be chosen.
    #[inline]
    pub(super) fn is_stale(&self, position: u32) -> bool {
        self.choices.get(position as usize).is_some_and(|choice| choice.stale)
    }

    /// What the hub at a position says of itself, where it does.
    pub(super) fn said(&self, position: u32) -> Option<&[u8]> {
        self.texts.said(&self.served, position)
    }

    /// The TTL that a client is given for the RRsets of the hub at a position, seconds.
    pub fn ttl(&self, position: usize, client: Client) -> Option<u32> {
        let hub = self.served.hubs.get(position)?;
        Some(hub.ttl(self.own(position, client.origin())?, client))
    }

    /// The longest TTL that a client is given for them, seconds: without what is taken off to spread it.
    pub fn full_ttl(&self, position: usize) -> Option<u32> {
        Some(self.own(position, Client::at(Ipv4Addr::LOCALHOST.into()).origin())?.ttl())
    }

    /// One of the RRsets that the hub at a position has of its own; all of them have the same TTL.
    fn own(&self, position: usize, origin: Origin) -> Option<Rrset<'_>> {
        let hub = self.served.hubs.get(position)?;
        let rrsets = match hub.rrsets(self.choices.get(position)?) {
            Some(rrsets) => rrsets,
            None => self.select(hub, origin, &mut ())?,
        };
        rrsets.iter().find(|rrset| rrset.own)
    }
}

/// A hub, and as what a client is told of it.
pub(super) type Told<'a> = (Option<HubAnswer>, &'a HubAnswers);

/// What one hub answers with, and what the answer says of itself.
///
/// There is one for every hub in every snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// What is answered.
    pub what: What,
    /// Whether the answer has the hub's `ttl_min` instead of its `ttl`.
    pub low_ttl: bool,
    /// Whether no endpoint may be chosen, so that the answer is what was chosen last, or all of them.
    pub stale: bool,
    /// The hub's epoch.
    pub epoch: u64,
    /// When the active region last changed.
    pub since: Timestamp,
}

/// The part of a [`Choice`] that selects RRsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// The endpoint at this position of the hub.
    Endpoint(u16),
    /// The addresses of all endpoints: `when_all_down = "all"`.
    All,
    /// Of a hub without an active region: one or several of the endpoints at these positions, by who asks. Bit 0 is the
    /// first.
    Among(u64),
}

impl Choice {
    /// The choice of a hub for which nothing stands: epoch 0, the full TTL.
    pub fn of(what: What) -> Self {
        Self { what, low_ttl: false, stale: false, epoch: 0, since: Timestamp(0) }
    }

    /// The choice of the endpoint at this position, as [`Choice::of`] makes it.
    pub fn endpoint(position: u16) -> Self {
        Self::of(What::Endpoint(position))
    }
}

const _: () = assert!(size_of::<Choice>() == 40);

/// Zones and the answers of every hub for every choice, and where clients are.
#[derive(Debug, Default)]
pub struct Content {
    served: Arc<Served>,
    /// The maps by which hubs select, in the order of [`Served::specs`].
    maps: Vec<Arc<ClassMap>>,
}

/// Zones and the answers of every hub for every choice.
#[derive(Debug, Default)]
pub struct Served {
    /// In canonical order of their apexes.
    pub(super) zones: Vec<ServedZone>,
    /// The positions of the zones, plus one, by the hash of their apex.
    pub(super) apexes: Index,
    /// The numbers of labels that apexes have, the largest first.
    pub(super) depths: Vec<u8>,
    /// In the policy's order, which is the canonical one of their names.
    pub(super) hubs: Vec<HubAnswers>,
    /// The hubs as the policy has them, by position: what an answer says of itself comes from the snapshot that answers.
    pub(super) policy: Vec<Arc<Hub>>,
    /// The hubs that are told of at a name of their own, by the number of that text.
    pub(super) texts: Vec<About>,
    /// What the maps of hubs are made from, each once.
    pub(super) specs: Vec<Spec>,
    /// How many hubs have a plan.
    pub(super) planned: u32,
    pub(super) counts: Counts,
}

/// How much there is, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Zones served.
    pub zones: usize,
    /// Names that exist in a zone, empty non-terminals included.
    pub names: usize,
    /// Records of the zone files.
    pub records: usize,
    /// Hubs.
    pub hubs: usize,
}

/// A zone that is answered from.
#[derive(Debug)]
pub struct ServedZone {
    /// Its name.
    pub apex: Name,
    /// The serial of its SOA record.
    pub serial: u32,
    /// The SOA record with the lesser TTL of negative answers (RFC 2308 3).
    pub(super) negative: Box<[u8]>,
    /// Whether it has a DNSKEY RRset, so that what it says of its cuts counts for validators.
    pub(super) signed: bool,
    pub(super) tree: Tree,
}

/// The answers of one hub.
#[derive(Debug)]
pub(super) struct HubAnswers {
    pub(super) name: Name,
    /// Its [`hub_key`].
    pub(super) key: u32,
    /// By how much its TTL is lower for some clients than for others, percent.
    pub(super) spread: u8,
    /// With the hub's `ttl`.
    pub(super) full: Variants,
    /// With its `ttl_min`, where that is lower.
    pub(super) low: Option<Box<Variants>>,
    /// What it can come to, where that is not one of its own endpoints that everybody is answered with: the variants are
    /// then empty.
    pub(super) plan: Option<Box<Plan>>,
    /// Types that it has an RRset of for some choices and not for all, in order.
    pub(super) sometimes: Box<[Rtype]>,
    /// Octets of its longest RRset, as it stands in a response.
    pub(super) longest: usize,
}

/// What a hub answers for everything that may be chosen, with one TTL.
#[derive(Debug, Default)]
pub(super) struct Variants {
    /// By endpoint: the hub's RRsets and the static ones beside them, in order of their types.
    pub(super) endpoints: Box<[Box<[u8]>]>,
    /// The same for [`What::All`], where the policy may choose it.
    pub(super) all: Option<Box<[u8]>>,
}

/// A number for a hub's name, the same in every process and whatever other hubs there are.
pub fn hub_key(name: &Name) -> u32 {
    (hash(&name.key()) >> 32) as u32
}

impl ServedZone {
    /// The SOA record of negative answers.
    #[inline]
    pub(super) fn negative(&self) -> Option<Rrset<'_>> {
        Rrset::read(&self.negative).map(|(rrset, _)| rrset)
    }
}

impl HubAnswers {
    /// The TTL of one of its own RRsets for a client, seconds.
    #[inline(always)]
    pub(super) fn ttl(&self, rrset: Rrset<'_>, client: Client) -> u32 {
        match self.spread {
            0 => rrset.ttl(),
            percent => client.ttl(rrset.ttl(), percent, self.key),
        }
    }

    /// What stands at the name under this choice.
    #[inline(always)]
    pub(super) fn rrsets(&self, choice: &Choice) -> Option<Rrsets<'_>> {
        let variants = match &self.low {
            Some(low) if choice.low_ttl => low,
            _ => &self.full,
        };
        let octets = match choice.what {
            What::Endpoint(position) => variants.endpoints.get(usize::from(position))?,
            What::All => variants.all.as_ref()?,
            What::Among(_) => return None,
        };
        Some(Rrsets::read(octets))
    }

    /// Whether another choice may bring records for a type that has none now: those of the type, or an alias.
    #[inline]
    pub(super) fn may_gain(&self, rtype: Rtype) -> bool {
        self.sometimes.iter().any(|sometimes| [rtype, Rtype::CNAME].contains(sometimes))
    }

    /// Types that are not there for every choice.
    pub(super) fn sometimes(&self) -> Box<[Rtype]> {
        let (mut variants, mut types) = (0, BTreeMap::<Rtype, usize>::new());
        for rrsets in self.variants() {
            variants += 1;
            rrsets.iter().filter(|rrset| rrset.own).for_each(|rrset| *types.entry(rrset.rtype()).or_default() += 1);
        }
        types.into_iter().filter(|(_, having)| *having < variants).map(|(rtype, _)| rtype).collect()
    }

    /// What may stand at the name, whatever the TTL is.
    pub(super) fn variants(&self) -> impl Iterator<Item = Rrsets<'_>> {
        let leaves = self.plan.iter().flat_map(|plan| plan.leaves());
        self.full.endpoints.iter().chain(&self.full.all).chain(leaves).map(|octets| Rrsets::read(octets))
    }
}

impl Content {
    /// Of what was compiled, without a database: clients are known by the subnets of maps alone.
    pub(super) fn of(served: Served) -> Self {
        Self::classed(Arc::new(served), &Databases::default())
    }

    /// The same zones and hubs, with clients classed by these databases. Takes as long as it takes to walk them.
    #[must_use]
    pub fn classed_by(&self, databases: &Databases) -> Self {
        Self::classed(self.served.clone(), databases)
    }

    fn classed(served: Arc<Served>, databases: &Databases) -> Self {
        let maps = served.specs.iter().map(|spec| Arc::new(ClassMap::compile(spec, databases))).collect();
        Self { served, maps }
    }

    /// Whether the zones and hubs are those of `other`, however clients are classed.
    pub fn is_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.served, &other.served)
    }

    /// The hubs of which a response can be more than so many times as long as a query for it without EDNS, in order of their
    /// names: octets of the query and of the response.
    pub fn amplified(&self, most: Amplification) -> impl Iterator<Item = (&Name, usize, usize)> {
        let lengths = self.served.hubs.iter().map(|hub| (&hub.name, query_octets(&hub.name), hub.longest));
        let lengths = lengths.map(|(name, query, longest)| (name, query, query + longest));
        lengths.filter(move |(_, query, response)| most.most(*query) < *response)
    }

    /// Whether a hub selects by where its clients are, so that databases change answers.
    pub fn has_maps(&self) -> bool {
        !self.maps.is_empty()
    }

    /// The map with a number.
    pub(super) fn map(&self, number: usize) -> Option<&Arc<ClassMap>> {
        self.maps.get(number)
    }
}

impl std::ops::Deref for Content {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.served
    }
}

impl Served {
    /// The position of a hub: where its choice stands in [`Snapshot::choices`].
    pub fn hub(&self, name: &Name) -> Option<usize> {
        self.hubs.binary_search_by(|hub| hub.name.cmp(name)).ok()
    }

    /// The [`hub_key`] of the hub at a position.
    pub fn hub_key(&self, position: usize) -> Option<u32> {
        self.hubs.get(position).map(|hub| hub.key)
    }

    /// The names of the hubs, by position.
    pub fn hubs(&self) -> impl ExactSizeIterator<Item = &Name> {
        self.hubs.iter().map(|hub| &hub.name)
    }

    /// A hub as the policy has it, by position.
    pub fn policy_of(&self, position: usize) -> Option<&Arc<Hub>> {
        self.policy.get(position)
    }

    /// The zones, in canonical order of their apexes.
    pub fn zones(&self) -> &[ServedZone] {
        &self.zones
    }

    /// The most specific served zone that a name is in.
    pub fn zone_of(&self, name: &Name) -> Option<&ServedZone> {
        self.zone_at(&Cursor::read(name.wire())?, 0)
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The most specific served zone that a name without its first `skipped` labels is in.
    #[inline(always)]
    pub(super) fn zone_at(&self, name: &Cursor, skipped: usize) -> Option<&ServedZone> {
        for depth in &self.depths {
            let Some(more) = name.labels().checked_sub(usize::from(*depth)).filter(|more| *more >= skipped) else {
                continue;
            };
            let skipped = more;
            let suffix = name.suffix(skipped);
            if let Some(zone) = self.zone_with(name.hash(skipped), suffix) {
                return Some(zone);
            }
        }
        None
    }

    /// The zone with this apex, in lower case, and its hash.
    #[inline(always)]
    pub(super) fn zone_with(&self, hash: u64, apex: &[u8]) -> Option<&ServedZone> {
        for position in self.apexes.candidates(hash) {
            let zone = self.zones.get(position as usize - 1)?;
            if same(zone.tree.apex_key(), apex) {
                return Some(zone);
            }
        }
        None
    }
}
