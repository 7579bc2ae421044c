//! The concierge's admin API: HTTP/1.1 over its Unix socket, one connection for each request.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::servers::Running;

/// Longest time for a response.
const DEADLINE: Duration = Duration::from_secs(30);

/// A client of one server.
pub(crate) struct Admin {
    socket: PathBuf,
}

impl Admin {
    /// The API of this server.
    pub(crate) fn of(running: &Running) -> Self {
        Self { socket: running.site.folder.join("state/admin.sock") }
    }

    /// Marks a region down.
    pub(crate) fn mark_down(&self, region: &str) -> Result<Instant> {
        let body = r#"{"kind":"down","reason":"measured","author":"bench"}"#;
        Ok(self.request("PUT", &format!("/v1/marks/{region}"), body)?.1)
    }

    /// Takes the mark away.
    pub(crate) fn unmark(&self, region: &str) -> Result<Instant> {
        Ok(self.request("DELETE", &format!("/v1/marks/{region}?author=bench&reason=measured"), "")?.1)
    }

    /// What `status` shows.
    pub(crate) fn status(&self) -> Result<String> {
        Ok(self.request("GET", "/v1/status", "")?.0)
    }

    /// The metrics' text.
    pub(crate) fn metrics(&self) -> Result<String> {
        Ok(self.request("GET", "/metrics", "")?.0)
    }

    /// The body of a response that succeeded, and when its first octets were there.
    fn request(&self, method: &str, path: &str, body: &str) -> Result<(String, Instant)> {
        let name = || format!("{method} {path} on {}", self.socket.display());
        let mut stream = UnixStream::connect(&self.socket).with_context(name)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).with_context(name)?;
        let mut response = vec![0; 16 * 1024];
        let length = stream.read(&mut response).with_context(name)?;
        let acknowledged = Instant::now();
        response.truncate(length);
        stream.read_to_end(&mut response).with_context(name)?;
        let response = String::from_utf8(response).with_context(name)?;
        let (head, body) = response.split_once("\r\n\r\n").with_context(name)?;
        if head.split(' ').nth(1) != Some("200") {
            bail!("{}: {response}", name());
        }
        Ok((body.to_owned(), acknowledged))
    }
}
