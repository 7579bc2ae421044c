//! `[references.NAME]`: what this node has to reach, or it is blind.

use std::sync::Arc;

use super::super::{Probe, ProbeKind, ProbeTarget, Target};
use super::definitions::{self, Definitions, Named};
use super::endpoint::{EndpointDraft, read_target};
use super::hub::Draft;
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Entry, quoted, show_duration};

/// A reference, the definition of its probe if that is without mistakes, and where its target stands.
pub(super) type Reference = (ProbeTarget, Option<Arc<Probe>>, Place);

/// Reads the references of all files.
pub(super) fn read<'e, 'd: 'e>(
    entries: impl Iterator<Item = &'e Entry<'d>>,
    definitions: &mut Definitions<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Named<Reference> {
    let mut references = Named::new();
    for entry in entries {
        definitions::define(&mut references, "reference", entry, problems, |entry, problems| {
            read_one(entry, definitions, problems)
        });
    }
    references
}

fn read_one(entry: &Entry<'_>, definitions: &mut Definitions<'_>, problems: &mut Vec<Diagnostic>) -> Option<Reference> {
    let what = format!("reference {}", quoted(entry.key));
    let mut table = entry.value.table(&what, &format!("a table: `[references.{}]`", entry.key), problems)?;
    let probe = table.setting("probe", problems, |value, problems| {
        let (name, definition) = definitions.probe(value, problems)?;
        if definition.as_ref().is_some_and(|probe| probe.shadow) {
            let sentence =
                format!("`probe` is the shadow `{name}`, which decides nothing, also not what this node sees");
            let hint = format!("name another probe, such as \"{}\"", definitions.example_probe(false));
            problems.push(value.error(sentence).hint(hint));
            return None;
        }
        if definition.as_ref().is_some_and(|probe| matches!(probe.kind, ProbeKind::Push(_))) {
            let sentence =
                format!("`probe` is `{name}`, which is told by others: that this node reaches them it does not show");
            problems.push(value.error(sentence).hint("name a probe that looks, such as one of kind `tcp`"));
            return None;
        }
        Some((name, definition))
    });
    let target = table.setting("target", problems, |value, problems| read_target(value, None, problems));
    if !probe.is_written() {
        table.missing("probe", format!("add `probe = \"{}\"`", definitions.example_probe(false)), problems);
    }
    if !target.is_written() {
        table.missing("target", "add `target = \"192.0.2.53\"`, what the probe dials", problems);
    }
    table.close(problems);
    let place = target.place()?;
    let (probe, definition) = probe.good()?;
    Some((ProbeTarget { probe, target: target.good()? }, definition, place))
}

/// References against each other and against what the hubs have probed.
pub(super) fn check(references: &Named<Reference>, drafts: &[Draft], are_broken: bool, problems: &mut Vec<Diagnostic>) {
    let good =
        || references.iter().filter_map(|(name, reference)| Some((name, reference, reference.content.as_ref()?)));
    for (at, (name, definition, (reference, _, place))) in good().enumerate() {
        if let Some((first, earlier, _)) = good().take(at).find(|(_, _, (earlier, _, _))| earlier == reference) {
            let message = format!("reference {} is the same as {}", quoted(name), quoted(first));
            let problem = Diagnostic::warning(definition.place.clone(), message);
            problems.push(problem.related(earlier.place.clone(), "the other one").hint("remove one of the two"));
        }
        check_target(name, reference, place, drafts, problems);
    }
    let endpoints = || drafts.iter().flat_map(|draft| &draft.endpoints);
    let whole = !are_broken && drafts.iter().all(|draft| !draft.endpoints.is_empty());
    if whole && endpoints().all(EndpointDraft::lacks_probe) {
        for (name, definition, _) in good() {
            let message = format!("reference {} is defined, but no endpoint is probed", quoted(name));
            let problem = Diagnostic::warning(definition.place.clone(), message);
            problems.push(problem.hint("add `probe` to the endpoints, or remove the reference"));
        }
        return;
    }
    check_pace(references, endpoints(), problems);
}

