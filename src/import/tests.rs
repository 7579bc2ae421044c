//! The fixtures against the readers, and what is made of single things.

use std::path::Path;

use super::{Import, Input, gdnsd, route53, traffic_manager};
use crate::diagnostic::{Severity, Source};
use crate::zone::Zone;

const CONFIG: &str = include_str!("../../tests/integration/corpus/import/gdnsd/config");
const ZONE: &str = include_str!("../../tests/integration/corpus/import/gdnsd/zones/example.com");
const RECORDS: &str = include_str!("../../tests/integration/corpus/import/route53/records.json");
const CHECKS: &str = include_str!("../../tests/integration/corpus/import/route53/health-checks.json");
const BLOCKS: &str = include_str!("../../tests/integration/corpus/import/route53/cidr-blocks.json");

const PROFILES: &str = include_str!("../../tests/integration/corpus/import/traffic-manager/profiles.json");

fn input(name: &str, text: &str) -> Input {
    Input { name: name.into(), text: text.into() }
}

fn no_include(_: &str, path: &str) -> Result<Vec<Input>, String> {
    Err(format!("no file {path}"))
}

fn of_gdnsd(config: &str, zone: &str) -> Import {
    gdnsd(&[input("config", config), input("zones/example.com", zone)], &mut no_include).unwrap()
}

/// A zone with these lines, and a configuration with these plugins.
fn small(plugins: &str, lines: &str) -> Import {
    let zone = format!("$TTL 60\n@ SOA ns1 h 1 2 3 4 5\n  NS ns1\nns1 A 192.0.2.1\n{lines}\n");
    of_gdnsd(&format!("plugins => {{ {plugins} }}"), &zone)
}

fn of_route53(sets: &str) -> Import {
    let soa = r#"{"Name":"example.com.","Type":"SOA","TTL":900,"ResourceRecords":[{"Value":"ns1.example.org. h.example.org. 1 2 3 4 5"}]},
                 {"Name":"example.com.","Type":"NS","TTL":900,"ResourceRecords":[{"Value":"ns1.example.org."}]}"#;
    route53(&[input("records.json", &format!("{{\"ResourceRecordSets\":[{soa},{sets}]}}"))]).unwrap()
}

fn notes(import: &Import) -> Vec<String> {
    import.notes.iter().map(ToString::to_string).collect()
}

/// Every policy and zone that comes out is taken by their readers; the warnings, but those of probes that are missing.
#[track_caller]
fn check_whole(import: &Import) -> Vec<String> {
    check_in(import, Vec::new())
}

/// The same beside zones that are there already.
#[track_caller]
fn check_in(import: &Import, mut zones: Vec<Zone>) -> Vec<String> {
    for output in &import.zones {
        let (zone, problems) = read_zone(&output.name, &output.text);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        zones.push(zone.unwrap_or_else(|| panic!("{problems:#?}\n{}", output.text)));
    }
    let source = Source::new(Path::new("zones").join(&import.policy.name), import.policy.text.clone());
    let (_, problems) = crate::policy::read(&[source], &zones);
    let errors: Vec<String> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{}", import.policy.text);
    let warnings = problems.iter().map(|problem| problem.message.clone());
    warnings.filter(|message| !message.contains("has no `probe`")).collect()
}

fn read_zone(name: &str, text: &str) -> (Option<Zone>, Vec<crate::diagnostic::Diagnostic>) {
    let apex = crate::dns::Name::parse(name.strip_suffix("zone").unwrap(), None).unwrap();
    let octets = text.to_owned().into_bytes();
    crate::zone::read(Path::new(name), &apex, &mut |_| Ok(Box::new(std::io::Cursor::new(octets.clone()))))
}

/// The lines of a hub, from its header to the next table.
fn hub<'i>(import: &'i Import, name: &str) -> &'i str {
    let header = format!("[hubs.\"{name}\"]\n");
    let (_, rest) = import.policy.text.split_once(&header).unwrap_or_else(|| panic!("{}", import.policy.text));
    rest.split("\n[").next().unwrap()
}

