//! `concierge approve`, `cancel` and `acknowledge`: operators' words on a move and on a hub.

use clap::Args;
use hyper::Method;

use super::client::{Client, author, escape};
use super::{Common, Failed, moves};
use crate::admin::request::{ApproveRequest, ReasonRequest};
use crate::control::report::Moved;
use crate::dns::Name;

/// Approve a move that another operator asked for.
#[derive(Debug, Args)]
#[command(after_help = "\
A hub with `approvals = 2` moves when a second operator has approved it, within an hour of the first one's word. \
`concierge status HUB` shows what is to be approved, and `concierge plan HUB --to REGION` what it would do. With \
--epoch a move that was planned at another epoch is not approved by mistake.

Example:  concierge approve hub.example.net --epoch 7")]
pub(super) struct Approve {
    /// The hub
    #[arg(value_parser = moves::name)]
    hub: Name,
    /// The epoch that the move was planned at [default: whatever it is]
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<u64>,
    /// Who approves [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

impl Approve {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let request = ApproveRequest { epoch: self.epoch, author: Some(author(self.author.as_ref())) };
        let moved: Moved = client.send(Method::POST, &path(&self.hub, "approve"), &request).await?;
        moves::show(&moved, common)
    }
}

/// Cancel a move that has not switched.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing was switched then, and the TTL goes back. A move that has switched cannot be cancelled: it is refused with 1, \
and the way back is another move. With --epoch a move that was planned at another epoch is not cancelled by mistake.

Example:  concierge cancel hub.example.net --epoch 7 --reason \"the other team is not ready\"")]
pub(super) struct Cancel {
    /// The hub
    #[arg(value_parser = moves::name)]
    hub: Name,
    /// The epoch that the move was planned at, as `status` shows it [default: whatever it is]
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<u64>,
    /// Why, for everybody who sees it
    #[arg(long, short, default_value = "no reason given")]
    reason: String,
    /// Who cancels it [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

impl Cancel {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let moved = cancel(client, &self.hub, self.epoch, &author(self.author.as_ref()), &self.reason).await?;
        moves::show(&moved, common)
    }
}

/// Has the daemon cancel the move of a hub, of any epoch or of this one.
pub(super) async fn cancel(
    client: &Client,
    hub: &Name,
    epoch: Option<u64>,
    author: &str,
    reason: &str,
) -> Result<Moved, super::client::ClientError> {
    let mut query = format!("author={}&reason={}", escape(author), escape(reason));
    if let Some(epoch) = epoch {
        query.push_str(&format!("&epoch={epoch}"));
    }
    client.send(Method::DELETE, &format!("{}?{query}", path(hub, "move")), &()).await
}

/// Let a pinned hub move by itself again, and confirm that overrides and notices were seen.
#[derive(Debug, Args)]
#[command(after_help = "\
A hub that has switched by itself `flap_limit` times within `flap_window` is pinned: it stays where it is until somebody \
has looked at the cause and says so here. What was overridden with --force or --break-glass, a planned move that has \
stopped by itself, and a region that was told that it is left and stays active are shown in `status` until somebody has \
seen it and says so here.

Example:  concierge acknowledge hub.example.net --reason \"the link to westeurope is mended\"")]
pub(super) struct Acknowledge {
    /// The hub
    #[arg(value_parser = moves::name)]
    hub: Name,
    /// Why, for the audit trail
    #[arg(long, short)]
    reason: String,
    /// Who acknowledges it [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

impl Acknowledge {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let request = ReasonRequest { reason: self.reason.clone(), author: Some(author(self.author.as_ref())) };
        let moved: Moved = client.send(Method::POST, &path(&self.hub, "acknowledge"), &request).await?;
        moves::show(&moved, common)
    }
}

/// The path of something about a hub.
pub(super) fn path(hub: &Name, what: &str) -> String {
    path_of(&hub.to_string(), what)
}

/// The same of a hub by the text of its name.
pub(super) fn path_of(hub: &str, what: &str) -> String {
    format!("/v1/hubs/{}/{what}", escape(hub))
}
