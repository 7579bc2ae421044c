//! Regions, probes and gates: what hubs, references and rules refer to by name.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::super::{Gate, GateName, GeoMap, Policy, Probe, ProbeName, Region, RegionName};
use super::{gate, probe};
use crate::diagnostic::{Diagnostic, Place, closest};
use crate::document::{Document, Entry, Value, escaped, quoted};

/// Definitions of one kind by name, as it is written; its form is checked apart.
pub(super) type Named<T> = BTreeMap<String, Definition<T>>;

/// The regions, probes and gates of all files.
pub(super) struct Definitions<'d> {
    documents: &'d [Document<'d>],
    regions: Named<Region>,
    probes: Named<Arc<Probe>>,
    gates: Named<Arc<Gate>>,
    /// Those of the hubs so far, each once.
    maps: HashSet<Arc<GeoMap>>,
}

/// One definition; without content when something in it is wrong, which has been reported.
pub(super) struct Definition<T> {
    pub(super) content: Option<T>,
    /// Where its name stands.
    pub(super) place: Place,
    used: bool,
}

impl<'d> Definitions<'d> {
    pub(super) fn new(documents: &'d [Document<'d>]) -> Self {
        Self { documents, regions: Named::new(), probes: Named::new(), gates: Named::new(), maps: HashSet::new() }
    }

    /// Takes `[regions.NAME]`.
    pub(super) fn add_region(&mut self, entry: &Entry<'_>, problems: &mut Vec<Diagnostic>) {
        define(&mut self.regions, "region", entry, problems, read_region);
    }

    /// Takes `[probes.NAME]`.
    pub(super) fn add_probe(&mut self, entry: &Entry<'_>, problems: &mut Vec<Diagnostic>) {
        define(&mut self.probes, "probe", entry, problems, |entry, problems| {
            probe::read(entry, problems).map(Arc::new)
        });
    }

    /// Takes `[gates.NAME]`.
    pub(super) fn add_gate(&mut self, entry: &Entry<'_>, problems: &mut Vec<Diagnostic>) {
        define(&mut self.gates, "gate", entry, problems, |entry, problems| gate::read(entry, problems).map(Arc::new));
    }

    /// The region that `value` names.
    pub(super) fn region(&mut self, value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<RegionName> {
        let text = value.text("the name of a region", "it in quotes", problems)?;
        refer(&mut self.regions, "region", text, value, self.documents, problems)?;
        Some(RegionName::new(text))
    }

    /// The probe that `value` names, and its definition if that is without mistakes.
    pub(super) fn probe(
        &mut self,
        value: &Value<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<(ProbeName, Option<Arc<Probe>>)> {
        let text = value.text("the name of a probe", "it in quotes", problems)?;
        let definition = refer(&mut self.probes, "probe", text, value, self.documents, problems)?;
        Some((ProbeName::new(text), definition.content.clone()))
    }

    /// The gate that `value` names.
    pub(super) fn gate(&mut self, value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<GateName> {
        let text = value.text("the name of a gate", "it in quotes", problems)?;
        refer(&mut self.gates, "gate", text, value, self.documents, problems)?;
        Some(GateName::new(text))
    }

    /// Where a region is defined that surely has no location.
    pub(super) fn lacks_location(&self, region: &RegionName) -> Option<Place> {
        let definition = self.regions.get(region.as_str())?;
        definition.content.as_ref().filter(|region| region.location.is_none()).map(|_| definition.place.clone())
    }

    /// The map, shared with the hubs that have an equal one.
    pub(super) fn share_map(&mut self, map: GeoMap) -> Arc<GeoMap> {
        if let Some(known) = self.maps.get(&map) {
            return known.clone();
        }
        let map = Arc::new(map);
        self.maps.insert(map.clone());
        map
    }

    /// Whether a file that could not be read to its end may define `name`.
    pub(super) fn may_define(&self, name: &str) -> bool {
        self.documents.iter().any(|document| document.may_define(name))
    }

    /// Whether a file could not be read to its end.
    pub(super) fn are_broken(&self) -> bool {
        self.documents.iter().any(Document::is_broken)
    }

    /// The name of some probe, for a hint: of one that decides where `shadow` is false.
    pub(super) fn example_probe(&self, shadow: bool) -> &str {
        let suits = |probe: &Definition<Arc<Probe>>| probe.content.as_ref().is_none_or(|probe| probe.shadow == shadow);
        self.probes.iter().find(|(_, probe)| suits(probe)).map_or("NAME", |(name, _)| name)
    }

    /// Warns of what no hub refers to, unless a file could not be read to its end.
    pub(super) fn report_unused(&self, problems: &mut Vec<Diagnostic>) {
        if self.are_broken() {
            return;
        }
        let unused =
            |place: &Place, sentence: String, hint: &str| Diagnostic::warning(place.clone(), sentence).hint(hint);
        for (name, region) in self.regions.iter().filter(|(_, region)| !region.used) {
            let sentence = format!("region {} is defined, but no hub has an endpoint in it", quoted(name));
            problems.push(unused(&region.place, sentence, "add an endpoint, or remove the region"));
        }
        for (name, probe) in self.probes.iter().filter(|(_, probe)| !probe.used) {
            let sentence = format!("probe {} is defined, but no endpoint uses it", quoted(name));
            let key = if probe.content.as_ref().is_some_and(|probe| probe.shadow) { "shadow" } else { "probe" };
            let hint = format!("name it as `{key}` of an endpoint, or remove it");
            problems.push(unused(&probe.place, sentence, &hint));
        }
        for (name, gate) in self.gates.iter().filter(|(_, gate)| !gate.used) {
            let sentence = format!("gate {} is defined, but no hub and no rule uses it", quoted(name));
            problems.push(unused(&gate.place, sentence, "name it in `gates` of a hub, or remove it"));
        }
    }

    /// A policy of the definitions without mistakes.
    pub(super) fn finish(self) -> Policy {
        Policy {
            regions: good(self.regions, RegionName::new).collect(),
            probes: good(self.probes, ProbeName::new).collect(),
            gates: good(self.gates, GateName::new).collect(),
            ..Policy::default()
        }
    }
}

/// The definitions without mistakes, by `name`.
pub(super) fn good<T, N>(definitions: Named<T>, name: fn(&str) -> N) -> impl Iterator<Item = (N, T)> {
    definitions.into_iter().filter_map(move |(key, definition)| Some((name(&key), definition.content?)))
}

fn read_region(entry: &Entry<'_>, problems: &mut Vec<Diagnostic>) -> Option<Region> {
    let example = format!("a table: `[regions.{}]`", entry.key);
    let mut table = entry.value.table(format!("region {}", quoted(entry.key)), &example, problems)?;
    let location = table.setting("location", problems, |value, problems| {
        const EXAMPLE: &str = "latitude and longitude in degrees, such as `[52.37, 4.89]`";
        let entries = value.list("latitude and longitude", EXAMPLE, 2, problems)?;
        let [latitude, longitude] = entries.as_slice() else {
            let message = match entries.len() {
                1 => "`location` has 1 entry, expected latitude and longitude",
                _ => "`location` is empty, expected latitude and longitude",
            };
            problems.push(value.error(message).hint(format!("write {EXAMPLE}")));
            return None;
        };
        let latitude = latitude.degrees("latitude", -90.0..=90.0, problems);
        let longitude = longitude.degrees("longitude", -180.0..=180.0, problems);
        latitude.zip(longitude)
    });
    table.close(problems);
    Some(Region { location: location.optional()? })
}

/// Checks that the key is 1 to 63 of `a-z`, `0-9`, `-` and `_`, starting with a letter or digit.
fn check_form(kind: &str, entry: &Entry<'_>, problems: &mut Vec<Diagnostic>) -> bool {
    let name = entry.key;
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
    let good = (1..=63).contains(&name.len())
        && name.bytes().all(|octet| plain(octet) || octet == b'-' || octet == b'_')
        && name.bytes().next().is_some_and(plain);
    if !good {
        let message = format!(
            "{} is not the name of a {kind}, expected 1 to 63 of a-z, 0-9, `-` and `_`, a letter or digit first",
            quoted(name)
        );
        let slug: String = name.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
        let hint = if !slug.is_empty() && slug.len() <= 63 && slug.bytes().all(|octet| plain(octet) || octet == b'-') {
            format!("write `{slug}`")
        } else {
            String::from("choose a short name, such as `westeurope`")
        };
        problems.push(Diagnostic::error(entry.place(), message).hint(hint));
    }
    good
}

/// Takes the definition of `entry`, which `read` reads; of two by one name the first counts, and both places are named.
pub(super) fn define<T>(
    definitions: &mut Named<T>,
    kind: &str,
    entry: &Entry<'_>,
    problems: &mut Vec<Diagnostic>,
    read: impl FnOnce(&Entry<'_>, &mut Vec<Diagnostic>) -> Option<T>,
) {
    let form = check_form(kind, entry, problems);
    let content = read(entry, problems).filter(|_| form);
    if let Some(first) = definitions.get(entry.key) {
        let problem = Diagnostic::error(entry.place(), format!("{kind} {} is defined twice", quoted(entry.key)));
        problems.push(problem.related(first.place.clone(), "first defined here").hint("keep one of the two"));
        return;
    }
    definitions.insert(entry.key.into(), Definition { content, place: entry.place(), used: false });
}

/// The definition called `text`, which is used by that.
fn refer<'a, T>(
    definitions: &'a mut Named<T>,
    kind: &str,
    text: &str,
    value: &Value<'_>,
    documents: &[Document<'_>],
    problems: &mut Vec<Diagnostic>,
) -> Option<&'a Definition<T>> {
    if !definitions.contains_key(text) {
        let close = closest(text, definitions.keys().map(String::as_str)).map(str::to_owned);
        if !documents.iter().any(|document| document.may_define(text)) {
            let problem = value.error(format!("{kind} {} is not defined", quoted(text)));
            problems.push(match &close {
                Some(close) => problem.hint(format!("did you mean \"{close}\"?")),
                None => problem.hint(format!("add `[{kind}s.{}]`", escaped(text))),
            });
        }
        // What was probably meant is not reported as unused as well.
        if let Some(meant) = close.and_then(|close| definitions.get_mut(&close)) {
            meant.used = true;
        }
        return None;
    }
    let definition = definitions.get_mut(text)?;
    definition.used = true;
    Some(definition)
}
