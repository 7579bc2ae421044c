//! The validated configuration: paths are absolute or relative to the working directory, numbers are in range.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// The content of `config/concierge.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Folder of `*.zone` and policy `*.toml` files.
    pub zones: PathBuf,
    /// Folder of the store; made when it does not exist.
    pub state: PathBuf,
    /// Where queries come in.
    pub listen: Listen,
    /// What one client, and all together, may use.
    pub limits: Limits,
    /// Responses over UDP that one network may be sent.
    pub rate_limit: RateLimit,
    /// Who is answered.
    pub access: Access,
    /// The certificate of the encrypted listeners; `None` when there are none and none is named.
    pub tls: Option<Tls>,
    /// Who speaks for others.
    pub proxy: Proxy,
    /// What is said and heard in OPT records.
    pub edns: Edns,
    /// What the server says of itself.
    pub identity: Identity,
    /// The operators' API.
    pub admin: Admin,
    /// What devices and back ends may ask over HTTP.
    pub public: Public,
    /// What the probers need to know of this machine.
    pub health: HealthConfig,
    /// The audit trail.
    pub audit: Audit,
    /// What is noted of those who ask.
    pub statistics: Statistics,
    /// Messages for a dnstap receiver.
    pub dnstap: Dnstap,
    /// Messages as lines of JSON.
    pub query_log: QueryLog,
    /// What the process may do on its machine.
    pub process: Process,
    /// What is logged and how.
    pub log: Log,
}

/// Where queries come in.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Addresses served over UDP and TCP; at least one. Port 0 takes a free one, the same for both.
    pub dns: Vec<SocketAddr>,
    /// UDP workers for each address; 0 is one a core. Default 0, range 0 to 256.
    pub workers: u16,
    /// Octets of queries, as the kernel counts them, that wait for one UDP worker. Default 8 MiB, range 64 KiB to 1 GiB.
    pub udp_receive_buffer: u32,
    /// Octets of responses that the network has not taken from one UDP worker. Default 1 MiB, range 64 KiB to 1 GiB.
    pub udp_send_buffer: u32,
    /// How long a UDP worker without queries looks for more before it sleeps. Default 0, which is off; range 0 to 10 ms.
    pub busy_poll: Duration,
    /// TCP workers, for all addresses together; 0 is one a core. Default 0, range 0 to 256.
    pub tcp_workers: u16,
    /// Addresses of DNS over TLS (RFC 7858). Default none.
    pub tls: Vec<SocketAddr>,
    /// Addresses of DNS over HTTPS (RFC 8484), HTTP/1.1 and 2. Default none.
    pub https: Vec<SocketAddr>,
    /// Addresses of DNS over QUIC (RFC 9250). Default none.
    pub quic: Vec<SocketAddr>,
    /// Addresses of DNS over HTTPS with HTTP/3. Default none.
    pub https3: Vec<SocketAddr>,
}

impl Listen {
    /// Whether a listener needs a certificate.
    pub fn is_encrypted(&self) -> bool {
        [&self.tls, &self.https, &self.quic, &self.https3].into_iter().any(|addresses| !addresses.is_empty())
    }
}

/// The certificate of the encrypted listeners: PEM files, read again at a reload and when they change.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// The certificate and those above it, the server's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Who speaks for others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proxy {
    /// Prefixes whose connections and datagrams begin with a header of the PROXY protocol, version 2: required from them,
    /// not known from others. At most 256. Default none.
    pub from: Vec<IpNet>,
}

/// What one client, and all together, may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest UDP response, octets, whatever the client offers. Default 1232, range 512 to 4096.
    pub max_udp_bytes: u16,
    /// TCP connections open at once, all addresses together. Default 1024, range 1 to 1,000,000; fewer where the process
    /// may not open as many files and 512 more.
    pub tcp_connections: u32,
    /// Connections that one client, an IPv4 address or an IPv6 /64, may have open at once, for each transport. Default 128,
    /// range 1 to 1,000,000.
    pub tcp_connections_per_client: u32,
    /// Time after which a TCP connection without a complete query is closed. Default 10 s, range 1 s to 10 min.
    pub tcp_idle: Duration,
    /// TLS handshakes that are under way at once. Default 256, range 16 to 1,000,000.
    pub tls_handshakes: u32,
    /// TLS and QUIC handshakes that one client may begin in a second. Default 50, range 1 to 1,000,000.
    pub tls_handshakes_per_client: u32,
    /// Connections of DNS over HTTPS open at once, all addresses together. Default 1024, range 1 to 1,000,000.
    pub https_connections: u32,
    /// Connections of DNS over QUIC and HTTP/3 open at once, all addresses together. Default 1024, range 1 to 1,000,000.
    pub quic_connections: u32,
    /// Clients without limits of their own: addresses and prefixes, at most 256. Default this machine.
    pub unlimited: Vec<IpNet>,
    /// Time from the signal to stop until what is still open is cut. Default 5 s, range 0 to 5 min.
    pub drain: Duration,
    /// Resolvers whose word on the network of their clients is taken (EDNS client subnet, RFC 7871); at most 256 prefixes.
    /// Default none.
    pub trust_ecs_from: Vec<IpNet>,
    /// Queries that one client, an IPv4 address or an IPv6 /64, may send in a second, all transports together, and as many
    /// at once. Default 0, which is off; range 0 to 100,000.
    pub queries_per_second_per_client: u32,
    /// A response over UDP is at most so many times as long as its query, unless a valid cookie came with it. Default 3, range
    /// 0 to 100; 0 is off.
    pub amplification: u16,
}

