//! Hubs without an active region: the endpoints that are usable, kept beside the standings.
//!
//! Which they are is [`usable`]'s to decide. What is decided is durable as a fact, so that a restart answers out of the
//! same set and a commit that fails takes it back; it is published in the same snapshot as the switches of the same event.
//!
//! A hub may be an endpoint of others. What it is to them is an [`Inside`]: worked out after the hub itself is decided, and
//! when it changes, the hubs around it are decided anew in the same event.

use std::sync::Arc;

use super::event::{Level, LogLine};
use super::fact::{FactKey, FactKind};
use super::known::UsableSet;
use super::layout::{EndpointAt, HubAt};
use super::mark::Mark;
use super::reason;
use super::report::{AuditKind, UsableChange};
use super::roster::HubId;
use super::state::State;
use super::turn::Turn;
use crate::answer::snapshot::What;
use crate::health::Health;
use crate::policy::usable::{Before, Mask, Usable, UsableView, usable};
use crate::policy::{EndpointView, Hub, MarkKind, RegionName, Selection, Sight};
use crate::time::Timestamp;

/// What a hub is as an endpoint of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inside {
    /// Whether what it answers is good.
    pub(super) health: Health,
    /// How many of its endpoints are good and not drained: those that are not known count as they did before.
    pub(super) good: u8,
    /// Whether nothing but drained endpoints is left in it.
    pub(super) drained: bool,
    /// Whether it answers its lower TTL.
    pub(super) unsettled: bool,
}

impl Inside {
    /// Whether more good endpoints are needed than it has. One is so by its health.
    fn is_short_of(self, least: u8) -> bool {
        least > 1 && self.good < least
    }
}

impl State {
    /// Decides anew what a hub without an active region answers out of.
    pub(super) fn settle_usable(&mut self, position: usize, at: &HubAt, views: &[EndpointView], turn: &mut Turn) {
        let sight = self.look.sight;
        let judged: Vec<UsableView> = at
            .endpoints()
            .zip(views)
            .map(|(endpoint, view)| {
                let watch = self.watch(self.layout.endpoints[endpoint]);
                let last_known = watch.map_or(Health::Unknown, |watch| watch.machine.last_known());
                UsableView::of(view, last_known, self.is_doubted(endpoint), sight)
            })
            .collect();
        let doubted = judged.iter().any(|view| view.doubted);
        let doubts = Arc::make_mut(&mut self.doubted);
        let _ = if doubted { doubts.insert(position as u32) } else { doubts.remove(&(position as u32)) };
        let known = self.known.usables.get(&at.id);
        let before = known.map(|known| known.before(&at.hub));
        let found = usable(at.rules.resort, &judged, sight, before.map(|(before, _)| before));
        let unchanged = before.is_some_and(|(before, whole)| whole && before.usable == found);
        if !unchanged {
            self.change_usable(at, found, turn);
        }
        self.note_ttl(position, at, found.mask, views, turn);
        self.note_all_down(position, at, found, turn);
        if at.is_inside {
            let health = match (found.all_down, found.mask & found.good) {
                (true, _) => Health::Down,
                (false, 0) => Health::Unknown,
                (false, good) => {
                    let seen = |(at, view): (usize, &EndpointView)| good >> at & 1 == 1 && view.health == Health::Up;
                    let is_seen = views.iter().enumerate().any(seen);
                    if is_seen { Health::Up } else { Health::Unknown }
                }
            };
            let drain = |at: usize| views.get(at).is_some_and(|view| view.mark == Some(MarkKind::Drain));
            let drained = !found.all_down && positions(found.mask).all(drain);
            let good = positions(found.good).filter(|at| !drain(*at)).count().min(Selection::MOST_USABLE) as u8;
            self.note_inside(position, at, Inside { health, good, drained, unsettled: false }, turn);
        }
    }

