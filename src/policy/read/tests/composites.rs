//! Probes that dial nothing: `exec`, `push` and `composite`.

use super::*;
use crate::policy::{CompositeProbe, Needs, Probe, PushProbe};

/// The probes of a file, which starts with probe `p`; two more that dial are beside.
#[track_caller]
fn check_probes(text: &str, expected: &[&str]) -> Option<Policy> {
    let rest = "[probes.x]\ntcp.port = 1\ninterval = \"10s\"\nfall = 7\n[probes.y]\ntcp.port = 2\ntimeout = \"3s\"\n\
                [regions.a]\n[hubs.\"h.example.net.\"]\n\
                endpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"p\"}]\n\
                [hubs.\"i.example.net.\"]\nendpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"x\"}]\n\
                [hubs.\"j.example.net.\"]\nendpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"y\"}]\n";
    check(&format!("{text}\n{rest}"), expected)
}

fn probe_of(policy: Option<Policy>) -> Arc<Probe> {
    policy.unwrap().probes[&ProbeName::new("p")].clone()
}

#[test]
fn a_program_is_the_same_as_a_gates() {
    let probe = probe_of(check_probe("exec = { command = [\"/bin/look\", \"-v\"] }\ninterval = \"1m\"", &[]));
    assert_eq!(probe.kind, ProbeKind::Exec(Exec { command: vec!["/bin/look".into(), "-v".into()] }));
    assert_eq!((probe.interval, probe.timeout), (Duration::from_mins(1), Duration::from_secs(2)));
    check_probe("exec = {}", &["2:8: error: `exec` has no `command` (hint: add `command = [\"/PATH/TO/PROGRAM\"]`)"]);
    check_probe(
        "exec = { command = [\"/bin/look\"] }\nsource = \"192.0.2.7\"",
        &["3:10: error: `source` has no effect on a program, which dials as it likes (hint: remove `source`)"],
    );
}

#[test]
fn a_verdict_counts_at_once_unless_the_policy_says_otherwise() {
    let probe = probe_of(check_probe("push = {}", &[]));
    assert_eq!(probe.kind, ProbeKind::Push(PushProbe { lease: Duration::from_secs(30) }));
    assert_eq!((probe.fall.get(), probe.rise.get()), (1, 1));
    assert_eq!(probe.worst_detection(), Duration::from_secs(30));
    let probe = probe_of(check_probe("push = { lease = \"10s\" }\nfall = 3\nrise = 2", &[]));
    assert_eq!((probe.worst_detection(), probe.worst_recovery()), (Duration::from_secs(30), Duration::from_secs(20)));
    check_probe(
        "push = { lease = \"0s\" }",
        &["2:18: error: `lease` is \"0s\", expected 1s to 1h (hint: write at least \"1s\")"],
    );
    check_probe(
        "push = {}\ninterval = \"5s\"",
        &[
            "3:12: error: `interval` has no effect on a probe that is told, when its lease ends at the latest (hint: remove `interval`)",
        ],
    );
}

#[test]
fn a_composite_has_the_pace_of_its_slowest_member() {
    let probe = probe_of(check_probes("[probes.p]\ncomposite = { all = [\"x\", \"y\"] }", &[]));
    let of = vec![ProbeName::new("x"), ProbeName::new("y")];
    assert_eq!(probe.kind, ProbeKind::Composite(CompositeProbe { needs: Needs::All, of }));
    assert_eq!((probe.interval, probe.timeout), (Duration::from_secs(10), Duration::from_secs(3)));
    assert_eq!((probe.confirm, probe.fall.get(), probe.rise.get()), (Duration::from_secs(1), 7, 5));
    let above = "[probes.p]\ncomposite.any = [\"q\", \"y\"]\n[probes.q]\ncomposite = { at_least = 1, of = [\"x\"] }";
    assert_eq!(probe_of(check_probes(above, &[])).interval, Duration::from_secs(10), "by way of another composite");
}

#[test]
fn members_are_targets_of_their_own() {
    let policy = check_probes("[probes.p]\ncomposite = { all = [\"x\", \"y\"] }", &[]).unwrap();
    let targets: Vec<_> = policy.probe_targets().iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["p on a.example.com.", "x on a.example.com.", "y on a.example.com."]);
}

