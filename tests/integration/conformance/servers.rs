//! One of each server for all rows: started by the first that asks, and ended with the process of the tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{OnceLock, mpsc};

use concierge::dns::Name;

use crate::differential::options::SECRET;
use crate::differential::peers::{Kind, Peer};
use crate::differential::{Us, corpus};

/// Where the servers answer.
pub struct Servers {
    pub us: SocketAddr,
    pub peers: [(Kind, SocketAddr); 3],
    /// A client that may ask for the network of its own clients.
    pub trusted: Ipv4Addr,
}

impl Servers {
    pub fn get() -> &'static Self {
        static SERVERS: OnceLock<Servers> = OnceLock::new();
        SERVERS.get_or_init(|| {
            let (started, servers) = mpsc::channel();
            // They end with the thread that starts them, which is one that no test ends.
            std::thread::spawn(move || {
                // The last block of the loopback network, of which every client may have an address.
                let trusted = Ipv4Addr::new(127, 255, 255, 1);
                let own = include_str!("../corpus/conformance/rfc.test.zone");
                let mut zones = corpus().to_vec();
                zones.push((Name::parse("rfc.test.", None).unwrap(), own.into()));
                let mut concierge = Command::new("setpriv");
                concierge.args(["--pdeathsig", "TERM", env!("CARGO_BIN_EXE_concierge")]);
                let configuration = format!(
                    "tcp_idle = \"60s\"\ntrust_ecs_from = [\"{trusted}\"]\n[edns]\ncookie_secrets = \
                     \"../cookie.keys\"\nnsid = \"ns1\"\n"
                );
                let us = Us::start_as(concierge, &zones, &configuration);
                let peers = [Kind::Knot, Kind::Nsd, Kind::Bind].map(|kind| Peer::start_telling(kind, &zones, SECRET));
                let addresses = peers.each_ref().map(|peer| (peer.kind, peer.address));
                // All is read, and nobody is left to remove it at the end.
                peers.iter().for_each(Peer::forget_files);
                std::fs::remove_dir_all(us.site.path("")).unwrap();
                started.send(Self { us: us.site.net.dns(), peers: addresses, trusted }).unwrap();
                loop {
                    std::thread::park();
                }
            });
            servers.recv().expect("the servers start")
        })
    }
}
