//! TOML texts to [`Policy`].
//!
//! All files merge into one policy, in three passes: the regions, probes and gates of every file first, then the hubs of
//! every file, then the references and rules, so that the order of files and tables does not matter. What is wrong in one place hides nothing elsewhere: a
//! definition with a mistake still counts as a definition, and checks of several keys together run on those that are
//! good by themselves.
//!
//! ```toml
//! [probes.broker]
//! tcp = { port = 8883 }
//!
//! [regions.westeurope]
//! location = [52.37, 4.89]
//!
//! [hubs."hub.example.net."]
//! endpoints = [{ region = "westeurope", cname = "hub-weu.example.org.", probe = "broker" }]
//! ```
//!
//! The keys are described in `docs/policy.md`, whose tables and examples are held against this reader by a test.
//!
//! | table | read by | becomes |
//! | --- | --- | --- |
//! | `[regions.NAME]` | `definitions` | [`Region`] |
//! | `[probes.NAME]` | `probe` | [`Probe`] |
//! | `[references.NAME]` | `reference` | [`ProbeTarget`], what this node has to reach |
//! | `[gates.NAME]` | `gate`, `call` | [`Gate`] |
//! | `[rules.NAME]` | `rule` | [`SafetyRule`] |
//! | `[geo]` | `geo` | [`GeoSettings`] |
//! | `[hubs."NAME."]` | `hub`; `endpoint` and `records`; `selection` and `iso`; `barriers` and `call` | [`Hub`] |
//!
//! `objective` holds a hub's recovery time objective against all that takes time, `placement` the hubs against the zones,
//! `nested` hubs inside hubs against one another.
//!
//! Defaults and ranges stand at the fields of these too. Names of hubs, targets and in records are absolute, with the
//! final dot: a policy file belongs to no zone and so has no origin.
//!
//! [`Region`]: super::Region
//! [`Probe`]: super::Probe
//! [`ProbeTarget`]: super::ProbeTarget
//! [`Gate`]: super::Gate
//! [`SafetyRule`]: super::SafetyRule
//! [`GeoSettings`]: super::GeoSettings
//! [`Hub`]: super::Hub

mod barriers;
mod call;
mod comparison;
mod definitions;
mod endpoint;
mod gate;
mod geo;
mod hub;
mod iso;
mod nested;
mod objective;
mod placement;
mod probe;
mod records;
mod reference;
mod rule;
mod selection;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Policy, RuleName, text_name};
use crate::diagnostic::{Diagnostic, Source, has_errors};
use crate::dns::Name;
use crate::document::{Document, Entry};
use crate::zone::Zone;

use definitions::{Definitions, Named, good};
use geo::GeoDraft;
use hub::Draft;
use placement::Zones;

/// Reads and merges policy files for these zones.
///
/// With an error among the problems there is no policy; with warnings only there is. The problems come in the order of
/// `sources`, then of lines. Whether the files exist that `ca` and `command` name is for the caller to see: this is pure.
pub fn read(sources: &[Source], zones: &[Zone]) -> (Option<Policy>, Vec<Diagnostic>) {
    read_beside_refused(sources, zones, &[])
}

