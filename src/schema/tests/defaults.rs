//! What the schema calls the default is what an absent key means.

use std::path::Path;

use super::*;
use crate::config::Config;
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

/// Sets what is at `path` to `default` in every table of `document` that has room for it; how many have.
fn put(document: &mut toml::Value, path: &[Step], default: &toml::Value) -> usize {
    match (path, document) {
        ([Step::Key(key)], toml::Value::Table(table)) if !table.contains_key(key) => {
            table.insert(key.clone(), default.clone());
            1
        }
        ([Step::Key(key), rest @ ..], toml::Value::Table(table)) if key == "*" => {
            table.iter_mut().map(|(_, value)| put(value, rest, default)).sum()
        }
        ([Step::Key(key), rest @ ..], toml::Value::Table(table)) if !rest.is_empty() => {
            table.get_mut(key).map_or(0, |value| put(value, rest, default))
        }
        ([Step::Entry, rest @ ..], toml::Value::Array(list)) => {
            list.iter_mut().map(|value| put(value, rest, default)).sum()
        }
        _ => 0,
    }
}

fn toml_of(value: &Value) -> toml::Value {
    toml::Value::try_from(value).expect("a default is a TOML value")
}

#[test]
fn the_defaults_of_the_configuration_are_those_of_the_schema() {
    let tables = ["listen", "limits", "admin", "public", "health", "audit", "statistics", "log"];
    let mut document =
        toml::Value::Table(tables.map(|table| (table.to_owned(), toml::Table::new().into())).into_iter().collect());
    for (path, default) in defaults(Kind::Config) {
        assert_eq!(put(&mut document, &path, &toml_of(&default)), 1, "{path:?}");
    }
    let text = toml::to_string(&document).unwrap();
    let (config, problems) = crate::config::read(&Source::new("config/concierge.toml", text));
    assert_eq!(problems, []);
    assert_eq!(config, Some(Config::default_at(Path::new("config"))));
}

/// A policy with every table that has a default, and no key that has one.
const SPARSE: &str = include_str!("sparse.toml");

/// The policy of a file, written out, without the places of its definitions.
fn written_out(text: String) -> String {
    let (policy, problems) =
        crate::policy::read_beside_refused(&[Source::new("zones/example.net.toml", text)], &[], &[Name::root()]);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string);
    assert_eq!(errors.collect::<Vec<_>>(), [""; 0]);
    let shown = format!("{:?}", policy.expect("a policy without errors"));
    let mut pieces = shown.split("Place { path: ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once("\" }").map_or("", |(_, rest)| rest))
}

#[test]
fn the_defaults_of_a_policy_are_those_of_the_schema() {
    let mut document = toml::Value::Table(SPARSE.parse().unwrap());
    let sparse = written_out(SPARSE.into());
    for (path, default) in defaults(Kind::Policy) {
        assert_ne!(put(&mut document, &path, &toml_of(&default)), 0, "{path:?} is in no table of the sparse policy");
        assert_eq!(written_out(toml::to_string(&document).unwrap()), sparse, "{path:?}");
    }
}
