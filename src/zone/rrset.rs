//! An RRset as it is kept and as it is copied into a response: the same octets.
//!
//! ```text
//! RRset:   length of the records | number of records | number of pointers | pointers | records
//! record:  0xc00c | type | class | TTL | RDLENGTH | RDATA                          (RFC 1035 3.2.1)
//! ```
//!
//! Numbers in front of the records have seven bits an octet, the lowest first; an octet below 128 is the last.
//!
//! The owner of every record is a pointer to the question's name, which is right as it stands for most answers and
//! patched for the others. A name in the RDATA of NS, CNAME, SOA, PTR or MX that ends in the zone's apex is cut there and
//! ends in two octets as well, for the apex has a place in every message: it is a suffix of the name that was asked.
//! Name servers below the cut that they serve end in a pointer to its name. Types of later specifications are never
//! compressed (RFC 3597 4). A pointer is noted as twice its offset in the records, plus one where it means the owner; the
//! number of pointers as four times that number, plus two where the records are a hub's own and no zone file's, plus one
//! where they are known to lead to a name that is not served.

use std::num::NonZeroUsize;

use crate::dns::{Class, Name, Rtype};

/// A compression pointer to the question's name (RFC 1035 4.1.4).
pub(crate) const QUESTION: u16 = 0xc000 | crate::dns::HEADER as u16;

/// Octets of a compression pointer.
pub(crate) const POINTER: usize = 2;

/// Octets of a record in front of its RDATA: owner pointer, type, class, TTL, RDLENGTH (RFC 1035 3.2.1).
pub(crate) const FIXED: usize = 12;

/// Largest TTL (RFC 2181 8), seconds: a receiver takes more for 0.
const MAX_TTL: u32 = (1 << 31) - 1;

/// The records of one owner and type, ready to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rrset<'a> {
    /// Number of records.
    pub(crate) count: u16,
    /// The records, at least one.
    pub(crate) wire: &'a [u8],
    pointers: &'a [u8],
    /// Whether the records are known to lead to a name that is not served.
    pub(crate) leaves: bool,
    /// Whether the records are a hub's own: what is said of TTLs in the policy is said of them.
    pub(crate) own: bool,
}

/// A compression pointer inside the RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// Where in the records it stands.
    pub(crate) at: usize,
    pub(crate) base: Base,
}

/// What a compression pointer points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// The apex of the zone.
    Apex,
    /// The owner of the RRset.
    Owner,
}

