//! What is exported is what is in the store, and lines that were changed are found without it.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::control::chain::Fault;
use crate::control::export::Check;

fn lines(store: &Store, mut export: Export) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(lines) = store.export(&mut export).unwrap() {
        all.extend(lines);
    }
    let text = String::from_utf8(all).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(ToOwned::to_owned).collect()
}

fn verify(lines: &[String], sought: Option<Hash>) -> Verification {
    let mut check = Check::new(sought.map(|head| head.to_string().parse().unwrap()));
    let broken = lines.iter().find_map(|line| check.line(line).err());
    check.finish(broken)
}

fn check(lines: &[String], sequence: u64, fault: Fault, sentence: &str) {
    let broken = verify(lines, None).broken.unwrap_or_else(|| panic!("expected: {sentence}"));
    assert_eq!((broken.sequence, broken.fault, broken.sentence.as_str()), (sequence, fault, sentence));
}

/// The history of [`chain::history`], exported: six rows and fourteen records.
fn exported() -> (tempfile::TempDir, Store, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let store = chain::history(folder.path());
    let all = lines(&store, Export::new(None, None));
    (folder, store, all)
}

#[test]
fn an_export_holds_every_row_and_every_record() {
    let (_folder, store, all) = exported();
    assert_eq!(all.len(), 6 + 14 + 1);
    let values: Vec<Value> = all.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let records: Vec<AuditRecord> = values
        .iter()
        .filter(|value| value.get("sequence").is_some())
        .map(|value| serde_json::from_value(value.clone()).unwrap())
        .collect();
    let mut told = store.history(None, 100).unwrap();
    told.reverse();
    assert_eq!(records, told);
    let firsts: Vec<_> = values.iter().filter_map(|value| value["row"]["first"].as_u64()).collect();
    assert_eq!(firsts, [1, 2, 7, 8, 13, 14]);
    let (_, head) = store.head().unwrap();
    assert_eq!(values[20]["end"], serde_json::json!({ "rows": 6, "records": 14, "head": head.to_string() }));
    let verified = verify(&all, Some(head));
    assert!(verified.is_good());
    assert_eq!((verified.rows, verified.records, verified.assumed), (6, 14, 0));
    assert_eq!(verified, Verification { sought: verified.sought.clone(), ..store.verify(None).unwrap() });
}

#[test]
fn an_empty_trail_is_exported_as_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let all = lines(&Store::open(folder.path()).unwrap(), Export::new(None, None));
    assert_eq!(all.len(), 1);
    assert!(verify(&all, None).is_good());
    check(&[], 1, Fault::Export, "line 0: the export was cut off: its last line is missing");
}

#[test]
fn a_part_is_whole_by_itself() {
    let (_folder, store, all) = exported();
    let at = |millis| Some(Timestamp(millis));
    let rows = |from, to| {
        let part = lines(&store, Export::new(from, to));
        let verified = verify(&part, None);
        assert!(verified.is_good(), "{verified:?}");
        (verified.first.map(|first| first.sequence), verified.last.map(|last| last.sequence), verified.assumed)
    };
    assert_eq!(rows(None, None), (Some(1), Some(14), 0));
    assert_eq!(rows(at(20), None), (Some(7), Some(14), 5), "five hubs, whose names the lines alone say");
    assert_eq!(rows(at(21), at(39)), (Some(8), Some(12), 5));
    assert_eq!(rows(None, at(29)), (Some(1), Some(7), 0));
    assert_eq!(rows(at(31), at(39)), (None, None, 0));
    assert_eq!(rows(at(99), None), (None, None, 0));
    // It goes on from where another one ended.
    let (first, second) = (lines(&store, Export::new(None, at(25))), lines(&store, Export::new(at(25), None)));
    assert_eq!(verify(&first, None).head, verify(&second, None).before);
    assert_eq!([&first[..first.len() - 1], &second[..second.len() - 1]].concat(), all[..all.len() - 1]);
}

/// Rows of thousands of records come in portions, and what is written meanwhile is not in it.
#[test]
fn a_long_trail_comes_in_portions() {
    let (_folder, store, _) = exported();
    for _ in 0..600 {
        store.commit(&Commit { audit: vec![audit("weu", &"x".repeat(200))], ..Commit::default() }).unwrap();
    }
    let mut export = Export::new(None, None);
    let first = store.export(&mut export).unwrap().unwrap();
    assert!(first.len() < 200_000);
    store.commit(&Commit { audit: vec![audit("weu", "later")], ..Commit::default() }).unwrap();
    let mut all = first;
    let mut portions = 1;
    while let Some(lines) = store.export(&mut export).unwrap() {
        all.extend(lines);
        portions += 1;
    }
    assert!(portions > 3);
    let all: Vec<_> = String::from_utf8(all).unwrap().lines().map(ToOwned::to_owned).collect();
    let verified = verify(&all, None);
    assert!(verified.is_good());
    assert_eq!(verified.records, 614);
}

