//! Handshakes under way at once, of all listeners of [`web`](super) together.
//!
//! At the limit the handshake that has been at it for the longest time is given up for a newcomer, as at TLS: refusing the
//! newcomer would let a few clients keep everybody out by handshakes that they never complete.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// The handshakes under way.
#[derive(Debug)]
pub(super) struct Handshakes {
    most: usize,
    /// Held for a moment at the start and at the end of each.
    under_way: Mutex<UnderWay>,
}

/// In their order. A handshake is given up by the end of its sender.
#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    senders: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A handshake that counts, for as long as this is.
#[derive(Debug)]
pub(super) struct Shaking {
    handshakes: Arc<Handshakes>,
    number: u64,
    given_up: oneshot::Receiver<()>,
}

impl Handshakes {
    pub(super) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { most: most as usize, under_way: Mutex::default() })
    }

    /// Begins one, and gives up the first where there are too many.
    pub(super) fn begin(self: &Arc<Self>) -> Shaking {
        let (sender, given_up) = oneshot::channel();
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.senders.len() >= self.most {
            under_way.senders.pop_first();
        }
        let number = under_way.next;
        under_way.next += 1;
        under_way.senders.insert(number, sender);
        drop(under_way);
        Shaking { handshakes: self.clone(), number, given_up }
    }
}

impl Shaking {
    /// Waits until it is given up for another.
    pub(super) async fn given_up(&mut self) {
        // The sender never sends.
        let _ = (&mut self.given_up).await;
    }
}

impl Drop for Shaking {
    fn drop(&mut self) {
        let mut under_way = self.handshakes.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.senders.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_first_is_given_up_for_a_newcomer_and_ends_count_no_more() {
        let handshakes = Handshakes::new(4);
        let mut shaking: Vec<_> = (0..4).map(|_| handshakes.begin()).collect();
        let is_given_up = |shaking: &mut Shaking| shaking.given_up().now_or_never().is_some();
        assert!(!shaking.iter_mut().any(is_given_up));
        // One that has ended makes room for one.
        drop(shaking.remove(1));
        shaking.push(handshakes.begin());
        assert!(!shaking.iter_mut().any(is_given_up));
        shaking.push(handshakes.begin());
        let given_up: Vec<_> = shaking.iter_mut().map(is_given_up).collect();
        assert_eq!(given_up, [true, false, false, false, false]);
        drop(shaking);
        assert!(handshakes.under_way.lock().unwrap().senders.is_empty());
    }
}
