//! A new zone of a million names, read while queries come in.
//!
//! ```text
//! load      | before: 2 s | during: trigger ... new serial | after: 2 s |
//! latency   | p99         | p99                            |
//! memory    | steady      | sampled every 50 ms: the peak               |
//! ```

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::{Bench, LARGE, ratio};
use crate::cpu::go_ahead;
use crate::figures::{Histogram, least, median, most};
use crate::generator::{Between, Open, Outcome};
use crate::message::{check, serial};
use crate::servers::Running;
use crate::table::{Cell, Table};
use crate::workload::{Pool, Zone};

/// Queries a second.
const RATE: u32 = 20_000;
/// Time under load before the reload, and after it.
const AROUND: Duration = Duration::from_secs(2);
/// Longest time for a reload.
const DEADLINE: Duration = Duration::from_secs(120);
/// Time between two questions for the serial.
const PAUSE: Duration = Duration::from_millis(2);
/// Time between two looks at the memory.
const SAMPLE: Duration = Duration::from_millis(50);

/// What the rounds of one server found.
#[derive(Default)]
struct Found {
    seconds: Vec<f64>,
    /// 99th percentiles in microseconds.
    before: Vec<f64>,
    during: Vec<f64>,
    steady: Vec<f64>,
    peak: Vec<f64>,
    outcome: Outcome,
    /// Reloads after which the changed record was not answered.
    unchanged: u64,
}

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let rounds = bench.rounds(1, 5);
    let pool = Pool::mix(LARGE.names, true);
    let servers: Vec<Running> =
        bench.servers.iter().map(|&server| bench.start(server, LARGE, bench.machine.server)).collect::<Result<_>>()?;
    let mut found: Vec<Found> = servers.iter().map(|_| Found::default()).collect();
    for round in 1..=rounds {
        bench.say(&format!("round {round} of {rounds}"));
        for (running, found) in servers.iter().zip(&mut found) {
            let zone = Zone { serial: 1 + round as u32, ..LARGE };
            reload(bench, running, zone, &pool, found)
                .with_context(|| format!("reload of {}", running.server.name()))?;
        }
    }
    report(bench, rounds, &servers, &found);
    Ok(())
}

fn reload(bench: &Bench, running: &Running, zone: Zone, pool: &Pool, found: &mut Found) -> Result<()> {
    running.server.write_zone(&running.site, zone)?;
    let epoch = Instant::now();
    let stop = AtomicBool::new(false);
    // When the reload began and ended, nanoseconds since the epoch.
    let (began, ended) = (AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX));
    let (mut before, mut during) = (Histogram::default(), Histogram::default());
    let steady = running.memory();
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            bench.machine.run_on(bench.machine.generator)?;
            go_ahead();
            let open = Open { server: running.site.address, pool, rate: RATE, between: Between::Sleep, epoch };
            open.run(
                |_| stop.load(Ordering::Acquire),
                |answered| {
                    let latency = answered.received.saturating_sub(answered.due);
                    if answered.due < began.load(Ordering::Acquire) {
                        before.add(latency);
                    } else if answered.due < ended.load(Ordering::Acquire) {
                        during.add(latency);
                    }
                },
            )
        });
        let mut watched = || {
            thread::sleep(AROUND);
            began.store(epoch.elapsed().as_nanos() as u64, Ordering::Release);
            let triggered = Instant::now();
            let trigger = scope.spawn(|| running.server.reload(running));
            let mut peak = watch(running, zone.serial)?;
            found.seconds.push(triggered.elapsed().as_secs_f64());
            ended.store(epoch.elapsed().as_nanos() as u64, Ordering::Release);
            found.unchanged += u64::from(!is_changed(running, zone)?);
            while epoch.elapsed().as_nanos() < u128::from(ended.load(Ordering::Acquire)) + AROUND.as_nanos() {
                peak = peak.max(running.memory().pss);
                thread::sleep(SAMPLE);
            }
            match trigger.join() {
                Ok(triggered) => triggered.map(|()| peak),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        };
        let peak = watched();
        stop.store(true, Ordering::Release);
        let outcome = match load.join() {
            Ok(outcome) => outcome?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        found.outcome.add(&outcome);
        found.steady.push(steady.pss as f64 / 1e6);
        found.peak.push(peak? as f64 / 1e6);
        Ok::<_, anyhow::Error>(())
    })?;
    found.before.push(before.percentile(99.0) as f64 / 1e3);
    found.during.push(during.percentile(99.0) as f64 / 1e3);
    Ok(())
}

