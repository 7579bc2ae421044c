//! The probes: what is done to find out whether an endpoint is of use, and how often.
//!
//! One struct a kind, one variant of [`ProbeKind`] each. What several kinds have in common, such as [`TlsSettings`], is one
//! struct that they hold.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use super::{AmqpProbe, GrpcProbe, MqttProbe, Password, ProbeName, Sasl, Secret};

/// The definition of a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its name.
    pub name: ProbeName,
    /// What is done.
    pub kind: ProbeKind,
    /// Where what is dialled is dialled from. Default: as the routes of this machine say.
    pub source: Option<DialFrom>,
    /// Time between two observations, jittered by 10 %. Default 5 s, range 1 s to 1 h.
    pub interval: Duration,
    /// Time after which an observation has failed. Default 2 s, range 100 ms to 60 s, at most `interval`.
    pub timeout: Duration,
    /// Time between two observations while they contradict the health. Default 1 s, range 100 ms to `interval`.
    pub confirm: Duration,
    /// Consecutive failed observations before an endpoint goes down. Default 3, range 1 to 100.
    pub fall: NonZeroU8,
    /// Consecutive good observations before an endpoint that is down comes up. Default 5, range 1 to 100.
    pub rise: NonZeroU8,
    /// Whether it is shown, and decides nothing.
    pub shadow: bool,
}

impl Probe {
    /// The longest time from a failure to the health being `down`: the failure comes just after a good observation.
    pub fn worst_detection(&self) -> Duration {
        self.worst(self.fall)
    }

    /// The longest time from the end of a failure to the health being `up`, if nothing fails again.
    pub fn worst_recovery(&self) -> Duration {
        self.worst(self.rise)
    }

    fn worst(&self, in_a_row: NonZeroU8) -> Duration {
        self.interval.mul_f64(1.1) + self.timeout + self.worst_confirm() * (u32::from(in_a_row.get()) - 1)
    }

    /// The longest time between two observations that contradict the health: `confirm` with its jitter, or the
    /// observation itself where that takes longer.
    pub fn worst_confirm(&self) -> Duration {
        self.confirm.mul_f64(1.1).max(self.timeout)
    }
}

/// Where connections come from and datagrams are sent from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialFrom {
    /// An address of this machine. Only addresses of its family are dialled.
    Address(IpAddr),
    /// A network interface of this machine, by name: 1 to 15 octets. Needs CAP_NET_RAW.
    Interface(String),
}

impl fmt::Display for DialFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Interface(name) => write!(f, "interface {name}"),
        }
    }
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A TCP connection is made and closed.
    Tcp(TcpProbe),
    /// An HTTP/1.1 request is made and its response judged.
    Http(HttpProbe),
    /// An MQTT session is begun as a device begins it.
    Mqtt(MqttProbe),
    /// An AMQP 1.0 connection is opened and closed.
    Amqp(AmqpProbe),
    /// A gRPC server is asked whether it serves.
    Grpc(GrpcProbe),
}

impl ProbeKind {
    /// The word that selects it in the policy.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Http(_) => "http",
            Self::Mqtt(_) => "mqtt",
            Self::Amqp(_) => "amqp",
            Self::Grpc(_) => "grpc",
        }
    }

    /// How it speaks TLS, if it does.
    pub fn tls(&self) -> Option<&TlsSettings> {
        match self {
            Self::Tcp(_) => None,
            Self::Http(http) => http.tls.as_ref(),
            Self::Mqtt(mqtt) => mqtt.tls.as_ref(),
            Self::Amqp(amqp) => amqp.tls.as_ref(),
            Self::Grpc(grpc) => grpc.tls.as_ref(),
        }
    }

    /// The secrets that it gives to what it probes.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Tcp(_) | Self::Http(_) | Self::Grpc(_) => Vec::new(),
            Self::Mqtt(mqtt) => mqtt.password.iter().map(Password::secret).collect(),
            Self::Amqp(amqp) => match &amqp.sasl {
                Sasl::Plain { password, .. } => vec![password.secret()],
                Sasl::None | Sasl::Anonymous | Sasl::External => Vec::new(),
            },
        }
    }
}

/// How TLS is spoken: the certificate's chain and name are always verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsSettings {
    /// File of PEM trust anchors used instead of the system's.
    pub ca: Option<PathBuf>,
    /// The certificate that the probe shows when it is asked for one.
    pub client: Option<ClientCertificate>,
    /// The name that the certificate is to be valid for, a host name without final dot or an address, and the TLS server
    /// name. Default: the host name that is probed; for addresses, the address.
    pub name: Option<String>,
}

/// A certificate of the probe's own; the files are read at the start and at a reload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientCertificate {
    /// File of PEM: the certificate, and the intermediate ones after it.
    pub cert: PathBuf,
    /// File of PEM: the private key.
    pub key: PathBuf,
}

/// A TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpProbe {
    /// The port, 1 to 65535.
    pub port: u16,
}

/// An HTTP/1.1 request over TCP or TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// The port, 1 to 65535. Default 80, with `tls` 443.
    pub port: u16,
    /// How TLS is spoken, if it is. Its `name` is not used: that of `host` is.
    pub tls: Option<TlsSettings>,
    /// `Host` header and TLS server name. Default: the host name that is probed; for addresses, the address.
    pub host: Option<String>,
    /// The request target. Default `/`.
    pub path: String,
    /// What is expected of the response.
    pub expect: Expectation,
}

/// What is expected of an HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Status codes, as inclusive ranges. Default 200 to 299.
    pub status: Vec<(u16, u16)>,
    /// Text that the first 64 KiB of the body must contain.
    pub body: Option<String>,
}
