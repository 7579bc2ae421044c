//! The sections of a response, written as the walk finds what belongs in them.
//!
//! Owners are always compression pointers: the question's name, a suffix of it, or a name inside RDATA written before.
//! An RRset stands in the message whole or not at all; one that the response needs and that does not fit sets TC
//! (RFC 2181 9).

use std::ops::ControlFlow;

use super::client::Client;
use super::cursor::Cursor;
use super::respond::HubAnswer;
use super::select::Scope;
use super::snapshot::{ServedZone, Snapshot};
use super::walk::{Ended, Found, MAX_STEPS, Verdict, Visitor};
use crate::dns::{Class, HEADER, Rcode, Rtype};
use crate::zone::rrset::{Base, FIXED, POINTER, QUESTION, Rrset, record_end, set_ttl};
use crate::zone::store::Node;

/// Offsets beyond this cannot be pointed at (RFC 1035 4.1.4).
const MAX_POINTER: usize = 0x3fff;

/// A response in the making, behind its header and question.
pub(super) struct Render<'a> {
    pub(super) message: &'a mut Vec<u8>,
    /// Octets that header, question and sections may take together.
    pub(super) limit: usize,
    pub(super) dnssec_ok: bool,
    pub(super) snapshot: &'a Snapshot,
    client: Client,
    /// The hub whose RRsets are those of the current step.
    hub_here: Option<u32>,
    /// The first hub of which an RRset is in the answer.
    pub(super) hub: Option<HubAnswer>,
    /// Where the name of the current step stands in the message.
    pub(super) place: Place,
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
    /// For how many leading bits of the address of the origin the answer is that of everybody.
    pub(super) scope: Scope,
    /// The first hub in the answer of which nothing may be chosen, by position.
    pub(super) stale: Option<u32>,
    /// Whether an alias is where the answer ends: its scope is that of one RRset, and so cached for nobody whom another one
    /// is meant for (RFC 7871 7.2.1).
    pub(super) ends_at_alias: bool,
    /// Records in the answer, authority and additional section.
    pub(super) counts: [u16; 3],
    /// Names visited.
    steps: usize,
    /// Where the owners of the DNAMEs in the answer are kept: a chain may pass one twice.
    dnames: Option<[usize; MAX_STEPS]>,
    dnames_used: usize,
    /// Where the target of the DNAME just written stands.
    dname_target: Option<usize>,
}

/// Where a name stands in the message.
#[derive(Clone, Copy)]
pub(super) struct Place {
    at: usize,
    /// Octets of it that stand there; then follows a pointer, unless it is the whole.
    inline: usize,
    /// What that pointer points at, and how many octets of the name stand there.
    rest: Option<(usize, usize)>,
}

#[derive(Clone, Copy)]
enum Section {
    Answer,
    Authority,
    Additional,
}

/// Where an RRset was written.
struct Written {
    /// The first RDATA.
    rdata: usize,
    /// The start of the records, where they stand as they were encoded.
    verbatim: Option<usize>,
}

impl Place {
    /// The place of the question's name.
    pub(super) fn question(length: usize) -> Self {
        Self { at: HEADER, inline: length, rest: None }
    }

    /// Where the last `suffix` octets of the name, which has `length`, can be pointed at.
    #[inline(always)]
    fn suffix(self, length: usize, suffix: usize) -> Option<usize> {
        let skipped = length.checked_sub(suffix)?;
        let at = if skipped < self.inline {
            self.at + skipped
        } else {
            let (rest, octets) = self.rest?;
            rest + Some(skipped - self.inline).filter(|beyond| *beyond < octets)?
        };
        (at <= MAX_POINTER).then_some(at)
    }
}

impl<'a> Render<'a> {
    /// Starts behind the question of `name`.
    #[inline(always)]
    pub(super) fn new(
        message: &'a mut Vec<u8>,
        limit: usize,
        dnssec_ok: bool,
        snapshot: &'a Snapshot,
        client: Client,
        name: &Cursor,
    ) -> Self {
        Self {
            message,
            limit,
            dnssec_ok,
            snapshot,
            client,
            hub_here: None,
            hub: None,
            place: Place::question(name.len()),
            rcode: Rcode::NOERROR,
            authoritative: true,
            truncated: false,
            scope: Scope::default(),
            stale: None,
            ends_at_alias: false,
            counts: [0; 3],
            steps: 0,
            dnames: None,
            dnames_used: 0,
            dname_target: None,
        }
    }

