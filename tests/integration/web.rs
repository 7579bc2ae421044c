//! A region that speaks HTTP, in the clear or over TLS, and says what it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::process::Region;

/// A region that answers every request with status 200 and a body; it ends when dropped.
pub struct Web {
    body: Arc<Mutex<String>>,
    _region: Region,
}

impl Web {
    pub fn http(address: impl Into<SocketAddr>, body: &str) -> Self {
        Self::serve(address, body, |mut stream, body| respond(&mut stream, body))
    }

    pub fn https(address: impl Into<SocketAddr>, body: &str, identity: Arc<ServerConfig>) -> Self {
        Self::serve(address, body, move |stream, body| {
            let mut stream = StreamOwned::new(ServerConnection::new(identity.clone()).unwrap(), stream);
            respond(&mut stream, body)?;
            stream.conn.send_close_notify();
            stream.flush()
        })
    }

    fn serve(
        address: impl Into<SocketAddr>,
        body: &str,
        exchange: impl Fn(TcpStream, &str) -> std::io::Result<()> + Send + 'static,
    ) -> Self {
        let body = Arc::new(Mutex::new(body.to_owned()));
        let said = body.clone();
        let region = Region::serve(address, move |stream| {
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let body = said.lock().unwrap().clone();
            // A prober that goes away, or does not like the certificate, is none of the region's business.
            drop(exchange(stream, &body));
        });
        Self { body, _region: region }
    }

    /// Answers this from here on.
    pub fn say(&self, body: &str) {
        body.clone_into(&mut self.body.lock().unwrap());
    }
}

fn respond(stream: &mut (impl Read + Write), body: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        request.push(octet[0]);
    }
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")?;
    stream.flush()
}

/// A certificate authority of one test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate, for a probe's `ca` file.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a server with a certificate for these names and addresses needs.
    pub fn identity(&self, names: &[String]) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }
}
