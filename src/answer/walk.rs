//! The search for a name, and the chain that follows from it: RFC 1034 4.3.2 with RFC 4592 and RFC 6672.
//!
//! [`Content::find`] is one pass of the algorithm: one name to what the zones say of it. [`walk`] repeats it along CNAME
//! and DNAME. Both answers of the engine, the message and the explanation of it, are visitors of the same walk.

use std::ops::ControlFlow;

use super::cursor::Cursor;
use super::names::{NodeId, fingerprint};
use super::rrset::Rrset;
use super::snapshot::{Barrier, Choice, Content, Node, ParentSide, ServedZone, Snapshot, of_type};
use crate::dns::Rtype;

/// Names that one answer visits at most; RFC 1034 3.6.2 asks for a bound and names none.
pub(super) const MAX_STEPS: usize = 16;

/// Where a name is, before the question of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// It exists.
    Exact(NodeId),
    /// It does not; the wildcard of its closest encloser stands for it (RFC 4592 3.3.1).
    Wildcard(NodeId),
    /// It is delegated here.
    Cut(NodeId),
    /// It is below this DNAME.
    Dname(NodeId),
    /// It does not exist; this is its closest encloser.
    Missing(NodeId),
}

impl Located {
    /// The existing name that decided.
    pub(super) fn node(self) -> NodeId {
        match self {
            Self::Exact(id) | Self::Wildcard(id) | Self::Cut(id) | Self::Dname(id) | Self::Missing(id) => id,
        }
    }
}

/// What the served zones say of one name and type.
pub(super) struct Found<'a> {
    pub(super) zone: &'a ServedZone,
    pub(super) located: Located,
    pub(super) node: &'a Node,
    pub(super) verdict: Verdict<'a>,
}

