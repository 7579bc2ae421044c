//! I/O shell: the operators' HTTP API on a Unix socket, and the metrics.
//!
//! | request | what it does |
//! | --- | --- |
//! | `GET /v1/status` | the state of everything |
//! | `GET /v1/explain/NAME?rtype=&from=` | why a name is answered as it is, to a client at an address |
//! | `GET /v1/explain/NAME?at=` | why a hub answered what it did at a past time |
//! | `PUT /v1/marks/TARGET` | marks a region, or with `HUB/REGION` an endpoint |
//! | `DELETE /v1/marks/TARGET?author=&reason=` | takes the mark away |
//! | `GET /v1/foresee/TARGET?kind=` | what a mark, and its end, would move at this moment |
//! | `GET /v1/hubs/HUB/plan?to=&now=&at=&until=` | what a move would be: evidence, objections, timeline; does nothing |
//! | `GET /v1/hubs/HUB/move` | the hub, and the move that is under way or was last |
//! | `POST /v1/hubs/HUB/failover` | plans a move to a region, and begins it |
//! | `POST /v1/hubs/HUB/failback` | the same to the preferred region |
//! | `POST /v1/hubs/HUB/approve` | approves a move that another operator asked for |
//! | `DELETE /v1/hubs/HUB/move?epoch=&author=&reason=` | cancels a move that has not switched |
//! | `POST /v1/hubs/HUB/gates/GATE` | gives the acknowledgement that a gate asks for |
//! | `POST /v1/hubs/HUB/acknowledge` | acknowledges that a hub is pinned, or that something was overridden |
//! | `POST /v1/hubs/HUB/drill` | has a canary's active region count as dark |
//! | `DELETE /v1/hubs/HUB/drill?author=&reason=` | ends the drill |
//! | `PUT /v1/probes/PROBE/REGION` | tells how the endpoints of a region, or with `HUB/REGION` one, are |
//! | `GET /v1/addresses` | where queries are answered |
//! | `GET /v1/hubs/HUB/resolvers` | how resolvers came back after its last switches |
//! | `DELETE /v1/windows/ID?author=&reason=` | takes a maintenance window away |
//! | `GET /v1/history?subject=&limit=&from=&to=` | the audit trail, newest first |
//! | `GET /v1/history/reach` | the first record that is there, the number of the last, and the hash up to it |
//! | `GET /v1/history/verify?head=` | whether the audit trail is what was written, and has a hash that was kept |
//! | `GET /v1/history/export?from=&to=` | the audit trail as JSON Lines ([`export`](crate::control::export)), oldest first |
//! | `POST /v1/reload` | reads zones and policy anew, all or nothing |
//! | `POST /v1/upgrade` | has a new process take over |
//! | `GET /metrics` | OpenMetrics text |
//!
//! Bodies are JSON, of the types in [`crate::control::report`] and [`request`]. A command that succeeds is durable and
//! published when its response comes; the response lists the first 100 hubs that it moved and says how many there are
//! ([`Moved`](crate::control::report::Moved)). A status, an explanation or a page of metrics is worked out on a thread of
//! its own from the state of one moment, one at a time. An error is `{"error": {"code", "message", "problems"}}` with 400 (not
//! understood), 404 (no such thing), 405 (another method), 409 (refused by a rule), 413 (too long a body), 422 (files
//! refused, one problem an entry) or 503 (the store failed, or the daemon stops).
//!
//! Who may connect is the socket's file mode: its owner (0600). Who did what in the audit trail is the name that the
//! client gives, and beside it the account that the kernel says.
#![expect(clippy::disallowed_methods, reason = "I/O shell: binds the Unix socket, spawns the server")]

