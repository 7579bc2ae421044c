//! gdnsd: hubs are `DYNC` records of `metafo` and `DYNA` records of `simplefo`, of services that are always up.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Running, Server, Site};
use crate::workload::{ADDRESSES, COUNTRY, HubRecords, TARGETS, WEIGHTS, Zone};

/// The closest relative.
pub(crate) struct Gdnsd;

impl Server for Gdnsd {
    fn name(&self) -> &'static str {
        "gdnsd"
    }

    fn prepare(&self, site: &Site) -> Result<Command> {
        fs::create_dir_all(site.folder.join("zones"))?;
        let folder = site.folder.display();
        // Cookies are not answered by the others either. The longest time for a TCP client is half of what is written.
        let configuration = format!(
            "options => {{
  listen => {}
  udp_threads => 1
  tcp_threads => 1
  tcp_clients_per_thread => {}
  tcp_timeout => 300
  disable_cookies => true
  run_dir => \"{folder}/run\"
  state_dir => \"{folder}/state\"
}}
plugins => {{
  metafo => {{ resources => {{ hub => {{
    datacenters => [ weu, neu ]
    dcmap => {{ weu => {}, neu => {} }}
  }} }} }}
  simplefo => {{ priority => {{ primary => {}, secondary => {} }} }}
{}}}
",
            site.address,
            site.tcp_connections.clamp(16, 65535),
            TARGETS[0],
            TARGETS[1],
            ADDRESSES[0],
            ADDRESSES[1],
            site.countries.as_deref().map(policies).unwrap_or_default(),
        );
        fs::write(site.folder.join("config"), configuration)?;
        self.write_zone(site, site.zone)?;
        let mut command = Command::new("/usr/sbin/gdnsd");
        command.arg("-c").arg(&site.folder).arg("start");
        Ok(command)
    }

    fn write_zone(&self, site: &Site, zone: Zone) -> Result<()> {
        // Whatever is in the folder of zones is a zone, so that the file is made elsewhere.
        let file = site.folder.join("bench.example");
        zone.write(&file, if site.countries.is_some() { HubRecords::Policies } else { HubRecords::Dynamic })?;
        fs::rename(&file, site.folder.join("zones/bench.example")).context("cannot move the zone into place")
    }

    fn reload(&self, running: &Running) -> Result<()> {
        let log = fs::File::create(running.site.folder.join("gdnsdctl.log"))?;
        let mut command = Command::new("/usr/bin/gdnsdctl");
        command.arg("-c").arg(&running.site.folder).args(["-t", "300", "reload-zones"]);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).status();
        if !status.context("cannot start gdnsdctl")?.success() {
            bail!("gdnsdctl failed:\n{}", running.log());
        }
        Ok(())
    }
}

/// The plugins that answer by country and by weight.
fn policies(countries: &Path) -> String {
    format!(
        "  geoip => {{
    maps => {{ world => {{
      geoip2_db => \"{}\"
      datacenters => [ weu, neu ]
      map => {{ EU => {{ {COUNTRY} => [ weu, neu ] }}, default => [ neu, weu ] }}
    }} }}
    resources => {{ geo => {{ map => world, dcmap => {{ weu => {}, neu => {} }} }} }}
  }}
  weighted => {{ weighted => {{ multi = false, weu = [ {}, {} ], neu = [ {}, {} ] }} }}
",
        countries.display(),
        ADDRESSES[0],
        ADDRESSES[1],
        ADDRESSES[0],
        WEIGHTS[0],
        ADDRESSES[1],
        WEIGHTS[1],
    )
}
