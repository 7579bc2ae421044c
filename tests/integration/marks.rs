//! Operators' words outrank health, end when they say, and move only what they have to.

use std::time::Duration;

use crate::process::{Daemon, QUICK, Region, Site, active, eventually, health, measured};

const HUB: &str = "hub.example.net.";
const API: &str = "api.example.net.";
const SOON: Duration = Duration::from_secs(15);

fn running(site: &Site) -> (Region, Region, Daemon) {
    let (weu, neu) = (Region::start(site.net.weu()), Region::start(site.net.neu()));
    let daemon = Daemon::start(site);
    assert!(eventually(SOON, || health(site, "up")), "{}", site.status());
    (weu, neu, daemon)
}

#[test]
fn a_region_that_is_marked_up_is_held_though_it_is_down() {
    let site = Site::new(QUICK);
    let net = site.net;
    let (weu, _neu, _daemon) = running(&site);
    site.ok(&["mark", "westeurope", "up", "--reason", "the probe is wrong"]);
    drop(weu);
    assert!(eventually(SOON, || measured(&site)["westeurope"] == "down"), "{}", site.status());
    for hub in [HUB, API] {
        assert_eq!(active(net.dns(), hub), net.weu());
        assert_eq!(site.hub(hub)["epoch"], 1);
    }
    // Both truths, side by side.
    let endpoint = site.hub(HUB)["endpoints"][0].clone();
    assert_eq!((&endpoint["measured"], &endpoint["effective"]), (&"down".into(), &"eligible".into()));
    assert!(endpoint["reason"].as_str().unwrap().contains("the probe is wrong"), "{endpoint}");

    // Health decides again, once the target was looked at.
    site.ok(&["unmark", "westeurope"]);
    for hub in [HUB, API] {
        assert!(eventually(SOON, || active(net.dns(), hub) == net.neu()), "{}", site.status());
    }
}

#[test]
fn a_drained_region_is_left_and_used_as_last_resort() {
    let site = Site::new(QUICK);
    let net = site.net;
    let (_weu, neu, _daemon) = running(&site);
    site.ok(&["mark", "westeurope", "drain", "--reason", "upgrade"]);
    assert_eq!((active(net.dns(), HUB), active(net.dns(), API)), (net.neu().into(), net.neu().into()));
    assert_eq!(site.hub(HUB)["endpoints"][0]["effective"], "drained");

    // Nothing else is left: a drained region that is well is better than one that is down.
    drop(neu);
    assert!(eventually(SOON, || active(net.dns(), HUB) == net.weu()), "{}", site.status());

    // A region that is well takes over from the drained one.
    let _neu = Region::start(net.neu());
    assert!(eventually(SOON, || active(net.dns(), HUB) == net.neu()), "{}", site.status());
    site.ok(&["unmark", "westeurope"]);
    assert_eq!(active(net.dns(), HUB), net.neu(), "failback is manual");
}

#[test]
fn a_mark_on_one_endpoint_moves_one_hub() {
    let site = Site::new(QUICK);
    let net = site.net;
    let (_weu, _neu, _daemon) = running(&site);
    site.ok(&["mark", "api.example.net./westeurope", "down", "--reason", "canary"]);
    assert_eq!((active(net.dns(), HUB), active(net.dns(), API)), (net.weu().into(), net.neu().into()));
}

#[test]
fn a_mark_ends_when_it_says_and_moves_nobody_then() {
    let site = Site::new(QUICK);
    let net = site.net;
    let (_weu, _neu, daemon) = running(&site);
    site.ok(&["mark", "westeurope", "down", "--reason", "disk swap", "--until", "2s", "--author", "alice"]);
    assert_eq!(active(net.dns(), HUB), net.neu());
    let mark = site.status()["marks"][0].clone();
    let length = mark["until"].as_u64().unwrap() - mark["since"].as_u64().unwrap();
    // The command line counts from its own clock, the daemon from the moment at which the mark arrives.
    assert!(length <= 2_000, "{mark}");

    assert!(eventually(SOON, || site.status()["marks"] == serde_json::json!([])), "{}", site.status());
    let history = site.history("westeurope");
    let record = |kind: &str| history.iter().find(|record| record["kind"] == kind).unwrap().clone();
    let (made, ended) = (record("mark"), record("mark-expired"));
    assert_eq!((&made["author"], &ended["author"]), (&"alice".into(), &"concierge".into()));
    assert!(ended["at"].as_u64().unwrap() >= mark["until"].as_u64().unwrap(), "{ended} {mark}");
    assert!(daemon.said("mark").unwrap()["message"].as_str().unwrap().contains("it has ended"));

    for hub in [HUB, API] {
        assert_eq!(active(net.dns(), hub), net.neu());
        let hub = site.hub(hub);
        assert_eq!((&hub["condition"], &hub["epoch"]), (&"ok".into(), &2.into()));
    }
}
