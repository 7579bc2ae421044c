//! Planned moves, gates, acknowledgements and windows.

use std::time::Duration;

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path as UrlPath, Query, State};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Json, Router};

use super::request::{
    AckRequest, ApproveRequest, AuthorAndReason, CancelQuery, ForeseeQuery, MoveRequest, PlanQuery, ReasonRequest,
};
use super::{Answer, Body, Peer, Shared, bad, command, look, marked, owner, who, why};
use crate::answer::snapshot::hub_key;
use crate::control::event::Command;
use crate::control::moves::MoveOptions;
use crate::control::view::View;
use crate::dns::Name;
use crate::policy::GateName;
use crate::serve::Counters;
use crate::serve::resolvers::{Histogram, SWITCHES, SwitchOf, overrun};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/v1/hubs/{hub}/plan", get(plan))
        .route("/v1/hubs/{hub}/failover", post(failover))
        .route("/v1/hubs/{hub}/failback", post(failback))
        .route("/v1/hubs/{hub}/approve", post(approve))
        .route("/v1/hubs/{hub}/move", get(progress).delete(cancel))
        .route("/v1/hubs/{hub}/gates/{gate}", post(ack))
        .route("/v1/hubs/{hub}/acknowledge", post(acknowledge))
        .route("/v1/windows/{id}", delete(close))
        .route("/v1/foresee/{*target}", get(foresee))
}

async fn plan(State(shared): State<Shared>, UrlPath(hub): UrlPath<String>, Query(query): Query<PlanQuery>) -> Answer {
    let PlanQuery { to, epoch, at, until, now, force, break_glass } = query;
    let options = MoveOptions { epoch, at, until, now, force, break_glass: break_glass.map(why).transpose()? };
    let (hub, counters) = (owner(&hub)?, shared.counters.clone());
    look(&shared, move |view| {
        let overrun = measured_overrun(&view, &counters, &hub);
        Ok(Json(view.plan(&hub, to.as_ref(), &options, overrun)?).into_response())
    })
    .await
}

/// How much later than their TTL said 99 of 100 sampled resolvers came back after the last switches of a hub, at most.
fn measured_overrun(view: &View, counters: &Counters, hub: &Name) -> Option<Duration> {
    /// Fewer say nothing of the 99th of a hundred.
    const ENOUGH: u64 = 100;
    let switches = view.switches(hub, SWITCHES).into_iter().map(|(epoch, since)| SwitchOf { epoch, since });
    let switches: Vec<_> = switches.collect();
    let mut all = Histogram::default();
    counters.resolvers().returns(hub_key(hub), &switches).iter().for_each(|returns| all.add(&returns.returned));
    overrun(&all).filter(|_| all.total() >= ENOUGH).map(|overrun| overrun.p99)
}

async fn progress(State(shared): State<Shared>, UrlPath(hub): UrlPath<String>) -> Answer {
    let hub = owner(&hub)?;
    look(&shared, move |view| Ok(Json(view.progress(&hub)?).into_response())).await
}

async fn foresee(
    State(shared): State<Shared>,
    UrlPath(target): UrlPath<String>,
    Query(ForeseeQuery { kind }): Query<ForeseeQuery>,
) -> Answer {
    let target = marked(&target)?;
    look(&shared, move |view| Ok(Json(view.foresee(&target, kind)?).into_response())).await
}

fn options(request: &MoveRequest) -> Result<MoveOptions, super::Problem> {
    let MoveRequest { epoch, at, until, now, force, break_glass, .. } = request.clone();
    let break_glass = break_glass.map(why).transpose()?;
    Ok(MoveOptions { epoch, at, until, now, force, break_glass })
}

async fn failover(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(hub): UrlPath<String>,
    body: Body<MoveRequest>,
) -> Answer {
    let Json(request) = body?;
    let options = options(&request)?;
    let to = request.to.ok_or_else(|| bad("`to` is missing: a region".into()))?;
    let (reason, author) = (why(request.reason)?, who(request.author)?);
    command(&shared, Command::Failover { hub: owner(&hub)?, to, options, reason }, peer.author(author)).await
}

async fn failback(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(hub): UrlPath<String>,
    body: Body<MoveRequest>,
) -> Answer {
    let Json(request) = body?;
    if request.to.is_some() {
        return Err(bad("failback goes to the preferred region: `to` is for failover".into()));
    }
    let options = options(&request)?;
    let (reason, author) = (why(request.reason)?, who(request.author)?);
    command(&shared, Command::Failback { hub: owner(&hub)?, options, reason }, peer.author(author)).await
}

async fn approve(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(hub): UrlPath<String>,
    body: Body<ApproveRequest>,
) -> Answer {
    let Json(ApproveRequest { epoch, author }) = body?;
    let author = who(author)?;
    command(&shared, Command::Approve { hub: owner(&hub)?, epoch }, peer.author(author)).await
}

async fn cancel(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(hub): UrlPath<String>,
    Query(CancelQuery { epoch, author, reason }): Query<CancelQuery>,
) -> Answer {
    let reason = why(reason.unwrap_or_else(|| "no reason given".into()))?;
    let author = who(author)?;
    command(&shared, Command::Cancel { hub: owner(&hub)?, epoch, reason }, peer.author(author)).await
}

async fn ack(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath((hub, gate)): UrlPath<(String, String)>,
    body: Body<AckRequest>,
) -> Answer {
    let Json(AckRequest { reason, until, author }) = body?;
    let (reason, author) = (why(reason)?, who(author)?);
    let ack = Command::AckGate { hub: owner(&hub)?, gate: GateName::new(&gate), reason, until };
    command(&shared, ack, peer.author(author)).await
}

async fn acknowledge(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(hub): UrlPath<String>,
    body: Body<ReasonRequest>,
) -> Answer {
    let Json(ReasonRequest { reason, author }) = body?;
    let (reason, author) = (why(reason)?, who(author)?);
    command(&shared, Command::Acknowledge { hub: owner(&hub)?, reason }, peer.author(author)).await
}

async fn close(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(id): UrlPath<String>,
    Query(AuthorAndReason { author, reason }): Query<AuthorAndReason>,
) -> Answer {
    let reason = why(reason.unwrap_or_else(|| "no reason given".into()))?;
    let author = who(author)?;
    command(&shared, Command::CloseWindow { id, reason }, peer.author(author)).await
}
