//! The daemon as the people see it who start, stop, watch and script it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::process::{
    Daemon, QUICK, Ran, Region, Site, Up, active, addresses, ask, ask_tcp, client, concierge, eventually, framed,
    health, program, query, ran, read_message, request, text,
};

const HUB: &str = "hub.example.net.";

// ---- start

/// A daemon whose log is kept as lines, whatever it looks like.
struct Raw {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    fn start(site: &Site) -> Self {
        let mut command = concierge();
        command.arg("serve").arg("--config").arg(site.path("config/concierge.toml"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (read, kept) = (BufReader::new(child.stderr.take().unwrap()).lines(), lines.clone());
        std::thread::spawn(move || read.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line)));
        let raw = Self { child, lines };
        assert!(eventually(Duration::from_secs(20), || raw.has("ready")), "{:?}", raw.lines.lock().unwrap());
        raw
    }

    fn has(&self, part: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|line| line.contains(part))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Writes the configuration with `listen` and whatever comes after it.
fn configure(site: &Site, listen: &str, more: &str) {
    let dns = site.net.dns();
    let config = format!(
        "zones = \"../zones\"\nstate = \"../state\"\n[listen]\ndns = {listen}\nworkers = 1\n[health]\nresolvers = \
         [\"{dns}\"]\n{more}"
    );
    site.write("config/concierge.toml", &config);
}

#[test]
fn the_log_for_people_says_where_it_answers() {
    let site = Site::new(QUICK);
    let (one, two) = (site.net.dns(), site.net.address(2));
    configure(&site, &format!("[\"{one}\", \"{two}:5300\"]"), "");
    let mut raw = Raw::start(&site);
    let lines = raw.lines.lock().unwrap().clone();
    for address in [one.to_string(), format!("{two}:5300")] {
        let sentence = format!("answering on {address} over UDP and TCP");
        assert_eq!(
            lines.iter().filter(|line| line.contains(&sentence)).count(),
            1,
            "one line for {address}: {lines:#?}"
        );
    }
    assert!(raw.has("admin API on ") && raw.has("admin.sock"), "{lines:#?}");
    let last = lines.last().unwrap();
    assert!(last.contains(" INFO ready"), "ready comes last: {lines:#?}");
    assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "colours without a terminal: {lines:#?}");
    assert_eq!(active(one, HUB), site.net.weu());
    assert_eq!(active((two, 5300).into(), HUB), site.net.weu());
    drop(raw.child.kill());
    let mut out = String::new();
    raw.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(out, "", "standard output stays empty");
}

