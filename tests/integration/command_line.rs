//! Every subcommand as an operator uses it: what it prints, where, and how it ends.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Ran, Region, Site, Up, active, concierge, eventually, ran, request};

const HUB: &str = "hub.example.net.";
/// A move without a question and a lower TTL, that is not followed.
const AT_ONCE: &[&str] = &["--now", "--yes", "--detach"];

#[track_caller]
fn check(ran: &Ran, code: i32, out: &[&str], err: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for part in out {
        assert!(ran.out.contains(part), "{part:?} is not on standard output:\n{}\n{}", ran.out, ran.err);
    }
    for part in err {
        assert!(ran.err.contains(part), "{part:?} is not on standard error:\n{}\n{}", ran.err, ran.out);
    }
    if out.is_empty() {
        assert_eq!(ran.out, "", "standard output is for results");
    }
    if err.is_empty() {
        assert_eq!(ran.err, "", "standard error is for what went wrong");
    }
    let both = [&ran.out, &ran.err];
    assert!(both.iter().all(|text| !text.contains('\u{1b}')), "colours without a terminal: {ran:?}");
    assert!(both.iter().all(|text| !text.contains("panicked")), "{ran:?}");
}

fn json(ran: &Ran) -> Value {
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
}

/// One hub of a status.
fn hub<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["hubs"].as_array().unwrap().iter().find(|hub| hub["name"] == name).unwrap()
}

// ---- without a daemon

#[test]
fn help_tells_what_there_is() {
    let help = |arguments: &[&str], parts: &[&str]| {
        let ran = ran(&concierge().args(arguments).arg("--help").output().unwrap());
        check(&ran, 0, parts, &[]);
        let longest = ran.out.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(110), "{arguments:?}: a line of {longest:?} columns");
    };
    help(&[], &["serve", "demo", "check", "status", "explain", "mark", "unmark", "failover", "failback", "history"]);
    help(&[], &["plan", "approve", "cancel", "gate", "acknowledge"]);
    help(&[], &["reload", "Exit codes: 0 done; 1 failed or refused; 2 wrong usage; 78", "--config", "--output"]);
    help(&["serve"], &["ready", "SIGHUP", "SIGTERM", "standard error", "CONCIERGE_CONFIG"]);
    help(&["demo"], &["--auto", "--zones", "--listen", "demo fail westeurope", "demo restore westeurope"]);
    help(&["demo", "fail"], &["<REGION>"]);
    help(&["check"], &["--zones <FOLDER>", "every mistake of every file"]);
    help(&["status"], &["[HUB]", "CONCIERGE_SOCKET", "concierge status hub.example.net", "after `!`"]);
    help(&["explain"], &["<NAME>", "--at <TIME>", "-t, --type <TYPE>"]);
    help(&["mark"], &["drain", "--until <TIME>", "RFC 3339", "HUB/REGION", "--reason <REASON>", "--author"]);
    help(&["mark"], &["--at <TIME>", "--dry-run", "Windows and marks that meet", "--at 02:00 --until 04:00"]);
    help(&["unmark"], &["HUB/REGION", "--reason", "--window <ID>", "unmark --window 3"]);
    help(&["plan"], &["--to <REGION>", "--failback", "--at <TIME>", "99 %", "plan hub.example.net --failback"]);
    help(&["approve"], &["--epoch <EPOCH>", "approvals = 2", "approve hub.example.net --epoch 7"]);
    help(&["cancel"], &["--reason", "Nothing was switched", "cancel hub.example.net"]);
    help(&["gate"], &["list", "ack", "gate ack hub.example.net merged-back"]);
    help(&["gate", "list"], &["[HUB]"]);
    help(&["gate", "ack"], &["<GATE>", "--reason <REASON>", "--until <TIME>", "has to be given again"]);
    help(&["acknowledge"], &["--reason <REASON>", "flap_limit", "acknowledge hub.example.net"]);
    help(&["failover"], &["--now", "--until <TIME>", "--force", "--break-glass <WHY>", "--yes", "--detach", "Ctrl-C"]);
    help(&["failover"], &["--to <REGION>", "--epoch <EPOCH>", "Refused when the region is down", "mark REGION up"]);
    help(&["failback"], &["first of its endpoints", "--epoch"]);
    help(&["history"], &["[SUBJECT]", "--limit", "[default: 50]", "--from <TIME>", "--to <TIME>", "2h ago"]);
    help(&["history"], &["--verify", "--head <HASH>", "--file <FILE>", "--export", "JSON Lines"]);
    help(&["reload"], &["all or nothing", "SIGHUP"]);
    help(&["upgrade"], &["--program <FILE>", "goes on as before", "wait, or are refused"]);
    check(&ran(&concierge().arg("--version").output().unwrap()), 0, &["concierge 0."], &[]);
}

