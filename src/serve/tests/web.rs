//! DNS over HTTPS and over QUIC, with clients of other people; and that every transport answers with the same octets.

mod hostile;
mod requests;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::{Buf, Bytes};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::{ClientConnection, StreamOwned};
use tokio_rustls::TlsConnector;

use super::answers::{self, over_tcp, over_udp};
use super::credentials::NAME;
use super::*;

const MESSAGE: &str = "application/dns-message";

/// What runs the clients.
pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn server() -> Server {
    Setting { encrypted: true, ..Setting::default() }.start()
}

/// A client of HTTP.
pub(super) enum Http {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Http {
    pub(super) async fn try_connect(server: &Server, protocol: &'static [u8]) -> io::Result<Self> {
        let config = server.credentials.as_ref().unwrap().client(&[protocol]);
        let stream = tokio::net::TcpStream::connect(server.at(Via::Https)).await?;
        let stream = TlsConnector::from(config).connect(NAME.try_into().unwrap(), stream).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        let stream = TokioIo::new(stream);
        Ok(match protocol {
            b"h2" => {
                let (client, connection) =
                    http2::handshake(TokioExecutor::new(), stream).await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                Self::Two(client)
            }
            _ => {
                let (client, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                Self::One(client)
            }
        })
    }

    async fn connect(server: &Server, protocol: &'static [u8]) -> Self {
        Self::try_connect(server, protocol).await.unwrap()
    }

    pub(super) async fn send(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        self.try_send(request).await.unwrap()
    }

    pub(super) async fn try_send(&mut self, request: Request<Bytes>) -> hyper::Result<Response<Bytes>> {
        let request = request.map(Full::new);
        let response = match self {
            Self::One(client) => {
                client.ready().await?;
                client.send_request(request).await?
            }
            Self::Two(client) => {
                client.ready().await?;
                client.send_request(request).await?
            }
        };
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    /// Whether the server has closed the connection, or says that it will.
    fn is_closed(&self) -> bool {
        match self {
            Self::One(client) => client.is_closed(),
            Self::Two(client) => client.is_closed(),
        }
    }
}

pub(super) fn get(query: &[u8]) -> Request<Bytes> {
    let target = format!("https://{NAME}/dns-query?dns={}", BASE64_URL_SAFE_NO_PAD.encode(query));
    Request::builder().uri(target).header("host", NAME).body(Bytes::new()).unwrap()
}

pub(super) fn post(query: &[u8]) -> Request<Bytes> {
    let request = Request::builder().method("POST").uri(format!("https://{NAME}/dns-query")).header("host", NAME);
    request.header("content-type", MESSAGE).body(Bytes::copy_from_slice(query)).unwrap()
}

/// A client of QUIC.
pub(super) struct Quic {
    _endpoint: quinn::Endpoint,
    connection: quinn::Connection,
}

impl Quic {
    pub(super) async fn try_connect(
        server: &Server,
        via: Via,
        protocol: &[u8],
    ) -> Result<Self, quinn::ConnectionError> {
        let config = server.credentials.as_ref().unwrap().client(&[protocol]);
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
        let mut endpoint = quinn::Endpoint::client(SocketAddr::new(LOCALHOST, 0)).unwrap();
        endpoint.set_default_client_config(config);
        let connection = endpoint.connect(server.at(via), NAME).unwrap().await?;
        Ok(Self { _endpoint: endpoint, connection })
    }

    async fn connect(server: &Server, via: Via, protocol: &[u8]) -> Self {
        Self::try_connect(server, via, protocol).await.unwrap()
    }

    /// What comes back for octets on a stream.
    pub(super) async fn exchange(&self, octets: &[u8]) -> Result<Vec<u8>, quinn::ReadToEndError> {
        let (mut send, mut receive) = self.connection.open_bi().await.unwrap();
        send.write_all(octets).await.unwrap();
        send.finish().unwrap();
        receive.read_to_end(1 << 20).await
    }

    pub(super) async fn ask(&self, query: &[u8]) -> Vec<u8> {
        let answer = self.exchange(&framed(query)).await.unwrap();
        let (length, answer) = answer.split_first_chunk::<2>().unwrap();
        assert_eq!(usize::from(u16::from_be_bytes(*length)), answer.len());
        answer.to_vec()
    }

    /// Why the server closed the connection.
    async fn closed_with(&self) -> u64 {
        match self.connection.closed().await {
            quinn::ConnectionError::ApplicationClosed(closed) => closed.error_code.into_inner(),
            other => panic!("{other}"),
        }
    }
}

/// A client of HTTP/3.
pub(super) struct Http3 {
    _quic: Quic,
    client: h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>,
}

impl Http3 {
    async fn connect(server: &Server) -> Self {
        let quic = Quic::connect(server, Via::Https3, b"h3").await;
        let (mut driver, client) = h3::client::new(h3_quinn::Connection::new(quic.connection.clone())).await.unwrap();
        tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
        Self { _quic: quic, client }
    }

    pub(super) async fn send(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let mut stream = self.client.send_request(Request::from_parts(head, ())).await.unwrap();
        // Who is told what is wrong with the head need not be sent the rest.
        if !body.is_empty() {
            let _ = stream.send_data(body).await;
        }
        let _ = stream.finish().await;
        let (head, ()) = stream.recv_response().await.unwrap().into_parts();
        let mut body = Vec::new();
        while let Some(mut part) = stream.recv_data().await.unwrap() {
            body.extend_from_slice(&part.copy_to_bytes(part.remaining()));
        }
        Response::from_parts(head, body.into())
    }
}

/// A query of [`stamp`] with message id 0, and whether the response is to it.
pub(super) fn plain() -> Vec<u8> {
    query(kind::PLAIN, 1 << 16)
}

#[track_caller]
fn is_answer(response: &Response<Bytes>) {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], MESSAGE);
    assert_eq!(response.headers()["cache-control"], "max-age=0");
    assert_eq!(response.headers()["content-length"], response.body().len().to_string());
    assert_eq!(read(response.body()).number, 1 << 16);
}

#[test]
fn every_version_of_http_answers_gets_and_posts_and_says_what_is_wrong() {
    let (server, runtime) = (server(), runtime());
    let wrong = || {
        let bare = |method: &str, path: &str| {
            Request::builder().method(method).uri(format!("https://{NAME}{path}")).header("host", NAME)
        };
        let mut other_media = post(&plain());
        other_media.headers_mut().insert("content-type", "text/plain".parse().unwrap());
        [
            (bare("GET", "/other").body(Bytes::new()).unwrap(), 404),
            (bare("GET", "/dns-query").body(Bytes::new()).unwrap(), 400),
            (bare("GET", "/dns-query?dns=AA==").body(Bytes::new()).unwrap(), 400),
            (bare("DELETE", "/dns-query").body(Bytes::new()).unwrap(), 405),
            (other_media, 415),
            (post(&[0; 11]), 400),
            (post(&query(kind::SILENCE, 0)), 400),
            (post(&[0; 65_536]), 413),
        ]
    };
    runtime.block_on(async {
        for protocol in [&b"h2"[..], b"http/1.1"] {
            let mut client = Http::connect(&server, protocol).await;
            is_answer(&client.send(get(&plain())).await);
            is_answer(&client.send(post(&plain())).await);
            for (request, status) in wrong() {
                let told = format!("{request:?}");
                // What is refused before it is read costs its connection over HTTP/1.1, and the answer may be lost with it.
                if status == 413 && protocol != b"h2" {
                    continue;
                }
                let mut client = Http::connect(&server, protocol).await;
                assert_eq!(client.send(request).await.status(), status, "{told}");
            }
            is_answer(&client.send(get(&plain())).await);
        }
        let mut client = Http3::connect(&server).await;
        is_answer(&client.send(get(&plain())).await);
        is_answer(&client.send(post(&plain())).await);
        for (request, status) in wrong() {
            let told = format!("{request:?}");
            assert_eq!(client.send(request).await.status(), status, "{told}");
        }
        is_answer(&client.send(get(&plain())).await);
    });
    until(|| server.counters.totals().https.queries == 2 * 4);
    until(|| server.counters.totals().https3.queries == 4);
    let totals = server.counters.totals();
    assert_eq!((totals.https.responses(), totals.https.silent), (6, 2));
    assert_eq!(totals.events(Via::Https, Event::HandshakeFull), 2 + 8 + 7);
}

#[test]
fn streams_of_quic_are_answered_at_once_and_what_is_no_query_ends_the_connection() {
    let (server, runtime) = (server(), runtime());
    runtime.block_on(async {
        let client = Quic::connect(&server, Via::Quic, b"doq").await;
        let plain_query = plain();
        let answers = futures_util::future::join_all((0..50).map(|_| client.ask(&plain_query))).await;
        assert!(answers.iter().all(|answer| read(answer).number == 1 << 16));
        let huge = query(kind::HUGE, 1 << 16);
        assert_eq!(client.ask(&huge).await.len(), 65_530);
        for garbage in [&b""[..], &[0, 40, 0, 0], &framed(&query(kind::PLAIN, 7)), &framed(&query(kind::SILENCE, 0))] {
            let client = Quic::connect(&server, Via::Quic, b"doq").await;
            client.ask(&plain()).await;
            assert!(client.exchange(garbage).await.is_err());
            // DOQ_PROTOCOL_ERROR (RFC 9250 4.3).
            assert_eq!(client.closed_with().await, 2, "{garbage:?}");
        }
        assert!(Quic::try_connect(&server, Via::Quic, b"h3").await.is_err());
        client.ask(&plain()).await;
    });
    until(|| server.counters.totals().quic.queries == 50 + 1 + 4 + 1 + 1);
}

#[test]
fn a_panic_costs_its_query_alone() {
    let (server, runtime) = (server(), runtime());
    runtime.block_on(async {
        let mut client = Http::connect(&server, b"h2").await;
        assert_eq!(client.send(post(&query(kind::PANIC, 0))).await.status(), StatusCode::BAD_REQUEST);
        is_answer(&client.send(post(&plain())).await);
    });
    assert_eq!(server.counters.totals().restarts, 1);
}

#[test]
fn connections_of_one_client_and_of_all_are_bounded() {
    let runtime = runtime();
    let refused = |server: &Server, via, event, protocol: &'static [u8]| {
        runtime.block_on(async {
            match via {
                Via::Https => {
                    let _first = Http::connect(server, protocol).await;
                    let config = server.credentials.as_ref().unwrap().client(&[protocol]);
                    let stream = tokio::net::TcpStream::connect(server.at(via)).await.unwrap();
                    assert!(TlsConnector::from(config).connect(NAME.try_into().unwrap(), stream).await.is_err());
                }
                _ => {
                    let first = Quic::connect(server, via, protocol).await;
                    first.ask(&plain()).await;
                    match Quic::try_connect(server, via, protocol).await {
                        Ok(second) => assert_eq!(second.closed_with().await, 4),
                        Err(error) => assert!(matches!(error, quinn::ConnectionError::ConnectionClosed(_)), "{error}"),
                    }
                }
            }
        });
        until(|| server.counters.totals().events(via, event) == 1);
    };
    let of_one = || Setting { encrypted: true, per_client: 1, unlimited: Vec::new(), ..Setting::default() }.start();
    let of_all = || Setting { encrypted: true, tcp_connections: 1, ..Setting::default() }.start();
    for (via, protocol) in [(Via::Https, &b"h2"[..]), (Via::Quic, b"doq")] {
        let server = of_one();
        refused(&server, via, Event::RefusedClient, protocol);
        // Its places are given back.
        until(|| server.counters.totals().open(via) == 0);
        refused(&of_all(), via, Event::RefusedLimit, protocol);
    }
}

