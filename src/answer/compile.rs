//! Zones and policy to [`Content`]: everything of an answer that does not depend on the query.
//!
//! Deterministic: zones in canonical order of their apexes, hubs in the policy's order. The names of a zone stay as they
//! were read, and hubs take their places among them. A name is looked up in the most specific zone that is served; what a
//! delegation hides behind a child zone served beside its parent stays reachable as glue and, for DS, as the parent's side
//! of the child's apex.

use std::collections::BTreeMap;

use super::hubs;
use super::refusal::{Refused, rule};
use super::snapshot::{Content, Served, ServedZone};
use super::text;
use crate::dns::hash::{Index, hash};
use crate::dns::{Name, Rtype};
use crate::geo::Spec;
use crate::policy::Policy;
use crate::zone::rrset::{Encoder, Rrset};
use crate::zone::store::Tree;

/// Compiles what is served.
///
/// # Errors
/// Every zone and every hub that must not be answered from; see [`Refused`].
pub(crate) fn compile(zones: Vec<Tree>, policy: &Policy) -> Result<Content, Vec<Refused>> {
    let mut compiler = Compiler::new(zones);
    compiler.hubs = policy.hubs.keys().cloned().collect();
    for hub in policy.hubs.values() {
        let made = hubs::compile_hub(&mut compiler, hub, policy);
        if made && hub.txt {
            let refused = text::compile(&mut compiler, hub, policy).err();
            compiler.refused.extend(refused.map(|refused| *refused));
        }
    }
    if compiler.refused.is_empty() {
        hubs::refuse_loops(&compiler.content, policy, &mut compiler.refused);
    }
    let Compiler { mut content, refused, specs, .. } = compiler;
    if !refused.is_empty() {
        return Err(refused);
    }
    for zone in &mut content.zones {
        zone.tree.shrink();
        content.counts.names += zone.tree.names();
        content.counts.records += zone.tree.records();
    }
    content.counts.zones = content.zones.len();
    content.counts.hubs = content.hubs.len();
    content.policy = policy.hubs.values().cloned().collect();
    let mut specs: Vec<(Spec, u32)> = specs.into_iter().collect();
    specs.sort_by_key(|(_, number)| *number);
    content.specs = specs.into_iter().map(|(spec, _)| spec).collect();
    Ok(Content::of(content))
}

/// The content in the making.
pub(super) struct Compiler {
    pub(super) content: Served,
    pub(super) refused: Vec<Refused>,
    pub(super) encoder: Encoder,
    /// The numbers of the maps that hubs select by.
    pub(super) specs: BTreeMap<Spec, u32>,
    /// The names of all hubs, in the policy's order.
    pub(super) hubs: Vec<Name>,
}

impl Compiler {
    fn new(zones: Vec<Tree>) -> Self {
        let mut compiler = Self {
            content: Served::default(),
            refused: Vec::new(),
            encoder: Encoder::default(),
            specs: BTreeMap::new(),
            hubs: Vec::new(),
        };
        let mut ordered: BTreeMap<Name, Tree> = BTreeMap::new();
        for zone in zones {
            let apex = zone.apex().clone();
            if ordered.insert(apex.clone(), zone).is_some() {
                let sentence = format!("zone {apex} is loaded twice");
                compiler.refused.push(Refused::new(rule::ZONE_ONCE, &apex, sentence));
            }
        }
        compiler.content.apexes = Index::with_capacity(ordered.len(), ordered.len() as u32 + 1);
        for (apex, tree) in ordered {
            compiler.add_zone(apex, tree);
        }
        compiler
    }

    fn add_zone(&mut self, apex: Name, tree: Tree) {
        let node = tree.find(tree.apex_key()).map(|id| tree.node(id));
        let soa = node.and_then(|node| node.of_type(Rtype::SOA)).and_then(|soa| self.soa(&apex, soa));
        let Some((serial, negative)) = soa else {
            let sentence = format!("zone {apex} has no usable SOA record at its apex");
            self.refused.push(Refused::new(rule::ZONE_SOA, &apex, sentence));
            return;
        };
        let signed = node.is_some_and(|node| node.of_type(Rtype::DNSKEY).is_some());
        let depth = apex.label_count() as u8;
        let depths = &mut self.content.depths;
        if let Err(place) = depths.binary_search_by(|known| depth.cmp(known)) {
            depths.insert(place, depth);
        }
        let (position, hash) = (self.content.zones.len() as u32 + 1, hash(tree.apex_key()));
        self.content.zones.push(ServedZone { apex, serial, negative, signed, tree });
        let zones = &self.content.zones;
        let rehash = |position: u32| crate::dns::hash::hash(zones[position as usize - 1].tree.apex_key());
        self.content.apexes.insert(hash, position, rehash);
    }

