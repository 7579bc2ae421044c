//! Planned moves, gates and windows as an operator uses them: the command line against the real daemon, which is killed,
//! and whose followers are.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::process::{Daemon, QUICK, Ran, Region, Site, Up, active, ask, concierge, eventually, program, ran, request};

const HUB: &str = "hub.example.net.";
/// What a loaded machine may take.
const SOON: Duration = Duration::from_secs(60);
/// A gate that an operator acknowledges.
const ACK: &str = "gates = [{ gate = \"go\", on = \"failover\" }]\n";

/// A site whose first hub has more keys, and the policy more tables.
fn site(ttl: &str, keys: &str, tables: &str) -> Site {
    let site = Site::new(QUICK);
    let hub = "[hubs.\"hub.example.net.\"]\nttl = \"5s\"\n";
    site.edit("zones/example.net.toml", hub, &format!("[hubs.\"hub.example.net.\"]\n{ttl}\n{keys}\n"));
    let policy = std::fs::read_to_string(site.path("zones/example.net.toml")).unwrap();
    site.write("zones/example.net.toml", &format!("{policy}\n{tables}\n"));
    site
}

/// A hub whose moves ramp for 6 s and wait for an acknowledgement.
fn gated(keys: &str) -> Site {
    site("ttl = \"6s\"\nttl_min = \"5s\"\nttl_restore = \"0s\"", &format!("{ACK}{keys}"), "[gates.go]\nack = true")
}

/// What is known of the hub and its move; `None` while no daemon answers.
fn look(site: &Site) -> Option<Value> {
    let (status, progress) = request(&site.socket(), "GET", "/v1/hubs/hub.example.net./move", "")?;
    assert_eq!(status, 200, "{progress}");
    Some(progress["hub"].clone())
}

fn stage(site: &Site) -> String {
    look(site).and_then(|hub| hub["planned"]["stage"]["stage"].as_str().map(Into::into)).unwrap_or_default()
}

#[track_caller]
fn reaches(site: &Site, wanted: &str) {
    assert!(eventually(SOON, || stage(site) == wanted), "not at {wanted}: {:?}", look(site));
}

fn ttl(site: &Site) -> u32 {
    ask(site.net.dns(), HUB, RecordType::A).answers[0].ttl
}

/// A command that goes on while the test does.
struct Running {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let mut command = concierge();
        command.arg("--config").arg(site.path("config/concierge.toml")).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut readers = Vec::new();
        let mut read = |from: Box<dyn std::io::Read + Send>| {
            let text = Arc::new(Mutex::new(String::new()));
            let seen = text.clone();
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(from).lines().map_while(Result::ok) {
                    let mut seen = seen.lock().unwrap();
                    seen.push_str(&line);
                    seen.push('\n');
                }
            }));
            text
        };
        let out = read(Box::new(child.stdout.take().unwrap()));
        let err = read(Box::new(child.stderr.take().unwrap()));
        Self { child, out, err, readers }
    }

    #[track_caller]
    fn says(&self, part: &str) {
        let said = || format!("{}{}", self.out.lock().unwrap(), self.err.lock().unwrap());
        assert!(eventually(SOON, || said().contains(part)), "it does not say {part:?}: {}", said());
    }

    fn interrupt(&self) {
        let status = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    fn end(mut self) -> Ran {
        let mut code = None;
        let ended = eventually(2 * SOON, || match self.child.try_wait().unwrap() {
            Some(status) => {
                code = status.code();
                true
            }
            None => false,
        });
        if !ended {
            self.child.kill().unwrap();
        }
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        let (out, err) = (self.out.lock().unwrap().clone(), self.err.lock().unwrap().clone());
        assert!(ended, "it does not end: {out}{err}");
        Ran { code, out, err }
    }
}

#[track_caller]
fn check(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for part in parts {
        assert!(ran.out.contains(part) || ran.err.contains(part), "{part:?} is not said:\n{}\n{}", ran.out, ran.err);
    }
    assert!(!ran.err.contains("panicked"), "{ran:?}");
}

