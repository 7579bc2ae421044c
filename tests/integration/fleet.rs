//! Thousands of hubs that move at once: one acknowledgement, one snapshot, one record for each, and nothing of it lost
//! when the daemon is killed as soon as it has acknowledged.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use crate::process::{Daemon, QUICK, Site, active, addresses, ask, request};

const HUBS: usize = 2_500;
const REGIONS: [&str; 3] = ["westeurope", "northeurope", "eastus"];

/// Hubs with three endpoints each, none of them probed; every seventh prefers the second region.
fn site() -> Site {
    let site = Site::new(QUICK);
    let mut policy = REGIONS.map(|region| format!("[regions.{region}]\n")).concat();
    for hub in 0..HUBS {
        write!(policy, "[hubs.\"{}\"]\ndwell = \"0s\"\nendpoints = [\n", name(hub)).unwrap();
        for place in 0..3 {
            let region = order(hub)[place];
            let address = address(hub, region);
            writeln!(policy, "{{ region = \"{region}\", addresses = [\"{address}\"] }},").unwrap();
        }
        policy.push_str("]\n");
    }
    site.write("zones/example.net.toml", &policy);
    site
}

fn name(hub: usize) -> String {
    format!("h{hub:04}.example.net.")
}

fn order(hub: usize) -> [&'static str; 3] {
    let [first, second, third] = REGIONS;
    if hub.is_multiple_of(7) { [second, first, third] } else { REGIONS }
}

fn address(hub: usize, region: &str) -> IpAddr {
    let place = REGIONS.iter().position(|known| *known == region).unwrap() as u8;
    [10, place, (hub / 256) as u8, (hub % 256) as u8].into()
}

