//! What a move of a hub has to pass.

use super::*;

#[test]
fn uses_of_gates() {
    check_moves(
        "gates = 5",
        &[
            "7:9: error: `gates` is the integer 5, expected a list of gates (hint: write `gates = [{ gate = \"NAME\", on = \"failover\" }]`)",
        ],
    );
    check_moves(
        "gates = [\"g\"]",
        &[
            "7:10: error: an entry of `gates` is \"g\", expected a table (hint: write a table: `{ gate = \"NAME\", on = \"failover\" }`)",
        ],
    );
    check_moves(
        "gates = [{}]",
        &[
            "7:10: error: the use of a gate has no `gate` (hint: add `gate = \"NAME\"`)",
            "7:10: error: the use of a gate has no `on` (hint: add `on = \"failover\"`, `on = \"failback\"` or `on = \"both\"`)",
        ],
    );
    check_moves(
        "gates = [{gate=\"gate\",on=\"failovr\",to=\"c\",on_shut=\"wait\"}]",
        &[
            "7:16: error: gate `gate` is not defined (hint: add `[gates.gate]`)",
            "7:26: error: `on` is \"failovr\", expected one of \"failover\", \"failback\", \"both\" (hint: did you mean \"failover\"?)",
            "7:39: error: region `c` is not defined (hint: did you mean \"a\"?)",
            "7:51: error: `on_shut` is \"wait\", expected \"hold\" or a table with `proceed_after` (hint: write \"hold\" or `{ proceed_after = \"10m\" }`)",
        ],
    );
    check_moves(
        "gates = [{gate=\"g\",on=\"both\",on_shut=\"hol\"}]",
        &[
            "7:38: error: `on_shut` is \"hol\", expected \"hold\" or a table with `proceed_after` (hint: did you mean \"hold\"?)",
        ],
    );
    check_moves(
        "gates = [{gate=\"g\",on=\"both\",on_shut={}}]",
        &["7:38: error: `on_shut` has no `proceed_after` (hint: write `on_shut = { proceed_after = \"10m\" }`)"],
    );
    check_moves(
        "gates = [{gate=\"g\",on=\"both\",on_shut={proceed_after=\"0s\"}}]",
        &["7:53: error: `proceed_after` is \"0s\", expected 1s to 7d (hint: write at least \"1s\")"],
    );
    check_moves(
        "gates = [{gate=\"g\",on=\"both\",on_shut={proceed_after=\"8d\"},when=\"x\"}]",
        &[
            "7:53: error: `proceed_after` is \"8d\", expected 1s to 7d (hint: write at most \"7d\")",
            "7:59: error: unknown key `when`, expected one of `gate`, `on`, `to`, `on_shut` (hint: remove it)",
        ],
    );
    check(
        "[gates.g]\nack = true\n[probes.p]\ntcp.port = 1\n[regions]\na = {}\nb = {}\n[hubs.\"h.example.net.\"]\ngates = [{gate=\"g\",on=\"both\",to=\"b\"}]\nendpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"p\"}]\n[hubs.\"i.example.net.\"]\nendpoints = [{region=\"b\",cname=\"b.example.com.\",probe=\"p\"}]",
        &["9:33: error: `to` names region `b`, in which hub `h.example.net.` has no endpoint (hint: write `a`)"],
    );
    check_moves("gates = []", &[]);
}

#[test]
fn a_gate_is_used_once_for_a_move() {
    check_moves("gates = [{gate=\"g\",on=\"failover\"},{gate=\"g\",on=\"failback\"}]", &[]);
    check_moves(
        "gates = [{gate=\"g\",on=\"failover\"},{gate=\"g\",on=\"failover\",to=\"b\",on_shut={proceed_after=\"1m\"}}]",
        &[],
    );
    check_moves(
        "gates = [{gate=\"g\",on=\"both\"},{gate=\"g\",on=\"failback\"}]",
        &[
            "7:31: error: gate `g` is written twice for the same moves (first here: zones/example.net.toml:7:10) (hint: keep one of the two)",
        ],
    );
    check_moves(
        "gates = [{gate=\"g\",on=\"failover\",to=\"b\"},{gate=\"g\",on=\"failover\",to=\"b\",on_shut={proceed_after=\"1m\"}}]",
        &[
            "7:42: error: gate `g` is written twice for the same moves (first here: zones/example.net.toml:7:10) (hint: keep one of the two)",
        ],
    );
}

