//! `docs/conformance.md` says what the rows say: its tables are made from the modules of this folder and of
//! `src/answer/conformance`. `BLESS=1 cargo test --test integration conformance::table` writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The tables are between these two lines.
const BEGIN: &str = "<!-- from here on made by tests/integration/conformance/table.rs -->\n";
const END: &str = "<!-- to here -->\n";

/// The RFCs that have to have a module with sections.
const NEEDED: [u16; 21] = [
    1034, 1035, 2181, 2308, 3597, 4343, 4592, 5001, 6672, 6891, 7766, 7828, 7871, 7873, 8020, 8482, 8906, 8914, 9018,
    9210, 9619,
];

/// Those of which nothing is asked of servers.
const OTHERS: [(u16, &str); 5] = [
    (4035, "DNSSEC, protocol"),
    (4892, "Identity of a server"),
    (7830, "Padding"),
    (8467, "Padding, policies"),
    (9471, "Glue"),
];

/// What is covered of an RFC.
#[derive(Default)]
struct Covered {
    title: String,
    /// What is asked of servers, by section.
    asked: BTreeSet<Section>,
    /// What is looked at with the answer engine alone.
    alone: BTreeSet<Section>,
    /// Peers that the rows are asked of: whether there is one that is.
    compared: bool,
}

/// Numbers of a section, or an appendix behind all of them.
type Section = Vec<u16>;

#[derive(Default)]
struct Table {
    covered: BTreeMap<u16, Covered>,
    /// RFC, section, peer, what it does.
    differences: Vec<[String; 4]>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join(folder)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let text = |path: &Path| {
        // Texts that go on in the next line.
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.split("\\\n");
        let first = lines.next().unwrap_or_default().to_owned();
        lines.fold(first, |joined, line| joined + line.trim_start())
    };
    files.iter().map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), text(path))).collect()
}

/// `section_4_3_2_step_3_a_an_alias` is of section 4.3.2, `appendix_a_1_x` of appendix A.
fn section(function: &str) -> Option<Section> {
    if let Some(rest) = function.strip_prefix("appendix_") {
        return Some(vec![1000 + u16::from(rest.as_bytes()[0] - b'a')]);
    }
    let numbers = function.strip_prefix("section_")?.split('_').map_while(|part| part.parse().ok());
    Some(numbers.collect())
}

fn shown(section: &Section) -> String {
    match section[..] {
        [letter] if letter >= 1000 => char::from(b'A' + (letter - 1000) as u8).to_string(),
        _ => section.iter().map(u16::to_string).collect::<Vec<_>>().join("."),
    }
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("fn ")?.split('(').next()
}

/// A text that stands at the start.
fn text(code: &str) -> Option<&str> {
    code.strip_prefix('"')?.split('"').next()
}

fn of_servers(table: &mut Table) {
    for (file, source) in sources("tests/integration/conformance") {
        let Some(rfc) = file.strip_prefix("rfc").map(|rfc| rfc.parse::<u16>().unwrap()) else { continue };
        let title = source.strip_prefix("//! ").and_then(|text| text.split(['.', '\n', ':']).next());
        let covered = table.covered.entry(rfc).or_default();
        covered.title = title.expect("a module has a title").to_owned();
        // Texts that have a name.
        let named: BTreeMap<&str, &str> = source
            .lines()
            .filter_map(|line| {
                let line = line.trim_start();
                let (name, value) = line.strip_prefix("let ").or(line.strip_prefix("const "))?.split_once(" = ")?;
                Some((name.split(':').next()?, text(value)?))
            })
            .collect();
        let mut now = Vec::new();
        for line in source.lines() {
            if let Some(section) = function(line).and_then(section) {
                now = section.clone();
                covered.asked.insert(section);
            }
            covered.compared |= line.contains(".is(") && !line.contains(".ours(");
            for part in line.split(".but(").skip(1) {
                let (peer, why) = part.split_once(", ").expect("a peer and a reason");
                let name = || why.split([')', ',']).next().unwrap_or_default();
                let why = text(why).or_else(|| named.get(name()).copied());
                let why = why.unwrap_or_else(|| panic!("{file}: the reason of `{line}`"));
                table.differences.push([rfc.to_string(), shown(&now), peer.to_owned(), why.to_owned()]);
            }
        }
    }
}

fn of_the_engine(table: &mut Table) {
    for (_, source) in sources("src/answer/conformance") {
        let mut rfc = None;
        for line in source.lines() {
            if let Some(module) = line.trim_start().strip_prefix("mod rfc") {
                rfc = module.split(' ').next().and_then(|rfc| rfc.parse::<u16>().ok());
            }
            if let (Some(rfc), Some(section)) = (rfc, function(line).and_then(section)) {
                table.covered.entry(rfc).or_default().alone.insert(section);
            }
        }
    }
}

fn made() -> String {
    let mut table = Table::default();
    of_servers(&mut table);
    of_the_engine(&mut table);
    for rfc in NEEDED {
        assert!(
            table.covered.get(&rfc).is_some_and(|covered| !covered.asked.is_empty()),
            "nothing is asked of RFC {rfc}"
        );
    }
    let list = |sections: &BTreeSet<Section>| match sections.is_empty() {
        true => "-".to_owned(),
        false => sections.iter().map(shown).collect::<Vec<_>>().join(", "),
    };
    let mut text = "| RFC | of | asked of the process, Knot, NSD and BIND: sections | asked of the answer engine alone: sections |\n\
                    | --- | --- | --- | --- |\n"
        .to_owned();
    for (rfc, covered) in &table.covered {
        let (asked, alone) = (list(&covered.asked), list(&covered.alone));
        let other = OTHERS.iter().find(|(other, _)| other == rfc).map(|(_, title)| *title);
        let title = other.unwrap_or(&covered.title);
        assert!(!title.is_empty() && other.is_none_or(|_| covered.title.is_empty()), "RFC {rfc} has one title");
        let beside = if covered.asked.is_empty() || covered.compared { "" } else { " (not compared)" };
        text += &format!("| {rfc} | {title} | {asked}{beside} | {alone} |\n");
    }
    text += "\n## Where peers answer otherwise\n\n| RFC | section | peer | what it does |\n| --- | --- | --- | --- |\n";
    table.differences.sort();
    table.differences.dedup();
    for [rfc, section, peer, why] in &table.differences {
        let peer = if peer == "Knot" { "Knot" } else { &peer.to_uppercase() };
        text += &format!("| {rfc} | {section} | {peer} | {why} |\n");
    }
    text
}

#[test]
fn the_document_says_what_the_rows_say() {
    let path = root().join("docs/conformance.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the line where the tables begin");
    let (tables, after) = rest.split_once(END).expect("the line where they end");
    let made = made();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}\n{made}\n{END}{after}")).unwrap();
        return;
    }
    assert_eq!(tables.trim(), made.trim(), "docs/conformance.md: write the tables with BLESS=1");
}
