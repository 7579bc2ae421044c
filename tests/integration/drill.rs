//! Drills: a canary goes through everything that a real failure would, and the hub beside it, on the same targets, does
//! not notice.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::process::{PORT, QUICK, Ran, Site, Up, active, addresses, concierge, eventually, request, try_ask};

const CANARY: &str = "canary.example.net.";
/// On the same targets as the canary, and needed by devices.
const REAL: &str = "api.example.net.";
/// What a loaded machine may take.
const SOON: Duration = Duration::from_secs(60);

/// A site with a canary that has more keys, and a policy that has more tables.
fn site(keys: &str, tables: &str) -> Site {
    let site = Site::new(QUICK);
    let policy = std::fs::read_to_string(site.path("zones/example.net.toml")).unwrap();
    let api = policy.split("[hubs.\"api.example.net.\"]").nth(1).unwrap();
    let canary = format!("[hubs.\"{CANARY}\"]\ncanary = true\n{keys}\n{api}");
    site.write("zones/example.net.toml", &format!("{policy}\n{canary}\n{tables}\n"));
    site.add_reference();
    site
}

fn look(site: &Site, hub: &str) -> Value {
    let (status, progress) = request(&site.socket(), "GET", &format!("/v1/hubs/{hub}/move"), "").unwrap();
    assert_eq!(status, 200, "{progress}");
    progress["hub"].clone()
}

fn drill(site: &Site, more: &[&str]) -> Ran {
    site.run(&[&["drill", CANARY, "--reason", "quarterly", "--author", "alice"], more].concat())
}

