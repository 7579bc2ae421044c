//! What a gate looks at and a fence calls: a URL, or a program with its arguments.

use std::path::PathBuf;

use hyper::Uri;

use super::super::Exec;
use crate::diagnostic::Diagnostic;
use crate::dns::Name;
use crate::document::{Setting, Table, Value, escaped, quoted, unusable};

/// Octets of a URL and of one argument.
const MOST_TEXT: usize = 2048;
/// A program and its arguments.
const MOST_ARGUMENTS: usize = 64;

/// A URL, and the trust anchors that it is asked with.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) ca: Option<PathBuf>,
}

/// The keys `url` and `ca`; `None` when one of them is wrong.
pub(super) fn read_request(table: &mut Table<'_>, problems: &mut Vec<Diagnostic>) -> Option<Request> {
    let url = table.setting("url", problems, read_url);
    let ca = table.setting("ca", problems, Value::path);
    if !url.is_written() {
        table.missing("url", "add `url = \"https://HOST/PATH\"`", problems);
    }
    if let (Some((url, _)), Some(place)) = (url.placed(), ca.place())
        && !url.starts_with("https:")
    {
        let problem =
            Diagnostic::error(place, "`ca` has no effect without TLS, expected a `url` that starts with https");
        problems.push(problem.hint("write `https` in the URL, or remove `ca`"));
        return None;
    }
    let ca = ca.optional();
    Some(Request { url: url.good()?, ca: ca? })
}

/// An absolute URL (RFC 9110 4.2) of which nothing is left out when it is asked, and nothing is secret.
fn read_url(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "an http or https URL with a host";
    const EXAMPLE: &str = "such as \"https://registry.example.net/status\"";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    let problem = match text.parse::<Uri>() {
        _ if text.contains('#') => {
            let sentence = format!("{} has a fragment, which no request carries", value.what());
            value.error(sentence).hint("remove it, from the `#` on")
        }
        Ok(uri) if text.contains("://") && uri.authority().is_some_and(|host| host.as_str().contains('@')) => {
            let sentence = format!("{} has a user or password in it, which would be shown to everybody", value.what());
            value.error(sentence).hint("remove what is before the `@`")
        }
        // The parser takes the scheme in capitals too; this program's own readers do not.
        Ok(uri) if text.len() <= MOST_TEXT && (text.starts_with("http://") || text.starts_with("https://")) => {
            match uri.host().map(check_host) {
                Some(Ok(())) if uri.authority().is_some_and(|authority| port_is_good(authority.as_str())) => {
                    return Some(text.into());
                }
                Some(Err(Some((what, hint)))) => value.error(format!("{} has {what}", value.what())).hint(hint),
                _ => value.mismatch(EXPECTED, EXAMPLE),
            }
        }
        Ok(_) | Err(_) => {
            let problem = value.mismatch(EXPECTED, EXAMPLE);
            let lower = text.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
            match lower {
                Some((scheme, rest)) if ["http", "https"].contains(&scheme.as_str()) && !text.starts_with(&scheme) => {
                    problem.hint(format!("write \"{scheme}://{}\"", escaped(rest)))
                }
                None if format!("https://{text}")
                    .parse::<Uri>()
                    .is_ok_and(|uri| uri.host().is_some_and(|host| host.contains('.'))) =>
                {
                    problem.hint(format!("write \"https://{}\"", escaped(text)))
                }
                _ => problem,
            }
        }
    };
    problems.push(problem);
    None
}

/// A host name or an address; `Err` with what else it is and a hint, where there is more to say than that.
fn check_host(host: &str) -> Result<(), Option<(String, String)>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return match unusable(address) {
            None => Ok(()),
            Some((what, hint)) => Err(Some((format!("{what} {address}"), hint))),
        };
    }
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_');
    let good = host.bytes().all(plain) && Name::parse(host, Some(&Name::root())).is_ok();
    if good { Ok(()) } else { Err(None) }
}

/// None, or 1 to 65535.
fn port_is_good(authority: &str) -> bool {
    let after_address = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    match after_address.rsplit_once(':') {
        None => true,
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
    }
}

