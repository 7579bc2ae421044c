//! `_concierge.HUB`: a TXT record that says which region is active, at which epoch, and since when.
//!
//! It is for fencing: a device or a back end asks whether the region that it talks to is still the active one. It is made
//! of the choice that answers the hub, when a snapshot is made and not when somebody asks, so that hub and text are of one
//! snapshot and a query for it costs what any other costs. A snapshot that follows another takes over the texts of all
//! hubs whose choice stayed.

use std::sync::Arc;

use super::compile::Compiler;
use super::refusal::{Refused, rule};
use super::snapshot::{Choice, Served, What};
use crate::dns::Rtype;
use crate::policy::{Hub, Policy, RegionName, text_name};
use crate::zone::rrset::{Encoder, Rrsets, put_number};

/// TTL of the record, seconds: the least that a hub may have. Whoever fences off a region must not go by what was so half
/// a minute ago, and five seconds still spare the server a fleet that asks at once.
pub(super) const TTL: u32 = 5;

/// Tells the number of a text from that of a hub, in a node of a tree.
const TEXT: u32 = 1 << 31;

/// The hub that a text is about.
#[derive(Debug)]
pub(super) struct About {
    /// Its position.
    pub(super) hub: u32,
    /// The regions of its endpoints.
    regions: Box<[RegionName]>,
}

/// The RRsets of every text of a snapshot, by the number of the text.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts(Box<[Arc<[u8]>]>);

impl Texts {
    /// What stands at the node with this number; `None` when it is no text's.
    #[inline]
    pub(super) fn rrsets(&self, number: u32) -> Option<Rrsets<'_>> {
        self.0.get((number ^ TEXT) as usize).map(|octets| Rrsets::read(octets))
    }

    /// The text of a hub, without its TXT record.
    pub(super) fn said(&self, content: &Served, hub: u32) -> Option<&[u8]> {
        // They are in the order of their hubs.
        let number = content.texts.binary_search_by_key(&hub, |about| about.hub).ok()?;
        let rrset = Rrsets::read(self.0.get(number)?).of_type_or_alias(Rtype::TXT)?;
        let rdata = rrset.wire.get(rrset.rdata_offsets().next()?..)?;
        // One character-string.
        rdata.split_first().map(|(_, text)| text)
    }

    #[cfg(test)]
    pub(super) fn octets(&self) -> &[Arc<[u8]>] {
        &self.0
    }

    /// The texts under these choices. Those of `known` are taken over where the choice, of the same content, is the same.
    pub(super) fn of(content: &Served, choices: &[Choice], known: Option<(&Self, &[Choice])>) -> Self {
        let choice = |choices: &[Choice], about: &About| choices.get(about.hub as usize).copied();
        let mut encoder = Encoder::default();
        let texts = content.texts.iter().enumerate().map(|(number, about)| {
            let now = choice(choices, about);
            let kept = known.filter(|(_, before)| choice(before, about) == now);
            match kept.and_then(|(texts, _)| texts.0.get(number)) {
                Some(text) => text.clone(),
                None => write(about, now, &mut encoder),
            }
        });
        Self(texts.collect())
    }
}

/// The hub that the node with this number tells of.
pub(super) fn about(content: &Served, number: u32) -> Option<&About> {
    content.texts.get((number ^ TEXT) as usize)
}

/// `region=westeurope epoch=42 since=2026-11-26T12:00:00Z`: one character-string (RFC 1035 3.3), for it never has more than
/// 255 octets, and readers that take only the first one get all.
fn write(about: &About, choice: Option<Choice>, encoder: &mut Encoder) -> Arc<[u8]> {
    // A hub without a choice is not published.
    let Choice { what, epoch, since, .. } = choice.unwrap_or(Choice::endpoint(0));
    let region = match what {
        What::Endpoint(position) => about.regions.get(usize::from(position)).map_or("", RegionName::as_str),
        What::All => "all",
        // The policy has no text for a hub without an active region.
        What::Among(_) => "",
    };
    let text = format!("region={region} epoch={epoch} since={since}");
    let mut rdata = vec![text.len() as u8];
    rdata.extend_from_slice(text.as_bytes());
    let mut octets = Vec::with_capacity(text.len() + 20);
    put_number(1, &mut octets);
    // TXT holds no name that owner or apex would shorten, and 256 octets fit.
    let _ = encoder.encode(Rtype::TXT, TTL, [&*rdata], b"\0", b"\0", &mut octets);
    octets.into()
}

/// Adds the text of a hub that was compiled last.
///
/// # Errors
/// A rule that it would break.
pub(super) fn compile(compiler: &mut Compiler, hub: &Hub, policy: &Policy) -> Result<(), Box<Refused>> {
    let name = &hub.name;
    let refused = |sentence: String, hint: &str| {
        let sentence = format!("hub {name} has `txt = true`, {sentence}");
        Box::new(Refused::new(rule::TEXT_ALONE, name, sentence).at(&hub.place).hint(hint))
    };
    let Some(text) = text_name(name) else {
        let hint = "give the hub a shorter name, or write `txt = false`";
        return Err(refused("but its name with `_concierge.` before it is longer than 255 octets".into(), hint));
    };
    if policy.hubs.contains_key(&text) {
        let hint = "give that hub another name, or write `txt = false`";
        return Err(refused(format!("but {text} is a hub"), hint));
    }
    let Some(zone) = compiler.zone_of(&text).filter(|zone| compiler.zone_of(name) == Some(*zone)) else {
        return Err(refused(format!("but {text} is a zone of its own"), "remove that zone, or write `txt = false`"));
    };
    let content = &mut compiler.content;
    let (tree, number) = (&mut content.zones[zone].tree, content.texts.len() as u32);
    let data = tree.find(&text.key()).map(|id| tree.node(id).rrsets());
    if let Some(first) = data.and_then(|rrsets| rrsets.iter().next()) {
        let sentence = format!("but the zone file has {} at {text}", first.rtype());
        return Err(refused(sentence, "remove the record from the zone file, or write `txt = false`"));
    }
    if tree.find(&name.key()).is_some_and(|id| tree.node(id).has_dname()) {
        let sentence = format!("but {text} is below the DNAME at {name}");
        return Err(refused(sentence, "remove the DNAME, or write `txt = false`"));
    }
    if tree.place_hub(&text, TEXT | number).is_err() {
        let sentence = "which makes its zone need more than 16 GiB of memory, the most that one can have";
        return Err(refused(sentence.into(), "write `txt = false`"));
    }
    let regions = hub.endpoints.iter().map(|endpoint| endpoint.region.clone()).collect();
    content.texts.push(About { hub: content.hubs.len() as u32 - 1, regions });
    Ok(())
}