#[track_caller]
fn check_hub(import: &Import, name: &str, expected: &[&str]) {
    let hub = hub(import, name);
    assert_eq!(hub.trim_end().lines().collect::<Vec<_>>(), expected, "{}", import.policy.text);
}

#[test]
fn the_fixture_of_gdnsd_is_a_policy_without_mistakes() {
    let import = of_gdnsd(CONFIG, ZONE);
    assert_eq!(check_whole(&import), [""; 0]);
    assert_eq!(import.zones[0].name, "example.com.zone");
}

#[test]
fn the_fixture_of_route_53_is_a_policy_without_mistakes() {
    let inputs = [input("records.json", RECORDS), input("checks.json", CHECKS), input("blocks.json", BLOCKS)];
    let import = route53(&inputs).unwrap();
    assert_eq!(check_whole(&import), [""; 0]);
}

/// Whatever is said stands in the policy too, where somebody finds it who reads it a year later.
#[test]
fn every_note_is_a_comment() {
    let inputs = [input("records.json", RECORDS), input("checks.json", CHECKS)];
    let profiles = traffic_manager(&[input("profiles.json", PROFILES)], "example.com.").unwrap();
    for import in [of_gdnsd(CONFIG, ZONE), route53(&inputs).unwrap(), profiles] {
        let comments: Vec<&str> = import.policy.text.lines().filter_map(|line| line.strip_prefix('#')).collect();
        let comments = comments.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(import.notes.len() > 10);
        for note in &import.notes {
            assert!(comments.contains(&note.sentence), "{note}");
        }
    }
}

#[test]
fn simplefo_is_a_priority_hub_that_goes_back_by_itself() {
    let import = small(
        "simplefo => { pair => { primary => 192.0.2.1, secondary => 192.0.2.2 } }",
        "www 300/40 DYNA simplefo!pair",
    );
    let expected = [
        "policy = \"priority\"",
        "ttl = \"5m\"",
        "ttl_min = \"40s\"",
        "failback = { after = \"1s\" }",
        "when_all_down = { region = \"pair-primary\" }",
        "endpoints = [",
        "  { region = \"pair-primary\", addresses = [\"192.0.2.1\"] },",
        "  { region = \"pair-secondary\", addresses = [\"192.0.2.2\"] },",
        "]",
    ];
    check_hub(&import, "www.example.com.", &expected);
    check_whole(&import);
}

#[test]
fn multifo_answers_all_that_are_up() {
    let import = small("multifo => { web => [ 192.0.2.1, 192.0.2.2 ] }", "www 40 DYNA multifo!web");
    let expected = [
        "policy = \"all\"",
        "ttl = \"40s\"",
        "ttl_min = \"20s\"",
        "when_all_down = \"all\"",
        "endpoints = [",
        "  { region = \"web-1\", addresses = [\"192.0.2.1\"] },",
        "  { region = \"web-2\", addresses = [\"192.0.2.2\"] },",
        "]",
    ];
    check_hub(&import, "www.example.com.", &expected);
    check_whole(&import);
}

#[test]
fn a_datacenter_of_several_addresses_that_are_watched_is_a_hub_of_its_own() {
    let plugins = "metafo => { service_types => never, resources => { hub => { datacenters => [ a, b ]
                   dcmap => { a => 192.0.2.1, b => [ 192.0.2.2, 192.0.2.3 ] } } } }";
    let config =
        format!("service_types => {{ never => {{ plugin => tcp_connect, port => 1 }} }} plugins => {{ {plugins} }}");
    let import = of_gdnsd(&config, "$TTL 9\n@ SOA n. h. 1 2 3 4 5\n NS n.\nwww DYNC metafo!hub");
    let outer = hub(&import, "www.example.com.");
    assert!(outer.contains("{ region = \"a\", addresses = [\"192.0.2.1\"], probe = \"never\" }"), "{outer}");
    assert!(outer.contains("{ region = \"b\", hub = \"_b._hub.example.com.\" }"), "{outer}");
    assert!(hub(&import, "_b._hub.example.com.").contains("policy = \"all\""));
    check_whole(&import);
}