#[test]
fn wrong_usage_ends_with_2() {
    let wrong = |arguments: &[&str], part: &str| {
        check(&ran(&concierge().args(arguments).output().unwrap()), 2, &[], &[part]);
    };
    wrong(&[], "Usage: concierge");
    wrong(&["statsu"], "status");
    wrong(&["mark", "westeurope"], "<KIND>");
    wrong(&["mark", "westeurope", "down"], "--reason <REASON>");
    wrong(&["mark", "westeurope", "sideways", "--reason", "x"], "possible values: up, down, drain");
    wrong(&["mark", "a..b/westeurope", "down", "--reason", "x"], "`a..b` is no hub name");
    wrong(&["failover", HUB], "--to <REGION>");
    wrong(&["failover", HUB, "--to", "westeurope", "--epoch", "now"], "invalid value 'now'");
    wrong(&["failover", HUB, "--to", "northeurope", "--now", "--at", "14:00"], "cannot be used with");
    wrong(&["failback", "a..b"], "a..b");
    wrong(&["plan", HUB], "--to <REGION>");
    wrong(&["plan", HUB, "--to", "northeurope", "--failback"], "cannot be used with");
    wrong(&["gate"], "Usage: concierge gate");
    wrong(&["gate", "ack", HUB, "merged"], "--reason <REASON>");
    wrong(&["acknowledge", HUB], "--reason <REASON>");
    wrong(&["mark", "westeurope", "down", "--reason", "x", "--at", "14:00"], "--until <TIME>");
    wrong(&["unmark"], "<TARGET>");
    wrong(&["unmark", "westeurope", "--window", "1"], "cannot be used with");
    wrong(&["history", "--limit", "many"], "invalid value 'many'");
    wrong(&["history", "--head", "abc"], "no hash, expected 64 hexadecimal digits or at least the first 16");
    wrong(&["history", "--file", "export.jsonl"], "--verify");
    wrong(&["history", "--verify", "--export"], "cannot be used with");
    wrong(&["explain", HUB, "--at", "1h", "--type", "A"], "cannot be used with");
    wrong(&["status", "--output", "yaml"], "possible values: text, json");
    wrong(&["demo", "--listen", "5300"], "invalid value '5300'");
}

/// Where the daemon is looked for, and what is said when it is not there.
#[test]
fn without_a_daemon_the_message_helps() {
    let folder = tempfile::tempdir().unwrap();
    let bare = |arguments: &[&str]| ran(&concierge().current_dir(folder.path()).args(arguments).output().unwrap());
    let hint = "hint: name the socket with --socket or CONCIERGE_SOCKET, or the file with --config";
    for arguments in [&["status"][..], &["reload"], &["history"], &["failback", HUB], &["unmark", "westeurope"]] {
        check(&bare(arguments), 1, &[], &["error: no daemon to ask", "config/concierge.toml", hint]);
    }
    let site = Site::new("");
    let socket = site.socket().display().to_string();
    let nobody = ["cannot reach the daemon at", &socket, "hint: is `concierge serve` (or `concierge demo`) running?"];
    check(&site.run(&["status"]), 1, &[], &nobody);
    check(
        &site.run(&["status", "--socket", "/nowhere/at/all"]),
        1,
        &[],
        &["cannot reach the daemon at /nowhere/at/all"],
    );
    // A configuration that cannot be read names no socket.
    site.write("config/concierge.toml", "zons = \"../zones\"\n");
    check(&site.run(&["status"]), 78, &[], &["unknown key `zons`", "concierge.toml:1:1", "did you mean `zones`?"]);
    check(&bare(&["status", "--config", "gone.toml"]), 78, &[], &["cannot read the configuration gone.toml"]);
    check(&bare(&["check"]), 1, &[], &["error: nothing to check", "--config", "--zones"]);
    check(&bare(&["demo", "fail", "westeurope"]), 1, &[], &["which demo?", "CONCIERGE_SOCKET"]);
}

