//! Servers that others wrote, from Debian: python3 and openssl.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::*;

/// A server that ends with the test.
pub(super) struct Peer {
    process: Child,
    pub(super) port: u16,
}

impl Peer {
    /// Starts it and reads the port from the first line that has `before` in front of it.
    pub(super) fn start(command: &mut Command, before: &str) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let digits: String = line.split_once(before)?.1.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        Self { process, port: port.expect("the server says its port") }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test]
async fn pythons_http_server() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("health"), "registry: complete\n").unwrap();
    let peer = Peer::start(
        Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .current_dir(folder.path()),
        " port ",
    );
    let at = |path: &str, text: &str| {
        let mut http = http(peer.port);
        http.path = path.to_owned();
        http.expect.body = Some(text.to_owned());
        probe(ProbeKind::Http(http))
    };
    assert_eq!(observe(at("/health", "complete"), &[V4]).await, Outcome::Good);
    let expected = format!("expected `stale` in the body from 127.0.0.1:{}, got 19 octets without it", peer.port);
    assert_failed(&observe(at("/health", "stale"), &[V4]).await, &expected);
    let expected = format!("expected status 200 to 299 from 127.0.0.1:{}, got 404", peer.port);
    assert_failed(&observe(at("/none", "complete"), &[V4]).await, &expected);
}

#[tokio::test]
async fn openssls_server() {
    let folder = TempDir::new().unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=hub"])
        .args(["-addext", "subjectAltName=DNS:hub.example.net", "-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let peer = Peer::start(
        Command::new("openssl")
            .args(["s_server", "-www", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem"])
            .current_dir(folder.path()),
        "ACCEPT 127.0.0.1:",
    );
    let for_host = |host: &str| {
        let ca = Some(folder.path().join("cert.pem"));
        let mut http = HttpProbe { tls: Some(trusting(ca)), host: Some(host.to_owned()), ..http(peer.port) };
        http.expect.body = Some("Ciphers supported".to_owned());
        probe(ProbeKind::Http(http))
    };
    assert_eq!(observe(for_host("hub.example.net"), &[V4]).await, Outcome::Good);
    let expected = format!(
        "certificate of 127.0.0.1:{} is not valid for `other.example.net`: it is for hub.example.net",
        peer.port
    );
    assert_failed(&observe(for_host("other.example.net"), &[V4]).await, &expected);
}