pub mod drill;
mod history;
pub mod metrics;
mod moves;
mod report;
pub mod request;
pub mod resolvers;
pub mod upgrade;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, Query, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use serde_json::json;
use socket2::{SockRef, Socket};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use self::request::{AuthorAndReason, ExplainQuery, MarkRequest};
use crate::control::event::{Author, Command, CommandError};
use crate::control::mark::MarkTarget;
use crate::control::report::{CertificateStatus, Status};
use crate::control::run::Control;
use crate::control::view::View;
use crate::dns::{Name, Rtype};
use crate::evidence;
use crate::process;
use crate::process::passed::{Given, Giver, Kind, Passed, Place};
use crate::serve::{Certificate, Counters};

/// No request needs a longer body.
const MAX_BODY: usize = 64 * 1024;
/// No reason needs more characters, and no author's name.
const LONGEST_TEXT: usize = 500;

/// What the handlers work with.
#[derive(Clone, Debug)]
struct Shared {
    control: Control,
    counters: Arc<Counters>,
    public: Arc<evidence::Counters>,
    /// Held while a status or a page of metrics is made: one at a time, for each takes a processor and much memory where
    /// there are many hubs. The next one waits, commands do not.
    looking: Arc<tokio::sync::Mutex<()>>,
    /// Held while the audit trail is verified.
    verifying: Arc<tokio::sync::Mutex<()>>,
}

/// The running API.
#[derive(Debug)]
pub struct Api {
    path: PathBuf,
    /// Whether the socket's file stays.
    kept: bool,
    /// The same socket once more, for a successor.
    socket: Socket,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
}

impl Api {
    /// The socket, for a successor to accept from too.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn socket(&self) -> std::io::Result<Given> {
        let place = Place::Path(self.path.clone());
        Ok(Given { kind: Kind::Unix, place, name: String::new(), socket: self.socket.try_clone()? })
    }

    /// Leaves the socket's file to a successor.
    pub fn leave_socket(&mut self) {
        self.kept = true;
    }

    /// Stops taking requests, lets those in flight finish until the deadline, and removes the socket.
    pub async fn stop(mut self, deadline: Duration) {
        drop(self.stop);
        if !self.kept {
            drop(std::fs::remove_file(&self.path));
        }
        // A client that does not finish its request must not keep the daemon from ending; a server that panicked has
        // nothing left to finish.
        if tokio::time::timeout(deadline, &mut self.server).await.is_err() {
            self.server.abort();
            tracing::warn!(event = "stop", "an admin request was cut: it was not complete at the deadline");
        }
    }
}

/// Binds the socket and serves the API, with `more` routes beside it.
///
/// # Errors
/// Names the socket, and says when another daemon listens on it.
pub async fn start(
    path: &Path,
    passed: &Passed,
    control: Control,
    counters: Arc<Counters>,
    public: Arc<evidence::Counters>,
    more: Router,
) -> std::io::Result<Api> {
    let listener = match passed.take_unix(path) {
        Some(socket) => {
            socket.set_nonblocking(true)?;
            UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into())?
        }
        None => bind(path).await?,
    };
    let socket = SockRef::from(&listener).try_clone()?;
    // One that systemd passes is systemd's to remove.
    let kept = passed.giver() == Giver::Systemd;
    let (looking, verifying) = (Arc::default(), Arc::default());
    let app = router(Shared { control, counters, public, looking, verifying }).merge(more);
    let app = app.layer(DefaultBodyLimit::max(MAX_BODY)).layer(map_response(explain_in_json));
    let app = app.into_make_service_with_connect_info::<Peer>();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
            // The sender is only ever dropped.
            drop(stopped.await);
        });
        if let Err(error) = serving.await {
            tracing::error!(event = "admin", "the admin API ended: {error}");
        }
    });
    Ok(Api { path: path.to_owned(), kept, socket, stop, server })
}

