//! I/O shell: secrets, read from where the policy says.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;

use super::renew::Renewable;
use super::words;
use crate::policy::Secret;

/// Longest secret, octets: one that is longer is a mistake.
const MOST: usize = 16 * 1024;

/// A secret itself. It prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Revealed(Arc<str>);

impl Revealed {
    /// A secret that was made of another one.
    pub(super) fn new(secret: String) -> Self {
        Self(secret.into())
    }

    /// The secret, to be given to what is probed and to nobody else.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The secrets that were needed so far; each is read once, and again after a reload.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Held to look and to replace only, never while reading.
    known: Mutex<BTreeMap<Secret, Arc<Renewable<Revealed>>>>,
}

impl Secrets {
    /// Has every secret read again.
    pub(super) fn renew(&self) {
        for secret in self.known.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            *secret = secret.renewed();
        }
    }

    /// The secret; the error names its place and says why it cannot be read.
    pub(super) async fn reveal(&self, secret: &Secret) -> Result<Revealed, String> {
        let known = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(secret.clone()).or_default().clone()
        };
        let secret = secret.clone();
        let load =
            || async { spawn_blocking(move || read(&secret)).await.map_err(|died| format!("read a secret: {died}"))? };
        known.get(load).await
    }
}

/// Whether the secret can be read; the error says why not.
pub(super) fn check(secret: &Secret) -> Result<(), String> {
    read(secret).map(drop)
}

fn read(secret: &Secret) -> Result<Revealed, String> {
    match secret {
        Secret::File(file) => read_file(file).map_err(|why| format!("read the secret `{}`: {why}", file.display())),
        Secret::Env(name) => {
            let said = |why: &str| format!("read the secret in environment variable `{name}`: {why}");
            match std::env::var(name) {
                Ok(text) => Ok(Revealed(text.into())),
                Err(std::env::VarError::NotPresent) => Err(said("it is not set")),
                Err(std::env::VarError::NotUnicode(_)) => Err(said("it is no UTF-8 text")),
            }
        }
    }
}

fn read_file(file: &Path) -> Result<Revealed, String> {
    let octets = std::fs::read(file).map_err(|error| words(&error))?;
    if octets.len() > MOST {
        return Err(format!("it is longer than {} KiB", MOST / 1024));
    }
    let text = String::from_utf8(octets).map_err(|_| "it is no UTF-8 text".to_owned())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Revealed(text.strip_suffix('\r').unwrap_or(text).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_place_without_the_line_end() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("password");
        let check = |content: &[u8], expected: Result<&str, &str>| {
            std::fs::write(&file, content).unwrap();
            let found = read(&Secret::File(file.clone()));
            let place = format!("read the secret `{}`: ", file.display());
            assert_eq!(found.as_ref().map(Revealed::expose).map_err(|why| why.strip_prefix(&place).unwrap()), expected);
        };
        check(b"open sesame\n", Ok("open sesame"));
        check(b"open sesame\r\n", Ok("open sesame"));
        check(b" open sesame ", Ok(" open sesame "));
        check(b"two\n\n", Ok("two\n"));
        check(b"\xff", Err("it is no UTF-8 text"));
        check(&[b'x'; MOST + 1], Err("it is longer than 16 KiB"));
        std::fs::remove_file(&file).unwrap();
        assert!(check_fails(&Secret::File(file)).ends_with("no such file or directory"));
        let missing = check_fails(&Secret::Env("CONCIERGE_NO_SUCH_VARIABLE".to_owned()));
        assert_eq!(missing, "read the secret in environment variable `CONCIERGE_NO_SUCH_VARIABLE`: it is not set");
        assert!(read(&Secret::Env("PATH".to_owned())).is_ok());
    }

    fn check_fails(secret: &Secret) -> String {
        check(secret).unwrap_err()
    }

    #[test]
    fn a_secret_does_not_print() {
        let secret = Revealed("open sesame".into());
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
    }
}
