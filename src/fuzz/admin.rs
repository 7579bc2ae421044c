//! Requests to the operators' API, and time that passes between them. No sockets: the routes are handed requests, and
//! commands go to a loop that runs where it is polled.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::service::Service;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use crate::admin::unconnected;
use crate::answer::compile::compile;
use crate::control::event::{Loaded, Stamps};
use crate::control::run::bare::Bare;
use crate::control::store::Store;
use crate::diagnostic::Source;
use crate::dns::Name;
use crate::{policy, zone};

/// Requests of one input at most.
const MOST: usize = 16;

/// When the first request comes: 2026-11-23T14:00:00Z in milliseconds.
const BEGIN: u64 = 1_795_442_400_000;

/// Octets that a response may have.
const LARGEST: usize = 4 << 20;

/// What the requests are about.
static LOADED: LazyLock<Loaded> = LazyLock::new(|| {
    let sources = [Source::new("zones/hubs.toml", include_str!("hubs.toml"))];
    let apex = Name::parse("example.net.", None).expect("a name");
    let text = include_bytes!("../../zones/example.net.zone");
    let hubs = policy::hub_names(&sources);
    let (zone, problems) =
        zone::read_beside_hubs(Path::new("zones/example.net.zone"), &apex, &hubs, &mut |_| Ok(Box::new(&text[..])));
    let zones = vec![zone.unwrap_or_else(|| panic!("{problems:?}"))];
    let (read, problems) = policy::read(&sources, &zones);
    let policy = read.unwrap_or_else(|| panic!("{problems:#?}"));
    let content = compile(zones.into_iter().map(|zone| zone.tree).collect(), &policy);
    let content = Arc::new(content.unwrap_or_else(|refused| panic!("{refused:?}")));
    let (policy, warnings) = (Arc::new(policy), Vec::new());
    Loaded { policy, content, warnings, read: Duration::ZERO, compile: Duration::ZERO, stamps: Stamps::default() }
});

/// Requests with a NUL between each two: `METHOD TARGET`, and behind the end of that line a body. The method `LATER` is the
/// time that passes: its target is a number of milliseconds.
///
/// # Panics
/// Where a response is none that the API is said to have, or the daemon could not go on.
pub fn admin(octets: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let clock = Arc::new(AtomicU64::new(BEGIN));
    let store = Store::in_memory().unwrap_or_else(|error| panic!("{error}"));
    let (control, bare) = Bare::new(LOADED.clone(), store, clock.clone());
    let routes = unconnected(control);
    runtime.block_on(async {
        let asking = async {
            for request in octets.split(|octet| *octet == 0).take(MOST) {
                ask(&routes, &clock, request).await;
            }
            // It ends when nobody can ask any more.
            drop(routes);
        };
        tokio::join!(asking, bare.run());
    });
}

async fn ask(routes: &Router, clock: &AtomicU64, request: &[u8]) {
    let (line, body) = request.split_at(request.iter().position(|octet| *octet == b'\n').unwrap_or(request.len()));
    let Some((method, target)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' ')) else { return };
    if method == "LATER" {
        if let Ok(by) = target.parse::<u32>() {
            clock.fetch_add(by.into(), Ordering::Relaxed);
        }
        return;
    }
    let Ok(uri) = Uri::try_from(target) else { return };
    let body = body.get(1..).unwrap_or_default().to_vec();
    let request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, "application/json");
    let Ok(request) = request.body(Body::from(body)) else { return };
    let response = TowerToHyperService::new(routes.clone()).call(request).await;
    let response = response.unwrap_or_else(|error| match error {});
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LARGEST).collect().await.unwrap_or_else(|error| panic!("{error}")).to_bytes();
    let kind = head.headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let said = || String::from_utf8_lossy(&body);
    if method == "HEAD" {
        assert!(body.is_empty(), "{}", said());
        return;
    }
    match head.status {
        StatusCode::OK if kind == Some("application/json") => {
            let parsed: Result<Value, _> = serde_json::from_slice(&body);
            assert!(parsed.is_ok(), "{}", said());
        }
        StatusCode::OK => assert!(std::str::from_utf8(&body).is_ok(), "{}", said()),
        StatusCode::BAD_REQUEST
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::CONFLICT
        | StatusCode::PAYLOAD_TOO_LARGE => {
            let problem: Value = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{}", said()));
            let error = &problem["error"];
            let fields = [error["code"].is_string(), error["message"].is_string(), error["problems"].is_array()];
            assert_eq!(fields, [true; 3], "{problem}");
        }
        status => panic!("{status}: {}", said()),
    }
}