#[test]
fn check_accepts_a_good_tree() {
    let site = Site::new("");
    check(&site.run(&["check"]), 0, &["ok: 1 zone, 9 records, 2 hubs, 2 regions"], &[]);
    let checked = json(&site.run(&["check", "--output", "json"]));
    assert_eq!(checked, serde_json::json!({ "ok": true, "problems": [] }));
    let zones = site.path("zones").display().to_string();
    check(&ran(&concierge().args(["check", "--zones", &zones]).output().unwrap()), 0, &["ok: 1 zone"], &[]);
    check(&ran(&concierge().args(["check", "--zones", "/nowhere"]).output().unwrap()), 78, &[], &["/nowhere"]);
}

/// One run shows every mistake of every file, with its place and what to write instead.
#[test]
fn check_lists_every_mistake_of_every_file() {
    let site = Site::new("");
    let good = std::fs::read_to_string(site.path("config/concierge.toml")).unwrap();
    site.write("config/concierge.toml", &good.replace("workers = 1", "wokers = 1\ndns_port = 1"));
    let mut zone = std::fs::read_to_string(site.path("zones/example.net.zone")).unwrap();
    zone.push_str("bad IN A 192.0.2.300\nwww IN CNAME ns\nworse IN AAAAA ::1\n");
    site.write("zones/example.net.zone", &zone);
    let policy = std::fs::read_to_string(site.path("zones/example.net.toml")).unwrap();
    let policy = policy
        .replacen("probe = \"broker\"", "probe = \"brokr\"", 1)
        .replacen("region = \"northeurope\"", "region = \"northeurop\"", 1)
        .replacen("ttl = \"5s\"", "ttl = \"1s\"", 1);
    let policy = format!("{policy}[probes.spare]\ntcp = {{ port = 70000 }}\nrize = 3\n");
    site.write("zones/example.net.toml", &policy);
    site.write("zones/other.net.zone", "@ IN NS ns\n");

    let checked = site.run(&["check"]);
    let wanted = [
        "unknown key `wokers`",
        "did you mean `workers`?",
        "concierge.toml:5:1",
        "concierge.toml:6:1",
        "192.0.2.300",
        "AAAAA",
        "brokr",
        "did you mean \"broker\"?",
        "northeurop",
        "did you mean \"northeurope\"?",
        "1s",
        "70000",
        "rize",
        "did you mean `rise`?",
        "other.net.zone",
        "errors",
        "in 4 files",
    ];
    check(&checked, 78, &[], &wanted);

    let output = site.run(&["check", "--output", "json"]);
    assert_eq!((output.code, output.err.as_str()), (Some(78), ""), "{output:?}");
    let checked: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!(checked["ok"], false);
    let problems = checked["problems"].as_array().unwrap();
    let mut files = BTreeSet::new();
    for problem in problems {
        let file = problem["file"].as_str().unwrap();
        files.insert(std::path::Path::new(file).file_name().unwrap().to_str().unwrap().to_owned());
        assert!(problem["line"].as_u64() >= Some(1) && problem["column"].as_u64() >= Some(1), "{problem}");
        assert!(["error", "warning"].contains(&problem["severity"].as_str().unwrap()), "{problem}");
    }
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    assert_eq!(files, ["concierge.toml", "example.net.toml", "example.net.zone", "other.net.zone"]);
    assert!(problems.len() >= 10, "{problems:#?}");
    assert!(problems.iter().any(|problem| problem["hint"] == "did you mean \"broker\"?"), "{problems:#?}");
}

// ---- what stands

