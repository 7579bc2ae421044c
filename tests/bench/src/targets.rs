//! What the servers under measurement probe: TCP, TLS and HTTP on every loopback address at once, in a process of its own.
//!
//! It listens on all addresses, through the loopback interface alone, so that ten thousand endpoints need three sockets
//! and nobody else can connect. Every second it says how many of each kind it has served.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::probed::{CERTIFIED, Kind, Ports};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";

/// What every connection needs.
struct Shared {
    acceptor: TlsAcceptor,
    /// How many were served, by kind.
    served: [AtomicU64; 3],
}

/// Serves until the process is ended. Writes `ca.pem` and then `ports` into the folder, and the file `served` anew every
/// second.
pub(crate) fn serve(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let acceptor = TlsAcceptor::from(Arc::new(certified(folder)?));
        let shared = Arc::new(Shared { acceptor, served: Default::default() });
        let mut ports = [0; 3];
        for kind in Kind::ALL {
            let listener = listen()?;
            ports[kind as usize] = listener.local_addr()?.port();
            tokio::spawn(accept(listener, kind, shared.clone()));
        }
        Ports(ports).write(folder)?;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let mut lines = String::new();
        loop {
            second.tick().await;
            let [tcp, tls, http] = shared.served.each_ref().map(|served| served.load(Ordering::Relaxed));
            lines.push_str(&format!("{tcp} {tls} {http}\n"));
            fs::write(folder.join("served"), &lines).context("cannot write what was served")?;
        }
    })
}

/// A listener on a free port of every address of the loopback interface.
fn listen() -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind_device(Some(b"lo")).context("cannot keep to the loopback interface")?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into())?)
}

/// A certificate for [`CERTIFIED`] by an issuer of its own, which is left in `ca.pem`.
fn certified(folder: &Path) -> Result<ServerConfig> {
    let key = KeyPair::generate()?;
    let mut issuer = CertificateParams::new(Vec::new())?;
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = issuer.self_signed(&key)?;
    fs::write(folder.join("ca.pem"), certificate.pem()).context("cannot write the issuer's certificate")?;
    let issuer = Issuer::new(issuer, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![CERTIFIED.to_owned()])?.signed_by(&key, &issuer)?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    Ok(config.with_single_cert(vec![certificate.into()], key)?)
}

async fn accept(listener: TcpListener, kind: Kind, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, kind, shared.clone()))),
            // Out of descriptors: somebody will close one.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Serves one connection until the other end closes it.
async fn answer(mut stream: TcpStream, kind: Kind, shared: Arc<Shared>) {
    let served = &shared.served[kind as usize];
    match kind {
        Kind::Tcp => {
            served.fetch_add(1, Ordering::Relaxed);
            drain(stream).await;
        }
        Kind::Tls => {
            if let Ok(stream) = shared.acceptor.accept(stream).await {
                served.fetch_add(1, Ordering::Relaxed);
                drain(stream).await;
            }
        }
        Kind::Http => {
            let mut request = [0; 1024];
            let mut length = 0;
            while let Ok(read @ 1..) = stream.read(&mut request[length..]).await {
                length += read;
                if request[..length].ends_with(b"\r\n\r\n") {
                    length = 0;
                    if stream.write_all(RESPONSE).await.is_err() {
                        return;
                    }
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Reads until the other end closes.
async fn drain(mut stream: impl AsyncRead + Unpin) {
    let mut octets = [0; 64];
    while matches!(stream.read(&mut octets).await, Ok(1..)) {}
}
