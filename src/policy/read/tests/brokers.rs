//! `mqtt`, `amqp` and `grpc` of `[probes.NAME]`.

use std::path::PathBuf;

use super::*;
use crate::policy::{
    AmqpProbe, ClientCertificate, GrpcProbe, MqttProbe, MqttVersion, Password, Sasl, Secret, SharedAccess, TlsSettings,
};

fn kind(keys: &str) -> ProbeKind {
    check_probe(keys, &[]).unwrap().probes[&ProbeName::new("p")].kind.clone()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn file(name: &str) -> PathBuf {
    PathBuf::from("zones").join(name)
}

fn mqtt(port: u16) -> MqttProbe {
    MqttProbe {
        port,
        tls: None,
        alpn: None,
        websocket: None,
        version: MqttVersion::V3,
        client_id: None,
        username: None,
        password: None,
        topic: None,
    }
}

#[test]
fn mqtt_has_the_ports_of_its_ways() {
    let check = |keys: &str, expected: MqttProbe| assert_eq!(kind(keys), ProbeKind::Mqtt(expected), "{keys}");
    let tls = || Some(TlsSettings::default());
    let websocket = || text("/mqtt");
    check("mqtt = {}", mqtt(1883));
    check("mqtt.tls = true", MqttProbe { tls: tls(), ..mqtt(8883) });
    check("mqtt.websocket = \"/mqtt\"", MqttProbe { websocket: websocket(), ..mqtt(80) });
    check(
        "mqtt = { websocket = \"/mqtt\", tls = true }",
        MqttProbe { websocket: websocket(), tls: tls(), ..mqtt(443) },
    );
    check("mqtt = { websocket = \"/mqtt\", port = 9001 }", MqttProbe { websocket: websocket(), ..mqtt(9001) });
}

#[test]
fn mqtt_has_everything_that_a_device_says() {
    let client = ClientCertificate { cert: file("canary.pem"), key: file("canary.key") };
    let expected = MqttProbe {
        tls: Some(TlsSettings { ca: Some(file("ca.pem")), client: Some(client), name: text("hub.example.net") }),
        alpn: text("x-amzn-mqtt-ca"),
        version: MqttVersion::V5,
        client_id: text("canary"),
        username: text("{host}/canary"),
        password: Some(Password::Secret(Secret::Env("CANARY".to_owned()))),
        topic: text("canary/concierge"),
        ..mqtt(443)
    };
    let keys = "[probes.p.mqtt]\nport = 443\ntls = true\nalpn = \"x-amzn-mqtt-ca\"\nversion = \"5\"\nclient_id = \"canary\"\n\
        username = \"{host}/canary\"\npassword = { env = \"CANARY\" }\ntopic = \"canary/concierge\"\nca = \"ca.pem\"\n\
        cert = \"canary.pem\"\nkey = \"canary.key\"\nname = \"hub.example.net\"";
    let probe = kind(keys);
    assert_eq!(probe, ProbeKind::Mqtt(expected));
    assert_eq!(probe.secrets(), [&Secret::Env("CANARY".to_owned())]);
    assert!(probe.tls().is_some());
}

#[test]
fn a_password_may_be_a_token() {
    let keys = "mqtt = { tls = true, username = \"u\", password = { sas = { key = { file = \"k\" }, resource = \"r\", policy = \"n\" } } }";
    let ProbeKind::Mqtt(probe) = kind(keys) else { unreachable!("it is an MQTT probe") };
    let shared = SharedAccess { key: Secret::File(file("k")), resource: "r".to_owned(), policy: text("n") };
    assert_eq!(probe.password, Some(Password::SharedAccess(shared)));
    assert_eq!(ProbeKind::Mqtt(probe).secrets(), [&Secret::File(file("k"))]);
}

#[test]
fn what_mqtt_cannot_say_is_refused() {
    check_probe(
        "mqtt = { alpn = \"mqtt\", name = \"a.example\" }",
        &[
            "2:17: error: `alpn` has no effect without TLS, expected `tls = true` beside it (hint: add `tls = true`, or remove `alpn`)",
            "2:32: error: `name` has no effect without TLS, expected `tls = true` beside it (hint: add `tls = true`, or remove `name`)",
        ],
    );
    check_probe(
        "mqtt = { tls = true, password = { env = \"P\" } }",
        &[
            "2:33: error: `password` stands alone, expected a `username` beside it in MQTT 3.1.1 (hint: add `username`, or write `version = \"5\"`)",
        ],
    );
    check_probe("mqtt = { tls = true, version = \"5\", password = { env = \"P\" } }", &[]);
    check_probe(
        "mqtt = { port = 8883, username = \"u\", password = { env = \"P\" } }",
        &[
            "2:17: warning: port 8883 is probed without TLS (hint: add `tls = true`)",
            "2:50: warning: `password` is sent without TLS (hint: add `tls = true`)",
        ],
    );
    check_probe(
        "mqtt = { version = \"4\" }",
        &["2:20: error: `version` is \"4\", expected one of \"3.1.1\", \"5\" (hint: did you mean \"5\"?)"],
    );
    check_probe(
        "mqtt = { topic = \"canary/#\", client_id = \"\", alpn = \"\", websocket = \"mqtt\" }",
        &[
            "2:18: error: `topic` is \"canary/#\", expected a topic of 1 to 1024 octets, without `+`, `#` and control characters (hint: write such as \"canary/concierge\")",
            "2:42: error: `client_id` is \"\", expected a text of 1 to 256 octets, without control characters (hint: write such as \"canary-1\")",
            "2:53: error: `alpn` is \"\", expected the name of a protocol, of 1 to 255 octets without spaces (hint: write such as \"x-amzn-mqtt-ca\")",
            "2:53: error: `alpn` has no effect without TLS, expected `tls = true` beside it (hint: add `tls = true`, or remove `alpn`)",
            "2:69: error: `websocket` is \"mqtt\", expected a path that starts with `/`, without spaces (hint: write \"/mqtt\")",
        ],
    );
}

/// Neither a password nor a key is repeated.
#[test]
fn a_secret_says_where_it_stands() {
    let hint = "(hint: write `{ file = \"secret.txt\" }`, `{ env = \"NAME\" }` or `{ sas = { … } }`)";
    let check = |password: &str, expected: &[&str]| {
        check_probe(&format!("mqtt = {{ tls = true, username = \"u\", password = {password} }}"), expected);
    };
    check(
        "\"open sesame\"",
        &[&format!("2:49: error: `password` is to say where the secret stands, not what it is {hint}")],
    );
    check(
        "{}",
        &[&format!("2:49: error: `password` has no place of the secret, expected one of `file`, `env`, `sas` {hint}")],
    );
    check(
        "{ file = \"p\", sas = { key = { env = \"K\" }, resource = \"r\" } }",
        &["2:49: error: `password` has two places, `file` and `sas`, expected exactly one (hint: remove one)"],
    );
    check(
        "{ sas = {} }",
        &[
            "2:57: error: `sas` has no `key` (hint: add `key = { file = \"canary.key\" }`)",
            "2:57: error: `sas` has no `resource` (hint: add `resource = \"hub.azure-devices.net/devices/canary\"`)",
        ],
    );
    check(
        "{ sas = { key = \"c2VjcmV0\", resource = \"r\" } }",
        &[
            "2:65: error: `key` is to say where the secret stands, not what it is (hint: write `{ file = \"secret.txt\" }` or `{ env = \"NAME\" }`)",
        ],
    );
}

#[test]
fn amqp_shows_who_it_is() {
    let amqp = |port, sasl| AmqpProbe { port, tls: None, host: None, container_id: None, sasl };
    let check = |keys: &str, expected: AmqpProbe| assert_eq!(kind(keys), ProbeKind::Amqp(expected), "{keys}");
    check("amqp = {}", amqp(5672, Sasl::Anonymous));
    check("amqp.sasl = \"none\"", amqp(5672, Sasl::None));
    let tls = TlsSettings::default();
    let password = Password::Secret(Secret::Env("P".to_owned()));
    let plain = Sasl::Plain { username: "u".to_owned(), password };
    check(
        "amqp = { tls = true, username = \"u\", password = { env = \"P\" }, host = \"vhost:a\", container_id = \"c\" }",
        AmqpProbe { tls: Some(tls), host: text("vhost:a"), container_id: text("c"), ..amqp(5671, plain) },
    );
    let client = Some(ClientCertificate { cert: file("c.pem"), key: file("c.key") });
    let tls = TlsSettings { client, name: text("hub.example.net"), ..TlsSettings::default() };
    check(
        "amqp = { tls = true, sasl = \"external\", cert = \"c.pem\", key = \"c.key\", name = \"hub.example.net\" }",
        AmqpProbe { tls: Some(tls), ..amqp(5671, Sasl::External) },
    );
}

#[test]
fn what_a_mechanism_needs_is_there() {
    check_probe(
        "amqp = { tls = true, username = \"u\" }",
        &["2:33: error: `amqp` has no `password`, which the mechanism `plain` needs (hint: add `password`)"],
    );
    check_probe(
        "amqp = { tls = true, sasl = \"plain\" }",
        &[
            "2:29: error: `amqp` has no `username`, which the mechanism `plain` needs (hint: add `username`)",
            "2:29: error: `amqp` has no `password`, which the mechanism `plain` needs (hint: add `password`)",
        ],
    );
    check_probe(
        "amqp = { sasl = \"anonymous\", username = \"u\" }",
        &[
            "2:41: error: `username` has no effect but with the mechanism `plain` (hint: remove `username`, or write `sasl = \"plain\"`)",
        ],
    );
    check_probe(
        "amqp = { tls = true, sasl = \"external\" }",
        &[
            "2:29: error: the mechanism `external` has no effect without a client certificate (hint: add `tls = true`, `cert` and `key`)",
        ],
    );
    check_probe(
        "amqp = { sasl = \"scram\" }",
        &[
            "2:17: error: `sasl` is \"scram\", expected one of \"plain\", \"external\", \"anonymous\", \"none\" (hint: write \"plain\")",
        ],
    );
    check_probe("amqp = { port = 5671 }", &["2:17: warning: port 5671 is probed without TLS (hint: add `tls = true`)"]);
}

#[test]
fn grpc_asks_for_a_service() {
    let grpc = |service: &str| GrpcProbe { port: 50051, tls: None, host: None, service: service.to_owned() };
    assert_eq!(kind("grpc.port = 50051"), ProbeKind::Grpc(grpc("")));
    let tls = TlsSettings { ca: Some(file("ca.pem")), ..TlsSettings::default() };
    assert_eq!(
        kind("grpc = { port = 50051, service = \"hub.v1\", tls = true, ca = \"ca.pem\", host = \"hub.example.net\" }"),
        ProbeKind::Grpc(GrpcProbe { tls: Some(tls), host: text("hub.example.net"), ..grpc("hub.v1") })
    );
    check_probe("grpc = {}", &["2:8: error: `grpc` has no `port` (hint: add `port = 50051`)"]);
    check_probe(
        "grpc = { port = 1, ca = \"ca.pem\" }",
        &[
            "2:25: error: `ca` has no effect without TLS, expected `tls = true` beside it (hint: add `tls = true`, or remove `ca`)",
        ],
    );
}
