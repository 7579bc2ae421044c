//! What one connection may have us hold: the octets of its queries that are not answered, and of its responses that it has
//! not taken.
//!
//! A connection may have a hundred queries open at once, each of which, and each of whose responses, may have 65,535 octets.
//! Without a limit for all of them a few connections of a client that sends much and reads nothing would be the memory of
//! the machine. What is beyond the allowance is refused, and what is within it is served as ever.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Octets for one connection; a query and a response of the largest size fit with as much beside them.
const ALLOWANCE: usize = 256 << 10;

/// The allowance of a connection; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<Semaphore>);

/// What is held of it; given back when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Share(Option<OwnedSemaphorePermit>);

/// It is more than the allowance.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exceeded;

impl Allowance {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ALLOWANCE)))
    }

    /// Takes more for a share.
    ///
    /// # Errors
    /// When there is not so much left; the share is as it was.
    pub(super) fn take(&self, octets: usize, share: &mut Share) -> Result<(), Exceeded> {
        let octets = u32::try_from(octets).map_err(|_| Exceeded)?;
        let more = self.0.clone().try_acquire_many_owned(octets).map_err(|_| Exceeded)?;
        match &mut share.0 {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// The same octets, which count until nobody has them any more.
    ///
    /// # Errors
    /// When there is not so much left.
    pub(super) fn hold(&self, octets: Bytes) -> Result<Bytes, Exceeded> {
        struct Held {
            octets: Bytes,
            _share: Share,
        }
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.octets
            }
        }
        let mut share = Share::default();
        self.take(octets.len(), &mut share)?;
        Ok(Bytes::from_owner(Held { octets, _share: share }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_let_go() {
        let allowance = Allowance::new();
        let response = allowance.hold(Bytes::from(vec![7; ALLOWANCE - 100])).unwrap();
        assert_eq!(response[..], vec![7; ALLOWANCE - 100]);
        let mut share = Share::default();
        assert_eq!(allowance.take(60, &mut share), Ok(()));
        assert_eq!(allowance.take(41, &mut share), Err(Exceeded));
        assert_eq!(allowance.take(40, &mut share), Ok(()));
        assert_eq!(allowance.hold(Bytes::from_static(b".")), Err(Exceeded));
        assert_eq!(allowance.hold(Bytes::new()), Ok(Bytes::new()));
        // Of a part of it, all is held.
        let part = response.slice(..1);
        drop(response);
        assert_eq!(allowance.take(1, &mut share), Err(Exceeded));
        drop(part);
        assert_eq!(allowance.take(ALLOWANCE - 100, &mut share), Ok(()));
        drop(share);
        assert_eq!(allowance.take(ALLOWANCE + 1, &mut Share::default()), Err(Exceeded));
        assert_eq!(allowance.take(ALLOWANCE, &mut Share::default()), Ok(()));
    }
}
