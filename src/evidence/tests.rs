//! Over real sockets of the loopback interface.

mod limits;
mod validators;
mod waiting;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::answer::compile::compile;
use crate::answer::publish::Publisher;
use crate::answer::snapshot::{Choice, Content, Snapshot, What};
use crate::diagnostic::Place;
use crate::dns::{Name, Rtype};
use crate::policy::{Answer, Endpoint, Hub, Policy, RegionName, Selection, WhenAllDown};
use crate::process::passed::Passed;
use crate::zone::store::{Tree, tree_of};

/// Every wait of a test ends here, in failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// 2026-11-23T14:03:11.500Z, until a test says otherwise; a slot of 30 s has 19 s to go.
const NOW: Timestamp = Timestamp(1_795_442_591_500);

/// The tag of `hub.example.` with epoch 42 at that moment: the digest is sha256sum's, of
/// `["weu","2026-11-23T13:53:20Z",["CNAME hub-weu.elsewhere."]]`.
const TAG: &str = "W/\"42-bffc114f-59848086\"";

fn name(text: &str) -> Name {
    Name::parse(text, None).unwrap()
}

fn zone() -> Tree {
    let mut soa = [name("ns.example.").wire(), name("hostmaster.example.").wire()].concat();
    soa.extend_from_slice(&[0, 0, 0, 1].repeat(5));
    let apex = name("example.");
    let records = [
        (apex.clone(), Rtype::SOA, 300, soa.into()),
        (apex.clone(), Rtype::NS, 300, name("ns.example.").wire().into()),
        (name("all.example."), Rtype::TXT, 300, b"\x05other".as_slice().into()),
    ];
    tree_of(&apex, &records)
}

fn a_hub(owner: &str, endpoints: Vec<Endpoint>) -> Hub {
    let place = Place { path: PathBuf::from("example.toml").into(), line: 1, column: 1, width: 1, text: String::new() };
    Hub { ttl_min: Duration::from_secs(10), ..Hub::new(name(owner), endpoints, place) }
}

/// `hub.example.` with CNAMEs for weu and neu, `all.example.` with addresses for weu and neu.
fn hubs() -> Vec<Hub> {
    let cname = |region: &str| {
        let target = name(&format!("hub-{region}.elsewhere."));
        Endpoint::new(RegionName::new(region), Answer::Cname(target))
    };
    let addresses = |region: &str, addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Endpoint::new(RegionName::new(region), Answer::Addresses(addresses))
    };
    let mut all =
        a_hub("all.example.", vec![addresses("weu", &["192.0.2.1", "2001:db8::1"]), addresses("neu", &["192.0.2.2"])]);
    all.when_all_down = WhenAllDown::All;
    vec![all, a_hub("hub.example.", vec![cname("weu"), cname("neu")])]
}

fn content(hubs: Vec<Hub>) -> Arc<Content> {
    let hubs = hubs.into_iter().map(|hub| (hub.name.clone(), Arc::new(hub))).collect();
    Arc::new(compile(vec![zone()], &Policy { hubs, ..Policy::default() }).unwrap())
}

fn choice(what: What, epoch: u64) -> Choice {
    Choice { what, low_ttl: false, stale: false, epoch, since: Timestamp(1_795_442_000_000) }
}

/// A running listener, and the publisher of what it says.
struct Server {
    publisher: Publisher,
    content: Arc<Content>,
    listener: Option<Listener>,
    counters: Arc<Counters>,
    state: TempDir,
    /// Milliseconds.
    clock: Arc<AtomicU64>,
    address: SocketAddr,
}

impl Server {
    /// Both hubs answer weu: `all.example.` with epoch 7, `hub.example.` with epoch 42.
    fn start() -> Self {
        Self::with(100)
    }

