//! What requests of HTTP are told, where it is more than one message and its answer.

use super::*;

/// A client that sends octets of its own over TLS.
fn raw(server: &Server, protocol: &'static [u8]) -> StreamOwned<ClientConnection, TcpStream> {
    let config = server.credentials.as_ref().unwrap().client(&[protocol]);
    raw_over(config, TcpStream::connect(server.at(Via::Https)).unwrap())
}

pub(super) fn raw_over(
    config: Arc<rustls::ClientConfig>,
    stream: TcpStream,
) -> StreamOwned<ClientConnection, TcpStream> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(config, NAME.try_into().unwrap()).unwrap(), stream)
}

/// The first line of the response to what was sent, if there is one.
fn told(stream: &mut impl Read) -> String {
    let mut response = Vec::new();
    let mut octet = [0];
    while !response.ends_with(b"\r\n") && stream.read(&mut octet).is_ok_and(|octets| octets == 1) {
        response.push(octet[0]);
    }
    String::from_utf8(response).unwrap().trim_end().to_owned()
}

/// The head of a POST of so many octets.
fn head(length: usize) -> String {
    format!("POST /dns-query HTTP/1.1\r\nhost: {NAME}\r\ncontent-type: {MESSAGE}\r\ncontent-length: {length}\r\n\r\n")
}

/// RFC 9110 9.3.2: the head that a GET would have, and nothing else.
#[test]
fn head_has_the_head_of_a_get() {
    let (server, runtime) = (server(), runtime());
    let of = |method: &str| {
        let mut request = get(&plain());
        *request.method_mut() = method.parse().unwrap();
        request
    };
    runtime.block_on(async {
        let mut http = [Http::connect(&server, b"h2").await, Http::connect(&server, b"http/1.1").await];
        let mut http3 = Http3::connect(&server).await;
        for at in 0..3 {
            let (got, head) = match http.get_mut(at) {
                Some(client) => (client.send(of("GET")).await, client.send(of("HEAD")).await),
                None => (http3.send(of("GET")).await, http3.send(of("HEAD")).await),
            };
            is_answer(&got);
            assert!(head.body().is_empty());
            assert_eq!(head.status(), StatusCode::OK);
            for field in ["content-type", "cache-control", "content-length"] {
                assert_eq!(head.headers()[field], got.headers()[field], "{at} {field}");
            }
        }
    });
}

#[test]
fn a_message_that_is_too_long_is_refused_before_it_is_sent() {
    let server = server();
    let mut stream = raw(&server, b"http/1.1");
    stream.write_all(head(65_536).as_bytes()).unwrap();
    assert_eq!(told(&mut stream), "HTTP/1.1 413 Payload Too Large");
    // One that does not say how long it is, when it is so long.
    let mut stream = raw(&server, b"http/1.1");
    let chunked = head(0).replace("content-length: 0", "transfer-encoding: chunked");
    stream.write_all([chunked.as_bytes(), b"10000\r\n", &[0; 65_536]].concat().as_slice()).unwrap();
    assert_eq!(told(&mut stream), "HTTP/1.1 413 Payload Too Large");
}

#[test]
fn a_body_that_does_not_come_is_waited_for_in_vain() {
    let server = Setting { encrypted: true, tcp_idle: Duration::from_secs(1), ..Setting::default() }.start();
    // On a machine that stands still for a while the connection may have been closed before its head had come.
    let started = Instant::now();
    loop {
        let mut stream = raw(&server, b"http/1.1");
        if stream.write_all(&[head(40).as_bytes(), &[0; 10]].concat()).is_ok()
            && told(&mut stream) == "HTTP/1.1 408 Request Timeout"
        {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "never told");
    }
}

/// RFC 8484 5.1, RFC 2308 5: the TTL of the zone's SOA record is 300, its MINIMUM 1.
#[test]
fn a_negative_answer_is_fresh_as_long_as_its_soa_record_says() {
    let (server, runtime) = (real(), runtime());
    runtime.block_on(async {
        let mut http = Http::connect(&server, b"h2").await;
        let mut http3 = Http3::connect(&server).await;
        let check = [
            ("ns.example.", hickory_proto::rr::RecordType::A, "max-age=300"),
            ("ns.example.", hickory_proto::rr::RecordType::AAAA, "max-age=1"),
            ("no.example.", hickory_proto::rr::RecordType::A, "max-age=1"),
            ("elsewhere.", hickory_proto::rr::RecordType::A, "max-age=0"),
        ];
        for (owner, rtype, fresh) in check {
            let query = answers::question(owner, rtype, 0);
            for response in [http.send(get(&query)).await, http3.send(post(&query)).await] {
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(response.headers()["cache-control"], fresh, "{owner} {rtype}");
            }
        }
    });
}

#[test]
fn a_client_that_comes_back_resumes() {
    let server = server();
    let config = server.credentials.as_ref().unwrap().client(&[b"http/1.1"]);
    let request = format!("GET /dns-query HTTP/1.1\r\nhost: {NAME}\r\n\r\n");
    for _ in 0..2 {
        let mut stream = raw_over(config.clone(), TcpStream::connect(server.at(Via::Https)).unwrap());
        stream.write_all(request.as_bytes()).unwrap();
        // The tickets come before it.
        assert_eq!(told(&mut stream), "HTTP/1.1 400 Bad Request");
    }
    let totals = server.counters.totals();
    let events = [Event::HandshakeFull, Event::HandshakeResumed].map(|event| totals.events(Via::Https, event));
    assert_eq!(events, [1, 1]);
}

#[test]
fn connections_still_to_be_accepted_are_answered() {
    let mut server = Setting { encrypted: true, tcp_workers: 1, ..Setting::default() }.start();
    let config = server.credentials.as_ref().unwrap().client(&[b"http/1.1"]);
    // The one thread is held up.
    let mut busy = raw_over(config.clone(), TcpStream::connect(server.at(Via::Https)).unwrap());
    let held = query(kind::WAIT_WEB, 0);
    busy.write_all(&[head(held.len()).as_bytes(), &held].concat()).unwrap();
    WEB_GATE.wait_until_reached();
    // The kernel has no connection accepted before something has come.
    let waiting = [(); 5].map(|()| {
        let mut stream = raw_over(config.clone(), TcpStream::connect(server.at(Via::Https)).unwrap());
        stream.conn.write_tls(&mut stream.sock).unwrap();
        stream
    });
    let drain = server.drain(PATIENCE);
    WEB_GATE.open();
    assert_eq!(told(&mut busy), "HTTP/1.1 200 OK");
    drop(busy);
    for mut stream in waiting {
        stream.write_all(&[head(plain().len()).as_bytes(), &plain()].concat()).unwrap();
        assert_eq!(told(&mut stream), "HTTP/1.1 200 OK");
    }
    let drained = drain.join().unwrap();
    assert!(drained.is_complete(), "{drained}");
}
