//! Which cores run what, and the CPU time that processes have used.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where something runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// On this core alone.
    One(usize),
    /// Wherever the process that this is may run.
    All,
}

/// The cores of the bench itself.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    all: CpuSet,
    /// For the server that is measured.
    pub(crate) server: Cores,
    /// For the generator.
    pub(crate) generator: Cores,
}

impl Machine {
    /// Takes the first two cores that this process may use.
    pub(crate) fn find() -> Result<Self> {
        let all = sched_getaffinity(None).context("cannot ask for the cores")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        let (Some(server), Some(generator)) = (cores.next(), cores.next()) else {
            bail!("two cores are needed: one for the server, one for the generator");
        };
        Ok(Self { all, server: Cores::One(server), generator: Cores::One(generator) })
    }

    /// Moves the calling thread, and what it starts from then on.
    pub(crate) fn run_on(&self, cores: Cores) -> Result<()> {
        let set = match cores {
            Cores::All => self.all,
            Cores::One(core) => {
                let mut set = CpuSet::new();
                set.set(core);
                set
            }
        };
        sched_setaffinity(None, &set).context("cannot choose the core")
    }
}

/// Lets the calling thread go before all others where they want the same core, and what it starts from then on: what
/// measures must not wait for what is measured. Without the right to it (CAP_SYS_NICE) it waits as others do.
pub(crate) fn go_ahead() {
    let _ = rustix::process::nice(-20);
}

/// The process and all that it started.
pub(crate) fn family(process: u32) -> Vec<u32> {
    let mut parents: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // The command's name stands in parentheses and may contain anything; the parent is the second field after it.
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            parents.entry(parent).or_default().push(id);
        }
    }
    let mut family = vec![process];
    let mut seen: HashSet<u32> = HashSet::from([process]);
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.get(&parent).into_iter().flatten().filter(|child| seen.insert(**child)));
        next += 1;
    }
    family
}

/// User and system time of all threads of these processes.
///
/// `/proc/PID/task/TID/schedstat` counts nanoseconds; without it `/proc/PID/stat` counts hundredths of a second.
pub(crate) fn used(processes: &[u32]) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for process in processes {
        total += used_by(*process).with_context(|| format!("cannot read the CPU time of process {process}"))?;
    }
    Ok(total)
}

fn used_by(process: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            return used_in_ticks(process);
        };
        total += Duration::from_nanos(text.split_whitespace().next().context("an empty schedstat")?.parse()?);
    }
    Ok(total)
}

fn used_in_ticks(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').context("no command in stat")?.1;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map_while(|ticks| ticks.parse::<u64>().ok()).sum();
    let a_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
}

/// What processes have in memory, octets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// Pages shared with others counted in part.
    pub(crate) pss: u64,
    /// Pages shared with others counted whole, each time.
    pub(crate) rss: u64,
}

/// Memory of these processes together; one that has ended has none.
pub(crate) fn memory(processes: &[u32]) -> Memory {
    let mut total = Memory::default();
    for process in processes {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
        let of = |key: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            let kilobytes: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kilobytes.unwrap_or(0) * 1024
        };
        total.pss += of("Pss:");
        total.rss += of("Rss:");
    }
    total
}
