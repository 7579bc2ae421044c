//! What a drill with real probes has shown. Pure.

use std::net::SocketAddr;

use serde::Serialize;

use super::drill::length;
use super::table::{Table, fold};
use crate::control::drill::WorstCase;
use crate::dns::Name;
use crate::policy::RegionName;
use crate::time::Timestamp;

/// What a drill has shown. Times in milliseconds since its beginning; TTLs in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Report {
    /// The canary.
    pub(super) hub: Name,
    /// The region that counted as dark.
    pub(super) dark: RegionName,
    /// Who drilled.
    pub(super) author: String,
    /// Why.
    pub(super) reason: String,
    /// When it began, by the daemon's clock.
    pub(super) started: Timestamp,
    /// Who was asked.
    pub(super) server: SocketAddr,
    /// The region that took over; `None` when none did.
    pub(super) to: Option<RegionName>,
    /// The epoch since.
    pub(super) epoch: Option<u64>,
    /// Why it switched, in the daemon's words; why it did not, else.
    pub(super) why: String,
    /// The verdict of the probe, by the daemon's clock.
    pub(super) detected_ms: Option<u64>,
    /// What held the move, in the order in which it did.
    pub(super) holds: Vec<Held>,
    /// What was answered over UDP.
    pub(super) udp: WaySeen,
    /// What was answered over TCP.
    pub(super) tcp: WaySeen,
    /// When the last resolver that keeps to the TTL has moved: the last answer of before, and its TTL.
    pub(super) drained_ms: Option<u64>,
    /// What the policy allows at worst.
    pub(super) worst: WorstCase,
    /// The hub's recovery time objective.
    pub(super) rto_ms: Option<u64>,
    /// Whether it was met; `None` when there is none.
    pub(super) met: Option<bool>,
    /// Whether the worst case meets it.
    pub(super) met_at_worst: Option<bool>,
    /// The way back.
    pub(super) back: Back,
}

/// One thing that held the move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Held {
    /// What was waited for, in a word.
    pub(super) waiting: String,
    /// The region that was to take over.
    pub(super) wanted: RegionName,
    /// What was waited for, in the daemon's words; of a gate its evidence.
    pub(super) reason: String,
    /// When it was first seen.
    pub(super) from_ms: u64,
    /// For how long.
    pub(super) for_ms: u64,
}

/// What was answered over one transport.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct WaySeen {
    /// Queries sent.
    pub(super) queries: u64,
    /// Those without an answer that could be read.
    pub(super) unanswered: u64,
    /// When the first answer came that was no longer the region that counted as dark.
    pub(super) switched_ms: Option<u64>,
    /// That answer: type and RDATA.
    pub(super) answer: Vec<String>,
    /// The TTL before the drill.
    pub(super) ttl_before: u32,
    /// The TTL of the last answer before the switch.
    pub(super) ttl_last: u32,
    /// The TTL of the first answer since.
    pub(super) ttl_since: Option<u32>,
    /// When the last answer of before is over.
    pub(super) over_ms: u64,
}

/// How the canary got back to where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "way_back", rename_all = "kebab-case")]
pub(super) enum Back {
    /// It never left.
    NotNeeded,
    /// It was to stay.
    Kept,
    /// It is back, so long after the end of the drill.
    Moved {
        /// Until the first answer of before, milliseconds.
        after_ms: Option<u64>,
        /// The epoch since.
        epoch: u64,
    },
    /// The move back waits.
    Waits {
        /// What for.
        why: String,
    },
    /// It may not go back.
    Refused {
        /// Why.
        why: String,
    },
}

