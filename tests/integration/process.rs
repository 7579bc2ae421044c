//! A concierge process, its files, its regions, and ways to ask it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::Value;

/// The port that every daemon of these tests answers on, at an address of its own.
pub const PORT: u16 = 5300;
/// The port that the regions of these tests listen on, at addresses of their own.
pub const BROKER: u16 = 8883;

/// A /24 of the loopback network that no other test has.
#[derive(Clone, Copy, Debug)]
pub struct Net(u8, u8);

impl Net {
    /// The next free one.
    pub fn new() -> Self {
        static BLOCK: OnceLock<(u8, UdpSocket)> = OnceLock::new();
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // A socket that is held for as long as the process lives keeps others that run these tests at once away.
        let (block, _held) = BLOCK.get_or_init(|| {
            let first = (std::process::id() % 50) as u8;
            let blocks = (0..50).map(|next| (first + next) % 50 + 100);
            let mut held = blocks
                .filter_map(|block| Some((block, UdpSocket::bind((Ipv4Addr::new(127, block, 255, 254), PORT)).ok()?)));
            held.next().expect("fewer than 50 runs of these tests at once")
        });
        let [more, taken] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        assert!(more < 2, "at most 512 of them");
        Self(*block + 50 * more, taken)
    }

    /// One of its addresses.
    pub fn address(self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, self.1, last)
    }

    /// Where the daemon answers.
    pub fn dns(self) -> SocketAddr {
        (self.address(1), PORT).into()
    }

    /// Where the first region listens.
    pub fn weu(self) -> Ipv4Addr {
        self.address(11)
    }

    /// Where the second region listens.
    pub fn neu(self) -> Ipv4Addr {
        self.address(12)
    }
}

/// The files of one daemon.
pub struct Site {
    pub net: Net,
    folder: tempfile::TempDir,
}

/// A probe that decides quickly.
pub const QUICK: &str = "interval = \"1s\"\ntimeout = \"500ms\"\nconfirm = \"100ms\"\nfall = 3\nrise = 3\n";

impl Site {
    /// A zone and a hub with two regions, watched by `probe` (the keys after the kind).
    pub fn new(probe: &str) -> Self {
        let site = Self { net: Net::new(), folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(site.path("zones")).unwrap();
        std::fs::create_dir_all(site.path("config")).unwrap();
        let (net, dns) = (site.net, site.net.dns());
        site.write(
            "config/concierge.toml",
            &format!(
                "zones = \"../zones\"\nstate = \"../state\"\n[listen]\ndns = [\"{dns}\"]\nworkers = 1\n[health]\nresolvers = \
                 [\"{dns}\"]\n[log]\nformat = \"json\"\n"
            ),
        );
        site.write("zones/example.net.zone", &zone(net, 1, "one"));
        site.write("zones/example.net.toml", &policy(net, probe));
        site
    }

    /// [`Site::new`] with more in its configuration.
    pub fn with(configuration: &str) -> Self {
        let site = Self::new(QUICK);
        site.edit("config/concierge.toml", "[log]", &format!("{configuration}\n[log]"));
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Replaces `from` wherever a file says it, which it has to.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} does not say `{from}`");
        self.write(name, &text.replace(from, to));
    }

    /// Gives the policy a reference that is always reached, the daemon itself: what fails everywhere is then believed.
    pub fn add_reference(&self) {
        let probe = format!(
            "[probes.here]\ntcp = {{ port = {PORT} }}\n{QUICK}\n[references.here]\nprobe = \"here\"\ntarget = \"{}\"\n\
             [regions.westeurope]",
            self.net.dns().ip()
        );
        self.edit("zones/example.net.toml", "[regions.westeurope]", &probe);
    }

    pub fn socket(&self) -> PathBuf {
        self.path("state/admin.sock")
    }

    /// The value of a metric with its labels.
    pub fn metric(&self, sample: &str) -> f64 {
        let (_, page) = request(&self.socket(), "GET", "/metrics", "").unwrap();
        let Value::String(page) = page else { panic!("{page}") };
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("concierge_{sample} ")));
        line.unwrap_or_else(|| panic!("no {sample} in {page}")).parse().unwrap()
    }

    /// Runs the program with this site's configuration.
    pub fn concierge(&self, arguments: &[&str]) -> Output {
        let config = self.path("config/concierge.toml");
        concierge().arg("--config").arg(config).args(arguments).output().unwrap()
    }

    /// Runs the program with this site's configuration, and keeps everything that it says.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(&self.concierge(arguments))
    }

    /// Runs the program, which has to succeed, and returns what it prints.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.concierge(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
        out
    }

    /// The state of everything, by the program.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.ok(&["status", "--output", "json"])).unwrap()
    }

    /// What `status` says of one hub.
    pub fn hub(&self, name: &str) -> Value {
        let status = self.status();
        let hubs = status["hubs"].as_array().unwrap();
        hubs.iter().find(|hub| hub["name"] == name).unwrap_or_else(|| panic!("no hub {name}: {status}")).clone()
    }

    /// The audit trail of one subject, newest first.
    pub fn history(&self, subject: &str) -> Vec<Value> {
        let path = format!("/v1/history?limit=1000&subject={subject}");
        let (status, records) = request(&self.socket(), "GET", &path, "").unwrap();
        assert_eq!(status, 200, "{records}");
        records.as_array().unwrap().clone()
    }
}

