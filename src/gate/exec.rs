//! I/O shell: runs a program for a gate, a fence or a probe.
//!
//! No shell is between, and of the daemon's environment it gets `PATH` and `HOME` alone. It is the head of a process group
//! of its own, which is killed whole when it is late, when nobody wants its verdict any more, and when it ends: what it
//! leaves behind neither keeps its output open nor adds up from one run to the next. (What calls setsid(2) leaves the
//! group, and is not waited for either.) Of what it prints, [`MOST_OUTPUT`] octets are kept and the rest is thrown away, so
//! that it never waits for a reader.
#![expect(clippy::disallowed_methods, reason = "I/O shell: hands on PATH and HOME, and waits")]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::AsyncWriteExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

use super::line;
use crate::health::probe::{exact, words};
use crate::policy::Exec;

/// Octets kept of each of the two outputs.
const MOST_OUTPUT: usize = 4096;

/// What a program gets beside its arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// More environment variables.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Its standard input; without, /dev/null.
    pub(crate) input: Option<Vec<u8>>,
}

/// How a program ended, and the first line that it printed, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this code; `None` when the system says neither a code nor a signal.
    Exit(Option<i32>, String),
    /// By this signal.
    Signal(i32, String),
    /// It was killed, for it was late.
    Late,
}

/// Whether it exited with 0 in time, and its first line of output in a sentence.
///
/// `timeout` is what the sentence calls the time until `deadline`.
pub(super) async fn run(exec: &Exec, given: Given, deadline: Instant, timeout: Duration) -> (bool, String) {
    let (good, sentence) = match run_to_end(exec, given, deadline).await {
        Ok(Ended::Exit(Some(0), said)) if said.is_empty() => (true, "exit 0".to_owned()),
        Ok(Ended::Exit(Some(0), said)) => (true, said),
        Ok(ended) => (false, ended.sentence(timeout)),
        Err(error) => (false, error.to_string()),
    };
    (good, line::bounded(&sentence))
}

impl Ended {
    /// `exit 2: no route to registry`; `timeout` is how late it was when it was killed.
    pub(crate) fn sentence(&self, timeout: Duration) -> String {
        let (how, said) = match self {
            Self::Exit(Some(code), said) => (format!("exit {code}"), said.as_str()),
            Self::Exit(None, said) => ("ended".to_owned(), said.as_str()),
            Self::Signal(signal, said) => (format!("ended by signal {signal}"), said.as_str()),
            Self::Late => (format!("killed after {}", exact(timeout)), ""),
        };
        line::bounded(&if said.is_empty() { how } else { format!("{how}: {said}") })
    }
}

/// Runs a program until it ends, or until `deadline`.
///
/// # Errors
/// When it cannot be started or watched, which is this machine's doing; the error names it.
pub(crate) async fn run_to_end(exec: &Exec, given: Given, deadline: Instant) -> io::Result<Ended> {
    let Some((program, arguments)) = exec.command.split_first() else {
        return Err(io::Error::other("there is no program"));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().process_group(0).kill_on_drop(true);
    for variable in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(variable) {
            command.env(variable, value);
        }
    }
    command.envs(given.variables);
    command.stdin(if given.input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let named =
        |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what} {program}: {}", words(&error)));
    let child = command.spawn().map_err(|error| named("run", error))?;
    let mut group = Group(child);
    let broken = |error: io::Error| named("watch", error);
    group.calm();
    let ended = group.watch().map_err(broken)?;
    let stdin = group.0.stdin.take();
    let mut stdout = Output::of(group.0.stdout.take().map(|pipe| pipe.into_owned_fd())).map_err(broken)?;
    let mut stderr = Output::of(group.0.stderr.take().map(|pipe| pipe.into_owned_fd())).map_err(broken)?;
    let feed = async {
        if let (Some(mut pipe), Some(input)) = (stdin, given.input) {
            // A program that does not read it has its reasons.
            drop(pipe.write_all(&input).await);
        }
    };
    let work = async {
        let talk = async { tokio::join!(feed, stdout.follow(), stderr.follow()) };
        tokio::select! {
            biased;
            ready = ended.readable() => ready.map(drop),
            // Its outputs are closed, and it may go on.
            _ = talk => ended.readable().await.map(drop),
        }
    };
    let Ok(watched) = timeout_at(deadline, work).await else {
        group.kill();
        return Ok(Ended::Late);
    };
    watched.map_err(broken)?;
    // It has ended and is not reaped yet: its number, which is the group's, can be nobody else's.
    group.kill();
    let status = group.0.wait().await.map_err(broken)?;
    let said = match line::first(stdout.rest()) {
        said if said.is_empty() => line::first(stderr.rest()),
        said => said,
    };
    Ok(match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
        (None, Some(signal)) => Ended::Signal(signal, said),
        (code, _) => Ended::Exit(code, said),
    })
}

/// A program that is the head of its process group, which ends with this.
struct Group(Child);

impl Group {
    /// The process group's number, until the program has been waited for.
    fn id(&self) -> Option<Pid> {
        self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
    }

    fn kill(&self) {
        if let Some(group) = self.id() {
            // A group that is gone is as wanted.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }

    /// Takes back what it inherits of the priority of the thread that starts it: it must not go before the workers that
    /// answer queries.
    fn calm(&self) {
        if let Some(group) = self.id()
            && rustix::process::getpriority_process(None).is_ok_and(|nice| nice < 0)
        {
            let _ = rustix::process::setpriority_pgrp(Some(group), 0);
        }
    }

    #[expect(deprecated, reason = "its successor is unsafe, and asks for nothing that an OwnedFd does not promise")]
    /// Becomes readable when the program has ended, and does not reap it.
    fn watch(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let id = self.id().ok_or(io::ErrorKind::NotFound)?;
        AsyncFd::new(rustix::process::pidfd_open(id, PidfdFlags::NONBLOCK)?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The reading end of a pipe, and the beginning of what came through it.
struct Output {
    pipe: Option<pipe::Receiver>,
    kept: Vec<u8>,
}

impl Output {
    fn of(pipe: Option<io::Result<OwnedFd>>) -> io::Result<Self> {
        let pipe = pipe.transpose()?.map(pipe::Receiver::from_owned_fd).transpose()?;
        Ok(Self { pipe, kept: Vec::new() })
    }

    /// Reads until the other end is closed.
    async fn follow(&mut self) {
        let mut buffer = [0; 4096];
        let Some(pipe) = &self.pipe else { return };
        loop {
            if pipe.readable().await.is_err() {
                return;
            }
            match pipe.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => keep(&mut self.kept, &buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// What is in the pipe when the program has ended, and all before. Does not wait for others that hold the other end.
    fn rest(&mut self) -> &[u8] {
        let mut buffer = [0; 4096];
        if let Some(pipe) = &self.pipe {
            // Not by way of the readiness that the runtime knows of, which may be older than the last octets.
            while self.kept.len() < MOST_OUTPUT {
                match rustix::io::read(pipe.as_fd(), &mut buffer) {
                    Ok(read) if read > 0 => keep(&mut self.kept, &buffer[..read]),
                    Err(rustix::io::Errno::INTR) => {}
                    _ => break,
                }
            }
        }
        &self.kept
    }
}

fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(&more[..more.len().min(MOST_OUTPUT - kept.len())]);
}

#[cfg(test)]
mod tests;
