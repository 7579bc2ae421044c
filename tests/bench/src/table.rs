//! Tables as text, and the same as JSON.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// One field of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Words.
    Text(String),
    /// A number with so many decimals.
    Number(f64, usize),
    /// Nothing was measured.
    Nothing,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number as f64, 0)
    }
}

impl Cell {
    /// A number that may not have been measured.
    pub(crate) fn number(figure: Option<f64>, decimals: usize) -> Self {
        figure.map_or(Self::Nothing, |figure| Self::Number(figure, decimals))
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number, decimals) => format!("{number:.decimals$}"),
            Self::Nothing => "-".into(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, _) => json!(number),
            Self::Nothing => Value::Null,
        }
    }
}

/// What one section found.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// What is shown.
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
    notes: Vec<String>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.into()).collect();
        Self { title: title.into(), columns, rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row, a field for each column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Adds a line below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// As text: words to the left, numbers to the right.
    pub(crate) fn text(&self) -> String {
        let mut lines: Vec<Vec<String>> = vec![self.columns.clone()];
        lines.extend(self.rows.iter().map(|row| row.iter().map(Cell::text).collect()));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let is_text = |column: usize| self.rows.iter().any(|row| matches!(row[column], Cell::Text(_)));
        let mut out = format!("\n== {}\n", self.title);
        for line in &lines {
            let mut text = String::new();
            for (column, field) in line.iter().enumerate() {
                let width = widths[column];
                let gap = if column == 0 { "" } else { "  " };
                // Writing to a string cannot fail.
                let _ = if is_text(column) {
                    write!(text, "{gap}{field:width$}")
                } else {
                    write!(text, "{gap}{field:>width$}")
                };
            }
            let _ = writeln!(out, "{}", text.trim_end());
        }
        for note in &self.notes {
            let _ = writeln!(out, "  {note}");
        }
        out
    }

    /// As JSON: each row an object by column.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let fields = self.columns.iter().zip(row).map(|(column, cell)| (column.clone(), cell.json()));
                Value::Object(fields.collect::<Map<_, _>>())
            })
            .collect();
        json!({ "title": self.title, "rows": rows, "notes": self.notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = Table::new("title", &["server", "us"]);
        table.row(vec!["a".into(), Cell::Number(3.0, 2)]);
        table.row(vec!["bcdefgh".into(), Cell::Nothing]);
        table.note("note");
        assert_eq!(table.text(), "\n== title\nserver     us\na        3.00\nbcdefgh     -\n  note\n");
        assert_eq!(table.json()["rows"][0], serde_json::json!({ "server": "a", "us": 3.0 }));
    }
}
