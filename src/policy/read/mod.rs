//! TOML texts to [`Policy`].
//!
//! All files merge into one policy, in two passes: the regions and probes of every file first, then the hubs of every
//! file, so that the order of files and tables does not matter. What is wrong in one place hides nothing elsewhere: a
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
//! | key | what it says |
//! | --- | --- |
//! | `regions.NAME.location` | latitude and longitude in degrees; optional |
//! | `probes.NAME.tcp` | kind: a connection to `port` |
//! | `probes.NAME.http`, `https` | kind: a request, judged by [`HttpProbe`]'s keys `port`, `path`, `host`, `status`, `body`, `ca`; `http` has `tls` too |
//! | `probes.NAME.interval`, `timeout`, `confirm`, `fall`, `rise` | the fields of [`Probe`]; a `timeout` or `confirm` that is not written is never longer than `interval` |
//! | `hubs."NAME.".policy` | how a region is preferred: `"priority"`, the order of `endpoints`; default |
//! | `hubs."NAME.".ttl`, `dwell` | the fields of [`Hub`] |
//! | `hubs."NAME.".rto` | recovery time objective, 5 s to 7 d; optional. A longer `ttl` is an error; detection and `ttl` together longer than it, a warning |
//! | `hubs."NAME.".failback` | `"manual"`, the default, or `{ after = "15m" }`, 1 s to 30 d |
//! | `hubs."NAME.".when_all_down` | `"keep"`, the default; `"all"`, which needs `addresses` in every endpoint; `{ region = "NAME" }`, one of the hub's |
//! | `endpoints[].region` | the endpoint's region, each once in a hub |
//! | `endpoints[].cname`, `addresses`, `records` | what is answered, one of the three: a target; IP addresses; records as `"MX 10 mail.example.net."`, without class and TTL. Endpoints of one hub may differ in it; one `cname` is enough for the hub to stand alone at its name |
//! | `endpoints[].probe` | the probe; without one the health stays unknown, which is a warning |
//! | `endpoints[].target` | what the probe dials: a host name, an address or a list of addresses. Default: the CNAME target or the addresses that are answered; needed for `records` without A and AAAA |
//!
//! Defaults and ranges that are not said here stand at the fields of [`Probe`], [`HttpProbe`] and [`Hub`]. Names of hubs,
//! targets and in records are absolute, with the final dot: a policy file belongs to no zone and so has no origin.
//!
//! [`Probe`]: super::Probe
//! [`HttpProbe`]: super::HttpProbe
//! [`Hub`]: super::Hub

mod definitions;
mod endpoint;
mod hub;
mod placement;
mod probe;
mod records;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Policy;
use crate::diagnostic::{Diagnostic, Source, has_errors};
use crate::dns::Name;
use crate::document::{Document, Entry};
use crate::zone::Zone;

use definitions::Definitions;
use hub::Draft;
use placement::Zones;

/// Reads and merges policy files for these zones.
///
/// With an error among the problems there is no policy; with warnings only there is. The problems come in the order of
/// `sources`, then of lines. Whether the files that `ca` names exist is for the caller to see: this is pure.
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
    }
    let drafts: Vec<Draft> = files
        .iter()
        .flat_map(|file| &file.hubs)
        .map(|entry| hub::read(entry, &mut definitions, &mut problems))
        .collect();
    let hubs = merge(&drafts, &mut problems);
    placement::check(&drafts, &Zones::new(zones, refused), &mut problems);
    definitions.report_unused(&mut problems);
    documents.iter().for_each(|document| document.settle(&mut problems));
    let order = |problem: &Diagnostic| {
        let place = problem.place.as_ref()?;
        Some((sources.iter().position(|source| source.path == place.path), place.line, place.column))
    };
    problems.sort_by_key(order);
    let (regions, probes) = definitions.finish();
    let policy = (!has_errors(&problems)).then_some(Policy { regions, probes, hubs, ..Policy::default() });
    (policy, problems)
}

/// The names of the hubs that policy files define, as far as they can be read; their mistakes are not reported here.
pub fn hub_names(sources: &[Source]) -> BTreeSet<Name> {
    let documents = sources.iter().map(Document::parse).collect::<Vec<_>>();
    let files = documents.iter().map(|document| File::open(document, &mut Vec::new()));
    files.flat_map(|file| file.hubs).filter_map(|entry| Name::parse(entry.key, None).ok()).collect()
}

/// The tables of one file.
struct File<'d> {
    regions: Vec<Entry<'d>>,
    probes: Vec<Entry<'d>>,
    hubs: Vec<Entry<'d>>,
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
        let hubs = named("hubs", "a table for each hub: `[hubs.\"NAME.\"]`");
        root.close(problems);
        Self { regions, probes, hubs }
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
