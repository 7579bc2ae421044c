//! The probes: what is done to find out whether an endpoint is of use, and how often.
//!
//! One struct a kind, one variant of [`ProbeKind`] each. What several kinds have in common, such as [`TlsSettings`], is one
//! struct that they hold.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use super::{AmqpProbe, Comparison, GrpcProbe, MqttProbe, Password, ProbeName, Sasl, Secret};
use crate::dns::{Name, Rcode, Rtype};

/// The definition of a health check.
#[derive(Clone, Debug, PartialEq)]
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
    /// A network interface of this machine, by name: 1 to 15 octets. Before Linux 5.7 it needs CAP_NET_RAW.
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
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeKind {
    /// A TCP connection is made, and something may be said over it.
    Tcp(TcpProbe),
    /// A TLS handshake is made and the certificate judged.
    Tls(TlsProbe),
    /// An HTTP request is made and its response judged.
    Http(HttpProbe),
    /// An MQTT session is begun as a device begins it.
    Mqtt(MqttProbe),
    /// An AMQP 1.0 connection is opened and closed.
    Amqp(AmqpProbe),
    /// A gRPC server is asked whether it serves.
    Grpc(GrpcProbe),
    /// A DNS query is sent and its response judged.
    Dns(DnsProbe),
    /// An ICMP echo request is sent and its reply waited for (RFC 792, RFC 4443 4).
    Icmp,
}

impl ProbeKind {
    /// The word that selects it in the policy.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Http(_) => "http",
            Self::Mqtt(_) => "mqtt",
            Self::Amqp(_) => "amqp",
            Self::Grpc(_) => "grpc",
            Self::Dns(_) => "dns",
            Self::Icmp => "icmp",
        }
    }

    /// How it speaks TLS, if it does.
    pub fn tls(&self) -> Option<&TlsSettings> {
        match self {
            Self::Tcp(_) | Self::Dns(_) | Self::Icmp => None,
            Self::Tls(tls) => Some(&tls.settings),
            Self::Http(http) => http.tls.as_ref(),
            Self::Mqtt(mqtt) => mqtt.tls.as_ref(),
            Self::Amqp(amqp) => amqp.tls.as_ref(),
            Self::Grpc(grpc) => grpc.tls.as_ref(),
        }
    }

    /// The secrets that it gives to what it probes.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Mqtt(mqtt) => mqtt.password.iter().map(Password::secret).collect(),
            Self::Amqp(amqp) => match &amqp.sasl {
                Sasl::Plain { password, .. } => vec![password.secret()],
                Sasl::None | Sasl::Anonymous | Sasl::External => Vec::new(),
            },
            Self::Tcp(_) | Self::Tls(_) | Self::Grpc(_) | Self::Dns(_) | Self::Icmp => Vec::new(),
            Self::Http(http) => http.headers.iter().filter_map(|(_, value)| value.secret()).collect(),
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

/// A TCP connection, and what is said over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpProbe {
    /// The port, 1 to 65535.
    pub port: u16,
    /// What is sent when the connection stands: 1 to 2048 octets.
    pub send: Option<String>,
    /// Text that the first 64 KiB of what is received must contain: 1 to 2048 octets.
    pub expect: Option<String>,
}

impl TcpProbe {
    /// A connection over which nothing is said.
    pub fn new(port: u16) -> Self {
        Self { port, send: None, expect: None }
    }
}

/// A TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsProbe {
    /// The port, 1 to 65535. Default 443.
    pub port: u16,
    /// How TLS is spoken.
    pub settings: TlsSettings,
    /// A certificate that expires sooner makes a failed observation. Default: one that is valid is good. Range 1 h to
    /// 365 d.
    pub expiry_fail: Option<Duration>,
    /// A certificate that expires sooner is remarked on. Default 14 d, range 1 h to 365 d.
    pub expiry_warn: Duration,
}

/// An HTTP request over TCP or TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpProbe {
    /// The port, 1 to 65535. Default 80, with `tls` 443.
    pub port: u16,
    /// How TLS is spoken, if it is. Its `name` is not used: that of `host` is.
    pub tls: Option<TlsSettings>,
    /// `Host` header and TLS server name. Default: the host name that is probed; for addresses, the address.
    pub host: Option<String>,
    /// The request target. Default `/`.
    pub path: String,
    /// The method. Default GET.
    pub method: Method,
    /// What is spoken. Default HTTP/1.1.
    pub version: HttpVersion,
    /// Fields of the request by their names, in lower case; no name twice.
    pub headers: Vec<(String, FieldValue)>,
    /// Whether the connection is kept for the next observation. Default false: each observation comes in anew, as a
    /// device does.
    pub keep_alive: bool,
    /// What is expected of the response.
    pub expect: Expectation,
}

/// The method of a request; none has content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS.
    Options,
    /// POST.
    Post,
}

impl Method {
    /// The words that policies write.
    pub const WORDS: [(&str, Self); 4] =
        [("GET", Self::Get), ("HEAD", Self::Head), ("OPTIONS", Self::Options), ("POST", Self::Post)];

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
        }
    }
}

/// The version of HTTP that is spoken, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1 (RFC 9112).
    One,
    /// HTTP/2 (RFC 9113): over TLS by ALPN, without it by prior knowledge.
    Two,
}

/// The value of a field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// This text.
    Plain(String),
    /// A secret.
    Secret(Secret),
}

impl FieldValue {
    fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(secret) => Some(secret),
        }
    }
}

/// A DNS query over UDP, and over TCP when the response is truncated; with recursion desired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsProbe {
    /// The port, 1 to 65535. Default 53.
    pub port: u16,
    /// The qname.
    pub name: Name,
    /// The qtype. Default A.
    pub rtype: Rtype,
    /// The response code that is expected. Default NOERROR.
    pub rcode: Rcode,
    /// The RDATA, in uncompressed wire form, that a record of the answer section must have.
    pub answer: Option<Box<[u8]>>,
}

/// What is expected of an HTTP response.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Status codes, as inclusive ranges. Default 200 to 299.
    pub status: Vec<(u16, u16)>,
    /// Text that the first 64 KiB of the body must contain.
    pub body: Option<String>,
    /// What has to be at a JSON pointer (RFC 6901) of the body, which has at most 64 KiB then.
    pub value: Option<(String, Comparison)>,
}
