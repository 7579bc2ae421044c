//! I/O shell: what the loop has watched and told, and what it hears of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{QUEUED_MESSAGES, QUEUED_OBSERVATIONS};
use crate::control::clock::Clock;
use crate::gate::fence::Fences;
use crate::gate::run::Gates;
use crate::gate::{Evidence, FenceCall, Fenced};
use crate::health::run::Probers;
use crate::health::{Health, Observation};
use crate::policy::{Gate, GateName, Probe, ProbeTarget};

/// What the probers are to be started with.
#[derive(Debug, Default)]
pub struct FirstProbes {
    /// What is probed, and how.
    pub wanted: BTreeMap<ProbeTarget, Arc<Probe>>,
    /// The health from before the daemon started.
    pub remembered: BTreeMap<ProbeTarget, Health>,
    /// The gates to look at.
    pub gates: BTreeMap<GateName, Arc<Gate>>,
    /// The regions to be told that they are no longer active.
    pub fences: Vec<FenceCall>,
}

/// What the loop has watched and told, and what it hears of it.
#[derive(Debug)]
pub struct Senses {
    /// The probers.
    pub probers: Probers,
    /// The gates.
    pub gates: Gates,
    /// The fences.
    pub fences: Fences,
    /// What probers see.
    pub observations: mpsc::Receiver<Observation>,
    /// What gates say.
    pub evidence: mpsc::Receiver<Evidence>,
    /// What came of telling regions.
    pub fenced: mpsc::Receiver<Fenced>,
}

impl Senses {
    /// Starts with nothing to watch but what was wanted first. `resolvers` are asked for the addresses of host names; with
    /// none, those of `/etc/resolv.conf`. At most `descriptors` files are open for probes.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the probers' thread cannot be made.
    pub fn start(
        resolvers: &[SocketAddr],
        descriptors: usize,
        first: FirstProbes,
        clock: &Clock,
    ) -> std::io::Result<Self> {
        let (observed, observations) = mpsc::channel(QUEUED_OBSERVATIONS);
        let (seen, evidence) = mpsc::channel(QUEUED_MESSAGES);
        let (told, fenced) = mpsc::channel(QUEUED_MESSAGES);
        let now = || {
            let clock = clock.clone();
            move || clock.now()
        };
        let mut probers = Probers::start(resolvers, descriptors, observed, now())?;
        let mut gates = Gates::start(probers.prober(), seen, now());
        let fences = Fences::start(probers.prober(), told, now());
        probers.update(first.wanted, first.remembered);
        gates.update(first.gates);
        first.fences.into_iter().for_each(|call| fences.call(call));
        Ok(Self { probers, gates, fences, observations, evidence, fenced })
    }
}
