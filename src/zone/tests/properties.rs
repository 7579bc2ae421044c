//! Files of any content are read or refused, and what is read survives being written.

use std::io;
use std::path::Path;

use proptest::prelude::*;

use super::{HEAD, apex, opened};
use crate::diagnostic::has_errors;
use crate::zone::{Rrset, Zone, display_rdata, read};

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

/// What every outcome has in common.
fn check_sound(text: &[u8]) -> Result<(), TestCaseError> {
    let (zone, diagnostics) = read(Path::new("a.zone"), &apex(), &mut |path| {
        Ok(if path == "a.zone" { opened(text) } else { opened("i A 192.0.2.1\n") })
    });
    prop_assert_eq!(zone.is_none(), has_errors(&diagnostics));
    for place in diagnostics.iter().filter_map(|diagnostic| diagnostic.place.as_ref()) {
        prop_assert!(place.line >= 1 && place.column >= 1 && place.width >= 1);
    }
    let Some(zone) = zone else { return Ok(()) };
    // Written out and read again, it is the same zone.
    let mut written = String::new();
    for Rrset { owner, rtype, ttl, rdatas } in zone.rrsets() {
        for rdata in rdatas {
            written += &format!("{owner} {ttl} {rtype} {}\n", display_rdata(rtype, &rdata));
        }
    }
    let (again, diagnostics) = read(Path::new("b.zone"), &apex(), &mut |path| match path.to_str() {
        Some("b.zone") => Ok(opened(written.clone())),
        _ => Err(io::ErrorKind::NotFound.into()),
    });
    let again = again.ok_or_else(|| TestCaseError::fail(format!("{written}\n{diagnostics:?}")))?;
    let records = |zone: &Zone| zone.rrsets().map(|rrset| (rrset.owner.to_string(), rrset)).collect::<Vec<_>>();
    prop_assert_eq!(records(&zone), records(&again));
    Ok(())
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
        check_sound(&text)?;
    }

    #[test]
    fn any_words_are_read_or_refused(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        check_sound(format!("{HEAD}{}", words.concat()).as_bytes())?;
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
        check_sound(&text)?;
    }

    #[test]
    fn lines_dropped_from_files(sample in prop::sample::select(SAMPLES), keep in prop::collection::vec(any::<bool>(), 80)) {
        let lines = sample.lines().zip(keep.iter().cycle()).enumerate();
        let text: Vec<_> = lines.filter(|(at, (_, keep))| *at < 4 || **keep).map(|(_, (line, _))| line).collect();
        check_sound(text.join("\n").as_bytes())?;
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
