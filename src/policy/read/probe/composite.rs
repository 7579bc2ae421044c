//! `composite = { all = ["broker", "api"] }`: what it says by itself, and what it refers to.
//!
//! The members are looked up when the probes of all files are known ([`resolve`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::super::{CompositeProbe, Needs, Probe, ProbeKind, ProbeName};
use super::super::definitions::{Definition, Named};
use crate::diagnostic::{Diagnostic, Place, closest};
use crate::document::{Document, Entry, Setting, Table, Value, escaped, quoted};

/// Composites below each other, at most.
const DEEPEST: usize = 3;
/// Members of one composite, at most.
const MOST: usize = 32;

const EXAMPLE: &str = "`composite = { all = [\"broker\", \"api\"] }`";

/// The names of the members and where they stand, by the composite.
pub(in super::super) type Places = BTreeMap<String, Vec<(String, Place)>>;

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`composite`", EXAMPLE, problems)?;
    let all = table.setting("all", problems, read_members);
    let any = table.setting("any", problems, read_members);
    let at_least = table.setting("at_least", problems, |value, problems| value.integer(1..=MOST as i64, problems));
    let of = table.setting("of", problems, read_members);
    let composite = put_together(&mut table, all, any, at_least, of, problems);
    table.close(problems);
    composite.map(ProbeKind::Composite)
}

/// Exactly one of `all`, `any`, and `at_least` with `of`.
fn put_together(
    table: &mut Table<'_>,
    all: Setting<Vec<ProbeName>>,
    any: Setting<Vec<ProbeName>>,
    at_least: Setting<i64>,
    of: Setting<Vec<ProbeName>>,
    problems: &mut Vec<Diagnostic>,
) -> Option<CompositeProbe> {
    let counted = at_least.place().or(of.place());
    let written: Vec<(&str, Place)> = [("all", all.place()), ("any", any.place()), ("at_least", counted)]
        .into_iter()
        .filter_map(|(word, place)| Some((word, place?)))
        .collect();
    match written.as_slice() {
        [] => {
            table.missing_one(&["all", "any", "at_least"], "demand", &format!("write {EXAMPLE}"), problems);
            None
        }
        [("all", _)] => Some(CompositeProbe { needs: Needs::All, of: all.good()? }),
        [("any", _)] => Some(CompositeProbe { needs: Needs::Any, of: any.good()? }),
        [_] => {
            if !at_least.is_written() {
                table.missing("at_least", "add `at_least = 2`, or write `all` or `any` instead of `of`", problems);
            }
            if !of.is_written() {
                table.missing("of", "add `of = [\"NAME\", \"NAME\"]`, the probes", problems);
            }
            let (least, place) = at_least.placed().map(|(least, place)| (*least, place.clone()))?;
            let of = of.good()?;
            if least > of.len() as i64 {
                let message = format!("`at_least` is {least}, and `of` has {}", of.len());
                problems.push(Diagnostic::error(place, message).hint("name more probes, or ask for fewer"));
                return None;
            }
            Some(CompositeProbe { needs: Needs::AtLeast(u8::try_from(least).ok()?), of })
        }
        [(first, _), (second, place), ..] => {
            let message = format!("the composite has two demands, `{first}` and `{second}`, expected exactly one");
            let problem = Diagnostic::error(place.clone(), message);
            problems.push(problem.hint("remove one, or make it a probe of its own and name that"));
            None
        }
    }
}

