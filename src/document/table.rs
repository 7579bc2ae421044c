//! One table: keys are asked for by name, and what was not asked for is unknown.

use std::ops::Range;

use toml::de::DeTable;

use super::{Document, Value, one_of, quoted};
use crate::diagnostic::{Diagnostic, Place, closest};

/// A table being read.
pub(crate) struct Table<'d> {
    document: &'d Document<'d>,
    what: String,
    span: Range<usize>,
    /// In the order of the file.
    entries: Vec<Entry<'d>>,
    /// The keys asked for, in the order of asking: the keys that there are.
    asked: Vec<&'static str>,
}

/// One key of a table with its value.
pub(crate) struct Entry<'d> {
    /// The key as text.
    pub(crate) key: &'d str,
    /// Where the key stands.
    pub(crate) span: Range<usize>,
    /// What it is set to.
    pub(crate) value: Value<'d>,
    asked: bool,
}

impl<'d> Table<'d> {
    /// A table that sentences call `what` and that stands at `span`.
    pub(crate) fn new(
        document: &'d Document<'d>,
        what: impl Into<String>,
        span: Range<usize>,
        table: &'d DeTable<'d>,
    ) -> Self {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().as_ref();
                let value = Value::new(document, quoted(name), value);
                Entry { key: name, span: key.span(), value, asked: false }
            })
            .collect();
        entries.sort_by_key(|entry| entry.span.start);
        Self { document, what: what.into(), span, entries, asked: Vec::new() }
    }

    /// A table without keys, where this one stands.
    pub(crate) fn empty(&self) -> Self {
        Self {
            document: self.document,
            what: self.what.clone(),
            span: self.span.clone(),
            entries: vec![],
            asked: vec![],
        }
    }

    /// Where the table stands.
    pub(crate) fn place(&self) -> Place {
        self.document.place(self.span.clone())
    }

    /// The value of `key`, which is a key that this table has.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.asked.push(key);
        let entry = self.entries.iter_mut().find(|entry| entry.key == key)?;
        entry.asked = true;
        Some(entry.value.clone())
    }

    /// The value of `key`, read by `read`.
    pub(crate) fn setting<T>(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Diagnostic>,
        read: impl FnOnce(&Value<'d>, &mut Vec<Diagnostic>) -> Option<T>,
    ) -> Setting<T> {
        match self.value(key) {
            None => Setting::absent(),
            Some(value) => Setting { value: read(&value, problems), place: Some(value.place()) },
        }
    }

    /// The keys that are names, such as those of `[regions]`, in the order of the file.
    pub(crate) fn named(self) -> Vec<Entry<'d>> {
        self.entries
    }

    /// The entries not asked for so far.
    pub(crate) fn rest(&mut self) -> impl Iterator<Item = &mut Entry<'d>> {
        self.entries.iter_mut().filter(|entry| !entry.asked)
    }

    /// Says that `key` is missing, unless a slip of it is there, or a syntax error may have swallowed it.
    pub(crate) fn missing(&self, key: &str, hint: impl Into<String>, problems: &mut Vec<Diagnostic>) {
        if self.lacks(&[key]) {
            problems.push(Diagnostic::error(self.place(), format!("{} has no {}", self.what, quoted(key))).hint(hint));
        }
    }

    /// [`Table::missing`] for `keys`, exactly one of which is the table's `what`.
    pub(crate) fn missing_one(&self, keys: &[&str], what: &str, hint: &str, problems: &mut Vec<Diagnostic>) {
        if self.lacks(keys) {
            let message = format!("{} has no {what}, expected {}", self.what, one_of(keys.iter().copied()));
            problems.push(Diagnostic::error(self.place(), message).hint(hint));
        }
    }

    /// Whether surely none of `keys` is there, nor a slip of one.
    pub(crate) fn lacks(&self, keys: &[&str]) -> bool {
        let meant = |entry: &Entry<'_>| match entry.asked {
            true => keys.contains(&entry.key),
            false => closest(entry.key, keys.iter().copied()).is_some(),
        };
        !self.document.is_broken() && !self.entries.iter().any(meant)
    }

    /// Every key that was not asked for is unknown.
    pub(crate) fn close(mut self, problems: &mut Vec<Diagnostic>) {
        let asked = std::mem::take(&mut self.asked);
        for entry in self.rest() {
            problems.push(entry.unknown(&format!("unknown key {}", quoted(entry.key)), &asked, "remove it"));
        }
    }
}

impl Entry<'_> {
    /// Where the key stands.
    pub(crate) fn place(&self) -> Place {
        self.value.document().place(self.span.clone())
    }

    /// Marks the entry as one that has been dealt with.
    pub(crate) fn settle(&mut self) {
        self.asked = true;
    }

    /// The problem that the key is none of `expected`; `otherwise` is the hint when it is a slip of none.
    pub(crate) fn unknown(&self, message: &str, expected: &[&str], otherwise: &str) -> Diagnostic {
        let problem =
            Diagnostic::error(self.place(), format!("{message}, expected {}", one_of(expected.iter().copied())));
        match closest(self.key, expected.iter().copied()) {
            Some(close) => problem.hint(format!("did you mean `{close}`?")),
            None => problem.hint(otherwise),
        }
    }
}

/// What a key is set to: nothing, something wrong that has been reported, or a value.
#[derive(Clone)]
pub(crate) struct Setting<T> {
    value: Option<T>,
    place: Option<Place>,
}

impl<T> Setting<T> {
    /// Of a key that is not there.
    pub(crate) fn absent() -> Self {
        Self { value: None, place: None }
    }

    /// The value, or `default` for a key that is not there; `None` for a wrong one.
    pub(crate) fn or(self, default: T) -> Option<T> {
        self.optional().map(|value| value.unwrap_or(default))
    }

    /// The value of a key that may be absent; `None` for a wrong one.
    pub(crate) fn optional(self) -> Option<Option<T>> {
        match (self.value, self.place) {
            (None, Some(_)) => None,
            (value, _) => Some(value),
        }
    }

    /// The value, if there is a good one.
    pub(crate) fn good(self) -> Option<T> {
        self.value
    }

    /// The value, if there is a good one, and where it stands.
    pub(crate) fn placed(&self) -> Option<(&T, &Place)> {
        self.value.as_ref().zip(self.place.as_ref())
    }

    /// Where the value stands, good or wrong.
    pub(crate) fn place(&self) -> Option<Place> {
        self.place.clone()
    }

    /// Whether the key is there at all.
    pub(crate) fn is_written(&self) -> bool {
        self.place.is_some()
    }
}
