//! I/O shell: the loop stands still while another process is about to take over.

use tokio::sync::oneshot;

use super::handle::Message;
use super::{CommandError, Control, Loop};

/// How standing still ends.
#[derive(Debug)]
pub(super) enum Over {
    /// The store comes back, and everything goes on as before.
    Back(oneshot::Sender<Result<(), String>>),
    /// Another process decides from here on.
    For,
}

/// A loop that stands still, its store with another process. Commands wait meanwhile.
#[derive(Debug)]
pub struct Parked {
    over: oneshot::Sender<Over>,
}

impl Parked {
    /// Has the store taken back, and everything go on.
    ///
    /// # Errors
    /// When the store cannot be opened yet: it is tried at every use.
    pub async fn resume(self) -> Result<(), String> {
        let (answer, resumed) = oneshot::channel();
        let gone = || "the control loop is gone".to_owned();
        self.over.send(Over::Back(answer)).map_err(|_| gone())?;
        resumed.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Ends the loop: whoever waits is told that another process decides.
    pub fn end(self) {
        // A loop that is gone has ended.
        let _ = self.over.send(Over::For);
    }
}

impl Control {
    /// Has the loop stand still and hand over the store.
    ///
    /// # Errors
    /// Why it does not; then it goes on.
    pub async fn park(&self) -> Result<Parked, String> {
        let (answer, parked) = oneshot::channel();
        let (over, end) = oneshot::channel();
        let stopping = || CommandError::Stopping.to_string();
        self.messages.send(Message::Park { answer, over: end }).await.map_err(|_| stopping())?;
        parked.await.unwrap_or_else(|_| Err(stopping()))?;
        Ok(Parked { over })
    }
}

impl Loop {
    /// Stands still while another process may have the store. Says whether to go on.
    pub(super) async fn park(
        &mut self,
        answer: oneshot::Sender<Result<(), String>>,
        over: oneshot::Receiver<Over>,
    ) -> bool {
        let parked = match &self.loading {
            Some(_) => Err("zones and policy are being read anew: repeat it when that is over".to_owned()),
            None => self.parts.store.lend().map_err(|error| error.to_string()),
        };
        let stands = parked.is_ok();
        if answer.send(parked).is_err() && stands {
            // Nobody is there to hand over to.
            drop(self.parts.store.take_back());
        }
        if !stands {
            return true;
        }
        match over.await {
            Ok(Over::For) => {
                self.refuse_waiting();
                false
            }
            Ok(Over::Back(done)) => {
                let back = self.parts.store.take_back().map_err(|error| error.to_string());
                // Whoever asked has gone: the store is back all the same.
                let _ = done.send(back);
                true
            }
            Err(_) => {
                drop(self.parts.store.take_back());
                true
            }
        }
    }

    /// Tells those whose commands came while another process was about to take over.
    fn refuse_waiting(&mut self) {
        self.messages.close();
        while let Ok(message) = self.messages.try_recv() {
            if let Message::Command { answer, .. } | Message::Reload { answer: Some(answer), .. } = message {
                // Who has gone away need not know.
                let _ = answer.send(Err(CommandError::HandedOver));
            }
        }
    }
}
