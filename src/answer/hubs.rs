//! The hubs' part of the content: for every choice the RRsets of the hub's name, and the refusal of every choice that
//! must never be answered.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Compiler, response_octets};
use super::cursor::Cursor;
use super::refusal::{Refused, rule};
use super::rrset::Rrset;
use super::snapshot::{Barrier, Content, HubAnswers, Rrsets, of_type};
use super::walk::{Located, MAX_STEPS};
use crate::dns::{Name, Rtype};
use crate::policy::{self, Answer, Hub, Policy, WhenAllDown};

/// Smallest UDP response that every client takes, octets (RFC 1035 2.3.4).
const SMALLEST_RESPONSE: usize = 512;

/// Adds a hub to the zone that its name is in.
///
/// A refused hub leaves its place in the order to none: the content is then not made.
pub(super) fn compile_hub(compiler: &mut Compiler<'_>, hub: &Hub) {
    let name = &hub.name;
    let Some(position) = compiler.zone_of(name) else {
        let refused = Refused::new(rule::HUB_IN_ZONE, name, format!("hub {name} is in no zone that is loaded"));
        compiler.refused.push(refused.at(&hub.place).hint("add a zone file, or correct the hub's name"));
        return;
    };
    let before = compiler.refused.len();
    let fixed = match compiler.zone(position).nodes.get(name) {
        Some(rrsets) => compiler.encode_all(position, name, rrsets),
        None => Vec::new(),
    };
    let node = compiler.add(position, name);
    let mut check = Check { compiler, hub, position, fixed, refused: Vec::new() };
    check.place(node);
    check.budget();
    let endpoints = hub
        .endpoints
        .iter()
        .map(|endpoint| check.prepare(&format!("for region {}", endpoint.region), endpoint.answer.rrsets()))
        .collect();
    let all = match hub.when_all_down {
        WhenAllDown::All => check.all_addresses().map(|rrsets| check.prepare("for all regions at once", rrsets)),
        WhenAllDown::Keep | WhenAllDown::Region(_) => None,
    };
    let refused = std::mem::take(&mut check.refused);
    compiler.refused.extend(refused);
    if compiler.refused.len() == before {
        compiler.content.nodes[node as usize].rrsets = Rrsets::Hub(compiler.content.hubs.len());
        compiler.content.hubs.push(HubAnswers { name: name.clone(), endpoints, all });
    }
}

struct Check<'c, 'a, 'h> {
    compiler: &'c Compiler<'a>,
    hub: &'h Hub,
    /// Of the hub's zone.
    position: usize,
    /// What the zone file says at the hub's name.
    fixed: Vec<Rrset>,
    refused: Vec<Refused>,
}

