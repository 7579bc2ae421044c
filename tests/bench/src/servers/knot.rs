//! Knot DNS: hubs are static records.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use super::{Running, Server, Site};
use crate::workload::{ADDRESSES, APEX, COUNTRY, HUB_TTL, HUBS, HubRecords, WEIGHTS, Zone};

/// The one that loads fastest.
pub(crate) struct Knot;

impl Server for Knot {
    fn name(&self) -> &'static str {
        "knot"
    }

    fn prepare(&self, site: &Site) -> Result<Command> {
        let folder = site.folder.display();
        let (modules, used) = match &site.countries {
            Some(countries) => policies(site, countries)?,
            None => Default::default(),
        };
        let configuration = format!(
            "server:
    rundir: {folder}
    listen: {}@{}
    udp-workers: 1
    tcp-workers: 1
    tcp-max-clients: {}
    tcp-idle-timeout: 300
database:
    storage: {folder}
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: {folder}
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
{modules}zone:
  - domain: {APEX}
    file: zone
{used}",
            site.address.ip(),
            site.address.port(),
            site.tcp_connections,
        );
        let file = site.folder.join("knot.conf");
        fs::write(&file, configuration)?;
        self.write_zone(site, site.zone)?;
        let mut command = Command::new("/usr/sbin/knotd");
        command.arg("-c").arg(file);
        Ok(command)
    }

    fn write_zone(&self, site: &Site, zone: Zone) -> Result<()> {
        zone.write(&site.folder.join("zone"), HubRecords::Static)
    }

    fn reload(&self, running: &Running) -> Result<()> {
        running.signal(Signal::HUP)
    }
}

/// The modules that answer by country and by weight, and where the zone uses them.
fn policies(site: &Site, countries: &Path) -> Result<(String, String)> {
    let (mut geo, mut weighted) = (String::new(), String::new());
    for hub in 0..HUBS {
        writeln!(geo, "g{hub:03}.{APEX}:")?;
        for (country, address) in [COUNTRY, "*"].iter().zip(ADDRESSES) {
            writeln!(geo, "  - geo: \"{country}\"\n    A: {address}")?;
        }
        writeln!(weighted, "w{hub:03}.{APEX}:")?;
        for (weight, address) in WEIGHTS.iter().zip(ADDRESSES) {
            writeln!(weighted, "  - weight: {weight}\n    A: {address}")?;
        }
    }
    let (geo_file, weighted_file) = (site.folder.join("geo.conf"), site.folder.join("weighted.conf"));
    fs::write(&geo_file, geo)?;
    fs::write(&weighted_file, weighted)?;
    let modules = format!(
        "mod-geoip:
  - id: geo
    config-file: {}
    ttl: {HUB_TTL}
    mode: geodb
    geodb-file: {}
    geodb-key: [ country/iso_code ]
  - id: weighted
    config-file: {}
    ttl: {HUB_TTL}
    mode: weighted
",
        geo_file.display(),
        countries.display(),
        weighted_file.display(),
    );
    Ok((modules, "    module: [ mod-geoip/geo, mod-geoip/weighted ]\n".into()))
}
