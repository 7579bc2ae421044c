//! The search for a name, and the chain that follows from it: RFC 1034 4.3.2 with RFC 4592 and RFC 6672.
//!
//! [`Snapshot::find`] is one pass of the algorithm: one name to what the zones say of it. [`walk`] repeats it along CNAME
//! and DNAME. Both answers of the engine, the message and the explanation of it, are visitors of the same walk.

use std::ops::ControlFlow;

use super::client::Origin;
use super::cursor::Cursor;
use super::select::Scope;
use super::snapshot::{Served, ServedZone, Snapshot};
use crate::dns::Rtype;
use crate::zone::rrset::{Base, FIXED, Rrset, Rrsets};
use crate::zone::store::Node;

/// Names that one answer visits at most; RFC 1034 3.6.2 asks for a bound and names none.
pub(super) const MAX_STEPS: usize = 16;

/// Where a name is, before the question of types.
#[derive(Clone, Copy, Debug)]
pub(super) enum Located<'a> {
    /// It exists.
    Exact(Node<'a>),
    /// It does not; the wildcard of its closest encloser stands for it (RFC 4592 3.3.1).
    Wildcard(Node<'a>),
    /// It is delegated here.
    Cut(Node<'a>),
    /// It is below this DNAME.
    Dname(Node<'a>),
    /// It does not exist; this is its closest encloser.
    Missing(Node<'a>),
}

impl<'a> Located<'a> {
    /// The existing name that decided.
    #[inline]
    pub(super) fn node(self) -> Node<'a> {
        match self {
            Self::Exact(node) | Self::Wildcard(node) | Self::Cut(node) | Self::Dname(node) | Self::Missing(node) => {
                node
            }
        }
    }
}

/// What the served zones say of one name and type.
pub(super) struct Found<'a> {
    pub(super) zone: &'a ServedZone,
    pub(super) located: Located<'a>,
    pub(super) verdict: Verdict<'a>,
    /// For how many leading bits of the address of the origin it is that of everybody.
    pub(super) scope: Scope,
}

/// What is said of the type.
#[derive(Clone, Copy)]
pub(super) enum Verdict<'a> {
    /// This RRset.
    Answer(Rrset<'a>),
    /// An alias.
    Cname(Rrset<'a>),
    /// A redirection of everything below.
    Dname(Rrset<'a>),
    /// The cut's NS RRset, and DS where a signed zone has one.
    Referral { ns: Rrset<'a>, ds: Option<Rrset<'a>> },
    /// The name exists without this type.
    NoData {
        /// How long that may be remembered at most, seconds, where a hub may have the type next.
        at_most: Option<u32>,
    },
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
    fn substituted(&mut self, name: &Cursor, dname: Rrset<'_>, next: Option<&Cursor>) -> ControlFlow<()>;
}

/// Visits the name, and the names that it leads to as far as they are served here, as they are for an origin; `name` is then
/// the last of them.
#[inline(always)]
pub(super) fn walk(
    snapshot: &Snapshot,
    name: &mut Cursor,
    rtype: Rtype,
    origin: Origin,
    visitor: &mut impl Visitor,
) -> Ended {
    let Some(found) = snapshot.find(name, rtype, origin) else { return Ended::Unserved };
    if visitor.visit(name, &found).is_break() {
        return Ended::Stopped;
    }
    match found.verdict {
        Verdict::Cname(rrset) if rrset.leaves => Ended::Unserved,
        Verdict::Cname(_) | Verdict::Dname(_) => walk_on(snapshot, name, rtype, origin, visitor, found),
        _ => Ended::Found,
    }
}

/// Goes on behind a CNAME or a DNAME.
fn walk_on<'a>(
    snapshot: &'a Snapshot,
    name: &mut Cursor,
    rtype: Rtype,
    origin: Origin,
    visitor: &mut impl Visitor,
    mut found: Found<'a>,
) -> Ended {
    let mut seen = [0; MAX_STEPS];
    for step in 0..MAX_STEPS {
        seen[step] = name.hash(0);
        match found.verdict {
            // RFC 1034 4.3.2 step 3 a: the search starts over at the canonical name.
            Verdict::Cname(rrset) => {
                if rrset.leaves || !follow(name, rrset, found.zone) {
                    return Ended::Unserved;
                }
            }
            Verdict::Dname(rrset) => {
                let target = rrset.wire.get(FIXED..).unwrap_or_default();
                let next = name.substitute(found.located.node().name_len(), target);
                if visitor.substituted(name, rrset, next.as_ref()).is_break() {
                    return Ended::Stopped;
                }
                match next {
                    // The synthesised CNAME is what was asked for.
                    Some(_) if matches!(rtype, Rtype::CNAME | Rtype::ANY) => return Ended::Found,
                    Some(next) => *name = next,
                    None => return Ended::TooLong,
                }
            }
            _ => return Ended::Found,
        }
        if seen[..=step].contains(&name.hash(0)) {
            return Ended::Loop;
        }
        if step + 1 == MAX_STEPS {
            break;
        }
        match snapshot.find(name, rtype, origin) {
            Some(next) => found = next,
            None => return Ended::Unserved,
        }
        if visitor.visit(name, &found).is_break() {
            return Ended::Stopped;
        }
    }
    Ended::Long
}

/// Becomes the name that a CNAME leads to.
fn follow(name: &mut Cursor, cname: Rrset<'_>, zone: &ServedZone) -> bool {
    match cname.pointers().next() {
        Some(pointer) if pointer.base == Base::Apex => {
            cname.wire.get(FIXED..pointer.at).is_some_and(|labels| name.join(&[labels, zone.apex.wire()]))
        }
        _ => cname.wire.get(FIXED..).is_some_and(|target| name.set(target)),
    }
}

impl Snapshot {
    /// One pass of RFC 1034 4.3.2; `None` when no zone holds the name.
    #[inline(always)]
    pub(super) fn find(&self, name: &Cursor, rtype: Rtype, origin: Origin) -> Option<Found<'_>> {
        let (zone, located) = self.served.locate(name, rtype)?;
        let mut scope = Scope::default();
        let verdict = match self.rrsets(located.node(), origin, &mut scope) {
            None => Verdict::Unprepared,
            Some(rrsets) => match judge(located, rrsets, rtype, zone.signed) {
                Verdict::NoData { .. } => Verdict::NoData { at_most: self.until_next(located.node(), rtype, rrsets) },
                verdict => verdict,
            },
        };
        Some(Found { zone, located, verdict, scope })
    }

    /// The TTL of what a hub answers now, where it has nothing of this type and may have it with the next choice: devices
    /// that wait for it learn of that as soon as all others.
    fn until_next(&self, node: Node<'_>, rtype: Rtype, rrsets: Rrsets<'_>) -> Option<u32> {
        let hub = self.served.hubs.get(node.hub()? as usize)?;
        let now = rrsets.iter().find(|rrset| rrset.own && hub.may_gain(rtype))?;
        Some(now.ttl())
    }
}

impl Served {
    /// Where the name is, whatever the hubs have chosen: a hub exists like any other name.
    #[inline(always)]
    pub(super) fn locate<'a>(&'a self, name: &Cursor, rtype: Rtype) -> Option<(&'a ServedZone, Located<'a>)> {
        // Step 2.
        let mut zone = self.zone_at(name, 0)?;
        // RFC 4035 3.1.4.1: DS belongs to the parent side of a cut, where that is served as well.
        if rtype == Rtype::DS && name.len() == zone.tree.apex_key().len() {
            zone = self.zone_at(name, 1).unwrap_or(zone);
        }
        Some((zone, zone.locate(name, rtype)?))
    }

    /// Where a zone has the addresses of a name server of one of its cuts: at its name, or at the wildcard that stands
    /// for it.
    pub(super) fn address_node<'a>(&self, zone: &'a ServedZone, server: &Cursor) -> Option<Node<'a>> {
        if let Some(id) = zone.tree.find(server.suffix(0)) {
            return Some(zone.tree.node(id));
        }
        if !std::ptr::eq(self.zone_at(server, 0)?, zone) {
            return None;
        }
        match zone.locate(server, Rtype::A)? {
            Located::Wildcard(node) => Some(node),
            _ => None,
        }
    }
}