impl<'a> Rrset<'a> {
    /// The RRset at the start of `octets`, and what follows it.
    #[inline(always)]
    pub(crate) fn read(octets: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, rest) = number(octets)?;
        let (count, rest) = number(rest)?;
        let (noted, rest) = number(rest)?;
        let (leaves, own) = (noted & 1 != 0, noted & 2 != 0);
        let (pointers, rest) = match noted >> 2 {
            0 => (&[][..], rest),
            some => rest.split_at_checked(pointers_octets(some, rest)?.get())?,
        };
        let (wire, rest) = rest.split_at_checked(length)?;
        Some((Self { count: count as u16, wire, pointers, leaves, own }, rest))
    }

    /// The type of all records.
    #[inline(always)]
    pub(crate) fn rtype(&self) -> Rtype {
        Rtype(u16::from_be_bytes([self.wire[2], self.wire[3]]))
    }

    /// The TTL of all records, seconds; of RRSIG, where each has that of what it covers, the first one's.
    pub(crate) fn ttl(&self) -> u32 {
        u32::from_be_bytes([self.wire[6], self.wire[7], self.wire[8], self.wire[9]])
    }

    /// Whether a pointer stands in the RDATA.
    #[inline(always)]
    pub(crate) fn has_pointers(&self) -> bool {
        !self.pointers.is_empty()
    }

    /// The pointers in the RDATA, in order.
    #[inline(always)]
    pub(crate) fn pointers(&self) -> impl Iterator<Item = Pointer> + use<'a> {
        let mut rest = self.pointers;
        std::iter::from_fn(move || {
            let (noted, after) = number(rest)?;
            rest = after;
            Some(Pointer { at: noted >> 1, base: if noted & 1 == 0 { Base::Apex } else { Base::Owner } })
        })
    }

    /// Where the RDATA of each record starts in the records.
    pub(crate) fn rdata_offsets(&self) -> impl Iterator<Item = usize> + use<'a> {
        let wire = self.wire;
        let mut at = 0;
        std::iter::from_fn(move || {
            (at < wire.len()).then(|| {
                let rdata = at + FIXED;
                at = record_end(wire, at);
                rdata
            })
        })
    }

    /// The RDATA of each record, uncompressed.
    pub(crate) fn rdatas(&self, owner: &Name, apex: &Name) -> Vec<Box<[u8]>> {
        let mut records = Vec::new();
        self.each_in_full(owner.wire(), apex.wire(), |_, rdata| records.push(rdata.concat().into_boxed_slice()));
        records
    }

    /// The name that a record of a type with one name, such as CNAME, leads to: the RDATA from `skipped` on.
    pub(crate) fn target(&self, owner: &Name, apex: &Name, skipped: usize) -> Option<Name> {
        Name::from_wire(self.rdatas(owner, apex).first()?.get(skipped..)?).ok()
    }

    /// Appends the records with owners and RDATA in full: for the rare message whose pointers cannot reach.
    pub(crate) fn append_in_full(&self, owner: &[u8], apex: &[u8], message: &mut Vec<u8>) {
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
    pub(crate) fn each_in_full(&self, owner: &[u8], apex: &[u8], mut take: impl FnMut(&[u8], &[&[u8]])) {
        let mut pointers = self.pointers().peekable();
        let mut at = 0;
        while at < self.wire.len() {
            let end = record_end(self.wire, at);
            // At most two names stand in one RDATA: at most two pieces end in a pointer, and a piece follows.
            let mut parts: [&[u8]; 5] = [&[]; 5];
            let mut used = 0;
            let mut from = at + FIXED;
            while let Some(pointer) = pointers.next_if(|pointer| pointer.at < end) {
                parts[used] = &self.wire[from..pointer.at];
                parts[used + 1] = match pointer.base {
                    Base::Apex => apex,
                    Base::Owner => owner,
                };
                used += 2;
                from = pointer.at + 2;
            }
            parts[used] = &self.wire[from..end];
            take(&self.wire[at + 2..at + 10], &parts[..=used]);
            at = end;
        }
    }
}

/// What stands at one name: a number, and so many RRsets in order of their types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rrsets<'a> {
    count: usize,
    octets: &'a [u8],
}

impl<'a> Rrsets<'a> {
    /// The RRsets at the start of `octets`.
    #[inline(always)]
    pub(crate) fn read(octets: &'a [u8]) -> Self {
        let (count, octets) = number(octets).unwrap_or_default();
        Self { count, octets }
    }

    #[inline(always)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = Rrset<'a>> + use<'a> {
        let Self { mut count, mut octets } = *self;
        std::iter::from_fn(move || {
            count = count.checked_sub(1)?;
            let (rrset, rest) = Rrset::read(octets)?;
            octets = rest;
            Some(rrset)
        })
    }

    /// The RRset of a type.
    #[inline(always)]
    pub(crate) fn of_type(&self, rtype: Rtype) -> Option<Rrset<'a>> {
        let mut octets = self.octets;
        for _ in 0..self.count {
            let (rrset, rest) = Rrset::read(octets)?;
            if rrset.rtype() == rtype {
                return Some(rrset);
            }
            octets = rest;
        }
        None
    }

    /// The RRset of a type or, where there is none, the CNAME, in one pass.
    #[inline(always)]
    pub(crate) fn of_type_or_alias(&self, rtype: Rtype) -> Option<Rrset<'a>> {
        let mut octets = self.octets;
        for passed in 0..self.count {
            let (rrset, rest) = Rrset::read(octets)?;
            let found = rrset.rtype();
            if found == rtype {
                return Some(rrset);
            }
            if found == Rtype::CNAME {
                // Beside it is what DNSSEC says of it, or nothing.
                let others = Self { count: self.count - passed - 1, octets: rest };
                return if others.is_empty() { Some(rrset) } else { others.behind(rtype).or(Some(rrset)) };
            }
            octets = rest;
        }
        None
    }

    /// [`Rrsets::of_type`] for what is seldom asked.
    #[cold]
    #[inline(never)]
    fn behind(&self, rtype: Rtype) -> Option<Rrset<'a>> {
        self.of_type(rtype)
    }

    /// Whether there is none: the name of an empty non-terminal.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What follows them.
    pub(crate) fn rest(&self) -> &'a [u8] {
        let mut octets = self.octets;
        for _ in 0..self.count {
            octets = Rrset::read(octets).map_or(&[], |(_, rest)| rest);
        }
        octets
    }

    /// The octets of the RRsets, without their number.
    pub(crate) fn octets(&self) -> &'a [u8] {
        &self.octets[..self.octets.len() - self.rest().len()]
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }
}

