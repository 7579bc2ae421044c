//! I/O shell: the `http` probe. One request over HTTP/1.1 or HTTP/2, over TLS if asked for, and its response judged.
//!
//! The address is dialled as given; the `Host` field and the TLS server name are those of the probe, or of the host that
//! is probed. No octet more is read than the verdict needs: the head of the response, and of the body at most
//! [`MAX_BODY`], up to the expected text. A connection that is kept is read to the end of the response, or else closed.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use memchr::memmem::Finder;
use tokio::time::Instant;

use super::exchange::{Connection, drive, exchange, sentence};
use super::handshake::Protocols;
use super::kept::Whose;
use super::{Attempt, Deadline, Doing, Failure, Remarks, Stream};
use crate::gate::http::{BadValue, judge_value};
use crate::policy::{FieldValue, HttpProbe, HttpVersion};

/// How much of a body is searched for the expected text, octets.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// What is offered in the TLS handshake for HTTP/1.1.
pub(super) const HTTP_1_1: Protocols = &[b"http/1.1"];

/// What is offered in the TLS handshake for HTTP/2 (RFC 9113 3.2).
const HTTP_2: Protocols = &[b"h2"];

pub(super) const AGENT: &str = concat!("concierge/", env!("CARGO_PKG_VERSION"));

pub(super) async fn attempt(probe: &HttpProbe, attempt: &Attempt) -> Result<Remarks, Failure> {
    let authority = match &probe.host {
        Some(host) => host.clone(),
        None => authority(&attempt.host, probe.port, probe.tls.is_some()),
    };
    let request = request(probe, &authority, attempt).await?;
    if !probe.keep_alive {
        let (stream, peer) = dial(probe, &authority, attempt).await?;
        let judge = |response| judge(probe, response, peer, attempt.deadline);
        exchange(stream, probe.version, request, peer, attempt.deadline, judge).await?;
        return Ok(Remarks::default());
    }
    let whose = Whose::of(attempt);
    if let Some(mut connection) = attempt.prober.kept.take(&whose, &attempt.probe, Instant::now()) {
        match connection.send(request.clone(), attempt.deadline).await {
            Ok(response) => {
                attempt.saw_certificate(connection.expires);
                judge(probe, response, connection.peer, attempt.deadline).await?;
                attempt.prober.kept.keep(whose, attempt.probe.clone(), connection);
                return Ok(Remarks::default());
            }
            Err(late) if attempt.deadline.at() <= Instant::now() => return Err(late.into()),
            // Whether the peer has closed it meanwhile is only known when it does not answer: it is dialled anew.
            Err(_) => {}
        }
    }
    let (stream, peer) = dial(probe, &authority, attempt).await?;
    let (sender, driver) = drive(stream, probe.version, peer).await?;
    let mut connection = Connection::new(sender, driver, peer, attempt.certificate_expires(), Instant::now());
    let response = connection.send(request, attempt.deadline).await?;
    judge(probe, response, peer, attempt.deadline).await?;
    attempt.prober.kept.keep(whose, attempt.probe.clone(), connection);
    Ok(Remarks::default())
}

async fn request(probe: &HttpProbe, authority: &str, attempt: &Attempt) -> Result<Request<Full<Bytes>>, Failure> {
    let scheme = if probe.tls.is_some() { "https" } else { "http" };
    let builder = Request::builder().method(probe.method.word());
    let mut builder = match probe.version {
        HttpVersion::One => builder.uri(&probe.path).header(HOST, authority),
        // The authority is a part of the target, and there is no `Host` (RFC 9113 8.3.1).
        HttpVersion::Two => builder.uri(format!("{scheme}://{authority}{}", probe.path)),
    };
    if probe.version == HttpVersion::One && !probe.keep_alive {
        builder = builder.header(CONNECTION, "close");
    }
    let written = |error: &dyn std::fmt::Display| {
        format!("{} {} from `{authority}` is no HTTP request: {error}", probe.method.word(), probe.path)
    };
    let mut request = builder.body(Full::default()).map_err(|error| written(&error))?;
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in &probe.headers {
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|error| written(&error))?;
        let value = match value {
            FieldValue::Plain(text) => HeaderValue::from_str(text).map_err(|error| written(&error))?,
            FieldValue::Secret(secret) => {
                let secret = attempt.reveal(secret).await?;
                let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| {
                    Failure::Unable(format!("the secret of header `{name}` has characters that no header may have"))
                })?;
                value.set_sensitive(true);
                value
            }
        };
        request.headers_mut().insert(field, value);
    }
    Ok(request)
}

