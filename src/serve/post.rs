//! What one TCP worker has for another: a lock held for a push, and a waker.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::accept::Listener;
use super::connection::Connection;
use super::stop::Waker;

/// Where a worker finds what others have for it.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) waker: Arc<Waker>,
    /// Closed when the worker's drain has begun. Held to add a letter or to take all.
    letters: Mutex<Option<Vec<Letter>>>,
}

#[derive(Debug)]
pub(super) enum Letter {
    /// To accept at from here on.
    Listener(Arc<Listener>),
    /// Not to accept at any more.
    LetGo(SocketAddr),
    /// To serve. It has its seat.
    Connection(Connection),
    /// To show that it turns.
    Turn,
}

impl Post {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { waker: Arc::new(Waker::new()?), letters: Mutex::new(Some(Vec::new())) })
    }

    /// Gives the letter back when none is taken any more.
    pub(super) fn send(&self, letter: Letter) -> Result<(), Letter> {
        match self.letters.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(letters) => letters.push(letter),
            None => return Err(letter),
        }
        self.waker.wake();
        Ok(())
    }

    pub(super) fn take(&self) -> Vec<Letter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn close(&self) -> Vec<Letter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}
