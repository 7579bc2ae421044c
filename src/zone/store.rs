//! The names of a zone in wire form, without a pointer: one run of octets, and an index of eight octets a name, half of them empty.
//!
//! ```text
//! node:   flags | length of the key | key | [key as written] | [hub] | number of RRsets | RRsets in order of their types
//! ```
//!
//! The key is the owner in lower case without the apex; it is written a second time where the file has capitals. A name of
//! one address takes 23 octets beside its key. Nodes begin at multiples of four, which is what a [`NodeId`] counts. Every
//! existing name has a node, empty non-terminals included (RFC 4592 2.2.2).
//!
//! What a search needs of the names above a node is worked out once and kept in its flags. Of a node only its flags are
//! ever changed: one that gets other records is written anew behind all others, and the index leads there.

mod builder;

use std::cmp::Ordering;
use std::collections::BTreeMap;

pub(super) use self::builder::Pace;
use self::builder::Writer;
pub(crate) use self::builder::{Builder, Entry};
use super::rrset::{Rrset, Rrsets, put_number};
use crate::dns::hash::{Index, hash, same};
use crate::dns::{Name, Rtype};

/// The place of a node in its zone.
pub(crate) type NodeId = u32;

/// The key is written a second time, as it stands in the file.
const WRITTEN: u8 = 1;
/// A hub answers at this name: its number follows the key.
const HUB: u8 = 2;
/// The wildcard directly below exists (RFC 4592 2.1.1).
const WILDCARD: u8 = 4;
/// It is delegated: it has NS and is not the apex.
const CUT: u8 = 8;
/// It owns a DNAME, so that no name below it exists.
const DNAME: u8 = 16;
/// A name above it is a cut or owns a DNAME.
const BELOW: u8 = 32;
/// Another node took its place.
const GONE: u8 = 64;

/// A store that has come to this many octets is a large one.
const LARGE: usize = 1 << 20;

/// Octets that a large store has room for at least, which costs nothing before they are used. The C library maps an
/// allocation above 32 MiB by itself, so that it grows without a copy, and gives it back whole when it is freed; lesser
/// ones share a heap that would stay as large as two loads at once have made it.
const MAPPED: usize = 40 << 20;

/// Octets that a [`NodeId`] counts in.
const UNIT: usize = 4;

/// The zone needs more than there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the zone needs more than 16 GiB of memory, the most that one can have")]
pub(crate) struct TooLarge;

/// All names of a zone.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    apex: Name,
    /// The apex in lower case.
    apex_key: Box<[u8]>,
    octets: Vec<u8>,
    index: Index,
    records: usize,
    /// Labels of the deepest name, those of the apex included.
    max_labels: usize,
}

/// An existing name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    tree: &'a Tree,
    id: NodeId,
    /// From the node to the end of all.
    octets: &'a [u8],
}

impl Tree {
    /// The name of the zone, as it was given.
    pub(crate) fn apex(&self) -> &Name {
        &self.apex
    }

    /// The apex in lower case, in wire form.
    pub(crate) fn apex_key(&self) -> &[u8] {
        &self.apex_key
    }

    /// Number of existing names, empty non-terminals included.
    pub(crate) fn names(&self) -> usize {
        self.index.len()
    }

    /// Number of records.
    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// Labels of the deepest name, those of the apex included: a bound for look-ups of deeper ones.
    pub(crate) fn max_labels(&self) -> usize {
        self.max_labels
    }

    /// The node of an existing name, given as its wire form in lower case.
    pub(crate) fn find(&self, name: &[u8]) -> Option<NodeId> {
        let key = name.len().checked_sub(self.apex_key.len())?;
        // A suffix that does not begin with a label is refused by the keys: theirs are whole labels.
        (name[key..] == *self.apex_key).then(|| self.find_key(hash(name), &name[..key])).flatten()
    }