    fn with(connections: u32) -> Self {
        let content = content(hubs());
        let choices = Box::new([choice(What::Endpoint(0), 7), choice(What::Endpoint(0), 42)]);
        let publisher = Publisher::new(Snapshot::new(1, content.clone(), choices).unwrap()).unwrap();
        let state = tempfile::tempdir().unwrap();
        let public = Public { listen: vec!["127.0.0.1:0".parse().unwrap()], connections };
        let counters = Arc::new(Counters::default());
        let clock = Arc::new(AtomicU64::new(NOW.0));
        let shown = clock.clone();
        let now = move || Timestamp(shown.load(Ordering::SeqCst));
        let listener =
            Listener::start(&public, state.path(), &Passed::default(), publisher.readers(), counters.clone(), now)
                .unwrap();
        let address = listener.addresses()[0];
        Self { publisher, content, listener: Some(listener), counters, state, clock, address }
    }

    /// Publishes these choices for `all.example.` and `hub.example.`
    fn publish(&mut self, choices: [Choice; 2]) {
        let generation = self.publisher.current().generation + 1;
        self.publisher.publish(Snapshot::new(generation, self.content.clone(), Box::new(choices)).unwrap());
    }

    /// `hub.example.` switches to the endpoint at this position.
    fn switch(&mut self, position: u16, epoch: u64) {
        self.publish([choice(What::Endpoint(0), 7), choice(What::Endpoint(position), epoch)]);
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    fn get(&self, target: &str, fields: &[&str]) -> Response {
        self.connect().ask("GET", target, fields)
    }

    /// What the listener takes for the time.
    fn set_clock(&self, now: Timestamp) {
        self.clock.store(now.0, Ordering::SeqCst);
    }

    /// The tag of `hub.example.` without quotes.
    fn tag(&self) -> String {
        opaque(&self.get("/v1/hubs/hub.example.", &[]))
    }

    /// The field of a client that has the document of this moment.
    fn seen(&self) -> String {
        format!("If-None-Match: \"{}\"", self.tag())
    }

    fn key(&self) -> Value {
        let response = self.get("/v1/keys", &[]);
        assert_eq!((response.status, response.field("content-type")), (200, "application/jwk-set+json"));
        let keys: Value = serde_json::from_str(&response.body).unwrap();
        keys["keys"][0].clone()
    }

    /// Waits until the counters say what is expected.
    fn until(&self, what: &str, holds: impl Fn(&Totals) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !holds(&self.counters.totals()) {
            assert!(std::time::Instant::now() < deadline, "{what}: {:?}", self.counters.totals());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A connection.
struct Client {
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
struct Response {
    status: u16,
    fields: BTreeMap<String, String>,
    body: String,
}

impl Response {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    fn send(&mut self, method: &str, target: &str, fields: &[&str]) {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    fn head(&mut self) -> Response {
        let status = self.line().split(' ').nth(1).expect("a response").parse().unwrap();
        let mut fields = BTreeMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            fields.insert(name.to_lowercase(), value.to_owned());
        }
        Response { status, fields, body: String::new() }
    }

    fn receive(&mut self, with_body: bool) -> Response {
        let mut response = self.head();
        let length = response.fields.get("content-length").map_or(0, |length| length.parse().unwrap());
        if with_body && response.status != 304 {
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).unwrap();
            response.body = String::from_utf8(body).unwrap();
        }
        response
    }

    fn ask(&mut self, method: &str, target: &str, fields: &[&str]) -> Response {
        self.send(method, target, fields);
        self.receive(method != "HEAD")
    }

    /// Waits until the other side closes, and returns what came before.
    fn closed(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end too.
        drop(self.stream.read_to_end(&mut rest));
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// The tag of a response without quotes; it is a weak one.
fn opaque(response: &Response) -> String {
    let opaque = response.field("etag").strip_prefix("W/\"").and_then(|rest| rest.strip_suffix('"'));
    opaque.unwrap_or_else(|| panic!("{response:?}")).to_owned()
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn verify(key: &Value, header: &str, payload: &[u8], signature: &str) {
    let key = UnparsedPublicKey::new(&ED25519, decode(key["x"].as_str().unwrap()));
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    key.verify(input.as_bytes(), &decode(signature)).expect("the signature is not valid");
}

#[test]
fn a_hub_is_shown_as_it_is_answered() {
    let server = Server::start();
    let response = server.get("/v1/hubs/hub.example.", &[]);
    assert_eq!((response.status, response.field("content-type")), (200, "application/json"));
    assert_eq!((response.field("etag"), response.field("cache-control")), (TAG, "max-age=30"));
    let expected = json!({
        "hub": "hub.example.", "region": "weu", "epoch": 42, "since": "2026-11-23T13:53:20Z", "ttl": 30,
        "answer": ["CNAME hub-weu.elsewhere."], "at": "2026-11-23T14:03:11Z", "expires": "2026-11-23T14:04:11Z",
    });
    assert_eq!(response.json(), expected);
    assert_eq!(server.get("/v1/hubs/HUB.example", &[]).json(), expected, "case and the final dot do not matter");
    let addresses = server.get("/v1/hubs/all.example.", &[]).json();
    assert_eq!(addresses["answer"], json!(["A 192.0.2.1", "AAAA 2001:db8::1"]));
}

#[test]
fn the_ttl_and_the_regions_are_those_that_are_answered() {
    let mut server = Server::start();
    server.publish([choice(What::All, 8), Choice { low_ttl: true, ..choice(What::Endpoint(1), 43) }]);
    let all = server.get("/v1/hubs/all.example.", &[]).json();
    assert_eq!((&all["region"], &all["epoch"]), (&Value::Null, &json!(8)));
    assert_eq!(all["answer"], json!(["A 192.0.2.1", "AAAA 2001:db8::1", "A 192.0.2.2"]));
    let low = server.get("/v1/hubs/hub.example.", &[]);
    assert_eq!((&low.json()["region"], &low.json()["ttl"]), (&json!("neu"), &json!(10)));
    assert_eq!(low.field("cache-control"), "max-age=10");
}

#[test]
fn a_hub_with_hubs_inside_is_shown_with_all_that_it_may_be_answered_with() {
    let inside = |region: &str, hub: &str| Endpoint::new(RegionName::new(region), Answer::Hub(name(hub)));
    let outer = a_hub("outer.example.", vec![inside("eu", "pool.example."), inside("us", "hub.example.")]);
    let mut pool = Hub { selection: Selection::All { most: 64 }, ..hubs().remove(0) };
    (pool.name, pool.ttl, pool.ttl_min) = (name("pool.example."), Duration::from_secs(20), Duration::from_secs(20));
    let content = content([hubs(), vec![outer, pool]].concat());
    let said = |outer, pool, hub| {
        // In canonical order: all, hub, outer, pool.
        let choices = [choice(What::Endpoint(0), 7), choice(hub, 1), choice(outer, 2), choice(What::Among(pool), 0)];
        let snapshot = Snapshot::new(1, content.clone(), Box::new(choices)).unwrap();
        let said = document::document(&snapshot, 2, NOW).unwrap();
        let said = serde_json::to_value(&said).unwrap();
        (said["region"].clone(), said["answer"].clone(), said["ttl"].clone())
    };
    let (weu, neu) = (What::Endpoint(0), What::Endpoint(1));
    let both = json!(["A 192.0.2.1", "AAAA 2001:db8::1", "A 192.0.2.2"]);
    assert_eq!(said(weu, 0b11, weu), (json!("eu"), both, json!(20)), "the least TTL of all hubs inside");
    assert_eq!(said(weu, 0b10, weu).1, json!(["A 192.0.2.2"]), "what is usable");
    assert_eq!(said(neu, 0b11, neu), (json!("us"), json!(["CNAME hub-neu.elsewhere."]), json!(20)));
}

#[test]
fn a_document_carries_a_detached_signature_of_its_octets() {
    let server = Server::start();
    let key = server.key();
    let response = server.get("/v1/hubs/hub.example.", &["Accept: application/json"]);
    let (header, signature) = response.field("concierge-signature").split_once("..").unwrap();
    verify(&key, header, response.body.as_bytes(), signature);
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header, json!({ "alg": "EdDSA", "kid": key["kid"], "typ": "concierge-hub" }));
}

#[test]
fn a_document_comes_as_a_compact_jws() {
    let server = Server::start();
    let response = server.get("/v1/hubs/hub.example.", &["Accept: application/jose"]);
    assert_eq!((response.status, response.field("content-type")), (200, "application/jose"));
    let parts: Vec<&str> = response.body.split('.').collect();
    let [header, payload, signature] = &*parts else { panic!("{}", response.body) };
    verify(&server.key(), header, &decode(payload), signature);
    assert_eq!(decode(payload), server.get("/v1/hubs/hub.example.", &[]).body.into_bytes());
}

#[test]
fn the_key_outlives_the_daemon() {
    let server = Server::start();
    let key = server.key();
    let public = Public { listen: vec!["127.0.0.1:0".parse().unwrap()], connections: 16 };
    let again = Listener::start(
        &public,
        server.state.path(),
        &Passed::default(),
        server.publisher.readers(),
        Arc::default(),
        || NOW,
    )
    .unwrap();
    let keys = Client::connect(again.addresses()[0]).ask("GET", "/v1/keys", &[]).json();
    assert_eq!(keys["keys"], json!([key]));
}

#[test]
fn what_a_client_has_seen_is_not_sent_again() {
    let server = Server::start();
    let seen = |tags: &str| server.get("/v1/hubs/hub.example.", &[&format!("If-None-Match: {tags}")]);
    let unchanged = seen(TAG);
    assert_eq!((unchanged.status, unchanged.field("etag")), (304, TAG));
    assert_eq!(unchanged.field("cache-control"), "max-age=30");
    assert_eq!(seen(TAG.trim_start_matches("W/")).status, 304);
    assert_eq!(seen("\"a,b\", *").status, 304);
    for other in ["\"42\"", "W/\"42\"", "\"41\"", "\"a, *\""] {
        assert_eq!(seen(other).status, 200, "{other}");
    }
}

#[test]
fn only_reading_is_allowed() {
    let server = Server::start();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let response = server.connect().ask(method, "/v1/hubs/hub.example.", &[]);
        assert_eq!((response.status, response.field("allow")), (405, "GET, HEAD"), "{method}");
    }
    let head = server.connect().ask("HEAD", "/v1/hubs/hub.example.", &[]);
    assert_eq!((head.status, head.field("etag")), (200, TAG));
    let get = server.get("/v1/hubs/hub.example.", &[]);
    assert_eq!(head.field("content-length"), get.field("content-length"));
    for path in ["/v1/status", "/metrics", "/v1/reload", "/v1/marks/weu", "/v1/history", "/", "/v1/hubs/"] {
        assert_eq!(server.get(path, &[]).status, 404, "{path}");
    }
}

#[test]
fn what_is_not_there_is_a_problem_in_json() {
    let server = Server::start();
    let cases = [
        ("/v1/hubs/other.example.", 404, "there is no hub of this name that has an active region"),
        ("/v1/hubs/a..b", 404, "the path names no hub: it is no domain name"),
        ("/v1/hubs/hub.example.?wait=soon", 400, "wait is no length of time, expected one such as 30s"),
        ("/v1/hubs/hub.example.?wait=1&wait=2", 400, "the query is not understood: wait can stand in it, once"),
        ("/v1/hubs/%FF", 400, "the path is not UTF-8 when it is decoded"),
        ("/v1/other", 404, "there is no such path"),
    ];
    for (path, status, detail) in cases {
        let response = server.get(path, &[]);
        assert_eq!((response.status, &response.json()["detail"]), (status, &json!(detail)), "{path}");
        assert_eq!(response.field("cache-control"), "no-store", "{path}");
        assert_eq!(response.field("content-type"), "application/problem+json", "{path}");
        assert_eq!(response.json()["status"], json!(response.status));
    }
}

#[test]
fn what_is_asked_for_is_not_repeated() {
    let server = Server::start();
    let region = "/probe/active/a%0Ab%1B%5B2J%3Cb%3E";
    let hub = "/probe/active/weu?hub=a%0Ab%1B%5B2J";
    for (target, status) in [
        (region.to_owned(), 404),
        (format!("{region}?hub=hub.example."), 404),
        (hub.to_owned(), 404),
        (format!("{hub}&hub=x"), 400),
        ("/probe/active/%FF".to_owned(), 400),
        ("/v1/hubs/a%0Ab".to_owned(), 404),
        ("/v1/hubs/hub.example.?wait=%0A".to_owned(), 400),
    ] {
        let response = server.get(&target, &[]);
        assert_eq!((response.status, response.field("x-content-type-options")), (status, "nosniff"), "{target}");
        let body = response.body.trim_end();
        assert!(!body.contains(|found: char| found.is_control() || found == '<'), "{target}: {body:?}");
    }
}

#[test]
fn a_traffic_manager_sees_which_region_is_active() {
    let mut server = Server::start();
    let check = |server: &Server, target: &str, status: u16, sentence: &str| {
        let response = server.get(target, &[]);
        assert_eq!((response.status, response.body.as_str()), (status, &*format!("{sentence}\n")), "{target}");
        assert_eq!(response.field("cache-control"), "no-store");
        assert_eq!(response.field("x-content-type-options"), "nosniff");
        let head = server.connect().ask("HEAD", target, &[]);
        assert_eq!(head.status, status, "HEAD {target}");
    };
    check(&server, "/probe/active/weu", 200, "weu is active for each of its hubs: 2");
    check(&server, "/probe/active/neu", 503, "neu is active for 0 of its 2 hubs");
    let hub = "/probe/active/weu?hub=hub.example.";
    check(&server, hub, 200, "weu is active for hub.example., epoch 42");
    check(&server, "/probe/active/neu?hub=hub.example", 503, "neu is not active for hub.example., epoch 42");
    check(&server, "/probe/active/sea", 404, "no hub has an endpoint in a region of this name");
    check(&server, "/probe/active/sea?hub=hub.example", 404, "hub hub.example. has no endpoint in this region");
    check(&server, "/probe/active/weu?hub=x.example", 404, "there is no hub x.example.");
    server.switch(1, 43);
    check(&server, "/probe/active/weu", 503, "weu is active for 1 of its 2 hubs");
    check(&server, hub, 503, "weu is not active for hub.example., epoch 43");
    // All regions are answered, so devices are sent to each of them.
    server.publish([choice(What::All, 8), choice(What::Endpoint(1), 43)]);
    check(&server, "/probe/active/neu", 200, "neu is active for each of its hubs: 2");
    check(&server, "/probe/active/weu?hub=all.example", 200, "weu is active for all.example., epoch 8");
}

#[test]
fn it_says_that_answers_are_served() {
    let server = Server::start();
    let response = server.get("/healthz", &[]);
    assert_eq!((response.status, response.body.as_str()), (200, "answering from snapshot 1, hubs 2\n"));
}

#[test]
fn responses_are_counted_by_route_and_class() {
    let server = Server::start();
    for target in ["/v1/hubs/hub.example.", "/v1/hubs/x.example.", "/v1/keys", "/probe/active/neu", "/healthz", "/x"] {
        server.get(target, &[]);
    }
    server.get("/v1/hubs/hub.example.", &[&format!("If-None-Match: {TAG}")]);
    let mut counted: Vec<_> = server.counters.totals().responses;
    counted.retain(|(_, _, count)| *count > 0);
    let expected = [
        ("hub", "2xx", 1),
        ("hub", "3xx", 1),
        ("hub", "4xx", 1),
        ("keys", "2xx", 1),
        ("active", "5xx", 1),
        ("healthz", "2xx", 1),
        ("other", "4xx", 1),
    ];
    assert_eq!(counted, expected);
    assert_eq!(server.counters.totals().accepted, 7);
    server.until("all connections are closed", |totals| totals.connections == 0);
}
