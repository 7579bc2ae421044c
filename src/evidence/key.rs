//! I/O shell: the file of the signing key.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;

/// The key: what the file holds, or one in PKCS#8 (RFC 5958) that is made and kept there.
///
/// The file is complete or not there, and readable by its owner alone (mode 0600).
pub(super) fn read_or_make(path: &Path) -> io::Result<Vec<u8>> {
    let named = |doing, error: &dyn Display| named(doing, path, error);
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| named("make", &"the system gives no random numbers"))?;
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(key.as_ref())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|error: io::Error| named("write", &error))?;
    tracing::info!(event = "key", path = %path.display(), "made a key to sign evidence with: {}", path.display());
    Ok(key.as_ref().to_vec())
}

/// What the file holds; `None` when there is no such file.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(key) => Ok(Some(key)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), sentence("read", path, &error))),
    }
}

fn named(doing: &str, path: &Path, error: &dyn Display) -> io::Error {
    io::Error::other(sentence(doing, path, error))
}

fn sentence(doing: &str, path: &Path, error: &dyn Display) -> String {
    format!("cannot {doing} the key {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state").join("evidence.key");
        let key = read_or_make(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_or_make(&path).unwrap(), key);
        let other = folder.path().join("other.key");
        assert_ne!(read_or_make(&other).unwrap(), key);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = read_or_make(&file.join("evidence.key")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot read the key {}", file.join("evidence.key").display())), "{error}");
    }
}
