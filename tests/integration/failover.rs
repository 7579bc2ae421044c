//! Regions fail and come back, and what the daemon and a real resolver in front of it answer then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::process::{
    BROKER, Daemon, QUICK, Region, Site, active, addresses, ask, ask_tcp, eventually, health, measured,
};
use crate::unbound::{Device, Seen, Unbound};
use crate::web::{Authority, Web};

const HUB: &str = "hub.example.net.";
const API: &str = "api.example.net.";
/// No address.
const NONE: &[IpAddr] = &[];
/// The TTL of the hubs of these tests, seconds.
const TTL: u32 = 5;
/// Longer than the slowest detection and recovery of a `QUICK` probe on a busy machine.
const SOON: Duration = Duration::from_secs(15);
/// A resolver counts whole seconds, and needs a moment to fetch.
const ROUNDING: Duration = Duration::from_millis(1500);

/// A site, its regions up and its daemon with a verdict on both.
fn running(site: &Site) -> (Region, Region, Daemon) {
    let (weu, neu) = (Region::start(site.net.weu()), Region::start(site.net.neu()));
    let daemon = Daemon::start(site);
    assert!(eventually(SOON, || health(site, "up")), "{}", site.status());
    (weu, neu, daemon)
}

/// Waits until both hubs answer this region, by the daemon itself.
fn moves_to(site: &Site, region: Ipv4Addr) {
    let dns = site.net.dns();
    let moved = eventually(SOON, || active(dns, HUB) == region && active(dns, API) == region);
    assert!(moved, "not {region}: {}", site.status());
}

#[test]
fn a_resolver_follows_within_the_ttl_that_it_showed_and_never_goes_back() {
    let site = Site::new(QUICK);
    let net = site.net;
    let (weu, _neu, _daemon) = running(&site);
    let unbound = Unbound::start(net);
    let mut device = Device::new(unbound.address, HUB);

    // While all is well the resolver keeps to one region, through a fetch.
    device.look_until_fetched();
    assert!(device.seen.iter().all(|seen| seen.address == net.weu()));

    // The region fails. From the first new answer of the daemon on, the resolver may give the old one only for the TTL
    // that it shows.
    drop(weu);
    let killed = Instant::now();
    device.look_until(killed, SOON, |_| active(net.dns(), HUB) == net.neu());
    let moved = killed.elapsed();
    let (cached, new) = follows(&mut device, net.neu());
    let (ttl, followed) = (cached.ttl, new.received - killed);
    println!(
        "the daemon moved {moved:.2?} after the kill, Unbound showed TTL {ttl} then and moved after {followed:.2?}"
    );

    // The region comes back and nothing moves by itself; an operator moves it back.
    let _weu = Region::start(net.weu());
    assert!(eventually(SOON, || health(&site, "up")));
    assert_eq!(device.look().address, net.neu());
    site.ok(&["failback", HUB, "--now", "--yes", "--detach"]);
    assert_eq!(active(net.dns(), HUB), net.weu(), "acknowledged: no older answer");
    follows(&mut device, net.weu());

    let fetched = device.honours_ttls(TTL);
    assert!(fetched >= 5, "{fetched} fetches in {} answers", device.seen.len());
}

/// The resolver gives an older answer only for the TTL that it shows, and never again once it has given the new one.
/// Returns what it showed at first, and its first new answer.
fn follows(device: &mut Device, region: Ipv4Addr) -> (Seen, Seen) {
    let cached = device.look();
    let left = Duration::from_secs(cached.ttl.into());
    let new = device.look_until(cached.received, left + ROUNDING, |seen| seen.address == region);
    let from = device.seen.len();
    device.look_until_fetched();
    assert!(device.seen[from..].iter().all(|seen| seen.address == region));
    (cached, new)
}

#[test]
fn with_all_regions_down_the_last_active_one_is_answered() {
    let site = Site::new(QUICK);
    site.add_reference();
    let net = site.net;
    let (weu, neu, daemon) = running(&site);
    drop(weu);
    moves_to(&site, net.neu());
    drop(neu);
    assert!(eventually(SOON, || health(&site, "down")), "{}", site.status());
    for hub in [HUB, API] {
        for answer in [ask(net.dns(), hub, RecordType::A), ask_tcp(net.dns(), hub, RecordType::A)] {
            assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
            assert_eq!(addresses(&answer), [IpAddr::from(net.neu())], "fail static: {answer:?}");
        }
        let hub = site.hub(hub);
        assert_eq!(
            (&hub["condition"], &hub["active"], &hub["epoch"]),
            (&"all-down".into(), &"northeurope".into(), &2.into())
        );
    }
    assert_eq!(daemon.said("all-down").unwrap()["level"], "ERROR");

    // The first region that is well again is answered, whether it was the last one or not.
    let _weu = Region::start(net.weu());
    moves_to(&site, net.weu());
    assert_eq!(site.hub(HUB)["condition"], "degraded");
    assert_eq!(site.hub(HUB)["epoch"], 3);
}

#[test]
fn a_better_region_takes_over_only_after_it_has_been_good_for_as_long_as_failback_says() {
    let site = Site::new(QUICK);
    site.edit("zones/example.net.toml", "dwell = \"0s\"", "dwell = \"0s\"\nfailback = { after = \"3s\" }");
    let net = site.net;
    let (weu, _neu, _daemon) = running(&site);
    drop(weu);
    moves_to(&site, net.neu());
    let _weu = Region::start(net.weu());
    moves_to(&site, net.weu());
    let hub = site.hub(HUB);
    assert_eq!((&hub["cause"], &hub["epoch"]), (&"failback-after".into(), &3.into()));
    let good_since = hub["endpoints"][0]["measured_since"].as_u64().unwrap();
    let waited = hub["since"].as_u64().unwrap() - good_since;
    assert!(waited >= 3_000, "failed back {waited} ms after the region was up");
}

