//! Every hub that ever was, by a number that it keeps.
//!
//! What is durable, and what stands, is kept by this number: a switch of ten thousand hubs writes ten thousand small
//! numbers and no name. A hub that leaves the policy keeps its number and its epoch, and has them again when it comes back.

use std::collections::HashMap;

use crate::dns::Name;

/// The number of a hub: from 0, in the order in which hubs were first seen, never given to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubId(pub u32);

impl HubId {
    /// The place in a list of all hubs that ever were.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The hubs that ever were, by number and by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    names: Vec<Name>,
    /// Never iterated, so that its order does not matter.
    ids: HashMap<Name, HubId>,
}

impl Roster {
    /// The number of a hub.
    pub fn id(&self, name: &Name) -> Option<HubId> {
        self.ids.get(name).copied()
    }

    /// The number of a hub; the next free one for a hub that was never seen before. The roster writes the name as it was
    /// written last.
    pub fn admit(&mut self, name: &Name) -> HubId {
        if let Some(known) = self.id(name) {
            self.names[known.index()] = name.clone();
            return known;
        }
        // A policy of four thousand million hubs does not fit into memory.
        let id = HubId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(name.clone());
        self.ids.insert(name.clone(), id);
        id
    }

    /// The names, by number.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The name of a hub.
    pub fn name(&self, id: HubId) -> Option<&Name> {
        self.names.get(id.index())
    }

    /// How many hubs there ever were.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there never was one.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_keeps_its_number_in_whatever_case_its_name_is_written() {
        let name = |text| Name::parse(text, None).unwrap();
        let mut roster = Roster::default();
        assert_eq!(["b.x.", "a.x.", "B.x."].map(|text| roster.admit(&name(text))), [HubId(0), HubId(1), HubId(0)]);
        assert_eq!((roster.id(&name("A.x.")), roster.id(&name("c.x."))), (Some(HubId(1)), None));
        assert_eq!(roster.names().iter().map(ToString::to_string).collect::<Vec<_>>(), ["B.x.", "a.x."]);
        assert_eq!(roster.len(), 2);
    }
}
