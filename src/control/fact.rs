//! What is durable and neither a mark, nor health, nor what stands: acknowledgements, planned moves, windows, notices.
//!
//! A [`Fact`] is kept under a [`FactKey`] and says what it is by the key's kind. All kinds share one table of the store
//! and one field of a [`Commit`](super::event::Commit), with what was before and what is since: so that making one
//! durable, reverting it, and taking it back after a failure are one piece of code whatever the kind is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::dns::Name;

/// All facts.
pub type Facts = BTreeMap<FactKey, Fact>;

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactKind {
    /// An operator's acknowledgement that a gate asks for: `gate/HUB/GATE`.
    Gate,
    /// An operator's acknowledgement that a pinned hub may move again: `flap/HUB`.
    Flap,
    /// The planned move of a hub, of which it has one at a time: `move/HUB`.
    Move,
    /// A window: `window/ID`.
    Window,
    /// The notice that something was overridden for a hub: `override/HUB`.
    Override,
    /// What else somebody has to know of a hub: `notice/HUB`.
    Notice,
    /// Since when gates have held a move of a hub that passes them after a while: `gated/HUB`.
    Gated,
    /// When a hub's last switches were first found to be in the future, by a clock that was set back: `clock/HUB`.
    Clock,
    /// The endpoints that a hub without an active region answers out of: `usable/HUB`.
    Usable,
    /// That the region which a hub is about to leave is being told so, or has acknowledged it: `told/HUB`.
    Told,
    /// What the clock has passed over: `lived/clock`.
    Lived,
}

impl FactKind {
    const ALL: [Self; 11] = [
        Self::Gate,
        Self::Flap,
        Self::Move,
        Self::Window,
        Self::Override,
        Self::Notice,
        Self::Gated,
        Self::Clock,
        Self::Usable,
        Self::Told,
        Self::Lived,
    ];

    /// The word that its keys begin with.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Flap => "flap",
            Self::Move => "move",
            Self::Window => "window",
            Self::Override => "override",
            Self::Notice => "notice",
            Self::Gated => "gated",
            Self::Clock => "clock",
            Self::Usable => "usable",
            Self::Told => "told",
            Self::Lived => "lived",
        }
    }
}

/// Where a fact is kept: a kind, and what tells one fact of it from another.
///
/// Hub names compare without case (RFC 4343), and every other part has none: so a key is kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct FactKey {
    kind: FactKind,
    rest: String,
}

/// Why a text is no key of a fact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactKeyError {
    /// It begins with no kind.
    #[error(
        "`{0}` is no key of a fact, expected one of gate/HUB/GATE, flap/HUB, move/HUB, window/ID, override/HUB, notice/HUB, \
             gated/HUB, clock/HUB, usable/HUB, told/HUB, lived/clock"
    )]
    Kind(String),
    /// What stands for the hub is no name.
    #[error("`{key}` names no hub: {error}")]
    Hub {
        /// The key.
        key: String,
        /// What is wrong with the name.
        error: String,
    },
    /// A name or number in it is none.
    #[error("`{0}` is no name of a gate or number of a fact, expected 1 to 63 of a-z, 0-9, `-` and `_`")]
    Word(String),
}

impl FactKey {
    /// Longest name of a gate, or number of a fact, in octets.
    const MAX_WORD: usize = 63;

    /// Of the acknowledgement that a gate of a hub asks for.
    ///
    /// # Errors
    /// When `gate` is not of the form of a gate's name.
    pub fn gate(hub: &Name, gate: &str) -> Result<Self, FactKeyError> {
        Ok(Self { kind: FactKind::Gate, rest: format!("{}/{}", hub.to_lowercase(), Self::word(gate)?) })
    }

    /// Of the acknowledgement that a pinned hub asks for.
    pub fn flap(hub: &Name) -> Self {
        Self::of_hub(FactKind::Flap, hub)
    }

    /// Of the planned move of a hub.
    pub fn planned_move(hub: &Name) -> Self {
        Self::of_hub(FactKind::Move, hub)
    }

