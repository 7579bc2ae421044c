//! The state as operators see it: measured and effective side by side.

use super::mark;
use super::reason;
use super::report::{
    Condition, Effective, EndpointStatus, HoldStatus, HubStatus, MarkStatus, ObservationStatus, ProberStatus, Status,
    ZoneStatus,
};
use super::state::State;
use crate::health::Health;
use crate::policy::{Answer, Endpoint, Hub, MarkKind};
use crate::time::Timestamp;
use crate::zone::display_rdata;

impl State {
    /// The state of everything.
    pub fn status(&self, now: Timestamp) -> Status {
        let stalled = self.watches.values().filter(|watch| watch.stalled).count() as u64;
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            now,
            started: self.started,
            generation: 0,
            hubs: self.policy.hubs.values().map(|hub| self.hub_status(hub, now)).collect(),
            zones: self.content.zones().iter().map(|z| ZoneStatus { apex: z.apex.clone(), serial: z.serial }).collect(),
            names: self.content.counts().names as u64,
            records: self.content.counts().records as u64,
            marks: self
                .marks
                .iter()
                .map(|(target, mark)| MarkStatus { target: target.clone(), mark: mark.clone() })
                .collect(),
            reload: self.reload.clone(),
            probers: ProberStatus { running: self.watches.len() as u64, stalled, restarts: self.prober_restarts },
            totals: self.totals.clone(),
        }
    }

    pub(super) fn hub_status(&self, hub: &Hub, now: Timestamp) -> HubStatus {
        let endpoints: Vec<_> = hub.endpoints.iter().map(|endpoint| self.endpoint_status(hub, endpoint, now)).collect();
        // Every hub of the policy has a standing: `State::new` and every load give it one before anything is answered.
        let standing = self.standings.get(&hub.name);
        let active = standing.and_then(|standing| hub.position(&standing.active)).unwrap_or(0);
        let all = standing.is_some_and(|standing| standing.all);
        let hold = self.holds.get(&hub.name);
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
        let answer = match all {
            true => endpoints.iter().flat_map(|endpoint| endpoint.answer.iter().cloned()).collect(),
            false => endpoints[active].answer.clone(),
        };
        HubStatus {
            name: hub.name.clone(),
            active: hub.endpoints[active].region.clone(),
            epoch: standing.map_or(0, |standing| standing.epoch),
            since: standing.map_or(now, |standing| standing.since),
            cause: standing.map_or(crate::policy::Cause::Start, |standing| standing.cause),
            reason: standing.map(|standing| standing.reason.clone()).unwrap_or_default(),
            condition,
            all,
            ttl: hub.ttl.as_secs(),
            answer,
            hold: hold.map(|hold| HoldStatus {
                wanted: hold.wanted.clone(),
                until: hold.until,
                reason: reason::hold(hold, now),
            }),
            endpoints,
        }
    }

    fn endpoint_status(&self, hub: &Hub, endpoint: &Endpoint, now: Timestamp) -> EndpointStatus {
        let view = self.view(hub, endpoint, now);
        let watch = self.watch(endpoint);
        let effective = match view.mark {
            Some(MarkKind::Drain) => Effective::Drained,
            _ if view.eligible() => Effective::Eligible,
            _ => Effective::NotEligible,
        };
        let target = |holding: &mark::Mark| {
            self.marks.iter().find(|(_, mark)| std::ptr::eq(*mark, holding)).map(|(target, _)| target.clone())
        };
        let mark = mark::holding(&self.marks, &hub.name, &endpoint.region)
            .and_then(|mark| Some(MarkStatus { target: target(mark)?, mark: mark.clone() }));
        EndpointStatus {
            region: endpoint.region.clone(),
            active: self.standings.get(&hub.name).is_some_and(|standing| standing.active == endpoint.region),
            answer: presentation(&endpoint.answer),
            probe: endpoint.probe.as_ref().map(ToString::to_string),
            measured: watch.map_or(Health::Unknown, |watch| watch.machine.health()),
            measured_since: watch.and_then(|watch| watch.machine.since()),
            effective,
            observed: watch.and_then(|watch| watch.last.as_ref()).map(|last| ObservationStatus {
                at: last.at,
                latency_ms: last.latency.as_secs_f64() * 1e3,
                failure: last.failure.clone(),
                in_a_row: last.in_a_row,
            }),
            stalled: watch.is_some_and(|watch| watch.stalled),
            mark,
            reason: self.endpoint_reason(hub, endpoint, now),
        }
    }
}

/// Each record as type and RDATA.
fn presentation(answer: &Answer) -> Vec<String> {
    let record = |rtype, rdata: &[u8]| format!("{rtype} {}", display_rdata(rtype, rdata));
    answer
        .rrsets()
        .iter()
        .flat_map(|rrset| rrset.rdatas.iter().map(|rdata| record(rrset.rtype, rdata)).collect::<Vec<_>>())
        .collect()
}
