//! I/O shell: DNS over HTTPS with HTTP/1.1 and 2, on TCP.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{HandshakeKind, ServerConfig};
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::accept::of_one_connection;
use super::super::bind::BACKLOG;
use super::super::burst::Burst;
use super::super::clients::Entry;
use super::super::counters::Event;
use super::super::proxy::Header;
use super::Shared;
use super::allowance::{Allowance, Share};
use super::request::{self, Ask, LARGEST};
use crate::answer::client::Client;

/// Largest head of a request, octets, and most fields in it.
const MAX_HEAD: usize = 16 << 10;
const MAX_FIELDS: usize = 64;

/// Requests at once on one connection of HTTP/2.
const STREAMS: u32 = 100;

/// Octets of bodies that may be on the way to us, of one request and of a connection.
const STREAM_WINDOW: u32 = 64 << 10;
const WINDOW: u32 = 128 << 10;

/// Octets of a response that wait for the client to take them, of each request.
const UNSENT: usize = 64 << 10;

/// Octets of a proxy's header at most.
const LONGEST_HEADER: usize = 4 << 10;

/// Pause after a failure to accept that lasts.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the drain begins, and then what the kernel has completed: the query may be here.
pub(super) async fn accept(listener: TcpListener, address: SocketAddr, config: Arc<ServerConfig>, shared: Shared) {
    let mut burst = Burst::default();
    let acceptor = TlsAcceptor::from(config);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.drain() => break,
        };
        match accepted {
            Ok((stream, peer)) => admit(stream, peer.ip(), &acceptor, &shared),
            Err(error) if of_one_connection(&error) => {}
            Err(error) => {
                if let Some(untold) = burst.note(Instant::now()) {
                    tracing::warn!(%address, %error, untold, "cannot accept over HTTPS, trying on");
                }
                sleep(PAUSE).await;
            }
        }
    }
    // What waits is asked of the kernel: the runtime may not have been told yet.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..BACKLOG {
        match listener.accept() {
            Ok((stream, peer)) => {
                let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                // One without a place in the runtime is closed.
                let _ = stream.map(|stream| admit(stream, peer.ip(), &acceptor, &shared));
            }
            Err(error) if of_one_connection(&error) => {}
            Err(_) => return,
        }
    }
}

/// Serves a connection if it may come in; it is closed if not.
fn admit(stream: TcpStream, peer: IpAddr, acceptor: &TlsAcceptor, shared: &Shared) {
    let Ok(place) = shared.connections.clone().try_acquire_owned() else {
        return shared.counters.note(shared.via, Event::RefusedLimit);
    };
    let (shared, acceptor) = (shared.clone(), acceptor.clone());
    let behind_proxy = shared.admission.proxies.include(peer);
    let entered = if behind_proxy { None } else { enter(&shared, peer) };
    if !behind_proxy && entered.is_none() {
        return;
    }
    tokio::spawn(async move {
        let _open = shared.counters.open(shared.via);
        // An end of any kind is the end.
        let _ = connection(stream, peer, entered, &acceptor, &shared).await;
        drop(place);
    });
}

/// A connection that counts for its client, for as long as this is.
pub(super) struct Entered {
    shared: Shared,
    client: Client,
    counted: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.counted {
            self.shared.admission.clients.leave(self.client);
        }
    }
}

impl Entered {
    pub(super) fn client(&self) -> Client {
        self.client
    }

    /// Whether a handshake may begin.
    pub(super) fn may_shake(&self) -> bool {
        let rate = self.shared.admission.handshakes.as_ref().filter(|_| self.counted);
        rate.is_none_or(|rate| rate.allows(self.client, Instant::now()))
    }
}

/// `None`, and counted, when the client is not let in, or has as many connections as it may.
pub(super) fn enter(shared: &Shared, address: IpAddr) -> Option<Entered> {
    let client = shared.admission.trust.client(address);
    if shared.answerer.drops(client) {
        return None;
    }
    let entry = shared.admission.clients.enter(address);
    if entry == Entry::Refused {
        shared.counters.note(shared.via, Event::RefusedClient);
        return None;
    }
    Some(Entered { shared: shared.clone(), client, counted: entry == Entry::Counted })
}

