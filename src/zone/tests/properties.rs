//! Files of any content are read or refused, and what is read survives being written.

use proptest::prelude::*;

use super::HEAD;
use crate::zone::sound::{hold, hold_any_way};

/// Files that hold most of what can be written, to be cut and mixed.
const SAMPLES: &[&str] = &[
    include_str!("../../../tests/integration/corpus/zone/accept/layout.zone"),
    include_str!("../../../tests/integration/corpus/zone/accept/names.zone"),
    include_str!("../../../tests/integration/corpus/zone/accept/generate.zone"),
    include_str!("../../../tests/integration/corpus/zone/accept/include.zone"),
    include_str!("../../../tests/integration/corpus/zone/accept/delegation.zone"),
    include_str!("../../../tests/integration/corpus/zone/accept/types-svcb.zone"),
    include_str!("../../../tests/integration/corpus/zone/accept/types-common.zone"),
];

/// A line that is a plain record, or nearly one.
fn line() -> impl Strategy<Value = String> {
    let owner = prop::sample::select(
        &[
            "a",
            "A",
            "b.c",
            "B.c.example.net.",
            "x.org.",
            "@",
            "",
            "",
            "*",
            "a..b",
            "$a",
            "a\\.b",
            "example.net",
            "1",
            "a.",
            "é",
        ][..],
    );
    let gap = || prop::sample::select(&[" ", " ", " ", "\t ", "", "(", "\r"][..]);
    let header =
        prop::collection::vec(prop::sample::select(&["60", "IN", "in", "1h", "60", "9999999999", "0"][..]), 0..3);
    let rdata = prop::sample::select(
        &[
            "A 192.0.2.1",
            "A 192.0.2.01",
            "A 1.2.3",
            "A 256.0.0.1",
            "a 192.0.2.2",
            "A 192.0.2.1.",
            "AAAA ::1",
            "AAAA ::g",
            "AAAA ::1.2.3.4",
            "NS b",
            "NS @",
            "NS example.net",
            "CNAME b.c",
            "CNAME a.example.net.",
            "PTR b",
            "MX 1 b",
            "MX 65536 b",
            "MX 1",
            "MX 01 b.",
            "TXT x",
            "TXT \"x y\"",
            "TXT \"x\" \"y\"",
            "TXT \"x\"\"y\"",
            "TXT \"",
            "TXT \"\\\"\"",
            "TXT",
            "SRV 0 0 1 b",
            "DNAME b",
            "A 192.0.2.1 x",
            "TYPE1 \\# 4 00000000",
            "A \\# 4 00000000",
        ][..],
    );
    let end = prop::sample::select(&["\n", "\n", " \n", "\r\n", ";x\n", " ; x\n", ")\n", "\n\n", ""][..]);
    (owner, gap(), header, gap(), rdata, end).prop_map(|(owner, gap, header, after, rdata, end)| {
        let header: String = header.iter().map(|word| format!("{word}{after}")).collect();
        format!("{owner}{gap}{header}{rdata}{end}")
    })
}

proptest! {
    #[test]
    fn plain_lines_are_read_as_any_others(
        lines in prop::collection::vec(line(), 0..12),
        origin in prop::sample::select(&["", "", "$ORIGIN net.\n", "$ORIGIN org.\n", "$ORIGIN c\n"][..]),
        head in prop::sample::select(&[HEAD, HEAD, "@ SOA a b 1 2 3 4 5\n@ NS b\n", "", "\u{feff}"][..]),
    ) {
        hold_any_way(format!("{head}{origin}{}", lines.concat()).as_bytes());
    }

    #[test]
    fn files_are_read_alike_in_any_parts(
        sample in prop::sample::select(SAMPLES),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(WORDS), 0..30_usize), 0..4),
    ) {
        let mut text = sample.as_bytes().to_vec();
        for (index, word, cut) in edits {
            let at = index.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, word.bytes());
        }
        hold_any_way(&text);
    }

    #[test]
    fn any_octets_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
        hold(&text);
    }

    #[test]
    fn any_words_are_read_or_refused(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        hold(format!("{HEAD}{}", words.concat()).as_bytes());
    }

    #[test]
    fn mutated_files_are_read_or_refused(
        sample in prop::sample::select(SAMPLES),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(WORDS), 0..30_usize), 1..4),
    ) {
        let mut text = sample.as_bytes().to_vec();
        for (index, word, cut) in edits {
            let at = index.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, word.bytes());
        }
        hold(&text);
    }

    #[test]
    fn lines_dropped_from_files(sample in prop::sample::select(SAMPLES), keep in prop::collection::vec(any::<bool>(), 80)) {
        let lines = sample.lines().zip(keep.iter().cycle()).enumerate();
        let text: Vec<_> = lines.filter(|(at, (_, keep))| *at < 4 || **keep).map(|(_, (line, _))| line).collect();
        hold(text.join("\n").as_bytes());
    }
}

const WORDS: &[&str] = &[
    " ",
    " ",
    "\n",
    "\n",
    "\n",
    "\t",
    "a",
    "b.c",
    "@",
    ".",
    "*",
    "sub",
    "\\",
    "\"",
    "(",
    ")",
    ";",
    "$",
    "$$",
    "=",
    "IN",
    "CH",
    "60",
    "1h",
    "A",
    "AAAA",
    "NS",
    "CNAME",
    "DNAME",
    "MX",
    "TXT",
    "SOA",
    "SVCB",
    "RRSIG",
    "TYPE65400",
    "\\#",
    "192.0.2.1",
    "::1",
    "10",
    "alpn=h2",
    "\\065",
    "\\300",
    "$ORIGIN ",
    "$TTL ",
    "$INCLUDE ",
    "$GENERATE ",
    "1-3",
    "${0,3,x}",
    "\0",
    "\r\n",
    "\u{e9}",
    "a.zone",
    "x.inc",
    "example.net.",
    "example.net",
];
