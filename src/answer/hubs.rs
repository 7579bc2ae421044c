//! The hubs' part of the content: for every choice the RRsets of the hub's name, and the refusal of every choice that
//! must never be answered.

mod loops;
mod plan;
mod rotation;

use std::collections::BTreeMap;
use std::time::Duration;

pub(super) use self::loops::refuse_loops;
pub(super) use self::rotation::Rotation;
use super::compile::{Compiler, response_octets};
use super::cursor::Cursor;
use super::refusal::{Refused, rule};
use super::snapshot::{HubAnswers, Served, Variants, hub_key};
use crate::dns::{Name, Rtype};
use crate::policy::{self, Answer, Hub, Policy, WhenAllDown};
use crate::zone::rrset::{Encoder, Rrset, Rrsets, Unencodable, put_number};

/// Smallest UDP response that every client takes, octets (RFC 1035 2.3.4).
const SMALLEST_RESPONSE: usize = 512;

/// Adds a hub to the zone that its name is in, and says whether nothing was refused.
///
/// A refused hub leaves its place in the order to none: the content is then not made.
pub(super) fn compile_hub(compiler: &mut Compiler, hub: &Hub, policy: &Policy) -> bool {
    let name = &hub.name;
    let Some(position) = compiler.zone_of(name) else {
        let refused = Refused::new(rule::HUB_IN_ZONE, name, format!("hub {name} is in no zone that is loaded"));
        compiler.refused.push(refused.at(&hub.place).hint("add a zone file, or correct the hub's name"));
        return false;
    };
    let Compiler { content, refused, encoder, specs, hubs } = compiler;
    let number = content.hubs.len() as u32;
    let Ok(node) = content.zones[position].tree.place_hub(name, number) else {
        let sentence = format!("hub {name} makes its zone need more than 16 GiB of memory, the most that one can have");
        refused.push(Refused::new(rule::HUB_IN_ZONE, name, sentence).at(&hub.place));
        return false;
    };
    let served = &*content;
    let zone = &served.zones[position];
    let node = zone.tree.node(node);
    let fixed = node.rrsets();
    let before = refused.len();
    let mut check = Check { encoder, hub, content: served, apex: &zone.apex, fixed, refused, longest: 0 };
    if node.is_cut() {
        check.out_of_place("is delegated away at", &node.name());
    } else if let Some(above) = zone.tree.topmost(node) {
        let what = if above.is_cut() { "is delegated away at" } else { "is below the DNAME at" };
        check.out_of_place(what, &above.name());
    }
    let (full, low, plan) = if plan::is_needed(hub) {
        (Variants::default(), None, plan::compile(&mut check, policy, hubs, specs, content.planned))
    } else {
        let (full, low) = check.variants();
        (full, low, None)
    };
    let longest = check.longest;
    if refused.len() > before {
        return false;
    }
    content.planned += u32::from(plan.is_some());
    let (name, key, plan) = (name.clone(), hub_key(name), plan.map(Box::new));
    let answers = HubAnswers { name, key, spread: hub.ttl_spread, full, low, plan, sometimes: Box::default(), longest };
    content.hubs.push(HubAnswers { sometimes: answers.sometimes(), ..answers });
    true
}

struct Check<'c> {
    encoder: &'c mut Encoder,
    hub: &'c Hub,
    /// All zones are in it.
    content: &'c Served,
    /// Of the hub's zone.
    apex: &'c Name,
    /// What the zone file says at the hub's name.
    fixed: Rrsets<'c>,
    refused: &'c mut Vec<Refused>,
    /// Octets of the longest RRset that was judged.
    longest: usize,
}