impl Check<'_, '_, '_> {
    fn refuse(&mut self, rule: &'static str, sentence: String, hint: &str) {
        let refused = Refused::new(rule, &self.hub.name, format!("hub {} {sentence}", self.hub.name));
        self.refused.push(refused.at(&self.hub.place).hint(hint));
    }

    /// The name must be one that this server answers for.
    fn place(&mut self, node: u32) {
        let barrier = self.compiler.content.node(node).barrier;
        let (what, above) = match barrier {
            Some(Barrier::Cut(cut)) => ("is delegated away at", cut),
            Some(Barrier::Dname(dname)) => ("is below the DNAME at", dname),
            None => return,
        };
        let sentence = format!("{what} {}, and would never be answered", self.compiler.content.node(above).name);
        self.refuse(rule::HUB_REACHABLE, sentence, "move the hub, or remove the record above it");
    }

    fn budget(&mut self) {
        if let Some(rto) = self.hub.rto.filter(|rto| self.hub.ttl > *rto) {
            let (ttl, rto) = (crate::time::human(self.hub.ttl), crate::time::human(rto));
            let sentence = format!("has a TTL of {ttl}, which alone exceeds its rto of {rto}");
            self.refuse(rule::RTO, sentence, "lower `ttl`: resolvers keep an answer for as long");
        }
    }

    /// The addresses of every endpoint, for [`WhenAllDown::All`].
    fn all_addresses(&mut self) -> Option<Vec<policy::Rrset>> {
        let mut addresses: BTreeMap<Rtype, Vec<Box<[u8]>>> = BTreeMap::new();
        for rrset in self.hub.endpoints.iter().flat_map(|endpoint| endpoint.answer.rrsets()) {
            if !matches!(rrset.rtype, Rtype::A | Rtype::AAAA) {
                let sentence = format!("answers everything when all is down, but has an endpoint with {}", rrset.rtype);
                self.refuse(
                    rule::ALL_ADDRESSES,
                    sentence,
                    "give every endpoint addresses, or write `when_all_down = \"keep\"`",
                );
                return None;
            }
            let known = addresses.entry(rrset.rtype).or_default();
            for rdata in rrset.rdatas {
                if !known.contains(&rdata) {
                    known.push(rdata);
                }
            }
        }
        Some(addresses.into_iter().map(|(rtype, rdatas)| policy::Rrset { rtype, rdatas }).collect())
    }

    /// The RRsets of the name for one choice: the hub's, and the zone file's beside them.
    fn prepare(&mut self, choice: &str, answer: Vec<policy::Rrset>) -> Box<[Rrset]> {
        if answer.is_empty() || answer.iter().any(|rrset| rrset.rdatas.is_empty()) {
            let sentence = format!("answers nothing {choice}, which would leave its name empty");
            self.refuse(rule::NOT_EMPTY, sentence, "give the endpoint a target or at least one address");
        }
        let ttl = u32::try_from(self.hub.ttl.as_secs()).unwrap_or(u32::MAX);
        let mut rrsets = self.fixed.clone();
        for rrset in &answer {
            self.beside(choice, rrset.rtype);
            match self.compiler.encode(self.position, rrset.rtype, ttl, &rrset.rdatas) {
                Some(encoded) => {
                    self.fits(choice, &encoded);
                    rrsets.push(encoded);
                }
                None if rrset.rdatas.is_empty() => {}
                None => {
                    let sentence = format!("has more than 65,535 octets of {} RDATA {choice}", rrset.rtype);
                    self.refuse(rule::RDATA_LENGTH, sentence, "shorten the record");
                }
            }
        }
        rrsets.sort_by_key(|rrset| rrset.rtype);
        rrsets.into_boxed_slice()
    }

    /// What may stand at the name together.
    fn beside(&mut self, choice: &str, rtype: Rtype) {
        let reserved = matches!(
            rtype,
            Rtype::SOA | Rtype::NS | Rtype::DNAME | Rtype::DS | Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3
        );
        if reserved || rtype.is_meta() {
            let sentence = format!("has {rtype} {choice}, which only a zone file may hold");
            self.refuse(rule::HUB_TYPE, sentence, "write the record into the zone file");
        }
        // RFC 2181 10.1 as changed by RFC 4035 2.5: beside a CNAME only what DNSSEC says of it.
        let others: Vec<Rtype> = self
            .fixed
            .iter()
            .map(|rrset| rrset.rtype)
            .filter(|fixed| !matches!(*fixed, Rtype::RRSIG | Rtype::NSEC))
            .collect();
        if rtype == Rtype::CNAME && self.hub.name == self.compiler.zone(self.position).apex {
            let sentence = format!("answers a CNAME {choice}, but is the apex of its zone, which has SOA and NS");
            self.refuse(rule::CNAME_ALONE, sentence, "give the endpoint addresses, or move the hub below the apex");
        } else if let Some(other) = others.iter().find(|other| **other == rtype) {
            let sentence = format!("has {other} {choice}, and the zone file has {other} at the same name");
            self.refuse(rule::ONE_SOURCE, sentence, "remove the record from the zone file");
        } else if let Some(other) = others.first().filter(|_| rtype == Rtype::CNAME) {
            let sentence = format!("answers a CNAME {choice}, but the zone file has {other} at the same name");
            self.refuse(rule::CNAME_ALONE, sentence, "remove the record from the zone file: a CNAME stands alone");
        } else if others.contains(&Rtype::CNAME) {
            let sentence = format!("has {rtype} {choice}, but the zone file has a CNAME at the same name");
            self.refuse(rule::CNAME_ALONE, sentence, "remove the CNAME from the zone file");
        }
    }

    /// Some clients never come back over TCP: what they ask a hub for has to fit.
    fn fits(&mut self, choice: &str, rrset: &Rrset) {
        let octets = response_octets(&self.hub.name, rrset);
        if octets > SMALLEST_RESPONSE {
            let sentence = format!(
                "needs a response of {octets} octets for its {} {choice}, and {SMALLEST_RESPONSE} fit everywhere",
                rrset.rtype
            );
            self.refuse(rule::FITS_512, sentence, "name fewer addresses or shorter records");
        }
    }
}

