//! TOML text to [`Config`].
//!
//! Every key has a default, so that a file says only what differs: a forgotten key is never an open door, for queries
//! are then taken on loopback only and the operators' API is a socket in the state folder. The shipped
//! `config/concierge.toml` shows all keys; the range and meaning of each stand at its field in [`Config`].

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use super::abuse::{read_access, read_rate_limit};
use super::edns::{read_edns, read_identity};
use super::taps::{read_dnstap, read_query_log};
use super::units::{micros, octets};
use super::{
    Admin, Audit, Config, HealthConfig, Limits, Listen, Log, LogFormat, Process, Proxy, Public, Statistics, Tls,
};
use crate::diagnostic::{Diagnostic, Place, Source, closest, has_errors};
use crate::document::{Document, Setting, Table, Value};

const ZONES: &str = "../zones";
const STATE: &str = "../state";
const SOCKET: &str = "admin.sock";
const LISTEN: [&str; 2] = ["127.0.0.1:5300", "[::1]:5300"];
/// This machine: whoever measures it, or asks it for others.
const UNLIMITED: [&str; 2] = ["127.0.0.0/8", "::1/128"];
const FILTER: &str = "info";
const DNS_PORT: u16 = 53;
/// Addresses, resolvers or paths in one list.
const MOST_ADDRESSES: usize = 256;
/// Octets of the path of a Unix socket on Linux, without the final NUL.
const MOST_SOCKET_PATH: usize = 107;
const UDP_BUFFER: RangeInclusive<u32> = 64 << 10..=1 << 30;
const MOST_BUSY_POLL: Duration = Duration::from_millis(10);
const TCP_IDLE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);
const KEEP: RangeInclusive<Duration> = Duration::from_hours(24)..=Duration::from_hours(24 * 36_500);
const DRAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(5);

/// Reads the configuration. Paths in it are relative to the file's folder.
///
/// With an error among the problems there is no configuration; with warnings only there is.
pub fn read(source: &Source) -> (Option<Config>, Vec<Diagnostic>) {
    let document = Document::parse(source);
    let mut problems = Vec::new();
    let config = read_root(&document, &mut problems);
    document.settle(&mut problems);
    problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.line, place.column)));
    (config.filter(|_| !has_errors(&problems)), problems)
}

/// The zones folder that a file names, whatever else is wrong with it: so a check can look on.
pub fn zones(source: &Source) -> Option<PathBuf> {
    let document = Document::parse(source);
    document.root().setting("zones", &mut Vec::new(), Value::path).or(document.beside(ZONES))
}

impl Config {
    /// The configuration of an empty file in `folder`: every default.
    pub fn default_at(folder: &Path) -> Self {
        let (config, _) = read(&Source::new(folder.join("concierge.toml"), ""));
        config.expect("every key has a default")
    }
}

fn read_root(document: &Document<'_>, problems: &mut Vec<Diagnostic>) -> Option<Config> {
    let mut root = document.root();
    let zones = root.setting("zones", problems, Value::path).or(document.beside(ZONES));
    let state = root.setting("state", problems, Value::path).or(document.beside(STATE));
    let mut taken = Taken::default();
    let listen = section(&mut root, "listen", problems, |table, problems| read_listen(table, &mut taken, problems));
    let limits = section(&mut root, "limits", problems, read_limits);
    let rate_limit = section(&mut root, "rate_limit", problems, read_rate_limit);
    let access = section(&mut root, "access", problems, read_access);
    let is_encrypted = listen.as_ref().is_some_and(Listen::is_encrypted);
    let tls = section(&mut root, "tls", problems, |table, problems| read_tls(table, is_encrypted, problems));
    let proxy = section(&mut root, "proxy", problems, read_proxy);
    let edns = section(&mut root, "edns", problems, read_edns);
    let identity = section(&mut root, "identity", problems, read_identity);
    let admin = section(&mut root, "admin", problems, |table, problems| read_admin(table, state.as_deref(), problems));
    let public = section(&mut root, "public", problems, |table, problems| read_public(table, &mut taken, problems));
    let health = section(&mut root, "health", problems, read_health);
    let audit = section(&mut root, "audit", problems, read_audit);
    let statistics = section(&mut root, "statistics", problems, read_statistics);
    let dnstap = section(&mut root, "dnstap", problems, read_dnstap);
    let query_log = section(&mut root, "query_log", problems, read_query_log);
    let process = section(&mut root, "process", problems, read_process);
    let log = section(&mut root, "log", problems, read_log);
    root.close(problems);
    Some(Config {
        zones: zones?,
        state: state?,
        listen: listen?,
        limits: limits?,
        rate_limit: rate_limit?,
        access: access?,
        tls: tls?,
        proxy: proxy?,
        edns: edns?,
        identity: identity?,
        admin: admin?,
        public: public?,
        health: health?,
        audit: audit?,
        statistics: statistics?,
        dnstap: dnstap?,
        query_log: query_log?,
        process: process?,
        log: log?,
    })
}

