//! A simulated store: what a commit leaves behind, and what a daemon finds that starts after a kill.
//!
//! It has the meaning of the real [`Store`](crate::control::store::Store) and little of its code: rows, and one commit that
//! may have reached the disk although it failed, which is taken back before the next use unless the daemon is killed
//! before that.

use super::history::Failure;
use crate::control::event::Commit;
use crate::control::state::{Persisted, health_key};

/// One use of the store by the daemon, and what the rows are after it: for whoever plays it again with the real one.
#[derive(Clone, Debug)]
pub enum Use {
    /// A daemon starts, whose predecessor was killed, and finds this.
    Open(Persisted),
    /// A commit.
    Commit {
        /// The commit.
        commit: Box<Commit>,
        /// What became of it.
        became: Became,
        /// Whether the disk is well after it, so that what has failed is taken back at once.
        well: bool,
        /// What a daemon would find that started then.
        after: Persisted,
    },
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// It is durable.
    Durable,
    /// It has failed, and nothing of it has reached the disk.
    Nothing,
    /// It has failed, and has reached the disk.
    Reached,
}

/// The rows, and how the disk fails.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What the daemon has used it for, where somebody writes it down.
    pub(super) tape: Option<Vec<Use>>,
    rows: Persisted,
    /// What a commit that failed has left on the disk, and the rows from before.
    doubtful: Option<(Commit, Persisted)>,
    fails: Option<(Failure, u8)>,
}

impl Disk {
    /// An empty one, whose uses may be written down.
    pub(super) fn new(taped: bool) -> Self {
        Self { tape: taped.then(Vec::new), ..Self::default() }
    }

    /// The next uses fail.
    pub(super) fn fail(&mut self, how: Failure, commits: u8) {
        self.fails = Some((how, commits));
    }

    /// Whether it would fail now.
    pub(super) fn is_failing(&self) -> bool {
        self.fails.is_some()
    }

    /// Makes a commit durable.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), String> {
        if let Some((how, left)) = &mut self.fails {
            let how = *how;
            *left -= 1;
            let last = *left == 0;
            if last {
                self.fails = None;
            }
            let reaches = how == Failure::Reached && self.doubtful.is_none();
            if reaches {
                let before = self.rows.clone();
                write(&mut self.rows, commit);
                self.doubtful = Some((commit.clone(), before));
            }
            if last {
                // The store tries at once, and the disk is well again.
                self.take_back();
            }
            self.record(commit, if reaches { Became::Reached } else { Became::Nothing }, last);
            return Err("no space left on device".into());
        }
        self.take_back();
        write(&mut self.rows, commit);
        self.record(commit, Became::Durable, true);
        Ok(())
    }

    fn record(&mut self, commit: &Commit, became: Became, well: bool) {
        if let Some(tape) = &mut self.tape {
            tape.push(Use::Commit { commit: Box::new(commit.clone()), became, well, after: self.rows.clone() });
        }
    }

    fn take_back(&mut self) {
        if let Some((_, before)) = self.doubtful.take() {
            // Health is measured anew, and stays.
            let health = std::mem::take(&mut self.rows.health);
            self.rows = Persisted { health, ..before };
        }
    }

    /// What a daemon finds that starts now; and the commit that its predecessor was told had failed, if that is in it.
    pub(super) fn open(&mut self) -> (Persisted, Option<Commit>) {
        let surfaced = self.doubtful.take().map(|(commit, _)| commit);
        if let Some(tape) = &mut self.tape {
            tape.push(Use::Open(self.rows.clone()));
        }
        (self.rows.clone(), surfaced)
    }
}

fn write(rows: &mut Persisted, commit: &Commit) {
    for (_, name) in &commit.named {
        rows.roster.admit(name);
    }
    rows.standings.resize(rows.roster.len(), None);
    for (target, _, after) in &commit.marks {
        match after {
            Some(mark) => drop(rows.marks.insert(target.clone(), mark.clone())),
            None => drop(rows.marks.remove(target)),
        }
    }
    for (target, health) in &commit.health {
        rows.health.insert(health_key(target), *health);
    }
    for (key, _, after) in &commit.facts {
        match after {
            Some(fact) => drop(rows.facts.insert(key.clone(), fact.clone())),
            None => drop(rows.facts.remove(key)),
        }
    }
    // What is read again is what the rows of the audit trail say, one after the other.
    for (switch, change) in commit.switch.iter().flat_map(|switch| switch.changes.iter().map(move |c| (switch, c))) {
        let standing = &mut rows.standings[change.hub.index()];
        *standing = Some(change.step().follow(standing.as_deref(), switch.at).into());
    }
}