#[test]
fn who_asks_nothing_is_closed() {
    let server = Setting { encrypted: true, tcp_idle: Duration::from_secs(1), ..Setting::default() }.start();
    let runtime = runtime();
    let mut silent = TcpStream::connect(server.at(Via::Https)).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let all = async {
        for protocol in [&b"h2"[..], b"http/1.1"] {
            // On a machine that stands still for a while a handshake may have taken too long already.
            let client = loop {
                if let Ok(client) = Http::try_connect(&server, protocol).await {
                    break client;
                }
            };
            while !client.is_closed() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let quic = loop {
            if let Ok(quic) = Quic::try_connect(&server, Via::Quic, b"doq").await {
                break quic;
            }
        };
        quic.connection.closed().await;
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE * 3, all).await.unwrap() });
    assert!(is_closed(&mut silent));
    until(|| Via::ALL.iter().all(|via| server.counters.totals().open(*via) == 0));
    until(|| server.counters.totals().events(Via::Https, Event::HandshakeFailed) >= 1);
}

#[test]
fn the_drain_closes_them_all_in_order() {
    let (mut server, runtime) = (server(), runtime());
    let (mut http, quic, mut http3) = runtime.block_on(async {
        let mut http = Http::connect(&server, b"h2").await;
        is_answer(&http.send(get(&plain())).await);
        let quic = Quic::connect(&server, Via::Quic, b"doq").await;
        quic.ask(&plain()).await;
        let mut http3 = Http3::connect(&server).await;
        is_answer(&http3.send(get(&plain())).await);
        (http, quic, http3)
    });
    // A query that has begun is waited for.
    let (mut send, mut receive) = runtime.block_on(quic.connection.open_bi()).unwrap();
    let stream = framed(&plain());
    runtime.block_on(send.write_all(&stream[..9])).unwrap();
    // It has come when another, sent later, is answered.
    runtime.block_on(quic.ask(&plain()));
    let drain = server.drain(PATIENCE);
    runtime.block_on(async {
        while !http.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        http3._quic.connection.closed().await;
        send.write_all(&stream[9..]).await.unwrap();
        send.finish().unwrap();
        let answer = receive.read_to_end(1000).await.unwrap();
        assert_eq!(read(&answer[2..]).number, 1 << 16);
        // DOQ_NO_ERROR.
        assert_eq!(quic.closed_with().await, 0);
    });
    let _ = (&mut http, &mut http3);
    let drained = drain.join().unwrap();
    assert!(drained.is_complete(), "{drained}");
}