async fn dial(probe: &HttpProbe, authority: &str, attempt: &Attempt) -> Result<(Box<dyn Stream>, SocketAddr), Failure> {
    let (stream, peer) = attempt.connect(probe.port).await?;
    let Some(settings) = &probe.tls else { return Ok((Box::new(stream), peer)) };
    let protocols = match probe.version {
        HttpVersion::One => HTTP_1_1,
        HttpVersion::Two => HTTP_2,
    };
    let stream = attempt.handshake_as(without_port(authority), settings, protocols, (stream, peer)).await?;
    if probe.version == HttpVersion::Two && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(format!("expected HTTP/2 from {peer}, which does not offer it").into());
    }
    Ok((Box::new(stream), peer))
}

async fn judge(
    probe: &HttpProbe,
    response: Response<Incoming>,
    peer: SocketAddr,
    deadline: Deadline,
) -> Result<(), String> {
    judge_status(response.status().as_u16(), &probe.expect.status, peer)?;
    let mut body = Body { incoming: response.into_body(), read: Vec::new(), peer, deadline };
    if let Some(text) = &probe.expect.body {
        body.search(text).await?;
    }
    if let Some((pointer, comparison)) = &probe.expect.value {
        while body.more().await? {
            if body.read.len() > MAX_BODY {
                return Err(format!("the body from {peer} is longer than {} KiB", MAX_BODY / 1024));
            }
        }
        judge_value(&body.read, pointer, comparison).map_err(|bad| match bad {
            BadValue::NoJson(error) => format!("expected JSON in the body from {peer}: {error}"),
            BadValue::Other(sentence) => format!("the body from {peer}: {sentence}"),
        })?;
    }
    if probe.keep_alive {
        // A connection whose response is not read to its end cannot be used again; a long one is not worth it.
        while body.read.len() <= MAX_BODY && body.more().await? {}
    }
    Ok(())
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

/// The body of a response, and what was read of it.
struct Body {
    incoming: Incoming,
    /// At most one octet more than [`MAX_BODY`].
    read: Vec<u8>,
    peer: SocketAddr,
    deadline: Deadline,
}

impl Body {
    /// Reads on; false at the end.
    async fn more(&mut self) -> Result<bool, String> {
        let frame = self.deadline.within(Doing::ReadingBody(self.peer), self.incoming.frame()).await?;
        let Some(frame) = frame else { return Ok(false) };
        let frame = frame.map_err(|error| sentence(&error, self.peer))?;
        if let Some(more) = frame.data_ref() {
            self.read.extend_from_slice(&more[..more.len().min(MAX_BODY + 1 - self.read.len())]);
        }
        Ok(true)
    }

    /// Reads until the text has come.
    async fn search(&mut self, text: &str) -> Result<(), String> {
        let (peer, finder) = (self.peer, Finder::new(text));
        let mut searched = 0;
        loop {
            // What was searched before is not searched again, but for a part of the text at its end.
            let bounded = &self.read[..self.read.len().min(MAX_BODY)];
            if finder.find(&bounded[searched..]).is_some() {
                return Ok(());
            }
            if bounded.len() == MAX_BODY {
                return Err(format!("expected `{text}` in the first {} KiB of the body from {peer}", MAX_BODY / 1024));
            }
            searched = bounded.len().saturating_sub(text.len().saturating_sub(1));
            if !self.more().await? {
                let read = self.read.len();
                return Err(format!("expected `{text}` in the body from {peer}, got {read} octets without it"));
            }
        }
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
