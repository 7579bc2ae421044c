//! I/O shell: the new process, as far as it speaks with the one that it takes over from.
#![expect(clippy::disallowed_methods, reason = "I/O shell: looks whether it is to take over")]

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::channel::{self, Channel};
use super::{Message, PROTOCOL, TAKE_OVER};
use crate::config::Config;
use crate::process::passed::Passed;

/// The way to the process before.
#[derive(Clone, Debug)]
pub struct Successor {
    channel: Arc<Channel>,
    /// How far this process is in the sandbox of the one before: 1, 0.5 in part, 0 not.
    pub landlock: f64,
    /// The number of the process before.
    pub before: u32,
}

impl Successor {
    /// Whether this process was started to take over from another one.
    ///
    /// # Errors
    /// When it was, and the way to the other one is not there.
    pub fn look() -> io::Result<Option<Self>> {
        match std::env::var_os(TAKE_OVER) {
            Some(text) => {
                let landlock = text.to_str().and_then(|text| text.parse().ok()).unwrap_or_default();
                let channel = Arc::new(Channel::given()?);
                // It started this one, which the channel was just seen to be of.
                let before =
                    rustix::process::getppid().map_or(0, |parent| parent.as_raw_nonzero().get().unsigned_abs());
                Ok(Some(Self { channel, landlock, before }))
            }
            None => Ok(None),
        }
    }

    /// Says that everything is read, and waits for the sockets.
    ///
    /// # Errors
    /// When the process before is gone, or goes on as it is.
    pub fn greet(&self, config: &Config) -> io::Result<Passed> {
        self.channel.send(&Message::Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            state: real(&config.state),
            admin: real(&config.admin.socket),
        })?;
        let mut given = Vec::new();
        loop {
            match self.channel.receive()? {
                Some((Message::Sockets { about, more }, descriptors)) => {
                    given.extend(channel::sockets(about, descriptors)?);
                    if !more {
                        return Ok(Passed::by_predecessor(given));
                    }
                }
                other => return Err(unexpected("its sockets", other)),
            }
        }
    }

    /// Waits until the process before has closed the store.
    ///
    /// # Errors
    /// When it is gone, or goes on as it is.
    pub fn await_store(&self) -> io::Result<()> {
        match self.channel.receive()? {
            Some((Message::Store, _)) => Ok(()),
            other => Err(unexpected("the store", other)),
        }
    }

    /// Says that this process answers, and waits until the one before does so no more.
    ///
    /// # Errors
    /// When the process before goes on as it is. One that is gone answers no more either.
    pub fn answer(&self) -> io::Result<()> {
        if self.channel.send(&Message::Answering).is_err() {
            return Ok(());
        }
        match self.channel.receive()? {
            Some((Message::Drained, _)) | None => Ok(()),
            other => Err(unexpected("the end of its drain", other)),
        }
    }

    /// Says that this process decides and takes commands.
    pub fn ready(&self) {
        // One that is gone need not know.
        let _ = self.channel.send(&Message::Ready);
    }

    /// Says why this process ends, before it has taken over.
    pub fn fail(&self, sentence: &str) {
        let sentence = sentence.chars().take(8000).collect();
        let _ = self.channel.send(&Message::Failed { sentence });
    }
}

/// A path without links, as far as it is there: two processes may name it by two ways.
pub(super) fn real(path: &Path) -> std::path::PathBuf {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.canonicalize().map_or_else(|_| path.to_owned(), |folder| folder.join(name))
}

fn unexpected<T>(awaited: &str, got: Option<(Message, T)>) -> io::Error {
    io::Error::other(match got {
        None => format!("the process before ended, or went on by itself, when {awaited} was to come"),
        Some((message, _)) => format!("the process before said {message:?} when {awaited} was to come"),
    })
}
