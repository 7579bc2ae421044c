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
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::renew::Renewable;
use super::{Deadline, Doing, Failure, words};
use crate::policy::{ClientCertificate, TlsSettings};
use crate::time::Timestamp;

/// Protocols that are offered in the handshake (RFC 7301 3.1), in order of preference; none without a name for what is
/// spoken.
pub(super) type Protocols<'a> = &'a [&'a [u8]];

/// The ways to speak TLS that the probes ask for; the files of each are read once, and again after a reload.
#[derive(Debug, Default)]
pub(super) struct TlsConfigs {
    /// Held to look and to replace only, never while reading.
    configs: Mutex<BTreeMap<Way, Shared>>,
}

/// What a [`ClientConfig`] is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    ca: Option<PathBuf>,
    client: Option<ClientCertificate>,
    protocols: Vec<Vec<u8>>,
}

type Shared = Arc<Renewable<Arc<ClientConfig>>>;

impl TlsConfigs {
    /// Has every file read again.
    pub(super) fn renew(&self) {
        for config in self.configs.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            *config = config.renewed();
        }
    }

    async fn config(&self, way: Way) -> Result<Arc<ClientConfig>, String> {
        let config = {
            let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
            configs.entry(way.clone()).or_default().clone()
        };
        let load = || async {
            // Reading takes milliseconds, and a file may be on a disk that hangs.
            spawn_blocking(move || load(&way)).await.map_err(|died| format!("read trust anchors: {died}"))?
        };
        config.get(load).await
    }
}

/// Whether a probe could verify with this file of trust anchors; the error says why not.
pub(super) fn check(ca: &Path) -> Result<(), String> {
    anchors(Some(ca)).map(drop)
}

/// Whether a probe could show this certificate; the error says why not.
pub(super) fn check_client(client: &ClientCertificate) -> Result<(), String> {
    configure(RootCertStore::empty(), Some(client)).map(drop)
}

fn load(way: &Way) -> Result<Arc<ClientConfig>, String> {
    let mut config = configure(anchors(way.ca.as_deref())?, way.client.as_ref())?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = way.protocols.clone();
    Ok(Arc::new(config))
}

fn configure(roots: RootCertStore, client: Option<&ClientCertificate>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("set up TLS: {error}"))?
        .with_root_certificates(roots);
    let Some(ClientCertificate { cert, key }) = client else { return Ok(builder.with_no_client_auth()) };
    let place = format!("client certificate `{}`", cert.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| format!("read {place}: {}", pem_words(error)))?;
    if chain.is_empty() {
        return Err(format!("read {place}: there is no certificate in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("read private key `{}`: {}", key.display(), pem_words(error)))?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|error| format!("use {place} with private key `{}`: {error}", key.display()))
}

fn anchors(ca: Option<&Path>) -> Result<RootCertStore, String> {
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
    Ok(roots)
}

fn pem_words(error: rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) => words(&error),
        other => other.to_string(),
    }
}

/// Speaks TLS over a connection and verifies that the peer is `host`: a name, or an address without brackets.
pub(super) async fn handshake(
    configs: &TlsConfigs,
    settings: &TlsSettings,
    protocols: Protocols<'_>,
    host: &str,
    (stream, peer): (TcpStream, SocketAddr),
    deadline: Deadline,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("`{host}` is no name that a certificate could be valid for"))?;
    let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let way = Way { ca: settings.ca.clone(), client: settings.client.clone(), protocols };
    // Files of this machine: that they cannot be read says nothing of the peer.
    let config = deadline.within(Doing::ReadingFiles, configs.config(way)).await.and_then(|config| config);
    let config = config.map_err(Failure::Unable)?;
    deadline
        .within(Doing::Handshaking(peer), TlsConnector::from(config).connect(name, stream))
        .await?
        .map_err(|error| sentence(&error, peer, host).into())
}

/// When the peer's certificate expires. Those of issuers do not count: peers send some that nobody needs.
pub(super) fn expiry(stream: &TlsStream<TcpStream>) -> Option<Timestamp> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let expires = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some(Timestamp(expires.saturating_mul(1_000)))
}

/// What the peer objects to, when it ended the connection with a fatal alert (RFC 8446 6.2).
pub(super) fn alert(error: &io::Error, peer: SocketAddr) -> Option<String> {
    use rustls::{AlertDescription as Alert, Error};
    let Some(Error::AlertReceived(alert)) = error.get_ref()?.downcast_ref::<Error>() else { return None };
    Some(match alert {
        Alert::CertificateRequired => format!("{peer} demands a client certificate"),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => format!("{peer} does not accept the client certificate: alert {alert:?}"),
        Alert::NoApplicationProtocol => format!("{peer} speaks none of the protocols that were offered (ALPN)"),
        Alert::UnrecognisedName => format!("{peer} does not know the server name"),
        other => format!("{peer} ended the TLS connection: alert {other:?}"),
    })
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
        Some(Error::AlertReceived(_)) => {
            alert(error, peer).unwrap_or_else(|| format!("TLS handshake with {peer}: {}", words(error)))
        }
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
