//! Servers that others wrote, from Debian: python3, openssl, nghttpd and knotd.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::dns::{Rcode, Rtype};
use crate::policy::{DnsProbe, TlsProbe};
use crate::zone::parse_rdata;

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

/// OpenSSL's server with the identity of a folder, with more arguments.
fn openssl(folder: &TempDir, arguments: &[&str]) -> Peer {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem"]).args(arguments);
    Peer::start(command.current_dir(folder.path()), "ACCEPT 127.0.0.1:")
}

#[tokio::test]
async fn openssls_server() {
    let folder = TempDir::new().unwrap();
    identity(&folder);
    let peer = openssl(&folder, &["-www"]);
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

/// Observes until it is good, which a server that starts becomes at some time.
async fn becomes_good(probe: &Probe) {
    let mut last = Outcome::Good;
    for _ in 0..200 {
        last = observe(probe.clone(), &[V4]).await;
        if last == Outcome::Good {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{last:?}");
}

/// A server that does not say that it has started.
struct Silent(Child);

impl Silent {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A key and a certificate for hub.example.net, as `key.pem` and `cert.pem`.
fn identity(folder: &TempDir) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=hub"])
        .args(["-addext", "subjectAltName=DNS:hub.example.net", "-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn nghttpds_http_2() {
    let folder = TempDir::new().unwrap();
    identity(&folder);
    std::fs::write(folder.path().join("health"), "registry: complete\n").unwrap();
    let start = |port: u16, tls: bool| {
        let mut command = Command::new("nghttpd");
        command.args(["-a", "127.0.0.1", "-d", "."]).current_dir(folder.path());
        if tls {
            command.arg(port.to_string()).args(["key.pem", "cert.pem"]);
        } else {
            command.arg("--no-tls").arg(port.to_string());
        }
        Silent::start(&mut command)
    };
    for tls in [false, true] {
        let port = closed_port(V4).await;
        let _peer = start(port, tls);
        let settings = tls.then(|| trusting(Some(folder.path().join("cert.pem"))));
        let mut two = HttpProbe {
            tls: settings,
            host: Some("hub.example.net".to_owned()),
            path: "/health".to_owned(),
            version: HttpVersion::Two,
            ..http(port)
        };
        two.expect.body = Some("complete".to_owned());
        becomes_good(&probe(ProbeKind::Http(two.clone()))).await;
        for keep_alive in [false, true] {
            let prober = Arc::new(Prober::new(&[]));
            let kept = Arc::new(probe(ProbeKind::Http(HttpProbe { keep_alive, ..two.clone() })));
            for _ in 0..3 {
                let outcome = prober.observe(&kept, &Target::Addresses(vec![V4])).await.outcome;
                assert_eq!(outcome, Outcome::Good);
            }
        }
        let missing = HttpProbe { path: "/none".to_owned(), ..two.clone() };
        let expected = format!("expected status 200 to 299 from 127.0.0.1:{port}, got 404");
        assert_failed(&observe(probe(ProbeKind::Http(missing)), &[V4]).await, &expected);
        let one = HttpProbe { version: HttpVersion::One, ..two };
        assert!(matches!(observe(probe(ProbeKind::Http(one)), &[V4]).await, Outcome::Failed(_)));
    }
}

#[tokio::test]
async fn a_server_without_http_2_says_so() {
    let folder = TempDir::new().unwrap();
    identity(&folder);
    let peer = openssl(&folder, &["-www"]);
    let two = HttpProbe {
        tls: Some(trusting(Some(folder.path().join("cert.pem")))),
        host: Some("hub.example.net".to_owned()),
        version: HttpVersion::Two,
        ..http(peer.port)
    };
    let expected = format!("expected HTTP/2 from 127.0.0.1:{}, which does not offer it", peer.port);
    assert_failed(&observe(probe(ProbeKind::Http(two)), &[V4]).await, &expected);
}

/// With a client certificate demanded, in both versions of TLS.
#[tokio::test]
async fn openssls_certificate() {
    let folder = TempDir::new().unwrap();
    identity(&folder);
    for version in ["-tls1_2", "-tls1_3"] {
        let demanding = ["-Verify", "1", "-verify_return_error", "-CAfile", "cert.pem"];
        let peer = openssl(&folder, &[&[version], &demanding[..]].concat());
        let file = |name: &str| folder.path().join(name);
        let settings = TlsSettings { name: Some("hub.example.net".to_owned()), ..trusting(Some(file("cert.pem"))) };
        let day = Duration::from_hours(24);
        let of = |settings: TlsSettings| {
            let tls = TlsProbe { port: peer.port, settings, expiry_fail: Some(day), expiry_warn: 14 * day };
            Arc::new(probe(ProbeKind::Tls(tls)))
        };
        let prober = Arc::new(Prober::new(&[]));
        let target = Target::Addresses(vec![V4]);
        let Outcome::Failed(sentence) = prober.observe(&of(settings.clone()), &target).await.outcome else {
            panic!("{version}: it demands a client certificate")
        };
        assert!(sentence.contains(&format!("127.0.0.1:{}", peer.port)), "{sentence}");
        let client = Some(ClientCertificate { cert: file("cert.pem"), key: file("key.pem") });
        let seen = prober.observe(&of(TlsSettings { client, ..settings }), &target).await;
        assert_eq!(seen.outcome, Outcome::Good, "{version}");
        let note = seen.remarks.note.expect("it is valid for two days");
        assert!(note.starts_with("certificate for `hub.example.net` expires at "), "{note}");
    }
}

#[tokio::test]
async fn knots_zone() {
    let folder = TempDir::new().unwrap();
    let port = closed_port(V4).await;
    let long: String = (0..8).map(|at| format!("long TXT \"{}\"\n", format!("{at}").repeat(200))).collect();
    let zone = format!("$ORIGIN example.net.\n$TTL 60\n@ SOA ns 1 1 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n{long}");
    std::fs::write(folder.path().join("example.net.zone"), zone).unwrap();
    let place = folder.path().display();
    let config = format!(
        "server:\n  rundir: \"{place}\"\n  listen: 127.0.0.1@{port}\ndatabase:\n  storage: \"{place}\"\n\
         zone:\n  - domain: example.net\n    storage: \"{place}\"\n    file: example.net.zone\n"
    );
    std::fs::write(folder.path().join("knot.conf"), config).unwrap();
    let _peer = Silent::start(Command::new("knotd").arg("-c").arg(folder.path().join("knot.conf")));
    let ask = |owner: &str, rtype: Rtype, rcode: Rcode, answer: Option<&str>| {
        let answer = answer.map(|text| parse_rdata(rtype, text, &Name::root()).unwrap());
        probe(ProbeKind::Dns(DnsProbe { port, name: name(owner), rtype, rcode, answer }))
    };
    becomes_good(&ask("example.net.", Rtype::SOA, Rcode::NOERROR, None)).await;
    let good = async |probe| assert_eq!(observe(probe, &[V4]).await, Outcome::Good);
    good(ask("ns.example.net.", Rtype::A, Rcode::NOERROR, Some("192.0.2.1"))).await;
    good(ask("example.net.", Rtype::NS, Rcode::NOERROR, Some("NS.example.net."))).await;
    good(ask("none.example.net.", Rtype::A, Rcode::NXDOMAIN, None)).await;
    good(ask("example.org.", Rtype::A, Rcode::REFUSED, None)).await;
    // More than a datagram without EDNS holds: it comes over TCP.
    let last = format!("\"{}\"", "7".repeat(200));
    good(ask("long.example.net.", Rtype::TXT, Rcode::NOERROR, Some(&last))).await;
    let outcome = observe(ask("long.example.net.", Rtype::TXT, Rcode::NOERROR, Some("\"8\"")), &[V4]).await;
    let Outcome::Failed(sentence) = outcome else { panic!("{outcome:?}") };
    assert!(sentence.starts_with("expected `\"8\"` for `long.example.net.` TXT from "), "{sentence}");
    assert!(sentence.ends_with(", and 4 more"), "{sentence}");
}
