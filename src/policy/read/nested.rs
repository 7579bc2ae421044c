//! Hubs inside hubs: `hub = "NAME."` of an endpoint.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Answer;
use super::endpoint::EndpointDraft;
use super::hub::Draft;
use crate::control::reason::many;
use crate::diagnostic::{Diagnostic, Place, closest};
use crate::dns::Name;

/// Every hub that an endpoint names is one, none leads back, and not too many are inside one another. `broken`: a file
/// could not be read to its end.
pub(super) fn check(drafts: &[Draft], broken: bool, problems: &mut Vec<Diagnostic>) {
    let hubs = by_name(drafts);
    for draft in drafts {
        let Some(name) = &draft.name else { continue };
        for (endpoint, (inner, place)) in draft.endpoints.iter().filter_map(|one| Some((one, inner(one)?))) {
            if !hubs.contains_key(inner) {
                if !broken {
                    problems.push(unknown(inner, place, &hubs));
                }
                continue;
            }
            if let Some(path) = path_back(name, inner, &hubs) {
                let message = match path.as_slice() {
                    [_] => format!("hub `{name}` has itself inside"),
                    path => {
                        let chain: Vec<String> = std::iter::once(name).chain(path).map(Name::to_string).collect();
                        format!("hub `{name}` is inside itself: {}", chain.join(" -> "))
                    }
                };
                problems.push(Diagnostic::error(place.clone(), message).hint("write another hub, or a `cname`"));
                continue;
            }
            problems.extend(too_many(endpoint, inner, &hubs));
            let depth = 1 + depth(inner, &hubs, Answer::DEEPEST);
            // What is inside a loop has no depth, and the loop is reported where it is.
            if depth > Answer::DEEPEST && !leads_to_a_loop(inner, &hubs) {
                let message = format!(
                    "hub `{name}` has hubs inside one another, {depth} or more deep, expected at most {}",
                    Answer::DEEPEST
                );
                problems
                    .push(Diagnostic::error(place.clone(), message).hint("write the endpoints of the innermost here"));
            }
        }
    }
}

/// The endpoints of a hub, with those of the hubs inside it in their place: what may stand in its answer.
pub(super) fn leaves<'d>(draft: &'d Draft, hubs: &BTreeMap<&Name, &'d Draft>) -> Vec<&'d EndpointDraft> {
    let mut leaves = Vec::new();
    let mut seen: BTreeSet<&Name> = draft.name.iter().collect();
    let mut open = vec![draft];
    while let Some(draft) = open.pop() {
        for endpoint in &draft.endpoints {
            match inner(endpoint) {
                Some((name, _)) if seen.insert(name) => open.extend(hubs.get(name)),
                Some(_) => {}
                None => leaves.push(endpoint),
            }
        }
    }
    leaves
}

/// The hubs by name; the first of a name counts.
pub(super) fn by_name(drafts: &[Draft]) -> BTreeMap<&Name, &Draft> {
    drafts.iter().rev().filter_map(|draft| Some((draft.name.as_ref()?, draft))).collect()
}

/// No more endpoints can be good than there are.
fn too_many(endpoint: &EndpointDraft, inner: &Name, hubs: &BTreeMap<&Name, &Draft>) -> Option<Diagnostic> {
    let (least, place) = endpoint.at_least.placed()?;
    let count = hubs.get(inner)?.endpoints.len();
    let message = format!("`at_least` is {least}, and hub `{inner}` has {}", many(count, "endpoint"));
    (usize::from(*least) > count)
        .then(|| Diagnostic::error(place.clone(), message).hint(format!("write at most {count}")))
}

fn inner(endpoint: &EndpointDraft) -> Option<(&Name, &Place)> {
    match endpoint.answer.as_ref()? {
        Answer::Hub(name) => Some((name, endpoint.answer_place.as_ref()?)),
        Answer::Cname(_) | Answer::Addresses(_) | Answer::Rrsets(_) => None,
    }
}

fn unknown(inner: &Name, place: &Place, hubs: &BTreeMap<&Name, &Draft>) -> Diagnostic {
    let problem = Diagnostic::error(place.clone(), format!("`{inner}` is not defined as a hub"));
    let known: Vec<String> = hubs.keys().map(|name| name.to_string()).collect();
    match closest(&inner.to_string(), known.iter().map(String::as_str)) {
        Some(close) => problem.hint(format!("did you mean \"{close}\"?")),
        None => problem.hint(format!("add `[hubs.\"{inner}\"]`, or write `cname` for a name that is no hub")),
    }
}

/// Whether a hub that `start` leads to is inside itself.
fn leads_to_a_loop(start: &Name, hubs: &BTreeMap<&Name, &Draft>) -> bool {
    let inside = |name: &Name| hubs.get(name).into_iter().flat_map(|hub| hub.endpoints.iter().filter_map(inner));
    let mut seen = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        if inside(at).any(|(next, _)| path_back(at, next, hubs).is_some()) {
            return true;
        }
        open.extend(inside(at).map(|(next, _)| next).filter(|next| seen.insert(next)));
    }
    false
}

/// The hubs from `start` to `goal`, both included, if one leads to the other.
fn path_back(goal: &Name, start: &Name, hubs: &BTreeMap<&Name, &Draft>) -> Option<Vec<Name>> {
    path(start, goal, |at| {
        let inside = hubs.get(at).into_iter().flat_map(|hub| hub.endpoints.iter().filter_map(inner));
        inside.map(|(name, _)| name.clone()).collect()
    })
}

/// The names from `start` to `goal`, both included, if the names that `next` says lead there.
pub(super) fn path(start: &Name, goal: &Name, next: impl Fn(&Name) -> Vec<Name>) -> Option<Vec<Name>> {
    let mut came_from: BTreeMap<Name, Option<Name>> = BTreeMap::from([(start.clone(), None)]);
    let mut open = vec![start.clone()];
    while let Some(at) = open.pop() {
        if at == *goal {
            let steps = std::iter::successors(Some(at), |step| came_from.get(step).cloned().flatten());
            let mut path: Vec<Name> = steps.collect();
            path.reverse();
            return Some(path);
        }
        for name in next(&at) {
            if !came_from.contains_key(&name) {
                came_from.insert(name.clone(), Some(at.clone()));
                open.push(name);
            }
        }
    }
    None
}

/// How many hubs are inside one another from `name` on, itself included; no more than `most` are gone through, so that
/// a loop, which is reported at its own place, ends.
fn depth(name: &Name, hubs: &BTreeMap<&Name, &Draft>, most: usize) -> usize {
    if most == 0 {
        return 0;
    }
    let inside = hubs.get(name).into_iter().flat_map(|hub| hub.endpoints.iter().filter_map(inner));
    1 + inside.map(|(inner, _)| depth(inner, hubs, most - 1)).max().unwrap_or(0)
}
