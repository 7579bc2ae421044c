//! `concierge mark` and `concierge unmark`.
#![expect(clippy::disallowed_methods, reason = "I/O shell: `--until` counts from the machine's clock")]

use clap::{Args, ValueEnum};
use hyper::Method;

use super::client::{Client, author, escape};
use super::{Common, Failed, moves, when};
use crate::admin::request::MarkRequest;
use crate::control::mark::MarkTarget;
use crate::control::report::Moved;
use crate::policy::MarkKind;

/// Mark a region or an endpoint.
#[derive(Debug, Args)]
#[command(after_help = "\
A mark outranks health and never edits it: `status` shows both. Where a region and one of its endpoints are marked, \
the more restrictive mark holds (down, then drain, then up). The command returns when the mark is on disk and no older \
answer is given any more.

Examples:  concierge mark westeurope down --reason \"storage upgrade\" --until 2h
           concierge mark hub.example.net./northeurope drain --reason \"canary first\"")]
pub(super) struct MarkArgs {
    /// A region, or HUB/REGION for one endpoint
    target: MarkTarget,
    /// What the mark says
    kind: Kind,
    /// Why, for everybody who sees it
    #[arg(long, short)]
    reason: String,
    /// When it ends: a length (2h30m), this machine's clock (14:00) or RFC 3339 [default: never]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Who marks [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

/// Take a mark away.
#[derive(Debug, Args)]
pub(super) struct Unmark {
    /// A region, or HUB/REGION for one endpoint
    target: MarkTarget,
    /// Why, for the audit trail
    #[arg(long, short, default_value = "no reason given")]
    reason: String,
    /// Who takes it away [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// May be chosen, whatever health says
    Up,
    /// May not be chosen; hubs leave at once
    Down,
    /// Never newly chosen, still usable as last resort; hubs leave when they can
    Drain,
}

impl From<Kind> for MarkKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Up => Self::Up,
            Kind::Down => Self::Down,
            Kind::Drain => Self::Drain,
        }
    }
}

impl MarkArgs {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let until = self.until.as_deref().map(|text| when::parse(text, &jiff::Zoned::now()));
        let request = MarkRequest {
            kind: self.kind.into(),
            reason: self.reason.clone(),
            from: None,
            until: until.transpose().map_err(Failed::Sentence)?,
            author: Some(author(self.author.as_ref())),
        };
        let path = format!("/v1/marks/{}", path(&self.target));
        let moved: Moved = client.send(Method::PUT, &path, &request).await?;
        moves::show(&moved, common)
    }
}

impl Unmark {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let author = author(self.author.as_ref());
        let query = format!("author={}&reason={}", escape(&author), escape(&self.reason));
        let path = format!("/v1/marks/{}?{query}", path(&self.target));
        let moved: Moved = client.send(Method::DELETE, &path, &()).await?;
        moves::show(&moved, common)
    }
}

fn path(target: &MarkTarget) -> String {
    match target {
        MarkTarget::Region(region) => escape(region.as_str()),
        MarkTarget::Endpoint(endpoint) => {
            format!("{}/{}", escape(&endpoint.hub.to_string()), escape(endpoint.region.as_str()))
        }
    }
}
