//! `concierge drill`.
#![expect(clippy::disallowed_methods, reason = "I/O shell: a drill begins at the machine's time")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::client::author;
use super::drill_live::{self, Live};
use super::table::Table;
use super::{Common, Failed, Output, config_path, moves, print, print_json, render, when};
use crate::control::load;
use crate::daemon::read_config;
use crate::dns::Name;
use crate::policy::RegionName;
use crate::simulate::drill::{GateLine, Question, Report, Spread, drill};
use crate::time::{Timestamp, human};

/// Try what happens if a region goes dark, and how long devices are without it.
#[derive(Debug, Args)]
#[command(after_help = "\
The daemon treats the region as dark for one hub that has `canary = true`, whatever its probes see, and for no other: the \
probes' rhythm, sight, gates, dwell, budget, fence, switch and TTL are those of a real failure. This command asks the \
daemon's DNS meanwhile, ends the drill and has the canary moved back through its gates. Ctrl-C ends the drill; a drill \
whose command was killed is given up by the daemon.

Exit code 0: it switched, and the hub has no rto or it was met.  1: it did not, or missed it.

With --simulate the daemon's own decision runs on a simulated clock with the policy of the files, many times, each time with \
its probers at other phases: no daemon is asked, and nothing is probed or moved. `worst computed` is what the policy allows \
at worst, whatever was seen. Exit code 1: the hub has an rto, and the worst case misses it.

Examples:  concierge drill canary.example.net --reason \"quarterly\"
           concierge drill hub.example.net --dark westeurope --simulate --at 03:00")]
pub(super) struct Drill {
    /// The hub
    #[arg(value_parser = moves::name)]
    hub: Name,
    /// The region that goes dark
    #[arg(long, value_name = "REGION", value_parser = moves::region, required_if_eq("simulate", "true"))]
    dark: Option<RegionName>,
    /// When a drill that has not switched is given up: `5m`, at most `15m`
    #[arg(long, value_name = "LENGTH", default_value = "15m", value_parser = drill_live::within)]
    within: Duration,
    /// Leave the canary where it is then
    #[arg(long, conflicts_with = "simulate")]
    keep: bool,
    /// Why, for everybody who sees it
    #[arg(long, short, default_value = "no reason given")]
    reason: String,
    /// Who drills [default: the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Ask no daemon, and run on a simulated clock
    #[arg(long)]
    simulate: bool,
    /// When it goes dark: `2h30m`, `14:00` or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", requires = "simulate")]
    at: Option<String>,
    /// How often it is tried
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// What the gates are
    #[arg(long, value_name = "STATE", default_value = "open")]
    gates: Gates,
    /// Read this folder of zones and policy, and no configuration
    #[arg(long, value_name = "FOLDER", requires = "simulate")]
    zones: Option<PathBuf>,
}

/// What the gates are during a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Gates {
    Open,
    Shut,
}

impl Drill {
    pub(super) fn run(&self, common: &Common) -> Result<(), Failed> {
        if !self.simulate {
            let live = Live {
                hub: &self.hub,
                dark: self.dark.as_ref(),
                within: self.within,
                keep: self.keep,
                reason: &self.reason,
                author: author(self.author.as_ref()),
            };
            return super::asked(common, async |client| drill_live::run(&live, client, common).await);
        }
        let Some(dark) = &self.dark else {
            return Err(Failed::Usage("--simulate asks for a region: --dark REGION".into()));
        };
        let now = jiff::Zoned::now();
        let at = match &self.at {
            Some(text) => when::parse(text, &now).map_err(Failed::Usage)?,
            None => Timestamp(u64::try_from(now.timestamp().as_millisecond()).unwrap_or_default()),
        };
        let (loaded, problems) = load::load(&self.folder(common)?);
        let Some(loaded) = loaded else {
            print::complain(render::render(&problems, print::colors()));
            return Err(Failed::rejected(&problems));
        };
        if let Some(hub) = loaded.policy.hubs.get(&self.hub).filter(|hub| hub.selection.is_stateless()) {
            return Err(Failed::Sentence(format!(
                "{} has policy {} and no active region: no region takes over, each query is answered out of what is usable \
                 then; `concierge mark {dark} down --dry-run` says what that would be",
                hub.name,
                hub.selection.word()
            )));
        }
        let question = Question {
            hub: self.hub.clone(),
            dark: dark.clone(),
            at,
            rounds: self.rounds,
            gates_shut: self.gates == Gates::Shut,
        };
        let report = drill(&loaded, &question).map_err(|error| Failed::Sentence(error.to_string()))?;
        let failed = (report.met == Some(false)).then(|| Failed::Sentence(missed(&report)));
        match (common.output, failed) {
            (Output::Json, None) => print_json(&report),
            (Output::Json, Some(failed)) => Err(failed.with(&report)),
            (Output::Text, failed) => {
                print::line(page(&report, print::width()))?;
                failed.map_or(Ok(()), Err)
            }
        }
    }