    /// Says what the end of the walk says of the response as a whole.
    pub(super) fn finish(&mut self, ended: Ended) {
        match ended {
            // RFC 1035 4.1.1 and RFC 8906 3.1.1: a name of no served zone is refused, without any record.
            Ended::Unserved if self.steps == 0 => {
                self.rcode = Rcode::REFUSED;
                self.authoritative = false;
            }
            // RFC 6672 2.2.
            Ended::TooLong => self.rcode = Rcode::YXDOMAIN,
            // A chain that leaves the served zones, or does not end, is answered as far as it goes (RFC 1034 4.3.2).
            Ended::Unserved | Ended::Loop | Ended::Long | Ended::Found | Ended::Stopped => {}
        }
    }

    /// Appends an RRset of `zone`, or says that it does not fit.
    ///
    /// `owner` is where the owner's name stands; without it, `owner_wire` is written in full.
    #[inline]
    fn push(
        &mut self,
        section: Section,
        rrset: Rrset<'_>,
        owner: Option<usize>,
        owner_wire: &[u8],
        zone: Zone<'_>,
    ) -> Option<Written> {
        let start = self.message.len();
        if start + rrset.wire.len() > self.limit {
            return None;
        }
        let apex_at = zone.apex_at.or((!rrset.has_pointers()).then_some(0));
        let written = match (owner, apex_at) {
            (Some(owner), Some(apex_at)) => {
                self.message.extend_from_slice(rrset.wire);
                let records = &mut self.message[start..];
                let owner = pointer(owner);
                if owner != QUESTION.to_be_bytes() {
                    let mut at = 0;
                    while at < records.len() {
                        records[at..at + 2].copy_from_slice(&owner);
                        at = record_end(records, at);
                    }
                }
                for inside in rrset.pointers() {
                    let target = match inside.base {
                        Base::Apex => pointer(apex_at),
                        Base::Owner => owner,
                    };
                    records[inside.at..inside.at + 2].copy_from_slice(&target);
                }
                Written { rdata: start + FIXED, verbatim: Some(start) }
            }
            _ => {
                rrset.append_in_full(owner_wire, zone.zone.apex.wire(), self.message);
                if self.message.len() > self.limit {
                    self.message.truncate(start);
                    return None;
                }
                Written { rdata: start + owner_wire.len() + FIXED - 2, verbatim: None }
            }
        };
        if rrset.own {
            self.say_ttl(section, rrset, start, written.verbatim.map_or(owner_wire.len(), |_| POINTER));
        }
        let count = &mut self.counts[section as usize];
        *count = count.saturating_add(rrset.count);
        Some(written)
    }

    /// Gives one of a hub's own RRsets, written from `start` on, the TTL that the client is to have.
    fn say_ttl(&mut self, section: Section, rrset: Rrset<'_>, start: usize, owner: usize) {
        let Some(position) = self.hub_here else { return };
        let Some(hub) = self.snapshot.served.hubs.get(position as usize) else { return };
        if hub.spread > 0 {
            set_ttl(&mut self.message[start..], owner, hub.ttl(rrset, self.client));
        }
        if matches!(section, Section::Answer) {
            self.stale = self.stale.or(Some(position).filter(|position| self.snapshot.is_stale(*position)));
            self.hub = self.hub.or(self.snapshot.told(position));
        }
    }

    /// Appends an RRset that the response needs: TC where it does not fit.
    fn need(
        &mut self,
        section: Section,
        rrset: Rrset<'_>,
        owner: Owner<'_>,
        zone: Zone<'_>,
    ) -> ControlFlow<(), Written> {
        match self.push(section, rrset, owner.at, owner.wire, zone) {
            Some(written) => ControlFlow::Continue(written),
            None => {
                self.truncated = true;
                ControlFlow::Break(())
            }
        }
    }

    /// Whether the DNAME RRset of this node is in the answer.
    fn has_dname(&self, dname: Rrset<'_>) -> bool {
        self.dnames.is_some_and(|dnames| dnames[..self.dnames_used].contains(&kept_at(dname)))
    }

    /// The SOA of a negative answer, with the lesser of its TTL and its MINIMUM (RFC 2308 3 and 5), or what is less still.
    fn negative(&mut self, zone: Zone<'_>, at_most: Option<u32>) -> ControlFlow<()> {
        let owner = Owner { at: zone.apex_at, wire: zone.zone.apex.wire() };
        let Some(negative) = zone.zone.negative() else { return ControlFlow::Continue(()) };
        let start = self.message.len();
        let written = self.need(Section::Authority, negative, owner, zone)?;
        if let Some(ttl) = at_most.filter(|most| *most < negative.ttl()) {
            let owner = written.verbatim.map_or(owner.wire.len(), |_| POINTER);
            set_ttl(&mut self.message[start..], owner, ttl);
        }
        ControlFlow::Continue(())
    }

