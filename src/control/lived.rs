//! A clock that went forward by more than was lived through: it was set, or the machine has slept.
//!
//! What it has passed over counts towards no wait ([`Lived`]), and is kept in the store, so that a restart
//! makes no wait shorter. What is good begins anew to be so: nobody has watched it meanwhile. A lease of what is told lasts
//! as much longer, for nobody could tell anything.
//!
//! It is measured and not decided: a commit that fails takes it back from the store and not from here, and it is written
//! later.

use std::sync::Arc;

use super::event::Level;
use super::fact::FactKey;
use super::state::State;
use super::turn::Turn;
use crate::policy::Failback;
use crate::time::{Lived, Timestamp, human};

impl State {
    /// Takes in that the clock went from a moment to this one.
    pub(super) fn jump(&mut self, from: Timestamp, turn: &mut Turn) {
        let (now, layout) = (turn.now, self.layout.clone());
        Arc::make_mut(&mut self.lived).skip(from, now);
        self.totals.clock_jumps += 1;
        let length = human(now.since(from));
        let sentence = format!(
            "the clock went forward by {length} that were not lived through: it was set, or this machine has slept. They count \
             towards no wait, and what is good begins anew to be so"
        );
        turn.say(Level::Warn, "clock", sentence);
        let good = Arc::make_mut(&mut self.good_since).iter_mut();
        good.filter(|since| since.is_some()).for_each(|since| *since = Some(now));
        Arc::make_mut(&mut self.leases).prolong(now.since(from));
        // Whatever waits does so until another moment.
        let returns = layout.hubs.iter().zip(0..).filter(|(at, _)| matches!(at.rules.failback, Failback::After(_)));
        turn.touched.extend(returns.map(|(_, position)| position));
        turn.touched.extend(self.holds.keys().chain(self.ttl_ends.keys()));
        self.keep_lived(turn);
    }

    /// Writes what the store does not have yet of it.
    pub(super) fn keep_lived(&mut self, turn: &mut Turn) {
        if self.known.lived != *self.lived {
            let lived = Lived::clone(&self.lived);
            self.set_fact(FactKey::lived(), Some(&lived), turn);
        }
    }
}
