//! The public listener of the real process, and other people's tools to verify what it says.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Daemon, QUICK, Region, Site, eventually, health, ran, text};

/// The page for developers of devices.
const PAGE: &str = include_str!("../../docs/evidence.md");

const PORT: u16 = 8053;

const PATIENCE: Duration = Duration::from_secs(30);

fn site() -> Site {
    let site = Site::new(QUICK);
    let listen = format!("[public]\nlisten = [\"{}:{PORT}\"]\n[health]", site.net.address(1));
    site.edit("config/concierge.toml", "[health]", &listen);
    site
}

/// Its daemon, with both regions up.
fn running(site: &Site) -> (Region, Region, Daemon) {
    let (weu, neu) = (Region::start(site.net.weu()), Region::start(site.net.neu()));
    let daemon = Daemon::start(site);
    assert!(eventually(PATIENCE, || health(site, "up")), "{}", site.status());
    (weu, neu, daemon)
}

fn url(site: &Site) -> String {
    format!("http://{}:{PORT}", site.net.address(1))
}

/// What curl gets: the status, and the body.
fn get(url: &str, fields: &[&str]) -> (String, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"]);
    for field in fields {
        command.args(["--header", field]);
    }
    let ran = ran(&command.arg(url).output().expect("Debian package: curl"));
    assert_eq!(ran.code, Some(0), "{url}: {}", ran.err);
    let (body, status) = ran.out.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

/// A script of the page, by its position.
fn script(position: usize) -> &'static str {
    PAGE.split("```sh\n").nth(position + 1).unwrap().split("```").next().unwrap()
}

/// The tag of what is said, for `If-None-Match`.
fn seen(url: &str) -> String {
    let mut command = Command::new("curl");
    let ran = ran(&command.args(["--silent", "--show-error", "--head", "--max-time", "60", url]).output().unwrap());
    let tag = ran.out.lines().find_map(|line| line.strip_prefix("etag: "));
    format!("If-None-Match: {}", tag.unwrap_or_else(|| panic!("{url}: {} {}", ran.out, ran.err)).trim_end())
}

/// The script of the page, for this listener, in this folder.
fn verify(site: &Site, folder: &Path) -> String {
    let script = script(0);
    assert!(script.contains("URL=http://127.0.0.1:8053\n"), "{script}");
    let script = script.replace("URL=http://127.0.0.1:8053\n", &format!("URL={}\n", url(site)));
    let output = Command::new("sh").arg("-euc").arg(script).current_dir(folder).output().unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn the_pages_commands_verify_what_a_device_is_told() {
    let site = site();
    let _running = running(&site);
    let folder = tempfile::tempdir().unwrap();
    let said = verify(&site, folder.path());
    assert!(said.contains("Signature Verified Successfully"), "{said}");
    let body: Value = serde_json::from_slice(&std::fs::read(folder.path().join("body")).unwrap()).unwrap();
    assert_eq!((&body["region"], &body["epoch"]), (&"westeurope".into(), &1.into()));
    assert_eq!(body["answer"], serde_json::json!(["CNAME hub-weu.example.net."]));

    // One octet changed, and it verifies no more.
    std::fs::write(folder.path().join("input"), "x").unwrap();
    let openssl = ["pkeyutl", "-verify", "-pubin", "-inkey", "key.der", "-keyform", "DER", "-rawin", "-in", "input"];
    let output =
        Command::new("openssl").args(openssl).args(["-sigfile", "signature"]).current_dir(folder.path()).output();
    assert_ne!(output.unwrap().status.code(), Some(0));
}

#[test]
fn a_device_that_waits_is_told_of_the_switch_and_a_restart_keeps_key_and_epoch() {
    let site = site();
    let (_weu, _neu, daemon) = running(&site);
    let hub = format!("{}/v1/hubs/hub.example.net", url(&site));
    let waiting = std::thread::spawn({
        let (seen, hub) = (seen(&hub), format!("{hub}?wait=5m"));
        move || get(&hub, &[&seen])
    });
    let metrics = || text(&metrics(&site));
    let waits = || metrics().contains("\nconcierge_public_waiting 1");
    assert!(eventually(PATIENCE, waits), "{}", metrics());
    site.ok(&["mark", "westeurope", "down", "--reason", "test"]);
    let (status, body) = waiting.join().unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status.as_str(), &body["region"], &body["epoch"]), ("200", &"northeurope".into(), &2.into()));

    let probe = |region: &str| get(&format!("{}/probe/active/{region}", url(&site)), &[]).0;
    assert_eq!((probe("westeurope"), probe("northeurope")), ("503".into(), "200".into()));
    let keys = get(&format!("{}/v1/keys", url(&site)), &[]);
    daemon.kill();
    let mut daemon = Daemon::start(&site);
    assert_eq!(get(&format!("{}/v1/keys", url(&site)), &[]), keys);
    // A slot of time can end between the two requests.
    assert!(eventually(PATIENCE, || get(&hub, &[&seen(&hub)]).0 == "304"));
    assert!(metrics().contains("concierge_public_responses_total{route=\"hub\",status=\"3xx\"} 1"), "{}", metrics());
    daemon.signal("TERM");
    assert!(eventually(PATIENCE, || daemon.child.try_wait().unwrap().is_some()), "it does not end");
}

