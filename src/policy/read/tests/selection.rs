//! The policies without an active region, and hubs inside hubs.

use super::*;

/// The keys of hub `h`, from line 7, with two good endpoints and locations for both regions.
#[track_caller]
fn check_keys(keys: &str, expected: &[&str]) {
    check_hub(&format!("{keys}\n{GOOD}"), expected);
}

/// The entries of the map of a geo hub, from line 9.
#[track_caller]
fn check_map(entries: &str, expected: &[&str]) {
    let geo = "[geo]\ndatabase = \"c.mmdb\"\nasn = \"a.mmdb\"\n";
    // Both databases are needed, whatever the entries are.
    let other = GOOD.replace(".example.com", "2.example.com");
    let other = format!(
        "[hubs.\"i.example.net.\"]\npolicy = \"geo\"\nmap = [{{asn=1,to=[\"a\"]}},{{country=\"FR\",to=[\"a\"]}}]\n{other}"
    );
    check(&format!("{COMMON}policy = \"geo\"\nmap = [\n{entries}\n]\n{GOOD}{other}{geo}"), expected);
}

#[test]
fn every_policy_is_read() {
    let policy = check(STATELESS, &[]).unwrap();
    let hub = |owner: &str| policy.hubs[&name(owner)].clone();
    let region = RegionName::new;
    let weighted = hub("weighted.example.net.");
    assert_eq!(weighted.selection, Selection::Weighted);
    assert_eq!(weighted.endpoints.iter().map(|endpoint| endpoint.weight).collect::<Vec<_>>(), [3, 0]);
    assert_eq!(weighted.endpoints[1].answer, Answer::Hub(name("all.example.net.")));
    assert_eq!(weighted.endpoints[1].probe, None);
    assert_eq!(weighted.when_all_down, WhenAllDown::All);
    let geo = hub("geo.example.net.");
    let Selection::Geo(map) = &geo.selection else { panic!("{:?}", geo.selection) };
    let entries: Vec<_> = map.entries.iter().map(|entry| (entry.origin.clone(), entry.to.clone())).collect();
    assert_eq!(
        entries,
        [
            (Origin::Subnet("192.0.2.0/24".parse().unwrap()), vec![region("weu")]),
            (Origin::Subnet("2001:db8::/32".parse().unwrap()), vec![region("neu")]),
            (Origin::Asn(64500), vec![region("neu")]),
            (Origin::Country(*b"DE"), vec![region("weu"), region("neu")]),
            (Origin::Continent(*b"EU"), vec![region("weu")]),
        ]
    );
    assert_eq!(map.default, [region("neu"), region("weu")]);
    let nearest = hub("nearest.example.net.");
    assert!(matches!(&nearest.selection, Selection::Nearest(map) if map.entries.is_empty() && map.default.is_empty()));
    assert_eq!(hub("all.example.net.").selection, Selection::All { most: 2 });
    assert_eq!(hub("sticky.example.net.").selection, Selection::Sticky(Prefixes { ipv4: 20, ipv6: 48 }));
    let database = policy.geo.database.unwrap();
    assert_eq!(database.path, Path::new("zones/GeoLite2-City.mmdb"));
    assert_eq!((database.place.line, database.place.column), (3, 12));
    assert_eq!(policy.geo.asn.unwrap().path, Path::new("zones/GeoLite2-ASN.mmdb"));
}

#[test]
fn defaults() {
    let usual = |policy: &str| {
        let (read, problems) =
            read(&[Source::new(FILE, format!("{COMMON}policy = \"{policy}\"\n{GOOD}"))], &[plain_zone()]);
        assert_eq!(lines(&problems), [""; 0]);
        read.unwrap().hubs[&name("h.example.net.")].clone()
    };
    assert_eq!(usual("priority").selection, Selection::Priority);
    assert_eq!(usual("sticky").selection, Selection::Sticky(Prefixes { ipv4: 24, ipv6: 56 }));
    assert_eq!(usual("weighted").endpoints[0].weight, 1);
}

