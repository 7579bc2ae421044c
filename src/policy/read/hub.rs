//! `[hubs."NAME."]`: what a hub is by itself.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Answer, Failback, Hub, RegionName, WhenAllDown};
use super::barriers::Barriers;
use super::definitions::Definitions;
use super::endpoint::{self, EndpointDraft};
use super::objective;
use super::selection::{Needs, Selecting};
use crate::diagnostic::{Diagnostic, Place};
use crate::dns::Name;
use crate::document::{Entry, Setting, Value, absolute_name, quoted, show_duration};

const TTL: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_hours(24);
const DWELL: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(7 * 24);
const RTO: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_hours(7 * 24);
const AFTER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(30 * 24);
const TTL_RESTORE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
/// Percent.
const TTL_SPREAD: RangeInclusive<i64> = 0..=50;
const MOST_ENDPOINTS: usize = 256;
pub(super) const DEFAULT_TTL: Duration = Duration::from_secs(30);
const DEFAULT_TTL_RESTORE: Duration = Duration::from_mins(5);
const EXAMPLE: &str = "`endpoints = [{ region = \"NAME\", cname = \"TARGET.\", probe = \"NAME\" }]`";

/// A hub as far as it could be read.
pub(super) struct Draft {
    /// The owner name, if it is a name at all.
    pub(super) name: Option<Name>,
    /// Where the name stands.
    pub(super) place: Place,
    /// The endpoints, as far as they could be read.
    pub(super) endpoints: Vec<EndpointDraft>,
    /// Whether the addresses of all endpoints may be answered together.
    pub(super) answers_all: bool,
    /// Whether it surely has no active region.
    pub(super) stateless: bool,
    /// What it needs of `[geo]`.
    pub(super) needs: Needs,
    /// The hub, if nothing in it is wrong.
    pub(super) hub: Option<Arc<Hub>>,
}

