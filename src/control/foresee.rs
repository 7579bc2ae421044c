//! What a mark or a window would move, found by making it in a copy of the state.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Author, Command, CommandError, Effect, Event, ReplyTo};
use super::fact::FactKind;
use super::known::UsableSet;
use super::mark::MarkTarget;
use super::report::{Moved, Switched, UsableChange};
use super::state::State;
use super::view::View;
use crate::policy::MarkKind;
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
    /// How many hubs without an active region would answer out of other endpoints.
    #[serde(default)]
    pub usable_changed: u64,
    /// The first of them: at most [`Moved::LISTED`].
    #[serde(default)]
    pub usable: Vec<UsableChange>,
    /// Hubs that would want to move and could not, and those with nothing eligible.
    pub notes: Vec<String>,
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
        let begun = self.apply(Event::Tick, begins);
        let begins = self.moves_of(begun);
        let ended = self.apply(Event::Tick, ends);
        Foreseen { now, begins, ends: self.moves_of(ended) }
    }

    fn moves_of(&self, effects: Vec<Effect>) -> Moves {
        let mut moves = Moves::default();
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
                Effect::Log(line) if matches!(line.event, "hold" | "all-down") => moves.notes.push(line.sentence),
                _ => {}
            }
        }
        moves
    }
}
