//! Ten thousand endpoints probed every ten seconds, and what that costs.
//!
//! ```text
//! targets   start | answer whatever is probed, and count it by the second
//! server    start | spread: the first interval | settle: the second | measured: CPU time, then memory | end
//! ```
//!
//! The servers take turns, so that each is measured with the same targets and nothing beside it. gdnsd knows checks of
//! TCP alone; concierge is measured with as many of these, and with a mix of TCP, TLS and HTTP.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, SMALL};
use crate::cpu::{self, Cores};
use crate::figures::{least, median, most};
use crate::probed::{INTERVAL, Ports, Probed};
use crate::servers::{Running, Server};
use crate::table::{Cell, Table};

/// Endpoints that are probed.
const ENDPOINTS: u32 = 10_000;
/// Longest time for the targets to be there.
const DEADLINE: Duration = Duration::from_secs(10);
/// Time in which every endpoint is probed once, and the start has an end.
const ROUND: Duration = Duration::from_secs(INTERVAL as u64);

/// The process that is probed; it ends with this.
pub(super) struct Targets {
    child: Child,
    folder: PathBuf,
}

/// What was found of one server.
struct Found {
    /// Seconds of CPU for a second, by round.
    cores: Vec<f64>,
    memory: cpu::Memory,
    /// Observations served in each second of the first interval.
    first: Vec<f64>,
    /// Observations a second while the CPU time was taken.
    rate: f64,
    /// Endpoints that the server takes for down or unknown; not known of every server.
    not_up: Option<u64>,
}

/// Measures, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let endpoints = if bench.quick { ENDPOINTS / 10 } else { ENDPOINTS };
    let rounds = bench.rounds(2, 6);
    let targets = Targets::start(bench)?;
    let columns = [
        "server",
        "probes",
        "observations/s",
        "CPU % of a core",
        "least",
        "most",
        "us each",
        "PSS MB",
        "RSS MB",
        "first 10 s: least/s",
        "most/s",
    ];
    let title = format!("{endpoints} endpoints probed every {INTERVAL} s: medians of {rounds} rounds of {INTERVAL} s");
    let mut table = Table::new(title, &columns);
    for server in bench.servers.clone() {
        for tcp_only in match server.name() {
            "concierge" => &[false, true][..],
            "gdnsd" => &[true],
            _ => continue,
        } {
            let probes = if *tcp_only { "tcp" } else { "40 % tcp, 30 % tls, 30 % http" };
            bench.say(&format!("{} with {probes}", server.name()));
            let probed = targets.probed(endpoints, *tcp_only)?;
            let found = measure(bench, server, probed, &targets, rounds)?;
            let percent = |figure: Option<f64>| Cell::number(figure.map(|cores| cores * 100.0), 1);
            table.row(vec![
                server.name().into(),
                probes.into(),
                Cell::Number(found.rate, 0),
                percent(median(&found.cores)),
                percent(least(&found.cores)),
                percent(most(&found.cores)),
                Cell::number(median(&found.cores).map(|cores| cores * 1e6 / found.rate), 0),
                Cell::Number(found.memory.pss as f64 / 1e6, 1),
                Cell::Number(found.memory.rss as f64 / 1e6, 1),
                Cell::number(least(&found.first), 0),
                Cell::number(most(&found.first), 0),
            ]);
            if let Some(not_up @ 1..) = found.not_up {
                bench.fail(server, format!("probes: {not_up} of {endpoints} endpoints are not up"));
            }
        }
    }
    table.note("the whole process is counted, with a zone of 1,000 names and nobody who asks");
    table.note("TLS: a full handshake each time, ECDSA P-256, verified; HTTP: one kept connection for each endpoint");
    bench.publish(table);
    Ok(())
}

fn measure(
    bench: &Bench,
    server: &'static dyn Server,
    probed: Probed,
    targets: &Targets,
    rounds: usize,
) -> Result<Found> {
    let mut site = bench.places.site(server, SMALL)?;
    site.probed = Some(probed);
    let before = targets.served()?.len();
    let running = Running::start(server, site, &bench.machine, bench.machine.server)?;
    sleep(2 * ROUND);
    let served = targets.served()?;
    let each: Vec<f64> = served.windows(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64).collect();
    // The server starts within a second of the targets' count, and so does the interval end.
    let first = each[before.min(each.len())..].iter().skip(1).take(INTERVAL as usize - 2).copied().collect();
    let mut cores = Vec::new();
    let (whole, counted) = (Instant::now(), targets.count()?);
    for _ in 0..rounds {
        let (begun, before) = (Instant::now(), cpu::used(&running.processes())?);
        sleep(ROUND);
        let used = cpu::used(&running.processes())?.saturating_sub(before);
        cores.push(used.as_secs_f64() / begun.elapsed().as_secs_f64());
    }
    let rate = (targets.count()? - counted) as f64 / whole.elapsed().as_secs_f64();
    let memory = running.memory();
    let not_up = match server.name() {
        "concierge" => Some(not_up(&running)?),
        _ => None,
    };
    Ok(Found { cores, memory, first, rate, not_up })
}

/// Endpoints whose health is not up, by concierge's metrics.
fn not_up(running: &Running) -> Result<u64> {
    let metrics = crate::admin::Admin::of(running).metrics()?;
    let endpoints = metrics.lines().filter(|line| line.starts_with("concierge_endpoint_health{hub=\"q"));
    let mut bad = 0;
    for line in endpoints {
        let (_, value) = line.rsplit_once(' ').context("a metric without a value")?;
        bad += u64::from(value.parse() != Ok(1.0));
    }
    Ok(bad)
}

impl Targets {
    pub(super) fn start(bench: &Bench) -> Result<Self> {
        let folder = bench.places.scratch.join("targets");
        fs::create_dir_all(&folder)?;
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(std::env::current_exe()?).arg("targets").arg(&folder);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        bench.machine.run_on(bench.machine.generator)?;
        let child = command.spawn();
        bench.machine.run_on(Cores::All)?;
        let targets = Self { child: child.context("cannot start the targets")?, folder };
        let begun = Instant::now();
        while Ports::read(&targets.folder).is_none() || targets.served().map_or(0, |served| served.len()) == 0 {
            if begun.elapsed() > DEADLINE {
                bail!("the targets are not there: {}", fs::read_to_string(targets.folder.join("log"))?);
            }
            sleep(Duration::from_millis(10));
        }
        Ok(targets)
    }

    pub(super) fn probed(&self, endpoints: u32, tcp_only: bool) -> Result<Probed> {
        let ports = Ports::read(&self.folder).context("the targets have no ports")?;
        Ok(Probed { endpoints, tcp_only, ports, ca: self.folder.join("ca.pem") })
    }

    /// How many observations were served since the start, second by second.
    fn served(&self) -> Result<Vec<u64>> {
        let text = fs::read_to_string(self.folder.join("served")).context("the targets do not count")?;
        Ok(text.lines().map(|line| line.split(' ').filter_map(|count| count.parse::<u64>().ok()).sum()).collect())
    }

    fn count(&self) -> Result<u64> {
        self.served()?.last().copied().context("the targets do not count")
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        drop(self.child.wait());
    }
}