pub(super) fn read(entry: &Entry<'_>, definitions: &mut Definitions<'_>, problems: &mut Vec<Diagnostic>) -> Draft {
    let (name, name_is_good) = read_name(entry, problems);
    let mut draft = Draft {
        name,
        place: entry.place(),
        endpoints: Vec::new(),
        answers_all: false,
        stateless: false,
        needs: Needs::default(),
        hub: None,
    };
    let what = format!("hub {}", quoted(entry.key));
    let Some(mut table) = entry.value.table(&what, "a table: `[hubs.\"NAME.\"]`", problems) else { return draft };
    let selecting = Selecting::read(&mut table, definitions, problems);
    let ttl = table.setting("ttl", problems, read_ttl);
    let ttl_min = table.setting("ttl_min", problems, read_ttl);
    let ttl_restore = table.setting("ttl_restore", problems, |value, problems| value.duration(TTL_RESTORE, problems));
    let ttl_spread = table.setting("ttl_spread", problems, |value, problems| {
        value.integer(TTL_SPREAD, problems).and_then(|percent| u8::try_from(percent).ok())
    });
    let txt = table.setting("txt", problems, Value::flag);
    let dwell = table.setting("dwell", problems, |value, problems| value.duration(DWELL, problems));
    let rto = table.setting("rto", problems, |value, problems| value.duration(RTO, problems));
    let failback = table.setting("failback", problems, read_failback);
    let when_all_down =
        table.setting("when_all_down", problems, |value, problems| read_when_all_down(value, definitions, problems));
    let endpoints = table.setting("endpoints", problems, |value, problems| {
        let entries = value.list("a list of endpoints", EXAMPLE, MOST_ENDPOINTS, problems)?;
        if entries.is_empty() {
            problems.push(
                value.error(format!("{what} has no endpoint, expected at least one")).hint(format!("write {EXAMPLE}")),
            );
            return None;
        }
        let mut read = |value: &Value<'_>| endpoint::read(value, draft.name.as_ref(), definitions, problems);
        Some(entries.iter().map(&mut read).collect::<Vec<_>>())
    });
    if !endpoints.is_written() {
        table.missing("endpoints", format!("write {EXAMPLE}"), problems);
    }
    let barriers = Barriers::read(&mut table, definitions, problems);
    let canary = table.setting("canary", problems, Value::flag);
    table.close(problems);

    draft.endpoints = endpoints.good().unwrap_or_default();
    draft.stateless = selecting.is_stateless() == Some(true);
    draft.needs = selecting.needs();
    let all_down = when_all_down.placed().is_some_and(|(choice, _)| *choice == WhenAllDown::All);
    draft.answers_all = selecting.answers_all(draft.endpoints.len(), all_down);
    check_regions(&draft.endpoints, problems);
    check_when_all_down(&draft.endpoints, &when_all_down, draft.stateless, problems);
    let places = [("txt", txt.place()), ("dwell", dwell.place()), ("failback", failback.place())];
    let mut active = [places.as_slice(), &barriers.places(), &[("canary", canary.place())]].concat();
    active.retain(|(_, place)| place.is_some());
    selecting.check(&what, &draft.endpoints, &active, definitions, problems);
    check_ttls(&ttl, &ttl_min, &ttl_restore, &ttl_spread, problems);
    barriers.check(&what, &draft.endpoints, &dwell, problems);
    objective::check(&draft.endpoints, &ttl, &ttl_min, &barriers, &rto, problems);
    draft.hub = draft.name.clone().filter(|_| name_is_good).and_then(|name| {
        let ttl = ttl.or(DEFAULT_TTL)?;
        let endpoints: Vec<_> = draft.endpoints.iter().map(EndpointDraft::finish).collect();
        let mut hub = Hub {
            selection: selecting.finish(definitions)?,
            ttl,
            ttl_min: ttl_min.or(ttl)?,
            ttl_restore: ttl_restore.or(DEFAULT_TTL_RESTORE)?,
            ttl_spread: ttl_spread.or(0)?,
            txt: txt.or(false)?,
            dwell: dwell.or(Duration::from_mins(1))?,
            failback: failback.or(Failback::Manual)?,
            when_all_down: when_all_down.or(WhenAllDown::Keep)?,
            rto: rto.optional()?,
            canary: canary.or(false)?,
            ..Hub::new(
                name,
                endpoints.into_iter().collect::<Option<Vec<_>>>().filter(|list| !list.is_empty())?,
                draft.place.clone(),
            )
        };
        barriers.apply(&mut hub)?;
        Some(Arc::new(hub))
    });
    draft
}

/// The owner name, and whether it may be one: a name without its final dot is still good for the checks to come.
fn read_name(entry: &Entry<'_>, problems: &mut Vec<Diagnostic>) -> (Option<Name>, bool) {
    let name = match absolute_name("hub", entry.key) {
        Ok(name) => name,
        Err((message, hint)) => {
            problems.push(Diagnostic::error(entry.place(), message).hint(hint));
            return (Name::parse(entry.key, Some(&Name::root())).ok().filter(|_| entry.key != "@"), false);
        }
    };
    if name.is_wildcard() {
        let problem = Diagnostic::error(entry.place(), format!("hub `{name}` is a wildcard, expected one name"));
        problems.push(problem.hint("write a hub for each name, or a wildcard CNAME to the hub in the zone"));
        return (Some(name), false);
    }
    (Some(name), true)
}

