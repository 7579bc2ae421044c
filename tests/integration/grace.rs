//! The acknowledgement of a switch is a promise: whoever asks after it gets no older answer, on any transport or thread.
//!
//! Every mark moves both hubs from one region to the other, so that odd epochs are westeurope and even ones northeurope.
//! A client notes before it asks which epoch was acknowledged last, and after the answers which one was asked for last:
//! the answers must be of epochs between the two, and of epochs that never go back, for one socket's queries are answered
//! in their order. Were the two hubs of one mark in two snapshots, or one worker behind the other, an answer would be of no
//! such epoch.

use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use crate::process::{
    Daemon, Net, QUICK, Region, Site, active, addresses, client, eventually, framed, health, query, read_message,
    request,
};

const HUBS: [&str; 2] = ["hub.example.net.", "api.example.net."];
const SOON: Duration = Duration::from_secs(15);
/// How often the hubs are moved, at least.
const MOVES: u64 = 200;
/// For how long at least.
const LASTING: Duration = Duration::from_secs(4);
/// Queries of one batch: both hubs in turn.
const BATCH: usize = 8;

/// Between two batches of a client, so that the operator gets a share of two cores.
const PAUSE: Duration = Duration::from_micros(500);

/// What the operator and the clients share.
#[derive(Default)]
struct Board {
    /// The epoch that was acknowledged last.
    acknowledged: AtomicU64,
    /// The epoch that was asked for last.
    requested: AtomicU64,
    /// Batches that were answered.
    batches: AtomicU64,
    /// Batches that span two epochs.
    straddled: AtomicU64,
    stop: AtomicBool,
}

impl Board {
    fn start(epoch: u64) -> Arc<Self> {
        Arc::new(Self { acknowledged: epoch.into(), requested: epoch.into(), ..Self::default() })
    }

    /// Sends batches and judges their answers until the operator is done. Returns how many queries were answered.
    fn ask(&self, net: Net, mut exchange: impl FnMut(u16) -> Vec<Vec<u8>>) -> u64 {
        let mut answered = 0;
        for round in 0u16.. {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            let first = (round % 1_000) * BATCH as u16;
            let from = self.acknowledged.load(Ordering::SeqCst);
            let answers = exchange(first);
            let to = self.requested.load(Ordering::SeqCst);
            let regions: Vec<IpAddr> =
                answers.iter().enumerate().map(|(at, answer)| region(answer, first, at)).collect();
            assert_eq!(regions.len(), BATCH, "none is lost");
            let last = explained(net, &regions, from, to);
            let last = last.unwrap_or_else(|| panic!("asked at epoch {from}, answered by {to}: {regions:?}"));
            self.straddled.fetch_add(u64::from(regions.first() != regions.last()), Ordering::SeqCst);
            self.batches.fetch_add(1, Ordering::SeqCst);
            assert!(last >= from);
            answered += BATCH as u64;
            std::thread::sleep(PAUSE);
        }
        answered
    }

    /// Moves both hubs to and fro with marks. Returns how long each acknowledgement took.
    fn operate(&self, site: &Site) -> Vec<Duration> {
        let started = Instant::now();
        let mut took = Vec::new();
        let mut moves = 0;
        let mut marked: Option<&str> = None;
        let seen_nothing = || self.straddled.load(Ordering::SeqCst) == 0;
        while moves < MOVES || started.elapsed() < LASTING || moves < 10 * MOVES && seen_nothing() {
            // Taking away the mark on the region that nobody is in moves nobody.
            if let Some(region) = marked.take() {
                let moved = timed(site, "DELETE", region, "", &mut took);
                assert_eq!(moved["switched"], json!([]), "{moved}");
            }
            let epoch = self.acknowledged.load(Ordering::SeqCst) + 1;
            let region = if epoch.is_multiple_of(2) { "westeurope" } else { "northeurope" };
            self.requested.store(epoch, Ordering::SeqCst);
            let body = json!({ "kind": "down", "reason": "grace test", "author": "test" }).to_string();
            let moved = timed(site, "PUT", region, &body, &mut took);
            self.acknowledged.store(epoch, Ordering::SeqCst);
            let switched: Vec<_> = moved["switched"].as_array().unwrap().iter().map(|one| &one["epoch"]).collect();
            assert_eq!(switched, [epoch, epoch], "one mark moves both hubs: {moved}");
            marked = Some(region);
            moves += 1;
            // Some batches have to be wholly in this epoch.
            let seen = self.batches.load(Ordering::SeqCst);
            assert!(
                eventually_spinning(|| self.batches.load(Ordering::SeqCst) > seen + 6),
                "the clients are not answered"
            );
        }
        took
    }
}

fn timed(site: &Site, method: &str, region: &str, body: &str, took: &mut Vec<Duration>) -> Value {
    let started = Instant::now();
    let (status, moved) = request(&site.socket(), method, &format!("/v1/marks/{region}"), body).unwrap();
    took.push(started.elapsed());
    assert_eq!(status, 200, "{moved}");
    moved
}

