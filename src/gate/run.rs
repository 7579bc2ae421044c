//! I/O shell: one task for each gate, and a supervisor that sees to it that they run.
//!
//! A task waits, looks, reports, and begins again, whether a move is wanted or not, so that evidence is there when it is
//! needed and an operator sees beforehand what would hold. It waits for no other one but for the budget: at most
//! [`AT_ONCE`] looks are under way, each for at most its gate's `timeout`. Evidence of a gate that falls silent grows old,
//! and old evidence counts as shut: nothing passes because a task has ended.
//!
//! The supervisor owns the tasks. One that ends, by a panic or otherwise, is logged, counted and started again.
#![expect(clippy::disallowed_methods, reason = "I/O shell: gates are looked at by tasks that wait")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::exec::{self, Given};
use super::{Evidence, http, line};
use crate::health::probe::Prober;
use crate::health::run::{RESTART_PAUSE, panic_words};
use crate::policy::{Gate, GateKind, GateName};
use crate::time::Timestamp;

/// Looks under way at once: each may take a file descriptor or three, and a process.
pub const AT_ONCE: usize = 32;

/// By how much of itself an interval varies in either direction.
const JITTER: f64 = 0.1;

/// Longest time from the start, or from the reload that added it, to the first look at a gate.
const FIRST: Duration = Duration::from_secs(1);

/// All gates that are looked at; the looks stop when it is dropped.
///
/// It belongs to the control loop, which tells it what is wanted and receives the evidence.
#[derive(Debug)]
pub struct Gates {
    prober: Arc<Prober>,
    /// To the supervisor, which never waits long. It ends when this is dropped.
    orders: mpsc::UnboundedSender<Order>,
    supervisor: JoinHandle<()>,
    restarts: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Order {
    /// Look at exactly these from now on.
    Wanted(BTreeMap<GateName, Arc<Gate>>),
    /// Look at this one now.
    Look(GateName),
}

impl Gates {
    /// Starts with nothing to look at.
    ///
    /// `prober` resolves, connects and verifies. Evidence goes to `evidence` as it comes; when that is full the looks wait,
    /// and when it is closed they end. `clock` gives the time at which a look was complete.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(
        prober: Arc<Prober>,
        evidence: mpsc::Sender<Evidence>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let restarts = Arc::new(AtomicU64::new(0));
        let (orders, received) = mpsc::unbounded_channel();
        let budget = Semaphore::new(AT_ONCE);
        let surroundings = Surroundings { prober: prober.clone(), evidence, budget, clock: Box::new(clock) };
        let supervisor = Supervisor {
            surroundings: Arc::new(surroundings),
            tasks: JoinSet::new(),
            gates: BTreeMap::new(),
            restarts: restarts.clone(),
        };
        Self { prober, orders, supervisor: tokio::spawn(supervisor.run(received)), restarts }
    }

    /// Looks at exactly `wanted` from now on, but for gates of acknowledgements, at which there is nothing to look.
    ///
    /// A gate that is looked at already and not changed goes on undisturbed. One with another definition begins anew, and
    /// a look that is under way is given up. What begins has its first look within a second, spread. Evidence of a gate
    /// that is no longer wanted, or of the definition before, may still arrive, if it was on its way.
    ///
    /// Files that gates depend on (trust anchors, `/etc/resolv.conf`) are read again.
    pub fn update(&mut self, wanted: BTreeMap<GateName, Arc<Gate>>) {
        self.prober.renew();
        // Without a supervisor every gate falls silent, and is shut.
        drop(self.orders.send(Order::Wanted(wanted)));
    }

    /// Looks at a gate at once; when it is being looked at, once more after that.
    pub fn look_now(&self, gate: &GateName) {
        drop(self.orders.send(Order::Look(gate.clone())));
    }

    /// How often a task had to be started again.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }
}

impl Drop for Gates {
    fn drop(&mut self) {
        // Its tasks are dropped with it, and programs that run are killed.
        self.supervisor.abort();
    }
}

