//! Memory in user space for a TCP connection that has asked once and is idle.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::{Bench, SMALL};
use crate::cpu::Memory;
use crate::generator::Outcome;
use crate::servers::Running;
use crate::table::{Cell, Table};
use crate::tcp::Idle;
use crate::workload::Pool;

/// Connections that the servers are configured for.
const LIMIT: u32 = 12_000;
/// Connections that are opened first, so that what the first ones cost once is not counted.
const FIRST: u32 = 100;

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let count: u32 = if bench.quick { 2_000 } else { 10_000 };
    let pool = Pool::mix(SMALL.names, true);
    let columns =
        ["server", "connections", "still open", "PSS MB before", "after", "PSS octets each", "RSS octets each"];
    let mut table = Table::new(format!("{count} idle TCP connections, one query asked on each"), &columns);
    for server in bench.servers.clone() {
        bench.say(server.name());
        let mut site = bench.places.site(server, SMALL)?;
        site.tcp_connections = LIMIT;
        let running = Running::start(server, site, &bench.machine, bench.machine.server)?;
        let mut outcome = Outcome::default();
        let measured = measure(&running, &pool, count, &mut outcome);
        let (before, after, open) = measured.with_context(|| server.name())?;
        let each = |before: u64, after: u64| (after as f64 - before as f64) / f64::from(count);
        table.row(vec![
            server.name().into(),
            u64::from(count).into(),
            open.into(),
            Cell::Number(before.pss as f64 / 1e6, 1),
            Cell::Number(after.pss as f64 / 1e6, 1),
            Cell::Number(each(before.pss, after.pss), 0),
            Cell::Number(each(before.rss, after.rss), 0),
        ]);
        bench.judge(server, "idle connections", &outcome);
        if open < u64::from(count) {
            bench.fail(server, format!("idle connections: {} closed {}", server.name(), u64::from(count) - open));
        }
    }
    bench.publish(table);
    Ok(())
}

fn measure(running: &Running, pool: &Pool, count: u32, outcome: &mut Outcome) -> Result<(Memory, Memory, u64)> {
    let address = running.site.address;
    drop(Idle::open(address, pool, FIRST, outcome)?);
    std::thread::sleep(Duration::from_millis(500));
    let before = running.memory();
    let mut idle = Idle::open(address, pool, count, outcome)?;
    std::thread::sleep(Duration::from_millis(500));
    let after = running.memory();
    Ok((before, after, idle.still_open()?))
}