/// Hubs with equal maps have one.
#[test]
fn equal_maps_are_shared() {
    let hub = |owner: &str, to: &str| {
        let endpoints = GOOD.replace(".example.com", &format!("-{owner}.example.com"));
        format!(
            "[hubs.\"{owner}.example.net.\"]\npolicy = \"geo\"\nmap = [{{subnet=\"192.0.2.0/24\",to=[\"{to}\"]}}]\n{endpoints}"
        )
    };
    let text = format!(
        "[probes.p]\ntcp.port = 1\n[regions]\na = {{}}\nb = {{}}\n{}{}{}",
        hub("x", "a"),
        hub("y", "a"),
        hub("z", "b")
    );
    let policy = check(&text, &[]).unwrap();
    let map = |owner: &str| policy.hubs[&name(owner)].selection.map().unwrap().clone();
    assert!(Arc::ptr_eq(&map("x.example.net."), &map("y.example.net.")));
    assert!(!Arc::ptr_eq(&map("x.example.net."), &map("z.example.net.")));
}

#[test]
fn the_words_of_other_systems_are_understood() {
    let expected = "expected one of \"priority\", \"weighted\", \"geo\", \"nearest\", \"all\", \"sticky\"";
    for (word, meant) in
        [("failover", "priority"), ("round-robin", "weighted"), ("Performance", "nearest"), ("multivalue", "all")]
    {
        check_keys(
            &format!("policy = \"{word}\""),
            &[&format!(
                "7:10: error: `policy` is \"{word}\", {expected} (hint: write \"{meant}\", which is what this is called here)"
            )],
        );
    }
}

#[test]
fn keys_of_the_active_region_have_no_meaning() {
    check_keys(
        "policy = \"weighted\"\ntxt = true\ndwell = \"1m\"\nfailback = \"manual\"\nbudget = \"2 per day\"\nflap_limit = 3\nflap_window = \"1h\"\napprovals = 1\ncanary = false\ngates = []",
        &[
            "8:7: error: `txt` has no meaning under policy \"weighted\": the hub has no active region (hint: remove it, or write policy \"priority\")",
            "9:9: error: `dwell` has no meaning under policy \"weighted\": the hub has no active region (hint: remove it, or write policy \"priority\")",
            "10:12: error: `failback` has no meaning under policy \"weighted\": the hub has no active region (hint: remove it, or write policy \"priority\")",
            "11:10: error: `budget` has no meaning under policy \"weighted\": the hub has no active region (hint: remove it, or write policy \"priority\")",
            "12:14: error: `flap_limit` has no meaning under policy \"weighted\": the hub has no active region (hint: remove it, or write policy \"priority\")",
            "13:15: error: `flap_window` has no meaning under policy \"weighted\": the hub has no active region (hint: remove it, or write policy \"priority\")",
            "14:13: error: `approvals` has no meaning under policy \"weighted\": the hub has no active region (hint: remove it, or write policy \"priority\")",
            "15:10: error: `canary` has no meaning under policy \"weighted\": the hub has no active region (hint: remove it, or write policy \"priority\")",
            "16:9: error: `gates` has no meaning under policy \"weighted\": the hub has no active region (hint: remove it, or write policy \"priority\")",
        ],
    );
}