/// A client of each transport.
pub(super) struct Everywhere {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpStream,
    pub(super) tls: StreamOwned<ClientConnection, TcpStream>,
    pub(super) http: [Http; 2],
    pub(super) quic: Quic,
    pub(super) http3: Http3,
}

impl Everywhere {
    pub(super) fn connect(server: &Server, runtime: &Runtime) -> Self {
        let config = server.credentials.as_ref().unwrap().client(&[b"dot"]);
        let stream = TcpStream::connect(server.at(Via::Tls)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let tls = StreamOwned::new(ClientConnection::new(config, NAME.try_into().unwrap()).unwrap(), stream);
        let (http, quic, http3) = runtime.block_on(async {
            let http = [Http::connect(server, b"h2").await, Http::connect(server, b"http/1.1").await];
            (http, Quic::connect(server, Via::Quic, b"doq").await, Http3::connect(server).await)
        });
        Self { udp: server.udp(), tcp: server.tcp(), tls, http, quic, http3 }
    }

    /// The response over TCP, and the same from each other with its name.
    pub(super) fn ask(&mut self, query: &[u8], runtime: &Runtime) -> (Vec<u8>, Vec<(&'static str, Vec<u8>)>) {
        let expected = over_tcp(&mut self.tcp, query);
        let udp = over_udp(&self.udp, query);
        let tls = over_tcp(&mut self.tls, query);
        let [two, one] = &mut self.http;
        let (quic, http) = runtime.block_on(async {
            // Message id 0 (RFC 9250 4.2.1).
            let quic = self.quic.ask(&[&[0, 0], &query[2..]].concat()).await;
            let http = [
                two.send(get(query)).await,
                two.send(post(query)).await,
                one.send(get(query)).await,
                self.http3.send(post(query)).await,
            ];
            (quic, http)
        });
        let names = ["HTTP/2 GET", "HTTP/2 POST", "HTTP/1.1 GET", "HTTP/3 POST"];
        let http = names.into_iter().zip(http.map(|response| response.into_body().to_vec()));
        let others = [("UDP", udp), ("TLS", tls), ("QUIC", quic)].into_iter().chain(http).collect();
        (expected, others)
    }
}

/// A server with the zone of `answers` on every transport.
fn real() -> Server {
    let content = Arc::new(crate::answer::compile::compile(vec![answers::zone()], &Default::default()).unwrap());
    let first = Snapshot::new(1, content, Box::new([])).unwrap();
    Setting { encrypted: true, ..Setting::default() }.start_real(first)
}

/// Octet for octet after the id. The exceptions: a response that does not fit into a datagram has the TC bit over UDP; and
/// padding and keepalive, which no query here asks for, are for encrypted transports and for TCP.
#[test]
fn every_transport_answers_with_the_same_octets() {
    let (runtime, server) = (runtime(), real());
    let clients = std::cell::RefCell::new(Everywhere::connect(&server, &runtime));
    let owners = prop::sample::select(vec![
        "example.",
        "ns.example.",
        "NS.eXample.",
        "big.example.",
        "no.example.",
        "x.y.example.",
        "elsewhere.",
        ".",
    ]);
    let rtypes = prop::sample::select(vec![1_u16, 2, 5, 6, 15, 16, 28, 255, 65_400]);
    let opts = prop::sample::select(vec![
        vec![],
        vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
        vec![0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, 0],
        vec![0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0],
        vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 5, 255, 253, 0, 1, 7],
        vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 2, 0, 8],
        // NSID, and one of a length that it cannot have.
        vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0],
        vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 3, 0, 9],
    ]);
    let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(owner in owners, rtype in rtypes, opt in opts, id in any::<u16>(), flags in any::<[u8; 2]>())| {
        let mut query = answers::question(owner, hickory_proto::rr::RecordType::A, id);
        let at = query.len() - 4;
        query[at..at + 2].copy_from_slice(&rtype.to_be_bytes());
        // Any opcode and flags but QR.
        query[2..4].copy_from_slice(&[flags[0] & 0x7f, flags[1]]);
        query[11] = u8::from(!opt.is_empty());
        query.extend_from_slice(&opt);
        let (expected, others) = clients.borrow_mut().ask(&query, &runtime);
        prop_assert_eq!(&expected[..2], id.to_be_bytes());
        for (name, response) in others {
            let is_cut = name == "UDP" && response[2] & 2 != 0 && expected[2] & 2 == 0;
            if !is_cut {
                prop_assert_eq!(&response[2..], &expected[2..], "{} for {} {}", name, owner, rtype);
            }
        }
    });
}

