//! Several endpoints in one answer, in turn: what a hub of the policy `all` is answered with.

use super::super::snapshot::Content;
use super::{beside, joined, merged};
use crate::dns::{Name, Rtype};
use crate::policy::{self, Hub};
use crate::zone::rrset::Encoder;

/// How the answers of the turns are made. They are of addresses alone, and their number is that of the endpoints, so that
/// they are made with a snapshot, for those endpoints that are usable.
#[derive(Debug)]
pub(in crate::answer) struct Rotation {
    /// The name that is answered for.
    pub(super) name: Name,
    /// The position of the hub whose endpoints they are.
    pub(super) hub: u32,
    /// Endpoints in one answer, at most.
    pub(super) most: u8,
    /// The full TTL and the low one, seconds.
    pub(super) ttls: [u32; 2],
}

impl Rotation {
    /// The RRsets of the name for each turn. Each of the endpoints is first in as many as any other.
    pub(in crate::answer) fn turns(&self, usable: &[u8], content: &Content, low: bool) -> Option<Box<[Box<[u8]>]>> {
        let hub = content.policy_of(self.hub as usize)?;
        let zone = content.zone_of(&self.name)?;
        let fixed = zone.tree.node(zone.tree.find(&self.name.key())?).rrsets();
        let (apex, ttl) = (&zone.apex, self.ttls[usize::from(low)]);
        let mut encoder = Encoder::default();
        let kept = beside(&mut encoder, &self.name, apex, fixed);
        let turn = |turn: usize| {
            let mut rrsets = kept.clone();
            for rrset in taken(hub, usable, turn, usize::from(self.most)) {
                let (mut encoded, rdatas) = (Vec::new(), rrset.rdatas.iter().map(|rdata| &**rdata));
                encoder.own = true;
                // Addresses fit.
                let done = encoder.encode(rrset.rtype, ttl, rdatas, self.name.wire(), apex.wire(), &mut encoded);
                rrsets.extend(done.is_ok().then_some((rrset.rtype, encoded)));
            }
            joined(rrsets)
        };
        Some((0..usable.len()).map(turn).collect())
    }
}

/// The RRsets of one turn: of each type those of the endpoints that have it, from the one whose turn it is, so that there is
/// the same number in every turn and a type is never missing in some.
fn taken(hub: &Hub, usable: &[u8], turn: usize, most: usize) -> Vec<policy::Rrset> {
    let of_type = |rtype| {
        let endpoints = usable.iter().filter_map(|at| hub.endpoints.get(usize::from(*at)));
        let rrsets: Vec<policy::Rrset> =
            endpoints.flat_map(|endpoint| endpoint.answer.rrsets()).filter(|rrset| rrset.rtype == rtype).collect();
        let from = turn % rrsets.len().max(1);
        rrsets.iter().cycle().skip(from).take(most.min(rrsets.len())).cloned().collect::<Vec<_>>()
    };
    merged([of_type(Rtype::A), of_type(Rtype::AAAA)])
}