/// What every task needs.
struct Surroundings {
    prober: Arc<Prober>,
    evidence: mpsc::Sender<Evidence>,
    budget: Semaphore,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

struct Supervisor {
    surroundings: Arc<Surroundings>,
    tasks: JoinSet<()>,
    gates: BTreeMap<GateName, Running>,
    restarts: Arc<AtomicU64>,
}

/// A gate's task.
struct Running {
    task: AbortHandle,
    gate: Arc<Gate>,
    /// Asks for a look.
    asked: Arc<Notify>,
}

impl Supervisor {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Wanted(wanted)) => self.carry_out(wanted),
                    Some(Order::Look(name)) => {
                        if let Some(running) = self.gates.get(&name) {
                            running.asked.notify_one();
                        }
                    }
                    None => return,
                },
                Some(ended) = self.tasks.join_next_with_id() => {
                    if self.surroundings.evidence.is_closed() {
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

    fn carry_out(&mut self, mut wanted: BTreeMap<GateName, Arc<Gate>>) {
        wanted.retain(|_, gate| gate.kind != GateKind::Ack);
        self.gates.retain(|name, running| {
            let keep = wanted.get(name).is_some_and(|gate| *gate == running.gate);
            if !keep {
                running.task.abort();
            }
            keep
        });
        wanted.retain(|name, _| !self.gates.contains_key(name));
        let of = wanted.len();
        for (index, (name, gate)) in wanted.into_iter().enumerate() {
            let first = first(&gate, (index, of), rand::random());
            let asked = Arc::new(Notify::new());
            let task = self.spawn(&gate, &asked, first);
            self.gates.insert(name, Running { task, gate, asked });
        }
    }

    fn spawn(&mut self, gate: &Arc<Gate>, asked: &Arc<Notify>, first: Duration) -> AbortHandle {
        self.tasks.spawn(watch_gate(self.surroundings.clone(), gate.clone(), asked.clone(), first))
    }

    fn restart(&mut self, id: tokio::task::Id, why: &str) {
        // One that was stopped because it is not wanted is not found, and that is right.
        let Some((name, running)) = self.gates.iter().find(|(_, running)| running.task.id() == id) else { return };
        self.restarts.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(event = "gate", gate = %name, "the task of gate {name} stopped and is started again: {why}");
        let (name, gate, asked) = (name.clone(), running.gate.clone(), running.asked.clone());
        let task = self.spawn(&gate, &asked, RESTART_PAUSE);
        self.gates.insert(name, Running { task, gate, asked });
    }
}

/// The time to the first look, of a gate among those that begin together: spread evenly over the interval, or over a
/// second if that is shorter. `random` is in `0.0..1.0`.
fn first(gate: &Gate, (index, of): (usize, usize), random: f64) -> Duration {
    gate.interval.min(FIRST).mul_f64((index as f64 + JITTER * random) / of as f64)
}

/// The time from the start of one look to the start of the next. `random` is in `0.0..1.0`.
fn period(gate: &Gate, random: f64) -> Duration {
    gate.interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * random)
}

/// Looks at one gate for ever, or until nobody receives the evidence.
async fn watch_gate(surroundings: Arc<Surroundings>, gate: Arc<Gate>, asked: Arc<Notify>, first: Duration) {
    let mut start = Instant::now() + first;
    loop {
        tokio::select! {
            () = sleep_until(start) => {}
            () = asked.notified() => {}
        }
        let (begun, open, sentence) = {
            let Ok(_permit) = surroundings.budget.acquire().await else { return };
            let begun = Instant::now();
            let (open, sentence) = look(&surroundings.prober, &gate).await;
            (begun, open, line::bounded(&sentence))
        };
        let name = &gate.name;
        match open {
            true => tracing::trace!(gate = %name, "gate {name} is open: {sentence}"),
            false => tracing::debug!(gate = %name, "gate {name} is shut: {sentence}"),
        }
        let at = (surroundings.clock)();
        let evidence = Evidence { gate: name.clone(), at, open, sentence: sentence.into() };
        if surroundings.evidence.send(evidence).await.is_err() {
            return;
        }
        start = begun + period(&gate, rand::random());
    }
}

/// One look, and what was seen.
async fn look(prober: &Arc<Prober>, gate: &Gate) -> (bool, String) {
    match &gate.kind {
        GateKind::Http(request) => http::look(prober, request, gate.timeout).await,
        GateKind::Exec(exec) => {
            let variables = vec![("CONCIERGE_GATE", gate.name.to_string())];
            let deadline = Instant::now() + gate.timeout;
            exec::run(exec, Given { variables, input: None }, deadline, gate.timeout).await
        }
        GateKind::Ack => (false, "there is nothing to look at".to_owned()),
    }
}

#[cfg(test)]
mod tests;
