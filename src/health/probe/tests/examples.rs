//! The examples of `docs/probes.md` for brokers that devices connect to, as they stand there, against mosquitto.
//!
//! Nothing is changed but the port, who issued the broker's certificate, and for Azure IoT Hub the shared access token, which
//! no broker of Debian verifies: a password stands in its place. (How a token is made is tested where it is made.)

use std::path::Path;

use super::mosquitto::Mosquitto;
use super::*;
use crate::diagnostic::{Severity, Source};
use crate::policy::{MqttProbe, Password};

const PAGE: &str = include_str!("../../../../docs/probes.md");
/// What `{host}` is here.
const HOST: &str = "127.0.0.1";

/// The probes of the first block of TOML that comes after this line.
fn examples(heading: &str, folder: &Path) -> Vec<MqttProbe> {
    let (_, after) = PAGE.split_once(&format!("\n{heading}\n")).expect("the page has the heading");
    let block = after.split("```toml\n").nth(1).and_then(|block| block.split("\n```").next()).unwrap();
    let source = Source::new(folder.join("examples.toml"), block);
    let (policy, problems) = crate::policy::read(&[source], &[]);
    let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let probes = policy.unwrap().probes;
    let mqtt = probes.values().map(|probe| match &probe.kind {
        ProbeKind::Mqtt(mqtt) => mqtt.clone(),
        other => panic!("{other:?}"),
    });
    mqtt.collect()
}

/// Observes an example at a port of the broker.
async fn observe_at(broker: &Mosquitto, port: u16, example: MqttProbe) -> Outcome {
    let tls = example.tls.map(|tls| TlsSettings { ca: Some(broker.folder.file("ca.pem")), ..tls });
    assert!(tls.is_some(), "devices come in by TLS alone");
    observe(probe(ProbeKind::Mqtt(MqttProbe { port, tls, ..example })), &[V4]).await
}

#[tokio::test]
async fn a_broker_of_ones_own() {
    let broker = Mosquitto::start().await;
    broker.folder.secret("canary.password", "open sesame\n");
    let examples = examples("## `mqtt`", broker.folder.path());
    let [websocket, session] = <[MqttProbe; 2]>::try_from(examples).unwrap();
    assert_eq!(session.topic.as_deref(), Some("canary/concierge"));
    assert_eq!(observe_at(&broker, broker.tls, session).await, Outcome::Good);
    // It is one without a name and a password, which this broker does not let in: it is found in its WebSocket.
    let refused = observe_at(&broker, broker.secure_websocket, websocket).await;
    let expected =
        format!("expected code 0 in the CONNACK from {HOST}:{}, got 0x87 (Not authorized)", broker.secure_websocket);
    assert_failed(&refused, &expected);
}

#[tokio::test]
async fn azure_iot_hub() {
    let broker = Mosquitto::with_user(&format!("{HOST}/canary/?api-version=2021-04-12")).await;
    // The key that makes the token: it is there, and in base64.
    broker.folder.secret("canary.key", "c2VjcmV0IG9mIGEgY2FuYXJ5\n");
    let password = || Some(Password::Secret(broker.folder.secret("token", "open sesame\n")));
    let examples = examples("### Azure IoT Hub", broker.folder.path());
    let [session, websocket] = <[MqttProbe; 2]>::try_from(examples).unwrap();
    assert!(matches!(&session.password, Some(Password::SharedAccess(_))), "{session:?}");
    // With its own password it comes to the broker, which knows no tokens.
    let refused = observe_at(&broker, broker.tls, session.clone()).await;
    assert_failed(
        &refused,
        &format!("expected code 0 in the CONNACK from {HOST}:{}, got 5 (not authorized)", broker.tls),
    );
    assert_eq!(observe_at(&broker, broker.tls, MqttProbe { password: password(), ..session }).await, Outcome::Good);
    assert!(websocket.websocket.as_deref().is_some_and(|path| path.starts_with("/$iothub/websocket?")));
    let websocket = MqttProbe { password: password(), ..websocket };
    assert_eq!(observe_at(&broker, broker.secure_websocket, websocket).await, Outcome::Good);
}

#[tokio::test]
async fn aws_iot_core() {
    let broker = Mosquitto::start().await;
    let examples = examples("### AWS IoT Core", broker.folder.path());
    let [session, named] = <[MqttProbe; 2]>::try_from(examples).unwrap();
    assert_eq!((session.topic.as_deref(), named.alpn.as_deref()), (Some("canary/concierge"), Some("x-amzn-mqtt-ca")));
    for example in [session, named] {
        assert!(example.tls.as_ref().is_some_and(|tls| tls.client.is_some()), "{example:?}");
        assert_eq!(observe_at(&broker, broker.mutual, example).await, Outcome::Good);
    }
}