impl Report {
    /// Why the exit code is 1, if it is.
    pub(super) fn failure(&self) -> Option<String> {
        let hub = &self.hub;
        if self.to.is_none() {
            return Some(format!("{hub} did not leave {}: {}", self.dark, self.why));
        }
        if self.udp.switched_ms.is_none() || self.tcp.switched_ms.is_none() {
            return Some(format!("{hub} has switched, and {} never said so over UDP and TCP", self.server));
        }
        let (rto, drained) = (self.rto_ms?, self.drained_ms?);
        let missed = drained.checked_sub(rto).filter(|_| self.met == Some(false))?;
        Some(format!("the rto of {} is missed by {}", length(rto), length(missed)))
    }

    /// The report for people.
    pub(super) fn page(&self, width: Option<usize>) -> String {
        let Self { hub, dark, author, reason, started, server, worst, .. } = self;
        let outcome = match &self.to {
            Some(to) => format!("{to} took over"),
            None => "no region took over".into(),
        };
        let first =
            format!("{hub}: {dark} counted as dark from {started}, and {outcome} (drill by {author}: {reason})");
        let mut page = vec![fold("", &first, width), String::new()];
        let mut table = Table::new(&["STEP", "SEEN", "WORST COMPUTED"]);
        let mut row = |step: &str, seen: Option<u64>, worst: u64| {
            table.row(vec![step.into(), seen.map_or("never".into(), length), length(worst)]);
        };
        row("detection, from the beginning", self.detected_ms, worst.detection_ms);
        let switch = worst.switch_ms();
        row("switch, first new answer over UDP", self.udp.switched_ms, switch);
        row("switch, first new answer over TCP", self.tcp.switched_ms, switch);
        let switched = self.udp.switched_ms.max(self.tcp.switched_ms);
        let drain = self.drained_ms.zip(switched).map(|(drained, switched)| drained.saturating_sub(switched));
        row("TTL drain, from the switch", drain, worst.ttl_ms);
        row("total, until the last resolver has moved", self.drained_ms, worst.total_ms);
        page.push(table.render(width));
        for held in &self.holds {
            let first = format!("held by {} for {}: ", held.waiting, length(held.for_ms));
            page.push(fold(&first, &held.reason, width));
        }
        let why = if self.to.is_some() { "switched: " } else { "not switched: " };
        page.push(fold(why, &self.why, width));
        let WaySeen { ttl_before, ttl_last, ttl_since, .. } = &self.udp;
        let since = ttl_since.map(|ttl| format!(", {ttl} s since")).unwrap_or_default();
        page.push(format!("TTL: {ttl_before} s before, {ttl_last} s in the last answer before the switch{since}"));
        let unanswered = match self.udp.unanswered + self.tcp.unanswered {
            0 => "all answered".to_owned(),
            count => format!("{count} not answered"),
        };
        let (udp, tcp) = (self.udp.queries, self.tcp.queries);
        page.push(format!("{server} was asked {udp} times over UDP and {tcp} times over TCP, {unanswered}"));
        let mut endless: Vec<String> =
            worst.held_by.iter().map(|gate| format!("gate {gate}, while it is shut")).collect();
        endless.extend(worst.fence_holds.then(|| "the fence, while it is not acknowledged".into()));
        if !endless.is_empty() {
            page.push(fold("not in the worst case: ", &endless.join("; "), width));
        }
        if let Some(rto) = self.rto_ms {
            let compared = |total: Option<u64>| match total {
                None => "missed".to_owned(),
                Some(total) if total <= rto => format!("met, {} to spare", length(rto - total)),
                Some(total) => format!("missed by {}", length(total - rto)),
            };
            let (seen, computed) = (compared(self.drained_ms), compared(Some(worst.total_ms)));
            page.push(format!("rto {}: {seen}; at worst {computed}", length(rto)));
        }
        page.push(fold("way back: ", &self.back.sentence(self), width));
        page.join("\n")
    }
}