    /// The node with this key, whose name has this hash.
    #[inline(always)]
    #[expect(clippy::manual_find, reason = "the query path: the loop is inlined, the adapter is not")]
    pub(crate) fn find_key(&self, hash: u64, key: &[u8]) -> Option<NodeId> {
        for id in self.index.candidates(hash) {
            if same(self.key_at(id), key) {
                return Some(id);
            }
        }
        None
    }

    #[inline(always)]
    pub(crate) fn node(&self, id: NodeId) -> Node<'_> {
        Node { tree: self, id, octets: &self.octets[id as usize * UNIT..] }
    }

    /// All nodes in the order in which they were made: that of the file, but for owners that came several times and for
    /// empty non-terminals.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        let mut next = 1;
        std::iter::from_fn(move || {
            while next < self.end() {
                let node = self.node(next);
                next = node.after();
                if node.flags() & GONE == 0 {
                    return Some(node);
                }
            }
            None
        })
    }

    /// All nodes in canonical order (RFC 4034 6.1): names below one follow it directly.
    pub(crate) fn canonical(&self) -> Vec<Node<'_>> {
        let mut nodes: Vec<Node<'_>> = self.nodes().collect();
        nodes.sort_by(|a, b| compare(a.key(), b.key()));
        nodes
    }

    /// The name directly above, which exists (RFC 4592 2.2.2); `None` for the apex.
    pub(crate) fn parent(&self, node: Node<'_>) -> Option<NodeId> {
        let above = above(node.key())?;
        self.find_key(full_hash(above, &self.apex_key), above)
    }

    /// The topmost name above a node that is a cut or owns a DNAME.
    pub(crate) fn topmost(&self, node: Node<'_>) -> Option<Node<'_>> {
        if node.flags() & BELOW == 0 {
            return None;
        }
        let mut topmost = None;
        let mut next = self.parent(node);
        while let Some(id) = next {
            let above = self.node(id);
            if above.flags() & (CUT | DNAME) != 0 {
                topmost = Some(above);
            }
            next = self.parent(above);
        }
        topmost
    }

    /// The wildcard directly below a node.
    #[inline]
    pub(crate) fn wildcard(&self, node: Node<'_>) -> Option<NodeId> {
        if node.flags() & WILDCARD == 0 { None } else { self.find_wildcard(node) }
    }

    fn find_wildcard(&self, node: Node<'_>) -> Option<NodeId> {
        let key = node.key();
        let mut name = [0; 257];
        name[..2].copy_from_slice(b"\x01*");
        name[2..2 + key.len()].copy_from_slice(key);
        let length = 2 + key.len();
        let end = length + self.apex_key.len();
        name.get_mut(length..end)?.copy_from_slice(&self.apex_key);
        self.find_key(hash(&name[..end]), &name[..length])
    }

    /// Makes a hub answer at this name, which is at or below the apex and may exist already.
    ///
    /// # Errors
    /// When the zone then needs more than 16 GiB.
    pub(crate) fn place_hub(&mut self, name: &Name, hub: u32) -> Result<NodeId, TooLarge> {
        let key = name.key();
        let (hash, length) = (hash(&key), key.len() - self.apex_key.len());
        let found = self.find_key(hash, &key[..length]);
        let (mut rrsets, mut inherited) = (vec![0], 0);
        if let Some(old) = found {
            let node = self.node(old);
            inherited = node.flags() & (WILDCARD | BELOW);
            rrsets.clear();
            put_number(node.rrsets().len(), &mut rrsets);
            rrsets.extend_from_slice(node.rrsets().octets());
        }
        let id = self.append(&name.wire()[..length], Some(hub), &rrsets).ok_or(TooLarge)?;
        *self.flags(id) |= inherited;
        let Self { index, octets, apex_key, .. } = self;
        match found {
            Some(old) => {
                index.replace(hash, old, id, |id| rehash(apex_key, octets, id));
                *self.flags(old) |= GONE;
            }
            None => {
                index.insert(hash, id, |id| rehash(apex_key, octets, id));
                self.link(id, &mut Above::default()).ok_or(TooLarge)?;
            }
        }
        Ok(id)
    }

    /// Gives memory back that was held for growth.
    pub(crate) fn shrink(&mut self) {
        self.octets.shrink_to_fit();
    }

    /// Where the next node begins.
    fn end(&self) -> NodeId {
        self.octets.len().div_ceil(UNIT) as NodeId
    }

    #[inline(always)]
    fn key_at(&self, id: NodeId) -> &[u8] {
        key(&self.octets[id as usize * UNIT..])
    }

    fn flags(&mut self, id: NodeId) -> &mut u8 {
        &mut self.octets[id as usize * UNIT]
    }

    /// Writes a node behind all others, which neither the index nor the names above know yet. `None` when there is no
    /// place.
    fn append(&mut self, written: &[u8], hub: Option<u32>, rrsets: &[u8]) -> Option<NodeId> {
        let at = self.octets.len().next_multiple_of(UNIT);
        let id = NodeId::try_from(at / UNIT).ok()?;
        if at > LARGE && self.octets.capacity() < MAPPED {
            self.octets.reserve_exact(MAPPED - at);
        }
        self.octets.resize(at, 0);
        let mut flags = 0;
        for rrset in Rrsets::read(rrsets).iter() {
            match rrset.rtype() {
                Rtype::NS if !written.is_empty() => flags |= CUT,
                Rtype::DNAME => flags |= DNAME,
                _ => {}
            }
        }
        self.octets.extend_from_slice(&[flags, written.len() as u8]);
        let key_at = self.octets.len();
        self.octets.extend_from_slice(written);
        self.octets[key_at..].make_ascii_lowercase();
        if self.octets[key_at..] != *written {
            flags |= WRITTEN;
            self.octets.extend_from_slice(written);
        }
        if let Some(hub) = hub {
            flags |= HUB;
            self.octets.extend_from_slice(&hub.to_le_bytes());
        }
        self.octets[at] = flags;
        self.octets.extend_from_slice(rrsets);
        Some(id)
    }

    /// Makes one node of several with the same name.
    fn join(&mut self, ids: &[NodeId], writer: &mut Writer, uneven: &mut dyn FnMut(&[u8], Rtype)) -> Option<()> {
        let first = self.node(*ids.first()?);
        let (name, hash) = (first.name(), first.hash());
        let mut records: Vec<(Rtype, u32, Box<[u8]>)> = Vec::new();
        for rrset in ids.iter().flat_map(|id| self.node(*id).rrsets().iter()) {
            let (rtype, ttl) = (rrset.rtype(), rrset.ttl());
            records.extend(rrset.rdatas(&name, &self.apex).into_iter().map(|rdata| (rtype, ttl, rdata)));
        }
        let mut first = BTreeMap::new();
        for (rtype, ttl, _) in &records {
            if first.entry(*rtype).or_insert(*ttl) != ttl {
                uneven(&name.key(), *rtype);
            }
        }
        let entries: Vec<Entry<'_>> =
            records.iter().map(|(rtype, ttl, rdata)| Entry { rtype: *rtype, ttl: *ttl, rdata }).collect();
        let kept = writer.write(name.wire(), self.apex.wire(), &entries);
        self.records -= records.len() - kept;
        let key = &name.wire()[..name.wire().len() - self.apex_key.len()];
        let joined = self.append(key, None, &writer.rrsets)?;
        let Self { index, octets, apex_key, .. } = self;
        index.replace(hash, *ids.first()?, joined, |id| rehash(apex_key, octets, id));
        for id in ids {
            *self.flags(*id) |= GONE;
        }
        Some(())
    }

    fn link_all(&mut self, pace: &mut Pace) -> Option<()> {
        let end = self.end();
        let mut above = Above::default();
        let mut next = 1;
        while next < end {
            let node = self.node(next);
            let (gone, after) = (node.flags() & GONE != 0, node.after());
            if !gone {
                self.link(next, &mut above)?;
            }
            pace.step();
            next = after;
        }
        Some(())
    }

    /// Makes the names above a node exist, tells its parent of a wildcard, and the node of what is above.
    fn link(&mut self, id: NodeId, known: &mut Above) -> Option<()> {
        let key = self.key_at(id);
        let labels = labels(key) + labels(&self.apex_key);
        let is_wildcard = key.starts_with(b"\x01*");
        let parent = above(key);
        let same = parent == known.key.as_deref();
        let parent = parent.map(<[u8]>::to_vec);
        self.max_labels = self.max_labels.max(labels);
        let Some(parent) = parent else { return Some(()) };
        if !same {
            let hash = full_hash(&parent, &self.apex_key);
            let found = match self.find_key(hash, &parent) {
                Some(found) => found,
                None => {
                    // As written by the first name below it, which has no other reason to differ from the key.
                    let made = self.append(&parent, None, &[0])?;
                    let Self { index, octets, apex_key, .. } = self;
                    index.insert(hash, made, |id| rehash(apex_key, octets, id));
                    self.link(made, &mut Above::default())?;
                    made
                }
            };
            *known = Above { barrier: self.is_barred(found), id: found, key: Some(parent) };
        }
        if is_wildcard {
            *self.flags(known.id) |= WILDCARD;
        }
        if known.barrier {
            *self.flags(id) |= BELOW;
        }
        Some(())
    }

    /// Whether a node or one above it is a cut or owns a DNAME.
    fn is_barred(&self, id: NodeId) -> bool {
        // Not all that is above need have been made yet.
        std::iter::successors(Some(self.key_at(id)), |key| above(key))
            .filter_map(|key| self.find_key(full_hash(key, &self.apex_key), key))
            .any(|id| self.node(id).flags() & (CUT | DNAME) != 0)
    }
}

