//! I/O shell: one task for each thing to be probed, and a supervisor that sees to it that they run.
//!
//! A task waits, observes, reports, and begins again; it never waits for another one, so that a slow target delays no
//! other. The exception is this machine's own limit of open files (`budget`). To know whether `confirm` or `interval` comes next it feeds its observations to a [`Machine`] of its own,
//! which is the same as the control core's because it is fed the same: nothing has to be reported back to it.
//!
//! The supervisor owns the tasks. One that ends, by a panic or otherwise, is logged, counted and started again with the
//! machine that it had. Should the supervisor itself end, every prober falls silent, which
//! [`overdue`](super::schedule::overdue) shows.
//!
//! All of them run on one thread that does nothing else, ahead of the workers that answer queries where there is the right
//! to it: neither a reload nor queries over TCP hold up an observation. Ten thousand targets are a thousand observations a
//! second, which is a small part of a core. So that this thread and the control loop wake a hundred times a second and not a
//! thousand times, starts keep to a grid (`GRID`), and what is complete at the same moment is reported together.
#![expect(clippy::disallowed_methods, reason = "I/O shell: probers are tasks that wait, on a thread of their own")]

pub(crate) mod budget;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep_until};

use self::budget::Budget;
use super::machine::Machine;
use super::probe::{Observed, Prober};
use super::schedule::{self, Position};
use super::{Health, Observation, Outcome, Remarks};
use crate::policy::{Probe, ProbeTarget};
use crate::process::privileges;
use crate::time::Timestamp;

/// Time from the end of a prober to its next start.
pub(crate) const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Observations start at multiples of this, counted from the start of the probers; earlier rather than later, so that no
/// bound of what is found out when is missed by it.
const GRID: Duration = Duration::from_millis(10);

/// How far the probers' thread goes ahead of the workers where they want the same core, in steps of nice(2).
const AHEAD: i32 = 10;

/// All probers of this process; they stop when it is dropped.
///
/// It belongs to the control loop, which tells it what is to be probed and receives the observations.
#[derive(Debug)]
pub struct Probers {
    prober: Arc<Prober>,
    /// To the supervisor, which never waits long. It ends when this is dropped, and its tasks and their thread with it.
    orders: mpsc::UnboundedSender<Order>,
    restarts: Arc<AtomicU64>,
}

/// What the supervisor is told.
#[derive(Debug)]
enum Order {
    /// What is to be probed from now on.
    Wanted {
        /// What, and how.
        wanted: BTreeMap<ProbeTarget, Arc<Probe>>,
        /// The health of what is added, from before.
        restored: BTreeMap<ProbeTarget, Health>,
    },
    /// What is to be observed at once.
    Look(BTreeSet<ProbeTarget>),
}

