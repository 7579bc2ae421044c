//! Records as they come, to the tree of the zone.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::{Record, Sink};
use super::store::{Builder, Entry, TooLarge, Tree};
use super::{Position, Positions};
use crate::dns::{Name, Rtype};

/// Records of one owner in a row for which no memory is asked.
const FEW: usize = 8;

/// Gathers the records of one owner that follow each other and hands them to the [`Builder`].
pub(super) struct Collector {
    builder: Builder,
    /// The owner of the records below, in wire form.
    owner: Vec<u8>,
    records: Vec<Held>,
    /// The RDATA of all of them.
    rdata: Vec<u8>,
    /// Types with the TTL of their first record.
    ttls: Vec<(Rtype, u32)>,
    beside: Beside,
    /// RRsets whose TTLs differ, by owner.
    uneven: Uneven,
}

/// RRsets whose records have different TTLs, by their owner in lower case.
pub(super) type Uneven = BTreeSet<(Box<[u8]>, Rtype)>;

/// The records of a zone, joined.
pub(super) struct Collected {
    pub(super) tree: Tree,
    /// Where the records at and above the hubs stand.
    pub(super) positions: Positions,
    pub(super) uneven: Uneven,
}

struct Held {
    rtype: Rtype,
    ttl: u32,
    /// Where its RDATA ends.
    end: usize,
}

impl Collector {
    /// For a zone in which the policy has hubs.
    pub(super) fn new(apex: &Name, hubs: &BTreeSet<Name>) -> Self {
        Self {
            builder: Builder::new(apex),
            owner: Vec::new(),
            records: Vec::new(),
            rdata: Vec::new(),
            ttls: Vec::new(),
            beside: Beside::new(apex, hubs),
            uneven: Uneven::new(),
        }
    }

    /// The zone.
    ///
    /// # Errors
    /// When it is too large.
    pub(super) fn finish(mut self) -> Result<Collected, TooLarge> {
        self.hand_over();
        let mut uneven = self.uneven;
        let tree = self.builder.finish_noting(&mut |owner, rtype| {
            uneven.insert((owner.into(), rtype));
        })?;
        Ok(Collected { tree, positions: self.beside.positions, uneven })
    }

    fn hand_over(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let Self { builder, owner, records, rdata, .. } = self;
        let mut start = 0;
        let entries = records.iter().map(|held| {
            let rdata = &rdata[start..held.end];
            start = held.end;
            Entry { rtype: held.rtype, ttl: held.ttl, rdata }
        });
        if entries.len() <= FEW {
            let mut few = [Entry { rtype: Rtype(0), ttl: 0, rdata: &[] }; FEW];
            let count = few.iter_mut().zip(entries).map(|(place, entry)| *place = entry).count();
            builder.add(owner, &few[..count]);
        } else {
            builder.add(owner, &entries.collect::<Vec<_>>());
        }
        if self.records.len() > 1 {
            self.compare_ttls();
        }
        self.records.clear();
        self.rdata.clear();
    }

    fn compare_ttls(&mut self) {
        self.ttls.clear();
        for held in &self.records {
            match self.ttls.iter().find(|(rtype, _)| *rtype == held.rtype) {
                None => self.ttls.push((held.rtype, held.ttl)),
                Some((_, first)) if *first != held.ttl => {
                    self.uneven.insert((self.owner.to_ascii_lowercase().into(), held.rtype));
                }
                Some(_) => {}
            }
        }
    }
}

impl Sink for Collector {
    fn take(&mut self, record: &Record<'_>) {
        if !self.owner.eq_ignore_ascii_case(record.owner) {
            self.hand_over();
            self.owner.clear();
            self.owner.extend_from_slice(record.owner);
        }
        self.rdata.extend_from_slice(record.rdata);
        self.records.push(Held { rtype: record.rtype, ttl: record.ttl, end: self.rdata.len() });
        self.beside.note(record);
    }
}

/// Notes where the records at and above hubs stand: what the policy's problems point at.
struct Beside {
    /// The names of hubs and those above them.
    names: BTreeSet<Box<[u8]>>,
    /// A bit for the hash of each, so that other names are told apart at little cost; no bits where there is no name.
    bits: Box<[u64]>,
    positions: Positions,
}

impl Beside {
    fn new(apex: &Name, hubs: &BTreeSet<Name>) -> Self {
        let mut names = BTreeSet::new();
        for hub in hubs.iter().filter(|hub| hub.is_at_or_below(apex)) {
            let above = std::iter::successors(Some(hub.clone()), Name::parent);
            // Once a name is known, so are those above it.
            let _ = above.take_while(|name| name.is_at_or_below(apex)).find(|name| !names.insert(name.key()));
        }
        let mut bits = vec![0; if names.is_empty() { 0 } else { (names.len() / 4).next_power_of_two().max(16) }];
        for name in &names {
            let (word, bit) = place(hash(name), bits.len());
            bits[word] |= bit;
        }
        Self { names, bits: bits.into(), positions: BTreeMap::new() }
    }

    fn note(&mut self, record: &Record<'_>) {
        if self.bits.is_empty() {
            return;
        }
        let (word, bit) = place(hash(record.owner), self.bits.len());
        if self.bits[word] & bit == 0 {
            return;
        }
        let owner = record.owner.to_ascii_lowercase().into_boxed_slice();
        if self.names.contains(&owner) {
            let position = Position { file: record.head.file, line: record.line };
            self.positions.entry(owner).or_default().entry(record.rtype).or_insert(position);
        }
    }
}

fn place(hash: u64, words: usize) -> (usize, u64) {
    ((hash >> 32) as usize & (words - 1), 1 << (hash & 63))
}

/// A number for the start of a name without regard to case.
fn hash(name: &[u8]) -> u64 {
    let mut start = [0; 16];
    let length = name.len().min(16);
    start[..length].copy_from_slice(&name[..length]);
    // Letters that differ in this bit only are of different case; that others are taken for equal does no harm.
    let folded = u128::from_le_bytes(start) | u128::from_ne_bytes([0x20; 16]);
    let words = (folded as u64) ^ ((folded >> 64) as u64).rotate_left(29) ^ name.len() as u64;
    let product = u128::from(words) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}
