//! The answer to a plain query in one pass, or none: the general way then answers it.
//!
//! Plain is what nearly every query is: opcode QUERY, one question of class IN for a type of data, nothing behind it but an
//! OPT record of version 0 with a cookie or options that are not heeded, and a name that exists, or whose parent does, without a cut or a DNAME in its
//! way and with no alias to follow. A client subnet is read by the general way, where the client is trusted with one. What is answered here is answered by [`respond`](super::respond::respond) octet for
//! octet; a property test holds the two against each other. Here nothing is kept that only other queries need: names have
//! at most 64 octets, and no step but the one.

use super::client::Client;
use super::cookie::{self, Cookie};
use super::edns;
use super::respond::{Outcome, Terms, Transport};
use super::snapshot::{Served, ServedZone, Snapshot};
use crate::dns::hash::{hash, same};
use crate::dns::{Class, HEADER, MAX_MESSAGE, Rcode, Rtype};
use crate::zone::rrset::{POINTER, QUESTION, Rrset, set_ttl};
use crate::zone::store::Node;

/// Octets of the longest name that is answered here.
const LONGEST: usize = 64;

/// Labels of the deepest name that is answered here, the root label included.
const DEEPEST: usize = 16;

/// Octets of type and class behind the name.
const FIELDS: usize = 4;

/// The name of the question, in lower case, with the places of its labels.
struct Name {
    lower: [u8; LONGEST],
    length: usize,
    offsets: [u8; DEEPEST],
    labels: usize,
}

impl Name {
    /// Takes the name at the start of `octets`, and tells whether it is short enough.
    #[inline(always)]
    fn read(&mut self, octets: &[u8]) -> bool {
        let Self { lower, offsets, .. } = self;
        let taken = octets.len().min(LONGEST);
        copy(&mut lower[..taken], &octets[..taken]);
        let (mut at, mut labels) = (0, 0);
        loop {
            let label = lower[at];
            offsets[labels] = at as u8;
            if label == 0 {
                break;
            }
            at += 1 + usize::from(label);
            labels += 1;
            // A label of another kind is longer than this, too.
            if at >= LONGEST || labels >= DEEPEST {
                return false;
            }
        }
        lower.make_ascii_lowercase();
        (self.length, self.labels) = (at + 1, labels);
        true
    }

    #[inline(always)]
    fn suffix(&self, skipped: usize) -> Option<&[u8]> {
        self.lower.get(usize::from(*self.offsets.get(skipped)?)..self.length)
    }
}

