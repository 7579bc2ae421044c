//! I/O shell: the way to the daemon, HTTP over its admin socket.
#![expect(clippy::disallowed_methods, reason = "I/O shell: connects to the Unix socket, reads the account's name")]

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// How long an answer is waited for; a reload takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a command is given again that came while another process took over, and after which pause.
const HAND_OVERS: u32 = 20;
const HAND_OVER: Duration = Duration::from_millis(100);

/// The daemon, by its admin socket.
#[derive(Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

/// The daemon could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody answers on the socket.
    #[error(
        "cannot reach the daemon at {}: {cause}\nhint: is `concierge serve` (or `concierge demo`) running? --socket or \
         CONCIERGE_SOCKET names another socket",
        .socket.display()
    )]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The socket is somebody else's.
    #[error("may not open the admin socket {}: {cause}\nhint: only the account that runs the daemon may; try sudo", .socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The daemon took the request and gave no answer.
    #[error(
        "the daemon at {} gives no answer for {} s: whether the command was carried out is not known\nhint: it may be \
         stopped or hang; devices are answered all the same. `concierge history` shows what was carried out",
        .socket.display(),
        PATIENCE.as_secs()
    )]
    Silent {
        /// The socket.
        socket: PathBuf,
    },
    /// The daemon said no.
    #[error("{message}{}", .problems.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Refused {
        /// The word for why.
        code: String,
        /// Its sentence.
        message: String,
        /// One sentence for each problem of a file.
        problems: Vec<String>,
        /// Whether files were rejected.
        rejected: bool,
    },
    /// A response that came in parts ended before its end.
    #[error("the daemon's answer was cut off: {0}; its log says why")]
    CutOff(String),
    /// What came is not what this program knows.
    #[error("the daemon's answer cannot be understood: {0}; is it of another version?")]
    Garbled(String),
}

impl ClientError {
    /// Whether the daemon may be there again in a while: then it is not known whether the request was carried out.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Silent { .. })
    }

    /// The word for it.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Denied { .. } => "denied",
            Self::Silent { .. } => "silent",
            Self::Refused { code, .. } => code,
            Self::CutOff(_) => "cut-off",
            Self::Garbled(_) => "garbled",
        }
    }
}

#[derive(serde::Deserialize)]
struct Problem {
    error: ProblemBody,
}

#[derive(serde::Deserialize)]
struct ProblemBody {
    code: String,
    message: String,
    #[serde(default)]
    problems: Vec<String>,
}

impl Client {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// `GET path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(Method::GET, path, &()).await
    }

    /// A request with a JSON body, and the JSON of its response.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let answer = tokio::time::timeout(PATIENCE, self.send_and_wait(method, path, body)).await;
        answer.unwrap_or_else(|_| Err(ClientError::Silent { socket: self.socket.clone() }))
    }

    /// [`Client::send`], however long the answer takes.
    pub(super) async fn send_and_wait<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        // What was refused because another process takes over was not done: that one is asked.
        for _ in 0..HAND_OVERS {
            match self.send_once(&method, path, body).await {
                Err(ClientError::Refused { code, .. }) if code == "handed-over" => tokio::time::sleep(HAND_OVER).await,
                other => return other,
            }
        }
        self.send_once(&method, path, body).await
    }

    async fn send_once<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let response = self.request(method.clone(), path, body).await?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| self.unreachable(error))?.to_bytes();
        match status.is_success() {
            true => serde_json::from_slice(&body).map_err(|error| ClientError::Garbled(error.to_string())),
            false => Err(refusal(status, &body)),
        }
    }

    /// `GET path`, whose response is as long as it is: each part is handed to `take` as it comes, until that says that it
    /// has enough.
    pub(super) async fn stream<E: From<ClientError>>(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let silent = || ClientError::Silent { socket: self.socket.clone() };
        let asked = tokio::time::timeout(PATIENCE, self.request(Method::GET, path, &())).await;
        let response = asked.map_err(|_| silent())??;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let body = body.collect().await.map_err(|error| self.unreachable(error))?.to_bytes();
            return Err(refusal(status, &body).into());
        }
        loop {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await.map_err(|_| silent())?;
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|error| ClientError::CutOff(error.to_string()))?;
            if frame.data_ref().is_some_and(|data| !data.is_empty())
                && !take(frame.data_ref().unwrap_or(&Bytes::new()))?
            {
                return Ok(());
            }
        }
    }

    fn unreachable(&self, cause: impl ToString) -> ClientError {
        ClientError::Unreachable { socket: self.socket.clone(), cause: cause.to_string() }
    }

    /// Sends a request and waits for the head of its response.
    async fn request(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                ClientError::Denied { socket: self.socket.clone(), cause: error.to_string() }
            }
            _ => self.unreachable(error),
        })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.unreachable(error))?;
        tokio::spawn(connection);
        let body = match method {
            Method::GET | Method::DELETE => Bytes::new(),
            _ => serde_json::to_vec(body).map_err(|error| ClientError::Garbled(error.to_string()))?.into(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "concierge")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Garbled(error.to_string()))?;
        sender.send_request(request).await.map_err(|error| self.unreachable(error))
    }
}

/// What the daemon said instead of doing what was asked.
fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(Problem { error: ProblemBody { code, message, problems } }) => {
            let rejected = status == StatusCode::UNPROCESSABLE_ENTITY;
            ClientError::Refused { code, message, problems, rejected }
        }
        Err(_) => ClientError::Garbled(format!("{status} {}", String::from_utf8_lossy(body))),
    }
}

/// One segment of a path or a query, with what a URL gives a meaning to escaped (RFC 3986 2.1).
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(octet)),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

/// Who the operator is, unless `--author` says: the account behind sudo, else the one that runs the command.
pub(super) fn author(given: Option<&String>) -> String {
    let account = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    given
        .cloned()
        .or_else(|| std::env::var("SUDO_USER").ok())
        .or_else(account)
        .unwrap_or_else(|| format!("uid {}", nix::unistd::getuid()))
}