/// Waits for the new serial and returns the largest PSS seen meanwhile, octets.
fn watch(running: &Running, wanted: u32) -> Result<u64> {
    let started = Instant::now();
    let pool = Pool::soa(wanted);
    let (query, item) = pool.item(0);
    let socket = connect(running)?;
    let mut answer = [0; 1232];
    let (mut peak, mut sampled) = (0, started);
    loop {
        socket.send(query)?;
        match socket.recv(&mut answer) {
            Ok(length) if serial(&answer[..length], usize::from(item.question)) == Some(wanted) => return Ok(peak),
            Ok(_) => thread::sleep(PAUSE),
            Err(_) => {}
        }
        if sampled.elapsed() >= SAMPLE {
            peak = peak.max(running.memory().pss);
            sampled = Instant::now();
        }
        if started.elapsed() > DEADLINE {
            bail!("serial {wanted} is not answered:\n{}", running.log());
        }
    }
}

/// Whether the record that differs between the two files is answered as the new one says.
fn is_changed(running: &Running, zone: Zone) -> Result<bool> {
    let pool = zone.changed();
    let (query, item) = pool.item(0);
    let socket = connect(running)?;
    let mut answer = [0; 1232];
    for _ in 0..10 {
        socket.send(query)?;
        if let Ok(length) = socket.recv(&mut answer) {
            return Ok(check(query, usize::from(item.question), &item.expected, &answer[..length]).is_ok());
        }
    }
    Ok(false)
}

fn connect(running: &Running) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(running.site.address)?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    Ok(socket)
}

fn report(bench: &mut Bench, rounds: usize, servers: &[Running], found: &[Found]) {
    let columns = [
        "server",
        "seconds",
        "least",
        "most",
        "x knot",
        "p99 us before",
        "during",
        "x before",
        "PSS MB",
        "peak",
        "x steady",
        "wrong",
        "lost",
    ];
    let title = format!(
        "reload of 1,000,000 names at {RATE} queries/s: {rounds} rounds, medians, server on one core, sums of wrong and lost"
    );
    let mut table = Table::new(title, &columns);
    let knot = servers.iter().position(|server| server.server.name() == "knot").map(|knot| &found[knot].seconds);
    for (running, found) in servers.iter().zip(found) {
        table.row(vec![
            running.server.name().into(),
            Cell::number(median(&found.seconds), 2),
            Cell::number(least(&found.seconds), 2),
            Cell::number(most(&found.seconds), 2),
            knot.map_or(Cell::Nothing, |knot| ratio(&found.seconds, knot)),
            Cell::number(median(&found.before), 0),
            Cell::number(median(&found.during), 0),
            ratio(&found.during, &found.before),
            Cell::number(median(&found.steady), 0),
            Cell::number(median(&found.peak), 0),
            ratio(&found.peak, &found.steady),
            (found.outcome.wrong + found.unchanged).into(),
            found.outcome.lost.into(),
        ]);
        bench.judge(running.server, "reload", &found.outcome);
        if found.unchanged > 0 {
            bench.fail(running.server, format!("reload: {} did not answer the changed record", running.server.name()));
        }
    }
    table.note(
        "seconds: from the trigger to the first answer with the new serial; the generator sleeps between queries and goes before all others",
    );
    bench.publish(table);
}