/// Answers a plain query into `response`, over what it held; `None`, and whatever it then holds, for any other.
#[inline(always)]
pub(super) fn respond(
    snapshot: &Snapshot,
    query: &[u8],
    client: Client,
    transport: Transport,
    terms: &Terms<'_>,
    response: &mut Vec<u8>,
) -> Option<Outcome> {
    let header: &[u8; HEADER] = query.first_chunk()?;
    // One question, no answers, no authorities, at most one additional record.
    let opts = u64::from_be_bytes(*header.last_chunk()?) ^ 0x0001_0000_0000_0000;
    // QR, opcode, AA and TC are clear.
    if opts > 1 || header[2] & 0xfe != 0 {
        return None;
    }
    let mut name = Name { lower: [0; LONGEST], length: 0, offsets: [0; DEEPEST], labels: 0 };
    if !name.read(&query[HEADER..]) {
        return None;
    }
    let end = HEADER + name.length + FIELDS;
    let question = query.get(..end)?;
    let [.., type_high, type_low, class_high, class_low] = *question else { return None };
    let rtype = Rtype(u16::from_be_bytes([type_high, type_low]));
    if u16::from_be_bytes([class_high, class_low]) != Class::IN.0 || !is_plain(rtype) {
        return None;
    }
    let ours = terms.rules.max_udp_bytes.max(512);
    let (opt, theirs) = if opts == 0 {
        (None, if query.len() == end { 512 } else { return None })
    } else {
        let opt = edns::read_last(query.get(end..)?, || terms.heed(client, transport))?;
        (Some(opt), opt.max_udp_bytes.min(ours))
    };
    let limit = match transport {
        Transport::Tcp | Transport::Encrypted => MAX_MESSAGE,
        // With a valid cookie it may be more: that is left to the general way.
        Transport::Udp => usize::from(theirs).min(terms.rules.amplification.most(query.len())),
    };

    let (zone, skipped) = zone_of(&snapshot.served, &name)?;
    let found = find(zone, &name)?;
    let (rrsets, hub) = snapshot.rrsets_and_hub(found.node, client.origin(), &mut ())?;
    let mut rcode = Rcode::NOERROR;
    let mut positive = true;
    let rrset = if !found.exists {
        (rcode, positive) = (Rcode::NXDOMAIN, false);
        zone.negative()?
    } else if let Some(rrset) = rrsets.of_type_or_alias(rtype) {
        // Any other alias is followed.
        if !rrset.leaves && rrset.rtype() != rtype {
            return None;
        }
        rrset
    } else {
        // How long that may be remembered is worked out elsewhere.
        if hub.is_some_and(|(_, hub)| hub.may_gain(rtype)) {
            return None;
        }
        positive = false;
        zone.negative()?
    };
    let mut length = end + rrset.wire.len() + if opt.is_some() { edns::OCTETS } else { 0 };
    // Judged last: what is left to the general way is judged there.
    let cookie = opt.and_then(|opt| opt.cookie).and_then(|offer| Some(terms.jar()?.judge(offer, client)));
    if cookie.is_some() {
        length += cookie::OCTETS;
    }
    if length > limit || terms.rules.cookies_required && !matches!(cookie, Some((Cookie::Valid, _))) {
        return None;
    }
    let apex_at = HEADER + usize::from(*name.offsets.get(skipped)?);
    // What it held is overwritten to the last octet, and need not be zero.
    match response.len() < length {
        true => response.resize(length, 0),
        false => response.truncate(length),
    }
    let (head, records) = response.split_at_mut(end);
    copy(head, question);
    let (records, last) = records.split_at_mut(rrset.wire.len());
    copy(records, rrset.wire);
    if !positive || rrset.has_pointers() {
        point(records, rrset, !positive, apex_at)?;
    }
    let mut answer = None;
    if rrset.own
        && let Some((told, hub)) = hub
    {
        // An extended error is to be said of it.
        if opt.is_some() && found.node.hub().is_some_and(|position| snapshot.is_stale(position)) {
            return None;
        }
        if hub.spread > 0 {
            spread(records, hub.ttl(rrset, client));
        }
        answer = told;
    }
    if let (Some(opt), Some((place, options))) = (opt, last.split_first_chunk_mut()) {
        *place = edns::record(opt.dnssec_ok, rcode, ours);
        if let (Some((_, words)), Some(option)) = (cookie, options.first_chunk_mut()) {
            place[edns::OCTETS - 1] = cookie::OCTETS as u8;
            *option = cookie::option(words);
        }
    }
    // QR and AA. The identifier, RD and the other counts are those of the query.
    let head: &mut [u8; HEADER] = head.first_chunk_mut()?;
    head[2] |= 0x84;
    head[3] = rcode.0 as u8;
    let (at, count) = if positive { (6, rrset.count) } else { (8, 1) };
    head[at..at + 2].copy_from_slice(&count.to_be_bytes());
    let cookie = cookie.map_or(Cookie::Absent, |(cookie, _)| cookie);
    Some(Outcome::Reply { rcode, truncated: false, hub: answer, cookie })
}

/// Sets the TTL that this client is to have: out of the way of hubs that do not spread theirs.
#[cold]
#[inline(never)]
fn spread(records: &mut [u8], ttl: u32) {
    set_ttl(records, POINTER, ttl);
}

