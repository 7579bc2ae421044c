//! Which functions a daemon runs in a day, written down for the linker: `src/resident.ld`.
//!
//! ```text
//! callgrind: start | probes, queries over UDP and TCP, a mark, metrics, a reload | stop  ─► functions that ran
//! nm:        all functions and their sizes                                               ─► patterns of their names
//! ```
//!
//! A name ends in a hash, which changes with the compiler and the dependencies. Where all the functions that are called alike
//! ran, or nearly so, the hash is left open, so that most of the file stays true when it does; the others, instances of
//! generic functions of which few ran, are named in full.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::policies::write_countries;
use super::probes::Targets;
use crate::admin::Admin;
use crate::bench::{Bench, SMALL};
use crate::cpu::Cores;
use crate::generator::Closed;
use crate::servers::{Concierge, Running, SWITCHING_REGIONS, Server};
use crate::table::{Cell, Table};
use crate::tcp;
use crate::workload::Pool;

/// What is written, from the root of the repository.
const FILE: &str = "src/resident.ld";
/// Endpoints that are probed.
const ENDPOINTS: u32 = 20;
/// Time in which each is probed at least once, under valgrind.
const PROBED: Duration = Duration::from_secs(25);
/// Queries of each workload.
const QUERIES: u64 = 2_000;
/// Digits of the hash at the end of a name, behind `17h` and in front of `E`.
const HASH: usize = 16;

/// Writes the file, and adds a table of what it names.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    bench.say("a day of the daemon, under valgrind");
    let ran = live(bench)?;
    let sizes = sizes(&bench.places.concierge)?;
    let names = Names::of(&ran, &sizes);
    fs::write(FILE, names.script()).with_context(|| format!("cannot write {FILE}"))?;
    let mut table = Table::new(format!("functions that a daemon runs in a day, now in {FILE}"), &["functions", "MB"]);
    let megabytes = |octets: u64| Cell::Number(octets as f64 / 1e6, 2);
    table.row(vec![(sizes.len() as u64).into(), megabytes(sizes.values().sum())]);
    table.row(vec![(names.ran.len() as u64).into(), megabytes(names.ran.values().sum())]);
    table.note("first all functions of the program, then those that ran");
    bench.publish(table);
    Ok(())
}

/// Lives a day, and returns the functions that ran in it.
fn live(bench: &mut Bench) -> Result<BTreeSet<String>> {
    let targets = Targets::start(bench)?;
    let mut site = bench.places.site(&Concierge, SMALL)?;
    site.switching = 10;
    site.probed = Some(targets.probed(ENDPOINTS, false)?);
    let countries = bench.places.scratch.join("countries.mmdb");
    write_countries(&countries)?;
    site.countries = Some(countries);
    let trace = site.folder.join("trace");
    let wrapper = [
        "/usr/bin/valgrind".to_owned(),
        "--tool=callgrind".into(),
        "--quiet".into(),
        "--demangle=no".into(),
        format!("--callgrind-out-file={}", trace.display()),
    ];
    let mut running = Running::launch(&Concierge, site, &bench.machine, Cores::All, &wrapper)?;
    running.wait(Duration::from_millis(100))?;
    for pool in [Pool::hub(), Pool::priority(), Pool::geo(), Pool::weighted()]
        .into_iter()
        .chain([true, false].map(|edns| Pool::mix(SMALL.names, edns)))
    {
        let outcome = Closed::connect(running.site.address, bench.window)?.run(&pool, QUERIES)?;
        bench.judge(&Concierge, "layout", &outcome);
        let outcome = tcp::Pipelined::connect(running.site.address, 2, 4)?.run(&pool, QUERIES)?;
        bench.judge(&Concierge, "layout over TCP", &outcome);
    }
    sleep(PROBED);
    let admin = Admin::of(&running);
    admin.mark_down(SWITCHING_REGIONS[0])?;
    admin.unmark(SWITCHING_REGIONS[0])?;
    admin.metrics()?;
    admin.status()?;
    let zone = crate::workload::Zone { serial: 2, ..SMALL };
    Concierge.write_zone(&running.site, zone)?;
    Concierge.reload(&running)?;
    sleep(PROBED);
    admin.metrics()?;
    running.stop();
    let text = fs::read_to_string(&trace).with_context(|| format!("callgrind wrote nothing:\n{}", running.log()))?;
    let ran: BTreeSet<String> = text.lines().filter_map(function).collect();
    match ran.is_empty() {
        true => bail!("no function ran"),
        false => Ok(ran),
    }
}

/// The function that a line of callgrind's file names at its first mention: `fn=(12) NAME`, `cfn=(12) NAME'2`.
fn function(line: &str) -> Option<String> {
    let (_, name) = line.strip_prefix('c').unwrap_or(line).strip_prefix("fn=(")?.split_once(") ")?;
    Some(name.split_once('\'').map_or(name, |(name, _)| name).to_owned())
}