    /// Of the notice that something was overridden for a hub.
    pub fn overridden(hub: &Name) -> Self {
        Self::of_hub(FactKind::Override, hub)
    }

    /// Of what else somebody has to know of a hub.
    pub fn notice(hub: &Name) -> Self {
        Self::of_hub(FactKind::Notice, hub)
    }

    /// Of since when gates have held a move of a hub.
    pub fn gated(hub: &Name) -> Self {
        Self::of_hub(FactKind::Gated, hub)
    }

    /// Of when a hub's last switches were first found to be in the future.
    pub fn clock(hub: &Name) -> Self {
        Self::of_hub(FactKind::Clock, hub)
    }

    /// Of the endpoints that a hub without an active region answers out of.
    pub fn usable(hub: &Name) -> Self {
        Self::of_hub(FactKind::Usable, hub)
    }

    /// Of the telling of the region that a hub is about to leave.
    pub fn told(hub: &Name) -> Self {
        Self::of_hub(FactKind::Told, hub)
    }

    /// Of what the clock has passed over.
    pub fn lived() -> Self {
        Self { kind: FactKind::Lived, rest: "clock".into() }
    }

    /// Of a window.
    ///
    /// # Errors
    /// When `id` is not of the form of a number.
    pub fn window(id: &str) -> Result<Self, FactKeyError> {
        Ok(Self { kind: FactKind::Window, rest: Self::word(id)? })
    }

    fn of_hub(kind: FactKind, hub: &Name) -> Self {
        Self { kind, rest: hub.to_lowercase().to_string() }
    }

    /// What the fact is about.
    pub fn kind(&self) -> FactKind {
        self.kind
    }

    /// The hub that it is about, of the kinds that are about one.
    pub fn hub(&self) -> Option<Name> {
        let hub = match self.kind {
            FactKind::Gate => self.rest.rsplit_once('/').map(|(hub, _)| hub),
            FactKind::Window | FactKind::Lived => None,
            _ => Some(self.rest.as_str()),
        };
        // A key is made of a name, or of text that was read as one.
        hub.and_then(|hub| Name::parse(hub, None).ok())
    }

    /// The name of the gate, or the number of the fact; `None` of a kind that has neither.
    pub fn id(&self) -> Option<&str> {
        match self.kind {
            FactKind::Gate => self.rest.rsplit_once('/').map(|(_, gate)| gate),
            FactKind::Window | FactKind::Lived => Some(&self.rest),
            _ => None,
        }
    }

    fn word(word: &str) -> Result<String, FactKeyError> {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
        match (1..=Self::MAX_WORD).contains(&word.len()) && word.bytes().all(plain) {
            true => Ok(word.to_ascii_lowercase()),
            false => Err(FactKeyError::Word(word.into())),
        }
    }
}

/// `gate/hub.example.net./merged-back`.
impl fmt::Display for FactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.rest)
    }
}

/// Reads what [`fmt::Display`] writes; the hub's final dot may be left out.
impl FromStr for FactKey {
    type Err = FactKeyError;

    fn from_str(text: &str) -> Result<Self, FactKeyError> {
        let unknown = || FactKeyError::Kind(text.into());
        let (word, rest) = text.split_once('/').ok_or_else(unknown)?;
        let kind = FactKind::ALL.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word)).ok_or_else(unknown)?;
        let name = |hub: &str| {
            let error = |error: crate::dns::NameError| FactKeyError::Hub { key: text.into(), error: error.to_string() };
            Name::parse(hub, Some(&Name::root())).map_err(error)
        };
        match kind {
            // A hub's name may have a slash in it (RFC 2317), a gate's has none.
            FactKind::Gate => {
                let (hub, gate) = rest.rsplit_once('/').ok_or_else(unknown)?;
                Self::gate(&name(hub)?, gate)
            }
            FactKind::Window => Self::window(rest),
            FactKind::Lived if rest.eq_ignore_ascii_case("clock") => Ok(Self::lived()),
            FactKind::Lived => Err(unknown()),
            _ => Ok(Self::of_hub(kind, &name(rest)?)),
        }
    }
}

