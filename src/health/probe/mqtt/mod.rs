//! I/O shell: the `mqtt` probe. A session as a device makes it: CONNECT, and with a topic a message that comes back.
//!
//! Each session has a client identifier of its own unless the policy gives one, for a broker ends the session that a
//! client identifier already has: the probes of two nodes, or of two addresses, would end each other's.
//!
//! Deliberately absent: QoS 2, enhanced authentication (5.0 4.12), and whatever a broker keeps of a session, for each
//! begins clean and ends with its connection.

mod codec;
mod reason;

use rand::Rng;
use rand::distr::Alphanumeric;

use self::codec::{Identity, Malformed, Packet, Qos};
use super::http::authority;
use super::wire::{Carrier, Link, Wire, shown};
use super::{Attempt, Failure, Remarks, websocket};
use crate::policy::{MqttProbe, MqttVersion};

/// Characters of a client identifier that every broker has to take (3.1.1 3.1.3.1).
const LONGEST_SURE: usize = 23;

pub(super) async fn attempt(probe: &MqttProbe, attempt: &Attempt) -> Result<Remarks, Failure> {
    let password = match &probe.password {
        Some(password) => Some(attempt.password(password).await?),
        None => None,
    };
    let client_id = probe.client_id.clone().unwrap_or_else(|| drawn("concierge"));
    let username = probe.username.as_ref().map(|username| attempt.filled(username));
    let identity = Identity {
        client_id: &client_id,
        username: username.as_deref(),
        password: password.as_ref().map(|password| password.expose().as_bytes()),
    };
    let protocols: Vec<&[u8]> = probe.alpn.iter().map(|protocol| protocol.as_bytes()).collect();
    let (stream, peer) = attempt.connect_over(probe.port, probe.tls.as_ref(), &protocols).await?;
    let deadline = attempt.deadline;
    let carrier = match &probe.websocket {
        Some(target) => {
            let host = probe.tls.as_ref().and_then(|tls| tls.name.as_deref()).unwrap_or(&attempt.host);
            let authority = authority(host, probe.port, probe.tls.is_some());
            let opening = websocket::open((stream, peer), (&authority, target), "mqtt", deadline);
            Carrier::WebSocket(opening.await?)
        }
        None => Carrier::Octets(stream),
    };
    let wire = Wire::new(carrier, Link { protocol: "MQTT", peer, deadline });
    let mut session = Session { wire, peer: peer.to_string(), version: probe.version };
    let qos = session.connect(&identity).await?;
    if let Some(topic) = &probe.topic {
        session.round_trip(topic, qos).await?;
    }
    session.finish().await;
    Ok(Remarks::default())
}

/// A text that begins with `prefix` and that no other probe has drawn.
pub(super) fn drawn(prefix: &str) -> String {
    let length = LONGEST_SURE.saturating_sub(prefix.len());
    let random = rand::rng().sample_iter(Alphanumeric).take(length).map(char::from);
    prefix.chars().chain(random).collect()
}

/// A session with a broker.
struct Session {
    wire: Wire,
    peer: String,
    version: MqttVersion,
}

impl Session {
    /// Begins the session, and says how surely messages may be published in it.
    async fn connect(&mut self, identity: &Identity<'_>) -> Result<Qos, String> {
        const ANSWER: &str = "the CONNACK";
        self.wire.write(codec::connect(self.version, identity), ANSWER).await?;
        let came = self.packet(ANSWER).await?;
        let peer = &self.peer;
        match self.decoded(&came)? {
            Packet::ConnAck { code: 0, only_qos_0, .. } => Ok(if only_qos_0 { Qos::Zero } else { Qos::One }),
            Packet::ConnAck { code, text, .. } => {
                let refused = reason::refused(self.version, code);
                Err(format!("expected code 0 in the CONNACK from {peer}, got {refused}{}", with_text(text)))
            }
            other => Err(self.unexpected(&other, "a CONNACK")),
        }
    }

    /// Publishes a message that nobody else publishes, and waits for it.
    async fn round_trip(&mut self, topic: &str, qos: Qos) -> Result<(), String> {
        const GRANTED: &str = "the SUBACK";
        self.wire.write(codec::subscribe(self.version, topic), GRANTED).await?;
        loop {
            let came = self.packet(GRANTED).await?;
            match self.decoded(&came)? {
                Packet::SubAck { code: 0..=2, .. } => break,
                Packet::SubAck { code, text } => return Err(self.denied("SUBSCRIBE to", topic, code, text)),
                // What is retained may come before (3.1.1 3.8.4).
                Packet::Publish { .. } => {}
                other => return Err(self.unexpected(&other, "a SUBACK")),
            }
        }
        const BACK: &str = "the published message";
        let payload = drawn("concierge ");
        self.wire.write(codec::publish(self.version, topic, qos, payload.as_bytes()), BACK).await?;
        loop {
            let came = self.packet(BACK).await?;
            match self.decoded(&came)? {
                Packet::Publish { payload: came } if came == payload.as_bytes() => return Ok(()),
                Packet::PubAck { code: code @ 0x80.., text } => {
                    return Err(self.denied("PUBLISH to", topic, code, text));
                }
                // Of another publisher, or that the message was taken.
                Packet::Publish { .. } | Packet::PubAck { .. } => {}
                other => return Err(self.unexpected(&other, "the published message")),
            }
        }
    }

    /// Ends the session. Devices come in whether that works or not.
    async fn finish(mut self) {
        if self.wire.write(codec::disconnect(), "the end").await.is_ok() {
            self.wire.finish().await;
        }
    }

    async fn packet(&mut self, answer: &'static str) -> Result<Vec<u8>, String> {
        let peer = &self.peer;
        self.wire.packet(answer, |came| codec::length(came).map_err(|malformed| sentence(malformed, peer))).await
    }

    fn decoded<'p>(&self, packet: &'p [u8]) -> Result<Packet<'p>, String> {
        codec::decode(self.version, packet).map_err(|malformed| sentence(malformed, &self.peer))
    }

    fn denied(&self, what: &str, topic: &str, code: u8, text: Option<&[u8]>) -> String {
        format!("{} refused {what} `{topic}`: {}{}", self.peer, reason::shown(code), with_text(text))
    }

    fn unexpected(&self, packet: &Packet<'_>, expected: &str) -> String {
        let peer = &self.peer;
        match packet {
            Packet::Disconnect { code, text } => {
                let (code, text) = (reason::shown(*code), with_text(*text));
                format!("{peer} ended the session, expected {expected}: DISCONNECT {code}{text}")
            }
            other => format!("expected {expected} from {peer}, got a {}", other.name()),
        }
    }
}

/// What the broker adds in its own words.
fn with_text(text: Option<&[u8]>) -> String {
    match text {
        Some(text) if !text.is_empty() => format!(": {}", shown(text)),
        _ => String::new(),
    }
}

fn sentence(malformed: Malformed, peer: &str) -> String {
    match malformed {
        Malformed::Header => format!("{peer} does not speak MQTT"),
        Malformed::Large(octets) => {
            let most = codec::MAX_PACKET;
            format!("{peer} sent an MQTT packet of {octets} octets, expected at most {most}")
        }
        Malformed::Fields(name) => format!("{peer} sent a malformed {name}"),
    }
}
