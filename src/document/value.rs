//! One value: its type, its range, and the sentence when it is not what was expected.

use std::ops::{Range, RangeInclusive};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde_spanned::Spanned;
use toml::de::DeValue;

use super::{Document, Table, escaped, one_of, parse_duration, show_duration};
use crate::diagnostic::{Diagnostic, Place, closest};

/// A value being read.
#[derive(Clone)]
pub(crate) struct Value<'d> {
    document: &'d Document<'d>,
    what: String,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Value<'d> {
    /// A value that sentences call `what`.
    pub(crate) fn new(document: &'d Document<'d>, what: String, value: &'d Spanned<DeValue<'d>>) -> Self {
        Self { document, what, value }
    }

    /// The file.
    pub(crate) fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// What sentences call the value: its key in backticks, or an entry of it.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The octets of the value.
    pub(crate) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// Where the value stands.
    pub(crate) fn place(&self) -> Place {
        self.document.place(self.span())
    }

    /// A problem with the value.
    pub(crate) fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.place(), message)
    }

    /// A problem with the value: it is not `expected`; `example` is a value that would be.
    pub(crate) fn mismatch(&self, expected: &str, example: &str) -> Diagnostic {
        let written = || String::from_utf8_lossy(self.document.slice(self.span())).into_owned();
        let came = match self.value.get_ref() {
            DeValue::String(text) => format!("\"{}\"", escaped(text)),
            DeValue::Integer(_) => format!("the integer {}", written()),
            DeValue::Float(_) => format!("the float {}", written()),
            DeValue::Boolean(_) => format!("the boolean {}", written()),
            DeValue::Datetime(_) => format!("the date-time {}", written()),
            DeValue::Array(_) => "an array".into(),
            DeValue::Table(_) => "a table".into(),
        };
        self.error(format!("{} is {came}, expected {expected}", self.what)).hint(format!("write {example}"))
    }

    /// Whether the value is a table.
    pub(crate) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// Whether the value is an array.
    pub(crate) fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// The text, if the value is a string.
    pub(crate) fn as_text(&self) -> Option<&'d str> {
        self.value.get_ref().as_str()
    }

    /// The number, if the value is an integer that fits.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        let integer = self.value.get_ref().as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// The number, if the value is an integer that fits or a float that is finite.
    pub(crate) fn as_number(&self) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => self.as_integer().map(|number| number as f64),
        };
        number.filter(|number: &f64| number.is_finite())
    }

    /// Whether it is true, if the value is a boolean.
    pub(crate) fn as_flag(&self) -> Option<bool> {
        self.value.get_ref().as_bool()
    }

    /// A string; `expected` and `example` say of what kind.
    pub(crate) fn text(&self, expected: &str, example: &str, problems: &mut Vec<Diagnostic>) -> Option<&'d str> {
        let text = self.as_text();
        if text.is_none() {
            problems.push(self.mismatch(expected, example));
        }
        text
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, problems: &mut Vec<Diagnostic>) -> Option<bool> {
        let flag = self.as_flag();
        if flag.is_none() {
            problems.push(self.mismatch("true or false", "`true` or `false` without quotes"));
        }
        flag
    }

    /// A whole number within `range`.
    pub(crate) fn integer(&self, range: RangeInclusive<i64>, problems: &mut Vec<Diagnostic>) -> Option<i64> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.as_integer().filter(|number| range.contains(number));
        if number.is_none() {
            problems.push(self.mismatch(&expected, &format!("a number in the range, such as `{}`", range.start())));
        }
        number
    }

    /// Degrees within `range`, with or without a fraction.
    pub(crate) fn degrees(
        &self,
        what: &str,
        range: RangeInclusive<f64>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<f64> {
        let degrees = self.as_number().filter(|degrees| range.contains(degrees));
        if degrees.is_none() {
            let expected = format!("a {what} from {} to {}", range.start(), range.end());
            problems.push(self.mismatch(&expected, "degrees, such as `52.37`"));
        }
        degrees
    }

    /// A length of time within `range`.
    pub(crate) fn duration(&self, range: RangeInclusive<Duration>, problems: &mut Vec<Diagnostic>) -> Option<Duration> {
        const EXPECTED: &str = "a duration in d, h, m, s or ms";
        let problem = match (self.as_text(), self.as_integer()) {
            (Some(text), _) => match parse_duration(text) {
                Some(length) if range.contains(&length) => return Some(length),
                Some(_) => {
                    let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
                    let nearest = if parse_duration(text) < Some(*range.start()) { &least } else { &most };
                    let hint = format!("write at {} \"{nearest}\"", if *nearest == least { "least" } else { "most" });
                    self.error(format!("{} is \"{text}\", expected {least} to {most}", self.what)).hint(hint)
                }
                None => self.mismatch(EXPECTED, "such as \"30s\", \"1m30s\" or \"250ms\""),
            },
            (None, Some(number)) if number >= 0 => {
                self.mismatch(EXPECTED, &format!("the unit, in quotes: \"{number}s\""))
            }
            _ => self.mismatch(EXPECTED, "such as \"30s\", \"1m30s\" or \"250ms\""),
        };
        problems.push(problem);
        None
    }

    /// [`Value::mismatch`] where some words are expected, of which the value may be a slip.
    pub(crate) fn mismatch_words(&self, expected: &str, example: &str, words: &[&str]) -> Diagnostic {
        let problem = self.mismatch(expected, example);
        match self.as_text().and_then(|text| closest(text, words.iter().copied())) {
            Some(close) => problem.hint(format!("did you mean \"{close}\"?")),
            None => problem,
        }
    }

    /// One of a closed set of words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)], problems: &mut Vec<Diagnostic>) -> Option<T> {
        let text = self.as_text();
        if let Some((_, meaning)) = words.iter().find(|(word, _)| Some(*word) == text) {
            return Some(*meaning);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let expected = one_of(all.iter().copied()).replace('`', "\"");
        let example = format!("\"{}\"", all.first().copied().unwrap_or_default());
        problems.push(self.mismatch_words(&expected, &example, &all));
        None
    }

    /// The entries of an array of at most `most` entries.
    pub(crate) fn list(
        &self,
        expected: &str,
        example: &str,
        most: usize,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Vec<Value<'d>>> {
        let Some(array) = self.value.get_ref().as_array() else {
            problems.push(self.mismatch(expected, example));
            return None;
        };
        if array.len() > most {
            let message = format!("{} has {} entries, expected at most {most}", self.what, array.len());
            problems.push(self.error(message).hint(format!("leave out {}", array.len() - most)));
            return None;
        }
        let what = format!("an entry of {}", self.what);
        Some(array.iter().map(|value| Value::new(self.document, what.clone(), value)).collect())
    }

    /// A table, which sentences call `what`.
    pub(crate) fn table(
        &self,
        what: impl Into<String>,
        example: &str,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Table<'d>> {
        match self.value.get_ref().as_table() {
            Some(table) => Some(Table::new(self.document, what, self.span(), table)),
            None => {
                problems.push(self.mismatch("a table", example));
                None
            }
        }
    }

    /// A path, relative to the folder of the file; `.` and `..` are resolved on the text, as a shell's `cd` does.
    pub(crate) fn path(&self, problems: &mut Vec<Diagnostic>) -> Option<PathBuf> {
        let text = self.text("a path", "it in quotes, relative to this file's folder", problems)?;
        if text.is_empty() || text.contains('\0') {
            problems.push(self.mismatch("a path", "it relative to this file's folder"));
            return None;
        }
        Some(self.document.beside(text))
    }
}

impl Document<'_> {
    /// A path that the file names, seen from the file's folder.
    pub(crate) fn beside(&self, path: impl AsRef<Path>) -> PathBuf {
        let folder = self.source.path.parent().unwrap_or(Path::new(""));
        let mut resolved = PathBuf::new();
        for component in folder.join(path).components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => match resolved.components().next_back() {
                    Some(Component::Normal(_)) => {
                        resolved.pop();
                    }
                    Some(Component::RootDir) => {}
                    _ => resolved.push(".."),
                },
                other => resolved.push(other),
            }
        }
        if resolved.as_os_str().is_empty() { PathBuf::from(".") } else { resolved }
    }
}
