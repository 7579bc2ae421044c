//! The packets of MQTT 3.1.1 and 5 that a probe writes and reads.
//!
//! What is written is small and valid; what is read may be anything, and is refused where devices could not read it
//! either. What a probe has no use for is skipped by its length.
//!
//! Deliberately absent: QoS 2, wills, retained messages and topic aliases.

use super::super::octets::Octets;
use crate::policy::MqttVersion;

/// Most octets of a packet that is read. Larger ones are refused, and a broker that speaks 5 is asked not to send any.
pub(super) const MAX_PACKET: usize = 64 * 1024;

/// Seconds in which a client says something: more than any observation takes, so that no PINGREQ is ever due.
const KEEP_ALIVE: u16 = 120;

/// The one packet identifier: there is never more than one SUBSCRIBE or one PUBLISH under way.
const PACKET_IDENTIFIER: [u8; 2] = [0, 1];

/// As whom a session is asked for.
pub(super) struct Identity<'a> {
    /// The client identifier.
    pub(super) client_id: &'a str,
    /// The user name.
    pub(super) username: Option<&'a str>,
    /// The password.
    pub(super) password: Option<&'a [u8]>,
}

/// How surely a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Qos {
    /// At most once.
    Zero,
    /// At least once.
    One,
}

/// A CONNECT for a session that begins clean and ends with the connection (3.1.1 3.1, 5.0 3.1).
pub(super) fn connect(version: MqttVersion, identity: &Identity<'_>) -> Vec<u8> {
    let (username, password) = (identity.username.map(str::as_bytes), identity.password);
    let flag = |field: Option<&[u8]>, bit: u8| field.map_or(0, |_| 1 << bit);
    let level = match version {
        MqttVersion::V3 => 4,
        MqttVersion::V5 => 5,
    };
    let mut body = Vec::new();
    put_field(&mut body, b"MQTT");
    // Clean Session, or Clean Start, is bit 1.
    body.extend([level, flag(username, 7) | flag(password, 6) | 0b10]);
    body.extend(KEEP_ALIVE.to_be_bytes());
    if version == MqttVersion::V5 {
        // Maximum Packet Size (5.0 3.1.2.11.4).
        body.extend([5, 0x27]);
        body.extend((MAX_PACKET as u32).to_be_bytes());
    }
    put_field(&mut body, identity.client_id.as_bytes());
    for field in [username, password].into_iter().flatten() {
        put_field(&mut body, field);
    }
    packet(0x10, &body)
}

/// A SUBSCRIBE to one topic, delivered at most once.
pub(super) fn subscribe(version: MqttVersion, topic: &str) -> Vec<u8> {
    let mut body = PACKET_IDENTIFIER.to_vec();
    put_no_properties(&mut body, version);
    put_field(&mut body, topic.as_bytes());
    body.push(0);
    packet(0x82, &body)
}

/// A PUBLISH of a message that is not retained.
pub(super) fn publish(version: MqttVersion, topic: &str, qos: Qos, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    put_field(&mut body, topic.as_bytes());
    if qos == Qos::One {
        body.extend(PACKET_IDENTIFIER);
    }
    put_no_properties(&mut body, version);
    body.extend(payload);
    packet(if qos == Qos::One { 0x32 } else { 0x30 }, &body)
}

/// The DISCONNECT of a session that ends as it should, which is the same in both versions.
pub(super) fn disconnect() -> Vec<u8> {
    packet(0xe0, &[])
}

fn put_no_properties(body: &mut Vec<u8>, version: MqttVersion) {
    if version == MqttVersion::V5 {
        body.push(0);
    }
}

/// A field with its length before it. The policy's reader admits nothing that does not fit.
fn put_field(body: &mut Vec<u8>, field: &[u8]) {
    let field = &field[..field.len().min(usize::from(u16::MAX))];
    body.extend((field.len() as u16).to_be_bytes());
    body.extend(field);
}

