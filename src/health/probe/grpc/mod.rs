//! I/O shell: the `grpc` probe. One call of `grpc.health.v1.Health/Check` over HTTP/2, and what it says judged.
//!
//! Deliberately absent: `Watch`, which is a stream of changes, and compression.

mod codec;

use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use futures_util::FutureExt;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use hyper::{Method, Request, Uri};

use self::codec::Status;
use super::http::{AGENT, authority, without_port};
use super::wire::{alert, is_closed, shown};
use super::{Attempt, Deadline, Doing, Failure, Remarks, Stream, words};
use crate::policy::GrpcProbe;

/// The method that is called.
const METHOD: &str = "/grpc.health.v1.Health/Check";

/// Most octets of the response's body; a response has a few.
const MAX_BODY: usize = 16 * 1024;

/// Most octets of the response's fields.
const MAX_FIELDS: u32 = 16 * 1024;

pub(super) async fn attempt(probe: &GrpcProbe, attempt: &Attempt) -> Result<Remarks, Failure> {
    let authority = match &probe.host {
        Some(host) => host.clone(),
        None => authority(&attempt.host, probe.port, probe.tls.is_some()),
    };
    let (stream, peer) = attempt.connect(probe.port).await?;
    let stream: Box<dyn Stream> = match &probe.tls {
        Some(settings) => {
            let host = without_port(&authority);
            Box::new(attempt.handshake_as(host, settings, &[b"h2"], (stream, peer)).await?)
        }
        None => Box::new(stream),
    };
    let call = Call { service: &probe.service, peer, deadline: attempt.deadline };
    let request = call.request(&authority, probe.tls.is_some())?;
    Ok(call.make(stream, request).await.map(|()| Remarks::default())?)
}

/// A call of the health service.
struct Call<'p> {
    service: &'p str,
    peer: SocketAddr,
    deadline: Deadline,
}

