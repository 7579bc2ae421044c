//! What a mark or a window would move, found by making it in a copy of the state.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Author, Command, CommandError, Effect, Event, ReplyTo};
use super::fact::FactKind;
use super::known::UsableSet;
use super::mark::MarkTarget;
use super::report::{Moved, Switched, UsableChange};
use super::state::State;
use super::told::Notes;
use super::view::View;
use crate::dns::Name;
use crate::policy::{Hold, MarkKind, RegionName};
use crate::time::Timestamp;

/// What a mark would do, by itself or from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Foreseen {
    /// The moment of the look.
    pub now: Timestamp,
    /// What its beginning would move.
    pub begins: Moves,
    /// What its end would move.
    pub ends: Moves,
}

/// Hubs that would move.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moves {
    /// How many.
    pub moved: u64,
    /// The first of them: at most [`Moved::LISTED`].
    pub switched: Vec<Switched>,
    /// How many would move once what they wait for has come, which it does by itself: a first verdict on the region that they
    /// go to, a look at it, a dwell, an acknowledgement of the region that they leave.
    #[serde(default)]
    pub later: u64,
    /// The first of them: at most [`Moved::LISTED`].
    #[serde(default)]
    pub waiting: Vec<Later>,
    /// How many hubs without an active region would answer out of other endpoints.
    #[serde(default)]
    pub usable_changed: u64,
    /// The first of them: at most [`Moved::LISTED`].
    #[serde(default)]
    pub usable: Vec<UsableChange>,
    /// Hubs that would want to move and could not, and those with nothing eligible.
    pub notes: Vec<String>,
}

/// A hub that would move later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Later {
    /// The hub.
    pub hub: Name,
    /// The active region.
    pub from: Option<RegionName>,
    /// The region that it would move to.
    pub to: RegionName,
    /// What it would wait for: one of [`Waiting::WORDS`](crate::policy::Waiting::WORDS).
    pub waiting: String,
    /// When that has come at the latest.
    pub until: Timestamp,
    /// The same in a sentence.
    pub sentence: String,
}

impl View {
    /// What a mark of these words would do at this moment, and what its end would.
    ///
    /// # Errors
    /// When there is no such region or endpoint.
    pub fn foresee(&self, target: &MarkTarget, kind: MarkKind) -> Result<Foreseen, CommandError> {
        self.state.known_target(target)?;
        Ok(self.state.clone().foresee(target, kind, self.now))
    }
}

impl State {
    /// Begins and ends the mark as a window, in the next two milliseconds: as a window it replaces no mark.
    fn foresee(mut self, target: &MarkTarget, kind: MarkKind, now: Timestamp) -> Foreseen {
        let [begins, ends] = [1, 2].map(|millis| now.after(Duration::from_millis(millis)));
        let author = Author::daemon();
        let (target, reason) = (target.clone(), "to see what it would do".into());
        let command = Command::Mark { target, kind, reason, from: Some(begins), until: Some(ends) };
        self.apply(Event::Command { command, author, reply: ReplyTo(0) }, now);
        let [begins, ends] = [begins, ends].map(|at| {
            let held = self.holds.clone();
            let effects = self.apply(Event::Tick, at);
            self.moves_of(effects, &held, at)
        });
        Foreseen { now, begins, ends }
    }

    /// What these effects move, and what waits since that did not wait before.
    fn moves_of(&self, effects: Vec<Effect>, before: &BTreeMap<u32, Hold>, now: Timestamp) -> Moves {
        let mut moves = Moves::default();
        let what = |hold: &Hold| (hold.wanted, hold.waiting);
        let waits = self.holds.iter().filter(|(hub, hold)| before.get(hub).map(what) != Some(what(hold)));
        let mut held = Notes::default();
        for (position, hold) in waits {
            let at = &self.layout.hubs[*position as usize];
            let (hub, sentence) = (&at.hub.name, || self.hold_sentence(at, hold, now));
            let Some(until) = hold.until else {
                held.of_hub(|| format!("{hub}: {}", sentence()));
                continue;
            };
            moves.later += 1;
            if moves.waiting.len() < Moved::LISTED {
                moves.waiting.push(Later {
                    hub: hub.clone(),
                    from: self.stands.of(at.id).map(|standing| standing.active.clone()),
                    to: at.hub.endpoints[hold.wanted].region.clone(),
                    waiting: hold.waiting.word().into(),
                    until,
                    sentence: sentence(),
                });
            }
        }
        moves.notes = held.finish();
        for effect in effects {
            match effect {
                Effect::Commit(commit) => {
                    let changes = || commit.switch.iter().flat_map(|switch| &switch.changes);
                    let switched: Vec<_> = changes().filter_map(|change| self.switched(change)).collect();
                    let switched = switched.into_iter().filter(|switched| switched.from.as_ref() != Some(&switched.to));
                    let switched: Vec<_> = switched.collect();
                    moves.moved += switched.len() as u64;
                    moves.switched.extend(switched.into_iter().take(Moved::LISTED));
                    let sets = commit.facts.iter().filter(|(key, ..)| key.kind() == FactKind::Usable);
                    let changed: Vec<_> = sets
                        .filter_map(|(key, before, after)| {
                            let (before, after) =
                                (before.as_ref()?.get::<UsableSet>(), after.as_ref()?.get::<UsableSet>());
                            let (before, after) = (before.ok()?, after.ok()?);
                            let (hub, all_down, changed) =
                                (key.hub()?, after.all_down, before.all_down != after.all_down);
                            let (before, after) = (before.answered, after.answered);
                            (changed || before != after).then_some(UsableChange { hub, before, after, all_down })
                        })
                        .collect();
                    moves.usable_changed += changed.len() as u64;
                    moves.usable.extend(changed.into_iter().take(Moved::LISTED));
                }
                Effect::Log(line) if line.event == "all-down" => moves.notes.push(line.sentence),
                _ => {}
            }
        }
        moves
    }
}
