//! Zones and policy to [`Content`]: everything of an answer that does not depend on the query.
//!
//! Deterministic: zones in canonical order of their apexes, names in canonical order, hubs in the policy's. The index
//! holds a name of a zone only where no more specific zone is served; what a delegation hides behind a child zone served
//! beside its parent stays reachable as glue and, for DS, as the parent's side of the child's apex.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cursor::Cursor;
use super::hubs;
use super::names::{Names, NodeId};
use super::refusal::{Refused, rule};
use super::rrset::{FIXED, Rrset};
use super::snapshot::{Barrier, Content, Counts, Glue, Node, ParentSide, Rrsets, ServedZone, of_type};
use super::walk::Located;
use crate::dns::{Name, Rtype};
use crate::policy::Policy;
use crate::zone::Zone;

/// Compiles what is served.
///
/// # Errors
/// Every zone and every hub that must not be answered from; see [`Refused`].
pub fn compile(zones: &[Arc<Zone>], policy: &Policy) -> Result<Content, Vec<Refused>> {
    let mut compiler = Compiler::new(zones);
    for position in 0..compiler.zones.len() {
        compiler.compile_zone(position);
    }
    for hub in policy.hubs.values() {
        hubs::compile_hub(&mut compiler, hub);
    }
    compiler.link_cuts();
    compiler.link_children();
    if compiler.refused.is_empty() {
        hubs::refuse_loops(&compiler.content, policy, &mut compiler.refused);
    }
    let Compiler { mut content, refused, .. } = compiler;
    if !refused.is_empty() {
        return Err(refused);
    }
    content.counts.zones = content.zones.len();
    content.counts.names = content.names.len();
    content.counts.hubs = content.hubs.len();
    Ok(content)
}

/// The content in the making.
pub(super) struct Compiler<'a> {
    pub(super) content: Content,
    pub(super) refused: Vec<Refused>,
    zones: Vec<Source<'a>>,
    /// Apexes to positions in `zones`.
    apexes: BTreeMap<&'a Name, usize>,
}

struct Source<'a> {
    zone: &'a Zone,
    /// Whether another served zone lies below.
    has_children: bool,
    /// The names of this zone that lie in a more specific served one.
    occluded: Names,
}

impl<'a> Compiler<'a> {
    fn new(zones: &'a [Arc<Zone>]) -> Self {
        let mut refused = Vec::new();
        let mut ordered: BTreeMap<&Name, &Zone> = BTreeMap::new();
        for zone in zones {
            if ordered.insert(&zone.apex, zone).is_some() {
                refused.push(Refused::new(rule::ZONE_ONCE, &zone.apex, format!("zone {} is loaded twice", zone.apex)));
            }
        }
        let apexes: BTreeMap<&Name, usize> = ordered.keys().copied().zip(0..).collect();
        let zones: Vec<&Zone> = ordered.into_values().collect();
        let zones = zones
            .iter()
            .enumerate()
            .map(|(position, zone)| Source {
                zone,
                // What is below a name follows it directly in canonical order.
                has_children: zones.get(position + 1).is_some_and(|next| next.apex.is_below(&zone.apex)),
                occluded: Names::default(),
            })
            .collect();
        Self { content: Content { counts: Counts::default(), ..Content::default() }, refused, zones, apexes }
    }

    /// The position of the most specific zone that a name is in.
    pub(super) fn zone_of(&self, name: &Name) -> Option<usize> {
        let mut apex = Some(name.clone());
        while let Some(candidate) = apex {
            if let Some(position) = self.apexes.get(&candidate) {
                return Some(*position);
            }
            apex = candidate.parent();
        }
        None
    }

