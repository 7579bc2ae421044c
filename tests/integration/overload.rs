//! More queries than the daemon can answer: what goes on all the same, and what is given up (`docs/overload.md`).

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::process::{
    Daemon, QUICK, Site, Up, addresses, ask_tcp, client, eventually, health, query, request, try_ask,
};

const HUB: &str = "hub.example.net.";
/// Clients that send as fast as they can: more than there are cores on a small machine.
const FLOODERS: usize = 4;
/// How long the flood lasts at most, should anything hang.
const MOST: Duration = Duration::from_secs(60);
/// An operator's patience, on a machine where every core is wanted by several threads.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_flood_stops_neither_probes_nor_operators_and_is_over_when_it_ends() {
    let site = Site::new(QUICK);
    // The least queue, so that it overflows for certain.
    site.edit("config/concierge.toml", "workers = 1\n", "workers = 2\nudp_receive_buffer = \"64KiB\"\n");
    let up = Up::of(site);
    let Up { site, daemon, .. } = &up;
    let (net, dns) = (site.net, site.net.dns());
    let observed = || site.status()["totals"]["observations_good"].as_u64().unwrap();
    let before = resident(daemon);
    let moved = daemon.said("switch");
    let flood = Flood::start(dns);
    let begun = Instant::now();
    assert!(eventually(PATIENCE, || metric(site, "udp_dropped_total") > 1000.0), "the flood is too much");

    // Probes: three rounds of both endpoints, and none of them failed.
    let first = observed();
    assert!(eventually(PATIENCE, || observed() >= first + 6), "probes go on: {}", site.status());
    assert!(health(site, "up"), "nobody is down because we are busy: {}", site.status());
    assert_eq!(daemon.said("switch"), moved, "and nobody is moved");

    // Operators: a mark is acknowledged, and no answer to a query sent afterwards is older.
    site.ok(&["mark", "westeurope", "down", "--reason", "under load"]);
    let asked: Vec<_> = (0..200).filter_map(|_| answer(dns)).take(20).collect();
    assert!(!asked.is_empty(), "some are answered");
    assert!(asked.iter().all(|answer| *answer == net.neu()), "{asked:?}");
    assert_eq!(addresses(&ask_tcp(dns, HUB, RecordType::A)), [net.neu()], "connections are served beside the flood");
    assert!(begun.elapsed() < MOST, "all that happened while the flood lasted");

    let answered = flood.stop();
    assert!(answered > 1000, "answering goes on under the flood: {answered}");
    let grown = resident(daemon).saturating_sub(before);
    assert!(grown < 16 << 10, "nothing piles up: {grown} KiB more");
    assert!(eventually(PATIENCE, || answer(dns) == Some(net.neu().into())), "it is over when it ends");
    let quiet = metric(site, "udp_dropped_total");
    assert!((0..20).all(|_| answer(dns).is_some()));
    assert_eq!(metric(site, "udp_dropped_total"), quiet, "without load nothing is dropped");
}

/// What the hub is answered with, if the query is not among those that are dropped.
fn answer(dns: SocketAddr) -> Option<std::net::IpAddr> {
    try_ask(dns, HUB, RecordType::A, Duration::from_millis(500)).map(|message| addresses(&message)[0])
}

/// The value of a metric without labels.
fn metric(site: &Site, name: &str) -> f64 {
    let (_, page) = request(&site.socket(), "GET", "/metrics", "").unwrap();
    let Value::String(page) = page else { panic!("{page}") };
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("concierge_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

/// Memory of the daemon, KiB.
fn resident(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Threads that send queries without waiting for answers, until they are stopped.
struct Flood {
    stop: std::sync::Arc<(AtomicBool, AtomicUsize)>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Flood {
    fn start(dns: SocketAddr) -> Self {
        let stop = std::sync::Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
        let threads = (0..FLOODERS).map(|_| {
            let (stop, socket) = (stop.clone(), client(Duration::from_secs(1)));
            thread::spawn(move || flood(&socket, dns, &stop.0, &stop.1))
        });
        let threads = threads.collect();
        Self { stop, threads }
    }

    /// Returns how many queries were answered.
    fn stop(mut self) -> usize {
        self.stop.0.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        self.stop.1.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Relaxed);
    }
}

fn flood(socket: &UdpSocket, dns: SocketAddr, stop: &AtomicBool, answered: &AtomicUsize) {
    let query = query(1, HUB, RecordType::A);
    let mut response = [0; 512];
    socket.set_nonblocking(true).unwrap();
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) && begun.elapsed() < MOST {
        for _ in 0..100 {
            // What does not fit into our own buffer is not sent, which is no matter.
            drop(socket.send_to(&query, dns));
        }
        while socket.recv(&mut response).is_ok() {
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}