#[test]
fn keys_of_another_policy_have_no_meaning() {
    check_keys(
        "default = [\"a\"]\nmost = 2\nprefixes = {}",
        &[
            "7:11: error: `default` has no meaning under policy \"priority\" (hint: remove it, or write policy \"geo\" or \"nearest\")",
            "8:8: error: `most` has no meaning under policy \"priority\" (hint: remove it, or write policy \"all\")",
            "9:12: error: `prefixes` has no meaning under policy \"priority\" (hint: remove it, or write policy \"sticky\")",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",probe=\"p\",weight=2}",
        &[
            "9:53: error: `weight` has no meaning under policy \"priority\" (hint: remove it, or write policy \"weighted\")",
        ],
    );
}

#[test]
fn weights() {
    let weighted = |weights: [&str; 2], expected: &[&str]| {
        let [a, b] = weights;
        check_hub(
            &format!(
                "policy = \"weighted\"\nendpoints = [\n{{weight={a},region=\"a\",cname=\"a.x.\",probe=\"p\"}},\n{{weight={b},region=\"b\",cname=\"b.x.\",probe=\"p\"}}]"
            ),
            expected,
        );
    };
    weighted(["0", "65535"], &[]);
    weighted(
        ["-1", "65536"],
        &[
            "9:9: error: `weight` is the integer -1, expected a whole number from 0 to 65535 (hint: write a number in the range, such as `0`)",
            "10:9: error: `weight` is the integer 65536, expected a whole number from 0 to 65535 (hint: write a number in the range, such as `0`)",
        ],
    );
    weighted(
        ["0", "0"],
        &[
            "9:9: error: every endpoint of hub `h.example.net.` has weight 0, expected one with a weight (hint: write a `weight` of 1 or more)",
        ],
    );
}

#[test]
fn entries_of_a_map() {
    check_map(
        "{ to = [\"a\"] },\n{ country = \"DE\", continent = \"EU\", to = [\"a\"] },\n{ country = \"DE\" },\n{ country = \"DE\", to = [] },\n{ country = \"DE\", to = [\"a\", \"a\"] },\n{ country = \"DE\", to = [\"c\"] },\n3,",
        &[
            "9:1: error: the entry of `map` has no origin, expected one of `subnet`, `asn`, `country`, `continent` (hint: add one of `subnet`, `asn`, `country`, `continent`)",
            "10:31: error: the entry has two origins, `country` and `continent`, expected exactly one (hint: write an entry for each of the two)",
            "11:1: error: the entry of `map` has no `to` (hint: add `to`, such as `[\"westeurope\"]`)",
            "12:24: error: `to` is empty, expected at least one region (hint: write one such as `[\"westeurope\"]`)",
            "13:30: error: region `a` is written twice (first here: zones/example.net.toml:13:25) (hint: remove one of the two)",
            "14:25: error: region `c` is not defined (hint: did you mean \"a\"?)",
            "15:1: error: an entry of `map` is the integer 3, expected a table (hint: write a table: `{ continent = \"EU\", to = [\"westeurope\"] }`)",
        ],
    );
}

#[test]
fn codes_of_countries_and_continents() {
    check_map(
        "{ country = \"uk\", to = [\"a\"] },\n{ country = \"de\", to = [\"a\"] },\n{ country = \"EU\", to = [\"a\"] },\n{ country = \"Germany\", to = [\"a\"] },\n{ continent = \"Europe\", to = [\"a\"] },\n{ continent = \"DE\", to = [\"a\"] },",
        &[
            "9:13: error: `country` is \"uk\", expected the code of a country, two capital letters (hint: did you mean \"GB\"?)",
            "10:13: error: `country` is \"de\", expected the code of a country, two capital letters (hint: did you mean \"DE\"?)",
            "11:13: error: `country` is \"EU\", expected the code of a country, two capital letters (hint: write `continent = \"EU\"`)",
            "12:13: error: `country` is \"Germany\", expected the code of a country, two capital letters (hint: write such as \"DE\" (ISO 3166-1))",
            "13:15: error: `continent` is \"Europe\", expected one of AF (Africa), AN (Antarctica), AS (Asia), EU (Europe), NA (North America), OC (Oceania), SA (South America) (hint: did you mean \"EU\"?)",
            "14:15: error: `continent` is \"DE\", expected one of AF (Africa), AN (Antarctica), AS (Asia), EU (Europe), NA (North America), OC (Oceania), SA (South America) (hint: write `country = \"DE\"`)",
        ],
    );
}

#[test]
fn subnets() {
    check_map(
        "{ subnet = \"192.0.2.1\", to = [\"a\"] },\n{ subnet = \"192.0.2.1/24\", to = [\"a\"] },\n{ subnet = \"192.0.2/24\", to = [\"a\"] },\n{ subnet = \"::ffff:192.0.2.0/120\", to = [\"a\"] },\n{ subnet = \"2001:db8::/32\", to = [\"a\"] },\n{ subnet = \"2001:db8:7::1/128\", to = [\"a\"] },\n{ subnet = \"2001:db8:7:8::9\", to = [\"a\"] },\n{ subnet = \"2001:db8:8::/64\", to = [\"b\"] },",
        &[
            "9:12: error: `subnet` is \"192.0.2.1\", an address without the length of its prefix (hint: write \"192.0.2.1/32\")",
            "10:12: error: `subnet` is 192.0.2.1/24, which has bits beyond its prefix (hint: write \"192.0.2.0/24\")",
            "11:12: error: `subnet` is \"192.0.2/24\", expected a subnet (hint: write such as \"192.0.2.0/24\" or \"2001:db8::/32\")",
            "12:12: error: `subnet` is ::ffff:192.0.2.0/120, in which no client has its address (hint: write \"192.0.2.0/24\")",
            "14:12: error: `subnet` is 2001:db8:7::1/128, expected a length of at most 64 for IPv6, within which all hosts are one client (hint: write \"2001:db8:7::/64\")",
            "15:12: error: `subnet` is \"2001:db8:7:8::9\", an address without the length of its prefix (hint: write \"2001:db8:7:8::/64\")",
        ],
    );
}

/// The longest one counts, so that one inside another is no mistake unless it says the same.
#[test]
fn subnets_that_overlap() {
    check_map(
        "{ subnet = \"10.0.0.0/8\", to = [\"a\"] },\n{ subnet = \"10.1.0.0/16\", to = [\"b\"] },\n{ subnet = \"10.1.1.0/24\", to = [\"b\"] },\n{ subnet = \"10.1.2.0/24\", to = [\"a\"] },\n{ subnet = \"10.0.0.0/8\", to = [\"b\"] },\n{ asn = 7, to = [\"a\"] }, { asn = 7, to = [\"b\"] },",
        &[
            "11:1: warning: 10.1.1.0/24 is answered as 10.1.0.0/16, in which it is: the entry changes nothing (the subnet around it: zones/example.net.toml:10:1) (hint: remove it)",
            "13:1: error: subnet 10.0.0.0/8 is in the map twice (first here: zones/example.net.toml:9:1) (hint: keep one of the two)",
            "14:26: error: AS7 is in the map twice (first here: zones/example.net.toml:14:1) (hint: keep one of the two)",
        ],
    );
}

#[test]
fn regions_of_a_map_are_the_hubs_own() {
    let text = format!(
        "{COMMON}policy = \"geo\"\nmap = [{{ subnet = \"192.0.2.0/24\", to = [\"eastus\"] }}]\ndefault = [\"a\", \"eastus\"]\n{GOOD}[regions.eastus]\n[hubs.\"i.example.net.\"]\nendpoints = [{{region=\"eastus\",cname=\"i.x.\",probe=\"p\"}}]\n"
    );
    check(
        &text,
        &[
            "8:41: error: `to` names region `eastus`, in which hub `h.example.net.` has no endpoint (hint: write one of `a`, `b`, or add an endpoint)",
            "9:17: error: `default` names region `eastus`, in which hub `h.example.net.` has no endpoint (hint: write one of `a`, `b`, or add an endpoint)",
        ],
    );
}

#[test]
fn databases() {
    check_keys(
        "policy = \"geo\"",
        &[
            "7:10: error: hub `h.example.net.` has no `map`, which policy \"geo\" selects by (hint: add `map = [{ continent = \"EU\", to = [\"westeurope\"] }]`)",
        ],
    );
    check_keys(
        "policy = \"geo\"\nmap = [{ country = \"DE\", to = [\"a\"] },\n{ asn = 1, to = [\"b\"] }]",
        &[
            "8:8: error: `country` needs `database` in `[geo]`, and there is none (hint: write `[geo]` and `database = \"GeoLite2-City.mmdb\"`, relative to the file's folder)",
            "9:1: error: `asn` needs `asn` in `[geo]`, and there is none (hint: write `[geo]` and `asn = \"GeoLite2-ASN.mmdb\"`, relative to the file's folder)",
        ],
    );
    check_hub(
        &format!("{GOOD}[geo]\n"),
        &[
            "8:1: error: `geo` names no database, expected `database` or `asn` (hint: add `database = \"GeoLite2-City.mmdb\"`, relative to this file's folder)",
        ],
    );
    check_hub(
        &format!("{GOOD}[geo]\nasn = \"a.mmdb\"\ndatabse = \"\"\n"),
        &[
            "9:7: warning: `asn` is read for nothing: no hub selects by it (hint: remove it)",
            "10:1: error: unknown key `databse`, expected one of `database`, `asn` (hint: did you mean `database`?)",
        ],
    );
}

#[test]
fn one_database_for_all_files() {
    let geo = "[geo]\ndatabase = \"c.mmdb\"\n";
    let hub = format!("{COMMON}policy = \"geo\"\nmap = [{{ country = \"DE\", to = [\"a\"] }}]\n{GOOD}{geo}");
    let sources = [Source::new("a.toml", hub), Source::new("b.toml", geo)];
    let (policy, problems) = read(&sources, &[plain_zone()]);
    assert!(policy.is_none());
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "b.toml:1:1: error: `geo` is defined twice, and there is one for all hubs (first defined here: a.toml:10:1) (hint: keep one of the two)"
        ]
    );
}