/// Sets the TTL of all `records`, whose owners take `owner` octets each.
#[inline]
pub(crate) fn set_ttl(records: &mut [u8], owner: usize, ttl: u32) {
    let mut at = 0;
    // The owner, type and class; TTL; RDLENGTH and RDATA.
    while let Some([t0, t1, t2, t3, high, low]) =
        records.get_mut(at + owner + 4..).and_then(|rest| rest.first_chunk_mut())
    {
        [*t0, *t1, *t2, *t3] = ttl.to_be_bytes();
        at += owner + 10 + usize::from(u16::from_be_bytes([*high, *low]));
    }
}

/// Where the record that starts at `at` ends.
#[inline]
pub(crate) fn record_end(wire: &[u8], at: usize) -> usize {
    at + FIXED + usize::from(u16::from_be_bytes([wire[at + 10], wire[at + 11]]))
}

/// Writes RRsets; its buffers are used again.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    wire: Vec<u8>,
    pointers: Vec<u8>,
    /// What is said of the RRsets to come: that they are known to lead to a name that is not served.
    pub(crate) leaves: bool,
    /// And that they are a hub's own.
    pub(crate) own: bool,
}

/// An RRset has no record, or a record has more RDATA than its length can say (RFC 1035 3.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unencodable;

impl Encoder {
    /// Appends the records of `owner` in a zone whose apex is `apex`, both in wire form.
    ///
    /// # Errors
    /// When there is no record, or RDATA of more than 65,535 octets; `out` is as before.
    pub(crate) fn encode<'r>(
        &mut self,
        rtype: Rtype,
        ttl: u32,
        rdatas: impl IntoIterator<Item = &'r [u8]>,
        owner: &[u8],
        apex: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        self.wire.clear();
        self.pointers.clear();
        let (mut count, mut pointers) = (0_usize, 0);
        for rdata in rdatas {
            if rdata.len() > usize::from(u16::MAX) {
                return Err(Unencodable);
            }
            let [type_high, type_low] = rtype.0.to_be_bytes();
            let [class_high, class_low] = Class::IN.0.to_be_bytes();
            let [t0, t1, t2, t3] = record_ttl(rtype, ttl, rdata).to_be_bytes();
            let [owner_high, owner_low] = QUESTION.to_be_bytes();
            self.wire.extend_from_slice(&[
                owner_high, owner_low, type_high, type_low, class_high, class_low, t0, t1, t2, t3, 0, 0,
            ]);
            let rdata_at = self.wire.len();
            pointers += self.compress(rtype, rdata, owner, apex);
            // Compressed, it is not longer than it was.
            let length = (self.wire.len() - rdata_at) as u16;
            self.wire[rdata_at - 2..rdata_at].copy_from_slice(&length.to_be_bytes());
            count += 1;
        }
        if count == 0 {
            return Err(Unencodable);
        }
        put_number(self.wire.len(), out);
        // More records than a section can count are more octets than a message can hold.
        put_number(count.min(usize::from(u16::MAX)), out);
        put_number(pointers << 2 | usize::from(self.own) << 1 | usize::from(self.leaves), out);
        out.extend_from_slice(&self.pointers);
        out.extend_from_slice(&self.wire);
        Ok(())
    }

    /// Appends RDATA with what can be a pointer, and says how many there are.
    fn compress(&mut self, rtype: Rtype, rdata: &[u8], owner: &[u8], apex: &[u8]) -> usize {
        let (mut at, names) = match rtype {
            Rtype::NS | Rtype::CNAME | Rtype::PTR => (0, 1),
            Rtype::MX => (2, 1),
            Rtype::SOA => (0, 2),
            _ => (rdata.len(), 0),
        };
        at = at.min(rdata.len());
        self.wire.extend_from_slice(&rdata[..at]);
        let mut pointers = 0;
        for _ in 0..names {
            let Some(name) = rdata.get(at..).and_then(name_prefix) else { break };
            // What a wildcard gives has another owner. A pointer to the root label would be longer than the label.
            let base = if rtype == Rtype::NS && !owner.starts_with(b"\x01*") && ends_in(name, owner) {
                Some((Base::Owner, owner))
            } else {
                Some((Base::Apex, apex)).filter(|_| ends_in(name, apex))
            };
            match base.filter(|(_, suffix)| suffix.len() > 1) {
                Some((base, suffix)) => {
                    self.wire.extend_from_slice(&name[..name.len() - suffix.len()]);
                    put_number(self.wire.len() << 1 | usize::from(base == Base::Owner), &mut self.pointers);
                    self.wire.extend_from_slice(&QUESTION.to_be_bytes());
                    pointers += 1;
                }
                None => self.wire.extend_from_slice(name),
            }
            at += name.len();
        }
        self.wire.extend_from_slice(rdata.get(at..).unwrap_or_default());
        pointers
    }
}