    /// What a hub with an active region is to those that have it as an endpoint.
    pub(super) fn note_active_inside(&mut self, position: usize, at: &HubAt, views: &[EndpointView], turn: &mut Turn) {
        if !at.is_inside {
            return;
        }
        let Some(view) = self.stands.active(position).and_then(|active| views.get(active)) else { return };
        let sight = Sight { unconfirmed: self.is_unconfirmed(position, at), ..self.look.sight };
        let before = self.inside.get(&(position as u32)).map_or(Health::Unknown, |inside| inside.health);
        let doubted = view.health == Health::Down && sight.doubts_failure(view.failing_since);
        let health = match (view.mark, view.health) {
            (Some(MarkKind::Up), _) => Health::Up,
            (Some(MarkKind::Down), _) => Health::Down,
            _ if doubted => before,
            (_, health) => health,
        };
        let drained = view.mark == Some(MarkKind::Drain);
        let is_good = |view: &&EndpointView| {
            let doubted = view.health == Health::Down && sight.doubts_failure(view.failing_since);
            match view.mark {
                Some(MarkKind::Drain) => false,
                None if doubted => true,
                _ => view.eligible(),
            }
        };
        let good = views.iter().filter(is_good).count().min(Selection::MOST_USABLE) as u8;
        self.note_inside(position, at, Inside { health, good, drained, unsettled: false }, turn);
    }

    fn note_inside(&mut self, position: usize, at: &HubAt, inside: Inside, turn: &mut Turn) {
        let low_ttl = at.choice.and_then(|choice| self.choices().get(choice)).is_some_and(|choice| choice.low_ttl);
        let inside = Inside { unsettled: low_ttl, ..inside };
        if self.inside.get(&(position as u32)) != Some(&inside) {
            Arc::make_mut(&mut self.inside).insert(position as u32, inside);
            turn.touched.extend(&self.layout.around[position]);
        }
    }

    /// What is known of an endpoint, with what is known of the hub inside it.
    pub(super) fn with_inside(&self, view: EndpointView, inner: u32, at: EndpointAt) -> EndpointView {
        let (known, probed) = (self.inside.get(&inner).copied(), at.target.is_some());
        let inside = known.unwrap_or_default();
        let inner_health = match known.is_some_and(|inside| inside.is_short_of(at.at_least)) {
            true => Health::Down,
            false => inside.health,
        };
        let health = match (probed, view.health, inner_health) {
            (true, Health::Down, _) | (_, _, Health::Down) => Health::Down,
            (true, Health::Unknown, _) => Health::Unknown,
            (_, _, inner) => inner,
        };
        EndpointView {
            health,
            mark: view.mark.max(inside.drained.then_some(MarkKind::Drain)),
            probed: true,
            unsettled: view.unsettled || inside.unsettled,
            ..view
        }
    }

    /// What is known of an endpoint that is a hub, in one sentence: `europe is hub eu.example.net., in which nothing is
    /// usable`.
    pub(super) fn inside_reason(&self, region: &RegionName, inner: u32, least: u8, mark: Option<&Mark>) -> String {
        let inside = self.inside.get(&inner).copied().unwrap_or_default();
        let hub = &self.layout.hubs[inner as usize].hub.name;
        let state = match inside {
            Inside { health: Health::Down, .. } => "which has nothing good to answer".into(),
            Inside { good, .. } if inside.is_short_of(least) => {
                format!("which has {good} of the {least} good endpoints that are needed")
            }
            Inside { drained: true, .. } => "in which everything that is left is drained".into(),
            Inside { health: Health::Up, .. } => "which has something good to answer".into(),
            Inside { health: Health::Unknown, .. } => "of which nothing is known yet".to_owned(),
        };
        match mark {
            Some(mark) => format!("{region} {}; it is hub {hub}, {state}", reason::mark(mark)),
            None => format!("{region} is hub {hub}, {state}"),
        }
    }

    /// Whether an endpoint is down by nothing but what this node may have seen while it was cut off itself.
    fn is_doubted(&self, endpoint: usize) -> bool {
        self.may_be_unconfirmed() && self.watch(self.layout.endpoints[endpoint]).is_some_and(|watch| !watch.confirmed)
    }

