//! Another process takes over.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, oneshot};

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

/// The way to the daemon, which carries out one order at a time.
#[derive(Clone)]
struct Orders {
    orders: mpsc::Sender<Order>,
    /// Whoever has the permit may order; the order keeps it until it is carried out.
    turn: Arc<Semaphore>,
}

/// Takes orders for the daemon, one at a time.
pub fn router(orders: mpsc::Sender<Order>) -> Router {
    let turn = Arc::new(Semaphore::new(1));
    Router::new().route("/v1/upgrade", post(upgrade)).with_state(Orders { orders, turn })
}

async fn upgrade(
    State(Orders { orders, turn }): State<Orders>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Body<UpgradeRequest>,
) -> Answer {
    let Json(UpgradeRequest { program, author }) = body?;
    let author = peer.author(who(author)?);
    let (answer, told) = oneshot::channel();
    let refused = |sentence: String| Problem::from(CommandError::Refused(sentence));
    let turn = turn.try_acquire_owned().map_err(|_| refused("another upgrade is under way".into()))?;
    orders.try_send(Order { program, author, answer, turn }).map_err(|_| Problem::from(CommandError::Stopping))?;
    match told.await {
        Ok(Ok(upgraded)) => Ok(Json(upgraded).into_response()),
        Ok(Err(sentence)) => Err(refused(format!("no other process has taken over, this one goes on: {sentence}"))),
        Err(_) => Err(CommandError::Stopping.into()),
    }
}
