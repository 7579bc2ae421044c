//! NSD: hubs are static records.

use std::fs;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use super::{Running, Server, Site};
use crate::workload::{APEX, HubRecords, Zone};

/// Several processes that share one database by forking.
pub(crate) struct Nsd;

impl Server for Nsd {
    fn name(&self) -> &'static str {
        "nsd"
    }

    fn prepare(&self, site: &Site) -> Result<Command> {
        let folder = site.folder.display();
        let configuration = format!(
            "server:
  ip-address: {}@{}
  server-count: 1
  tcp-count: {}
  tcp-timeout: 300
  minimal-responses: yes
  rrl-ratelimit: 0
  database: \"\"
  username: \"\"
  chroot: \"\"
  pidfile: \"\"
  zonesdir: \"{folder}\"
  zonelistfile: \"{folder}/zone.list\"
  xfrdfile: \"{folder}/xfrd.state\"
  xfrdir: \"{folder}\"
  logfile: \"{folder}/nsd.log\"
remote-control:
  control-enable: no
zone:
  name: \"{APEX}\"
  zonefile: \"zone\"
",
            site.address.ip(),
            site.address.port(),
            site.tcp_connections,
        );
        let file = site.folder.join("nsd.conf");
        fs::write(&file, configuration)?;
        self.write_zone(site, site.zone)?;
        let mut command = Command::new("/usr/sbin/nsd");
        // In the foreground.
        command.arg("-d").arg("-c").arg(file);
        Ok(command)
    }

    fn write_zone(&self, site: &Site, zone: Zone) -> Result<()> {
        zone.write(&site.folder.join("zone"), HubRecords::Static)
    }

    fn reload(&self, running: &Running) -> Result<()> {
        running.signal(Signal::HUP)
    }
}