/// Refuses every CNAME of a hub that can lead back to a name it came through, or to a name that does not exist.
///
/// Other hubs on the way are followed for each of their choices, since any may come to stand.
pub(super) fn refuse_loops(content: &Content, policy: &Policy, refused: &mut Vec<Refused>) {
    for hub in policy.hubs.values() {
        for endpoint in &hub.endpoints {
            let Answer::Cname(target) = &endpoint.answer else { continue };
            let mut chain = Chain { content, path: vec![hub.name.clone()], explored: BTreeSet::new() };
            let Err(dead_end) = chain.explore(target) else { continue };
            let says = format!("hub {} answers a CNAME to {target} for region {}", hub.name, endpoint.region);
            let (rule, why) = match dead_end {
                DeadEnd::Loop(name) if name == *target && *target == hub.name => {
                    (rule::NO_LOOP, "which is the hub itself".to_owned())
                }
                DeadEnd::Loop(name) => (rule::NO_LOOP, format!("from where the chain comes back to {name}")),
                DeadEnd::Long => (rule::NO_LOOP, format!("and the chain from there has more than {MAX_STEPS} names")),
                DeadEnd::Missing(name) if name == *target => {
                    (rule::NOT_EMPTY, "which is in a zone served here and does not exist".to_owned())
                }
                DeadEnd::Missing(name) => (
                    rule::NOT_EMPTY,
                    format!("from where the chain ends at {name}, which is in a zone served here and does not exist"),
                ),
            };
            let hint = "point the endpoint at the region's own name";
            refused.push(Refused::new(rule, &hub.name, format!("{says}, {why}")).at(&hub.place).hint(hint));
        }
    }
}

enum DeadEnd {
    Loop(Name),
    Missing(Name),
    Long,
}

struct Chain<'a> {
    content: &'a Content,
    /// The names on the way to the current one.
    path: Vec<Name>,
    /// Names from which every way ends well.
    explored: BTreeSet<Name>,
}

impl Chain<'_> {
    fn explore(&mut self, name: &Name) -> Result<(), DeadEnd> {
        if self.path.contains(name) {
            return Err(DeadEnd::Loop(name.clone()));
        }
        if self.path.len() >= MAX_STEPS {
            return Err(DeadEnd::Long);
        }
        if self.explored.contains(name) {
            return Ok(());
        }
        self.path.push(name.clone());
        for next in self.next(name)? {
            self.explore(&next)?;
        }
        self.path.pop();
        self.explored.insert(name.clone());
        Ok(())
    }

    /// The names that this one can lead to.
    fn next(&self, name: &Name) -> Result<Vec<Name>, DeadEnd> {
        let missing = || DeadEnd::Missing(name.clone());
        let cursor = Cursor::read(name.wire()).ok_or_else(missing)?;
        let Some(located) = self.content.locate(&cursor, Rtype::A) else { return Ok(Vec::new()) };
        let node = self.content.node(located.node());
        let variants: Vec<&[Rrset]> = match &node.rrsets {
            Rrsets::Static(rrsets) => vec![rrsets],
            Rrsets::Hub(position) => {
                let hub = &self.content.hubs[*position];
                hub.endpoints.iter().chain(&hub.all).map(|rrsets| &**rrsets).collect()
            }
        };
        let targets = |rtype| {
            variants
                .iter()
                .filter_map(move |rrsets| of_type(rrsets, rtype)?.target.as_ref())
                .map(|target| Name::from_wire(&target.wire).map_err(|_| missing()))
        };
        match located {
            Located::Exact(_) | Located::Wildcard(_) => targets(Rtype::CNAME).collect(),
            Located::Dname(_) => targets(Rtype::DNAME)
                .map(|target| match name.substitute(&node.name, &target?) {
                    Some(Ok(next)) => Ok(next),
                    _ => Err(missing()),
                })
                .collect(),
            Located::Cut(_) => Ok(Vec::new()),
            Located::Missing(_) => Err(missing()),
        }
    }
}