/// Reads the table `key`; one that is absent is read as an empty one.
fn section<'d, T>(
    root: &mut Table<'d>,
    key: &'static str,
    problems: &mut Vec<Diagnostic>,
    read: impl FnOnce(&mut Table<'d>, &mut Vec<Diagnostic>) -> Option<T>,
) -> Option<T> {
    let mut table = match root.value(key) {
        Some(value) => value.table(format!("[{key}]"), &format!("a table: `[{key}]`"), problems)?,
        None => root.empty(),
    };
    let section = read(&mut table, problems);
    table.close(problems);
    section
}

fn read_listen(table: &mut Table<'_>, taken: &mut Taken, problems: &mut Vec<Diagnostic>) -> Option<Listen> {
    let Taken { udp, tcp } = taken;
    let dns = table.setting("dns", problems, |value, problems| {
        let addresses = socket_addresses(value, None, &mut [udp, tcp], problems)?;
        if addresses.is_empty() {
            let problem = value.error("`dns` is empty, expected at least one address and port");
            problems.push(problem.hint(format!("write `dns = {LISTEN:?}`")));
            return None;
        }
        Some(addresses)
    });
    let workers = table.setting("workers", problems, |value, problems| value.integer(0..=256, problems));
    let mut encrypted = |key, taken: &mut Addresses| {
        table.setting(key, problems, |value, problems| socket_addresses(value, None, &mut [taken], problems))
    };
    let (tls, https) = (encrypted("tls", tcp), encrypted("https", tcp));
    let (quic, https3) = (encrypted("quic", udp), encrypted("https3", udp));
    let tcp_workers = table.setting("tcp_workers", problems, |value, problems| value.integer(0..=256, problems));
    let receive_buffer =
        table.setting("udp_receive_buffer", problems, |value, problems| octets(value, UDP_BUFFER, problems));
    let send_buffer = table.setting("udp_send_buffer", problems, |value, problems| octets(value, UDP_BUFFER, problems));
    let busy_poll = table.setting("busy_poll", problems, |value, problems| micros(value, MOST_BUSY_POLL, problems));
    Some(Listen {
        dns: dns.or(LISTEN.iter().filter_map(|address| address.parse().ok()).collect())?,
        workers: narrow(workers.or(0))?,
        tcp_workers: narrow(tcp_workers.or(0))?,
        udp_receive_buffer: receive_buffer.or(8 << 20)?,
        udp_send_buffer: send_buffer.or(1 << 20)?,
        busy_poll: busy_poll.or(Duration::ZERO)?,
        tls: tls.or(Vec::new())?,
        https: https.or(Vec::new())?,
        quic: quic.or(Vec::new())?,
        https3: https3.or(Vec::new())?,
    })
}

