//! `concierge failover` and `concierge failback`, and how a move is shown.

use clap::Args;
use hyper::Method;

use super::client::{Client, author, escape};
use super::{Common, Failed, Output, print, print_json};
use crate::admin::request::MoveRequest;
use crate::control::reason::many;
use crate::control::report::Moved;
use crate::dns::Name;
use crate::policy::RegionName;

/// Make a region active.
#[derive(Debug, Args)]
#[command(after_help = "\
Refused when the region is down, drained or not observed yet; `concierge mark REGION up` says that it is good all the \
same. With --epoch a repeat of an applied command succeeds and changes nothing, and one that was planned before another \
change is refused. The command returns when the change is on disk and no older answer is given any more.")]
pub(super) struct Failover {
    /// The hub
    #[arg(value_parser = name)]
    hub: Name,
    /// The region that becomes active
    #[arg(long, value_name = "REGION", value_parser = region)]
    to: RegionName,
    #[command(flatten)]
    planned: Planned,
}

/// Make the preferred region active again: the first of the hub's endpoints.
#[derive(Debug, Args)]
pub(super) struct Failback {
    /// The hub
    #[arg(value_parser = name)]
    hub: Name,
    #[command(flatten)]
    planned: Planned,
}

#[derive(Debug, Args)]
struct Planned {
    /// The epoch that the move was planned at, as `status` shows it [default: whatever it is]
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<u64>,
    /// Why, for everybody who sees it
    #[arg(long, short, default_value = "no reason given")]
    reason: String,
    /// Who moves it [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

impl Failover {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        self.planned.run("failover", &self.hub, Some(&self.to), client, common).await
    }
}

impl Failback {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        self.planned.run("failback", &self.hub, None, client, common).await
    }
}

impl Planned {
    async fn run(
        &self,
        verb: &str,
        hub: &Name,
        to: Option<&RegionName>,
        client: &Client,
        common: &Common,
    ) -> Result<(), Failed> {
        let request = MoveRequest {
            to: to.cloned(),
            epoch: self.epoch,
            at: None,
            until: None,
            now: true,
            force: false,
            break_glass: None,
            reason: self.reason.clone(),
            author: Some(author(self.author.as_ref())),
        };
        let path = format!("/v1/hubs/{}/{verb}", escape(&hub.to_string()));
        let moved: Moved = client.send(Method::POST, &path, &request).await?;
        show(&moved, common)
    }
}

/// Shows what a command has done.
pub(super) fn show(moved: &Moved, common: &Common) -> Result<(), Failed> {
    if common.output == Output::Json {
        return print_json(moved);
    }
    /// Hubs that are printed at most; `--output json` and `concierge history` have more.
    const PRINTED: usize = 20;
    let mut page = vec![moved.summary.clone()];
    if moved.moved > PRINTED as u64 {
        page.push(format!("  {} moved, the first of them:", many(moved.moved, "hub")));
    }
    for switched in moved.switched.iter().take(PRINTED) {
        let from = switched.from.as_ref().map(|from| format!("{from} -> ")).unwrap_or_default();
        page.push(format!("  {}  {from}{}  epoch {}", switched.hub, switched.to, switched.epoch));
    }
    if moved.moved > PRINTED as u64 {
        page.push(format!("  and {} more; `concierge history` has them all", moved.moved - PRINTED as u64));
    }
    page.extend(moved.notes.iter().map(|note| format!("note: {note}")));
    print::line(page.join("\n"))
}

/// A name on the command line: absolute, with or without its final dot.
pub(super) fn name(text: &str) -> Result<Name, String> {
    Name::parse(text, Some(&Name::root())).map_err(|error| error.to_string())
}

#[expect(clippy::unnecessary_wraps, reason = "the form that clap wants")]
pub(super) fn region(text: &str) -> Result<RegionName, String> {
    Ok(RegionName::new(text))
}