impl ServedZone {
    /// Where a name at or below the apex is in this zone, be it that another served one is more specific.
    #[inline(always)]
    pub(super) fn locate(&self, name: &Cursor, rtype: Rtype) -> Option<Located<'_>> {
        let tree = &self.tree;
        // The deepest existing ancestor; the apex exists.
        let mut skipped = name.labels().saturating_sub(tree.max_labels());
        let node = loop {
            let suffix = name.suffix(skipped);
            let key = &suffix[..suffix.len().checked_sub(tree.apex_key().len())?];
            match tree.find_key(name.hash(skipped), key) {
                Some(id) => break tree.node(id),
                None => skipped += 1,
            }
        };
        let exact = skipped == 0;
        // Step 3 b, RFC 6672 3.2 step 3 C: the topmost cut or DNAME on the way down stops the search.
        if !node.is_plain() {
            match tree.topmost(node) {
                Some(topmost) if topmost.is_cut() => return Some(Located::Cut(topmost)),
                Some(topmost) => return Some(Located::Dname(topmost)),
                // RFC 4035 3.1.4.1: at the cut itself DS is authoritative data.
                None if node.is_cut() && !(exact && rtype == Rtype::DS) => return Some(Located::Cut(node)),
                None => {}
            }
        }
        Some(if exact {
            // Step 3 a.
            Located::Exact(node)
        } else if node.has_dname() {
            // RFC 6672 3.2 step 3 C.
            Located::Dname(node)
        } else if let Some(wildcard) = tree.wildcard(node) {
            // Step 3 c. Only the closest encloser's wildcard counts (RFC 4592 3.3.1): an existing name, an empty
            // non-terminal included, hides those further up.
            Located::Wildcard(tree.node(wildcard))
        } else {
            Located::Missing(node)
        })
    }
}