#[test]
fn status_shows_what_one_needs_in_an_incident() {
    let mut up = Up::start();
    let site = &up.site;
    let page = site.run(&["status"]);
    let columns =
        ["HUB", "ACTIVE", "EPOCH", "SINCE", "CONDITION", "TTL", "ANSWER", "ENDPOINTS", "MEASURED", "EFFECTIVE"];
    check(&page, 0, &columns, &[]);
    let parts = ["MARK", "AGE", "LAST OBSERVATION", "1 zone  2 hubs", "* westeurope", "in a row", "CNAME hub-weu"];
    check(&page, 0, &parts, &[]);
    assert!(!page.out.contains('!'), "nothing to act on: {}", page.out);

    let status = json(&site.run(&["status", "--output", "json"]));
    assert_eq!(status["hubs"].as_array().unwrap().len(), 2);
    assert_eq!(hub(&status, HUB)["active"], "westeurope");

    let one = site.run(&["status", "hub.example.net"]);
    check(&one, 0, &[HUB, "1 hub "], &[]);
    assert!(!one.out.contains("api.example.net."), "{}", one.out);
    check(&site.run(&["status", "example.net"]), 0, &[HUB, "api.example.net."], &[]);
    let unknown = "no hub at or below `hub.example.nett.`; did you mean `hub.example.net.`?";
    check(&site.run(&["status", "hub.example.nett"]), 1, &[], &[unknown]);
    let nowhere = "no hub at or below `nowhere.`; there are";
    check(&site.run(&["status", "--output", "json", "nowhere"]), 1, &[nowhere], &[nowhere]);

    // Both regions at once: this node takes itself for cut off, and says so.
    (up.weu, up.neu) = (None, None);
    assert!(eventually(Duration::from_secs(15), || up.site.status()["sight"]["blind"] == true));
    let page = up.site.run(&["status"]);
    check(&page, 0, &["! this node is blind for ", "began to fail at once. Health is frozen as it was"], &[]);
    up.weu = Some(Region::start(up.site.net.weu()));
    up.neu = Some(Region::start(up.site.net.neu()));
    assert!(eventually(Duration::from_secs(15), || up.site.status()["sight"]["blind"] == false));

    // One after the other: the alarm comes first, and both truths are shown.
    up.weu = None;
    assert!(up.measures("westeurope", "down"));
    // For longer than the probe takes at worst to be sure.
    let failed = |status: &Value| hub(status, HUB)["endpoints"][0]["observed"]["in_a_row"].as_u64().unwrap();
    assert!(eventually(Duration::from_secs(30), || failed(&up.site.status()) >= 9));
    up.neu = None;
    assert!(up.measures("northeurope", "down"));
    let page = up.site.run(&["status"]);
    let alarm = format!("! {HUB}: no endpoint is eligible; ");
    check(&page, 0, &[&alarm, "all down", "not eligible", "connection refused", "the reason then: "], &[]);
    let at = |part: &str| page.out.find(part).unwrap();
    assert!(at(&alarm) < at("CONDITION"), "alarms come first: {}", page.out);
}

/// The longest line on a narrow terminal is not longer than the terminal; elsewhere a row stays a line.
#[test]
fn tables_fit_the_terminal() {
    let mut up = Up::start();
    let reason = "storage upgrade, see the change calendar, and call the people on duty before you take it away";
    up.site.ok(&["mark", "westeurope", "drain", "--reason", reason, "--until", "2h", "--author", "alice"]);
    up.neu = None;
    assert!(up.measures("northeurope", "down"));
    let at = |columns: &str, arguments: &[&str]| {
        let config = up.site.path("config/concierge.toml");
        let output = concierge().env("COLUMNS", columns).arg("--config").arg(config).args(arguments).output();
        ran(&output.unwrap())
    };
    for columns in [80, 120] {
        for arguments in [&["status"][..], &["history"], &["explain", HUB]] {
            let page = at(&columns.to_string(), arguments);
            check(&page, 0, &["westeurope"], &[]);
            for line in page.out.lines() {
                assert!(line.chars().count() <= columns, "{arguments:?} at {columns}: {line}");
                assert_eq!(line, line.trim_end(), "{arguments:?} at {columns}");
            }
        }
    }
    let history = up.site.run(&["history"]);
    let row = history.out.lines().find(|line| line.contains(reason)).unwrap();
    assert!(row.contains("alice") && row.contains("drain") && row.contains("westeurope"), "{row}");
}

