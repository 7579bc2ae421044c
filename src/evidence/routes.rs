//! I/O shell: the requests of the public listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

use super::counters::{Counters, Route};
use super::document::Active;
use super::hubs::{Hubs, Signed};
use super::request::{Form, form, has_seen, wait};
use crate::dns::Name;
use crate::policy::RegionName;

/// Time between two comments of a stream in which nothing happens.
const COMMENT: Duration = Duration::from_secs(15);

/// When whoever finds no place to wait may try again, seconds.
const RETRY: HeaderValue = HeaderValue::from_static("30");

const SIGNATURE: HeaderName = HeaderName::from_static("concierge-signature");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// What the handlers work with.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) hubs: Arc<Hubs>,
    pub(super) counters: Arc<Counters>,
    /// The places in which a request may wait for a switch.
    pub(super) waiting: Arc<Semaphore>,
    pub(super) stopped: watch::Receiver<bool>,
}

pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/hubs/{hub}", get(hub))
        .route("/v1/keys", get(keys))
        .route("/probe/active/{region}", get(active))
        .route("/healthz", get(healthz))
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is no such path"))
        .method_not_allowed_fallback(async |method: Method| {
            let refused = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("{method} is not for reading"));
            ([(header::ALLOW, "GET, HEAD")], refused)
        })
        .layer(from_fn_with_state(shared.counters.clone(), count))
        .with_state(shared)
}

async fn count(State(counters): State<Arc<Counters>>, uri: Uri, request: Request, next: Next) -> Response {
    let route = Route::of(uri.path());
    let response = next.run(request).await;
    counters.responded(route, response.status().as_u16());
    response
}

/// A problem as RFC 9457 writes it.
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "title": title, "status": status.as_u16(), "detail": detail });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(body)).into_response()
}

/// A place among those who wait for a switch.
#[derive(Debug)]
struct Place {
    counters: Arc<Counters>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn take(shared: &Shared) -> Result<Self, Box<Response>> {
        let Ok(permit) = shared.waiting.clone().try_acquire_owned() else {
            let refused = problem(StatusCode::SERVICE_UNAVAILABLE, "as many wait for a switch already as may");
            return Err(Box::new(([(header::RETRY_AFTER, RETRY)], refused).into_response()));
        };
        shared.counters.begins_to_wait();
        Ok(Self { counters: shared.counters.clone(), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counters.ends_to_wait();
    }
}

#[derive(Debug, Deserialize)]
struct Waiting {
    wait: Option<String>,
}

async fn hub(
    State(shared): State<Shared>,
    Path(text): Path<String>,
    Query(Waiting { wait: asked }): Query<Waiting>,
    headers: HeaderMap,
) -> Response {
    let Ok(name) = Name::parse(&text, Some(&Name::root())) else {
        return problem(StatusCode::NOT_FOUND, "the path names no hub: it is no domain name");
    };
    let form = form(&headers);
    if form.stream {
        return follow(&shared, name, form, &headers);
    }
    let wait = match wait(asked.as_deref(), &headers) {
        Ok(wait) => wait,
        Err(sentence) => return problem(StatusCode::BAD_REQUEST, &sentence),
    };
    let Some(signed) = shared.hubs.signed(&name) else { return no_hub() };
    match (has_seen(&headers, signed.epoch), wait) {
        (Some(true), Some(wait)) if !wait.is_zero() => {
            let _place = match Place::take(&shared) {
                Ok(place) => place,
                Err(refused) => return *refused,
            };
            match next(&shared.hubs, &mut shared.stopped.clone(), &name, signed.epoch, Instant::now() + wait).await {
                After::Switch(signed) => show(&signed, form),
                After::Nothing => unchanged(&signed),
                After::End => no_hub(),
            }
        }
        (Some(true), _) => unchanged(&signed),
        (Some(false) | None, _) => show(&signed, form),
    }
}

/// What a wait came to.
enum After {
    /// Another epoch.
    Switch(Arc<Signed>),
    /// Nothing until the end of the wait, or of the daemon.
    Nothing,
    /// There is no such hub any more.
    End,
}

/// Waits until the epoch of a hub is another than `seen`.
async fn next(hubs: &Hubs, stopped: &mut watch::Receiver<bool>, name: &Name, seen: u64, until: Instant) -> After {
    let Some(mut changes) = hubs.changes(name) else { return After::End };
    loop {
        match hubs.signed(name) {
            None => return After::End,
            Some(signed) if signed.epoch != seen => return After::Switch(signed),
            Some(_) => {}
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return After::End;
            },
            () = sleep_until(until) => return After::Nothing,
            _ = stopped.wait_for(|stopped| *stopped) => return After::Nothing,
        }
    }
}

/// Every switch of a hub, from the one after the last that the client has seen.
fn follow(shared: &Shared, name: Name, form: Form, headers: &HeaderMap) -> Response {
    if shared.hubs.signed(&name).is_none() {
        return no_hub();
    }
    let place = match Place::take(shared) {
        Ok(place) => place,
        Err(refused) => return *refused,
    };
    let seen = headers.get(LAST_EVENT).and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let state = (shared.hubs.clone(), shared.stopped.clone(), seen, place);
    let events = stream::unfold(state, move |(hubs, mut stopped, seen, place)| {
        let name = name.clone();
        async move {
            let signed = match seen {
                None => hubs.signed(&name)?,
                // Years from here: a stream ends with the client, the hub or the daemon.
                Some(seen) => match next(&hubs, &mut stopped, &name, seen, far()).await {
                    After::Switch(signed) => signed,
                    After::Nothing | After::End => return None,
                },
            };
            let octets = if form.jose { &signed.jose } else { &signed.body };
            let event = Event::default().id(signed.epoch.to_string()).data(String::from_utf8_lossy(octets));
            Some((Ok::<_, Infallible>(event), (hubs, stopped, Some(signed.epoch), place)))
        }
    });
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT));
    ([(header::CACHE_CONTROL, "no-store")], stream).into_response()
}

