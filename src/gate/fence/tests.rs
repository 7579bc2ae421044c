use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::dns::Name;
use crate::policy::{Exec, Fence, OnFenceFailure, RegionName};

const PATIENCE: Duration = Duration::from_secs(30);

fn call(epoch: u64, hook: Hook) -> FenceCall {
    within(PATIENCE, epoch, hook)
}

fn within(timeout: Duration, epoch: u64, hook: Hook) -> FenceCall {
    FenceCall {
        hub: Name::parse("hub.example.net.", None).unwrap(),
        from: RegionName::new("westeurope"),
        to: RegionName::new("northeurope"),
        epoch,
        planned: Timestamp(1_795_442_591_500),
        reason: "westeurope is down".into(),
        fence: Arc::new(Fence { hook, timeout, on_failure: OnFenceFailure::Proceed }),
    }
}

fn http(port: u16) -> Hook {
    Hook::Http { url: format!("http://127.0.0.1:{port}/fence?token=secret"), ca: None }
}

fn shell(script: &str) -> Hook {
    Hook::Exec(Exec { command: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()] })
}

struct Results(mpsc::Receiver<Fenced>);

impl Results {
    async fn next(&mut self) -> Fenced {
        timeout(PATIENCE, self.0.recv()).await.expect("no result comes").expect("the fences run")
    }

    /// The next one, of the call with this epoch.
    async fn check(&mut self, epoch: u64, acknowledged: bool, sentence: &str) {
        let Fenced { hub, to, epoch: found, acknowledged: yes, sentence: said, .. } = self.next().await;
        assert_eq!((hub.to_string().as_str(), to.as_str()), ("hub.example.net.", "northeurope"));
        assert_eq!((found, yes, &*said), (epoch, acknowledged, sentence));
    }

    fn assert_none(&mut self) {
        assert_eq!(self.0.try_recv(), Err(mpsc::error::TryRecvError::Empty), "one result too many");
    }
}

fn fences() -> (Fences, Results) {
    let (sender, results) = mpsc::channel(256);
    (Fences::start(Arc::new(Prober::new(&[])), sender, || Timestamp(1_795_442_591_500)), Results(results))
}

async fn open() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The next request: its head, its body, and the connection.
async fn request(listener: &TcpListener) -> (String, String, TcpStream) {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("it is called").unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(read).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap(), stream)
}

