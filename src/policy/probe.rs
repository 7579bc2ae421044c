//! The probes: what is done to find out whether an endpoint is of use, and how often.
//!
//! One struct a kind, one variant of [`ProbeKind`] each. What several kinds have in common, such as [`TlsSettings`], is one
//! struct that they hold.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use super::{AmqpProbe, Comparison, Exec, GrpcProbe, MqttProbe, Password, ProbeName, Sasl, Secret};
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
        if let ProbeKind::Push(push) = &self.kind {
            // Each verdict comes within the lease of the one before, or its end is one.
            return push.lease * u32::from(in_a_row.get());
        }
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
    /// A program is run: exit code 0 is good, and the first line that it prints is the detail.
    Exec(Exec),
    /// Somebody else tells how it is, and has to tell it again before a lease ends.
    Push(PushProbe),
    /// Follows from other probes of the same target.
    Composite(CompositeProbe),
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
            Self::Exec(_) => "exec",
            Self::Push(_) => "push",
            Self::Composite(_) => "composite",
        }
    }

    /// How it speaks TLS, if it does.
    pub fn tls(&self) -> Option<&TlsSettings> {
        match self {
            Self::Tcp(_) | Self::Dns(_) | Self::Icmp | Self::Exec(_) | Self::Push(_) | Self::Composite(_) => None,
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
            Self::Http(http) => http.headers.iter().filter_map(|(_, value)| value.secret()).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether this daemon goes and looks, on its own.
    pub fn is_observed(&self) -> bool {
        !matches!(self, Self::Push(_) | Self::Composite(_))
    }

    /// The other probes that it follows from.
    pub fn members(&self) -> &[ProbeName] {
        match self {
            Self::Composite(composite) => &composite.of,
            _ => &[],
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

/// Verdicts of an agent in the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushProbe {
    /// How long a verdict counts that names no shorter time. Its end without another one is a failed observation, and so
    /// is the end of each further lease. Default 30 s, range 1 s to 1 h.
    pub lease: Duration,
}

/// Other probes of the same target, and how many of them have to be good.
///
/// It is observed whenever one of them is: its observation is what the demand makes of their last observations, and its
/// health is what it makes of their healths. So it has no pace and no thresholds of its own; those of [`Probe`] are the
/// longest and the largest of its members', by which its worst times are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompositeProbe {
    /// How many of them.
    pub needs: Needs,
    /// Their names: at least one, none twice, no loops, at most three composites below each other.
    pub of: Vec<ProbeName>,
}

/// How many members of a composite have to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// All of them.
    All,
    /// One of them.
    Any,
    /// So many of them, from 1 to as many as there are.
    AtLeast(u8),
}

impl CompositeProbe {
    /// How many have to be good.
    pub fn least(&self) -> usize {
        match self.needs {
            Needs::All => self.of.len(),
            Needs::Any => 1,
            Needs::AtLeast(least) => usize::from(least),
        }
    }

    /// What follows from members that are good, or not, or of which that is not known: `None` as long as it depends on
    /// those.
    pub fn judge(&self, members: impl Iterator<Item = Option<bool>>) -> Option<bool> {
        let (mut good, mut open) = (0, 0);
        for member in members {
            match member {
                Some(true) => good += 1,
                Some(false) => {}
                None => open += 1,
            }
        }
        match self.least() {
            least if good >= least => Some(true),
            least if good + open < least => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composite_is_judged_as_soon_as_its_unknown_members_do_not_matter() {
        let check = |needs, members: &str, expected: Option<bool>| {
            let of = members.split(' ').map(ProbeName::new).collect();
            let known = |word: &str| match word {
                "good" => Some(true),
                "bad" => Some(false),
                _ => None,
            };
            let judged = CompositeProbe { needs, of }.judge(members.split(' ').map(known));
            assert_eq!(judged, expected, "{needs:?} of {members}");
        };
        check(Needs::All, "good good", Some(true));
        check(Needs::All, "good open", None);
        check(Needs::All, "open bad", Some(false));
        check(Needs::Any, "bad open", None);
        check(Needs::Any, "bad bad", Some(false));
        check(Needs::Any, "good open", Some(true));
        check(Needs::AtLeast(2), "good good bad", Some(true));
        check(Needs::AtLeast(2), "good open bad", None);
        check(Needs::AtLeast(2), "open bad bad", Some(false));
        check(Needs::AtLeast(2), "open open bad", None);
        check(Needs::AtLeast(3), "good good good", Some(true));
    }
}
