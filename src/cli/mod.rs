//! The command line: one file a subcommand.
//!
//! Every subcommand but `serve`, `check`, `import`, `schema`, `demo` and `drill` speaks to the running daemon over its admin socket and shows what it
//! answers, as text for people or with `--output json` as it came. Exit codes: 0 done, 1 failed or refused, 2 wrong
//! usage, 78 configuration, zone or policy rejected (`EX_CONFIG` of sysexits). What failed is said as `failed` says.

mod check;
mod client;
mod demo;
mod drill;
mod drill_live;
mod drill_report;
mod explain;
mod failed;
mod follow;
mod gate;
mod history;
mod import;
mod mark;
mod moves;
mod operators;
mod plan;
mod print;
mod reload;
pub mod render;
mod report;
mod resolvers;
mod schema;
mod serve;
mod status;
mod table;
mod upgrade;
mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use self::client::Client;
use self::failed::Failed;

/// An authoritative DNS server that answers a fleet's hub with the region that is active now.
#[derive(Debug, Parser)]
#[command(name = "concierge", version, max_term_width = 110, disable_help_subcommand = true)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed or refused; 2 wrong usage; 78 configuration, zone or policy rejected. With --output json \
what failed is {\"error\": {\"code\", \"message\", \"problems\", \"hint\"}} on standard output.

Try it:  concierge demo                      two regions on this machine, and a failover to look at
         concierge serve --config FILE       the daemon
         concierge status                    what is active, and why
         concierge plan HUB --to REGION      what a move would be, before it is one")]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Subcommands,
}

/// What every subcommand takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every subcommand")]
struct Common {
    /// Configuration file [default: config/concierge.toml, then /etc/concierge/concierge.toml]
    #[arg(long, short, global = true, value_name = "FILE", env = "CONCIERGE_CONFIG")]
    config: Option<PathBuf>,
    /// Admin socket of the daemon [default: the one that the configuration names]
    #[arg(long, global = true, value_name = "PATH", env = "CONCIERGE_SOCKET")]
    socket: Option<PathBuf>,
    /// How results are shown: for people, or as the admin API's JSON
    #[arg(long, short, global = true, value_name = "FORM", default_value = "text")]
    output: Output,
}

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    // For people. (A comment of documentation here would spread every `--help` over three pages.)
    Text,
    // The admin API's JSON, for programs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Run the daemon in the foreground
    Serve(serve::Serve),
    /// Run a daemon with two regions on this machine, and fail one of them
    Demo(demo::Demo),
    /// Check configuration, zones and policy, and report every mistake of every file
    Check(check::Check),
    /// Make a policy of what gdnsd, Route 53 or Traffic Manager is configured with
    Import(import::Import),
    /// Print the JSON schema of a kind of file, for editors
    Schema(schema::Schema),
    /// Show what is active, since when and why, and how every endpoint is
    Status(status::StatusArgs),
    /// Show why a name is answered as it is
    Explain(explain::Explain),
    /// Mark a region or an endpoint up, down or drain
    Mark(mark::MarkArgs),
    /// Take a mark or a window away
    Unmark(mark::Unmark),
    /// Show what a move of a hub would be: evidence, objections, timeline; nothing is done
    Plan(plan::PlanArgs),
    /// Move a hub to a region: plan, ask, lower the TTL, switch, and follow it
    Failover(moves::Failover),
    /// Move a hub back to its preferred region, the first of its endpoints
    Failback(moves::Failback),
    /// Approve a move that another operator asked for
    Approve(operators::Approve),
    /// Cancel a move that has not switched
    Cancel(operators::Cancel),
    /// Show gates, or give the acknowledgement that one asks for
    Gate(gate::GateArgs),
    /// Tell how endpoints are that a probe of kind `push` watches
    Report(report::Report),
    /// Let a pinned hub move by itself again, and confirm that overrides and notices were seen
    Acknowledge(operators::Acknowledge),
    /// Show how a hub's resolvers came back after a switch, and who still asks late
    Resolvers(resolvers::ResolversArgs),
    /// Try what would happen if a region went dark
    Drill(drill::Drill),
    /// Show the audit trail: who changed what, when and why
    History(history::History),
    /// Read zones and policy anew, all or nothing (as SIGHUP does)
    Reload(reload::Reload),
    /// Have a new process of the installed program take over, without a query lost
    Upgrade(upgrade::Upgrade),
}

