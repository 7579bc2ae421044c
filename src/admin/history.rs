//! I/O shell: the audit trail over the admin API.
//!
//! What is read is read on threads of their own, from a snapshot of the store: a page of history, a look at the whole
//! chain or an export of all of it holds up neither the control loop nor other requests. An export is sent as fast as it
//! is taken, a portion at a time; when it fails on the way its connection is cut, and it has no last line.
#![expect(clippy::disallowed_methods, reason = "I/O shell: spawns the task that feeds an export")]

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use super::request::{ExportQuery, HistoryQuery, VerifyQuery};
use super::{Answer, Problem, Shared, bad, look, owner};
use crate::control::chain::Kept;
use crate::control::event::CommandError;
use crate::control::past::Before;
use crate::control::store::{Export, Store, StoreError};
use crate::time::Timestamp;

/// How far the clock of whoever asks may be ahead.
const SKEW: Duration = Duration::from_secs(1);
/// Portions of an export that may wait for whoever takes it.
const AHEAD: usize = 2;

/// Reads the store on a thread of its own.
async fn read<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let store = shared.control.store().clone();
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    let done = done.map_err(|_| CommandError::Stopping)?;
    done.map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store", error.to_string()))
}

/// `GET /v1/history`.
pub(super) async fn history(State(shared): State<Shared>, Query(query): Query<HistoryQuery>) -> Answer {
    let HistoryQuery { subject, limit, from, to } = query;
    let subjects = subject.into_iter().collect::<Vec<_>>();
    let records = read(&shared, move |store| store.records(&subjects, from, to, limit.unwrap_or(50))).await?;
    Ok(Json(records).into_response())
}

/// `GET /v1/history/reach`.
pub(super) async fn reach(State(shared): State<Shared>) -> Answer {
    Ok(Json(read(&shared, Store::reach).await?).into_response())
}

/// `GET /v1/history/verify`.
pub(super) async fn verify(State(shared): State<Shared>, Query(VerifyQuery { head }): Query<VerifyQuery>) -> Answer {
    let head = head.map(|head| head.parse::<Kept>()).transpose().map_err(bad)?;
    // It takes a processor for a while: one at a time.
    let _alone = shared.verifying.lock().await;
    Ok(Json(read(&shared, move |store| store.verify(head)).await?).into_response())
}

/// `GET /v1/history/export`.
pub(super) async fn export(
    State(shared): State<Shared>,
    Query(ExportQuery { from, to }): Query<ExportQuery>,
) -> Answer {
    let mut export = Export::new(from, to);
    // The first portion is waited for, so that a store that cannot be read is told of as every other error is.
    let (first, mut export) = read(&shared, move |store| Ok((store.export(&mut export)?, export))).await?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut next = first;
        while let Some(lines) = next {
            if sender.send(Ok(Bytes::from(lines))).await.is_err() {
                return;
            }
            next = match read(&shared, move |store| Ok((store.export(&mut export)?, export))).await {
                Ok((lines, after)) => {
                    export = after;
                    lines
                }
                Err(problem) => {
                    tracing::warn!(event = "audit", "an export was cut off: {}", problem.message);
                    drop(sender.send(Err(std::io::Error::other(problem.message))).await);
                    return;
                }
            };
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/jsonl")];
    Ok((kind, axum::body::Body::new(Lines(receiver))).into_response())
}

/// The portions of an export, as they come.
struct Lines(mpsc::Receiver<std::io::Result<Bytes>>);

impl Body for Lines {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|lines| lines.map(|lines| lines.map(Frame::data)))
    }
}

/// `GET /v1/explain/NAME?at=`.
pub(super) async fn explain_past(shared: &Shared, name: &str, at: Timestamp) -> Answer {
    let hub = owner(name)?;
    let asked = hub.clone();
    let regions = look(shared, move |view| match view.now().after(SKEW) < at {
        true => Err(bad(format!("{at} has not come yet"))),
        false => Ok(view.regions(&asked)),
    });
    let (regions, known) = regions.await.map(|regions| (regions.clone().unwrap_or_default(), regions.is_some()))?;
    let sought = hub.clone();
    let explained = read(shared, move |store| store.past(&sought, regions, at)).await?;
    if explained.stood == Before::Unknown && !known {
        let sentence = format!("the audit trail tells of hubs, and {hub} is none that it knows");
        return Err(CommandError::NotFound(sentence).into());
    }
    Ok(Json(explained).into_response())
}