#[test]
fn port_0_takes_a_free_one_and_says_which() {
    let site = Site::new(QUICK);
    configure(&site, &format!("[\"{}:0\"]", site.net.address(1)), "[log]\nformat = \"json\"\n");
    let daemon = Daemon::start(&site);
    let listen: Vec<Value> =
        daemon.log.lock().unwrap().iter().filter(|line| line["event"] == "listen").cloned().collect();
    let address: std::net::SocketAddr = listen[0]["address"].as_str().unwrap().parse().unwrap();
    assert_ne!(address.port(), 0);
    assert_eq!(active(address, HUB), site.net.weu());
    assert_eq!(addresses(&ask_tcp(address, HUB, RecordType::A)), [site.net.weu()]);
    assert!(listen[1]["socket"].as_str().unwrap().ends_with("admin.sock"), "{listen:?}");
    for line in daemon.log.lock().unwrap().iter() {
        assert!(line["message"].is_string() && line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

/// Runs the daemon, which has to end by itself at once.
#[track_caller]
fn refused(site: &Site, code: i32, parts: &[&str]) -> Ran {
    let mut child = concierge()
        .arg("serve")
        .arg("--config")
        .arg(site.path("config/concierge.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = eventually(Duration::from_secs(20), || child.try_wait().unwrap().is_some());
    drop(child.kill());
    let ran = ran(&child.wait_with_output().unwrap());
    assert!(ended && ran.code == Some(code), "{ran:?}");
    for part in parts {
        assert!(ran.err.contains(part), "{part:?} is missing:\n{}", ran.err);
    }
    assert!(!ran.err.contains("panicked"), "{ran:?}");
    ran
}

#[test]
fn one_state_folder_serves_one_daemon() {
    let up = Up::start();
    let other = format!("[\"{}:5300\"]", up.site.net.address(3));
    configure(&up.site, &other, "");
    let sentence = "another concierge is running on it; one state folder serves one daemon";
    refused(&up.site, 1, &["error: cannot open the store ", "state/concierge.redb", sentence]);
    // The one that runs is as it was, and so is its socket.
    assert_eq!(active(up.site.net.dns(), HUB), up.site.net.weu());
    assert_eq!(request(&up.site.socket(), "GET", "/v1/status", "").unwrap().0, 200);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let site = Site::new(QUICK);
    let taken = TcpListener::bind(site.net.dns()).unwrap();
    let address = site.net.dns().to_string();
    refused(&site, 1, &["error: ", &address, "TCP", "in use"]);
    drop(taken);
    let _taken = std::net::UdpSocket::bind(site.net.dns()).unwrap();
    refused(&site, 1, &["error: ", &address, "UDP", "in use"]);
    assert!(!site.socket().exists());
    // An address of another machine.
    configure(&site, "[\"192.0.2.1:5300\"]", "");
    refused(&site, 1, &["error: ", "192.0.2.1:5300"]);
}

#[test]
fn a_bad_file_at_start_is_explained() {
    let site = Site::new(QUICK);
    let zone = std::fs::read_to_string(site.path("zones/example.net.zone")).unwrap();
    site.write("zones/example.net.zone", &format!("{zone}bad IN A 192.0.2.300\n"));
    refused(&site, 78, &["192.0.2.300", "example.net.zone:11:10", "bad IN A 192.0.2.300", "1 error in 1 file"]);
    assert!(!site.path("state").exists(), "files are checked before anything is touched");
    site.write("zones/example.net.zone", &zone);
    site.write("config/concierge.toml", "[listn]\n");
    refused(&site, 78, &["unknown", "listn", "did you mean `listen`?"]);
    std::fs::remove_file(site.path("config/concierge.toml")).unwrap();
    refused(&site, 78, &["cannot read the configuration", "concierge.toml", "No such file"]);
    let empty = tempfile::tempdir().unwrap();
    let bare = ran(&concierge().arg("serve").current_dir(empty.path()).output().unwrap());
    assert_eq!(bare.code, Some(1), "{bare:?}");
    assert!(bare.err.contains("error: no configuration: ") && bare.err.contains("--config"), "{bare:?}");
}

#[test]
fn a_state_folder_that_cannot_be_made_is_named() {
    let site = Site::new(QUICK);
    site.write("state", "a file, not a folder");
    refused(&site, 1, &["error: cannot make the state folder", "state", "File exists"]);
    std::fs::remove_file(site.path("state")).unwrap();
    std::fs::create_dir(site.path("state")).unwrap();
    site.write("state/concierge.redb", "this is no database");
    refused(&site, 1, &["error: cannot open the store", "state/concierge.redb"]);
}

// ---- stop

/// Sends queries over UDP and TCP, stops the daemon in the middle of them, and wants every answer.
fn drains(signal: &str) {
    const QUERIES: u16 = 300;
    let mut up = Up::start();
    let dns = up.site.net.dns();
    let udp = client(Duration::from_secs(5));
    let mut tcp = TcpStream::connect(dns).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut pipelined = Vec::new();
    for id in 0..QUERIES {
        let query = query(id, "www.example.net.", RecordType::A);
        pipelined.extend_from_slice(&u16::try_from(query.len()).unwrap().to_be_bytes());
        pipelined.extend_from_slice(&query);
    }
    tcp.write_all(&pipelined).unwrap();
    for id in 0..QUERIES / 10 {
        udp.send_to(&query(id, HUB, RecordType::A), dns).unwrap();
    }
    up.daemon.signal(signal);

    let mut response = [0; 4096];
    let mut answered = BTreeSet::new();
    for _ in 0..QUERIES / 10 {
        let length = udp.recv(&mut response).expect("a datagram that had arrived is answered");
        let message = Message::from_vec(&response[..length]).unwrap();
        assert_eq!(addresses(&message), [up.site.net.weu()]);
        answered.insert(message.metadata.id);
    }
    assert_eq!(answered.len(), usize::from(QUERIES / 10));
    for id in 0..QUERIES {
        let mut length = [0; 2];
        tcp.read_exact(&mut length).unwrap_or_else(|error| panic!("answer {id}: {error}"));
        let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
        tcp.read_exact(&mut response).unwrap();
        assert_eq!(Message::from_vec(&response).unwrap().metadata.id, id, "answers come in the order of the queries");
    }
    assert_eq!(tcp.read(&mut [0]).unwrap(), 0, "the connection is closed in order");
    assert!(eventually(Duration::from_secs(10), || up.daemon.child.try_wait().unwrap().is_some()), "it does not end");
    assert_eq!(up.daemon.child.wait().unwrap().code(), Some(0));
    assert!(!up.site.socket().exists(), "the socket is removed");
    let said = |sentence: &str| {
        let log = up.daemon.log.clone();
        let find = || log.lock().unwrap().iter().any(|line| line["message"].as_str().unwrap().starts_with(sentence));
        assert!(eventually(Duration::from_secs(5), find), "{sentence:?} is not in {:#?}", log.lock().unwrap());
    };
    said(&format!("SIG{signal}: draining"));
    said("every query that had arrived is answered");
    said("stopped");
}

#[test]
fn sigterm_answers_what_has_arrived() {
    drains("TERM");
}

#[test]
fn sigint_answers_what_has_arrived() {
    drains("INT");
}

/// Clients of the API that stop in the middle of a request, or keep their connection, do not keep the daemon from ending.
#[test]
fn nobody_keeps_the_daemon_from_ending() {
    let site = Site::new(QUICK);
    configure(&site, &format!("[\"{}\"]", site.net.dns()), "[limits]\ndrain = \"1s\"\n[log]\nformat = \"json\"\n");
    let mut daemon = Daemon::start(&site);
    let mut half = UnixStream::connect(site.socket()).unwrap();
    half.write_all(b"PUT /v1/marks/weste").unwrap();
    let mut half_a_body = UnixStream::connect(site.socket()).unwrap();
    let head = "host: x\r\ncontent-type: application/json\r\ncontent-length: 100";
    write!(half_a_body, "PUT /v1/marks/westeurope HTTP/1.1\r\n{head}\r\n\r\n{{").unwrap();
    let mut kept = UnixStream::connect(site.socket()).unwrap();
    kept.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    kept.read_exact(&mut [0; 16]).unwrap();
    let mut begun = TcpStream::connect(site.net.dns()).unwrap();
    begun.write_all(&[0, 40, 1]).unwrap();
    let started = Instant::now();
    daemon.signal("TERM");
    assert!(eventually(Duration::from_secs(10), || daemon.child.try_wait().unwrap().is_some()), "it does not end");
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let warned = |part: &str| {
        let log = daemon.log.lock().unwrap();
        log.iter().any(|line| line["level"] == "WARN" && line["message"].as_str().unwrap().contains(part))
    };
    assert!(eventually(Duration::from_secs(5), || warned("an admin request was cut")));
    assert!(warned("cut at the deadline: 1 connections"), "{:#?}", daemon.log.lock().unwrap());
}

/// Whoever opens connections without end keeps neither newcomers nor probes nor operators from their descriptors.
#[test]
fn connections_leave_descriptors_to_everything_else() {
    let site = Site::new(QUICK);
    site.edit("config/concierge.toml", "[health]", "[limits]\ntcp_connections = 1000\ntcp_idle = \"10m\"\n[health]");
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_concierge")]);
    let _weu = Region::start(site.net.weu());
    let daemon = Daemon::start_as(limited, &site);
    let kept: Vec<TcpStream> = (0..400)
        .map(|_| {
            let mut stream = TcpStream::connect(site.net.dns()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            stream.write_all(&framed(&query(1, "www.example.net.", RecordType::A))).unwrap();
            read_message(&mut stream).unwrap();
            stream
        })
        .collect();
    assert_eq!(ask_tcp(site.net.dns(), "www.example.net.", RecordType::A).answers.len(), 2);
    // Seen by probes alone, and shown to an operator.
    let _neu = Region::start(site.net.neu());
    assert!(eventually(Duration::from_secs(15), || health(&site, "up")), "{:?}", daemon.log.lock().unwrap());
    drop(kept);
}

#[test]
fn the_socket_is_the_owners_and_survives_a_kill() {
    let up = Up::start();
    let socket = up.site.socket();
    let mode = || {
        let metadata = std::fs::symlink_metadata(&socket).unwrap();
        assert!(metadata.file_type().is_socket());
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(), 0o600);
    let store = std::fs::metadata(up.site.path("state/concierge.redb")).unwrap();
    assert_eq!(store.permissions().mode() & 0o777, 0o600, "nobody else reads the store");
    up.daemon.kill();
    assert!(socket.exists(), "a killed daemon leaves its socket behind");
    let ran = up.site.run(&["status"]);
    assert!(ran.code == Some(1) && ran.err.contains("is `concierge serve` (or `concierge demo`) running?"), "{ran:?}");
    let _daemon = Daemon::start(&up.site);
    assert_eq!(mode(), 0o600);
    assert_eq!(request(&socket, "GET", "/v1/status", "").unwrap().0, 200);
}

/// `concierge serve 2>&1 | head -1`: a log that nobody reads any more ends nothing.
#[test]
fn a_log_without_a_reader_ends_nothing() {
    let site = Site::new(QUICK);
    let mut command = concierge();
    command.arg("serve").arg("--config").arg(site.path("config/concierge.toml"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(1, child.stderr.take().unwrap()).read_line(&mut first).unwrap();
    let answers = || request(&site.socket(), "GET", "/v1/status", "").is_some_and(|(status, _)| status == 200);
    let up = eventually(Duration::from_secs(20), answers);
    let marked = up.then(|| site.run(&["mark", "westeurope", "down", "--reason", "is logged"]));
    let switched = up.then(|| site.run(&["mark", "westeurope", "up", "--reason", "is logged"]));
    let alive = child.try_wait().unwrap().is_none();
    drop(child.kill());
    drop(child.wait());
    assert!(up && alive);
    assert_eq!(marked.unwrap().code, Some(0));
    assert_eq!(switched.unwrap().code, Some(0));
}

// ---- log

#[test]
fn a_switch_is_logged_with_its_fields_and_its_reason() {
    let mut up = Up::start();
    up.weu = None;
    let dns = up.site.net.dns();
    assert!(eventually(Duration::from_secs(10), || active(dns, HUB) == up.site.net.neu()));
    let status = up.site.status();
    let hub = status["hubs"].as_array().unwrap().iter().find(|hub| hub["name"] == HUB).unwrap();
    let log = up.daemon.log.lock().unwrap().clone();
    let switch = log.iter().find(|line| line["event"] == "switch" && line["hub"] == HUB && line["epoch"] == 2).unwrap();
    assert_eq!((switch["level"].as_str(), switch["region"].as_str()), (Some("WARN"), Some("northeurope")));
    let reason = hub["reason"].as_str().unwrap();
    assert!(reason.starts_with("westeurope is down: 3 failed in a row, the last "), "{reason}");
    assert_eq!(
        switch["message"],
        format!("{HUB}: westeurope -> northeurope, epoch 2: {reason}"),
        "one and the same sentence"
    );
    assert!(up.site.run(&["status"]).out.contains(&format!("the reason then: {reason}")));
    let (_, history) = request(&up.site.socket(), "GET", "/v1/history?subject=hub.example.net&limit=1", "").unwrap();
    assert_eq!(history[0]["reason"], reason);
    let health = log.iter().find(|line| line["event"] == "health" && line["level"] == "WARN").unwrap();
    assert_eq!(health["region"], "westeurope");
    assert!(health["message"].as_str().unwrap().contains("is down, was up: 3 failed in a row: "), "{health}");
}

// ---- metrics

/// The samples of an OpenMetrics text, by name and labels as written, read strictly: families are declared once and stand
/// together, a counter's sample ends in `_total`, no sample comes twice, the text ends with `# EOF`.
fn openmetrics(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text:?}"));
    let mut samples = BTreeMap::new();
    let mut families = BTreeMap::new();
    let mut current = String::new();
    for line in body.lines() {
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (what, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            match what {
                "HELP" => assert!(rest.len() > 10 && !rest.ends_with(' '), "{line}"),
                "TYPE" => {
                    let known = families.insert(name.to_owned(), rest.to_owned());
                    assert!(known.is_none(), "{name} is declared twice");
                    assert!(["counter", "gauge", "histogram"].contains(&rest), "{line}");
                }
                _ => panic!("{line}"),
            }
            current = name.to_owned();
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        let (name, labels) = match sample.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').filter(|labels| !labels.is_empty()).unwrap()),
            None => (sample, ""),
        };
        let family = match families[&current].as_str() {
            "counter" => name.strip_suffix("_total").unwrap_or_else(|| panic!("a counter's name: {line}")),
            "histogram" => ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or_else(|| panic!("a histogram's name: {line}")),
            _ => name,
        };
        assert_eq!(family, current, "{line} stands outside its family");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (key, quoted) = label.split_once('=').unwrap();
            assert!(key.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'), "{line}");
            assert!(quoted.len() >= 2 && quoted.starts_with('"') && quoted.ends_with('"'), "{line}");
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite(), "{line}");
        assert!(samples.insert(sample.to_owned(), value).is_none(), "{sample} comes twice");
    }
    samples
}

/// A request by hand, and the whole response.
fn raw_request(site: &Site, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(site.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A server that has seen enough may close before it has read all.
    drop(stream.write_all(request));
    let mut response = Vec::new();
    drop(stream.read_to_end(&mut response));
    text(&response)
}

fn metrics(site: &Site) -> BTreeMap<String, f64> {
    let response = raw_request(site, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.to_ascii_lowercase().contains(kind), "{head}");
    openmetrics(body)
}

#[test]
fn metrics_count_what_was_sent() {
    let up = Up::start();
    let (site, dns) = (&up.site, up.site.net.dns());
    let before = metrics(site);
    for _ in 0..7 {
        ask(dns, HUB, RecordType::A);
    }
    for name in ["nope.example.net.", "neither.example.net."] {
        assert_eq!(ask(dns, name, RecordType::A).metadata.response_code, ResponseCode::NXDomain);
    }
    assert_eq!(ask(dns, "example.com.", RecordType::A).metadata.response_code, ResponseCode::Refused);
    for _ in 0..3 {
        ask_tcp(dns, "www.example.net.", RecordType::A);
    }
    assert_eq!(ask_tcp(dns, "example.org.", RecordType::A).metadata.response_code, ResponseCode::Refused);
    // A message that is a response deserves none; the one after it does.
    let mut response = query(1, HUB, RecordType::A);
    response[2] |= 0x80;
    client(Duration::from_secs(5)).send_to(&response, dns).unwrap();
    ask(dns, HUB, RecordType::A);

    // The probers resolve CNAME targets here too: they ask for names that nobody else asks for, over UDP, with NOERROR.
    let after = metrics(site);
    let grown = |sample: &str| after[sample] - before[sample];
    let exactly = |sample: &str, count: f64| assert_eq!(grown(sample), count, "{sample}");
    exactly("concierge_responses_total{transport=\"udp\",rcode=\"NXDOMAIN\"}", 2.0);
    exactly("concierge_responses_total{transport=\"udp\",rcode=\"REFUSED\"}", 1.0);
    exactly("concierge_responses_total{transport=\"udp\",rcode=\"SERVFAIL\"}", 0.0);
    exactly("concierge_responses_total{transport=\"tcp\",rcode=\"NOERROR\"}", 3.0);
    exactly("concierge_responses_total{transport=\"tcp\",rcode=\"REFUSED\"}", 1.0);
    exactly("concierge_queries_total{transport=\"tcp\"}", 4.0);
    exactly("concierge_tcp_accepted_total", 4.0);
    exactly("concierge_silent_total{transport=\"udp\"}", 1.0);
    assert!(grown("concierge_responses_total{transport=\"udp\",rcode=\"NOERROR\"}") >= 8.0);
    assert!(grown("concierge_queries_total{transport=\"udp\"}") >= 12.0);
}

#[test]
fn metrics_show_hubs_endpoints_switches_and_loads() {
    let mut up = Up::start();
    let label = |family: &str, region: &str| format!("concierge_{family}{{hub=\"{HUB}\",region=\"{region}\"}}");
    let hub = |family: &str| format!("concierge_{family}{{hub=\"{HUB}\"}}");
    let first = metrics(&up.site);
    assert_eq!(first[&label("hub_active", "westeurope")], 1.0);
    assert_eq!(first[&label("hub_active", "northeurope")], 0.0);
    assert_eq!(first[&hub("hub_epoch")], 1.0);
    assert_eq!(first[&label("endpoint_health", "northeurope")], 1.0);
    let latency = first[&label("endpoint_latency_seconds", "northeurope")];
    assert!(latency > 0.0 && latency < 0.5, "{latency}");
    let compile = first["concierge_snapshot_compile_seconds"];
    assert!(compile > 0.0 && compile < 10.0, "{compile}");
    assert_eq!(first["concierge_loads_total{result=\"ok\"}"], 1.0);
    assert_eq!(first["concierge_zone_serial{zone=\"example.net.\"}"], 1.0);
    assert_eq!(first["concierge_load_ok"], 1.0);

    up.site.ok(&["failover", HUB, "--to", "northeurope", "--now", "--yes", "--detach", "--reason", "drill"]);
    up.site.ok(&["mark", "northeurope", "drain", "--reason", "and back"]);
    up.neu = None;
    assert!(up.measures("northeurope", "down"));
    up.site.write("zones/more.toml", "what is this\n");
    assert_eq!(up.site.run(&["reload"]).code, Some(78));
    let after = metrics(&up.site);
    assert_eq!(after["concierge_switches_total{cause=\"failover\"}"], 1.0);
    assert_eq!(after["concierge_switches_total{cause=\"mark\"}"], 1.0, "the other hub never left: {after:#?}");
    assert_eq!(after[&hub("hub_epoch")], 3.0);
    assert_eq!(after[&label("hub_active", "westeurope")], 1.0);
    assert_eq!(after[&label("endpoint_health", "northeurope")], 0.0);
    assert_eq!(after[&label("endpoint_eligible", "northeurope")], 0.5);
    assert_eq!(after["concierge_marks"], 1.0);
    assert_eq!(after["concierge_loads_total{result=\"refused\"}"], 1.0);
    assert_eq!(after["concierge_load_ok"], 0.0);
    assert!(after["concierge_observations_total{outcome=\"failed\"}"] >= 3.0);
}

// ---- the API and clients that do not know it

#[test]
fn bad_requests_are_explained_in_json() {
    let up = Up::start();
    let check = |method: &str, path: &str, body: &str, status: u16, code: &str, part: &str| {
        let (answered, problem) = request(&up.site.socket(), method, path, body).unwrap();
        assert_eq!(answered, status, "{method} {path}: {problem}");
        assert_eq!(problem["error"]["code"], code, "{method} {path}: {problem}");
        let message = problem["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{method} {path}: {message}");
        assert!(problem["error"]["problems"].is_array(), "{problem}");
    };
    let mark = "/v1/marks/westeurope";
    check("GET", "/", "", 404, "not-found", "no such path");
    check("GET", "/v2/status", "", 404, "not-found", "no such path");
    check("POST", "/v1/status", "{}", 405, "method", "/v1/status is not for POST");
    check("GET", "/v1/reload", "", 405, "method", "/v1/reload is not for GET");
    check("DELETE", "/metrics", "", 405, "method", "/metrics is not for DELETE");
    check("PUT", mark, "{", 400, "bad-request", "line 1 column 1");
    check("PUT", mark, "", 400, "bad-request", "");
    check("PUT", mark, "[1]", 400, "bad-request", "");
    check("PUT", mark, "{\"kind\":\"down\"}", 400, "bad-request", "reason");
    check("PUT", mark, "{\"kind\":\"off\",\"reason\":\"x\"}", 400, "bad-request", "expected one of `up`");
    check("PUT", mark, "{\"kind\":\"down\",\"reason\":\"x\",\"untl\":1}", 400, "bad-request", "unknown field `untl`");
    check("PUT", mark, "{\"kind\":\"down\",\"reason\":\"\"}", 400, "bad-request", "a reason is needed");
    check("PUT", mark, "{\"kind\":\"down\",\"reason\":\"x\",\"until\":1}", 409, "refused", "before it is made");
    check("PUT", "/v1/marks/asia", "{\"kind\":\"down\",\"reason\":\"x\"}", 404, "not-found", "no region `asia`");
    check("PUT", "/v1/marks/a..b%2Fasia", "{\"kind\":\"down\",\"reason\":\"x\"}", 400, "bad-request", "`a..b`");
    check("DELETE", "/v1/marks/westeurope?autor=x", "", 400, "bad-request", "unknown field `autor`");
    check("DELETE", "/v1/marks/westeurope?reason=%07", "", 400, "bad-request", "control characters");
    check("POST", "/v1/hubs/hub.example.net/failover", "{\"reason\":\"x\"}", 400, "bad-request", "`to` is missing");
    let to = "{\"to\":\"northeurope\",\"reason\":\"x\"}";
    check("POST", "/v1/hubs/hub.example.net/failback", to, 400, "bad-request", "`to` is for failover");
    check("GET", "/v1/hubs/nowhere/plan", "", 404, "not-found", "no hub `nowhere.`");
    let asia = "/v1/hubs/hub.example.net/plan?to=asia";
    check("GET", asia, "", 404, "not-found", "has no endpoint in asia; it has westeurope, northeurope");
    check("GET", "/v1/hubs/hub.example.net/plan?too=asia", "", 400, "bad-request", "unknown field `too`");
    check("GET", "/v1/hubs/hub.example.net/plan?at=noon", "", 400, "bad-request", "at");
    check("GET", "/v1/hubs/nowhere/move", "", 404, "not-found", "no hub `nowhere.`");
    check("GET", "/v1/foresee/asia?kind=down", "", 404, "not-found", "no region `asia`");
    check("GET", "/v1/foresee/westeurope", "", 400, "bad-request", "missing field `kind`");
    check("POST", "/v1/hubs/nowhere/failover", to, 404, "not-found", "no hub `nowhere.`");
    check("POST", "/v1/hubs/%FF/failover", to, 400, "bad-request", "UTF-8");
    check("GET", "/v1/history?limit=many", "", 400, "bad-request", "limit");
    check("GET", "/v1/explain/a..b", "", 400, "bad-request", "a..b");
    check("GET", "/v1/explain/hub.example.net?rtype=NOTYPE", "", 400, "bad-request", "no record type");
    let huge = format!("{{\"kind\":\"down\",\"reason\":\"{}\"}}", "x".repeat(70_000));
    check("PUT", mark, &huge, 413, "too-large", "longer than 65536 octets");
    // What is not even HTTP.
    for garbage in [&b"\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", &[b'A'; 1 << 20]] {
        let mut stream = UnixStream::connect(up.site.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        drop(stream.write_all(garbage));
        drop(stream.shutdown(std::net::Shutdown::Write));
        drop(stream.read_to_end(&mut Vec::new()));
    }
    let status = up.site.status();
    assert_eq!(status["marks"].as_array().map(Vec::len), Some(0), "nothing was changed: {status}");
    assert_eq!(active(up.site.net.dns(), HUB), up.site.net.weu());
}

#[test]
fn many_ask_at_once() {
    let up = Up::start();
    let socket = up.site.socket();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                let (status, body) = request(&socket, "GET", "/v1/status", "").unwrap();
                assert_eq!((status, body["hubs"].as_array().map(Vec::len)), (200, Some(2)));
            });
        }
        // Meanwhile devices are answered.
        for _ in 0..20 {
            assert_eq!(active(up.site.net.dns(), HUB), up.site.net.weu());
        }
    });
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

// ---- answers, by other people's clients

/// A daemon with an RRset that does not fit 512 octets.
fn with_a_big_rrset() -> Up {
    let site = Site::new(QUICK);
    let mut zone = std::fs::read_to_string(site.path("zones/example.net.zone")).unwrap();
    for number in 0..30 {
        zone.push_str(&format!("big IN TXT \"record number {number} of thirty, long enough\"\n"));
    }
    site.write("zones/example.net.zone", &zone);
    Up::of(site)
}

fn dig(up: &Up, name: &str, arguments: &[&str]) -> String {
    let (tool, package) = match name {
        "dig" => ("dig", "bind9-dnsutils"),
        _ => ("kdig", "knot-dnsutils"),
    };
    let dns = up.site.net.dns();
    let mut command = program(tool, package);
    command.arg(format!("@{}", dns.ip())).args(["-p", &dns.port().to_string()]).args(arguments);
    if tool == "dig" {
        // Ask what is asked and nothing more, and do not ask again in another way.
        command.args(["+tries=1", "+time=5"]);
    }
    let ran = ran(&command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    ran.out
}

#[test]
fn dig_and_kdig_get_what_they_ask_for() {
    let up = with_a_big_rrset();
    let (weu, cname) = (format!("A\t{}", up.site.net.weu()), "hub-weu.example.net.");
    let check = |arguments: &[&str], parts: &[&str]| {
        let shown = dig(&up, "dig", arguments);
        for part in parts {
            assert!(shown.contains(part), "{arguments:?}: {part:?} is missing:\n{shown}");
        }
        shown
    };
    for way in ["+notcp", "+tcp"] {
        check(&[HUB, "A", "+nocookie", way], &["status: NOERROR", "flags: qr aa rd;", cname, &weu, "EDNS: version: 0"]);
        let answer = check(&[HUB, "A", "+cookie=0102030405060708", way], &["status: NOERROR", cname, &weu]);
        assert!(!answer.contains("FORMERR"));
        check(&[HUB, "A", "+noedns", way], &["status: NOERROR", cname, &weu, "ADDITIONAL: 0"]);
        check(&[HUB, "A", "+edns=1", "+noednsnegotiation", way], &["status: BADVERS"]);
        check(&["example.com.", "A", way], &["status: REFUSED", "flags: qr rd;", "ANSWER: 0, AUTHORITY: 0"]);
        check(&["nope.example.net.", "A", way], &["status: NXDOMAIN", "flags: qr aa rd;", "SOA"]);
        check(&["hUb.ExAmPlE.nEt.", "A", way], &[";hUb.ExAmPlE.nEt.\t", "hUb.ExAmPlE.nEt.\t5\tIN\tCNAME", &weu]);
        check(&["version.bind.", "TXT", "CH", way], &["status: REFUSED"]);
        check(&[HUB, "A", "+opcode=status", way], &["status: NOTIMP", "opcode: STATUS"]);
        check(&[HUB, "A", "+opcode=13", way], &["status: NOTIMP"]);
        check(&[HUB, "A", "+ednsopt=65001:00ff", "+nsid", way], &["status: NOERROR", &weu]);
    }
    // 512 octets are not enough: TC, and everything over TCP.
    let cut = check(&["big.example.net.", "TXT", "+noedns", "+ignore"], &["flags: qr aa tc rd;"]);
    assert!(!cut.contains("record number 29"), "{cut}");
    let whole = check(&["big.example.net.", "TXT", "+noedns"], &["Truncated, retrying in TCP mode", "ANSWER: 30,"]);
    assert!(whole.contains("flags: qr aa rd;"), "{whole}");
    check(&["big.example.net.", "TXT", "+bufsize=1232", "+ignore"], &["tc"]);

    let shown = dig(&up, "kdig", &["+edns", "HUB.example.net.", "A"]);
    assert!(
        shown.contains("status: NOERROR") && shown.contains(cname) && shown.contains(&up.site.net.weu().to_string())
    );
    let kept = dig(&up, "kdig", &["+tcp", "+keepopen", HUB, "A", "www.example.net.", "A", "nope.example.net.", "A"]);
    assert!(kept.contains("status: NXDOMAIN") && kept.contains("192.0.2.1"), "{kept}");
}
