//! The problems of a zone's files, collected while they are read and given places at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use super::Open;
use super::rdata::RdataError;
use crate::diagnostic::{Diagnostic, Place, Severity, Source};

/// Problems shown for one file; a last one says how many more there are.
pub(super) const MAX_SHOWN: usize = 1_000;

/// Octets of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) file: u16,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Mark {
    /// The first octet of the first file.
    pub(super) const START: Self = Self { file: 0, start: 0, end: 0 };

    /// Files are at most 4 GiB: [`super::reader`] refuses larger ones.
    pub(super) fn new(file: u16, span: std::ops::Range<usize>) -> Self {
        Self { file, start: span.start as u32, end: span.end as u32 }
    }
}

/// A diagnostic without its place's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) severity: Severity,
    pub(super) mark: Mark,
    pub(super) message: String,
    pub(super) related: Option<(Mark, String)>,
    pub(super) hint: Option<String>,
}

impl Problem {
    pub(super) fn warning(mark: Mark, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, mark, message: message.into(), related: None, hint: None }
    }

    #[must_use]
    pub(super) fn related(mut self, mark: Mark, label: impl Into<String>) -> Self {
        self.related = Some((mark, label.into()));
        self
    }

    /// What is wrong with a file's text.
    pub(super) fn of_text(severity: Severity, mark: Mark, fault: RdataError) -> Self {
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

    /// Counts problems of a file that are more than are shown.
    pub(super) fn push_unseen(&mut self, file: u16, severity: Severity, count: usize) {
        let file = usize::from(file);
        if self.found.len() <= file {
            self.found.resize(file + 1, [0; 2]);
        }
        self.found[file][severity as usize] += count;
    }

    /// The diagnostics in order of files and lines. Of too many, the errors are shown first. The files with a problem are
    /// read once more for the lines that are shown.
    pub(super) fn finish(self, files: &[Arc<Path>], open: &mut Open<'_>) -> Vec<Diagnostic> {
        let mut room = vec![[MAX_SHOWN; 2]; files.len()];
        for (room, found) in room.iter_mut().zip(&self.found) {
            room[Severity::Warning as usize] = MAX_SHOWN - found[Severity::Error as usize].min(MAX_SHOWN);
        }
        let shown: Vec<Problem> = self
            .problems
            .into_values()
            .filter(|problem| {
                let room = &mut room[usize::from(problem.mark.file)][problem.severity as usize];
                let is_shown = *room > 0;
                *room -= usize::from(is_shown);
                is_shown
            })
            .collect();
        let related = |problem: &Problem| problem.related.as_ref().map(|(mark, _)| *mark);
        let marks: BTreeSet<Mark> =
            shown.iter().flat_map(|problem| [Some(problem.mark), related(problem)]).flatten().collect();
        let mut places = BTreeMap::new();
        for of_file in marks.iter().copied().collect::<Vec<_>>().chunk_by(|a, b| a.file == b.file) {
            // What cannot be read any more is told without its line.
            let _ = find_places(&files[usize::from(of_file[0].file)], of_file, open, &mut places);
        }
        let mut diagnostics: Vec<_> = shown
            .into_iter()
            .map(|problem| {
                let place = places.get(&problem.mark).cloned();
                let message = match &place {
                    Some(_) => problem.message,
                    None => format!("{}: {}", files[usize::from(problem.mark.file)].display(), problem.message),
                };
                let related = problem.related.and_then(|(mark, label)| Some((places.get(&mark)?.clone(), label)));
                Diagnostic { severity: problem.severity, message, place, related, hint: problem.hint }
            })
            .collect();
        for (file, found) in self.found.iter().enumerate().filter(|(_, found)| found.iter().sum::<usize>() > MAX_SHOWN)
        {
            let more = found.iter().sum::<usize>() - MAX_SHOWN;
            let path = files[file].display();
            let severity = if found[0] > 0 { Severity::Error } else { Severity::Warning };
            let message = format!("{path}: {more} more problems than the {MAX_SHOWN} shown");
            diagnostics.push(Diagnostic { severity, ..Diagnostic::without_place(message) });
        }
        diagnostics
    }
}

/// Finds the lines of marks, which are in order, in their file.
fn find_places(
    path: &Arc<Path>,
    marks: &[Mark],
    open: &mut Open<'_>,
    places: &mut BTreeMap<Mark, Place>,
) -> io::Result<()> {
    let mut input = BufReader::with_capacity(64 << 10, open(path)?);
    let (mut line, mut start, mut text) = (1, 0, Vec::new());
    let mut marks = marks.iter().peekable();
    while marks.peek().is_some() {
        text.clear();
        input.read_until(b'\n', &mut text)?;
        let end = start + text.len();
        let is_last = !text.ends_with(b"\n");
        if !is_last {
            text.pop();
        }
        while let Some(mark) = marks.next_if(|mark| is_last || (mark.start as usize) < end) {
            let one_line = Source { path: path.clone(), text: text.as_slice().into() };
            let offset = |at: u32| (at as usize).saturating_sub(start);
            places.insert(*mark, Place { line, ..one_line.place(offset(mark.start)..offset(mark.end)) });
        }
        (line, start) = (line + 1, end);
    }
    Ok(())
}
