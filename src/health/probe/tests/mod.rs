//! Observations of real sockets of this machine.

mod amqp;
mod brokers;
mod dns;
mod examples;
mod exec;
mod grpc;
mod handshake;
mod http;
mod icmp;
mod kept;
mod mosquitto;
mod mqtt;
mod peers;
mod query;
mod request;
mod resolve;
mod source;
mod tcp;
mod tls;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::health::tests::tcp_probe;
use crate::policy::{Expectation, HttpProbe, HttpVersion, Method, TcpProbe};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text, None).unwrap()
}

/// A probe of this kind that has so much time that only what never comes is late.
fn probe(kind: ProbeKind) -> Probe {
    Probe { kind, timeout: Duration::from_secs(20), ..tcp_probe(1) }
}

fn tcp(port: u16) -> Probe {
    probe(ProbeKind::Tcp(TcpProbe::new(port)))
}

/// Plain HTTP with everything else at its default.
fn http(port: u16) -> HttpProbe {
    HttpProbe {
        port,
        tls: None,
        host: None,
        path: "/".to_owned(),
        method: Method::Get,
        version: HttpVersion::One,
        headers: Vec::new(),
        keep_alive: false,
        expect: Expectation { status: vec![(200, 299)], body: None, value: None },
    }
}

fn within_ms(millis: u64, probe: Probe) -> Probe {
    Probe { timeout: Duration::from_millis(millis), ..probe }
}

async fn observe(probe: Probe, addresses: &[IpAddr]) -> Outcome {
    Arc::new(Prober::new(&[])).observe(&Arc::new(probe), &Target::Addresses(addresses.to_vec())).await.outcome
}

#[track_caller]
fn assert_failed(outcome: &Outcome, expected: &str) {
    assert_eq!(*outcome, Outcome::Failed(expected.to_owned()));
}

#[track_caller]
fn assert_unable(outcome: &Outcome, expected: &str) {
    assert_eq!(*outcome, Outcome::Unable(expected.to_owned()));
}

/// Trust anchors in this file, and everything else at its default.
fn trusting(ca: Option<std::path::PathBuf>) -> TlsSettings {
    TlsSettings { ca, ..TlsSettings::default() }
}

/// Serves every connection to a free port of `address` with `serve`, until the test ends.
async fn listen<F>(address: IpAddr, serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// A port of this address that nobody listens on: one that was just given back.
async fn closed_port(address: IpAddr) -> u16 {
    TcpListener::bind((address, 0)).await.unwrap().local_addr().unwrap().port()
}

/// Reads the head of a request.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => read.push(octet),
            Err(_) => break,
        }
    }
    String::from_utf8(read).unwrap()
}

/// An HTTP server that gives this response, whatever is asked, and closes.
async fn canned(address: IpAddr, response: impl Into<Vec<u8>>) -> u16 {
    let response: Arc<[u8]> = response.into().into();
    listen(address, move |mut stream| {
        let response = response.clone();
        async move {
            head(&mut stream).await;
            // A probe that has seen enough closes first.
            drop(stream.write_all(&response).await);
        }
    })
    .await
}
