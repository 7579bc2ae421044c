//! The hubs' part of the content: for every choice the RRsets of the hub's name, and the refusal of every choice that
//! must never be answered.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Compiler, response_octets};
use super::cursor::Cursor;
use super::refusal::{Refused, rule};
use super::snapshot::{Content, HubAnswers};
use super::walk::{Located, MAX_STEPS};
use crate::dns::{Name, Rtype};
use crate::policy::{self, Answer, Hub, Policy, WhenAllDown};
use crate::zone::rrset::{Encoder, Rrset, Rrsets, put_number};

/// Smallest UDP response that every client takes, octets (RFC 1035 2.3.4).
const SMALLEST_RESPONSE: usize = 512;

/// Adds a hub to the zone that its name is in.
///
/// A refused hub leaves its place in the order to none: the content is then not made.
pub(super) fn compile_hub(compiler: &mut Compiler, hub: &Hub) {
    let name = &hub.name;
    let Some(position) = compiler.zone_of(name) else {
        let refused = Refused::new(rule::HUB_IN_ZONE, name, format!("hub {name} is in no zone that is loaded"));
        compiler.refused.push(refused.at(&hub.place).hint("add a zone file, or correct the hub's name"));
        return;
    };
    let Compiler { content, refused, encoder } = compiler;
    let number = content.hubs.len() as u32;
    let Ok(node) = content.zones[position].tree.place_hub(name, number) else {
        let sentence = format!("hub {name} makes its zone need more than 16 GiB of memory, the most that one can have");
        refused.push(Refused::new(rule::HUB_IN_ZONE, name, sentence).at(&hub.place));
        return;
    };
    let served = &*content;
    let zone = &served.zones[position];
    let node = zone.tree.node(node);
    let fixed = node.rrsets();
    let before = refused.len();
    let mut check = Check { encoder, hub, content: served, apex: &zone.apex, fixed, refused };
    if node.is_cut() {
        check.out_of_place("is delegated away at", &node.name());
    } else if let Some(above) = zone.tree.topmost(node) {
        let what = if above.is_cut() { "is delegated away at" } else { "is below the DNAME at" };
        check.out_of_place(what, &above.name());
    }
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
    if refused.len() == before {
        content.hubs.push(HubAnswers { name: name.clone(), endpoints, all });
    }
}

struct Check<'c> {
    encoder: &'c mut Encoder,
    hub: &'c Hub,
    /// All zones are in it.
    content: &'c Content,
    /// Of the hub's zone.
    apex: &'c Name,
    /// What the zone file says at the hub's name.
    fixed: Rrsets<'c>,
    refused: &'c mut Vec<Refused>,
}

