//! Unbound, as the resolver that devices ask, and what they see through it.

use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};

use crate::process::{Net, addresses, ask, eventually, program, try_ask};

/// A running Unbound that resolves `example.net.` from the daemon of the same [`Net`]; killed when dropped.
pub struct Unbound {
    child: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Unbound {
    /// Starts it and waits until it resolves.
    ///
    /// It has Unbound's defaults but for what loopback and a test need, and no trust anchor, for the zone is not signed.
    pub fn start(net: Net) -> Self {
        Self::start_at(net, 5353)
    }

    /// The same at another port.
    pub fn start_at(net: Net, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = net.address(53);
        let (config, log) = (folder.path().join("unbound.conf"), folder.path().join("unbound.log"));
        let daemon = net.dns();
        let text = format!(
            "server:\n  interface: {here}@{port}\n  outgoing-interface: {here}\n  do-ip6: no\n  access-control: \
             127.0.0.0/8 allow\n  do-not-query-localhost: no\n  do-daemonize: no\n  num-threads: 1\n  use-syslog: no\n  \
             chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  directory: \"{folder}\"\n  module-config: \"iterator\"\n\
             remote-control:\n  control-enable: no\nstub-zone:\n  name: example.net.\n  stub-addr: {ip}@{daemon_port}\n",
            folder = folder.path().display(),
            ip = daemon.ip(),
            daemon_port = daemon.port(),
        );
        std::fs::write(&config, text).unwrap();
        let stderr = std::fs::File::create(&log).unwrap();
        let mut command = program("unbound", "unbound");
        command.arg("-d").arg("-c").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let address = (here, port).into();
        let unbound = Self { child: command.spawn().unwrap(), address, _folder: folder };
        let resolves = || {
            let answer = try_ask(address, "version.example.net.", RecordType::TXT, Duration::from_millis(500));
            answer.is_some_and(|answer| answer.metadata.response_code == ResponseCode::NoError)
        };
        let ready = eventually(Duration::from_secs(20), resolves);
        assert!(ready, "unbound does not resolve: {}", std::fs::read_to_string(&log).unwrap_or_default());
        unbound
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        // A process that has ended needs no end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One answer that a device got.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub sent: Instant,
    pub received: Instant,
    pub address: IpAddr,
    /// Of the hub's CNAME, which says where devices go.
    pub ttl: u32,
}

/// A device that asks for a hub through a resolver, again and again.
pub struct Device {
    pub resolver: SocketAddr,
    pub hub: &'static str,
    pub seen: Vec<Seen>,
}

/// Resolvers count whole seconds.
const WHOLE_SECOND: Duration = Duration::from_secs(1);
/// A query at the moment of expiry is answered when its successor has been fetched.
const FETCH: Duration = Duration::from_millis(500);

impl Device {
    pub fn new(resolver: SocketAddr, hub: &'static str) -> Self {
        Self { resolver, hub, seen: Vec::new() }
    }

    /// Asks once. The answer is whole: a CNAME, and one address at its end.
    pub fn look(&mut self) -> Seen {
        let sent = Instant::now();
        let answer = ask(self.resolver, self.hub, RecordType::A);
        let received = Instant::now();
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{answer:?}");
        let [cname, address] = &answer.answers[..] else { panic!("not a chain of two: {answer:?}") };
        assert_eq!(cname.name.to_string(), self.hub);
        let RData::CNAME(target) = &cname.data else { panic!("no CNAME: {answer:?}") };
        assert_eq!(address.name, target.0, "{answer:?}");
        let seen = Seen { sent, received, address: addresses(&answer)[0], ttl: cname.ttl };
        self.seen.push(seen);
        seen
    }

    /// Asks until an answer is like this; panics when one that was asked for later than `limit` after `from` is not.
    pub fn look_until(&mut self, from: Instant, limit: Duration, mut like: impl FnMut(&Seen) -> bool) -> Seen {
        loop {
            let seen = self.look();
            if like(&seen) {
                return seen;
            }
            assert!(seen.sent < from + limit, "still so after {:.2?}: {seen:?}", seen.sent - from);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks until the resolver has fetched the answer anew.
    pub fn look_until_fetched(&mut self) -> Seen {
        let first = self.look();
        let mut ttl = first.ttl;
        let limit = Duration::from_secs(ttl.into()) + WHOLE_SECOND + FETCH;
        self.look_until(first.received, limit, |seen| std::mem::replace(&mut ttl, seen.ttl) < seen.ttl)
    }

    /// The resolver kept every answer for its TTL, and no longer: a TTL counts down with the clock, no answer is replaced
    /// before its TTL has run out, and none is given after it. Returns how often it fetched.
    pub fn honours_ttls(&self, largest: u32) -> u32 {
        let mut fetched = 0;
        let mut seen = self.seen.iter();
        let Some(mut first) = seen.next() else { return 0 };
        let mut last = first;
        for next in seen {
            assert!(next.ttl <= largest, "{next:?}");
            let (least, most) = (next.sent - first.received, next.received - first.sent);
            if next.ttl > last.ttl || next.address != last.address {
                let kept = Duration::from_secs(first.ttl.into());
                assert!(most + WHOLE_SECOND >= kept, "replaced before its TTL had run out: {first:?} {next:?}");
                (first, fetched) = (next, fetched + 1);
            } else {
                let counted = Duration::from_secs((first.ttl - next.ttl).into());
                assert!(counted <= most + WHOLE_SECOND, "the TTL runs ahead of the clock: {first:?} {next:?}");
                assert!(counted + WHOLE_SECOND + FETCH >= least, "the TTL lags behind the clock: {first:?} {next:?}");
            }
            last = next;
        }
        fetched
    }
}
