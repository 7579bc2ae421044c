//! The keys of a hub.

use super::*;

#[test]
fn keys() {
    check_hub(
        &format!("policy = \"prioritty\"\nttll = 3\n{GOOD}"),
        &[
            "7:10: error: `policy` is \"prioritty\", expected one of \"priority\", \"weighted\", \"geo\", \"nearest\", \"all\", \"sticky\" (hint: did you mean \"priority\"?)",
            "8:1: error: unknown key `ttll`, expected one of `policy`, `map`, `default`, `most`, `prefixes`, `ttl`, `ttl_min`, `ttl_restore`, `ttl_spread`, `txt`, `dwell`, `rto`, `failback`, `when_all_down`, `endpoints`, `gates`, `flap_limit`, `flap_window`, `budget`, `approvals`, `fence`, `canary` (hint: did you mean `ttl`?)",
        ],
    );
    check_hub(
        &format!("ttl = \"4s\"\ndwell = \"8d\"\nrto = \"4s\"\n{GOOD}"),
        &[
            "7:7: error: `ttl` is \"4s\", expected 5s to 1d (hint: write at least \"5s\")",
            "8:9: error: `dwell` is \"8d\", expected 0s to 7d (hint: write at most \"7d\")",
            "9:7: error: `rto` is \"4s\", expected 5s to 7d (hint: write at least \"5s\")",
        ],
    );
    check_hub(
        &format!("ttl = \"1d1s\"\n{GOOD}"),
        &["7:7: error: `ttl` is \"1d1s\", expected 5s to 1d (hint: write at most \"1d\")"],
    );
    check_hub(
        &format!("ttl = \"5s500ms\"\n{GOOD}"),
        &["7:7: error: `ttl` is 5s500ms, expected whole seconds (hint: write \"5s\")"],
    );
    check_hub(
        &format!("failback = \"manul\"\n{GOOD}"),
        &[
            "7:12: error: `failback` is \"manul\", expected \"manual\" or a table with `after` (hint: did you mean \"manual\"?)",
        ],
    );
    check_hub(
        &format!("failback = {{ aftr = \"15m\" }}\n{GOOD}"),
        &["7:14: error: unknown key `aftr`, expected `after` (hint: did you mean `after`?)"],
    );
    check_hub(
        &format!("failback = {{}}\n{GOOD}"),
        &["7:12: error: `failback` has no `after` (hint: write `failback = { after = \"15m\" }`)"],
    );
    check_hub(
        &format!("failback = {{ after = \"0s\" }}\n{GOOD}"),
        &["7:22: error: `after` is \"0s\", expected 1s to 30d (hint: write at least \"1s\")"],
    );
}

#[test]
fn when_all_down() {
    check_hub(
        &format!("when_all_down = \"some\"\n{GOOD}"),
        &[
            "7:17: error: `when_all_down` is \"some\", expected \"keep\", \"all\" or a table with `region` (hint: write \"keep\", \"all\" or `{ region = \"NAME\" }`)",
        ],
    );
    check_hub(
        &format!("when_all_down = \"all\"\n{GOOD}"),
        &[
            "7:17: error: `when_all_down` is \"all\", which needs `addresses` in every endpoint (this endpoint has none: zones/example.net.toml:8:32) (hint: write \"keep\", or `{ region = \"NAME\" }` for an endpoint of last resort)",
        ],
    );
    check_hub(
        "when_all_down = { region = \"b\" }\nendpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"p\"}]",
        &["7:17: error: `when_all_down` names region `b`, in which this hub has no endpoint (hint: write `a`)"],
    );
}

#[test]
fn endpoints_are_needed() {
    const NEEDED: &str = "(hint: write `endpoints = [{ region = \"NAME\", cname = \"TARGET.\", probe = \"NAME\" }]`)";
    let (_, problems) = read(
        &[Source::new(
            FILE,
            "[hubs.\"h.example.net.\"]\n[hubs.\"i.example.net.\"]\nendpoints = []\n[hubs.\"j.example.net.\"]\nendpoints = {}\n[[hubs.\"k.example.net.\".endpoints]]\nregion = 1",
        )],
        &[plain_zone()],
    );
    assert_eq!(lines(&problems), [
        format!("1:1: error: hub `h.example.net.` has no `endpoints` {NEEDED}"),
        format!("3:13: error: hub `i.example.net.` has no endpoint, expected at least one {NEEDED}"),
        format!("5:13: error: `endpoints` is a table, expected a list of endpoints {NEEDED}"),
        "6:1: error: the endpoint has no answer, expected one of `cname`, `addresses`, `records`, `hub` (hint: add one of `cname`, `addresses`, `records`, `hub`)".into(),
        "6:1: warning: the endpoint has no `probe`: its health stays unknown (hint: add `probe = \"NAME\"`)".into(),
        "7:10: error: `region` is the integer 1, expected the name of a region (hint: write it in quotes)".into(),
    ]);
}

#[test]
fn the_ttl_keeps_within_the_rto() {
    check_hub(
        &format!("ttl = \"1m\"\nrto = \"45s\"\n{GOOD}"),
        &[
            "7:7: error: `ttl` is 1m, longer than the `rto` of 45s (the `rto`: zones/example.net.toml:8:7) (hint: write a `ttl` of at most \"45s\")",
        ],
    );
    check_hub(
        &format!("rto = \"20s\"\n{GOOD}"),
        &["7:7: error: `ttl` is 30s, longer than the `rto` of 20s (hint: write a `ttl` of at most \"20s\")"],
    );
    check_hub(&format!("rto = \"41s500ms\"\n{GOOD}"), &[]);
    check_hub(
        &format!("rto = \"41s\"\n{GOOD}"),
        &[
            "7:7: warning: an automatic switch may take 41s500ms from the failure to the last resolver, longer than the `rto` of 41s: probe `p` detects in interval + 10 % 5s500ms + timeout 2s + 2 * 2s (the longer of confirm + 10 % and timeout) = 11s500ms, then `ttl` 30s (hint: write a shorter `ttl`, or a shorter `interval`, `timeout`, `confirm` or `fall` of the probe)",
        ],
    );
    // A TTL that is wrong by itself is not compared.
    check_hub(
        &format!("ttl = 60\nrto = \"20s\"\n{GOOD}"),
        &[
            "7:7: error: `ttl` is the integer 60, expected a duration in d, h, m, s or ms (hint: write the unit, in quotes: \"60s\")",
        ],
    );
}