#[test]
fn a_gate_is_for_moves_that_there_are() {
    check_moves(
        "gates = [{gate=\"g\",on=\"failover\",to=\"a\"}]",
        &[
            "7:10: warning: gate `g` is for failover to `a`, the first in preference: a move to it is failback (hint: write `on = \"failback\"`, or another `to`)",
        ],
    );
    check_moves(
        "gates = [{gate=\"g\",on=\"failback\",to=\"b\"}]",
        &[
            "7:10: warning: gate `g` is for failback to `b`, the last in preference: a move to it is failover (hint: write `on = \"failover\"`, or another `to`)",
        ],
    );
    check_moves("gates = [{gate=\"g\",on=\"both\",to=\"a\"},{gate=\"g\",on=\"both\",to=\"b\"}]", &[]);
    check(
        "[gates.g]\nack = true\n[regions.a]\n[probes.p]\ntcp.port = 1\n[hubs.\"h.example.net.\"]\ngates = [{gate=\"g\",on=\"failback\"}]\nendpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"p\"}]",
        &[
            "7:10: warning: hub `h.example.net.` has one endpoint, so that no move passes gate `g` (hint: remove it, or add an endpoint)",
        ],
    );
}

#[test]
fn flap_limits() {
    check_moves(
        "flap_limit = 0\nflap_window = \"59s\"",
        &[
            "7:14: error: `flap_limit` is the integer 0, expected a whole number from 1 to 32 (hint: write a number in the range, such as `1`)",
            "8:15: error: `flap_window` is \"59s\", expected 1m to 7d (hint: write at least \"1m\")",
        ],
    );
    check_moves(
        "flap_limit = 33\nflap_window = \"8d\"",
        &[
            "7:14: error: `flap_limit` is the integer 33, expected a whole number from 1 to 32 (hint: write a number in the range, such as `1`)",
            "8:15: error: `flap_window` is \"8d\", expected 1m to 7d (hint: write at most \"7d\")",
        ],
    );
    check_moves("flap_limit = 1\nflap_window = \"1m\"", &[]);
    check_moves("dwell = \"31m\"", &[]);
    check_moves(
        "dwell = \"31m\"\nflap_limit = 3",
        &[
            "8:14: warning: 3 automatic switches take at least 1h2m (2 * `dwell` 31m), longer than the `flap_window` of 1h: the hub is never pinned (hint: write a smaller `flap_limit`, or a longer `flap_window`)",
        ],
    );
    check_moves("dwell = \"30m\"\nflap_limit = 3", &[]);
    check_moves(
        "flap_window = \"1m\"",
        &[
            "7:15: warning: 3 automatic switches take at least 2m (2 * `dwell` 1m), longer than the `flap_window` of 1m: the hub is never pinned (hint: write a smaller `flap_limit`, or a longer `flap_window`)",
        ],
    );
}

