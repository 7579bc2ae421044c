//! Hubs against the zones: where a hub may stand, what may stand beside it, where its CNAMEs lead.
//!
//! A CNAME target that a loaded zone says does not exist is a warning and no error: the zone may be completed by the
//! next reload, and a standby that is not built yet must not keep the rest of the policy from loading.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Answer, text_name};
use super::endpoint::EndpointDraft;
use super::hub::Draft;
use super::nested;
use crate::diagnostic::{Diagnostic, Place, closest};
use crate::dns::{HEADER, MAX_MESSAGE, Name, Rtype};
use crate::zone::store::Node;
use crate::zone::{Position, Zone};

/// What reaches every client: without EDNS, and without TCP (RFC 1035 2.3.4).
const SMALL_MESSAGE: usize = 512;
/// Octets of a record whose owner is a compression pointer, without the RDATA (RFC 1035 4.1.3).
const RECORD: usize = 12;
/// A zone of more names than this is not searched for the one that was meant.
const MOST_NAMES_SEARCHED: usize = 10_000;

/// The loaded zones by apex; `None` for one whose file was refused.
pub(super) struct Zones<'z>(BTreeMap<&'z Name, Option<&'z Zone>>);

impl<'z> Zones<'z> {
    pub(super) fn new(zones: &'z [Zone], refused: &'z [Name]) -> Self {
        let refused = refused.iter().map(|apex| (apex, None));
        Self(refused.chain(zones.iter().map(|zone| (&zone.apex, Some(zone)))).collect())
    }

    /// The zone that `name` is in: the deepest one.
    fn of(&self, name: &Name) -> Option<Option<&'z Zone>> {
        ancestors(name).find_map(|ancestor| self.0.get(&ancestor).copied())
    }
}

pub(super) fn check(drafts: &[Draft], zones: &Zones<'_>, problems: &mut Vec<Diagnostic>) {
    let hubs = nested::by_name(drafts);
    for draft in drafts {
        let Some(name) = &draft.name else { continue };
        let leaves = nested::leaves(draft, &hubs);
        check_sizes(name, draft, &leaves, problems);
        check_loops(name, &leaves, &hubs, zones, problems);
        for (target, place) in draft.endpoints.iter().filter_map(cname) {
            if target != name {
                check_target(target, place, &hubs, zones, problems);
            }
        }
        match zones.of(name) {
            Some(Some(zone)) => {
                check_above(name, draft, zone, problems);
                check_beside(name, draft, &leaves, zone, problems);
                if draft.hub.as_ref().is_some_and(|hub| hub.txt) {
                    check_text(name, draft, &hubs, zones, zone, problems);
                }
                if node(zone, &zone.apex).is_some_and(|apex| apex.of_type(Rtype::DNSKEY).is_some()) {
                    let message = format!(
                        "hub `{name}` is in the signed zone `{}`, but its answers carry no signatures: resolvers that \
                         validate refuse them",
                        zone.apex
                    );
                    let problem = Diagnostic::warning(draft.place.clone(), message);
                    problems.push(problem.hint("delegate the hub to an unsigned zone of its own"));
                }
            }
            Some(None) => {}
            None => problems.push(outside(name, draft, zones)),
        }
    }
}

fn cname(endpoint: &EndpointDraft) -> Option<(&Name, &Place)> {
    match endpoint.answer.as_ref()? {
        Answer::Cname(target) => Some((target, endpoint.answer_place.as_ref()?)),
        Answer::Addresses(_) | Answer::Rrsets(_) | Answer::Hub(_) => None,
    }
}

fn outside(name: &Name, draft: &Draft, zones: &Zones<'_>) -> Diagnostic {
    if zones.0.is_empty() {
        let message = format!("hub `{name}` is in no loaded zone: none is loaded");
        return Diagnostic::error(draft.place.clone(), message).hint("add the master file of its zone, `APEX.zone`");
    }
    let mut apexes: Vec<String> = zones.0.keys().take(5).map(|apex| format!("`{apex}`")).collect();
    if zones.0.len() > 5 {
        apexes.push(format!("or one of {} more", zones.0.len() - 5));
    }
    let message = format!("hub `{name}` is in no loaded zone, expected a name in {}", apexes.join(", "));
    let problem = Diagnostic::error(draft.place.clone(), message);
    // The apex of which the hub's own end is a slip.
    let meant =
        zones.0.keys().filter(|apex| !apex.is_root() && apex.label_count() <= name.label_count()).find_map(|apex| {
            let (mut head, mut tail) = (String::new(), name.clone());
            while tail.label_count() > apex.label_count() {
                let label = tail.labels().next().map(|label| String::from_utf8_lossy(label).into_owned())?;
                head = format!("{head}{label}.");
                tail = tail.parent()?;
            }
            let apex = apex.to_string();
            closest(&tail.to_string(), [apex.as_str()]).map(|apex| format!("{head}{apex}"))
        });
    match meant {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => problem.hint("write a name in one of these zones, or add the master file of its zone"),
    }
}

