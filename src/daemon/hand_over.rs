//! I/O shell: lets another process take over, and goes on as before where it cannot.
#![expect(clippy::disallowed_methods, reason = "I/O shell: measures how long it takes")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rustix::process::{Pid, Signal, kill_process};

use super::{Daemon, Signals, listen_publicly, tell_drained};
use crate::control::event::{Author, Command};
use crate::control::run::{Control, Parked};
use crate::process::passed::{Given, Passed};
use crate::process::upgrade::predecessor::Heir;
use crate::process::upgrade::{Message, Order, Upgraded};
use crate::process::{notify, stand};
use crate::serve::{self, Answering, Drained, Settings};

/// Time for another process to read its files; meanwhile everything goes on here.
const READING: Duration = Duration::from_mins(15);
/// Time for it to open the store, decide and answer; meanwhile nobody decides.
const OPENING: Duration = Duration::from_mins(1);
/// Time for it to take commands once nobody else does.
const TAKING: Duration = Duration::from_secs(30);

/// An upgrade under way.
struct Under {
    heir: Heir,
    /// The control loop, once it stands still.
    parked: Option<Parked>,
}

impl Daemon {
    /// Carries out an order, and says what came of it. Afterwards [`Daemon::handed_over`] tells who answers.
    pub(super) async fn upgrade(&mut self, order: Order) {
        let Order { program, author, mut answer, turn } = order;
        tracing::info!(event = "upgrade", author = %author.name, "{} has another process take over", author.name);
        notify::status("another process is about to take over");
        let of = program.as_ref().map(|program| format!(", of {}", program.display())).unwrap_or_default();
        keep(&self.control, format!("another process is to take over{of}"), author.clone()).await;
        let outcome = match Self::start_heir(program) {
            Err(sentence) => Err(sentence),
            Ok(heir) => {
                let mut under = Under { heir, parked: None };
                let begun = Instant::now();
                // While the other one reads nothing has been given away: it may still be called off.
                let Signals { terminate, interrupt, .. } = &mut self.signals;
                let greeted = tokio::select! {
                    greeted = under.heir.greeting(&self.config, READING) => greeted,
                    () = answer.closed() => Err("whoever asked for it has gone".to_owned()),
                    _ = terminate.recv() => {
                        self.told_to_stop = Some("SIGTERM");
                        Err("SIGTERM".to_owned())
                    }
                    _ = interrupt.recv() => {
                        self.told_to_stop = Some("SIGINT");
                        Err("SIGINT".to_owned())
                    }
                };
                let outcome = match greeted {
                    Ok(version) => self.hand_over(&mut under, version, begun).await,
                    Err(sentence) => Err(sentence),
                };
                match outcome {
                    Ok(upgraded) => Ok(upgraded),
                    Err(sentence) => Err(self.go_on(under, sentence).await),
                }
            }
        };
        match &outcome {
            Ok(upgraded) => {
                let Upgraded { pid, version, still_ms, .. } = upgraded;
                tracing::info!(
                    event = "upgrade",
                    pid,
                    "process {pid} (version {version}) has taken over; nobody decided for {still_ms} ms"
                );
                // Who was told to stop in these moments meant the daemon, which is the other process now.
                let Signals { terminate, interrupt, .. } = &mut self.signals;
                let stop = terminate.recv().now_or_never().or(interrupt.recv().now_or_never()).is_some();
                if let (true, Some(heir)) = (stop, i32::try_from(*pid).ok().and_then(Pid::from_raw)) {
                    let _ = kill_process(heir, Signal::TERM);
                }
            }
            Err(sentence) => {
                stand(|standing| standing.upgrades_failed += 1);
                tracing::warn!(event = "upgrade", "no other process has taken over, this one goes on: {sentence}");
                keep(&self.control, format!("no other process has taken over: {sentence}"), author).await;
                notify::ready("answering; the last upgrade failed, this process goes on");
            }
        }
        drop(turn);
        // Who has gone away reads the log.
        let _ = answer.send(outcome);
    }

    fn start_heir(program: Option<std::path::PathBuf>) -> Result<Heir, String> {
        if std::process::id() == 1 {
            return Err(
                "this is process 1, with which everything of its container ends; hint: replace the container".into()
            );
        }
        Heir::start(program)
    }