#[test]
fn explain_tells_how_an_answer_comes_about() {
    let site = Site::new("");
    let zone = std::fs::read_to_string(site.path("zones/example.net.zone")).unwrap();
    site.write(
        "zones/example.net.zone",
        &format!("{zone}lab IN NS ns.lab\nns.lab IN A 192.0.2.53\nold IN DNAME wild\n"),
    );
    let up = Up::of(site);
    let site = &up.site;
    let explain = |arguments: &[&str], parts: &[&str]| {
        check(&site.run(&[&["explain"], arguments].concat()), 0, parts, &[]);
    };
    let (weu, version) = (format!("hub-weu.example.net. 5 IN A {}", site.net.weu()), "version.example.net");
    explain(&["hub.example.net"], &["NOERROR", "it is a hub and answers westeurope, epoch 1 since", &weu]);
    explain(&["hub.example.net"], &["hub.example.net. 5 IN CNAME hub-weu.example.net.", "* westeurope is up: last ok"]);
    explain(&["HUB.example.NET."], &["it is a hub and answers westeurope", &weu]);
    explain(&["x.wild.example.net"], &["*.wild.example.net. stands for it (RFC 4592)", "IN A 192.0.2.7"]);
    explain(&["nope.example.net"], &["NXDOMAIN", "does not exist", "example.net. is what exists above it", "30 s"]);
    explain(&["x.lab.example.net"], &["which the zone example.net. delegates", "referral"]);
    explain(&["a.old.example.net"], &["RFC 6672", "a.wild.example.net.", "IN A 192.0.2.7"]);
    explain(&["example.com"], &["REFUSED", "no zone that is served here holds the name"]);
    explain(&[version, "--type", "TXT"], &["IN TXT \"one\"", "its TXT RRset is the answer"]);
    explain(&[version, "-t", "aaaa"], &["it has no such type: a negative answer", "RFC 2308"]);
    check(&site.run(&["explain", version, "--type", "NOTYPE"]), 1, &[], &["`NOTYPE` is no record type"]);
    check(&site.run(&["explain", "a..b"]), 2, &[], &["a..b"]);

    let explained = json(&site.run(&["explain", "hub.example.net", "-o", "json"]));
    assert_eq!(explained["rcode"], "NOERROR");
    assert_eq!(explained["hubs"][0]["active"], "westeurope");
    assert_eq!(explained["answer"].as_array().unwrap().len(), 2);
}

// ---- marks

#[test]
fn a_mark_moves_hubs_and_is_taken_away() {
    let up = Up::start();
    let (site, dns) = (&up.site, up.site.net.dns());
    let marked =
        site.run(&["mark", "westeurope", "down", "--reason", "disk swap", "--author", "alice", "--until", "2h"]);
    let moved = "hub.example.net.  westeurope -> northeurope  epoch 2";
    check(
        &marked,
        0,
        &["westeurope marked down by alice until ", "(disk swap)", moved, "the mark ends by itself at"],
        &[],
    );
    // Acknowledged: not one older answer.
    assert_eq!(active(dns, HUB), site.net.neu());
    check(&site.run(&["status"]), 0, &["MARKED", "UNTIL", "WHY", "alice", "disk swap", "(in 1 h 59 min)"], &[]);
    check(&site.run(&["status"]), 0, &["not eligible", "probes say up, last ok"], &[]);

    let status = json(&site.run(&["status", "-o", "json"]));
    let mark = &status["marks"][0];
    assert_eq!((mark["target"].as_str(), mark["kind"].as_str()), (Some("westeurope"), Some("down")));
    assert_eq!(mark["until"].as_u64().unwrap() / 1000, (mark["since"].as_u64().unwrap() / 1000) + 7200);

    // The region is back when the mark is gone, and does not take over by itself.
    check(
        &site.run(&["unmark", "westeurope", "--reason", "swapped"]),
        0,
        &["westeurope is no longer marked down"],
        &[],
    );
    assert_eq!(active(dns, HUB), site.net.neu());
    let again = json(&site.run(&["unmark", "westeurope", "--output", "json"]));
    assert_eq!(again["changed"], false, "{again}");
    assert_eq!(again["summary"], "westeurope was not marked");
}

#[test]
fn a_mark_of_an_endpoint_moves_one_hub() {
    let up = Up::start();
    let (site, dns) = (&up.site, up.site.net.dns());
    let drain = ["mark", "hub.example.net/westeurope", "drain", "--reason", "canary first", "--author", "alice"];
    check(&site.run(&drain), 0, &["hub.example.net./westeurope marked drain by alice (canary first)"], &[]);
    assert_eq!(active(dns, HUB), site.net.neu());
    assert_eq!(active(dns, "api.example.net."), site.net.weu());
    // The same again changes nothing, and is no second record.
    let again = json(&site.run(&[&drain[..], &["-o", "json"]].concat()));
    assert_eq!((again["changed"].as_bool(), again["switched"].as_array().map(Vec::len)), (Some(false), Some(0)));
    assert!(again["summary"].as_str().unwrap().starts_with("already so: "), "{again}");
    let records = json(&site.run(&["history", "hub.example.net/westeurope", "-o", "json"]));
    assert_eq!(records.as_array().unwrap().len(), 1, "{records}");
    // A mark that is weaker than one which stands says so.
    site.ok(&["mark", "northeurope", "down", "--reason", "first"]);
    let up_all_the_same = site.run(&["mark", "hub.example.net./northeurope", "up", "--reason", "second"]);
    check(&up_all_the_same, 0, &["note: hub.example.net.: another mark is more restrictive and holds"], &[]);
}

