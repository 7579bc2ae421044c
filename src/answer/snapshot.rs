//! What every worker reads: two levels, so that a switch costs the hubs and not the zones.
//!
//! [`Content`] is large and compiled once from zones and policy. It holds a node for every existing name, empty
//! non-terminals included, and for every hub the RRsets of its name for each [`Choice`]. A [`Snapshot`] adds the choices
//! that stand. Looking a hub up costs one more index than looking up any other name, and no other code.

use std::sync::Arc;

use super::names::{Names, NodeId};
use super::refusal::Refused;
use super::rrset::Rrset;
use crate::dns::{Name, Rtype};

/// Everything that answers are made of, immutable. Replaced whole, by [`publish`](super::publish).
#[derive(Debug)]
pub struct Snapshot {
    /// Counts publications, from 1; the order of snapshots.
    pub generation: u64,
    /// Zones and hub answers: large, compiled at load, shared between snapshots.
    pub content: Arc<Content>,
    /// What each hub answers with, by the hub's position in the policy's order: small, replaced by a switch.
    pub choices: Box<[Choice]>,
}

impl Snapshot {
    /// Puts content and choices together, and refuses what must never be published: a hub without a choice or with one
    /// that it has no answer for.
    ///
    /// # Errors
    /// Every hub whose name would be empty.
    pub fn new(generation: u64, content: Arc<Content>, choices: Box<[Choice]>) -> Result<Self, Vec<Refused>> {
        let refused: Vec<Refused> = content
            .hubs
            .iter()
            .enumerate()
            .filter(|(position, hub)| choices.get(*position).is_none_or(|choice| hub.rrsets(*choice).is_none()))
            .map(|(position, hub)| Refused::unprepared(&hub.name, choices.get(position).copied()))
            .collect();
        if refused.is_empty() { Ok(Self { generation, content, choices }) } else { Err(refused) }
    }

    /// The same content with other choices: a switch.
    ///
    /// # Errors
    /// As [`Snapshot::new`].
    pub fn switch(&self, choices: Box<[Choice]>) -> Result<Self, Vec<Refused>> {
        Self::new(self.generation + 1, self.content.clone(), choices)
    }
}

/// What one hub answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The endpoint at this position of the hub.
    Endpoint(u16),
    /// The addresses of all endpoints: `when_all_down = "all"`.
    All,
}

/// Zones and the answers of every hub for every choice.
#[derive(Debug, Default)]
pub struct Content {
    pub(super) names: Names,
    /// Parents before what is below them.
    pub(super) nodes: Vec<Node>,
    /// In canonical order of their apexes.
    pub(super) zones: Vec<ServedZone>,
    /// In the policy's order, which is the canonical one of their names.
    pub(super) hubs: Vec<HubAnswers>,
    /// Labels of the deepest name, which bounds the look-ups for a deeper one.
    pub(super) max_labels: usize,
    pub(super) counts: Counts,
}

/// How much there is, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Zones served.
    pub zones: usize,
    /// Names that exist, empty non-terminals included.
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
    pub(super) negative: Rrset,
    /// Whether it has a DNSKEY RRset, so that what it says of its cuts counts for validators.
    pub(super) signed: bool,
}

/// An existing name of one zone.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Name,
    /// Position of its zone.
    pub(super) zone: u32,
    pub(super) rrsets: Rrsets,
    /// The topmost cut at or above, or the topmost DNAME above, below the apex: what the zone says stops there.
    pub(super) barrier: Option<Barrier>,
    /// Whether it owns a DNAME, so that no name below it exists.
    pub(super) has_dname: bool,
    /// The wildcard directly below it (RFC 4592 2.1.1).
    pub(super) wildcard: Option<NodeId>,
    /// The addresses of the name servers, where it is a cut.
    pub(super) glue: Box<[Glue]>,
    /// How the zone above sees this name, where it is the apex of a zone below another served one.
    pub(super) parent_side: Option<ParentSide>,
}

/// The RRsets of a node, in order of their types.
#[derive(Debug)]
pub(super) enum Rrsets {
    /// Always the same.
    Static(Box<[Rrset]>),
    /// Those of the hub at this position, by its choice.
    Hub(usize),
}

/// What stops the search on the way down from the apex (RFC 1034 4.3.2 step 3 b, RFC 6672 3.2 step 3 C).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barrier {
    Cut(NodeId),
    Dname(NodeId),
}

/// The addresses of one name server of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glue {
    /// Where in the NS RRset its name stands.
    pub(super) name_at: u32,
    /// The node with the addresses: its own, or the wildcard that stands for it.
    pub(super) node: NodeId,
    /// Whether the name lies in the delegated zone, so that a resolver has no other way to it (RFC 9471 3.1).
    pub(super) in_domain: bool,
}

/// The name of a served zone's apex in the served zone above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParentSide {
    /// It exists there.
    Exists(NodeId),
    /// It does not; this is its closest encloser.
    Missing(NodeId),
}

/// The answers of one hub.
#[derive(Debug)]
pub(super) struct HubAnswers {
    pub(super) name: Name,
    /// By endpoint: the hub's RRsets and the static ones beside them, in order of their types.
    pub(super) endpoints: Vec<Box<[Rrset]>>,
    /// The same for [`Choice::All`], where the policy may choose it.
    pub(super) all: Option<Box<[Rrset]>>,
}

impl HubAnswers {
    /// What stands at the name under this choice.
    pub(super) fn rrsets(&self, choice: Choice) -> Option<&[Rrset]> {
        match choice {
            Choice::Endpoint(position) => self.endpoints.get(usize::from(position)).map(|rrsets| &**rrsets),
            Choice::All => self.all.as_deref(),
        }
    }
}

impl Content {
    /// The position of a hub: where its choice stands in [`Snapshot::choices`].
    pub fn hub(&self, name: &Name) -> Option<usize> {
        self.hubs.binary_search_by(|hub| hub.name.cmp(name)).ok()
    }

    /// The names of the hubs, by position.
    pub fn hubs(&self) -> impl ExactSizeIterator<Item = &Name> {
        self.hubs.iter().map(|hub| &hub.name)
    }

    /// The zones, in canonical order of their apexes.
    pub fn zones(&self) -> &[ServedZone] {
        &self.zones
    }

    /// The most specific served zone that a name is in.
    pub fn zone_of(&self, name: &Name) -> Option<&ServedZone> {
        let mut apex = Some(name.clone());
        while let Some(candidate) = apex {
            if let Ok(position) = self.zones.binary_search_by(|zone| zone.apex.cmp(&candidate)) {
                return self.zones.get(position);
            }
            apex = candidate.parent();
        }
        None
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The RRsets of a node under these choices; `None` for a hub that has no answer for its choice, which
    /// [`Snapshot::new`] keeps from being published.
    pub(super) fn rrsets<'a>(&'a self, node: &'a Node, choices: &[Choice]) -> Option<&'a [Rrset]> {
        match &node.rrsets {
            Rrsets::Static(rrsets) => Some(rrsets),
            Rrsets::Hub(position) => self.hubs.get(*position)?.rrsets(*choices.get(*position)?),
        }
    }
}

/// The RRset of a type.
pub(super) fn of_type(rrsets: &[Rrset], rtype: Rtype) -> Option<&Rrset> {
    rrsets.iter().find(|rrset| rrset.rtype == rtype)
}
