//! What a broker's codes mean, in the words of the standard.

use crate::policy::MqttVersion;

/// The return codes of a CONNACK (MQTT 3.1.1 table 3.1).
const RETURN_CODES: [&str; 6] = [
    "Connection Accepted",
    "unacceptable protocol version",
    "identifier rejected",
    "Server unavailable",
    "bad user name or password",
    "not authorized",
];

/// The reason codes from 0x80 on (MQTT 5.0 2.4), in their order and without a gap.
const REASON_CODES: [&str; 35] = [
    "Unspecified error",
    "Malformed Packet",
    "Protocol Error",
    "Implementation specific error",
    "Unsupported Protocol Version",
    "Client Identifier not valid",
    "Bad User Name or Password",
    "Not authorized",
    "Server unavailable",
    "Server busy",
    "Banned",
    "Server shutting down",
    "Bad authentication method",
    "Keep Alive timeout",
    "Session taken over",
    "Topic Filter invalid",
    "Topic Name invalid",
    "Packet Identifier in use",
    "Packet Identifier not found",
    "Receive Maximum exceeded",
    "Topic Alias invalid",
    "Packet too large",
    "Message rate too high",
    "Quota exceeded",
    "Administrative action",
    "Payload format invalid",
    "Retain not supported",
    "QoS not supported",
    "Use another server",
    "Server moved",
    "Shared Subscriptions not supported",
    "Connection rate exceeded",
    "Maximum connect time",
    "Subscription Identifiers not supported",
    "Wildcard Subscriptions not supported",
];

/// The code of a CONNACK that is not 0, with its name.
///
/// The small codes are those of 3.1.1 also where 5 was asked for: a server that does not speak it answers so (5.0
/// 3.1.2.2). The large ones are those of 5 also where 3.1.1 was asked for, for the same reason.
pub(super) fn refused(version: MqttVersion, code: u8) -> String {
    match RETURN_CODES.get(usize::from(code)) {
        Some(name) if code > 0 => format!("{code} ({name}{})", of_another(version, MqttVersion::V3)),
        _ => match failure(code) {
            Some(name) => format!("0x{code:02x} ({name}{})", of_another(version, MqttVersion::V5)),
            None => format!("0x{code:02x}, which is no code of MQTT"),
        },
    }
}

fn of_another(asked: MqttVersion, answered: MqttVersion) -> String {
    if asked == answered { String::new() } else { format!(", as MQTT {answered} says it") }
}

/// The reason code of a packet that is not a CONNACK, with its name.
pub(super) fn shown(code: u8) -> String {
    match failure(code) {
        Some(name) => format!("0x{code:02x} ({name})"),
        None => format!("0x{code:02x}"),
    }
}

fn failure(code: u8) -> Option<&'static str> {
    REASON_CODES.get(usize::from(code.checked_sub(0x80)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_standards_name() {
        use MqttVersion::{V3, V5};
        let check = |version, code, expected: &str| assert_eq!(refused(version, code), expected);
        check(V3, 1, "1 (unacceptable protocol version)");
        check(V3, 5, "5 (not authorized)");
        check(V3, 6, "0x06, which is no code of MQTT");
        check(V3, 0x84, "0x84 (Unsupported Protocol Version, as MQTT 5 says it)");
        check(V5, 1, "1 (unacceptable protocol version, as MQTT 3.1.1 says it)");
        check(V5, 0x87, "0x87 (Not authorized)");
        check(V5, 0x9f, "0x9f (Connection rate exceeded)");
        check(V5, 0xa2, "0xa2 (Wildcard Subscriptions not supported)");
        check(V5, 0xa3, "0xa3, which is no code of MQTT");
    }

    /// Some of the standard's codes, so that no name has slipped by one.
    #[test]
    fn reason_codes_stand_where_the_standard_has_them() {
        let check = |code, expected: &str| assert_eq!(shown(code), expected);
        check(0x8e, "0x8e (Session taken over)");
        check(0x8f, "0x8f (Topic Filter invalid)");
        check(0x95, "0x95 (Packet too large)");
        check(0x98, "0x98 (Administrative action)");
        check(0x9b, "0x9b (QoS not supported)");
        check(0x04, "0x04");
    }
}
