//! What an importer has to say.

use std::fmt;

/// Something that could not be carried over, or means something else than before.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Note {
    /// What it is about, in the words of the source.
    pub about: String,
    /// What is lost or different, and why.
    pub sentence: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.sentence)
    }
}

/// Why a file is not understood at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {sentence}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Refusal {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong and what was expected.
    pub sentence: String,
}

impl Refusal {
    /// Of a file as a whole.
    pub(super) fn of(file: &str, sentence: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, sentence: sentence.into() }
    }

    /// Of a file that is not JSON.
    pub(super) fn no_json(file: &str, error: &serde_json::Error) -> Self {
        Self { file: file.into(), line: Some(error.line()), sentence: format!("not JSON: {error}") }
    }
}
