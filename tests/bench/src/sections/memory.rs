//! Memory after the first answers, and a little later.

use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, LARGE, SMALL};
use crate::cpu::Memory;
use crate::generator::Closed;
use crate::table::{Cell, Table};
use crate::workload::Pool;

/// Time for a server to give back what it needed only at its start.
const LATER: Duration = Duration::from_secs(3);

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let columns = ["names", "server", "PSS MB", "RSS MB", "PSS MB 3 s later", "RSS MB 3 s later", "processes"];
    let mut table = Table::new("memory after the first answers", &columns);
    for zone in [SMALL, LARGE] {
        let pool = Pool::mix(zone.names, true);
        for server in bench.servers.clone() {
            bench.say(&format!("{} with {} names", server.name(), zone.names));
            let running = bench.start(server, zone, bench.machine.server)?;
            let outcome = Closed::connect(running.site.address, bench.window)?.run(&pool, 10_000)?;
            bench.judge(server, "memory", &outcome);
            let first = running.memory();
            std::thread::sleep(LATER);
            let later = running.memory();
            let megabytes = |octets: u64| Cell::Number(octets as f64 / 1e6, 1);
            let of = |Memory { pss, rss }| [megabytes(pss), megabytes(rss)];
            let mut row = vec![u64::from(zone.names).into(), server.name().into()];
            row.extend(of(first));
            row.extend(of(later));
            row.push((running.processes().len() as u64).into());
            table.row(row);
        }
    }
    table.note("1 MB is 1,000,000 octets; RSS counts pages that processes share once for each");
    bench.publish(table);
    Ok(())
}