/// What stands above the hub in its zone must leave it in the zone.
fn check_above(name: &Name, draft: &Draft, zone: &Zone, problems: &mut Vec<Diagnostic>) {
    for ancestor in ancestors(name) {
        let Some(node) = node(zone, &ancestor) else {
            if ancestor == zone.apex {
                break;
            }
            continue;
        };
        let apex = ancestor == zone.apex;
        if node.is_cut() {
            let below = if ancestor == *name { "is" } else { "lies below" };
            let message =
                format!("hub `{name}` {below} the delegation `{ancestor}`, which this zone does not answer for");
            let problem = Diagnostic::error(draft.place.clone(), message)
                .related(place(zone, &ancestor, Rtype::NS), "the delegation")
                .hint("move the hub out of the delegated part, or serve that zone here too");
            problems.push(problem);
        }
        if node.has_dname() && ancestor != *name {
            // RFC 6672 2.4: nothing exists below a DNAME.
            let message = format!("hub `{name}` lies below the DNAME at `{ancestor}`, which redirects it");
            let problem = Diagnostic::error(draft.place.clone(), message)
                .related(place(zone, &ancestor, Rtype::DNAME), "the DNAME")
                .hint("move the hub out of the redirected part");
            problems.push(problem);
        }
        if apex {
            break;
        }
    }
}

/// What stands at the hub's own name in its zone.
fn check_beside(name: &Name, draft: &Draft, leaves: &[&EndpointDraft], zone: &Zone, problems: &mut Vec<Diagnostic>) {
    let Some(node) = node(zone, name) else { return };
    let types: Vec<Rtype> = node.rrsets().iter().map(|rrset| rrset.rtype()).collect();
    let first_cname = leaves.iter().copied().find_map(cname);
    if types.contains(&Rtype::CNAME) {
        let message = format!("hub `{name}` has a CNAME in the zone: a name with a CNAME has no other answer");
        let at = place(zone, name, Rtype::CNAME);
        let problem = Diagnostic::error(draft.place.clone(), message).related(at, "the CNAME");
        problems.push(problem.hint("remove the CNAME from the zone"));
        return;
    }
    if let Some((_, at)) = first_cname
        && *name == zone.apex
    {
        let message =
            format!("hub `{name}` is the apex of its zone, which cannot answer a CNAME beside its SOA and NS");
        problems
            .push(Diagnostic::error(at.clone(), message).hint("answer with `addresses`, or use a name below the apex"));
        return;
    }
    if let (Some((_, at)), Some(first)) = (first_cname, types.first()) {
        // RFC 1034 3.6.2; which endpoint is active changes, what is beside it in the zone does not.
        let types: Vec<String> = types.iter().map(Rtype::to_string).collect();
        let message = format!("hub `{name}` answers a CNAME, but the zone has {} at this name", types.join(", "));
        let problem = Diagnostic::error(at.clone(), message).related(place(zone, name, *first), "in the zone");
        problems.push(problem.hint("remove them from the zone, or answer with `addresses` or `records`"));
        return;
    }
    let mut reported = BTreeSet::new();
    for endpoint in leaves {
        let (Some(answer), Some(at)) = (&endpoint.answer, &endpoint.answer_place) else { continue };
        for rtype in answer.rrsets().iter().map(|rrset| rrset.rtype) {
            if types.contains(&rtype) && reported.insert(rtype) {
                let message = format!("hub `{name}` answers {rtype}, but the zone has {rtype} at this name too");
                let problem = Diagnostic::error(at.clone(), message).related(place(zone, name, rtype), "in the zone");
                problems.push(problem.hint(format!("remove the {rtype} records from the zone")));
            }
        }
    }
}