/// The zone, with `text` in a TXT record.
pub fn zone(net: Net, serial: u32, text: &str) -> String {
    let (dns, weu, neu) = (net.address(1), net.weu(), net.neu());
    format!(
        "$TTL 60\n@ IN SOA ns hostmaster {serial} 3600 600 86400 30\n  IN NS ns\nns IN A {dns}\nwww IN A 192.0.2.1\nwww IN \
         A 192.0.2.{}\nversion IN TXT \"{text}\"\n*.wild IN A 192.0.2.7\nhub-weu 5 IN A {weu}\nhub-neu 5 IN A {neu}\n",
        serial % 200 + 10,
    )
}

/// Two hubs in two regions: one answers names, one answers addresses.
pub fn policy(net: Net, probe: &str) -> String {
    let (weu, neu) = (net.weu(), net.neu());
    format!(
        "[regions.westeurope]\n[regions.northeurope]\n[probes.broker]\ntcp = {{ port = {BROKER} }}\n{probe}\n\
         [hubs.\"hub.example.net.\"]\nttl = \"5s\"\ndwell = \"0s\"\nflap_limit = 32\nendpoints = [\n  {{ region = \"westeurope\", cname = \
         \"hub-weu.example.net.\", probe = \"broker\" }},\n  {{ region = \"northeurope\", cname = \"hub-neu.example.net.\", \
         probe = \"broker\" }},\n]\n[hubs.\"api.example.net.\"]\nttl = \"5s\"\ndwell = \"0s\"\nflap_limit = 32\nendpoints = [\n  {{ region = \
         \"westeurope\", addresses = [\"{weu}\"], probe = \"broker\" }},\n  {{ region = \"northeurope\", addresses = \
         [\"{neu}\"], probe = \"broker\" }},\n]\n"
    )
}

/// The program under test.
pub fn concierge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_concierge"));
    command.env_remove("CONCIERGE_SOCKET").env_remove("CONCIERGE_CONFIG").env_remove("SUDO_USER");
    command.stdin(Stdio::null());
    command
}

/// How a run of the program ended, and what it said.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn ran(output: &Output) -> Ran {
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

pub fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    pub child: Child,
    /// Its log so far, one JSON object a line.
    pub log: Arc<Mutex<Vec<Value>>>,
}

impl Daemon {
    /// Starts the daemon of a site and waits until it says that it is ready.
    pub fn start(site: &Site) -> Self {
        Self::start_as(concierge(), site)
    }

