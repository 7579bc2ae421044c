//! Maintenance windows: marks with a beginning in the future.
//!
//! The rules where they meet other marks: every mark and window that is in force for a region or its endpoint counts, and
//! the most restrictive of them holds (`down`, then `drain`, then `up`), whoever made it and in whatever order. A window
//! that ends takes only itself away. A window neither moves a hub back nor keeps it from moving: it changes what is
//! eligible, and the decision follows. A planned move whose target is in a window by then is refused when it is asked for,
//! or stopped when its time comes.

use std::sync::Arc;

use super::event::{Author, CommandError, Level};
use super::fact::FactKey;
use super::known::Window;
use super::layout::HubAt;
use super::mark::{Mark, MarkTarget};
use super::moves::{MoveOptions, earliest};
use super::reason;
use super::report::AuditKind;
use super::state::State;
use super::turn::{Pending, Turn};
use crate::dns::Name;
use crate::policy::{EndpointId, EndpointView, MarkKind, MoveRefused, RegionName};
use crate::time::Timestamp;

/// When a move that has its time would switch; `None` of one that is to be done at once.
fn time_of(at: &HubAt, options: &MoveOptions, now: Timestamp) -> Option<Timestamp> {
    options.at.filter(|time| *time > now).map(|_| earliest(&at.hub, options, now))
}

impl State {
    /// Makes a window.
    pub(super) fn open_window(
        &mut self,
        target: MarkTarget,
        kind: MarkKind,
        why: &str,
        from: Timestamp,
        until: Option<Timestamp>,
        turn: &mut Turn,
    ) -> Result<Pending, CommandError> {
        let Some(until) = until else {
            return Err(CommandError::Refused("a mark that begins later needs an end: --until".into()));
        };
        if until <= from {
            return Err(CommandError::Refused(format!("it would end at {until}, and begins at {from}")));
        }
        let author = turn.author.name.clone();
        let mark = Mark { kind, reason: why.into(), author, since: from, until: Some(until) };
        let same = self.known.windows.iter().find(|(_, window)| window.target == target && window.mark == mark);
        if let Some((id, _)) = same {
            let summary = format!("already so: window {id}, {target} {}", reason::mark(&mark));
            return Ok(Pending::Moved { summary, changed: false });
        }
        // Never that of a window that is gone: somebody may have its number in a note.
        let numbers = self.known.windows.keys().filter_map(|id| id.parse::<u64>().ok());
        let id = (turn.now.0 / 1000).max(numbers.max().unwrap_or(0) + 1).to_string();
        let summary = format!("window {id}: {target} {} from {from}", reason::mark(&mark));
        let record = turn.audit(AuditKind::Window, target.to_string(), why);
        record.after = Some(format!("window {id}: {} from {from} until {until}", kind.word()));
        turn.say(Level::Info, "window", summary.clone());
        let window = Window { target, mark, begun: false };
        self.put_window(&id, Some(window), turn);
        turn.notes.add(format!("take it away with `concierge unmark --window {id}`"));
        Ok(Pending::Moved { summary, changed: true })
    }

    /// Takes a window away.
    pub(super) fn close_window(&mut self, id: &str, why: &str, turn: &mut Turn) -> Result<Pending, CommandError> {
        let Some(window) = self.known.windows.get(id).cloned() else {
            let known: Vec<_> = self.known.windows.keys().map(String::as_str).collect();
            return Err(CommandError::NotFound(super::commands::unknown("window", id, &known)));
        };
        let Window { target, mark, .. } = window;
        let summary = format!("window {id} is taken away: {target} {}", reason::mark(&mark));
        turn.audit(AuditKind::Window, target.to_string(), why).before = Some(format!("window {id}"));
        turn.say(Level::Info, "window", format!("{summary}, by {} ({why})", turn.author.name));
        self.put_window(id, None, turn);
        Ok(Pending::Moved { summary, changed: true })
    }

