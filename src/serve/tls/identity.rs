//! I/O shell: the certificate of the encrypted listeners and its key, from files that change.
//!
//! What cannot be used changes nothing: connections go on being answered with what was read before, and what is wrong is
//! said in the log, in `status` and to whoever asked for the reload. Files that change are looked at again only once
//! they have stayed the same for a moment: a renewal writes two of them, one after the other.

use std::fmt;
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::crypto::ring::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::super::stop::Stop;
use crate::config::Tls as Files;
use crate::diagnostic::Diagnostic;
use crate::process::privileges;
use crate::time::Timestamp;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is said that the certificate expires soon.
const REMIND: Duration = Duration::from_hours(24);

/// Time ahead of the expiry in which that is said; of a certificate of a short life, a third of it.
const SOON: Duration = Duration::from_hours(7 * 24);

/// Octets of a file at most: a chain is some kilobytes.
const LARGEST: u64 = 1 << 20;

/// The certificate in use.
pub struct Identity {
    files: Files,
    /// Held for a clone of the pointer in a handshake, and for the exchange.
    current: RwLock<Arc<CertifiedKey>>,
    /// Held for the exchange, and to look at it.
    last: Mutex<Last>,
    /// The number of the next reading: an older one does not replace a younger.
    looks: AtomicU64,
}

/// What was read last.
#[derive(Debug)]
struct Last {
    number: u64,
    expires: Timestamp,
    /// From when on its expiry is near.
    soon: Timestamp,
    /// What is wrong with the files as they are.
    problem: Option<String>,
}

/// A certificate and key that fit.
struct Read {
    certified: CertifiedKey,
    begins: Timestamp,
    expires: Timestamp,
    soon: Timestamp,
}

/// What was read of the files, and is not in use.
pub struct Reading {
    number: u64,
    read: Read,
}

/// Why files cannot be used.
#[derive(Debug)]
pub struct Unusable {
    /// Of the failure to read, or `InvalidData`.
    pub kind: ErrorKind,
    /// Names the file and what is wrong.
    pub problem: Box<Diagnostic>,
}

impl Unusable {
    fn new(sentence: String, hint: &str) -> Self {
        Self { kind: ErrorKind::InvalidData, problem: Box::new(Diagnostic::without_place(sentence).hint(hint)) }
    }
}

impl From<Unusable> for io::Error {
    fn from(unusable: Unusable) -> Self {
        Self::new(unusable.kind, unusable.problem.to_string())
    }
}

/// What is wrong with the files of a configuration: what a start would fail with.
///
/// # Errors
/// Names the file, what is wrong and what to do.
pub fn check(files: &Files) -> Result<(), Unusable> {
    read(files).map(drop)
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// Names the file, what is wrong and what to do.
    pub fn load(files: &Files) -> Result<Arc<Self>, Unusable> {
        let Read { certified, expires, soon, .. } = read(files)?;
        let identity = Self {
            files: files.clone(),
            current: RwLock::new(Arc::new(certified)),
            last: Mutex::new(Last { number: 0, expires, soon, problem: None }),
            looks: AtomicU64::new(1),
        };
        let path = files.certificate.display();
        tracing::info!(event = "certificate", %expires, "the certificate {path} is valid until {expires}");
        Ok(Arc::new(identity))
    }

    /// Reads the files again. What was read counts once it is given to [`Identity::replace`].
    ///
    /// # Errors
    /// When they cannot be used, and those read before stay.
    pub fn look(&self) -> Result<Reading, Unusable> {
        let number = self.looks.fetch_add(1, Ordering::Relaxed);
        let unusable = match read(&self.files).and_then(|read| self.is_better(read)) {
            Ok(read) => return Ok(Reading { number, read }),
            Err(unusable) => unusable,
        };
        let reason = unusable.problem.to_string();
        tracing::warn!(event = "certificate", "{reason}; the certificate read before stays in use");
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.number <= number {
            (last.number, last.problem) = (number, Some(reason));
        }
        Err(unusable)
    }

    /// A certificate that no client takes today does not replace one that they take.
    fn is_better(&self, read: Read) -> Result<Read, Unusable> {
        let (now, path) = (now(), self.files.certificate.display());
        let Read { begins, expires, .. } = &read;
        if self.expires() <= now || (*begins <= now && now < *expires) {
            return Ok(read);
        }
        let sentence = match now < *begins {
            true => format!("the certificate {path} is valid only from {begins} on"),
            false => format!("the certificate {path} has expired at {expires}"),
        };
        Err(Unusable::new(sentence, "put one there that is valid now"))
    }

    /// Uses what was read, unless something was read later. Connections that are open go on; those that open from here on see
    /// the new certificate.
    pub fn replace(&self, reading: Reading) {
        let Reading { number, read: Read { certified, expires, soon, .. } } = reading;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.number > number {
            return;
        }
        let changed = self.current().cert != certified.cert;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
        *last = Last { number, expires, soon, problem: None };
        drop(last);
        if changed {
            let path = self.files.certificate.display();
            tracing::info!(event = "certificate", %expires, "the certificate {path} is renewed, valid until {expires}");
        }
    }

    /// The file of the certificate.
    pub fn path(&self) -> &Path {
        &self.files.certificate
    }

    /// When the certificate in use expires.
    pub fn expires(&self) -> Timestamp {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).expires
    }

    /// What is wrong with the files as they were read last.
    pub fn problem(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows the files until the drain begins.
    pub(in crate::serve) fn follow(self: &Arc<Self>, stop: Arc<Stop>) -> io::Result<()> {
        let identity = self.clone();
        let mut used = Stamps::of(&self.files);
        std::thread::Builder::new().name("tls-files".into()).spawn(move || {
            privileges::give_up();
            let (mut seen, mut reminded) = (used, None);
            while stop.deadline().is_none() {
                std::thread::sleep(LOOK);
                let stamps = Stamps::of(&identity.files);
                if stamps != used && stamps == seen {
                    used = stamps;
                    // What is wrong is said where it is found.
                    if let Ok(reading) = identity.look() {
                        identity.replace(reading);
                        reminded = None;
                    }
                }
                seen = stamps;
                identity.remind(&mut reminded);
            }
        })?;
        Ok(())
    }

    /// Says that the certificate expires soon, once a day.
    fn remind(&self, reminded: &mut Option<Instant>) {
        let (expires, soon) = {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            (last.expires, last.soon)
        };
        let now = now();
        if now < soon {
            *reminded = None;
            return;
        }
        if reminded.is_some_and(|at| at.elapsed() < REMIND) {
            return;
        }
        *reminded = Some(Instant::now());
        let path = self.files.certificate.display();
        match now < expires {
            true => {
                tracing::warn!(event = "certificate", %expires, "the certificate {path} expires soon, at {expires}")
            }
            false => {
                tracing::error!(event = "certificate", %expires, "the certificate {path} has expired at {expires}")
            }
        }
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// The key is not shown.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.files).finish_non_exhaustive()
    }
}

