//! I/O shell: DNS over HTTPS with HTTP/1.1 and 2, on TCP.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{HandshakeKind, ServerConfig};
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::accept::of_one_connection;
use super::super::burst::Burst;
use super::super::clients::Entry;
use super::super::counters::Event;
use super::super::proxy::Header;
use super::Shared;
use super::request::{self, Ask, LARGEST};
use crate::answer::client::Client;

/// Largest head of a request, octets, and most fields in it.
const MAX_HEAD: usize = 16 << 10;
const MAX_FIELDS: usize = 64;

/// Requests at once on one connection of HTTP/2.
const STREAMS: u32 = 100;

/// Octets of bodies that may be on the way to us, of one request and of a connection.
const STREAM_WINDOW: u32 = 64 << 10;
const WINDOW: u32 = 256 << 10;

/// Octets of a response that wait for the client to take them, of each request.
const UNSENT: usize = 64 << 10;

/// Octets of a proxy's header at most.
const LONGEST_HEADER: usize = 4 << 10;

/// Pause after a failure to accept that lasts.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the drain begins.
pub(super) async fn accept(listener: TcpListener, address: SocketAddr, config: Arc<ServerConfig>, shared: Shared) {
    let mut burst = Burst::default();
    let acceptor = TlsAcceptor::from(config);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.drain() => return,
        };
        match accepted {
            Ok((stream, peer)) => admit(stream, peer.ip(), &acceptor, &shared),
            Err(error) if of_one_connection(&error) => {}
            Err(error) => {
                if let Some(untold) = burst.note(Instant::now()) {
                    tracing::warn!(%address, %error, untold, "cannot accept over HTTPS, trying on");
                }
                tokio::time::sleep(PAUSE).await;
            }
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
    let Ok(shaking) = shared.handshakes.clone().try_acquire_owned() else {
        counters.note(shared.via, Event::RefusedHandshake);
        return Ok(());
    };
    if !entered.may_shake() {
        counters.note(shared.via, Event::RefusedHandshake);
        return Ok(());
    }
    let socket = SockRef::from(&stream);
    // What a socket does not take, it does not need.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(shared.idle));
    let Ok(Ok(stream)) = timeout(shared.idle, acceptor.accept(stream)).await else {
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

/// Serves the requests of a connection, until it has made none for the idle time or the drain begins.
async fn serve(stream: TlsStream<TcpStream>, client: Client, shared: &Shared) {
    let (begun, over) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let service = service_fn(|request: Request<Incoming>| {
        begun.fetch_add(1, Ordering::Relaxed);
        let (shared, over) = (shared.clone(), Over(over.clone()));
        async move {
            let response = respond(request, client, &shared).await;
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
                    () = shared.drain() => break,
                    () = tokio::time::sleep(shared.idle) => {
                        let now = over.load(Ordering::Relaxed);
                        // One that is in work has its own times.
                        if now == before && now == begun.load(Ordering::Relaxed) {
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

async fn respond(request: Request<Incoming>, client: Client, shared: &Shared) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let query = match request::read(&head) {
        Ok(Ask::Query(query)) => query.into(),
        Ok(Ask::Body) => match timeout(shared.idle, Limited::new(body, LARGEST).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return request::refused(StatusCode::PAYLOAD_TOO_LARGE);
            }
            Ok(Err(_)) => return request::refused(StatusCode::BAD_REQUEST),
            Err(_) => return request::refused(StatusCode::REQUEST_TIMEOUT),
        },
        Err(status) => return request::refused(status),
    };
    match request::check_length(query.len()) {
        Ok(()) => request::answered(shared.answer(&query, client).await),
        Err(status) => request::refused(status),
    }
}