fn read_limits(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Limits> {
    let max_udp_bytes = table.setting("max_udp_bytes", problems, |value, problems| value.integer(512..=4096, problems));
    let tcp_connections =
        table.setting("tcp_connections", problems, |value, problems| value.integer(1..=1_000_000, problems));
    let mut most = |key, range: RangeInclusive<i64>| {
        table.setting(key, problems, |value, problems| value.integer(range, problems))
    };
    let per_client = most("tcp_connections_per_client", 1..=1_000_000);
    let handshakes = most("tls_handshakes", 16..=1_000_000);
    let handshakes_per_client = most("tls_handshakes_per_client", 1..=1_000_000);
    let https_connections = most("https_connections", 1..=1_000_000);
    let quic_connections = most("quic_connections", 1..=1_000_000);
    let unlimited = table.setting("unlimited", problems, prefixes);
    let tcp_idle = table.setting("tcp_idle", problems, |value, problems| value.duration(TCP_IDLE, problems));
    let drain = table.setting("drain", problems, |value, problems| value.duration(DRAIN, problems));
    let trust = table.setting("trust_ecs_from", problems, prefixes);
    let queries = table
        .setting("queries_per_second_per_client", problems, |value, problems| value.integer(0..=100_000, problems));
    let amplification = table.setting("amplification", problems, |value, problems| value.integer(0..=100, problems));
    Some(Limits {
        max_udp_bytes: narrow(max_udp_bytes.or(1232))?,
        tcp_connections: narrow(tcp_connections.or(1024))?,
        tcp_connections_per_client: narrow(per_client.or(128))?,
        tcp_idle: tcp_idle.or(Duration::from_secs(10))?,
        tls_handshakes: narrow(handshakes.or(256))?,
        tls_handshakes_per_client: narrow(handshakes_per_client.or(50))?,
        https_connections: narrow(https_connections.or(1024))?,
        quic_connections: narrow(quic_connections.or(1024))?,
        unlimited: unlimited.or(UNLIMITED.iter().filter_map(|prefix| prefix.parse().ok()).collect())?,
        drain: drain.or(Duration::from_secs(5))?,
        trust_ecs_from: trust.or(Vec::new())?,
        queries_per_second_per_client: narrow(queries.or(0))?,
        amplification: narrow(amplification.or(3))?,
    })
}

/// Both files, or neither where no listener needs them.
fn read_tls(table: &mut Table<'_>, is_encrypted: bool, problems: &mut Vec<Diagnostic>) -> Option<Option<Tls>> {
    let certificate = table.setting("certificate", problems, Value::path);
    let key = table.setting("key", problems, Value::path);
    if is_encrypted || certificate.is_written() || key.is_written() {
        let named = [("certificate", "pem", certificate.is_written()), ("key", "key", key.is_written())];
        for (name, ending, _) in named.into_iter().filter(|(.., is_written)| !is_written) {
            if table.lacks(&[name]) {
                let message = match is_encrypted {
                    true => format!("[tls] has no `{name}`, which the encrypted addresses of [listen] need"),
                    false => format!("[tls] has no `{name}` beside the other"),
                };
                let problem = Diagnostic::error(table.place(), message);
                problems.push(problem.hint(format!("write `{name} = \"/etc/concierge/tls.{ending}\"` below [tls]")));
            }
        }
    }
    let (certificate, key) = (certificate.optional()?, key.optional()?);
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Some(Tls { certificate, key })),
        (None, None) if !is_encrypted => Some(None),
        _ => None,
    }
}