impl Probers {
    /// Starts with nothing to probe.
    ///
    /// `resolvers` are asked for the addresses of host names; with none, those of `/etc/resolv.conf`. Observations go to
    /// `observations` as they are complete; when it is full the probers wait, and when it is closed they end. `clock`
    /// gives the time at which an observation was complete. At most `descriptors` files are open for all of them,
    /// half of them for connections that are kept.
    ///
    /// # Errors
    /// When their thread or its runtime cannot be made.
    pub fn start(
        resolvers: &[SocketAddr],
        descriptors: usize,
        observations: mpsc::Sender<Observation>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let kept = descriptors / 2;
        let prober = Arc::new(Prober::keeping(resolvers, kept));
        let restarts = Arc::new(AtomicU64::new(0));
        let (orders, received) = mpsc::unbounded_channel();
        let surroundings = Surroundings {
            prober: prober.clone(),
            observations,
            clock: Box::new(clock),
            budget: Budget::new(descriptors - kept),
            began: Instant::now(),
        };
        let supervisor = Supervisor {
            surroundings: Arc::new(surroundings),
            tasks: JoinSet::new(),
            probers: BTreeMap::new(),
            restarts: restarts.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // A test looks at what its own thread logs.
        #[cfg(test)]
        let log = tracing::dispatcher::get_default(Clone::clone);
        std::thread::Builder::new().name("probers".into()).spawn(move || {
            #[cfg(test)]
            let _log = tracing::dispatcher::set_default(&log);
            // Without the right to it (CAP_SYS_NICE) the thread stays what the others are.
            let _ = rustix::process::nice(-AHEAD);
            privileges::keep_probing();
            runtime.block_on(supervisor.run(received));
            // A file that is being read, on a disk that hangs, is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { prober, orders, restarts })
    }

    /// Probes exactly `wanted` from now on.
    ///
    /// What is probed already and not changed goes on undisturbed. What has another definition goes on with its health
    /// and counters, at the new pace. What is added begins spread over its interval, with the health of `restored` if
    /// it is there: pass what the control core made its own [`Machine`] from. An observation of something that is no
    /// longer wanted may still arrive, if it was on its way.
    ///
    /// Files that probes depend on (trust anchors, `/etc/resolv.conf`) are read again.
    pub fn update(&mut self, wanted: BTreeMap<ProbeTarget, Arc<Probe>>, restored: BTreeMap<ProbeTarget, Health>) {
        self.prober.renew();
        // A supervisor that is gone shows as silence of every prober.
        drop(self.orders.send(Order::Wanted { wanted, restored }));
    }

    /// Observes these at once, and goes on at their pace from then. What is being observed at this moment is observed once
    /// more after that.
    pub fn look_now(&self, targets: BTreeSet<ProbeTarget>) {
        drop(self.orders.send(Order::Look(targets)));
    }

    /// What resolves, connects and verifies for them, for others that have to do the same.
    pub fn prober(&self) -> Arc<Prober> {
        self.prober.clone()
    }

    /// How often a prober had to be started again.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }
}

/// What every task needs.
struct Surroundings {
    prober: Arc<Prober>,
    observations: mpsc::Sender<Observation>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    budget: Budget,
    /// Where the grid of starts begins.
    began: Instant,
}

impl Surroundings {
    /// The last moment of the grid that is not later.
    fn on_grid(&self, start: Instant) -> Instant {
        let beyond = start.saturating_duration_since(self.began).as_nanos() % GRID.as_nanos();
        // Less than the grid's distance.
        start - Duration::from_nanos(beyond as u64)
    }
}

struct Supervisor {
    surroundings: Arc<Surroundings>,
    tasks: JoinSet<()>,
    probers: BTreeMap<ProbeTarget, Running>,
    restarts: Arc<AtomicU64>,
}

/// A prober's task and what outlives it.
struct Running {
    task: AbortHandle,
    definition: watch::Sender<Definition>,
    machine: SharedMachine,
    /// An observation that is wanted before its time.
    hurry: Arc<Notify>,
}

/// A probe as the task learns of it.
#[derive(Clone, Debug)]
struct Definition {
    probe: Arc<Probe>,
    /// Time to the first observation, if none is due by what went before.
    first: Duration,
}

/// The machine of one task. The lock is for the task that comes after a panic; two never hold it.
type SharedMachine = Arc<Mutex<Machine>>;

impl Supervisor {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Wanted { wanted, restored }) => self.carry_out(wanted, restored),
                    Some(Order::Look(targets)) => {
                        for running in targets.iter().filter_map(|target| self.probers.get(target)) {
                            running.hurry.notify_one();
                        }
                    }
                    None => return,
                },
                Some(ended) = self.tasks.join_next_with_id() => {
                    if self.surroundings.observations.is_closed() {
                        return;
                    }
                    match ended {
                        Ok((id, ())) => self.restart(id, "it ended"),
                        Err(died) => self.restart(died.id(), &panic_words(died)),
                    }
                }
            }
        }
    }

    fn carry_out(&mut self, mut wanted: BTreeMap<ProbeTarget, Arc<Probe>>, restored: BTreeMap<ProbeTarget, Health>) {
        // What somebody else tells of is not observed here.
        wanted.retain(|_, probe| probe.kind.is_observed());
        self.surroundings.budget.compare(wanted.iter().map(|(target, probe)| budget::weight(probe, &target.target)));
        self.probers.retain(|target, running| {
            let keep = wanted.contains_key(target);
            if !keep {
                running.task.abort();
            }
            keep
        });
        let changed: Vec<_> = wanted
            .into_iter()
            .filter(|(target, probe)| {
                self.probers.get(target).is_none_or(|running| running.definition.borrow().probe != *probe)
            })
            .collect();
        let of = changed.len();
        for (index, (target, probe)) in changed.into_iter().enumerate() {
            let first = schedule::first(&probe, Position { index, of }, rand::random());
            let definition = Definition { probe, first };
            if let Some(running) = self.probers.get(&target) {
                running.definition.send_replace(definition);
                continue;
            }
            let machine = restored.get(&target).map_or_else(Machine::new, |before| Machine::restored(*before));
            let (definition, machine) = (watch::Sender::new(definition), SharedMachine::new(machine.into()));
            let hurry = Arc::new(Notify::new());
            let task = self.spawn(&target, &definition, &machine, &hurry);
            self.probers.insert(target, Running { task, definition, machine, hurry });
        }
    }

    fn spawn(
        &mut self,
        target: &ProbeTarget,
        definition: &watch::Sender<Definition>,
        machine: &SharedMachine,
        hurry: &Arc<Notify>,
    ) -> AbortHandle {
        let (definition, machine, hurry) = (definition.subscribe(), machine.clone(), hurry.clone());
        let task = watch_target(self.surroundings.clone(), target.clone(), definition, machine, hurry);
        self.tasks.spawn(task)
    }

    fn restart(&mut self, id: tokio::task::Id, why: &str) {
        // One that was stopped because it is not wanted is not found, and that is right.
        let Some((target, running)) = self.probers.iter().find(|(_, running)| running.task.id() == id) else { return };
        self.restarts.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(probe = %target, "prober of {target} stopped and is started again: {why}");
        let (target, definition, machine) = (target.clone(), running.definition.clone(), running.machine.clone());
        let hurry = running.hurry.clone();
        definition.send_modify(|definition| definition.first = RESTART_PAUSE);
        let task = self.spawn(&target, &definition, &machine, &hurry);
        if let Some(running) = self.probers.get_mut(&target) {
            running.task = task;
        }
    }
}

