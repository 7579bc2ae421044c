//! I/O shell: calls fences: tells a region, before a switch, that it is no longer active.
//!
//! Each call is a task with a deadline: `timeout` from when it was asked for, the wait for one of [`AT_ONCE`] places
//! included. A call is made once and not repeated; whether it was acknowledged or not, exactly one [`Fenced`] comes of it.
//! One that is asked for again while it is under way is the same call.
#![expect(clippy::disallowed_methods, reason = "I/O shell: calls are tasks that wait")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::exec::{self, Given};
use super::{FenceCall, Fenced, line};
use crate::health::probe::request::{Url, Wanted};
use crate::health::probe::{Deadline, Prober, exact};
use crate::health::run::panic_words;
use crate::policy::Hook;
use crate::time::Timestamp;

/// Calls under way at once; the others wait for their turn.
pub const AT_ONCE: usize = 64;

/// How long a response that acknowledges is waited on for its first line, which is for people.
const FIRST_LINE: Duration = Duration::from_millis(250);

/// The way to the fences; calls that are under way end when it is dropped.
#[derive(Debug)]
pub struct Fences {
    /// To the supervisor, which never waits.
    calls: mpsc::UnboundedSender<(FenceCall, Instant)>,
    supervisor: JoinHandle<()>,
}

impl Fences {
    /// Starts with nothing to call.
    ///
    /// `prober` resolves, connects and verifies. What comes of a call goes to `results`; when that is full, results wait.
    /// `clock` gives the time that a call names.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(
        prober: Arc<Prober>,
        results: mpsc::Sender<Fenced>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let (calls, received) = mpsc::unbounded_channel();
        let budget = Semaphore::new(AT_ONCE);
        let surroundings = Arc::new(Surroundings { prober, results, budget, clock: Box::new(clock) });
        Self { calls, supervisor: tokio::spawn(supervise(surroundings, received)) }
    }

    /// Calls a fence. Its timeout counts from here.
    pub fn call(&self, call: FenceCall) {
        // A supervisor that is gone belongs to a daemon that ends.
        drop(self.calls.send((call, Instant::now())));
    }
}

impl Drop for Fences {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

struct Surroundings {
    prober: Arc<Prober>,
    results: mpsc::Sender<Fenced>,
    budget: Semaphore,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

async fn supervise(surroundings: Arc<Surroundings>, mut calls: mpsc::UnboundedReceiver<(FenceCall, Instant)>) {
    let mut tasks = JoinSet::new();
    let mut under_way: HashMap<tokio::task::Id, FenceCall> = HashMap::new();
    loop {
        tokio::select! {
            asked = calls.recv() => {
                let Some((call, asked)) = asked else { return };
                if under_way.values().any(|other| is_same(other, &call)) {
                    continue;
                }
                let task = tasks.spawn(make(surroundings.clone(), call.clone(), asked));
                under_way.insert(task.id(), call);
            }
            Some(ended) = tasks.join_next_with_id() => {
                let (id, panic) = match ended {
                    Ok((id, ())) => (id, None),
                    Err(died) => (died.id(), Some(panic_words(died))),
                };
                let Some(call) = under_way.remove(&id) else { continue };
                if let Some(why) = panic {
                    tracing::error!(event = "fence", hub = %call.hub, "the call of a fence was not completed: {why}");
                    let fenced = result(&call, false, &format!("the call was not completed: {why}"));
                    let results = surroundings.results.clone();
                    let task = tasks.spawn(async move { drop(results.send(fenced).await) });
                    under_way.insert(task.id(), call);
                }
            }
        }
    }
}

/// Whether two are the same call.
fn is_same(one: &FenceCall, other: &FenceCall) -> bool {
    (one.epoch, one.planned, &one.hub, &one.to) == (other.epoch, other.planned, &other.hub, &other.to)
}

fn result(call: &FenceCall, acknowledged: bool, sentence: &str) -> Fenced {
    let sentence = line::bounded(sentence).into();
    let FenceCall { hub, to, epoch, planned, .. } = call;
    Fenced { hub: hub.clone(), to: to.clone(), epoch: *epoch, planned: *planned, acknowledged, sentence }
}

async fn make(surroundings: Arc<Surroundings>, call: FenceCall, asked: Instant) {
    let deadline = Deadline::from(asked, call.fence.timeout);
    let (acknowledged, sentence) = match timeout_at(deadline.at(), surroundings.budget.acquire()).await {
        Ok(Ok(_permit)) => attempt(&surroundings, &call, deadline).await,
        _ => {
            let timeout = exact(call.fence.timeout);
            (false, format!("timed out after {timeout}: {AT_ONCE} other calls were under way"))
        }
    };
    tracing::debug!(event = "fence", hub = %call.hub, acknowledged, "fence of {}: {sentence}", call.hub);
    // Nobody receives: the daemon ends.
    drop(surroundings.results.send(result(&call, acknowledged, &sentence)).await);
}

async fn attempt(surroundings: &Surroundings, call: &FenceCall, deadline: Deadline) -> (bool, String) {
    let (FenceCall { hub, from, to, epoch, reason, fence, .. }, key) = (call, call.key());
    let at = (surroundings.clock)().to_string();
    let body = json!({ "hub": hub, "from": from, "to": to, "epoch": epoch, "reason": reason, "at": at }).to_string();
    match &fence.hook {
        Hook::Http { url, ca } => {
            let request = Request::post("/").header(CONTENT_TYPE, "application/json").header("Idempotency-Key", &key);
            let wanted = |_| Wanted::FirstLine(deadline.or(Deadline::after(FIRST_LINE)));
            let reply = async {
                let (url, content) = (Url::parse(url)?, (request, Bytes::from(body)));
                surroundings.prober.request(&url, ca.as_deref(), content, deadline, wanted).await
            };
            match reply.await {
                Ok(reply) => {
                    let acknowledged = (200..300).contains(&reply.status);
                    let status = match reply.status {
                        redirect @ 300..400 => format!("{redirect} (redirects are not followed)"),
                        status => status.to_string(),
                    };
                    let said = line::first(&reply.body);
                    (acknowledged, if said.is_empty() { status } else { format!("{status}: {said}") })
                }
                Err(sentence) => (false, sentence),
            }
        }
        Hook::Exec(exec) => {
            let variables = vec![
                ("CONCIERGE_HUB", hub.to_string()),
                ("CONCIERGE_FROM", from.to_string()),
                ("CONCIERGE_TO", to.to_string()),
                ("CONCIERGE_EPOCH", epoch.to_string()),
                ("CONCIERGE_KEY", key),
            ];
            let given = Given { variables, input: Some((body + "\n").into_bytes()) };
            exec::run(exec, given, deadline.at(), fence.timeout).await
        }
    }
}

#[cfg(test)]
mod tests;
