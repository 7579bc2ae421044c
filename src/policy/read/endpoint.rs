//! One of a hub's `endpoints`: a region, what is answered for it, and what its probe dials.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::{Answer, Endpoint, Probe, ProbeName, ProbeTarget, RegionName, Rrset, Selection, Target};
use super::definitions::Definitions;
use super::records;
use crate::diagnostic::{Diagnostic, Place};
use crate::dns::{Name, Rtype};
use crate::document::{Setting, Value, one_of};

const ANSWERS: [&str; 4] = ["cname", "addresses", "records", "hub"];
const MOST_ADDRESSES: usize = 256;

/// An endpoint as far as it could be read.
pub(super) struct EndpointDraft {
    pub(super) region: Option<RegionName>,
    /// Where the region is written, else the endpoint.
    pub(super) region_place: Place,
    pub(super) answer: Option<Answer>,
    pub(super) answer_place: Option<Place>,
    pub(super) weight: Setting<u16>,
    /// How many endpoints of the hub inside have to be good.
    pub(super) at_least: Setting<u8>,
    /// The definition of the probe that decides, if there is a good one.
    pub(super) definition: Option<Arc<Probe>>,
    /// What is probed; `None` when something about it is wrong.
    probed: Option<Probed>,
}

/// What an endpoint's probes are pointed at.
#[derive(Clone, Default)]
struct Probed {
    /// To decide.
    probe: Option<ProbeTarget>,
    /// To be shown.
    shadow: Option<ProbeTarget>,
}

/// A probe that an endpoint names, and its definition if that is without mistakes.
type Named = (ProbeName, Option<Arc<Probe>>);

impl EndpointDraft {
    /// The endpoint, if nothing in it is wrong.
    pub(super) fn finish(&self) -> Option<Endpoint> {
        let Probed { probe, shadow } = self.probed.clone()?;
        let (weight, at_least) = (self.weight.clone().or(1)?, self.at_least.clone().or(1)?);
        Some(Endpoint { probe, shadow, weight, at_least, ..Endpoint::new(self.region.clone()?, self.answer.clone()?) })
    }

    /// Whether surely nothing is probed to decide.
    pub(super) fn lacks_probe(&self) -> bool {
        self.probed.as_ref().is_some_and(|probed| probed.probe.is_none())
    }

    /// What is probed to decide.
    pub(super) fn probe(&self) -> Option<&ProbeTarget> {
        self.probed.as_ref()?.probe.as_ref()
    }
}

pub(super) fn read(
    value: &Value<'_>,
    hub: Option<&Name>,
    definitions: &mut Definitions<'_>,
    problems: &mut Vec<Diagnostic>,
) -> EndpointDraft {
    let mut draft = EndpointDraft {
        region: None,
        region_place: value.place(),
        answer: None,
        answer_place: None,
        weight: Setting::absent(),
        at_least: Setting::absent(),
        definition: None,
        probed: None,
    };
    let example = "a table: `{ region = \"NAME\", cname = \"TARGET.\", probe = \"NAME\" }`";
    let Some(mut table) = value.table("the endpoint", example, problems) else { return draft };
    let region = table.setting("region", problems, |value, problems| definitions.region(value, problems));
    if !region.is_written() {
        table.missing("region", "add `region = \"NAME\"`", problems);
    }
    let cname = table.setting("cname", problems, |value, problems| value.name(problems).map(Answer::Cname));
    let addresses =
        table.setting("addresses", problems, |value, problems| read_addresses(value, problems).map(Answer::Addresses));
    let rrsets =
        table.setting("records", problems, |value, problems| records::read(value, problems).map(Answer::Rrsets));
    let hub_inside = table.setting("hub", problems, |value, problems| value.name(problems).map(Answer::Hub));
    draft.at_least = table.setting("at_least", problems, |value, problems| {
        value.integer(1..=Selection::MOST_USABLE as i64, problems).and_then(|least| u8::try_from(least).ok())
    });
    draft.weight = table.setting("weight", problems, |value, problems| {
        value.integer(0..=i64::from(u16::MAX), problems).and_then(|weight| u16::try_from(weight).ok())
    });
    let is_hub = hub_inside.is_written();
    if let (false, Some(place)) = (is_hub, draft.at_least.place()) {
        let problem =
            Diagnostic::error(place, "`at_least` has no effect without `hub`: it is about the endpoints of a hub");
        problems.push(problem.hint("remove it, or write `hub`"));
    }
    let probe = table.setting("probe", problems, |value, problems| definitions.probe(value, problems));
    let shadow = table.setting("shadow", problems, |value, problems| definitions.probe(value, problems));
    let target = table.setting("target", problems, |value, problems| read_target(value, hub, problems));

    let written: Vec<_> = ANSWERS
        .into_iter()
        .zip([cname, addresses, rrsets, hub_inside])
        .filter(|(_, answer)| answer.is_written())
        .collect();
    match written.as_slice() {
        [] => table.missing_one(&ANSWERS, "answer", &format!("add {}", one_of(ANSWERS)), problems),
        [(_, answer)] => {
            draft.answer_place = answer.place();
            draft.answer = answer.clone().good();
        }
        [(first, _), (second, answer), ..] => {
            let message = format!("the endpoint has two answers, `{first}` and `{second}`, expected exactly one");
            let place = answer.place().unwrap_or_else(|| table.place());
            problems.push(Diagnostic::error(place, message).hint("keep one of the two"));
        }
    }
    if let Some(place) = region.place() {
        draft.region_place = place;
    }
    draft.region = region.good();
    let is_shadow = |probe: &Setting<Named>| {
        probe.placed().is_some_and(|((_, definition), _)| definition.as_ref().is_some_and(|probe| probe.shadow))
    };
    let in_its_region = draft.region.as_ref().map(|region| format!(" in `{region}`")).unwrap_or_default();
    let only_shown = is_shadow(&probe);
    // A hub inside this one says itself how it is.
    if !is_hub && (only_shown || table.lacks(&["probe"])) {
        let example = definitions.example_probe(false);
        let (why, hint) = match only_shown {
            true => ("no `probe` but a shadow", format!("add `probe = \"{example}\"`, and call this one `shadow`")),
            false => ("no `probe`", format!("add `probe = \"{example}\"`")),
        };
        let message = format!("the endpoint{in_its_region} has {why}: its health stays unknown");
        problems.push(Diagnostic::warning(value.place(), message).hint(hint));
    }
    table.close(problems);
    if let Some(((name, Some(_)), place)) = shadow.placed()
        && !is_shadow(&shadow)
    {
        let problem = Diagnostic::error(place.clone(), format!("`shadow` is probe `{name}`, which is no shadow"));
        problems.push(problem.hint(format!("write `shadow = true` in `[probes.{name}]`, or name another probe")));
    }
    if let (true, Some(place), Some(first)) = (only_shown, shadow.place(), probe.place()) {
        let problem = Diagnostic::error(place, format!("the endpoint{in_its_region} has two shadows, expected one"));
        problems.push(problem.related(first, "the first, called `probe`").hint("remove one of the two"));
    }
    if !only_shown {
        draft.definition = probe.placed().and_then(|((_, definition), _)| definition.clone());
    }
    let (probe, shadow) = if only_shown { (shadow, probe) } else { (probe, shadow) };
    draft.probed = aim(&draft, value, probe, shadow, target, problems);
    draft
}

