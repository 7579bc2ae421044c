//! CPU time of the server for each answered query over TCP, on connections that stay and on one for each query.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::{Bench, SMALL, ratio};
use crate::cpu::{self, Cores};
use crate::figures::{least, median, most};
use crate::generator::Outcome;
use crate::servers::Running;
use crate::table::{Cell, Table};
use crate::tcp::{OneEach, Pipelined};
use crate::workload::Pool;

/// Connections that stay.
const CONNECTIONS: u32 = 8;
/// Queries in flight on each, written at once; beside it, one is measured.
const DEPTH: usize = 32;
/// Connections at once, where each carries one query: Knot lets no more than ten wait to be accepted.
const AT_ONCE: usize = 8;
/// Time after the last answer for the server to see the connections' ends.
const SETTLE: Duration = Duration::from_millis(50);

/// How queries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// So many queries in flight on each connection that stays, written at once.
    Pipelined(usize),
    OneEach,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Pipelined(1) => "8 connections, 1 in flight",
            Self::Pipelined(_) => "8 connections, 32 in flight",
            Self::OneEach => "a connection each",
        }
    }
}

#[derive(Default)]
struct Found {
    cpu: Vec<f64>,
    rate: Vec<f64>,
    outcome: Outcome,
}

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let rounds = bench.rounds(3, 11);
    let (pipelined, one_each) = if bench.quick { (50_000, 5_000) } else { (200_000, 20_000) };
    let modes = [(Mode::Pipelined(DEPTH), pipelined), (Mode::Pipelined(1), pipelined / 2), (Mode::OneEach, one_each)];
    let servers = bench.start_all(SMALL, false)?;
    let pool = Pool::mix(SMALL.names, true);
    let mut found: Vec<Vec<Found>> = modes.iter().map(|_| servers.iter().map(|_| Found::default()).collect()).collect();
    bench.machine.run_on(bench.machine.generator)?;
    for round in 1..=rounds {
        bench.say(&format!("round {round} of {rounds}"));
        for ((mode, queries), found) in modes.into_iter().zip(&mut found) {
            for (running, found) in servers.iter().zip(found) {
                measure(running, mode, &pool, queries, found)
                    .with_context(|| format!("{} on {}", mode.name(), running.server.name()))?;
            }
        }
    }
    bench.machine.run_on(Cores::All)?;
    let columns = ["workload", "server", "CPU us/query", "least", "most", "x gdnsd", "queries/s", "wrong", "lost"];
    let mut table = Table::new(
        format!(
            "TCP: {rounds} rounds of {pipelined} queries on {CONNECTIONS} connections and of {one_each} connections, medians"
        ),
        &columns,
    );
    let gdnsd = servers.iter().position(|running| running.server.name() == "gdnsd");
    for ((mode, _), found) in modes.into_iter().zip(&found) {
        for (running, one) in servers.iter().zip(found) {
            table.row(vec![
                mode.name().into(),
                running.server.name().into(),
                Cell::number(median(&one.cpu), 2),
                Cell::number(least(&one.cpu), 2),
                Cell::number(most(&one.cpu), 2),
                gdnsd.map_or(Cell::Nothing, |gdnsd| ratio(&one.cpu, &found[gdnsd].cpu)),
                Cell::number(median(&one.rate), 0),
                one.outcome.wrong.into(),
                one.outcome.lost.into(),
            ]);
            bench.judge(running.server, &format!("TCP, {}", mode.name()), &one.outcome);
        }
    }
    table.note(format!("32 in flight are written at once; with a connection each, {AT_ONCE} are open at once"));
    bench.publish(table);
    Ok(())
}

fn measure(running: &Running, mode: Mode, pool: &Pool, queries: u64, found: &mut Found) -> Result<()> {
    let address = running.site.address;
    let mut pipelined = match mode {
        Mode::Pipelined(depth) => Some(Pipelined::connect(address, CONNECTIONS, depth)?),
        Mode::OneEach => None,
    };
    let mut one_each = OneEach::new(address, AT_ONCE);
    let mut load = |count| match &mut pipelined {
        Some(pipelined) => pipelined.run(pool, count),
        None => one_each.run(pool, count),
    };
    load(queries / 20)?;
    thread::sleep(SETTLE);
    let processes = running.processes();
    let before = cpu::used(&processes)?;
    let outcome = load(queries)?;
    thread::sleep(SETTLE);
    let used = cpu::used(&processes)? - before;
    let answered = outcome.answered().max(1) as f64;
    found.cpu.push(used.as_secs_f64() * 1e6 / answered);
    found.rate.push(answered / outcome.elapsed.as_secs_f64());
    found.outcome.add(&outcome);
    Ok(())
}