impl Back {
    fn sentence(&self, report: &Report) -> String {
        let Report { hub, dark, .. } = report;
        match self {
            Self::NotNeeded => format!("{hub} answers {dark} as before"),
            Self::Kept => format!("--keep: {hub} stays where it is"),
            Self::Moved { after_ms: Some(after), epoch } => {
                format!("{dark} is answered again {} after the end of the drill, epoch {epoch}", length(*after))
            }
            Self::Moved { after_ms: None, epoch } => format!("{hub} has switched back to {dark}, epoch {epoch}"),
            Self::Waits { why } => format!("not yet: {why}"),
            Self::Refused { why } => format!("refused: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(switched_ms: Option<u64>) -> WaySeen {
        let ttl_since = switched_ms.map(|_| 5);
        WaySeen {
            queries: 80,
            switched_ms,
            ttl_before: 30,
            ttl_last: 5,
            ttl_since,
            over_ms: 33_000,
            ..WaySeen::default()
        }
    }

    fn report() -> Report {
        let worst = WorstCase {
            detection_ms: 11_500,
            look_ms: 2_000,
            ttl_ms: 5_000,
            total_ms: 37_500,
            held_by: vec![crate::policy::GateName::new("registry")],
            ..WorstCase::default()
        };
        Report {
            hub: Name::parse("canary.example.net.", None).unwrap(),
            dark: RegionName::new("westeurope"),
            author: "alice".into(),
            reason: "quarterly".into(),
            started: Timestamp(1_795_442_400_000),
            server: "127.0.0.1:53".parse().unwrap(),
            to: Some(RegionName::new("northeurope")),
            epoch: Some(2),
            why: "because".into(),
            detected_ms: Some(6_100),
            holds: vec![Held {
                waiting: "gate".into(),
                wanted: RegionName::new("northeurope"),
                reason: "gate registry is shut: 412 identities are missing".into(),
                from_ms: 6_200,
                for_ms: 1_500,
            }],
            udp: seen(Some(7_700)),
            tcp: seen(Some(7_750)),
            drained_ms: Some(33_000),
            worst,
            rto_ms: Some(35_000),
            met: Some(true),
            met_at_worst: Some(false),
            back: Back::Refused { why: "gate merged is shut".into() },
        }
    }

    #[test]
    fn a_page_has_what_was_seen_beside_what_was_computed() {
        let page = report().page(None);
        for part in [
            "canary.example.net.: westeurope counted as dark from 2026-11-23T14:00:00Z, and northeurope took over",
            "detection, from the beginning             6.1 s   11.5 s\n",
            "switch, first new answer over UDP         7.7 s   13.5 s\n",
            "TTL drain, from the switch                25.2 s  5.0 s\n",
            "total, until the last resolver has moved  33.0 s  37.5 s\n",
            "held by gate for 1.5 s: gate registry is shut: 412 identities are missing\n",
            "TTL: 30 s before, 5 s in the last answer before the switch, 5 s since\n",
            "asked 80 times over UDP and 80 times over TCP, all answered\n",
            "not in the worst case: gate registry, while it is shut\n",
            "rto 35.0 s: met, 2.0 s to spare; at worst missed by 2.5 s\n",
            "way back: refused: gate merged is shut",
        ] {
            assert!(page.contains(part), "{part}:\n{page}");
        }
    }

    #[test]
    fn it_fails_when_nothing_switched_or_the_rto_is_missed() {
        let met = report();
        assert_eq!(met.failure(), None);
        assert_eq!(Report { rto_ms: None, met: None, ..met.clone() }.failure(), None);
        let missed = Report { rto_ms: Some(30_000), met: Some(false), ..met.clone() };
        assert_eq!(missed.failure().unwrap(), "the rto of 30.0 s is missed by 3.0 s");
        let never = Report { to: None, udp: seen(None), rto_ms: None, met: None, ..met.clone() };
        assert_eq!(never.failure().unwrap(), "canary.example.net. did not leave westeurope: because");
        assert!(never.page(None).contains("switch, first new answer over UDP         never"));
        let silent = Report { tcp: seen(None), ..met };
        assert!(silent.failure().unwrap().contains("never said so"));
    }
}