/// What says which region is active stands alone at its name, in the zone of its hub.
fn check_text(
    name: &Name,
    draft: &Draft,
    hubs: &BTreeMap<&Name, &Draft>,
    zones: &Zones<'_>,
    zone: &Zone,
    problems: &mut Vec<Diagnostic>,
) {
    const OR_NONE: &str = ", or write `txt = false`";
    let error = |message: String| Diagnostic::error(draft.place.clone(), message);
    let Some(text) = text_name(name) else {
        let message =
            format!("hub `{name}` has `txt`, but its name with `_concierge.` before it is too long for a name");
        problems.push(error(message).hint(format!("give the hub a shorter name{OR_NONE}")));
        return;
    };
    if let Some(other) = hubs.get(&text) {
        let problem = error(format!("hub `{name}` has `txt`, but `{text}` is a hub"));
        problems.push(problem.related(other.place.clone(), "this hub").hint(format!("give it another name{OR_NONE}")));
    } else if zones.0.contains_key(&text) {
        let message = format!("hub `{name}` has `txt`, but `{text}` is a zone of its own");
        problems.push(error(message).hint(format!("remove the file of that zone{OR_NONE}")));
    } else if let Some(first) = node(zone, &text).and_then(|node| node.rrsets().iter().next()) {
        let rtype = first.rtype();
        let problem = error(format!("hub `{name}` has `txt`, but the zone has {rtype} at `{text}`"));
        let problem = problem.related(place(zone, &text, rtype), "in the zone");
        problems.push(problem.hint(format!("remove the {rtype} records from the zone{OR_NONE}")));
    } else if node(zone, name).is_some_and(|node| node.has_dname()) {
        let problem = error(format!("hub `{name}` has `txt`, but the DNAME at its name redirects `{text}`"));
        let problem = problem.related(place(zone, name, Rtype::DNAME), "the DNAME");
        problems.push(problem.hint(format!("remove the DNAME{OR_NONE}")));
    }
}

/// A CNAME that leads back to the hub, through other hubs and CNAMEs of the zones, would be published as a loop.
fn check_loops(
    name: &Name,
    leaves: &[&EndpointDraft],
    hubs: &BTreeMap<&Name, &Draft>,
    zones: &Zones<'_>,
    problems: &mut Vec<Diagnostic>,
) {
    for (target, at) in leaves.iter().copied().filter_map(cname) {
        let Some(path) = path_back(name, target, hubs, zones) else { continue };
        let problem = if path.len() == 1 {
            Diagnostic::error(at.clone(), format!("hub `{name}` has a CNAME that points at the hub itself"))
        } else {
            let chain: Vec<String> = std::iter::once(name).chain(&path).map(Name::to_string).collect();
            Diagnostic::error(
                at.clone(),
                format!("hub `{name}` has a CNAME that leads back to it: {}", chain.join(" -> ")),
            )
        };
        problems.push(problem.hint("write the name of the region's own endpoint"));
    }
}

/// The names from `start` to `goal`, both included, if CNAMEs lead there.
fn path_back(goal: &Name, start: &Name, hubs: &BTreeMap<&Name, &Draft>, zones: &Zones<'_>) -> Option<Vec<Name>> {
    nested::path(start, goal, |at| match hubs.get(at) {
        Some(hub) => {
            let leaves = nested::leaves(hub, hubs);
            leaves.iter().copied().filter_map(cname).map(|(target, _)| target.clone()).collect()
        }
        None => static_cname(at, zones).into_iter().collect(),
    })
}

fn static_cname(name: &Name, zones: &Zones<'_>) -> Option<Name> {
    let zone = zones.of(name)??;
    node(zone, name)?.of_type(Rtype::CNAME)?.target(name, &zone.apex, 0)
}

