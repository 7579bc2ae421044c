//! An RRset as it is copied into a response.
//!
//! Every record is encoded once, at load, with two octets in the place of its owner: a pointer to the question's name,
//! which is right as it stands for most answers and patched for the others. A name in the RDATA of NS, CNAME, SOA, PTR
//! or MX that ends in the zone's apex is cut there and ends in two octets as well, for the apex has a place in every
//! message: it is a suffix of the name that was asked. Name servers below the cut that they serve end in a pointer to
//! its name. Types of later specifications are never compressed (RFC 3597 4).

use crate::dns::{Name, Rtype};

/// A compression pointer to the question's name (RFC 1035 4.1.4).
pub(super) const QUESTION: u16 = 0xc000 | crate::dns::HEADER as u16;

/// Octets of a record in front of its RDATA: owner pointer, type, class, TTL, RDLENGTH (RFC 1035 3.2.1).
pub(super) const FIXED: usize = 12;

/// The records of one owner and type, ready to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rrset {
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    /// Number of records.
    pub(super) count: u16,
    /// The records, each of a pointer to the question, the fixed part and the RDATA.
    pub(super) wire: Box<[u8]>,
    /// The pointers in the RDATA, in order.
    pub(super) pointers: Box<[Pointer]>,
    /// Where CNAME and DNAME lead.
    pub(super) target: Option<Target>,
}

/// A compression pointer inside the RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Where in the RRset's octets it stands.
    pub(super) at: u32,
    pub(super) base: Base,
}

/// What a compression pointer points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The apex of the zone.
    Apex,
    /// The owner of the RRset.
    Owner,
}

/// Where a CNAME or DNAME leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The name, uncompressed, in the case of the file.
    pub(super) wire: Box<[u8]>,
    /// Whether the name itself is in a zone served here.
    pub(super) served: bool,
}

