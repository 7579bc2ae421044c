//! I/O shell: runs a program for a gate or a fence.
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
pub(super) struct Given {
    /// More environment variables.
    pub(super) variables: Vec<(&'static str, String)>,
    /// Its standard input; without, /dev/null.
    pub(super) input: Option<Vec<u8>>,
}

/// Whether it exited with 0 in time, and its first line of output in a sentence.
///
/// `timeout` is what the sentence calls the time until `deadline`.
pub(super) async fn run(exec: &Exec, given: Given, deadline: Instant, timeout: Duration) -> (bool, String) {
    match attempt(exec, given, deadline, timeout).await {
        Ok((good, sentence)) => (good, line::bounded(&sentence)),
        Err(error) => (false, line::bounded(&error)),
    }
}

async fn attempt(exec: &Exec, given: Given, deadline: Instant, timeout: Duration) -> Result<(bool, String), String> {
    let Some((program, arguments)) = exec.command.split_first() else { return Err("there is no program".to_owned()) };
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
    let child = command.spawn().map_err(|error| format!("run {program}: {}", words(&error)))?;
    let mut group = Group(child);
    let broken = |error: io::Error| format!("watch {program}: {}", words(&error));
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
        return Err(format!("killed after {}", exact(timeout)));
    };
    watched.map_err(broken)?;
    // It has ended and is not reaped yet: its number, which is the group's, can be nobody else's.
    group.kill();
    let status = group.0.wait().await.map_err(broken)?;
    let said = match line::first(stdout.rest()) {
        said if said.is_empty() => line::first(stderr.rest()),
        said => said,
    };
    let how = match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
        (Some(0), _) => return Ok((true, if said.is_empty() { "exit 0".to_owned() } else { said })),
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    Ok((false, if said.is_empty() { how } else { format!("{how}: {said}") }))
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