    /// Begins and ends the windows whose time has come.
    pub(super) fn advance_windows(&mut self, turn: &mut Turn) {
        if self.retry.as_ref().is_some_and(|(at, _)| *at > turn.now) {
            return;
        }
        let now = turn.now;
        let ends = |window: &Window| window.mark.until.is_some_and(|until| until <= now);
        let begins = |window: &Window| !window.begun && window.mark.since <= now;
        let due: Vec<_> = self.known.windows.iter().filter(|(_, window)| ends(window) || begins(window)).collect();
        let due: Vec<_> = due.into_iter().map(|(id, window)| (id.clone(), window.clone())).collect();
        for (id, window) in due {
            let (word, after) = match ends(&window) {
                true => ("has ended", None),
                false => ("has begun", Some(Window { begun: true, ..window.clone() })),
            };
            let sentence = format!("window {id} {word}: {} {}", window.target, reason::mark(&window.mark));
            let author = std::mem::replace(&mut turn.author, Author::daemon());
            turn.audit(AuditKind::Window, window.target.to_string(), &sentence).after = Some(word.into());
            turn.author = author;
            turn.say(Level::Info, "window", sentence);
            self.put_window(&id, after, turn);
        }
    }

    /// When the next window begins or ends.
    pub(super) fn windows_wake(&self) -> Option<Timestamp> {
        let wake = |window: &Window| match window.begun {
            true => window.mark.until,
            false => Some(window.mark.since),
        };
        self.known.windows.values().filter_map(wake).min()
    }

    /// What a move is held against before it begins: of one that has its time, the marks that will be in force then.
    pub(super) fn views_of_move(
        &mut self,
        at: &HubAt,
        views: &mut Vec<EndpointView>,
        options: &MoveOptions,
        now: Timestamp,
    ) {
        self.views(at, views, now);
        let Some(then) = time_of(at, options, now) else { return };
        for (view, endpoint) in views.iter_mut().zip(&at.hub.endpoints) {
            let marks = self.marks_at(&at.hub.name, &endpoint.region, then);
            view.mark = marks.map(|(_, mark)| mark.kind).max();
        }
    }

    /// Why a move to an endpoint is refused before it begins.
    pub(super) fn refusal(
        &self,
        at: &HubAt,
        to: usize,
        refused: &MoveRefused,
        options: &MoveOptions,
        now: Timestamp,
    ) -> String {
        let region = &at.hub.endpoints[to].region;
        let then = time_of(at, options, now).filter(|_| matches!(refused, MoveRefused::Marked { .. }));
        let holding = then.and_then(|then| self.marks_at(&at.hub.name, region, then).max_by_key(|(_, mark)| mark.kind));
        match holding {
            Some((Some(id), mark)) if mark.since > now && !self.has_begun(Some(id)) => format!(
                "{region} is to be {} from {}, before the move would switch; choose another time, or take the window away \
                 with `concierge unmark --window {id}`",
                reason::mark(mark),
                mark.since
            ),
            _ => format!("{refused}: {}", self.endpoint_reason(at, at.endpoints().start + to, now)),
        }
    }

    /// What begins or ends before a move that has its time would switch, as sentences in order.
    pub(super) fn marks_until(
        &self,
        position: usize,
        at: &HubAt,
        options: &MoveOptions,
        now: Timestamp,
    ) -> Vec<String> {
        let Some(then) = time_of(at, options, now) else { return Vec::new() };
        let (name, active) = (&at.hub.name, self.stands.active(position));
        let mut changes = Vec::new();
        for (which, endpoint) in at.hub.endpoints.iter().enumerate() {
            for (id, mark) in self.marks_known(name, &endpoint.region) {
                let what = match id {
                    Some(id) => format!("window {id}"),
                    None => "the mark".into(),
                };
                let region = &endpoint.region;
                if !self.has_begun(id) && mark.since > now && mark.since <= then {
                    let leaves = active == Some(which) && mark.kind != MarkKind::Up;
                    let leaves = match leaves {
                        true => format!("; {name} leaves {region} then if it can, which stops this move"),
                        false => String::new(),
                    };
                    changes.push((mark.since, format!("{what} begins: {region} {}{leaves}", reason::mark(mark))));
                }
                if let Some(until) = mark.until.filter(|until| *until <= then) {
                    changes.push((until, format!("{what} ends: {region} {}", reason::mark(mark))));
                }
            }
        }
        changes.sort();
        changes.dedup();
        changes.into_iter().map(|(at, what)| format!("at {at} {what}")).collect()
    }