/// `exec = { command = ["PROGRAM", "ARGUMENT"] }`.
pub(super) fn read_exec(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Exec> {
    let mut table = value.table("`exec`", "`exec = { command = [\"/PATH/TO/PROGRAM\"] }`", problems)?;
    let command = table.setting("command", problems, read_command);
    if !command.is_written() {
        table.missing("command", "add `command = [\"/PATH/TO/PROGRAM\"]`", problems);
    }
    table.close(problems);
    Some(Exec { command: command.good()? })
}

/// The program, seen from here, and its arguments as they are written.
fn read_command(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Vec<String>> {
    const EXPECTED: &str = "a list of a program and its arguments";
    const EXAMPLE: &str = "such as `[\"/usr/local/bin/registry-check\", \"neu\"]`";
    if let Some(text) = value.as_text() {
        let problem = value.mismatch(EXPECTED, EXAMPLE);
        let words: Vec<String> = text.split_whitespace().map(|word| format!("\"{}\"", escaped(word))).collect();
        problems.push(
            match text.contains(['"', '\'', '\\', '$', '|', '>', '<', ';', '&', '*', '`']) || words.is_empty() {
                true => problem,
                false => problem.hint(format!("no shell is between: write `[{}]`", words.join(", "))),
            },
        );
        return None;
    }
    let entries = value.list(EXPECTED, EXAMPLE, MOST_ARGUMENTS, problems)?;
    if entries.is_empty() {
        let problem = value.error(format!("{} is empty, expected a program", value.what()));
        problems.push(problem.hint(format!("write {EXAMPLE}")));
        return None;
    }
    let words: Vec<Option<String>> = entries
        .iter()
        .enumerate()
        .map(|(at, entry)| if at == 0 { read_program(entry, problems) } else { read_argument(entry, problems) })
        .collect();
    words.into_iter().collect()
}

/// A path: where there is no `/` in it, still one, for nothing is looked for in `PATH`.
fn read_program(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "the path of a program";
    const EXAMPLE: &str = "it in quotes, absolute or relative to this file's folder";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    if text.is_empty() || text.contains('\0') || text.len() > MOST_TEXT {
        problems.push(value.mismatch(EXPECTED, EXAMPLE));
        return None;
    }
    match value.document().beside(text).into_os_string().into_string() {
        Ok(path) if path.contains('/') => Some(path),
        Ok(path) => Some(format!("./{path}")),
        Err(path) => {
            let shown = path.to_string_lossy();
            let problem =
                value.error(format!("the program {} is in a folder that is not named in UTF-8", quoted(&shown)));
            problems.push(problem.hint("write an absolute path"));
            None
        }
    }
}

fn read_argument(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    const EXPECTED: &str = "a text of at most 2048 octets, without NUL";
    let text = value.text(EXPECTED, "it in quotes", problems)?;
    if text.contains('\0') || text.len() > MOST_TEXT {
        problems.push(value.mismatch(EXPECTED, "a shorter text, or the path of a file that holds it"));
        return None;
    }
    Some(text.into())
}

/// The one of `kinds` that is written, of a table that has to have exactly one of them and is called `what`.
///
/// `None` when there is none or a second one, which has been reported, or when the one is wrong.
pub(super) fn exactly_one<T: Clone>(
    what: &str,
    noun: &str,
    kinds: &[(&str, &Setting<T>)],
    missing: &str,
    table: &mut Table<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<T> {
    let written: Vec<_> = kinds.iter().filter(|(_, kind)| kind.is_written()).collect();
    match written.as_slice() {
        [] => {
            if !table.rest().any(|entry| entry.value.is_table()) {
                let words: Vec<&str> = kinds.iter().map(|(word, _)| *word).collect();
                table.missing_one(&words, noun, missing, problems);
            }
            None
        }
        [(_, kind)] => kind.placed().map(|(kind, _)| kind.clone()),
        [(first, _), (second, kind), ..] => {
            let message = format!("{what} has two {noun}s, `{first}` and `{second}`, expected exactly one");
            let place = kind.place().unwrap_or_else(|| table.place());
            problems.push(Diagnostic::error(place, message).hint("remove one of the two"));
            None
        }
    }
}
