use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::diagnostic::Source;

/// The shipped file, from the root of the project.
const REFERENCE: &str = include_str!("../../config/concierge.toml");

fn read_text(text: &str) -> (Option<Config>, Vec<String>) {
    let (config, problems) = read(&Source::new("config/concierge.toml", text));
    (config, problems.iter().map(ToString::to_string).collect())
}

/// Reads `text` and compares the problems, each as `line:column: severity: message (hint: ...)`.
fn check(text: &str, expected: &[&str]) {
    let (config, problems) = read_text(text);
    let problems: Vec<&str> =
        problems.iter().map(|problem| problem.strip_prefix("config/concierge.toml:").unwrap()).collect();
    assert_eq!(problems, expected, "{text}");
    assert_eq!(config.is_some(), expected.is_empty(), "{text}");
}

/// Every key of the reader, found by asking each table for a key that there is not.
fn known_keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for table in [""].into_iter().chain(TABLES) {
        let text = if table.is_empty() { "zz = 1".into() } else { format!("[{table}]\nzz = 1") };
        let (_, problems) = read_text(&text);
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        let (_, expected) = problem.split_once(", expected ").unwrap();
        let expected = expected.split(" (hint").next().unwrap();
        keys.extend(expected.split('`').skip(1).step_by(2).map(|key| format!("{table}.{key}")));
    }
    keys
}

/// The keys of the reference file, commented out or not, and the tables among them.
fn written_keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut table = String::new();
    for line in REFERENCE.lines() {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']').into();
            keys.insert(format!(".{table}"));
        } else if let Some(key) = key_of(line.trim_start_matches("# ")) {
            keys.insert(format!("{table}.{key}"));
        }
    }
    keys
}

/// The key, if the line sets one.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(" = ")?;
    key.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_').then_some(key)
}

#[test]
fn the_reference_is_the_defaults() {
    let (config, problems) = read_text(REFERENCE);
    assert_eq!(problems, [""; 0]);
    assert_eq!(config, Some(Config::default_at(Path::new("config"))));
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    assert_eq!(written_keys(), known_keys());
}

#[test]
fn every_line_of_the_reference_that_is_commented_out_loads() {
    let uncommented = |line: &&str| line.strip_prefix("# ").is_some_and(|line| key_of(line).is_some());
    assert_eq!(REFERENCE.lines().filter(uncommented).count(), 20);
    let text: Vec<&str> = REFERENCE.lines().map(|line| if uncommented(&line) { &line[2..] } else { line }).collect();
    let (config, problems) = read_text(&text.join("\n"));
    assert_eq!(problems, [""; 0]);
    let config = config.unwrap();
    assert_eq!((config.health.resolvers.len(), config.public.listen.len()), (2, 1));
    assert_eq!(config.limits.trust_ecs_from.len(), 2);
    let Listen { tls, https, quic, https3, .. } = &config.listen;
    assert_eq!([tls, https, quic, https3].map(Vec::len), [2; 4]);
    assert!(config.tls.is_some());
    assert_eq!(config.proxy.from.len(), 2);
    assert_eq!(config.audit.keep, Some(Duration::from_hours(400 * 24)));
    assert_eq!(config.process.readable, [Path::new("/srv/zones")]);
}

