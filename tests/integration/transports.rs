//! Encrypted transports and the PROXY protocol, with the clients that operators use: kdig, curl, openssl.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use super::process::{Daemon, PORT, Site, eventually, framed, program, query, text};
use super::service::activated;
use super::upgrade::{Busy, upgrade};

const PATIENCE: Duration = Duration::from_secs(20);

/// A site with every listener, and a proxy at the address 66.
pub struct Encrypted {
    pub site: Site,
}

impl Encrypted {
    pub fn new() -> Self {
        let site = Site::new("interval = \"1h\"");
        let net = site.net;
        let at = |port: u16| SocketAddr::from((net.address(1), port));
        let listen = format!(
            "[listen]\ntls = [\"{}\"]\nhttps = [\"{}\"]\nquic = [\"{}\"]\nhttps3 = [\"{}\"]",
            at(8853),
            at(8443),
            at(8853),
            at(8443)
        );
        site.edit("config/concierge.toml", "[listen]", &listen);
        let tls = format!(
            "[tls]\ncertificate = \"../tls/tls.pem\"\nkey = \"../tls/tls.key\"\n[proxy]\nfrom = [\"{}\"]\n[health]",
            net.address(66)
        );
        site.edit("config/concierge.toml", "[health]", &tls);
        // Beside everything else that the daemon reads: it has to be let through its sandbox.
        std::fs::create_dir(site.path("tls")).unwrap();
        let encrypted = Self { site };
        encrypted.certify();
        encrypted
    }

    /// Makes a certificate for its address, valid for ten days.
    fn certify(&self) {
        let address = self.site.net.address(1);
        let mut openssl = program("openssl", "openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "10",
        ]);
        openssl.args(["-subj", "/CN=ns", "-addext", &format!("subjectAltName=IP:{address},DNS:ns.example.net")]);
        openssl.arg("-keyout").arg(self.site.path("tls/tls.key")).arg("-out").arg(self.site.path("tls/tls.pem"));
        assert!(openssl.output().unwrap().status.success());
    }

    fn ca(&self) -> String {
        self.site.path("tls/tls.pem").display().to_string()
    }

    fn server(&self) -> String {
        self.site.net.address(1).to_string()
    }

    /// kdig that asks for `www.example.net. A` once.
    fn asking(&self, port: u16, transport: &str) -> Command {
        let mut kdig = program("kdig", "knot-dnsutils");
        kdig.arg(format!("@{}", self.server())).args(["-p", &port.to_string(), transport, "+retry=0", "+time=20"]);
        kdig.args(["www.example.net.", "A"]);
        kdig
    }

    /// What kdig prints for `www.example.net. A`.
    fn kdig(&self, port: &str, arguments: &[&str]) -> String {
        let mut kdig = program("kdig", "knot-dnsutils");
        kdig.arg(format!("@{}", self.server())).args(["-p", port]).args(arguments).args(["www.example.net.", "A"]);
        said(&mut kdig)
    }
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

/// The fingerprint of the certificate that is shown to who connects.
fn shown(server: SocketAddr) -> String {
    let mut openssl = program("openssl", "openssl");
    openssl.args(["s_client", "-connect", &server.to_string()]).stdin(std::process::Stdio::null());
    let certificate = openssl.output().unwrap();
    text(&certificate.stdout).lines().skip_while(|line| !line.contains("BEGIN CERTIFICATE")).take(8).collect()
}

fn is_answered(said: &str) {
    assert!(said.contains("status: NOERROR"), "{said}");
    assert!(said.contains("192.0.2.1"), "{said}");
}

#[test]
fn kdig_and_curl_are_answered_on_every_encrypted_transport() {
    let encrypted = Encrypted::new();
    let daemon = Daemon::start(&encrypted.site);
    let ca = format!("+tls-ca={}", encrypted.ca());
    is_answered(&encrypted.kdig("8853", &["+tls"]));
    is_answered(&encrypted.kdig("8853", &[&ca, "+tls-hostname=ns.example.net"]));
    is_answered(&encrypted.kdig("8443", &["+https"]));
    is_answered(&encrypted.kdig("8443", &["+https-get", &ca, "+tls-hostname=ns.example.net"]));
    let curl = |arguments: &[&str]| {
        let mut curl = program("curl", "curl");
        said(curl.args(["-s", "-S", "-v", "--max-time", "20", "--cacert", &encrypted.ca()]).args(arguments))
    };
    let doh = format!("https://{}:8443/dns-query", encrypted.server());
    // Nobody listens at the address of the answer: what matters is that it was found.
    let found = curl(&["--doh-url", &doh, "--doh-insecure", "--connect-timeout", "2", "http://www.example.net/"]);
    assert!(found.contains("DOH Host name: www.example.net") || found.contains("192.0.2.1"), "{found}");
    assert!(found.contains("192.0.2.1"), "{found}");
    let asked =
        curl(&["--http2", "-o", "/dev/null", &format!("{doh}?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA25ldAAAAQAB")]);
    assert!(asked.contains("HTTP/2 200") && asked.contains("cache-control: max-age=60"), "{asked}");
    let asked = curl(&["--http1.1", "-o", "/dev/null", "-X", "PATCH", &doh]);
    assert!(asked.contains("HTTP/1.1 405") && asked.contains("allow: GET, HEAD, POST"), "{asked}");
    let metrics = super::process::request(&encrypted.site.socket(), "GET", "/metrics", "").unwrap().1.to_string();
    for line in [
        "concierge_queries_total{transport=\\\"tls\\\"} 2",
        "concierge_tls_certificate_ok 1",
        "concierge_tls_certificate_expiry_seconds ",
        "concierge_handshakes_total{transport=\\\"tls\\\",result=\\\"full\\\"} 2",
    ] {
        assert!(metrics.contains(line), "no `{line}` in {metrics}");
    }
    let status = encrypted.site.status();
    assert_eq!(status["certificate"]["problem"], serde_json::Value::Null, "{status}");
    drop(daemon);
}

