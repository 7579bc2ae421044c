//! What is never published, and the sentence that says why.

use std::fmt;

use super::snapshot::{Choice, What};
use crate::diagnostic::{Diagnostic, Place};
use crate::dns::Name;

/// A zone or a hub that is not answered from: the content or the snapshot with it is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rule that refuses, by a name that stays the same.
    pub rule: &'static str,
    /// The hub, or the apex of the zone.
    pub name: Name,
    /// What is wrong, as a lower-case sentence that names it.
    pub sentence: String,
    /// Where the hub is defined.
    pub place: Option<Place>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Refused {
    pub(super) fn new(rule: &'static str, name: &Name, sentence: impl Into<String>) -> Self {
        Self { rule, name: name.clone(), sentence: sentence.into(), place: None, hint: None }
    }

    pub(super) fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn unprepared(hub: &Name, choice: Option<Choice>) -> Self {
        let sentence = match choice.map(|choice| choice.what) {
            Some(What::Endpoint(position)) => format!("hub {hub} has no endpoint at position {position}"),
            Some(What::Among(mask)) => format!("hub {hub} has none of the endpoints {mask:#b} to answer out of"),
            Some(What::All) => format!("hub {hub} has no answer for all endpoints at once"),
            None => format!("hub {hub} has no choice"),
        };
        Self::new(rule::NOT_EMPTY, hub, sentence)
    }

    /// The same as a problem of the file that defines the hub.
    pub fn diagnostic(&self) -> Diagnostic {
        let problem = match &self.place {
            Some(place) => Diagnostic::error(place.clone(), &self.sentence),
            None => Diagnostic::without_place(&self.sentence),
        };
        match &self.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// `hub h.example. leaves its name empty ... (rule not-empty)`.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (rule {})", self.sentence, self.rule)
    }
}

/// The names of the rules.
pub(super) mod rule {
    /// A zone is loaded once.
    pub(in crate::answer) const ZONE_ONCE: &str = "zone-once";
    /// A zone has one SOA record, at its apex (RFC 1035 5.2).
    pub(in crate::answer) const ZONE_SOA: &str = "zone-soa";
    /// RDATA has at most 65,535 octets.
    pub(in crate::answer) const RDATA_LENGTH: &str = "rdata-length";
    /// A hub's name is in a zone.
    pub(in crate::answer) const HUB_IN_ZONE: &str = "hub-in-zone";
    /// A hub's name is neither delegated nor below a DNAME.
    pub(in crate::answer) const HUB_REACHABLE: &str = "hub-reachable";
    /// A CNAME stands alone and not at the apex (RFC 1034 3.6.2).
    pub(in crate::answer) const CNAME_ALONE: &str = "cname-alone";
    /// A type stands in the zone file or in the hub, not in both.
    pub(in crate::answer) const ONE_SOURCE: &str = "one-source";
    /// `_concierge.HUB` is a name of the hub's zone and holds nothing else.
    pub(in crate::answer) const TEXT_ALONE: &str = "text-alone";
    /// A hub answers data, not delegations, redirections or signatures.
    pub(in crate::answer) const HUB_TYPE: &str = "hub-type";
    /// No choice leaves the name empty.
    pub(in crate::answer) const NOT_EMPTY: &str = "not-empty";
    /// `all` needs addresses and nothing else at every endpoint.
    pub(in crate::answer) const ALL_ADDRESSES: &str = "all-addresses";
    /// A CNAME does not lead back to its hub.
    pub(in crate::answer) const NO_LOOP: &str = "no-loop";
    /// A hub's answer fits the smallest UDP response.
    pub(in crate::answer) const FITS_512: &str = "fits-512";
    /// The TTL is within the hub's recovery time objective.
    pub(in crate::answer) const RTO: &str = "rto";
}
