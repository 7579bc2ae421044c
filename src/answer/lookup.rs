//! One name, step by step: the walk of [`respond`](super::respond), told instead of rendered.

use std::ops::ControlFlow;

use super::client::Origin;
use super::cursor::Cursor;
use super::select::Level;
use super::snapshot::{Choice, Content, Snapshot};
use super::text;
use super::walk::{Ended, Found, Located, Verdict, Visitor, walk};
use crate::dns::{Name, Rcode, Rtype};
use crate::zone::rrset::Rrset;

/// What a query for one name and type comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The names visited, in order; empty where no zone holds the name.
    pub steps: Vec<Step>,
    /// Why it ends where it does.
    pub end: End,
    /// The response code.
    pub rcode: Rcode,
    /// Whether the answer is authoritative: AA.
    pub authoritative: bool,
}

/// What was found for one name of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name looked up.
    pub name: Name,
    /// The apex of the zone that it is in.
    pub zone: Name,
    /// How that zone holds the name.
    pub matched: Matched,
    /// The hub, by position, and its choice, where the name is one.
    pub hub: Option<(usize, Choice)>,
    /// How the hub selects for the client, and the hubs inside that it comes to; empty for one that answers everybody alike.
    pub levels: Vec<Level>,
    /// The hub, by position, that the name tells of, where it is one of `_concierge.HUB`.
    pub text: Option<usize>,
    /// What follows for the type.
    pub result: StepResult,
}

/// How a zone holds a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// The name exists.
    Exact,
    /// This wildcard stands for it (RFC 4592).
    Wildcard(Name),
    /// It is at or below this cut (RFC 1034 4.2.1).
    Cut(Name),
    /// It is below this DNAME (RFC 6672).
    Dname(Name),
    /// It does not exist; this is its closest encloser (RFC 4592 3.3.1).
    Missing(Name),
}

/// What follows for the type asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// This RRset is the answer.
    Answer(Answered),
    /// An alias of this name.
    Cname {
        /// The canonical name.
        target: Name,
        /// TTL of the CNAME.
        ttl: u32,
    },
    /// Everything below the owner is redirected.
    Dname {
        /// What replaces the owner.
        target: Name,
        /// The name after the substitution; `None` where it is too long.
        next: Option<Name>,
        /// TTL of the DNAME, and of the CNAME made from it.
        ttl: u32,
    },
    /// The answer is a referral to these name servers.
    Referral(Answered),
    /// The name exists without the type.
    NoData {
        /// How long that may be remembered (RFC 2308 5).
        ttl: u32,
    },
    /// The name does not exist.
    NxDomain {
        /// How long that may be remembered (RFC 2308 5).
        ttl: u32,
    },
    /// The hub has no answer for its choice.
    Unprepared,
}

/// An RRset of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The type; of ANY, the one that was picked.
    pub rtype: Rtype,
    /// Seconds.
    pub ttl: u32,
    /// The RDATA of each record, uncompressed.
    pub rdatas: Vec<Box<[u8]>>,
}

/// Why a resolution ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The last step says it all.
    Complete,
    /// The next name is in no zone served here.
    Unserved,
    /// The next name has been visited.
    Loop,
    /// The chain is longer than an answer may be.
    Long,
    /// A DNAME makes too long a name.
    TooLong,
}

impl Content {
    /// What a query for this name and type comes to under the snapshot's choices, for a client.
    ///
    /// The content is the snapshot's own: the walk is the one that answers queries.
    pub fn lookup(snapshot: &Snapshot, name: &Name, rtype: Rtype, origin: Origin) -> Resolution {
        let mut telling = Telling { snapshot, origin, steps: Vec::new() };
        let ended = match Cursor::read(name.wire()) {
            Some(mut cursor) => walk(snapshot, &mut cursor, rtype, origin, &mut telling),
            None => Ended::Unserved,
        };
        let steps = telling.steps;
        let end = match ended {
            Ended::Found | Ended::Stopped => End::Complete,
            Ended::Unserved => End::Unserved,
            Ended::Loop => End::Loop,
            Ended::Long => End::Long,
            Ended::TooLong => End::TooLong,
        };
        let rcode = match (steps.last().map(|step| &step.result), end) {
            (None, _) => Rcode::REFUSED,
            (_, End::TooLong) => Rcode::YXDOMAIN,
            (Some(StepResult::NxDomain { .. }), _) => Rcode::NXDOMAIN,
            (Some(StepResult::Unprepared), _) => Rcode::SERVFAIL,
            _ => Rcode::NOERROR,
        };
        let authoritative = match &*steps {
            [] => false,
            [only] => !matches!(only.result, StepResult::Referral(_) | StepResult::Unprepared),
            _ => rcode != Rcode::SERVFAIL,
        };
        Resolution { steps, end, rcode, authoritative }
    }
}

struct Telling<'a> {
    snapshot: &'a Snapshot,
    origin: Origin,
    steps: Vec<Step>,
}