#[test]
fn a_certificate_is_renewed_on_a_reload_and_one_that_does_not_fit_is_refused() {
    let encrypted = Encrypted::new();
    let site = &encrypted.site;
    let daemon = Daemon::start(site);
    let tls = SocketAddr::from((site.net.address(1), 8853));
    let first = shown(tls);
    assert!(first.contains("BEGIN CERTIFICATE"), "{first}");
    encrypted.certify();
    site.ok(&["reload"]);
    let second = shown(tls);
    assert_ne!(first, second);
    // Found by itself, too.
    encrypted.certify();
    assert!(eventually(PATIENCE, || shown(tls) != second));
    let third = shown(tls);
    let key = std::fs::read_to_string(site.path("tls/tls.key")).unwrap();
    encrypted.certify();
    site.write("tls/tls.key", &key);
    let refused = site.run(&["reload"]);
    assert_eq!(refused.code, Some(78), "{refused:?}");
    assert!(refused.err.contains("is not that of the certificate"), "{refused:?}");
    let checked = site.run(&["check"]);
    assert!(checked.code == Some(78) && checked.err.contains("is not that of the certificate"), "{checked:?}");
    assert!(eventually(PATIENCE, || site.ok(&["status"]).contains("the certificate cannot be renewed")));
    assert_eq!(shown(tls), third);
    encrypted.certify();
    daemon.signal("HUP");
    assert!(eventually(PATIENCE, || ![&first, &second, &third].contains(&&shown(tls))));
    std::fs::remove_file(site.path("tls/tls.key")).unwrap();
    let checked = site.run(&["check"]);
    assert!(checked.code == Some(78) && checked.err.contains("cannot read the key"), "{checked:?}");
    site.edit("config/concierge.toml", "key = \"../tls/tls.key\"\n", "");
    let checked = site.run(&["check"]);
    assert!(checked.err.contains("[tls] has no `key`, which the encrypted addresses of [listen] need"), "{checked:?}");
}

/// The names of a process's threads.
fn threads(daemon: &Daemon) -> BTreeSet<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap();
    // One may end meanwhile.
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

#[test]
fn a_listener_that_is_not_configured_has_no_thread() {
    let (plain, encrypted) = (Site::new("interval = \"1h\""), Encrypted::new());
    let (plain, encrypted) = (Daemon::start(&plain), Daemon::start(&encrypted.site));
    // A thread says its name itself.
    for name in ["dns-web", "tls-files"] {
        assert!(eventually(PATIENCE, || threads(&encrypted).contains(name)), "{:?}", threads(&encrypted));
        assert!(!threads(&plain).contains(name));
    }
    assert!(eventually(PATIENCE, || threads(&plain).contains("dns-udp")));
}

#[test]
fn another_process_takes_over_what_is_encrypted_too() {
    let encrypted = Encrypted::new();
    let site = &encrypted.site;
    let daemon = Daemon::start(site);
    let (tls, https) = (encrypted.asking(8853, "+tls"), encrypted.asking(8443, "+https"));
    let busy = [tls, https].map(|mut kdig| Busy::start(move |_| said(&mut kdig)));
    // It could not bind what this one has: it was given it.
    let (_, heir) = upgrade(site);
    for said in busy.into_iter().flat_map(Busy::stop) {
        is_answered(&said);
    }
    let drained = "every query that had arrived is answered";
    let stopped = || daemon.log.lock().unwrap().iter().any(|line| line["message"].to_string().contains(drained));
    assert!(eventually(PATIENCE, stopped));
    is_answered(&said(&mut encrypted.asking(8853, "+tls")));
    is_answered(&said(&mut encrypted.asking(8443, "+https")));
    is_answered(&said(&mut encrypted.asking(8853, "+quic")));
    assert!(heir.is_there());
}

#[test]
fn what_is_encrypted_comes_in_at_sockets_of_systemd_too() {
    let encrypted = Encrypted::new();
    let address = encrypted.server();
    let sockets = ["tcp/8853", "tcp/8443", "udp/8853", "udp/8443"];
    let sockets = sockets.map(|socket| socket.replace('/', &format!("/{address}/")));
    let _daemon = Daemon::start_as(activated(&sockets), &encrypted.site);
    for (port, transport) in [(8853, "+tls"), (8443, "+https"), (8853, "+quic")] {
        is_answered(&said(&mut encrypted.asking(port, transport)));
    }
}

