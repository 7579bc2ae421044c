//! Who may come in over a stream, and as whom: limits of one client, proxies, trust.
//!
//! Pure: time is an argument.

use super::clients::{Clients, Prefixes, Rate};
use super::engine::Trust;

/// What is asked when a connection comes in.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) trust: Trust,
    /// Who has to say whom a connection is for.
    pub(super) proxies: Prefixes,
    pub(super) clients: Clients,
    /// Of handshakes; `None` where there are none.
    pub(super) handshakes: Option<std::sync::Arc<Rate>>,
}

/// Everybody is let in.
#[cfg(test)]
impl Default for Admission {
    fn default() -> Self {
        let clients = Clients::new(u32::MAX, Prefixes::default(), 0);
        Self { trust: Trust::default(), proxies: Prefixes::default(), clients, handshakes: None }
    }
}