/// Padding is for what nobody can read on the way (RFC 7830 6), in blocks (RFC 8467 4.1); keepalive is for TCP and TLS (RFC 7828
/// 3.2.2), and over QUIC an error (RFC 9250 5.5.2).
#[test]
fn padding_and_keepalive_are_where_they_belong() {
    let (runtime, server) = (runtime(), real());
    let mut clients = Everywhere::connect(&server, &runtime);
    let asking = |option: &[u8]| {
        let mut query = answers::question("ns.example.", hickory_proto::rr::RecordType::A, 7);
        query[11] = 1;
        query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, option.len() as u8]);
        [&query, option].concat()
    };
    let (tcp, others) = clients.ask(&asking(&[0, 12, 0, 0]), &runtime);
    assert!(tcp.len() < 100, "{tcp:?}");
    for (name, response) in others {
        match name {
            "UDP" => assert_eq!(response, tcp),
            _ => assert_eq!(response.len(), 468, "{name}"),
        }
    }
    let keepalive = asking(&[0, 11, 0, 0]);
    let says = |response: &[u8]| response.ends_with(&[0, 11, 0, 2, 0, 100]);
    assert!(says(&over_tcp(&mut clients.tcp, &keepalive)));
    assert!(!says(&over_udp(&clients.udp, &keepalive)));
    clients.tls.write_all(&framed(&keepalive)).unwrap();
    let mut response = [0; 2];
    clients.tls.read_exact(&mut response).unwrap();
    let mut response = vec![0; usize::from(u16::from_be_bytes(response))];
    clients.tls.read_exact(&mut response).unwrap();
    assert!(says(&response), "{response:?}");
    runtime.block_on(async {
        let answer = clients.http[0].send(get(&keepalive)).await;
        assert!(answer.status() == StatusCode::OK && !says(answer.body()));
        assert!(clients.quic.exchange(&framed(&[&[0, 0], &keepalive[2..]].concat())).await.is_err());
        assert_eq!(clients.quic.closed_with().await, 2);
    });
}
