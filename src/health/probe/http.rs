//! I/O shell: the `http` probe. One HTTP/1.1 request, over TLS if asked for, and its response judged.
//!
//! The address is dialled as given; the `Host` field and the TLS server name are those of the probe, or of the host that
//! is probed. No octet more is read than the verdict needs: the head of the response, and of the body at most
//! [`MAX_BODY`], up to the expected text.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use tokio::io::{AsyncRead, AsyncWrite};

use super::handshake::Protocols;
use super::{Attempt, Deadline, Doing, Failure, Remarks, words};
use crate::policy::HttpProbe;

/// How much of a body is searched for the expected text, octets.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// Largest head of a response, octets.
const MAX_HEAD: usize = 64 * 1024;

/// What is offered in the TLS handshake.
pub(super) const PROTOCOLS: Protocols = &[b"http/1.1"];

pub(super) const AGENT: &str = concat!("concierge/", env!("CARGO_PKG_VERSION"));

pub(super) async fn attempt(probe: &HttpProbe, attempt: &Attempt) -> Result<Remarks, Failure> {
    let authority = match &probe.host {
        Some(host) => host.clone(),
        None => authority(&attempt.host, probe.port, probe.tls.is_some()),
    };
    let request = Request::get(&probe.path)
        .header(HOST, &authority)
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("GET {} from `{authority}` is no HTTP request: {error}", probe.path))?;

    let deadline = attempt.deadline;
    let (stream, peer) = attempt.connect(probe.port).await?;
    let judge = |response: Response<Incoming>| async move {
        judge_status(response.status().as_u16(), &probe.expect.status, peer)?;
        match &probe.expect.body {
            Some(text) => search(response.into_body(), text, peer, deadline).await,
            None => Ok(()),
        }
    };
    if let Some(settings) = &probe.tls {
        let host = without_port(&authority);
        let stream = attempt.handshake_as(host, settings, PROTOCOLS, (stream, peer)).await?;
        exchange(stream, request, peer, deadline, judge).await?;
    } else {
        exchange(stream, request, peer, deadline, judge).await?;
    }
    Ok(Remarks::default())
}

/// The `Host` field for a host: with brackets around an IPv6 address, and the port unless it is the scheme's own
/// (RFC 9110 4.2.3 and 7.2).
pub(super) fn authority(host: &str, port: u16, tls: bool) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == if tls { 443 } else { 80 } { host } else { format!("{host}:{port}") }
}

/// The host of a `Host` field, as TLS wants it.
pub(super) fn without_port(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match authority.rsplit_once(':') {
        // More than one colon is an IPv6 address that was written without brackets.
        Some((host, _)) if !host.contains(':') => host,
        _ => authority,
    }
}

/// Sends a request and hands the response to `judge`.
pub(super) async fn exchange<S, B, T, F>(
    stream: S,
    request: Request<B>,
    peer: SocketAddr,
    deadline: Deadline,
    judge: impl FnOnce(Response<Incoming>) -> F,
) -> Result<T, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes, Error = Infallible> + 'static,
    F: Future<Output = Result<T, String>>,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| sentence(&error, peer))?;
    let verdict = async {
        let response = deadline
            .within(Doing::AwaitingResponse(peer), sender.send_request(request))
            .await?
            .map_err(|error| sentence(&error, peer))?;
        judge(response).await
    };
    // The connection moves only while it is polled: here, beside the exchange, so that it ends with it.
    let (mut verdict, mut connection) = (pin!(verdict), pin!(connection));
    tokio::select! {
        biased;
        verdict = &mut verdict => verdict,
        // The peer has closed; what it sent before is still to be judged.
        _ = &mut connection => verdict.await,
    }
}

fn judge_status(status: u16, expected: &[(u16, u16)], peer: SocketAddr) -> Result<(), String> {
    if is_expected(status, expected) {
        return Ok(());
    }
    Err(format!("expected status {} from {peer}, got {status}", ranges(expected)))
}

/// Whether a status is in one of these ranges.
pub(crate) fn is_expected(status: u16, expected: &[(u16, u16)]) -> bool {
    expected.iter().any(|(low, high)| (*low..=*high).contains(&status))
}

/// Ranges of status codes in words.
pub(crate) fn ranges(expected: &[(u16, u16)]) -> String {
    let words: Vec<String> = expected
        .iter()
        .map(|(low, high)| if low == high { low.to_string() } else { format!("{low} to {high}") })
        .collect();
    words.join(", ")
}

async fn search(mut body: Incoming, text: &str, peer: SocketAddr, deadline: Deadline) -> Result<(), String> {
    let finder = Finder::new(text);
    let mut read: Vec<u8> = Vec::new();
    loop {
        let Some(frame) = deadline.within(Doing::ReadingBody(peer), body.frame()).await? else {
            return Err(format!("expected `{text}` in the body from {peer}, got {} octets without it", read.len()));
        };
        let frame = frame.map_err(|error| sentence(&error, peer))?;
        let Some(more) = frame.data_ref() else { continue };
        // What was searched before is not searched again, but for a part of the text at its end.
        let searched = read.len().saturating_sub(text.len().saturating_sub(1));
        read.extend_from_slice(&more[..more.len().min(MAX_BODY - read.len())]);
        if finder.find(&read[searched..]).is_some() {
            return Ok(());
        }
        if read.len() == MAX_BODY {
            return Err(format!("expected `{text}` in the first {} KiB of the body from {peer}", MAX_BODY / 1024));
        }
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
        Some((_, Some(io))) => format!("HTTP exchange with {peer}: {}", words(io)),
        Some((source, None)) => format!("HTTP exchange with {peer}: {error}: {source}"),
        None => format!("HTTP exchange with {peer}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_field_names_a_port_only_if_it_is_not_the_schemes() {
        let check = |host, port, tls, expected: &str| assert_eq!(authority(host, port, tls), expected);
        check("hub.example.net", 80, false, "hub.example.net");
        check("hub.example.net", 443, true, "hub.example.net");
        check("hub.example.net", 443, false, "hub.example.net:443");
        check("::1", 8080, false, "[::1]:8080");
        check("192.0.2.1", 80, true, "192.0.2.1:80");
    }

    #[test]
    fn the_tls_name_is_the_host_field_without_port_and_brackets() {
        let check = |authority, expected: &str| assert_eq!(without_port(authority), expected);
        check("hub.example.net", "hub.example.net");
        check("hub.example.net:8443", "hub.example.net");
        check("[::1]:8443", "::1");
        check("[::1]", "::1");
        check("::1", "::1");
        check("192.0.2.1:8443", "192.0.2.1");
    }

    #[test]
    fn the_status_is_judged_by_ranges() {
        let peer = "127.0.0.1:80".parse().unwrap();
        let check = |status, expected: &[(u16, u16)], sentence: Option<&str>| {
            assert_eq!(judge_status(status, expected, peer).err().as_deref(), sentence);
        };
        check(200, &[(200, 299)], None);
        check(299, &[(200, 299)], None);
        check(401, &[(200, 299), (401, 401)], None);
        check(301, &[(200, 299)], Some("expected status 200 to 299 from 127.0.0.1:80, got 301"));
        check(300, &[(200, 299), (401, 401)], Some("expected status 200 to 299, 401 from 127.0.0.1:80, got 300"));
    }
}
