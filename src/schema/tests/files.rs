//! The files of this project, and wrong ones.

use super::*;

/// The README and every page of the documentation, with its name.
#[expect(clippy::disallowed_methods, reason = "the pages that there are")]
fn pages() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn the_schemas_in_the_repository_are_current() {
    let check = |kind: Kind, name: &str, text: &str| {
        let current = format!("{}\n", serde_json::to_string_pretty(&kind.schema()).unwrap());
        assert!(text == current, "run `concierge schema {name} > config/schema/{name}.json`");
    };
    check(Kind::Policy, "policy", include_str!("../../../config/schema/policy.json"));
    check(Kind::Config, "config", include_str!("../../../config/schema/config.json"));
}

#[test]
fn the_shipped_files_name_their_schema_and_meet_it() {
    let check = |kind: Kind, schema: &str, text: &str| {
        assert_eq!(text.lines().next(), Some(format!("#:schema {schema}").as_str()));
        assert_eq!(kind.violations(text), [""; 0]);
    };
    check(Kind::Policy, "../config/schema/policy.json", include_str!("../../../zones/example.net.toml"));
    check(Kind::Config, "./schema/config.json", include_str!("../../../config/concierge.toml"));
}

/// The lines of the shipped files that are commented out are examples too.
#[test]
fn what_the_shipped_configuration_leaves_out_meets_the_schema() {
    let text = include_str!("../../../config/concierge.toml");
    let key = |line: &str| {
        line.split_once(" = ")
            .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
    };
    let plain = |line: &str| match line.strip_prefix("# ") {
        Some(inner) if key(inner) => inner.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<String> = text.lines().map(plain).collect();
    assert_eq!(Kind::Config.violations(&text.join("\n")), [""; 0]);
}

/// A hub that a page speaks of may be shown without its endpoints, but on the page that describes every key.
#[test]
fn the_examples_of_the_pages_meet_the_schema() {
    let mut blocks = 0;
    for (page, text) in pages() {
        let shortened = |violation: &String| {
            violation.starts_with("/hubs/")
                && violation.ends_with("\"endpoints\" is a required property")
                && !page.ends_with("policy.md")
        };
        for block in text.split("```toml\n").skip(1).filter_map(|block| block.split("\n```").next()) {
            let document: toml::Table = block.parse().unwrap_or_else(|error| panic!("{page}: {error}\n{block}"));
            let knows = |kind: &Kind| document.keys().all(|key| kind.schema()["properties"][key].is_object());
            let kind = KINDS.into_iter().find(knows).unwrap_or_else(|| panic!("{page} is of neither kind:\n{block}"));
            let violations: Vec<String> =
                kind.violations(block).into_iter().filter(|violation| !shortened(violation)).collect();
            assert_eq!(violations, [""; 0], "{page}\n{block}");
            blocks += 1;
        }
    }
    assert!(blocks >= 12, "{blocks}");
}

/// Both refuse it; what is right about it beside the mistake is for neither to say.
#[test]
fn wrong_files_are_refused_by_schema_and_reader() {
    let check = |kind: Kind, text: &str| {
        assert_ne!(kind.violations(text), [""; 0], "the schema takes {text}");
        assert_ne!(kind.errors(text), [""; 0], "the reader takes {text}");
    };
    for text in [
        "zone = \"z\"",
        "zones = 1",
        "zones = \"\"",
        "listen = 1",
        "listen.dns = []",
        "listen.dns = \"127.0.0.1:53\"",
        "listen.dns = [\"::1\"]",
        "listen.workers = 257",
        "listen.workers = 1.5",
        "listen.udp_receive_buffer = 4194304",
        "listen.udp_receive_buffer = \"4MB\"",
        "listen.busy_poll = \"1s\"",
        "limits.max_udp_bytes = 511",
        "limits.tcp_idle = 10",
        "limits.tcp_idle = \"10 s\"",
        "limits.drain = \"1s1m\"",
        "limits.trust_ecs_from = [\"dns.example.\"]",
        "health.resolvers = [\"dns.example.\"]",
        "log.format = \"jsn\"",
        "public.connections = 15",
    ] {
        check(Kind::Config, text);
    }
    let hub = |keys: &str| {
        format!(
            "hubs.\"h.example.net.\" = {{ endpoints = [{{ region = \"r\", cname = \"a.example.org.\" }}], {keys} }}"
        )
    };
    let endpoint = |keys: &str| format!("hubs.\"h.example.net.\" = {{ endpoints = [{{ {keys} }}] }}");
    for text in [
        "hub = {}".to_owned(),
        "regions.Weu = {}".into(),
        "regions.weu = { location = [1.0] }".into(),
        "regions.weu = { location = [91, 0] }".into(),
        "regions.weu = { location = [1, 2, 3] }".into(),
        "probes.p = {}".into(),
        "probes.p = { tcp = {} }".into(),
        "probes.p = { tcp = { port = 0 } }".into(),
        "probes.p = { tcp = { port = 1 }, http = {} }".into(),
        "probes.p = { tcp = { port = 1 }, fall = 0 }".into(),
        "probes.p = { tcp = { port = 1 }, interval = \"5\" }".into(),
        "probes.p = { http = { path = \"health\" } }".into(),
        "probes.p = { http = { status = 600 } }".into(),
        "probes.p = { http = { status = [] } }".into(),
        "probes.p = { http = { body = \"\" } }".into(),
        "probes.p = { http = { host = \"example.net.\" } }".into(),
        "probes.p = { https = { tls = true } }".into(),
        "probes.p = { tcp = { port = 1 }, source = 1 }".into(),
        "probes.p = { tcp = { port = 1 }, source = {} }".into(),
        "probes.p = { tcp = { port = 1, send = \"\" } }".into(),
        "probes.p = { tls = { expiry_fail = \"1m\", port = \"443\" } }".into(),
        "probes.p = { tls = { key = \"k.pem\" } }".into(),
        "probes.p = { http = { method = \"get\" } }".into(),
        "probes.p = { http = { headers = { \"a b\" = \"c\" } } }".into(),
        "probes.p = { http = { headers = { a = {} } } }".into(),
        "probes.p = { http = { at_least = 1 } }".into(),
        "probes.p = { http = { pointer = \"a\", equals = 1 } }".into(),
        "probes.p = { dns = {} }".into(),
        "probes.p = { dns = { name = \"example.net\" } }".into(),
        "probes.p = { dns = { name = \"example.net.\", rcode = \"OK\" } }".into(),
        "probes.p = { icmp = { port = 1 } }".into(),
        "probes.p = { mqtt = { version = \"4\" } }".into(),
        "probes.p = { mqtt = { password = \"secret\" } }".into(),
        "probes.p = { mqtt = { tls = true, cert = \"c.pem\" } }".into(),
        "probes.p = { mqtt = { topic = \"a/+\" } }".into(),
        "probes.p = { amqp = { sasl = \"gssapi\" } }".into(),
        "probes.p = { amqp = { username = \"u\", password = { file = \"f\", env = \"E\" } } }".into(),
        "probes.p = { grpc = {} }".into(),
        "probes.p = { exec = {} }".into(),
        "probes.p = { push = { lease = 30 } }".into(),
        "probes.p = { composite = {} }".into(),
        "probes.p = { composite = { all = [] } }".into(),
        "probes.p = { composite = { at_least = 1 } }".into(),
        "probes.p = { composite = { all = [\"a\"], any = [\"a\"] } }".into(),
        "references.r = { probe = \"p\" }".into(),
        "gates.g = { ack = false }".into(),
        "gates.g = { http = {} }".into(),
        "gates.g = { http = { url = \"ftp://example.net/\" } }".into(),
        "gates.g = { http = { url = \"https://example.net/\", at_most = 1 } }".into(),
        "gates.g = { exec = { command = [] } }".into(),
        "gates.g = { exec = { command = \"/bin/true\" } }".into(),
        "rules.r = { at_least = 1 }".into(),
        "rules.r = { at_least = 1, at_most = 2, of = [\"h.example.net./r\"] }".into(),
        "rules.r = { gate = \"g\", of = [\"h.example.net./r\"] }".into(),
        "hubs.\"h.example.net\" = { endpoints = [{ region = \"r\", cname = \"a.example.org.\" }] }".into(),
        "hubs.\"h.example.net.\" = {}".into(),
        "hubs.\"h.example.net.\" = { endpoints = [] }".into(),
        endpoint("cname = \"a.example.org.\""),
        endpoint("region = \"r\""),
        endpoint("region = \"r\", cname = \"a.example.org\""),
        endpoint("region = \"r\", cname = \"a.example.org.\", addresses = [\"192.0.2.1\"]"),
        endpoint("region = \"r\", addresses = []"),
        endpoint("region = \"r\", records = [\"MX\"]"),
        hub("policy = \"random\""),
        hub("ttl = 30"),
        hub("ttl_spread = 51"),
        hub("failback = \"auto\""),
        hub("failback = { before = \"1m\" }"),
        hub("when_all_down = \"none\""),
        hub("budget = \"2 a day\""),
        hub("budget = { switches = 2 }"),
        hub("approvals = 3"),
        hub("gates = [{ gate = \"g\" }]"),
        hub("gates = [{ gate = \"g\", on = \"failover\", on_shut = \"wait\" }]"),
        hub("fence = {}"),
        hub("fence = { exec = { command = [\"/bin/true\"] }, on_failure = \"hold\" }"),
        hub("canary = \"yes\""),
        hub("policy = \"geo\", map = []"),
        hub("policy = \"geo\", map = [{ country = \"DE\" }]"),
        hub("policy = \"geo\", map = [{ to = [\"r\"] }]"),
        hub("policy = \"geo\", map = [{ country = \"de\", to = [\"r\"] }]"),
        hub("policy = \"geo\", map = [{ continent = \"XX\", to = [\"r\"] }]"),
        hub("policy = \"geo\", map = [{ subnet = \"192.0.2.0\", to = [\"r\"] }]"),
        hub("policy = \"geo\", map = [{ asn = 0, to = [\"r\"] }]"),
        hub("policy = \"geo\", map = [{ asn = 1, country = \"DE\", to = [\"r\"] }]"),
        hub("policy = \"geo\", default = []"),
        hub("policy = \"all\", most = 0"),
        hub("policy = \"sticky\", prefixes = { ipv4 = 33 }"),
        hub("policy = \"sticky\", prefixes = { ipv6 = 65 }"),
        endpoint("region = \"r\", cname = \"a.example.org.\", weight = 65536"),
        endpoint("region = \"r\", hub = \"i.example.net\""),
        "geo = {}".into(),
        "geo = { database = \"\" }".into(),
    ] {
        check(Kind::Policy, &text);
    }
}