/// The name of a datacenter is the region everywhere, that of a group's member in its group alone.
#[test]
fn regions_are_datacenters_or_the_members_of_a_group() {
    let dcs = "datacenters => [ weu, neu ], dcmap => { weu => 192.0.2.1, neu => 192.0.2.2 }";
    let plugins = format!(
        "metafo => {{ resources => {{ one => {{ {dcs} }}, two => {{ {dcs} }} }} }}
         simplefo => {{ p => {{ primary => 192.0.2.1, secondary => 192.0.2.2 }} q => {{ primary => 192.0.2.1, secondary => 192.0.2.2 }} }}"
    );
    let import = small(&plugins, "a DYNA metafo!one\nb DYNA metafo!two\nc DYNA simplefo!p\nd DYNA simplefo!q");
    let regions: Vec<&str> = import.policy.text.lines().filter_map(|line| line.strip_prefix("[regions.")).collect();
    assert_eq!(regions, ["neu]", "p-primary]", "p-secondary]", "q-primary]", "q-secondary]", "weu]"]);
}

#[test]
fn a_map_of_gdnsd_loses_what_is_below_a_country_and_says_so() {
    let maps = "maps => { m => { geoip2_db => City.mmdb, datacenters => [ weu, eus ]
        map => { EU => { default => [ weu ], DE => [ weu, eus ], FR => { default => eus, Paris => weu } }, NA => eus, AN => [] }
        nets => { 192.0.2.77/24 => eus } } }";
    let resources = "resources => { r => { map => m, dcmap => { weu => 192.0.2.1, eus => 192.0.2.2 } } }";
    let import = small(&format!("geoip => {{ {maps} {resources} }}"), "www DYNA geoip!r");
    let hub = hub(&import, "www.example.com.");
    for line in [
        "policy = \"geo\"",
        "  { continent = \"EU\", to = [\"weu\"] },",
        "  { country = \"DE\", to = [\"weu\", \"eus\"] },",
        "  { country = \"FR\", to = [\"eus\"] },",
        "  { continent = \"NA\", to = [\"eus\"] },",
        "  { subnet = \"192.0.2.0/24\", to = [\"eus\"] },",
        "default = [\"weu\", \"eus\"]",
    ] {
        assert!(hub.lines().any(|other| other == line), "{line}\n{hub}");
    }
    let notes = notes(&import).join("\n");
    assert!(notes.contains("EU/FR: Paris not carried over"), "{notes}");
    assert!(notes.contains("AN is answered with nothing in gdnsd"), "{notes}");
    check_whole(&import);
}

#[test]
fn a_map_of_distances_is_nearest_with_its_exceptions() {
    let maps = "maps => { m => { geoip2_db => City.mmdb, datacenters => [ weu, eus, spare ]
        auto_dc_coords => { weu => [ 52.4, 4.9 ], eus => [ 36.7, -78.4 ] }, map => { AS => [ eus ], EU => auto } } }";
    let resources =
        "resources => { r => { map => m, dcmap => { weu => 192.0.2.1, eus => 192.0.2.2, spare => 192.0.2.3 } } }";
    let import = small(&format!("geoip => {{ {maps} {resources} }}"), "www DYNA geoip!r");
    let hub = hub(&import, "www.example.com.");
    assert!(hub.contains("policy = \"nearest\""), "{hub}");
    assert!(hub.contains("map = [\n  { continent = \"AS\", to = [\"eus\"] },\n]"), "{hub}");
    assert!(import.policy.text.contains("[regions.weu]\nlocation = [52.4, 4.9]"), "{}", import.policy.text);
    assert!(import.policy.text.contains("last nearly everywhere\nlocation = [-90.0, 0.0]"), "{}", import.policy.text);
    check_whole(&import);
}