const NO_DATA: Verdict<'static> = Verdict::NoData { at_most: None };

#[inline(always)]
fn judge<'a>(located: Located<'a>, rrsets: Rrsets<'a>, rtype: Rtype, signed: bool) -> Verdict<'a> {
    match located {
        Located::Exact(_) | Located::Wildcard(_) => {
            if rtype == Rtype::ANY {
                // RFC 8482 4.1: one RRset of the name, on every transport, so that it amplifies no more than a query for its type.
                return pick(rrsets).map_or(NO_DATA, Verdict::Answer);
            }
            match rrsets.of_type(rtype) {
                Some(rrset) => Verdict::Answer(rrset),
                None => rrsets.of_type(Rtype::CNAME).map_or(NO_DATA, Verdict::Cname),
            }
        }
        Located::Cut(_) => match rrsets.of_type(Rtype::NS) {
            Some(ns) => Verdict::Referral { ns, ds: rrsets.of_type(Rtype::DS).filter(|_| signed) },
            None => NO_DATA,
        },
        Located::Dname(_) => rrsets.of_type(Rtype::DNAME).map_or(NO_DATA, Verdict::Dname),
        Located::Missing(_) => Verdict::NxDomain,
    }
}

/// The RRset that stands for ANY: the first in order of types that is not about other RRsets.
fn pick(rrsets: Rrsets<'_>) -> Option<Rrset<'_>> {
    let about_others =
        |rrset: &Rrset<'_>| matches!(rrset.rtype(), Rtype::RRSIG | Rtype::NSEC | Rtype::SIG | Rtype::NXT);
    rrsets.iter().find(|rrset| !about_others(rrset)).or_else(|| rrsets.iter().next())
}