/// Binds under another name, protects it and renames it into place: nobody finds a socket that others may use, and one
/// that a killed daemon left behind is replaced.
async fn bind(path: &Path) -> std::io::Result<UnixListener> {
    let name = |error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("cannot listen on the admin socket {}: {error}", path.display()))
    };
    if UnixStream::connect(path).await.is_ok() {
        return Err(name(std::io::Error::other("another concierge answers there")));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(name)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    // One that was killed here and had the same process id (in a container, it always has) has left its socket.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(name(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&temporary).map_err(name)?;
    std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o600)).map_err(name)?;
    std::fs::rename(&temporary, path).map_err(name)?;
    Ok(listener)
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/explain/{name}", get(explain))
        .route("/v1/marks/{*target}", put(mark).delete(unmark))
        .merge(moves::router())
        .merge(drill::router())
        .merge(report::router())
        .route("/v1/hubs/{hub}/resolvers", get(resolvers::resolvers))
        .route("/v1/history", get(history::history))
        .route("/v1/history/reach", get(history::reach))
        .route("/v1/history/verify", get(history::verify))
        .route("/v1/history/export", get(history::export))
        .route("/v1/reload", post(reload))
        .route("/metrics", get(metrics))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not-found", "no such path".into()))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            let sentence = format!("{} is not for {method}", uri.path());
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", sentence)
        })
        .with_state(shared)
}

/// The account on the other end of the socket.
#[derive(Clone, Debug)]
struct Peer {
    origin: String,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let origin = match stream.io().peer_cred() {
            Ok(account) => format!("unix socket, uid {}", account.uid()),
            Err(_) => "unix socket".into(),
        };
        Self { origin }
    }
}

impl Peer {
    fn author(&self, name: Option<String>) -> Author {
        let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "somebody".into());
        Author { name, origin: self.origin.clone() }
    }
}

/// An error as the API shows it.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    problems: Vec<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, code, message, problems: Vec::new() }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let message = error.to_string();
        match error {
            CommandError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not-found", message),
            CommandError::Refused(_) => Self::new(StatusCode::CONFLICT, "refused", message),
            CommandError::Rejected(problems) => {
                let message = "reload refused, the running answers stay as they are".into();
                Self { problems, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "rejected", message) }
            }
            CommandError::Store(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", message),
            CommandError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message),
            CommandError::HandedOver => Self::new(StatusCode::SERVICE_UNAVAILABLE, "handed-over", message),
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let sentence = format!("the body is longer than {MAX_BODY} octets");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", sentence)
            }
            // 422 is of files, not of bodies.
            _ => bad(rejection.body_text()),
        }
    }
}

/// Errors that the framework makes (a query with an unknown key, a path that is no text) in the shape of all others.
async fn explain_in_json(response: Response) -> Response {
    let status = response.status();
    let json = HeaderValue::from_static("application/json");
    if !(status.is_client_error() || status.is_server_error())
        || response.headers().get(header::CONTENT_TYPE) == Some(&json)
    {
        return response;
    }
    // The framework's sentences are short; one that cannot be read is left out.
    let body = axum::body::to_bytes(response.into_body(), MAX_BODY).await.unwrap_or_default();
    Problem::new(status, "bad-request", String::from_utf8_lossy(&body).into_owned()).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = json!({ "code": self.code, "message": self.message, "problems": self.problems });
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}

type Answer = Result<Response, Problem>;
type Body<T> = Result<Json<T>, JsonRejection>;

async fn command(shared: &Shared, command: Command, author: Author) -> Answer {
    Ok(Json(shared.control.command(command, author).await?).into_response())
}

/// Looks at the state of this moment on a thread where that holds up neither the control loop nor a connection.
async fn look<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(View) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let _alone = shared.looking.lock().await;
    let view = shared.control.view().await?;
    let worked = tokio::task::spawn_blocking(move || work(view)).await;
    worked.unwrap_or_else(|_| Err(CommandError::Stopping.into()))
}

async fn status(State(shared): State<Shared>) -> Answer {
    let certificate = shared.counters.certificate().map(|certificate| {
        let Certificate { path, expires, problem } = certificate;
        CertificateStatus { path, expires, problem }
    });
    look(&shared, |view| Ok(Json(Status { certificate, ..view.status() }).into_response())).await
}

