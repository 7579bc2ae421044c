//! A TOML file as a tree with places, read with every problem at once.
//!
//! `toml` parses, with recovery; what is here walks the tree that it gives. [`Table`] hands out keys by name and knows
//! from that which keys there are, [`Value`] reads one value and says what was expected and what came. serde is
//! deliberately absent: it stops at the first problem of a file.

mod duration;
mod network;
mod table;
mod value;

use std::ops::Range;

use toml::de::DeTable;

pub(crate) use duration::{parse_duration, show_duration};
pub(crate) use network::{absolute_name, unusable};
pub(crate) use table::{Entry, Setting, Table};
pub(crate) use value::Value;

use crate::diagnostic::{Diagnostic, Place, Source, closest};

/// One parsed file.
pub(crate) struct Document<'s> {
    source: &'s Source,
    /// Offsets at which lines start, so that a place costs a binary search.
    lines: Vec<usize>,
    root: DeTable<'s>,
    syntax: Vec<Diagnostic>,
    /// Whether what follows the syntax error was read as something that it is not.
    misread: bool,
}

impl<'s> Document<'s> {
    /// Parses `source`; syntax errors are kept until [`Document::settle`].
    pub(crate) fn parse(source: &'s Source) -> Self {
        let starts = source.text.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        let mut document = Self { source, lines, root: DeTable::default(), syntax: Vec::new(), misread: false };
        match std::str::from_utf8(&source.text) {
            Ok(text) => {
                let (root, errors) = DeTable::parse_recoverable(text);
                document.root = root.into_inner();
                document.misread = errors.iter().any(|error| error.message().starts_with("unclosed"));
                document.syntax = document.describe(text, &errors);
            }
            Err(error) => {
                let at = error.valid_up_to();
                let problem = Diagnostic::error(
                    document.place(at..at + 1),
                    format!("octet 0x{:02x} is not UTF-8, expected a TOML file in UTF-8", source.text[at]),
                );
                document.syntax.push(problem.hint("save the file as UTF-8"));
            }
        }
        document
    }

    /// The table of the whole file.
    pub(crate) fn root(&self) -> Table<'_> {
        Table::new(self, "the file", 0..0, &self.root)
    }

    /// The place of the octets `span`.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let line = self.line(span.start);
        self.source.place_on(line + 1, self.lines[line], span)
    }

    /// The text of the octets `span`.
    pub(crate) fn slice(&self, span: Range<usize>) -> &'s [u8] {
        self.source.text.get(span).unwrap_or_default()
    }

    /// Whether the file has syntax errors, so that something in it may not have been read.
    pub(crate) fn is_broken(&self) -> bool {
        !self.syntax.is_empty()
    }

    /// Whether a header of a file with syntax errors speaks of `name`: then a definition that is not found may well be
    /// there, and its absence says nothing.
    pub(crate) fn may_define(&self, name: &str) -> bool {
        let speaks = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            line.trim_start().starts_with('[') && line.contains(name)
        };
        self.is_broken() && self.source.text.split(|octet| *octet == b'\n').any(speaks)
    }

    /// Puts the syntax errors before `problems` found in this file, of which those go that only follow from them.
    pub(crate) fn settle(&self, problems: &mut Vec<Diagnostic>) {
        let broken_line = |place: &Place| {
            self.syntax.iter().filter_map(|error| error.place.as_ref()).any(|error| error.line == place.line)
        };
        problems.retain(|problem| match &problem.place {
            Some(place) if place.path == self.source.path => !self.misread && !broken_line(place),
            _ => true,
        });
        problems.splice(0..0, self.syntax.iter().cloned());
    }

    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at) - 1
    }

    /// The parser's errors as problems: in order, one a line, for the second of a line follows from the first; and only
    /// the first when an array or table is not closed, for then everything after it is misread.
    fn describe(&self, text: &str, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
        let span = |error: &toml::de::Error| error.span().unwrap_or(text.len()..text.len());
        let mut errors: Vec<_> = errors.iter().collect();
        errors.sort_by_key(|error| span(error).start);
        errors.dedup_by_key(|error| self.line(span(error).start));
        if self.misread {
            errors.truncate(1);
        }
        errors.into_iter().map(|error| self.describe_one(text, error.message(), span(error))).collect()
    }

    fn describe_one(&self, text: &str, message: &str, span: Range<usize>) -> Diagnostic {
        if message == "duplicate key" {
            return self.describe_duplicate(text, span);
        }
        let written = text.get(span.clone()).unwrap_or_default();
        if message.starts_with("invalid boolean") {
            // The parser takes every bare word that starts like one for a boolean.
            let problem = Diagnostic::error(
                self.place(span),
                format!("TOML syntax: {} is neither true nor false, and not in quotes", quoted(written)),
            );
            return match closest(written, ["true", "false"]) {
                Some(close) => problem.hint(format!("did you mean `{close}`?")),
                None => problem.hint(format!("write \"{}\" in quotes", escaped(written))),
            };
        }
        let problem = Diagnostic::error(self.place(span), format!("TOML syntax: {message}"));
        match message {
            _ if self.misread => problem.hint("look for a bracket opened here or above that is not closed"),
            _ if message.starts_with("string values must be quoted") && !written.is_empty() => {
                problem.hint(format!("write \"{}\" in quotes", escaped(written)))
            }
            _ if message.starts_with("string values must be quoted") => problem.hint("write a value after the `=`"),
            _ if message.starts_with("key with no value") => {
                problem.hint("write `key = value`, or `[key]` for a table")
            }
            _ if message.starts_with("missing comma") => problem.hint("separate the two with a comma"),
            _ if message.starts_with("invalid basic string") => problem.hint("close the string with `\"` on its line"),
            _ => problem,
        }
    }

    /// The parser gives the second place only. The first is looked for in the text, because the tree keeps one of them.
    fn describe_duplicate(&self, text: &str, span: Range<usize>) -> Diagnostic {
        let key = text.get(span.clone()).unwrap_or_default();
        let problem = Diagnostic::error(self.place(span.clone()), format!("{} is defined twice", quoted(key)))
            .hint("keep one of the two");
        let line = self.line(span.start);
        let line_text = |line: usize| {
            let end = self.lines.get(line + 1).copied().unwrap_or(text.len());
            text.get(self.lines[line]..end).unwrap_or_default().trim()
        };
        let head = |line: usize| line_text(line).split(['=', '#']).next().unwrap_or_default().trim();
        let first = if line_text(line).starts_with('[') {
            (0..line).find(|earlier| head(*earlier) == head(line))
        } else {
            (0..line).rev().take_while(|earlier| !line_text(*earlier).starts_with('[')).find(|at| head(*at) == key)
        };
        let place = |line: usize| {
            let start = self.lines[line] + text[self.lines[line]..].find(|c: char| !c.is_whitespace()).unwrap_or(0);
            self.place(start..start + head(line).len())
        };
        match first {
            Some(first) => problem.related(place(first), "first defined here"),
            None => problem,
        }
    }
}

/// A piece of a file in backticks, as [`escaped`].
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", escaped(text))
}

/// A piece of a file without what would disturb a terminal or a log, cut at 80 characters.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(80) {
        if c.is_control() { shown.extend(c.escape_debug()) } else { shown.push(c) }
    }
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

/// `` `a` ``, `` one of `a`, `b` ``: what was expected, for a sentence.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    match words.as_slice() {
        [] => "nothing".into(),
        [only] => only.clone(),
        many => format!("one of {}", many.join(", ")),
    }
}