#[test]
fn marks_that_make_no_sense_are_refused() {
    let up = Up::start();
    let refused = |arguments: &[&str], part: &str| {
        check(&up.site.run(&[&["mark"], arguments].concat()), 1, &[], &["error: ", part]);
    };
    refused(&["westeurop", "down", "-r", "x"], "no region `westeurop`; did you mean `westeurope`?");
    refused(&["asia", "down", "-r", "x"], "no region `asia`; there are northeurope, westeurope");
    refused(
        &["hub.example.net/westeurop", "down", "-r", "x"],
        "no endpoint in `westeurop`; did you mean `westeurope`?",
    );
    refused(&["hup.example.net/westeurope", "down", "-r", "x"], "did you mean `hub.example.net.`?");
    let past = ["westeurope", "down", "-r", "x", "--until", "2020-01-01T00:00:00Z"];
    refused(&past, "would have ended at 2020-01-01T00:00:00Z, before it is made");
    refused(&["westeurope", "down", "-r", "x", "--until", "0s"], "before it is made");
    check(
        &up.site.run(&["mark", "westeurope", "down", "-r", "x", "--until", "soon"]),
        2,
        &[],
        &["error: ", "`soon` is no time: expected a length such as `2h30m`"],
    );
    refused(&["westeurope", "down", "-r", " "], "a reason is needed");
    refused(&["westeurope", "down", "-r", "one\ntwo"], "the reason holds control characters");
    refused(&["westeurope", "down", "-r", "\u{1b}[31mred"], "the reason holds control characters");
    refused(&["westeurope", "down", "-r", "x", "--author", "\u{7}"], "the author holds control characters");
    refused(&["westeurope", "down", "-r", &"x".repeat(501)], "the reason has 501 characters, and 500 are the most");
    check(&up.site.run(&["unmark", "westeurop"]), 1, &[], &["did you mean `westeurope`?"]);
    let status = up.site.status();
    assert_eq!(status["marks"].as_array().map(Vec::len), Some(0), "{status}");
    assert_eq!(hub(&status, HUB)["epoch"], 1);
}

#[test]
fn a_mark_ends_when_it_says() {
    let up = Up::start();
    let site = &up.site;
    let at = |text: &str| {
        let mark = ["mark", "northeurope", "drain", "-r", "x", "--until", text, "-o", "json"];
        json(&site.run(&mark));
        site.status()["marks"][0]["until"].as_u64().unwrap()
    };
    assert_eq!(at("2099-11-23T14:00:00+01:00"), 4_099_122_000_000);
    let now = site.status()["now"].as_u64().unwrap();
    let clock = at("14:00");
    assert!(clock > now && clock <= now + 25 * 3_600_000 && clock.is_multiple_of(60_000), "{clock} from {now}");
    // The clock is that of the operator who types: five hours ahead of UTC.
    let mut command = concierge();
    command.env("TZ", "XYZ-5").arg("--config").arg(site.path("config/concierge.toml"));
    let mark = ["mark", "northeurope", "drain", "-r", "x", "--until", "14:00", "-o", "json"];
    json(&ran(&command.args(mark).output().unwrap()));
    let until = site.status()["marks"][0]["until"].as_u64().unwrap();
    assert_eq!(until % 86_400_000, 9 * 3_600_000, "{until}");
    at("900ms");
    assert!(eventually(Duration::from_secs(60), || site.status()["marks"].as_array().unwrap().is_empty()));
    let records = json(&site.run(&["history", "northeurope", "-o", "json"]));
    assert_eq!((records[0]["kind"].as_str(), records[0]["author"].as_str()), (Some("mark-expired"), Some("concierge")));
    check(&site.run(&["history"]), 0, &["mark-expired", "it has ended"], &[]);
}

// ---- moves

