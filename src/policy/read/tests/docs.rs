//! The reference pages against the reader.

use super::*;

const PAGE: &str = include_str!("../../../../docs/policy.md");
const PROBES: &str = include_str!("../../../../docs/probes.md");

/// The TOML blocks of a page, each a file of its own that begins in the line where its block begins.
fn blocks(name: &str, page: &str) -> Vec<Source> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for (at, line) in page.lines().enumerate() {
        match (&mut open, line) {
            (None, "```toml") => open = Some("\n".repeat(at + 1)),
            (Some(_), "```") => blocks.extend(open.take().map(|text| Source::new(format!("docs/{name} {at}"), text))),
            (Some(text), line) => *text = format!("{text}{line}\n"),
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "a block of the page is not closed");
    blocks
}

#[test]
fn the_examples_of_the_reference_page_are_one_policy() {
    let blocks = blocks("policy.md", PAGE);
    assert_eq!(blocks.len(), PAGE.matches("```toml").count());
    let (policy, problems) = read(&blocks, &[plain_zone()]);
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    let policy = policy.unwrap();
    assert_eq!((policy.references.len(), policy.gates.len(), policy.rules.len(), policy.hubs.len()), (1, 5, 3, 3));
}

/// Each probe of the page watches an endpoint, so that none is one that nobody uses.
#[test]
fn the_examples_of_the_page_of_probes_are_probes() {
    let mut sources = blocks("probes.md", PROBES);
    assert_eq!(sources.len(), PROBES.matches("```toml").count());
    let names: Vec<&str> = PROBES.lines().filter_map(|line| line.strip_prefix("[probes.")?.strip_suffix(']')).collect();
    assert!(names.len() >= sources.len(), "{names:?}");
    let hubs = names.iter().enumerate().map(|(at, probe)| {
        let endpoint =
            |region| format!("{{ region = \"{region}\", cname = \"{region}.example.org.\", probe = \"{probe}\" }}");
        format!("[hubs.\"h{at}.example.net.\"]\nendpoints = [{}, {}]\n", endpoint("a"), endpoint("b"))
    });
    let hubs: String = ["[regions]\na = {}\nb = {}\n".to_owned()].into_iter().chain(hubs).collect();
    sources.push(Source::new(FILE, hubs));
    let (policy, problems) = read(&sources, &[plain_zone()]);
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(policy.unwrap().probes.len(), names.len());
}

/// Every key that the reader knows is in a table of a page, and in an example.
#[test]
fn the_reference_pages_know_every_key() {
    let unknown = "no-such-key = 1\n";
    let table = |before: &str, inside: &str| format!("{before} = {{ {inside}no-such-key = 1 }}\n");
    let gate = |inside: &str| format!("[gates.g]\n{inside}");
    let hub = |inside: &str| format!("[hubs.\"h.example.net.\"]\n{inside}");
    let texts = [
        format!("[regions.r]\n{unknown}"),
        format!("[probes.p]\n{unknown}"),
        format!("[probes.p]\n{}", table("tcp", "")),
        format!("[probes.p]\n{}", table("tls", "")),
        format!("[probes.p]\n{}", table("http", "")),
        format!("[probes.p]\nhttps = {{ headers = {{ x = {{ no-such-key = 1 }} }} }}\n"),
        format!("[probes.p]\n{}", table("https", "")),
        format!("[probes.p]\n{}", table("dns", "name = \"a.\", ")),
        format!("[probes.p]\n{}", table("source", "")),
        format!("[probes.p]\n{}", table("mqtt", "")),
        format!("[probes.p]\n{}", table("mqtt", "password = { no-such-key = 1 }, ")),
        format!("[probes.p]\n{}", table("mqtt", "password = { sas = { no-such-key = 1 } }, ")),
        format!("[probes.p]\n{}", table("amqp", "")),
        format!("[probes.p]\n{}", table("grpc", "")),
        format!("[references.r]\n{unknown}"),
        gate(unknown),
        gate(&table("http", "")),
        gate(&table("exec", "")),
        format!("[rules.r]\n{unknown}"),
        hub(unknown),
        hub("endpoints = [{ no-such-key = 1 }]\n"),
        hub("gates = [{ no-such-key = 1 }]\n"),
        hub("gates = [{ on_shut = { no-such-key = 1 } }]\n"),
        hub(&table("failback", "")),
        hub(&table("when_all_down", "")),
        hub(&table("budget", "")),
        hub(&table("fence", "")),
        hub(&table("fence", "http = { no-such-key = 1 }, ")),
        hub(&table("fence", "exec = { no-such-key = 1 }, ")),
    ];
    let pages = format!("{PAGE}\n{PROBES}");
    let examples: String = pages.split("```toml\n").skip(1).filter_map(|block| block.split("\n```").next()).collect();
    let tables: String = pages.lines().filter(|line| line.starts_with('|')).collect();
    let mut keys = BTreeSet::new();
    for text in texts {
        let (_, problems) = read(&[Source::new(FILE, text.as_str())], &[plain_zone()]);
        let known =
            problems.iter().filter_map(|problem| problem.message.strip_prefix("unknown key `no-such-key`, expected "));
        let found: Vec<String> =
            known.flat_map(|known| known.split('`').skip(1).step_by(2)).map(String::from).collect();
        assert!(!found.is_empty(), "{text}");
        keys.extend(found);
    }
    assert!(keys.len() > 50, "{keys:?}");
    for key in keys {
        let words = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            text.split(|c| !plain(c)).any(|word| word == key)
        };
        assert!(words(&tables), "`{key}` is in no table of docs/policy.md or docs/probes.md");
        assert!(words(&examples), "`{key}` is in no example of docs/policy.md or docs/probes.md");
    }
}
