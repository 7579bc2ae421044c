use std::net::Ipv4Addr;
use std::path::Path;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::policy::{Comparison, Exec, HttpGate};

const PATIENCE: Duration = Duration::from_secs(30);

/// A gate that is due once an hour, beside its first look.
fn gate(name: &str, kind: GateKind) -> Gate {
    let hour = Duration::from_hours(1);
    Gate { name: GateName::new(name), kind, interval: hour, timeout: PATIENCE, max_age: 4 * hour }
}

fn often(gate: Gate) -> Gate {
    Gate { interval: Duration::from_millis(20), ..gate }
}

fn shell(name: &str, script: &str) -> Gate {
    let command = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
    gate(name, GateKind::Exec(Exec { command }))
}

fn http(name: &str, port: u16) -> Gate {
    let value = Some(("/lag_seconds".to_owned(), Comparison::AtMost(60.0)));
    let url = format!("http://127.0.0.1:{port}/status?token=secret");
    gate(name, GateKind::Http(HttpGate { url, ca: None, status: vec![(200, 200)], value }))
}

fn wanted<const N: usize>(gates: [Gate; N]) -> BTreeMap<GateName, Arc<Gate>> {
    gates.into_iter().map(|gate| (gate.name.clone(), Arc::new(gate))).collect()
}

struct Received(mpsc::Receiver<Evidence>);

impl Received {
    async fn next(&mut self) -> Evidence {
        timeout(PATIENCE, self.0.recv()).await.expect("no evidence comes").expect("the gates run")
    }

    async fn next_of(&mut self, name: &str) -> Evidence {
        loop {
            let evidence = self.next().await;
            if evidence.gate.as_str() == name {
                return evidence;
            }
        }
    }
}

/// With a clock that stands.
fn gates() -> (Gates, Received) {
    gates_with(|| Timestamp(7))
}

