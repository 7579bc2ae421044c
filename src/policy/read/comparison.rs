//! `pointer` with `equals`, `at_most` or `at_least`: what has to be at a place of a JSON body.

use super::super::Comparison;
use crate::diagnostic::Diagnostic;
use crate::document::{Table, Value, escaped, one_of};

const COMPARISONS: [&str; 3] = ["equals", "at_most", "at_least"];
/// Octets of a JSON pointer, and of a text that it is compared with.
const MOST_TEXT: usize = 2048;

/// A pointer with exactly one comparison, or neither; `whose` is the thing that the table is of.
pub(super) fn read(
    table: &mut Table<'_>,
    whose: &str,
    problems: &mut Vec<Diagnostic>,
) -> Option<Option<(String, Comparison)>> {
    let pointer = table.setting("pointer", problems, read_pointer);
    let equals =
        table.setting("equals", problems, |value, problems| read_equals(value, problems).map(Comparison::Equals));
    let at_most =
        table.setting("at_most", problems, |value, problems| read_number(value, problems).map(Comparison::AtMost));
    let at_least =
        table.setting("at_least", problems, |value, problems| read_number(value, problems).map(Comparison::AtLeast));
    let comparisons = [equals, at_most, at_least];
    let written: Vec<_> =
        COMPARISONS.into_iter().zip(&comparisons).filter(|(_, comparison)| comparison.is_written()).collect();
    match written.as_slice() {
        [] if !pointer.is_written() => Some(None),
        [] => {
            let message = "`pointer` has nothing that the value is compared with";
            if let (Some(place), true) = (pointer.place(), table.lacks(&COMPARISONS)) {
                let hint = format!("add {}", one_of(COMPARISONS));
                problems.push(Diagnostic::error(place, message).hint(hint));
            }
            None
        }
        [(word, comparison)] if !pointer.is_written() => {
            if let (Some(place), true) = (comparison.place(), table.lacks(&["pointer"])) {
                let problem = Diagnostic::error(place, format!("`{word}` has no effect without `pointer`"));
                problems.push(problem.hint("add `pointer = \"/KEY\"`, where in the JSON body the value stands"));
            }
            None
        }
        [(_, comparison)] => Some(Some((pointer.good()?, comparison.placed()?.0.clone()))),
        [(first, _), (second, comparison), ..] => {
            let message = format!("the value is compared twice, by `{first}` and `{second}`, expected exactly one");
            let place = comparison.place().unwrap_or_else(|| table.place());
            problems
                .push(Diagnostic::error(place, message).hint(format!("remove one, or make it a {whose} of its own")));
            None
        }
    }
}

/// A JSON pointer (RFC 6901 3): empty, or each token after a `/`, in which `~` is followed by 0 or 1.
fn read_pointer(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "a JSON pointer, which is empty or starts with `/`";
    const EXAMPLE: &str = "such as \"/lag_seconds\" or \"/regions/0/lag\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let problem = if text.len() > MOST_TEXT {
        value.mismatch("a JSON pointer of at most 2048 octets", EXAMPLE)
    } else if text.is_empty() || text.starts_with('/') {
        let stray = text.split('~').skip(1).any(|after| !after.starts_with(['0', '1']));
        if !stray {
            return Some(text.into());
        }
        let sentence =
            format!("{} is \"{}\", in which a `~` is followed by neither 0 nor 1", value.what(), escaped(text));
        value.error(sentence).hint("write `~0` for `~`, and `~1` for a `/` that is part of a key")
    } else {
        let problem = value.mismatch(EXPECTED, EXAMPLE);
        match text.trim_start_matches(['#', '$', '.']).trim_start_matches('/') {
            "" => problem,
            path => problem.hint(format!("write \"/{}\"", escaped(&path.replace('.', "/")))),
        }
    };
    problems.push(problem);
    None
}

fn read_equals(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<serde_json::Value> {
    if let Some(text) = value.as_text() {
        if text.len() > MOST_TEXT {
            problems.push(value.mismatch("a text of at most 2048 octets", "a shorter one"));
            return None;
        }
        return Some(text.into());
    }
    let read = value.as_flag().map(serde_json::Value::from).or(value.as_integer().map(serde_json::Value::from));
    let read = read.or_else(|| value.as_number().map(serde_json::Value::from));
    if read.is_none() {
        problems.push(value.mismatch("a text, a number or a truth value", "such as \"ready\", `0` or `true`"));
    }
    read
}

fn read_number(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<f64> {
    let number = value.as_number();
    if number.is_none() {
        let problem = value.mismatch("a number", "such as `60` or `0.5`, without quotes");
        problems.push(
            match value.as_text().and_then(|text| text.trim().parse::<f64>().ok()).filter(|n| n.is_finite()) {
                Some(number) => problem.hint(format!("write `{number}` without quotes")),
                None => problem,
            },
        );
    }
    number
}
