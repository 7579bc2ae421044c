//! What the schema says is what the reader says: keys, words, ranges.

use super::*;

const UNKNOWN: &str = "unknown key `no-such-key`, expected ";

/// The keys that the reader knows where `leaf` holds the unknown one.
fn known_keys(kind: Kind, path: &[Step], leaf: &str) -> Vec<BTreeSet<String>> {
    let errors = kind.errors(&file_with(path, leaf));
    let known = errors.iter().filter_map(|error| error.strip_prefix(UNKNOWN));
    known.map(|known| between(known, '`').into_iter().map(String::from).collect()).collect()
}

/// The words of `"keep", "all" or a table`, or the codes of `EU (Europe), OC (Oceania)`.
fn words_in(expected: &str) -> BTreeSet<&str> {
    let quoted = between(expected, '"');
    let code = |word: &&str| word.len() == 2 && word.bytes().all(|octet| octet.is_ascii_uppercase());
    if quoted.is_empty() { expected.split(' ').filter(code).collect() } else { quoted }
}

fn is(nodes: &[Value], what: &str) -> bool {
    nodes.iter().any(|node| node["type"] == what)
}

#[test]
fn every_table_has_the_keys_that_its_reader_knows() {
    let mut tables = 0;
    for kind in KINDS {
        for (path, nodes) in places(kind) {
            for node in nodes.iter().filter(|node| node["properties"].is_object()) {
                let keys: BTreeSet<String> = node["properties"].as_object().unwrap().keys().cloned().collect();
                let unknown = "{ no-such-key = 1 }";
                match keys.is_empty() {
                    true => assert!(!kind.errors(&file_with(&path, unknown)).is_empty(), "{kind:?} {path:?}"),
                    false => assert_eq!(known_keys(kind, &path, unknown), [keys], "{kind:?} {path:?}"),
                }
                tables += 1;
            }
        }
    }
    assert!(tables > 25, "{tables}");
}

/// So that no table of the reader is missing in the schema: its key would be a mere text, number or list there.
#[test]
fn where_the_schema_has_no_table_the_reader_has_none() {
    for kind in KINDS {
        for (path, nodes) in places(kind) {
            let entries = is(&nodes, "array").then_some(()).xor(Some(())).map(|()| "[{ no-such-key = 1 }]");
            let itself = (!is(&nodes, "object")).then_some("{ no-such-key = 1 }");
            for leaf in [itself, entries].into_iter().flatten() {
                assert!(known_keys(kind, &path, leaf).is_empty(), "{kind:?} {path:?} {leaf}");
                assert!(!kind.errors(&file_with(&path, leaf)).is_empty(), "{kind:?} {path:?} {leaf}");
            }
        }
    }
}

#[test]
fn every_word_is_one_that_the_reader_knows_and_there_is_no_other() {
    let mut lists = 0;
    for kind in KINDS {
        for (path, nodes) in places(kind) {
            let words: BTreeSet<&str> =
                nodes.iter().filter_map(|node| node["enum"].as_array()).flatten().filter_map(Value::as_str).collect();
            if words.is_empty() {
                continue;
            }
            let errors = kind.errors(&file_with(&path, "\"no-such-word\""));
            let known = errors.iter().filter_map(|error| error.split_once("is \"no-such-word\", expected "));
            let known: Vec<BTreeSet<&str>> = known.map(|(_, known)| words_in(known)).collect();
            assert_eq!(known, [words], "{kind:?} {path:?} {errors:?}");
            lists += 1;
        }
    }
    assert!(lists > 6, "{lists}");
}

#[test]
fn every_range_is_the_range_of_the_reader() {
    let mut ranges = 0;
    for kind in KINDS {
        for (path, nodes) in places(kind) {
            for node in &nodes {
                let (outside, range) = match (&node["type"], &node["$comment"]) {
                    (Value::String(integer), _) if integer == "integer" => {
                        let (least, most) = (node["minimum"].as_i64().unwrap(), node["maximum"].as_i64().unwrap());
                        let outside = vec![(least - 1).to_string(), (most + 1).to_string()];
                        (outside, format!("from {least} to {most}"))
                    }
                    (_, Value::String(range)) => (vec!["\"999999d\"".into()], format!("expected {range}")),
                    _ => continue,
                };
                for value in outside {
                    let errors = kind.errors(&file_with(&path, &value));
                    assert!(errors.iter().any(|error| error.contains(&range)), "{path:?} {value} {range}: {errors:?}");
                    ranges += 1;
                }
            }
        }
    }
    assert!(ranges > 50, "{ranges}");
}

/// Every key of a table has its sentence, for that is what an editor shows.
#[test]
fn every_key_has_a_sentence_and_its_name_as_title() {
    for kind in KINDS {
        for (path, nodes) in places(kind) {
            for (key, node) in nodes.iter().filter_map(|node| node["properties"].as_object()).flatten() {
                let sentence = node["description"].as_str().unwrap_or_default();
                assert!(sentence.ends_with('.') && sentence.len() > 5, "{path:?} {key}: {sentence}");
                assert_eq!(node["title"], key.as_str());
            }
        }
    }
}