/// Responses over UDP that one network may be sent, for each class of responses; those to queries with a valid cookie apart.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    /// Default 0, which is off; range 0 to 100,000.
    pub responses_per_second: u32,
    /// How many at once. Default as many as in a second, range 1 to 1,000,000.
    pub burst: u32,
    /// Of those that are too many every n-th is sent truncated; 0 for none. Default 2, range 0 to 10.
    pub slip: u8,
    /// Bits of IPv4 addresses that tell networks apart. Default 24, range 1 to 32.
    pub ipv4_prefix: u8,
    /// Bits of IPv6 addresses that tell networks apart. Default 56, range 1 to 64.
    pub ipv6_prefix: u8,
    /// Networks without such a limit: addresses and prefixes, at most 256. Default none.
    pub exempt: Vec<IpNet>,
    /// Octets of the table, 8 for each network and class that is busy. Default 1 MiB, range 64 KiB to 1 GiB.
    pub table: u32,
}

/// Who is answered. Of the prefixes that a client is in, the longest counts; one in none is answered if none is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Addresses and prefixes that are answered, at most 256. Default none.
    pub allow: Vec<IpNet>,
    /// Addresses and prefixes that are not, at most 256. Default none.
    pub deny: Vec<IpNet>,
    /// What becomes of the queries of those that are not. Default `refuse`.
    pub denial: Denial,
}

/// What becomes of a query of a client that is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// REFUSED.
    Refuse,
    /// Nothing; a connection is closed.
    Drop,
}

/// What is said and heard in OPT records.
#[derive(Clone, Debug, PartialEq)]
pub struct Edns {
    /// Whether cookies (RFC 7873) are answered. Default true.
    pub cookies: bool,
    /// The file of their secrets. Default `cookie.keys` in the state folder, made when it does not exist.
    pub cookie_secrets: Option<PathBuf>,
    /// Whether over UDP only clients with a valid server cookie are answered. Default false.
    pub cookies_required: bool,
    /// What NSID (RFC 5001) says, at most 128 octets. Default nothing, and then it is not answered.
    pub nsid: String,
}

/// What the server says of itself in class CHAOS. Default nothing, which is refused; each at most 255 octets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// At `version.bind` and `version.server`.
    pub version: String,
    /// At `hostname.bind`.
    pub hostname: String,
    /// At `id.server` (RFC 4892).
    pub id: String,
}

/// The operators' API.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// The Unix socket; only its owner may connect (mode 0600). Default `admin.sock` in the state folder.
    pub socket: PathBuf,
}

/// What devices, back ends and traffic managers may ask over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Public {
    /// Addresses of the read-only listener. Default none, which is off. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Connections open at once, all addresses together. Default 10,000, range 16 to 1,000,000; fewer where the process
    /// may not open as many files. Nine tenths of them may wait for a switch.
    pub connections: u32,
}

/// What the probers need to know of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthConfig {
    /// Recursive resolvers asked for the addresses of CNAME targets. Default none: those of `/etc/resolv.conf`.
    pub resolvers: Vec<SocketAddr>,
}

/// The audit trail.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// How long its records are kept. Default for ever; range 1 d to 100 years of 365 days.
    pub keep: Option<Duration>,
}

/// What is noted of those who ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// One of so many resolvers is watched for when it comes back after a switch; 0 for none. Default 8, range 0 to 1,024.
    pub resolvers: u32,
}

/// Messages for a dnstap receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Dnstap {
    /// The Unix socket of a receiver, who may come and go. Default none.
    pub socket: Option<PathBuf>,
    /// A file, made anew when somebody moves it away. Default none.
    pub file: Option<PathBuf>,
    /// One message in so many. Default 1, range 1 to 1,000,000,000.
    pub sample: u32,
    /// What the receiver is told that this server is, at most 255 octets. Default nothing.
    pub identity: String,
}

/// Messages as lines of JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryLog {
    /// The file, appended to and made anew when somebody moves it away. Default none, which is off.
    pub file: Option<PathBuf>,
    /// One message in so many. Default 100, range 1 to 1,000,000,000.
    pub sample: u32,
}

/// What the process may do on its machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Whether files other than those that it needs are out of its reach (Landlock). Default true.
    pub landlock: bool,
    /// Files and folders that it may read all the same; at most 256. Default none.
    pub readable: Vec<PathBuf>,
    /// Whether it gives up its capabilities, and the way to new ones, once it answers. Default true.
    pub drop_privileges: bool,
    /// Whether its memory, which holds keys, may be written to a core dump and read by a debugger. Default false.
    pub core_dumps: bool,
}

/// What is logged and how; always to standard error.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Default `text`.
    pub format: LogFormat,
    /// A `tracing` filter: a level, or directives such as `info,concierge::health=debug`. Default `info`.
    pub filter: String,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}
