//! The `mqtt` probe and mosquitto, from Debian.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::brokers::{Folder, failed};
use super::mqtt::{mqtt, observe_mqtt};
use super::*;
use crate::policy::{MqttProbe, MqttVersion, Password};

const VERSIONS: [MqttVersion; 2] = [MqttVersion::V3, MqttVersion::V5];

/// A broker that ends with the test.
pub(super) struct Mosquitto {
    process: Child,
    pub(super) folder: Folder,
    plain: u16,
    pub(super) tls: u16,
    pub(super) mutual: u16,
    websocket: u16,
    pub(super) secure_websocket: u16,
}

impl Mosquitto {
    pub(super) async fn start() -> Self {
        Self::with_user("canary").await
    }

    /// With a user of this name, whose password is `open sesame`.
    pub(super) async fn with_user(user: &str) -> Self {
        let folder = Folder::new();
        let file = |name: &str| folder.file(name).display().to_string();
        let made = Command::new("mosquitto_passwd")
            .args(["-b", "-c", &file("passwords"), user, "open sesame"])
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        std::fs::write(file("acl"), "user canary\ntopic readwrite canary/#\ntopic read read-only\n").unwrap();
        let tls =
            format!("cafile {}\ncertfile {}\nkeyfile {}\n", file("ca.pem"), file("server.pem"), file("server.key"));
        for _ in 0..20 {
            let mut ports = Vec::new();
            for _ in 0..5 {
                ports.push(closed_port(V4).await);
            }
            let &[plain, secure, mutual, websocket, secure_websocket] = ports.as_slice() else { unreachable!() };
            let settings = format!(
                "user root\nlog_dest stderr\nlog_type all\nallow_anonymous false\npassword_file {passwords}\nacl_file {acl}\n\
                listener {plain} 127.0.0.1\n\
                listener {secure} 127.0.0.1\n{tls}\
                listener {mutual} 127.0.0.1\n{tls}require_certificate true\nuse_identity_as_username true\n\
                listener {websocket} 127.0.0.1\nprotocol websockets\n\
                listener {secure_websocket} 127.0.0.1\nprotocol websockets\n{tls}",
                passwords = file("passwords"),
                acl = file("acl"),
            );
            std::fs::write(file("mosquitto.conf"), settings).unwrap();
            let mut process = Command::new("mosquitto")
                .args(["-c", &file("mosquitto.conf")])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // It says that it runs, or ends for want of a port.
            let mut log = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
            if log.any(|line| line.contains("running")) {
                // What it says further is read, so that it never waits for a reader.
                std::thread::spawn(move || log.for_each(drop));
                return Self { process, folder, plain, tls: secure, mutual, websocket, secure_websocket };
            }
            drop(process.wait());
        }
        panic!("mosquitto does not start");
    }

    /// A session of the canary at one of the ports.
    fn canary(&self, port: u16) -> MqttProbe {
        let password = self.folder.secret("password", "open sesame\n");
        MqttProbe {
            client_id: None,
            username: Some("canary".to_owned()),
            password: Some(Password::Secret(password)),
            ..mqtt(port)
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// With and without a message, in both versions.
async fn check_good(probe: MqttProbe) {
    for version in VERSIONS {
        for topic in [None, Some("canary/concierge".to_owned())] {
            let probe = MqttProbe { version, topic, ..probe.clone() };
            assert_eq!(observe_mqtt(probe.clone()).await, Outcome::Good, "{probe:?}");
        }
    }
}

#[tokio::test]
async fn every_way_in_is_good() {
    let broker = Mosquitto::start().await;
    let trusted = Some(broker.folder.trusted());
    let websocket = Some("/mqtt".to_owned());
    check_good(broker.canary(broker.plain)).await;
    check_good(MqttProbe { tls: trusted.clone(), ..broker.canary(broker.tls) }).await;
    let named = TlsSettings { name: Some("hub.example.net".to_owned()), ..broker.folder.trusted() };
    check_good(MqttProbe { tls: Some(named), ..broker.canary(broker.tls) }).await;
    check_good(MqttProbe { tls: Some(broker.folder.mutual()), client_id: None, ..mqtt(broker.mutual) }).await;
    check_good(MqttProbe { websocket: websocket.clone(), ..broker.canary(broker.websocket) }).await;
    check_good(MqttProbe { websocket, tls: trusted, ..broker.canary(broker.secure_websocket) }).await;
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let broker = Mosquitto::start().await;
    let wrong = Some(Password::Secret(broker.folder.secret("wrong", "open barley")));
    for (version, code) in [(MqttVersion::V3, "5 (not authorized)"), (MqttVersion::V5, "0x87 (Not authorized)")] {
        let expected = format!("expected code 0 in the CONNACK from 127.0.0.1:{}, got {code}", broker.plain);
        let other = MqttProbe { version, password: wrong.clone(), ..broker.canary(broker.plain) };
        assert_failed(&observe_mqtt(other).await, &expected);
        let nobody = MqttProbe { version, ..mqtt(broker.plain) };
        assert_failed(&observe_mqtt(nobody).await, &expected);
    }
}

#[tokio::test]
async fn a_message_that_is_not_allowed_does_not_come_back() {
    let broker = Mosquitto::start().await;
    let topic = Some("read-only".to_owned());
    let silent = MqttProbe { topic: topic.clone(), ..broker.canary(broker.plain) };
    let outcome = observe(within_ms(1_000, probe(ProbeKind::Mqtt(silent))), &[V4]).await;
    let peer = format!("127.0.0.1:{}", broker.plain);
    // Version 3.1.1 cannot say it.
    assert_failed(&outcome, &format!("timed out after 1 s while waiting for the published message from {peer}"));

    let told = MqttProbe { topic, version: MqttVersion::V5, ..broker.canary(broker.plain) };
    let expected = format!("{peer} refused PUBLISH to `read-only`: 0x87 (Not authorized)");
    assert_failed(&observe_mqtt(told).await, &expected);
}

#[tokio::test]
async fn a_client_certificate_is_required() {
    let broker = Mosquitto::start().await;
    let sentence = failed(observe_mqtt(MqttProbe { tls: Some(broker.folder.trusted()), ..mqtt(broker.mutual) }).await);
    // The alert comes after the handshake of TLS 1.3, and may come after the reset of the connection.
    let peer = format!("127.0.0.1:{}", broker.mutual);
    let told = format!("{peer} ended the TLS session before the CONNACK: it requires a client certificate");
    let closed = format!("{peer} closed the connection before the CONNACK");
    assert!(sentence == told || sentence == closed, "{sentence}");
}

/// What is retained on the topic, or published there by others, is not taken for the message.
#[tokio::test]
async fn other_messages_on_the_topic_are_passed_over() {
    let broker = Mosquitto::start().await;
    let published = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &broker.plain.to_string(), "-u", "canary", "-P", "open sesame"])
        .args(["-t", "canary/concierge", "-r", "-m", "concierge retained"])
        .status();
    assert!(published.unwrap().success());
    check_good(broker.canary(broker.plain)).await;
}