async fn respond(mut stream: TcpStream, status: &str, body: &str) {
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(response.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_call_is_a_post_of_json_with_an_idempotency_key() {
    let (listener, port) = open().await;
    let (fences, mut results) = fences();
    fences.call(call(42, http(port)));
    let (head, body, stream) = request(&listener).await;
    assert!(head.starts_with("post /fence?token=secret http/1.1\r\n"), "{head}");
    for field in ["content-type: application/json", "idempotency-key: hub.example.net./42/1795442591500"] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{field} in {head}");
    }
    let expected = json!({
        "hub": "hub.example.net.", "from": "westeurope", "to": "northeurope", "epoch": 42,
        "reason": "westeurope is down", "at": "2026-11-23T14:03:11Z",
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    respond(stream, "200 OK", "8012 sessions closed\nmore").await;
    results.check(42, true, "200: 8012 sessions closed").await;
    results.assert_none();
}

#[tokio::test]
async fn a_status_of_200_to_299_acknowledges() {
    let (listener, port) = open().await;
    let (fences, mut results) = fences();
    let mut epoch = 0;
    for (status, acknowledged, sentence) in [
        ("200 OK", true, "200: said"),
        ("202 Accepted", true, "202: said"),
        ("302 Found", false, "302 (redirects are not followed): said"),
        ("409 Conflict", false, "409: said"),
        ("503 Busy", false, "503: said"),
    ] {
        epoch += 1;
        fences.call(call(epoch, http(port)));
        respond(request(&listener).await.2, status, "said").await;
        results.check(epoch, acknowledged, sentence).await;
    }
    fences.call(call(99, http(port)));
    respond(request(&listener).await.2, "204 No Content", "").await;
    results.check(99, true, "204").await;
}

#[tokio::test]
async fn a_body_that_does_not_come_takes_no_acknowledgement_back() {
    let (listener, port) = open().await;
    let (fences, mut results) = fences();
    fences.call(call(1, http(port)));
    let (_, _, mut stream) = request(&listener).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf a").await.unwrap();
    results.check(1, true, "200: half a").await;
}

#[tokio::test]
async fn a_program_gets_the_same_on_its_input_and_in_its_environment() {
    let (fences, mut results) = fences();
    fences.call(call(42, shell("cat")));
    let fenced = results.next().await;
    let said: Value = serde_json::from_str(&fenced.sentence).unwrap();
    assert_eq!((fenced.acknowledged, &said["epoch"], &said["from"]), (true, &json!(42), &json!("westeurope")));
    fences.call(call(43, shell("echo $CONCIERGE_HUB $CONCIERGE_FROM $CONCIERGE_TO $CONCIERGE_EPOCH")));
    results.check(43, true, "hub.example.net. westeurope northeurope 43").await;
    fences.call(call(44, shell("echo it will not stop; exit 2")));
    results.check(44, false, "exit 2: it will not stop").await;
}

#[tokio::test]
async fn what_does_not_answer_in_time_is_not_acknowledged() {
    let (listener, port) = open().await;
    let (fences, mut results) = fences();
    let short = Duration::from_secs(2);
    fences.call(within(short, 1, http(port)));
    let _held = request(&listener).await;
    results.check(1, false, &format!("timed out after 2 s while waiting for the response of 127.0.0.1:{port}")).await;
    fences.call(within(short, 2, shell("sleep 600")));
    results.check(2, false, "killed after 2 s").await;
    let closed = open().await.1;
    fences.call(call(3, http(closed)));
    results.check(3, false, &format!("connect 127.0.0.1:{closed}: connection refused")).await;
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

#[tokio::test]
async fn a_call_that_is_under_way_is_not_made_twice() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("calls");
    let (listener, port) = open().await;
    let (fences, mut results) = fences();
    let script = shell(&format!("echo call >> {}", file.display()));
    fences.call(call(7, http(port)));
    fences.call(call(7, http(port)));
    let (_, _, stream) = request(&listener).await;
    fences.call(call(7, http(port)));
    fences.call(call(8, script.clone()));
    results.check(8, true, "exit 0").await;
    respond(stream, "200 OK", "once").await;
    results.check(7, true, "200: once").await;
    assert_eq!(lines(&file), 1);

    // What is another call, or comes after it, is made. In the order of the calls: had the second of the same been made,
    // it would have come to the listener before this one.
    fences.call(call(9, http(port)));
    let (head, _, stream) = request(&listener).await;
    assert!(head.contains("idempotency-key: hub.example.net./9/1795442591500\r\n"), "{head}");
    respond(stream, "200 OK", "").await;
    results.check(9, true, "200").await;
    fences.call(call(8, script));
    results.check(8, true, "exit 0").await;
    assert_eq!(lines(&file), 2);
    results.assert_none();
}

#[tokio::test]
async fn the_wait_for_a_place_counts() {
    let (listener, port) = open().await;
    let (fences, mut results) = fences();
    let every = AT_ONCE as u64;
    for epoch in 0..every {
        fences.call(call(epoch, http(port)));
    }
    let mut held = Vec::new();
    for _ in 0..every {
        held.push(request(&listener).await.2);
    }
    fences.call(within(Duration::from_millis(100), every, http(port)));
    results.check(every, false, "timed out after 100 ms: 64 other calls were under way").await;
    // One with more patience takes the place of the first that ends.
    fences.call(call(every + 1, http(port)));
    respond(held.pop().unwrap(), "200 OK", "").await;
    let (head, _, stream) = request(&listener).await;
    assert!(head.contains(&format!("idempotency-key: hub.example.net./{}/1795442591500\r\n", every + 1)), "{head}");
    respond(stream, "200 OK", "").await;
    let (first, second) = (results.next().await, results.next().await);
    assert!(first.acknowledged && second.acknowledged);
    for stream in held {
        respond(stream, "200 OK", "").await;
    }
    for _ in 1..every {
        assert!(results.next().await.acknowledged);
    }
    results.assert_none();
}

#[tokio::test]
async fn a_call_that_panics_has_a_result_too() {
    let (sender, receiver) = mpsc::channel(16);
    let first = Mutex::new(true);
    let clock = move || {
        assert!(!std::mem::take(&mut *first.lock().unwrap_or_else(std::sync::PoisonError::into_inner)), "no clock");
        Timestamp(7)
    };
    let (fences, mut results) = (Fences::start(Arc::new(Prober::new(&[])), sender, clock), Results(receiver));
    fences.call(call(1, shell("true")));
    results.check(1, false, "the call was not completed: it panicked: no clock").await;
    fences.call(call(1, shell("true")));
    results.check(1, true, "exit 0").await;
    results.assert_none();
}
