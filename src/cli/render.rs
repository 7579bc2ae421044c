//! Problems of files as a terminal shows them: the sentence, the place, the line with its mark, the hint, a count.

use std::collections::BTreeSet;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};

use crate::control::reason::many;
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
        let groups = report(diagnostic);
        match diagnostic.place {
            Some(_) => text.push_str(&renderer.render(&groups)),
            // Between groups stands the margin of a line, and there is none.
            None => {
                let each = groups.chunks(1).map(|group| renderer.render(group));
                text.push_str(&each.collect::<Vec<_>>().join("\n"));
            }
        }
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
            Group::with_level(level).element(element(place, AnnotationKind::Context, Some(label.as_str())))
        });
    }
    if let Some(hint) = &diagnostic.hint {
        let level = Level::HELP.with_name("hint");
        groups.push(Group::with_title(level.secondary_title(normalize_untrusted_str(hint))));
    }
    groups
}

/// The place with its line and mark; the place alone when the line is not known.
fn element<'a>(place: &'a Place, kind: AnnotationKind, label: Option<&str>) -> Element<'a> {
    let path = place.path.display().to_string();
    if place.text.is_empty() {
        return Origin::path(path).line(place.line).char_column(place.column).into();
    }
    let offset =
        |characters: usize| place.text.char_indices().nth(characters).map_or(place.text.len(), |(offset, _)| offset);
    let span = offset(place.column - 1)..offset(place.column - 1 + place.width);
    let annotation = kind.span(span).label(label.map(normalize_untrusted_str));
    Snippet::source(place.text.as_str()).line_start(place.line).path(path).annotation(annotation).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;

    #[track_caller]
    fn check(diagnostics: &[Diagnostic], expected: &str) {
        let rendered = render(diagnostics, false);
        assert_eq!(rendered, expected, "\n{rendered}");
    }

    #[test]
    fn a_problem_is_shown_over_its_line() {
        let source = Source::new("zones/example.net.toml", "\n\trize = 3  # zwölf\n");
        let problem = Diagnostic::error(source.place(2..6), "unknown key `rize`, expected `rise`");
        check(
            &[problem.hint("did you mean `rise`?")],
            "error: unknown key `rize`, expected `rise`\n \
             --> zones/example.net.toml:2:2\n  \
               |\n\
             2 |     rize = 3  # zwölf\n  \
               |     ^^^^\n  \
               |\n\
             hint: did you mean `rise`?\n\n\
             1 error in 1 file\n",
        );
    }

    #[test]
    fn a_problem_without_a_place_is_two_lines() {
        let problem = Diagnostic::without_place("probe `p` cannot run its program");
        check(
            &[problem.hint("`command` starts with a path")],
            "error: probe `p` cannot run its program\nhint: `command` starts with a path\n\n1 error\n",
        );
    }

    #[test]
    fn a_related_place_is_shown_with_its_line_if_that_is_known() {
        let (one, two) = (Source::new("a.toml", "[regions.a]\n"), Source::new("b.toml", "[regions.a]\n"));
        let twice = Diagnostic::warning(two.place(9..10), "region `a` is defined twice");
        let unknown_line = Place { text: String::new(), ..one.place(9..10) };
        check(
            &[
                twice.clone().related(one.place(9..10), "first defined here"),
                twice.related(unknown_line, "first defined here"),
            ],
            "warning: region `a` is defined twice\n \
             --> b.toml:1:10\n  \
               |\n\
             1 | [regions.a]\n  \
               |          ^\n  \
               |\n \
             --> a.toml:1:10\n  \
               |\n\
             1 | [regions.a]\n  \
               |          - first defined here\n\n\
             warning: region `a` is defined twice\n \
             --> b.toml:1:10\n  \
               |\n\
             1 | [regions.a]\n  \
               |          ^\n  \
               |\n\
             note: first defined here\n \
             --> a.toml:1:10\n\n\
             2 warnings in 1 file\n",
        );
    }

    #[test]
    fn a_problem_without_a_place_is_its_sentence() {
        check(&[Diagnostic::without_place("cannot read zones/: gone")], "error: cannot read zones/: gone\n\n1 error\n");
        check(&[], "");
    }

    #[test]
    fn the_count_names_errors_and_warnings_and_files() {
        let (one, two) = (Source::new("a", "x"), Source::new("b", "x"));
        let problems = [
            Diagnostic::error(one.place(0..1), "one"),
            Diagnostic::warning(one.place(0..1), "two"),
            Diagnostic::error(two.place(0..1), "three"),
        ];
        assert_eq!(count(&problems), "2 errors, 1 warning in 2 files");
    }

    /// What stands in a file never speaks to the terminal.
    #[test]
    fn colors_are_the_renderers_alone() {
        let source = Source::new("a", "x = \"\u{1b}[31m\"");
        let problem = Diagnostic::error(source.place(4..8), "bad \u{1b}[31m").hint("not \u{1b}[31m");
        let problem = problem.related(source.place(0..1), "nor \u{1b}[31m");
        let plain = render(std::slice::from_ref(&problem), false);
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
        let colored = render(&[problem], true);
        assert!(colored.contains("\u{1b}[") && !colored.contains("\u{1b}[31m"), "{colored:?}");
    }
}