#[test]
fn a_composite_has_exactly_one_demand() {
    let one = |composite: &str, expected: &str| {
        check_probes(&format!("[probes.p]\ncomposite = {composite}"), &[expected]);
    };
    one(
        "{}",
        "2:13: error: `composite` has no demand, expected one of `all`, `any`, `at_least` (hint: write `composite = { all = [\"broker\", \"api\"] }`)",
    );
    one(
        "{ all = [\"x\"], any = [\"y\"] }",
        "2:34: error: the composite has two demands, `all` and `any`, expected exactly one (hint: remove one, or make it a probe of its own and name that)",
    );
    one("{ at_least = 2 }", "2:13: error: `composite` has no `of` (hint: add `of = [\"NAME\", \"NAME\"]`, the probes)");
    one(
        "{ of = [\"x\"] }",
        "2:13: error: `composite` has no `at_least` (hint: add `at_least = 2`, or write `all` or `any` instead of `of`)",
    );
    one(
        "{ at_least = 3, of = [\"x\", \"y\"] }",
        "2:26: error: `at_least` is 3, and `of` has 2 (hint: name more probes, or ask for fewer)",
    );
    one(
        "{ all = [] }",
        "2:21: error: `all` is empty, expected at least one probe (hint: write such as `[\"broker\", \"api\"]`)",
    );
    one(
        "{ all = [\"x\", \"x\"] }",
        "2:27: error: probe `x` is named twice (first here: zones/example.net.toml:2:22) (hint: remove one of the two)",
    );
}

#[test]
fn members_have_to_be_there() {
    check_probes(
        "[probes.p]\ncomposite = { all = [\"x\", \"zebra\"] }",
        &["2:27: error: probe `zebra` is not defined (hint: add `[probes.zebra]`)"],
    );
    check_probes(
        "[probes.p]\ncomposite = { all = [\"broker\"] }\n[probes.brokers]\ntcp.port = 3",
        &[
            "2:22: error: probe `broker` is not defined (hint: did you mean \"brokers\"?)",
            "3:9: warning: probe `brokers` is defined, but no endpoint uses it (hint: name it as `probe` of an endpoint, or remove it)",
        ],
    );
}

#[test]
fn composites_do_not_lead_back_to_themselves() {
    check_probes(
        "[probes.p]\ncomposite.all = [\"p\"]",
        &["2:18: error: composite `p` leads back to itself through `p` (hint: remove it here, or there)"],
    );
    check_probes(
        "[probes.p]\ncomposite.all = [\"x\", \"q\"]\n[probes.q]\ncomposite.any = [\"y\", \"p\"]",
        &[
            "2:23: error: composite `p` leads back to itself through `q` (hint: remove it here, or there)",
            "4:23: error: composite `q` leads back to itself through `p` (hint: remove it here, or there)",
        ],
    );
}

#[test]
fn composites_are_at_most_three_deep() {
    let three =
        "[probes.p]\ncomposite.all = [\"q\"]\n[probes.q]\ncomposite.all = [\"r\"]\n[probes.r]\ncomposite.all = [\"x\"]";
    check_probes(three, &[]);
    let four = format!("{}\n[probes.s]\ncomposite.all = [\"x\"]", three.replace("[\"x\"]", "[\"s\"]"));
    check_probes(
        &four,
        &[
            "2:18: error: composite `p` is more than 3 composites deep, through `q` (hint: name the probes that the lowest one names)",
        ],
    );
}

#[test]
fn a_composite_has_no_pace_and_no_thresholds() {
    check_probes(
        "[probes.p]\ncomposite.all = [\"x\"]\nfall = 3\ntimeout = \"1s\"",
        &[
            "3:8: error: `fall` has no effect on a composite, which follows from its members (hint: remove `fall`)",
            "4:11: error: `timeout` has no effect on a composite, which follows from its members (hint: remove `timeout`)",
        ],
    );
}

#[test]
fn a_shadow_decides_nothing_also_not_as_a_member() {
    let shadow = "[probes.s]\ntcp.port = 3\nshadow = true\n";
    check_probes(
        &format!("{shadow}[probes.p]\ncomposite.all = [\"s\"]"),
        &[
            "5:18: error: probe `s` is a shadow, which decides nothing, also not by way of a composite (hint: write `shadow = true` in `[probes.p]` too, or name another probe)",
        ],
    );
}

#[test]
fn what_this_node_is_told_does_not_show_that_it_sees() {
    check_probes(
        "[probes.p]\npush = {}\n[references.r]\nprobe = \"p\"\ntarget = \"192.0.2.53\"",
        &[
            "4:9: error: `probe` is `p`, which is told by others: that this node reaches them it does not show (hint: name a probe that looks, such as one of kind `tcp`)",
        ],
    );
}

#[test]
fn a_recovery_time_objective_counts_leases() {
    let hub = "[probes.p]\npush = { lease = \"40s\" }\n[regions.a]\n[hubs.\"h.example.net.\"]\nttl = \"30s\"\nrto = \"1m\"\n\
               endpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"p\"}]";
    check(
        hub,
        &[
            "6:7: warning: an automatic switch may take 1m12s from the failure to the last resolver, longer than the `rto` of 1m: probe `p` detects in 1 * lease 40s = 40s, but a resolver that asked just before the first failed observation, 42s after the failure, keeps its answer for `ttl` 30s (hint: write a shorter `ttl`, or a shorter `interval`, `timeout`, `confirm` or `fall` of the probe)",
        ],
    );
}