/// A header of the PROXY protocol for 192.0.2.77, by UDP.
const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x12\x00\x0c\xc0\x00\x02\x4d\xc0\x00\x02\x35\x12\x34\x00\x35";

/// A proxy of one connection: says at `server` that it is for the client of [`HEADER`], and carries octets both ways.
fn relay(address: Ipv4Addr, server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let ours = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let mut upstream = connected(address, server);
        // Of a stream.
        let header = [&HEADER[..13], &[0x11], &HEADER[14..]].concat();
        upstream.write_all(&header).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
        // Either way ends with its connection.
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut upstream, &mut &client);
    });
    ours
}

/// A connection from an address.
pub fn connected(from: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn a_proxy_speaks_for_its_clients_and_nobody_else_does() {
    let encrypted = Encrypted::new();
    let site = &encrypted.site;
    // Who asks is told by what a map has for the address.
    let geo = "[hubs.\"geo.example.net.\"]\npolicy = \"geo\"\nmap = [{ subnet = \"192.0.2.0/24\", to = [\"northeurope\"] }]\n\
               default = [\"westeurope\"]\nendpoints = [\n  { region = \"westeurope\", addresses = [\"192.0.2.201\"], probe = \
               \"broker\" },\n  { region = \"northeurope\", addresses = [\"192.0.2.202\"], probe = \"broker\" },\n]\n";
    let policy = std::fs::read_to_string(site.path("zones/example.net.toml")).unwrap();
    site.write("zones/example.net.toml", &format!("{policy}{geo}"));
    let _daemon = Daemon::start(site);
    let kdig = |from: &str, arguments: &[&str]| {
        let mut kdig = program("kdig", "knot-dnsutils");
        let source = format!("{}", site.net.address(if from == "proxy" { 66 } else { 67 }));
        kdig.args(["-b", &source, &format!("@{}", encrypted.server()), "+retry=0", "+time=2"]).args(arguments);
        said(kdig.args(["geo.example.net.", "A"]))
    };
    let port = PORT.to_string();
    let (dns, ours) = (["-p", port.as_str()], format!("+proxy=192.0.2.77-{}", encrypted.server()));
    let theirs = format!("+proxy=198.51.100.7-{}", encrypted.server());
    for more in [&[][..], &["+tcp"]] {
        let asked = |header: &str| kdig("proxy", &[&dns[..], more, &[header]].concat());
        assert!(asked(&ours).contains("192.0.2.202"), "{}", asked(&ours));
        assert!(asked(&theirs).contains("192.0.2.201"), "{}", asked(&theirs));
        // Required from it, and from others a malformed query.
        let without = kdig("proxy", &[&dns[..], more].concat());
        assert!(!without.contains("status:"), "{without}");
        let other = kdig("other", &[&dns[..], more, &[&ours]].concat());
        assert!(!other.contains("NOERROR"), "{other}");
        let plain = kdig("other", &[&dns[..], more].concat());
        assert!(plain.contains("192.0.2.201"), "{plain}");
    }
    // Over TLS the header is in front of the handshake.
    for (port, transport) in [(8853, "+tls"), (8443, "+https")] {
        let proxy = relay(site.net.address(66), SocketAddr::from((site.net.address(1), port)));
        let mut kdig = program("kdig", "knot-dnsutils");
        kdig.args([&format!("@{}", proxy.ip()), "-p", &proxy.port().to_string(), transport, "+retry=0", "+time=20"]);
        let asked = said(kdig.args(["geo.example.net.", "A"]));
        assert!(asked.contains("192.0.2.202"), "{asked}");
    }
    // In parts, over TCP.
    let mut stream = connected(site.net.address(66), site.net.dns());
    let message = [HEADER, &framed(&query(7, "geo.example.net.", RecordType::A))].concat();
    for octet in message {
        stream.write_all(&[octet]).unwrap();
    }
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).unwrap();
    let mut response = vec![0; u16::from_be_bytes(answer).into()];
    stream.read_exact(&mut response).unwrap();
    assert!(response.ends_with(&[192, 0, 2, 202]), "{response:?}");
    // A datagram of a proxy with nothing behind its header is answered to nobody, and costs nobody anything.
    let proxy = UdpSocket::bind((site.net.address(66), 0)).unwrap();
    proxy.set_read_timeout(Some(PATIENCE)).unwrap();
    proxy.send_to(HEADER, site.net.dns()).unwrap();
    proxy.send_to(&HEADER[..20], site.net.dns()).unwrap();
    proxy.send_to(&[HEADER, &query(8, "geo.example.net.", RecordType::A)].concat(), site.net.dns()).unwrap();
    let mut response = [0; 512];
    let (octets, _) = proxy.recv_from(&mut response).unwrap();
    assert_eq!(response[..2], [0, 8]);
    assert!(response[..octets].ends_with(&[192, 0, 2, 202]));
}