fn get(site: &Site, path: &str) -> Value {
    let (status, body) = request(&site.socket(), "GET", path, "").unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

fn mark(site: &Site, region: &str, kind: &str) -> Value {
    let body = json!({ "kind": kind, "reason": "exercise", "author": "alice" }).to_string();
    let (status, moved) = request(&site.socket(), "PUT", &format!("/v1/marks/{region}"), &body).unwrap();
    assert_eq!(status, 200, "{moved}");
    moved
}

/// By hub: active region and epoch.
fn stands(site: &Site) -> BTreeMap<String, (String, u64)> {
    let status = get(site, "/v1/status");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let hubs = status["hubs"].as_array().unwrap().iter();
    hubs.map(|hub| (text(&hub["name"]), (text(&hub["active"]), hub["epoch"].as_u64().unwrap()))).collect()
}

#[test]
fn a_mark_that_moves_thousands_is_kept_when_the_daemon_is_killed_at_once() {
    let site = site();
    let mut daemon = Daemon::start(&site);
    let mut epochs = BTreeMap::new();
    let mut expected: Vec<&str> = (0..HUBS).map(|hub| order(hub)[0]).collect();
    for (round, down) in ["westeurope", "northeurope", "westeurope"].into_iter().enumerate() {
        let away = expected.iter().filter(|region| **region == down).count();
        let moved = mark(&site, down, "down");
        daemon.kill();
        assert_eq!(moved["moved"], away, "round {round}");
        // As many are listed as is said, the first ones.
        let listed = moved["switched"].as_array().unwrap();
        assert_eq!(listed.len(), 100);
        for (hub, region) in expected.iter_mut().enumerate().filter(|(_, region)| **region == down) {
            *region = order(hub).into_iter().find(|other| *other != down).unwrap();
            *epochs.entry(hub).or_insert(1) += 1;
        }
        let first = listed[0]["hub"].as_str().unwrap();
        assert!(listed.iter().all(|one| one["from"] == down), "{listed:?}");
        assert!(listed.iter().map(|one| one["hub"].as_str().unwrap()).is_sorted());

        daemon = Daemon::start(&site);
        let stands = stands(&site);
        for (hub, region) in expected.iter().enumerate() {
            let epoch = epochs.get(&hub).copied().unwrap_or(1);
            assert_eq!(stands[&name(hub)], ((*region).to_owned(), epoch), "round {round}: {}", name(hub));
        }
        for hub in (0..HUBS).step_by(97) {
            assert_eq!(active(site.net.dns(), &name(hub)), address(hub, expected[hub]), "round {round}: {}", name(hub));
        }
        let history = get(&site, &format!("/v1/history?subject={first}&limit=1"));
        assert_eq!(
            (&history[0]["kind"], &history[0]["before"], &history[0]["author"], &history[0]["epoch"]),
            (&"switch".into(), &down.into(), &"alice".into(), &listed[0]["epoch"]),
            "{history}"
        );
        let reason = format!("{down} marked down by alice (exercise); nothing is probed");
        assert_eq!(history[0]["reason"], reason, "{history}");
        let path = format!("/v1/marks/{down}?author=alice&reason=over");
        assert_eq!(request(&site.socket(), "DELETE", &path, "").unwrap().0, 200);
    }

    // One record for each hub and each change, numbered without a gap, and nothing beside them.
    let records = get(&site, "/v1/history?limit=1000000");
    let records = records.as_array().unwrap();
    let numbers: Vec<u64> = records.iter().map(|record| record["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).rev().collect::<Vec<_>>());
    let mut told: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in records.iter().rev().filter(|record| record["kind"] == "switch") {
        let hub = record["subject"].as_str().unwrap().to_owned();
        told.entry(hub).or_default().push(record["epoch"].as_u64().unwrap());
    }
    let others = records.len() - told.values().map(Vec::len).sum::<usize>();
    assert_eq!(others, 7, "the hubs' numbers, three marks made and three taken away");
    for hub in 0..HUBS {
        let last = epochs.get(&hub).copied().unwrap_or(1);
        assert_eq!(told[&name(hub)], (1..=last).collect::<Vec<u64>>(), "{}", name(hub));
    }
    // A row of thousands of records is exported, and verified, like any other.
    site.write("export.jsonl", &site.ok(&["history", "--export"]));
    let file = site.path("export.jsonl").display().to_string();
    for arguments in [&["history", "--verify"][..], &["history", "--verify", "--file", &file]] {
        assert!(site.ok(arguments).contains(" is whole: 9,"), "{arguments:?}");
    }
    // The newest of them alone, as many as are asked for.
    assert_eq!(get(&site, "/v1/history?limit=7").as_array().unwrap()[..], records[..7]);
    let about = get(&site, "/v1/history?subject=eastus&limit=3");
    assert_eq!(about, json!([]), "no hub was ever there");
}

#[test]
fn thousands_that_move_are_told_of_in_a_few_lines() {
    let site = site();
    let daemon = Daemon::start(&site);
    let page = site.ok(&["mark", "westeurope", "down", "--reason", "exercise", "--author", "alice"]);
    let away = (0..HUBS).filter(|hub| order(*hub)[0] == "westeurope").count();
    assert!(page.contains(&format!("{away} hubs moved, the first of them:")), "{page}");
    assert!(page.contains("h0001.example.net.  westeurope -> northeurope  epoch 2"), "{page}");
    assert!(page.contains(&format!("and {} more", away - 20)) && page.lines().count() < 30, "{page}");
    // The log comes after the acknowledgement, and before whatever is asked next.
    get(&site, "/v1/status");
    let said =
        || daemon.log.lock().unwrap().iter().filter(|line| line["event"] == "switch").cloned().collect::<Vec<_>>();
    let sentence = format!(
        "{away} hubs: westeurope -> northeurope: westeurope marked down by alice (exercise); nothing is probed; \
         `concierge history` has each of them"
    );
    let told = || said().iter().any(|line| line["message"] == sentence);
    assert!(crate::process::eventually(Duration::from_secs(10), told), "{:?}", said());
    let first = format!(
        "{} hubs: westeurope is active: first in order of preference; `concierge history` has each of them",
        away
    );
    assert!(said().iter().any(|line| line["message"] == first), "{:?}", said());
    assert_eq!(said().len(), 3, "two lines for the first choices, one for the mark: {:?}", said());
}

/// A status or a scrape of everything is made beside the loop: marks go on, and each page is of one moment.
#[test]
fn whoever_looks_sees_one_moment_while_marks_go_on() {
    let site = Arc::new(site());
    let _daemon = Daemon::start(&site);
    let stop = Arc::new(AtomicBool::new(false));
    let looker = std::thread::spawn({
        let (site, stop) = (site.clone(), stop.clone());
        move || {
            let mut seen = 0;
            while !stop.load(Ordering::SeqCst) || seen < 3 {
                let regions: BTreeMap<String, usize> =
                    stands(&site).into_values().fold(BTreeMap::new(), |mut regions, (region, _)| {
                        *regions.entry(region).or_default() += 1;
                        regions
                    });
                assert!(regions.values().any(|hubs| *hubs == HUBS) || regions.len() == 2, "{regions:?}");
                let metrics = get(&site, "/metrics");
                let ones = metrics.as_str().unwrap().lines();
                let active = ones.filter(|line| line.starts_with("concierge_hub_active{") && line.ends_with(" 1.0"));
                assert_eq!(active.count(), HUBS, "each hub has one active region on one page");
                seen += 1;
            }
        }
    });
    let mut moved = 0;
    for round in 0..20 {
        let down = REGIONS[round % 2];
        moved += mark(&site, down, "down")["moved"].as_u64().unwrap();
        assert_eq!(request(&site.socket(), "DELETE", &format!("/v1/marks/{down}?reason=over"), "").unwrap().0, 200);
    }
    stop.store(true, Ordering::SeqCst);
    looker.join().unwrap();
    let in_second = (0..HUBS).filter(|hub| order(*hub)[0] != "westeurope").count() as u64;
    assert_eq!(moved, HUBS as u64 * 20 - in_second);
    let epochs: u64 = stands(&site).into_values().map(|(_, epoch)| epoch - 1).sum();
    assert_eq!(epochs, moved, "every move is an epoch");
    let answer = ask(site.net.dns(), &name(5), RecordType::A);
    assert_eq!(addresses(&answer), [address(5, "westeurope")]);
}
