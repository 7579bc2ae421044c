//! Answering a query allocates nothing: counted by the allocator of this process, which has nothing else to do meanwhile.
//!
//! A program of its own without the test harness, for whatever else ran in it would be counted too: the harness says from
//! a thread of its own when a test takes more than a minute, as this one may on a busy machine. Queries go over real sockets to
//! the workers that the daemon runs. Each kind is asked until the buffers have grown to their working size, and then
//! so often that one allocation in ten thousand queries would show. TCP connections give their buffers back between two
//! reads; a read may allocate them, and a query nothing beside.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test with real sockets")]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use concierge::answer::publish::Publisher;
use concierge::config::Config;
use concierge::control::clock::Clock;
use concierge::control::state::State;
use concierge::control::store::Store;
use concierge::control::{load, run};
use concierge::serve::cookies::Cookies;
use concierge::serve::resolvers::Resolvers;
use concierge::serve::{self, Action, Answering, Counters, Serving};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Queries of one kind that are counted.
const COUNTED: u32 = 10_000;

/// Queries of one kind before the count: more than there are buffers in a batch.
const FIRST: u32 = 500;

/// Queries on their way at once, so that batches form.
const AT_ONCE: u32 = 20;

/// Allocations of as many queries over TCP. A message that comes in two parts leaves the first with its connection, and
/// how what is sent is cut is up to the network.
const TCP_AT_MOST: u32 = COUNTED / 100;

const PATIENCE: Duration = Duration::from_secs(20);

const A: u16 = 1;
const MX: u16 = 15;
const TXT: u16 = 16;
const ANY: u16 = 255;

/// A kind of query, and what its response has to look like for the test to have tested it.
struct Kind {
    what: &'static str,
    query: Vec<u8>,
    rcode: u8,
    answers: u8,
    truncated: bool,
}

/// OPT with 1232 octets and a COOKIE, as dig and BIND send it.
const COOKIE: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// OPT with 1232 octets and the subnet 10.1.2.0/24.
const SUBNET: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, 10, 1, 2];

fn query(name: &str, rtype: u16, opt: &[u8]) -> Vec<u8> {
    let mut query = vec![7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!opt.is_empty())];
    for label in name.split_terminator('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    query.extend_from_slice(&rtype.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    query.extend_from_slice(opt);
    query
}

fn kinds() -> Vec<Kind> {
    let kind = |what, query, rcode, answers| Kind { what, query, rcode, answers, truncated: false };
    let plain = |what, name, rtype, rcode, answers| kind(what, query(name, rtype, &[]), rcode, answers);
    let mut notify = query("example.net.", A, &[]);
    notify[2] = 4 << 3;
    let mut badvers = COOKIE.to_vec();
    badvers[6] = 1;
    vec![
        plain("hub", "hub.example.net.", A, 0, 1),
        kind("hub with COOKIE", query("hub.example.net.", A, COOKIE), 0, 1),
        plain("hub whose target is served here", "inside.example.net.", A, 0, 2),
        plain("hub with addresses", "addresses.example.net.", A, 0, 2),
        plain("hub that spreads its TTL", "spread.example.net.", A, 0, 1),
        plain("hub that spreads its TTL, at the end of a chain", "to.spread.example.net.", A, 0, 2),
        plain("hub by weights", "weighted.example.net.", A, 0, 1),
        plain("hub by where the client is", "geo.example.net.", A, 0, 1),
        kind("hub by where the client's client is", query("geo.example.net.", A, SUBNET), 0, 1),
        plain("hub by a prefix", "sticky.example.net.", A, 0, 1),
        plain("hub with several regions at once", "all.example.net.", A, 0, 2),
        plain("hub with hubs inside", "outer.example.net.", A, 0, 1),
        plain("text of a hub", "_concierge.spread.example.net.", TXT, 0, 1),
        plain("address", "www.example.net.", A, 0, 1),
        kind("address with COOKIE", query("www.example.net.", A, COOKIE), 0, 1),
        plain("mixed case", "wWw.eXamPle.nEt.", A, 0, 1),
        plain("wildcard", "any.thing.wild.example.net.", A, 0, 1),
        plain("DNAME", "www.moved.example.net.", A, 0, 3),
        plain("chain", "alias.example.net.", A, 0, 2),
        plain("NXDOMAIN", "missing.example.net.", A, 3, 0),
        kind("NXDOMAIN with COOKIE", query("missing.example.net.", A, COOKIE), 3, 0),
        plain("NODATA", "www.example.net.", MX, 0, 0),
        plain("referral", "host.below.example.net.", A, 0, 0),
        plain("ANY", "www.example.net.", ANY, 0, 1),
        Kind { truncated: true, ..plain("truncation", "big.example.net.", TXT, 0, 0) },
        Kind { truncated: true, ..kind("truncation with COOKIE", query("big.example.net.", TXT, COOKIE), 0, 0) },
        plain("REFUSED", "example.org.", A, 5, 0),
        kind("NOTIMP", notify, 4, 0),
        kind("FORMERR", query("www.example.net.", A, &[])[..20].to_vec(), 1, 0),
        kind("BADVERS", query("www.example.net.", A, &badvers), 0, 0),
    ]
}

