use std::sync::Mutex;

use tokio::time::sleep;

use super::*;

fn probe_of(http: HttpProbe) -> Probe {
    probe(ProbeKind::Http(http))
}

fn expecting(text: &str, port: u16) -> Probe {
    let mut http = http(port);
    http.expect.body = Some(text.to_owned());
    probe_of(http)
}

fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// `{}` in the expected sentence stands for the peer.
#[track_caller]
fn assert_says(outcome: &Outcome, port: u16, expected: &str) {
    assert_failed(outcome, &expected.replace("{}", &format!("127.0.0.1:{port}")));
}

#[tokio::test]
async fn the_status_decides() {
    let check = async |status: &str, expected: Option<&str>| {
        let port = canned(V4, response(status, "")).await;
        let outcome = observe(probe_of(http(port)), &[V4]).await;
        match expected {
            None => assert_eq!(outcome, Outcome::Good, "{status}"),
            Some(expected) => assert_says(&outcome, port, expected),
        }
    };
    check("200 OK", None).await;
    check("204 No Content", None).await;
    check("503 Service Unavailable", Some("expected status 200 to 299 from {}, got 503")).await;
    check("404 Not Found", Some("expected status 200 to 299 from {}, got 404")).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_but_judged() {
    let there = canned(V4, response("200 OK", "")).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{there}/\r\nContent-Length: 0\r\n\r\n");
    let port = canned(V4, redirect).await;
    assert_says(&observe(probe_of(http(port)), &[V4]).await, port, "expected status 200 to 299 from {}, got 302");
    let mut http = http(port);
    http.expect.status = vec![(200, 200), (300, 399)];
    assert_eq!(observe(probe_of(http), &[V4]).await, Outcome::Good);
}

#[tokio::test]
async fn the_request_is_what_the_probe_says() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let port = listen(V4, move |mut stream| {
        let seen = seen.clone();
        async move {
            let head = head(&mut stream).await;
            seen.lock().unwrap().push(head);
            stream.write_all(response("200 OK", "").as_bytes()).await.unwrap();
        }
    })
    .await;
    let mut named = http(port);
    named.host = Some("Hub.example.net".to_owned());
    named.path = "/health?deep=1".to_owned();
    for probe in [named, http(port)] {
        assert_eq!(observe(probe_of(probe), &[V4]).await, Outcome::Good);
    }
    let heads = heads.lock().unwrap();
    let fields = |head: &str| {
        let mut fields: Vec<String> = head.trim_end().split("\r\n").map(str::to_owned).collect();
        fields[1..].sort();
        fields
    };
    let agent = concat!("user-agent: concierge/", env!("CARGO_PKG_VERSION"));
    let host = format!("host: 127.0.0.1:{port}");
    assert_eq!(fields(&heads[0]), ["GET /health?deep=1 HTTP/1.1", "connection: close", "host: Hub.example.net", agent]);
    assert_eq!(fields(&heads[1]), ["GET / HTTP/1.1", "connection: close", &host, agent]);
}

#[tokio::test]
async fn the_body_contains_the_expected_text() {
    let port = canned(V4, response("200 OK", "registry: complete\n")).await;
    assert_eq!(observe(expecting("registry: complete", port), &[V4]).await, Outcome::Good);
    let expected = "expected `registry: stale` in the body from {}, got 19 octets without it";
    assert_says(&observe(expecting("registry: stale", port), &[V4]).await, port, expected);
}

#[tokio::test]
async fn a_body_is_not_looked_at_when_the_status_is_wrong() {
    let port = canned(V4, response("500 Oops", "ok")).await;
    let expected = "expected status 200 to 299 from {}, got 500";
    assert_says(&observe(expecting("ok", port), &[V4]).await, port, expected);
}

#[tokio::test]
async fn the_text_is_found_across_chunks() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        6\r\nregist\r\n3\r\nry:\r\n9\r\n complete\r\n0\r\n\r\n";
    let port = canned(V4, chunked).await;
    assert_eq!(observe(expecting("registry: complete", port), &[V4]).await, Outcome::Good);
    let expected = "expected `nothing` in the body from {}, got 18 octets without it";
    assert_says(&observe(expecting("nothing", port), &[V4]).await, port, expected);
}

#[tokio::test]
async fn a_body_up_to_the_end_of_the_connection_is_read() {
    let port = canned(V4, "HTTP/1.0 200 OK\r\n\r\nall is well").await;
    assert_eq!(observe(expecting("well", port), &[V4]).await, Outcome::Good);
}

#[tokio::test]
async fn only_the_first_64_kib_of_a_body_count() {
    let body = |filling: usize| response("200 OK", &format!("{}ok", "x".repeat(filling)));
    let port = canned(V4, body(64 * 1024 - 2)).await;
    assert_eq!(observe(expecting("ok", port), &[V4]).await, Outcome::Good);
    let port = canned(V4, body(64 * 1024 - 1)).await;
    let expected = "expected `ok` in the first 64 KiB of the body from {}";
    assert_says(&observe(expecting("ok", port), &[V4]).await, port, expected);
}

