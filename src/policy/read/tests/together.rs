//! Several mistakes, several files.

use super::*;

/// One mistake of each sort in one file, and a syntax error in another, which hides none of them.
#[test]
fn every_mistake_of_every_file_is_shown() {
    let bad = r#"[probes.broker]
mqtt = { port = 8883 }
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
    let expected = include_str!("rendered.txt");
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