/// What the endpoint's probes dial: `target`, else what is answered.
fn aim(
    draft: &EndpointDraft,
    endpoint: &Value<'_>,
    probe: Setting<Named>,
    shadow: Setting<Named>,
    target: Setting<Target>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Probed> {
    if !probe.is_written() && !shadow.is_written() {
        if let Some(place) = target.place() {
            let problem = Diagnostic::warning(place, "`target` has no effect without `probe`");
            problems.push(problem.hint("add `probe`, or remove `target`"));
        }
        target.optional()?;
        return Some(Probed::default());
    }
    let (probe, shadow) = (probe.optional()?, shadow.optional()?);
    let target = match (target.optional()?, draft.answer.as_ref()?) {
        (Some(target), _) => target,
        (None, Answer::Cname(target)) => Target::Host(target.clone()),
        (None, Answer::Addresses(addresses)) => Target::Addresses(addresses.clone()),
        (None, answer @ (Answer::Rrsets(_) | Answer::Hub(_))) => {
            let addresses = addresses_among(&answer.rrsets());
            if addresses.is_empty() {
                let place = draft.answer_place.clone().unwrap_or_else(|| endpoint.place());
                let key = if let Answer::Hub(_) = answer { "hub" } else { "records" };
                let message = format!("`{key}` has no address for the probe, expected `target` beside it");
                let problem = Diagnostic::error(place, message);
                problems.push(problem.hint("add `target = \"HOST.\"`, the host that the probe dials"));
                return None;
            }
            Target::Addresses(addresses)
        }
    };
    let pointed = |named: Option<Named>| named.map(|(probe, _)| ProbeTarget { probe, target: target.clone() });
    Some(Probed { probe: pointed(probe), shadow: pointed(shadow) })
}

fn addresses_among(rrsets: &[Rrset]) -> Vec<IpAddr> {
    let address = |rtype, rdata: &[u8]| match rtype {
        Rtype::A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        Rtype::AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
        _ => None,
    };
    rrsets.iter().flat_map(|rrset| rrset.rdatas.iter().filter_map(move |rdata| address(rrset.rtype, rdata))).collect()
}

/// At least one address, none twice.
fn read_addresses(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Vec<IpAddr>> {
    const EXAMPLE: &str = "such as `[\"192.0.2.1\", \"2001:db8::1\"]`";
    let entries = value.list("a list of IP addresses", EXAMPLE, MOST_ADDRESSES, problems)?;
    if entries.is_empty() {
        let problem = value.error(format!("{} is empty, expected at least one IP address", value.what()));
        problems.push(problem.hint(format!("write {EXAMPLE}")));
        return None;
    }
    let mut seen: BTreeMap<IpAddr, Place> = BTreeMap::new();
    let mut addresses = Vec::new();
    let mut complete = true;
    for entry in entries {
        match entry.address(problems) {
            None => complete = false,
            Some(address) => match seen.insert(address, entry.place()) {
                Some(first) => {
                    let problem = entry.error(format!("the address {address} is written twice"));
                    problems.push(problem.related(first, "first here").hint("remove one of the two"));
                    complete = false;
                }
                None => addresses.push(address),
            },
        }
    }
    complete.then_some(addresses)
}

/// A host name, an address, or a list of addresses.
pub(super) fn read_target(value: &Value<'_>, hub: Option<&Name>, problems: &mut Vec<Diagnostic>) -> Option<Target> {
    if value.is_list() {
        return read_addresses(value, problems).map(Target::Addresses);
    }
    let expected = "a host name, an IP address or a list of them";
    let text = value.text(expected, "such as \"probe.example.net.\" or \"192.0.2.1\"", problems)?;
    let looks_like_address = text.contains(':') || text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    if looks_like_address {
        return value.address(problems).map(|address| Target::Addresses(vec![address]));
    }
    let host = value.name(problems)?;
    if Some(&host) == hub {
        let message = "`target` is the hub itself, whose answer follows the active region, not this one";
        problems.push(value.error(message).hint("write a host of this region"));
        return None;
    }
    Some(Target::Host(host))
}