#[test]
fn a_distance_needs_locations() {
    check_hub(
        &format!("policy = \"nearest\"\n{GOOD}[geo]\ndatabase = \"c.mmdb\"\n"),
        &[
            "8:22: error: region `a` has no `location`, by which policy \"nearest\" selects (defined here: zones/example.net.toml:4:1) (hint: add `location = [LATITUDE, LONGITUDE]` to `[regions.a]`)",
            "8:68: error: region `b` has no `location`, by which policy \"nearest\" selects (defined here: zones/example.net.toml:5:1) (hint: add `location = [LATITUDE, LONGITUDE]` to `[regions.b]`)",
        ],
    );
    check_keys(
        "policy = \"nearest\"",
        &[
            "7:10: error: policy \"nearest\" needs `database` in `[geo]`, and there is none (hint: write `[geo]` and `database = \"GeoLite2-City.mmdb\"`, relative to the file's folder)",
            "8:22: error: region `a` has no `location`, by which policy \"nearest\" selects (defined here: zones/example.net.toml:4:1) (hint: add `location = [LATITUDE, LONGITUDE]` to `[regions.a]`)",
            "8:68: error: region `b` has no `location`, by which policy \"nearest\" selects (defined here: zones/example.net.toml:5:1) (hint: add `location = [LATITUDE, LONGITUDE]` to `[regions.b]`)",
        ],
    );
}