/// [`read`] when some zones' own files were refused: a hub in a zone whose apex is in `refused` is checked by itself,
/// but neither reported as outside every zone nor held against records that nobody could read.
pub fn read_beside_refused(sources: &[Source], zones: &[Zone], refused: &[Name]) -> (Option<Policy>, Vec<Diagnostic>) {
    let documents: Vec<Document<'_>> = sources.iter().map(Document::parse).collect();
    let mut problems = Vec::new();
    let files: Vec<File<'_>> = documents.iter().map(|document| File::open(document, &mut problems)).collect();
    let mut definitions = Definitions::new(&documents);
    for file in &files {
        file.regions.iter().for_each(|entry| definitions.add_region(entry, &mut problems));
        file.probes.iter().for_each(|entry| definitions.add_probe(entry, &mut problems));
        file.gates.iter().for_each(|entry| definitions.add_gate(entry, &mut problems));
    }
    let drafts: Vec<Draft> = files
        .iter()
        .flat_map(|file| &file.hubs)
        .map(|entry| hub::read(entry, &mut definitions, &mut problems))
        .collect();
    let hubs = merge(&drafts, &mut problems);
    placement::check(&drafts, &Zones::new(zones, refused), &mut problems);
    nested::check(&drafts, definitions.are_broken(), &mut problems);
    let geo: Vec<&GeoDraft> = files.iter().filter_map(|file| file.geo.as_ref()).collect();
    let geo = geo::merge(&geo, &drafts, definitions.are_broken(), &mut problems);
    let references = reference::read(files.iter().flat_map(|file| &file.references), &mut definitions, &mut problems);
    reference::check(&references, &drafts, definitions.are_broken(), &mut problems);
    let known = rule::Drafts::new(&drafts);
    let mut rules = Named::new();
    for entry in files.iter().flat_map(|file| &file.rules) {
        let read = |entry: &Entry<'_>, problems: &mut Vec<Diagnostic>| {
            rule::read(entry, &known, &mut definitions, problems).map(Arc::new)
        };
        definitions::define(&mut rules, "rule", entry, &mut problems, read);
    }
    definitions.report_unused(&mut problems);
    documents.iter().for_each(|document| document.settle(&mut problems));
    let order = |problem: &Diagnostic| {
        let place = problem.place.as_ref()?;
        Some((sources.iter().position(|source| source.path == place.path), place.line, place.column))
    };
    problems.sort_by_key(order);
    let policy = (!has_errors(&problems)).then(|| Policy {
        references: references.into_values().filter_map(|reference| Some(reference.content?.0)).collect(),
        rules: good(rules, RuleName::new).collect(),
        hubs,
        geo: geo.unwrap_or_default(),
        ..definitions.finish()
    });
    (policy, problems)
}

/// The names of the hubs that policy files define, and of their texts, as far as they can be read; their mistakes are not
/// reported here.
pub fn hub_names(sources: &[Source]) -> BTreeSet<Name> {
    let documents = sources.iter().map(Document::parse).collect::<Vec<_>>();
    let mut names = BTreeSet::new();
    let unreported = &mut Vec::new();
    for entry in documents.iter().flat_map(|document| File::open(document, &mut Vec::new()).hubs) {
        let Ok(name) = Name::parse(entry.key, None) else { continue };
        let txt = entry.value.table("", "", unreported).and_then(|mut table| table.value("txt"));
        let text = text_name(&name).filter(|_| txt.and_then(|txt| txt.flag(unreported)) == Some(true));
        names.extend(text);
        names.insert(name);
    }
    names
}

/// The tables of one file.
struct File<'d> {
    regions: Vec<Entry<'d>>,
    probes: Vec<Entry<'d>>,
    references: Vec<Entry<'d>>,
    gates: Vec<Entry<'d>>,
    rules: Vec<Entry<'d>>,
    hubs: Vec<Entry<'d>>,
    geo: Option<GeoDraft>,
}

impl<'d> File<'d> {
    fn open(document: &'d Document<'d>, problems: &mut Vec<Diagnostic>) -> Self {
        let mut root = document.root();
        let mut named = |key: &'static str, example: &str| {
            let table = root.value(key).and_then(|value| value.table(format!("[{key}]"), example, problems));
            table.map(|table| table.named()).unwrap_or_default()
        };
        let regions = named("regions", "a table for each region: `[regions.NAME]`");
        let probes = named("probes", "a table for each probe: `[probes.NAME]`");
        let references = named("references", "a table for each reference: `[references.NAME]`");
        let gates = named("gates", "a table for each gate: `[gates.NAME]`");
        let rules = named("rules", "a table for each safety rule: `[rules.NAME]`");
        let hubs = named("hubs", "a table for each hub: `[hubs.\"NAME.\"]`");
        let geo = root.value("geo").and_then(|value| {
            let table = value.table("`geo`", "a table: `[geo]`", problems)?;
            Some(geo::read(table, value.place(), problems))
        });
        root.close(problems);
        Self { regions, probes, references, gates, rules, hubs, geo }
    }
}

/// The hubs by name; a name defined twice, in one file or two, names both places.
fn merge(drafts: &[Draft], problems: &mut Vec<Diagnostic>) -> BTreeMap<Name, Arc<super::Hub>> {
    let mut first: BTreeMap<&Name, &Draft> = BTreeMap::new();
    for draft in drafts {
        let Some(name) = &draft.name else { continue };
        match first.get(name) {
            Some(earlier) => problems.push(
                Diagnostic::error(draft.place.clone(), format!("hub `{name}` is defined twice"))
                    .related(earlier.place.clone(), "first defined here")
                    .hint("keep one of the two"),
            ),
            None => {
                first.insert(name, draft);
            }
        }
    }
    first.into_iter().filter_map(|(name, draft)| Some((name.clone(), draft.hub.clone()?))).collect()
}
