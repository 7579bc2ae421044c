//! Drills of canaries, and where to ask what devices are answered.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path as UrlPath, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::request::{AuthorAndReason, DrillRequest};
use super::{Answer, Body, Peer, Shared, command, owner, who, why};
use crate::control::event::Command;

/// `GET /v1/addresses`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Where queries are answered, each over UDP and TCP, as it was at the start.
    pub dns: Vec<SocketAddr>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/v1/hubs/{hub}/drill", post(begin).delete(end))
}

/// Tells the addresses that are answered on.
pub fn addresses(dns: &[SocketAddr]) -> Router {
    let addresses = Addresses { dns: dns.to_vec() };
    Router::new().route("/v1/addresses", get(async move || Json(addresses.clone())))
}

async fn begin(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(hub): UrlPath<String>,
    body: Body<DrillRequest>,
) -> Answer {
    let Json(DrillRequest { region, within_ms, reason, author }) = body?;
    let (reason, author) = (why(reason)?, who(author)?);
    let within = within_ms.map(Duration::from_millis);
    command(&shared, Command::Drill { hub: owner(&hub)?, region, within, reason }, peer.author(author)).await
}

async fn end(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(hub): UrlPath<String>,
    Query(AuthorAndReason { author, reason }): Query<AuthorAndReason>,
) -> Answer {
    let reason = why(reason.unwrap_or_else(|| "no reason given".into()))?;
    let author = who(author)?;
    command(&shared, Command::EndDrill { hub: owner(&hub)?, reason }, peer.author(author)).await
}
