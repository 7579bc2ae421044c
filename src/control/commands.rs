//! What operators ask for: marks and moves.

use std::sync::Arc;

use super::event::{Author, CommandError, Level};
use super::mark::{Mark, MarkTarget};
use super::reason;
use super::report::AuditKind;
use super::settle::answered;
use super::state::State;
use super::turn::{Pending, Turn};
use crate::diagnostic::closest;
use crate::dns::Name;
use crate::policy::{EndpointView, Hub, MarkKind, RegionName, preferred};
use crate::time::Timestamp;

impl State {
    pub(super) fn mark(
        &mut self,
        target: MarkTarget,
        kind: MarkKind,
        why: &str,
        until: Option<Timestamp>,
        turn: &mut Turn,
    ) -> Result<Pending, CommandError> {
        if let Some(until) = until.filter(|until| *until <= turn.now) {
            return Err(CommandError::Refused(format!("the mark would have ended at {until}, before it is made")));
        }
        let author = turn.author.name.clone();
        let mark = Mark { kind, reason: why.into(), author, since: turn.now, until };
        let before = self.marks.get(&target).cloned();
        let same = |before: &Mark| Mark { since: mark.since, ..before.clone() } == mark;
        let summary = format!("{target} {}", reason::mark(&mark));
        if before.as_ref().is_some_and(same) {
            return Ok(Pending::Moved { summary: format!("already so: {summary}"), changed: false });
        }
        let record = turn.audit(AuditKind::Mark, target.to_string(), why);
        record.before = before.map(|before| before.kind.word().into());
        record.after = Some(kind.word().into());
        turn.say(Level::Info, "mark", summary.clone()).region = region_of(&target);
        self.change_mark(target.clone(), Some(mark), turn);
        self.say_what_will_follow(&target, kind, until, turn);
        Ok(Pending::Moved { summary, changed: true })
    }

    /// What the operator would otherwise find out later: marks that outrank this one, hubs that cannot leave.
    fn say_what_will_follow(&mut self, target: &MarkTarget, kind: MarkKind, until: Option<Timestamp>, turn: &mut Turn) {
        let (layout, now) = (self.layout.clone(), turn.now);
        let region = region_of(target).and_then(|region| layout.region(&region));
        let mut views = std::mem::take(&mut turn.views);
        for position in self.hubs_of_mark(target).iter().map(|position| *position as usize) {
            let at = &layout.hubs[position];
            let here = layout.endpoints_of(at).iter().position(|endpoint| Some(endpoint.region as usize) == region);
            let Some(here) = here else { continue };
            self.views(at, &mut views, now);
            let (hub, first) = (&at.hub, at.endpoints().start);
            if views[here].mark != Some(kind) {
                turn.notes.of_hub(|| {
                    let sentence = self.endpoint_reason(at, first + here, now);
                    format!("{}: another mark is more restrictive and holds: {sentence}", hub.name)
                });
            }
            let active = self.stands.active(position);
            if kind != MarkKind::Up && active == Some(here) && !views.iter().any(EndpointView::eligible) {
                let decision = self.decide(position, at, &views, turn);
                turn.notes.of_hub(|| {
                    let others = at.endpoints().filter(|other| *other != first + here);
                    let why: Vec<_> = others.map(|other| self.endpoint_reason(at, other, now)).collect();
                    let why = if why.is_empty() { "it has no other endpoint".into() } else { why.join("; ") };
                    let answered = answered(hub, &decision);
                    format!("{}: no endpoint is eligible; {answered}: {why}", hub.name)
                });
            }
        }
        turn.views = views;
        if let Some(until) = until {
            let hubs = self.hubs_of_mark(target);
            let (of_queries, with_active): (Vec<_>, Vec<_>) =
                hubs.into_iter().partition(|position| layout.hubs[*position as usize].stateless);
            let back = "no hub goes back because of it unless its failback says so";
            let at_once = "hubs without an active region answer out of what is usable at once";
            turn.notes.add(match (with_active.is_empty(), of_queries.is_empty()) {
                (_, true) => format!("the mark ends by itself at {until}; health decides from then on, and {back}"),
                (true, false) => {
                    format!("the mark ends by itself at {until}; health decides from then on, and {at_once}")
                }
                (false, false) => {
                    format!("the mark ends by itself at {until}; health decides from then on: {back}, and {at_once}")
                }
            });
        }
    }

    pub(super) fn unmark(&mut self, target: MarkTarget, why: &str, turn: &mut Turn) -> Result<Pending, CommandError> {
        let Some(before) = self.marks.get(&target).cloned() else {
            self.known_target(&target)?;
            return Ok(Pending::Moved { summary: format!("{target} was not marked"), changed: false });
        };
        let summary =
            format!("{target} is no longer {}, taken away by {} ({why})", reason::mark(&before), turn.author.name);
        let record = turn.audit(AuditKind::Unmark, target.to_string(), why);
        record.before = Some(before.kind.word().into());
        turn.say(Level::Info, "mark", summary.clone()).region = region_of(&target);
        self.change_mark(target, None, turn);
        Ok(Pending::Moved { summary, changed: true })
    }

    /// Positions of the hubs that a mark is about.
    pub(super) fn hubs_of_mark(&self, target: &MarkTarget) -> Vec<u32> {
        match target {
            MarkTarget::Region(region) => {
                self.layout.region(region).map(|region| self.layout.by_region[region].clone()).unwrap_or_default()
            }
            MarkTarget::Endpoint(endpoint) => {
                self.layout.position(&endpoint.hub).map(|position| position as u32).into_iter().collect()
            }
        }
    }

