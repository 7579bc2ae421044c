//! Ten thousand endpoints on loopback addresses: which there are, and how each server is told to probe them.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workload::{APEX, HUB_TTL};

/// The name in the certificate of what is probed with TLS.
pub(crate) const CERTIFIED: &str = "probed.bench.example";

/// Time between two observations of an endpoint, seconds.
pub(crate) const INTERVAL: u32 = 10;

/// What is done to see whether an endpoint is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A connection is made and closed.
    Tcp,
    /// The same with a TLS handshake, the certificate verified, no session resumed.
    Tls,
    /// A request on a connection that is kept.
    Http,
}

impl Kind {
    /// All, in the order of [`Ports`].
    pub(crate) const ALL: [Self; 3] = [Self::Tcp, Self::Tls, Self::Http];
}

/// The ports of what is probed, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports(pub(crate) [u16; 3]);

impl Ports {
    /// Leaves them in a folder, whole or not at all.
    pub(crate) fn write(self, folder: &Path) -> Result<()> {
        let unfinished = folder.join("ports.unfinished");
        fs::write(&unfinished, self.0.map(|port| port.to_string()).join(" ")).context("cannot write the ports")?;
        fs::rename(unfinished, folder.join("ports")).context("cannot write the ports")
    }

    /// Those that were left in a folder, once they are.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join("ports")).ok()?;
        let ports: Vec<u16> = text.split(' ').map_while(|port| port.parse().ok()).collect();
        Some(Self(ports.try_into().ok()?))
    }
}

/// What a server is told to probe.
#[derive(Clone, Debug)]
pub(crate) struct Probed {
    /// How many endpoints, an even number.
    pub(crate) endpoints: u32,
    /// Whether all are probed over TCP alone; else of ten there are four of TCP, three of TLS and three of HTTP.
    pub(crate) tcp_only: bool,
    /// The ports.
    pub(crate) ports: Ports,
    /// The trust anchors of the TLS probe.
    pub(crate) ca: PathBuf,
}

impl Probed {
    fn kind(&self, endpoint: u32) -> Kind {
        match endpoint % 10 {
            0..4 => Kind::Tcp,
            _ if self.tcp_only => Kind::Tcp,
            4..7 => Kind::Tls,
            _ => Kind::Http,
        }
    }

    /// Hubs with two endpoints each, as concierge's policy.
    pub(crate) fn policy(&self) -> Result<String> {
        let Self { ports: Ports([tcp, tls, http]), ca, .. } = self;
        let mut text = format!(
            "[regions.near]\n[regions.far]\n\
             [probes.tcp]\ninterval = \"{INTERVAL}s\"\ntcp = {{ port = {tcp} }}\n\
             [probes.tls]\ninterval = \"{INTERVAL}s\"\n\
             tls = {{ port = {tls}, name = \"{CERTIFIED}\", ca = \"{}\" }}\n\
             [probes.http]\ninterval = \"{INTERVAL}s\"\n\
             http = {{ port = {http}, path = \"/health\", status = 200, body = \"ok\", keep_alive = true }}\n",
            ca.display(),
        );
        for hub in 0..self.endpoints / 2 {
            writeln!(text, "[hubs.\"q{hub:05}.{APEX}\"]\nttl = \"{HUB_TTL}s\"\nendpoints = [")?;
            for (region, endpoint) in ["near", "far"].into_iter().zip(2 * hub..) {
                let (address, kind) = (address(endpoint), ["tcp", "tls", "http"][self.kind(endpoint) as usize]);
                writeln!(text, "  {{ region = \"{region}\", addresses = [\"{address}\"], probe = \"{kind}\" }},")?;
            }
            writeln!(text, "]")?;
        }
        Ok(text)
    }

    /// The same endpoints over TCP, as gdnsd's `service_types` and resources of `simplefo`.
    pub(crate) fn gdnsd(&self) -> Result<(String, String)> {
        let port = self.ports.0[Kind::Tcp as usize];
        // The longest timeout that concierge's default comes to, and as many failures as they take to count.
        let types = format!(
            "service_types => {{ probed => {{ plugin => tcp_connect, port => {port}, interval => {INTERVAL}, \
             timeout => 2, up_thresh => 5, ok_thresh => 3, down_thresh => 3 }} }}\n"
        );
        let mut resources = String::from("  service_types => probed\n");
        for hub in 0..self.endpoints / 2 {
            let (near, far) = (address(2 * hub), address(2 * hub + 1));
            writeln!(resources, "  q{hub:05} => {{ primary => {near}, secondary => {far} }}")?;
        }
        Ok((types, resources))
    }
}

/// The loopback address of an endpoint.
fn address(endpoint: u32) -> std::net::Ipv4Addr {
    let [_, _, high, low] = endpoint.to_be_bytes();
    std::net::Ipv4Addr::new(127, 100, high, low)
}
