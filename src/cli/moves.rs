//! `concierge failover` and `concierge failback`, and what a command has done.

use clap::Args;
use hyper::Method;

use super::client::{Client, author};
use super::follow::Follow;
use super::plan::How;
use super::{Common, Failed, Output, operators, plan, print, print_json};
use crate::admin::request::MoveRequest;
use crate::control::moves::MoveOptions;
use crate::control::plan::Outcome;
use crate::control::reason::many;
use crate::control::report::Moved;
use crate::dns::Name;
use crate::policy::RegionName;
use crate::time::Timestamp;

/// Move a hub to a region.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows the plan, asks, and has the daemon carry it out: it lowers the TTL, waits out the old one, looks at gates, budget \
and safety rules again, tells the region that is left (fence), and switches. This command only follows it: it may be \
closed or killed, and the daemon may be restarted, the move goes on. Ctrl-C before the switch cancels the move, and \
nothing was switched; after it, it ends the view and not the drain. `concierge status HUB` shows how far a move is.

Refused when the region is down, drained or not observed yet; `concierge mark REGION up` says that it is good all the \
same. A repeat of an applied move (--epoch) succeeds and changes nothing, and one that was planned before another \
change is refused.

Exit codes: 0 done, or switched and left to drain; 1 refused, stopped or cancelled; 2 wrong usage.

Examples:  concierge failover hub.example.net --to northeurope --reason \"storage upgrade\"
           concierge failover hub.example.net --to northeurope --at 02:00 --until 03:00 --yes --detach
           concierge failover hub.example.net --to northeurope --now --yes --break-glass \"fire in the hall\"")]
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

/// Move a hub back to its preferred region: the first of its endpoints.
#[derive(Debug, Args)]
#[command(after_help = "\
The same as `failover` in all, through the gates that are on failback; `concierge failover --help` says how it goes.

Examples:  concierge failback hub.example.net --reason \"westeurope is back, identities are merged\"
           concierge failback hub.example.net --now --yes")]
pub(super) struct Failback {
    /// The hub
    #[arg(value_parser = name)]
    hub: Name,
    #[command(flatten)]
    planned: Planned,
}

#[derive(Debug, Args)]
struct Planned {
    #[command(flatten)]
    how: How,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Return when the daemon has begun, and do not follow it
    #[arg(long)]
    detach: bool,
    /// Why, for everybody who sees it [default: what --break-glass says, else `no reason given`]
    #[arg(long, short)]
    reason: Option<String>,
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
        verb: &'static str,
        hub: &Name,
        to: Option<&RegionName>,
        client: &Client,
        common: &Common,
    ) -> Result<(), Failed> {
        let options = self.how.options()?;
        let plan = plan::ask(client, hub, to, &options).await?;
        // A repeat says its lengths of time from another moment, and does not change those of the move.
        if let Some(open) = plan.under_way.as_ref().map(|open| &open.planned).filter(|open| open.to == plan.to) {
            let times = |options: &MoveOptions| (options.at, options.until);
            if times(&options) != times(&open.options) {
                let said = |what, time: Option<Timestamp>| match time {
                    Some(time) => format!(" {what} {time}"),
                    None => format!(" no {what}"),
                };
                let [at, until] = [said("--at", open.options.at), said("--until", open.options.until)];
                print::complain(format_args!("note: the move that is under way keeps its own times:{at},{until}\n"));
            }
        }
        if plan.outcome == Outcome::Refused {
            return Err(Failed::Refused(plan.verdict));
        }
        let text = common.output == Output::Text;
        if text && !self.detach {
            print::line(plan::render(&plan, print::width()))?;
        }
        let already = plan.outcome == Outcome::Already;
        if !self.yes && !already && plan.under_way.is_none() {
            match print::ask("Go on?") {
                Some(true) => {}
                Some(false) => return Err(Failed::Sentence("nothing was done".into())),
                None => {
                    let sentence = "there is no terminal to ask on, and nothing was done\nhint: --yes goes on without";
                    return Err(Failed::Sentence(sentence.into()));
                }
            }
        }
        let MoveOptions { epoch, at, until, now, force, break_glass } = options;
        let author = author(self.author.as_ref());
        let reason = self.reason.clone().or_else(|| break_glass.clone()).unwrap_or_else(|| "no reason given".into());
        let request = MoveRequest {
            to: to.cloned(),
            epoch: epoch.or(Some(plan.epoch)),
            at,
            until,
            now,
            force,
            break_glass,
            reason,
            author: Some(author.clone()),
        };
        let path = operators::path(hub, verb);
        if self.detach {
            let moved: Moved = client.send(Method::POST, &path, &request).await?;
            return show(&moved, common);
        }
        if already && text {
            return Ok(());
        }
        Follow::new(client, common, &plan, author)?.run(&path, &request).await
    }
}

/// Shows what a command has done.
pub(super) fn show(moved: &Moved, common: &Common) -> Result<(), Failed> {
    if common.output == Output::Json {
        return print_json(moved);
    }
    print::line(page(moved).join("\n"))
}

/// Shows what the beginning of a move has done; how far it is is said beside.
pub(super) fn show_beginning(moved: &Moved) -> Result<(), Failed> {
    let page = page(moved);
    // The first line is the sentence of its stage.
    let page = if moved.moved == 0 { &page[1..] } else { &page[..] };
    if page.is_empty() { Ok(()) } else { print::line(page.join("\n")) }
}

fn page(moved: &Moved) -> Vec<String> {
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
    page.extend(moved.usable.iter().take(PRINTED).map(|change| format!("  {change}")));
    if moved.usable_changed > PRINTED as u64 {
        page.push(format!("  and {} more; `concierge history` has them all", moved.usable_changed - PRINTED as u64));
    }
    page.extend(moved.notes.iter().map(|note| format!("note: {note}")));
    page
}

/// A name on the command line: absolute, with or without its final dot.
pub(super) fn name(text: &str) -> Result<Name, String> {
    Name::parse(text, Some(&Name::root())).map_err(|error| error.to_string())
}

#[expect(clippy::unnecessary_wraps, reason = "the form that clap wants")]
pub(super) fn region(text: &str) -> Result<RegionName, String> {
    Ok(RegionName::new(text))
}
