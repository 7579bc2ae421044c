//! An RRset as it is copied into a response.
//!
//! Every record is encoded once, at load, with two octets in the place of its owner: a pointer to the question's name,
//! which is right as it stands for most answers and patched for the others. A name in the RDATA of NS, CNAME, SOA, PTR
//! or MX that ends in the zone's apex is cut there and ends in two octets as well, for the apex has a place in every
//! message: it is a suffix of the name that was asked. Types of later specifications are never compressed (RFC 3597 4).

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
    /// Where in `wire` a pointer to the zone's apex stands.
    pub(super) apex_pointers: Box<[u32]>,
    /// Where CNAME and DNAME lead.
    pub(super) target: Option<Target>,
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
    /// Encodes the records of a zone whose apex is `apex`; `served` says whether a name is in any zone.
    ///
    /// `None` when there is no record or when RDATA is longer than 65,535 octets.
    pub(super) fn encode(
        rtype: Rtype,
        ttl: u32,
        rdatas: &[Box<[u8]>],
        apex: &Name,
        served: impl Fn(&Name) -> bool,
    ) -> Option<Self> {
        let mut wire = Vec::with_capacity(rdatas.iter().map(|rdata| FIXED + rdata.len()).sum());
        let mut apex_pointers = Vec::new();
        for rdata in rdatas {
            wire.extend_from_slice(&QUESTION.to_be_bytes());
            wire.extend_from_slice(&rtype.0.to_be_bytes());
            wire.extend_from_slice(&crate::dns::Class::IN.0.to_be_bytes());
            wire.extend_from_slice(&record_ttl(rtype, ttl, rdata).to_be_bytes());
            let length_at = wire.len();
            wire.extend_from_slice(&[0, 0]);
            compress(rtype, rdata, apex, &mut wire, &mut apex_pointers);
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
            apex_pointers: apex_pointers.into_boxed_slice(),
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
    pub(super) fn rdatas(&self, apex: &Name) -> Vec<Box<[u8]>> {
        let mut records = Vec::new();
        self.each_in_full(apex, |_, rdata| records.push(rdata.concat().into_boxed_slice()));
        records
    }

    /// Appends the records with owners and RDATA in full: for the rare message whose pointers cannot reach.
    pub(super) fn append_in_full(&self, owner: &[u8], apex: &Name, message: &mut Vec<u8>) {
        self.each_in_full(apex, |fixed, rdata| {
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
    fn each_in_full(&self, apex: &Name, mut take: impl FnMut(&[u8], &[&[u8]])) {
        let mut pointers = self.apex_pointers.iter().map(|at| *at as usize).peekable();
        let mut at = 0;
        while at < self.wire.len() {
            let end = record_end(&self.wire, at);
            // At most two names stand in one RDATA: at most two pieces end in the apex, and a piece follows.
            let mut parts: [&[u8]; 5] = [&[]; 5];
            let mut used = 0;
            let mut from = at + FIXED;
            while let Some(pointer) = pointers.next_if(|pointer| *pointer < end) {
                parts[used] = &self.wire[from..pointer];
                parts[used + 1] = apex.wire();
                used += 2;
                from = pointer + 2;
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

/// Every RRSIG has the TTL of the RRset that it covers, which its RDATA holds (RFC 4034 3); the set of them has none.
fn record_ttl(rtype: Rtype, ttl: u32, rdata: &[u8]) -> u32 {
    match rdata.get(4..8) {
        Some(original) if rtype == Rtype::RRSIG => {
            original.iter().fold(0, |value, octet| value << 8 | u32::from(*octet))
        }
        _ => ttl,
    }
}

fn compress(rtype: Rtype, rdata: &[u8], apex: &Name, wire: &mut Vec<u8>, apex_pointers: &mut Vec<u32>) {
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
        // A pointer to the root label would be longer than the label.
        if name.is_at_or_below(apex) && !apex.is_root() {
            wire.extend_from_slice(&name.wire()[..used - apex.wire().len()]);
            apex_pointers.push(wire.len() as u32);
            wire.extend_from_slice(&QUESTION.to_be_bytes());
        } else {
            wire.extend_from_slice(name.wire());
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
        let rrset = Rrset::encode(rtype, 60, rdatas, &name(apex), |_| false).unwrap();
        assert_eq!(rrset.wire.len(), rdatas.len() * FIXED + compressed, "{rtype}");
        assert_eq!(rrset.rdatas(&name(apex)), rdatas, "{rtype}");
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
        check(Rtype::MX, &[Box::new([3])], "example.net.", 1);
    }

    #[test]
    fn rfc4034_section_3_rrsig_has_the_ttl_of_what_it_covers() {
        let signature = |ttl: u32| rdata(&[&[0, 1, 13, 2], &ttl.to_be_bytes(), &[0; 10], b"\0", &[1; 64]]);
        let rrset = Rrset::encode(Rtype::RRSIG, 5, &[signature(300), signature(7200)], &name("a."), |_| false).unwrap();
        let ttls: Vec<u32> = rrset
            .rdata_offsets()
            .map(|at| {
                u32::from_be_bytes([rrset.wire[at - 6], rrset.wire[at - 5], rrset.wire[at - 4], rrset.wire[at - 3]])
            })
            .collect();
        assert_eq!(ttls, [300, 7200]);
    }

    #[test]
    fn nothing_and_too_much_do_not_encode() {
        let encode = |rdatas: &[Box<[u8]>]| Rrset::encode(Rtype::TXT, 5, rdatas, &name("a."), |_| false);
        assert!(encode(&[]).is_none());
        assert!(encode(&[vec![0; 65_536].into()]).is_none());
        assert!(encode(&[vec![0; 65_535].into()]).is_some());
    }
}
