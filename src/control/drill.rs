//! Drills: one endpoint of a canary counts as dark, and everything else is as in a real failure.
//!
//! Every real observation of the endpoint's target, whatever it saw, is a failed one to a [`Machine`] of the drill's own,
//! and decisions about the canary take that machine in the place of the real one. Nobody else sees it: the real machine
//! goes on with what is really observed, for status, store, sight and all other hubs on the same target. The real prober
//! keeps the slow pace of what is good, so that while the drill's machine is not settled the next observation is asked for
//! after `confirm`, as the prober of a real failure would.
//!
//! A drill is in memory alone: a restart ends it, and so does a load. It is given up by itself at its time. One that was
//! ended stays ended, even where the store could not write so.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{CommandError, Level, LogLine};
use super::layout::HubAt;
use super::reason;
use super::report::AuditKind;
use super::state::State;
use super::turn::{Pending, Turn};
use crate::dns::Name;
use crate::health::machine::Machine;
use crate::health::{Health, Outcome};
use crate::policy::{GateName, OnFenceFailure, OnShut, Probe, RegionName, Seen};
use crate::time::{Timestamp, human};

/// As long as a drill may be at most.
pub const LONGEST: Duration = Duration::from_mins(15);

/// One canary's drill.
#[derive(Clone, Debug)]
pub(super) struct Drill {
    /// Position of the endpoint that counts as dark.
    endpoint: u32,
    /// Position of what watches it.
    target: u32,
    pub(super) machine: Machine,
    started: Timestamp,
    until: Timestamp,
    author: String,
    reason: String,
    /// When the first observation that counts as failed was complete.
    pub(super) failing: Option<Timestamp>,
    /// Whether that counts as seen while this node was known to see.
    pub(super) confirmed: bool,
    /// Observations that count as failed so far.
    failed: u32,
    /// When an observation was last good, before the drill.
    pub(super) seen_good: Option<Timestamp>,
    /// When health became `down`.
    down: Option<Timestamp>,
    /// When the next observation is asked for.
    look: Option<Timestamp>,
}

impl Drill {
    /// As [`Watch::unsettled`](super::state::Watch::unsettled).
    pub(super) fn unsettled(&self) -> bool {
        self.failing.is_some() || self.machine.contradicts()
    }

    /// When it began.
    pub(super) fn started(&self) -> Timestamp {
        self.started
    }

    /// Those before and after a time of blindness are not added up.
    fn begin_anew(&mut self) {
        self.machine.begin_anew();
        (self.failing, self.confirmed, self.look) = (None, false, None);
    }

    /// `weu counts as dark for a drill by alice (quarterly), and as down`.
    pub(super) fn sentence(&self, region: &RegionName) -> String {
        let Self { author, reason, .. } = self;
        let health = match self.machine.health() {
            Health::Down => "and so as down".to_owned(),
            health => format!("and is still {}: {} failed in a row", health.word(), self.failed),
        };
        format!("{region} counts as dark for a drill by {author} ({reason}), {health}")
    }
}

/// A drill that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillStatus {
    /// The region that counts as dark.
    pub region: RegionName,
    /// Who drills.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it began.
    pub started: Timestamp,
    /// When it is given up by itself.
    pub until: Timestamp,
    /// What the region's endpoint counts as.
    pub health: Health,
    /// Observations that count as failed so far.
    pub failed: u64,
    /// When the first of them was complete.
    pub failing_since: Option<Timestamp>,
    /// When the endpoint began to count as down.
    pub down_since: Option<Timestamp>,
    /// It in a sentence.
    pub sentence: String,
    /// What the policy allows at worst.
    pub worst: WorstCase,
    /// The hub's recovery time objective, milliseconds.
    pub rto_ms: Option<u64>,
}

/// How long the policy allows a failover to take at worst, from the failure to the last resolver that keeps to the TTL.
/// Milliseconds. Dwell, budget and flap limit are not in it, nor a second failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorstCase {
    /// From the failure to the verdict of the probe.
    pub detection_ms: u64,
    /// From the failure to a failed observation after a reference was reached since the first one; 0 without references.
    pub sight_ms: u64,
    /// For gates that are shut and are passed after a time.
    pub gates_ms: u64,
    /// Gates that hold the move for as long as they are shut.
    pub held_by: Vec<GateName>,
    /// For a good look at the region that takes over.
    pub look_ms: u64,
    /// For the region that is left to acknowledge it.
    pub fence_ms: u64,
    /// Whether it holds the move for as long as it does not.
    pub fence_holds: bool,
    /// From the switch to the end of the last answer before it.
    pub ttl_ms: u64,
    /// All of it: verdict and sight side by side, the rest one after the other, the TTL being the low one where there are
    /// two; or the full TTL of an answer just before the first failed observation, where that is longer.
    pub total_ms: u64,
}

