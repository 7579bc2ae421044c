//! Whole files: directives, TTLs, owners, what is said of them, and where.

mod checks;
mod properties;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::*;
use crate::diagnostic::{Severity, has_errors};

const HEAD: &str = "$TTL 300\n@ SOA ns.example.org. hm.example.org. 1 2 3 4 5\n@ NS ns.example.org.\n";

fn apex() -> Name {
    Name::parse("example.net.", None).unwrap()
}

/// Reads `main.zone` in the folder `zones`, with other files by their path.
fn read_files(text: &[u8], files: &[(&str, &str)]) -> (Option<Zone>, Vec<Diagnostic>) {
    let mut files: BTreeMap<_, _> =
        files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect();
    files.insert("zones/main.zone".into(), text.to_vec());
    read(Path::new("zones/main.zone"), &apex(), &mut |path: &Path| match files.get(path) {
        Some(text) => Ok(opened(text.clone())),
        None => Err(io::ErrorKind::NotFound.into()),
    })
}

/// A file with this text, opened.
fn opened(text: impl Into<Vec<u8>>) -> Box<dyn Read> {
    Box::new(io::Cursor::new(text.into()))
}

/// The records of a zone as `owner ttl type rdata`, those of the apex's SOA and NS left out.
fn records(zone: &Zone) -> Vec<String> {
    let mut lines = Vec::new();
    for Rrset { owner, rtype, ttl, rdatas } in zone.rrsets().filter(|rrset| !is_fixed(rrset.rtype)) {
        let line = |rdata: &[u8]| format!("{owner} {ttl} {rtype} {}", display_rdata(rtype, rdata));
        lines.extend(rdatas.iter().map(|rdata| line(rdata)));
    }
    lines
}

fn is_fixed(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::SOA | Rtype::NS)
}

/// A zone with this below its SOA and NS has these records.
fn check(text: &str, expected: &[&str]) {
    check_files(text, &[], expected);
}

fn check_files(text: &str, files: &[(&str, &str)], expected: &[&str]) {
    let (zone, diagnostics) = read_files(format!("{HEAD}{text}").as_bytes(), files);
    let zone = zone.unwrap_or_else(|| panic!("{text}: {diagnostics:?}"));
    assert_eq!(records(&zone), expected, "{text}: {diagnostics:?}");
}

/// A zone with this below its SOA and NS, which end in line 3, has these problems, as `line:column+width severity: phrase
/// (hint: ...)`.
fn check_problems(text: &str, expected: &[&str]) {
    check_problems_of(&format!("{HEAD}{text}"), &[], expected);
}