/// Sends a head and then `piece` for ever, at once or slowly.
async fn endless(piece: &'static [u8], pause: Duration) -> u16 {
    listen(V4, move |mut stream| async move {
        head(&mut stream).await;
        let mut more = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while more.is_ok() {
            more = stream.write_all(piece).await;
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_body_without_end_is_read_to_its_bound() {
    let port = endless(&[b'x'; 4096], Duration::ZERO).await;
    let expected = "expected `ok` in the first 64 KiB of the body from {}";
    assert_says(&observe(expecting("ok", port), &[V4]).await, port, expected);
}

#[tokio::test]
async fn a_body_that_trickles_is_timed_out() {
    let port = endless(b"x", Duration::from_millis(20)).await;
    let outcome = observe(within_ms(400, expecting("ok", port)), &[V4]).await;
    assert_says(&outcome, port, "timed out after 400 ms while reading the body from {}");
}

#[tokio::test]
async fn a_body_that_trickles_is_good_as_soon_as_the_text_is_there() {
    let port = endless(b"ok", Duration::from_millis(20)).await;
    assert_eq!(observe(expecting("okokok", port), &[V4]).await, Outcome::Good);
    assert_eq!(observe(probe_of(http(port)), &[V4]).await, Outcome::Good, "a body that does not matter is not read");
}

#[tokio::test]
async fn a_peer_that_accepts_and_says_nothing_is_timed_out() {
    let port = listen(V4, |stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let outcome = observe(within_ms(300, probe_of(http(port))), &[V4]).await;
    assert_says(&outcome, port, "timed out after 300 ms while waiting for the response of {}");
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_says_so() {
    let check = async |response: &[u8], expected: &str| {
        let port = canned(V4, response).await;
        assert_says(&observe(probe_of(http(port)), &[V4]).await, port, expected);
    };
    let not_http = "{} does not speak HTTP/1.1: ";
    check(b"SSH-2.0-OpenSSH_9.2\r\n", &format!("{not_http}invalid HTTP version parsed")).await;
    check(b"\x00\xff\xfe\r\n\r\n", &format!("{not_http}invalid HTTP version parsed")).await;
    check(b"HTTP/1.1 abc\r\n\r\n", &format!("{not_http}invalid HTTP status-code parsed")).await;
    check(b"", "{} closed the connection before its response was complete").await;
    check(b"HTTP/1.1 200 OK\r\nContent", "{} closed the connection before its response was complete").await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    for field in 0..40 {
        head.extend_from_slice(format!("X-{field}: {}\r\n", "x".repeat(8 * 1024)).as_bytes());
    }
    let port = canned(V4, head).await;
    let expected = "{} does not speak HTTP/1.1: message head is too large";
    assert_says(&observe(probe_of(http(port)), &[V4]).await, port, expected);
}

#[tokio::test]
async fn a_body_cut_short_is_a_failure() {
    let port = canned(V4, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").await;
    let Outcome::Failed(sentence) = observe(expecting("ok", port), &[V4]).await else { panic!("the body is cut") };
    assert!(sentence.contains(&format!("127.0.0.1:{port}")), "{sentence}");
    assert_eq!(observe(expecting("short", port), &[V4]).await, Outcome::Good, "the text came before the cut");
}

#[tokio::test]
async fn a_request_that_cannot_be_written_is_a_failure_and_no_panic() {
    let mut http = http(1);
    http.host = Some("a\nb".to_owned());
    let Outcome::Failed(sentence) = observe(probe_of(http), &[V4]).await else { panic!("no such host") };
    assert!(sentence.contains("is no HTTP request"), "{sentence}");
}

#[tokio::test]
async fn one_address_that_answers_as_expected_is_enough() {
    let good = address("127.0.0.2");
    let port = canned(good, response("200 OK", "")).await;
    let sick = TcpListener::bind((V4, port)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = sick.accept().await.unwrap();
            head(&mut stream).await;
            stream.write_all(response("503 Busy", "").as_bytes()).await.unwrap();
        }
    });
    assert_eq!(observe(probe_of(http(port)), &[V4, good]).await, Outcome::Good);
    assert_says(
        &observe(probe_of(http(port)), &[V4, address("127.0.0.3")]).await,
        port,
        &format!("expected status 200 to 299 from {{}}, got 503; connect 127.0.0.3:{port}: connection refused"),
    );
}

#[tokio::test]
async fn ipv6_is_dialled_and_named_in_brackets() {
    let v6 = address("::1");
    let port = canned(v6, response("200 OK", "")).await;
    assert_eq!(observe(probe_of(http(port)), &[v6]).await, Outcome::Good);
}