/// A reference must not fail together with what it is a reference for, nor follow the active region.
fn check_target(name: &str, reference: &ProbeTarget, place: &Place, drafts: &[Draft], problems: &mut Vec<Diagnostic>) {
    if let Target::Host(host) = &reference.target
        && drafts.iter().any(|draft| draft.name.as_ref() == Some(host))
    {
        let message =
            format!("`target` of reference {} is a hub, whose answer follows the active region", quoted(name));
        let problem = Diagnostic::error(place.clone(), message);
        problems.push(problem.hint("write a host that is none of the fleet's, such as a resolver"));
        return;
    }
    let same =
        |endpoint: &&EndpointDraft| endpoint.probe().is_some_and(|probed| shares(&probed.target, &reference.target));
    if let Some(endpoint) = drafts.iter().flat_map(|draft| &draft.endpoints).find(same) {
        let region = endpoint.region.as_ref().map(|region| format!(" in `{region}`")).unwrap_or_default();
        let message = format!(
            "`target` of reference {} is an endpoint{region}: when that fails this node may take itself for blind",
            quoted(name)
        );
        let problem =
            Diagnostic::warning(place.clone(), message).related(endpoint.region_place.clone(), "the endpoint");
        problems.push(problem.hint("write a host that is none of the fleet's, such as a resolver"));
    }
}

fn shares(one: &Target, other: &Target) -> bool {
    match (one, other) {
        (Target::Host(one), Target::Host(other)) => one == other,
        (Target::Addresses(one), Target::Addresses(other)) => one.iter().any(|address| other.contains(address)),
        (Target::Host(_), Target::Addresses(_)) | (Target::Addresses(_), Target::Host(_)) => false,
    }
}

/// No switch on health before a reference was seen good after the failure began: one that is looked at more rarely
/// than a region is found down holds every switch up.
fn check_pace<'e>(
    references: &Named<Reference>,
    endpoints: impl Iterator<Item = &'e EndpointDraft>,
    problems: &mut Vec<Diagnostic>,
) {
    let look = |probe: &Probe| probe.interval.mul_f64(1.1) + probe.timeout;
    let found = |probe: &Probe| probe.confirm * (u32::from(probe.fall.get()) - 1);
    // Any one that is seen is enough, so that the quickest counts, and of those the first.
    let quickest = references
        .iter()
        .filter_map(|(name, definition)| {
            let (_, probe, _) = definition.content.as_ref()?;
            Some((name, &definition.place, probe.as_ref()?))
        })
        .min_by_key(|(_, _, probe)| look(probe));
    let fastest = endpoints.filter_map(|endpoint| endpoint.definition.as_ref()).min_by_key(|probe| found(probe));
    let (Some((name, place, reference)), Some(endpoint)) = (quickest, fastest) else { return };
    if look(reference) <= found(endpoint) {
        return;
    }
    let looked_at = format!(
        "reference {} is looked at within {} (interval + 10 % {} + timeout {})",
        quoted(name),
        show_duration(look(reference)),
        show_duration(reference.interval.mul_f64(1.1)),
        show_duration(reference.timeout),
    );
    let found = match endpoint.fall.get() - 1 {
        // One verdict is enough, of an agent or of an observation.
        0 => format!("by probe `{}` a region is down at once", endpoint.name),
        more => format!(
            "probe `{}` may find a region down within {} ({more} * confirm {})",
            endpoint.name,
            show_duration(found(endpoint)),
            show_duration(endpoint.confirm)
        ),
    };
    let message = format!("{looked_at}, but {found}: a switch then waits for the reference");
    let problem = Diagnostic::warning(place.clone(), message);
    problems.push(problem.hint("give it a probe of its own with a shorter `interval` and `timeout`"));
}
