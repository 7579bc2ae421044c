//! I/O shell: a request and its response over a connection that stands, of HTTP/1.1 or HTTP/2.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::{Pin, pin};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::handshake::alert;
use super::{Deadline, Doing, Stream, words};
use crate::policy::HttpVersion;
use crate::time::Timestamp;

/// Largest head of a response, octets.
const MAX_HEAD: usize = 64 * 1024;

/// What requests are given to.
#[derive(Debug)]
pub(super) enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => sender.send_request(request).await,
            Self::Two(sender) => sender.send_request(request).await,
        }
    }

    fn is_ready(&self) -> bool {
        match self {
            Self::One(sender) => sender.is_ready(),
            Self::Two(sender) => sender.is_ready(),
        }
    }
}

/// What moves a connection while it is polled; ends when the connection does.
type Moving = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn begin(stream: Box<dyn Stream>, version: HttpVersion, peer: SocketAddr) -> Result<(Sender, Moving), String> {
    let stream = TokioIo::new(stream);
    match version {
        HttpVersion::One => {
            let builder = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(stream).await;
            let (sender, connection) = builder.map_err(|error| sentence(&error, peer))?;
            Ok((Sender::One(sender), Box::pin(async { drop(connection.await) })))
        }
        HttpVersion::Two => {
            let builder =
                http2::Builder::new(TokioExecutor::new()).max_header_list_size(MAX_HEAD as u32).handshake(stream).await;
            let (sender, connection) = builder.map_err(|error| sentence(&error, peer))?;
            Ok((Sender::Two(sender), Box::pin(async { drop(connection.await) })))
        }
    }
}

/// Sends a request and hands the response to `judge`; the connection ends with it.
pub(super) async fn exchange<T, F>(
    stream: Box<dyn Stream>,
    version: HttpVersion,
    request: Request<Full<Bytes>>,
    peer: SocketAddr,
    deadline: Deadline,
    judge: impl FnOnce(Response<Incoming>) -> F,
) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let (mut sender, mut connection) = begin(stream, version, peer).await?;
    let verdict = async {
        let response = deadline
            .within(Doing::AwaitingResponse(peer), sender.send(request))
            .await?
            .map_err(|error| sentence(&error, peer))?;
        judge(response).await
    };
    // The connection moves only while it is polled: here, beside the exchange, so that it ends with it.
    let mut verdict = pin!(verdict);
    tokio::select! {
        biased;
        verdict = &mut verdict => verdict,
        // The peer has closed; what it sent before is still to be judged.
        () = &mut connection => verdict.await,
    }
}

/// Begins to speak HTTP over a connection that lives on by itself.
pub(super) async fn drive(
    stream: Box<dyn Stream>,
    version: HttpVersion,
    peer: SocketAddr,
) -> Result<(Sender, AbortHandle), String> {
    let (sender, connection) = begin(stream, version, peer).await?;
    Ok((sender, tokio::spawn(connection).abort_handle()))
}

/// A connection that can be used for more than one request; closed when it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    sender: Sender,
    driver: AbortHandle,
    pub(super) peer: SocketAddr,
    /// When the peer's certificate expires.
    pub(super) expires: Option<Timestamp>,
    pub(super) since: Instant,
}

impl Connection {
    pub(super) fn new(
        sender: Sender,
        driver: AbortHandle,
        peer: SocketAddr,
        expires: Option<Timestamp>,
        since: Instant,
    ) -> Self {
        Self { sender, driver, peer, expires, since }
    }

    /// Whether it can take a request.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: Deadline,
    ) -> Result<Response<Incoming>, String> {
        let response = deadline.within(Doing::AwaitingResponse(self.peer), self.sender.send(request)).await?;
        response.map_err(|error| sentence(&error, self.peer))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub(super) fn sentence(error: &hyper::Error, peer: SocketAddr) -> String {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return format!("{peer} closed the connection before its response was complete");
    }
    if error.is_parse() {
        return format!("{peer} does not speak HTTP/1.1: {error}");
    }
    match error.source().map(|source| (source, source.downcast_ref::<std::io::Error>())) {
        Some((_, Some(io))) => alert(io, peer).unwrap_or_else(|| format!("HTTP exchange with {peer}: {}", words(io))),
        Some((source, None)) => format!("HTTP exchange with {peer}: {error}: {source}"),
        None => format!("HTTP exchange with {peer}: {error}"),
    }
}
