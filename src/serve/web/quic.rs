//! I/O shell: DNS over QUIC (RFC 9250), and HTTP/3 on the same.
//!
//! - **Addresses are proven.** A newcomer has to come back with a token first (Retry, RFC 9000 8.1.2), which costs it a round
//!   trip and no memory here. QUIC may begin without, and send three times what has come (RFC 9000 8.1); but quinn looks at
//!   that limit before a packet and not behind it, so that a handshake that nobody goes on with was answered with up to
//!   3.3 times as many octets.
//! - **One query a stream** (RFC 9250 4.2), behind its length, with message id 0; what is anything else is
//!   `DOQ_PROTOCOL_ERROR` and ends the connection (RFC 9250 4.3).
//! - **No early data** (0-RTT), which can be replayed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Response, StatusCode};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, RecvStream, SendStream, ServerConfig};
use quinn::{TokioRuntime, TransportConfig, VarInt};
use socket2::Socket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::super::counters::Event;
use super::super::via::Via;
use super::allowance::{Allowance, Share};
use super::bounded::{Bounded, Counted};
use super::https::{Entered, enter};
use super::records::has_option;
use super::request::{self, Ask, LARGEST, check_length};
use super::{Shared, TooMany};
use crate::answer::client::Client;

/// Error codes of DoQ (RFC 9250 4.3), in the same order as there.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// `H3_NO_ERROR` (RFC 9114 8.1).
const H3_NO_ERROR: VarInt = VarInt::from_u32(0x100);

/// Queries at once on one connection.
const STREAMS: u32 = 100;

/// Streams of HTTP/3 beside requests: control, and two of QPACK (RFC 9114 6.2).
const H3_STREAMS: u32 = 8;

/// Octets that may be on the way to us, of one query and of a connection; and from us of a connection.
const STREAM_WINDOW: u32 = 66 << 10;
const WINDOW: u32 = 128 << 10;

/// Largest head of a request, octets.
const MAX_HEAD: u64 = 16 << 10;

/// Handshakes that wait for being accepted, of a listener, and octets of them beside their first packets.
const WAITING: usize = 1024;
const WAITING_OCTETS: u64 = 1 << 20;

/// Option that is for TCP alone (RFC 9250 5.5.2).
const TCP_KEEPALIVE: u16 = 11;

/// How connections of a transport are.
pub(super) fn config(tls: rustls::ServerConfig, via: Via, shared: &Shared) -> io::Result<ServerConfig> {
    let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(shared.idle).map_err(io::Error::other)?;
    transport
        .max_idle_timeout(Some(idle))
        .max_concurrent_bidi_streams(STREAMS.into())
        .max_concurrent_uni_streams(if via == Via::Https3 { H3_STREAMS.into() } else { VarInt::from_u32(0) })
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .datagram_receive_buffer_size(None);
    config.transport_config(Arc::new(transport)).max_incoming(WAITING).incoming_buffer_size_total(WAITING_OCTETS);
    Ok(config)
}

/// Serves at a socket. Must be called within a tokio runtime.
pub(super) fn endpoint(config: ServerConfig, socket: Socket) -> io::Result<Endpoint> {
    Endpoint::new(EndpointConfig::default(), Some(config), socket.into(), Arc::new(TokioRuntime))
}

/// Accepts until the drain begins.
pub(super) async fn accept(endpoint: Endpoint, shared: Shared) {
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = shared.drain() => break,
        };
        let Some(incoming) = incoming else { return };
        admit(incoming, &shared);
    }
    // Who comes from here on is told so; those that are open end by themselves.
    endpoint.set_server_config(None);
    endpoint.wait_idle().await;
}

/// Serves a connection if it may come in.
fn admit(incoming: Incoming, shared: &Shared) {
    if shared.answerer.drops(shared.admission.trust.client(incoming.remote_address().ip())) {
        return incoming.ignore();
    }
    if incoming.may_retry() {
        shared.counters.note(shared.via, Event::HandshakeRetried);
        // It may be retried: that was asked.
        let _ = incoming.retry();
        return;
    }
    let Ok(place) = shared.connections.clone().try_acquire_owned() else {
        shared.counters.note(shared.via, Event::RefusedLimit);
        return incoming.refuse();
    };
    let Some(entered) = enter(shared, incoming.remote_address().ip()) else { return incoming.refuse() };
    if !entered.may_shake() {
        shared.counters.note(shared.via, Event::RefusedHandshake);
        return incoming.refuse();
    }
    let Ok(connecting) = incoming.accept() else {
        return shared.counters.note(shared.via, Event::HandshakeFailed);
    };
    let mut shaking = shared.handshakes.begin();
    let shared = shared.clone();
    tokio::spawn(async move {
        let _open = shared.counters.open(shared.via);
        let shaken = tokio::select! {
            shaken = timeout(shared.idle, connecting) => shaken,
            () = last(&shared) => return shared.counters.note(shared.via, Event::HandshakeFailed),
            () = shaking.given_up() => return shared.counters.note(shared.via, Event::RefusedHandshake),
        };
        match shaken {
            Ok(Ok(connection)) => {
                drop(shaking);
                shared.counters.note(shared.via, Event::HandshakeFull);
                serve(connection, &entered, &shared).await;
            }
            _ => shared.counters.note(shared.via, Event::HandshakeFailed),
        }
        drop(place);
    });
}

