//! `kill -9` at random moments of a stream of marks: nothing that was acknowledged is lost, and a restart changes no
//! answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::process::{Daemon, QUICK, Region, Site, active, addresses, eventually, health, request, try_ask};

/// How often the daemon is killed.
const KILLS: u32 = 200;

/// The last thing that was acknowledged, and what was asked and not answered.
#[derive(Default)]
struct Client {
    /// By what is marked: its mark, `None` for unmarked. Acknowledged.
    known: BTreeMap<&'static str, Option<String>>,
    /// What was asked last and not acknowledged: it may have happened or not.
    open: Option<(&'static str, Option<String>)>,
    /// Epoch and active region of the hub, as the last acknowledgement or status told.
    stands: Option<(u64, String)>,
}

const HUB: &str = "hub.example.net.";

const TARGETS: [&str; 2] = ["westeurope", "northeurope"];

#[test]
fn nothing_acknowledged_is_lost_and_no_answer_changes() {
    let site = Site::new(QUICK);
    let (_weu, _neu) = (Region::start(site.net.weu()), Region::start(site.net.neu()));
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut client = Client::default();
    // Both regions have a verdict before the first kill, so that marks move hubs from then on.
    let mut daemon = Daemon::start(&site);
    assert!(eventually(Duration::from_secs(10), || health(&site, "up")));
    let mut epoch = 0;
    let mut switches = 0;
    let mut acknowledged = 0u64;
    for kill in 0..KILLS {
        let life = Duration::from_micros(random.random_range(0..40_000));
        let (pid, killed) = (daemon.child.id(), Arc::new(AtomicBool::new(false)));
        let killer = std::thread::spawn({
            let killed = killed.clone();
            move || {
                std::thread::sleep(life);
                killed.store(true, Ordering::SeqCst);
                let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            }
        });
        while stream(&site, &mut random, &mut client) {
            acknowledged += 1;
        }
        assert!(killed.load(Ordering::SeqCst), "a command was not answered before the kill");
        killer.join().unwrap();
        daemon.kill();

        daemon = Daemon::start(&site);
        let (answer, status) = answer_and_status(&site);
        settle(&mut client, &status, kill);
        let hub = &status["hubs"][1];
        assert_eq!(hub["name"], HUB);
        let region = if hub["active"] == "westeurope" { site.net.weu() } else { site.net.neu() };
        assert_eq!(answer, region, "kill {kill}: what is answered is what stands");
        let now = hub["epoch"].as_u64().unwrap();
        if let Some((known, region)) = &client.stands {
            assert!(now >= *known, "kill {kill}: epoch {known} was acknowledged, and it is {now}");
            // A later epoch is of the command that was open, or of a move that had waited for a verdict.
            assert!(now > *known || hub["active"] == **region, "kill {kill}: epoch {now} was {region}: {hub}");
        }
        client.stands = Some((now, hub["active"].as_str().unwrap().into()));
        assert!(now >= epoch, "kill {kill}: the epoch went back from {epoch} to {now}");
        switches += now - epoch;
        epoch = now;
        audited(&site, epoch, &hub["active"], kill);
    }
    println!("{acknowledged} acknowledged commands, {switches} epochs, {KILLS} kills");
    assert!(acknowledged > u64::from(KILLS), "the stream was too thin: {acknowledged}");
    assert!(switches > 20, "too few marks moved the hub: {switches}");
}

/// Sends one random command; whether it was acknowledged. What an acknowledgement promises is checked at once: the
/// answers are those that it tells of.
fn stream(site: &Site, random: &mut impl Rng, client: &mut Client) -> bool {
    let target = TARGETS[random.random_range(0..2)];
    let kind = [Some("down"), Some("drain"), Some("up"), None, None][random.random_range(0..5)];
    let path = format!("/v1/marks/{target}");
    client.open = Some((target, kind.map(Into::into)));
    let answer = match kind {
        Some(kind) => {
            let body = json!({ "kind": kind, "reason": "crash test", "author": "test" }).to_string();
            request(&site.socket(), "PUT", &path, &body)
        }
        None => request(&site.socket(), "DELETE", &path, ""),
    };
    let Some((status, body)) = answer else { return false };
    assert_eq!(status, 200, "{body}");
    client.known.insert(target, kind.map(Into::into));
    client.open = None;
    for switched in body["switched"].as_array().unwrap().iter().filter(|switched| switched["hub"] == HUB) {
        let (epoch, region) = (switched["epoch"].as_u64().unwrap(), switched["to"].as_str().unwrap());
        client.stands = Some((epoch, region.into()));
        let address = if region == "westeurope" { site.net.weu() } else { site.net.neu() };
        // The daemon may be killed before it answers; what it answers is what was acknowledged.
        if let Some(answer) = try_ask(site.net.dns(), HUB, RecordType::A, Duration::from_millis(200)) {
            assert_eq!(addresses(&answer), [address], "epoch {epoch} is acknowledged: no older answer");
        }
    }
    true
}

/// What was acknowledged is there. What was open is there or not, and is known from here on.
fn settle(client: &mut Client, status: &Value, kill: u32) {
    let marks: BTreeMap<&str, &str> = status["marks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mark| (mark["target"].as_str().unwrap(), mark["kind"].as_str().unwrap()))
        .collect();
    for target in TARGETS {
        let found = marks.get(target).map(|kind| (*kind).to_owned());
        let known = client.known.get(target).cloned().flatten();
        let open = client.open.as_ref().filter(|(open, _)| *open == target).map(|(_, kind)| kind.clone());
        assert!(
            found == known || Some(&found) == open.as_ref(),
            "kill {kill}: {target} is {found:?}, was {known:?}, {open:?}"
        );
        client.known.insert(target, found);
    }
    client.open = None;
}

/// The audit trail tells of the switch to what stood. A move that had waited for a verdict may have come since.
fn audited(site: &Site, epoch: u64, active: &Value, kill: u32) {
    let (_, records) = request(&site.socket(), "GET", "/v1/history?subject=hub.example.net.&limit=10", "").unwrap();
    let record = records.as_array().unwrap().iter().find(|record| record["epoch"] == epoch);
    let record = record.unwrap_or_else(|| panic!("kill {kill}: no record of epoch {epoch}: {records}"));
    assert_eq!((&record["kind"], &record["after"]), (&"switch".into(), active), "kill {kill}");
}

/// The answer, and a status that held while it was given: a move that had waited for a verdict may come in between.
fn answer_and_status(site: &Site) -> (IpAddr, Value) {
    loop {
        let before = status(site);
        let answer = active(site.net.dns(), HUB);
        let after = status(site);
        if before["hubs"][1]["epoch"] == after["hubs"][1]["epoch"] {
            return (answer, after);
        }
    }
}

fn status(site: &Site) -> Value {
    request(&site.socket(), "GET", "/v1/status", "").unwrap().1
}
