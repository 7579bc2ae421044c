//! Columns of text that stay readable on a narrow terminal. Pure.
//!
//! The last column holds what may be long (an answer, a reason). Where it does not fit it is wrapped in its column, or,
//! when that would be a thin strip, put below its row. Without a width nothing is wrapped: one row a line, for `grep`.

/// Columns that the last column needs at least to be wrapped in its place.
const STRIP: usize = 24;
/// How far a last cell that stands below its row is indented.
const BELOW: usize = 6;

/// Rows of cells, with lines of text between them.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    Cells(Vec<String>),
    Line(String),
}

impl Table {
    /// A table whose first row is this header.
    pub(super) fn new(header: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(header.iter().map(ToString::to_string).collect());
        table
    }

    /// Adds a row; all rows have as many cells.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(Row::Cells(cells));
    }

    /// Adds a line that stands outside the columns.
    pub(super) fn line(&mut self, text: String) {
        self.rows.push(Row::Line(text));
    }

    /// The lines, none of which ends in spaces.
    pub(super) fn render(&self, width: Option<usize>) -> String {
        let cells = || {
            self.rows.iter().filter_map(|row| match row {
                Row::Cells(cells) => cells.split_last(),
                Row::Line(_) => None,
            })
        };
        let columns = cells().map(|(_, lead)| lead.len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| cells().filter_map(|(_, lead)| Some(length(lead.get(column)?))).max().unwrap_or(0))
            .collect();
        let lead = widths.iter().map(|width| width + 2).sum::<usize>();
        let longest = cells().map(|(last, _)| length(last)).max().unwrap_or(0);
        let room = width.map(|width| width.saturating_sub(lead));
        let below = room.is_some_and(|room| room < longest && room < STRIP);
        let mut lines = Vec::new();
        for row in &self.rows {
            let (last, cells) = match row {
                Row::Line(text) => {
                    lines.push(text.clone());
                    continue;
                }
                Row::Cells(cells) => match cells.split_last() {
                    Some(split) => split,
                    None => continue,
                },
            };
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  "));
            let mut line: String = padded.collect();
            if below {
                lines.push(line);
                lines.extend(wrap(last, width, BELOW));
                continue;
            }
            for (at, part) in wrap(last, room, 0).into_iter().enumerate() {
                if at > 0 {
                    line = " ".repeat(lead);
                }
                lines.push(line.clone() + &part);
            }
        }
        let trimmed: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
        trimmed.join("\n")
    }
}

/// Wraps a text between words, each line indented; a word that is longer than the width keeps its length. An empty text
/// is one empty line.
pub(super) fn wrap(text: &str, width: Option<usize>, indent: usize) -> Vec<String> {
    let margin = " ".repeat(indent);
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent));
    let mut lines = vec![margin.clone()];
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + length(word) > room {
            lines.push(margin.clone());
            used = 0;
        }
        // There is always a line.
        let Some(line) = lines.last_mut() else { continue };
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length(word);
    }
    lines
}

/// Wraps a text that starts with `first`, under which nothing else stands.
pub(super) fn fold(first: &str, text: &str, width: Option<usize>) -> String {
    let lines = wrap(text, width, length(first)).join("\n");
    format!("{first}{}", lines.trim_start())
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(width: Option<usize>, expected: &str) {
        let mut table = Table::new(&["HUB", "EPOCH", "ANSWER"]);
        table.row(vec!["hub.example.net.".into(), "7".into(), "CNAME hub-weu.example.net. and some more".into()]);
        table.line("a line that is longer than any of the columns".into());
        table.row(vec!["b.".into(), String::new(), String::new()]);
        let rendered = table.render(width);
        assert_eq!(rendered, expected, "\n{rendered}");
    }

    #[test]
    fn without_a_width_a_row_is_a_line() {
        check(
            None,
            "HUB               EPOCH  ANSWER\n\
             hub.example.net.  7      CNAME hub-weu.example.net. and some more\n\
             a line that is longer than any of the columns\n\
             b.",
        );
    }

    #[test]
    fn the_last_column_wraps_in_its_place_where_there_is_room() {
        check(
            Some(52),
            "HUB               EPOCH  ANSWER\n\
             hub.example.net.  7      CNAME hub-weu.example.net.\n                         and some more\n\
             a line that is longer than any of the columns\n\
             b.",
        );
    }

    #[test]
    fn and_stands_below_its_row_where_there_is_none() {
        check(
            Some(44),
            "HUB               EPOCH\n      ANSWER\n\
             hub.example.net.  7\n      CNAME hub-weu.example.net. and some\n      more\n\
             a line that is longer than any of the columns\n\
             b.\n",
        );
    }

    #[test]
    fn long_words_keep_their_length() {
        assert_eq!(wrap("a longerword b", Some(6), 2), ["  a", "  longerword", "  b"]);
        assert_eq!(wrap("", Some(6), 2), ["  "]);
        assert_eq!(wrap("as it is", None, 0), ["as it is"]);
        assert_eq!(fold(" 1. ", "a step", Some(7)), " 1. a\n    step");
    }
}