/// A TTL counts whole seconds (RFC 1035 3.2.1).
fn read_ttl(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Duration> {
    let ttl = value.duration(TTL, problems)?;
    if ttl.subsec_nanos() != 0 {
        let message = format!("{} is {}, expected whole seconds", value.what(), show_duration(ttl));
        problems.push(value.error(message).hint(format!("write \"{}s\"", ttl.as_secs())));
        return None;
    }
    Some(ttl)
}

/// The lower TTL below the other one, and the spread of both above the least that there is.
fn check_ttls(
    ttl: &Setting<Duration>,
    ttl_min: &Setting<Duration>,
    ttl_restore: &Setting<Duration>,
    ttl_spread: &Setting<u8>,
    problems: &mut Vec<Diagnostic>,
) {
    let Some(length) = ttl.clone().or(DEFAULT_TTL) else { return };
    if let Some((low, place)) = ttl_min.placed()
        && *low > length
    {
        let (low, shown) = (show_duration(*low), show_duration(length));
        let message = format!("`ttl_min` is {low}, longer than the `ttl` of {shown}");
        let problem = Diagnostic::error(place.clone(), message).hint(format!("write at most \"{shown}\""));
        problems.push(match ttl.placed() {
            Some((_, place)) => problem.related(place.clone(), "the `ttl`"),
            None => problem,
        });
    }
    if let Some(place) = ttl_restore.place()
        && ttl_min.clone().or(length) == Some(length)
    {
        let message = "`ttl_restore` has no effect without a `ttl_min` below `ttl`";
        problems.push(Diagnostic::warning(place, message).hint("add `ttl_min = \"10s\"`, or remove `ttl_restore`"));
    }
    let Some((spread, place)) = ttl_spread.placed() else { return };
    let least = *TTL.start();
    let spread_of = |ttl: Duration| ttl.mul_f64(1.0 - f64::from(*spread) / 100.0);
    let most = |ttl: Duration| 100 - (least.as_secs() * 100).div_ceil(ttl.as_secs().max(1)).min(100);
    if spread_of(length) < least {
        let message = format!(
            "`ttl_spread` of {spread} percent lowers the `ttl` of {} to {} for some resolvers, below the least of {}",
            show_duration(length),
            show_duration(spread_of(length)),
            show_duration(least),
        );
        let hint = format!("write at most {}, or a longer `ttl`", most(length));
        problems.push(Diagnostic::error(place.clone(), message).hint(hint));
    } else if let Some((low, low_place)) = ttl_min.placed()
        && spread_of(*low) < least
    {
        let message = format!(
            "`ttl_spread` of {spread} percent would lower the `ttl_min` of {} to {}: {} is answered in its place",
            show_duration(*low),
            show_duration(spread_of(*low)),
            show_duration(least),
        );
        let problem = Diagnostic::warning(place.clone(), message).related(low_place.clone(), "the `ttl_min`");
        problems.push(problem.hint(format!("write at most {}, or a longer `ttl_min`", most(*low))));
    }
}

fn read_failback(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Failback> {
    const EXAMPLE: &str = "\"manual\" or `{ after = \"15m\" }`";
    if value.as_text() == Some("manual") {
        return Some(Failback::Manual);
    }
    if !value.is_table() {
        problems.push(value.mismatch_words("\"manual\" or a table with `after`", EXAMPLE, &["manual"]));
        return None;
    }
    let mut table = value.table("`failback`", EXAMPLE, problems)?;
    let after = table.setting("after", problems, |value, problems| value.duration(AFTER, problems));
    if !after.is_written() {
        table.missing("after", "write `failback = { after = \"15m\" }`", problems);
    }
    table.close(problems);
    after.good().map(Failback::After)
}

fn read_when_all_down(
    value: &Value<'_>,
    definitions: &mut Definitions<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<WhenAllDown> {
    const EXAMPLE: &str = "\"keep\", \"all\" or `{ region = \"NAME\" }`";
    match value.as_text() {
        Some("keep") => return Some(WhenAllDown::Keep),
        Some("all") => return Some(WhenAllDown::All),
        _ => {}
    }
    if !value.is_table() {
        problems.push(value.mismatch_words("\"keep\", \"all\" or a table with `region`", EXAMPLE, &["keep", "all"]));
        return None;
    }
    let mut table = value.table("`when_all_down`", EXAMPLE, problems)?;
    let region = table.setting("region", problems, |value, problems| definitions.region(value, problems));
    if !region.is_written() {
        table.missing("region", "write `when_all_down = { region = \"NAME\" }`", problems);
    }
    table.close(problems);
    region.good().map(WhenAllDown::Region)
}

/// Each region once; the same answer in two regions is suspicious.
fn check_regions(endpoints: &[EndpointDraft], problems: &mut Vec<Diagnostic>) {
    for (at, endpoint) in endpoints.iter().enumerate() {
        let earlier = &endpoints[..at];
        let Some(region) = &endpoint.region else { continue };
        if let Some(first) = earlier.iter().find(|other| other.region.as_ref() == Some(region)) {
            let message = format!("region `{region}` has two endpoints in this hub, expected one");
            let problem = Diagnostic::error(endpoint.region_place.clone(), message);
            problems.push(problem.related(first.region_place.clone(), "first here").hint("keep one of the two"));
            continue;
        }
        let shared = earlier.iter().find_map(|other| Some((other, shared_answer(endpoint, other)?)));
        if let (Some((other, what)), Some(place)) = (shared, &endpoint.answer_place) {
            let other_region = other.region.as_ref().map(RegionName::as_str).unwrap_or_default();
            let message = format!("{what} is answered for `{region}` and for `{other_region}`");
            let problem = Diagnostic::warning(place.clone(), message);
            let problem = problem.hint("a switch between the two changes nothing: write each region's own");
            problems.push(match &other.answer_place {
                Some(first) => problem.related(first.clone(), "the other one"),
                None => problem,
            });
        }
    }
}

fn shared_answer(one: &EndpointDraft, other: &EndpointDraft) -> Option<String> {
    match (one.answer.as_ref()?, other.answer.as_ref()?) {
        (Answer::Cname(one), Answer::Cname(other)) if one == other => Some(format!("the target `{one}`")),
        (Answer::Addresses(one), Answer::Addresses(other)) => {
            one.iter().find(|address| other.contains(address)).map(|address| format!("the address {address}"))
        }
        (Answer::Rrsets(one), Answer::Rrsets(other)) if one == other => Some("the same set of records".into()),
        (Answer::Hub(one), Answer::Hub(other)) if one == other => Some(format!("the hub `{one}`")),
        _ => None,
    }
}

fn check_when_all_down(
    endpoints: &[EndpointDraft],
    when_all_down: &Setting<WhenAllDown>,
    stateless: bool,
    problems: &mut Vec<Diagnostic>,
) {
    match when_all_down.placed() {
        // Each query is answered with one of them.
        Some((WhenAllDown::All, _)) if stateless => {}
        Some((WhenAllDown::All, place)) => {
            let other = endpoints.iter().find(|endpoint| {
                endpoint.answer.as_ref().is_some_and(|answer| !matches!(answer, Answer::Addresses(_)))
            });
            if let Some(other) = other {
                let message = "`when_all_down` is \"all\", which needs `addresses` in every endpoint";
                let problem = Diagnostic::error(place.clone(), message);
                let problem = problem.hint("write \"keep\", or `{ region = \"NAME\" }` for an endpoint of last resort");
                problems.push(match &other.answer_place {
                    Some(place) => problem.related(place.clone(), "this endpoint has none"),
                    None => problem,
                });
            }
        }
        Some((WhenAllDown::Region(region), place)) => {
            let regions: Option<Vec<_>> = endpoints.iter().map(|endpoint| endpoint.region.as_ref()).collect();
            if let Some(regions) = regions
                && !regions.is_empty()
                && !regions.contains(&region)
            {
                let message = format!("`when_all_down` names region `{region}`, in which this hub has no endpoint");
                let names: Vec<_> = regions.iter().map(|region| region.as_str()).collect();
                let hint = format!("write {}", crate::document::one_of(names));
                problems.push(Diagnostic::error(place.clone(), message).hint(hint));
            }
        }
        Some((WhenAllDown::Keep, _)) | None => {}
    }
}
