//! User-space instructions per query, counted by callgrind.
//!
//! Each server runs twice under valgrind, with few queries and with many; the difference of the counts, divided by the
//! difference of the queries, has nothing of the start in it. The kernel is not counted.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::policies::{ABLE, write_countries};
use crate::bench::{Bench, SMALL};
use crate::generator::Closed;
use crate::servers::{Running, Server};
use crate::table::{Cell, Table};
use crate::workload::Pool;

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let (few, many) = if bench.quick { (5_000, 25_000) } else { (20_000, 120_000) };
    let workloads = [
        ("hub", Pool::hub()),
        ("mix", Pool::mix(SMALL.names, true)),
        ("mix, no EDNS", Pool::mix(SMALL.names, false)),
        ("priority", Pool::priority()),
        ("geo", Pool::geo()),
        ("weighted", Pool::weighted()),
    ];
    let countries = bench.places.scratch.join("instructions.mmdb");
    write_countries(&countries)?;
    let names: Vec<&str> = workloads.iter().map(|(name, _)| *name).collect();
    let columns: Vec<&str> = ["server"].into_iter().chain(names).collect();
    let mut table = Table::new("user-space instructions per UDP query (callgrind)", &columns);
    for server in bench.servers.clone() {
        bench.say(server.name());
        let mut row = vec![server.name().into()];
        for (name, pool) in &workloads {
            let by_client = ["geo", "weighted"].contains(name);
            if by_client && !ABLE.contains(&server.name()) {
                row.push(Cell::Nothing);
                continue;
            }
            let countries = by_client.then_some(countries.as_path());
            let counted = count(bench, server, pool, countries, few)
                .and_then(|fewer| Ok((fewer, count(bench, server, pool, countries, many)?)));
            row.push(match counted {
                Ok((fewer, more)) => Cell::Number((more as f64 - fewer as f64) / (many - few) as f64, 0),
                // Not every server runs under valgrind.
                Err(error) if server.name() != "concierge" => {
                    table.note(format!("{name} on {}: {error:#}", server.name()));
                    Cell::Nothing
                }
                Err(error) => return Err(error).with_context(|| format!("{name} on {}", server.name())),
            });
        }
        table.row(row);
    }
    table.note(format!("{many} queries less {few}; all threads and processes of the server"));
    bench.publish(table);
    Ok(())
}

/// Instructions of a run with so many queries, from its start to its end.
fn count(
    bench: &mut Bench,
    server: &'static dyn Server,
    pool: &Pool,
    countries: Option<&Path>,
    queries: u64,
) -> Result<u64> {
    let mut site = bench.places.site(server, SMALL)?;
    site.counted = true;
    site.countries = countries.map(Path::to_owned);
    let counts = site.folder.join("counts");
    fs::create_dir(&counts)?;
    let wrapper = [
        "/usr/bin/valgrind".to_owned(),
        "--tool=callgrind".into(),
        "--quiet".into(),
        format!("--callgrind-out-file={}/%p", counts.display()),
    ];
    let machine = &bench.machine;
    let mut running = Running::launch(server, site, machine, machine.server, &wrapper)?;
    // Rarely, so that the questions asked while it starts do not count for much.
    running.wait(std::time::Duration::from_millis(100))?;
    let outcome = Closed::connect(running.site.address, bench.window)?.run(pool, queries)?;
    bench.judge(server, "instructions", &outcome);
    running.stop();
    let mut total = 0;
    for file in fs::read_dir(&counts)? {
        let text = fs::read_to_string(file?.path())?;
        let line = text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
        total += line.context("no sum in callgrind's file")?.trim().parse::<u64>()?;
    }
    if total == 0 {
        bail!("callgrind counted nothing:\n{}", running.log());
    }
    Ok(total)
}
