//! A history as a person reads it: one line for each thing that somebody would have noticed.

use std::fmt;

/// What happened, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// By milliseconds since the start; `None` where nobody listens.
    lines: Option<Vec<(u64, String)>>,
}

impl Story {
    /// One that is told.
    pub fn told() -> Self {
        Self { lines: Some(Vec::new()) }
    }

    /// Adds a line, which is made only where somebody listens.
    pub fn tell(&mut self, at: u64, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push((at, line()));
        }
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.lines.iter().flatten().map(|(at, line)| format!("{} {line}", Moment(*at)))
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Time since the start of a history: `00:01:12.400`.
#[derive(Clone, Copy, Debug)]
pub struct Moment(pub u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1_000, self.0 % 1_000);
        write!(f, "{:02}:{:02}:{:02}.{millis:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}
