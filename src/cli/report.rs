//! `concierge report`: the verdict of an agent in a region.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hyper::Method;

use super::client::{Client, author, escape};
use super::{Common, Failed, mark, moves};
use crate::admin::request::{ReportRequest, ToldHealth};
use crate::control::mark::MarkTarget;
use crate::control::report::Moved;

/// Tell how endpoints are that a probe of kind `push` watches.
#[derive(Debug, Args)]
#[command(after_help = "\
A verdict counts until its lease ends, and has to be told again before: silence is not health, and the end of a lease is a \
failed observation. It is told of all endpoints of a region that the probe watches, by itself or as a member of a \
composite, or of one endpoint. Health follows from verdicts by the probe's `fall` and `rise`, which are 1 unless the policy \
says otherwise.

Examples:  concierge report agent westeurope up
           concierge report agent westeurope down --reason \"2 of 3 brokers refuse CONNECT\" --lease 20s")]
pub(super) struct Report {
    /// The probe, which is of kind `push`
    probe: String,
    /// A region, or HUB/REGION for one endpoint
    of: MarkTarget,
    /// How it is
    health: Health,
    /// How long that counts: `20s` [default: the probe's `lease`, which is also the longest]
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    lease: Option<Duration>,
    /// Why it is down
    #[arg(long, short)]
    reason: Option<String>,
    /// Who tells it [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Health {
    /// All is well
    Up,
    /// It cannot be used
    Down,
}

fn length(text: &str) -> Result<Duration, String> {
    let length = crate::document::parse_duration(text).filter(|length| !length.is_zero());
    length.ok_or_else(|| "expected a length such as `20s`".into())
}

impl Report {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let request = ReportRequest {
            health: match self.health {
                Health::Up => ToldHealth::Up,
                Health::Down => ToldHealth::Down,
            },
            lease_ms: self.lease.map(|lease| u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)),
            reason: self.reason.clone(),
            author: Some(author(self.author.as_ref())),
        };
        let path = format!("/v1/probes/{}/{}", escape(&self.probe), mark::path(&self.of));
        let moved: Moved = client.send(Method::PUT, &path, &request).await?;
        moves::show(&moved, common)
    }
}