/// The sizes of a program's functions, octets.
fn sizes(program: &Path) -> Result<BTreeMap<String, u64>> {
    let output = Command::new("nm").arg("--print-size").arg(program).output().context("cannot run `nm`")?;
    if !output.status.success() {
        bail!("`nm`: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).context("`nm` tells no text")?;
    Ok(text.lines().filter_map(sized).collect())
}

/// Name and size of a function in a line of `nm`: address, size, kind, name.
fn sized(line: &str) -> Option<(String, u64)> {
    let mut fields = line.split(' ').skip(1);
    let size = u64::from_str_radix(fields.next()?, 16).ok()?;
    let kind = fields.next()?;
    matches!(kind, "t" | "T" | "w" | "W").then_some((fields.next()?.to_owned(), size))
}

/// The functions that ran, and how the file names them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    /// Their sizes in octets.
    ran: BTreeMap<String, u64>,
    /// Names with the hash left open, and whole names.
    written: BTreeSet<String>,
}

impl Names {
    fn of(ran: &BTreeSet<String>, sizes: &BTreeMap<String, u64>) -> Self {
        let ran: BTreeMap<String, u64> =
            ran.iter().filter_map(|name| Some((name.clone(), *sizes.get(name)?))).collect();
        let mut alike: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (name, size) in sizes {
            let (all, run) = alike.entry(open(name)).or_default();
            *all += size;
            *run += ran.get(name).copied().unwrap_or(0);
        }
        let mostly = |name: &String| alike.get(&open(name)).is_some_and(|(all, run)| run * 2 > *all);
        // What is not of Rust has no section of its own.
        let rust = ran.keys().filter(|name| name.starts_with("_ZN") || name.starts_with("_R"));
        let written = rust.map(|name| if mostly(name) { open(name) } else { name.clone() }).collect();
        Self { ran, written }
    }

    fn script(&self) -> String {
        let mut text = String::from(
            "/* The functions that a daemon runs in a day, kept together, so that the kernel, which maps 64 KiB of a program\n\
             \x20  around each that runs, does not map all the others with them: a third of the program, half of what is\n\
             \x20  resident. Written by `tests/bench/run layout`. A name that is none any more does no harm. */\n\
             SECTIONS\n{\n  .text.resident :\n  {\n    *(\n",
        );
        for name in &self.written {
            let _ = writeln!(text, "      .text.{name}");
        }
        text.push_str("    )\n  }\n}\nINSERT BEFORE .text;\n");
        text
    }
}

/// The name with its hashes left open: that at the end, and those of crates in the newer form of names.
fn open(name: &str) -> String {
    if name.starts_with("_R") {
        let mut parts = name.split("Cs");
        let first = parts.next().unwrap_or_default().to_owned();
        return parts.fold(first, |text, part| match part.split_once('_') {
            Some((hash, rest)) if hash.bytes().all(|octet| octet.is_ascii_alphanumeric()) => text + "Cs*_" + rest,
            _ => text + "Cs" + part,
        });
    }
    match name.rfind("17h") {
        Some(at) if name[at + 3..].get(HASH..).is_some_and(|rest| rest.starts_with('E')) => {
            format!("{}17h*", &name[..at])
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_callgrind_and_nm() {
        assert_eq!(function("fn=(7) _ZN1a1bE"), Some("_ZN1a1bE".into()));
        assert_eq!(function("cfn=(7) _ZN1a1bE'2"), Some("_ZN1a1bE".into()));
        assert_eq!(function("fn=(7)"), None);
        assert_eq!(function("calls=1 0"), None);
        assert_eq!(sized("0000000000001000 0000000000000020 t _ZN1a1bE"), Some(("_ZN1a1bE".into(), 32)));
        assert_eq!(sized("0000000000001000 0000000000000020 r table"), None);
        assert_eq!(sized("                 U exit"), None);
    }

    #[test]
    fn hashes_are_left_open_where_most_of_what_is_called_alike_ran() {
        let few = ["0", "1", "2", "3"].map(|digit| format!("_ZN3vec4grow17h{}E", digit.repeat(HASH)));
        let one = format!("_ZN9concierge3run17h{}E", "a".repeat(HASH));
        let newer = "_RNvNtCs8abc_4core3fmt5write".to_owned();
        let sizes: BTreeMap<_, _> =
            few.iter().chain([&one, &newer]).map(|name| (name.clone(), 10)).chain([("memcpy".into(), 1)]).collect();
        let ran = [few[1].clone(), one, newer, "memcpy".into(), "of_another_program".into()].into();
        let names = Names::of(&ran, &sizes);
        assert_eq!(names.ran.len(), 4);
        let expected = [few[1].as_str(), "_ZN9concierge3run17h*", "_RNvNtCs*_4core3fmt5write"];
        assert_eq!(names.written, expected.map(str::to_owned).into());
        assert!(names.script().contains("      .text._ZN9concierge3run17h*\n"));
    }
}
