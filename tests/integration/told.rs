//! Endpoints that an agent tells of, programs that look, and what follows from both.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::json;

use crate::process::{Daemon, QUICK, Site, active, concierge, eventually, request};

const HUB: &str = "hub.example.net.";
const API: &str = "api.example.net.";
const SOON: Duration = Duration::from_secs(15);

/// A site whose endpoints are watched by `probe`, which these tables define.
fn watched(probe: &str, tables: &str) -> Site {
    let site = Site::new("");
    let policy = "zones/example.net.toml";
    site.edit(policy, "[probes.broker]\ntcp = { port = 8883 }\n", tables);
    site.edit(policy, "probe = \"broker\"", &format!("probe = \"{probe}\""));
    site
}

fn weu(site: &Site) -> serde_json::Value {
    site.hub(HUB)["endpoints"][0].clone()
}

#[test]
fn an_agents_verdict_moves_the_hubs_and_its_silence_too() {
    let site = watched("agent", "[probes.agent]\npush = { lease = \"5m\" }\n");
    let net = site.net;
    let daemon = Daemon::start(&site);
    site.ok(&["report", "agent", "westeurope", "up"]);
    site.ok(&["report", "agent", "northeurope", "up"]);
    assert_eq!((active(net.dns(), HUB), active(net.dns(), API)), (net.weu().into(), net.weu().into()));

    // What follows is answered when the agent has its acknowledgement.
    let words = "2 of 3 brokers refuse CONNECT";
    let said = site.ok(&["report", "agent", "westeurope", "down", "--reason", words, "--author", "agent-weu"]);
    assert!(said.contains("agent told down for westeurope") && said.contains(HUB), "{said}");
    assert_eq!((active(net.dns(), HUB), active(net.dns(), API)), (net.neu().into(), net.neu().into()));
    assert_eq!(weu(&site)["observed"]["failure"], format!("told down by agent-weu: {words}"));

    // Over the socket, with a lease that nobody renews.
    let body = json!({ "health": "up", "lease_ms": 1000, "author": "agent-weu" }).to_string();
    let (status, moved) = request(&site.socket(), "PUT", "/v1/probes/agent/westeurope", &body).unwrap();
    assert_eq!((status, &moved["moved"]), (200, &json!(0)), "{moved}");
    let silent =
        || weu(&site)["observed"]["failure"].as_str().is_some_and(|words| words.starts_with("told nothing for"));
    assert!(eventually(SOON, silent), "{}", site.status());
    assert_eq!(weu(&site)["measured"], "down");

    // A restart keeps health until the lease ends that begins with it.
    daemon.kill();
    let _daemon = Daemon::start(&site);
    assert_eq!((active(net.dns(), HUB), active(net.dns(), API)), (net.neu().into(), net.neu().into()));
    assert_eq!(weu(&site)["observed"], serde_json::Value::Null);
}

#[test]
fn what_cannot_be_told_is_refused_with_the_reason() {
    let site = watched("agent", "[probes.agent]\npush = { lease = \"10s\" }\n");
    let _daemon = Daemon::start(&site);
    let check = |path: &str, body: serde_json::Value, expected: u16, words: &str| {
        let (status, answer) = request(&site.socket(), "PUT", path, &body.to_string()).unwrap();
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(status == expected && message.contains(words), "{path} {body}: {status} {answer}");
    };
    let up = || json!({ "health": "up" });
    check("/v1/probes/agnt/westeurope", up(), 404, "did you mean `agent`?");
    check("/v1/probes/agent/westeurop", up(), 404, "did you mean `westeurope`?");
    check("/v1/probes/agent/westeurope", json!({ "health": "up", "lease_ms": 11_000 }), 409, "1 s to 10 s");
    check("/v1/probes/agent/westeurope", json!({ "health": "up", "reason": "all is well" }), 400, "`down` alone");
    check("/v1/probes/agent/westeurope", json!({ "health": "well" }), 400, "unknown variant");
    check("/v1/probes/agent/hub.example.net./nowhere", up(), 404, "no endpoint in `nowhere`");
    let refused = site.run(&["report", "agent", "westeurope", "up", "--lease", "1m"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("a lease of 60 s") || refused.err.contains("a lease of 1 min"), "{refused:?}");
    let help = String::from_utf8(concierge().args(["report", "--help"]).output().unwrap().stdout).unwrap();
    assert!(help.contains("silence is not health") && help.contains("--lease"), "{help}");
}

#[test]
fn a_program_and_an_agent_decide_together() {
    let site = Site::new("");
    let (program, down) = (site.path("look"), site.path("down"));
    let script = format!(
        "#!/bin/sh\ncase \"$CONCIERGE_TARGET\" in *weu*|*.11) test ! -e '{}' || {{ echo no CONNACK; exit 1; }};; esac\n",
        down.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let tables = format!(
        "[probes.ready]\ncomposite = {{ all = [\"look\", \"agent\"] }}\n[probes.agent]\npush = {{ lease = \"5m\" }}\n\
         [probes.look]\nexec = {{ command = [\"{}\"] }}\n{QUICK}",
        program.display()
    )
    .replace("timeout = \"500ms\"", "timeout = \"1s\"");
    let policy = "zones/example.net.toml";
    site.edit(policy, "[probes.broker]\ntcp = { port = 8883 }\n", &tables);
    site.edit(policy, "probe = \"broker\"", "probe = \"ready\"");
    let net = site.net;
    let _daemon = Daemon::start(&site);
    for region in ["westeurope", "northeurope"] {
        site.ok(&["report", "agent", region, "up"]);
    }
    assert!(eventually(SOON, || crate::process::health(&site, "up")), "{}", site.status());
    assert_eq!(active(net.dns(), HUB), net.weu());

    std::fs::write(&down, "").unwrap();
    for hub in [HUB, API] {
        assert!(eventually(SOON, || active(net.dns(), hub) == net.neu()), "{}", site.status());
    }
    let failure = weu(&site)["observed"]["failure"].clone();
    let expected = format!("needs all of 2, and 1 failed: look ({}: exit 1: no CONNACK)", program.display());
    assert_eq!(failure, expected);

    // Good again, but for what the agent says.
    std::fs::remove_file(&down).unwrap();
    assert!(eventually(SOON, || weu(&site)["measured"] == "up"), "{}", site.status());
    site.ok(&["report", "agent", "hub.example.net./westeurope", "down", "--reason", "storage is read-only"]);
    let failure = weu(&site)["observed"]["failure"].as_str().unwrap().to_owned();
    assert!(failure.contains("agent (told down by") && failure.contains("storage is read-only"), "{failure}");
    assert_eq!(weu(&site)["measured"], "down");
}