#[test]
fn the_pages_commands_change_the_key() {
    let site = site();
    let (_weu, _neu, daemon) = running(&site);
    let state = site.path("state");
    let keys =
        || serde_json::from_str::<Value>(&get(&format!("{}/v1/keys", url(&site)), &[]).1).unwrap()["keys"].clone();
    let before = keys();
    for position in [1, 2] {
        let output = Command::new("sh").arg("-euc").arg(script(position)).current_dir(&state).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    daemon.kill();
    let next: Value = serde_json::from_slice(&std::fs::read(state.join("next.jwk")).unwrap()).unwrap();
    let daemon = Daemon::start(&site);
    assert_eq!(keys(), serde_json::json!([next]));
    assert_ne!(keys(), before);
    let folder = tempfile::tempdir().unwrap();
    let said = verify(&site, folder.path());
    assert!(said.contains("Signature Verified Successfully"), "{said}");
    daemon.kill();

    // The same key as PEM.
    let mut command = Command::new("openssl");
    command.args(["pkey", "-inform", "DER", "-in", "evidence.key", "-out", "evidence.pem"]);
    assert!(command.current_dir(&state).status().unwrap().success());
    std::fs::rename(state.join("evidence.pem"), state.join("evidence.key")).unwrap();
    let daemon = Daemon::start(&site);
    assert_eq!(keys(), serde_json::json!([next]));

    // And no key: a reload and a check say so before the next start does.
    std::fs::write(state.join("evidence.key"), "x").unwrap();
    for asks in ["reload", "check"] {
        let refused = site.run(&[asks]);
        assert_eq!(refused.code, Some(78), "{refused:?}");
        for part in ["evidence.key is no Ed25519 private key in PKCS#8", "put a copy of the key back"] {
            assert!(refused.err.contains(part), "{asks}: {refused:?}");
        }
    }
    assert_eq!(keys(), serde_json::json!([next]), "what runs goes on");
    daemon.kill();

    // Nothing is answered then, and it says what to do.
    let refused = site.run(&["serve"]);
    assert_ne!(refused.code, Some(0));
    let said = refused.err + &refused.out;
    assert!(
        said.contains("is no Ed25519 private key in PKCS#8") && said.contains("put a copy of the key back"),
        "{said}"
    );
    assert!(!said.contains("answering on"), "{said}");
}

fn metrics(site: &Site) -> Vec<u8> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--unix-socket"]).arg(site.socket()).arg("http://localhost/metrics");
    command.output().unwrap().stdout
}