#[test]
fn a_value_set_is_the_value_read() {
    let (config, problems) = read_text(
        "zones = \"z\"\nstate = \"/var/lib/concierge\"\n\
         [listen]\ndns = [\"0.0.0.0:53\", \"[::]:0\", \"[::]:0\"]\nworkers = 4\ntcp_workers = 3\n\
         udp_receive_buffer = \"512KiB\"\nudp_send_buffer = \"1GiB\"\nbusy_poll = \"50us\"\n\
         [limits]\nmax_udp_bytes = 4096\ntcp_connections = 1_000_000\ntcp_idle = \"1m30s\"\ndrain = \"0s\"\n\
         trust_ecs_from = [\"192.0.2.53\", \"2001:db8:53::/48\"]\n\
         queries_per_second_per_client = 9\namplification = 0\n\
         tcp_connections_per_client = 7\ntls_handshakes = 16\ntls_handshakes_per_client = 3\n\
         https_connections = 5\nquic_connections = 6\nunlimited = []\n\
         [rate_limit]\nresponses_per_second = 20\nslip = 0\nipv4_prefix = 32\nipv6_prefix = 48\nexempt = [\"::1\"]\ntable = \"64KiB\"\n\
         [access]\nallow = [\"10.0.0.0/8\"]\ndeny = [\"10.1.0.0/16\"]\naction = \"drop\"\n\
         [tls]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"\n[proxy]\nfrom = [\"192.0.2.10\"]\n\
         [edns]\ncookie_secrets = \"c.keys\"\ncookies_required = true\nnsid = \"ns1\"\n[identity]\nversion = \"1\"\nhostname = \"h\"\nid = \"i\"\n\
         [public]\nlisten = [\"[::1]:8053\"]\nconnections = 16\n[health]\nresolvers = [\"::1\"]\n[statistics]\nresolvers = 0\n[dnstap]\nfile = \"d.tap\"\nidentity = \"ns1\"\nsample = 7\n[query_log]\nfile = \"q.json\"\nsample = 9\n[process]\nlandlock = false\nreadable = [\"more\"]\ndrop_privileges = false\ncore_dumps = true\n[log]\nformat = \"json\"\nfilter = \" warn, concierge::health=debug\"\n",
    );
    assert_eq!(problems, [""; 0]);
    let config = config.unwrap();
    assert_eq!(config.zones, Path::new("config/z"));
    assert_eq!(config.admin.socket, Path::new("/var/lib/concierge/admin.sock"));
    assert_eq!(config.listen.dns.len(), 3);
    assert_eq!((config.listen.workers, config.listen.tcp_workers), (4, 3));
    assert_eq!(config.limits.tcp_connections, 1_000_000);
    assert_eq!((config.listen.udp_receive_buffer, config.listen.udp_send_buffer), (512 << 10, 1 << 30));
    assert_eq!(config.listen.busy_poll.as_micros(), 50);
    assert_eq!(config.limits.tcp_idle.as_secs(), 90);
    let Limits { tcp_connections_per_client, tls_handshakes, tls_handshakes_per_client, .. } = config.limits;
    assert_eq!((tcp_connections_per_client, tls_handshakes, tls_handshakes_per_client), (7, 16, 3));
    assert_eq!((config.limits.https_connections, config.limits.quic_connections), (5, 6));
    assert_eq!(config.limits.unlimited, []);
    assert_eq!(config.tls, Some(Tls { certificate: "config/c.pem".into(), key: "/k.pem".into() }));
    assert_eq!(config.proxy.from, ["192.0.2.10/32".parse().unwrap()]);
    let trusted = ["192.0.2.53/32", "2001:db8:53::/48"].map(|prefix| prefix.parse().unwrap());
    assert_eq!(config.limits.trust_ecs_from, trusted);
    let Limits { queries_per_second_per_client, amplification, .. } = config.limits;
    assert_eq!((queries_per_second_per_client, amplification), (9, 0));
    let rate_limit = RateLimit {
        responses_per_second: 20,
        burst: 20,
        slip: 0,
        ipv4_prefix: 32,
        ipv6_prefix: 48,
        exempt: vec!["::1/128".parse().unwrap()],
        table: 64 << 10,
    };
    assert_eq!(config.rate_limit, rate_limit);
    let (allow, deny) = (vec!["10.0.0.0/8".parse().unwrap()], vec!["10.1.0.0/16".parse().unwrap()]);
    assert_eq!(config.access, Access { allow, deny, denial: Denial::Drop });
    assert_eq!(config.public, Public { listen: vec!["[::1]:8053".parse().unwrap()], connections: 16 });
    let edns = Edns {
        cookies: true,
        cookie_secrets: Some("config/c.keys".into()),
        cookies_required: true,
        nsid: "ns1".into(),
    };
    assert_eq!(config.edns, edns);
    assert_eq!(config.identity, Identity { version: "1".into(), hostname: "h".into(), id: "i".into() });
    assert_eq!(config.health.resolvers, ["[::1]:53".parse().unwrap()]);
    assert_eq!(config.statistics.resolvers, 0);
    let file = Some("config/d.tap".into());
    assert_eq!(config.dnstap, Dnstap { socket: None, file, sample: 7, identity: "ns1".into() });
    assert_eq!(config.query_log, QueryLog { file: Some("config/q.json".into()), sample: 9 });
    let readable = vec!["config/more".into()];
    assert_eq!(config.process, Process { landlock: false, readable, drop_privileges: false, core_dumps: true });
    assert_eq!((config.log.format, config.log.filter.as_str()), (LogFormat::Json, "warn,concierge::health=debug"));
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let check = |file: &str, zones: &str, expected: &str| {
        let (config, _) = read(&Source::new(file, format!("zones = \"{zones}\"")));
        assert_eq!(config.unwrap().zones, Path::new(expected), "{zones} in {file}");
    };
    check("config/concierge.toml", "../zones", "zones");
    check("config/concierge.toml", "zones", "config/zones");
    check("concierge.toml", "../zones", "../zones");
    check("concierge.toml", ".", ".");
    check("../config/concierge.toml", "../../zones", "../../zones");
    check("/etc/concierge/concierge.toml", "../../../zones", "/zones");
    check("config/concierge.toml", "/srv/zones", "/srv/zones");
}

#[test]
fn mistakes_are_named() {
    check(
        "zone = \"z\"",
        &[
            "1:1: error: unknown key `zone`, expected one of `zones`, `state`, `listen`, `limits`, `rate_limit`, `access`, `tls`, `proxy`, `edns`, `identity`, `admin`, `public`, `health`, `audit`, `statistics`, `dnstap`, `query_log`, `process`, `log` (hint: did you mean `zones`?)",
        ],
    );
    check(
        "zones = 1",
        &[
            "1:9: error: `zones` is the integer 1, expected a path (hint: write it in quotes, relative to this file's folder)",
        ],
    );
    check(
        "zones = \"\"",
        &["1:9: error: `zones` is \"\", expected a path (hint: write it relative to this file's folder)"],
    );
    check(
        "listen = 1",
        &["1:10: error: `listen` is the integer 1, expected a table (hint: write a table: `[listen]`)"],
    );
    check(
        "listen.dns = []",
        &[
            "1:14: error: `dns` is empty, expected at least one address and port (hint: write `dns = [\"127.0.0.1:5300\", \"[::1]:5300\"]`)",
        ],
    );
    check(
        "listen.dns = \"127.0.0.1:53\"",
        &[
            "1:14: error: `dns` is \"127.0.0.1:53\", expected a list of addresses with ports (hint: write a list such as [\"127.0.0.1:5300\", \"[::1]:5300\"])",
        ],
    );
    check(
        "listen.dns = [\"::1\"]",
        &[
            "1:15: error: an entry of `dns` is \"::1\", expected an address and port (hint: write the port too: \"[::1]:53\")",
        ],
    );
    check(
        "listen.dns = [\"::1:x\", \"224.0.0.1:53\"]",
        &[
            "1:15: error: an entry of `dns` is \"::1:x\", expected an address and port (hint: write such as \"127.0.0.1:5300\" or \"[::1]:5300\")",
            "1:24: error: 224.0.0.1:53 is a multicast address, expected a unicast one (hint: write an address of this machine)",
        ],
    );
    check(
        "listen.dns = [\"127.0.0.1:53\", \"127.0.0.1:53\"]",
        &[
            "1:31: error: 127.0.0.1:53 is written twice (first here: config/concierge.toml:1:15) (hint: remove one of the two)",
        ],
    );
    check(
        "[listen]\ndns = [\"127.0.0.1:53\"]\ntls = [\"127.0.0.1:853\", \"127.0.0.1:53\"]\nhttps3 = [\"127.0.0.1:853\"]\n\
         quic = [\"127.0.0.1:853\"]\n[tls]\ncertificate = \"a\"\nkey = \"b\"\n[public]\nlisten = [\"127.0.0.1:853\"]",
        &[
            "3:25: error: 127.0.0.1:53 is written twice (first here: config/concierge.toml:2:8) (hint: remove one of the two)",
            "4:11: error: 127.0.0.1:853 is written twice (first here: config/concierge.toml:5:9) (hint: remove one of the two)",
            "10:11: error: 127.0.0.1:853 is written twice (first here: config/concierge.toml:3:8) (hint: remove one of the two)",
        ],
    );
    check(
        "listen.workers = 257",
        &[
            "1:18: error: `workers` is the integer 257, expected a whole number from 0 to 256 (hint: write a number in the range, such as `0`)",
        ],
    );
    check(
        "listen.udp_receive_buffer = 4194304",
        &[
            "1:29: error: `udp_receive_buffer` is the integer 4194304, expected a size in KiB, MiB or GiB (hint: write a whole number with its unit, such as \"4MiB\")",
        ],
    );
    check(
        "listen.udp_receive_buffer = \"4MB\"",
        &[
            "1:29: error: `udp_receive_buffer` is \"4MB\", expected a size in KiB, MiB or GiB (hint: write a whole number with its unit, such as \"4MiB\")",
        ],
    );
    check(
        "listen.udp_send_buffer = \"63KiB\"",
        &["1:26: error: `udp_send_buffer` is \"63KiB\", expected 64KiB to 1GiB (hint: write at least \"64KiB\")"],
    );
    check(
        "listen.udp_send_buffer = \"1025MiB\"",
        &["1:26: error: `udp_send_buffer` is \"1025MiB\", expected 64KiB to 1GiB (hint: write at most \"1GiB\")"],
    );
    check(
        "listen.busy_poll = \"1s\"",
        &[
            "1:20: error: `busy_poll` is \"1s\", expected a duration in us or ms, or \"0s\" (hint: write a whole number with its unit, such as \"50us\")",
        ],
    );
    check(
        "listen.busy_poll = \"11ms\"",
        &["1:20: error: `busy_poll` is \"11ms\", expected 0us to 10ms (hint: write at most \"10ms\")"],
    );
    check("listen.busy_poll = \"10ms\"", &[]);
    check("listen.busy_poll = \"0s\"", &[]);
    check(
        "limits.max_udp_bytes = 511",
        &[
            "1:24: error: `max_udp_bytes` is the integer 511, expected a whole number from 512 to 4096 (hint: write a number in the range, such as `512`)",
        ],
    );
    check(
        "limits.trust_ecs_from = [\"192.0.2.1/24\", \"resolver.example.\", 7]",
        &[
            "1:26: error: an entry of `trust_ecs_from` is 192.0.2.1/24, which has bits beyond its length (hint: write \"192.0.2.0/24\")",
            "1:42: error: an entry of `trust_ecs_from` is \"resolver.example.\", expected an address or a prefix (hint: write such as \"192.0.2.53\" or \"2001:db8:53::/48\")",
            "1:63: error: an entry of `trust_ecs_from` is the integer 7, expected an address or a prefix (hint: write such as \"192.0.2.53\" or \"2001:db8:53::/48\")",
        ],
    );
    check(
        "limits.tcp_connections = \"9\"",
        &[
            "1:26: error: `tcp_connections` is \"9\", expected a whole number from 1 to 1000000 (hint: write a number in the range, such as `1`)",
        ],
    );
    check(
        "limits.tcp_idle = 10",
        &[
            "1:19: error: `tcp_idle` is the integer 10, expected a duration in d, h, m, s or ms (hint: write the unit, in quotes: \"10s\")",
        ],
    );
    check(
        "limits.tcp_idle = \"11m\"",
        &["1:19: error: `tcp_idle` is \"11m\", expected 1s to 10m (hint: write at most \"10m\")"],
    );
    check(
        "audit.keep = \"12h\"",
        &["1:14: error: `keep` is \"12h\", expected 1d to 36500d (hint: write at least \"1d\")"],
    );
    check(
        "limits.drain = \"5 s\"",
        &[
            "1:16: error: `drain` is \"5 s\", expected a duration in d, h, m, s or ms (hint: write such as \"30s\", \"1m30s\" or \"250ms\")",
        ],
    );
    check(
        "edns.cookies = \"required\"",
        &[
            "1:16: error: `cookies` is \"required\", expected true or false (hint: write `true` or `false` without quotes)",
        ],
    );
    check(
        "edns.cookies = false\nedns.cookies_required = true",
        &[
            "2:25: error: `cookies_required` is true, and cookies are off (hint: write `cookies = true`, or leave `cookies_required` out)",
        ],
    );
    let long = "x".repeat(129);
    check(
        &format!("edns.nsid = \"{long}\""),
        &["1:13: error: `nsid` has 129 octets, expected at most 128 (hint: write a shorter one)"],
    );
    check(&format!("identity.id = \"{long}\""), &[]);
    check(
        "health.resolvers = [\"dns.example.\"]",
        &[
            "1:21: error: an entry of `resolvers` is \"dns.example.\", expected an address and port (hint: write such as \"127.0.0.1:5300\" or \"[::1]:5300\")",
        ],
    );
    check(
        "log.format = \"jsn\"",
        &["1:14: error: `format` is \"jsn\", expected one of \"text\", \"json\" (hint: did you mean \"json\"?)"],
    );
    check(
        "log.filter = \"inof\"",
        &[
            "1:14: error: `filter` is \"inof\", expected a level or directives (hint: did you mean \"info\" instead of \"inof\"?)",
        ],
    );
    // With its space the library would cut it within a character.
    check("log.filter = \"info, modul_\u{e9}=debug\"", &[]);
    check(
        "log.filter = \"a=b=c\"",
        &[
            "1:14: error: `filter` is \"a=b=c\", expected a level or directives (hint: write such as \"info\" or \"info,concierge::health=debug\")",
        ],
    );
    let long = "x".repeat(100);
    check(&format!("admin.socket = \"/{long}/s\""), &[]);
    check(
        &format!("admin.socket = \"/{long}/12345678\""),
        &[
            "1:16: error: the path of the socket has 110 octets, expected at most 107 (hint: write a shorter one, such as \"/run/concierge/admin.sock\")",
        ],
    );
}

#[test]
fn all_mistakes_of_a_file_are_reported_with_its_syntax_errors() {
    check(
        "[listen]\nworkers = -1\ndns = [\"::1:53\" \"::1\"]\nworkers = 3\n[log]\nformat = txt\nfilter = 5\n",
        &[
            "2:11: error: `workers` is the integer -1, expected a whole number from 0 to 256 (hint: write a number in the range, such as `0`)",
            "3:17: error: TOML syntax: missing comma between array elements, expected `,` (hint: separate the two with a comma)",
            "4:1: error: `workers` is defined twice (first defined here: config/concierge.toml:2:1) (hint: keep one of the two)",
            "6:10: error: TOML syntax: `txt` is neither true nor false, and not in quotes (hint: write \"txt\" in quotes)",
            "7:10: error: `filter` is the integer 5, expected a log filter (hint: write such as \"info\" or \"info,concierge::health=debug\")",
        ],
    );
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_where_it_is_not() {
    let (config, problems) = read(&Source::new("c.toml", b"zones = \"\xff\"".to_vec()));
    assert!(config.is_none());
    assert_eq!(
        problems[0].to_string(),
        "c.toml:1:10: error: octet 0xff is not UTF-8, expected a TOML file in UTF-8 (hint: save the file as UTF-8)"
    );
}

proptest! {
    #[test]
    fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let (config, problems) = read(&Source::new("c.toml", octets));
        prop_assert_eq!(config.is_none(), crate::diagnostic::has_errors(&problems));
    }

    #[test]
    fn any_change_of_the_reference_is_read_without_panic(
        at in 0..REFERENCE.len(), length in 0usize..40, put in "[\\[\\]{}=\"',.#\n a-z0-9é]{0,8}",
    ) {
        let mut text = REFERENCE.as_bytes().to_vec();
        text.splice(at..(at + length).min(REFERENCE.len()), put.bytes());
        let (config, problems) = read(&Source::new("c.toml", text));
        prop_assert_eq!(config.is_none(), crate::diagnostic::has_errors(&problems));
        prop_assert!(problems.iter().all(|problem| problem.place.is_some()));
    }
}