    /// Sets or takes away a mark.
    pub(super) fn set_mark(&mut self, target: &MarkTarget, mark: Option<Mark>) -> Option<Mark> {
        let marks = Arc::make_mut(&mut self.marks);
        let before = match mark {
            Some(mark) => marks.insert(target.clone(), mark),
            None => marks.remove(target),
        };
        self.lay_mark(target);
        before
    }

    /// Sets or takes away a mark, and touches the hubs that it is about.
    pub(super) fn change_mark(&mut self, target: MarkTarget, after: Option<Mark>, turn: &mut Turn) {
        let before = self.set_mark(&target, after.clone());
        turn.touched.extend(self.hubs_of_mark(&target));
        turn.commit.marks.push((target, before, after));
    }

    pub(super) fn expire_marks(&mut self, turn: &mut Turn) {
        // What the store cannot do at this moment is not tried at every event.
        if self.retry.as_ref().is_some_and(|(at, _)| *at > turn.now) {
            return;
        }
        let due = |mark: &Mark| mark.until.is_some_and(|until| until <= turn.now);
        let expired: Vec<_> = self
            .marks
            .iter()
            .filter(|(_, mark)| due(mark))
            .map(|(target, mark)| (target.clone(), mark.clone()))
            .collect();
        for (target, mark) in expired {
            let sentence = format!("{target} is no longer {}: it has ended", reason::mark(&mark));
            let author = std::mem::replace(&mut turn.author, Author::daemon());
            let record = turn.audit(AuditKind::MarkExpired, target.to_string(), &sentence);
            record.before = Some(mark.kind.word().into());
            turn.author = author;
            turn.say(Level::Info, "mark", sentence);
            self.change_mark(target, None, turn);
        }
    }

    pub(super) fn known_target(&self, target: &MarkTarget) -> Result<(), CommandError> {
        let refuse = |sentence| Err(CommandError::NotFound(sentence));
        match target {
            MarkTarget::Region(region) if self.policy.regions.contains_key(region) => Ok(()),
            MarkTarget::Region(region) => {
                let name = Name::parse(region.as_str(), Some(&Name::root())).ok();
                if let Some(hub) = name.and_then(|name| self.policy.hubs.get(&name)) {
                    let example = format!("{}/{}", hub.name, preferred(hub).region);
                    return refuse(format!("`{region}` is a hub; mark a region, or one endpoint such as `{example}`"));
                }
                let known: Vec<_> = self.policy.regions.keys().map(RegionName::as_str).collect();
                refuse(unknown("region", region.as_str(), &known))
            }
            MarkTarget::Endpoint(endpoint) => match self.policy.hubs.get(&endpoint.hub) {
                None => refuse(self.no_hub(&endpoint.hub)),
                Some(hub) if hub.position(&endpoint.region).is_some() => Ok(()),
                Some(hub) => {
                    let (region, known) = (endpoint.region.as_str(), regions(hub));
                    refuse(format!("{} has no endpoint in `{region}`; {}", hub.name, suggest(region, &known)))
                }
            },
        }
    }

    /// The position of a hub that a command names.
    pub(super) fn position_of(&self, hub: &Name) -> Result<usize, CommandError> {
        self.layout.position(hub).ok_or_else(|| CommandError::NotFound(self.no_hub(hub)))
    }

    /// [`State::position_of`] a hub that has an active region: the others never move.
    pub(super) fn moving_position_of(&self, hub: &Name) -> Result<usize, CommandError> {
        let position = self.position_of(hub)?;
        let at = &self.layout.hubs[position];
        if at.stateless {
            let (hub, policy) = (&at.hub.name, at.hub.selection.word());
            return Err(CommandError::Refused(format!(
                "{hub} has policy {policy} and no active region: every query is answered by itself, and nothing is moved, \
                 gated or drilled; to take a region out, `concierge mark` it, or its endpoint `{hub}/REGION`"
            )));
        }
        Ok(position)
    }

    pub(super) fn no_hub(&self, hub: &Name) -> String {
        let known: Vec<_> = self.policy.hubs.keys().map(ToString::to_string).collect();
        unknown("hub", &hub.to_string(), &known.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

fn regions(hub: &Hub) -> Vec<&str> {
    hub.endpoints.iter().map(|endpoint| endpoint.region.as_str()).collect()
}

/// `no region `westeurop`; did you mean `westeurope`?`
pub(crate) fn unknown(what: &str, written: &str, known: &[&str]) -> String {
    format!("no {what} `{written}`; {}", suggest(written, known))
}

/// What could have been meant.
fn suggest(written: &str, known: &[&str]) -> String {
    /// More names than this are not listed.
    const LISTED: usize = 12;
    match closest(written, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None if known.is_empty() => "the policy has none".into(),
        None => {
            let more = if known.len() > LISTED { ", ..." } else { "" };
            format!("there are {}{more}", known[..known.len().min(LISTED)].join(", "))
        }
    }
}

fn region_of(target: &MarkTarget) -> Option<RegionName> {
    match target {
        MarkTarget::Region(region) => Some(region.clone()),
        MarkTarget::Endpoint(endpoint) => Some(endpoint.region.clone()),
    }
}