impl Call<'_> {
    fn request(&self, authority: &str, tls: bool) -> Result<Request<()>, String> {
        let scheme = if tls { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(METHOD).build();
        let request = uri.and_then(|uri| {
            Request::builder()
                .method(Method::POST)
                .uri(uri)
                .header(CONTENT_TYPE, "application/grpc")
                .header(TE, "trailers")
                .header(USER_AGENT, AGENT)
                .body(())
        });
        request.map_err(|error| format!("`{authority}` is no authority of an HTTP request: {error}"))
    }

    async fn make(&self, stream: Box<dyn Stream>, request: Request<()>) -> Result<(), String> {
        let (peer, deadline) = (self.peer, self.deadline);
        let opening = Builder::new().enable_push(false).max_header_list_size(MAX_FIELDS).handshake::<_, Bytes>(stream);
        let opened = deadline.within(Doing::Awaiting("the HTTP/2 session", peer), opening).await?;
        let (sender, connection) = opened.map_err(|error| sentence(&error, peer))?;
        // The connection moves only while it is polled: here, beside the call, so that it ends with it.
        let (mut verdict, mut connection) = (pin!(self.call(sender, request)), pin!(connection));
        let ended = tokio::select! {
            biased;
            verdict = &mut verdict => return verdict,
            ended = &mut connection => ended,
        };
        // What came before is still to be judged. What did not come by then never comes.
        verdict.now_or_never().unwrap_or_else(|| match ended {
            Ok(()) => Err(closed(peer)),
            Err(error) => Err(sentence(&error, peer)),
        })
    }

    async fn call(&self, mut sender: SendRequest<Bytes>, request: Request<()>) -> Result<(), String> {
        let (peer, deadline) = (self.peer, self.deadline);
        let failed = |error: h2::Error| sentence(&error, peer);
        let (response, mut body) = sender.send_request(request, false).map_err(failed)?;
        body.send_data(codec::request(self.service).into(), true).map_err(failed)?;
        let response = deadline.within(Doing::AwaitingResponse(peer), response).await?.map_err(failed)?;
        let (head, mut body) = response.into_parts();
        if head.status != 200 {
            return Err(format!("expected HTTP status 200 from {peer}, got {}", head.status.as_u16()));
        }
        if !is_grpc(&head.headers) {
            let came = head.headers.get(CONTENT_TYPE).map_or("none".into(), |found| shown(found.as_bytes()));
            return Err(format!("expected content type `application/grpc` from {peer}, got {came}"));
        }
        // A failed call may be told in the head alone.
        if let Some(found) = head.headers.get("grpc-status") {
            self.judge_code(found.as_bytes(), &head.headers)?;
        }
        let read = async {
            let message = collect(&mut body, peer).await?;
            Ok::<_, String>((message, body.trailers().await.map_err(failed)?))
        };
        let (message, trailers) = deadline.within(Doing::ReadingBody(peer), read).await??;
        if let Some(trailers) = &trailers
            && let Some(found) = trailers.get("grpc-status")
        {
            self.judge_code(found.as_bytes(), trailers)?;
        } else if !head.headers.contains_key("grpc-status") {
            return Err(format!("{peer} ended its response without a grpc-status"));
        }
        match codec::response(&message) {
            Ok(Status::Serving) => Ok(()),
            Ok(other) => Err(format!("expected SERVING of {} from {peer}, got {}", self.named(), other.word())),
            Err(what) => Err(format!("expected a HealthCheckResponse from {peer}, got {what}")),
        }
    }

    /// Whether the call was made at all.
    fn judge_code(&self, found: &[u8], fields: &HeaderMap) -> Result<(), String> {
        let peer = self.peer;
        let code = match found {
            b"0" => return Ok(()),
            _ => str::from_utf8(found).ok().and_then(|digits| digits.parse().ok()).map(codec::code),
        };
        let code = code.unwrap_or_else(|| format!("`{}`", shown(found)));
        let message = fields.get("grpc-message").map(|text| shown(&codec::unescaped(text.as_bytes())));
        let message = message.filter(|text| !text.is_empty()).map(|text| format!(": {text}")).unwrap_or_default();
        Err(format!("expected OK of {} from {peer}, got {code}{message}", self.named()))
    }

    /// The service, for a sentence.
    fn named(&self) -> String {
        if self.service.is_empty() { "the server".to_owned() } else { format!("service `{}`", self.service) }
    }
}

fn is_grpc(fields: &HeaderMap) -> bool {
    let found = fields.get(CONTENT_TYPE).map(|found| found.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    matches!(found.strip_prefix(b"application/grpc"), Some([] | [b'+' | b';', ..]))
}

async fn collect(body: &mut RecvStream, peer: SocketAddr) -> Result<Vec<u8>, String> {
    let mut read = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| sentence(&error, peer))?;
        if read.len() + piece.len() > MAX_BODY {
            return Err(format!("{peer} sent a response of more than {} KiB", MAX_BODY / 1024));
        }
        read.extend_from_slice(&piece);
    }
    Ok(read)
}

fn closed(peer: SocketAddr) -> String {
    format!("{peer} closed the connection before its response was complete")
}

fn sentence(error: &h2::Error, peer: SocketAddr) -> String {
    match (error.get_io(), error.reason()) {
        (Some(io), _) => match alert(io) {
            Some(alert) => format!("{peer} ended the TLS session: {alert}"),
            None if is_closed(io) => closed(peer),
            None => format!("HTTP/2 exchange with {peer}: {}", words(io)),
        },
        // What does not begin with HTTP/2's SETTINGS is some other protocol.
        (None, Some(Reason::PROTOCOL_ERROR | Reason::FRAME_SIZE_ERROR)) if !error.is_remote() => {
            format!("{peer} does not speak HTTP/2")
        }
        (None, Some(reason)) if error.is_remote() => {
            format!("{peer} ended the HTTP/2 exchange: {}", reason.description())
        }
        _ => format!("HTTP/2 exchange with {peer}: {error}"),
    }
}
