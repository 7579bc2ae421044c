//! The builders of a schema (JSON Schema, draft 2020-12).

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

/// Names of regions, probes, references, gates and rules.
const NAME: &str = "^[a-z0-9][a-z0-9_-]{0,62}$";
/// Absolute names, with the final dot.
const DOMAIN: &str = r"^(.*[^\\])?\.$";
/// Names of header fields (RFC 9110 5.6.2).
const FIELD: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$";
/// Lengths of time, the larger unit first.
const DURATION: &str = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// What may stand at one place of a file.
#[derive(Clone)]
pub(super) struct Node(Map<String, Value>);

impl Node {
    fn of(keywords: Value) -> Self {
        match keywords {
            Value::Object(keywords) => Self(keywords),
            _ => Self(Map::new()),
        }
    }

    /// A text that a regular expression describes.
    pub(super) fn pattern(pattern: &str) -> Self {
        Self::of(json!({ "type": "string", "pattern": pattern }))
    }

    /// A text of so many octets, counted as characters.
    pub(super) fn octets(range: RangeInclusive<usize>) -> Self {
        Self::of(json!({ "type": "string", "minLength": range.start(), "maxLength": range.end() }))
    }

    /// The name of a region, probe, reference, gate or rule.
    pub(super) fn name() -> Self {
        Self::pattern(NAME)
    }

    /// An absolute domain name.
    pub(super) fn domain() -> Self {
        Self::pattern(DOMAIN)
    }

    /// A path, relative to the folder of the file.
    pub(super) fn path() -> Self {
        Self::of(json!({ "type": "string", "minLength": 1 }))
    }

    /// A length of time; the range, which a pattern cannot say, is a comment that the tests read.
    pub(super) fn duration(least: &str, most: &str) -> Self {
        let range = format!("{least} to {most}");
        Self::of(json!({ "type": "string", "minLength": 2, "pattern": DURATION, "$comment": range }))
    }

    /// A whole number.
    pub(super) fn integer(range: RangeInclusive<i64>) -> Self {
        Self::of(json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() }))
    }

    /// A port that something listens on.
    pub(super) fn port() -> Self {
        Self::integer(1..=65_535)
    }

    /// A number with or without a fraction.
    pub(super) fn number() -> Self {
        Self::of(json!({ "type": "number" }))
    }

    /// Degrees.
    pub(super) fn degrees(most: i64) -> Self {
        Self::of(json!({ "type": "number", "minimum": -most, "maximum": most }))
    }

    /// True or false.
    pub(super) fn flag() -> Self {
        Self::of(json!({ "type": "boolean" }))
    }

    /// True, and nothing else.
    pub(super) fn only_true() -> Self {
        Self::of(json!({ "const": true }))
    }

    /// One of some words.
    pub(super) fn words(words: &[&str]) -> Self {
        Self::of(json!({ "enum": words }))
    }

    /// A list of so many of one thing.
    pub(super) fn list(item: Self, count: RangeInclusive<usize>) -> Self {
        Self::of(json!({ "type": "array", "items": item.finish(), "minItems": count.start(), "maxItems": count.end() }))
    }

    /// A list of exactly these. `most` is what each of them is: all that readers of older drafts look at.
    pub(super) fn pair(items: [Self; 2], most: Self) -> Self {
        let items = items.map(Self::finish);
        let most = most.finish();
        Self::of(json!({ "type": "array", "prefixItems": items, "items": most, "minItems": 2, "maxItems": 2 }))
    }

    /// A table with keys of its own; every other key is a mistake.
    pub(super) fn table() -> Self {
        Self::of(json!({ "type": "object", "properties": {}, "additionalProperties": false }))
    }

    /// A table whose keys are names.
    pub(super) fn named(item: Self) -> Self {
        Self::of(
            json!({ "type": "object", "patternProperties": { NAME: item.finish() }, "additionalProperties": false }),
        )
    }

    /// A table whose keys are absolute domain names.
    pub(super) fn by_domain(item: Self) -> Self {
        Self::of(
            json!({ "type": "object", "patternProperties": { DOMAIN: item.finish() }, "additionalProperties": false }),
        )
    }

    /// A table whose keys are names of header fields.
    pub(super) fn fields(item: Self) -> Self {
        Self::of(
            json!({ "type": "object", "patternProperties": { FIELD: item.finish() }, "additionalProperties": false }),
        )
    }

    /// One of several.
    pub(super) fn any(nodes: impl IntoIterator<Item = Self>) -> Self {
        let nodes: Vec<Value> = nodes.into_iter().map(Self::finish).collect();
        Self::of(json!({ "anyOf": nodes }))
    }

    /// The sentence that an editor shows.
    pub(super) fn about(self, sentence: &str) -> Self {
        self.set("description", sentence.into())
    }

    /// What holds where the key is not written.
    pub(super) fn default(self, value: impl Into<Value>) -> Self {
        self.set("default", value.into())
    }

    /// A key of a table, with its sentence.
    pub(super) fn key(mut self, key: &str, sentence: &str, node: Self) -> Self {
        let node = node.about(sentence).set("title", key.into());
        if let Some(Value::Object(properties)) = self.0.get_mut("properties") {
            properties.insert(key.into(), node.finish());
        }
        self
    }

    /// Keys that a table has to have.
    pub(super) fn needs(self, keys: &[&str]) -> Self {
        self.set("required", keys.into())
    }

    /// Keys of which a table has exactly one.
    pub(super) fn exactly_one(self, keys: &[&str]) -> Self {
        let each: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
        self.set("oneOf", each.into())
    }

    /// Keys of which a table has at least one.
    pub(super) fn at_least_one(self, keys: &[&str]) -> Self {
        let each: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
        self.set("anyOf", each.into())
    }

    /// Two keys of which a table has at most one.
    pub(super) fn not_both(self, one: &str, other: &str) -> Self {
        self.set("not", json!({ "required": [one, other] }))
    }

    /// A key that has no effect without another one.
    pub(super) fn only_with(mut self, key: &str, other: &str) -> Self {
        let entry = self.0.entry("dependentRequired").or_insert_with(|| json!({}));
        entry[key] = json!([other]);
        self
    }

    /// The whole schema of a file.
    pub(super) fn document(self, title: &str, sentence: &str) -> Value {
        let schema = self.about(sentence).set("title", title.into());
        schema.set("$schema", "https://json-schema.org/draft/2020-12/schema".into()).finish()
    }

    fn set(mut self, keyword: &str, value: Value) -> Self {
        self.0.insert(keyword.into(), value);
        self
    }

    fn finish(self) -> Value {
        Value::Object(self.0)
    }
}
