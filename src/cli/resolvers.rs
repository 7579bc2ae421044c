//! `concierge resolvers`.

use std::time::Duration;

use clap::Args;

use super::client::{Client, escape};
use super::table::{Table, wrap};
use super::{Common, Failed, Output, moves, print, print_json};
use crate::admin::resolvers::{HubResolvers, LateBy, SwitchResolvers};
use crate::dns::Name;
use crate::time::{Timestamp, human};

/// Show how the resolvers of a hub came back after its last switches, and who still asks late.
#[derive(Debug, Args)]
pub(super) struct ResolversArgs {
    /// The hub
    #[arg(value_parser = moves::name)]
    hub: Name,
}

impl ResolversArgs {
    pub(super) async fn run(&self, client: &Client, common: &Common) -> Result<(), Failed> {
        let path = format!("/v1/hubs/{}/resolvers", escape(&self.hub.to_string()));
        let resolvers: HubResolvers = client.get(&path).await?;
        match common.output {
            Output::Json => print_json(&resolvers),
            Output::Text => print::line(render(&resolvers, print::width())),
        }
    }
}

/// The sentence on the last switch, and a column for each switch.
fn render(resolvers: &HubResolvers, width: Option<usize>) -> String {
    let HubResolvers { hub, scale, now, switches, .. } = resolvers;
    let Some(last) = switches.first() else {
        return wrap(&format!("{hub} has not switched: there is nothing to come back from"), width, 0).join("\n");
    };
    if *scale == 0 {
        let sentence = "resolvers are not watched: `[statistics] resolvers` is 0 in the daemon's configuration";
        return wrap(sentence, width, 0).join("\n");
    }
    let sentence = wrap(&format!("{hub}: {}.", sentence(last, *scale, *now)), width, 0).join("\n");
    if switches.iter().all(|switch| switch.held == 0) {
        return sentence;
    }
    let epochs: Vec<String> = switches.iter().map(|switch| format!("EPOCH {}", switch.epoch)).collect();
    let header: Vec<&str> = ["SAMPLED RESOLVERS"].into_iter().chain(epochs.iter().map(String::as_str)).collect();
    let mut table = Table::new(&header);
    let mut row = |what: String, cell: &dyn Fn(&SwitchResolvers) -> String| {
        table.row([what].into_iter().chain(switches.iter().map(cell)).collect());
    };
    row("switched (UTC)".into(), &|switch| switch.since.to_string());
    row("held an older answer".into(), &|switch| switch.held.to_string());
    row("back within the TTL".into(), &|switch| switch.on_time.to_string());
    for (at, bucket) in last.late_by.iter().enumerate() {
        let of = |switch: &SwitchResolvers| switch.late_by.get(at).map_or(0, |bucket| bucket.resolvers);
        if switches.iter().any(|switch| of(switch) > 0) {
            row(format!("back {} late", between(bucket)), &|switch| of(switch).to_string());
        }
    }
    row("not back".into(), &|switch| switch.outstanding.to_string());
    row("not back, TTL over".into(), &|switch| switch.overdue.to_string());
    row("overrun of 50, 95, 99 %".into(), &|switch| match switch.overrun {
        Some(overrun) => [overrun.p50, overrun.p95, overrun.p99].map(seconds).join(", "),
        None => "-".into(),
    });
    format!("{sentence}\n\n{}", table.render(width))
}

fn sentence(switch: &SwitchResolvers, scale: u32, now: Timestamp) -> String {
    let about = |sampled: u64| match scale {
        1 => grouped(sampled),
        _ => format!("about {}", grouped(rounded(sampled * u64::from(scale)))),
    };
    let after = human(whole(now.since(switch.since)));
    let due = match switch.last_due {
        Some(due) if due > now => format!("the last TTL is over in {}", human(whole(due.since(now)))),
        Some(due) => format!("the last on-time return was due {} ago", human(whole(now.since(due)))),
        None => String::new(),
    };
    match (switch.held, switch.outstanding) {
        (0, _) => format!("no sampled resolver held an older answer at the switch to epoch {}", switch.epoch),
        (held, 0) => format!("all of {} resolvers have come back {after} after the switch", about(held)),
        (held, outstanding) => {
            let outstanding = about(outstanding);
            let outstanding = outstanding.strip_prefix("about ").unwrap_or(&outstanding);
            format!("{outstanding} of {} resolvers have not come back {after} after the switch; {due}", about(held))
        }
    }
}

