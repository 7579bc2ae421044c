//! What a client cannot take.

use super::*;
use crate::process::passed::Passed;

#[test]
fn more_connections_than_there_may_be_are_closed_at_once() {
    let server = Server::with(16);
    let mut held: Vec<Client> = (0..16).map(|_| server.connect()).collect();
    for client in &mut held {
        assert_eq!(client.ask("GET", "/healthz", &[]).status, 200);
    }
    assert_eq!(server.connect().closed(), "");
    server.until("it is counted", |totals| totals.refused == 1);
    drop(held.pop());
    server.until("its place is free", |totals| totals.connections == 15);
    assert_eq!(server.get("/healthz", &[]).status, 200);
}

#[test]
fn those_who_wait_leave_connections_to_the_others() {
    let server = Server::with(20);
    let seen = server.seen();
    let mut held: Vec<Client> = (0..18).map(|_| server.connect()).collect();
    for client in &mut held {
        client.send("GET", "/v1/hubs/hub.example.?wait=5m", &[&seen]);
    }
    server.until("all wait", |totals| totals.waiting == 18);
    let mut client = server.connect();
    let mut stream = server.connect();
    let refused = client.ask("GET", "/v1/hubs/hub.example.?wait=5m", &[&seen]);
    assert_eq!((refused.status, refused.field("retry-after")), (503, "30"));
    // Who waits for a place does not keep one of those that are left to the others.
    assert_eq!((refused.field("connection"), client.closed().as_str()), ("close", ""));
    let refused = stream.ask("GET", "/v1/hubs/hub.example.", &["Accept: text/event-stream"]);
    assert_eq!((refused.status, refused.field("connection"), stream.closed().as_str()), (503, "close", ""));
    server.until("both are closed", |totals| totals.connections == 18);
    let mut client = server.connect();
    assert_eq!(client.ask("GET", "/probe/active/weu", &[]).status, 200);
    assert_eq!(client.ask("GET", "/v1/hubs/hub.example.", &[&seen]).status, 304);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::start();
    let many: Vec<String> = (0..100).map(|n| format!("X-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(server.get("/healthz", &many).status, 431);
    // What is not read when the connection is closed resets it, and may take the response along.
    let refused = |target: &str, field: &str| {
        let mut client = server.connect();
        client.send("GET", target, &[field]);
        let said = client.closed();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    };
    refused("/healthz", &format!("X-Long: {}", "x".repeat(9_000)));
    refused(&format!("/v1/hubs/{}", "x".repeat(9_000)), "X-Short: 1");
    assert!(server.counters.totals().responses.iter().all(|(_, class, count)| *class != "2xx" || *count == 0));
}

#[test]
fn what_is_not_http_is_closed() {
    let server = Server::start();
    let mut client = server.connect();
    client.stream.get_mut().write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").unwrap();
    let said = client.closed();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
}

/// Takes as long as the limit: 10 s.
#[test]
fn connections_that_do_nothing_are_closed() {
    let server = Server::start();
    let silent = server.connect();
    let mut slow = server.connect();
    slow.stream.get_mut().write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
    let mut idle = server.connect();
    assert_eq!(idle.ask("GET", "/healthz", &[]).status, 200);
    for mut client in [silent, slow, idle] {
        client.closed();
    }
    server.until("all are closed", |totals| totals.connections == 0);
}

#[test]
fn a_request_without_its_host_is_refused() {
    let server = Server::start();
    let status = |head: &str| {
        let mut client = server.connect();
        client.stream.get_mut().write_all(format!("GET /healthz {head}\r\n\r\n").as_bytes()).unwrap();
        let response = client.receive(true);
        if response.status == 400 {
            assert_eq!(response.field("content-type"), "application/problem+json");
            assert_eq!((response.field("connection"), client.closed().as_str()), ("close", ""));
        }
        response.status
    };
    assert_eq!(status("HTTP/1.1\r\nHost: localhost"), 200);
    assert_eq!(status("HTTP/1.0"), 200);
    assert_eq!(status("HTTP/1.1"), 400);
    assert_eq!(status("HTTP/1.1\r\nHost: localhost\r\nHost: localhost"), 400);
    assert_eq!(status("HTTP/1.1\r\nHost: a b"), 400);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let server = Server::start();
    let public = Public { listen: vec![server.address], connections: 16 };
    let readers = server.publisher.readers();
    let error =
        Listener::start(&public, server.state.path(), &Passed::default(), readers, Arc::default(), || NOW).unwrap_err();
    let expected = format!("cannot listen for the public on {}: ", server.address);
    assert!(error.to_string().starts_with(&expected), "{error}");
}
