//! Alias records of names that are not chosen among.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::draft::{EndpointDraft, HubDraft, quoted};
use super::hubs::Hubs;
use super::master;
use super::sets::{Set, Zone};

/// How many aliases may lead on to one another.
const MOST_STEPS: usize = 8;

/// The lines of a name with an alias; a target that is a hub makes it one as well.
pub(super) fn convert(zone: &Zone, name: &str, sets: &[&Set], hubs: &mut Hubs<'_>) -> String {
    let mut text = String::new();
    let mut done = BTreeSet::new();
    for set in sets {
        let Some(alias) = &set.alias else {
            text.push_str(&master::records(name, set));
            continue;
        };
        if !done.insert(&alias.name) {
            continue;
        }
        let target = follow(zone, &alias.name);
        let at = zone.at(&target);
        if at.iter().any(|set| set.identifier.is_some()) {
            let mut hub = HubDraft::new("priority", at.iter().filter_map(|set| set.ttl).min().unwrap_or(60));
            let region = super::super::draft::slug(&[target.split('.').next().unwrap_or_default(), "alias"]);
            hub.endpoints.push(EndpointDraft { region, answer: ("hub", quoted(&target)), ..EndpointDraft::default() });
            hubs.draft.add_hub(name, hub);
        } else if !at.is_empty() {
            let _ = writeln!(text, "; {name} is an alias of {target}: what that has is written out");
            let types: Vec<&str> =
                sets.iter().filter(|set| set.alias.is_some()).map(|set| set.rtype.as_str()).collect();
            for set in at.iter().filter(|set| types.contains(&set.rtype.as_str())) {
                text.push_str(&master::records(name, set));
            }
        } else if name == zone.apex || sets.iter().any(|set| set.alias.is_none()) {
            let why = format!(
                "it is an alias of {target}, which is outside the zone, and its name has other data, beside which no CNAME stands"
            );
            let _ = writeln!(text, "; {name} is left out: {why}");
            hubs.draft.note(name, format!("not carried over: {why}"));
        } else {
            let _ = writeln!(text, "{name} 60 IN CNAME {target}");
            hubs.draft.note(name, format!("an alias of {target}, which is outside the zone, becomes a CNAME"));
        }
    }
    text
}

/// Where aliases of aliases lead.
fn follow(zone: &Zone, name: &str) -> String {
    let mut name = name.to_owned();
    for _ in 0..MOST_STEPS {
        let at = zone.at(&name);
        let next =
            at.iter().find_map(|set| set.alias.as_ref()).filter(|_| at.iter().all(|set| set.identifier.is_none()));
        match next {
            Some(next) => name = next.name.clone(),
            None => break,
        }
    }
    name
}
