//! I/O shell: one HTTP/1.1 request for those that are no probes: gates and fences.
//!
//! Names are resolved, connections made and certificates verified as for probes, so that what a gate can reach depends on
//! the same resolvers and trust anchors. All addresses are dialled at once; the request is sent over the first connection
//! that stands, once. Redirects are not followed. No sentence holds more of a URL than its host and port, for a path or a
//! query may hold a secret.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Request, Uri};

use super::exchange::{exchange, sentence};
use super::handshake::handshake;
use super::http::{AGENT, HTTP_1_1, MAX_BODY, authority};
use super::{Deadline, Doing, Prober, Stream, connect};
use crate::dns::Name;
use crate::policy::{HttpVersion, Target, TlsSettings};

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    tls: bool,
    target: Target,
    port: u16,
    /// The `Host` field.
    authority: String,
    /// The request target.
    path: String,
}

impl Url {
    /// Reads an absolute `http` or `https` URL.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("the URL cannot be read: {error}"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("the URL does not begin with https:// or http://".to_owned()),
        };
        let written = uri.authority().ok_or("the URL has no host")?;
        if written.as_str().contains('@') {
            return Err("the URL holds a user's name, which is not supported".to_owned());
        }
        let port = match (written.port_u16(), tls) {
            (Some(0), _) => return Err("the port of the URL is 0".to_owned()),
            (Some(port), _) => port,
            // A port that is no number is not to be taken for the scheme's own.
            (None, _) if written.as_str().len() != written.host().len() => {
                return Err("the port of the URL is no number from 1 to 65535".to_owned());
            }
            (None, true) => 443,
            (None, false) => 80,
        };
        let host = written.host().trim_start_matches('[').trim_end_matches(']');
        let target = match host.parse::<IpAddr>() {
            Ok(address) => Target::Addresses(vec![address]),
            Err(_) => {
                let name =
                    Name::parse(host, Some(&Name::root())).map_err(|error| format!("the URL's host: {error}"))?;
                Target::Host(name)
            }
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self { tls, target, port, authority: authority(host, port, tls), path: path.to_owned() })
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The body, as far as it was asked for.
    pub(crate) body: Vec<u8>,
}

/// How much of a body is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// Nothing.
    Nothing,
    /// All of it, which must not be more than 64 KiB.
    All,
    /// The first line, if it comes until the deadline; what comes of it else.
    FirstLine(Deadline),
}

impl Prober {
    /// Makes one request; `wanted` says how much of the body of a response with this status is read.
    ///
    /// # Errors
    /// A sentence that says what was being done and what came.
    pub(crate) async fn request(
        self: &Arc<Self>,
        url: &Url,
        ca: Option<&Path>,
        (request, body): (Builder, Bytes),
        deadline: Deadline,
        wanted: impl FnOnce(u16) -> Wanted,
    ) -> Result<Reply, String> {
        let request: Request<Full<Bytes>> = request
            .uri(&url.path)
            .header(HOST, &url.authority)
            .header(USER_AGENT, AGENT)
            .header(CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| format!("the request cannot be written: {error}"))?;
        let (tls, port) = (url.tls, url.port);
        let settings = Arc::new(TlsSettings { ca: ca.map(Path::to_owned), ..TlsSettings::default() });
        let attempt = |host: String, address: IpAddr| {
            let (prober, settings) = (self.clone(), settings.clone());
            async move {
                let peer = SocketAddr::new(address, port);
                let stream = connect(peer, None, deadline).await?;
                let stream: Box<dyn Stream> = match tls {
                    true => {
                        let stream = (stream, peer);
                        Box::new(handshake(&prober.tls, &settings, HTTP_1_1, &host, stream, deadline).await?)
                    }
                    false => Box::new(stream),
                };
                Ok((stream, peer))
            }
        };
        let dialled = self.first(&url.target, deadline, attempt).await;
        let (stream, peer) = dialled.map_err(|failure| failure.to_string())?;
        exchange(stream, HttpVersion::One, request, peer, deadline, |response| async move {
            let status = response.status().as_u16();
            let body = read(response.into_body(), wanted(status), peer, deadline).await?;
            Ok(Reply { status, body })
        })
        .await
    }
}

async fn read(mut body: Incoming, wanted: Wanted, peer: SocketAddr, deadline: Deadline) -> Result<Vec<u8>, String> {
    let mut read: Vec<u8> = Vec::new();
    let (first_line, deadline) = match wanted {
        Wanted::Nothing => return Ok(read),
        Wanted::All => (false, deadline),
        Wanted::FirstLine(until) => (true, until),
    };
    loop {
        let frame = match deadline.within(Doing::ReadingBody(peer), body.frame()).await {
            Ok(None) => return Ok(read),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) | Err(_) if first_line => return Ok(read),
            Ok(Some(Err(error))) => return Err(sentence(&error, peer)),
            Err(late) => return Err(late),
        };
        let Some(more) = frame.data_ref() else { continue };
        read.extend_from_slice(&more[..more.len().min(MAX_BODY - read.len() + 1)]);
        if first_line && (more.contains(&b'\n') || read.len() > MAX_BODY) {
            return Ok(read);
        }
        if read.len() > MAX_BODY {
            return Err(format!("the body from {peer} is longer than {} KiB", MAX_BODY / 1024));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_hosts_and_addresses() {
        let check = |text: &str, target: &str, port: u16, tls: bool, authority: &str, path: &str| {
            let url = Url::parse(text).unwrap();
            let found = (url.target.to_string(), url.port, url.tls, url.authority.as_str(), url.path.as_str());
            assert_eq!(found, (target.to_owned(), port, tls, authority, path), "{text}");
        };
        check("https://a.example.net/x?y=1", "a.example.net.", 443, true, "a.example.net", "/x?y=1");
        check("http://a.example.net", "a.example.net.", 80, false, "a.example.net", "/");
        check("http://a.example.net:8080/", "a.example.net.", 8080, false, "a.example.net:8080", "/");
        check("http://192.0.2.1:81/s", "192.0.2.1", 81, false, "192.0.2.1:81", "/s");
        check("https://[2001:db8::1]/s", "2001:db8::1", 443, true, "[2001:db8::1]", "/s");
        check("https://[2001:db8::1]:8443/s", "2001:db8::1", 8443, true, "[2001:db8::1]:8443", "/s");
    }

    #[test]
    fn other_urls_are_refused_and_not_repeated() {
        let check = |text: &str, expected: &str| assert_eq!(Url::parse(text).unwrap_err(), expected, "{text}");
        check("ftp://a/", "the URL does not begin with https:// or http://");
        check("/status", "the URL does not begin with https:// or http://");
        check("https://me:secret@a/", "the URL holds a user's name, which is not supported");
        check("https://a:0/", "the port of the URL is 0");
        check("https://a:70000/", "the port of the URL is no number from 1 to 65535");
        for bad in ["", "https://", "https://a b/", "https://[::1/", "https://a..b/"] {
            let sentence = Url::parse(bad).unwrap_err();
            assert!(sentence.contains("the URL"), "{sentence}");
        }
    }
}