impl Rrset {
    /// Encodes the records of `owner` in a zone whose apex is `apex`; `served` says whether a name is in any zone.
    ///
    /// `None` when there is no record or when RDATA is longer than 65,535 octets.
    pub(super) fn encode(
        rtype: Rtype,
        ttl: u32,
        rdatas: &[Box<[u8]>],
        owner: &Name,
        apex: &Name,
        served: impl Fn(&Name) -> bool,
    ) -> Option<Self> {
        let mut wire = Vec::with_capacity(rdatas.iter().map(|rdata| FIXED + rdata.len()).sum());
        let mut pointers = Vec::new();
        for rdata in rdatas {
            wire.extend_from_slice(&QUESTION.to_be_bytes());
            wire.extend_from_slice(&rtype.0.to_be_bytes());
            wire.extend_from_slice(&crate::dns::Class::IN.0.to_be_bytes());
            wire.extend_from_slice(&record_ttl(rtype, ttl, rdata).to_be_bytes());
            let length_at = wire.len();
            wire.extend_from_slice(&[0, 0]);
            compress(rtype, rdata, owner, apex, &mut wire, &mut pointers);
            let length = u16::try_from(wire.len() - length_at - 2).ok()?;
            u16::try_from(rdata.len()).ok()?;
            wire[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        }
        let target = match rtype {
            Rtype::CNAME | Rtype::DNAME => rdatas.first().and_then(|rdata| Name::from_wire(rdata).ok()),
            _ => None,
        };
        (!rdatas.is_empty()).then(|| Self {
            rtype,
            ttl,
            count: u16::try_from(rdatas.len()).unwrap_or(u16::MAX),
            wire: wire.into_boxed_slice(),
            pointers: pointers.into_boxed_slice(),
            target: target.map(|name| Target { served: served(&name), wire: name.wire().into() }),
        })
    }

    /// Where the RDATA of each record starts in `wire`.
    pub(super) fn rdata_offsets(&self) -> impl Iterator<Item = usize> {
        let mut at = 0;
        std::iter::from_fn(move || {
            (at < self.wire.len()).then(|| {
                let rdata = at + FIXED;
                at = record_end(&self.wire, at);
                rdata
            })
        })
    }

    /// The RDATA of each record, uncompressed.
    pub(super) fn rdatas(&self, owner: &Name, apex: &Name) -> Vec<Box<[u8]>> {
        let mut records = Vec::new();
        self.each_in_full(owner.wire(), apex, |_, rdata| records.push(rdata.concat().into_boxed_slice()));
        records
    }

    /// Appends the records with owners and RDATA in full: for the rare message whose pointers cannot reach.
    pub(super) fn append_in_full(&self, owner: &[u8], apex: &Name, message: &mut Vec<u8>) {
        self.each_in_full(owner, apex, |fixed, rdata| {
            message.extend_from_slice(owner);
            message.extend_from_slice(fixed);
            let length: usize = rdata.iter().map(|part| part.len()).sum();
            message.extend_from_slice(&(length as u16).to_be_bytes());
            for part in rdata {
                message.extend_from_slice(part);
            }
        });
    }

    /// Calls `take` for each record with its type, class and TTL and with its RDATA in parts, the names completed.
    fn each_in_full(&self, owner: &[u8], apex: &Name, mut take: impl FnMut(&[u8], &[&[u8]])) {
        let mut pointers = self.pointers.iter().peekable();
        let mut at = 0;
        while at < self.wire.len() {
            let end = record_end(&self.wire, at);
            // At most two names stand in one RDATA: at most two pieces end in a pointer, and a piece follows.
            let mut parts: [&[u8]; 5] = [&[]; 5];
            let mut used = 0;
            let mut from = at + FIXED;
            while let Some(pointer) = pointers.next_if(|pointer| (pointer.at as usize) < end) {
                let at = pointer.at as usize;
                parts[used] = &self.wire[from..at];
                parts[used + 1] = match pointer.base {
                    Base::Apex => apex.wire(),
                    Base::Owner => owner,
                };
                used += 2;
                from = at + 2;
            }
            parts[used] = &self.wire[from..end];
            take(&self.wire[at + 2..at + 10], &parts[..=used]);
            at = end;
        }
    }
}

/// Where the record that starts at `at` ends.
pub(super) fn record_end(wire: &[u8], at: usize) -> usize {
    at + FIXED + usize::from(u16::from_be_bytes([wire[at + 10], wire[at + 11]]))
}

/// Largest TTL (RFC 2181 8), seconds: a receiver takes more for 0.
const MAX_TTL: u32 = (1 << 31) - 1;

/// Every RRSIG has the TTL of the RRset that it covers, which its RDATA holds (RFC 4034 3); the set of them has none.
fn record_ttl(rtype: Rtype, ttl: u32, rdata: &[u8]) -> u32 {
    match rdata.get(4..8) {
        Some(original) if rtype == Rtype::RRSIG => {
            original.iter().fold(0, |value, octet| value << 8 | u32::from(*octet)).min(MAX_TTL)
        }
        _ => ttl,
    }
}

fn compress(rtype: Rtype, rdata: &[u8], owner: &Name, apex: &Name, wire: &mut Vec<u8>, pointers: &mut Vec<Pointer>) {
    let (mut at, names) = match rtype {
        Rtype::NS | Rtype::CNAME | Rtype::PTR => (0, 1),
        Rtype::MX => (2, 1),
        Rtype::SOA => (0, 2),
        _ => (rdata.len(), 0),
    };
    let plain = at.min(rdata.len());
    wire.extend_from_slice(&rdata[..plain]);
    for _ in 0..names {
        let Some(Ok((name, used))) = rdata.get(at..).map(Name::from_wire_prefix) else { break };
        // What a wildcard gives has another owner. A pointer to the root label would be longer than the label.
        let base = if rtype == Rtype::NS && !owner.is_wildcard() && name.is_at_or_below(owner) {
            Some((Base::Owner, owner))
        } else {
            Some((Base::Apex, apex)).filter(|_| name.is_at_or_below(apex))
        };
        match base.filter(|(_, suffix)| !suffix.is_root()) {
            Some((base, suffix)) => {
                wire.extend_from_slice(&name.wire()[..used - suffix.wire().len()]);
                pointers.push(Pointer { at: wire.len() as u32, base });
                wire.extend_from_slice(&QUESTION.to_be_bytes());
            }
            None => wire.extend_from_slice(name.wire()),
        }
        at += used;
    }
    wire.extend_from_slice(rdata.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text, Some(&Name::root())).unwrap()
    }

