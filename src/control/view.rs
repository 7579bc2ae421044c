//! The state as operators see it: measured and effective side by side.
//!
//! What is shown is worked out from a [`View`], on the thread of whoever asks. The control loop's part is to hand it out:
//! a dozen pointers. So a status or a scrape of ten thousand hubs takes as long as it takes, and delays no mark by more
//! than the copy of the lists that the mark changes while they are being read.

use super::layout::HubAt;
use super::report::no_region;
use super::report::{
    BudgetStatus, Condition, DatabasesStatus, Effective, EndpointStatus, EvidenceStatus, Explanation, GateStatus,
    HoldStatus, HubStatus, LACKS_LISTED, LackStatus, MarkStatus, MoveStatus, ObservationStatus, ProberStatus,
    ReloadStatus, RemarkStatus, ShadowStatus, SightStatus, Status, TurnStatus, WindowStatus, ZoneStatus,
};
use super::state::State;
use std::net::IpAddr;
use std::time::Duration;

use crate::dns::{Name, Rtype};
use crate::health::Health;
use crate::policy::usable::every;
use crate::policy::{
    Answer, Gate, GateUse, MarkKind, OnShut, ProbeTarget, RegionName, Seen, Selection, Standing, budget_ends,
};
use crate::time::{Lived, Timestamp};
use crate::zone::display_rdata;

/// The state of one moment, that of the control loop when it was asked.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) state: State,
    pub(super) now: Timestamp,
    pub(super) generation: u64,
    pub(super) turn: TurnStatus,
}

impl View {
    /// The state of everything.
    pub fn status(&self) -> Status {
        Status { generation: self.generation, turn: self.turn, ..self.state.status(self.now) }
    }

    /// The clock when this was handed out.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The regions that a hub has endpoints in; `None` when it is no hub.
    pub fn regions(&self, hub: &Name) -> Option<Vec<RegionName>> {
        let hub = self.state.policy.hubs.get(hub)?;
        Some(hub.endpoints.iter().map(|endpoint| endpoint.region.clone()).collect())
    }

    /// The state of one hub.
    pub fn hub(&self, name: &Name) -> Option<HubStatus> {
        let position = self.state.layout.position(name)?;
        Some(self.state.hub_status(position, &self.state.layout.hubs[position], self.now))
    }

    /// The last switches of a hub, newest first, at most so many: the epochs that began with them, and when.
    pub fn switches(&self, hub: &Name, most: usize) -> Vec<(u64, Timestamp)> {
        let Some(standing) = self.state.standing(hub) else { return Vec::new() };
        let epochs = (0..).map_while(|ago| standing.epoch.checked_sub(ago));
        // The first epoch began with a choice and no switch.
        let switches = epochs.take_while(|epoch| *epoch > 1).zip(standing.recent.iter().rev());
        switches.map(|(epoch, switch)| (epoch, switch.at)).take(most).collect()
    }

    /// Explains the answer to a query for `name` and `rtype` from a client, or from this machine. Without a type, a hub is
    /// asked for what it answers, and every other name for A.
    ///
    /// # Errors
    /// When what is answered could not be published, which would be a defect.
    pub fn explain(&self, name: &Name, rtype: Option<Rtype>, from: Option<IpAddr>) -> Result<Explanation, String> {
        self.state.explain(name, rtype, from, self.now)
    }
}

impl State {
    /// What holds a move of a hub at this moment: the word for it, and the sentence.
    pub fn held(&self, hub: &Name, now: Timestamp) -> Option<(&'static str, String)> {
        let position = self.layout.position(hub)?;
        let hold = self.holds.get(&(position as u32))?;
        Some((hold.waiting.word(), self.hold_sentence(&self.layout.hubs[position], hold, now)))
    }

