//! Where the CNAMEs of hubs lead.

use std::collections::BTreeSet;

use super::super::cursor::Cursor;
use super::super::refusal::{Refused, rule};
use super::super::snapshot::{HubAnswers, Served};
use super::super::walk::{Located, MAX_STEPS};
use crate::dns::{Name, Rtype};
use crate::policy::{Answer, Hub, Policy, RegionName};
use crate::zone::rrset::Rrsets;

/// Refuses every CNAME of a hub that can lead back to a name it came through, or to a name that does not exist.
///
/// Other hubs on the way are followed for each of their choices, since any may come to stand.
pub(in crate::answer) fn refuse_loops(content: &Served, policy: &Policy, refused: &mut Vec<Refused>) {
    for hub in policy.hubs.values() {
        for (region, target) in cnames(policy, hub) {
            let mut chain = Chain { content, path: vec![hub.name.clone()], explored: BTreeSet::new() };
            let Err(dead_end) = chain.explore(target) else { continue };
            let says = format!("hub {} answers a CNAME to {target} for region {region}", hub.name);
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

/// The CNAMEs that a hub can answer, its own and those of hubs inside it, each once, and for what region.
fn cnames<'p>(policy: &'p Policy, hub: &'p Hub) -> Vec<(&'p RegionName, &'p Name)> {
    let mut found: Vec<(&RegionName, &Name)> = Vec::new();
    let (mut inside, mut seen) = (vec![hub], BTreeSet::new());
    while let Some(hub) = inside.pop() {
        if !seen.insert(&hub.name) {
            continue;
        }
        for endpoint in &hub.endpoints {
            match &endpoint.answer {
                Answer::Cname(target) if !found.contains(&(&endpoint.region, target)) => {
                    found.push((&endpoint.region, target));
                }
                Answer::Hub(name) => inside.extend(policy.hubs.get(name).map(|hub| &**hub)),
                Answer::Cname(_) | Answer::Addresses(_) | Answer::Rrsets(_) => {}
            }
        }
    }
    found
}

enum DeadEnd {
    Loop(Name),
    Missing(Name),
    Long,
}

struct Chain<'a> {
    content: &'a Served,
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
            // A text leads nowhere.
            Some(position) => {
                self.content.hubs.get(position as usize).into_iter().flat_map(HubAnswers::variants).collect()
            }
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