/// Warns of a CNAME target of which a loaded zone says that it does not exist.
fn check_target(
    target: &Name,
    at: &Place,
    hubs: &BTreeMap<&Name, &Draft>,
    zones: &Zones<'_>,
    problems: &mut Vec<Diagnostic>,
) {
    let Some(Some(zone)) = zones.of(target) else { return };
    let has_hub = |name: &Name| hubs.range::<Name, _>(name..).next().is_some_and(|(hub, _)| hub.is_at_or_below(name));
    if has_hub(target) || exists(target, zone, has_hub) {
        return;
    }
    let message = format!("the CNAME target `{target}` does not exist in the loaded zone `{}`", zone.apex);
    let problem = Diagnostic::warning(at.clone(), message);
    let written = target.to_string();
    let names: Vec<String> = match zone.tree.names() {
        0..=MOST_NAMES_SEARCHED => {
            let nodes = zone.tree.nodes().filter(|node| !node.is_empty());
            nodes.map(|node| node.name().to_string()).collect()
        }
        _ => Vec::new(),
    };
    problems.push(match closest(&written, names.iter().map(String::as_str)) {
        Some(close) => problem.hint(format!("did you mean `{close}`?")),
        None => problem.hint("add it to the zone, or write the name of an endpoint that exists"),
    });
}

/// Whether the zone answers for `name` with something else than NXDOMAIN: it is there, has something below it
/// (RFC 8020), is delegated or redirected away, or a wildcard makes it (RFC 4592 3.3.1).
fn exists(name: &Name, zone: &Zone, has_hub: impl Fn(&Name) -> bool) -> bool {
    let is_there = |name: &Name| zone.tree.find(&name.key()).is_some() || has_hub(name);
    if is_there(name) {
        return true;
    }
    let above = || ancestors(name).skip(1).take_while(|ancestor| ancestor.is_at_or_below(&zone.apex));
    let leads_away = |ancestor: &Name| node(zone, ancestor).is_some_and(|node| node.has_dname() || node.is_cut());
    let closest_encloser = above().find(is_there);
    above().any(|ancestor| leads_away(&ancestor))
        || closest_encloser
            .and_then(|encloser| encloser.child(b"*").ok())
            .is_some_and(|wildcard| node(zone, &wildcard).is_some())
}

/// Answers of more than 512 octets do not reach devices whose resolver library knows neither EDNS nor TCP.
fn check_sizes(name: &Name, draft: &Draft, leaves: &[&EndpointDraft], problems: &mut Vec<Diagnostic>) {
    let mut together: BTreeMap<Rtype, usize> = BTreeMap::new();
    for endpoint in leaves {
        let (Some(answer), Some(at)) = (&endpoint.answer, &endpoint.answer_place) else { continue };
        for rrset in answer.rrsets() {
            let records: usize = rrset.rdatas.iter().map(|rdata| RECORD + rdata.len()).sum();
            *together.entry(rrset.rtype).or_default() += records;
            report_size(name, rrset.rtype, records, at, "", problems);
        }
    }
    if draft.answers_all {
        for (rtype, records) in together {
            report_size(name, rtype, records, &draft.place, " with the addresses of every endpoint", problems);
        }
    }
}

fn report_size(name: &Name, rtype: Rtype, records: usize, at: &Place, which: &str, problems: &mut Vec<Diagnostic>) {
    let question = name.wire().len() + 4;
    let octets = HEADER + question + records;
    if octets > MAX_MESSAGE {
        let message =
            format!("the {rtype} answer of hub `{name}`{which} takes {octets} octets, more than a message holds");
        problems.push(Diagnostic::error(at.clone(), message).hint("write fewer or shorter records"));
    } else if octets > SMALL_MESSAGE {
        let message = format!(
            "the {rtype} answer of hub `{name}`{which} takes {octets} octets: devices without EDNS and TCP take {SMALL_MESSAGE}"
        );
        problems.push(Diagnostic::warning(at.clone(), message).hint("write fewer or shorter records"));
    }
}

/// The name, its parent, and so on to the root.
fn ancestors(name: &Name) -> impl Iterator<Item = Name> {
    std::iter::successors(Some(name.clone()), Name::parent)
}

/// The records of a name at or below the apex.
fn node<'z>(zone: &'z Zone, name: &Name) -> Option<Node<'z>> {
    zone.tree.find(&name.key()).map(|id| zone.tree.node(id)).filter(|node| !node.is_empty())
}

/// The line of the first record of a type at a name at or above a hub. Its text is not at hand.
fn place(zone: &Zone, owner: &Name, rtype: Rtype) -> Place {
    let position = zone.position(owner, rtype).unwrap_or(Position { file: 0, line: 1 });
    let path = zone.files.get(usize::from(position.file)).cloned().unwrap_or_else(|| std::path::Path::new("").into());
    Place { path, line: position.line as usize, column: 1, width: 1, text: String::new() }
}
