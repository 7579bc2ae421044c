//! CPU time of the server for each answered query, as a closed loop saturates it.
//!
//! Servers take turns: each round measures every workload on every server, so that what disturbs the machine disturbs
//! all. The ratio to the echo is taken within a round.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::{Bench, LARGE, SMALL, ratio};
use crate::cpu;
use crate::figures::{least, median, most};
use crate::generator::{Closed, Outcome};
use crate::servers::Running;
use crate::table::{Cell, Table};
use crate::workload::{Pool, Zone};

/// Time after the last answer for the server to go to sleep, so that all of its CPU time has been counted.
const SETTLE: Duration = Duration::from_millis(10);

struct Workload {
    name: &'static str,
    zone: Zone,
    pool: Arc<Pool>,
}

/// One server with one workload, over all rounds.
struct Series {
    running: usize,
    load: Closed,
    pool: Arc<Pool>,
    /// Microseconds of CPU time per answer, by round.
    cpu: Vec<f64>,
    /// Answers a second, by round.
    rate: Vec<f64>,
    /// Part of the time during which the server was on its core, by round.
    busy: Vec<f64>,
    outcome: Outcome,
}

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let rounds = bench.rounds(3, 11);
    let queries: u64 = if bench.quick { 100_000 } else { 300_000 };
    bench.say("starting all servers with 1,000 names and with 1,000,000");
    let small = bench.start_all(SMALL, true)?;
    let large = bench.start_all(LARGE, true)?;
    let workloads = [
        Workload { name: "hub", zone: SMALL, pool: Arc::new(Pool::hub()) },
        Workload { name: "mix", zone: SMALL, pool: Arc::new(Pool::mix(SMALL.names, true)) },
        Workload { name: "mix, no EDNS", zone: SMALL, pool: Arc::new(Pool::mix(SMALL.names, false)) },
        Workload { name: "priority", zone: SMALL, pool: Arc::new(Pool::priority()) },
        Workload { name: "million", zone: LARGE, pool: Arc::new(Pool::mix(LARGE.names, true)) },
    ];
    let servers = |workload: &Workload| if workload.zone == LARGE { &large } else { &small };
    let mut series: Vec<Vec<Series>> = workloads
        .iter()
        .map(|workload| {
            let one = |(running, server): (usize, &Running)| {
                let load = Closed::connect(server.site.address, bench.window)?;
                let pool = server.questions(&workload.pool);
                let outcome = Outcome::default();
                Ok(Series { running, load, pool, cpu: vec![], rate: vec![], busy: vec![], outcome })
            };
            servers(workload).iter().enumerate().map(one).collect()
        })
        .collect::<Result<_>>()?;
    bench.machine.run_on(bench.machine.generator)?;
    for round in 1..=rounds {
        bench.say(&format!("round {round} of {rounds}"));
        for (workload, series) in workloads.iter().zip(&mut series) {
            for series in series {
                measure(&servers(workload)[series.running], series, queries).with_context(|| {
                    format!("{} on {}", workload.name, servers(workload)[series.running].server.name())
                })?;
            }
        }
    }
    bench.machine.run_on(cpu::Cores::All)?;
    report(bench, rounds, queries, &workloads, &series, &small);
    Ok(())
}

fn measure(running: &Running, series: &mut Series, queries: u64) -> Result<()> {
    // Caches and the core's clock warm up.
    series.load.run(&series.pool, queries / 20)?;
    thread::sleep(SETTLE);
    let processes = running.processes();
    let before = cpu::used(&processes)?;
    let outcome = series.load.run(&series.pool, queries)?;
    thread::sleep(SETTLE);
    let used = cpu::used(&processes)? - before;
    let answered = outcome.answered().max(1) as f64;
    series.cpu.push(used.as_secs_f64() * 1e6 / answered);
    series.rate.push(answered / outcome.elapsed.as_secs_f64());
    series.busy.push(used.as_secs_f64() / outcome.elapsed.as_secs_f64());
    series.outcome.add(&outcome);
    Ok(())
}

fn report(
    bench: &mut Bench,
    rounds: usize,
    queries: u64,
    workloads: &[Workload],
    series: &[Vec<Series>],
    small: &[Running],
) {
    let columns = [
        "workload",
        "server",
        "CPU us/query",
        "least",
        "most",
        "x echo",
        "x gdnsd",
        "x own mix",
        "peak q/s",
        "busy %",
        "wrong",
        "lost",
    ];
    let mut table = Table::new(format!("UDP: {rounds} rounds of {queries} queries, medians"), &columns);
    let of = |workload: &str, server: &str| {
        let workload = workloads.iter().position(|known| known.name == workload)?;
        let server = small.iter().position(|known| known.server.name() == server)?;
        Some(&series[workload][server].cpu)
    };
    for (workload, series) in workloads.iter().zip(series) {
        for one in series {
            let server = small[one.running].server;
            let to = |other| of(workload.name, other).map_or(Cell::Nothing, |to| ratio(&one.cpu, to));
            let own = if workload.zone == LARGE { of("mix", server.name()) } else { None };
            table.row(vec![
                workload.name.into(),
                server.name().into(),
                Cell::number(median(&one.cpu), 2),
                Cell::number(least(&one.cpu), 2),
                Cell::number(most(&one.cpu), 2),
                to("echo"),
                to("gdnsd"),
                own.map_or(Cell::Nothing, |own| ratio(&one.cpu, own)),
                Cell::number(most(&one.rate), 0),
                Cell::number(median(&one.busy).map(|busy| busy * 100.0), 0),
                one.outcome.wrong.into(),
                one.outcome.lost.into(),
            ]);
            bench.judge(server, &format!("UDP, {}", workload.name), &one.outcome);
            if let Some(wrong) = one.outcome.first_wrong {
                table.note(format!("{} on {}: the first wrong answer: {wrong}", workload.name, server.name()));
            }
        }
    }
    table.note(
        "ratios are medians of the ratios within each round; hub and priority are static records in Knot and NSD",
    );
    bench.publish(table);
}