/// A zone of these records.
#[cfg(any(test, fuzzing))]
pub(crate) fn tree_of(apex: &Name, records: &[(Name, Rtype, u32, Box<[u8]>)]) -> Tree {
    let mut builder = Builder::new(apex);
    for (owner, rtype, ttl, rdata) in records {
        builder.add(owner.wire(), &[Entry { rtype: *rtype, ttl: *ttl, rdata }]);
    }
    builder.finish().expect("a small zone")
}

/// The parent that was looked up last: most names of a large zone have the same one.
#[derive(Debug, Default)]
struct Above {
    key: Option<Vec<u8>>,
    id: NodeId,
    /// Whether it or a name above it is a cut or owns a DNAME.
    barrier: bool,
}

impl<'a> Node<'a> {
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    /// The owner in lower case without the apex, in wire form; empty for the apex.
    #[inline(always)]
    pub(crate) fn key(&self) -> &'a [u8] {
        key(self.octets)
    }

    /// The owner as it is written, without the apex.
    pub(crate) fn written(&self) -> &'a [u8] {
        let length = usize::from(self.octets[1]);
        let at = if self.flags() & WRITTEN == 0 { 2 } else { 2 + length };
        &self.octets[at..at + length]
    }

    /// The owner as it is written.
    pub(crate) fn name(&self) -> Name {
        let wire = [self.written(), self.tree.apex.wire()].concat();
        // The keys are whole labels, and no name that was added is too long.
        Name::from_wire(&wire).unwrap_or_else(|_| self.tree.apex.clone())
    }

    /// Octets of the owner's wire form.
    #[inline(always)]
    pub(crate) fn name_len(&self) -> usize {
        usize::from(self.octets[1]) + self.tree.apex_key.len()
    }

    /// The RRsets of the zone file, in order of their types.
    #[inline(always)]
    pub(crate) fn rrsets(&self) -> Rrsets<'a> {
        let flags = self.flags();
        let key = usize::from(self.octets[1]);
        let written = if flags & WRITTEN == 0 { 0 } else { key };
        let hub = if flags & HUB == 0 { 0 } else { 4 };
        Rrsets::read(self.octets.get(2 + key + written + hub..).unwrap_or_default())
    }

    /// The RRset of a type in the zone file.
    pub(crate) fn of_type(&self, rtype: Rtype) -> Option<Rrset<'a>> {
        self.rrsets().of_type(rtype)
    }

    /// The number of the hub that answers at this name.
    #[inline(always)]
    pub(crate) fn hub(&self) -> Option<u32> {
        let flags = self.flags();
        if flags & HUB == 0 {
            return None;
        }
        let key = usize::from(self.octets[1]);
        let at = 2 + if flags & WRITTEN == 0 { key } else { 2 * key };
        self.octets.get(at..)?.first_chunk().map(|octets| u32::from_le_bytes(*octets))
    }

    /// Whether it has no records and is no hub: it exists because of a name below it.
    pub(crate) fn is_empty(&self) -> bool {
        self.flags() & HUB == 0 && self.rrsets().is_empty()
    }

    /// Whether it is delegated: it has NS and is not the apex.
    #[inline(always)]
    pub(crate) fn is_cut(&self) -> bool {
        self.flags() & CUT != 0
    }

    /// Whether it owns a DNAME.
    #[inline(always)]
    pub(crate) fn has_dname(&self) -> bool {
        self.flags() & DNAME != 0
    }

    /// Whether the wildcard directly below it exists.
    #[inline(always)]
    pub(crate) fn has_wildcard(&self) -> bool {
        self.flags() & WILDCARD != 0
    }

    /// Whether a name above it is a cut or owns a DNAME.
    #[inline(always)]
    pub(crate) fn is_below(&self) -> bool {
        self.flags() & BELOW != 0
    }

    /// Whether its leftmost label is an asterisk.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.key().starts_with(b"\x01*") || self.key().is_empty() && self.tree.apex.is_wildcard()
    }

    /// Whether nothing is in the way of a search here: it is no cut, owns no DNAME, and is below neither.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.flags() & (CUT | DNAME | BELOW) == 0
    }

    #[inline(always)]
    fn flags(&self) -> u8 {
        self.octets[0]
    }

    /// Where the next node begins.
    fn after(&self) -> NodeId {
        let end = self.tree.octets.len() - self.rrsets().rest().len();
        end.div_ceil(UNIT) as NodeId
    }

    fn hash(&self) -> u64 {
        full_hash(self.key(), &self.tree.apex_key)
    }
}