/// Copies octets to as many others: without a call where they are 16 to 64, as questions and RRsets are. The two halves may
/// overlap.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    if from.len() <= 32
        && let (Some(first), Some(last)) = (from.first_chunk::<16>(), from.last_chunk::<16>())
        && let Some(place) = to.first_chunk_mut()
    {
        *place = *first;
        if let Some(place) = to.last_chunk_mut() {
            *place = *last;
        }
    } else if from.len() <= 64
        && let (Some(first), Some(last)) = (from.first_chunk::<32>(), from.last_chunk::<32>())
        && let Some(place) = to.first_chunk_mut()
    {
        *place = *first;
        if let Some(place) = to.last_chunk_mut() {
            *place = *last;
        }
    } else {
        to.copy_from_slice(from);
    }
}

/// A type that is answered with its RRset or not at all, and whichever side of a cut is asked.
#[inline(always)]
fn is_plain(rtype: Rtype) -> bool {
    rtype < Rtype::DNAME || !matches!(rtype, Rtype::DS | Rtype::DNAME | Rtype::ANY | Rtype::AXFR | Rtype::IXFR)
}

/// The most specific zone that the name is in, and how many labels are in front of its apex.
#[inline(always)]
fn zone_of<'a>(content: &'a Served, name: &Name) -> Option<(&'a ServedZone, usize)> {
    // One zone, as most servers have, is compared with and not looked for.
    if let ([zone], [depth]) = (&*content.zones, &*content.depths) {
        let skipped = name.labels.checked_sub(usize::from(*depth))?;
        return same(zone.tree.apex_key(), name.suffix(skipped)?).then_some((zone, skipped));
    }
    for depth in &content.depths {
        let Some(skipped) = name.labels.checked_sub(usize::from(*depth)) else { continue };
        let suffix = name.suffix(skipped)?;
        if let Some(zone) = content.zone_with(hash(suffix), suffix) {
            return Some((zone, skipped));
        }
    }
    None
}

struct Found<'a> {
    node: Node<'a>,
    /// Whether the name exists, be it by a wildcard; if not, the node is its closest encloser.
    exists: bool,
}

/// The name or its parent, where nothing is in the way of the search.
#[inline(always)]
fn find<'a>(zone: &'a ServedZone, name: &Name) -> Option<Found<'a>> {
    let tree = &zone.tree;
    let apex = tree.apex_key().len();
    let whole = name.suffix(0)?;
    let (node, exact) = match tree.find_key(hash(whole), &whole[..whole.len() - apex]) {
        Some(id) => (tree.node(id), true),
        None => {
            let parent = name.suffix(1)?;
            let key = &parent[..parent.len().checked_sub(apex)?];
            (tree.node(tree.find_key(hash(parent), key)?), false)
        }
    };
    if !node.is_plain() {
        return None;
    }
    if exact || !node.has_wildcard() {
        return Some(Found { node, exists: exact });
    }
    Some(Found { node: tree.node(tree.wildcard(node)?), exists: true }).filter(|found| found.node.is_plain())
}

/// Directs the pointers of the records at the question: those to the apex, and of the SOA of a negative answer the owner.
#[inline(never)]
fn point(records: &mut [u8], rrset: Rrset<'_>, negative: bool, apex_at: usize) -> Option<()> {
    let apex = (0xc000 | apex_at as u16).to_be_bytes();
    if negative {
        *records.first_chunk_mut()? = apex;
    }
    for pointer in rrset.pointers() {
        let target = match pointer.base {
            crate::zone::rrset::Base::Apex => apex,
            crate::zone::rrset::Base::Owner if negative => apex,
            crate::zone::rrset::Base::Owner => QUESTION.to_be_bytes(),
        };
        records.get_mut(pointer.at..pointer.at + 2)?.copy_from_slice(&target);
    }
    Some(())
}
