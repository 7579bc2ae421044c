//! The audit trail of the real process: verified, exported, looked back into, kept for a while, and tampered with.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use concierge::control::event::Commit;
use concierge::control::report::{AuditKind, AuditRecord};
use concierge::control::store::Store;
use concierge::time::Timestamp;
use redb::{Database, ReadableTable, TableDefinition};
use serde_json::Value;

use crate::process::{Daemon, QUICK, Site, Up, concierge, eventually, ran, request};

const HUB: &str = "hub.example.net.";
const SOON: Duration = Duration::from_secs(30);
const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");

/// Marks a region down and up again, so that every hub moves away from it.
fn stir(site: &Site, reason: &str) {
    site.ok(&["mark", "westeurope", "down", "--reason", reason, "--author", "alice"]);
    site.ok(&["unmark", "westeurope", "--reason", "over", "--author", "alice"]);
}

fn verified(site: &Site) -> Value {
    serde_json::from_str(&site.ok(&["history", "--verify", "--output", "json"])).unwrap()
}

/// Stops the daemon as an operator would, and waits for it.
fn stop(daemon: &mut Daemon) {
    daemon.signal("TERM");
    assert!(eventually(SOON, || daemon.child.try_wait().unwrap().is_some()), "it ends");
}

#[test]
fn a_head_that_was_kept_proves_that_nothing_was_rewritten() {
    let mut up = Up::of(Site::new(QUICK));
    let site = &up.site;
    let told = up.daemon.said("audit").expect("the head is logged at the start");
    assert_eq!((told["records"].as_u64(), told["head"].as_str()), (Some(0), Some(&*"0".repeat(64))), "{told}");
    stir(site, "drill");
    let before = verified(site);
    assert_eq!(before["whole"], true, "{before}");
    let head = before["head"].as_str().unwrap().to_owned();
    let page = site.ok(&["history", "--verify", "--head", &head]);
    let (records, last) = (before["records"].as_u64().unwrap(), before["last"]["sequence"].as_u64().unwrap());
    assert!(page.starts_with(&format!("the audit trail is whole: {records} records from ")), "{page}");
    assert!(page.contains(&format!("{head} is the hash of record {last} of ")), "{page}");
    stir(site, "another one");
    let page = site.ok(&["history", "--verify", "--head", &head[..16]]);
    assert!(page.contains(&format!("{} is the hash of record {last} of ", &head[..16])), "{page}");
    let other = site.run(&["history", "--verify", "--head", &"ab".repeat(32)]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.err.contains("is not in it: what that was the head of has been rewritten or removed"), "{other:?}");
    let wrong = site.run(&["history", "--verify", "--head", "abc"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let (status, refused) = request(&site.socket(), "GET", "/v1/history/verify?head=abc", "").unwrap();
    assert_eq!((status, &refused["error"]["code"]), (400, &"bad-request".into()), "{refused}");

    stop(&mut up.daemon);
    let said = || up.daemon.said("audit").unwrap();
    assert!(eventually(SOON, || said()["records"] != 0), "the head is logged at the stop: {}", said());
    let told = said();
    let stopped = told["head"].as_str().unwrap().to_owned();
    assert_ne!(stopped, head);
    let daemon = Daemon::start(&up.site);
    assert_eq!(
        daemon.said("audit").unwrap()["head"],
        stopped.as_str(),
        "what was said at the stop is found at the start"
    );
    up.site.ok(&["history", "--verify", "--head", &stopped]);
}

#[test]
fn an_export_is_verified_without_the_daemon() {
    let mut up = Up::start();
    stir(&up.site, "drill");
    let exported = up.site.ok(&["history", "--export"]);
    let head = verified(&up.site)["head"].as_str().unwrap().to_owned();
    up.site.write("export.jsonl", &exported);
    stop(&mut up.daemon);
    let site = &up.site;
    let file = site.path("export.jsonl").display().to_string();
    let verify = |more: &[&str]| {
        let mut command = concierge();
        // No configuration, no socket: nothing but the file.
        command.current_dir(site.path("")).args(["history", "--verify", "--file"]).args(more);
        command
    };
    let page = ran(&verify(&[&file, "--head", &head]).output().unwrap());
    assert_eq!((page.code, page.err.as_str()), (Some(0), ""), "{page:?}");
    assert!(page.out.starts_with(&format!("{file} is whole: ")), "{page:?}");
    assert!(page.out.contains(&format!("{head} is the hash of record ")), "{page:?}");
    let piped = File::open(site.path("export.jsonl")).unwrap();
    let page = ran(&verify(&["-"]).stdin(Stdio::from(piped)).output().unwrap());
    assert_eq!(page.code, Some(0), "{page:?}");
    let json = ran(&verify(&[&file, "--output", "json"]).output().unwrap());
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["whole"], &json["head"]), (&true.into(), &head.as_str().into()), "{json}");

    let record = exported.lines().position(|line| line.contains("\"reason\":\"drill\"")).unwrap();
    site.edit("export.jsonl", "\"reason\":\"drill\"", "\"reason\":\"error\"");
    let changed = ran(&verify(&[&file]).output().unwrap());
    assert_eq!((changed.code, changed.out.as_str()), (Some(1), ""), "{changed:?}");
    assert!(changed.err.contains(&format!("line {}: record ", record + 1)), "{changed:?}");
    assert!(changed.err.contains("is not what its row says"), "{changed:?}");
    site.write("export.jsonl", exported.trim_end().rsplit_once('\n').unwrap().0);
    let cut = ran(&verify(&[&file]).output().unwrap());
    assert_eq!(cut.code, Some(1), "{cut:?}");
    assert!(cut.err.contains("the export was cut off: its last line is missing"), "{cut:?}");
    let missing = ran(&verify(&["gone.jsonl"]).output().unwrap());
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.err.contains("cannot read gone.jsonl"), "{missing:?}");
}

