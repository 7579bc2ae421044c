//! Several mistakes, several files.

use super::*;
use crate::diagnostic::Severity;

/// One mistake of each sort in one file, and a syntax error in another, which hides none of them.
#[test]
fn every_mistake_of_every_file_is_shown() {
    let bad = r#"[probes.broker]
ldap = { port = 8883 }
interval = 5
[regions.westeurope]
[hubs."hub.exampel.net."]
ttl = "1s"
endpoints = [
  { region = "westeurop", cname = "hub-weu.azure-devices.net", probe = "broker" },
]
[hubs."mail.example.net."]
endpoints = [{ region = "westeurope", addresses = ["0.0.0.0"] }]
"#;
    let broken = "[probes.other]\ntcp = { port = 1 \n\n[hubs.\"x.example.net.\"]\nttl = 5\n";
    let sources = [Source::new("zones/broken.toml", broken), Source::new(FILE, bad)];
    let (policy, problems) = read(&sources, &[plain_zone()]);
    assert!(policy.is_none());
    let expected = include_str!("rendered.txt").replace("{KINDS}", KINDS);
    let rendered = render(&problems, false);
    assert_eq!(rendered, expected, "\n{rendered}");
}

/// The definition may be what the syntax error swallowed: only what is certain is said.
#[test]
fn a_syntax_error_accuses_no_other_file() {
    let broken = "[regions.a]\nlocation = [1, 2\n[regions.b]\n[probes.p]\ntcp.port = 1\n";
    let hub = "[hubs.\"h.example.net.\"]\nendpoints = [{region=\"b\",probe=\"p\",cname=\"x.example.com.\"},{region=\"zzz\",probe=\"p\",cname=\"y.example.com.\"}]";
    let (_, problems) = read(&[Source::new("zones/broken.toml", broken), Source::new(FILE, hub)], &[plain_zone()]);
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "zones/broken.toml:3:1: error: TOML syntax: missing comma between array elements, expected `,` (hint: look for a bracket opened here or above that is not closed)",
            "zones/example.net.toml:2:68: error: region `zzz` is not defined (hint: add `[regions.zzz]`)",
        ]
    );
}

/// A hub that is in the broken part is none that a rule names by mistake, and what is unused may be used there.
#[test]
fn a_syntax_error_accuses_no_rule_or_gate() {
    let broken = "[regions.a]\nlocation = [1, 2\n[hubs.\"i.example.net.\"]\n[gates.h]\nack = true\n";
    let rules = "[gates.g]\nack = true\n[rules.r]\nat_least = 1\nof = [\"i.example.net./a\", \"j.example.net./a\"]\n\
                 [rules.s]\ngate = \"h\"\nhubs = [\"i.example.net.\", \"j.example.net.\"]\n[probes.p]\ntcp.port = 1\n\
                 [references.r]\nprobe = \"p\"\ntarget = \"192.0.2.53\"\n";
    let (_, problems) = read(&[Source::new("zones/broken.toml", broken), Source::new(FILE, rules)], &[plain_zone()]);
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "zones/broken.toml:3:1: error: TOML syntax: missing comma between array elements, expected `,` (hint: look for a bracket opened here or above that is not closed)",
            "zones/example.net.toml:5:27: error: hub `j.example.net.` is not defined (hint: add `[hubs.\"j.example.net.\"]`)",
            "zones/example.net.toml:8:27: error: hub `j.example.net.` is not defined (hint: add `[hubs.\"j.example.net.\"]`)",
        ]
    );
}

#[test]
fn a_gate_reference_or_rule_defined_twice_names_both_places() {
    let one = "[gates.g]\nack = true\n[references.r]\nprobe = \"p\"\ntarget = \"192.0.2.53\"\n[rules.r]\ngate = \"g\"\nregions = [\"a\"]\n";
    let sources = [Source::new("zones/1.toml", format!("{one}{COMMON}{GOOD}")), Source::new(FILE, one)];
    let (policy, problems) = read(&sources, &[plain_zone()]);
    assert!(policy.is_none());
    let errors: Vec<_> = problems.into_iter().filter(|problem| problem.severity == Severity::Error).collect();
    assert_eq!(
        lines(&errors),
        [
            "1:8: error: gate `g` is defined twice (first defined here: zones/1.toml:1:8) (hint: keep one of the two)",
            "3:13: error: reference `r` is defined twice (first defined here: zones/1.toml:3:13) (hint: keep one of the two)",
            "6:8: error: rule `r` is defined twice (first defined here: zones/1.toml:6:8) (hint: keep one of the two)",
        ]
    );
}

#[test]
fn the_second_mistake_of_a_hub_is_shown_with_the_first() {
    check_hub(
        "ttl = 5\ndwell = 5\nfailback = 5\nendpoints = [{region=5,cname=5,probe=5},{region=\"a\",cname=\"a.example.com.\",probe=\"p\"},{region=\"b\",cname=\"b.example.com.\",probe=\"p\"}]",
        &[
            "7:7: error: `ttl` is the integer 5, expected a duration in d, h, m, s or ms (hint: write the unit, in quotes: \"5s\")",
            "8:9: error: `dwell` is the integer 5, expected a duration in d, h, m, s or ms (hint: write the unit, in quotes: \"5s\")",
            "9:12: error: `failback` is the integer 5, expected \"manual\" or a table with `after` (hint: write \"manual\" or `{ after = \"15m\" }`)",
            "10:22: error: `region` is the integer 5, expected the name of a region (hint: write it in quotes)",
            "10:30: error: `cname` is the integer 5, expected a domain name (hint: write an absolute name such as \"www.example.net.\")",
            "10:38: error: `probe` is the integer 5, expected the name of a probe (hint: write it in quotes)",
        ],
    );
}
