//! I/O shell: looks once a second whether everything turns, and tells the service manager so while it does.
//!
//! It is a task of the runtime that operators are served by: when that hangs, nothing is told either.
#![expect(clippy::disallowed_methods, reason = "I/O shell: a task, and the clock")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::liveness::{Liveness, Who};
use super::{notify, stand};
use crate::control::run::Control;
use crate::serve::Turns;

/// Time between two looks, unless the service manager is less patient.
const LOOK: Duration = Duration::from_secs(1);

/// Silence that is worth a line of the log where no service manager is patient for so and so long.
const LONG: Duration = Duration::from_secs(30);

/// The task; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    task: JoinHandle<()>,
    watched: Arc<Watched>,
}

/// What is looked at.
#[derive(Debug)]
struct Watched {
    /// `None` while another process is to answer. Taken once a second.
    turns: Mutex<Option<Turns>>,
    control: Control,
    /// How often the control loop has come round to what it was asked.
    rounds: AtomicU64,
    /// Whether it has been asked and not come round yet.
    asked: AtomicBool,
    /// Whether it stands still because it is to.
    still: AtomicBool,
}

impl Watch {
    /// Begins to look. Must be called within a runtime.
    pub fn start(turns: Turns, control: Control) -> Self {
        let watched = Watched {
            turns: Mutex::new(Some(turns)),
            control,
            rounds: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            still: AtomicBool::new(false),
        };
        let watched = Arc::new(watched);
        Self { task: tokio::spawn(watched.clone().run()), watched }
    }

    /// The control loop stands still from here on, as it is to, until [`Watch::expect_control`].
    pub fn excuse_control(&self) {
        self.watched.still.store(true, Ordering::Relaxed);
    }

    /// The control loop turns again.
    pub fn expect_control(&self) {
        self.watched.still.store(false, Ordering::Relaxed);
    }

    /// Looks at these workers from here on.
    pub fn expect(&self, turns: Option<Turns>) {
        *self.watched.turns.lock().unwrap_or_else(PoisonError::into_inner) = turns;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watched {
    async fn run(self: Arc<Self>) {
        let patience = notify::patience();
        let limit = patience.map_or(LONG, |patience| patience / 2);
        let between = LOOK.min(patience.map_or(LOOK, |patience| patience / 4)).max(Duration::from_millis(10));
        let mut ticks = tokio::time::interval(between);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut liveness, mut looked, mut told) = (Liveness::default(), Instant::now(), false);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            // The machine, or this process, stood still: nobody can have turned.
            if now.saturating_duration_since(looked) > 3 * between {
                liveness.forget();
            }
            looked = now;
            let (who, silent) = liveness.look(self.shown(), now).unwrap_or((Who::Control, Duration::ZERO));
            stand(|standing| standing.silent = silent);
            if silent <= limit {
                told = false;
                if patience.is_some() {
                    notify::alive();
                }
            } else if !std::mem::replace(&mut told, true) {
                let seconds = silent.as_secs_f64();
                tracing::error!(event = "watchdog", "{who} has shown no turn for {seconds:.0} s, which is a defect");
            }
        }
    }

    fn shown(self: &Arc<Self>) -> Vec<(Who, u64)> {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let workers = turns.as_ref().map(Turns::look).unwrap_or_default();
        drop(turns);
        let mut shown: Vec<_> = workers.into_iter().map(|(worker, turns)| (Who::Worker(worker), turns)).collect();
        if !self.still.load(Ordering::Relaxed) {
            self.ask();
            shown.push((Who::Control, self.rounds.load(Ordering::Relaxed)));
        }
        shown
    }

    /// Asks the control loop to come round, unless it has yet to from the last time.
    fn ask(self: &Arc<Self>) {
        if self.asked.swap(true, Ordering::Relaxed) {
            return;
        }
        let watched = self.clone();
        tokio::spawn(async move {
            if watched.control.turn().await.is_ok() {
                watched.rounds.fetch_add(1, Ordering::Relaxed);
            }
            watched.asked.store(false, Ordering::Relaxed);
        });
    }
}