    /// Everything that is known to mark an endpoint, at this moment or later; a window with its number.
    fn marks_known(&self, hub: &Name, region: &RegionName) -> impl Iterator<Item = (Option<&str>, &Mark)> {
        let own = MarkTarget::Endpoint(EndpointId { hub: hub.clone(), region: region.clone() });
        let wide = MarkTarget::Region(region.clone());
        let concerns = move |target: &MarkTarget| *target == own || *target == wide;
        let windows = self.known.windows.iter().filter(move |(_, window)| concerns(&window.target));
        let windows = windows.map(|(id, window)| (Some(id.as_str()), &window.mark));
        windows.chain(super::mark::of(&self.marks, hub, region).map(|(_, mark)| (None, mark)))
    }

    /// Whether a window is in force; a mark is.
    fn has_begun(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.known.windows.get(id).is_some_and(|window| window.begun))
    }

    /// What of it is in force at a time to come.
    fn marks_at(
        &self,
        hub: &Name,
        region: &RegionName,
        then: Timestamp,
    ) -> impl Iterator<Item = (Option<&str>, &Mark)> {
        // What is in force stays so until its end, also where a clock was set back to before its beginning.
        let marks = self.marks_known(hub, region);
        marks.filter(move |(id, mark)| {
            (self.has_begun(*id) || mark.since <= then) && mark.until.is_none_or(|until| until > then)
        })
    }

    fn put_window(&mut self, id: &str, window: Option<Window>, turn: &mut Turn) {
        let target = window.as_ref().or(self.known.windows.get(id)).map(|window| window.target.clone());
        // A number is of the form that a key takes.
        let Ok(key) = FactKey::window(id) else { return };
        self.set_fact(key, window.as_ref(), turn);
        if let Some(target) = target {
            self.lay_mark(&target);
            turn.touched.extend(self.hubs_of_mark(&target));
        }
    }

    /// The kind that holds for exactly this target: of its mark and of the windows in force.
    fn kind_of(&self, target: &MarkTarget) -> Option<MarkKind> {
        let windows = self.known.windows.values().filter(|window| window.begun && window.target == *target);
        let mark = self.marks.get(target).map(|mark| mark.kind);
        windows.map(|window| window.mark.kind).chain(mark).max()
    }

    /// Lays out by position what holds for a target.
    pub(super) fn lay_mark(&mut self, target: &MarkTarget) {
        let kind = self.kind_of(target);
        let layout = self.layout.clone();
        Arc::make_mut(&mut self.marked).set(target, kind, &layout);
    }

    /// The same for everything that is marked.
    pub(super) fn lay_marks(&mut self) {
        let windows = self.known.windows.values().map(|window| window.target.clone());
        let targets: Vec<MarkTarget> = self.marks.keys().cloned().chain(windows).collect();
        targets.iter().for_each(|target| self.lay_mark(target));
    }

    /// The mark that holds for an endpoint, and what it is a mark of.
    pub(super) fn holding(&self, hub: &Name, region: &RegionName) -> Option<(&MarkTarget, &Mark)> {
        let concerns = |target: &MarkTarget| match target {
            MarkTarget::Region(marked) => marked == region,
            MarkTarget::Endpoint(endpoint) => endpoint.hub == *hub && endpoint.region == *region,
        };
        let windows = self.known.windows.values().filter(|window| window.begun && concerns(&window.target));
        let windows = windows.map(|window| (&window.target, &window.mark));
        // Of equal ones the endpoint's own, and of those the mark: the last of equal maxima is taken.
        windows.chain(super::mark::of(&self.marks, hub, region)).max_by_key(|(_, mark)| mark.kind)
    }
}