/// At least one name, none twice.
fn read_members(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Vec<ProbeName>> {
    const NAMES: &str = "such as `[\"broker\", \"api\"]`";
    let entries = value.list("a list of names of probes", NAMES, MOST, problems)?;
    if entries.is_empty() {
        let problem = value.error(format!("{} is empty, expected at least one probe", value.what()));
        problems.push(problem.hint(format!("write {NAMES}")));
        return None;
    }
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    let mut complete = true;
    for entry in &entries {
        match entry.text("the name of a probe", "it in quotes", problems) {
            None => complete = false,
            Some(name) => {
                if let Some(first) = seen.insert(name, entry.place()) {
                    let problem = entry.error(format!("probe {} is named twice", quoted(name)));
                    problems.push(problem.related(first, "first here").hint("remove one of the two"));
                    complete = false;
                }
            }
        }
    }
    let names = entries.iter().filter_map(|entry| entry.as_text().map(ProbeName::new)).collect();
    complete.then_some(names)
}

/// Where the members of a probe stand, if it is a composite; its mistakes are reported elsewhere.
pub(in super::super) fn members(entry: &Entry<'_>) -> Vec<(String, Place)> {
    let unreported = &mut Vec::new();
    let table = entry.value.table("", "", unreported).and_then(|mut table| table.value("composite"));
    let Some(mut composite) = table.and_then(|value| value.table("", "", unreported)) else { return Vec::new() };
    let lists = ["all", "any", "of"].into_iter().filter_map(|key| composite.value(key)).collect::<Vec<_>>();
    let entries = lists.iter().filter_map(|list| list.list("", "", MOST, unreported)).flatten();
    entries.filter_map(|entry| Some((entry.as_text()?.to_owned(), entry.place()))).collect()
}

/// Looks up the members of all composites, and gives these the pace that follows: that of their slowest member.
pub(in super::super) fn resolve(
    probes: &mut Named<Arc<Probe>>,
    places: &Places,
    documents: &[Document<'_>],
    problems: &mut Vec<Diagnostic>,
) {
    let mut sound: BTreeSet<&str> = BTreeSet::new();
    for (name, members) in places {
        let mut complete = true;
        for (member, place) in members {
            complete &= check_member(name, member, place, probes, documents, problems);
        }
        if complete {
            sound.insert(name);
        }
    }
    // From the bottom up: a composite of sound members is finished when all of them are.
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    for depth in 1..=DEEPEST {
        let depth_of = |member: &str| if places.contains_key(member) { depths.get(member).copied() } else { Some(0) };
        let ready: Vec<&str> = places
            .iter()
            .filter(|(name, _)| sound.contains(name.as_str()) && !depths.contains_key(name.as_str()))
            .filter(|(_, members)| {
                members.iter().all(|(member, _)| depth_of(member).is_some_and(|below| below < depth))
            })
            .map(|(name, _)| name.as_str())
            .collect();
        for name in ready {
            depths.insert(name, depth);
            follow(name, &places[name], probes);
        }
    }
    for (name, members) in places {
        // What is below something that is wrong is not reported as well.
        let through = |member: &String| {
            sound.contains(member.as_str()) && depths.get(member.as_str()).is_none_or(|depth| *depth == DEEPEST)
        };
        if !sound.contains(name.as_str()) || depths.contains_key(name.as_str()) {
            continue;
        }
        let Some((member, place)) = members.iter().find(|(member, _)| through(member)) else { continue };
        let looped = leads_to(member, name, places, &mut BTreeSet::new());
        let (message, hint) = match looped {
            true => (
                format!("composite {} leads back to itself through {}", quoted(name), quoted(member)),
                "remove it here, or there".to_owned(),
            ),
            false => (
                format!(
                    "composite {} is more than {DEEPEST} composites deep, through {}",
                    quoted(name),
                    quoted(member)
                ),
                "name the probes that the lowest one names".to_owned(),
            ),
        };
        problems.push(Diagnostic::error(place.clone(), message).hint(hint));
        if let Some(definition) = probes.get_mut(name) {
            definition.content = None;
        }
    }
}

/// Whether a member is a probe that a composite can follow.
fn check_member(
    composite: &str,
    member: &str,
    place: &Place,
    probes: &mut Named<Arc<Probe>>,
    documents: &[Document<'_>],
    problems: &mut Vec<Diagnostic>,
) -> bool {
    if !probes.contains_key(member) {
        if !documents.iter().any(|document| document.may_define(member)) {
            let problem = Diagnostic::error(place.clone(), format!("probe {} is not defined", quoted(member)));
            let close = closest(member, probes.keys().map(String::as_str));
            problems.push(match close {
                Some(close) => problem.hint(format!("did you mean \"{close}\"?")),
                None => problem.hint(format!("add `[probes.{}]`", escaped(member))),
            });
        }
        return false;
    }
    let shadow = |name: &str| probes.get(name).and_then(content).map(|probe| probe.shadow);
    let refused = matches!((shadow(composite), shadow(member)), (Some(false), Some(true)));
    if refused {
        let message =
            format!("probe {} is a shadow, which decides nothing, also not by way of a composite", quoted(member));
        let problem = Diagnostic::error(place.clone(), message);
        problems
            .push(problem.hint(format!("write `shadow = true` in `[probes.{composite}]` too, or name another probe")));
    }
    if let Some(definition) = probes.get_mut(member) {
        definition.used = true;
        return definition.content.is_some() && !refused;
    }
    false
}

fn content(definition: &Definition<Arc<Probe>>) -> Option<&Arc<Probe>> {
    definition.content.as_ref()
}

fn leads_to<'p>(from: &'p str, to: &str, places: &'p Places, seen: &mut BTreeSet<&'p str>) -> bool {
    let mut members = places.get(from).into_iter().flatten();
    members.any(|(member, _)| member == to || (seen.insert(member) && leads_to(member, to, places, seen)))
}

/// Gives a composite the longest times and the largest thresholds of its members.
fn follow(name: &str, members: &[(String, Place)], probes: &mut Named<Arc<Probe>>) {
    let of: Vec<Arc<Probe>> =
        members.iter().filter_map(|(member, _)| probes.get(member).and_then(content).cloned()).collect();
    let Some(composite) = probes.get_mut(name).and_then(|definition| definition.content.as_mut()) else { return };
    let composite = Arc::make_mut(composite);
    let longest = |of_one: fn(&Probe) -> std::time::Duration| of.iter().map(|probe| of_one(probe)).max();
    composite.interval = longest(|probe| probe.interval).unwrap_or(composite.interval);
    composite.timeout = longest(|probe| probe.timeout).unwrap_or(composite.timeout);
    composite.confirm = longest(|probe| probe.confirm).unwrap_or(composite.confirm);
    composite.fall = of.iter().map(|probe| probe.fall).max().unwrap_or(composite.fall);
    composite.rise = of.iter().map(|probe| probe.rise).max().unwrap_or(composite.rise);
}
