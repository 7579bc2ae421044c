//! Brokers that devices connect to, watched as devices see them: mosquitto, from Debian.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{BROKER, Daemon, QUICK, Site, active, eventually, health};

const HUB: &str = "hub.example.net.";
/// Longer than the slowest start and detection on a busy machine.
const SOON: Duration = Duration::from_secs(30);
const PASSWORD: &str = "open-sesame";

/// A broker in one region, that lets in one device.
struct Mosquitto {
    process: Child,
    passwords: PathBuf,
}

impl Mosquitto {
    fn start(site: &Site, address: Ipv4Addr) -> Self {
        let passwords = site.path(&format!("{address}.passwords"));
        let settings = format!("{address}.conf");
        let text = format!(
            "user root\nallow_anonymous false\npassword_file {}\nlistener {BROKER} {address}\n",
            passwords.display()
        );
        site.write(&settings, &text);
        set_password(&passwords, PASSWORD);
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(site.path(&settings)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { process: command.spawn().unwrap(), passwords }
    }

    /// Lets in only who has this password from here on.
    fn change_password(&self, password: &str) {
        set_password(&self.passwords, password);
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn set_password(file: &std::path::Path, password: &str) {
    let mut command = Command::new("mosquitto_passwd");
    command.args(["-b", "-c"]).arg(file).args(["canary", password]).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
}

#[test]
fn a_broker_that_lets_nobody_in_is_down_although_its_port_is_open() {
    let site = Site::new(QUICK);
    site.write("zones/canary.password", &format!("{PASSWORD}\n"));
    site.edit(
        "zones/example.net.toml",
        &format!("tcp = {{ port = {BROKER} }}"),
        &format!(
            "mqtt = {{ port = {BROKER}, version = \"5\", username = \"canary\", password = {{ file = \"canary.password\" }} }}"
        ),
    );
    let (weu, neu) = (site.net.weu(), site.net.neu());
    let (first, _second) = (Mosquitto::start(&site, weu), Mosquitto::start(&site, neu));
    let daemon = Daemon::start(&site);
    assert!(eventually(SOON, || health(&site, "up")), "{}", site.status());
    assert_eq!(active(site.net.dns(), HUB), weu);

    first.change_password("open-barley");
    let moved = eventually(SOON, || active(site.net.dns(), HUB) == neu);
    assert!(moved, "{}", site.status());
    let status = site.ok(&["status", "--output", "json"]);
    let expected = format!("expected code 0 in the CONNACK from {weu}:{BROKER}, got 0x87 (Not authorized)");
    assert!(status.contains(&expected), "{status}");

    // Nobody is told the password.
    let said = format!("{status}{:?}{:?}", site.history(HUB), daemon.log.lock().unwrap());
    assert!(said.contains("0x87") && !said.contains(PASSWORD), "{said}");
}
