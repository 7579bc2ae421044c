//! Measures the concierge beside gdnsd, Knot DNS and NSD, with a UDP echo as the floor.
//!
//! ```text
//! servers   each in a process of its own, one worker, on the first core
//! generator this process, on the second core: checks every answer
//! sections  what is measured, each with a table
//! ```

mod admin;
mod bench;
mod cpu;
mod echo;
mod figures;
mod generator;
mod message;
mod probed;
mod sections;
mod servers;
mod table;
mod targets;
mod tcp;
mod udp;
mod workload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::bench::Bench;
use crate::cpu::Machine;
use crate::sections::Section;
use crate::servers::Places;

#[derive(Debug, Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Hidden>,
    /// What is measured; everything, when left out.
    sections: Vec<Section>,
    /// Fewer rounds and queries, to see that all is well.
    #[arg(long)]
    quick: bool,
    /// Rounds, instead of each section's own number.
    #[arg(long)]
    rounds: Option<usize>,
    /// Servers, in the order in which they take turns.
    #[arg(long, value_delimiter = ',', default_value = "concierge,gdnsd,knot,nsd")]
    servers: Vec<String>,
    /// Queries in flight of closed loops, at most 256: a socket's default receive buffer holds little more.
    #[arg(long, default_value_t = 192)]
    window: usize,
    /// How tables are printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// The concierge's program.
    #[arg(long, default_value = "target/release/concierge")]
    concierge: PathBuf,
    /// How long the soak takes, seconds, instead of 1800, or 60 where it is to be quick.
    #[arg(long)]
    seconds: Option<u64>,
    /// The first port that servers are given.
    #[arg(long, default_value_t = 20053)]
    first_port: u16,
}

#[derive(Debug, Subcommand)]
enum Hidden {
    /// Sends every datagram back.
    #[command(hide = true)]
    Echo {
        /// Where it listens.
        address: SocketAddr,
    },
    /// Answers whatever is probed.
    #[command(hide = true)]
    Targets {
        /// Where it leaves what it says.
        folder: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Tables, each as soon as it is complete.
    Text,
    /// One JSON object at the end.
    Json,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            for failure in failures {
                eprintln!("error: {failure}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the sections and returns what went wrong with the concierge.
fn run(arguments: Arguments) -> Result<Vec<String>> {
    if let Some(hidden) = arguments.command {
        raise_limit_of_files();
        match hidden {
            Hidden::Echo { address } => echo::serve(address)?,
            Hidden::Targets { folder } => targets::serve(&folder)?,
        }
        return Ok(Vec::new());
    }
    let concierge = arguments.concierge.canonicalize();
    let concierge = concierge.with_context(|| format!("no program {}", arguments.concierge.display()))?;
    let scratch = tempfile::Builder::new().prefix("concierge-bench-").tempdir().context("no scratch folder")?;
    end_on_signals(scratch.path().to_owned())?;
    raise_limit_of_files();
    let mut bench = Bench {
        machine: Machine::find()?,
        places: Places { scratch: scratch.path().to_owned(), concierge, first_port: arguments.first_port },
        servers: arguments.servers.iter().map(|name| servers::named(name)).collect::<Result<_>>()?,
        quick: arguments.quick,
        rounds: arguments.rounds,
        window: arguments.window,
        seconds: arguments.seconds,
        prints: arguments.output == Output::Text,
        tables: Vec::new(),
        failures: Vec::new(),
    };
    let sections = if arguments.sections.is_empty() { Section::ALL.to_vec() } else { arguments.sections };
    for section in sections {
        eprintln!("-- {section:?}");
        section.run(&mut bench).with_context(|| format!("section {section:?}"))?;
    }
    if arguments.output == Output::Json {
        let tables: Vec<_> = bench.tables.iter().map(table::Table::json).collect();
        println!("{:#}", serde_json::json!({ "tables": tables, "failures": bench.failures }));
    }
    Ok(bench.failures)
}

/// A signal to stop ends the servers, takes the scratch folder away and ends the process.
///
/// Signals are caught, not blocked: what is started would inherit that. Should this process be killed, the kernel tells
/// the servers.
fn end_on_signals(scratch: PathBuf) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot catch signals")?;
    std::thread::spawn(move || {
        let signal = signals.forever().next();
        servers::end_all();
        drop(std::fs::remove_dir_all(&scratch));
        std::process::exit(signal.map_or(1, |signal| 128 + signal));
    });
    Ok(())
}

/// Ten thousand connections need as many files, here and in the servers, which inherit the limit.
fn raise_limit_of_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
