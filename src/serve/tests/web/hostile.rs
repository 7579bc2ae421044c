//! Clients that want to use up what others need.

use super::requests::raw_over;
use super::*;

/// A frame of HTTP/2 (RFC 9113 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[high, middle, low, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

/// The fields of a GET (RFC 7541 6): `:method`, `:scheme`, `:path` and `:authority`.
fn fields() -> Vec<u8> {
    let path = format!("/dns-query?dns={}", BASE64_URL_SAFE_NO_PAD.encode(plain()));
    let literal = |index: u8, text: &str| [&[index, text.len() as u8], text.as_bytes()].concat();
    [vec![0x82, 0x87], literal(4, &path), literal(1, NAME)].concat()
}

/// Sends frames over HTTP/2, and returns the error of the GOAWAY frame, if it comes before the connection ends.
fn attack(server: &Server, frames: impl Iterator<Item = Vec<u8>>) -> Option<u32> {
    let config = server.credentials.as_ref().unwrap().client(&[b"h2"]);
    let mut stream = raw_over(config, TcpStream::connect(server.at(Via::Https)).unwrap());
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    for frame in frames {
        // It is closed, or nothing is read from it any more.
        if stream.write_all(&frame).is_err() {
            break;
        }
    }
    let mut received = Vec::new();
    // However it ends: that it does is what matters.
    if let Err(error) = stream.read_to_end(&mut received) {
        assert!(!matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "it goes on: {error}");
    }
    let mut rest = &received[..];
    while let Some(([a, b, c, kind, ..], payload)) = rest.split_first_chunk::<9>() {
        let (payload, next) = payload.split_at_checked(u32::from_be_bytes([0, *a, *b, *c]) as usize)?;
        if *kind == GOAWAY {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = next;
    }
    None
}

/// CVE-2023-44487: streams that are reset as soon as they are opened count for nothing in the limit of streams.
#[test]
fn streams_that_are_reset_at_once_end_their_connection() {
    const STREAMS: u32 = 20_000;
    let (server, runtime) = (server(), runtime());
    let pairs = (0..STREAMS / 100).map(|hundred| {
        let streams = (0..100).map(|at| (hundred * 100 + at) * 2 + 1);
        // END_STREAM and END_HEADERS; CANCEL.
        let pair =
            |stream| [frame(HEADERS, 5, stream, &fields()), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
        streams.flat_map(pair).collect()
    });
    let error = attack(&server, pairs);
    // ENHANCE_YOUR_CALM, if it is not lost with the connection.
    assert!(matches!(error, None | Some(11)), "{error:?}");
    let queries = server.counters.totals().https.queries;
    assert!(queries < u64::from(STREAMS) / 4, "{queries} of {STREAMS} were worked for");
    runtime.block_on(async { is_answer(&Http::connect(&server, b"h2").await.send(get(&plain())).await) });
}

/// CVE-2024-27316 and its like: a head that has no end.
#[test]
fn a_head_without_an_end_ends_its_connection() {
    let (server, runtime) = (server(), runtime());
    let part = [&[0x00, 1, b'a', 127, 0x81, 7][..], &[b'x'; 262]].concat();
    let continued = (0..50_000).map(|_| frame(CONTINUATION, 0, 1, &part));
    attack(&server, std::iter::once(frame(HEADERS, 1, 1, &fields())).chain(continued));
    // One octet a frame.
    let tiny = (0..50_000).map(|_| frame(CONTINUATION, 0, 1, &[0x82]));
    attack(&server, std::iter::once(frame(HEADERS, 1, 1, &fields())).chain(tiny));
    assert_eq!(server.counters.totals().https.queries, 0);
    runtime.block_on(async { is_answer(&Http::connect(&server, b"h2").await.send(get(&plain())).await) });
}

#[test]
fn the_oldest_handshake_makes_room_for_a_newcomer() {
    let server = Setting { encrypted: true, handshakes: 16, ..Setting::default() }.start();
    let runtime = runtime();
    let silent = [(); 16].map(|()| {
        let mut stream = TcpStream::connect(server.at(Via::Https)).unwrap();
        // The kernel has no connection accepted before something has come.
        stream.write_all(&[22]).unwrap();
        stream
    });
    until(|| server.counters.totals().open(Via::Https) == 16);
    runtime.block_on(async { is_answer(&Http::connect(&server, b"h2").await.send(get(&plain())).await) });
    runtime.block_on(async { Quic::connect(&server, Via::Quic, b"doq").await.ask(&plain()).await });
    until(|| server.counters.totals().events(Via::Https, Event::RefusedHandshake) >= 1);
    drop(silent);
}

#[test]
fn a_connection_that_asks_nothing_is_closed_whatever_else_it_sends() {
    let server = Setting { encrypted: true, tcp_idle: Duration::from_secs(1), ..Setting::default() }.start();
    runtime().block_on(async {
        let mut transport = quinn::TransportConfig::default();
        transport.keep_alive_interval(Some(Duration::from_millis(100)));
        let transport = Arc::new(transport);
        for (via, protocol, error) in [(Via::Quic, b"doq".to_vec(), 0), (Via::Https3, b"h3".to_vec(), 0x100)] {
            // On a machine that stands still for a while QUIC may have given up on it before.
            let closed = async {
                loop {
                    let config = server.credentials.as_ref().unwrap().client(&[&protocol]);
                    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
                    config.transport_config(transport.clone());
                    let endpoint = quinn::Endpoint::client(SocketAddr::new(LOCALHOST, 0)).unwrap();
                    let connecting = endpoint.connect_with(config, server.at(via), NAME).unwrap();
                    let Ok(connection) = connecting.await else { continue };
                    if let quinn::ConnectionError::ApplicationClosed(closed) = connection.closed().await {
                        break closed.error_code.into_inner();
                    }
                }
            };
            assert_eq!(tokio::time::timeout(PATIENCE, closed).await.unwrap(), error, "{via:?}");
        }
    });
}

/// A frame of HTTP/3 whose length is a gigabyte, and the start of it.
fn endless(kind: u8) -> Vec<u8> {
    [&[kind, 0xc0, 0, 0, 0, 0x40, 0, 0, 0], &[0; 4096][..]].concat()
}

#[test]
fn a_frame_without_an_end_ends_its_stream_or_its_connection() {
    let (server, runtime) = (server(), runtime());
    runtime.block_on(async {
        let mut good = Http3::connect(&server).await;
        let client = Quic::connect(&server, Via::Https3, b"h3").await;
        let (mut send, _receive) = client.connection.open_bi().await.unwrap();
        send.write_all(&endless(1)).await.unwrap();
        let stopped = loop {
            match send.write_all(&[0; 4096]).await {
                Ok(()) => {}
                Err(quinn::WriteError::Stopped(code)) => break code.into_inner(),
                Err(error) => panic!("{error}"),
            }
        };
        // H3_EXCESSIVE_LOAD.
        assert_eq!(stopped, 0x107);
        let mut control = client.connection.open_uni().await.unwrap();
        // SETTINGS without a setting, and a frame that nobody knows.
        control.write_all(&[0, 4, 0]).await.unwrap();
        control.write_all(&endless(0x21)).await.unwrap();
        while control.write_all(&[0; 4096]).await.is_ok() {}
        // H3_CLOSED_CRITICAL_STREAM.
        assert_eq!(client.closed_with().await, 0x104);
        is_answer(&good.send(get(&plain())).await);
    });
}

#[test]
fn what_is_beyond_the_allowance_of_a_connection_is_refused() {
    let (server, runtime) = (server(), runtime());
    runtime.block_on(async {
        // Queries that never end: four of them fit.
        let client = Quic::connect(&server, Via::Quic, b"doq").await;
        let mut open = Vec::new();
        for _ in 0..5 {
            let (mut send, receive) = client.connection.open_bi().await.unwrap();
            let _ = send.write_all(&[0xff; 60_000]).await;
            open.push((send, receive));
        }
        // One of them, for they come mixed: DOQ_EXCESSIVE_LOAD.
        let stopped = futures_util::future::select_all(open.iter_mut().map(|(send, _)| Box::pin(send.stopped())));
        let stopped = stopped.await.0.unwrap();
        assert_eq!(stopped.map(quinn::VarInt::into_inner), Some(4));
        client.ask(&plain()).await;
        drop(open);
        // Responses that the client does not take: four of them fit.
        let config = server.credentials.as_ref().unwrap().client(&[b"h2"]);
        let stream = tokio::net::TcpStream::connect(server.at(Via::Https)).await.unwrap();
        let stream = TlsConnector::from(config).connect(NAME.try_into().unwrap(), stream).await.unwrap();
        let builder = http2::Builder::new(TokioExecutor::new()).initial_stream_window_size(1).clone();
        let (mut http, connection) = builder.handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut taken = Vec::new();
        for _ in 0..8 {
            taken.push(http.send_request(get(&query(kind::HUGE, 1 << 16)).map(Full::new)).await.unwrap());
        }
        let statuses: Vec<_> = taken.iter().map(|response| response.status().as_u16()).collect();
        assert_eq!(statuses, [200, 200, 200, 200, 503, 503, 503, 503]);
        // Given back when nobody wants them any more.
        taken.clear();
        while http.send_request(get(&query(kind::HUGE, 1 << 16)).map(Full::new)).await.unwrap().status()
            != StatusCode::OK
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}