    fn rdata(parts: &[&[u8]]) -> Box<[u8]> {
        parts.concat().into_boxed_slice()
    }

    fn check(rtype: Rtype, rdatas: &[Box<[u8]>], apex: &str, compressed: usize) {
        check_at("www.example.net.", rtype, rdatas, apex, compressed);
    }

    fn check_at(owner: &str, rtype: Rtype, rdatas: &[Box<[u8]>], apex: &str, compressed: usize) {
        let (owner, apex) = (name(owner), name(apex));
        let rrset = Rrset::encode(rtype, 60, rdatas, &owner, &apex, |_| false).unwrap();
        assert_eq!(rrset.wire.len(), rdatas.len() * FIXED + compressed, "{rtype}");
        assert_eq!(rrset.rdatas(&owner, &apex), rdatas, "{rtype}");
    }

    #[test]
    fn rfc3597_section_4_compresses_only_the_well_known_types() {
        let inside = name("a.example.net.");
        let outside = name("a.example.org.");
        check(Rtype::CNAME, &[inside.wire().into()], "example.net.", 4);
        check(Rtype::CNAME, &[outside.wire().into()], "example.net.", outside.wire().len());
        check(Rtype::NS, &[inside.wire().into(), name("example.net.").wire().into()], "example.net.", 6);
        check(Rtype::MX, &[rdata(&[&[0, 10], inside.wire()])], "example.net.", 6);
        check(Rtype::SOA, &[rdata(&[inside.wire(), outside.wire(), &[0; 20]])], "example.net.", 4 + 15 + 20);
        check(Rtype::SOA, &[rdata(&[inside.wire(), inside.wire(), &[7; 20]])], "example.net.", 4 + 4 + 20);
        check(Rtype::SRV, &[rdata(&[&[0; 6], inside.wire()])], "example.net.", 6 + inside.wire().len());
        check(Rtype::DNAME, &[inside.wire().into()], "example.net.", inside.wire().len());
        check(Rtype::PTR, &[inside.wire().into()], ".", inside.wire().len());
        check(Rtype::NS, &[Box::new([3, b'x'])], "example.net.", 2);
        let below: Box<[u8]> = name("ns.sub.example.net.").wire().into();
        check_at("sub.example.net.", Rtype::NS, std::slice::from_ref(&below), "example.net.", 5);
        check_at("sub.example.net.", Rtype::MX, &[rdata(&[&[0, 1], &below])], "example.net.", 2 + 3 + 4 + 2);
        check_at("*.example.net.", Rtype::NS, &[name("a.*.example.net.").wire().into()], "example.net.", 6);
        check_at("net.", Rtype::NS, &[inside.wire().into()], ".", inside.wire().len() - 3);
        check(Rtype::MX, &[Box::new([3])], "example.net.", 1);
    }

    #[test]
    fn rfc4034_section_3_rrsig_has_the_ttl_of_what_it_covers() {
        let signature = |ttl: u32| rdata(&[&[0, 1, 13, 2], &ttl.to_be_bytes(), &[0; 10], b"\0", &[1; 64]]);
        let rrset =
            Rrset::encode(Rtype::RRSIG, 5, &[signature(300), signature(u32::MAX)], &name("a."), &name("a."), |_| false)
                .unwrap();
        let ttls: Vec<u32> = rrset
            .rdata_offsets()
            .map(|at| {
                u32::from_be_bytes([rrset.wire[at - 6], rrset.wire[at - 5], rrset.wire[at - 4], rrset.wire[at - 3]])
            })
            .collect();
        assert_eq!(ttls, [300, MAX_TTL]);
    }

    #[test]
    fn nothing_and_too_much_do_not_encode() {
        let encode = |rdatas: &[Box<[u8]>]| Rrset::encode(Rtype::TXT, 5, rdatas, &name("a."), &name("a."), |_| false);
        assert!(encode(&[]).is_none());
        assert!(encode(&[vec![0; 65_536].into()]).is_none());
        assert!(encode(&[vec![0; 65_535].into()]).is_some());
    }
}
