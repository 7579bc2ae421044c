//! Planned moves, gates, acknowledgements and windows.

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path as UrlPath, Query, State};
use axum::routing::{delete, post};
use axum::{Json, Router};

use super::request::{AckRequest, ApproveRequest, AuthorAndReason, MoveRequest, ReasonRequest};
use super::{Answer, Body, Peer, Shared, bad, command, owner, who, why};
use crate::control::event::Command;
use crate::control::moves::MoveOptions;
use crate::policy::GateName;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/v1/hubs/{hub}/failover", post(failover))
        .route("/v1/hubs/{hub}/failback", post(failback))
        .route("/v1/hubs/{hub}/approve", post(approve))
        .route("/v1/hubs/{hub}/move", delete(cancel))
        .route("/v1/hubs/{hub}/gates/{gate}", post(ack))
        .route("/v1/hubs/{hub}/acknowledge", post(acknowledge))
        .route("/v1/windows/{id}", delete(close))
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
    Query(AuthorAndReason { author, reason }): Query<AuthorAndReason>,
) -> Answer {
    let reason = why(reason.unwrap_or_else(|| "no reason given".into()))?;
    let author = who(author)?;
    command(&shared, Command::Cancel { hub: owner(&hub)?, reason }, peer.author(author)).await
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
