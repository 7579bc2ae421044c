//! `[rules.NAME]`: what is looked at over several hubs or regions before a switch.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Demand, EndpointId, RegionName, RuleName, SafetyRule};
use super::definitions::Definitions;
use super::hub::Draft;
use crate::diagnostic::{Diagnostic, Place, closest};
use crate::dns::Name;
use crate::document::{Entry, Setting, Table, Value, absolute_name, one_of, quoted};

const DEMANDS: [&str; 3] = ["at_least", "at_most", "gate"];
const MOST_ENTRIES: usize = 4096;
const OF_EXAMPLE: &str = "`of = [\"hub.example.net./westeurope\"]`";

/// The hubs of all files, to be found by what a rule says of them.
pub(super) struct Drafts<'h> {
    by_name: BTreeMap<&'h Name, &'h Draft>,
    /// The regions in which some hub has an endpoint.
    regions: BTreeSet<&'h RegionName>,
}

impl<'h> Drafts<'h> {
    pub(super) fn new(drafts: &'h [Draft]) -> Self {
        let endpoints = drafts.iter().flat_map(|draft| &draft.endpoints);
        Self {
            // The first of a name counts.
            by_name: drafts.iter().rev().filter_map(|draft| Some((draft.name.as_ref()?, draft))).collect(),
            regions: endpoints.filter_map(|endpoint| endpoint.region.as_ref()).collect(),
        }
    }
}

/// What the keys of a rule are set to.
struct Keys {
    at_least: Setting<u32>,
    at_most: Setting<u32>,
    gate: Setting<super::super::GateName>,
    of: Setting<BTreeSet<EndpointId>>,
    hubs: Setting<BTreeSet<Name>>,
    regions: Setting<BTreeSet<RegionName>>,
}