/// Parses the arguments, runs the subcommand, and says how it ended.
pub fn run() -> ExitCode {
    let arguments = || std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let Arguments { common, command } = match Arguments::try_parse() {
        Ok(read) => read,
        Err(error) => return failed::unread(&error, arguments()),
    };
    let outcome = match command {
        Subcommands::Serve(serve) => serve.run(&common),
        Subcommands::Demo(demo) => demo.run(&common),
        Subcommands::Check(check) => check.run(&common),
        Subcommands::Drill(drill) => drill.run(&common),
        Subcommands::Import(import) => import.run(&common),
        Subcommands::Schema(schema) => schema.run(),
        Subcommands::Status(status) => asked(&common, async |client| status.run(client, &common).await),
        Subcommands::Explain(explain) => asked(&common, async |client| explain.run(client, &common).await),
        Subcommands::Mark(mark) => asked(&common, async |client| mark.run(client, &common).await),
        Subcommands::Unmark(unmark) => asked(&common, async |client| unmark.run(client, &common).await),
        Subcommands::Plan(plan) => asked(&common, async |client| plan.run(client, &common).await),
        Subcommands::Failover(failover) => asked(&common, async |client| failover.run(client, &common).await),
        Subcommands::Failback(failback) => asked(&common, async |client| failback.run(client, &common).await),
        Subcommands::Approve(approve) => asked(&common, async |client| approve.run(client, &common).await),
        Subcommands::Cancel(cancel) => asked(&common, async |client| cancel.run(client, &common).await),
        Subcommands::Gate(gate) => asked(&common, async |client| gate.run(client, &common).await),
        Subcommands::Report(report) => asked(&common, async |client| report.run(client, &common).await),
        Subcommands::Acknowledge(acknowledge) => asked(&common, async |client| acknowledge.run(client, &common).await),
        // An export is verified without a daemon.
        Subcommands::History(history) if history.of_file() => history.verify_file(&common),
        Subcommands::Resolvers(resolvers) => asked(&common, async |client| resolvers.run(client, &common).await),
        Subcommands::History(history) => asked(&common, async |client| history.run(client, &common).await),
        Subcommands::Reload(reload) => asked(&common, async |client| reload.run(client, &common).await),
        Subcommands::Upgrade(upgrade) => asked(&common, async |client| upgrade.run(client, &common).await),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => failed.end(common.output),
    }
}

/// Runs a subcommand that asks the daemon.
fn asked(common: &Common, run: impl AsyncFnOnce(&Client) -> Result<(), Failed>) -> Result<(), Failed> {
    let client = Client::new(socket(common)?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&client))
}

/// The admin socket: the one that was named, else the configuration's.
fn socket(common: &Common) -> Result<PathBuf, Failed> {
    if let Some(socket) = &common.socket {
        return Ok(socket.clone());
    }
    let Some(path) = config_path(common) else {
        return Err(Failed::Sentence(format!(
            "no daemon to ask: neither {} exists\nhint: name the socket with --socket or CONCIERGE_SOCKET, or the file \
             with --config",
            PLACES.join(" nor ")
        )));
    };
    match crate::daemon::read_config(&path) {
        (Some(config), _) => Ok(config.admin.socket),
        (None, diagnostics) => {
            print::complain(render::render(&diagnostics, print::colors()));
            print::complain("hint: a daemon that runs can be asked all the same: name its socket with --socket\n");
            Err(Failed::rejected(&diagnostics))
        }
    }
}

/// Where the configuration is looked for.
const PLACES: [&str; 2] = ["config/concierge.toml", "/etc/concierge/concierge.toml"];

fn config_path(common: &Common) -> Option<PathBuf> {
    common.config.clone().or_else(|| PLACES.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// Prints what the daemon answered, as it came.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failed::Sentence(error.to_string()))?;
    print::line(text)
}