#[test]
fn what_gdnsd_has_and_nothing_here_does_is_said() {
    let check = |plugins: &str, line: &str, about: &str, sentence: &str| {
        let import = small(plugins, line);
        let said = import.notes.iter().any(|note| note.about == about && note.sentence.contains(sentence));
        assert!(said, "{:#?}", import.notes);
        check_whole(&import);
    };
    let owner = "www.example.com.";
    check("reflect => {}", "www DYNA reflect", owner, "reflect is not carried over");
    check("null => {}", "www DYNA null", owner, "null is not carried over");
    check("", "www DYNA multifo!web", owner, "`plugins` has no `multifo`");
    check("own => { r => 1 }", "www DYNA own!r", owner, "not one that comes with gdnsd");
    check("multifo => { web => 192.0.2.1 }", "", "plugins.multifo.web", "no DYNA or DYNC record");
    check("weighted => { w => { a => [ 192.0.2.1, 2000000 ] } }", "www DYNA weighted!w", owner, "divided by 31");
    check(
        "weighted => { w => { multi => true, a => [ 192.0.2.1, 2 ], b => [ 192.0.2.2, 3 ] } }",
        "www DYNA weighted!w",
        owner,
        "the weights are lost",
    );
    check("multifo => { web => 192.0.2.1 }", "*.w DYNA multifo!web", "*.w.example.com.", "a hub is no wildcard");
    check("multifo => { web => 192.0.2.1 }", "www 2 DYNA multifo!web", owner, "a TTL of 2 s");
}

#[test]
fn meta_resources_that_lead_back_are_said_and_not_followed() {
    let resources = "a => { datacenters => [ x ], dcmap => { x => %metafo!b } } b => { datacenters => [ y ], dcmap => { y => %metafo!a } }";
    let import = small(&format!("metafo => {{ resources => {{ {resources} }} }}"), "www DYNA metafo!a");
    assert!(notes(&import)[0].contains("leads back to itself"), "{:?}", import.notes);
}

#[test]
fn the_language_of_gdnsd_is_read_as_its_manual_says() {
    let same = |one: &str, other: &str| {
        let read = |text: &str| {
            let import = gdnsd(
                &[input("config", text), input("example.com", "@ SOA n. h. 1 2 3 4 5\n NS n.\nw DYNA multifo!w")],
                &mut no_include,
            );
            import.unwrap().policy.text
        };
        assert_eq!(read(one), read(other));
    };
    same("plugins => { multifo => { w => [ 192.0.2.1, 192.0.2.2, ] } }", "plugins={multifo={w=[192.0.2.1 192.0.2.2]}}");
    same(
        "plugins => { multifo => { w => { a => 192.0.2.1 } } }",
        "# c\n\"plugins\" = { \"multi\\102o\" => {; c\n w => { \\a => \"192.0.2.1\" } } }",
    );
    let check = |text: &str, error: &str| {
        let refused = gdnsd(&[input("config", text)], &mut no_include).unwrap_err();
        assert_eq!(refused.to_string(), error);
    };
    check("plugins => {", "config:1: the end of the file, expected `}`");
    check("plugins => {\n a => [", "config:2: the end of the file, expected `]`");
    check("plugins => {\n\n a }", "config:3: no value for `a`, expected `=>` or `=`");
    check("plugins => $include{x}", "config:1: no file x");
    check("plugins => \"\\256\"", "config:1: an escape above \\255");
    check(
        "other => { }",
        "config: neither a configuration, which has one of options, service_types, plugins, nor named as a zone",
    );
}

