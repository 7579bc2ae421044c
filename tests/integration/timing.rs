//! How long devices are sent to a region that has failed: the time from its end to the first new answer.
//!
//! A region fails here as a process does: its port refuses connections from one moment to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::process::{Daemon, QUICK, Region, Site, active, eventually, health};

const HUB: &str = "hub.example.net.";
const PATIENCE: Duration = Duration::from_secs(60);

/// One failover.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// From the end of the region to the first new answer.
    took: Duration,
    /// How long the machine stood still meanwhile.
    stood: Duration,
}

/// Kills the active region at a random moment of its prober's interval, and then the other one, and so on.
fn failovers(probe: &str, interval: Duration, samples: usize) -> Vec<Sample> {
    let site = Site::new(probe);
    let net = site.net;
    let mut regions = [(net.weu(), Some(Region::start(net.weu()))), (net.neu(), Some(Region::start(net.neu())))];
    let _daemon = Daemon::start(&site);
    let pauses = Pauses::start();
    let sample = |_| {
        assert!(eventually(PATIENCE, || health(&site, "up")), "{}", site.status());
        // Health changes with an observation: without this the kill would always come right after one.
        std::thread::sleep(interval.mul_f64(rand::random()));
        let [(failing, running), (standby, _)] = &mut regions;
        assert_eq!(active(net.dns(), HUB), *failing);
        let stood = pauses.total();
        drop(running.take());
        let killed = Instant::now();
        while active(net.dns(), HUB) == *failing {
            assert!(killed.elapsed() < PATIENCE, "{}", site.status());
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = killed.elapsed();
        assert_eq!(active(net.dns(), HUB), *standby);
        *running = Some(Region::start(*failing));
        regions.reverse();
        Sample { took, stood: pauses.total().saturating_sub(stood) }
    };
    (0..samples).map(sample).collect()
}

/// Prints the samples, and holds each to the longest time that the settings allow.
fn judge(settings: &str, longest: Duration, mut samples: Vec<Sample>) {
    println!("time from killing a region to the first new answer, {settings}:");
    for Sample { took, stood } in &samples {
        println!("  {took:.2?}, of which the machine stood still for {stood:.2?}");
        assert!(*took < longest + *stood, "longer than {longest:?}");
    }
    samples.sort_by_key(|sample| sample.took);
    println!("  median {:.2?}", samples[samples.len() / 2].took);
}

/// At most `1.1 * interval + 2 * 1.1 * confirm`; here with 700 ms for a busy machine.
#[test]
fn the_fastest_sensible_probe_moves_a_hub_within_two_seconds() {
    let samples = failovers(QUICK, Duration::from_secs(1), 5);
    judge("interval 1s, timeout 500ms, confirm 100ms, fall 3", Duration::from_millis(2_000), samples);
}

/// At most `1.1 * interval + 2 * 1.1 * confirm`; here with 1.3 s for a busy machine.
#[test]
fn the_default_probe_moves_a_hub_within_nine_seconds() {
    let samples = failovers("", Duration::from_secs(5), 1);
    judge("the defaults (interval 5s, timeout 2s, confirm 1s, fall 3)", Duration::from_millis(9_000), samples);
}

/// Measures for how long nothing runs on this machine: virtual machines are paused, and tests share their cores.
struct Pauses {
    total: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Pauses {
    fn start() -> Self {
        let (total, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (sum, stopped) = (total.clone(), stop.clone());
        std::thread::spawn(move || {
            const NAP: Duration = Duration::from_millis(5);
            while !stopped.load(Ordering::Relaxed) {
                let before = Instant::now();
                std::thread::sleep(NAP);
                let over = before.elapsed().saturating_sub(2 * NAP);
                sum.fetch_add(u64::try_from(over.as_micros()).unwrap(), Ordering::Relaxed);
            }
        });
        Self { total, stop }
    }

    fn total(&self) -> Duration {
        Duration::from_micros(self.total.load(Ordering::Relaxed))
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
