//! The way to the loop, and what it is told by it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::files::Reclassed;
use super::park::Over;
use crate::control::event::{Author, Command, CommandError, LoadFailure, Loaded, Stamps};
use crate::control::report::{Moved, Status};
use crate::control::store::Store;
use crate::control::view::View;

pub(super) type Answer = oneshot::Sender<Result<Moved, CommandError>>;

/// What the loop is told from outside.
#[derive(Debug)]
pub(super) enum Message {
    Command {
        command: Command,
        author: Author,
        answer: Answer,
    },
    View {
        answer: oneshot::Sender<View>,
    },
    /// To hand over the store, and to stand still until it is over.
    Park {
        answer: oneshot::Sender<Result<(), String>>,
        over: oneshot::Receiver<Over>,
    },
    /// Answered when the loop comes to it.
    Turn {
        answer: oneshot::Sender<()>,
    },
    Reload {
        author: Author,
        answer: Option<Answer>,
    },
    Loaded(Box<Result<Loaded, LoadFailure>>),
    /// The database files were looked at: what follows, if they had changed.
    Classed(Option<(Stamps, Reclassed)>),
    Stop,
}

/// The way to the one writer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) store: Arc<Store>,
}

impl Control {
    /// Gives a command and waits until it is durable, published, and no older answer is given any more.
    ///
    /// # Errors
    /// Why it was not carried out.
    pub async fn command(&self, command: Command, author: Author) -> Result<Moved, CommandError> {
        let (answer, reply) = oneshot::channel();
        self.ask(Message::Command { command, author, answer }, reply).await
    }

    /// Reads zones and policy anew, all or nothing.
    ///
    /// # Errors
    /// Every problem of every file; the running answers then stay.
    pub async fn reload(&self, author: Author) -> Result<Moved, CommandError> {
        let (answer, reply) = oneshot::channel();
        self.ask(Message::Reload { author, answer: Some(answer) }, reply).await
    }

    /// The state of this moment, to look at elsewhere.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn view(&self) -> Result<View, CommandError> {
        let (answer, view) = oneshot::channel();
        self.messages.send(Message::View { answer }).await.map_err(|_| CommandError::Stopping)?;
        view.await.map_err(|_| CommandError::Stopping)
    }

    /// Waits until the loop comes to this: it turns.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn turn(&self) -> Result<(), CommandError> {
        let (answer, turned) = oneshot::channel();
        self.messages.send(Message::Turn { answer }).await.map_err(|_| CommandError::Stopping)?;
        turned.await.map_err(|_| CommandError::Stopping)
    }

    /// The state of everything, worked out on a thread of its own.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn status(&self) -> Result<Status, CommandError> {
        let view = self.view().await?;
        tokio::task::spawn_blocking(move || view.status()).await.map_err(|_| CommandError::Stopping)
    }

    /// The store, to read the audit trail from. Reading holds up nobody, but it takes a thread of its own.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    async fn ask(
        &self,
        message: Message,
        reply: oneshot::Receiver<Result<Moved, CommandError>>,
    ) -> Result<Moved, CommandError> {
        self.messages.send(message).await.map_err(|_| CommandError::Stopping)?;
        reply.await.unwrap_or(Err(CommandError::Stopping))
    }
}