/// What is said of the type.
#[derive(Clone, Copy)]
pub(super) enum Verdict<'a> {
    /// This RRset.
    Answer(&'a Rrset),
    /// An alias.
    Cname(&'a Rrset),
    /// A redirection of everything below.
    Dname(&'a Rrset),
    /// The cut's NS RRset, and DS where a signed zone has one.
    Referral { ns: &'a Rrset, ds: Option<&'a Rrset> },
    /// The name exists without this type.
    NoData,
    /// The name does not exist, nor does anything below it (RFC 8020 2).
    NxDomain,
    /// The hub has no answer for its choice.
    Unprepared,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With the last thing found.
    Found,
    /// At a name that no served zone holds.
    Unserved,
    /// At a name that the chain has visited.
    Loop,
    /// After [`MAX_STEPS`] names.
    Long,
    /// At a DNAME whose substitution makes too long a name.
    TooLong,
    /// Because the visitor had enough.
    Stopped,
}

/// Who is told of each step.
pub(super) trait Visitor {
    /// What was found for `name`.
    fn visit(&mut self, name: &Cursor, found: &Found<'_>) -> ControlFlow<()>;

    /// The DNAME just visited makes `next` of `name`; `None` when that is too long.
    fn substituted(&mut self, name: &Cursor, dname: &Rrset, next: Option<&Cursor>) -> ControlFlow<()>;
}

/// Visits the name, and the names that it leads to as far as they are served here.
pub(super) fn walk(snapshot: &Snapshot, name: Cursor, rtype: Rtype, visitor: &mut impl Visitor) -> Ended {
    let content = &*snapshot.content;
    let mut name = name;
    let mut seen = [0; MAX_STEPS];
    for step in 0..MAX_STEPS {
        let print = fingerprint(name.suffix(0));
        if seen[..step].contains(&print) {
            return Ended::Loop;
        }
        seen[step] = print;
        let Some(found) = content.find(&snapshot.choices, &name, rtype) else { return Ended::Unserved };
        if visitor.visit(&name, &found).is_break() {
            return Ended::Stopped;
        }
        match found.verdict {
            Verdict::Cname(rrset) => {
                // RFC 1034 4.3.2 step 3 a: the search starts over at the canonical name.
                match rrset.target.as_ref().filter(|target| target.served).and_then(|target| Cursor::read(&target.wire))
                {
                    Some(next) => name = next,
                    None => return Ended::Unserved,
                }
            }
            Verdict::Dname(rrset) => {
                let target = rrset.target.as_ref().map_or(&[0][..], |target| &target.wire);
                let next = name.substitute(found.node.name.wire().len(), target);
                if visitor.substituted(&name, rrset, next.as_ref()).is_break() {
                    return Ended::Stopped;
                }
                match next {
                    // The synthesised CNAME is what was asked for.
                    Some(_) if matches!(rtype, Rtype::CNAME | Rtype::ANY) => return Ended::Found,
                    Some(next) => name = next,
                    None => return Ended::TooLong,
                }
            }
            _ => return Ended::Found,
        }
    }
    Ended::Long
}

impl Content {
    /// One pass of RFC 1034 4.3.2; `None` when no zone holds the name.
    pub(super) fn find<'a>(&'a self, choices: &[Choice], name: &Cursor, rtype: Rtype) -> Option<Found<'a>> {
        let located = self.locate(name, rtype)?;
        let node = self.node(located.node());
        let zone = &self.zones[node.zone as usize];
        let verdict = match self.rrsets(node, choices) {
            None => Verdict::Unprepared,
            Some(rrsets) => judge(located, rrsets, rtype, zone.signed),
        };
        Some(Found { zone, located, node, verdict })
    }

    /// Where the name is, whatever the hubs have chosen: a hub exists like any other name.
    pub(super) fn locate(&self, name: &Cursor, rtype: Rtype) -> Option<Located> {
        // Step 2: the deepest existing ancestor is in the most specific zone, for the names of a zone that lie in a more
        // specific one are not in the index.
        let top = name.labels();
        let mut skipped = top.saturating_sub(self.max_labels);
        let mut id = loop {
            match self.names.find(name.suffix(skipped)) {
                Some(id) => break id,
                None if skipped == top => return None,
                None => skipped += 1,
            }
        };
        let mut exact = skipped == 0;
        // RFC 4035 3.1.4.1: DS belongs to the parent side of a cut, where that is served as well.
        if exact && rtype == Rtype::DS {
            match self.node(id).parent_side {
                Some(ParentSide::Exists(parent_side)) => id = parent_side,
                Some(ParentSide::Missing(encloser)) => (id, exact) = (encloser, false),
                None => {}
            }
        }
        let node = self.node(id);
        match node.barrier {
            // RFC 4035 3.1.4.1: at the cut itself DS is authoritative data.
            Some(Barrier::Cut(cut)) if cut == id && exact && rtype == Rtype::DS => {}
            // Step 3 b.
            Some(Barrier::Cut(cut)) => return Some(Located::Cut(cut)),
            Some(Barrier::Dname(dname)) => return Some(Located::Dname(dname)),
            None => {}
        }
        Some(if exact {
            // Step 3 a.
            Located::Exact(id)
        } else if node.has_dname {
            // RFC 6672 3.2 step 3 C.
            Located::Dname(id)
        } else if let Some(wildcard) = node.wildcard {
            // Step 3 c. Only the closest encloser's wildcard counts (RFC 4592 3.3.1): an existing name, an empty
            // non-terminal included, hides those further up.
            Located::Wildcard(wildcard)
        } else {
            Located::Missing(id)
        })
    }
}

fn judge(located: Located, rrsets: &[Rrset], rtype: Rtype, signed: bool) -> Verdict<'_> {
    match located {
        Located::Exact(_) | Located::Wildcard(_) => {
            if rtype == Rtype::ANY {
                // RFC 8482 4.1: one RRset of the name, on every transport, so that it amplifies no more than a query for its type.
                return pick(rrsets).map_or(Verdict::NoData, Verdict::Answer);
            }
            match of_type(rrsets, rtype) {
                Some(rrset) => Verdict::Answer(rrset),
                None => of_type(rrsets, Rtype::CNAME).map_or(Verdict::NoData, Verdict::Cname),
            }
        }
        Located::Cut(_) => match of_type(rrsets, Rtype::NS) {
            Some(ns) => Verdict::Referral { ns, ds: of_type(rrsets, Rtype::DS).filter(|_| signed) },
            None => Verdict::NoData,
        },
        Located::Dname(_) => of_type(rrsets, Rtype::DNAME).map_or(Verdict::NoData, Verdict::Dname),
        Located::Missing(_) => Verdict::NxDomain,
    }
}

/// The RRset that stands for ANY: the first in order of types that is not about other RRsets.
fn pick(rrsets: &[Rrset]) -> Option<&Rrset> {
    let about_others = |rrset: &&Rrset| matches!(rrset.rtype, Rtype::RRSIG | Rtype::NSEC | Rtype::SIG | Rtype::NXT);
    rrsets.iter().find(|rrset| !about_others(rrset)).or(rrsets.first())
}