    pub(super) fn zone(&self, position: usize) -> &'a Zone {
        self.zones[position].zone
    }

    fn compile_zone(&mut self, position: usize) {
        let zone = self.zone(position);
        let apex_node = zone.nodes.get(&zone.apex);
        let soa = apex_node.and_then(|node| node.get(&Rtype::SOA)).and_then(|soa| self.soa(position, soa));
        let Some((serial, negative)) = soa else {
            let sentence = format!("zone {} has no usable SOA record at its apex", zone.apex);
            self.refused.push(Refused::new(rule::ZONE_SOA, &zone.apex, sentence));
            return;
        };
        let signed = apex_node.is_some_and(|node| node.contains_key(&Rtype::DNSKEY));
        self.content.zones.push(ServedZone { apex: zone.apex.clone(), serial, negative, signed });
        for (name, rrsets) in &zone.nodes {
            let node = self.add(position, name);
            let encoded = self.encode_all(position, name, rrsets);
            self.content.counts.records += rrsets.values().map(|rrset| rrset.rdatas.len()).sum::<usize>();
            self.set_rrsets(node, *name == zone.apex, encoded);
        }
    }

    /// The serial, and the record as negative answers carry it: its TTL is the lesser of its own and MINIMUM (RFC 2308 3).
    fn soa(&self, position: usize, soa: &crate::zone::Rrset) -> Option<(u32, Rrset)> {
        let [rdata] = &*soa.rdatas else { return None };
        let (_, mname) = Name::from_wire_prefix(rdata).ok()?;
        let (_, rname) = Name::from_wire_prefix(&rdata[mname..]).ok()?;
        let numbers: &[u8; 20] = rdata.get(mname + rname..)?.try_into().ok()?;
        let [serial, .., minimum]: [u32; 5] = std::array::from_fn(|at| {
            numbers[4 * at..4 * at + 4].iter().fold(0, |value, octet| value << 8 | u32::from(*octet))
        });
        let apex = &self.zone(position).apex;
        let encoded = self.encode(position, apex, Rtype::SOA, soa.ttl.min(minimum), &soa.rdatas)?;
        Some((serial, encoded))
    }

    /// Encodes one RRset of a zone.
    pub(super) fn encode(
        &self,
        position: usize,
        owner: &Name,
        rtype: Rtype,
        ttl: u32,
        rdatas: &[Box<[u8]>],
    ) -> Option<Rrset> {
        let apex = &self.zone(position).apex;
        Rrset::encode(rtype, ttl, rdatas, owner, apex, |target| self.zone_of(target).is_some())
    }

    /// Encodes what stands at a name of a zone, in order of the types.
    pub(super) fn encode_all(
        &mut self,
        position: usize,
        name: &Name,
        rrsets: &BTreeMap<Rtype, crate::zone::Rrset>,
    ) -> Vec<Rrset> {
        let mut encoded = Vec::with_capacity(rrsets.len());
        for (rtype, rrset) in rrsets {
            match self.encode(position, name, *rtype, rrset.ttl, &rrset.rdatas) {
                Some(rrset) => encoded.push(rrset),
                None => {
                    let sentence = format!("{name} {rtype} has no record, or one of more than 65,535 octets of RDATA");
                    self.refused.push(Refused::new(rule::RDATA_LENGTH, name, sentence));
                }
            }
        }
        encoded
    }

    /// The node of a name at or below the apex, made with all that is missing above it (RFC 4592 2.2.2).
    pub(super) fn add(&mut self, position: usize, name: &Name) -> NodeId {
        if let Some(id) = self.find(position, name) {
            return id;
        }
        let parent = match name.parent() {
            Some(parent) if *name != self.zone(position).apex => Some(self.add(position, &parent)),
            _ => None,
        };
        let id = self.content.nodes.len() as NodeId;
        let mut barrier = None;
        if let Some(parent_id) = parent {
            let parent = &mut self.content.nodes[parent_id as usize];
            barrier = parent.barrier.or(parent.has_dname.then_some(Barrier::Dname(parent_id)));
            if name.is_wildcard() {
                parent.wildcard = Some(id);
            }
        }
        self.content.nodes.push(Node {
            name: name.clone(),
            zone: position as u32,
            rrsets: Rrsets::Static(Box::default()),
            barrier,
            has_dname: false,
            wildcard: None,
            glue: Box::default(),
            parent_side: None,
        });
        if self.is_occluded(position, name) {
            self.zones[position].occluded.insert(name.key(), id);
        } else {
            self.content.names.insert(name.key(), id);
            self.content.max_labels = self.content.max_labels.max(name.label_count());
        }
        id
    }

    fn find(&self, position: usize, name: &Name) -> Option<NodeId> {
        let names = if self.is_occluded(position, name) { &self.zones[position].occluded } else { &self.content.names };
        names.find(&name.key())
    }

    fn is_occluded(&self, position: usize, name: &Name) -> bool {
        self.zones[position].has_children && self.zone_of(name) != Some(position)
    }

    fn set_rrsets(&mut self, id: NodeId, is_apex: bool, rrsets: Vec<Rrset>) {
        let node = &mut self.content.nodes[id as usize];
        node.has_dname = of_type(&rrsets, Rtype::DNAME).is_some();
        if !is_apex && of_type(&rrsets, Rtype::NS).is_some() {
            node.barrier = node.barrier.or(Some(Barrier::Cut(id)));
        }
        node.rrsets = Rrsets::Static(rrsets.into_boxed_slice());
    }

    /// Gives every cut the addresses of its name servers that its zone knows: those of in-domain name servers first, for
    /// a referral has to carry them (RFC 9471 3.1), then those of siblings and of the zone's own names.
    fn link_cuts(&mut self) {
        for id in 0..self.content.nodes.len() {
            let node = &self.content.nodes[id];
            let cut = id as NodeId;
            if node.barrier != Some(Barrier::Cut(cut)) {
                continue;
            }
            let Rrsets::Static(rrsets) = &node.rrsets else { continue };
            let Some(ns) = of_type(rrsets, Rtype::NS) else { continue };
            let position = node.zone as usize;
            let apex = &self.zone(position).apex;
            let mut glue: Vec<Glue> = Vec::new();
            for (rdata_at, rdata) in ns.rdata_offsets().zip(ns.rdatas(&node.name, apex)) {
                let Ok(target) = Name::from_wire(&rdata) else { continue };
                let Some(server) = Some(&target).filter(|target| target.is_at_or_below(apex)) else { continue };
                let Some(found) = self.find(position, server).or_else(|| self.wildcard_for(position, server)) else {
                    continue;
                };
                if glue.iter().all(|known| known.node != found) || self.content.node(found).name != *server {
                    let in_domain = server.is_at_or_below(&node.name);
                    glue.push(Glue { name_at: rdata_at as u32, node: found, in_domain });
                }
            }
            glue.sort_by_key(|glue| !glue.in_domain);
            self.content.nodes[id].glue = glue.into_boxed_slice();
        }
    }

    /// The wildcard whose addresses a name server has that does not exist itself.
    fn wildcard_for(&self, position: usize, server: &Name) -> Option<NodeId> {
        match self.content.locate(&Cursor::read(server.wire())?, Rtype::A)? {
            Located::Wildcard(id) if self.content.node(id).zone as usize == position => Some(id),
            _ => None,
        }
    }

    /// Tells every apex below another served zone how that zone sees it.
    fn link_children(&mut self) {
        for position in 0..self.zones.len() {
            let apex = &self.zone(position).apex;
            let Some(above) = apex.parent().and_then(|parent| self.zone_of(&parent)) else { continue };
            let parent_side = match self.find(above, apex) {
                Some(id) => ParentSide::Exists(id),
                None => {
                    let mut encloser = apex.parent();
                    let found = std::iter::from_fn(|| {
                        let name = encloser.take()?;
                        encloser = name.parent();
                        Some(name)
                    })
                    .find_map(|name| self.find(above, &name));
                    match found {
                        Some(id) => ParentSide::Missing(id),
                        None => continue,
                    }
                }
            };
            if let Some(id) = self.find(position, apex) {
                self.content.nodes[id as usize].parent_side = Some(parent_side);
            }
        }
    }
}