    /// Gives everything to the other process, step by step.
    async fn hand_over(&mut self, under: &mut Under, version: String, begun: Instant) -> Result<Upgraded, String> {
        let pid = under.heir.id();
        let admin = self.api.socket().map_err(|error| error.to_string())?;
        let mut sockets = self.sockets().map_err(|error| error.to_string())?;
        self.spare = self.sockets().map_err(|error| error.to_string())?;
        sockets.push(admin);
        under.heir.give(&sockets).await?;
        let still = Instant::now();
        self.watch.excuse_control();
        under.parked = Some(self.control.park().await?);
        under.heir.tell(&Message::Store).await?;
        under.heir.expect(&Message::Answering, OPENING).await?;
        let drain = self.config.limits.drain;
        self.watch.expect(None);
        let queries = async {
            match self.serving.take() {
                Some(serving) => serving.drain(drain).await,
                None => Drained::default(),
            }
        };
        let public = async {
            if let Some(listener) = self.listener.take() {
                listener.stop(drain).await;
            }
        };
        let (drained, ()) = tokio::join!(queries, public);
        tell_drained(&drained);
        under.heir.tell(&Message::Drained).await?;
        // From here on it decides, whatever becomes of it.
        self.handed_over = true;
        notify::successor(pid, "answering");
        self.api.leave_socket();
        if let Some(parked) = under.parked.take() {
            parked.end();
        }
        if let Err(sentence) = under.heir.expect(&Message::Ready, TAKING).await {
            tracing::error!(
                event = "upgrade",
                pid,
                "process {pid} has taken over, and does not say that it is ready: {sentence}"
            );
        }
        Ok(Upgraded {
            pid_before: std::process::id(),
            pid,
            version_before: env!("CARGO_PKG_VERSION").into(),
            version,
            took_ms: millis(begun),
            still_ms: millis(still),
            connections_cut: drained.connections_cut,
        })
    }

    /// Takes back what the other process was given, and goes on as before. Returns why, with what could not be taken back.
    async fn go_on(&mut self, under: Under, sentence: String) -> String {
        let Under { heir, parked } = under;
        // Nothing of it may hold the store, or answer.
        heir.end().await;
        let mut sentences = vec![sentence];
        if self.serving.is_none()
            && let Err(error) = self.serve_again()
        {
            sentences.push(format!("and queries are not answered here again: {error}"));
        }
        if let Some(parked) = parked
            && let Err(error) = parked.resume().await
        {
            sentences.push(format!("and commands are refused until the store is there again: {error}"));
        }
        self.watch.expect_control();
        sentences.join("; ")
    }

    /// Answers again at the sockets that there were.
    fn serve_again(&mut self) -> std::io::Result<()> {
        let passed = Arc::new(Passed::by_predecessor(std::mem::take(&mut self.spare)));
        let (readers, counters) = (self.readers.clone(), self.counters.clone());
        let runtime = tokio::runtime::Handle::current();
        let answering = Answering::of(&self.config, self.cookies.clone());
        let settings = Settings::of(&self.config, passed.clone(), self.identity.as_ref());
        let serving = serve::start(settings, answering, readers, counters, runtime)?;
        self.watch.expect(Some(serving.turns()));
        self.serving = Some(serving);
        if self.listener.is_none() {
            self.listener = listen_publicly(&self.config, &passed, self.readers.clone(), &self.clock, &self.public)?;
        }
        Ok(())
    }

    /// All that queries and requests of the public come in at.
    fn sockets(&self) -> std::io::Result<Vec<Given>> {
        let mut sockets = match &self.serving {
            Some(serving) => serving.sockets()?,
            None => Vec::new(),
        };
        if let Some(listener) = &self.listener {
            sockets.extend(listener.sockets()?);
        }
        Ok(sockets)
    }
}

/// Keeps what becomes of an upgrade in the audit trail. It does not depend on that: a new program may be what a store needs.
pub(super) async fn keep(control: &Control, sentence: String, author: Author) {
    if let Err(error) = control.command(Command::Upgrade { sentence }, author).await {
        tracing::warn!(event = "upgrade", "the audit trail does not tell of it: {error}");
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