/// `1-5 s`, `5-30 min`, `more than 30 min`.
fn between(bucket: &LateBy) -> String {
    let (per, unit) = if bucket.from >= 60 { (60, "min") } else { (1, "s") };
    match bucket.to {
        None => format!("more than {} {unit}", bucket.from / per),
        Some(to) => format!("{}-{} {unit}", bucket.from / per, to / per),
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        1800.0.. => "30 min or more".into(),
        60.0.. => human(Duration::from_secs(seconds as u64)),
        _ => format!("{seconds:.1} s"),
    }
}

fn whole(length: Duration) -> Duration {
    Duration::from_secs(length.as_secs())
}

/// An estimate to two digits.
fn rounded(number: u64) -> u64 {
    let digits = number.checked_ilog10().unwrap_or(0);
    let unit = 10_u64.pow(digits.saturating_sub(1));
    (number + unit / 2) / unit * unit
}

/// `3,300`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::resolvers::OverrunSeconds;
    use crate::policy::RegionName;

    fn switch(epoch: u64, held: u64, late: [u64; 7], outstanding: u64) -> SwitchResolvers {
        let bounds = [0, 1, 5, 15, 60, 300, 1800];
        let late_by = |(at, resolvers)| LateBy { from: bounds[at], to: bounds.get(at + 1).copied(), resolvers };
        SwitchResolvers {
            epoch,
            since: Timestamp(1_795_694_400_000),
            held,
            on_time: held - outstanding - late.iter().sum::<u64>(),
            late: late.iter().sum(),
            late_by: late.into_iter().enumerate().map(late_by).collect(),
            outstanding,
            overdue: outstanding,
            last_due: (outstanding > 0).then_some(Timestamp(1_795_694_430_000)),
            overrun: Some(OverrunSeconds { p50: 0.25, p95: 70.0, p99: 1800.0, max: 1800.0 }),
        }
    }

    fn shown(scale: u32, switches: Vec<SwitchResolvers>, second: u64) -> String {
        let hub = Name::parse("hub.example.net.", None).unwrap();
        let now = Timestamp(1_795_694_400_000 + second * 1000);
        let active = RegionName::new("neu");
        render(&HubResolvers { hub, active, epoch: 2, ttl: 30, now, scale, sampled: 500, switches }, None)
    }

    #[test]
    fn who_still_asks_late_is_one_sentence_and_a_column_a_switch() {
        let switches = vec![switch(3, 413, [300, 20, 0, 0, 1, 0, 1], 52), switch(2, 20, [10, 0, 0, 0, 0, 0, 0], 0)];
        let columns =
            |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("|");
        let shown: Vec<String> = shown(8, switches, 40).lines().map(columns).collect();
        assert_eq!(
            shown,
            [
                "hub.example.net.: 420 of about 3,300 resolvers have not come back 40 s after the switch; the last on-time return was due 10 s ago.",
                "",
                "SAMPLED RESOLVERS|EPOCH 3|EPOCH 2",
                "switched (UTC)|2026-11-26T12:00:00Z|2026-11-26T12:00:00Z",
                "held an older answer|413|20",
                "back within the TTL|39|10",
                "back 0-1 s late|300|10",
                "back 1-5 s late|20|0",
                "back 1-5 min late|1|0",
                "back more than 30 min late|1|0",
                "not back|52|0",
                "not back, TTL over|52|0",
                "overrun of 50, 95, 99 %|0.2 s, 1 min 10 s, 30 min or more|0.2 s, 1 min 10 s, 30 min or more",
            ]
        );
    }

    #[test]
    fn the_sentence_says_what_is_known() {
        let first = |scale, switches, second| shown(scale, switches, second).lines().next().unwrap().to_owned();
        let check = |scale, switches: Vec<SwitchResolvers>, second, expected: &str| {
            assert_eq!(first(scale, switches, second), format!("hub.example.net.{expected}"));
        };
        check(8, vec![], 0, " has not switched: there is nothing to come back from");
        assert!(first(0, vec![switch(2, 0, [0; 7], 0)], 0).starts_with("resolvers are not watched"));
        check(
            8,
            vec![switch(2, 0, [0; 7], 0)],
            5,
            ": no sampled resolver held an older answer at the switch to epoch 2.",
        );
        check(
            8,
            vec![switch(2, 10, [0; 7], 0)],
            65,
            ": all of about 80 resolvers have come back 1 min 5 s after the switch.",
        );
        check(
            1,
            vec![switch(2, 1234, [0; 7], 7)],
            10,
            ": 7 of 1,234 resolvers have not come back 10 s after the switch; the last TTL is over in 20 s.",
        );
    }

    #[test]
    fn estimates_have_two_digits() {
        for (number, expected) in
            [(0, "0"), (8, "8"), (16, "16"), (824, "820"), (3_304, "3,300"), (1_965_432, "2,000,000")]
        {
            assert_eq!(grouped(rounded(number)), expected);
        }
    }
}
