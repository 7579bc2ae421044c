//! I/O shell: a WebSocket (RFC 6455) over a connection.

use std::net::SocketAddr;

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::http::AGENT;
use super::wire::alert;
use super::{Deadline, Doing, Stream, words};

/// Most octets of one frame and of one message.
const MAX_MESSAGE: usize = 128 * 1024;

/// Opens a WebSocket at a request target of an authority, for a subprotocol that the server has to speak.
pub(super) async fn open(
    (stream, peer): (Box<dyn Stream>, SocketAddr),
    (authority, target): (&str, &str),
    subprotocol: &str,
    deadline: Deadline,
) -> Result<Box<WebSocketStream<Box<dyn Stream>>>, String> {
    // The scheme is not sent: whether the connection is of TLS was decided before.
    let uri: Uri = format!("ws://{authority}{target}")
        .parse()
        .map_err(|_| format!("`{target}` of `{authority}` is nothing that can be asked for"))?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(subprotocol).with_header("User-Agent", AGENT);
    let config = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let opening = client_async_with_config(request, stream, Some(config));
    match deadline.within(Doing::Awaiting("the WebSocket", peer), opening).await? {
        Ok((stream, _)) => Ok(Box::new(stream)),
        Err(error) => Err(sentence(&error, peer, subprotocol)),
    }
}

fn sentence(error: &Error, peer: SocketAddr, subprotocol: &str) -> String {
    match error {
        Error::Http(response) => {
            format!("expected status 101 of a WebSocket from {peer}, got {}", response.status().as_u16())
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => {
            format!("{peer} opened a WebSocket without the subprotocol `{subprotocol}`")
        }
        Error::Protocol(ProtocolError::HandshakeIncomplete) | Error::ConnectionClosed => {
            format!("{peer} closed the connection in the WebSocket handshake")
        }
        Error::Protocol(ProtocolError::HttparseError(_)) => format!("{peer} does not speak HTTP/1.1"),
        Error::Io(error) => {
            let why = alert(error).unwrap_or_else(|| words(error));
            format!("WebSocket handshake with {peer}: {why}")
        }
        other => format!("WebSocket handshake with {peer}: {other}"),
    }
}
