//! concierge: hubs are policy, with two regions each.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use super::{Running, Server, Site};
use crate::workload::{ADDRESSES, APEX, COUNTRY, HUB_TTL, HUBS, HubRecords, TARGETS, WEIGHTS, Zone};

/// The regions of the hubs that are switched, in the order of preference.
pub(crate) const SWITCHING_REGIONS: [&str; 3] = ["one", "two", "three"];
/// What these hubs answer for each of them.
pub(crate) const SWITCHING_ADDRESSES: [[u8; 4]; 3] = [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]];

/// The server that is to be judged.
pub(crate) struct Concierge;

impl Server for Concierge {
    fn name(&self) -> &'static str {
        "concierge"
    }

    fn prepare(&self, site: &Site) -> Result<Command> {
        fs::create_dir_all(site.folder.join("zones"))?;
        let file = site.folder.join("concierge.toml");
        let (listen, tls) = match site.tls {
            Some(address) => {
                (format!("tls = [\"{address}\"]\n"), "[tls]\ncertificate = \"tls.pem\"\nkey = \"tls.key\"\n")
            }
            None => (String::new(), ""),
        };
        fs::write(
            &file,
            format!(
                "zones = \"zones\"\nstate = \"state\"\n[listen]\ndns = [\"{}\"]\nworkers = 1\n{listen}{tls}\
                 [limits]\ntcp_connections = {}\ntcp_idle = \"5m\"\n[process]\nlandlock = {}\n[log]\nfilter = \"warn\"\n",
                // A sandbox would keep it from writing what was counted.
                site.address,
                site.tcp_connections,
                !site.counted,
            ),
        )?;
        fs::write(site.folder.join("zones/policy.toml"), policy(site)?)?;
        if let Some(probed) = &site.probed {
            fs::write(site.folder.join("zones/probed.toml"), probed.policy()?)?;
        }
        self.write_zone(site, site.zone)?;
        let mut command = Command::new(&site.concierge);
        command.arg("serve").arg("--config").arg(file);
        Ok(command)
    }

    fn write_zone(&self, site: &Site, zone: Zone) -> Result<()> {
        zone.write(&site.folder.join(format!("zones/{APEX}zone")), HubRecords::None)
    }

    fn reload(&self, running: &Running) -> Result<()> {
        running.signal(Signal::HUP)
    }
}

fn policy(site: &Site) -> Result<String> {
    let mut text = String::from("[regions.weu]\n[regions.neu]\n");
    for hub in 0..HUBS {
        for (letter, key, answers) in [('h', "cname = ", TARGETS), ('p', "addresses = ", ADDRESSES)] {
            let answer = |text: &str| if letter == 'h' { format!("\"{text}\"") } else { format!("[\"{text}\"]") };
            writeln!(
                text,
                "[hubs.\"{letter}{hub:03}.{APEX}\"]\nttl = \"{HUB_TTL}s\"\nendpoints = [\n  {{ region = \"weu\", \
                 {key}{} }},\n  {{ region = \"neu\", {key}{} }},\n]",
                answer(answers[0]),
                answer(answers[1]),
            )?;
        }
    }
    if let Some(countries) = &site.countries {
        writeln!(text, "[geo]\ndatabase = \"{}\"", countries.display())?;
        for hub in 0..HUBS {
            let endpoint = |at: usize, region: &str, weight: &str| {
                format!("{{ region = \"{region}\", addresses = [\"{}\"]{weight} }}", ADDRESSES[at])
            };
            writeln!(
                text,
                "[hubs.\"g{hub:03}.{APEX}\"]\npolicy = \"geo\"\nttl = \"{HUB_TTL}s\"\nmap = [{{ country = \"{COUNTRY}\", to = \
                 [\"weu\"] }}]\ndefault = [\"neu\"]\nendpoints = [{}, {}]",
                endpoint(0, "weu", ""),
                endpoint(1, "neu", ""),
            )?;
            writeln!(
                text,
                "[hubs.\"w{hub:03}.{APEX}\"]\npolicy = \"weighted\"\nttl = \"{HUB_TTL}s\"\nendpoints = [{}, {}]",
                endpoint(0, "weu", &format!(", weight = {}", WEIGHTS[0])),
                endpoint(1, "neu", &format!(", weight = {}", WEIGHTS[1])),
            )?;
        }
    }
    let switching = site.switching;
    if switching > 0 {
        for region in SWITCHING_REGIONS {
            writeln!(text, "[regions.{region}]")?;
        }
    }
    for hub in 0..switching {
        writeln!(text, "[hubs.\"s{hub:05}.{APEX}\"]\nttl = \"{HUB_TTL}s\"\ndwell = \"0s\"\nendpoints = [")?;
        for (region, [a, b, c, d]) in SWITCHING_REGIONS.iter().zip(SWITCHING_ADDRESSES) {
            writeln!(text, "  {{ region = \"{region}\", addresses = [\"{a}.{b}.{c}.{d}\"] }},")?;
        }
        writeln!(text, "]")?;
    }
    Ok(text)
}
