//! What is done about abuse, by the real process, and how much longer than their queries responses are (`docs/abuse.md`).

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use concierge::answer::publish::Publisher;
use concierge::config::Config;
use concierge::control::clock::Clock;
use concierge::control::state::State;
use concierge::control::store::Store;
use concierge::control::{load, run};
use concierge::serve::cookies::Cookies;
use concierge::serve::{self, Answering, Serving};

use crate::differential::options::{CLIENT_COOKIE, COOKIE, Reaction, option, query};
use crate::process::{Daemon, Net, QUICK, Site, client, eventually, framed, read_message};

const WWW: &[u8] = b"\x03www\x07example\x03net\0";
const PATIENCE: Duration = Duration::from_secs(20);
const A: u16 = 1;
const REFUSED: u16 = 5;
const EXTENDED: u16 = 15;

/// A client's socket at an address.
fn at(from: Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn told_by(dns: SocketAddr, socket: &UdpSocket, query: &[u8]) -> Reaction {
    socket.send_to(query, dns).unwrap();
    let mut response = [0; 4096];
    let length = socket.recv(&mut response).unwrap();
    Reaction::of(&response[..length])
}

/// What is warned of is what comes about: one address less, and nothing is said.
#[test]
fn a_hub_that_is_sent_to_tcp_is_warned_of() {
    let warned = "hub api.example.net. has an answer of 113 octets, more than 3 times the 33 of a query";
    let hint = "some clients never come back over TCP";
    for (addresses, too_many) in [(4, false), (5, true)] {
        let site = Site::new(QUICK);
        let weu = site.net.weu();
        let more: String = (1..addresses).map(|last| format!(", \"192.0.2.{last}\"")).collect();
        site.edit("zones/example.net.toml", &format!("[\"{weu}\"]"), &format!("[\"{weu}\"{more}]"));
        let checked = site.run(&["check"]);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        assert_eq!(checked.err.contains(warned) && checked.err.contains(hint), too_many, "{checked:?}");
        assert_eq!(checked.err.is_empty(), !too_many, "{checked:?}");
        let daemon = Daemon::start(&site);
        let logged = daemon.log.lock().unwrap().iter().any(|line| line.to_string().contains(warned));
        assert_eq!(logged, too_many);
        let mut asked = query(b"\x03api\x07example\x03net\0", A, 0, b"");
        asked.truncate(33);
        asked[11] = 0;
        let told = told_by(site.net.dns(), &at(Ipv4Addr::LOCALHOST), &asked);
        assert_eq!(told.answers, if too_many { 0 } else { addresses });
    }
}

#[test]
fn a_connection_beyond_its_clients_rate_is_answered_all_the_same_only_later() {
    let site = Site::with("[limits]\nqueries_per_second_per_client = 20\nunlimited = []");
    let _daemon = Daemon::start(&site);
    let mut stream = TcpStream::connect(site.net.dns()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked: Vec<u8> = (0..60_u8)
        .flat_map(|id| {
            let mut query = query(WWW, A, 0, b"");
            query[1] = id;
            framed(&query)
        })
        .collect();
    let begun = Instant::now();
    stream.write_all(&asked).unwrap();
    for id in 0..60_u8 {
        let response = read_message(&mut stream).unwrap();
        assert_eq!((response[1], response[7]), (id, 2), "in order, and whole");
        let most = 20.0 + begun.elapsed().as_secs_f64() * 20.0 + 1.0;
        assert!(f64::from(id) < most, "{id} of at most {most}");
    }
    assert!(site.metric("client_limited_total{action=\"pause\"}") >= 1.0);

    // Over UDP what is beyond is dropped. Those of another client are not its business.
    let other = at(site.net.address(77));
    let flooding = UdpSocket::bind((site.net.address(78), 0)).unwrap();
    for _ in 0..200 {
        flooding.send_to(&query(WWW, A, 0, b""), site.net.dns()).unwrap();
    }
    for _ in 0..5 {
        assert_eq!(told_by(site.net.dns(), &other, &query(WWW, A, 0, b"")).answers, 2);
    }
    let dropped = || site.metric("client_limited_total{action=\"drop\"}");
    assert!(eventually(PATIENCE, || dropped() > 0.0));
}

#[test]
fn who_is_denied_is_told_so_or_nothing() {
    let net = Net::new();
    let (denied, within) = (net.address(50), net.address(51));
    let access = |action: &str| {
        format!(
            "[access]\ndeny = [\"{}/24\"]\nallow = [\"127.0.0.0/8\", \"{within}\"]\naction = \"{action}\"",
            net.address(0)
        )
    };
    let refusing = Site::with(&access("refuse"));
    let daemon = Daemon::start(&refusing);
    let dns = refusing.net.dns();
    let told = told_by(dns, &at(denied), &query(WWW, A, 0, b""));
    assert_eq!((told.rcode, told.answers, told.option(EXTENDED)), (REFUSED, 0, Some(&[0, 18][..])));
    assert_eq!(told_by(dns, &at(within), &query(WWW, A, 0, b"")).answers, 2, "the longest prefix counts");
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((denied, 0)).into()).unwrap();
    socket.connect(&dns.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&framed(&query(WWW, A, 0, b""))).unwrap();
    let told = Reaction::of(&read_message(&mut stream).unwrap());
    assert_eq!((told.rcode, told.option(EXTENDED)), (REFUSED, Some(&[0, 18][..])));
    assert!(eventually(PATIENCE, || refusing.metric("denied_total{action=\"refuse\"}") == 2.0));
    drop(daemon);

    let dropping = Site::with(&access("drop"));
    let _daemon = Daemon::start(&dropping);
    let (silent, dns) = (at(denied), dropping.net.dns());
    silent.set_nonblocking(true).unwrap();
    silent.send_to(&query(WWW, A, 0, b""), dns).unwrap();
    // Asked afterwards and answered afterwards.
    assert_eq!(told_by(dns, &client(PATIENCE), &query(WWW, A, 0, b"")).answers, 2);
    assert!(eventually(PATIENCE, || dropping.metric("denied_total{action=\"drop\"}") == 1.0));
    assert!(silent.recv(&mut [0; 512]).is_err());
}

/// The default zones, served with the default configuration but for what the server says of itself; nothing is probed.
struct Shipped {
    serving: Serving,
    _publisher: Publisher,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Shipped {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (loaded, problems) = load::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("zones"));
        let loaded = loaded.unwrap_or_else(|| panic!("{problems:?}"));
        let store = Store::open(&folder.path().join("state")).unwrap();
        let (_, effects) = State::new(loaded, store.read().unwrap(), Clock::start().now());
        let publisher = run::first(effects, &store).unwrap().0;
        let mut config = Config::default_at(folder.path());
        config.listen.dns = vec!["127.0.0.1:0".parse().unwrap()];
        config.listen.workers = 1;
        config.identity.version = "concierge".into();
        config.edns.nsid = "ns1.example.net".into();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let cookies = Cookies::open(&config.edns, &folder.path().join("state")).unwrap();
        let answering = Answering::of(&config, cookies);
        let (readers, handle) = (publisher.readers(), runtime.handle().clone());
        let settings = serve::Settings::of(&config, Arc::default(), None);
        let serving = serve::start(settings, answering, readers, Arc::default(), handle).unwrap();
        Self { serving, _publisher: publisher, _runtime: runtime, _folder: folder }
    }
}

