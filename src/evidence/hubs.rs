//! I/O shell: the documents of hubs as they stand, and who waits for their next switch.
//!
//! One task follows the publications. It looks at the hubs that somebody waits for and wakes those whose document says
//! something else, so that a publication costs the control loop one wake-up, whoever waits. A document is signed once a
//! second and hub, however many ask for it: ten thousand devices that are woken at once get the same octets.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use tokio::sync::watch;

use super::document::{Active, Regions, active_for, document};
use super::jose::Signer;
use super::tag::Tag;
use crate::answer::publish::Readers;
use crate::answer::snapshot::Snapshot;
use crate::dns::Name;
use crate::policy::RegionName;
use crate::time::Timestamp;

/// All hubs, as they stand in the snapshot that answers.
pub(super) struct Hubs {
    readers: Readers,
    signer: Signer,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// By the hub's name as the policy writes it. Held to look and to sign, never while waiting.
    entries: Mutex<HashMap<Name, Entry>>,
    /// Of one generation.
    regions: Mutex<(u64, Arc<Regions>)>,
}

#[derive(Debug)]
struct Entry {
    /// What is said, for those who wait; `None` when there is no such hub any more.
    said: watch::Sender<Option<String>>,
    signed: Option<Arc<Signed>>,
}

/// A document with its signature.
#[derive(Debug)]
pub(super) struct Signed {
    generation: u64,
    /// Whole seconds.
    at: Timestamp,
    pub(super) tag: Tag,
    /// How long a copy may be taken without asking again.
    pub(super) fresh: Duration,
    /// From `at` to the end of the slot that the tag names.
    pub(super) rest: Duration,
    /// JSON.
    pub(super) body: Bytes,
    /// JWS Compact Serialization.
    pub(super) jose: Bytes,
    /// Detached JWS.
    pub(super) signature: HeaderValue,
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hubs").field("readers", &self.readers).finish_non_exhaustive()
    }
}

impl Hubs {
    pub(super) fn new(readers: Readers, signer: Signer, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { readers, signer, clock: Box::new(clock), entries: Mutex::default(), regions: Mutex::default() }
    }

    /// The JWK set.
    pub(super) fn keys(&self) -> &str {
        self.signer.keys()
    }

    /// What is said of a hub now.
    pub(super) fn signed(&self, name: &Name) -> Option<Arc<Signed>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // From here on nobody is shown an older snapshot than somebody before.
        let snapshot = self.readers.latest();
        let position = snapshot.content.hub(name)?;
        let at = Timestamp((self.clock)().0 / 1_000 * 1_000);
        let entry = Entry::of(&mut entries, &snapshot, position)?;
        if let Some(signed) = &entry.signed
            && signed.generation == snapshot.generation
            && signed.at == at
        {
            return Some(signed.clone());
        }
        let said = document(&snapshot, position, at)?;
        let body = serde_json::to_vec(&said).ok()?;
        let signature = self.signer.sign(&body);
        let signed = Arc::new(Signed {
            generation: snapshot.generation,
            at,
            tag: said.tag(),
            fresh: said.fresh(),
            rest: said.rest(),
            body: body.into(),
            jose: signature.compact.into(),
            signature: HeaderValue::try_from(signature.detached).ok()?,
        });
        entry.signed = Some(signed.clone());
        Some(signed)
    }

    /// To be woken when something else is said of this hub. Look at the hub after this and before waiting: then no
    /// change is missed.
    pub(super) fn changes(&self, name: &Name) -> Option<watch::Receiver<Option<String>>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.readers.latest();
        let position = snapshot.content.hub(name)?;
        Some(Entry::of(&mut entries, &snapshot, position)?.said.subscribe())
    }

    /// Wakes those who wait, at every publication, for ever.
    pub(super) async fn follow(&self) {
        let mut generations = self.readers.generations();
        loop {
            generations.borrow_and_update();
            self.wake();
            if generations.changed().await.is_err() {
                return;
            }
        }
    }

    fn wake(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.readers.latest();
        // What nobody waits for is made again when somebody asks.
        entries.retain(|_, entry| entry.said.receiver_count() > 0);
        for (name, entry) in entries.iter() {
            let said = snapshot.content.hub(name).and_then(|position| said(&snapshot, position));
            entry.said.send_if_modified(|known| {
                let changed = *known != said;
                *known = said;
                changed
            });
        }
    }

    /// Whether a region is active, for one hub or for all that have it.
    pub(super) fn active(&self, region: &RegionName, hub: Option<&Name>) -> Active {
        let snapshot = self.readers.latest();
        match hub {
            Some(hub) => active_for(&snapshot, region, hub),
            None => {
                let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
                if regions.0 < snapshot.generation {
                    *regions = (snapshot.generation, Arc::new(Regions::of(&snapshot)));
                }
                regions.1.active(region)
            }
        }
    }

    /// Which snapshot answers, and how many hubs it has.
    pub(super) fn serving(&self) -> (u64, usize) {
        let snapshot = self.readers.latest();
        (snapshot.generation, snapshot.content.counts().hubs)
    }
}

impl Entry {
    fn of<'a>(entries: &'a mut HashMap<Name, Entry>, snapshot: &Snapshot, position: usize) -> Option<&'a mut Self> {
        let name = &snapshot.content.policy_of(position)?.name;
        let new = || Self { said: watch::Sender::new(said(snapshot, position)), signed: None };
        Some(entries.entry(name.clone()).or_insert_with(new))
    }
}

fn said(snapshot: &Snapshot, position: usize) -> Option<String> {
    Some(document(snapshot, position, Timestamp(0))?.said())
}