#[test]
fn failover_and_failback_carry_their_epoch() {
    let up = Up::start();
    let (site, dns) = (&up.site, up.site.net.dns());
    let over = ["failover", "hub.example.net", "--to", "northeurope", "--epoch", "1", "--reason", "drill"];
    let over = [&over[..], AT_ONCE].concat();
    let done = site.run(&over);
    check(
        &done,
        0,
        &["hub.example.net.: westeurope -> northeurope", "epoch 2", "until an operator says failback"],
        &[],
    );
    assert_eq!(active(dns, HUB), site.net.neu());
    assert_eq!(active(dns, "api.example.net."), site.net.weu(), "the other hub stays");
    // The same command again, as after a lost connection: done, and nothing changes.
    check(&site.run(&over), 0, &["hub.example.net. answers northeurope already, epoch 2"], &[]);
    assert_eq!(hub(&site.status(), HUB)["epoch"], 2);
    // One planned before: refused, and says what to look at.
    let stale = site.run(&["failback", HUB, "--epoch", "1", "--yes"]);
    check(&stale, 1, &[], &["planned at epoch 1, but the epoch is 2 and northeurope is active; look again"]);
    check(&site.run(&["failback", HUB, "--epoch", "9", "--yes"]), 1, &[], &["planned at epoch 9, but the epoch is 2"]);
    let back = json(&site.run(&[&["failback", HUB, "--epoch", "2", "-o", "json"], AT_ONCE].concat()));
    assert_eq!(
        back["switched"][0],
        serde_json::json!({
            "hub": HUB, "from": "northeurope", "to": "westeurope", "epoch": 3,
        })
    );
    assert_eq!(active(dns, HUB), site.net.weu());
    check(&site.run(&["failback", HUB]), 0, &["answers westeurope already, epoch 3"], &[]);
}

#[test]
fn nobody_is_moved_to_a_region_that_is_not_ready() {
    let mut up = Up::start();
    let over = [&["failover", HUB, "--to", "northeurope", "--reason", "I know better"], AT_ONCE].concat();
    up.site.ok(&["mark", "northeurope", "drain", "-r", "empty it", "--author", "bob"]);
    let marked =
        "northeurope is marked drain; unmark it first: northeurope marked drain by bob (empty it); probes say up";
    check(&up.site.run(&over), 1, &[], &[marked]);
    up.site.ok(&["unmark", "northeurope"]);
    up.neu = None;
    assert!(up.measures("northeurope", "down"));
    let down = up.site.run(&over);
    let why = "northeurope is down; to move there all the same, mark it up first: northeurope is down: ";
    check(&down, 1, &[], &[why, "connection refused"]);
    assert_eq!(active(up.site.net.dns(), HUB), up.site.net.weu());
    // What the message says to do works.
    up.site.ok(&["mark", "northeurope", "up", "-r", "its probe is wrong"]);
    check(&up.site.run(&over), 0, &["westeurope -> northeurope"], &[]);
    assert_eq!(active(up.site.net.dns(), HUB), up.site.net.neu());

    let refused = |arguments: &[&str], part: &str| check(&up.site.run(arguments), 1, &[], &["error: ", part]);
    refused(&["failover", "hup.example.net", "--to", "northeurope"], "did you mean `hub.example.net.`?");
    refused(&["failover", HUB, "--to", "asia"], "has no endpoint in asia; it has westeurope, northeurope");
    refused(&["failback", "www.example.net"], "no hub `www.example.net.`");
}

// ---- history and reload