#[inline(always)]
fn key(node: &[u8]) -> &[u8] {
    let length = usize::from(node[1]);
    &node[2..2 + length]
}

/// The key of the name directly above; `None` for that of the apex.
fn above(key: &[u8]) -> Option<&[u8]> {
    let (label, rest) = key.split_first()?;
    rest.get(usize::from(*label)..)
}

fn labels(wire: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(label) = wire.get(at).filter(|label| **label > 0) {
        at += 1 + usize::from(*label);
        count += 1;
    }
    count
}

fn full_hash(key: &[u8], apex: &[u8]) -> u64 {
    // No name has more.
    let mut name = [0; 255];
    name[..key.len()].copy_from_slice(key);
    let end = key.len() + apex.len();
    name[key.len()..end].copy_from_slice(apex);
    hash(&name[..end])
}

fn rehash(apex_key: &[u8], octets: &[u8], id: NodeId) -> u64 {
    full_hash(key(&octets[id as usize * UNIT..]), apex_key)
}

/// Canonical order (RFC 4034 6.1) of keys below one apex: label by label from the right.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let labels = |key: &[u8]| -> Vec<(usize, usize)> {
        let mut labels = Vec::new();
        let mut at = 0;
        while at < key.len() {
            let end = at + 1 + usize::from(key[at]);
            labels.push((at + 1, end));
            at = end;
        }
        labels
    };
    let (mine, theirs) = (labels(a), labels(b));
    for ((a_start, a_end), (b_start, b_end)) in mine.iter().rev().zip(theirs.iter().rev()) {
        match a[*a_start..*a_end].cmp(&b[*b_start..*b_end]) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    mine.len().cmp(&theirs.len())
}

#[cfg(test)]
mod tests;
