//! `concierge upgrade`.

use std::path::PathBuf;

use clap::Args;
use hyper::Method;

use super::client::{Client, author};
use super::{Common, Failed, Output, print, print_json};
use crate::admin::upgrade::UpgradeRequest;
use crate::process::upgrade::Upgraded;

/// Have a new process of the installed program take over, without a query lost.
#[derive(Debug, Args)]
#[command(after_help = "\
The daemon starts the program with its own arguments, hands it its sockets and its store, answers what it has, and ends. \
Where the new process fails (a file that is rejected, a store that it cannot read, a crash), the old one takes back what \
it gave and goes on as before; why is said here and in the log. Commands given meanwhile wait, or are refused and may be \
repeated. Changes of configuration take effect, but for the state folder and the admin socket.")]
pub(super) struct Upgrade {
    /// The program [default: the file that the daemon was started from]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Who upgrades [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

impl Upgrade {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let author = Some(author(self.author.as_ref()));
        // The daemon's folder may be another one than this terminal's.
        let program = self.program.as_ref().map(std::path::absolute).transpose()?;
        let request = UpgradeRequest { program, author };
        let upgraded: Upgraded = client.send_and_wait(Method::POST, "/v1/upgrade", &request).await?;
        if common.output == Output::Json {
            return print_json(&upgraded);
        }
        let Upgraded { pid_before, pid, version_before, version, took_ms, still_ms, connections_cut } = upgraded;
        let cut = match connections_cut {
            0 => String::new(),
            cut => format!("; {cut} TCP connections were cut, whose clients did not take their answers"),
        };
        print::line(format!(
            "process {pid} (version {version}) has taken over from {pid_before} (version {version_before}) after {took_ms} \
             ms, {still_ms} ms of which nobody decided{cut}"
        ))
    }
}