    /// The state of everything; the generation of the snapshot is the publisher's to say.
    pub fn status(&self, now: Timestamp) -> Status {
        let stalled = self.watches.iter().filter(|watch| watch.stalled).count() as u64;
        let unable = self.watches.iter().filter(|watch| watch.unable.is_some()).count() as u64;
        let watched = self.layout.targets.iter().zip(self.watches.iter());
        let remarked = watched.filter(|(_, watch)| watch.note.is_some() || watch.expires.is_some());
        let remarks = remarked.map(|(target, watch)| RemarkStatus {
            probe: target.probe.clone(),
            target: target.target.to_string(),
            note: watch.note.as_ref().map(ToString::to_string),
            expires: watch.expires,
        });
        let watched = self.layout.targets.iter().zip(self.watches.iter());
        let lacks = watched.filter_map(|(target, watch)| {
            let (probe, lack) = (target.probe.clone(), watch.unable.as_ref()?.to_string());
            Some(LackStatus { probe, target: target.target.to_string(), lack })
        });
        let running = self.watches.len() as u64;
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            now,
            started: self.started,
            generation: 0,
            hubs: self
                .layout
                .hubs
                .iter()
                .enumerate()
                .map(|(position, at)| self.hub_status(position, at, now))
                .collect(),
            zones: self.content.zones().iter().map(|z| ZoneStatus { apex: z.apex.clone(), serial: z.serial }).collect(),
            names: self.content.counts().names as u64,
            records: self.content.counts().records as u64,
            marks: self
                .marks
                .iter()
                .map(|(target, mark)| MarkStatus { target: target.clone(), mark: mark.clone() })
                .collect(),
            windows: self
                .known
                .windows
                .iter()
                .map(|(id, window)| WindowStatus { id: id.clone(), window: window.clone() })
                .collect(),
            gates: self.layout.gates.iter().map(|gate| self.evidence_status(gate, now)).collect(),
            sight: SightStatus {
                blind: self.look.sight.blind,
                since: self.look.since,
                references: self.layout.references.len() as u64,
                seen: match self.look.sight.seen {
                    Seen::At(at) => Some(at),
                    Seen::NoReference | Seen::NotYet => None,
                },
            },
            reload: ReloadStatus::clone(&self.reload),
            probers: ProberStatus { running, stalled, unable, restarts: self.prober_restarts },
            remarks: remarks.collect(),
            // It is not of the one writer: who shows the status knows it.
            certificate: None,
            lacks: lacks.take(LACKS_LISTED).collect(),
            databases: (!self.stamps.0.is_empty()).then(|| DatabasesStatus::clone(&self.databases)),
            turn: TurnStatus::default(),
            totals: self.totals.clone(),
        }
    }

    pub(super) fn hub_status(&self, position: usize, at: &HubAt, now: Timestamp) -> HubStatus {
        let hub = &at.hub;
        // Every hub of the policy has a standing: `State::new` and every load give it one before anything is answered.
        let standing = self.stands.of(at.id);
        let active = self.stands.active(position);
        let endpoints: Vec<_> = (0..hub.endpoints.len())
            .map(|endpoint| EndpointStatus {
                active: active == Some(endpoint),
                ..self.endpoint_status(at, endpoint, now)
            })
            .collect();
        if at.stateless {
            return self.stateless_status(at, endpoints, now);
        }
        let active = active.unwrap_or(0);
        let all = standing.is_some_and(|standing| standing.all);
        let hold = self.holds.get(&(position as u32));
        let eligible = |endpoint: &EndpointStatus| endpoint.effective == Effective::Eligible;
        let condition = if !endpoints.iter().any(eligible) {
            Condition::AllDown
        } else if !eligible(&endpoints[active]) {
            Condition::Held
        } else if endpoints.iter().all(eligible) {
            Condition::Ok
        } else {
            Condition::Degraded
        };
        let low_ttl = at.choice.and_then(|choice| self.choices().get(choice)).is_some_and(|choice| choice.low_ttl);
        let planned = self.known.moves.get(&at.id);
        let answer = match all {
            true => endpoints.iter().flat_map(|endpoint| endpoint.answer.iter().cloned()).collect(),
            false => endpoints[active].answer.clone(),
        };
        HubStatus {
            name: hub.name.clone(),
            policy: hub.selection.word().into(),
            usable: Vec::new(),
            active: hub.endpoints[active].region.clone(),
            epoch: standing.map_or(0, |standing| standing.epoch),
            since: standing.map_or(now, |standing| standing.since),
            cause: standing.map_or(crate::policy::Cause::Start, |standing| standing.cause),
            reason: standing.map(|standing| standing.reason.to_string()).unwrap_or_default(),
            condition,
            all,
            ttl: if low_ttl { hub.ttl_min.as_secs() } else { hub.ttl.as_secs() },
            low_ttl,
            answer,
            hold: hold.map(|hold| {
                let wanted = &hub.endpoints[hold.wanted].region;
                let waiting = hold.waiting.word().into();
                let reason = self.hold_sentence(at, hold, now);
                HoldStatus { wanted: wanted.clone(), waiting, since: hold.since, until: hold.until, reason }
            }),
            gates: hub.gates.iter().zip(&at.gates).map(|(used, gate)| self.gate_status(at, used, *gate, now)).collect(),
            planned: planned
                .map(|planned| MoveStatus { sentence: planned.sentence(hub, now), planned: planned.clone() }),
            pinned: self.is_pinned(at),
            budget: standing.and_then(|standing| budget_status(at, standing, &self.lived, now)),
            overrides: self.known.overrides.get(&at.id).map(|over| over.entries.clone()).unwrap_or_default(),
            notices: self.notices(at).cloned().collect(),
            drill: self.drill_status(position, at),
            endpoints,
        }
    }

    /// A hub without an active region.
    fn stateless_status(&self, at: &HubAt, mut endpoints: Vec<EndpointStatus>, now: Timestamp) -> HubStatus {
        let hub = &at.hub;
        let set = self.usable_set(at.id);
        let usable = self.usable_of(at);
        let mask = usable.map_or(0, |usable| usable.mask);
        for (which, endpoint) in endpoints.iter_mut().enumerate() {
            endpoint.usable = mask >> which & 1 == 1;
            endpoint.weight = (hub.selection == Selection::Weighted).then(|| hub.endpoints[which].weight);
        }
        let condition = match usable {
            Some(usable) if usable.all_down => Condition::AllDown,
            Some(usable) if usable.mask == every(hub.endpoints.len()) => Condition::Ok,
            _ => Condition::Degraded,
        };
        let low_ttl = at.choice.and_then(|choice| self.choices().get(choice)).is_some_and(|choice| choice.low_ttl);
        let usable = || endpoints.iter().filter(|endpoint| endpoint.usable);
        HubStatus {
            name: hub.name.clone(),
            policy: hub.selection.word().into(),
            active: no_region(),
            usable: usable().map(|endpoint| endpoint.region.clone()).collect(),
            epoch: 0,
            since: set.map_or(now, |set| set.since),
            cause: crate::policy::Cause::Start,
            reason: set.map(|set| set.reason.clone()).unwrap_or_default(),
            condition,
            all: false,
            ttl: if low_ttl { hub.ttl_min.as_secs() } else { hub.ttl.as_secs() },
            low_ttl,
            answer: usable().flat_map(|endpoint| endpoint.answer.iter().cloned()).collect(),
            hold: None,
            gates: Vec::new(),
            planned: None,
            pinned: false,
            budget: None,
            overrides: Vec::new(),
            notices: Vec::new(),
            drill: None,
            endpoints,
        }
    }

    fn gate_status(&self, at: &HubAt, used: &GateUse, gate: u32, now: Timestamp) -> GateStatus {
        let gate = &self.layout.gates[gate as usize];
        let state = self.gate_state(gate, at, now);
        GateStatus {
            gate: gate.name.clone(),
            kind: gate.kind.word().into(),
            on_failover: used.on_failover,
            on_failback: used.on_failback,
            to: used.to.clone(),
            proceed_after_ms: match used.on_shut {
                OnShut::Hold => None,
                OnShut::ProceedAfter(after) => Some(millis(after)),
            },
            open: state.open,
            evidence: state.sentence,
            at: state.at,
        }
    }

    fn evidence_status(&self, gate: &Gate, now: Timestamp) -> EvidenceStatus {
        let evidence = self.evidence.get(&gate.name);
        EvidenceStatus {
            gate: gate.name.clone(),
            kind: gate.kind.word().into(),
            open: evidence.is_some_and(|evidence| evidence.open && now.since(evidence.at) <= gate.max_age),
            evidence: evidence.map(|evidence| evidence.sentence.to_string()),
            at: evidence.map(|evidence| evidence.at),
            max_age_ms: millis(gate.max_age),
        }
    }

    fn shadow_status(&self, endpoint: usize, shadow: &ProbeTarget, now: Timestamp) -> ShadowStatus {
        /// How far back its falls are counted.
        const WEEK: Duration = Duration::from_hours(7 * 24);
        let target = self.layout.endpoints[endpoint].shadow;
        let watch = target.and_then(|target| self.watches.get(target as usize));
        let falls = self.shadow_falls.get(&(endpoint as u32)).into_iter().flatten();
        ShadowStatus {
            probe: shadow.to_string(),
            measured: watch.map_or(Health::Unknown, |watch| watch.machine.health()),
            failure: watch.and_then(|watch| watch.last.as_ref()?.failure.as_ref().map(ToString::to_string)),
            stalled: target.is_some_and(|target| self.is_silent(target)),
            unable: target.and_then(|target| self.lacks(target)).map(|lack| lack.to_string()),
            would_have_left: falls.filter(|at| now.since(**at) <= WEEK).count() as u64,
        }
    }

    /// One endpoint of a hub; which is the active one is for the hub to say.
    fn endpoint_status(&self, at: &HubAt, which: usize, now: Timestamp) -> EndpointStatus {
        let (hub, position) = (&at.hub, at.endpoints().start + which);
        let endpoint = &hub.endpoints[which];
        let view = self.view(position, now);
        let watch = self.watch(self.layout.endpoints[position]);
        let target = self.layout.endpoints[position].target;
        let effective = match view.mark {
            Some(MarkKind::Drain) => Effective::Drained,
            _ if view.eligible() => Effective::Eligible,
            _ => Effective::NotEligible,
        };
        let mark = view.mark.and_then(|_| self.holding(&hub.name, &endpoint.region));
        let mark = mark.map(|(target, mark)| MarkStatus { target: target.clone(), mark: mark.clone() });
        EndpointStatus {
            region: endpoint.region.clone(),
            active: false,
            usable: false,
            weight: None,
            answer: presentation(&endpoint.answer),
            probe: endpoint.probe.as_ref().map(ToString::to_string),
            measured: match self.layout.endpoints[position].inner {
                Some(_) => view.health,
                None => watch.map_or(Health::Unknown, |watch| watch.machine.health()),
            },
            measured_since: watch.and_then(|watch| watch.machine.since()),
            effective,
            observed: watch.and_then(|watch| watch.last.as_ref()).map(|last| ObservationStatus {
                at: last.at,
                latency_ms: last.latency.as_secs_f64() * 1e3,
                failure: last.failure.as_ref().map(ToString::to_string),
                in_a_row: last.in_a_row,
            }),
            stalled: target.is_some_and(|target| self.is_silent(target)),
            unable: target.and_then(|target| self.lacks(target)).map(|lack| lack.to_string()),
            note: watch.and_then(|watch| watch.note.as_ref()).map(ToString::to_string),
            mark,
            shadow: endpoint.shadow.as_ref().map(|shadow| self.shadow_status(position, shadow, now)),
            reason: self.endpoint_reason(at, position, now),
        }
    }
}

fn budget_status(at: &HubAt, standing: &Standing, lived: &Lived, now: Timestamp) -> Option<BudgetStatus> {
    let (allowed, period) = at.rules.budget?;
    let used = standing.recent.iter().filter(|switch| lived.after(switch.at, period) > now).count();
    Some(BudgetStatus {
        allowed: u64::from(allowed),
        used: used as u64,
        period_ms: millis(period),
        until: budget_ends(&at.rules, standing, lived, now),
    })
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Each record as type and RDATA.
fn presentation(answer: &Answer) -> Vec<String> {
    if let Answer::Hub(inner) = answer {
        return vec![format!("hub {inner}")];
    }
    let record = |rtype, rdata: &[u8]| format!("{rtype} {}", display_rdata(rtype, rdata));
    answer
        .rrsets()
        .iter()
        .flat_map(|rrset| rrset.rdatas.iter().map(|rdata| record(rrset.rtype, rdata)).collect::<Vec<_>>())
        .collect()
}
