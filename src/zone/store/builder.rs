//! Records of a zone, in whatever order they come, to its tree.

use std::collections::{BTreeMap, BTreeSet};

use super::super::rdata;
use super::super::rrset::{Encoder, ends_in, put_number};
use super::{NodeId, TooLarge, Tree, UNIT, rehash};
use crate::dns::hash::Index;
use crate::dns::{Name, Rtype};

/// One record of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) rtype: Rtype,
    /// Seconds.
    pub(crate) ttl: u32,
    /// Uncompressed, at most 65,535 octets.
    pub(crate) rdata: &'a [u8],
}

/// Takes in the records of a zone and makes the tree of them.
#[derive(Debug)]
pub(crate) struct Builder {
    tree: Tree,
    nodes: usize,
    writer: Writer,
    pace: Pace,
    too_large: bool,
}

/// Lets others have the core every now and then: a large zone is read while queries are answered on the same cores, and
/// who answers should not have to wait for the end of a time slice.
#[derive(Debug, Default)]
pub(in crate::zone) struct Pace(u8);

impl Pace {
    /// Notes that a name was worked on, which takes less than a microsecond.
    #[inline]
    pub(in crate::zone) fn step(&mut self) {
        self.0 = self.0.wrapping_add(1);
        if self.0 == 0 {
            std::thread::yield_now();
        }
    }
}

/// Writes the RRsets of a node; its buffers are used again.
#[derive(Debug, Default)]
pub(super) struct Writer {
    encoder: Encoder,
    order: Vec<u32>,
    pub(super) rrsets: Vec<u8>,
}

impl Builder {
    /// An empty zone.
    pub(crate) fn new(apex: &Name) -> Self {
        let tree = Tree {
            apex: apex.clone(),
            apex_key: apex.key(),
            // No node is at 0, which stands for none.
            octets: vec![0; UNIT],
            index: Index::default(),
            records: 0,
            max_labels: 0,
        };
        Self { tree, nodes: 0, writer: Writer::default(), pace: Pace::default(), too_large: false }
    }

    /// Adds records of one owner, in the order of the file; an owner may come several times.
    ///
    /// `owner` is its uncompressed wire form as written, at or below the apex.
    pub(crate) fn add(&mut self, owner: &[u8], records: &[Entry<'_>]) {
        debug_assert!(ends_in(owner, &self.tree.apex_key), "the owner is in the zone");
        if records.is_empty() {
            return;
        }
        self.tree.records += self.writer.write(owner, self.tree.apex.wire(), records);
        self.pace.step();
        let key = &owner[..owner.len() - self.tree.apex_key.len()];
        self.too_large |= self.tree.append(key, None, &self.writer.rrsets).is_none();
        self.nodes += 1;
    }

    /// [`Builder::finish_noting`] for who wants no notes.
    ///
    /// # Errors
    /// As there.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn finish(self) -> Result<Tree, TooLarge> {
        self.finish_noting(&mut |_, _| {})
    }

    /// Joins what was added for one owner, adds the names that exist without records, and indexes all. `uneven` is told
    /// of the owner, in lower case, and the type of RRsets that came in several parts of different TTLs.
    ///
    /// # Errors
    /// When it needs more than 16 GiB.
    pub(crate) fn finish_noting(self, uneven: &mut dyn FnMut(&[u8], Rtype)) -> Result<Tree, TooLarge> {
        let Self { mut tree, nodes, mut writer, mut pace, mut too_large } = self;
        if too_large {
            return Err(TooLarge);
        }
        tree.index = Index::with_capacity(nodes + 1, tree.end() + tree.end() / 8);
        // Added several times: by the first node.
        let mut split: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        let mut next = 1;
        while next < tree.end() {
            let node = tree.node(next);
            let (hash, after) = (node.hash(), node.after());
            match tree.find_key(hash, node.key()) {
                Some(first) => split.entry(first).or_default().push(next),
                None => tree.index.insert(hash, next, |id| rehash(&tree.apex_key, &tree.octets, id)),
            }
            next = after;
            pace.step();
        }
        for (first, others) in split {
            let nodes: Vec<NodeId> = [first].into_iter().chain(others).collect();
            too_large |= tree.join(&nodes, &mut writer, uneven).is_none();
        }
        too_large |= tree.link_all(&mut pace).is_none();
        tree.octets.shrink_to_fit();
        if too_large { Err(TooLarge) } else { Ok(tree) }
    }
}

impl Writer {
    /// Writes the RRsets of one owner in order of their types, without duplicates (RFC 2181 5) and with the lowest TTL
    /// of each (RFC 2181 5.2), and returns how many records are left.
    pub(super) fn write(&mut self, owner: &[u8], apex: &[u8], records: &[Entry<'_>]) -> usize {
        let Self { encoder, order, rrsets } = self;
        rrsets.clear();
        if let [only] = records {
            put_number(1, rrsets);
            let encoded = encoder.encode(only.rtype, only.ttl, [only.rdata], owner, apex, rrsets);
            debug_assert!(encoded.is_ok(), "RDATA has at most 65,535 octets");
            return 1;
        }
        order.clear();
        order.extend(0..records.len() as u32);
        let record = |position: &u32| &records[*position as usize];
        // Stable: records of one type stay in the order of the file.
        order.sort_by_key(|position| record(position).rtype);
        let sets = || order.chunk_by(|a, b| record(a).rtype == record(b).rtype);
        put_number(sets().count(), rrsets);
        let mut kept = 0;
        for set in sets() {
            let first = record(&set[0]);
            let encoded = if let [_] = set {
                kept += 1;
                encoder.encode(first.rtype, first.ttl, [first.rdata], owner, apex, rrsets)
            } else {
                let mut seen = BTreeSet::new();
                let records = set.iter().map(record);
                let records: Vec<&Entry<'_>> =
                    records.filter(|entry| seen.insert(rdata::comparable(first.rtype, entry.rdata))).collect();
                kept += records.len();
                let ttl = records.iter().map(|record| record.ttl).min().unwrap_or_default();
                encoder.encode(first.rtype, ttl, records.iter().map(|record| record.rdata), owner, apex, rrsets)
            };
            debug_assert!(encoded.is_ok(), "RDATA has at most 65,535 octets");
        }
        kept
    }
}
