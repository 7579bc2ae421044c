//! The probes of the brokers that devices connect to, and how such a probe shows who it is.

use std::fmt;

use super::{Secret, TlsSettings};

/// An MQTT session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttProbe {
    /// The port, 1 to 65535. Default 1883, with TLS 8883; in a WebSocket 80, with TLS 443.
    pub port: u16,
    /// How TLS is spoken, if it is.
    pub tls: Option<TlsSettings>,
    /// The protocol that is named in the TLS handshake (RFC 7301), 1 to 255 octets.
    pub alpn: Option<String>,
    /// The request target at which a WebSocket is opened, if the session is in one.
    pub websocket: Option<String>,
    /// The version of the protocol. Default 3.1.1.
    pub version: MqttVersion,
    /// The client identifier, 1 to 256 octets. Default: one that is drawn for each session.
    pub client_id: Option<String>,
    /// The user name, 1 to 1024 octets; `{host}` in it is the name of what is probed.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Password>,
    /// The topic on which a message is published that has to come back, 1 to 1024 octets. Default: none is.
    pub topic: Option<String>,
}

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttVersion {
    /// 3.1.1, protocol level 4.
    V3,
    /// 5.0, protocol level 5.
    V5,
}

impl fmt::Display for MqttVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3 => "3.1.1",
            Self::V5 => "5",
        })
    }
}

/// An AMQP 1.0 connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmqpProbe {
    /// The port, 1 to 65535. Default 5672, with TLS 5671.
    pub port: u16,
    /// How TLS is spoken, if it is.
    pub tls: Option<TlsSettings>,
    /// The `hostname` that the peer is called by in SASL and in `open`, 1 to 255 octets. Default: the TLS settings' `name`,
    /// or the host name that is probed; for addresses, the address.
    pub host: Option<String>,
    /// The `container-id`, 1 to 256 octets. Default: one that is drawn for each connection.
    pub container_id: Option<String>,
    /// How the probe shows who it is.
    pub sasl: Sasl,
}

/// A mechanism of SASL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sasl {
    /// SASL is not spoken.
    None,
    /// Nobody in particular (RFC 4505).
    Anonymous,
    /// Somebody with a password (RFC 4616).
    Plain {
        /// The user name, 1 to 1024 octets; `{host}` in it is the name of what is probed.
        username: String,
        /// The password.
        password: Password,
    },
    /// Who the client certificate says (RFC 4422 A).
    External,
}

/// A call of `grpc.health.v1.Health/Check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcProbe {
    /// The port, 1 to 65535.
    pub port: u16,
    /// How TLS is spoken, if it is. Its `name` is not used: that of `host` is.
    pub tls: Option<TlsSettings>,
    /// `:authority` and TLS server name. Default: the host name that is probed; for addresses, the address.
    pub host: Option<String>,
    /// The service that is asked for, at most 256 octets. Default: empty, which is the whole server.
    pub service: String,
}

/// What a probe shows to prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// A secret as it is.
    Secret(Secret),
    /// A token, made anew for each connection.
    SharedAccess(SharedAccess),
}

impl Password {
    /// What it is made of.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Secret(secret) => secret,
            Self::SharedAccess(shared) => &shared.key,
        }
    }
}

/// What a shared access signature of Azure is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedAccess {
    /// The key, in base64.
    pub key: Secret,
    /// What the token gives access to, 1 to 1024 octets: `HUB.azure-devices.net/devices/DEVICE`; `{host}` in it is the name of
    /// what is probed.
    pub resource: String,
    /// The shared access policy that the key is of, 1 to 256 octets. Default: none, for the key of a device.
    pub policy: Option<String>,
}
