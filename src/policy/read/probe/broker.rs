//! Keys that the probes of brokers have in common.

use super::super::super::{Password, Secret, SharedAccess};
use super::keys::{read_secret, read_variable};
use crate::diagnostic::Diagnostic;
use crate::document::{Setting, Value};

/// A client identifier, a container's, or the name of a policy.
pub(super) fn read_identifier(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    read_text(value, 256, "such as \"canary-1\"", problems)
}

/// A user name.
pub(super) fn read_username(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    read_text(value, 1024, "such as \"canary\"", problems)
}

/// The `hostname` of an AMQP connection, which brokers read in ways of their own.
pub(super) fn read_hostname(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<String> {
    read_text(value, 255, "such as \"hub.example.net\"", problems)
}

/// A text of 1 to `most` octets without control characters.
fn read_text(value: &Value<'_>, most: usize, example: &str, problems: &mut Vec<Diagnostic>) -> Option<String> {
    let expected = format!("a text of 1 to {most} octets, without control characters");
    let text = value.text(&expected, example, problems)?;
    if !(1..=most).contains(&text.len()) || text.chars().any(char::is_control) {
        problems.push(value.mismatch(&expected, example));
        return None;
    }
    Some(text.into())
}

/// Where a password stands, or what it is made of.
pub(super) fn read_password(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Password> {
    const HINT: &str = "write `{ file = \"secret.txt\" }`, `{ env = \"NAME\" }` or `{ sas = { … } }`";
    if !value.is_table() {
        let sentence = format!("{} is to say where the secret stands, not what it is", value.what());
        problems.push(value.error(sentence).hint(HINT));
        return None;
    }
    let mut table = value.table(value.what(), "", problems)?;
    let file = table.setting("file", problems, Value::path);
    let env = table.setting("env", problems, read_variable);
    let sas = table.setting("sas", problems, read_shared_access);
    let written: Vec<&str> = [("file", file.is_written()), ("env", env.is_written()), ("sas", sas.is_written())]
        .into_iter()
        .filter_map(|(key, written)| written.then_some(key))
        .collect();
    let mut one = true;
    match written.as_slice() {
        [] => table.missing_one(&["file", "env", "sas"], "place of the secret", HINT, problems),
        [_] => {}
        [first, second, ..] => {
            let sentence = format!("{} has two places, `{first}` and `{second}`, expected exactly one", value.what());
            problems.push(value.error(sentence).hint("remove one"));
            one = false;
        }
    }
    table.close(problems);
    let secret = file.good().map(Secret::File).or(env.good().map(Secret::Env)).map(Password::Secret);
    secret.or(sas.good().map(Password::SharedAccess)).filter(|_| one)
}

fn read_shared_access(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<SharedAccess> {
    const EXAMPLE: &str =
        "`sas = { key = { file = \"canary.key\" }, resource = \"hub.azure-devices.net/devices/canary\" }`";
    let mut table = value.table("`sas`", EXAMPLE, problems)?;
    let key = table.setting("key", problems, read_secret);
    let resource = table.setting("resource", problems, |value, problems| {
        read_text(value, 1024, "such as \"hub.azure-devices.net/devices/canary\"", problems)
    });
    let policy = table.setting("policy", problems, read_identifier);
    if !key.is_written() {
        table.missing("key", "add `key = { file = \"canary.key\" }`", problems);
    }
    if !resource.is_written() {
        table.missing("resource", "add `resource = \"hub.azure-devices.net/devices/canary\"`", problems);
    }
    table.close(problems);
    Some(SharedAccess { key: key.good()?, resource: resource.good()?, policy: policy.optional()? })
}

/// Warns of a password that everybody on the way can read.
pub(super) fn say_in_clear(password: &Setting<Password>, tls: Option<bool>, problems: &mut Vec<Diagnostic>) {
    if let (Some(place), Some(false)) = (password.place(), tls) {
        let problem = Diagnostic::warning(place, "`password` is sent without TLS");
        problems.push(problem.hint("add `tls = true`"));
    }
}
