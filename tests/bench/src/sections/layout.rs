//! Which functions a daemon runs in a day, written down for the linker: `src/resident.ld`.
//!
//! ```text
//! callgrind: start | queries over UDP | stop                                          ─► functions that run in every daemon
//!            start | probes, queries over UDP and TCP, a mark, metrics, a reload | targets gone | stop ─► in many a one
//! nm:        all functions, where they are and how large                              ─► all of their names
//! ```
//!
//! The names have hashes of crates in them, which change with the compiler and the dependencies and are left open. Functions
//! that come to the same code are one, with several names, of which only the linker knows the one that counts.

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
use crate::workload::{Pool, Zone};

/// What is written, from the root of the repository.
const FILE: &str = "src/resident.ld";
/// Endpoints that are probed.
const ENDPOINTS: u32 = 20;
/// Time in which each is probed at least once, under valgrind.
const PROBED: Duration = Duration::from_secs(25);
/// Queries of each workload.
const QUERIES: u64 = 2_000;

/// Writes the file, and adds a table of what it names.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let functions = functions(&bench.places.concierge)?;
    bench.say("a quiet day of the daemon, under valgrind");
    let always = resident(&live(bench, Day::Quiet)?, &functions);
    bench.say("and one on which much happens");
    let mut sometimes = resident(&live(bench, Day::Full)?, &functions);
    sometimes.retain(|name, _| !always.contains_key(name));
    fs::write(FILE, script(&[&always, &sometimes])).with_context(|| format!("cannot write {FILE}"))?;
    let mut table = Table::new(format!("functions that a daemon runs in a day, now in {FILE}"), &["functions", "MB"]);
    let megabytes = |octets: u64| Cell::Number(octets as f64 / 1e6, 2);
    // Several names for one place count once.
    for functions in [&functions, &always, &sometimes] {
        let places: BTreeMap<u64, u64> = functions.values().map(|at| (at.place, at.octets)).collect();
        table.row(vec![(places.len() as u64).into(), megabytes(places.values().sum())]);
    }
    table.note("all functions of the program, those of a quiet day, and what else runs on one on which much happens");
    bench.publish(table);
    Ok(())
}

/// What happens while functions are noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// Nothing is probed, and queries come over UDP.
    Quiet,
    /// Whatever comes now and then.
    Full,
}

/// Lives a day, and returns the functions that ran in it.
fn live(bench: &mut Bench, day: Day) -> Result<BTreeSet<String>> {
    let targets = Targets::start(bench)?;
    let mut site = bench.places.site(&Concierge, SMALL)?;
    site.counted = true;
    if day == Day::Full {
        site.switching = 10;
        site.probed = Some(targets.probed(ENDPOINTS, false)?);
        let countries = bench.places.scratch.join("countries.mmdb");
        write_countries(&countries)?;
        site.countries = Some(countries);
    }
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
    let mixed = [true, false].map(|edns| Pool::mix(SMALL.names, edns));
    for pool in [Pool::hub(), Pool::priority()].into_iter().chain(mixed) {
        let outcome = Closed::connect(running.site.address, bench.window)?.run(&pool, QUERIES)?;
        bench.judge(&Concierge, "layout", &outcome);
    }
    if day == Day::Full {
        for pool in [Pool::geo(), Pool::weighted()] {
            let outcome = Closed::connect(running.site.address, bench.window)?.run(&pool, QUERIES)?;
            bench.judge(&Concierge, "layout", &outcome);
            let outcome = tcp::Pipelined::connect(running.site.address, 2, 4)?.run(&pool, QUERIES)?;
            bench.judge(&Concierge, "layout over TCP", &outcome);
        }
        happen(&running, targets)?;
    }
    running.stop();
    let text = fs::read_to_string(&trace).with_context(|| format!("callgrind wrote nothing:\n{}", running.log()))?;
    let ran: BTreeSet<String> = text.lines().filter_map(function).collect();
    match ran.is_empty() {
        true => bail!("no function ran"),
        false => Ok(ran),
    }
}

/// Probes, a mark, a look, a reload, and everything that is probed fails.
fn happen(running: &Running, targets: Targets) -> Result<()> {
    sleep(PROBED);
    let admin = Admin::of(running);
    admin.mark_down(SWITCHING_REGIONS[0])?;
    admin.unmark(SWITCHING_REGIONS[0])?;
    admin.metrics()?;
    admin.status()?;
    Concierge.write_zone(&running.site, Zone { serial: 2, ..SMALL })?;
    Concierge.reload(running)?;
    sleep(PROBED);
    drop(targets);
    sleep(PROBED);
    admin.metrics()?;
    Ok(())
}