#[test]
fn a_past_time_is_explained() {
    let up = Up::start();
    let site = &up.site;
    site.ok(&["mark", "westeurope", "down", "--reason", "disk swap", "--author", "alice"]);
    let (_, records) = request(&site.socket(), "GET", &format!("/v1/history?subject={HUB}&limit=1"), "").unwrap();
    let moved = records[0]["at"].as_u64().unwrap();
    // The clock has gone on by a millisecond at least before anything else happens.
    assert!(eventually(SOON, || site.status()["now"].as_u64().unwrap() > moved + 1));
    site.ok(&["unmark", "westeurope", "--reason", "over", "--author", "alice"]);
    let (_, past) = request(&site.socket(), "GET", &format!("/v1/explain/{HUB}?at={moved}"), "").unwrap();
    assert_eq!(past["stood"]["stood"]["active"], "northeurope", "{past}");
    let steps = past["steps"].to_string();
    assert!(steps.contains("westeurope was marked down by alice since"), "{past}");
    let (_, past) = request(&site.socket(), "GET", &format!("/v1/explain/{HUB}?at={}", moved - 1), "").unwrap();
    assert_eq!(past["stood"]["stood"]["active"], "westeurope", "{past}");
    assert!(past["steps"].to_string().contains("its next switch was to northeurope"), "{past}");
    let page = site.ok(&["explain", "hub.example.net", "--at", "0s"]);
    assert!(page.contains("answered northeurope, epoch 2, since "), "{page}");
    assert!(page.contains("no mark was on hub.example.net. or its regions"), "{page}");
    let page = site.ok(&["explain", "hub.example.net", "--at", "30d ago"]);
    assert!(page.contains("was no hub yet: it got its first region at "), "{page}");
    assert!(!page.contains("WHEN (UTC)"), "a step tells of its record, which is not told twice: {page}");
    for (arguments, code, part) in [
        (&["explain", "hub.example.net", "--at", "2999-01-01T00:00:00Z"][..], 2, "has not come yet"),
        (&["explain", "hub.example.net", "--at", "noon"], 2, "is no past time"),
        (&["explain", "www.example.net", "--at", "1s"], 1, "the audit trail tells of hubs"),
    ] {
        let refused = site.run(arguments);
        assert_eq!(refused.code, Some(code), "{refused:?}");
        assert!(refused.err.contains(part), "{refused:?}");
    }
    let listed = site.ok(&["history", HUB, "--from", "1h ago", "--to", "0s", "--output", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap()[0]["epoch"], 2, "{listed}");
    assert!(site.ok(&["history", "--to", "30d ago"]).contains("the audit trail tells nothing of that time"));
    let metrics = request(&site.socket(), "GET", "/metrics", "").unwrap().1.to_string();
    assert!(metrics.contains("concierge_audit_records_total ") && metrics.contains("concierge_audit_first_record 1"));
}

/// Whoever can write the file is found out, and hubs go on moving.
#[test]
fn a_store_that_was_tampered_with_is_found_out() {
    let mut up = Up::start();
    stir(&up.site, "drill");
    stop(&mut up.daemon);
    let database = Database::open(up.site.path("state/concierge.redb")).unwrap();
    let write = database.begin_write().unwrap();
    let mut changed = None;
    {
        let mut table = write.open_table(AUDIT).unwrap();
        for row in table.iter().unwrap() {
            let (first, row) = row.unwrap();
            let text = String::from_utf8_lossy(row.value()).into_owned();
            if text.contains("\"reason\":\"drill\"") {
                changed = Some((first.value(), text.replace("alice", "mallo")));
            }
        }
        let (first, row) = changed.as_ref().unwrap();
        table.insert(first, row.as_bytes()).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let _daemon = Daemon::start(&up.site);
    let found = up.site.run(&["history", "--verify"]);
    let (first, _) = changed.unwrap();
    assert_eq!(found.code, Some(1), "{found:?}");
    let sentence =
        format!("error: the audit trail is broken at record {first}: record {first} is not what was written");
    assert!(found.err.starts_with(&sentence), "{found:?}");
    let found = up.site.run(&["history", "--verify", "--output", "json"]);
    let told: Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!((found.code, &told["broken"]["fault"]), (Some(1), &"changed".into()), "{told}");
    up.site.ok(&["mark", "northeurope", "drain", "--reason", "goes on", "--author", "alice"]);
}

/// Wherever it is killed, the trail is whole, and has every head that was seen.
#[test]
fn a_killed_daemon_leaves_a_whole_trail() {
    let site = Site::new(QUICK);
    let mut heads: Vec<String> = Vec::new();
    for round in 0..4 {
        let daemon = Daemon::start(&site);
        for head in &heads {
            site.ok(&["history", "--verify", "--head", head]);
        }
        stir(&site, &format!("round {round}"));
        heads.push(verified(&site)["head"].as_str().unwrap().to_owned());
        let socket = site.socket();
        let busy = std::thread::spawn(move || {
            // Until it is killed.
            let mark = r#"{ "kind": "up", "reason": "busy", "author": "test" }"#;
            while request(&socket, "PUT", "/v1/marks/northeurope", mark).is_some()
                && request(&socket, "DELETE", "/v1/marks/northeurope", "").is_some()
            {}
        });
        assert!(eventually(SOON, || verified(&site)["head"] != heads[round].as_str()), "it is busy");
        daemon.kill();
        busy.join().unwrap();
    }
}

#[test]
fn what_is_older_than_is_kept_is_removed() {
    let site = Site::new(QUICK);
    {
        let store = Store::open(&site.path("state")).unwrap();
        for day in 1..=700 {
            let record = AuditRecord {
                sequence: 0,
                at: Timestamp(day * 86_400_000),
                kind: AuditKind::Mark,
                subject: "westeurope".into(),
                author: "alice".into(),
                origin: "test".into(),
                epoch: None,
                before: None,
                after: Some("up".into()),
                reason: format!("day {day}"),
            };
            store.commit(&Commit { audit: vec![record], ..Commit::default() }).unwrap();
        }
    }
    site.edit("config/concierge.toml", "[log]\n", "[audit]\nkeep = \"400d\"\n[log]\n");
    let daemon = Daemon::start(&site);
    let first = || request(&site.socket(), "GET", "/v1/history/reach", "").unwrap().1["first"]["sequence"].clone();
    assert!(eventually(SOON, || first() == 701), "days of 1970 and 1971 are older: {}", first());
    let said = || daemon.said("audit").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(eventually(SOON, || said().contains("up to record 700 of 1971-12-02")), "{}", said());
    let told = said();
    assert!(told.contains("older than 400 d"), "{told}");
    let hash = told.rsplit_once("the hash up to there is ").unwrap().1;
    let page = site.ok(&["history", "--verify", "--head", hash]);
    assert!(page.contains(&format!("it begins with record 701; the last hash before that is {hash}")), "{page}");
    assert!(page.contains("is the hash that it begins after"), "{page}");
    assert!(site.ok(&["history"]).contains("the audit trail begins with record 701 of "));
    let metrics = request(&site.socket(), "GET", "/metrics", "").unwrap().1.to_string();
    assert!(metrics.contains("concierge_audit_first_record 701"), "{metrics}");
}
