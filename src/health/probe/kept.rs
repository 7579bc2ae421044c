//! Connections that are kept from one observation to the next.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Attempt;
use super::exchange::Connection;
use crate::policy::{Probe, ProbeName};

/// Longest time for which a connection is kept: a certificate is verified when a connection is made, and never after.
const MAX_AGE: Duration = Duration::from_mins(10);

/// Whose connection it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Whose {
    probe: ProbeName,
    host: String,
    address: IpAddr,
}

impl Whose {
    pub(super) fn of(attempt: &Attempt) -> Self {
        Self { probe: attempt.probe.name.clone(), host: attempt.host.clone(), address: attempt.address }
    }
}

/// The connections that wait for the next observation; at most one an address of what is probed.
#[derive(Debug)]
pub(super) struct Kept {
    /// As many as are kept, so that they leave files to observations.
    most: usize,
    /// With the probe that each was made by. Held to put and to take only.
    connections: Mutex<HashMap<Whose, (Arc<Probe>, Connection)>>,
}

impl Kept {
    /// None so far, and never more than `most`.
    pub(super) fn at_most(most: usize) -> Self {
        Self { most, connections: Mutex::default() }
    }

    /// Takes a connection out, if there is one that can be used: of the same definition, alive and not too old.
    pub(super) fn take(&self, whose: &Whose, probe: &Arc<Probe>, now: Instant) -> Option<Connection> {
        let taken = self.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(whose);
        let (made_by, connection) = taken?;
        let usable = made_by == *probe && connection.is_ready() && now.duration_since(connection.since) < MAX_AGE;
        usable.then_some(connection)
    }

    /// Keeps a connection for the next observation, or closes it where as many are kept as may be.
    pub(super) fn keep(&self, whose: Whose, probe: Arc<Probe>, connection: Connection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() < self.most {
            connections.insert(whose, (probe, connection));
        }
    }

    /// Closes all: a reload may have changed whose they are.
    pub(super) fn clear(&self) {
        let closed = std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner));
        drop(closed);
    }
}
