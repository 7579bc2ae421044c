//! A wildcard address follows the interfaces: in a network namespace of the test's own, whose addresses come and go.
//!
//! Namespaces take a right that root has. Where it is missing the test says so and passes; the build machine has it.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::process::{
    Daemon, PORT, QUICK, Site, concierge, eventually, framed, program, query, ran, read_message, request,
};

const NAME: &str = "example.net.";
/// Longer than anything takes but a defect.
const PATIENCE: Duration = Duration::from_secs(20);

/// Of namespaces made so far.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A network namespace with a loopback interface that is up; it goes with its processes when this is dropped.
struct NameSpace(String);

impl NameSpace {
    /// `None` where it is not permitted.
    fn new() -> Option<Self> {
        // Tests run at once.
        let name = format!("concierge-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let made = ran(&program("ip", "iproute2").args(["netns", "add", &name]).output().unwrap());
        if made.code != Some(0) {
            let denied = made.err.contains("not permitted") || made.err.contains("denied");
            assert!(denied, "{made:?}");
            eprintln!("skipped: a network namespace is not permitted here: {}", made.err);
            return None;
        }
        let space = Self(name);
        space.ip("link set lo up");
        Some(space)
    }

    /// Runs `ip` inside.
    fn ip(&self, arguments: &str) {
        let mut command = program("ip", "iproute2");
        let ran = ran(&command.args(["-n", &self.0]).args(arguments.split(' ')).output().unwrap());
        assert_eq!(ran.code, Some(0), "ip {arguments}: {ran:?}");
    }

    /// The daemon inside.
    fn start(&self, site: &Site) -> Daemon {
        let inside = concierge();
        let mut command = program("ip", "iproute2");
        command.args(["netns", "exec", &self.0]).arg(inside.get_program());
        Daemon::start_as(command, site)
    }

    /// Does something inside, on a thread of its own.
    fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let acting = scope.spawn(|| {
                let space = File::open(format!("/run/netns/{}", self.0)).unwrap();
                move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                act()
            });
            acting.join().unwrap()
        })
    }

    /// Whether an address is answered on over both transports. A connected socket takes no answer from another address.
    fn answers(&self, address: SocketAddr) -> bool {
        self.inside(|| over_udp(&connected(address)?, 1).zip(over_tcp(address))).is_some_and(|(udp, tcp)| {
            [udp, tcp].iter().all(|answer| answer.metadata.response_code == ResponseCode::NoError)
        })
    }
}

impl Drop for NameSpace {
    fn drop(&mut self) {
        // Nothing to be done about a failure.
        drop(Command::new("ip").args(["netns", "del", &self.0]).output());
    }
}

fn connected(address: SocketAddr) -> Option<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket.connect(address).ok()?;
    Some(socket)
}

fn over_udp(socket: &UdpSocket, id: u16) -> Option<Message> {
    socket.send(&query(id, NAME, RecordType::SOA)).ok()?;
    let mut response = [0; 4096];
    let length = socket.recv(&mut response).ok()?;
    Message::from_vec(&response[..length]).ok().filter(|message| message.metadata.id == id)
}

fn over_tcp(address: SocketAddr) -> Option<Message> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    std::io::Write::write_all(&mut stream, &framed(&query(1, NAME, RecordType::SOA))).ok()?;
    Message::from_vec(&read_message(&mut stream).ok()?).ok()
}

