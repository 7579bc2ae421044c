//! Latency at fixed rates, counted from when a query was due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::{Bench, SMALL};
use crate::cpu::Cores;
use crate::figures::Histogram;
use crate::generator::{Between, Open, Outcome};
use crate::table::{Cell, Table};
use crate::workload::Pool;

/// Queries a second.
const RATES: [u32; 2] = [20_000, 50_000];

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let rounds = bench.rounds(1, 5);
    let duration = Duration::from_secs(if bench.quick { 1 } else { 3 });
    let servers = bench.start_all(SMALL, true)?;
    let pool = Arc::new(Pool::mix(SMALL.names, true));
    let mut found = vec![vec![(Histogram::default(), Outcome::default()); servers.len()]; RATES.len()];
    bench.machine.run_on(bench.machine.generator)?;
    for round in 1..=rounds {
        bench.say(&format!("round {round} of {rounds}"));
        for (rate, found) in RATES.into_iter().zip(&mut found) {
            for (running, (histogram, outcome)) in servers.iter().zip(found) {
                let pool = running.questions(&pool);
                let server = running.site.address;
                let open = Open { server, pool: &pool, rate, between: Between::Spin, epoch: Instant::now() };
                // Caches and the core's clock warm up.
                open.run_for(Duration::from_millis(200), |_| {})?;
                outcome.add(&open.run_for(duration, |answered| {
                    histogram.add(answered.received.saturating_sub(answered.due));
                })?);
            }
        }
    }
    bench.machine.run_on(Cores::All)?;
    let columns = ["queries/s", "server", "p50 us", "p90 us", "p99 us", "p99.9 us", "max us", "wrong", "lost"];
    let seconds = duration.as_secs() as usize * rounds;
    let mut table =
        Table::new(format!("UDP latency at a fixed rate: the mix of 1,000 names, {seconds} s each"), &columns);
    for (rate, found) in RATES.into_iter().zip(&found) {
        for (running, (histogram, outcome)) in servers.iter().zip(found) {
            let percentile = |percent| Cell::Number(histogram.percentile(percent) as f64 / 1e3, 0);
            table.row(vec![
                u64::from(rate).into(),
                running.server.name().into(),
                percentile(50.0),
                percentile(90.0),
                percentile(99.0),
                percentile(99.9),
                Cell::Number(histogram.largest() as f64 / 1e3, 0),
                outcome.wrong.into(),
                outcome.lost.into(),
            ]);
            bench.judge(running.server, &format!("latency at {rate} a second"), outcome);
        }
    }
    bench.publish(table);
    Ok(())
}