/// The function that a line of callgrind's file names at its first mention: `fn=(12) NAME`, `cfn=(12) NAME'2`.
fn function(line: &str) -> Option<String> {
    let (_, name) = line.strip_prefix('c').unwrap_or(line).strip_prefix("fn=(")?.split_once(") ")?;
    Some(name.split_once('\'').map_or(name, |(name, _)| name).to_owned())
}

/// Where a function is in the program, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    place: u64,
    octets: u64,
}

/// The functions of a program.
fn functions(program: &Path) -> Result<BTreeMap<String, At>> {
    let output = Command::new("nm").arg("--print-size").arg(program).output().context("cannot run `nm`")?;
    if !output.status.success() {
        bail!("`nm`: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).context("`nm` tells no text")?;
    Ok(text.lines().filter_map(placed).collect())
}

/// Name and place of a function in a line of `nm`: address, size, kind, name.
fn placed(line: &str) -> Option<(String, At)> {
    let mut fields = line.split(' ');
    let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
    let (place, octets) = (number()?, number()?);
    let kind = fields.next()?;
    matches!(kind, "t" | "T" | "w" | "W").then_some((fields.next()?.to_owned(), At { place, octets }))
}

/// The functions that ran, under all of their names.
fn resident(ran: &BTreeSet<String>, functions: &BTreeMap<String, At>) -> BTreeMap<String, At> {
    let places: BTreeSet<u64> = ran.iter().filter_map(|name| Some(functions.get(name)?.place)).collect();
    functions.iter().filter(|(_, at)| places.contains(&at.place)).map(|(name, at)| (name.clone(), *at)).collect()
}

/// What the linker is told: the functions of each group beside each other, one group after the other.
fn script(groups: &[&BTreeMap<String, At>]) -> String {
    let mut text = String::from(
        "/* The functions that a daemon runs in a day, kept together, so that the kernel, which maps 64 KiB of a program\n\
         \x20  around each that runs, does not map all the others with them: a third of the program, half of what is\n\
         \x20  resident. First those of a quiet day. Written by `tests/bench/run layout`. A name that is none any more\n\
         \x20  does no harm. */\n\
         SECTIONS\n{\n  .text.resident :\n  {\n    *(\n      .text.unlikely.*\n    )\n",
    );
    let mut written = BTreeSet::new();
    for group in groups {
        // What is not of Rust has no section of its own.
        let names: BTreeSet<String> =
            group.keys().filter(|name| name.starts_with("_R")).map(|name| open(name)).collect();
        text.push_str("    *(\n");
        for name in names.difference(&written) {
            let _ = writeln!(text, "      .text.{name}");
        }
        text.push_str("    )\n");
        written.extend(names);
    }
    text.push_str("  }\n}\nINSERT BEFORE .text;\n");
    text
}

/// The name with the hashes of crates left open (`Cs`, digits and letters, `_`).
fn open(name: &str) -> String {
    let mut parts = name.split("Cs");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_once('_') {
        Some((hash, rest)) if hash.bytes().all(|octet| octet.is_ascii_alphanumeric()) => text + "Cs*_" + rest,
        _ => text + "Cs" + part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_callgrind_and_nm() {
        assert_eq!(function("fn=(7) _RNvC1a1b"), Some("_RNvC1a1b".into()));
        assert_eq!(function("cfn=(7) _RNvC1a1b'2"), Some("_RNvC1a1b".into()));
        assert_eq!(function("fn=(7)"), None);
        assert_eq!(function("calls=1 0"), None);
        let at = At { place: 4096, octets: 32 };
        assert_eq!(placed("0000000000001000 0000000000000020 t _RNvC1a1b"), Some(("_RNvC1a1b".into(), at)));
        assert_eq!(placed("0000000000001000 0000000000000020 r table"), None);
        assert_eq!(placed("                 U exit"), None);
    }

    #[test]
    fn what_ran_is_named_with_all_its_names_and_without_hashes() {
        let at = |place| At { place, octets: 8 };
        let functions = [
            ("_RNvNtCs8abc_4core3fmt5write", at(1)),
            ("_RNvNtCs8abc_4core3fmt5again", at(1)),
            ("_RNvNtCs8abc_4core3fmt5never", at(2)),
            ("memcpy", at(3)),
        ];
        let functions: BTreeMap<_, _> = functions.map(|(name, at)| (name.to_owned(), at)).into();
        let ran = ["_RNvNtCs8abc_4core3fmt5write", "memcpy", "of_another_program"].map(str::to_owned).into();
        let ran = resident(&ran, &functions);
        let text = script(&[&ran, &functions]);
        let named: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("      .text.")).collect();
        let [again, write, never] = ["again", "write", "never"].map(|name| format!("_RNvNtCs*_4core3fmt5{name}"));
        assert_eq!(named, ["unlikely.*", &again, &write, &never]);
    }
}
