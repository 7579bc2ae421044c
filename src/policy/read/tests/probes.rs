//! `[probes.NAME]`.

use super::*;

/// The keys of all kinds, as sentences name them.
const KINDS: &str = "`tcp`, `http`, `https`, `mqtt`, `amqp`, `grpc`";

#[test]
fn kinds() {
    check_probe(
        "",
        &[&format!(
            "1:1: error: probe `p` has no kind, expected one of {KINDS} (hint: add `tcp = {{ port = 8883 }}`, or `http = {{ path = \"/health\" }}`)"
        )],
    );
    check_probe(
        "ldap = { port = 389 }",
        &[&format!(
            "2:1: error: unknown kind of probe `ldap`, expected one of {KINDS} (hint: write one of these, such as `tcp = {{ port = 8883 }}`)"
        )],
    );
    check_probe(
        "htp = { port = 80 }",
        &[&format!("2:1: error: unknown kind of probe `htp`, expected one of {KINDS} (hint: did you mean `http`?)")],
    );
    check_probe(
        "tcp.port = 1\nhttp = {}",
        &[
            "3:8: error: probe `p` has two kinds, `tcp` and `http`, expected exactly one (hint: remove one, or make it a probe of its own)",
        ],
    );
    check_probe(
        "tcp = 8883",
        &["2:7: error: `tcp` is the integer 8883, expected a table (hint: write `tcp = { port = 8883 }`)"],
    );
    check_probe("tcp = {}", &["2:7: error: `tcp` has no `port` (hint: add `port = 8883`)"]);
}

#[test]
fn numbers() {
    check_probe(
        "tcp.port = 0",
        &[
            "2:12: error: `port` is the integer 0, expected a whole number from 1 to 65535 (hint: write a number in the range, such as `1`)",
        ],
    );
    check_probe(
        "tcp.port = 65536\nfall = 0\nrise = 101",
        &[
            "2:12: error: `port` is the integer 65536, expected a whole number from 1 to 65535 (hint: write a number in the range, such as `1`)",
            "3:8: error: `fall` is the integer 0, expected a whole number from 1 to 100 (hint: write a number in the range, such as `1`)",
            "4:8: error: `rise` is the integer 101, expected a whole number from 1 to 100 (hint: write a number in the range, such as `1`)",
        ],
    );
    check_probe(
        "tcp.port = 1\nrize = 3",
        &[&format!(
            "3:1: error: unknown key `rize`, expected one of {KINDS}, `source`, `interval`, `timeout`, `confirm`, `fall`, `rise`, `shadow` (hint: did you mean `rise`?)"
        )],
    );
    check_probe(
        "tcp.port = 1\nrise = 2.5",
        &[
            "3:8: error: `rise` is the float 2.5, expected a whole number from 1 to 100 (hint: write a number in the range, such as `1`)",
        ],
    );
}

#[test]
fn durations() {
    check_probe(
        "tcp.port = 1\ninterval = 5",
        &[
            "3:12: error: `interval` is the integer 5, expected a duration in d, h, m, s or ms (hint: write the unit, in quotes: \"5s\")",
        ],
    );
    check_probe(
        "tcp.port = 1\ninterval = \"900ms\"",
        &["3:12: error: `interval` is \"900ms\", expected 1s to 1h (hint: write at least \"1s\")"],
    );
    check_probe(
        "tcp.port = 1\ninterval = \"2h\"",
        &["3:12: error: `interval` is \"2h\", expected 1s to 1h (hint: write at most \"1h\")"],
    );
    check_probe(
        "tcp.port = 1\ntimeout = \"50ms\"\nconfirm = \"1.5s\"",
        &[
            "3:11: error: `timeout` is \"50ms\", expected 100ms to 1m (hint: write at least \"100ms\")",
            "4:11: error: `confirm` is \"1.5s\", expected a duration in d, h, m, s or ms (hint: write such as \"30s\", \"1m30s\" or \"250ms\")",
        ],
    );
    check_probe(
        "tcp.port = 1\ninterval = \"4s\"\ntimeout = \"10s\"\nconfirm = \"5s\"",
        &[
            "4:11: error: `timeout` is 10s, longer than the `interval` of 4s (hint: write at most \"4s\", or a longer `interval`)",
            "5:11: error: `confirm` is 5s, longer than the `interval` of 4s (hint: write at most \"4s\", or a longer `interval`)",
        ],
    );
}

#[test]
fn http() {
    check_probe(
        "http = { path = \"health\", host = \"a.b.\", body = \"\" }",
        &[
            "2:17: error: `path` is \"health\", expected a path that starts with `/`, without spaces (hint: write \"/health\")",
            "2:34: error: `host` is \"a.b.\", expected a host name without port and final dot, or an address (hint: write \"a.b\")",
            "2:49: error: `body` is \"\", expected a text of 1 to 2048 octets that the body must contain (hint: write such as \"ok\", or leave `body` out)",
        ],
    );
    check_probe(
        "http = { host = \"a:80\", path = \"http://a/b\" }",
        &[
            "2:17: error: `host` is \"a:80\", expected a host name without port and final dot, or an address (hint: write such as \"hub.example.net\")",
            "2:32: error: `path` is \"http://a/b\", expected a path that starts with `/`, without spaces (hint: write such as \"/health\")",
        ],
    );
    check_probe(
        "http.status = []",
        &["2:15: error: `status` is empty, expected at least one status code (hint: write `status = 200`)"],
    );
    let status = |written: &str, what: &str, column: u32| {
        let expected = format!(
            "2:{column}: error: {what}, expected a status code from 100 to 599, or a range of them (hint: write such as `200` or \"200-299\")"
        );
        check_probe(&format!("http.status = {written}"), &[&expected]);
    };
    status("99", "`status` is the integer 99", 15);
    status("\"299-200\"", "`status` is \"299-200\"", 15);
    status("\"2xx\"", "`status` is \"2xx\"", 15);
    status("[200, 600]", "an entry of `status` is the integer 600", 21);
    status("true", "`status` is the boolean true", 15);
    check_probe(
        "http = { ca = \"x.pem\" }",
        &[
            "2:15: error: `ca` has no effect without TLS, expected `tls = true` beside it (hint: add `tls = true`, or remove `ca`)",
        ],
    );
    check_probe(
        "http = { port = 443 }",
        &["2:17: warning: port 443 is probed without TLS (hint: write `https` instead of `http`)"],
    );
    check_probe(
        "http = { tls = \"yes\" }",
        &["2:16: error: `tls` is \"yes\", expected true or false (hint: write `true` or `false` without quotes)"],
    );
    check_probe(
        "https = { tls = true }",
        &[
            "2:11: error: unknown key `tls`, expected one of `port`, `path`, `host`, `status`, `body`, `ca`, `cert`, `key` (hint: remove it)",
        ],
    );
}
