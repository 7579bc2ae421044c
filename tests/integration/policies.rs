//! Hubs without an active region as devices and operators see them: the real process over real sockets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde_json::json;

use crate::process::{Daemon, QUICK, Region, Site, Up, addresses, ask, eventually};

/// What a loaded machine may take.
const SOON: Duration = Duration::from_secs(60);

/// A site with a hub of each policy beside its two, in the same regions.
fn site() -> Site {
    let site = Site::new(QUICK);
    let (weu, neu) = (site.net.weu(), site.net.neu());
    let endpoints = format!(
        "ttl = \"5s\"\nendpoints = [\n  {{ region = \"westeurope\", addresses = [\"{weu}\"], probe = \"broker\" }},\n  {{ \
         region = \"northeurope\", addresses = [\"{neu}\"], probe = \"broker\" }},\n]\n"
    );
    let hub = |name: &str, keys: &str| format!("[hubs.\"{name}.example.net.\"]\n{keys}\n{endpoints}");
    let map = "map = [{ subnet = \"127.0.0.0/8\", to = [\"northeurope\"] }]\ndefault = [\"westeurope\"]";
    let nested =
        endpoints.replace(&format!("addresses = [\"{neu}\"], probe = \"broker\""), "hub = \"geo.example.net.\"");
    let more = [
        hub("weighted", "policy = \"weighted\""),
        hub("geo", &format!("policy = \"geo\"\n{map}")),
        hub("all", "policy = \"all\""),
        hub("sticky", "policy = \"sticky\""),
        format!("[hubs.\"outer.example.net.\"]\npolicy = \"geo\"\n{map}\n{nested}"),
    ];
    let policy = std::fs::read_to_string(site.path("zones/example.net.toml")).unwrap();
    site.write("zones/example.net.toml", &format!("{policy}{}", more.concat()));
    site
}

/// The addresses that so many queries for a hub are answered with.
fn answered(site: &Site, hub: &str, queries: usize) -> BTreeSet<IpAddr> {
    let name = format!("{hub}.example.net.");
    (0..queries).flat_map(|_| addresses(&ask(site.net.dns(), &name, RecordType::A))).collect()
}

fn usable(site: &Site, hub: &str) -> serde_json::Value {
    site.hub(&format!("{hub}.example.net."))["usable"].clone()
}

#[test]
fn each_policy_answers_and_follows_the_regions_over_a_restart() {
    let mut up = Up::of(site());
    let [weu, neu]: [IpAddr; 2] = [up.site.net.weu().into(), up.site.net.neu().into()];
    let both = BTreeSet::from([weu, neu]);
    let site = &up.site;
    assert_eq!(answered(site, "weighted", 200), both, "each is drawn");
    assert_eq!(answered(site, "all", 1), both, "both at once");
    assert_eq!(answered(site, "geo", 20), [neu].into(), "by the subnet");
    assert_eq!(answered(site, "outer", 20), [neu].into(), "by the hub inside");
    assert_eq!(answered(site, "sticky", 20).len(), 1, "one for a client");
    let hub = site.hub("weighted.example.net.");
    assert_eq!((&hub["policy"], &hub["condition"], hub.get("active")), (&json!("weighted"), &json!("ok"), None));

    up.neu.take();
    let out = || ["weighted", "all", "geo", "sticky"].iter().all(|hub| usable(&up.site, hub) == json!(["westeurope"]));
    assert!(eventually(SOON, out), "{}", up.site.status());
    let only = BTreeSet::from([weu]);
    let follows = |site: &Site| {
        for hub in ["weighted", "all", "geo", "sticky", "outer"] {
            assert_eq!(answered(site, hub, 20), only, "{hub}");
        }
    };
    follows(&up.site);
    assert_eq!(usable(&up.site, "outer"), json!(["westeurope", "northeurope"]), "the hub inside has one left");
    let newest = up.site.history("weighted.example.net.").remove(0);
    assert_eq!((&newest["kind"], &newest["after"]), (&json!("usable"), &json!("westeurope")));
    assert!(newest["reason"].as_str().unwrap().starts_with("northeurope is down"), "{newest}");

    // Nothing is known of any region after the restart, and nothing changes.
    let Up { site, daemon, weu: region, .. } = up;
    daemon.kill();
    let daemon = Daemon::start(&site);
    follows(&site);
    assert_eq!(usable(&site, "weighted"), json!(["westeurope"]));
    let back = Region::start(site.net.neu());
    let full = json!(["westeurope", "northeurope"]);
    assert!(eventually(SOON, || usable(&site, "weighted") == full), "{}", site.status());
    drop((daemon, region, back));
}

