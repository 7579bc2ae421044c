//! `concierge mark` and `concierge unmark`.
#![expect(clippy::disallowed_methods, reason = "I/O shell: `--until` counts from the machine's clock")]

use clap::{Args, ValueEnum};
use hyper::Method;

use super::client::{Client, author, escape};
use super::table::fold;
use super::{Common, Failed, Output, moves, print, print_json, when};
use crate::admin::request::MarkRequest;
use crate::control::foresee::{Foreseen, Later, Moves};
use crate::control::mark::MarkTarget;
use crate::control::reason::many;
use crate::control::report::Moved;
use crate::policy::MarkKind;

/// Mark a region or an endpoint.
#[derive(Debug, Args)]
#[command(after_help = "\
A mark outranks health and never edits it: `status` shows both. Where a region and one of its endpoints are marked, \
the more restrictive mark holds (down, then drain, then up). The command returns when the mark is on disk and no older \
answer is given any more.

With --at it is a window: a mark with a beginning in the future, and an end. What its beginning and its end would move, as \
things are at this moment, is said beforehand; with --dry-run that is all. Windows and marks that meet do not replace \
each other: all of them count, and the most restrictive one holds. `status` lists them, and `unmark --window` takes one \
away.

Examples:  concierge mark westeurope down --reason \"storage upgrade\" --until 2h
           concierge mark hub.example.net./northeurope drain --reason \"canary first\"
           concierge mark westeurope drain --reason \"storage upgrade\" --at 02:00 --until 04:00")]
pub(super) struct MarkArgs {
    /// A region, or HUB/REGION for one endpoint
    target: MarkTarget,
    /// What the mark says
    kind: Kind,
    /// Why, for everybody who sees it
    #[arg(long, short)]
    reason: String,
    /// When it begins: a length (2h30m), this machine's clock (14:00) or RFC 3339; needs --until [default: at once]
    #[arg(long, value_name = "TIME", requires = "until")]
    at: Option<String>,
    /// When it ends: a length (2h30m), this machine's clock (14:00) or RFC 3339 [default: never]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only say what it would move
    #[arg(long)]
    dry_run: bool,
    /// Who marks [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

/// Take a mark or a window away.
#[derive(Debug, Args)]
#[command(after_help = "\
A window is taken away alone, whether it has begun or not; marks of the same region stay, and the other way round.

Examples:  concierge unmark westeurope --reason \"the disks are swapped\"
           concierge unmark --window 3 --reason \"put off\"")]
pub(super) struct Unmark {
    /// A region, or HUB/REGION for one endpoint
    #[arg(required_unless_present = "window", conflicts_with = "window")]
    target: Option<MarkTarget>,
    /// A window, by its number in `status`
    #[arg(long, value_name = "ID")]
    window: Option<String>,
    /// Why, for the audit trail
    #[arg(long, short, default_value = "no reason given")]
    reason: String,
    /// Who takes it away [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
        let now = jiff::Zoned::now();
        let time = |text: &Option<String>| text.as_deref().map(|text| when::parse(text, &now)).transpose();
        let (from, until) = (time(&self.at).map_err(Failed::Usage)?, time(&self.until).map_err(Failed::Usage)?);
        if self.dry_run || from.is_some() {
            let kind = MarkKind::from(self.kind).word();
            let foreseen: Foreseen = client.get(&format!("/v1/foresee/{}?kind={kind}", path(&self.target))).await?;
            match common.output {
                Output::Json if self.dry_run => print_json(&foreseen)?,
                Output::Json => {}
                Output::Text => print::line(foresight(&foreseen, until.is_some(), print::width()))?,
            }
        }
        if self.dry_run {
            return Ok(());
        }
        let request = MarkRequest {
            kind: self.kind.into(),
            reason: self.reason.clone(),
            from,
            until,
            author: Some(author(self.author.as_ref())),
        };
        let path = format!("/v1/marks/{}", path(&self.target));
        let moved: Moved = client.send(Method::PUT, &path, &request).await?;
        moves::show(&moved, common)
    }
}

/// What a mark would move at its beginning and at its end.
fn foresight(foreseen: &Foreseen, ends: bool, width: Option<usize>) -> String {
    /// Hubs that are printed at most; `--output json` has more.
    const PRINTED: usize = 20;
    let mut page = Vec::new();
    let mut part = |when: &str, moves: &Moves| {
        let hubs = |count: u64| many(count, "hub");
        let what = match (moves.moved, moves.later) {
            (0, 0) => "no hub would move".to_owned(),
            (now, 0) => format!("{} would move", hubs(now)),
            (0, later) => format!("no hub would move at once, and {} after a wait", hubs(later)),
            (now, later) => format!("{} would move, and {later} more after a wait", hubs(now)),
        };
        let sets = match moves.usable_changed {
            0 => String::new(),
            1 => ", and 1 hub would answer out of other endpoints".to_owned(),
            more => format!(", and {more} hubs would answer out of other endpoints"),
        };
        page.push(format!("as things are now, {when} {what}{sets}"));
        for switched in moves.switched.iter().take(PRINTED) {
            let from = switched.from.as_ref().map(|from| format!("{from} -> ")).unwrap_or_default();
            page.push(format!("  {}  {from}{}", switched.hub, switched.to));
        }
        if moves.moved > PRINTED as u64 {
            page.push(format!("  and {} more", moves.moved - PRINTED as u64));
        }
        for Later { hub, from, to, sentence, .. } in moves.waiting.iter().take(PRINTED) {
            let from = from.as_ref().map(|from| format!("{from} -> ")).unwrap_or_default();
            page.push(fold("  ", &format!("{hub}  {from}{to}  would move after a wait: {sentence}"), width));
        }
        if moves.later > PRINTED as u64 {
            page.push(format!("  and {} more that wait", moves.later - PRINTED as u64));
        }
        page.extend(moves.usable.iter().take(PRINTED).map(|change| format!("  {change}")));
        if moves.usable_changed > PRINTED as u64 {
            page.push(format!("  and {} more", moves.usable_changed - PRINTED as u64));
        }
        page.extend(moves.notes.iter().take(PRINTED).map(|note| fold("  ", note, width)));
    };
    part("at its beginning", &foreseen.begins);
    if ends {
        part("at its end", &foreseen.ends);
    }
    page.join("\n")
}

impl Unmark {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let author = author(self.author.as_ref());
        let query = format!("author={}&reason={}", escape(&author), escape(&self.reason));
        let path = match (&self.window, &self.target) {
            (Some(window), _) => format!("/v1/windows/{}?{query}", escape(window)),
            (None, Some(target)) => format!("/v1/marks/{}?{query}", path(target)),
            // The command line asks for one of them.
            (None, None) => return Err(Failed::Sentence("a region, an endpoint or --window is needed".into())),
        };
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