async fn connection(
    mut stream: TcpStream,
    peer: IpAddr,
    entered: Option<Entered>,
    acceptor: &TlsAcceptor,
    shared: &Shared,
) -> io::Result<()> {
    let counters = &shared.counters;
    let entered = match entered {
        Some(entered) => entered,
        None => match timeout(shared.idle, read_header(&mut stream)).await {
            Ok(Ok(Some(client))) => match enter(shared, client) {
                Some(entered) => entered,
                None => return Ok(()),
            },
            // For the proxy itself.
            Ok(Ok(None)) => {
                let client = shared.admission.trust.client(peer);
                Entered { shared: shared.clone(), client, counted: false }
            }
            Ok(Err(_)) | Err(_) => {
                counters.note(shared.via, Event::RefusedProxy);
                return Ok(());
            }
        },
    };
    if !entered.may_shake() {
        counters.note(shared.via, Event::RefusedHandshake);
        return Ok(());
    }
    let socket = SockRef::from(&stream);
    // What a socket does not take, it does not need.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(shared.idle));
    let mut shaking = shared.handshakes.begin();
    let shaken = tokio::select! {
        shaken = timeout(shared.idle, acceptor.accept(stream)) => shaken,
        () = shaking.given_up() => {
            counters.note(shared.via, Event::RefusedHandshake);
            return Ok(());
        }
    };
    let Ok(Ok(stream)) = shaken else {
        counters.note(shared.via, Event::HandshakeFailed);
        return Ok(());
    };
    drop(shaking);
    counters.note(
        shared.via,
        match stream.get_ref().1.handshake_kind() {
            Some(HandshakeKind::Resumed) => Event::HandshakeResumed,
            _ => Event::HandshakeFull,
        },
    );
    serve(stream, entered.client(), shared).await;
    Ok(())
}

/// Reads the header of a proxy and nothing behind it. `None` is for the proxy itself.
async fn read_header(stream: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    let mut header = vec![0; 16];
    stream.read_exact(&mut header).await?;
    if Header::read(&header) != Header::Malformed {
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if length <= LONGEST_HEADER {
            header.resize(16 + length, 0);
            stream.read_exact(&mut header[16..]).await?;
        }
    }
    match Header::read(&header) {
        Header::Whole { client, .. } => Ok(client),
        Header::Partial | Header::Malformed => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Notes that a request is answered, or is no more.
struct Over(Arc<AtomicU64>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves the requests of a connection, until it has made none for the idle time or the drain begins. In the drain a
/// connection that has made none is waited for: its request is on the way.
async fn serve(stream: TlsStream<TcpStream>, client: Client, shared: &Shared) {
    let (count, over) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let begun = Arc::new(Notify::new());
    let allowance = Allowance::new();
    let service = service_fn(|request: Request<Incoming>| {
        count.fetch_add(1, Ordering::Relaxed);
        begun.notify_one();
        let (shared, over, allowance) = (shared.clone(), Over(over.clone()), allowance.clone());
        async move {
            let response = respond(request, client, &allowance, &shared).await;
            drop(over);
            Ok::<_, Infallible>(response.map(Full::new))
        }
    });
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = TokioIo::new(stream);
    // The two kinds of connections have the same methods and no type in common.
    macro_rules! run {
        ($connection:expr) => {{
            let mut connection = pin!($connection);
            let mut before = 0;
            loop {
                tokio::select! {
                    // However it ends, it is over.
                    _ = connection.as_mut() => return,
                    () = shared.drain() => {
                        // At once if it ever has.
                        tokio::select! {
                            _ = connection.as_mut() => return,
                            () = begun.notified() => {}
                            () = sleep(shared.idle) => {}
                        }
                        break;
                    }
                    () = sleep(shared.idle) => {
                        let now = over.load(Ordering::Relaxed);
                        // One that is in work has its own times.
                        if now == before && now == count.load(Ordering::Relaxed) {
                            break;
                        }
                        before = now;
                    }
                }
            }
            connection.as_mut().graceful_shutdown();
            // What is in work is completed, if the client takes it.
            let _ = timeout(shared.idle, connection).await;
        }};
    }
    match is_http2 {
        true => run!(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(MAX_HEAD as u32)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(WINDOW)
                .max_send_buf_size(UNSENT)
                .serve_connection(stream, service)
        ),
        false => run!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(shared.idle)
                .max_buf_size(2 * MAX_HEAD)
                .max_headers(MAX_FIELDS)
                .serve_connection(stream, service)
        ),
    }
}

async fn respond(
    request: Request<Incoming>,
    client: Client,
    allowance: &Allowance,
    shared: &Shared,
) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let ask = request::read(&head);
    // Over HTTP/1.1 it is hyper that leaves the body out.
    let is_head = head.method == Method::HEAD && head.version == Version::HTTP_2;
    // It is not held for as long as the body takes.
    drop(head);
    let mut share = Share::default();
    let query = match ask {
        Ok(Ask::Query(query)) => Ok(query.into()),
        Ok(Ask::Body) => timeout(shared.idle, read_body(body, allowance, &mut share))
            .await
            .unwrap_or(Err(StatusCode::REQUEST_TIMEOUT)),
        Err(status) => Err(status),
    };
    let response = match query.and_then(|query: Bytes| request::check_length(query.len()).map(|()| query)) {
        Ok(query) => request::held(request::answered(shared.answer(&query, client).await), allowance),
        Err(status) => request::refused(status),
    };
    request::sent(response, is_head)
}

/// The body of a request, up to the largest message.
async fn read_body(mut body: Incoming, allowance: &Allowance, share: &mut Share) -> Result<Bytes, StatusCode> {
    let mut octets = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Some(part) = frame.data_ref() else { continue };
        if octets.len() + part.len() > LARGEST {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        allowance.take(part.len(), share).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        octets.extend_from_slice(part);
    }
    Ok(octets.freeze())
}
