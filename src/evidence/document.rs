//! What is said of a hub and of a region, from one snapshot. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::tag::{Tag, said as said_of};
use crate::answer::snapshot::{Snapshot, What};
use crate::dns::Name;
use crate::policy::{Answer, Endpoint, Hub, RegionName};
use crate::time::Timestamp;
use crate::zone::display_rdata;

/// Shortest time for which a document holds, for devices whose clock is not exact.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);

/// What is said of a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Document<'a> {
    hub: &'a Name,
    /// `None` while the addresses of all regions are answered.
    region: Option<&'a RegionName>,
    epoch: u64,
    since: String,
    /// Seconds.
    ttl: u64,
    /// The hub's records without owner, class and TTL: `CNAME hub-weu.example.net.`
    answer: Vec<String>,
    at: String,
    expires: String,
    /// When this is said, seconds.
    #[serde(skip)]
    second: u64,
    /// Half of the time for which it holds, seconds.
    #[serde(skip)]
    half: u64,
}

impl Document<'_> {
    /// What those who wait are told of when it changes. (The TTL is not in it: a change of it alone is no news.)
    pub(super) fn said(&self) -> String {
        let said = (self.region, &self.since, &self.answer);
        // Names and texts: this cannot fail.
        said_of(self.epoch, &serde_json::to_vec(&said).unwrap_or_default())
    }

    /// What tells this document from others of the hub.
    pub(super) fn tag(&self) -> Tag {
        Tag::new(self.said(), self.second / self.half)
    }

    /// How long a copy may be taken without asking again.
    ///
    /// Whoever has a document of this slot has one that holds for half of its validity from any moment of the slot.
    pub(super) fn fresh(&self) -> Duration {
        Duration::from_secs(self.ttl.min(self.half))
    }

    /// The time to the end of the slot, at least a second.
    pub(super) fn rest(&self) -> Duration {
        Duration::from_secs(self.half - self.second % self.half)
    }
}

/// What this snapshot answers for the hub at this position, said at `at`.
pub(super) fn document(snapshot: &Snapshot, position: usize, at: Timestamp) -> Option<Document<'_>> {
    let hub = snapshot.content.policy_of(position)?;
    let choice = snapshot.choices.get(position)?;
    let (region, answer) = match choice.what {
        What::Endpoint(endpoint) => {
            let endpoint = hub.endpoints.get(usize::from(endpoint))?;
            (Some(&endpoint.region), records(snapshot, hub, choice.what))
        }
        What::All => (None, records(snapshot, hub, choice.what)),
        What::Among(_) => return None,
    };
    let ttl = Duration::from_secs(snapshot.full_ttl(position)?.into());
    let validity = ttl.max(SHORTEST_LIFE);
    Some(Document {
        hub: &hub.name,
        region,
        epoch: choice.epoch,
        since: choice.since.to_string(),
        ttl: ttl.as_secs(),
        answer,
        at: at.to_string(),
        expires: at.after(validity).to_string(),
        second: at.0 / 1_000,
        half: validity.as_secs() / 2,
    })
}

/// What a hub is answered with, each record once. Of a hub inside that answers by who asks, all that it may be.
fn records(snapshot: &Snapshot, hub: &Hub, what: What) -> Vec<String> {
    let mut records = Vec::new();
    let mut open = vec![(hub, what)];
    // The policy's reader and the compiler let no loop through.
    while let Some((hub, what)) = open.pop() {
        let chosen = hub.endpoints.iter().enumerate().filter(|(at, _)| is_chosen(what, *at));
        for (_, Endpoint { answer, .. }) in chosen {
            if let Answer::Hub(inner) = answer {
                let position = snapshot.content.hub(inner);
                let inner =
                    position.and_then(|at| Some((&**snapshot.content.policy_of(at)?, snapshot.choices.get(at)?)));
                open.extend(inner.map(|(hub, choice)| (hub, choice.what)));
            }
            for rrset in answer.rrsets() {
                for rdata in &rrset.rdatas {
                    let record = format!("{} {}", rrset.rtype, display_rdata(rrset.rtype, rdata));
                    if !records.contains(&record) {
                        records.push(record);
                    }
                }
            }
        }
    }
    records
}

/// Whether the endpoint at a position is, or may be, answered.
fn is_chosen(what: What, position: usize) -> bool {
    match what {
        What::Endpoint(endpoint) => position == usize::from(endpoint),
        What::All => true,
        What::Among(usable) => position < 64 && usable >> position & 1 == 1,
    }
}

/// Whether a region is active for a hub: devices are sent there.
fn is_active(snapshot: &Snapshot, position: usize, hub: &Hub, region: &RegionName) -> bool {
    let choice = snapshot.choices.get(position);
    choice.zip(hub.position(region)).is_some_and(|(choice, at)| is_chosen(choice.what, at))
}

/// Whether a region is active, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Active {
    /// It is.
    Yes(String),
    /// It is not.
    No(String),
    /// There is no such hub, or it has no such region.
    Unknown(String),
}

/// Whether a region is active for one hub.
pub(super) fn active_for(snapshot: &Snapshot, region: &RegionName, name: &Name) -> Active {
    let content = &snapshot.content;
    let found = content.hub(name).and_then(|position| Some((position, content.policy_of(position)?)));
    let Some((position, hub)) = found else { return Active::Unknown(format!("there is no hub {name}")) };
    if hub.position(region).is_none() {
        // What is asked for is not repeated: it can be any text.
        return Active::Unknown(format!("hub {} has no endpoint in this region", hub.name));
    }
    let epoch = snapshot.choices.get(position).map_or(0, |choice| choice.epoch);
    match is_active(snapshot, position, hub, region) {
        true => Active::Yes(format!("{region} is active for {}, epoch {epoch}", hub.name)),
        false => Active::No(format!("{region} is not active for {}, epoch {epoch}", hub.name)),
    }
}

/// Every region that a hub has an endpoint in, and for how many of its hubs it is active.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Regions {
    regions: BTreeMap<RegionName, Share>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Share {
    hubs: usize,
    active: usize,
}

impl Regions {
    /// Counts; takes as long as there are endpoints.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut regions: BTreeMap<RegionName, Share> = BTreeMap::new();
        let hubs = (0..snapshot.content.counts().hubs).filter_map(|at| Some((at, snapshot.content.policy_of(at)?)));
        for (position, hub) in hubs {
            for Endpoint { region, .. } in &hub.endpoints {
                let share = regions.entry(region.clone()).or_default();
                share.hubs += 1;
                if is_active(snapshot, position, hub, region) {
                    share.active += 1;
                }
            }
        }
        Self { regions }
    }

    /// Whether a region is active for every hub that has an endpoint in it.
    pub(super) fn active(&self, region: &RegionName) -> Active {
        match self.regions.get(region) {
            None => Active::Unknown("no hub has an endpoint in a region of this name".to_owned()),
            Some(Share { hubs, active }) if hubs == active => {
                Active::Yes(format!("{region} is active for each of its hubs: {hubs}"))
            }
            // Names of hubs are told to those who know them.
            Some(Share { hubs, active }) => Active::No(format!("{region} is active for {active} of its {hubs} hubs")),
        }
    }
}
