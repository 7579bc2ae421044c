//! The sections of a response, written as the walk finds what belongs in them.
//!
//! Owners are always compression pointers: the question's name, a suffix of it, or a name inside RDATA written before.
//! An RRset stands in the message whole or not at all; one that the response needs and that does not fit sets TC
//! (RFC 2181 9).

use std::ops::ControlFlow;

use super::cursor::Cursor;
use super::names::NodeId;
use super::rrset::{Base, FIXED, QUESTION, Rrset, record_end};
use super::snapshot::{Node, ServedZone, Snapshot, of_type};
use super::walk::{Ended, Found, MAX_STEPS, Verdict, Visitor};
use crate::dns::{Class, HEADER, Rcode, Rtype};

/// Offsets beyond this cannot be pointed at (RFC 1035 4.1.4).
const MAX_POINTER: usize = 0x3fff;

/// A response in the making, behind its header and question.
pub(super) struct Render<'a> {
    pub(super) message: &'a mut Vec<u8>,
    /// Octets that header, question and sections may take together.
    pub(super) limit: usize,
    pub(super) dnssec_ok: bool,
    pub(super) snapshot: &'a Snapshot,
    /// Where the name of the current step stands in the message.
    pub(super) place: Place,
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
    /// Records in the answer, authority and additional section.
    pub(super) counts: [u16; 3],
    /// Names visited.
    steps: usize,
    /// DNAME owners whose RRset is in the answer: a chain may pass one twice.
    dnames: [NodeId; MAX_STEPS],
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
    pub(super) fn new(
        message: &'a mut Vec<u8>,
        limit: usize,
        dnssec_ok: bool,
        snapshot: &'a Snapshot,
        name: &Cursor,
    ) -> Self {
        Self {
            message,
            limit,
            dnssec_ok,
            snapshot,
            place: Place::question(name.len()),
            rcode: Rcode::NOERROR,
            authoritative: true,
            truncated: false,
            counts: [0; 3],
            steps: 0,
            dnames: [0; MAX_STEPS],
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
    fn push(
        &mut self,
        section: Section,
        rrset: &Rrset,
        owner: Option<usize>,
        owner_wire: &[u8],
        zone: Zone<'_>,
    ) -> Option<Written> {
        let start = self.message.len();
        if start + rrset.wire.len() > self.limit {
            return None;
        }
        let apex_at = zone.apex_at.or(rrset.pointers.is_empty().then_some(0));
        let written = match (owner, apex_at) {
            (Some(owner), Some(apex_at)) => {
                self.message.extend_from_slice(&rrset.wire);
                let records = &mut self.message[start..];
                let owner = pointer(owner);
                if owner != QUESTION.to_be_bytes() {
                    let mut at = 0;
                    while at < records.len() {
                        records[at..at + 2].copy_from_slice(&owner);
                        at = record_end(records, at);
                    }
                }
                for inside in &rrset.pointers {
                    let target = match inside.base {
                        Base::Apex => pointer(apex_at),
                        Base::Owner => owner,
                    };
                    records[inside.at as usize..inside.at as usize + 2].copy_from_slice(&target);
                }
                Written { rdata: start + FIXED, verbatim: Some(start) }
            }
            _ => {
                rrset.append_in_full(owner_wire, &zone.zone.apex, self.message);
                if self.message.len() > self.limit {
                    self.message.truncate(start);
                    return None;
                }
                Written { rdata: start + owner_wire.len() + FIXED - 2, verbatim: None }
            }
        };
        let count = &mut self.counts[section as usize];
        *count = count.saturating_add(rrset.count);
        Some(written)
    }

    /// Appends an RRset that the response needs: TC where it does not fit.
    fn need(&mut self, section: Section, rrset: &Rrset, owner: Owner<'_>, zone: Zone<'_>) -> ControlFlow<(), Written> {
        match self.push(section, rrset, owner.at, owner.wire, zone) {
            Some(written) => ControlFlow::Continue(written),
            None => {
                self.truncated = true;
                ControlFlow::Break(())
            }
        }
    }

    /// Whether the DNAME RRset of this node is in the answer.
    fn has_dname(&self, found: &Found<'_>) -> bool {
        self.dnames[..self.dnames_used].contains(&found.located.node())
    }

    /// The SOA of a negative answer, with the lesser of its TTL and its MINIMUM (RFC 2308 3 and 5).
    fn negative(&mut self, zone: Zone<'_>) -> ControlFlow<()> {
        let owner = Owner { at: zone.apex_at, wire: zone.zone.apex.wire() };
        self.need(Section::Authority, &zone.zone.negative, owner, zone).map_continue(drop)
    }

    fn referral(
        &mut self,
        name: &Cursor,
        cut: &Node,
        ns: &Rrset,
        ds: Option<&Rrset>,
        zone: Zone<'_>,
    ) -> ControlFlow<()> {
        // Authority over an alias does not reach to where it leads: AA speaks of the first owner (RFC 1035 4.1.1).
        if self.steps == 1 {
            self.authoritative = false;
        }
        let owner_wire = cut.name.wire();
        let owner = Owner { at: self.place.suffix(name.len(), owner_wire.len()), wire: owner_wire };
        let written = self.need(Section::Authority, ns, owner, zone)?;
        // RFC 4035 3.1.4.
        if let Some(ds) = ds.filter(|_| self.dnssec_ok) {
            self.need(Section::Authority, ds, owner, zone)?;
        }
        let snapshot = self.snapshot;
        for glue in &cut.glue {
            let node = snapshot.content.node(glue.node);
            let rrsets = snapshot.content.rrsets(node, &snapshot.choices).unwrap_or_default();
            let at = written.verbatim.map(|start| start + glue.name_at as usize).filter(|at| *at <= MAX_POINTER);
            if at.is_none() && node.name.is_wildcard() {
                // Its name is not that of the name server, which only the NS record says.
                continue;
            }
            for rrset in [Rtype::A, Rtype::AAAA].into_iter().filter_map(|rtype| of_type(rrsets, rtype)) {
                if self.push(Section::Additional, rrset, at, node.name.wire(), zone).is_none() {
                    // RFC 9471 3.1 and 3.2: TC for the addresses of in-domain name servers, which come first; the
                    // others are left out.
                    self.truncated |= glue.in_domain;
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The name that an RRset written at `rdata` leads to is where the next step's records will point.
    fn follow(&mut self, rrset: &Rrset, rdata: Written, apex: Zone<'_>) {
        let Some(target) = &rrset.target else { return };
        self.place = match (rdata.verbatim, rrset.pointers.first()) {
            (Some(start), Some(pointer)) => Place {
                at: rdata.rdata,
                inline: start + pointer.at as usize - rdata.rdata,
                rest: apex.apex_at.map(|at| (at, 1)),
            },
            _ => Place { at: rdata.rdata, inline: target.wire.len(), rest: None },
        };
    }
}

impl Visitor for Render<'_> {
    fn visit(&mut self, name: &Cursor, found: &Found<'_>) -> ControlFlow<()> {
        self.steps += 1;
        let zone = Zone { zone: found.zone, apex_at: self.place.suffix(name.len(), found.zone.apex.wire().len()) };
        // What a wildcard gives is owned by the name that was asked (RFC 4592 3.3.1).
        let owner = Owner { at: self.place.suffix(name.len(), name.len()), wire: name.wire() };
        match found.verdict {
            // A DNAME asked for may be the one that led to its own owner: an RRset stands once (RFC 2181 5).
            Verdict::Answer(rrset) if rrset.rtype == Rtype::DNAME && self.has_dname(found) => ControlFlow::Continue(()),
            Verdict::Answer(rrset) => self.need(Section::Answer, rrset, owner, zone).map_continue(drop),
            Verdict::Cname(rrset) => {
                let written = self.need(Section::Answer, rrset, owner, zone)?;
                self.follow(rrset, written, zone);
                ControlFlow::Continue(())
            }
            Verdict::Dname(rrset) => {
                self.dname_target = None;
                if self.has_dname(found) {
                    return ControlFlow::Continue(());
                }
                self.dnames[self.dnames_used] = found.located.node();
                self.dnames_used += 1;
                let wire = found.node.name.wire();
                let owner = Owner { at: self.place.suffix(name.len(), wire.len()), wire };
                let written = self.need(Section::Answer, rrset, owner, zone)?;
                self.dname_target = Some(written.rdata).filter(|at| *at <= MAX_POINTER);
                ControlFlow::Continue(())
            }
            Verdict::Referral { ns, ds } => self.referral(name, found.node, ns, ds, zone),
            // RFC 2308 2.2.
            Verdict::NoData => self.negative(zone),
            Verdict::NxDomain => {
                // RFC 6604 3: of the last name of a chain.
                self.rcode = Rcode::NXDOMAIN;
                self.negative(zone)
            }
            Verdict::Unprepared => {
                self.rcode = Rcode::SERVFAIL;
                self.authoritative = false;
                ControlFlow::Break(())
            }
        }
    }

    fn substituted(&mut self, name: &Cursor, dname: &Rrset, next: Option<&Cursor>) -> ControlFlow<()> {
        let Some(next) = next else { return ControlFlow::Continue(()) };
        // RFC 6672 3.1: the synthesised CNAME has the TTL of the DNAME.
        let start = self.message.len();
        match self.place.suffix(name.len(), name.len()) {
            Some(at) => self.message.extend_from_slice(&pointer(at)),
            None => self.message.extend_from_slice(name.wire()),
        }
        self.message.extend_from_slice(&Rtype::CNAME.0.to_be_bytes());
        self.message.extend_from_slice(&Class::IN.0.to_be_bytes());
        self.message.extend_from_slice(&dname.ttl.to_be_bytes());
        // The labels that stay, and then the target of the DNAME, which stands just before unless it is there already.
        let target = dname.target.as_ref().map_or(1, |target| target.wire.len());
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
        ControlFlow::Continue(())
    }
}

/// An owner: where it stands, or else what to write.
#[derive(Clone, Copy)]
struct Owner<'a> {
    at: Option<usize>,
    wire: &'a [u8],
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