async fn explain(
    State(shared): State<Shared>,
    UrlPath(name): UrlPath<String>,
    Query(ExplainQuery { rtype, at, from }): Query<ExplainQuery>,
) -> Answer {
    if let Some(at) = at {
        if rtype.is_some() || from.is_some() {
            return Err(bad(
                "what the audit trail tells of a past time is the same for every type and client: leave `rtype` and `from` out".into()
            ));
        }
        return history::explain_past(&shared, &name, at).await;
    }
    let rtype = rtype.map(|text| Rtype::parse(&text).ok_or_else(|| bad(format!("`{text}` is no record type"))));
    let from = from.map(|text| text.parse().map_err(|_| bad(format!("`{text}` is no IP address"))));
    let (name, rtype, from) = (owner(&name)?, rtype.transpose()?, from.transpose()?);
    look(&shared, move |view| {
        let explanation = view.explain(&name, rtype, from).map_err(CommandError::Refused)?;
        Ok(Json(explanation).into_response())
    })
    .await
}

async fn mark(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(target): UrlPath<String>,
    body: Body<MarkRequest>,
) -> Answer {
    let Json(MarkRequest { kind, reason, from, until, author }) = body?;
    let (reason, author) = (why(reason)?, who(author)?);
    let mark = Command::Mark { target: marked(&target)?, kind, reason, from, until };
    command(&shared, mark, peer.author(author)).await
}

async fn unmark(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(target): UrlPath<String>,
    Query(AuthorAndReason { author, reason }): Query<AuthorAndReason>,
) -> Answer {
    let reason = why(reason.unwrap_or_else(|| "no reason given".into()))?;
    let author = who(author)?;
    command(&shared, Command::Unmark { target: marked(&target)?, reason }, peer.author(author)).await
}

async fn reload(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(AuthorAndReason { author, .. }): Query<AuthorAndReason>,
) -> Answer {
    let moved = shared.control.reload(peer.author(who(author)?)).await?;
    Ok(Json(moved).into_response())
}

async fn metrics(State(shared): State<Shared>) -> Answer {
    let (counters, public) = (shared.counters.clone(), shared.public.clone());
    let store = shared.control.store().clone();
    let page = move |view: View| {
        let audit = store.reach().ok();
        Ok(metrics::render(view.status(), counters.totals(), public.totals(), audit, process::standing()))
    };
    let text = look(&shared, page).await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// A reason is a line that others can read: in tables, in the log, on a terminal.
fn why(reason: String) -> Result<String, Problem> {
    match reason.trim() {
        "" => Err(bad("a reason is needed: it is what everybody else sees".into())),
        _ => one_line("reason", reason),
    }
}

fn who(author: Option<String>) -> Result<Option<String>, Problem> {
    author.map(|author| one_line("author", author)).transpose()
}

fn one_line(what: &str, text: String) -> Result<String, Problem> {
    if text.chars().any(char::is_control) {
        return Err(bad(format!("the {what} holds control characters: expected one line of text")));
    }
    match text.chars().count() {
        0..=LONGEST_TEXT => Ok(text.trim().to_owned()),
        count => Err(bad(format!("the {what} has {count} characters, and {LONGEST_TEXT} are the most"))),
    }
}

fn owner(text: &str) -> Result<Name, Problem> {
    Name::parse(text, Some(&Name::root())).map_err(|error| bad(format!("`{text}` is no name: {error}")))
}

fn marked(text: &str) -> Result<MarkTarget, Problem> {
    text.parse().map_err(bad)
}

fn bad(message: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-request", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a container every daemon has the same process id.
    #[tokio::test]
    async fn a_socket_left_by_a_daemon_that_was_killed_while_it_bound_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let left = UnixListener::bind(folder.path().join(format!("admin.sock.{}", std::process::id()))).unwrap();
        drop(left);
        let _listener = bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        assert_eq!(bind(&path).await.unwrap_err().kind(), std::io::ErrorKind::Other, "one that answers is left alone");
    }
}