/// Octets of a response to `name` that holds this RRset alone, with an OPT record.
pub(super) fn response_octets(name: &Name, rrset: &Rrset) -> usize {
    debug_assert!(rrset.wire.len() >= FIXED);
    crate::dns::HEADER + name.wire().len() + 4 + rrset.wire.len() + super::edns::OCTETS
}

#[cfg(test)]
mod tests {
    use super::super::testing::{hub, name, policy, snapshot, zone};
    use super::*;

    #[test]
    fn a_zone_has_one_soa_and_is_loaded_once() {
        let rules = |zones: &[Arc<Zone>]| -> Vec<&str> {
            let refused = compile(zones, &Policy::default()).unwrap_err();
            refused.into_iter().map(|refused| refused.rule).collect()
        };
        assert_eq!(rules(&[zone("a.", ""), zone("A.", "")]), ["zone-once"]);
        let mut bare = (*zone("a.", "")).clone();
        bare.nodes.remove(&name("a."));
        assert_eq!(rules(&[bare.into()]), ["zone-soa"]);
        let mut cut_short = (*zone("a.", "")).clone();
        let soa = cut_short.nodes.get_mut(&name("a.")).and_then(|node| node.get_mut(&Rtype::SOA)).unwrap();
        soa.rdatas[0] = soa.rdatas[0][1..].into();
        assert_eq!(rules(&[cut_short.into()]), ["zone-soa"]);
    }

    #[test]
    fn zones_are_counted_and_found() {
        let zones = [
            zone("example.", "a.b.www A 192.0.2.1\nwww A 192.0.2.1\nchild NS ns.child\nns.child A 192.0.2.2"),
            zone("Child.example.", "www A 192.0.2.3"),
        ];
        let content = snapshot(&zones, vec![hub("x.hub.child.example.", "weu 192.0.2.1")]).content.clone();
        // example.: apex, www, b.www, a.b.www; child.example.: apex, www, hub, x.hub. What child hides does not count.
        assert_eq!(content.counts(), Counts { zones: 2, names: 8, records: 9, hubs: 1 });
        let apex_of = |text: &str| content.zone_of(&name(text)).map(|zone| (zone.apex.to_string(), zone.serial));
        assert_eq!(apex_of("x.WWW.child.example."), Some(("Child.example.".into(), 7)));
        assert_eq!(apex_of("childs.example."), Some(("example.".into(), 7)));
        assert_eq!(apex_of("example.org."), None);
        assert_eq!(content.zones().len(), 2);
        assert_eq!(content.hubs().collect::<Vec<_>>(), [&name("x.hub.child.example.")]);
        assert_eq!(content.hub(&name("X.hub.child.example.")), Some(0));
        assert_eq!(content.hub(&name("www.example.")), None);
    }

    /// Equal files give equal content, in whatever order they are read.
    #[test]
    fn the_order_of_loading_does_not_matter() {
        let zones = [zone("b.a.", "www CNAME www.a."), zone("a.", "www A 192.0.2.1"), zone("z.", "")];
        let hubs = || policy(vec![hub("y.a.", "weu 192.0.2.1"), hub("x.b.a.", "weu cname www.a.")]);
        let shown = |zones: &[Arc<Zone>]| {
            let content = compile(zones, &hubs()).unwrap();
            format!("{:?} {:?} {:?}", content.nodes, content.zones, content.hubs)
        };
        let [b, a, z] = zones.clone();
        assert_eq!(shown(&zones), shown(&[z, a, b]));
    }
}
