//! What a move of a hub has to pass: gates, flap limit, budget, approvals and the fence.

use std::num::NonZeroU8;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Budget, Fence, GateName, GateUse, Hook, Hub, OnFenceFailure, OnShut, RegionName};
use super::call::{self, exactly_one};
use super::definitions::Definitions;
use super::endpoint::EndpointDraft;
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Setting, Table, Value, one_of, quoted, show_duration};

const MOST_GATES: usize = 64;
const COUNT: RangeInclusive<i64> = 1..=32;
const FLAP_WINDOW: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(7 * 24);
const PROCEED_AFTER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(7 * 24);
const FENCE_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(5);
const DEFAULT_FENCE_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_DWELL: Duration = Duration::from_mins(1);
const DEFAULT_FLAP_LIMIT: u8 = 3;
const DEFAULT_FLAP_WINDOW: Duration = Duration::from_hours(1);
const PERIODS: [(&str, Duration); 3] =
    [("hour", Duration::from_hours(1)), ("day", Duration::from_hours(24)), ("week", Duration::from_hours(7 * 24))];

/// The keys of a hub that hold a move up, as far as they could be read.
pub(super) struct Barriers {
    gates: Setting<Vec<Option<UseDraft>>>,
    flap_limit: Setting<u8>,
    flap_window: Setting<Duration>,
    budget: Setting<Budget>,
    approvals: Setting<u8>,
    fence: Setting<Fence>,
}

/// An entry of `gates` without mistakes, and where it and its `to` stand.
struct UseDraft {
    gate_use: GateUse,
    place: Place,
    to_place: Option<Place>,
}

impl Barriers {
    pub(super) fn read(
        table: &mut Table<'_>,
        definitions: &mut Definitions<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let gates = table.setting("gates", problems, |value, problems| {
            let example = "`gates = [{ gate = \"NAME\", on = \"failover\" }]`";
            let entries = value.list("a list of gates", example, MOST_GATES, problems)?;
            Some(entries.iter().map(|entry| read_use(entry, definitions, problems)).collect())
        });
        Self {
            gates,
            flap_limit: table.setting("flap_limit", problems, read_count),
            flap_window: table
                .setting("flap_window", problems, |value, problems| value.duration(FLAP_WINDOW, problems)),
            budget: table.setting("budget", problems, read_budget),
            approvals: table.setting("approvals", problems, |value, problems| {
                value.integer(1..=2, problems).and_then(|operators| u8::try_from(operators).ok())
            }),
            fence: table.setting("fence", problems, read_fence),
        }
    }

