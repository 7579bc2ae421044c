//! The durable facts as the types that they are, by the number of the hub.
//!
//! A fact that cannot be understood is left alone: it stays in the store, and does not count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fact::{Fact, FactKey, FactKind, Facts};
use super::mark::{Mark, MarkTarget};
use super::moves::Move;
use super::roster::{HubId, Roster};
use crate::policy::{GateName, RegionName};
use crate::time::{Lived, Timestamp};

/// An operator's acknowledgement that a gate asks for: good for one epoch of one hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateAck {
    /// The epoch of the hub when it was given.
    pub epoch: u64,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// When it ends, if the epoch has not changed before.
    pub until: Option<Timestamp>,
}

/// An operator's acknowledgement that a hub has been flapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlapAck {
    /// When: automatic switches up to this moment do not count any more.
    pub at: Timestamp,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// A mark that is made for a time to come: a maintenance window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// What is marked.
    pub target: MarkTarget,
    /// The mark: it is in force from `since` until `until`.
    pub mark: Mark,
    /// Whether it is in force.
    pub begun: bool,
}

/// What was overridden for a hub, and not acknowledged yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    /// One entry for each move that overrode something, oldest first.
    pub entries: Vec<Override>,
}

/// What one move has overridden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: String,
    /// Why, in the operator's words.
    pub why: String,
    /// What: a sentence for each gate, rule or budget.
    pub what: Vec<String>,
    /// The epoch since.
    pub epoch: u64,
}

/// What somebody has to know of a hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    /// At most one of each kind, oldest first.
    pub entries: Vec<Notice>,
}

/// One thing that somebody has to know of a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What kind of thing.
    pub kind: NoticeKind,
    /// When it came to be.
    pub at: Timestamp,
    /// The epoch of the hub then.
    pub epoch: u64,
    /// What it is, in a sentence that names the hub.
    pub sentence: String,
}

/// What kind of thing somebody has to know of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// A planned move has stopped by itself, and nothing was switched.
    Stopped,
    /// A region was told that it is left, and stays active.
    Told,
}

/// Since when gates have held a move of a hub, for the gates that are passed after a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gated {
    /// The epoch of the hub.
    pub epoch: u64,
    /// The region that the move is to.
    pub to: RegionName,
    /// Since when.
    pub since: Timestamp,
}

/// A clock that was set back: when the last switches of a hub were found to be in the future. They count as made then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetBack {
    /// The epoch of the hub: another one has switches of its own.
    pub epoch: u64,
    /// When that was, by the clock that was set back.
    pub at: Timestamp,
}

/// That the region which a hub is about to leave is being told so, or has acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldLeft {
    /// The epoch that the move would begin.
    pub epoch: u64,
    /// The region that the move is to.
    pub to: RegionName,
}

/// The endpoints that a hub without an active region answers out of, by their regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsableSet {
    /// Those that are answered: at least one.
    pub answered: Vec<RegionName>,
    /// Those whose health counted as good, marks left out.
    pub good: Vec<RegionName>,
    /// All that there were.
    pub known: Vec<RegionName>,
    /// Whether nothing was usable by itself, so that the hub's `when_all_down` says what is answered.
    pub all_down: bool,
    /// When what is answered last changed.
    pub since: Timestamp,
    /// How often it has, the first set left out.
    pub changes: u64,
    /// Why, as it was said then.
    pub reason: String,
}

/// All facts that can be understood.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// By hub and gate.
    pub gates: BTreeMap<(HubId, GateName), GateAck>,
    /// By hub.
    pub flaps: BTreeMap<HubId, FlapAck>,
    /// By hub: the one that is under way, or was last.
    pub moves: BTreeMap<HubId, Move>,
    /// By their number.
    pub windows: BTreeMap<String, Window>,
    /// By hub.
    pub overrides: BTreeMap<HubId, Overridden>,
    /// By hub.
    pub notices: BTreeMap<HubId, Notices>,
    /// By hub.
    pub gated: BTreeMap<HubId, Gated>,
    /// By hub.
    pub set_back: BTreeMap<HubId, SetBack>,
    /// By hub.
    pub usables: BTreeMap<HubId, UsableSet>,
    /// By hub.
    pub told: BTreeMap<HubId, ToldLeft>,
    /// What the clock has passed over.
    pub lived: Lived,
}

impl Known {
    /// Takes everything in, and says which keys could not be understood.
    pub fn of(facts: &Facts, roster: &Roster) -> (Self, Vec<FactKey>) {
        let mut known = Self::default();
        let unknown =
            facts.iter().filter(|(key, fact)| !known.set(key, Some(fact), roster)).map(|(key, _)| key.clone());
        let unknown = unknown.collect();
        (known, unknown)
    }

    /// Sets or takes away one fact, and says whether it was understood.
    pub fn set(&mut self, key: &FactKey, fact: Option<&Fact>, roster: &Roster) -> bool {
        fn put<K: Ord, V: serde::de::DeserializeOwned>(map: &mut BTreeMap<K, V>, key: K, fact: Option<&Fact>) -> bool {
            let Some(fact) = fact else {
                map.remove(&key);
                return true;
            };
            match fact.get() {
                Ok(value) => {
                    map.insert(key, value);
                    true
                }
                Err(_) => false,
            }
        }
        if let (FactKind::Window, Some(id)) = (key.kind(), key.id()) {
            return put(&mut self.windows, id.to_owned(), fact);
        }
        if key.kind() == FactKind::Lived {
            let lived = fact.map(Fact::get).unwrap_or(Ok(Lived::default()));
            let known = lived.is_ok();
            self.lived = lived.unwrap_or_default();
            return known;
        }
        let Some(hub) = key.hub().and_then(|hub| roster.id(&hub)) else { return false };
        match (key.kind(), key.id()) {
            (FactKind::Gate, Some(gate)) => put(&mut self.gates, (hub, GateName::new(gate)), fact),
            (FactKind::Flap, _) => put(&mut self.flaps, hub, fact),
            (FactKind::Move, _) => put(&mut self.moves, hub, fact),
            (FactKind::Override, _) => put(&mut self.overrides, hub, fact),
            (FactKind::Notice, _) => put(&mut self.notices, hub, fact),
            (FactKind::Gated, _) => put(&mut self.gated, hub, fact),
            (FactKind::Clock, _) => put(&mut self.set_back, hub, fact),
            (FactKind::Usable, _) => put(&mut self.usables, hub, fact),
            (FactKind::Told, _) => put(&mut self.told, hub, fact),
            (FactKind::Gate | FactKind::Window | FactKind::Lived, _) => false,
        }
    }
}
