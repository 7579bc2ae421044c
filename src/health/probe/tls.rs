//! I/O shell: TLS towards what is probed. The certificate is always verified.
//!
//! Sessions are not resumed, for a resumed one is not verified again: a certificate that expires while probes go on
//! would not be seen.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::renew::Renewable;
use super::{Deadline, Doing, words};
use crate::time::Timestamp;

/// The trust anchors by file, `None` being the system's; each is read once, and again after a reload.
#[derive(Debug, Default)]
pub(super) struct TrustAnchors {
    /// Held to look and to replace only, never while reading.
    configs: Mutex<BTreeMap<Option<PathBuf>, Shared>>,
}

type Shared = Arc<Renewable<Arc<ClientConfig>>>;

impl TrustAnchors {
    /// Has every file read again.
    pub(super) fn renew(&self) {
        for config in self.configs.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            *config = config.renewed();
        }
    }

    async fn config(&self, ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
        let ca = ca.map(Path::to_owned);
        let config = {
            let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
            configs.entry(ca.clone()).or_default().clone()
        };
        let load = || async {
            // Reading takes milliseconds, and a file may be on a disk that hangs.
            spawn_blocking(move || load(ca.as_deref())).await.map_err(|died| format!("read trust anchors: {died}"))?
        };
        config.get(load).await
    }
}

/// Whether a probe could verify with this file of trust anchors; the error says why not.
pub(super) fn check(ca: &Path) -> Result<(), String> {
    load(Some(ca)).map(drop)
}

fn load(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let (certificates, place) = match ca {
        Some(file) => {
            let place = format!("trust anchors `{}`", file.display());
            let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
            (certificates.map_err(|error| format!("read {place}: {}", pem_words(error)))?, place)
        }
        None => (rustls_native_certs::load_native_certs().certs, "the system's trust anchors".to_owned()),
    };
    let found = certificates.len();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(format!("read {place}: {found} certificates, none of which can be used"));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("set up TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn pem_words(error: rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) => words(&error),
        other => other.to_string(),
    }
}

/// Speaks TLS over a connection and verifies that the peer is `host`: a name, or an address without brackets.
pub(super) async fn handshake(
    anchors: &TrustAnchors,
    ca: Option<&Path>,
    host: &str,
    (stream, peer): (TcpStream, SocketAddr),
    deadline: Deadline,
) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("`{host}` is no name that a certificate could be valid for"))?;
    let config = deadline.within(Doing::ReadingAnchors, anchors.config(ca)).await??;
    deadline
        .within(Doing::Handshaking(peer), TlsConnector::from(config).connect(name, stream))
        .await?
        .map_err(|error| sentence(&error, peer, host))
}

fn sentence(error: &io::Error, peer: SocketAddr, host: &str) -> String {
    use CertificateError as Bad;
    use rustls::Error;
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(bad)) => match bad {
            Bad::NotValidForNameContext { presented, .. } => {
                format!("certificate of {peer} is not valid for `{host}`: {}", named(presented))
            }
            Bad::ExpiredContext { not_after, .. } => {
                format!("certificate of {peer} for `{host}` expired at {}", moment(*not_after))
            }
            Bad::NotValidYetContext { not_before, .. } => {
                format!("certificate of {peer} for `{host}` is not valid before {}", moment(*not_before))
            }
            Bad::UnknownIssuer => format!("certificate of {peer} for `{host}` is of an unknown issuer"),
            Bad::BadSignature => {
                format!("certificate of {peer} for `{host}` is not signed by the issuer that it names")
            }
            other => format!("certificate of {peer} for `{host}` is not accepted: {other}"),
        },
        Some(Error::InvalidMessage(_)) => format!("{peer} does not speak TLS"),
        Some(other) => format!("TLS handshake with {peer}: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            format!("{peer} closed the connection in the TLS handshake")
        }
        None => format!("TLS handshake with {peer}: {}", words(error)),
    }
}

/// What a certificate is valid for; the names come as `DnsName("a")` and the like.
fn named(presented: &[String]) -> String {
    let names: Vec<&str> = presented
        .iter()
        .take(4)
        .map(|name| {
            name.split_once('(').map_or(name.as_str(), |(_, rest)| rest.trim_end_matches(')')).trim_matches('"')
        })
        .collect();
    match (names.len(), presented.len() - names.len()) {
        (0, _) => "it is for no name at all".to_owned(),
        (_, 0) => format!("it is for {}", names.join(", ")),
        (_, more) => format!("it is for {} and {more} more", names.join(", ")),
    }
}

fn moment(time: UnixTime) -> Timestamp {
    Timestamp(time.as_secs().saturating_mul(1_000))
}