#[test]
fn budgets() {
    check_moves("budget = \"32 per hour\"", &[]);
    check_moves("budget = \"2 per day\"", &[]);
    check_moves("budget = { switches = 5, per = \"week\" }", &[]);
    check_moves(
        "budget = 2",
        &[
            "7:10: error: `budget` is the integer 2, expected a number from 1 to 32 per hour, day or week (hint: write such as \"2 per day\")",
        ],
    );
    check_moves(
        "budget = \"0 per day\"",
        &[
            "7:10: error: `budget` is \"0 per day\", expected a number from 1 to 32 per hour, day or week (hint: write such as \"2 per day\")",
        ],
    );
    check_moves(
        "budget = \"33 per day\"",
        &[
            "7:10: error: `budget` is \"33 per day\", expected a number from 1 to 32 per hour, day or week (hint: write such as \"2 per day\")",
        ],
    );
    check_moves(
        "budget = \"2/day\"",
        &[
            "7:10: error: `budget` is \"2/day\", expected a number from 1 to 32 per hour, day or week (hint: did you mean \"2 per day\"?)",
        ],
    );
    check_moves(
        "budget = \"2 a week\"",
        &[
            "7:10: error: `budget` is \"2 a week\", expected a number from 1 to 32 per hour, day or week (hint: did you mean \"2 per week\"?)",
        ],
    );
    check_moves(
        "budget = \"2 per days\"",
        &[
            "7:10: error: `budget` is \"2 per days\", expected a number from 1 to 32 per hour, day or week (hint: did you mean \"2 per day\"?)",
        ],
    );
    check_moves(
        "budget = \"two per day\"",
        &[
            "7:10: error: `budget` is \"two per day\", expected a number from 1 to 32 per hour, day or week (hint: write such as \"2 per day\")",
        ],
    );
    check_moves(
        "budget = \"2 per month\"",
        &[
            "7:10: error: `budget` is \"2 per month\", expected a number from 1 to 32 per hour, day or week (hint: write such as \"2 per day\")",
        ],
    );
    check_moves(
        "budget = {}",
        &[
            "7:10: error: `budget` has no `switches` (hint: add `switches = 2`)",
            "7:10: error: `budget` has no `per` (hint: add `per = \"day\"`)",
        ],
    );
    check_moves(
        "budget = { switches = 40, per = \"dya\", in = 5 }",
        &[
            "7:23: error: `switches` is the integer 40, expected a whole number from 1 to 32 (hint: write a number in the range, such as `1`)",
            "7:33: error: `per` is \"dya\", expected one of \"hour\", \"day\", \"week\" (hint: did you mean \"day\"?)",
            "7:40: error: unknown key `in`, expected one of `switches`, `per` (hint: remove it)",
        ],
    );
}

#[test]
fn approvals() {
    check_moves("approvals = 2\ncanary = true", &[]);
    check_moves(
        "approvals = 3\ncanary = \"yes\"",
        &[
            "7:13: error: `approvals` is the integer 3, expected a whole number from 1 to 2 (hint: write a number in the range, such as `1`)",
            "8:10: error: `canary` is \"yes\", expected true or false (hint: write `true` or `false` without quotes)",
        ],
    );
}

#[test]
fn fences() {
    check_moves("fence = { http = { url = \"https://a.example.net/fence\" } }", &[]);
    check_moves(
        "fence = true",
        &[
            "7:9: error: `fence` is the boolean true, expected a table (hint: write `fence = { http = { url = \"https://HOST/PATH\" } }`)",
        ],
    );
    check_moves(
        "fence = {}",
        &[
            "7:9: error: `fence` has no kind, expected one of `http`, `exec` (hint: add `http = { url = \"https://HOST/PATH\" }` or `exec = { command = [\"/PATH/TO/PROGRAM\"] }`)",
        ],
    );
    check_moves(
        "fence = { http = {}, exec = {} }",
        &[
            "7:18: error: `http` has no `url` (hint: add `url = \"https://HOST/PATH\"`)",
            "7:29: error: `exec` has no `command` (hint: add `command = [\"/PATH/TO/PROGRAM\"]`)",
            "7:29: error: `fence` has two kinds, `http` and `exec`, expected exactly one (hint: remove one of the two)",
        ],
    );
    check_moves(
        "fence = { webhook = { url = \"https://a.example.net/fence\" } }",
        &["7:11: error: unknown kind of fence `webhook`, expected one of `http`, `exec` (hint: write one of these)"],
    );
    check_moves(
        "fence = { ack = true }",
        &[
            "7:9: error: `fence` has no kind, expected one of `http`, `exec` (hint: add `http = { url = \"https://HOST/PATH\" }` or `exec = { command = [\"/PATH/TO/PROGRAM\"] }`)",
            "7:11: error: unknown key `ack`, expected one of `http`, `exec`, `timeout`, `on_failure` (hint: remove it)",
        ],
    );
    check_moves(
        "fence = { exec = { command = [\"/bin/true\"] }, timeout = \"10ms\", on_failure = \"halt\" }",
        &[
            "7:57: error: `timeout` is \"10ms\", expected 100ms to 5m (hint: write at least \"100ms\")",
            "7:78: error: `on_failure` is \"halt\", expected one of \"proceed\", \"stop\" (hint: write \"proceed\")",
        ],
    );
    check_moves(
        "fence = { exec = { command = \"true\" }, on_failure = \"stopp\" }",
        &[
            "7:30: error: `command` is \"true\", expected a list of a program and its arguments (hint: no shell is between: write `[\"true\"]`)",
            "7:53: error: `on_failure` is \"stopp\", expected one of \"proceed\", \"stop\" (hint: did you mean \"stop\"?)",
        ],
    );
    check_moves(
        "fence = { http = { url = \"a.example.net/fence\", pointer = \"/a\" } }",
        &[
            "7:26: error: `url` is \"a.example.net/fence\", expected an http or https URL with a host (hint: write \"https://a.example.net/fence\")",
            "7:49: error: unknown key `pointer`, expected one of `url`, `ca` (hint: remove it)",
        ],
    );
}