/// A query: what a line of the table calls it, name, type, class, and whether something is wrong with it.
struct Row(&'static str, &'static str, u16, u16, Odd);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Odd {
    No,
    Version,
    Malformed,
}

const ROWS: &[Row] = &[
    Row("A of the hub", "hub.example.net.", A, 1, Odd::No),
    Row("AAAA of the hub", "hub.example.net.", 28, 1, Odd::No),
    Row("A of a hub with addresses", "api.example.net.", A, 1, Odd::No),
    Row("CNAME", "www.example.net.", 5, 1, Odd::No),
    Row("A by CNAME and wildcard", "www.example.net.", A, 1, Odd::No),
    Row("A by a DNAME", "shop.old.example.net.", A, 1, Odd::No),
    Row("SRV of a hub", "_mqtt._tcp.example.net.", 33, 1, Odd::No),
    Row("NS", "example.net.", 2, 1, Odd::No),
    Row("SOA", "example.net.", 6, 1, Odd::No),
    Row("MX", "example.net.", 15, 1, Odd::No),
    Row("TXT", "example.net.", 16, 1, Odd::No),
    Row("CAA", "example.net.", 257, 1, Odd::No),
    Row("ANY", "example.net.", 255, 1, Odd::No),
    Row("ANY of the hub", "hub.example.net.", 255, 1, Odd::No),
    Row("NODATA", "mail.example.net.", 28, 1, Odd::No),
    Row("NODATA at the apex", "example.net.", 28, 1, Odd::No),
    Row("NXDOMAIN", "missing.example.net.", A, 1, Odd::No),
    Row("NXDOMAIN, a short name", "x.example.net.", A, 1, Odd::No),
    Row("referral", "host.lab.example.net.", A, 1, Odd::No),
    Row("CH TXT version.bind", "version.bind.", 16, 3, Odd::No),
    Row("CH TXT, not configured", "hostname.bind.", 16, 3, Odd::No),
    Row("REFUSED", "example.org.", A, 1, Odd::No),
    Row("BADVERS", "hub.example.net.", A, 1, Odd::Version),
    Row("FORMERR", "hub.example.net.", A, 1, Odd::Malformed),
];

