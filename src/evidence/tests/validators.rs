//! What a validator stands for: what is said, and a document that has not expired.

use super::waiting::event;
use super::*;

/// The length of a slot, milliseconds: half of the shortest validity.
const SLOT: u64 = 30_000;

fn after(slots: u64) -> Timestamp {
    Timestamp(NOW.0 + slots * SLOT)
}

#[test]
fn another_answer_of_one_epoch_is_another_document() {
    let mut server = Server::start();
    let tag = opaque(&server.get("/v1/hubs/all.example.", &[]));
    let seen = format!("If-None-Match: \"{tag}\"");
    let mut client = server.connect();
    client.send("GET", "/v1/hubs/all.example.?wait=5m", &[&seen]);
    let mut stream = server.connect();
    stream.send("GET", "/v1/hubs/all.example.", &["Accept: text/event-stream", &format!("Last-Event-ID: {tag}")]);
    server.until("both wait", |totals| totals.waiting == 2);
    assert_eq!(stream.head().status, 200);
    server.publish([choice(What::All, 7), choice(What::Endpoint(0), 42)]);
    let response = client.receive(true);
    assert_eq!(
        (response.status, &response.json()["region"], &response.json()["epoch"]),
        (200, &Value::Null, &json!(7))
    );
    assert_ne!(opaque(&response), tag);
    let (id, data) = event(&mut stream);
    assert_eq!((id, data), (opaque(&response), response.body));
    assert_eq!(server.get("/v1/hubs/all.example.", &[&seen]).status, 200);
    // And back: it is said again what was said.
    server.publish([choice(What::Endpoint(0), 7), choice(What::Endpoint(0), 42)]);
    assert_eq!(event(&mut stream).0, tag);
    assert_eq!(server.get("/v1/hubs/all.example.", &[&seen]).status, 304);
}

#[test]
fn a_reload_that_changes_an_address_wakes_who_waits() {
    let mut server = Server::start();
    let seen = server.seen();
    let mut client = server.connect();
    client.send("GET", "/v1/hubs/hub.example.?wait=5m", &[&seen]);
    server.until("it waits", |totals| totals.waiting == 1);
    let mut moved = hubs();
    moved[1].endpoints[0].answer = Answer::Cname(name("hub-weu.moved."));
    server.content = content(moved);
    server.switch(0, 42);
    let response = client.receive(true);
    assert_eq!((response.status, &response.json()["answer"]), (200, &json!(["CNAME hub-weu.moved."])));
}

#[test]
fn a_copy_that_may_have_expired_is_replaced() {
    let server = Server::start();
    let (seen, at) = (server.seen(), server.get("/v1/hubs/hub.example.", &[]).json()["at"].clone());
    assert_eq!(server.get("/v1/hubs/hub.example.", &[&seen]).status, 304);
    for slots in [1, 2, 10] {
        server.set_clock(after(slots));
        let fresh = server.get("/v1/hubs/hub.example.", &[&seen]);
        assert_eq!(fresh.status, 200, "{slots}");
        assert_ne!(fresh.json()["at"], at);
    }
    // It may have expired: it is not waited with it.
    assert_eq!(server.get("/v1/hubs/hub.example.?wait=5m", &[&seen]).status, 200);
    // A copy of this slot is good again.
    assert_eq!(server.get("/v1/hubs/hub.example.", &[&server.seen()]).status, 304);
}

#[test]
fn no_cache_keeps_a_copy_past_half_of_its_validity() {
    let mut server = Server::start();
    let mut long = hubs();
    long[1].ttl = Duration::from_secs(300);
    server.content = content(long);
    server.switch(0, 42);
    let response = server.get("/v1/hubs/hub.example.", &[]);
    assert_eq!((&response.json()["ttl"], response.field("cache-control")), (&json!(300), "max-age=150"));
    let seen = server.seen();
    // 14:03:11 is 41 s into a slot of 150 s.
    for (later, status) in [(108_000, 304), (110_000, 200)] {
        server.set_clock(Timestamp(NOW.0 + later));
        let response = server.get("/v1/hubs/hub.example.", &[&seen]);
        assert_eq!((response.status, response.field("cache-control")), (status, "max-age=150"), "{later}");
    }
}

#[test]
fn a_wait_ends_with_a_fresh_document_when_its_slot_has_passed() {
    let server = Server::start();
    let (tag, seen) = (server.tag(), server.seen());
    // It has one of the slot before, and waits for a change all the same.
    server.set_clock(after(1));
    let fresh = server.get("/v1/hubs/hub.example.?wait=50ms", &[&seen]);
    assert_eq!((fresh.status, fresh.json()["at"].as_str()), (200, Some("2026-11-23T14:03:41Z")));
    assert_ne!(opaque(&fresh), tag);
}

#[tokio::test]
async fn a_slot_that_ends_ends_no_wait() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.send("GET", "/v1/hubs/hub.example.?wait=5m", &[&server.seen()]);
    server.until("it waits", |totals| totals.waiting == 1);
    server.set_clock(after(1));
    // Another hub changes, so that those who wait are looked at; what comes first is the change of this one.
    server.publish([choice(What::Endpoint(1), 8), choice(What::Endpoint(0), 42)]);
    server.switch(1, 43);
    assert_eq!(client.receive(true).json()["epoch"], 43);
    // The end of the daemon is an end of a wait: the copy is of the slot before.
    client.send("GET", "/v1/hubs/hub.example.?wait=5m", &[&server.seen()]);
    server.until("it waits", |totals| totals.waiting == 1);
    server.set_clock(after(2));
    server.listener.take().unwrap().stop(PATIENCE).await;
    assert_eq!(client.receive(true).status, 200);
}

/// Takes what is left of a slot: 1 s.
#[test]
fn a_stream_shows_a_fresh_document_every_slot() {
    let server = Server::start();
    // 14:03:29: the slot ends at :30.
    server.set_clock(Timestamp(NOW.0 + 18_000));
    let mut client = server.connect();
    client.send("GET", "/v1/hubs/hub.example.", &["Accept: text/event-stream"]);
    assert_eq!(client.head().status, 200);
    let (first, data) = event(&mut client);
    assert!(data.contains("\"at\":\"2026-11-23T14:03:29Z\""), "{data}");
    server.set_clock(after(1));
    let (second, data) = event(&mut client);
    assert!(data.contains("\"at\":\"2026-11-23T14:03:41Z\""), "{data}");
    assert_eq!(second, server.tag());
    assert_eq!(first.rsplit_once('-').unwrap().0, second.rsplit_once('-').unwrap().0);
    // One that comes back with the one before gets the fresh one at once.
    let mut late = server.connect();
    let last = format!("Last-Event-ID: {first}");
    late.send("GET", "/v1/hubs/hub.example.", &["Accept: text/event-stream", &last]);
    assert_eq!(late.head().status, 200);
    assert_eq!(event(&mut late).0, server.tag());
}

/// RFC 9110 8.6: a length there would be that of the document.
#[test]
fn what_is_not_modified_has_no_length() {
    let server = Server::start();
    for method in ["GET", "HEAD"] {
        let mut client = server.connect();
        for _ in 0..2 {
            let response = client.ask(method, "/v1/hubs/hub.example.", &[&server.seen()]);
            assert_eq!(response.status, 304);
            let framing = ["content-length", "transfer-encoding"].map(|name| response.fields.get(name));
            assert_eq!(framing, [None, None], "{method}");
        }
    }
}