    /// Where the keys stand, those that are written.
    pub(super) fn places(&self) -> [(&'static str, Option<Place>); 6] {
        [
            ("gates", self.gates.place()),
            ("flap_limit", self.flap_limit.place()),
            ("flap_window", self.flap_window.place()),
            ("budget", self.budget.place()),
            ("approvals", self.approvals.place()),
            ("fence", self.fence.place()),
        ]
    }

    /// The keys together, and against the endpoints of the hub, which is called `what`.
    pub(super) fn check(
        &self,
        what: &str,
        endpoints: &[EndpointDraft],
        dwell: &Setting<Duration>,
        problems: &mut Vec<Diagnostic>,
    ) {
        let uses: Vec<&UseDraft> = self.good_uses().collect();
        for (at, draft) in uses.iter().enumerate() {
            let same = |earlier: &&&UseDraft| {
                let (one, other) = (&draft.gate_use, &earlier.gate_use);
                let direction = one.on_failover && other.on_failover || one.on_failback && other.on_failback;
                one.gate == other.gate && one.to == other.to && direction
            };
            if let Some(first) = uses[..at].iter().find(same) {
                let gate = &draft.gate_use.gate;
                let message = format!("gate `{gate}` is written twice for the same moves");
                let problem =
                    Diagnostic::error(draft.place.clone(), message).related(first.place.clone(), "first here");
                problems.push(problem.hint("keep one of the two"));
            }
        }
        let regions: Option<Vec<&RegionName>> = endpoints.iter().map(|endpoint| endpoint.region.as_ref()).collect();
        // Without all regions nothing is sure of the moves that there are.
        if let Some(regions) = regions.filter(|regions| !regions.is_empty()) {
            for draft in uses {
                draft.check(what, &regions, problems);
            }
        }
        self.check_flaps(dwell, problems);
    }

    /// Two automatic switches are a dwell apart: so many as the limit have to fit into the window.
    fn check_flaps(&self, dwell: &Setting<Duration>, problems: &mut Vec<Diagnostic>) {
        let Some(place) = self.flap_limit.place().or(self.flap_window.place()) else { return };
        let limit = self.flap_limit.clone().or(DEFAULT_FLAP_LIMIT);
        let window = self.flap_window.clone().or(DEFAULT_FLAP_WINDOW);
        let (Some(limit), Some(window), Some(dwell)) = (limit, window, dwell.clone().or(DEFAULT_DWELL)) else { return };
        let least = dwell * u32::from(limit.saturating_sub(1));
        if least > window {
            let message = format!(
                "{limit} automatic switches take at least {} ({} * `dwell` {}), longer than the `flap_window` of {}: the \
                 hub is never pinned",
                show_duration(least),
                limit - 1,
                show_duration(dwell),
                show_duration(window),
            );
            let problem = Diagnostic::warning(place, message);
            problems.push(problem.hint("write a smaller `flap_limit`, or a longer `flap_window`"));
        }
    }

    /// The gate of automatic moves that holds one up for the longest time, of those that hold none up for ever.
    pub(super) fn longest_gate(&self) -> Option<(&GateName, Duration)> {
        let failover = self.good_uses().map(|draft| &draft.gate_use).filter(|gate_use| gate_use.on_failover);
        let passing = failover.filter_map(|gate_use| match gate_use.on_shut {
            OnShut::ProceedAfter(after) => Some((&gate_use.gate, after)),
            OnShut::Hold => None,
        });
        passing.max_by_key(|(_, after)| *after)
    }

    /// How long the fence is waited for, if there is one.
    pub(super) fn fence_timeout(&self) -> Option<Duration> {
        self.fence.placed().map(|(fence, _)| fence.timeout)
    }

    /// Puts them into the hub; `None` when one of them is wrong.
    pub(super) fn apply(self, hub: &mut Hub) -> Option<()> {
        let gates = self.gates.or(Vec::new())?.into_iter().map(|draft| Some(draft?.gate_use));
        hub.gates = gates.collect::<Option<_>>()?;
        hub.flap_limit = NonZeroU8::new(self.flap_limit.or(DEFAULT_FLAP_LIMIT)?)?;
        hub.flap_window = self.flap_window.or(DEFAULT_FLAP_WINDOW)?;
        hub.budget = self.budget.optional()?;
        hub.approvals = self.approvals.or(1)?;
        hub.fence = self.fence.optional()?.map(Arc::new);
        Some(())
    }

    fn good_uses(&self) -> impl Iterator<Item = &UseDraft> {
        self.gates.placed().into_iter().flat_map(|(gates, _)| gates).flatten()
    }
}

impl UseDraft {
    /// The moves that it is for have to be among those that the hub can make.
    fn check(&self, what: &str, regions: &[&RegionName], problems: &mut Vec<Diagnostic>) {
        let GateUse { gate, on_failover, on_failback, to, .. } = &self.gate_use;
        if let (Some(to), Some(place)) = (to, &self.to_place)
            && !regions.contains(&to)
        {
            let message = format!("`to` names region `{to}`, in which {what} has no endpoint");
            let hint = format!("write {}", one_of(regions.iter().map(|region| region.as_str())));
            problems.push(Diagnostic::error(place.clone(), message).hint(hint));
            return;
        }
        let idle = if regions.len() == 1 {
            Some((
                format!("{what} has one endpoint, so that no move passes gate `{gate}`"),
                "remove it, or add an endpoint",
            ))
        } else if !on_failback && to.as_ref().is_some_and(|to| regions.first() == Some(&to)) {
            let message = format!(
                "gate `{gate}` is for failover to `{}`, the first in preference: a move to it is failback",
                regions[0]
            );
            Some((message, "write `on = \"failback\"`, or another `to`"))
        } else if !on_failover && to.as_ref().is_some_and(|to| regions.last() == Some(&to)) {
            let last = regions[regions.len() - 1];
            let message =
                format!("gate `{gate}` is for failback to `{last}`, the last in preference: a move to it is failover");
            Some((message, "write `on = \"failover\"`, or another `to`"))
        } else {
            None
        };
        if let Some((message, hint)) = idle {
            problems.push(Diagnostic::warning(self.place.clone(), message).hint(hint));
        }
    }
}

/// `{ gate = "NAME", on = "failover", to = "REGION", on_shut = "hold" }`.
fn read_use(value: &Value<'_>, definitions: &mut Definitions<'_>, problems: &mut Vec<Diagnostic>) -> Option<UseDraft> {
    const DIRECTIONS: [(&str, (bool, bool)); 3] =
        [("failover", (true, false)), ("failback", (false, true)), ("both", (true, true))];
    let mut table = value.table("the use of a gate", "a table: `{ gate = \"NAME\", on = \"failover\" }`", problems)?;
    let gate = table.setting("gate", problems, |value, problems| definitions.gate(value, problems));
    let on = table.setting("on", problems, |value, problems| value.word(&DIRECTIONS, problems));
    let to = table.setting("to", problems, |value, problems| definitions.region(value, problems));
    let on_shut = table.setting("on_shut", problems, read_on_shut);
    if !gate.is_written() {
        table.missing("gate", "add `gate = \"NAME\"`", problems);
    }
    if !on.is_written() {
        table.missing("on", "add `on = \"failover\"`, `on = \"failback\"` or `on = \"both\"`", problems);
    }
    table.close(problems);
    let to_place = to.place();
    let (to, on_shut) = (to.optional(), on_shut.or(OnShut::Hold));
    let (gate, (on_failover, on_failback)) = (gate.good()?, on.good()?);
    let gate_use = GateUse { gate, on_failover, on_failback, to: to?, on_shut: on_shut? };
    Some(UseDraft { gate_use, place: value.place(), to_place })
}

fn read_on_shut(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<OnShut> {
    const EXAMPLE: &str = "\"hold\" or `{ proceed_after = \"10m\" }`";
    if value.as_text() == Some("hold") {
        return Some(OnShut::Hold);
    }
    if !value.is_table() {
        problems.push(value.mismatch_words("\"hold\" or a table with `proceed_after`", EXAMPLE, &["hold"]));
        return None;
    }
    let mut table = value.table("`on_shut`", EXAMPLE, problems)?;
    let after = table.setting("proceed_after", problems, |value, problems| value.duration(PROCEED_AFTER, problems));
    if !after.is_written() {
        table.missing("proceed_after", "write `on_shut = { proceed_after = \"10m\" }`", problems);
    }
    table.close(problems);
    after.good().map(OnShut::ProceedAfter)
}

fn read_count(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<u8> {
    value.integer(COUNT, problems).and_then(|count| u8::try_from(count).ok())
}

/// `"2 per day"` or `{ switches = 2, per = "day" }`.
fn read_budget(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Budget> {
    const EXPECTED: &str = "a number from 1 to 32 per hour, day or week";
    const EXAMPLE: &str = "such as \"2 per day\"";
    if let Some(text) = value.as_text() {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let read = match words.as_slice() {
            [switches, "per", period] => read_rate(switches, period),
            _ => None,
        };
        if read.is_none() {
            let problem = value.mismatch(EXPECTED, EXAMPLE);
            problems.push(match meant_budget(text) {
                Some(meant) => problem.hint(format!("did you mean \"{meant}\"?")),
                None => problem,
            });
        }
        return read;
    }
    if !value.is_table() {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
        return None;
    }
    let mut table = value.table("`budget`", EXAMPLE, problems)?;
    let switches = table.setting("switches", problems, read_count);
    let per = table.setting("per", problems, |value, problems| value.word(&PERIODS, problems));
    if !switches.is_written() {
        table.missing("switches", "add `switches = 2`", problems);
    }
    if !per.is_written() {
        table.missing("per", "add `per = \"day\"`", problems);
    }
    table.close(problems);
    Some(Budget { switches: NonZeroU8::new(switches.good()?)?, period: per.good()? })
}

fn read_rate(switches: &str, period: &str) -> Option<Budget> {
    let count = switches.parse().ok().filter(|count| COUNT.contains(&i64::from(*count)))?;
    let (_, period) = PERIODS.into_iter().find(|(word, _)| *word == period)?;
    Some(Budget { switches: NonZeroU8::new(count)?, period })
}

/// The budget of which `text` is a slip: `2/day`, `2 a day`, `2 per days`.
fn meant_budget(text: &str) -> Option<String> {
    let (digits, rest) = text.trim().split_at(text.trim().bytes().take_while(u8::is_ascii_digit).count());
    let word = rest.split(|c: char| !c.is_ascii_alphabetic()).rfind(|word| !word.is_empty())?;
    let period = crate::diagnostic::closest(word, PERIODS.map(|(word, _)| word))?;
    read_rate(digits, period)?;
    Some(format!("{digits} per {period}"))
}

/// `{ http = { url = "URL" } }` or `{ exec = { command = ["PROGRAM"] } }`.
fn read_fence(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Fence> {
    const KINDS: [&str; 2] = ["http", "exec"];
    const WORDS: [(&str, OnFenceFailure); 2] = [("proceed", OnFenceFailure::Proceed), ("stop", OnFenceFailure::Stop)];
    let mut table = value.table("`fence`", "`fence = { http = { url = \"https://HOST/PATH\" } }`", problems)?;
    let http = table.setting("http", problems, |value, problems| {
        let mut table = value.table("`http`", "`http = { url = \"https://HOST/PATH\" }`", problems)?;
        let request = call::read_request(&mut table, problems);
        table.close(problems);
        request.map(|request| Hook::Http { url: request.url, ca: request.ca })
    });
    let exec = table.setting("exec", problems, |value, problems| call::read_exec(value, problems).map(Hook::Exec));
    let missing = "add `http = { url = \"https://HOST/PATH\" }` or `exec = { command = [\"/PATH/TO/PROGRAM\"] }`";
    let hook = exactly_one("`fence`", "kind", &[(KINDS[0], &http), (KINDS[1], &exec)], missing, &mut table, problems);
    let timeout = table.setting("timeout", problems, |value, problems| value.duration(FENCE_TIMEOUT, problems));
    let on_failure = table.setting("on_failure", problems, |value, problems| value.word(&WORDS, problems));
    for entry in table.rest().filter(|entry| entry.value.is_table()) {
        let message = format!("unknown kind of fence {}", quoted(entry.key));
        problems.push(entry.unknown(&message, &KINDS, "write one of these"));
        entry.settle();
    }
    table.close(problems);
    let (timeout, on_failure) = (timeout.or(DEFAULT_FENCE_TIMEOUT), on_failure.or(OnFenceFailure::Proceed));
    Some(Fence { hook: hook?, timeout: timeout?, on_failure: on_failure? })
}