    fn folder(&self, common: &Common) -> Result<PathBuf, Failed> {
        if let Some(folder) = &self.zones {
            return Ok(folder.clone());
        }
        let Some(path) = config_path(common) else {
            return Err(Failed::Sentence(format!(
                "no policy to try: neither {} exists\nhint: name one with --config, or a folder with --zones",
                super::PLACES.join(" nor ")
            )));
        };
        match read_config(&path) {
            (Some(config), _) => Ok(config.zones),
            (None, problems) => {
                print::complain(render::render(&problems, print::colors()));
                Err(Failed::rejected(&problems))
            }
        }
    }
}

/// Why the exit code is 1.
fn missed(report: &Report) -> String {
    let rto = report.rto.map(length).unwrap_or_default();
    match report.missed_by() {
        Some(by) => format!("the rto of {rto} is missed by {} at worst", exact(by)),
        None => format!("the rto of {rto} is missed: nothing takes over from {}", report.dark),
    }
}

/// The report for people.
fn page(report: &Report, width: Option<usize>) -> String {
    let Report { hub, dark, at, rounds, to, .. } = report;
    let takes_over = match to {
        Some(to) => format!("{to} takes over"),
        None => "no region takes over".into(),
    };
    let mut page = vec![format!("{hub}: {dark} goes dark at {at}, and {takes_over} (simulated {rounds} times)\n")];
    let mut table = Table::new(&["STEP", "MEDIAN", "WORST SEEN", "WORST COMPUTED"]);
    let mut row = |step: &str, spread: Option<Spread>| {
        let cells = match spread {
            Some(Spread { median, worst_seen, worst_computed }) => [median, worst_seen, worst_computed].map(length),
            None => ["never", "never", "never"].map(Into::into),
        };
        table.row([step.into()].into_iter().chain(cells).collect());
    };
    row("detection, from the failure", Some(report.detection));
    row("switch, from the failure", report.switch);
    row("TTL drain, from the switch", report.drain);
    row("total", report.total);
    page.push(table.render(width));
    for GateLine { gate, proceed_after } in &report.gates {
        let state = if report.gates_shut { "shut" } else { "open" };
        let then = match proceed_after {
            Some(after) => format!("the move passes a shut one after {}", length(*after)),
            None => "the move waits while it is shut".into(),
        };
        page.push(format!("gate {gate} was {state} in every round: {then}"));
    }
    page.extend(report.fence.map(|fence| format!("the fence may take {}", length(fence))));
    page.extend(report.held.iter().map(|held| format!("held for {held}")));
    page.extend(report.rto.map(|rto| match (report.met, report.total) {
        (Some(true), Some(total)) => {
            format!("rto {}: met, {} to spare at worst", length(rto), length(rto - total.worst_computed))
        }
        _ => format!("rto {}: missed", length(rto)),
    }));
    page.join("\n")
}

