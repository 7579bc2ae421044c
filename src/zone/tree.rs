//! The records of a zone as they were read, and the same in canonical order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::report::Mark;
use super::{Position, Rrset, rdata};
use crate::dns::{Name, Rtype};

/// One record as it stands in a file.
#[derive(Debug)]
pub(super) struct Record {
    /// Index into the owners.
    pub(super) owner: u32,
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) position: Position,
    pub(super) rdata: Box<[u8]>,
    /// The owner, or the type where the owner is left blank.
    pub(super) head: Mark,
    /// The RDATA.
    pub(super) body: Mark,
}

/// Records in the order of the files.
#[derive(Debug, Default)]
pub(super) struct Draft {
    owners: Vec<Name>,
    records: Vec<Record>,
}

impl Draft {
    /// Takes an owner name; records of one owner in a row share it.
    pub(super) fn owner(&mut self, name: Name) -> u32 {
        if self.owners.last() != Some(&name) {
            self.owners.push(name);
        }
        (self.owners.len() - 1) as u32
    }

    pub(super) fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Sorts the records by owner in canonical order and type, and drops duplicates (RFC 2181 5).
    pub(super) fn into_tree(self) -> Tree {
        let keys: Vec<_> = self.owners.iter().map(canonical_key).collect();
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        order.sort_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize]));
        // Equal owners get one rank.
        let (mut ranks, mut owners) = (vec![0_u32; keys.len()], Vec::<u32>::new());
        for owner in order {
            if owners.last().is_none_or(|last| keys[*last as usize] != keys[owner as usize]) {
                owners.push(owner);
            }
            ranks[owner as usize] = (owners.len() - 1) as u32;
        }
        let mut records = self.records;
        for record in &mut records {
            record.owner = ranks[record.owner as usize];
        }
        records.sort_by_key(|record| (record.owner, record.rtype));
        drop_duplicates(&mut records);

        let mut names: Vec<_> = self.owners.into_iter().map(Some).collect();
        let mut keys: Vec<_> = keys.into_iter().map(Some).collect();
        let mut nodes: Vec<Node> = Vec::with_capacity(owners.len());
        let mut start = 0;
        for run in records.chunk_by(|a, b| a.owner == b.owner) {
            let owner = owners[run[0].owner as usize] as usize;
            // Each owner is taken once: its run is the only one of its rank.
            if let (Some(name), Some(key)) = (names[owner].take(), keys[owner].take()) {
                nodes.push(Node { name, key, records: start..start + run.len() });
            }
            start += run.len();
        }
        Tree { nodes, records }
    }
}

/// Keeps the first of each set of equal records; expects equal owners and types side by side.
fn drop_duplicates(records: &mut Vec<Record>) {
    let mut dropped = BTreeSet::new();
    let mut start = 0;
    for run in records.chunk_by(|a, b| (a.owner, a.rtype) == (b.owner, b.rtype)) {
        if run.len() > 1 {
            let mut seen = BTreeSet::new();
            let again = |record: &Record| !seen.insert(rdata::comparable(record.rtype, &record.rdata).into_owned());
            dropped.extend(run.iter().map(again).enumerate().filter(|(_, again)| *again).map(|(at, _)| start + at));
        }
        start += run.len();
    }
    let mut at = 0;
    records.retain(|_| {
        at += 1;
        dropped.is_empty() || !dropped.contains(&(at - 1))
    });
}

/// A name with its records.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Name,
    /// Sorts as the name does; that of a name is a prefix of those below it.
    pub(super) key: Box<[u8]>,
    records: Range<usize>,
}

/// Records by owner in canonical order, then type, then order of the files.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    records: Vec<Record>,
}

impl Tree {
    pub(super) fn records(&self, node: &Node) -> &[Record] {
        &self.records[node.records.clone()]
    }

    /// The records of a node, one slice a type.
    pub(super) fn rrsets(&self, node: &Node) -> impl Iterator<Item = &[Record]> {
        self.records(node).chunk_by(|a, b| a.rtype == b.rtype)
    }

    /// The first record of a type at a node.
    pub(super) fn first(&self, node: &Node, rtype: Rtype) -> Option<&Record> {
        self.records(node).iter().find(|record| record.rtype == rtype)
    }

    pub(super) fn node(&self, key: &[u8]) -> Option<&Node> {
        self.nodes.binary_search_by(|node| (*node.key).cmp(key)).ok().map(|at| &self.nodes[at])
    }

    /// Whether the name exists, be it as an empty non-terminal (RFC 4592 2.2.2).
    pub(super) fn exists(&self, key: &[u8]) -> bool {
        let at = self.nodes.partition_point(|node| *node.key < *key);
        self.nodes.get(at).is_some_and(|node| node.key.starts_with(key))
    }

    /// The maps that the rest of the program reads. An RRset takes its lowest TTL (RFC 2181 5.2).
    pub(super) fn into_nodes(self) -> BTreeMap<Name, BTreeMap<Rtype, Rrset>> {
        let mut records = self.records.into_iter();
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            let mut rrsets = BTreeMap::<Rtype, Rrset>::new();
            for record in records.by_ref().take(node.records.len()) {
                let Record { rtype, ttl, position, rdata, .. } = record;
                let rrset =
                    rrsets.entry(rtype).or_insert_with(|| Rrset { ttl, rdatas: Vec::with_capacity(1), position });
                rrset.ttl = rrset.ttl.min(ttl);
                rrset.rdatas.push(rdata);
            }
            nodes.push((node.name, rrsets));
        }
        nodes.into_iter().collect()
    }
}

/// Octets that compare as names do in canonical order (RFC 4034 6.1): the labels from the right in lower case, each
/// ended by 0. The octets 0 and 1 of a label are written as two, so that they sort behind the end and before the rest.
pub(super) fn canonical_key(name: &Name) -> Box<[u8]> {
    let mut labels: [&[u8]; 128] = [&[]; 128];
    let mut count = 0;
    for label in name.labels() {
        labels[count] = label;
        count += 1;
    }
    let mut key = Vec::with_capacity(name.wire().len());
    for label in labels[..count].iter().rev() {
        for octet in *label {
            match octet {
                0 | 1 => key.extend_from_slice(&[1, octet + 1]),
                other => key.push(other.to_ascii_lowercase()),
            }
        }
        key.push(0);
    }
    key.into_boxed_slice()
}

/// The key of the parent of the name that `key` stands for; `None` for the root.
pub(super) fn parent_key(key: &[u8]) -> Option<&[u8]> {
    let (_, labels) = key.split_last()?;
    Some(&key[..labels.iter().rposition(|octet| *octet == 0).map_or(0, |at| at + 1)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn label() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(&[0, 1, 2, b'A', b'a', b'b', 255][..]), 1..4)
    }

    proptest! {
        #[test]
        fn keys_sort_as_names_do(
            a in prop::collection::vec(label(), 0..4),
            b in prop::collection::vec(label(), 0..4),
        ) {
            let name = |labels: &[Vec<u8>]| {
                labels.iter().fold(Name::root(), |name, label| name.child(label).unwrap())
            };
            let (a, b) = (name(&a), name(&b));
            let (key_a, key_b) = (canonical_key(&a), canonical_key(&b));
            prop_assert_eq!(a.cmp(&b), key_a.cmp(&key_b));
            prop_assert_eq!(a.is_at_or_below(&b), key_a.starts_with(&key_b));
            let above = a.parent().map(|parent| canonical_key(&parent));
            prop_assert_eq!(above.as_deref(), parent_key(&key_a));
        }
    }
}
