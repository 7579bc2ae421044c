//! The schemas against the readers, and the files of this project against the schemas.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity, Source};

mod defaults;
mod files;
mod readers;

/// The two kinds of files.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Policy,
    Config,
}

const KINDS: [Kind; 2] = [Kind::Policy, Kind::Config];

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Policy => super::policy(),
            Self::Config => super::config(),
        }
    }

    /// What the reader says of a file that is in `zones/` or `config/`, and is the only one.
    fn problems(self, text: &str) -> Vec<Diagnostic> {
        match self {
            Self::Policy => crate::policy::read(&[Source::new("zones/example.net.toml", text)], &[]).1,
            Self::Config => crate::config::read(&Source::new("config/concierge.toml", text)).1,
        }
    }

    /// Whether the reader says of `text` that a key, a word or a value in it is none that there is.
    fn errors(self, text: &str) -> Vec<String> {
        let errors = self.problems(text).into_iter().filter(|problem| problem.severity == Severity::Error);
        errors.map(|error| error.message).collect()
    }

    /// What the schema says of a file.
    fn violations(self, text: &str) -> Vec<String> {
        let document: toml::Table = text.parse().expect("the file is TOML");
        let document = serde_json::to_value(document).expect("a TOML document is a JSON document");
        let validator = jsonschema::draft202012::new(&self.schema()).expect("the schema is one");
        let at = |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        validator.iter_errors(&document).map(at).collect()
    }
}

/// A step from a table to what stands in it.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Entry,
}

/// Every place of a schema and the alternatives there, from the root down.
fn places(kind: Kind) -> Vec<(Vec<Step>, Vec<Value>)> {
    let mut places = Vec::new();
    walk(vec![kind.schema()], &[], &mut places);
    places
}

fn walk(nodes: Vec<Value>, path: &[Step], places: &mut Vec<(Vec<Step>, Vec<Value>)>) {
    let nodes: Vec<Value> = nodes.iter().flat_map(alternatives).collect();
    for node in &nodes {
        let below = |step: Step| [path, &[step]].concat();
        let each = |map: &str| node[map].as_object().cloned().into_iter().flatten();
        for (key, value) in each("properties") {
            walk(vec![value], &below(Step::Key(key)), places);
        }
        for (pattern, value) in each("patternProperties") {
            let name = if pattern.contains(r"\.$") { "x.example.net." } else { "x" };
            walk(vec![value], &below(Step::Key(name.into())), places);
        }
        if node["items"].is_object() {
            walk(vec![node["items"].clone()], &below(Step::Entry), places);
        }
    }
    places.push((path.to_vec(), nodes));
}

/// The schemas of which a value has to meet one: those of `anyOf`, or the schema itself.
fn alternatives(node: &Value) -> Vec<Value> {
    match node["anyOf"].as_array() {
        // A table's `anyOf` says which keys it needs.
        Some(all) if node["type"] != "object" => all.iter().flat_map(alternatives).collect(),
        _ => vec![node.clone()],
    }
}

/// A file in which `leaf` stands at `path`, and nothing else.
fn file_with(path: &[Step], leaf: &str) -> String {
    let Some((Step::Key(first), rest)) = path.split_first() else { return leaf.trim_matches(['{', '}']).into() };
    let wrap = |inner: String, step: &Step| match step {
        Step::Key(key) => format!("{{ \"{key}\" = {inner} }}"),
        Step::Entry => format!("[{inner}]"),
    };
    format!("\"{first}\" = {}", rest.iter().rev().fold(leaf.to_owned(), wrap))
}

/// The pieces of `text` between two of `mark`.
fn between(text: &str, mark: char) -> BTreeSet<&str> {
    text.split(mark).skip(1).step_by(2).collect()
}