/// `12.4 s`: a drill is about seconds, and about parts of them.
pub(super) fn exact(length: std::time::Duration) -> String {
    match length.as_secs() {
        0..60 => format!("{:.1} s", length.as_secs_f64()),
        _ => human(length),
    }
}

pub(super) fn length(millis: u64) -> String {
    exact(std::time::Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let spread = |median| Some(Spread { median, worst_seen: median + 900, worst_computed: median + 5_000 });
        Report {
            hub: Name::parse("hub.example.net.", None).unwrap(),
            dark: RegionName::new("westeurope"),
            at: Timestamp(1_795_442_400_000),
            rounds: 200,
            to: Some(RegionName::new("northeurope")),
            detection: spread(4_900).unwrap(),
            switch: spread(4_900),
            drain: spread(30_000),
            total: spread(34_900),
            gates: vec![GateLine { gate: crate::policy::GateName::new("complete"), proceed_after: Some(600_000) }],
            gates_shut: false,
            fence: Some(5_000),
            held: vec!["fence: westeurope is being told".into()],
            rto: Some(60_000),
            met: Some(true),
        }
    }

    #[test]
    fn a_report_reads_well() {
        let expected = "\
hub.example.net.: westeurope goes dark at 2026-11-23T14:00:00Z, and northeurope takes over (simulated 200 times)

STEP                         MEDIAN  WORST SEEN  WORST COMPUTED
detection, from the failure  4.9 s   5.8 s       9.9 s
switch, from the failure     4.9 s   5.8 s       9.9 s
TTL drain, from the switch   30.0 s  30.9 s      35.0 s
total                        34.9 s  35.8 s      39.9 s
gate complete was open in every round: the move passes a shut one after 10 min
the fence may take 5.0 s
held for fence: westeurope is being told
rto 1 min: met, 20.1 s to spare at worst";
        assert_eq!(page(&report(), None), expected);
    }

    /// No figure is given of a switch that there cannot be.
    #[test]
    fn a_hub_without_an_active_region_has_no_drill() {
        let folder = tempfile::tempdir().unwrap();
        let zone = "@ 60 SOA ns1 hostmaster 1 2 3 4 5\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n";
        let policy = "[regions.weu]\n[regions.neu]\n[hubs.\"w.example.net.\"]\npolicy = \"weighted\"\nendpoints = [\n\
                      { region = \"weu\", addresses = [\"192.0.2.11\"] },\n{ region = \"neu\", addresses = [\"192.0.2.12\"] },\n]\n";
        std::fs::write(folder.path().join("example.net.zone"), zone).unwrap();
        std::fs::write(folder.path().join("example.net.toml"), policy).unwrap();
        let drill = Drill {
            hub: Name::parse("w.example.net.", None).unwrap(),
            dark: Some(RegionName::new("weu")),
            within: std::time::Duration::from_mins(15),
            keep: false,
            reason: "r".into(),
            author: None,
            simulate: true,
            at: None,
            rounds: 1,
            gates: Gates::Open,
            zones: Some(folder.path().into()),
        };
        let common = Common { config: None, socket: None, output: Output::Text };
        let Err(Failed::Sentence(said)) = drill.run(&common) else { panic!("it was drilled") };
        assert!(
            said.starts_with("w.example.net. has policy weighted and no active region: no region takes over"),
            "{said}"
        );
        assert!(said.contains("`concierge mark weu down --dry-run`"), "{said}");
    }

    #[test]
    fn what_is_missed_says_by_how_much() {
        let report = Report { rto: Some(30_000), met: Some(false), ..report() };
        assert_eq!(missed(&report), "the rto of 30.0 s is missed by 9.9 s at worst");
        assert!(page(&report, None).ends_with("rto 30.0 s: missed"));
        let never = Report { switch: None, drain: None, total: None, to: None, ..report };
        assert_eq!(missed(&never), "the rto of 30.0 s is missed: nothing takes over from westeurope");
        assert!(page(&never, None).contains("no region takes over"));
    }
}
