//! How a subcommand ends when it does not succeed, for people and for programs.
//!
//! What went wrong is one sentence on standard error; with `--output json` it is besides an object on standard output,
//! `{"error": {"code", "message", "problems", "hint"}}`, of the form that the admin API answers with, on one line. The
//! exit code is the same either way.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::ClientError;
use super::{Output, print};
use crate::diagnostic::{Diagnostic, Severity};

/// Configuration, zone or policy rejected (`EX_CONFIG` of sysexits).
const EX_CONFIG: u8 = 78;
/// Wrong usage.
const USAGE: u8 = 2;

/// How a subcommand ends when it does not succeed.
#[derive(Debug)]
pub(super) enum Failed {
    /// One sentence.
    Sentence(String),
    /// What the daemon would refuse was not asked for.
    Refused(String),
    /// The command line says what cannot be.
    Usage(String),
    /// The daemon could not be asked, or refused.
    Asked(ClientError),
    /// This sentence has been said on standard error.
    Said(String),
    /// Files were rejected; what is wrong has been said on standard error, and is here again for programs.
    Rejected(Vec<String>),
    /// Everything has been said in both forms: the exit code is left.
    Shown(u8),
}

impl Failed {
    /// Files with these problems were rejected.
    pub(super) fn rejected(problems: &[Diagnostic]) -> Self {
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        Self::Rejected(errors.map(ToString::to_string).collect())
    }

    /// Says it, and gives the exit code.
    pub(super) fn end(&self, output: Output) -> ExitCode {
        self.complain();
        if output == Output::Json
            && let Some(error) = self.error()
        {
            print::say(json!({ "error": error }));
        }
        ExitCode::from(self.code())
    }

    fn complain(&self) {
        match self {
            Self::Sentence(sentence) | Self::Refused(sentence) | Self::Usage(sentence) => {
                print::complain(format_args!("error: {sentence}\n"));
            }
            Self::Asked(error) => print::complain(format_args!("error: {error}\n")),
            Self::Said(_) | Self::Rejected(_) | Self::Shown(_) => {}
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Sentence(_) | Self::Refused(_) | Self::Asked(_) | Self::Said(_) => 1,
            Self::Usage(_) => USAGE,
            Self::Rejected(_) => EX_CONFIG,
            Self::Shown(code) => *code,
        }
    }

    /// It as programs read it; `None` when they have read it already.
    pub(super) fn error(&self) -> Option<Value> {
        let error = |code: &str, sentence: &str, problems: &[String]| {
            let (message, hint) = match sentence.split_once("\nhint: ") {
                Some((message, hint)) => (message, Some(hint)),
                None => (sentence, None),
            };
            json!({ "code": code, "message": message, "problems": problems, "hint": hint })
        };
        Some(match self {
            Self::Sentence(sentence) | Self::Said(sentence) => error("failed", sentence, &[]),
            Self::Refused(sentence) => error("refused", sentence, &[]),
            Self::Usage(sentence) => error("usage", sentence, &[]),
            Self::Asked(ClientError::Refused { code, message, problems, .. }) => error(code, message, problems),
            Self::Asked(other) => error(other.code(), &other.to_string(), &[]),
            Self::Rejected(problems) => error("rejected", "files were rejected", problems),
            Self::Shown(_) => return None,
        })
    }

    /// Says it with a result that is a failure: for programs both are one object on standard output.
    pub(super) fn with(self, result: &impl serde::Serialize) -> Self {
        self.complain();
        let mut result = serde_json::to_value(result).unwrap_or_default();
        if let (Some(fields), Some(error)) = (result.as_object_mut(), self.error()) {
            fields.insert("error".into(), error);
        }
        print::say(format_args!("{result:#}"));
        Self::Shown(self.code())
    }
}

/// The command line could not be read, which `clap` says in its own words.
pub(super) fn unread(error: &clap::Error, arguments: impl Iterator<Item = String>) -> ExitCode {
    // A reader that is gone is no failure.
    drop(error.print());
    if error.use_stderr() && asks_for_json(arguments) {
        let text = error.render().to_string();
        // The sentence comes first; how the command line is to be follows after an empty line.
        let lines: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
        let message = lines.join(" ").trim_start_matches("error: ").to_owned();
        print::say(json!({ "error": Failed::Usage(message).error() }));
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
}

/// Whether a command line that could not be read asks for JSON.
fn asks_for_json(arguments: impl Iterator<Item = String>) -> bool {
    let mut takes = false;
    for argument in arguments {
        if takes && argument == "json" {
            return true;
        }
        if matches!(argument.as_str(), "--output=json" | "-ojson" | "-o=json") {
            return true;
        }
        takes = matches!(argument.as_str(), "--output" | "-o");
    }
    false
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        Self::Asked(error)
    }
}

impl From<crate::daemon::Failure> for Failed {
    fn from(error: crate::daemon::Failure) -> Self {
        Self::Sentence(error.to_string())
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Sentence(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_that_cannot_be_read_may_ask_for_json() {
        let check = |line: &str, expected: bool| {
            assert_eq!(asks_for_json(line.split(' ').map(Into::into)), expected, "{line}");
        };
        check("status --bogus --output json", true);
        check("-o json status --bogus", true);
        check("status --output=json --bogus", true);
        check("status --bogus", false);
        check("mark json --output text", false);
        check("status --bogus --output", false);
    }

    #[test]
    fn a_hint_stands_beside_the_sentence() {
        let error = Failed::Sentence("it is not there\nhint: look elsewhere".into()).error().unwrap();
        assert_eq!((&error["message"], &error["hint"]), (&json!("it is not there"), &json!("look elsewhere")));
        assert_eq!(Failed::Shown(1).error(), None);
    }
}