#[test]
fn history_tells_who_did_what_when_and_why() {
    let up = Up::start();
    let site = &up.site;
    check(&site.run(&["history", "asia"]), 0, &["the audit trail tells nothing of asia"], &[]);
    let over = ["failover", HUB, "--to", "northeurope", "--reason", "drill", "--author", "carol"];
    site.ok(&[&over, AT_ONCE].concat());
    site.ok(&["mark", "northeurope", "up", "--reason", "looks good", "--author", "dave"]);
    check(
        &site.run(&["history"]),
        0,
        &["WHEN (UTC)", "WHO", "WHY", "EPOCH", "westeurope -> northeurope", "carol"],
        &[],
    );
    let records = json(&site.run(&["history", "-o", "json"]));
    let records = records.as_array().unwrap();
    let of = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
    assert_eq!((of("hubs"), of("switch"), of("mark")), (1, 3, 1), "names, two first decisions, a switch, a mark");
    let numbers: Vec<_> = records.iter().map(|record| record["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=records.len() as u64).rev().collect::<Vec<_>>(), "newest first");
    let switch = records.iter().find(|record| record["kind"] == "switch").unwrap();
    assert_eq!((switch["subject"].as_str(), switch["epoch"].as_u64()), (Some(HUB), Some(2)));
    assert_eq!((switch["before"].as_str(), switch["after"].as_str()), (Some("westeurope"), Some("northeurope")));
    assert_eq!(switch["author"], "carol");
    let account = format!("unix socket, uid {}", nix::unistd::getuid());
    assert_eq!(switch["origin"], account.as_str(), "the account is the kernel's word");
    assert!(switch["reason"].as_str().unwrap().starts_with("failover by carol (drill); northeurope is up"), "{switch}");

    let count = |arguments: &[&str]| {
        let arguments = [&["history", "-o", "json"], arguments].concat();
        let records = json(&site.run(&arguments));
        let told = |record: &&Value| record["kind"] == "switch" || record["kind"] == "mark";
        records.as_array().unwrap().iter().filter(told).count()
    };
    assert_eq!(count(&["--limit", "1"]), 1);
    assert_eq!(count(&["api.example.net"]), 1);
    assert_eq!(count(&["HUB.example.net"]), 2);
    assert_eq!(count(&["northeurope"]), 2, "its mark, and the switch to it");
    assert_eq!(count(&["asia"]), 0);
}

#[test]
fn a_reload_is_all_or_nothing() {
    let up = Up::start();
    let site = &up.site;
    check(&site.run(&["reload"]), 0, &["reloaded: 1 zone, 2 hubs, 0 warnings"], &[]);
    assert_eq!(json(&site.run(&["reload", "-o", "json"]))["changed"], true);
    let zone = std::fs::read_to_string(site.path("zones/example.net.zone")).unwrap();
    site.write("zones/example.net.zone", &format!("{zone}bad IN A 192.0.2.300\nworse IN MX mail\n"));
    let refused = site.run(&["reload"]);
    let sentences = ["error: reload refused, the running answers stay", "example.net.zone:11:", "example.net.zone:12:"];
    check(&refused, 78, &[], &sentences);
    check(&refused, 78, &[], &["hint: `concierge check` shows the lines"]);
    check(&site.run(&["reload", "-o", "json"]), 78, &["\"code\":\"rejected\""], &["reload refused"]);
    assert_eq!(active(site.net.dns(), HUB), site.net.weu());
    check(&site.run(&["status"]), 0, &["! the last reload (", "was refused, older answers stay: 2 problems"], &[]);
    assert_eq!(site.status()["reload"]["ok"], false);
    site.write("zones/example.net.zone", &zone);
    check(&site.run(&["reload"]), 0, &["reloaded"], &[]);
    assert!(!site.run(&["status"]).out.contains('!'));
}

// ---- sockets and pipes

#[test]
fn the_socket_is_found_in_three_ways() {
    let up = Up::start();
    let (socket, config) = (up.site.socket(), up.site.path("config/concierge.toml"));
    let elsewhere = tempfile::tempdir().unwrap();
    let command = || {
        let mut command = concierge();
        command.current_dir(elsewhere.path()).arg("status");
        command
    };
    let status = |command: &mut std::process::Command| check(&ran(&command.output().unwrap()), 0, &[HUB], &[]);
    status(command().arg("--config").arg(&config));
    status(command().arg("--socket").arg(&socket));
    status(command().env("CONCIERGE_SOCKET", &socket));
    status(command().env("CONCIERGE_CONFIG", &config));
    status(command().current_dir(up.site.path("")));
    // What is written on the command line counts.
    status(command().env("CONCIERGE_SOCKET", "/nowhere").arg("--socket").arg(&socket));
}

/// `concierge history | head -1`: no panic, no complaint, whatever the reader leaves.
#[test]
fn a_reader_may_go_away() {
    let up = Up::start();
    for number in 0..40 {
        let body = serde_json::json!({ "kind": "up", "reason": format!("{number} {}", "x".repeat(480)) }).to_string();
        assert_eq!(request(&up.site.socket(), "PUT", "/v1/marks/northeurope", &body).unwrap().0, 200);
    }
    for arguments in [&["history"][..], &["history", "-o", "json"], &["status"], &["explain", HUB], &["--help"]] {
        let mut command = concierge();
        command.arg("--config").arg(up.site.path("config/concierge.toml")).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let ended = ran(&child.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
    // A result that could not be written is no success.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = concierge();
    command.arg("--config").arg(up.site.path("config/concierge.toml")).arg("status").stdout(full);
    check(&ran(&command.output().unwrap()), 1, &[], &["cannot write to standard output: No space left on device"]);
    // Nor is there anybody to complain to.
    let mut child = concierge().args(["status", "--socket", "/nowhere"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    std::io::stdout().flush().unwrap();
}
