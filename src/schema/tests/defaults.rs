//! What the schema calls the default is what an absent key means.

use std::path::Path;

use super::*;
use crate::config::Config;
use crate::config::TABLES;
use crate::dns::Name;

/// The defaults of a schema with their places.
fn defaults(kind: Kind) -> Vec<(Vec<Step>, Value)> {
    fn collect(node: &Value, path: &[Step], found: &mut Vec<(Vec<Step>, Value)>) {
        let below = |step: Step| [path, &[step]].concat();
        let each = |map: &str| node[map].as_object().cloned().into_iter().flatten();
        if let Some(default) = node.get("default") {
            found.push((path.to_vec(), default.clone()));
        }
        for (key, value) in each("properties") {
            collect(&value, &below(Step::Key(key)), found);
        }
        each("patternProperties").for_each(|(_, value)| collect(&value, &below(Step::Key("*".into())), found));
        if node["items"].is_object() {
            collect(&node["items"], &below(Step::Entry), found);
        }
        node["anyOf"].as_array().into_iter().flatten().for_each(|node| collect(node, path, found));
    }
    let mut found = Vec::new();
    collect(&kind.schema(), &[], &mut found);
    found
}

/// The places in `document` that `path` stands for and at which nothing stands.
fn free(document: &toml::Value, path: &[Step]) -> Vec<Vec<Step>> {
    let Some((step, rest)) = path.split_first() else { return Vec::new() };
    let inside: Vec<(Step, &toml::Value)> = match (step, document) {
        (Step::Key(key), toml::Value::Table(table)) if rest.is_empty() => {
            return if table.contains_key(key) { Vec::new() } else { vec![vec![step.clone()]] };
        }
        (Step::Key(key), toml::Value::Table(table)) => {
            let named = table.iter().filter(|(name, _)| key == "*" || *name == key);
            named.map(|(name, value)| (Step::Key(name.clone()), value)).collect()
        }
        (Step::Entry, toml::Value::Array(list)) => {
            list.iter().enumerate().map(|(at, value)| (Step::Key(at.to_string()), value)).collect()
        }
        _ => Vec::new(),
    };
    let below = |(step, value): (Step, &toml::Value)| {
        free(value, rest)
            .into_iter()
            .map(move |tail| [std::slice::from_ref(&step), tail.as_slice()].concat())
            .collect::<Vec<_>>()
    };
    inside.into_iter().flat_map(below).collect()
}

/// `document` with `default` at a place that is free.
fn with(document: &toml::Value, place: &[Step], default: &toml::Value) -> toml::Value {
    let mut document = document.clone();
    let (last, before) = place.split_last().expect("a place has a key");
    let mut at = &mut document;
    for step in before {
        let Step::Key(key) = step else { continue };
        at = match at {
            toml::Value::Array(list) => &mut list[key.parse::<usize>().unwrap()],
            table => &mut table[key.as_str()],
        };
    }
    let Step::Key(key) = last else { unreachable!("the last step of a place is a key") };
    at.as_table_mut().unwrap().insert(key.clone(), default.clone());
    document
}

fn toml_of(value: &Value) -> toml::Value {
    toml::Value::try_from(value).expect("a default is a TOML value")
}

#[test]
fn the_defaults_of_the_configuration_are_those_of_the_schema() {
    let mut document =
        toml::Value::Table(TABLES.map(|table| (table.to_owned(), toml::Table::new().into())).into_iter().collect());
    for (path, default) in defaults(Kind::Config) {
        let [place] = free(&document, &path).try_into().expect("every table is there once");
        document = with(&document, &place, &toml_of(&default));
    }
    let text = toml::to_string(&document).unwrap();
    let (config, problems) = crate::config::read(&Source::new("config/concierge.toml", text));
    assert_eq!(problems, []);
    assert_eq!(config, Some(Config::default_at(Path::new("config"))));
}

/// A policy with every table that has a default, and no key that has one.
const SPARSE: &str = include_str!("sparse.toml");

/// The policy of a file, written out, without the places of its definitions; nothing if there are mistakes in it.
fn written_out(document: &toml::Value) -> Result<String, Vec<String>> {
    let text = toml::to_string(document).unwrap();
    let source = Source::new("zones/example.net.toml", text);
    let (policy, problems) = crate::policy::read_beside_refused(&[source], &[], &[Name::root()]);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string);
    let policy = policy.ok_or(errors.collect::<Vec<_>>())?;
    let shown = format!("{policy:?}");
    let mut pieces = shown.split("Place { path: ");
    let first = pieces.next().unwrap_or_default().to_owned();
    Ok(pieces.fold(first, |text, piece| text + piece.split_once("\" }").map_or("", |(_, rest)| rest)))
}

/// Where a default may stand at all: `weight` is for a hub of policy `weighted` alone.
#[test]
fn the_defaults_of_a_policy_are_those_of_the_schema() {
    let sparse = toml::Value::Table(SPARSE.parse().unwrap());
    let expected = written_out(&sparse).unwrap();
    for (path, default) in defaults(Kind::Policy) {
        let mut meant = 0;
        for place in free(&sparse, &path) {
            match written_out(&with(&sparse, &place, &toml_of(&default))) {
                Ok(policy) => {
                    assert_eq!(policy, expected, "{place:?}");
                    meant += 1;
                }
                Err(errors) => {
                    let idle = |error: &String| {
                        error.contains("has no meaning under policy") || error.contains("has no effect")
                    };
                    assert!(errors.iter().all(idle), "{place:?} {errors:?}");
                }
            }
        }
        assert!(meant > 0, "{path:?} is in no table of the sparse policy");
    }
}