async fn serve(connection: Connection, entered: &Entered, shared: &Shared) {
    match shared.via {
        Via::Https3 => serve_http3(connection, entered, shared).await,
        _ => serve_doq(connection, entered, shared).await,
    }
}

/// Answers the queries of a connection, each on a stream of its own, until there was none for the idle time: QUIC's own
/// goes on with every packet.
async fn serve_doq(connection: Connection, entered: &Entered, shared: &Shared) {
    let client = entered.client();
    let allowance = Allowance::new();
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept_bi() => {
                let Ok((mut send, receive)) = accepted else { return };
                let (connection, shared, allowance) = (connection.clone(), shared.clone(), allowance.clone());
                streams.spawn(async move {
                    if let Err(reason) = answer_stream(&mut send, receive, client, &allowance, &shared).await {
                        // It is not to look like an empty answer.
                        let _ = send.reset(PROTOCOL_ERROR);
                        connection.close(PROTOCOL_ERROR, reason.as_bytes());
                    }
                });
            }
            Some(_) = streams.join_next() => {}
            () = sleep(shared.idle), if streams.is_empty() => break,
            () = shared.drain() => break,
        }
    }
    // Queries that have begun are answered.
    complete(&mut streams, shared).await;
    connection.close(NO_ERROR, b"");
}

/// Answers the query of a stream.
///
/// # Errors
/// When it is none; the connection is to be closed for it.
async fn answer_stream(
    send: &mut SendStream,
    mut receive: RecvStream,
    client: Client,
    allowance: &Allowance,
    shared: &Shared,
) -> Result<(), &'static str> {
    let mut share = Share::default();
    let octets = match timeout(shared.idle, read_stream(&mut receive, allowance, &mut share)).await {
        Ok(Ok(octets)) => octets,
        Ok(Err(Unread::TooLong)) => return Err("more than a message on a stream"),
        // Cancelled by the client (RFC 9250 4.3.1), or over.
        Ok(Err(Unread::Cancelled)) => {
            let _ = send.reset(REQUEST_CANCELLED);
            return Ok(());
        }
        Ok(Err(Unread::Exceeded)) | Err(_) => {
            let _ = receive.stop(EXCESSIVE_LOAD);
            let _ = send.reset(EXCESSIVE_LOAD);
            return Ok(());
        }
    };
    let query = query_of(&octets)?;
    let answer = match shared.answer(query, client).await {
        Ok(answer) => answer.ok_or("what is no query")?,
        Err(TooMany) => {
            let _ = send.reset(EXCESSIVE_LOAD);
            return Ok(());
        }
    };
    if allowance.take(answer.len(), &mut share).is_err() {
        let _ = send.reset(EXCESSIVE_LOAD);
        return Ok(());
    }
    // A response is at most as long as a message.
    let length = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
    let sent = async {
        send.write_all(&length).await?;
        send.write_all(&answer).await?;
        // It was not finished before.
        let _ = send.finish();
        // Until the client has it, or does not want it.
        let _ = send.stopped().await;
        Ok::<_, quinn::WriteError>(())
    };
    if timeout(shared.idle, sent).await.is_err() {
        let _ = send.reset(EXCESSIVE_LOAD);
    }
    Ok(())
}

/// Why a stream has no query.
enum Unread {
    TooLong,
    Cancelled,
    Exceeded,
}

/// All of a stream, up to the largest message behind its length.
async fn read_stream(receive: &mut RecvStream, allowance: &Allowance, share: &mut Share) -> Result<BytesMut, Unread> {
    let mut octets = BytesMut::new();
    while let Some(chunk) = receive.read_chunk(2 + LARGEST, true).await.map_err(|_| Unread::Cancelled)? {
        if octets.len() + chunk.bytes.len() > 2 + LARGEST {
            return Err(Unread::TooLong);
        }
        allowance.take(chunk.bytes.len(), share).map_err(|_| Unread::Exceeded)?;
        octets.extend_from_slice(&chunk.bytes);
    }
    Ok(octets)
}

/// The query on a stream (RFC 9250 4.2 and 4.2.1): behind its length, and nothing behind it, with message id 0.
fn query_of(octets: &[u8]) -> Result<&[u8], &'static str> {
    let Some((length, query)) = octets.split_first_chunk::<2>() else { return Err("a stream without a message") };
    if query.len() != usize::from(u16::from_be_bytes(*length)) {
        return Err("a stream that is not one message");
    }
    match query {
        [0, 0, ..] if has_option(query, TCP_KEEPALIVE) => Err("an option for TCP"),
        [0, 0, ..] => Ok(query),
        [_, _, ..] => Err("a message id that is not 0"),
        _ => Err("less than a message"),
    }
}

/// A request of HTTP/3.
type RequestStream = h3::server::RequestStream<Counted<h3_quinn::BidiStream<Bytes>>, Bytes>;