impl Row {
    /// The query with these options, or without an OPT record.
    fn query(&self, options: Option<&[u8]>) -> Vec<u8> {
        let Row(_, name, rtype, class, odd) = self;
        let mut octets = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(options.is_some())];
        for label in name.split_terminator('.') {
            octets.push(u8::try_from(label.len()).unwrap());
            octets.extend_from_slice(label.as_bytes());
        }
        octets.push(0);
        octets.extend([*rtype, *class].iter().flat_map(|field| field.to_be_bytes()));
        if let Some(options) = options {
            octets.extend([0, 0, 41, 4, 208, 0, u8::from(*odd == Odd::Version), 0, 0]);
            octets.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
            octets.extend_from_slice(options);
        }
        if *odd == Odd::Malformed {
            // An octet that belongs to nothing.
            octets.push(0);
        }
        octets
    }
}

#[test]
fn no_response_over_udp_is_more_than_three_times_as_long_as_its_query() {
    let shipped = Shipped::start();
    let dns = shipped.serving.addresses()[0];
    let socket = at(Ipv4Addr::LOCALHOST);
    let ask = |query: &[u8]| {
        socket.send_to(query, dns).unwrap();
        let mut response = [0; 4096];
        let length = socket.recv(&mut response).unwrap();
        response[..length].to_vec()
    };
    let learnt = ask(&ROWS[0].query(Some(&option(COOKIE, &CLIENT_COOKIE))));
    let valid = option(COOKIE, Reaction::of(&learnt).option(COOKIE).unwrap());
    let new = option(COOKIE, &CLIENT_COOKIE);
    let nsid = option(3, b"");
    let mut table = String::from(
        "| query | without EDNS | with EDNS | and NSID | with a new cookie | with a valid cookie |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    let mut beyond = Vec::new();
    for row in ROWS {
        table += &format!("| {} ", row.0);
        for (options, is_valid) in [
            (None, false),
            (Some(&b""[..]), false),
            (Some(&nsid[..]), false),
            (Some(&new[..]), false),
            (Some(&valid[..]), true),
        ] {
            if options.is_none() && row.4 == Odd::Version {
                table += "| ";
                continue;
            }
            let query = row.query(options);
            let response = ask(&query);
            let truncated = if response[2] & 0x02 != 0 { ", TC" } else { "" };
            let times = response.len() as f64 / query.len() as f64;
            table += &format!("| {} → {} ({times:.1}{truncated}) ", query.len(), response.len());
            if response.len() > 3 * query.len() && !is_valid {
                beyond.push(row.0);
            }
        }
        table += "|\n";
    }
    assert!(beyond.is_empty(), "{beyond:?}\n{table}");
    let page = include_str!("../../docs/abuse.md");
    assert!(page.contains(&table), "docs/abuse.md lacks the table:\n{table}");
}
