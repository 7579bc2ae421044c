//! Names of regions and probes: form, definition, reference.

use super::*;

#[test]
fn regions() {
    let unused = |line: u32, name: &str| {
        format!(
            "{line}:10: warning: region `{name}` is defined, but no hub has an endpoint in it (hint: add an endpoint, or remove the region)"
        )
    };
    let warning = unused(1, "a");
    check("[regions.a]", &[&warning]);
    check(
        "[regions.a]\nlocation = [91, 0]",
        &[
            &warning,
            "2:13: error: an entry of `location` is the integer 91, expected a latitude from -90 to 90 (hint: write degrees, such as `52.37`)",
        ],
    );
    check(
        "[regions.a]\nlocation = [0.5, -180.5]",
        &[
            &warning,
            "2:18: error: an entry of `location` is the float -180.5, expected a longitude from -180 to 180 (hint: write degrees, such as `52.37`)",
        ],
    );
    check(
        "[regions.a]\nlocation = [nan, \"x\"]",
        &[
            &warning,
            "2:13: error: an entry of `location` is the float nan, expected a latitude from -90 to 90 (hint: write degrees, such as `52.37`)",
            "2:18: error: an entry of `location` is \"x\", expected a longitude from -180 to 180 (hint: write degrees, such as `52.37`)",
        ],
    );
    check(
        "[regions.a]\nlocation = [1]",
        &[
            &warning,
            "2:12: error: `location` has 1 entry, expected latitude and longitude (hint: write latitude and longitude in degrees, such as `[52.37, 4.89]`)",
        ],
    );
    check(
        "[regions.a]\nlocation = [1, 2, 3]",
        &[&warning, "2:12: error: `location` has 3 entries, expected at most 2 (hint: leave out 1)"],
    );
    check(
        "[regions.a]\nplace = \"x\"",
        &[&warning, "2:1: error: unknown key `place`, expected `location` (hint: remove it)"],
    );
    check(
        "regions = [1]",
        &[
            "1:11: error: `regions` is an array, expected a table (hint: write a table for each region: `[regions.NAME]`)",
        ],
    );
    check(
        "regions.a = 5",
        &[
            "1:9: warning: region `a` is defined, but no hub has an endpoint in it (hint: add an endpoint, or remove the region)",
            "1:13: error: `a` is the integer 5, expected a table (hint: write a table: `[regions.a]`)",
        ],
    );
}

#[test]
fn forms() {
    let check = |key: &str, shown: &str, hint: &str| {
        let (_, problems) = read(&[Source::new(FILE, format!("[regions.{key}]"))], &[]);
        let expected = format!(
            "1:10: error: {shown} is not the name of a region, expected 1 to 63 of a-z, 0-9, `-` and `_`, a letter or digit first (hint: {hint})"
        );
        assert!(lines(&problems).contains(&expected), "{problems:?}");
    };
    check("\"West Europe\"", "`West Europe`", "write `westeurope`");
    check("\"\"", "``", "choose a short name, such as `westeurope`");
    check("_a", "`_a`", "choose a short name, such as `westeurope`");
    check("\"a\\u001Bb\"", "`a\\u{1b}b`", "choose a short name, such as `westeurope`");
}

#[test]
fn a_name_defined_twice_names_both_places() {
    let one = "[probes.p]\ntcp.port = 1\n[regions.a]\n[hubs.\"h.example.net.\"]\nendpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"p\"}]\n";
    let sources = [Source::new("zones/1.toml", one), Source::new(FILE, one.replace("\"h.", "\"H."))];
    let (policy, problems) = read(&sources, &[plain_zone()]);
    assert!(policy.is_none());
    assert_eq!(
        lines(&problems),
        [
            "1:9: error: probe `p` is defined twice (first defined here: zones/1.toml:1:9) (hint: keep one of the two)",
            "3:10: error: region `a` is defined twice (first defined here: zones/1.toml:3:10) (hint: keep one of the two)",
            "4:7: error: hub `H.example.net.` is defined twice (first defined here: zones/1.toml:4:7) (hint: keep one of the two)",
        ]
    );
}

#[test]
fn a_name_defined_twice_in_one_file_names_both_places() {
    check(
        &format!("{COMMON}{GOOD}[hubs.\"H.example.net.\"]\n{GOOD}[probes.p]\n"),
        &[
            "8:7: error: hub `H.example.net.` is defined twice (first defined here: zones/example.net.toml:6:7) (hint: keep one of the two)",
            "10:9: error: `p` is defined twice (first defined here: zones/example.net.toml:1:1) (hint: keep one of the two)",
        ],
    );
}

#[test]
fn dangling_references_suggest_the_closest() {
    check_hub(
        "when_all_down = { region = \"c1\" }\nendpoints = [{region=\"aa\",cname=\"a.example.com.\",probe=\"proof\"}, {region=\"b\",cname=\"b.example.com.\",probe=\"p\"}]",
        &[
            "7:28: error: region `c1` is not defined (hint: add `[regions.c1]`)",
            "8:22: error: region `aa` is not defined (hint: did you mean \"a\"?)",
            "8:56: error: probe `proof` is not defined (hint: add `[probes.proof]`)",
        ],
    );
}

#[test]
fn what_nobody_uses_is_a_warning() {
    check(
        &format!("[probes.q]\ntcp.port=1\n{EXAMPLE}"),
        &[
            "1:9: warning: probe `q` is defined, but no endpoint uses it (hint: name it as `probe` of an endpoint, or remove it)",
        ],
    );
}

#[test]
fn unknown_tables() {
    check(
        "[hub.\"a.\"]\n[webhooks.x]\n",
        &[
            "1:2: error: unknown key `hub`, expected one of `regions`, `probes`, `references`, `gates`, `rules`, `hubs`, `geo` (hint: did you mean `hubs`?)",
            "2:2: error: unknown key `webhooks`, expected one of `regions`, `probes`, `references`, `gates`, `rules`, `hubs`, `geo` (hint: remove it)",
        ],
    );
}