/// What the audit trail says that the move came to, oldest first; a hold of it that is said again counts once.
fn stages(site: &Site) -> Vec<String> {
    let history = site.history(HUB);
    let moves = history.iter().rev().filter(|record| record["kind"] == "move");
    let mut stages: Vec<_> = moves.map(|record| record["after"].as_str().unwrap().to_owned()).collect();
    stages.dedup();
    stages
}

fn epochs(site: &Site) -> Vec<u64> {
    let history = site.history(HUB);
    history.iter().rev().filter(|record| record["kind"] == "switch").map(|r| r["epoch"].as_u64().unwrap()).collect()
}

const OVER: [&str; 6] = ["failover", HUB, "--to", "northeurope", "--yes", "--reason=upgrade"];

fn over<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&OVER[..], more].concat()
}

// ---- through the stages

#[test]
fn a_move_lowers_the_ttl_waits_for_its_gate_switches_and_drains() {
    let up = Up::of(gated(""));
    let (site, dns) = (&up.site, up.site.net.dns());
    assert_eq!(ttl(site), 6);
    let refused = site.run(&over(&[]));
    check(
        &refused,
        1,
        &[
            "nobody has acknowledged it for epoch 1; `concierge gate ack hub.example.net. go --reason ...` opens it (--force",
        ],
    );
    let follower = Running::start(site, &over(&["--until", "1h", "--output", "json"]));
    reaches(site, "ready");
    assert_eq!((ttl(site), active(dns, HUB)), (5, site.net.weu().into()), "the TTL is low, and nothing was switched");
    let page = site.ok(&["status", HUB]);
    for part in [
        "5 s (low)",
        "move: ",
        " at most: gate go is shut",
        "gate: go is shut: nobody has acknowledged it for epoch 1",
        "ttl: 5 s, the low one",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let again = site.run(&over(&["--until", "1h", "--detach"]));
    let own = "note: the move that is under way keeps its own times: no --at, --until ";
    check(&again, 0, &["already under way: hub.example.net.: failover westeurope -> northeurope", own]);
    let otherwise = site.run(&over(&["--until", "1h", "--force"]));
    check(&otherwise, 1, &[" at most: gate go is shut; to do it otherwise, cancel it first"]);

    check(&site.run(&["gate", "ack", HUB, "go", "--reason", "looked"]), 0, &["is acknowledged for epoch 1"]);
    assert_eq!(active(dns, HUB), site.net.neu(), "acknowledged: not one older answer");
    let followed = follower.end();
    check(&followed, 0, &[]);
    let lines: Vec<Value> = followed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut followed: Vec<_> = lines.iter().map(|line| line["stage"].as_str().unwrap()).collect();
    followed.dedup();
    assert_eq!(followed.last(), Some(&"done"), "{followed:?}");
    let order = ["ramp", "ready", "drain", "done"];
    assert!(followed.iter().map(|stage| order.iter().position(|known| known == stage)).is_sorted(), "{followed:?}");
    assert!(lines.iter().all(|line| line["planned_epoch"] == 1 && line["to"] == "northeurope"), "{lines:?}");
    assert_eq!(stages(site), order);
    assert_eq!(epochs(site), [1, 2]);
    assert!(eventually(SOON, || ttl(site) == 6), "the TTL goes back");

    // The way back has no gate. The move is over when the daemon says so, whoever looks.
    let back = site.run(&["failback", HUB, "--now", "--yes", "--reason", "upgraded"]);
    check(&back, 0, &["failback northeurope -> westeurope, planned at epoch 2", "epoch 3", "done      "]);
    assert_eq!((active(dns, HUB), stage(site)), (site.net.weu().into(), "done".into()));
}

#[test]
fn a_daemon_that_is_killed_in_any_stage_goes_on_and_switches_once() {
    let mut up = Up::of(gated("approvals = 2"));
    let restart = |up: &mut Up| {
        let old = std::mem::replace(&mut up.daemon.child, Command::new("true").spawn().unwrap());
        let mut old = old;
        old.kill().unwrap();
        old.wait().unwrap();
        up.daemon = Daemon::start(&up.site);
    };
    up.site.ok(&over(&["--until", "1h", "--detach", "--author", "alice"]));
    reaches(&up.site, "approval");
    restart(&mut up);
    reaches(&up.site, "approval");
    up.site.ok(&["approve", HUB, "--epoch", "1", "--author", "bob"]);
    assert!(["ramp", "ready"].contains(&stage(&up.site).as_str()), "{:?}", look(&up.site));
    restart(&mut up);
    reaches(&up.site, "ready");
    restart(&mut up);
    reaches(&up.site, "ready");
    assert_eq!(active(up.site.net.dns(), HUB), up.site.net.weu());
    up.site.ok(&["gate", "ack", HUB, "go", "--reason", "looked"]);
    assert!(eventually(SOON, || ["drain", "done"].contains(&stage(&up.site).as_str())), "{:?}", look(&up.site));
    restart(&mut up);
    assert_eq!(active(up.site.net.dns(), HUB), up.site.net.neu(), "from the first answer after the restart on");
    reaches(&up.site, "done");
    assert_eq!(epochs(&up.site), [1, 2]);
    assert_eq!(stages(&up.site), ["approval", "ramp", "ready", "drain", "done"]);
    // A repeat of what was applied.
    let again = up.site.run(&over(&["--epoch", "1"]));
    check(&again, 0, &["nothing to do: hub.example.net. answers northeurope already, epoch 2"]);
    assert_eq!(epochs(&up.site), [1, 2]);
}

#[test]
fn a_move_has_its_time_also_after_a_kill() {
    let mut up = Up::of(site("ttl = \"6s\"\nttl_min = \"5s\"", "", ""));
    let detached = up.site.ok(&over(&["--at", "12s", "--detach"]));
    assert!(detached.contains("failover westeurope -> northeurope by"), "{detached}");
    let at = look(&up.site).unwrap()["planned"]["options"]["at"].as_u64().unwrap();
    up.daemon.child.kill().unwrap();
    up.daemon.child.wait().unwrap();
    up.daemon = Daemon::start(&up.site);
    reaches(&up.site, "done");
    let history = up.site.history(HUB);
    let switch = history.iter().find(|record| record["epoch"] == 2 && record["kind"] == "switch").unwrap();
    assert!(switch["at"].as_u64().unwrap() >= at, "{switch} before {at}");
    assert_eq!(epochs(&up.site), [1, 2]);
    let early = up.site.run(&["failback", HUB, "--until", "1s", "--yes"]);
    check(&early, 1, &["error: it cannot switch before "]);
}

#[test]
fn whoever_follows_may_be_killed_and_the_daemon_too() {
    let mut up = Up::of(gated(""));
    let mut follower = Running::start(&up.site, &over(&["--until", "1h"]));
    reaches(&up.site, "ready");
    follower.kill();
    assert_eq!(follower.end().code, None);
    assert_eq!(stage(&up.site), "ready", "the move is the daemon's");

    // The same command again follows the same move; then the daemon goes away and comes back.
    let follower = Running::start(&up.site, &over(&["--until", "1h"]));
    follower.says("ready     ");
    up.daemon.child.kill().unwrap();
    up.daemon.child.wait().unwrap();
    follower.says("note: the daemon carries on with the move by itself");
    up.daemon = Daemon::start(&up.site);
    follower.says("note: the daemon answers again");
    reaches(&up.site, "ready");
    up.site.ok(&["gate", "ack", HUB, "go", "--reason", "looked"]);
    check(&follower.end(), 0, &["done      ", "done, switched at "]);
    assert_eq!(epochs(&up.site), [1, 2]);
}

// ---- Ctrl-C

#[test]
fn ctrl_c_before_the_switch_cancels_the_move() {
    let up = Up::of(gated(""));
    let site = &up.site;
    let follower = Running::start(site, &over(&["--until", "1h"]));
    follower.says("hub.example.net.: failover westeurope -> northeurope by");
    follower.interrupt();
    let left = follower.end();
    check(&left, 1, &["cancelled: nothing was switched, hub.example.net. stays on westeurope, and the TTL goes back"]);
    assert_eq!((stage(site).as_str(), active(site.net.dns(), HUB)), ("stopped", site.net.weu().into()));
    assert!(eventually(SOON, || ttl(site) == 6));
    assert_eq!(epochs(site), [1]);
    check(&site.run(&["cancel", HUB]), 0, &["hub.example.net. has no move under way"]);
    // Whoever follows while somebody else cancels hears it.
    let follower = Running::start(site, &over(&["--until", "1h"]));
    follower.says("hub.example.net.: failover westeurope -> northeurope by");
    check(&site.run(&["cancel", HUB, "--reason", "not today", "--author", "carol"]), 0, &["nothing was switched"]);
    check(&follower.end(), 1, &["error: hub.example.net.: failover ", "cancelled by carol (not today)"]);
}

/// Two operators say the same; the second one looks on, and leaves.
#[test]
fn ctrl_c_of_whoever_repeats_a_move_does_not_cancel_it() {
    let up = Up::of(gated(""));
    let site = &up.site;
    let first = Running::start(site, &over(&["--until", "1h", "--author", "alice"]));
    reaches(site, "ready");
    let second = Running::start(site, &over(&["--until", "1h", "--author", "bob"]));
    second.says("ready     ");
    second.interrupt();
    let left = second.end();
    check(&left, 1, &["left: this command has not begun the move of hub.example.net., which goes on"]);
    assert!(left.err.contains("`concierge cancel hub.example.net. --epoch 1` cancels it"), "{left:?}");
    assert_eq!(stage(site), "ready");
    // Who has planned at another epoch does not cancel this one, and is told which it is.
    let which = "hub.example.net.: failover westeurope -> northeurope by alice (upgrade), planned at epoch 1";
    check(&site.run(&["cancel", HUB, "--epoch", "7"]), 1, &["the move that is under way is another one: ", which]);
    assert_eq!(stage(site), "ready");
    first.interrupt();
    check(&first.end(), 1, &["cancelled: nothing was switched"]);
    site.ok(&over(&["--until", "1h", "--author", "alice", "--detach"]));
    check(&site.run(&["cancel", HUB, "--epoch", "1"]), 0, &["cancelled, and nothing was switched: ", which]);
    assert_eq!(epochs(site), [1]);
}

#[test]
fn ctrl_c_after_the_switch_leaves_the_drain_alone() {
    let up = Up::of(site("ttl = \"5m\"", "", ""));
    let site = &up.site;
    let follower = Running::start(site, &over(&["--now"]));
    follower.says("drain     ");
    follower.interrupt();
    check(&follower.end(), 0, &["left: hub.example.net. has switched to northeurope, and the drain goes on"]);
    assert_eq!((stage(site).as_str(), active(site.net.dns(), HUB)), ("drain", site.net.neu().into()));
    check(&site.run(&["cancel", HUB]), 1, &["error: hub.example.net. has switched to northeurope already"]);
}

// ---- consent

#[test]
fn two_operators_move_a_hub_that_needs_two() {
    let up = Up::of(site("ttl = \"5s\"", "approvals = 2", ""));
    let site = &up.site;
    let follower = Running::start(site, &over(&["--author", "alice"]));
    follower.says("approval  ");
    let page = site.ok(&["status"]);
    assert!(page.contains("to approve: `concierge approve hub.example.net. --epoch 1`"), "{page}");
    check(&site.run(&["approve", HUB, "--author", "alice"]), 1, &["error: alice has approved it already: it takes 2"]);
    check(&site.run(&["approve", HUB, "--author", "bob", "--epoch", "7"]), 1, &["was planned at epoch 1, not 7"]);
    assert_eq!(active(site.net.dns(), HUB), site.net.weu());
    check(
        &site.run(&["approve", HUB, "--author", "bob", "--epoch", "1"]),
        0,
        &["approved: hub.example.net.: failover"],
    );
    assert_eq!(active(site.net.dns(), HUB), site.net.neu());
    check(&follower.end(), 0, &["done      "]);
    check(&site.run(&["approve", HUB, "--author", "bob"]), 1, &["no move of hub.example.net. waits for an approval"]);
}

#[test]
fn nobody_is_moved_without_consent() {
    let up = Up::start();
    let site = &up.site;
    let move_it = ["failover", HUB, "--to", "northeurope", "--now"];
    check(&site.run(&move_it), 1, &["error: there is no terminal to ask on, and nothing was done", "--yes"]);
    assert_eq!(stage(site), "");
    let at_terminal = |answer: &str| {
        let binary = concierge().get_program().to_str().unwrap().to_owned();
        let config = site.path("config/concierge.toml").display().to_string();
        let line = format!("{binary} --config {config} {}", move_it.join(" "));
        let mut command = program("script", "bsdutils");
        command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.env("TERM", "xterm").spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{answer}").unwrap();
        ran(&child.wait_with_output().unwrap())
    };
    check(&at_terminal("n"), 1, &["Go on? [y/N]", "nothing was done"]);
    assert_eq!((stage(site).as_str(), active(site.net.dns(), HUB)), ("", site.net.weu().into()));
    check(&at_terminal("y"), 0, &["Go on? [y/N]", "it can begin: nothing stands in the way", "done"]);
    assert_eq!(active(site.net.dns(), HUB), site.net.neu());
}

// ---- plans, gates and overrides

#[test]
fn a_plan_shows_gates_objections_and_times_and_does_nothing() {
    let site = Site::new(QUICK);
    let flag = site.path("open").display().to_string();
    let site = {
        let keys = "ttl_min = \"5s\"\nrto = \"2m\"\nbudget = \"2 per day\"\ngates = [{ gate = \"registry\", on = \"failover\" }]";
        let policy = std::fs::read_to_string(site.path("zones/example.net.toml")).unwrap();
        let hub = "[hubs.\"hub.example.net.\"]\nttl = \"5s\"\n";
        let policy = policy.replace(hub, &format!("[hubs.\"hub.example.net.\"]\nttl = \"30s\"\n{keys}\n"));
        let gate = format!(
            "[gates.registry]\nexec = {{ command = [\"/usr/bin/test\", \"-e\", \"{flag}\"] }}\ninterval = \"1s\""
        );
        site.write("zones/example.net.toml", &format!("{policy}\n{gate}\n"));
        site
    };
    let up = Up::of(site);
    let site = &up.site;
    let plan = || -> Value {
        let ran = site.run(&["plan", HUB, "--to", "northeurope", "--output", "json"]);
        check(&ran, 0, &[]);
        serde_json::from_str(&ran.out).unwrap()
    };
    assert!(eventually(SOON, || plan()["gates"][0]["at"].is_u64()), "the gate is looked at: {}", plan());
    let shut = plan();
    assert_eq!((&shut["outcome"], &shut["gates"][0]["concerned"]), (&"refused".into(), &true.into()));
    assert_eq!(shut["objections"][0]["overridden_by"], "force");
    check(&site.run(&over(&[])), 1, &["error: gate registry is shut: "]);
    let page = site.ok(&["plan", HUB, "--to", "northeurope"]);
    for part in [
        "hub.example.net.: failover westeurope -> northeurope, planned at epoch 1",
        "it would be refused: gate registry is shut",
        "gate registry  shut",
        "this move has to pass it; failover",
        "against it",
        "budget         0 of 2 switches in 1 d are used",
        "CNAME hub-weu.example.net. -> CNAME hub-neu.example.net.",
        "the TTL is lowered to 5 s",
        "99 % of resolvers have moved: 0.99 * 5 s of TTL = 4.95 s",
        "within the hub's rto of 2 min",
        "taken for granted: devices with standing connections",
    ] {
        assert!(page.contains(part), "{part}:\n{page}");
    }
    check(&site.run(&["gate", "list"]), 0, &["registry", "exec", "shut", "hub.example.net. (epoch 1)"]);
    check(&site.run(&["gate", "list", "api.example.net."]), 0, &["no gate holds a move of api.example.net."]);
    let unknown = site.run(&["gate", "ack", HUB, "regisry", "--reason", "x"]);
    check(&unknown, 1, &["no gate of hub.example.net. `regisry`; did you mean `registry`?"]);
    check(&site.run(&["gate", "ack", HUB, "registry", "--reason", "x"]), 1, &["is looked at by exec"]);
    assert_eq!(epochs(site), [1]);

    // An override is recorded, and shown until somebody has seen it.
    let forced = site.run(&over(&["--now", "--force", "--detach"]));
    check(&forced, 0, &["westeurope -> northeurope", "epoch 2"]);
    let page = site.ok(&["status"]);
    assert!(page.contains("has overridden what protects it (upgrade), epoch 2"), "{page}");
    assert!(page.contains("overridden: ") && page.contains("gate registry is shut"), "{page}");
    assert!(site.history(HUB).iter().any(|record| record["kind"] == "override"));
    check(&site.run(&["acknowledge", HUB, "--reason", "seen"]), 0, &["1 override acknowledged"]);
    assert!(!site.ok(&["status"]).contains("overridden"));

    std::fs::write(&flag, "").unwrap();
    check(&site.run(&["failback", HUB, "--now", "--yes", "--detach"]), 0, &["epoch 3"]);
    let open = || plan()["gates"][0]["open"] == true;
    assert!(eventually(SOON, open), "{}", plan());
    let used = plan();
    assert_eq!((&used["outcome"], &used["objections"][0]["kind"]), (&"refused".into(), &"budget".into()));
    let spent = site.run(&over(&["--now", "--force"]));
    check(&spent, 1, &["error: the budget of 2 switches a day is used up", "--break-glass"]);
    check(&site.run(&over(&["--now", "--detach", "--break-glass", "fire"])), 0, &["epoch 4"]);
    assert_eq!(site.hub(HUB)["overrides"][0]["why"], "fire");

    let (_, metrics) = request(&site.socket(), "GET", "/metrics", "").unwrap();
    for line in [
        "concierge_gate_open{gate=\"registry\"} 1.0",
        "concierge_gate_evidence_timestamp_seconds{gate=\"registry\"} 1",
        "concierge_hub_budget_left{hub=\"hub.example.net.\"} 0.0",
        "concierge_hub_overrides{hub=\"hub.example.net.\"} 1.0",
        "concierge_hub_low_ttl{hub=\"hub.example.net.\"} 1.0",
        "concierge_hub_move_stage{hub=\"hub.example.net.\",stage=\"d",
        "concierge_hub_hold{hub=\"hub.example.net.\",waiting=\"none\"} 0.0",
        "concierge_references 0.0",
        "concierge_windows 0.0",
    ] {
        assert!(metrics.as_str().unwrap().contains(line), "{line}: {metrics}");
    }
    let config = site.path("config/concierge.toml");
    for arguments in [&["plan", HUB, "--failback"][..], &["gate", "list"], &["status"], &["status", HUB]] {
        let output = concierge().env("COLUMNS", "80").arg("--config").arg(&config).args(arguments).output();
        let page = ran(&output.unwrap());
        check(&page, 0, &[HUB]);
        let long = page.out.lines().find(|line| line.chars().count() > 80 && !line.contains(&flag));
        assert_eq!(long, None, "{arguments:?}: {}", page.out);
    }
}

// ---- windows

#[test]
fn a_window_says_what_it_will_move_begins_by_itself_and_is_taken_away() {
    let up = Up::start();
    let site = &up.site;
    let window =
        ["mark", "westeurope", "drain", "--reason", "upgrade", "--at", "12s", "--until", "1h", "--author", "eve"];
    let seen = site.run(&[&window[..], &["--dry-run"]].concat());
    let foreseen = "as things are now, at its beginning 2 hubs would move\n";
    check(&seen, 0, &[foreseen, "hub.example.net.  westeurope -> northeurope", "at its end no hub would move"]);
    assert!(site.status()["windows"].as_array().unwrap().is_empty());
    let made = site.run(&window);
    let id = site.status()["windows"][0]["id"].as_str().unwrap().to_owned();
    let said = [format!("window {id}: westeurope marked drain by eve"), format!("concierge unmark --window {id}")];
    check(&made, 0, &[foreseen, &said[0], &said[1]]);
    check(&site.run(&["status"]), 0, &["WINDOW", "BEGINS", "eve", "upgrade"]);
    assert!(eventually(SOON, || active(site.net.dns(), HUB) == site.net.neu()), "{}", site.status());
    assert!(eventually(SOON, || site.ok(&["status"]).contains("has begun")), "{}", site.status());
    check(&site.run(&["unmark", "--window", "7"]), 1, &["no window `7`"]);
    let gone = format!("window {id} is taken away");
    check(&site.run(&["unmark", "--window", &id, "--reason", "done"]), 0, &[&gone]);
    assert!(site.status()["windows"].as_array().unwrap().is_empty());
    assert_eq!(active(site.net.dns(), HUB), site.net.neu(), "its end moves nobody back");
    let kinds: Vec<_> = site.history("westeurope").iter().map(|record| record["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "window").count(), 3, "made, begun, taken away: {kinds:?}");
    let endless = ["mark", "westeurope", "drain", "--reason", "x", "--at", "3s", "--until", "2s"];
    check(&site.run(&endless), 1, &["error: it would end at "]);
}

/// A region that flaps pins its hub, and an operator lets it go.
#[test]
fn a_hub_that_flaps_is_pinned_and_let_go() {
    let site = site("ttl = \"5s\"", "", "");
    site.edit("zones/example.net.toml", "flap_limit = 32", "flap_limit = 1");
    let mut up = Up::of(site);
    up.weu = None;
    assert!(eventually(SOON, || active(up.site.net.dns(), HUB) == up.site.net.neu()));
    let page = up.site.ok(&["status"]);
    assert!(page.contains("! hub.example.net. has been flapping and is pinned to northeurope"), "{page}");
    up.weu = Some(Region::start(up.site.net.weu()));
    assert!(up.measures("westeurope", "up"));
    up.neu = None;
    assert!(eventually(SOON, || up.site.hub(HUB)["hold"]["waiting"] == "pinned"), "{}", up.site.hub(HUB));
    assert_eq!(active(up.site.net.dns(), HUB), up.site.net.neu());
    let (_, metrics) = request(&up.site.socket(), "GET", "/metrics", "").unwrap();
    for line in [
        "concierge_hub_hold{hub=\"hub.example.net.\",waiting=\"pinned\"} 1.0",
        "concierge_hub_pinned{hub=\"hub.example.net.\"} 1.0",
        "concierge_blind 0.0",
    ] {
        assert!(metrics.as_str().unwrap().contains(line), "{line}: {metrics}");
    }
    up.site.ok(&["acknowledge", HUB, "--reason", "the link is mended"]);
    // Its target is looked at once more first.
    assert!(eventually(SOON, || active(up.site.net.dns(), HUB) == up.site.net.weu()), "{}", up.site.hub(HUB));
    // That was a switch by itself, of which the limit lets one go: it pins the hub again, unless it came of the very turn
    // that took the acknowledgement, as when westeurope was seen good since northeurope began to fail.
    let again = up.site.run(&["acknowledge", HUB, "--reason", "again"]);
    assert!(
        again.out.contains("it may switch by itself again") || again.out.contains("has nothing to ack"),
        "{again:?}"
    );
    check(&up.site.run(&["acknowledge", HUB, "--reason", "again"]), 0, &["has nothing to acknowledge"]);
}