    /// Another set, or another view of those that are not in it, which is kept for the next one.
    fn change_usable(&mut self, at: &HubAt, found: Usable, turn: &mut Turn) {
        let known = self.known.usables.get(&at.id).cloned();
        let before = known.as_ref().map(|known| known.answered.clone());
        let answered = names(&at.hub, found.mask);
        let shown = known.as_ref().is_none_or(|known| known.answered != answered || known.all_down != found.all_down);
        let (since, changes, reason) = match &known {
            Some(known) if !shown => (known.since, known.changes, known.reason.clone()),
            known => {
                let changes = known.as_ref().map_or(0, |known| known.changes.saturating_add(1));
                (turn.now, changes, self.why_usable(at, found, turn))
            }
        };
        let set = UsableSet {
            answered,
            good: names(&at.hub, found.good),
            known: at.hub.endpoints.iter().map(|endpoint| endpoint.region.clone()).collect(),
            all_down: found.all_down,
            since,
            changes,
            reason,
        };
        self.set_fact(FactKey::usable(&at.hub.name), Some(&set), turn);
        turn.publish |= self.lay_usable(at);
        if !shown {
            return;
        }
        self.totals.usable_changes += u64::from(known.is_some());
        let hub = &at.hub;
        let after = set.sentence();
        let said = before.as_ref().map(|before| listed(before));
        let record = turn.audit(AuditKind::Usable, hub.name.to_string(), &set.reason);
        (record.before, record.after) = (said.clone(), Some(after.clone()));
        let first = known.is_none();
        let lost = before.iter().flatten().any(|region| !set.answered.contains(region));
        let level = if lost { Level::Warn } else { Level::Info };
        turn.told.of(if first { "have usable endpoints" } else { "have other usable endpoints" }, None, || {
            let from = said.map(|said| format!("{said} -> ")).unwrap_or_default();
            let sentence = format!("{}: {from}{after}: {}", hub.name, set.reason);
            LogLine { hub: Some(hub.name.clone()), ..LogLine::new(level, "usable", sentence) }
        });
        if let Some(before) = before {
            let change =
                UsableChange { hub: hub.name.clone(), before, after: set.answered.clone(), all_down: set.all_down };
            turn.usable.push(change);
        }
    }

    /// Why endpoints come in and go out: both truths of each.
    fn why_usable(&self, at: &HubAt, found: Usable, turn: &Turn) -> String {
        let Some(known) = self.known.usables.get(&at.id) else {
            return "the hub has no active region, and is seen for the first time".into();
        };
        let (before, _) = known.before(&at.hub);
        let gone = known.answered.iter().filter(|region| at.hub.position(region).is_none());
        let gone: Vec<_> = gone.map(|region| format!("{region} is not in the policy any more")).collect();
        let changed = positions(before.usable.mask ^ found.mask).filter(|which| *which < at.hub.endpoints.len());
        let changed = changed.map(|which| self.endpoint_reason(at, at.endpoints().start + which, turn.now));
        let mut why: Vec<String> = gone.into_iter().chain(changed).collect();
        if found.all_down {
            let resort = if found.mask == before.usable.mask {
                "nothing is usable, and the last set stays"
            } else {
                "nothing is usable"
            };
            why.insert(0, resort.into());
        } else if known.all_down {
            why.insert(0, "an endpoint is usable again".into());
            if why.len() == 1 {
                let usable =
                    positions(found.mask).map(|which| self.endpoint_reason(at, at.endpoints().start + which, turn.now));
                why.extend(usable);
            }
        }
        if why.is_empty() { "the policy has changed".into() } else { why.join("; ") }
    }

    /// The TTL that goes with a set.
    fn note_ttl(&mut self, position: usize, at: &HubAt, mask: Mask, views: &[EndpointView], turn: &mut Turn) {
        if !at.rules.adaptive_ttl {
            return;
        }
        // The first set is no change.
        let changed = self.known.usables.get(&at.id).filter(|known| known.changes > 0).map(|known| known.since);
        let ends = changed.map(|at_| at_.after(at.rules.ttl_restore)).filter(|ends| *ends > turn.now);
        let unsettled = positions(mask).any(|which| views.get(which).is_some_and(|view| view.unsettled));
        turn.publish |= Arc::make_mut(&mut self.stands).set_low_ttl(at, ends.is_some() || unsettled);
        self.set_ttl_ends(position, ends);
    }

    fn note_all_down(&mut self, position: usize, at: &HubAt, found: Usable, turn: &mut Turn) {
        if found.all_down == self.all_down.contains(&(position as u32)) {
            return;
        }
        let hub = &at.hub;
        let line =
            |level, sentence| LogLine { hub: Some(hub.name.clone()), ..LogLine::new(level, "all-down", sentence) };
        if found.all_down {
            Arc::make_mut(&mut self.all_down).insert(position as u32);
            let answered = listed(&names(hub, found.mask));
            turn.notes.of_hub(|| format!("{}: no endpoint is usable; answered is {answered}", hub.name));
            turn.told.of("have no usable endpoint", None, || {
                line(Level::Error, format!("{}: no endpoint is usable; answered is {answered}", hub.name))
            });
        } else {
            Arc::make_mut(&mut self.all_down).remove(&(position as u32));
            turn.told.of("have a usable endpoint again", None, || {
                line(Level::Info, format!("{}: an endpoint is usable again", hub.name))
            });
        }
    }

