//! Clients as they come, none of them told anything of the concierge: dig, delv, host, kdig, drill, dnsperf; BIND and Unbound
//! as resolvers; the C library behind one. `transports.rs` has those of encrypted transports.

use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::process::{Net, QUICK, Site, Up, addresses, ask, eventually, program, text, try_ask};
use crate::unbound::Unbound;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a program says, which has to succeed.
fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{command:?}: {said}{}", text(&output.stderr));
    said
}

/// A daemon that also answers at port 53, where resolvers look for it, with both regions up; `None` where an account may not
/// have that port.
fn up_at_53() -> Option<Up> {
    let site = Site::new(QUICK);
    let dns = site.net.dns();
    if let Err(error) = std::net::UdpSocket::bind((dns.ip(), 53)) {
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
        eprintln!("skipped: port 53 is not permitted here");
        return None;
    }
    let listen = format!("dns = [\"{}\", \"{dns}\"]", SocketAddr::from((dns.ip(), 53)));
    site.edit("config/concierge.toml", &format!("dns = [\"{dns}\"]"), &listen);
    Some(Up::of(site))
}

#[test]
fn the_tools_of_bind_knot_and_nlnet_labs_are_answered() {
    let up = Up::start();
    let (dns, weu) = (up.site.net.dns(), up.site.net.weu().to_string());
    let (ip, port) = (dns.ip().to_string(), dns.port().to_string());
    let server = format!("@{ip}");
    let is_active = |said: &str| assert!(said.contains(&weu), "{weu}: {said}");

    let dig = |more: &[&str]| {
        let mut dig = program("dig", "bind9-dnsutils");
        said(dig.args([&server, "-p", &port, "hub.example.net", "A", "+tries=2", "+time=15"]).args(more))
    };
    // Its own defaults: EDNS and a cookie, of which it says whether it came back as it was.
    let answer = dig(&[]);
    is_active(&answer);
    for expected in ["status: NOERROR", "flags: qr aa rd;", "COOKIE:", "(good)"] {
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
    for more in [&["+tcp"][..], &["+noedns", "+nocookie"], &["+bufsize=512", "+dnssec"], &["+ednsopt=65001:beef"]] {
        is_active(&dig(more));
    }
    // Several queries on one connection.
    is_active(&dig(&["+tcp", "+keepopen", "example.net", "SOA"]));
    is_active(&said(program("host", "bind9-host").args(["-p", &port, "-t", "A", "hub.example.net", &ip])));
    // The zone is not signed, so nothing is validated.
    let mut delv = program("delv", "bind9-dnsutils");
    is_active(&said(delv.args([&server, "-p", &port, "-i", "hub.example.net", "A"])));
    let mut kdig = program("kdig", "knot-dnsutils");
    is_active(&said(kdig.args([&server, "-p", &port, "+cookie", "+nsid", "hub.example.net", "A"])));
    for more in [&[][..], &["-t"], &["-D"], &["-b", "512"]] {
        let mut drill = program("drill", "ldnsutils");
        is_active(&said(drill.args(more).args(["-p", &port, &server, "hub.example.net", "A"])));
    }
}

#[test]
fn dnsperf_loses_nothing_over_udp_and_tcp() {
    let up = Up::start();
    let dns = up.site.net.dns();
    up.site.write("queries", "hub.example.net A\nexample.net SOA\nwww.example.net A\n");
    for mode in ["udp", "tcp"] {
        let mut dnsperf = program("dnsperf", "dnsperf");
        dnsperf.args(["-s", &dns.ip().to_string(), "-p", &dns.port().to_string(), "-m", mode, "-n", "200", "-t", "30"]);
        let summary = said(dnsperf.arg("-d").arg(up.site.path("queries")));
        for expected in ["Queries completed:    600 (100.00%)", "Queries lost:         0 (0.00%)"] {
            assert!(summary.contains(expected), "{mode}: {summary}");
        }
    }
}

/// A BIND that resolves `example.net.` from the daemon of the same [`Net`]; killed when dropped.
struct Bind {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Bind {
    fn start(net: Net) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // It listens at addresses that an interface has, and of 127.0.0.0/8 that is one alone.
        let here = std::net::Ipv4Addr::LOCALHOST;
        let port = std::net::UdpSocket::bind((here, 0)).unwrap().local_addr().unwrap().port();
        let path = folder.path().display();
        let text = format!(
            "options {{ directory \"{path}\"; pid-file none; session-keyfile none; listen-on port {port} {{ {here}; }}; \
             listen-on-v6 {{ none; }}; recursion yes; allow-query {{ any; }}; \
             allow-recursion {{ any; }}; dnssec-validation no; }};\ncontrols {{ }};\nzone \"example.net\" {{ type static-stub; \
             server-addresses {{ {}; }}; }};\n",
            net.dns().ip()
        );
        std::fs::write(folder.path().join("named.conf"), text).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = program("named", "bind9");
        command.arg("-g").arg("-c").arg(folder.path().join("named.conf")).args(["-n", "1"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let bind = Self { child, address: (here, port).into(), _folder: folder };
        let resolves = || {
            let answer = try_ask(bind.address, "version.example.net.", RecordType::TXT, Duration::from_millis(500));
            answer.is_some_and(|answer| answer.metadata.response_code == ResponseCode::NoError)
        };
        let log = || std::fs::read_to_string(bind._folder.path().join("log")).unwrap_or_default();
        assert!(eventually(PATIENCE, resolves), "BIND does not resolve: {}", log());
        bind
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn bind_resolves_a_hub_and_follows_it_to_another_region() {
    let Some(up) = up_at_53() else { return };
    let net = up.site.net;
    let bind = Bind::start(net);
    let active = || addresses(&ask(bind.address, "hub.example.net.", RecordType::A));
    assert_eq!(active(), [IpAddr::from(net.weu())]);
    let missing = ask(bind.address, "nothing.example.net.", RecordType::A);
    assert_eq!(missing.metadata.response_code, ResponseCode::NXDomain);
    up.site.ok(&["failover", "hub.example.net", "--to", "northeurope", "--yes", "--reason=test"]);
    assert!(eventually(PATIENCE, || active() == [IpAddr::from(net.neu())]), "it asks again after the TTL");
}

/// In namespaces of its own, for the C library reads one file alone, and asks port 53.
#[test]
fn the_c_library_gets_the_active_region_from_a_resolver() {
    let Some(up) = up_at_53() else { return };
    let net = up.site.net;
    let unbound = Unbound::start_at(net, 53);
    up.site.write("resolv.conf", &format!("nameserver {}\noptions timeout:15\n", unbound.address.ip()));
    up.site.write("nsswitch.conf", "hosts: dns\n");
    let namespaces =
        program("unshare", "util-linux").args(["--mount", "--map-root-user", "mount", "--version"]).output();
    if !namespaces.unwrap().status.success() {
        return eprintln!("skipped: a namespace of mounts is not permitted here");
    }
    let script = "mount --bind \"$1\" /etc/resolv.conf && mount --bind \"$2\" /etc/nsswitch.conf && exec getent ahostsv4 \
                  hub.example.net";
    let mut unshare = program("unshare", "util-linux");
    unshare.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    let found = said(unshare.arg(up.site.path("resolv.conf")).arg(up.site.path("nsswitch.conf")));
    assert!(found.contains(&net.weu().to_string()), "{found}");
}
