//! I/O shell: standard output and standard error, whose readers may be gone.
//!
//! `print!` panics when nobody reads any more, as after `concierge history | head -1`; the daemon's own log must not end
//! it either when the terminal that it was started from is closed.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads NO_COLOR and COLUMNS")]

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdin, stdout};

use super::Failed;

/// Prints a line to standard output. A reader that has seen enough is no failure; a full disk is one.
pub(super) fn line(text: impl Display) -> Result<(), Failed> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failed::Sentence(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a text, which ends its last line itself, to standard output.
pub(super) fn text(text: &str) -> Result<(), Failed> {
    line(text.strip_suffix('\n').unwrap_or(text))
}

/// Prints a line to standard output for whoever may look: the job goes on when nobody does.
pub(super) fn say(text: impl Display) {
    drop(line(text));
}

/// Prints to standard error, without a line's end of its own.
pub(super) fn complain(text: impl Display) {
    // There is no other place to complain at.
    drop(write!(stderr().lock(), "{text}"));
}

/// Asks whether to go on, on the terminal; `None` when there is none to ask on. Everything but `y` and `yes` is a no.
pub(super) fn ask(question: &str) -> Option<bool> {
    if !stdin().is_terminal() {
        return None;
    }
    complain(format_args!("{question} [y/N] "));
    let mut answer = String::new();
    // What cannot be read is no consent.
    let read = stdin().read_line(&mut answer).is_ok();
    Some(read && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

/// How wide what stands on standard output may be: COLUMNS, else the terminal's width; `None` without a terminal.
pub(super) fn width() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || rustix::termios::tcgetwinsize(stdout()).ok().map(|size| usize::from(size.ws_col));
    columns.or_else(terminal).filter(|width| *width > 0)
}

/// Whether problems are shown in colours: on a terminal, unless NO_COLOR is set to anything.
pub(super) fn colors() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}