#[test]
fn a_body_without_the_expected_text_is_a_failed_region() {
    let site = Site::new(QUICK);
    let net = site.net;
    let probe = format!("http = {{ port = {BROKER}, path = \"/health\", body = \"ready to serve\" }}");
    site.edit("zones/example.net.toml", &format!("tcp = {{ port = {BROKER} }}"), &probe);
    let weu = Web::http((net.weu(), BROKER), "we are ready to serve you");
    let _neu = Web::http((net.neu(), BROKER), "ready to serve");
    let _daemon = Daemon::start(&site);
    assert!(eventually(SOON, || health(&site, "up")), "{}", site.status());
    assert_eq!(active(net.dns(), HUB), net.weu());

    weu.say("in maintenance");
    moves_to(&site, net.neu());
    let endpoint = site.hub(HUB)["endpoints"][0].clone();
    let failure = endpoint["observed"]["failure"].as_str().unwrap();
    assert!(failure.contains("ready to serve") && failure.contains(&net.weu().to_string()), "{failure}");

    weu.say("ready to serve");
    assert!(eventually(SOON, || health(&site, "up")));
    assert_eq!(active(net.dns(), HUB), net.neu(), "failback is manual");
}

#[test]
fn a_certificate_is_good_only_if_the_probes_own_authority_issued_it() {
    let site = Site::new(QUICK);
    let net = site.net;
    let ours = Authority::new("ours");
    site.write("zones/ca.pem", &ours.pem());
    // The server name is the probed host, or the probed address.
    let names = |host: &str, address: Ipv4Addr| [format!("{host}.example.net"), address.to_string()];
    let (weu_names, neu_names) = (names("hub-weu", net.weu()), names("hub-neu", net.neu()));
    let probe = format!("https = {{ port = {BROKER}, ca = \"ca.pem\" }}");
    site.edit("zones/example.net.toml", &format!("tcp = {{ port = {BROKER} }}"), &probe);

    let theirs = Authority::new("theirs").identity(&weu_names);
    let weu = Web::https((net.weu(), BROKER), "", theirs);
    let _neu = Web::https((net.neu(), BROKER), "", ours.identity(&neu_names));
    let _daemon = Daemon::start(&site);
    moves_to(&site, net.neu());
    for hub in [HUB, API] {
        let endpoints = site.hub(hub)["endpoints"].clone();
        assert_eq!(
            (&endpoints[0]["measured"], &endpoints[1]["measured"]),
            (&"down".into(), &"up".into()),
            "{endpoints}"
        );
        let failure = endpoints[0]["observed"]["failure"].as_str().unwrap();
        assert!(failure.contains("certificate"), "{failure}");
    }

    // The same region with a certificate of our own authority; then with one for another host.
    drop(weu);
    let weu = Web::https((net.weu(), BROKER), "", ours.identity(&weu_names));
    assert!(eventually(SOON, || health(&site, "up")), "{}", site.status());
    drop(weu);
    let _weu = Web::https((net.weu(), BROKER), "", ours.identity(&neu_names));
    assert!(eventually(SOON, || measured(&site)["westeurope"] == "down"), "{}", site.status());
    assert_eq!(active(net.dns(), HUB), net.neu());
}

#[test]
fn an_endpoint_on_ipv6_fails_over_to_one_on_ipv4() {
    let site = Site::new(QUICK);
    let net = site.net;
    // All tests share ::1, so the port is whatever is free.
    let weu = Region::serve((Ipv6Addr::LOCALHOST, 0), drop);
    let port = weu.address().port();
    let probes = format!("[probes.six]\ntcp = {{ port = {port} }}\n{QUICK}\n[hubs.\"hub.example.net.\"]");
    site.edit("zones/example.net.toml", "[hubs.\"hub.example.net.\"]", &probes);
    let four = format!("addresses = [\"{}\"], probe = \"broker\"", net.weu());
    site.edit("zones/example.net.toml", &four, "addresses = [\"::1\"], probe = \"six\"");
    let dns = net.dns();
    site.edit("config/concierge.toml", &format!("dns = [\"{dns}\"]"), &format!("dns = [\"{dns}\", \"[::1]:0\"]"));
    let (_weu_too, _neu) = (Region::start(net.weu()), Region::start(net.neu()));
    let daemon = Daemon::start(&site);
    assert!(eventually(SOON, || site.status()["hubs"].as_array().unwrap().iter().all(|hub| hub["condition"] == "ok")));
    let six = daemon.listens().into_iter().find(SocketAddr::is_ipv6).unwrap();

    let both =
        |kind| [ask(dns, API, kind), ask(six, API, kind), ask_tcp(six, API, kind)].map(|answer| addresses(&answer));
    let (one, other) = (vec![IpAddr::from(Ipv6Addr::LOCALHOST)], vec![IpAddr::from(net.neu())]);
    assert!(eventually(SOON, || site.hub(API)["endpoints"][0]["measured"] == "up"));
    assert_eq!(both(RecordType::AAAA), [&one[..]; 3]);
    assert_eq!(both(RecordType::A), [NONE; 3], "an active region without an A record");

    drop(weu);
    assert!(eventually(SOON, || addresses(&ask(six, API, RecordType::A)) == other), "{}", site.status());
    assert_eq!(both(RecordType::A), [&other[..]; 3]);
    assert_eq!(both(RecordType::AAAA), [NONE; 3]);
    assert_eq!(active(dns, HUB), net.weu(), "the other hub's endpoint in that region is well");
}