/// The uncompressed name at the start of RDATA.
fn name_prefix(octets: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let label = usize::from(*octets.get(at)?);
        at += 1 + label;
        if label > 63 || at > 255 {
            return None;
        }
        if label == 0 {
            return Some(&octets[..at]);
        }
    }
}

/// Whether a name in wire form is `suffix` or below it.
pub(crate) fn ends_in(name: &[u8], suffix: &[u8]) -> bool {
    let Some(kept) = name.len().checked_sub(suffix.len()) else { return false };
    if !name[kept..].eq_ignore_ascii_case(suffix) {
        return false;
    }
    // The same octets may stand there by chance: the suffix has to begin with a label.
    let mut at = 0;
    while at < kept {
        at += 1 + usize::from(name[at]);
    }
    at == kept
}

/// Every RRSIG has the TTL of the RRset that it covers, which its RDATA holds (RFC 4034 3); the set of them has none.
fn record_ttl(rtype: Rtype, ttl: u32, rdata: &[u8]) -> u32 {
    match rdata.get(4..8) {
        Some(original) if rtype == Rtype::RRSIG => {
            original.iter().fold(0, |value, octet| value << 8 | u32::from(*octet)).min(MAX_TTL)
        }
        _ => ttl,
    }
}

/// Octets of so many pointers at the start of `octets`.
///
/// What is read out of line fits two registers: through memory it would cost every RRset that has none of it, too.
#[inline(never)]
fn pointers_octets(mut pointers: usize, octets: &[u8]) -> Option<NonZeroUsize> {
    let mut at = 0;
    while pointers > 0 {
        pointers -= usize::from(*octets.get(at)? < 0x80);
        at += 1;
    }
    NonZeroUsize::new(at)
}

/// Reads a number of seven bits an octet.
#[inline(always)]
pub(crate) fn number(octets: &[u8]) -> Option<(usize, &[u8])> {
    match octets.split_first()? {
        (first, rest) if *first < 0x80 => Some((usize::from(*first), rest)),
        _ => {
            let (value, taken) = long_number(octets)?;
            Some((value, octets.get(taken.get()..)?))
        }
    }
}

/// A number and its octets.
#[inline(never)]
fn long_number(octets: &[u8]) -> Option<(usize, NonZeroUsize)> {
    let (mut value, mut at) = (0, 0);
    loop {
        let octet = *octets.get(at)?;
        value |= usize::from(octet & 0x7f) << (7 * at);
        at += 1;
        if octet < 0x80 {
            return NonZeroUsize::new(at).map(|taken| (value, taken));
        }
        if at > 4 {
            return None;
        }
    }
}

