//! `[probes.NAME]`.

use super::*;

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
            "2:11: error: unknown key `tls`, expected one of `port`, `path`, `host`, `status`, `body`, `method`, `version`, `headers`, `pointer`, `equals`, `at_most`, `at_least`, `keep_alive`, `ca`, `cert`, `key` (hint: remove it)",
        ],
    );
}

#[test]
fn tcp() {
    let policy = check_probe("tcp = { port = 25, send = \"QUIT\\r\\n\", expect = \"221\" }", &[]).unwrap();
    let ProbeKind::Tcp(tcp) = policy.probes[&ProbeName::new("p")].kind.clone() else { panic!("it is a tcp probe") };
    assert_eq!(tcp, TcpProbe { port: 25, send: Some("QUIT\r\n".into()), expect: Some("221".into()) });
    check_probe(
        "tcp = { port = 25, send = \"\", expect = 221 }",
        &[
            "2:27: error: `send` is \"\", expected a text of 1 to 2048 octets that is sent (hint: write such as \"PING\\r\\n\", or leave `send` out)",
            "2:40: error: `expect` is the integer 221, expected a text of 1 to 2048 octets that the peer must send (hint: write such as \"PONG\", or leave `expect` out)",
        ],
    );
}

#[test]
fn tls() {
    let tls = |keys: &str| {
        let policy = check_probe(keys, &[]).unwrap();
        match policy.probes[&ProbeName::new("p")].kind.clone() {
            ProbeKind::Tls(tls) => tls,
            other => panic!("{other:?}"),
        }
    };
    const DAY: Duration = Duration::from_hours(24);
    let plain = tls("tls = {}");
    assert_eq!(
        (plain.port, plain.settings, plain.expiry_fail, plain.expiry_warn),
        (443, TlsSettings::default(), None, 14 * DAY)
    );
    let full = tls(
        "tls = { port = 8883, name = \"hub.example.net\", ca = \"ca.pem\", cert = \"c.pem\", key = \"k.pem\", expiry_fail = \"1d\", expiry_warn = \"30d\" }",
    );
    let client = Some(ClientCertificate { cert: "zones/c.pem".into(), key: "zones/k.pem".into() });
    let settings = TlsSettings { ca: Some("zones/ca.pem".into()), client, name: Some("hub.example.net".into()) };
    assert_eq!((full.port, full.settings), (8883, settings));
    assert_eq!((full.expiry_fail, full.expiry_warn), (Some(DAY), 30 * DAY));
    assert_eq!(tls("tls = { expiry_fail = \"20d\" }").expiry_warn, 20 * DAY);
    check_probe(
        "tls = { expiry_fail = \"14d\", expiry_warn = \"14d\" }",
        &[
            "2:44: error: `expiry_warn` is 14d, not longer than the `expiry_fail` of 14d (hint: write more than \"14d\", for a warning that comes too late is none)",
        ],
    );
    check_probe(
        "tls = { cert = \"c.pem\", name = \"a b\" }",
        &[
            "2:16: error: `cert` has no effect without `key`: a client certificate is both (hint: add `key`, or remove `cert`)",
            "2:32: error: `name` is \"a b\", expected a host name without port and final dot, or an address (hint: write such as \"hub.example.net\")",
        ],
    );
    check_probe(
        "http = { cert = \"c.pem\", key = \"k.pem\" }",
        &[
            "2:17: error: `cert` has no effect without TLS, expected `tls = true` beside it (hint: add `tls = true`, or remove `cert`)",
            "2:32: error: `key` has no effect without TLS, expected `tls = true` beside it (hint: add `tls = true`, or remove `key`)",
        ],
    );
}

#[test]
fn http_requests() {
    let policy = check_probe(
        "https = { method = \"POST\", version = \"2\", keep_alive = true, pointer = \"/lag\", at_most = 60, headers = { Accept = \"application/json\", authorization = { file = \"token\" }, x-key = { env = \"KEY\" } } }",
        &[],
    )
    .unwrap();
    let kind = &policy.probes[&ProbeName::new("p")].kind;
    let ProbeKind::Http(http) = kind else { panic!("it is an http probe") };
    assert_eq!((http.method, http.version, http.keep_alive), (Method::Post, HttpVersion::Two, true));
    assert_eq!(http.expect.value, Some(("/lag".into(), Comparison::AtMost(60.0))));
    let secrets = [Secret::File("zones/token".into()), Secret::Env("KEY".into())];
    let fields = [
        ("accept".to_owned(), FieldValue::Plain("application/json".into())),
        ("authorization".to_owned(), FieldValue::Secret(secrets[0].clone())),
        ("x-key".to_owned(), FieldValue::Secret(secrets[1].clone())),
    ];
    assert_eq!(http.headers, fields);
    assert_eq!(kind.secrets(), secrets.iter().collect::<Vec<_>>());
    check_probe(
        "http = { method = \"get\", version = \"3\", at_most = 1 }",
        &[
            "2:19: error: `method` is \"get\", expected one of \"GET\", \"HEAD\", \"OPTIONS\", \"POST\" (hint: did you mean \"GET\"?)",
            "2:36: error: `version` is \"3\", expected one of \"1.1\", \"2\" (hint: did you mean \"2\"?)",
            "2:51: error: `at_most` has no effect without `pointer` (hint: add `pointer = \"/KEY\"`, where in the JSON body the value stands)",
        ],
    );
    check_probe(
        "http = { method = \"HEAD\", body = \"ok\" }",
        &["2:19: error: the response to HEAD has no body to be compared (hint: write `method = \"GET\"`)"],
    );
    check_probe(
        "http = { headers = { Host = \"a\", TE = \"trailers\", \"a b\" = \"c\", x = \"1\", X = \"2\", y = \"\\n\", z = {} } }",
        &[
            "2:22: error: header `Host` is not set here (hint: write `host` beside `headers`)",
            "2:34: error: header `TE` is the connection's own, and not set here (hint: remove it)",
            "2:51: error: header `a b` has a name that no header can have (hint: write a name of letters, digits and `-`)",
            "2:73: error: header `X` is there twice (hint: remove one)",
            "2:86: error: `y` is \"\\n\", expected a text of at most 2048 visible characters and spaces, or the place of a secret (hint: write such as \"application/json\", or `{ file = \"token.txt\" }`)",
            "2:96: error: `z` has no place of the secret, expected one of `file`, `env` (hint: write `{ file = \"secret.txt\" }` or `{ env = \"NAME\" }`)",
        ],
    );
    check_probe(
        "http = { headers = { x = { file = \"a\", env = \"B\" }, y = { env = \"a-b\" } } }",
        &[
            "2:26: error: `x` has two places, `file` and `env`, expected exactly one (hint: remove one)",
            "2:65: error: `env` is \"a-b\", expected the name of an environment variable (hint: write such as \"PROBE_PASSWORD\")",
        ],
    );
}

