//! Ten thousand hubs moved at once, beside a million static names and under load. concierge only.
//!
//! ```text
//! request (mark the active region down) ... acknowledged | unmark | pause | request ...
//! queries sent before the request: the older answer
//!         between the two: either
//!         after the acknowledgement: the newer one, always
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::admin::Admin;
use crate::bench::{Bench, LARGE};
use crate::cpu::Cores;
use crate::figures::Histogram;
use crate::generator::{Between, Open, Outcome};
use crate::message::{Additional, Ask, Expected};
use crate::servers::{Concierge, Running, SWITCHING_ADDRESSES, SWITCHING_REGIONS};
use crate::table::{Cell, Table};
use crate::workload::{HUB_TTL, Pool};

/// Hubs with three endpoints each.
const HUBS: u32 = 10_000;
/// Queries a second.
const RATE: u32 = 50_000;
/// Time between two switches.
const PAUSE: Duration = Duration::from_millis(250);
/// Queries of the pool.
const QUERIES: u32 = 1 << 17;

/// One answer: when its query was sent, and the region that it tells.
struct Seen {
    sent: u64,
    received: u64,
    region: usize,
}

/// One switch: when it was asked for and acknowledged, nanoseconds since the epoch, and where it goes.
struct Switch {
    requested: u64,
    acknowledged: u64,
    region: usize,
}

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    if !bench.servers.iter().any(|server| server.name() == "concierge") {
        return Ok(());
    }
    let count = if bench.quick { 20 } else { 100 };
    bench.say("starting concierge with 1,000,000 names and 10,000 hubs");
    let mut site = bench.places.site(&Concierge, LARGE)?;
    site.switching = HUBS;
    let running = Running::start(&Concierge, site, &bench.machine, Cores::All)?;
    let pool = pool();
    let epoch = Instant::now();
    let stop = AtomicBool::new(false);
    let mut seen: Vec<Seen> = Vec::new();
    let mut wrong = 0;
    let machine = bench.machine;
    bench.say(&format!("{count} switches at {RATE} queries/s"));
    let (outcome, switches) = thread::scope(|scope| {
        let load = scope.spawn(|| {
            machine.run_on(machine.generator)?;
            let server = running.site.address;
            let open = Open { server, pool: &pool, rate: RATE, between: Between::Sleep, epoch };
            open.run(
                |_| stop.load(Ordering::Acquire),
                |answered| {
                    let is_right = |address| answered.is(&Expected::Address { address, ttl: HUB_TTL });
                    match SWITCHING_ADDRESSES.iter().position(|&known| is_right(known)) {
                        Some(region) => seen.push(Seen { sent: answered.sent, received: answered.received, region }),
                        None => wrong += 1,
                    }
                },
            )
        });
        let switches = switch(&running, count, epoch);
        stop.store(true, Ordering::Release);
        match load.join() {
            Ok(outcome) => Ok::<_, anyhow::Error>((outcome?, switches?)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    bench.say(&format!("{count} switches with nobody asking"));
    let decided = decide(&running, count, switches.len() % 2)?;
    report(bench, &outcome, &switches, &seen, wrong, &decided);
    Ok(())
}

/// How long the daemon takes to work out what follows for all hubs when their active region is marked down, as it says
/// itself. Nothing else runs: it is the function that is measured, and not the machine.
fn decide(running: &Running, count: usize, mut active: usize) -> Result<Histogram> {
    let admin = Admin::of(running);
    let mut times = Histogram::default();
    for _ in 0..count {
        thread::sleep(PAUSE);
        admin.mark_down(SWITCHING_REGIONS[active]).context("cannot mark a region")?;
        let metrics = admin.metrics()?;
        let last = metrics.lines().find_map(|line| line.strip_prefix("concierge_event_last_seconds "));
        let seconds: f64 = last.context("the metrics have no `concierge_event_last_seconds`")?.parse()?;
        times.add((seconds * 1e9) as u64);
        admin.unmark(SWITCHING_REGIONS[active]).context("cannot take a mark away")?;
        active = usize::from(active == 0);
    }
    Ok(times)
}

/// Queries for the hubs in random order. The region is judged afterwards; what is expected here is that of the start.
fn pool() -> Pool {
    let mut random = fastrand::Rng::with_seed(3);
    let mut pool = Pool::default();
    for _ in 0..QUERIES {
        let expected = Expected::Address { address: SWITCHING_ADDRESSES[0], ttl: HUB_TTL };
        pool.push(&[&format!("s{:05}", random.u32(..HUBS))], Ask::A, Additional::Nothing, expected);
    }
    pool
}

/// Marks the active region down, again and again: with all others eligible, the first of them takes over.
fn switch(running: &Running, count: usize, epoch: Instant) -> Result<Vec<Switch>> {
    let admin = Admin::of(running);
    let mut active = 0;
    let mut switches = Vec::new();
    for _ in 0..count {
        thread::sleep(PAUSE);
        let requested = epoch.elapsed().as_nanos() as u64;
        let acknowledged = admin.mark_down(SWITCHING_REGIONS[active]).context("cannot mark a region")?;
        let acknowledged = acknowledged.duration_since(epoch).as_nanos() as u64;
        let next = usize::from(active == 0);
        switches.push(Switch { requested, acknowledged, region: next });
        // Failback is manual: this moves nothing.
        admin.unmark(SWITCHING_REGIONS[active]).context("cannot take a mark away")?;
        active = next;
    }
    thread::sleep(PAUSE);
    Ok(switches)
}

/// How many answers tell an older region than their query may get: it was sent after the acknowledgement of a switch
/// and answered before the request for the next one.
fn count_old(seen: &[Seen], switches: &[Switch]) -> u64 {
    let is_old = |seen: &&Seen| {
        let later = switches.partition_point(|switch| switch.acknowledged < seen.sent);
        let active = later.checked_sub(1).map_or(0, |last| switches[last].region);
        let next = switches.get(later).filter(|next| next.requested <= seen.received);
        seen.region != active && next.is_none_or(|next| seen.region != next.region)
    };
    seen.iter().filter(is_old).count() as u64
}

fn report(bench: &mut Bench, outcome: &Outcome, switches: &[Switch], seen: &[Seen], wrong: u64, decided: &Histogram) {
    let mut times = Histogram::default();
    for switch in switches {
        times.add(switch.acknowledged - switch.requested);
    }
    let old = count_old(seen, switches);
    let milliseconds = |nanoseconds: u64| Cell::Number(nanoseconds as f64 / 1e6, 2);
    let columns = ["switches", "p50 ms", "p99 ms", "max ms", "queries", "lost", "wrong", "old after acknowledgement"];
    let title = format!("switch of {HUBS} hubs with 3 endpoints beside 1,000,000 names, at {RATE} queries/s");
    let mut table = Table::new(title, &columns);
    table.row(vec![
        times.count().into(),
        milliseconds(times.percentile(50.0)),
        milliseconds(times.percentile(99.0)),
        milliseconds(times.largest()),
        outcome.sent.into(),
        outcome.lost.into(),
        wrong.into(),
        old.into(),
    ]);
    table.note("from the request to its acknowledgement: durable, and no worker answers from the older snapshot");
    let at = |percentile| decided.percentile(percentile) as f64 / 1e6;
    table.note(format!(
        "to work out the next decision of all {HUBS} hubs, nobody asking: p50 {:.2} ms, p99 {:.2} ms",
        at(50.0),
        at(99.0)
    ));
    bench.publish(table);
    if outcome.lost + wrong + old > 0 {
        let failure = format!("switch: {} lost, {wrong} wrong, {old} old after the acknowledgement", outcome.lost);
        bench.fail(&Concierge, failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_old_only_if_sent_after_the_acknowledgement() {
        let switches = [
            Switch { requested: 100, acknowledged: 110, region: 1 },
            Switch { requested: 200, acknowledged: 210, region: 0 },
        ];
        let check = |sent, received, region, expected: u64| {
            assert_eq!(count_old(&[Seen { sent, received, region }], &switches), expected, "{sent} {region}");
        };
        check(50, 60, 0, 0);
        check(50, 60, 1, 1);
        check(95, 105, 0, 0);
        check(95, 105, 1, 0);
        check(111, 112, 1, 0);
        check(111, 112, 0, 1);
        check(111, 112, 2, 1);
        check(190, 201, 0, 0);
        check(190, 199, 0, 1);
        check(211, 212, 0, 0);
        check(211, 212, 1, 1);
    }
}