impl WorstCase {
    /// From the failure to the switch, milliseconds.
    pub fn switch_ms(&self) -> u64 {
        self.detection_ms.max(self.sight_ms) + self.gates_ms + self.look_ms + self.fence_ms
    }
}

impl State {
    /// Begins a drill of a canary: its endpoint in a region, or in the active one, counts as dark.
    pub(super) fn begin_drill(
        &mut self,
        hub: &Name,
        region: Option<&RegionName>,
        within: Option<Duration>,
        why: &str,
        turn: &mut Turn,
    ) -> Result<Pending, CommandError> {
        let refuse = |sentence: String| Err(CommandError::Refused(sentence));
        let (layout, now) = (self.layout.clone(), turn.now);
        let position = self.moving_position_of(hub)?;
        let at = &layout.hubs[position];
        let name = &at.hub.name;
        if !at.hub.canary {
            return refuse(format!(
                "{name} is no canary, and a drill moves no other hub: write `canary = true` in a hub that devices do \
                 not need"
            ));
        }
        let Some(active) = self.stands.active(position) else {
            return refuse(format!("{name} has no active region yet"));
        };
        let answered = layout.region_of(at, active);
        let region = region.unwrap_or(answered);
        let Some(dark) = at.hub.position(region) else {
            let known: Vec<_> = at.hub.endpoints.iter().map(|endpoint| endpoint.region.as_str()).collect();
            let what = format!("endpoint of {name} in");
            return Err(CommandError::NotFound(super::commands::unknown(&what, region.as_str(), &known)));
        };
        if dark != active {
            return refuse(format!(
                "{name} answers {answered}: that {region} goes dark would move nothing, and a drill is of the active \
                 region"
            ));
        }
        if let Some(drill) = self.drills.get(&(position as u32)) {
            let (author, until) = (&drill.author, drill.until);
            return refuse(format!("{name} is being drilled by {author} already, until {until} at the latest"));
        }
        if let Some(open) = self.known.moves.get(&at.id).filter(|open| open.stage.is_open()) {
            return refuse(format!("{}; a drill waits for its end", open.sentence(&at.hub, now)));
        }
        if self.look.sight.blind {
            return refuse("this node is blind, and nothing moves by health".into());
        }
        let endpoint = at.endpoints().start + active;
        let (view, truth) = (self.view(endpoint, now), self.endpoint_reason(at, endpoint, now));
        let (Some(target), Some(watch)) = (layout.endpoints[endpoint].target, self.watch(layout.endpoints[endpoint]))
        else {
            return refuse(format!("{truth}, and would never be found dark"));
        };
        if view.mark.is_some() || view.health != Health::Up || self.is_silent(target) {
            return refuse(format!("a drill begins with an active region that is up and not marked: {truth}"));
        }
        let mut machine = watch.machine.clone();
        // A failure that was just seen is none of the drill's.
        machine.begin_anew();
        let until = now.after(within.unwrap_or(LONGEST).min(LONGEST));
        let drill = Drill {
            endpoint: endpoint as u32,
            target,
            machine,
            started: now,
            until,
            author: turn.author.name.clone(),
            reason: why.into(),
            failing: None,
            confirmed: false,
            failed: 0,
            seen_good: watch.last_good,
            down: None,
            look: None,
        };
        let by = &drill.author;
        let summary =
            format!("{name}: {region} counts as dark until {until} at the latest, for a drill by {by} ({why})");
        let record = turn.audit(AuditKind::Drill, name.to_string(), &summary);
        (record.before, record.after) = (None, Some("begun".into()));
        say(turn, Level::Warn, at, Some(region), summary.clone());
        Arc::make_mut(&mut self.drills).insert(position as u32, drill);
        turn.touched.push(position as u32);
        Ok(Pending::Moved { summary, changed: true })
    }

    /// Ends the drill of a hub, when an operator says so.
    pub(super) fn command_end_drill(
        &mut self,
        hub: &Name,
        why: &str,
        turn: &mut Turn,
    ) -> Result<Pending, CommandError> {
        let layout = self.layout.clone();
        let position = self.moving_position_of(hub)?;
        let at = &layout.hubs[position];
        let why = format!("ended by {} ({why})", turn.author.name);
        Ok(match self.end_drill(position as u32, &why, turn) {
            Some(summary) => {
                turn.touched.push(position as u32);
                Pending::Moved { summary, changed: true }
            }
            None => Pending::Moved { summary: format!("{} is not being drilled", at.hub.name), changed: false },
        })
    }