impl From<FactKey> for String {
    fn from(key: FactKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for FactKey {
    type Error = FactKeyError;

    fn try_from(text: String) -> Result<Self, FactKeyError> {
        text.parse()
    }
}

/// What is so: of the type that goes with the kind of its key, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fact(pub serde_json::Value);

impl Fact {
    /// Of a value.
    ///
    /// # Errors
    /// When it has no form in JSON, such as a map whose keys are no text.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_value(value).map(Self)
    }

    /// The value.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text, None).unwrap()
    }

    /// Reads a key and compares its parts.
    fn check(text: &str, kind: FactKind, hub: Option<&str>, id: Option<&str>) {
        let key: FactKey = text.parse().unwrap();
        assert_eq!((key.kind(), key.hub(), key.id()), (kind, hub.map(name), id), "{text}");
        assert_eq!(key.to_string().parse::<FactKey>().unwrap(), key, "{text}");
    }

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        check("gate/hub.x./merged-back", FactKind::Gate, Some("hub.x."), Some("merged-back"));
        check("gate/0/25.2.0.192.in-addr.arpa./g", FactKind::Gate, Some("0/25.2.0.192.in-addr.arpa."), Some("g"));
        check("flap/hub.x", FactKind::Flap, Some("hub.x."), None);
        check("flap/0/25.2.0.192.in-addr.arpa.", FactKind::Flap, Some("0/25.2.0.192.in-addr.arpa."), None);
        check("move/hub.x.", FactKind::Move, Some("hub.x."), None);
        check("window/maintenance_2", FactKind::Window, None, Some("maintenance_2"));
        check("override/hub.x.", FactKind::Override, Some("hub.x."), None);
        check("notice/hub.x.", FactKind::Notice, Some("hub.x."), None);
        check("gated/hub.x.", FactKind::Gated, Some("hub.x."), None);
        check("clock/hub.x.", FactKind::Clock, Some("hub.x."), None);
        check("told/hub.x.", FactKind::Told, Some("hub.x."), None);
        check("lived/clock", FactKind::Lived, None, Some("clock"));
        assert_eq!(FactKey::gate(&name("Hub.x."), "g").unwrap().to_string(), "gate/hub.x./g");
    }

    /// A hub's name has no case (RFC 4343).
    #[test]
    fn keys_compare_without_case() {
        let keys = ["gate/HUB.x./g", "gate/hub.X/G"].map(|text| text.parse::<FactKey>().unwrap());
        assert_eq!(keys[0], keys[1]);
        assert_eq!(FactKey::flap(&name("HUB.x.")), "flap/hub.x.".parse().unwrap());
        assert_eq!(FactKey::gate(&name("HUB.x."), "g").unwrap(), keys[0]);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "gate", "gate/", "gate/hub.x.", "gate/hub.x./", "gate/a..b/g", "gate/hub.x./a b", "flap/"] {
            assert!(text.parse::<FactKey>().is_err(), "`{text}`");
        }
        for text in ["flap/a..b", "move/", "window/a/b", "mark/weu", "window/\u{e9}", "gate/hub.x./a.b", "lived/hub.x."]
        {
            assert!(text.parse::<FactKey>().is_err(), "`{text}`");
        }
        assert!(FactKey::window(&"a".repeat(64)).is_err());
        let error = "mark/weu".parse::<FactKey>().unwrap_err().to_string();
        assert!(error.starts_with("`mark/weu` is no key of a fact, expected one of gate/HUB/GATE"), "{error}");
    }

    #[test]
    fn a_fact_is_of_the_type_that_was_put_in() {
        let fact = Fact::of(&("alice", 7u64)).unwrap();
        assert_eq!(fact.get::<(String, u64)>().unwrap(), ("alice".into(), 7));
        assert!(fact.get::<u64>().is_err());
    }
}
