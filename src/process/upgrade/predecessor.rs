//! I/O shell: the old process, as far as it speaks with the one that takes over.
#![expect(clippy::disallowed_methods, reason = "I/O shell: starts a process, and waits for it")]

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

use super::channel::Channel;
use super::successor::real;
use super::{Message, PROGRAM, PROTOCOL, TAKE_OVER};
use crate::config::Config;
use crate::process::passed::Given;
use crate::process::standing;

/// How long a process that has closed its end may take to exit.
const EXIT: Duration = Duration::from_secs(5);

/// The process that takes over, and the way to it.
#[derive(Debug)]
pub struct Heir {
    child: Child,
    channel: AsyncFd<Channel>,
    program: PathBuf,
}

impl Heir {
    /// Starts it with the arguments that this process has, and what this thread has of capabilities.
    ///
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// Names the program.
    #[expect(deprecated, reason = "its successor is unsafe, and asks for nothing that an OwnedFd does not promise")]
    pub fn start(program: Option<PathBuf>) -> Result<Self, String> {
        let program = program.or_else(|| PROGRAM.get().cloned()).ok_or("where this program is cannot be told")?;
        let named = |error: io::Error| {
            let hint = match (error.kind(), error.raw_os_error().map(Errno::from_raw_os_error)) {
                (io::ErrorKind::PermissionDenied, _) if standing().landlock > 0.0 => {
                    "; hint: from within the sandbox only what lies beside the program of this process can be run, and \
                     has to be executable; restart the daemon instead"
                }
                (io::ErrorKind::PermissionDenied, _) => "; hint: make it executable: chmod 755",
                (io::ErrorKind::NotFound, _) => "; hint: name a program of the machine that the daemon runs on",
                (_, Some(Errno::NOEXEC)) => "; hint: it is no program of this kind of machine",
                (_, Some(Errno::TXTBSY)) => "; hint: it is still being written; put it in its place by a rename",
                _ => "",
            };
            format!("cannot run {}: {error}{hint}", program.display())
        };
        let (channel, given) = Channel::pair().map_err(named)?;
        let channel = AsyncFd::with_interest(channel, Interest::READABLE).map_err(named)?;
        let mut command = Command::new(&program);
        command
            .args(std::env::args_os().skip(1))
            .env(TAKE_OVER, standing().landlock.to_string())
            .stdin(Stdio::from(given))
            .kill_on_drop(false);
        // What is said to one process by its number.
        for variable in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
            command.env_remove(variable);
        }
        let child = command.spawn().map_err(named)?;
        // The end that is the other's goes with this.
        drop(command);
        Ok(Self { child, channel, program })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Waits for its greeting; returns its version.
    ///
    /// # Errors
    /// Why it cannot take over.
    pub async fn greeting(&mut self, config: &Config, limit: Duration) -> Result<String, String> {
        let (protocol, version, state, admin) = match self.next(limit).await? {
            Message::Hello { protocol, version, state, admin } => (protocol, version, state, admin),
            other => return Err(format!("it said {other:?} first")),
        };
        let differs = |what: &str, theirs: &PathBuf, ours: &PathBuf| {
            (theirs != ours).then(|| {
                format!(
                    "its configuration names another {what}, {} and not {}; hint: restart the daemon instead",
                    theirs.display(),
                    ours.display()
                )
            })
        };
        if protocol != PROTOCOL {
            return Err(format!(
                "it is version {version} and takes over in another way; hint: restart the daemon instead"
            ));
        }
        let wrong = differs("state folder", &state, &real(&config.state));
        match wrong.or_else(|| differs("admin socket", &admin, &real(&config.admin.socket))) {
            Some(wrong) => Err(wrong),
            None => Ok(version),
        }
    }

    /// Gives it sockets.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn give(&mut self, sockets: &[Given]) -> Result<(), String> {
        match self.channel.get_ref().send_sockets(sockets) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.gone(&error.to_string()).await),
        }
    }

    /// Tells it something.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn tell(&mut self, message: &Message) -> Result<(), String> {
        match self.channel.get_ref().send(message) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.gone(&error.to_string()).await),
        }
    }

    /// Waits for this message.
    ///
    /// # Errors
    /// Why it does not come.
    pub async fn expect(&mut self, awaited: &Message, limit: Duration) -> Result<(), String> {
        match self.next(limit).await? {
            message if message == *awaited => Ok(()),
            other => Err(format!("it said {other:?} instead of {awaited:?}")),
        }
    }

    async fn next(&mut self, limit: Duration) -> Result<Message, String> {
        let received =
            tokio::time::timeout(limit, self.channel.async_io(Interest::READABLE, Channel::try_receive)).await;
        match received {
            Err(_) => Err(format!("it has said nothing for {} s", limit.as_secs())),
            Ok(Ok(Some((Message::Failed { sentence }, _)))) => Err(sentence),
            Ok(Ok(Some((message, _)))) => Ok(message),
            Ok(Ok(None)) => Err(self.gone("it closed the channel").await),
            Ok(Err(error)) => Err(error.to_string()),
        }
    }

    /// How it ended.
    async fn gone(&mut self, otherwise: &str) -> String {
        match tokio::time::timeout(EXIT, self.child.wait()).await {
            Ok(Ok(status)) => format!("{} ended with {status}; its log says why", self.program.display()),
            _ => otherwise.to_owned(),
        }
    }

    /// Ends it, and waits until it is gone: nothing of it holds the store then.
    pub async fn end(mut self) {
        // One that has ended need not be killed.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }
}