    /// Takes a drill away: what is really observed counts again.
    fn end_drill(&mut self, position: u32, why: &str, turn: &mut Turn) -> Option<String> {
        let drill = Arc::make_mut(&mut self.drills).remove(&position)?;
        let layout = self.layout.clone();
        let at = layout.hubs.get(position as usize)?;
        let region = &layout.regions[layout.endpoints.get(drill.endpoint as usize)?.region as usize];
        let lasted = human(turn.now.since(drill.started));
        let name = &at.hub.name;
        let sentence = format!("{name}: the drill of {region} by {} is over after {lasted}: {why}", drill.author);
        let record = turn.audit(AuditKind::Drill, name.to_string(), &sentence);
        (record.before, record.after) = (Some("begun".into()), Some("ended".into()));
        say(turn, Level::Info, at, Some(region), sentence.clone());
        Some(sentence)
    }

    /// Before zones and policy are exchanged: what a drill would show from here on would be of neither.
    pub(super) fn end_drills(&mut self, turn: &mut Turn) {
        let drilled: Vec<u32> = self.drills.keys().copied().collect();
        for position in drilled {
            self.end_drill(position, "zones and policy were loaded anew", turn);
        }
    }

    /// Asks for the observations that are due, and gives up what has gone on for too long.
    pub(super) fn advance_drills(&mut self, turn: &mut Turn) {
        let now = turn.now;
        if self.drills_wake().is_none_or(|wake| wake > now) {
            return;
        }
        let over: Vec<u32> =
            self.drills.iter().filter(|(_, drill)| drill.until <= now).map(|(position, _)| *position).collect();
        for position in over {
            let author = std::mem::replace(&mut turn.author, super::event::Author::daemon());
            self.end_drill(position, "it was given up at its time", turn);
            turn.author = author;
            turn.touched.push(position);
        }
        for drill in Arc::make_mut(&mut self.drills).values_mut() {
            if drill.look.take_if(|look| *look <= now).is_some() {
                turn.looks.insert(drill.target);
            }
        }
    }

    /// When the next drill has something to do.
    pub(super) fn drills_wake(&self) -> Option<Timestamp> {
        self.drills.values().flat_map(|drill| drill.look.into_iter().chain([drill.until])).min()
    }

    /// The drill of the endpoint at a position.
    pub(super) fn drilled(&self, endpoint: usize) -> Option<&Drill> {
        // Mostly there is none at all.
        self.drills.values().find(|drill| drill.endpoint as usize == endpoint)
    }

    /// After a real observation of a target, which was complete at a moment and took so long: whatever it saw, it counts
    /// as failed to the drills of the target. One that began before the drill says nothing of it.
    pub(super) fn observe_drills(&mut self, target: usize, complete: Timestamp, latency: Duration, turn: &mut Turn) {
        let mine = |drill: &&mut Drill| drill.target as usize == target;
        if !self.drills.values().any(|drill| drill.target as usize == target) {
            return;
        }
        let (layout, blind) = (self.layout.clone(), self.look.sight.blind);
        let seen = match self.look.sight.seen {
            Seen::At(seen) => Some(seen),
            Seen::NoReference | Seen::NotYet => None,
        };
        let probe = self.watches[target].probe.clone();
        let began = Timestamp(complete.0.saturating_sub(millis(latency)));
        for (position, drill) in Arc::make_mut(&mut self.drills) {
            let Some(drill) = Some(drill).filter(mine).filter(|drill| began >= drill.started) else { continue };
            let at = &layout.hubs[*position as usize];
            let (unsettled, before) = (drill.unsettled(), drill.machine.health());
            let confirmed = drill.confirmed;
            drill.failed = drill.failed.saturating_add(1);
            let since = *drill.failing.get_or_insert(complete);
            let region = &layout.regions[layout.endpoints[drill.endpoint as usize].region as usize];
            // While this node is blind, nothing that fails counts.
            if !blind {
                let words = format!("drill: {region} counts as dark since {}", drill.started);
                drill.machine.observe(&probe, &Outcome::Failed(words), complete);
            }
            // As `confirm` does for what really fails.
            drill.confirmed |= match layout.references.is_empty() {
                false => seen.is_some_and(|seen| seen >= since),
                true => drill.machine.failed_in_a_row() >= u32::from(probe.fall.get()),
            };
            drill.look = drill.machine.contradicts().then(|| began.after(probe.confirm));
            let after = drill.machine.health();
            if before != after {
                drill.down = Some(complete);
                let subject = format!("{}: {region}", at.hub.name);
                let detail = format!("{} failed in a row, for a drill by {}", drill.failed, drill.author);
                let sentence = reason::health(&subject, before, after, &detail);
                let record = turn.audit_by_daemon(AuditKind::Drill, at.hub.name.to_string(), &sentence);
                (record.before, record.after) = (Some(before.word().into()), Some(after.word().into()));
                say(turn, Level::Warn, at, Some(region), sentence);
            }
            if before != after
                || confirmed != drill.confirmed
                || (unsettled != drill.unsettled() && at.rules.adaptive_ttl)
            {
                turn.touched.push(*position);
            }
        }
    }