fn eventually_spinning(mut holds: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > Duration::from_secs(30) {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}

/// The one address of an answer, which is that to the query at this place of the batch.
fn region(answer: &[u8], first: u16, at: usize) -> IpAddr {
    let message = Message::from_vec(answer).unwrap();
    assert_eq!(message.metadata.id, first + at as u16);
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
    assert_eq!(message.queries[0].name.to_string(), HUBS[at % 2]);
    let found = addresses(&message);
    assert_eq!(found.len(), 1, "exactly one active region: {message:?}");
    found[0]
}

/// Whether these answers, in the order of their queries, are of epochs that never go back, all of them within `from..=to`.
/// Returns the least last one.
fn explained(net: Net, regions: &[IpAddr], from: u64, to: u64) -> Option<u64> {
    let mut epoch = from;
    for region in regions {
        let odd = if *region == net.weu() { 1 } else { 0 };
        assert!(odd == 1 || *region == net.neu(), "{region} is no region");
        epoch += u64::from(epoch % 2 != odd);
    }
    (epoch <= to).then_some(epoch)
}

#[test]
fn the_check_of_this_test_finds_what_it_looks_for() {
    let net = Net::new();
    let check = |regions: &str, from, to, expected| {
        let regions: Vec<IpAddr> =
            regions.chars().map(|c| if c == 'w' { net.weu() } else { net.neu() }.into()).collect();
        assert_eq!(explained(net, &regions, from, to), expected, "{regions:?}");
    };
    check("wwww", 1, 1, Some(1));
    check("nnnn", 1, 1, None);
    check("nnnn", 1, 2, Some(2));
    check("wwnn", 1, 2, Some(2));
    check("wwnw", 1, 2, None);
    check("wwnw", 1, 3, Some(3));
    check("wnwn", 1, 2, None);
    check("wwww", 2, 2, None);
}

#[test]
fn no_answer_is_older_than_an_acknowledged_switch() {
    let site = Site::new(QUICK);
    site.edit("config/concierge.toml", "workers = 1", "workers = 2");
    let net = site.net;
    let (_weu, _neu) = (Region::start(net.weu()), Region::start(net.neu()));
    let daemon = Daemon::start(&site);
    assert!(eventually(SOON, || health(&site, "up")), "{}", site.status());
    assert_eq!(HUBS.map(|hub| active(net.dns(), hub)), [net.weu(); 2]);
    let board = Board::start(1);
    let queries =
        move |first: u16| (0..BATCH as u16).map(move |at| query(first + at, HUBS[usize::from(at) % 2], RecordType::A));
    let udp = || {
        let (board, socket) = (board.clone(), client(Duration::from_secs(30)));
        socket.connect(net.dns()).unwrap();
        let exchange = move |first| {
            for query in queries(first) {
                socket.send(&query).unwrap();
            }
            let receive = |_| {
                let mut answer = [0; 512];
                let length = socket.recv(&mut answer).expect("none is lost");
                answer[..length].to_vec()
            };
            (0..BATCH).map(receive).collect()
        };
        std::thread::spawn(move || board.ask(net, exchange))
    };
    let tcp = || {
        let (board, mut stream) = (board.clone(), TcpStream::connect(net.dns()).unwrap());
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        let exchange = move |first| {
            let batch: Vec<u8> = queries(first).flat_map(|query| framed(&query)).collect();
            std::io::Write::write_all(&mut stream, &batch).unwrap();
            (0..BATCH).map(|_| read_message(&mut stream).expect("none is lost")).collect()
        };
        std::thread::spawn(move || board.ask(net, exchange))
    };
    let clients = [udp(), udp(), udp(), udp(), tcp(), tcp()];
    let operated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| board.operate(&site)));
    board.stop.store(true, Ordering::SeqCst);
    let answered: Vec<u64> = clients.map(|client| client.join().unwrap()).into();
    let mut took = operated.unwrap();
    took.sort();
    let [p50, p99] = [50, 99].map(|percent| took[took.len() * percent / 100]);
    let epoch = board.acknowledged.load(Ordering::SeqCst);
    let straddled = board.straddled.load(Ordering::SeqCst);
    println!(
        "{} commands, {} switches of two hubs; acknowledged in p50 {p50:.2?}, p99 {p99:.2?}; {answered:?} answers over UDP \
         (4) and TCP (2), {straddled} batches span a switch",
        took.len(),
        epoch - 1,
    );
    assert!(answered.iter().all(|count| *count > 1_000), "a client was hardly answered: {answered:?}");
    assert!(straddled > 0, "no batch spans a switch: it does not show that both hubs switch at once");
    let hub = site.hub(HUBS[0]);
    assert_eq!((&hub["epoch"], site.hub(HUBS[1])["epoch"].as_u64()), (&epoch.into(), Some(epoch)));
    drop(daemon);
}