/// Appends a number below 2^35.
pub(crate) fn put_number(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
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

    fn encode(rtype: Rtype, ttl: u32, rdatas: &[Box<[u8]>], owner: &str, apex: &str) -> Result<Vec<u8>, Unencodable> {
        let mut out = vec![0x55];
        let rdatas = rdatas.iter().map(|rdata| &**rdata);
        let encoded = Encoder::default().encode(rtype, ttl, rdatas, name(owner).wire(), name(apex).wire(), &mut out);
        assert_eq!(out.len() == 1, encoded.is_err());
        encoded.map(|()| out.split_off(1))
    }

    fn check(rtype: Rtype, rdatas: &[Box<[u8]>], apex: &str, compressed: usize) {
        check_at("www.example.net.", rtype, rdatas, apex, compressed);
    }

    fn check_at(owner: &str, rtype: Rtype, rdatas: &[Box<[u8]>], apex: &str, compressed: usize) {
        let mut octets = encode(rtype, 60, rdatas, owner, apex).unwrap();
        octets.extend_from_slice(b"rest");
        let (rrset, rest) = Rrset::read(&octets).unwrap();
        assert_eq!(rest, b"rest");
        assert_eq!((rrset.rtype(), rrset.ttl(), usize::from(rrset.count)), (rtype, 60, rdatas.len()));
        assert_eq!(rrset.wire.len(), rdatas.len() * FIXED + compressed, "{rtype}");
        assert_eq!(rrset.rdatas(&name(owner), &name(apex)), rdatas, "{rtype}");
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
    fn a_suffix_begins_with_a_label() {
        let check = |name: &[u8], suffix: &[u8], expected| assert_eq!(ends_in(name, suffix), expected, "{name:?}");
        check(b"\x01a\x02Bc\0", b"\x02bC\0", true);
        check(b"\x02bc\0", b"\x02bc\0", true);
        check(b"\x02bc\0", b"\0", true);
        check(b"\x05a\x02bcd\0", b"\x02bc\0", false);
        check(b"\x04a\x02bc\0", b"\x02bc\0", false);
        check(b"\0", b"\x02bc\0", false);
    }

    #[test]
    fn rfc4034_section_3_rrsig_has_the_ttl_of_what_it_covers() {
        let signature = |ttl: u32| rdata(&[&[0, 1, 13, 2], &ttl.to_be_bytes(), &[0; 10], b"\0", &[1; 64]]);
        let octets = encode(Rtype::RRSIG, 5, &[signature(300), signature(u32::MAX)], "a.", "a.").unwrap();
        let (rrset, _) = Rrset::read(&octets).unwrap();
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
        let encode = |rdatas: &[Box<[u8]>]| encode(Rtype::TXT, 5, rdatas, "a.", "a.");
        assert!(encode(&[]).is_err());
        assert!(encode(&[vec![0; 65_536].into()]).is_err());
        assert!(encode(&[vec![0; 65_535].into()]).is_ok());
        let many = encode(&vec![Box::default(); 65_536]).unwrap();
        assert_eq!(Rrset::read(&many).unwrap().0.count, u16::MAX);
    }

    #[test]
    fn numbers_of_every_length_come_back_and_cut_ones_do_not() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX as usize, (1 << 35) - 1] {
            let mut octets = Vec::new();
            put_number(value, &mut octets);
            assert_eq!(number(&octets), Some((value, &[][..])));
            assert_eq!(number(&octets[..octets.len() - 1]), None);
        }
    }

    #[test]
    fn octets_that_end_too_early_are_no_rrset() {
        let mut octets = encode(Rtype::NS, 5, &[name("b.a.").wire().into()], "a.", "a.").unwrap();
        assert!(Rrset::read(&octets).is_some());
        while octets.pop().is_some() {
            assert!(Rrset::read(&octets).is_none());
        }
    }
}
