//! The secrets of server cookies while the daemon runs: read from their file, replaced at a reload, made where none is given.
//!
//! Workers take them when a query has a cookie, with the time: one load and one look at a clock for a batch.
//!
//! I/O shell: file and clock.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads a file")]

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use nix::time::{ClockId, clock_gettime};

use crate::answer::cookie::{Jar, Secrets};
use crate::config::Edns;

/// The file in the state folder, where the configuration names none.
const FILE: &str = "cookie.keys";

/// The secrets, and where they come from.
#[derive(Debug)]
pub struct Cookies {
    secrets: ArcSwap<Secrets>,
    path: PathBuf,
}

impl Cookies {
    /// Reads the secrets; `None` where cookies are off. Without a configured file they are made and kept in the state folder, so
    /// that clients keep their cookies over a restart.
    ///
    /// # Errors
    /// Names the file, and what is wrong with it.
    pub fn open(edns: &Edns, state: &Path) -> io::Result<Option<Arc<Self>>> {
        if !edns.cookies {
            return Ok(None);
        }
        let path = edns.cookie_secrets.clone().unwrap_or_else(|| state.join(FILE));
        if edns.cookie_secrets.is_none() && !path.exists() {
            make(&path).map_err(|error| named("write", &path, &error))?;
        }
        let secrets = ArcSwap::from_pointee(read(&path)?);
        Ok(Some(Arc::new(Self { secrets, path })))
    }

    /// Reads the file anew; [`Cookies::replace`] makes it what counts.
    ///
    /// # Errors
    /// As [`Cookies::open`]; nothing is changed.
    pub fn look(&self) -> io::Result<Secrets> {
        read(&self.path)
    }

    /// From the next batch on these secrets count. Says so if they are others than before.
    pub fn replace(&self, secrets: Secrets) {
        let before = self.secrets.swap(Arc::new(secrets.clone()));
        if *before != secrets {
            let (count, path) = (secrets.count(), self.path.display());
            tracing::info!(event = "cookies", secrets = count, %path, "cookie secrets read anew from {path}: {count}");
        }
    }

    /// The secrets and the time.
    pub(super) fn jar(&self) -> Jar {
        // Of a clock that every Linux has.
        let now = clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(0, |now| now.tv_sec());
        // RFC 9018 4.3: the timestamp wraps.
        Jar { secrets: self.secrets.load(), now: now as u32 }
    }
}

/// What is wrong with the secrets that the configuration names: the next start would fail. The kind tells what only this
/// account may not read.
pub fn check(edns: &Edns) -> Option<io::Error> {
    let path = edns.cookie_secrets.as_ref().filter(|_| edns.cookies)?;
    read(path).err()
}

/// What everybody on this machine, or a group of accounts, may read and should not.
pub fn check_mode(edns: &Edns) -> Option<String> {
    let path = edns.cookie_secrets.as_ref().filter(|_| edns.cookies)?;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o007 != 0).then(|| {
        let path = path.display();
        format!("the cookie secrets {path} may be read by everybody on this machine (mode {mode:03o})")
    })
}

fn read(path: &Path) -> io::Result<Secrets> {
    let text = std::fs::read(path).map_err(|error| named("read", path, &error))?;
    let text = String::from_utf8_lossy(&text);
    Secrets::read(&text).map_err(|problem| named("use", path, &io::Error::other(problem)))
}

/// Makes a file with one secret, complete or not there, readable by its owner alone (mode 0600).
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // As the store makes it.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let secret: u128 = rand::random();
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{secret:032x}")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()?;
    let path = path.display();
    tracing::info!(event = "cookies", %path, "made a secret for cookies: {path}");
    Ok(())
}

fn named(doing: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {doing} the cookie secrets {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn edns(file: Option<PathBuf>) -> Edns {
        Edns { cookie_secrets: file, ..Config::default_at(Path::new("config")).edns }
    }

    #[test]
    fn a_secret_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let open = || Cookies::open(&edns(None), &state).unwrap().unwrap();
        let first = open().look().unwrap();
        assert_eq!(std::fs::metadata(state.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(open().look().unwrap(), first, "kept over a restart");
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1, "nothing else is left");
        let off = Edns { cookies: false, ..edns(None) };
        assert!(Cookies::open(&off, &folder.path().join("other")).unwrap().is_none());
        assert!(!folder.path().join("other").exists());
    }

    #[test]
    fn a_file_that_is_named_is_never_made_and_a_bad_one_is_explained_without_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cookies");
        let error = Cookies::open(&edns(Some(path.clone())), folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(
            error.to_string().starts_with(&format!("cannot read the cookie secrets {}", path.display())),
            "{error}"
        );
        std::fs::write(&path, "e5e973e5a6b2a43f48e7dc849e37bfc\n").unwrap();
        let error = check(&edns(Some(path.clone()))).unwrap().to_string();
        assert!(error.contains("line 1") && !error.contains("e5e9"), "{error}");
        assert!(check_mode(&edns(Some(path.clone()))).is_some_and(|said| said.contains("mode 644")));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(check_mode(&edns(Some(path))), None, "a group may share it");
    }

    #[test]
    fn what_is_read_anew_counts_from_the_next_batch_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cookies");
        let secret = |digit: &str| format!("{}\n", digit.repeat(32));
        std::fs::write(&path, secret("1")).unwrap();
        let cookies = Cookies::open(&edns(Some(path.clone())), folder.path()).unwrap().unwrap();
        let before = cookies.jar();
        std::fs::write(&path, secret("2") + &secret("1")).unwrap();
        cookies.replace(cookies.look().unwrap());
        assert_eq!(before.secrets.count(), 1, "a batch keeps what it began with");
        assert_eq!(cookies.jar().secrets.count(), 2);
        std::fs::write(&path, "").unwrap();
        cookies.look().unwrap_err();
        assert_eq!(cookies.jar().secrets.count(), 2, "a bad file changes nothing");
    }
}
