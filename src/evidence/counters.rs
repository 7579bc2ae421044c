//! What the public listener counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// The routes by which requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Hub,
    Keys,
    Active,
    Health,
    Other,
}

impl Route {
    const WORDS: [&str; 5] = ["hub", "keys", "active", "healthz", "other"];

    /// The route of a request target's path.
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/v1/keys" => Self::Keys,
            "/healthz" => Self::Health,
            hub if hub.starts_with("/v1/hubs/") => Self::Hub,
            active if active.starts_with("/probe/active/") => Self::Active,
            _ => Self::Other,
        }
    }
}

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Counted while it runs; read at any time.
#[derive(Debug, Default)]
pub struct Counters {
    responses: [[AtomicU64; CLASSES.len()]; Route::WORDS.len()],
    accepted: AtomicU64,
    refused: AtomicU64,
    connections: AtomicU64,
    waiting: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Responses by route and class of status.
    pub responses: Vec<(&'static str, &'static str, u64)>,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once, because there were as many as may be.
    pub refused: u64,
    /// Connections open.
    pub connections: u64,
    /// Requests and streams that wait for a switch.
    pub waiting: u64,
}

/// Something that there is one more of for as long as this is held.
#[derive(Debug)]
pub(super) struct Held<'a>(&'a AtomicU64);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// The counters of this moment.
    pub fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let responses = Route::WORDS.iter().zip(&self.responses).flat_map(|(route, classes)| {
            CLASSES.iter().zip(classes).map(move |(class, count)| (*route, *class, read(count)))
        });
        Totals {
            responses: responses.collect(),
            accepted: read(&self.accepted),
            refused: read(&self.refused),
            connections: read(&self.connections),
            waiting: read(&self.waiting),
        }
    }

    pub(super) fn responded(&self, route: Route, status: u16) {
        let class = usize::from(status / 100).saturating_sub(2).min(CLASSES.len() - 1);
        self.responses[route as usize][class].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// One more connection, for as long as the result is held.
    pub(super) fn connected(&self) -> Held<'_> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Held(&self.connections)
    }

    pub(super) fn begins_to_wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ends_to_wait(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