    fn referral(
        &mut self,
        name: &Cursor,
        cut: Node<'_>,
        ns: Rrset<'_>,
        ds: Option<Rrset<'_>>,
        zone: Zone<'_>,
    ) -> ControlFlow<()> {
        // Authority over an alias does not reach to where it leads: AA speaks of the first owner (RFC 1035 4.1.1).
        if self.steps == 1 {
            self.authoritative = false;
        }
        let owner = Owner::suffix(self.place, name, cut.name_len());
        let written = self.need(Section::Authority, ns, owner, zone)?;
        // RFC 4035 3.1.4.
        if let Some(ds) = ds.filter(|_| self.dnssec_ok) {
            self.need(Section::Authority, ds, owner, zone)?;
        }
        // RFC 9471 3.1: the addresses of in-domain name servers, without which there is no way to them, come first.
        for in_domain in [true, false] {
            let mut pointers = ns.pointers().peekable();
            for rdata_at in ns.rdata_offsets() {
                let end = record_end(ns.wire, rdata_at - FIXED);
                let pointer = pointers.next_if(|pointer| pointer.at < end);
                let base = pointer.map(|pointer| pointer.base);
                if (base == Some(Base::Owner)) != in_domain {
                    continue;
                }
                let labels = &ns.wire[rdata_at..pointer.map_or(end, |pointer| pointer.at)];
                let suffix: &[u8] = match base {
                    None => &[],
                    Some(Base::Owner) => owner.wire,
                    Some(Base::Apex) => zone.zone.apex.wire(),
                };
                let mut server = Cursor::EMPTY;
                if server.join(&[labels, suffix]) {
                    let at = written.verbatim.map(|start| start + rdata_at).filter(|at| *at <= MAX_POINTER);
                    self.glue(&server, at, in_domain, zone)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Appends the addresses of a name server that the zone knows; its name stands at `at`, where it can be pointed at.
    fn glue(&mut self, server: &Cursor, at: Option<usize>, in_domain: bool, zone: Zone<'_>) -> ControlFlow<()> {
        let Some(node) = self.snapshot.served.address_node(zone.zone, server) else {
            return ControlFlow::Continue(());
        };
        // RFC 7871 7.4: whom the client asks for does not count here.
        let Some(rrsets) = self.snapshot.rrsets(node, self.client.origin(), &mut ()) else {
            return ControlFlow::Continue(());
        };
        self.hub_here = node.hub();
        for rrset in [Rtype::A, Rtype::AAAA].into_iter().filter_map(|rtype| rrsets.of_type(rtype)) {
            if self.push(Section::Additional, rrset, at, server.wire(), zone).is_none() {
                // RFC 9471 3.1 and 3.2: TC for the addresses of in-domain name servers; the others are left out.
                self.truncated |= in_domain;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Notes the scope of an RRset in the answer: only a hub's own depend on the origin, and what is missing is missing for
    /// everybody (RFC 7871 7.4).
    #[inline]
    fn widen(&mut self, rrset: Rrset<'_>, scope: Scope) {
        if rrset.own {
            self.scope = self.scope.max(scope);
        }
    }

    /// The name that an RRset written at `rdata` leads to is where the next step's records will point.
    fn follow(&mut self, rrset: Rrset<'_>, rdata: Written, apex: Zone<'_>) {
        let pointer = rrset.pointers().next();
        self.place = match (rdata.verbatim, pointer) {
            (Some(start), Some(pointer)) => Place {
                at: rdata.rdata,
                inline: start + pointer.at - rdata.rdata,
                rest: apex.apex_at.map(|at| (at, 1)),
            },
            // A CNAME stands alone, at the end of the message: its RDATA is all that follows.
            _ => Place { at: rdata.rdata, inline: self.message.len() - rdata.rdata, rest: None },
        };
    }
}

impl Visitor for Render<'_> {
    #[inline(always)]
    fn visit(&mut self, name: &Cursor, found: &Found<'_>) -> ControlFlow<()> {
        self.steps += 1;
        self.hub_here = found.located.node().hub();
        let zone = Zone { zone: found.zone, apex_at: self.place.suffix(name.len(), found.zone.tree.apex_key().len()) };
        // What a wildcard gives is owned by the name that was asked (RFC 4592 3.3.1).
        let owner = Owner::suffix(self.place, name, name.len());
        match found.verdict {
            // A DNAME asked for may be the one that led to its own owner: an RRset stands once (RFC 2181 5).
            Verdict::Answer(rrset) if rrset.rtype() == Rtype::DNAME && self.has_dname(rrset) => {
                ControlFlow::Continue(())
            }
            Verdict::Answer(rrset) => {
                self.need(Section::Answer, rrset, owner, zone)?;
                self.widen(rrset, found.scope);
                ControlFlow::Continue(())
            }
            Verdict::Cname(rrset) => {
                let written = self.need(Section::Answer, rrset, owner, zone)?;
                self.widen(rrset, found.scope);
                if self.ends_at_alias {
                    return ControlFlow::Break(());
                }
                self.follow(rrset, written, zone);
                ControlFlow::Continue(())
            }
            Verdict::Dname(rrset) => {
                self.dname_target = None;
                if self.has_dname(rrset) {
                    return ControlFlow::Continue(());
                }
                self.dnames.get_or_insert_default()[self.dnames_used] = kept_at(rrset);
                self.dnames_used += 1;
                let owner = Owner::suffix(self.place, name, found.located.node().name_len());
                let written = self.need(Section::Answer, rrset, owner, zone)?;
                self.dname_target = Some(written.rdata).filter(|at| *at <= MAX_POINTER);
                ControlFlow::Continue(())
            }
            Verdict::Referral { ns, ds } => self.referral(name, found.located.node(), ns, ds, zone),
            // RFC 2308 2.2.
            Verdict::NoData { at_most } => self.negative(zone, at_most),
            Verdict::NxDomain => {
                // RFC 6604 3: of the last name of a chain.
                self.rcode = Rcode::NXDOMAIN;
                self.negative(zone, None)
            }
            Verdict::Unprepared => {
                self.rcode = Rcode::SERVFAIL;
                self.authoritative = false;
                ControlFlow::Break(())
            }
        }
    }

    fn substituted(&mut self, name: &Cursor, dname: Rrset<'_>, next: Option<&Cursor>) -> ControlFlow<()> {
        let Some(next) = next else { return ControlFlow::Continue(()) };
        // RFC 6672 3.1: the synthesised CNAME has the TTL of the DNAME.
        let start = self.message.len();
        match self.place.suffix(name.len(), name.len()) {
            Some(at) => self.message.extend_from_slice(&pointer(at)),
            None => self.message.extend_from_slice(name.wire()),
        }
        self.message.extend_from_slice(&Rtype::CNAME.0.to_be_bytes());
        self.message.extend_from_slice(&Class::IN.0.to_be_bytes());
        self.message.extend_from_slice(&dname.ttl().to_be_bytes());
        // The labels that stay, and then the target of the DNAME, which stands just before unless it is there already.
        let target = dname.wire.len() - FIXED;
        let kept = next.len() - target;
        let place = match self.dname_target {
            Some(at) => Place { at: self.message.len() + 2, inline: kept, rest: Some((at, target)) },
            None => Place { at: self.message.len() + 2, inline: next.len(), rest: None },
        };
        let ending = place.rest.map(|(at, _)| pointer(at));
        let length = place.inline + ending.map_or(0, |ending| ending.len());
        self.message.extend_from_slice(&(length as u16).to_be_bytes());
        self.message.extend_from_slice(&next.wire()[..place.inline]);
        self.message.extend_from_slice(ending.as_ref().map_or(&[], |ending| ending.as_slice()));
        if self.message.len() > self.limit {
            self.message.truncate(start);
            self.truncated = true;
            return ControlFlow::Break(());
        }
        self.counts[Section::Answer as usize] += 1;
        self.place = place;
        if self.ends_at_alias { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// An owner: where it stands, or else what to write.
#[derive(Clone, Copy)]
struct Owner<'a> {
    at: Option<usize>,
    wire: &'a [u8],
}

impl<'a> Owner<'a> {
    /// The last `length` octets of the name.
    #[inline(always)]
    fn suffix(place: Place, name: &'a Cursor, length: usize) -> Self {
        let wire = name.wire();
        Self { at: place.suffix(wire.len(), length), wire: &wire[wire.len() - length..] }
    }
}

/// What tells one RRset of a snapshot from another.
fn kept_at(rrset: Rrset<'_>) -> usize {
    rrset.wire.as_ptr().addr()
}

/// A zone, and where its apex stands in the message.
#[derive(Clone, Copy)]
struct Zone<'a> {
    zone: &'a ServedZone,
    apex_at: Option<usize>,
}

fn pointer(at: usize) -> [u8; 2] {
    (0xc000 | at as u16).to_be_bytes()
}