fn far() -> Instant {
    Instant::now() + Duration::from_hours(24 * 365)
}

fn show(signed: &Signed, form: Form) -> Response {
    let (kind, octets) = match form.jose {
        true => ("application/jose", &signed.jose),
        false => ("application/json", &signed.body),
    };
    let mut response = octets.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if !form.jose {
        headers.insert(SIGNATURE, signed.signature.clone());
    }
    freshness(signed, headers);
    response
}

/// Nothing that the client does not know.
fn unchanged(signed: &Signed) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    freshness(signed, response.headers_mut());
    response
}

/// The validator is a weak one: two documents of one epoch differ in their times (RFC 9110 8.8.1).
fn freshness(signed: &Signed, headers: &mut HeaderMap) {
    let fields =
        [(header::ETAG, format!("W/\"{}\"", signed.epoch)), (header::CACHE_CONTROL, format!("max-age={}", signed.ttl))];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept, prefer"));
}

fn no_hub() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no hub of this name")
}

async fn keys(State(shared): State<Shared>) -> Response {
    let fields = [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "max-age=3600")];
    (fields, shared.hubs.keys().to_owned()).into_response()
}

#[derive(Debug, Deserialize)]
struct Which {
    hub: Option<String>,
}

async fn active(
    State(shared): State<Shared>,
    Path(region): Path<String>,
    Query(Which { hub }): Query<Which>,
) -> Response {
    let hub = match hub.map(|text| Name::parse(&text, Some(&Name::root()))).transpose() {
        Ok(hub) => hub,
        Err(_) => return plain(StatusCode::NOT_FOUND, "hub is no domain name"),
    };
    match shared.hubs.active(&RegionName::new(&region), hub.as_ref()) {
        Active::Yes(sentence) => plain(StatusCode::OK, &sentence),
        Active::No(sentence) => plain(StatusCode::SERVICE_UNAVAILABLE, &sentence),
        Active::Unknown(sentence) => plain(StatusCode::NOT_FOUND, &sentence),
    }
}

async fn healthz(State(shared): State<Shared>) -> Response {
    let (generation, hubs) = shared.hubs.serving();
    plain(StatusCode::OK, &format!("answering from snapshot {generation}, hubs {hubs}"))
}

/// A sentence, for those that look at the status alone.
fn plain(status: StatusCode, sentence: &str) -> Response {
    let fields = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, fields, format!("{sentence}\n")).into_response()
}