    /// The serial, and the record as negative answers carry it: its TTL is the lesser of its own and MINIMUM (RFC 2308 3).
    fn soa(&mut self, apex: &Name, soa: Rrset<'_>) -> Option<(u32, Box<[u8]>)> {
        let rdatas = soa.rdatas(apex, apex);
        let [rdata] = &*rdatas else { return None };
        let (_, mname) = Name::from_wire_prefix(rdata).ok()?;
        let (_, rname) = Name::from_wire_prefix(&rdata[mname..]).ok()?;
        let numbers: &[u8; 20] = rdata.get(mname + rname..)?.try_into().ok()?;
        let [serial, .., minimum]: [u32; 5] = std::array::from_fn(|at| {
            numbers[4 * at..4 * at + 4].iter().fold(0, |value, octet| value << 8 | u32::from(*octet))
        });
        let mut negative = Vec::new();
        let ttl = soa.ttl().min(minimum);
        self.encoder.encode(Rtype::SOA, ttl, [&**rdata], apex.wire(), apex.wire(), &mut negative).ok()?;
        Some((serial, negative.into_boxed_slice()))
    }

    /// The position of the most specific zone that a name is in.
    pub(super) fn zone_of(&self, name: &Name) -> Option<usize> {
        let zone = self.content.zone_of(name)?;
        self.content.zones.binary_search_by(|other| other.apex.cmp(&zone.apex)).ok()
    }
}

/// Octets of a query for `name`, without an OPT record: header, name, type and class.
pub(super) fn query_octets(name: &Name) -> usize {
    crate::dns::HEADER + name.wire().len() + 4
}

/// Octets of a response to `name` that holds this RRset alone, with an OPT record.
pub(super) fn response_octets(name: &Name, rrset: Rrset<'_>) -> usize {
    query_octets(name) + rrset.wire.len() + super::edns::OCTETS
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Counts;
    use super::super::testing::{hub, name, policy, snapshot, zone};
    use super::*;
    use crate::zone::store::tree_of;

    #[test]
    fn a_zone_has_one_soa_and_is_loaded_once() {
        let rules = |zones: &[Tree]| -> Vec<&str> {
            let compiled = compile(zones.to_vec(), &Policy::default());
            compiled.map_or_else(|refused| refused.into_iter().map(|refused| refused.rule).collect(), |_| Vec::new())
        };
        assert_eq!(rules(&[zone("a.", ""), zone("A.", "")]), ["zone-once"]);
        assert_eq!(rules(&[tree_of(&name("a."), &[])]), ["zone-soa"]);
        let soa = |rdata: &[u8]| tree_of(&name("a."), &[(name("a."), Rtype::SOA, 5, rdata.into())]);
        assert_eq!(rules(&[soa(&[0; 22])]), [] as [&str; 0]);
        assert_eq!(rules(&[soa(&[0; 21])]), ["zone-soa"]);
    }

    #[test]
    fn zones_are_counted_and_found() {
        let zones = [
            zone("example.", "a.b.www A 192.0.2.1\nwww A 192.0.2.1\nchild NS ns.child\nns.child A 192.0.2.2"),
            zone("Child.example.", "www A 192.0.2.3"),
        ];
        let content = snapshot(&zones, vec![hub("x.hub.child.example.", "weu 192.0.2.1")]).content.clone();
        // example.: apex, www, b.www, a.b.www, child, ns.child; child.example.: apex, www, hub, x.hub.
        assert_eq!(content.counts(), Counts { zones: 2, names: 10, records: 9, hubs: 1 });
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
        let shown = |zones: &[Tree]| {
            let content = compile(zones.to_vec(), &hubs()).unwrap();
            format!("{:?} {:?}", content.zones, content.hubs)
        };
        let [b, a, z] = zones.clone();
        assert_eq!(shown(&zones), shown(&[z, a, b]));
    }
}
