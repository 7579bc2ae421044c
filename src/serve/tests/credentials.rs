//! Certificates for the tests, and clients that trust them.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use crate::config::Tls;

/// A certificate in a folder.
pub(in crate::serve) struct Credentials {
    folder: TempDir,
}

/// The name in the certificates.
pub(in crate::serve) const NAME: &str = "ns1.example.net";

impl Credentials {
    pub(in crate::serve) fn make() -> Self {
        let credentials = Self { folder: tempfile::tempdir().unwrap() };
        let (certificate, key) = pair(2050);
        credentials.write(&certificate, &key);
        credentials
    }

    /// Puts others into the files.
    pub(in crate::serve) fn write(&self, certificate: &str, key: &str) {
        let Tls { certificate: certificate_file, key: key_file } = self.files();
        for (path, text) in [(certificate_file, certificate), (key_file, key)] {
            // Renamed into place, as who renews does.
            let beside = path.with_extension("new");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(&beside, &path).unwrap();
        }
    }

    pub(in crate::serve) fn files(&self) -> Tls {
        let at = |name: &str| -> PathBuf { self.folder.path().join(name) };
        Tls { certificate: at("tls.pem"), key: at("tls.key") }
    }

    /// A client that trusts the certificate that is in the file.
    pub(in crate::serve) fn client(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        use rustls_pki_types::pem::PemObject;
        let mut roots = RootCertStore::empty();
        let text = std::fs::read(self.files().certificate).unwrap();
        roots.add(rustls_pki_types::CertificateDer::from_pem_slice(&text).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}

/// A certificate, valid from 2020 to a year, and its key, as PEM.
pub(in crate::serve) fn pair(until: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