/// What tells one state of the files from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamps([Option<(u64, u64, i64, i64)>; 2]);

impl Stamps {
    fn of(files: &Files) -> Self {
        let stamp = |path: &PathBuf| {
            let stamp = |file: Metadata| (file.ino(), file.len(), file.mtime(), file.mtime_nsec());
            std::fs::metadata(path).ok().map(stamp)
        };
        Self([&files.certificate, &files.key].map(stamp))
    }
}

/// Reads both files and sees whether they fit.
fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

fn read(files: &Files) -> Result<Read, Unusable> {
    let Files { certificate, key } = files;
    let text = octets(certificate, "certificate")?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let path = certificate.display();
    let chain = chain
        .map_err(|error| Unusable::new(format!("the certificate {path} is no PEM file: {error}"), "write it anew"))?;
    let Some(own) = chain.first() else {
        let hint = "it holds sections that begin with `-----BEGIN CERTIFICATE-----`, the server's own first";
        return Err(Unusable::new(format!("there is no certificate in {path}"), hint));
    };
    let Ok((_, parsed)) = X509Certificate::from_der(own) else {
        let sentence = format!("the first certificate in {path} cannot be read");
        return Err(Unusable::new(sentence, "`openssl x509 -in FILE -text` says what it is"));
    };
    let moment = |time: x509_parser::time::ASN1Time| {
        Timestamp(u64::try_from(time.timestamp()).unwrap_or_default().saturating_mul(1000))
    };
    let (begins, expires) = (moment(parsed.validity().not_before), moment(parsed.validity().not_after));
    let ahead = SOON.min(expires.since(begins) / 3);
    let soon = Timestamp(expires.0.saturating_sub(u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX)));
    let text = octets(key, "key")?;
    let shown = key.display();
    let secret = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let hint = "it holds one section that begins with `-----BEGIN PRIVATE KEY-----`, without a passphrase";
        Unusable::new(format!("there is no private key in {shown}: {error}"), hint)
    })?;
    let signing = any_supported_type(&secret).map_err(|error| {
        Unusable::new(format!("the private key {shown} cannot be used: {error}"), "make one of ECDSA P-256")
    })?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let hint = "both files are of one certificate; a renewal replaces both";
            Unusable::new(format!("the private key {shown} is not that of the certificate {path}"), hint)
        }
        error => {
            let hint = "ask who issued it for one of version 3";
            Unusable::new(format!("the certificate {path} cannot be used: {error}"), hint)
        }
    })?;
    Ok(Read { certified, begins, expires, soon })
}

fn octets(path: &Path, what: &str) -> Result<Vec<u8>, Unusable> {
    let read = || match std::fs::metadata(path)?.len() {
        0..=LARGEST => std::fs::read(path),
        length => Err(io::Error::new(ErrorKind::FileTooLarge, format!("{length} octets are too many for one"))),
    };
    read().map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => "write it there, or its place into [tls]",
            _ => "let the account that runs the daemon read it",
        };
        let sentence = format!("cannot read the {what} {}: {error}", path.display());
        Unusable { kind: error.kind(), problem: Box::new(Diagnostic::without_place(sentence).hint(hint)) }
    })
}

#[cfg(test)]
mod tests;