#[test]
fn a_change_of_the_lines_is_found() {
    let (_folder, _store, all) = exported();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = all.clone();
        change(&mut lines);
        assert_ne!(lines, all);
        lines
    };
    let edit = |at: usize, from: &str, to: &str| with(&|lines| lines[at] = lines[at].replace(from, to));
    // Lines: 1 a row, 2 its record; 3 a row, 4 to 8; 9 a row, 10; 11 a row, 12 to 16; 17 a row, 18; 19 a row, 20; 21.
    check(&edit(9, "alice", "mallo"), 7, Fault::Export, "line 10: record 7 is not what its row says");
    check(&edit(13, "weu", "neu"), 10, Fault::Export, "line 14: record 10 is not what its row says");
    let sentence = "line 5: hub 1 is h3.x. in record 3, and h1.x. in another one";
    check(&edit(4, "h1.x.", "h3.x."), 3, Fault::Hub, sentence);
    let sentence = "record 7 is not what was written: its row and its hash do not fit";
    check(&edit(8, "\"octets\":\"ey", "\"octets\":\"ez"), 7, Fault::Changed, sentence);
    let sentence = "record 8 follows another row than the one above";
    let other = with(&|lines| {
        let mut row: Value = serde_json::from_str(&lines[10]).unwrap();
        row["row"]["previous"] = Hash::START.to_string().into();
        lines[10] = row.to_string();
    });
    check(&other, 8, Fault::Changed, sentence);
    let unhashed = with(&|lines| {
        let mut row: Value = serde_json::from_str(&lines[10]).unwrap();
        row["row"]["hash"] = Value::Null;
        lines[10] = row.to_string();
    });
    check(&unhashed, 8, Fault::NoHash, "record 8 has no hash");
    let without = |range: std::ops::Range<usize>| with(&|lines| drop(lines.drain(range.clone())));
    check(&without(8..10), 7, Fault::Missing, "record 7 is missing");
    check(&without(10..16), 8, Fault::Missing, "records 8 to 12 are missing");
    check(&without(9..10), 7, Fault::Export, "line 10: record 7 of the row above is missing");
    check(&without(15..16), 12, Fault::Export, "line 16: record 12 of the row above is missing");
    check(&without(8..9), 7, Fault::Export, "line 9: it is no record of the row above");
    check(&without(20..21), 15, Fault::Export, "line 20: the export was cut off: its last line is missing");
    check(&without(18..21), 14, Fault::Export, "line 18: the export was cut off: its last line is missing");
    let (_, head) = _store.head().unwrap();
    let sentence = format!(
        "line 19: it says that 6 rows with 14 records come before, up to the hash {head}: these are 5 with 13, up to {}",
        serde_json::from_str::<Value>(&all[16]).unwrap()["row"]["hash"].as_str().unwrap()
    );
    check(&without(18..20), 14, Fault::Export, &sentence);
    let more = with(&|lines| lines.push(lines[0].clone()));
    check(&more, 15, Fault::Export, "line 22: something follows the last line");
    check(
        &with(&|lines| lines[3] = "no".into()),
        2,
        Fault::Export,
        "line 4: it is no JSON: expected ident at line 1 column 2",
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Whatever is lost, doubled, moved or changed, no line that says something else passes, and nothing panics.
    #[test]
    fn no_other_lines_pass(
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        kind in 0..4,
        octet in any::<prop::sample::Index>(),
        digit in "[0-9a-zA-Z]",
    ) {
        let (_folder, _store, all) = exported();
        let (one, other) = (one.index(all.len()), other.index(all.len()));
        let mut lines = all.clone();
        match kind {
            0 => drop(lines.remove(one)),
            1 => lines.insert(other, all[one].clone()),
            2 => lines.swap(one, other),
            _ => {
                let octet = octet.index(lines[one].len());
                lines[one].replace_range(octet..octet + 1, &digit);
            }
        }
        let values = |lines: &[String]| {
            lines.iter().map(|line| serde_json::from_str::<Value>(line)).collect::<Result<Vec<_>, _>>().ok()
        };
        // An unknown key of a row's own line says nothing, and any other change says something else.
        let same = values(&lines) == values(&all);
        prop_assert_eq!(verify(&lines, None).is_good(), same);
    }
}