#[test]
fn what_is_answered_together_has_addresses() {
    check_keys(
        "policy = \"all\"\nmost = 65",
        &[
            "8:8: error: `most` is the integer 65, expected a whole number from 1 to 64 (hint: write a number in the range, such as `1`)",
            "9:32: error: policy \"all\" answers several endpoints together, which needs `addresses` in each of them (hint: write `addresses`, or policy \"weighted\")",
            "9:78: error: policy \"all\" answers several endpoints together, which needs `addresses` in each of them (hint: write `addresses`, or policy \"weighted\")",
        ],
    );
}

/// Each query is answered with one endpoint, so that `when_all_down` needs no addresses.
#[test]
fn all_down_may_be_all_without_addresses() {
    check_keys("policy = \"weighted\"\nwhen_all_down = \"all\"", &[]);
    check_keys(
        "policy = \"sticky\"\nprefixes = { ipv4 = 33 }",
        &[
            "8:21: error: `ipv4` is the integer 33, expected a whole number from 0 to 32 (hint: write a number in the range, such as `0`)",
        ],
    );
    check_keys("policy = \"sticky\"\nprefixes = { ipv6 = 64 }", &[]);
    check_keys(
        "policy = \"sticky\"\nprefixes = { ipv6 = 65 }",
        &[
            "8:21: error: `ipv6` is the integer 65, expected a whole number from 0 to 64 (hint: write a number in the range, such as `0`)",
        ],
    );
}

