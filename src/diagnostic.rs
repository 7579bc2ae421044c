//! A problem in a file that a person wrote: where it stands, what is wrong, what to write instead.
//!
//! Every reader of a file (`config`, `zone`, `policy`) collects all of a file's problems and returns them together; the
//! CLI renders them, the log and the admin API carry the same sentences. Pure: the text of the file is an argument.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The text of one file and its name: what a [`Diagnostic`] points into.
#[derive(Clone)]
pub struct Source {
    /// The path as the operator would recognise it.
    pub path: Arc<Path>,
    /// The octets of the file. Master files need not be UTF-8.
    pub text: Arc<[u8]>,
}

impl Source {
    /// Names a text.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into().into(), text: text.into().into() }
    }

    /// The place of the octets `span`.
    pub fn place(&self, span: Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let line_start = self.text[..start].iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        let line = 1 + self.text[..line_start].iter().filter(|octet| **octet == b'\n').count();
        self.place_on(line, line_start, span)
    }

    /// [`Source::place`] for a reader that keeps the starts of lines and so need not count them again for every place.
    pub fn place_on(&self, line: usize, line_start: usize, span: Range<usize>) -> Place {
        let line_start = line_start.min(self.text.len());
        let start = span.start.clamp(line_start, self.text.len());
        let line_end =
            self.text[start..].iter().position(|octet| *octet == b'\n').map_or(self.text.len(), |at| start + at);
        let before = String::from_utf8_lossy(&self.text[line_start..start]);
        let marked = String::from_utf8_lossy(&self.text[start..span.end.clamp(start, line_end)]);
        Place {
            path: self.path.clone(),
            line,
            column: 1 + before.chars().count(),
            width: marked.chars().count().max(1),
            text: String::from_utf8_lossy(&self.text[line_start..line_end]).trim_end().into(),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {} octets)", self.path.display(), self.text.len())
    }
}

/// A place in a file, with the line itself so that it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: Arc<Path>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub width: usize,
    /// The line's text.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is used; somebody should look.
    Warning,
}

impl Severity {
    /// The word that opens the rendered problem.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// A lower-case phrase that names the thing and what was expected.
    pub message: String,
    /// Where; `None` for a problem of a file as a whole that has no line (it cannot be read), whose message names it.
    pub place: Option<Place>,
    /// A second place that the message speaks of, such as the first definition of a name, with what it is.
    pub related: Option<(Place, String)>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A problem for which the file is refused.
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), place: Some(place), related: None, hint: None }
    }

    /// A problem that does not refuse the file.
    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }

    /// A problem that has no line: the message names the file.
    pub fn without_place(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), place: None, related: None, hint: None }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the second place that the message speaks of.
    #[must_use]
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related = Some((place, label.into()));
        self
    }
}

/// One line, for logs and the admin API: `zones/a.toml:12:1: unknown key `rize` (hint: did you mean `rise`?)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.severity.word(), self.message)?;
        if let Some((place, label)) = &self.related {
            write!(f, " ({label}: {place})")?;
        }
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

/// Whether any of the problems refuses its file.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// The one of `candidates` that `written` is most likely a slip of: at most one typo for short words, two for longer.
pub fn closest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = if written.chars().count() < 5 { 1 } else { 2 };
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&written.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let source = Source::new("a.toml", "one\nzwölf = 3\n");
        let place = source.place(4 + "zwölf = ".len()..4 + "zwölf = 3".len());
        assert_eq!((place.line, place.column, place.width, place.text.as_str()), (2, 9, 1, "zwölf = 3"));
        assert_eq!(source.place(99..120).line, 3);
    }

    #[test]
    fn suggestions_are_one_slip_away() {
        let keys = ["rise", "fall", "interval"];
        assert_eq!(closest("rize", keys), Some("rise"));
        assert_eq!(closest("intervall", keys), Some("interval"));
        assert_eq!(closest("timeout", keys), None);
    }
}