pub(super) fn read(
    entry: &Entry<'_>,
    drafts: &Drafts<'_>,
    definitions: &mut Definitions<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<SafetyRule> {
    let what = format!("rule {}", quoted(entry.key));
    let mut table = entry.value.table(&what, &format!("a table: `[rules.{}]`", entry.key), problems)?;
    let keys = Keys {
        at_least: table.setting("at_least", problems, read_count),
        at_most: table.setting("at_most", problems, read_count),
        gate: table.setting("gate", problems, |value, problems| definitions.gate(value, problems)),
        of: table.setting("of", problems, |value, problems| {
            read_set(value, "endpoints", "such as `[\"hub.example.net./westeurope\"]`", problems, |value, problems| {
                read_endpoint(value, drafts, definitions, problems)
            })
        }),
        hubs: table.setting("hubs", problems, |value, problems| {
            read_set(value, "hubs", "such as `[\"hub.example.net.\"]`", problems, |value, problems| {
                let name = value.name(problems)?;
                let written = value.as_text()?;
                let draft = find_hub(value, &name, written, drafts, definitions, problems)?;
                draft.map_or(Some(()), |draft| refuse_stateless(value, &name, draft, problems))?;
                Some(name)
            })
        }),
        regions: table.setting("regions", problems, |value, problems| {
            read_set(value, "regions", "such as `[\"westeurope\"]`", problems, |value, problems| {
                definitions.region(value, problems)
            })
        }),
    };
    let demand = read_demand(&what, entry, &table, keys, drafts, problems);
    table.close(problems);
    Some(SafetyRule { name: RuleName::new(entry.key), demand: demand?, place: entry.place() })
}

/// Exactly one demand, with the keys that belong to it.
fn read_demand(
    what: &str,
    entry: &Entry<'_>,
    table: &Table<'_>,
    keys: Keys,
    drafts: &Drafts<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Demand> {
    let Keys { at_least, at_most, gate, of, hubs, regions } = keys;
    let places = [at_least.place(), at_most.place(), gate.place()];
    let written: Vec<_> = DEMANDS.into_iter().zip(places).filter_map(|(word, place)| Some((word, place?))).collect();
    let word = match written.as_slice() {
        [] => {
            let hint = "add `at_least = 1` or `at_most = 1` with `of`, or `gate = \"NAME\"` with `hubs` or `regions`";
            table.missing_one(&DEMANDS, "demand", hint, problems);
            return None;
        }
        [(word, _)] => *word,
        [(first, _), (second, place), ..] => {
            let message = format!("{what} has two demands, `{first}` and `{second}`, expected exactly one");
            problems.push(Diagnostic::error(place.clone(), message).hint("remove one, or make it a rule of its own"));
            return None;
        }
    };
    let with_gate = word == "gate";
    let idle =
        [("of", of.place(), with_gate), ("hubs", hubs.place(), !with_gate), ("regions", regions.place(), !with_gate)];
    for (key, place, is_idle) in idle {
        if let Some(place) = place.filter(|_| is_idle) {
            let hint = if with_gate { "write `hubs` or `regions`" } else { "write `of`, a list of endpoints" };
            problems.push(Diagnostic::error(place, format!("`{key}` has no effect with `{word}`")).hint(hint));
        }
    }
    if with_gate {
        if !hubs.is_written() && !regions.is_written() {
            if table.lacks(&["hubs", "regions"]) {
                let message = format!("{what} has neither `hubs` nor `regions`, expected what the gate is for");
                let hint = "add `hubs = [\"hub.example.net.\"]` or `regions = [\"westeurope\"]`";
                problems.push(Diagnostic::error(table.place(), message).hint(hint));
            }
            return None;
        }
        check_regions(what, &regions, drafts, problems);
        let (hubs, regions) = (hubs.or(BTreeSet::new()), regions.or(BTreeSet::new()));
        return Some(Demand::Gate { gate: gate.good()?, hubs: hubs?, regions: regions? });
    }
    if !of.is_written() {
        table.missing("of", format!("add {OF_EXAMPLE}, the endpoints that are counted"), problems);
    }
    let of = of.good()?;
    let (count, place) = if word == "at_least" { at_least.placed() } else { at_most.placed() }?;
    let (count, place) = (*count, place.clone());
    let bounds = Bounds::of(&of, drafts)?;
    bounds.check(what, word, count, place, problems);
    if word == "at_least" && count == bounds.most {
        bounds.report_locked(what, entry.place(), problems);
    }
    Some(if word == "at_least" { Demand::AtLeast(count, of) } else { Demand::AtMost(count, of) })
}

/// How many endpoints of a set can be active at once: a hub has exactly one active endpoint.
struct Bounds<'o> {
    least: u32,
    most: u32,
    /// The hubs of which one endpoint is counted and another is not.
    single: Vec<&'o EndpointId>,
}

impl<'o> Bounds<'o> {
    /// `None` when a hub could not be read whole.
    fn of(of: &'o BTreeSet<EndpointId>, drafts: &Drafts<'_>) -> Option<Self> {
        let mut by_hub: BTreeMap<&Name, Vec<&EndpointId>> = BTreeMap::new();
        for endpoint in of {
            by_hub.entry(&endpoint.hub).or_default().push(endpoint);
        }
        let mut bounds = Self { least: 0, most: 0, single: Vec::new() };
        for (hub, counted) in by_hub {
            let draft = drafts.by_name.get(hub)?;
            let regions: BTreeSet<_> =
                draft.endpoints.iter().map(|endpoint| endpoint.region.as_ref()).collect::<Option<_>>()?;
            bounds.most += 1;
            if counted.len() == regions.len() {
                bounds.least += 1;
            } else if let [one] = counted.as_slice() {
                bounds.single.push(one);
            }
        }
        Some(bounds)
    }

    /// A demand that holds always or never is a mistake.
    fn check(&self, what: &str, word: &str, count: u32, place: Place, problems: &mut Vec<Diagnostic>) {
        let Self { least, most, .. } = *self;
        let (always, never) = match word {
            "at_least" => (count <= least, count > most),
            _ => (count >= most, count < least),
        };
        if !always && !never {
            return;
        }
        let how_often = if always { "always" } else { "never" };
        let can = match (least, most) {
            (least, most) if least == most => format!("exactly {most}"),
            (0, most) => format!("at most {most}"),
            (least, most) => format!("{least} to {most}"),
        };
        let message = format!(
            "{what} {how_often} holds: `{word}` is {count}, and of these endpoints {can} can be active at once, one a hub"
        );
        let (from, to) = if word == "at_least" { (least + 1, most) } else { (least, most.saturating_sub(1)) };
        let hint = match from {
            _ if least == most => {
                String::from("list endpoints of other hubs, or not all of a hub's, or remove the rule")
            }
            from if from == to => format!("write {from}"),
            from => format!("write {from} to {to}"),
        };
        problems.push(Diagnostic::error(place, message).hint(hint));
    }

    /// With as many demanded as there can be, a hub of which one endpoint is counted cannot leave it.
    fn report_locked(&self, what: &str, place: Place, problems: &mut Vec<Diagnostic>) {
        let [first, rest @ ..] = self.single.as_slice() else { return };
        let more = match rest.len() {
            0 => String::new(),
            1 => String::from(" (1 more hub is held likewise)"),
            more => format!(" ({more} more hubs are held likewise)"),
        };
        let message =
            format!("{what} lets hub `{}` never leave `{}` without `--break-glass`{more}", first.hub, first.region);
        problems.push(Diagnostic::warning(place, message).hint("write a smaller `at_least`, or count more endpoints"));
    }
}

/// A region in which no hub has an endpoint is guarded for nothing.
fn check_regions(
    what: &str,
    regions: &Setting<BTreeSet<RegionName>>,
    drafts: &Drafts<'_>,
    problems: &mut Vec<Diagnostic>,
) {
    let Some((regions, place)) = regions.placed() else { return };
    for region in regions.iter().filter(|region| !drafts.regions.contains(region)) {
        let message = format!("{what} is for region `{region}`, in which no hub has an endpoint");
        problems.push(Diagnostic::warning(place.clone(), message).hint("remove it, or add an endpoint"));
    }
}

fn read_count(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<u32> {
    value.integer(0..=4096, problems).and_then(|count| u32::try_from(count).ok())
}

/// At least one entry, none twice.
fn read_set<T: Ord + Clone>(
    value: &Value<'_>,
    what: &str,
    example: &str,
    problems: &mut Vec<Diagnostic>,
    mut read: impl FnMut(&Value<'_>, &mut Vec<Diagnostic>) -> Option<T>,
) -> Option<BTreeSet<T>> {
    let entries = value.list(&format!("a list of {what}"), example, MOST_ENTRIES, problems)?;
    if entries.is_empty() {
        let problem = value.error(format!("{} is empty, expected at least one entry", value.what()));
        problems.push(problem.hint(format!("write {example}")));
        return None;
    }
    let mut seen: BTreeMap<T, Place> = BTreeMap::new();
    let mut complete = true;
    for entry in entries {
        let Some(read) = read(&entry, problems) else {
            complete = false;
            continue;
        };
        if let Some(first) = seen.get(&read) {
            let written = entry.as_text().unwrap_or_default();
            let problem = entry.error(format!("{} is written twice in {}", quoted(written), value.what()));
            problems.push(problem.related(first.clone(), "first here").hint("remove one of the two"));
            complete = false;
        } else {
            seen.insert(read, entry.place());
        }
    }
    complete.then(|| seen.into_keys().collect())
}

/// `HUB/REGION`: an endpoint that there is.
fn read_endpoint(
    value: &Value<'_>,
    drafts: &Drafts<'_>,
    definitions: &Definitions<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<EndpointId> {
    const EXPECTED: &str = "an endpoint as HUB/REGION";
    const EXAMPLE: &str = "such as \"hub.example.net./westeurope\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    // A label may hold a `/` (RFC 2317), a region's name does not.
    let Some((written, region)) = text.rsplit_once('/') else {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
        return None;
    };
    let hub = match absolute_name("hub", written) {
        Ok(hub) => hub,
        Err((message, _))
            if !written.is_empty() && !written.ends_with('.') && Name::parse(written, Some(&Name::root())).is_ok() =>
        {
            problems.push(value.error(message).hint(format!("write \"{written}./{region}\"")));
            return None;
        }
        Err(_) => {
            problems.push(value.mismatch(EXPECTED, EXAMPLE));
            return None;
        }
    };
    let draft = find_hub(value, &hub, written, drafts, definitions, problems)??;
    refuse_stateless(value, &hub, draft, problems)?;
    let regions: Vec<&str> =
        draft.endpoints.iter().filter_map(|endpoint| endpoint.region.as_ref()).map(RegionName::as_str).collect();
    if !regions.contains(&region) {
        // An endpoint that could not be read may well be this one.
        if !regions.is_empty() && regions.len() == draft.endpoints.len() {
            let problem = value.error(format!("hub `{hub}` has no endpoint in {}", quoted(region)));
            let hint = match closest(region, regions.iter().copied()) {
                Some(close) => format!("did you mean \"{written}/{close}\"?"),
                None => {
                    let endpoints: Vec<String> = regions.iter().map(|region| format!("{written}/{region}")).collect();
                    format!("write {}", one_of(endpoints.iter().map(String::as_str)))
                }
            };
            problems.push(problem.hint(hint));
        }
        return None;
    }
    Some(EndpointId { hub, region: RegionName::new(region) })
}

/// A hub that has no active region never moves.
fn refuse_stateless(value: &Value<'_>, name: &Name, draft: &Draft, problems: &mut Vec<Diagnostic>) -> Option<()> {
    if draft.stateless {
        let message = format!("hub `{name}` has no active region, and never switches");
        let hint = "name a hub with policy \"priority\"";
        problems.push(value.error(message).related(draft.place.clone(), "this hub").hint(hint));
        return None;
    }
    Some(())
}

/// The hub by that name, `Some(None)` when a file that could not be read may define it.
fn find_hub<'h>(
    value: &Value<'_>,
    name: &Name,
    written: &str,
    drafts: &Drafts<'h>,
    definitions: &Definitions<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Option<&'h Draft>> {
    if let Some(draft) = drafts.by_name.get(name) {
        return Some(Some(draft));
    }
    if definitions.may_define(written) {
        return Some(None);
    }
    let problem = value.error(format!("hub `{name}` is not defined"));
    let names: Vec<String> = drafts.by_name.keys().map(ToString::to_string).collect();
    problems.push(match closest(&name.to_string(), names.iter().map(String::as_str)) {
        Some(close) => problem.hint(format!("did you mean `{close}`?")),
        None => problem.hint(format!("add `[hubs.\"{name}\"]`")),
    });
    None
}