impl Check<'_> {
    /// What a hub with an active region and no hub inside answers; with its lower TTL too, where it has one.
    fn variants(&mut self) -> (Variants, Option<Box<Variants>>) {
        let hub = self.hub;
        self.budget(hub.ttl.max(hub.ttl_min));
        let endpoints: Vec<_> = hub.endpoints.iter().map(|endpoint| endpoint.answer.rrsets()).collect();
        for (endpoint, rrsets) in hub.endpoints.iter().zip(&endpoints) {
            self.judge(&format!("for region {}", endpoint.region), rrsets);
        }
        let all = match hub.when_all_down {
            WhenAllDown::All => self.all_addresses(hub),
            WhenAllDown::Keep | WhenAllDown::Region(_) => None,
        };
        if let Some(rrsets) = &all {
            self.judge("for all regions at once", rrsets);
        }
        let mut with_ttl = |ttl| Variants {
            endpoints: endpoints.iter().map(|rrsets| self.prepare(rrsets, ttl)).collect(),
            all: all.as_ref().map(|rrsets| self.prepare(rrsets, ttl)),
        };
        let full = with_ttl(hub.ttl);
        let low = (hub.ttl_min < hub.ttl).then(|| Box::new(with_ttl(hub.ttl_min)));
        (full, low)
    }

    fn refuse(&mut self, rule: &'static str, sentence: String, hint: &str) {
        let refused = Refused::new(rule, &self.hub.name, format!("hub {} {sentence}", self.hub.name));
        self.refused.push(refused.at(&self.hub.place).hint(hint));
    }

    /// The name must be one that this server answers for.
    fn out_of_place(&mut self, what: &str, above: &Name) {
        let sentence = format!("{what} {above}, and would never be answered");
        self.refuse(rule::HUB_REACHABLE, sentence, "move the hub, or remove the record above it");
    }

    /// The longest TTL, within the time that the policy gives.
    fn budget(&mut self, ttl: Duration) {
        if let Some(rto) = self.hub.rto.filter(|rto| ttl > *rto) {
            let (ttl, rto) = (crate::time::human(ttl), crate::time::human(rto));
            let sentence = format!("has a TTL of {ttl}, which alone exceeds its rto of {rto}");
            self.refuse(rule::RTO, sentence, "lower `ttl`: resolvers keep an answer for as long");
        }
    }

    /// The addresses of every endpoint of a hub, for [`WhenAllDown::All`].
    fn all_addresses(&mut self, hub: &Hub) -> Option<Vec<policy::Rrset>> {
        if let Some(other) = other_than_addresses(hub) {
            let sentence = format!("answers everything when all is down, but has an endpoint with {other}");
            let hint = "give every endpoint addresses, or write `when_all_down = \"keep\"`";
            self.refuse(rule::ALL_ADDRESSES, sentence, hint);
            return None;
        }
        Some(merged(hub.endpoints.iter().map(|endpoint| endpoint.answer.rrsets())))
    }

    /// What must never be answered, whatever the TTL is.
    fn judge(&mut self, choice: &str, answer: &[policy::Rrset]) {
        if answer.is_empty() || answer.iter().any(|rrset| rrset.rdatas.is_empty()) {
            let sentence = format!("answers nothing {choice}, which would leave its name empty");
            self.refuse(rule::NOT_EMPTY, sentence, "give the endpoint a target or at least one address");
        }
        for rrset in answer {
            self.beside(choice, rrset.rtype);
            let mut encoded = Vec::new();
            match self.encode(rrset, self.hub.ttl, &mut encoded) {
                Ok(()) => self.fits(choice, &encoded),
                Err(_) if rrset.rdatas.is_empty() => {}
                Err(_) => {
                    let sentence = format!("has more than 65,535 octets of {} RDATA {choice}", rrset.rtype);
                    self.refuse(rule::RDATA_LENGTH, sentence, "shorten the record");
                }
            }
        }
    }

    /// Appends one of the hub's RRsets.
    fn encode(&mut self, rrset: &policy::Rrset, ttl: Duration, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let rdatas = rrset.rdatas.iter().map(|rdata| &**rdata);
        // Every zone is known here: a query need not look for a target that is in none.
        let is_served =
            |target: &[u8]| Cursor::read(target).is_none_or(|name| self.content.zone_at(&name, 0).is_some());
        self.encoder.leaves = rrset.rtype == Rtype::CNAME && !rrset.rdatas.iter().any(|target| is_served(target));
        self.encoder.own = true;
        let ttl = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
        let result = self.encoder.encode(rrset.rtype, ttl, rdatas, self.hub.name.wire(), self.apex.wire(), out);
        (self.encoder.leaves, self.encoder.own) = (false, false);
        result
    }

    /// The RRsets of the name for one choice: the hub's, and the zone file's beside them.
    fn prepare(&mut self, answer: &[policy::Rrset], ttl: Duration) -> Box<[u8]> {
        let mut rrsets = beside(self.encoder, &self.hub.name, self.apex, self.fixed);
        for rrset in answer {
            let mut encoded = Vec::new();
            // One that cannot be is refused by `judge`, and nothing of the hub is answered.
            if self.encode(rrset, ttl, &mut encoded).is_ok() {
                rrsets.push((rrset.rtype, encoded));
            }
        }
        joined(rrsets)
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
            .map(|rrset| rrset.rtype())
            .filter(|fixed| !matches!(*fixed, Rtype::RRSIG | Rtype::NSEC))
            .collect();
        if rtype == Rtype::CNAME && self.hub.name == *self.apex {
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
    fn fits(&mut self, choice: &str, encoded: &[u8]) {
        let Some((rrset, _)) = Rrset::read(encoded) else { return };
        self.longest = self.longest.max(rrset.wire.len());
        let octets = response_octets(&self.hub.name, rrset);
        if octets > SMALLEST_RESPONSE {
            let sentence = format!(
                "needs a response of {octets} octets for its {} {choice}, and {SMALLEST_RESPONSE} fit everywhere",
                rrset.rtype()
            );
            self.refuse(rule::FITS_512, sentence, "name fewer addresses or shorter records");
        }
    }
}

/// The type of an endpoint's RRset that is no address, or what else the endpoint is.
fn other_than_addresses(hub: &Hub) -> Option<String> {
    hub.endpoints.iter().find_map(|endpoint| match &endpoint.answer {
        Answer::Hub(inside) => Some(format!("the hub {inside}")),
        answer => {
            let rrsets = answer.rrsets();
            let other = rrsets.iter().find(|rrset| !matches!(rrset.rtype, Rtype::A | Rtype::AAAA));
            other.map(|rrset| rrset.rtype.to_string())
        }
    })
}

/// The RRsets of several answers as one: each record once, in their order.
fn merged(answers: impl IntoIterator<Item = Vec<policy::Rrset>>) -> Vec<policy::Rrset> {
    let mut all: BTreeMap<Rtype, Vec<Box<[u8]>>> = BTreeMap::new();
    for rrset in answers.into_iter().flatten() {
        let known = all.entry(rrset.rtype).or_default();
        for rdata in rrset.rdatas {
            if !known.contains(&rdata) {
                known.push(rdata);
            }
        }
    }
    all.into_iter().map(|(rtype, rdatas)| policy::Rrset { rtype, rdatas }).collect()
}

/// What the zone file says at a hub's name, as it stands beside the hub's answer.
fn beside(encoder: &mut Encoder, name: &Name, apex: &Name, fixed: Rrsets<'_>) -> Vec<(Rtype, Vec<u8>)> {
    let one = |rrset: Rrset<'_>| {
        let mut encoded = Vec::new();
        let rdatas = rrset.rdatas(name, apex);
        let rdatas = rdatas.iter().map(|rdata| &**rdata);
        // It was encoded before.
        let _ = encoder.encode(rrset.rtype(), rrset.ttl(), rdatas, name.wire(), apex.wire(), &mut encoded);
        (rrset.rtype(), encoded)
    };
    fixed.iter().map(one).collect()
}

/// RRsets as they stand at a name.
fn joined(mut rrsets: Vec<(Rtype, Vec<u8>)>) -> Box<[u8]> {
    rrsets.sort_by_key(|(rtype, _)| *rtype);
    let mut prepared = Vec::new();
    put_number(rrsets.len(), &mut prepared);
    rrsets.iter().for_each(|(_, encoded)| prepared.extend_from_slice(encoded));
    prepared.into_boxed_slice()
}

#[cfg(test)]
mod tests;