const ZONE: &str = "\
$TTL 300
@ SOA ns host 1 3600 600 86400 60
@ NS ns
ns A 192.0.2.53
www A 192.0.2.1
alias CNAME www
*.wild A 192.0.2.2
moved DNAME elsewhere
www.elsewhere A 192.0.2.3
below NS ns.below
ns.below A 192.0.2.4
target A 192.0.2.5
to.spread CNAME spread
";

const POLICY: &str = "\
[regions.one]
[regions.two]
[hubs.\"hub.example.net.\"]
endpoints = [{ region = \"one\", cname = \"one.example.org.\" }, { region = \"two\", cname = \"two.example.org.\" }]
[hubs.\"inside.example.net.\"]
endpoints = [{ region = \"one\", cname = \"target.example.net.\" }, { region = \"two\", cname = \"two.example.org.\" }]
[hubs.\"spread.example.net.\"]
ttl_spread = 20
txt = true
endpoints = [{ region = \"one\", cname = \"one.example.org.\" }, { region = \"two\", cname = \"two.example.org.\" }]
[hubs.\"addresses.example.net.\"]
endpoints = [{ region = \"one\", addresses = [\"192.0.2.6\", \"192.0.2.7\"] }, { region = \"two\", addresses = [\"192.0.2.8\"] }]
";

/// The endpoints of hubs without an active region.
const ENDPOINTS: &str = "\
endpoints = [{ region = \"one\", addresses = [\"192.0.2.6\"] }, { region = \"two\", addresses = [\"192.0.2.8\"] }]
";

/// The hubs that are answered by who asks or by a draw.
fn stateless() -> String {
    let hub = |name: &str, keys: &str| format!("[hubs.\"{name}.example.net.\"]\n{keys}\n{ENDPOINTS}");
    let inside = "[hubs.\"outer.example.net.\"]\npolicy = \"weighted\"\nendpoints = [{ region = \"one\", hub = \
                  \"geo.example.net.\" }, { region = \"two\", hub = \"sticky.example.net.\" }]\n";
    [
        hub("weighted", "policy = \"weighted\""),
        hub("geo", "policy = \"geo\"\nmap = [{ subnet = \"10.0.0.0/8\", to = [\"two\"] }]"),
        hub("sticky", "policy = \"sticky\""),
        hub("all", "policy = \"all\""),
        inside.into(),
    ]
    .concat()
}

/// The sockets of the daemon over a snapshot that is made as the daemon makes its first one, and nothing beside them.
struct Server {
    serving: Serving,
    counters: Arc<Counters>,
    _publisher: Publisher,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(edit: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zones = folder.path().join("zones");
        std::fs::create_dir(&zones).unwrap();
        let big: String = (0..20).map(|i| format!("big TXT \"{i}{}\"\n", "x".repeat(100))).collect();
        std::fs::write(zones.join("example.net.zone"), [ZONE, &big].concat()).unwrap();
        std::fs::write(zones.join("example.net.toml"), [POLICY, &stateless()].concat()).unwrap();
        let publisher = publish(&zones, &folder.path().join("state"));
        let mut config = Config::default_at(folder.path());
        config.listen.dns = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        config.listen.workers = 1;
        config.limits.trust_ecs_from = ["127.0.0.0/8", "::1/128"].map(|prefix| prefix.parse().unwrap()).into();
        config.listen.tcp_workers = 1;
        edit(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Everybody is watched.
        let clock = Clock::start();
        let resolvers = Resolvers::new(1, 4711, Box::new(move || clock.glance()));
        let (readers, counters, handle) =
            (publisher.readers(), Arc::new(Counters::with(resolvers, None)), runtime.handle().clone());
        let settings = serve::Settings::of(&config, Arc::default(), None);
        let cookies = Cookies::open(&config.edns, &folder.path().join("state")).unwrap();
        let answering = Answering::of(&config, cookies);
        let serving = serve::start(settings, answering, readers, counters.clone(), handle).unwrap();
        Self { serving, counters, _publisher: publisher, runtime, _folder: folder }
    }

    /// Every worker has started and served before anything is counted: on a busy machine a thread may come to run late.
    fn warm_up(&self) {
        for address in self.serving.addresses() {
            let kind = &kinds()[0];
            ask_udp(&connected(*address), kind, AT_ONCE);
            ask_tcp(&mut TcpStream::connect(address).unwrap(), kind, AT_ONCE, &kind.framed());
        }
        self.settle();
    }

    /// Waits until nothing is under way: the runtime's thread runs, and no connection is open.
    fn settle(&self) {
        self.runtime.block_on(self.runtime.spawn(async {})).unwrap();
        let start = Instant::now();
        while self.counters.totals().connections.open > 0 {
            assert!(start.elapsed() < PATIENCE, "a connection stays open");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn publish(zones: &Path, state: &Path) -> Publisher {
    let (loaded, problems) = load::load(zones);
    let loaded = loaded.unwrap_or_else(|| panic!("{problems:?}"));
    let store = Store::open(state).unwrap();
    let (_, effects) = State::new(loaded, store.read().unwrap(), Clock::start().now());
    run::first(effects, &store).unwrap().0
}

/// Allocations of all threads so far, growth included.
fn allocations() -> usize {
    let Stats { allocations, reallocations, .. } = ALLOCATOR.stats();
    allocations + reallocations
}

/// What `ask`, which asks so many queries, may allocate once the buffers have their working size.
#[track_caller]
fn check(what: &str, at_most: u32, mut ask: impl FnMut(u32)) {
    ask(FIRST);
    let before = allocations();
    ask(COUNTED);
    let allocated = allocations() - before;
    assert!(allocated <= at_most as usize, "{what}: {allocated} allocations of {COUNTED} queries, expected {at_most}");
}

/// Asks `count` times over UDP, some at once, and looks at every response.
fn ask_udp(socket: &UdpSocket, kind: &Kind, count: u32) {
    let mut response = [0; 4096];
    for _ in 0..count / AT_ONCE {
        for _ in 0..AT_ONCE {
            socket.send(&kind.query).unwrap();
        }
        for _ in 0..AT_ONCE {
            let octets = socket.recv(&mut response).unwrap_or_else(|error| panic!("{}: {error}", kind.what));
            kind.look(&response[..octets], kind.truncated);
        }
    }
}

/// The same over one connection, pipelined.
fn ask_tcp(stream: &mut TcpStream, kind: &Kind, count: u32, framed: &[u8]) {
    let mut response = [0; 65_535];
    for _ in 0..count / AT_ONCE {
        stream.write_all(framed).unwrap();
        for _ in 0..AT_ONCE {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap_or_else(|error| panic!("{}: {error}", kind.what));
            let response = &mut response[..usize::from(u16::from_be_bytes(length))];
            stream.read_exact(response).unwrap();
            kind.look(response, false);
        }
    }
}

/// All limits are looked at, and none is reached.
fn with_room(config: &mut Config) {
    config.limits.queries_per_second_per_client = 100_000;
    config.limits.unlimited.clear();
    (config.rate_limit.responses_per_second, config.rate_limit.burst) = (100_000, 1_000_000);
    config.access.deny = vec!["192.0.2.0/24".parse().unwrap()];
}

/// Clients beyond one limit each, and one that is beyond none.
const WITNESS: [u8; 4] = [127, 0, 0, 1];
const RESPONSES: [u8; 4] = [127, 0, 0, 2];
const QUERIES: [u8; 4] = [127, 0, 0, 3];
const DENIED: [u8; 4] = [127, 0, 0, 4];

fn without_room(config: &mut Config) {
    let only = |addresses: &[[u8; 4]]| addresses.iter().map(|address| IpAddr::from(*address).into()).collect();
    (config.rate_limit.responses_per_second, config.rate_limit.burst, config.rate_limit.ipv4_prefix) = (1, 1, 32);
    config.rate_limit.exempt = only(&[WITNESS, QUERIES, DENIED]);
    config.limits.queries_per_second_per_client = 1;
    config.limits.unlimited = only(&[WITNESS, RESPONSES, DENIED]);
    // What is warmed up over IPv6 has no limit.
    config.rate_limit.exempt.push(IpAddr::from(Ipv6Addr::LOCALHOST).into());
    config.limits.unlimited.push(IpAddr::from(Ipv6Addr::LOCALHOST).into());
    config.access.deny = only(&[DENIED]);
}

/// Asks `count` times without reading what comes back. The witness asks after them, and so is answered after them.
fn flood(socket: &UdpSocket, witness: &UdpSocket, kind: &Kind, count: u32) {
    for _ in 0..count / AT_ONCE {
        for _ in 0..AT_ONCE {
            socket.send(&kind.query).unwrap();
        }
        ask_udp(witness, kind, AT_ONCE);
    }
}

fn check_limited() {
    let server = Server::start(without_room);
    let address = server.serving.addresses()[0];
    let (kinds, witness) = (kinds(), connected(address));
    let kind = &kinds[0];
    server.warm_up();
    for (what, from) in
        [("responses beyond the rate", RESPONSES), ("queries beyond the rate", QUERIES), ("denied", DENIED)]
    {
        let socket = connected_from(from.into(), address);
        check(what, 0, |count| flood(&socket, &witness, kind, count));
    }
    let actions = server.counters.totals().actions;
    for action in [Action::ResponseDropped, Action::ResponseTruncated, Action::QueryDropped, Action::Refused] {
        assert!(actions.of(action) > u64::from(COUNTED / 4), "{action:?}: {}", actions.of(action));
    }
}

/// A client's socket.
fn connected(address: SocketAddr) -> UdpSocket {
    connected_from(address.ip(), address)
}

fn connected_from(from: IpAddr, address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

impl Kind {
    /// As many queries as are on their way at once, as TCP carries them.
    fn framed(&self) -> Vec<u8> {
        let length = u16::try_from(self.query.len()).unwrap().to_be_bytes();
        [&length[..], &self.query].concat().repeat(AT_ONCE as usize)
    }

    fn look(&self, response: &[u8], truncated: bool) {
        assert!(response.len() >= 12 && response[..2] == self.query[..2], "{}: {response:?}", self.what);
        assert_eq!(response[2] & 2 != 0, truncated, "{}: TC", self.what);
        assert_eq!(response[3] & 15, self.rcode, "{}: response code", self.what);
        assert!(self.truncated || response[7] == self.answers, "{}: {} answers", self.what, response[7]);
    }
}

fn main() {
    let server = Server::start(with_room);
    server.warm_up();
    let before = allocations();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(allocations() - before, 1, "the allocator does not count");
    for address in server.serving.addresses() {
        server.settle();
        let socket = connected(*address);
        for kind in kinds() {
            check(&format!("{} over UDP at {address}", kind.what), 0, |count| ask_udp(&socket, &kind, count));
        }
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        for kind in kinds() {
            let framed = kind.framed();
            check(&format!("{} over TCP at {address}", kind.what), TCP_AT_MOST, |count| {
                ask_tcp(&mut stream, &kind, count, &framed);
            });
        }
    }
    // The first server stays: threads that end would be counted.
    check_limited();
}
