//! Verdicts of agents on endpoints: probes of kind `push`.

use std::time::Duration;

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path as UrlPath, State};
use axum::routing::put;
use axum::{Json, Router};

use super::request::{ReportRequest, ToldHealth};
use super::{Answer, Body, Peer, Shared, bad, command, marked, who, why};
use crate::control::event::Command;
use crate::control::push::Verdict;
use crate::policy::ProbeName;

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/v1/probes/{probe}/{*of}", put(report))
}

async fn report(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath((probe, of)): UrlPath<(String, String)>,
    body: Body<ReportRequest>,
) -> Answer {
    let Json(ReportRequest { health, lease_ms, reason, author }) = body?;
    let author = who(author)?;
    let failure = match (health, reason) {
        (ToldHealth::Up, None) => None,
        (ToldHealth::Up, Some(_)) => return Err(bad("`reason` is for `down` alone".into())),
        (ToldHealth::Down, reason) => Some(why(reason.unwrap_or_else(|| "no reason given".into()))?),
    };
    let verdict = Verdict { failure, lease: lease_ms.map(Duration::from_millis) };
    let report = Command::Report { probe: ProbeName::new(&probe), of: marked(&of)?, verdict };
    command(&shared, report, peer.author(author)).await
}
