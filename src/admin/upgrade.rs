//! Another process takes over.

use std::path::PathBuf;

use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{Answer, Body, Peer, Problem, who};
use crate::control::event::CommandError;
use crate::process::upgrade::Order;

/// `POST /v1/upgrade`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeRequest {
    /// The program. Default: the file that the daemon was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// Who.
    #[serde(default)]
    pub author: Option<String>,
}

/// Takes orders for the daemon, one at a time.
pub fn router(orders: mpsc::Sender<Order>) -> Router {
    Router::new().route("/v1/upgrade", post(upgrade)).with_state(orders)
}

async fn upgrade(
    State(orders): State<mpsc::Sender<Order>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Body<UpgradeRequest>,
) -> Answer {
    let Json(UpgradeRequest { program, author }) = body?;
    let author = peer.author(who(author)?);
    let (answer, told) = oneshot::channel();
    let refused = |sentence: String| Problem::from(CommandError::Refused(sentence));
    orders.try_send(Order { program, author, answer }).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => refused("another upgrade is under way".into()),
        mpsc::error::TrySendError::Closed(_) => CommandError::Stopping.into(),
    })?;
    match told.await {
        Ok(Ok(upgraded)) => Ok(Json(upgraded).into_response()),
        Ok(Err(sentence)) => Err(refused(format!("no other process has taken over, this one goes on: {sentence}"))),
        Err(_) => Err(CommandError::Stopping.into()),
    }
}