fn check_problems_of(text: &str, files: &[(&str, &str)], expected: &[&str]) {
    let (zone, diagnostics) = read_files(text.as_bytes(), files);
    assert_eq!(zone.is_none(), has_errors(&diagnostics));
    let shown: Vec<_> = diagnostics
        .into_iter()
        .map(|mut diagnostic| {
            let Some(place) = diagnostic.place.take() else { return diagnostic.to_string() };
            let file =
                if place.path.ends_with("main.zone") { String::new() } else { format!("{}:", place.path.display()) };
            if let Some((place, _)) = &mut diagnostic.related {
                place.path = Path::new(&format!("{}", place.line)).into();
            }
            format!("{file}{}:{}+{} {diagnostic}", place.line, place.column, place.width)
        })
        .collect();
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn owners() {
    check(
        "a A 192.0.2.1\n  AAAA ::1\n\tTXT x\n",
        &["a.example.net. 300 A 192.0.2.1", "a.example.net. 300 TXT \"x\"", "a.example.net. 300 AAAA ::1"],
    );
    check(
        "@ A 192.0.2.1\nb.example.net. A 192.0.2.2\n",
        &["example.net. 300 A 192.0.2.1", "b.example.net. 300 A 192.0.2.2"],
    );
    // The first spelling of a name stays.
    check("WwW A 192.0.2.1\nwww TXT x\n", &["WwW.example.net. 300 A 192.0.2.1", "WwW.example.net. 300 TXT \"x\""]);
    check(
        "a A 192.0.2.1\nb A 192.0.2.2\nA A 192.0.2.3\n",
        &["a.example.net. 300 A 192.0.2.1", "a.example.net. 300 A 192.0.2.3", "b.example.net. 300 A 192.0.2.2"],
    );
}

#[test]
fn ttl_and_class_in_either_order() {
    for header in ["60", "1m", "60 IN", "IN 60", "in 1M", "60 CLASS1"] {
        check(&format!("a {header} A 192.0.2.1\n"), &["a.example.net. 60 A 192.0.2.1"]);
    }
    check("a IN A 192.0.2.1\n", &["a.example.net. 300 A 192.0.2.1"]);
}

#[test]
fn ttl_of_a_record_without_one() {
    let check = |text: &str, expected: &[&str]| {
        let (zone, diagnostics) = read_files(text.as_bytes(), &[]);
        let zone = zone.unwrap_or_else(|| panic!("{text}: {diagnostics:?}"));
        let ttls: Vec<_> =
            zone.rrsets().map(|rrset| format!("{} {} {}", rrset.owner, rrset.rtype, rrset.ttl)).collect();
        assert_eq!(ttls, expected, "{text}");
    };
    check(
        "@ SOA a. b. 1 2 3 4 5\n@ NS c.\na 9 A 192.0.2.1\nb A 192.0.2.1\n",
        &["example.net. NS 5", "example.net. SOA 5", "a.example.net. A 9", "b.example.net. A 5"],
    );
    check(
        "@ 7 SOA a. b. 1 2 3 4 5\n@ NS c.\na 9 A 192.0.2.1\nb A 192.0.2.1\n",
        &["example.net. NS 7", "example.net. SOA 7", "a.example.net. A 9", "b.example.net. A 9"],
    );
    check(
        "@ 7 SOA a. b. 1 2 3 4 5\n$TTL 8\n@ NS c.\na 9 A 192.0.2.1\nb A 192.0.2.1\n",
        &["example.net. NS 8", "example.net. SOA 7", "a.example.net. A 9", "b.example.net. A 8"],
    );
    check_problems_of(
        "@ SOA a. b. 1 2 3 4 5\n@ NS c.\n",
        &[],
        &[
            "1:3+3 warning: no TTL: the SOA's minimum, 5, is taken for it and for records without one (hint: write `$TTL 5` before the first record)",
        ],
    );
    check_problems_of(
        "@ 7 SOA a. b. 1 2 3 4 5\n@ NS c.\n@ TXT x\n",
        &[],
        &[
            "2:3+2 warning: no TTL: 7, that of the record before, is taken here and for others without one (hint: write `$TTL` with the TTL meant before the first record)",
        ],
    );
    check_problems_of(
        "@ NS c.\n@ 5 SOA a. b. 1 2 3 4 5\n",
        &[],
        &["1:3+2 error: no TTL, and none before that could be taken (hint: write `$TTL 3600` before the first record)"],
    );
}

#[test]
fn rrsets_take_the_lowest_ttl() {
    check(
        "a 60 A 192.0.2.1\na 30 A 192.0.2.2\na 90 A 192.0.2.3\n",
        &["a.example.net. 30 A 192.0.2.1", "a.example.net. 30 A 192.0.2.2", "a.example.net. 30 A 192.0.2.3"],
    );
    check_problems(
        "a 60 A 192.0.2.1\na 30 A 192.0.2.2\na 90 A 192.0.2.3\n",
        &[
            "5:1+1 warning: TTL 30 of A `a.example.net.` differs from 60 before; 30, the lowest, is taken for all (the first record: 4:4:1)",
        ],
    );
    // Records of one owner that stand apart.
    check_problems(
        "a 60 A 192.0.2.1\n  50 TXT x\nb A 192.0.2.1\nA 30 A 192.0.2.2\na 50 TXT y\n",
        &[
            "7:1+1 warning: TTL 30 of A `a.example.net.` differs from 60 before; 30, the lowest, is taken for all (the first record: 4:4:1)",
        ],
    );
    // A duplicate is dropped with its TTL.
    check("a 60 A 192.0.2.1\na 30 A 192.0.2.1\n", &["a.example.net. 60 A 192.0.2.1"]);
    check(
        "a 60 A 192.0.2.1\nb TXT x\na 30 A 192.0.2.1\n",
        &["a.example.net. 60 A 192.0.2.1", "b.example.net. 300 TXT \"x\""],
    );
    check_problems("a 60 A 192.0.2.1\na 30 A 192.0.2.1\nb TXT x\na 20 A 192.0.2.1\n", &[]);
    // Signatures of different RRsets keep their own.
    let signature = |rtype, ttl| format!("@ {ttl} RRSIG {rtype} 15 2 {ttl} 20360101000000 20260101000000 1 @ AQI=\n");
    check_problems(&format!("{}{}", signature("SOA", 300), signature("TXT", 60)), &[]);
}

#[test]
fn duplicates_are_dropped() {
    check("a MX 1 b.\na MX 1 B.\na MX 2 b.\n", &["a.example.net. 300 MX 1 b.", "a.example.net. 300 MX 2 b."]);
    check("a TXT x\na TXT X\na TXT \"x\"\n", &["a.example.net. 300 TXT \"x\"", "a.example.net. 300 TXT \"X\""]);
    check("a CNAME b.\na CNAME b.\n", &["a.example.net. 300 CNAME b."]);
    let many: String = (0..3000).map(|n| format!("a TXT {}\n", n % 1000)).collect();
    let (zone, _) = read_files(format!("{HEAD}{many}").as_bytes(), &[]);
    assert_eq!(records(&zone.unwrap()).len(), 1000);
}

#[test]
fn origins() {
    check(
        "$ORIGIN sub\na A 192.0.2.1\n$ORIGIN x\n@ TXT y\n$ORIGIN example.net.\nb CNAME c\n",
        &[
            "b.example.net. 300 CNAME c.example.net.",
            "a.sub.example.net. 300 A 192.0.2.1",
            "x.sub.example.net. 300 TXT \"y\"",
        ],
    );
    check("$origin .\na.example.net A 192.0.2.1\n", &["a.example.net. 300 A 192.0.2.1"]);
}

#[test]
fn includes() {
    let files = [
        ("zones/plain.inc", "x A 192.0.2.1\n"),
        // `..` is left to the file system, which may know better than the letters.
        ("zones/sub/../plain.inc", "x A 192.0.2.1\n"),
        ("zones/sub/deep.inc", "@ TXT deep\n$ORIGIN elsewhere\n$INCLUDE ../plain.inc\n$INCLUDE beside.inc\n"),
        ("zones/sub/beside.inc", "y TXT beside\n"),
        ("zones/owner.inc", " TXT inherited\nlast TXT x\n"),
        ("zones/ttl.inc", "$TTL 7\n"),
        ("/etc/absolute.inc", "z TXT absolute\n"),
        ("zones/a b.inc", "s TXT space\n"),
    ];
    let check = |text, expected: &[&str]| check_files(text, &files, expected);
    check("$INCLUDE plain.inc\n", &["x.example.net. 300 A 192.0.2.1"]);
    check("$INCLUDE plain.inc sub\n", &["x.sub.example.net. 300 A 192.0.2.1"]);
    check(
        "$INCLUDE plain.inc sub.example.net.\nx TXT y\n",
        &["x.sub.example.net. 300 A 192.0.2.1", "x.example.net. 300 TXT \"y\""],
    );
    // Paths start at the including file, the origin returns with it.
    check(
        "$INCLUDE sub/deep.inc d\na TXT b\n",
        &[
            "a.example.net. 300 TXT \"b\"",
            "d.example.net. 300 TXT \"deep\"",
            "x.elsewhere.d.example.net. 300 A 192.0.2.1",
            "y.elsewhere.d.example.net. 300 TXT \"beside\"",
        ],
    );
    // The last owner goes in and comes back.
    check(
        "a TXT one\n$INCLUDE owner.inc\n TXT two\n",
        &[
            "a.example.net. 300 TXT \"one\"",
            "a.example.net. 300 TXT \"inherited\"",
            "a.example.net. 300 TXT \"two\"",
            "last.example.net. 300 TXT \"x\"",
        ],
    );
    // What follows a `$TTL` takes it (RFC 2308 4).
    check("$INCLUDE ttl.inc\na TXT b\n", &["a.example.net. 7 TXT \"b\""]);
    check("$INCLUDE /etc/absolute.inc\n", &["z.example.net. 300 TXT \"absolute\""]);
    check(
        "$INCLUDE \"a b.inc\"\n$INCLUDE a\\ b.inc t\n",
        &["s.example.net. 300 TXT \"space\"", "s.t.example.net. 300 TXT \"space\""],
    );
}

#[test]
fn problems_of_included_files() {
    let files = [
        ("zones/bad.inc", "ok TXT x\nx A 1.2.3\n"),
        ("zones/loop.inc", "$INCLUDE ./sub/../loop.inc\n"),
        ("zones/main.zone", "never read"),
        ("zones/unclosed.inc", "x TXT (\n"),
    ];
    let check = |text: &str, expected: &[&str]| check_problems_of(&format!("{HEAD}{text}"), &files, expected);
    check(
        "$INCLUDE bad.inc\n",
        &["zones/bad.inc:2:5+5 error: bad A address `1.2.3`, expected an IPv4 address such as `192.0.2.1`"],
    );
    // Read twice, told once.
    check(
        "$INCLUDE bad.inc\n$INCLUDE bad.inc\n",
        &["zones/bad.inc:2:5+5 error: bad A address `1.2.3`, expected an IPv4 address such as `192.0.2.1`"],
    );
    check(
        "$INCLUDE none.inc\n",
        &[
            "4:10+8 error: cannot read `zones/none.inc`: entity not found (hint: a relative path starts at the folder of this file)",
        ],
    );
    check(
        "$INCLUDE main.zone\n",
        &["4:10+9 error: `zones/main.zone` includes itself: zones/main.zone -> zones/main.zone"],
    );
    check(
        "$INCLUDE loop.inc\n",
        &[
            "zones/loop.inc:1:10+17 error: `zones/./sub/../loop.inc` includes itself: zones/main.zone -> zones/loop.inc -> zones/./sub/../loop.inc",
        ],
    );
    check(
        "$INCLUDE unclosed.inc\nx A 1.2.3\n",
        &[
            "5:5+5 error: bad A address `1.2.3`, expected an IPv4 address such as `192.0.2.1`",
            "zones/unclosed.inc:1:7+1 error: unclosed parenthesis, expected a `)` before the end of the file (hint: what follows is read again from the next line that starts with text)",
        ],
    );
}

#[test]
fn inclusions_have_a_limit() {
    let (_, diagnostics) = read(Path::new("0"), &apex(), &mut |path: &Path| {
        let number: u32 = path.to_str().and_then(|path| path.parse().ok()).unwrap();
        Ok(opened(format!("$INCLUDE {}\n", number + 1)))
    });
    assert_eq!(diagnostics[0].to_string(), "20:1:10: error: more than 20 files included inside each other");
    // Each file includes the next one twice.
    let (_, diagnostics) = read(Path::new("0"), &apex(), &mut |path: &Path| {
        let number: u32 = path.to_str().and_then(|path| path.parse().ok()).unwrap();
        Ok(opened(if number < 19 { format!("$INCLUDE {0}\n$INCLUDE {0}\n", number + 1) } else { String::new() }))
    });
    assert!(diagnostics[0].message.contains("more than 10000 inclusions"), "{}", diagnostics[0]);
}

#[test]
fn generated_records() {
    check(
        "a TXT x\n$GENERATE 1-2 h$ 60 A 192.0.2.$\n TXT y\n",
        &[
            "a.example.net. 300 TXT \"x\"",
            "a.example.net. 300 TXT \"y\"",
            "h1.example.net. 60 A 192.0.2.1",
            "h2.example.net. 60 A 192.0.2.2",
        ],
    );
    check("$GENERATE 1-1 h$ TXT \"\\\"a b\\\" $\"\n", &["h1.example.net. 300 TXT \"a b\" \"1\""]);
    check_problems(
        "$GENERATE 255-256 h$ A 192.0.2.$\n",
        &["4:24+9 error: with 256 for `$`: bad A address `192.0.2.256`, expected an IPv4 address such as `192.0.2.1`"],
    );
    check_problems(
        "$GENERATE 1-2 h$ MX 10 m$\n",
        &["4:24+2 error: more after `MX` than it takes: `m$` (hint: put RDATA of several words in quotes)"],
    );
    check_problems(
        "$GENERATE 0-1000000 h A 192.0.2.1\n",
        &["4:11+9 error: more than 1000000 generated records in one zone"],
    );
    check_problems(
        "$GENERATE 1-600000/3 h A 192.0.2.1\n$GENERATE 1-900000 h A 192.0.2.1\n",
        &["5:11+8 error: more than 1000000 generated records in one zone"],
    );
}

#[test]
fn positions_at_and_above_hubs() {
    let text = format!("{HEAD}a TXT (\n one\n two )\n\nB TXT x\n$INCLUDE i.inc\nb TXT y\n");
    let name = |name: &str| Name::parse(name, Some(&apex())).unwrap();
    let hubs = ["a", "h.b", "x.y.C", "none"].map(name).into();
    let (zone, _) = read_beside_hubs(Path::new("zones/main.zone"), &apex(), &hubs, &mut |path| {
        Ok(if path == "zones/main.zone" { opened(text.clone()) } else { opened("\n\nc TXT y\nd TXT z\n") })
    });
    let zone = zone.unwrap();
    let position = |owner: &str, rtype| {
        let position = zone.position(&name(owner), rtype)?;
        Some((zone.files[usize::from(position.file)].to_str().unwrap(), position.line))
    };
    assert_eq!(position("A", Rtype::TXT), Some(("zones/main.zone", 4)));
    assert_eq!(position("b", Rtype::TXT), Some(("zones/main.zone", 8)));
    assert_eq!(position("c", Rtype::TXT), Some(("zones/i.inc", 3)));
    assert_eq!(position("@", Rtype::NS), Some(("zones/main.zone", 3)));
    assert_eq!(position("a", Rtype::A), None);
    assert_eq!(position("d", Rtype::TXT), None);
    assert_eq!(position("none", Rtype::TXT), None);
}

#[test]
fn one_error_does_not_make_others() {
    // The owner of a line that is wrong otherwise is known, one that is wrong itself is not missed.
    check_problems(
        "ab FOOBARS x\n A 1.2.3\nb..c A 192.0.2.1\n AAAA ::1\n TXT \"x\n A 1.2.4\n",
        &[
            "4:4+7 error: unknown type `FOOBARS`, expected a record type (hint: a type without a name here is written `TYPE` and its number (RFC 3597))",
            "5:4+5 error: bad A address `1.2.3`, expected an IPv4 address such as `192.0.2.1`",
            "6:1+4 error: bad owner `b..c`: empty label in the name",
            "8:6+1 error: unclosed quote, expected a `\"` before the end of the line (hint: a quote inside the text is written `\\\"`)",
            "9:4+5 error: bad A address `1.2.4`, expected an IPv4 address such as `192.0.2.1`",
        ],
    );
    // A zone of which a line was lost is not said to lack records.
    check_problems_of(
        "$TTL 1\n@ SOA a b\n@ MX 0 mail\n",
        &[],
        &["2:10+1 error: missing SOA serial, expected a number from 0 to 4294967295"],
    );
}

#[test]
fn hints() {
    let check = |line: &str, hint: &str| {
        let (_, diagnostics) = read_files(format!("{HEAD}{line}\n").as_bytes(), &[]);
        assert_eq!(diagnostics[0].hint.as_deref(), Some(hint), "{line}: {}", diagnostics[0]);
    };
    check("a AAA ::1", "did you mean `AAAA`?");
    check("a CNMAE b", "did you mean `CNAME`?");
    check("a NI A 192.0.2.1", "did you mean `IN`?");
    check("A 192.0.2.1", "a line that takes the owner of the record before starts with a space");
    check("ORIGIN sub.b", "did you mean the directive `$ORIGIN`?");
    check("TTL 3600", "did you mean the directive `$TTL`?");
    check("$TLL 3", "did you mean `$TTL`?");
    check("$foo A 192.0.2.1", "an owner name that starts with a dollar sign is written `\\$`");
    check("a IN IN A 192.0.2.1", "the class was written before");
    check("a 60 60 A 192.0.2.1", "the TTL was written before");
    check("a MD b", "`MX` took its place");
}

#[test]
fn names_without_their_final_dot() {
    check_problems(
        "www.example.net CNAME x.\na CNAME Example.NET\n$ORIGIN sub\nb MX 1 sub.example.net\nc MX 1 xexample.net\n",
        &[
            "4:1+15 warning: `www.example.net` has no final dot: it stands for `www.example.net.example.net.` (hint: write `www.example.net.`)",
            "5:9+11 warning: `Example.NET` has no final dot: it stands for `Example.NET.example.net.` (hint: write `Example.NET.`)",
            "7:6+17 warning: MX record of `b.sub.example.net.` points at `sub.example.net.sub.example.net.`, which does not exist in this zone (hint: it needs a name with an `A` or `AAAA` record)",
            "7:8+15 warning: `sub.example.net` has no final dot: it stands for `sub.example.net.sub.example.net.` (hint: write `sub.example.net.`)",
            "8:6+14 warning: MX record of `c.sub.example.net.` points at `xexample.net.sub.example.net.`, which does not exist in this zone (hint: it needs a name with an `A` or `AAAA` record)",
        ],
    );
}

#[test]
fn records_outside_the_zone_are_ignored() {
    check("www.example.org. A 192.0.2.1\n  AAAA ::1\na A 192.0.2.2\n", &["a.example.net. 300 A 192.0.2.2"]);
    check_problems(
        "www.example.org. A 192.0.2.1\n  AAAA ::1\nnet. TXT x\n",
        &[
            "4:1+16 warning: record outside the zone `example.net.`, which is ignored",
            "5:3+4 warning: record outside the zone `example.net.`, which is ignored",
            "6:1+4 warning: record outside the zone `example.net.`, which is ignored",
        ],
    );
}

#[test]
fn too_many_problems_are_counted() {
    let bad = "a A 1.2.3\n".repeat(1500) + &"www.example.org. A 192.0.2.1\n".repeat(20);
    let (_, diagnostics) = read_files(format!("{HEAD}{bad}").as_bytes(), &[]);
    assert_eq!(diagnostics.len(), 1001);
    assert!(diagnostics[..1000].iter().all(|diagnostic| diagnostic.severity == Severity::Error));
    assert_eq!(diagnostics[1000].to_string(), "error: zones/main.zone: 520 more problems than the 1000 shown");
    let places: Vec<_> = diagnostics[..1000].iter().map(|diagnostic| diagnostic.place.as_ref().unwrap().line).collect();
    assert_eq!(places, (4..1004).collect::<Vec<_>>());
    // Errors come before warnings where there is no room for both.
    let bad = "www.example.org. A 192.0.2.1\n".repeat(1500) + "a A 1.2.3\n";
    let (zone, diagnostics) = read_files(format!("{HEAD}{bad}").as_bytes(), &[]);
    assert!(zone.is_none());
    assert_eq!(diagnostics[999].message, "bad A address `1.2.3`, expected an IPv4 address such as `192.0.2.1`");
}

#[test]
fn octets_that_are_no_text() {
    check_problems_of(
        &format!("\u{feff}{HEAD}a A 1.2.3\n"),
        &[],
        &[
            "1:1+1 error: byte order mark, expected plain text (hint: save the file as UTF-8 without a byte order mark)",
            "4:5+5 error: bad A address `1.2.3`, expected an IPv4 address such as `192.0.2.1`",
        ],
    );
    check("a TXT \u{fc}\n", &["a.example.net. 300 TXT \"\\195\\188\""]);
    check_problems(
        "a A \u{fc}\u{fc}.1 2\n",
        &["4:5+4 error: bad A address `\u{fc}\u{fc}.1`, expected an IPv4 address such as `192.0.2.1`"],
    );
}

/// The zone does not know what the policy answers for a hub.
#[test]
fn a_record_may_point_at_a_hub() {
    let text = "@ 60 IN SOA ns h 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n@ 60 IN MX 1 hub\n@ 60 IN MX 1 gone\n";
    let hubs = [Name::parse("hub.example.net.", None).unwrap()].into();
    let (_, diagnostics) = read_beside_hubs(Path::new("z"), &apex(), &hubs, &mut |_| Ok(opened(text)));
    let messages: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert_eq!(
        messages,
        ["MX record of `example.net.` points at `gone.example.net.`, which does not exist in this zone"]
    );
}