/// A packet with its fixed header (3.1.1 2.2).
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut left = body.len();
    loop {
        let group = (left & 0x7f) as u8;
        left >>= 7;
        packet.push(if left > 0 { group | 0x80 } else { group });
        if left == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// A packet that a broker sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The answer to a CONNECT.
    ConnAck {
        /// 0, or why not.
        code: u8,
        /// What there is to say about it, in the broker's words.
        text: Option<&'a [u8]>,
        /// Whether the broker takes no message of a QoS above 0 (5.0 3.2.2.3.4).
        only_qos_0: bool,
    },
    /// The answer to a SUBSCRIBE of one topic.
    SubAck {
        /// The QoS granted, or why none is.
        code: u8,
        /// What there is to say about it, in the broker's words.
        text: Option<&'a [u8]>,
    },
    /// The answer to a PUBLISH of QoS 1.
    PubAck {
        /// Below 0x80, or why the message was not taken; 3.1.1 has none.
        code: u8,
        /// What there is to say about it, in the broker's words.
        text: Option<&'a [u8]>,
    },
    /// A message.
    Publish {
        /// What it says.
        payload: &'a [u8],
    },
    /// The broker ends the session; only in 5.
    Disconnect {
        /// Why.
        code: u8,
        /// What there is to say about it, in the broker's words.
        text: Option<&'a [u8]>,
    },
    /// One of which a probe has no use, by its control packet type.
    Other(u8),
}

impl Packet<'_> {
    /// What the standard calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::ConnAck { .. } => "CONNACK",
            Self::SubAck { .. } => "SUBACK",
            Self::PubAck { .. } => "PUBACK",
            Self::Publish { .. } => "PUBLISH",
            Self::Disconnect { .. } => "DISCONNECT",
            Self::Other(5) => "PUBREC",
            Self::Other(6) => "PUBREL",
            Self::Other(7) => "PUBCOMP",
            Self::Other(11) => "UNSUBACK",
            Self::Other(13) => "PINGRESP",
            Self::Other(15) => "AUTH",
            Self::Other(_) => "packet that is none of a server",
        }
    }
}

/// Why octets are no packet of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Not even the fixed header is.
    Header,
    /// The packet is larger than [`MAX_PACKET`]: so many octets.
    Large(u64),
    /// The fields of this packet are not.
    Fields(&'static str),
}

/// How many octets the first packet of what has come takes; `None` while that cannot be told.
///
/// # Errors
/// Why it cannot become one that is read.
pub(super) fn length(came: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut octets = Octets(came);
    let Some(first) = octets.u8() else { return Ok(None) };
    if !is_fixed_header(first) {
        return Err(Malformed::Header);
    }
    match octets.varint(4) {
        Some(length) if length > MAX_PACKET as u64 => Err(Malformed::Large(length)),
        Some(length) => Ok(Some(came.len() - octets.len() + length as usize)),
        None if came.len() < 5 => Ok(None),
        // Four octets of which the last one says that there are more.
        None => Err(Malformed::Header),
    }
}

/// What a packet says, of which [`length`] has told how long it is.
///
/// # Errors
/// Why it is none of a server.
pub(super) fn decode(version: MqttVersion, packet: &[u8]) -> Result<Packet<'_>, Malformed> {
    let mut body = Octets(packet);
    let header = body.u8().filter(|first| is_fixed_header(*first)).zip(body.varint(4));
    match header {
        Some((first, length)) if length == body.len() as u64 => fields(version, first, body),
        _ => Err(Malformed::Header),
    }
}

/// Whether the flags are those that a server's packet of that type has (3.1.1 2.2.2).
fn is_fixed_header(first: u8) -> bool {
    match first >> 4 {
        3 => first & 0b0110 != 0b0110,
        6 => first & 0xf == 0b0010,
        2 | 4 | 5 | 7 | 9 | 11 | 13..=15 => first & 0xf == 0,
        _ => false,
    }
}