#[test]
fn included_files_are_read_where_they_stand() {
    let mut include = |parent: &str, path: &str| match path {
        "more" => Ok(vec![input("dir/more", "multifo => $include{web}")]),
        "web" if parent == "dir/more" => Ok(vec![input("dir/web", "w => [ 192.0.2.1 ]")]),
        path => Err(format!("no file {path}")),
    };
    let zone = input("example.com", "@ SOA n. h. 1 2 3 4 5\n NS n.\nw DYNA multifo!w");
    let import = gdnsd(&[input("config", "plugins => { $include{more} }"), zone], &mut include).unwrap();
    assert!(hub(&import, "w.example.com.").contains("addresses = [\"192.0.2.1\"]"));
    let mut endless = |_: &str, _: &str| Ok(vec![input("again", "a => $include{again}")]);
    assert!(gdnsd(&[input("config", "plugins => { $include{again} }")], &mut endless).is_err());
}

#[test]
fn failover_of_route_53_puts_the_primary_first() {
    let import = of_route53(
        r#"{"Name":"w.example.com.","Type":"A","TTL":60,"SetIdentifier":"b","Failover":"SECONDARY","ResourceRecords":[{"Value":"192.0.2.2"}]},
           {"Name":"w.example.com.","Type":"A","TTL":60,"SetIdentifier":"a","Failover":"PRIMARY","ResourceRecords":[{"Value":"192.0.2.1"}]},
           {"Name":"w.example.com.","Type":"AAAA","TTL":60,"ResourceRecords":[{"Value":"2001:db8::1"}]}"#,
    );
    let expected = [
        "policy = \"priority\"",
        "ttl = \"1m\"",
        "failback = { after = \"1s\" }",
        "when_all_down = { region = \"w-a\" }",
        "endpoints = [",
        "  { region = \"w-a\", addresses = [\"192.0.2.1\", \"2001:db8::1\"] },",
        "  { region = \"w-b\", addresses = [\"192.0.2.2\", \"2001:db8::1\"] },",
        "]",
    ];
    check_hub(&import, "w.example.com.", &expected);
    check_whole(&import);
}