impl Check<'_> {
    fn refuse(&mut self, rule: &'static str, sentence: String, hint: &str) {
        let refused = Refused::new(rule, &self.hub.name, format!("hub {} {sentence}", self.hub.name));
        self.refused.push(refused.at(&self.hub.place).hint(hint));
    }

    /// The name must be one that this server answers for.
    fn out_of_place(&mut self, what: &str, above: &Name) {
        let sentence = format!("{what} {above}, and would never be answered");
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
    fn prepare(&mut self, choice: &str, answer: Vec<policy::Rrset>) -> Box<[u8]> {
        if answer.is_empty() || answer.iter().any(|rrset| rrset.rdatas.is_empty()) {
            let sentence = format!("answers nothing {choice}, which would leave its name empty");
            self.refuse(rule::NOT_EMPTY, sentence, "give the endpoint a target or at least one address");
        }
        let ttl = u32::try_from(self.hub.ttl.as_secs()).unwrap_or(u32::MAX);
        let (owner, apex) = (self.hub.name.wire(), self.apex.wire());
        let mut rrsets: Vec<(Rtype, Vec<u8>)> = Vec::new();
        for rrset in self.fixed.iter() {
            let mut encoded = Vec::new();
            let rdatas = rrset.rdatas(&self.hub.name, self.apex);
            let rdatas = rdatas.iter().map(|rdata| &**rdata);
            // It was encoded before.
            let _ = self.encoder.encode(rrset.rtype(), rrset.ttl(), rdatas, owner, apex, &mut encoded);
            rrsets.push((rrset.rtype(), encoded));
        }
        for rrset in &answer {
            self.beside(choice, rrset.rtype);
            let mut encoded = Vec::new();
            let rdatas = rrset.rdatas.iter().map(|rdata| &**rdata);
            // Every zone is known here: a query need not look for a target that is in none.
            let is_served =
                |target: &[u8]| Cursor::read(target).is_none_or(|name| self.content.zone_at(&name, 0).is_some());
            self.encoder.leaves = rrset.rtype == Rtype::CNAME && !rrset.rdatas.iter().any(|target| is_served(target));
            let result = self.encoder.encode(rrset.rtype, ttl, rdatas, owner, apex, &mut encoded);
            self.encoder.leaves = false;
            match result {
                Ok(()) => {
                    self.fits(choice, &encoded);
                    rrsets.push((rrset.rtype, encoded));
                }
                Err(_) if rrset.rdatas.is_empty() => {}
                Err(_) => {
                    let sentence = format!("has more than 65,535 octets of {} RDATA {choice}", rrset.rtype);
                    self.refuse(rule::RDATA_LENGTH, sentence, "shorten the record");
                }
            }
        }
        rrsets.sort_by_key(|(rtype, _)| *rtype);
        let mut prepared = Vec::new();
        put_number(rrsets.len(), &mut prepared);
        rrsets.iter().for_each(|(_, encoded)| prepared.extend_from_slice(encoded));
        prepared.into_boxed_slice()
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
        let Some((zone, located)) = self.content.locate(&cursor, Rtype::A) else { return Ok(Vec::new()) };
        let node = located.node();
        let owner = node.name();
        let variants: Vec<Rrsets<'_>> = match node.hub() {
            None => vec![node.rrsets()],
            Some(position) => self.content.hubs[position as usize].variants().collect(),
        };
        let targets = |rtype| {
            let targets = variants.iter().filter_map(move |rrsets| rrsets.of_type(rtype));
            targets.map(|rrset| rrset.target(&owner, &zone.apex, 0).ok_or_else(missing))
        };
        match located {
            Located::Exact(_) | Located::Wildcard(_) => targets(Rtype::CNAME).collect(),
            Located::Dname(_) => targets(Rtype::DNAME)
                .map(|target| match name.substitute(&owner, &target?) {
                    Some(Ok(next)) => Ok(next),
                    _ => Err(missing()),
                })
                .collect(),
            Located::Cut(_) => Ok(Vec::new()),
            Located::Missing(_) => Err(missing()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::compile::compile;
    use super::super::testing::{hub, name, policy, zone};
    use super::*;

    const ZONE: &str = "
        www A 192.0.2.1
        taken A 192.0.2.2
        signed RRSIG 00050d020000012c000000000000000000010001aa
        alias CNAME www
        sub NS ns.example.org.
        old DNAME new
        back CNAME back2
        back2 CNAME hub
        any.new A 192.0.2.3
        *.wild CNAME hub
        spin CNAME spin2
        spin2 CNAME spin";

    fn rules(hubs: Vec<Hub>) -> Vec<&'static str> {
        compile(vec![zone("example.", ZONE)], &policy(hubs))
            .map_or_else(|refused| refused.into_iter().map(|refused| refused.rule).collect(), |_| Vec::new())
    }

    #[track_caller]
    fn check(owner: &str, endpoints: &str, expected: &[&str]) {
        assert_eq!(rules(vec![hub(owner, endpoints)]), expected, "{owner} {endpoints}");
    }

    #[test]
    fn where_a_hub_may_be() {
        check("hub.example.", "weu 192.0.2.9", &[]);
        check("a.b.c.example.", "weu 192.0.2.9", &[]);
        check("hub.example.org.", "weu 192.0.2.9", &["hub-in-zone"]);
        check("hub.sub.example.", "weu 192.0.2.9", &["hub-reachable"]);
        check("sub.example.", "weu 192.0.2.9", &["hub-reachable"]);
        check("hub.old.example.", "weu 192.0.2.9", &["hub-reachable"]);
        check("old.example.", "weu 192.0.2.9", &[]);
    }

    #[test]
    fn what_may_stand_beside_it() {
        check("example.", "weu 192.0.2.9", &[]);
        check("example.", "weu cname www.example.", &["cname-alone"]);
        check("taken.example.", "weu cname www.example.", &["cname-alone"]);
        check("taken.example.", "weu 192.0.2.9", &["one-source"]);
        check("taken.example.", "weu 2001:db8::1", &[]);
        check("alias.example.", "weu 192.0.2.9", &["cname-alone"]);
        check("alias.example.", "weu cname www.example.", &["one-source"]);
        check("signed.example.", "weu cname www.example.", &[]);
    }

    #[test]
    fn types_that_only_a_zone_file_holds() {
        for rtype in [Rtype::NS, Rtype::SOA, Rtype::DNAME, Rtype::DS, Rtype::ANY, Rtype::OPT] {
            let mut odd = hub("hub.example.", "weu 192.0.2.9");
            odd.endpoints[0].answer =
                Answer::Rrsets(vec![policy::Rrset { rtype, rdatas: vec![name("a.").wire().into()] }]);
            assert_eq!(rules(vec![odd]), ["hub-type"], "{rtype}");
        }
    }

    #[test]
    fn no_choice_leaves_the_name_empty() {
        check("hub.example.", "weu 192.0.2.9\nneu", &["not-empty"]);
        let mut bare = hub("hub.example.", "weu 192.0.2.9");
        bare.endpoints[0].answer = Answer::Rrsets(vec![policy::Rrset { rtype: Rtype::TXT, rdatas: vec![] }]);
        assert_eq!(rules(vec![bare]), ["not-empty"]);
        check("hub.example.", "weu cname missing.example.", &["not-empty"]);
        check("hub.example.", "weu cname x.old.example.", &["not-empty"]);
        check("hub.example.", "weu cname any.old.example.", &[]);
        check("hub.example.", "weu cname x.sub.example.", &[]);
    }

    #[test]
    fn no_alias_leads_back() {
        check("hub.example.", "weu cname hub.example.", &["no-loop"]);
        check("hub.example.", "weu 192.0.2.9\nneu cname back.example.", &["no-loop"]);
        check("hub.example.", "weu cname any.wild.example.", &["no-loop"]);
        check("hub.example.", "weu cname spin.example.", &["no-loop"]);
        check("hub.example.", "weu cname alias.example.", &[]);
        let through = |second: &str| {
            rules(vec![
                hub("a.example.", "weu cname b.example."),
                hub("b.example.", &format!("weu 192.0.2.9\n{second}")),
            ])
        };
        assert_eq!(through("neu 192.0.2.10"), [] as [&str; 0]);
        assert_eq!(through("neu cname a.example."), ["no-loop", "no-loop"]);
    }

    #[test]
    fn a_chain_longer_than_an_answer() {
        let chain: String = (1..=MAX_STEPS).map(|n| format!("c{n} CNAME c{}\n", n + 1)).collect();
        let rules = |last: usize| {
            let lines = format!("{chain}\nc{} A 192.0.2.1", MAX_STEPS + 1);
            let start = format!("weu cname c{last}.example.");
            compile(vec![zone("example.", &lines)], &policy(vec![hub("hub.example.", &start)]))
                .map_or_else(|refused| refused.into_iter().map(|refused| refused.rule).collect(), |_| Vec::new())
        };
        // The hub, c3 to c16 and c17 are 16 names.
        assert_eq!(rules(3), [] as [&str; 0]);
        assert_eq!(rules(2), ["no-loop"]);
    }

    #[test]
    fn an_answer_fits_the_smallest_response() {
        // 12 octets of header, 17 of question, 11 of OPT, 16 for each address.
        let addresses = |count: usize| (0..count).map(|n| format!(" 192.0.2.{n}")).collect::<String>();
        check("hub.example.", &format!("weu{}", addresses(29)), &[]);
        check("hub.example.", &format!("weu{}", addresses(30)), &["fits-512"]);
    }

    #[test]
    fn the_ttl_is_within_the_rto() {
        let mut slow = hub("hub.example.", "weu 192.0.2.9");
        slow.rto = Some(Duration::from_secs(30));
        assert_eq!(rules(vec![slow.clone()]), [] as [&str; 0]);
        slow.rto = Some(Duration::from_secs(29));
        assert_eq!(rules(vec![slow]), ["rto"]);
    }

    #[test]
    fn everything_at_once_needs_addresses() {
        let all = |endpoints: &str| {
            let mut all = hub("hub.example.", endpoints);
            all.when_all_down = WhenAllDown::All;
            all
        };
        assert_eq!(rules(vec![all("weu 192.0.2.9\nneu 2001:db8::1")]), [] as [&str; 0]);
        assert_eq!(rules(vec![all("weu 192.0.2.9\nneu cname www.example.")]), ["all-addresses"]);
        let addresses = |from: usize| (from..from + 20).map(|n| format!(" 192.0.2.{n}")).collect::<String>();
        assert_eq!(rules(vec![all(&format!("weu{}\nneu{}", addresses(0), addresses(20)))]), ["fits-512"]);
    }

    #[test]
    fn every_hub_is_judged_and_the_sentence_has_its_place() {
        let hubs = vec![hub("a.example.org.", "weu 192.0.2.9"), hub("taken.example.", "weu 192.0.2.9\nneu 192.0.2.8")];
        let refused = compile(vec![zone("example.", ZONE)], &policy(hubs)).unwrap_err();
        let sentences: Vec<String> = refused.iter().map(|refused| refused.diagnostic().to_string()).collect();
        assert_eq!(
            sentences,
            [
                "zones/hubs.toml:1:2: error: hub taken.example. has A for region weu, and the zone file has A at the \
                 same name (hint: remove the record from the zone file)",
                "zones/hubs.toml:1:2: error: hub taken.example. has A for region neu, and the zone file has A at the \
                 same name (hint: remove the record from the zone file)",
                "zones/hubs.toml:1:2: error: hub a.example.org. is in no zone that is loaded (hint: add a zone file, \
                 or correct the hub's name)",
            ]
        );
    }

    #[test]
    fn rrsets_stand_in_order_of_their_types_whatever_is_merged() {
        let mut general = hub("hub.example.", "weu 192.0.2.9");
        general.endpoints[0].answer = Answer::Rrsets(vec![
            policy::Rrset { rtype: Rtype::AAAA, rdatas: vec![Box::new([0; 16])] },
            policy::Rrset { rtype: Rtype::A, rdatas: vec![Box::new([192, 0, 2, 7])] },
        ]);
        let zone = zone("example.", "hub URI aa\nhub MX 5 hub");
        let content = compile(vec![zone], &policy(vec![general])).unwrap();
        let rrsets = content.hubs[0].rrsets(super::super::snapshot::Choice::endpoint(0)).unwrap();
        let types: Vec<Rtype> = rrsets.iter().map(|rrset| rrset.rtype()).collect();
        assert_eq!(types, [Rtype::A, Rtype::MX, Rtype::AAAA, Rtype::URI]);
    }
}