#[test]
fn ttls() {
    check_moves("ttl_min = \"5s\"\nttl_restore = \"0s\"\nttl_spread = 0\ntxt = true", &[]);
    check_moves(
        "ttl_min = \"4s\"\nttl_restore = \"2d\"\nttl_spread = 51\ntxt = 1",
        &[
            "7:11: error: `ttl_min` is \"4s\", expected 5s to 1d (hint: write at least \"5s\")",
            "8:15: error: `ttl_restore` is \"2d\", expected 0s to 1d (hint: write at most \"1d\")",
            "9:14: error: `ttl_spread` is the integer 51, expected a whole number from 0 to 50 (hint: write a number in the range, such as `0`)",
            "10:7: error: `txt` is the integer 1, expected true or false (hint: write `true` or `false` without quotes)",
        ],
    );
    check_moves(
        "ttl_min = \"5s500ms\"",
        &["7:11: error: `ttl_min` is 5s500ms, expected whole seconds (hint: write \"5s\")"],
    );
    check_moves(
        "ttl_min = \"31s\"",
        &["7:11: error: `ttl_min` is 31s, longer than the `ttl` of 30s (hint: write at most \"30s\")"],
    );
    check_moves(
        "ttl = \"20s\"\nttl_min = \"30s\"",
        &[
            "8:11: error: `ttl_min` is 30s, longer than the `ttl` of 20s (the `ttl`: zones/example.net.toml:7:7) (hint: write at most \"20s\")",
        ],
    );
    check_moves(
        "ttl_restore = \"1m\"",
        &[
            "7:15: warning: `ttl_restore` has no effect without a `ttl_min` below `ttl` (hint: add `ttl_min = \"10s\"`, or remove `ttl_restore`)",
        ],
    );
    check_moves(
        "ttl_min = \"30s\"\nttl_restore = \"1m\"",
        &[
            "8:15: warning: `ttl_restore` has no effect without a `ttl_min` below `ttl` (hint: add `ttl_min = \"10s\"`, or remove `ttl_restore`)",
        ],
    );
    check_moves("ttl = \"10s\"\nttl_spread = 50", &[]);
    check_moves(
        "ttl = \"9s\"\nttl_spread = 50",
        &[
            "8:14: error: `ttl_spread` of 50 percent lowers the `ttl` of 9s to 4s500ms for some resolvers, below the least of 5s (hint: write at most 44, or a longer `ttl`)",
        ],
    );
    check_moves(
        "ttl = \"5s\"\nttl_spread = 1",
        &[
            "8:14: error: `ttl_spread` of 1 percent lowers the `ttl` of 5s to 4s950ms for some resolvers, below the least of 5s (hint: write at most 0, or a longer `ttl`)",
        ],
    );
    check_moves(
        "ttl_min = \"6s\"\nttl_spread = 20",
        &[
            "8:14: warning: `ttl_spread` of 20 percent would lower the `ttl_min` of 6s to 4s800ms: 5s is answered in its place (the `ttl_min`: zones/example.net.toml:7:11) (hint: write at most 16, or a longer `ttl_min`)",
        ],
    );
    check_moves("ttl_min = \"7s\"\nttl_spread = 20", &[]);
}
