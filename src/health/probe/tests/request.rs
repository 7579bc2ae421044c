//! Requests of those that are no probes.

use std::path::Path;

use bytes::Bytes;
use hyper::Request;

use super::dns::{Reply, at, name_server};

use super::handshake::{Anchors, authority, certificate_for, https};
use super::*;
use crate::dns::{Rcode, Rtype};
use crate::health::probe::request::{Url, Wanted};

const PATIENCE: Duration = Duration::from_secs(20);

async fn get_with(prober: &Arc<Prober>, url: &str, ca: Option<&Path>, wanted: Wanted) -> Result<(u16, String), String> {
    let request = (Request::get("/"), Bytes::new());
    let url = Url::parse(url).unwrap();
    let reply = prober.request(&url, ca, request, Deadline::after(PATIENCE), |_| wanted).await?;
    Ok((reply.status, String::from_utf8(reply.body).unwrap()))
}

async fn get(url: &str, ca: Option<&Path>, wanted: Wanted) -> Result<(u16, String), String> {
    get_with(&Arc::new(Prober::new(&[])), url, ca, wanted).await
}

fn response(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn as_much_of_the_body_as_wanted_is_read() {
    let port = canned(V4, response("one\ntwo\n")).await;
    let url = format!("http://127.0.0.1:{port}/");
    let body = async |wanted| get(&url, None, wanted).await.unwrap().1;
    assert_eq!(body(Wanted::Nothing).await, "");
    assert_eq!(body(Wanted::All).await, "one\ntwo\n");
    assert!(body(Wanted::FirstLine(Deadline::after(PATIENCE))).await.starts_with("one\n"));
}

#[tokio::test]
async fn a_body_of_more_than_64_kib_is_refused() {
    let port = canned(V4, response(&"x".repeat(64 * 1024))).await;
    let (_, body) = get(&format!("http://127.0.0.1:{port}/"), None, Wanted::All).await.unwrap();
    assert_eq!(body.len(), 64 * 1024);
    let port = canned(V4, response(&"x".repeat(64 * 1024 + 1))).await;
    let refused = get(&format!("http://127.0.0.1:{port}/"), None, Wanted::All).await;
    assert_eq!(refused, Err(format!("the body from 127.0.0.1:{port} is longer than 64 KiB")));
}

#[tokio::test]
async fn a_body_cut_short_is_a_failure_unless_a_line_was_wanted() {
    let port = canned(V4, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").await;
    let url = format!("http://127.0.0.1:{port}/");
    assert!(get(&url, None, Wanted::All).await.unwrap_err().contains(&format!("127.0.0.1:{port}")));
    let line = get(&url, None, Wanted::FirstLine(Deadline::after(PATIENCE))).await;
    assert_eq!(line, Ok((200, "short".to_owned())));
}

#[tokio::test]
async fn ipv6_is_dialled_and_brackets_are_taken_off() {
    let port = canned(address("::1"), response("six")).await;
    assert_eq!(get(&format!("http://[::1]:{port}/"), None, Wanted::All).await, Ok((200, "six".to_owned())));
}

#[tokio::test]
async fn certificates_are_verified() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let (port, handshakes) = https(V4, &authority, certificate_for(&["registry.example.net"])).await;
    let (resolver, _) = name_server(|_, rtype| match rtype {
        Rtype::A => Reply::Records(vec![at("registry.example.net.", 60, "127.0.0.1")]),
        _ => Reply::Negative(Rcode::NOERROR),
    })
    .await;
    let prober = Arc::new(Prober::new(&[resolver]));
    let url = format!("https://Registry.example.net:{port}/");
    let good = get_with(&prober, &url, Some(&anchors.file()), Wanted::All).await;
    assert_eq!(good, Ok((200, "ready".to_owned())));
    assert_eq!(handshakes.lock().unwrap()[0].0.as_deref(), Some("registry.example.net"));

    let stranger = Anchors::of(&super::handshake::authority());
    let refused = get_with(&prober, &url, Some(&stranger.file()), Wanted::All).await.unwrap_err();
    assert!(refused.starts_with(&format!("certificate of 127.0.0.1:{port} for `registry.example.net`")), "{refused}");

    let refused = get(&format!("https://127.0.0.1:{port}/"), Some(&anchors.file()), Wanted::All).await.unwrap_err();
    assert!(refused.contains("is not valid for `127.0.0.1`"), "{refused}");
}

/// A request that was sent must not be sent again to another address.
#[tokio::test]
async fn one_connection_gets_the_request() {
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = sent.clone();
    let port = listen(address("0.0.0.0"), move |mut stream| {
        let seen = seen.clone();
        async move {
            if head(&mut stream).await.starts_with("POST /fence HTTP/1.1\r\n") {
                seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
    })
    .await;
    let (resolver, _) = name_server(|owner, rtype| match (owner, rtype) {
        (_, Rtype::A) => {
            Reply::Records(vec![at("weu.example.net.", 60, "127.0.0.1"), at("weu.example.net.", 60, "127.0.0.2")])
        }
        _ => Reply::Negative(Rcode::NOERROR),
    })
    .await;
    let prober = Arc::new(Prober::new(&[resolver]));
    let url = Url::parse(&format!("http://weu.example.net:{port}/fence")).unwrap();
    let request = (Request::post("/"), Bytes::from_static(b"{}"));
    let reply = prober.request(&url, None, request, Deadline::after(PATIENCE), |_| Wanted::Nothing).await;
    // Cut off, and maybe reset: what matters is that it was sent once, though both addresses could be dialled.
    assert!(reply.is_err(), "{reply:?}");
    assert_eq!(sent.load(std::sync::atomic::Ordering::SeqCst), 1);
}
