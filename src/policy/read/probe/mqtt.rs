//! `mqtt = { … }`.

use super::super::super::{MqttProbe, MqttVersion, ProbeKind};
use super::broker::{read_identifier, read_password, read_username, say_in_clear};
use super::http::read_path;
use super::keys::TlsKeys;
use crate::diagnostic::Diagnostic;
use crate::document::Value;

const VERSIONS: [(&str, MqttVersion); 2] = [("3.1.1", MqttVersion::V3), ("5", MqttVersion::V5)];

/// Octets of a topic.
const MOST_TOPIC: usize = 1024;

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`mqtt`", "`mqtt = { port = 8883, tls = true }`", problems)?;
    let port = table.setting("port", problems, Value::port);
    let tls = table.setting("tls", problems, Value::flag).or(false);
    let websocket = table.setting("websocket", problems, read_path);
    let version = table.setting("version", problems, |value, problems| value.word(&VERSIONS, problems));
    let client_id = table.setting("client_id", problems, read_identifier);
    let username = table.setting("username", problems, read_username);
    let password = table.setting("password", problems, read_password);
    let topic = table.setting("topic", problems, read_topic);
    let alpn = table.setting("alpn", problems, read_protocol);
    let keys = TlsKeys::read(&mut table, problems).named(&mut table, problems);
    table.close(problems);
    let settings = keys.settings(tls, problems);
    let mut good = true;
    let mut refuse = |place, message: &str, hint: &str| {
        problems.push(Diagnostic::error(place, message).hint(hint));
        good = false;
    };
    if let (Some(place), Some(false)) = (alpn.place(), tls) {
        let message = "`alpn` has no effect without TLS, expected `tls = true` beside it";
        refuse(place, message, "add `tls = true`, or remove `alpn`");
    }
    if let (Some(place), false, Some(MqttVersion::V3)) =
        (password.place(), username.is_written(), version.clone().or(MqttVersion::V3))
    {
        let message = "`password` stands alone, expected a `username` beside it in MQTT 3.1.1";
        refuse(place, message, "add `username`, or write `version = \"5\"`");
    }
    if let (Some((8883, place)), Some(false)) = (port.placed(), tls) {
        let problem = Diagnostic::warning(place.clone(), "port 8883 is probed without TLS");
        problems.push(problem.hint("add `tls = true`"));
    }
    say_in_clear(&password, tls, problems);
    let (tls, websocket) = (tls?, websocket.optional()?);
    let usual = match (&websocket, tls) {
        (None, false) => 1883,
        (None, true) => 8883,
        (Some(_), false) => 80,
        (Some(_), true) => 443,
    };
    let probe = MqttProbe {
        port: port.or(usual)?,
        tls: settings?,
        alpn: alpn.optional()?,
        websocket,
        version: version.or(MqttVersion::V3)?,
        client_id: client_id.optional()?,
        username: username.optional()?,
        password: password.optional()?,
        topic: topic.optional()?,
    };
    good.then_some(ProbeKind::Mqtt(probe))
}

/// A topic that can be both published to and subscribed to: without wildcards (3.1.1 4.7).
fn read_topic(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "a topic of 1 to 1024 octets, without `+`, `#` and control characters";
    const EXAMPLE: &str = "such as \"canary/concierge\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let bad = |character: char| matches!(character, '+' | '#') || character.is_control();
    if !(1..=MOST_TOPIC).contains(&text.len()) || text.contains(bad) {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
        return None;
    }
    Some(text.into())
}

/// The name of a protocol in a TLS handshake (RFC 7301 3.1).
fn read_protocol(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "the name of a protocol, of 1 to 255 octets without spaces";
    const EXAMPLE: &str = "such as \"x-amzn-mqtt-ca\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    if !(1..=255).contains(&text.len()) || !text.bytes().all(|octet| octet.is_ascii_graphic()) {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
        return None;
    }
    Some(text.into())
}