/// Answers the requests of a connection.
async fn serve_http3(connection: Connection, entered: &Entered, shared: &Shared) {
    let client = entered.client();
    let mut builder = h3::server::builder();
    builder.max_field_section_size(MAX_HEAD);
    let allowance = Allowance::new();
    let bounded = Bounded::new(connection.clone(), allowance.clone());
    let built = timeout(shared.idle, builder.build::<_, Bytes>(bounded)).await;
    let Ok(Ok(mut http3)) = built else { return };
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = http3.accept() => {
                let Ok(Some(resolver)) = accepted else { break };
                let (shared, allowance) = (shared.clone(), allowance.clone());
                streams.spawn(async move {
                    let request = async {
                        let (request, mut stream) = resolver.resolve_request().await?;
                        let head = request.into_parts().0;
                        let (ask, is_head) = (request::read(&head), head.method == Method::HEAD);
                        // It is not held for as long as the body takes.
                        drop(head);
                        let query = query_in(ask, &mut stream).await?;
                        Ok::<_, h3::error::StreamError>((is_head, stream, query))
                    };
                    let Ok(Ok((is_head, stream, query))) = timeout(shared.idle, request).await else { return };
                    let response = match query {
                        Ok(query) => request::held(request::answered(shared.answer(&query, client).await), &allowance),
                        Err(status) => request::refused(status),
                    };
                    // A client that does not take its response has had its time.
                    let _ = timeout(shared.idle, respond(stream, request::sent(response, is_head))).await;
                });
            }
            Some(_) = streams.join_next() => {}
            () = sleep(shared.idle), if streams.is_empty() => break,
            () = shared.drain() => break,
        }
    }
    // GOAWAY: what has begun is answered.
    let _ = timeout(shared.idle, http3.shutdown(0)).await;
    complete(&mut streams, shared).await;
    // What was sent is on its way before the connection is closed.
    tokio::time::sleep(FAREWELL).await;
    connection.close(H3_NO_ERROR, b"");
}

/// Time for what has begun once the drain has: another process may read from the same socket, to which packets go that are
/// waited for here, and while two answer nobody decides.
const LAST: Duration = Duration::from_millis(500);

/// Waits for the end of the time for what has begun.
async fn last(shared: &Shared) {
    shared.drain().await;
    sleep(LAST).await;
}

/// Waits for the streams of a connection, in the drain no longer than for [`LAST`].
async fn complete(streams: &mut JoinSet<()>, shared: &Shared) {
    tokio::select! {
        () = async { while streams.join_next().await.is_some() {} } => {}
        () = last(shared) => {}
    }
}

/// Time in which the last responses are acknowledged, or lost and sent again.
const FAREWELL: Duration = Duration::from_millis(100);

/// The query of a request, or the status that says what is wrong with it.
async fn query_in(
    ask: Result<Ask, StatusCode>,
    stream: &mut RequestStream,
) -> Result<Result<Bytes, StatusCode>, h3::error::StreamError> {
    let query = match ask {
        Ok(Ask::Query(query)) => Ok(Bytes::from(query)),
        Ok(Ask::Body) => body(stream).await?,
        Err(status) => Err(status),
    };
    Ok(query.and_then(|query| check_length(query.len()).map(|()| query)))
}

async fn respond(mut stream: RequestStream, response: Response<Bytes>) -> Result<(), h3::error::StreamError> {
    let (head, octets) = response.into_parts();
    stream.send_response(Response::from_parts(head, ())).await?;
    if !octets.is_empty() {
        stream.send_data(octets).await?;
    }
    stream.finish().await
}

/// The body of a request, up to the largest message; it counts as what has come on its stream.
async fn body(stream: &mut RequestStream) -> Result<Result<Bytes, StatusCode>, h3::error::StreamError> {
    let mut body = BytesMut::new();
    while let Some(mut part) = stream.recv_data().await? {
        if body.len() + part.remaining() > LARGEST {
            return Ok(Err(StatusCode::PAYLOAD_TOO_LARGE));
        }
        body.extend_from_slice(&part.copy_to_bytes(part.remaining()));
    }
    Ok(Ok(body.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_one_query_with_message_id_0() {
        let check = |octets: &[u8], expected: Result<&[u8], &str>| assert_eq!(query_of(octets), expected, "{octets:?}");
        let query = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let stream = [&[0, 12], &query[..]].concat();
        check(&stream, Ok(&query));
        check(&stream[..13], Err("a stream that is not one message"));
        check(&[&stream[..], &[0]].concat(), Err("a stream that is not one message"));
        check(&[&stream[..], &stream[..]].concat(), Err("a stream that is not one message"));
        check(&[], Err("a stream without a message"));
        check(&[0], Err("a stream without a message"));
        check(&[0, 0], Err("less than a message"));
        let mut other = stream.clone();
        other[3] = 1;
        check(&other, Err("a message id that is not 0"));
        let with_keepalive =
            [&[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0][..]];
        let query = with_keepalive.concat();
        check(&[&[0, query.len() as u8], &query[..]].concat(), Err("an option for TCP"));
    }
}
