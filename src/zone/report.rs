//! The problems of a zone's files, collected while they are read and given places at the end.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Place, Severity, Source};

use super::rdata::RdataError;

/// Problems shown for one file; a last one says how many more there are.
const MAX_SHOWN: usize = 1_000;

/// Octets of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) file: u16,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Mark {
    /// Files are at most 4 GiB: [`super::reader`] refuses larger ones.
    pub(super) fn new(file: u16, span: std::ops::Range<usize>) -> Self {
        Self { file, start: span.start as u32, end: span.end as u32 }
    }
}

/// A diagnostic without its place's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    severity: Severity,
    mark: Mark,
    message: String,
    related: Option<(Mark, String)>,
    hint: Option<String>,
}

impl Problem {
    pub(super) fn error(mark: Mark, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, mark, message: message.into(), related: None, hint: None }
    }

    pub(super) fn warning(mark: Mark, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(mark, message) }
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(super) fn related(mut self, mark: Mark, label: impl Into<String>) -> Self {
        self.related = Some((mark, label.into()));
        self
    }

    /// What is wrong with a file's text.
    pub(super) fn of_text(severity: Severity, file: u16, fault: RdataError) -> Self {
        let mark = Mark::new(file, fault.span);
        Self { severity, mark, message: fault.message, related: None, hint: fault.hint }
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// In order of files and lines; a file that is included twice has its problems once.
    problems: BTreeMap<(Mark, String), Problem>,
    /// For each file how many errors and warnings were found.
    found: Vec<[usize; 2]>,
}

impl Report {
    pub(super) fn push(&mut self, problem: Problem) {
        let file = usize::from(problem.mark.file);
        let key = (problem.mark, problem.message.clone());
        if self.problems.contains_key(&key) {
            return;
        }
        if self.found.len() <= file {
            self.found.resize(file + 1, [0; 2]);
        }
        let found = &mut self.found[file][problem.severity as usize];
        *found += 1;
        if *found <= MAX_SHOWN {
            self.problems.insert(key, problem);
        }
    }

    /// Whether one more error of the file would be shown.
    pub(super) fn has_room(&self, file: u16) -> bool {
        self.found.get(usize::from(file)).is_none_or(|[errors, _]| *errors < MAX_SHOWN)
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|[errors, _]| *errors > 0)
    }

    /// The diagnostics in order of files and lines. Of too many, the errors are shown first.
    pub(super) fn finish(self, files: &[Source]) -> Vec<Diagnostic> {
        let mut places: Vec<_> = files.iter().map(|source| Places { source, line_starts: Vec::new() }).collect();
        let mut shown = vec![[0_usize; 2]; files.len()];
        let mut diagnostics = Vec::new();
        for problem in self.problems.into_values() {
            let file = usize::from(problem.mark.file);
            let room = match problem.severity {
                Severity::Error => MAX_SHOWN,
                Severity::Warning => MAX_SHOWN - self.found[file][0].min(MAX_SHOWN),
            };
            if shown[file][problem.severity as usize] < room {
                shown[file][problem.severity as usize] += 1;
                diagnostics.push(Diagnostic {
                    severity: problem.severity,
                    message: problem.message,
                    place: Some(places[file].place(problem.mark)),
                    related: problem.related.map(|(mark, label)| (places[usize::from(mark.file)].place(mark), label)),
                    hint: problem.hint,
                });
            }
        }
        for (file, found) in self.found.iter().enumerate().filter(|(_, found)| found.iter().sum::<usize>() > MAX_SHOWN)
        {
            let more = found.iter().sum::<usize>() - MAX_SHOWN;
            let path = files[file].path.display();
            let severity = if found[0] > 0 { Severity::Error } else { Severity::Warning };
            let message = format!("{path}: {more} more problems than the {MAX_SHOWN} shown");
            diagnostics.push(Diagnostic { severity, ..Diagnostic::without_place(message) });
        }
        diagnostics
    }
}

/// Finds lines without counting them from the start of the file each time.
struct Places<'a> {
    source: &'a Source,
    line_starts: Vec<usize>,
}

impl Places<'_> {
    fn place(&mut self, mark: Mark) -> Place {
        let text = &self.source.text;
        if self.line_starts.is_empty() {
            self.line_starts.push(0);
            self.line_starts.extend(memchr::memchr_iter(b'\n', text).map(|at| at + 1));
        }
        let (start, end) = (mark.start as usize, mark.end as usize);
        let line = self.line_starts.partition_point(|line| *line <= start);
        let line_start = self.line_starts[line - 1];
        let line_end = self.line_starts.get(line).map_or(text.len(), |next| next - 1);
        let one_line = Source { path: self.source.path.clone(), text: text[line_start..line_end].into() };
        Place { line, ..one_line.place(start - line_start..end - line_start) }
    }
}
