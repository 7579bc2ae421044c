//! `concierge import`: what comes out is taken by `concierge check`, and answered as the source answers it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde_json::Value;

use crate::process::{Daemon, PORT, Ran, Site, ask, concierge, eventually, program, ran, text, try_ask};

/// Longest time until health is known, and the answers are those of the other server.
const DEADLINE: Duration = Duration::from_secs(120);

/// A file or folder of the fixtures.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/corpus/import").join(name)
}

fn run(arguments: &[&str]) -> Ran {
    ran(&concierge().args(arguments).output().unwrap())
}

/// gdnsd with the fixture, in a folder of its own.
struct Gdnsd {
    folder: tempfile::TempDir,
}

impl Gdnsd {
    fn at(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["zones", "geoip", "run", "state/extfile"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::fs::copy(fixture("gdnsd/zones/example.com"), path("zones/example.com")).unwrap();
        std::fs::write(path("state/extfile/states"), "192.0.2.35 => UP\n").unwrap();
        let config = std::fs::read_to_string(fixture("gdnsd/config")).unwrap();
        let listen = "listen => 127.0.0.1\n";
        assert!(config.contains(listen));
        let (run, state) = (path("run").display().to_string(), path("state").display().to_string());
        let options = format!("listen => {address}\n run_dir => \"{run}\"\n state_dir => \"{state}\"\n");
        std::fs::write(path("config"), config.replace(listen, &options)).unwrap();
        Self { folder }
    }

    fn check(&self) {
        let output = program("gdnsd", "gdnsd").arg("-c").arg(self.folder.path()).arg("checkconf").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    fn start(&self, address: SocketAddr) -> Running {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = program("gdnsd", "gdnsd");
        command.arg("-c").arg(self.folder.path()).arg("start").stdin(Stdio::null());
        let running = Running(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        // It answers once every health is known.
        let patience = Duration::from_millis(100);
        let ready = eventually(DEADLINE, || try_ask(address, "example.com.", RecordType::SOA, patience).is_some());
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        assert!(ready, "gdnsd does not answer: {log}");
        running
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    /// SIGTERM first: gdnsd then ends the processes that it started.
    fn drop(&mut self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        eventually(Duration::from_secs(5), || !matches!(self.0.try_wait(), Ok(None)));
        // A process that has ended needs no end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The records of the type that is asked for, without owners and TTLs, or what else the answer section has.
fn answer(server: SocketAddr, name: &str, rtype: RecordType) -> BTreeSet<String> {
    let message = ask(server, name, rtype);
    let of_type = message.answers.iter().filter(|record| record.record_type() == rtype).collect::<Vec<_>>();
    let records = if of_type.is_empty() { message.answers.iter().collect() } else { of_type };
    records.into_iter().map(|record| format!("{} {}", record.record_type(), record.data)).collect()
}

/// What some queries are answered with, taken together.
fn answers(server: SocketAddr, name: &str, rtype: RecordType, queries: usize) -> BTreeSet<String> {
    (0..queries).flat_map(|_| answer(server, name, rtype)).collect()
}

#[test]
fn an_imported_gdnsd_answers_as_it_did() {
    let site = Site::new("");
    let peer = SocketAddr::from((site.net.address(2), PORT));
    let gdnsd = Gdnsd::at(peer);
    gdnsd.check();
    for name in ["zones/example.net.toml", "zones/example.net.zone"] {
        std::fs::remove_file(site.path(name)).unwrap();
    }
    let into = site.path("zones");
    let imported = run(&["import", "gdnsd", gdnsd.folder.path().to_str().unwrap(), "--into", into.to_str().unwrap()]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    let checked = run(&["check", "--zones", into.to_str().unwrap()]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);

    let _gdnsd = gdnsd.start(peer);
    let _daemon = Daemon::start(&site);
    let (here, all, a, aaaa) = (site.net.dns(), 1, RecordType::A, RecordType::AAAA);
    // What is drawn for each query is asked for often enough for all that can be drawn to come.
    let drawn = 300;
    for (name, rtype, queries) in [
        ("example.com.", RecordType::MX, all),
        ("example.com.", RecordType::NS, all),
        ("mail", a, all),
        ("shop", a, all),
        ("pair", a, all),
        ("pair", RecordType::TXT, all),
        ("pair", aaaa, all),
        ("moved", a, all),
        ("both", a, all),
        ("both", aaaa, all),
        ("dead", a, all),
        ("web", a, all),
        ("partly", a, all),
        ("partly", aaaa, all),
        ("plain", a, all),
        ("names", a, drawn),
        ("flat", a, all),
        ("racks", a, drawn),
        ("hub", a, all),
        ("hub-neu", a, all),
        ("fleet", a, all),
        ("fleet", RecordType::MX, all),
        ("failed", a, all),
        ("near", a, all),
        ("dialled", a, all),
        ("single", a, all),
        ("reported", a, all),
        ("watched", a, all),
        ("x.apps", a, all),
        ("www.sub", a, all),
        ("www.deep", RecordType::CNAME, all),
        ("nowhere", a, all),
    ] {
        let name = if name.ends_with('.') { name.to_owned() } else { format!("{name}.example.com.") };
        let (mut theirs, mut ours) = (BTreeSet::new(), BTreeSet::new());
        let same = eventually(DEADLINE, || {
            theirs = answers(peer, &name, rtype, queries);
            ours = answers(here, &name, rtype, queries);
            theirs == ours
        });
        assert!(same, "{name} {rtype}: gdnsd {theirs:?}, here {ours:?}");
    }
    // One draw of a hundred is the other one, so that only what may be drawn is compared.
    let canary = BTreeSet::from(["A 192.0.2.41".to_owned(), "A 192.0.2.42".into()]);
    assert!(answers(here, "canary.example.com.", a, drawn).is_subset(&canary));
    assert!(answers(peer, "canary.example.com.", a, drawn).is_subset(&canary));
}

/// A database in which every client is in Dublin.
fn database() -> Vec<u8> {
    let mut database = maxminddb_writer::Database::default();
    database.metadata.ip_version = IpVersion::V6;
    database.metadata.binary_format_major_version = 2;
    database.metadata.database_type = "Test-City".into();
    let place = serde_json::json!({
        "continent": { "code": "EU" },
        "country": { "iso_code": "IE" },
        "location": { "latitude": 53.3, "longitude": -6.3 },
    });
    let data = database.insert_value(&place).unwrap();
    database.insert_node("::/0".parse::<IpAddrWithMask>().unwrap(), data);
    database.write_to(Vec::new()).unwrap()
}

#[test]
fn record_sets_of_route_53_become_a_policy_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let zones = folder.path().join("zones");
    let files = ["records.json", "health-checks.json", "cidr-blocks.json"].map(|name| fixture("route53").join(name));
    let files = files.each_ref().map(|path| path.to_str().unwrap());
    let into = zones.to_str().unwrap();
    let imported = run(&[&["import", "route53"], files.as_slice(), &["--into", into]].concat());
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    let written: Vec<&str> = imported.out.lines().collect();
    assert_eq!(written, [format!("wrote {into}/route53.toml"), format!("wrote {into}/example.com.zone")]);
    assert!(imported.err.contains("note: cdn.example.com.: vie: a bias of 20 is not carried over"), "{}", imported.err);

    // As the notes say, the database is for the operator to put there.
    std::fs::write(zones.join("GeoLite2-City.mmdb"), database()).unwrap();
    let checked = run(&["check", "--zones", into]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);

    // Nothing is overwritten.
    let again = run(&[&["import", "route53"], files.as_slice(), &["--into", into]].concat());
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("route53.toml is there already"), "{}", again.err);
}

#[test]
fn profiles_of_traffic_manager_become_a_policy_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = fixture("traffic-manager/profiles.json");
    let (profiles, into) = (profiles.to_str().unwrap(), folder.path().to_str().unwrap());
    let imported = run(&["import", "traffic-manager", profiles, "--zone", "example.com", "--into", into]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    assert_eq!(imported.out, format!("wrote {into}/traffic-manager.toml\n"));
    assert!(imported.err.contains("note: off.trafficmanager.net: the profile is disabled"), "{}", imported.err);

    // Zone and database are the operator's.
    std::fs::write(folder.path().join("GeoLite2-City.mmdb"), database()).unwrap();
    let zone = "@ 60 SOA ns1 h 1 2 3 4 5\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n";
    std::fs::write(folder.path().join("example.com.zone"), zone).unwrap();
    let checked = run(&["check", "--zones", into]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);

    let refused = run(&["import", "traffic-manager", fixture("route53/records.json").to_str().unwrap(), "--zone", "x"]);
    assert_eq!(refused.code, Some(78), "{}", refused.err);
}

#[test]
fn without_a_folder_the_policy_is_printed_and_with_json_everything() {
    let folder = fixture("gdnsd");
    let folder = folder.to_str().unwrap();
    let printed = run(&["import", "gdnsd", folder]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert!(printed.out.starts_with("# Made from the configuration of gdnsd"), "{}", printed.out);
    assert!(printed.err.ends_with("hint: the records of 1 zone are written with --into FOLDER\n"), "{}", printed.err);
    let json = run(&["import", "gdnsd", folder, "--output", "json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["policy"]["text"], printed.out.as_str());
    assert_eq!(json["zones"][0]["name"], "example.com.zone");
    assert_eq!(json["notes"].as_array().unwrap().len(), printed.err.matches("note: ").count());
}

#[test]
fn included_files_are_found_beside_the_one_that_includes_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("config", "plugins => { multifo => { $include{parts/*.cfg} $include{parts/more} } }");
    write("parts/a.cfg", "one => 192.0.2.1");
    write("parts/b.cfg", "two => 192.0.2.2");
    write("parts/more/c", "three => 192.0.2.3");
    write(
        "zones/example.com",
        "$TTL 60\n@ SOA n. h. 1 2 3 4 5\n NS n.\na DYNA multifo!one\nb DYNA multifo!two\nc DYNA multifo!three\n",
    );
    write("zones/.hidden", "{");
    write("zones/parts/d", "d DYNA multifo!one\n");
    write("zones/example.org", "$TTL 60\n@ SOA n. h. 1 2 3 4 5\n NS n.\n$INCLUDE parts/d sub\n");
    let imported = run(&["import", "gdnsd", folder.path().to_str().unwrap()]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert!(imported.out.contains(&format!("addresses = [\"{address}\"]")), "{}", imported.out);
    }
    assert!(imported.out.contains("[hubs.\"d.sub.example.org.\"]"), "{}", imported.out);
    write("config", "plugins => { $include{parts/*.none} }");
    let refused = run(&["import", "gdnsd", folder.path().to_str().unwrap()]);
    assert_eq!(refused.code, Some(78));
    assert!(refused.err.contains("config:1: no file is called"), "{}", refused.err);
}

#[test]
fn the_schemas_are_those_in_the_repository() {
    for name in ["policy", "config"] {
        let printed = run(&["schema", name]);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/schema/{name}.json"));
        assert_eq!((printed.code, printed.out), (Some(0), std::fs::read_to_string(path).unwrap()));
    }
}
