//! I/O shell: a connection on which a protocol's packets are written and read whole, as they are or in a WebSocket.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rustls::AlertDescription;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Deadline, Doing, Stream, words};

/// Most octets that are read of one connection: no probe has a use for so many.
const MAX_READ: usize = 1024 * 1024;

/// A connection, and what has come over it and was not taken yet.
pub(super) struct Wire {
    carrier: Carrier,
    link: Link,
    came: Vec<u8>,
    read: usize,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// What is spoken on it, as sentences call it, such as `MQTT`.
    pub(super) protocol: &'static str,
    /// With whom.
    pub(super) peer: SocketAddr,
    /// Until when.
    pub(super) deadline: Deadline,
}

/// What carries the octets of a protocol.
pub(super) enum Carrier {
    /// A connection of TCP or TLS.
    Octets(Box<dyn Stream>),
    /// The binary messages of a WebSocket.
    WebSocket(Box<WebSocketStream<Box<dyn Stream>>>),
}

impl Wire {
    /// A connection over which nothing of the protocol has come.
    pub(super) fn new(carrier: Carrier, link: Link) -> Self {
        Self { carrier, link, came: Vec::new(), read: 0 }
    }

    /// Sends octets; `answer` is what the peer is to answer with, such as `the CONNACK`.
    pub(super) async fn write(&mut self, octets: Vec<u8>, answer: &'static str) -> Result<(), String> {
        let Link { peer, deadline, .. } = self.link;
        let written = deadline.within(Doing::Awaiting(answer, peer), self.carrier.write(octets)).await?;
        written.map_err(|broken| self.sentence(broken, answer))
    }

    /// The next packet, as long as `length` says that it is, which is given what has come and tells nothing while that is
    /// too little. `answer` is what the packet should be.
    pub(super) async fn packet(
        &mut self,
        answer: &'static str,
        length: impl Fn(&[u8]) -> Result<Option<usize>, String>,
    ) -> Result<Vec<u8>, String> {
        let Link { peer, deadline, protocol } = self.link;
        loop {
            if let Some(length) = length(&self.came)?
                && length <= self.came.len()
            {
                let rest = self.came.split_off(length);
                return Ok(std::mem::replace(&mut self.came, rest));
            }
            if self.read > MAX_READ {
                let most = MAX_READ / 1024 / 1024;
                return Err(format!("{peer} sent more than {most} MiB of {protocol} without {answer}"));
            }
            let read = self.carrier.read(&mut self.came);
            let read = deadline.within(Doing::Awaiting(answer, peer), read).await?;
            self.read += read.map_err(|broken| self.sentence(broken, answer))?;
        }
    }

    /// Ends the connection as it should end: what of that does not work is no concern of an observation.
    pub(super) async fn finish(mut self) {
        let Link { peer, deadline, .. } = self.link;
        drop(deadline.within(Doing::Awaiting("the end", peer), self.carrier.close()).await);
    }

    fn sentence(&self, broken: Broken, answer: &'static str) -> String {
        let Link { peer, protocol, .. } = self.link;
        match broken {
            Broken::Closed(None) => format!("{peer} closed the connection before {answer}"),
            Broken::Closed(Some(why)) => format!("{peer} closed the WebSocket before {answer}: {why}"),
            Broken::Io(error) => match alert(&error) {
                Some(alert) => format!("{peer} ended the TLS session before {answer}: {alert}"),
                None => format!("{protocol} session with {peer}: {}", words(&error)),
            },
            Broken::WebSocket(why) => format!("{protocol} session with {peer} in a WebSocket: {why}"),
        }
    }
}

/// Why nothing more comes.
enum Broken {
    /// The peer has closed, a WebSocket with this reason.
    Closed(Option<String>),
    Io(io::Error),
    WebSocket(String),
}

impl Carrier {
    async fn write(&mut self, octets: Vec<u8>) -> Result<(), Broken> {
        match self {
            Self::Octets(stream) => {
                stream.write_all(&octets).await.map_err(io_broken)?;
                stream.flush().await.map_err(io_broken)
            }
            Self::WebSocket(stream) => stream.send(Message::Binary(Bytes::from(octets))).await.map_err(broken),
        }
    }

    /// Reads what comes next, at least one octet, and says how many.
    async fn read(&mut self, came: &mut Vec<u8>) -> Result<usize, Broken> {
        match self {
            Self::Octets(stream) => match stream.read_buf(came).await.map_err(io_broken)? {
                0 => Err(Broken::Closed(None)),
                count => Ok(count),
            },
            Self::WebSocket(stream) => loop {
                match stream.next().await {
                    Some(Ok(Message::Binary(octets))) if !octets.is_empty() => {
                        came.extend_from_slice(&octets);
                        return Ok(octets.len());
                    }
                    // A ping has been answered by the library.
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Text(_))) => {
                        return Err(Broken::WebSocket("a text message came, expected a binary one".to_owned()));
                    }
                    Some(Ok(Message::Close(why))) => {
                        let why = why.map(|why| format!("{} {}", why.code, shown(why.reason.as_bytes())));
                        return Err(Broken::Closed(why.map(|why| why.trim_end().to_owned())));
                    }
                    Some(Err(error)) => return Err(broken(error)),
                    None => return Err(Broken::Closed(None)),
                }
            },
        }
    }

    async fn close(&mut self) {
        match self {
            Self::Octets(stream) => drop(stream.shutdown().await),
            Self::WebSocket(stream) => drop(stream.close().await),
        }
    }
}

fn broken(error: Error) -> Broken {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Broken::Closed(None),
        Error::Io(error) => io_broken(error),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Broken::Closed(None),
        other => Broken::WebSocket(other.to_string()),
    }
}

/// A peer that closes while something is under way to it, or without saying so in TLS, has closed all the same.
fn io_broken(error: io::Error) -> Broken {
    if is_closed(&error) { Broken::Closed(None) } else { Broken::Io(error) }
}

/// Whether the peer has closed.
pub(super) fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// What the peer says against the TLS session: one that wants another client certificate says so after the handshake
/// (RFC 8446 4.4.2.4).
pub(super) fn alert(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            Some("it requires a client certificate".to_owned())
        }
        other => Some(other.to_string()),
    }
}

/// What a peer says, to stand in a sentence: one line, bounded, without anything that a terminal could take for an order.
pub(super) fn shown(said: &[u8]) -> String {
    crate::gate::line::first(said)
}