#[track_caller]
fn report(ran: &Ran, code: i32) -> Value {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert!(!ran.err.contains("panicked"), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[track_caller]
fn says(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for part in parts {
        assert!(ran.out.contains(part) || ran.err.contains(part), "{part:?} is not said:\n{}\n{}", ran.out, ran.err);
    }
}

/// What the audit trail says of drills of the canary, oldest first.
fn told(site: &Site) -> Vec<String> {
    let history = site.history(CANARY);
    let drills = history.iter().rev().filter(|record| record["kind"] == "drill");
    drills.map(|record| record["after"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_drill_moves_the_canary_there_and_back_and_nobody_else() {
    let up = Up::of(site("rto = \"2m\"", ""));
    let (site, dns) = (&up.site, up.site.net.dns());
    let stop = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicU64::new(0));
    let watch = std::thread::spawn({
        let (stop, answers, weu) = (stop.clone(), answers.clone(), site.net.weu());
        move || {
            let mut others = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let Some(answer) = try_ask(dns, REAL, RecordType::A, Duration::from_secs(5)) else { continue };
                answers.fetch_add(1, Ordering::SeqCst);
                if addresses(&answer) != [weu] {
                    others.push(addresses(&answer));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            others
        }
    });
    assert!(eventually(SOON, || answers.load(Ordering::SeqCst) > 0));
    let ran = drill(site, &["--output", "json"]);
    stop.store(true, Ordering::SeqCst);
    let others = watch.join().unwrap();
    assert!(others.is_empty(), "the real hub answered {others:?}");

    let report = report(&ran, 0);
    assert_eq!((&report["to"], &report["epoch"], &report["met"]), (&"northeurope".into(), &2.into(), &true.into()));
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} in {report}"));
    let (detected, drained) = (number(&report["detected_ms"]), number(&report["drained_ms"]));
    for way in ["udp", "tcp"] {
        let seen = &report[way];
        assert!(number(&seen["switched_ms"]) >= detected, "{report}");
        assert!(drained >= number(&seen["over_ms"]) && number(&seen["over_ms"]) >= 5_000, "{report}");
        assert_eq!(seen["answer"], serde_json::json!([format!("A {}", site.net.neu())]));
        assert_eq!((&seen["ttl_before"], &seen["ttl_since"]), (&5.into(), &5.into()));
        assert!(number(&seen["queries"]) > 1);
    }
    // interval 1 s + 10 % + timeout 500 ms + 2 * 500 ms; three times 1.6 s with a reference; a look of 500 ms; TTL 5 s.
    let worst = &report["worst"];
    assert_eq!((number(&worst["detection_ms"]), number(&worst["sight_ms"])), (2_600, 4_800));
    assert_eq!((number(&worst["look_ms"]), number(&worst["total_ms"])), (500, 10_300));
    assert!(report["why"].as_str().unwrap().contains("counts as dark for a drill by alice (quarterly)"), "{report}");
    assert_eq!((&report["back"]["way_back"], &report["back"]["epoch"]), (&"moved".into(), &3.into()));
    assert_eq!(active(dns, CANARY), site.net.weu());

    let (canary, real) = (look(site, CANARY), look(site, REAL));
    assert!(canary["drill"].is_null(), "{canary}");
    assert_eq!((&canary["epoch"], &real["epoch"]), (&3.into(), &1.into()));
    assert_eq!(told(site), ["begun", "down", "ended"]);
    assert!(site.history(REAL).iter().all(|record| record["kind"] != "drill"));
    let health = site.history("westeurope");
    assert!(health.iter().all(|record| record["kind"] != "health" || record["after"] != "down"), "{health:?}");

    // The same for people, from the other end of the API's addresses.
    let ran = drill(site, &["--dark", "westeurope", "--keep"]);
    let asked = format!("127.{}:{PORT} was asked ", dns.ip().to_string().split_once('.').unwrap().1);
    says(
        &ran,
        0,
        &[
            "canary.example.net.: westeurope counts as dark until ",
            "canary.example.net.: westeurope counted as dark from ",
            "northeurope took over (drill by alice: quarterly)",
            "switch, first new answer over UDP ",
            "total, until the last resolver has moved ",
            "rto 2 min: met, ",
            &asked,
            "way back: --keep: canary.example.net. stays where it is",
        ],
    );
    assert_eq!((active(dns, CANARY), active(dns, REAL)), (site.net.neu().into(), site.net.weu().into()));
}

#[test]
fn an_rto_that_is_missed_and_a_way_back_that_is_shut() {
    let keys = "rto = \"5s\"\ngates = [{ gate = \"merged\", on = \"failback\" }]";
    let up = Up::of(site(keys, "[gates.merged]\nack = true"));
    let (site, dns) = (&up.site, up.site.net.dns());
    let ran = drill(site, &[]);
    says(
        &ran,
        1,
        &[
            "error: the rto of 5.0 s is missed by ",
            "rto 5.0 s: missed by ",
            "way back: refused: gate merged is shut: nobody has acknowledged it for epoch 2",
        ],
    );
    assert_eq!((active(dns, CANARY), active(dns, REAL)), (site.net.neu().into(), site.net.weu().into()));
    assert_eq!(told(site), ["begun", "down", "ended"]);
}

#[test]
fn a_gate_that_is_shut_holds_a_drill_until_it_is_given_up() {
    let keys = "gates = [{ gate = \"go\", on = \"failover\" }]";
    let up = Up::of(site(keys, "[gates.go]\nack = true"));
    let (site, dns) = (&up.site, up.site.net.dns());
    let ran = drill(site, &["--within", "8s", "--output", "json"]);
    let report = report(&ran, 1);
    assert!(ran.err.contains("error: canary.example.net. did not leave westeurope: "), "{ran:?}");
    let holds = report["holds"].as_array().unwrap();
    let gate = holds.iter().find(|hold| hold["waiting"] == "gate").unwrap_or_else(|| panic!("{report}"));
    let evidence = "gate go is shut: nobody has acknowledged it for epoch 1";
    assert!(gate["reason"].as_str().unwrap().contains(evidence), "{report}");
    assert_eq!((&report["to"], &report["drained_ms"], &report["met"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((&report["worst"]["held_by"], &report["back"]["way_back"]), (&vec!["go"].into(), &"not-needed".into()));
    assert_eq!(active(dns, CANARY), site.net.weu());
    assert_eq!(told(site), ["begun", "down", "ended"]);

    // The command goes away at Ctrl-C and ends the drill; one that is killed leaves that to the daemon.
    let running = |more: &[&str]| {
        let mut command = concierge();
        command.arg("--config").arg(site.path("config/concierge.toml")).args(["drill", CANARY]).args(more);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert!(eventually(SOON, || !look(site, CANARY)["drill"].is_null()), "no drill");
        child
    };
    let page = |part: &str| site.ok(&["status", CANARY]).contains(part);
    let child = running(&[]);
    assert!(eventually(SOON, || page("counts as dark for a drill by ") && page("probes say up, ")));
    let metrics = request(&site.socket(), "GET", "/metrics", "").unwrap().1;
    assert!(metrics.as_str().unwrap().contains("concierge_drills 1.0\n"), "{metrics}");
    let second = drill(site, &[]);
    says(&second, 1, &["error: canary.example.net. is being drilled by "]);
    let interrupt = Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    assert!(interrupt.success());
    let left = crate::process::ran(&child.wait_with_output().unwrap());
    says(&left, 1, &["the drill is ended; canary.example.net. answers westeurope"]);
    assert!(look(site, CANARY)["drill"].is_null());

    let mut child = running(&["--within", "5s"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(eventually(SOON, || look(site, CANARY)["drill"].is_null()));
    assert_eq!(told(site).last().unwrap(), "ended");
    assert_eq!(active(dns, CANARY), site.net.weu());
}

#[test]
fn what_devices_need_is_not_drilled() {
    let up = Up::of(site("", ""));
    let site = &up.site;
    let refused = |arguments: &[&str], code, part: &str| says(&site.run(arguments), code, &[part]);
    refused(&["drill", REAL], 1, "error: api.example.net. is no canary, and a drill moves no other hub");
    refused(&["drill", "nobody.example.net"], 1, "error: no hub `nobody.example.net.`");
    refused(&["drill", CANARY, "--dark", "northeurope"], 1, "error: canary.example.net. answers westeurope: that ");
    refused(&["drill", CANARY, "--within", "1h"], 2, "a drill lasts 15 min at most");
    refused(&["drill", CANARY, "--simulate"], 2, "--dark");
    refused(&["drill", CANARY, "--dark", "westeurope", "--simulate", "--keep"], 2, "cannot be used with");
    assert_eq!((look(site, CANARY)["epoch"].as_u64(), told(site).len()), (Some(1), 0));
    let (status, found) = request(&site.socket(), "GET", "/v1/addresses", "").unwrap();
    assert_eq!((status, found["dns"].clone()), (200, serde_json::json!([site.net.dns().to_string()])));
}
