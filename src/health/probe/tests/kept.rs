//! HTTP connections that are kept, requests, and JSON bodies.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::policy::{Comparison, FieldValue, Secret};

/// A server that answers so many requests on each connection with this body, and counts its connections.
async fn serving(requests: usize, body: &'static str) -> (u16, Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>) {
    let (accepted, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (counted, seen) = (accepted.clone(), heads.clone());
    let port = listen(V4, move |mut stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        let seen = seen.clone();
        async move {
            for _ in 0..requests {
                let head = head(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                seen.lock().unwrap().push(head);
                let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                drop(stream.write_all(response.as_bytes()).await);
            }
        }
    })
    .await;
    (port, accepted, heads)
}

#[tokio::test]
async fn a_connection_is_kept_where_the_probe_says_so() {
    let target = Target::Addresses(vec![V4]);
    for (keep_alive, connections) in [(true, 1), (false, 3)] {
        let (port, accepted, heads) = serving(100, "a long life").await;
        let prober = Arc::new(Prober::new(&[]));
        let probe = Arc::new(probe(ProbeKind::Http(HttpProbe { keep_alive, ..http(port) })));
        for _ in 0..3 {
            assert_eq!(prober.observe(&probe, &target).await.outcome, Outcome::Good);
        }
        assert_eq!(accepted.load(Ordering::Relaxed), connections);
        let closes = |head: &String| head.contains("connection: close");
        assert_eq!(heads.lock().unwrap().iter().any(closes), !keep_alive);
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_made_anew() {
    let target = Target::Addresses(vec![V4]);
    let (port, accepted, _) = serving(1, "").await;
    let prober = Arc::new(Prober::new(&[]));
    let probe = Arc::new(probe(ProbeKind::Http(HttpProbe { keep_alive: true, ..http(port) })));
    for _ in 0..3 {
        assert_eq!(prober.observe(&probe, &target).await.outcome, Outcome::Good);
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_reload_closes_what_was_kept() {
    let target = Target::Addresses(vec![V4]);
    let (port, accepted, _) = serving(100, "").await;
    let prober = Arc::new(Prober::new(&[]));
    let probe = Arc::new(probe(ProbeKind::Http(HttpProbe { keep_alive: true, ..http(port) })));
    for connections in [1, 2] {
        assert_eq!(prober.observe(&probe, &target).await.outcome, Outcome::Good);
        assert_eq!(accepted.load(Ordering::Relaxed), connections);
        prober.renew();
    }
}

#[tokio::test]
async fn the_request_has_the_method_and_the_headers() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "Bearer sesame\n").unwrap();
    let (port, _, heads) = serving(1, "").await;
    let headers = vec![
        ("accept".to_owned(), FieldValue::Plain("application/json".to_owned())),
        ("user-agent".to_owned(), FieldValue::Plain("a device".to_owned())),
        ("authorization".to_owned(), FieldValue::Secret(Secret::File(file.clone()))),
    ];
    let asking = HttpProbe { method: Method::Post, headers, ..http(port) };
    assert_eq!(observe(probe(ProbeKind::Http(asking.clone())), &[V4]).await, Outcome::Good);
    let head = heads.lock().unwrap()[0].clone();
    for line in ["POST / HTTP/1.1", "accept: application/json", "user-agent: a device", "authorization: Bearer sesame"]
    {
        assert!(head.lines().any(|other| other == line), "{line}: {head}");
    }
    std::fs::write(&file, "two\nlines\n").unwrap();
    let outcome = observe(probe(ProbeKind::Http(asking.clone())), &[V4]).await;
    assert_unable(&outcome, "the secret of header `authorization` has characters that no header may have");
    std::fs::remove_file(&file).unwrap();
    let outcome = observe(probe(ProbeKind::Http(asking)), &[V4]).await;
    assert_unable(&outcome, &format!("read the secret `{}`: no such file or directory", file.display()));
}

#[tokio::test]
async fn the_value_in_the_body_decides() {
    let check = async |body: &'static str, pointer: &str, comparison: Comparison, expected: Result<(), &str>| {
        let (port, ..) = serving(1, body).await;
        let mut http = http(port);
        http.expect.value = Some((pointer.to_owned(), comparison));
        let outcome = observe(probe(ProbeKind::Http(http)), &[V4]).await;
        match expected {
            Ok(()) => assert_eq!(outcome, Outcome::Good, "{body}"),
            Err(expected) => assert_failed(&outcome, &expected.replace("{}", &format!("127.0.0.1:{port}"))),
        }
    };
    use Comparison::{AtLeast, AtMost, Equals};
    check(r#"{"lag": 59.5}"#, "/lag", AtMost(60.0), Ok(())).await;
    check(r#"{"lag": 75}"#, "/lag", AtMost(60.0), Err("the body from {}: /lag is 75, expected at most 60")).await;
    check(r#"{"devices": [7]}"#, "/devices/0", AtLeast(7.0), Ok(())).await;
    check(r#"{"state": "ready"}"#, "/state", Equals("ready".into()), Ok(())).await;
    let expected = "the body from {}: /state is \"waiting\", expected \"ready\"";
    check(r#"{"state": "waiting"}"#, "/state", Equals("ready".into()), Err(expected)).await;
    check("{}", "/state", Equals("ready".into()), Err("the body from {}: /state is missing")).await;
    let expected = "expected JSON in the body from {}: expected value at line 1 column 1";
    check("<html>", "/state", Equals("ready".into()), Err(expected)).await;
}

#[tokio::test]
async fn a_peer_of_the_other_version_is_a_failure() {
    let (port, ..) = serving(1, "").await;
    let two = HttpProbe { version: HttpVersion::Two, ..http(port) };
    let Outcome::Failed(sentence) = observe(probe(ProbeKind::Http(two)), &[V4]).await else {
        panic!("it speaks HTTP/1.1 only")
    };
    assert!(sentence.contains(&format!("127.0.0.1:{port}")), "{sentence}");
}