    /// Puts the set that is known of a hub into its choice, and says whether that has changed.
    pub(super) fn lay_usable(&mut self, at: &HubAt) -> bool {
        if !at.stateless {
            return false;
        }
        let Some(known) = self.known.usables.get(&at.id) else { return false };
        let (before, since) = (known.before(&at.hub).0, known.since);
        // Nothing of what was answered is in the policy any more: the hub is decided anew before anything is published.
        let mask = if before.usable.mask == 0 { 1 } else { before.usable.mask };
        Arc::make_mut(&mut self.stands).set_what(at, What::Among(mask), since)
    }

    /// The sets of all hubs under another policy.
    pub(super) fn lay_usables(&mut self) {
        let layout = self.layout.clone();
        for position in layout.stateless.iter().map(|position| *position as usize) {
            self.lay_usable(&layout.hubs[position]);
        }
    }

    /// The set of a hub without an active region, by position of its endpoints.
    pub(super) fn usable_of(&self, at: &HubAt) -> Option<Usable> {
        if !at.stateless {
            return None;
        }
        self.known.usables.get(&at.id).map(|known| known.before(&at.hub).0.usable)
    }

    /// What is known of the set of a hub.
    pub(super) fn usable_set(&self, hub: HubId) -> Option<&UsableSet> {
        self.known.usables.get(&hub)
    }

    /// Takes back what a commit that failed said of sets.
    pub(super) fn revert_usable(&mut self, key: &FactKey) {
        if key.kind() != FactKind::Usable {
            return;
        }
        let layout = self.layout.clone();
        if let Some(position) = key.hub().and_then(|hub| layout.position(&hub)) {
            self.lay_usable(&layout.hubs[position]);
        }
    }

    /// When the lower TTL of a hub ends.
    pub(super) fn set_ttl_ends(&mut self, position: usize, ends: Option<Timestamp>) {
        if self.ttl_ends.get(&(position as u32)) == ends.as_ref() {
            return;
        }
        let known = Arc::make_mut(&mut self.ttl_ends);
        match ends {
            Some(at) => known.insert(position as u32, at),
            None => known.remove(&(position as u32)),
        };
    }
}

impl UsableSet {
    /// What was, of the endpoints that are still there, and whether those are all that there are and were.
    pub(super) fn before(&self, hub: &Hub) -> (Before, bool) {
        let (mut mask, mut good, mut known) = (0, 0, 0);
        for (at, endpoint) in hub.endpoints.iter().enumerate().take(u64::BITS as usize) {
            let bit = |regions: &[RegionName]| u64::from(regions.contains(&endpoint.region)) << at;
            mask |= bit(&self.answered);
            good |= bit(&self.good);
            known |= bit(&self.known);
        }
        let whole = known.count_ones() as usize == hub.endpoints.len() && self.known.len() == hub.endpoints.len();
        (Before { usable: Usable { mask, good, all_down: self.all_down }, known }, whole)
    }

    /// `westeurope, eastus`, or that nothing is usable and what is answered all the same.
    pub(super) fn sentence(&self) -> String {
        match self.all_down {
            true => format!("{} (all down)", listed(&self.answered)),
            false => listed(&self.answered),
        }
    }
}

/// The regions of these endpoints, in the hub's order.
pub(super) fn names(hub: &Hub, mask: Mask) -> Vec<RegionName> {
    positions(mask).filter_map(|at| hub.endpoints.get(at)).map(|endpoint| endpoint.region.clone()).collect()
}

/// The positions in a mask, ascending.
pub(super) fn positions(mask: Mask) -> impl Iterator<Item = usize> {
    (0..u64::BITS as usize).filter(move |at| mask >> at & 1 == 1)
}

fn listed(regions: &[RegionName]) -> String {
    regions.iter().map(RegionName::as_str).collect::<Vec<_>>().join(", ")
}

/// Positions of hubs, the innermost first where some are inside others.
pub(super) fn in_order(touched: &mut Vec<u32>, depths: &[u8]) {
    if depths.is_empty() {
        touched.sort_unstable();
    } else {
        touched.sort_unstable_by_key(|position| (depths.get(*position as usize).copied().unwrap_or(0), *position));
    }
    touched.dedup();
}