    /// When sight comes back.
    pub(super) fn begin_drills_anew(&mut self) {
        if !self.drills.is_empty() {
            Arc::make_mut(&mut self.drills).values_mut().for_each(Drill::begin_anew);
        }
    }

    /// The drill of a hub as operators see it.
    pub(super) fn drill_status(&self, position: usize, at: &HubAt) -> Option<DrillStatus> {
        let drill = self.drills.get(&(position as u32))?;
        let dark = drill.endpoint as usize - at.endpoints().start;
        let region = self.layout.region_of(at, dark);
        Some(DrillStatus {
            region: region.clone(),
            author: drill.author.clone(),
            reason: drill.reason.clone(),
            started: drill.started,
            until: drill.until,
            health: drill.machine.health(),
            failed: drill.failed.into(),
            failing_since: drill.failing,
            down_since: drill.down,
            sentence: drill.sentence(region),
            worst: self.worst_case(at, dark, &self.watches.get(drill.target as usize)?.probe),
            rto_ms: at.hub.rto.map(millis),
        })
    }

    /// What the policy allows a failover from one endpoint to take, if the first of the others takes over.
    fn worst_case(&self, at: &HubAt, dark: usize, probe: &Probe) -> WorstCase {
        let (hub, layout) = (&at.hub, &self.layout);
        let first_look = |probe: &Probe| probe.interval.mul_f64(1.1) + probe.timeout;
        let watch = |target: u32| self.watches.get(target as usize).map(|watch| &watch.probe);
        let references = layout.references.iter().filter_map(|target| watch(*target));
        // The failure is seen, then a reference is reached, and then it is seen once more.
        let sight = references.map(|reference| first_look(reference)).max().map(|wait| 2 * first_look(probe) + wait);
        let detection = probe.worst_detection();
        let to = (0..hub.endpoints.len()).find(|to| *to != dark);
        let takes_over = to.and_then(|to| watch(layout.endpoints_of(at)[to].target?));
        // A look that is good is over within the probe's timeout.
        let look = takes_over.map_or(Duration::ZERO, |probe| probe.timeout);
        let concerned = hub.gates.iter().filter(|used| {
            let direction = if to < Some(dark) { used.on_failback } else { used.on_failover };
            let there = |only: &RegionName| to.is_some_and(|to| hub.endpoints[to].region == *only);
            direction && used.to.as_ref().is_none_or(there)
        });
        let (mut gates, mut held_by) = (Duration::ZERO, Vec::new());
        for used in concerned {
            match used.on_shut {
                OnShut::Hold => held_by.push(used.gate.clone()),
                OnShut::ProceedAfter(after) => gates = gates.max(after),
            }
        }
        let (fence, fence_holds) = match &hub.fence {
            Some(fence) => (fence.timeout, fence.on_failure == OnFenceFailure::Stop),
            None => (Duration::ZERO, false),
        };
        let switched = detection.max(sight.unwrap_or_default()) + gates + look + fence;
        // What a resolver took just before the first failed observation it keeps for the whole TTL.
        let total = (switched + hub.ttl_min).max(first_look(probe) + hub.ttl);
        WorstCase {
            detection_ms: millis(detection),
            sight_ms: sight.map_or(0, millis),
            gates_ms: millis(gates),
            held_by,
            look_ms: millis(look),
            fence_ms: millis(fence),
            fence_holds,
            ttl_ms: millis(hub.ttl),
            total_ms: millis(total),
        }
    }
}

fn say(turn: &mut Turn, level: Level, at: &HubAt, region: Option<&RegionName>, sentence: String) {
    let line = LogLine::new(level, "drill", sentence);
    turn.log.push(LogLine { hub: Some(at.hub.name.clone()), region: region.cloned(), ..line });
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
