//! Long polls and streams of events.

use super::*;

#[test]
fn a_long_poll_is_answered_when_the_epoch_changes() {
    let mut server = Server::start();
    let seen = server.seen();
    let (mut by_query, mut by_field) = (server.connect(), server.connect());
    by_query.send("GET", "/v1/hubs/hub.example.?wait=5m", &[&seen]);
    by_field.send("GET", "/v1/hubs/hub.example.", &[&seen, "Prefer: wait=300"]);
    server.until("both wait", |totals| totals.waiting == 2);
    // Publications that do not switch this hub end no wait.
    server.publish([choice(What::Endpoint(1), 8), choice(What::Endpoint(0), 42)]);
    // A wake-up without a change is none to those who wait: the switch is what they tell of.
    server.switch(1, 43);
    for mut client in [by_query, by_field] {
        let response = client.receive(true);
        assert_eq!((response.status, response.field("etag").get(..6)), (200, Some("W/\"43-")));
        assert_eq!(response.json()["region"], "neu");
        assert_eq!(client.ask("GET", "/healthz", &[]).status, 200, "the connection can be used again");
    }
    server.until("nobody waits", |totals| totals.waiting == 0);
}

#[test]
fn a_long_poll_without_a_switch_ends_with_304() {
    let server = Server::start();
    let seen = server.seen();
    let response = server.get("/v1/hubs/hub.example.?wait=50ms", &[&seen]);
    assert_eq!((response.status, response.field("etag")), (304, TAG));
    server.until("nobody waits", |totals| totals.waiting == 0);
}

#[test]
fn what_a_client_has_not_seen_is_answered_at_once() {
    let server = Server::start();
    assert_eq!(server.get("/v1/hubs/hub.example.?wait=5m", &[]).status, 200);
    assert_eq!(server.get("/v1/hubs/hub.example.?wait=5m", &["If-None-Match: \"41\""]).status, 200);
}

#[test]
fn a_wait_ends_with_its_hub() {
    let mut server = Server::start();
    let seen = server.seen();
    let mut client = server.connect();
    client.send("GET", "/v1/hubs/hub.example.?wait=5m", &[&seen]);
    let mut stream = server.connect();
    stream.send(
        "GET",
        "/v1/hubs/hub.example.",
        &["Accept: text/event-stream", &format!("Last-Event-ID: {}", server.tag())],
    );
    server.until("both wait", |totals| totals.waiting == 2);
    let only = content(vec![hubs().remove(0)]);
    server.publisher.publish(Snapshot::new(2, only, Box::new([choice(What::Endpoint(0), 7)])).unwrap());
    assert_eq!(client.receive(true).status, 404);
    assert_eq!(stream.head().status, 200);
    server.until("nobody waits", |totals| totals.waiting == 0);
}

#[test]
fn a_client_that_goes_away_waits_no_longer() {
    let server = Server::start();
    let seen = server.seen();
    let mut client = server.connect();
    client.send("GET", "/v1/hubs/hub.example.?wait=5m", &[&seen]);
    server.until("it waits", |totals| totals.waiting == 1);
    drop(client);
    server.until("it is gone", |totals| totals.waiting == 0 && totals.connections == 0);
}

/// The next event of a stream: its id and its data.
pub(super) fn event(client: &mut Client) -> (String, String) {
    let (mut id, mut data) = (String::new(), String::new());
    loop {
        // Chunks (RFC 9112 7.1) end where events do not: lengths and empty lines are neither fields nor ends here.
        let line = client.line();
        if let Some(found) = line.strip_prefix("id: ") {
            id = found.to_owned();
        } else if let Some(found) = line.strip_prefix("data: ") {
            data = found.to_owned();
        }
        if !id.is_empty() && !data.is_empty() {
            return (id, data);
        }
    }
}

#[test]
fn a_stream_shows_every_switch() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.send("GET", "/v1/hubs/hub.example.", &["Accept: text/event-stream"]);
    let head = client.head();
    assert_eq!((head.status, head.field("content-type")), (200, "text/event-stream"));
    let (id, data) = event(&mut client);
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap()["region"], "weu");
    assert_eq!(format!("W/\"{id}\""), TAG);
    for (position, epoch, region) in [(1, 43, "neu"), (0, 44, "weu")] {
        server.switch(position, epoch);
        let (id, data) = event(&mut client);
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!((id, &data["region"], &data["epoch"]), (server.tag(), &json!(region), &json!(epoch)));
    }
}

#[test]
fn a_stream_goes_on_where_the_client_was() {
    let mut server = Server::start();
    let last = format!("Last-Event-ID: {}", server.tag());
    let fields = ["Accept: text/event-stream, application/jose", &*last];
    let mut client = server.connect();
    client.send("GET", "/v1/hubs/hub.example.", &fields);
    server.until("it waits", |totals| totals.waiting == 1);
    server.switch(1, 43);
    assert_eq!(client.head().status, 200);
    let (id, data) = event(&mut client);
    assert_eq!(id, server.tag(), "the first is not sent again");
    let parts: Vec<&str> = data.split('.').collect();
    verify(&server.key(), parts[0], &decode(parts[1]), parts[2]);
    // One that missed it gets it at once.
    let mut late = server.connect();
    late.send("GET", "/v1/hubs/hub.example.", &fields);
    assert_eq!(late.head().status, 200);
    assert_eq!(event(&mut late).0, id);
}

#[test]
fn one_switch_wakes_all_who_wait() {
    const CLIENTS: usize = 300;
    let mut server = Server::with(1000);
    let seen = server.seen();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("GET", "/v1/hubs/hub.example.?wait=5m", &[&seen]);
    }
    server.until("all wait", |totals| totals.waiting == CLIENTS as u64);
    server.switch(1, 43);
    let bodies: std::collections::BTreeSet<String> =
        clients.iter_mut().map(|client| client.receive(true).body).collect();
    // The clock stands: it was signed once.
    assert_eq!(bodies.len(), 1);
    assert!(bodies.iter().all(|body| body.contains("\"epoch\":43")), "{bodies:?}");
}

#[tokio::test]
async fn who_waits_is_told_that_nothing_changed_when_the_daemon_stops() {
    let mut server = Server::start();
    let seen = server.seen();
    let mut client = server.connect();
    client.send("GET", "/v1/hubs/hub.example.?wait=5m", &[&seen]);
    let mut stream = server.connect();
    stream.send("GET", "/v1/hubs/hub.example.", &["Accept: text/event-stream"]);
    let mut idle = server.connect();
    assert_eq!(idle.ask("GET", "/healthz", &[]).status, 200);
    server.until("both wait", |totals| totals.waiting == 2 && totals.connections == 3);
    server.listener.take().unwrap().stop(PATIENCE).await;
    assert_eq!(client.receive(true).status, 304);
    assert_eq!(stream.head().status, 200);
    for mut closed in [client, stream, idle] {
        closed.closed();
    }
    server.until("all are closed", |totals| totals.connections == 0);
}
