//! I/O shell: the requests of the public listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::counters::{Counters, Route};
use super::document::Active;
use super::hubs::{Hubs, Signed};
use super::request::{Form, form, has_seen, names_host, wait};
use super::tag::{Seen, Tag};
use crate::dns::Name;
use crate::policy::RegionName;

/// Time between two comments of a stream in which nothing happens.
const COMMENT: Duration = Duration::from_secs(15);

/// When whoever finds no place to wait may try again, seconds.
const RETRY: HeaderValue = HeaderValue::from_static("30");

/// What is said of a path that is no text.
const NO_TEXT: &str = "the path is not UTF-8 when it is decoded";

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
        .layer(from_fn(host))
        .layer(from_fn_with_state(shared.counters.clone(), count))
        .with_state(shared)
}

async fn count(State(counters): State<Arc<Counters>>, uri: Uri, request: Request, next: Next) -> Response {
    let route = Route::of(uri.path());
    let response = next.run(request).await;
    counters.responded(route, response.status().as_u16());
    response
}

/// Refuses requests that name no host, several, or one that is none (RFC 9112 3.2).
async fn host(request: Request, next: Next) -> Response {
    if names_host(request.version(), request.headers()) {
        return next.run(request).await;
    }
    let refused = problem(StatusCode::BAD_REQUEST, "a request names its host, once, in the field Host");
    ([(header::CONNECTION, "close")], refused).into_response()
}

/// A problem as RFC 9457 writes it.
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "title": title, "status": status.as_u16(), "detail": detail });
    let fields = [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, fields, Json(body)).into_response()
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
            // The connections that are left are there for others: this one is closed.
            let fields = [(header::RETRY_AFTER, RETRY), (header::CONNECTION, HeaderValue::from_static("close"))];
            return Err(Box::new((fields, refused).into_response()));
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
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Waiting>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(text)) = path else { return problem(StatusCode::BAD_REQUEST, NO_TEXT) };
    let Ok(Query(Waiting { wait: asked })) = query else {
        return problem(StatusCode::BAD_REQUEST, "the query is not understood: wait can stand in it, once");
    };
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
    match (has_seen(&headers, &signed.tag), wait) {
        (seen @ (Seen::Same | Seen::Passing), Some(wait)) if !wait.is_zero() => {
            let _place = match Place::take(&shared) {
                Ok(place) => place,
                Err(refused) => return *refused,
            };
            let until = Instant::now() + wait;
            match next(&shared.hubs, &mut shared.stopped.clone(), &name, &signed.tag, until).await {
                Some(after) if seen == Seen::Same && after.tag == signed.tag => unchanged(&after),
                Some(after) => show(&after, form),
                None => no_hub(),
            }
        }
        (Seen::Same, _) => unchanged(&signed),
        (Seen::Passing | Seen::Other, _) => show(&signed, form),
    }
}

/// Waits until something else is said of a hub than `seen`, or until the end of the wait or of the daemon, and returns
/// what is said then; `None` when there is no such hub any more. A slot that ends ends no wait.
async fn next(
    hubs: &Hubs,
    stopped: &mut watch::Receiver<bool>,
    name: &Name,
    seen: &Tag,
    until: Instant,
) -> Option<Arc<Signed>> {
    let mut changes = hubs.changes(name)?;
    while hubs.signed(name)?.tag.said == seen.said {
        tokio::select! {
            changed = changes.changed() => changed.ok()?,
            () = sleep_until(until) => break,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
    }
    hubs.signed(name)
}

/// Waits until a hub has another tag than `seen`; `None` when there is no such hub any more, or the daemon ends.
async fn renewed(
    hubs: &Hubs,
    stopped: &mut watch::Receiver<bool>,
    name: &Name,
    seen: Option<&Tag>,
) -> Option<Arc<Signed>> {
    let mut changes = hubs.changes(name)?;
    loop {
        let signed = hubs.signed(name)?;
        if seen != Some(&signed.tag) {
            return Some(signed);
        }
        tokio::select! {
            changed = changes.changed() => changed.ok()?,
            () = sleep(signed.rest) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return None,
        }
    }
}

/// What is said of a hub, whenever it changes or half of its validity is over, from after what the client has seen.
fn follow(shared: &Shared, name: Name, form: Form, headers: &HeaderMap) -> Response {
    if shared.hubs.signed(&name).is_none() {
        return no_hub();
    }
    let place = match Place::take(shared) {
        Ok(place) => place,
        Err(refused) => return *refused,
    };
    let seen = headers.get(LAST_EVENT).and_then(|id| Tag::parse(id.to_str().ok()?));
    let state = (shared.hubs.clone(), shared.stopped.clone(), seen, place);
    let events = stream::unfold(state, move |(hubs, mut stopped, seen, place)| {
        let name = name.clone();
        async move {
            let signed = renewed(&hubs, &mut stopped, &name, seen.as_ref()).await?;
            let octets = if form.jose { &signed.jose } else { &signed.body };
            let event = Event::default().id(signed.tag.to_string()).data(String::from_utf8_lossy(octets));
            Some((Ok::<_, Infallible>(event), (hubs, stopped, Some(signed.tag.clone()), place)))
        }
    });
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT));
    ([(header::CACHE_CONTROL, "no-store")], stream).into_response()
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
    // A body of a length that is not known: a length of 0 would be one of the document (RFC 9110 8.6).
    let body = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
    let mut response = (StatusCode::NOT_MODIFIED, body).into_response();
    freshness(signed, response.headers_mut());
    response
}

/// The validator is a weak one: two documents of one slot differ in their times (RFC 9110 8.8.1).
fn freshness(signed: &Signed, headers: &mut HeaderMap) {
    let fields = [
        (header::ETAG, format!("W/\"{}\"", signed.tag)),
        (header::CACHE_CONTROL, format!("max-age={}", signed.fresh.as_secs())),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept, prefer"));
}

fn no_hub() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no hub of this name that has an active region")
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
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Which>, QueryRejection>,
) -> Response {
    let Ok(Path(region)) = path else { return plain(StatusCode::BAD_REQUEST, NO_TEXT) };
    let Ok(Query(Which { hub })) = query else {
        return plain(StatusCode::BAD_REQUEST, "the query is not understood: hub can stand in it, once");
    };
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
    let fields = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, fields, format!("{sentence}\n")).into_response()
}