pub(crate) fn panic_words(died: JoinError) -> String {
    let Ok(panic) = died.try_into_panic() else { return "it was cancelled".to_owned() };
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", words.unwrap_or("without a word"))
}

/// Observes one target for ever, or until nobody receives the observations.
async fn watch_target(
    surroundings: Arc<Surroundings>,
    target: ProbeTarget,
    mut definition: watch::Receiver<Definition>,
    machine: SharedMachine,
    hurry: Arc<Notify>,
) {
    let mut begun: Option<Instant> = None;
    let mut start = Instant::now() + definition.borrow_and_update().first;
    loop {
        tokio::select! {
            () = sleep_until(surroundings.on_grid(start)) => {}
            () = hurry.notified() => {}
            Ok(()) = definition.changed() => {
                let Definition { probe, first } = definition.borrow_and_update().clone();
                let now = Instant::now();
                let due = begun.map(|begun| begun + period(&probe, &machine));
                // What the new pace makes overdue is not done at once, for a reload may change many.
                start = due.filter(|due| *due > now).unwrap_or(now + first);
                continue;
            }
        }
        let probe = definition.borrow().probe.clone();
        let now = Instant::now();
        begun = Some(now);
        // In a place of its own: what waits for its time, as most do, takes no room for what an observation needs.
        let (Observed { outcome, remarks }, latency) = Box::pin(observe(&surroundings, &probe, &target)).await;
        let at = (surroundings.clock)();
        log(&target, &outcome, latency);
        machine.lock().unwrap_or_else(PoisonError::into_inner).observe(&probe, &outcome, at);
        let observation = Observation { target: target.clone(), at, latency, outcome, remarks };
        // What else is complete at this moment is so first, and the control loop is woken once.
        yield_now().await;
        if surroundings.observations.send(observation).await.is_err() {
            return;
        }
        start = now + period(&probe, &machine);
    }
}

/// Makes an observation within the budget, and says how long it took.
async fn observe(surroundings: &Surroundings, probe: &Arc<Probe>, target: &ProbeTarget) -> (Observed, Duration) {
    let _share = match surroundings.budget.share(budget::weight(probe, &target.target), probe.timeout).await {
        Ok(share) => share,
        Err(sentence) => {
            let observed = Observed { outcome: Outcome::Unable(sentence), remarks: Remarks::default() };
            return (observed, Duration::ZERO);
        }
    };
    let begun = Instant::now();
    let observed = surroundings.prober.observe(probe, &target.target).await;
    (observed, begun.elapsed())
}

fn period(probe: &Probe, machine: &SharedMachine) -> Duration {
    schedule::period(probe, &machine.lock().unwrap_or_else(PoisonError::into_inner), rand::random())
}

fn log(target: &ProbeTarget, outcome: &Outcome, latency: Duration) {
    let latency_ms = latency.as_millis();
    match outcome {
        Outcome::Good => tracing::trace!(probe = %target, latency_ms, "{target}: ok"),
        Outcome::Failed(detail) | Outcome::Unable(detail) => {
            tracing::debug!(probe = %target, latency_ms, "{target}: {detail}");
        }
    }
}

#[cfg(test)]
mod tests;