    /// The same for a command that becomes the program when arguments are added to it.
    pub fn start_as(mut command: Command, site: &Site) -> Self {
        let config = site.path("config/concierge.toml");
        command.arg("serve").arg("--config").arg(config).stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let seen = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                seen.lock().unwrap().push(line);
            }
        });
        let mut daemon = Self { child, log };
        let ready = eventually(Duration::from_secs(20), || {
            daemon.child.try_wait().unwrap().is_some() || daemon.said("ready").is_some()
        });
        assert!(ready && daemon.said("ready").is_some(), "not ready: {:?}", daemon.log.lock().unwrap());
        daemon
    }

    /// The newest log line of this event.
    pub fn said(&self, event: &str) -> Option<Value> {
        self.log.lock().unwrap().iter().rev().find(|line| line["event"] == event).cloned()
    }

    /// The addresses that it answers on, as it said at the start.
    pub fn listens(&self) -> Vec<SocketAddr> {
        let log = self.log.lock().unwrap();
        log.iter().filter_map(|line| line["address"].as_str()?.parse().ok()).collect()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Kills it as the loss of power would, as far as the process goes.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A process that has ended needs no end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits for a condition.
pub fn eventually(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if started.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A region that takes connections until it is dropped.
pub struct Region {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Region {
    /// One that closes every connection at once.
    pub fn start(address: Ipv4Addr) -> Self {
        Self::serve((address, BROKER), drop)
    }

    /// One that does something with every connection, one after the other.
    pub fn serve(address: impl Into<SocketAddr>, mut serve: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let address = address.into();
        // A process that another test starts has a copy of the socket of the region before, until it runs its program.
        let mut listener = TcpListener::bind(address);
        eventually(Duration::from_secs(5), || {
            if listener.is_err() {
                listener = TcpListener::bind(address);
            }
            listener.is_ok()
        });
        let listener = listener.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) if !stopped.load(Ordering::SeqCst) => serve(stream),
                    _ => {}
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A running daemon with both its regions up.
pub struct Up {
    pub site: Site,
    pub daemon: Daemon,
    pub weu: Option<Region>,
    pub neu: Option<Region>,
}

impl Up {
    pub fn start() -> Self {
        Self::of(Site::new(QUICK))
    }

    pub fn of(site: Site) -> Self {
        let (weu, neu) = (Some(Region::start(site.net.weu())), Some(Region::start(site.net.neu())));
        let daemon = Daemon::start(&site);
        let up = Self { site, daemon, weu, neu };
        assert!(up.measures("westeurope", "up") && up.measures("northeurope", "up"), "the regions are not up");
        up
    }

    /// Waits until every endpoint in a region has this health.
    pub fn measures(&self, region: &str, health: &str) -> bool {
        let same = |endpoint: &&Value| endpoint["region"] == region;
        eventually(Duration::from_secs(15), || {
            let (_, status) = request(&self.site.socket(), "GET", "/v1/status", "").unwrap();
            let hubs = status["hubs"].as_array().unwrap().iter();
            let mut endpoints = hubs.flat_map(|hub| hub["endpoints"].as_array().unwrap());
            endpoints.by_ref().filter(same).all(|endpoint| endpoint["measured"] == health)
        })
    }
}

/// A query, ready to send.
pub fn query(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = id;
    // As a device asks its resolver.
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

/// Asks over UDP.
pub fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    // Virtual machines are paused for seconds.
    try_ask(server, name, kind, Duration::from_secs(30)).unwrap_or_else(|| panic!("{server} does not answer {name}"))
}

/// Asks over UDP a server that may be gone.
pub fn try_ask(server: SocketAddr, name: &str, kind: RecordType, patience: Duration) -> Option<Message> {
    let socket = if server.is_ipv6() { client_at("[::1]:0", patience) } else { client(patience) };
    socket.send_to(&query(rand::random(), name, kind), server).unwrap();
    let mut response = [0; 4096];
    let length = socket.recv(&mut response).ok()?;
    Some(Message::from_vec(&response[..length]).unwrap())
}

/// Asks over TCP.
pub fn ask_tcp(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(&framed(&query(rand::random(), name, kind))).unwrap();
    Message::from_vec(&read_message(&mut stream).unwrap()).unwrap()
}

/// A message as TCP carries it: its length in front (RFC 1035 4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

/// The next message of a TCP connection.
pub fn read_message(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// A UDP socket for a client.
pub fn client(patience: Duration) -> UdpSocket {
    client_at("127.0.0.1:0", patience)
}

fn client_at(address: &str, patience: Duration) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket
}

/// The addresses of an answer.
pub fn addresses(message: &Message) -> Vec<IpAddr> {
    let address = |data: &RData| match data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    };
    message.answers.iter().filter_map(|record| address(&record.data)).collect()
}

/// The one address of a hub's answer.
pub fn active(server: SocketAddr, hub: &str) -> IpAddr {
    let answer = ask(server, hub, RecordType::A);
    let found = addresses(&answer);
    assert_eq!(found.len(), 1, "{answer:?}");
    found[0]
}

/// One request on the admin socket; `None` when the daemon is gone before it answers.
pub fn request(socket: &Path, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: concierge\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).ok()?;
    let response = String::from_utf8(response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.into()))))
}

/// Whether every endpoint has this health.
pub fn health(site: &Site, wanted: &str) -> bool {
    let status = site.status();
    let hubs = status["hubs"].as_array().unwrap().iter();
    hubs.flat_map(|hub| hub["endpoints"].as_array().unwrap()).all(|endpoint| endpoint["measured"] == wanted)
}

/// The measured health by region, of the first hub.
pub fn measured(site: &Site) -> HashMap<String, String> {
    let status = site.status();
    let endpoints = status["hubs"][0]["endpoints"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    endpoints.iter().map(|endpoint| (text(&endpoint["region"]), text(&endpoint["measured"]))).collect()
}

/// A program of a Debian package; the test fails with the package's name where it is missing.
pub fn program(name: &str, package: &str) -> Command {
    let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().map(|folder| Path::new(folder).join(name));
    match found.into_iter().find(|path| path.is_file()) {
        Some(path) => Command::new(path),
        None => panic!("`{name}` is not installed: apt-get install {package}"),
    }
}