/// The value of a metric, its labels included in its name.
fn metric(site: &Site, name: &str) -> f64 {
    let (_, page) = request(&site.socket(), "GET", "/metrics", "").unwrap();
    let Value::String(page) = page else { panic!("{page}") };
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("concierge_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

#[test]
fn a_wildcard_follows_the_interfaces_and_disturbs_nobody_else() {
    let Some(space) = NameSpace::new() else { return };
    let site = Site::new(QUICK);
    let dns = site.net.dns();
    site.edit("config/concierge.toml", &format!("dns = [\"{dns}\"]"), "dns = [\"0.0.0.0:5300\", \"[::]:5300\"]");
    let mut daemon = space.start(&site);
    let at = |address: &str| SocketAddr::new(address.parse().unwrap(), PORT);
    let answering = |count: u32| metric(&site, "listen_addresses") == f64::from(count);
    let told = |address: SocketAddr, word: &str| {
        let line = daemon.said("listen").map(|line| line["message"].to_string()).unwrap_or_default();
        line.contains(word) && line.contains(&address.to_string())
    };
    assert!(space.answers(at("127.0.0.1")) && space.answers(at("::1")));
    assert!(answering(2));

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let undisturbed = scope.spawn(|| {
            space.inside(|| {
                let socket = connected(at("127.0.0.1")).unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                let asked = (0..=u16::MAX).cycle().take_while(|_| !stop.load(Ordering::Relaxed)).map(|id| {
                    assert!(over_udp(&socket, id).is_some(), "lost a query");
                    thread::sleep(Duration::from_micros(200));
                });
                asked.count()
            })
        });
        let follow = || {
            for address in ["192.0.2.7", "2001:db8::7"] {
                let bits = if address.contains(':') { 128 } else { 32 };
                let address = at(address);
                assert!(!space.answers(address), "{address} is nobody's yet");
                // The second time a socket is bound that was bound before.
                for _ in 0..2 {
                    space.ip(&format!("addr add {}/{bits} dev lo", address.ip()));
                    assert!(eventually(PATIENCE, || space.answers(address)), "{address} has appeared");
                    assert!(eventually(PATIENCE, || told(address, "\"answering on ")), "{address} is told of");
                    assert!(eventually(PATIENCE, || answering(3)));
                    space.ip(&format!("addr del {}/{bits} dev lo", address.ip()));
                    assert!(eventually(PATIENCE, || told(address, "no longer answering on")), "{address} has vanished");
                    assert!(eventually(PATIENCE, || answering(2)));
                    assert!(!space.answers(address));
                }
            }

            // The kernel looks for duplicates first (RFC 4862 5.4): until then the address cannot be bound.
            space.ip("link add one type veth peer name other");
            space.ip("link set one up");
            space.ip("link set other up");
            let tentative = at("2001:db8:1::7");
            space.ip(&format!("addr add {}/64 dev one", tentative.ip()));
            assert!(eventually(PATIENCE, || space.answers(tentative)), "a tentative address is bound when it can be");
            assert!(eventually(PATIENCE, || metric(&site, "listen_waiting") == 0.0), "and no other waits");
            space.ip("link set one down");
            space.ip("link set other down");
            assert!(eventually(PATIENCE, || answering(2)), "an interface that is down has no address");
        };
        // The thread is stopped whatever happens, or the scope would wait for it.
        let followed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(follow));
        stop.store(true, Ordering::Relaxed);
        let asked = undisturbed.join().unwrap();
        followed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert!(asked > 500, "only {asked} queries meanwhile");
    });
    daemon.signal("TERM");
    assert!(daemon.child.wait().unwrap().success());
    assert!(daemon.said("stop").is_some_and(|line| line["message"] == "stopped"));
}

/// A response that is larger than what the interface takes at once: RFC 9715 3.1.
#[test]
fn no_response_is_fragmented() {
    let Some(space) = NameSpace::new() else { return };
    // The least that IPv6 works with.
    space.ip("link set lo mtu 1280");
    let site = Site::new(QUICK);
    let dns = site.net.dns();
    let listens = "dns = [\"127.0.0.1:5300\", \"[::1]:5300\"]";
    site.edit("config/concierge.toml", &format!("dns = [\"{dns}\"]"), listens);
    site.edit("config/concierge.toml", "[log]", "[limits]\nmax_udp_bytes = 4096\n[log]");
    let lines: String = (0..100).map(|number| format!("many A 192.0.2.{number}\n")).collect();
    let zone = std::fs::read_to_string(site.path("zones/example.net.zone")).unwrap();
    site.write("zones/example.net.zone", &format!("{zone}{lines}"));
    let daemon = space.start(&site);
    // With OPT: 4,096 octets are welcome.
    let mut many = query(7, "many.example.net.", RecordType::A);
    many[11] = 1;
    many.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
    for address in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(address.parse().unwrap(), PORT);
        let message = space.inside(|| {
            let socket = connected(address).unwrap();
            let mut response = [0; 4096];
            // Asked several times at once: some are of one batch.
            (0..6).for_each(|_| assert_eq!(socket.send(&many).unwrap(), many.len()));
            let length = socket.recv(&mut response).unwrap();
            (1..6).for_each(|_| assert_eq!(socket.recv(&mut [0; 4096]).unwrap(), length));
            Message::from_vec(&response[..length]).unwrap()
        });
        assert!(message.metadata.truncation && message.answers.is_empty(), "{address}: {message}");
        assert!(message.edns.is_some() && message.queries.len() == 1, "{address}: {message}");
        assert!(space.answers(address), "and what fits is answered");
    }
    let truncated = || metric(&site, "truncated_total{transport=\"udp\"}");
    assert!(eventually(PATIENCE, || truncated() == 12.0), "{}", truncated());
    assert_eq!(metric(&site, "unsent_total{transport=\"udp\"}"), 0.0);
    drop(daemon);
}