fn read_proxy(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Proxy> {
    let from = table.setting("from", problems, prefixes);
    Some(Proxy { from: from.or(Vec::new())? })
}

fn read_admin(table: &mut Table<'_>, state: Option<&Path>, problems: &mut Vec<Diagnostic>) -> Option<Admin> {
    let socket: Setting<PathBuf> = table.setting("socket", problems, |value, problems| {
        let path = value.path(problems)?;
        let length = path.as_os_str().len();
        if length > MOST_SOCKET_PATH {
            let message = format!("the path of the socket has {length} octets, expected at most {MOST_SOCKET_PATH}");
            problems.push(value.error(message).hint("write a shorter one, such as \"/run/concierge/admin.sock\""));
            return None;
        }
        Some(path)
    });
    Some(Admin { socket: socket.optional()?.or_else(|| Some(state?.join(SOCKET)))? })
}

fn read_public(table: &mut Table<'_>, taken: &mut Taken, problems: &mut Vec<Diagnostic>) -> Option<Public> {
    let listen = table
        .setting("listen", problems, |value, problems| socket_addresses(value, None, &mut [&mut taken.tcp], problems));
    let connections = table.setting("connections", problems, |value, problems| value.integer(16..=1_000_000, problems));
    Some(Public { listen: listen.or(Vec::new())?, connections: narrow(connections.or(10_000))? })
}

fn read_health(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<HealthConfig> {
    let resolvers = table.setting("resolvers", problems, |value, problems| {
        socket_addresses(value, Some(DNS_PORT), &mut [&mut Addresses::new()], problems)
    });
    Some(HealthConfig { resolvers: resolvers.or(Vec::new())? })
}

fn read_audit(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Audit> {
    let keep = table.setting("keep", problems, |value, problems| value.duration(KEEP, problems));
    Some(Audit { keep: keep.optional()? })
}

fn read_statistics(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Statistics> {
    let resolvers = table.setting("resolvers", problems, |value, problems| value.integer(0..=1024, problems));
    Some(Statistics { resolvers: narrow(resolvers.or(8))? })
}

fn read_process(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Process> {
    let landlock = table.setting("landlock", problems, |value, problems| value.flag(problems));
    let readable = table.setting("readable", problems, |value, problems| {
        const EXAMPLE: &str = "a list such as [\"/srv/zones\"]";
        let entries = value.list("a list of files and folders", EXAMPLE, MOST_ADDRESSES, problems)?;
        let read: Vec<Option<PathBuf>> = entries.into_iter().map(|entry| entry.path(problems)).collect();
        read.into_iter().collect()
    });
    let drop_privileges = table.setting("drop_privileges", problems, |value, problems| value.flag(problems));
    let core_dumps = table.setting("core_dumps", problems, |value, problems| value.flag(problems));
    Some(Process {
        landlock: landlock.or(true)?,
        readable: readable.or(Vec::new())?,
        drop_privileges: drop_privileges.or(true)?,
        core_dumps: core_dumps.or(false)?,
    })
}

fn read_log(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Log> {
    const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = table.setting("format", problems, |value, problems| value.word(&FORMATS, problems));
    let filter = table.setting("filter", problems, read_filter);
    Some(Log { format: format.or(LogFormat::Text)?, filter: filter.or(FILTER.into())? })
}

fn read_filter(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    const EXAMPLE: &str = "such as \"info\" or \"info,concierge::health=debug\"";
    let text = value.text("a log filter", EXAMPLE, problems)?;
    // A directive with a space in front of it is cut at the wrong places by `tracing-subscriber` 0.3.23, which counts without
    // the space: another module is meant then, or it panics.
    let text = text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    // A word alone that is no level is taken for the name of a module, all of whose lines are then logged and no others.
    let slip = text.split(',').find_map(|word| {
        let close = closest(word, LEVELS).filter(|level| !level.eq_ignore_ascii_case(word))?;
        Some((word, close))
    });
    let problem = match (EnvFilter::builder().parse(&text), slip) {
        (Ok(_), None) if !text.is_empty() => return Some(text),
        (_, Some((word, close))) => value
            .mismatch("a level or directives", EXAMPLE)
            .hint(format!("did you mean \"{close}\" instead of \"{word}\"?")),
        _ => value.mismatch("a level or directives", EXAMPLE),
    };
    problems.push(problem);
    None
}

/// Addresses, and where each is written.
type Addresses = BTreeMap<SocketAddr, Place>;

/// Addresses that one listener has, and no other can have.
#[derive(Default)]
struct Taken {
    udp: Addresses,
    tcp: Addresses,
}

/// A list of addresses with ports, none of them twice nor among those that are taken, which they join.
fn socket_addresses(
    value: &Value<'_>,
    port: Option<u16>,
    taken: &mut [&mut Addresses],
    problems: &mut Vec<Diagnostic>,
) -> Option<Vec<SocketAddr>> {
    let example = format!("a list such as {LISTEN:?}");
    let entries = value.list("a list of addresses with ports", &example, MOST_ADDRESSES, problems)?;
    let mut addresses = Vec::new();
    let mut complete = true;
    for entry in entries {
        let Some(address) = entry.socket_address(port, problems) else {
            complete = false;
            continue;
        };
        if address.ip().is_multicast() {
            let problem = entry.error(format!("{address} is a multicast address, expected a unicast one"));
            problems.push(problem.hint("write an address of this machine"));
            complete = false;
        }
        // Port 0 takes a free one each time.
        let before = taken.iter_mut().filter_map(|taken| taken.insert(address, entry.place())).reduce(|first, _| first);
        if let Some(first) = before.filter(|_| address.port() != 0) {
            let problem = entry.error(format!("{address} is written twice")).related(first, "first here");
            problems.push(problem.hint("remove one of the two"));
            complete = false;
        }
        addresses.push(address);
    }
    complete.then_some(addresses)
}

/// A list of prefixes of addresses; an address alone is a prefix of all its bits.
pub(super) fn prefixes(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Vec<IpNet>> {
    const EXAMPLE: &str = "a list such as [\"192.0.2.53\", \"2001:db8:53::/48\"]";
    let entries = value.list("a list of addresses and prefixes", EXAMPLE, MOST_ADDRESSES, problems)?;
    let prefix = |entry: Value<'_>| {
        let text = entry.text("an address or a prefix", "such as \"192.0.2.53\" or \"2001:db8:53::/48\"", problems)?;
        let read = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let problem = match read {
            Ok(prefix) if prefix.trunc() == prefix => return Some(prefix),
            Ok(prefix) => {
                let message = format!("{} is {prefix}, which has bits beyond its length", entry.what());
                entry.error(message).hint(format!("write \"{}\"", prefix.trunc()))
            }
            Err(_) => entry.mismatch("an address or a prefix", "such as \"192.0.2.53\" or \"2001:db8:53::/48\""),
        };
        problems.push(problem);
        None
    };
    let read: Vec<Option<IpNet>> = entries.into_iter().map(prefix).collect();
    read.into_iter().collect()
}

/// A number into the smaller type whose range has been checked.
pub(super) fn narrow<T: TryFrom<i64>>(number: Option<i64>) -> Option<T> {
    number.and_then(|number| T::try_from(number).ok())
}