#[test]
fn sources() {
    let source = |keys: &str| {
        let policy = check_probe(&format!("tcp.port = 1\n{keys}"), &[]).unwrap();
        policy.probes[&ProbeName::new("p")].source.clone()
    };
    assert_eq!(source(""), None);
    assert_eq!(source("source = \"192.0.2.7\""), Some(DialFrom::Address("192.0.2.7".parse().unwrap())));
    assert_eq!(source("source = { interface = \"eth1\" }"), Some(DialFrom::Interface("eth1".into())));
    let expected =
        "an address of this machine, or an interface (hint: write such as \"192.0.2.7\" or `{ interface = \"eth1\" }`)";
    check_probe(
        "tcp.port = 1\nsource = \"eth1\"",
        &[&format!("3:10: error: `source` is \"eth1\", expected {expected}")],
    );
    check_probe(
        "tcp.port = 1\nsource = {}",
        &["3:10: error: `source` has no `interface` (hint: add `interface = \"eth1\"`)"],
    );
    check_probe(
        "tcp.port = 1\nsource.interface = \"a-name-too-long-for-one\"",
        &[
            "3:20: error: `interface` is \"a-name-too-long-for-one\", expected the name of a network interface, of 1 to 15 octets (hint: write such as \"eth1\")",
        ],
    );
}

#[test]
fn dns_and_icmp() {
    let dns = |keys: &str| {
        let policy = check_probe(keys, &[]).unwrap();
        match policy.probes[&ProbeName::new("p")].kind.clone() {
            ProbeKind::Dns(dns) => dns,
            other => panic!("{other:?}"),
        }
    };
    let plain = DnsProbe { port: 53, name: name("a."), rtype: Rtype::A, rcode: Rcode::NOERROR, answer: None };
    assert_eq!(dns("dns.name = \"a.\""), plain);
    let full = dns("dns = { port = 5353, name = \"a.\", type = \"MX\", rcode = \"NOERROR\", answer = \"10 b.\" }");
    let answer = Some(b"\0\x0a\x01b\0".as_slice().into());
    assert_eq!(full, DnsProbe { port: 5353, rtype: Rtype::MX, answer, ..plain });
    check_probe("dns = {}", &["2:7: error: `dns` has no `name` (hint: add `name = \"example.net.\"`)"]);
    check_probe(
        "dns = { name = \"a\", type = \"ANY\", rcode = \"OK\" }",
        &[
            "2:16: error: `name` `a` is a relative name, expected an absolute one (hint: write \"a.\")",
            "2:28: error: `type` is \"ANY\", expected a record type that can be asked for (hint: write such as \"SOA\")",
            "2:43: error: `rcode` is \"OK\", expected one of \"NOERROR\", \"NXDOMAIN\", \"REFUSED\", \"SERVFAIL\", \"FORMERR\", \"NOTIMP\" (hint: write \"NOERROR\")",
        ],
    );
    check_probe(
        "dns = { name = \"a.\", rcode = \"NXDOMAIN\", answer = \"192.0.2.1\" }",
        &[
            "2:51: error: `answer` is expected of a response with NXDOMAIN, which has none (hint: remove it, or write `rcode = \"NOERROR\"`)",
        ],
    );
    check_probe(
        "dns = { name = \"a.\", type = \"CNAME\", answer = \"b\" }",
        &["2:47: error: `answer` has a relative name, expected absolute ones (hint: end each name with a dot)"],
    );
    assert_eq!(check_probe("icmp = {}", &[]).unwrap().probes[&ProbeName::new("p")].kind, ProbeKind::Icmp);
    check_probe(
        "icmp = { port = 7 }",
        &["2:10: error: `icmp` has no keys, and so no `port` (hint: write `icmp = {}`)"],
    );
}