fn fields(version: MqttVersion, first: u8, body: Octets<'_>) -> Result<Packet<'_>, Malformed> {
    let (name, packet) = match first >> 4 {
        2 => ("CONNACK", connack(version, body)),
        3 => ("PUBLISH", message(version, first, body)),
        4 => ("PUBACK", puback(version, body)),
        9 => ("SUBACK", suback(version, body)),
        // Only a server of version 5 sends one.
        14 if version == MqttVersion::V5 => ("DISCONNECT", disconnected(body)),
        other => ("", Some(Packet::Other(other))),
    };
    packet.ok_or(Malformed::Fields(name))
}

fn connack(version: MqttVersion, mut body: Octets<'_>) -> Option<Packet<'_>> {
    let flags = body.u8()?;
    let code = body.u8()?;
    // The properties are missing in the answer of a server that speaks 3.1.1 alone.
    let properties = match version {
        MqttVersion::V5 if !(body.is_empty() && code > 0) => properties(&mut body)?,
        _ => Properties::default(),
    };
    // Session Present in an answer to a clean session is wrong; it is no concern of a probe.
    (flags <= 1).then_some(Packet::ConnAck {
        code,
        text: properties.reason,
        only_qos_0: properties.maximum_qos == Some(0),
    })
}

fn suback(version: MqttVersion, mut body: Octets<'_>) -> Option<Packet<'_>> {
    body.u16()?;
    let properties = if version == MqttVersion::V5 { properties(&mut body)? } else { Properties::default() };
    let code = body.u8()?;
    body.is_empty().then_some(Packet::SubAck { code, text: properties.reason })
}

fn puback(version: MqttVersion, mut body: Octets<'_>) -> Option<Packet<'_>> {
    body.u16()?;
    if version == MqttVersion::V3 {
        return body.is_empty().then_some(Packet::PubAck { code: 0, text: None });
    }
    let (code, text) = code_and_text(body)?;
    Some(Packet::PubAck { code, text })
}

fn disconnected(body: Octets<'_>) -> Option<Packet<'_>> {
    let (code, text) = code_and_text(body)?;
    Some(Packet::Disconnect { code, text })
}

/// A reason code and properties, of which what is missing at the end is 0 and none (5.0 3.4.2.1, 3.14.2.1).
fn code_and_text(mut body: Octets<'_>) -> Option<(u8, Option<&[u8]>)> {
    let code = if body.is_empty() { 0 } else { body.u8()? };
    let properties = if body.is_empty() { Properties::default() } else { properties(&mut body)? };
    Some((code, properties.reason))
}

fn message(version: MqttVersion, first: u8, mut body: Octets<'_>) -> Option<Packet<'_>> {
    let topic = usize::from(body.u16()?);
    body.take(topic)?;
    if first & 0b0110 != 0 {
        body.u16()?;
    }
    if version == MqttVersion::V5 {
        properties(&mut body)?;
    }
    Some(Packet::Publish { payload: body.0 })
}

/// What a probe wants to know of a packet's properties.
#[derive(Default)]
struct Properties<'a> {
    reason: Option<&'a [u8]>,
    maximum_qos: Option<u8>,
}

/// The properties of a packet (5.0 2.2.2).
fn properties<'a>(body: &mut Octets<'a>) -> Option<Properties<'a>> {
    let length = usize::try_from(body.varint(4)?).ok()?;
    let mut octets = Octets(body.take(length)?);
    let mut found = Properties::default();
    while !octets.is_empty() {
        // An identifier of more than one octet is none that there is.
        let skipped = match octets.u8()? {
            0x24 => {
                found.maximum_qos = Some(octets.u8()?);
                0
            }
            0x1f => {
                found.reason = Some(field(&mut octets)?);
                0
            }
            0x01 | 0x17 | 0x19 | 0x25 | 0x28..=0x2a => 1,
            0x13 | 0x21..=0x23 => 2,
            0x02 | 0x11 | 0x18 | 0x27 => 4,
            0x0b => {
                octets.varint(4)?;
                0
            }
            0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c => usize::from(octets.u16()?),
            // A user property is a name and a value.
            0x26 => {
                field(&mut octets)?;
                usize::from(octets.u16()?)
            }
            _ => return None,
        };
        octets.take(skipped)?;
    }
    Some(found)
}

/// A field with its length before it.
fn field<'a>(octets: &mut Octets<'a>) -> Option<&'a [u8]> {
    let length = octets.u16()?;
    octets.take(usize::from(length))
}

#[cfg(test)]
mod tests;