impl Visitor for Telling<'_> {
    fn visit(&mut self, name: &Cursor, found: &Found<'_>) -> ControlFlow<()> {
        let apex = &found.zone.apex;
        let node = found.located.node();
        let owner = node.name();
        let answered =
            |rrset: Rrset<'_>| Answered { rtype: rrset.rtype(), ttl: rrset.ttl(), rdatas: rrset.rdatas(&owner, apex) };
        let target = |rrset: Rrset<'_>| rrset.target(&owner, apex, 0).unwrap_or_else(Name::root);
        let negative_ttl = found.zone.negative().map_or(0, |negative| negative.ttl());
        let matched = match found.located {
            Located::Exact(_) => Matched::Exact,
            Located::Wildcard(_) => Matched::Wildcard(owner.clone()),
            Located::Cut(_) => Matched::Cut(owner.clone()),
            Located::Dname(_) => Matched::Dname(owner.clone()),
            Located::Missing(_) => Matched::Missing(owner.clone()),
        };
        let result = match found.verdict {
            Verdict::Answer(rrset) => StepResult::Answer(answered(rrset)),
            Verdict::Cname(rrset) => StepResult::Cname { target: target(rrset), ttl: rrset.ttl() },
            Verdict::Dname(rrset) => StepResult::Dname { target: target(rrset), next: None, ttl: rrset.ttl() },
            Verdict::Referral { ns, .. } => StepResult::Referral(answered(ns)),
            Verdict::NoData { at_most } => {
                StepResult::NoData { ttl: at_most.map_or(negative_ttl, |most| negative_ttl.min(most)) }
            }
            Verdict::NxDomain => StepResult::NxDomain { ttl: negative_ttl },
            Verdict::Unprepared => StepResult::Unprepared,
        };
        let hub = match (node.hub(), found.located) {
            (Some(position), Located::Exact(_) | Located::Wildcard(_)) => {
                let position = position as usize;
                self.snapshot.choices.get(position).map(|choice| (position, *choice))
            }
            _ => None,
        };
        let levels = hub.map_or(Vec::new(), |(position, _)| self.snapshot.explain(position, self.origin));
        let exists = matches!(found.located, Located::Exact(_));
        let told = node.hub().filter(|_| exists).and_then(|number| text::about(&self.snapshot.content, number));
        let text = told.map(|about| about.hub as usize);
        self.steps.push(Step { name: name_of(name), zone: apex.clone(), matched, hub, levels, text, result });
        ControlFlow::Continue(())
    }

    fn substituted(&mut self, _: &Cursor, _: Rrset<'_>, made: Option<&Cursor>) -> ControlFlow<()> {
        if let Some(Step { result: StepResult::Dname { next, .. }, .. }) = self.steps.last_mut() {
            *next = made.map(name_of);
        }
        ControlFlow::Continue(())
    }
}

fn name_of(cursor: &Cursor) -> Name {
    Name::from_wire(cursor.wire()).unwrap_or_else(|_| Name::root())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CLIENT, hub, name, snapshot, zone};
    use super::*;

    #[test]
    fn every_step_of_a_chain_is_told() {
        let example = zone(
            "example.",
            "*.w CNAME x.old\nold DNAME new\nx.new CNAME hub\nlong DNAME www.example.org.\nloop CNAME loop",
        );
        let snapshot = snapshot(&[example], vec![hub("hub.example.", "weu 192.0.2.9\nneu 192.0.2.8")]);
        let told = Content::lookup(&snapshot, &name("A.w.example."), Rtype::A, CLIENT.origin());
        let zone = name("example.");
        let step = |of: &str, matched, hub, result| Step {
            name: name(of),
            zone: zone.clone(),
            matched,
            hub,
            levels: Vec::new(),
            text: None,
            result,
        };
        let answered = Answered { rtype: Rtype::A, ttl: 30, rdatas: vec![Box::new([192, 0, 2, 9])] };
        let (x_old, x_new) = (name("x.old.example."), name("x.new.example."));
        assert_eq!(
            told,
            Resolution {
                steps: vec![
                    step(
                        "a.w.example.",
                        Matched::Wildcard(name("*.w.example.")),
                        None,
                        StepResult::Cname { target: x_old, ttl: 300 }
                    ),
                    step(
                        "x.old.example.",
                        Matched::Dname(name("old.example.")),
                        None,
                        StepResult::Dname { target: name("new.example."), next: Some(x_new), ttl: 300 }
                    ),
                    step(
                        "x.new.example.",
                        Matched::Exact,
                        None,
                        StepResult::Cname { target: name("hub.example."), ttl: 300 }
                    ),
                    step("hub.example.", Matched::Exact, Some((0, Choice::endpoint(0))), StepResult::Answer(answered)),
                ],
                end: End::Complete,
                rcode: Rcode::NOERROR,
                authoritative: true,
            }
        );
        let end = |of: &str| {
            let told = Content::lookup(&snapshot, &name(of), Rtype::A, CLIENT.origin());
            (told.steps.len(), told.end, told.rcode)
        };
        assert_eq!(end("loop.example."), (1, End::Loop, Rcode::NOERROR));
        assert_eq!(end("x.long.example."), (1, End::Unserved, Rcode::NOERROR));
        assert_eq!(end("x.hub.example."), (1, End::Complete, Rcode::NXDOMAIN));
        assert_eq!(end("example.org."), (0, End::Unserved, Rcode::REFUSED));
    }
}
