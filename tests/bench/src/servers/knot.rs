//! Knot DNS: hubs are static records.

use std::fs;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use super::{Running, Server, Site};
use crate::workload::{APEX, HubRecords, Zone};

/// The one that loads fastest.
pub(crate) struct Knot;

impl Server for Knot {
    fn name(&self) -> &'static str {
        "knot"
    }

    fn prepare(&self, site: &Site) -> Result<Command> {
        let folder = site.folder.display();
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
zone:
  - domain: {APEX}
    file: zone
",
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
