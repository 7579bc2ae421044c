//! What programs read when the command line fails: one object on standard output, whatever the subcommand.

use serde_json::Value;

use crate::process::{QUICK, Ran, Site, Up, ran};

const HUB: &str = "hub.example.net.";

/// The error that is the last line of standard output; the same sentence is on standard error, for people.
#[track_caller]
fn check(ran: &Ran, exit: i32, code: &str, part: &str) -> Value {
    assert_eq!(ran.code, Some(exit), "{ran:?}");
    let found: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let error = found["error"].clone();
    assert_eq!(error["code"], code, "{ran:?}");
    assert!(error["message"].as_str().unwrap().contains(part), "{ran:?}");
    assert!(error["problems"].is_array() && error.get("hint").is_some(), "{ran:?}");
    error
}

#[test]
fn whatever_is_refused_is_an_object_for_programs_with_the_same_exit_code() {
    let site = Site::new(QUICK);
    let json = |arguments: &[&str]| site.run(&[arguments, &["--output", "json"]].concat());
    // Nobody answers: every subcommand that asks the daemon says so.
    for asks in [
        &["status"][..],
        &["explain", HUB],
        &["mark", "westeurope", "down", "--reason", "r"],
        &["unmark", "westeurope"],
        &["plan", HUB, "--failback"],
        &["failover", HUB, "--to", "northeurope", "--yes"],
        &["failback", HUB, "--yes", "--detach"],
        &["approve", HUB],
        &["cancel", HUB],
        &["gate", "list"],
        &["acknowledge", HUB, "--reason", "r"],
        &["resolvers", HUB],
        &["drill", HUB],
        &["history"],
        &["reload"],
    ] {
        let error = check(&json(asks), 1, "unreachable", "cannot reach the daemon at ");
        assert!(error["hint"].as_str().unwrap().contains("--socket"), "{asks:?}: {error}");
    }
    // The command line itself.
    check(&json(&["status", "--bogus"]), 2, "usage", "unexpected argument '--bogus' found");
    check(&json(&["explain", HUB, "--at", "noon"]), 2, "usage", "`noon` is no past time");
    check(&json(&["mark", "westeurope", "down", "--reason", "r", "--until", "noon"]), 2, "usage", "`noon` is no time");
    check(&json(&["plan", HUB, "--failback", "--at", "noon"]), 2, "usage", "`noon` is no time");
    check(&json(&["history", "--from", "noon"]), 2, "usage", "`noon` is no past time");
    check(&json(&["drill", HUB, "--simulate"]), 2, "usage", "--dark <REGION>");

    let up = Up::of(site);
    let site = &up.site;
    let json = |arguments: &[&str]| site.run(&[arguments, &["--output", "json"]].concat());
    check(&json(&["explain", "a..b"]), 2, "usage", "invalid value 'a..b'");
    check(&json(&["mark", "westeurop", "down", "--reason", "r"]), 1, "not-found", "did you mean `westeurope`?");
    check(&json(&["plan", "hub.example.com", "--failback"]), 1, "not-found", "no hub `hub.example.com.`");
    site.ok(&["mark", "northeurope", "down", "--reason", "r"]);
    let refused = json(&["failover", HUB, "--to", "northeurope", "--yes"]);
    check(&refused, 1, "refused", "northeurope is marked down");
    assert!(refused.err.contains("error: northeurope is marked down"), "people read it as before: {refused:?}");
    site.edit("zones/example.net.toml", "[regions.westeurope]", "rize = 3\n[regions.westeurope]");
    let rejected = check(&json(&["reload"]), 78, "rejected", "files were rejected");
    assert!(rejected["problems"][0].as_str().unwrap().contains("unknown key `rize`"), "{rejected}");
    let checked = json(&["check"]);
    check(&checked, 78, "rejected", "files were rejected");
    let found: Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!((&found["ok"], &found["problems"][0]["line"]), (&false.into(), &1.into()), "{found}");
}

#[test]
fn a_configuration_that_is_rejected_is_an_object_too() {
    let site = Site::new(QUICK);
    site.edit("config/concierge.toml", "workers = 1", "wurkers = 1");
    for asks in [&["status"][..], &["serve"], &["check"], &["drill", HUB, "--simulate", "--dark", "westeurope"]] {
        let rejected = ran(&site.concierge(&[asks, &["--output", "json"]].concat()));
        let error = check(&rejected, 78, "rejected", "files were rejected");
        assert!(error["problems"][0].as_str().unwrap().contains("wurkers"), "{asks:?}: {error}");
    }
}