fn gates_with(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> (Gates, Received) {
    let (sender, evidence) = mpsc::channel(64);
    (Gates::start(Arc::new(Prober::new(&[])), sender, clock), Received(evidence))
}

async fn open() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The next request: its head, and the connection.
async fn request(listener: &TcpListener) -> (String, TcpStream) {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("it is asked").unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    (String::from_utf8(read).unwrap(), stream)
}

async fn respond(mut stream: TcpStream, status: &str, body: &str) {
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(response.as_bytes()).await.unwrap();
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Appends a line to a file at each look.
fn counting(file: &Path) -> Gate {
    shell("counted", &format!("echo look >> {}; echo counted", file.display()))
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

#[tokio::test]
async fn evidence_says_what_was_seen_and_when() {
    let (listener, port) = open().await;
    let (mut gates, mut received) = gates();
    gates.update(wanted([shell("exec", "echo $CONCIERGE_GATE is complete"), http("http", port)]));
    let (head, stream) = request(&listener).await;
    assert!(head.starts_with("GET /status?token=secret HTTP/1.1\r\n"), "{head}");
    respond(stream, "200 OK", r#"{"lag_seconds":412}"#).await;
    let (first, second) = (received.next().await, received.next().await);
    let (exec, http) = if first.gate.as_str() == "exec" { (first, second) } else { (second, first) };
    let evidence = |gate: &str, open, sentence: &str| Evidence {
        gate: GateName::new(gate),
        at: Timestamp(7),
        open,
        sentence: sentence.into(),
    };
    assert_eq!(exec, evidence("exec", true, "exec is complete"));
    assert_eq!(http, evidence("http", false, "200, /lag_seconds is 412, expected at most 60"));
    assert_eq!(gates.restarts(), 0);
}

#[tokio::test]
async fn what_cannot_be_reached_is_shut_and_shows_no_secret() {
    let closed = open().await.1;
    let (mut gates, mut received) = gates();
    gates.update(wanted([http("registry", closed)]));
    let evidence = received.next().await;
    assert!(!evidence.open);
    assert_eq!(&*evidence.sentence, format!("connect 127.0.0.1:{closed}: connection refused"));
}

#[tokio::test]
async fn acknowledgements_are_not_looked_at() {
    let (mut gates, mut received) = gates();
    gates.update(wanted([gate("ack", GateKind::Ack), often(shell("exec", "true"))]));
    for _ in 0..5 {
        assert_eq!(received.next().await.gate.as_str(), "exec");
    }
    gates.look_now(&GateName::new("ack"));
    assert_eq!(received.next().await.gate.as_str(), "exec");
}

#[tokio::test]
async fn a_gate_is_looked_at_again_and_again() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("looks");
    let (mut gates, mut received) = gates();
    gates.update(wanted([often(counting(&file))]));
    for look in 1..=5 {
        received.next().await;
        assert!(lines(&file) >= look);
    }
}

#[tokio::test]
async fn a_look_can_be_asked_for() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("looks");
    let (mut gates, mut received) = gates();
    gates.update(wanted([counting(&file)]));
    for look in 1..=4 {
        received.next().await;
        assert_eq!(lines(&file), look, "the next one is due in an hour");
        gates.look_now(&GateName::new("counted"));
    }
    gates.look_now(&GateName::new("unknown"));
}

#[tokio::test]
async fn a_look_asked_for_during_a_look_comes_after_it() {
    let (listener, port) = open().await;
    let (mut gates, mut received) = gates();
    gates.update(wanted([http("registry", port)]));
    let (_, stream) = request(&listener).await;
    gates.look_now(&GateName::new("registry"));
    gates.look_now(&GateName::new("registry"));
    respond(stream, "503 Busy", "").await;
    assert_eq!(&*received.next().await.sentence, "503, expected 200");
    let (_, stream) = request(&listener).await;
    respond(stream, "200 OK", r#"{"lag_seconds":1}"#).await;
    assert_eq!(&*received.next().await.sentence, "200, /lag_seconds is 1");
}

#[tokio::test]
async fn an_update_leaves_undisturbed_what_did_not_change() {
    let (listener, port) = open().await;
    let (mut gates, mut received) = gates();
    gates.update(wanted([http("kept", port)]));
    let (_, stream) = request(&listener).await;
    gates.update(wanted([http("kept", port), shell("added", "true")]));
    assert_eq!(received.next().await.gate.as_str(), "added", "the other one waits for its response");
    respond(stream, "200 OK", r#"{"lag_seconds":1}"#).await;
    assert!(received.next_of("kept").await.open, "on the connection of before the update");
}

#[tokio::test]
async fn another_definition_begins_anew() {
    let (listener, port) = open().await;
    let (mut gates, mut received) = gates();
    gates.update(wanted([http("registry", port)]));
    let (_, mut stream) = request(&listener).await;
    gates.update(wanted([shell("registry", "echo by another way")]));
    assert_eq!(&*received.next().await.sentence, "by another way");
    let ended = timeout(PATIENCE, stream.read(&mut [0])).await.expect("the old look goes on");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert_eq!(gates.restarts(), 0);
}

#[tokio::test]
async fn what_is_no_longer_wanted_is_no_longer_looked_at() {
    let (mut gates, mut received) = gates();
    gates.update(wanted([often(shell("gone", "true")), often(shell("kept", "true"))]));
    received.next_of("gone").await;
    received.next_of("kept").await;
    gates.update(wanted([often(shell("kept", "true"))]));
    let mut in_a_row = 0;
    let ends = async {
        while in_a_row < 20 {
            in_a_row = if received.next().await.gate.as_str() == "kept" { in_a_row + 1 } else { 0 };
        }
    };
    timeout(PATIENCE, ends).await.expect("both go on");
    assert_eq!(gates.restarts(), 0, "what was stopped is not started again");
}

#[tokio::test]
async fn one_that_hangs_delays_no_other() {
    let (listener, port) = open().await;
    let (mut gates, mut received) = gates();
    gates.update(wanted([http("slow", port), shell("hangs", "sleep 600"), often(shell("fast", "true"))]));
    let _held = request(&listener).await;
    for _ in 0..10 {
        assert_eq!(received.next().await.gate.as_str(), "fast");
    }
}

#[tokio::test]
async fn no_more_are_looked_at_at_once_than_the_budget_allows() {
    let (listener, port) = open().await;
    let (mut gates, mut received) = gates();
    let of = AT_ONCE + 8;
    let every: BTreeMap<_, _> =
        (0..of).map(|n| http(&format!("g{n}"), port)).map(|gate| (gate.name.clone(), Arc::new(gate))).collect();
    gates.update(every);
    let mut held = Vec::new();
    for _ in 0..AT_ONCE {
        held.push(request(&listener).await.1);
    }
    // The others wait: no connection comes until a response goes.
    let next = timeout(Duration::from_millis(1_500), listener.accept()).await;
    assert!(next.is_err(), "more than {AT_ONCE} at once");
    for _ in AT_ONCE..of {
        respond(held.pop().unwrap(), "503 Busy", "").await;
        held.push(request(&listener).await.1);
        received.next().await;
    }
}

#[tokio::test]
async fn a_task_that_panics_is_started_again() {
    let asked = AtomicU64::new(0);
    let (mut gates, mut received) = gates_with(move || {
        assert!(asked.fetch_add(1, Ordering::SeqCst) != 1, "the clock stands still");
        Timestamp(7)
    });
    gates.update(wanted([often(shell("exec", "true"))]));
    for _ in 0..3 {
        received.next().await;
    }
    assert_eq!(gates.restarts(), 1);
}

#[tokio::test]
async fn nothing_is_left_when_the_gates_are_dropped() {
    let folder = TempDir::new().unwrap();
    let child = folder.path().join("child");
    let (mut gates, mut received) = gates();
    let script = format!("sleep 600 & echo $! > {0}.part; mv {0}.part {0}; wait", child.display());
    gates.update(wanted([shell("hangs", &script), often(shell("often", "true"))]));
    until("it does not start", || child.exists()).await;
    drop(gates);
    timeout(PATIENCE, async { while received.0.recv().await.is_some() {} }).await.expect("a task is left");
    let number = std::fs::read_to_string(&child).unwrap();
    let state = format!("/proc/{}/stat", number.trim());
    let ended = || std::fs::read_to_string(&state).map_or(true, |stat| stat.contains(") Z "));
    until("a program is left", ended).await;
}

#[tokio::test]
async fn everything_ends_when_nobody_receives() {
    let shared = Arc::new(());
    let held = Arc::downgrade(&shared);
    let (mut gates, mut received) = gates_with(move || {
        let _held = &shared;
        Timestamp(7)
    });
    gates.update(wanted([often(shell("a", "true"))]));
    received.next().await;
    drop(received);
    until("a task is left", || held.strong_count() == 0).await;
    assert_eq!(gates.restarts(), 0);
}

#[test]
fn first_looks_are_spread_over_a_second() {
    let check = |interval: u64, index, of, random, millis| {
        let gate = Gate { interval: Duration::from_millis(interval), ..gate("g", GateKind::Ack) };
        assert_eq!(first(&gate, (index, of), random).as_millis(), millis, "{interval} {index}/{of} {random}");
    };
    check(30_000, 0, 1, 0.0, 0);
    check(30_000, 0, 1, 0.5, 50);
    check(30_000, 1, 4, 0.0, 250);
    check(30_000, 3, 4, 0.999, 774);
    check(500, 1, 2, 0.0, 250);
}

#[test]
fn intervals_vary_by_a_tenth() {
    let gate = Gate { interval: Duration::from_secs(30), ..gate("g", GateKind::Ack) };
    let check = |random, millis| assert_eq!(period(&gate, random).as_millis(), millis, "{random}");
    check(0.0, 27_000);
    check(0.5, 30_000);
    check(0.75, 31_500);
}