#[test]
fn operators_see_mark_and_explain_what_has_no_active_region() {
    let up = Up::of(site());
    let site = &up.site;
    let neu: IpAddr = site.net.neu().into();
    let status = site.ok(&["status"]);
    assert!(status.contains("weighted: westeurope, northeurope"), "{status}");

    let explained = site.ok(&["explain", "outer.example.net.", "--from", "127.0.0.9"]);
    let words = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "a query for outer.example.net. A from 127.0.0.9",
        "127.0.0.9 is of subnet 127.0.0.0/8",
        "it answers northeurope, which is the hub geo.example.net.",
        "usable: westeurope, northeurope",
    ] {
        assert!(words.contains(part), "`{part}`: {explained}");
    }
    let elsewhere = site.ok(&["explain", "geo.example.net.", "--from", "192.0.2.1"]);
    let words = elsewhere.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("nothing in the map is about 192.0.2.1"), "{elsewhere}");

    let foreseen = site.ok(&["mark", "westeurope", "down", "--reason", "disk", "--dry-run"]);
    let change = "weighted.example.net.: westeurope, northeurope -> northeurope";
    assert!(foreseen.contains(change) && foreseen.contains("would answer out of other endpoints"), "{foreseen}");
    let marked = site.ok(&["mark", "westeurope", "down", "--reason", "disk"]);
    assert!(marked.contains(change), "{marked}");
    assert_eq!(answered(site, "weighted", 20), [neu].into());
    let newest = site.history("weighted.example.net.").remove(0);
    assert!(newest["reason"].as_str().unwrap().starts_with("westeurope marked down by"), "{newest}");

    let refused = site.run(&["failover", "weighted.example.net.", "--to", "northeurope", "--yes"]);
    assert!(refused.err.contains("has policy weighted and no active region"), "{}", refused.err);
    let metrics = crate::process::request(&site.socket(), "GET", "/v1/status", "").unwrap().1;
    assert_eq!(metrics["totals"]["usable_changes"], json!(5), "{metrics}");
}

/// The octets of a database that knows the loopback network as this country.
fn database(country: &'static str) -> Vec<u8> {
    let mut database = maxminddb_writer::Database::default();
    database.metadata.ip_version = IpVersion::V6;
    database.metadata.binary_format_major_version = 2;
    database.metadata.database_type = "Test-City".into();
    let data = database.insert_value(json!({ "country": { "iso_code": country } })).unwrap();
    database.insert_node("::127.0.0.0/104".parse::<IpAddrWithMask>().unwrap(), data);
    database.write_to(Vec::new()).unwrap()
}

#[test]
fn a_database_that_changes_is_picked_up_and_a_bad_one_changes_nothing() {
    let site = site();
    let map = "map = [{ country = \"DE\", to = [\"westeurope\"] }, { country = \"FR\", to = [\"northeurope\"] }]";
    site.edit("zones/example.net.toml", "map = [{ subnet = \"127.0.0.0/8\", to = [\"northeurope\"] }]", map);
    let policy = std::fs::read_to_string(site.path("zones/example.net.toml")).unwrap();
    site.write("zones/example.net.toml", &format!("[geo]\ndatabase = \"city.mmdb\"\n{policy}"));
    let checked = site.run(&["check"]);
    assert!(checked.err.contains("read the database") && checked.err.contains("no such file"), "{}", checked.err);
    // As an operator replaces one: a rename.
    let replace = |octets: &[u8]| {
        std::fs::write(site.path("zones/city.new"), octets).unwrap();
        std::fs::rename(site.path("zones/city.new"), site.path("zones/city.mmdb")).unwrap();
    };
    replace(&database("DE"));
    let regions = [Region::start(site.net.weu()), Region::start(site.net.neu())];
    let daemon = Daemon::start(&site);
    let [weu, neu]: [IpAddr; 2] = [site.net.weu().into(), site.net.neu().into()];
    assert_eq!(answered(&site, "geo", 5), [weu].into());
    replace(&database("FR"));
    assert!(eventually(SOON, || answered(&site, "geo", 1) == [neu].into()), "{}", site.status());
    assert_eq!(site.status()["databases"]["ok"], json!(true));
    replace(b"no database");
    assert!(eventually(SOON, || site.status()["databases"]["ok"] == json!(false)), "{}", site.status());
    assert_eq!(answered(&site, "geo", 5), [neu].into(), "it changes nothing");
    assert!(!site.run(&["reload"]).out.contains("reloaded"));
    assert_eq!(answered(&site, "geo", 5), [neu].into());
    replace(&database("DE"));
    assert!(eventually(SOON, || answered(&site, "geo", 1) == [weu].into()), "{}", site.status());
    drop((daemon, regions));
}