#[test]
fn what_route_53_has_and_nothing_here_does_is_said() {
    let set = |rtype: &str, value: &str, keys: &str| {
        format!(
            r#"{{"Name":"w.example.com.","Type":"{rtype}","TTL":60,"SetIdentifier":"{value}",{keys},"ResourceRecords":[{{"Value":"{value}"}}]}}"#
        )
    };
    let check = |sets: &[String], sentence: &str| {
        let import = of_route53(&sets.join(","));
        assert!(import.notes.iter().any(|note| note.sentence.contains(sentence)), "{:#?}", import.notes);
        check_whole(&import);
    };
    check(&[set("A", "192.0.2.1", r#""Region":"eu-west-1""#)], "least latency");
    check(&[set("A", "192.0.2.1", r#""Region":"mars-north-1""#)], "where it is is not known");
    check(&[set("A", "192.0.2.1", r#""GeoProximityLocation":{"AWSRegion":"eu-west-1","Bias":-5}"#)], "a bias of -5");
    check(
        &[set("A", "192.0.2.1", r#""GeoLocation":{"CountryCode":"US","SubdivisionCode":"TX"}"#)],
        "US-TX is answered as the rest of US",
    );
    check(
        &[set("A", "192.0.2.1", r#""GeoLocation":{"CountryCode":"US","SubdivisionCode":"TX"}"#)],
        "no origin is left",
    );
    check(&[set("A", "192.0.2.1", r#""Weight":0"#)], "takes for equal ones");
    check(&[set("MX", "10 m.example.org.", r#""MultiValueAnswer":true"#)], "only addresses are answered together");
    check(
        &[set("A", "192.0.2.1", r#""Weight":1"#), set("AAAA", "2001:db8::1", r#""Region":"eu-west-1""#)],
        "one policy for all of its types",
    );
    check(&[set("A", "192.0.2.1", r#""CidrRoutingConfig":{"LocationName":"office"}"#)], "no blocks of office");
    check(&[set("A", "192.0.2.1", r#""Weight":1,"HealthCheckId":"x""#)], "in no list of health checks");
}

#[test]
fn the_fixture_of_traffic_manager_is_a_policy_without_mistakes() {
    let import = traffic_manager(&[input("profiles.json", PROFILES)], "example.com.").unwrap();
    let soa = "@ 60 SOA ns1 h 1 2 3 4 5\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n";
    let (zone, _) = read_zone("example.com.zone", soa);
    assert_eq!(check_in(&import, vec![zone.unwrap()]), [""; 0]);
    assert!(import.zones.is_empty());
}

#[test]
fn profiles_are_hubs() {
    let import = traffic_manager(&[input("profiles.json", PROFILES)], "example.com.").unwrap();
    let keys = |name: &str| -> Vec<String> {
        hub(&import, name).trim_end().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(
        keys("hub.example.com."),
        [
            "policy = \"priority\"",
            "ttl = \"30s\"",
            "failback = { after = \"1s\" }",
            "when_all_down = { region = \"hub-weu\" }",
            "endpoints = [",
            "  { region = \"hub-weu\", cname = \"hub-weu.azure-devices.net.\", probe = \"hub\" },",
            "  { region = \"hub-neu\", cname = \"hub-neu.azure-devices.net.\", probe = \"hub\" },",
            "]",
        ]
    );
    assert_eq!(
        keys("api.example.com."),
        [
            "policy = \"weighted\"",
            "ttl = \"1m\"",
            "when_all_down = \"all\"",
            "endpoints = [",
            "  { region = \"api-old\", cname = \"api-1.example.org.\", weight = 90, probe = \"api\" },",
            "  { region = \"api-new\", cname = \"api-2.example.org.\", weight = 10, probe = \"api-new\" },",
            "]",
        ]
    );
    assert_eq!(
        keys("office.example.com."),
        [
            "policy = \"geo\"",
            "ttl = \"1m\"",
            "when_all_down = \"all\"",
            "default = [\"office-outside\"]",
            "map = [",
            "  { subnet = \"198.51.100.0/24\", to = [\"office-inside\"] },",
            "  { subnet = \"203.0.113.0/25\", to = [\"office-inside\"] },",
            "  { subnet = \"203.0.113.128/31\", to = [\"office-inside\"] },",
            "]",
            "endpoints = [",
            "  { region = \"office-inside\", addresses = [\"192.0.2.10\"], probe = \"office\" },",
            "  { region = \"office-outside\", addresses = [\"192.0.2.20\"], probe = \"office\" },",
            "]",
        ]
    );
    let said = |text: &str| assert!(import.policy.text.contains(text), "{text}: {}", import.policy.text);
    said(
        "[probes.hub]\ntcp = { port = 8883 }\ninterval = \"10s\"\ntimeout = \"9s\"\nconfirm = \"10s\"\nfall = 3\nrise = 1\n",
    );
    said("https = { port = 443, path = \"/health\", status = [\"200-202\", 301], host = \"api.example.org\" }");
    said("host = \"api-2.example.org\", headers = { \"x-probe\" = \"new\" } }");
    said("[regions.westeurope]\nlocation = [52.3667, 4.9]\n");
    said("{ region = \"iot-eu\", hub = \"hub.example.com.\", at_least = 2 },");
    said("{ continent = \"EU\", to = [\"iot-eu\"] },");
    said("default = [\"iot-world\"]");
    said("policy = \"all\"\nttl = \"1m\"\nmost = 2\n");
    assert!(!import.policy.text.contains("[hubs.\"off.example.com.\"]"));
    let notes: Vec<String> = import.notes.iter().map(ToString::to_string).collect();
    for note in [
        "off.trafficmanager.net: the profile is disabled",
        "hub.example.com.: old is disabled, and left out",
        "hub.example.com.: this is hub.trafficmanager.net",
        "fast.example.com.: a TTL of 0 s is outside",
        "fast.example.com.: ip has no `target`",
        "iot.example.com.: gone is a profile that was not given",
        "iot.example.com.: us is always served",
        "iot.example.com.: iot-us: CA-ON is a part of CA",
        "fast.example.com.: Traffic Manager answers the endpoint with the least latency",
    ] {
        assert!(notes.iter().any(|said| said.starts_with(note)), "{note}: {notes:#?}");
    }
}

/// The API nests what the command prints flat.
#[test]
fn profiles_of_the_api_are_the_same() {
    let of = |text: &str| traffic_manager(&[input("p.json", text)], "example.com.").unwrap().policy.text;
    let flat = r#"{"name":"p","trafficRoutingMethod":"Priority","dnsConfig":{"relativeName":"hub","ttl":30},
        "monitorConfig":{"protocol":"TCP","port":8883},"endpoints":[{"name":"a","target":"192.0.2.1","priority":1}]}"#;
    let nested = r#"{"value":[{"name":"p","properties":{"trafficRoutingMethod":"Priority",
        "dnsConfig":{"relativeName":"hub","ttl":30},"monitorConfig":{"protocol":"TCP","port":8883},
        "endpoints":[{"name":"a","properties":{"target":"192.0.2.1","priority":1}}]}}]}"#;
    assert_eq!(of(flat), of(nested));
    assert!(of(flat).contains("[hubs.\"hub.example.com.\"]"));
}

#[test]
fn what_is_no_profile_is_refused() {
    let check = |text: &str, error: &str| {
        let refused = traffic_manager(&[input("p.json", text)], "example.com.").unwrap_err();
        assert!(refused.to_string().contains(error), "{refused}");
    };
    check("{\n", "p.json:2: not JSON");
    check("{}", "expected what `az network traffic-manager profile show` prints");
    check("[1]", "expected what `az network traffic-manager profile show` prints");
}

#[test]
fn a_document_that_is_none_of_those_is_refused() {
    let check = |text: &str, error: &str| {
        let refused = route53(&[input("r.json", text)]).unwrap_err();
        assert!(refused.to_string().contains(error), "{refused}");
    };
    check("{", "r.json:1: not JSON");
    check("{}", "expected what `aws route53` prints");
    check(r#"{"ResourceRecordSets":[]}"#, "no SOA record set");
    check(r#"{"HealthChecks":[],"IsTruncated":true}"#, "only a part of the list");
    check(r#"{"ResourceRecordSets":[{"Name":"x."}]}"#, "x.: no `Type`");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "[a-z$!%@#;(){}\\[\\]=>,\"\\\\ \n0-9./]{0,200}") {
        let zone = input("example.com", &text);
        drop(gdnsd(&[input("config", &text)], &mut no_include));
        drop(gdnsd(&[zone], &mut no_include));
        drop(route53(&[input("r.json", &text)]));
        drop(traffic_manager(&[input("p.json", &text)], "example.com."));
    }

    #[test]
    fn any_change_of_the_fixtures_is_read_without_panic(at in 0usize..20_000, length in 0usize..30, put in "[a-z{}\\[\\]=\", 0-9]{0,6}") {
        let changed = |text: &str| {
            let mut octets = text.as_bytes().to_vec();
            let at = at % octets.len();
            let end = (at + length).min(octets.len());
            octets.splice(at..end, put.bytes());
            String::from_utf8_lossy(&octets).into_owned()
        };
        drop(gdnsd(&[input("config", &changed(CONFIG)), input("example.com", &changed(ZONE))], &mut no_include));
        drop(route53(&[input("r.json", &changed(RECORDS)), input("c.json", &changed(CHECKS))]));
        drop(traffic_manager(&[input("p.json", &changed(PROFILES))], "example.com."));
    }
}
