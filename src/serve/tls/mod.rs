//! TLS of the encrypted listeners: one certificate, one key for tickets, one configuration for each protocol spoken in it.
//!
//! ```text
//!  files ─► identity: read, checked ─► swapped in ─► configurations (ALPN dot; h2, http/1.1; doq; h3)
//!              ▲                                          │
//!  SIGHUP, reload, a change of the files                  ├─► session: records in, octets out, no socket (DNS over TLS)
//!                                                         └─► tokio-rustls, quinn (HTTPS, QUIC)
//! ```
//!
//! - **Versions.** TLS 1.2 and 1.3 as `rustls` has them by default; QUIC has 1.3 alone.
//! - **Resumption** is by tickets (RFC 8446 4.6.1, RFC 5077), whose key lives in this process and changes every six hours: no
//!   memory is kept for a client, and a client that comes back does without the signature. Early data (0-RTT) is not
//!   taken: it can be replayed (RFC 9250 4.5 allows it for queries; nothing here needs it).
//! - **No client certificates.**
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads the files of the certificate, clock, a thread")]

mod identity;
mod session;
mod turn;

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;

pub use self::identity::{Identity, Unusable, check};
pub(super) use self::session::Session;
pub(super) use self::turn::{Line, Secured, say_farewell};

/// The protocols that may be spoken, as ALPN names them, the preferred one first.
pub(super) const DOT: &[&[u8]] = &[b"dot"];
pub(super) const HTTPS: &[&[u8]] = &[b"h2", b"http/1.1"];
pub(super) const DOQ: &[&[u8]] = &[b"doq"];
pub(super) const HTTP3: &[&[u8]] = &[b"h3"];

/// The certificate in use and what is shared between the configurations.
#[derive(Debug)]
pub(super) struct Tls {
    identity: Arc<Identity>,
    base: ServerConfig,
}

impl Tls {
    pub(super) fn new(identity: Arc<Identity>) -> io::Result<Self> {
        let explain = |error: rustls::Error| io::Error::other(format!("cannot set TLS up: {error}"));
        let mut base = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(explain)?
            .with_no_client_auth()
            .with_cert_resolver(identity.clone());
        base.ticketer = ring::Ticketer::new().map_err(explain)?;
        base.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { identity, base })
    }

    /// For these protocols. A client that names no protocol is served; one that names others alone is not (RFC 7301 3.2).
    pub(super) fn config(&self, protocols: &[&[u8]]) -> ServerConfig {
        let mut config = self.base.clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    pub(super) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }
}
