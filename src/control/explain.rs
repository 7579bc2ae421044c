//! Why a name is answered as it is: the walk of the answer engine, told in sentences.

use super::report::Explanation;
use super::state::State;
use std::net::{IpAddr, Ipv4Addr};

use crate::answer::client::Origin;
use crate::answer::lookup::{Answered, End, Matched, Resolution, Step, StepResult};
use crate::answer::select::{Level, Why};
use crate::answer::snapshot::{Content, Snapshot, What};
use crate::dns::{Name, Rtype};
use crate::policy::{Answer, Hub, text_name};
use crate::time::Timestamp;
use crate::zone::display_rdata;

impl State {
    /// Explains the answer to a query for `name` and `rtype`. Without a type, a hub is asked for what it answers, what
    /// tells of a hub for TXT, and every other name for A.
    pub(super) fn explain(
        &self,
        name: &Name,
        rtype: Option<Rtype>,
        from: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Explanation, String> {
        let client = from.unwrap_or(Ipv4Addr::LOCALHOST.into());
        let snapshot = Snapshot::new(0, self.content.clone(), self.choices().into())
            .map_err(|refused| refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let told = name.parent().and_then(|hub| self.policy.hubs.get(&hub)).filter(|hub| hub.txt);
        let told = told.filter(|hub| text_name(&hub.name).as_ref() == Some(name)).map(|_| Rtype::TXT);
        let rtype = rtype.or(told);
        let rtype = rtype.unwrap_or_else(|| self.policy.hubs.get(name).map_or(Rtype::A, |hub| first_type(hub)));
        let resolution = Content::lookup(&snapshot, name, rtype, Origin::of(client, 0));
        let mut hubs = Vec::new();
        let whose = from.map(|from| format!(" from {from}")).unwrap_or_default();
        let mut steps = vec![format!("a query for {name} {rtype}{whose}")];
        for step in &resolution.steps {
            self.tell(step, client, &mut steps);
            let about = step.text.and_then(|hub| self.content.hubs().nth(hub));
            if let Some(hub) = about.or(step.hub.as_ref().map(|_| &step.name))
                && let Some(position) = self.layout.position(hub)
            {
                hubs.push(self.hub_status(position, &self.layout.hubs[position], now));
            }
        }
        steps.extend(end(&resolution));
        Ok(Explanation {
            name: name.clone(),
            rcode: resolution.rcode.to_string(),
            steps,
            answer: resolution.steps.iter().flat_map(records).collect(),
            hubs,
        })
    }

    fn tell(&self, step: &Step, client: IpAddr, steps: &mut Vec<String>) {
        let Step { name, zone, matched, hub, result, .. } = step;
        steps.push(match matched {
            Matched::Exact => format!("{name} exists in the zone {zone}"),
            Matched::Wildcard(wildcard) => {
                format!("{name} does not exist in the zone {zone}; {wildcard} stands for it (RFC 4592)")
            }
            Matched::Cut(cut) => format!("{name} is at or below {cut}, which the zone {zone} delegates"),
            Matched::Dname(owner) => format!("{name} is below the DNAME at {owner} in the zone {zone} (RFC 6672)"),
            Matched::Missing(encloser) => {
                format!("{name} does not exist in the zone {zone}; {encloser} is what exists above it")
            }
        });
        if let Some((position, choice)) = hub {
            let at = self.content.hubs().nth(*position).and_then(|name| self.policy.hubs.get(name));
            let standing = self.standing(name);
            let region = match (choice.what, at) {
                (What::All, _) => "all its endpoints, for none is eligible".into(),
                (What::Endpoint(at), Some(hub)) => hub.endpoints[usize::from(at)].region.to_string(),
                (What::Endpoint(at), None) => format!("endpoint {at}"),
                (What::Among(_), _) => "one of its usable endpoints".into(),
            };
            let why = standing.map(|s| format!(", epoch {} since {}; the reason then: {}", s.epoch, s.since, s.reason));
            let why = why.unwrap_or_default();
            if step.levels.is_empty() {
                steps.push(format!("it is a hub and answers {region}{why}"));
            }
            steps.extend(step.levels.iter().filter_map(|level| self.tell_level(level, client)));
            steps.extend(at.filter(|hub| choice.low_ttl && hub.ttl_min < hub.ttl).map(|hub| {
                let (low, full) = (crate::time::human(hub.ttl_min), crate::time::human(hub.ttl));
                format!("its TTL is lowered to {low} (ttl_min), instead of {full}")
            }));
            steps.extend(at.filter(|hub| hub.ttl_spread > 0).map(|hub| {
                let spread = hub.ttl_spread;
                format!(
                    "each resolver is given a TTL of its own, lower by up to {spread} % (ttl_spread) and at least 5 s"
                )
            }));
        }
        if let Some(hub) = step.text.and_then(|hub| self.content.hubs().nth(hub)) {
            steps.push(format!("it tells of the hub {hub} (txt = true), from the same snapshot that answers it"));
        }
        steps.push(match result {
            StepResult::Answer(answered) => format!("its {} RRset is the answer", answered.rtype),
            StepResult::Cname { target, .. } => format!("it is an alias: the search goes on at {target}"),
            StepResult::Dname { target, next: Some(next), .. } => {
                format!("the DNAME to {target} makes it {next}: the search goes on there")
            }
            StepResult::Dname { target, next: None, .. } => format!("the DNAME to {target} makes too long a name"),
            StepResult::Referral(_) => "the answer is a referral to the name servers of the cut".into(),
            StepResult::NoData { ttl } => {
                format!("it has no such type: a negative answer, kept for at most {ttl} s (RFC 2308)")
            }
            StepResult::NxDomain { ttl } => format!("the answer is NXDOMAIN, kept for at most {ttl} s (RFC 2308)"),
            StepResult::Unprepared => "it has no answer for this choice".into(),
        });
    }
}

impl State {
    /// How one hub on the way selects for a client: what it goes by, in which order, out of what, and what it comes to.
    fn tell_level(&self, level: &Level, client: IpAddr) -> Option<String> {
        let hub = self.content.policy_of(level.hub)?;
        let region = |at: usize| hub.endpoints.get(at).map(|endpoint| endpoint.region.to_string()).unwrap_or_default();
        let policy = hub.selection.word();
        let usable = match self.choices().get(level.hub).map(|choice| choice.what) {
            Some(What::Among(mask)) => {
                let names: Vec<_> = super::among::names(hub, mask).iter().map(ToString::to_string).collect();
                format!("; usable: {}", names.join(", "))
            }
            _ => String::new(),
        };
        let preferred: Vec<_> = level.preference.iter().map(|at| region(*at)).collect();
        let order = if preferred.is_empty() { String::new() } else { format!(": {}", preferred.join(", ")) };
        let why = match level.why {
            Why::Choice if hub.selection.is_stateless() => "it is the only one that is usable".into(),
            Why::Choice => "it is the active region".into(),
            Why::Weight => {
                let weights = hub.endpoints.iter().map(|endpoint| format!("{} {}", endpoint.region, endpoint.weight));
                format!("one is drawn for each query, by the weights {}", weights.collect::<Vec<_>>().join(", "))
            }
            Why::Entry(entry) => {
                let entry = hub.selection.map().and_then(|map| map.entries.get(entry));
                let whose = entry.map(|entry| entry.origin.to_string()).unwrap_or_default();
                format!("{client} is of {whose}, for which the order is{order}")
            }
            Why::Distance => format!("by the distance from where {client} is, the order is{order}"),
            Why::Default => format!("nothing in the map is about {client}, for which the order is then{order}"),
            Why::Prefix => format!("by the prefix of {client}, the same one as long as it is usable"),
            Why::Turn => "several at once, each query beginning with another".into(),
        };
        let answer = match level.endpoint.and_then(|at| Some((at, &hub.endpoints.get(at)?.answer))) {
            Some((at, Answer::Hub(inner))) => format!("{}, which is the hub {inner}", region(at)),
            Some((at, _)) => region(at),
            None => "all of those, or as many as `most` says".into(),
        };
        let scope = match level.scope {
            0 => String::new(),
            bits => format!("; the same for all clients of that /{bits}"),
        };
        Some(format!("{} is a hub with policy {policy}: {why}{usable}; it answers {answer}{scope}", hub.name))
    }
}

fn first_type(hub: &Hub) -> Rtype {
    match &hub.endpoints[0].answer {
        Answer::Cname(_) => Rtype::A,
        other => other.rrsets().first().map_or(Rtype::A, |rrset| rrset.rtype),
    }
}

fn end(resolution: &Resolution) -> Option<String> {
    match (resolution.end, resolution.steps.is_empty()) {
        (End::Complete, _) => None,
        (End::Unserved, true) => Some("no zone that is served here holds the name".into()),
        (End::Unserved, false) => Some("that name is in no zone served here: the resolver goes on by itself".into()),
        (End::Loop, _) => Some("that name has been visited: the chain is a loop and ends here".into()),
        (End::Long, _) => Some("the chain is longer than an answer may be and ends here".into()),
        (End::TooLong, _) => Some("the name that the DNAME makes is too long (RFC 6672 2.2)".into()),
    }
}

/// The records that one step gives to the answer.
fn records(step: &Step) -> Vec<String> {
    let record = |owner: &Name, ttl: u32, rtype: Rtype, rdata: &[u8]| {
        format!("{owner} {ttl} IN {rtype} {}", display_rdata(rtype, rdata))
    };
    match &step.result {
        StepResult::Answer(Answered { rtype, ttl, rdatas }) => {
            rdatas.iter().map(|rdata| record(&step.name, *ttl, *rtype, rdata)).collect()
        }
        StepResult::Cname { target, ttl } => vec![record(&step.name, *ttl, Rtype::CNAME, target.wire())],
        StepResult::Dname { target, next, ttl } => {
            let owner = match &step.matched {
                Matched::Dname(owner) => owner,
                _ => &step.name,
            };
            let dname = record(owner, *ttl, Rtype::DNAME, target.wire());
            let cname = next.as_ref().map(|next| record(&step.name, *ttl, Rtype::CNAME, next.wire()));
            std::iter::once(dname).chain(cname).collect()
        }
        _ => Vec::new(),
    }
}