#[test]
fn no_more_endpoints_than_bits() {
    let regions: String = (0..65).map(|at| format!("r{at} = {{}}\n")).collect();
    let endpoints: String = (0..65).map(|at| format!("{{region=\"r{at}\",cname=\"e{at}.x.\",probe=\"p\"}},")).collect();
    let text = |policy: &str| {
        format!(
            "[probes.p]\ntcp.port = 1\n[hubs.\"h.example.net.\"]\npolicy = \"{policy}\"\nendpoints = [{endpoints}]\n[regions]\n{regions}"
        )
    };
    check(&text("priority"), &[]);
    check(
        &text("weighted"),
        &[
            "4:10: error: hub `h.example.net.` has 65 endpoints, expected at most 64 under policy \"weighted\" (hint: put some of them into a hub of their own, and name that with `hub = \"NAME.\"`)",
        ],
    );
}

/// Hubs by name and the hub inside each, or none.
#[track_caller]
fn check_nested(hubs: &[(&str, Option<&str>)], expected: &[&str]) {
    let mut text = String::from("[probes.p]\ntcp.port = 1\n[regions]\na = {}\nb = {}\n");
    for (owner, inner) in hubs {
        let second = match inner {
            Some(inner) => format!("hub=\"{inner}.example.net.\""),
            None => format!("cname=\"{owner}-b.x.\",probe=\"p\""),
        };
        text.push_str(&format!(
            "[hubs.\"{owner}.example.net.\"]\nendpoints = [{{region=\"a\",cname=\"{owner}.x.\",probe=\"p\"}},\n{{region=\"b\",{second}}}]\n"
        ));
    }
    check(&text, expected);
}

#[test]
fn so_many_endpoints_of_a_hub_inside() {
    let text = |at_least: &str| {
        format!(
            "[probes.p]\ntcp.port = 1\n[regions]\na = {{}}\nb = {{}}\n[hubs.\"i.example.net.\"]\nendpoints = [{{region=\"a\",cname=\"a.x.\",probe=\"p\"}},{{region=\"b\",cname=\"b.x.\",probe=\"p\"}}]\n[hubs.\"o.example.net.\"]\nendpoints = [{{region=\"a\",cname=\"c.x.\",probe=\"p\"}},\n{{region=\"b\",{at_least}}}]\n"
        )
    };
    let (policy, problems) = read(&[Source::new(FILE, text("hub=\"i.example.net.\",at_least=2"))], &[plain_zone()]);
    assert!(problems.is_empty(), "{problems:?}");
    let least = policy.unwrap().hubs[&name("o.example.net.")]
        .endpoints
        .iter()
        .map(|endpoint| endpoint.at_least)
        .collect::<Vec<_>>();
    assert_eq!(least, [1, 2]);
    check(
        &text("hub=\"i.example.net.\",at_least=3"),
        &["10:43: error: `at_least` is 3, and hub `i.example.net.` has 2 endpoints (hint: write at most 2)"],
    );
    check(
        &text("hub=\"i.example.net.\",at_least=0"),
        &[
            "10:43: error: `at_least` is the integer 0, expected a whole number from 1 to 64 (hint: write a number in the range, such as `1`)",
        ],
    );
    check(
        &text("cname=\"d.x.\",probe=\"p\",at_least=1"),
        &[
            "10:45: error: `at_least` has no effect without `hub`: it is about the endpoints of a hub (hint: remove it, or write `hub`)",
        ],
    );
}

