//! Problems of files as a terminal shows them: the sentence, the place, the line with its mark, the hint, a count.

use std::collections::BTreeSet;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};

use crate::diagnostic::{Diagnostic, Place, Severity};

/// Columns of a line that are shown at most around its mark.
const WIDTH: usize = 120;

/// Renders problems in the order given, with a line at the end that counts them; nothing for none.
///
/// ```text
/// error: unknown key `rize`, expected one of `rise`, `fall`, `interval`
///   --> zones/example.net.toml:12:1
///    |
/// 12 | rize = 3
///    | ^^^^
/// hint: did you mean `rise`?
///
/// 1 error in 1 file
/// ```
pub fn render(diagnostics: &[Diagnostic], color: bool) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&report(diagnostic)));
        text.push_str("\n\n");
    }
    text.push_str(&count(diagnostics));
    text.push('\n');
    text
}

/// `3 errors, 1 warning in 2 files`.
fn count(diagnostics: &[Diagnostic]) -> String {
    let number = |severity| diagnostics.iter().filter(|problem| problem.severity == severity).count();
    let files: BTreeSet<&Path> =
        diagnostics.iter().filter_map(|problem| Some(&*problem.place.as_ref()?.path)).collect();
    let many = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let severities: Vec<String> = [Severity::Error, Severity::Warning]
        .into_iter()
        .filter(|severity| number(*severity) > 0)
        .map(|severity| many(number(severity), severity.word()))
        .collect();
    match files.len() {
        0 => severities.join(", "),
        files => format!("{} in {}", severities.join(", "), many(files, "file")),
    }
}

fn report(diagnostic: &Diagnostic) -> Vec<Group<'_>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut first = Group::with_title(level.primary_title(&diagnostic.message));
    if let Some(place) = &diagnostic.place {
        first = first.element(element(place, AnnotationKind::Primary, None));
    }
    let mut groups = vec![first];
    if let Some((place, label)) = &diagnostic.related {
        let level = Level::NOTE;
        groups.push(if place.text.is_empty() {
            level.secondary_title(normalize_untrusted_str(label)).element(element(place, AnnotationKind::Context, None))
        } else {
            Group::with_level(level).element(element(place, AnnotationKind::Context, Some(label)))
        });
    }
    if let Some(hint) = &diagnostic.hint {
        let level = Level::HELP.with_name("hint");
        groups.push(Group::with_title(level.secondary_title(normalize_untrusted_str(hint))));
    }
    groups
}

/// The place with its line and mark; the place alone when the line is not known.
fn element<'a>(place: &'a Place, kind: AnnotationKind, label: Option<&'a String>) -> Element<'a> {
    let path = place.path.display().to_string();
    if place.text.is_empty() {
        return Origin::path(path).line(place.line).char_column(place.column).into();
    }
    let offset =
        |characters: usize| place.text.char_indices().nth(characters).map_or(place.text.len(), |(offset, _)| offset);
    let span = offset(place.column - 1)..offset(place.column - 1 + place.width);
    let annotation = kind.span(span).label(label.map(String::as_str));
    Snippet::source(place.text.as_str()).line_start(place.line).path(path).annotation(annotation).into()
}
