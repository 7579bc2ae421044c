//! What the tests of the brokers' probes have in common: certificates in a folder, and scripted peers.

use std::path::{Path, PathBuf};

use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyPair};
use tempfile::TempDir;

use super::handshake::{Authority, authority, certificate_for};
use super::*;
use crate::policy::{ClientCertificate, Secret};

/// A folder with an authority, a server's certificate for `hub.example.net` and 127.0.0.1, and a client's for `canary`.
pub(super) struct Folder {
    folder: TempDir,
}

impl Folder {
    pub(super) fn new() -> Self {
        let folder = Self { folder: TempDir::new().unwrap() };
        let authority = authority();
        std::fs::write(folder.file("ca.pem"), authority.pem()).unwrap();
        folder.issue(&authority, "server", ExtendedKeyUsagePurpose::ServerAuth);
        folder.issue(&authority, "canary", ExtendedKeyUsagePurpose::ClientAuth);
        folder
    }

    fn issue(&self, authority: &Authority, called: &str, purpose: ExtendedKeyUsagePurpose) {
        let mut params = certificate_for(&["hub.example.net", "127.0.0.1"]);
        params.distinguished_name.push(DnType::CommonName, called);
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        std::fs::write(self.file(&format!("{called}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.file(&format!("{called}.key")), key.serialize_pem()).unwrap();
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A secret in a file.
    pub(super) fn secret(&self, name: &str, content: &str) -> Secret {
        std::fs::write(self.file(name), content).unwrap();
        Secret::File(self.file(name))
    }

    /// TLS that trusts the authority.
    pub(super) fn trusted(&self) -> TlsSettings {
        trusting(Some(self.file("ca.pem")))
    }

    /// And shows the client's certificate.
    pub(super) fn mutual(&self) -> TlsSettings {
        let client = ClientCertificate { cert: self.file("canary.pem"), key: self.file("canary.key") };
        TlsSettings { client: Some(client), ..self.trusted() }
    }
}

/// A peer that waits for each of these many octets and then answers with those, and closes.
pub(super) async fn scripted(turns: &[(usize, &[u8])]) -> u16 {
    let turns: Arc<[(usize, Vec<u8>)]> = turns.iter().map(|(count, answer)| (*count, answer.to_vec())).collect();
    listen(V4, move |mut stream| {
        let turns = turns.clone();
        async move {
            for (count, answer) in turns.iter() {
                let mut octets = vec![0; *count];
                if stream.read_exact(&mut octets).await.is_err() || stream.write_all(answer).await.is_err() {
                    return;
                }
            }
            drop(stream.shutdown().await);
            // What else comes is read, so that closing resets nothing.
            drop(stream.read_to_end(&mut Vec::new()).await);
        }
    })
    .await
}

/// The sentence of a failed observation.
#[track_caller]
pub(super) fn failed(outcome: Outcome) -> String {
    let Outcome::Failed(sentence) = outcome else { panic!("{outcome:?}") };
    sentence
}
