//! CPU time of the server for each answered query, for hubs whose answer depends on the client or on a draw.
//!
//! All go by the same database of countries, of [`NETWORKS`] networks of IPv4 and as many of IPv6, which is what the free
//! ones have within a factor of a few. The clients are at one address. What is priority differs by server: see `workload`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;

use crate::bench::{Bench, SMALL, ratio};
use crate::cpu;
use crate::figures::{least, median, most};
use crate::generator::{Closed, Outcome};
use crate::servers::Running;
use crate::table::{Cell, Table};
use crate::workload::{COUNTRY, Pool};

/// Networks of each family in the database.
const NETWORKS: u32 = 100_000;

/// Time after the last answer for the server to go to sleep, so that all of its CPU time has been counted.
const SETTLE: Duration = Duration::from_millis(10);

/// Who can do it.
pub(super) const ABLE: [&str; 3] = ["concierge", "gdnsd", "knot"];

/// One server with one workload, over all rounds.
struct Series {
    load: Closed,
    /// Microseconds of CPU time per answer, by round.
    cpu: Vec<f64>,
    outcome: Outcome,
}

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let rounds = bench.rounds(3, 11);
    let queries: u64 = if bench.quick { 100_000 } else { 300_000 };
    let countries = bench.places.scratch.join("GeoLite2-Country.mmdb");
    write_countries(&countries).context("cannot write the database of countries")?;
    let servers: Vec<_> = bench.servers.iter().copied().filter(|server| ABLE.contains(&server.name())).collect();
    let mut running: Vec<Running> = Vec::new();
    for server in servers {
        bench.say(server.name());
        let mut site = bench.places.site(server, SMALL)?;
        site.countries = Some(countries.clone());
        running.push(Running::start(server, site, &bench.machine, bench.machine.server)?);
    }
    let workloads = [("priority", Pool::priority()), ("geo", Pool::geo()), ("weighted", Pool::weighted())]
        .map(|(name, pool)| (name, Arc::new(pool)));
    let one = |server: &Running| {
        let load = Closed::connect(server.site.address, bench.window)?;
        Ok(Series { load, cpu: Vec::new(), outcome: Outcome::default() })
    };
    let mut series: Vec<Vec<Series>> =
        workloads.iter().map(|_| running.iter().map(one).collect()).collect::<Result<_>>()?;
    bench.machine.run_on(bench.machine.generator)?;
    for round in 1..=rounds {
        bench.say(&format!("round {round} of {rounds}"));
        // The policies of a server are compared with each other more than with those of others: they are next in time.
        for (at, server) in running.iter().enumerate() {
            for ((name, pool), series) in workloads.iter().zip(&mut series) {
                measure(server, &mut series[at], pool, queries)
                    .with_context(|| format!("{name} on {}", server.server.name()))?;
            }
        }
    }
    bench.machine.run_on(cpu::Cores::All)?;
    let names = workloads.each_ref().map(|(name, _)| *name);
    report(bench, rounds, queries, &names, &series, &running);
    Ok(())
}

fn measure(running: &Running, series: &mut Series, pool: &Arc<Pool>, queries: u64) -> Result<()> {
    // Caches and the core's clock warm up.
    series.load.run(pool, queries / 20)?;
    thread::sleep(SETTLE);
    let processes = running.processes();
    let before = cpu::used(&processes)?;
    let outcome = series.load.run(pool, queries)?;
    thread::sleep(SETTLE);
    let used = cpu::used(&processes)? - before;
    series.cpu.push(used.as_secs_f64() * 1e6 / outcome.answered().max(1) as f64);
    series.outcome.add(&outcome);
    Ok(())
}

fn report(
    bench: &mut Bench,
    rounds: usize,
    queries: u64,
    workloads: &[&str],
    series: &[Vec<Series>],
    running: &[Running],
) {
    let columns =
        ["workload", "server", "CPU us/query", "least", "most", "x own priority", "x gdnsd", "x knot", "wrong", "lost"];
    let mut table = Table::new(format!("policies: {rounds} rounds of {queries} queries, medians"), &columns);
    let place = |server: &str| running.iter().position(|known| known.server.name() == server);
    for (workload, all) in workloads.iter().zip(series) {
        for (at, one) in all.iter().enumerate() {
            let server = running[at].server;
            let to = |other| place(other).map_or(Cell::Nothing, |other| ratio(&one.cpu, &all[other].cpu));
            table.row(vec![
                (*workload).into(),
                server.name().into(),
                Cell::number(median(&one.cpu), 2),
                Cell::number(least(&one.cpu), 2),
                Cell::number(most(&one.cpu), 2),
                ratio(&one.cpu, &series[0][at].cpu),
                to("gdnsd"),
                to("knot"),
                one.outcome.wrong.into(),
                one.outcome.lost.into(),
            ]);
            bench.judge(server, &format!("policies, {workload}"), &one.outcome);
            if let Some(wrong) = one.outcome.first_wrong {
                table.note(format!("{workload} on {}: the first wrong answer: {wrong}", server.name()));
            }
        }
    }
    table.note("ratios are medians of the ratios within each round; priority is a static record in Knot");
    table.note(format!("{NETWORKS} networks of IPv4 and of IPv6 in the database; one client"));
    bench.publish(table);
}

#[derive(serde::Serialize)]
struct Record {
    continent: Continent,
    country: Country,
}

#[derive(serde::Serialize)]
struct Continent {
    code: &'static str,
}

#[derive(serde::Serialize)]
struct Country {
    iso_code: &'static str,
}

/// A database in which neighbours are of different countries, and the clients of the measurement of theirs.
pub(super) fn write_countries(file: &Path) -> Result<()> {
    const COUNTRIES: [(&str, &str); 6] =
        [("EU", COUNTRY), ("EU", "FR"), ("EU", "PL"), ("NA", "US"), ("AS", "JP"), ("SA", "BR")];
    let mut database = Database::default();
    database.metadata.ip_version = IpVersion::V6;
    database.metadata.binary_format_major_version = 2;
    database.metadata.database_type = "GeoLite2-Country".into();
    database.metadata.languages = vec!["en".into()];
    database.metadata.description = [("en".into(), "countries of a benchmark".into())].into();
    database.metadata.build_epoch = 1_700_000_000;
    let records = COUNTRIES.map(|(code, iso_code)| {
        database.insert_value(Record { continent: Continent { code }, country: Country { iso_code } })
    });
    let mut known = Vec::new();
    for record in records {
        known.push(record.map_err(|error| anyhow::anyhow!("{error}"))?);
    }
    let mut insert = |text: String, country: usize| -> Result<()> {
        let network: IpAddrWithMask = text.parse().map_err(|_| anyhow::anyhow!("no network: {text}"))?;
        database.insert_node(network, known[country]);
        Ok(())
    };
    insert("::127.0.0.0/104".into(), 0)?;
    let mut random = fastrand::Rng::with_seed(3);
    for at in 0..NETWORKS {
        // From 1.0.0.0 in steps of 1,024, below 127.0.0.0; of IPv6 from 2001:: in /40s.
        let address = std::net::Ipv4Addr::from(0x0100_0000 + at * 1024);
        insert(format!("::{address}/{}", 96 + random.u8(22..=24)), random.usize(..COUNTRIES.len()))?;
        let address = std::net::Ipv6Addr::from((0x2001_u128 << 112) + (u128::from(at) << 88));
        insert(format!("{address}/{}", random.u8(40..=48)), random.usize(..COUNTRIES.len()))?;
    }
    database.write_to(File::create(file)?).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(())
}
