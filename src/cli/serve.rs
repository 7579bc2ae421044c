//! `concierge serve`: the daemon in the foreground.

use axum::Router;
use clap::Args;
use tracing_subscriber::EnvFilter;

use super::{Common, Failed, PLACES, config_path, print, render};
use crate::config::{Config, Log, LogFormat};
use crate::control::event::Loaded;
use crate::control::load;
use crate::control::reason::many;
use crate::daemon::{Daemon, Start, check_files, check_limits, read_config};
use crate::diagnostic::{Diagnostic, has_errors};
use crate::process::passed::Passed;
use crate::process::upgrade::remember_program;
use crate::process::upgrade::successor::Successor;
use crate::process::{notify, privileges, sandbox};

/// Run the daemon in the foreground.
#[derive(Debug, Args)]
#[command(after_help = "\
Logs go to standard error. `ready` is said when queries are answered. SIGHUP reads zones and policy anew, all or \
nothing; SIGTERM and SIGINT answer what has come in, and end. Sockets that systemd passes (LISTEN_FDS) are taken by \
their addresses, and it is told when the daemon is ready, reloads, lives and stops (NOTIFY_SOCKET, WATCHDOG_USEC).")]
pub(super) struct Serve {}

impl Serve {
    #[expect(clippy::unused_self, reason = "a subcommand without arguments of its own")]
    pub(super) fn run(&self, common: &Common) -> Result<(), Failed> {
        remember_program();
        let successor = Successor::look()?;
        let outcome = Self::serve(common, successor.clone());
        if let (Some(successor), Err(failed)) = (successor, &outcome) {
            successor.fail(&sentence(failed));
        }
        outcome
    }

    fn serve(common: &Common, successor: Option<Successor>) -> Result<(), Failed> {
        let Some(path) = config_path(common) else {
            let places = PLACES.join(" nor ");
            return Err(Failed::Sentence(format!(
                "no configuration: neither {places} exists\nhint: name one with --config"
            )));
        };
        let (config, problems) = read_config(&path);
        let Some(config) = config else { return accepted(None, &problems) };
        start_log(&config.log)?;
        log_warnings(&problems);
        let (loaded, mut problems) = load::load(&config.zones);
        problems.extend(check_files(&config).into_iter().map(|(_, problem)| problem));
        let Some(loaded) = loaded.filter(|_| !has_errors(&problems)) else { return accepted(None, &problems) };
        problems.extend(check_limits(&config, &loaded));
        log_warnings(&problems);
        let (version, zones) = (env!("CARGO_PKG_VERSION"), many(loaded.content.zones().len(), "zone"));
        let hubs = many(loaded.policy.hubs.len(), "hub");
        let (from, folder, state) = (path.display(), config.zones.display(), config.state.display());
        tracing::info!(
            event = "start",
            version,
            "concierge {version}: {from}; {zones}, {hubs} of {folder}; state {state}"
        );
        // What holds for the process has to hold before it has threads.
        privileges::shut(&config, &loaded.policy);
        let inherited = successor.as_ref().map_or(0.0, |successor| successor.landlock);
        sandbox::shut(&config, &path, &loaded.policy, inherited).map_err(Failed::Sentence)?;
        let passed = match &successor {
            Some(successor) => successor.greet(&config)?,
            None => Passed::by_systemd()?,
        };
        runtime()?.block_on(async {
            let routes = Router::new();
            let config_path = Some(path);
            let (resolve_here, before) = (false, successor.clone());
            let start = Start { config, config_path, loaded, routes, resolve_here, passed, successor };
            let mut daemon = Daemon::start(start).await?;
            tracing::info!(event = "ready", "ready");
            notify::ready("answering");
            if let Some(before) = before {
                before.ready();
            }
            let outcome = daemon.run(std::future::pending()).await;
            daemon.stop().await;
            Ok(outcome?)
        })
    }
}

/// What a process that goes on says of why this one did not take over.
fn sentence(failed: &Failed) -> String {
    match failed {
        Failed::Sentence(sentence) | Failed::Said(sentence) => sentence.clone(),
        Failed::Rejected(problems) => format!("configuration, zones or policy rejected: {}", problems.join("; ")),
        other => format!("{other:?}"),
    }
}

/// Warnings are lines of the log like any other: whoever reads it as JSON reads them too.
fn log_warnings(problems: &[Diagnostic]) {
    for problem in problems {
        tracing::warn!(event = "load", "{problem}");
    }
}

/// Zones and policy, or what is wrong with them on standard error.
pub(super) fn load(config: &Config) -> Result<Loaded, Failed> {
    let (loaded, problems) = load::load(&config.zones);
    accepted(loaded, &problems)
}

/// Shows the problems; what was read, unless they reject it.
fn accepted<T>(read: Option<T>, problems: &[Diagnostic]) -> Result<T, Failed> {
    if !problems.is_empty() {
        print::complain(render::render(problems, print::colors()));
    }
    read.ok_or_else(|| Failed::rejected(problems))
}

/// Sends logs to standard error, in the configured shape.
pub(super) fn start_log(log: &Log) -> Result<(), Failed> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| Failed::Sentence(format!("log.filter `{}` is no filter: {error}", log.filter)))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A log that nobody reads any more must not stop the daemon, and there is no other place to say so.
    let builder = builder.log_internal_errors(false);
    let started = match log.format {
        LogFormat::Text => builder.with_ansi(print::colors()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_target(false).try_init(),
    };
    started.map_err(|error| Failed::Sentence(format!("cannot start the log: {error}")))
}

/// The runtime of everything but UDP and the control loop.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    let ahead = || {
        // Operators and probes take little and are waited for: they go before the workers where there is the right to it
        // (CAP_SYS_NICE).
        let _ = rustix::process::nice(-10);
        privileges::give_up();
    };
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("shell").on_thread_start(ahead).build()?)
}