#[test]
fn hubs_inside_hubs() {
    check_nested(&[("a", Some("b")), ("b", Some("c")), ("c", Some("d")), ("d", None)], &[]);
    check_nested(
        &[("a", Some("b")), ("b", Some("c")), ("c", Some("d")), ("d", Some("e")), ("e", None)],
        &[
            "8:17: error: hub `a.example.net.` has hubs inside one another, 5 or more deep, expected at most 4 (hint: write the endpoints of the innermost here)",
        ],
    );
    check_nested(
        &[("a", Some("a"))],
        &["8:17: error: hub `a.example.net.` has itself inside (hint: write another hub, or a `cname`)"],
    );
    check_nested(
        &[("a", Some("b")), ("b", Some("c")), ("c", Some("a")), ("d", Some("a"))],
        &[
            "8:17: error: hub `a.example.net.` is inside itself: a.example.net. -> b.example.net. -> c.example.net. -> a.example.net. (hint: write another hub, or a `cname`)",
            "11:17: error: hub `b.example.net.` is inside itself: b.example.net. -> c.example.net. -> a.example.net. -> b.example.net. (hint: write another hub, or a `cname`)",
            "14:17: error: hub `c.example.net.` is inside itself: c.example.net. -> a.example.net. -> b.example.net. -> c.example.net. (hint: write another hub, or a `cname`)",
        ],
    );
    check_nested(
        &[("first", Some("scond")), ("second", None)],
        &["8:17: error: `scond.example.net.` is not defined as a hub (hint: did you mean \"second.example.net.\"?)"],
    );
}

/// What a hub inside answers stands at the outer one's name.
#[test]
fn what_is_inside_is_held_against_the_zone() {
    let text = "[probes.p]\ntcp.port = 1\n[regions]\na = {}\nb = {}\n[hubs.\"h.example.net.\"]\nendpoints = [{region=\"a\",hub=\"i.example.net.\"}]\n[hubs.\"i.example.net.\"]\nendpoints = [{region=\"b\",cname=\"h.example.net.\",probe=\"p\"}]\n";
    check_in(
        &[plain_zone()],
        text,
        &[
            "9:32: error: hub `h.example.net.` has a CNAME that points at the hub itself (hint: write the name of the region's own endpoint)",
        ],
    );
    let text = text.replace("cname=\"h.example.net.\"", "cname=\"elsewhere.x.\"");
    check_in(
        &[zone("example.net.", &[("h.example.net.", Rtype::TXT)])],
        &text,
        &[
            "9:32: error: hub `h.example.net.` answers a CNAME, but the zone has TXT at this name (in the zone: zones/example.net.zone:3:1) (hint: remove them from the zone, or answer with `addresses` or `records`)",
        ],
    );
}

#[test]
fn a_rule_counts_active_regions_alone() {
    let text = format!(
        "[rules.r]\nat_least = 1\nof = [\"h.example.net./a\"]\n[rules.s]\ngate = \"g\"\nhubs = [\"h.example.net.\"]\n{COMMON}policy = \"weighted\"\n{GOOD}[gates.g]\nack = true\n"
    );
    check(
        &text,
        &[
            "3:7: error: hub `h.example.net.` has no active region, and never switches (this hub: zones/example.net.toml:12:7) (hint: name a hub with policy \"priority\")",
            "6:9: error: hub `h.example.net.` has no active region, and never switches (this hub: zones/example.net.toml:12:7) (hint: name a hub with policy \"priority\")",
        ],
    );
}
